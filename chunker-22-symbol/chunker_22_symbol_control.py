"""The conventional net on the chunker's task: back-propagation through the whole sequence.

Task      As in chunker_22_symbol.py: the sequences a b1 ... bm and x b1 ... bm in random order, no
          boundaries; predict the next symbol, and in the slot after bm a target, 1 after a, 0 after
          x. Solved: all errors below 0.3 for 20 sequences in a row, both kinds among them (but for
          the symbol units in the slot of a or x).
Net       A without C and s: logistic units f, one of them hidden (h); i(t): m + 2 symbols, the
          target just shown (0 if none), a constant.
            h(t) = f(i(t) V + h(t-1) v),    o(t) = f(i(t) O + h(t-1) q)    guesses slot t + 1
Learning  Once a sequence, by gradient descent on half its squared errors, sent back to its first
          symbol. h runs on from sequence to sequence.

Arrays    Many nets side by side, five at each of four rates. O: (rows, nets, outputs), V: (rows,
          nets). Rows: a, x, b1 ... bm, then SHOWN (the target), ONE (the constant), HIDDEN (in O it
          is q, in V it is v).
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
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SHOWN, ONE, HIDDEN = -3, -2, -1  # last rows: the target just shown, the constant, the hidden unit
FIRST_B = 2  # row of b1; a is 0, x is 1
STREAK = 20  # sequences in a row that must be right
TOLERANCE = 0.3  # an error below it is right
RECENT = 1000  # last sequences over which errors are averaged
RATES = (0.1, 0.3, 1.0, 3.0)


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
    """The settings; the defaults give the variant control."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    lag: int = option(20, "m, symbols between the first one and the target", 1, 200)
    nets: int = option(5, "nets at each of the learning rates 0.1, 0.3, 1 and 3", 1, 200)
    timing: str = option(
        "together",
        "together: outputs see h of the slot before; layered: h after its own update",
        among=("together", "layered"),
    )
    sequences: int = option(35_000, "training sequences", 1, 2_000_000)
    init: float = option(0.2, "weights start uniform between -init and init", 0, 5)
    every: int = option(100, "sequences between two points of the curves", 1, 100_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"lag": 1, "sequences": 4000}


@dataclass
class Result:
    """metrics; history: curves over the sequences; net: the trained Net; solved_at: the sequences
    after which each net solved the task, -1 if never."""

    metrics: dict
    history: dict
    net: Net
    solved_at: np.ndarray


# --- the task ------------------------------------------------------------------------------------


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


# --- the nets ------------------------------------------------------------------------------------


def logistic(x):
    """f(x) = 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2, in the memory of x."""
    x *= 0.5
    np.tanh(x, out=x)
    x *= 0.5
    x += 0.5
    return x


@dataclass
class Net:
    """Weights O: (rows, nets, outputs) and V: (rows, nets); layered: the timing."""

    O: np.ndarray
    V: np.ndarray
    layered: bool


def make_net(rng, config, nets):
    """A Net with random weights."""
    shape = (config.lag + 5, nets)
    O = rng.uniform(-config.init, config.init, (*shape, config.lag + 3))
    return Net(O, rng.uniform(-config.init, config.init, shape), config.timing == "layered")


def forward(net, first, target, before):
    """h (lag + 1, nets) and guesses (lag + 1, nets, outputs) over one sequence; first: 0 for a, 1
    for x; target: what is shown with it; before: h ahead of it, (nets,) each."""
    each = np.arange(len(first))
    hs, guesses = (
        np.concatenate([w[first, each][None], w[FIRST_B:SHOWN]]) + w[ONE] for w in (net.V, net.O)
    )
    hs[0] += target * net.V[SHOWN]
    guesses[0] += target[:, None] * net.O[SHOWN]
    h = before
    for t, drive in enumerate(hs):
        h = hs[t] = logistic(drive + h * net.V[HIDDEN])
    seen = hs if net.layered else np.concatenate([before[None], hs[:-1]])
    guesses += seen[..., None] * net.O[HIDDEN]
    return hs, logistic(guesses)


