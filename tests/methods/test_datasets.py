"""The generators follow their recipes."""

import importlib.util

import numpy as np
import pytest

from lapwing import datasets


def torus_radius(points):
    return np.hypot(np.hypot(points[:, 0], points[:, 1]) - 2.0, points[:, 2])


@pytest.mark.parametrize("kind", ["translation", "distortion"])
def test_torus_pair(kind):
    pair = datasets.make_torus_pair(400, kind=kind, shift=2.0, stretch=4.0, n_features=50, random_state=3)
    assert pair.X.shape == pair.Y.shape == (400, 50)
    for latent in (pair.latent_x, pair.latent_y):
        np.testing.assert_allclose(torus_radius(latent), 0.8, rtol=1e-12)
        assert len(np.unique(latent, axis=0)) == 400  # without replacement
    theta = 400**0.8
    sd = 0.002 * theta
    factor = 0.2 if kind == "translation" else 1.0
    signal = factor * theta * pair.latent_x * [0.2, 4.0, 0.2] + [2.0 * theta, 0.0, 0.0]
    noise = pair.X[:, :3] - signal
    # 1,200 normal numbers: mean within 5 standard errors, standard deviation within 5 of its own.
    assert abs(noise.mean()) < 5 * sd / np.sqrt(1200)
    assert abs(noise.std() / sd - 1) < 5 / np.sqrt(2400)
    if kind == "translation":
        rest = pair.Y[:, :3] - theta * pair.latent_y / [0.2, 4.0, 0.2]
        assert abs(rest.std() / sd - 1) < 5 / np.sqrt(2400)
    else:
        nuisance = pair.Y[:, 3:]
        assert theta / 5 - 6 * sd < nuisance.min() < theta / 5
        assert theta / 4 < nuisance.max() < theta / 4 + 6 * sd
        clean = pair.Y[266:, :3] - theta * pair.latent_y[266:] / [0.2, 4.0, 0.2]
        assert abs(clean.std() / sd - 1) < 5 / np.sqrt(2 * 402)
        first = (pair.Y[:133, 1:3] - theta * pair.latent_y[:133, 1:3] / [4.0, 0.2]).std()
        assert first / sd == pytest.approx(np.sqrt(10), rel=5 / np.sqrt(2 * 266))


def test_cluster_pair():
    pair = datasets.make_cluster_pair(200, strength=2.0, n_features=40, random_state=1)
    assert pair.X.shape == pair.Y.shape == (1200, 40)
    assert np.bincount(pair.labels_x).tolist() == [200] * 6
    np.testing.assert_array_equal(pair.labels_x, pair.labels_y)
    for k in range(6):
        mean = pair.latent_x[pair.labels_x == k].mean(axis=0)
        assert np.abs(mean - 5 * np.eye(6)[k]).max() < 5 / np.sqrt(200)
    noise = pair.X[:, :6] - 2.0 * pair.latent_x - np.array([0, 10.0, 10.0, 0, 0, 0])
    assert noise.var() == pytest.approx(0.5, rel=0.1)
    assert pair.X[:, 6:].var() == pytest.approx(0.5, rel=0.05)
    # Uniform on [1, 2] with noise of variance 1.
    assert pair.Y[:, 6:].mean() == pytest.approx(1.5, abs=0.05)
    assert (pair.Y[:400, 1:6] - 2.0 * pair.latent_y[:400, 1:6]).var() == pytest.approx(10.0, rel=0.1)
    assert (pair.Y[400:800, :6] - 2.0 * pair.latent_y[400:800]).var() == pytest.approx(5.0, rel=0.1)


def test_digits_pair_is_the_recipe_of_the_experiment():
    from sklearn.datasets import load_digits

    images, target = load_digits(return_X_y=True)
    images = images / 16
    pair = datasets.load_digits_pair(1)
    rg = np.random.default_rng(1)
    p = rg.permutation(1797)
    i, j = p[:898], p[898:]
    s = np.exp(rg.normal(0, 0.5, 64))
    first = np.hstack([images[i] * s, rg.normal(0, 0.15, (898, 300))])
    second = np.hstack([images[j] / s + 0.8, rg.normal(0, 0.15, (899, 300)) + rg.uniform(0, 0.5, 300)])
    np.testing.assert_array_equal(pair.X, first)
    np.testing.assert_array_equal(pair.Y, second)
    np.testing.assert_array_equal(pair.labels_x, target[i])
    np.testing.assert_array_equal(pair.labels_y, target[j])


@pytest.mark.parametrize("make", [datasets.make_torus_pair, datasets.make_cluster_pair])
def test_seed_fixes_the_data(make):
    first, second, other = (make(20, n_features=12, random_state=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.X, second.X)
    np.testing.assert_array_equal(first.Y, second.Y)
    assert not np.array_equal(first.X, other.X)


def test_pbmc_pair():
    if importlib.util.find_spec("scanpy") is None:
        with pytest.raises(ImportError, match="pip install scanpy"):
            datasets.load_pbmc_pair()
        return
    pair = datasets.load_pbmc_pair(0)
    assert pair.X.shape == pair.Y.shape == (350, 765)
    # Each gene of the second half is an affine function of what was measured.
    for gene in (0, 100, 764):
        assert np.corrcoef(pair.latent_y[:, gene], pair.Y[:, gene])[0, 1] == pytest.approx(1.0, abs=1e-9)
    assert pair.labels_x.dtype.kind == "U"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: datasets.make_torus_pair(2), "n_samples must be an integer >= 3"),
        (lambda: datasets.make_torus_pair(5001), "at most 5000"),
        (lambda: datasets.make_torus_pair(kind="other"), "kind must be"),
        (lambda: datasets.make_torus_pair(stretch=0.0), "stretch must be"),
        (lambda: datasets.make_torus_pair(shift=np.inf), "shift must be finite"),
        (lambda: datasets.make_torus_pair(n_features=2), "n_features must be"),
        (lambda: datasets.make_cluster_pair(0), "n_samples_per_cluster"),
        (lambda: datasets.make_cluster_pair(n_clusters=2), "n_clusters"),
        (lambda: datasets.make_cluster_pair(n_features=5), "n_features"),
        (lambda: datasets.make_cluster_pair(strength=-1.0), "strength"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
