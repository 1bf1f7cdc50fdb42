"""Predictability minimization beside an auto-encoder, the task of the earlier catalog: factors of a
linear mixture.

Task      Four balanced factors f in {-1, 1}, mixed by a random matrix with rows of length 1 into
          eight inputs: x = f M + noise of 0.05. Wanted: four code units that give the factors, up
          to order and sign. With balanced factors every one-to-one code is factorial.
Net       code       h = tanh(x A + a), y = s(h B + b), s the logistic function
          decoder    r = y E + e
          predictor  g_i = tanh(v C_i + c_i), P_i = s(g_i D_i + d_i), v = 2 y - 1 with 0 for v_i
Learning  Full batches of 128 inputs, plain gradient descent. The decoder and the code net descend
          1/2 |x - r|^2. Before that, in each epoch, a few steps of the predictors that descend V =
          1/2 sum_i (P_i - y_i)^2, and a smaller one of the code net along y_i - P_i, which grows in
          over the first epochs. Control: the same without predictors.

One net; rows are patterns. C_i has a row for each unit, of which the one of unit i stays 0.

    python3 predictability_min_binary_factors_v1.py --seed 0
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

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
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
    """Plain gradient descent; the defaults are what the record holds."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    length: float = option(1.0, "training as a share of 1,500 epochs", 0.01, 10)
    rate: float = option(0.5, "step of code net and decoder", 1e-6, 1)
    predictor_rate: float = option(9.0, "step of the predictors", 1e-6, 100)
    predictor_epochs: int = option(5, "steps of the predictors before each of the code net", 1, 100)
    adversary: float = option(0.3, "step along the game as a share of that on the error", 0, 1)
    ramp: int = option(400, "epochs over which the game grows to its full share", 1, 100_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"length": 0.6}
EPOCHS = 1500
FACTORS, INPUTS, HIDDEN, PREDICTOR_HIDDEN = 4, 8, 32, 6
NOISE = 0.05
BATCH, TESTED = 128, 4096
SPREAD = {"A": 0.25, "B": 1.5, "C": 0.5, "D": 0.5, "E": 1.0}  # weights start within, biases at 0


@dataclass
class Result:
    """metrics: on fresh inputs, with the game and alone; history: factors' bits recovered so far;
    codes: name -> (TESTED, FACTORS)."""

    metrics: dict
    history: dict
    codes: dict


# --- the task ----------------------------------------------------------------------------------


def make_task(rng):
    """Factors and inputs of the batch, each of the 16 words eight times, and of the test."""
    factors = 2.0 * (np.arange(BATCH)[:, None] >> np.arange(FACTORS) & 1) - 1
    mixer = rng.normal(size=(FACTORS, INPUTS))
    mixer /= np.linalg.norm(mixer, axis=1, keepdims=True)
    x = factors @ mixer + NOISE * rng.normal(size=(BATCH, INPUTS))
    fresh = rng.choice([-1.0, 1.0], (TESTED, FACTORS))
    return factors, x, fresh, fresh @ mixer + NOISE * rng.normal(size=(TESTED, INPUTS))


# --- the nets ----------------------------------------------------------------------------------


def draw(rng):
    """Initial weights by their symbols."""
    shapes = {"A": (INPUTS, HIDDEN), "a": HIDDEN, "B": (HIDDEN, FACTORS), "b": FACTORS}
    shapes |= {"E": (FACTORS, INPUTS), "e": INPUTS}
    shapes |= {"C": (FACTORS, FACTORS, PREDICTOR_HIDDEN), "c": (FACTORS, PREDICTOR_HIDDEN)}
    shapes |= {"D": (FACTORS, PREDICTOR_HIDDEN), "d": FACTORS}
    spread = {name: SPREAD.get(name, 0) for name in shapes}
    W = {name: rng.uniform(-spread[name], spread[name], shape) for name, shape in shapes.items()}
    W["C"][np.arange(FACTORS), np.arange(FACTORS)] = 0
    return W


