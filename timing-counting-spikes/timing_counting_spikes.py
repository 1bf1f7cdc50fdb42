"""Timed spikes: one LSTM cell with peepholes measures and generates intervals of up to 50 steps.

Tasks     GTS, generate timed spikes: without any input, output 1 at the steps F, 2 F, 3 F, ... and
          0 at all others. PFG, periodic functions: output (1 - cos(2 pi t / F)) / 2. A stream ends
          at its first wrong step, at the latest after 100 periods; a net has solved the task if it
          goes on for 1000 periods without one. Wrong: off by 0.49 (GTS) or 0.3 (PFG) or more.
          NMSD, measure a delay: a spike at step 0 and one at step F + I, I = 0 or 1; at the second
          the output has to be I. Solved if both sequences are right.
Net       One cell with state s, 17 weights. Cell input and gates see X = [x(t), y(t-1), 1] and,
          through peepholes, the gates see s; f is the logistic function:
              i, q = f(W X + p s(t-1)),  s(t) = q s(t-1) + i W X,  o = f(W X + p s(t)),
              y(t) = o s(t),  output = f(v y(t) + b), in PFG v y(t) + b.
          Without peepholes p = 0; without a forget gate q = 1.
Learning  Gers, Schraudolph & Schmidhuber 2002: the truncated gradient, forward in time. The cell
          carries the derivatives of s by the weights of cell input, i and q; y(t-1) and what the
          peepholes see are taken as given:
              D(t) = q D(t-1) + [i, W X i (1 - i), s(t-1) q (1 - q)] X(t).
          The paper: momentum 0.999 and rate 1e-5 at every step. Ours: one step at the end of a
          stream, divided by the root of the running mean square of the gradients, with momentum.
Shapes    Nets learn side by side, each in a stream of its own, on the last axis: P (18, nets) are
          W of cell input, i, q and o by [x, y, 1, s], v and b; D is (3, 4, nets).
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import math
import numbers
import os
import platform
import sys
import time
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Row:
    """Nets that learn the same task from the same kind of start; biases of cell input, i, q, o."""

    name: str
    F: int
    nets: int
    biases: tuple
    output: tuple = (0.0, -3.0)  # start of v and b
    rate: float = 0.01
    spread: float = 0.1  # all weights start within it, around the biases
    cosine: bool = False
    peepholes: bool = True
    forget: bool = True


GTS10 = Row("gts10", 10, 20, (0.3, 0, 0, -3))
NO_PEEPHOLES = {"nets": 10, "peepholes": False}
NO_FORGET = {"nets": 10, "forget": False}
PAPER = replace(GTS10, nets=10, biases=(0, 0, 2, -2), output=(0.0, 0.0))
PARTS = {
    "gts": (
        GTS10,
        replace(GTS10, name="gts10_nopeep", **NO_PEEPHOLES),
        replace(GTS10, name="gts10_noforget", **NO_FORGET),
    ),
    "rows": (
        replace(GTS10, name="gts20", F=20, nets=10),
        replace(GTS10, name="gts30", F=30, nets=10),
        Row("gts50", 50, 12, (0.1, 0, 1, -3), (0.0, -4.0), 0.005),
        Row("pfg25", 25, 12, (0.3, 0, 4, 2), (1.0, 0.5), 0.02, 0.3, cosine=True),
        Row("pfg25_nopeep", 25, 8, (0.3, 0, 4, 2), (1.0, 0.5), 0.02, 0.3, True, peepholes=False),
    ),
    "paper": (
        PAPER,
        replace(PAPER, name="gts10_nopeep", **NO_PEEPHOLES),
        replace(PAPER, name="gts10_noforget", **NO_FORGET),
    ),
    "nmsd": (),
}
NMSD_ROWS = (
    Row("nmsd50", 50, 40, (0.3, 0, 5, 0), (0.0, 0.0), 0.003),
    Row("nmsd50_nopeep", 50, 20, (0.3, 0, 5, 0), (0.0, 0.0), 0.003, peepholes=False),
    Row("nmsd50_noforget", 50, 20, (0.3, 0, 5, 0), (0.0, 0.0), 0.003, forget=False),
)
TRAINED, TESTED = 100, 1000  # periods of a full stream in training, and in the test
EVERY = 10_000  # steps between tests of what was full since the last


@dataclass(frozen=True)
class Config:
    """The paper's net and tasks; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    part: str = option(
        "gts", "F = 10 and NMSD; longer F and PFG; paper's rule; or NMSD", among=PARTS
    )
    steps: int = option(500_000, "most steps of a net in GTS and PFG", 1000, 100_000_000)
    sequences: int = option(4000, "most training sequences of a net in NMSD", 2, 1_000_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"part": "nmsd", "sequences": 1400}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves: row, steps, nets that learn, periods of the best stream
    nets: dict  # by row, P (18, nets) at success, or at the end
    counts: dict  # by row, streams to success (nets,), 0: never; in NMSD sequences


