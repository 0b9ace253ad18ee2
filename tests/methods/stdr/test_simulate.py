"""Simulated trees and sequences have the laws that they should have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm

from lapwing.trees import (
    Tree,
    balanced,
    birth_death,
    caterpillar,
    kingman,
    population_similarity,
    simulate_gaussian,
    simulate_sequences,
    simulate_tree,
)


@pytest.mark.parametrize("make", [kingman, birth_death, lambda m, **_: caterpillar(m)])
@pytest.mark.parametrize("m", [2, 3, 10, 200])
def test_trees_are_binary_and_rooted(make: Any, m: int) -> None:
    tree = make(m, random_state=3)
    assert tree.n_leaves == m
    assert tree.n_nodes == 2 * m - 1
    assert tree.rooted
    assert tree.binary
    assert (tree.length[:-1] >= 0).all()
    if make in (kingman, birth_death):
        assert np.allclose(tree.depths()[:m], tree.depths()[0])
        assert make(m, random_state=3) == tree


def plain_kingman(m: int, rng: np.random.Generator) -> np.ndarray:
    """Distances of the leaves, by the recipe that the recorded figures were made with."""
    D, lineages, now = np.zeros((m, m)), [[i] for i in range(m)], 0.0
    while len(lineages) > 1:
        k = len(lineages)
        now += rng.exponential(2 / (k * (k - 1)))
        i, j = rng.choice(k, 2, replace=False)
        one, two = lineages[i], lineages[j]
        D[np.ix_(one, two)] = D[np.ix_(two, one)] = 2 * now
        lineages = [x for a, x in enumerate(lineages) if a not in (i, j)] + [one + two]
    return D


def plain_yule(m: int, rng: np.random.Generator) -> np.ndarray:
    tips: list[list[tuple[int, int]]] = [[(0, 0)], [(0, 1)]]  # turns at the splits on the way from the root
    times = [0.0]
    while len(tips) < m:
        times.append(times[-1] + rng.exponential(1 / (0.5 * len(tips))))
        at = int(rng.integers(len(tips)))
        way, split = tips[at], len(times) - 1
        tips[at] = [*way, (split, 0)]
        tips.append([*way, (split, 1)])
    end = times[-1] + rng.exponential(1 / (0.5 * m))
    D = np.zeros((m, m))
    for i in range(m):
        for j in range(i):
            apart = next(a[0] for a, b in zip(tips[i], tips[j], strict=False) if a != b)
            D[i, j] = D[j, i] = 2 * (end - times[apart])
    return D


@pytest.mark.parametrize("seed", range(5))
def test_recipes(seed: int) -> None:
    """The same trees and sequences from the same seeds as ever, draw by draw."""
    m = 12
    for make, plain in ((kingman, plain_kingman), (birth_death, plain_yule)):
        tree = make(m, random_state=np.random.default_rng(seed))
        assert np.allclose(tree.path_lengths(), plain(m, np.random.default_rng(seed)), rtol=1e-12)
    tree = Tree([3, 3, 4, 4, -1], [0.4, 0.3, 0.9, 0.2, 0])
    pi, rate, n = np.array([0.4, 0.1, 0.2, 0.3]), 0.7, 50
    X = simulate_sequences(
        tree, n, model="hky85", kappa=3.0, frequencies=pi, rate=rate, random_state=np.random.default_rng(seed)
    )
    rng = np.random.default_rng(seed)
    states = {4: rng.choice(4, n, p=pi)}
    for node in (3, 2, 1, 0):
        P = expm(hky(pi, 3, 3) * tree.length[node] * rate)
        steps = np.cumsum(P, axis=1)[states[int(tree.parent[node])], :3]
        states[node] = (steps < rng.random(n)[:, None]).sum(axis=1)
    assert (np.array([states[i] for i in range(3)]) == X).all()


def test_coalescent_times() -> None:
    """Height of the tree of m: 2 (1 - 1/m) on average."""
    m, n = 20, 400
    rng = np.random.default_rng(0)
    heights = [kingman(m, random_state=rng).depths()[0] for _ in range(n)]
    variance = sum((2 / (k * (k - 1))) ** 2 for k in range(2, m + 1))
    assert abs(np.mean(heights) - 2 * (1 - 1 / m)) < 4 * np.sqrt(variance / n)


def test_birth_times() -> None:
    """From the first split with k tips: 1 / (birth k) on average until the next."""
    m, n = 15, 400
    rng = np.random.default_rng(0)
    heights = [birth_death(m, birth=0.7, random_state=rng).depths()[0] for _ in range(n)]
    mean = sum(1 / (0.7 * k) for k in range(2, m + 1))
    variance = sum(1 / (0.7 * k) ** 2 for k in range(2, m + 1))
    assert abs(np.mean(heights) - mean) < 4 * np.sqrt(variance / n)


def test_with_deaths() -> None:
    tree = birth_death(40, birth=1.0, death=0.6, random_state=5)
    assert tree.n_leaves == 40
    assert tree.binary
    assert tree.rooted
    assert np.allclose(tree.depths()[:40], tree.depths()[0])


def test_regular_trees() -> None:
    tree = balanced(16, edge=0.5)
    assert np.allclose(tree.depths()[:16], 2.0)
    assert tree.newick(lengths=False).startswith("((((0,1),(2,3)),((4,5)")
    tree = caterpillar(6)
    assert tree.newick(lengths=False) == "(((((0,1),2),3),4),5);"
    assert simulate_tree("caterpillar", 6) == tree
    assert population_similarity(tree, 0.1)[0, 5] == pytest.approx(np.exp(-0.6))


Q_JC = (np.ones((4, 4)) - 4 * np.eye(4)) / 3


def hky(pi: np.ndarray, purines: float, pyrimidines: float) -> np.ndarray:
    Q = np.tile(pi, (4, 1))
    for x, y, k in ((0, 2, purines), (1, 3, pyrimidines)):
        Q[x, y] *= k
        Q[y, x] *= k
    np.fill_diagonal(Q, 0)
    np.fill_diagonal(Q, -Q.sum(1))
    return np.asarray(Q / -(pi @ np.diagonal(Q)))


PI = np.array([0.4, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("options", "pi", "Q"),
    [
        ({"model": "jc69"}, np.full(4, 0.25), Q_JC),
        ({"model": "k80", "kappa": 3.0}, np.full(4, 0.25), hky(np.full(4, 0.25), 3, 3)),
        ({"model": "hky85", "kappa": 3.0, "frequencies": PI}, PI, hky(PI, 3, 3)),
        ({"model": "tn93", "kappas": (3.0, 5.0), "frequencies": PI}, PI, hky(PI, 3, 5)),
        ({"model": "gtr", "exchange": [1, 3, 1, 1, 5, 1], "frequencies": PI}, PI, hky(PI, 3, 5)),
    ],
)
def test_joint_law_of_two_leaves(options: dict[str, Any], pi: np.ndarray, Q: np.ndarray) -> None:
    n = 200_000
    tree = Tree([2, 2, -1], [0.3, 0.7, 0])
    X = simulate_sequences(tree, n, rate=0.5, random_state=7, **options)
    counts = np.bincount(4 * X[0].astype(int) + X[1], minlength=16) / n
    expected = (pi[:, None] * expm(Q * 0.5)).ravel()  # reversible: the root does not matter
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected / n)).all()


def test_rates_of_sites() -> None:
    n = 200_000
    tree = Tree([2, 2, -1], [0.5, 0.5, 0])
    X = simulate_sequences(tree, n, gamma=0.5, random_state=1)
    expected = 0.75 * (1 - (1 + 4 / (3 * 0.5)) ** -0.5)
    assert abs((X[0] != X[1]).mean() - expected) < 5 * np.sqrt(expected / n)
    X = simulate_sequences(tree, n, invariant=0.4, random_state=1)
    expected = 0.6 * 0.75 * (1 - np.exp(-4 / 3))
    assert abs((X[0] != X[1]).mean() - expected) < 5 * np.sqrt(expected / n)
    X = simulate_sequences(tree, n, n_states=20, random_state=1)
    expected = 0.95 * (1 - np.exp(-20 / 19))
    assert abs((X[0] != X[1]).mean() - expected) < 5 * np.sqrt(expected / n)
    assert X.max() == 19


def test_gaussian_observations() -> None:
    tree = kingman(6, random_state=2)
    X = simulate_gaussian(tree, 100_000, rate=0.5, random_state=3)
    assert np.abs(np.corrcoef(X) - population_similarity(tree, 0.5)).max() < 0.02
    assert np.abs(X.var(axis=1) - 1).max() < 0.03


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: kingman(1), "m must be >= 2"),
        (lambda: balanced(6), "power of two"),
        (lambda: birth_death(5, birth=0.5, death=0.5), "death must be below birth"),
        (lambda: simulate_tree("star", 5), "model must be one of"),
        (lambda: simulate_sequences(kingman(4), 0), "n must be >= 1"),
        (lambda: simulate_sequences(kingman(4), 5, model="gtr", n_states=3), "is for 4 states"),
        (
            lambda: simulate_sequences(kingman(4), 5, model="hky85", frequencies=[0.5, 0.5, 0.5, 0.5]),
            "sum to 1",
        ),
        (lambda: simulate_sequences(kingman(4), 5, frequencies=PI), "uniform frequencies"),
        (lambda: simulate_sequences(kingman(4), 5, invariant=1.0), "invariant must be below 1"),
        (lambda: simulate_sequences(Tree([2, 2, -1]), 5), "tree must have lengths"),
        (lambda: simulate_gaussian(Tree([2, 2, -1]), 5), "tree must have lengths"),
        (lambda: population_similarity(Tree([2, 2, -1])), "lengths of all edges"),
    ],
)
def test_bad_input(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
