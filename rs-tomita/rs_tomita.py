"""Tomita's languages on strings of 500 to 600 symbols: guessing the weights of a small recurrent
net finds a recogniser, so these languages say little about learning over long lags.

Task      Seven regular languages over {1, 0} (DFAS below), of which the papers use 1: only 1s,
          2: (10)*, 4: no 000. One input line, x(t) = +1 for 1 and -1 for 0. Target at the last
          step: 0 for members of the language, else 1; right if the output is less than 0.1 off.
          100 training and 100 test strings, half of them in the language, drawn evenly from all of
          their length. Half of the others are near misses, one symbol of a member changed (language
          2: or one cut off), half are drawn evenly from all strings.
Nets      A1(n): n hidden units first, then the output from their new values, s logistic:
            h_i(t) = s(a_i x(t) + sum_j W_ij h_j(t-1) + f_i o(t-1) + b_i)
            o(t)   = s(sum_i v_i h_i(t) + u x(t) + r o(t-1))
          n = 1, 3, 2 for languages 1, 2, 4. All activations are 0 before the first symbol.
Guessing  Schmidhuber, Hochreiter & Bengio 2001. One trial: draw every weight uniformly from
          [-100, 100] and run the training strings; stop when all are right. Strings 0 and 1 differ
          in one early symbol only. As soon as they leave all units of a net in the same state,
          that net answers both alike, so it is out.
Control   The same nets by full back-propagation through time with Adam, three step sizes, two
          ranges of initial weights.

Arrays end in what runs side by side: weights are (weights of a net, nets), h (n, ...), o (...).
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

# Language: states that accept, and from every state those after a 0 and after a 1. State 0 is the
# start.
DFAS = {
    1: ({0}, ((1, 0), (1, 1))),  # only 1s
    2: ({0}, ((2, 1), (0, 2), (2, 2))),  # (10)*
    3: ({0, 1, 3}, ((0, 1), (2, 0), (3, 4), (2, 1), (4, 4))),  # no odd run of 1s, then of 0s
    4: ({0, 1, 2}, ((1, 0), (2, 0), (3, 0), (3, 3))),  # no 000
    5: ({0}, ((1, 2), (0, 3), (3, 0), (2, 1))),  # even numbers of 0s and of 1s
    6: ({0}, ((1, 2), (2, 0), (0, 1))),  # number of 0s - number of 1s divisible by 3
    7: ({0, 1, 2, 3}, ((0, 1), (2, 1), (2, 3), (4, 3), (4, 4))),  # 0*1*0*1*
}
# Part: the languages, each with its hidden units, and the share of the replicates it takes.
PARTS = {
    "main": {1: (1, 1.0), 2: (3, 0.3), 4: (2, 0.2)},
    "others": {3: (3, 0.02), 5: (3, 0.02), 6: (3, 0.02), 7: (3, 0.02)},
    "v1": {1: (1, 0.5), 2: (3, 0.15), 4: (2, 0.1)},
}
TOLERANCE, BLOCK, LONG, LONG_NETS = 0.1, 10_000, 5000, 20
RATES, RANGES, LEAST_EPOCHS = (0.001, 0.01, 0.1), (0.1, 1.0), 100  # of back-propagation
MILD, MILD_EPOCHS = (8, 12), 2000  # lengths of a milder test of it


@dataclass(frozen=True)
class Config:
    """The papers' languages and nets; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    part: str = option("main", "languages 1, 2, 4; the others; or v1's strings", among=PARTS)
    replicates: int = option(200, "successes with language 1; 3/10 and 1/5 in 2 and 4", 1, 100_000)
    guesses: int = option(2_000_000, "most guesses for a language", 1, 1_000_000_000)
    accepted: int = option(0, "target of strings in the language", among=(0, 1))
    negatives: str = option("near", "half near misses, or evenly drawn", among=("near", "even"))
    weight_range: float = option(100.0, "weights are drawn from minus to plus this", 1e-3, 1e4)
    strings: int = option(100, "strings in a training set and in a test set", 4, 1000)
    shortest: int = option(500, "shortest string [symbols]", 12, 2000)
    longest: int = option(600, "longest string [symbols]", 12, 2000)
    control_ratio: float = option(
        0.0,
        "strings shown to back-propagation for each that guessing saw, language 4 (0: none)",
        0.0,
        1000.0,
    )

    def __post_init__(self):
        check_options(self)
        if self.longest < self.shortest:
            raise ValueError(f"longest must be at least {self.shortest}, got {self.longest}")


