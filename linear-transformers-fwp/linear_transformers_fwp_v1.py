"""The earlier catalog's task for linear Transformers: one memory on keys with a common bias.

Task      Five pairs (key in R^8, value in R^8). All keys share a fixed direction: k = e_1 + 0.4
          noise. One of them is asked for again, right is its value.
Net       x = k W + b in R^24 is key and query alike; phi is DPFP-2 of the paper, 96 features.
Reading   y = sum_t v_t a_t, a_t = phi(x_t) . phi(x_q) over the sum of all of them: attention. The
          same as a fast weight matrix: sum_t v_t phi(x_t)^T, read with phi(x_q).
Learning  Adam on 1/2 |v - y|^2 over 64 sequences a step. Arrays are (batch, pairs, units).

    python3 linear_transformers_fwp_v1.py --seed 0
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import numbers
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


# idiom: option
def option(default, meaning, low=None, high=None, among=()):
    """A field of Config: its default, what it means, and what is allowed: low to high, or among."""
    among = (False, True) if isinstance(default, bool) else tuple(among)
    if among:
        allowed = f"one of {', '.join(map(str, among))}"
    else:
        kind = "a whole number" if isinstance(default, int) else "a number"
        allowed = f"{kind} from {low:,} to {high:,}"
    facts = {"meaning": meaning, "low": low, "high": high, "among": among, "allowed": allowed}
    return dataclasses.field(default=default, metadata=facts)


def check_options(config):
    """Raise a ValueError that names field, value and what is allowed unless every value is."""
    for field in dataclasses.fields(config):
        value, facts = getattr(config, field.name), field.metadata
        kind = numbers.Integral if isinstance(field.default, int) else numbers.Real
        if facts["among"]:
            good = value in facts["among"]
        else:
            good = isinstance(value, kind) and facts["low"] <= value <= facts["high"]
        if not good:
            raise ValueError(f"{field.name} must be {facts['allowed']}, got {value!r}")


# end idiom


@dataclass(frozen=True)
class Config:
    """Hyper-parameters; the defaults are measured against the earlier catalog's headline."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    steps: int = option(80, "training steps", 1, 10_000)
    rate: float = option(0.02, "Adam's step size", 1e-6, 1.0)

    def __post_init__(self):
        check_options(self)


QUICK = {"steps": 80}
PAIRS, UNITS, WIDTH = 5, 8, 24
TRAINED, TESTED = 64, 200  # sequences in a training step and in the test


@dataclass
class Result:
    """metrics: of 200 fresh sequences; history: training losses."""

    metrics: dict
    history: dict


def make_batch(rng, batch):
    """Keys and values, (batch, 5, 8), and the number of the pair that is asked for, (batch,)."""
    keys = np.eye(UNITS)[0] + 0.4 * rng.normal(0, 1, (batch, PAIRS, UNITS))
    values = rng.normal(0, 1 / np.sqrt(UNITS), (batch, PAIRS, UNITS))
    return keys, values, rng.integers(0, PAIRS, batch)


def dpfp(x):
    """phi(x), (..., 96), and z, (..., 48), for its gradient."""
    z = np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis=-1)
    return np.concatenate([z * np.roll(z, i, axis=-1) for i in (1, 2)], axis=-1), z


def dpfp_backward(z, dphi):
    """Gradient at x, given that at phi: dz_j = sum_i dphi_i,j z_(j-i) + dphi_i,(j+i) z_(j+i)."""
    dz = np.zeros(z.shape)
    for i, part in enumerate(np.split(dphi, 2, axis=-1), 1):
        dz += part * np.roll(z, i, axis=-1)
        dz += np.roll(part * z, -i, axis=-1)
    on, off = np.split(dz * (z > 0), 2, axis=-1)
    return on - off


def attend(weights, keys, asked):
    """Shares a, (batch, 5), of the values, and what backward needs: phi, z and the scores' sum."""
    phi, z = dpfp(keys @ weights["W"] + weights["b"])
    scores = (phi @ phi[np.arange(len(asked)), asked][..., None])[..., 0]
    total = scores.sum(1, keepdims=True) + 1e-6
    return scores / total, (phi, z, total)


