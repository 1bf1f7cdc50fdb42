"""Adding problem: an LSTM with 93 weights adds two marked numbers seen T/2 steps ago or more.

Task      A sequence is n pairs (value, marker), n uniform in T ... T + T/10, values uniform in
          [-1, 1]. The marker is -1 at the first and the last pair, 1 at two others, else 0. The
          two: one of the first ten pairs (its value is X1), then one of the first T/2 - 1 not yet
          chosen (X2). If the first pair is chosen, its marker stays -1 and its value counts as 0.
          Target after the last pair: 1/2 + (X1 + X2)/4. A sequence is right if the output is less
          than 0.04 off. There is no error before the last pair.
Net       x(t) is the pair at step t. A memory cell c holds its state s_c; two cells make a block j
          and share its input gate in_j and its output gate out_j. y(t) = [y_in | y_out | y_c] are
          the 8 outputs of these units, and all of them see u(t) = [x(t), 1, y(t-1)], 11 numbers.
          With the logistic function f, net(t) = W u(t), g = 4 f(net_c) - 2 and h = 2 f(s_c) - 1:
              y_in = f(net_in),  y_out = f(net_out),  s_c(t) = s_c(t-1) + y_in g,  y_c = y_out h.
          There is no forget gate. Output o = f(V [1, y_c]) at the end: 8 x 11 + 5 = 93 weights.
Learning  The truncated gradient: errors flow back through the states s_c and never through y(t-1).
          Since s_c is a sum, the error e_s at it is the same at all steps. The error function is
          the cross-entropy of o and the target, or the paper's E = (o - target)^2 / 2, whose
          gradient has a factor o (1 - o) that fades where the target is near 0 or 1.
          Control: 8 tanh units and the full gradient, from two kinds of start.
Shapes    one_sequence() is the algorithm for one net and one sequence, in plain loops. The fast
          form has leading axes for time and for nets that learn side by side, and a last one for
          the batch: x (time, nets, 2, batch), y (nets, 8, batch), W (nets, 8, 11), V (nets, 1, 5).
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
    """Hyper-parameters; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    T: int = option(100, "shortest length of a sequence [steps]", 24, 2000)
    sequences: int = option(200_000, "most training sequences", 100, 10_000_000)
    task: str = option("paper", "the paper's, or the earlier catalog's", among=("paper", "v1"))
    online: bool = option(False, "the paper's rule: descent after every sequence; ten nets at once")
    loss: str = option("cross-entropy", "error function", among=("cross-entropy", "squared"))
    batch: int = option(8, "sequences in an update, unless online", 1, 256)
    rate: float = option(0.03, "Adam's step size, or the paper's alpha if online", 1e-5, 10)
    decay: int = option(20_000, "Adam's rate goes as 1 / (1 + seen / decay)", 100, 100_000_000)
    average: int = option(2000, "sequences to average the tested weights over", 1, 100_000)
    in_a_row: int = option(4000, "right sequences in a row that end it (0: none do)", 0, 100_000)
    controls: bool = option(True, "train the two nets without gates too; must be off with online")
    control_rate: float = option(0.01, "Adam's step size for these", 1e-5, 10)

    def __post_init__(self):
        check_options(self)
        if self.online and self.controls:
            raise ValueError("controls must be False with online, got True")
        idle = ("batch", "decay") if self.online else ()
        for name in idle if self.controls else (*idle, "control_rate"):
            value, default = getattr(self, name), Config.__dataclass_fields__[name].default
            if value != default:
                raise ValueError(f"{name} has no effect here: must be {default}, got {value}")


