"""The verb `tree` of the command line."""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

__all__ = ["register"]

# Nothing but argparse is imported before the verb runs: `lapwing config` and `--help` stay quick.

_BASES = ("nj", "bionj", "snj", "upgma", "quartet_exact", "fasttree", "iqtree", "raxml-ng")


def register(verbs: Any) -> None:
    """Add the verb to the command line's parser."""
    parser = verbs.add_parser(
        "tree",
        help="recover the tree of aligned sequences",
        description="Recover the tree of aligned sequences by spectral top-down recovery: cut the sequences "
        "in two until a part is small, solve the parts, merge the subtrees.",
    )
    parser.add_argument("alignment", help="FASTA, PHYLIP or NEXUS (which needs dendropy)")
    parser.add_argument(
        "-o", "--out", required=True, metavar="TREE.nwk",
        help="the tree in Newick format; a picture .png and a report .json go beside it",
    )  # fmt: skip
    method = parser.add_argument_group("method")
    method.add_argument(
        "--tau", type=int, default=64, metavar="N", help="most sequences of a part (default 64)"
    )
    method.add_argument("--base", choices=_BASES, default="nj", help="what solves the parts (default nj)")
    method.add_argument(
        "--similarity", choices=["jc69", "tn93", "logdet"], default="jc69",
        help="model of the similarities (default jc69)",
    )  # fmt: skip
    method.add_argument(
        "--merge", choices=["balanced", "spectral"], default="balanced",
        help="join subtrees where the tree is the shortest (default), or by the published spectral score",
    )  # fmt: skip
    method.add_argument(
        "--no-polish", action="store_true", help="do not interchange subtrees to make the tree shorter"
    )
    method.add_argument(
        "--gamma", type=float, default=None, metavar="A", help="shape of gamma distributed rates of the sites"
    )
    method.add_argument(
        "--states",
        type=int,
        default=None,
        metavar="K",
        help="4: DNA, 20: protein (default: told by the letters)",
    )
    method.add_argument(
        "--no-overlap", choices=["raise", "saturate"], default="raise",
        help="for pairs without a joint site: an error (default), or no similarity",
    )  # fmt: skip
    method.add_argument(
        "--bootstrap",
        type=int,
        default=0,
        metavar="B",
        help="resamplings for the support of edges (default 0)",
    )
    method.add_argument(
        "--root",
        choices=["none", "midpoint", "min_var"],
        default="none",
        help="where the root goes (default none)",
    )
    method.add_argument(
        "--outgroup", metavar="NAME,NAME", help="root the tree on the edge to these sequences"
    )
    method.add_argument(
        "--dtype", choices=["float64", "float32"], default="float64",
        help="of the matrices of all pairs: float32 takes half of the memory (default float64)",
    )  # fmt: skip
    method.add_argument(
        "--dense-limit", type=int, default=10_000, metavar="N",
        help="most sequences of which all pairs are compared (default 10000)",
    )  # fmt: skip
    method.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    method.add_argument("--jobs", type=int, default=None, metavar="N", help="threads (default: all)")
    parser.add_argument(
        "--compare", metavar="TREE", help="another tree of the same sequences: tell how much the two differ"
    )
    parser.add_argument(
        "--format",
        choices=["fasta", "phylip", "nexus"],
        default=None,
        help="of the alignment (default: told)",
    )
    parser.add_argument(
        "--no-picture", action="store_true", help="do not draw (matplotlib is then not needed)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no summary and no progress")
    parser.set_defaults(run=_tree, verb="tree")


def _draw(path: Path, model: Any, title: str) -> None:
    from lapwing.plots import new_figure, save_figure

    from .stdr import plot_partition

    m = model.tree_.n_leaves
    figure, axes = new_figure(1, 1, size=(7.0, min(40.0, max(3.5, 0.17 * m))))
    plot_partition(model, axes[0, 0], title=title)
    save_figure(figure, path)


