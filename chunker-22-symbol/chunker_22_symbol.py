"""Chunking: a net that bridges a 20-step lag with error signals that are cut off after three steps.

Task      An endless stream of the sequences a b1 ... b20 and x b1 ... b20 in random order, m = 20, no boundaries, no resets.
          At every slot the next symbol is to be predicted. In the slot after b20 a target d exists: 1 if the last 21 symbols
          were a b1 ... b20, else 0. Solved: errors below 0.3 on all outputs for 20 sequences in a row, both kinds among them
          (except for the symbol units where a or x appears, which nobody can predict), after which a frozen copy of A, alone,
          must do the same on fresh sequences.
Nets      Logistic units, one of them hidden, direct links from all inputs to all units. Inputs i(t): 22 symbols, the target
          that was just shown (0 if there was none), a constant. All units work at once, one activation for each slot:
            h(t) = f(i(t) V + h(t-1) v),   o(t) = f(i(t) O + h(t-1) q)       o(t) is the guess for slot t + 1
          Predictor A: o = (p, d, s) with 22 + 1 + 24 units. Chunker C: the same inputs, o = (p, d).
Learning  at every slot t, by gradient descent on half the squared error, with back-propagation through three activations of h:
            1. A's guess is compared with symbol and target. A largest error above 0.2 makes slot t an event.
            2. A learns: p toward the symbol, d toward the target if there is one, s toward the state (h_C, o_C) that C had at
               the end of slot t - 1 (the collapse).
            3. At an event, C learns from its last guess (d only if A missed it), and is then fed i(t). Otherwise C stands still.
            4. A is fed i(t).
Controls  The same without s (the hierarchy stays, but A never learns from C), and a conventional net: A without C and s,
          back-propagation through the whole sequence.

Arrays    `replicas` independent systems run side by side. O: (rows, replicas, outputs), V: (rows, replicas). Rows: the symbols
          a, x, b1 ... b20, the shown target, the constant, the hidden unit (its row of O is q, of V is v). An input is a row.

    python3 chunker_22_symbol.py --seed 0
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

CONTROL_RATES = (0.1, 0.3, 1.0, 3.0)
CONTROL_NETS = 5  # at each rate


# idiom: option
def option(default, meaning, low=None, high=None, among=()):
    """A field of Config: its default, what it means, and its allowed values, low to high or the words of among."""
    among = (False, True) if isinstance(default, bool) else tuple(among)
    kind = "a whole number" if isinstance(default, int) else "a number"
    allowed = (
        f"one of {', '.join(map(str, among))}" if among else f"{kind} from {low:,} to {high:,}"
    )
    facts = {"meaning": meaning, "low": low, "high": high, "among": among, "allowed": allowed}
    return dataclasses.field(default=default, metadata=facts)


def check_options(config):
    """Raise a ValueError that names field, value and what is allowed unless every value of config is."""
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
    lag: int = option(20, "m, symbols between the first one and the target", 1, 200)
    replicas: int = option(
        17, "independent systems of each kind, chunkers with and without the collapse", 1, 200
    )
    timing: str = option(
        "together",
        "together: outputs see the hidden unit of the slot before; layered: they see it after its own update",
        among=("together", "layered"),
    )
    sequences: int = option(
        35_000,
        "most training sequences of the chunkers; they stop early when all have solved the task",
        1,
        2_000_000,
    )
    plain_sequences: int = option(
        10_000, "training sequences of the systems without the collapse", 0, 2_000_000
    )
    control_sequences: int = option(
        35_000,
        "training sequences of the conventional nets, 5 nets at each of 4 learning rates",
        1,
        2_000_000,
    )
    learning_rate: float = option(1.0, "of A and C", 1e-4, 10)
    depth: int = option(
        3, "activations of the hidden unit through which errors travel back in A and C", 1, 50
    )
    threshold: float = option(0.2, "error of A above which a slot is an event", 0.01, 0.99)
    init: float = option(0.2, "weights start uniform between -init and init", 0, 5)
    every: int = option(100, "sequences between two points of the learning curve", 1, 100_000)

    def __post_init__(self):
        check_options(self)


QUICK = {
    "replicas": 3,
    "sequences": 250,
    "plain_sequences": 0,
    "control_sequences": 500,
    "every": 10,
}


@dataclass
class Result:
    """metrics; history: curves over the sequences; system: the trained Chunkers; judges: who solved
    the task and when."""

    metrics: dict
    history: dict
    system: Chunkers
    judges: dict


# --- the task ------------------------------------------------------------------------------------


def draws(rng, replicas):
    """First symbols of sequence after sequence, for ever: 0 for a, 1 for x, (replicas,)."""
    while True:
        yield rng.integers(2, size=replicas)


def stream(firsts, lag):
    """Slots (position, symbol, target): a first symbol with the target that belongs to the sequence
    before it, then the b's."""
    target = None
    for first in firsts:
        yield 0, first, target
        for position in range(1, lag + 1):
            yield position, position + 1, None
        target = 1.0 - first


