"""Embedded Reber grammar: predict the next symbol, where the last but one repeats the second.

Task      A string is B, then T or P, then a Reber string (a walk through a graph of six states,
          at most of them two ways on, each half of the time), then the same T or P, then E. 9
          symbols at least, 12 on average, no upper bound. The net reads a symbol a step and
          predicts the next. 256 strings to learn from, in random order, and 256 others to be
          tested on. Success: in all 512, at every step, the outputs of all symbols that are legal
          there, one or two, are above all others.
Net       Memory blocks (the idiom below) see the symbol x(t) and outputs y(t-1). Outputs
          o(t) = f(V [y_c(t), x(t), 1]), with the logistic function f.
          "direct": 8 blocks of one cell, units see x(t) and the cells' y_c(t-1), 488 weights.
          "3-2" and "4-1", the paper's: 3 blocks of 2 or 4 of 1, units see all y(t-1), outputs see
          y_c alone, 276 and 264 weights. Biases at gates only.
Learning  Hochreiter & Schmidhuber 1997, experiment 1: plain descent on sum (o - target)^2 / 2,
          the target being the symbol that really came, a step after every string; truncated
          gradient: errors flow back through the states, never through y(t-1).
          Controls: the same net without output gates (they are 1); Elman's net of 15 tanh units,
          whose error goes back no step, and the same with the full gradient.
Shapes    Nets learn side by side on a leading axis, each with a string of its own, padded behind:
          symbols and states (nets, time), x (time, nets, 7, 1), W (nets, units, 8 + units),
          V (nets, 7, cells + 8). A connection that a net lacks has weight 0 and stays so.
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

# Blocks, cells a block, biases of the output gates, and whether there are direct weights.
NETS = {
    "direct": (8, 1, [-1], True),
    "3-2": (3, 2, [-1, -2, -3], False),
    "4-1": (4, 1, [-1, -2, -3, -4], False),
}
ELMAN_UNITS, ELMAN_RATE = 15, 0.05
PAIRS, STRINGS, DRAWN = 3, 256, 2560  # pairs of sets, strings in a set, drawn to find new ones
CONTROLS = ("nogate", "elman", "full")
EVERY = 100  # strings between looks; a net whose latest 100 were right is tested


@dataclass(frozen=True)
class Config:
    """The paper's task and rule; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    net: str = option("direct", "with direct weights, or one of the paper's", among=NETS)
    nets: int = option(30, "LSTMs that learn side by side, on three pairs of sets", 1, 150)
    strings: int = option(30_000, "most training strings of a net", 100, 1_000_000)
    rate: float = option(0.7, "step size; the paper's is 0.1 to 0.5", 1e-4, 2)
    controls: bool = option(True, "train ten nets of each of three other kinds, too")

    def __post_init__(self):
        check_options(self)


