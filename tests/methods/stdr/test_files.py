"""Alignments, other packages' trees, pictures, the command line."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lapwing.__main__ import main
from lapwing.trees import (
    STDR,
    Tree,
    birth_death,
    from_object,
    kingman,
    read_alignment,
    read_newick,
    robinson_foulds,
    simulate_sequences,
    to_linkage,
    to_object,
)

DATA = (
    Path(os.environ.get("LAPWING_DATA", Path(__file__).parents[3].parent / "shared" / "data")) / "alignments"
)


def shared(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not there (LAPWING_DATA names its folder)")
    return path


def test_fasta(tmp_path: Path) -> None:
    file = tmp_path / "x.fasta"
    file.write_text(">one a\nACGT\nAC\n>two\nAC GT\n--\n\n")
    found = read_alignment(file)
    assert found.names == ("one a", "two")
    assert found.sequences == ("ACGTAC", "ACGT--")
    assert found.n_sites == 6
    assert found.matrix()[1].tolist() == list("ACGT--")
    (tmp_path / "none").write_text(file.read_text())
    assert read_alignment(tmp_path / "none") == found


@pytest.mark.parametrize(
    "text",
    [
        "2 8\none  ACGTACGT\ntwo  AC-TACGA\n",
        "2 8\none ACGT\nACGT\ntwo AC-T\nACGA\n",
        " 2 8 \none ACGT\ntwo AC-T\n\nACGT\nACGA\n",
        "2 8\none ACGT\ntwo AC-T\n\none ACGT\ntwo ACGA\n",
        "2 8\none       ACGTACGT\ntwo       AC-TACGA\n",
    ],
)
def test_phylip(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.phy"
    file.write_text(text)
    found = read_alignment(file)
    assert found.names == ("one", "two")
    assert found.sequences == ("ACGTACGT", "AC-TACGA")


def test_strict_phylip(tmp_path: Path) -> None:
    file = tmp_path / "x.phy"
    file.write_text("2 4\nHomo sapieACGT\nHomo neandACGA\n")
    assert read_alignment(file).names == ("Homo sapie", "Homo neand")


def test_nexus(tmp_path: Path) -> None:
    pytest.importorskip("dendropy")
    file = tmp_path / "x.nex"
    file.write_text(
        "#NEXUS\nbegin data;\ndimensions ntax=2 nchar=4;\nformat datatype=dna gap=- missing=?;\nmatrix\n"
        "a_1 AC-T\n'b c' ACG?\n;\nend;\n"
    )
    found = read_alignment(file)
    assert found.names == ("a_1", "b c")
    assert found.sequences == ("AC-T", "ACG?")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.fasta", "", "the file is empty"),
        ("x.fasta", "ACGT\n", "FASTA begins with '>'"),
        ("x.fasta", ">a\nACGT\n>b\nACG\n", "'b' has 3 sites and 'a' 4"),
        ("x.fasta", ">a\nACGT\n>a\nACGA\n", "'a' comes twice"),
        ("x.fasta", ">a\n>b\n", "'a' is empty"),
        ("x.fasta", ">\nACGT\n", "has no name"),
        ("x.phy", "a b\n", "PHYLIP begins with"),
        ("x.phy", "2 4\na ACGT\n", "there are 1 sequences, not 2"),
        ("x.phy", "2 4\na ACGT\nb ACG\n", "'b' has 3 sites, not 4"),
        ("x.nex", "#NEXUS\nbegin data;\nformat datatype=weird;\n", "datatype 'weird'"),
        ("x.txt", "hello", "neither FASTA"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, text: str, words: str) -> None:
    if name.endswith("nex"):
        pytest.importorskip("dendropy")
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ValueError, match=words) as raised:
        read_alignment(file)
    assert str(file) in str(raised.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_alignment(tmp_path / "x.fasta")
    with pytest.raises(ValueError, match="format must be one of"):
        read_alignment(tmp_path / "x.fasta", format="clustal")


@pytest.mark.parametrize(
    ("kind", "module"),
    [("dendropy", "dendropy"), ("skbio", "skbio"), ("treeswift", "treeswift"), ("networkx", "networkx"),
     ("ete", "ete3")],
)  # fmt: skip
def test_other_packages(kind: str, module: str) -> None:
    pytest.importorskip(module, exc_type=ImportError)
    tree = kingman(12, random_state=3).with_names(["it's a", *(f"leaf_{i}" for i in range(11))])
    again = from_object(to_object(tree, kind))
    assert robinson_foulds(again, tree) == 0
    again = again.reordered(tree.names)
    assert np.array_equal(again.parent, tree.parent)
    assert np.array_equal(again.length[:-1], tree.length[:-1])
    supported = tree.with_support(np.r_[np.full(12, np.nan), np.linspace(0, 1, 11)])
    if kind != "networkx":
        other = from_object(to_object(supported, kind)).reordered(tree.names)
        assert np.array_equal(other.support[12:-1], supported.support[12:-1])


def test_linkage() -> None:
    from scipy.cluster.hierarchy import cophenet, is_valid_linkage
    from scipy.spatial.distance import squareform

    tree = birth_death(25, random_state=1)
    Z = to_linkage(tree)
    assert is_valid_linkage(Z)
    assert np.allclose(squareform(cophenet(Z)), tree.path_lengths())
    with pytest.raises(ValueError, match="binary with a root"):
        to_linkage(tree.unrooted())
    with pytest.raises(TypeError, match="got int"):
        from_object(3)
    with pytest.raises(ValueError, match="kind must be one of"):
        to_object(tree, "biopython")


def test_plots() -> None:
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    from lapwing.trees.stdr import plot_fiedler, plot_partition, plot_tree

    tree = birth_death(60, random_state=1)
    X = simulate_sequences(tree, 400, rate=0.1)
    model = STDR(tau=16).fit(X, names=[f"taxon {i}" for i in range(60)])
    ax = plot_partition(model, title="parts")
    (lines,) = ax.collections
    assert len(lines.get_segments()) == model.tree_.n_nodes - 1
    assert {t.get_text() for t in ax.texts} >= {"taxon 0", "taxon 59"}
    assert len({tuple(c) for c in lines.get_colors()}) > 2
    ax = plot_tree(model.tree_, names=False, use_lengths=False)
    x = np.array([segment[-1, 0] for segment in ax.collections[0].get_segments()])
    assert np.isclose(x[:60], x.max()).all()
    ax = plot_fiedler(model)
    assert sum(len(line.get_xdata()) for line in ax.lines[:2]) == 60
    with pytest.raises(ValueError, match="split must be below"):
        plot_fiedler(model, split=99)
    with pytest.raises(ValueError, match="groups must have shape"):
        plot_tree(tree, groups=[1, 2])
    plot_tree(Tree([-1], names=["a"]))
    pyplot.close("all")


def written(tmp_path: Path, m: int = 40) -> tuple[Path, Tree]:
    tree = birth_death(m, random_state=2).with_names([f"s{i}" for i in range(m)])
    X = simulate_sequences(tree, 3000, rate=0.08)
    file = tmp_path / "in.fasta"
    file.write_text(
        "".join(f">{n}\n{''.join('ACGT'[s] for s in row)}\n" for n, row in zip(tree.names, X, strict=True))
    )
    return file, tree


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, tree = written(tmp_path)
    (tmp_path / "true.nwk").write_text(tree.newick())
    out = tmp_path / "out.nwk"
    arguments = ["tree", str(file), "-o", str(out), "--tau", "12", "--bootstrap", "2", "--root", "midpoint"]
    assert main([*arguments, "--compare", str(tmp_path / "true.nwk")]) == 0
    said = capsys.readouterr().out
    assert "40 sequences, 3000 sites" in said
    assert "Robinson-Foulds distance" in said
    found = read_newick(out)
    assert robinson_foulds(found, tree, normalized=True) < 0.15
    assert found.rooted
    assert (tmp_path / "out.png").read_bytes()[:4] == b"\x89PNG"
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["alignment"]["sequences"] == 40
    assert report["compared"]["robinson_foulds"] == robinson_foulds(found, tree)
    assert report["parts"] == len(report["cuts"]) + 1
    assert sum(report["seconds"].values()) > 0
    assert main(
        ["tree", str(file), "-o", str(out), "--no-picture", "-q", "--outgroup", "s3,s4", "--seed", "1"]
    ) in (0, 2)
    assert (
        main(["tree", str(file), "-o", str(out), "--tau", "12", "--merge", "spectral", "--no-picture", "-q"])
        == 0
    )
    assert json.loads((tmp_path / "out.json").read_text())["parameters"]["merge"] == "spectral"
    for extra in (
        ["--dtype", "float32"], ["--dense-limit", "30"], ["--base", "quartet_exact"], ["--no-polish"],
    ):  # fmt: skip
        assert main(["tree", str(file), "-o", str(out), "--tau", "12", "--no-picture", "-q", *extra]) == 0
        assert robinson_foulds(read_newick(out), tree, normalized=True) < 0.15


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.fasta", "-o", "x.nwk"], "no such file"),
        (["in.fasta", "-o", "."], "is a folder"),
        (["in.fasta", "-o", "nowhere/x.nwk"], "no such folder"),
        (["in.fasta", "-o", "x.png"], "must not end in .png"),
        (["in.fasta", "-o", "x.nwk", "--tau", "1"], "tau must be >= 3"),
        (["in.fasta", "-o", "x.nwk", "--outgroup", "nobody"], "not in the tree: nobody"),
        (["in.fasta", "-o", "x.nwk", "--outgroup", "s1", "--root", "midpoint"], "exclude each other"),
        (["in.fasta", "-o", "x.nwk", "--compare", "other.nwk"], "other leaves than the alignment"),
        (["in.fasta", "-o", "x.nwk", "--compare", "in.fasta"], "in.fasta: Newick: ';' is missing"),
        (["in.fasta", "-o", "in.fasta"], "in.fasta would be written over in.fasta"),
        (["in.fasta", "-o", "other.nwk", "--compare", "other.nwk"], "would be written over other.nwk"),
        (["gaps.fasta", "-o", "x.nwk"], "gaps.fasta: X has rows in which all sites are missing: 1"),
        (["apart.fasta", "-o", "x.nwk"], "--no-overlap saturate takes them for unrelated"),
        (["in.fasta", "-o", "x.nwk", "--base", "raxml-ng"], "needs the program raxml-ng on PATH"),
    ],
)
def test_command_errors(
    tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    written(tmp_path, 8)
    (tmp_path / "other.nwk").write_text("(a,b,c);")
    (tmp_path / "gaps.fasta").write_text(">a\nACGT\n>b\n----\n>c\nACGA\n")
    (tmp_path / "apart.fasta").write_text(">a\nAC--\n>b\n--GT\n>c\nACGA\n")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert main(["tree", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert {file: file.read_bytes() for file in before} == before


def test_outgroup_with_blanks(tmp_path: Path) -> None:
    file, _ = written(tmp_path, 8)
    file.write_text(file.read_text().replace(">s", ">taxon "))
    out = tmp_path / "out.nwk"
    assert main(["tree", str(file), "-o", str(out), "--no-picture", "-q", "--outgroup", "taxon_3"]) == 0
    found = read_newick(out)
    assert found.names.index("taxon 3") in found.children()[-1]


FAKE = """#!/bin/sh
if [ -n "$LAPWING_TEST_FAIL" ]; then echo "no licence today" >&2; exit 3; fi
for last; do :; done
names=$(grep '>' "$last" | tr -d '>' | paste -sd, -)
echo "($names);"
"""


def test_external_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of ours in its place: what it is given, what comes back, what happens if it fails."""
    program = tmp_path / "FastTree"
    program.write_text(FAKE)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    tree = birth_death(50, random_state=2)
    X = simulate_sequences(tree, 300, rate=0.1)
    model = STDR(base="fasttree", tau=12).fit(X, names=tree.names)
    assert sorted(model.tree_.names) == sorted(tree.names)
    assert not model.tree_.binary  # stars, joined
    monkeypatch.setenv("LAPWING_TEST_FAIL", "1")
    with pytest.raises(RuntimeError, match="FastTree failed with status 3: no licence today"):
        STDR(base="fasttree", tau=12).fit(X)