class Judge:
    """Watches whether each replica has solved the task, from its errors in every sequence."""

    def __init__(self, replicas):
        self.streak, self.solved_at = np.zeros(replicas, int), np.full(replicas, -1)
        self.first = np.zeros((20, replicas), int)  # first symbols of the last 20 sequences
        self.sequences = 0

    def see(self, first, worst):
        """Take the largest error of a sequence, (replicas,); returns the unsolved replicas that
        have met the criterion."""
        self.first[self.sequences % 20] = first
        self.sequences += 1
        self.streak = np.where(worst < 0.3, self.streak + 1, 0)
        both = (self.first.min(0) == 0) & (self.first.max(0) == 1)
        return np.flatnonzero((self.streak >= 20) & both & (self.solved_at < 0))

    def decide(self, replicas, passed):
        """Those that passed have solved the task now; the others start counting anew."""
        self.solved_at[replicas[passed]] = self.sequences
        self.streak[replicas[~passed]] = 0

    def share(self, sequences, replicas=slice(None)):
        """Share of the replicas that have solved the task within so many sequences; 0 if there are
        none."""
        at = self.solved_at[replicas]
        return float(np.mean((at >= 0) & (at <= sequences))) if at.size else 0.0


# --- the nets ------------------------------------------------------------------------------------


def logistic(x):
    """1 / (1 + exp(-x)), in the memory of x."""
    x *= 0.5
    np.tanh(x, out=x)
    x *= 0.5
    x += 0.5
    return x


@dataclass
class Net:
    """Weights O: (rows, replicas, outputs) and V: (rows, replicas); symbols: how many rows are
    symbols; layered: the timing."""

    O: np.ndarray
    V: np.ndarray
    symbols: int
    layered: bool


def make_net(rng, config, replicas, outputs):
    shape = (config.lag + 5, replicas)
    O, V = (rng.uniform(-config.init, config.init, size) for size in ((*shape, outputs), shape))
    return Net(O, V, config.lag + 2, config.timing == "layered")


def activate(net, symbol, target, at, before):
    """Hidden unit (replicas,) and outputs (replicas, outputs) after an input, for the replicas
    `at`.

    symbol: a number, or one for each replica; target: (replicas,) or None; before: the hidden unit
    one slot earlier.
    """
    shown, one, hidden = net.symbols, net.symbols + 1, net.symbols + 2
    drive = before * net.V[hidden, at]
    drive += net.V[symbol, at]
    drive += net.V[one, at]
    if target is not None:
        drive += target * net.V[shown, at]
    h = logistic(drive)
    guess = (h if net.layered else before)[:, None] * net.O[hidden, at]
    guess += net.O[symbol, at]
    guess += net.O[one, at]
    if target is not None:
        guess += target[:, None] * net.O[shown, at]
    return h, logistic(guess)


def descend(net, step, trace, at):
    """Descend: every weight moves by rate x (error of its unit's drive) x (its input), summed over
    the trace.

    step: rate x error of the outputs' drives; trace: (symbol, where, target, h, before) a slot,
    newest first; `where` goes with symbol, `at` with all other rows. When all units work at once,
    the outputs' error meets h one slot earlier.
    """
    shown, one, hidden = net.symbols, net.symbols + 1, net.symbols + 2
    symbol, where, target, h, before = trace[0]
    error = np.einsum("rk,rk->r", step, net.O[hidden, at])
    net.O[symbol, where] += step
    net.O[one, at] += step
    net.O[hidden, at] += (h if net.layered else before)[:, None] * step
    if target is not None:
        net.O[shown, at] += target[:, None] * step
    own = net.V[hidden, at].copy()  # the self-weight, before it changes
    for symbol, where, target, h, before in trace if net.layered else trace[1:]:
        error = error * h * (1 - h)
        net.V[symbol, where] += error
        net.V[one, at] += error
        net.V[hidden, at] += before * error
        if target is not None:
            net.V[shown, at] += target * error
        error = error * own


