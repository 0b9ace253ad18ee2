"""
How many directions does a cloud have?
======================================

The spectral entropy of the diffusion on a point cloud counts, in bits, the directions in which a random walk
on it still moves: clusters at a large scale, dimensions at a small one. With labels, it tells how much of
that they explain.
"""

# %%
# Clusters
# --------
# c tight clusters far apart have log2(c) bits.
import matplotlib.pyplot as plt
import numpy as np

from lapwing.metrics import diffusion_spectral_entropy, diffusion_spectral_mutual_information

rng = np.random.default_rng(0)
counts = np.array([1, 2, 4, 8, 16])
bits = []
for c in counts:
    labels = np.repeat(np.arange(c), 320 // c)
    X = 1000 * labels[:, None] + 0.01 * rng.normal(size=(320, 3))
    bits.append(diffusion_spectral_entropy(X))
    explained = diffusion_spectral_mutual_information(X, labels)
    print(f"{c:2} clusters: {bits[-1]:.4f} bits, of which the labels explain {explained:.4f}")

# %%
# Dimensions
# ----------
# Gaussians that fill more and more of 20 dimensions.
dimensions = np.arange(1, 17)
entropy = []
for k in dimensions:
    X = np.zeros((400, 20))
    X[:, :k] = rng.normal(size=(400, k))
    entropy.append(diffusion_spectral_entropy(X, sigma=1.0))

# %%
# Labels
# ------
# Two classes move apart: the mutual information with the labels rises from 0 to 1 bit, as it does in the
# layers of a network that learns to tell them apart.
labels = np.repeat([0, 1], 200)
base = rng.normal(size=(400, 2))
shifts = np.linspace(0, 12, 13)
information = [
    diffusion_spectral_mutual_information(base + shift * labels[:, None] * [1.0, 0.0], labels, sigma=2.0)
    for shift in shifts
]

# %%
# Many points
# -----------
# Beyond 20 000 points (or where asked for) it is estimated without a matrix, and the error with it.
X = rng.normal(size=(1500, 3))
exact = diffusion_spectral_entropy(X, sigma=1.0)
estimate, error = diffusion_spectral_entropy(X, sigma=1.0, method="lanczos", return_error=True)
print(f"1500 points: {exact:.4f} bits; estimated {estimate:.4f} ± {error:.4f}")

figure, axes = plt.subplots(1, 3, figsize=(12.5, 3.6), layout="constrained")
axes[0].plot(np.log2(counts), bits, "o-")
axes[0].plot([0, 4], [0, 4], ":", color="0.5")
axes[0].set(xlabel="log2(number of clusters)", ylabel="bits", title="clusters")
axes[1].plot(dimensions, entropy, "o-")
axes[1].axhline(np.log2(400), linestyle=":", color="0.5")
axes[1].text(1, np.log2(400) - 0.45, "log2(points)", color="0.4")
axes[1].set(xlabel="dimension", title="Gaussians in 20 dimensions")
axes[2].plot(shifts, information, "o-")
axes[2].set(xlabel="distance of the two classes", title="mutual information with the labels")

plt.show()
