"""Flip-flop, the easier task of the earlier catalog: a level instead of a pulse, in short episodes.

Task      Each step shows A (0.10), B (0.15), X (0.25) or nothing. The desired output d is 1 from a
          B until the next A, else 0. Episodes start afresh with d = 0; the pain is p(t) = (y(t) -
          d(t))^2.
Nets      C reads in(t) = [A, B, X, p(t-1), 1]: h(t) = tanh([in(t), h(t-1)] Wh), y = sigmoid([1, h]
          Wo), without noise.
          M reads [A, B, X, p(t-1), y(t), 1] and its state likewise, and predicts p^(t).
Learning  M learns (p^ - p)^2 on episodes with uniformly random outputs; after a warm-up C learns on
          its own episodes to lower the sum of p^, the gradient running p^(t) -> y(t). Adam,
          back-propagation through time over whole episodes. sequential: one episode an update;
          parallel: sixteen.
Shapes    z: (time, episodes, inputs + units), a row holding [inputs, 1, h(t-1)].

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
    """Hyper-parameters; the defaults are the earlier catalog's headline."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    updates: int = option(3000, "updates of M; C learns from warm_up on", 1, 100_000)
    regime: str = option(
        "sequential",
        "sequential takes one episode an update, parallel sixteen",
        among=("sequential", "parallel"),
    )
    warm_up: int = option(500, "updates in which M learns alone", 0, 100_000)
    units: int = option(16, "hidden units of C and of M", 1, 128)
    length: int = option(20, "steps of a training episode", 2, 1000)
    controller_rate: float = option(0.01, "Adam's step size for C", 1e-6, 1)
    model_rate: float = option(0.01, "Adam's step size for M", 1e-6, 1)

    def __post_init__(self):
        check_options(self)


QUICK = {"updates": 1500}


@dataclass
class Result:
    """metrics: of 30 fresh episodes of 60 steps; history: the training curves; trained: weights and
    a test episode."""

    metrics: dict
    history: dict
    trained: dict


# --- the task -------------------------------------------------------------------------------------

A, B, X, NOTHING = range(4)
CHANCES = [0.10, 0.15, 0.25, 0.50]
PAIN, ACTION, C_INPUTS, M_INPUTS = 3, 4, 5, 6


def make_episodes(rng, length, episodes):
    """Events and desired levels d of fresh episodes, both (length, episodes)."""
    events = np.searchsorted(np.cumsum(CHANCES[:3]), rng.random((length, episodes)), side="right")
    steps = np.arange(length)[:, None]
    last_a, last_b = (
        np.maximum.accumulate(np.where(events == event, steps, -1)) for event in (A, B)
    )
    d = (last_b > last_a).astype(float)
    return events, d


# --- the nets -------------------------------------------------------------------------------------


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def init_net(rng, inputs, units):
    """Weights "hidden" (inputs + units, units) and "output" (1 + units, 1)."""
    return {
        "hidden": rng.normal(0, 1 / np.sqrt(units), (inputs + units, units)),
        "output": rng.normal(0, 0.5, (1 + units, 1)),
    }


def make_rows(events, inputs, units):
    """Rows z with the events and the constant filled in, (length + 1, episodes, inputs + units)."""
    z = np.zeros((len(events) + 1, events.shape[1], inputs + units))
    z[:-1, :, :3] = events[..., None] == np.arange(3)
    z[..., inputs - 1] = 1
    return z


def act(controller, events, d):
    """Rows z and outputs y (length, episodes) of C's life through the episodes."""
    z, y = make_rows(events, C_INPUTS, controller["hidden"].shape[1]), np.empty(d.shape)
    for t in range(len(d)):
        np.tanh(z[t] @ controller["hidden"], out=z[t + 1, :, C_INPUTS:])
        y[t] = sigmoid((z[t + 1, :, C_INPUTS - 1 :] @ controller["output"])[:, 0])
        z[t + 1, :, PAIN] = (y[t] - d[t]) ** 2
    return z, y


def predict(model, events, y, d):
    """Rows z of M beside the outputs y, and the predicted pains (length, episodes)."""
    z = make_rows(events, M_INPUTS, model["hidden"].shape[1])
    z[1:, :, PAIN], z[:-1, :, ACTION] = (y - d) ** 2, y
    for t in range(len(d)):
        np.tanh(z[t] @ model["hidden"], out=z[t + 1, :, M_INPUTS:])
    return z, sigmoid((z[1:, :, M_INPUTS - 1 :] @ model["output"])[..., 0])


# --- learning -------------------------------------------------------------------------------------


def backward(net, z, inputs, d_out):
    """Gradient with respect to the weights, given d_out = dloss/d(last layer's sum), (length,
    episodes)."""
    slope = 1 - z[1:, :, inputs:] ** 2
    d_sums = (d_out[..., None] * net["output"][1:, 0]) * slope
    back = net["hidden"][inputs:].T
    for t in range(len(d_sums) - 2, -1, -1):
        d_sums[t] += (d_sums[t + 1] @ back) * slope[t]
    return {
        "hidden": z[:-1].reshape(-1, z.shape[2]).T @ d_sums.reshape(-1, d_sums.shape[2]),
        "output": z[1:, :, inputs - 1 :].reshape(-1, z.shape[2] - inputs + 1).T
        @ d_out.reshape(-1, 1),
    }