def whole_sequence(net, first, target, before):
    """Hidden unit (lag + 1, nets) and guesses (lag + 1, nets, outputs) over one sequence; before:
    the hidden unit ahead of it."""
    shown, one, hidden = net.symbols, net.symbols + 1, net.symbols + 2
    rows = (
        np.concatenate([w[first, np.arange(len(first))][None], w[2:shown]]) + w[one]
        for w in (net.V, net.O)
    )
    drives, guesses = rows
    drives[0] += target * net.V[shown]
    guesses[0] += target[:, None] * net.O[shown]
    h, hs = before, drives
    for t, drive in enumerate(drives):
        h = hs[t] = logistic(drive + h * net.V[hidden])
    seen = hs if net.layered else np.concatenate([before[None], hs[:-1]])
    guesses += seen[..., None] * net.O[hidden]
    return hs, logistic(guesses)


def play_alone(net, first):
    """A alone with its weights as they are: hidden unit (sequences, lag + 1, replicas), guesses
    (..., outputs).

    first: 0 for a, 1 for x, (sequences, replicas).
    """
    before, target, played = np.zeros(first.shape[1]), np.zeros(first.shape[1]), []
    for now in first:
        played.append(whole_sequence(net, now, target, before))
        before, target = played[-1][0][-1], 1.0 - now
    return tuple(np.stack(values) for values in zip(*played, strict=True))


def passes_alone(net, replicas, rng):
    """Whether frozen copies of these replicas' A, without C, keep all errors below 0.3 over 20
    fresh sequences: (replicas,)."""
    if not len(replicas):
        return np.zeros(0, bool)
    first = rng.integers(2, size=(21, len(replicas)))
    first[1:3] = [[0], [1]]  # the first sequence only lets h settle
    guesses = play_alone(
        dataclasses.replace(net, O=net.O[:, replicas], V=net.V[:, replicas]), first
    )[1][1:]
    symbols = np.abs(guesses[:, :-1, :, : net.symbols] - np.eye(net.symbols)[2:, None]).max(
        (0, 1, 3)
    )
    targets = np.abs(guesses[:, -1, :, net.symbols] - (1 - first[1:])).max(0)
    return np.maximum(symbols, targets) < 0.3


# --- the chunking system -------------------------------------------------------------------------


