"""The published simulations, scaled down: five repetitions, and the digits."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.metrics import rand_score
from threadpoolctl import threadpool_limits

from lapwing import EOTEigenmaps, metrics
from lapwing.datasets import load_digits_pair, make_cluster_pair, make_torus_pair
from lapwing.embedding.eot_eigenmaps._demo import cca, evaluate

pytestmark = pytest.mark.slow

REPETITIONS = 5


def eot(X, Y, r, t):
    return EOTEigenmaps(r, bandwidth="median", diffusion_time=t, random_state=0).fit_transform(X, Y)


def lbdm(X, Y, r):
    """Singular vectors of the kernel between the datasets, divided by the roots of its sums."""
    distance = cdist(X, Y)
    K = np.exp(-((distance / np.median(distance)) ** 2))
    W = K / np.sqrt(K.sum(axis=1))[:, None] / np.sqrt(K.sum(axis=0))
    left, _, right = np.linalg.svd(W, full_matrices=False)
    return left[:, 1 : r + 1], right[1 : r + 1].T


METHODS = {
    "EOT-0": lambda X, Y, r: eot(X, Y, r, 0),
    "EOT-1": lambda X, Y, r: eot(X, Y, r, 1),
    "lbdm": lbdm,
    "cca": cca,
}


def means(make, score, r):
    """Mean score of every method over the repetitions."""
    rows = []
    with threadpool_limits(1):
        for seed in range(REPETITIONS):
            pair = make(seed)
            rows.append([score(pair, *method(pair.X, pair.Y, r)) for method in METHODS.values()])
    found = dict(zip(METHODS, np.mean(rows, axis=0).round(3).tolist(), strict=True))
    print(found)
    return found


def concordance(pair, phi, psi):
    latent, embedded = np.vstack([pair.latent_x, pair.latent_y]), np.vstack([phi, psi])
    return metrics.jaccard_concordance(latent, embedded, n_neighbors=50)


def test_torus_translation():
    near, far = (
        means(lambda seed, tau=tau: make_torus_pair(shift=tau, random_state=seed), concordance, 3)
        for tau in (1.0, 8.0)
    )
    assert min(near["EOT-0"], far["EOT-0"]) >= 0.62
    assert abs(near["EOT-0"] - far["EOT-0"]) <= 0.01
    assert far["EOT-0"] >= far["lbdm"] + 0.10
    assert min(near["EOT-1"], far["EOT-1"]) >= 0.57
    assert max(near["cca"], far["cca"]) < 0.4


def test_torus_distortion():
    weak, strong = (
        means(
            lambda seed, gamma=gamma: make_torus_pair(kind="distortion", stretch=gamma, random_state=seed),
            concordance,
            3,
        )
        for gamma in (1.0, 20.0)
    )
    assert min(weak["EOT-0"], strong["EOT-0"]) >= 0.62
    assert strong["EOT-0"] >= strong["lbdm"] + 0.10
    assert min(weak["EOT-1"], strong["EOT-1"]) >= 0.57
    assert max(weak["cca"], strong["cca"]) < 0.4


def test_joint_clustering():
    def agreement(pair, phi, psi):
        groups = KMeans(6, n_init=10, random_state=0).fit_predict(np.vstack([phi, psi]))
        return rand_score(np.concatenate([pair.labels_x, pair.labels_y]), groups)

    weak, strong = (
        means(lambda seed, theta=theta: make_cluster_pair(strength=theta, random_state=seed), agreement, 6)
        for theta in (1.0, 3.0)
    )
    assert weak["EOT-0"] >= 0.92
    assert strong["EOT-0"] >= 0.99
    assert weak["EOT-0"] >= weak["cca"]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("bandwidth", ["median", "median-centered"])
def test_digits(seed, bandwidth):
    pair = load_digits_pair(seed)
    model = EOTEigenmaps(15, bandwidth=bandwidth, random_state=0)
    scores = evaluate(pair, *model.fit_transform(pair.X, pair.Y))
    print(scores)
    assert scores["label_transfer"] >= 0.95
    assert scores["adjusted_rand"] >= 0.64