# --- the cell -------------------------------------------------------------------------------------


def logistic(x):
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def start(rng, rows):
    """P (18, nets) and what of it exists, for all nets of the rows side by side."""
    parts, exist = [], []
    for row in rows:
        P = rng.uniform(-row.spread, row.spread, (18, row.nets))
        P[[2, 6, 10, 14]] += np.array(row.biases, float)[:, None]
        P[16:] += np.array(row.output)[:, None]
        there = np.ones((18, row.nets))
        there[3] = 0  # the cell's input has no peephole
        if not row.peepholes:
            there[[7, 11, 15]] = 0
        if not row.forget:
            there[8:12] = 0
        parts.append(P * there)
        exist.append(there)
    return np.concatenate(parts, 1), np.concatenate(exist, 1)


def step(P, x, y, s, forget):
    """One step of all nets; returns X, the X that o sees, a, i, q, o, s, y, and the net sum."""
    X = np.empty((4, P.shape[1]))
    X[0], X[1], X[2], X[3] = x, y, 1, s
    W = P[:16].reshape(4, 4, -1)
    net = (W[:3] * X).sum(1)
    i, q = logistic(net[1:])
    q = np.where(forget, q, 1.0)
    new = q * s + i * net[0]
    X_o = X.copy()
    X_o[3] = new
    o = logistic((W[3] * X_o).sum(0))
    y = o * new
    return X, X_o, net[0], i, q, o, new, y, P[16] * y + P[17]


def carry(D, X, a, i, q, s):
    """D(t), the derivatives of the new state; s is the old one."""
    D *= q
    D += np.stack([i, a * i * (1 - i), s * q * (1 - q)])[:, None] * X
    return D


def slopes(P, D, X_o, o, s, y, e):
    """Gradient (18, nets) of the error whose derivative by the output's net sum is e."""
    e_y = e * P[16]
    g = np.empty_like(P)
    g[:12] = (e_y * o * D).reshape(12, -1)
    g[12:16] = e_y * s * o * (1 - o) * X_o
    g[16], g[17] = e * y, e
    return g


# --- generating: GTS and PFG ----------------------------------------------------------------------


class Stack:
    """Nets of several rows side by side, each in its own stream."""

    def __init__(self, rows, rng, paper):
        self.P, self.exist = start(rng, rows)
        each = [row for row in rows for _ in range(row.nets)]
        self.F = np.array([row.F for row in each])
        self.cosine = np.array([row.cosine for row in each])
        self.forget = np.array([row.forget for row in each])
        self.rate = np.array([row.rate for row in each])
        self.paper, n = paper, len(each)
        self.place, self.streams, self.best = np.arange(n), np.zeros(n, int), np.zeros(n)
        self.G, self.square, self.speed = np.zeros((3, 18, n))
        self.D = np.zeros((3, 4, n))
        self.y, self.s, self.t = np.zeros(n), np.zeros(n), np.zeros(n, int)

    def keep(self, left):
        """Go on with some of the nets."""
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(self, name, value[..., left])

    def target(self, t):
        """The target at steps t (nets,), counted from 1."""
        phase = t % self.F
        return np.where(self.cosine, (1 - np.cos(2 * np.pi * phase / self.F)) / 2, phase == 0)

    def judged(self, net, t):
        """Outputs for the net sums, and how far they are off."""
        out = np.where(self.cosine, net, logistic(net))
        return out, out - self.target(t)

    def advance(self, step_number):
        """One step of every net, and of learning; returns whose stream is full, and its weights."""
        X, X_o, a, i, q, o, s, y, net = step(self.P, 0.0, self.y, self.s, self.forget)
        self.D = carry(self.D, X, a, i, q, self.s)
        self.t += 1
        out, off = self.judged(net, self.t)
        e = off * np.where(self.cosine, 1.0, out * (1 - out))
        g = slopes(self.P, self.D, X_o, o, s, y, e) * self.exist
        self.s, self.y = s, y
        if self.paper:
            self.speed = 0.999 * self.speed - 1e-5 * g
            self.P += self.speed
        else:
            self.G += g
        wrong = np.abs(off) >= np.where(self.cosine, 0.3, 0.49)
        full = ~wrong & (self.t >= TRAINED * self.F)
        ended = wrong | full
        made = self.P[:, full]  # the weights that made the stream, before they learn from it
        if ended.any():
            self.end(ended, step_number)
        return full, made

    def end(self, ended, step_number):
        """Learn from the streams that have ended, and begin new ones."""
        self.streams += ended
        self.best = np.where(ended, np.maximum(self.best, (self.t - 1) / self.F), self.best)
        if not self.paper:
            G = self.G[:, ended]
            square = 0.99 * self.square[:, ended] + 0.01 * G * G
            rate = self.rate[ended] / (1 + step_number / 1e5)
            speed = 0.9 * self.speed[:, ended] - 0.1 * rate * G / (np.sqrt(square) + 1e-6)
            self.square[:, ended], self.speed[:, ended] = square, speed
            self.P[:, ended] += speed
            self.G[:, ended] = 0
        self.D[:, :, ended] = 0
        self.y[ended], self.s[ended], self.t[ended] = 0, 0, 0

    def test(self, P, which):
        """Periods without a wrong step of weights P of the nets `which`, to 1000; and the RMSE.

        A net without input whose state is, at the end of a period, exactly what it was one period
        earlier repeats itself for ever: what it has done decides.
        """
        nets = copy.copy(self)
        nets.keep(which)
        y, s = np.zeros((2, len(which)))
        before = np.zeros((2, len(which)))
        periods, going = np.full(len(which), float(TESTED)), np.ones(len(which), bool)
        squares, t, good = np.zeros(len(which)), 0, np.zeros(len(which), int)
        while going.any() and (t < TESTED * nets.F[going]).any():
            t += 1
            *_, s, y, net = step(P, 0.0, y, s, nets.forget)
            _, off = nets.judged(net, np.full(len(which), t))
            squares += going * off * off
            good += going
            wrong = going & (np.abs(off) >= np.where(nets.cosine, 0.3, 0.49))
            periods[wrong] = (t - 1) // nets.F[wrong]
            at_end = t % nets.F == 0
            going &= ~wrong & ~(at_end & (before == (s, y)).all(0)) & (t < TESTED * nets.F)
            before = np.where(at_end, (s, y), before)
        return periods, np.sqrt(squares / good)


