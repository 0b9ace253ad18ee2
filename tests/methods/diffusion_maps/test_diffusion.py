"""Diffusion maps against the random walk's own definition, and the circle with uneven density."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import check_estimator

from lapwing import DiffusionMaps, DisconnectedGraphWarning, graph


def cloud(n=90, seed=0, d=3):
    return np.random.default_rng(seed).normal(size=(n, d))


def walk(K, alpha):
    K = K.toarray() if sparse.issparse(K) else K
    q = K.sum(axis=1)
    A = K / np.outer(q, q) ** alpha
    d = A.sum(axis=1)
    return A / d[:, None], d / d.sum()


@pytest.mark.parametrize("neighbors", ["all", 12])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_eigenpairs_of_the_walk(neighbors, alpha):
    model = DiffusionMaps(5, alpha=alpha, n_neighbors=neighbors, epsilon=2.0, random_state=0).fit(cloud())
    P, pi = walk(model.affinity_matrix_, alpha)
    np.testing.assert_allclose(model.stationary_, pi, rtol=1e-12)
    psi = model.eigenvectors_
    np.testing.assert_allclose(P @ psi, psi * model.eigenvalues_, atol=1e-8)
    np.testing.assert_allclose(psi.T @ (pi[:, None] * psi), np.eye(5), atol=1e-9)
    np.testing.assert_allclose(pi @ psi, 0.0, atol=1e-9)
    truth = np.sort(np.linalg.eigvals(P).real)[::-1]
    np.testing.assert_allclose(model.eigenvalues_, truth[1:6], atol=1e-9)
    np.testing.assert_allclose(model.embedding_, psi * model.eigenvalues_, atol=1e-15)
    assert model.residuals_.max() < 1e-8


@pytest.mark.parametrize("t", [1, 2, 5])
@pytest.mark.parametrize("neighbors", ["all", 8])
def test_diffusion_distance(t, neighbors):
    n = 50
    model = DiffusionMaps(n - 1, diffusion_time=t, n_neighbors=neighbors, epsilon=1.5).fit(cloud(n))
    P, pi = walk(model.affinity_matrix_, 1.0)
    T = np.linalg.matrix_power(P, t)
    expected = ((T[:, None] - T) ** 2 / pi).sum(axis=2)
    Y = model.embedding_
    np.testing.assert_allclose(((Y[:, None] - Y) ** 2).sum(axis=2), expected, atol=1e-9)


def test_sum_over_all_times():
    n = 40
    model = DiffusionMaps(n - 1, diffusion_time="inf-sum", n_neighbors="all", epsilon=1.5).fit(cloud(n))
    P, pi = walk(model.affinity_matrix_, 1.0)
    total = np.linalg.inv(np.eye(n) - P + np.outer(np.ones(n), pi)) - np.eye(n)  # sum of P^t - 1 πᵀ
    expected = ((total[:, None] - total) ** 2 / pi).sum(axis=2)
    Y = model.embedding_
    np.testing.assert_allclose(((Y[:, None] - Y) ** 2).sum(axis=2), expected, rtol=1e-7, atol=1e-9)


def test_real_and_zero_times():
    X = cloud()
    model = DiffusionMaps(3, diffusion_time=0, n_neighbors="all").fit(X)
    np.testing.assert_array_equal(model.embedding_, model.eigenvectors_)
    half = DiffusionMaps(3, diffusion_time=0.5, n_neighbors="all").fit(X)
    np.testing.assert_allclose(half.embedding_, model.eigenvectors_ * np.sqrt(model.eigenvalues_))


def test_negative_eigenvalues():
    ring = np.roll(np.eye(10), 1, axis=0) + np.roll(np.eye(10), -1, axis=0)  # bipartite: μ = -1 exists
    model = DiffusionMaps(9, affinity="precomputed", alpha=0).fit(sparse.csr_array(ring))
    expected = np.sort(np.cos(2 * np.pi * np.arange(1, 10) / 10))[::-1]
    np.testing.assert_allclose(model.eigenvalues_, expected, atol=1e-12)  # algebraic order: -1 comes last
    with pytest.raises(ValueError, match=r"no power diffusion_time = 0\.5"):
        DiffusionMaps(9, affinity="precomputed", diffusion_time=0.5).fit(ring)
    model = DiffusionMaps(9, affinity="precomputed", diffusion_time=0.5, abs_power=True).fit(ring)
    np.testing.assert_allclose(
        model.embedding_, model.eigenvectors_ * np.sqrt(np.abs(model.eigenvalues_)), atol=1e-12
    )
    assert DiffusionMaps(9, affinity="precomputed", diffusion_time=3).fit(ring).embedding_.shape == (10, 9)


@pytest.mark.parametrize("neighbors", ["all", 15])
@pytest.mark.parametrize("t", [1, 3, "inf-sum"])
def test_extension_is_exact_at_the_points_of_the_fit(neighbors, t):
    X = cloud(300)
    model = DiffusionMaps(4, diffusion_time=t, n_neighbors=neighbors, random_state=0).fit(X)
    np.testing.assert_allclose(model.transform(X), model.embedding_, atol=1e-12 * abs(model.embedding_).max())
    new = cloud(20, 1)
    both = model.transform(np.vstack([new, X[:4]]))
    np.testing.assert_array_equal(both[:20], model.transform(new))
    near = model.transform(X + 1e-7)
    if neighbors == "all":
        np.testing.assert_allclose(near, model.embedding_, atol=1e-5 * abs(model.embedding_).max())


def test_extension_by_its_formula():
    X, x = cloud(60), cloud(1, 5)
    model = DiffusionMaps(2, alpha=0.5, epsilon=3.0, n_neighbors="all").fit(X)
    q = np.exp(-((X[:, None] - X) ** 2).sum(axis=2) / 3.0).sum(axis=1)
    k = np.exp(-((x - X) ** 2).sum(axis=1) / 3.0) / np.sqrt(q)
    expected = (k @ model.eigenvectors_) / k.sum()  # times μ / μ
    np.testing.assert_allclose(model.transform(x)[0], expected, rtol=1e-12)


def test_small_eigenvalues_are_refused():
    model = DiffusionMaps(30, n_neighbors="all", epsilon=30.0).fit(cloud())
    assert (np.abs(model.eigenvalues_) < 1e-3).any()
    first = int(np.argmax(np.abs(model.eigenvalues_) < 1e-3))
    with pytest.raises(ValueError, match=f"coordinate {first} cannot be extended"):
        model.transform(cloud(3, 1))
    model.set_params(delta=1e-300)
    assert model.transform(cloud(3, 1)).shape == (3, 30)


@pytest.mark.parametrize("neighbors", ["all", 6])
def test_components(neighbors):
    X = np.vstack([cloud(30), cloud(20, 1) + 200, cloud(10, 2) - 200])
    with pytest.warns(DisconnectedGraphWarning):
        model = DiffusionMaps(4, n_neighbors=neighbors, epsilon=2.0).fit(X)
    P, pi = walk(model.affinity_matrix_, 1.0)
    psi = model.eigenvectors_
    np.testing.assert_array_equal(model.eigenvalues_[:2], 1.0)
    assert model.eigenvalues_[2] < 1 - 1e-6
    np.testing.assert_allclose(P @ psi, psi * model.eigenvalues_, atol=1e-8)
    np.testing.assert_allclose(psi.T @ (pi[:, None] * psi), np.eye(4), atol=1e-9)
    assert np.ptp(psi[:30, :2], axis=0).max() < 1e-12
    largest = DiffusionMaps(2, n_neighbors=neighbors, epsilon=2.0, components="largest").fit(X)
    alone = DiffusionMaps(2, n_neighbors=neighbors, epsilon=2.0).fit(X[:30])
    np.testing.assert_allclose(largest.embedding_[:30], alone.embedding_, atol=1e-9)
    assert np.isnan(largest.embedding_[30:]).all()
    Y = largest.transform(X)
    np.testing.assert_allclose(Y[:30], alone.embedding_, atol=1e-7)
    assert np.isnan(Y[30:]).all()
    with pytest.raises(ValueError, match="connected graph, this one has 3"):
        DiffusionMaps(2, n_neighbors=neighbors, epsilon=2.0, diffusion_time="inf-sum").fit(X)


def circle(u):
    """Angles at the quantiles `u` of the density 1 + 0.9 cos θ."""
    angle = 2 * np.pi * np.asarray(u)
    for _ in range(700):  # contracts by 1 - 0.1 / 1.9 or more a step
        angle -= (angle + 0.9 * np.sin(angle) - 2 * np.pi * np.asarray(u)) / 1.9
    return angle, np.column_stack([np.cos(angle), np.sin(angle)])


def span_cosine(psi, angle):
    """Smallest cosine between the span of two functions and that of cos and sin."""
    pair = [
        np.linalg.qr(Z - Z.mean(axis=0))[0]
        for Z in (psi[:, :2], np.column_stack([np.cos(angle), np.sin(angle)]))
    ]
    return np.linalg.svd(pair[0].T @ pair[1])[1].min()


def test_circle_with_uneven_density():
    # Quantiles, so that no sampling error enters. Without the density: 1, 1, 4, 4. With it: the smallest
    # eigenvalues of -(q² f')' / q² on a grid of 4000 points.
    angle, X = circle((np.arange(2000) + 0.5) / 2000)
    free = DiffusionMaps(4, alpha=1, epsilon=0.02, n_neighbors="all").fit(X)
    np.testing.assert_allclose(free.eigenvalues_generator_, [1, 1, 4, 4], rtol=0.03)
    assert span_cosine(free.eigenvectors_, angle) > 0.999
    bound = DiffusionMaps(4, alpha=0, epsilon=0.02, n_neighbors="all").fit(X)
    np.testing.assert_allclose(bound.eigenvalues_generator_, [1.1806, 2.6217, 4.8009, 6.2843], rtol=0.01)
    assert span_cosine(bound.eigenvectors_, angle) < 0.97


def test_circle_sampled_at_random():
    # The specification's figures are those of one sample: 0.92, 1.03, 3.72, 4.06 and a cosine of 0.999 for
    # α = 1; 1.16, 2.50, 4.56, 6.09 and 0.949 for α = 0. Over samples the latter vary by up to a fifth.
    angle, X = circle(np.random.default_rng(2).uniform(size=2000))
    free = DiffusionMaps(4, alpha=1, epsilon=0.02, n_neighbors="all").fit(X)
    np.testing.assert_allclose(free.eigenvalues_generator_, [0.92, 1.03, 3.72, 4.06], rtol=0.15)
    assert span_cosine(free.eigenvectors_, angle) > 0.995
    bound = DiffusionMaps(4, alpha=0, epsilon=0.02, n_neighbors="all").fit(X)
    np.testing.assert_allclose(bound.eigenvalues_generator_, [1.16, 2.50, 4.56, 6.09], rtol=0.2)


def test_bandwidths():
    X = cloud(400, d=2)
    model = DiffusionMaps(2, epsilon="median", n_neighbors="all").fit(X)
    squares = ((X[:, None] - X) ** 2).sum(axis=2)
    assert model.epsilon_ == pytest.approx(2 * np.median(squares[squares > 0]))
    nearest = DiffusionMaps(2, epsilon="median", n_neighbors=10).fit(X)
    last = np.sqrt(np.sort(squares, axis=1)[:, 10])
    assert nearest.epsilon_ == pytest.approx(2 * np.median(last) ** 2)
    bgh = DiffusionMaps(2, n_neighbors=10).fit(X)
    assert bgh.epsilon_ == pytest.approx(4 * graph.bandwidth_bgh(graph.knn_graph(X, 10))[0])
    given = DiffusionMaps(2, epsilon=0.7, n_neighbors=10).fit(X)
    assert given.epsilon_ == pytest.approx(0.7)
    W = given.affinity_matrix_
    np.testing.assert_allclose(W.data, np.exp(-squares[W.nonzero()] / 0.7), rtol=1e-9)


def test_kinds_of_weights_agree():
    networkx = pytest.importorskip("networkx")
    G = networkx.karate_club_graph()
    W = networkx.to_scipy_sparse_array(G, dtype=float)
    found = [DiffusionMaps(3, affinity="precomputed").fit_transform(K) for K in (W, W.toarray(), G)]
    np.testing.assert_allclose(found[1], found[0], atol=1e-8)
    np.testing.assert_array_equal(found[2], found[0])


@pytest.mark.parametrize("neighbors", ["all", 20])
def test_threads_do_not_change_a_bit(neighbors):
    X = cloud(1600, d=4)
    found = [
        DiffusionMaps(3, n_neighbors=neighbors, random_state=0, n_jobs=j).fit_transform(X) for j in (1, 2, 4)
    ]
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


@pytest.mark.parametrize(
    ("options", "X", "error", "message"),
    [
        ({"affinity": "rbf"}, None, ValueError, "affinity"),
        ({"components": "some"}, None, ValueError, "components"),
        ({"diffusion_time": -1.0}, None, ValueError, "diffusion_time"),
        ({"diffusion_time": "long"}, None, ValueError, "diffusion_time"),
        ({"alpha": np.nan}, None, ValueError, "alpha"),
        ({"epsilon": 0.0}, None, ValueError, "epsilon"),
        ({"epsilon": "small"}, None, ValueError, "epsilon"),
        ({"n_neighbors": "some"}, None, ValueError, "n_neighbors"),
        ({"n_neighbors": 90}, None, ValueError, "n_neighbors"),
        ({"n_components": 0}, None, ValueError, "n_components"),
        ({"n_components": 90}, None, ValueError, "n_components must be at most 89"),
        ({"delta": 0.0}, None, ValueError, "delta"),
        ({"eigen_solver": "arpack"}, None, ValueError, "eigen_solver"),
        ({"affinity": "precomputed"}, np.array([[1.0, 1], [2, 1]]), ValueError, "symmetric"),
        ({"affinity": "precomputed"}, -np.ones((3, 3)), ValueError, "negative"),
        ({"affinity": "precomputed"}, sparse.csr_array(np.diag([1.0, 1], 1)[:, :]), ValueError, "symmetric"),
        ({}, np.array([[0.0], [np.inf], [1.0]]), ValueError, "infinity|inf"),
    ],
)
def test_bad_input(options, X, error, message):
    with pytest.raises(error, match=message):
        DiffusionMaps(**{"n_components": 2, **options}).fit(cloud() if X is None else X)


def test_memory_is_asked_for_first():
    from lapwing import HeatGeodesic, HyperbolicDiffusion, SpectralClustering, SpectralEmbedding

    X = np.zeros((2_000_000, 1), dtype=np.float32)  # whose matrices would take terabytes
    for model in (
        DiffusionMaps(n_neighbors="all"),
        SpectralEmbedding(affinity="rbf"),
        SpectralClustering(affinity="rbf"),
        HyperbolicDiffusion(),
    ):
        with pytest.raises(MemoryError, match="more than the"):
            model.fit(X)
    W = sparse.diags_array([np.ones(999_999), np.ones(999_999)], offsets=[-1, 1]).tocsr()
    for options in ({"method": "exact"}, {"n_landmarks": 1_000_000}):
        with pytest.raises(MemoryError, match="more than the"):
            HeatGeodesic(affinity="precomputed", **options).fit(W)


def test_isolated_points_are_named():
    W = sparse.block_diag([np.ones((5, 5)) - np.eye(5), np.zeros((1, 1))]).tocsr()
    with pytest.raises(ValueError, match="point 5 has no neighbour"):
        DiffusionMaps(2, affinity="precomputed").fit(W)
    model = DiffusionMaps(2, affinity="precomputed", components="largest").fit(W)
    assert np.isnan(model.embedding_[5]).all()
    with pytest.raises(ValueError, match="transform needs"):
        model.transform(W)


@pytest.mark.skipif(
    not hasattr(BaseEstimator, "__sklearn_tags__"), reason="checks of scikit-learn before 1.6"
)
@pytest.mark.parametrize("neighbors", ["all", None])
def test_scikit_learn_checks(neighbors):
    results = check_estimator(
        DiffusionMaps(1, n_neighbors=neighbors, random_state=0), on_fail=None, on_skip=None
    )
    failed = {r["check_name"]: repr(r["exception"]) for r in results if r["status"] == "failed"}
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 30
