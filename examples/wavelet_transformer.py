"""
Digits from few coefficients
============================

`lapwing.WaveletTransformer` in a pipeline of scikit-learn: the coefficients of a coarse scale tell digits
apart, and `inverse_transform` shows what they keep.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from lapwing import WaveletTransformer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
counts = [4, 8, 12, 16, 24, 32, 48, 64]
scores = {"coefficients": [], "pixels": []}
for k in counts:
    classifier = LogisticRegression(max_iter=5000, C=0.05)
    wavelets = make_pipeline(WaveletTransformer("haar", level=2, shape=(8, 8)), SelectKBest(k=k), classifier)
    pixels = make_pipeline(SelectKBest(k=k), LogisticRegression(max_iter=5000, C=0.05))
    with np.errstate(invalid="ignore", divide="ignore"):  # pixels that are always white
        scores["coefficients"].append(wavelets.fit(X_train, y_train).score(X_test, y_test))
        scores["pixels"].append(pixels.fit(X_train, y_train).score(X_test, y_test))

model = WaveletTransformer("haar", level=2, shape=(8, 8)).fit(X)
names = model.get_feature_names_out()
coefficients = model.transform(X[:8])

fig = plt.figure(figsize=(10, 3.6), constrained_layout=True)
left, right = fig.subfigures(1, 2, width_ratios=[1.35, 1])
axes = left.subplots(3, 8)
kept = {"all 64": "", "16 of level 2": "2_", "4 of the mean": "aa2"}
for row, (title, part) in enumerate(kept.items()):
    some = coefficients * np.array([part in name for name in names])
    for ax, digit in zip(axes[row], model.inverse_transform(some), strict=True):
        ax.imshow(digit.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set_xticks([])
        ax.set_yticks([])
    axes[row, 0].set_ylabel(title, fontsize=8)
ax = right.subplots()
for label, values in scores.items():
    ax.plot(counts, values, "o-", ms=3, label=f"{label}, the best by F")
ax.set_xlabel("features")
ax.set_ylabel("accuracy on the test set")
ax.legend(fontsize=8)
ax.grid(alpha=0.3)
plt.show()
