"""Fast weights as variables: a net binds contents to names by writing another net's weights.

Car       "Where is my car?" An endless stream: drive (ends with probability 1/4 a step), park in
          one of three slots, whose detector is on for that step, do business (ends likewise), drive
          again. S sees three detectors and three random bits; F is asked, at half of the steps,
          and says with its three fast weights where the car is. The target comes only if it is
          asked while the car is parked. Leaving is not signalled; parking must overwrite.
              y(t) = w(t-1),  w_k(t) = f(w_k(t-1) + S_k x(t)),  f(z) = 1 / (1 + exp(-T (z - 1/2))).
          Schmidhuber 1992, section 3.2: exact on-line gradient, p_k = dw_k / dS_k as in
          p(t) = T w (1 - w) (p(t-1) + x(t)). Ours: p is held to 1, the rate is 0.3.
Binding   Not in the paper: 8 names, 8 contents. An assignment comes with probability 0.3. S has 8
          "from" and 8 "to" outputs, w_ab(t) = f(w_ab(t-1) + from_a to_b); F is asked for a name
          at half of the steps. Learnt by windows of 32 steps, back-propagation, Adam; fast
          weights go on from window to window. Control: the write is added and not bounded.
Pairs     The earlier catalog's data: five pairs of keys, 8 numbers around a common mean, and
          values; W is the sum of v phi(k)', read with phi of one of the keys. phi: 128 units
          exp(V k + c), scaled to length 1. Control: phi(k) = A k.
Shapes    Replicas side by side. Car: S and p (nets, 3, 6), w (nets, 3). Binding: from and to
          weights (nets, 19, 8), w (nets, streams, 8, 8). Pairs: keys (episodes, 6, 8), the last is
          the query.
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

T, NEAR, WINDOW = 10.0, 0.05, 100  # steepness of the bound; right; clean queries in a row
SLOTS, BITS, DELAYS = 3, 3, 1000
NAMES, CONTENTS, SEEN, STREAMS, SPAN = 8, 8, 8 + 8 + 3, 16, 32
PAIRS, KEY, UNITS, BATCH = 5, 8, 128, 64


@dataclass(frozen=True)
class Config:
    """Three tasks; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    replicas: int = option(100, "nets that learn the car task side by side", 1, 500)
    steps: int = option(10_000, "steps of the car stream", 200, 100_000)
    eta: float = option(0.3, "step size in the car task", 1e-4, 10)
    clip: float = option(1.0, "bound on the derivatives p; 1e6 is as good as none", 1e-3, 1e6)
    nets: int = option(8, "nets that learn to bind side by side (0: none)", 0, 20)
    updates: int = option(1200, "updates of these", 1, 1_000_000)
    pairs: bool = option(True, "do the task of the earlier catalog, too")

    def __post_init__(self):
        check_options(self)


