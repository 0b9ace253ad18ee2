"""Starts for t-SNE and UMAP."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from lapwing import SpectralEmbedding, graph
from lapwing.embedding import spectral_init


def circle(n, radius=1.0, centre=0.0):
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.column_stack([radius * np.cos(angle) + centre, radius * np.sin(angle)])


def test_it_is_the_spectral_embedding_scaled():
    X = np.random.default_rng(0).normal(size=(300, 4))
    Y = spectral_init(X, 3, tol=1e-10)
    Z = SpectralEmbedding(3, n_neighbors=15, eigen_tol=1e-10, random_state=0).fit_transform(X)
    Z = Z - Z.mean(axis=0)
    np.testing.assert_allclose(np.abs(Y / np.abs(Y).max()), np.abs(Z / np.abs(Z).max()), atol=1e-6)
    assert np.abs(Y).max() == pytest.approx(10.0)
    np.testing.assert_allclose(spectral_init(graph.affinity(X), 3, tol=1e-10), Y)
    T = spectral_init(X, 3, method="tsne", tol=1e-10)
    assert T[:, 0].std() == pytest.approx(1e-4)
    np.testing.assert_allclose(T / T[:, 0].std(), Y / Y[:, 0].std(), rtol=1e-9)


def test_components_do_not_overlap():
    X = np.vstack([circle(60), circle(40, centre=50.0), circle(20, centre=-50.0)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # components are nothing to warn of here
        Y = spectral_init(X, n_neighbors=5)
    ends = [(part[:, 0].min(), part[:, 0].max()) for part in (Y[:60], Y[60:100], Y[100:])]
    assert ends[0][1] < ends[1][0]
    assert ends[1][1] < ends[2][0]
    assert np.unique(Y.round(9), axis=0).shape == Y.shape
    small = sp.block_diag([np.ones((2, 2)) - np.eye(2)] * 3 + [np.zeros((1, 1))]).tocsr()
    Y = spectral_init(small)
    assert np.isfinite(Y).all()
    assert len(np.unique(Y, axis=0)) == 7
    np.testing.assert_array_equal(Y, spectral_init(small, n_jobs=1))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n_components": 0}, "n_components must be"),
        ({"method": "pca"}, "method must be one of"),
        ({"tol": 0}, "tol must be > 0"),
        ({"n_neighbors": 0}, "n_neighbors must be"),
        ({"X": np.full((4, 2), np.nan)}, "X must be finite"),
        ({"X": np.ones((1, 2))}, "at least 2 points"),
    ],
)
def test_bad_input(options, text):
    with pytest.raises(ValueError, match=text):
        spectral_init(**{"X": np.eye(5), **options})
