"""Bad input is named before any work; kinds and types of arrays; callbacks."""

import copy
import pickle
import re
import warnings

import numpy as np
import pytest
from scipy import sparse

from lapwing import ConvergenceWarning, EOTEigenmaps, eot_eigenmaps, ot
from lapwing.embedding.eot_eigenmaps import _algorithm as algorithm

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
Y = RNG.normal(size=(25, 4)) + 1.0


def with_entry(Z, i, j, value):
    Z = Z.copy()
    Z[i, j] = value
    return Z


@pytest.fixture
def no_work(monkeypatch):
    """Bad input must not get as far as this."""

    def fail(*args, **kwargs):
        raise AssertionError("work was begun")

    monkeypatch.setattr(ot, "solve_sample", fail)
    monkeypatch.setattr(ot, "cost_quantile", fail)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            X,
            Y[:, :3],
            "X and Y must have the same number of columns (features), got shapes (30, 4) and (25, 3)",
        ),
        (with_entry(X, 7, 2, np.nan), Y, "X contains NaN: X[7, 2]"),
        (X, with_entry(Y, 3, 1, np.inf), "Y contains infinity: Y[3, 1]"),
        (X, with_entry(Y, 24, 3, -np.inf), "Y contains infinity: Y[24, 3]"),
        (X.astype(np.float32), with_entry(Y.astype(np.float32), 0, 0, np.nan), "Y contains NaN: Y[0, 0]"),
        (sparse.csr_array(with_entry(X, 5, 1, np.nan)), Y, "X contains NaN: X[5, 1]"),
        (X[:2], Y, "X must have at least 3 samples (rows), got n_samples = 2: shape (2, 4)"),
        (X, Y[:1], "Y must have at least 3 samples (rows), got n_samples = 1: shape (1, 4)"),
        (X[0], Y, "Expected 2D array, got 1D array instead"),
        (X, Y[None], "Found array with dim 3"),
        (X[:0], Y, "Found array with 0 sample(s) (shape=(0, 4))"),
        (X[:, :0], Y[:, :0], "Found array with 0 feature(s) (shape=(30, 0))"),
        (X * 1j, Y, "Complex data not supported"),
        ([["a", "b"]] * 5, Y, "could not convert string to float"),
    ],
)
def test_bad_datasets(x, y, message, no_work):
    with pytest.raises(ValueError, match=re.escape(message)):
        EOTEigenmaps(2).fit(x, y)


def test_nan_beyond_the_first_block_of_rows_is_located(no_work):
    big = np.zeros((9000, 2))
    big[8999, 1] = np.nan
    with pytest.raises(ValueError, match=re.escape("X contains NaN: X[8999, 1]")):
        EOTEigenmaps(2).fit(big, np.zeros((9000, 2)))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (
            {"n_components": 25},
            ValueError,
            "n_components must be smaller.*got 25 with 30 rows in X and 25 in Y",
        ),
        ({"n_components": 0}, ValueError, "n_components must be at least 1, got 0"),
        ({"n_components": 1.5}, ValueError, r"n_components as a float must be between 0 and 1, got 1.5"),
        ({"n_components": "auto"}, ValueError, "n_components must be an integer.*got 'auto'"),
        ({"n_components": None}, TypeError, "n_components must be an integer.*got None"),
        ({"n_components": True}, TypeError, "n_components"),
        ({"bandwidth": 0.0}, ValueError, "bandwidth must be > 0, got 0"),
        ({"bandwidth": -1}, ValueError, "bandwidth must be > 0, got -1"),
        ({"bandwidth": np.nan}, ValueError, "bandwidth must be > 0, got nan"),
        ({"bandwidth": np.inf}, ValueError, "bandwidth must be finite"),
        ({"bandwidth": "mean"}, ValueError, "bandwidth must be one of 'median-centered', 'median', 'mknn'"),
        ({"bandwidth": None}, TypeError, "bandwidth"),
        ({"diffusion_time": -0.5}, ValueError, "diffusion_time must be >= 0"),
        ({"diffusion_time": np.inf}, ValueError, "diffusion_time"),
        ({"density_discount": 1.5}, ValueError, "density_discount must be between 0 and 1, got 1.5"),
        ({"density_discount": -0.1}, ValueError, "density_discount"),
        ({"density_bandwidth": "other"}, ValueError, "density_bandwidth must be one of"),
        ({"density_bandwidth": 0}, ValueError, "density_bandwidth must be > 0"),
        ({"tol": 0}, ValueError, "tol must be > 0"),
        ({"svd_tol": -1e-3}, ValueError, "svd_tol must be > 0"),
        ({"max_iter": 0}, ValueError, "max_iter must be >= 1"),
        ({"max_iter": 1.5}, TypeError, "max_iter must be an integer"),
        ({"block_size": 1}, ValueError, "block_size must be >= 2"),
        ({"centering": "yes"}, TypeError, "centering must be True or False"),
        ({"dtype": "float16"}, ValueError, "dtype must be None, 'float32' or 'float64'"),
        ({"random_state": "seed"}, ValueError, "seed"),
        ({"n_jobs": 0}, ValueError, "n_jobs"),
        ({"callback": 3}, TypeError, "callback must be callable"),
        ({"verbose": "loud"}, TypeError, "verbose must be an integer"),
    ],
)
def test_bad_parameters(params, error, message, no_work):
    with pytest.raises(error, match=message):
        EOTEigenmaps(**({"n_components": 2} | params)).fit(X, Y)


