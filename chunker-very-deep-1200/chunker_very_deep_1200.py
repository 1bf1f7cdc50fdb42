"""A chunker of three levels: what a net can predict is left out of what the next one reads, and a
lag of 1201 steps becomes one.

Task      27 symbols. A sequence is a or x (half of the time each), then 60 words, then Ya if it
          began with a, Yx if with x. Word j is a head, H1 to H4 in turn, and then always the same
          tail c1 ... c19. 1202 symbols; predict each from those before. The exact strings of the
          thesis are lost; these need two compressions.
Nets      Level k is an Elman net on one-hot symbols i, h(t) = tanh(U i(t) + R h(t-1) + b), with
          o(t) = softmax(V h(t) + c), the prediction of i(t+1). 32, 16 and 8 units.
Stack     Schmidhuber 1993, chapter 7: train a level without teacher to predict its next input and
          freeze it; what it does not expect, |o - i| > 0.2 in some place (and the first symbol of a
          sequence), is the input of the next level, in order. Gradients go back 3 steps, at every
          level. The answer is one more symbol; the top level's prediction counts.
          Controls: the stack cut to two levels; one net on the raw sequence, its gradient going
          back 3 steps or all 1201. They have to choose between Ya and Yx only.
          Standard task: a or x, b1 ... b20, Ya or Yx, with logistic units and plain descent.
Shapes    Symbols (time, sequences), -1 behind the end; h (time + 1, sequences, units).
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

HEADS, TAIL, SYMBOLS, ANSWERS = 4, 19, 27, 25  # Ya is 25, Yx 26; heads from 2, tails from 6
UNITS, RATES, UPDATES = (32, 16, 8), (0.02, 0.02, 0.05), (150, 100, 60)
EPSILON, BACK, LEARNT, TESTED = 0.2, 3, 20, 400  # sequences to learn from and to be tested on
WINDOW, WINDOWS = 40, 24  # level 0 reads windows of so many symbols, 3 from either end
CONTROL_BATCH, CONTROL_RATE, ANSWER_WEIGHT = 16, 0.003, 60.0


@dataclass(frozen=True)
class Config:
    """A lag of 1201; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    words: int = option(60, "words of 20 symbols in a sequence", 2, 500)
    levels: int = option(3, "levels of the stack", 1, 3)
    control_updates: int = option(0, "updates of nets on the raw sequence (0: none)", 0, 100_000)
    standard: bool = option(True, "the task of 22 symbols, too")

    def __post_init__(self):
        check_options(self)


QUICK = {"words": 24}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves: level, update, mean loss of its predictions
    levels: list  # the trained Elman nets, from below
    streams: list  # what each level read of the test sequences, (time, sequences)


# --- sequences ------------------------------------------------------------------------------------


def make_sequences(rng, count, words):
    """Symbols (20 words + 2, count) and classes (count,), 0 for a and 1 for x."""
    classes = rng.integers(0, 2, count)
    heads = 2 + np.arange(words) % HEADS
    tails = np.tile(np.arange(6, 6 + TAIL), (words, 1))
    middle = np.concatenate([heads[:, None], tails], 1).ravel()
    symbols = np.repeat(np.concatenate([[0], middle, [0]])[:, None], count, 1)
    symbols[0], symbols[-1] = classes, ANSWERS + classes
    return symbols, classes


# --- one predictor --------------------------------------------------------------------------------


