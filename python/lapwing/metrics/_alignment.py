"""How well an embedding keeps neighbourhoods, separates groups and mixes datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "davies_bouldin_rms",
    "foscttm",
    "jaccard_concordance",
    "label_transfer_accuracy",
    "mixing_score",
]


def _points(value: ArrayLike, name: str) -> NDArray[np.float64]:
    points = np.asarray(value)
    if np.iscomplexobj(points):
        raise TypeError(f"{name} must be real, got dtype {points.dtype}")
    points = np.ascontiguousarray(points, dtype=np.float64)
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(
            f"{name} must be a non-empty 2-D array (samples, coordinates), got shape {points.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise ValueError(f"{name} must be finite, row {bad[0]} is not")
    return points


def _groups(value: ArrayLike, name: str, n: int) -> NDArray[np.intp]:
    """Labels as codes 0, 1, ..."""
    labels = np.asarray(value)
    if labels.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one label for each row, got {labels.shape}")
    return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.intp)


def _neighbor_count(k: int, most: int) -> int:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= most:
        raise ValueError(f"n_neighbors must be an integer between 1 and {most}, got {k!r}")
    return int(k)


def _neighbors(Z: NDArray[np.float64], k: int, n_jobs: int | None) -> NDArray[np.intp]:
    """The k nearest other rows of each row."""
    from sklearn.neighbors import NearestNeighbors

    # kneighbors() without data leaves each row itself out, also where rows coincide.
    index = NearestNeighbors(n_neighbors=k, n_jobs=n_jobs).fit(Z)
    return np.asarray(index.kneighbors(return_distance=False), dtype=np.intp)


def jaccard_concordance(
    A: ArrayLike, B: ArrayLike, *, n_neighbors: int = 50, n_jobs: int | None = None
) -> float:
    """Mean overlap of the neighbourhoods of the same samples in two representations.

    For every sample, the Jaccard index (intersection over union) of its sets of `n_neighbors` nearest
    neighbours, itself left out, in `A` and in `B`; the mean over the samples.

    Parameters
    ----------
    A, B : array_like of shape (n, d) and (n, e)
        Two representations of the same samples, in the same order (for two datasets: both stacked).
    n_neighbors : int, default=50
        Size of a neighbourhood, 1 to n - 1.
    n_jobs : int or None, default=None
        Threads of the neighbour search.

    Returns
    -------
    float
        In [0, 1]; 1: the same neighbours everywhere.

    Raises
    ------
    ValueError
        For arrays that are not 2-D, not finite or of different length, or `n_neighbors` out of range.

    References
    ----------
    Boris Landa, Yuval Kluger, Rong Ma, "Entropic Optimal Transport Eigenmaps for Nonlinear Alignment and
    Joint Embedding of High-Dimensional Datasets", 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.metrics import jaccard_concordance
    >>> A = np.random.default_rng(0).normal(size=(100, 3))
    >>> jaccard_concordance(A, 2 * A + 1, n_neighbors=10)
    1.0
    """
    A, B = _points(A, "A"), _points(B, "B")
    if len(A) != len(B):
        raise ValueError(f"A and B must have the same number of rows, got {len(A)} and {len(B)}")
    k = _neighbor_count(n_neighbors, len(A) - 1)
    both = np.sort(np.concatenate([_neighbors(A, k, n_jobs), _neighbors(B, k, n_jobs)], axis=1), axis=1)
    shared = np.count_nonzero(both[:, 1:] == both[:, :-1], axis=1)
    return float(np.mean(shared / (2 * k - shared)))


def davies_bouldin_rms(Z: ArrayLike, labels: ArrayLike) -> float:
    """Davies-Bouldin index with root-mean-square scatter (lower: better separated groups).

    With centroid ``c_a`` and scatter ``S_a = sqrt(mean ||z - c_a||^2)`` of group a, the mean over the
    groups of ``max_b (S_a + S_b) / ||c_a - c_b||``. (scikit-learn's `davies_bouldin_score` takes the mean
    distance, not its root mean square.)

    Do not use it with dataset labels to compare converged EOT eigenmaps with anything: both datasets then
    have exactly the same mean, so that the index is infinite up to rounding. See `mixing_score`.

    Parameters
    ----------
    Z : array_like of shape (n, d)
        Points.
    labels : array_like of shape (n,)
        At least two groups.

    Returns
    -------
    float
        >= 0; infinite where two centroids coincide.

    Raises
    ------
    ValueError
        For points that are not 2-D or not finite, labels of another length, or fewer than two groups.

    References
    ----------
    D. L. Davies, D. W. Bouldin, "A Cluster Separation Measure", 1979.
    """
    Z = _points(Z, "Z")
    codes = _groups(labels, "labels", len(Z))
    n_groups = int(codes.max()) + 1
    if n_groups < 2:
        raise ValueError("labels must hold at least two groups, got one")
    count = np.bincount(codes, minlength=n_groups)
    centers = np.zeros((n_groups, Z.shape[1]))
    np.add.at(centers, codes, Z)
    centers /= count[:, None]
    scatter = np.sqrt(np.bincount(codes, ((Z - centers[codes]) ** 2).sum(axis=1), minlength=n_groups) / count)
    gap = np.sqrt(((centers[:, None] - centers[None]) ** 2).sum(axis=2))
    spread = scatter[:, None] + scatter[None]
    # 0/0, two groups of single equal points: they coincide, so infinite like any other coinciding pair.
    ratio = np.full_like(gap, np.inf)
    np.divide(spread, gap, out=ratio, where=gap > 0)
    np.fill_diagonal(ratio, -np.inf)
    return float(ratio.max(axis=1).mean())


def foscttm(Z1: ArrayLike, Z2: ArrayLike) -> float:
    """Fraction of samples closer than the true match, for paired data.

    For row i of `Z1`, the fraction of the other rows of `Z2` that are closer to it than row i of `Z2` is
    (rows at the same distance count one half); likewise from `Z2` to `Z1`; the mean of all.

    Parameters
    ----------
    Z1, Z2 : array_like of shape (n, d)
        Embeddings of the two datasets; row i of one belongs to row i of the other. n >= 2.

    Returns
    -------
    float
        In [0, 1]; 0: every sample is nearest to its match, 0.5: chance.

    Raises
    ------
    ValueError
        For arrays that are not 2-D, not finite, of different shapes, or with fewer than two rows.

    References
    ----------
    J. Liu, Y. Huang, R. Singh, J.-P. Vert, W. S. Noble, "Jointly Embedding Multiple Single-Cell Omics
    Measurements", 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.metrics import foscttm
    >>> Z = np.random.default_rng(0).normal(size=(50, 2))
    >>> foscttm(Z, Z), foscttm(Z, np.zeros((50, 2)))
    (0.0, 0.5)
    """
    from scipy.spatial.distance import cdist

    Z1, Z2 = _points(Z1, "Z1"), _points(Z2, "Z2")
    if Z1.shape != Z2.shape:
        raise ValueError(f"Z1 and Z2 must have the same shape, got {Z1.shape} and {Z2.shape}")
    n = len(Z1)
    if n < 2:
        raise ValueError("Z1 and Z2 must have at least two rows, got 1")
    total = 0.0
    step = max(1, 2**22 // n)
    for first, second in ((Z1, Z2), (Z2, Z1)):
        for lo in range(0, n, step):
            rows = np.arange(lo, min(n, lo + step))
            distance = cdist(first[rows], second)
            match = distance[np.arange(len(rows)), rows][:, None]
            closer = np.count_nonzero(distance < match, axis=1)
            ties = np.count_nonzero(distance == match, axis=1) - 1
            total += float(np.sum(closer + 0.5 * ties)) / (n - 1)
    return total / (2 * n)


def mixing_score(
    Z: ArrayLike, batch: ArrayLike, *, n_neighbors: int = 50, n_jobs: int | None = None
) -> float:
    """How well datasets are mixed in a joint embedding.

    For every sample, the fraction of its `n_neighbors` nearest neighbours (itself left out) that come from
    another dataset, divided by what chance gives, ``(n - n_own) / (n - 1)``; the mean over the samples.

    Parameters
    ----------
    Z : array_like of shape (n, d)
        Joint embedding.
    batch : array_like of shape (n,)
        The dataset of each row; at least two datasets.
    n_neighbors : int, default=50
        Size of a neighbourhood, 1 to n - 1.
    n_jobs : int or None, default=None
        Threads of the neighbour search.

    Returns
    -------
    float
        0: the datasets lie apart; 1: perfectly mixed; slightly above 1 is possible.

    Raises
    ------
    ValueError
        For points that are not 2-D or not finite, labels of another length, fewer than two datasets, or
        `n_neighbors` out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.metrics import mixing_score
    >>> Z = np.random.default_rng(0).normal(size=(200, 2))
    >>> batch = np.arange(200) % 2
    >>> round(mixing_score(Z, batch, n_neighbors=20), 1)
    1.0
    >>> mixing_score(Z + 100 * batch[:, None], batch, n_neighbors=20)
    0.0
    """
    Z = _points(Z, "Z")
    codes = _groups(batch, "batch", len(Z))
    count = np.bincount(codes)
    if len(count) < 2:
        raise ValueError("batch must hold at least two datasets, got one")
    k = _neighbor_count(n_neighbors, len(Z) - 1)
    other = codes[_neighbors(Z, k, n_jobs)] != codes[:, None]
    expected = (len(Z) - count[codes]) / (len(Z) - 1)
    return float(np.mean(other.mean(axis=1) / expected))


def label_transfer_accuracy(
    Z_train: ArrayLike,
    labels_train: ArrayLike,
    Z_test: ArrayLike,
    labels_test: ArrayLike,
    *,
    n_neighbors: int = 10,
    n_jobs: int | None = None,
) -> float:
    """Accuracy of labels carried from one dataset to the other by nearest neighbours in the joint embedding.

    Every row of `Z_test` gets the label that most of its `n_neighbors` nearest rows of `Z_train` have (a
    tie goes to the label that sorts first); the fraction that agrees with `labels_test`.

    Parameters
    ----------
    Z_train, Z_test : array_like of shape (m, d) and (n, d)
        Embeddings of the labelled and of the other dataset.
    labels_train, labels_test : array_like of shape (m,) and (n,)
        Their labels.
    n_neighbors : int, default=10
        Number of neighbours that vote, 1 to m.
    n_jobs : int or None, default=None
        Threads of the neighbour search.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        For points that are not 2-D, not finite or of different width, labels of another length, or
        `n_neighbors` out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.metrics import label_transfer_accuracy
    >>> Z = np.repeat([[0.0], [1.0]], 5, axis=0)
    >>> label_transfer_accuracy(Z, list("aaaaabbbbb"), Z + 0.1, list("aaaaabbbba"), n_neighbors=3)
    0.9
    """
    from sklearn.neighbors import KNeighborsClassifier

    Z_train, Z_test = _points(Z_train, "Z_train"), _points(Z_test, "Z_test")
    if Z_train.shape[1] != Z_test.shape[1]:
        raise ValueError(
            f"Z_train and Z_test must have the same number of columns, got {Z_train.shape} and {Z_test.shape}"
        )
    train, test = np.asarray(labels_train), np.asarray(labels_test)
    _groups(train, "labels_train", len(Z_train))
    _groups(test, "labels_test", len(Z_test))
    k = _neighbor_count(n_neighbors, len(Z_train))
    model = KNeighborsClassifier(n_neighbors=k, n_jobs=n_jobs).fit(Z_train, train)
    return float(np.mean(model.predict(Z_test) == test))