@pytest.mark.parametrize(
    ("densities", "message"),
    [
        ({"density_x": np.ones(29)}, r"density_x must have shape \(30,\), got \(29,\)"),
        ({"density_y": np.zeros(25)}, r"density_y must be > 0, but density_y\[0\] is 0.0"),
        ({"density_x": np.full(30, np.nan)}, "density_x must be finite"),
    ],
)
def test_bad_densities(densities, message, no_work):
    with pytest.raises(ValueError, match=message):
        EOTEigenmaps(2, density_discount=1.0).fit(X, Y, **densities)


def test_callable_bandwidth_must_return_a_positive_number():
    for value in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="the value that bandwidth"):
            EOTEigenmaps(2, bandwidth=lambda A, B, value=value: value).fit(X, Y)


def test_median_of_zero():
    with pytest.raises(ValueError, match="median cross-distance is 0; pass bandwidth"):
        EOTEigenmaps(2).fit(np.ones((5, 3)), np.zeros((6, 3)))


def test_constant_data_with_a_bandwidth():
    with pytest.raises(ValueError, match="nothing to embed"):
        EOTEigenmaps(2, bandwidth=1.0).fit(np.ones((5, 3)), np.zeros((6, 3)))


def test_values_whose_squares_overflow():
    with pytest.raises(ValueError, match="overflow"):
        EOTEigenmaps(2).fit(1e200 * X, 1e200 * Y)
    with pytest.raises(ValueError, match="overflow"):
        EOTEigenmaps(2).fit((1e25 * X).astype(np.float32), (1e25 * Y).astype(np.float32))


@pytest.mark.parametrize("scale", [1e-100, 1e-6, 1.0, 1e6, 1e100])
def test_units_do_not_matter(scale):
    reference = EOTEigenmaps(2, random_state=0).fit(X, Y)
    scaled = EOTEigenmaps(2, random_state=0).fit(scale * X, scale * Y)
    assert scaled.bandwidth_ == pytest.approx(scale**2 * reference.bandwidth_, rel=1e-10)
    np.testing.assert_allclose(scaled.embedding_x_, reference.embedding_x_, atol=1e-6)


def test_transform_checks():
    model = EOTEigenmaps(2, random_state=0)
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        model.transform(X)
    model.fit(X, Y)
    with pytest.raises(ValueError, match="transform needs X_new, Y_new or both"):
        model.transform()
    with pytest.raises(
        ValueError, match="X has 3 features, but EOTEigenmaps is expecting 4 features as input"
    ):
        model.transform(X[:, :3])
    with pytest.raises(ValueError, match=r"Y_new must have 4 columns as in fit, got shape \(25, 3\)"):
        model.transform(Y_new=Y[:, :3])
    with pytest.raises(ValueError, match=r"Y_new contains NaN: Y_new\[1, 2\]"):
        model.transform(Y_new=with_entry(Y, 1, 2, np.nan))


def test_anndata_is_sent_to_its_own_function():
    class Looks:
        obsm, var_names = {}, []

    with pytest.raises(
        TypeError, match=r"X is an AnnData object; use lapwing.embedding.eot_eigenmaps_anndata"
    ):
        EOTEigenmaps(2).fit(Looks(), Y)


FIT = EOTEigenmaps(2, random_state=0).fit(X, Y)


