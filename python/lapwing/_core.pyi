from collections.abc import Callable, Sequence
from typing import Annotated, overload

import numpy
from numpy.typing import NDArray


def get_num_threads() -> int:
    """Threads that a call uses unless told otherwise."""

def set_num_threads(n: int) -> None:
    """Set the default number of threads of this process; 0: automatic."""

def set_isa(name: str | None) -> None:
    """Force an instruction set on this process; None: the best available."""

def get_isa() -> str:
    """Instruction set that calls use."""

def best_isa() -> str:
    """Best instruction set available."""

def scratch_of(call: Callable) -> int:
    """
    Most bytes of scratch memory that the calls of a function into this extension took at a time.
    """

def build_info() -> dict:
    """Version, compiler, Eigen, instruction sets built."""

@overload
def knn(queries: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], points: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], same: bool, metric: str, method: str, index: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu')], value: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int) -> None: ...

@overload
def knn(queries: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], points: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], same: bool, metric: str, method: str, index: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu')], value: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int) -> None:
    """Nearest neighbours of each query, exactly; fills `index` and `value`."""

@overload
def radius_counts(points: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], radius: float, metric: str, method: str, counts: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None: ...

@overload
def radius_counts(points: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], radius: float, metric: str, method: str, counts: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None:
    """Number of other points within the radius of each; fills `counts`."""

@overload
def radius_fill(points: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], radius: float, metric: str, method: str, offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None: ...

@overload
def radius_fill(points: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], radius: float, metric: str, method: str, offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None:
    """
    Those points and their distances, by index; fills `indices` and `values`.
    """

def components(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> tuple:
    """Component of each node, the largest first, and the sizes."""

def is_symmetric(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> bool:
    """Whether pattern and values are symmetric to the last bit."""

def symmetrize(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], rule: str) -> tuple:
    """A symmetric matrix, to the last bit."""

class LaplacianSolver:
    """Solves L x = b for the Laplacian of a graph."""

    def __init__(self, offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], split: int, seed: int, threads: int) -> None: ...

    @property
    def factor_nonzeros(self) -> int: ...

    def apply(self, b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None))]:
        """The preconditioner alone."""

    def solve(self, b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], tol: float, max_iter: int, x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int, callback: object | None) -> tuple:
        """
        Fills `x`; returns the residuals, the number of iterations and whether all columns converged.
        """

def count_below(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], form: str, sigma: float, max_memory: float, threads: int) -> tuple:
    """
    Eigenvalues of the Laplacian below sigma, and by how much the counted matrix may differ.
    """

@overload
def dense_times(a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int) -> None: ...

@overload
def dense_times(a: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int) -> None:
    """Fills `out` with v aᵀ."""

def eigs(apply: object, n: int, known: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, k: int, largest: bool, tol: float, norm: float, width: int, max_products: int, verify: bool, seed: int, vectors: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int, callback: object | None) -> dict:
    """
    Eigenpairs at one end of the spectrum of a symmetric operator; fills `vectors`.
    """

def svds(apply: object, transposed: object, rows: int, cols: int, k: int, tol: float, max_apply: int, seed: int, u: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], v: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int, callback: object | None) -> tuple:
    """
    Leading singular triplets of an operator; fills `u` (k x rows) and `v` (k x cols).
    """

def laplacian_eigs(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], k: int, method: str, form: str, guard: int, tol: float, tol_vec: float, split: int, max_outer: int, max_memory: float, verify: bool, seed: int, vectors: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int, callback: object | None, start: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, tol_angle: float = 0.0, accurate: int = 0) -> dict:
    """
    The k smallest eigenpairs of a graph Laplacian beyond its null space; fills `vectors`.
    """

def wavelet_names() -> list[str]: ...

def wavelet_filters(arg: str, /) -> list[list[float]]: ...

def dwt_length(arg0: int, arg1: int, arg2: str, /) -> int: ...

def idwt_length(arg0: int, arg1: int, arg2: str, /) -> int: ...