def logistic(z):
    """s(z) = 1 / (1 + exp(-z)), by a tanh, which cannot overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def encode(W, x):
    """h: (rows, HIDDEN) and y: (rows, FACTORS)."""
    h = np.tanh(x @ W["A"] + W["a"])
    return h, logistic(h @ W["B"] + W["b"])


def descend(W, grads, rate):
    """One step of the weights that have a gradient."""
    for name, gradient in grads.items():
        W[name] -= rate * gradient


def watch_units(W, y, rate):
    """One step of all predictors; returns their predictions before it, like y."""
    P = np.empty_like(y)
    for i in range(FACTORS):
        v = 2 * y - 1
        v[:, i] = 0
        g = np.tanh(v @ W["C"][i] + W["c"][i])
        P[:, i] = logistic(g @ W["D"][i] + W["d"][i])
        dz = (P[:, i] - y[:, i]) * P[:, i] * (1 - P[:, i]) / len(y)
        dg = np.outer(dz, W["D"][i]) * (1 - g * g)
        W["C"][i] -= rate * v.T @ dg
        W["c"][i] -= rate * dg.sum(0)
        W["D"][i] -= rate * g.T @ dz
        W["d"][i] -= rate * dz.sum()
    return P


def code_gradient(W, x, h, y, dy):
    """Gradient by the code net's weights, given that by y."""
    dz = dy * y * (1 - y)
    dh = dz @ W["B"].T * (1 - h * h)
    return {"A": x.T @ dh, "a": dh.sum(0), "B": h.T @ dz, "b": dz.sum(0)}


def reconstruction_gradient(W, x):
    """Gradient of the mean of 1/2 |x - r|^2 by the weights of code net and decoder."""
    h, y = encode(W, x)
    dr = (y @ W["E"] + W["e"] - x) / len(x)
    return code_gradient(W, x, h, y, dr @ W["E"].T) | {"E": y.T @ dr, "e": dr.sum(0)}


# --- run and evaluate --------------------------------------------------------------------------


def play(W, x, share, config):
    """Predictors learn the present code, then the code net escapes them by a step of that share."""
    h, y = encode(W, x)
    for _ in range(config.predictor_epochs):
        watch_units(W, y, config.predictor_rate)
    away = (watch_units(W, y, 0) - y) / len(x)  # minus dV/dy of a unit's own prediction
    descend(W, code_gradient(W, x, h, y, away), config.rate * share)


def run(config: Config = Config(), watch=None) -> Result:
    """Train with the game, then a fresh net without it; test both on fresh inputs."""
    rng = np.random.default_rng(config.seed)
    factors, x, fresh, test = make_task(rng)
    metrics, codes, curve, epochs = {}, {}, [], round(config.length * EPOCHS)
    for name, game in (("mixing", config.adversary), ("mixing_alone", 0)):
        W = draw(rng)
        for epoch in range(epochs):
            if game:
                play(W, x, game * min(1, epoch / config.ramp), config)
            descend(W, reconstruction_gradient(W, x), config.rate)
            if game and epoch % 50 == 0:
                curve.append(recovery(encode(W, x)[1], factors))
            if watch and epoch % 50 == 0:
                watch(epoch, epochs, experiment=name, bits=curve[-1])
        codes[name] = encode(W, test)[1]
        metrics[f"{name}_bits"] = recovery(codes[name], fresh)
        metrics[f"{name}_information"] = pairwise_information(codes[name] > 0.5)
    history = {"epochs": [50 * k for k in range(len(curve))], "bits": curve}
    return Result(metrics, history, codes)


def recovery(y, factors):
    """Share of factor bits that the matching units give, units matched greedily by correlation."""
    agreement = np.abs(np.where(y > 0.5, 1.0, -1.0).T @ factors) / len(y)  # (units, factors)
    share = 0.0
    for _ in range(FACTORS):
        unit, factor = np.unravel_index(agreement.argmax(), agreement.shape)
        share += (1 + agreement[unit, factor]) / 2 / FACTORS
        agreement[unit], agreement[:, factor] = -1, -1
    return float(share)


def pairwise_information(bits):
    """Mean mutual information between two code bits, over all pairs [nats]; bits: (rows, units)."""
    pairs, total = [(i, j) for i in range(bits.shape[1]) for j in range(i)], 0.0
    for i, j in pairs:
        for u in (bits[:, i], ~bits[:, i]):
            for v in (bits[:, j], ~bits[:, j]):
                joint = (u & v).mean()
                if joint > 0:
                    total += joint * math.log(joint / (u.mean() * v.mean()))
    return total / len(pairs)


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


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of the gradient of the reconstruction, and of the step of the game."""
    rng = np.random.default_rng(config.seed)
    x, W = rng.normal(size=(7, INPUTS)), draw(rng)
    P = rng.random((7, FACTORS))

    def error():
        return float(0.5 * ((x - encode(W, x)[1] @ W["E"] - W["e"]) ** 2).sum() / 7)

    def approach():
        return float(0.5 * ((P - encode(W, x)[1]) ** 2).sum())

    h, y = encode(W, x)
    worst = worst_relative_error(error, W, reconstruction_gradient(W, x))
    return max(worst, worst_relative_error(approach, W, code_gradient(W, x, h, y, y - P)))


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
