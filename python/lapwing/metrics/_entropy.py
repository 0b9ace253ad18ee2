"""Spectral entropy of diffusion operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lapwing import _validate

__all__ = ["diffusion_spectral_entropy", "diffusion_spectral_mutual_information"]

Floats = NDArray[np.float64]
#: Points up to which every eigenvalue is computed.
EXACT_POINTS = 20_000
STEPS, PROBES = 30, 64
#: Entries of a tile of the kernel.
TILE = 2**22
#: Numbers in the Krylov bases that are held at the same time.
BASIS = 2**27


def diffusion_spectral_entropy(
    X: Any,
    *,
    sigma: float = 10.0,
    t: float = 1.0,
    alpha: float = 0.0,
    method: str = "auto",
    n_steps: int = STEPS,
    n_probes: int = PROBES,
    random_state: int | None = 0,
    return_error: bool = False,
) -> Any:
    """Entropy, in bits, of the spectrum of the diffusion operator of a point cloud.

    With the kernel ``G = exp(-r² / (2 σ²))`` over all pairs and ``K = D^-1/2 G D^-1/2``, whose eigenvalues μ
    are those of the random walk, it is ``-sum p_i log2 p_i`` with ``p_i = |μ_i|^t / sum |μ|^t``: the
    logarithm of the number of directions in which the walk still moves. c tight clusters of equal size, far
    apart, have log2(c) bits.

    Parameters
    ----------
    X : array of shape (n, d)
        Points, for example the activations of a layer of a network.
    sigma : float, default=10
        Width of the kernel, in the units of `X`.
    t : float, default=1
        Diffusion time > 0: larger times see the coarser structure.
    alpha : float, default=0
        Divide G by ``(q_i q_j)^α`` first, q its row sums: 1 takes the density of the points out.
    method : {"auto", "exact", "lanczos"}, default="auto"
        "exact": all eigenvalues, by LAPACK, in time n³ and 8 n² bytes. "lanczos": stochastic Lanczos
        quadrature without the matrix, in time n² · `n_steps` · (d + `n_probes`). "auto": exact up to 20 000
        points.
    n_steps, n_probes : int, default=30 and 64
        Of the quadrature: Lanczos steps from each of so many random sign vectors.
    random_state : int, numpy generator or None, default=0
        Of the sign vectors.
    return_error : bool, default=False
        Return the standard error over the sign vectors as well: 0 for "exact".

    Returns
    -------
    float, or tuple of float
        Between 0 and log2(n).

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.
    MemoryError
        "exact" does not fit into half of the machine's memory.

    References
    ----------
    Danqi Liao, Chen Liu, Benjamin Christensen, Alexander Tong, Guillaume Huguet, Guy Wolf, Maximilian Nickel,
    Ian Adelstein, Smita Krishnaswamy, "Assessing Neural Network Representations During Training Using
    Noise-Resilient Diffusion Spectral Entropy", 2023.

    Shashanka Ubaru, Jie Chen, Yousef Saad, "Fast Estimation of tr(f(A)) via Stochastic Lanczos Quadrature",
    2017.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.metrics import diffusion_spectral_entropy
    >>> centres = 1000.0 * np.arange(4)[:, None]
    >>> round(diffusion_spectral_entropy(np.repeat(centres, 25, axis=0)), 6)
    2.0
    """
    points = _validate.check_points(X, "X").astype(np.float64, copy=False)
    _check(sigma, t, alpha)
    how = _validate.check_choice(method, "method", ("auto", "exact", "lanczos"))
    steps = _validate.check_integer(n_steps, "n_steps", 1)
    probes = _validate.check_integer(n_probes, "n_probes", 2)
    seed = _validate.check_seed(random_state)
    n = len(points)
    if how == "auto":
        how = "exact" if n <= EXACT_POINTS else "lanczos"
    if how == "exact":
        _validate.check_memory(16.0 * n * n, "method='exact'", "method='lanczos' takes little memory")
        value, error = _entropy(_spectrum(points, sigma, alpha), t), 0.0
    else:
        value, error = _quadrature(points, sigma, t, alpha, min(steps, n), probes, seed)
    return (value, error) if return_error else value


def diffusion_spectral_mutual_information(
    X: Any,
    labels: Any,
    *,
    sigma: float = 10.0,
    t: float = 1.0,
    alpha: float = 0.0,
    method: str = "auto",
    random_state: int | None = 0,
) -> float:
    """How many bits of the spectral entropy of a point cloud the labels of its points explain.

    ``DSE(X) - sum_y p(y) DSE(X | y)`` with the share p(y) of the points that have label y.

    Parameters
    ----------
    X : array of shape (n, d)
        Points.
    labels : array of shape (n,)
        Label of each point: numbers or strings.
    sigma, t, alpha, method, random_state
        As in `diffusion_spectral_entropy`.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError, MemoryError
        As `diffusion_spectral_entropy`, and if there is not one label for each point.

    References
    ----------
    Liao et al., "Assessing Neural Network Representations During Training Using Noise-Resilient Diffusion
    Spectral Entropy", 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from lapwing.metrics import diffusion_spectral_mutual_information
    >>> labels = np.repeat([0, 1, 2, 3], 25)
    >>> points = 1000.0 * labels[:, None]
    >>> round(diffusion_spectral_mutual_information(points, labels), 6)
    2.0
    """
    points = _validate.check_points(X, "X")
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    if np.shape(labels) != (len(points),):
        raise ValueError(f"labels must have shape ({len(points)},), got {np.shape(labels)}")
    options: dict[str, Any] = {
        "sigma": sigma, "t": t, "alpha": alpha, "method": method, "random_state": random_state,
    }  # fmt: skip
    whole = diffusion_spectral_entropy(points, **options)
    parts = [points[codes == c] for c in range(len(names))]
    inner = sum(len(part) * diffusion_spectral_entropy(part, **options) for part in parts)
    return float(whole - inner / len(points))


def _check(sigma: float, t: float, alpha: float) -> None:
    _validate.check_positive(sigma, "sigma")
    _validate.check_positive(t, "t")
    _validate.check_number(alpha, "alpha")


def _tile(x: Floats, y: Floats, sigma: float) -> Floats:
    from scipy.spatial.distance import cdist

    return np.asarray(np.exp(cdist(x, y, "sqeuclidean") * (-0.5 / sigma**2)))


def _spectrum(points: Floats, sigma: float, alpha: float) -> Floats:
    from scipy.linalg import eigvalsh
    from threadpoolctl import threadpool_limits

    K = _tile(points, points, sigma)
    for power in (alpha, 0.5):
        if power:
            scale = K.sum(axis=1) ** -power
            K *= scale[:, None]
            K *= scale
    with threadpool_limits(1, user_api="blas"):  # the same bits for any number of threads
        return np.asarray(eigvalsh(K, check_finite=False, overwrite_a=True))


def _entropy(values: Floats, t: float) -> float:
    weights = np.abs(values) ** t
    p = weights / weights.sum()
    p = p[p > 0]
    return max(0.0, float(-(p * np.log2(p)).sum()))


def _quadrature(
    points: Floats, sigma: float, t: float, alpha: float, steps: int, probes: int, seed: int
) -> tuple[float, float]:
    """The entropy log2 Z - E / Z of the traces Z = tr |K|^t and E = tr |K|^t log2 |K|^t, and its error."""
    from threadpoolctl import threadpool_limits

    n = len(points)
    height = max(1, TILE // n)
    ones = np.ones((n, 1))

    def multiply(V: Floats, scale: Floats) -> Floats:
        out = np.empty_like(V)
        scaled = scale[:, None] * V
        for lo in range(0, n, height):
            rows = slice(lo, lo + height)
            out[rows] = scale[rows, None] * (_tile(points[rows], points, sigma) @ scaled)
        return out

    with threadpool_limits(1, user_api="blas"):
        scale = np.ones(n)
        for power in (alpha, 0.5):
            if power:
                row_sums = multiply(ones, scale)[:, 0]
                scale = scale * row_sums**-power
        random = np.random.Generator(np.random.Philox(key=seed))
        signs = np.where(random.random((n, probes)) < 0.5, -1.0, 1.0) / np.sqrt(n)
        # Every probe has a Krylov space of its own; those of a group share each evaluation of the kernel.
        width = max(1, min(probes, BASIS // (n * steps)))
        sums = np.hstack(
            [
                _lanczos(lambda V: multiply(V, scale), signs[:, lo : lo + width], steps, t)
                for lo in range(0, probes, width)
            ]
        )
    Z, E = sums.mean(axis=1)
    value = np.log2(Z) - E / Z
    # To first order in the errors of Z and E.
    change = (1.0 / np.log(2.0) + E / Z) / Z * (sums[0] - Z) - (sums[1] - E) / Z
    return max(0.0, float(value)), float(change.std(ddof=1) / np.sqrt(probes))


def _lanczos(multiply: Callable[[Floats], Floats], V: Floats, steps: int, t: float) -> Floats:
    """Estimates of Z (first row) and E (second) from each column of V, a unit vector."""
    from scipy.linalg import eigh_tridiagonal

    n, probes = V.shape
    basis, diagonal, off = [V], np.zeros((steps, probes)), np.zeros((steps, probes))
    for j in range(steps):
        U = multiply(basis[j])
        diagonal[j] = np.einsum("ij,ij->j", basis[j], U)
        for _ in range(2):
            for B in basis:
                U -= B * np.einsum("ij,ij->j", B, U)
        if j + 1 < steps:
            length = np.linalg.norm(U, axis=0)
            off[j] = np.where(length > 1e-13, length, 0.0)
            basis.append(np.where(off[j] > 0, U / np.where(off[j] > 0, off[j], 1.0), 0.0))
    sums = np.empty((2, probes))
    for p in range(probes):
        nodes, vectors = eigh_tridiagonal(diagonal[:, p], off[:-1, p])
        weight = n * vectors[0] ** 2
        power = np.abs(nodes) ** t
        logs = np.log2(np.where(power > 0, power, 1.0))
        sums[:, p] = (weight * power).sum(), (weight * power * logs).sum()
    return sums
