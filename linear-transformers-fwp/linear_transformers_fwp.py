"""Linear Transformers are fast weight programmers: what a memory that only adds can hold, and the
error-correcting write that keeps it up to date.

Task      A sequence of L pairs (key k_t, value v_t), both out of S symbols; then a key is asked
          for, and its value is the answer. Setting 1 (capacity): every key once, the values a
          permutation, L = S. Setting 2 (updating): both drawn with replacement, right is the value
          that came LAST with the key; L = 2S in training, S in evaluation.
Net       E: (S, e) is a trained embedding, e = int(2.2 S). x_t = [onehot(v_t); E(k_t)] gives the
          key W_k x_t + b_k in R^64 and the write strength beta_t = sigmoid(W_b x_t + b_b); a key
          that is asked for gives the query W_q E(k) + b_q; the value is onehot(v_t) itself.
          A feature map phi: R^64 -> R^p makes keys k and queries q non-negative:
            linear    phi(x) = elu(x) + 1, p = 64
            dpfp-nu   z = [relu(x); relu(-x)], phi = [z * roll(z, 1); ...; z * roll(z, nu)], 128 nu
Writes    sum       W = sum_t v_t phi(k_t)^T, z = sum_t phi(k_t); y = W phi(q) / (z . phi(q) + 1e-6)
          delta     W <- W + beta_t (v_t - W k'_t) k'_t^T, k' = phi(k) / sum phi(k); y = W q',
                    q' likewise
          softmax   attention, which keeps all pairs: y = sum_t v_t softmax_t(k_t . q / 8)
Learning  Adam on 1/2 |onehot(answer) - y|^2, one query for each of 32 sequences. An evaluation
          every 100 steps ends it: at a loss of 0.001, or after 11 without a new best.
Forms     `read_one` is all this for one sequence, one pair at a time. Training and evaluation never
          form W: y = sum_t v_t a_t, where a_t is phi(k_t) . phi(q) over its sum (attention), or
          beta_t s_t with (I + A)^T s = K' q', A = diag(beta) K' K'^T below its diagonal (delta).

    python3 linear_transformers_fwp.py --quick
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

SETS = ("headline", "updating", "capacity", "quick", "one")
RULES = ("sum", "delta")
FEATURES = ("linear", "dpfp-1", "dpfp-2", "dpfp-3", "softmax")


@dataclass(frozen=True)
class Config:
    """The paper's settings; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    conditions: str = option("headline", "nets to train; one: of the next four", among=SETS)
    setting: int = option(1, "1 capacity or 2 updating", 1, 2)
    rule: str = option("sum", "how pairs are written", among=RULES)
    features: str = option("dpfp-1", "feature map", among=FEATURES)
    symbols: int = option(40, "keys and values S", 2, 600)
    key_size: int = option(64, "units of key and query", 2, 512)
    batch: int = option(32, "sequences in a training step", 1, 512)
    steps: int = option(100_000, "most training steps of a net", 1, 100_000)
    every: int = option(100, "training steps between evaluations", 1, 1000)
    patience: int = option(11, "evaluations in a row without a new best that end it", 1, 1000)
    goal: float = option(0.001, "evaluation loss that ends the training", 1e-6, 1.0)
    rate: float = option(0.001, "Adam's step size", 1e-6, 1.0)

    def __post_init__(self):
        check_options(self)
        if self.features == "softmax" and self.rule == "delta":
            raise ValueError("rule must be sum for features softmax, got 'delta'")
        for name in ("setting", "rule", "features", "symbols"):
            if self.conditions != "one" and getattr(self, name) != getattr(Config, name):
                raise ValueError(f"{name} is for the one net and needs conditions one")


QUICK = {"conditions": "quick"}

