"""Noise-free long lags: one bit survives 100 to 1000 steps of other symbols, in three tasks.

Tasks     2a: two sequences, (y, a_1, ..., a_{p-1}, y) and (x, a_1, ..., a_{p-1}, x), each half of
          the time; predict the next symbol at each of p steps. Only the last needs the first.
          2b: the same with a middle drawn at random from a_1 ... a_{p-1}: only the last symbol can
          be predicted, and only it is asked for.
          2c: b, then x or y, then q + k distractors drawn from a_1 ... a_p with
          P(k) = 0.1 * 0.9^k, then e, and then the second symbol again. Only after e is asked.
Nets      2a, 2b: symbols are one-hot, p + 1 in and out. Every output sees every input directly, and
          one memory cell with an input gate. With the logistic function f and without biases,
              s(t) = s(t-1) + f(I[sym_t]) f(C[sym_t]),   o(t) = f(D[sym_t] + s(t) w).
          101 * 102 + 2 * 101 = 10,504 weights at p = 100. First D learns alone, until the error
          falls no more; the cell, added last, has only the bit left to store.
          2c: two memory blocks of one cell (the idiom below), which see the symbol and all six
          units, and two outputs o = f(V y_c): 6 p + 64 weights, no biases.
Learning  Hochreiter & Schmidhuber 1997, experiment 2. The paper: descent on squared error after
          every sequence, rate 1 in 2a and 2b, 0.01 in 2c. Ours: D by descent with rate 1, cell and
          gate by Adam, both on the cross-entropy of output and target; 2c by Adam on the squared
          error of 16 sequences. In both the input gates start nearly closed, by a fixed offset in
          2c. The gradient is truncated in 2c; 2a and 2b have no recurrent weights.
          Control: instead of the cell a logistic unit y(t) = f(C[sym_t] + r y(t-1)), full gradient.
Shapes    Nets learn side by side on a leading axis. 2a, 2b: symbols (nets, time),
          D (nets, p + 1, p + 1) from input to output, C, I and w (nets, p + 1).
          2c: symbols (time, nets, batch), X (nets, p + 4, 6), R (nets, 6, 6), V (nets, 2, 2).
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

# What a part trains: whether 2a and 2b, and the pairs (q, p) of 2c.
OTHER_PAIRS = (100, 100), (200, 200), (500, 500), (1000, 500), (1000, 200), (1000, 100), (1000, 50)
PARTS = {
    "all": (("2a", "2b"), ((50, 50), (1000, 1000))),
    "short": (("2a", "2b"), ((50, 50),)),
    "2a": (("2a",), ()),
    "table 3": ((), OTHER_PAIRS),
}
NEAR, NEAR_2C = 0.25, 0.2  # largest error of any output that counts as success
TESTED, FIRST_TESTED = 10_000, 500  # sequences of a test; the rest only if these are right
ALPHAS = (1.0, 4.0, 10.0)  # rates of the control


@dataclass(frozen=True)
class Config:
    """The paper's tasks and nets; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    part: str = option("all", "2c at 50 and 1000, at 50, not, or at seven others", among=PARTS)
    p: int = option(100, "p of tasks 2a and 2b", 4, 300)
    nets: int = option(5, "nets that learn side by side, on each task", 1, 30)
    rule: str = option("adam", "ours, or the paper's descent", among=("adam", "paper"))
    sequences: int = option(20_000, "most training sequences of a net, 2a and 2b", 100, 1_000_000)
    sequences_2c: int = option(49_000, "the same in 2c", 16, 10_000_000)
    rate: float = option(0.5, "Adam's step size for the cell, 2a and 2b", 1e-4, 1)
    gate: float = option(-4.0, "where input gates start, 2a and 2b", -8, 0)
    controls: bool = option(True, "train nets with a logistic unit instead of the cell, too")

    def __post_init__(self):
        check_options(self)
        if self.controls and self.part != "all":
            raise ValueError(f"part {self.part!r} has no controls: choose no_controls with it")


