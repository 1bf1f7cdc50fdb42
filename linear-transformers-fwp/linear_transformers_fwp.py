"""Linear Transformers are fast weight programmers: capacity of additive writes, and the
error-correcting write that repairs them.

Task      A sequence of L pairs (key k_t, value v_t), both out of S symbols; then a key is asked
          for, and its value is the answer. Setting 1 (capacity): L = S, every key once, values a
          permutation of the S symbols.
          Setting 2 (updating): L = 2S, keys and values drawn with replacement; right is the value
          that came LAST with the key.
Net       x_t = [onehot(v_t); E(k_t)], key W_k x_t + b_k in R^64, query W_q E(k) + b_q in R^64,
          value v_t = onehot(v_t), write strength beta_t = sigmoid(W_b x_t + b_b). A feature map
          phi: R^64 -> R^p makes keys and queries non-negative.
Writes    sum     W = sum_t v_t phi(k_t)^T, z = sum_t phi(k_t);
                  read y = W phi(q) / (z . phi(q) + 1e-6)
          delta   W <- W + beta_t (v_t - W k'_t) k'_t^T, k' = phi(k) / sum phi(k);
                  read y = W q', q' likewise
          softmax attention, the upper reference: y = sum_t v_t softmax_t(k_t . q / 8)
Training  1/2 |onehot(answer) - y|^2 on one query a sequence, Adam. The same read-out can be had
          without W: sum_t v_t a_t with a_t = phi(k_t) . phi(q) (linear attention), and a_t = beta_t
          s_t with (I + A)^T s = K' q', A = the part of diag(beta) K' K'^T below the diagonal
          (delta). Training uses these forms, evaluation the recurrent ones with W.

    python3 linear_transformers_fwp.py --seed 0
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

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small products: two threads are no faster

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
    conditions: str = option(
        "headline",
        "which nets are trained: the headline's, longer updating, a scan of the capacity, one",
        among=("headline", "updating", "capacity", "quick", "one", "v1"),
    )
    setting: int = option(1, "1 capacity or 2 updating, of the one net", 1, 2)
    rule: str = option("sum", "write rule of the one net", among=("sum", "delta"))
    features: str = option(
        "dpfp-1",
        "feature map of the one net",
        among=("linear", "dpfp-1", "dpfp-2", "dpfp-3", "softmax"),
    )
    symbols: int = option(40, "keys and values S of the one net", 2, 600)
    rounds: int = option(
        2, "pairs in a sequence of the one net in setting 2, as a multiple of S", 1, 4
    )
    key_size: int = option(64, "units of key and query", 2, 512)
    batch: int = option(32, "sequences in a training step", 1, 512)
    steps: int = option(100000, "most training steps of a net", 1, 100000)
    every: int = option(100, "training steps between evaluations", 1, 1000)
    patience: int = option(
        11, "evaluations in a row without a new best that end the training", 1, 1000
    )
    goal: float = option(0.001, "evaluation loss that ends the training", 1e-6, 1.0)
    rate: float = option(0.001, "Adam's step size", 1e-6, 1.0)

    def __post_init__(self):
        check_options(self)
        if self.features == "softmax" and self.rule != "sum":
            raise ValueError(
                f"features softmax has no fast weights, so rule must be sum, got {self.rule}"
            )
        for name in ("setting", "rule", "features", "symbols", "rounds"):
            if self.conditions != "one" and getattr(self, name) != getattr(Config, name):
                raise ValueError(f"{name} is for the one net and needs conditions one")


QUICK = {"conditions": "quick", "steps": 300}

# name of a net: (setting, rule, features, symbols S, length of a sequence / S)
NETS = {
    "headline": {
        "linear_40": (1, "sum", "linear", 40, 1),
        "dpfp1_100": (1, "sum", "dpfp-1", 100, 1),
        "dpfp2_200": (1, "sum", "dpfp-2", 200, 1),
        "softmax_200": (1, "sum", "softmax", 200, 1),
        "linear_80": (1, "sum", "linear", 80, 1),
        "dpfp1_160": (1, "sum", "dpfp-1", 160, 1),
        "sum_40": (2, "sum", "dpfp-1", 40, 2),
        "delta_40": (2, "delta", "dpfp-1", 40, 2),
    },
    "updating": {
        "delta2_60": (2, "delta", "dpfp-2", 60, 2),
        "delta1_60": (2, "delta", "dpfp-1", 60, 2),
        "sum_40_once": (2, "sum", "dpfp-1", 40, 1),
    },
    "capacity": {f"linear_{s}": (1, "sum", "linear", s, 1) for s in (40, 50, 60, 70, 80)}
    | {f"dpfp1_{s}": (1, "sum", "dpfp-1", s, 1) for s in (100, 120, 140)},
    "quick": {"linear_20": (1, "sum", "linear", 20, 1), "delta_20": (2, "delta", "dpfp-1", 20, 2)},
}


@dataclass
class Result:
    """metrics; history: evaluation losses (net, step, loss) of all nets, one after the other; nets:
    their weights."""

    metrics: dict
    history: dict
    nets: dict


# --- the task -------------------------------------------------------------------------------------


def make_batch(rng, setting, symbols, rounds, batch):
    """Keys and values, (batch, L) each: permutations of the symbols in setting 1, draws with
    replacement in setting 2."""
    if setting == 1:
        return tuple(
            rng.permuted(np.tile(np.arange(symbols), (batch, 1)), axis=1) for _ in range(2)
        )
    return tuple(rng.integers(0, symbols, (batch, rounds * symbols)) for _ in range(2))


def answers(keys, values, symbols):
    """Last value of every key, (batch, symbols), -1 for a key that did not come."""
    last, rows = np.full((len(keys), symbols), -1), np.arange(len(keys))
    for key, value in zip(keys.T, values.T, strict=True):
        last[rows, key] = value
    return last


# --- feature maps ---------------------------------------------------------------------------------


def feature_map(x, features):
    """phi(x), (..., p), and what its gradient needs: elu + 1 for "linear", DPFP-nu for "dpfp-nu", x
    itself for "softmax"."""
    if features == "softmax":
        return x, None
    if features == "linear":
        slope = np.exp(np.minimum(x, 0))
        return np.maximum(x, 0) + slope, slope
    nu, d = int(features[-1]), x.shape[-1]
    ring = np.empty(
        (*x.shape[:-1], nu + 2 * d), x.dtype
    )  # z = [relu(x), relu(-x)], with its last nu entries before it
    z = ring[..., nu:]
    np.maximum(x, 0, out=z[..., :d])
    np.subtract(z[..., :d], x, out=z[..., d:])
    ring[..., :nu] = z[..., -nu:]
    rolled = [ring[..., nu - i : nu - i + 2 * d] for i in range(1, nu + 1)]
    phi = np.empty((*x.shape[:-1], nu * 2 * d), x.dtype)
    for part, roll in zip(np.split(phi, nu, -1), rolled, strict=True):
        np.multiply(z, roll, out=part)
    return phi, (z, rolled)


def feature_map_backward(kept, dphi, features):
    """Gradient at x, given that at phi."""
    if features in ("softmax", "linear"):
        return dphi if kept is None else dphi * kept
    z, rolled = kept
    dz, d = 0, z.shape[-1] // 2
    for i, (part, roll) in enumerate(zip(np.split(dphi, len(rolled), -1), rolled, strict=True), 1):
        dz += part * roll
        by_roll = part * z
        dz[..., :-i] += by_roll[..., i:]
        dz[..., -i:] += by_roll[..., :i]
    dz *= z > 0
    return dz[..., :d] - dz[..., d:]


# --- the net: tables instead of products ----------------------------------------------------------


def init_weights(rng, symbols, key_size, dtype=np.float32):
    """Embedding E: (S, e) with e = int(2.2 S); W_k and W_b act on [onehot(value); E(key)], W_q on
    E(key)."""
    e, bound = int(2.2 * symbols), 1 / np.sqrt(key_size)
    weights = {
        "E": rng.normal(0, 1, (symbols, e)),
        "Wk": rng.uniform(-bound, bound, (symbols + e, key_size)),
        "Wq": rng.uniform(-bound, bound, (e, key_size)),
        "Wb": rng.uniform(-1, 1, (symbols + e, 1)) / np.sqrt(symbols + e),
        "bk": np.zeros(key_size),
        "bq": np.zeros(key_size),
        "bb": np.zeros(1),
    }
    return {name: w.astype(dtype) for name, w in weights.items()}


def tables(weights, map_name):
    """What every symbol adds, as a value and as a key, to the map's result: (S, units) twice;
    map_name: "k" or "b"."""
    symbols, into = len(weights["E"]), weights["W" + map_name]
    return into[:symbols], weights["E"] @ into[symbols:] + weights["b" + map_name]


def queries(weights):
    """Query of every symbol, (S, 64)."""
    return weights["E"] @ weights["Wq"] + weights["bq"]


def tables_backward(weights, map_name, dx, keys, values):
    """Gradients of one map and its share in that of E, given dx: (batch, L, units)."""
    symbols, flat = len(weights["E"]), dx.reshape(-1, dx.shape[2])
    dvalue, dkey = (sum_by_symbol(flat, ids.ravel(), symbols) for ids in (values, keys))
    dinto = np.concatenate([dvalue, weights["E"].T @ dkey])
    return {"W" + map_name: dinto, "b" + map_name: dkey.sum(0)}, dkey @ weights["W" + map_name][
        symbols:
    ].T


def sum_by_symbol(rows, ids, symbols):
    """For every symbol the sum of the rows, (n, d), that carry its number in ids, (n,)."""
    counts = np.bincount(ids, minlength=symbols)
    if (
        counts == counts[0]
    ).all():  # always so in setting 1: sorting is faster there than the product below
        return (
            rows[ids.astype(np.int16).argsort(kind="stable")].reshape(symbols, counts[0], -1).sum(1)
        )
    return (np.arange(symbols)[:, None] == ids).astype(rows.dtype) @ rows


# --- reading without W: attention and the parallel delta rule -------------------------------------


def attend(x, phi_q, features):
    """Shares a, (batch, L), of the values in the read-out for keys x: (batch, L, d) and phi(q):
    (batch, p); and for backward."""
    phi, kept = feature_map(x, features)
    scores = (phi @ phi_q[..., None])[..., 0]
    if features == "softmax":
        a = np.exp(scores / 8 - scores.max(1, keepdims=True) / 8)
        return a / a.sum(1, keepdims=True), (phi, kept, None)
    total = scores.sum(1, keepdims=True) + 1e-6
    return scores / total, (phi, kept, total)


def attend_backward(a, phi_q, kept, da, features):
    """Gradients at x and at phi(q)."""
    phi, kept, total = kept
    dscores = (da - (da * a).sum(1, keepdims=True)) * (a / 8 if total is None else 1 / total)
    dx = dscores[..., None] * feature_map_backward(kept, phi_q[:, None], features)
    return dx, (dscores[:, None] @ phi)[:, 0]


def delta_attend(k, q, beta):
    """Shares beta s of the values after delta writes of k: (batch, L, p), read with q: (batch, p),
    and what backward needs."""
    gram = k @ k.swapaxes(1, 2)
    gram *= np.tri(k.shape[1], k=-1, dtype=k.dtype)
    below = gram * beta[..., None]
    s = solve_backwards(below, (k @ q[..., None])[..., 0])
    return beta * s, (s, gram, below)


def solve_backwards(below, right):
    """s with (I + A)^T s = right, from the last write to the first; A: (batch, L, L), 0 on and
    above the diagonal."""
    s, columns = right.copy(), np.ascontiguousarray(below.swapaxes(1, 2))
    for t in range(right.shape[1] - 2, -1, -1):
        s[:, t] -= np.einsum("bj,bj->b", columns[:, t, t + 1 :], s[:, t + 1 :])
    return s


def solve_forwards(below, right):
    """u with (I + A) u = right, from the first write to the last."""
    u = right.copy()
    for t in range(1, right.shape[1]):
        u[:, t] -= np.einsum("bj,bj->b", below[:, t, :t], u[:, :t])
    return u


def delta_attend_backward(k, q, beta, kept, da):
    """Gradients at k, q and beta: one more triangular solve, with the transposed system, gives the
    adjoint u."""
    s, gram, below = kept
    u = solve_forwards(below, da * beta)
    dbelow = s[..., None] * -u[:, None]
    dbelow *= np.tri(k.shape[1], k=-1, dtype=k.dtype)
    dbeta = da * s + np.einsum("bij,bij->bi", dbelow, gram)
    dgram = dbelow * beta[..., None]
    dk = (dgram + dgram.swapaxes(1, 2)) @ k
    dk += u[..., None] * q[:, None]
    return dk, (u[:, None] @ k)[:, 0], dbeta


def normalise(phi):
    """phi over its sum, and the sum, (..., 1)."""
    total = phi.sum(-1, keepdims=True)
    return phi / total, total


def normalise_backward(unit, total, dunit):
    """Gradient at phi, given that at phi over its sum."""
    return (dunit - (dunit * unit).sum(-1, keepdims=True)) / total


def loss_and_grads(weights, keys, values, query, target, rule, features):
    """Mean over the batch of 1/2 |onehot(target) - y|^2 and its gradients; keys, values: (batch,
    L), query, target: (batch,)."""
    (by_value, by_key), (batch, symbols) = tables(weights, "k"), (len(keys), len(weights["E"]))
    (phi_q, kept_q), beta = (
        feature_map(queries(weights)[query], features),
        write_strength(weights, keys, values),
    )
    size, parts = (
        8 if rule == "sum" else batch,
        [],
    )  # eight sequences at a time stay in the processor's cache
    for rows in (slice(first, first + size) for first in range(0, batch, size)):
        x = by_value[values[rows]] + by_key[keys[rows]]
        read = read_delta if rule == "delta" else read_sum
        parts.append(
            read(x, phi_q[rows], beta[rows], values[rows], target[rows], symbols, features)
        )
    losses, dx, dphi_q, dbeta = (np.concatenate(part) for part in zip(*parts, strict=True))
    grads, de = tables_backward(weights, "k", dx, keys, values)
    if rule == "delta":
        more, de_b = tables_backward(
            weights, "b", (dbeta * beta * (1 - beta))[..., None], keys, values
        )
        grads, de = grads | more, de + de_b
    dquery = sum_by_symbol(feature_map_backward(kept_q, dphi_q, features), query, symbols)
    grads |= {
        "Wq": weights["E"].T @ dquery,
        "bq": dquery.sum(0),
        "E": de + dquery @ weights["Wq"].T,
    }
    return float(losses.mean()), {name: grad / batch for name, grad in grads.items()}


def read_sum(x, phi_q, beta, values, target, symbols, features):
    """Losses, (batch,), of the sum rule or of softmax attention, and their gradients at x, phi(q)
    and beta (unused: zero)."""
    a, kept = attend(x, phi_q, features)
    losses, da = retrieval_loss(a, values, target, symbols)
    return losses, *attend_backward(a, phi_q, kept, da, features), np.zeros_like(beta)


def read_delta(x, phi_q, beta, values, target, symbols, features):
    """Losses, (batch,), of the delta rule, and their gradients at x, phi(q) and beta."""
    phi_k, kept_k = feature_map(x, features)
    (k, k_total), (q, q_total) = normalise(phi_k), normalise(phi_q)
    a, kept = delta_attend(k, q, beta)
    losses, da = retrieval_loss(a, values, target, symbols)
    dk, dq, dbeta = delta_attend_backward(k, q, beta, kept, da)
    dx = feature_map_backward(kept_k, normalise_backward(k, k_total, dk), features)
    return losses, dx, normalise_backward(q, q_total, dq), dbeta


def retrieval_loss(a, values, target, symbols):
    """Losses, (batch,), of the read-outs sum_t a_t onehot(v_t), and their gradient at a: (batch,
    L)."""
    rows = np.arange(len(a))
    error = np.bincount(
        (rows[:, None] * symbols + values).ravel(), a.ravel(), len(a) * symbols
    ).reshape(-1, symbols)
    error[rows, target] -= 1
    return (error**2).sum(1) / 2, error[rows[:, None], values].astype(a.dtype)


def write_strength(weights, keys, values):
    """beta: (batch, L)."""
    by_value, by_key = tables(weights, "b")
    return sigmoid((by_value[values] + by_key[keys])[..., 0])


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


# --- reading with W: the fast weight programmer ---------------------------------------------------


def evaluate(weights, keys, values, rule, features):
    """Mean loss over all distinct keys of the sequences, each sequence written into one fast weight
    matrix W: (S, p)."""
    symbols = len(weights["E"])
    right = answers(keys, values, symbols)
    y = read_all(weights, keys, values, rule, features)
    wanted = np.eye(symbols)[right] * (right >= 0)[..., None]
    return float((0.5 * ((y - wanted) ** 2).sum(2))[right >= 0].mean())


def read_all(weights, keys, values, rule, features):
    """Read-outs y, (batch, S, S), for all S keys as queries (second axis)."""
    by_value, by_key = tables(weights, "k")
    phi_k, phi_q = (
        feature_map(x, features)[0] for x in (by_value[values] + by_key[keys], queries(weights))
    )
    v = np.eye(len(phi_q), dtype=phi_k.dtype)[values]
    if features == "softmax":
        scores = phi_q @ phi_k.swapaxes(1, 2) / 8
        shares = np.exp(scores - scores.max(2, keepdims=True))
        return shares / shares.sum(2, keepdims=True) @ v
    if rule == "delta":
        fast = write_delta(normalise(phi_k)[0], v, write_strength(weights, keys, values))
        return normalise(phi_q)[0] @ fast.swapaxes(1, 2)
    fast, total = v.swapaxes(1, 2) @ phi_k, phi_k.sum(1)
    return phi_q @ fast.swapaxes(1, 2) / (total @ phi_q.T + 1e-6)[..., None]


def write_delta(k, v, beta):
    """W: (batch, S, p) after the error-correcting writes, one after the other."""
    fast = np.zeros((len(k), v.shape[2], k.shape[2]), k.dtype)
    for t in range(k.shape[1]):
        error = v[:, t] - (fast @ k[:, t, :, None])[..., 0]
        fast += (beta[:, t, None] * error)[..., None] * k[:, t, None]
    return fast


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


def train(rng, net, config, watch):
    """Trains one net under the paper's stopping rule: its evaluations [(step, loss)] and its
    weights."""
    setting, rule, features, symbols, rounds = net
    np.empty(
        2**24, np.uint8
    )  # once it is freed, malloc keeps smaller arrays' pages, which saves a fifth of the time
    weights, curve, best = init_weights(rng, symbols, config.key_size), [], np.inf
    adam, rows, behind = Adam(weights, config.rate), np.arange(config.batch), 0
    for step in range(1, config.steps + 1):
        keys, values = make_batch(rng, setting, symbols, rounds, config.batch)
        query = keys[rows, rng.integers(0, keys.shape[1], config.batch)]
        target = values[
            rows, keys.shape[1] - 1 - (keys == query[:, None])[:, ::-1].argmax(1)
        ]  # the last one counts
        adam.step(weights, loss_and_grads(weights, keys, values, query, target, rule, features)[1])
        if step % config.every == 0 or step == config.steps:
            loss = evaluate(weights, *make_batch(rng, setting, symbols, rounds, 20), rule, features)
            curve.append((step, loss))
            behind = 0 if loss < best else behind + 1
            best = min(best, loss)
            if watch:
                watch(step, config.steps, loss=loss, symbols=symbols)
            if loss <= config.goal or behind >= config.patience:
                break
    return curve, weights


# --- the identities -------------------------------------------------------------------------------


def largest_difference(rng, length=200, heads=4, units=16):
    """Largest difference between the forms of the sum and of the delta rule, at every prefix of a
    sequence, in float64."""
    k, q = (feature_map(rng.normal(0, 1, (heads, length, units)), "dpfp-1")[0] for _ in range(2))
    v, beta = rng.normal(0, 1, (heads, length, units)), sigmoid(rng.normal(0, 1, (heads, length)))
    unit_k, unit_q = normalise(k)[0], normalise(q)[0]
    sums, deltas = np.empty_like(v), np.empty_like(v)
    fast, slow = np.zeros((2, heads, units, k.shape[2]))
    for t in range(length):
        fast += v[:, t, :, None] * k[:, t, None]
        sums[:, t] = (fast @ q[:, t, :, None])[..., 0]
        error = v[:, t] - (slow @ unit_k[:, t, :, None])[..., 0]
        slow += (beta[:, t, None] * error)[..., None] * unit_k[:, t, None]
        deltas[:, t] = (slow @ unit_q[:, t, :, None])[..., 0]
    attention = np.tril(q @ k.swapaxes(1, 2)) @ v
    backwards = np.empty_like(v)
    for t in range(length):
        shares, _ = delta_attend(unit_k[:, : t + 1], unit_q[:, t], beta[:, : t + 1])
        backwards[:, t] = (shares[:, None] @ v[:, : t + 1])[:, 0]
    below = np.tril(unit_k @ unit_k.swapaxes(1, 2), -1) * beta[:, None]
    writes = np.linalg.solve(np.eye(length) + below, v) * beta[..., None]
    at_once = np.tril(unit_q @ unit_k.swapaxes(1, 2)) @ writes
    return float(
        max(
            np.abs(a - b).max()
            for a, b in ((sums, attention), (deltas, backwards), (deltas, at_once))
        )
    )


# --- the earlier catalog's task -------------------------------------------------------------------


def biased_keys(rng, bias, batch, pairs=5, units=8):
    """Keys with a common bias, values, both (batch, pairs, units), and the number of the pair that
    is asked for, (batch,)."""
    keys = bias + 0.4 * rng.normal(0, 1, (batch, pairs, units))
    return (
        keys,
        rng.normal(0, 1 / np.sqrt(units), (batch, pairs, units)),
        rng.integers(0, pairs, batch),
    )


def run_v1(config, steps=80, width=24, features="dpfp-2"):
    """Sum rule on 5 biased keys of 8 units, with a trained key map and features; cosine between
    answer and value."""
    rng = np.random.default_rng(config.seed)
    bias, rows = np.eye(8)[0], np.arange(64)
    weights = {"W": rng.normal(0, 1 / np.sqrt(8), (8, width)), "b": np.zeros(width)}
    adam = Adam(weights, 0.02)
    for _ in range(steps):
        keys, values, asked = biased_keys(rng, bias, 64)
        x = keys @ weights["W"] + weights["b"]
        phi_q, kept_q = feature_map(x[rows, asked], features)
        a, kept = attend(x, phi_q, features)
        dy = ((a[:, None] @ values)[:, 0] - values[rows, asked]) / 64
        dx, dphi_q = attend_backward(a, phi_q, kept, (values @ dy[..., None])[..., 0], features)
        dx[rows, asked] += feature_map_backward(kept_q, dphi_q, features)
        adam.step(weights, {"W": np.tensordot(keys, dx, ((0, 1), (0, 1))), "b": dx.sum((0, 1))})
    keys, values, asked = biased_keys(rng, bias, 200)
    phi, rows = feature_map(keys @ weights["W"] + weights["b"], features)[0], np.arange(200)
    k, q = phi / phi.sum((1, 2), keepdims=True), phi[rows, asked]
    by_attention = (values.swapaxes(1, 2) @ (k @ q[..., None]))[..., 0]
    y = ((values.swapaxes(1, 2) @ k) @ q[..., None])[..., 0]
    cosine = (
        (y * values[rows, asked]).sum(1)
        / np.linalg.norm(y, axis=1)
        / np.linalg.norm(values[rows, asked], axis=1)
    )
    metrics = {
        "cosine": float(cosine.mean()),
        "same_read": float(np.abs(y - by_attention).max() / np.abs(y).max()),
    }
    return Result(metrics, {}, {"v1": weights})


# --- all conditions -------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train every net of the chosen conditions; losses are those of its last evaluation."""
    if config.conditions == "v1":
        return run_v1(config)
    one = {"net": (config.setting, config.rule, config.features, config.symbols, config.rounds)}
    nets, metrics, trained = NETS.get(config.conditions, one), {}, {}
    history = {"net": [], "step": [], "loss": []}
    for rng, (name, net) in zip(
        np.random.default_rng(config.seed).spawn(len(nets)), nets.items(), strict=True
    ):
        curve, trained[name] = train(rng, net, config, watch)
        for step, loss in curve:
            for column, value in zip(history.values(), (name, step, loss), strict=True):
                column.append(value)
        metrics |= {f"{name}_loss": curve[-1][1], f"{name}_steps": curve[-1][0]}
    if config.conditions == "headline":
        below, above = (
            ("linear_40", "dpfp1_100", "dpfp2_200", "softmax_200"),
            ("linear_80", "dpfp1_160"),
        )
        metrics["below_capacity"] = max(metrics[f"{name}_loss"] for name in below)
        metrics["above_capacity"] = min(metrics[f"{name}_loss"] for name in above)
        metrics["same_form"] = largest_difference(np.random.default_rng(config.seed))
    if config.conditions == "capacity":
        for features in ("linear", "dpfp1"):
            over = [
                net[3]
                for name, net in nets.items()
                if name.startswith(features) and metrics[f"{name}_loss"] > 0.01
            ]
            metrics[f"{features}_overflows_at"] = min(over, default=0)
    return Result(metrics, history, trained)


def gradient_check(
    config: Config = Config(conditions="one", symbols=5, key_size=6, batch=3),
) -> float:
    """Worst relative error of the gradients of all rules and feature maps against central
    differences."""
    rng, worst = np.random.default_rng(config.seed), 0.0
    keys, values = make_batch(rng, 2, config.symbols, config.rounds, config.batch)
    query = keys[:, 1]
    target = answers(keys, values, config.symbols)[np.arange(config.batch), query]
    for rule, features in (
        ("sum", "linear"),
        ("sum", "dpfp-2"),
        ("sum", "softmax"),
        ("delta", "dpfp-1"),
        ("delta", "linear"),
    ):
        weights = init_weights(rng, config.symbols, config.key_size, np.float64)
        weights = {name: w + rng.normal(0, 0.2, w.shape) for name, w in weights.items()}
        batch = (keys, values, query, target, rule, features)
        grads = loss_and_grads(weights, *batch)[1]
        worst = max(
            worst,
            worst_relative_error(
                lambda w=weights, b=batch: loss_and_grads(w, *b)[0], weights, grads
            ),
        )
    return worst


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
