"""Predictable stereo: two nets that see different patches of a stereogram agree on its depth.

Task      A right image of two strips, random binary vectors of w = 5 pixels; both left strips are
          the right ones shifted round by the same s = -1 or +1. Net T_l sees strip l, both images:
          10 bits. The strips are independent; s is all that they have in common. No pixel and no
          sum of pixels tells s: it is in products of neighbours.
          Second task (features): 8 bits; more ones on the right than on the left, more ones than
          zeros. Both nets get random inputs that agree in the two features.
Nets      T_1, T_2: tanh hidden units, logistic outputs y; separate weights, or shared ones.
Loss      |y_1 - y_2|^2 + D_1 + D_2, where D keeps a net from saying always the same:
          pm    predictability minimisation, D = -v sum_i (y_i - S_i)^2, S_i the best prediction of
                y_i from the other outputs of the same net (for one output: its mean)
          auto  reconstruction of the net's input from y by a linear decoder with weight decay
          none  D = 0
          imax  Becker and Hinton's: the loss is -log(var(y_1 + y_2) / var(y_1 - y_2)) / 2
Learning  Adam, or plain descent, on batches; ten nets of a condition side by side.

Arrays are (nets, 2 or 1, images, units): axis 1 is T_1, T_2, or the one shared net.

    python3 predictable_stereo.py --seed 0
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

EVERY, HOLD = 5, 1000  # updates between points; patterns for which a net must stay right
FEATURE_BITS = 8
PREDICTOR_RATE, PREDICTOR_STEPS = 10.0, 3
DECAY = 0.1  # of the decoder's weights


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
    """All conditions of the paper; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    task: str = option("all", "all conditions, or one task", among=("all", "stereo", "templates"))
    nets: int = option(10, "pairs of nets of a condition, side by side", 1, 100)
    hidden: int = option(40, "hidden units of a stereo net", 2, 200)
    width: int = option(5, "pixels of a strip", 3, 8)
    rule: str = option("adam", "ours, or descent with momentum", among=("adam", "descent"))
    variance: float = option(0.9, "weight v of the variance", 0.1, 2)
    patterns: int = option(100_000, "most patterns, pairs of views, of a condition", 50, 10_000_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"task": "stereo", "nets": 4, "patterns": 30_000}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # condition, patterns, share: of pairs of nets that are right on every view
    nets: dict  # weights by condition


@dataclass(frozen=True)
class Condition:
    """One line of experiments."""

    name: str
    kind: str = "pm"  # of the second term: pm, auto, none, imax
    shared: bool = False
    shuffled: bool = False  # the two nets see patterns that have nothing in common
    features: bool = False
    batch: int = 50
    rate: float = 0.01
    spread: float = 2.0  # initial weights: this over the root of the inputs
    limit: int = 100_000  # most patterns


STEREO = (
    Condition("separate"),
    Condition("shared", shared=True, limit=50_000),
)
CONTROLS = (
    Condition("shuffled", shared=True, shuffled=True, limit=40_000),
    Condition("none", kind="none", shared=True, limit=20_000),
    Condition("auto", kind="auto", shared=True, limit=40_000),
    Condition("imax", kind="imax", shared=True),
)
FEATURES = (
    Condition("features_pm", "pm", True, False, True, 20, 0.005, 1.0, 10_000),
    Condition("features_auto", "auto", True, False, True, 20, 0.01, 1.5, 15_000),
)


# --- tasks ----------------------------------------------------------------------------------------


def stereo_views(width):
    """All views whose shift is beyond doubt: bits (views, 2 width), s as classes (views, 1)."""
    views, shifts = [], []
    for number in range(2**width):
        right = [number >> k & 1 for k in range(width)]
        lefts = [right[-shift:] + right[:-shift] for shift in (-1, 1)]  # left[i] = right[i - s]
        if lefts[0] != lefts[1]:
            views += [right + left for left in lefts]
            shifts += [[False], [True]]
    return np.array(views), np.array(shifts)


