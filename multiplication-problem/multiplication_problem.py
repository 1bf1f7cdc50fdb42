"""Multiplication problem: an LSTM with 93 weights multiplies two marked numbers a lag of 50 apart.

Task      A sequence is n pairs (value, marker), n drawn from 100 to 110, values uniform in [0, 1].
          The marker is -1 at the first and the last pair, 1 at two others, else 0. The two: one of
          the first ten pairs (its value is X1), then one of the first 49 not yet chosen (X2). If
          the first pair is chosen, its marker stays -1 and it counts as 1. Target after the last
          pair: X1 X2. A sequence is right if the output is at most 0.04 off.
Net       x(t) is the pair at step t. A memory cell c holds its state s_c; two cells make a block
          and share its input gate and its output gate. y(t) = [y_in | y_out | y_c] are the 8
          outputs of two blocks, and all units see u(t) = [x(t), 1, y(t-1)], 11 numbers. With the
          logistic function f, net(t) = W u(t), g = 4 f(net_c) - 2 and h = 2 f(s_c) - 1:
              y_in = f(net_in),  y_out = f(net_out),  s_c(t) = s_c(t-1) + y_in g,  y_c = y_out h.
          There is no forget gate. Output o = f(V [1, y_c]) at the end: 8 x 11 + 5 = 93 weights.
Learning  Hochreiter & Schmidhuber 1997, experiment 5, with the truncated gradient: errors flow back
          through the states s_c, never through y(t-1). The paper takes a step of 0.1 on
          (o - target)^2 / 2 after every sequence. Ours: Adam on batches of 32 with the
          cross-entropy of o and the target, whose gradient lacks the factor o (1 - o), and input
          gates that start nearly closed, at biases -3 and -6, as in the paper's adding problem:
          open ones let the mean of the values, 1/2, fill the cells.
          Two moments count: fewer than 140, then fewer than 13 of the 2000 latest training
          sequences are wrong, each scored before it is learnt from.
          Control: 8 tanh units, the full gradient, from two kinds of start.
Shapes    one_sequence() is the algorithm for one net in plain loops. The fast form has leading axes
          for time and for nets that learn side by side, and a last one for the batch:
          x (time, nets, 2, batch), W (nets, 8, 11), V (nets, 1, 5), o (nets, batch).
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

# First and last length, the first mark's places, and the steps before which the second mark stands,
# all counted from 0; None: n / 2.
TASKS = {
    "paper": ((100, 110), (0, 10), 49),
    "v1": ((20, 30), (1, 10), None),  # the second mark from 10 on
    "short": ((20, 22), (0, 6), 10),
}
BLOCKS, SIZE = 2, 2
UNITS = BLOCKS * (2 + SIZE)
INPUT_GATE_BIASES = (-3, -6)
RULES, WINDOW = (140, 13), 2000  # a moment comes when fewer of the latest 2000 are wrong
TOLERANCE, AVERAGED = 0.04, 2000  # sequences over which the weights that are tested are averaged
TESTED, RNN_MOST, RNN_BATCH, EVERY = 2560, 200_000, 64, 4000  # the last: between reports
RNN_STARTS = ("uniform", "orthogonal")


@dataclass(frozen=True)
class Config:
    """The paper's task and net; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    sequences: int = option(1_500_000, "most training sequences of a net", 1, 10_000_000)
    task: str = option("paper", "the paper's, the earlier catalog's, or short", among=TASKS)
    nets: int = option(4, "LSTMs that learn side by side", 1, 50)
    rule: str = option("adam", "ours, or the paper's step a sequence", among=("adam", "paper"))
    gates: str = option("closed", "input gates' start; open: as paper", among=("closed", "open"))
    batch: int = option(32, "sequences a step; 1 with the paper's rule", 1, 256)
    rate: float = option(0.05, "step size; the paper's alpha is 0.1", 1e-5, 10)
    decay: int = option(400_000, "Adam's rate goes as 1 / (1 + seen / decay)", 100, 100_000_000)
    stop: int = option(13, "a net stops at fewer wrong of 2000 than this", among=(0, *RULES))
    controls: bool = option(True, "train the two nets without gates, too")
    control_rate: float = option(0.003, "Adam's step size for these", 1e-5, 1)

    def __post_init__(self):
        check_options(self)
        fixed = {} if self.controls else {"control_rate": 0.003}
        if self.rule == "paper":
            fixed |= {"batch": 1, "decay": 400_000}
        for name, value in fixed.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} must be {value} here, got {getattr(self, name)}")


