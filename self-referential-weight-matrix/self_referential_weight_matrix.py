"""A self-referential weight matrix: a net that reads, addresses and changes its own weights.

Task      A Boolean function of two bits is shown on its four inputs (demonstrations, with its
          value), then asked on all four (queries, without). At the border between the two every
          activation is set to 0; only weights that the net has changed itself can carry the
          function over. F4 is AND, OR, XOR, NAND: who cannot remember is right 0.6875 of the time.
Part L    The net of 1993. One matrix W, units x connections, and everything in it can be written:
              y(t+1)    = tanh(W(t) z(t)),  z = [x1, x2, 1, eval, val, y]
              val(t+1)  = sum_ij g(|ana(t) - adr_ij|^2) w_ij(t)                        reads
              w_ij(t+1) = w_ij(t) + Delta(t) g(|mod(t) - adr_ij|^2)                    writes
              eval(t+1) = d(t) - o(t) in demonstrations, else 0;  g(u) = exp(-u / 2)
          y = [o, 6 hidden, ana (A), mod (A), Delta]; adr_ij: A = 10 bits, each -1 or +1. Every
          pattern stays for three steps. Gradient descent trains W(1), inside an episode W moves.
Part M    The net of 2022: [y, k, q, b] = W s(E x), s = softmax;
              W <- W + sigmoid(b) (W s(q) - W s(k)) s(k)',  one b for each of four row blocks.
Controls  The same nets, trained without writes; trained with W restored to W(1) at the border.
Shapes    L: W (batch, 28, 33). M: W (batch, 38, 16). Episodes: (steps, batch).
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

POINTS = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
TABLES = 2 * (np.arange(16)[:, None] >> np.arange(4) & 1) - 1  # (function, point), -1 or 1
AND, OR, XOR, NAND, XNOR, ONLY_FIRST, NOT_ONLY_FIRST = 8, 14, 6, 7, 9, 4, 11
F4, F16 = (AND, OR, XOR, NAND), tuple(range(16))
HELD_OUT = (XOR, XNOR, ONLY_FIRST, NOT_ONLY_FIRST)
REPEAT, INPUTS, EVAL, VAL = 3, 5, 3, 4  # steps a pattern stays; inputs of part L, places of two
D, OUT = 16, 2  # part M: columns, output rows
ROWS = OUT + 2 * D + 4
BLOCKS = np.repeat(np.arange(4), (OUT, D, D, 4))  # which of the four b a row listens to


@dataclass(frozen=True)
class Config:
    """The net of 1993 on four functions; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    part: str = option("literal", "the net of 1993 or that of 2022", among=("literal", "modern"))
    task: str = option(
        "F4",
        "4 or 16 functions; 12 trained and 4 held out; two functions in a row",
        among=("F4", "F16", "split", "switch"),
    )
    updates: int = option(450, "updates of the initial weights", 1, 100_000)
    batch: int = option(32, "episodes an update", 1, 256)
    rate: float = option(0.01, "rate of Adam", 1e-5, 0.3)
    controls: bool = option(True, "train the nets that cannot remember; check gradient and cost")

    def __post_init__(self):
        check_options(self)


QUICK = {"part": "modern", "updates": 400, "batch": 16, "rate": 0.02}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # mode, update, accuracy on the latest batches
    weights: dict  # mode: the trained arrays


# --- the task -------------------------------------------------------------------------------------


@dataclass
class Episodes:
    """Numbers of points and labels (-1 or 1), both (patterns, batch); shown (patterns,)."""

    point: np.ndarray
    label: np.ndarray
    shown: np.ndarray  # true for demonstrations
    function: np.ndarray  # (blocks, batch)

    def border(self, t):
        """Whether a query block begins with pattern t."""
        return t > 0 and self.shown[t - 1] and not self.shown[t]


def make_batch(rng, functions, batch, blocks=1):
    """Episodes: a block is four demonstrations and four queries of one function."""
    chosen = [np.resize(rng.permutation(functions), batch) for _ in range(blocks)]
    points, labels = [], []
    for function in chosen:
        for _ in range(2):
            order = rng.random((4, batch)).argsort(0)
            points.append(order)
            labels.append(TABLES[function, order])
    shown = np.tile(np.repeat([True, False], 4), blocks)
    return Episodes(np.concatenate(points), np.concatenate(labels), shown, np.array(chosen))


# --- part L: the net of 1993 ----------------------------------------------------------------------


