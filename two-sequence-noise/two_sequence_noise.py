"""Signal and noise on one line: 102 weights keep a sign through 100 steps of noise.

Task      One real number a step; the length n is drawn from T to T + T/10, T = 100. The first N
          numbers are +1 (class 1) or -1 (class 2); all later ones are Gaussian, mean 0, variance
          0.2. Only the last step has an error. Three versions:
              3a  target 1 for class 1, else 0
              3b  the same, with noise of variance 0.2 on the first N numbers too
              3c  target 0.2 for class 1, else 0.8, with noise of variance 0.1 on the target: the
                  net has to find the means, to 0.015, and never sees them.
Net       Three memory blocks of one cell; the 9 hidden units y(t) = [y_in | y_out | y_c] all see
          u(t) = [x(t), 1, y(t-1)], 11 numbers. With the logistic function f, net(t) = W u(t),
          g = 4 f(net_c) - 2 and h = 2 f(s_c) - 1:
              y_in = f(net_in),  y_out = f(net_out),  s_c(t) = s_c(t-1) + y_in g,  y_c = y_out h.
          Output o = f(v y_c) at the end, without a bias. 9 x 11 + 3 = 102 weights.
Learning  Hochreiter & Schmidhuber 1997, experiment 3: gradient descent on (o - target)^2 / 2 with
          the truncated gradient: errors flow back through s_c, never through y(t-1). The paper
          takes a step after every sequence (--rule paper); ours are Adam's, after every 16. After
          every 1000 sequences a fresh set of 256 decides, by the paper's limits, who stops.
Controls  Random weights for a net of two logistic units, 50,000 times; 9 tanh units with the full
          gradient on as many sequences as the LSTMs.
Shapes    one_sequence() is the algorithm for one net in plain loops. The fast form has leading axes
          for time and for nets that learn side by side, and a last one for the batch:
          x (time, nets, 1, batch), W (nets, 9, 11), V (nets, 1, 3), o (nets, batch).
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
from typing import NamedTuple

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


class Task(NamedTuple):
    """What a version of the task draws, and the paper's limits for it."""

    targets: tuple  # of class 1 and class 2
    target_sd: float  # of the noise on the targets, in training
    signal_sd: float  # on the first N numbers
    noise_sd: float  # of all later numbers
    tolerance: float  # a sequence is wrong if |o - target without noise| is above it
    wrong: int  # most wrong ones of 256, both at the first and at the second stop
    error: float  # mean |o - target without noise| must be below it at the second stop


SD = math.sqrt(0.2)
TASKS = {
    "3a": Task((1, 0), 0, 0, SD, 0.2, 0, 0.01),
    "3b": Task((1, 0), 0, SD, SD, 0.2, 5, 0.04),
    "3c": Task((0.2, 0.8), math.sqrt(0.1), 0, SD, 0.1, 0, 0.015),
    "v1": Task((0.8, 0.2), 0.32, 0.2, 1, 0.1, 0, 0.015),  # the earlier catalog's noise
}
BLOCKS = CELLS = 3
UNITS = 9  # 3 input gates, 3 output gates, 3 cells, in this order
INPUT_GATE_BIASES, OUTPUT_GATE_BIASES = (-1, -3, -5), (-2, -4, -6)
CHECKED, EVERY, TESTED = 256, 1000, 2560  # sequences: of a check, between checks, of the test
GUESSES, SCREENED, RIGHT = 50_000, 8, 100  # random nets; sequences that each sees; right at the end
CONTROLS = 4


