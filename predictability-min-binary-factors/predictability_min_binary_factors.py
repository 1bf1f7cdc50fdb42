"""Predictability minimization: code units that escape predictors watching the other units find
factorial codes.

Task      Small ensembles of patterns with given probabilities. Code units y = (y_1 ... y_n) in (0,
          1) shall become binary, differ between patterns, and be statistically independent: P(code)
          = product of P(bit). The net never sees factors.
Net       code       h = tanh(x A + a), y = s(h B + b), one hidden layer for all code units
          predictor  g_i = tanh((2 y - 1) C_i + c_i), P_i = s(g_i D_i + d_i), one for each unit i,
                     sees all y_j but y_i
          s is the logistic function. What one layer gives to the next lies between -1 and 1: see
          the README.
Learning  V = 1/2 sum_patterns sum_i (P_i - y_i)^2: predictors descend V, the code net ascends it.
          There is no decoder. On-line: both after each presentation. Off-line: a few predictor
          epochs, then one code epoch, over all patterns. Code gradient: full, dV/dy_i = (y_i - P_i)
          + sum_j (P_j - y_j) dP_j/dy_i, or short, without the sum.
Control   No predictors (ascend the variance of the units); an auto-encoder with n code units and no
          adversary.

Ten independent nets of an experiment learn side by side: weights are (nets, fan in, fan out),
predictors (nets, n, ...).

    python3 predictability_min_binary_factors.py --seed 0
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
    """What is run, and the learning rates, which the paper does not give; the defaults give the
    headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    nets: int = option(10, "independent nets of each experiment", 1, 1000)
    experiments: str = option(
        "paper",
        "the paper's nine and controls, U2 and N1 (quick), or mixing with a decoder",
        among=("paper", "quick", "mixing"),
    )
    gradient: str = option(
        "full",
        "code gradient, with the path through the predictors (full) or without it (short)",
        among=("full", "short"),
    )
    online_rate: float = option(0.25, "step size of the code net after a presentation", 1e-6, 100.0)
    online_predictor_rate: float = option(
        3.0, "step size of the predictors after a presentation", 1e-6, 1000.0
    )
    offline_rate: float = option(
        6.0,
        "step size of the code net after an epoch (gradient of the mean over its presentations)",
        1e-6,
        100.0,
    )
    offline_predictor_rate: float = option(
        9.0, "step size of the predictors after an epoch", 1e-6, 1000.0
    )
    predictor_epochs: int = option(5, "predictor epochs before each code epoch, off-line", 1, 100)
    o3_presentations: int = option(
        100_000, "cap of experiment O3, the paper's is 250,000 [presentations]", 50, 10_000_000
    )

    def __post_init__(self):
        check_options(self)


QUICK = {"experiments": "quick"}
# Weights start uniformly in plus or minus this, biases at 0.
SPREAD = {"A": 0.5, "B": 1.5, "C": 0.5, "D": 0.5, "E": 1.0}
MIXING_EPOCHS, MIXING_RATE = 1500, 0.5
# Mixing task: weight of the game beside reconstruction, and the epochs over which it grows.
ADVERSARY, RAMP = 0.3, 400


@dataclass(frozen=True)
class Experiment:
    """units: code units n; hidden: of a predictor, of the code net; patterns: (P, inputs); counts:
    presentations of each pattern in an epoch; steps: epochs, or presentations if online; rule: pm,
    variance (no predictors) or autoencoder."""

    units: int
    hidden: tuple
    patterns: np.ndarray
    counts: np.ndarray
    steps: int
    online: bool = False
    rule: str = "pm"


UNEVEN = np.array(
    [1, 2, 2, 4]
)  # presentations of patterns a, b, c, d in an epoch: probabilities 1/9, 2/9, 2/9, 4/9


