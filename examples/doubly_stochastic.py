"""
Noise of different strength
===========================

A kernel of points that some noise has hit harder than others: scaled to row sums of 1 from both sides, it
forgets which.
"""

import matplotlib.pyplot as plt
import numpy as np

from lapwing import ot

rng = np.random.default_rng(0)
n, p = 300, 2000
angle = 2 * np.pi * np.arange(n) / n
clean = np.zeros((n, p))
clean[:, 0], clean[:, 1] = np.cos(angle), np.sin(angle)
strength = np.where(np.arange(n) % 100 < 50, 0.05, 1.0)  # the noise's length, in stretches of 50 points
noisy = clean + strength[:, None] * rng.normal(size=(n, p)) / np.sqrt(p)


def kernel(x, reg=0.2):
    square = (x**2).sum(axis=1)
    K = np.exp(-np.maximum(square[:, None] + square - 2 * x @ x.T, 0) / reg)
    np.fill_diagonal(K, 0)
    return K


# %%
# In many dimensions the noise of two points is nearly orthogonal to everything: it adds the squares of its
# two lengths to their distance, which multiplies row and column of the kernel by a factor each. Dividing by
# row sums removes one of the two factors; the scaling from both sides removes both. The diagonal is left
# out, since noise does nothing to the distance of a point from itself.


def row_stochastic(K):
    return K / K.sum(axis=1)[:, None]


def symmetric(K):
    d = K.sum(axis=1)
    return K / np.sqrt(d[:, None] * d)


def doubly_stochastic(K):
    return ot.doubly_stochastic(K).matrix


scaled = {f.__name__.replace("_", " "): (f(kernel(clean)), f(kernel(noisy))) for f in
          (row_stochastic, symmetric, doubly_stochastic)}  # fmt: skip
for name, (before, after) in scaled.items():
    change = np.linalg.norm(after - before) / np.linalg.norm(before)
    print(f"{name}: the noise changes the affinities by {change:.0%}")

# %%
# The affinities of the noisy points, and the second eigenvector of each: on a circle it should be a wave,
# whatever the noise is.

figure, axes = plt.subplots(2, 3, figsize=(12, 6), height_ratios=(2, 1), layout="constrained")
for (top, bottom), (name, (before, after)) in zip(axes.T, scaled.items(), strict=True):
    top.imshow(after, cmap="magma_r", vmax=np.quantile(after, 0.995))
    top.set(title=f"{name}: changed by {np.linalg.norm(after - before) / np.linalg.norm(before):.0%}",
            xticks=[], yticks=[])  # fmt: skip
    values, vectors = np.linalg.eig(after) if name == "row stochastic" else np.linalg.eigh(after)
    order = np.argsort(-values.real)[1:3]
    bottom.plot(vectors[:, order].real, linewidth=1)
    bottom.set(yticks=[], xlabel="point")
axes[1, 0].set_ylabel("eigenvectors 2, 3")
plt.show()
