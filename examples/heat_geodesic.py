"""
Distances along a manifold from heat
====================================

How long heat takes from one point to another tells how far it has to go along the data. On a rolled-up sheet
with noise the heat geodesic distances are those on the sheet, and the embedding unrolls it.
"""

# %%
# A roll with noise
# -----------------
# The truth is known: the distance on the unrolled sheet.
import warnings

import matplotlib.pyplot as plt
import numpy as np

from lapwing import HeatGeodesic

rng = np.random.default_rng(0)
n = 500
t = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))
height = rng.uniform(size=n)
X = np.column_stack([t * np.cos(t), height, t * np.sin(t)]) + 0.05 * rng.normal(size=(n, 3))
truth = np.hypot(t[:, None] - t, height[:, None] - height)


def agreement(D):
    """Mean correlation of the rows with the true distances."""
    return np.mean([np.corrcoef(D[i], truth[i])[0, 1] for i in range(n)])


# %%
# The time matters
# ----------------
# In a short time no heat gets far, and a warning says so; after a long one all of it has spread evenly.
# ``t="auto"`` looks for the knee of the entropy of the heat and makes sure that it reaches half of the pairs.
times = np.geomspace(1, 3000, 12)
scores = []
for time in times:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores.append(agreement(HeatGeodesic(2, t=time, local_k=10, mds="classical").fit(X).distances_))
automatic = HeatGeodesic(2, local_k=10, random_state=0, max_iter=2000).fit(X)
long = HeatGeodesic(2, t=200.0, local_k=10, random_state=0, max_iter=2000).fit(X)
straight = agreement(np.linalg.norm(X[:, None] - X, axis=2))
print(f"straight distances: {straight:.3f}")
print(f"heat geodesic, t = {automatic.t_[0]:.3g} (chosen): {agreement(automatic.distances_):.3f}")
print(f"heat geodesic, t = 200: {agreement(long.distances_):.3f}")

# %%
figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
axes[0].semilogx(times, scores, "o-", color="0.3")
axes[0].axhline(straight, linestyle=":", color="0.5")
axes[0].text(1.2, straight + 0.02, "straight distances", color="0.4")
axes[0].axvline(automatic.t_[0], color="C1", linewidth=1, label="chosen")
axes[0].set(xlabel="time t", ylabel="correlation with the truth", title="how right the distances are")
axes[0].legend()
axes[1].scatter(X[:, 0], X[:, 2], c=t, s=8)
axes[1].set(title="the roll from the side", aspect="equal")
axes[2].scatter(*long.embedding_.T, c=t, s=8)
axes[2].set(title="heat geodesic embedding, t = 200", aspect="equal")

plt.show()
