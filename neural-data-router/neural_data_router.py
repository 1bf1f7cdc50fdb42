"""Neural data router: a Transformer that learns to look up one table after the other.

Task      values 0 .. 7 and tables f (permutations of them). Input of depth d, d + 3 columns:
            forward   start v f1 f2 ... fd end           backward   start fd ... f2 f1 v end
          answer fd(... f2(f1(v))), read at the last column. Trained at depths 1 to 5, tested
          deeper; two of the tables are shown alone only (depth 1).
Net       one layer, applied again and again with the same weights. h (columns, width); h_i is
          column i, LN normalises a column:
            match    x_ij = a (Wq h_i + c) . Wk h_j + b r_ij + e,   P_ij = sigmoid(x_ij), P_ii = 0
                     r_ij = front . h_i where j > i, back . h_i where j < i
            attend   A_ij = P_ij * product of 1 - P_im over the columns m that come before j in the
                     scan i+1, i-1, i+2, i-2, ...: the first match wins, nearest first
            mix      u_i = LN(h_i + Wo sum_j A_ij Wv h_j)
            compute  f_i = LN(W2 relu(W1 u_i + b1) + b2)
            gate     g_i = sigmoid(G2 relu(G1 u_i + b3) + b4), b4 = -3 at first: nearly closed
            copy     h_i <- (1 - g_i) h_i + g_i f_i
Learning  mean cross-entropy, Adam, fresh examples; now and then a column's gate is held shut.
          Depth grows: the next one is shown when the deepest so far is answered.
Controls  no-gate: h_i <- LN(u_i + W2 relu(W1 u_i)).  plain: that, with softmax attention and
          sinusoids for the positions.

Arrays are (sequences * columns, width); attention is (sequences, columns, columns).

    python3 neural_data_router.py --seed 0
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
from functools import cache
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np

BATCH, RATE, WARM_UP, LAST_RATE = 64, 1.5e-3, 100, 0.1  # the rate falls to a tenth of it
FALL = 0.7  # share of all updates after which the rate begins to fall
EXTRA_LAYERS = (2, 7)  # layers of a training batch beyond its depth: drawn from this range
GATE_DROP, GATE_BIAS = 0.1, -3.0
MASTERED = 0.9  # running accuracy at the deepest depth at which the next one is shown
CHECKED, SOLVED = 300, 0.995  # of a check: sequences a depth, goal
TESTED = 1000  # sequences a depth, before repeated ones are left out
FEWER = 5  # layers beyond the depth in a second test: a number that training has seen
ANSWERED = 0.95  # accuracy from which depths count as answered
NEVER = -1e9  # the logit of a match that cannot be
TINY = 1e-5  # added to a variance


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
    """The defaults train the router on forward inputs: the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    model: str = option("router", "the net", among=("router", "no-drop", "no-gate", "plain"))
    order: str = option("forward", "order of the input", among=("forward", "backward"))
    values: int = option(8, "values", 2, 16)
    tables: int = option(11, "tables", 1, 20)
    alone: int = option(2, "tables that are shown at depth 1 only", 0, 19)
    depth: int = option(5, "the deepest training example", 1, 8)
    width: int = option(48, "units of a column", 4, 256)
    layers: int = option(14, "layers at test", 1, 40)
    updates: int = option(9000, "most updates", 1, 100_000)
    check: int = option(250, "updates between two checks", 10, 10_000)

    def __post_init__(self):
        check_options(self)
        if self.alone >= self.tables:
            raise ValueError(f"alone must be below tables, {self.tables}, got {self.alone}")


QUICK = {"values": 3, "tables": 3, "alone": 0, "depth": 3, "width": 32, "updates": 400}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # update, loss, shown (deepest depth), deeper (accuracy): a row a check
    net: Net
    task: Task


# --- the task -------------------------------------------------------------------------------------