def paper_experiments(config):
    """The paper's nine experiments, two with local input that it reports as failing, and three
    controls."""

    def local(count):
        return np.eye(count), np.ones(count, int)

    def distributed(bits, counts=None):
        words = 2.0 * (np.arange(2**bits)[:, None] >> np.arange(bits) & 1) - 1
        return words, np.ones(2**bits, int) if counts is None else counts

    table = {
        "u1": Experiment(2, (3, 4), *local(4), 20_000),
        "u2": Experiment(2, (2, 4), *distributed(2), 3000, True),
        "u3": Experiment(4, (3, 16), *local(16), 20_000),
        "u4": Experiment(4, (6, 8), *distributed(4), 4000, True),
        "o1": Experiment(3, (3, 4), *local(4), 10_000),
        "o2": Experiment(4, (3, 4), *local(4), 10_000),
        "o3": Experiment(4, (2, 4), *distributed(2), config.o3_presentations, True),
        "n1": Experiment(2, (1, 2), *distributed(2, UNEVEN), 2000),
        "n2": Experiment(3, (1, 2), *distributed(2, UNEVEN), 2000),
        "n_local_2": Experiment(2, (1, 2), np.eye(4), UNEVEN, 2000),
        "n_local_3": Experiment(3, (1, 2), np.eye(4), UNEVEN, 2000),
        "u2_no_predictors": Experiment(2, (2, 4), *distributed(2), 3000, True, "variance"),
        "u4_no_predictors": Experiment(4, (6, 8), *distributed(4), 4000, True, "variance"),
        "n1_autoencoder": Experiment(
            2, (1, 2), *distributed(2, UNEVEN), 2000, False, "autoencoder"
        ),
    }
    if config.experiments == "quick":
        return {name: table[name] for name in ("u2", "n1", "u2_no_predictors", "n1_autoencoder")}
    return table


@dataclass
class Result:
    """codes: experiment -> final outputs (nets, patterns, n); reached: experiment -> first step of
    each net with a factorial code, or -1; history: share of factorial nets of U2 along its
    training."""

    metrics: dict
    history: dict
    codes: dict
    reached: dict


# --- the nets ----------------------------------------------------------------------------------


def logistic(z):
    y = np.tanh(0.5 * z)
    y *= 0.5
    y += 0.5
    return y


def draw(rng, nets, shapes):
    """Weights uniform in plus or minus their SPREAD, biases (lower case) 0; one set a net."""
    spread = {name: SPREAD.get(name, 0) for name in shapes}
    return {
        name: rng.uniform(-spread[name], spread[name], (nets, *shape))
        for name, shape in shapes.items()
    }


def init_code(rng, nets, inputs, hidden, units, decoder=False):
    """The code net of every run; with a decoder only for the auto-encoder control and the mixing
    task."""
    shapes = {"A": (inputs, hidden), "a": (1, hidden), "B": (hidden, units), "b": (1, units)}
    return draw(rng, nets, shapes | ({"E": (units, inputs), "e": (1, inputs)} if decoder else {}))


def init_predictors(rng, nets, units, hidden):
    """n predictors of every run; connections from the predicted unit itself stay zero."""
    shapes = {
        "C": (units, units, hidden),
        "c": (units, 1, hidden),
        "D": (units, hidden, 1),
        "d": (units, 1, 1),
    }
    weights = draw(rng, nets, shapes)
    weights["C"][:, np.arange(units), np.arange(units)] = 0
    return weights


def encode(code, x):
    """Hidden layer h: (nets, patterns, hidden) and code y: (nets, patterns, n); x: (nets or 1,
    patterns, inputs)."""
    h = np.tanh(x @ code["A"] + code["a"])
    return h, logistic(h @ code["B"] + code["b"])


def predict(predictors, y):
    """Hidden layers g: (nets, n, patterns, hidden) and predictions P: (nets, n, patterns, 1)."""
    g = np.tanh((2 * y - 1)[:, None] @ predictors["C"] + predictors["c"])
    return g, logistic(g @ predictors["D"] + predictors["d"])


def by_unit(y):
    """Code (nets, patterns, n) in the order of the predictions."""
    return np.swapaxes(y, 1, 2)[..., None]


def by_pattern(p):
    """Predictions (nets, n, patterns, 1) in the order of the code."""
    return np.swapaxes(p[..., 0], 1, 2)


def predictor_backward(predictors, y, g, p, weight):
    """Gradient of V with respect to the predictors, and with respect to the drives of their hidden
    units, like g.

    weight: (patterns, 1), how often a pattern counts.
    """
    dz = weight * (p - by_unit(y)) * p * (1 - p)
    dg = dz * np.swapaxes(predictors["D"], 2, 3)
    dg *= 1 - g * g
    own = np.arange(y.shape[2])
    grads = {"C": np.swapaxes(2 * y - 1, 1, 2)[:, None] @ dg, "c": dg.sum(2, keepdims=True)}
    grads |= {"D": np.swapaxes(g, 2, 3) @ dz, "d": dz.sum(2, keepdims=True)}
    grads["C"][:, own, own] = 0
    return grads, dg


