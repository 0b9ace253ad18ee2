"""The command line from end to end: every format in and out, reports, pictures, and errors in one line."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import io, sparse

from lapwing import EOTEigenmaps
from lapwing.__main__ import main
from lapwing.embedding.eot_eigenmaps._files import output_paths, read_table

RNG = np.random.default_rng(0)
A = np.where(RNG.uniform(size=(24, 4)) < 0.8, RNG.normal(size=(24, 4)), 0.0)
B = np.where(RNG.uniform(size=(20, 4)) < 0.8, RNG.normal(size=(20, 4)) + 1.0, 0.0)
EXPECTED = EOTEigenmaps(2, random_state=0).fit(A, B)
NAMES = ["g1", "g2", "g3", "g4"]


def run(*args, **options):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "lapwing", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)


def write(path, Z, *, header=True, names=True):
    """Write a dataset in the format of the suffix."""
    suffix = path.suffix
    if suffix == ".npy":
        np.save(path, Z)
    elif suffix == ".npz":
        sparse.save_npz(path, sparse.csr_matrix(Z)) if path.stem.endswith("sparse") else np.savez(path, X=Z)
    elif suffix == ".mtx":
        io.mmwrite(path, sparse.coo_matrix(Z), precision=17)
    elif suffix == ".h5ad":
        anndata = pytest.importorskip("anndata")
        data = anndata.AnnData(Z)
        data.obs_names = [f"s{i}" for i in range(len(Z))]
        data.var_names = NAMES
        data.obs["kind"] = [f"k{i % 3}" for i in range(len(Z))]
        data.write_h5ad(path)
    else:
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream, delimiter="," if suffix == ".csv" else "\t")
            if header:
                writer.writerow(["", *NAMES] if names else NAMES)
            for i, row in enumerate(Z):
                writer.writerow([f"s{i}", *map(repr, row.tolist())] if names else map(repr, row.tolist()))
    return path


def check_report(path, picture=True):
    report = json.loads(path.read_text())
    assert report["certificate"]["converged"] is True
    assert report["certificate"]["marginal_error"] == EXPECTED.marginal_error_ <= 1e-8
    assert report["certificate"]["bandwidth"] == EXPECTED.bandwidth_
    np.testing.assert_array_equal(report["certificate"]["singular_values"], EXPECTED.singular_values_)
    assert report["A"]["shape"] == [24, 4]
    assert report["B"]["shape"] == [20, 4]
    assert (report["picture"] is not None) == picture
    return report


def test_npy_and_csv_to_npz_with_picture(tmp_path):
    a, b = write(tmp_path / "a.npy", A), write(tmp_path / "b.csv", B)
    done = run("embed", a, b, "-o", tmp_path / "out.npz", "-r", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert "24 and 20 samples, 4 features -> 2 coordinates" in done.stdout
    assert "certificate: converged; marginal error of the plan" in done.stdout
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["x"], EXPECTED.embedding_x_)
        np.testing.assert_array_equal(out["y"], EXPECTED.embedding_y_)
        np.testing.assert_array_equal(out["singular_values"], EXPECTED.singular_values_)
        assert out["y_samples"].tolist() == [f"s{i}" for i in range(20)]
        assert "x_samples" not in out
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    check_report(tmp_path / "out.json")


def test_tsv_and_mtx_to_csv(tmp_path):
    a, b = write(tmp_path / "a.tsv", A), write(tmp_path / "b.mtx", B)
    done = run("embed", a, b, "-o", tmp_path / "new" / "out.csv", "-r", 2, "--no-picture")
    assert (done.returncode, done.stderr) == (0, "")
    with (tmp_path / "new" / "out.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["dataset", "sample", "eot_1", "eot_2"]
    assert [row[0] for row in rows[1:]] == ["x"] * 24 + ["y"] * 20
    assert rows[2][1] == "s1"
    assert rows[25][1] == "0"
    values = np.array([row[2:] for row in rows[1:]], dtype=float)
    np.testing.assert_array_equal(values, np.vstack([EXPECTED.embedding_x_, EXPECTED.embedding_y_]))
    assert not (tmp_path / "new" / "out.png").exists()
    check_report(tmp_path / "new" / "out.json", picture=False)


def test_sparse_npz_and_h5ad_to_h5ad(tmp_path):
    anndata = pytest.importorskip("anndata")
    a, b = write(tmp_path / "a_sparse.npz", A), write(tmp_path / "b.h5ad", B)
    done = run("embed", a, b, "-o", tmp_path / "out.h5ad", "-r", 2, "--no-picture")
    # The first file names no features, so the join keeps none of them; the coordinates are there.
    assert done.returncode == 0, done.stderr
    out = anndata.read_h5ad(tmp_path / "out.h5ad")
    joint = np.vstack([EXPECTED.embedding_x_, EXPECTED.embedding_y_])
    np.testing.assert_array_equal(out.obsm["X_eot"], joint)
    assert out.obs["dataset"].tolist() == ["x"] * 24 + ["y"] * 20
    assert out.obs_names[24] == "s0-y"


def test_two_h5ad_to_a_folder_with_labels(tmp_path):
    pytest.importorskip("anndata")
    a, b = write(tmp_path / "a.h5ad", A), write(tmp_path / "b.h5ad", B)
    done = run("embed", a, b, "-o", f"{tmp_path}/results/", "-r", 2, "--labels", "kind", "kind")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "results").iterdir()) == [
        "embedding.json",
        "embedding.npz",
        "embedding.png",
    ]
    check_report(tmp_path / "results" / "embedding.json")


def test_demo_reaches_its_figures(tmp_path):
    done = run("demo", "--no-picture", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("joint PCA", "CCA", "EOT eigenmaps", "certificate: converged", "time: "):
        assert name in done.stdout
    report = json.loads((tmp_path / "lapwing-demo.json").read_text())
    scores = report["scores"]
    assert scores["EOT eigenmaps"]["label_transfer"] >= 0.95
    assert scores["EOT eigenmaps"]["adjusted_rand"] >= 0.64
    # The baselines of the specification, seed 0 (three digits).
    assert scores["CCA"]["label_transfer"] == pytest.approx(0.966, abs=6e-4)
    assert scores["joint PCA"]["label_transfer"] == pytest.approx(0.790, abs=6e-4)
    assert scores["joint PCA"]["mixing"] < 0.1 < 0.9 < scores["EOT eigenmaps"]["mixing"]
    with np.load(tmp_path / "lapwing-demo.npz") as out:
        assert out["x"].shape == (898, 15)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_demo_with_picture(tmp_path, seed, capsys):
    assert main(["demo", "--seed", str(seed), "-o", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["scores"]["EOT eigenmaps"]["label_transfer"] >= 0.95
    assert report["scores"]["EOT eigenmaps"]["adjusted_rand"] >= 0.64
    assert f"picture: {(tmp_path / 'out.png').resolve()}" in capsys.readouterr().out
    assert (tmp_path / "out.png").stat().st_size > 50_000


def test_config(capsys):
    import lapwing

    assert main(["config"]) == 0
    assert lapwing.__version__ in capsys.readouterr().out
    assert main(["config", "--cmake-prefix"]) == 0
    prefix = capsys.readouterr().out.strip()
    assert lapwing.get_cmake_dir() == f"{prefix}/lib/cmake/lapwing"


def test_verbs_start_without_the_heavy_packages():
    code = (
        "import sys, lapwing.__main__ as m\n"
        "assert m.main(['config']) == 0\n"
        "print(sorted({'sklearn', 'scipy', 'matplotlib', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".tsv", ".mtx", ".h5ad"])
def test_every_input_format_is_read_alike(tmp_path, suffix):
    table = read_table(write(tmp_path / f"a{suffix}", A))
    values = table.values.toarray() if sparse.issparse(table.values) else table.values
    np.testing.assert_array_equal(values, A)
    assert table.features == (NAMES if suffix in (".csv", ".tsv", ".h5ad") else None)
    assert table.samples == ([f"s{i}" for i in range(24)] if table.features else None)


@pytest.mark.parametrize(
    ("text", "samples", "features", "shape"),
    [
        ("1,2\n3,4\n", None, None, (2, 2)),
        ("a,b\n1,2\n3,4\n", None, ["a", "b"], (2, 2)),
        (",a,b\n0,1,2\n1,3,4\n", ["0", "1"], ["a", "b"], (2, 2)),
        ("a,b\nr,1,2\ns,3,4\n", ["r", "s"], ["a", "b"], (2, 2)),
        ("r,1,2\ns,3,4\n", ["r", "s"], None, (2, 2)),
        ('"name","a"\n"r, t",1e-3\n', ["r, t"], ["a"], (1, 1)),
        ("\ufeffa,b\n1,2\n\n3,4\n", None, ["a", "b"], (2, 2)),
        ("a,b\r\n1,2\r\n", None, ["a", "b"], (1, 2)),
        ("5\n6\n", None, None, (2, 1)),
    ],
)
def test_headers_and_row_names(tmp_path, text, samples, features, shape):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    table = read_table(tmp_path / "a.csv")
    assert (table.samples, table.features, table.values.shape) == (samples, features, shape)


def test_features_are_matched_by_name(tmp_path):
    a, b = write(tmp_path / "a.csv", A), tmp_path / "b.csv"
    rows = ["g4,extra,g1,g2", *(f"{r[3]!r},7,{r[0]!r},{r[1]!r}" for r in B.tolist())]
    b.write_text("\n".join(rows))
    out = tmp_path / "out.npz"
    assert main(["embed", str(a), str(b), "-o", str(out), "-r", "2", "--no-picture", "-q"]) == 0
    expected = EOTEigenmaps(2, random_state=0).fit(A[:, [0, 1, 3]], B[:, [0, 1, 3]])
    with np.load(out) as found:
        np.testing.assert_array_equal(found["x"], expected.embedding_x_)
    assert json.loads((tmp_path / "out.json").read_text())["features_matched_by_name"] == 3


def test_options_reach_the_method(tmp_path):
    a, b = write(tmp_path / "a.npy", A.T), write(tmp_path / "b.npy", B.T)
    args = ["embed", str(a), str(b), "-o", str(tmp_path / "out"), "--transpose", "--no-picture", "-q"]
    args += [
        "-r",
        "0.5",
        "--bandwidth",
        "3.5",
        "--time",
        "1",
        "--dtype",
        "float32",
        "--tol",
        "1e-5",
        "--jobs",
        "1",
    ]
    assert main(args) == 0
    expected = EOTEigenmaps(
        0.5, bandwidth=3.5, diffusion_time=1, dtype="float32", tol=1e-5, random_state=0, n_jobs=1
    ).fit(A, B)
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(found["x"], expected.embedding_x_)
        assert found["x"].dtype == np.float32


def test_warnings_are_one_line_and_in_the_report(tmp_path, capsys):
    a, b = write(tmp_path / "a.npy", A), write(tmp_path / "b.npy", B)
    args = f"embed {a} {b} -o {tmp_path}/out -r 19 --bandwidth 1000 --no-picture -q"
    assert main(args.split()) == 0
    err = capsys.readouterr().err.splitlines()
    report = json.loads((tmp_path / "out.json").read_text())
    assert len(err) == len(report["warnings"]) == 1
    assert err[0] == f"lapwing embed: warning: {report['warnings'][0]}"
    assert "of the 19 components" in err[0]


@pytest.fixture
def good(tmp_path):
    return str(write(tmp_path / "good.npy", A)), str(tmp_path / "out.npz")


def fails(capsys, args, message):
    """The command ends with 2, one line on standard error that holds `message`, and writes nothing."""
    try:
        code = main([str(a) for a in args])
    except SystemExit as exit:
        code = exit.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1, captured.err
    assert captured.err.startswith(f"lapwing {args[0]}: error: ")
    assert message in captured.err


def damaged(path, content=b"PK\x03\x04 not really"):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".tsv", ".mtx", ".h5ad"])
def test_damaged_files(good, tmp_path, capsys, suffix):
    if suffix == ".h5ad":
        pytest.importorskip("anndata")
    fails(capsys, ["embed", good[0], damaged(tmp_path / f"bad{suffix}"), "-o", good[1]], f"bad{suffix}: ")
    fails(
        capsys, ["embed", good[0], damaged(tmp_path / f"bad{suffix}", b""), "-o", good[1]], f"bad{suffix}: "
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "line 3 has 1 fields, expected 2"),
        ("a,b\n1,x\n", "line 2, field 2: 'x' is not a number"),
        ("a,b\n1,\n", "line 2, field 2: '' is not a number"),
        ("a,b\n", "no row of numbers in it"),
        ("a\nb\n", "no column of numbers in it"),
        ("g1,g2\n1,nan\n2,3\n4,5\n", "Y contains NaN: Y[0, 1]"),
        ("g1,g2\n1,2\n", "Y must have at least 3 samples"),
    ],
)
def test_bad_tables(tmp_path, capsys, text, message):
    good = write(tmp_path / "a.csv", A, names=False)
    bad = tmp_path / "bad.csv"
    bad.write_text(text)
    fails(capsys, ["embed", good, bad, "-o", tmp_path / "out.npz", "-r", 1], message)


def test_bad_arguments(good, tmp_path, capsys):
    file, out = good
    narrow = write(tmp_path / "narrow.npy", B[:, :3])
    table = write(tmp_path / "table.csv", A, names=False)
    fails(capsys, ["embed", file, table, "-o", table], "table.csv would be written over")
    several = tmp_path / "several.npz"
    np.savez(several, one=A, two=B)
    cube = tmp_path / "cube.npy"
    np.save(cube, np.zeros((3, 3, 3)))
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{}, None], dtype=object), allow_pickle=True)
    named = write(tmp_path / "named.csv", A)
    other = tmp_path / "other.csv"
    other.write_text("h1,h2\n1,2\n3,4\n5,6\n")
    embed = ["embed", file]
    fails(capsys, [*embed, tmp_path / "none.npy", "-o", out], "none.npy: no such file")
    fails(capsys, [*embed, tmp_path, "-o", out], "unknown format")
    fails(capsys, [*embed, "x.xlsx", "-o", out], "x.xlsx: unknown format '.xlsx'")
    fails(capsys, [*embed, narrow, "-o", out], "got shapes (24, 4) and (20, 3)")
    fails(capsys, [*embed, several, "-o", out], "several.npz: holds 2 arrays (one, two); choose one by --key")
    fails(capsys, [*embed, several, "-o", out, "--key", "three"], "no array 'three' in it, only one, two")
    fails(capsys, [*embed, cube, "-o", out], "a 2-D table is needed (samples in rows), got shape (3, 3, 3)")
    fails(capsys, [*embed, objects, "-o", out], "objects.npy: ")
    fails(capsys, ["embed", named, other, "-o", out], "no feature name in common (4 and 2 names)")
    fails(capsys, [*embed, file, "-o", tmp_path / "x.xlsx"], "cannot write .xlsx files")
    fails(capsys, [*embed, file, "-o", f"{file}/x.npz"], "cannot make this folder")
    fails(capsys, [*embed, file, "-o", out, "-r", "24"], "n_components must be smaller")
    fails(capsys, [*embed, file, "-o", out, "--bandwidth", "mean"], "bandwidth must be one of")
    fails(capsys, [*embed, file, "-o", out, "--bandwidth", "-1"], "bandwidth must be > 0, got -1")
    fails(capsys, [*embed, file, "-o", out, "--time", "soon"], "invalid float value: 'soon'")
    fails(capsys, [*embed, file, "-o", out, "--jobs", "0"], "n_jobs must be")
    fails(capsys, [*embed, file, "-o", out, "--seed", "-1"], "eed")
    fails(capsys, [*embed, file, "-o", out, "--labels", "p", "q"], "labels 'p': no such file")
    fails(capsys, [*embed, file], "the following arguments are required: -o/--out")
    fails(capsys, ["demo", "--data", "mnist"], "invalid choice: 'mnist'")
    fails(capsys, ["demo", "--seed", "-1", "-o", out], "--seed must be >= 0, got -1")
    fails(capsys, ["demo", "-r", "0", "-o", out], "--components must be between 1 and 897, got 0")
    assert not (tmp_path / "out.npz").exists()
    assert not (tmp_path / "out.json").exists()


def test_labels_from_files(tmp_path, capsys):
    a, b = write(tmp_path / "a.npy", A), write(tmp_path / "b.npy", B)
    for name, n in (("la.txt", 24), ("lb.txt", 19)):
        (tmp_path / name).write_text("\n".join(f"k{i % 2}" for i in range(n)))
    labels = ["--labels", tmp_path / "la.txt", tmp_path / "lb.txt"]
    args = ["embed", a, b, "-o", tmp_path / "out", "-r", "2", "-q", *labels]
    fails(capsys, args, "19 labels for the 20 samples of")
    (tmp_path / "lb.txt").write_text("\n".join(["k1"] * 20))
    assert main([str(arg) for arg in args]) == 0
    assert (tmp_path / "out.png").exists()


def test_unknown_verb_and_none(capsys):
    for args in ([], ["align"]):
        with pytest.raises(SystemExit) as exit:
            main(args)
        assert exit.value.code == 2
        err = capsys.readouterr().err
        assert err.startswith("lapwing: error: ")
        assert len(err.splitlines()) == 1


def test_missing_matplotlib_is_told_before_the_work(good, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    fails(capsys, ["embed", good[0], good[0], "-o", good[1], "-r", "2"], 'pip install "lapwing[plot]"')
    fails(capsys, ["demo", "-o", good[1]], "--no-picture")


def test_interrupt_ends_with_130(good, monkeypatch, capsys):
    def interrupt(self, X, Y):
        raise KeyboardInterrupt

    monkeypatch.setattr(EOTEigenmaps, "fit", interrupt)
    assert main(["embed", good[0], good[0], "-o", good[1], "--no-picture"]) == 130
    assert capsys.readouterr().err == "lapwing embed: interrupted\n"


def test_defects_of_ours_are_not_hidden(good, monkeypatch):
    def defect(self, X, Y):
        raise ZeroDivisionError

    monkeypatch.setattr(EOTEigenmaps, "fit", defect)
    with pytest.raises(ZeroDivisionError):
        main(["embed", good[0], good[0], "-o", good[1], "--no-picture"])


def test_output_paths(tmp_path):
    def names(out):
        return [str(p.relative_to(tmp_path)) for p in output_paths(out).values()]

    assert names(tmp_path / "a.csv") == ["a.csv", "a.png", "a.json"]
    assert names(tmp_path / "run.v2") == ["run.v2.npz", "run.v2.png", "run.v2.json"]
    assert names(tmp_path) == ["embedding.npz", "embedding.png", "embedding.json"]
    assert names(f"{tmp_path}/sub/") == ["sub/embedding.npz", "sub/embedding.png", "sub/embedding.json"]
    assert (tmp_path / "sub").is_dir()
