"""
A mesh in eight parts
=====================

Balanced parts with few edges between them, as a finite-element code wants them: a mesh around a hole, cut
along its Fiedler vector, and by the multilevel scheme.
"""

# %%
# A mesh
# ------
# Points crowd around the hole; the triangles that would cover it are left out.
import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp
from scipy.spatial import Delaunay

from lapwing import graph
from lapwing.plots import draw_graph

rng = np.random.default_rng(0)
radius = 0.15 + 0.85 * rng.random(6000) ** 1.7
angle = 2 * np.pi * rng.random(6000)
points = np.column_stack([1.4 * radius * np.cos(angle), radius * np.sin(angle)])
triangles = Delaunay(points).simplices
middle = points[triangles].mean(axis=1) / [1.4, 1.0]
triangles = triangles[np.linalg.norm(middle, axis=1) > 0.15]
sides = np.vstack([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
edges = np.unique(np.sort(sides, axis=1), axis=0)
W = sp.csr_array((np.ones(len(edges)), edges.T), shape=(6000, 6000))
W = W + W.T
print(f"{W.shape[0]} nodes, {W.nnz // 2} edges")

# %%
# The Fiedler vector
# ------------------
# It varies slowly along the mesh. Cutting it in the middle gives two halves; moves and minimum cuts make them
# better.
value, vector, info = graph.fiedler_vector(W, normalization="rw")
print(f"eigenvalue {value:.3g}, residual {info.residual:.1e}, estimated error {info.vector_error:.1e}")
median = graph.bisect(W, objective="cut", rounding="median", refine=None)
swept, certificate = graph.bisect(W, objective="cut", refine="flow", return_info=True)
print(f"cut at the median {graph.cut_metrics(W, median).cut:g}, refined {certificate.cut:g}")
print(f"no halves like these have a cut below {certificate.lower_bound:.1f}")

# %%
# Eight parts
# -----------
labels, eight = graph.partition(W, 8)
print(f"cut {eight.cut:g}, imbalance {eight.imbalance:.3f}, weights {eight.metrics.part_weights}")

figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
shown = axes[0].scatter(*points.T, c=vector, s=2, cmap="coolwarm")
axes[0].set(title="Fiedler vector", aspect="equal", xticks=[], yticks=[])
draw_graph(axes[1], W, points, swept, title=f"2 parts, cut {certificate.cut:g}")
draw_graph(axes[2], W, points, labels, title=f"8 parts, cut {eight.cut:g}")

plt.show()