@overload
def wavedec2(x: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], axes: Sequence[int], filters: Sequence[Sequence[Sequence[float]]], modes: Sequence[str], levels: Sequence[Sequence[Annotated[NDArray[numpy.float32], dict(device='cpu')]]], approximation: Annotated[NDArray[numpy.float32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def wavedec2(x: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], axes: Sequence[int], filters: Sequence[Sequence[Sequence[float]]], modes: Sequence[str], levels: Sequence[Sequence[Annotated[NDArray[numpy.float64], dict(device='cpu')]]], approximation: Annotated[NDArray[numpy.float64], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def waverec2(approximation: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], levels: Sequence[Sequence[Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)]]], axes: Sequence[int], filters: Sequence[Sequence[Sequence[float]]], modes: Sequence[str], y: Annotated[NDArray[numpy.float32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def waverec2(approximation: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], levels: Sequence[Sequence[Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)]]], axes: Sequence[int], filters: Sequence[Sequence[Sequence[float]]], modes: Sequence[str], y: Annotated[NDArray[numpy.float64], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def dwt(x: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], axis: int, filters: Sequence[Sequence[float]], mode: str, low: Annotated[NDArray[numpy.float32], dict(device='cpu')], high: Annotated[NDArray[numpy.float32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def dwt(x: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], axis: int, filters: Sequence[Sequence[float]], mode: str, low: Annotated[NDArray[numpy.float64], dict(device='cpu')], high: Annotated[NDArray[numpy.float64], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def idwt(low: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], high: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], axis: int, filters: Sequence[Sequence[float]], mode: str, y: Annotated[NDArray[numpy.float32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def idwt(low: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], high: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], axis: int, filters: Sequence[Sequence[float]], mode: str, y: Annotated[NDArray[numpy.float64], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def dwt_adjoint(low: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], high: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], axis: int, filters: Sequence[Sequence[float]], mode: str, x: Annotated[NDArray[numpy.float32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def dwt_adjoint(low: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], high: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], axis: int, filters: Sequence[Sequence[float]], mode: str, x: Annotated[NDArray[numpy.float64], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def idwt_adjoint(y: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], axis: int, filters: Sequence[Sequence[float]], mode: str, low: Annotated[NDArray[numpy.float32], dict(device='cpu')], high: Annotated[NDArray[numpy.float32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def idwt_adjoint(y: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], axis: int, filters: Sequence[Sequence[float]], mode: str, low: Annotated[NDArray[numpy.float64], dict(device='cpu')], high: Annotated[NDArray[numpy.float64], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def swt(x: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], axis: int, filters: Sequence[Sequence[float]], step: int, scale: float, low: Annotated[NDArray[numpy.float32], dict(device='cpu')], high: Annotated[NDArray[numpy.float32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def swt(x: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], axis: int, filters: Sequence[Sequence[float]], step: int, scale: float, low: Annotated[NDArray[numpy.float64], dict(device='cpu')], high: Annotated[NDArray[numpy.float64], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def iswt(low: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], high: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], axis: int, filters: Sequence[Sequence[float]], step: int, scale: float, y: Annotated[NDArray[numpy.float32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def iswt(low: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], high: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], axis: int, filters: Sequence[Sequence[float]], step: int, scale: float, y: Annotated[NDArray[numpy.float64], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def shear(x: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], axis: int, scheme: str, low: Annotated[NDArray[numpy.float32], dict(device='cpu')], high: Annotated[NDArray[numpy.float32], dict(device='cpu')], transposed: bool, threads: int, callback: object | None) -> None: ...

@overload
def shear(x: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], axis: int, scheme: str, low: Annotated[NDArray[numpy.float64], dict(device='cpu')], high: Annotated[NDArray[numpy.float64], dict(device='cpu')], transposed: bool, threads: int, callback: object | None) -> None: ...

@overload
def unshear(low: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], high: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], axis: int, scheme: str, x: Annotated[NDArray[numpy.float32], dict(device='cpu')], transposed: bool, threads: int, callback: object | None) -> None: ...

@overload
def unshear(low: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], high: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], axis: int, scheme: str, x: Annotated[NDArray[numpy.float64], dict(device='cpu')], transposed: bool, threads: int, callback: object | None) -> None: ...

@overload
def lift(x: Annotated[NDArray[numpy.uint8], dict(device='cpu', writable=False)], axis: int, across: int, axes: str, scheme: str, shift: int, bands: Sequence[Annotated[NDArray[numpy.int16], dict(device='cpu')]], threads: int, callback: object | None) -> list[int]: ...

@overload
def lift(x: Annotated[NDArray[numpy.uint8], dict(device='cpu', writable=False)], axis: int, across: int, axes: str, scheme: str, shift: int, bands: Sequence[Annotated[NDArray[numpy.int32], dict(device='cpu')]], threads: int, callback: object | None) -> list[int]: ...

@overload
def lift(x: Annotated[NDArray[numpy.uint8], dict(device='cpu', writable=False)], axis: int, across: int, axes: str, scheme: str, shift: int, bands: Sequence[Annotated[NDArray[numpy.int64], dict(device='cpu')]], threads: int, callback: object | None) -> list[int]: ...

@overload
def lift(x: Annotated[NDArray[numpy.int16], dict(device='cpu', writable=False)], axis: int, across: int, axes: str, scheme: str, shift: int, bands: Sequence[Annotated[NDArray[numpy.int16], dict(device='cpu')]], threads: int, callback: object | None) -> list[int]: ...

@overload
def lift(x: Annotated[NDArray[numpy.int32], dict(device='cpu', writable=False)], axis: int, across: int, axes: str, scheme: str, shift: int, bands: Sequence[Annotated[NDArray[numpy.int32], dict(device='cpu')]], threads: int, callback: object | None) -> list[int]: ...

@overload
def lift(x: Annotated[NDArray[numpy.int64], dict(device='cpu', writable=False)], axis: int, across: int, axes: str, scheme: str, shift: int, bands: Sequence[Annotated[NDArray[numpy.int64], dict(device='cpu')]], threads: int, callback: object | None) -> list[int]: ...

@overload
def unlift(bands: Sequence[Annotated[NDArray[numpy.int16], dict(device='cpu', writable=False)]], axis: int, across: int, axes: str, scheme: str, shift: int, x: Annotated[NDArray[numpy.int16], dict(device='cpu')], threads: int, callback: object | None) -> list[list[int]]: ...

@overload
def unlift(bands: Sequence[Annotated[NDArray[numpy.int32], dict(device='cpu', writable=False)]], axis: int, across: int, axes: str, scheme: str, shift: int, x: Annotated[NDArray[numpy.int32], dict(device='cpu')], threads: int, callback: object | None) -> list[list[int]]: ...

@overload
def unlift(bands: Sequence[Annotated[NDArray[numpy.int64], dict(device='cpu', writable=False)]], axis: int, across: int, axes: str, scheme: str, shift: int, x: Annotated[NDArray[numpy.int64], dict(device='cpu')], threads: int, callback: object | None) -> list[list[int]]: ...

@overload
def pyramid_down(x: Annotated[NDArray[numpy.uint8], dict(device='cpu', writable=False)], a: float, down: Annotated[NDArray[numpy.uint8], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_down(x: Annotated[NDArray[numpy.uint16], dict(device='cpu', writable=False)], a: float, down: Annotated[NDArray[numpy.uint16], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_down(x: Annotated[NDArray[numpy.int16], dict(device='cpu', writable=False)], a: float, down: Annotated[NDArray[numpy.int16], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_down(x: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], a: float, down: Annotated[NDArray[numpy.float32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_down(x: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], a: float, down: Annotated[NDArray[numpy.float64], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_up(x: Annotated[NDArray[numpy.uint8], dict(device='cpu', writable=False)], border: str, up: Annotated[NDArray[numpy.uint8], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_up(x: Annotated[NDArray[numpy.uint16], dict(device='cpu', writable=False)], border: str, up: Annotated[NDArray[numpy.uint16], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_up(x: Annotated[NDArray[numpy.int16], dict(device='cpu', writable=False)], border: str, up: Annotated[NDArray[numpy.int16], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_up(x: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], border: str, up: Annotated[NDArray[numpy.float32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_up(x: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], border: str, up: Annotated[NDArray[numpy.float64], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_split(x: Annotated[NDArray[numpy.uint8], dict(device='cpu', writable=False)], a: float, border: str, down: Annotated[NDArray[numpy.uint8], dict(device='cpu')], detail: Annotated[NDArray[numpy.int16], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_split(x: Annotated[NDArray[numpy.uint16], dict(device='cpu', writable=False)], a: float, border: str, down: Annotated[NDArray[numpy.uint16], dict(device='cpu')], detail: Annotated[NDArray[numpy.int32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_split(x: Annotated[NDArray[numpy.int16], dict(device='cpu', writable=False)], a: float, border: str, down: Annotated[NDArray[numpy.int16], dict(device='cpu')], detail: Annotated[NDArray[numpy.int32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_split(x: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], a: float, border: str, down: Annotated[NDArray[numpy.float32], dict(device='cpu')], detail: Annotated[NDArray[numpy.float32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_split(x: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], a: float, border: str, down: Annotated[NDArray[numpy.float64], dict(device='cpu')], detail: Annotated[NDArray[numpy.float64], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_join(down: Annotated[NDArray[numpy.uint8], dict(device='cpu', writable=False)], detail: Annotated[NDArray[numpy.int16], dict(device='cpu', writable=False)], border: str, x: Annotated[NDArray[numpy.uint8], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_join(down: Annotated[NDArray[numpy.uint16], dict(device='cpu', writable=False)], detail: Annotated[NDArray[numpy.int32], dict(device='cpu', writable=False)], border: str, x: Annotated[NDArray[numpy.uint16], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_join(down: Annotated[NDArray[numpy.int16], dict(device='cpu', writable=False)], detail: Annotated[NDArray[numpy.int32], dict(device='cpu', writable=False)], border: str, x: Annotated[NDArray[numpy.int16], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_join(down: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], detail: Annotated[NDArray[numpy.float32], dict(device='cpu', writable=False)], border: str, x: Annotated[NDArray[numpy.float32], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def pyramid_join(down: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], detail: Annotated[NDArray[numpy.float64], dict(device='cpu', writable=False)], border: str, x: Annotated[NDArray[numpy.float64], dict(device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def ot_scan(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], threads: int) -> tuple: ...

@overload
def ot_scan(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], threads: int) -> tuple:
    """
    Range of a matrix, number of +inf, flat index of the first NaN or -inf (-1: none).
    """

@overload
def ot_range(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, threads: int) -> tuple: ...

@overload
def ot_range(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, threads: int) -> tuple:
    """Bounds of the finite costs."""

@overload
def ot_solve(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], schedule: Sequence[float], tol: float, max_iter: int, init: bool, acceleration: str, method: str, max_bytes: float, threads: int, callback: object | None) -> dict: ...

@overload
def ot_solve(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], schedule: Sequence[float], tol: float, max_iter: int, init: bool, acceleration: str, method: str, max_bytes: float, threads: int, callback: object | None) -> dict:
    """Balanced entropic transport; f and g are written."""

@overload
def ot_solve_sparse(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], schedule: Sequence[float], tol: float, max_iter: int, init: bool, acceleration: str, method: str, max_bytes: float, threads: int, callback: object | None) -> dict: ...

@overload
def ot_solve_sparse(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], schedule: Sequence[float], tol: float, max_iter: int, init: bool, acceleration: str, method: str, max_bytes: float, threads: int, callback: object | None) -> dict:
    """Balanced entropic transport over stored pairs; f and g are written."""

@overload
def ot_solve_sparse_relaxed(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], rho_a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], rho_b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], clip: bool, mass: float, product: bool, schedule: Sequence[float], tol: float, max_iter: int, init: bool, accelerate: bool, threads: int, callback: object | None) -> dict: ...

@overload
def ot_solve_sparse_relaxed(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], rho_a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], rho_b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], clip: bool, mass: float, product: bool, schedule: Sequence[float], tol: float, max_iter: int, init: bool, accelerate: bool, threads: int, callback: object | None) -> dict:
    """
    Transport over stored pairs with penalised or bounded marginals; f and g are written.
    """

@overload
def ot_solve_batch(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)] | None, metric: str, a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], rows: Sequence[int], cols: Sequence[int], reg: float, scaling: bool, tol: float, max_iter: int, init: bool, acceleration: str, method: str, max_bytes: float, threads: int, callback: object | None) -> list: ...

@overload
def ot_solve_batch(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', device='cpu', writable=False)] | None, metric: str, a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], rows: Sequence[int], cols: Sequence[int], reg: float, scaling: bool, tol: float, max_iter: int, init: bool, acceleration: str, method: str, max_bytes: float, threads: int, callback: object | None) -> list:
    """Many balanced problems; f and g are written."""

@overload
def ot_solve_relaxed_batch(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)] | None, metric: str, a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], rows: Sequence[int], cols: Sequence[int], rho_a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], rho_b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], clip: bool, mass: float, product: bool, reg: float, scaling: bool, tol: float, max_iter: int, init: bool, accelerate: bool, threads: int, callback: object | None) -> list: ...

@overload
def ot_solve_relaxed_batch(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', device='cpu', writable=False)] | None, metric: str, a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], rows: Sequence[int], cols: Sequence[int], rho_a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], rho_b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], clip: bool, mass: float, product: bool, reg: float, scaling: bool, tol: float, max_iter: int, init: bool, accelerate: bool, threads: int, callback: object | None) -> list:
    """
    Many problems with penalised or bounded marginals; f and g are written.
    """

@overload
def ot_batch_plans(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)] | None, metric: str, a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], rows: Sequence[int], cols: Sequence[int], reg: float, out: Annotated[NDArray[numpy.float32], dict(shape=(None, None, None), order='C', device='cpu')], threads: int) -> None: ...

@overload
def ot_batch_plans(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', device='cpu', writable=False)] | None, metric: str, a: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], rows: Sequence[int], cols: Sequence[int], reg: float, out: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', device='cpu')], threads: int) -> None:
    """
    The plans of ot_solve_batch; what is beyond the size of a problem is left as it is.
    """

@overload
def ot_barycenter(measures: Sequence[tuple[Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]]], metric: str, shares: Sequence[float], own_x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, own_y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, schedule: Sequence[float], tol: float, max_iter: int, log_p: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int, callback: object | None) -> tuple: ...

@overload
def ot_barycenter(measures: Sequence[tuple[Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]]], metric: str, shares: Sequence[float], own_x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, own_y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, schedule: Sequence[float], tol: float, max_iter: int, log_p: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int, callback: object | None) -> tuple:
    """Entropic barycentre on a fixed support; log p is written."""

@overload
def ot_doubly_stochastic(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, row_sums: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], tol: float, max_iter: int, log_scaling: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> tuple: ...

@overload
def ot_doubly_stochastic(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, row_sums: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], tol: float, max_iter: int, log_scaling: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> tuple:
    """Symmetric scaling of a kernel of points; its logarithm is written."""

@overload
def ot_solve_marginals(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], rows: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], columns: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], w: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], free: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)], total: float | None, transposed: bool, tol: float, max_iter: int, s: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], t: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> tuple: ...

@overload
def ot_solve_marginals(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], rows: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], columns: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], w: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], free: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)], total: float | None, transposed: bool, tol: float, max_iter: int, s: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], t: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> tuple:
    """The equations of implicit differentiation; s and t are written."""

@overload
def ot_solve_relaxed(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], rho_a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], rho_b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], clip: bool, mass: float, product: bool, schedule: Sequence[float], tol: float, max_iter: int, init: bool, accelerate: bool, threads: int, callback: object | None) -> dict: ...

@overload
def ot_solve_relaxed(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], f: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], g: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], rho_a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], rho_b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], clip: bool, mass: float, product: bool, schedule: Sequence[float], tol: float, max_iter: int, init: bool, accelerate: bool, threads: int, callback: object | None) -> dict:
    """Transport with penalised or bounded marginals; f and g are written."""

@overload
def ot_softmin(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, h: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], reg: float, out: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], transpose: bool, threads: int, callback: object | None) -> None: ...

