"""Records to Markdown."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench import ceilings, peers
from bench.harness import Record

MAIN = "lapwing"


def seconds(x: float) -> str:
    if x < 1:
        return f"{1e3 * x:.3g} ms"
    return f"{x:.3g} s" if x < 1000 else f"{x:.0f} s"


def megabytes(x: float) -> str:
    return f"{x / 2**20:.0f} MB" if x >= 2**20 else "< 1 MB"


def eps(ratio: float) -> str:
    return f"{ratio:g} median"


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine(threads: int) -> str:
    import lapwing

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    compiler = subprocess.run(["c++", "--version"], capture_output=True, text=True, check=False).stdout
    info = lapwing._core.build_info() if hasattr(lapwing, "_core") else {}
    names = [
        "lapwing",
        "numpy",
        "scipy",
        "POT",
        "ott-jax",
        "jax",
        "geomloss",
        "pykeops",
        "torch",
        "regot",
        "pyamg",
        "primme",
        "scikit-learn",
        "scikit-learn-intelex",
        "faiss-cpu",
        "networkx",
        "pymetis",
        "kahip",
        "mtkahypar",
        "anjl",
    ]
    installed = {dist.metadata["Name"].lower(): dist.version for dist in importlib.metadata.distributions()}
    versions = [f"{name} {installed[name.lower()]}" for name in names if name.lower() in installed]
    now = datetime.datetime.now(datetime.timezone.utc)
    system = f"{platform.system()} {platform.release()}"
    lines = [
        f"- {now:%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f} at the end",
        f"- {processor()}, {cores} cores, {memory:.0f} GB, {system}; {threads} threads",
        f"- Python {platform.python_version()}, {', '.join(versions)}",
        f"- compiler of the ceilings: {compiler.partition(chr(10))[0] or 'none'}",
    ]
    if info:
        lines.append(f"- build: {', '.join(f'{k} {v}' for k, v in info.items())}")
    return "\n".join(lines)


def _by_peer(records: list[Record], key: Callable[[Record], Any]) -> dict[Any, dict[str, Record]]:
    rows: dict[Any, dict[str, Record]] = {}
    for record in records:
        rows.setdefault(key(record), {})[record.peer] = record
    return rows


def _names(records: list[Record]) -> list[str]:
    seen = {record.peer for record in records}
    return [name for name in peers.PEERS if name in seen]


def _cell(record: Record | None, ours: Record | None) -> str:
    if record is None:
        return "·"
    if record.seconds is None:
        if record.note == "reached":
            return f"reaches {record.error:.1e}"
        return record.note.split(":")[0]
    text = seconds(record.seconds)
    if ours is not None and ours is not record and ours.seconds:
        text += f" ({record.seconds / ours.seconds:.3g}×)"
    return text


def iterations(records: list[Record], rates: dict[str, float] | None) -> str:
    names = _names(records)
    head = ["problem", "dtype", "n = m", *names]
    if rates:
        head += ["ceiling", "lapwing / ceiling"]
    rows = []
    for (form, d, dtype, n), found in _by_peer(records, lambda r: (r.form, r.d, r.dtype, r.n)).items():
        ours = found.get(MAIN)
        row = ["dense" if form == "dense" else f"cloud, d = {d}", dtype, str(n)]
        row += [_cell(found.get(name), ours) for name in names]
        if rates:
            least = ceilings.least_seconds(n, n, d, dtype, form, rates)
            row += [seconds(least), f"{ours.seconds / least:.2f}" if ours and ours.seconds else "·"]
        rows.append(row)
    return table(head, rows)


def prototype(records: list[Record]) -> str:
    rows = []
    for (form, d, dtype, n), found in _by_peer(records, lambda r: (r.form, r.d, r.dtype, r.n)).items():
        ours, floor = found.get(MAIN), found.get("prototype")
        if ours is None or floor is None or not ours.seconds or not floor.seconds:
            continue
        best = ours.extra.get("best", ours.seconds) / floor.extra.get("best", floor.seconds)
        rows.append(
            ["dense" if form == "dense" else f"cloud, d = {d}", dtype, str(n), seconds(ours.seconds),
             seconds(floor.seconds), f"{ours.seconds / floor.seconds:.2f}", f"{best:.2f}"]
        )  # fmt: skip
    if not rows:
        return ""
    head = ["problem", "dtype", "n = m", "lapwing", "prototype", "ratio of medians", "ratio of best rounds"]
    return "### lapwing against the prototype, seconds per full iteration\n\n" + table(head, rows)


def solves(records: list[Record]) -> str:
    parts = []
    for (form, dtype, tol), part in _groups(records, lambda r: (r.form, r.dtype, r.tol)).items():
        names = _names(part)
        head = ["d", "eps", "n = m", *names, "error reached by lapwing", "its sweeps"]
        rows = []
        for (d, ratio, n), found in _by_peer(part, lambda r: (r.d, r.ratio, r.n)).items():
            ours = found.get(MAIN)
            rows.append(
                [str(d), eps(ratio), str(n), *(_cell(found.get(name), ours) for name in names),
                 f"{ours.error:.1e}" if ours and ours.error is not None else "·",
                 str(ours.iterations) if ours and ours.iterations is not None else "·"]
            )  # fmt: skip
        parts.append(f"### {form}, {dtype}: seconds to a marginal error of {tol:g}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def errors(records: list[Record]) -> str:
    """Every error that a time stands for, so that the gate can be checked: iterations, recomputed error."""
    parts = []
    for (form, dtype, tol), part in _groups(records, lambda r: (r.form, r.dtype, r.tol)).items():
        names = _names(part)
        rows = []
        for (d, ratio, n), found in _by_peer(part, lambda r: (r.d, r.ratio, r.n)).items():
            cells = []
            for name in names:
                record = found.get(name)
                if record is None or record.error is None or record.seconds is None:
                    cells.append("·")
                else:
                    cells.append(f"{record.iterations}, {record.error:.1e}")
            rows.append([str(d), eps(ratio), str(n), *cells])
        head = ["d", "eps", "n = m", *names]
        title = f"#### {form}, {dtype}, {tol:g}: iterations, recomputed marginal error"
        parts.append(f"{title}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def memory(records: list[Record]) -> str:
    parts = []
    chosen = [r for r in records if r.tol is None or r.tol >= 1e-6]
    for (form, dtype), part in _groups(chosen, lambda r: (r.form, r.dtype)).items():
        names = _names(part)
        rows = []
        for (d, ratio, n), found in _by_peer(part, lambda r: (r.d, r.ratio, r.n)).items():
            if not any(r.memory is not None for r in found.values()):
                continue
            used = [found[name].memory if name in found else None for name in names]
            rows.append([str(d), eps(ratio), str(n), *("·" if x is None else megabytes(x) for x in used)])
        head = ["d", "eps", "n = m", *names]
        parts.append(f"### {form}, {dtype}: peak memory beyond the inputs\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def _problem(record: Record) -> str:
    return "random assignment" if record.d == 0 else f"{record.form}, d = {record.d}"


#: Seconds beyond twice what the sweeps take that a solve may need, by its size.
ALLOWANCE = {1000: 0.3, 4000: 3.0}


def sweeps(records: list[Record]) -> str:
    """Sweeps and seconds of lapwing's own methods, and the time that was allowed."""
    names = list(dict.fromkeys(record.peer for record in records))
    tols = sorted({r.tol for r in records if r.tol is not None}, reverse=True)
    rows = []
    for (n, d, ratio), part in _groups(records, lambda r: (r.n, r.d, r.ratio)).items():
        found = {(r.peer, r.tol): r for r in part}
        first = found.get((MAIN, tols[0]))
        sweep = first.extra.get("sweep") if first else None
        cells = []
        for name in names:
            for tol in tols:
                r = found.get((name, tol))
                cells.append(
                    _cell(r, None)
                    if r is None or r.seconds is None
                    else f"{r.iterations}, {seconds(r.seconds)}"
                )
        last = found.get((MAIN, tols[-1]))
        ratio_cell = "·"
        if sweep and last and last.seconds and last.iterations is not None:
            allowed = 2 * last.iterations * sweep + ALLOWANCE[n]
            ratio_cell = f"{seconds(allowed)} ({last.seconds / allowed:.2f})"
        rows.append([str(n), str(d), eps(ratio), *cells, seconds(sweep) if sweep else "·", ratio_cell])
    head = ["n = m", "d", "eps", *(f"{name}: {tol:g}" for name in names for tol in tols), "one sweep",
            f"allowed for {tols[-1]:g} (share used)"]  # fmt: skip
    return table(head, rows)


