"""Parity of 500 to 600 symbols: guessing all weights of a small recurrent net finds a solution,
back-propagation does not.

Task      One input line, strings of 500 to 600 symbols x(t) = +1 or -1. Target at the last step:
          1 if the number of +1s is odd, else 0; right if the output is off by less than 0.1.
          Even and odd lengths are mixed: at one fixed length, counting -1s would do as well.
Nets      hidden units first, then the output from their new values, s the logistic function:
            h_i(t) = s(a_i x(t) + sum_j W_ij h_j(t-1) + f_i o(t-1) + b_i)
            o(t)   = s(sum_i v_i h_i(t) + u x(t) + r o(t-1) + c)
          A1(n)               n hidden units, W full, no c; parity is run with n = 1
          A2                  10 hidden units, W diagonal, no r
          A2, no self         10 hidden units, W = 0, no r: only the output remembers
Guessing  One trial: draw every weight uniformly from [-100, 100] and run the training strings;
          stop when all are right. The first two strings differ in one symbol only. As soon as they
          leave all units of a net in the same state, that net answers both alike, so it is out.
Control   The same nets by full back-propagation through time with Adam, three step sizes, two
          ranges of initial weights.

Arrays end in what runs side by side: weights are (weights of a net, nets), h (n, ...), o (...).

    python3 rs_parity.py --seed 0
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
    """The experiments of one run; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    nets: str = option("all", "which nets are guessed", among=("all", "a2_noself", "a2", "a1"))
    replicates: int = option(
        200,
        "successes to wait for with A2 without self-connections; "
        "A1 takes 3/10, noisy A1 3/20 and A2 1/5 of them",
        1,
        100_000,
    )
    guesses: int = option(5_000_000, "guesses at most for each kind of net", 1, 1_000_000_000)
    weight_range: float = option(100.0, "weights are drawn from minus to plus this", 1e-3, 1e4)
    strings: int = option(100, "strings in a training set and in a test set", 4, 1_000)
    shortest: int = option(500, "shortest string [symbols]", 2, 10_000)
    longest: int = option(600, "longest string [symbols]", 2, 10_000)
    control_ratio: float = option(
        0.0,
        "strings shown to back-propagation, at least, for each that guessing needed (0: none)",
        0.0,
        1_000.0,
    )

    def __post_init__(self):
        check_options(self)
        if self.longest < self.shortest:
            raise ValueError(f"longest must be at least {self.shortest}, got {self.longest}")


QUICK = {"nets": "a2_noself", "replicates": 100}


@dataclass
class Result:
    """metrics; history: one entry a success; found: condition -> Found; curves: condition -> the
    control's smallest training error at each epoch."""

    metrics: dict
    history: dict
    found: dict
    curves: dict


# --- the task ----------------------------------------------------------------------------------

NOISE = 0.2  # half-width of the uniform noise on the symbols that noisy A1 sees
TOLERANCE = 0.1  # an output this near to its target is right


def make_set(rng, strings, shortest, longest, noise=0.0):
    """Strings x: (longest, strings), zero behind their ends; lengths and target (1 or 0, half
    each): (strings,). Strings 0 and 1 differ in their first symbol only."""
    lengths = rng.integers(shortest, longest + 1, strings)
    lengths[1] = lengths[0]
    bits = rng.integers(2, size=(longest, strings))  # 1 stands for +1, 0 for -1
    bits[:, 1] = bits[:, 0]
    inside = np.arange(longest)[:, None] < lengths
    target = np.arange(strings) % 2
    bits[0] ^= (bits * inside).sum(0) % 2 ^ target  # the first symbol makes the parity right
    shift = rng.uniform(-noise, noise, bits.shape)
    shift[:, 1] = shift[:, 0]
    return ((2 * bits - 1 + shift) * inside).astype(np.float32), lengths, target


# --- the idea in plain form ---------------------------------------------------------------------


@dataclass(frozen=True)
class Net:
    """A kind of net: hidden units, and what they see of each other: all, self, or none of it.
    Where they see all (A1) the output sees itself and has no bias, else the other way round."""

    hidden: int
    sees: str

    @property
    def size(self):
        """How many weights it has: a, f, b, v, then u, then r or c, then W."""
        inner = {"all": self.hidden**2, "self": self.hidden, "none": 0}[self.sees]
        return 4 * self.hidden + 2 + inner


def logistic(z):
    return 0.5 * (1 + math.tanh(0.5 * z))