@overload
def ot_softmin(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, h: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], reg: float, out: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], transpose: bool, threads: int, callback: object | None) -> None:
    """out_i = -reg log sum_j exp((h_j - C_ij) / reg)."""

@overload
def ot_ctransform(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, h: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], transpose: bool, threads: int) -> None: ...

@overload
def ot_ctransform(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, h: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], transpose: bool, threads: int) -> None:
    """out_i = min_j (C_ij - h_j) and its j."""

@overload
def ot_apply(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], V: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], transpose: bool, threads: int, callback: object | None) -> None: ...

@overload
def ot_apply(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], V: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], transpose: bool, threads: int, callback: object | None) -> None:
    """out = P V or P^T V."""

@overload
def ot_normal(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], w: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], V: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def ot_normal(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], w: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], V: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int, callback: object | None) -> None:
    """out = P^T diag(w) P V in one sweep."""

@overload
def ot_weighted(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], power: int, left: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, right: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, V: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], U: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], forward: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], backward: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int, callback: object | None) -> None: ...

@overload
def ot_weighted(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], power: int, left: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, right: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, V: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], U: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], forward: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], backward: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int, callback: object | None) -> None:
    """
    forward = W V and backward = W^T U in one sweep, W_ij = P_ij C_ij^power (left right^T)_ij.
    """