def generate(config, rng, history, watch):
    """Train the rows of a part; returns by row the weights, streams to success and RMSE (nets,)."""
    rows = PARTS[config.part]
    stack = Stack(rows, rng, config.part == "paper")
    final, total = stack.P.copy(), stack.P.shape[1]
    streams, rmse, candidates = np.zeros(total, int), np.full(total, np.nan), {}
    owner = np.repeat(np.arange(len(rows)), [row.nets for row in rows])
    for number in range(1, config.steps + 1):
        full, made = stack.advance(number)
        for k, P in zip(np.flatnonzero(full), made.T, strict=True) if full.any() else ():
            candidates.setdefault(k, (P, int(stack.streams[k])))
        if number % EVERY and number < config.steps:
            continue
        if not np.isfinite(stack.P).all():
            raise FloatingPointError("weights grew beyond all numbers; choose fewer steps")
        final[:, stack.place] = stack.P
        solved = np.zeros(len(stack.place), bool)
        if candidates:
            which = np.array(list(candidates))
            P = np.stack([candidates[k][0] for k in which], 1)
            periods, error = stack.test(P, which)
            for j, k in enumerate(which):
                if periods[j] >= TESTED:
                    solved[k], place = True, stack.place[k]
                    final[:, place], streams[place], rmse[place] = (
                        P[:, j],
                        candidates[k][1],
                        error[j],
                    )
        candidates = {}
        note(history, rows, owner, stack, number, streams, final, watch, config.steps)
        stack.keep(~solved)
        if not (owner[stack.place] == 0).any() and config.part != "rows":
            break  # the row of the headline has solved it; the others have had as long
        if not len(stack.place):
            break
    cuts = np.cumsum([row.nets for row in rows])[:-1]
    names = [row.name for row in rows]
    parts = (np.split(array, cuts, -1) for array in (final, streams, rmse))
    return dict(zip(names, zip(*parts, strict=True), strict=True))


def note(history, rows, owner, stack, number, streams, final, watch, total):
    """Add a point a row to the learning curves and let the watcher see."""
    for k, row in enumerate(rows):
        mine = owner[stack.place] == k
        best = float(stack.best[mine].max()) if mine.any() else float(TRAINED)
        point = (row.name, number, int((streams[owner == k] > 0).sum()), best)
        for name, value in zip(history, point, strict=True):
            history[name].append(value)
    if watch:
        watch(number, total, solved=int((streams > 0).sum()), weights=final)


# --- measuring: NMSD ------------------------------------------------------------------------------


