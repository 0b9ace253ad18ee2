"""
Clusters that k-means cannot see
================================

Spectral clustering of rings, where centres say nothing, and of a social network. The spectrum tells how many
clusters there are.
"""

# %%
# Three rings
# -----------
# The graph joins each point to its nearest ones. Two ways from eigenvectors to clusters: k-means, and pivoted
# QR, which needs no start.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from lapwing import SpectralClustering

rng = np.random.default_rng(0)
truth = np.repeat([0, 1, 2], 200)
angle = rng.uniform(0, 2 * np.pi, 600)
radius = truth + 1 + 0.1 * rng.normal(size=600)
X = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])

model = SpectralClustering(3, affinity="rbf", gamma=20.0, random_state=0).fit(X)
by_qr = SpectralClustering(3, affinity="rbf", gamma=20.0, assign_labels="cluster_qr").fit(X)
plain = KMeans(3, n_init=10, random_state=0).fit(X)
for name, labels in (("k-means", plain.labels_), ("spectral", model.labels_), ("by QR", by_qr.labels_)):
    print(f"{name}: adjusted Rand index {adjusted_rand_score(truth, labels):.3f}")

# %%
# How many?
# ---------
# The gap after an eigenvalue, relative to the next one, is large where the clusters are. It is reported, not
# imposed.
print(f"suggested: {model.n_clusters_suggested_} clusters")
figure, axes = plt.subplots(1, 3, figsize=(12.5, 4), layout="constrained")
for ax, labels, title in zip(
    axes, (plain.labels_, model.labels_), ("k-means", "spectral clustering"), strict=False
):
    ax.scatter(*X.T, c=labels, cmap="tab10", s=8, vmax=9)
    ax.set(title=title, aspect="equal", xticks=[], yticks=[])
count = np.arange(1, len(model.eigenvalues_) + 1)
axes[2].semilogy(count[1:], model.eigenvalues_[1:], "o-", color="0.3")
axes[2].axvline(model.n_clusters_suggested_ + 0.5, color="C1", label="largest gap")
axes[2].set(title="eigenvalues", xlabel="number")
axes[2].legend()

plt.show()