@overload
def ot_stats(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], row_sum: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], col_sum: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int, callback: object | None) -> tuple: ...

@overload
def ot_stats(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], row_sum: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], col_sum: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int, callback: object | None) -> tuple:
    """Marginals, and (sum P, <C, P>, sum P log P)."""

@overload
def ot_plan(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], i0: int, out: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], threads: int) -> None: ...

@overload
def ot_plan(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], i0: int, out: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int) -> None:
    """Rows i0 ... of P."""

@overload
def ot_sparse_semi_dual(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], reg: float, alpha: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], gradient: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], support: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], parts: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], transpose: bool, threads: int) -> float: ...

@overload
def ot_sparse_semi_dual(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], b: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], reg: float, alpha: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], gradient: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], support: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], parts: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], transpose: bool, threads: int) -> float:
    """
    Semi-dual of transport with few entries in each column; its gradient and they are written.
    """

@overload
def ot_topk(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], k: int, index: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], value: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], transpose: bool, threads: int) -> None: ...

@overload
def ot_topk(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], k: int, index: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], value: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], transpose: bool, threads: int) -> None:
    """The k largest entries of every row of P."""

@overload
def ot_argmax(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], value: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], transpose: bool, threads: int) -> None: ...

@overload
def ot_argmax(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], index: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], value: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], transpose: bool, threads: int) -> None:
    """The largest entry of every row of P."""