# name of a net: (setting, rule, features, symbols S)
BELOW = {  # fewer keys than dimensions
    "linear_40": (1, "sum", "linear", 40),
    "dpfp1_100": (1, "sum", "dpfp-1", 100),
    "dpfp2_200": (1, "sum", "dpfp-2", 200),
    "softmax_200": (1, "sum", "softmax", 200),
}
ABOVE = {"linear_80": (1, "sum", "linear", 80), "dpfp1_160": (1, "sum", "dpfp-1", 160)}
UPDATING = {"sum_40": (2, "sum", "dpfp-1", 40), "delta_40": (2, "delta", "dpfp-1", 40)}
CONDITIONS = {
    "headline": BELOW | ABOVE | UPDATING,
    "updating": {"delta2_60": (2, "delta", "dpfp-2", 60), "delta1_60": (2, "delta", "dpfp-1", 60)},
    "capacity": {f"linear_{s}": (1, "sum", "linear", s) for s in (40, 50, 60, 70, 80)}
    | {f"dpfp1_{s}": (1, "sum", "dpfp-1", s) for s in (100, 120, 140)},
    "quick": {"linear_20": (1, "sum", "linear", 20), "delta_20": (2, "delta", "dpfp-1", 20)},
}


@dataclass
class Result:
    """history: evaluation losses of all nets, one after the other; nets: name -> its weights."""

    metrics: dict
    history: dict
    nets: dict


# --- the task -------------------------------------------------------------------------------------


def make_batch(rng, setting, symbols, length, batch):
    """Keys and values, (batch, length) each; in setting 1 keys are 0 ... S-1 in all sequences,
    (1, S): sums do not see the order of pairs, so that it is enough to shuffle the values."""
    if setting == 1:
        values = np.tile(np.arange(symbols), (batch, 1))
        return np.arange(symbols)[None], rng.permuted(values, axis=1)
    return tuple(rng.integers(0, symbols, (batch, length)) for _ in range(2))


def ask(rng, keys, values):
    """One key of each sequence, drawn by occurrence, and its last value: (batch,) twice."""
    batch, length = values.shape
    keys, rows = np.broadcast_to(keys, values.shape), np.arange(batch)
    query = keys[rows, rng.integers(0, length, batch)]
    last = length - 1 - (keys[:, ::-1] == query[:, None]).argmax(1)
    return query, values[rows, last]


def last_values(keys, values, symbols):
    """Last value of every key, (batch, S), -1 for a key that did not come."""
    last = np.full((len(values), symbols), -1)
    for t in range(values.shape[1]):
        last[np.arange(len(values)), keys[:, t]] = values[:, t]
    return last


# --- one sequence, one pair at a time -------------------------------------------------------------


def phi_one(x, features):
    """Feature map of one vector."""
    if features == "linear":
        return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))
    z = np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)])
    return np.concatenate([z * np.roll(z, i) for i in range(1, int(features[-1]) + 1)])


def read_one(weights, keys, values, query, rule, features):
    """Yields the read-out y, (S,), for one query after every pair of keys and values, each (L,)."""
    embedding, onehot = weights["E"], np.eye(len(weights["E"]))
    q = phi_one(embedding[query] @ weights["Wq"] + weights["bq"], features)
    fast, z = np.zeros((len(onehot), len(q))), np.zeros(len(q))  # the fast weights W
    for k_t, v_t in zip(keys, values, strict=True):
        v, x = onehot[v_t], np.concatenate([onehot[v_t], embedding[k_t]])
        k = phi_one(x @ weights["Wk"] + weights["bk"], features)
        if rule == "sum":
            fast += np.outer(v, k)
            z += k
            yield fast @ q / (z @ q + 1e-6)
        else:
            k = k / k.sum()
            beta = 1 / (1 + np.exp(-(x @ weights["Wb"] + weights["bb"])))
            fast += beta * np.outer(v - fast @ k, k)
            yield fast @ (q / q.sum())


# --- the same for a batch, fast: tables of symbols, and shares of values --------------------------


