"""Metrics against direct computation and against their exact extremes."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from lapwing import metrics

RNG_SEED = 7


@pytest.fixture
def rng():
    return np.random.default_rng(RNG_SEED)


def nearest(Z, k):
    distance = cdist(Z, Z)
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


def test_jaccard_is_the_set_formula(rng):
    A = rng.normal(size=(60, 3))
    B = A + 0.7 * rng.normal(size=A.shape)
    k = 9
    expected = np.mean(
        [
            len(set(p) & set(q)) / len(set(p) | set(q))
            for p, q in zip(nearest(A, k), nearest(B, k), strict=True)
        ]
    )
    assert 0.1 < expected < 0.9
    assert metrics.jaccard_concordance(A, B, n_neighbors=k) == pytest.approx(expected, abs=1e-15)


def test_jaccard_of_an_isometry_is_one_and_of_all_neighbours_too(rng):
    A = rng.normal(size=(40, 2))
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    assert metrics.jaccard_concordance(A, 3.0 * A @ turn + 5.0, n_neighbors=10) == 1.0
    assert metrics.jaccard_concordance(A, rng.normal(size=A.shape), n_neighbors=39) == 1.0


def test_jaccard_leaves_the_sample_itself_out_where_rows_coincide():
    A = np.zeros((4, 1))
    A[2:] = 1.0
    # The only neighbour of each row is its twin, in either representation.
    assert metrics.jaccard_concordance(A, -A, n_neighbors=1) == 1.0


def test_davies_bouldin_of_two_groups_by_hand():
    Z = np.array([[0.0], [2.0], [10.0], [10.0], [16.0]])
    labels = [0, 0, 1, 1, 1]
    scatter = 1.0 + np.sqrt((4 + 4 + 16) / 3)
    assert metrics.davies_bouldin_rms(Z, labels) == pytest.approx(scatter / 11.0, rel=1e-14)


def test_davies_bouldin_is_infinite_for_equal_means(rng):
    half = rng.normal(size=(20, 2))
    half -= half.mean(axis=0)
    Z = np.vstack([half, half])
    assert metrics.davies_bouldin_rms(Z, np.repeat([0, 1], 20)) == np.inf


def test_davies_bouldin_does_not_depend_on_names_of_groups(rng):
    Z = rng.normal(size=(30, 3))
    codes = rng.integers(0, 3, size=30)
    names = np.array(["b", "a", "c"])[codes]
    assert metrics.davies_bouldin_rms(Z, names) == pytest.approx(
        metrics.davies_bouldin_rms(Z, codes), rel=1e-14
    )


def test_foscttm_by_hand(rng):
    Z1 = rng.normal(size=(15, 2))
    Z2 = Z1 + rng.normal(size=Z1.shape)
    D = cdist(Z1, Z2)
    match = np.diag(D)
    expected = np.mean([(match[:, None] > D).sum(1) / 14, (match[None] > D).sum(0) / 14])
    assert 0.0 < expected < 0.5
    assert metrics.foscttm(Z1, Z2) == pytest.approx(expected, abs=1e-15)


def test_foscttm_extremes():
    Z = np.arange(6.0)[:, None]
    assert metrics.foscttm(Z, Z) == 0.0
    assert metrics.foscttm(Z, np.zeros_like(Z)) == 0.5
    swapped = np.array([[1.0], [0.0]])
    assert metrics.foscttm(swapped, 1.0 - swapped) == 1.0


def test_mixing_score_extremes_and_expectation(rng):
    Z = rng.normal(size=(300, 2))
    batch = np.repeat([0, 1], [100, 200])
    assert metrics.mixing_score(Z + 1e3 * batch[:, None], batch, n_neighbors=20) == 0.0
    # With all other samples as neighbours the fraction is exactly its expectation.
    assert metrics.mixing_score(Z, batch, n_neighbors=299) == pytest.approx(1.0, abs=1e-14)
    neighbors = nearest(Z, 20)
    fraction = (batch[neighbors] != batch[:, None]).mean(axis=1)
    expected = np.mean(fraction / np.where(batch == 0, 200 / 299, 100 / 299))
    assert metrics.mixing_score(Z, batch, n_neighbors=20) == pytest.approx(expected, abs=1e-14)


def test_label_transfer_votes_of_neighbours(rng):
    train, test = rng.normal(size=(50, 2)), rng.normal(size=(30, 2))
    labels = rng.integers(0, 3, size=50)
    truth = rng.integers(0, 3, size=30)
    order = np.argsort(cdist(test, train), axis=1)[:, :5]
    votes = np.array([np.bincount(labels[row], minlength=3).argmax() for row in order])
    assert metrics.label_transfer_accuracy(train, labels, test, truth, n_neighbors=5) == np.mean(
        votes == truth
    )
    assert metrics.label_transfer_accuracy(train, labels, test, votes, n_neighbors=5) == 1.0


GOOD = np.arange(12.0).reshape(6, 2)
LABELS = [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: metrics.jaccard_concordance(GOOD, GOOD[:5], n_neighbors=2),
            "A and B must have the same number",
        ),
        (
            lambda: metrics.jaccard_concordance(GOOD[0], GOOD, n_neighbors=2),
            "A must be a non-empty 2-D array",
        ),
        (
            lambda: metrics.jaccard_concordance(GOOD, GOOD, n_neighbors=6),
            "n_neighbors must be an integer between 1",
        ),
        (lambda: metrics.jaccard_concordance(GOOD, GOOD, n_neighbors=0), "n_neighbors"),
        (lambda: metrics.jaccard_concordance(GOOD, GOOD, n_neighbors=2.0), "n_neighbors"),
        (lambda: metrics.jaccard_concordance(GOOD, np.full((6, 2), np.nan)), "B must be finite, row 0"),
        (lambda: metrics.davies_bouldin_rms(GOOD, [0] * 6), "at least two groups"),
        (lambda: metrics.davies_bouldin_rms(GOOD, LABELS[:5]), r"labels must have shape \(6,\)"),
        (lambda: metrics.davies_bouldin_rms(np.zeros((0, 2)), []), "Z must be a non-empty"),
        (lambda: metrics.foscttm(GOOD, GOOD[:, :1]), "Z1 and Z2 must have the same shape"),
        (lambda: metrics.foscttm(GOOD[:1], GOOD[:1]), "at least two rows"),
        (lambda: metrics.mixing_score(GOOD, [0] * 6, n_neighbors=2), "at least two datasets"),
        (lambda: metrics.mixing_score(GOOD, LABELS, n_neighbors=50), "n_neighbors"),
        (
            lambda: metrics.label_transfer_accuracy(GOOD, LABELS, GOOD[:, :1], LABELS, n_neighbors=2),
            "columns",
        ),
        (
            lambda: metrics.label_transfer_accuracy(GOOD, LABELS, GOOD, LABELS[:3], n_neighbors=2),
            "labels_test",
        ),
        (lambda: metrics.label_transfer_accuracy(GOOD, LABELS, GOOD, LABELS, n_neighbors=7), "n_neighbors"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_complex_points_are_a_type_error():
    with pytest.raises(TypeError, match="Z must be real"):
        metrics.mixing_score(GOOD * 1j, LABELS, n_neighbors=2)
