"""
Align two datasets by EOT eigenmaps
===================================

The handwritten digits of scikit-learn are split in two halves, and each half is seen by an instrument of
its own: other gains for the pixels, an offset, noise in 300 further channels. EOT eigenmaps finds common
coordinates for both halves without being told which digit is which, and places samples that it has not
seen.
"""

# %%
# Two datasets
# ------------
# Rows are samples, columns the features; both have the same 364 columns. No sample of one belongs to a
# sample of the other. A tenth of either half is kept aside.
import matplotlib.pyplot as plt
import numpy as np

from lapwing import EOTEigenmaps
from lapwing.datasets import load_digits_pair
from lapwing.embedding.eot_eigenmaps import plot_convergence, plot_joint_embedding, plot_singular_values
from lapwing.metrics import label_transfer_accuracy, mixing_score

pair = load_digits_pair(0)
fit_x, fit_y = slice(None, 800), slice(None, 800)
new_x, new_y = slice(800, None), slice(800, None)

# %%
# The joint embedding
# -------------------
# The bandwidth of the transport plan is found from the data. The certificate says how far the plan is from
# its marginals and the singular vectors from being ones.
model = EOTEigenmaps(n_components=15, random_state=0)
phi, psi = model.fit_transform(pair.X[fit_x], pair.Y[fit_y])
print(
    f"bandwidth {model.bandwidth_:.3g}, {model.n_sweeps_} sweeps, marginal error {model.marginal_error_:.1e}"
)
print(
    f"largest residual of a singular vector {model.svd_residuals_.max():.1e}, converged: {model.converged_}"
)

# %%
# The two halves lie on top of each other, and the digits apart.
labels_x, labels_y = pair.labels_x[fit_x], pair.labels_y[fit_y]
accuracy = label_transfer_accuracy(phi, labels_x, psi, labels_y)
mixing = mixing_score(np.vstack([phi, psi]), np.repeat([0, 1], [len(phi), len(psi)]))
print(f"labels carried from one half to the other: {accuracy:.1%} right; mixing {mixing:.2f} (1 is perfect)")
figure = plot_joint_embedding(model, labels_x=labels_x, labels_y=labels_y)

# %%
# How many coordinates?
# ---------------------
# The singular values of the plan tell how much the datasets share in each direction.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
plot_singular_values(model, ax=left)
plot_convergence(model, ax=right)

# %%
# Samples that were not there
# ---------------------------
# `transform` places new samples of either kind by their transport to the fitted samples of the other.
new_phi, new_psi = model.transform(pair.X[new_x], pair.Y[new_y])
for name, Z, labels in (("first", new_phi, pair.labels_x[new_x]), ("second", new_psi, pair.labels_y[new_y])):
    accuracy = label_transfer_accuracy(np.vstack([phi, psi]), np.concatenate([labels_x, labels_y]), Z, labels)
    print(f"new samples of the {name} half: {accuracy:.1%} get the right label from their neighbours")

plt.show()