def feature_views():
    """All inputs without a tie: bits (views, 8), both features (views, 2)."""
    views, features, half = [], [], FEATURE_BITS // 2
    for number in range(2**FEATURE_BITS):
        bits = [number >> k & 1 for k in range(FEATURE_BITS)]
        right, ones = sum(bits[half:]) - sum(bits[:half]), 2 * sum(bits) - FEATURE_BITS
        if right and ones:
            views.append(bits)
            features.append([right > 0, ones > 0])
    return np.array(views), np.array(features)


class Pairs:
    """Draws pairs of views with the same hidden classes, from a table of all views."""

    def __init__(self, bits, classes):
        self.x = np.concatenate([2.0 * bits - 1, np.ones((len(bits), 1))], 1)
        self.bits, self.classes = bits, classes
        code = classes @ (1 << np.arange(classes.shape[1]))
        self.members = np.stack([np.flatnonzero(code == c) for c in np.unique(code)])

    def draw(self, rng, nets, batch, shuffled):
        """Numbers of views (nets, 2, batch)."""
        groups, size = self.members.shape
        group = rng.integers(0, groups, (nets, 2 if shuffled else 1, batch))
        return self.members[group, rng.integers(0, size, (nets, 2, batch))]


# --- nets -----------------------------------------------------------------------------------------