QUICK = {"replicates": 20, "guesses": 200_000}


@dataclass
class Result:
    """metrics; history: one entry a success; found: language -> Found; curves: the control's
    smallest training error at each epoch."""

    metrics: dict
    history: dict
    found: dict
    curves: dict


# --- languages ------------------------------------------------------------------------------------


def run_dfa(language, bits, lengths):
    """Whether strings, bits (longest, strings) cut at lengths (strings,), are in the language."""
    accepting, table = DFAS[language]
    table, state = np.array(table), np.zeros(bits.shape[1], int)
    for t, symbol in enumerate(bits):
        state = np.where(t < lengths, table[state, symbol], state)
    return np.isin(state, list(accepting))


def draw_members(rng, language, lengths):
    """Strings drawn evenly from the members of these lengths: bits (longest, strings).

    ways[k, state]: the share of strings of k symbols that lead from the state to acceptance; each
    row is scaled, since they shrink with k. A length without members loses a symbol: see lengths.
    """
    accepting, table = DFAS[language]
    table, longest = np.array(table), lengths.max()
    ways = np.zeros((longest + 1, len(table)))
    ways[0, list(accepting)] = 1
    for k in range(longest):
        ways[k + 1] = ways[k][table].sum(1)
        ways[k + 1] /= ways[k + 1].max()
    bits, state = np.zeros((longest, len(lengths)), int), np.zeros(len(lengths), int)
    for t in range(longest):
        left = np.maximum(lengths - t - 1, 0)
        zero, one = ways[left, table[state, 0]], ways[left, table[state, 1]]
        symbol = rng.random(len(lengths)) * (zero + one) >= zero
        bits[t] = np.where(t < lengths, symbol, 0)
        state = np.where(t < lengths, table[state, bits[t]], state)
    return bits


def fitting(language, lengths):
    """The lengths, each lowered by one where the language has no member of that length."""
    return lengths - lengths % 2 if language in (2, 5) else lengths


def near_misses(rng, language, lengths):
    """Members with one symbol changed that are members no more: bits (longest, strings), lengths.

    In language 2 every other one has its last symbol cut off instead. A member for which no change
    was found in 200 tries (in language 4 one without 00) makes way for another.
    """
    lengths, every = lengths.copy(), np.arange(len(lengths))
    bits, wrong = draw_members(rng, language, lengths), np.zeros(len(lengths), bool)
    if language == 2:
        lengths[::2] -= 1
        wrong[::2] = True
    tries = 0
    while not wrong.all():
        tries += 1
        if tries % 200 == 0:
            bits[:, ~wrong] = draw_members(rng, language, lengths)[:, ~wrong]
        changed = bits.copy()
        changed[rng.integers(0, lengths), every] ^= 1
        out = ~run_dfa(language, changed, lengths) & ~wrong
        bits[:, out], wrong = changed[:, out], wrong | out
    return bits, lengths


def random_strangers(rng, language, lengths):
    """Strings drawn evenly from all that are not in the language: bits (longest, strings)."""
    bits = rng.integers(0, 2, (lengths.max(), len(lengths)))
    while (wrong := run_dfa(language, bits, lengths)).any():
        bits[:, wrong] = rng.integers(0, 2, (lengths.max(), wrong.sum()))
    return bits


