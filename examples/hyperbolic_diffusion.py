"""
The hierarchy behind a graph
============================

Hyperbolic diffusion distances add up, over scales, how differently two nodes diffuse. In a tree they are
almost the distances in the tree, which no embedding in a few Euclidean coordinates can give.
"""

# %%
# A complete binary tree
# ----------------------
# 127 nodes, seven levels. Only the edges are given.
import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse.csgraph import shortest_path
from scipy.stats import rankdata, spearmanr

from lapwing import DiffusionMaps, HyperbolicDiffusion

n = 127
W = np.zeros((n, n))
parent = (np.arange(1, n) - 1) // 2
W[np.arange(1, n), parent] = W[parent, np.arange(1, n)] = 1.0
level = np.floor(np.log2(np.arange(n) + 1)).astype(int)
in_tree = shortest_path(W, unweighted=True)

# %%
# Two distances
# -------------
hyperbolic = HyperbolicDiffusion(n_scales=4, affinity="precomputed").fit(W).distances()
Y = DiffusionMaps(10, affinity="precomputed").fit_transform(W)
euclidean = np.linalg.norm(Y[:, None] - Y, axis=2)

pairs = np.triu_indices(n, 1)
figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
found = (("hyperbolic diffusion", hyperbolic), ("diffusion map, 10 coordinates", euclidean))
for ax, (name, D) in zip(axes, found, strict=False):
    rank = spearmanr(D[pairs], in_tree[pairs])[0]
    print(f"{name}: rank correlation with the tree {rank:.3f}")
    groups = [D[pairs][in_tree[pairs] == d] for d in range(1, int(in_tree.max()) + 1)]
    ax.boxplot(groups, whis=(0, 100), medianprops={"color": "C1"})
    ax.set(title=f"{name}\nrank correlation {rank:.3f}", xlabel="edges between two nodes", ylabel="distance")
    ax.set_xticks(range(1, 13, 2), range(1, 13, 2))

# %%
# Siblings are nearer than cousins, cousins nearer than second cousins: the order of the distances between the
# leaves shows the whole hierarchy.
order = np.argsort([int(np.binary_repr(i + 1)[1:].ljust(6, "0") + "1", 2) for i in range(n)], kind="stable")
leaves = [i for i in order if level[i] == 6]
ranks = rankdata(hyperbolic[np.ix_(leaves, leaves)].round(6), method="dense").reshape(64, 64)
shown = axes[2].imshow(ranks, cmap="viridis")
axes[2].set(title="between the 64 leaves: order of the distances", xticks=[], yticks=[])
figure.colorbar(shown, ax=axes[2], shrink=0.8)

plt.show()
