"""The estimator: training and its checkpoints, likelihoods, samples, outliers, files, bad input."""

from __future__ import annotations

import functools
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator

import lapwing
from lapwing.generative import PCDM, VDM
from lapwing.generative.pcdm import _algorithm as algorithm
from lapwing.generative.pcdm import vdm_bound
from lapwing.generative.pcdm._data import Images
from lapwing.generative.pcdm._estimator import _Times
from lapwing.generative.pcdm._networks import ScaleNetwork, Schedule, multiply_adds
from lapwing.multiscale import make_map

from .conftest import SMALL

QUICK = {**SMALL, "n_steps": 12}


def same_parameters(a: PCDM, b: PCDM) -> bool:
    pairs = [
        (x, y)
        for p, q in zip([*a.networks_, a.schedule_], [*b.networks_, b.schedule_], strict=True)
        for x, y in zip(p.state_dict().values(), q.state_dict().values(), strict=True)
    ]
    return all(torch.equal(x, y) for x, y in pairs)


# ---- likelihood ----------------------------------------------------------------------------------------


def test_it_learns(model, digits):
    bits, error = model.bits_per_dim(digits[1], return_std=True)
    untrained = (
        PCDM(n_scales=2, **{**SMALL, "n_steps": 1}).fit(digits[0][:500]).bits_per_dim(digits[1], n_t=8)
    )
    assert error < 0.05
    assert bits < untrained - 0.2
    assert abs(bits - model.train_bits_mean_) < 0.3
    assert model.history_[-1]["scale 2"] < model.history_[0]["scale 2"]
    assert lapwing.PCDM is PCDM


def test_scores_add_up(model, digits):
    X = digits[1][:50]
    unit = 64 * math.log(2.0)
    values, std = model.score_samples(X, return_std=True)
    terms = model.bits_per_dim(X, per_scale=True)
    assert terms.shape == (3,)
    assert model.bits_per_dim(X) == pytest.approx(-values.mean() / unit)
    assert terms.sum() == pytest.approx(-values.mean() / unit)
    assert model.score(X) == pytest.approx(values.mean())
    assert (std > 0).all()
    # the standard errors are those of estimates with other random numbers
    again = [model._terms(X[:, None], None, n_t=64, seed=k)[0].sum(1) for k in range(8)]
    spread = np.sqrt(np.var(again, axis=0, ddof=1).mean())
    assert 0.7 < spread / np.sqrt((std**2).mean()) < 1.3


def test_one_scale_is_vdm(digits):
    model = VDM(**QUICK).fit(digits[0][:100])
    X = digits[1][:20]
    low, high = model.gamma_
    images = (2.0 * X[:, None] + 1) / 17 - 1

    def network(z, gamma, condition, label):
        return model.networks_[0](z, gamma)

    terms, std = vdm_bound(
        torch.from_numpy(images).float(), network, gamma_min=low, gamma_max=high, vocab_size=17, n_t=256,
        return_std=True,
    )  # fmt: skip
    mine = model.bits_per_dim(X, per_scale=True, n_t=256) * 64 * math.log(2.0)
    error = np.sqrt((std**2).sum(0)) / len(X)
    assert (np.abs(terms.mean(0) - mine) < 5 * 1.5 * error).all()


def test_bounds_with_more_trajectories_are_tighter(model, digits):
    X = digits[1][:24]
    one, three, ten = (model.bits_per_dim(X, timesteps=5, n_importance=k) for k in (1, 3, 10))
    expected = model.bits_per_dim(X, timesteps=5)
    assert abs(one - expected) < 0.05  # in expectation the same number
    assert ten < three < one + 0.01


def test_calibration_helps_where_steps_are_few(model, digits):
    X = digits[1][:60]
    continuous = model.bits_per_dim(X)
    for steps, gain in ((10, 0.5), (50, 0.05)):
        calibrated = model.bits_per_dim(X, timesteps=steps)
        plain = model.bits_per_dim(X, timesteps=steps, calibrated=False)
        assert continuous < calibrated < plain - gain