def small(records: list[Record]) -> str:
    names = _names(records)
    rows = []
    for (_, d, ratio, n, tol), found in _by_peer(
        records, lambda r: (r.form, r.d, r.ratio, r.n, r.tol)
    ).items():
        ours = found.get(MAIN)
        which = _problem(next(iter(found.values())))
        level = eps(ratio) if d else f"{ratio / 2:.3g}"
        rows.append(
            [which, str(n), level, f"{tol:g}", *(_cell(found.get(name), ours) for name in names),
             f"{ours.error:.1e}" if ours and ours.error is not None else "·",
             str(ours.iterations) if ours and ours.iterations is not None else "·"]
        )  # fmt: skip
    return table(["problem", "n = m", "eps", "error", *names, "reached by lapwing", "its sweeps"], rows)


def batch(records: list[Record]) -> str:
    ours = next((r for r in records if r.peer == MAIN), None)
    rows = [
        [r.peer, _cell(r, ours), megabytes(r.memory) if r.memory is not None else "·",
         f"{r.error:.3e}" if r.error is not None else "·"]
        for r in records
    ]  # fmt: skip
    one = records[0]
    size = f"{one.d} problems {one.n} x {one.n}"
    title = f"{size}, eps = {eps(one.ratio)}, {one.dtype}, {one.iterations} iterations"
    return f"{title}\n\n{table(['solver', 'time', 'peak memory', 'mean marginal error'], rows)}"


