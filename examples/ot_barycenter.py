"""
Between two shapes
==================

Barycentres of two images, plain and debiased: the plain ones carry the blur of the regularisation, the
debiased ones do not.
"""

import matplotlib.pyplot as plt
import numpy as np

from lapwing import ot

side = 32
grid = (np.arange(side) + 0.5) / side
u, v = np.meshgrid(grid - 0.5, grid - 0.5, indexing="ij")
points = np.column_stack([u.ravel(), v.ravel()])
ring = (np.hypot(u, v) < 0.42) & (np.hypot(u, v) > 0.3)
cross = ((abs(u - v) < 0.11) | (abs(u + v) < 0.11)) & (np.maximum(abs(u), abs(v)) < 0.38)
A = np.column_stack([ring.ravel(), cross.ravel()]).astype(float)
A /= A.sum(axis=0)

# %%
# `A` holds one histogram a column, the points of the grid give the cost. Each step is one pass over the
# pairs of every histogram; `error` says how far the plans' second marginals are from the barycentre.

shares = (0.0, 0.25, 0.5, 0.75, 1.0)
rows = {}
for debias in (False, True):
    found = [
        ot.barycenter(A, points, points, weights=[1 - s, s], reg=0.004, debias=debias, tol=1e-3)
        for s in shares
    ]
    rows["debiased" if debias else "plain"] = found
    print(["plain", "debiased"][debias], [f"{p.n_iter} steps, error {p.error:.0e}" for p in found])

# %%
# At the two ends the barycentre of one shape alone: without debiasing it is not the shape.

figure, axes = plt.subplots(2, 5, figsize=(12, 5), layout="constrained")
for line, (name, found) in zip(axes, rows.items(), strict=True):
    for ax, share, p in zip(line, shares, found, strict=True):
        ax.imshow(p.weights.reshape(side, side), cmap="magma_r", vmin=0, vmax=1.3 * A.max())
        ax.set(xticks=[], yticks=[], title=f"{name}, {share:g}")
plt.show()
