"""The same bits for any number of threads, for every function of the room."""

from __future__ import annotations

import numpy as np
import pytest

from lapwing import ot

THREADS = (1, 2, 4, 7)
N, M, D = 700, 611, 5  # several chunks of rows, and no round number


def _bits(x):
    return np.ascontiguousarray(x).tobytes()


def _everything(result, X, new):
    """All that a result can be asked for, as bytes."""
    rng = np.random.default_rng(0)
    V, U, w = rng.normal(size=(M, 11)), rng.normal(size=(N, 3)), rng.random(N)
    f, g = result.potentials
    yield "f", _bits(f)
    yield "g", _bits(g)
    yield "history", repr(result.history)
    yield "numbers", repr((result.value, result.value_linear, result.marginal_error, result.n_sweeps))
    yield "marginal_a", _bits(result.marginal_a)
    yield "marginal_b", _bits(result.marginal_b)
    yield "plan", _bits(result.plan)
    yield "apply", _bits(result.apply(V))
    yield "apply_T", _bits(result.apply_T(U))
    yield "normal", _bits(result.normal_operator(w) @ V)
    yield "argmax", _bits(result.argmax())
    yield "argmax 0", _bits(result.argmax(axis=0))
    for name, plan in (("top", result.sparse_plan(k=5)), ("above", result.sparse_plan(threshold=1e-6))):
        yield name, (_bits(plan.data), _bits(plan.indices), _bits(plan.indptr))
    yield "extend_f", _bits(result.extend_f(new))
    yield "transition", _bits(result.transition(new, V))
    yield "singular", tuple(_bits(x) for x in result.singular_triplets(3, block=8))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", ot.METRICS)
def test_points(oracle, metric, dtype):
    X, Y = oracle.clouds(0, N, M, D, dtype)
    new, _ = oracle.clouds(1, 50, 1, D, dtype)
    a, b = oracle.weights(2, N), oracle.weights(3, M)
    reg = 0.1 if metric == "cosine" else 0.5
    answers = []
    for n_jobs in THREADS:
        result = ot.solve_sample(X, Y, a, b, reg=reg, metric=metric, n_jobs=n_jobs)
        answers.append(dict(_everything(result, X, new)))
    _compare(answers)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dense(oracle, dtype, order):
    X, Y = oracle.clouds(4, N, M, D)
    new, _ = oracle.clouds(5, 50, 1, D)
    C = np.array(oracle.cost(X, Y), dtype, order=order)
    C[3, 5] = C[600, 17] = np.inf
    a = oracle.weights(6, N)
    a[10] = 0
    a /= a.sum()
    answers = []
    for n_jobs in THREADS:
        result = ot.solve(C, a, reg=0.1, reg_scale="mean", n_jobs=n_jobs)
        answers.append(dict(_everything(result, X, oracle.cost(new, Y).astype(dtype))))
    _compare(answers)


@pytest.mark.parametrize("metric", ot.METRICS)
def test_functions_of_the_cost(oracle, metric):
    X, Y = oracle.clouds(7, N, M, D)
    psi = np.random.default_rng(8).normal(size=M)
    answers = []
    for n_jobs in THREADS:
        options = {"metric": metric, "n_jobs": n_jobs}
        values, index = ot.c_transform(X, Y, psi, **options)
        answers.append(
            {
                "values": _bits(values),
                "index": _bits(index),
                "exact": ot.cost_quantile(X, Y, 0.3, n_samples=0, **options),
                "sampled": ot.cost_quantile(X, Y, 0.3, n_samples=5000, **options),
            }
        )
    _compare(answers)


def _solution(result):
    return _bits(result.potentials[0]), _bits(result.potentials[1]), result.value, result.n_sweeps


def _sample(**options):
    return lambda X, Y, k: _solution(ot.solve_sample(X, Y, **{"reg": 2.0, **options}, n_jobs=k))


def _labels(X, Y, k):
    found = ot.progressive_partial(np.abs(X @ Y[:20].T), 0.4, n_jobs=k)
    return _bits(found.labels), found.objective


def _divergence(X, Y, k):
    found = ot.sinkhorn_divergence(X, Y, reg=2.0, n_jobs=k)
    return found.value, _bits(found.grad_X)


def _blocks(X, Y, k):
    found = ot.sweep_block(X, Y, np.zeros(M), np.full(N, 1 / N), np.full(M, 1 / M), reg=0.5, n_jobs=k)
    return _bits(found.f), _bits(found.g)


def _debiased(X, Y, k):
    A = np.abs(X[:, :3]) / np.abs(X[:, :3]).sum(axis=0)
    return _bits(ot.barycenter(A, X, X, reg=5.0, debias=True, tol=1e-3, n_jobs=k).weights)


def _batch(**options):
    def solve(X, Y, k):
        clouds = X.reshape(35, 20, D), Y[:525].reshape(35, 15, D)
        batch = ot.solve_batch(clouds, reg=1.0, n_jobs=k, **options)
        return _bits(batch.potentials[0]), _bits(batch.plan), _bits(batch.value), _bits(batch.grad_X)

    return solve


VARIANTS = {
    "unbalanced": _sample(unbalanced=3.0),
    "unbalanced, vector": _sample(unbalanced=(np.linspace(1, 9, N), None)),
    "total variation": _sample(unbalanced=3.0, unbalanced_type="tv"),
    "partial": _sample(mass=0.6),
    "entropy": _sample(unbalanced=3.0, reg_type="entropy"),
    "mixed": _sample(precision="mixed"),
    "over-relaxed": _sample(acceleration="sor"),
    "gaussian": _sample(init="gaussian"),
    "divergence": _divergence,
    "gap": lambda X, Y, k: ot.monge_gap(X, X[:, ::-1] + 0.1, reg=2.0, n_jobs=k).value,
    "labels": _labels,
    "blocks": _blocks,
    "debiased": _debiased,
    "batch": _batch(),
    "batch, partial": _batch(mass=0.7),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", VARIANTS)
def test_variants(oracle, name, dtype):
    X, Y = oracle.clouds(9, N, M, D, dtype)
    _compare([{name: VARIANTS[name](X, Y, k)} for k in THREADS])


def _compare(answers):
    for other, n_jobs in zip(answers[1:], THREADS[1:], strict=True):
        for name, value in answers[0].items():
            assert other[name] == value, f"{name} differs between 1 and {n_jobs} threads"