def init_weights(rng, symbols, key_size, dtype=np.float32):
    """E: (S, e); W_k: (S + e, 64) and W_b: (S + e, 1), for x = [onehot(v); E(k)]; W_q: (e, 64)."""
    e = int(2.2 * symbols)
    start, wide, narrow = key_size**-0.5, (symbols + e) ** -0.5, e**-0.5
    weights = {
        "E": rng.normal(0, 1, (symbols, e)),
        "Wk": rng.uniform(-start, start, (symbols + e, key_size)),
        "Wq": rng.uniform(-start, start, (e, key_size)),
        "Wb": rng.uniform(-wide, wide, (symbols + e, 1)),
        "bk": rng.uniform(-wide, wide, key_size),
        "bq": rng.uniform(-narrow, narrow, key_size),
        "bb": rng.uniform(-wide, wide, 1),
    }
    return {name: w.astype(dtype) for name, w in weights.items()}


def feature_map(x, features):
    """phi(x), (..., p), and what its gradient needs; for softmax x itself."""
    if features == "softmax":
        return x, None
    if features == "linear":
        slope = np.exp(np.minimum(x, 0))
        return np.maximum(x, 0) + slope, slope
    nu, d = int(features[-1]), x.shape[-1]
    ring = np.empty((*x.shape[:-1], 2 * d + 2 * nu), x.dtype)  # z, going on for nu at both ends
    np.multiply(x, x > 0, out=ring[..., nu : nu + d])
    np.subtract(ring[..., nu : nu + d], x, out=ring[..., nu + d : nu + 2 * d])
    ring[..., :nu], ring[..., -nu:] = ring[..., 2 * d : 2 * d + nu], ring[..., nu : 2 * nu]
    rolled = {i: ring[..., nu - i : nu - i + 2 * d] for i in range(-nu, nu + 1)}
    phi = np.empty((*x.shape[:-1], nu, 2 * d), x.dtype)
    for i in range(1, nu + 1):
        np.multiply(rolled[0], rolled[i], out=phi[..., i - 1, :])
    return phi.reshape(*x.shape[:-1], -1), rolled


def feature_map_backward(kept, dphi, features):
    """Gradient at x, (..., d), given that at phi, (..., p), or one dphi for many rows; dpfp: dz_j =
    sum_i dphi_i,j z_(j-i) + dphi_i,(j+i) z_(j+i), where z_j > 0."""
    if features in ("softmax", "linear"):
        return dphi if kept is None else dphi * kept
    dz = np.zeros(kept[0].shape, dphi.dtype)
    for i, part in enumerate(np.split(dphi, int(features[-1]), axis=-1), 1):
        dz += part * kept[i]
        dz += np.roll(part, -i, axis=-1) * kept[-i]
    dz *= kept[0] > 0
    d = dz.shape[-1] // 2
    return dz[..., :d] - dz[..., d:]


def tables(weights, name):
    """What every symbol adds to the map "k" or "b", as a value and as a key: (S, units) twice."""
    symbols, into = len(weights["E"]), weights["W" + name]
    return into[:symbols], weights["E"] @ into[symbols:] + weights["b" + name]


def tables_backward(weights, name, dx, keys, values):
    """Gradients of a map and its share in that of E, given dx, (batch, L, units), at its result."""
    symbols = len(weights["E"])
    dvalue, dkey = (sum_by_symbol(dx, ids, symbols) for ids in (values, keys))
    dinto = np.concatenate([dvalue, weights["E"].T @ dkey])
    return {"W" + name: dinto, "b" + name: dkey.sum(0)}, dkey @ weights["W" + name][symbols:].T


def sum_by_symbol(dx, ids, symbols):
    """For every symbol the sum of the rows of dx, (batch, L, units), that carry its number in ids,
    (batch, L), or (1, L) for 0 ... S-1 in all sequences."""
    if len(ids) < len(dx):
        return dx.sum(0)
    rows, ids = dx.reshape(-1, dx.shape[-1]), ids.ravel()
    counts = np.bincount(ids, minlength=symbols)
    if (counts == counts[0]).all():  # as in setting 1: sorting is faster than the product below
        order = ids.astype(np.int16).argsort(kind="stable")
        return rows.take(order, axis=0).reshape(symbols, counts[0], -1).sum(1)
    return (np.arange(symbols)[:, None] == ids).astype(rows.dtype) @ rows


