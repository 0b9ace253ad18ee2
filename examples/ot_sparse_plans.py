"""
Plans with few entries
======================

An entropic plan is dense. Ways to one that is not: a small ε, costs for some pairs alone, and a bound on the
entries of every column.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import coo_array
from scipy.spatial.distance import cdist

from lapwing import ot

rng = np.random.default_rng(3)
X = rng.uniform(size=(40, 2))
Y = rng.uniform(size=(25, 2)) * [0.8, 0.8] + [0.9, 0.1]
C = cdist(X, Y, "sqeuclidean")
scale = float(np.median(C))

# %%
# ``solve_sparse`` takes costs of some pairs, here of the 15 nearest partners of every point on both sides,
# and forbids all others; where no plan on them has these marginals it says so. ``sparsity_constrained``
# regularises by the square of the plan and allows k entries a column.

rank = np.minimum(C.argsort(axis=0).argsort(axis=0), C.argsort(axis=1).argsort(axis=1))
rows, columns = np.nonzero(rank < 15)
near = coo_array((C[rows, columns], (rows, columns)), shape=C.shape)
plans = {
    "ε = 0.05 median": ot.solve(C, reg=0.05 * scale).plan,
    "ε = 0.001 median": ot.solve(C, reg=0.001 * scale).plan,
    "15 nearest partners": ot.solve_sparse(near, reg=0.05 * scale).plan.toarray(),
    "at most 3 a column": ot.sparsity_constrained(C, k=3, reg=0.5 * scale, round=True).plan.toarray(),
}
for name, P in plans.items():
    entries, missed = np.count_nonzero(1e-6 * P.max() < P), abs(P.sum(axis=1) - 1 / 40).sum()
    print(f"{name}: {entries} entries, costs {(C * P).sum():.4f}, rows off by {missed:.1e}")

figure, axes = plt.subplots(1, 4, figsize=(13, 3.6), layout="constrained")
for ax, (name, P) in zip(axes, plans.items(), strict=True):
    for i, j in np.argwhere(1e-6 * P.max() < P):
        ax.plot(
            *zip(X[i], Y[j], strict=True), color="tab:blue", alpha=float(P[i, j] / P.max()), linewidth=0.8
        )
    ax.scatter(*X.T, s=12, color="0.2", zorder=3)
    ax.scatter(*Y.T, s=12, color="tab:orange", zorder=3)
    ax.set(aspect="equal", xticks=[], yticks=[], title=name)
plt.show()
