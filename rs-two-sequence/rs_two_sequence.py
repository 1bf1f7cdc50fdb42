"""Two-sequence and latch problems: guessing all weights at random bridges lags of 500 steps;
back-propagation does not.

Task      One input line, sequences of 500 to 600 steps. The first value tells the class, all later
          ones are Gaussian noise.
            two-sequence   first value +1 or -1; target 1 or 0 at the last step, right if the output
                           is off by less than 0.1
            latch I        h(t) = tanh(w h(t-1) + x(t)); the first inputs u1, u2 of the classes are
                           free parameters;
                           targets +0.8 and -0.8, right if the sign is right and |h| >= 0.7
            latch II       h(t) = tanh(w h(t-1) + v x(t) + b), inputs as in two-sequence; targets +1
                           and -1, off by less than 0.1
Nets      h(t) = s(Wx x(t) + Wh h(t-1) + Wo o(t-1) + b)
          o(t) = s(V h(t) + u x(t) + r o(t-1) + c)
            s is the logistic function; n hidden units see themselves but not each other.
            A1: n = 1, no c.  A2: n = 10, no r.
Guessing  One trial: draw every weight uniformly from [-100, 100] and run the training sequences;
          stop when all are right. A net that fails on two sequences need not see the other 98: that
          saves time and does not change the trial count.
Control   The same nets by full back-propagation through time with Adam, three step sizes, two
          ranges of initial weights.

    python3 rs_two_sequence.py --seed 0
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
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
    task: str = option("paper", "paper, or the earlier catalog's", among=("paper", "v1"))
    latch_replicates: int = option(40, "successes to wait for in each latch task", 1, 100_000)
    a1_replicates: int = option(10, "the same for the net A1, two-sequence", 0, 100_000)
    a2_replicates: int = option(3, "the same for the net A2", 0, 100_000)
    loud_replicates: int = option(1, "the same for A1, noise of variance 0.2", 0, 100_000)
    control_ratio: float = option(10.0, "gradient's sequences a guessed one", 0.0, 10_000.0)
    sequences: int = option(100, "sequences in a training set and in a test set", 4, 10_000)
    shortest: int = option(500, "shortest sequence [steps]", 2, 100_000)
    longest: int = option(600, "longest sequence [steps]", 2, 100_000)

    def __post_init__(self):
        check_options(self)
        if self.longest < self.shortest:
            least = f"at least shortest = {self.shortest}"
            raise ValueError(f"longest must be {least}, got {self.longest}")


QUICK = {"latch_replicates": 20, "a1_replicates": 1, "a2_replicates": 0}
QUICK |= {"loud_replicates": 0, "control_ratio": 0.0}

# Two readings of "0.2": the text says variance, the published trials fit the other.
VARIANCE_02, STD_02 = np.sqrt(0.2), 0.2
RATES, RANGES = (0.001, 0.01, 0.1), (0.1, 1.0)
NEAR, LATCHED = 0.1, 0.7  # an answer off by less is right; in latch I, |h| of the right sign
BOUND = 100.0  # weights are guessed between -BOUND and BOUND
V1_STEPS, V1_SEQUENCES, V1_UNITS = 100, 200, 5  # of the earlier catalog


@dataclass
class Result:
    """trials: condition -> trials to each success; nets: condition -> accepted weights; history:
    trials by replicate; curves: net -> back-propagation's smallest error and largest gradient at
    the first step, by epoch."""

    metrics: dict
    history: dict
    trials: dict
    nets: dict
    curves: dict


# --- the task ----------------------------------------------------------------------------------


def make_set(rng, config, noise):
    """Sequences x: (longest, sequences), zero behind their ends; lengths and label: (sequences,),
    label 1 or 0, half each."""
    lengths = rng.integers(config.shortest, config.longest + 1, config.sequences)
    label = np.arange(config.sequences) % 2
    x = rng.normal(0, noise, (config.longest, config.sequences)).astype(np.float32)
    x[0] = 2 * label - 1
    x[np.arange(config.longest)[:, None] >= lengths] = 0
    return x, lengths, label


def near_logistic(y, label):
    return np.abs(y - label) < NEAR


def near_tanh(y, label):
    return np.abs(y - (2 * label - 1)) < NEAR


def latched(y, label):
    return y * (2 * label - 1) >= LATCHED


def above_half(y, label):
    return (y > 0.5) == label


# --- one guess, one sequence, step by step -------------------------------------------------------


def logistic(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def plain_output(row, x):
    """Last output of A1 or A2 with the weights row, (5 n + 3,), on one sequence x, (steps,)."""
    n = (len(row) - 3) // 5
    (wx, wh, wo, b, v), (u, r, c) = np.asarray(row[: 5 * n], float).reshape(5, n), row[5 * n :]
    h, o = np.zeros(n), 0.0
    for now in x:
        h = logistic(wx * now + wh * h + wo * o + b)
        o = logistic(v @ h + u * now + r * o + c)
    return o


def plain_guess(rng, hidden, training):
    """Guesses until a net is right on every training sequence, and its weights."""
    x, lengths, label = training
    for trial in itertools.count(1):
        row = draw_recurrent(rng, 1, hidden)[0]
        ends = (plain_output(row, x[:end, s]) for s, end in enumerate(lengths))
        if all(near_logistic(o, wanted) for o, wanted in zip(ends, label, strict=True)):
            return trial, row


# --- many guesses at once: each net yields its output (nets, sequences) at every step -------------


def spread(weights, count):
    """Wx, Wh, Wo, b, V: (n, pairs) and u, r, c: (pairs,), each net's value for all its sequences.

    A row of weights is n, n, n, n, n, 1, 1, 1 numbers. With pairs (net, sequence) as last axis
    nothing is broadcast in a loop.
    """
    hidden = (weights.shape[1] - 3) // 5
    wide = np.repeat(weights.T, count, axis=1)
    return [*wide[: 5 * hidden].reshape(5, hidden, -1), *wide[5 * hidden :]]


def latch_one(weights, x, label):
    """weights: (nets, 3) = w, u1, u2."""
    w, first, second = weights.T[:, :, None]
    h = np.tanh(np.where(label == 1, first, second))
    yield h
    for now in x[1:]:
        h = np.tanh(w * h + now)
        yield h


def latch_two(weights, x, label):
    """weights: (nets, 3) = w, v, b."""
    w, v, b = weights.T[:, :, None]
    h = np.zeros((len(weights), x.shape[1]), np.float32)
    for now in x:
        h = np.tanh(w * h + (v * now + b))
        yield h


def recurrent(weights, x, label):
    """A1 and A2; weights: (nets, 5 n + 3). Halved, as s(z) = (1 + tanh(z / 2)) / 2."""
    wx, wh, wo, b, v, u, r, c = (0.5 * part for part in spread(weights, x.shape[1]))
    h, o = np.zeros_like(wx), np.zeros_like(u)
    for now in x:
        now = np.tile(now, len(weights))
        h *= wh
        h += wx * now + wo * o + b
        np.tanh(h, out=h)
        h *= 0.5
        h += 0.5
        o = 0.5 * (1 + np.tanh((h * v).sum(0) + u * now + r * o + c))
        yield o.reshape(len(weights), -1)


def tanh_net(weights, x, label):
    """The earlier catalog's: fully connected tanh units, logistic output; weights: (nets, 41)."""
    n = V1_UNITS
    wx, wh, b, v, c = np.split(weights, np.cumsum([n, n * n, n, n]), axis=1)
    h = np.zeros((len(weights), x.shape[1], n), np.float32)
    recurrence = wh.reshape(-1, n, n)
    for now in x:
        h = np.tanh(now[:, None] * wx[:, None] + h @ recurrence + b[:, None])
        yield None
    yield logistic((h * v[:, None]).sum(-1) + c)


