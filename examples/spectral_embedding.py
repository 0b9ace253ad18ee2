"""
Laplacian eigenmaps
===================

A rolled-up sheet in two coordinates, new points among them, and what a missing copy of an eigenvalue does to
a picture.
"""

# %%
# A swiss roll
# ------------
# The first coordinate follows the roll. The second is a function of the first, as on all sheets that are much
# longer than wide: the first coordinate that is not tells the width.
import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp

from lapwing import SpectralEmbedding
from lapwing.linalg import laplacian_eigs

rng = np.random.default_rng(0)


def sheet(n):
    t = 1.5 * np.pi * (1 + 2 * rng.random(n))
    return np.column_stack([t * np.cos(t), 36 * rng.random(n), t * np.sin(t)]), t


X, t = sheet(3000)
model = SpectralEmbedding(6, n_neighbors=12, random_state=0).fit(X)
Y = model.embedding_
width = max(range(1, 6), key=lambda c: abs(np.corrcoef(Y[:, c], X[:, 1])[0, 1]))
print(f"coordinate {width + 1} follows the width: correlation {np.corrcoef(Y[:, width], X[:, 1])[0, 1]:.2f}")
new, t_new = sheet(40)
placed = model.transform(new)

figure = plt.figure(figsize=(12.5, 4), layout="constrained")
ax = figure.add_subplot(1, 3, 1, projection="3d")
ax.scatter(X[:, 0], X[:, 1], X[:, 2], c=t, s=3)
ax.set(title="3000 points of a roll", xticks=[], yticks=[], zticks=[])
ax = figure.add_subplot(1, 3, 2)
ax.scatter(Y[:, 0], Y[:, 1], c=t, s=3)
ax.set(title="coordinates 1 and 2", xticks=[], yticks=[])
ax = figure.add_subplot(1, 3, 3)
ax.scatter(Y[:, 0], Y[:, width], c=t, s=3)
ax.scatter(placed[:, 0], placed[:, width], c=t_new, s=60, edgecolor="k", label="new points")
ax.set(title=f"coordinates 1 and {width + 1}", xticks=[], yticks=[])
ax.legend()

# %%
# Two copies of one eigenvalue
# ----------------------------
# On a ring the first two eigenvectors share their eigenvalue, and together they draw a circle. A solver that
# returns one copy and goes on with the next eigenvalue draws something else from vectors whose residuals are
# just as small.
n = 3000
ring = sp.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=[-1, 1], shape=(n, n)).tolil()
ring[0, n - 1] = ring[n - 1, 0] = 1
eigen = laplacian_eigs(ring.tocsr(), 4)
print("eigenvalues over the first:", (eigen.values / eigen.values[0]).round(6))
print("largest residual:", eigen.residuals.max())
figure, axes = plt.subplots(1, 2, figsize=(8.5, 4), layout="constrained")
for ax, pair, title in zip(
    axes, ([0, 1], [0, 2]), ("both copies", "one copy, then the next eigenvalue"), strict=True
):
    ax.scatter(*eigen.vectors[:, pair].T, c=np.arange(n), cmap="twilight", s=4)
    ax.set(title=title, aspect="equal", xticks=[], yticks=[])

plt.show()
