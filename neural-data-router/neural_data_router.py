"""Neural data router: a Transformer that learns to look up one table after the other.

Task      values 0 .. 7 and tables f (permutations of them). Input of depth d, d + 3 columns:
            forward   start v f1 f2 ... fd end           backward   start fd ... f2 f1 v end
          answer fd(... f2(f1(v))), read at the last column. Trained at depths 1 to 5, tested
          deeper; two of the tables are shown alone only (depth 1).
Net       one layer, used again and again. h_i is column i, LN normalises a column:
            match    x_ij = a (Wq h_i + c) . Wk h_j + b r_ij + e,   P_ij = sigmoid(x_ij), P_ii = 0
                     r_ij = front . h_i where j > i, back . h_i where j < i
            attend   A_ij = P_ij * product of 1 - P_im over the columns m that come before j in the
                     scan i+1, i-1, i+2, i-2, ...: the first match wins, nearest first
            mix      u_i = LN(h_i + Wo sum_j A_ij Wv h_j)
            compute  f_i = LN(W2 relu(W1 u_i + b1) + b2)
            gate     g_i = sigmoid(G2 relu(G1 u_i + b3) + b4), b4 = -3 at first: nearly closed
            copy     h_i <- (1 - g_i) h_i + g_i f_i
Learning  cross-entropy, Adam; depth grows when the deepest is answered; some gates held shut.
Controls  no-gate: h_i <- LN(u_i + W2 relu(W1 u_i)); plain: that, softmax attention, sinusoids.
Arrays    (sequences * columns, width d); attention (sequences, columns, columns).
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

np.empty(30 * 2**20, np.uint8)  # once freed, glibc keeps memory for the arrays of an update
RATE, WARM_UP, FALL, LAST = 1.5e-3, 100, 0.7, 0.1  # falls to LAST of it after FALL of all updates
BATCH, EXTRA_LAYERS = 64, (2, 7)  # in training; layers beyond the depth, drawn from this range
GATE_DROP, GATE_BIAS, MASTERED = 0.1, -3.0, 0.9  # MASTERED: running accuracy to show one more
CHECKED, SOLVED = 300, 0.995  # of a check: sequences a depth, goal
TESTED, ANSWERED = 1000, 0.95  # of the test: sequences a depth, accuracy of answered depths
FEWER = 5  # layers beyond the depth in a second test: a number that training has seen
NEVER, TINY = -1e9, 1e-5  # the logit of a match that cannot be; added to a variance


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
    updates: int = option(12_000, "most updates", 1, 100_000)
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


def scan(i, columns):
    """The other columns in the order in which column i looks at them: i+1, i-1, i+2, i-2, ..."""
    return sorted((j for j in range(columns) if j != i), key=lambda j: (abs(j - i), j < i))


def plain_first_match(P):
    """A of one sequence, both (columns, columns): the chance that j is the first that matches i."""
    A = np.zeros_like(P)
    for i in range(len(P)):
        still = 1.0  # the chance that nothing has matched so far
        for j in scan(i, len(P)):
            A[i, j] = still * P[i, j]
            still *= 1 - P[i, j]
    return A


class Net:
    """The weights of one layer, of the embedding and of the read-out, and their gradients."""

    def __init__(self, model, tokens, values, d, rng, dtype=np.float32):
        self.geometric, self.gated = model != "plain", model in ("router", "no-drop")
        self.d, self.dtype = d, dtype
        glorot, wide = math.sqrt(1 / d), math.sqrt(2 / (3 * d))
        shapes = {  # name: standard deviation of the initial weights, shape
            "embed": (1, tokens, d),
            "qkv": (glorot, d, 3 * d + 2 * self.geometric),  # Wq Wk Wv front back
            "c": (0, d),
            "scale": (0, 3),  # a b e
            "o": (glorot, d, d),
            "inner": (wide, d, (2 + self.gated) * d),  # W1 and, with a gate, G1
            "W2": (wide, 2 * d, d),
            "G2": (glorot, d, d * self.gated),
            "read": (math.sqrt(2 / (d + values)), d, values),
        }
        shapes |= {f"{name}_bias": (0, shapes[name][-1]) for name in ("inner", "W2", "G2", "read")}
        shapes |= {name: (0, d) for name in ("gain1", "shift1", "gain2", "shift2")}
        self.weights = w = {
            name: (rng.normal(0, 1, shape) * deviation).astype(dtype)
            for name, (deviation, *shape) in shapes.items()
            if math.prod(shape)
        }
        w["scale"][:], w["gain1"][:], w["gain2"][:] = (1 / math.sqrt(d), 1, 0), 1, 1
        if self.gated:
            w["inner"][:, 2 * d :] *= glorot / wide
            w["G2_bias"][:] = GATE_BIAS
        self.grads = {name: np.zeros_like(weight) for name, weight in w.items()}

    def linear(self, name, x):
        """x W + b."""
        z = x @ self.weights[name]
        z += self.weights[f"{name}_bias"]
        return z

    def linear_back(self, name, x, dz):
        """Add to the gradients of W (and of b, where there is one); returns dx = dz W^T."""
        self.grads[name] += x.T @ dz
        if f"{name}_bias" in self.grads:
            self.grads[f"{name}_bias"] += np.ones(len(dz), dz.dtype) @ dz  # faster than sum(0)
        return dz @ self.weights[name].T

    def normalise(self, which, x):
        """gain n + shift with n = (x - mean) s, s = 1 / deviation, a row; and n, s."""
        n = x - (x @ np.full(self.d, 1 / self.d, self.dtype))[:, None]
        s = (1 / np.sqrt(np.einsum("ij,ij->i", n, n) / self.d + TINY))[:, None]
        n *= s
        return n * self.weights[f"gain{which}"] + self.weights[f"shift{which}"], (n, s)

    def normalise_back(self, which, dy, kept):
        """dx = s (dn - mean(dn) - n mean(dn n)), dn = gain dy."""
        n, s = kept
        product, rows = dy * n, np.ones(len(dy), dy.dtype)
        self.grads[f"gain{which}"] += rows @ product
        self.grads[f"shift{which}"] += rows @ dy
        gain = self.weights[f"gain{which}"] / self.d
        dx = dy * self.weights[f"gain{which}"]
        dx -= (dy @ gain)[:, None]
        dx -= np.multiply(n, (product @ gain)[:, None], out=product)
        dx *= s
        return dx


@cache
def geometry(columns, dtype):
    """What columns are to each other, as matrices of 0 and 1 (and one of logits):
    earlier  (pairs, pairs): 1 at (im, ij) where i looks at m before it looks at j, or m = j
    sides    (2 columns, pairs): 1 at (i front, ij) where j > i and at (i back, ij) where j < i
    itself   (columns, columns): NEVER on the diagonal"""
    earlier = np.zeros((columns,) * 4, dtype)
    sides = np.zeros((columns, 2, columns, columns), dtype)
    for i in range(columns):
        order = scan(i, columns)
        for place, j in enumerate(order):
            earlier[i, order[: place + 1], i, j] = 1
            sides[i, int(j < i), i, j] = 1
    itself = np.where(np.eye(columns), NEVER, 0).astype(dtype)
    return earlier.reshape(columns**2, -1), sides.reshape(2 * columns, -1), itself


def sigmoid(x):
    """1 / (1 + exp(-x)), for large x too."""
    return (1 + np.tanh(x / 2)) / 2


def first_match(x, earlier):
    """P and A of the logits x, all (sequences, columns, columns).  As log P = x + log(1 - P),
    log A_ij = x_ij + the sum of log(1 - P_im) over m up to j itself."""
    miss = -np.maximum(x, 0) - np.log1p(np.exp(-np.abs(x)))  # log(1 - P)
    return np.exp(x + miss), np.exp(x + (miss.reshape(len(x), -1) @ earlier).reshape(x.shape))


def attend(net, h, shape):
    """u: what each column finds, added to it and normalised; and what attend_back() needs."""
    w, d = net.weights, net.d
    z = h @ w["qkv"]
    z[:, :d] += w["c"]
    q, k, v, sides = np.split(z.reshape(*shape, -1), (d, 2 * d, 3 * d), axis=2)
    a, b, e = w["scale"]
    x = a * (q @ k.transpose(0, 2, 1))
    if net.geometric:
        earlier, side, itself = geometry(shape[1], net.dtype)
        x += (sides.reshape(len(x), -1) @ (b * side)).reshape(x.shape) + (itself + e)
        P, A = first_match(x, earlier)
    else:
        P, A = None, np.exp(x - x.max(2, keepdims=True))
        A /= A.sum(2, keepdims=True)
    mix = (A @ v).reshape(h.shape)
    u, norm = net.normalise(1, h + mix @ w["o"])
    return u, (z, P, A, mix, norm)


def attend_back(net, h, kept, du, shape):
    """The part of dh that comes through attention.  With D = dA * A, the derivative by log A,
    dx_ij = D_ij - P_ij * sum of D_im over m = j and later;  softmax: dx = D - A * sum_m D_im."""
    w, g, d = net.weights, net.grads, net.d
    z, P, A, mix, norm = kept
    dz = np.empty_like(z)
    q, k, v, sides = np.split(z.reshape(*shape, -1), (d, 2 * d, 3 * d), axis=2)
    dq, dk, dv, dsides = np.split(dz.reshape(*shape, -1), (d, 2 * d, 3 * d), axis=2)
    dh = net.normalise_back(1, du, norm)
    dmix = net.linear_back("o", mix, dh).reshape(v.shape)
    np.matmul(A.transpose(0, 2, 1), dmix, out=dv)
    D = A * (dmix @ v.transpose(0, 2, 1))
    if net.geometric:
        earlier, side, _ = geometry(shape[1], net.dtype)
        dx = D - P * (D.reshape(len(D), -1) @ earlier.T).reshape(D.shape)
        turned = (dx.reshape(len(D), -1) @ side.T).reshape(sides.shape)
        g["scale"][1:] += (turned * sides).sum(), dx.sum()
        dsides[:] = w["scale"][1] * turned
    else:
        dx = D - A * D.sum(2, keepdims=True)
    np.matmul(dx, k, out=dq)
    g["scale"][0] += (dq * q).sum()
    dx *= w["scale"][0]
    dq *= w["scale"][0]
    np.matmul(dx.transpose(0, 2, 1), q, out=dk)
    g["c"] += np.ones(len(dz), dz.dtype) @ dz[:, :d]
    return dh + net.linear_back("qkv", h, dz)


def compute(net, h, u, shut):
    """The next state: f gated into h, or without a gate LN(u + W2 relu(W1 u)); what to keep."""
    d = net.d
    inner = np.maximum(net.linear("inner", u), 0)
    step = net.linear("W2", inner[:, : 2 * d])
    if not net.gated:
        after, norm = net.normalise(2, u + step)
        return after, (inner, norm, None, None)
    change, norm = net.normalise(2, step)
    change -= h
    gate = sigmoid(net.linear("G2", inner[:, 2 * d :]))
    if shut is not None:
        gate *= shut
    return h + gate * change, (inner, norm, gate, change)


def compute_back(net, u, kept, dh):
    """du, and the part of dh that was copied: (1 - gate) dh.  df = gate dh, and before the
    sigmoid (f - h) dh gate (1 - gate).  Not gated: df = dh, which also reaches u directly."""
    d, (inner, norm, gate, change) = net.d, kept
    dinner, df = np.empty_like(inner), dh
    if net.gated:
        df = gate * dh
        change *= df
        change *= 1 - gate
        dinner[:, 2 * d :] = net.linear_back("G2", inner[:, 2 * d :], change)
    dstep = net.normalise_back(2, df, norm)
    dinner[:, : 2 * d] = net.linear_back("W2", inner[:, : 2 * d], dstep)
    dinner *= inner > 0
    du = net.linear_back("inner", u, dinner)
    return (du, dh - df) if net.gated else (du + dstep, 0)


def forward(net, tokens, layers, shut=None):
    """Logits (sequences, values) of tokens (sequences, columns), and what backward() needs.
    shut (layers, rows, 1) is 0 where a gate is held shut."""
    h, kept = net.weights["embed"][tokens], []
    if not net.geometric:
        angle = np.arange(tokens.shape[1])[:, None] / 10_000 ** (np.arange(0, net.d, 2) / net.d)
        h = h + np.hstack([np.sin(angle), np.cos(angle)])[:, : net.d].astype(net.dtype)
    h = h.reshape(-1, net.d)
    for layer in range(layers):
        u, attended = attend(net, h, tokens.shape)
        after, computed = compute(net, h, u, None if shut is None else shut[layer])
        kept.append((h, u, attended, computed))
        h = after
    last = h.reshape(*tokens.shape, net.d)[:, -1]
    return net.linear("read", last), (last, kept)


def backward(net, tokens, e, kept):
    """Write the gradients of a loss whose derivative by the logits is e (sequences, values)."""
    last, layers = kept
    for gradient in net.grads.values():
        gradient[:] = 0
    dh = np.zeros((*tokens.shape, net.d), net.dtype)
    dh[:, -1] = net.linear_back("read", last, e)
    dh = dh.reshape(-1, net.d)
    for h, u, attended, computed in reversed(layers):
        du, copied = compute_back(net, u, computed, dh)
        dh = attend_back(net, h, attended, du, tokens.shape) + copied
    one_hot = tokens.reshape(-1, 1) == np.arange(len(net.weights["embed"]))
    net.grads["embed"] += one_hot.astype(net.dtype).T @ dh


def cross_entropy(logits, answers):
    """Mean cross-entropy of the softmax, and its derivative by the logits."""
    z, rows = logits - logits.max(1, keepdims=True), np.arange(len(logits))
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    e = np.exp(log_p)
    e[rows, answers] -= 1
    return -float(log_p[rows, answers].mean()), e / len(e)


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


def rate_at(step, updates):
    """The rate of an update, counted from 1: a warm-up, a plain, a straight fall to a tenth."""
    left = (updates - step + 1) / (updates * (1 - FALL))
    return RATE * min(1, step / WARM_UP, LAST + (1 - LAST) * min(1, left))


def train(config, net, task, rng, history, watch):
    """Learn until two checks in a row are solved; returns at which update each depth was mastered.
    Half of the batches show the deepest depth so far. FloatingPointError where it diverges."""
    adam = Adam(net.weights, RATE, beta2=0.99, limit=1.0)
    checked = [task.make_test(rng, CHECKED, config.depth + more) for more in (1, 2, 3)]
    shown, running, good, mastered = 1, 0.0, 0, {}
    drop = GATE_DROP if config.model == "router" else 0
    for step in range(1, config.updates + 1):
        depth = shown if rng.random() < 0.5 else int(rng.integers(1, shown + 1))
        layers = depth + int(rng.integers(*EXTRA_LAYERS, endpoint=True))
        tokens, answers = task.make_batch(rng, BATCH, depth)
        shut = rng.random((layers, tokens.size, 1), np.float32) >= drop
        logits, kept = forward(net, tokens, layers, shut)
        loss, e = cross_entropy(logits, answers)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} at update {step}")
        backward(net, tokens, e, kept)
        adam.rate = rate_at(step, config.updates)
        adam.step(net.weights, net.grads)
        if depth == shown:
            running += 0.1 * (float((logits.argmax(1) == answers).mean()) - running)
            if running > MASTERED and depth not in mastered:
                mastered[depth] = step
                shown, running = min(depth + 1, config.depth), 0.0
        if step % config.check == 0 or step == config.updates:
            deeper = float(np.mean([accuracy(net, *test, config.layers) for test in checked]))
            state = {"update": step, "loss": loss, "shown": shown, "deeper": deeper}
            for name, value in state.items():
                history[name].append(value)
            if watch:
                watch(step, config.updates, **state, net=net, task=task)
            good = good + 1 if deeper >= SOLVED else 0
            if good == 2:
                break
    return mastered


def accuracy(net, tokens, answers, layers):
    """Share of right answers with so many layers."""
    parts = [tokens[i : i + BATCH] for i in range(0, len(tokens), BATCH)]
    given = [forward(net, part, layers)[0].argmax(1) for part in parts]
    return float((np.concatenate(given) == answers).mean())


def evaluate(config, net, task, rng):
    """Accuracies by depth, with the layers of config and with fewer, and their means."""
    d, last = config.depth, config.depth + 5
    tests = [task.make_test(rng, TESTED, depth) for depth in range(1, last + 1)]
    metrics = {}
    for suffix in ("", "_fewer"):
        layers = [depth + FEWER if suffix else config.layers for depth in range(1, last + 1)]
        right = [accuracy(net, *test, n) for test, n in zip(tests, layers, strict=True)]
        metrics |= {f"accuracy_{depth}{suffix}": x for depth, x in enumerate(right, 1)}
        means = {"trained": right[:d], "deeper": right[d : d + 3], "deepest": right[d + 3 :]}
        metrics |= {name + suffix: float(np.mean(part)) for name, part in means.items()}
    metrics["deeper_best"] = max(metrics["deeper"], metrics["deeper_fewer"])
    solved = {f"{name}_solved": metrics[name] >= ANSWERED for name in ("deeper", "deepest")}
    return metrics | solved


def run(config: Config = Config(), watch=None) -> Result:
    """Train one net until it solves depths that it was not trained on, then test all depths."""
    rngs = np.random.default_rng(config.seed).spawn(4)
    task = Task(config, rngs[0])
    net = Net(config.model, task.tokens, config.values, config.width, rngs[1])
    history = {"update": [], "loss": [], "shown": [], "deeper": []}
    mastered = train(config, net, task, rngs[2], history, watch)
    metrics = {f"mastered_{depth}": mastered.get(depth) for depth in range(1, config.depth + 1)}
    metrics["updates"] = history["update"][-1]
    return Result(metrics | evaluate(config, net, task, rngs[3]), history, net, task)


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
        for weight in net.weights.values():
            weight += rng.normal(0, 0.2, weight.shape)
        tokens, answers = rng.integers(9, size=(5, 5)), rng.integers(4, size=5)
        shut = rng.random((3, tokens.size, 1)) > 0.2

        def loss(net=net, tokens=tokens, answers=answers, shut=shut):
            return cross_entropy(forward(net, tokens, 3, shut)[0], answers)[0]

        logits, kept = forward(net, tokens, 3, shut)
        backward(net, tokens, cross_entropy(logits, answers)[1], kept)
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
