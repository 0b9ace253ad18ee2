"""
The scales of a photograph
==========================

A photograph in the three ways of `lapwing.multiscale` that keep everything: integers lifted without loss, a
Laplacian pyramid, and the stationary transform, here to take noise away.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from lapwing import multiscale as ms

image = load_sample_image("china.jpg")[:424, :632].mean(axis=2).astype(np.uint8)

# %%
# Integers: every band is small where the picture is smooth, and the bytes come back.
coeffs = ms.lwt(image, "legall53", level=3, shift=128)
assert (ms.ilwt(coeffs, "legall53", shift=128, dtype=np.uint8) == image).all()
packed = np.zeros(image.shape)
h, w = coeffs[0].shape
packed[:h, :w] = coeffs[0] / 128.0
for bands in coeffs[1:]:
    (r, c), (below, right) = bands["da"].shape, bands["dd"].shape
    h, w = bands["ad"].shape[0], bands["da"].shape[1]
    for key, (top, left) in {"da": (h, 0), "ad": (0, w), "dd": (h, w)}.items():
        band = bands[key]
        packed[top : top + band.shape[0], left : left + band.shape[1]] = band / 32.0


# %%
# A Laplacian pyramid: what each scale has beyond the coarser one.
details = ms.laplacian_pyramid(image, 3)
assert (ms.laplacian_reconstruct(details) == image).all()
tower = np.full((image.shape[0], image.shape[1] + image.shape[1] // 2 + 8), np.nan)
tower[:, : image.shape[1]] = details[0] / 40.0
top = 0
for detail in (*details[1:3], details[3] / 4.0 - 32.0):
    tower[top : top + detail.shape[0], -detail.shape[1] :] = detail / 40.0
    top += detail.shape[0] + 4

# %%
# The stationary transform does not depend on where its grid lies: without blocks when small details are cut.
rng = np.random.default_rng(0)
noisy = image + rng.normal(scale=20, size=image.shape)
levels = ms.swt2(noisy, "sym4", 3, trim_approx=True, norm=True)
for number, bands in enumerate(levels[1:]):
    bound = 3 * 20 / 2 ** (3 - number)  # three times what the noise is there
    levels[number + 1] = tuple(np.where(abs(band) > bound, band, 0) for band in bands)
clean = ms.iswt2(levels, "sym4", norm=True)


def loss(x):
    return 10 * np.log10(255**2 / ((x - image) ** 2).mean())


fig, axes = plt.subplots(2, 2, figsize=(10.5, 7.4), constrained_layout=True)
for ax, picture, limits, title in (
    (axes[0, 0], packed, (-1, 1), "integers: 5/3, three levels, reversible"),
    (axes[0, 1], tower, (-1, 1), "Laplacian pyramid, exact"),
    (axes[1, 0], noisy, (0, 255), f"with noise, {loss(noisy):.1f} dB"),
    (axes[1, 1], clean, (0, 255), f"stationary transform, small details cut, {loss(clean):.1f} dB"),
):
    ax.imshow(picture, cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="nearest")
    ax.set_title(title, fontsize=10)
    ax.axis("off")
plt.show()