def variant(records: list[Record]) -> str:
    from bench.variants import CASES

    parts = []
    for case, part in _groups(records, lambda r: r.form).items():
        names = list(dict.fromkeys(record.peer for record in part))
        rows, behind = [], []
        for (n, d), found in _by_peer(part, lambda r: (r.n, r.d)).items():
            ours = found.get(MAIN)
            rows.append([str(n), str(d), *(_cell(found.get(name), ours) for name in names)])
            behind.append(
                [str(n), str(d), *(
                    "·" if r is None or r.error is None else f"{r.error:.1e} ({r.extra.get('setting', 0):g})"
                    for r in map(found.get, names)
                )]
            )  # fmt: skip
        chosen = CASES[case]
        title = f"### {chosen.title[0].upper()}{chosen.title[1:]}: {chosen.gate:g} ({chosen.measure})"
        parts += [title, table(["n", "d", *names], rows),
                  "Errors reached (with the tolerance, or scaling, that was given):",
                  table(["n", "d", *names], behind)]  # fmt: skip
    return "\n\n".join(parts)


def _exponent(pairs: list[tuple[float, float]]) -> float:
    logs = [(math.log(a), math.log(b)) for a, b in pairs]
    x, y = (statistics.fmean(values) for values in zip(*logs, strict=True))
    return sum((a - x) * (b - y) for a, b in logs) / sum((a - x) ** 2 for a, _ in logs)


def cost(records: list[Record]) -> str:
    rows, lines = [], []
    for (d, dtype, tol), part in _groups(records, lambda r: (r.d, r.dtype, r.tol)).items():
        done = [r for r in part if r.seconds and r.iterations]
        for r in done:
            assert r.seconds is not None
            assert r.iterations is not None
            rows.append(
                [f"d = {d}", dtype, f"{tol:g}", str(r.n), seconds(r.seconds), str(r.iterations),
                 seconds(r.seconds / r.iterations), megabytes(r.memory or 0), f"{r.error:.1e}"]
            )  # fmt: skip
        if len(done) > 1:
            whole = _exponent([(r.n, r.seconds or 1) for r in done])
            each = _exponent([(r.n, (r.seconds or 1) / (r.iterations or 1)) for r in done])
            lines.append(
                f"d = {d}, {dtype}: seconds grow as n^{whole:.2f}, seconds over sweeps as n^{each:.2f}"
            )
    head = [
        "points",
        "dtype",
        "error",
        "n = m",
        "time",
        "sweeps",
        "time over sweeps",
        "peak memory",
        "reached",
    ]
    return table(head, rows) + "\n\n" + "; ".join(lines)


def large(records: list[Record]) -> str:
    rows = [
        [f"{r.n} x {r.n}, d = {r.d}, {r.dtype}, eps = {eps(r.ratio)}", f"{r.tol:g}", _cell(r, None),
         str(r.iterations), megabytes(r.memory or 0), f"{r.error:.1e}" if r.error is not None else "·"]
        for r in records
    ]  # fmt: skip
    return table(["problem", "error", "time", "sweeps", "peak memory beyond the points", "reached"], rows)