def loss_and_grads(weights, keys, values, asked):
    """Mean of 1/2 |v - y|^2, and its gradients: ds_t = (da_t - sum_u da_u a_u) / total, and each
    score is a product of phi(x_t) and phi(x_q)."""
    rows, (a, (phi, z, total)) = np.arange(len(asked)), attend(weights, keys, asked)
    error = (a[:, None] @ values)[:, 0] - values[rows, asked]
    loss, dy = float((error**2).sum(1).mean() / 2), error / len(asked)
    da = (values @ dy[..., None])[..., 0]
    ds = (da - (da * a).sum(1, keepdims=True)) * (1 / total)
    dx = ds[..., None] * dpfp_backward(z, phi[rows, asked][:, None])
    dx[rows, asked] += dpfp_backward(z[rows, asked], (ds[:, None] @ phi)[:, 0])
    return loss, {"W": np.tensordot(keys, dx, ((0, 1), (0, 1))), "b": dx.sum((0, 1))}


# idiom: adam
class Adam:
    """Adam (Kingma & Ba 2015) over a dict of arrays, which step() updates in place.

    limit: largest norm of the gradient, taken over all arrays; a longer gradient is scaled to it.
    stacked: the first axis of every array counts replicas, each limited by itself; rate may then
    be an array (replicas,).
    """

    def __init__(self, weights, rate, beta1=0.9, beta2=0.999, eps=1e-8, limit=None, stacked=False):
        self.rate, self.beta1, self.beta2, self.eps, self.t = rate, beta1, beta2, eps, 0
        self.limit, self.stacked = limit, stacked
        self.mean = {name: np.zeros_like(w) for name, w in weights.items()}
        self.square = {name: np.zeros_like(w) for name, w in weights.items()}

    def step(self, weights, grads):
        """Move each array of weights that has an entry in grads (same shape) one step downhill."""
        self.t += 1
        rate = self.rate * float(np.sqrt(1 - self.beta2**self.t)) / (1 - self.beta1**self.t)
        if self.limit is not None:
            grads = self.limited(grads)
        for name, g in grads.items():
            mean, square = self.mean[name], self.square[name]
            mean += (1 - self.beta1) * (g - mean)
            square += (1 - self.beta2) * (g * g - square)
            weights[name] -= self.fitted(rate, mean) * mean / (np.sqrt(square) + self.eps)

    def limited(self, grads):
        """The gradients, a longer one scaled to the limit."""
        rows = [g.reshape(len(g) if self.stacked else 1, -1) for g in grads.values()]
        norm = np.sqrt(sum((row * row).sum(1) for row in rows))
        scale = self.limit / np.maximum(norm, self.limit)
        scale = scale if self.stacked else float(scale[0])
        return {name: g * self.fitted(scale, g) for name, g in grads.items()}

    def fitted(self, factor, array):
        """A number as it is; (replicas,) as (replicas, 1, ...), in the precision of array."""
        if np.ndim(factor) == 0:
            return factor
        return factor.reshape(-1, *[1] * (array.ndim - 1)).astype(array.dtype)


# end idiom


