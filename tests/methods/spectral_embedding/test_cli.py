"""`lapwing spectral`: every format in and out, the report, the picture, errors in one line."""

import csv
import json

import matplotlib
import numpy as np
import pytest
from scipy import io, sparse

from lapwing import SpectralEmbedding, graph
from lapwing.__main__ import main

matplotlib.use("Agg")

X = np.random.default_rng(0).normal(size=(40, 3))
W = graph.affinity(X, n_neighbors=6)
POINTS = SpectralEmbedding(3, n_neighbors=6, random_state=0).fit_transform(X)
NAMES = ["a", "b", "c"]


def write(path, Z):
    suffix = path.suffix
    if suffix == ".npy":
        np.save(path, Z.toarray() if sparse.issparse(Z) else Z)
    elif suffix == ".npz":
        sparse.save_npz(path, sparse.csr_matrix(Z))
    elif suffix == ".mtx":
        io.mmwrite(path, sparse.coo_matrix(Z), precision=17)
    else:
        Z = Z.toarray() if sparse.issparse(Z) else Z
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream, delimiter="," if suffix == ".csv" else "\t")
            writer.writerow(["", *(f"f{j}" for j in range(Z.shape[1]))])
            writer.writerows([f"s{i}", *map(repr, row)] for i, row in enumerate(Z.tolist()))
    return path


@pytest.mark.parametrize("kind", ["points", "weights"])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mtx", ".csv", ".tsv"])
def test_formats(tmp_path, suffix, kind, capsys):
    path = write(tmp_path / f"x{suffix}", X if kind == "points" else W)
    options = ["--neighbors", "6"] if kind == "points" else []
    assert main(["spectral", str(path), "-k", "3", "-o", str(tmp_path / "out.npz"), *options]) == 0
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_allclose(found["embedding"], POINTS, atol=1e-12)
        assert found["eigenvalues"].shape == (3,)
        assert ("samples" in found) == (suffix in (".csv", ".tsv"))
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["X"]["taken_as"] == kind
    assert report["certificate"]["converged"] is True
    assert report["certificate"]["residual"] <= 1e-8
    assert report["certificate"]["connected_components"] == 1
    assert report["parameters"]["n_components"] == 3
    assert (tmp_path / "out.png").read_bytes()[:4] == b"\x89PNG"
    out = capsys.readouterr().out
    assert "certificate: converged" in out
    assert f"embedding: {tmp_path / 'out.npz'}" in out


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_tables_out(tmp_path, suffix):
    path = write(tmp_path / "x.csv", X)
    out = tmp_path / f"y{suffix}"
    arguments = ["spectral", str(path), "-k", "3", "--neighbors", "6", "-o", str(out), "--no-picture", "-q"]
    assert main(arguments) == 0
    rows = list(csv.reader(out.open(), delimiter="," if suffix == ".csv" else "\t"))
    assert rows[0] == ["sample", "spectral_1", "spectral_2", "spectral_3"]
    assert [r[0] for r in rows[1:]] == [f"s{i}" for i in range(40)]
    np.testing.assert_array_equal(np.array([r[1:] for r in rows[1:]], dtype=float), POINTS)
    assert not (tmp_path / "y.png").exists()


def test_anndata(tmp_path):
    anndata = pytest.importorskip("anndata")
    data = anndata.AnnData(X)
    data.obsp["connectivities"] = sparse.csr_matrix(W)
    data.obs["kind"] = [f"k{i % 3}" for i in range(40)]
    data.write_h5ad(tmp_path / "x.h5ad")
    arguments = ["spectral", str(tmp_path / "x.h5ad"), "-k", "3", "-o", str(tmp_path / "y.h5ad")]
    assert main([*arguments, "--neighbors", "6", "--labels", "kind"]) == 0
    np.testing.assert_array_equal(anndata.read_h5ad(tmp_path / "y.h5ad").obsm["X_spectral"], POINTS)
    assert main([*arguments, "--obsp", "connectivities"]) == 0
    found = anndata.read_h5ad(tmp_path / "y.h5ad")
    np.testing.assert_allclose(found.obsm["X_spectral"], POINTS, atol=1e-12)
    plain = write(tmp_path / "x.csv", X)
    assert main(["spectral", str(plain), "-o", str(tmp_path / "z.h5ad"), "--no-picture"]) == 0
    assert anndata.read_h5ad(tmp_path / "z.h5ad").obs["sample"].tolist() == [f"s{i}" for i in range(40)]


def test_square_points_and_forced_kinds(tmp_path):
    Z = np.random.default_rng(1).normal(size=(20, 20))
    path = write(tmp_path / "z.npy", Z)
    out = ["-o", str(tmp_path / "o"), "--no-picture", "-q"]
    assert main(["spectral", str(path), *out]) == 0
    assert json.loads((tmp_path / "o.json").read_text())["X"]["taken_as"] == "points"
    square = write(tmp_path / "w.npy", np.exp(-np.abs(Z + Z.T)))
    assert main(["spectral", str(square), *out]) == 0
    assert json.loads((tmp_path / "o.json").read_text())["X"]["taken_as"] == "weights"
    assert main(["spectral", str(square), "--points", *out]) == 0
    assert json.loads((tmp_path / "o.json").read_text())["X"]["taken_as"] == "points"


def test_parts_of_a_graph(tmp_path, capsys):
    two = write(tmp_path / "w.mtx", sparse.block_diag([W, W]))
    assert main(["spectral", str(two), "-k", "4", "-o", str(tmp_path / "o"), "--commute"]) == 0
    captured = capsys.readouterr()
    assert "2 connected components" in captured.out
    assert "warning: the graph has 2 connected" in captured.err
    assert main(["spectral", str(two), "-k", "3", "-o", str(tmp_path / "o"), "--parts", "largest"]) == 0
    with np.load(tmp_path / "o.npz") as found:
        assert np.isnan(found["embedding"]).any(axis=1).sum() == 40
    assert (tmp_path / "o.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights"], "W must be square|must be square"),
        (["-k", "40"], "n_components must be at most"),
        (["--neighbors", "40"], "n_neighbors"),
        (["--obsp", "c"], "--obsp is for .h5ad files"),
        (["--labels", "none.txt"], "no such file"),
        (["--tol", "-1"], "eigen_tol"),
    ],
)
def test_errors_are_one_line(tmp_path, options, message, capsys):
    import re

    path = write(tmp_path / "x.npy", X)
    assert main(["spectral", str(path), "-o", str(tmp_path / "o"), "--no-picture", *options]) == 2
    error = capsys.readouterr().err
    assert main(["spectral", str(tmp_path / "x.csv"), "-o", str(tmp_path / "x.csv"), "--no-picture"]) == 2
    assert "x.csv would be written over" in capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1
    assert error.startswith("lapwing spectral: error: ")
