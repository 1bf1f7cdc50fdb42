"""Continual embedded Reber grammar: an endless stream of strings, and a cell that learns to forget.

Task      Strings of the embedded Reber grammar (B, T or P, a Reber string, the same T or P, E; see
          REBER below) follow each other without a mark or a reset. Predict the next symbol. A step
          is right if the outputs of all symbols that are legal next, one or two, are above all
          others. A net is tested on ten fresh streams, each until its first wrong step or to a
          million symbols: perfect if all ten reach the million, good if they last 1000 on average.
Net       4 memory blocks of 2 cells, which share an input gate i, a forget gate q and an output
          gate. Gates and cells see u = [x(t), y(t-1), 1], the symbol and the cells' outputs, cells
          no bias. With f the logistic function, net = W u, g = 4 f(net_c) - 2, h = 2 f(s) - 1:
              s(t) = q s(t-1) + i g,  y(t) = f(net_o) h,  o(t) = f(V [x(t), y(t), 1]).
          424 weights. Four kinds: "forget"; "none", the LSTM of 1997, q = 1; "reset", the same with
          s and y set to 0 between strings, which it cannot know; "decay", q = 0.9.
Learning  Gers, Schmidhuber & Cummins 2000: descent on sum (o - target)^2 / 2, the target being the
          symbol that comes, by the truncated gradient: errors flow back through s alone. A
          training stream ends at a string with a wrong step, and once in a hundred strings anyway;
          the next begins with s = y = 0. Ours: a step after every string, errors cut at its start,
          rate 0.5 / (1 + strings / 30,000). The paper's rule: a step after every symbol, rate 0.5.
Shapes    Nets read the same strings side by side: W (nets, 20, 16), units in the order i, q, o,
          cells, V (nets, 7, 16), s and y (nets, 8); histories have time first.
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

BLOCKS, SIZE, CELLS, UNITS, SEEN = 4, 2, 8, 20, 16
I, Q, O, C = slice(0, 4), slice(4, 8), slice(8, 12), slice(12, 20)
X, Y, BIAS = slice(0, 7), slice(7, 15), 15
KINDS = {"forget": None, "none": 1.0, "reset": 1.0, "decay": 0.9}  # q, where it does not learn
STREAMS, GOOD, GROWTH, CHUNK = 10, 1000, 5000, 1000  # test streams, ..., symbols, steps at a time
FRESH, EVERY = 0.01, 500  # share of strings after which a stream ends anyway; between reports


@dataclass(frozen=True)
class Config:
    """The paper's nets and test; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    nets: int = option(2, "nets of every kind that learn side by side", 1, 20)
    kinds: str = option("all", "which kinds learn", among=("all", "forget"))
    rule: str = option("strings", "a step a string, or the paper's", among=("strings", "symbols"))
    strings: int = option(50_000, "training strings", 10, 10_000_000)
    rate: float = option(0.5, "step size at the start", 1e-3, 2)
    decay: int = option(30_000, "the rate goes as 1 / (1 + strings / decay)", 10, 1_000_000_000)
    symbols: int = option(1_000_000, "symbols of a test stream", 5000, 10_000_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"kinds": "forget", "nets": 4, "strings": 6000, "symbols": 5000}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves: kind, net, strings, share of the latest that were right
    nets: dict  # W and V (nets, ...) of all kinds, in the order of KINDS
    lengths: np.ndarray  # symbols without a mistake of every net and test stream, (nets, 10)
    states: np.ndarray  # mean |s| of every net along one stream, every 10 symbols, (501, nets)


# --- streams --------------------------------------------------------------------------------------


# idiom: reber
SYMBOLS = "BTPSXVE"
# The Reber grammar (Reber 1967): from each state two ways on, as likely, the symbol and the state
# that it leads to; state 5 has one, the E that ends the string.
REBER = ("T1 P2", "S1 X3", "T2 V4", "X2 S5", "P3 V5", "E6")


def embedded_ways():
    """The ways on from the states of the embedded grammar: B, T or P, a Reber string with its own
    B and E, the same T or P, E. States 2 to 9 come after the T, 10 to 17 after the P; 0 is the
    start, and the end of a string.
    """
    ways = ["B1", "T2 P10"]
    for first, letter in ((2, "T"), (10, "P")):
        inner = [[f"{way[0]}{int(way[1]) + first + 1}" for way in pair.split()] for pair in REBER]
        ways += [f"B{first + 1}", *map(" ".join, inner), f"{letter}18"]
    return [*ways, "E0"]