def draw_recurrent(rng, count, hidden, bound=BOUND):
    """count random nets; A1 (one hidden unit) has no output bias, A2 no output feedback."""
    weights = rng.uniform(-bound, bound, (count, 5 * hidden + 3)).astype(np.float32)
    weights[:, -1 if hidden == 1 else -2] = 0
    return weights


# --- guessing ----------------------------------------------------------------------------------


def draw_three(rng, count):
    return rng.uniform(-BOUND, BOUND, (count, 3)).astype(np.float32)


def draw_one_hidden(rng, count):
    return draw_recurrent(rng, count, 1)


def draw_ten_hidden(rng, count):
    return draw_recurrent(rng, count, 10)


def draw_tanh(rng, count):
    size = V1_UNITS * (V1_UNITS + 3) + 1
    return rng.uniform(-1, 1, (count, size)).astype(np.float32)


@dataclass(frozen=True)
class Condition:
    """noise [standard deviation], net, how to draw it, when it is right, guesses run together."""

    noise: float
    net: object
    draw: object
    right: object
    block: int


CONDITIONS = {
    "latch1": Condition(VARIANCE_02, latch_one, draw_three, latched, 32),
    "latch2": Condition(VARIANCE_02, latch_two, draw_three, near_tanh, 128),
    "latch2_quiet": Condition(STD_02, latch_two, draw_three, near_tanh, 64),
    "a1": Condition(STD_02, recurrent, draw_one_hidden, near_logistic, 512),
    "a2": Condition(STD_02, recurrent, draw_ten_hidden, near_logistic, 512),
    "a1_loud": Condition(VARIANCE_02, recurrent, draw_one_hidden, near_logistic, 2048),
    "v1": Condition(STD_02, tanh_net, draw_tanh, above_half, 128),
}