class Elman:
    """A recurrent net that predicts its next input: tanh and softmax, or logistic throughout."""

    def __init__(self, rng, units, symbols=SYMBOLS, softmax=True, dtype=float):
        shapes = {"U": (symbols, units), "V": (units, symbols)}
        self.w = {name: rng.normal(0, 0.3, shape) for name, shape in shapes.items()}
        self.w["R"] = rng.normal(0, 0.3 / math.sqrt(units), (units, units))
        self.w |= {"b": np.zeros(units), "c": np.zeros(symbols)}
        self.w = {name: w.astype(dtype) for name, w in self.w.items()}
        self.softmax = softmax

    def forward(self, symbols):
        """States h (time + 1, sequences, units) and predictions o (time, sequences, symbols)."""
        w, n = self.w, len(symbols)
        given = w["U"][symbols] + w["b"]
        h = np.zeros((n + 1, symbols.shape[1], len(w["b"])), w["U"].dtype)
        for t in range(n):
            now = given[t] + h[t] @ w["R"]
            h[t + 1] = np.tanh(now) if self.softmax else logistic(now)
        o = h[1:] @ w["V"] + w["c"]
        if not self.softmax:
            return h, logistic(o)
        o = np.exp(o - o.max(2, keepdims=True))
        return h, o / o.sum(2, keepdims=True)

    def gradients(self, symbols, h, o, targets, weight, back):
        """Of the sum of weighted losses, each error going back `back` steps at most (0: all).

        Loss: cross-entropy with softmax, half the squared error else. targets (time, sequences) of
        weight 0 are not asked; weight has the same shape. Returns losses, and gradients.
        """
        w, n = self.w, len(symbols)
        off = o.copy()
        off[np.arange(n)[:, None], np.arange(o.shape[1]), targets] -= 1
        if self.softmax:
            chance = np.take_along_axis(o, targets[:, :, None], 2)[:, :, 0]
            losses, slope = -np.log(np.maximum(chance, 1e-30)), 1 - h[1:] ** 2
            e = off * weight[:, :, None]
        else:
            losses, slope = (off * off).sum(2) / 2, h[1:] * (1 - h[1:])
            e = off * o * (1 - o) * weight[:, :, None]
        e = e.astype(h.dtype)
        d = (e @ w["V"].T) * slope
        if back:
            now = d.copy()
            for _ in range(back - 1):  # the errors of all times, one step further back
                now = (now[1:] @ w["R"].T) * slope[: len(now) - 1]
                d[: len(now)] += now
        else:
            for t in range(n - 2, -1, -1):
                d[t] += (d[t + 1] @ w["R"].T) * slope[t]
        flat, units = d.reshape(-1, d.shape[2]), len(w["b"])
        one_hot = np.eye(len(w["U"]), dtype=h.dtype)[symbols.ravel()]
        grads = {
            "U": one_hot.T @ flat,
            "R": h[:-1].reshape(-1, units).T @ flat,
            "b": flat.sum(0),
            "V": h[1:].reshape(-1, units).T @ e.reshape(-1, e.shape[2]),
            "c": e.sum((0, 1)),
        }
        return losses, grads


def unexpected(net, symbols):
    """What the net does not expect of sequences padded with -1: its inputs to the next level.

    The first symbol always; afterwards i(t) where |o(t-1) - i(t)| > 0.2 in some place.
    """
    _, o = net.forward(np.maximum(symbols, 0))
    o = o[:-1].copy()
    o[np.arange(len(o))[:, None], np.arange(o.shape[1]), symbols[1:]] -= 1
    surprise = np.ones(symbols.shape, bool)
    surprise[1:] = np.abs(o).max(2) > EPSILON
    surprise &= symbols >= 0
    return compact(symbols, surprise)


def compact(symbols, chosen):
    """The chosen symbols of every sequence, in order, padded with -1."""
    out = np.full((max(1, chosen.sum(0).max()), symbols.shape[1]), -1)
    place = np.cumsum(chosen, 0) - 1
    time_, sequence = np.nonzero(chosen)
    out[place[time_, sequence], sequence] = symbols[time_, sequence]
    return out


# --- the stack ------------------------------------------------------------------------------------


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


def windows_of(rng, symbols):
    """24 random windows of 40 symbols: (40, 24); three begin and three end the sequence."""
    n, count = symbols.shape
    starts = rng.integers(0, n - WINDOW + 1, WINDOWS) if n > WINDOW else np.zeros(WINDOWS, int)
    starts[:3], starts[3:6] = 0, max(0, n - WINDOW)
    steps = np.arange(min(WINDOW, n))[:, None] + starts
    return symbols[steps, rng.integers(0, count, WINDOWS)]