QUICK = {"part": "2a", "p": 20, "nets": 3, "sequences": 6000, "controls": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves: task, net, sequences, error (largest, of any output)
    nets: dict  # weights by task: "2a", "2b", "2c q p", "unit p"


# --- 2a and 2b: direct weights and a cell ---------------------------------------------------------


def init(rng, nets, p, gate):
    """D, C and w in [-0.2, 0.2]; I around the gate's start. Inputs a_1 ... a_{p-1}, x, y."""
    weights = {name: rng.uniform(-0.2, 0.2, (nets, p + 1)) for name in "CIw"}
    weights["I"] += gate
    weights["D"] = rng.uniform(-0.2, 0.2, (nets, p + 1, p + 1))
    return {name: w.astype(np.float32) for name, w in weights.items()}


def sequence_2a(rng, nets, p):
    """Inputs (nets, p) and targets (nets, p) of one random sequence a net."""
    key = rng.integers(p - 1, p + 1, (nets, 1))
    middle = np.broadcast_to(np.arange(p - 1), (nets, p - 1))
    return np.concatenate([key, middle], 1), np.concatenate([middle, key], 1)


def sequence_2b(rng, nets, p):
    """Inputs (nets, p) and the last target (nets, 1) of one random sequence a net."""
    key = rng.integers(p - 1, p + 1, (nets, 1))
    return np.concatenate([key, rng.integers(0, p - 1, (nets, p - 1))], 1), key


def contribution(weights):
    """What a symbol adds to the cell's state, f(I) f(C), (nets, p + 1)."""
    return logistic(weights["I"]) * logistic(weights["C"])


def forward(weights, inputs, asked, cell=True):
    """States s (nets, time) and outputs o (nets, asked, p + 1) at the last `asked` steps."""
    net = np.arange(len(inputs))[:, None]
    s = np.cumsum(contribution(weights)[net, inputs], 1)
    total = weights["D"][net, inputs[:, -asked:]]
    if cell:
        total += s[:, -asked:, None] * weights["w"][:, None]
    return s, logistic(total)


def off_target(o, targets):
    """o - target, for one-hot targets given as numbers (nets, asked)."""
    off = o.copy()
    net, step = np.ogrid[: o.shape[0], : o.shape[1]]
    off[net, step, targets] -= 1
    return off


def backward(weights, inputs, s, e):
    """Gradients of C, I and w; e (nets, asked, p + 1) is the error at the outputs' net sums.

    An error at s(t) reaches all that was added up to t: e_s(t) = w e(t), R(t) = sum of e_s from t
    on, and f(I) f(C) of the symbol read at t has the gradient R(t).
    """
    nets, asked = e.shape[:2]
    e_s = np.zeros(inputs.shape, e.dtype)
    e_s[:, -asked:] = (e * weights["w"][:, None]).sum(2)
    R = np.cumsum(e_s[:, ::-1], 1)[:, ::-1]
    size = weights["C"].shape[1]
    place = np.arange(nets)[:, None] * size + inputs
    per_symbol = np.bincount(place.ravel(), R.ravel(), nets * size).reshape(nets, size)
    y_in, g = logistic(weights["I"]), logistic(weights["C"])
    grads = {"C": per_symbol * y_in * g * (1 - g), "I": per_symbol * g * y_in * (1 - y_in)}
    return grads | {"w": (e * s[:, -asked:, None]).sum(1)}


def largest_error_2a(run, nets, p):
    """Largest |error| (nets,) of any output at any step, over both sequences; run(inputs) -> o."""
    worst, middle = 0, np.arange(p - 1)
    for key in (p - 1, p):
        inputs = np.tile(np.concatenate([[key], middle]), (nets, 1))
        targets = np.tile(np.concatenate([middle, [key]]), (nets, 1))
        worst = np.maximum(worst, np.abs(off_target(run(inputs), targets)).max((1, 2)))
    return worst


def largest_error_2b(weights, p, rng):
    """Largest |error| (nets,) of any output at the end of 10,000 fresh sequences."""
    worst, added = 0, contribution(weights)
    for count in (FIRST_TESTED, TESTED - FIRST_TESTED):
        inputs, key = sequence_2b(rng, count, p)
        s = added[:, inputs].sum(2)
        o = logistic(weights["D"][:, inputs[:, -1]] + s[:, :, None] * weights["w"][:, None])
        worst = np.maximum(worst, np.abs(o - np.eye(p + 1)[key[:, 0]]).max((1, 2)))
        if (worst > NEAR).all():
            break
    return worst


def plateau(errors):
    """Whether the mean of the latest 500 errors is less than 1 % below that of the 500 before."""
    if len(errors) < 1000 or len(errors) % 100:
        return False
    return np.mean(errors[-500:]) > 0.99 * np.mean(errors[-1000:-500])


def train(task, config, rng, weights, history, watch):
    """Train nets on 2a or 2b until all succeed; in 2a the cell waits for the direct weights.

    Returns the sequences (nets,) each took, or 0; the same for what the earlier catalog asked for,
    the largest of the last outputs right in 95 % of 256 sequences; and when the cell was added.
    """
    p, nets, ours = config.p, config.nets, config.rule == "adam"
    sequence, asked, every = (sequence_2a, p, 50) if task == "2a" else (sequence_2b, 1, 250)
    adam = Adam({name: weights[name] for name in "CIw"}, config.rate, beta2=0.99)
    solved, often, right = np.zeros(nets, int), np.zeros(nets, int), np.zeros((256, nets), bool)
    cell, added_at, squared, net = task == "2b", 0, [], np.arange(nets)[:, None]
    for seen in range(1, config.sequences + 1):
        inputs, targets = sequence(rng, nets, p)
        s, o = forward(weights, inputs, asked, cell)
        right[seen % 256] = o[:, -1].argmax(1) == targets[:, -1]
        often[(right.mean(0) >= 0.95) & (often == 0)] = seen
        e = off_target(o, targets)
        squared.append(float((e * e).sum()) / nets)
        if not ours:
            e *= o * (1 - o)
        grads = backward(weights, inputs, s, e) if cell else {}
        if ours:
            adam.step(weights, grads)
        else:
            descend(weights, grads, 1)
        weights["D"][net, inputs[:, -asked:]] -= e  # rate 1; what is asked differs at every step
        if not cell and plateau(squared):
            cell, added_at = True, seen
        if seen % every == 0 or seen == config.sequences:
            if task == "2a":
                worst = largest_error_2a(
                    lambda x, cell=cell: forward(weights, x, p, cell)[1], nets, p
                )
            else:
                worst = largest_error_2b(weights, p, rng)
            solved[(worst < NEAR) & (solved == 0)] = seen
            report(history, task, seen, worst, watch, config.sequences, weights, cell)
            if solved.all():
                break
    return solved, often, added_at


def descend(weights, grads, rate):
    """A step of plain descent; rate may be one for every net, (nets,)."""
    for name, gradient in grads.items():
        step = np.reshape(rate, (-1, *[1] * (gradient.ndim - 1))) * gradient
        weights[name] -= step.astype(weights[name].dtype)


def report(history, task, seen, worst, watch, total, weights, cell=True):
    """Add a point a net to the learning curves and let the watcher see. FloatingPointError."""
    if not all(np.isfinite(w).all() for w in weights.values()):
        raise FloatingPointError("weights grew beyond all numbers; choose a smaller rate")
    for net, error in enumerate(worst):
        for name, value in zip(history, (task, net, seen, float(error)), strict=True):
            history[name].append(value)
    if watch:
        watch(seen, total, task=task, worst=float(np.max(worst)), cell=cell, weights=weights)


# --- the control: a logistic unit instead of the cell ---------------------------------------------


def forward_unit(weights, inputs):
    """The unit's y (time + 1, nets), y(0) = 0, and outputs o (nets, time, p + 1), in 2a."""
    net = np.arange(len(inputs))[:, None]
    own = weights["C"][net, inputs].T
    y = np.zeros((len(own) + 1, len(inputs)))
    for t, total in enumerate(own):
        y[t + 1] = logistic(total + weights["r"] * y[t])
    return y, logistic(weights["D"][net, inputs] + y[1:].T[:, :, None] * weights["w"][:, None])


def backward_unit(weights, inputs, y, e):
    """Full gradients of C, r and w; e (nets, time, p + 1) is the error at the outputs' net sums."""
    e_y = (e * weights["w"][:, None]).sum(2).T
    slope, delta, later = y[1:] * (1 - y[1:]), np.zeros(e_y.shape), 0
    for t in range(len(e_y) - 1, -1, -1):
        later = delta[t] = slope[t] * (e_y[t] + weights["r"] * later)
    C = np.zeros_like(weights["C"])
    C[np.arange(len(inputs))[:, None], inputs] = delta.T  # all symbols of a sequence differ
    return {"C": C, "r": (delta * y[:-1]).sum(0), "w": (e * y[1:].T[:, :, None]).sum(1)}


def train_unit(rng, p, nets, sequences):
    """Train nets with the unit on 2a, a third with each of ALPHAS; returns weights, who succeeded.

    Rate and start are the paper's, the error function is the cross-entropy, as for the cell.
    """
    weights = {name: w.astype(float) for name, w in init(rng, nets, p, 0).items() if name != "I"}
    weights["r"] = rng.uniform(-0.2, 0.2, nets)
    alpha, net = np.resize(ALPHAS, nets), np.arange(nets)[:, None]
    solved = np.zeros(nets, bool)
    for seen in range(1, sequences + 1):
        inputs, targets = sequence_2a(rng, nets, p)
        y, o = forward_unit(weights, inputs)
        e = off_target(o, targets)
        descend(weights, backward_unit(weights, inputs, y, e), alpha)
        weights["D"][net, inputs] -= alpha[:, None, None] * e
        if seen % 100 == 0:
            solved |= largest_error_2a(lambda x: forward_unit(weights, x)[1], nets, p) < NEAR
    return weights, solved


# --- 2c: two memory blocks ------------------------------------------------------------------------


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

BLOCKS, UNITS, BATCH = 2, 6, 16  # units: two input gates, two output gates, two cells


def offset_of(q):
    """The fixed offset of the input gates: the longer the lag, the more they are closed."""
    return -5.0 if q >= 1000 else -4.0


def make_batch_2c(rng, nets, batch, q, p):
    """Symbols (n, nets, batch) up to e, of one common length, and the class: x 0, y 1.

    Symbols 0 to p - 1 are the distractors, then come e, b, x and y.
    """
    k = int(rng.geometric(0.1)) - 1
    symbols = rng.integers(0, p, (q + k + 3, nets, batch), np.int16)
    classes = rng.integers(0, 2, (nets, batch))
    symbols[0], symbols[1], symbols[-1] = p + 1, p + 2 + classes, p
    return symbols, classes


def init_2c(rng, nets, p):
    """All weights in [-0.2, 0.2]."""
    shapes = {"X": (nets, p + 4, UNITS), "R": (nets, UNITS, UNITS), "V": (nets, 2, BLOCKS)}
    return {name: rng.uniform(-0.2, 0.2, s).astype(np.float32) for name, s in shapes.items()}


def forward_2c(layer, weights, symbols, offset):
    """Outputs o (nets, 2, batch) after the last step, and y_c (nets, 2, batch).

    The blocks get what the symbols contribute to the units' net sums as six inputs, weight 1.
    """
    net = np.arange(len(weights["X"]))[:, None]
    x = weights["X"][net, symbols].swapaxes(2, 3)
    W = np.zeros((len(net), UNITS, 2 * UNITS + 1), weights["R"].dtype)
    W[:, :, :UNITS], W[:, :BLOCKS, UNITS] = np.eye(UNITS), offset
    W[:, :, UNITS + 1 :] = weights["R"]
    y = layer.forward(W, x)[-1]
    return logistic(weights["V"] @ y), y


def backward_2c(layer, weights, symbols, o, y, off):
    """Gradients of the batch's mean squared error / 2, truncated."""
    e_o = (off * o * (1 - o)).astype(y.dtype) / y.shape[2]
    dR = layer.backward(weights["V"].swapaxes(1, 2) @ e_o)[:, :, layer.RECURRENT]
    nets, size = weights["X"].shape[:2]
    place = (np.arange(nets)[:, None] * size + symbols).ravel()
    delta = layer.delta[: len(symbols)].transpose(2, 0, 1, 3).reshape(UNITS, -1)
    dX = [np.bincount(place, row, nets * size) for row in delta]
    dX = np.stack(dX, 1).reshape(weights["X"].shape).astype(y.dtype)
    return {"X": dX, "R": dR, "V": e_o @ y.swapaxes(1, 2)}


def outputs_2c(weights, symbols, offset):
    """The same as forward_2c(), but keeps no history; nets may share the symbols."""
    net = np.arange(len(weights["X"]))[:, None]
    y = np.zeros((len(net), UNITS, symbols.shape[2]), np.float32)
    s = 0
    for now in symbols:
        total = weights["X"][net, now].swapaxes(1, 2) + weights["R"] @ y
        total[:, :BLOCKS] += offset
        y = logistic(total)
        s = s + y[:, :BLOCKS] * (4 * y[:, 2 * BLOCKS :] - 2)
        y[:, 2 * BLOCKS :] = y[:, BLOCKS : 2 * BLOCKS] * (2 * logistic(s) - 1)
    return logistic(weights["V"] @ y[:, 2 * BLOCKS :])


def off_target_2c(o, classes):
    """o - target for o (nets, 2, batch)."""
    return o - (classes[:, None] == np.arange(2)[:, None])


def largest_error_2c(weights, rng, q, p, offset):
    """Largest |error| of either output over 10,000 fresh sequences, (nets,)."""
    worst, tested = 0, 0
    while tested < TESTED:
        symbols, classes = make_batch_2c(rng, 1, FIRST_TESTED, q, p)
        off = off_target_2c(outputs_2c(weights, symbols, offset), classes)
        worst, tested = np.maximum(worst, np.abs(off).max((1, 2))), tested + FIRST_TESTED
        if (worst > NEAR_2C).all():
            break
    return worst


def train_2c(q, p, config, rng, weights, history, watch):
    """Train nets on 2c, each until it succeeds; returns the sequences (nets,) each took, or 0.

    A net is tested when it was right in the latest 240 of its training sequences.
    """
    ours, offset = config.rule == "adam", offset_of(q) if config.rule == "adam" else 0.0
    batch, task = BATCH if ours else 1, f"2c {q} {p}"
    left, now = np.arange(config.nets), {name: w.copy() for name, w in weights.items()}
    adam, solved, seen = Adam(now, 0.01, beta2=0.99), np.zeros(config.nets, int), 0
    layer, recent = None, np.ones((config.nets, 240))
    while len(left) and seen < config.sequences_2c:
        symbols, classes = make_batch_2c(rng, len(left), batch, q, p)
        if layer is None or len(symbols) > len(layer.Z):
            layer = MemoryBlocks(len(left), UNITS, BLOCKS, 1, batch, len(symbols) + 30)
        o, y = forward_2c(layer, now, symbols, offset)
        off = off_target_2c(o, classes)
        recent[left[:, None], np.arange(seen, seen + batch) % 240] = np.abs(off).max(1)
        grads = backward_2c(layer, now, symbols, o, y, off)
        if ours:
            adam.step(now, grads)
        else:
            descend(now, grads, 0.01)
        seen += batch
        if seen % 240 and seen < config.sequences_2c:
            continue
        for name, w in weights.items():
            w[left] = now[name]
        done, worst = np.zeros(len(left), bool), recent[left].max(1)
        ready = worst < NEAR_2C
        if ready.any():
            some = {name: w[ready] for name, w in now.items()}
            worst[ready] = largest_error_2c(some, rng, q, p, offset)
            done = worst < NEAR_2C
        shown = np.zeros(config.nets)
        shown[left] = worst
        report(history, task, seen, shown, watch, config.sequences_2c, weights)
        if done.any():
            solved[left[done]] = seen
            left, now, layer = left[~done], {name: w[~done] for name, w in now.items()}, None
            for averages in (adam.mean, adam.square):
                for name in averages:
                    averages[name] = averages[name][~done]
    return solved


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

# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train nets on the tasks of the chosen part, then the controls on 2a."""
    streams = np.random.default_rng(config.seed).spawn(3)
    history = {"task": [], "net": [], "sequences": [], "error": []}
    metrics, nets = {"nets": config.nets}, {}
    tasks, pairs = PARTS[config.part]
    for task, rng in zip(tasks, streams, strict=False):
        nets[task] = init(rng, config.nets, config.p, config.gate)
        solved, often, added_at = train(task, config, rng, nets[task], history, watch)
        metrics |= counted(task, solved, config.sequences)
        if task == "2a":
            metrics |= counted("2a_often", often, config.sequences) | {"cell_added": added_at}
    for q, p in pairs:
        rng = np.random.default_rng([config.seed, q, p])
        nets[f"2c {q} {p}"] = init_2c(rng, config.nets, p)
        solved = train_2c(q, p, config, rng, nets[f"2c {q} {p}"], history, watch)
        metrics |= counted(f"2c_{q}_{p}", solved, config.sequences_2c)
    if config.part == "table 3":
        cost = metrics["sequences_2c_1000_50"] / metrics["sequences_2c_1000_500"]
        metrics["frequency_cost"] = cost
    if config.part == "all":
        metrics["lag_growth"] = metrics["sequences_2c_1000_1000"] / metrics["sequences_2c_50_50"]
    if config.controls:
        enough = int(max(metrics["sequences_2a"], 1000))
        solved = []
        for p, count, most in ((config.p, 3, enough), (10, 6, 20_000), (2, 6, 20_000)):
            nets[f"unit {p}"], done = train_unit(streams[2], p, count, most)
            solved.append(int(done.sum()))
        metrics |= {"unit_solved": sum(solved[:2]), "unit_solved_2": solved[2]}
    return Result(metrics, history, nets)


def counted(task, solved, most):
    """How many nets succeeded, and the median of their sequences, `most` for one that did not."""
    used = np.where(solved, solved, most)
    return {f"solved_{task}": int((solved > 0).sum()), f"sequences_{task}": float(np.median(used))}


def gradient_check(config: Config = Config(part="2a", controls=False)) -> float:
    """Worst relative error of the truncated gradient in 2c, which takes y(t-1) as a given input."""
    rng = np.random.default_rng(config.seed)
    symbols, classes = make_batch_2c(rng, 2, 3, 6, 4)
    weights = {name: rng.normal(0, 0.5, w.shape) for name, w in init_2c(rng, 2, 4).items()}
    layer = MemoryBlocks(2, UNITS, BLOCKS, 1, 3, len(symbols), float)
    o, y = forward_2c(layer, weights, symbols, -1.0)
    grads = backward_2c(layer, weights, symbols, o, y, off_target_2c(o, classes))
    given = layer.U[: len(symbols), :, layer.RECURRENT] / 2

    def loss():
        total = weights["X"][np.arange(2)[:, None], symbols].swapaxes(2, 3) + weights["R"] @ given
        y_in, y_out, g = (total[:, :, k : k + 2] for k in (0, 2, 4))
        s = (logistic(y_in - 1) * (4 * logistic(g) - 2)).sum(0)
        o = logistic(weights["V"] @ (logistic(y_out[-1]) * (2 * logistic(s) - 1)))
        return float((off_target_2c(o, classes) ** 2).sum() / 2 / 3)

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
