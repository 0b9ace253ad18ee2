"""Random features of kernels on graphs."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from lapwing import _graphs, _validate

__all__ = ["graph_random_features", "modulation"]

#: Terms of the power series; a walk this long has a probability of 1e-11 at the default `halt`.
TERMS = 256
#: Walkers that are on their way at the same time.
WALKERS = 2**19

KERNELS: dict[str, Callable[[int], float]] = {
    "exp": lambda r: 1.0 / factorial(r) if r < 170 else 0.0,
    "inverse": lambda r: 1.0,
    "inverse_square": lambda r: r + 1.0,
    "two_step": lambda r: (1.0, 2.0, 1.0)[r] if r < 3 else 0.0,
}


def modulation(alpha: NDArray[np.float64]) -> NDArray[np.float64]:
    """The series f whose convolution with itself is `alpha`; ``alpha[0]`` must be positive."""
    f = np.zeros(len(alpha))
    f[0] = np.sqrt(alpha[0])
    for i in range(len(alpha) - 1):
        inner = sum(f[i - p] * f[p + 1] for p in range(i))
        f[i + 1] = (alpha[i + 1] - inner) / (2.0 * f[0])
    return f


def graph_random_features(
    W: Any,
    kernel: str | Any = "exp",
    *,
    regularizer: float = 0.5,
    n_walks: int = 64,
    halt: float = 0.1,
    random_state: int | None = 0,
) -> tuple[csr_array, csr_array]:
    """Sparse random features whose products estimate a kernel of a graph, without bias.

    The kernel is ``K = sum_r α_r U^r`` with ``U = regularizer · D^-1/2 W D^-1/2``. From every node start
    random walks that stop with probability `halt` at each step; a walk leaves, at each node on its way, its
    load times f(length), where the series f convolved with itself is α. Two independent sets of walks make
    ``Φ₁ Φ₂ᵀ`` unbiased in every entry, the diagonal included; its error falls as ``n_walks^-1/2``.

    Parameters
    ----------
    W : sparse matrix or array, dense array, networkx or igraph graph
        Symmetric weights >= 0 of shape (n, n). A diagonal has no effect.
    kernel : str, array or callable, default="exp"
        "exp": ``exp(U)``; "inverse": ``(1 - U)^-1``; "inverse_square": ``(1 - U)^-2``; "two_step":
        ``(1 + U)²``; an array of α_0, α_1, ... (0 beyond its end); or a function from r to α_r. α_0 must be
        positive.
    regularizer : float, default=0.5
        Factor of U. The spectrum of U lies within ± this: "inverse" and "inverse_square" need less than 1.
    n_walks : int, default=64
        Walks from each node, in each of the two sets.
    halt : float, default=0.1
        Probability of a stop at each step, in (0, 1). Walks end after 256 steps in any case.
    random_state : int, numpy generator or None, default=0
        Of the walks.

    Returns
    -------
    first, second : csr_array of shape (n, n)
        Features in rows, with at most ``n_walks · (1 + 1 / halt)`` entries each on average.

    Raises
    ------
    ValueError, TypeError
        An argument is not as described.

    References
    ----------
    Isaac Reid, Krzysztof Choromanski, Eli Berger, Adrian Weller, "General Graph Random Features", 2023.

    Krzysztof Choromanski, "Taming graph kernels with random features", 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.linalg import expm
    >>> from lapwing.graph import graph_random_features
    >>> ring = np.roll(np.eye(6), 1, axis=0) + np.roll(np.eye(6), -1, axis=0)
    >>> first, second = graph_random_features(ring, n_walks=2000)
    >>> error = (first @ second.T).toarray() - expm(0.5 * ring / 2)
    >>> bool(abs(error).max() < 0.05)
    True
    """
    scale = _validate.check_positive(regularizer, "regularizer")
    walks = _validate.check_integer(n_walks, "n_walks", 1)
    stop = _validate.check_positive(halt, "halt")
    if stop >= 1.0:
        raise ValueError(f"halt must be below 1, got {stop:g}")
    f = modulation(_series(kernel, scale))
    seed = _validate.check_seed(random_state)
    graph = _graphs.as_graph(W)
    first, second = (
        _walk(graph, f, scale, walks, stop, np.random.Generator(np.random.Philox(key=[seed, which])))
        for which in (0, 1)
    )
    return first, second


def _series(kernel: Any, scale: float) -> NDArray[np.float64]:
    if isinstance(kernel, str):
        _validate.check_choice(kernel, "kernel", tuple(KERNELS))
        if kernel.startswith("inverse") and scale >= 1.0:
            raise ValueError(f"kernel={kernel!r} needs regularizer < 1, got {scale:g}")
        kernel = KERNELS[kernel]
    if callable(kernel):
        alpha = np.array([float(kernel(r)) for r in range(TERMS)])
    else:
        given = np.asarray(kernel, dtype=np.float64)
        if given.ndim != 1 or not given.size:
            raise ValueError(f"kernel must be a name, a function or a 1-D array, got shape {given.shape}")
        alpha = np.zeros(TERMS)
        alpha[: min(len(given), TERMS)] = given[:TERMS]
    _validate.check_finite(alpha, "kernel")
    if not alpha[0] > 0:
        raise ValueError(f"kernel must have a positive first coefficient, got {alpha[0]:g}")
    return alpha


def _walk(
    graph: _graphs.Graph, f: NDArray[np.float64], scale: float, walks: int, stop: float,
    random: np.random.Generator,
) -> csr_array:  # fmt: skip
    n = graph.n
    counts = np.diff(graph.offsets)
    degrees = graph.degrees
    root = np.sqrt(np.where(degrees > 0, degrees, 1.0))
    # Load of a step along an entry of W: U times the number of neighbours over the chance to go on.
    step = np.repeat(counts / root, counts) * graph.values / root[graph.indices] * (scale / (1.0 - stop))
    total: Any = csr_array((n, n))
    group = max(1, WALKERS // walks)
    for lo in range(0, n, group):
        start = np.repeat(np.arange(lo, min(lo + group, n)), walks)
        at, load = start.copy(), np.ones(len(start))
        rows, columns, values = [start], [at], [load * f[0]]
        for length in range(1, TERMS):
            going = (random.random(len(at)) >= stop) & (counts[at] > 0)
            start, at, load = start[going], at[going], load[going]
            if not len(at):
                break
            edge = graph.offsets[at] + np.minimum(
                (random.random(len(at)) * counts[at]).astype(np.int64), counts[at] - 1
            )
            load = load * step[edge]
            at = graph.indices[edge].astype(np.int64)
            if f[length] != 0.0:
                rows.append(start)
                columns.append(at)
                values.append(load * f[length])
        where = (np.concatenate(rows), np.concatenate(columns))
        total = total + coo_array((np.concatenate(values), where), shape=(n, n)).tocsr()
    total = csr_array(total) / walks
    total.eliminate_zeros()
    return csr_array(total)
