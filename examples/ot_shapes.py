"""
Barycentres of pictures and of clouds
=====================================

On a grid the kernel is a product over the axes, and a picture is as cheap as its rows and columns; clouds
have a barycentre whose points move.
"""

import matplotlib.pyplot as plt
import numpy as np

from lapwing import ot

# %%
# Four pictures in the corners, and their debiased barycentres in between. ``grid`` gives the coordinates of
# the pixels along each axis.

side = 64
axis = np.linspace(0, 1, side)
x, y = np.meshgrid(axis, axis, indexing="ij")
u, v = x - 0.5, y - 0.5
angle, radius = np.arctan2(v, u), np.hypot(u, v)
shapes = np.array(
    [
        radius < 0.3,
        (radius < 0.38) & (radius > 0.24),
        (abs(u) < 0.08) & (abs(v) < 0.38) | (abs(v) < 0.08) & (abs(u) < 0.38),
        radius < 0.26 + 0.1 * np.cos(5 * angle),
    ],
    dtype=float,
)
shapes = np.moveaxis(shapes, 0, -1) + 1e-6  # pictures along the last axis
shapes /= shapes.sum(axis=(0, 1))

figure, axes = plt.subplots(4, 4, figsize=(7, 7), layout="constrained")
for i, s in enumerate(np.linspace(0, 1, 4)):
    for j, t in enumerate(np.linspace(0, 1, 4)):
        shares = [(1 - s) * (1 - t), (1 - s) * t, s * (1 - t), s * t]
        found = ot.barycenter(
            shapes, grid=(axis, axis), weights=shares, reg=0.003, debias=True, tol=0.01, max_iter=100
        )
        axes[i, j].imshow(found.weights, cmap="magma_r")
        axes[i, j].set(xticks=[], yticks=[])
plt.show()

# %%
# Without a grid: the barycentre of three clouds, with 200 points of its own.

rng = np.random.default_rng(0)
clouds = []
for k, width in enumerate((0.3, 0.6, 1.0)):
    turn = rng.uniform(0, 2 * np.pi, 400)
    ring = np.column_stack([np.cos(turn), width * np.sin(turn)]) + 0.04 * rng.normal(size=(400, 2))
    clouds.append(ring + np.array([2.6 * k, 2.4 * (k == 1)]))
middle = ot.barycenter_free_support(clouds, support=200, reg=0.05, tol=1e-3)
print(f"{middle.n_iter} steps")

figure, ax = plt.subplots(figsize=(9, 5), layout="constrained")
for cloud in clouds:
    ax.scatter(*cloud.T, s=3, color="0.7")
ax.scatter(*middle.points.T, s=5, color="tab:blue")
ax.set(aspect="equal", title="three rings, and their barycentre")
plt.show()
