"""The verb `lapwing partition`, from files of every kind to labels, report and picture."""

from __future__ import annotations

import gzip
import json

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.io import mmwrite

from lapwing.__main__ import main


@pytest.fixture
def mesh(tmp_path):
    W = nx.to_scipy_sparse_array(nx.grid_2d_graph(12, 10), dtype=float)
    lines = [" ".join(str(j + 1) for j in W[[i]].indices) for i in range(120)]
    (tmp_path / "mesh.graph").write_text(f"% a mesh\n120 {W.nnz // 2}\n" + "\n".join(lines) + "\n")
    (tmp_path / "mesh.graph.gz").write_bytes(gzip.compress((tmp_path / "mesh.graph").read_bytes()))
    mmwrite(tmp_path / "mesh.mtx", sp.coo_matrix(W))
    sp.save_npz(tmp_path / "mesh.npz", sp.csr_matrix(W))
    np.save(tmp_path / "mesh.npy", W.toarray())
    upper = sp.triu(W).tocoo()
    (tmp_path / "mesh.edges").write_text(
        "# edges\n" + "".join(f"{i} {j}\n" for i, j in zip(upper.row, upper.col, strict=True))
    )
    (tmp_path / "mesh.csv").write_text(
        "from,to,weight\n" + "".join(f"n{i},n{j},2.5\n" for i, j in zip(upper.row, upper.col, strict=True))
    )
    return tmp_path


@pytest.mark.parametrize("name", ["graph", "graph.gz", "mtx", "npz", "npy", "edges"])
def test_every_format(mesh, capsys, name):
    out = mesh / "parts.txt"
    assert main(["partition", str(mesh / f"mesh.{name}"), "-k", "2", "-o", str(out), "--no-picture"]) == 0
    labels = np.loadtxt(out, dtype=int)
    assert np.bincount(labels).max() <= 61
    text = capsys.readouterr().out
    assert "120 nodes, 218 edges, 1 connected component -> 2 parts" in text
    assert "cut 10, " in text
    report = json.loads((mesh / "parts.json").read_text())
    assert report["certificate"]["cut"] == 10.0
    assert report["certificate"]["within_the_imbalance"]
    assert report["parameters"]["imbalance"] == 0.03
    assert not (mesh / "parts.png").exists()