class Chunkers:
    """Replicas of the system; collapse: (replicas,), 1 where A learns to imitate C, else 0."""

    def __init__(self, rng, config, collapse):
        self.config, count, self.known = (
            config,
            len(collapse),
            config.lag + 3,
        )  # known: outputs that face the world
        self.all, self.outputs = np.arange(count), 2 * self.known + 1
        self.A, self.C = (
            make_net(rng, config, count, self.outputs),
            make_net(rng, config, count, self.known),
        )
        self.rate = np.full((count, self.outputs), config.learning_rate)
        self.rate[:, self.known :] *= np.asarray(collapse, float)[:, None]
        # All activations start at zero, where f has no slope, so that nothing is learnt from before
        # the first slot.
        self.h, self.guess, self.goal = np.zeros(count), *np.zeros((2, count, self.outputs))
        self.c_state = self.goal[
            :, self.known :
        ]  # what A's units s should be: C's hidden unit, then its outputs
        kept = config.depth + (config.timing == "together")
        self.trace = [(0, slice(None), None, self.h, self.h)] * kept
        self.c_h, self.c_target = (
            np.zeros((kept + 1, count)),
            np.zeros((kept, count)),
        )  # after events, newest first
        self.c_symbol = np.zeros((kept, count), int)

    def slot(self, symbol, target):
        """One slot of the stream; returns A's largest error, that of its target unit, and who had
        an event, (replicas,) each.

        symbol: a number, or one for each replica; target: (replicas,) or None.
        """
        unit, where = self.known - 1, self.all if np.ndim(symbol) else slice(None)
        self.goal[:, :unit] = 0
        self.goal[where, symbol] = 1
        self.goal[:, unit] = (
            self.guess[:, unit] if target is None else target
        )  # no target, no error
        error = self.goal - self.guess
        missed = np.abs(error[:, : self.known])
        largest = missed.max(1)
        event = largest > self.config.threshold
        error *= self.rate
        error *= self.guess
        error *= 1 - self.guess
        if event.any():
            self.learn_event(np.flatnonzero(event), symbol, target, missed[:, unit])
        descend(self.A, error, self.trace, slice(None))
        before = self.h
        self.h, self.guess = activate(self.A, symbol, target, where, before)
        self.trace = [(symbol, where, target, self.h, before), *self.trace[:-1]]
        return largest, missed[:, unit], event

    def learn_event(self, at, symbol, target, missed):
        """C learns from its last guess, then sees the slot; only in the replicas `at`."""
        symbol, guess, everyone = (
            np.broadcast_to(symbol, len(self.all))[at],
            self.c_state[at, 1:],
            np.arange(len(at)),
        )
        error = -guess
        error[everyone, symbol] += 1
        error[:, -1] = (
            0
            if target is None
            else np.where(missed[at] > self.config.threshold, target[at] - guess[:, -1], 0)
        )
        past = zip(
            self.c_symbol[:, at],
            self.c_target[:, at],
            self.c_h[:-1, at],
            self.c_h[1:, at],
            strict=True,
        )
        trace = [(then, at, shown, h, before) for then, shown, h, before in past]
        descend(self.C, self.config.learning_rate * error * guess * (1 - guess), trace, at)
        for kept in (self.c_symbol, self.c_target, self.c_h):
            kept[1:, at] = kept[:-1, at]
        self.c_symbol[0, at], self.c_target[0, at] = symbol, 0 if target is None else target[at]
        self.c_h[0, at], self.c_state[at, 1:] = activate(
            self.C, symbol, self.c_target[0, at], at, self.c_h[1, at]
        )
        self.c_state[at, 0] = self.c_h[0, at]


# --- training ------------------------------------------------------------------------------------


def train_chunkers(rng, test_rng, config, history, watch=None):
    """Chunkers with and (behind them) without the collapse, trained until all of the first have
    solved the task.

    Also their Judge and the recent past, rows in turn: errors of A's symbol units (the largest), of
    its target unit and of C's target unit in the last 1000 sequences, (1000, replicas); events in
    the last 100, (100, lag + 1, replicas).
    """
    replicas = config.replicas * (2 if config.plain_sequences else 1)
    system = Chunkers(rng, config, np.arange(replicas) < config.replicas)
    judge = Judge(replicas)
    recent = {name: np.zeros((1000, replicas)) for name in ("symbols", "targets", "chunker")}
    recent["events"] = np.zeros((100, config.lag + 1, replicas), bool)
    worst = np.zeros(replicas)
    for position, symbol, target in stream(draws(rng, replicas), config.lag):
        c_guess = system.c_state[:, -1].copy()
        largest, missed, event = system.slot(symbol, target)
        if target is not None:  # the sequence before is complete now
            row = judge.sequences % 1000
            for name, value in (
                ("symbols", worst),
                ("targets", missed),
                ("chunker", np.abs(c_guess - target)),
            ):
                recent[name][row] = value
            met = judge.see(1 - target, np.maximum(worst, missed))
            judge.decide(met, passes_alone(system.A, met, test_rng))
            if judge.sequences % config.every == 0:
                add_point(history, recent, judge, config)
                if watch:
                    watch(
                        judge.sequences,
                        config.sequences,
                        **{name: values[-1] for name, values in history.items()},
                        A=system.A,
                    )
            done = (
                judge.sequences >= config.plain_sequences
                and (judge.solved_at[: config.replicas] >= 0).all()
            )
            if done or judge.sequences >= config.sequences:
                return system, judge, recent
        worst = np.maximum(worst, largest) if position else np.zeros(replicas)
        recent["events"][judge.sequences % 100, position] = event


