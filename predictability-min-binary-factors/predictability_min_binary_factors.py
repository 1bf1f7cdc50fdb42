"""Predictability minimization: code units that escape predictors watching the other units find
factorial codes.

Task      Small ensembles of patterns x with given probabilities. Code units y_1 ... y_n in (0, 1)
          shall become binary, differ between patterns, and be independent: P(code) = product of
          P(bit). The net never sees the factors behind the patterns.
Net       code       h = tanh(x A + a), y = s(h B + b): one hidden layer for all code units
          predictor  g_i = tanh(v C_i + c_i), P_i = s(g_i D_i + d_i), one for each unit i; it sees
                     v_j = 2 y_j - 1 of all units but v_i, for which 0 stands
          s is the logistic function; signals between layers lie within 1 of 0: see the README.
Learning  V = 1/2 sum over patterns and units of (P_i - y_i)^2. Predictors descend V, the code net
          ascends it; there is no decoder. On-line: both after each presentation. Off-line: a few
          predictor epochs, then one code epoch, over all patterns. Code gradient: full,
            dV/dy_i = (y_i - P_i) + sum_j (P_j - y_j) dP_j/dy_i,
          or short, without the sum.
Controls  Units that ascend their variance, without predictors; an auto-encoder of n code units.

Both nets stand below twice: for one net and one presentation (`gradients_one`), then for many nets
side by side, with buffers. There a column is a pattern, a layer is (nets, to, from + 1) with the
biases as its last column, and the n predictors of a net are one two-layer net in which most
connections are missing. v and q = 2 P - 1 come straight from tanh(z / 2) = 2 s(z) - 1.

    python3 predictability_min_binary_factors.py --quick
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
    """What is run, and the rates, which the paper does not give; the defaults are the headline."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    nets: int = option(10, "independent nets of each experiment", 1, 1000)
    experiments: str = option("paper", "all, or two (quick)", among=("paper", "quick"))
    gradient: str = option("full", "code gradient, whole or short", among=("full", "short"))
    length: float = option(1.0, "training, in the paper's lengths; O3: in 100,000", 0.01, 10)
    online_rate: float = option(0.25, "code net's step after a presentation", 1e-6, 100)
    online_predictor_rate: float = option(3.0, "predictors' step, on-line", 1e-6, 1000)
    offline_rate: float = option(6.0, "code net's step after an epoch, for the mean", 1e-6, 100)
    offline_predictor_rate: float = option(9.0, "predictors' step, off-line", 1e-6, 1000)
    predictor_epochs: int = option(5, "predictor epochs to a code epoch, off-line", 1, 100)

    def __post_init__(self):
        check_options(self)


QUICK = {"experiments": "quick", "nets": 40}


@dataclass
class Result:
    """metrics; history: share of nets of U2 that have found a factorial code, along its training.

    codes: experiment -> final outputs (nets, patterns, n); reached: experiment -> first step of
    each net with a factorial code, or -1.
    """

    metrics: dict
    history: dict
    codes: dict
    reached: dict


# --- the experiments ---------------------------------------------------------------------------

UNEVEN = np.array([1, 2, 2, 4])  # presentations of a, b, c, d in an epoch: P = 1/9, 2/9, 2/9, 4/9
QUICK_NAMES = ("u2", "n1", "u2_no_predictors", "n1_autoencoder")
WATCHED = 50  # steps between two looks at the codes
KEPT = 1000  # an experiment ends early when all its nets have been factorial for so many steps


@dataclass(frozen=True)
class Experiment:
    """units: code units n; hidden: of a predictor, of the code net; patterns: (P, inputs); counts:
    presentations of each in an epoch; steps: epochs or presentations; rule: a way to learn."""

    units: int
    hidden: tuple
    patterns: np.ndarray
    counts: np.ndarray
    steps: int
    rule: object


def binary(bits):
    """All words of so many bits, -1 or 1: (2^bits, bits)."""
    return 2.0 * (np.arange(2**bits)[:, None] >> np.arange(bits) & 1) - 1