@overload
def ot_sample(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], rows: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], uniform: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], columns: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], transpose: bool, threads: int) -> None: ...

@overload
def ot_sample(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], rows: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], uniform: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], columns: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], transpose: bool, threads: int) -> None:
    """Draws columns from the rows of P."""

@overload
def ot_quantile(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, q: float, n_samples: int, seed: int, threads: int) -> float: ...

@overload
def ot_quantile(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, q: float, n_samples: int, seed: int, threads: int) -> float:
    """Quantile of the costs (n_samples = 0: exact), interpolated linearly."""

@overload
def ot_svds(X: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], left: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], right: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], k: int, block: int, tol: float, max_apply: int, seed: int, threads: int, callback: object | None) -> tuple: ...

@overload
def ot_svds(X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], Y: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, metric: str, reg: float, u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], left: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], right: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], k: int, block: int, tol: float, max_apply: int, seed: int, threads: int, callback: object | None) -> tuple:
    """
    Leading singular triplets of the plan on the complement of (left, right).
    """

def ot_grid_barycenter(axes: Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]], histograms: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], shares: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], debias: bool, schedule: Sequence[float], tol: float, max_iter: int, log_p: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int, callback: object | None) -> tuple:
    """Entropic barycentre on a product grid; log p is written."""

def ot_scaling_levels(spread: float, reg: float) -> list[float]:
    """Values of reg to pass through, for costs that range over `spread`."""