def matrix_free(records: list[Record]) -> str:
    rows = []
    found = {record.peer: record for record in records}
    for name in _names(records):
        record = found[name]
        used = "·" if record.memory is None else megabytes(record.memory)
        rows.append([name, str(record.n), str(record.d), record.dtype, _cell(record, found.get(MAIN)), used])
    return table(["solver", "n = m", "d", "dtype", "full iteration", "peak memory beyond the inputs"], rows)


def methods(records: list[Record]) -> str:
    rows = []
    for r in records:
        assert r.seconds is not None
        assert r.error is not None
        rows.append(
            [r.form, f"2 × {r.n} × {r.d}", r.dtype, seconds(r.seconds), megabytes(r.memory or 0),
             f"{r.error:.1e}", f"{r.extra['marginal_error']:.1e}", str(r.extra["converged"]),
             str(r.iterations)]
        )  # fmt: skip
    head = ["method", "data", "dtype", "time", "peak memory beyond the inputs", "residual / sigma_2",
            "marginal error", "converged", "sweeps for the potentials"]  # fmt: skip
    return table(head, rows)


def _missed(record: Record | None, ours: Record | None) -> bool:
    """Whether the answer is not the right set, although its residuals are small."""
    if record is None or ours is None or not record.extra.get("values") or not ours.extra.get("values"):
        return False
    pairs = zip(record.extra["values"], ours.extra["values"], strict=True)
    return any(abs(x - y) > 1e-5 * abs(y) + 1e-9 for x, y in pairs)


#: Seconds of memory traffic at 20 GB/s, and of setting up, that an ideal implementation of the best known
#: method would take with two cores (blocks of 12 vectors, float64; counted, not measured).
FLOORS = {
    ("neighbours, swiss roll", 100_000): (0.4, 0.5),
    ("neighbours, mixture in 20-D", 100_000): (0.7, 0.0),
    ("grid", 1_000_000): (2.1, 1.0),
    ("random geometric, 2-D", 1_000_000): (2.6, 4.0),
}


def _floor(form: str, n: int, rate: dict[str, float] | None) -> float | None:
    if rate is None or (form, n) not in FLOORS:
        return None
    traffic, setup = FLOORS[form, n]
    return traffic * 20e9 / rate["read_256"] + setup


def eigenpairs(records: list[Record], rate: dict[str, float] | None) -> str:
    names = list(dict.fromkeys(record.peer for record in records))
    times, sizes = [], []
    for (form, n), found in _by_peer(records, lambda r: (r.form, r.n)).items():
        ours = found.get(MAIN)
        cells = [
            _cell(found.get(name), ours) + (" **missed**" if _missed(found.get(name), ours) else "")
            for name in names
        ]
        row = [form, str(n), str(ours.extra.get("edges", "·")) if ours else "·"]
        least = _floor(form, n, rate)
        cells.append(seconds(least) if least else "·")
        times.append([*row, *cells, ours.extra.get("how", "").split(":")[0] if ours else "·"])
        used = [found[name].memory if name in found else None for name in names]
        sizes.append([form, str(n), *("·" if x is None else megabytes(x) for x in used)])
    text = table(["graph", "nodes", "edges", *names, "floor", "method of lapwing"], times)
    return f"{text}\n\nPeak memory beyond the graph:\n\n{table(['graph', 'nodes', *names], sizes)}"


def copies(records: list[Record]) -> str:
    names = list(dict.fromkeys(record.peer for record in records))
    rows = []
    for (form, n), found in _by_peer(records, lambda r: (r.form, r.n)).items():
        cells = []
        for name in names:
            r = found.get(name)
            if r is None or r.seconds is None:
                cells.append(r.note if r else "·")
            elif r.error is not None and r.error > 1e-6:
                cells.append(f"residual {r.error:.0e}")
            else:
                wrong = r.extra["wrong"]
                cells.append("all" if wrong == 0 else f"**{wrong} missing**")
        rows.append([form, str(n), *cells])
    return table(["graph", "nodes", *names], rows)


def embedding(records: list[Record]) -> str:
    names = list(dict.fromkeys(record.peer for record in records))
    rows = []
    for (n, d), found in _by_peer(records, lambda r: (r.n, r.d)).items():
        ours = found.get(MAIN)
        cells = []
        for name in names:
            r = found.get(name)
            reached = f", {r.error:.0e}" if r and r.seconds is not None and r.error is not None else ""
            cells.append(_cell(r, ours) + reached)
        rows.append([f"{n} × {d}", *cells])
    return table(["points", *names], rows)


