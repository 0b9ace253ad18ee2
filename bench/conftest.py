"""Options of the benchmarks and the list of what they measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import peers
from bench.harness import Records, Settings


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench")
    group.addoption("--bench-quick", action="store_true", help="small problems only")
    group.addoption("--bench-large", action="store_true", help="also those that take minutes and gigabytes")
    group.addoption("--bench-threads", type=int, default=2)
    group.addoption("--bench-rounds", type=int, default=5)
    group.addoption("--bench-cap", type=float, default=60.0, metavar="SECONDS", help="for one solve")
    group.addoption(
        "--bench-peers", default="", metavar="NAMES", help="separated by semicolons; default: all there are"
    )
    group.addoption("--bench-sizes", default="", metavar="NS", help="comma-separated; default: all")
    group.addoption("--bench-ratios", default="", metavar="RS", help="eps / median; default: all")
    group.addoption("--bench-forms", default="", metavar="NAMES", help="comma-separated; default: all")
    group.addoption("--bench-dtypes", default="", metavar="NAMES", help="comma-separated; default: all")
    group.addoption("--bench-dimensions", default="", metavar="DS", help="comma-separated; default: all")
    group.addoption("--bench-records", type=Path, metavar="FILE", help="write the records here as JSON")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def listed(option: str, kind: Any = str, separator: str = ",") -> list[Any]:
        return [kind(x.strip()) for x in config.getoption(f"--bench-{option}").split(separator) if x.strip()]

    wanted = {
        "n": listed("sizes", int),
        "ratio": listed("ratios", float),
        "form": listed("forms"),
        "case": listed("forms"),
        "dtype": listed("dtypes"),
        "d": listed("dimensions", int),
    }
    names = listed("peers", separator=";")
    keep, drop = [], []
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        peer, solver = parameters.get("peer"), parameters.get("solver")
        ok = peer is None or peers.available(peer)
        ok = ok and (not names or (peer or solver or names[0]) in names)
        ok = ok and all(
            not values or name not in parameters or parameters[name] in values
            for name, values in wanted.items()
        )
        if config.getoption("--bench-quick") and item.get_closest_marker("full"):
            ok = False
        if not config.getoption("--bench-large") and item.get_closest_marker("large"):
            ok = False
        (keep if ok else drop).append(item)
    if drop:
        config.hook.pytest_deselected(items=drop)
        items[:] = keep


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "full: left out by --bench-quick")
    config.addinivalue_line("markers", "large: only with --bench-large")


@pytest.fixture(scope="session")
def settings(request: pytest.FixtureRequest) -> Settings:
    option = request.config.getoption
    return Settings(option("--bench-threads"), option("--bench-cap"), option("--bench-rounds"))


@pytest.fixture(scope="session")
def records(request: pytest.FixtureRequest) -> Records:
    return Records(request.config.getoption("--bench-records"))
