"""The verb `spectral` of the command line."""

from __future__ import annotations

import argparse
import csv
import json
import time
import warnings
from pathlib import Path
from typing import Any

__all__ = ["register"]

# Nothing but argparse is imported before the verb runs: `lapwing config` and `--help` stay quick.

_KERNELS = ("binary", "gaussian", "selftuning", "adaptive", "alpha_decay", "umap", "laplace")


def register(verbs: Any) -> None:
    """Add the verb to the command line's parser."""
    parser = verbs.add_parser(
        "spectral",
        help="embed one dataset, or a graph, by Laplacian eigenmaps",
        description="Embed the rows of a dataset by the smallest eigenvectors of the Laplacian of their "
        "graph of nearest neighbours; or the nodes of a graph. A square symmetric matrix without negative "
        "entries is taken for the weights of a graph, anything else for points in rows.",
    )
    parser.add_argument("X", help="points or weights: .npy, .npz, .csv, .tsv, .mtx or .h5ad")
    parser.add_argument(
        "-o", "--out", required=True, metavar="OUT",
        help="a file .npz, .csv, .tsv or .h5ad for the embedding (picture and report go beside it), a "
        "folder, or a prefix",
    )  # fmt: skip
    method = parser.add_argument_group("method")
    method.add_argument(
        "-k", "--components", type=int, default=2, metavar="K", help="number of coordinates (default 2)"
    )
    method.add_argument(
        "--neighbors", type=int, default=None, metavar="N", help="neighbours of each point (default 15)"
    )
    method.add_argument(
        "--kernel", choices=_KERNELS, default="selftuning", help="weights of neighbours (default selftuning)"
    )
    method.add_argument(
        "--parts", choices=["all", "largest"], default="all",
        help="of a graph that is not connected: tell all its components apart (default), or embed the "
        "largest",
    )  # fmt: skip
    method.add_argument(
        "--commute", action="store_true", help="scale the coordinates so that distances are commute times"
    )
    method.add_argument(
        "--solver", default="auto",
        choices=["auto", "dense", "approxchol", "cholesky", "chebyshev", "lanczos"],
        help="how the eigenvectors are computed (default auto)",
    )  # fmt: skip
    method.add_argument("--tol", type=float, default=1e-8, help="largest residual (default 1e-8)")
    method.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    method.add_argument("--jobs", type=int, default=None, metavar="N", help="threads (default: all)")
    data = parser.add_argument_group("data")
    kind = data.add_mutually_exclusive_group()
    kind.add_argument("--weights", action="store_true", help="X holds the weights of a graph")
    kind.add_argument("--points", action="store_true", help="X holds points")
    data.add_argument("--key", metavar="NAME", help="the array to take from an .npz file that holds several")
    data.add_argument("--layer", metavar="NAME", help="the layer to take from an .h5ad file (default X)")
    data.add_argument("--obsp", metavar="NAME", help="the weights to take from an .h5ad file, in place of X")
    data.add_argument("--transpose", action="store_true", help="points are in columns (not for .h5ad)")
    data.add_argument(
        "--labels", metavar="L",
        help="colours of the picture: a text file with one label a line, or an obs column of an .h5ad file",
    )  # fmt: skip
    parser.add_argument(
        "--no-picture", action="store_true", help="do not draw (matplotlib is then not needed)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no summary")
    parser.set_defaults(run=_spectral, verb="spectral")


def _is_weights(values: Any) -> bool:
    """Whether a matrix can hold the weights of a graph."""
    import numpy as np
    from scipy import sparse

    if values.shape[0] != values.shape[1] or values.dtype.kind not in "fiub":
        return False
    if not sparse.issparse(values):
        return bool(np.isfinite(values).all() and (values >= 0).all() and np.allclose(values, values.T))
    A = sparse.csr_array(values)
    if not (np.isfinite(A.data).all() and (A.data >= 0).all()):
        return False
    return bool(abs(A - A.T).max() <= 1e-10 * A.max())


def _write(path: Path, model: Any, table: Any) -> None:
    import numpy as np

    Y, suffix = model.embedding_, path.suffix.lower()
    if suffix == ".npz":
        arrays = {"embedding": Y, "eigenvalues": model.eigenvalues_, "residuals": model.residuals_}
        if table.samples is not None:
            arrays["samples"] = np.array(table.samples)
        np.savez(path, **arrays)
    elif suffix == ".h5ad":
        from lapwing._optional import need

        data = table.anndata
        if data is None:
            data = need("anndata", extra="anndata", purpose=f"writing {path.name}").AnnData(
                obs={"sample": table.samples or [str(i) for i in range(len(Y))]}
            )
        data.obsm["X_spectral"] = Y
        data.uns["X_spectral"] = {"eigenvalues": model.eigenvalues_}
        data.write_h5ad(path)
    else:
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, delimiter="," if suffix == ".csv" else "\t", lineterminator="\n")
            writer.writerow(["sample", *(f"spectral_{j + 1}" for j in range(Y.shape[1]))])
            for i, row in enumerate(Y.tolist()):
                writer.writerow([table.samples[i] if table.samples is not None else i, *map(repr, row)])


