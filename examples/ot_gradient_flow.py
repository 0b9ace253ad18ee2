"""
Fitting points by the gradient
==============================

A cloud follows the gradient of the Sinkhorn divergence until it has the shape of another.
"""

import matplotlib.pyplot as plt
import numpy as np

from lapwing import ot

rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, (150, 1))
upper = np.hstack([np.cos(angle), np.sin(angle)])
lower = np.hstack([1 - np.cos(angle), 0.4 - np.sin(angle)])
target = np.vstack([upper, lower]) + 0.06 * rng.normal(size=(300, 2))
start = 0.15 * rng.normal(size=(250, 2)) + [-0.5, -0.6]

# %%
# ``grad_X`` comes with every result, by the envelope theorem: no solver is differentiated. A point carries
# the weight 1/n, so that n times the gradient is its velocity. A small ε shows every detail, but its pull is
# that of single points; large ones see the cloud as a whole.

costs, clouds, values = {}, {}, {}
for reg in (1.0, 0.01):
    X, path = start.copy(), []
    for _ in range(40):
        found = ot.sinkhorn_divergence(X, target, reg=reg, tol=1e-4)
        path.append(found.value)
        X -= 0.4 * len(X) * found.grad_X / 2
    clouds[reg], values[reg] = X, path
    print(f"reg {reg:g}: from {path[0]:.4f} to {path[-1]:.1e}")

figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
for ax, (reg, X) in zip(axes, clouds.items(), strict=False):
    ax.scatter(*target.T, s=4, color="0.8")
    ax.scatter(*start.T, s=4, color="tab:orange", label="start")
    ax.scatter(*X.T, s=4, color="tab:blue", label="after 40 steps")
    ax.set(aspect="equal", title=f"reg = {reg:g}")
axes[0].legend(loc="upper right")
for reg, path in values.items():
    axes[2].semilogy(path, label=f"reg = {reg:g}")
axes[2].set(xlabel="step", ylabel="divergence")
axes[2].legend()
plt.show()