class Task:
    """The tables (tables, values) of a run. Tokens: values, then tables, then start and end."""

    def __init__(self, config, rng):
        self.config = config
        self.tables = np.stack([rng.permutation(config.values) for _ in range(config.tables)])
        self.tokens = config.values + config.tables + 2

    def make_batch(self, rng, count, depth):
        """Tokens (count, depth + 3) and answers (count,) of random inputs of one depth."""
        config = self.config
        value = rng.integers(config.values, size=count)
        known = config.tables - (config.alone if depth > 1 else 0)
        chosen = rng.integers(known, size=(count, depth))  # in the order of application
        answer = value
        for table in chosen.T:
            answer = self.tables[table, answer]
        inside = np.column_stack([value, config.values + chosen])
        if config.order == "backward":
            inside = inside[:, ::-1]
        start, end = np.full((2, count, 1), self.tokens - 2) + [[[0]], [[1]]]
        return np.hstack([start, inside, end]), answer

    def make_test(self, rng, count, depth):
        """Like make_batch, without repetitions."""
        tokens, answers = self.make_batch(rng, count, depth)
        _, first = np.unique(tokens, axis=0, return_index=True)
        return tokens[first], answers[first]


# --- the router's layer in plain form, for one sequence ---------------------------------------------


def scan(i, columns):
    """The other columns in the order in which column i looks at them: i+1, i-1, i+2, i-2, ..."""
    return sorted((j for j in range(columns) if j != i), key=lambda j: (abs(j - i), j < i))


def plain_layer(w, h):
    """One layer of the router on h (columns, width), the equations of the docstring one by one."""
    columns, d = h.shape
    q, k, v = h @ w["qkv"][:, :d] + w["c"], h @ w["qkv"][:, d : 2 * d], h @ w["qkv"][:, 2 * d : -2]
    a, b, e = w["scale"]
    after = np.empty_like(h)
    for i in range(columns):
        front, back = h[i] @ w["qkv"][:, -2:]
        found, still = np.zeros(d), 1.0  # still: the probability that nothing has matched so far
        for j in scan(i, columns):
            match = sigmoid(a * q[i] @ k[j] + b * (front if j > i else back) + e)
            found += still * match * v[j]
            still *= 1 - match
        u = layer_norm(h[i] + found @ w["o"]) * w["gain1"] + w["bias1"]
        inner = np.maximum(u @ w["inner"] + w["inner_bias"], 0)  # both hidden layers: f's, gate's
        f = layer_norm(inner[: 2 * d] @ w["W2"] + w["b2"]) * w["gain2"] + w["bias2"]
        gate = sigmoid(inner[2 * d :] @ w["G2"] + w["gate_bias"])
        after[i] = (1 - gate) * h[i] + gate * f
    return after


def sigmoid(x):
    """1 / (1 + exp(-x)), for large x too."""
    return (1 + np.tanh(x / 2)) / 2


def layer_norm(x):
    """x with mean 0 and variance 1."""
    return (x - x.mean()) / np.sqrt(x.var() + TINY)


# --- the net --------------------------------------------------------------------------------------


class Net:
    """The weights of one layer, of the embedding and of the read-out, and their gradients.

    All weights are views of one vector, `flat`; all gradients of `flat_grad`.
    """

    def __init__(self, model, tokens, values, d, rng, dtype=np.float32):
        self.geometric, self.gated = model != "plain", model in ("router", "no-drop")
        self.drop = GATE_DROP if model == "router" else 0.0
        self.d, self.dtype = d, dtype
        glorot, wide = math.sqrt(1 / d), math.sqrt(2 / (3 * d))
        shapes = {  # name: shape, standard deviation of the initial weights
            "embed": ((tokens, d), 1.0),
            "qkv": ((d, 3 * d + 2 * self.geometric), glorot),  # Wq Wk Wv front back
            "c": ((d,), 0),
            "scale": ((3,), 0),  # a b e
            "o": ((d, d), glorot),
            "gain1": ((d,), 0),
            "bias1": ((d,), 0),
            "inner": ((d, (2 + self.gated) * d), wide),  # W1 G1
            "inner_bias": (((2 + self.gated) * d,), 0),
            "W2": ((2 * d, d), wide),
            "b2": ((d,), 0),
            "gain2": ((d,), 0),
            "bias2": ((d,), 0),
            "read": ((d, values), math.sqrt(2 / (d + values))),
            "read_bias": ((values,), 0),
        }
        if self.gated:
            shapes |= {"G2": ((d, d), glorot), "gate_bias": ((d,), 0)}
        sizes = [math.prod(shape) for shape, _ in shapes.values()]
        self.flat, self.flat_grad, self.flat_part = np.zeros((3, sum(sizes)), dtype)
        ends = np.cumsum(sizes)
        self.weights, self.grads, self.part = (
            {
                name: flat[end - size : end].reshape(shape)
                for (name, (shape, _)), size, end in zip(shapes.items(), sizes, ends, strict=True)
            }
            for flat in (self.flat, self.flat_grad, self.flat_part)
        )
        for name, (shape, deviation) in shapes.items():
            self.weights[name][:] = rng.normal(0, 1, shape) * deviation
        if self.gated:
            self.weights["inner"][:, 2 * d :] *= glorot / wide
            self.weights["gate_bias"][:] = GATE_BIAS
        self.weights["gain1"][:] = self.weights["gain2"][:] = 1
        self.weights["scale"][:] = 1 / math.sqrt(d), 1, 0
        self.mean = np.full(d, 1 / d, dtype)  # x @ mean is the mean of every row
        self.rooms = {}

    def room(self, sequences, columns, layers):
        """Arrays for training on batches of one shape, made once and used again."""
        key = sequences, columns
        if key not in self.rooms or len(self.rooms[key].A) < layers:
            self.rooms[key] = Room(self, sequences, columns, layers)
        return self.rooms[key]

    def first_state(self, tokens):
        """The embedding of tokens (sequences, columns); the plain net adds positions."""
        h = self.weights["embed"][tokens]
        return h if self.geometric else h + sinusoids(tokens.shape[1], self.d).astype(self.dtype)


