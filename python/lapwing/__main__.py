"""The command `lapwing`: one verb a job; the rooms register theirs in their own `_cli.py`."""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["main"]

_ROOMS = (
    "lapwing.embedding.eot_eigenmaps._cli",
    "lapwing.embedding._spectral_cli",
    "lapwing.trees._cli",
    "lapwing.cluster._partition_cli",
    "lapwing.generative.pcdm._cli",
)


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _config(args: argparse.Namespace) -> None:
    import lapwing

    if args.cmake_prefix:
        # lib/cmake/lapwing below the prefix is where CMake looks for a package of this name.
        print(Path(lapwing.get_cmake_dir()).parents[2])
    else:
        lapwing.show_config()


def _parser() -> argparse.ArgumentParser:
    import lapwing

    parser = _Parser(
        prog="lapwing",
        description="Embed one dataset or two, divide a graph, code images, and tell how lapwing was built.",
    )
    parser.add_argument("--version", action="version", version=f"lapwing {lapwing.__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    config = verbs.add_parser("config", help="print version, instruction set, threads and paths")
    config.add_argument(
        "--cmake-prefix", action="store_true", help="print the folder for -DCMAKE_PREFIX_PATH instead"
    )
    config.set_defaults(run=_config, verb="config")
    for room in _ROOMS:
        importlib.import_module(room).register(verbs)
    return parser


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        Arguments; None: those of the process.

    Returns
    -------
    int
        0; 2 for bad input, which is told in one line on standard error; 130 after Ctrl-C.
    """
    from lapwing.exceptions import LapwingError

    args = _parser().parse_args(argv)
    name = f"lapwing {args.verb}"

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"{name}: warning: {_one_line(message)}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        try:
            args.run(args)
        except KeyboardInterrupt:
            print(f"{name}: interrupted", file=sys.stderr)
            return 130
        except (LapwingError, ValueError, TypeError, OSError, ImportError, MemoryError) as error:
            print(f"{name}: error: {_one_line(error) or type(error).__name__}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