@pytest.mark.parametrize(
    "convert",
    [
        np.asfortranarray,
        lambda Z: np.repeat(Z, 2, axis=0)[::2],
        lambda Z: Z.tolist(),
        sparse.csr_matrix,
        sparse.csr_array,
        sparse.coo_array,
        sparse.csc_matrix,
        lambda Z: Z.astype(">f8"),
    ],
)
def test_every_kind_of_container_gives_the_same_bits(convert):
    model = EOTEigenmaps(2, random_state=0).fit(convert(X), convert(Y))
    np.testing.assert_array_equal(model.embedding_x_, FIT.embedding_x_)
    np.testing.assert_array_equal(model.embedding_y_, FIT.embedding_y_)
    np.testing.assert_array_equal(model.transform(convert(X)), FIT.transform(X))
    np.testing.assert_array_equal(model.transform(Y_new=convert(Y)), FIT.transform(Y_new=Y))


def test_sparse_data_with_zeros():
    dense = np.where(RNG.uniform(size=(40, 6)) < 0.3, RNG.normal(size=(40, 6)), 0.0)
    other = np.where(RNG.uniform(size=(35, 6)) < 0.3, RNG.normal(size=(35, 6)), 0.0)
    expected = EOTEigenmaps(2, random_state=0).fit_transform(dense, other)
    found = EOTEigenmaps(2, random_state=0).fit_transform(sparse.csr_array(dense), sparse.csr_array(other))
    for A, B in zip(expected, found, strict=True):
        np.testing.assert_array_equal(A, B)
    mixed = EOTEigenmaps(2, random_state=0).fit(sparse.csr_array(dense), other)
    np.testing.assert_array_equal(mixed.embedding_x_, expected[0])


def test_integers_become_float64():
    A, B = (10 * X).astype(int), (10 * Y).astype(int)
    model = EOTEigenmaps(2, random_state=0).fit(A, B)
    assert model.embedding_x_.dtype == np.float64
    reference = EOTEigenmaps(2, random_state=0).fit(A.astype(float), B.astype(float))
    np.testing.assert_array_equal(model.embedding_x_, reference.embedding_x_)


def test_mixed_precision_is_float64():
    assert EOTEigenmaps(2).fit(X.astype(np.float32), Y).embedding_x_.dtype == np.float64


@pytest.mark.parametrize("centering", [True, False])
def test_the_callers_arrays_are_neither_changed_nor_kept(centering):
    A, B = X.copy(), Y.copy()
    A.flags.writeable = B.flags.writeable = False
    model = EOTEigenmaps(2, random_state=0, centering=centering).fit(A, B)
    np.testing.assert_array_equal(A, X)
    before = model.transform(X)
    A.flags.writeable = B.flags.writeable = True
    A[:], B[:] = 0, 0
    np.testing.assert_array_equal(model.transform(X), before)


def test_torch_tensors_come_back_as_tensors():
    torch = pytest.importorskip("torch")
    A, B = torch.from_numpy(X), torch.from_numpy(Y)
    model = EOTEigenmaps(2, random_state=0)
    phi, psi = model.fit_transform(A, B)
    assert isinstance(phi, torch.Tensor)
    assert isinstance(psi, torch.Tensor)
    np.testing.assert_array_equal(phi.numpy(), FIT.embedding_x_)
    assert isinstance(model.transform(A), torch.Tensor)
    assert isinstance(model.transform(X), np.ndarray)
    half = EOTEigenmaps(2, random_state=0).fit(A.float(), B.float())
    assert half.embedding_x_.dtype == torch.float32
    with pytest.raises(TypeError, match="X requires grad"):
        EOTEigenmaps(2).fit(A.clone().requires_grad_(), B)


def test_data_frames_give_names():
    pd = pytest.importorskip("pandas")
    names = ["a", "b", "c", "d"]
    A, B = pd.DataFrame(X, columns=names), pd.DataFrame(Y, columns=names)
    model = EOTEigenmaps(2, random_state=0).fit(A, B)
    assert model.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(model.embedding_x_, FIT.embedding_x_)
    with pytest.raises(ValueError, match="feature names should match"):
        EOTEigenmaps(2).fit(A, B[["b", "a", "c", "d"]])
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(Y_new=B.rename(columns={"a": "z"}))
    assert model.get_feature_names_out().tolist() == ["eoteigenmaps0", "eoteigenmaps1"]


