"""Chunking: a net bridges a lag of 20 steps with error signals that are cut off after three.

Task      An endless stream of the sequences a b1 ... b20 and x b1 ... b20 in random order (lag
          m = 20), no boundaries, no resets. At every slot t the next symbol is to be predicted. In
          the slot after b20 (where the next a or x is shown) a target exists: 1 if the last 21
          symbols were a b1 ... b20, else 0. Solved: all errors below 0.3 for 20 sequences in a row,
          both kinds among them (but for the symbol units in the slot of a or x, which nobody can
          predict); then a frozen copy of A, alone, must do the same on fresh sequences.
Nets      Logistic units f, one of them hidden (h); direct links from all inputs to all units. Input
          i(t): the symbol as one of m + 2 bits, the target just shown (0 if none), a constant. All
          units work at once, one activation a slot, and o(t) is the guess for slot t + 1:
            h(t) = f(i(t) V + h(t-1) v),    o(t) = f(i(t) O + h(t-1) q)
          Predictor A: o = (p, d, s): next symbol, target, imitation of C. Chunker C: o = (p, d).
Learning  at every slot t, by gradient descent with errors sent back through three activations of h:
            1. A's guess is compared with symbol and target; an error above 0.2 in p or d: an event.
            2. A learns: p and d toward what they should have been (d only if there is a target),
               s toward the state (h, o) that C had at the end of slot t - 1. This is the collapse.
            3. At an event C learns from its last guess (d only if A missed it) and is then fed
               i(t). Otherwise C stands still.
            4. A is fed i(t).
Control   The same without s: the hierarchy stays, but A never learns from C. (Conventional nets are
          in chunker_22_symbol_control.py.)
Forms     PlainNet and plain_slot are the algorithm for one system; Nets and Chunkers.slot are the
          same for many independent systems (replicas) side by side. Rows of their weights: a, x,
          b1 ... bm, then SHOWN, ONE, HIDDEN (from h: v and q).
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
from collections import deque, namedtuple
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SHOWN, ONE, HIDDEN = -3, -2, -1  # last rows: the target just shown, the constant, the hidden unit
FIRST_B = 2  # row of b1; a is 0, x is 1
REAL = np.float32  # precision of the replicas; PlainNet has float64
Slot = namedtuple("Slot", "symbol, target, state, slope")  # input; h and o after it; their slope
STREAK = 20  # sequences in a row that must be right
TOLERANCE = 0.3  # an error below it is right
YARDSTICKS = 5000, 35_000  # the paper's numbers of sequences
RECENT, RECENT_EVENTS = 1000, 100  # last sequences over which errors and events are averaged
RECENT_ANSWERS = 200  # last sequences over which C's answers are counted
FRESH = 100  # sequences on which the frozen A is tried at the end


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
    """The settings; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    lag: int = option(20, "m, symbols between the first one and the target", 1, 200)
    replicas: int = option(17, "systems with the collapse, and as many without", 1, 200)
    timing: str = option(
        "together",
        "together: outputs see h of the slot before; layered: h after its own update",
        among=("together", "layered"),
    )
    sequences: int = option(35_000, "most training sequences; fewer if all solve it", 1, 2_000_000)
    plain_sequences: int = option(10_000, "the same without the collapse, if less", 0, 2_000_000)
    learning_rate: float = option(1.0, "of A and C", 1e-4, 10)
    depth: int = option(3, "activations of h through which errors travel back", 1, 50)
    threshold: float = option(0.2, "error of A above which a slot is an event", 0.01, 0.99)
    init: float = option(0.2, "weights start uniform between -init and init", 0, 5)
    every: int = option(100, "sequences between two points of the curves", 1, 100_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"lag": 5, "replicas": 2, "sequences": 3000, "plain_sequences": 1000}


@dataclass
class Result:
    """metrics; history: curves over the sequences; system: the trained Chunkers; solved_at: the
    sequences after which A alone solved the task, -1 if never, (systems with, then without s)."""

    metrics: dict
    history: dict
    system: Chunkers
    solved_at: np.ndarray


# --- the task ------------------------------------------------------------------------------------


def draws(rng, replicas):
    """First symbols of sequence after sequence, for ever: 0 for a, 1 for x, (replicas,)."""
    while True:
        yield rng.integers(2, size=replicas)


