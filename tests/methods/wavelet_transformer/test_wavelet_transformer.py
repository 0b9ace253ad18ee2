"""Wavelet coefficients as features."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from lapwing import WaveletTransformer, multiscale


@parametrize_with_checks([WaveletTransformer(), WaveletTransformer("haar", "symmetric")])
def test_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("mode", ["periodization", "symmetric", "smooth"])
@pytest.mark.parametrize("shape", [None, (6, 10), (3, 4, 5)])
def test_rows_go_back(shape, mode):
    X = np.random.default_rng(0).normal(size=(7, 60))
    model = WaveletTransformer("db2", mode, 1, shape)
    Y = model.fit_transform(X)
    assert Y.shape == (7, len(model.get_feature_names_out()))
    np.testing.assert_allclose(model.inverse_transform(Y), X, atol=1e-12)
    assert model.inverse_transform(Y.astype(np.float32)).dtype == np.float32


def test_coefficients_and_their_names():
    X = load_digits().data[:50]
    model = WaveletTransformer("haar", level=2, shape=(8, 8)).fit(X)
    Y = model.transform(X)
    assert np.linalg.norm(Y) == pytest.approx(np.linalg.norm(X), rel=1e-13)
    coeffs = multiscale.wavedecn(X.reshape(-1, 8, 8), "haar", "periodization", 2, axes=(1, 2))
    names = model.get_feature_names_out().tolist()
    assert len(set(names)) == 64
    np.testing.assert_array_equal(Y[:, names.index("aa2_1_0")], coeffs[0][:, 1, 0])
    np.testing.assert_array_equal(Y[:, names.index("da1_2_3")], coeffs[2]["da"][:, 2, 3])
    assert model.band_names_ == ["aa2", "ad2", "da2", "dd2", "ad1", "da1", "dd1"]
    assert model.band_shapes_[-1] == (4, 4)


def test_some_axes():
    X = np.random.default_rng(0).normal(size=(5, 3 * 8 * 8)).astype(np.float32)
    model = WaveletTransformer("haar", level=1, shape=(3, 8, 8), axes=(1, 2))
    Y = model.fit_transform(X)
    assert Y.dtype == np.float32
    assert model.band_shapes_ == [(3, 4, 4)] * 4
    one = WaveletTransformer("haar", level=1, shape=(8, 8)).fit(X[:, :64])
    np.testing.assert_array_equal(Y[:, :16], one.transform(X[:, :64])[:, :16])
    np.testing.assert_allclose(model.inverse_transform(Y), X, atol=1e-6)


def test_in_a_pipeline():
    X, y = load_digits(return_X_y=True)
    model = make_pipeline(
        WaveletTransformer("haar", level=2, shape=(8, 8)), LogisticRegression(max_iter=2000, C=0.02)
    )
    assert clone(model).fit(X[:900], y[:900]).score(X[900:], y[900:]) > 0.9
    flat = WaveletTransformer(level=0).fit(X)
    np.testing.assert_array_equal(flat.transform(X), X)
    np.testing.assert_array_equal(flat.inverse_transform(X), X)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"shape": (8, 7)}, ValueError, r"shape \(8, 7\) has 56 entries, and X has 64 features"),
        ({"shape": (8, 8.0)}, TypeError, "shape must be an integer"),
        ({"shape": (8, 8), "axes": (2,)}, ValueError, "axis 2 is not there"),
        ({"shape": (8, 8), "axes": (0.5,)}, TypeError, "axes must be integers"),
        ({"wavelet": "none"}, ValueError, "unknown wavelet"),
        ({"mode": "none"}, ValueError, "unknown mode"),
        ({"level": -1}, ValueError, "level"),
    ],
)
def test_bad_settings(options, error, text):
    with pytest.raises(error, match=text):
        WaveletTransformer(**options).fit(np.ones((3, 64)))


def test_bad_coefficients():
    model = WaveletTransformer().fit(np.ones((3, 64)))
    with pytest.raises(ValueError, match="X has 63 columns, and there are 64"):
        model.inverse_transform(np.ones((3, 63)))