def plain_output(net, weights, string):
    """The last output of one net, unit by unit; weights: its numbers in the order of Net.size."""
    n = net.hidden
    a, f, b, v = (weights[i * n : (i + 1) * n] for i in range(4))
    u, last, *inner = weights[4 * n :]
    h, o = [0.0] * n, 0.0
    for x in string:
        z = [a[i] * x + f[i] * o + b[i] for i in range(n)]
        for i in range(n):
            if net.sees == "all":
                z[i] += sum(inner[i * n + j] * h[j] for j in range(n))
            elif net.sees == "self":
                z[i] += inner[i] * h[i]
        h = [logistic(each) for each in z]
        fed = last * o if net.sees == "all" else last
        o = logistic(sum(v[i] * h[i] for i in range(n)) + u * x + fed)
    return o


def plain_guess(net, weights, x, lengths, target):
    """Number of the first net, from 1, right on every string, or None; weights: (., nets)."""
    for trial, w in enumerate(weights.T.tolist(), 1):
        strings = zip(x.T.tolist(), lengths, target, strict=True)
        if all(abs(plain_output(net, w, s[:end]) - t) < TOLERANCE for s, end, t in strings):
            return trial
    return None


# --- many nets at once --------------------------------------------------------------------------


def draw(rng, net, count, weight_range):
    """Weights of count random nets: (net.size, count), uniform in plus or minus weight_range."""
    return weight_range * (2 * rng.random((net.size, count), np.float32) - 1)


def parts(net, weights):
    """Views of weights (net.size, ...): a, f, b, v (n, ...), u, last (...), W ((n,) n, ...).

    last is r where the output sees itself, else c.
    """
    n, rest = net.hidden, weights.shape[1:]
    shape = {"all": (n, n), "self": (n,), "none": (0,)}[net.sees]
    inner = weights[4 * n + 2 :].reshape(*shape, *rest)
    return [*weights[: 4 * n].reshape(4, n, *rest), weights[4 * n], weights[4 * n + 1], inner]


def step(net, halves, x, h, o):
    """The next h and o; halves: parts of half the weights, since s(z) = (1 + tanh(z / 2)) / 2."""
    a, f, b, v, u, last, inner = halves
    z = f * o + a * x + b
    if net.sees == "all":
        z += (inner * h).sum(1)
    elif net.sees == "self":
        z += inner * h
    h = 0.5 + 0.5 * np.tanh(z)
    z = (v * h).sum(0) + u * x + (last * o if net.sees == "all" else last)
    return h, 0.5 + 0.5 * np.tanh(z)


def end_outputs(net, weights, x, lengths):
    """Outputs of all nets at the strings' own last steps: (strings, nets)."""
    count, nets = len(lengths), weights.shape[1]
    wide = np.broadcast_to(0.5 * weights[:, None], (net.size, count, nets)).reshape(net.size, -1)
    halves = parts(net, wide)
    h, o = np.zeros_like(halves[0]), np.zeros_like(halves[4])
    result = np.empty((count, nets), x.dtype)
    for t in range(lengths.max()):
        h, o = step(net, halves, np.repeat(x[t], nets), h, o)
        ended = lengths == t + 1
        if ended.any():
            result[ended] = o.reshape(count, nets)[ended]
    return result


def right(outputs, target):
    """Which of (strings, nets) are right."""
    return np.abs(outputs - target[:, None]) < TOLERANCE


def screen(net, weights, pair, target):
    """Indices of the nets that are right on both strings of pair: (time, 2).

    A net whose units are all in the same state for both strings, behind the last symbol in which
    these differ, will answer both alike: it leaves early, and no net is judged wrongly by that.
    """
    index, differ = np.arange(weights.shape[1]), np.flatnonzero(pair[:, 0] != pair[:, 1])[-1]
    halves = parts(net, 0.5 * weights[:, None])
    h = np.zeros((net.hidden, 2, len(index)), weights.dtype)
    o = np.zeros((2, len(index)), weights.dtype)
    for t, x in enumerate(pair):
        h, o = step(net, halves, x[:, None], h, o)
        since = t - differ
        if since > 0 and since & (since - 1) == 0:  # after 1, 2, 4, 8 ... further symbols
            apart = np.flatnonzero((o[0] != o[1]) | (h[:, 0] != h[:, 1]).any(0))
            index, h, o = index[apart], h[..., apart], o[:, apart]
            halves = [part[..., apart] for part in halves]
    return index[right(o, target).all(0)]


def accept(net, weights, training):
    """Indices of the nets right on all training strings, and how many strings each net saw.

    The first two strings screen; then all survivors together meet a few strings, then the rest.
    """
    x, lengths, target = training
    seen = np.full(weights.shape[1], 2)
    index = screen(net, weights, x[: lengths[0], :2], target[:2])
    few = min(8, len(lengths))
    for chosen in (slice(2, few), slice(few, None)):
        if len(lengths[chosen]) and len(index):
            seen[index] += len(lengths[chosen])
            outputs = end_outputs(net, weights[:, index], x[:, chosen], lengths[chosen])
            index = index[right(outputs, target[chosen]).all(0)]
    return index, seen


