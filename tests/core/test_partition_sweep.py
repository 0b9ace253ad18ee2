"""Sweep cuts and the measures of cuts, against their definitions."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from lapwing import graph

OBJECTIVES = ("cut", "ratio", "ncut", "conductance")


def value(W, mask, objective, weight):
    W = W - np.diag(np.diag(W))
    cut, d = W[np.ix_(mask, ~mask)].sum(), W.sum(0)
    a, b, va, vb = weight[mask].sum(), weight[~mask].sum(), d[mask].sum(), d[~mask].sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        answer = {
            "cut": cut,
            "ratio": cut / a + cut / b,
            "ncut": cut / va + cut / vb,
            "conductance": cut / min(va, vb),
        }[objective]
    return answer if answer >= 0 else np.inf


def random_graph(seed, n):
    rng = np.random.default_rng(seed)
    W = np.triu((rng.random((n, n)) < 0.4) * rng.gamma(1.0, size=(n, n)), 1)
    W = W + W.T + np.diag(rng.gamma(1.0, size=n))
    return W, rng


@given(st.integers(0, 10**6), st.integers(2, 15), st.sampled_from(OBJECTIVES), st.booleans())
def test_profile_is_brute_force(seed, n, objective, ties):
    W, rng = random_graph(seed, n)
    v = rng.normal(size=n)
    if ties:
        v = np.round(v)
    weight = rng.gamma(1.0, size=n)
    mask, best, profile = graph.sweep_cut(W, v, objective=objective, node_weight=weight)
    order = np.lexsort((np.arange(n), v))
    expected = []
    for p in range(1, n):
        side = np.zeros(n, bool)
        side[order[:p]] = True
        expected.append(value(W, side, objective, weight))
    np.testing.assert_allclose(profile, expected, rtol=1e-9, atol=1e-12)
    assert 0 < mask.sum() < n
    assert best == pytest.approx(value(W, mask, objective, weight), rel=1e-9, abs=1e-12)
    ends = [p for p in range(1, n) if v[order[p - 1]] != v[order[p]]]
    allowed = ends or range(1, n)
    assert best == pytest.approx(min(expected[p - 1] for p in allowed), rel=1e-9, abs=1e-12)
    if ends:
        assert v[mask].max() < v[~mask].min()


@given(st.integers(0, 10**6), st.integers(4, 15), st.floats(0.0, 0.5))
def test_least_share_of_the_weight(seed, n, share):
    W, rng = random_graph(seed, n)
    mask, best, profile = graph.sweep_cut(W, rng.normal(size=n), objective="cut", min_fraction=share)
    sizes = np.arange(1, n)
    allowed = (np.minimum(sizes, n - sizes) >= share * n * (1 - 1e-12)).nonzero()[0]
    if len(allowed):
        assert min(mask.sum(), n - mask.sum()) >= share * n * (1 - 1e-12)
        assert best == pytest.approx(profile[allowed].min(), abs=1e-12)
    else:
        assert mask.sum() in (n // 2, n - n // 2)


def test_ties_are_broken_by_balance():
    W = np.diag(np.ones(6), 1) + np.diag(np.ones(6), -1)
    mask, best, _ = graph.sweep_cut(W, np.arange(7.0), objective="cut")
    assert best == 1.0
    assert mask.sum() == 3
    mask, _, _ = graph.sweep_cut(W, np.zeros(7), objective="cut")  # one block: balance, by node
    assert mask.sum() in (3, 4)


def test_no_drift_over_many_edges():
    """Prefix sums of 3e5 differences of weights over twelve decades end where a plain sum of the cut is."""
    n = 100_000
    rng = np.random.default_rng(0)
    weights = 10.0 ** rng.uniform(-6, 6, n - 1)
    W = sp.diags_array([weights, weights], offsets=[1, -1]).tocsr()
    _, best, profile = graph.sweep_cut(W, np.arange(float(n)), objective="cut")
    np.testing.assert_allclose(profile, weights, rtol=1e-9)
    assert best == pytest.approx(weights.min(), rel=1e-9)


def test_same_bits_for_any_number_of_threads():
    n = 30_000
    rng = np.random.default_rng(1)
    i, j = rng.integers(0, n, (2, 3 * n))
    W = sp.csr_array((rng.gamma(1.0, size=3 * n), (i, j)), (n, n))
    W = W + W.T
    v = rng.normal(size=n)
    runs = [graph.sweep_cut(W, v, n_jobs=t) for t in (1, 2, 4)]
    assert all((r.profile == runs[0].profile).all() and r.value == runs[0].value for r in runs)


@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 4))
def test_metrics_are_their_definitions(seed, n, k):
    W, rng = random_graph(seed, n)
    k = min(k, n)
    labels = rng.permutation(np.arange(n) % k)
    weight = rng.integers(1, 5, n).astype(float)
    for loops in (False, True):
        m = graph.cut_metrics(W, labels, node_weight=weight, self_loops=loops)
        A = W - np.diag(np.diag(W))
        d = A.sum(0) + (np.diag(W) if loops else 0)
        leave = np.array([A[np.ix_(labels == p, labels != p)].sum() for p in range(k)])
        w = np.array([weight[labels == p].sum() for p in range(k)])
        vol = np.array([d[labels == p].sum() for p in range(k)])
        assert m.n_parts == k
        assert m.cut == pytest.approx(leave.sum() / 2, abs=1e-12)
        np.testing.assert_allclose(m.part_weights, w)
        np.testing.assert_allclose(m.volumes, vol, atol=1e-12)
        cuts = leave > 0
        assert m.ratio_cut == pytest.approx((leave[cuts] / w[cuts]).sum())
        assert m.ncut == pytest.approx((leave[cuts] / vol[cuts]).sum())
        rest = np.minimum(vol, d.sum() - vol)
        assert m.conductance == pytest.approx((leave[cuts] / rest[cuts]).max(initial=0.0))
        assert m.imbalance == pytest.approx(w.max() / np.ceil(weight.sum() / k) - 1)
        G = nx.from_numpy_array(A)
        pieces = [nx.number_connected_components(G.subgraph(np.flatnonzero(labels == p))) for p in range(k)]
        assert m.pieces.tolist() == pieces
        assert m.boundary_size == sum((A[i] * (labels != labels[i])).any() for i in range(n))


def test_self_loops_of_a_sweep():
    W = np.array([[5.0, 1.0, 0.0], [1.0, 0.0, 2.0], [0.0, 2.0, 0.0]])
    v = np.array([0.0, 1.0, 2.0])
    assert graph.sweep_cut(W, v).profile.tolist() == [1.0, 1.0]
    assert graph.sweep_cut(W, v, self_loops=True).profile.tolist() == [1.0 / 5.0, 1.0]


def test_bad_arguments():
    W = np.ones((4, 4))
    for change, text in [
        ({"v": np.zeros(3)}, r"v must have shape \(4,\)"),
        ({"v": [0, 1, np.nan, 2]}, r"v must be finite, but v\[2\]"),
        ({"objective": "size"}, "objective must be one of"),
        ({"min_fraction": 0.7}, "min_fraction must be at most 0.5"),
        ({"min_fraction": -1}, "min_fraction must be >= 0"),
        ({"node_weight": np.zeros(4)}, "node_weight has no positive weight"),
    ]:
        with pytest.raises(ValueError, match=text):
            graph.sweep_cut(W, **{"v": np.arange(4.0), **change})
    with pytest.raises(ValueError, match="at least 2 nodes"):
        graph.sweep_cut([[0.0]], [1.0])
