"""Temporal order, three marks: eight classes from the order of three distant symbols, 308 weights.

Task      A sequence is E, then distractors a, b, c, d drawn at random, then the trigger B; its
          length n is drawn from 100 to 110. At t1 (10 to 20), t2 (33 to 43) and t3 (66 to 76)
          stands X or Y instead. The eight classes are the orders XXX, XXY, ..., YYY: one of eight
          targets is 1, seven are 0, and only the last step has an error. A sequence is right if
          ALL eight outputs are less than 0.3 off: to know two of the three marks is not enough.
Net       x(t) is the symbol, one of 8 units is 1. Three memory blocks of two cells, a block a
          mark; the 12 hidden units y(t) = [y_in | y_out | y_c] all see u(t) = [x(t), 1, y(t-1)],
          21 numbers. With the logistic function f, net(t) = W u(t), g = 4 f(net_c) - 2 and
          h = 2 f(s_c) - 1:
              y_in = f(net_in),  y_out = f(net_out),  s_c(t) = s_c(t-1) + y_in g,  y_c = y_out h.
          Outputs o = f(V [1, y_c]) at the end. 12 x 21 + 8 x 7 = 308 weights. The biases of the
          input gates start at -2, -4 and -6, so that one block after another joins.
Learning  Hochreiter & Schmidhuber 1997, experiment 6b: gradient descent on
          E = sum (o - target)^2 / 2 with the truncated gradient: errors flow back through the
          states s_c, never through y(t-1). The paper takes a step after every sequence, rate 0.1;
          ours after every 16, rate 1 on the sum of their gradients, which is scaled down to
          the length 0.3 where it is longer: rare long ones throw nets off that nearly know.
          Beside it: the same on two marks, experiment 6a (four classes, two blocks), and as a
          control 12 tanh units with the full gradient, by Adam, from two kinds of start.
Shapes    one_sequence() is the algorithm for one net in plain loops. The fast form has leading axes
          for time and for nets that learn side by side, and a last one for the batch; with M marks:
          symbols (time, nets, batch), W (nets, 4 M, 9 + 4 M), V (nets, 2^M, 1 + 2 M),
          o (nets, 2^M, batch).
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

# First and last length, and first and last place of each of the marks, counted from 1.
TASKS = {
    "paper": ((100, 110), ((10, 20), (33, 43), (66, 76))),
    "two marks": ((100, 110), ((10, 20), (50, 60))),  # experiment 6a
    "v1": ((50, 50), ((4, 10), (19, 27), (34, 41))),
    "short": ((10, 11), ((2, 3), (5, 6), (8, 9))),
}
SYMBOLS, X, START, TRIGGER = 8, 4, 6, 7
SIZE, INPUT_GATE_BIASES = 2, (-2, -4, -6)  # cells a block; a block a mark
TOLERANCE, IN_A_ROW, SMALL_ERROR = 0.3, 2000, 0.1  # right; the paper stops after so many, so good
TESTED, CONTROLS, CONTROL_BATCH, EVERY = 2560, 4, 64, 500  # test sequences, ..., between reports


@dataclass(frozen=True)
class Config:
    """The paper's settings but for batch, rate and limit; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    sequences: int = option(571_100, "most training sequences of a net", 1, 10_000_000)
    task: str = option("paper", "the paper's, its 6a, the earlier catalog's, or short", among=TASKS)
    nets: int = option(4, "LSTMs that learn side by side", 1, 50)
    batch: int = option(16, "sequences a step, their gradients summed; the paper's: 1", 1, 100)
    rate: float = option(1.0, "step size; the paper's alpha is 0.1", 1e-4, 20)
    limit: float = option(0.3, "longest gradient; 1e6 is as good as none", 1e-3, 1e6)
    controls: bool = option(True, "train on two marks, and four nets without gates, too")
    control_rate: float = option(0.003, "Adam's step size for these four", 1e-5, 1)

    def __post_init__(self):
        check_options(self)
        if not self.controls and self.control_rate != 0.003:
            raise ValueError(f"control_rate has no effect here, got {self.control_rate}")
        if self.controls and self.task == "two marks":
            raise ValueError("task 'two marks' is itself a control: choose no_controls with it")