def end_outputs(condition, weights, x, lengths, label):
    """Outputs at each sequence's own last step: (nets, sequences)."""
    result = np.empty((len(weights), x.shape[1]), np.float32)
    first = lengths.min() - 1
    for t, y in enumerate(condition.net(weights, x[: lengths.max()], label)):
        if y is not None and t >= first:
            # The earlier catalog's net answers after its last step.
            ended = lengths == t + 1 if t < len(x) else slice(None)
            result[:, ended] = y[:, ended]
    return result


def accepted(condition, weights, training):
    """Indices of the nets that are right on all training sequences, and how many were presented.
    Most nets fail on the first two sequences, one of each class, and need not see the others."""
    x, lengths, label = training
    alive, shown, start = np.arange(len(weights)), 0, 0
    for stop in sorted({2, min(10, x.shape[1]), x.shape[1]}):
        part = slice(start, stop)
        y = end_outputs(condition, weights[alive], x[:, part], lengths[part], label[part])
        shown += y.size
        alive, start = alive[condition.right(y, label[part]).all(1)], stop
        if not len(alive):
            break
    return alive, shown


def guess(rng, name, config, replicates, watch):
    """Trials to each success, the accepted nets, their shares of right test sequences, sequences
    presented; a fresh training set for each success."""
    condition = CONDITIONS[name]
    trials, nets, tests, shown = [], [], [], 0
    for replicate in range(replicates):
        training = make_set(rng, config, condition.noise)
        count = 0
        while True:
            weights = condition.draw(rng, condition.block)
            alive, presented = accepted(condition, weights, training)
            shown += presented
            if len(alive):
                break
            count += condition.block
        trials.append(count + int(alive[0]) + 1)
        nets.append(weights[alive[0]])
        x, lengths, label = make_set(rng, config, condition.noise)
        y = end_outputs(condition, nets[-1][None], x, lengths, label)
        tests.append(float(condition.right(y, label).mean()))
        if watch:
            watch(replicate + 1, replicates, trials=trials[-1], condition=name, net=nets[-1])
    return trials, nets, tests, shown


# --- the control: back-propagation through time ---------------------------------------------------


def forward(weights, x):
    """h: (time + 1, n, pairs) and o: (time + 1, pairs), zero at index 0; pairs: (net, sequence)."""
    wx, wh, wo, b, v, u, r, c = spread(weights, x.shape[1])
    h = np.zeros((len(x) + 1, *wx.shape), weights.dtype)
    o = np.zeros((len(x) + 1, len(u)), weights.dtype)
    for t, now in enumerate(np.tile(x, len(weights))):
        h[t + 1] = logistic(wx * now + wh * h[t] + wo * o[t] + b)
        o[t + 1] = logistic((v * h[t + 1]).sum(0) + u * now + r * o[t] + c)
    return h, o


def backward(weights, x, lengths, h, o, error):
    """Gradient of sum(error^2) / 2 over the sequences, error: (nets, sequences) at the ends; and
    |dloss/do(1)|: (nets,)."""
    wx, wh, wo, b, v, u, r, c = spread(weights, x.shape[1])
    dzh, dzo = h[1:] * (1 - h[1:]), o[1:] * (1 - o[1:])  # slopes, then multiplied by what arrives
    ends, error = np.tile(lengths, len(weights)), error.reshape(-1)
    do, dh = np.zeros_like(error), np.zeros_like(h[0])
    for t in reversed(range(len(x))):
        if t >= lengths.min() - 1:
            do = do + np.where(ends == t + 1, error, 0)
        dzo[t] *= do
        dh += v * dzo[t]
        dzh[t] *= dh
        early = do  # at the end of the loop: the gradient with respect to the first output
        do = (wo * dzh[t]).sum(0) + r * dzo[t]
        np.multiply(wh, dzh[t], out=dh)
    now = np.tile(x, len(weights))
    sides = (("tp", now), ("tnp", h[:-1]), ("tp", o[:-1]))
    rows = [np.einsum(f"{axes},tnp->np", left, dzh) for axes, left in sides]
    rows += [dzh.sum(0), np.einsum("tnp,tp->np", h[1:], dzo)]
    rows += [np.einsum("tp,tp->p", left, dzo)[None] for left in (now, o[:-1])] + [dzo.sum(0)[None]]
    gradient = np.concatenate(rows).reshape(-1, len(weights), x.shape[1]).sum(2).T
    return gradient, np.abs(early).reshape(len(weights), -1).mean(1)