def test_integers(integers, digits):
    terms = integers.bits_per_dim(digits[1][:60], per_scale=True)
    assert terms.shape == (3,)
    assert (terms > 0).all()
    bands = integers.transform(digits[1])
    assert [b.shape[1:] for b in bands] == [(1, 2, 2), (3, 2, 2), (3, 4, 4)]
    assert bands[0].dtype.kind == "i"
    assert np.array_equal(integers.inverse_transform(bands), digits[1])
    for band, (low, high) in zip(bands, integers._scales.ranges, strict=True):
        assert low <= band.min() <= band.max() <= high


@pytest.mark.parametrize("scheme", ["s", "legall53", "cdf26", "97m"])
def test_ranges_of_integers_hold(scheme):
    rng = np.random.default_rng(0)
    scales = algorithm.Scales("integer", scheme, 3, 256, (1, 8, 8))
    x = rng.choice([0, 255], (3000, 1, 8, 8))
    bands, conditions, ints = scales.split(x)
    for k, (low, high) in zip(ints, scales.ranges, strict=True):
        assert low <= k.min() <= k.max() <= high
        assert max(abs(int(k.min())), abs(int(k.max()))) > 0.1 * max(abs(low), abs(high))
    assert np.array_equal(scales.coarse_integers(ints), x)
    assert all(c is None or np.abs(c).max() < 4 for c in conditions)
    assert all(np.allclose(scales.on_lattice(b, s), ints[s]) for s, b in enumerate(bands))


# ---- networks ------------------------------------------------------------------------------------------


def test_an_untrained_network_is_the_best_linear_one():
    net = ScaleNetwork(
        2, 0, (4, 4), kind="default", width=8, depth=1, gamma_min=-10, gamma_max=5, band_std=[0.3, 2.0],
        condition_std=1.0,
    )  # fmt: skip
    torch.manual_seed(0)
    z, gamma = torch.randn(3, 2, 4, 4), torch.tensor([-9.0, 0.0, 4.0], dtype=torch.float64)
    v = torch.sigmoid(gamma)[:, None, None, None]
    s2 = torch.tensor([0.3, 2.0], dtype=torch.float64)[:, None, None] ** 2
    assert torch.allclose(net(z, gamma).double(), v.sqrt() * z / ((1 - v) * s2 + v), atol=1e-6)


def test_laplacian_networks_see_details_of_full_size():
    """The loss in wavelet coordinates is that of the projected residual at full size."""
    torch.manual_seed(0)
    net = ScaleNetwork(
        3, 1, (4, 4), kind="vdm", width=8, depth=1, gamma_min=-10, gamma_max=5, band_std=[1.0] * 3,
        condition_std=1.0, full_size=True, wavelet="db2",
    ).double()  # fmt: skip
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.1)
    h, full = make_map("wavelet", "db2", 1), make_map("laplacian", "db2", 1)
    z, c = torch.randn(2, 3, 4, 4, dtype=torch.float64), torch.randn(2, 1, 4, 4, dtype=torch.float64)
    gamma = torch.zeros(2, dtype=torch.float64)
    zero = torch.zeros_like(c)
    image = h.inverse([zero, z])
    seen = []
    net.core.register_forward_hook(lambda m, inputs, out: seen.append((inputs[0], out)))
    predicted = net(z, gamma, c)
    shown, out = seen[0]
    assert torch.allclose(shown[:, :1], image)
    assert torch.allclose(shown[:, 1:], h.inverse([c, torch.zeros_like(z)]))
    assert torch.allclose(full.forward(image)[1], image)  # it lies in the space of details
    residual = torch.randn_like(z) - (predicted - z)
    noise = h.inverse([zero, residual + (predicted - z)])
    at_full_size = full.project([zero, noise - out])[1]
    assert torch.allclose(at_full_size.square().sum(), residual.square().sum())


def test_multiply_adds():
    net = ScaleNetwork(
        1, 0, (16, 16), kind="default", width=32, depth=2, gamma_min=-10, gamma_max=5, band_std=[1.0],
        condition_std=1.0,
    )  # fmt: skip
    convolutions = 256 * 9 * (32 + 4 * 2 * 32 * 32 + 3 * (64 * 32 + 32 * 32) + 32) + 3 * 256 * 64 * 32
    dense = 32 * 128 + 128 * 128 + 7 * 128 * 32
    assert multiply_adds(net, (16, 16)) == convolutions + dense