def _tree(args: argparse.Namespace) -> None:
    from lapwing._validate import check_outputs

    out = Path(args.out)
    read = [args.alignment, *([args.compare] if args.compare is not None else [])]
    check_outputs(read, [out])
    if not out.parent.is_dir():
        raise FileNotFoundError(f"{out.parent}: no such folder")
    picture, report_file = out.with_suffix(".png"), out.with_suffix(".json")
    if out in (picture, report_file):
        raise ValueError(f"--out must not end in {out.suffix}: {out.name} is for the picture or the report")
    check_outputs(read, [report_file, *([] if args.no_picture else [picture])])
    if args.outgroup is not None and args.root != "none":
        raise ValueError("--outgroup and --root exclude each other")
    if not args.no_picture:
        from lapwing._optional import need

        purpose = "the picture of lapwing tree (--no-picture goes without)"
        need("matplotlib", extra="plot", purpose=purpose).use("Agg")
    from .alignments import read_alignment

    alignment = read_alignment(args.alignment, format=args.format)
    other = None
    if args.compare is not None:
        from lapwing.phylo import read_newick

        try:
            other = read_newick(Path(args.compare))
        except ValueError as error:
            raise ValueError(f"{args.compare}: {error}") from error
        other = _same_names(other, alignment.names, args.compare)

    import lapwing

    from .distances import robinson_foulds
    from .stdr import STDR

    root: Any = None if args.root == "none" else args.root
    if args.outgroup is not None:
        root = _outgroup(args.outgroup, alignment.names)
    options: dict[str, Any] = {"on_no_overlap": args.no_overlap}
    if args.gamma is not None:
        options["gamma"] = args.gamma
    model = STDR(
        tau=args.tau, base=args.base, similarity=args.similarity, merge=args.merge,
        polish=False if args.no_polish else "auto", n_states=args.states,
        similarity_params=options, root=root, n_bootstrap=args.bootstrap, n_jobs=args.jobs,
        random_state=args.seed, dtype=args.dtype,
        dense_limit=args.dense_limit, verbose=int(not args.quiet and sys.stderr.isatty()),
    )  # fmt: skip
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(alignment.matrix(), names=alignment.names)
        except RuntimeError as error:  # a program that solves parts is missing, or failed
            raise ValueError(str(error)) from error
        except ValueError as error:
            raise ValueError(_about(error, args.alignment)) from error
    seconds = time.perf_counter() - start
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    out.write_text(model.newick_ + "\n", encoding="utf-8")
    title = f"{Path(args.alignment).name}: {len(alignment.names)} sequences, {alignment.n_sites} sites"
    if not args.no_picture:
        _draw(picture, model, title)
    found = model.diagnostics_
    parts = int(model.labels_.max()) + 1
    parameters = model.get_params()
    report: dict[str, Any] = {
        "lapwing": lapwing.__version__,
        "alignment": {
            "path": str(args.alignment),
            "sequences": len(alignment.names),
            "sites": alignment.n_sites,
            "states": model.similarity_info_.n_states,
        },
        "parameters": json.loads(json.dumps(parameters)),
        "parts": parts,
        "cuts": [
            {
                "sizes": [len(s.one), len(s.two)],
                "kind": s.kind,
                "lambda2": s.lambda2,
                "sigma_ratio": s.sigma2 / s.sigma1 if s.sigma1 else 0.0,
            }
            for s in model.partition_tree_
        ],
        "saturated_pairs": found["saturated"],
        "disconnected_parts": found["disconnected"],
        "smallest_margin": float(found["margins"].min()) if found["margins"].size else None,
        "seconds": {**{k: round(v, 4) for k, v in found["seconds"].items()}, "all": round(seconds, 4)},
        "warnings": [" ".join(str(w.message).split()) for w in caught],
        "tree": str(out),
        "picture": None if args.no_picture else str(picture),
    }
    if other is not None:
        distance = robinson_foulds(model.tree_, other)
        normalized = robinson_foulds(model.tree_, other, normalized=True)
        report["compared"] = {"path": args.compare, "robinson_foulds": distance, "normalized": normalized}
    report_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if args.quiet:
        return
    print(f"{title} -> {parts} part{'s' * (parts > 1)} solved by {args.base}")
    worst = max((c["sigma_ratio"] for c in report["cuts"]), default=None)
    if worst is not None:
        print(f"cuts: {len(report['cuts'])}; largest σ₂/σ₁ of one {worst:.2g} (0: an edge of the tree)")
    print(f"saturated pairs: {found['saturated']}")
    if other is not None:
        print(f"Robinson-Foulds distance from {args.compare}: {distance:.0f} ({normalized:.3f} normalised)")
    print(f"time: {seconds:.2f} s")
    print(f"tree: {out}")
    if not args.no_picture:
        print(f"picture: {picture}")
    print(f"report: {report_file}")


def _about(error: ValueError, path: str) -> str:
    """What is wrong, with the name of the file where it is the data."""
    text = str(error).replace("on_no_overlap='saturate'", "--no-overlap saturate")
    if "pairs of leaves" in text or "X" in text.replace("[", " ").replace(":", " ").split():
        return f"{path}: {text} (X: the sequences, numbered from 0)"
    return text


def _outgroup(text: str, names: tuple[str, ...]) -> list[str]:
    """Names of the alignment, blanks and underscores taken for the same."""
    plain = {name.replace(" ", "_"): name for name in names}
    asked = [name.strip() for name in text.split(",")]
    unknown = [name for name in asked if name.replace(" ", "_") not in plain]
    if unknown:
        raise ValueError(f"--outgroup has names that are not in the tree: {', '.join(unknown[:5])}")
    return [plain[name.replace(" ", "_")] for name in asked]


def _same_names(tree: Any, names: tuple[str, ...], path: str) -> Any:
    """The tree with the names of the alignment, blanks and underscores taken for the same."""
    plain = {name.replace(" ", "_"): name for name in names}
    found = [plain.get(name.replace(" ", "_"), name) for name in tree.names]
    wrong = sorted(set(found) ^ set(names))
    if wrong:
        raise ValueError(f"{path} has other leaves than the alignment: {', '.join(wrong[:5])}")
    return tree.with_names(found)
