"""The verb `lapwing pcdm`, from files to files, and the pictures."""

from __future__ import annotations

import json

import matplotlib as mpl
import numpy as np
import pytest

from lapwing.__main__ import main
from lapwing.generative import PCDM
from lapwing.generative.pcdm import plot_bits, plot_images, plot_scales, plot_training

mpl.use("Agg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, digits):
    path = tmp_path_factory.mktemp("pcdm")
    np.save(path / "train.npy", digits[0][:300])
    np.savez(path / "test.npz", X=digits[1][:30])
    arguments = [
        "pcdm", "train", str(path / "train.npy"), "-o", str(path / "model.safetensors"), "--vocab-size", "17",
        "--width", "8", "--depth", "1", "--steps", "20", "--batch", "16", "--jobs", "1", "--validation",
        str(path / "test.npz"), "--checkpoint", str(path / "state"),
    ]  # fmt: skip
    assert main(arguments) == 0
    return path


def test_train_says_what_it_did(folder, capsys):
    assert (folder / "state" / "checkpoint.safetensors").exists()
    model = PCDM.load(folder / "model.safetensors")
    assert model.n_steps_ == 20
    assert "validation" in model.history_[-1]
    assert main(["pcdm", "train", str(folder / "train.npy"), "-o", str(folder / "m2.safetensors"),
    "--vocab-size",
                 "17", "--width", "8", "--depth", "1", "--steps", "2", "--hierarchy", "integer", "--scales",
                 "3",
                 "-q"]) == 0  # fmt: skip
    assert capsys.readouterr().out == ""
    assert PCDM.load(folder / "m2.safetensors").conditioning == "clean"


def test_score(folder, capsys):
    out = folder / "scores.csv"
    model = str(folder / "model.safetensors")
    assert main(["pcdm", "score", model, str(folder / "test.npz"), "-o", str(out), "--times", "8"]) == 0
    text = capsys.readouterr().out
    assert "30 images: " in text
    assert "bits per dimension (strict, continuous time)" in text
    rows = out.read_text().splitlines()
    assert rows[0] == "image,bits_per_dim,standard_error,typicality,scale_typicality"
    assert len(rows) == 31
    assert main(["pcdm", "score", model, str(folder / "test.npz"), "--timesteps", "5", "--times", "8"]) == 0
    assert "5 steps, calibrated" in capsys.readouterr().out


def test_compress_and_decompress(folder, capsys, digits):
    model, coded, back = (str(folder / n) for n in ("model.safetensors", "x.pcdm", "back.npy"))
    assert main(["pcdm", "compress", model, str(folder / "test.npz"), "-o", coded, "--timesteps", "6"]) == 0
    assert main(["pcdm", "decompress", model, coded, "-o", back]) == 0
    text = capsys.readouterr().out
    assert "30 images -> " in text
    assert "30 images, every checksum right" in text
    assert np.array_equal(np.load(back), digits[1][:30])
    raw = bytearray((folder / "x.pcdm").read_bytes())
    raw[-3] ^= 1
    (folder / "bad.pcdm").write_bytes(raw)
    (folder / "back.npy").unlink()
    assert main(["pcdm", "decompress", model, str(folder / "bad.pcdm"), "-o", back]) == 2
    assert "payload is damaged" in capsys.readouterr().err
    assert not (folder / "back.npy").exists()


def test_sample(folder, capsys):
    model = str(folder / "model.safetensors")
    assert main(["pcdm", "sample", model, "-n", "5", "-o", str(folder / "s.npy"), "--timesteps", "4"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 5
    assert np.load(folder / "s.npy").shape == (5, 8, 8)
    picture = folder / "s.png"
    assert (
        main(["pcdm", "sample", model, "-o", str(picture), "--timesteps", "3", "--method", "ode", "-q"]) == 0
    )
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["score", "{m}", "{f}/none.npy"], "No such file"),
        (["score", "{f}/train.npy", "{f}/train.npy"], "no file of lapwing's"),
        (["score", "{m}", "{f}/x.csv"], "unknown format '.csv'"),
        (["sample", "{m}", "-o", "x.gif"], "--out must be a .npy or .png file"),
        (["decompress", "{m}", "{f}/train.npy", "-o", "x.npy"], "no file of compressed images"),
        (["decompress", "{m}", "{f}/train.npy", "-o", "x.png"], "--out must be a .npy file"),
        (["sample", "{m}", "-o", "{m}"], "--out"),
        (["score", "{m}", "{f}/train.npy", "-o", "{f}/train.npy"], "would be written over"),
        (["compress", "{m}", "{f}/train.npy", "-o", "{m}"], "would be written over"),
        (["compress", "{m}", "{f}/train.npy", "-o", "{f}/train.npy"], "would be written over"),
        (["decompress", "{m}", "{f}/codes.npy", "-o", "{f}/codes.npy"], "would be written over"),
        (["train", "{f}/train.npy", "-o", "{f}/train.npy", "--steps", "1"], "would be written over"),
        (["train", "{f}/train.npy", "-o", "{f}", "--steps", "1"], "is a folder"),
        (["train", "{f}/train.npy", "-o", "{f}/x", "--steps", "0"], "n_steps"),
    ],
)
def test_errors_are_one_line(folder, capsys, arguments, words):
    filled = [a.format(m=folder / "model.safetensors", f=folder) for a in arguments]
    before = {file: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    assert main(["pcdm", *filled]) == 2
    assert {file: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_pictures(model, digits):
    figure = plot_scales(np.tile(digits[1][0], (4, 4)), 3, vocab_size=17)
    assert [ax.get_title() for ax in figure.axes] == [
        "image", "scale 1: coarse, 8 x 8", "scale 2: details, 3 x 8 x 8", "scale 3: details, 3 x 16 x 16",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="image must have shape"):
        plot_scales(digits[1][:, None])
    ax = plot_images(digits[1][:10], columns=4, vocab_size=17, title="digits")
    assert ax.images[0].get_array().shape == (26, 35)
    assert plot_images(np.zeros((2, 3, 4, 4))).images[0].get_array().shape == (4, 39, 3)
    with pytest.raises(ValueError, match="images must have shape"):
        plot_images(digits[1][0])
    bars = plot_bits(model, digits[1][:20], n_t=4)
    assert [t.get_text() for t in bars.get_xticklabels()] == ["scale 1", "scale 2", "pixels"]
    assert {line.get_label() for line in plot_training(model).lines} == {"scale 1", "scale 2"}
