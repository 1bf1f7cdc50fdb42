"""a^n b^n and a^n b^n c^n: a peephole LSTM learns to count on strings with n up to ten.

Task      Read S and a string, a symbol a step; at every step say which symbols may come next. In
          a^n b^n: after S only a, in the a's a or b, after fewer b's than a's b, after as many T,
          the end. In a^n b^m B^m A^n two counts are kept, n and m are free. A string is accepted if
          every output is on the right side of 0 at every step. Only strings of the language are
          shown. The run of a net is the largest N such that it accepts all n = 1 ... N.
Net       Symbols are +1 for the one that is read and -1 for the others. With u = [x(t), h(t-1), 1]
          and f the logistic function, gates that see the cells c through peepholes p:
              i = f(W_i u + p_i c(t-1)),  q = f(W_q u + p_q c(t-1)),  c(t) = q c(t-1) + i W_g u,
              o = f(W_o u + p_o c(t)),    h(t) = o tanh(c(t)),        a(t) = V [x(t), h(t), 1].
          q is the forget gate. One cell and 38 weights for a^n b^n, two and 90 for a^n b^n c^n.
Learning  Gers & Schmidhuber 2001. The truncated gradient: errors flow back through c alone, never
          through what gates and inputs see of h and c. Ours: all strings of the set in one batch,
          Adam, a rate that falls. a^n b^n by the cross-entropy of f(a), the others by the squared
          error of 2 tanh(a / 2) and +1 or -1. Forget gates start open, at a bias of 14. The paper's
          rule: a step of 1e-5 with momentum 0.99 after every string.
          Control: 5 tanh units, 90 weights, full gradient.
Shapes    Nets learn side by side: x (time, 1, symbols, strings), W (nets, 4 cells, inputs) in the
          order i, q, o, g, P (nets, 3, cells), V (nets, symbols, symbols + cells + 1),
          a (time, nets, symbols, strings). S is the first input, T the first output.
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

LETTERS = {"anbn": "ab", "anbncn": "abc", "two": "abBA"}
CELLS = {"anbn": 1, "anbncn": 2, "two": 2}
PARTS = ("counters", "forty", "two", "anbn")
FORGET_BIAS, RNN_UNITS, RNN_LONGEST, TWO_LONGEST = 14, 5, 40, 30
EVERY = 100  # updates between points of the learning curves


@dataclass(frozen=True)
class Schedule:
    """How a set is learnt: the rate stays for a share of the updates, then falls to a hundredth.

    squared: squared error of 2 tanh(a / 2), else cross-entropy, whose rate falls to a 200th.
    """

    updates: int
    rate: float
    squared: bool = True
    hold: float = 0.3
    limit: float | None = None

    def rate_at(self, done):
        """The rate after a share of the updates."""
        fallen = max(0.0, done - self.hold) / (1 - self.hold)
        return self.rate * (0.01 if self.squared else 0.005) ** fallen


@dataclass(frozen=True)
class Config:
    """The paper's languages and nets; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    part: str = option("counters", "both languages, more strings, two counts, or one", among=PARTS)
    nets: int = option(10, "nets that learn side by side", 1, 100)
    rule: str = option("adam", "ours, or the paper's step a string", among=("adam", "paper"))
    updates: int = option(12_000, "updates for a^n b^n c^n; a^n b^n has 5/12", 12, 10_000_000)
    longest: int = option(1000, "largest n of the test", 10, 5000)
    controls: bool = option(True, "train tanh nets on a^n b^n c^n, too")

    def __post_init__(self):
        check_options(self)
        if self.controls and self.part != "counters":
            raise ValueError(f"part {self.part!r} has no controls: choose no_controls with it")