def paper_experiments(config):
    """The paper's nine, two with local input that it reports as failing, and three controls."""
    four, sixteen, local, two_bits = np.ones(4, int), np.ones(16, int), np.eye(4), binary(2)
    table = {
        "u1": Experiment(2, (3, 4), local, four, 20_000, play_offline),
        "u2": Experiment(2, (2, 4), two_bits, four, 3000, play_online),
        "u3": Experiment(4, (3, 16), np.eye(16), sixteen, 20_000, play_offline),
        "u4": Experiment(4, (6, 8), binary(4), sixteen, 4000, play_online),
        "o1": Experiment(3, (3, 4), local, four, 10_000, play_offline),
        "o2": Experiment(4, (3, 4), local, four, 10_000, play_offline),
        "o3": Experiment(4, (2, 4), two_bits, four, 100_000, play_online),
        "n1": Experiment(2, (1, 2), two_bits, UNEVEN, 2000, play_offline),
        "n2": Experiment(3, (1, 2), two_bits, UNEVEN, 2000, play_offline),
        "n1_local": Experiment(2, (1, 2), local, UNEVEN, 2000, play_offline),
        "n2_local": Experiment(3, (1, 2), local, UNEVEN, 2000, play_offline),
        "u2_no_predictors": Experiment(2, (2, 4), two_bits, four, 3000, spread_out),
        "u4_no_predictors": Experiment(4, (6, 8), binary(4), sixteen, 4000, spread_out),
        "n1_autoencoder": Experiment(2, (1, 2), two_bits, UNEVEN, 2000, reconstruct),
    }
    names = QUICK_NAMES if config.experiments == "quick" else table
    steps = {name: max(1, round(config.length * table[name].steps)) for name in names}
    return {name: dataclasses.replace(table[name], steps=steps[name]) for name in names}


def judge(y, counts):
    """Of each net, how many patterns have codes of their own, and whether the code is factorial.

    y: (nets, patterns, n). Factorial: within 0.1 of binary, all patterns apart, and P(code) =
    product of P(bit) to 1e-9.
    """
    bits, share = y > 0.5, counts / counts.sum()
    binary = (np.abs(y - bits) < 0.1).all((1, 2))
    words = np.sort(bits @ 2 ** np.arange(y.shape[2]), axis=1)
    distinct = 1 + (np.diff(words, axis=1) > 0).sum(1)
    on = (share @ bits)[:, None]
    product = np.where(bits, on, 1 - on).prod(2)
    independent = (np.abs(product - share) < 1e-9).all(1)
    return distinct, binary & independent & (distinct == len(counts))


# --- one net, in the paper's symbols -----------------------------------------------------------

SPREAD = {"A": 0.5, "B": 1.5, "C": 0.5, "D": 0.5, "E": 1.0}  # weights start within, biases at 0


def draw(rng, nets, e):
    """Initial weights by their symbols, with a first axis for the nets: A (inputs, hidden), B
    (hidden, n), C (n, n, k), D (n, k), the decoder's E (n, inputs), and the biases a to e."""
    (k, hidden), n, inputs = e.hidden, e.units, e.patterns.shape[1]
    shapes = {"A": (inputs, hidden), "a": (hidden,), "B": (hidden, n), "b": (n,)}
    if e.rule is reconstruct:
        shapes |= {"E": (n, inputs), "e": (inputs,)}
    shapes |= {"C": (n, n, k), "c": (n, k), "D": (n, k), "d": (n,)}
    W = {}
    for name, shape in shapes.items():
        spread = SPREAD.get(name, 0)
        W[name] = rng.uniform(-spread, spread, (nets, *shape))
    W["C"][:, np.arange(n), np.arange(n)] = 0  # no predictor sees its own unit
    return W


