"""
A tree of sequences, top down
=============================

STDR cuts the leaves of a tree in two by the Fiedler vector of their similarities, solves the parts, and
merges the subtrees. On long unbalanced trees that repairs what neighbour joining loses.
"""

# %%
# A caterpillar
# -------------
# The least balanced tree there is: 256 leaves, 800 sites. Neighbour joining fails on it; in parts of 32
# leaves, it does not.
import matplotlib.pyplot as plt

from lapwing.trees import (
    STDR,
    birth_death,
    caterpillar,
    distance_matrix,
    nj,
    robinson_foulds,
    simulate_sequences,
)
from lapwing.trees.stdr import plot_fiedler, plot_partition

truth = caterpillar(256)
X = simulate_sequences(truth, 800, model="hky85", rate=0.05, random_state=0)
model = STDR(tau=32).fit(X, names=truth.names)
alone = nj(distance_matrix(model.similarity_), truth.names)
for name, tree in (("neighbour joining", alone), ("STDR", model.tree_)):
    print(f"{name}: {robinson_foulds(tree, truth, normalized=True):.3f} of the splits are wrong")

# %%
# The first cut
# -------------
# The sorted Fiedler vector: its signs are the two sides of an edge of the tree.
plot_fiedler(model)
plt.show()

# %%
# The parts
# ---------
# A smaller tree, with lengths, a root in the middle, and each part in a colour.
truth = birth_death(60, random_state=1)
X = simulate_sequences(truth, 2000, rate=0.1, random_state=2)
small = STDR(tau=16, root="midpoint").fit(X, names=truth.names)
figure, ax = plt.subplots(figsize=(6, 8), layout="constrained")
plot_partition(small, ax)
plt.show()