def test_functional_form():
    result = eot_eigenmaps(X, Y, 2, random_state=0)
    np.testing.assert_array_equal(result.embedding_x, FIT.embedding_x_)
    np.testing.assert_array_equal(result.embedding_y, FIT.embedding_y_)
    np.testing.assert_array_equal(result.singular_values, FIT.singular_values_)
    assert result.bandwidth == FIT.bandwidth_
    assert result.marginal_error == FIT.marginal_error_ <= 1e-8
    assert result.converged
    assert result.n_sweeps == FIT.n_sweeps_
    assert result.plan.shape == (30, 25)
    with pytest.raises(TypeError, match="unexpected keyword argument 'bandwith'"):
        eot_eigenmaps(X, Y, 2, bandwith=1.0)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_fitted_estimator_survives_copying(how):
    other = how(FIT)
    np.testing.assert_array_equal(other.embedding_x_, FIT.embedding_x_)
    np.testing.assert_array_equal(other.transform(X + 0.1), FIT.transform(X + 0.1))
    assert other.plan_.marginal_error == FIT.plan_.marginal_error


def test_random_state_of_the_block_method(monkeypatch):
    monkeypatch.setattr(algorithm, "DENSE_SIDE", 5)
    fits = [
        EOTEigenmaps(2, random_state=seed, block_size=10).fit(X, Y)
        for seed in (3, 3, np.random.RandomState(3))
    ]
    np.testing.assert_array_equal(fits[0].embedding_x_, fits[1].embedding_x_)
    np.testing.assert_array_equal(fits[0].embedding_x_, fits[2].embedding_x_)


def test_callback_sees_both_stages_and_can_stop(monkeypatch):
    monkeypatch.setattr(algorithm, "DENSE_SIDE", 5)
    seen = []

    def watch(info):
        seen.append((info.stage, info.iteration, info.error, info.elapsed, info.reg))

    model = EOTEigenmaps(2, random_state=0, callback=watch, block_size=10).fit(X, Y)
    assert model.converged_
    stages = [s[0] for s in seen]
    assert len(set(stages)) == 2
    assert stages == sorted(stages, key=stages.index)  # one stage after the other
    assert all(s[4] == model.bandwidth_ and s[3] >= 0 for s in seen)
    assert stages.count(stages[0]) >= model.n_sweeps_ - 1

    def stop(info):
        return info.stage == stages[0] and info.iteration >= 2

    stopped = EOTEigenmaps(2, random_state=0, tol=1e-13, callback=stop, block_size=10).fit(X, Y)
    assert not stopped.converged_
    assert stopped.n_sweeps_ == 2
    np.testing.assert_allclose(stopped.embedding_x_, model.embedding_x_, atol=1e-2)


@pytest.mark.parametrize("bandwidth", [1e-4, 0.01, 0.5])
def test_stopping_on_a_coarser_level_still_gives_a_plan(bandwidth):
    """The potentials of the first level do not fit the bandwidth at all; one more sweep makes a plan."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = EOTEigenmaps(2, bandwidth=bandwidth, callback=lambda info: True, random_state=0).fit(X, Y)
    assert not model.converged_
    assert model.n_sweeps_ == (1 if bandwidth == 0.5 else 2)  # one alone where no level is on the way
    assert float(np.sum(model.plan_.plan)) == pytest.approx(1.0, rel=1e-9)
    assert np.isfinite(model.embedding_x_).all()
    assert model.singular_values_[1] > 0


def test_exception_of_the_callback_comes_out_unchanged():
    class Mine(Exception):
        pass

    def fail(info):
        raise Mine("of my own")

    with pytest.raises(Mine, match="of my own"):
        EOTEigenmaps(2, callback=fail).fit(X, Y)


def test_stopping_before_the_tolerance_warns():
    with pytest.warns(ConvergenceWarning, match="marginal error"):
        model = EOTEigenmaps(2, bandwidth=0.02, max_iter=2, random_state=0).fit(X, Y)
    assert not model.converged_
    assert model.marginal_error_ > 1e-8
    # What does not depend on convergence holds all the same.
    np.testing.assert_allclose(model.embedding_x_.mean(axis=0), 0, atol=1e-12)


def test_verbose_shows_a_bar_only_for_long_work(capsys):
    EOTEigenmaps(2, verbose=1).fit(X, Y)
    assert capsys.readouterr().err == ""