def write_strength(weights, keys, values):
    """beta: (batch, L)."""
    by_value, by_key = tables(weights, "b")
    return 0.5 + 0.5 * np.tanh(0.5 * (by_value[values] + by_key[keys])[..., 0])


def read_sum(x, phi_q, beta, values, target, features):
    """Gradients at keys x, (batch, L, 64), phi(q), (batch, p), and beta (unused); losses, (batch,).
    With a_t = s_t / total: ds_t = (da_t - sum_u da_u a_u) / total; softmax: times a_t / 8."""
    phi, kept = feature_map(x, features)
    scores = (phi @ phi_q[..., None])[..., 0]
    if features == "softmax":
        scores = np.exp((scores - scores.max(1, keepdims=True)) / 8)
    total = scores.sum(1, keepdims=True) + 1e-6 * (features != "softmax")
    a = scores / total
    losses, da = retrieval_loss(a, values, target)
    ds = (da - (da * a).sum(1, keepdims=True)) * (a / 8 if features == "softmax" else 1 / total)
    dx = ds[..., None] * feature_map_backward(kept, phi_q[:, None], features)
    return dx, (ds[:, None] @ phi)[:, 0], beta, losses


def delta_attend(k, q, beta):
    """Shares a = beta s, (batch, n, L), of values in the read-outs for queries q, (batch, n, p),
    after delta writes of k, (batch, L, p); and what the gradient needs."""
    gram = k @ k.swapaxes(1, 2)
    gram *= np.tri(k.shape[1], k=-1, dtype=k.dtype)
    inverse = np.linalg.inv(np.eye(k.shape[1], dtype=k.dtype) + gram * beta[..., None])
    s = q @ k.swapaxes(1, 2) @ inverse
    return beta[:, None] * s, (s, gram, inverse)


def read_delta(x, phi_q, beta, values, target, features):
    """As `read_sum`, for the delta rule; with (I + A) u = beta da: dA = -s u^T below its diagonal,
    dq' = K'^T u."""
    phi_k, kept_k = feature_map(x, features)
    (k, k_total), (q, q_total) = normalise(phi_k), normalise(phi_q[:, None])
    a, (s, gram, inverse) = delta_attend(k, q, beta)
    losses, da = retrieval_loss(a[:, 0], values, target)
    u = inverse @ (beta * da)[..., None]
    below = s.swapaxes(1, 2) @ -u.swapaxes(1, 2)
    below *= np.tri(k.shape[1], k=-1, dtype=k.dtype)
    dbeta = da * s[:, 0] + (below * gram).sum(2)
    below *= beta[..., None]
    dk = (below + below.swapaxes(1, 2)) @ k
    dk += u * q
    dx = feature_map_backward(kept_k, normalise_backward(k, k_total, dk), features)
    dphi_q = normalise_backward(q, q_total, u.swapaxes(1, 2) @ k)
    return dx, dphi_q[:, 0], dbeta, losses


def normalise(phi):
    """phi over its sum, and the sum, (..., 1)."""
    total = phi.sum(-1, keepdims=True)
    return phi / total, total


def normalise_backward(unit, total, dunit):
    """Gradient at phi, given that at phi over its sum."""
    return (dunit - (dunit * unit).sum(-1, keepdims=True)) / total


IN_CACHE = 8  # sequences that are read at a time for a sum, so that their arrays stay in the cache