class Room:
    """What the layers of a batch write; kept of every layer for backward(), or of the last one."""

    def __init__(self, net, sequences, columns, layers):
        d, rows = net.d, sequences * columns
        attention = sequences, columns, columns
        wide, inner = net.weights["qkv"].shape[1], net.weights["inner"].shape[1]

        def empty(*shape):
            return np.empty(shape, net.dtype)

        self.shape, self.slots = (sequences, columns), layers
        self.h = empty(layers + 1, rows, d)
        self.qkv, self.inner = empty(layers, rows, wide), empty(layers, rows, inner)
        self.P, self.A = empty(layers, *attention), empty(layers, *attention)
        self.mix, self.n1, self.u = (empty(layers, rows, d) for _ in range(3))
        self.n2, self.step, self.gate = (empty(layers, rows, d) for _ in range(3))
        self.s1, self.s2 = empty(layers, rows, 1), empty(layers, rows, 1)
        self.t1, self.t2, self.t3 = empty(rows, d), empty(rows, d), empty(rows, d)
        self.x1, self.x2 = empty(*attention), empty(*attention)
        self.row, self.ones = empty(rows, 1), np.ones(rows, net.dtype)
        self.dqkv, self.dinner = empty(rows, wide), empty(rows, inner)
        self.earlier, self.sides, self.itself = (m.astype(net.dtype) for m in geometry(columns))


@cache
def geometry(columns):
    """What columns mean to each other, as matrices of 0 and 1 (and one of logits).

    earlier  (pairs, pairs): 1 at (im, ij) where i looks at m before it looks at j, or m = j
    sides    (2 columns, pairs): 1 at (i front, ij) where j > i and at (i back, ij) where j < i
    itself   (columns, columns): NEVER on the diagonal
    """
    earlier = np.zeros((columns,) * 4)
    sides = np.zeros((columns, 2, columns, columns))
    for i in range(columns):
        order = scan(i, columns)
        for place, j in enumerate(order):
            earlier[i, order[: place + 1], i, j] = 1
            sides[i, int(j < i), i, j] = 1
    pairs = columns * columns
    itself = np.where(np.eye(columns), NEVER, 0)
    return earlier.reshape(pairs, pairs), sides.reshape(2 * columns, pairs), itself


def sinusoids(columns, d):
    """Positions (columns, d): sines and cosines of wave lengths from 2 pi to 20,000 pi."""
    angle = np.arange(columns)[:, None] / 10_000 ** (np.arange(0, d, 2) / d)
    return np.hstack([np.sin(angle), np.cos(angle)])[:, :d]


