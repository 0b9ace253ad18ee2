"""PCDM on patches of photographs: one scale beside cascades at equal multiply-adds, codes, outliers.

``python -m bench.bench_pcdm --json runs.json -o docs/_bench/pcdm-DATE.md`` trains what `runs.json` does not
hold yet, and writes the tables. The photographs are those that scikit-image, scikit-learn and PyWavelets
bundle; those of the test are held out whole. It needs scikit-image, PyWavelets, and imagecodecs for JPEG XL.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

TRAIN = (
    "astronaut",
    "brick",
    "camera",
    "coins",
    "gravel",
    "hubble",
    "page",
    "rocket",
    "text",
    "aero",
    "china",
)
TEST = ("chelsea", "coffee", "grass", "ascent", "flower")
TRAIN_PATCHES = 600  # of each photograph
TEST_PIXELS = 160  # the side of the square of each photograph that is cut into patches
KINDS = {"one scale (VDM)": 1, "two scales": 2, "three scales": 3}
STEPS_OF_TIME = {20: 20, 50: 50, 100: 25, 1000: 25}  # with how many of the steps they are estimated
CODED_STEPS = 50
OUTLIERS = ("digits", "noise", "blurred", "rotated")
METHODS = ("nll", "typicality", "scale_typicality")


# ---- data ----------------------------------------------------------------------------------------------


def grey(image: Any) -> np.ndarray:
    x = np.asarray(image)
    if x.ndim == 3:
        r, g, b = (x[..., c].astype(np.int64) for c in range(3))
        x = (299 * r + 587 * g + 114 * b + 500) // 1000
    return x.astype(np.uint8)


def photograph(name: str) -> np.ndarray:
    if name in ("aero", "ascent"):
        import pywt

        return grey(getattr(pywt.data, name)())
    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        return grey(load_sample_image(name + ".jpg"))
    from skimage import data

    return grey((data.hubble_deep_field if name == "hubble" else getattr(data, name))())


def patches(side: int, pixels: int = TEST_PIXELS) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Random patches of the photographs for training; the middle square of each of the others."""
    rng = np.random.default_rng(0)
    train = []
    for name in TRAIN:
        x = photograph(name)
        i = rng.integers(0, x.shape[0] - side + 1, TRAIN_PATCHES)
        j = rng.integers(0, x.shape[1] - side + 1, TRAIN_PATCHES)
        train += [x[a : a + side, b : b + side] for a, b in zip(i, j, strict=True)]
    test = {}
    for name in TEST:
        x = photograph(name)
        a, b = (x.shape[0] - pixels) // 2, (x.shape[1] - pixels) // 2
        test[name] = x[a : a + pixels, b : b + pixels]
    return np.stack(train), test


def cut(square: np.ndarray, side: int) -> np.ndarray:
    """The patches of a square."""
    grid = len(square) // side
    return square.reshape(grid, side, grid, side).swapaxes(1, 2).reshape(-1, side, side)