def loss_and_grads(weights, keys, values, query, target, rule, features):
    """Mean of 1/2 |onehot(target) - y|^2 and its gradients; query, target: (batch,)."""
    batch, symbols = len(values), len(weights["E"])
    by_value, by_key = tables(weights, "k")
    asked = weights["E"][query]
    phi_q, kept_q = feature_map(asked @ weights["Wq"] + weights["bq"], features)
    beta = write_strength(weights, keys, values) if rule == "delta" else np.empty((batch, 0))
    size, read, parts = (batch, read_delta, []) if rule == "delta" else (IN_CACHE, read_sum, [])
    for rows in (slice(first, first + size) for first in range(0, batch, size)):
        x = by_value.take(values[rows], axis=0)
        x += by_key.take(keys[rows] if len(keys) == batch else keys, axis=0)
        parts.append(read(x, phi_q[rows], beta[rows], values[rows], target[rows], features))
    dx, dphi_q, dbeta, losses = (np.concatenate(part) for part in zip(*parts, strict=True))
    grads, de = tables_backward(weights, "k", dx, keys, values)
    if rule == "delta":
        dlogit = (dbeta * beta * (1 - beta))[..., None]
        more, de_b = tables_backward(weights, "b", dlogit, keys, values)
        grads, de = grads | more, de + de_b
    dquery = feature_map_backward(kept_q, dphi_q, features)
    grads |= {"Wq": asked.T @ dquery, "bq": dquery.sum(0)}
    de += (np.arange(symbols)[:, None] == query).astype(de.dtype) @ (dquery @ weights["Wq"].T)
    grads["E"] = de
    return float(losses.mean()), {name: grad / batch for name, grad in grads.items()}


def retrieval_loss(a, values, target):
    """Losses, (batch,), of y = sum_t a_t onehot(v_t), and their gradient at a, (batch, L)."""
    rows, symbols = np.arange(len(a)), 1 + max(values.max(), target.max())
    places = rows[:, None] * symbols + values
    error = np.bincount(places.ravel(), a.ravel(), len(a) * symbols)
    error[rows * symbols + target] -= 1
    return (error**2).reshape(len(a), -1).sum(1) / 2, error[places].astype(a.dtype)


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


def train(rng, net, config, watch=None):
    """Train one net by the paper's stopping rule: the losses of its evaluations, its weights."""
    np.empty(2**24, np.uint8)  # freed at once; after that malloc keeps the pages of smaller arrays
    setting, rule, features, symbols = net
    weights, losses = init_weights(rng, symbols, config.key_size), []
    adam = Adam(weights, config.rate)
    for step in range(1, config.steps + 1):
        keys, values = make_batch(rng, setting, symbols, setting * symbols, config.batch)
        asked = ask(rng, keys, values)
        adam.step(weights, loss_and_grads(weights, keys, values, *asked, rule, features)[1])
        if step % config.every == 0 or step == config.steps:
            losses.append(evaluate(rng, weights, net))
            if watch:
                watch(step, config.steps, symbols=symbols, loss=losses[-1], weights=weights)
            if losses[-1] <= config.goal or len(losses) - 1 - np.argmin(losses) >= config.patience:
                break
    return losses, weights


TESTED, MOST_ASKED, GROUP = 20, 200, 32  # sequences; keys asked of each, the lowest; in groups of


def evaluate(rng, weights, net):
    """Loss on fresh sequences of S pairs: mean over groups of at most 32 keys of their mean loss;
    the last group of a sequence holds what is left, so that its keys weigh more."""
    setting, rule, features, symbols = net
    keys, values = make_batch(rng, setting, symbols, symbols, TESTED)
    right = last_values(keys, values, symbols)
    y = read_all(weights, keys, values, rule, features)
    losses = 0.5 * ((y - np.eye(symbols)[right]) ** 2).sum(2)
    groups = []
    for loss, came in zip(losses, right >= 0, strict=True):
        asked = loss[came][:MOST_ASKED]
        groups += [asked[first : first + GROUP].mean() for first in range(0, len(asked), GROUP)]
    return float(np.mean(groups))