QUICK = {"task": "short", "sequences": 200_000, "nets": 2, "stop": 140}
QUICK |= {"decay": 100_000, "controls": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves; "net" says whose a point is
    nets: dict  # averaged weights W and V: of "lstm" at the end, at rule 140 and 13; of "rnn"
    test: dict  # target (sequences,), and the outputs of all of them, (nets, sequences)


# --- the task -------------------------------------------------------------------------------------


def make_batch(rng, nets, batch, task="paper"):
    """Sequences x (n, nets, 2, batch) of one common length n, and their targets (nets, batch)."""
    (shortest, longest), places, before = TASKS[task]
    n, shape = int(rng.integers(shortest, longest + 1)), (nets, batch)
    first = rng.integers(*places, shape)
    if before is None:
        second = rng.integers(10, max(11, n // 2), shape)
    else:
        second = rng.integers(0, before - 1, shape)
        second += second >= first  # all places but the first choice
    x = np.zeros((n, nets, 2, batch), np.float32)
    x[:, :, 0] = rng.random((n, *shape), np.float32)
    net, item = np.ogrid[:nets, :batch]
    x[first, net, 1, item] = x[second, net, 1, item] = 1
    x[[0, -1], :, 1] = -1
    factors = np.where(x[:, :, 1] == 1, x[:, :, 0], 1)
    return x, factors.prod(0)


# --- the LSTM in plain form: one net, one sequence ------------------------------------------------


def one_sequence(W, V, pairs, target):
    """Output o, and the truncated gradients dE/dW (8, 11) and dE/dV (5,) of E = (o - target)^2 / 2.

    As in the paper, every cell carries ds_c/dw forward for its own weights and those of its input
    gate, y(t-1) taken as given.
    """
    cells = BLOCKS * SIZE
    s, y = np.zeros(cells), np.zeros(UNITS)
    ds_in, ds_c = np.zeros((2, cells, W.shape[1]))
    for pair in pairs:
        u = np.concatenate([pair, [1], y])
        net = W @ u
        y_in, y_out = logistic(net[:BLOCKS]), logistic(net[BLOCKS : 2 * BLOCKS])
        y_c, h = np.zeros((2, cells))
        for c in range(cells):
            j = c // SIZE  # the cell's block
            g = 4 * logistic(net[2 * BLOCKS + c]) - 2
            s[c] += y_in[j] * g
            h[c] = 2 * logistic(s[c]) - 1
            y_c[c] = y_out[j] * h[c]
            ds_in[c] += g * y_in[j] * (1 - y_in[j]) * u  # f' = f (1 - f)
            ds_c[c] += y_in[j] * (1 - g * g / 4) * u  # g' = 1 - g^2 / 4
        y = np.concatenate([y_in, y_out, y_c])
    o = logistic(V @ [1, *y_c])
    e_o = (o - target) * o * (1 - o)  # error at the output's net sum
    dW, dV = np.zeros_like(W), e_o * np.array([1, *y_c])
    for c in range(cells):
        j = c // SIZE
        e_c = e_o * V[1 + c]  # error at the cell's output
        e_s = e_c * y_out[j] * (1 - h[c] * h[c]) / 2  # and at its state: h' = (1 - h^2) / 2
        dW[j] += e_s * ds_in[c]
        dW[BLOCKS + j] += e_c * h[c] * y_out[j] * (1 - y_out[j]) * u
        dW[2 * BLOCKS + c] += e_s * ds_c[c]
    return o, dW, dV


# --- the LSTM in fast form: many nets, many sequences ---------------------------------------------


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


def hidden_layer(kind, nets, batch, task, dtype=np.float32):
    """Memory blocks ("lstm") or the control's tanh units ("rnn"), with buffers for the task."""
    longest = TASKS[task][0][1]
    if kind == "lstm":
        return MemoryBlocks(nets, 2, BLOCKS, SIZE, batch, longest, dtype)
    return TanhNet(nets, 2, UNITS, batch, longest, dtype)


def init(kind, rng, nets, gates="closed"):
    """Weights in [-0.1, 0.1]; input gates closed, if they are to be; half the controls orthogonal.

    Returns W (nets, 8, 11) and V (nets, 1, 5), of the controls (nets, 1, 9).
    """
    W = rng.uniform(-0.1, 0.1, (nets, UNITS, 2 + 1 + UNITS))
    V = rng.uniform(-0.1, 0.1, (nets, 1, 1 + (BLOCKS * SIZE if kind == "lstm" else UNITS)))
    if kind == "rnn":
        W[1, :, 3:] = np.linalg.qr(rng.normal(size=(UNITS, UNITS)))[0]
    elif gates == "closed":
        W[:, :BLOCKS, 2] = INPUT_GATE_BIASES
    return {"W": W.astype(np.float32), "V": V.astype(np.float32)}


def forward(layer, weights, x):
    """Outputs o (nets, batch) after the last step, and y (nets, cells or units, batch)."""
    y = layer.forward(weights["W"], x)[-1]
    return logistic(weights["V"][:, :, 1:] @ y + weights["V"][:, :, :1])[:, 0], y


def backward(layer, weights, e_o, y):
    """Gradients of W and V; e_o (nets, batch) is the error at the net sum of the output."""
    e_o = e_o[:, None].astype(y.dtype)
    dV = e_o @ np.concatenate([np.ones_like(e_o), y], 1).swapaxes(1, 2)
    return {"W": layer.backward(weights["V"][:, :, 1:].swapaxes(1, 2) * e_o), "V": dV}


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


class Window:
    """How many of the latest 2000 training sequences were wrong, and their mean |error|, by net."""

    def __init__(self, nets):
        self.seen, self.off = 0, np.ones((nets, WINDOW), np.float32)  # a ring: the oldest give way

    def add(self, off):
        """Take in |error| (nets, batch); returns wrong ones (nets,), before 2000 counted as all."""
        before, self.seen = self.seen, self.seen + off.shape[1]
        self.off[:, np.arange(before, self.seen) % WINDOW] = off
        return (self.off > TOLERANCE).sum(1)

    def error(self):
        return self.off[:, : self.seen].mean(1)


class Trainer:
    """LSTMs that learn side by side; one that has stopped is left out.

    met: of each rule, the sequences (nets,) after which its moment came, or 0. kept: of each rule
    the averaged weights at that moment, and under "lstm" at the end.
    """

    def __init__(self, config, rng, start):
        self.config, self.rng, self.left = config, rng, np.arange(config.nets)
        self.now = {name: w.copy() for name, w in start.items()}
        self.mean = {name: w.copy() for name, w in start.items()}
        self.adam, self.window = Adam(self.now, config.rate, beta2=0.99), Window(config.nets)
        self.layer = hidden_layer("lstm", config.nets, config.batch, config.task)
        self.met = {rule: np.zeros(config.nets, int) for rule in RULES}
        self.kept = {key: {name: w.copy() for name, w in start.items()} for key in (*RULES, "lstm")}

    def step(self):
        """Score a batch of sequences, then learn from it; returns wrong ones of 2000 (nets,)."""
        config = self.config
        x, target = make_batch(self.rng, len(self.left), config.batch, config.task)
        o, y = forward(self.layer, self.now, x)
        wrong = self.window.add(np.abs(o - target))
        self.keep("lstm", slice(None))
        for rule in RULES:
            arrived = (wrong < rule) & (self.met[rule][self.left] == 0)
            self.met[rule][self.left[arrived]] = self.window.seen
            self.keep(rule, arrived)
        if config.rule == "paper":
            grads = backward(self.layer, self.now, (o - target) * o * (1 - o), y)
            for name, gradient in grads.items():
                self.now[name] -= config.rate * gradient
        else:
            self.adam.rate = config.rate / (1 + self.window.seen / config.decay)
            grads = backward(self.layer, self.now, (o - target) / config.batch, y)
            self.adam.step(self.now, grads)
        for name, w in self.now.items():
            self.mean[name] += min(1, config.batch / AVERAGED) * (w - self.mean[name])
        return wrong

    def keep(self, key, which):
        """Store the averaged weights of some of the nets that still learn."""
        for name, w in self.mean.items():
            self.kept[key][name][self.left[which]] = w[which]

    def drop(self, done):
        """Go on without the nets that are done (nets,)."""
        self.left, self.window.off = self.left[~done], self.window.off[~done]
        for arrays in (self.now, self.mean, self.adam.mean, self.adam.square):
            for name in arrays:
                arrays[name] = arrays[name][~done]
        self.layer = hidden_layer("lstm", len(self.left), self.config.batch, self.config.task)


def train(config, rng, start, history, watch):
    """Train LSTMs until all have stopped or have had all their sequences; returns the Trainer."""
    trainer = Trainer(config, rng, start)
    window = trainer.window
    while len(trainer.left) and window.seen < config.sequences:
        wrong = trainer.step()
        done, seen = wrong < config.stop, window.seen
        if done.any() or seen % EVERY < config.batch or seen >= config.sequences:
            if not all(np.isfinite(w).all() for w in trainer.now.values()):
                raise FloatingPointError("weights grew beyond all numbers; choose a smaller rate")
            point = {"net": trainer.left, "wrong": wrong, "error": window.error()}
            point["sequences"] = np.full(len(wrong), seen)
            for name, values in point.items():
                history[name] += values.tolist()
            if watch:
                state = {"learning": len(trainer.left), "wrong": int(wrong.min())}
                watch(seen, config.sequences, **state, weights=trainer.kept["lstm"])
        if done.any():
            trainer.drop(done)
    return trainer


# --- the control: nets without gates --------------------------------------------------------------


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


def train_control(config, rng, weights, sequences):
    """Train tanh nets on one stream; returns whether one of them came to the rule of 140."""
    layer, window = hidden_layer("rnn", 2, RNN_BATCH, config.task), Window(2)
    adam, met = Adam(weights, config.control_rate, limit=1.0, stacked=True), False
    while window.seen < sequences:
        x, target = make_batch(rng, 1, RNN_BATCH, config.task)
        o, y = forward(layer, weights, x)
        met |= bool((window.add(np.abs(o - target)) < RULES[0]).any())
        adam.step(weights, backward(layer, weights, (o - target) / RNN_BATCH, y))
    return met


# --- a run ----------------------------------------------------------------------------------------


def outputs_on(kind, weights, tests, task):
    """Outputs of every net on all test batches (x, target), (nets, sequences)."""
    layer = hidden_layer(kind, len(weights["W"]), tests[0][0].shape[-1], task)
    return np.concatenate([forward(layer, weights, x)[0] for x, _ in tests], 1, dtype=float)


def run(config: Config = Config(), watch=None) -> Result:
    """Train the LSTMs, then, on as many sequences, the controls; test all of them."""
    rngs = np.random.default_rng(config.seed).spawn(5)
    tests = [make_batch(rngs[0], 1, TESTED // 10, config.task) for _ in range(10)]
    target = np.concatenate([target for _, target in tests], 1, dtype=float)[0]
    history = {"sequences": [], "net": [], "wrong": [], "error": []}
    start = init("lstm", rngs[1], config.nets, config.gates)
    trainer = train(config, rngs[2], start, history, watch)
    nets, metrics = trainer.kept, {"nets": config.nets}
    test = {"target": target}
    for key, weights in nets.items():
        test[key] = outputs_on("lstm", weights, tests, config.task)
        met = np.ones(config.nets, bool) if key == "lstm" else trainer.met[key] > 0
        if key != "lstm":
            used = np.where(met, trainer.met[key], config.sequences)
            metrics |= {f"solved_{key}": int(met.sum()), f"sequences_{key}": float(used.mean())}
        metrics |= evaluate(test[key][met] - target, "end" if key == "lstm" else key)
    if config.controls:
        nets["rnn"] = init("rnn", rngs[3], 2)
        sequences = min(int(metrics["sequences_140"]), RNN_MOST)
        met = train_control(config, rngs[4], nets["rnn"], sequences)
        test["rnn"] = outputs_on("rnn", nets["rnn"], tests, config.task)
        mae = np.abs(test["rnn"] - target).mean(1)
        metrics |= {"rnn_solved": int(met), "rnn_mae": float(mae.min())}
        metrics |= {f"rnn_mae_{name}": float(m) for name, m in zip(RNN_STARTS, mae, strict=True)}
    return Result(metrics, history, nets, test)


def evaluate(error, when):
    """Metrics of test errors (nets, sequences); None where there is no net."""
    some, off = len(error) > 0, np.abs(error)
    wrong = (off > TOLERANCE).sum(1)
    return {
        f"wrong_{when}": float(wrong.mean()) if some else None,
        f"wrong_most_{when}": int(wrong.max()) if some else None,
        f"mae_{when}": float(off.mean()) if some else None,
        f"mse_{when}": float((error**2).mean()) if some else None,
    }


def gradient_check(config: Config = Config(task="short")) -> float:
    """Worst relative error of the truncated gradient, which takes y(t-1) as a given input."""
    rng = np.random.default_rng(config.seed)
    x, target = make_batch(rng, 2, 3, config.task)
    weights = {name: rng.normal(0, 0.5, w.shape) for name, w in init("lstm", rng, 2).items()}
    layer = hidden_layer("lstm", 2, 3, config.task, float)
    o, y = forward(layer, weights, x)
    grads = backward(layer, weights, (o - target) * o * (1 - o), y)
    given = layer.U[: len(x)].copy()
    given[:, :, layer.RECURRENT] /= 2

    def loss():
        sums = weights["W"] @ given
        y_in, y_out = (logistic(sums[:, :, part]).repeat(SIZE, 2) for part in (layer.IN, layer.OUT))
        s = (y_in * (4 * logistic(sums[:, :, layer.CELLS]) - 2)).sum(0)
        y_c = y_out[-1] * (2 * logistic(s) - 1)
        o = logistic(weights["V"][:, :, 1:] @ y_c + weights["V"][:, :, :1])[:, 0]
        return float(((o - target) ** 2).sum() / 2)

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