def stream(firsts, lag):
    """Slots (position, symbol, target): a first symbol, (replicas,), with the target of the
    sequence before it, (replicas,), or None; then the b's, one number each, without a target."""
    target = None
    for first in firsts:
        yield 0, first, target
        for position in range(1, lag + 1):
            yield position, FIRST_B + position - 1, None
        target = 1.0 - first


class Judge:
    """Watches whether each replica has solved the task, from its errors in every sequence."""

    def __init__(self, replicas):
        self.streak, self.solved_at = np.zeros(replicas, int), np.full(replicas, -1)
        self.first = np.zeros((STREAK, replicas), int)  # first symbols of the last sequences
        self.sequences = 0

    def see(self, first, worst):
        """Take the largest error of a sequence, (replicas,); returns the unsolved replicas that
        have met the criterion."""
        self.first[self.sequences % STREAK] = first
        self.sequences += 1
        self.streak = np.where(worst < TOLERANCE, self.streak + 1, 0)
        both = (self.first.min(0) == 0) & (self.first.max(0) == 1)
        return np.flatnonzero((self.streak >= STREAK) & both & (self.solved_at < 0))

    def decide(self, replicas, passed):
        """Those that passed have solved the task now; the others start counting anew."""
        self.solved_at[replicas[passed]] = self.sequences
        self.streak[replicas[~passed]] = 0

    def solved(self, sequences, replicas=slice(None)):
        """Number of the replicas that have solved the task within so many sequences; None where
        the run was shorter and some had not."""
        at = self.solved_at[replicas]
        known = self.sequences >= sequences or (at >= 0).all()
        return int(np.sum((at >= 0) & (at <= sequences))) if known else None


# --- the algorithm for one system, in plain form -------------------------------------------------


class PlainNet:
    """One net. V (inputs,) and v lead to the hidden unit, O (inputs, outputs) and q to the outputs.

    i[-k] and h[-k]: the k-th last input, and h after it; o: the latest guess. All start at zero,
    where f has no slope, so that nothing is learnt from before the first slot."""

    def __init__(self, V, v, O, q, config):
        self.V, self.v, self.O, self.q, self.config = V, v, O, q, config
        self.i = [np.zeros(len(V))] * (config.depth + 2)
        self.h = [0.0] * (config.depth + 2)
        self.o = np.zeros(len(q))
        self.seen = -1 if config.timing == "layered" else -2  # which h the outputs saw

    def feed(self, i):
        """h(t) = f(i V + h(t-1) v), o(t) = f(i O + h(t-1) q); layered: o sees h(t) instead."""
        h = 1 / (1 + np.exp(-(i @ self.V + self.h[-1] * self.v)))
        self.i, self.h = [*self.i[1:], i], [*self.h[1:], h]
        self.o = 1 / (1 + np.exp(-(i @ self.O + self.h[self.seen] * self.q)))

    def learn(self, error):
        """Descend on E = |error|^2 / 2, error = goal - o, through `depth` activations of h.

        D = -dE/d(drive of o) = error o (1 - o):  dO ~ i D,  dq ~ h D,  -dE/dh = q . D.
        For each h(k) = f(i(k) V + h(k-1) v) on the way back, with B = -dE/dh(k) and
        e = -dE/d(drive of h(k)) = B h(k) (1 - h(k)):  dV ~ e i(k),  dv ~ e h(k-1),  B <- e v.
        """
        rate, dV, dv = self.config.learning_rate, 0.0, 0.0
        D = error * self.o * (1 - self.o)
        B = self.q @ D
        for k in range(self.seen, self.seen - self.config.depth, -1):
            e = B * self.h[k] * (1 - self.h[k])
            dV += e * self.i[k]
            dv += e * self.h[k - 1]
            B = e * self.v
        self.O += rate * np.outer(self.i[-1], D)
        self.q += rate * self.h[self.seen] * D
        self.V += rate * dV
        self.v += rate * dv


