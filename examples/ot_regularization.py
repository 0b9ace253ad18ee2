"""
What the regularisation does
============================

One problem at three regularisations: the plan between two histograms, how far its cost is from that of
exact transport, and what that takes.
"""

import matplotlib.pyplot as plt
import numpy as np

from lapwing import ot

t = np.linspace(0, 1, 200)


def bumps(*parts):
    """A histogram: bumps of (place, width, mass) on a low floor."""
    h = sum(mass * np.exp(-((t - place) ** 2) / (2 * width**2)) / width for place, width, mass in parts)
    return (h + 0.02) / (h + 0.02).sum()


a, b = bumps((0.2, 0.05, 0.6), (0.55, 0.1, 0.4)), bumps((0.4, 0.06, 0.3), (0.8, 0.05, 0.7))
C = (t[:, None] - t[None, :]) ** 2

# %%
# Nothing but `reg` changes. At a small one the plan is a curve: almost nobody shares a target. The cost of
# the exact plan is known on a line: it matches the quantiles of the two.

regs = (0.1, 0.005, 0.0001)
results = [ot.solve(C, a, b, reg=reg, tol=1e-9) for reg in regs]
for reg, result in zip(regs, results, strict=True):
    print(
        f"reg {reg:g}: {result.n_sweeps} sweeps, marginal error {result.marginal_error:.0e}; {result.reason}"
    )

cuts = np.unique(np.concatenate([np.cumsum(a), np.cumsum(b)]).clip(0, 1))
middles, masses = (cuts[1:] + cuts[:-1]) / 2, np.diff(cuts)
i = np.searchsorted(np.cumsum(a), middles).clip(max=199)
j = np.searchsorted(np.cumsum(b), middles).clip(max=199)
exact = masses @ C[i, j]

# %%
# The cost of the plan is above the exact one by at most ε times the entropy of the weights. The value that
# was minimised, with its entropy, is farther away: the Sinkhorn divergence takes out what the regularisation
# adds.

levels = np.logspace(-4.3, 0, 14)
above, total = [], []
for reg in levels:
    result = ot.solve(C, a, b, reg=reg)
    above.append(result.value_linear - exact)
    total.append(result.value - exact)
entropy = -(a @ np.log(a))

figure, axes = plt.subplots(1, 4, figsize=(14, 3.6), layout="constrained")
for ax, reg, result in zip(axes, regs, results, strict=False):
    plan = np.asarray(result.plan)
    ax.imshow((plan / plan.max()) ** 0.5, cmap="magma_r", origin="lower", extent=(0, 1, 0, 1))
    ax.plot(t, 0.25 * b / b.max(), color="tab:blue", linewidth=1)
    ax.plot(0.25 * a / a.max(), t, color="tab:red", linewidth=1)
    ax.set(title=f"ε = {reg:g}, {result.n_sweeps} sweeps", xticks=[], yticks=[])
axes[0].set(xlabel="b", ylabel="a")
axes[3].loglog(levels, np.maximum(above, 1e-9), "o-", markersize=4, label="⟨C, P⟩ - exact")
axes[3].loglog(levels, np.maximum(total, 1e-9), "s-", markersize=4, label="value - exact")
axes[3].loglog(levels, levels * entropy, color="0.5", linewidth=0.8, label="ε × entropy of a")
axes[3].set_xlabel("ε")
axes[3].legend()
plt.show()