QUICK = {"task": "short", "nets": 2, "batch": 4, "controls": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves; "net" says whose a point is, "marks" on which task
    nets: dict  # weights W and V of the "lstm", of the "two" marks and of the "rnn"
    test: dict  # classes (sequences,) and the outputs of both, (nets, sequences, 8)


# --- the task -------------------------------------------------------------------------------------


def make_batch(rng, nets, batch, task="paper"):
    """Symbols (n, nets, batch), int8, of one common length n, and classes (nets, batch).

    Symbols 0 to 3 are the distractors, 4 and 5 X and Y, 6 and 7 E and B; the class is the order
    of the marks as a binary number, X = 0 and Y = 1, the first mark its highest digit.
    """
    lengths, places = TASKS[task]
    n = int(rng.integers(lengths[0], lengths[1] + 1))
    symbols = rng.integers(0, 4, (n, nets, batch), np.int8)
    symbols[0], symbols[-1] = START, TRIGGER
    classes = np.zeros((nets, batch), int)
    net, item = np.ogrid[:nets, :batch]
    for low, high in places:
        mark = rng.integers(0, 2, (nets, batch), np.int8)
        symbols[rng.integers(low, high + 1, (nets, batch)) - 1, net, item] = X + mark
        classes = 2 * classes + mark
    return symbols, classes


def one_hot(symbols):
    """Symbols (n, nets, batch) as input units (n, nets, 8, batch)."""
    return symbols[:, :, None] == np.arange(SYMBOLS)[:, None]


def off_target(o, classes):
    """o - target for o (nets, number of classes, batch): the target is 1 for the class, else 0."""
    return o - (classes[:, None] == np.arange(o.shape[1])[:, None])


# --- the LSTM in plain form: one net, one sequence ------------------------------------------------


def one_sequence(W, V, symbols, target):
    """Outputs o (8,), and the truncated gradients dE/dW (12, 21) and dE/dV (8, 7).

    As in the paper, every cell carries ds_c/dw forward for its own weights and those of its input
    gate, y(t-1) taken as given.
    """
    cells = V.shape[1] - 1
    blocks = cells // SIZE
    s, y = np.zeros(cells), np.zeros(len(W))
    ds_in, ds_c = np.zeros((2, cells, W.shape[1]))
    for symbol in symbols:
        u = np.concatenate([np.eye(SYMBOLS)[symbol], [1], y])
        net = W @ u
        y_in, y_out = logistic(net[:blocks]), logistic(net[blocks : 2 * blocks])
        y_c, h = np.zeros((2, cells))
        for c in range(cells):
            j = c // SIZE  # the cell's block
            g = 4 * logistic(net[2 * blocks + c]) - 2
            s[c] += y_in[j] * g
            h[c] = 2 * logistic(s[c]) - 1
            y_c[c] = y_out[j] * h[c]
            ds_in[c] += g * y_in[j] * (1 - y_in[j]) * u  # f' = f (1 - f)
            ds_c[c] += y_in[j] * (1 - g * g / 4) * u  # g' = 1 - g^2 / 4
        y = np.concatenate([y_in, y_out, y_c])
    o = logistic(V @ [1, *y_c])
    e_o = (o - target) * o * (1 - o)  # error at the outputs' net sums
    dW, dV = np.zeros_like(W), np.outer(e_o, [1, *y_c])
    for c in range(cells):
        j = c // SIZE
        e_c = e_o @ V[:, 1 + c]  # error at the cell's output
        e_s = e_c * y_out[j] * (1 - h[c] * h[c]) / 2  # and at its state: h' = (1 - h^2) / 2
        dW[j] += e_s * ds_in[c]
        dW[blocks + j] += e_c * h[c] * y_out[j] * (1 - y_out[j]) * u
        dW[2 * blocks + c] += e_s * ds_c[c]
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
    (_, longest), places = TASKS[task]
    if kind == "lstm":
        return MemoryBlocks(nets, SYMBOLS, len(places), SIZE, batch, longest, dtype)
    return TanhNet(nets, SYMBOLS, len(places) * (2 + SIZE), batch, longest, dtype)


def init(kind, rng, nets, task):
    """The paper's start, [-0.1, 0.1] but for input gate biases; half the controls orthogonal."""
    marks = len(TASKS[task][1])
    units, seen = marks * (2 + SIZE), marks * SIZE  # seen by the outputs: the cells, or all units
    W = rng.uniform(-0.1, 0.1, (nets, units, SYMBOLS + 1 + units))
    V = rng.uniform(-0.1, 0.1, (nets, 2**marks, 1 + (seen if kind == "lstm" else units)))
    if kind == "lstm":
        W[:, :marks, SYMBOLS] = INPUT_GATE_BIASES[:marks]
    else:
        for net in range(nets // 2, nets):
            W[net, :, SYMBOLS + 1 :] = np.linalg.qr(rng.normal(size=(units, units)))[0]
    return {"W": W.astype(np.float32), "V": V.astype(np.float32)}


def forward(layer, weights, symbols):
    """Outputs o (nets, classes, batch) after the last step, and y (nets, cells or units, batch)."""
    y = layer.forward(weights["W"], one_hot(symbols))[-1]
    return logistic(weights["V"][:, :, 1:] @ y + weights["V"][:, :, :1]), y


def backward(layer, weights, o, y, off):
    """Gradients of E, summed over the batch: e_o = (o - target) o (1 - o) and what follows."""
    e_o = (off * o * (1 - o)).astype(o.dtype)
    dV = e_o @ np.concatenate([np.ones_like(y[:, :1]), y], 1).swapaxes(1, 2)
    return {"W": layer.backward(weights["V"][:, :, 1:].swapaxes(1, 2) @ e_o), "V": dV}


# --- learning -------------------------------------------------------------------------------------


class Criterion:
    """The paper's: the last 2000 sequences all right, and their mean |error| below 0.1.

    Every sequence is scored before it is learnt from. in_a_row (nets,): right ones since the last
    wrong one; error (nets,): mean |error| of the last 2000.
    """

    def __init__(self, nets):
        self.seen, self.in_a_row = 0, np.zeros(nets, int)
        self.ring = np.ones((IN_A_ROW, nets), np.float32)  # the oldest gives way

    def add(self, off):
        """Take in |o - target| (nets, classes, batch), in turn; returns which nets may stop."""
        done = np.zeros(len(off), bool)
        for mean, most in zip(off.mean(1).T, off.max(1).T, strict=True):
            self.ring[self.seen % IN_A_ROW] = mean
            self.seen += 1
            self.in_a_row = np.where(most < TOLERANCE, self.in_a_row + 1, 0)
            done |= self.in_a_row >= IN_A_ROW
        return done & (self.error() < SMALL_ERROR) if done.any() else done

    def error(self):
        return self.ring[: self.seen].mean(0)

    def keep(self, left):
        self.in_a_row, self.ring = self.in_a_row[left], self.ring[:, left]


def train(config, task, rng, weights, history, watch):
    """Train LSTMs on a task, each until it meets the criterion, and then leave it out.

    Changes weights; returns the sequences that each net took (nets,), or 0 where it did not stop.
    """
    left = np.arange(config.nets)  # nets that still learn
    now = {name: w.copy() for name, w in weights.items()}
    layer, criterion = hidden_layer("lstm", len(left), config.batch, task), Criterion(len(left))
    stopped = np.zeros(config.nets, int)
    while criterion.seen < config.sequences:
        symbols, classes = make_batch(rng, len(left), config.batch, task)
        o, y = forward(layer, now, symbols)
        off = off_target(o, classes)
        before, done = criterion.seen // EVERY, criterion.add(np.abs(off))
        grads = backward(layer, now, o, y, off)
        length = np.sqrt(sum((g * g).sum((1, 2), keepdims=True) for g in grads.values()))
        rate = config.rate * config.limit / np.maximum(length, config.limit)
        for name, gradient in grads.items():
            now[name] -= rate * gradient
        seen = criterion.seen
        if done.any() or seen // EVERY > before or seen >= config.sequences:
            for name, w in weights.items():
                w[left] = now[name]
            report(history, task, left, criterion, weights, watch, config.sequences)
        if done.any():
            stopped[left[done]] = seen
            left, now = left[~done], {name: w[~done] for name, w in now.items()}
            criterion.keep(~done)
            layer = hidden_layer("lstm", len(left), config.batch, task)
            if not len(left):
                break
    return stopped


def report(history, task, left, criterion, weights, watch, total):
    """Add a point a net to the learning curves and let the watcher see. FloatingPointError."""
    if not all(np.isfinite(w).all() for w in weights.values()):
        raise FloatingPointError("weights grew beyond all numbers; choose a smaller rate")
    marks, seen = len(TASKS[task][1]), criterion.seen
    for net, error, in_a_row in zip(left, criterion.error(), criterion.in_a_row, strict=True):
        point = marks, int(net), seen, float(error), int(in_a_row)
        for name, value in zip(history, point, strict=True):
            history[name].append(value)
    if watch:
        error = float(criterion.error().mean())
        watch(seen, total, marks=marks, learning=len(left), error=error, weights=weights)


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


def train_control(config, rng, weights, sequences):
    """Train tanh nets on as many sequences, in batches of 64, by Adam with a limited gradient."""
    nets = len(weights["W"])
    layer = hidden_layer("rnn", nets, CONTROL_BATCH, config.task)
    adam = Adam(weights, config.control_rate, limit=1.0, stacked=True)
    for _ in range(-(-sequences // CONTROL_BATCH)):
        symbols, classes = make_batch(rng, nets, CONTROL_BATCH, config.task)
        o, y = forward(layer, weights, symbols)
        adam.step(weights, backward(layer, weights, o, y, off_target(o, classes)))


def outputs_on(kind, weights, symbols, task):
    """Outputs of every net on test symbols (n, 1, batch): (nets, batch, 8)."""
    layer = hidden_layer(kind, len(weights["W"]), symbols.shape[2], task)
    return forward(layer, weights, symbols)[0].swapaxes(1, 2).astype(float)


def score(o, classes):
    """Of outputs (nets, sequences, 8): right in all eight; the largest is right; mean |error|."""
    off = np.abs(off_target(o.swapaxes(1, 2), np.broadcast_to(classes, o.shape[:2])))
    return off.max(1) < TOLERANCE, o.argmax(2) == classes, off.mean((1, 2))


def run(config: Config = Config(), watch=None) -> Result:
    """Train the LSTMs; then, on as many sequences, the controls; test all that see the task."""
    rngs = np.random.default_rng(config.seed).spawn(7)
    history = {"marks": [], "net": [], "sequences": [], "error": [], "in_a_row": []}
    nets = {"lstm": init("lstm", rngs[0], config.nets, config.task)}
    stopped = train(config, config.task, rngs[1], nets["lstm"], history, watch)
    used = np.where(stopped, stopped, config.sequences)
    tests = [make_batch(rngs[2], 1, TESTED // 10, config.task) for _ in range(10)]
    classes = np.concatenate([c[0] for _, c in tests])

    def tested(kind):
        outputs = [outputs_on(kind, nets[kind], symbols, config.task) for symbols, _ in tests]
        return np.concatenate(outputs, 1)

    test = {"classes": classes, "lstm": tested("lstm")}
    metrics = evaluate(stopped, used, *score(test["lstm"], classes))
    if config.controls:
        nets["two"] = init("lstm", rngs[3], config.nets, "two marks")
        two = train(config, "two marks", rngs[4], nets["two"], history, watch)
        two = float(np.where(two, two, config.sequences).mean())
        metrics |= {"two_marks_sequences": two, "order_cost": metrics["sequences"] / two}
        nets["rnn"] = init("rnn", rngs[5], CONTROLS, config.task)
        train_control(config, rngs[6], nets["rnn"], int(used.mean()))
        test["rnn"] = tested("rnn")
        right, largest = (part.mean(1) for part in score(test["rnn"], classes)[:2])
        half = CONTROLS // 2
        metrics |= {"rnn_right": float(right.max()), "rnn_argmax": float(largest[:half].max())}
        metrics |= {"rnn_orthogonal_argmax": float(largest[half:].max())}
    return Result(metrics, history, nets, test)


def evaluate(stopped, used, right, largest, error):
    """Metrics of the LSTMs; of the test only of nets that stopped (None where none did)."""
    solved = stopped > 0
    wrong = (~right).sum(1)[solved]
    return {
        "nets": len(stopped),
        "solved": int(solved.sum()),
        "sequences": float(used.mean()),
        "sequences_median": float(np.median(used)),
        "wrong": float(wrong.mean()) if solved.any() else None,
        "wrong_most": int(wrong.max()) if solved.any() else None,
        "test_error_most": float(error[solved].max()) if solved.any() else None,
        "argmax": float(largest.mean()),
    }


def gradient_check(config: Config = Config(task="short")) -> float:
    """Worst relative error of the truncated gradient, which takes y(t-1) as a given input."""
    rng = np.random.default_rng(config.seed)
    symbols, classes = make_batch(rng, 2, 3, config.task)
    weights = init("lstm", rng, 2, config.task)
    weights = {name: rng.normal(0, 0.4, w.shape) for name, w in weights.items()}
    layer = hidden_layer("lstm", 2, 3, config.task, float)
    o, y = forward(layer, weights, symbols)
    grads = backward(layer, weights, o, y, off_target(o, classes))
    given = layer.U[: len(symbols)].copy()
    given[:, :, layer.RECURRENT] /= 2

    def loss():
        sums = weights["W"] @ given
        y_in, y_out = (logistic(sums[:, :, part]).repeat(SIZE, 2) for part in (layer.IN, layer.OUT))
        s = (y_in * (4 * logistic(sums[:, :, layer.CELLS]) - 2)).sum(0)
        y_c = y_out[-1] * (2 * logistic(s) - 1)
        o = logistic(weights["V"][:, :, 1:] @ y_c + weights["V"][:, :, :1])
        return float((off_target(o, classes) ** 2).sum() / 2)

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
