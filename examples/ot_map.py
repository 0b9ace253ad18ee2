"""
A map for new points
====================

The plan between two samples, extended to points that were in neither: each goes to the mean of its
partners.
"""

import matplotlib.pyplot as plt
import numpy as np

from lapwing import ot

rng = np.random.default_rng(0)


def disc(n):
    r, angle = np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    return np.column_stack([r * np.cos(angle), r * np.sin(angle)])


X = disc(1500)
angle = 2 * np.pi * rng.random(1500)
Y = (np.sqrt(rng.random(1500)) * (1 + 0.45 * np.cos(5 * angle)))[:, None] * np.column_stack(
    [np.cos(angle), np.sin(angle)]
) + [3.2, 0]

# %%
# The potential of the second side says everything about where mass goes, so a new point needs nothing but
# its costs to that side. Rings and rays that no sample has seen:

turn = np.linspace(0, 2 * np.pi, 300)
lines = [r * np.column_stack([np.cos(turn), np.sin(turn)]) for r in (0.2, 0.4, 0.6, 0.8, 0.97)]
lines += [np.outer(np.linspace(0, 0.97, 60), [np.cos(s), np.sin(s)]) for s in np.pi * np.arange(20) / 10]

results = {ratio: ot.solve_sample(X, Y, reg=ratio, reg_scale="median") for ratio in (0.2, 0.01, 0.0005)}

# %%
# A large regularisation sends everything towards the mean; a small one follows the sample, noise included.
# In between is a map that is smooth and still reaches the border.

figure, axes = plt.subplots(1, 4, figsize=(14, 3.7), layout="constrained")
axes[0].scatter(*X.T, s=1, color="0.7")
for line in lines:
    axes[0].plot(*line.T, color="tab:blue", linewidth=0.8)
axes[0].set_title("points and new points")
for ax, (ratio, result) in zip(axes[1:], results.items(), strict=True):
    ax.scatter(*Y.T, s=1, color="0.7")
    for line in lines:
        ax.plot(*result.entropic_map(line).T, color="tab:red", linewidth=0.8)
    ax.set_title(f"ε = {ratio:g} × median")
for ax in axes:
    ax.set(aspect="equal", xticks=[], yticks=[])
plt.show()

# %%
# How well new points are mapped: another sample of the source, mapped, beside another sample of the target.
# The divergence between the two is 0 for a perfect map of an infinite sample.

fresh, scale = disc(1500), ot.cost_quantile(X, Y)
for ratio, result in results.items():
    distance = ot.sinkhorn_divergence(result.entropic_map(fresh), Y, reg=0.01 * scale).value
    print(f"ε = {ratio:g} × median: divergence of the mapped points from the target {distance:.4f}")
