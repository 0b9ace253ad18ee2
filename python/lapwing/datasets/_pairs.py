"""Two datasets that share a latent structure, each with its own distortion, shift and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AlignmentPair", "load_digits_pair", "load_pbmc_pair", "make_cluster_pair", "make_torus_pair"]


@dataclass(frozen=True)
class AlignmentPair:
    """Two datasets in one feature space and what is known about them.

    Attributes
    ----------
    X, Y : ndarray of shape (m, p) and (n, p), float64
        The observed datasets, rows are samples.
    latent_x, latent_y : ndarray of shape (m, q) and (n, q), or None
        The noise-free points from which they were made, where there are any.
    labels_x, labels_y : ndarray of shape (m,) and (n,), or None
        The group of each row, where there are groups.
    name : str
        What the pair is, in a few words.
    """

    X: NDArray[np.float64]
    Y: NDArray[np.float64]
    latent_x: NDArray[np.float64] | None
    latent_y: NDArray[np.float64] | None
    labels_x: NDArray[Any] | None
    labels_y: NDArray[Any] | None
    name: str


def _generator(random_state: int | np.random.Generator | None) -> np.random.Generator:
    return np.random.default_rng(random_state)


def _positive(name: str, value: float) -> float:
    value = float(value)
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number > 0, got {value}")
    return value


def _at_least(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")
    return int(value)


def make_torus_pair(
    n_samples: int = 600,
    *,
    kind: str = "translation",
    shift: float = 1.0,
    stretch: float = 5.0,
    n_features: int = 1000,
    random_state: int | np.random.Generator | None = None,
) -> AlignmentPair:
    """Two noisy, oppositely stretched copies of a torus in high dimension.

    Both datasets sample the torus ``((2 + 0.8 cos u) cos v, (2 + 0.8 cos u) sin v, 0.8 sin u)`` (without
    replacement, from one pool of 5,000 points), are multiplied by ``A`` and by ``A^-1`` with
    ``A = diag(0.2, stretch, 0.2)``, scaled by ``theta = n_samples**0.8`` and placed in the first three of
    `n_features` coordinates; Gaussian noise of standard deviation ``0.002 theta`` is added to all of them.

    Parameters
    ----------
    n_samples : int, default=600
        Rows of each dataset, 3 to 5,000.
    kind : {"translation", "distortion"}, default="translation"
        "translation": the first dataset is shrunk by 0.2 and moved by ``theta * shift`` along the first
        axis. "distortion": the first dataset is moved likewise, and the second gets more noise in the first
        three coordinates of its first two thirds and a uniform nuisance in ``[theta/5, theta/4]`` in all
        others.
    shift : float, default=1.0
        Translation, in units of ``theta``.
    stretch : float, default=5.0
        Strength of the distortion, > 0.
    n_features : int, default=1000
        Columns, >= 3.
    random_state : int, numpy.random.Generator or None, default=None
        Seed; None draws fresh entropy.

    Returns
    -------
    AlignmentPair
        `latent_x` and `latent_y` are the points on the torus, of shape (n_samples, 3).

    Raises
    ------
    ValueError
        For a size, `kind`, `shift` or `stretch` outside the ranges above.

    References
    ----------
    Boris Landa, Yuval Kluger, Rong Ma, "Entropic Optimal Transport Eigenmaps for Nonlinear Alignment and
    Joint Embedding of High-Dimensional Datasets", 2024: the simulations with varying translation and
    distortion.

    Examples
    --------
    >>> from lapwing.datasets import make_torus_pair
    >>> pair = make_torus_pair(50, n_features=10, random_state=0)
    >>> pair.X.shape, pair.Y.shape, pair.latent_x.shape
    ((50, 10), (50, 10), (50, 3))
    """
    n = _at_least("n_samples", n_samples, 3)
    if n > 5000:
        raise ValueError(f"n_samples must be at most 5000 (the size of the pool), got {n}")
    p = _at_least("n_features", n_features, 3)
    if kind not in ("translation", "distortion"):
        raise ValueError(f"kind must be 'translation' or 'distortion', got {kind!r}")
    stretch = _positive("stretch", stretch)
    if not np.isfinite(shift):
        raise ValueError(f"shift must be finite, got {shift}")

    rng = _generator(random_state)
    u, v = rng.uniform(0.0, 2.0 * np.pi, (2, 5000))
    ring = 2.0 + 0.8 * np.cos(u)
    pool = np.column_stack([ring * np.cos(v), ring * np.sin(v), 0.8 * np.sin(u)])
    first = pool[rng.choice(5000, n, replace=False)]
    second = pool[rng.choice(5000, n, replace=False)]
    theta = n**0.8
    sd = 0.002 * theta
    axes = np.array([0.2, stretch, 0.2])

    X = rng.normal(0.0, sd, (n, p))
    Y = rng.normal(0.0, sd, (n, p))
    X[:, :3] += (0.2 if kind == "translation" else 1.0) * theta * first * axes
    X[:, 0] += theta * shift
    Y[:, :3] += theta * second / axes
    if kind == "distortion":
        third = n // 3
        Y[:third, 1:3] += rng.normal(0.0, 3.0 * sd, (third, 2))
        Y[third : 2 * third, :3] += rng.normal(0.0, 2.0 * sd, (third, 3))
        Y[:, 3:] += rng.uniform(theta / 5.0, theta / 4.0, (n, p - 3))
    name = f"torus, {kind}: shift {shift:g}, stretch {stretch:g}"
    return AlignmentPair(X, Y, first, second, None, None, name)


def make_cluster_pair(
    n_samples_per_cluster: int = 100,
    *,
    n_clusters: int = 6,
    strength: float = 2.0,
    n_features: int = 1000,
    random_state: int | np.random.Generator | None = None,
) -> AlignmentPair:
    """Two datasets with the same groups under different noise, shift and nuisance features.

    Group k is Gaussian with mean ``5 e_k`` and identity covariance in ``n_clusters`` dimensions. Both
    datasets are multiplied by `strength` (theta below) and placed in the first coordinates. The first adds
    noise of variance 1/2 to all coordinates and a shift of ``5 theta`` in the second and third; the second
    adds noise of variance 1, further noise (variances 9 and 4) to its first two thirds, and a uniform
    nuisance in ``[theta/2, theta]`` to all other coordinates.

    Parameters
    ----------
    n_samples_per_cluster : int, default=100
        Rows of each group in each dataset, >= 1.
    n_clusters : int, default=6
        Number of groups, >= 3.
    strength : float, default=2.0
        Signal strength theta, > 0.
    n_features : int, default=1000
        Columns, >= n_clusters.
    random_state : int, numpy.random.Generator or None, default=None
        Seed; None draws fresh entropy.

    Returns
    -------
    AlignmentPair
        With `latent_x`, `latent_y` (shape (m, n_clusters)) and integer `labels_x`, `labels_y`. Rows are
        ordered by group.

    Raises
    ------
    ValueError
        For a size or `strength` outside the ranges above.

    References
    ----------
    Boris Landa, Yuval Kluger, Rong Ma, "Entropic Optimal Transport Eigenmaps for Nonlinear Alignment and
    Joint Embedding of High-Dimensional Datasets", 2024: the simulation of joint clustering.

    Examples
    --------
    >>> from lapwing.datasets import make_cluster_pair
    >>> pair = make_cluster_pair(10, n_features=20, random_state=0)
    >>> pair.X.shape, pair.labels_x[[0, -1]].tolist()
    ((60, 20), [0, 5])
    """
    per = _at_least("n_samples_per_cluster", n_samples_per_cluster, 1)
    k = _at_least("n_clusters", n_clusters, 3)
    p = _at_least("n_features", n_features, k)
    theta = _positive("strength", strength)
    rng = _generator(random_state)
    labels = np.repeat(np.arange(k), per)
    n = len(labels)
    centres = 5.0 * np.eye(k)[labels]
    first = centres + rng.normal(0.0, 1.0, (n, k))
    second = centres + rng.normal(0.0, 1.0, (n, k))
    X = rng.normal(0.0, np.sqrt(0.5), (n, p))
    X[:, :k] += theta * first
    X[:, 1:3] += 5.0 * theta
    Y = rng.normal(0.0, 1.0, (n, p))
    Y[:, :k] += theta * second
    third = n // 3
    Y[:third, 1:k] += rng.normal(0.0, 3.0, (third, k - 1))
    Y[third : 2 * third, :k] += rng.normal(0.0, 2.0, (third, k))
    Y[:, k:] += rng.uniform(theta / 2.0, theta, (n, p - k))
    return AlignmentPair(X, Y, first, second, labels, labels.copy(), f"{k} clusters, strength {theta:g}")


def load_digits_pair(random_state: int | np.random.Generator | None = 0) -> AlignmentPair:
    """The handwritten digits of scikit-learn in two halves, seen by two different instruments.

    The 1,797 images of 8 x 8 pixels (divided by 16) are split at random. The first half is multiplied pixel
    by pixel with ``s = exp(N(0, 0.5^2))``; the second is divided by it and moved by 0.8. Both get 300 noise
    features of standard deviation 0.15, the second with an offset of its own, uniform in [0, 0.5], in each
    of them.

    Parameters
    ----------
    random_state : int, numpy.random.Generator or None, default=0
        Seed of the split, the distortion and the noise.

    Returns
    -------
    AlignmentPair
        `X` of shape (898, 364), `Y` of shape (899, 364); labels are the digits 0 to 9.

    References
    ----------
    E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", 1998 (bundled with scikit-learn).

    Examples
    --------
    >>> from lapwing.datasets import load_digits_pair
    >>> pair = load_digits_pair(0)
    >>> pair.X.shape, pair.Y.shape
    ((898, 364), (899, 364))
    """
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    images = images / 16.0
    rng = _generator(random_state)
    order = rng.permutation(len(images))
    i, j = order[:898], order[898:]
    scale = np.exp(rng.normal(0.0, 0.5, images.shape[1]))
    # The order of the draws fixes the data for a seed: noise of X, noise of Y, offsets of Y.
    X = np.hstack([images[i] * scale, rng.normal(0.0, 0.15, (len(i), 300))])
    noise = rng.normal(0.0, 0.15, (len(j), 300))
    Y = np.hstack([images[j] / scale + 0.8, noise + rng.uniform(0.0, 0.5, 300)])
    return AlignmentPair(X, Y, images[i], images[j], digits[i], digits[j], "handwritten digits in two halves")


def load_pbmc_pair(random_state: int | np.random.Generator | None = 0) -> AlignmentPair:
    """Blood cells measured by single-cell RNA sequencing, in two halves, the second with its own gene scales.

    The set `pbmc68k_reduced` that scanpy bundles (700 cells x 765 genes, log-normalised and scaled) is
    split at random; in the second half every gene is multiplied by its own ``exp(N(0, 0.5^2))`` and shifted
    by its own uniform(0, 1) standard deviations (of that gene in that half after scaling).

    Parameters
    ----------
    random_state : int, numpy.random.Generator or None, default=0
        Seed of the split and the distortion.

    Returns
    -------
    AlignmentPair
        `X` and `Y` of shape (350, 765); labels are the cell types `bulk_labels` (strings).

    Raises
    ------
    ImportError
        When scanpy is not installed.

    References
    ----------
    G. X. Y. Zheng et al., "Massively parallel digital transcriptional profiling of single cells", 2017 (the
    cells; a reduced set of them is bundled with scanpy).
    """
    try:
        import scanpy
    except ModuleNotFoundError as error:
        raise ImportError("load_pbmc_pair needs scanpy: pip install scanpy", name="scanpy") from error
    cells = scanpy.datasets.pbmc68k_reduced()
    values = np.asarray(cells.X.toarray() if hasattr(cells.X, "toarray") else cells.X, dtype=np.float64)
    labels = np.asarray(cells.obs["bulk_labels"], dtype=str)
    rng = _generator(random_state)
    order = rng.permutation(len(values))
    half = len(values) // 2
    i, j = order[:half], order[half:]
    X = values[i]
    Y = values[j] * np.exp(rng.normal(0.0, 0.5, values.shape[1]))
    Y += rng.uniform(0.0, 1.0, values.shape[1]) * Y.std(axis=0)
    return AlignmentPair(
        X, Y, X, values[j], labels[i], labels[j], "blood cells (pbmc68k_reduced) in two halves"
    )