def logistic(z):
    """1 / (1 + exp(-z)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def init(rng, condition, nets, inputs, hidden, outputs):
    """Weights N(0, spread^2 / inputs) of the layer; biases of the outputs in the last row of W2."""
    views = 1 if condition.shared else 2
    w = {"W1": rng.normal(size=(nets, views, inputs, hidden)) / math.sqrt(inputs)}
    w["W2"] = rng.normal(size=(nets, views, hidden + 1, outputs)) / math.sqrt(hidden)
    w["W2"][:, :, -1] = 0
    w = {name: condition.spread * array for name, array in w.items()}
    if condition.kind == "auto":
        w["decoder"] = np.zeros((nets, views, outputs + 1, inputs - 1))
    return w


def forward(w, x):
    """Hidden units with a constant, and outputs y, of every net for all views (images, inputs)."""
    h = np.tanh(x @ w["W1"])
    h = np.concatenate([h, np.ones((*h.shape[:3], 1))], 3)
    return h, logistic(h @ w["W2"])


def plain_loss(y1, y2, v):
    """The stereo objective of one pair of nets in plain words; y1, y2: lists over the batch."""
    n = len(y1)
    agree = sum((a - b) ** 2 for a, b in zip(y1, y2, strict=True)) / n
    means = sum(y1) / n, sum(y2) / n
    spread = sum((y - mean) ** 2 for ys, mean in zip((y1, y2), means, strict=True) for y in ys) / n
    return agree - v * spread


def agreement(y):
    """Mean of |y_1 - y_2|^2 (nets,) and its gradient; y is (nets, 2, batch, outputs)."""
    apart = y[:, 0] - y[:, 1]
    e = 2 * apart / y.shape[2]
    return (apart**2).sum(2).mean(1), np.stack([e, -e], 1)


def variance(y):
    """Sum of the variances of both nets' outputs (nets,), and its gradient: the mean's is nil."""
    off = y - y.mean(2, keepdims=True)
    return (off**2).sum(3).mean(2).sum(1), 2 * off / y.shape[2]


def information(y):
    """-1/2 log(var(y_1 + y_2) / var(y_1 - y_2)) (nets,), and its gradient."""
    total, apart = y[:, 0] + y[:, 1], y[:, 0] - y[:, 1]
    a, b = (z - z.mean(1, keepdims=True) for z in (total, apart))
    var_a, var_b = ((z**2).mean(1, keepdims=True) + 1e-6 for z in (a, b))
    e_a, e_b = -a / var_a / y.shape[2], b / var_b / y.shape[2]
    return (0.5 * np.log(var_b / var_a)).sum((1, 2)), np.stack([e_a + e_b, e_a - e_b], 1)


class Predictors:
    """S_i of codes of two outputs: a logistic unit each, on the other output and a constant."""

    def __init__(self, nets):
        self.V = np.zeros((nets, 1, 1, 2, 2))  # from the other output, from the constant

    def predict(self, y):
        """S (nets, 2, batch, outputs)."""
        return logistic(self.V[..., 0] * (y[..., ::-1] - 0.5) + self.V[..., 1])

    def learn(self, y):
        """A few steps downhill on the mean of (S - y)^2."""
        for _ in range(PREDICTOR_STEPS):
            S = self.predict(y)
            delta = 2 * (S - y) * S * (1 - S)
            grad = np.stack([delta * (y[..., ::-1] - 0.5), delta], -1)
            self.V -= PREDICTOR_RATE * grad.mean((1, 2), keepdims=True)

    def surprise(self, y):
        """Sum of the mean (S - y)^2 (nets,), and its gradient: through y, and through S."""
        S = self.predict(y)
        off = (y - S) / y.shape[2]
        through = off * S * (1 - S) * self.V[..., 0]
        return ((y - S) ** 2).sum(3).mean(2).sum(1), 2 * (off - through[..., ::-1])


def reconstruction(w, y, bits):
    """Mean squared error of a linear decoder (nets,), gradients by y and by the decoder.

    bits (nets, 2, batch, inputs) as -1 and 1. Weight decay is part of the objective.
    """
    A = w["decoder"]
    code = np.concatenate([2 * y - 1, np.ones((*y.shape[:3], 1))], 3)
    off = code @ A - bits
    e = 2 * off / off[0, 0].size
    loss = (off**2).mean((2, 3)).sum(1) + DECAY * (A[:, :, :-1] ** 2).sum((1, 2, 3))
    dA = code.swapaxes(2, 3) @ e
    if A.shape[1] == 1:
        dA = dA.sum(1, keepdims=True)
    dA[:, :, :-1] += 2 * DECAY * A[:, :, :-1]
    return loss, 2 * (e @ A[:, :, :-1].swapaxes(2, 3)), dA


def objective(condition, w, y, bits, v, predictors):
    """The loss of every pair (nets,), its gradient by y, and gradients of a decoder."""
    if condition.kind == "imax":
        loss, e = information(y)
        return loss, e, {}
    loss, e = agreement(y)
    if condition.kind == "none":
        return loss, e, {}
    if condition.kind == "auto":
        more, e_more, dA = reconstruction(w, y, bits)
        return loss + more, e + e_more, {"decoder": dA}
    spread, e_spread = variance(y) if predictors is None else predictors.surprise(y)
    return loss - v * spread, e - v * e_spread, {}


def backward(w, x, h, y_all, picked, e):
    """Gradients of W1 and W2; e is the error at y of the views picked (nets, 2, batch).

    Errors of equal views are added up first: one backward pass over the table of all views.
    """
    nets, views, count, outputs = y_all.shape
    at = np.arange(nets)[:, None, None] * views * count + picked
    if views == 2:
        at = at + np.array([0, count])[:, None]
    flat = at.ravel()
    e_all = [np.bincount(flat, part.ravel(), nets * views * count) for part in np.moveaxis(e, 3, 0)]
    return weight_gradients(w, x, h, y_all, np.stack(e_all, 1).reshape(y_all.shape))


def weight_gradients(w, x, h, y, e):
    """Gradients of W1 and W2 for the error e at y: d2 = e y (1 - y), d1 = d2 W2^T (1 - h^2)."""
    d2 = e * y * (1 - y)
    d1 = (d2 @ w["W2"][:, :, :-1].swapaxes(2, 3)) * (1 - h[..., :-1] ** 2)
    return {"W1": x.swapaxes(-1, -2) @ d1, "W2": h.swapaxes(2, 3) @ d2}


# --- learning -------------------------------------------------------------------------------------


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


class Descent:
    """Gradient descent with momentum, the paper's rule."""

    def __init__(self, weights):
        self.speed = {name: np.zeros_like(w) for name, w in weights.items()}

    def step(self, weights, grads):
        """Move each array of weights one step downhill."""
        for name, g in grads.items():
            self.speed[name] = 0.9 * self.speed[name] - 0.3 * g
            weights[name] += self.speed[name]


