"""
Pairs for training
==================

Flow and diffusion models are trained on pairs of noise and data. Paired at random their straight paths cross;
paired by transport they hardly do. The Monge gap measures how far a map is from an optimal one.
"""

import matplotlib.pyplot as plt
import numpy as np

from lapwing import ot

rng = np.random.default_rng(1)
n = 128
noise = rng.normal(size=(n, 2))
turn = rng.uniform(0, 2 * np.pi, n)
data = 2.5 * np.column_stack([np.cos(turn), np.sin(turn)]) + 0.1 * rng.normal(size=(n, 2))

# %%
# ``assign`` is exact, for batches; ``sample`` draws pairs from an entropic plan, as soft as ε says and for
# any number of points.

plan = ot.solve_sample(noise, data, reg=0.02, reg_scale="median")
rows, columns = plan.sample(n, random_state=0)
pairings = {
    "at random": (np.arange(n), rng.permutation(n)),
    "drawn from the plan": (rows, columns),
    "assigned": (np.arange(n), ot.assign(noise, data).index),
}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for ax, (name, (i, j)) in zip(axes, pairings.items(), strict=True):
    gap = ot.monge_gap(noise[i], data[j], reg=0.002).value
    ax.plot(*np.stack([noise[i], data[j]]).transpose(2, 0, 1), color="tab:blue", linewidth=0.5)
    ax.scatter(*data.T, s=6, color="tab:orange", zorder=3)
    ax.scatter(*noise.T, s=6, color="0.2", zorder=3)
    ax.set(aspect="equal", xticks=[], yticks=[], title=f"{name}: Monge gap {gap:.2f}")
plt.show()