def test_the_schedule():
    for kind in ("fixed", "endpoints", "monotone"):
        schedule = Schedule(-11.5, 5.0, kind)
        for p in schedule.parameters():
            if p.requires_grad:
                torch.nn.init.normal_(p, std=0.3, generator=torch.Generator().manual_seed(1))
        t = torch.linspace(0, 1, 201, dtype=torch.float64, requires_grad=True)
        value, derivative = schedule(t)
        (slope,) = (
            torch.autograd.grad(value.sum(), t) if kind != "fixed" or value.requires_grad else (derivative,)
        )
        assert torch.allclose(slope, derivative, atol=1e-9)
        assert (value[1:] > value[:-1]).all()
        ends = schedule(torch.tensor([0.0, 1.0], dtype=torch.float64))[0]
        assert torch.allclose(value[[0, -1]], ends)
        if kind == "fixed":
            assert torch.allclose(ends, torch.tensor([-11.5, 5.0], dtype=torch.float64))


# ---- training ------------------------------------------------------------------------------------------


class Stop:
    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self, info) -> bool:
        return info.iteration >= self.at


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        pytest.param(
            {"gamma": "monotone", "time_sampling": "importance", "dropout": 0.2}, marks=pytest.mark.slow
        ),
        pytest.param(
            {"hierarchy": "laplacian", "timesteps": 7, "lr_schedule": "constant", "gamma": "endpoints"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_interrupted_fit_ends_as_if_it_had_not_been(digits, tmp_path, parameters):
    X, validation = digits[0][:80], digits[1][:10]
    options = {**SMALL, "n_steps": 20, "batch_size": 16, **parameters}
    whole = PCDM(**options).fit(X, X_val=validation)
    folder = tmp_path / "state"
    for stop in (1, 8, 13):  # three interruptions
        part = PCDM(**options, checkpoint=folder, callback=Stop(stop)).fit(X, X_val=validation)
        assert part.n_steps_ == stop
        assert not same_parameters(part, whole)
    rest = PCDM(**options, checkpoint=folder).fit(X, X_val=validation)
    assert same_parameters(rest, whole)
    assert rest.history_ == whole.history_
    assert rest.model_hash() == whole.model_hash()
    assert {p.suffix for p in folder.iterdir()} == {".safetensors"}
    # once more: nothing is left to do
    assert same_parameters(PCDM(**options, checkpoint=folder).fit(X, X_val=validation), whole)


def test_ctrl_c_leaves_a_checkpoint(digits, tmp_path):
    def interrupt(info):
        if info.iteration == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PCDM(**QUICK, checkpoint=tmp_path, callback=interrupt).fit(digits[0][:100])
    rest = PCDM(**QUICK, checkpoint=tmp_path).fit(digits[0][:100])
    assert same_parameters(rest, PCDM(**QUICK).fit(digits[0][:100]))


def test_a_checkpoint_of_another_fit_is_refused(digits, tmp_path):
    PCDM(**QUICK, checkpoint=tmp_path).fit(digits[0][:100])
    with pytest.raises(ValueError, match="another run: width differ"):
        PCDM(**{**QUICK, "width": 8}, checkpoint=tmp_path).fit(digits[0][:100])
    with pytest.raises(ValueError, match="another run: X differ"):
        PCDM(**QUICK, checkpoint=tmp_path).fit(digits[0][:99])
    (tmp_path / "checkpoint.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors is no file of lapwing's, or is damaged"):
        PCDM(**QUICK, checkpoint=tmp_path).fit(digits[0][:100])


def test_scales_can_be_trained_apart(digits):
    """What a network becomes does not depend on the networks beside it."""
    from lapwing.nn import Trainer

    X = digits[0][:200]
    joint = PCDM(**QUICK).fit(X)
    apart = PCDM(**QUICK)
    apart._check_parameters()
    x = Images(apart._read(X, channels_last=False, reset=True))
    apart._fit_labels(None, len(x))
    apart._build(x, 0)
    times = _Times(2, "stratified")

    def only_second(batch):
        return {"scale 2": apart._losses(x, None, batch, times, [])["scale 2"]}

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    Trainer(
        {"scale 2": apart.networks_[1]}, only_second, len(x), QUICK["n_steps"], 32, 4e-3, warmup=10, seed=0
    ).run()  # fmt: skip
    torch.set_num_threads(before)
    pairs = zip(joint.networks_[1].parameters(), apart.networks_[1].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_seed_decides(digits):
    a, b = (PCDM(**QUICK).fit(digits[0][:100]) for _ in range(2))
    c = PCDM(**{**QUICK, "random_state": 1}).fit(digits[0][:100])
    assert same_parameters(a, b)
    assert not same_parameters(a, c)
    state = torch.random.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002 - that it is left alone
    PCDM(**{**QUICK, "dropout": 0.1}).fit(digits[0][:100]).sample(2, 2)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_patience(digits):
    options = {**SMALL, "n_steps": 200, "learning_rate": 1e-12, "patience": 2}
    model = PCDM(**options).fit(digits[0][:100], X_val=digits[1][:20])
    assert model.n_steps_ < 200
    with pytest.raises(ValueError, match="patience needs X_val"):
        PCDM(**options).fit(digits[0])


def test_importance_sampling_of_times_is_unbiased():
    times = _Times(1, "importance")
    rng = np.random.default_rng(0)

    def loss(t):
        return np.exp(3 * t)

    for _ in range(400):
        t, _ = times.draw(rng.random(64), 0)
        times.note(loss(t), t, 0)
    u = (np.arange(200_000) + 0.5) / 200_000
    t, weight = times.draw(u, 0)
    assert (weight * loss(t)).mean() == pytest.approx((math.exp(3) - 1) / 3, rel=1e-4)
    assert weight.mean() == pytest.approx(1.0, rel=1e-4)
    assert (weight * loss(t)).std() < 0.3 * loss(u).std()


def test_ends_are_learnt(digits):
    start = {**SMALL, "n_steps": 60, "gamma_min": -9.0, "gamma_max": 2.0, "learning_rate": 2e-2}
    fixed = PCDM(**{**start, "n_steps": 1}).fit(digits[0][:100])
    learnt = PCDM(**start, gamma="endpoints").fit(digits[0][:100])
    assert fixed.gamma_ == pytest.approx((-9.0, 2.0))
    assert learnt.gamma_[0] > -9.0  # noise below what reconstruction pays for
    assert learnt.gamma_[1] > 2.0  # the prior costs less
    assert {"prior", "reconstruction"} <= set(learnt.history_[-1])


def test_a_loss_that_is_not_finite(digits):
    class Break:
        def __call__(self, info):
            if info.iteration == 4:
                with torch.no_grad():
                    next(broken.networks_[1].parameters()).fill_(math.nan)

    broken = PCDM(**QUICK, callback=Break())
    with pytest.raises(
        FloatingPointError, match=r"loss of scale 2 is not finite at time 0\.\d+ \(bin \d+ of 64\)"
    ):
        broken.fit(digits[0])
    assert all(bool(torch.isfinite(p).all()) for net in broken.networks_ for p in net.parameters())
    # what is left are the averages of the steps before
    assert same_parameters(broken, PCDM(**QUICK, callback=Stop(4)).fit(digits[0]))


def test_progress_is_shown(digits, capsys, monkeypatch):
    from lapwing.nn import fit

    monkeypatch.setattr(fit, "Progress", functools.partial(fit.Progress, delay=0.0))
    seen = []
    PCDM(**QUICK, verbose=1, callback=lambda info: seen.append(info.iteration)).fit(digits[0][:60])
    assert seen == list(range(1, QUICK["n_steps"] + 1))
    assert " steps" in capsys.readouterr().err
    PCDM(**QUICK).fit(digits[0][:60])
    assert capsys.readouterr().err == ""


def test_a_constant_band_is_warned_of():
    X = np.random.default_rng(0).integers(0, 17, (20, 4, 1, 1)).repeat(4, 2).repeat(4, 3)[:, 0]
    with pytest.warns(UserWarning, match="scale 2 has a band that is constant"):
        model = PCDM(**{**QUICK, "n_steps": 2}).fit(X)
    assert model.bands_std_[1].min() == pytest.approx(2 / 17)


# ---- samples, scales, outliers -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ancestral", "ode"])
def test_samples(model, digits, method):
    X = model.sample(64, 25, method)
    assert X.shape == (64, 8, 8)
    assert X.dtype == np.uint8
    assert np.array_equal(X, model.sample(64, 25, method))
    assert not np.array_equal(X, model.sample(64, 25, method, random_state=1))
    # they look like digits more than noise of the same grey values does
    noise = np.random.default_rng(0).permuted(digits[0][:64].reshape(64, -1), axis=1).reshape(64, 8, 8)
    assert model.bits_per_dim(X, n_t=16) < model.bits_per_dim(noise, n_t=16) - 0.3
    assert abs(X.mean(0) - digits[0].mean(0)).mean() < 2.5


def test_samples_of_integers(integers):
    X = integers.sample(5, 10)
    assert X.shape == (5, 8, 8)
    assert X.max() <= 16


def test_super_resolution(model, integers, digits):
    X = digits[1][:30]
    coarse = X.reshape(30, 4, 2, 4, 2).mean((2, 4))
    fine = model.super_resolve(coarse, 50)
    means = fine.reshape(30, 4, 2, 4, 2).mean((2, 4))
    far = abs(means - coarse).mean()  # the noise of the latents, and clipping at 0 and 16
    assert far < 1.0
    assert far < abs(means - coarse[::-1]).mean() / 3
    assert abs(fine.astype(int) - X).mean() < abs(model.sample(30, 50).astype(int) - X).mean()
    tiny = X.reshape(30, 2, 4, 2, 4).mean((2, 4))
    assert integers.super_resolve(tiny, 5).shape == X.shape
    assert integers.super_resolve(coarse, 5).shape == X.shape
    with pytest.raises(ValueError, match=r"of one of the sizes \[\(4, 4\)\], got shape \(30, 2, 2\)"):
        model.super_resolve(tiny)
    with pytest.raises(ValueError, match="coarse must be finite"):
        model.super_resolve(coarse * np.nan)


def test_scales_of_images(model, digits):
    X = digits[1][:5]
    bands = model.transform(X)
    assert [b.shape for b in bands] == [(5, 1, 4, 4), (5, 3, 4, 4)]
    assert np.isclose(sum((b**2).sum() for b in bands), (((2.0 * X + 1) / 17 - 1) ** 2).sum())
    assert np.array_equal(model.inverse_transform(bands), X)


def test_outliers(model, digits):
    rng = np.random.default_rng(0)
    X = digits[1]
    noise = rng.integers(0, 17, X.shape)
    for method in ("nll", "typicality", "scale_typicality"):
        inside, outside = (model.ood_score(x, method, n_t=16) for x in (X, noise))
        assert inside.shape == (len(X),)
        assert np.mean(outside[:, None] > inside) > 0.95
    groups = model.ood_score(X, "typicality", group=10, n_t=16)
    assert groups.shape == (len(X) // 10,)
    assert groups.mean() < model.ood_score(X, "typicality", n_t=16).mean()
    with pytest.raises(ValueError, match="group must be at most the number of images"):
        model.ood_score(X[:5], group=6)
    with pytest.raises(ValueError, match="method must be one of"):
        model.ood_score(X, "waic")


# ---- shapes, labels, files -----------------------------------------------------------------------------


def test_layouts(digits):
    X = digits[0][:40]
    flat = PCDM(**QUICK, image_shape=(8, 8)).fit(X.reshape(40, 64))
    plain = PCDM(**QUICK).fit(X)
    channel = PCDM(**QUICK).fit(X[:, None])
    last = PCDM(**QUICK).fit(X[..., None], channels_last=True)
    tensor = PCDM(**QUICK).fit(torch.from_numpy(X))
    assert all(same_parameters(plain, m) for m in (flat, channel, last, tensor))
    assert flat.sample(3, 2).shape == (3, 64)
    assert channel.sample(3, 2).shape == (3, 1, 8, 8)
    assert last.sample(3, 2).shape == (3, 8, 8, 1)
    assert plain.n_features_in_ == 64
    assert plain.image_shape_ == (1, 8, 8)
    values = [flat.score_samples(X.reshape(40, 64), n_t=2), last.score_samples(X[..., None], n_t=2)]
    assert np.array_equal(*values)
    odd = PCDM(**{**QUICK, "n_steps": 2}).fit(np.random.default_rng(0).integers(0, 17, (9, 3, 4, 10)))
    assert odd.sample(2, 2).shape == (2, 3, 4, 10)


def test_memory_maps(digits, tmp_path):
    np.save(tmp_path / "x.npy", digits[0][:60])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert same_parameters(PCDM(**QUICK).fit(mapped), PCDM(**QUICK).fit(digits[0][:60]))


def test_labels():
    rng = np.random.default_rng(0)
    y = np.array(["dark", "bright"])[rng.integers(0, 2, 300)]
    X = rng.integers(0, 5, (300, 4, 4)) + 12 * (y == "bright")[:, None, None]
    model = PCDM(**{**SMALL, "n_steps": 200}).fit(X.astype(np.uint8), y)
    assert model.classes_.tolist() == ["bright", "dark"]
    other = np.where(y == "dark", "bright", "dark")
    right, wrong = (model.bits_per_dim(X[:100], y=v[:100], n_t=16) for v in (y, other))
    assert right < wrong - 0.02  # a bit in 16 pixels is all there is to be told
    assert model.sample(20, 30, y="bright").mean() > model.sample(20, 30, y="dark").mean() + 6
    with pytest.raises(ValueError, match="fitted with labels: pass y"):
        model.score_samples(X)
    with pytest.raises(ValueError, match=r"y\[0\] is .*grey.*not among the labels"):
        model.sample(2, 2, y="grey")
    with pytest.raises(ValueError, match=r"y must have shape \(3,\)"):
        model.bits_per_dim(X[:3], y=y[:4])


@pytest.mark.parametrize("which", ["model", "integers"])
def test_files(which, request, digits, tmp_path):
    model = request.getfixturevalue(which)
    path = tmp_path / "model.safetensors"
    model.save(path)
    other = PCDM.load(path)
    assert same_parameters(model, other)
    assert other.model_hash() == model.model_hash()
    assert np.array_equal(
        other.score_samples(digits[1][:9], n_t=4), model.score_samples(digits[1][:9], n_t=4)
    )
    assert np.array_equal(other.ood_score(digits[1][:9], "scale_typicality"),
                          model.ood_score(digits[1][:9], "scale_typicality"))  # fmt: skip
    assert other.history_ == model.history_
    assert b"pickle" not in path.read_bytes()
    again = pickle.loads(pickle.dumps(model))
    assert again.model_hash() == model.model_hash()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="no file of lapwing's, or is damaged"):
        PCDM.load(path)
    with pytest.raises(FileNotFoundError):
        PCDM.load(tmp_path / "none")


def test_parameters_are_those_of_scikit_learn(model):
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "networks_")
    assert copy.set_params(width=8).width == 8


@pytest.mark.filterwarnings("ignore:Can't test estimator")
def test_scikit_learn_is_told_that_these_are_images():
    """Its checks train on rows of floating point numbers; those that do not are met."""
    results = check_estimator(PCDM(**QUICK), on_fail=None, on_skip=None)
    assert results
    assert {r["status"] for r in results} == {"passed"}


# ---- bad input -----------------------------------------------------------------------------------------

GOOD = np.zeros((4, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (GOOD.astype(float), TypeError,
        r"integer grey values 0\.\.16; pass vocab_size or quantize; got dtype float64"),
        (GOOD > 0, TypeError, "integer grey values"),
        (GOOD + np.nan, ValueError, r"NaN at \[0, 0, 0\]"),
        (GOOD + 17, ValueError, r"grey values 0\.\.16, got values from 17 to 17"),
        (GOOD.astype(int) - 1, ValueError, "got values from -1 to -1"),
        (GOOD[:0], ValueError, r"X is empty: its shape is \(0, 8, 8\)"),
        (GOOD[:1], ValueError, "at least 2 images, got 1"),
        (np.zeros((4, 8, 7), int), ValueError,


                             "the width of the images is 7, and must be a multiple of 2.*reflect"),
        (np.zeros((4, 2, 8), int), ValueError, "n_scales=2 is too deep: the height 2 would become 1"),
        (np.zeros((4, 64), int), ValueError, "rows of 64 values: image_shape must say"),
        (np.zeros(4, int), ValueError, "must have shape"),



                         ],
)  # fmt: skip
def test_bad_images(X, error, words):
    with pytest.raises(error, match=words):
        PCDM(**QUICK).fit(X)


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"hierarchy": "haar"}, ValueError, "hierarchy must be one of"),
        ({"conditioning": "clean"}, ValueError, "go together.*no bound"),
        ({"hierarchy": "integer"}, ValueError, "go together"),
        ({"wavelet": "bior2.2"}, ValueError, "not orthogonal"),
        ({"n_scales": 0}, ValueError, "n_scales must be >= 1"),
        ({"vocab_size": 1}, ValueError, "vocab_size must be between 2 and 65536"),
        ({"network": "unet"}, ValueError, "network must be one of"),
        ({"width": 2}, ValueError, "width must be >= 4"),
        ({"depth": 0}, ValueError, "depth must be >= 1"),
        ({"dropout": 1.0}, ValueError, "dropout must be in"),
        ({"fourier": (-1,)}, ValueError, "fourier must be between"),
        ({"gamma_min": 6.0}, ValueError, "gamma_min must be below gamma_max"),
        ({"gamma": "learned"}, ValueError, "gamma must be one of"),
        ({"timesteps": 0}, ValueError, "timesteps must be >= 1"),
        ({"n_steps": 0}, ValueError, "n_steps must be >= 1"),
        ({"n_steps": 1.5}, TypeError, "n_steps must be an integer"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be > 0"),
        ({"lr_schedule": "step"}, ValueError, "lr_schedule must be one of"),
        ({"ema_decay": 1.0}, ValueError, "ema_decay must be in"),
        ({"time_sampling": "uniform"}, ValueError, "time_sampling must be one of"),
        ({"dtype": "float16"}, ValueError, "dtype must be one of"),
        ({"random_state": "x"}, TypeError, "random_state must be"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be"),
        ({"callback": 3}, TypeError, "callback must be callable"),
    ],
)  # fmt: skip
def test_bad_parameters(parameters, error, words):
    with pytest.raises(error, match=words):
        PCDM(**{**QUICK, **parameters}).fit(np.arange(256, dtype=np.uint8).reshape(4, 8, 8) % 17)