def forward(net, room, h, layers, shut=None):
    """Logits (sequences, values) after so many layers on h (sequences, columns, d).

    shut (layers, rows, 1) is 0 where a gate is held shut. A room of fewer slots than layers is
    used in turn; backward() then is not possible.
    """
    room.h[0] = h.reshape(room.h[0].shape)
    for layer in range(layers):
        slot, after = layer % room.slots, (layer + 1) % (room.slots + 1)
        before = room.h[layer % (room.slots + 1)]
        attend(net, room, slot, before)
        compute(net, room, slot, before, room.h[after], None if shut is None else shut[layer])
    last = room.h[layers % (room.slots + 1)].reshape(*room.shape, -1)[:, -1]
    return last @ net.weights["read"] + net.weights["read_bias"]


def attend(net, room, slot, h):
    """Write u: what each column finds, added to it and normalised."""
    w, d = net.weights, net.d
    z, x, A = room.qkv[slot], room.P[slot], room.A[slot]
    np.matmul(h, w["qkv"], out=z)
    z[:, :d] += w["c"]
    q, k, v, sides = parts(z, room.shape, d)
    np.matmul(q, k.transpose(0, 2, 1), out=x)
    a, b, e = w["scale"]
    x *= a
    if net.geometric:
        flat = room.x1.reshape(len(x), -1)
        np.matmul(sides.reshape(len(x), -1), b * room.sides, out=flat)
        x += room.x1
        x += room.itself + e
        first_match(x, A, room)
    else:
        np.subtract(x, x.max(2, keepdims=True), out=A)
        np.exp(A, out=A)
        A /= A.sum(2, keepdims=True)
    mix, u = room.mix[slot], room.u[slot]
    np.matmul(A, v, out=mix.reshape(*room.shape, d))
    np.matmul(mix, w["o"], out=u)
    u += h
    normalise(net, room, u, room.n1[slot], room.s1[slot])
    np.multiply(room.n1[slot], w["gain1"], out=u)
    u += w["bias1"]


def parts(z, shape, d):
    """Views of q, k, v (sequences, columns, d) and front, back (sequences, columns, 2 or 0)."""
    z = z.reshape(*shape, -1)
    return z[..., :d], z[..., d : 2 * d], z[..., 2 * d : 3 * d], z[..., 3 * d :]


def first_match(x, A, room):
    """Turn the logits x into P, and write A; both (sequences, columns, columns).

    log P = x + log(1 - P), so log A_ij = x_ij + sum of log(1 - P_im) over m up to j itself.
    """
    miss = room.x1  # log(1 - P) = -(max(x, 0) + log(1 + exp(-|x|)))
    np.abs(x, out=miss)
    np.negative(miss, out=miss)
    np.exp(miss, out=miss)
    np.log1p(miss, out=miss)
    np.maximum(x, 0, out=A)
    miss += A
    np.negative(miss, out=miss)
    np.matmul(miss.reshape(len(x), -1), room.earlier, out=A.reshape(len(x), -1))
    A += x
    np.exp(A, out=A)
    x += miss
    np.exp(x, out=x)


def normalise(net, room, x, n, s):
    """n = (x - mean) * s, s = 1 / standard deviation, over the units of every row."""
    np.matmul(x, net.mean, out=room.row[:, 0])
    np.subtract(x, room.row, out=n)
    np.einsum("ij,ij->i", n, n, out=s[:, 0])
    s *= 1 / net.d
    s += TINY
    np.sqrt(s, out=s)
    np.divide(1, s, out=s)
    n *= s


def normalise_back(net, room, dn, n, s, out):
    """dx = s * (dn - mean(dn) - n * mean(dn * n))."""
    np.einsum("ij,ij->i", dn, n, out=room.row[:, 0])
    room.row *= 1 / net.d
    np.multiply(n, room.row, out=out)
    np.subtract(dn, out, out=out)
    np.matmul(dn, net.mean, out=room.row[:, 0])
    out -= room.row
    out *= s


def compute(net, room, slot, h, after, shut):
    """Write the next state: f gated into h, or without a gate LN(u + W2 relu(W1 u))."""
    w, d = net.weights, net.d
    inner, step, gate, n = room.inner[slot], room.step[slot], room.gate[slot], room.n2[slot]
    np.matmul(room.u[slot], w["inner"], out=inner)
    inner += w["inner_bias"]
    np.maximum(inner, 0, out=inner)
    np.matmul(inner[:, : 2 * d], w["W2"], out=step)
    step += w["b2"]
    if not net.gated:
        step += room.u[slot]
    normalise(net, room, step, n, room.s2[slot])
    np.multiply(n, w["gain2"], out=step)
    step += w["bias2"]
    if not net.gated:
        after[:] = step
        return
    np.matmul(inner[:, 2 * d :], w["G2"], out=gate)
    gate += w["gate_bias"]
    gate *= 0.5
    np.tanh(gate, out=gate)
    gate += 1
    gate *= 0.5
    if shut is not None:
        gate *= shut
    step -= h
    np.multiply(gate, step, out=after)
    after += h