def make_set(rng, language, strings, shortest, longest, config):
    """Strings x (longest, strings), +1 and -1, 0 behind their ends; lengths, target (strings,).

    Every other string is a member. Strings 0 and 1 differ in one symbol, the earliest possible.
    """
    lengths = rng.integers(shortest, longest + 1, strings)
    lengths[::2] = fitting(language, lengths[::2])
    lengths[1] = lengths[0]
    bits = np.zeros((longest, strings), int)
    members = draw_members(rng, language, lengths[::2])
    bits[: len(members), ::2] = members
    near = slice(1, None, 4) if config.negatives == "near" else slice(0)
    if config.negatives == "near":
        missed, lengths[near] = near_misses(rng, language, fitting(language, lengths[near]))
        bits[: len(missed), near] = missed
    even = slice(3, None, 4) if config.negatives == "near" else slice(1, None, 2)
    if len(lengths[even]):
        strange = random_strangers(rng, language, lengths[even])
        bits[: len(strange), even] = strange
    lengths[1] = lengths[0]
    while (miss := earliest_miss(language, bits[:, 0], lengths[0])) is None:
        bits[: lengths[0], 0] = draw_members(rng, language, lengths[:1])[:, 0]
    bits[:, 1] = miss
    inside = np.arange(longest)[:, None] < lengths
    target = np.where(np.arange(strings) % 2, 1 - config.accepted, config.accepted)
    return ((2 * bits - 1) * inside).astype(np.float32), lengths, target


def earliest_miss(language, member, length):
    """The member (longest,) with the earliest symbol changed that leads out, or None.

    The first two symbols are changed only if no other will do.
    """
    for count in (64, 512, length):
        count = min(count, length)
        tries = np.repeat(member[:, None], count, 1)
        tries[np.arange(count), np.arange(count)] ^= 1
        out = ~run_dfa(language, tries, np.full(count, length))
        out[:2] &= not out[2:].any()
        if out.any():
            return tries[:, int(out.argmax())]
    return None


def make_short(rng, language, strings, shortest, longest, accepted):
    """Strings of the earlier catalog's kind, any short length; the same three as make_set().

    Half are members of lengths that have some, half drawn evenly from the rest.
    """
    lengths = rng.integers(shortest, longest + 1, strings)
    lengths[::2] = fitting(language, lengths[::2])
    lengths[1::2] = np.maximum(lengths[1::2], 3)  # below 3 some languages have no stranger
    bits = np.zeros((longest, strings), int)
    for part, drawn in ((slice(0, None, 2), draw_members), (slice(1, None, 2), random_strangers)):
        these = drawn(rng, language, lengths[part])
        bits[: len(these), part] = these
    inside = np.arange(longest)[:, None] < lengths
    target = np.where(np.arange(strings) % 2, 1 - accepted, accepted)
    return ((2 * bits - 1) * inside).astype(np.float32), lengths, target


# --- the idea in plain form -----------------------------------------------------------------------


def logistic(z):
    return 0.5 * (1 + math.tanh(0.5 * z))


def plain_output(n, weights, string):
    """The last output of one net, unit by unit; weights in the order of parts()."""
    a, f, b, v = (weights[i * n : (i + 1) * n] for i in range(4))
    u, r, *inner = weights[4 * n :]
    h, o = [0.0] * n, 0.0
    for x in string:
        z = [a[i] * x + f[i] * o + b[i] for i in range(n)]
        z = [z[i] + sum(inner[i * n + j] * h[j] for j in range(n)) for i in range(n)]
        h = [logistic(each) for each in z]
        o = logistic(sum(v[i] * h[i] for i in range(n)) + u * x + r * o)
    return o


def plain_guess(n, weights, x, lengths, target):
    """Number of the first net, from 1, right on every string, or None; weights: (., nets)."""
    for trial, w in enumerate(weights.T.tolist(), 1):
        strings = zip(x.T.tolist(), lengths, target, strict=True)
        if all(abs(plain_output(n, w, s[:end]) - t) < TOLERANCE for s, end, t in strings):
            return trial
    return None


# --- many nets at once ----------------------------------------------------------------------------


def size(n):
    """How many weights A1(n) has."""
    return n * n + 4 * n + 2


def draw(rng, n, count, weight_range):
    """Weights of count random nets: (size(n), count), uniform in plus or minus weight_range."""
    return weight_range * (2 * rng.random((size(n), count), np.float32) - 1)


def parts(n, weights):
    """Views of weights (size, ...): a, f, b, v (n, ...), u, r (...), W (n, n, ...)."""
    rest = weights.shape[1:]
    rows = weights[: 4 * n].reshape(4, n, *rest)
    return [*rows, weights[4 * n], weights[4 * n + 1], weights[4 * n + 2 :].reshape(n, n, *rest)]