def pain_slope(model, z, predicted):
    """dp^/dy along the path within the same step, (length, episodes)."""
    through = (1 - z[1:, :, M_INPUTS:] ** 2) * model["hidden"][ACTION]
    return predicted * (1 - predicted) * (through @ model["output"][1:, 0])


def clipped(grads, most=1.0):
    """The gradients, scaled down to a common length of at most `most`."""
    scale = min(1.0, most / (np.sqrt(sum((g**2).sum() for g in grads.values())) + 1e-12))
    return {name: g * scale for name, g in grads.items()}


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


# --- run and evaluate -----------------------------------------------------------------------------


def improve_model(model, adam, rng, length, episodes):
    """One update of M on episodes with uniformly random outputs; returns its mean squared error
    there."""
    events, d = make_episodes(rng, length, episodes)
    y = rng.random(d.shape)
    z, predicted = predict(model, events, y, d)
    gap = predicted - (y - d) ** 2
    adam.step(
        model,
        clipped(backward(model, z, M_INPUTS, 2 * gap * predicted * (1 - predicted) / gap.size)),
    )
    return float(np.mean(gap**2))


def improve_controller(controller, model, adam, rng, length, episodes):
    """One update of C on its own episodes, through M; returns its mean pain and the share of right
    steps there."""
    events, d = make_episodes(rng, length, episodes)
    z, y = act(controller, events, d)
    d_out = pain_slope(model, *predict(model, events, y, d)) * y * (1 - y) / y.size
    adam.step(controller, clipped(backward(controller, z, C_INPUTS, d_out)))
    return float(np.mean((y - d) ** 2)), float(np.mean((y > 0.5) == d))


def run(config: Config = Config(), watch=None) -> Result:
    """Train M, then M and C; test C on 30 fresh episodes of 60 steps."""
    weights, rng, test_rng = np.random.default_rng(config.seed).spawn(3)
    controller, model = (
        init_net(weights, C_INPUTS, config.units),
        init_net(weights, M_INPUTS, config.units),
    )
    c_adam, m_adam = Adam(controller, config.controller_rate), Adam(model, config.model_rate)
    episodes = {"sequential": 1, "parallel": 16}[config.regime]
    history = {"update": [], "model_error": [], "pain": [], "accuracy": []}
    sums = np.zeros(3)
    for update in range(1, config.updates + 1):
        error = improve_model(model, m_adam, rng, config.length, episodes)
        pain, accuracy = np.nan, np.nan
        if update > config.warm_up:
            pain, accuracy = improve_controller(
                controller, model, c_adam, rng, config.length, episodes
            )
        sums += error, pain, accuracy
        if update % 50 == 0:
            for name, value in {
                "update": update,
                **dict(zip(("model_error", "pain", "accuracy"), sums / 50, strict=True)),
            }.items():
                history[name].append(float(value))
            sums[:] = 0
            if watch:
                watch(
                    update,
                    config.updates,
                    model_error=history["model_error"][-1],
                    pain=history["pain"][-1],
                )
    metrics, episode = evaluate(controller, model, test_rng)
    return Result(metrics, history, {"controller": controller, "model": model, "episode": episode})


def evaluate(controller, model, rng):
    """Metrics over 30 fresh episodes of 60 steps (solved: more than 90 % of the steps are right),
    and the first of them."""
    events, d = make_episodes(rng, 60, 30)
    _, y = act(controller, events, d)
    _, predicted = predict(model, events, y, d)
    right = ((y > 0.5) == d).mean(0)
    metrics = {
        "episodes_solved": int(np.sum(right > 0.9)),
        "accuracy": float(right.mean()),
        "residual_pain": float(np.mean((y - d) ** 2)),
    }
    return metrics, {
        "events": events[:, 0],
        "d": d[:, 0],
        "y": y[:, 0],
        "predicted": predicted[:, 0],
    }


def gradient_check(config: Config = Config(units=4, length=6)) -> float:
    """Worst relative error of M's gradient of (p^ - p)^2 and of C's gradient of the sum of p^,
    against central differences."""
    rng = np.random.default_rng(config.seed)
    controller, model = init_net(rng, C_INPUTS, config.units), init_net(rng, M_INPUTS, config.units)
    events, d = make_episodes(rng, config.length, 3)
    z, y = act(controller, events, d)
    zm, predicted = predict(model, events, y, d)
    gap = predicted - (y - d) ** 2
    grads = backward(model, zm, M_INPUTS, 2 * gap * predicted * (1 - predicted))
    worst = worst_relative_error(
        lambda: ((predict(model, events, y, d)[1] - (y - d) ** 2) ** 2).sum(), model, grads
    )

    def predict_action():  # C relives its inputs; M's states stay, as in pain_slope
        for t in range(config.length):
            z[t + 1, :, C_INPUTS:] = np.tanh(z[t] @ controller["hidden"])
        held = zm[:-1].copy()
        held[..., ACTION] = sigmoid((z[1:, :, C_INPUTS - 1 :] @ controller["output"])[..., 0])
        states = np.tanh(held @ model["hidden"])
        return sigmoid((states @ model["output"][1:] + model["output"][0])[..., 0])

    d_out = pain_slope(model, zm, predicted) * y * (1 - y)
    return max(
        worst,
        worst_relative_error(
            lambda: predict_action().sum(), controller, backward(controller, z, C_INPUTS, d_out)
        ),
    )


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