@pytest.mark.parametrize("name", ["pythonidae.chars.fasta", "actinopterygii.chars.nexus"])
def test_real_alignments(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = shared(name)
    if name.endswith("nexus"):
        pytest.importorskip("dendropy")
    extra: list[Any] = ["--no-overlap", "saturate"]
    if name.startswith("pythonidae"):
        extra = ["--compare", str(shared("pythonidae.mle.newick"))]
    assert main(["tree", str(file), "-o", str(tmp_path / "out.nwk"), "--tau", "16", *extra]) == 0
    report = json.loads((tmp_path / "out.json").read_text())
    found = read_newick(tmp_path / "out.nwk")
    assert found.n_leaves == report["alignment"]["sequences"] == (33 if "compared" in report else 56)
    assert (found.length[:-1] >= 0).all()
    if "compared" in report:
        assert report["compared"]["robinson_foulds"] <= 10  # that of neighbour joining
    capsys.readouterr()


@pytest.mark.parametrize("base", ["fasttree", "iqtree", "raxml-ng"])
def test_installed_programs(base: str) -> None:
    """The programs themselves, where they are."""
    from lapwing.trees.stdr._base import find_program

    try:
        find_program(base)
    except RuntimeError as error:
        pytest.skip(str(error))
    tree = birth_death(40, random_state=2)
    X = simulate_sequences(tree, 1500, model="hky85", rate=0.08)
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.02, -1, X)
    gaps[5] = gaps[4]  # identical rows must stay both
    model = STDR(base=base, tau=16, random_state=1).fit(gaps, names=tree.names)
    assert model.tree_.n_leaves == 40
    others = [str(i) for i in range(40) if i != 5]
    assert robinson_foulds(model.tree_.pruned(others), tree.pruned(others), normalized=True) < 0.12