def logistic(z):
    """s(z) = 1 / (1 + exp(-z)), by a tanh, which cannot overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def gradients_one(W, x, gradient="full"):
    """(y, P, dV/dW) of one presentation x: (inputs,) to one net W, as drawn but without the axis
    of the nets. Predictors shall descend V, the code net's A, a, B, b ascend it."""
    h = np.tanh(x @ W["A"] + W["a"])
    y = logistic(h @ W["B"] + W["b"])
    P, dP = np.zeros(len(y)), np.zeros((len(y), len(y)))  # dP[j, i] = dP_j/dy_i
    grads = {name: np.zeros_like(w) for name, w in W.items()}
    for i in range(len(y)):
        v = 2 * y - 1
        v[i] = 0
        g = np.tanh(v @ W["C"][i] + W["c"][i])
        P[i] = logistic(g @ W["D"][i] + W["d"][i])
        dz = P[i] * (1 - P[i])  # of P_i by the drive of the predictor's output ...
        dg = dz * W["D"][i] * (1 - g * g)  # ... and by the drives of its hidden units
        dP[i] = 2 * W["C"][i] @ dg
        error = P[i] - y[i]
        grads["C"][i], grads["c"][i] = error * np.outer(v, dg), error * dg
        grads["D"][i], grads["d"][i] = error * dz * g, error * dz
    dy = y - P
    if gradient == "full":
        dy += (P - y) @ dP
    dz = dy * y * (1 - y)
    dh = W["B"] @ dz * (1 - h * h)
    return y, P, grads | {"A": np.outer(x, dh), "a": dh, "B": np.outer(h, dz), "b": dz}


# --- many nets side by side --------------------------------------------------------------------


class TwoLayers:
    """Two-layer nets side by side, with the buffers of their passes: h = tanh(first [x, 1]) and
    v = tanh(second [h, 1] / 2).

    first: (nets, hidden, inputs + 1); second: (nets, outputs, hidden + 1). rate: step size of every
    weight, or of each (first, then second): below 0 to descend, 0 where there is no connection.
    h1 and v1 are h and v with a last row of 1; h1_rows and v1_rows have a row for each pattern.
    """

    def __init__(self, first, second, patterns, rate):
        nets, hidden, outputs = len(first), first.shape[1], second.shape[1]
        self.weights = np.concatenate([first.ravel(), second.ravel()])
        self.change, self.rate = np.empty_like(self.weights), rate
        self.first, self.second, self.d_first, self.d_second = (
            part.reshape(layer.shape)
            for whole in (self.weights, self.change)
            for part, layer in zip(np.split(whole, [first.size]), (first, second), strict=True)
        )
        self.h1, self.v1 = (np.ones((nets, units + 1, patterns)) for units in (hidden, outputs))
        self.h, self.v = self.h1[:, :-1], self.v1[:, :-1]
        self.drive, self.dh = np.empty((2, nets, hidden, patterns))
        self.z, self.dz = np.empty((2, nets, outputs, patterns))
        self.h1_rows, self.v1_rows = (np.swapaxes(part, 1, 2) for part in (self.h1, self.v1))
        self.back_first = np.swapaxes(self.first[:, :, :-1], 1, 2)
        self.back_second = np.swapaxes(self.second[:, :, :-1], 1, 2)

    def forward(self, x1):
        """Set h and v for x1: (nets or 1, inputs + 1, patterns), whose last row is 1."""
        np.matmul(self.first, x1, out=self.drive)
        np.tanh(self.drive, out=self.h)
        np.matmul(self.second, self.h1, out=self.z)
        self.z *= 0.5
        np.tanh(self.z, out=self.v)

    def backward(self):
        """Set dh, the derivative by the drives of h, given dz, that by the drives of v."""
        np.matmul(self.back_second, self.dz, out=self.dh)
        self.dh *= 1 - np.square(self.h)

    def step(self, x1_rows):
        """One step of all weights along their gradient, given dh and dz; x1 row by row."""
        np.matmul(self.dh, x1_rows, out=self.d_first)
        np.matmul(self.dz, self.h1_rows, out=self.d_second)
        self.change *= self.rate
        self.weights += self.change

    def values(self, x):
        """The outputs from 0 to 1 for rows x: (nets or none, patterns, inputs)."""
        h = np.tanh(x @ self.back_first + self.first[:, None, :, -1])
        return logistic(h @ self.back_second + self.second[:, None, :, -1])