def step(halves, x, h, o):
    """The next h and o; halves: parts of half the weights, since s(z) = (1 + tanh(z / 2)) / 2."""
    a, f, b, v, u, r, W = halves
    h = 0.5 + 0.5 * np.tanh(f * o + a * x + b + (W * h).sum(1))
    return h, 0.5 + 0.5 * np.tanh((v * h).sum(0) + u * x + r * o)


def end_outputs(n, weights, x, lengths):
    """Outputs of all nets at the strings' own last steps: (strings, nets); 0 for the empty one."""
    count, nets = len(lengths), weights.shape[1]
    wide = np.broadcast_to(0.5 * weights[:, None], (size(n), count, nets)).reshape(size(n), -1)
    halves = parts(n, wide)
    h, o = np.zeros_like(halves[0]), np.zeros_like(halves[4])
    result = np.zeros((count, nets), x.dtype)
    for t in range(lengths.max()):
        h, o = step(halves, np.repeat(x[t], nets), h, o)
        ended = lengths == t + 1
        if ended.any():
            result[ended] = o.reshape(count, nets)[ended]
    return result


def right(outputs, target, tolerance=TOLERANCE):
    """Which of (strings, nets) are right."""
    return np.abs(outputs - target[:, None]) < tolerance


def screen(n, weights, pair, target):
    """Indices of the nets that are right on both strings of pair: (time, 2).

    A net whose units are all in the same state for both strings, behind the last symbol in which
    these differ, will answer both alike: it leaves early, and no net is judged wrongly by that.
    """
    index, differ = np.arange(weights.shape[1]), np.flatnonzero(pair[:, 0] != pair[:, 1])[-1]
    halves = parts(n, 0.5 * weights[:, None])
    h = np.zeros((n, 2, len(index)), weights.dtype)
    o = np.zeros((2, len(index)), weights.dtype)
    for t, x in enumerate(pair):
        h, o = step(halves, x[:, None], h, o)
        since = t - differ
        if since > 0 and since & (since - 1) == 0:  # after 1, 2, 4, 8 ... further symbols
            apart = np.flatnonzero((o[0] != o[1]) | (h[:, 0] != h[:, 1]).any(0))
            index, h, o = index[apart], h[..., apart], o[:, apart]
            halves = [part[..., apart] for part in halves]
    return index[right(o, target).all(0)]


def accept(n, weights, training):
    """Indices of the nets right on all training strings, and how many strings each net saw.

    The first two strings screen; then all survivors together meet a few strings, then the rest.
    """
    x, lengths, target = training
    seen = np.full(weights.shape[1], 2)
    index = screen(n, weights, x[: lengths[0], :2], target[:2])
    few = min(8, len(lengths))
    for chosen in (slice(2, few), slice(few, None)):
        if len(lengths[chosen]) and len(index):
            seen[index] += len(lengths[chosen])
            outputs = end_outputs(n, weights[:, index], x[:, chosen], lengths[chosen])
            index = index[right(outputs, target[chosen]).all(0)]
    return index, seen


def accept_short(n, weights, training):
    """The same for short strings and v1's criterion, the right side of 1/2."""
    x, lengths, target = training
    good = right(end_outputs(n, weights, x, lengths), target, 0.5).all(0)
    return np.flatnonzero(good), np.full(weights.shape[1], len(lengths))


# --- guessing -------------------------------------------------------------------------------------


@dataclass
class Found:
    """What guessing gave: trials to each success, shares of right test strings, accepted weights
    (size, successes), guesses made and strings presented in all."""

    trials: list
    tests: list
    weights: np.ndarray
    guesses: int
    presented: int


