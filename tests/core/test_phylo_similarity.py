"""Similarities of sequences against site by site counts and matrix exponentials."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from lapwing import _core, graph
from lapwing.phylo import Tree, distance_matrix, similarity_matrix, similarity_operator
from lapwing.phylo._similarity import encode, sites_of
from lapwing.trees import birth_death, kingman, simulate_sequences

pytestmark = pytest.mark.filterwarnings("ignore:similarities are saturated")


def sequences(seed: int, m: int, n: int, k: int, gaps: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    base = rng.integers(0, k, n)
    X = np.where(rng.random((m, n)) < 0.7, base, rng.integers(0, k, (m, n)))
    X = np.where(rng.random((m, n)) < gaps, -1, X)
    X[:, 0] = np.arange(m) % k
    return X


def joint_counts(a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
    C = np.zeros((k, k), dtype=np.int64)
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        if x >= 0 and y >= 0:
            C[x, y] += 1
    return C


def plain_jc(C: np.ndarray, k: int, alpha: float, gamma: float | None) -> float:
    p = 1 - np.trace(C) / C.sum()
    b = 1 - p * k / (k - 1)
    if b < 0.41 * k / (k - 1) / C.sum():  # 0 for all the sites can tell
        return 0.0
    d = -(k - 1) / k * np.log(b) if gamma is None else (k - 1) / k * gamma * (b ** (-1 / gamma) - 1)
    return float(np.exp(-k * alpha * d))


def plain_tn93(C: np.ndarray, g: np.ndarray, alpha: float, gamma: float | None) -> float:
    n = C.sum()
    A, Cc, G, T = range(4)
    gR, gY = g[A] + g[G], g[Cc] + g[T]
    P1, P2 = (C[A, G] + C[G, A]) / n, (C[Cc, T] + C[T, Cc]) / n
    Q = 1 - np.trace(C) / n - P1 - P2
    terms = [
        (g[A] * g[G] / gR, 1 - gR / (2 * g[A] * g[G]) * P1 - Q / (2 * gR)),
        (g[T] * g[Cc] / gY, 1 - gY / (2 * g[T] * g[Cc]) * P2 - Q / (2 * gY)),
        (gR * gY - g[A] * g[G] * gY / gR - g[T] * g[Cc] * gR / gY, 1 - Q / (2 * gR * gY)),
    ]
    steps = [
        max(gR / (2 * g[A] * g[G]), 1 / (2 * gR)),
        max(gY / (2 * g[T] * g[Cc]), 1 / (2 * gY)),
        1 / (2 * gR * gY),
    ]
    if any(x < 0.41 * step / n for (_, x), step in zip(terms, steps, strict=True)):
        return 0.0
    d = 2 * sum(e * (-np.log(x) if gamma is None else gamma * (x ** (-1 / gamma) - 1)) for e, x in terms)
    return float(np.exp(-4 * alpha * d))


@given(
    st.integers(2, 9), st.integers(1, 150), st.sampled_from([2, 3, 4, 5, 20, 33]), st.integers(0, 10**6),
    st.sampled_from([None, 0.5, 3.0]), st.sampled_from([1.0, 0.4]),
)  # fmt: skip
def test_jc69(m: int, n: int, k: int, seed: int, gamma: float | None, alpha: float) -> None:
    X = sequences(seed, m, n + 1, k)
    S, info = similarity_matrix(X, n_states=k, gamma=gamma, alpha=alpha, on_no_overlap="saturate")
    assert info.scale == k
    zero = 0
    for i in range(m):
        assert S[i, i] == 1
        for j in range(i):
            C = joint_counts(X[i], X[j], k)
            expected = plain_jc(C, k, alpha, gamma) if C.sum() else 0.0
            # b = 1 - p k / (k - 1) cancels: one rounding, raised to a power of up to k / gamma
            assert np.isclose(S[i, j], expected, rtol=1e-9, atol=1e-300)
            zero += expected == 0
    assert info.saturated == zero
    assert np.array_equal(S, S.T)


@given(st.integers(2, 8), st.integers(20, 300), st.integers(0, 10**6), st.sampled_from([None, 0.7]))
def test_tn93(m: int, n: int, seed: int, gamma: float | None) -> None:
    X = sequences(seed, m, n, 4)
    frequency = np.array([[np.mean(row[row >= 0] == x) for x in range(4)] for row in X])
    pooled = np.array([np.mean(X[X >= 0] == x) for x in range(4)])
    for which in ("pair", "pooled"):
        S, info = similarity_matrix(X, "tn93", gamma=gamma, frequencies=which)
        assert info.scale == 4
        for i in range(m):
            for j in range(i):
                g = (frequency[i] + frequency[j]) / 2 if which == "pair" else pooled
                if (g == 0).any():
                    continue
                expected = plain_tn93(joint_counts(X[i], X[j], 4), g, 1.0, gamma)
                assert np.isclose(S[i, j], expected, rtol=1e-8, atol=1e-300)


@given(st.integers(2, 6), st.integers(30, 300), st.sampled_from([2, 4, 6, 7, 12]), st.integers(0, 10**6))
def test_logdet(m: int, n: int, k: int, seed: int) -> None:
    X = sequences(seed, m, n, k)
    for pseudo in (0.0, 0.5):
        S, info = similarity_matrix(X, "logdet", n_states=k, pseudocount=pseudo)
        assert info.scale is None
        for i in range(m):
            for j in range(i):
                C = joint_counts(X[i], X[j], k) + pseudo
                kept = (C.sum(0) > 0) | (C.sum(1) > 0)
                C = C[np.ix_(kept, kept)] / C.sum()
                f, h = C.sum(1), C.sum(0)
                det = float(np.linalg.det(C)) if (f > 0).all() and (h > 0).all() else 0.0
                expected = det / np.sqrt(f.prod() * h.prod()) if det > 0 else 0.0
                # a determinant near 0 is lost in roundings of the order of its terms
                assert np.isclose(S[i, j], min(max(expected, 0), 1), rtol=1e-7, atol=1e-12)


def hky(pi: np.ndarray, kappa: float) -> np.ndarray:
    Q = np.tile(pi, (4, 1))
    for x, y in ((0, 2), (2, 0), (1, 3), (3, 1)):
        Q[x, y] *= kappa
    np.fill_diagonal(Q, 0)
    np.fill_diagonal(Q, -Q.sum(1))
    return np.asarray(Q / -(pi @ np.diagonal(Q)))


def from_joint(J: np.ndarray, n: int) -> np.ndarray:
    """Two sequences whose joint frequencies are those of J, as near as n sites allow."""
    counts = np.round(J * n).astype(int)
    pairs = np.repeat(np.arange(J.size), counts.ravel())
    return np.stack([pairs // len(J), pairs % len(J)])


@pytest.mark.parametrize("t", [0.05, 0.3, 0.8])
def test_exact_joint_laws_give_the_distance(t: float) -> None:
    n = 2_000_000  # counts are rounded: 16 of them, each by less than a half
    pi = np.array([0.35, 0.15, 0.3, 0.2])
    X = from_joint(pi[:, None] * expm(hky(pi, 2.5) * t), n)
    S, info = similarity_matrix(X, "tn93")
    assert -np.log(S[0, 1]) / info.scale == pytest.approx(t, rel=2e-4)
    even = np.full(4, 0.25)
    J = expm(hky(even, 1.0) * t) / 4
    S, info = similarity_matrix(from_joint(J, n))
    assert -np.log(S[0, 1]) / info.scale == pytest.approx(t, rel=2e-4)
    assert S[0, 1] == pytest.approx(np.linalg.det(4 * J), rel=1e-3)  # det P = exp(-k t)
    S, _ = similarity_matrix(from_joint(J, n), "logdet")
    assert S[0, 1] == pytest.approx(np.exp(-4 * t), rel=1e-3)
    # gamma rates: the mean of exp(-4 t r / 3) is a power
    a = 0.6
    p = 0.75 * (1 - (1 + 4 * t / (3 * a)) ** -a)
    J = np.full((4, 4), p / 12)
    np.fill_diagonal(J, (1 - p) / 4)
    S, info = similarity_matrix(from_joint(J, n), gamma=a)
    assert -np.log(S[0, 1]) / info.scale == pytest.approx(t, rel=5e-4)


@pytest.mark.parametrize("k", [2, 3, 5, 20])
@pytest.mark.parametrize("t", [0.05, 0.3])
def test_exact_joint_laws_of_k_states(k: int, t: float) -> None:
    """det P(t) = exp(-k t), t in substitutions a site, for k states that are all alike."""
    P = expm((np.full((k, k), 1 / k) - np.eye(k)) * k / (k - 1) * t)
    S, info = similarity_matrix(from_joint(P / k, 4_000_000), n_states=k)
    assert np.linalg.det(P) == pytest.approx(np.exp(-k * t), rel=1e-12)
    assert S[0, 1] == pytest.approx(np.exp(-k * t), rel=2e-3)  # counts are rounded
    assert info.scale == k
    S, _ = similarity_matrix(from_joint(P / k, 4_000_000), "logdet", n_states=k)
    assert S[0, 1] == pytest.approx(np.exp(-k * t), rel=2e-3)


def test_compositions_without_some_states() -> None:
    S, _ = similarity_matrix(["AGAGAGAAGG", "AGAAAGAAGG"], "tn93")  # purines alone
    assert 0 < S[0, 1] < 1
    S, _ = similarity_matrix(["ACACACAACC", "ACACACAAAC"], "tn93")  # one purine, one pyrimidine
    assert 0 < S[0, 1] < 1
    S, _ = similarity_matrix(["AAAAAAAAAC", "AAAAAAAAAA", "AAAAAAAAAA"], "tn93")
    assert S[1, 2] == 1
    S, _ = similarity_matrix(["ACACACAACC", "ACACACAAAC"], "logdet")
    assert 0 < S[0, 1] < 1


@pytest.mark.parametrize("model", ["jc69", "tn93", "logdet"])
def test_threads_and_sets_of_instructions(model: str) -> None:
    X = sequences(5, 150, 1000, 4)
    one, _ = similarity_matrix(X, model, n_jobs=1)
    for n_jobs in (2, 4):
        assert np.array_equal(one, similarity_matrix(X, model, n_jobs=n_jobs)[0])
    try:
        for level in _core.build_info()["isa"]:
            try:
                _core.set_isa(level)
            except ValueError:
                continue
            assert np.array_equal(one, similarity_matrix(X, model)[0])  # counts are exact
    finally:
        _core.set_isa(None)


@pytest.mark.parametrize("model", ["jc69", "tn93", "logdet"])
def test_invariance(model: str) -> None:
    X = sequences(6, 30, 300, 4)
    S, _ = similarity_matrix(X, model)
    order = np.random.default_rng(0).permutation(30)
    again = similarity_matrix(X[order], model)[0]
    assert np.allclose(again, S[np.ix_(order, order)], rtol=1e-12, atol=1e-15)  # C_ij and its transpose
    twice, _ = similarity_matrix(np.hstack([X, X]), model)
    assert np.allclose(twice, S, rtol=1e-12)
    squared, _ = similarity_matrix(X, model, alpha=2.0)
    assert np.allclose(squared, S**2, rtol=1e-12)
    if model != "tn93":  # names of states mean nothing
        other = np.array([2, 0, 3, 1, -1])[X]
        assert np.allclose(similarity_matrix(other, model)[0], S, rtol=1e-9, atol=1e-15)


def test_gaussian() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 100)) + rng.normal(size=100)
    S, _ = similarity_matrix(X, "correlation")
    assert np.allclose(S, np.abs(np.corrcoef(X)), atol=1e-12)
    assert np.array_equal(S, similarity_matrix(X, "correlation", n_jobs=1)[0])
    assert np.allclose(S, similarity_matrix(X, "gaussian_det")[0])
    Y = rng.normal(size=(6, 400, 3)) + rng.normal(size=(400, 3))
    S, _ = similarity_matrix(Y, "gaussian_det")
    Z = Y - Y.mean(axis=1, keepdims=True)
    for i in range(6):
        for j in range(i):
            det = [np.linalg.det(Z[a].T @ Z[b]) for a, b in ((i, j), (i, i), (j, j))]
            assert S[i, j] == pytest.approx(abs(det[0]) / np.sqrt(det[1] * det[2]), rel=1e-9)
    with pytest.raises(ValueError, match="X has constant rows: 3"):
        similarity_matrix(np.where(np.arange(20)[:, None] == 3, 1.7, X), "correlation")
    X[2, 5] = np.nan
    with pytest.raises(ValueError, match=r"1 entries are not, the first X\[2, 5\]"):
        similarity_matrix(X, "correlation")
    with pytest.raises(ValueError, match="2-D"):
        similarity_matrix(Y, "correlation")


def test_letters() -> None:
    codes, k, unknown = encode(["ACGTU-n?", "acgtuRYX"])
    assert k == 4
    assert unknown == 0
    assert codes[0].tolist() == [0, 1, 2, 3, 3, 255, 255, 255]
    assert codes[1].tolist() == codes[0].tolist()
    matrix = np.array([list("ACGTU-n?"), list("acgtuRYX")])
    assert np.array_equal(encode(matrix)[0], codes)
    assert np.array_equal(encode(matrix.astype("S1"))[0], codes)
    assert np.array_equal(encode(matrix.astype(object))[0], codes)
    assert encode(["MKVLAAGI", "MKV-XBZI"])[1] == 20
    assert encode(["0110?", "01-11"])[1] == 2
    assert encode(["ABCD4", "ABCD5"])[1] == 6
    assert encode(["ACGT*", "ACGT*"], missing="*")[1] == 4
    assert encode(["ACGTJ", "ACGTA"], n_states=4)[2] == 1
    assert encode([[0, 1, 2], [3, -1, 9]], missing=9)[1] == 4
    assert encode(np.array([[0.0, np.nan], [1.0, 2.0]]))[0].tolist() == [[0, 255], [1, 2]]
    with pytest.warns(UserWarning, match="1 unknown characters"):
        similarity_matrix(["ACGTJ", "ACGAA"], n_states=4)


@pytest.mark.parametrize(
    ("X", "options", "words"),
    [
        (["ACGT", "ACG"], {}, r"X\[1\] has 3 sites and X\[0\] 4"),
        (["ACGT"], {}, "need at least 2 leaves, got 1"),
        (["", ""], {}, "empty"),
        (["AAAA", "AAAA"], {}, "no variation"),
        (["ACGT", "----", "ACGA", "NNNN"], {}, "rows in which all sites are missing: 1, 3"),
        (
            ["A---", "-CGT", "ACGT"],
            {},
            r"1 pairs of leaves have fewer than 1 joint sites, the first \(0, 1\)",
        ),
        (["ACGT", "ACGA"], {"min_overlap": 5}, "fewer than 5 joint sites"),
        (["!!!!", "!!!A"], {"n_states": 4}, "more than half of X"),
        ([[0, 1], [1, 7]], {"n_states": 4}, "state 7, but n_states is 4"),
        ([[0, 1], [1, -3]], {}, r"X\[1, 1\] is -3"),
        ([[0, 1], [1, 70]], {}, "more than 64"),
        (np.zeros((0, 4), dtype=int), {}, "empty"),
        (["ACGT", "ACGA"], {"model": "best"}, "model must be one of"),
        (["ACGT", "ACGA"], {"alpha": 0}, "alpha must be > 0"),
        (["ACGT", "ACGA"], {"gamma": -1.0}, "gamma must be > 0"),
        (["ACGT", "ACGA"], {"model": "logdet", "gamma": 1.0}, "gamma is for"),
        (["ACGT", "ACGA"], {"model": "tn93", "n_states": 20}, "'tn93' is for 4 states"),
        (["ACGT", "ACGA"], {"frequencies": "all"}, "frequencies must be one of"),
        (["ACGT", "ACGA"], {"on_no_overlap": "skip"}, "on_no_overlap must be one of"),
        (["ABCD", "ABCE"], {"n_states": 3}, "n_states is 3, but X has 5 states"),
    ],
)
def test_bad_input(X: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        similarity_matrix(X, **options)


def test_wrong_types() -> None:
    with pytest.raises(TypeError, match="real numbers, this model needs states"):
        similarity_matrix(np.random.default_rng(0).normal(size=(4, 9)))
    with pytest.raises(ValueError, match="some are longer"):
        similarity_matrix(np.array([["AC", "G"], ["A", "G"]]))
    with pytest.raises(TypeError, match="n_states must be an integer"):
        similarity_matrix(["ACGT", "ACGA"], n_states=4.0)
    with pytest.raises(TypeError, match="missing must be a single character"):
        similarity_matrix(["ACGT", "ACGA"], missing=3)


def test_saturation() -> None:
    X = simulate_sequences(kingman(40), 300, rate=40.0)
    with pytest.warns(UserWarning, match="similarities are saturated"):
        S, info = similarity_matrix(X)
    assert info.saturated == (S == 0).sum() // 2 > 40 * 39 / 4
    D = distance_matrix(S)
    assert (D[S == 0] == D.max()).all()
    assert np.isfinite(D).all()
    assert np.allclose(D[S > 0], -np.log(S[S > 0]))
    assert np.array_equal(distance_matrix(S, scale=2.0), D / 2)
    assert info.resolved == pytest.approx(1.5 * np.log(100), rel=0.05)
    assert np.array_equal(distance_matrix(S, cap=info.resolved), np.minimum(D, info.resolved))
    with pytest.raises(ValueError, match="cap must be > 0"):
        distance_matrix(S, cap=0.0)


@pytest.mark.parametrize(("k", "gamma"), [(4, None), (2, None), (20, None), (4, 0.8)])
def test_what_the_sites_resolve(k: int, gamma: float | None) -> None:
    """At this distance the estimates of pairs spread by as much as their mean."""
    n, pairs = 1000, 400
    tree = Tree([2, 2, -1], [0.5, 0.5, 0])
    info = similarity_matrix(simulate_sequences(tree, n, n_states=k), n_states=k, gamma=gamma)[1]
    assert info.resolved is not None
    far = Tree([2, 2, -1], [info.resolved / k / 2, info.resolved / k / 2, 0])
    rng = np.random.default_rng(0)
    X = [simulate_sequences(far, n, n_states=k, gamma=gamma, random_state=rng) for _ in range(pairs)]
    p = np.array([(x[0] != x[1]).mean() for x in X])
    b = 1 - p * k / (k - 1)  # the relative error of b^(k - 1) is k - 1 times that of b
    assert (k - 1) * b.std() / b.mean() == pytest.approx(
        1.0, rel=0.2
    )  # 400 pairs: to 4 %; b is not quite normal


def test_a_function_makes_the_matrix() -> None:
    S, info = similarity_matrix([1.0, 2.0, 4.0], lambda x: np.exp(-np.abs(np.subtract.outer(x, x))))
    assert S[0, 2] == np.exp(-3.0)
    assert info.scale is None
    with pytest.raises(ValueError, match="the result of model"):
        similarity_matrix([1.0, 2.0], lambda x: np.subtract.outer(x, x))


@pytest.mark.parametrize("model", ["jc69", "tn93", "logdet"])
@pytest.mark.parametrize("states", [4, 7])
def test_some_to_others(model: str, states: int) -> None:
    """Between two sets of leaves: the block of the whole matrix, to the last bit; but a determinant of the
    transposed counts is rounded differently."""
    if model == "tn93" and states != 4:
        pytest.skip("tn93 is for four states")
    rng = np.random.default_rng(states)
    X = sequences(states, 150, 333, states)
    S, _ = similarity_matrix(X, model, n_states=states)
    rows, columns = rng.permutation(150)[:70], rng.permutation(150)[:131]
    for n_jobs in (1, 2, 4):
        sites = sites_of(X, model, n_states=states, n_jobs=n_jobs)
        assert np.allclose(
            sites.between(rows, columns), S[np.ix_(rows, columns)], rtol=1e-12 * (model == "logdet"), atol=0
        )
        assert np.allclose(
            sites.matrix(rows)[0], S[np.ix_(rows, rows)], rtol=1e-12 * (model == "logdet"), atol=0
        )
        assert np.array_equal(
            sites.between(rows, columns), sites_of(X, model, n_states=states).between(rows, columns)
        )
    X[3, :200] = -1
    X[90, 200:] = -1
    sites = sites_of(X, model, n_states=states)
    with pytest.raises(ValueError, match=r"1 pairs of leaves have fewer than 1 joint sites.*\(3, 90\)"):
        sites.between(np.array([90, 2]), np.array([0, 3, 7]))


@pytest.mark.parametrize("model", ["jc69", "tn93", "logdet", "correlation"])
def test_single_precision(model: str) -> None:
    """Each similarity is the double one, rounded once."""
    X: Any = sequences(8, 100, 400, 4)
    if model == "correlation":
        X = np.random.default_rng(0).normal(size=(100, 50)) + np.arange(50.0)
    S, info = similarity_matrix(X, model)
    single, other = similarity_matrix(X, model, dtype="float32")
    assert single.dtype == np.float32
    assert np.array_equal(single, S.astype(np.float32))
    assert info == other
    assert np.array_equal(single, similarity_matrix(X, model, dtype=np.float32, n_jobs=1)[0])
    D = np.empty_like(single)
    _core.phylo_distances(single, D, 2)
    assert np.allclose(D, distance_matrix(S), rtol=3e-7, atol=2e-7)
    facts = _core.phylo_inspect(single, 2)
    for name, value in _core.phylo_inspect(single.astype(np.float64), 1).items():
        assert facts[name] == value
    single[70, 3] = 2.0
    single[5, 80] = np.nan
    assert _core.phylo_inspect(single, 2)["first_bad"] == 580
    for bad in ("float16", "int32", None):
        with pytest.raises(ValueError, match="dtype must be 'float64' or 'float32'"):
            similarity_matrix(X, model, dtype=bad)
    with pytest.raises(TypeError, match="dtype must be"):
        similarity_matrix(X, model, dtype="double trouble")


def test_lengths_of_a_known_process() -> None:
    """log det of the transition matrix falls by -trace Q in a unit of time."""
    pi = np.array([0.4, 0.3, 0.2, 0.1])
    Q = np.array([[0, 1, 2, 1], [1, 0, 1, 3], [2, 1, 0, 1], [1, 3, 1, 0]]) * pi[None, :]
    Q -= np.diag(Q.sum(axis=1))
    Q /= -(pi @ np.diagonal(Q))
    tree = birth_death(6, random_state=1)
    exchange = [1, 2, 1, 1, 3, 1]
    X = simulate_sequences(
        tree, 200_000, model="gtr", exchange=exchange, frequencies=pi, rate=0.05, random_state=2
    )
    S, info = similarity_matrix(X, "logdet", rates=Q)
    assert info.scale == pytest.approx(-np.trace(Q))
    found = distance_matrix(S, scale=info.scale)
    assert np.allclose(found, 0.05 * tree.path_lengths(), rtol=0.02)
    assert similarity_matrix(X[:, :50], "logdet")[1].scale is None
    for bad, words in (
        (Q[:3, :3], r"rates must have shape \(4, 4\)"),
        (-Q, "rates must not be negative"),
        (np.zeros((4, 4)), "not all 0"),
        (Q + np.eye(4), "rows must sum to 0"),
    ):
        with pytest.raises(ValueError, match=words):
            similarity_matrix(X[:, :50], "logdet", rates=bad)
    with pytest.raises(ValueError, match="rates are for 'logdet'"):
        similarity_matrix(X[:, :50], "jc69", rates=Q)


@pytest.mark.parametrize("model", ["jc69", "tn93", "logdet"])
def test_products_without_the_matrix(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X = sequences(9, 130, 300, 4)
    S, info = similarity_matrix(X, model)
    operator = similarity_operator(X, model)
    v = np.random.default_rng(0).normal(size=(130, 3))
    whole = operator.matmat(v)
    assert np.allclose(whole, S @ v, rtol=1e-12, atol=1e-12)
    assert np.allclose(operator.degree, S.sum(axis=1), rtol=1e-12)
    monkeypatch.setattr("lapwing.phylo._similarity.TILE_ENTRIES", 7 * 130)
    assert np.array_equal(similarity_operator(X, model, n_jobs=1) @ v, whole)
    assert np.array_equal(operator @ v[:, 0], operator.matvec(v[:, 0]))
    assert operator.info.resolved == info.resolved
    value, vector, _ = graph.fiedler_vector(operator, degree=operator.degree)
    other = graph.fiedler_vector(S)
    assert value == pytest.approx(other.value, rel=1e-6)
    assert np.abs(vector - other.vector).max() < 1e-3
    with pytest.raises(ValueError, match="x must have 130 rows"):
        operator.matmat(v[:5])
    with pytest.raises(ValueError, match="frequencies must be"):
        similarity_operator(X, model, frequencies="pooled")
    with pytest.raises(ValueError, match="model must be one of"):
        similarity_operator(X, "correlation")
