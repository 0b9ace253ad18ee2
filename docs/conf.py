"""Sphinx configuration: python -m sphinx -W -b html docs docs/_build/html."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

project = "lapwing"
author = "The lapwing developers"
copyright = author
_header = (HERE.parent / "cpp/include/lapwing/version.hpp").read_text()
release = version = re.search(r'#define LAPWING_VERSION "(.+)"', _header)[1]  # type: ignore[index]

extensions = [
    "bench_tables",
    "cpp_reference",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = [
    "_build",
    "_bench/*.md",
    "generated/bench.md",
    "generated/bench_linalg.md",
    "generated/bench_multiscale.md",
    "generated/bench_ot.md",
    "generated/bench_partition.md",
    "generated/bench_pcdm.md",
    "generated/bench_phylo.md",
]
templates_path = ["_templates"]
html_theme = "furo"
html_static_path = ["_static"]
html_title = f"lapwing {version}"
default_role = "code"

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["config.cache"]  # sphinx_gallery_conf holds a class, which cannot be pickled

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say more
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"/(cpp_consumer|pybind11_consumer)/",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "min_reported_time": 1000,
    "write_computation_times": False,
    "plot_gallery": "True",
}