def growth(records: list[Record]) -> str:
    rows, lines = [], []
    for form, part in _groups(records, lambda r: r.form).items():
        pairs = [(float(r.n), r.seconds) for r in part if r.seconds]
        for r in part:
            assert r.seconds is not None
            rows.append([form, str(r.n), seconds(r.seconds), f"{1e6 * r.seconds / r.n:.3g}",
                         megabytes(r.memory or 0), r.extra.get("how", "").split(":")[0]])  # fmt: skip
        if len(pairs) > 1:
            lines.append(f"{form}: seconds grow as n^{_exponent(pairs):.2f}")
    head = ["graph", "nodes", "time", "microseconds a node", "peak memory beyond the graph", "method"]
    return table(head, rows) + "\n\n" + "; ".join(lines)


def neighbors(records: list[Record]) -> str:
    names = list(dict.fromkeys(record.peer for record in records))
    rows = []
    for (n, d, dtype), found in _by_peer(records, lambda r: (r.n, r.d, r.dtype)).items():
        ours = found.get(MAIN)
        rows.append([f"{n} × {d}", dtype, *(_cell(found.get(name), ours) for name in names)])
    return table(["points", "dtype", *names], rows)


def _cuts(record: Record | None) -> str:
    if record is None:
        return "·"
    if record.seconds is None:
        return record.note
    cuts = sorted(record.extra["cuts"])
    text = f"{cuts[0]:.0f}"
    if len(cuts) > 1:
        text += f" / {statistics.median(cuts):.0f}"
    if record.extra["imbalance"] > 0.0305:
        text += f" (imbalance {record.extra['imbalance']:.2f})"
    return text


def partition(records: list[Record]) -> str:
    names = list(dict.fromkeys(record.peer for record in records))
    cuts, times, parts = [], [], []
    for (k, form), found in _by_peer(records, lambda r: (r.d, r.form)).items():
        ours = found.get(MAIN)
        nodes = next((str(r.n) for r in found.values() if r.n), "·")
        cuts.append([form, nodes, str(k), *(_cuts(found.get(name)) for name in names)])
        times.append([form, str(k), *(_cell(found.get(name), ours) for name in names)])
    rows = _by_peer(records, lambda r: (r.d, r.form))
    for name in names:
        for label, wanted in (("2", {2}), ("8 and 64", {8, 64}), ("all", {record.d for record in records})):
            pairs = [
                (found[MAIN], found[name])
                for (k, _), found in rows.items()
                if k in wanted and found.get(MAIN) and found.get(name)
                and found[MAIN].seconds and found[name].seconds
            ]  # fmt: skip
            if name == MAIN or not pairs:
                continue
            mean = [
                math.exp(statistics.fmean(math.log(f(ours) / f(theirs)) for ours, theirs in pairs))
                for f in (
                    lambda r: max(statistics.median(r.extra["cuts"]), 1.0),
                    lambda r: max(min(r.extra["cuts"]), 1.0),
                    lambda r: r.seconds,
                )
            ]
            parts.append([name, label, str(len(pairs)), *(f"{x:.3f}" for x in mean)])
    means = ["other", "parts", "rows", "median cut", "best cut", "seconds"]
    return "\n\n".join([
        "Smallest and median cut over the seeds, imbalance 3 %:",
        table(["graph", "nodes", "parts", *names], cuts),
        "Seconds for one run (median):",
        table(["graph", "parts", *names], times),
        f"{MAIN} over the others, geometric means of the ratios of median cuts, smallest cuts and seconds:",
        table(means, parts),
    ])  # fmt: skip


def fiedler(records: list[Record]) -> str:
    names = list(dict.fromkeys(record.peer for record in records))
    rows = []
    for form, found in _by_peer(records, lambda r: r.form).items():
        cells = []
        for name in names:
            r = found.get(name)
            reached = f", {r.error:.0e}" if r and r.seconds is not None and r.error is not None else ""
            cells.append(_cell(r, found.get(MAIN)) + reached)
        rows.append([form, *cells])
    return table(["graph", *names], rows)


