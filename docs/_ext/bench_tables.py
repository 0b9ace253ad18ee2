"""Puts the tables that ``python -m bench -o docs/_bench/NAME.md`` wrote into pages that others include.

``linalg-*.md`` becomes docs/generated/bench_linalg.md, and so for the other names in ROOMS;
everything else becomes docs/generated/bench.md.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

NONE = """No table has been measured for this version. ``python -m bench -o docs/_bench/table.md`` measures
one; the pages are then built with it.
"""


#: Tables that have a page of their own.
ROOMS = ("linalg", "multiscale", "ot", "partition", "pcdm", "phylo")


def _room(table: Path) -> str:
    return next((room for room in ROOMS if table.name.startswith(room + "-")), "")


def demote(text: str) -> str:
    """The page of a run as a part of ours: its headings two levels lower."""
    return re.sub(r"^(#+ )", r"##\1", text, flags=re.MULTILINE)


def generate(app: Sphinx) -> None:
    """Write the pages that the solvers' pages include."""
    source = Path(app.srcdir)
    for room in ("", *ROOMS):
        name = f"bench_{room}" if room else "bench"
        tables = sorted(t for t in (source / "_bench").glob("*.md") if _room(t) == room)
        text = "\n\n".join(demote(t.read_text(encoding="utf-8")) for t in tables) or NONE
        target = source / "generated" / f"{name}.md"
        target.parent.mkdir(exist_ok=True)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("builder-inited", generate)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
