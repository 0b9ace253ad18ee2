"""Heat geodesic distances against expm, the three routes against one another, the swiss roll."""

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import expm
from scipy.stats import rankdata
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import check_estimator

from lapwing import DisconnectedGraphWarning, HeatGeodesic, graph
from lapwing.embedding.heat_geodesic import _classical, _Heat, chebyshev_heat, knee, smacof


def swiss(n, seed, noise=0.05, width=1.0):
    rng = np.random.default_rng(seed)
    t = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))
    h = width * rng.uniform(size=n)
    X = np.column_stack([t * np.cos(t), h, t * np.sin(t)]) + noise * rng.normal(size=(n, 3))
    return X, np.sqrt((t[:, None] - t) ** 2 + (h[:, None] - h) ** 2)


def row_correlation(D, T, *, ranks):
    found = []
    for i in range(len(D)):
        a, b = np.delete(D[i], i), np.delete(T[i], i)
        found.append(np.corrcoef(rankdata(a), rankdata(b))[0, 1] if ranks else np.corrcoef(a, b)[0, 1])
    return np.mean(found)


@pytest.mark.parametrize("method", ["exact", "chebyshev", "truncated"])
@pytest.mark.parametrize("volume", [0.0, 0.4])
def test_distances_by_their_definition(method, volume):
    X, _ = swiss(90, 0)
    t = 30.0
    model = HeatGeodesic(2, t=t, volume=volume, method=method, n_eigenpairs=200, mds="classical").fit(X)
    H = expm(-t * graph.laplacian(model.affinity_matrix_).toarray())
    middle = 0.5 * (np.diag(H)[:, None] + np.diag(H))
    squares = -4 * t * np.log(np.maximum(H, 1e-16)) + volume * 4 * t * np.log(middle)
    expected = np.sqrt(np.maximum(squares, 0))
    np.fill_diagonal(expected, 0)
    far = H < 1e-10  # there the rounding of either computation shows
    np.testing.assert_allclose(model.distances_[~far], expected[~far], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(model.landmarks_, np.arange(90))
    assert not np.diag(model.distances_).any()


@pytest.mark.parametrize("t", [0.1, 3.0, 40.0, 700.0])
def test_chebyshev_series(t):
    W = graph.affinity(swiss(60, 1)[0], "binary", n_neighbors=5)
    L = graph.laplacian(W).toarray()
    S = sparse.csr_array(np.eye(60) - L)
    B = np.random.default_rng(0).normal(size=(60, 4))
    expected = expm(-t * L) @ B
    np.testing.assert_allclose(chebyshev_heat(S, np.ones(60, bool), B, t), expected, atol=1e-12)


def test_truncation_corrects_the_diagonal():
    W = graph.affinity(swiss(300, 0)[0], n_neighbors=8)
    heat = _Heat(W, "truncated", 60, 0, 1)
    which = np.arange(0, 300, 7)
    exact = expm(-2.0 * graph.laplacian(W).toarray())
    found = heat.columns(which, 2.0)
    plain = heat.vectors @ (np.exp(-2.0 * heat.values)[:, None] * heat.vectors.T)
    np.testing.assert_allclose(heat.diagonal(2.0)[which], found[which, np.arange(len(which))], rtol=1e-12)
    error = np.abs(heat.diagonal(2.0) - np.diag(exact)).mean()
    assert error < 0.2 * np.abs(np.diag(plain) - np.diag(exact)).mean()
    slow = _Heat(W, "truncated", 150, 0, 1).columns(which, 60.0)
    np.testing.assert_allclose(slow, expm(-60.0 * graph.laplacian(W).toarray())[:, which], atol=1e-9)


def test_several_times():
    X, _ = swiss(80, 0)
    one, two = (HeatGeodesic(2, t=t, mds="classical").fit(X).distances_ for t in (20.0, 60.0))
    both = HeatGeodesic(2, t=[20.0, 60.0], mds="classical").fit(X).distances_
    np.testing.assert_allclose(both, 0.75 * one + 0.25 * two, rtol=1e-12)
    root = HeatGeodesic(2, t=20.0, scale_factor=0.5, mds="classical").fit(X).distances_
    np.testing.assert_allclose(root, np.sqrt(one), rtol=1e-12)


@pytest.mark.parametrize(("volume", "figures"), [(0.0, (0.992, 0.986)), (1.0, (0.993, 0.989))])
def test_swiss_roll(volume, figures):
    # Figures of the specification, the mean over three rolls; they vary by 0.002 with the rolls.
    found = []
    for seed in range(3):
        X, truth = swiss(500, seed)
        D = HeatGeodesic(2, t=200.0, volume=volume, local_k=10, mds="classical").fit(X).distances_
        found.append([row_correlation(D, truth, ranks=r) for r in (True, False)])
    assert (np.mean(found, axis=0) >= np.array(figures) - 0.005).all()


def test_short_times_do_not_reach():
    X, truth = swiss(500, 0)
    with pytest.warns(UserWarning, match="t = 1 is too short"):
        short = HeatGeodesic(2, t=1.0, local_k=10, mds="classical").fit(X)
    assert row_correlation(short.distances_, truth, ranks=True) < 0.9
    chosen = HeatGeodesic(2, local_k=10, mds="classical").fit(X)  # no warning: long enough
    assert (chosen.t_ > 5).all()
    # Far pairs have heat of the size of rounding errors, which differ from one LAPACK to the next: 0.929 with
    # one, above 0.93 with another.
    assert row_correlation(chosen.distances_, truth, ranks=True) > 0.92


def test_knee():
    x = np.linspace(0, 10, 50)
    assert abs(x[knee(x, 1 - np.exp(-x))] - np.log(10)) < 0.3  # where the slope is that of the chord
    assert knee(x, np.ones(50)) == 0


def test_scaling_finds_points_again():
    Z = np.random.default_rng(0).normal(size=(40, 3))
    D = np.linalg.norm(Z[:, None] - Z, axis=2)
    Y, place = _classical(D, 3)
    np.testing.assert_allclose(np.linalg.norm(Y[:, None] - Y, axis=2), D, atol=1e-10)
    np.testing.assert_allclose(place(D), Y, atol=1e-10)
    start = Y + 0.1 * np.random.default_rng(1).normal(size=Y.shape)
    found, steps, done = smacof(D, start, 5000, 1e-9)
    assert done
    assert steps > 1
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found, axis=2), D, atol=1e-3)