QUICK = {"T": 28, "sequences": 60_000, "rate": 0.05, "decay": 10_000, "average": 1000}
QUICK |= {"in_a_row": 3000, "controls": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves; "net" says whose a point is
    nets: dict  # weights W and V of "lstm" and "rnn"
    test: dict  # "target" (sequences,) and the outputs of each net (nets, sequences)


TOLERANCE = 0.04  # a sequence is right if |output - target| is smaller


def make_batch(rng, T, nets, batch, task="paper"):
    """Sequences x (n, nets, 2, batch) of one common length n, and their targets (nets, batch)."""
    shape = (nets, batch)
    if task == "paper":
        n = int(rng.integers(T, T + T // 10 + 1))
        first = rng.integers(0, 10, shape)  # one of the first ten pairs
        second = rng.integers(0, T // 2 - 2, shape)
        second += second >= first  # one of the first T/2 - 1 pairs but the first choice
    else:
        n, first, second = T, rng.integers(0, T // 2, shape), rng.integers(T // 2, T, shape)
    x = np.zeros((n, nets, 2, batch), np.float32)
    x[:, :, 0] = rng.uniform(-1, 1, (n, *shape))
    net, item = np.ogrid[:nets, :batch]
    x[first, net, 1, item] = x[second, net, 1, item] = 1
    if task == "paper":
        x[[0, -1], :, 1] = -1
    marked = (x[:, :, 1] == 1) * x[:, :, 0]
    return x, 0.5 + marked.sum(0) / 4


def f(x):
    """The logistic function 1 / (1 + exp(-x))."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


# --- the LSTM in plain form: one net, one sequence ------------------------------------------------


def one_sequence(W, V, pairs, target):
    """Output o, and the truncated gradients dE/dW and dE/dV of E = (o - target)^2 / 2.

    W has 8 rows of 11 weights, V 5 weights; pairs are (value, marker). As in the paper, every cell
    carries ds_c/dw forward for its own weights and those of its input gate, y(t-1) taken as given.
    """
    s, y = [0.0] * 4, [0.0] * 8
    ds_in = [[0.0] * 11 for _ in s]  # ds_c / dw of the input gate of the cell's block
    ds_c = [[0.0] * 11 for _ in s]  # ds_c / dw of the cell itself
    for value, marker in pairs:
        u = [value, marker, 1.0, *y]
        net = [sum(w * u_m for w, u_m in zip(row, u, strict=True)) for row in W]
        y_in, y_out = [f(net[0]), f(net[1])], [f(net[2]), f(net[3])]
        h = [0.0] * 4
        for c in range(4):
            j = c // 2  # the cell's block
            g = 4 * f(net[4 + c]) - 2
            s[c] += y_in[j] * g
            h[c] = 2 * f(s[c]) - 1
            for m in range(11):
                ds_in[c][m] += g * y_in[j] * (1 - y_in[j]) * u[m]  # f' = f (1 - f)
                ds_c[c][m] += y_in[j] * (1 - g * g / 4) * u[m]  # g' = 1 - g^2 / 4
        y_c = [y_out[c // 2] * h[c] for c in range(4)]
        y = [*y_in, *y_out, *y_c]
    o = f(V[0] + sum(v * y_k for v, y_k in zip(V[1:], y_c, strict=True)))
    e_o = (o - target) * o * (1 - o)  # error at the output's net sum
    dV = [e_o, *(e_o * y_k for y_k in y_c)]
    dW = [[0.0] * 11 for _ in W]
    for c in range(4):
        j = c // 2
        e_c = e_o * V[1 + c]  # error at the cell's output
        e_s = e_c * y_out[j] * (1 - h[c] * h[c]) / 2  # and at its state: h' = (1 - h^2) / 2
        for m in range(11):
            dW[j][m] += e_s * ds_in[c][m]
            dW[2 + j][m] += e_c * h[c] * y_out[j] * (1 - y_out[j]) * u[m]
            dW[4 + c][m] += e_s * ds_c[c][m]
    return o, dW, dV


# --- the LSTM in fast form: many nets, many sequences ---------------------------------------------

BLOCKS, SIZE = 2, 2  # memory blocks, cells in a block
UNITS = BLOCKS * (2 + SIZE)  # order: input gates, output gates, cells
IN, OUT, CELLS = slice(0, BLOCKS), slice(BLOCKS, 2 * BLOCKS), slice(2 * BLOCKS, UNITS)
BIAS, RECURRENT = -UNITS - 1, slice(-UNITS, None)  # columns of W, after those of x(t)


def with_inputs(x, W):
    """U (time + 1, nets, 11, batch) with x(t) and 1 filled in, and 0 where y(t-1) will stand."""
    n, nets, inputs, batch = np.broadcast_shapes(x.shape, (1, len(W), 1, 1))
    U = np.zeros((n + 1, nets, W.shape[2], batch), W.dtype)
    U[:n, :, :inputs], U[:, :, inputs] = x, 1
    return U


def memory_blocks(W, x):
    """Run the blocks over x; returns the last y_c (nets, cells, batch), and U, Z and the last h.

    Z (time, nets, units, batch) is tanh(net / 2): one tanh does for all units, as f(net) is
    (1 + Z) / 2 and g is 2 Z. U holds [x(t), 1, 2 y(t-1)], since a state's step y_in g is 2 y_in Z
    and 2 y_in is 1 + Z; the halves go into the weights.
    """
    U = with_inputs(x, W)
    Z = np.empty_like(U[1:, :, RECURRENT])
    half_W = W / 2
    half_W[:, :, RECURRENT] /= 2
    s, h, step = np.zeros((3, *by_block(Z).shape[1:]), W.dtype)
    y, gates = U[1:, :, RECURRENT], slice(0, 2 * BLOCKS)
    in_and_out = y[:, :, IN, None], y[:, :, OUT, None]
    views = U, Z, Z[:, :, gates], y[:, :, gates], by_block(Z), by_block(y), *in_and_out
    for u, z, z_gates, y_gates, z_c, y_c, y_in, y_out in zip(*views, strict=False):
        np.matmul(half_W, u, out=z)
        np.tanh(z, out=z)
        np.add(z_gates, 1, out=y_gates)
        np.multiply(y_in, z_c, out=step)
        np.add(s, step, out=s)
        np.multiply(s, 0.5, out=h)
        np.tanh(h, out=h)
        np.multiply(y_out, h, out=y_c)
    return y[-1, :, CELLS] / 2, (U, Z, h)


def by_block(units):
    """The cells of (time, nets, units, batch) as (time, nets, blocks, cells, batch), a view."""
    n, nets, _, batch = units.shape
    return units[:, :, CELLS].reshape(n, nets, BLOCKS, SIZE, batch)


def truncated_gradient(W, e_c, kept):
    """Gradient of W, which no error passes; e_c (nets, cells, batch) is the error at the last y_c.

    e_s = e_c y_out h'(s) at the last step, and at all earlier ones, since s(t) = s(t-1) + ...
        delta_in(t)  = f'(net_in) sum over the block's cells of e_s g
        delta_c(t)   = e_s y_in g'(net_c)
        delta_out(n) = f'(net_out) sum over the block's cells of e_c h, zero before
        dW = sum over t of delta(t) u(t)^T;  f' = f (1 - f), g' = 1 - g^2 / 4, h' = (1 - h^2) / 2
    """
    U, Z, h = kept
    e_c, half_g = e_c.reshape(h.shape), by_block(Z)
    y_in, y_out = (1 + Z[:, :, IN]) / 2, (1 + Z[-1, :, OUT]) / 2
    e_s = e_c * y_out[:, :, None] * (1 - h**2) / 2
    delta = np.zeros_like(Z)
    delta[:, :, IN] = y_in * (1 - y_in) * 2 * (half_g * e_s).sum(3)
    by_block(delta)[:] = e_s * y_in[:, :, :, None] * (1 - half_g**2)
    delta[-1, :, OUT] = y_out * (1 - y_out) * (h * e_c).sum(2)
    dW = over_time(delta) @ over_time(U[:-1]).swapaxes(1, 2)
    dW[:, :, RECURRENT] /= 2  # U holds 2 y(t-1)
    return dW


def over_time(units):
    """(time, nets, units, batch) -> (nets, units, time * batch)."""
    return units.transpose(1, 2, 0, 3).reshape(*units.shape[1:3], -1)


# --- the control: a recurrent net without gates ---------------------------------------------------


def tanh_units(W, x):
    """Run the net over x; returns the last y (nets, 8, batch), and U with [x(t), 1, y(t-1)]."""
    U = with_inputs(x, W)
    for u, y in zip(U, U[1:, :, RECURRENT], strict=False):
        np.tanh(W @ u, out=y)
    return U[-1, :, RECURRENT], U


def full_gradient(W, e_y, U):
    """Gradient of W; e_y (nets, 8, batch) is the error at y after the last step.

    With R the recurrent part of W: delta(n) = (1 - y(n)^2) e_y,
    delta(t) = (1 - y(t)^2) R^T delta(t+1), dW = sum over t of delta(t) u(t)^T.
    """
    delta = 1 - U[1:, :, RECURRENT] ** 2
    delta[-1] *= e_y
    back = np.ascontiguousarray(W[:, :, RECURRENT].swapaxes(1, 2))
    for t in range(len(delta) - 2, -1, -1):
        delta[t] *= back @ delta[t + 1]
    return over_time(delta) @ over_time(U[:-1]).swapaxes(1, 2)


HIDDEN = {"lstm": (memory_blocks, truncated_gradient), "rnn": (tanh_units, full_gradient)}
RNN_STARTS = ("uniform", "orthogonal")


def init(kind, rng, nets):
    """The paper's start, in [-0.1, 0.1] but for input gate biases; for the controls RNN_STARTS."""
    W = rng.uniform(-0.1, 0.1, (nets, UNITS, 2 + 1 + UNITS))
    V = rng.uniform(-0.1, 0.1, (nets, 1, 1 + (BLOCKS * SIZE if kind == "lstm" else UNITS)))
    if kind == "lstm":
        W[:, IN, BIAS] = -3, -6
    else:
        W[1, :, RECURRENT] = np.linalg.qr(rng.normal(size=(UNITS, UNITS)))[0]
    return {"W": W.astype(np.float32), "V": V.astype(np.float32)}


def forward(kind, weights, x):
    """Outputs o (nets, batch) of the nets on the sequences x, and what backward() needs."""
    y, kept = HIDDEN[kind][0](weights["W"], x)
    return f(weights["V"][:, :, 1:] @ y + weights["V"][:, :, :1])[:, 0], (y, kept)


def backward(kind, weights, e_o, states):
    """Gradients of W and V; e_o (nets, 1, batch) is the error at the net sum of the output."""
    y, kept = states
    e_y = weights["V"][:, :, 1:].swapaxes(1, 2) * e_o
    dV = e_o @ np.concatenate([np.ones_like(e_o), y], 1).swapaxes(1, 2)
    return {"W": HIDDEN[kind][1](weights["W"], e_y, kept), "V": dV}


def output_error(o, target, loss):
    """Gradient of the batch's mean loss by the net sums of the output, (nets, 1, batch).

    Cross-entropy: o - target. Squared error (o - target)^2 / 2: (o - target) o (1 - o).
    """
    slope = o * (1 - o) if loss == "squared" else 1
    return ((o - target) * slope / o.shape[1])[:, None]


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

PAPERS_RUN, SMALL_ERROR = 2000, 0.01  # the paper stops: so many right in a row, mean error below
PAPERS_COUNT, TRIALS = 74_000, 10  # its sequences at T = 100, a mean of ten trials
TESTED, ALLOWED = 2560, 3  # test sequences, the most of them that may be wrong


class Criterion:
    """Stop criterion: in_a_row training sequences in a row right, and their mean error small.

    met_at (nets,): after how many sequences each net met it, or infinite; best: its weights then.
    """

    def __init__(self, in_a_row, weights):
        nets = len(weights["W"])
        self.in_a_row, self.seen, self.met_at = in_a_row, 0, np.full(nets, np.inf)
        self.best = {name: w.copy() for name, w in weights.items()}
        self.errors = np.ones((nets, max(in_a_row, 1)))  # a ring, in which the oldest gives way

    def add(self, errors, weights):
        """Take in |error| (nets, batch) of sequences scored before they were learnt from."""
        before, self.seen = self.seen, self.seen + errors.shape[1]
        self.errors[:, np.arange(before, self.seen) % self.errors.shape[1]] = errors
        searching = np.isinf(self.met_at)
        for name, w in weights.items():
            self.best[name][searching] = w[searching]
        right = (self.errors.max(1) < TOLERANCE) & (self.errors.mean(1) < SMALL_ERROR)
        if self.in_a_row:
            self.met_at[searching & right] = self.seen


def train(kind, weights, config, rng, most, history, watch=None):
    """Train nets side by side on at most `most` sequences; returns the paper's Criterion and ours.

    LSTMs ("lstm") have streams of their own and stop when all have met the latter; the controls
    ("rnn") share one stream and go on to the end. The weights that are kept are running means.
    """
    streams = len(weights["W"]) if kind == "lstm" else 1
    base = config.rate if kind == "lstm" else config.control_rate
    batch = 1 if config.online else config.batch
    paper, own = Criterion(PAPERS_RUN, weights), Criterion(config.in_a_row, weights)
    mean = {name: w.copy() for name, w in weights.items()}
    adam = Adam(weights, base, beta2=0.99)  # forgets a rare large error after some hundred updates
    while own.seen < most:
        x, target = make_batch(rng, config.T, streams, batch, config.task)
        o, states = forward(kind, weights, x)
        paper.add(np.abs(o - target), mean)
        own.add(np.abs(o - target), mean)
        if own.seen % 256 < batch or own.seen >= most:
            report(kind, paper, most, mean, history, watch)
        if kind == "lstm" and np.isfinite(own.met_at).all():
            break
        grads = backward(kind, weights, output_error(o, target, config.loss), states)
        if config.online:
            for name, grad in grads.items():
                weights[name] -= base * grad
        else:
            adam.rate = base / (1 + own.seen / config.decay)
            adam.step(weights, grads)
        for name, w in weights.items():
            mean[name] += min(1, batch / config.average) * (w - mean[name])
    return paper, own


def report(kind, criterion, most, weights, history, watch):
    """Add a point a net to the learning curves; let the watcher see. Raises FloatingPointError."""
    if not all(np.isfinite(w).all() for w in weights.values()):
        which = "rate" if kind == "lstm" else "control_rate"
        raise FloatingPointError(f"weights grew beyond all numbers; choose a smaller {which}")
    seen = criterion.seen
    last = criterion.errors[:, np.arange(seen - min(seen, 1000), seen) % PAPERS_RUN]
    error, right = last.mean(1), (last < TOLERANCE).mean(1)
    for i in range(len(error)):
        net = f"lstm {i}" if kind == "lstm" else f"rnn {RNN_STARTS[i]}"
        for name, value in zip(history, (net, seen, error[i], right[i]), strict=True):
            history[name].append(value)
    if watch:
        best = {"error": float(error.min()), "right": float(right.max())}
        watch(seen, most, **best, kind=kind, weights=weights)


def run(config: Config = Config(), watch=None) -> Result:
    """Train the LSTM (ten if online), then the controls on the same stream; test all of them."""
    init_rng, control_rng, stream, test_rng = np.random.default_rng(config.seed).spawn(4)
    same_stream = np.random.default_rng(config.seed).spawn(4)[2]
    test = [make_batch(test_rng, config.T, 1, TESTED // 10, config.task) for _ in range(10)]
    target = np.concatenate([target for _, target in test], 1, dtype=float)[0]
    history = {"net": [], "sequences": [], "error": [], "right": []}
    start = init("lstm", init_rng, TRIALS if config.online else 1)
    paper, own = train("lstm", start, config, stream, config.sequences, history, watch)
    nets, outputs = {"lstm": own.best}, {"lstm": outputs_of("lstm", own.best, test)}
    early = outputs_of("lstm", paper.best, test)
    metrics = evaluate(paper, own, early - target, outputs["lstm"] - target)
    if config.controls:
        most = max(own.seen, min(config.sequences, PAPERS_COUNT))
        start = init("rnn", control_rng, 2)
        paper, own = train("rnn", start, config, same_stream, most, history, watch)
        nets["rnn"], outputs["rnn"] = own.best, outputs_of("rnn", own.best, test)
        mse = ((outputs["rnn"] - target) ** 2).mean(1)
        metrics |= {"rnn_solved": int(np.isfinite(paper.met_at).any())}
        metrics |= {f"rnn_mse_{RNN_STARTS[i]}": float(mse[i]) for i in range(2)}
        metrics |= {"rnn_ratio": float(mse.min() / metrics["test_mse"])}
    return Result(metrics, history, nets, {"target": target, **outputs})


def outputs_of(kind, weights, test):
    """Outputs of every net on all batches (x, target) of test, (nets, sequences)."""
    return np.concatenate([forward(kind, weights, x)[0] for x, _ in test], 1, dtype=float)


def evaluate(paper, own, early, error):
    """Metrics of the LSTMs: means over nets, and the share of them that solved the task.

    sequences: those used until a net stopped or had no more; error (nets, sequences) is from then,
    early and what ends in _2000 from when the paper's criterion was met (None: never).
    """
    wrong, wrong_early = ((np.abs(e) >= TOLERANCE).sum(1) for e in (error, early))
    met = np.isfinite(paper.met_at)
    solved = float(np.mean(np.isfinite(own.met_at) & (wrong <= ALLOWED)))
    return {
        "solved": solved if own.in_a_row else None,
        "sequences": float(np.mean(np.minimum(own.met_at, own.seen))),
        "wrong": float(np.mean(wrong)),
        "wrong_most": int(wrong.max()),
        "solved_2000": float(np.mean(met & (wrong_early <= ALLOWED))),
        "sequences_2000": float(np.mean(paper.met_at[met])) if met.any() else None,
        "wrong_2000": float(np.mean(wrong_early[met])) if met.any() else None,
        "test_error": float(np.mean(np.abs(error))),
        "test_mse": float(np.mean(error**2)),
        "raw_mse": float(np.mean((4 * error) ** 2)),
        "raw_right": float(np.mean(np.abs(4 * error) < TOLERANCE)),
    }


def gradient_check(config: Config = Config(T=24)) -> float:
    """Worst relative error of the truncated gradient, which takes y(t-1) as a given input."""
    rng = np.random.default_rng(config.seed)
    x, target = make_batch(rng, config.T, 1, 3)
    weights = {name: rng.normal(0, 0.4, w.shape) for name, w in init("lstm", rng, 1).items()}
    o, (y_c, kept) = forward("lstm", weights, x.astype(float))
    given = np.concatenate([x, kept[0][:-1, :, RECURRENT] / 2], 2)

    def loss():
        W, V = weights["W"], weights["V"]
        W = [W[:, :, :BIAS], W[:, :, RECURRENT], W[:, :, [BIAS]], 0 * W[:, :, RECURRENT]]
        o = forward("lstm", {"W": np.concatenate(W, 2), "V": V}, given)[0]
        return np.sum((o - target) ** 2) / 6

    grads = backward("lstm", weights, output_error(o, target, "squared"), (y_c, kept))
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