def ot_solve_marginals_stored(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], unit: float, rows: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], columns: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], w: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], free: Annotated[NDArray[numpy.bool_], dict(shape=(None,), order='C', device='cpu', writable=False)], total: float | None, tol: float, max_iter: int, s: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], t: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')]) -> tuple:
    """ot_solve_marginals for a stored plan."""

def ot_doubly_stochastic_stored(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], row_sums: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], tol: float, max_iter: int, log_scaling: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], entries: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> tuple:
    """
    Symmetric scaling of a kernel that is stored; its logarithm and the scaled entries are written.
    """

def sweep(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], node: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], volume: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], objective: str, low: float, high: float, order: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], profile: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> tuple:
    """
    Best prefix of the nodes by v; fills `order` and `profile`, returns size, value, cut and feasibility.
    """

def cut_measures(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], node: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], volume: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], labels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], k: int) -> tuple:
    """
    Cut; weight, volume, weight of leaving edges and pieces of each part; nodes at the boundary.
    """

def partition(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], node: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], targets: Sequence[float], limits: Sequence[float], refine: str, objective: str, volume: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, trials: int, seed: int, directions: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, labels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], threads: int, callback: object | None) -> dict:
    """Parts of small cut; fills `labels`."""

def partition_refine(offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], indices: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], values: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], node: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], targets: Sequence[float], limits: Sequence[float], refine: str, objective: str, volume: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None, trials: int, seed: int, directions: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, labels: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], threads: int, callback: object | None) -> dict:
    """Improves the partition in `labels`."""