def add_point(history, recent, judge, config):
    """Append a point of the learning curves, means over replicas and the sequences since the last
    point (events: at most 100)."""
    last = (judge.sequences - 1 - np.arange(min(config.every, 1000))) % 1000
    count = config.replicas
    point = {
        "sequence": judge.sequences,
        "events": float(recent["events"][last[:100] % 100, :, :count].sum(1).mean()),
        "target_error": float(recent["targets"][last, :count].mean()),
        "chunker_error": float(recent["chunker"][last, :count].mean()),
        "plain_error": float(recent["targets"][last, count:].mean())
        if config.plain_sequences
        else 0.5,
        "solved": judge.share(judge.sequences, slice(count)),
    }
    for name, value in point.items():
        history.setdefault(name, []).append(value)


# --- the conventional net ------------------------------------------------------------------------


def whole_descent(net, slope, hs, before, first, target):
    """Descent directions for O and V from the errors of all drives of the outputs in one sequence,
    back to its first symbol."""
    shown, one, hidden = net.symbols, net.symbols + 1, net.symbols + 2
    gate, earlier = hs * (1 - hs), np.concatenate([before[None], hs[:-1]])
    direct = np.einsum("trk,rk->tr", slope, net.O[hidden])
    if (
        not net.layered
    ):  # what the outputs do wrong in a slot is the fault of the hidden unit one slot earlier
        direct = np.concatenate([direct[1:], np.zeros((1, len(before)))])
    delta, error = np.empty_like(hs), 0.0
    for t in reversed(range(len(hs))):
        error = delta[t] = (direct[t] + error * net.V[hidden]) * gate[t]
    O, V = np.zeros_like(net.O), np.zeros_like(net.V)
    for weights, errors, goes in ((O, slope, target[:, None]), (V, delta, target)):
        weights[first, np.arange(len(first))] = errors[0]
        weights[2:shown] = errors[1:]
        weights[shown] = goes * errors[0]
        weights[one] = errors.sum(0)
    O[hidden] = np.einsum("tr,trk->rk", hs if net.layered else earlier, slope)
    V[hidden] = (earlier * delta).sum(0)
    return O, V


def train_control(rng, config, errors):
    """Conventional nets at several learning rates, one update a sequence; their Judge and last 1000
    target errors.

    They pass by their errors during training alone: no frozen copy has to confirm it.
    """
    rate = np.repeat(CONTROL_RATES, CONTROL_NETS)
    nets = len(rate)
    net, judge = make_net(rng, config, nets, config.lag + 3), Judge(nets)
    misses = np.zeros((min(1000, config.control_sequences), nets))
    before, target, first = np.zeros(nets), np.zeros(nets), rng.integers(2, size=nets)
    goal = np.zeros((config.lag + 1, nets, config.lag + 3))
    goal[np.arange(config.lag), :, np.arange(2, config.lag + 2)] = 1
    for sequence in range(config.control_sequences):
        following = rng.integers(2, size=nets)
        hs, guesses = whole_sequence(net, first, target, before)
        goal[-1, :, :2] = np.eye(2)[following]
        goal[-1, :, -1] = 1.0 - first
        error = goal - guesses
        error[:-1, :, -1] = 0
        misses[sequence % len(misses)] = missed = np.abs(error[-1, :, -1])
        met = judge.see(first, np.maximum(np.abs(error[:-1]).max(0).max(1), missed))
        judge.decide(met, np.full(met.size, True))
        O, V = whole_descent(net, error * guesses * (1 - guesses), hs, before, first, target)
        net.O += rate[:, None] * O
        net.V += rate * V
        before, target, first = hs[-1], 1.0 - first, following
        if (sequence + 1) % config.every == 0:
            errors.append(
                float(
                    misses[
                        (sequence - np.arange(min(config.every, len(misses)))) % len(misses)
                    ].mean()
                )
            )
    return judge, misses