WAYS = [[(SYMBOLS.index(way[0]), int(way[1:])) for way in ways.split()] for ways in embedded_ways()]
EMIT, LEAD = np.array([[ways[0], ways[-1]] for ways in WAYS], np.int8).transpose(2, 0, 1)
LEGAL = (EMIT[:, :, None] == np.arange(len(SYMBOLS))).any(1)  # (states, 7): what may come next


def embedded_reber(rng, count):
    """Random strings: symbols (count, longest), -1 behind the end, and states of the same shape.

    The state is that after the symbol: LEGAL[state] says which symbols may come next.
    """
    symbols, states, state = [], [], np.zeros(count, np.int8)
    going = np.ones(count, bool)
    while going.any():
        way = rng.integers(0, 2, count)
        symbols.append(np.where(going, EMIT[state, way], -1))
        state = np.where(going, LEAD[state, way], 0)
        states.append(state)
        going &= state != 0
    return np.stack(symbols, 1).astype(np.int8), np.stack(states, 1)


# end idiom


def stream(rng, length):
    """Symbols and states (length,) of strings that follow each other."""
    symbols, states = embedded_reber(rng, length // 9 + 1)
    there = symbols >= 0
    return symbols[there][:length], states[there][:length]


# --- nets -----------------------------------------------------------------------------------------


def logistic(x):
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


class Nets:
    """Nets of several kinds side by side; kind is a list of names."""

    def __init__(self, kind, rng, dtype=np.float32):
        n, steps = len(kind), np.arange(1, BLOCKS + 1) / 2
        W = rng.uniform(-0.2, 0.2, (n, UNITS, SEEN))
        V = rng.uniform(-0.2, 0.2, (n, 7, SEEN))
        W[:, I, BIAS] = W[:, O, BIAS] = -steps
        W[:, Q, BIAS] = steps
        self.learns = np.array([KINDS[k] is None for k in kind], dtype)[:, None]
        self.fixed = np.array([KINDS[k] or 0 for k in kind], dtype)[:, None]
        self.reset = np.array([k == "reset" for k in kind])
        self.exists = np.ones_like(W)
        self.exists[:, C, BIAS] = 0
        self.exists[:, Q] *= self.learns[:, :, None]
        self.weights = {"W": (W * self.exists).astype(dtype), "V": V.astype(dtype)}

    def keep(self, left):
        """Go on with some of the nets."""
        for name in ("learns", "fixed", "reset", "exists"):
            setattr(self, name, getattr(self, name)[left])
        self.weights = {name: w[left] for name, w in self.weights.items()}

    def run(self, symbols, s, y):
        """Read symbols (time,) from states s, y (nets, 8); returns the history that is needed.

        U (time, nets, 16) is u, Z (time, nets, 20) tanh(net / 2), S (time + 1, nets, 8) the states,
        H h(s) and F q, (time, nets, 8). Y (time, nets, 16) is [x, y, 1].
        """
        n, nets = len(symbols), len(s)
        U = np.zeros((n + 1, nets, SEEN), s.dtype)
        U[:, :, BIAS] = 1
        U[np.arange(n), :, symbols] = 1
        U[0, :, Y] = y
        Z = np.empty((n, nets, UNITS, 1), s.dtype)
        S, H, F = np.empty((n + 1, nets, CELLS), s.dtype), *np.empty((2, n, nets, CELLS), s.dtype)
        S[0] = s
        half_W, half_learns = self.weights["W"] / 2, self.learns / 2
        for t in range(n):
            z = np.tanh(half_W @ U[t, :, :, None], out=Z[t])[:, :, 0]
            q = self.fixed + half_learns * (1 + z[:, Q])
            F[t] = q.repeat(SIZE, 1)
            S[t + 1] = F[t] * S[t] + (1 + z[:, I]).repeat(SIZE, 1) * z[:, C]
            H[t] = np.tanh(S[t + 1] / 2)
            U[t + 1, :, Y] = (0.5 + 0.5 * z[:, O]).repeat(SIZE, 1) * H[t]
        seen = U[:n].copy()
        seen[:, :, Y] = U[1:, :, Y]
        return U[:n], Z[..., 0], S, H, F, seen

    def outputs(self, seen):
        """o (time, nets, 7) for [x, y, 1] (time, nets, 16)."""
        return logistic((self.weights["V"] @ seen[..., None])[..., 0])

    def gradients(self, history, o, targets):
        """Truncated gradients of sum (o - target)^2 / 2, errors cut at the first step.

        e_s(t) = e_y f(net_o) h'(s) + q(t+1) e_s(t+1);  h' = (1 - h^2) / 2, g' = 1 - g^2 / 4.
        """
        U, Z, S, H, F, seen = history
        off = o.copy()
        off[np.arange(len(o)), :, targets] -= 1
        e_o = off * o * (1 - o)
        e_y = np.einsum("tnk,nkc->tnc", e_o, self.weights["V"][:, :, Y])
        e_s = e_y * (0.5 + 0.5 * Z[:, :, O]).repeat(SIZE, 2) * (1 - H * H) / 2
        for t in range(len(e_s) - 2, -1, -1):
            e_s[t] += F[t + 1] * e_s[t + 1]
        delta, slope = np.empty_like(Z), 1 - Z * Z  # slope: 4 f' of gates, g' of cells
        delta[:, :, I] = by_block(e_s * Z[:, :, C]) * slope[:, :, I] / 2
        delta[:, :, Q] = by_block(e_s * S[:-1]) * slope[:, :, Q] / 4
        delta[:, :, O] = by_block(e_y * H) * slope[:, :, O] / 4
        delta[:, :, C] = e_s * (0.5 + 0.5 * Z[:, :, I]).repeat(SIZE, 2) * slope[:, :, C]
        dW = delta.transpose(1, 2, 0) @ U.transpose(1, 0, 2)
        return {"W": dW * self.exists, "V": e_o.transpose(1, 2, 0) @ seen.transpose(1, 0, 2)}


def by_block(cells):
    """Sums over the cells of a block: (time, nets, 8) -> (time, nets, 4)."""
    return cells[:, :, ::2] + cells[:, :, 1::2]


def right(o, states):
    """Whether every legal symbol's output is above all others: o (..., 7), states broadcast."""
    legal = LEGAL[states]
    return np.where(legal, o, 2).min(-1) > np.where(legal, -1, o).max(-1)


class Traces:
    """The paper's rule in its own form: ds/dw carried forward, a step after every symbol.

    D (3, nets, 8, 16): derivatives of the states by the weights of i, q and the cells.
    """

    def __init__(self, nets):
        self.nets, self.D = nets, np.zeros((3, len(nets.reset), CELLS, SEEN), nets.fixed.dtype)

    def step(self, symbol, target, s, y):
        """Read a symbol; returns s, y, o (nets, ...) and the gradient of this step alone."""
        (u,), (z,), (_, new), (h,), (q,), (seen,) = self.nets.run(np.array([symbol]), s, y)
        y_in, slope = (0.5 + 0.5 * z[:, I]).repeat(SIZE, 1), 1 - z * z
        local_i = z[:, C] * slope[:, I].repeat(SIZE, 1) / 2
        local_q = s * slope[:, Q].repeat(SIZE, 1) / 4 * self.nets.learns
        local = np.stack([local_i, local_q, y_in * slope[:, C]])
        self.D = q[:, :, None] * self.D + local[..., None] * u[:, None]
        o = self.nets.outputs(seen[None])[0]
        off = o.copy()
        off[:, target] -= 1
        e_o = off * o * (1 - o)
        e_y = np.einsum("nk,nkc->nc", e_o, self.nets.weights["V"][:, :, Y])
        e_s = e_y * (0.5 + 0.5 * z[:, O]).repeat(SIZE, 1) * (1 - h * h) / 2
        flow = e_s[None, :, :, None] * self.D
        dW = np.empty_like(self.nets.exists, u.dtype)
        dW[:, I], dW[:, Q] = (flow[k, :, ::2] + flow[k, :, 1::2] for k in (0, 1))
        d_o = (e_y * h)[:, ::2] + (e_y * h)[:, 1::2]
        dW[:, O] = (d_o * slope[:, O] / 4)[..., None] * u[:, None]
        dW[:, C] = flow[2]
        grads = {"W": dW * self.nets.exists, "V": e_o[..., None] * seen[:, None]}
        return new, seen[:, Y], o, grads


# --- learning and test ----------------------------------------------------------------------------


def train(config, nets, rng, history, watch):
    """Train the nets on one stream of strings; each begins a new stream where it was wrong."""
    s = y = np.zeros((len(nets.reset), CELLS), np.float32)
    traces, lately = Traces(nets), np.zeros((EVERY, len(s)), bool)
    drawn = seen = 0
    while seen < config.strings:
        if drawn % 10_000 == 0:
            strings, states = embedded_reber(rng, 10_000)
            lengths = (strings >= 0).sum(1)
        k, drawn = drawn % 10_000, drawn + 1
        symbols, where = strings[k, : lengths[k]], states[k, : lengths[k]]
        targets = np.append(symbols[1:], 0)  # after E comes B
        rate = np.float32(config.rate / (1 + seen / config.decay))
        if config.rule == "strings":
            run = nets.run(symbols, s, y)
            o = nets.outputs(run[-1])
            for name, gradient in nets.gradients(run, o, targets).items():
                nets.weights[name] -= rate * gradient
            s, y, good = run[2][-1], run[-1][-1, :, Y], right(o, where[:, None]).all(0)
        else:
            good = np.ones(len(s), bool)
            for symbol, target, state in zip(symbols, targets, where, strict=True):
                s, y, o, grads = traces.step(symbol, target, s, y)
                good &= right(o, state)
                for name, gradient in grads.items():
                    nets.weights[name] -= rate * gradient
        fresh = ~good | nets.reset | (rng.random() < FRESH)
        s, y = np.where(fresh[:, None], 0, s), np.where(fresh[:, None], 0, y)
        traces.D[:, fresh] = 0
        lately[seen % EVERY], seen = good, seen + 1
        if seen % EVERY == 0 or seen == config.strings:
            report(history, seen, lately[:seen].mean(0), nets, watch, config.strings)


def report(history, seen, share, nets, watch, total):
    """Add a point a net to the learning curves and let the watcher see. FloatingPointError."""
    if not all(np.isfinite(w).all() for w in nets.weights.values()):
        raise FloatingPointError("weights grew beyond all numbers; choose a smaller rate")
    for net, value in enumerate(share):
        for name, part in zip(history, (net, seen, float(value)), strict=True):
            history[name].append(part)
    if watch:
        watch(seen, total, right=float(share.max()), weights=nets.weights)


def test(nets, rng, length):
    """Symbols before the first wrong step of every net on ten fresh streams, (nets, 10).

    nets is used up: who has failed on all streams leaves it.
    """
    streams = [stream(rng, length) for _ in range(STREAMS)]
    symbols, states = (np.stack(part) for part in zip(*streams, strict=True))
    n = len(nets.reset)
    lengths, left = np.full((n, STREAMS), length), np.arange(n)
    s = y = np.zeros((n, CELLS, STREAMS), np.float32)
    for at in range(0, length, CHUNK):
        now, where = symbols[:, at : at + CHUNK].T, states[:, at : at + CHUNK].T
        starts = np.zeros(now.shape, bool)
        starts[1:] = where[:-1] == 0
        if at:
            starts[0] = states[:, at - 1] == 0
        seen, s, y = read(nets, now, starts, s, y)
        V = nets.weights["V"]
        o = V[:, :, Y] @ seen + V[:, :, X].transpose(2, 0, 1)[now].transpose(0, 2, 3, 1)
        o = logistic(o + V[:, :, BIAS:])
        wrong = ~right(o.swapaxes(2, 3), where[:, None])  # (time, nets, streams)
        first = at + np.where(wrong.any(0), wrong.argmax(0), length)
        lengths[left] = np.minimum(lengths[left], first)
        go_on = (lengths[left] == length).any(1)
        if not go_on.all():
            left, s, y = left[go_on], s[go_on], y[go_on]
            nets.keep(go_on)
        if not len(left):
            break
    return lengths


def read(nets, symbols, starts, s, y):
    """Read symbols (time, streams) from s and y (nets, 8, streams); starts: a string begins.

    Returns y (time, nets, 8, streams), and the last s and y. The same as Nets.run(), for streams.
    """
    W = nets.weights["W"] / 2
    table = (W[:, :, X] + W[:, :, BIAS:]).transpose(2, 0, 1)  # (7, nets, 20), bias included
    given = np.ascontiguousarray(table[symbols].transpose(0, 2, 3, 1))
    back, history = np.ascontiguousarray(W[:, :, Y]), np.empty((len(symbols), *y.shape), y.dtype)
    fixed, half_learns = nets.fixed[:, :, None], nets.learns[:, :, None] / 2
    keep = 1 - (nets.reset[:, None, None] & starts[:, None, None]).astype(y.dtype)
    for t in range(len(symbols)):
        if nets.reset.any():
            s, y = s * keep[t], y * keep[t]
        z = np.tanh(back @ y + given[t])
        q = (fixed + half_learns * (1 + z[:, Q])).repeat(SIZE, 1)
        s = q * s + (1 + z[:, I]).repeat(SIZE, 1) * z[:, C]
        y = np.multiply((0.5 + 0.5 * z[:, O]).repeat(SIZE, 1), np.tanh(s / 2), out=history[t])
    return history, s, y


def growth(nets, rng):
    """Along one stream: mean |s| every 10 symbols (501, nets), share of second letters right."""
    symbols, states = stream(rng, GROWTH + 1)
    s = y = np.zeros((len(nets.reset), CELLS), np.float32)
    sizes, letters, ends = [np.abs(s).mean(1)], [], np.flatnonzero(states == 0)[:60]
    for at in range(0, GROWTH, 10):
        for t in range(at, at + 10):
            if t and states[t - 1] == 0:
                s, y = np.where(nets.reset[:, None], 0, (s, y))
            _, _, S, _, _, seen = nets.run(symbols[t : t + 1], s, y)
            s, y = S[-1], seen[-1, :, Y]
            if t + 2 in ends:
                letters.append(nets.outputs(seen)[0].argmax(1) == symbols[t + 1])
        sizes.append(np.abs(s).mean(1))
    return np.array(sizes), np.mean(letters, 0)


def run(config: Config = Config(), watch=None) -> Result:
    """Train all kinds of nets on the same strings, then test them on ten fresh streams."""
    rngs = np.random.default_rng(config.seed).spawn(4)
    kinds = list(KINDS) if config.kinds == "all" else ["forget"]
    nets = Nets([kind for kind in kinds for _ in range(config.nets)], rngs[0])
    history = {"net": [], "strings": [], "right": []}
    train(config, nets, rngs[1], history, watch)
    weights = {name: w.copy() for name, w in nets.weights.items()}
    states, letters = growth(nets, rngs[2])
    lengths = test(nets, rngs[3], config.symbols)
    metrics = {"nets": config.nets}
    for k, kind in enumerate(kinds):
        mine = slice(k * config.nets, (k + 1) * config.nets)
        mean = lengths[mine].mean(1)
        metrics |= {
            f"{kind}_perfect": int((lengths[mine] == config.symbols).all(1).sum()),
            f"{kind}_good": int((mean > GOOD).sum()),
            f"{kind}_length": float(mean.mean()),
            f"{kind}_longest": float(mean.max()),
            f"{kind}_letters": float(letters[mine].mean()),
            f"{kind}_state": float(states[-1, mine].mean()),
        }
    if config.kinds == "all":
        metrics["growth_ratio"] = metrics["none_state"] / metrics["forget_state"]
    return Result(metrics, history, weights, lengths, states)


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of the truncated gradient, which takes y(t-1) as a given input."""
    rng = np.random.default_rng(config.seed)
    nets = Nets(["forget", "none", "decay"], rng, float)
    symbols, targets = rng.integers(0, 7, (2, 9))
    s, y = rng.normal(size=(2, 3, CELLS))
    nets.weights = {name: 3 * w for name, w in nets.weights.items()}
    history = nets.run(symbols, s, y)
    grads = nets.gradients(history, nets.outputs(history[-1]), targets)
    U = history[0]

    def loss():
        W, V = nets.weights["W"] * nets.exists, nets.weights["V"]
        state, total = s, 0.0
        for u, target in zip(U, targets, strict=True):
            net = (W @ u[..., None])[..., 0]
            q = nets.fixed + nets.learns * logistic(net[:, Q])
            g = 4 * logistic(net[:, C]) - 2
            state = q.repeat(SIZE, 1) * state + logistic(net[:, I]).repeat(SIZE, 1) * g
            out = logistic(net[:, O]).repeat(SIZE, 1) * (2 * logistic(state) - 1)
            seen = np.concatenate([u[:, X], out, u[:, BIAS:]], 1)
            o = logistic((V @ seen[..., None])[..., 0])
            total += ((o - np.eye(7)[target]) ** 2).sum() / 2
        return float(total)

    return worst_relative_error(loss, nets.weights, grads)


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
