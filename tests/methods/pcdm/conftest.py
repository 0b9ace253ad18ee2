"""Digits of 8 x 8 pixels with 17 grey values, and small models of them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from lapwing.generative import PCDM

SMALL = {
    "vocab_size": 17, "width": 16, "depth": 1, "n_steps": 150, "batch_size": 32, "n_jobs": 1,
    "random_state": 0,
    "learning_rate": 4e-3, "warmup": 10,
}  # fmt: skip


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Training and test images."""
    X = load_digits().images.astype(np.uint8)
    return X[:1500], X[1500:]


@pytest.fixture(scope="session")
def model(digits: tuple[np.ndarray, np.ndarray]) -> PCDM:
    """A cascade of two scales."""
    return PCDM(n_scales=2, **SMALL).fit(digits[0])


@pytest.fixture(scope="session")
def integers(digits: tuple[np.ndarray, np.ndarray]) -> PCDM:
    """The same on integers."""
    return PCDM("integer", conditioning="clean", n_scales=3, **SMALL).fit(digits[0])
