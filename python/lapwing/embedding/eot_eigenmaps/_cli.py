"""The verbs `embed` and `demo` of the command line."""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

__all__ = ["register"]

# Nothing but argparse is imported before a verb runs: `lapwing config` and `--help` stay quick.

_TSNE_MOST = 5000  # samples up to which the picture of `embed` is a t-SNE


def register(verbs: Any) -> None:
    """Add the verbs to the command line's parser."""
    _register_embed(verbs)
    _register_demo(verbs)


def _components(text: str) -> int | float | str:
    try:
        return int(text)
    except ValueError:
        return _bandwidth(text)


def _bandwidth(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _register_embed(verbs: Any) -> None:
    parser = verbs.add_parser(
        "embed",
        help="embed two datasets jointly by EOT eigenmaps",
        description="Embed two datasets with the same features in common coordinates. Rows are samples, "
        "columns features; where both files name their features, the shared ones are used, matched by name.",
    )
    files = ".npy, .npz, .csv, .tsv, .mtx or .h5ad"
    parser.add_argument("A", help=f"first dataset: {files}")
    parser.add_argument("B", help=f"second dataset: {files}")
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="OUT",
        help="a file .npz, .csv, .tsv or .h5ad for the embeddings (picture and report go beside it), a "
        "folder, or a prefix",
    )
    method = parser.add_argument_group("method")
    method.add_argument(
        "-r",
        "--components",
        type=_components,
        default=15,
        metavar="R",
        help="number of coordinates; or a share of the second singular value, 'gap', 'reference' "
        "(default 15)",
    )
    method.add_argument(
        "--bandwidth",
        type=_bandwidth,
        default="median-centered",
        metavar="EPS",
        help="regularisation: a squared distance, 'median-centered' (default), 'median' or 'mknn'",
    )
    method.add_argument("--time", type=float, default=0.0, metavar="T", help="diffusion time (default 0)")
    method.add_argument(
        "--density-discount",
        type=float,
        default=0.0,
        metavar="THETA",
        help="0 to 1: how far to discount differences in sampling density (default 0)",
    )
    method.add_argument("--tol", type=float, default=None, help="marginal error of the plan (default 1e-8)")
    method.add_argument(
        "--dtype",
        choices=["float32", "float64"],
        default=None,
        help="working precision (default: the data's)",
    )
    method.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    method.add_argument("--jobs", type=int, default=None, metavar="N", help="threads (default: all)")
    data = parser.add_argument_group("data")
    data.add_argument("--key", metavar="NAME", help="the array to take from .npz files that hold several")
    data.add_argument("--layer", metavar="NAME", help="the layer to take from .h5ad files (default X)")
    data.add_argument("--transpose", action="store_true", help="features are in rows (not for .h5ad)")
    data.add_argument(
        "--labels",
        nargs=2,
        metavar=("LA", "LB"),
        help="labels for the picture: text files with one label a line, or obs columns of .h5ad files",
    )
    parser.add_argument(
        "--no-picture", action="store_true", help="do not draw (matplotlib is then not needed)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar, no summary")
    parser.set_defaults(run=_embed, verb="embed")


def _register_demo(verbs: Any) -> None:
    parser = verbs.add_parser(
        "demo",
        help="align two real datasets and compare with joint PCA and CCA",
        description="Split a real dataset in two halves that are distorted differently, embed them jointly "
        "by EOT eigenmaps, joint PCA and CCA, and print how well each aligns them.",
    )
    parser.add_argument(
        "--data",
        choices=["digits", "pbmc"],
        default="digits",
        help="handwritten digits (bundled with scikit-learn) or blood cells (bundled with scanpy)",
    )
    parser.add_argument(
        "-o", "--out", default="lapwing-demo", metavar="OUT", help="where the results go, as for embed"
    )
    parser.add_argument(
        "-r", "--components", type=int, default=15, metavar="R", help="coordinates (default 15)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split and the distortion (default 0)")
    parser.add_argument("--jobs", type=int, default=None, metavar="N", help="threads (default: all)")
    parser.add_argument(
        "--no-picture", action="store_true", help="do not draw (matplotlib is then not needed)"
    )
    parser.set_defaults(run=_demo, verb="demo")


def _prepare_pictures(wanted: bool, verb: str) -> None:
    """Fail before the work if a picture cannot be drawn."""
    if wanted:
        from lapwing._optional import need

        purpose = f"the picture of lapwing {verb} (--no-picture goes without)"
        need("matplotlib", extra="plot", purpose=purpose).use("Agg")


def _read_labels(source: str, table: Any, n: int) -> Any:
    import numpy as np

    if table.anndata is not None and source in table.anndata.obs:
        return np.asarray(table.anndata.obs[source], dtype=str)
    path = Path(source)
    if not path.is_file():
        columns = f", and {table.path} has no obs column of this name" if table.anndata is not None else ""
        raise FileNotFoundError(f"labels {source!r}: no such file{columns}")
    labels = np.array(path.read_text(encoding="utf-8-sig").splitlines())
    if len(labels) != n:
        raise ValueError(f"{path}: {len(labels)} labels for the {n} samples of {table.path}")
    return labels


def _match_features(x: Any, y: Any) -> tuple[Any, Any, int | None]:
    if x.features is None or y.features is None or x.features == y.features:
        return x, y, None
    from ._anndata import shared_features

    i, j = shared_features(x.features, y.features, names=(str(x.path), str(y.path)))
    return x.select(i), y.select(j), len(i)


def _write_report(path: Path, report: dict[str, Any]) -> None:
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _certificate_line(report: dict[str, Any]) -> str:
    return (
        f"certificate: {'converged' if report['converged'] else 'NOT converged'}; marginal error of the plan "
        f"{report['marginal_error']:.1e} after {report['n_sweeps']} sweeps; residual of the singular vectors "
        f"{report['svd_residual']:.1e}"
    )