def test_names_and_picture(mesh, capsys):
    out = mesh / "out.csv"
    assert main(["partition", str(mesh / "mesh.csv"), "-k", "4", "-o", str(out), "--seed", "1"]) == 0
    rows = out.read_text().splitlines()
    assert rows[0] == "node,part"
    assert len(rows) == 121
    assert rows[1].startswith("n0,")
    assert (mesh / "out.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads((mesh / "out.json").read_text())["certificate"]["cut"] == 2.5 * 22


def test_default_names_and_points(mesh, capsys, monkeypatch):
    monkeypatch.chdir(mesh)
    np.savetxt("xy.txt", np.array([(i, j) for i in range(12) for j in range(10)]))
    assert main(["partition", "mesh.graph", "-k", "3", "--points", "xy.txt", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert np.loadtxt("mesh.graph.part.3").max() == 2
    assert (mesh / "mesh.graph.part.3.png").exists()
    for objective in ("ncut", "ratio", "conductance"):
        done = main(["partition", "mesh.graph", "-k", "3", "--objective", objective, "--no-picture", "-q"])
        assert done == 0
    few = ["partition", "mesh.graph", "-k", "30", "--imbalance", "0.5", "--contiguous", "-o", "y.txt", "-q"]
    assert main([*few, "--no-picture"]) == 0
    parts = np.loadtxt("y.txt", dtype=int).reshape(12, 10)
    for part in range(30):
        assert nx.is_connected(
            nx.grid_2d_graph(12, 10).subgraph(map(tuple, np.argwhere(parts == part).tolist()))
        )
    assert main(["partition", "mesh.graph", "-k", "3", "-o", "x.npz", "--no-picture", "-q"]) == 0
    assert np.load("x.npz")["labels"].shape == (120,)


def test_weights_of_nodes_are_used(tmp_path, capsys):
    (tmp_path / "a.graph").write_text("4 3 010\n3 2\n1 1 3\n1 2 4\n1 3\n")
    assert main(["partition", str(tmp_path / "a.graph"), "-k", "2", "-o", str(tmp_path / "a.txt"), "-q"]) == 0
    assert (tmp_path / "a.txt").read_text().split() == ["0", "1", "1", "1"]


MARKET = "%%MatrixMarket matrix coordinate real symmetric\n3 3 1\n"


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.graph", "", "the file is empty"),
        ("a.graph", "3\n", "the first line of a METIS file"),
        ("a.graph", "3 2 2\n2\n1 3\n2\n", "unknown format '2'"),
        ("a.graph", "3 2 010 2\n1 1 2\n1 1 1 3\n1 1 2\n", "2 weights for each node"),
        ("a.graph", "3 2\n2\n1 3\n", "3 nodes are stated, but 2 lines follow"),
        ("a.graph", "3 2\n2\n1 4\n2\n", "line 3: nodes are numbered from 1 to 3, got 4"),
        ("a.graph", "3 2\n2\n1 x\n2\n", "line 3: 'x' is no number"),
        ("a.graph", "3 2 1\n2 1\n1 3\n2\n", "do not fit the format 001"),
        ("a.graph", "3 2\n2\n1\n2\n", "symmetric"),
        ("a.edges", "0 1 2 3\n", "line 1: an edge is two nodes"),
        ("a.edges", "0 1\n1 2 x\n", "line 2: the weight 'x' is no number"),
        ("a.edges", "# nothing\n", "holds no edges"),
        ("a.edges", "0 5000000\n", "numbered from 0 without gaps"),
        ("a.mtx", "hello\n", "not a Matrix Market file"),
        ("a.npy", "hello\n", "not a .npy file"),
        ("a.npz", "hello\n", "a.npz: not a .npz file of numbers"),
        ("a.edges.gz", "hello\n", "not a whole gzip file"),
        ("b.mtx", MARKET + "2 1 -1\n", "must not be negative, but it is -1 at (0, 1)"),
        ("b.mtx", MARKET + "2 1 nan\n", "contains NaN at (0, 1) and 1 more that is not finite"),
        ("c.mtx", MARKET.replace("symmetric", "general") + "2 1 1\n", "--symmetrize makes it so"),
        ("a.dot", "graph {}\n", "unknown format '.dot'"),
    ],
)
def test_bad_files(tmp_path, capsys, name, content, text):
    (tmp_path / name).write_text(content)
    assert main(["partition", str(tmp_path / name), "-k", "2", "--no-picture"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("lapwing partition: error: ")
    assert text in error


def test_bad_requests(mesh, capsys):
    graph = str(mesh / "mesh.graph")
    for arguments, text in [
        ([str(mesh / "none.graph"), "-k", "2"], "none.graph: no such file"),
        ([str(mesh / "none.mtx"), "-k", "2"], "none.mtx: no such file"),
        ([str(mesh), "-k", "2", "--format", "metis"], "is a folder"),
        ([str(mesh / "mesh.npy"), "-k", "2", "-o", str(mesh / "mesh.npy")], "would be written over"),
        (
            [str(mesh / "mesh.npy"), "-k", "2", "-o", f"{mesh}/../{mesh.name}/mesh.npy"],
            "would be written over",
        ),
        ([graph, "-k", "0"], "n_parts must be between 1 and 120, got 0"),
        ([graph, "-k", "2", "-o", str(mesh / "a.xlsx")], "unknown format '.xlsx'"),
        ([graph, "-k", "2", "--key", "A"], "key names an array"),
        ([graph, "-k", "2", "--imbalance", "-1"], "imbalance must be >= 0"),
        ([graph, "-k", "2", "--points", str(mesh / "mesh.npy"), "-o", str(mesh / "p.txt")], ""),
    ]:
        done = main(["partition", *arguments, *([] if "--points" in arguments else ["--no-picture"])])
        error = capsys.readouterr().err
        assert done == (2 if text else 0)
        assert text in error


def test_metis_files_with_isolated_nodes_comments_and_weights(tmp_path):
    from lapwing.graph import read_graph

    # Node 2 is isolated: its line is blank. Comments stand in between.
    (tmp_path / "a.graph").write_text(
        "%c\n5 3 111\n9 4 3 2.5 5 1\n% more\n8 1\n7 2 1 2.5\n6 3 5 4\n5 4 1 1 4 4\n"
    )
    W, weight, names = read_graph(tmp_path / "a.graph")
    expected = np.zeros((5, 5))
    for i, j, w in [(0, 2, 2.5), (0, 4, 1.0), (3, 4, 4.0)]:
        expected[i, j] = expected[j, i] = w
    assert (W.toarray() == expected).all()
    assert weight.tolist() == [4, 1, 2, 3, 4]
    assert names is None
    (tmp_path / "b.graph").write_text("4 2\n2\n1\n\n\n")
    with pytest.warns(UserWarning, match="2 edges are stated, but there are 1"):
        W, weight, _ = read_graph(tmp_path / "b.graph")
    assert W.shape == (4, 4)
    assert weight is None
    (tmp_path / "c.graph").write_text("3 1\n\n3\n2")
    assert read_graph(tmp_path / "c.graph").weights.toarray().tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize(
    "code", ["", "0", "1", "01", "001", "10", "010", "11", "011", "100", "101", "110", "111"]
)
@pytest.mark.parametrize("constraints", ["", " 1"])
def test_every_code_of_metis_files(tmp_path, code, constraints):
    """Sizes of nodes, weights of nodes, weights of edges: each there or not."""
    from lapwing.graph import read_graph

    if constraints and not code:
        pytest.skip("the code comes first")
    size, node, edge = (c == "1" for c in code.rjust(3, "0"))
    W = np.array([[0, 2.5, 0, 1], [2.5, 0, 3, 0], [0, 3, 0, 0], [1, 0, 0, 0]])
    lines = [f"4 3 {code}{constraints}"]
    for i, row in enumerate(W):
        words = ["7"] * size + [str(i + 4)] * node
        for j in np.flatnonzero(row):
            words += [str(j + 1)] + [f"{row[j]:g}"] * edge
        lines += [" ".join(words), "% no node"]
    (tmp_path / "a.graph").write_text("\n".join(lines) + "\n")
    found, weight, _ = read_graph(tmp_path / "a.graph")
    assert (found.toarray() == (W if edge else W > 0)).all()
    assert (weight.tolist() == [4, 5, 6, 7]) if node else weight is None


def test_lists_of_edges(tmp_path):
    from lapwing.graph import read_graph

    (tmp_path / "a.edges").write_text("0 1 2\n1 0 2\n1 2 3\n1 2 4\n")
    assert read_graph(tmp_path / "a.edges").weights.toarray().tolist() == [[0, 2, 0], [2, 0, 7], [0, 7, 0]]
    (tmp_path / "b.tsv").write_text("source\ttarget\n0\t1\n1\t2\n")
    assert read_graph(tmp_path / "b.tsv").weights.sum() == 4
    (tmp_path / "c.txt").write_text("ann bob\nbob cy\n")
    assert read_graph(tmp_path / "c.txt").names == ["ann", "bob", "cy"]
    (tmp_path / "d.txt").write_text("1 2\n2 3\n")
    with pytest.warns(UserWarning, match="numbered from 0, and no edge has node 0"):
        assert read_graph(tmp_path / "d.txt").weights.shape == (4, 4)
