"""scikit-learn's estimator checks.

The checks call ``fit(X, y)`` with one dataset and labels. EOT eigenmaps takes two datasets with the same
columns, so on the class itself only the checks that do not fit apply. All others run on a thin adapter that
splits its one dataset in two halves (even and odd rows) and passes everything on.
"""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import _safe_indexing
from sklearn.utils.estimator_checks import check_estimator

from lapwing import EOTEigenmaps


class Interleaved(EOTEigenmaps):
    """EOT eigenmaps of the even and the odd rows of one dataset."""

    def __init__(
        self, n_components=1, *, bandwidth="median-centered", diffusion_time=0, density_discount=0.0,
        density_bandwidth="lepski", tol=None, max_iter=10000, svd_tol=None, block_size=None, callback=None,
        verbose=0, centering=True, random_state=None, n_jobs=None, dtype=None,
    ):  # fmt: skip
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__(**given)

    def fit(self, X, y=None):
        Z = X.tocsr() if hasattr(X, "tocsr") else X if hasattr(X, "iloc") else np.asarray(X)
        if Z.ndim != 2 or Z.shape[0] < 6:  # nothing to split: the estimator itself is to complain
            return super().fit(Z, Z)
        return super().fit(*(_safe_indexing(Z, np.arange(start, Z.shape[0], 2)) for start in (0, 1)))

    def fit_transform(self, X, y=None):
        return self.fit(X).transform(X)

    def transform(self, X):
        return super().transform(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags


# Checks that cannot apply, with the reason.
EXPECTED_FAILURES = {
    "check_methods_sample_order_invariance": "the adapter's halves depend on the order of the rows",
}


HAS_TAGS = hasattr(BaseEstimator, "__sklearn_tags__")  # scikit-learn 1.6 and later


@pytest.mark.skipif(
    not HAS_TAGS, reason="the checks of scikit-learn before 1.6 cannot be told what to expect"
)
def test_scikit_learn_checks_on_the_adapter():
    results = check_estimator(
        Interleaved(random_state=0), expected_failed_checks=EXPECTED_FAILURES, on_fail=None, on_skip=None
    )
    failed = {r["check_name"]: repr(r["exception"]) for r in results if r["status"] == "failed"}
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 30


def test_clone_and_parameters():
    model = EOTEigenmaps("gap", bandwidth="mknn", tol=1e-5, density_discount=0.3)
    params = model.get_params()
    assert params["n_components"] == "gap"
    assert params["density_discount"] == 0.3
    assert clone(model).get_params() == params
    model.set_params(n_components=4, bandwidth=2.0)
    assert (model.n_components, model.bandwidth) == (4, 2.0)
    with pytest.raises(ValueError, match="Invalid parameter 'epsilon'"):
        model.set_params(epsilon=1.0)


def test_init_only_stores():
    sentinel = object()
    model = EOTEigenmaps(sentinel, bandwidth=sentinel, random_state=sentinel)
    assert model.n_components is model.bandwidth is model.random_state is sentinel
    assert not [name for name in vars(model) if name.endswith("_")]


def test_second_dataset_is_required():
    with pytest.raises(TypeError, match="Y"):
        EOTEigenmaps(2).fit(np.zeros((5, 2)))
    if HAS_TAGS:
        assert EOTEigenmaps().__sklearn_tags__().target_tags.required


def test_fit_does_not_change_parameters_and_refit_forgets():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 40, 300))
    model = EOTEigenmaps(3, random_state=0)
    params = model.get_params()
    model.fit(X, Y)
    assert model.get_params() == params
    narrow = rng.normal(size=(2, 20, 2))
    model.fit(*narrow)
    fresh = EOTEigenmaps(3, random_state=0).fit(*narrow)
    assert model.n_features_in_ == 2
    np.testing.assert_array_equal(model.embedding_x_, fresh.embedding_x_)


def test_works_as_a_step_of_a_pipeline():
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(30, 4)), rng.normal(size=(25, 4))
    model = make_pipeline(FunctionTransformer(), EOTEigenmaps(2, random_state=0))
    model.fit(X, Y)
    direct = EOTEigenmaps(2, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(model.transform(X), direct.transform(X))