def errors_at_end(o, lengths, label):
    """Output minus target at each sequence's last step: (nets, sequences)."""
    o = o.reshape(len(o), -1, len(lengths))
    return o[lengths, :, np.arange(len(lengths))].T - label.astype(o.dtype)


def train_by_gradient(rng, hidden, epochs, config, watch):
    """Six nets (three step sizes, two ranges) on one training set: whether any solved it, and by
    epoch the least error and the largest early gradient."""
    x, lengths, label = make_set(rng, config, STD_02)
    bound = np.tile(RANGES, len(RATES))
    weights = {"all": np.concatenate([draw_recurrent(rng, 1, hidden, each) for each in bound])}
    rate = np.repeat(np.array(RATES, np.float32), len(RANGES))[:, None]
    fixed = -1 if hidden == 1 else -2
    adam, solved, curve, early = Adam(weights, 1.0), False, [], []
    for epoch in range(epochs):
        h, o = forward(weights["all"], x)
        error = errors_at_end(o, lengths, label)
        gradient, first = backward(weights["all"], x, lengths, h, o, error / len(label))
        gradient[:, fixed] = 0
        adam.rate = rate
        adam.step(weights, {"all": gradient})
        solved = solved or bool((np.abs(error) < NEAR).all(1).any())
        curve.append(float((error**2).mean(1).min()))
        early.append(float(first.max()))
        if watch:
            watch(epoch + 1, epochs, best_error=curve[-1])
    return solved, curve, early


def gradient_check(config: Config = Config(sequences=4, shortest=5, longest=7)) -> float:
    """Worst relative error of backward() against central differences, three hidden units."""
    rng = np.random.default_rng(config.seed)
    x, lengths, label = make_set(rng, config, STD_02)
    x = x.astype(np.float64)
    weights = {"all": rng.uniform(-1, 1, (2, 18))}

    def errors():
        h, o = forward(weights["all"], x)
        return h, o, errors_at_end(o, lengths, label)

    def loss():
        return 0.5 * float((errors()[2] ** 2).sum())

    h, o, error = errors()
    gradient = backward(weights["all"], x, lengths, h, o, error)[0]
    return worst_relative_error(loss, weights, {"all": gradient})


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


# --- the experiment ------------------------------------------------------------------------------


def wanted_successes(config):
    """How many successes to wait for, by condition."""
    if config.task == "v1":
        return {"v1": config.latch_replicates}
    latches = dict.fromkeys(("latch1", "latch2", "latch2_quiet"), config.latch_replicates)
    nets = {"a1": config.a1_replicates, "a2": config.a2_replicates}
    return latches | nets | {"a1_loud": config.loud_replicates}


def run(config: Config = Config(), watch=None) -> Result:
    """Guess until every condition has its successes, then let back-propagation try."""
    names = [*CONDITIONS, "bptt_a1", "bptt_a2"]
    rngs = dict(zip(names, np.random.default_rng(config.seed).spawn(len(names)), strict=True))
    wanted = wanted_successes(config)
    if config.task == "v1":
        easier = {"shortest": V1_STEPS, "longest": V1_STEPS, "sequences": V1_SEQUENCES}
        config = dataclasses.replace(config, control_ratio=0.0, **easier)
    trials, nets, metrics, tests, shown = {}, {}, {}, [], {}
    for name, successes in wanted.items():
        if successes:
            found = guess(rngs[name], name, config, successes, watch)
            trials[name], nets[name], right, shown[name] = found
            metrics[f"{name}_trials"] = float(np.mean(trials[name]))
            tests += right
    metrics["test_correct"] = float(np.mean(tests))
    history = {"replicate": list(range(1, config.latch_replicates + 1))}
    history |= {name: t for name, t in trials.items() if name.startswith("latch") or name == "v1"}
    curves, each = {}, config.sequences * len(RATES) * len(RANGES)
    for name, hidden in (("a1", 1), ("a2", 10)):
        if config.control_ratio and name in shown:
            needed = shown[name] / len(trials[name])
            epochs = int(np.ceil(config.control_ratio * needed / each))
            control = train_by_gradient(rngs[f"bptt_{name}"], hidden, epochs, config, watch)
            metrics[f"bptt_solved_{name}"], *curves[name] = control
            metrics[f"bptt_best_error_{name}"] = min(curves[name][0])
            metrics[f"bptt_presentations_ratio_{name}"] = epochs * each / needed
    return Result(metrics, history, trials, nets, curves)


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