def code_backward(code, x, h, y, dy):
    """Gradient with respect to the code net, given dy: (nets, patterns, n)."""
    dz = dy * y * (1 - y)
    dh = dz @ np.swapaxes(code["B"], 1, 2) * (1 - h * h)
    grads = {"A": np.swapaxes(x, 1, 2) @ dh, "a": dh.sum(1, keepdims=True)}
    return grads | {"B": np.swapaxes(h, 1, 2) @ dz, "b": dz.sum(1, keepdims=True)}


def escape(predictors, y, p, dg, weight, gradient):
    """dV/dy of the code units: away from one's own prediction and, if full, towards what misleads
    the others' predictors."""
    own = weight * (y - by_pattern(p))
    return own + 2 * (dg @ np.swapaxes(predictors["C"], 2, 3)).sum(1) if gradient == "full" else own


# --- training ----------------------------------------------------------------------------------


def ascend(weights, grads, rate):
    for name, grad in grads.items():
        weights[name] += rate * grad


def train_online(rng, experiment, config, observe):
    """After each presentation both sides take a step; patterns come in shuffled epochs, each net
    has its own order."""
    e, nets, one = experiment, config.nets, np.ones((1, 1))
    code = init_code(rng, nets, e.patterns.shape[1], e.hidden[1], e.units)
    predictors = init_predictors(rng, nets, e.units, e.hidden[0])
    epoch = np.repeat(np.arange(len(e.patterns)), e.counts)
    average = np.full((nets, 1, e.units), 0.5)
    for t in range(e.steps):
        if t % len(epoch) == 0:
            order = rng.permuted(np.tile(epoch, (nets, 1)), axis=1)
        x = e.patterns[order[:, t % len(epoch)]][:, None]
        h, y = encode(code, x)
        if e.rule == "variance":
            average += 0.05 * (y - average)
            ascend(code, code_backward(code, x, h, y, y - average), config.online_rate)
        else:
            g, p = predict(predictors, y)
            grads, dg = predictor_backward(predictors, y, g, p, one)
            ascend(
                code,
                code_backward(code, x, h, y, escape(predictors, y, p, dg, one, config.gradient)),
                config.online_rate,
            )
            ascend(predictors, grads, -config.online_predictor_rate)
        if (t + 1) % 50 == 0 and observe(t + 1, code, predictors):
            break
    return code


def train_offline(rng, experiment, config, observe):
    """Some predictor epochs, then one code epoch, over all patterns at once."""
    e, nets = experiment, config.nets
    code = init_code(rng, nets, e.patterns.shape[1], e.hidden[1], e.units, e.rule == "autoencoder")
    predictors = init_predictors(rng, nets, e.units, e.hidden[0])
    x, weight = e.patterns[None], e.counts[:, None] / e.counts.sum()
    for t in range(e.steps):
        h, y = encode(code, x)
        if e.rule == "autoencoder":
            ascend(code, reconstruct_backward(code, x, h, y, weight), config.offline_rate)
        else:
            code_step(code, predictors, x, h, y, weight, config, config.offline_rate)
        if (t + 1) % 50 == 0 and observe(t + 1, code, predictors):
            break
    return code


def code_step(code, predictors, x, h, y, weight, config, rate):
    """Predictor epochs on the present code, then the code net's step."""
    for _ in range(config.predictor_epochs):
        g, p = predict(predictors, y)
        ascend(
            predictors,
            predictor_backward(predictors, y, g, p, weight)[0],
            -config.offline_predictor_rate,
        )
    g, p = predict(predictors, y)
    dg = predictor_backward(predictors, y, g, p, weight)[1]
    ascend(
        code,
        code_backward(code, x, h, y, escape(predictors, y, p, dg, weight, config.gradient)),
        rate,
    )


def reconstruct_backward(code, x, h, y, weight, linear=False):
    """Gradient of minus half the squared reconstruction error (to be ascended): of x, or of (1 + x)
    / 2 by a logistic decoder."""
    out = y @ code["E"] + code["e"]
    if linear:
        dz = weight * (x - out)
    else:
        out = logistic(out)
        dz = weight * ((1 + x) / 2 - out) * out * (1 - out)
    grads = code_backward(code, x, h, y, dz @ np.swapaxes(code["E"], 1, 2))
    return grads | {"E": np.swapaxes(y, 1, 2) @ dz, "e": dz.sum(1, keepdims=True)}


