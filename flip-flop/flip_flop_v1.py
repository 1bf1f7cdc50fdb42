"""Flip-flop, the easier task of the earlier catalog: a level instead of a pulse, short episodes.

Task      Each step shows A (0.10), B (0.15), X (0.25) or nothing. The desired output d is 1 from a
          B until the next A, else 0. Episodes start afresh; the pain is p(t) = (y(t) - d(t))^2.
Nets      C and M as in flip_flop.py, but y without noise.
Learning  M on episodes with uniformly random outputs; after a warm-up also C, through M, on its
          own. sequential: one episode an update; parallel: sixteen.
Shapes    A row z(t) = [A, B, X, p(t-1), (y(t) in M), 1, states]; rows: (time, episodes, columns).

    python3 flip_flop_v1.py --seed 0
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
    """The defaults are the earlier catalog's headline."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    updates: int = option(3000, "updates of M; C learns from the 501st on", 1, 100_000)
    regime: str = option("sequential", "episodes: one or 16", among=("sequential", "parallel"))

    def __post_init__(self):
        check_options(self)


QUICK = {"updates": 1500}


@dataclass
class Result:
    """metrics: of 30 fresh episodes of 60 steps; history: what M's and C's last episodes gave."""

    metrics: dict
    history: dict


# --- the task -------------------------------------------------------------------------------------

A, B, X, NOTHING = range(4)
CHANCES = [0.10, 0.15, 0.25, 0.50]


def make_episodes(rng, length, episodes):
    """Events and desired levels d of fresh episodes, both (length, episodes)."""
    events = np.searchsorted(np.cumsum(CHANCES[:3]), rng.random((length, episodes)), side="right")
    steps = np.arange(length)[:, None]
    last_a, last_b = (np.maximum.accumulate(np.where(events == e, steps, -1)) for e in (A, B))
    return events, (last_b > last_a).astype(float)


# --- nets and learning ----------------------------------------------------------------------------

PAIN, Y, C_INPUTS, M_INPUTS = 3, 4, 5, 6  # columns of z
UNITS, RATE, WARM_UP, LENGTH = 16, 0.01, 500, 20


def init_net(rng, inputs):
    hidden = rng.normal(0, 1 / np.sqrt(UNITS), (inputs + UNITS, UNITS))
    return {"hidden": hidden, "output": rng.normal(0, 0.5, (1 + UNITS, 1))}


def forward(net, events, d, y=None):
    """C's y or, for given y, M's p^, both (time, episodes); and the rows."""
    inputs = C_INPUTS if y is None else M_INPUTS
    z, out = np.zeros((len(d) + 1, d.shape[1], inputs + UNITS)), np.empty(d.shape)
    z[:-1, :, :3], z[..., inputs - 1] = events[..., None] == np.arange(3), 1
    if y is not None:
        z[:-1, :, Y] = y
    for t in range(len(d)):
        np.tanh(z[t] @ net["hidden"], out=z[t + 1, :, inputs:])
        sums = z[t + 1, :, inputs - 1 :] @ net["output"]
        out[t] = 0.5 + 0.5 * np.tanh(0.5 * sums[:, 0])
        z[t + 1, :, PAIN] = ((out if y is None else y)[t] - d[t]) ** 2
    return out, z


def backward(net, z, errors):
    """Gradient, given the errors at the last layer's sum, (time, episodes): a(t) = (1 - h(t)^2)
    (Wo e(t) + R a(t+1)), dWh = sum z(t) a(t), dWo = sum [1, h(t)] e(t)."""
    slope = 1 - z[1:, :, -UNITS:] ** 2
    a = (errors[..., None] * net["output"][1:, 0]) * slope
    for t in range(len(a) - 2, -1, -1):
        a[t] += (a[t + 1] @ net["hidden"][-UNITS:].T) * slope[t]
    above = z[1:, :, -UNITS - 1 :]
    output = np.tensordot(above, errors, ((0, 1), (0, 1)))[:, None]
    return {"hidden": np.tensordot(z[:-1], a, ((0, 1), (0, 1))), "output": output}


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


def model_gradient(model, events, d, y):
    """Of the mean (p^ - p)^2; also that mean."""
    predicted, z = forward(model, events, d, y)
    gap = predicted - (y - d) ** 2
    errors = 2 * gap * predicted * (1 - predicted) / gap.size
    return backward(model, z, errors), float(np.mean(gap**2))


def controller_gradient(controller, model, events, d):
    """Of the mean p^, by way of y(t) in the same step; also the mean pain."""
    y, z = forward(controller, events, d)
    predicted, zm = forward(model, events, d, y)
    through = ((1 - zm[1:, :, -UNITS:] ** 2) * model["hidden"][Y]) @ model["output"][1:, 0]
    errors = predicted * (1 - predicted) * through * y * (1 - y) / y.size
    return backward(controller, z, errors), float(np.mean((y - d) ** 2))


def run(config: Config = Config(), watch=None) -> Result:
    """Train M, then M and C; solved: more than 90 % of an episode's steps are right."""
    weights, rng, test_rng = np.random.default_rng(config.seed).spawn(3)
    controller, model = init_net(weights, C_INPUTS), init_net(weights, M_INPUTS)
    c_adam, m_adam = Adam(controller, RATE, limit=1.0), Adam(model, RATE, limit=1.0)
    shape = LENGTH, 1 if config.regime == "sequential" else 16
    history = {"model_error": [], "pain": []}
    for update in range(1, config.updates + 1):
        grads, error = model_gradient(model, *make_episodes(rng, *shape), rng.random(shape))
        m_adam.step(model, grads)
        pain = np.nan
        if update > WARM_UP:
            grads, pain = controller_gradient(controller, model, *make_episodes(rng, *shape))
            c_adam.step(controller, grads)
        if update % 50 == 0 or update == config.updates:
            history["model_error"].append(error)
            history["pain"].append(pain)
            if watch:
                watch(update, config.updates, model_error=error, pain=pain)
    events, d = make_episodes(test_rng, 60, 30)
    y, _ = forward(controller, events, d)
    right = ((y > 0.5) == d).mean(0)
    metrics = {"episodes_solved": int(np.sum(right > 0.9)), "accuracy": float(right.mean())}
    return Result(metrics | {"residual_pain": float(np.mean((y - d) ** 2))}, history)


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