def backward(net, D, hs, before, first, target):
    """Descent directions for O and V from D = -dE/d(drives of o), (lag + 1, nets, outputs).

    e(t) = -dE/d(drive of h(t)) = (q . D(t+1) + v e(t+1)) h(t) (1 - h(t)), as the outputs of slot
    t + 1 see h(t); layered: q . D(t). Then, summed over the slots,
    dO ~ i(t) D(t),  dq ~ h(t-1) D(t),  dV ~ i(t) e(t),  dv ~ h(t-1) e(t);  layered: dq ~ h(t) D(t).
    """
    gate, earlier = hs * (1 - hs), np.concatenate([before[None], hs[:-1]])
    direct = np.einsum("trk,rk->tr", D, net.O[HIDDEN])
    if not net.layered:
        direct = np.concatenate([direct[1:], np.zeros((1, len(before)))])
    delta, e = np.empty_like(hs), 0.0
    for t in reversed(range(len(hs))):
        e = delta[t] = (direct[t] + e * net.V[HIDDEN]) * gate[t]
    O, V = np.zeros_like(net.O), np.zeros_like(net.V)
    for weights, errors, shown in ((O, D, target[:, None]), (V, delta, target)):
        weights[first, np.arange(len(first))] = errors[0]
        weights[FIRST_B:SHOWN] = errors[1:]
        weights[SHOWN] = shown * errors[0]
        weights[ONE] = errors.sum(0)
    O[HIDDEN] = np.einsum("tr,trk->rk", hs if net.layered else earlier, D)
    V[HIDDEN] = (earlier * delta).sum(0)
    return O, V


# --- training ------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train the nets; how many solve the task, and the errors of their target units."""
    rng, rate, d = np.random.default_rng(config.seed), np.repeat(RATES, config.nets), config.lag + 2
    nets = len(rate)
    net, judge, missed = make_net(rng, config, nets), Judge(nets), deque(maxlen=RECENT)
    history = {"sequence": [], "target_error": [], "solved": []}
    before, target, first = np.zeros(nets), np.zeros(nets), rng.integers(2, size=nets)
    goal = np.zeros((config.lag + 1, nets, d + 1))
    goal[:-1, :, :d] = np.eye(d)[FIRST_B:, None]
    for sequence in range(1, config.sequences + 1):
        following = rng.integers(2, size=nets)
        hs, guesses = forward(net, first, target, before)
        goal[-1, :, :FIRST_B] = np.eye(FIRST_B)[following]
        goal[-1, :, d] = 1.0 - first
        error = goal - guesses
        error[:-1, :, d] = 0  # no target there
        missed.append(np.abs(error[-1, :, d]))
        met = judge.see(first, np.maximum(np.abs(error[:-1]).max(0).max(1), missed[-1]))
        judge.decide(met, np.full(met.size, True))
        O, V = backward(net, error * guesses * (1 - guesses), hs, before, first, target)
        net.O += rate[:, None] * O
        net.V += rate * V
        before, target, first = hs[-1], 1.0 - first, following
        if sequence % config.every == 0:
            point = {
                "sequence": sequence,
                "target_error": float(np.array(missed)[-config.every :].mean()),
                "solved": judge.solved(sequence) / nets,
            }
            for name, value in point.items():
                history[name].append(value)
            if watch:
                watch(sequence, config.sequences, **point)
    errors = np.array(missed)
    metrics = {
        "nets": nets,
        "solved": judge.solved(config.sequences),
        "best_target_err": float(errors.mean(0).min()),
        "accuracy": float((errors < 0.5).mean()),
    }
    return Result(metrics, history, net, judge.solved_at)


def gradient_check(config: Config = Config(lag=4)) -> float:
    """Worst relative error of backward."""
    rng, nets = np.random.default_rng(config.seed), 3
    net = make_net(rng, dataclasses.replace(config, init=1.0), nets)
    first, target = rng.integers(2, size=nets), rng.random(nets)
    before, goal = rng.random(nets), rng.random((config.lag + 1, nets, config.lag + 3))
    hs, guesses = forward(net, first, target, before)
    O, V = backward(net, (goal - guesses) * guesses * (1 - guesses), hs, before, first, target)
    return worst_relative_error(
        lambda: 0.5 * np.sum((goal - forward(net, first, target, before)[1]) ** 2),
        {"O": net.O, "V": net.V},
        {"O": -O, "V": -V},
    )


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