def stack_code(W):
    """The matrices of the code nets' two layers."""
    layers = (W["A"], W["a"]), (W["B"], W["b"])
    return [np.swapaxes(np.concatenate([w, bias[:, None]], 1), 1, 2) for w, bias in layers]


def stack_predictors(W):
    """The matrices of two layers that hold all n predictors of a net, 0 where nothing connects."""
    nets, n, _, k = W["C"].shape
    first = np.concatenate([np.swapaxes(W["C"], 2, 3), W["c"][..., None]], axis=3)
    second = np.zeros((nets, n, n * k + 1))
    for i in range(n):
        second[:, i, i * k : (i + 1) * k], second[:, i, -1] = W["D"][:, i], W["d"][:, i]
    return first.reshape(nets, n * k, n + 1), second


def build(W, e, config):
    """The code nets and their predictors, with the rates of on-line or off-line learning."""
    rates, patterns = (config.offline_rate, config.offline_predictor_rate), len(e.counts)
    if e.rule in (play_online, spread_out):
        rates, patterns = (config.online_rate, config.online_predictor_rate), 1
    there = stack_predictors({name: (w != 0) | (name != "C") for name, w in W.items()})
    there = np.concatenate([layer.ravel() for layer in there])
    predictors = TwoLayers(*stack_predictors(W), patterns, -rates[1] * there)
    return TwoLayers(*stack_code(W), patterns, rates[0]), predictors


# --- learning ----------------------------------------------------------------------------------


def predict(code, predictors, weight):
    """Predictions for the present code, and dV/d(drives of the predictors).

    weight: (patterns,), how often each counts. dV/dz = weight (P - y) P (1 - P), which in
    q = 2 P - 1 and v = 2 y - 1 is weight / 8 (q - v) (1 - q^2). Returns weight / 8 (q - v).
    """
    predictors.forward(code.v1)
    gap = (predictors.v - code.v) * (weight / 8)
    np.multiply(gap, 1 - np.square(predictors.v), out=predictors.dz)
    predictors.backward()
    return gap


def escape(code, predictors, gap, gradient):
    """dV/d(drives of the code net), after predict: away from one's own prediction and, if full,
    towards what misleads the others' predictors.

    dV/dz = dV/dy y (1 - y) = (weight / 8 (v - q) + C dg / 2) (1 - v^2), dg = dV/d(drives of g).
    """
    np.negative(gap, out=code.dz)
    if gradient == "full":
        code.dz += 0.5 * (predictors.back_first @ predictors.dh)
    code.dz *= 1 - np.square(code.v)
    code.backward()


def presentations(rng, e, nets):
    """Patterns without end in shuffled epochs, each net in its own order: (nets, inputs + 1, 1)."""
    epoch = np.tile(np.repeat(np.arange(len(e.counts)), e.counts), (nets, 1))
    patterns = with_one(e.patterns)
    while True:
        yield from patterns[rng.permuted(epoch, axis=1).T][..., None]


def with_one(x):
    """x with a last column of 1, for the biases."""
    return np.concatenate([x, np.ones((*x.shape[:-1], 1))], axis=-1)


def play_online(rng, W, e, config):
    """After each presentation, both sides take a step."""
    code, predictors = build(W, e, config)
    for x1 in presentations(rng, e, config.nets):
        code.forward(x1)
        gap = predict(code, predictors, 1.0)
        escape(code, predictors, gap, config.gradient)
        predictors.step(code.v1_rows)
        code.step(np.swapaxes(x1, 1, 2))
        yield code, predictors


def play_offline(rng, W, e, config):
    """Some epochs of the predictors, then one of the code net, over all patterns at once."""
    code, predictors = build(W, e, config)
    x1, weight = with_one(e.patterns), e.counts / e.counts.sum()
    while True:
        code.forward(x1.T)
        for _ in range(config.predictor_epochs):
            predict(code, predictors, weight)
            predictors.step(code.v1_rows)
        gap = predict(code, predictors, weight)
        escape(code, predictors, gap, config.gradient)
        code.step(x1)
        yield code, predictors


