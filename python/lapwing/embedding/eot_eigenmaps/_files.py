"""Tables of numbers in files, and embeddings into files."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lapwing._optional import need

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._estimator import EOTEigenmaps

__all__ = ["INPUTS", "OUTPUTS", "Table", "output_paths", "read_table", "write_embedding"]

INPUTS = (".npy", ".npz", ".csv", ".tsv", ".mtx", ".h5ad")
OUTPUTS = (".npz", ".csv", ".tsv", ".h5ad")


@dataclass
class Table:
    """Samples in rows, features in columns, with the names that the file gives."""

    path: Path
    values: Any
    samples: list[str] | None = None
    features: list[str] | None = None
    anndata: Any = field(default=None, repr=False)

    def transposed(self) -> Table:
        if self.anndata is not None:
            raise ValueError(
                f"{self.path}: --transpose is not for .h5ad files, whose rows are always samples"
            )
        return Table(self.path, self.values.T, self.features, self.samples)

    def select(self, columns: NDArray[np.intp]) -> Table:
        """Some features, in this order."""
        values = self.values.tocsr() if hasattr(self.values, "tocsr") else self.values
        assert self.features is not None
        names = [self.features[j] for j in columns]
        data = None if self.anndata is None else self.anndata[:, columns].copy()
        return Table(self.path, values[:, columns], self.samples, names, data)


def read_table(path: str | Path, *, key: str | None = None, layer: str | None = None) -> Table:
    """Read one dataset; the suffix of the file tells its format.

    Parameters
    ----------
    path : path
        .npy; .npz (one array, or a SciPy sparse matrix); .csv and .tsv (a first row of column names and a
        first column of row names are recognised); .mtx (Matrix Market); .h5ad (AnnData, needs the extra).
    key : str or None, default=None
        The array to take from an .npz file that holds several; None: the only one, or that called "X".
    layer : str or None, default=None
        The layer to take from an .h5ad file; None: X.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        When the file does not hold a table of numbers.
    OSError
        When it cannot be read.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in INPUTS:
        raise ValueError(
            f"{path}: unknown format {suffix or '(no suffix)'!r}; one of {', '.join(INPUTS)} is needed"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        if suffix == ".npy":
            table = Table(path, np.load(path, allow_pickle=False))
        elif suffix == ".npz":
            table = Table(path, _read_npz(path, key))
        elif suffix == ".mtx":
            table = Table(path, _read_mtx(path))
        elif suffix == ".h5ad":
            return _read_h5ad(path, layer)
        else:
            table = _read_text(path, "," if suffix == ".csv" else "\t")
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        text = str(error) or type(error).__name__
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(text if text.startswith(str(path)) else f"{path}: {text}") from error
    if len(np.shape(table.values)) != 2:
        raise ValueError(
            f"{path}: a 2-D table is needed (samples in rows), got shape {np.shape(table.values)}"
        )
    return table


def _read_npz(path: Path, key: str | None) -> Any:
    with np.load(path, allow_pickle=False) as archive:
        if key is None and {"format", "shape", "data"} <= set(archive.files):
            from scipy import sparse

            return sparse.load_npz(path)
        if key is None:
            if len(archive.files) != 1 and "X" not in archive.files:
                raise ValueError(
                    f"holds {len(archive.files)} arrays ({', '.join(archive.files)}); choose one by --key"
                )
            key = archive.files[0] if len(archive.files) == 1 else "X"
        if key not in archive.files:
            raise ValueError(f"no array {key!r} in it, only {', '.join(archive.files)}")
        return archive[key]


def _read_mtx(path: Path) -> Any:
    from scipy import sparse
    from scipy.io import mmread

    matrix = mmread(path)
    return sparse.csr_array(matrix) if sparse.issparse(matrix) else np.asarray(matrix)


def _read_h5ad(path: Path, layer: str | None) -> Table:
    anndata = need("anndata", extra="anndata", purpose=f"reading {path.name}")
    try:
        data = anndata.read_h5ad(path)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"{path}: not an .h5ad file: {error}") from error
    if layer is not None and layer not in data.layers:
        raise ValueError(f"{path}: no layer {layer!r}, only {sorted(data.layers)}")
    values = data.X if layer is None else data.layers[layer]
    if values is None:
        raise ValueError(f"{path}: has no X; choose a layer by --layer")
    return Table(path, values, [str(s) for s in data.obs_names], [str(s) for s in data.var_names], data)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_text(path: Path, delimiter: str) -> Table:
    rows: list[list[str]] = []
    with path.open(newline="", encoding="utf-8-sig") as stream:
        for row in csv.reader(stream, delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) == 2:
                break
    if not rows:
        raise ValueError("the file is empty")
    # A name before nothing but numbers is the name of a row; an empty first field is above names of rows.
    first = rows[0]
    names_row = len(first) > 1 and first[0] != "" and all(map(_is_number, first[1:]))
    header = None if names_row or all(map(_is_number, first)) else first
    if header is not None and len(rows) == 1:
        raise ValueError("no row of numbers in it")
    body = rows[1] if header is not None else rows[0]
    named = not _is_number(body[0]) or (
        header is not None and (header[0] == "" or len(header) == len(body) - 1)
    )
    names: list[str] = []
    data: list[NDArray[np.float64]] = []
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, delimiter=delimiter)
        for row in reader:
            if not row:
                continue
            if header is not None and not data and row == header:
                continue
            if len(row) != len(body):
                raise ValueError(f"line {reader.line_num} has {len(row)} fields, expected {len(body)}")
            if named:
                names.append(row[0])
            try:
                data.append(np.array(row[1:] if named else row, dtype=np.float64))
            except ValueError:
                j = next(j for j, text in enumerate(row) if not _is_number(text) and not (named and j == 0))
                raise ValueError(
                    f"line {reader.line_num}, field {j + 1}: {row[j]!r} is not a number"
                ) from None
    width = len(body) - named
    if width == 0:
        raise ValueError("no column of numbers in it")
    features = None if header is None else header[len(header) - width :]
    return Table(path, np.array(data), names if named else None, features)


