"""The verb `pcdm` of the command line: train, score, compress, decompress, sample."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

__all__ = ["register"]

# Nothing but argparse is imported before the verb runs: `lapwing config` and `--help` stay quick.


def register(verbs: Any) -> None:
    """Add the verb to the command line's parser."""
    parser = verbs.add_parser(
        "pcdm",
        help="densities, lossless codes and samples of images by cascaded diffusion",
        description="Train a cascaded diffusion model on images of one size; score, code or draw images. "
        "Images are integer grey values in .npy files, or the one array of an .npz file, of shape (n, H, W), "
        "(n, C, H, W), or (n, H, W, C) with --channels-last.",
    )
    jobs = parser.add_subparsers(title="jobs", required=True, metavar="JOB")
    _register_train(jobs)
    _register_score(jobs)
    compress = jobs.add_parser("compress", help="code images without loss")
    _common(compress, "IMAGES", ".npy or .npz")
    compress.add_argument("-o", "--out", required=True, metavar="OUT", help="the compressed file")
    compress.add_argument(
        "--timesteps", type=int, default=None, metavar="T", help="steps of the chain (default 100)"
    )
    compress.set_defaults(run=_compress, verb="pcdm compress")
    decompress = jobs.add_parser("decompress", help="decode what compress wrote")
    _common(decompress, "FILE", "a compressed file")
    decompress.add_argument("-o", "--out", required=True, metavar="OUT", help="a .npy file for the images")
    decompress.set_defaults(run=_decompress, verb="pcdm decompress")
    sample = jobs.add_parser("sample", help="draw images")
    _common(sample, None, "")
    sample.add_argument("-n", type=int, default=16, metavar="N", help="number of images (default 16)")
    sample.add_argument(
        "-o", "--out", required=True, metavar="OUT", help="a .npy file, or a .png for a picture"
    )
    sample.add_argument("--timesteps", type=int, default=250, metavar="T", help="steps a scale (default 250)")
    sample.add_argument(
        "--method", choices=["ancestral", "ode"], default="ancestral", help="(default ancestral)"
    )
    sample.add_argument("--seed", type=int, default=0, help="(default 0)")
    sample.set_defaults(run=_sample, verb="pcdm sample")


def _common(parser: Any, argument: str | None, what: str) -> None:
    parser.add_argument("MODEL", help="a file that train wrote")
    if argument is not None:
        parser.add_argument(argument, help=what)
    parser.add_argument("--device", default=None, help="of torch (default cpu)")
    parser.add_argument(
        "--jobs", type=int, default=None, metavar="N",
        help="threads (default: torch's; to compress 1, to decompress as many as compressed)",
    )  # fmt: skip
    parser.add_argument("-q", "--quiet", action="store_true", help="no summary")


def _register_train(jobs: Any) -> None:
    parser = jobs.add_parser("train", help="train a model")
    parser.add_argument("IMAGES", help=".npy or .npz")
    parser.add_argument(
        "-o", "--out", required=True, metavar="MODEL", help="a file .safetensors for the model"
    )
    parser.add_argument("--validation", metavar="IMAGES", help="images that are scored meanwhile")
    parser.add_argument("--channels-last", action="store_true", help="images are (n, H, W, C)")
    model = parser.add_argument_group("model")
    model.add_argument("--hierarchy", choices=["wavelet", "laplacian", "integer"], default="wavelet")
    model.add_argument("--wavelet", default="haar", help="(default haar)")
    model.add_argument("--scales", type=int, default=2, metavar="S", help="1: one plain model (default 2)")
    model.add_argument(
        "--vocab-size", type=int, default=256, metavar="V", help="number of grey values (default 256)"
    )
    model.add_argument("--network", choices=["default", "vdm"], default="default")
    model.add_argument("--width", type=int, default=64, help="channels of the networks (default 64)")
    model.add_argument("--depth", type=int, default=2, help="blocks before their middle (default 2)")
    model.add_argument(
        "--gamma", choices=["fixed", "endpoints", "monotone"], default="fixed", help="the schedule"
    )
    training = parser.add_argument_group("training")
    training.add_argument("--steps", type=int, default=10000, help="(default 10000)")
    training.add_argument("--batch", type=int, default=64, help="(default 64)")
    training.add_argument("--learning-rate", type=float, default=2e-3, metavar="R", help="(default 0.002)")
    training.add_argument(
        "--patience", type=int, default=None, metavar="N", help="stop early; needs --validation"
    )
    training.add_argument("--checkpoint", metavar="FOLDER", help="where an interrupted training goes on from")
    training.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    training.add_argument("--device", default=None, help="of torch (default cpu)")
    training.add_argument("--jobs", type=int, default=None, metavar="N", help="threads (default: torch's)")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar, no summary")
    parser.set_defaults(run=_train, verb="pcdm train")


def _register_score(jobs: Any) -> None:
    parser = jobs.add_parser("score", help="bits per dimension of images, and scores of outliers")
    _common(parser, "IMAGES", ".npy or .npz")
    parser.add_argument("-o", "--out", metavar="OUT", help="a .csv file with a row an image")
    parser.add_argument("--timesteps", type=int, default=None, metavar="T", help="of the discrete-time bound")
    parser.add_argument(
        "--times", type=int, default=64, metavar="N", help="times a sample and scale (default 64)"
    )
    parser.set_defaults(run=_score, verb="pcdm score")