def spread_out(rng, W, e, config):
    """Control: each unit ascends (v - its running mean)^2 / 8, its variance, on-line."""
    code, _ = build(W, e, config)
    mean = np.zeros_like(code.v)
    for x1 in presentations(rng, e, config.nets):
        code.forward(x1)
        mean += 0.05 * (code.v - mean)
        code.dz[:] = (code.v - mean) * (1 - code.v**2) / 8
        code.backward()
        code.step(np.swapaxes(x1, 1, 2))
        yield code, None


def reconstruct(rng, W, e, config):
    """Control: the code net and a logistic decoder reproduce the input bits, off-line."""
    code, _ = build(W, e, config)
    x1, weight, bits = with_one(e.patterns), e.counts / e.counts.sum(), (1 + e.patterns) / 2
    while True:
        code.forward(x1.T)
        grads = likeness(code, W, bits, weight)
        code.step(x1)
        for name, gradient in grads.items():
            W[name] += config.offline_rate * gradient
        yield code, None


def likeness(code, W, bits, weight):
    """Gradient of -1/2 sum weight (bits - r)^2, r = s(y E + e), by E and e; sets dz and dh."""
    y = 0.5 + 0.5 * np.swapaxes(code.v, 1, 2)
    r = logistic(y @ W["E"] + W["e"][:, None])
    dr = weight[:, None] * (bits - r) * r * (1 - r)
    code.dz[:] = (W["E"] @ np.swapaxes(dr, 1, 2)) * (1 - code.v**2) / 4
    code.backward()
    return {"E": np.swapaxes(y, 1, 2) @ dr, "e": dr.sum(1)}


def train(rng, e, config, observe):
    """Train the nets of an experiment and return the code nets; observe(step, code, predictors) is
    called every WATCHED steps and may end it."""
    lesson = e.rule(rng, draw(rng, config.nets, e), e, config)
    for step, (code, predictors) in zip(range(1, e.steps + 1), lesson, strict=False):
        if (step % WATCHED == 0 or step == e.steps) and observe(step, code, predictors):
            break
    return code


# --- run and evaluate --------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """All experiments, each with its own random stream."""
    table = paper_experiments(config)
    streams = np.random.default_rng(config.seed).spawn(len(table))
    codes, reached, curve = {}, {}, {}
    for (name, e), rng in zip(table.items(), streams, strict=True):
        first = np.full(config.nets, -1)

        def observe(step, code, predictors, name=name, e=e, first=first):
            y = code.values(e.patterns)
            good = judge(y, e.counts)[1]
            first[good & (first < 0)] = step
            if name == "u2":
                curve[step] = float((first > 0).mean())
            if watch:
                watch(step, e.steps, factorial=float(good.mean()), experiment=name, y=y)
            return predictors and good.all() and step - first.max() >= KEPT

        codes[name] = train(rng, e, config, observe).values(e.patterns)
        reached[name] = first
    history = {"presentations": list(curve), "u2_share": list(curve.values())}
    return Result(measure(table, codes, reached), history, codes, reached)


def measure(table, codes, reached):
    """Share of nets with a factorial code within the training length, and how many codes differ."""
    metrics = {f"{name}_share": float((first > 0).mean()) for name, first in reached.items()}
    distinct = {name: judge(y, table[name].counts)[0] for name, y in codes.items()}
    metrics["n1_invertible"] = float((distinct["n1"] == 4).mean())
    if "u3" in table:
        metrics["u3_codes"] = float(distinct["u3"].mean())
    control = "u4_no_predictors" if "u4" in table else "u2_no_predictors"
    metrics["control_share"] = max(metrics[f"{control}_share"], metrics["n1_autoencoder_share"])
    return metrics


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
    """Worst relative error of gradients_one; a test holds the fast form equal to it."""
    rng = np.random.default_rng(config.seed)
    e = Experiment(3, (2, 4), np.eye(3), np.ones(3, int), 1, play_online)
    W, x = {name: w[0] for name, w in draw(rng, 1, e).items()}, rng.uniform(-1, 1, 3)

    def value():
        y, P, _ = gradients_one(W, x)
        return 0.5 * ((P - y) ** 2).sum()

    return worst_relative_error(value, W, gradients_one(W, x)[2])


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