class Layout:
    """Which unit is what, and the address (A bits of -1 or 1) of every connection."""

    def __init__(self, bits=10, hidden=6, kind=np.float32):
        self.bits, self.units = bits, 2 + hidden + 2 * bits
        self.columns = INPUTS + self.units
        self.ana = slice(1 + hidden, 1 + hidden + bits)
        self.mod = slice(1 + hidden + bits, 1 + hidden + 2 * bits)
        self.delta = self.units - 1
        self.connections = self.units * self.columns
        if self.connections > 2**bits:
            raise ValueError(f"{self.connections} connections need more than {bits} bits")
        numbered = np.arange(self.connections)[:, None] >> np.arange(bits) & 1
        self.adr = (2 * numbered - 1).astype(kind)  # (connections, bits)

    def foci(self, z):
        """g(|z - adr|^2) of every connection, (batch, connections); z (batch, bits)."""
        return np.exp(z @ self.adr.T - ((z * z).sum(1, keepdims=True) + self.bits) / 2)

    def foci_gradient(self, z, c):
        """Gradient for z, where c = g dE/dg: dg/dz = -g (z - adr)."""
        return c @ self.adr - z * c.sum(1, keepdims=True)


def step_plain(layout, W, x, evaluation, val, y):
    """One step of one net in plain loops: returns y, val and W of the next step.

    W is a list of rows, x two bits, y a list.
    """
    z = [*x, 1.0, evaluation, val, *y]
    new_y = [math.tanh(sum(w * a for w, a in zip(row, z, strict=True))) for row in W]
    ana, mod, delta = y[layout.ana], y[layout.mod], y[layout.delta]
    new_val, new_W = 0.0, []
    for i, row in enumerate(W):
        new_row = []
        for j, w in enumerate(row):
            adr = layout.adr[i * layout.columns + j]
            read = sum((a - b) ** 2 for a, b in zip(ana, adr, strict=True))
            write = sum((a - b) ** 2 for a, b in zip(mod, adr, strict=True))
            new_val += math.exp(-read / 2) * w
            new_row.append(w + delta * math.exp(-write / 2))
        new_W.append(new_row)
    return new_y, float(new_val), new_W


def forward(layout, W1, episodes, mode="writes"):
    """Run all episodes; returns o after each pattern (patterns, batch) and a tape for backward.

    mode: writes; frozen (no writes); restored (W is W(1) again at the border).
    """
    batch, kind = episodes.point.shape[1], W1.dtype
    start = np.repeat(W1[None], batch, 0)
    W, y = start, np.zeros((batch, layout.units), kind)
    z = np.zeros((batch, layout.columns), kind)
    z[:, 2] = 1
    outputs, tape = np.zeros(episodes.point.shape, kind), []
    for t in range(len(episodes.point)):
        if episodes.border(t):
            y, z = np.zeros_like(y), z.copy()
            z[:, EVAL : VAL + 1] = 0
            W = start if mode == "restored" else W
        for _ in range(REPEAT):
            z = z.copy()
            z[:, :2] = POINTS[episodes.point[t]]
            z[:, INPUTS:] = y
            ga, gm = layout.foci(y[:, layout.ana]), layout.foci(y[:, layout.mod])
            tape.append((t, W, z, y, ga, gm))
            new_y = np.tanh((W @ z[..., None])[..., 0])
            z = z.copy()
            z[:, VAL] = (ga * W.reshape(batch, -1)).sum(1)
            z[:, EVAL] = episodes.label[t] - new_y[:, 0] if episodes.shown[t] else 0
            if mode != "frozen":
                W = W + (y[:, layout.delta, None] * gm).reshape(W.shape)
            y = new_y
            tape[-1] += (y,)
        outputs[t] = y[:, 0]
    return outputs, tape, W


