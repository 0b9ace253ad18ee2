"""The verb `partition` of the command line."""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

__all__ = ["register"]

# Nothing but argparse is imported before the verb runs: `lapwing config` and `--help` stay quick.

_REPORTED = (
    "parts", "objective", "refine", "method", "contiguous", "trials", "seed", "symmetrize",
)  # fmt: skip
_SUFFIXES = (".part", ".txt", ".csv", ".tsv", ".npy", ".npz")


def register(verbs: Any) -> None:
    """Add the verb to the command line's parser."""
    parser = verbs.add_parser(
        "partition",
        help="divide a graph into balanced parts with few edges between them",
        description="Divide the nodes of a graph into parts of equal weight with few edges between them, or "
        "into clusters by their normalised cut.",
    )
    parser.add_argument(
        "GRAPH",
        help="METIS (.graph), Matrix Market (.mtx), list of edges (.edges, .txt, .csv, .tsv), .npz or .npy",
    )
    parser.add_argument("-k", "--parts", type=int, required=True, metavar="K", help="number of parts")
    parser.add_argument(
        "-o", "--out", metavar="OUT",
        help="a file .part, .txt, .csv, .tsv, .npy or .npz for the labels (picture and report go beside it); "
        "default: GRAPH.part.K here",
    )  # fmt: skip
    method = parser.add_argument_group("method")
    method.add_argument(
        "--objective", choices=["cut", "ncut", "ratio", "conductance"], default="cut",
        help="cut: balanced parts (default); others: clusters, by one bisection after the other",
    )  # fmt: skip
    method.add_argument(
        "--imbalance", type=float, default=None, metavar="E",
        help="for the cut: the heaviest part may weigh (1 + E) times its share (default 0.03)",
    )  # fmt: skip
    method.add_argument(
        "--refine", choices=["flow", "fm", "multilevel", "none"], default="flow",
        help="how the parts are improved (default flow)",
    )  # fmt: skip
    method.add_argument(
        "--method", choices=["auto", "multilevel", "spectral"], default="auto",
        help="coarser graphs, or eigenvectors of the whole one (default auto)",
    )  # fmt: skip
    method.add_argument(
        "--contiguous",
        action="store_true",
        help="for the cut: parts of one piece each, as far as they balance",
    )
    method.add_argument("--trials", type=int, default=1, metavar="N", help="runs to choose from (default 1)")
    method.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    method.add_argument("--jobs", type=int, default=None, metavar="N", help="threads (default: all)")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--format", choices=["metis", "mtx", "edges", "npz", "npy"], default=None,
        help="of GRAPH (default: by its suffix)",
    )  # fmt: skip
    data.add_argument("--key", metavar="NAME", help="the array to take from an .npz file that holds several")
    data.add_argument(
        "--symmetrize", choices=["max", "min", "mean"], default=None, help="for a graph of directed edges"
    )
    data.add_argument(
        "--points", metavar="XY",
        help="where the nodes are drawn: a text file or .npy of two columns (default: by eigenvectors)",
    )  # fmt: skip
    parser.add_argument(
        "--no-picture", action="store_true", help="do not draw (matplotlib is then not needed)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no summary")
    parser.set_defaults(run=_partition, verb="partition")


def _paths(args: argparse.Namespace) -> dict[str, Path]:
    if args.out is None:
        labels = Path(f"{Path(args.GRAPH).name}.part.{args.parts}")
        base = labels
    else:
        labels = Path(args.out)
        if labels.is_dir():
            labels = labels / f"{Path(args.GRAPH).name}.part.{args.parts}"
            base = labels
        elif labels.suffix.lower() in _SUFFIXES:
            base = labels.with_suffix("")
        else:
            raise ValueError(
                f"{labels}: unknown format {labels.suffix or '(no suffix)'!r}; one of {', '.join(_SUFFIXES)} "
                "is needed"
            )
        labels.parent.mkdir(parents=True, exist_ok=True)
    return {
        "labels": labels,
        "picture": base.with_name(base.name + ".png"),
        "report": base.with_name(base.name + ".json"),
    }