def plain_slot(A, C, symbol, target, config, collapse=1.0):
    """One slot of one system, the whole algorithm; A, C: PlainNets; symbol: its row; target: None
    where there is none; collapse: 0 leaves s out. Returns whether the slot was an event."""
    d = config.lag + 2  # number of the target unit, behind the symbols
    goal, i = np.zeros(d + 1), np.zeros(d + 2)
    goal[symbol] = i[symbol] = i[d + 1] = 1
    if target is not None:
        goal[d] = i[d] = target
    error = goal - A.o[: d + 1]
    if target is None:
        error[d] = 0
    event = max(abs(error)) > config.threshold
    A.learn(np.array([*error, *collapse * (np.array([C.h[-1], *C.o]) - A.o[d + 1 :])]))
    if event:
        error_of_C = goal - C.o
        if abs(error[d]) <= config.threshold:  # no target, or A knew it
            error_of_C[d] = 0
        C.learn(error_of_C)
        C.feed(i)
    A.feed(i)
    return event


# --- the same for many replicas at once ----------------------------------------------------------


def logistic(x):
    """f(x) = 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def activate(W, layered, symbol, target, h):
    """h and o after an input, (1 + outputs, replicas), given h one slot earlier: PlainNet.feed.
    symbol: a number, or one for each replica; target: that was just shown, (replicas,), or None."""
    drive = h * W[HIDDEN]
    drive += W[symbol] if isinstance(symbol, int) else W[symbol, :, np.arange(len(h))].T
    drive += W[ONE]
    if target is not None:
        drive += target * W[SHOWN]
    if layered:
        drive[1:] += (logistic(drive[0]) - h) * W[HIDDEN, 1:]
    return logistic(drive)


def add(weights, symbol, target, h, change):
    """weights += (input with h) x change; weights: V or O, as an array and as list of its rows."""
    array, rows = weights
    rows[ONE] += change
    rows[HIDDEN] += h * change
    if isinstance(symbol, int):
        rows[symbol] += change
    else:
        array[symbol, ..., np.arange(len(h))] += change.T
    if target is not None:
        rows[SHOWN] += target * change


class Nets:
    """PlainNets side by side. W (rows, 1 + outputs, replicas): the weights to h, V, and to o, O;
    past: the last Slots, newest first, with a state of h and o, (1 + outputs, replicas)."""

    def __init__(self, rng, config, replicas, outputs):
        shape, init = (config.lag + 5, replicas), config.init
        O = rng.uniform(-init, init, (*shape, outputs)).swapaxes(1, 2)
        V = rng.uniform(-init, init, shape)
        self.W = np.concatenate([V[:, None], O], 1).astype(REAL, order="C")
        self.V, self.O = self.W[:, 0], self.W[:, 1:]
        self.to_h, self.to_o = (self.V, [*self.V]), (self.O, [*self.O])
        nothing = Slot(0, 0.0, *np.zeros((2, 1 + outputs, replicas), REAL))
        self.past, self.ones = [nothing] * (config.depth + 2), np.ones(outputs, REAL)
        self.depth, self.layered = config.depth, config.timing == "layered"

    def feed(self, symbol, target):
        """Take an input, and remember it for learning."""
        state = activate(self.W, self.layered, symbol, target, self.past[0].state[0])
        self.past = [Slot(symbol, target, state, state - state * state), *self.past[:-1]]

    def feed_some(self, on, symbol, target):
        """The same where `on`, (replicas,), is true; the others stand still."""
        old = self.past
        self.feed(symbol, 0.0 if target is None else target)
        if not on.all():
            pairs = zip(self.past, old, strict=True)
            self.past = [Slot(*map(np.where, [on] * 4, *pair)) for pair in pairs]

    def learn(self, D):
        """PlainNet.learn; D: rate x error o (1 - o), (outputs, replicas)."""
        past, seen, v = self.past, 0 if self.layered else 1, self.V[HIDDEN].copy()
        B = self.ones @ (D * self.O[HIDDEN])
        add(self.to_o, past[0].symbol, past[0].target, past[seen].state[0], D)
        for k in range(seen, seen + self.depth):
            e = B * past[k].slope[0]
            add(self.to_h, past[k].symbol, past[k].target, past[k + 1].state[0], e)
            B = e * v


class Chunkers:
    """Replicas of the system; collapse: (replicas,), 1 where A learns to imitate C, else 0."""

    def __init__(self, rng, config, collapse):
        self.config, count = config, len(collapse)
        self.d = config.lag + 2  # number of the target unit
        self.A = Nets(rng, config, count, 2 * self.d + 3)
        self.C = Nets(rng, config, count, self.d + 1)
        self.goal, self.nobody = np.zeros((2 * self.d + 3, count), REAL), np.zeros(count, bool)
        self.rate = np.full(self.goal.shape, config.learning_rate, REAL)
        self.rate[self.d + 1 :] *= np.asarray(collapse)

    def slot(self, symbol, target):
        """plain_slot; symbol: a number, or one for each replica; target: (replicas,) or None.
        Returns A's errors in p and d, (d + 1, replicas), and who had an event, (replicas,)."""
        A, C, d, goal, threshold = self.A, self.C, self.d, self.goal, self.config.threshold
        guess, of_C = A.past[0], C.past[0]
        goal[:d] = 0  # what lies behind d is the state of C
        goal[symbol if isinstance(symbol, int) else (symbol, np.arange(len(symbol)))] = 1
        goal[d] = guess.state[1 + d] if target is None else target  # no target, no error
        error = goal - guess.state[1:]
        size = np.abs(error[: d + 1])
        event = size.max(0) > threshold if size.max() > threshold else self.nobody
        A.learn(self.rate * error * guess.slope[1:])
        if event is not self.nobody:
            error = goal[: d + 1] - of_C.state[1:]
            error[d, size[d] <= threshold] = 0  # no target, or A knew it
            C.learn(self.config.learning_rate * error * of_C.slope[1:] * event)
            C.feed_some(event, symbol, target)
            goal[d + 1 :] = C.past[0].state
        A.feed(symbol, target)
        return size, event