def backward(layout, episodes, outputs, tape, mode="writes"):
    """Gradient for W(1) of half the squared error at queries, mean over episodes.

    Backward through the three equations: a = dy' (1 - y'^2),
    dW = dW' + a z' + dval' g_ana,  dy = W' a + foci (ana: dval' w; mod: Delta dW'),
    dDelta = sum dW' g_mod,  do' -= deval'.
    """
    batch, kind = outputs.shape[1], outputs.dtype
    off = np.where(episodes.shown[:, None], 0, outputs - episodes.label).astype(kind) / batch
    total, dW = 0.0, np.zeros_like(tape[0][1])
    dy = np.zeros((batch, layout.units), kind)
    dz = np.zeros((batch, layout.columns), kind)
    for n in range(len(tape) - 1, -1, -1):
        t, W, z, y, ga, gm, new_y = tape[n]
        last, first = (n + 1) % REPEAT == 0, n % REPEAT == 0
        dy[:, 0] += off[t] if last else 0
        if episodes.shown[t]:
            dy[:, 0] -= dz[:, EVAL]
        dval = dz[:, VAL, None]
        flat = dW.reshape(batch, -1)
        a = dy * (1 - new_y * new_y)
        dz = (a[:, None] @ W)[:, 0]
        dy = dz[:, INPUTS:].copy()
        dy[:, layout.ana] += layout.foci_gradient(
            y[:, layout.ana], dval * ga * W.reshape(batch, -1)
        )
        if mode != "frozen":
            hit = flat * gm
            dy[:, layout.delta] += hit.sum(1)
            part = layout.foci_gradient(y[:, layout.mod], y[:, layout.delta, None] * hit)
            dy[:, layout.mod] += part
        dW = dW + a[..., None] * z[:, None] + (dval * ga).reshape(W.shape)
        if first and episodes.border(t):
            dy, dz = np.zeros_like(dy), np.zeros_like(dz)
            if mode == "restored":
                total, dW = total + dW.sum(0), np.zeros_like(dW)
    return total + dW.sum(0)


def forward_gradient(layout, W1, episodes):
    """The paper's recursion for one episode: p = dy/dw(1), q = dw_ij(t)/dw(1), carried forward."""
    n = layout.connections
    W, y, z = W1.copy(), np.zeros(layout.units), np.zeros(layout.columns)
    z[2], q, p, pz = 1, np.eye(n), np.zeros((layout.units, n)), np.zeros((layout.columns, n))
    grad = np.zeros(n)
    for t in range(len(episodes.point)):
        if episodes.border(t):
            y, p = np.zeros_like(y), np.zeros_like(p)
            z[EVAL : VAL + 1] = 0
            pz[EVAL : VAL + 1] = 0
        for _ in range(REPEAT):
            z[:2], z[INPUTS:], pz[INPUTS:] = POINTS[episodes.point[t, 0]], y, p
            ga, gm = (layout.foci(y[None, s])[0] for s in (layout.ana, layout.mod))
            reads = ga[:, None] * ((layout.adr - y[layout.ana]) @ p[layout.ana])
            writes = gm[:, None] * ((layout.adr - y[layout.mod]) @ p[layout.mod])
            new_y = np.tanh(W @ z)
            moved = np.einsum("klm,l->km", q.reshape(layout.units, layout.columns, n), z)
            new_p = (1 - new_y * new_y)[:, None] * (moved + W @ pz)
            z[VAL], pz[VAL] = ga @ W.ravel(), ga @ q + W.ravel() @ reads
            q = q + gm[:, None] * p[layout.delta] + y[layout.delta] * writes
            W = W + y[layout.delta] * gm.reshape(W.shape)
            y, p = new_y, new_p
            z[EVAL], pz[EVAL] = 0, 0
            if episodes.shown[t]:
                z[EVAL], pz[EVAL] = episodes.label[t, 0] - y[0], -p[0]
        if not episodes.shown[t]:
            grad += (y[0] - episodes.label[t, 0]) * p[0]
    return grad.reshape(W.shape)


def operations(bits):
    """Multiplications and exponentials of one step with `bits` bits, and the connections."""
    hidden = 0
    while (hidden + 3 + 2 * bits) * (hidden + 8 + 2 * bits) <= 2**bits:
        hidden += 1
    layout = Layout(bits, hidden)
    n = layout.connections
    products, distances, foci, read, write = n, 2 * layout.adr.size, 2 * n, n, n
    return products + distances + foci + read + write, n


def cost_slope():
    """Slope of log operations a step against log connections, 2^10 to 2^16."""
    counts, n = np.array([operations(bits) for bits in (10, 12, 14, 16)]).T
    return float(np.polyfit(np.log(n), np.log(counts), 1)[0])


# --- part M: the net of 2022 ----------------------------------------------------------------------