def guess(rng, n, judge, make, make_test, replicates, most, weight_range, tolerance, watch=None):
    """Guess until there are so many successes, or most guesses are made: a Found.

    make() draws a training set, make_test() a test set, judge is accept or accept_short. Nets come
    in one stream; each success ends a replicate, and the next begins with the net behind it.
    Accepted nets are then run on the test set, which no decision depends on.
    """
    successes, tests, kept, made, presented = [], [], [draw(rng, n, 0, 1.0)], 0, 0
    while len(successes) < replicates and made < most:
        weights = draw(rng, n, min(BLOCK, most - made), weight_range)
        index, seen = judge(n, weights, make())
        index = index[: replicates - len(successes)]
        if len(index):
            x, lengths, target = make_test()
            outputs = end_outputs(n, weights[:, index], x, lengths)
            tests += right(outputs, target, tolerance).mean(0).tolist()
        successes += (made + index + 1).tolist()
        kept.append(weights[:, index])
        used = len(seen) if len(successes) < replicates else index[-1] + 1
        made += int(used)
        presented += int(seen[:used].sum())
        if watch:
            watch(len(successes), replicates, guesses=made)
    trials = np.diff([0, *successes]).tolist()
    return Found(trials, tests, np.concatenate(kept, axis=1), made, presented)


# --- the control: back-propagation through time ---------------------------------------------------


def forward(n, weights, x):
    """States h: (time + 1, n, strings * nets) and o: (time + 1, strings * nets), 0 at index 0."""
    wide = np.tile(0.5 * weights, x.shape[1])
    halves, now = parts(n, wide), np.repeat(x, weights.shape[1], axis=1)
    h = np.zeros((len(x) + 1, *halves[0].shape), weights.dtype)
    o = np.zeros((len(x) + 1, wide.shape[1]), weights.dtype)
    for t in range(len(x)):
        h[t + 1], o[t + 1] = step(halves, now[t], h[t], o[t])
    return h, o


def end_errors(o, lengths, target):
    """Output minus target at each string's last step: (strings, nets)."""
    o = o.reshape(len(o), len(lengths), -1)
    return o[lengths, np.arange(len(lengths))] - target[:, None].astype(o.dtype)


def backward(n, weights, x, lengths, h, o, error):
    """Gradient of E = sum(error^2) / 2, error (strings, nets): (size, nets).

    dz_o(t) = dE/do(t) o (1 - o)           dE/do(t-1) = sum_i f_i dz_i(t) + r dz_o(t)
    dz_i(t) = dE/dh_i(t) h_i (1 - h_i)     dE/dh_j(t-1) = v_j dz_o(t-1) + sum_i W_ij dz_i(t)
    """
    count, nets = error.shape
    _, f, _, v, _, r, W = parts(n, np.tile(weights, count))
    dz, dz_o = h[1:] * (1 - h[1:]), o[1:] * (1 - o[1:])  # slopes, until what arrives is known
    ends, error = np.repeat(lengths, nets), error.reshape(-1)
    do, dh = np.zeros_like(error), np.zeros_like(h[0])
    for t in reversed(range(len(x))):
        dz_o[t] *= do + np.where(ends == t + 1, error, 0)
        dz[t] *= dh + v * dz_o[t]
        do = (f * dz[t]).sum(0) + r * dz_o[t]
        dh = (W * dz[t][:, None]).sum(0)
    now = np.repeat(x, nets, axis=1)
    rows = [(dz * now[:, None]).sum(0), (dz * o[:-1, None]).sum(0), dz.sum(0)]  # a, f, b
    rows += [(dz_o[:, None] * h[1:]).sum(0), (dz_o * now).sum(0)[None]]  # v, u
    rows += [(dz_o * o[:-1]).sum(0)[None]]  # r
    rows += [(dz[:, i, None] * h[:-1]).sum(0) for i in range(n)]
    return np.concatenate(rows).reshape(size(n), count, nets).sum(1)


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