def output_paths(out: str | Path) -> dict[str, Path]:
    """Where the embedding, the picture and the report go.

    A path with a known suffix is the embedding, and the others lie beside it with their own suffix; an
    existing folder or a path that ends in a slash gets `embedding.npz`, `.png`, `.json`; anything else is a
    prefix.
    """
    text = str(out)
    path = Path(out)
    if path.is_dir() or text.endswith(("/", "\\")):
        base, suffix = path / "embedding", ".npz"
    elif path.suffix.lower() in OUTPUTS:
        base, suffix = path.with_suffix(""), path.suffix
    elif path.suffix.lower() in (".png", ".json", ".npy", ".mtx", ".h5", ".txt", ".xlsx"):
        raise ValueError(f"{path}: cannot write {path.suffix} files; one of {', '.join(OUTPUTS)} is needed")
    else:
        base, suffix = path, ".npz"
    parent = base.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"{parent}: cannot make this folder: {error.strerror or error}") from error
    return {"embedding": base.with_name(base.name + suffix)} | {
        name: base.with_name(base.name + end) for name, end in (("picture", ".png"), ("report", ".json"))
    }


def _sample_names(table: Table, n: int) -> list[str]:
    return table.samples if table.samples is not None else [str(i) for i in range(n)]


def write_embedding(path: Path, model: EOTEigenmaps, x: Table, y: Table) -> None:
    """Write both embeddings into one file, as its suffix says.

    .npz: arrays `x` (m, r), `y` (n, r), `singular_values`, and `x_samples`, `y_samples` where the samples
    have names; .csv, .tsv: one row a sample with `dataset` (x or y), `sample` and the coordinates; .h5ad:
    both datasets joined, with the coordinates in `obsm["X_eot"]`.
    """
    pair = (("x", x, model.embedding_x_), ("y", y, model.embedding_y_))
    suffix = path.suffix.lower()
    if suffix == ".npz":
        arrays = {name: Z for name, _, Z in pair} | {"singular_values": model.singular_values_}
        arrays |= {f"{name}_samples": np.array(t.samples) for name, t, _ in pair if t.samples is not None}
        np.savez(path, **arrays)
    elif suffix == ".h5ad":
        _write_h5ad(path, pair)
    else:
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, delimiter="," if suffix == ".csv" else "\t", lineterminator="\n")
            writer.writerow(["dataset", "sample", *(f"eot_{k + 1}" for k in range(model.n_components_))])
            for name, table, Z in pair:
                for sample, row in zip(_sample_names(table, len(Z)), Z.tolist(), strict=True):
                    writer.writerow([name, sample, *map(repr, row)])


def _write_h5ad(path: Path, pair: Any) -> None:
    anndata = need("anndata", extra="anndata", purpose=f"writing {path.name}")
    parts = {}
    for name, table, Z in pair:
        data = table.anndata
        if data is None:
            values = table.values.tocsr() if hasattr(table.values, "tocsr") else np.asarray(table.values)
            features = table.features or [f"feature {j + 1}" for j in range(values.shape[1])]
            data = anndata.AnnData(values)
            data.obs_names = _sample_names(table, len(Z))
            data.var_names = features
        data.obsm["X_eot"] = Z
        parts[name] = data
    joined = anndata.concat(parts, label="dataset", index_unique="-")
    joined.write_h5ad(path)