# --- run and evaluate ----------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train chunkers with and without the collapse and the conventional nets; share of each that
    solves the task."""
    rng, test_rng, control_rng = np.random.default_rng(config.seed).spawn(3)
    history, errors = {}, []
    system, judge, recent = train_chunkers(rng, test_rng, config, history, watch)
    control, missed = train_control(control_rng, config, errors)
    points = len(history.get("sequence", []))
    history["control_error"] = [*errors, *[float(missed.mean())] * points][:points]
    metrics = {
        **summary(config, system, judge, recent, test_rng),
        "control_solved": control.share(config.control_sequences),
        "control_target_err": float(missed.mean(0).min()),
        "control_accuracy": float((missed < 0.5).mean()),
    }
    return Result(metrics, history, system, {"chunkers": judge, "control": control})


def summary(config, system, judge, recent, rng):
    """Metrics of the chunking systems."""
    with_collapse, last = (
        slice(config.replicas),
        (judge.sequences - 1 - np.arange(min(judge.sequences, 1000))) % 1000,
    )
    solved_at = judge.solved_at[with_collapse]
    solved = solved_at >= 0
    needed = np.sort(np.where(solved, solved_at, config.sequences))
    events = recent["events"][: judge.sequences, :, with_collapse].sum(1).mean(0)
    first = rng.integers(2, size=(101, len(system.all)))
    right = (play_alone(system.A, first)[1][1:, -1, :, config.lag + 2] > 0.5) == (first[1:] == 0)
    return {
        "solved_5k": judge.share(5000, with_collapse),
        "solved_35k": judge.share(35_000, with_collapse),
        "no_collapse_solved": judge.share(config.plain_sequences, slice(config.replicas, None)),
        "events_end": float(events[solved].mean()) if solved.any() else config.lag + 1.0,
        "events_all": float(events.mean()),  # over all replicas, solved or not
        "symbol_error": float(recent["symbols"][last[:10], with_collapse].max()),
        "target_err": float(recent["targets"][last, with_collapse].mean()),
        "chunker_accuracy": float(
            (recent["chunker"][last[:200], with_collapse] < 0.5).mean()
        ),  # C's own guess of the target
        "alone_accuracy": float(right[:, with_collapse].mean()),  # A without C, weights as they are
        "sequences": judge.sequences,
        "median_sequences": float(np.median(needed)),
        **{
            f"solved_at_{i + 1}": int(value) for i, value in enumerate(needed)
        },  # by rank; the limit if never
    }


def gradient_check(config: Config = Config(lag=3)) -> float:
    """Worst relative error of the truncated descent directions and of those through a whole
    sequence."""
    rng, count, everyone = np.random.default_rng(config.seed), 3, np.arange(3)
    net = make_net(rng, dataclasses.replace(config, init=1.0), count, config.lag + 3)
    length = config.depth + (not net.layered)
    inputs = [(rng.integers(config.lag + 2, size=count), rng.random(count)) for _ in range(length)]
    start, goal = rng.random(count), rng.random((config.lag + 1, count, config.lag + 3))
    first, target = rng.integers(2, size=count), rng.random(count)

    def unroll():
        h, trace = start, []
        for symbol, shown in inputs:
            before = h
            h, guess = activate(net, symbol, shown, everyone, before)
            trace.insert(0, (symbol, everyone, shown, h, before))
        return guess, trace

    def grads(weights):
        return {name: getattr(net, name) - getattr(weights, name) for name in "OV"}

    weights, (guess, trace) = {"O": net.O, "V": net.V}, unroll()
    after = dataclasses.replace(net, O=net.O.copy(), V=net.V.copy())
    descend(after, (goal[0] - guess) * guess * (1 - guess), trace, everyone)
    truncated = worst_relative_error(
        lambda: 0.5 * np.sum((goal[0] - unroll()[0]) ** 2), weights, grads(after)
    )
    hs, guesses = whole_sequence(net, first, target, start)
    O, V = whole_descent(net, (goal - guesses) * guesses * (1 - guesses), hs, start, first, target)
    loss = lambda: 0.5 * np.sum((goal - whole_sequence(net, first, target, start)[1]) ** 2)  # noqa: E731
    return max(truncated, worst_relative_error(loss, weights, {"O": -O, "V": -V}))


# idiom: gradient_check
def worst_relative_error(loss, weights, grads, most=60, eps=1e-5):
    """Largest relative difference between grads and the central differences of loss().

    loss() reads the float64 arrays of the dict weights; grads holds its gradient, array by array. At most `most` entries
    of each array are tried, evenly spread. Entries far below an array's largest are judged against that one.
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
        parser.add_argument(
            "--" + field.name.replace("_", "-"), help=text.replace("%", "%%"), **kind
        )
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
