"""The answers of GeomLoss and RegOT, where these are installed; POT's are in the tests of each problem."""

from __future__ import annotations

import numpy as np
import pytest

from lapwing import ot


def clouds(d=2, n=120, m=90):
    rng = np.random.default_rng(d)
    return (
        rng.uniform(size=(n, d)), rng.uniform(size=(m, d)) * 0.8 + 0.3,
        rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m)),
    )  # fmt: skip


@pytest.mark.parametrize("reach", [None, 0.7])
@pytest.mark.parametrize("p", [1, 2])
def test_geomloss(p, reach):
    torch, geomloss = pytest.importorskip("torch"), pytest.importorskip("geomloss")
    X, Y, a, b = clouds()
    blur = 0.1
    scale, metric = (2, "sqeuclidean") if p == 2 else (1, "euclidean")  # theirs is half the square
    options = {} if reach is None else {"unbalanced": scale * reach**p}
    ours = ot.sinkhorn_divergence(X, Y, a, b, reg=scale * blur**p, metric=metric, tol=1e-9, **options)
    loss = geomloss.SamplesLoss("sinkhorn", p=p, blur=blur, reach=reach, scaling=0.99, backend="tensorized")
    theirs = loss(*(torch.from_numpy(z) for z in (a, X, b, Y)))
    # their schedule ends without a look at the error
    assert ours.value / scale == pytest.approx(float(theirs), rel=1e-3)


@pytest.mark.parametrize("ratio", [0.005, 0.05])
def test_regot(ratio):
    regot = pytest.importorskip("regot")
    X, Y, a, b = clouds(3)
    C = ((X[:, None] - Y) ** 2).sum(axis=2)
    reg = ratio * float(np.median(C))
    theirs = regot.sinkhorn_ssns(C, a, b, reg, tol=1e-12, max_iter=1000)
    ours = ot.solve(C, a, b, reg=reg, tol=1e-12)
    np.testing.assert_allclose(ours.plan, theirs.plan, atol=1e-9)
