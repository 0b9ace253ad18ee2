"""
Likelihoods, codes and samples of images
========================================

A photograph in its scales, and a small cascade of diffusion models of handwritten digits: how many bits a
pixel takes, a lossless code of that length, new digits, and digits from their coarse versions.
"""

# %%
# A photograph in three scales
# ----------------------------
# The map from the image to its scales is orthogonal: it preserves volume, so that a density of the scales is
# a density of the image.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_sample_image

from lapwing import PCDM
from lapwing.generative.pcdm import plot_bits, plot_images, plot_scales

photograph = np.moveaxis(load_sample_image("flower.jpg"), -1, 0)[:, :424, :640]
plot_scales(photograph, 3)

# %%
# A model of digits
# -----------------
# 8 x 8 pixels with 17 grey values. The bound on the bits is strict: no code for digits can be shorter on
# average than the entropy, and the bound is never below it.
X = load_digits().images.astype(np.uint8)
train, test = X[:1500], X[1500:]
model = PCDM(vocab_size=17, n_scales=2, width=32, depth=1, n_steps=400, learning_rate=4e-3, random_state=0)
model.fit(train)
bits, error = model.bits_per_dim(test, return_std=True)
print(f"{bits:.3f} +- {error:.3f} bits per pixel; equal grey values would take {np.log2(17):.3f}")

figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
plot_bits(model, test, ax=axes[0])
plot_images(test[:40], vocab_size=17, title="test digits", ax=axes[1])
plot_images(model.sample(40, timesteps=100), vocab_size=17, title="drawn by the model", ax=axes[2])

# %%
# A lossless code
# ---------------
# It is as long as the bound, but for a header and the bits that the first image starts with: some hundred
# bytes, which a file of so few small images feels.
data = model.compress(test, timesteps=50)
print(
    f"bound in 50 steps: {model.bits_per_dim(test, timesteps=50):.3f}; file: {8 * len(data) / test.size:.3f}"
)
print("lossless:", np.array_equal(model.decompress(data), test))

# %%
# Details for coarse images, and images that are no digits
# --------------------------------------------------------
coarse = test[:8].reshape(8, 4, 2, 4, 2).mean((2, 4))
fine = model.super_resolve(coarse, timesteps=100)
shown = np.concatenate([test[:8], np.kron(coarse, np.ones((2, 2))), fine])
plot_images(shown, vocab_size=17, title="digits, their means of 2 x 2 pixels, details drawn for these")
noise = np.random.default_rng(0).integers(0, 17, test[:100].shape)
for name, images in (("digits", test), ("noise", noise), ("upside down", test[:, ::-1])):
    score = np.median(model.ood_score(images, "scale_typicality", n_t=16))
    print(f"{name}: median distance from the training digits {score:.1f}")

plt.show()