def run(config: Config = Config(), watch=None) -> Result:
    """Train on fresh sequences, then test: cosine of y and the value, and attention against W."""
    rng = np.random.default_rng(config.seed)
    weights = {"W": rng.normal(0, 1 / np.sqrt(UNITS), (UNITS, WIDTH)), "b": np.zeros(WIDTH)}
    adam, history = Adam(weights, config.rate), {"loss": []}
    for step in range(1, config.steps + 1):
        loss, grads = loss_and_grads(weights, *make_batch(rng, TRAINED))
        adam.step(weights, grads)
        history["loss"].append(loss)
        if watch:
            watch(step, config.steps, loss=loss)
    keys, values, asked = make_batch(rng, TESTED)
    phi, _ = dpfp(keys @ weights["W"] + weights["b"])
    rows = np.arange(TESTED)
    k, q, v = phi / phi.sum((1, 2), keepdims=True), phi[rows, asked], values[rows, asked]
    by_attention = (values.swapaxes(1, 2) @ (k @ q[..., None]))[..., 0]
    y = ((values.swapaxes(1, 2) @ k) @ q[..., None])[..., 0]
    cosine = (y * v).sum(1) / np.linalg.norm(y, axis=1) / np.linalg.norm(v, axis=1)
    gap = np.abs(y - by_attention).max() / np.abs(y).max()
    return Result({"cosine": float(cosine.mean()), "same_read": float(gap)}, history)


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of the gradients against central differences."""
    rng = np.random.default_rng(config.seed)
    weights = {"W": rng.normal(0, 1 / np.sqrt(UNITS), (UNITS, WIDTH)), "b": np.zeros(WIDTH)}
    batch = make_batch(rng, 3)
    grads = loss_and_grads(weights, *batch)[1]
    return worst_relative_error(lambda: loss_and_grads(weights, *batch)[0], weights, grads)


# idiom: gradient_check
def worst_relative_error(loss, weights, grads, most=60, eps=1e-5):
    """Largest relative difference between grads and the central differences of loss().

    loss() reads the float64 arrays of the dict weights; grads holds its gradient, array by array.
    At most `most` entries of each array are tried, evenly spread. Entries far below an array's
    largest are judged against that one.
    """
    worst = 0.0
    for name, grad in grads.items():
        w, floor = weights[name].reshape(-1), 1e-3 * np.abs(grad).max() + 1e-5
        for i in np.unique(np.linspace(0, w.size - 1, most).astype(int)):
            kept, analytic = w[i], grad.reshape(-1)[i]
            w[i] = kept + eps
            above = loss()
            w[i] = kept - eps
            numeric = (above - loss()) / (2 * eps)
            w[i] = kept
            worst = max(worst, abs(numeric - analytic) / max(abs(numeric) + abs(analytic), floor))
    return float(worst)


# end idiom


# idiom: cli
def main(argv=None):
    """Command line: an option for every field of Config; the result goes to standard output."""
    form = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser(description=__doc__, add_help=False, **form)
    parser.error = lambda message: stop(2, message)
    for field in dataclasses.fields(Config):
        text = f"{field.metadata['meaning']} ({field.metadata['allowed']}; default {field.default})"
        kind = {"type": type(field.default), "metavar": "X"}
        if isinstance(field.default, bool):
            kind = {"action": argparse.BooleanOptionalAction, "default": None}
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, help=text.replace("%", "%%"), **kind)
    parser.add_argument("--quick", action="store_true", help="a small instance, about two seconds")
    parser.add_argument("--json", action="store_true", help="print the run as one line of JSON")
    parser.add_argument("-h", "--help", action="store_true", help="print this")
    options = {name: x for name, x in vars(parser.parse_args(argv)).items() if x is not None}
    quick, as_json, wants_help = (options.pop(name) for name in ("quick", "json", "help"))
    try:
        config = Config(**{**(QUICK if quick else {}), **options})
    except ValueError as error:
        stop(2, error)
    try:
        text = parser.format_help().rstrip() if wants_help else run_as_text(config, as_json)
    except KeyboardInterrupt:
        sys.exit(130)
    except FloatingPointError as error:
        stop(1, f"the run diverged: {error}")
    except OSError as error:
        stop(2, error)
    try:
        print(text, flush=True)
    except OSError as error:  # the reader has seen enough, or there is no room
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            stop(1, error)


def run_as_text(config, as_json):
    """Run, with a line of progress on a terminal; returns the record as JSON, or a table of it."""

    def watch(step, total, **state):
        shown = [f"{name} {x:.4g}" for name, x in state.items() if isinstance(x, (int, float))]
        print(f"\r{step}/{total}  {'  '.join(shown)}\x1b[K", end="", file=sys.stderr, flush=True)

    on_terminal = sys.stderr and sys.stderr.isatty() and not as_json
    start, busy = time.perf_counter(), time.process_time()
    try:
        metrics = run(config, watch if on_terminal else None).metrics
    finally:
        if on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    times = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - busy}
    for name, value in metrics.items():
        if value is not None and not math.isfinite(value):
            raise FloatingPointError(f"{name} is {value}")
    if as_json:
        record = {"problem": Path(__file__).stem.replace("_", "-"), "config": vars(config)}
        record |= {"metrics": metrics, **{name: round(x, 3) for name, x in times.items()}}
        record |= {"python": platform.python_version(), "numpy": np.__version__}
        record |= {"machine": platform.machine()}
        return json.dumps(record, default=lambda value: value.item(), allow_nan=False)
    shown = {**metrics, "seconds": round(times["seconds"], 2)}
    return "\n".join(f"{name:<28}{in_five_digits(x)}" for name, x in shown.items())


def in_five_digits(value):
    """A metric as text; a dash where it does not apply."""
    return "-" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def stop(status, message):
    """End with one line on standard error, where there is one."""
    if sys.stderr:
        print(f"{Path(__file__).name}: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
# end idiom