def recovery(records: list[Record]) -> str:
    """Mean share of wrong splits, the published one in brackets; and a summary."""
    names = list(dict.fromkeys(record.peer for record in records))
    parts = []
    for form, part in _groups(records, lambda r: r.form).items():
        rows = []
        for (n, tau), found in _by_peer(part, lambda r: (r.d, r.ratio)).items():
            cells = []
            for name in names:
                r = found.get(name)
                paper = r.extra.get("paper") if r else None
                cells.append(
                    "·" if r is None else f"{r.error:.3f}" + (f" ({paper:.3f})" if paper is not None else "")
                )
            ours = found[names[0]]
            spread = statistics.stdev(ours.extra["wrong"]) if len(ours.extra["wrong"]) > 1 else 0.0
            rows.append([str(n), f"{tau:g}", *cells, f"{spread:.3f}", seconds(ours.seconds or 0.0)])
        head = ["sites", "largest part", *names, f"spread of {names[0]}", "its time"]
        parts.append(f"### {form}, {part[0].n} leaves\n\n{table(head, rows)}")
    lines = []
    for name in names:
        pairs = [(r.error, r.extra["paper"]) for r in records if r.peer == name and r.extra.get("paper")]
        if pairs:
            ours, paper = (statistics.fmean(x) for x in zip(*pairs, strict=True))
            worst = max(a - b for a, b in pairs)
            lines.append(f"{name} {ours:.3f} ({paper:.3f}; at most {worst:+.3f} on a row)")
    return "\n\n".join([*parts, "Means over all rows: " + "; ".join(lines) + "."])


def programs(records: list[Record]) -> str:
    names = list(dict.fromkeys(record.peer for record in records))
    rows = []
    for (form, m, n), found in _by_peer(records, lambda r: (r.form, r.n, r.d)).items():
        cells = []
        for name in names:
            r = found.get(name)
            cells.append(
                "·" if r is None else r.note if r.seconds is None else f"{r.error:.3f}, {seconds(r.seconds)}"
            )
        rows.append([f"{form}, {m} leaves, {n} sites", *cells])
    return table(["data", *names], rows)


def joining(records: list[Record]) -> str:
    rows = []
    by_problem = _groups(records, lambda r: (r.form, r.n))
    for (form, m), part in by_problem.items():
        for name, runs in _groups(part, lambda r: r.peer).items():
            by_threads = {r.d: r for r in runs}
            rows.append(
                [f"{form}, {m} leaves", f"{name}, {runs[0].dtype}",
                 *(_cell(r, next((x for x in part if x.peer == MAIN and x.d == t), None))
                   for t, r in sorted(by_threads.items())),
                 megabytes(runs[0].extra["matrix"]), megabytes(max(r.memory or 0 for r in runs))]
            )  # fmt: skip
    counts = sorted({r.d for r in records})
    head = [
        "distances",
        "program",
        *(f"{t} thread{'s' * (t > 1)}" for t in counts),
        "matrix",
        "peak beyond it",
    ]
    return table(head, rows)


def scale(records: list[Record]) -> str:
    rows = [
        [r.peer, str(r.n), seconds(r.seconds or 0.0), megabytes(r.memory or 0), f"{r.error:.3f}"]
        for r in records
    ]
    return table(["method", "leaves", "time", "peak memory beyond the array", "wrong splits"], rows)


TURNS = ("transform", "pyramid", "lifting", "stationary")
REUSED = "lapwing, WaveletPlan with out"


def turns(records: list[Record]) -> str:
    """Transforms of images: the number of threads stands for the ratio."""
    names = list(dict.fromkeys(record.peer for record in records))
    ours = next((name for name in (REUSED, MAIN) if name in names), names[-1])
    one = len({(record.form, record.dtype) for record in records}) > len({r.form for r in records})
    own = len({(record.peer, record.dtype) for record in records}) == len(names)  # a dtype each
    rows = []
    for (form, dtype, threads), found in _by_peer(
        records, lambda r: (r.form, "" if own else r.dtype, r.ratio)
    ).items():
        cells = [_cell(found.get(name), found.get(ours)) for name in names]
        rows.append([form, *([dtype] if one and not own else []), f"{threads:g}", *cells])
    return table(["what", *(["dtype"] if one and not own else []), "threads", *names], rows)


