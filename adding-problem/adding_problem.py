"""Adding problem: an LSTM with 93 weights adds two marked real numbers that it saw at least T/2 steps ago.

Task      A sequence is n pairs (value, marker), n uniform in T ... T + T/10, values uniform in [-1, 1]. The marker is -1 at the
          first and the last pair, 1 at two pairs, else 0. The two: one of the first ten (value X1), then one of the first T/2 - 1
          not yet marked (X2). If that is the first pair, its marker stays -1 and its value counts as 0. After the last pair the
          output must be 1/2 + (X1 + X2)/4; a sequence is right if it is less than 0.04 off. No error is known before.
Net       y = [2 input gates | 2 output gates | 2 blocks of 2 cells], net(t) = W [x(t), 1, y(t-1)]:
              in, out = sigm(net),  g = 4 sigm(net) - 2,  s(t) = s(t-1) + in g,  h = 2 sigm(s) - 1,  y_cell = out h,
          one gate pair a block, no forget gate; o = sigm(V [1, y_cells]). 8 x 11 + 5 = 93 weights.
Learning  the truncated gradient: errors flow back through s, never through y(t-1), so that no loop over time is needed. The
          error is the cross-entropy of o and the target, whose gradient at the output's net sum is o - target, or the paper's
          E = (o - target)^2 / 2, whose gradient (o - target) o (1 - o) fades where the target is near 0 or 1.
          Control: a tanh net with 8 units and full back-propagation through time, from two kinds of start.
Shapes    nets learn in lock-step. x: (time, nets, 2, batch), y and net sums: (time, nets, 8, batch), W: (nets, 8, 11),
          V: (nets, 1, 5).

    python3 adding_problem.py --seed 0
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
    T: int = option(
        100,
        "shortest length of a sequence [steps]; the two values lie at least T/2 before its end",
        24,
        2000,
    )
    sequences: int = option(200_000, "most training sequences", 100, 10_000_000)
    task: str = option(
        "paper",
        "the paper's, or that of the earlier catalog: one length, second mark in the second half, no marks at the ends",
        among=("paper", "v1"),
    )
    online: bool = option(
        False,
        "the paper's own learning rule, plain gradient descent after every sequence, ten nets in lock-step",
    )
    loss: str = option(
        "cross-entropy",
        "error that is learnt from, cross-entropy or the paper's squared error",
        among=("cross-entropy", "squared"),
    )
    batch: int = option(8, "sequences in an update, unless online", 1, 256)
    rate: float = option(0.03, "Adam's step size, or the paper's alpha if online", 1e-5, 10)
    decay: int = option(
        20_000,
        "sequences after which Adam's step size is halved; it goes as 1 / (1 + seen / decay)",
        100,
        100_000_000,
    )
    average: int = option(
        2000,
        "sequences over which the weights that are tested and kept are averaged (1: none)",
        1,
        100_000,
    )
    in_a_row: int = option(
        4000,
        "training stops when this many sequences in a row were right with mean |error| below 0.01 (paper: 2000)",
        2000,
        100_000,
    )
    controls: bool = option(True, "whether to train the two recurrent nets without gates as well")
    control_rate: float = option(0.01, "Adam's step size for these", 1e-5, 10)
    control_sequences: int = option(
        74_000,
        "least number of training sequences for these; they get as many as the LSTM if that took more",
        0,
        10_000_000,
    )
    test_sequences: int = option(2560, "fresh sequences in the test", 10, 100_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"T": 30, "sequences": 32_000, "batch": 32, "rate": 0.05, "controls": False}


@dataclass
class Result:
    """metrics: see evaluate(); history: long form, "net" says whose; nets: name -> weights; test:
    targets and outputs."""

    metrics: dict
    history: dict
    nets: dict
    test: dict


# --- the task -------------------------------------------------------------------------------------


def make_batch(rng, T, nets, batch, task="paper"):
    """Sequences x (n, nets, 2, batch) of one common length n, drawn anew, and their targets (nets,
    batch)."""
    shape = (nets, batch)
    if task == "paper":
        n = int(rng.integers(T, T + T // 10 + 1))
        first = rng.integers(0, 10, shape)
        second = rng.integers(0, T // 2 - 2, shape)
        second += second >= first  # one of the first T/2 - 1 pairs but the first choice
    else:
        n, first, second = T, rng.integers(0, T // 2, shape), rng.integers(T // 2, T, shape)
    x = np.zeros((n, nets, 2, batch), np.float32)
    x[:, :, 0] = rng.uniform(-1, 1, (n, *shape))
    net, item = np.ogrid[:nets, :batch]
    x[first, net, 1, item] = x[second, net, 1, item] = 1
    if task == "paper":
        x[[0, -1], :, 1] = -1
    marked = (x[:, :, 1] == 1) * x[:, :, 0]
    return x, 0.5 + marked.sum(0) / 4


# --- the LSTM -------------------------------------------------------------------------------------

INPUT_GATES, OUTPUT_GATES, CELLS = slice(0, 2), slice(2, 4), slice(4, 8)


def init_lstm(rng, nets):
    """The paper's start: all weights in [-0.1, 0.1], input gates biased towards closed, the second
    one more."""
    weights = {
        "W": rng.uniform(-0.1, 0.1, (nets, 8, 11)),
        "V": rng.uniform(-0.1, 0.1, (nets, 1, 5)),
    }
    weights["W"][:, INPUT_GATES, 2] = -3, -6
    return {name: w.astype(np.float32) for name, w in weights.items()}


def lstm_forward(weights, x):
    """Outputs o (nets, batch), and what the gradient needs: Z, Y (both (time, nets, 8, batch)), the
    last h and cell states.

    Z = tanh(net / 2), so that sigm(net) = (1 + Z) / 2 and g = 2 Z. Y = 2 y, with a zero row before
    the first; both factors go into the weights, and s(t) - s(t-1) = in g is just (1 + Z_in) Z_g.
    """
    n, nets, _, batch = np.broadcast_shapes(x.shape, (1, len(weights["W"]), 1, 1))
    Z = (weights["W"][:, :, :2] / 2) @ x + weights["W"][:, :, 2:3] / 2
    recurrent = weights["W"][:, :, 3:] / 4
    Y, sums = np.zeros((n + 1, nets, 8, batch), Z.dtype), np.empty((nets, 8, batch), Z.dtype)
    s, h, scratch = (np.zeros((nets, 2, 2, batch), Z.dtype) for _ in range(3))
    gates, cells = Z[:, :, :4], blocks(Z)
    twice_gates, twice_in, twice_out, twice_cells = (
        Y[:, :, :4],
        Y[:, :, :2, None],
        Y[:, :, 2:4, None],
        blocks(Y),
    )
    for t in range(n):
        np.matmul(recurrent, Y[t], out=sums)
        np.tanh(np.add(Z[t], sums, out=Z[t]), out=Z[t])
        np.add(gates[t], 1, out=twice_gates[t + 1])
        s += np.multiply(twice_in[t + 1], cells[t], out=scratch)
        np.tanh(np.multiply(s, 0.5, out=scratch), out=h)
        np.multiply(twice_out[t + 1], h, out=twice_cells[t + 1])
    o = sigmoid(weights["V"][:, :, 1:] @ (Y[-1, :, CELLS] / 2) + weights["V"][:, :, :1])
    return o[:, 0], (Z, Y, h, s)


def blocks(units):
    """The cells of (time, nets, 8, batch) as (time, nets, block, cell, batch), a view."""
    return units[:, :, CELLS].reshape(*units.shape[:2], 2, 2, units.shape[3])


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def lstm_backward(weights, x, e, kept):
    """The truncated gradient, e (nets, 1, batch) being the error at the net sum of the output.

    The error e_s at the cell states is the same at every step, since s(t) = s(t-1) + ... and
    nothing flows through y(t-1).
    """
    Z, Y, h, _ = kept
    n, nets, _, batch = Z.shape
    d = (weights["V"][:, :, 1:].swapaxes(1, 2) * e).reshape(nets, 2, 2, batch)
    gate_in, gate_out, g_half = Y[1:, :, INPUT_GATES] / 2, Y[-1, :, OUTPUT_GATES] / 2, blocks(Z)
    e_s = gate_out[:, :, None] * d * (1 - h**2) / 2
    delta = np.zeros_like(Z)
    delta[-1, :, OUTPUT_GATES] = gate_out * (1 - gate_out) * (h * d).sum(2)
    delta[:, :, INPUT_GATES] = gate_in * (1 - gate_in) * 2 * (g_half * e_s).sum(3)
    delta[:, :, CELLS] = (e_s * gate_in[:, :, :, None] * (1 - g_half**2)).reshape(n, nets, 4, batch)
    delta = over_time(delta)
    inputs = (
        over_time(np.broadcast_to(x, (n, nets, 2, batch))),
        np.ones((nets, 1, n * batch), Z.dtype),
        over_time(Y[:-1]) / 2,
    )
    y_cells = np.concatenate([np.ones_like(e), Y[-1, :, CELLS] / 2], 1)
    return {"W": delta @ np.concatenate(inputs, 1).swapaxes(1, 2), "V": e @ y_cells.swapaxes(1, 2)}


def over_time(units):
    """(time, nets, units, batch) -> (nets, units, time * batch)."""
    return units.transpose(1, 2, 0, 3).reshape(*units.shape[1:3], -1)


# --- the control: a recurrent net without gates ---------------------------------------------------


def init_rnn(rng):
    """Two nets with 97 weights: all of U[-0.1, 0.1], and the same with an orthogonal recurrent
    matrix."""
    weights = {"W": rng.uniform(-0.1, 0.1, (2, 8, 11)), "V": rng.uniform(-0.1, 0.1, (2, 1, 9))}
    weights["W"][1, :, 3:] = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    return {name: w.astype(np.float32) for name, w in weights.items()}


def rnn_forward(weights, x):
    """Outputs o (nets, batch) and the states H (time + 1, nets, 8, batch)."""
    drive = weights["W"][:, :, :2] @ x + weights["W"][:, :, 2:3]
    H, recurrent = (
        np.zeros((len(x) + 1, *drive.shape[1:]), drive.dtype),
        np.ascontiguousarray(weights["W"][:, :, 3:]),
    )
    for t in range(len(x)):
        np.matmul(recurrent, H[t], out=H[t + 1])
        np.tanh(np.add(H[t + 1], drive[t], out=H[t + 1]), out=H[t + 1])
    o = sigmoid(weights["V"][:, :, 1:] @ H[-1] + weights["V"][:, :, :1])
    return o[:, 0], H


def rnn_backward(weights, x, e, H):
    """The full gradient, e (nets, 1, batch) being the error at the net sum of the output."""
    n, nets, _, batch = H[1:].shape
    delta, back = 1 - H[1:] ** 2, np.ascontiguousarray(weights["W"][:, :, 3:].swapaxes(1, 2))
    delta[-1] *= weights["V"][:, :, 1:].swapaxes(1, 2) * e
    for t in range(n - 2, -1, -1):
        delta[t] *= back @ delta[t + 1]
    delta = over_time(delta)
    inputs = (
        over_time(np.broadcast_to(x, (n, nets, 2, batch))),
        np.ones((nets, 1, n * batch), H.dtype),
        over_time(H[:-1]),
    )
    states = np.concatenate([np.ones_like(e), H[-1]], 1)
    return {"W": delta @ np.concatenate(inputs, 1).swapaxes(1, 2), "V": e @ states.swapaxes(1, 2)}


# --- learning -------------------------------------------------------------------------------------


# idiom: adam
class Adam:
    """Adam (Kingma & Ba 2015) over a dict of arrays, which step() updates in place."""

    def __init__(self, weights, rate, beta1=0.9, beta2=0.999, eps=1e-8):
        self.rate, self.beta1, self.beta2, self.eps, self.t = rate, beta1, beta2, eps, 0
        self.mean = {name: np.zeros_like(w) for name, w in weights.items()}
        self.square = {name: np.zeros_like(w) for name, w in weights.items()}

    def step(self, weights, grads):
        """Move every array of weights that has an entry in grads (same shapes) one step downhill."""
        self.t += 1
        rate = self.rate * float(np.sqrt(1 - self.beta2**self.t)) / (1 - self.beta1**self.t)
        for name, g in grads.items():
            mean, square = self.mean[name], self.square[name]
            mean += (1 - self.beta1) * (g - mean)
            square += (1 - self.beta2) * (g * g - square)
            weights[name] -= rate * mean / (np.sqrt(square) + self.eps)


# end idiom


TOLERANCE = 0.04


def output_error(o, target, loss):
    """Gradient of the batch's mean loss with respect to the net sums of the output, (nets, 1,
    batch)."""
    slope = o * (1 - o) if loss == "squared" else 1
    return ((o - target) * slope / o.shape[1])[:, None]


class Criterion:
    """Stop criterion for nets in lock-step: enough training sequences in a row right, their mean
    |error| below 0.01."""

    def __init__(self, in_a_row, weights):
        self.best = {
            name: w.copy() for name, w in weights.items()
        }  # with which each net met the criterion
        nets = len(weights["W"])
        self.errors, self.seen, self.met_at = np.ones((nets, in_a_row)), 0, np.full(nets, np.inf)

    def add(self, errors, weights):
        """Take in |error| (nets, batch) of sequences scored before they were learnt from."""
        in_a_row = self.errors.shape[1]
        self.errors = np.concatenate([self.errors, errors], 1)[:, -in_a_row:]
        self.seen += errors.shape[1]
        met = (
            np.isinf(self.met_at) & (self.errors.max(1) < TOLERANCE) & (self.errors.mean(1) < 0.01)
        )
        self.met_at[met] = self.seen
        for name, w in weights.items():
            self.best[name][met | np.isinf(self.met_at)] = w[met | np.isinf(self.met_at)]


def train(kind, weights, config, rng, most, history, watch):
    """Train nets in lock-step for at most `most` sequences; returns the paper's criterion and that
    of config, with their weights.

    kind is "lstm", whose nets learn from streams of their own and stop when all have met the
    criterion, or "rnn", whose nets share the stream of a single LSTM and go on to the end.
    """
    forward, backward = (
        (lstm_forward, lstm_backward) if kind == "lstm" else (rnn_forward, rnn_backward)
    )
    streams, batch = (
        len(weights["W"]) if kind == "lstm" else 1,
        1 if config.online else config.batch,
    )
    paper, own = Criterion(2000, weights), Criterion(config.in_a_row, weights)
    base = config.rate if kind == "lstm" else config.control_rate
    mean = {name: w.copy() for name, w in weights.items()}
    adam = Adam(
        weights, base, beta2=0.99
    )  # a rare large error is forgotten after some hundred updates
    while own.seen < most:
        x, target = make_batch(rng, config.T, streams, batch, config.task)
        o, kept = forward(weights, x)
        for criterion in (paper, own):
            criterion.add(np.abs(o - target), mean)
        if own.seen % 1024 < batch:
            report(kind, own, most, mean, history, watch)
        if kind == "lstm" and np.isfinite(own.met_at).all():
            break
        grads = backward(weights, x, output_error(o, target, config.loss), kept)
        if config.online:
            for name, grad in grads.items():
                weights[name] -= base * grad
        else:
            adam.rate = base / (1 + own.seen / config.decay)
            adam.step(weights, grads)
        for name, w in weights.items():
            mean[name] += min(1, batch / config.average) * (w - mean[name])
    return paper, own


def report(kind, criterion, most, weights, history, watch):
    """Add a point to the learning curves and let the watcher see the nets."""
    last = criterion.errors[:, -1000:]
    error, right = last.mean(1), (last < TOLERANCE).mean(1)
    for i in range(len(error)):
        names = {"lstm": f"lstm {i}", "rnn": ("rnn uniform", "rnn orthogonal")[i % 2]}
        point = {
            "net": names[kind],
            "sequences": criterion.seen,
            "error": float(error[i]),
            "right": float(right[i]),
        }
        for name, value in point.items():
            history.setdefault(name, []).append(value)
    if watch:
        watch(
            criterion.seen,
            most,
            error=float(error.min()),
            right=float(right.max()),
            kind=kind,
            weights=weights,
        )


def run(config: Config = Config(), watch=None) -> Result:
    """Train the LSTM (ten of them if online), then the controls on the same stream; test all on
    fresh sequences."""
    init_rng, control_rng, stream, test_rng = np.random.default_rng(config.seed).spawn(4)
    history, same_stream = {}, np.random.default_rng(config.seed).spawn(4)[2]
    start = init_lstm(init_rng, 10 if config.online else 1)
    paper, own = train("lstm", start, config, stream, config.sequences, history, watch)
    nets, test = {"lstm": own.best}, make_test(test_rng, config)
    metrics = evaluate_lstm(paper, own, test, config)
    if config.controls and not config.online:
        most = max(config.control_sequences, own.seen)
        paper_rnn, rnn = train(
            "rnn", init_rnn(control_rng), config, same_stream, most, history, watch
        )
        nets["rnn"] = rnn.best
        metrics |= evaluate_rnn(paper_rnn, rnn.best, test, metrics["test_mse"])
    outputs = {
        name: outputs_of(rnn_forward if name == "rnn" else lstm_forward, net, test)
        for name, net in nets.items()
    }
    return Result(metrics, history, nets, {"target": targets_of(test), **outputs})


# --- evaluation -----------------------------------------------------------------------------------


def make_test(rng, config):
    """Ten batches, of lengths of their own, with test_sequences sequences altogether."""
    return [
        make_batch(rng, config.T, 1, len(part), config.task)
        for part in np.array_split(np.arange(config.test_sequences), 10)
    ]


def outputs_of(forward, weights, test):
    """Outputs of every net on all test sequences, (nets, sequences)."""
    return np.concatenate([forward(weights, x)[0] for x, _ in test], 1)


def targets_of(test):
    return np.concatenate([target for _, target in test], 1)[0]


def evaluate_lstm(paper, own, test, config):
    """Metrics of the LSTMs; for several nets their means, and the share that solved the task.

    sequences is what config's own criterion took, and the test is of the weights then; ..._2000 are
    those of the paper's.
    """
    error = outputs_of(lstm_forward, own.best, test) - targets_of(test)
    early = outputs_of(lstm_forward, paper.best, test) - targets_of(test)
    wrong, wrong_early = ((np.abs(e) >= TOLERANCE).sum(1) for e in (error, early))
    allowed = 3 * config.test_sequences / 2560
    return {
        "solved": float(np.mean(np.isfinite(own.met_at) & (wrong <= allowed))),
        "sequences": float(np.mean(np.minimum(own.met_at, config.sequences))),
        "wrong": float(np.mean(wrong)),
        "wrong_most": int(wrong.max()),
        "solved_2000": float(np.mean(np.isfinite(paper.met_at) & (wrong_early <= allowed))),
        "sequences_2000": float(np.mean(np.minimum(paper.met_at, config.sequences))),
        "wrong_2000": float(np.mean(wrong_early)),
        "test_error": float(np.mean(np.abs(error))),
        "test_mse": float(np.mean(error**2)),
        "raw_mse": float(np.mean((4 * error) ** 2)),
        "raw_right": float(np.mean(np.abs(4 * error) < TOLERANCE)),
    }


def evaluate_rnn(paper, weights, test, lstm_mse):
    """Metrics of the better of the two starts of the net without gates, by the paper's own, easier
    criterion."""
    mse = ((outputs_of(rnn_forward, weights, test) - targets_of(test)) ** 2).mean(1)
    return {
        "rnn_solved": int(np.isfinite(paper.met_at).any()),
        "rnn_mse_uniform": float(mse[0]),
        "rnn_mse_orthogonal": float(mse[1]),
        "rnn_ratio": float(mse.min() / lstm_mse),
    }


def gradient_check(config: Config = Config(T=24)) -> float:
    """Worst relative error against central differences: the LSTM's with y(t-1) held at its values,
    the control's as it is."""
    rng = np.random.default_rng(config.seed)
    x, target = make_batch(rng, config.T, 1, 3)
    x = x.astype(float)
    lstm = {name: rng.normal(0, 0.4, w.shape) for name, w in init_lstm(rng, 1).items()}
    o, kept = lstm_forward(lstm, x)
    held = np.concatenate([x, np.ones_like(x[:, :, :1]), kept[1][:-1] / 2], 2)

    def truncated_loss():
        net = lstm["W"] @ held
        gates, g = sigmoid(net[:, :, :4]), blocks(4 * sigmoid(net) - 2)
        h = 2 * sigmoid((gates[:, :, INPUT_GATES, None] * g).sum(0)) - 1
        y = (gates[-1, :, OUTPUT_GATES, None] * h).reshape(1, 4, 3)
        return 0.5 * np.mean(
            (sigmoid(lstm["V"][:, :, 1:] @ y + lstm["V"][:, :, :1])[:, 0] - target) ** 2
        )

    def full_loss():
        o = rnn_forward(rnn, x)[0]
        return -np.sum(target * np.log(o) + (1 - target) * np.log(1 - o)) / 3

    worst = worst_relative_error(
        truncated_loss, lstm, lstm_backward(lstm, x, output_error(o, target, "squared"), kept)
    )
    rnn = {name: w.astype(float) for name, w in init_rnn(rng).items()}
    o, states = rnn_forward(rnn, x)
    return max(
        worst,
        worst_relative_error(
            full_loss, rnn, rnn_backward(rnn, x, output_error(o, target, "cross-entropy"), states)
        ),
    )


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