def test_stress_is_lower_than_that_of_classical_scaling():
    X, _ = swiss(200, 0)
    first = HeatGeodesic(2, t=100.0, local_k=10, mds="classical").fit(X)
    second = HeatGeodesic(2, t=100.0, local_k=10, tol=1e-3).fit(X)
    assert second.stress_ < first.stress_
    assert second.n_iter_ > 1
    assert second.embedding_.shape == (200, 2)


def test_landmarks():
    X, truth = swiss(400, 0)
    model = HeatGeodesic(2, t=200.0, local_k=10, n_landmarks=100, random_state=0, max_iter=1000).fit(X)
    assert model.distances_.shape == (100, 400)
    assert len(np.unique(model.landmarks_)) == 100
    whole = HeatGeodesic(2, t=200.0, local_k=10, random_state=0).fit(X)
    np.testing.assert_allclose(model.distances_, whole.distances_[model.landmarks_], rtol=1e-9)
    D = np.linalg.norm(model.embedding_[:, None] - model.embedding_, axis=2)
    assert row_correlation(D, truth, ranks=True) > 0.9


def test_precomputed_weights_and_components():
    networkx = pytest.importorskip("networkx")
    G = networkx.karate_club_graph()
    W = networkx.to_scipy_sparse_array(G, dtype=float)
    found = [HeatGeodesic(2, affinity="precomputed", t=2.0).fit_transform(K) for K in (W, W.toarray(), G)]
    np.testing.assert_allclose(found[1], found[0], atol=1e-9)
    np.testing.assert_array_equal(found[2], found[0])
    two = sparse.block_diag([W, W, np.zeros((1, 1))])
    for method in ("exact", "chebyshev"):
        with pytest.warns(DisconnectedGraphWarning, match="3 connected"):
            model = HeatGeodesic(2, affinity="precomputed", t=2.0, method=method).fit(two)
        apart = np.sqrt(-8 * np.log(1e-16))
        np.testing.assert_allclose(model.distances_[:34, 34:], apart, rtol=1e-6)
        one = HeatGeodesic(2, affinity="precomputed", t=2.0).fit(W)
        np.testing.assert_allclose(model.distances_[:34, :34], one.distances_, atol=1e-6)


@pytest.mark.parametrize("method", ["exact", "chebyshev", "truncated"])
def test_threads_do_not_change_a_bit(method):
    from threadpoolctl import threadpool_limits

    X, _ = swiss(250, 0)
    found = []
    for n in (1, 2, 4):
        with threadpool_limits(n):
            model = HeatGeodesic(2, t=50.0, volume=0.5, method=method, random_state=0, max_iter=20, n_jobs=n)
            found.append(model.fit_transform(X))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components"),
        ({"n_components": 30}, ValueError, "n_components must be at most 29"),
        ({"t": 0.0}, ValueError, "t must be"),
        ({"t": [1.0, -1.0]}, ValueError, "t must be"),
        ({"t": []}, ValueError, "t must be"),
        ({"t": "long"}, ValueError, "t must be"),
        ({"volume": 1.5}, ValueError, "volume"),
        ({"scale_factor": 0.0}, ValueError, "scale_factor"),
        ({"local_k": 0}, ValueError, "local_k"),
        ({"local_k": 30}, ValueError, "local_k must be at most 29"),
        ({"affinity": "rbf"}, ValueError, "affinity"),
        ({"method": "euler"}, ValueError, "method"),
        ({"n_eigenpairs": 0}, ValueError, "n_eigenpairs"),
        ({"n_landmarks": 31}, ValueError, "n_landmarks must be between 3 and 30"),
        ({"n_landmarks": 2}, ValueError, "n_landmarks must be between 3 and 30"),
        ({"mds": "sgd"}, ValueError, "mds"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"tol": 0.0}, ValueError, "tol"),
    ],
)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        HeatGeodesic(**{"n_components": 2, "t": 5.0, **options}).fit(swiss(30, 0)[0])


@pytest.mark.skipif(
    not hasattr(BaseEstimator, "__sklearn_tags__"), reason="checks of scikit-learn before 1.6"
)
def test_scikit_learn_checks():
    results = check_estimator(HeatGeodesic(1, local_k=4, random_state=0), on_fail=None, on_skip=None)
    failed = {r["check_name"]: repr(r["exception"]) for r in results if r["status"] == "failed"}
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 25
