"""
A transport plan without the matrix
===================================

Two clouds of points, the entropic plan between them, and what can be asked of it without storing it.
"""

import matplotlib.pyplot as plt
import numpy as np

from lapwing import ot

rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, (2, 400))
X = np.column_stack([np.cos(angle[0]), np.sin(angle[0])]) + rng.normal(0, 0.08, (400, 2))
Y = np.column_stack([1 - np.cos(angle[1]), 0.4 - np.sin(angle[1])]) + rng.normal(0, 0.08, (400, 2))

# %%
# The regularisation is given in units of the median cost. The result says what was reached: the marginal
# error is measured, and the history has one entry for each pass over the pairs.

result = ot.solve_sample(X, Y, reg=0.01, reg_scale="median")
print(result)
print(f"{result.status}: marginal error {result.marginal_error:.1e} after {result.n_sweeps} sweeps")

# %%
# The plan acts on vectors in one pass over the pairs. Applied to the coordinates of the second cloud it
# gives the barycentric projection: for each point the mean of where its mass goes. New points are mapped by
# extending the potential to them.

image = result.barycentric_projection()
grid = np.column_stack([np.cos(np.linspace(0, np.pi, 40)), np.sin(np.linspace(0, np.pi, 40))])
mapped = result.entropic_map(grid)

# %%
# The strongest partner of every tenth point, the image of the noise-free half circle, and how the error
# fell while the regularisation was lowered in steps.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
partner = result.argmax()
for i in range(0, len(X), 10):
    left.plot(*np.stack([X[i], Y[partner[i]]]).T, color="0.8", linewidth=0.8, zorder=0)
left.scatter(*X.T, s=8, label="X")
left.scatter(*Y.T, s=8, label="Y")
left.plot(*grid.T, color="tab:blue")
left.plot(*mapped.T, color="tab:red", label="image of the half circle")
left.set_aspect("equal")
left.legend(loc="lower left")

regs = np.array([step.reg for step in result.history])
errors = [step.error for step in result.history]
for reg in np.unique(regs)[::-1]:
    where = np.flatnonzero(regs == reg)
    right.semilogy(where + 1, np.take(errors, where), "o-", markersize=4, label=f"ε = {reg:.2g}")
right.axhline(result.tol, color="0.5", linewidth=0.8)
right.set_xlabel("sweep")
right.set_ylabel("marginal error")
right.legend(loc="lower left")
plt.show()

# %%
# The plan as a sparse matrix (the five strongest partners of each row hold this part of the mass), and its
# leading singular values, which EOT eigenmaps are made of:

sparse = result.sparse_plan(k=5)
print(f"{sparse.nnz} of {X.shape[0] * Y.shape[0]} entries hold {sparse.sum():.0%} of the mass")
print("singular values", np.round(result.singular_triplets(4).s, 4))