def play_alone(A, first, lag, replicas=slice(None)):
    """A alone with its weights as they are: h (sequences, lag + 1, replicas), and guesses of the
    next slot (..., outputs). first: 0 for a, 1 for x, (sequences, replicas)."""
    W, played = A.W[..., replicas], [np.zeros((1, first.shape[1]))]
    for _, symbol, target in stream(first, lag):
        played.append(activate(W, A.layered, symbol, target, played[-1][0]))
    played = np.swapaxes(played[1:], 1, 2).reshape(len(first), lag + 1, first.shape[1], -1)
    return played[..., 0], played[..., 1:]


def passes_alone(A, replicas, lag, rng):
    """Whether these replicas' A as it is now, without C, keeps all errors below 0.3 over 20 fresh
    sequences: (replicas,)."""
    if not len(replicas):
        return np.zeros(0, bool)
    d, first = lag + 2, rng.integers(2, size=(1 + STREAK, len(replicas)))
    first[1:3] = [[0], [1]]  # the first sequence only lets h settle
    _, guesses = play_alone(A, first, lag, replicas)
    symbols = np.abs(guesses[1:, :-1, :, :d] - np.eye(d)[FIRST_B:, None]).max((0, 1, 3))
    targets = np.abs(guesses[1:, -1, :, d] - (1 - first[1:])).max(0)
    return np.maximum(symbols, targets) < TOLERANCE


# --- training ------------------------------------------------------------------------------------


def train(rng, test_rng, config, history, watch=None):
    """Chunkers with and (behind them) without the collapse, trained until the first have solved the
    task; the Judges of A alone and of C; the last errors of A's and of C's target unit, (sequences,
    2, replicas); the last numbers of events in a sequence, (sequences, replicas)."""
    replicas = config.replicas * (2 if config.plain_sequences else 1)
    system = Chunkers(rng, config, np.arange(replicas) < config.replicas)
    judge, judge_of_C = Judge(replicas), Judge(replicas)
    errors, events = deque(maxlen=RECENT), deque(maxlen=RECENT_EVENTS)
    least, surprises = min(config.plain_sequences, config.sequences), 0
    worst = np.zeros((1, replicas))  # errors of the sequence so far, surprises: its events
    for position, symbol, target in stream(draws(rng, replicas), config.lag):
        guess_of_C = system.C.past[0].state[1 + system.d]
        size, event = system.slot(symbol, target)
        if target is not None:  # the sequence before is complete now
            missed, missed_by_C = size[-1], np.abs(guess_of_C - target)
            errors.append((missed, missed_by_C))
            events.append(surprises)
            met = judge.see(1 - target, np.maximum(worst.max(0), missed))
            judge.decide(met, passes_alone(system.A, met, config.lag, test_rng))
            met = judge_of_C.see(1 - target, np.maximum(worst.max(0), missed_by_C))
            judge_of_C.decide(met, np.full(met.size, True))
            if judge.sequences % config.every == 0:
                point = curve_point(config, judge, errors, events)
                for name, value in point.items():
                    history.setdefault(name, []).append(value)
                if watch:
                    watch(judge.sequences, config.sequences, **point, system=system)
            ended = (judge.solved_at[: config.replicas] >= 0).all()
            if judge.sequences >= (least if ended else config.sequences):
                return system, judge, judge_of_C, np.array(errors), np.array(events)
        worst = np.maximum(worst, size) if position else np.zeros_like(size)
        surprises = surprises + event if position else event.astype(int)