QUICK = {"nets": 3, "strings": 12_000, "controls": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves: kind, strings, and how many nets have succeeded
    nets: dict  # weights W and V by kind: "lstm", "nogate", "elman", "full"
    sets: tuple  # symbols and states (3, 2, 256, longest), see draw_sets()
    counts: dict  # by kind, (2, nets): strings to the strict and the loose success, 0 if never


# --- the task -------------------------------------------------------------------------------------


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


def draw_sets(rng):
    """Three pairs of sets: symbols and states (3, 2, 256, longest), training set and test set.

    No string of a test set is in its training set; within a set strings repeat.
    """
    drawn = embedded_reber(rng, PAIRS * DRAWN)
    sets = [rows.reshape(PAIRS, DRAWN, -1) for rows in drawn]
    chosen = []
    for symbols in sets[0]:
        seen = {row.tobytes() for row in symbols[:STRINGS]}
        new = [k for k in range(STRINGS, DRAWN) if symbols[k].tobytes() not in seen]
        chosen.append([range(STRINGS), new[:STRINGS]])
    pair = np.arange(PAIRS)[:, None, None]
    return tuple(rows[pair, np.array(chosen)] for rows in sets)


def cut(symbols, *others):
    """Strings (..., time) without the columns behind the longest."""
    longest = int((symbols >= 0).sum(-1).max())
    return tuple(rows[..., :longest] for rows in (symbols, *others))


# --- nets -----------------------------------------------------------------------------------------


# idiom: memory_blocks
def logistic(x):
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


class MemoryBlocks:
    """Nets side by side, each with a layer of memory blocks (Hochreiter & Schmidhuber 1997).

    A block holds `size` cells, which share an input gate and an output gate. The units of a net
    are [input gates | output gates | cells], in number blocks (2 + size); IN, OUT and CELLS are
    their slices. Each sees u(t) = [x(t), 1, y(t-1)], the outputs y of all units among it, so that
    W is (nets, units, inputs + 1 + units). With f the logistic function, net(t) = W u(t),
    g = 4 f(net_c) - 2 and h = 2 f(s_c) - 1:
        y_in = f(net_in),  y_out = f(net_out),  s_c(t) = s_c(t-1) + y_in g,  y_c = y_out h.
    s and y are 0 before the first step. There is no forget gate. To cut a connection, keep its
    weight at 0.

    Buffers for sequences of at most `steps` are made once; after forward(), Z (time, nets, units,
    batch) holds tanh(net / 2), S and H (time, nets, blocks, size, batch) the states s_c and h.
    """

    def __init__(self, nets, inputs, blocks, size, batch, steps, dtype=np.float32):
        units, self.inputs, self.blocks, self.n = blocks * (2 + size), inputs, blocks, 0
        self.IN, self.OUT = slice(0, blocks), slice(blocks, 2 * blocks)
        self.CELLS, self.RECURRENT = slice(2 * blocks, units), slice(inputs + 1, None)
        self.cells = (nets, blocks, size, batch)
        # U holds [x(t), 1, 2 y(t-1)]: f(net) is (1 + Z) / 2 and g is 2 Z, so that a state's step
        # y_in g is (1 + Z_in) Z_c, and one tanh does for all units; the halves go into the weights.
        self.U = np.zeros((steps + 1, nets, inputs + 1 + units, batch), dtype)
        self.U[:, :, inputs] = 1
        self.Z, self.delta = np.empty((2, steps, nets, units, batch), dtype)
        self.S, self.H = np.zeros((2, steps + 1, *self.cells), dtype)
        y, gates = self.U[1:, :, self.RECURRENT], slice(0, 2 * blocks)
        parts = [self.U, self.Z, self.Z[:, :, gates], y[:, :, gates], y[:, :, self.IN, None]]
        parts += [self.by_block(self.Z), self.S, self.S[1:], self.H[1:]]
        parts += [y[:, :, self.OUT, None], self.by_block(y)]
        self.views = list(zip(*parts, strict=False))  # of every step

    def by_block(self, units):
        """The cells of (time, nets, units, batch) as (time, nets, blocks, size, batch), a view."""
        return units[:, :, self.CELLS].reshape(len(units), *self.cells)

    def forward(self, W, x):
        """Run over x (time, nets or 1, inputs, batch); returns y_c (time, nets, cells, batch)."""
        self.n = len(x)
        self.U[: self.n, :, : self.inputs] = x
        half_W = W / 2
        half_W[:, :, self.RECURRENT] /= 2
        step = np.empty(self.cells, W.dtype)
        for u, z, z_gates, y_gates, y_in, z_c, s, s_next, h, y_out, y_c in self.views[: self.n]:
            np.matmul(half_W, u, out=z)
            np.tanh(z, out=z)
            np.add(z_gates, 1, out=y_gates)
            np.multiply(y_in, z_c, out=step)
            np.add(s, step, out=s_next)
            np.multiply(s_next, 0.5, out=h)
            np.tanh(h, out=h)
            np.multiply(y_out, h, out=y_c)
        return self.U[1 : self.n + 1, :, self.RECURRENT][:, :, self.CELLS] / 2

    def backward(self, e):
        """Gradient of W by the truncated rule: errors flow back through s, never through y(t-1).

        e: the error at y_c, (nets, cells, batch) of the last step or (time, nets, cells, batch).
            e_s(t)     = e_c(t) y_out(t) h'(s(t)),  R(t) = sum of e_s over t and all later steps,
            delta_in   = f'(net_in) sum over the block's cells of R g,  delta_c = R y_in g'(net_c)
            delta_out  = f'(net_out) sum over the block's cells of e_c h
            dW = sum over t of delta(t) u(t)^T;  f' = f (1 - f), g' = 1 - g^2/4, h' = (1 - h^2)/2
        The deltas (time, nets, units, batch) stay in self.delta.
        """
        e_c = e.reshape(-1, *self.cells)
        early, n = self.n - len(e_c), self.n  # steps without an error of their own
        Z, delta, h = self.Z[:n], self.delta[:n], self.H[early + 1 : n + 1]
        np.multiply(Z, Z, out=delta)
        np.subtract(1, delta, out=delta)  # 4 f' of the gates, g' of the cells
        e_s = e_c * (1 + Z[early:, :, self.OUT, None]) * (1 - h * h) / 4
        R = np.cumsum(e_s[::-1], 0)[::-1]
        delta[:, :, self.IN] *= (R * self.by_block(Z)).sum(3) / 2
        delta[:early, :, self.OUT] = 0
        delta[early:, :, self.OUT] *= (e_c * h).sum(3) / 4
        cells = self.by_block(delta)
        cells *= R
        cells *= (1 + Z[:, :, self.IN, None]) / 2
        dW = over_time(delta) @ over_time(self.U[:n]).swapaxes(1, 2)
        dW[:, :, self.RECURRENT] /= 2  # U holds 2 y(t-1)
        return dW


def over_time(units):
    """(time, nets, units, batch) -> (nets, units, time * batch)."""
    return units.transpose(1, 2, 0, 3).reshape(*units.shape[1:3], -1)


# end idiom


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


class Nets:
    """Nets of one kind that learn side by side: weights, which of them exist, and how they run.

    kind: "lstm"; "nogate", its output gates 1; "elman" or "full", tanh units with the gradient of
    the present step or of all. weights: W (nets, units, 8 + units), V (nets, 7, seen + 8).
    """

    def __init__(self, kind, net, nets, rng):
        self.kind, (blocks, size, biases, direct) = kind, NETS[net]
        self.shape, self.seen, self.layer = (blocks, size), blocks * size, None
        units = blocks * (2 + size)
        if kind in ("elman", "full"):
            units = self.seen = ELMAN_UNITS
        W = rng.uniform(-0.2, 0.2, (nets, units, 8 + units))
        V = rng.uniform(-0.2, 0.2, (nets, 7, self.seen + 8))
        self.exists = {"W": np.ones_like(W[:1]), "V": np.ones_like(V[:1])}
        if kind in ("lstm", "nogate"):
            self.exists["W"][:, 2 * blocks :, 7] = 0  # cells have no bias
            if direct:
                self.exists["W"][:, :, 8 : 8 + 2 * blocks] = 0  # gates are not seen
            else:
                self.exists["V"][:, :, self.seen :] = 0
            W[:, blocks : 2 * blocks, 7] = np.resize(biases, blocks)
        if kind == "nogate":
            self.exists["W"][:, blocks : 2 * blocks] = 0
        self.weights = {"W": W * self.exists["W"], "V": V * self.exists["V"]}
        if kind == "nogate":
            self.weights["W"][:, blocks : 2 * blocks, 7] = 30  # f(30) is 1
        self.weights = {name: w.astype(np.float32) for name, w in self.weights.items()}

    def forward(self, x, weights, dtype=np.float32):
        """Outputs o (time, nets, 7, batch), and what V sees, [y, x, 1], of the same shape but 7."""
        n, nets, batch = len(x), len(weights["W"]), x.shape[3]
        layer = self.layer
        if layer is None or len(layer.U) <= n or layer.U.shape[1::2] != (nets, batch):
            steps = n + 10
            if self.kind in ("elman", "full"):
                self.layer = TanhNet(nets, 7, ELMAN_UNITS, batch, steps, dtype)
            else:
                self.layer = MemoryBlocks(nets, 7, *self.shape, batch, steps, dtype)
        y = self.layer.forward(weights["W"], x)
        seen = np.concatenate([y, self.layer.U[:n, :, :8]], 2)
        return logistic(weights["V"] @ seen), seen

    def backward(self, weights, o, seen, off):
        """Gradients of sum (o - target)^2 / 2; off is o - target, 0 where nothing is asked."""
        e_o = off * o * (1 - o)
        e = weights["V"][:, :, : self.seen].swapaxes(1, 2) @ e_o
        if self.kind == "elman":
            delta = e * (1 - seen[:, :, : self.seen] ** 2)
            dW = over_time(delta) @ over_time(self.layer.U[: len(e)]).swapaxes(1, 2)
        else:
            dW = self.layer.backward(e)
        dV = over_time(e_o) @ over_time(seen).swapaxes(1, 2)
        return {"W": dW * self.exists["W"], "V": dV * self.exists["V"]}


ONE_HOT = np.eye(len(SYMBOLS) + 1, len(SYMBOLS), dtype=np.float32)  # symbol -1: nothing


def judge(o, targets, states):
    """Whether outputs are right at every step of a string: strictly, and loosely.

    o (time, nets, 7, batch); targets and states (time, nets or 1, batch): the next symbol (-1:
    nothing is asked) and where in the grammar the net is. Strictly: every legal output above all
    others; loosely: the largest is legal. Returns two arrays (nets, batch).
    """
    legal = LEGAL[states].swapaxes(2, 3)
    others = np.where(legal, -1, o).max(2)
    silent = targets < 0
    strictly = (np.where(legal, o, 2).min(2) > others) | silent
    loosely = (np.where(legal, o, -1).max(2) > others) | silent
    return strictly.all(0), loosely.all(0)


def test(nets, weights, symbols, states):
    """judge() of nets on strings (strings, time), and the outputs o (time, nets, 7, strings)."""
    symbols, states = cut(symbols, states)
    x = ONE_HOT[symbols[:, :-1]].transpose(1, 2, 0)[:, None]
    o, _ = nets.forward(x, weights)
    return *judge(o, symbols.T[1:, None], states.T[:-1, None]), o


def second_letter(o, symbols):
    """Whether the largest output before the last symbol but one is that symbol, (nets, strings)."""
    strings = np.arange(len(symbols))
    last = (symbols >= 0).sum(1) - 2
    return o[last - 1, :, :, strings].argmax(2).T == symbols[strings, last]


# --- learning -------------------------------------------------------------------------------------


class School:
    """Nets of one kind, net i on pair i % 3 of the sets; one that has succeeded is left out.

    counts (2, nets): strings after which a net was strictly and loosely right in all 512, or 0.
    """

    def __init__(self, kind, config, count, sets, rng):
        self.nets, self.rng, self.sets = Nets(kind, config.net, count, rng), rng, sets
        self.rate = config.rate if kind in ("lstm", "nogate") else ELMAN_RATE
        self.left, self.counts, self.seen = np.arange(count), np.zeros((2, count), int), 0
        self.now = {name: w.copy() for name, w in self.nets.weights.items()}
        self.tester = Nets(kind, config.net, 1, np.random.default_rng(0))

    def learn(self):
        """EVERY strings a net; returns whether all were strictly, loosely right (2, nets)."""
        right = np.ones((2, len(self.left)), bool)
        for _ in range(EVERY):
            string = self.rng.integers(0, STRINGS, len(self.left))
            symbols, states = (part[self.left % PAIRS, 0, string] for part in self.sets)
            symbols, states = cut(symbols, states)
            x = ONE_HOT[symbols[:, :-1]].swapaxes(0, 1)[..., None]
            o, seen = self.nets.forward(x, self.now)
            targets = symbols.T[1:, :, None]
            off = o - ONE_HOT[symbols[:, 1:]].swapaxes(0, 1)[..., None]
            off *= (targets >= 0)[:, :, None]
            right &= np.array(judge(o, targets, states.T[:-1, :, None]))[..., 0]
            for name, gradient in self.nets.backward(self.now, o, seen, off).items():
                self.now[name] -= self.rate * gradient
            self.seen += 1
        return right

    def examine(self, right):
        """Test on all 512 strings who was right lately; who is strictly right there is done."""
        done = np.zeros(len(self.left), bool)
        for k in np.flatnonzero(right[1] & (right[0] | (self.counts[1, self.left] == 0))):
            one = {name: w[[k]] for name, w in self.now.items()}
            pair = self.left[k] % PAIRS
            verdicts = np.array([True, True])
            for part in (0, 1):
                if verdicts.any():
                    some = test(self.tester, one, *(rows[pair, part] for rows in self.sets))
                    verdicts &= [some[0].all(), some[1].all()]
            first = verdicts & (self.counts[:, self.left[k]] == 0)
            self.counts[first, self.left[k]] = self.seen
            done[k] = verdicts[0]
        return done

    def train(self, most, history, watch):
        """Until all nets have succeeded or have had `most` strings. Raises FloatingPointError."""
        while len(self.left) and self.seen < most:
            right = self.learn()
            if not all(np.isfinite(w).all() for w in self.now.values()):
                raise FloatingPointError("weights grew beyond all numbers; choose a smaller rate")
            done = self.examine(right)
            for name, w in self.nets.weights.items():
                w[self.left] = self.now[name]
            self.left, self.now = self.left[~done], {k: w[~done] for k, w in self.now.items()}
            solved = int((self.counts[0] > 0).sum())
            point = (self.nets.kind, self.seen, solved)
            for name, value in zip(history, point, strict=True):
                history[name].append(value)
            if watch:
                state = {"kind": self.nets.kind, "solved": solved}
                watch(self.seen, most, **state, weights=self.nets.weights)


def run(config: Config = Config(), watch=None) -> Result:
    """Train the LSTMs, then the controls on the same sets; test all on the strings unseen."""
    rngs = np.random.default_rng(config.seed).spawn(5)
    sets = draw_sets(rngs[0])
    history, metrics, nets, counts = {"kind": [], "strings": [], "solved": []}, {}, {}, {}
    kinds = {"lstm": config.nets} | (dict.fromkeys(CONTROLS, 10) if config.controls else {})
    for (kind, count), rng in zip(kinds.items(), rngs[1:], strict=False):
        school = School(kind, config, count, sets, rng)
        school.train(config.strings, history, watch)
        nets[kind], counts[kind] = school.nets.weights, school.counts
        prefix = "" if kind == "lstm" else f"{kind}_"
        metrics |= {prefix + name: value for name, value in evaluate(school, config).items()}
    if config.controls:
        for kind in ("nogate", "full"):
            metrics[f"{kind}_ratio"] = metrics[f"{kind}_strings"] / metrics["strings"]
    return Result(metrics, history, nets, sets, counts)


def evaluate(school, config):
    """Metrics of nets of one kind, each on the test set of its pair; no success counts as all."""
    used = np.where(school.counts, school.counts, config.strings)
    outer, right, state = [], [], []
    for k in range(len(used[0])):
        one = {name: w[[k]] for name, w in school.nets.weights.items()}
        symbols, states = (rows[k % PAIRS, 1] for rows in school.sets)
        strictly, _, o = test(school.tester, one, symbols, states)
        outer.append(second_letter(o, symbols).mean())
        right.append(strictly.mean())
        if school.nets.kind in ("lstm", "nogate"):
            ends = (symbols >= 0).sum(1) - 1
            state.append(np.abs(school.tester.layer.S[ends, 0, ..., np.arange(STRINGS)]).mean())
    return {
        "nets": len(outer),
        "solved": int((school.counts[0] > 0).sum()),
        "strings": float(used[0].mean()),
        "solved_loosely": int((school.counts[1] > 0).sum()),
        "strings_loosely": float(used[1].mean()),
        "outer": float(np.mean(outer)),
        "right": float(np.mean(right)),
        "state": float(np.mean(state)) if state else None,
    }


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of the truncated gradient, which takes y(t-1) as a given input."""
    rng = np.random.default_rng(config.seed)
    symbols, _ = cut(*(part[:2, 0, 0] for part in draw_sets(rng)))
    nets = Nets("lstm", config.net, 2, rng)
    weights = {k: 2 * w.astype(float) for k, w in nets.weights.items()}
    x, target = (
        ONE_HOT[part].swapaxes(0, 1)[..., None] for part in (symbols[:, :-1], symbols[:, 1:])
    )
    asked = (symbols.T[1:] >= 0)[:, :, None, None]
    o, seen = nets.forward(x, weights, float)
    grads = nets.backward(weights, o, seen, (o - target) * asked)
    layer, size = nets.layer, nets.shape[1]
    given = layer.U[: len(x)].copy()
    given[:, :, layer.RECURRENT] /= 2

    def loss():
        sums = weights["W"] * nets.exists["W"] @ given
        y_in, y_out = (logistic(sums[:, :, part]).repeat(size, 2) for part in (layer.IN, layer.OUT))
        s = np.cumsum(y_in * (4 * logistic(sums[:, :, layer.CELLS]) - 2), 0)
        seen = np.concatenate([y_out * (2 * logistic(s) - 1), given[:, :, :8]], 2)
        o = logistic(weights["V"] * nets.exists["V"] @ seen)
        return float((asked * (o - target) ** 2).sum() / 2)

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