def _embed(args: argparse.Namespace) -> None:
    from lapwing._validate import check_outputs

    from ._files import output_paths, read_table

    paths = output_paths(args.out)
    check_outputs([args.A, args.B], paths.values())
    _prepare_pictures(not args.no_picture, "embed")
    if paths["embedding"].suffix.lower() == ".h5ad":
        from lapwing._optional import need

        need("anndata", extra="anndata", purpose=f"writing {paths['embedding'].name}")
    x, y = (read_table(path, key=args.key, layer=args.layer) for path in (args.A, args.B))
    if args.transpose:
        x, y = x.transposed(), y.transposed()
    x, y, n_shared = _match_features(x, y)
    labels = None
    if args.labels is not None:
        labels = [
            _read_labels(source, t, t.values.shape[0]) for source, t in zip(args.labels, (x, y), strict=True)
        ]

    import lapwing

    from ._anndata import certificate
    from ._estimator import EOTEigenmaps
    from ._files import write_embedding
    from ._plots import plot_joint_embedding

    model = EOTEigenmaps(
        args.components,
        bandwidth=args.bandwidth,
        diffusion_time=args.time,
        density_discount=args.density_discount,
        tol=args.tol,
        dtype=args.dtype,
        random_state=args.seed,
        n_jobs=args.jobs,
        verbose=0 if args.quiet else 1,
    )
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x.values, y.values)
    seconds = time.perf_counter() - start
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    write_embedding(paths["embedding"], model, x, y)
    if not args.no_picture:
        from lapwing.plots import save_figure

        small = x.values.shape[0] + y.values.shape[0] <= _TSNE_MOST
        figure = plot_joint_embedding(
            model,
            labels_x=None if labels is None else labels[0],
            labels_y=None if labels is None else labels[1],
            method="tsne" if small else "components",
            title=f"EOT eigenmaps{', t-SNE' if small else ', first two coordinates'}",
        )
        save_figure(figure, paths["picture"])
    report: dict[str, Any] = {
        "lapwing": lapwing.__version__,
        "A": {"path": str(x.path), "shape": list(x.values.shape)},
        "B": {"path": str(y.path), "shape": list(y.values.shape)},
        "features_matched_by_name": n_shared,
        "parameters": {
            "n_components": args.components,
            "bandwidth": args.bandwidth,
            "diffusion_time": args.time,
            "density_discount": args.density_discount,
            "dtype": args.dtype,
            "random_state": args.seed,
        },
        "certificate": certificate(model),
        "warnings": [" ".join(str(w.message).split()) for w in caught],
        "seconds": round(seconds, 3),
        "embedding": str(paths["embedding"]),
        "picture": None if args.no_picture else str(paths["picture"]),
    }
    _write_report(paths["report"], report)
    if not args.quiet:
        m, n = x.values.shape[0], y.values.shape[0]
        shared = "" if n_shared is None else f" ({n_shared} shared by name)"
        print(
            f"{m} and {n} samples, {x.values.shape[1]} features{shared} -> {model.n_components_} coordinates"
        )
        print(_certificate_line(report["certificate"]))
        print(f"time: {seconds:.2f} s")
        for name, path in paths.items():
            if name != "picture" or not args.no_picture:
                print(f"{name}: {path}")


def _demo(args: argparse.Namespace) -> None:
    from ._files import Table, output_paths, write_embedding

    if args.seed < 0:
        raise ValueError(f"--seed must be >= 0, got {args.seed}")
    paths = output_paths(args.out)
    _prepare_pictures(not args.no_picture, "demo")
    import lapwing
    from lapwing import datasets

    from ._anndata import certificate
    from ._demo import compare, plot_comparison

    pair = (datasets.load_digits_pair if args.data == "digits" else datasets.load_pbmc_pair)(args.seed)
    m, n = len(pair.X), len(pair.Y)
    if not 1 <= args.components < min(m, n):
        raise ValueError(f"--components must be between 1 and {min(m, n) - 1}, got {args.components}")
    print(f"{pair.name}, distorted differently: {m} and {n} samples, {pair.X.shape[1]} features", flush=True)
    scores, embeddings, model, seconds = compare(pair, args.components, n_jobs=args.jobs)
    print(f"\n{'':<14} {'label transfer':>15} {'adjusted Rand':>14} {'mixing':>8}")
    for name, score in scores.items():
        print(
            f"{name:<14} {score['label_transfer']:>15.3f} {score['adjusted_rand']:>14.3f} "
            f"{score['mixing']:>8.3f}"
        )
    print(
        "label transfer: 10 nearest neighbours, first half to second; adjusted Rand: k-means on both;\n"
        "mixing: neighbours from the other half over what chance gives, 1 is perfect\n"
    )
    print(_certificate_line(certificate(model)))
    print(f"time: {seconds:.2f} s for EOT eigenmaps")
    x, y = Table(Path("x"), pair.X), Table(Path("y"), pair.Y)
    write_embedding(paths["embedding"], model, x, y)
    if not args.no_picture:
        from lapwing.plots import save_figure

        save_figure(plot_comparison(pair, embeddings), paths["picture"])
    _write_report(
        paths["report"],
        {
            "lapwing": lapwing.__version__,
            "data": pair.name,
            "seed": args.seed,
            "scores": scores,
            "seconds": round(seconds, 3),
            "certificate": certificate(model),
            "embedding": str(paths["embedding"]),
            "picture": None if args.no_picture else str(paths["picture"]),
        },
    )
    for name, path in paths.items():
        if name != "picture" or not args.no_picture:
            print(f"{name}: {path.resolve()}")
