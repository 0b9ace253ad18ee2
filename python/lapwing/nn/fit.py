"""The one training loop: batches, schedule, moving averages, early stop, seeds, callbacks, checkpoints.

Nothing random is kept between steps: the order of the samples is a function of seed and epoch, and what a
step draws a function of seed, purpose and step. So a run that was interrupted goes on from its checkpoint bit
for bit, and networks that share no parameters get the same values whether they are trained together or apart.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lapwing._optional import need
from lapwing._progress import Callback, Progress

__all__ = [
    "Batch",
    "Trainer",
    "generator",
    "load_module",
    "module_arrays",
    "read_arrays",
    "seed_of",
    "write_arrays",
]

Arrays = dict[str, NDArray[Any]]
_FORMAT = 1
_FILE = "checkpoint.safetensors"


def seed_of(*parts: Any) -> int:
    """A seed of 63 bits from numbers and words."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(device: Any, *parts: Any) -> torch.Generator:
    """A generator of torch whose stream depends on `parts` only."""
    return torch.Generator(device=device).manual_seed(seed_of(*parts))


# --- files: arrays and JSON, no pickle ----------------------------------------------------------------


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write arrays and a description in JSON as one safetensors file, whole or not at all.

    Parameters
    ----------
    path : path
        The file.
    arrays : mapping of str to ndarray
    about : mapping
        What JSON can hold.

    Raises
    ------
    ImportError
        safetensors is not installed.
    OSError
        The file cannot be written.
    """
    save = need("safetensors.numpy", extra="torch", purpose="saving networks").save
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    data = {name: np.array(a, order="C") for name, a in arrays.items()}
    partial.write_bytes(save(data, metadata={"lapwing": json.dumps(dict(about), sort_keys=True)}))
    os.replace(partial, target)


def read_arrays(path: str | os.PathLike[str]) -> tuple[Arrays, dict[str, Any]]:
    """Read what `write_arrays` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    arrays : dict of str to ndarray
    about : dict

    Raises
    ------
    ValueError
        The file is damaged or was written by something else.
    OSError
        It cannot be read.
    """
    safetensors = need("safetensors", extra="torch", purpose="reading networks")
    with open(path, "rb"):  # a missing file is an OSError of Python's own words
        pass
    try:
        with safetensors.safe_open(os.fspath(path), "np") as file:
            about = json.loads((file.metadata() or {})["lapwing"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except Exception as error:
        raise ValueError(f"{path} is no file of lapwing's, or is damaged: {error}") from error
    return arrays, about


def module_arrays(module: torch.nn.Module, prefix: str = "") -> Arrays:
    """The parameters and buffers of a module as arrays, by name."""
    return {prefix + k: v.detach().cpu().numpy().copy() for k, v in module.state_dict().items()}


def load_module(module: torch.nn.Module, arrays: Mapping[str, Any], prefix: str = "") -> None:
    """Set the parameters and buffers of a module from arrays.

    Raises
    ------
    ValueError
        Names or shapes are not those of the module.
    """
    own = {k: torch.from_numpy(np.asarray(arrays[prefix + k])) for k in _known(module, arrays, prefix)}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        raise ValueError(f"the arrays are not those of this network: {error}") from error


def _known(module: torch.nn.Module, arrays: Mapping[str, Any], prefix: str) -> list[str]:
    return [k for k in module.state_dict() if prefix + k in arrays]


# --- the loop -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """What a step is about.

    Attributes
    ----------
    step : int
        From 0 on.
    indices : ndarray
        Which samples.
    seed : int
        Of the run.
    """

    step: int
    indices: NDArray[np.int64]
    seed: int

    def generator(self, device: Any, *purpose: Any) -> torch.Generator:
        """A generator for one purpose in this step."""
        return generator(device, self.seed, self.step, *purpose)


@dataclass
class Trainer:
    """Trains networks by AdamW on batches of samples that are drawn without replacement in each epoch.

    Parameters
    ----------
    modules : dict of str to torch.nn.Module
        Each is clipped by the norm of its own gradient, and has its own moving average.
    loss : callable
        Gets a `Batch`; returns a dict of scalar tensors, whose sum is minimised.
    n_samples, n_steps, batch_size : int
        The last batch of an epoch is left out when it is smaller, but for fewer samples than a batch.
    learning_rate : float
    schedule : {"constant", "cosine"}, default="cosine"
        After `warmup` steps of linear growth: constant, or down to 0 along half a cosine.
    warmup : int, default=0
    weight_decay : float, default=0.01
    betas : tuple of float, default=(0.9, 0.99)
    clip : float, default=1.0
        Largest norm of a module's gradient.
    ema_decay : float, default=0.9999
        Of the moving average of parameters, which begins faster: ``min(ema_decay, (1 + k) / (10 + k))`` after
        k steps.
    seed : int, default=0
    validate : callable or None, default=None
        Called with the moving averages in the modules; returns a number that is better when it is lower.
    validate_every : int, default=500
        Steps.
    patience : int or None, default=None
        Stop after so many validations without a better one, and keep the best averages; None: never.
    checkpoint : path or None, default=None
        A folder, in which the state is written every `every_seconds`, when the run ends and when it is
        interrupted; a run with the same `identity` goes on from there.
    identity : mapping or None, default=None
        What must be the same for that, as JSON can hold it.
    every_seconds : float, default=120.0
    extra : object or None, default=None
        Something with ``state() -> dict of ndarray`` and ``restore(dict)`` that belongs to the state.
    after_backward : callable or None, default=None
        Called with the batch between the backward pass and the step.
    callback : callable or None, default=None
        See `lapwing._progress.Progress`; returning True stops the run.
    verbose : int, default=0
    blocks : sequence of int or None, default=None
        Lengths of parts of the samples that had better be read at once: an epoch goes through them in random
        order, and through each in random order. None: the order of an epoch is wholly random.

    Attributes
    ----------
    step : int
        Number of steps done.
    history : list of dict
        Mean losses since the last entry by name, and what was validated.
    stopped : {"", "steps", "callback", "patience"}
        Why the run ended.
    resumed_at : int or None
        The step of the checkpoint that the run went on from.
    """

    modules: dict[str, torch.nn.Module]
    loss: Callable[[Batch], Mapping[str, torch.Tensor]]
    n_samples: int
    n_steps: int
    batch_size: int
    learning_rate: float
    schedule: str = "cosine"
    warmup: int = 0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    ema_decay: float = 0.9999
    seed: int = 0
    validate: Callable[[], float] | None = None
    validate_every: int = 500
    patience: int | None = None
    checkpoint: str | os.PathLike[str] | None = None
    identity: Mapping[str, Any] | None = None
    every_seconds: float = 120.0
    extra: Any = None
    after_backward: Callable[[Batch], None] | None = None
    callback: Callback | None = None
    verbose: int = 0
    blocks: Sequence[int] | None = None
    step: int = field(default=0, init=False)
    history: list[dict[str, float]] = field(default_factory=list, init=False)
    stopped: str = field(default="", init=False)
    resumed_at: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._named = {
            f"{name}.{k}": p
            for name, module in self.modules.items()
            for k, p in module.named_parameters()
            if p.requires_grad
        }
        self._optimizer = torch.optim.AdamW(
            [{"params": list(self._named.values())}],
            lr=self.learning_rate,
            betas=self.betas,
            eps=1e-8,
            weight_decay=self.weight_decay,
            foreach=False,
        )
        self._ema = {name: p.detach().clone() for name, p in self._named.items()}
        self._best: dict[str, torch.Tensor] | None = None
        self._best_value = math.inf
        self._bad = 0
        self._sums: dict[str, float] = {}
        self._count = 0
        self._epoch: tuple[int, NDArray[np.int64]] | None = None
        self._stepping = False  # parameters, averages and counters do not belong together just now
        self._extra_before: Arrays = {}

    # --- one step ---------------------------------------------------------------------------------

    def _rate(self) -> float:
        k = self.step
        rate = self.learning_rate * min(1.0, (k + 1) / self.warmup if self.warmup else 1.0)
        if self.schedule == "cosine":
            after = max(k - self.warmup, 0) / max(self.n_steps - self.warmup, 1)
            rate *= 0.5 * (1.0 + math.cos(math.pi * min(after, 1.0)))
        return rate

    def _batch(self) -> Batch:
        size = min(self.batch_size, self.n_samples)
        per_epoch = self.n_samples // size
        epoch, place = divmod(self.step, per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self._order(epoch))
        return Batch(self.step, self._epoch[1][place * size : (place + 1) * size], self.seed)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        rng = np.random.default_rng(seed_of(self.seed, "epoch", epoch))
        if self.blocks is None:
            return rng.permutation(self.n_samples)
        starts = np.cumsum([0, *self.blocks])
        parts = [starts[b] + rng.permutation(self.blocks[b]) for b in rng.permutation(len(self.blocks))]
        return np.concatenate(parts)

    def _advance(self) -> float:
        batch = self._batch()
        if self.extra is not None:
            self._extra_before = {k: np.array(v) for k, v in self.extra.state().items()}
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        self._optimizer.zero_grad(set_to_none=True)
        losses = self.loss(batch)
        total = sum(losses.values())
        assert isinstance(total, torch.Tensor)
        if not bool(torch.isfinite(total)):
            raise FloatingPointError(f"the loss is not finite at step {self.step}")
        total.backward()  # type: ignore[no-untyped-call]
        if self.after_backward is not None:
            self.after_backward(batch)
        for name, module in self.modules.items():
            norm = torch.nn.utils.clip_grad_norm_(
                [p for p in module.parameters() if p.grad is not None], self.clip, foreach=False
            )
            if not bool(torch.isfinite(norm)):
                raise FloatingPointError(f"the gradient of {name} is not finite at step {self.step}")
        self._stepping = True
        self._optimizer.step()
        decay = min(self.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, p in self._named.items():
                self._ema[name].lerp_(p, 1.0 - decay)
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value.detach())
        self._count += 1
        self.step += 1
        if self.extra is not None:
            self._extra_before = {k: np.array(v) for k, v in self.extra.state().items()}
        self._stepping = False
        return float(total.detach())

    # --- moving averages --------------------------------------------------------------------------

    def use_averages(self) -> None:
        """Put the moving averages (the best ones, after an early stop) into the modules."""
        source = self._ema if self._best is None else self._best
        with torch.no_grad():
            for name, p in self._named.items():
                p.copy_(source[name])

    def _validated(self) -> float:
        assert self.validate is not None
        raw = {name: p.detach().clone() for name, p in self._named.items()}
        with torch.no_grad():
            for name, p in self._named.items():
                p.copy_(self._ema[name])
            value = float(self.validate())
            for name, p in self._named.items():
                p.copy_(raw[name])
        return value

    # --- the run ----------------------------------------------------------------------------------

    def run(self) -> Trainer:
        """Train until the steps are done, the callback says so or patience is over.

        Returns
        -------
        Trainer
            Itself, with the moving averages in the modules.

        Raises
        ------
        FloatingPointError
            A loss or gradient is not finite; the modules then hold the moving averages.
        ValueError
            The checkpoint is that of another run.
        """
        self._resume()
        written = time.monotonic()
        report_every = max(1, min(100, self.n_steps // 20))
        value = math.nan
        with Progress(self.callback, self.verbose, unit=" steps", n_steps=self.n_steps) as progress:
            hook = progress.hook
            try:
                while self.step < self.n_steps:
                    if self.patience is not None and self._bad > self.patience:
                        self.stopped = "patience"
                        break
                    value = self._advance()
                    last = self.step == self.n_steps
                    checked = self.validate is not None and (self.step % self.validate_every == 0 or last)
                    if checked or self.step % report_every == 0 or last:
                        self._note(self._validated() if checked else None)
                    if hook is not None and hook("train", self.step, value):
                        self.stopped = "callback"
                        break
                    if self.checkpoint is not None and time.monotonic() - written > self.every_seconds:
                        self._write()
                        written = time.monotonic()
                else:
                    self.stopped = "steps"
            except KeyboardInterrupt:
                if not self._stepping:  # else the last checkpoint is the one that is whole
                    if self.extra is not None and self._extra_before:
                        self.extra.restore(self._extra_before)
                    self._write()
                raise
            except FloatingPointError as error:
                self._best = None
                self.use_averages()
                raise FloatingPointError(
                    f"{error}; the networks hold the moving averages of the steps before"
                ) from error
        self._write()
        self.use_averages()
        return self

    def _note(self, value: float | None) -> None:
        entry = {"step": float(self.step), "learning_rate": self._rate()}
        entry |= {name: total / max(self._count, 1) for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        if value is not None:
            entry["validation"] = value
            if value < self._best_value:
                self._best_value, self._bad = value, 0
                if self.patience is not None:
                    self._best = {name: x.clone() for name, x in self._ema.items()}
            else:
                self._bad += 1
        self.history.append(entry)

    # --- checkpoints ------------------------------------------------------------------------------

    def _write(self) -> None:
        if self.checkpoint is None:
            return
        folder = Path(self.checkpoint)
        folder.mkdir(parents=True, exist_ok=True)
        arrays: Arrays = {}
        for name, p in self._named.items():
            arrays["raw/" + name] = p.detach().cpu().numpy()
            arrays["ema/" + name] = self._ema[name].cpu().numpy()
            state = self._optimizer.state.get(p, {})
            for key, x in state.items():
                arrays[f"adam/{key}/{name}"] = torch.as_tensor(x).cpu().numpy()
            if self._best is not None:
                arrays["best/" + name] = self._best[name].cpu().numpy()
        if self.extra is not None:
            arrays |= {"extra/" + k: np.asarray(v) for k, v in self.extra.state().items()}
        about = {
            "format": _FORMAT,
            "identity": dict(self.identity or {}),
            "step": self.step,
            "history": self.history,
            "best_value": None if math.isinf(self._best_value) else self._best_value,
            "bad": self._bad,
            "sums": self._sums,
            "count": self._count,
        }
        write_arrays(folder / _FILE, arrays, about)

    def _resume(self) -> None:
        if self.checkpoint is None:
            return
        path = Path(self.checkpoint) / _FILE
        if not path.exists():
            return
        arrays, about = read_arrays(path)
        if about.get("format") != _FORMAT:
            raise ValueError(f"{path} has format {about.get('format')}, and {_FORMAT} is needed")
        mine = json.loads(json.dumps(dict(self.identity or {})))
        theirs = about["identity"]
        different = sorted(k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k))
        if different:
            raise ValueError(
                f"{path} is of another run: {', '.join(different)} differ; pass another folder, or empty it"
            )
        with torch.no_grad():
            for name, p in self._named.items():
                p.copy_(_tensor(arrays["raw/" + name]))
                self._ema[name].copy_(_tensor(arrays["ema/" + name]))
                state = {
                    key.split("/")[1]: _tensor(x).clone()
                    for key, x in arrays.items()
                    if key.startswith("adam/") and key.split("/", 2)[2] == name
                }
                if state:
                    self._optimizer.state[p] = {
                        k: x if k == "step" else x.to(p.device) for k, x in state.items()
                    }
            best = {
                name: _tensor(arrays["best/" + name]).to(p.device)
                for name, p in self._named.items()
                if "best/" + name in arrays
            }
        self._best = best or None
        self._best_value = math.inf if about["best_value"] is None else float(about["best_value"])
        self._bad, self.step = int(about["bad"]), int(about["step"])
        self._sums, self._count = dict(about["sums"]), int(about["count"])
        self.history = list(about["history"])
        if self.extra is not None:
            self.extra.restore({k[6:]: v for k, v in arrays.items() if k.startswith("extra/")})
        self.resumed_at = self.step


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.array(array))