def _draw(path: Path, model: Any, labels: Any) -> None:
    import numpy as np

    from lapwing.plots import new_figure, save_figure, scatter_groups

    figure, axes = new_figure(1, 2)
    left, right = axes[0]
    Y = model.embedding_
    kept = np.isfinite(Y[:, 0])
    points = np.column_stack([Y[kept, 0], Y[kept, 1] if Y.shape[1] > 1 else np.zeros(kept.sum())])
    scatter_groups(
        left, points, None if labels is None else labels[kept], title="Laplacian eigenmaps", legend=True
    )
    right.plot(np.arange(1, Y.shape[1] + 1), model.eigenvalues_, "o-", color="0.3", markersize=4)
    right.set(xlabel="coordinate", title="eigenvalues", ylim=(0, None))
    right.xaxis.get_major_locator().set_params(integer=True)
    save_figure(figure, path)


def _spectral(args: argparse.Namespace) -> None:
    from lapwing._optional import need
    from lapwing._validate import check_outputs

    from .eot_eigenmaps._cli import _prepare_pictures, _read_labels, _write_report
    from .eot_eigenmaps._files import output_paths, read_table

    paths = output_paths(args.out)
    if paths["embedding"].suffix.lower() != ".h5ad":  # which keeps what it was read with
        check_outputs([args.X], paths.values())
    _prepare_pictures(not args.no_picture, "spectral")
    if paths["embedding"].suffix.lower() == ".h5ad":
        need("anndata", extra="anndata", purpose=f"writing {paths['embedding'].name}")
    table = read_table(args.X, key=args.key, layer=args.layer)
    if args.transpose:
        table = table.transposed()
    values = table.values
    if args.obsp is not None:
        if table.anndata is None:
            raise ValueError(f"--obsp is for .h5ad files, {args.X} is none")
        if args.obsp not in table.anndata.obsp:
            raise ValueError(f"{args.X}: no obsp {args.obsp!r}, only {sorted(table.anndata.obsp)}")
        values = table.anndata.obsp[args.obsp]
    as_weights = args.weights or (args.obsp is not None) or (not args.points and _is_weights(values))
    if not as_weights and hasattr(values, "toarray"):
        values = values.toarray()
    labels = None if args.labels is None else _read_labels(args.labels, table, values.shape[0])

    import lapwing

    model = lapwing.SpectralEmbedding(
        args.components,
        affinity="precomputed" if as_weights else "nearest_neighbors",
        n_neighbors=args.neighbors,
        kernel=args.kernel,
        components=args.parts,
        commute=args.commute,
        eigen_solver=args.solver,
        eigen_tol=args.tol,
        random_state=args.seed,
        n_jobs=args.jobs,
    )
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(values)
    seconds = time.perf_counter() - start
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    _write(paths["embedding"], model, table)
    if not args.no_picture:
        _draw(paths["picture"], model, labels)
    worst = float(model.residuals_.max())
    report: dict[str, Any] = {
        "lapwing": lapwing.__version__,
        "X": {
            "path": str(table.path),
            "shape": list(values.shape),
            "taken_as": "weights" if as_weights else "points",
        },
        "parameters": json.loads(json.dumps(model.get_params())),
        "certificate": {
            "converged": worst <= args.tol,
            "residual": worst,
            "eigenvalues": [float(v) for v in model.eigenvalues_],
            "connected_components": model.n_components_graph_,
        },
        "warnings": [" ".join(str(w.message).split()) for w in caught],
        "seconds": round(seconds, 3),
        "embedding": str(paths["embedding"]),
        "picture": None if args.no_picture else str(paths["picture"]),
    }
    _write_report(paths["report"], report)
    if not args.quiet:
        what = "nodes" if as_weights else f"points, {values.shape[1]} features"
        print(
            f"{values.shape[0]} {what}, {model.n_components_graph_} connected component"
            f"{'s' * (model.n_components_graph_ > 1)} -> {args.components} coordinates"
        )
        state = "converged" if worst <= args.tol else "NOT converged"
        print(f"certificate: {state}; largest residual of an eigenvector {worst:.1e}")
        print(f"time: {seconds:.2f} s")
        for name, path in paths.items():
            if name != "picture" or not args.no_picture:
                print(f"{name}: {path}")
