"""``python -m bench``: run the benchmarks and print their tables as Markdown."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

from bench import ceilings, report
from bench.harness import Record

HERE = Path(__file__).resolve().parent
GROUPS = {
    "ceilings": None,
    "iteration": "bench_ot.py::test_iteration",
    "matrix-free": "bench_ot.py::test_matrix_free",
    "solve": "bench_ot.py::test_solve",
    "sweeps": "bench_ot.py::test_sweeps",
    "small": "bench_ot.py::test_small",
    "assignment": "bench_ot.py::test_assignment",
    "batch": "bench_ot.py::test_batch",
    "variants": "bench_ot.py::test_variant",
    "cost": "bench_ot.py::test_cost",
    "large": "bench_ot.py::test_large",
    "methods": "bench_methods.py",
    "eigenpairs": "bench_linalg.py::test_eigenpairs",
    "copies": "bench_linalg.py::test_copies",
    "embedding": "bench_linalg.py::test_embedding",
    "growth": "bench_linalg.py::test_growth",
    "neighbours": "bench_linalg.py::test_neighbors",
    "partition": "bench_partition.py::test_partition",
    "fiedler": "bench_partition.py::test_fiedler",
    "recovery": "bench_phylo.py::test_recovery",
    "programs": "bench_phylo.py::test_programs",
    "joining": "bench_phylo.py::test_joining",
    "scale": "bench_phylo.py::test_scale",
    "transform": "bench_multiscale.py::test_transform",
    "pyramid": "bench_multiscale.py::test_pyramid",
    "lifting": "bench_multiscale.py::test_lifting",
    "stationary": "bench_multiscale.py::test_stationary",
}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smallest problems, a few minutes")
    parser.add_argument(
        "--large",
        action="store_true",
        help="also EOT eigenmaps of 2 x 100000 points, and a plan of 2 x 200000",
    )
    parser.add_argument("--group", nargs="+", choices=GROUPS, default=list(GROUPS), help="default: all")
    parser.add_argument("--peers", nargs="+", metavar="PEER", help="default: all that are installed")
    parser.add_argument("--sizes", nargs="+", type=int, default=[], help="of n = m; default: all")
    parser.add_argument(
        "--ratios", nargs="+", type=float, default=[], help="of eps to the median; default: all"
    )
    parser.add_argument(
        "--forms", nargs="+", default=[], help="dense, cloud, or the name of a variant; default: all"
    )
    parser.add_argument("--dimensions", nargs="+", type=int, default=[], help="default: all")
    parser.add_argument("--dtypes", nargs="+", default=[], help="default: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, help="default: 5, quick 3")
    parser.add_argument("--cap", type=float, help="seconds for one solve; default: 60, quick 10")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the Markdown there as well")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the records there as JSON; while it runs, in *.partial",
    )
    parser.add_argument("--from-json", type=Path, metavar="FILE", help="render an earlier run; run nothing")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> tuple[int, list[Record]]:
    import pytest

    tests = [str(HERE / GROUPS[group]) for group in options.group if GROUPS[group]]
    if not tests:
        return 0, []
    with tempfile.TemporaryDirectory() as folder:
        path = options.json.with_suffix(".partial") if options.json else Path(folder) / "records.json"
        path.unlink(missing_ok=True)
        cap = options.cap or (10.0 if options.quick else 60.0)
        rounds = options.rounds or (3 if options.quick else 5)
        status = pytest.main([
            *tests, "-q", "-rfE", "-p", "no:cacheprovider", "--benchmark-disable-gc",
            "--benchmark-columns=median,rounds", "--benchmark-group-by=group", "--benchmark-sort=mean",
            f"--bench-threads={options.threads}", f"--bench-cap={cap}", f"--bench-rounds={rounds}",
            f"--bench-records={path}", f"--bench-peers={';'.join(options.peers or [])}",
            f"--bench-sizes={','.join(map(str, options.sizes))}",
            f"--bench-ratios={','.join(map(str, options.ratios))}",
            f"--bench-forms={','.join(options.forms)}", f"--bench-dtypes={','.join(options.dtypes)}",
            f"--bench-dimensions={','.join(map(str, options.dimensions))}",
            *(["--bench-quick"] if options.quick else []), *(["--bench-large"] if options.large else []),
        ])  # fmt: skip
        found = json.loads(path.read_text()) if path.exists() else []
    # 5: nothing was selected (for example a group without small problems under --quick)
    return (0 if status == 5 else int(status)), [Record(**record) for record in found]


def main(arguments: list[str] | None = None) -> int:
    if importlib.util.find_spec("pytest_benchmark") is None:
        print("the benchmarks need their extra: pip install lapwing[bench]", file=sys.stderr)
        return 2
    options = parse(arguments)
    rates = []
    if options.from_json:
        saved = json.loads(options.from_json.read_text())
        status, records, rates = 0, [Record(**record) for record in saved["records"]], saved["ceilings"]
    else:
        if "ceilings" in options.group:
            rates = [ceilings.measure(threads) for threads in sorted({1, options.threads})]
        status, records = run(options)
    if options.json:
        saved = {"ceilings": rates, "records": [vars(record) for record in records]}
        options.json.write_text(json.dumps(saved, indent=1))
        options.json.with_suffix(".partial").unlink(missing_ok=True)
    text = report.render(records, rates, options.threads)
    if options.output:
        options.output.write_text(text)
    print(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