# --- judging codes -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judgement:
    """What a code is, on all patterns: number of distinct words, and whether it is factorial."""

    distinct: int
    factorial: bool


def judge(y, counts):
    """Judge one net's code y: (patterns, n). Factorial: within 0.1 of binary, invertible, P(code) =
    product of P(bit) to 1e-9."""
    bits = y > 0.5
    binary = bool((np.abs(y - bits) < 0.1).all())
    distinct = len(np.unique(bits, axis=0))
    share = counts / counts.sum()
    on = share @ bits
    independent = np.prod(np.where(bits, on, 1 - on), axis=1)
    factorial = binary and distinct == len(y) and bool(np.abs(independent - share).max() < 1e-9)
    return Judgement(distinct, factorial)


def objective(y, p, counts):
    """V of each net: half the squared prediction errors, summed over an epoch's presentations; p by
    unit, as predicted."""
    return 0.5 * (counts[:, None] * (by_pattern(p) - y) ** 2).sum((1, 2))


def ideal_objective(bits, counts):
    """V of a binary code under predictors that know the code: P_i = E[y_i | the other units]; bits:
    (patterns, n)."""
    total = 0.0
    for i in range(bits.shape[1]):
        others = np.delete(bits, i, axis=1)
        same = (others[:, None] == others[None]).all(2)
        expected = same @ (counts * bits[:, i]) / (same @ counts)
        total += 0.5 * (counts * (expected - bits[:, i]) ** 2).sum()
    return total


# --- the experiments -----------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """All experiments, each with its own random stream."""
    if config.experiments == "mixing":
        return run_mixing(config, watch)
    table = paper_experiments(config)
    streams = np.random.default_rng(config.seed).spawn(len(table))
    codes, reached, curve = {}, {}, []
    for (name, e), rng in zip(table.items(), streams, strict=True):
        first = np.full(config.nets, -1)

        def observe(step, code, predictors, name=name, e=e, first=first):
            y = encode(code, e.patterns[None])[1]
            good = np.array([judge(each, e.counts).factorial for each in y])
            first[good & (first < 0)] = step
            if name == "u2":
                curve.append(float((first > 0).mean()))
            if watch:
                watch(
                    step,
                    e.steps,
                    factorial=float(good.mean()),
                    experiment=name,
                    y=y,
                    code=code,
                    predictors=predictors,
                )
            return e.rule == "pm" and good.all() and step - first.max() >= 1000

        code = (train_online if e.online else train_offline)(rng, e, config, observe)
        codes[name], reached[name] = encode(code, e.patterns[None])[1], first
    history = {"presentations": [50 * (k + 1) for k in range(len(curve))], "u2_share": curve}
    return Result(measure(table, codes, reached), history, codes, reached)


def measure(table, codes, reached):
    """Share of nets with a factorial code within the training length, and for U3 and N1 how many
    codes differ."""
    metrics = {f"{name}_share": float((first > 0).mean()) for name, first in reached.items()}
    judged = {name: [judge(y, table[name].counts) for y in codes[name]] for name in codes}
    metrics["n1_invertible"] = float(np.mean([j.distinct == 4 for j in judged["n1"]]))
    metrics["n1_autoencoder_invertible"] = float(
        np.mean([j.distinct == 4 for j in judged["n1_autoencoder"]])
    )
    control = "u4_no_predictors" if "u4" in table else "u2_no_predictors"
    if "u3" in table:
        metrics["u3_codes"] = float(np.mean([j.distinct for j in judged["u3"]]))
    metrics["control_share"] = max(metrics[f"{control}_share"], metrics["n1_autoencoder_share"])
    return metrics


