"""
Eigenmaps and diffusion maps
============================

A circle that is sampled unevenly, and a rolled-up sheet: what Laplacian eigenmaps and diffusion maps make of
them, and where they put points that they have not seen.
"""

# %%
# A circle with uneven density
# ----------------------------
# Nineteen times as many points on the right as on the left. With ``alpha=1`` the density is taken out of the
# diffusion: the eigenfunctions are cosine and sine of the angle, and the eigenvalues of the generator are
# those of the circle: 1, 1, 4, 4. With ``alpha=0`` the density bends them.
import matplotlib.pyplot as plt
import numpy as np

from lapwing import DiffusionMaps, SpectralEmbedding

u = (np.arange(1000) + 0.5) / 1000
angle = 2 * np.pi * u
for _ in range(500):  # quantiles of the density 1 + 0.9 cos
    angle -= (angle + 0.9 * np.sin(angle) - 2 * np.pi * u) / 1.9
circle = np.column_stack([np.cos(angle), np.sin(angle)])

figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
axes[0].scatter(*circle.T, c=angle, cmap="twilight", s=6)
axes[0].set(title="1000 points, few on the left", aspect="equal")
for ax, alpha in zip(axes[1:], (1, 0), strict=True):
    model = DiffusionMaps(4, alpha=alpha, diffusion_time=0, epsilon=0.05, n_neighbors="all")
    psi = model.fit_transform(circle)
    print(f"alpha = {alpha}: generator eigenvalues {model.eigenvalues_generator_.round(2)}")
    ax.plot(angle, psi[:, :2], linewidth=2)
    ax.set(title=f"first two eigenfunctions, alpha = {alpha}", xlabel="angle")

# %%
# A rolled-up sheet
# -----------------
# Neighbours in space are neighbours on the sheet: the graph of nearest neighbours unrolls it. The first
# coordinate of the eigenmaps runs along the roll; the second one is the next mode in the same direction, as
# the sheet is long and narrow.
rng = np.random.default_rng(0)


def roll(n):
    t = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))
    return t, np.column_stack([t * np.cos(t), 8 * rng.uniform(size=n), t * np.sin(t)])


t, X = roll(1500)
eigenmaps = SpectralEmbedding(2, n_neighbors=12, random_state=0).fit(X)
print(f"eigenvalues {eigenmaps.eigenvalues_}, largest residual {eigenmaps.residuals_.max():.0e}")
along = abs(np.corrcoef(eigenmaps.embedding_[:, 0], t)[0, 1])
print(f"correlation of the first coordinate with the position along the roll: {along:.3f}")

# %%
# New points
# ----------
# ``transform`` places new points by their weights to those of the fit (Nyström's formula).
t_new, X_new = roll(60)
Y_new = eigenmaps.transform(X_new)
figure = plt.figure(figsize=(9, 4), layout="constrained")
ax = figure.add_subplot(1, 2, 1, projection="3d", elev=12, azim=-75)
ax.scatter(*X.T, c=t, s=5)
ax.set(title="points in space", xticks=[], yticks=[], zticks=[])
ax = figure.add_subplot(1, 2, 2)
ax.scatter(*eigenmaps.embedding_.T, c=t, s=5)
ax.scatter(*Y_new.T, c=t_new, s=50, edgecolors="black", vmin=t.min(), vmax=t.max(), label="new points")
ax.set(title="Laplacian eigenmaps", xlabel="first coordinate", ylabel="second coordinate")
ax.legend()

plt.show()