@dataclass(frozen=True)
class Config:
    """The paper's task and net; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    task: str = option("3c", "the paper's version, or the earlier catalog's", among=TASKS)
    steps: int = option(100, "T: lengths are T to T + T/10", 10, 2000)
    signal: int = option(3, "N: the paper has 1 and 3", 1, 10)
    sequences: int = option(269_650, "most training sequences of a net", 16, 10_000_000)
    nets: int = option(10, "LSTMs that learn side by side", 1, 50)
    rule: str = option("adam", "ours, or the paper's step a sequence", among=("adam", "paper"))
    controls: bool = option(True, "guess weights, and train four nets without gates, too")

    def __post_init__(self):
        check_options(self)
        if self.controls and self.task != "3c":
            raise ValueError(f"controls are for task 3c; choose no_controls with {self.task}")


QUICK = {"steps": 30, "nets": 4, "controls": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # checks of the LSTMs: sequences, net, wrong, error
    nets: dict  # weights W and V of the "lstm" and of the "rnn"
    test: dict  # first (sequences,): class 1?; outputs (nets, sequences) of "lstm", "rnn", "guess"
    guesses: dict  # of every random net on eight sequences: mean |error| in 3c, right in 3a?


# --- the task -------------------------------------------------------------------------------------


def make_batch(rng, nets, batch, config):
    """Inputs x (n, nets, 1, batch), float32, of one common length n, and first (nets, batch).

    first: whether a sequence is of class 1, which begins with +1.
    """
    task = TASKS[config.task]
    n = int(rng.integers(config.steps, config.steps + config.steps // 10 + 1))
    x = rng.standard_normal((n, nets, 1, batch), np.float32)
    x[: config.signal] *= task.signal_sd
    x[config.signal :] *= task.noise_sd
    first = rng.random((nets, batch)) < 0.5
    x[: config.signal] += np.where(first, 1, -1)[:, None]
    return x, first


def target_of(task, first):
    """Targets without noise, of the shape of first."""
    return np.where(first, *TASKS[task].targets)


def noisy(rng, task, target):
    """Targets to learn from."""
    return target + TASKS[task].target_sd * rng.standard_normal(target.shape)


# --- the LSTM in plain form: one net, one sequence ------------------------------------------------


def one_sequence(W, v, x, target):
    """Output o, and the truncated gradients dE/dW (9, 11) and dE/dv (3,), of x (n,).

    As in the paper, every cell carries ds/dw forward for its own weights and those of its input
    gate, y(t-1) taken as given.
    """
    s, y = np.zeros(CELLS), np.zeros(UNITS)
    ds_in, ds_c = np.zeros((2, CELLS, W.shape[1]))
    for number in x:
        u = np.concatenate([[number, 1], y])
        net = W @ u
        y_in, y_out = logistic(net[:3]), logistic(net[3:6])
        g = 4 * logistic(net[6:]) - 2
        s = s + y_in * g
        h = 2 * logistic(s) - 1
        for c in range(CELLS):
            ds_in[c] += g[c] * y_in[c] * (1 - y_in[c]) * u  # f' = f (1 - f)
            ds_c[c] += y_in[c] * (1 - g[c] ** 2 / 4) * u  # g' = 1 - g^2 / 4
        y = np.concatenate([y_in, y_out, y_out * h])
    o = logistic(v @ y[6:])
    e_o = (o - target) * o * (1 - o)  # error at the output's net sum
    dW = np.zeros_like(W)
    for c in range(CELLS):
        e_c = e_o * v[c]  # error at the cell's output
        e_s = e_c * y_out[c] * (1 - h[c] ** 2) / 2  # and at its state: h' = (1 - h^2) / 2
        dW[c] = e_s * ds_in[c]
        dW[3 + c] = e_c * h[c] * y_out[c] * (1 - y_out[c]) * u
        dW[6 + c] = e_s * ds_c[c]
    return o, dW, e_o * y[6:]


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


def hidden_layer(kind, nets, batch, steps, dtype=np.float32):
    """Memory blocks ("lstm") or the control's tanh units ("rnn"), for sequences from T = steps."""
    longest = steps + steps // 10
    if kind == "lstm":
        return MemoryBlocks(nets, 1, BLOCKS, 1, batch, longest, dtype)
    return TanhNet(nets, 1, UNITS, batch, longest, dtype)


