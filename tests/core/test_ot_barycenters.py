"""Barycentres on grids and with free points."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from lapwing import ot
from lapwing.exceptions import ConvergenceWarning


def _images(*sizes, seed=0, zeros=False):
    rng = np.random.default_rng(seed)
    A = rng.gamma(0.5, size=(*sizes, 3)) + (0 if zeros else 1e-3)
    if zeros:
        A[rng.random(A.shape) < 0.5] = 0
    return A / A.reshape(-1, 3).sum(axis=0)


@pytest.mark.parametrize("sizes", [(40,), (9, 12), (4, 5, 6), (7, 1)])
@pytest.mark.parametrize("debias", [False, True])
def test_a_grid_is_its_points(sizes, debias):
    A = _images(*sizes, zeros=not debias)
    axes = [np.sort(np.random.default_rng(k).random(s)) for k, s in enumerate(sizes)]
    points = np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1)
    # the debiased barycentre of noise takes for ever: as many iterations as leave rounding small are as good
    most = 60 if debias else 50_000
    options = {"weights": [0.5, 0.2, 0.3], "reg": 0.02, "debias": debias, "tol": 1e-10, "max_iter": most}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if debias else "error", ConvergenceWarning)
        grid = ot.barycenter(A, grid=axes, **options)
        dense = ot.barycenter(A.reshape(-1, 3), points, points, **options)
    assert grid.weights.shape == sizes
    assert grid.converged or debias
    assert grid.n_iter == dense.n_iter or not debias
    np.testing.assert_allclose(grid.weights.ravel(), dense.weights, atol=2e-8)


def test_grid_at_small_regularisation_and_threads():
    t = np.linspace(0, 1, 64)
    A = np.stack([np.exp(-((t - c) ** 2) / 0.002) for c in (0.25, 0.75)], axis=1)
    A = A[:, None, :] * A[None, :, :]  # two blobs, in opposite corners
    A /= A.sum(axis=(0, 1))
    answers = [ot.barycenter(A, grid=[t, t], reg=5e-4, tol=1e-4, n_jobs=j) for j in (1, 2, 4)]
    assert len({x.weights.tobytes() for x in answers}) == 1
    p = answers[0].weights
    mean = (p.sum(axis=1) @ t, p.sum(axis=0) @ t)
    np.testing.assert_allclose(mean, 0.5, atol=1e-3)  # the mean of a barycentre is the mean of the means
    single = ot.barycenter(A.astype(np.float32), grid=[t, t], reg=5e-4, tol=1e-4)
    assert single.weights.dtype == np.float32


def test_grid_errors():
    A = _images(3, 4)
    axes = [np.arange(3.0), np.arange(4.0)]
    for wrong, match in (
        ({"grid": axes[:1]}, "A must have shape"), ({"grid": "x"}, "sequence"),
        ({"grid": [axes[0], np.zeros((2, 2))]}, "1-D"), ({"grid": [axes[0], [0, 1, 2, np.nan]]}, "finite"),
        ({}, "exactly one of C and grid"), ({"grid": axes, "C": np.zeros((2, 2))}, "exactly one"),
        ({"grid": axes, "Y": np.zeros((2, 2))}, "leave Y out"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            ot.barycenter(A, reg=1.0, **wrong)
    with pytest.raises(ValueError, match="must sum to 1"):
        ot.barycenter(2 * A, grid=axes, reg=1.0)
    with pytest.warns(ConvergenceWarning, match="barycentre"):
        ot.barycenter(A, grid=axes, reg=0.01, max_iter=2, tol=1e-12)
    seen = []
    ot.barycenter(A, grid=axes, reg=0.5, callback=lambda info: seen.append(info.iteration) or len(seen) == 2)
    assert seen == [1, 2]


def test_one_cloud_is_a_smoothed_copy():
    """At the fixed point every point is the mean of what it gets."""
    X = np.random.default_rng(0).normal(size=(80, 3))
    found = ot.barycenter_free_support([X], support=20, reg=0.3, tol=1e-8, plan_tol=1e-10, max_iter=2000)
    assert found.converged
    P = found.results[0].plan
    np.testing.assert_allclose(found.points, (P.T @ X) / P.sum(axis=0)[:, None], atol=1e-6)
    np.testing.assert_allclose(found.weights @ found.points, X.mean(axis=0), atol=1e-9)


def test_a_single_point_ends_at_the_mean():
    X = np.random.default_rng(3).normal(size=(50, 3))
    found = ot.barycenter_free_support([X, X + 2], support=[[9.0, 0.0, 0.0]], reg=0.1, tol=1e-9)
    assert found.converged
    np.testing.assert_allclose(found.points, [X.mean(axis=0) + 1], atol=1e-12)


def test_gaussians_have_the_gaussian_between():
    """Cov^(1/2) of the barycentre is the mean of the roots for commuting covariances."""
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(600, 2))
    Z = (Z - Z.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(Z.T, bias=True))).T
    clouds = [Z * [1.0, 3.0] + [5.0, 0.0], Z * [3.0, 1.0]]
    found = ot.barycenter_free_support(clouds, support=clouds[0], reg=0.05, weights=[3, 1], tol=1e-3)
    np.testing.assert_allclose(found.points.mean(axis=0), [3.75, 0.0], atol=0.01)
    np.testing.assert_allclose(found.points.std(axis=0), [1.5, 2.5], rtol=0.05)


def test_masses_permutation_float32_and_shift():
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(30, 2)), rng.normal(size=(40, 2)) + 3
    a, b, start = rng.random(30), rng.random(40), rng.normal(size=(10, 2))
    options = {"support": start, "reg": 0.5, "tol": 1e-7, "plan_tol": 1e-10, "max_iter": 3000}
    first = ot.barycenter_free_support([X, Y], [a, b], **options)
    other = ot.barycenter_free_support([Y[::-1], X], [b[::-1], a], **options)
    np.testing.assert_allclose(first.points, other.points, atol=1e-4)
    moved = ot.barycenter_free_support([X + 7, Y + 7], [a, b], **{**options, "support": start + 7})
    np.testing.assert_allclose(first.points + 7, moved.points, atol=1e-4)
    single = ot.barycenter_free_support(
        [X.astype(np.float32), Y.astype(np.float32)], [a, b], support=start, reg=0.5, tol=1e-3
    )
    assert single.points.dtype == np.float32
    bits = {
        ot.barycenter_free_support([X, Y], support=9, reg=0.5, tol=5e-3, n_jobs=j).points.tobytes()
        for j in (1, 2, 4)
    }
    assert len(bits) == 1


def test_free_support_errors():
    X = np.zeros((3, 2))
    for wrong, match in (
        ({"clouds": []}, "at least one"), ({"clouds": [X, np.zeros((3, 3))]}, "same number of columns"),
        ({"clouds": [X], "support": 0}, "support must be >= 1"),
        ({"clouds": [X], "support": np.zeros((2, 3))}, "support must have 2 columns"),
        ({"clouds": [X], "masses": []}, "an entry for each"),
        ({"clouds": [X], "support_weights": [1.0, 0.0], "support": 2}, "support_weights must be > 0"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            ot.barycenter_free_support(**{"support": 2, "reg": 1.0, **wrong})
    rng = np.random.default_rng(0)
    with pytest.warns(ConvergenceWarning, match="still move"):
        ot.barycenter_free_support([rng.normal(size=(20, 2))], support=5, reg=0.1, max_iter=1, tol=1e-9)
