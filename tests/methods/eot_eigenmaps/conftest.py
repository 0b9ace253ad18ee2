import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")  # the tests draw without a display


@pytest.fixture(scope="session")
def clouds():
    """Two clouds of different size on a bent sheet, each distorted and shifted in its own way."""
    rng = np.random.default_rng(20261125)

    def sheet(n):
        s, t = rng.uniform(-1, 1, (2, n))
        return np.column_stack([2 * s, t, s**2 - t, s * t, np.zeros(n)])

    X = sheet(300) * [1.0, 0.5, 1.5, 1.0, 1.0] + 0.1 * rng.normal(size=(300, 5)) + 3.0
    Y = sheet(250) * [0.8, 1.5, 1.0, 1.2, 1.0] + 0.1 * rng.normal(size=(250, 5)) - [1, 0, 2, 0, 0]
    return X, Y