def outliers(test: np.ndarray) -> dict[str, np.ndarray]:
    from scipy.ndimage import gaussian_filter, zoom
    from sklearn.datasets import load_digits

    rng = np.random.default_rng(1)
    digits = load_digits().images[: len(test)]
    resized = np.stack([zoom(d, test.shape[1] // 8, order=1) for d in digits])
    return {
        "digits": np.clip(np.rint(resized * 255 / 16), 0, 255).astype(np.uint8),
        "noise": rng.integers(0, 256, test.shape).astype(np.uint8),
        "blurred": np.stack([np.rint(gaussian_filter(x.astype(float), 1.0)).astype(np.uint8) for x in test]),
        "rotated": np.rot90(test, axes=(1, 2)).copy(),
    }


# ---- runs ----------------------------------------------------------------------------------------------


def make(kind: str, width: int, steps: int, seed: int, threads: int) -> Any:
    from lapwing import PCDM

    return PCDM(
        n_scales=KINDS[kind], width=width, depth=1, n_steps=steps, batch_size=64, learning_rate=2e-3,
        random_state=seed, n_jobs=threads,
    )  # fmt: skip


def cost(model: Any) -> int:
    from lapwing.generative.pcdm._networks import multiply_adds

    return sum(
        multiply_adds(net, s[1:]) for net, s in zip(model.networks_, model._scales.shapes, strict=True)
    )


def untrained_cost(kind: str, width: int, train: np.ndarray) -> int:
    model = make(kind, width, 1, 0, 1)
    x = model._read(train[:64], channels_last=False, reset=True)
    model._fit_labels(None, len(x))
    model._build(x, 0)
    return cost(model)


def equal_widths(width: int, train: np.ndarray) -> dict[str, int]:
    """Widths, multiples of 4, at which a step of each kind costs what one of one scale does."""
    first = next(iter(KINDS))
    target = untrained_cost(first, width, train)
    out = {first: width}
    for kind in list(KINDS)[1:]:
        out[kind] = min(
            range(width, 3 * width, 4), key=lambda w: abs(untrained_cost(kind, w, train) - target)
        )
    return out


def run(
    kind: str, width: int, steps: int, seed: int, threads: int, train: np.ndarray, test: Any, folder: Path
) -> dict[str, Any]:
    from sklearn.metrics import roc_auc_score

    from lapwing.generative.pcdm._coding import read_header

    model = make(kind, width, steps, seed, threads)
    start, processor = time.perf_counter(), time.process_time()
    model.fit(train)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    X = np.concatenate([cut(square, train.shape[1]) for square in test.values()])
    unit = model.n_features_in_ * np.log(2.0)
    terms = model._evaluate(X, None, 24, None, True)[0] / unit
    bits, error = terms.sum(1).mean(), terms.sum(1).std(ddof=1) / len(terms) ** 0.5
    discrete = {
        str(t): [model.bits_per_dim(X, timesteps=t, n_t=n, calibrated=c) for c in (True, False)]
        for t, n in STEPS_OF_TIME.items()
    }
    coded: dict[str, Any] = {}
    photographs = {}
    if seed == 0:
        begun = time.perf_counter()
        data = model.compress(X, timesteps=CODED_STEPS)
        coded = {"bytes": len(data), "header": len(data) - len(read_header(data)[1])}
        coded["coding"] = time.perf_counter() - begun
        begun = time.perf_counter()
        coded["lossless"] = bool(np.array_equal(model.decompress(data), X))
        coded["decoding"] = time.perf_counter() - begun
        model.save(folder / f"{kind.split()[0]}.safetensors")
        for name, square in test.items():
            photographs[name] = (
                8 * len(model.compress(cut(square, train.shape[1]), timesteps=CODED_STEPS)) / square.size
            )
    inverse = np.linalg.pinv(model.train_scale_cov_, hermitian=True)

    def strangeness(t: np.ndarray) -> dict[str, np.ndarray]:
        """The scores of `PCDM.ood_score`, from terms that are computed once."""
        away = t - model.train_scale_mean_
        return {
            "nll": t.sum(1),
            "typicality": np.abs(t.sum(1) - model.train_bits_mean_),
            "scale_typicality": np.einsum("ni,ij,nj->n", away, inverse, away),
        }

    inside = strangeness(terms)
    auroc: dict[str, dict[str, float]] = {method: {} for method in METHODS}
    for name, Y in outliers(X).items():
        outside = strangeness(model._evaluate(Y, None, 24, None, True)[0] / unit)
        truth = np.repeat([0, 1], [len(X), len(Y)])
        for method in METHODS:
            auroc[method][name] = float(
                roc_auc_score(truth, np.concatenate([inside[method], outside[method]]))
            )
    return {
        "kind": kind, "width": width, "steps": steps, "seed": seed, "multiply_adds": cost(model),
        "parameters": sum(p.numel() for net in model.networks_ for p in net.parameters()),
        "seconds_per_step": seconds / steps, "processor_per_step": processor / steps, "bits": float(bits),
        "error": float(error),
        "train_bits": model.train_bits_mean_, "scales": terms.mean(0).tolist(),
        "discrete": discrete, "coded": coded, "photographs": photographs,
        "auroc": auroc, "images": len(X), "side": train.shape[1],
    }  # fmt: skip


def codecs(test: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Bits per pixel of the squares by programs for pictures."""
    from PIL import Image

    def pillow(x: np.ndarray, **options: Any) -> int:
        buffer = io.BytesIO()
        Image.fromarray(x).save(buffer, **options)
        return len(buffer.getvalue())

    out = {
        "PNG": {n: 8 * pillow(x, format="PNG", optimize=True) / x.size for n, x in test.items()},
        "WebP lossless": {
            n: 8 * pillow(x, format="WEBP", lossless=True, quality=100, method=6) / x.size
            for n, x in test.items()
        },
    }
    try:
        import imagecodecs
    except ImportError:
        return out
    out["JPEG XL lossless"] = {
        n: 8 * len(imagecodecs.jpegxl_encode(x, lossless=True, effort=9)) / x.size for n, x in test.items()
    }
    return out


# ---- report --------------------------------------------------------------------------------------------


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def mean(values: list[float], digits: int = 3) -> str:
    return f"{statistics.fmean(values):.{digits}f}"


def long_file(m: dict[str, Any]) -> str:
    """What the header and the first bits cost in a longer file."""
    return (
        f"Header and first bits weigh less in a longer file: {m['n']} patches of the same photographs, two "
        f"scales, seed 0, T = 20: bound {m['bound']:.4f}, file {m['file']:.4f} "
        f"({100 * (m['file'] / m['bound'] - 1):+.2f} %), "
        f"lossless: {'yes' if m['lossless'] else 'NO'}."
    )


def report(records: dict[str, Any], date: str) -> str:
    """The tables as Markdown."""
    runs, squares = records["runs"], records["codecs"]
    side = runs[0]["side"]
    kinds = [k for k in KINDS if any(r["kind"] == k for r in runs)]
    of = {k: [r for r in runs if r["kind"] == k] for k in kinds}
    bounds = []
    for k in kinds:
        mine = of[k]
        seeds = ", ".join(format(r["bits"], ".3f") for r in mine)
        terms = ", ".join(mean([r["scales"][i] for r in mine]) for i in range(len(mine[0]["scales"])))
        time_of_step = 1e3 * statistics.fmean(r["processor_per_step"] for r in mine)
        row = [k, str(mine[0]["width"]), f"{mine[0]['multiply_adds'] / 1e6:.1f} M"]
        row += [f"{mine[0]['parameters'] / 1e3:.0f} k"]
        row += [f"{mean([r['bits'] for r in mine])} ± {mean([r['error'] for r in mine])} ({seeds})"]
        bounds.append([*row, terms, mean([r["train_bits"] for r in mine]), f"{time_of_step:.0f} ms"])
    discrete = [
        [
            k,
            *(
                ", ".join(mean([r["discrete"][str(t)][i] for r in of[k]]) for i in range(2))
                for t in STEPS_OF_TIME
            ),
            mean([r["bits"] for r in of[k]]),
        ]
        for k in kinds
    ]
    codes = []
    for r in (r for k in kinds for r in of[k] if r["coded"]):
        bound, code = r["discrete"][str(CODED_STEPS)][0], r["coded"]
        rate = 8 * code["bytes"] / (r["images"] * side**2)
        row = [f"{r['kind']}, seed {r['seed']}", f"{bound:.4f}", f"{rate:.4f}"]
        row += [f"{100 * (rate / bound - 1):+.2f} %", f"{code['header']} bytes"]
        row += ["yes" if code["lossless"] else "NO", f"{code['coding']:.0f} s, {code['decoding']:.0f} s"]
        codes.append(row)
    beside = [[n, *(f"{v[t]:.3f}" for t in TEST), mean([*v.values()])] for n, v in squares.items()]
    for k in kinds:
        first = next(r for r in of[k] if r["seed"] == 0)["photographs"]
        beside.append([f"{k}, seed 0", *(f"{first[t]:.3f}" for t in TEST), mean([*first.values()])])
    strange = [
        [m, k, *(mean([r["auroc"][m][o] for r in of[k]]) for o in OUTLIERS)] for m in METHODS for k in kinds
    ]
    n_seeds = len({r["seed"] for r in runs})
    seeds_done = f"{n_seeds} seed{'s' if n_seeds > 1 else ''}"
    parts = [
        f"# PCDM on {side} x {side} patches of photographs, {date}",
        f"`python -m bench.bench_pcdm --side {side}`: {side} x {side} grey patches, {TRAIN_PATCHES} at "
        f"random places of each of {len(TRAIN)} photographs for training ({', '.join(TRAIN)}), and "
        f"{(TEST_PIXELS // side) ** 2} from the middle of each of {len(TEST)} others ({', '.join(TEST)}), "
        f"{runs[0]['images']} test patches in all. {runs[0]['steps']} steps of 64 patches, AdamW at 0.002 "
        f"with a cosine, the default network of depth 1; {seeds_done}. {records['machine']}. Bits are per "
        "pixel; all are strict bounds, on averaged parameters. Standard errors are over test patches (mean "
        "over seeds); in brackets the single seeds.",
        "## Bounds at equal multiply-adds",
        table(
            [
                "model", "width", "multiply-adds", "parameters", "continuous time",
                "by term, coarsest scale first, pixels last", "training patches", "processor time a step",
            ],
            bounds,
        ),
        "## Discrete time: with calibrated variances, and without",
        table(["model", *(f"T = {t}" for t in STEPS_OF_TIME), "continuous"], discrete),
        f"## Codes of all {runs[0]['images']} test patches, T = {CODED_STEPS}",
        table(["model", "bound", "file", "file over bound", "header", "lossless", "to code, to decode"],
        codes),
        *([long_file(records["many"])] if "many" in records else []),
        "## Beside programs for pictures",
        f"Bits per pixel of the middle {TEST_PIXELS} x {TEST_PIXELS} pixels of each test photograph, whole "
        "files. The programs code the square as one picture and see over the borders of patches; the models "
        "code its patches one by one, each file with its own header and first bits.",
        table(["", *TEST, "mean"], beside),
        "## Outliers: area under the curve, test patches against others",
        table(["score", "model", *OUTLIERS], strange),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def code_many(folder: Path, side: int) -> dict[str, Any]:
    """A longer file: 288 x 288 pixels of each test photograph in 20 steps, by the cascade of two scales."""
    from lapwing import PCDM
    from lapwing.generative.pcdm._coding import read_header

    model = PCDM.load(folder / "two.safetensors").set_params(n_jobs=1)
    X = np.concatenate([cut(square, side) for square in patches(side, 288)[1].values()])
    bound, error = model.bits_per_dim(X, timesteps=20, n_t=20, return_std=True)
    data = model.compress(X, timesteps=20)
    return {
        "n": len(X), "bound": bound, "error": error, "bytes": len(data), "file": 8 * len(data) / X.size,
        "header": len(data) - len(read_header(data)[1]),
        "lossless": bool(np.array_equal(model.decompress(data), X)),
    }  # fmt: skip


def pictures(folder: Path, target: Path, side: int) -> None:
    """The pictures of the documentation, from the cascade of two scales that `run` left in `folder`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from lapwing import PCDM, plots
    from lapwing.generative.pcdm import plot_bits, plot_images, plot_scales

    x = photograph("chelsea")
    plots.save_figure(plot_scales(x[:300, :448], 3), target / "pcdm_scales.png", dpi=100)
    model = PCDM.load(folder / "two.safetensors")
    _, test = patches(side)
    X = np.concatenate([cut(square, side) for square in test.values()])
    some = X[np.random.default_rng(3).choice(len(X), 64, replace=False)]
    figure, axes = plots.new_figure(1, 3, size=(4.4, 4.6))
    plot_images(some, title="test patches", ax=axes[0, 0])
    plot_images(model.sample(64, 250), title="drawn by the cascade of two scales", ax=axes[0, 1])
    plot_bits(model, X, n_t=24, ax=axes[0, 2])
    plots.save_figure(figure, target / "pcdm_samples.png", dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser("python -m bench.bench_pcdm", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, help="runs that are done, and where new ones go")
    parser.add_argument("-o", "--output", type=Path, help="the tables as Markdown")
    parser.add_argument("--side", type=int, choices=(16, 32), default=16, help="of the patches, in pixels")
    parser.add_argument("--width", type=int, default=16, help="of the model of one scale")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--many", action="store_true", help="also code a longer file")
    parser.add_argument("--pictures", type=Path, help="a folder for the pictures of the documentation")
    parser.add_argument("--report", action="store_true", help="run nothing")
    options = parser.parse_args()
    records: dict[str, Any] = {"runs": [], "codecs": {}, "machine": ""}
    if options.json.exists():
        records = json.loads(options.json.read_text())
    if not options.report:
        from bench.report import processor

        train, test = patches(options.side)
        widths = equal_widths(options.width, train)
        records["codecs"] = codecs(test)
        records["machine"] = f"{options.threads} thread of an {processor()}"
        for seed in range(options.seeds):
            for kind in KINDS:
                if any(r["kind"] == kind and r["seed"] == seed for r in records["runs"]):
                    continue
                done = run(
                    kind, widths[kind], options.steps, seed, options.threads, train, test, options.json.parent
                )
                print(f"{kind}, seed {seed}: {done['bits']:.4f} bits {done['coded']}", flush=True)
                records["runs"].append(done)
                options.json.write_text(json.dumps(records))
    longer = options.json.with_name("many.json")
    if options.many:
        longer.write_text(json.dumps(code_many(options.json.parent, options.side)))
    if longer.exists():
        records["many"] = json.loads(longer.read_text())
    if options.output is not None and records["runs"]:
        options.output.write_text(report(records, time.strftime("%Y-%m-%d")), encoding="utf-8")
    if options.pictures is not None:
        pictures(options.json.parent, options.pictures, options.side)


if __name__ == "__main__":
    main()