def backward(net, room, tokens, e, layers):
    """Gradients of a loss whose derivative by the logits is e (sequences, values)."""
    w, g = net.weights, net.grads
    net.flat_grad[:] = 0
    last = room.h[layers].reshape(*room.shape, -1)[:, -1]
    dh = np.zeros((*room.shape, net.d), net.dtype)
    dh[:, -1] = e @ w["read"].T
    dh = dh.reshape(-1, net.d)
    for layer in range(layers - 1, -1, -1):
        compute_back(net, room, layer, dh)
        attend_back(net, room, layer, dh)
        net.flat_grad += net.flat_part
    g["read"][:], g["read_bias"][:] = last.T @ e, e.sum(0)
    one_hot = (tokens.reshape(-1, 1) == np.arange(len(w["embed"]))).astype(net.dtype)
    g["embed"][:] = one_hot.T @ dh


def compute_back(net, room, slot, dh):
    """From dh after the layer: room.t3 = du, and dh before the layer as far as it was copied.

    gated      dstep = gate dh,  dgate = (f - h) dh gate (1 - gate),  dh <- (1 - gate) dh
    not gated  dstep = dh, which reaches u also directly;  dh <- 0
    """
    w, part, d, ones = net.weights, net.part, net.d, room.ones
    df, dgate, du = room.t1, room.t2, room.t3
    inner, dinner, n = room.inner[slot], room.dinner, room.n2[slot]
    if net.gated:
        gate = room.gate[slot]
        np.multiply(dh, gate, out=df)
        np.multiply(df, room.step[slot], out=dgate)
        np.subtract(1, gate, out=gate)
        dgate *= gate
        dh -= df
        np.matmul(inner[:, 2 * d :].T, dgate, out=part["G2"])
        np.matmul(ones, dgate, out=part["gate_bias"])
        np.matmul(dgate, w["G2"].T, out=dinner[:, 2 * d :])
    else:
        df[:] = dh
        dh[:] = 0
    np.matmul(ones, df, out=part["bias2"])
    np.multiply(df, n, out=du)
    np.matmul(ones, du, out=part["gain2"])
    df *= w["gain2"]
    dstep = dgate
    normalise_back(net, room, df, n, room.s2[slot], dstep)
    np.matmul(inner[:, : 2 * d].T, dstep, out=part["W2"])
    np.matmul(ones, dstep, out=part["b2"])
    np.matmul(dstep, w["W2"].T, out=dinner[:, : 2 * d])
    np.sign(inner, out=inner)  # 1 where the relu was open, else 0
    dinner *= inner
    np.matmul(room.u[slot].T, dinner, out=part["inner"])
    np.matmul(ones, dinner, out=part["inner_bias"])
    np.matmul(dinner, w["inner"].T, out=du)
    if not net.gated:
        du += dstep


