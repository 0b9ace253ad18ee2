"""
Mass that stays behind
======================

Two sides of which a part has no counterpart: the balanced plan, penalties that let mass appear and vanish,
and a fixed mass.
"""

import matplotlib.pyplot as plt
import numpy as np

from lapwing import ot

rng = np.random.default_rng(0)
centres = np.array([[0.0, 0.0], [1.5, 2.2], [5.0, 0.4]])
X = np.vstack([rng.normal(centre, 0.35, (n, 2)) for centre, n in zip(centres, (60, 60, 60), strict=True)])
centres = np.array([[0.8, -0.6], [2.4, 1.7], [0.4, 5.5]])
Y = np.vstack([rng.normal(centre, 0.35, (n, 2)) for centre, n in zip(centres, (90, 60, 50), strict=True)])
a, b = np.full(180, 1 / 180), np.full(200, 1 / 180)  # the second side is heavier

# %%
# The third group of each side is far from everything on the other. A balanced plan cannot leave it out (and
# needs equal totals). `unbalanced` prices what is missed, in units of the cost: under the Kullback-Leibler
# penalty every point keeps a share that falls with its distance; under total variation a point moves, or it
# does not, the limit being a cost of about twice the price. `mass` moves what it says, wherever that is
# cheapest.

problems = {
    "balanced": ot.solve_sample(X, Y, a, b / b.sum(), reg=0.1),
    "KL penalty, ρ = 1.5": ot.solve_sample(X, Y, a, b, reg=0.1, unbalanced=1.5),
    "total variation, ρ = 1.5": ot.solve_sample(X, Y, a, b, reg=0.1, unbalanced=1.5, unbalanced_type="tv"),
    "partial, mass 2/3": ot.solve_sample(X, Y, a, b, reg=0.1, mass=2 / 3),
}
for name, result in problems.items():
    moved = np.asarray(result.marginal_a).sum()
    print(f"{name}: {moved:.3f} of 1 moved, cost {result.value_linear:.3f}, gap {result.gap:.1e}")

# %%
# Filled: the share of a point's mass that takes part. Lines: its strongest partner, where more than a tenth
# of the mass moves.

figure, axes = plt.subplots(1, 4, figsize=(14, 4.1), layout="constrained")
for ax, (name, result) in zip(axes, problems.items(), strict=True):
    first, second = (result.marginal_a / result.weights[0], result.marginal_b / result.weights[1])
    partner = result.argmax()
    for i in np.flatnonzero(first > 0.1)[::3]:
        ax.plot(*np.stack([X[i], Y[partner[i]]]).T, color="0.8", linewidth=0.7, zorder=0)
    for points, share, colour in ((X, first, "tab:blue"), (Y, second, "tab:red")):
        ax.scatter(*points.T, s=14, facecolors="none", edgecolors=colour, linewidths=0.4)
        ax.scatter(*points.T, s=14, color=colour, alpha=np.clip(share, 0, 1), linewidths=0)
    ax.set(title=name, aspect="equal", xticks=[], yticks=[])
plt.show()