def init(kind, rng, nets):
    """The paper's start, [-0.1, 0.1] but for gate biases; half the controls orthogonal."""
    W = rng.uniform(-0.1, 0.1, (nets, UNITS, 2 + UNITS))
    V = rng.uniform(-0.1, 0.1, (nets, 1, CELLS if kind == "lstm" else UNITS))
    if kind == "lstm":
        W[:, :6, 1] = INPUT_GATE_BIASES + OUTPUT_GATE_BIASES
    else:
        for net in range(nets // 2, nets):
            W[net, :, 2:] = np.linalg.qr(rng.normal(size=(UNITS, UNITS)))[0]
    return {"W": W.astype(np.float32), "V": V.astype(np.float32)}


def forward(layer, weights, x):
    """Outputs o (nets, batch) after the last step, and y (nets, cells or units, batch)."""
    y = layer.forward(weights["W"], x)[-1]
    return logistic(weights["V"] @ y)[:, 0], y


def backward(layer, weights, o, y, target):
    """Gradients of E, averaged over the batch: e_o = (o - target) o (1 - o) and what follows."""
    e_o = ((o - target) * o * (1 - o) / o.shape[1]).astype(o.dtype)[:, None]
    return {
        "W": layer.backward(weights["V"].swapaxes(1, 2) @ e_o),
        "V": e_o @ y.swapaxes(1, 2),
    }


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
    """The paper's rule: plain steps, 0.1 in task 3c and 1 in the others."""

    def __init__(self, task):
        self.rate = 1.0 if TASKS[task].target_sd == 0 else 0.1
        self.mean = self.square = {}  # it keeps no averages

    def step(self, weights, grads):
        for name, gradient in grads.items():
            weights[name] -= self.rate * gradient


def optimiser(config, weights):
    """The rule, and how many sequences make a step."""
    if config.rule == "paper":
        return Descent(config.task), 1
    return Adam(weights, 0.01, beta2=0.99), 16


def keep(rule, left):
    """Drop nets from Adam's averages."""
    for averages in (rule.mean, rule.square):
        for name in averages:
            averages[name] = averages[name][left]


def train(config, rng, weights, history, watch):
    """Train LSTMs, each until a check lets it stop, and then leave it out.

    Changes weights; returns the sequences to the first and to the second stop, (2, nets), 0 where
    a net did not come so far.
    """
    left = np.arange(config.nets)  # nets that still learn
    now = {name: w.copy() for name, w in weights.items()}
    rule, batch = optimiser(config, now)
    layer = hidden_layer("lstm", len(left), batch, config.steps)
    stops, seen = np.zeros((2, config.nets), int), 0
    while len(left) and seen < config.sequences:
        x, first = make_batch(rng, len(left), batch, config)
        o, y = forward(layer, now, x)
        target = noisy(rng, config.task, target_of(config.task, first))
        rule.step(now, backward(layer, now, o, y, target))
        before, seen = seen, seen + batch
        if seen // EVERY == before // EVERY and seen < config.sequences:
            continue
        if not all(np.isfinite(w).all() for w in now.values()):
            raise FloatingPointError("weights grew beyond all numbers")
        for name, w in weights.items():
            w[left] = now[name]
        x, first = make_batch(rng, 1, CHECKED, config)
        wrong, error = judge(outputs_on("lstm", now, x, config.steps), first[0], config.task)
        point = {"sequences": seen, "net": left, "wrong": wrong, "error": error}
        for name, values in point.items():
            history[name] += np.broadcast_to(values, len(left)).tolist()
        if watch:
            state = {"learning": len(left), "error": float(error.mean()), "weights": weights}
            watch(seen, config.sequences, **state)
        ok = wrong <= TASKS[config.task].wrong
        done = ok & (error < TASKS[config.task].error)
        stops[0, left[ok & (stops[0, left] == 0)]] = seen
        stops[1, left[done]] = seen
        if done.any():
            left, now = left[~done], {name: w[~done] for name, w in now.items()}
            keep(rule, ~done)
            layer = hidden_layer("lstm", len(left), batch, config.steps)
    return stops


def judge(o, first, task):
    """Of outputs (nets, sequences): how many are wrong, and the mean |error|, each (nets,)."""
    off = np.abs(o - target_of(task, first))
    return (off > TASKS[task].tolerance).sum(1), off.mean(1)


def outputs_on(kind, weights, x, steps):
    """Outputs of every net on the same sequences x (n, 1, 1, batch): (nets, batch)."""
    layer = hidden_layer(kind, len(weights["W"]), x.shape[-1], steps)
    return forward(layer, weights, x)[0].astype(float)


# --- controls -------------------------------------------------------------------------------------


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
    """Train tanh nets on as many sequences, in batches of 16, by Adam with a limited gradient."""
    nets = len(weights["W"])
    layer = hidden_layer("rnn", nets, 16, config.steps)
    adam = Adam(weights, 0.01, beta2=0.99, limit=1.0, stacked=True)
    for _ in range(-(-sequences // 16)):
        x, first = make_batch(rng, nets, 16, config)
        o, y = forward(layer, weights, x)
        target = noisy(rng, config.task, target_of(config.task, first))
        adam.step(weights, backward(layer, weights, o, y, target))


def guessed_outputs(W, x):
    """Outputs (nets, batch) of random nets on x (n, batch): two logistic units that see both.

    W (nets, 7): of the hidden unit, weights of x, of both units a step earlier, and a bias; of the
    output unit the same without a bias.
    """
    hidden = output = np.zeros((len(W), x.shape[1]), np.float32)
    a, b, c, d, e, f, g = W.T[:, :, None]
    for now in x:
        hidden, output = (
            logistic(a * now + b * hidden + c * output + d),
            logistic(e * now + f * hidden + g * output),
        )
    return output


def guess(rng, config):
    """Draw random nets; who passes eight sequences of task 3a has to be right on a hundred more.

    Returns errors (nets,) in 3c on the eight, solves (nets,) whether a net solves 3a, within how
    many meet 3c's limits, and the weights (7,) of the best in 3c.
    """
    W = rng.uniform(-100, 100, (GUESSES, 7)).astype(np.float32)
    x, first = eight_sequences(rng, config)
    outputs = np.concatenate([guessed_outputs(part, x) for part in np.array_split(W, 100)])
    wrong, _ = judge(outputs, first, "3a")
    beyond, errors = judge(outputs, first, "3c")
    solves, within = wrong == 0, beyond == 0
    for task, passed, count in (("3a", solves, RIGHT), ("3c", within, CHECKED)):
        x, first = make_batch(rng, 1, count, config)
        wrong, error = judge(guessed_outputs(W[passed], x[:, 0, 0]), first[0], task)
        good = wrong == 0 if task == "3a" else (wrong == 0) & (error < TASKS[task].error)
        passed[passed] = good
    return {"errors": errors, "solves": solves, "within": within, "best": W[errors.argmin()]}


def eight_sequences(rng, config):
    """Four sequences of each class, x (n, 8) and first (8,)."""
    x, first = make_batch(rng, 1, 64, config)
    chosen = np.argsort(first[0], kind="stable")
    chosen = np.concatenate([chosen[:4], chosen[-4:]])
    return x[:, 0, 0, chosen], first[0, chosen]


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train the LSTMs, then the control on as many sequences; guess; test all of them."""
    rngs = np.random.default_rng(config.seed).spawn(6)
    history = {"sequences": [], "net": [], "wrong": [], "error": []}
    nets = {"lstm": init("lstm", rngs[0], config.nets)}
    stops = train(config, rngs[1], nets["lstm"], history, watch)
    used = np.where(stops, stops, config.sequences)
    x, first = make_batch(rngs[2], 1, TESTED, config)
    test = {"first": first[0], "lstm": outputs_on("lstm", nets["lstm"], x, config.steps)}
    metrics, guesses = evaluate(stops, used, test, config.task), {}
    if config.controls:
        guesses = guess(rngs[3], config)
        test["guess"] = guessed_outputs(guesses["best"][None], x[:, 0, 0]).astype(float)
        nets["rnn"] = init("rnn", rngs[4], CONTROLS)
        train_control(config, rngs[5], nets["rnn"], int(used[1].mean()))
        test["rnn"] = outputs_on("rnn", nets["rnn"], x, config.steps)
        metrics |= evaluate_controls(guesses, test, config.task)
    return Result(metrics, history, nets, test, guesses)


def evaluate(stops, used, test, task):
    """Metrics of the LSTMs; of the test only of nets that stopped (None where none did)."""
    solved = stops[1] > 0
    wrong, error = judge(test["lstm"], test["first"], task)
    middle = np.mean(TASKS[task].targets)
    sides = (test["lstm"] > middle) == (target_of(task, test["first"]) > middle)
    return {
        "nets": len(solved),
        "solved": int(solved.sum()),
        "sequences": float(used[1].mean()),
        "sequences_first": float(used[0].mean()),
        "wrong": float(wrong[solved].mean() / TESTED) if solved.any() else None,
        "difference": float(error[solved].mean()) if solved.any() else None,
        "difference_most": float(error[solved].max()) if solved.any() else None,
        "accuracy": float(sides.mean()),
    }


def evaluate_controls(guesses, test, task):
    """Metrics of guessing (first_guess is None where no net solves 3a), and of the tanh nets."""
    _, error = judge(test["rnn"], test["first"], task)
    solves, found = guesses["solves"], int(guesses["within"].sum())
    first = int(solves.argmax()) + 1 if solves.any() else None
    half = CONTROLS // 2
    return {
        "first_guess": first,
        "guesses_a_solution": float(GUESSES / solves.sum()) if solves.any() else None,
        "guessed_3c": found,
        "guess_difference": float(guesses["errors"].min()),
        "guess_gap": int(first is not None and first <= 20_000 and not found),
        "rnn_difference": float(error[:half].min()),
        "rnn_orthogonal_difference": float(error[half:].min()),
    }


def gradient_check(config: Config = Config(task="3a", steps=20, controls=False)) -> float:
    """Worst relative error of the truncated gradient, which takes y(t-1) as a given input."""
    rng = np.random.default_rng(config.seed)
    x, first = make_batch(rng, 2, 3, config)
    weights = {name: rng.normal(0, 0.5, w.shape) for name, w in init("lstm", rng, 2).items()}
    layer = hidden_layer("lstm", 2, 3, config.steps, float)
    target = noisy(rng, config.task, target_of(config.task, first))
    grads = backward(layer, weights, *forward(layer, weights, x), target)
    given = layer.U[: len(x)].copy()
    given[:, :, layer.RECURRENT] /= 2

    def loss():
        y_in, y_out, c = np.split(weights["W"] @ given, 3, axis=2)
        s = (logistic(y_in) * (4 * logistic(c) - 2)).sum(0)
        y_c = logistic(y_out[-1]) * (2 * logistic(s) - 1)
        o = logistic(weights["V"] @ y_c)[:, 0]
        return float(((o - target) ** 2).mean(1).sum() / 2)

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