def ceiling_table(rates: list[dict[str, float]]) -> str:
    rows = [
        [label, *(f"{rate[key] / 1e9:.3g} {unit}" for rate in rates)]
        for label, key, unit in (
            ("multiply-add, float32", "fma_float32", "G/s"),
            ("multiply-add, float64", "fma_float64", "G/s"),
            ("exp2, float32", "exp2_float32", "G/s"),
            ("exp2, float64", "exp2_float64", "G/s"),
            *((f"read, {size} MB", f"read_{size}", "GB/s") for size in ceilings.SIZES),
            ("copy past the caches, 64 MB, read and written", "copy_past_caches", "GB/s"),
            ("memcpy, 64 MB, read and written", "copy", "GB/s"),
        )
        if key in rates[0]  # older records lack some
    ]
    heads = [f"{rate['threads']} thread" + ("s" if rate["threads"] > 1 else "") for rate in rates]
    return table(["", *heads], rows)


def _groups(records: list[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    found: dict[Any, list[Record]] = {}
    for record in records:
        found.setdefault(key(record), []).append(record)
    return found


NOTES = """\
Medians. In brackets: the time as a multiple of lapwing's. `> 60 s`: the cap ran out, here or on an easier
problem. `reaches 3e-06`: the tightest setting tried ends at that error. `·`: not offered. Every time stands
for an answer whose marginal error, recomputed in float64 from what the solver returned and the arrays it was
given, is at most 1.05 times (float32: 1.5 times) the one named. Compilation, conversion to the
library's arrays and loading are left out; a solver that needs a matrix computes it within
its time when the points are the input. POT and RegOT run in one thread outside NumPy's products."""


def render(records: list[Record], rates: list[dict[str, float]], threads: int) -> str:
    by_group = _groups(records, lambda r: r.group)
    many = next((rate for rate in rates if rate["threads"] == threads), None)
    parts = ["# Benchmarks", machine(threads), NOTES]
    if rates:
        parts += ["## Ceilings of this machine", ceiling_table(rates)]
    if "iteration" in by_group:
        parts += ["## Seconds per full iteration", iterations(by_group["iteration"], many)]
        parts.append(prototype(by_group["iteration"]))
    if "matrix-free" in by_group:
        parts += ["## Without a matrix, large", matrix_free(by_group["matrix-free"])]
        parts.append(prototype(by_group["matrix-free"]))
    if "solve" in by_group:
        parts += ["## From arrays to a marginal error", solves(by_group["solve"])]
        parts += ["## Memory", memory(by_group["solve"])]
        parts += ["## Errors behind the times", errors(by_group["solve"])]
    for group, title, make in (
        ("sweeps", "Sweeps and seconds to a marginal error", sweeps),
        ("small", "Small regularisations", small),
        ("batch", "Many small problems", batch),
        ("variants", "Variants", variant),
        ("cost", "How the cost of a plan grows", cost),
        ("large", "A large problem", large),
    ):
        if group in by_group:
            parts += [f"## {title}", make(by_group[group])]
    if "eigenpairs" in by_group:
        parts += [
            "## Ten eigenpairs of a normalised Laplacian, residual 1e-8",
            eigenpairs(by_group["eigenpairs"], many),
        ]
    if "copies" in by_group:
        parts += ["## Ten eigenvalues with their copies", copies(by_group["copies"])]
    if "embedding" in by_group:
        parts += [
            "## SpectralEmbedding, from points (and the largest residual)",
            embedding(by_group["embedding"]),
        ]
    if "growth" in by_group:
        parts += ["## How their cost grows", growth(by_group["growth"])]
    if "neighbours" in by_group:
        parts += ["## Fifteen exact nearest neighbours", neighbors(by_group["neighbours"])]
    if "partition" in by_group:
        parts += ["## Balanced cuts", partition(by_group["partition"])]
    if "fiedler" in by_group:
        parts += ["## Fiedler vector (and its angle to the true one)", fiedler(by_group["fiedler"])]
    if "recovery" in by_group:
        parts += ["## Wrong splits, and those published", recovery(by_group["recovery"])]
    if "programs" in by_group:
        parts += ["## Beside maximum likelihood programs", programs(by_group["programs"])]
    if "joining" in by_group:
        parts += ["## Neighbour joining alone", joining(by_group["joining"])]
    if "scale" in by_group:
        parts += ["## From the array to the Newick text", scale(by_group["scale"])]
    for group in TURNS:
        if group in by_group:
            parts += [f"## Images: {group}", turns(by_group[group])]
    if "methods" in by_group:
        parts += ["## Methods", methods(by_group["methods"])]
    return "\n\n".join(part for part in parts if part) + "\n"