def _write(path: Path, labels: Any, names: list[str] | None) -> None:
    import numpy as np

    suffix = path.suffix.lower()
    if suffix == ".npy":
        np.save(path, labels)
    elif suffix == ".npz":
        arrays = {"labels": labels} if names is None else {"labels": labels, "names": np.array(names)}
        np.savez(path, **arrays)
    elif suffix in (".csv", ".tsv"):
        mark = "," if suffix == ".csv" else "\t"
        rows = (f"{names[i] if names is not None else i}{mark}{p}" for i, p in enumerate(labels.tolist()))
        path.write_text(f"node{mark}part\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    else:  # METIS' own format: a line for each node
        path.write_text("".join(f"{p}\n" for p in labels.tolist()), encoding="utf-8")


def _places(args: argparse.Namespace, W: Any) -> Any:
    import numpy as np

    n = W.shape[0]
    if args.points is not None:
        path = Path(args.points)
        points = np.load(path) if path.suffix.lower() == ".npy" else np.loadtxt(path, ndmin=2)
        if points.ndim != 2 or points.shape[0] != n or points.shape[1] < 2:
            raise ValueError(f"{path}: {n} rows of two numbers are needed, got shape {points.shape}")
        return points[:, :2]
    from lapwing.linalg import laplacian_eigs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = laplacian_eigs(
            W, min(2, n - 1), normalization="rw", tol=1e-5, random_state=args.seed, n_jobs=args.jobs,
            drop_null=False,
        )  # fmt: skip
    vectors = result.vectors[:, 1:3]
    return np.hstack([vectors, np.zeros((n, 2 - vectors.shape[1]))])


def _draw(path: Path, W: Any, points: Any, labels: Any, cut: float) -> None:
    from lapwing.plots import draw_graph, new_figure, save_figure

    figure, axes = new_figure(size=(6.0, 6.0))
    parts = int(labels.max()) + 1
    draw_graph(axes[0, 0], W, points, labels, title=f"{parts} parts, cut {cut:g}")
    save_figure(figure, path)


def _partition(args: argparse.Namespace) -> None:
    from lapwing import graph
    from lapwing._graphs import as_graph
    from lapwing._validate import check_outputs
    from lapwing.graph._partition import IMBALANCE

    paths = _paths(args)
    check_outputs([args.GRAPH, *([args.points] if args.points else [])], paths.values())
    if not args.no_picture:
        from lapwing._optional import need

        purpose = "the picture of lapwing partition (--no-picture goes without)"
        need("matplotlib", extra="plot", purpose=purpose).use("Agg")
    source = graph.read_graph(args.GRAPH, format=args.format, key=args.key)
    W = source.weights
    if args.symmetrize is not None:
        W = graph.symmetrize(W, args.symmetrize)
    try:
        W = as_graph(W, "GRAPH").matrix()
    except ValueError as error:
        hint = "; --symmetrize makes it so" if "symmetric" in str(error) else ""
        raise ValueError(f"{args.GRAPH}: {error}{hint}") from error
    points = None if args.no_picture else _places(args, W)
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        labels, info = graph.partition(
            W, args.parts, objective=args.objective, imbalance=args.imbalance, method=args.method,
            refine=None if args.refine == "none" else args.refine, contiguous=args.contiguous,
            n_trials=args.trials,
            node_weight=source.node_weight, random_state=args.seed, n_jobs=args.jobs,
            verbose=0 if args.quiet else 1,
        )  # fmt: skip
    seconds = time.perf_counter() - start
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    _write(paths["labels"], labels, source.names)
    if points is not None:
        _draw(paths["picture"], W, points, labels, info.cut)
    import lapwing

    m = info.metrics
    imbalance = IMBALANCE if args.imbalance is None and args.objective == "cut" else args.imbalance
    report: dict[str, Any] = {
        "lapwing": lapwing.__version__,
        "graph": {"path": str(args.GRAPH), "nodes": W.shape[0], "edges": W.nnz // 2},
        "parameters": {name: getattr(args, name) for name in _REPORTED} | {"imbalance": imbalance},
        "certificate": {
            "cut": info.cut,
            "imbalance": info.imbalance,
            "within_the_imbalance": info.feasible,
            "ncut": m.ncut,
            "ratio_cut": m.ratio_cut,
            "conductance": m.conductance,
            "part_weights": m.part_weights.tolist(),
            "pieces": m.pieces.tolist(),
            "boundary_nodes": m.boundary_size,
            "connected_components": info.n_components,
            "fiedler_value": None if info.fiedler_value != info.fiedler_value else info.fiedler_value,
            "lower_bound": info.lower_bound,
            "converged": info.converged,
        },
        "warnings": [" ".join(str(w.message).split()) for w in caught],
        "seconds": round(seconds, 3),
        "labels": str(paths["labels"]),
        "picture": None if args.no_picture else str(paths["picture"]),
    }
    paths["report"].write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if not args.quiet:
        components = info.n_components
        print(
            f"{W.shape[0]} nodes, {W.nnz // 2} edges, {components} connected component"
            f"{'s' * (components > 1)} -> {args.parts} parts"
        )
        print(f"cut {info.cut:g}, imbalance {info.imbalance:.4f}, normalised cut {m.ncut:.6g}")
        print(f"time: {seconds:.2f} s")
        for name, path in paths.items():
            if name != "picture" or not args.no_picture:
                print(f"{name}: {path}")
