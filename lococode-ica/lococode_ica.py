"""LOCOCODE: an auto-encoder that is to need few bits for its weights finds the bars in pictures.

Task      Pictures of 5 x 5 pixels, ten possible bars, five rows and five columns, each there with
          probability 1/5. A pixel on a bar is 1/2, else -1/2. Noisy: each bar has an intensity
          from 0.1 to 0.5 (at crossings the larger), every pixel Gaussian noise of variance 0.05.
          500 pictures to learn from, 500 for the test. No one says how many bars there are.
Net       25 inputs, 25 hidden units, 25 outputs, which are to be as the inputs (times 1.4):
              h = f(W1 x + b1),   o = 2 f(W2 h + b2) - 1,   f the logistic function.
Learning  Hochreiter & Schmidhuber 1999: descent on E + lambda B. E is the sum of squared errors,
          B that of flat minimum search, small where weights may be imprecise. With
          g_k = (1 - o_k^2) / 2, N_j = sum_k (g_k W2_kj)^2, r_kj = |g_k W2_kj| / sqrt(N_j),
          26 weights into every unit, 25 outputs, L = 1300 weights, R_k = 26 (1 + sum_j r_kj),
          Q = sum_k R_k^2:
              2 B = 26 sum_j (log N_j + 2 log h_j (1 - h_j)) + 52 sum_k log g_k
                    + 50 sum_j log h_j + L log Q.
          lambda grows by a fortieth an epoch while E is below a tolerance, else shrinks as much.
          Controls: lambda = 0; principal and independent components (PCA, FastICA).
          "laplace", the earlier catalog's task: a mixture of 8 Laplace sources, a linear
          auto-encoder whose code is to be sparse.
Shapes    Nets side by side: x (patterns, 25), W1, W2 (nets, 25, 25), h, o (nets, patterns, 25).
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

SIDE, PIXELS, HIDDEN, BARS, SET = 5, 25, 25, 10, 500
FAN, L = 26, 2 * 25 * 26  # weights into a unit, and all; biases count
TOLERANCES = {"bars": 0.12, "noisy": 1.1}  # of E
MATCH = {"bars": 0.9, "noisy": 0.75}  # least |correlation| of a unit and the bar that it stands for
SCALE = {"bars": 1.4, "noisy": 1.0}  # of targets
FIRST_LAMBDA, LAMBDA_STEP, BATCH, TINY, NEAR = 2e-5, 1.025, 25, 1e-8, 0.3
SOURCES, SAMPLES = 8, 2000


@dataclass(frozen=True)
class Config:
    """The paper's task and net; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    task: str = option("bars", "the paper's two, or v1's", among=("bars", "noisy", "laplace"))
    nets: int = option(10, "nets that learn side by side", 1, 100)
    epochs: int = option(500, "passes over the training set", 1, 100_000)
    rate: float = option(3.0, "step size on the mean of a batch of 25", 1e-3, 10)
    controls: bool = option(True, "train nets with lambda = 0, and PCA and FastICA, too")

    def __post_init__(self):
        check_options(self)
        if self.task == "laplace" and self.controls:
            raise ValueError("task 'laplace' has no controls: choose no_controls with it")