def train_level(net, level, symbols, rng, history, watch):
    """Let a level learn to predict its next input, windows of it or, above level 0, all of it."""
    adam = Adam(net.w, RATES[level])
    for update in range(1, UPDATES[level] + 1):
        part = windows_of(rng, symbols) if level == 0 else symbols
        inputs, targets = np.maximum(part[:-1], 0), np.maximum(part[1:], 0)
        asked = (part[1:] >= 0) / max((part[1:] >= 0).sum(), 1)
        h, o = net.forward(inputs)
        losses, grads = net.gradients(inputs, h, o, targets, asked, BACK)
        adam.step(net.w, grads)
        loss = float((losses * asked).sum())
        for name, value in zip(history, (level, update, loss), strict=True):
            history[name].append(value)
        if watch:
            watch(update, UPDATES[level], level=level, loss=loss, nets=[net])


def train_stack(config, rng, history, watch):
    """Train level after level on 20 sequences; returns the nets from below."""
    stream, _ = make_sequences(rng, LEARNT, config.words)
    nets = []
    for level in range(config.levels):
        nets.append(Elman(rng, UNITS[level]))
        if len(stream) > 1:
            train_level(nets[-1], level, stream, rng, history, watch)
        stream = unexpected(nets[-1], stream)
    return nets


def streams_of(nets, symbols):
    """What each level reads of the sequences, [(time, sequences)], and what comes out on top."""
    streams = [symbols]
    for net in nets:
        streams.append(unexpected(net, streams[-1]))
    return streams


def answers(net, stream, among):
    """The net's answers (sequences,) behind the last symbol of each stream, of symbols `among`."""
    _, o = net.forward(np.maximum(stream, 0))
    last = (stream >= 0).sum(0) - 1
    return among[o[last, np.arange(stream.shape[1])][:, among].argmax(1)]


ALL, BOTH = np.arange(SYMBOLS), np.array([ANSWERS, ANSWERS + 1])


def accuracy(nets, symbols, classes, among=ALL):
    """Share of right answers of a stack that reads the sequences but for their last symbol."""
    streams = streams_of(nets[:-1], symbols[:-1])
    return float((answers(nets[-1], streams[-1], among) == ANSWERS + classes).mean())


# --- controls -------------------------------------------------------------------------------------


def train_single(net, back, config, rng, watch):
    """Train a net that knows the easy part on raw sequences; the answer counts as 60 symbols."""
    net.w = {name: w.astype(np.float32) for name, w in net.w.items()}
    adam = Adam(net.w, CONTROL_RATE, limit=1.0)
    for update in range(1, config.control_updates + 1):
        symbols, _ = make_sequences(rng, CONTROL_BATCH, config.words)
        weight = np.ones(symbols[1:].shape)
        weight[-1] = ANSWER_WEIGHT
        h, o = net.forward(symbols[:-1])
        args = symbols[:-1], h, o, symbols[1:], weight / weight.sum(), back
        losses, grads = net.gradients(*args)
        adam.step(net.w, grads)
        if watch:
            watch(update, config.control_updates, back=back, answer_loss=float(losses[-1].mean()))


def easy(net, symbols):
    """Share of the symbols inside words that the net predicts rightly."""
    _, o = net.forward(symbols[:-1])
    inside = (symbols[1:] >= 6) & (symbols[1:] < ANSWERS)
    return float((o.argmax(2) == symbols[1:])[inside].mean())


# --- the standard task ----------------------------------------------------------------------------


def read_and_learn(net, symbols, rate):
    """Read one sequence (time,); learn after every symbol; returns predictions (time - 1, .).

    Logistic units; each error goes back 3 steps through the states as they were.
    """
    w, h, outputs = net.w, [np.zeros(len(net.w["b"]))], []
    for t in range(len(symbols) - 1):
        h.append(logistic(w["U"][symbols[t]] + h[t] @ w["R"] + w["b"]))
        o = logistic(h[-1] @ w["V"] + w["c"])
        outputs.append(o)
        e = (o - (np.arange(len(o)) == symbols[t + 1])) * o * (1 - o)
        d = w["V"] @ e * h[-1] * (1 - h[-1])
        w["V"] -= rate * np.outer(h[-1], e)
        w["c"] -= rate * e
        R = w["R"].copy()
        for k in range(t, max(-1, t - BACK), -1):
            w["U"][symbols[k]] -= rate * d
            w["R"] -= rate * np.outer(h[k], d)
            w["b"] -= rate * d
            d = R @ d * h[k] * (1 - h[k])
    return np.array(outputs).reshape(-1, len(w["c"]))