@overload
def phylo_similarity(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], model: tuple, split: int, s: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int) -> tuple: ...

@overload
def phylo_similarity(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], model: tuple, split: int, s: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], threads: int) -> tuple:
    """
    Fills `s`; returns the pairs that are saturated, those with too few joint sites, and the first of them. model: name, states, alpha, gamma, pooled, pseudocount, overlap.
    """

@overload
def phylo_inspect(x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], threads: int) -> dict: ...

@overload
def phylo_inspect(x: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], threads: int) -> dict:
    """Whether a square matrix is finite and symmetric, and its range."""

@overload
def phylo_distances(s: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], d: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int) -> float: ...

@overload
def phylo_distances(s: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], d: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], threads: int) -> float:
    """Fills `d` with -log s, cut off at the largest finite value."""

@overload
def phylo_cut(s: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], part: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], gaps: int, least: int, random_walk: bool, tol: float, side: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], vector: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')] | None, threads: int) -> dict: ...

@overload
def phylo_cut(s: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], part: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], gaps: int, least: int, random_walk: bool, tol: float, side: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], vector: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')] | None, threads: int) -> dict:
    """Fills `side` (and the Fiedler `vector`)."""

@overload
def phylo_leading_pair(s: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], rows: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], cols: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> float: ...

@overload
def phylo_leading_pair(s: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], rows: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], cols: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> float:
    """Leading singular value of a block of `s`; fills its vectors."""

@overload
def phylo_edge_scores(s: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], leaves: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], parent: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], score: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None: ...

@overload
def phylo_edge_scores(s: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], leaves: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], parent: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], score: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None:
    """Fills `score`, for the edge above each node."""

@overload
def phylo_insertion_lengths(d: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], leaves: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], parent: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], delta: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], cap: float, excess: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None: ...

@overload
def phylo_insertion_lengths(d: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], leaves: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], parent: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], delta: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], cap: float, excess: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None:
    """Fills `excess`, for the edge above each node."""

@overload
def phylo_insertion_lengths(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], model: tuple, leaves: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], parent: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], delta: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], cap: float, excess: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None:
    """The same from sequences."""

@overload
def phylo_interchange(d: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], cap: float, parent: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], sweeps: int, threads: int) -> int: ...

@overload
def phylo_interchange(d: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], cap: float, parent: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], sweeps: int, threads: int) -> int:
    """
    Changes `parent` by interchanges that make the tree shorter; returns how many.
    """

@overload
def phylo_interchange(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], model: tuple, cap: float, parent: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu')], sweeps: int, threads: int) -> int:
    """The same from sequences."""

@overload
def phylo_lengths(d: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], leaves: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], parent: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], length: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None: ...

@overload
def phylo_lengths(d: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], leaves: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], parent: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], length: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None:
    """Fills `length`, for the edge above each node."""

def phylo_gram(x: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], threads: int) -> None:
    """Fills `out` with x xᵀ."""

def phylo_join(d: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], method: str, clip: bool, threads: int) -> tuple:
    """Parents, lengths, and the rows searched."""

def phylo_join_in_place(d: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], clip: bool, threads: int) -> tuple:
    """The same (nj), with `d` as scratch memory."""

def phylo_quartet_tree(s: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], threads: int) -> tuple:
    """Parents, lengths (0), and 0."""

def phylo_spectral_join(s: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], criterion: str, threads: int) -> tuple:
    """Parents, lengths (0), and the number of scores computed."""

def phylo_balanced_lengths(codes: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], model: tuple, leaves: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], parent: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], cap: float, length: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu')], threads: int) -> None:
    """Fills `length`, for the edge above each node."""