QUICK = {"nets": 2, "epochs": 400, "controls": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # by epoch: kind, epoch, mean E, mean lambda, mean active units
    nets: dict  # weights of "fms" and "plain"; PCA and ICA filters (10, 25)
    test: dict  # pictures (500, 25), which bars (500, 10), codes by kind


# --- pictures -------------------------------------------------------------------------------------


def bar_pictures(rng, count, noisy=False):
    """Pictures (count, 25) and which bars are in them (count, 10), five rows, then five columns."""
    there = rng.random((count, BARS)) < 0.2
    strength = rng.uniform(0.1, 0.5, (count, BARS)) if noisy else np.full((count, BARS), 0.5)
    strength = np.where(there, strength, -0.5)
    rows, columns = strength[:, :SIDE, None], strength[:, None, SIDE:]
    pictures = np.maximum(rows, columns).reshape(count, PIXELS)
    if noisy:
        pictures = pictures + rng.normal(0, math.sqrt(0.05), pictures.shape)
    return pictures, there


# --- the net and flat minimum search --------------------------------------------------------------


def logistic(x):
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def init(rng, nets):
    """Weights in [-0.1, 0.1], hidden biases -1."""
    shapes = {"W1": (HIDDEN, PIXELS), "W2": (PIXELS, HIDDEN), "b1": (1, HIDDEN), "b2": (1, PIXELS)}
    weights = {name: rng.uniform(-0.1, 0.1, (nets, *shape)) for name, shape in shapes.items()}
    weights["b1"] = np.full((nets, 1, HIDDEN), -1.0)
    return weights


def forward(w, x):
    """Hidden units h and outputs o, (nets, patterns, 25)."""
    h = logistic(x @ w["W1"].swapaxes(1, 2) + w["b1"])
    return h, 2 * logistic(h @ w["W2"].swapaxes(1, 2) + w["b2"]) - 1


def flatness(w, h, o):
    """B (nets, patterns), but for a constant."""
    g = (1 - o * o) / 2
    N, R, Q, *_ = ratios(w, g)
    one = (np.log(N) + 2 * np.log(h * (1 - h))).sum(2)
    B = FAN * one + 2 * FAN * np.log(g).sum(2) + 2 * PIXELS * np.log(h).sum(2)
    return (B + L * np.log(Q[..., 0])) / 2


def ratios(w, g):
    """N (nets, patterns, hidden), R (nets, patterns, outputs), Q (nets, patterns, 1), N^-1/2, |W2|.

    The r_kj of each pattern are never formed: their sums over j and k are matrix products.
    """
    size = np.abs(w["W2"])
    N = (g * g) @ (size * size) + TINY
    root = 1 / np.sqrt(N)
    R = FAN * (1 + g * (root @ size.swapaxes(1, 2)))
    return N, R, (R * R).sum(2, keepdims=True), root, size


def gradients(w, x, h, o, target, strength):
    """Gradients of the batch's mean of E + strength B; strength is lambda, (nets, 1, 1).

    With G_kj = dB / dlog |W2_kj|: dB/dW2 = G / W2 directly, dB/ds_k = -o_k (26 + sum_j G_kj) at the
    outputs' net sums; at the hidden ones what comes back from there + 26 (1 - 2 h) + 25 (1 - h).
    """
    g = (1 - o * o) / 2
    N, R, Q, root, size = ratios(w, g)
    S = root * ((R * g) @ size)  # sum over l of R_l r_lj
    weight = L * FAN / Q
    square = (size * size).swapaxes(1, 2)
    sums = FAN * (1 / N) @ square - (weight * S / N) @ square
    G_sum = g * g * sums + weight * R * g * (root @ size.swapaxes(1, 2))
    even = (g * g).swapaxes(1, 2) @ ((FAN - weight * S) / N)
    odd = (weight * R * g).swapaxes(1, 2) @ root
    direct = w["W2"] * even + np.sign(w["W2"]) * odd
    ds = 2 * (o - target) * g - strength * o * (FAN + G_sum)  # do/ds is g
    da = (ds @ w["W2"]) * h * (1 - h)
    da += strength * (FAN * (1 - 2 * h) + PIXELS * (1 - h))
    count = len(x)
    return {
        "W1": da.swapaxes(1, 2) @ x / count,
        "b1": da.mean(1, keepdims=True),
        "W2": (ds.swapaxes(1, 2) @ h + strength * direct) / count,
        "b2": ds.mean(1, keepdims=True),
    }


def train(kind, w, x, config, rng, history, watch):
    """Descent on E + lambda B ("fms") or on E ("plain"); changes w, returns each net's last E."""
    target = SCALE[config.task] * x
    strength = np.full((config.nets, 1, 1), FIRST_LAMBDA * (kind == "fms"))
    for epoch in range(1, config.epochs + 1):
        order, errors = rng.permutation(len(x)), np.zeros(config.nets)
        for part in np.split(order, len(x) // BATCH):
            h, o = forward(w, x[part])
            errors += ((o - target[part]) ** 2).sum((1, 2)) / len(x)
            for name, gradient in gradients(w, x[part], h, o, target[part], strength).items():
                w[name] -= config.rate * gradient
        if not all(np.isfinite(value).all() for value in w.values()):
            raise FloatingPointError("weights grew beyond all numbers; choose a smaller rate")
        low = (errors <= TOLERANCES[config.task])[:, None, None]
        strength = strength * np.where(low, LAMBDA_STEP, 1 / LAMBDA_STEP)
        if epoch % 10 == 0 or epoch == config.epochs:
            active = float(active_units(w, x, target).sum(1).mean())
            row = kind, epoch, float(errors.mean()), float(strength.mean()), active
            for name, value in zip(history, row, strict=True):
                history[name].append(value)
            if watch:
                view = {"error": row[2], "active": active, "strength": row[3], "weights": w}
                watch(epoch, config.epochs, kind=kind, **view)
    return errors


# --- what the nets have found ---------------------------------------------------------------------


def active_units(w, x, target):
    """Which hidden units matter, (nets, 25): E grows by 1 % or more if one is held at its mean."""
    h, o = forward(w, x)
    error = ((o - target) ** 2).sum((1, 2))
    sums, active = h @ w["W2"].swapaxes(1, 2) + w["b2"], np.zeros((len(h), HIDDEN), bool)
    for j in range(HIDDEN):
        away = (h[:, :, j].mean(1)[:, None] - h[:, :, j])[..., None] * w["W2"][:, None, :, j]
        without = ((2 * logistic(sums + away) - 1 - target) ** 2).sum((1, 2))
        active[:, j] = without > 1.01 * error
    return active


def bars_found(codes, there, least):
    """How many bars have a code component of their own, |correlation| >= least; codes (n, units).

    One to one: the best pairs are taken first.
    """
    a = (codes - codes.mean(0)) / np.maximum(codes.std(0), 1e-9)
    b = (there - there.mean(0)) / there.std(0)
    match, found = np.abs(a.T @ b) / len(a), 0
    while match.size and match.max() >= least:
        unit, bar = np.unravel_index(match.argmax(), match.shape)
        match[unit], match[:, bar], found = 0, 0, found + 1
    return found


def bits_per_pixel(train_codes, test_codes):
    """Coding cost: each component in 100 intervals of its training range, -log2 of their shares."""
    low, high = train_codes.min(0), train_codes.max(0)
    total = 0.0
    for part, test, a, b in zip(train_codes.T, test_codes.T, low, high, strict=True):
        if b - a < 1e-6:
            continue
        place, other = (np.clip((c - a) / (b - a) * 100, 0, 99).astype(int) for c in (part, test))
        share = (np.bincount(place, minlength=100) + 0.01) / (len(place) + 1)
        total += -np.log2(share[other]).mean()
    return total / PIXELS


def principal_components(x, count):
    """Mean and directions (count, 25) of largest variance."""
    mean = x.mean(0)
    return mean, np.linalg.svd(x - mean, full_matrices=False)[2][:count]


def independent_components(rng, x, count, steps=200):
    """Filters (count, dimensions) by symmetric FastICA with tanh (Hyvarinen 1999)."""
    mean = x.mean(0)
    _, size, V = np.linalg.svd(x - mean, full_matrices=False)
    whiten = V[:count] * (math.sqrt(len(x)) / size[:count, None])
    z, W = (x - mean) @ whiten.T, np.linalg.qr(rng.normal(size=(count, count)))[0]
    for _ in range(steps):
        y = np.tanh(z @ W.T)
        W = y.T @ z / len(z) - (1 - y * y).mean(0)[:, None] * W
        u, _, v = np.linalg.svd(W)
        W = u @ v
    return W @ whiten


# --- the earlier catalog's task -------------------------------------------------------------------


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


def laplace(rng, steps=400):
    """Amari distances of a sparse linear auto-encoder and of FastICA on mixed Laplace sources."""
    sources = rng.laplace(size=(SAMPLES, SOURCES))
    mixing = np.linalg.qr(rng.normal(size=(SOURCES, SOURCES)))[0]
    x = sources @ mixing.T
    x -= x.mean(0)
    size, V = np.linalg.eigh(x.T @ x / SAMPLES)
    whiten = V / np.sqrt(size)
    z = x @ whiten
    weights = {"W": np.linalg.qr(rng.normal(size=(SOURCES, SOURCES)))[0]}
    adam = Adam(weights, 0.05)
    for step in range(steps):
        W = weights["W"]
        code = z @ W.T
        off = code @ W - z  # decoded by the same weights
        d_code = 2 * off @ W.T + 0.5 * np.sign(code)
        adam.rate = 0.05 * (1 + math.cos(math.pi * step / steps)) / 2
        adam.step(weights, {"W": (d_code.T @ z + code.T @ (2 * off)) / SAMPLES})
    ica = independent_components(rng, z, SOURCES)
    ways = mixing.T @ whiten
    return amari(weights["W"] @ ways.T), amari(ica @ ways.T)


def amari(P):
    """Amari distance of a square matrix from a scaled permutation: 0 is perfect, 1 the worst."""
    P, n = np.abs(P), len(P)
    rows, columns = P / P.max(1, keepdims=True), P / P.max(0)
    return float((rows.sum() + columns.sum() - 2 * n) / (2 * n * (n - 1)))


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train the nets, then the controls on the same pictures; or the earlier catalog's task."""
    history = {"kind": [], "epoch": [], "error": [], "strength": [], "active": []}
    rngs = np.random.default_rng(config.seed).spawn(4)
    if config.task == "laplace":
        ours, ica = laplace(rngs[0])
        return Result({"amari": ours, "amari_ica": ica}, history, {}, {})
    (x, _), (test, there) = (bar_pictures(rngs[0], SET, config.task == "noisy") for _ in range(2))
    nets, codes, metrics = {}, {}, {"nets": config.nets}
    for kind, rng in (("fms", rngs[1]), ("plain", rngs[2]))[: 2 if config.controls else 1]:
        w = nets[kind] = init(rng, config.nets)
        errors = train(kind, w, x, config, rng, history, watch)
        codes[kind] = forward(w, test)[0]
        metrics |= evaluate(kind, w, x, test, there, errors, config.task)
    if config.controls:
        mean, pca = principal_components(x, BARS)
        nets |= {"pca": pca, "ica": independent_components(rngs[3], x, BARS)}
        for kind in ("pca", "ica"):
            learnt, codes[kind] = ((part - mean) @ nets[kind].T for part in (x, test))
            metrics[f"{kind}_bars"] = bars_found(codes[kind], there, MATCH[config.task])
            metrics[f"{kind}_bits"] = bits_per_pixel(learnt, codes[kind])
        best = min(metrics["pca_bits"], metrics["ica_bits"])
        metrics["cost_ratio"] = metrics["fms_bits"] / best
    return Result(metrics, history, nets, {"pictures": test, "there": there, **codes})


def evaluate(kind, w, x, test, there, errors, task):
    """Metrics of nets of one kind: means, and how many have all bars in exactly ten units."""
    scale = SCALE[task]
    active = active_units(w, x, scale * x)
    learnt, (h, o) = forward(w, x)[0], forward(w, test)
    found, bits, binary = [], [], []
    for k in range(len(h)):
        mine = active[k]
        found.append(bars_found(h[k][:, mine], there, MATCH[task]))
        bits.append(bits_per_pixel(learnt[k][:, mine], h[k][:, mine]))
        binary.append(np.minimum(h[k][:, mine], 1 - h[k][:, mine]).mean() if mine.any() else 0.5)
    found, off = np.array(found), np.abs(o - scale * test)
    return {
        f"{kind}_bars": float(found.mean()),
        f"{kind}_all": int((found == BARS).sum()),
        f"{kind}_exact": int(((found == BARS) & (active.sum(1) == BARS)).sum()),
        f"{kind}_active": float(active.sum(1).mean()),
        f"{kind}_error": float(errors.mean()),
        f"{kind}_test_error": float((off**2).sum(2).mean()),
        f"{kind}_correct": float((off.max(2) < NEAR).mean()),
        f"{kind}_bits": float(np.mean(bits)),
        f"{kind}_halfway": float(np.mean(binary)),
    }


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of the gradient of E + lambda B."""
    rng = np.random.default_rng(config.seed)
    x = bar_pictures(rng, 6)[0]
    w = {name: value + rng.normal(0, 0.3, value.shape) for name, value in init(rng, 2).items()}
    strength, target = np.array([0.01, 0.003])[:, None, None], 1.4 * x

    def loss():
        h, o = forward(w, x)
        error = ((o - target) ** 2).sum(2) + strength[..., 0] * flatness(w, h, o)
        return float(error.mean(1).sum())

    return worst_relative_error(loss, w, gradients(w, x, *forward(w, x), target, strength))


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
