"""
The bias of the regularisation
==============================

Transport cost and Sinkhorn divergence as functions of the regularisation, and what minimising them gives.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from lapwing import ot

rng = np.random.default_rng(0)
X = rng.normal(size=(400, 2)) @ [[1.0, 0.3], [0.0, 0.6]]
Y = rng.normal(size=(400, 2)) @ [[0.7, -0.4], [0.0, 1.0]] + [1.5, 0.5]

C = cdist(X, Y, "sqeuclidean")
exact = C[linear_sum_assignment(C)].mean()
scale = np.median(C)
regs = scale * np.logspace(-3, 2, 16)

# %%
# The regularised value lies above the exact cost and tends to the mean cost of all pairs. The divergence
# takes out what each side costs with itself: it goes from the exact cost to the squared distance of the
# means, and is 0 exactly for equal sides.

value, linear, debiased, own = [], [], [], []
for reg in regs:
    found = ot.sinkhorn_divergence(X, Y, reg=reg)
    value.append(found.cross.value)
    linear.append(found.cross.value_linear)
    debiased.append(found.value)
    own.append(found.self_x.value)
means = ((X.mean(axis=0) - Y.mean(axis=0)) ** 2).sum()
print(f"exact {exact:.4f}, squared distance of the means {means:.4f}")
print(f"divergence of a cloud from itself {ot.sinkhorn_divergence(X, X, reg=scale).value:.1e}")

# %%
# Why that matters when something is fitted: a cloud is scaled so that it looks most like another sample of
# the same kind. With the transport cost the best cloud is too small; with the divergence it has the right
# size.

Z = rng.normal(size=(400, 2)) @ [[1.0, 0.3], [0.0, 0.6]]
factors = np.linspace(0.4, 1.4, 21)
reg = 0.1 * scale
curves = {
    "transport cost": [ot.solve_sample(s * X, Z, reg=reg).value for s in factors],
    "divergence": [ot.sinkhorn_divergence(s * X, Z, reg=reg).value for s in factors],
}

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
left.semilogx(regs / scale, value, label="value")
left.semilogx(regs / scale, linear, label="⟨C, P⟩")
left.semilogx(regs / scale, own, label="value, X with itself")
left.semilogx(regs / scale, debiased, linewidth=2, label="divergence")
left.axhline(exact, color="0.5", linewidth=0.8, linestyle="--")
left.axhline(means, color="0.5", linewidth=0.8, linestyle=":")
left.text(regs[0] / scale, exact, " exact", va="bottom", color="0.4")
left.text(regs[0] / scale, means, " of the means", va="bottom", color="0.4")
left.set_xlabel("ε / median cost")
left.legend()
for (name, curve), colour in zip(curves.items(), ("tab:blue", "tab:red"), strict=True):
    best = int(np.argmin(curve))
    right.plot(factors, np.array(curve) - min(curve), color=colour, label=name)
    right.plot(factors[best], 0, "o", color=colour)
    print(f"{name}: the best factor is {factors[best]:.2f}")
right.axvline(1, color="0.5", linewidth=0.8, linestyle="--")
right.set(xlabel="factor of the cloud", ylabel="above the minimum", ylim=(-0.05, 1.2))
right.legend()
plt.show()