def attend_back(net, room, slot, dh):
    """From du in room.t3: add to dh what comes through mix and attention.

    With D = dA * A, the derivative by log A:  dx_ij = D_ij - P_ij * sum of D_im over the m that
    come after j, or are j.  softmax: dx = D - A * sum_m D_im.
    """
    w, part, d, ones = net.weights, net.part, net.d, room.ones
    du, dn, du_sum, n = room.t3, room.t1, room.t2, room.n1[slot]
    A, dx, spare = room.A[slot], room.x1, room.x2
    np.matmul(ones, du, out=part["bias1"])
    np.multiply(du, n, out=dn)
    np.matmul(ones, dn, out=part["gain1"])
    np.multiply(du, w["gain1"], out=dn)
    normalise_back(net, room, dn, n, room.s1[slot], du_sum)
    dh += du_sum
    np.matmul(room.mix[slot].T, du_sum, out=part["o"])
    dmix = np.matmul(du_sum, w["o"].T, out=dn).reshape(*room.shape, d)
    q, k, v, sides = parts(room.qkv[slot], room.shape, d)
    dq, dk, dv, dsides = parts(room.dqkv, room.shape, d)
    np.matmul(dmix, v.transpose(0, 2, 1), out=dx)
    np.matmul(A.transpose(0, 2, 1), dmix, out=dv)
    dx *= A
    if net.geometric:
        flat, count = dx.reshape(len(dx), -1), len(dx)
        np.matmul(flat, room.earlier.T, out=spare.reshape(count, -1))
        spare *= room.P[slot]
        dx -= spare
        turned = (flat @ room.sides.T).reshape(*room.shape, 2)
        part["scale"][1:] = (turned * sides).sum(), dx.sum()
        np.multiply(turned, w["scale"][1], out=dsides)
    else:
        np.multiply(A, dx.sum(2, keepdims=True), out=spare)
        dx -= spare
    np.matmul(dx, k, out=dq)
    part["scale"][0] = np.vdot(room.dqkv[:, :d], room.qkv[slot][:, :d])
    dx *= w["scale"][0]
    dq *= w["scale"][0]
    np.matmul(dx.transpose(0, 2, 1), q, out=dk)
    np.matmul(ones, room.dqkv[:, :d], out=part["c"])
    np.matmul(room.h[slot].T, room.dqkv, out=part["qkv"])
    dh += np.matmul(room.dqkv, w["qkv"].T, out=du)


def cross_entropy(logits, answers):
    """Mean cross-entropy of the softmax, and its derivative by the logits."""
    z = logits - logits.max(1, keepdims=True)
    p = np.exp(z)
    total, rows = p.sum(1, keepdims=True), np.arange(len(z))
    loss = float((np.log(total[:, 0]) - z[rows, answers]).mean())
    p /= total
    p[rows, answers] -= 1
    return loss, p / len(z)


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


def update(net, rng, tokens, answers, layers):
    """Gradients of one batch in net.flat_grad; returns its loss and accuracy."""
    room = net.room(*tokens.shape, layers)
    shut = None
    if net.drop:
        shut = rng.random((layers, tokens.size, 1), np.float32) >= net.drop
    logits = forward(net, room, net.first_state(tokens), layers, shut)
    loss, e = cross_entropy(logits, answers)
    backward(net, room, tokens, e, layers)
    return loss, float((logits.argmax(1) == answers).mean())


def accuracy(net, tokens, answers, layers):
    """Share of right answers with so many layers."""
    right = 0
    for i in range(0, len(tokens), 100):
        part = tokens[i : i + 100]
        logits = forward(net, Room(net, *part.shape, 1), net.first_state(part), layers)
        right += int((logits.argmax(1) == answers[i : i + 100]).sum())
    return right / len(tokens)


def trace(net, tokens, layers):
    """What happens to one input (columns,): in every layer the mean gate (layers, columns; None
    without gates) and the attention (layers, columns, columns); and the answer."""
    tokens = tokens[None]
    room = Room(net, *tokens.shape, layers)
    logits = forward(net, room, net.first_state(tokens), layers)
    gates = room.gate.mean(2) if net.gated else None
    return gates, room.A[:, 0], int(logits.argmax())


def rate_at(step, updates):
    """The rate of an update: a warm-up, a plain, and a straight fall to a tenth."""
    left = (updates - step) / (updates * (1 - FALL))
    return RATE * min(1, (step + 1) / WARM_UP, LAST_RATE + (1 - LAST_RATE) * min(1, left))