def logistic(x):
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def standard_task(rng, most=2000):
    """Sequences until a two-level stack has learnt a or x, b1 ... b20, Ya or Yx; None: more.

    Plain descent on line, rate 1. Level 0 is frozen when its errors on all b's have been below
    0.15 for ten sequences; level 1 has learnt when its error on the answer has, below 0.2.
    """
    symbols, count = np.zeros((22, 1), int), 0
    symbols[1:21, 0] = np.arange(2, 22)
    levels = Elman(rng, 24, 24, softmax=False), Elman(rng, 8, 24, softmax=False)
    for level, (net, limit) in enumerate(zip(levels, (0.15, 0.2), strict=True)):
        good = 0
        while good < 10:
            if count == most:
                return None
            count += 1
            side = int(rng.integers(0, 2))
            symbols[0], symbols[-1] = side, 22 + side
            part = (symbols if level == 0 else unexpected(levels[0], symbols))[:, 0]
            off = read_and_learn(net, part, 1.0) - np.eye(24)[part[1:]]
            asked = slice(0, 20) if level == 0 else slice(-1, None)
            good = good + 1 if len(off) and np.abs(off[asked]).max() < limit else 0
    return count


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train the stack, test it on fresh sequences, and run controls and the standard task."""
    rngs = np.random.default_rng(config.seed).spawn(4)
    history = {"level": [], "update": [], "loss": []}
    nets = train_stack(config, rngs[0], history, watch)
    symbols, classes = make_sequences(rngs[1], TESTED, config.words)
    streams = streams_of(nets, symbols)
    lengths = [float((stream >= 0).sum(0).mean()) for stream in streams]
    metrics = {"accuracy": accuracy(nets, symbols, classes)}
    metrics |= {f"length_{k}": length for k, length in enumerate(lengths[: config.levels])}
    metrics |= {"depth_ratio": lengths[0] / lengths[config.levels - 1]}
    metrics |= {"easy": easy(nets[0], symbols)}
    if config.levels > 1:
        metrics["cut_accuracy"] = accuracy(nets[:-1], symbols, classes, BOTH)
    others = {"less": config.words - 1, "more": config.words + 1, "far": 2 * config.words}
    for name, words in others.items():
        metrics[f"accuracy_{name}"] = accuracy(nets, *make_sequences(rngs[1], 100, words))
    if config.control_updates:
        for name, back in (("short", BACK), ("full", 0)):
            single = Elman(rngs[2], UNITS[0])
            single.w = {key: w.copy() for key, w in nets[0].w.items()}
            train_single(single, back, config, rngs[2], watch)
            metrics[f"single_{name}"] = accuracy([single], symbols, classes, BOTH)
            metrics[f"easy_{name}"] = easy(single, symbols)
        metrics["single_best"] = max(metrics["single_short"], metrics["single_full"])
        metrics["easy_worst"] = min(metrics["easy_short"], metrics["easy_full"])
    if config.standard:
        metrics["standard"] = standard_task(rngs[3])
    return Result(metrics, history, nets, streams)


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of the full gradient, softmax and logistic."""
    worst = 0.0
    for softmax in (True, False):
        rng = np.random.default_rng(config.seed)
        net = Elman(rng, 5, 7, softmax)
        symbols, weight = rng.integers(0, 7, (9, 3)), rng.random((8, 3))
        inputs, targets = symbols[:-1], symbols[1:]

        def loss(net=net, inputs=inputs, targets=targets, weight=weight):
            args = inputs, *net.forward(inputs), targets, weight, 0
            return float((net.gradients(*args)[0] * weight).sum())

        _, grads = net.gradients(inputs, *net.forward(inputs), targets, weight, 0)
        worst = max(worst, worst_relative_error(loss, net.w, grads))
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
