"""
Small regularisations
=====================

Error against sweeps: the plain iteration, its acceleration, and Newton's method on the pairs that carry
mass.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

from lapwing import ot
from lapwing.exceptions import ConvergenceWarning

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(800, 2)), rng.normal(size=(800, 2)) + 0.7

# %%
# `history` has one entry for each pass over the pairs, and one for each round of Newton's method in between.
# A run that stops at `max_iter` warns, and returns what it has.

RUNS = {
    "plain": {"method": "sinkhorn", "acceleration": None, "max_iter": 1000},
    "anderson": {"method": "sinkhorn", "max_iter": 1000},
    "auto": {},
}
found = {}
for ratio in (0.05, 0.005, 0.0005):
    for name, options in RUNS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            result = ot.solve_sample(X, Y, reg=ratio, reg_scale="median", tol=1e-10, **options)
        found[ratio, name] = result
        print(f"{ratio:g} median, {name}: {result.n_sweeps} sweeps, {result.n_newton} Newton steps, "
              f"marginal error {result.marginal_error:.0e}")  # fmt: skip
print(found[0.0005, "auto"].reason)

# %%
# Each jump upwards is a step of the ε-scaling, after which the error is that of a harder problem. Newton's
# method needs few sweeps, because what they find is solved to the end on the pairs that matter: the dots are
# its rounds, drawn at the error that they saw on these pairs.

figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), sharey=True, layout="constrained")
for ax, ratio in zip(axes, (0.05, 0.005, 0.0005), strict=True):
    for name, colour in (("plain", "0.6"), ("anderson", "tab:orange"), ("auto", "tab:blue")):
        sweeps, errors, rounds = 0, [], []
        for step in found[ratio, name].history:
            if step.kind == "newton":
                rounds.append((sweeps + 0.5, step.error))
            else:
                sweeps += 1
                errors.append(step.error)
        ax.loglog(np.arange(1, sweeps + 1), errors, color=colour, label=name)
        if rounds:
            ax.loglog(*np.array(rounds).T, ".", color=colour)
    ax.set(title=f"ε = {ratio:g} × median", xlabel="sweep", ylim=(1e-12, 4))
axes[0].set_ylabel("marginal error")
axes[0].legend()
plt.show()