def measure(row, sequences, rng):
    """Train a row on NMSD; returns P, and sequences to success (nets,), 0: never.

    Both sequences, F and F + 1 steps long, give one update; their columns lie side by side.
    """
    P, exist = start(rng, (row,))
    square, speed, counts = np.zeros_like(P), np.zeros_like(P), np.zeros(row.nets, int)
    final = P.copy()
    for update in range(1, sequences // 2 + 1):
        out, g = delays(P, row)
        off = np.abs(out - np.array([[0], [1]]))
        fresh = (off.max(0) < 0.49) & (counts == 0)
        counts[fresh], final[:, fresh] = 2 * update, P[:, fresh]
        if (counts > 0).all():
            break
        g *= exist
        square = 0.99 * square + 0.01 * g * g
        speed = 0.9 * speed - 0.1 * row.rate * g / (np.sqrt(square) + 1e-8)
        P += speed
    final[:, counts == 0] = P[:, counts == 0]
    return final, counts


def delays(P, row):
    """Outputs (2, nets) at the second spike of both sequences, and the gradient (18, nets)."""
    forget, nets = np.full(P.shape[1], row.forget), P.shape[1]
    y, s, D = np.zeros(nets), np.zeros(nets), np.zeros((3, 4, nets))
    out, g = np.empty((2, nets)), np.zeros_like(P)
    for t in range(row.F + 2):
        if t >= row.F:  # the second spike of one of the sequences
            X, X_o, a, i, q, o, new, seen, net = step(P, 1.0, y, s, forget)
            k = t - row.F
            out[k] = logistic(net)
            e = (out[k] - k) * out[k] * (1 - out[k])
            g += slopes(P, carry(D.copy(), X, a, i, q, s), X_o, o, new, seen, e)
        X, _, a, i, q, _, new, y, _ = step(P, float(t == 0), y, s, forget)
        D, s = carry(D, X, a, i, q, s), new
    return out, g


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train and test the rows of the chosen part."""
    rngs = np.random.default_rng(config.seed).spawn(2)
    history = {"row": [], "steps": [], "solved": [], "periods": []}
    metrics, nets, counts = {}, {}, {}
    if PARTS[config.part]:
        for name, (P, streams, rmse) in generate(config, rngs[0], history, watch).items():
            nets[name], counts[name] = P, streams
            metrics |= evaluate(name, streams)
            if name.startswith("pfg"):
                solved = streams > 0
                metrics[f"{name}_rmse"] = float(np.median(rmse[solved])) if solved.any() else None
    if config.part == "rows":
        longest = [F for F in (20, 30, 50) if metrics[f"gts{F}_solved"]]
        metrics["gts_longest"] = max(longest, default=None)
    if config.part in ("gts", "nmsd"):
        for row in NMSD_ROWS:
            nets[row.name], counts[row.name] = measure(row, config.sequences, rngs[1])
            metrics |= evaluate(row.name, counts[row.name])
    return Result(metrics, history, nets, counts)


def evaluate(name, counts):
    """Metrics of a row: nets, how many succeeded, and their mean streams or sequences to that."""
    solved = counts > 0
    mean = float(counts[solved].mean()) if solved.any() else None
    return {
        f"{name}_nets": len(counts),
        f"{name}_solved": int(solved.sum()),
        f"{name}_streams": mean,
    }


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of the truncated gradient: y(t-1) and peepholes see given values."""
    rng = np.random.default_rng(config.seed)
    row = replace(GTS10, nets=3, spread=0.8, biases=(0.3, 0, 0, 0), output=(1.0, 0.0))
    P, _ = start(rng, (row,))
    forget, x, target = np.full(3, True), rng.normal(size=(8, 3)), rng.random((8, 3))
    y, s, D = np.zeros(3), np.zeros(3), np.zeros((3, 4, 3))
    given, g = [], np.zeros_like(P)
    for now, wanted in zip(x, target, strict=True):
        X, X_o, a, i, q, o, new, y, net = step(P, now, y, s, forget)
        D = carry(D, X, a, i, q, s)
        s = new
        out = logistic(net)
        g += slopes(P, D, X_o, o, s, y, (out - wanted) * out * (1 - out))
        given.append((X, X_o))
    g[3] = 0

    def loss():
        W, s, total = P[:16].reshape(4, 4, -1), 0.0, 0.0
        for (X, X_o), wanted in zip(given, target, strict=True):
            a, (i, q) = (W[0, :3] * X[:3]).sum(0), logistic((W[1:3] * X).sum(1))
            s = q * s + i * a
            o = logistic((W[3] * X_o).sum(0))
            total += ((logistic(P[16] * o * s + P[17]) - wanted) ** 2).sum() / 2
        return float(total)

    return worst_relative_error(loss, {"P": P}, {"P": g})


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