# --- guessing -----------------------------------------------------------------------------------

BLOCK = 10_000  # nets that share a training set and are run together


@dataclass
class Found:
    """What guessing gave: trials to each success, shares of right test strings, accepted weights
    (net.size, successes), guesses made and strings presented in all."""

    trials: list
    tests: list
    weights: np.ndarray
    guesses: int
    presented: int


def guess(rng, net, make, replicates, most, weight_range, watch=None):
    """Guess until there are so many successes, or most guesses are made: a Found.

    make() draws a set of strings, the first two for the screen. Nets come in one stream; each
    success ends a replicate, and the next begins with the net behind it. Accepted nets are then
    run on another set, which no decision depends on.
    """
    successes, tests, kept, made, presented = [], [], [draw(rng, net, 0, 1.0)], 0, 0
    while len(successes) < replicates and made < most:
        weights = draw(rng, net, min(BLOCK, most - made), weight_range)
        index, seen = accept(net, weights, make())
        index = index[: replicates - len(successes)]
        if len(index):
            x, lengths, target = make()
            outputs = end_outputs(net, weights[:, index], x, lengths)
            tests += right(outputs, target).mean(0).tolist()
        successes += (made + index + 1).tolist()
        kept.append(weights[:, index])
        used = len(seen) if len(successes) < replicates else index[-1] + 1
        made += int(used)
        presented += int(seen[:used].sum())
        if watch:
            watch(len(successes), replicates, guesses=made)
    trials = np.diff([0, *successes]).tolist()
    return Found(trials, tests, np.concatenate(kept, axis=1), made, presented)


# --- the control: back-propagation through time -------------------------------------------------

RATES, RANGES = (0.001, 0.01, 0.1), (0.1, 1.0)
LEAST_EPOCHS = 100
MILD = (25, 50)  # lengths of a milder test


def forward(net, weights, x):
    """States h: (time + 1, n, strings * nets) and o: (time + 1, strings * nets), 0 at index 0."""
    wide = np.tile(0.5 * weights, x.shape[1])
    halves, now = parts(net, wide), np.repeat(x, weights.shape[1], axis=1)
    h = np.zeros((len(x) + 1, *halves[0].shape), weights.dtype)
    o = np.zeros((len(x) + 1, wide.shape[1]), weights.dtype)
    for t in range(len(x)):
        h[t + 1], o[t + 1] = step(net, halves, now[t], h[t], o[t])
    return h, o


def end_errors(o, lengths, target):
    """Output minus target at each string's last step: (strings, nets)."""
    o = o.reshape(len(o), len(lengths), -1)
    return o[lengths, np.arange(len(lengths))] - target[:, None].astype(o.dtype)


def backward(net, weights, x, lengths, h, o, error):
    """Gradient of E = sum(error^2) / 2, error (strings, nets): (net.size, nets), and |dE/do(1)|.

    dz_o(t) = dE/do(t) o (1 - o)           dE/do(t-1) = sum_i f_i dz_i(t) + r dz_o(t)
    dz_i(t) = dE/dh_i(t) h_i (1 - h_i)     dE/dh_j(t-1) = v_j dz_o(t-1) + sum_i W_ij dz_i(t)
    """
    count, nets = error.shape
    _, f, _, v, _, last, inner = parts(net, np.tile(weights, count))
    dz, dz_o = h[1:] * (1 - h[1:]), o[1:] * (1 - o[1:])  # slopes, until what arrives is known
    ends, error = np.repeat(lengths, nets), error.reshape(-1)
    do, dh = np.zeros_like(error), np.zeros_like(h[0])
    for t in reversed(range(len(x))):
        first = do + np.where(ends == t + 1, error, 0)
        dz_o[t] *= first
        dz[t] *= dh + v * dz_o[t]
        do = (f * dz[t]).sum(0)
        if net.sees == "all":
            do += last * dz_o[t]
            dh = (inner * dz[t][:, None]).sum(0)
        elif net.sees == "self":
            dh = inner * dz[t]
    now = np.repeat(x, nets, axis=1)
    rows = [(dz * now[:, None]).sum(0), (dz * o[:-1, None]).sum(0), dz.sum(0)]  # a, f, b
    rows += [(dz_o[:, None] * h[1:]).sum(0), (dz_o * now).sum(0)[None]]  # v, u
    rows += [((dz_o * o[:-1]) if net.sees == "all" else dz_o).sum(0)[None]]  # r or c
    if net.sees == "all":
        rows += [(dz[:, i, None] * h[:-1]).sum(0) for i in range(net.hidden)]
    elif net.sees == "self":
        rows += [(dz * h[:-1]).sum(0)]
    gradient = np.concatenate(rows).reshape(net.size, count, nets).sum(1)
    return gradient, np.abs(first).reshape(count, nets).mean(0)