QUICK = {"replicas": 20, "steps": 6000, "nets": 0, "updates": 20, "pairs": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves: task, step, value (share solved, recall, cosine)
    starts: np.ndarray  # step at the end of the clean window of every net (0: never)
    nets: dict  # weights by task


def bounded(z):
    """f(z), the bounded rule."""
    return 0.5 + 0.5 * np.tanh(0.5 * T * (z - 0.5))


# --- where is my car? -----------------------------------------------------------------------------


def car_stream(rng, replicas, steps):
    """What S sees x (steps, replicas, 6), whether F is asked and has a target, the slot (0 to 2).

    asked (steps, replicas) is true at queried steps while the car is parked, from the step after
    the one in which it parked; slot (steps, replicas) is the one it is in.
    """
    x = np.zeros((steps, replicas, SLOTS + BITS))
    x[:, :, SLOTS:] = rng.integers(0, 2, (steps, replicas, BITS))
    ends, query = rng.random((steps, replicas)) < 0.25, rng.random((steps, replicas)) < 0.5
    choice = rng.integers(0, SLOTS, (steps, replicas))
    parked, slot = np.zeros(replicas, bool), np.zeros(replicas, int)
    asked, slots = np.zeros((steps, replicas), bool), np.zeros((steps, replicas), int)
    net = np.arange(replicas)
    for t in range(steps):
        asked[t], slots[t] = parked & query[t], slot
        parks = ~parked & ends[t]
        slot = np.where(parks, choice[t], slot)
        x[t, net[parks], slot[parks]] = 1
        parked = parks | (parked & ~ends[t])
    return x, asked, slots


class CarNets:
    """Slow weights S, fast weights w and derivatives p of nets that learn on line."""

    def __init__(self, rng, config):
        self.S = rng.uniform(-0.1, 0.1, (config.replicas, SLOTS, SLOTS + BITS))
        self.w, self.p = np.zeros((config.replicas, SLOTS)), np.zeros(self.S.shape)
        self.config = config

    def learn(self, asked, target):
        """A step downhill where F is asked; returns the errors (nets, 3)."""
        off = self.w - target
        self.S -= self.config.eta * (off * asked[:, None])[:, :, None] * self.p
        return off

    def write(self, x):
        """New fast weights and derivatives; x (nets, 6)."""
        self.w = bounded(self.w + np.einsum("nkj,nj->nk", self.S, x))
        self.p = (T * self.w * (1 - self.w))[:, :, None] * (self.p + x[:, None])
        if self.config.clip < 1e6:
            np.clip(self.p, -self.config.clip, self.config.clip, out=self.p)


def train_car(config, rng, history, watch):
    """Let the nets learn; returns them and the step (nets,) that ends their first clean window.

    Clean: 100 answers in a row within 0.05 on all outputs.
    """
    nets = CarNets(rng, config)
    x, asked, slots = car_stream(rng, config.replicas, config.steps)
    targets = np.eye(SLOTS)[slots]
    clean, ends = np.zeros((2, config.replicas), int)
    for t in range(config.steps):
        off = nets.learn(asked[t], targets[t])
        good = np.abs(off).max(1) <= NEAR
        clean = np.where(asked[t], np.where(good, clean + 1, 0), clean)
        ends[(clean == WINDOW) & (ends == 0)] = t + 1
        nets.write(x[t])
        if (t + 1) % 100 == 0 or t + 1 == config.steps:
            if not np.isfinite(nets.S).all():
                raise FloatingPointError("weights grew beyond all numbers; choose a smaller eta")
            share = float((ends > 0).mean())
            note(history, "car", t + 1, share)
            if watch:
                view = {"slow": nets.S, "fast": nets.w, "x": x[t], "slot": slots[t]}
                watch(t + 1, config.steps, task="car", solved=share, **view)
    return nets, ends


def car_recall(nets, rng):
    """Share of right answers (nets,), slow weights frozen, 1 to 1000 steps after parking."""
    count, right = len(nets.S), 0
    for slot in range(SLOTS):
        w = bounded(rng.random((count, SLOTS)))  # whatever was before
        for t in range(DELAYS + 1):
            x = np.zeros((count, SLOTS + BITS))
            x[:, SLOTS:] = rng.integers(0, 2, (count, BITS))
            x[:, slot] = t == 0
            if t:
                right = right + (np.abs(w - np.eye(SLOTS)[slot]).max(1) <= NEAR)
            w = bounded(w + np.einsum("nkj,nj->nk", nets.S, x))
    return right / (SLOTS * DELAYS)


def car_static(rng, config):
    """Accuracy (nets,) of F alone, its three weights trained on half of a stream, then fixed."""
    _, asked, slots = car_stream(rng, config.replicas, min(config.steps, 4000))
    w, right, count = np.zeros((config.replicas, SLOTS)), 0, 0
    for t, (now, slot) in enumerate(zip(asked, slots, strict=True)):
        if t > len(asked) // 2:
            right, count = right + (now & (w.argmax(1) == slot)), count + now
        else:
            w -= 0.02 * now[:, None] * (w - np.eye(SLOTS)[slot])
    return right / np.maximum(count, 1)


def note(history, task, step, value):
    """Add a point to the learning curves."""
    for name, part in zip(history, (task, step, value), strict=True):
        history[name].append(part)


# --- eight names, eight contents ------------------------------------------------------------------


class Names:
    """Streams of assignments and questions, (nets, streams) of them."""

    def __init__(self, rng, nets, streams):
        self.rng, self.shape = rng, (nets, streams)
        self.bound = np.full((nets, streams, NAMES), -1)
        self.last = np.zeros(self.shape, int)

    def draw(self, steps, uniform=False):
        """x (steps, nets, streams, 19), asked (0 or 1) and name and content asked for.

        uniform: any name bound so far is asked for; else every other question is for the last.
        """
        rng, shape = self.rng, (steps, *self.shape)
        x = np.zeros((*shape, SEEN))
        x[..., NAMES + CONTENTS :] = rng.integers(0, 2, (*shape, 3))
        assign, query = rng.random(shape) < 0.3, rng.random(shape) < 0.5
        name, content = rng.integers(0, NAMES, shape), rng.integers(0, CONTENTS, shape)
        asked, wanted, answer = np.zeros(shape), np.zeros(shape, int), np.zeros(shape, int)
        net, stream = np.ogrid[: shape[1], : shape[2]]
        for t in range(steps):
            some = (self.bound >= 0).any(2)
            random = np.where(self.bound >= 0, rng.random(self.bound.shape), -1).argmax(2)
            last = np.where(rng.random(self.shape) < (0 if uniform else 0.5), self.last, random)
            asked[t], wanted[t] = query[t] & some, last
            answer[t] = np.maximum(self.bound[net, stream, last], 0)
            i, j = np.nonzero(assign[t])
            x[t, i, j, name[t, i, j]] = x[t, i, j, NAMES + content[t, i, j]] = 1
            self.bound[i, j, name[t, i, j]] = content[t, i, j]
            self.last[i, j] = name[t, i, j]
        return x, asked, wanted, answer


def write_all(weights, x, w, additive):
    """Fast weights after every step, (steps + 1, nets, streams, 8, 8), and from, to of each."""
    sender, to = x @ weights["from"], x @ weights["to"]
    all_w = np.empty((len(x) + 1, *w.shape))
    all_w[0] = w
    for t in range(len(x)):
        z = all_w[t] + sender[t][..., None] * to[t][..., None, :]
        all_w[t + 1] = z if additive else bounded(z)
    return all_w, sender, to


def answers(all_w, wanted):
    """F's answers (steps, nets, streams, 8) for the names wanted, with the weights before."""
    return np.take_along_axis(all_w[:-1], wanted[..., None, None], 3)[..., 0, :]


def binding_gradients(x, all_w, sender, to, wanted, off, additive):
    """Gradients of sum(off^2) / 2; off (steps, nets, streams, 8) is 0 where nothing is asked."""
    d_from, d_to, later = np.empty_like(sender), np.empty_like(to), 0.0
    net, stream = np.ogrid[: off.shape[1], : off.shape[2]]
    for t in range(len(x) - 1, -1, -1):
        w = all_w[t + 1]
        pre = later * (1.0 if additive else T * w * (1 - w)) + np.zeros_like(w)
        d_from[t] = (pre * to[t][..., None, :]).sum(3)
        d_to[t] = (pre * sender[t][..., None]).sum(2)
        later = pre
        later[net, stream, wanted[t]] += off[t]
    rows = x.transpose(1, 3, 0, 2).reshape(x.shape[1], SEEN, -1)
    flat = (part.transpose(1, 0, 2, 3).reshape(x.shape[1], -1, 8) for part in (d_from, d_to))
    return dict(zip(("from", "to"), (rows @ part for part in flat), strict=True))


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


def train_binding(config, rng, additive, history, watch):
    """Train nets by windows; returns weights, and recall (nets,) on fresh uniform questions."""
    weights = {name: rng.uniform(-0.3, 0.3, (config.nets, SEEN, 8)) for name in ("from", "to")}
    adam = Adam(weights, 0.02, limit=1.0, stacked=True)
    streams, w = Names(rng, config.nets, STREAMS), np.zeros((config.nets, STREAMS, 8, 8))
    for update in range(1, config.updates + 1):
        x, asked, wanted, answer = streams.draw(SPAN)
        all_w, sender, to = write_all(weights, x, w, additive)
        off = (answers(all_w, wanted) - np.eye(CONTENTS)[answer]) * asked[..., None] / STREAMS
        adam.step(weights, binding_gradients(x, all_w, sender, to, wanted, off, additive))
        w = all_w[-1]
        if additive:
            w = np.clip(w, -1e3, 1e3)  # without a bound it would grow for ever
        if update % 50 == 0 or update == config.updates:
            recall = recalled(weights, np.random.default_rng(update), additive, 100)
            task = "added" if additive else "binding"
            note(history, task, update, float(np.median(recall)))
            if watch:
                watch(update, config.updates, task=task, recall=float(np.median(recall)))
    return weights, recalled(weights, rng, additive, 600)


def recalled(weights, rng, additive, steps):
    """Share of uniform questions (nets,) whose answer is largest at the content last bound."""
    nets = len(weights["from"])
    x, asked, wanted, answer = Names(rng, nets, STREAMS).draw(steps, uniform=True)
    all_w, _, _ = write_all(weights, x, np.zeros((nets, STREAMS, 8, 8)), additive)
    right = (answers(all_w, wanted).argmax(3) == answer) & (asked > 0)
    return right[steps // 4 :].sum((0, 2)) / asked[steps // 4 :].sum((0, 2))


# --- pairs of keys and values ---------------------------------------------------------------------


def episodes(rng, count, mean):
    """Keys (count, 6, 8), the last one of the five again; values (count, 5, 8); which (count,)."""
    keys = mean + 0.4 * rng.normal(size=(count, PAIRS, KEY))
    which = rng.integers(0, PAIRS, count)
    keys = np.concatenate([keys, keys[np.arange(count), which][:, None]], 1)
    return keys, rng.normal(0, math.sqrt(1 / KEY), (count, PAIRS, KEY)), which


def read(weights, keys, values, linear):
    """What W, the sum of v phi(k)', answers to the query: (episodes, 8); u, its length, phi."""
    if linear:
        phi = keys @ weights["V"]
        u, size = phi, 1.0
    else:
        u = np.exp(np.minimum(keys @ weights["V"] + weights["c"], 50))
        size = np.sqrt((u * u).sum(2, keepdims=True))
        phi = u / size
    near = (phi[:, :PAIRS] * phi[:, PAIRS:]).sum(2)
    return np.einsum("ei,eik->ek", near, values), u, size, phi


def pair_gradients(keys, values, off, u, size, phi, linear):
    """Gradients of sum(off^2) / 2, off (episodes, 8)."""
    d_near = np.einsum("ek,eik->ei", off, values)
    d_phi = np.empty_like(phi)
    d_phi[:, :PAIRS] = d_near[..., None] * phi[:, PAIRS:]
    d_phi[:, PAIRS] = (d_near[..., None] * phi[:, :PAIRS]).sum(1)
    if linear:
        return {"V": np.einsum("eij,eiu->ju", keys, d_phi)}
    d = (d_phi - phi * (phi * d_phi).sum(2, keepdims=True)) / size * u
    return {"V": np.einsum("eij,eiu->ju", keys, d), "c": d.sum((0, 1))}


def train_pairs(rng, linear, history, watch):
    """Train phi on fresh episodes; returns weights, and the mean cosine on 2000 more."""
    mean = rng.normal(size=KEY)
    mean /= np.linalg.norm(mean)
    units = KEY if linear else UNITS
    spread = 1 / math.sqrt(KEY) if linear else 4 / math.sqrt(KEY)
    weights = {"V": rng.normal(0, spread, (KEY, units)), "c": np.zeros(units)}
    adam = Adam(weights, 0.02, limit=1.0)
    for update in range(1, 801):
        keys, values, which = episodes(rng, BATCH, mean)
        answer, *kept = read(weights, keys, values, linear)
        off = (answer - values[np.arange(BATCH), which]) / BATCH
        adam.step(weights, pair_gradients(keys, values, off, *kept, linear))
        if update % 50 == 0:
            value = cosine(weights, np.random.default_rng(update), linear, mean, 200)
            note(history, "linear" if linear else "pairs", update, value)
            if watch:
                watch(update, 800, task="pairs", cosine=value)
    return weights, cosine(weights, rng, linear, mean, 2000)


def cosine(weights, rng, linear, mean, count):
    """Mean cosine of answers and values."""
    keys, values, which = episodes(rng, count, mean)
    answer = read(weights, keys, values, linear)[0]
    value = values[np.arange(count), which]
    size = np.linalg.norm(answer, axis=1) * np.linalg.norm(value, axis=1)
    return float(((answer * value).sum(1) / np.maximum(size, 1e-12)).mean())


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """The car, then names and contents, then pairs, each with its control."""
    rngs = np.random.default_rng(config.seed).spawn(7)
    history = {"task": [], "step": [], "value": []}
    cars, ends = train_car(config, rngs[0], history, watch)
    used, nets = np.where(ends, ends, config.steps), {"car": cars.S}
    recall = car_recall(cars, rngs[1])
    metrics = {
        "nets": config.replicas,
        "car_solved": int((ends > 0).sum()),
        "car_steps": float(np.median(used)),
        "car_recall": float(np.quantile(recall, 0.1)),
        "car_static": float(car_static(rngs[2], config).mean()),
    }
    if config.nets:
        for name, additive, rng in (("bind", False, rngs[3]), ("added", True, rngs[4])):
            nets[name], recall = train_binding(config, rng, additive, history, watch)
            metrics[f"{name}_recall"] = float(np.median(recall))
            metrics[f"{name}_good"] = float((recall >= 0.95).mean())
    if config.pairs:
        nets["pairs"], metrics["cosine"] = train_pairs(rngs[5], False, history, watch)
        nets["linear"], metrics["cosine_linear"] = train_pairs(rngs[6], True, history, watch)
    return Result(metrics, history, ends, nets)


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of all gradients by hand: car, binding, pairs."""
    rng = np.random.default_rng(config.seed)
    return max(check_car(rng), check_binding(rng), check_pairs(rng))


def check_car(rng):
    """The derivatives carried forward over 12 steps of fixed slow weights."""
    nets = CarNets(rng, Config(replicas=3, clip=1e6, eta=1e-4))
    weights = {"S": 2 * nets.S}
    x, asked, slots = car_stream(rng, 3, 12)
    nets.S, grads = weights["S"], np.zeros(weights["S"].shape)
    for t in range(12):
        off = (nets.w - np.eye(SLOTS)[slots[t]]) * asked[t][:, None]
        grads += off[:, :, None] * nets.p
        nets.write(x[t])

    def loss():
        w, total = np.zeros((3, SLOTS)), 0.0
        for t in range(12):
            off = (w - np.eye(SLOTS)[slots[t]]) * asked[t][:, None]
            total += (off * off).sum() / 2
            w = bounded(w + np.einsum("nkj,nj->nk", weights["S"], x[t]))
        return float(total)

    return worst_relative_error(loss, weights, {"S": grads})


def check_binding(rng):
    """Back-propagation through a window of 8 steps."""
    weights = {name: rng.normal(0, 0.2, (2, SEEN, 8)) for name in ("from", "to")}
    x, asked, wanted, answer = Names(rng, 2, 3).draw(8)
    start = rng.random((2, 3, 8, 8))

    def loss():
        all_w, _, _ = write_all(weights, x, start, False)
        off = (answers(all_w, wanted) - np.eye(CONTENTS)[answer]) * asked[..., None]
        return float((off * off).sum() / 2)

    all_w, sender, to = write_all(weights, x, start, False)
    off = (answers(all_w, wanted) - np.eye(CONTENTS)[answer]) * asked[..., None]
    grads = binding_gradients(x, all_w, sender, to, wanted, off, False)
    return worst_relative_error(loss, weights, grads)


def check_pairs(rng):
    """The map phi, exponential and linear."""
    worst = 0.0
    for linear in (False, True):
        weights = {"V": rng.normal(0, 0.5, (KEY, 10)), "c": rng.normal(0, 0.5, 10)}
        keys, values, which = episodes(rng, 4, np.ones(KEY) / math.sqrt(KEY))

        def loss(linear=linear, weights=weights, keys=keys, values=values, which=which):
            off = read(weights, keys, values, linear)[0] - values[np.arange(4), which]
            return float((off * off).sum() / 2)

        answer, *kept = read(weights, keys, values, linear)
        off = answer - values[np.arange(4), which]
        grads = pair_gradients(keys, values, off, *kept, linear)
        worst = max(worst, worst_relative_error(loss, weights, grads))
    return worst


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