def curve_point(config, judge, errors, events):
    """A point of the learning curves: means over systems and the sequences since the last point."""
    ours, plain = slice(config.replicas), slice(config.replicas, None)
    missed, missed_by_C = np.swapaxes(list(errors)[-config.every :], 0, 1)
    return {
        "sequence": judge.sequences,
        "events": float(np.array(events)[-config.every :, ours].mean()),
        "target_error": float(missed[:, ours].mean()),
        "chunker_error": float(missed_by_C[:, ours].mean()),
        "plain_error": float(missed[:, plain].mean()) if config.plain_sequences else None,
        "solved": judge.solved(judge.sequences, ours) / config.replicas,
    }


# --- run and evaluate ----------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train systems with and without the collapse; how many of each solve the task, and when."""
    rng, test_rng = np.random.default_rng(config.seed).spawn(2)
    history, ours, plain = {}, slice(config.replicas), slice(config.replicas, None)
    least = min(config.plain_sequences, config.sequences)
    system, judge, judge_of_C, errors, events = train(rng, test_rng, config, history, watch)
    missed, missed_by_C = errors[..., ours].swapaxes(0, 1)
    first = test_rng.integers(2, size=(1 + FRESH, len(judge.solved_at)))
    alone = play_alone(system.A, first, config.lag)[1][1:, -1, :, system.d]
    right = (alone > 0.5) == (first[1:] == 0)
    metrics = {
        "systems": config.replicas,
        "solved_5k": judge.solved(YARDSTICKS[0], ours),
        "solved_35k": judge.solved(YARDSTICKS[1], ours),
        "median_sequences": needed(judge.solved_at[ours], np.median),
        "slowest_sequences": needed(judge.solved_at[ours], np.max),
        "sequences": judge.sequences,
        "events": float(events[:, ours].mean()),
        "target_err": float(missed.mean()),
        "chunker_accuracy": float((missed_by_C[-RECENT_ANSWERS:] < 0.5).mean()),
        "alone_accuracy": float(right[:, ours].mean()),
        "no_collapse_solved": judge.solved(least, plain) if least else None,
        "hierarchy_sequences": needed(judge_of_C.solved_at[plain], np.median) if least else None,
    }
    return Result(metrics, history, system, judge.solved_at)


def needed(solved_at, statistic):
    """Median or maximum of the sequences needed; None where too few have solved the task."""
    value = statistic(np.where(solved_at < 0, np.inf, solved_at))
    return float(value) if np.isfinite(value) else None


def gradient_check(config: Config = Config(lag=3)) -> float:
    """Worst relative error of PlainNet.learn."""
    rng, n = np.random.default_rng(config.seed), config.lag + 4
    sizes = {"V": n, "v": 1, "O": (n, n - 1), "q": n - 1}
    weights = {name: rng.normal(size=size) for name, size in sizes.items()}
    inputs = rng.random((config.depth + (config.timing == "together"), n))
    start, goal = rng.random(1), rng.random(n - 1)

    def played():
        net = PlainNet(**{name: w.copy() for name, w in weights.items()}, config=config)
        net.h[-1] = start
        for i in inputs:
            net.feed(i)
        return net

    net = played()
    net.learn(goal - net.o)
    grads = {name: (w - getattr(net, name)) / config.learning_rate for name, w in weights.items()}
    return worst_relative_error(lambda: np.sum((goal - played().o) ** 2) / 2, weights, grads)


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
