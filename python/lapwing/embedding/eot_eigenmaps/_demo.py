"""The main job on real data, with joint PCA and CCA beside it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from lapwing import metrics, plots

from ._estimator import EOTEigenmaps
from ._plots import layout

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from lapwing.datasets import AlignmentPair

    Pair = tuple[NDArray[np.float64], NDArray[np.float64]]

__all__ = ["cca", "compare", "evaluate", "joint_pca", "plot_comparison"]


def joint_pca(X: NDArray[np.float64], Y: NDArray[np.float64], n_components: int) -> Pair:
    """Leading left singular vectors of the stacked datasets, without centring, as in the authors' program."""
    left = np.linalg.svd(np.vstack([X, Y]), full_matrices=False)[0][:, :n_components]
    return left[: len(X)], left[len(X) :]


def cca(X: NDArray[np.float64], Y: NDArray[np.float64], n_components: int) -> Pair:
    """Leading singular vectors of ``X Y'`` (diagonal CCA), without centring, as in the authors' program."""
    left, _, right = np.linalg.svd(X @ Y.T, full_matrices=False)
    return left[:, :n_components], right[:n_components].T


def evaluate(pair: AlignmentPair, phi: Any, psi: Any) -> dict[str, float]:
    """Label transfer from X to Y, agreement of k-means with the labels, and mixing of the datasets."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score
    from threadpoolctl import threadpool_limits

    assert pair.labels_x is not None
    assert pair.labels_y is not None
    labels = np.concatenate([pair.labels_x, pair.labels_y])
    joint = np.vstack([phi, psi])
    with threadpool_limits(1):  # the same clusters on any machine's number of cores
        clusters = KMeans(len(np.unique(labels)), n_init=10, random_state=0).fit_predict(joint)
    return {
        "label_transfer": metrics.label_transfer_accuracy(phi, pair.labels_x, psi, pair.labels_y),
        "adjusted_rand": float(adjusted_rand_score(labels, clusters)),
        "mixing": metrics.mixing_score(joint, np.repeat([0, 1], [len(phi), len(psi)])),
    }


def compare(
    pair: AlignmentPair, n_components: int, n_jobs: int | None = None
) -> tuple[dict[str, dict[str, float]], dict[str, Pair], EOTEigenmaps, float]:
    """Embed the pair by joint PCA, CCA and EOT eigenmaps.

    Returns
    -------
    scores : dict
        What `evaluate` says of each method.
    embeddings : dict
        The two embeddings of each method.
    model : EOTEigenmaps
        The fitted estimator.
    seconds : float
        What its fit took.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        embeddings = {name: embed(pair.X, pair.Y, n_components) for name, embed in _BASELINES.items()}
    model = EOTEigenmaps(n_components, random_state=0, n_jobs=n_jobs)
    start = time.perf_counter()
    embeddings["EOT eigenmaps"] = model.fit_transform(pair.X, pair.Y)
    seconds = time.perf_counter() - start
    scores = {name: evaluate(pair, *embedding) for name, embedding in embeddings.items()}
    return scores, embeddings, model, seconds


_BASELINES = {"joint PCA": joint_pca, "CCA": cca}


def plot_comparison(pair: AlignmentPair, embeddings: dict[str, Pair]) -> Figure:
    """One column a method: t-SNE of its embedding, coloured by dataset above and by label below."""
    figure, axes = plots.new_figure(2, len(embeddings), size=(4.0, 3.8))
    assert pair.labels_x is not None
    assert pair.labels_y is not None
    labels = np.concatenate([pair.labels_x, pair.labels_y])
    last = len(embeddings) - 1
    for j, (name, (phi, psi)) in enumerate(embeddings.items()):
        plane = layout(np.vstack([phi, psi]))
        datasets = np.repeat(["first half", "second half"], [len(phi), len(psi)])
        plots.scatter_groups(axes[0, j], plane, datasets, title=name, legend=j == last)
        plots.scatter_groups(axes[1, j], plane, labels, legend=j == last)
    axes[0, 0].set_ylabel("coloured by dataset")
    axes[1, 0].set_ylabel("coloured by label")
    figure.suptitle(f"{pair.name}, seen differently: t-SNE of the joint embeddings")
    return figure