class Growth:
    """Which depth a batch shows: half of them the deepest so far, the others 1 to it.

    The depth grows when the running accuracy at the deepest passes MASTERED.
    """

    def __init__(self, most):
        self.most, self.shown, self.running = most, 1, 0.0
        self.mastered = {}  # depth: update

    def draw(self, rng):
        """A depth, and a number of layers for it."""
        depth = self.shown if rng.random() < 0.5 else int(rng.integers(1, self.shown + 1))
        low, high = EXTRA_LAYERS
        return depth, depth + int(rng.integers(low, high + 1))

    def note(self, step, depth, right):
        """Learn the accuracy of the batch of update step."""
        if depth < self.shown:
            return
        self.running += 0.1 * (right - self.running)
        if self.running > MASTERED and depth not in self.mastered:
            self.mastered[depth] = step
            if depth < self.most:
                self.shown, self.running = depth + 1, 0.0


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train one net until it solves depths it was not trained on, then test all depths."""
    rngs = np.random.default_rng(config.seed).spawn(4)
    task = Task(config, rngs[0])
    net = Net(config.model, task.tokens, config.values, config.width, rngs[1])
    result = Result({}, {"update": [], "loss": [], "shown": [], "deeper": []}, net, task)
    deeper = range(config.depth + 1, config.depth + 4)
    checked = [task.make_test(rngs[2], CHECKED, depth) for depth in deeper]
    steps = train(config, net, task, rngs[2], checked, result, watch)
    metrics = result.metrics
    metrics["updates"] = steps
    for depth in range(1, config.depth + 6):
        test = task.make_test(rngs[3], TESTED, depth)
        metrics[f"accuracy_{depth}"] = accuracy(net, *test, config.layers)
        metrics[f"fewer_{depth}"] = accuracy(net, *test, depth + FEWER)

    def mean(name, first, last):
        depths = range(first, last + 1)
        return float(np.mean([metrics[f"{name}_{depth}"] for depth in depths]))

    metrics["trained"] = mean("accuracy", 1, config.depth)
    metrics["trained_fewer"] = mean("fewer", 1, config.depth)
    metrics["deeper"] = mean("accuracy", config.depth + 1, config.depth + 3)
    metrics["deeper_fewer"] = mean("fewer", config.depth + 1, config.depth + 3)
    metrics["deeper_best"] = max(metrics["deeper"], metrics["deeper_fewer"])
    metrics["deeper_solved"] = metrics["deeper"] >= ANSWERED
    metrics["deepest"] = mean("accuracy", config.depth + 4, config.depth + 5)
    metrics["deepest_solved"] = metrics["deepest"] >= ANSWERED
    return result


def train(config, net, task, rng, checked, result, watch):
    """Learn until two checks in a row are solved; returns the number of updates.

    Raises FloatingPointError where the loss is no number any more.
    """
    adam = Adam({"all": net.flat}, RATE, beta2=0.99, limit=1.0)
    growth, history, good, loss = Growth(config.depth), result.history, 0, math.nan
    for step in range(config.updates):
        depth, layers = growth.draw(rng)
        loss, right = update(net, rng, *task.make_batch(rng, BATCH, depth), layers)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} at update {step + 1}")
        adam.rate = rate_at(step, config.updates)
        adam.step({"all": net.flat}, {"all": net.flat_grad})
        growth.note(step + 1, depth, right)
        if (step + 1) % config.check == 0 or step + 1 == config.updates:
            deeper = float(np.mean([accuracy(net, *test, config.layers) for test in checked]))
            row = step + 1, loss, growth.shown, deeper
            for column, value in zip(history.values(), row, strict=True):
                column.append(value)
            if watch:
                state = {"loss": loss, "shown": growth.shown, "deeper": deeper, "net": net}
                watch(step + 1, config.updates, **state, task=task)
            good = good + 1 if deeper >= SOLVED else 0
            if good == 2:
                break
    for depth in range(1, config.depth + 1):
        result.metrics[f"mastered_{depth}"] = growth.mastered.get(depth)
    return history["update"][-1]


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
    """Worst relative error of backward() for all kinds of nets at three layers, in float64."""
    worst = 0.0
    for model in ("router", "no-gate", "plain"):
        rng = np.random.default_rng(config.seed)
        net = Net(model, 9, 4, 6, rng, np.float64)
        for name in ("c", "scale", "gain1", "bias1", "inner_bias", "b2", "gain2", "bias2"):
            net.weights[name] += rng.normal(0, 0.3, net.weights[name].shape)
        if net.gated:
            net.weights["gate_bias"] += 3
        tokens, answers = rng.integers(9, size=(5, 5)), rng.integers(4, size=5)
        shut = rng.random((3, tokens.size, 1)) > 0.2 if net.drop else None
        room = net.room(*tokens.shape, 3)

        def loss(net=net, room=room, tokens=tokens, answers=answers, shut=shut):
            logits = forward(net, room, net.first_state(tokens), 3, shut)
            return cross_entropy(logits, answers)[0]

        _, e = cross_entropy(forward(net, room, net.first_state(tokens), 3, shut), answers)
        backward(net, room, tokens, e, 3)
        worst = max(worst, worst_relative_error(loss, net.weights, net.grads))
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