def right(y_all, classes):
    """Share of views (nets, 2 or 1) on which the rounded code is the classes, best naming."""
    said = y_all > 0.5
    if classes.shape[1] == 1:
        good = (said == classes).all(3).mean(2)
        return np.maximum(good, 1 - good)
    best = np.zeros(y_all.shape[:2])
    for order in ((0, 1), (1, 0)):
        for flip in np.ndindex(2, 2):
            wanted = classes[:, order] ^ np.array(flip, bool)
            best = np.maximum(best, (said == wanted).all(3).mean(2))
    return best


def train(condition, pairs, config, rng, history, watch, hidden):
    """Train the nets of a condition; returns weights, patterns to criterion (nan: never), shares.

    Criterion: both nets right on every view, for HOLD patterns. All nets go on until all are there.
    """
    nets, outputs = config.nets, pairs.classes.shape[1]
    w = init(rng, condition, nets, pairs.x.shape[1], hidden, outputs)
    predictors = Predictors(nets) if condition.kind == "pm" and outputs == 2 else None
    learner = Adam(w, condition.rate) if config.rule == "adam" else Descent(w)
    reached, since = np.full(nets, np.nan), np.full(nets, np.nan)
    views = 1 if condition.shared else 2
    updates = min(condition.limit, config.patterns) // condition.batch
    signed, pick = 2.0 * pairs.bits - 1, (np.arange(nets)[:, None, None], np.arange(2)[:, None])
    for update in range(max(1, updates) + 1):
        h, y_all = forward(w, pairs.x)
        seen = update * condition.batch
        share = right(y_all, pairs.classes)
        exact = (share == 1).all(1)
        since = np.where(exact, np.where(np.isnan(since), seen, since), np.nan)
        fresh = np.isnan(reached) & (seen - since >= HOLD)
        reached[fresh] = since[fresh]
        done = not np.isnan(reached).any()
        if update % EVERY == 0 or done or update == updates:
            if not np.isfinite(y_all).all():
                raise FloatingPointError("outputs grew beyond all numbers")
            point = condition.name, seen, float(exact.mean())
            for column, value in zip(history.values(), point, strict=True):
                column.append(value)
            if watch:
                state = {"condition": condition.name, "exact": float(exact.mean())}
                watch(seen, condition.limit, **state, y=y_all, share=share)
        if done or update >= max(1, updates):
            break
        picked = pairs.draw(rng, nets, condition.batch, condition.shuffled)
        y = y_all[pick[0], pick[1] % views, picked]
        if predictors:
            predictors.learn(y)
        bits = signed[picked] if condition.kind == "auto" else None
        _, e, grads = objective(condition, w, y, bits, config.variance, predictors)
        learner.step(w, grads | backward(w, pairs.x, h, y_all, picked, e))
    return w, reached, share, y_all


def run(config: Config = Config(), watch=None) -> Result:
    """Train every condition of the chosen task."""
    rng = np.random.default_rng(config.seed)
    result = Result({}, {"condition": [], "patterns": [], "share": []}, {})
    if config.task == "templates":
        return templates(config, rng, result)
    jobs = STEREO if config.task == "stereo" else STEREO + CONTROLS + FEATURES
    stereo, features = Pairs(*stereo_views(config.width)), Pairs(*feature_views())
    m = result.metrics
    for condition, stream in zip(jobs, rng.spawn(len(jobs)), strict=True):
        pairs, hidden = (features, 20) if condition.features else (stereo, config.hidden)
        args = condition, pairs, config, stream, result.history, watch, hidden
        w, reached, share, y_all = train(*args)
        name, there = condition.name, ~np.isnan(reached)
        result.nets[name] = w
        m[f"{name}_share"] = float(there.mean())
        m[f"{name}_patterns"] = float(np.median(reached)) if there.all() else None
        m[f"{name}_right"] = float(share.mean())
        if name == "auto":
            m["auto_found"] = float((share >= 0.9).all(1).mean())
        if condition in CONTROLS:
            m[f"{name}_variance"] = float(y_all.var(2).mean())
        if condition.features:
            m[f"{name}_binary"] = float(np.abs(y_all - 0.5).mean())
    slow, fast = m["separate_patterns"], m["shared_patterns"]
    m["speedup"] = slow / fast if slow is not None and fast else None
    if config.task == "all":
        m["shuffled_signal"] = abs(m["shuffled_right"] - 0.5)
        m["features_share"] = min(m["features_pm_share"], m["features_auto_share"])
    return result