def train_by_gradient(rng, n, training, epochs, watch=None):
    """Six nets (three step sizes, two ranges) on one training set.

    Returns whether one was right on all strings at any time, and the smallest mean squared error
    at each epoch.
    """
    x, lengths, target = training
    bounds = np.tile(np.array(RANGES, np.float32), len(RATES))
    rows = {"all": (draw(rng, n, len(bounds), 1.0) * bounds).T}  # Adam wants the nets first
    weights = rows["all"].T
    adam = Adam(rows, np.repeat(np.array(RATES, np.float32), len(RANGES)))
    solved, errors = False, []
    for epoch in range(1, epochs + 1):
        h, o = forward(n, weights, x)
        error = end_errors(o, lengths, target)
        adam.step(rows, {"all": backward(n, weights, x, lengths, h, o, error / len(lengths)).T})
        solved = solved or bool((np.abs(error) < TOLERANCE).all(0).any())
        errors.append(float((error**2).mean(0).min()))
        if watch:
            watch(epoch, epochs, best_error=errors[-1])
    return solved, errors


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of backward() against central differences."""
    rng, worst = np.random.default_rng(config.seed), 0.0
    for n in (1, 2, 3):
        x, lengths, target = make_set(rng, 4, 4, 5, 7, config)
        x, weights = x.astype(float), rng.uniform(-2, 2, (size(n), 2))

        def loss(n=n, weights=weights, x=x, lengths=lengths, target=target):
            return 0.5 * float((end_errors(forward(n, weights, x)[1], lengths, target) ** 2).sum())

        h, o = forward(n, weights, x)
        gradient = backward(n, weights, x, lengths, h, o, end_errors(o, lengths, target))
        worst = max(worst, worst_relative_error(loss, {"all": weights}, {"all": gradient}))
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


# --- the experiment -------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Guess until every language has its successes, then let back-propagation try."""
    metrics, found, curves = {}, {}, {}
    for language, (n, share) in PARTS[config.part].items():
        rng, strings_rng = np.random.default_rng([config.seed, language]).spawn(2)

        def make(low=config.shortest, high=config.longest, rng=strings_rng, language=language):
            return make_set(rng, language, config.strings, low, high, config)

        def short(count, low, high, rng=strings_rng, language=language):
            return lambda: make_short(rng, language, count, low, high, config.accepted)

        wanted = max(1, round(share * config.replicates))
        ways = (accept, make, make), TOLERANCE
        if config.part == "v1":
            ways = (accept_short, short(16, 0, 10), short(64, 11, 14)), 0.5
        most = wanted, config.guesses, config.weight_range
        each = found[language] = guess(rng, n, *ways[0], *most, ways[1], watch)
        metrics |= evaluate(language, each)
        if config.part == "main" and each.trials:
            x, lengths, target = make(LONG, LONG)
            outputs = end_outputs(n, each.weights[:, :LONG_NETS], x, lengths)
            metrics[f"long_{language}"] = float(right(outputs, target).mean())
        if config.control_ratio and each.trials:
            metrics |= control(rng, language, n, make, each, config, curves, watch)
    tests = [share for each in found.values() for share in each.tests]
    metrics["test_correct"] = float(np.mean(tests)) if tests else None
    if config.part == "main":
        longs = [metrics[f"long_{k}"] for k in found if f"long_{k}" in metrics]
        metrics["long_correct"] = float(np.mean(longs)) if longs else None
    history = {"language": [k for k, each in found.items() for _ in each.trials]}
    history |= {"trials": [n for each in found.values() for n in each.trials]}
    history |= {"test_correct": tests}
    return Result(metrics, history, found, curves)


def evaluate(language, found):
    """Metrics of guessing: None where nothing was found."""
    some = len(found.trials) > 0
    return {
        f"successes_{language}": len(found.trials),
        f"trials_{language}": found.guesses / len(found.trials) if some else None,
        f"median_{language}": float(np.median(found.trials)) if some else None,
        f"presented_{language}": found.presented / len(found.trials) if some else None,
        f"test_{language}": float(np.mean(found.tests)) if some else None,
        f"test_median_{language}": float(np.median(found.tests)) if some else None,
    }


def control(rng, language, n, make, found, config, curves, watch):
    """Back-propagation on short strings, and with language 4 on the real ones: metrics.

    The latter is shown so many times the strings that guessing saw.
    """
    metrics = {}
    if language == 4:
        each = len(RATES) * len(RANGES) * config.strings  # strings presented in an epoch
        needed = config.control_ratio * found.presented / len(found.trials)
        epochs = max(LEAST_EPOCHS, math.ceil(needed / each))
        solved, curves["long"] = train_by_gradient(rng, n, make(), epochs, watch)
        metrics = {"bptt_solved": int(solved), "bptt_error": min(curves["long"])}
        metrics["bptt_ratio"] = epochs * each * len(found.trials) / found.presented
    solved, curves[language] = train_by_gradient(rng, n, make(*MILD), MILD_EPOCHS, watch)
    return metrics | {f"bptt_mild_{language}": int(solved)}


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
