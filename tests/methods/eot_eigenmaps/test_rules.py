"""Bandwidth, number of components, density, signs."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from lapwing import EOTEigenmaps, ot
from lapwing.datasets import make_torus_pair
from lapwing.embedding.eot_eigenmaps import _algorithm as algorithm

SPECTRUM = np.array([1.0, 0.5, 0.45, 0.44, 0.11, 0.1095, 0.109, 2e-9, 1e-9])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (4, 4),
        (0.2, 6),
        (0.9, 2),
        ("gap", 3),
        ("reference", 8),
    ],
)
def test_count_components(rule, expected):
    assert algorithm.count_components(SPECTRUM, rule, 1e-8) == expected


def test_gap_ignores_values_below_the_floor():
    assert algorithm.count_components(np.array([1.0, 0.5, 0.25, 1e-9]), "gap", 1e-8) == 1
    assert algorithm.count_components(np.array([1.0, 0.5, 0.25, 1e-9]), "gap", 1e-10) == 2


def test_reference_rule_needs_a_gap():
    with pytest.raises(ValueError, match="n_components='reference'"):
        algorithm.count_components(np.linspace(1.0, 0.99, 20), "reference", 1e-8)


@pytest.fixture(scope="module")
def torus():
    return make_torus_pair(200, n_features=30, random_state=0)


def test_components_by_rule(torus):
    full = EOTEigenmaps(79, random_state=0, bandwidth=200.0).fit(torus.X, torus.Y)
    values = full.singular_values_
    share = EOTEigenmaps(0.5, random_state=0, bandwidth=200.0).fit(torus.X, torus.Y)
    assert 1 < share.n_components_ == np.count_nonzero(values[1:] >= 0.5 * values[1]) < 79
    assert share.embedding_x_.shape == (200, share.n_components_)
    gap = EOTEigenmaps("gap", random_state=0, bandwidth=200.0).fit(torus.X, torus.Y)
    inner = values[1:][values[1:] > 1e-8]
    assert gap.n_components_ == np.argmax(inner[:-1] / inner[1:]) + 1
    np.testing.assert_allclose(share.embedding_y_, full.embedding_y_[:, : share.n_components_], atol=1e-12)


def test_share_of_the_second_value_asks_for_more_until_it_is_complete(torus, monkeypatch):
    monkeypatch.setattr(algorithm, "DENSE_SIDE", 0)
    asked = []
    original = algorithm.singular_triplets

    def spy(plan, weights, k, **options):
        asked.append(k)
        return original(plan, weights, k, **options)

    monkeypatch.setattr(algorithm, "singular_triplets", spy)
    model = EOTEigenmaps(0.05, bandwidth=20.0, random_state=0).fit(torus.X, torus.Y)
    assert asked[:2] == [32, 64]
    assert 32 < model.n_components_ < asked[-1]
    values = model.singular_values_
    assert values[-1] >= 0.05 * values[1]


def test_reference_rule_says_when_it_sees_fewer_values(torus):
    with pytest.warns(UserWarning, match="looks at 39 singular values instead of 80"):
        EOTEigenmaps("reference", random_state=0, bandwidth=50.0).fit(torus.X[:40], torus.Y)


def test_components_lost_in_rounding_are_dropped_with_one_warning(torus):
    with pytest.warns(UserWarning, match="of the 60 components have a singular value above 1e-06") as caught:
        model = EOTEigenmaps(60, random_state=0).fit(torus.X, torus.Y)
    assert len(caught) == 1
    r = model.n_components_
    assert f"only {r} of the 60" in str(caught[0].message)
    assert 0 < r < 60
    assert model.singular_values_[-1] >= 1e-6
    assert model.embedding_x_.shape == model.transform(torus.X).shape == (200, r)
    assert model.svd_residuals_.shape == (r,)
    assert np.isfinite(model.transform(torus.X)).all()


def test_nothing_to_embed(torus):
    with pytest.raises(ValueError, match=r"nothing to embed.*pass a bandwidth smaller than 1e"):
        EOTEigenmaps(3, bandwidth=1e15, random_state=0).fit(torus.X, torus.Y)


def test_float32_with_a_tiny_second_value_warns(torus):
    pair = [Z.astype(np.float32) for Z in (torus.X, torus.Y)]
    wide = EOTEigenmaps(1, random_state=0).fit(torus.X, torus.Y)
    # The second value falls like 1/bandwidth where the kernel is flat.
    bandwidth = wide.bandwidth_ * wide.singular_values_[1] / 5e-5
    with pytest.warns(UserWarning, match="close to the rounding of float32"):
        EOTEigenmaps(1, bandwidth=bandwidth, random_state=0).fit(*pair)


def test_disconnected_plan_warns_and_counts():
    from lapwing import DisconnectedSimilarityWarning

    rng = np.random.default_rng(0)
    Z = rng.normal(size=(30, 2))
    groups = np.repeat([[0.0, 0.0], [1e4, 0.0], [0.0, 1e4]], 10, axis=0)
    X, Y = Z + groups, rng.normal(size=(30, 2)) + groups
    with pytest.warns(DisconnectedSimilarityWarning, match="2 non-trivial singular values"):
        model = EOTEigenmaps(2, bandwidth=5.0, random_state=0).fit(X, Y)
    spread = model.embedding_x_.reshape(3, 10, 2).std(axis=1)
    assert spread.max() < 1e-6  # the coordinates only tell the groups apart


def test_bandwidth_rules(torus):
    X, Y = torus.X, torus.Y
    centered = np.median(cdist(X - X.mean(axis=0), Y - Y.mean(axis=0))) ** 2
    # The median of an even number of distances lies between two of them, and is squared afterwards.
    assert EOTEigenmaps(2, random_state=0).fit(X, Y).bandwidth_ == pytest.approx(centered, rel=1e-12)
    raw = EOTEigenmaps(2, bandwidth="median", random_state=0).fit(X, Y)
    assert raw.bandwidth_ == pytest.approx(np.median(cdist(X, Y)) ** 2, rel=1e-12)
    given = EOTEigenmaps(2, bandwidth=123.5, random_state=0).fit(X, Y)
    assert given.bandwidth_ == 123.5 == given.plan_.reg
    seen = []

    def rule(A, B):
        seen.append((A, B))
        return 77

    assert EOTEigenmaps(2, bandwidth=rule, random_state=0).fit(X, Y).bandwidth_ == 77.0
    np.testing.assert_array_equal(seen[0][0], X)
    np.testing.assert_array_equal(seen[0][1], Y)
    kept = EOTEigenmaps(2, centering=False, random_state=0).fit(X, Y)
    assert kept.bandwidth_ == pytest.approx(centered, rel=1e-12)
    assert not kept.x_mean_.any()


def test_golden_section_finds_the_maximum():
    class Fake:
        """A plan whose mutual pairs peak at 0.3."""

        def __init__(self, reg):
            self.reg = reg

        def sparse_plan(self, k):
            from scipy.sparse import csr_array

            count = max(0, int(1000 - 4000 * abs(self.reg / 10 - 0.3)))
            return csr_array((np.ones(count), (np.arange(count), np.arange(count))), shape=(1000, 1000))

    calls = []

    def solve(reg):
        calls.append(reg)
        return Fake(reg), Fake(reg)

    found = algorithm.mutual_neighbor_bandwidth(
        solve, 10.0, 50, low=0.01, high=2.0, evaluations=20, width=0.1
    )
    assert abs(found / 10 - 0.3) < 0.1
    assert len(calls) == len(set(calls)) <= 20


def test_mutual_pairs_are_counted():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 2)), rng.normal(size=(30, 2))
    plan = ot.solve_sample(X, Y, reg=0.5, tol=1e-9)
    P = np.asarray(plan.plan)
    rows = np.argsort(-P, axis=1)[:, :5]
    columns = np.argsort(-P, axis=0)[:5]
    pairs = {(i, j) for i in range(40) for j in rows[i]} & {(i, j) for j in range(30) for i in columns[:, j]}
    transposed = ot.solve_sample(Y, X, reg=0.5, tol=1e-9)
    assert algorithm._mutual_pairs(plan, transposed, 5) == len(pairs) > 0


def test_mknn_is_no_worse_than_the_median(torus):
    model = EOTEigenmaps(3, bandwidth="mknn", random_state=0).fit(torus.X, torus.Y)
    median = EOTEigenmaps(3, random_state=0).fit(torus.X, torus.Y)
    assert 0.01 <= model.bandwidth_ / median.bandwidth_ <= 2.0


def bend(m, n, seed):
    """A segment and a parabola over the same interval, sampled at opposite densities."""
    rng = np.random.default_rng(seed)

    def abscissa(size, left):
        low = rng.uniform(size=size) < left
        return np.where(low, rng.uniform(0, 0.5, size), rng.uniform(0.5, 1, size)), np.where(
            low, left, 1 - left
        )

    # Columns: position and density, the latter twice the share of its half.
    (x, fx), (y, fy) = (np.array(abscissa(size, left)) * [[1], [2]] for size, left in ((m, 0.9), (n, 0.1)))
    return np.column_stack([x, x]), np.column_stack([y, 2 + y + y**2 / 2]), fx, fy


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_density_discount_finds_the_right_matches(seed):
    X, Y, fx, fy = bend(600, 900, seed)

    def error(**params):
        densities = params.pop("densities", {})
        model = EOTEigenmaps(2, bandwidth=0.05, random_state=0, **params).fit(X, Y, **densities)
        return np.abs(X[:, 0] - Y[np.asarray(model.plan_.argmax()), 0]).mean()

    # Figures of the specification: 0.36-0.37, 0.026-0.051, 0.053-0.070; other draws, hence the margins.
    standard = error()
    assert standard > 0.3
    assert error(density_discount=1.0, densities={"density_x": fx, "density_y": fy}) < 0.08
    assert error(density_discount=1.0, density_bandwidth=0.02) < 0.08
    assert error(density_discount=1.0) < 0.08  # the bandwidth found by the bootstrap is as good as that


def test_density_from_neighbours_is_better_than_none():
    X, Y, _, _ = bend(600, 900, 0)
    standard, discounted = (
        EOTEigenmaps(
            2, bandwidth=0.05, random_state=0, density_discount=t, density_bandwidth="neighbors"
        ).fit(X, Y)
        for t in (0.0, 1.0)
    )
    errors = [np.abs(X[:, 0] - Y[np.asarray(m.plan_.argmax()), 0]).mean() for m in (standard, discounted)]
    assert errors[1] < 0.6 * errors[0]
    h = algorithm.density_bandwidth_neighbors(X, 10, None)
    tenth = np.sort(cdist(X, X), axis=1)[:, 10]
    assert h == pytest.approx(2 * np.median(tenth) ** 2, rel=1e-12)


def test_density_discount_keeps_the_identities():
    X, Y, fx, fy = bend(120, 150, 5)
    model = EOTEigenmaps(4, bandwidth=0.1, density_discount=0.7, tol=1e-12, random_state=0)
    phi, psi = model.fit_transform(X, Y, density_x=fx, density_y=fy)
    a, b = model.weights_
    np.testing.assert_allclose(a, fx**-0.7 / (fx**-0.7).sum(), rtol=1e-14)
    P = np.asarray(model.plan_.plan)
    np.testing.assert_allclose(P.sum(axis=1), a, atol=1e-14)
    np.testing.assert_allclose(a @ phi, 0, atol=1e-12)
    np.testing.assert_allclose(phi.T @ (a[:, None] * phi), np.eye(4), atol=1e-11)
    np.testing.assert_allclose(psi.T @ (b[:, None] * psi), np.eye(4), atol=1e-11)
    np.testing.assert_allclose(phi.T @ P @ psi, np.diag(model.singular_values_[1:]), atol=1e-11)
    new_x, new_y = model.transform(X, Y)
    np.testing.assert_allclose(new_x, phi, atol=1e-8)
    np.testing.assert_allclose(new_y, psi, atol=1e-8)


def test_gaussian_density_is_the_formula():
    X = np.random.default_rng(0).normal(size=(50, 3))
    K = np.exp(-cdist(X, X, "sqeuclidean") / 0.7)
    np.fill_diagonal(K, 0)
    q = K.sum(axis=1) / 49
    np.testing.assert_allclose(algorithm.gaussian_density(X, 0.7), q / q.mean(), rtol=1e-11)


def test_isolated_samples_do_not_take_all_the_mass():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 2)), rng.normal(size=(40, 2))
    X[0] = 100.0
    with pytest.warns(UserWarning, match="next to 0 at 1 of the 40 samples of X"):
        model = EOTEigenmaps(2, bandwidth=2.0, density_discount=0.5, density_bandwidth=1.0).fit(X, Y)
    assert model.weights_[0].max() <= 1e3 * np.median(model.weights_[0])


def test_signs_are_joint_and_positive_at_the_largest_entry(torus):
    model = EOTEigenmaps(5, bandwidth=100.0, random_state=3).fit(torus.X, torus.Y)
    joint = np.vstack([model.embedding_x_, model.embedding_y_])
    assert (joint[np.abs(joint).argmax(axis=0), np.arange(5)] > 0).all()
    # The same sign on both sides: partners agree.
    P = np.asarray(model.plan_.plan)
    assert (np.diag(model.embedding_x_.T @ P @ model.embedding_y_) > 0).all()