QUICK = {"part": "anbn", "nets": 1, "updates": 2400, "longest": 100, "controls": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves: language, updates, net, loss, margin
    nets: dict  # weights by language, and of "rnn"
    accepted: dict  # by language and "rnn": which strings each net accepts, (nets, n)


# --- languages ------------------------------------------------------------------------------------


def counts_of(language, longest):
    """Block lengths of the strings of a language: n to longest, or all n + m to longest."""
    if language == "two":
        pairs = [(n, k - n) for k in range(2, longest + 1) for n in range(1, k)]
        return [(n, m, m, n) for n, m in pairs]
    return [(n,) * len(LETTERS[language]) for n in range(1, longest + 1)]


def strings(language, counts):
    """Inputs x (time, 1, symbols, strings), targets of the same shape, mask (time, strings)."""
    letters, free = len(LETTERS[language]), 2 if language == "two" else 1
    steps = 1 + max(map(sum, counts))
    x, target = -np.ones((2, steps, 1, letters + 1, len(counts)))
    mask = np.zeros((steps, len(counts)))
    for s, lengths in enumerate(counts):
        word = [0] + [1 + k for k, n in enumerate(lengths) for _ in range(n)]
        mask[: len(word), s] = 1
        for t, symbol in enumerate(word):
            x[t, 0, symbol, s] = 1
            following = word[t + 1] if t + 1 < len(word) else 0  # output 0 is T
            legal = [symbol, symbol + 1] if 1 <= symbol <= free else [following]
            target[t, 0, legal, s] = 1
    return x, target, mask


def accepted(a, target, mask):
    """Whether each net is right on every output of every string, (nets, strings)."""
    wrong = (a * target <= 0).any(2) & (mask[:, None] > 0)
    return ~wrong.any(0)


# --- the net --------------------------------------------------------------------------------------


def logistic(x):
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def over_time(units):
    """(time, nets, units, strings) -> (nets, units, time * strings)."""
    return units.transpose(1, 2, 0, 3).reshape(*units.shape[1:3], -1)


class Peephole:
    """The LSTM: start weights, forward and backward pass."""

    def __init__(self, language):
        self.K, self.H = len(LETTERS[language]) + 1, CELLS[language]

    def init(self, rng, nets):
        """Weights in [-0.03, 0.03], forget gates open."""
        K, H = self.K, self.H
        shapes = {"W": (4 * H, K + H + 1), "P": (3, H), "V": (K, K + H + 1)}
        weights = {k: rng.uniform(-0.03, 0.03, (nets, *shape)) for k, shape in shapes.items()}
        weights["W"][:, H : 2 * H, -1] = FORGET_BIAS
        return weights

    def step(self, w, u, c, seen):
        """Gates i, q, o, g, new c and h; c and seen are (nets, cells, strings)."""
        P, H = w["P"][..., None], self.H
        net = w["W"] @ u
        i = logistic(net[:, :H] + P[:, 0] * seen[0])
        q = logistic(net[:, H : 2 * H] + P[:, 1] * seen[0])
        g = net[:, 3 * H :]
        c = q * c + i * g
        o = logistic(net[:, 2 * H : 3 * H] + P[:, 2] * (c if seen[1] is None else seen[1]))
        return (i, q, o, g), c, o * np.tanh(c)

    def forward(self, w, x, given=None):
        """Net sums a (time, nets, symbols, strings); the rest stays for backward().

        given: (U, C) of an earlier pass. Gates and inputs then see these, as the truncated
        gradient takes it.
        """
        n, nets, K, H = len(x), len(w["W"]), self.K, self.H
        U = np.ones((n + 1, nets, K + H + 1, x.shape[3]))
        U[:n, :, :K], U[:, :, K:-1] = x, 0
        C, gates = np.zeros((n + 1, nets, H, x.shape[3])), []
        for t in range(n):
            u, seen = (U[t], (C[t], None)) if given is None else (given[0][t], given[1][t : t + 2])
            now, C[t + 1], U[t + 1, :, K:-1] = self.step(w, u, C[t], seen)
            gates.append(now)
        Y = U[:n].copy()
        Y[:, :, K:-1] = U[1:, :, K:-1]
        self.kept = U, C, np.stack(gates, 1), Y
        return w["V"] @ Y

    def backward(self, w, e_a):
        """Truncated gradients; e_a (time, nets, symbols, strings) is the error at the net sums a.

        e_c(t) = e_h o (1 - tanh(c)^2) + q(t+1) e_c(t+1)
        """
        U, C, (i, q, o, g), Y = self.kept
        e_h = (w["V"].swapaxes(1, 2) @ e_a)[:, :, self.K : -1]
        squashed = np.tanh(C[1:])
        e_c = e_h * o * (1 - squashed**2)
        for t in range(len(e_c) - 2, -1, -1):
            e_c[t] += q[t + 1] * e_c[t + 1]
        d_i, d_q = e_c * g * i * (1 - i), e_c * C[:-1] * q * (1 - q)
        d_o = e_h * squashed * o * (1 - o)
        delta = np.concatenate([d_i, d_q, d_o, e_c * i], 2)
        peeps = ((d_i, C[:-1]), (d_q, C[:-1]), (d_o, C[1:]))
        return {
            "W": over_time(delta) @ over_time(U[:-1]).swapaxes(1, 2),
            "P": np.stack([(d * s).sum((0, 3)) for d, s in peeps], 1),
            "V": over_time(e_a) @ over_time(Y).swapaxes(1, 2),
        }


def accepts(w, language, most):
    """Which n = 1 ... most of a counted language each net accepts, (nets, most).

    Strings share their prefixes: a^most is run once, then block after block from all its states.
    """
    net, letters = Peephole(language), len(LETTERS[language])
    K, (nets, _, H) = net.K, w["P"].shape

    def advance(symbol, h, c):
        x = -np.ones((nets, K, h.shape[2]))
        x[:, symbol] = 1
        one = np.ones((nets, 1, h.shape[2]))
        _, c, h = net.step(w, np.concatenate([x, h, one], 1), c, (c, None))
        return w["V"] @ np.concatenate([x, h, one], 1), h, c

    def right(a, *legal):
        want = np.zeros((K, 1), bool)
        want[list(legal)] = True
        return ((a > 0) == want).all(1)

    a, h, c = advance(0, *np.zeros((2, nets, H, 1)))
    good, states, goods = right(a, 1), [], []
    for _ in range(most):
        a, h, c = advance(1, h, c)
        good = good & right(a, 1, 2)
        states.append((h, c))
        goods.append(good)
    h, c = (np.concatenate(part, 2) for part in zip(*states, strict=True))
    good = np.concatenate(goods, 1)
    for k in range(2, letters + 1):  # string n leaves block k after its n-th symbol
        ends = np.empty((2, *h.shape))
        for j in range(most):  # strings j + 1, j + 2, ... are still in the block
            a, h, c = advance(k, h, c)
            good[:, j] &= right(a[:, :, :1], (k + 1) % (letters + 1))[:, 0]
            good[:, j + 1 :] &= right(a[:, :, 1:], k)
            ends[0, :, :, j], ends[1, :, :, j] = h[:, :, 0], c[:, :, 0]
            h, c = h[:, :, 1:], c[:, :, 1:]
        h, c = ends
    return good


# --- the control ----------------------------------------------------------------------------------


# idiom: tanh_net
class TanhNet:
    """Nets side by side, each a layer of tanh units: y(t) = tanh(W [x(t), 1, y(t-1)]), y(0) = 0.

    W is (nets, units, inputs + 1 + units). Buffers for at most `steps` are made once.
    """

    def __init__(self, nets, inputs, units, batch, steps, dtype=np.float32):
        self.inputs, self.units, self.n = inputs, units, 0
        self.U = np.zeros((steps + 1, nets, inputs + 1 + units, batch), dtype)
        self.U[:, :, inputs] = 1
        self.Y = self.U[1:, :, inputs + 1 :]
        self.delta = np.empty((steps, nets, units, batch), dtype)

    def forward(self, W, x):
        """Run over x (time, nets or 1, inputs, batch); returns y (time, nets, units, batch)."""
        self.n, self.W = len(x), W
        self.U[: self.n, :, : self.inputs] = x
        for u, y in zip(self.U[: self.n], self.Y, strict=False):
            np.tanh(W @ u, out=y)
        return self.Y[: self.n]

    def backward(self, e):
        """Full gradient of W; e: error at y, (nets, units, batch) of the last step or of every one.

        With R the recurrent part of W: delta(t) = (1 - y(t)^2) (e(t) + R^T delta(t+1)),
        dW = sum over t of delta(t) u(t)^T.
        """
        n, delta = self.n, self.delta[: self.n]
        delta[:] = 0
        delta[n - len(e.reshape(-1, *delta.shape[1:])) :] = e
        slope = 1 - self.Y[:n] ** 2
        back = np.ascontiguousarray(self.W[:, :, self.inputs + 1 :].swapaxes(1, 2))
        delta[-1] *= slope[-1]
        for t in range(n - 2, -1, -1):
            delta[t] += back @ delta[t + 1]
            delta[t] *= slope[t]
        nets, units = delta.shape[1:3]
        U = self.U[:n].transpose(1, 0, 3, 2).reshape(nets, -1, self.U.shape[2])
        return delta.transpose(1, 2, 0, 3).reshape(nets, units, -1) @ U


# end idiom


class Plain:
    """Five tanh units with the full gradient, in place of the LSTM."""

    def __init__(self, language):
        self.K, self.layer = len(LETTERS[language]) + 1, None

    def init(self, rng, nets):
        """Weights in [-0.3, 0.3]."""
        shapes = {"W": (RNN_UNITS, self.K + 1 + RNN_UNITS), "V": (self.K, self.K + 1 + RNN_UNITS)}
        return {k: rng.uniform(-0.3, 0.3, (nets, *shape)) for k, shape in shapes.items()}

    def forward(self, w, x):
        """Net sums a (time, nets, symbols, strings)."""
        n, nets, batch = len(x), len(w["W"]), x.shape[3]
        if self.layer is None or len(self.layer.delta) < n or self.layer.U.shape[3] != batch:
            self.layer = TanhNet(nets, self.K, RNN_UNITS, batch, n, float)
        y = self.layer.forward(w["W"], x)
        self.Y = self.layer.U[:n].copy()
        self.Y[:, :, self.K + 1 :] = y
        return w["V"] @ self.Y

    def backward(self, w, e_a):
        """Full gradients, see Peephole."""
        e_y = (w["V"].swapaxes(1, 2) @ e_a)[:, :, self.K + 1 :]
        dV = over_time(e_a) @ over_time(self.Y).swapaxes(1, 2)
        return {"W": self.layer.backward(e_y), "V": dV}


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


def losses(a, target, mask, squared):
    """Loss of every net (nets,), mean over strings, and its gradient by the net sums a."""
    weight = mask[:, None, None] / mask.shape[1]
    z = np.tanh(a / 2)
    if squared:
        off = 2 * z - target
        return (weight * off * off).sum((0, 2, 3)) / 2, weight * off * (1 - z * z)
    return (weight * np.logaddexp(0, -a * target)).sum((0, 2, 3)), weight * (z - target) / 2


def train(net, weights, sets, schedule, label, history, watch):
    """Train nets on strings(), all at once; weights become the best of their kind.

    The best: the whole set accepted, and the least loss (squared error) or the largest margin.
    Returns after how many updates each net first accepted the set, or 0.
    """
    x, target, mask = sets
    beta2, eps = (0.999, 1e-4) if schedule.squared else (0.99, 1e-8)
    now = {name: w.copy() for name, w in weights.items()}
    adam = Adam(now, schedule.rate, beta2=beta2, eps=eps, limit=schedule.limit, stacked=True)
    learned, score = np.zeros(len(now["W"]), int), np.full(len(now["W"]), -np.inf)
    for update in range(1, schedule.updates + 1):
        a = net.forward(now, x)
        loss, e_a = losses(a, target, mask, schedule.squared)
        margin = np.where(mask[:, None, None] > 0, a * target, np.inf).min((0, 2, 3))
        value = -loss if schedule.squared else margin
        better = (margin > 0) & (value > score)
        score[better] = value[better]
        learned[(margin > 0) & (learned == 0)] = update
        for name, w in now.items():
            keep = better | (score == -np.inf)  # the present ones until a set is accepted
            weights[name][keep] = w[keep]
        if update % EVERY == 0 or update == schedule.updates:
            report(history, label, update, loss, margin, weights, watch, schedule.updates)
        adam.rate = schedule.rate_at(update / schedule.updates)
        adam.step(now, net.backward(now, e_a))
    return learned


def train_online(net, weights, language, counts, updates, rng, history, watch):
    """The paper's rule: a step of 1e-5, momentum 0.99, after every string, one for all nets."""
    speed = {name: np.zeros_like(w) for name, w in weights.items()}
    learned, whole = np.zeros(len(weights["W"]), int), strings(language, counts)
    single = [strings(language, [lengths]) for lengths in counts]
    for update in range(1, updates + 1):
        x, target, mask = single[rng.integers(len(single))]
        _, e_a = losses(net.forward(weights, x), target, mask, True)
        for name, gradient in net.backward(weights, e_a).items():
            speed[name] = 0.99 * speed[name] - 1e-5 * gradient
            weights[name] += speed[name]
        if update % 1000 == 0 or update == updates:  # as often as the paper looks
            a = net.forward(weights, whole[0])
            loss, _ = losses(a, *whole[1:], True)
            margin = np.where(whole[2][:, None, None] > 0, a * whole[1], np.inf).min((0, 2, 3))
            learned[(margin > 0) & (learned == 0)] = update
            report(history, language, update, loss, margin, weights, watch, updates)
    return learned


def report(history, label, update, loss, margin, weights, watch, total):
    """Add a point a net to the learning curves and let the watcher see. FloatingPointError."""
    if not np.isfinite(loss).all():
        raise FloatingPointError("weights grew beyond all numbers; choose fewer updates")
    for net, point in enumerate(zip(loss, margin, strict=True)):
        row = label, update, net, *map(float, point)
        for column, value in zip(history, row, strict=True):
            history[column].append(value)
    if watch:
        state = {"language": label, "learned": int((margin > 0).sum())}
        watch(update, total, **state, loss=float(loss.mean()), weights=weights)


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train nets on the languages of the chosen part, and test how far they count."""
    rngs = np.random.default_rng(config.seed).spawn(4)
    history = {name: [] for name in ("language", "updates", "net", "loss", "margin")}
    short, full = max(1, config.updates * 5 // 12), config.updates
    metrics, nets, good, learned = {"nets": config.nets}, {}, {}, {}
    plans = {
        "anbn": Schedule(short, 0.02, squared=False, hold=0.0),
        "anbncn": Schedule(full, 0.015),
        "two": Schedule(short, 0.015),
    }
    shown = {"counters": ("anbn", "anbncn"), "forty": ("anbncn",)}.get(config.part, (config.part,))
    for language, rng in zip(shown, rngs, strict=False):
        net, counts = Peephole(language), counts_of(language, 11 if language == "two" else 10)
        weights, sets = net.init(rng, config.nets), strings(language, counts)
        nets[language] = weights
        if config.rule == "paper":
            learned[language] = train_online(
                net, weights, language, counts, full, rng, history, watch
            )
        else:
            learned[language] = train(net, weights, sets, plans[language], language, history, watch)
        if config.part == "forty":
            plan = Schedule(max(1, full // 10), 0.004, hold=0.0)
            sets = strings(language, counts_of(language, 40))
            learned[language] = train(net, weights, sets, plan, "forty", history, watch)
        if language == "two":
            good[language] = accepted_pairs(weights)
        else:
            good[language] = accepts(weights, language, config.longest)
        metrics |= evaluate(language, learned[language], run_of(good[language]))
    if len(learned) == 2:
        metrics["learned"] = int(np.all(np.stack(list(learned.values())) > 0, 0).sum())
    if config.controls:
        net = Plain("anbncn")
        nets["rnn"] = net.init(rngs[3], config.nets)
        plan = Schedule(max(1, full // 2), 0.01, limit=1.0)
        sets = strings("anbncn", counts_of("anbncn", 10))
        rnn = train(net, nets["rnn"], sets, plan, "rnn", history, watch)
        x, target, mask = strings("anbncn", counts_of("anbncn", RNN_LONGEST))
        good["rnn"] = accepted(net.forward(nets["rnn"], x), target, mask)
        metrics |= evaluate("rnn", rnn, run_of(good["rnn"]))
    return Result(metrics, history, nets, good)


def accepted_pairs(weights):
    """Whether all a^n b^m B^m A^n with n + m = k are accepted, (nets, k); k = 1 has none."""
    counts = counts_of("two", TWO_LONGEST)
    x, target, mask = strings("two", counts)
    good = accepted(Peephole("two").forward(weights, x), target, mask)
    total = np.array([n + m for n, m, _, _ in counts])
    by_total = [good[:, total == k].all(1) for k in range(2, TWO_LONGEST + 1)]
    return np.stack([np.ones(len(good), bool), *by_total], 1)


def run_of(good):
    """The largest N such that 1 ... N are all accepted, (nets,); good (nets, n)."""
    return np.cumprod(good, 1).sum(1)


def evaluate(language, learned, runs):
    """Metrics of ten nets on a language; updates are those of the nets that learned the set."""
    return {
        f"{language}_learned": int((learned > 0).sum()),
        f"{language}_updates": float(learned[learned > 0].mean()) if learned.any() else None,
        f"{language}_mean": float(runs.mean()),
        f"{language}_median": float(np.median(runs)),
        f"{language}_best": int(runs.max()),
    }


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of the truncated gradient: gates and inputs see given h and c."""
    rng = np.random.default_rng(config.seed)
    net, (x, target, mask) = Peephole("anbncn"), strings("anbncn", [(1, 1, 1), (3, 3, 3)])
    weights = {name: rng.normal(0, 0.5, w.shape) for name, w in net.init(rng, 2).items()}
    _, e_a = losses(net.forward(weights, x), target, mask, True)
    grads = net.backward(weights, e_a)
    given = net.kept[:2]

    def loss():
        return float(losses(net.forward(weights, x, given), target, mask, True)[0].sum())

    return worst_relative_error(loss, weights, grads)


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