def _read(path: str) -> Any:
    import numpy as np

    file = Path(path)
    if file.suffix.lower() == ".npz":
        with np.load(file, allow_pickle=False) as arrays:
            if len(arrays.files) != 1:
                raise ValueError(f"{file} holds {len(arrays.files)} arrays, and one is needed")
            return arrays[arrays.files[0]]
    if file.suffix.lower() != ".npy":
        raise ValueError(
            f"{file}: unknown format {file.suffix or '(no suffix)'!r}; one of .npy, .npz is needed"
        )
    return np.load(file, mmap_mode="r", allow_pickle=False)


def _load(args: argparse.Namespace, *inputs: str) -> Any:
    """The model; after a look that what is written is none of what is read."""
    from lapwing._validate import check_outputs

    from ._estimator import PCDM

    check_outputs([args.MODEL, *inputs], [args.out] if args.out is not None else [])
    return PCDM.load(args.MODEL, device=args.device).set_params(n_jobs=args.jobs)


def _train(args: argparse.Namespace) -> None:
    from lapwing._validate import check_outputs

    from ._estimator import PCDM

    check_outputs([args.IMAGES, *([args.validation] if args.validation is not None else [])], [args.out])
    X = _read(args.IMAGES)
    validation = None if args.validation is None else _read(args.validation)
    model = PCDM(
        args.hierarchy, wavelet=args.wavelet, n_scales=args.scales,
        conditioning="clean" if args.hierarchy == "integer" else "noisy", vocab_size=args.vocab_size,
        network=args.network, width=args.width, depth=args.depth, gamma=args.gamma, n_steps=args.steps,
        batch_size=args.batch, learning_rate=args.learning_rate, patience=args.patience,
        checkpoint=args.checkpoint, device=args.device, random_state=args.seed, n_jobs=args.jobs,
        verbose=0 if args.quiet else 1,
    )  # fmt: skip
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    model.fit(X, X_val=validation, channels_last=args.channels_last)
    seconds = time.perf_counter() - start
    model.save(out)
    if not args.quiet:
        shape = " x ".join(str(n) for n in model.image_shape_)
        print(f"{len(X)} images of {shape}, {model.n_scales} scales, {model.n_steps_} steps")
        print(f"training images: {model.train_bits_mean_:.4f} bits per dimension (strict, continuous time)")
        print(f"time: {seconds:.1f} s")
        print(f"model: {out}")


def _score(args: argparse.Namespace) -> None:
    import math

    import numpy as np

    model = _load(args, args.IMAGES)
    X = _read(args.IMAGES)
    values, errors = model.score_samples(X, n_t=args.times, timesteps=args.timesteps, return_std=True)
    unit = model.n_features_in_ * math.log(2.0)
    bits, spread = -values / unit, errors / unit
    if args.out is not None:
        scores = [model.ood_score(X, m, n_t=args.times) for m in ("typicality", "scale_typicality")]
        rows = np.column_stack([np.arange(len(bits)), bits, spread, *scores])
        np.savetxt(
            args.out, rows, delimiter=",", fmt=["%d", "%.6f", "%.6f", "%.6f", "%.6f"], comments="",
            header="image,bits_per_dim,standard_error,typicality,scale_typicality",
        )  # fmt: skip
    if not args.quiet:
        time_is = "continuous time" if args.timesteps is None else f"{args.timesteps} steps, calibrated"
        error = bits.std(ddof=1) / math.sqrt(len(bits)) if len(bits) > 1 else math.nan
        print(f"{len(bits)} images: {bits.mean():.4f} +- {error:.4f} bits per dimension (strict, {time_is})")
        if args.out is not None:
            print(f"scores: {args.out}")


def _compress(args: argparse.Namespace) -> None:
    model = _load(args, args.IMAGES)
    X = _read(args.IMAGES)
    start = time.perf_counter()
    data = model.compress(X, timesteps=args.timesteps)
    Path(args.out).write_bytes(data)
    if not args.quiet:
        bits = 8.0 * len(data) / (len(X) * model.n_features_in_)
        print(f"{len(X)} images -> {len(data)} bytes, {bits:.4f} bits per dimension")
        print(f"time: {time.perf_counter() - start:.1f} s")
        print(f"file: {args.out}")


def _decompress(args: argparse.Namespace) -> None:
    import numpy as np

    if Path(args.out).suffix.lower() != ".npy":
        raise ValueError(f"--out must be a .npy file, got {args.out}")
    model = _load(args, args.FILE)
    X = model.decompress(Path(args.FILE).read_bytes())
    np.save(args.out, X)
    if not args.quiet:
        print(f"{len(X)} images, every checksum right")
        print(f"images: {args.out}")


def _sample(args: argparse.Namespace) -> None:
    import numpy as np

    out = Path(args.out)
    if out.suffix.lower() not in (".npy", ".png"):
        raise ValueError(f"--out must be a .npy or .png file, got {args.out}")
    if out.suffix.lower() == ".png":
        from lapwing._optional import need

        need("matplotlib", extra="plot", purpose="the picture of lapwing pcdm sample").use("Agg")
    model = _load(args)
    X = model.sample(args.n, args.timesteps, args.method, random_state=args.seed)
    if out.suffix.lower() == ".npy":
        np.save(out, X)
    else:
        from lapwing.plots import new_figure, save_figure

        from ._plots import plot_images

        images = X.reshape(len(X), *model.image_shape_) if X.ndim == 2 else X
        if model._layout == "channels_last":
            images = np.moveaxis(images, -1, 1)
        figure, axes = new_figure(size=(6.0, 6.0))
        plot_images(images, vocab_size=model.vocab_size, ax=axes[0, 0])
        save_figure(figure, out)
    if not args.quiet:
        print(json.dumps({"images": len(X), "steps": args.timesteps, "method": args.method, "out": str(out)}))