def read_all(weights, keys, values, rule, features):
    """Read-outs y, (batch, S, S), for all S symbols as queries (second axis)."""
    by_value, by_key = tables(weights, "k")
    k = feature_map(by_value[values] + by_key[keys], features)[0]
    q = feature_map(weights["E"] @ weights["Wq"] + weights["bq"], features)[0]
    v = np.eye(len(q), dtype=k.dtype)[values]
    if rule == "delta":
        beta = write_strength(weights, keys, values)
        return delta_attend(normalise(k)[0], normalise(q)[0][None], beta)[0] @ v
    scores = q @ k.swapaxes(1, 2)
    if features == "softmax":
        scores = np.exp((scores - scores.max(2, keepdims=True)) / 8)
    return scores @ v / (scores.sum(2, keepdims=True) + 1e-6 * (features != "softmax"))


def largest_difference(rng, symbols=50, length=200):
    """Largest difference between the two forms of both rules, at every prefix of a sequence."""
    weights = init_weights(rng, symbols, 64, np.float64)
    (keys,), (values,) = make_batch(rng, 2, symbols, length, 1)
    by_value, by_key = tables(weights, "k")
    q = feature_map(weights["E"][keys[0]] @ weights["Wq"] + weights["bq"], "dpfp-1")[0]
    k = feature_map(by_value[values] + by_key[keys], "dpfp-1")[0]
    unit_k, unit_q, v = normalise(k)[0], normalise(q)[0], np.eye(symbols)[values]
    beta, worst = write_strength(weights, keys, values), 0.0
    sums, deltas = (read_one(weights, keys, values, keys[0], rule, "dpfp-1") for rule in RULES)
    for t, (by_sum, by_delta) in enumerate(zip(sums, deltas, strict=True), 1):
        scores = k[:t] @ q
        a, _ = delta_attend(unit_k[None, :t], unit_q[None, None], beta[None, :t])
        gaps = by_sum - scores @ v[:t] / (scores.sum() + 1e-6), by_delta - a[0, 0] @ v[:t]
        worst = max(worst, np.abs(gaps).max())
    return float(worst)


def run(config: Config = Config(), watch=None) -> Result:
    """Train every net of the chosen conditions; losses are those of its last evaluation."""
    one = {"one": (config.setting, config.rule, config.features, config.symbols)}
    nets, metrics, trained = CONDITIONS.get(config.conditions, one), {}, {}
    streams, rows = np.random.default_rng(config.seed).spawn(len(nets)), []
    for rng, (name, net) in zip(streams, nets.items(), strict=True):
        losses, trained[name] = train(rng, net, config, watch)
        steps = [min(n * config.every, config.steps) for n in range(1, len(losses) + 1)]
        rows += zip([name] * len(losses), steps, losses, strict=True)
        metrics |= {f"{name}_loss": losses[-1], f"{name}_steps": steps[-1]}
        metrics[f"{name}_at_goal"] = losses[-1] <= config.goal
    if config.conditions == "headline":
        metrics["below_capacity"] = max(metrics[f"{name}_loss"] for name in BELOW)
        metrics["above_capacity"] = min(metrics[f"{name}_loss"] for name in ABOVE)
        metrics["same_form"] = largest_difference(np.random.default_rng(config.seed))
    history = dict(zip(("net", "step", "loss"), map(list, zip(*rows, strict=True)), strict=True))
    return Result(metrics, history, trained)


def gradient_check(config=Config(conditions="one", symbols=5, key_size=6, batch=3)) -> float:
    """Worst relative error of the gradients of all rules and feature maps against central
    differences."""
    rng, symbols, worst = np.random.default_rng(config.seed), config.symbols, 0.0
    for rule, features in (*(("sum", name) for name in FEATURES), ("delta", "dpfp-2")):
        weights = init_weights(rng, symbols, config.key_size, np.float64)
        keys, values = make_batch(rng, 2, symbols, 2 * symbols, config.batch)
        batch = (weights, keys, values, *ask(rng, keys, values), rule, features)
        grads = loss_and_grads(*batch)[1]
        one = worst_relative_error(lambda b=batch: loss_and_grads(*b)[0], weights, grads)
        worst = max(worst, one)
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