def train_by_gradient(rng, net, training, epochs, watch=None):
    """Six nets (three step sizes, two ranges) on one training set.

    Returns whether one was right on all strings at any time, and the smallest mean squared error
    at each epoch.
    """
    x, lengths, target = training
    bounds = np.tile(np.array(RANGES, np.float32), len(RATES))
    rows = {"all": (draw(rng, net, len(bounds), 1.0) * bounds).T}  # Adam wants the nets first
    weights = rows["all"].T
    adam = Adam(rows, np.repeat(np.array(RATES, np.float32), len(RANGES)))
    solved, errors = False, []
    for epoch in range(1, epochs + 1):
        h, o = forward(net, weights, x)
        error = end_errors(o, lengths, target)
        gradient, _ = backward(net, weights, x, lengths, h, o, error / len(lengths))
        adam.step(rows, {"all": gradient.T})
        solved = solved or bool((np.abs(error) < TOLERANCE).all(0).any())
        errors.append(float((error**2).mean(0).min()))
        if watch:
            watch(epoch, epochs, best_error=errors[-1])
    return solved, errors


def control(rng, net, make, needed, watch=None):
    """Back-propagation, shown needed strings at least, and on short ones: metrics, errors."""
    training = make()
    each = len(RATES) * len(RANGES) * len(training[1])  # strings presented in an epoch
    epochs = max(LEAST_EPOCHS, math.ceil(needed / each))
    solved, errors = train_by_gradient(rng, net, training, epochs, watch)
    mildly, _ = train_by_gradient(rng, net, make(*MILD), epochs, watch)
    metrics = {"solved": solved, "best_error": min(errors), "presented": epochs * each}
    return metrics | {"mild_solved": mildly}, errors


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


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of backward() against central differences, over all kinds of net."""
    rng, worst = np.random.default_rng(config.seed), 0.0
    x, lengths, target = make_set(rng, 4, 5, 7, NOISE)
    x = x.astype(float)
    for net in (Net(2, "all"), Net(3, "self"), Net(3, "none")):
        weights = rng.uniform(-2, 2, (net.size, 2))

        def loss(net=net, weights=weights):
            errors = end_errors(forward(net, weights, x)[1], lengths, target)
            return 0.5 * float((errors**2).sum())

        h, o = forward(net, weights, x)
        gradient, _ = backward(net, weights, x, lengths, h, o, end_errors(o, lengths, target))
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


# --- the experiment -----------------------------------------------------------------------------

# condition: the net, the noise on its input, its share of Config.replicates
CONDITIONS = {
    "a2_noself": (Net(10, "none"), 0.0, 1.0),
    "a2": (Net(10, "self"), 0.0, 0.2),
    "a1": (Net(1, "all"), 0.0, 0.3),
    "a1_noisy": (Net(1, "all"), NOISE, 0.15),
}


def run(config: Config = Config(), watch=None) -> Result:
    """Guess until every kind of net has its successes, then let back-propagation try."""
    streams = np.random.default_rng(config.seed).spawn(2 * len(CONDITIONS))
    metrics, found, curves = {}, {}, {}
    for k, (name, (net, noise, share)) in enumerate(CONDITIONS.items()):
        if config.nets not in ("all", name):
            continue
        rng, strings_rng = streams[2 * k : 2 * k + 2]

        def make(shortest=config.shortest, longest=config.longest, rng=strings_rng, noise=noise):
            return make_set(rng, config.strings, shortest, longest, noise)

        wanted = max(1, round(share * config.replicates))
        each = guess(rng, net, make, wanted, config.guesses, config.weight_range, watch)
        found[name], successes = each, len(each.trials)
        metrics[f"{name}_successes"] = successes
        metrics[f"{name}_trials"] = each.guesses / successes if successes else None
        if config.control_ratio and successes and not noise:
            needed = config.control_ratio * each.presented / successes
            more, curves[name] = control(rng, net, make, needed, watch)
            more["presentations_ratio"] = more.pop("presented") * successes / each.presented
            metrics |= {f"bptt_{key}_{name}": value for key, value in more.items()}
    tests = [share for each in found.values() for share in each.tests]
    metrics["test_correct"] = float(np.mean(tests)) if tests else None
    if config.nets == "all":
        quiet, noisy = metrics["a1_trials"], metrics["a1_noisy_trials"]
        metrics["noise_factor"] = noisy / quiet if quiet and noisy else None
    history = {"net": [name for name, each in found.items() for _ in each.trials]}
    history |= {"trials": [n for each in found.values() for n in each.trials]}
    history |= {"test_correct": tests}
    return Result(metrics, history, found, curves)


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