def run_mixing(config, watch):
    """Four balanced factors mixed linearly into eight noisy inputs: auto-encoder with and without
    the adversary."""
    rng = np.random.default_rng(config.seed)
    words = (
        2.0 * (np.arange(128)[:, None] >> np.arange(4) & 1) - 1
    )  # each of the 16 combinations 8 times
    factors = np.tile(words, (config.nets, 1, 1))
    mixer = rng.normal(size=(config.nets, 4, 8))
    mixer /= np.linalg.norm(mixer, axis=2, keepdims=True)
    x = factors @ mixer + 0.05 * rng.normal(size=(config.nets, 128, 8))
    fresh = rng.choice([-1.0, 1.0], (config.nets, 4096, 4))
    test = fresh @ mixer + 0.05 * rng.normal(size=(config.nets, 4096, 8))
    metrics, codes, curve = {}, {}, []
    weight = np.full((128, 1), 1 / 128)
    for name, adversary in (("mixing", True), ("mixing_alone", False)):
        code = init_code(rng, config.nets, 8, 32, 4, decoder=True)
        code["A"] *= 0.5  # eight inputs, not two to four
        predictors = init_predictors(rng, config.nets, 4, 6)
        for t in range(MIXING_EPOCHS):
            h, y = encode(code, x)
            if adversary:
                code_step(
                    code,
                    predictors,
                    x,
                    h,
                    y,
                    weight,
                    config,
                    MIXING_RATE * ADVERSARY * min(1, t / RAMP),
                )
                h, y = encode(code, x)
            ascend(code, reconstruct_backward(code, x, h, y, weight, linear=True), MIXING_RATE)
            if watch and t % 50 == 0:
                watch(t, MIXING_EPOCHS, experiment=name)
            if adversary and (t + 1) % 50 == 0:
                curve.append(float(recovery(y, factors).mean()))
        codes[name] = encode(code, test)[1]
        metrics[f"{name}_bits"] = float(recovery(codes[name], fresh).mean())
        metrics[f"{name}_information"] = float(pairwise_information(codes[name] > 0.5).mean())
    history = {"epochs": [50 * (k + 1) for k in range(len(curve))], "bits": curve}
    return Result(metrics, history, codes, {})


def recovery(y, factors):
    """Share of factor bits that the matching units give, of each net; factors -1 or 1, units
    matched greedily by correlation."""
    signs = np.where(y > 0.5, 1.0, -1.0)
    agreement = np.swapaxes(signs, 1, 2) @ factors / y.shape[1]  # (nets, units, factors)
    shares = np.zeros(len(y))
    for net, table in enumerate(np.abs(agreement)):
        for _ in range(table.shape[0]):
            unit, factor = np.unravel_index(table.argmax(), table.shape)
            shares[net] += (1 + table[unit, factor]) / 2 / factors.shape[2]
            table[unit], table[:, factor] = -1, -1
    return shares


def pairwise_information(bits):
    """Mean mutual information between two code bits of a net, over all pairs [nats]; bits: (nets,
    samples, n)."""
    n, total = bits.shape[2], np.zeros(len(bits))
    for i in range(n):
        for j in range(i):
            for u in (bits[..., i], ~bits[..., i]):
                for v in (bits[..., j], ~bits[..., j]):
                    joint, chance = (u & v).mean(1), u.mean(1) * v.mean(1)
                    total += np.where(
                        joint > 0,
                        joint * np.log(np.maximum(joint, 1e-12) / np.maximum(chance, 1e-12)),
                        0,
                    )
    return total / (n * (n - 1) / 2)


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
    """Worst relative error of both sides' gradients of V, and of the decoder's, against central
    differences."""
    rng = np.random.default_rng(config.seed)
    x, counts = rng.random((1, 5, 3)), np.array([1, 2, 3, 1, 2])
    code, predictors = init_code(rng, 2, 3, 4, 3, decoder=True), init_predictors(rng, 2, 3, 2)
    weight = counts[:, None]
    h, y = encode(code, x)
    g, p = predict(predictors, y)
    grads, dg = predictor_backward(predictors, y, g, p, weight)

    def value():
        y = encode(code, x)[1]
        return float(objective(y, predict(predictors, y)[1], counts).sum())

    def reconstruction():
        out = logistic(encode(code, x)[1] @ code["E"] + code["e"])
        return float(-0.5 * (weight * ((1 + x) / 2 - out) ** 2).sum())

    joined = grads | code_backward(code, x, h, y, escape(predictors, y, p, dg, weight, "full"))
    numeric = worst_relative_error(
        value, code | predictors, {k: v for k, v in joined.items() if k != "C"}
    )
    kept, others = predictors["C"], 1 - np.eye(3)[:, :, None]

    def masked():
        predictors["C"] = kept * others
        return value()

    numeric = max(numeric, worst_relative_error(masked, {"C": kept}, {"C": joined["C"]}))
    predictors["C"] = kept
    decoder = reconstruct_backward(code, x, h, y, weight)
    return max(numeric, worst_relative_error(reconstruction, code, decoder))


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