def test_bad_use(model, digits):
    fresh = PCDM(**QUICK)
    for use in (
        fresh.score_samples, fresh.sample, fresh.compress, fresh.transform, fresh.ood_score,
        fresh.bits_per_dim,
        fresh.decompress, fresh.super_resolve, fresh.inverse_transform, fresh.save,
    ):  # fmt: skip
        with pytest.raises(NotFittedError):
            use(GOOD) if use != fresh.sample else use()
    with pytest.raises(
        ValueError, match=r"images of shape \(1, 4, 4\), and the model was fitted to \(1, 8, 8\)"
    ):
        model.score_samples(GOOD[:, :4, :4])
    with pytest.raises(ValueError, match="timesteps must be >= 1"):
        model.bits_per_dim(GOOD, timesteps=0)
    with pytest.raises(ValueError, match="n_importance needs timesteps"):
        model.bits_per_dim(GOOD, n_importance=2)
    with pytest.raises(ValueError, match="fitted without labels"):
        model.sample(2, y=[0, 1])
    with pytest.raises(ValueError, match="method must be one of"):
        model.sample(1, 2, "euler")
    with pytest.raises(TypeError, match="n_scales is no parameter"):
        VDM(n_scales=2)
    with pytest.raises(ValueError, match="X_val cannot be used with labels"):
        PCDM(**QUICK).fit(digits[0][:9], np.arange(9), X_val=digits[1])