# --- the earlier catalog's task -------------------------------------------------------------------


def template_views(rng, templates, batch, shuffled):
    """Views (nets, 2, batch, 17) and z (nets, 2, batch), -1 or 1: half of a view is z * template.

    A tenth of these bits is flipped; the other half is noise. templates: (nets, 2, 8) of -1 and 1.
    """
    nets = len(templates)
    z = 2 * rng.integers(0, 2, (nets, 2 if shuffled else 1, batch)) - 1
    z = np.broadcast_to(z, (nets, 2, batch))
    flips = np.where(rng.random((nets, 2, batch, 8)) < 0.1, -1, 1)
    noise = 2 * rng.integers(0, 2, (nets, 2, batch, 8)) - 1
    bits = np.concatenate([z[..., None] * templates[:, :, None] * flips, noise], 3)
    return np.concatenate([bits, np.ones((nets, 2, batch, 1))], 3), z


def templates(config, rng, result):
    """The earlier catalog's linear task: the sign of a noisy template, by the same objective."""
    for name, shuffled in (("templates", False), ("shuffled", True)):
        condition = Condition(name, batch=100, spread=1.0)
        w = init(rng, condition, config.nets, 17, 20, 1)
        adam, masks = Adam(w, condition.rate), 2 * rng.integers(0, 2, (config.nets, 2, 8)) - 1
        for _ in range(max(1, min(20_000, config.patterns) // condition.batch)):
            x, _ = template_views(rng, masks, condition.batch, shuffled)
            h, y = forward(w, x)
            _, e, _ = objective(condition, w, y, None, config.variance, None)
            adam.step(w, weight_gradients(w, x, h, y, e))
        found = np.zeros((config.nets, 2))
        for _ in range(20):  # 20,000 fresh pairs
            x, z = template_views(rng, masks, 1000, False)
            found += ((forward(w, x)[1][..., 0] > 0.5) == (z > 0)).mean(2) / 20
        result.metrics[f"{name}_right"] = float(np.maximum(found, 1 - found).mean())
        result.nets[name] = w
    return result


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
    """Worst relative error of the gradients of every kind of objective."""
    rng, worst = np.random.default_rng(config.seed), 0.0
    for condition in STEREO + CONTROLS + FEATURES:
        pairs = Pairs(*(feature_views() if condition.features else stereo_views(5)))
        w = init(rng, condition, 2, pairs.x.shape[1], 4, pairs.classes.shape[1])
        if "decoder" in w:
            w["decoder"] += rng.normal(0, 0.3, w["decoder"].shape)
        predictors = Predictors(2) if condition.features and condition.kind == "pm" else None
        if predictors:
            predictors.V += rng.normal(0, 1, predictors.V.shape)
        picked = pairs.draw(rng, 2, 20, condition.shuffled)
        bits = 2.0 * pairs.bits[picked] - 1
        views = np.arange(2)[:, None] % (1 if condition.shared else 2)
        pick = np.arange(2)[:, None, None], views, picked

        def loss(w=w, pairs=pairs, condition=condition, pick=pick, bits=bits, S=predictors):
            y = forward(w, pairs.x)[1][pick]
            return float(objective(condition, w, y, bits, 0.9, S)[0].sum())

        h, y_all = forward(w, pairs.x)
        _, e, grads = objective(condition, w, y_all[pick], bits, 0.9, predictors)
        grads = grads | backward(w, pairs.x, h, y_all, picked, e)
        worst = max(worst, worst_relative_error(loss, w, grads))
    return worst


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
