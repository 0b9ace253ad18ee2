"""
Kernels of a graph from random walks
====================================

Sparse features whose products estimate a kernel between the nodes without bias: the error falls with the
square root of the number of walks.
"""

# %%
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from scipy.linalg import expm

from lapwing.graph import graph_random_features

W = nx.to_numpy_array(nx.karate_club_graph(), weight=None)
root = np.sqrt(W.sum(axis=1))
U = 0.5 * W / np.outer(root, root)
kernels = {"exp": expm(U), "inverse_square": np.linalg.matrix_power(np.linalg.inv(np.eye(len(U)) - U), 2)}

walks = np.array([4, 16, 64, 256])
figure, axes = plt.subplots(1, 3, figsize=(12.5, 4), layout="constrained")
for kernel, exact in kernels.items():
    errors = []
    for count in walks:
        estimates = [
            first @ second.T
            for first, second in (
                graph_random_features(W, kernel, n_walks=int(count), random_state=seed) for seed in range(20)
            )
        ]
        errors.append(
            np.mean([np.linalg.norm(K.toarray() - exact) for K in estimates]) / np.linalg.norm(exact)
        )
    print(kernel, " ".join(f"{m} walks: {e:.3f}" for m, e in zip(walks, errors, strict=True)))
    axes[0].loglog(walks, errors, "o-", label=kernel)
axes[0].loglog(walks, errors[0] * np.sqrt(walks[0] / walks), "k:", label="walks$^{-1/2}$")
axes[0].set(title="relative error of the kernel", xlabel="walks from each node")
axes[0].legend()
first, second = graph_random_features(W, "exp", n_walks=64, random_state=0)
for ax, K, title in (
    (axes[1], kernels["exp"], "exp(U), karate club"),
    (axes[2], (first @ second.T).toarray(), "from 64 walks a node"),
):
    image = ax.imshow(K, cmap="viridis", vmin=0, vmax=0.3)
    ax.set(title=title, xticks=[], yticks=[])
figure.colorbar(image, ax=axes[1:], shrink=0.8)

plt.show()