def softmax(z):
    """Softmax over the last axis."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax_gradient(p, dp):
    """Gradient before the softmax p from that after it."""
    return p * (dp - (p * dp).sum(-1, keepdims=True))


def encode(episodes):
    """Point as one-hot, label or 0, whether it is shown, 1: (patterns, batch, 7)."""
    shown = np.broadcast_to(episodes.shown[:, None], episodes.point.shape)
    extra = np.stack([np.where(shown, episodes.label, 0), shown, np.ones_like(shown)], -1)
    return np.concatenate([np.eye(4)[episodes.point], extra], -1)


def modern_forward(weights, episodes, mode="writes"):
    """Log-odds of 1 after each pattern (patterns, batch) and a tape for modern_backward."""
    batch = episodes.point.shape[1]
    start = np.repeat(weights["W"][None], batch, 0)
    s, W, tape = softmax(encode(episodes) @ weights["E"].T), start, []
    odds = np.zeros(episodes.point.shape)
    for t in range(len(s)):
        W = start if mode == "restored" and episodes.border(t) else W
        out = (W @ s[t][..., None])[..., 0]
        k, q = softmax(out[:, OUT : OUT + D]), softmax(out[:, OUT + D : OUT + 2 * D])
        b = 1 / (1 + np.exp(-np.clip(out[:, -4:], -500, 500)))
        change = (W @ (q - k)[..., None])[..., 0]
        tape.append((W, s[t], k, q, b, change))
        odds[t] = out[:, 1] - out[:, 0]
        if mode != "frozen":
            W = W + (b[:, BLOCKS] * change)[..., None] * k[:, None]
    return odds, tape, W


def modern_backward(weights, episodes, odds, tape, mode="writes"):
    """Gradients of the cross-entropy at queries, mean over episodes, for W and E."""
    batch, x = odds.shape[1], encode(episodes)
    off = 1 / (1 + np.exp(-np.clip(odds, -500, 500))) - (episodes.label > 0)
    off = np.where(episodes.shown[:, None], 0, off) / batch
    total, dW = np.zeros_like(weights["W"]), np.zeros_like(tape[0][0])
    dE = np.zeros_like(weights["E"])
    for t in range(len(tape) - 1, -1, -1):
        W, s, k, q, b, change = tape[t]
        dout = np.zeros((batch, ROWS))
        dout[:, 1], dout[:, 0] = off[t], -off[t]
        if mode != "frozen":
            du = (dW @ k[..., None])[..., 0]
            dk = ((b[:, BLOCKS] * change)[:, None] @ dW)[:, 0]
            dchange = du * b[:, BLOCKS]
            back = (dchange[:, None] @ W)[:, 0]
            dout[:, OUT : OUT + D] = softmax_gradient(k, dk - back)
            dout[:, OUT + D : OUT + 2 * D] = softmax_gradient(q, back)
            dout[:, -4:] = (du * change) @ np.eye(4)[BLOCKS] * b * (1 - b)
            dW = dW + dchange[..., None] * (q - k)[:, None]
        dW = dW + dout[..., None] * s[:, None]
        dE += softmax_gradient(s, (dout[:, None] @ W)[:, 0]).T @ x[t]
        if mode == "restored" and episodes.border(t):
            total, dW = total + dW.sum(0), np.zeros_like(dW)
    return {"W": total + dW.sum(0), "E": dE}


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


def functions_of(task):
    """Functions to train, functions to test, functions in a row."""
    if task == "split":
        return tuple(f for f in F16 if f not in HELD_OUT), HELD_OUT, 1
    chosen = F4 if task == "F4" else F16
    return chosen, chosen, 2 if task == "switch" else 1


def initial_weights(rng, part):
    """W(1), and the input map E of part M."""
    if part == "modern":
        return {"W": rng.normal(0, 1 / math.sqrt(D), (ROWS, D)), "E": rng.normal(0, 5, (D, 7))}
    layout = Layout()
    return {"W": rng.normal(0, 0.3, (layout.units, layout.columns)).astype(np.float32)}


def answer(weights, part, episodes, mode):
    """Answers (patterns, batch), the tape, and W after the episode."""
    if part == "modern":
        return modern_forward(weights, episodes, mode)
    return forward(Layout(), weights["W"], episodes, mode)


def gradients(weights, part, episodes, mode):
    """Gradients of every array, and the answers."""
    said, tape, _ = answer(weights, part, episodes, mode)
    if part == "modern":
        return modern_backward(weights, episodes, said, tape, mode), said
    return {"W": backward(Layout(), episodes, said, tape, mode)}, said


def correct(said, episodes):
    """Whether the queries of the last block are right, (4, batch)."""
    return (said[-4:] > 0) == (episodes.label[-4:] > 0)


def train(config, rng, mode, history, watch):
    """Trained weights of one net."""
    weights = initial_weights(rng, config.part)
    adam, recent = Adam(weights, config.rate, limit=1.0), []
    functions, _, blocks = functions_of(config.task)
    for update in range(1, config.updates + 1):
        if config.part == "modern" and update > 0.7 * config.updates:
            adam.rate = 0.3 * config.rate
        episodes = make_batch(rng, functions, config.batch, blocks)
        grads, said = gradients(weights, config.part, episodes, mode)
        if not all(np.isfinite(g).all() for g in grads.values()):
            raise FloatingPointError("the gradient is not finite; choose a smaller rate")
        adam.step(weights, grads)
        recent.append(correct(said, episodes).mean())
        if update % 10 == 0 or update == config.updates:
            share = float(np.mean(recent[-10:]))
            for name, value in zip(history, (mode, update, share), strict=True):
                history[name].append(value)
            if watch:
                watch(update, config.updates, accuracy=share)
    return weights


def evaluate(weights, config, functions, mode, count=960):
    """Accuracy on the queries of the last block, of each function in functions."""
    blocks = functions_of(config.task)[2]
    episodes = make_batch(np.random.default_rng(config.seed + 7), functions, count, blocks)
    right = correct(answer(weights, config.part, episodes, mode)[0], episodes).mean(0)
    return [float(right[episodes.function[-1] == f].mean()) for f in functions]


def writes_to_itself(weights, seed):
    """Share of all change of W (sum of absolute values) in the rows of ana, mod and Delta."""
    layout = Layout()
    episodes = make_batch(np.random.default_rng(seed + 9), F4, 64)
    changed = np.abs(forward(layout, weights["W"], episodes)[2] - weights["W"]).sum((0, 2))
    return float(changed[layout.ana.start :].sum() / max(changed.sum(), 1e-30))


def run(config: Config = Config(), watch=None) -> Result:
    """Train the writing net and the controls, evaluate each, check gradient and cost."""
    rngs = np.random.default_rng(config.seed).spawn(3)
    history, nets = {"mode": [], "update": [], "accuracy": []}, {}
    trained, tested, _ = functions_of(config.task)
    nets["writes"] = train(config, rngs[0], "writes", history, watch)
    scores = evaluate(nets["writes"], config, tested, "writes")
    metrics = {"accuracy": float(np.mean(scores)), "lowest_function": float(min(scores))}
    if config.task == "split":
        metrics["trained"] = float(np.mean(evaluate(nets["writes"], config, trained, "writes")))
    if config.part == "literal":
        metrics["self_writes"] = writes_to_itself(nets["writes"], config.seed)
    if config.controls:
        for mode, rng in (("frozen", rngs[1]), ("restored", rngs[2])):
            nets[mode] = train(config, rng, mode, history, watch)
            metrics[mode] = float(np.mean(evaluate(nets[mode], config, tested, mode)))
        metrics["control"] = max(metrics["frozen"], metrics["restored"])
        if config.part == "literal":
            metrics["grad_err"] = check_recursion(np.random.default_rng(config.seed))
            metrics["cost_slope"] = cost_slope()
    return Result(metrics, history, nets)


def check_recursion(rng):
    """Worst relative difference of recursion, back-propagation and central differences.

    The smallest net whose connections all have addresses: A = 9, no hidden unit, 500 connections.
    """
    layout = Layout(9, 0, np.float64)
    weights = {"W": rng.normal(0, 0.3, (layout.units, layout.columns))}
    episodes = make_batch(rng, F4, 1)
    said, tape, _ = forward(layout, weights["W"], episodes)
    grad = backward(layout, episodes, said, tape)
    apart = np.abs(grad - forward_gradient(layout, weights["W"], episodes)).max()

    def loss():
        off = (forward(layout, weights["W"], episodes)[0] - episodes.label)[~episodes.shown]
        return float((off * off).sum() / 2)

    numeric = worst_relative_error(loss, weights, {"W": grad}, most=20)
    return max(float(apart / np.abs(grad).max()), numeric)


def check_modern(rng, mode="writes"):
    """Back-propagation of part M against central differences."""
    weights = initial_weights(rng, "modern")
    weights["E"] /= 5
    episodes = make_batch(rng, F16, 3)

    def loss():
        odds = modern_forward(weights, episodes, mode)[0]
        signed = (odds * episodes.label)[~episodes.shown]
        return float(np.log1p(np.exp(-signed)).sum() / 3)

    odds, tape, _ = modern_forward(weights, episodes, mode)
    return worst_relative_error(loss, weights, modern_backward(weights, episodes, odds, tape, mode))


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of both parts."""
    rng = np.random.default_rng(config.seed)
    return max(check_recursion(rng), check_modern(rng))


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
