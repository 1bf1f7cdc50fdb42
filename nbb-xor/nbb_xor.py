"""XOR by the neural bucket brigade: a net learns by trade between neighbouring connections.

Task      Inputs x1, x2 in {0, 1} and a third one that is always 1. Wanted: of two output units,
          the one numbered x1 XOR x2 is on. All that the net is told is a reward whenever it is.
Time      One presentation: every unit off, one of the four patterns drawn at random and held for
          six ticks t = 1 ... 6. What is on at tick t-1 decides what is on at tick t.
Net       A unit is on or off, x_j(t) = 1 or 0. Non-input units stand in subsets that compete: one
          subset of three hidden units h1 h2 h3, one of the two outputs. Connections lead from
          inputs to hidden units and to outputs, and from hidden units to outputs: 21 weights
          w_ij > 0 from unit i to unit j, called substance, since the rule moves them about.
            c_ij(t) = x_i(t-1) w_ij(t-1)   contribution of unit i to unit j
            net_j(t) = sum_i c_ij(t)       the unit with the largest net_j > 0 of its subset is on
Rule      At every tick, for all connections at once (h: units that lead to j; k: units that j
          leads to):
            dw_ij(t) = - lam c_ij(t) x_j(t)             payment: a winner's connections pay lam
                       + c_ij(t-1) / sum_h c_hj(t-1)    income: what the connections from j to
                         * sum_k lam c_jk(t) x_k(t)     winners k pay goes to those that put j on
                       + eta c_ij(t) x_j(t)             reward, only if j is the right output
Test      After every presentation, weights frozen: right on a pattern means that the right output
          is on at each of the last three ticks. Found: the first test that is right on all four.
          Stable: the first of twenty such tests in a row, while learning goes on.

The rule stands below twice: for one net in plain loops (`present_one`), then for many nets of
seven kinds in lock-step (`present`). Units are numbered as in UNITS; a weight's row is its source
(3 inputs, 4 hidden units), its column its target (4 hidden units, 2 outputs), and the fast form
has the nets as last axis: (7, 6, nets). What a kind of net lacks stays 0.

    python3 nbb_xor.py --quick
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
    """The paper's settings; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    nets: int = option(20, "nets of each kind", 1, 1000)
    presentations: int = option(10_000, "most presentations to a net", 20, 1_000_000)
    lam: float = option(0.005, "share of its contribution that a winner's connection pays", 0, 0.5)
    eta: float = option(
        0.005, "share of its contribution that a right output's connection is given", 0, 0.5
    )
    kinds: str = option(
        "all",
        "nets that learn: all seven kinds, main: the paper's, control: that and one without reward",
        among=("all", "main", "control"),
    )

    def __post_init__(self):
        check_options(self)


QUICK = {"nets": 8, "presentations": 4000, "kinds": "control"}


@dataclass
class Result:
    """metrics; history: per kind the shares of nets found and stable so far; and for the figures

    reached: kind -> (nets, 3), the presentation that opened the first 1, 2 and 20 right tests in
    a row, 0 where that never came; weights: (7, 6, nets), the final ones of the paper's nets.
    """

    metrics: dict
    history: dict
    reached: dict
    weights: np.ndarray


# --- the task and the net ----------------------------------------------------------------------

PATTERNS = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], np.float32)  # x1, x2, always 1
XOR = np.array([0, 1, 1, 0])
TICKS = 6
TESTED = 3  # the last ticks, at which the right output must be on
WINDOWS = (1, 2, 20)  # right tests in a row: found, briefly stable, stable

UNITS = ("x1", "x2", "1", "h1", "h2", "h3", "h4", "out 0", "out 1")
INPUTS = 3
HIDDEN = 4  # as many as the largest kind of net has
SOURCES, TARGETS = INPUTS + HIDDEN, HIDDEN + 2  # rows and columns of the weights
OUTPUTS = (HIDDEN, HIDDEN + 1)  # their columns, and the subset in which they compete
LEAST, MOST = 0.999, 1.001  # initial weights are uniform between these


@dataclass(frozen=True)
class Kind:
    """A kind of net: its subsets of hidden units, whether inputs reach outputs directly (shortcut),
    and which parts of the rule it has; the defaults are the paper's."""

    subsets: tuple = ((0, 1, 2),)
    shortcut: bool = True
    redistribution: bool = True
    reward: bool = True


MAIN = "three_hidden"
KINDS = {
    MAIN: Kind(),
    "no_reward": Kind(reward=False),
    "no_redistribution": Kind(redistribution=False),
    "no_hidden": Kind(subsets=()),
    "two_hidden": Kind(subsets=((0, 1),)),
    "two_pairs": Kind(subsets=((0, 1), (2, 3))),
    "no_shortcut": Kind(shortcut=False),
}
# Late in a run without reward, the shortcut's weights leave the range of 32-bit numbers; the hidden
# units' outweigh them beyond measure long before, so that no test changes.
CONTROLS = ("no_redistribution", "no_reward", "no_hidden")
CHOICES = {"all": tuple(KINDS), "main": (MAIN,), "control": (MAIN, "no_reward")}


def connections(kind):
    """(7, 6): 1 where a net of this kind has a connection."""
    hidden = [unit for subset in kind.subsets for unit in subset]
    there = np.zeros((SOURCES, TARGETS))
    there[:INPUTS, hidden] = 1
    there[:INPUTS, OUTPUTS] = kind.shortcut
    there[np.ix_([INPUTS + unit for unit in hidden], OUTPUTS)] = 1
    return there


# --- one net, in plain loops -------------------------------------------------------------------


def contributions(w, x):
    """c_ij = x_i w_ij, with x the units that were on one tick before; 7 rows of 6."""
    return [[x[i] * w[i][j] for j in range(TARGETS)] for i in range(SOURCES)]


def compete(c, subsets):
    """Which targets are on, 1.0 or 0.0: in each subset the one with the largest positive net_j."""
    net = [sum(c[i][j] for i in range(SOURCES)) for j in range(TARGETS)]
    y = [0.0] * TARGETS
    for subset in subsets:
        largest = max(net[j] for j in subset)
        for j in subset:
            y[j] = float(net[j] == largest and largest > 0)
    return y


def present_one(w, kind, pattern, lam, eta):
    """One presentation to one net, learning at every tick; w, 7 rows of 6, is changed in place.

    Returns what happened at each tick: (units that are on, substance paid, passed on, rewarded).
    """
    right = OUTPUTS[XOR[pattern]]
    x = [0.0] * SOURCES  # before tick 1 everything is off
    before = contributions(w, x)  # c(t-1)
    ticks = []
    for _ in range(TICKS):
        c = contributions(w, x)
        y = compete(c, (*kind.subsets, OUTPUTS))
        pay = [[lam * c[i][j] * y[j] for j in range(TARGETS)] for i in range(SOURCES)]
        passed = rewarded = 0.0
        for i in range(SOURCES):
            for j in range(TARGETS):
                w[i][j] -= pay[i][j]
            if kind.reward:
                w[i][right] += eta * c[i][right] * y[right]
                rewarded += eta * c[i][right] * y[right]
        for j in range(HIDDEN):
            income = sum(pay[INPUTS + j])  # what hidden unit j makes its successors pay
            if kind.redistribution and income > 0:
                helped = sum(before[h][j] for h in range(SOURCES))
                for i in range(SOURCES):
                    w[i][j] += before[i][j] / helped * income
                passed += income
        before, x = c, [*PATTERNS[pattern].tolist(), *y[:HIDDEN]]
        on = [name for name, unit in zip(UNITS, (*x, *y[HIDDEN:]), strict=True) if unit]
        ticks.append((on, sum(map(sum, pay)), passed, rewarded))
    return ticks


def right_one(w, kind, pattern):
    """Whether one net, its weights frozen, is right on a pattern."""
    x, seen = [0.0] * SOURCES, []
    for _ in range(TICKS):
        y = compete(contributions(w, x), (*kind.subsets, OUTPUTS))
        x = [*PATTERNS[pattern].tolist(), *y[:HIDDEN]]
        seen.append(y[OUTPUTS[XOR[pattern]]] == 1)
    return all(seen[-TESTED:])


def learn_one(rng, kind=KINDS[MAIN], config=Config()):
    """Train one net until it is stable; yields after each presentation (pattern that was shown,
    weights, whether each pattern is right now, right tests in a row)."""
    w = (rng.uniform(LEAST, MOST, (SOURCES, TARGETS)) * connections(kind)).tolist()
    streak = 0
    for _ in range(config.presentations):
        pattern = rng.integers(4)
        present_one(w, kind, pattern, config.lam, config.eta)
        right = [right_one(w, kind, tested) for tested in range(4)]
        streak = streak + 1 if all(right) else 0
        yield pattern, np.array(w), right, streak
        if streak == WINDOWS[-1]:
            return


# --- many nets at once -------------------------------------------------------------------------


@dataclass
class Nets:
    """weights: (7, 6, nets); group: (3, 6, nets), which targets compete in each subset;
    redistribute, reward: (nets,), 0 or 1; number: (nets,), where a net's results go."""

    weights: np.ndarray
    group: np.ndarray
    redistribute: np.ndarray
    reward: np.ndarray
    number: np.ndarray

    def take(self, chosen):
        """The chosen nets."""
        arrays = (getattr(self, field.name) for field in dataclasses.fields(self))
        return Nets(*(np.ascontiguousarray(array[..., chosen]) for array in arrays))


def build(rng, names, count, dtype=np.float32):
    """count nets of each named kind."""
    parts = []
    for kind in (KINDS[name] for name in names):
        there = connections(kind)[..., None].astype(dtype)
        weights = rng.uniform(LEAST, MOST, (SOURCES, TARGETS, count)).astype(dtype) * there
        group = np.zeros((3, TARGETS, count), dtype)
        for row, subset in zip(group, (*kind.subsets, OUTPUTS), strict=False):
            row[list(subset)] = 1
        flags = [np.full(count, flag, dtype) for flag in (kind.redistribution, kind.reward)]
        parts.append((weights, group, *flags))
    columns = [np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)]
    return Nets(*columns, np.arange(len(columns[-1])))


def winners(net, group):
    """`compete` for many nets: 1 where a target is on; (..., 6, nets) -> (..., 6, nets)."""
    peak = (net[..., None, :, :] * group).max(-2)  # (..., 3 subsets, nets)
    own = (peak[..., None, :] * group).sum(-3)  # the peak of each target's own subset
    return ((net == own) & (net > 0)).astype(net.dtype)


def present(nets, pattern, lam, eta):
    """`present_one` for many nets; pattern: (nets,), which of the four each one is shown."""
    w = nets.weights
    count = w.shape[-1]
    lam, eta = w.dtype.type(lam), w.dtype.type(eta)
    x = np.zeros((SOURCES, count), w.dtype)
    x[:INPUTS] = PATTERNS[pattern].T
    gain = np.zeros((TARGETS, count), w.dtype)  # reward a unit of contribution
    gain[HIDDEN + XOR[pattern], np.arange(count)] = nets.reward * eta
    share = np.zeros((SOURCES, HIDDEN, count), w.dtype)  # c_ij(t-1) / sum_h c_hj(t-1)
    for _ in range(2, TICKS + 1):  # tick 1 only switches the inputs on
        c = x[:, None] * w
        net = c.sum(0)
        y = winners(net, nets.group)
        income = (c[INPUTS:, HIDDEN:] * (lam * nets.redistribute * y[HIDDEN:])).sum(1)
        w += c * (y * (gain - lam))
        w[:, :HIDDEN] += share * income
        share = c[:, :HIDDEN] / np.maximum(net[:HIDDEN], np.finfo(w.dtype).tiny)
        x[INPUTS:] = y[:HIDDEN]


def solved(nets):
    """`right_one` for many nets and all patterns: (4, nets).

    From tick 3 on nothing changes any more, so that no ticks are needed: the hidden winners of
    the inputs, then the outputs.
    """
    w = nets.weights
    drive = np.tensordot(PATTERNS.astype(w.dtype), w[:INPUTS], 1)  # (4 patterns, 6, nets)
    hidden = winners(drive, nets.group)[:, :HIDDEN]
    net = drive[:, HIDDEN:] + (hidden[:, :, None] * w[INPUTS:, HIDDEN:]).sum(1)
    return np.where(XOR[:, None] == 1, net[:, 1] > net[:, 0], net[:, 0] > net[:, 1])


# --- the experiment ----------------------------------------------------------------------------

LOOK, TIDY = 25, 500  # presentations between two looks, and between dropping nets that are stable


def run(config: Config = Config(), watch=None) -> Result:
    """All nets of all kinds until they are stable or the presentations are used up.

    Raises FloatingPointError where weights grow beyond the range of 32-bit numbers.
    """
    rng, pattern_rng = np.random.default_rng(config.seed).spawn(2)
    names = CHOICES[config.kinds]
    nets = build(rng, names, config.nets)
    reached = np.zeros((len(nets.number), len(WINDOWS)), int)
    streak = np.zeros(len(nets.number), int)
    final = nets.weights.copy()
    history = {"presentation": [], "found": [], "stable": []}
    for count in range(1, config.presentations + 1):
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below
            present(nets, pattern_rng.integers(4, size=len(streak)), config.lam, config.eta)
            correct = solved(nets)
        streak = np.where(correct.all(0), streak + 1, 0)
        note_streaks(reached, nets.number, streak, count)
        done = reached[nets.number, -1] > 0
        if count % LOOK == 0 or count == config.presentations or done.all():
            if not np.isfinite(nets.weights).all():
                raise FloatingPointError(
                    f"weights overflow within {count} presentations; bring eta down to lam"
                )
            shares = (reached.reshape(len(names), -1, len(WINDOWS)) > 0).mean(1)
            history["presentation"].append(count)
            history["found"].append(shares[:, 0].tolist())
            history["stable"].append(shares[:, -1].tolist())
            if watch:
                watch(count, config.presentations, stable=float(shares[0, -1]))
        if done.all():
            break
        if count % TIDY == 0 and done.any():
            final[..., nets.number] = nets.weights
            nets, streak = nets.take(~done), streak[~done]
    final[..., nets.number] = nets.weights
    by_kind = dict(zip(names, reached.reshape(len(names), -1, len(WINDOWS)), strict=True))
    return Result(measure(by_kind, config), history, by_kind, final[..., : config.nets])


def note_streaks(reached, number, streak, count):
    """Enter the presentation that opened a run of right tests once it is as long as a window."""
    for column, window in enumerate(WINDOWS):
        long_enough = number[streak == window]
        first = long_enough[reached[long_enough, column] == 0]
        reached[first, column] = count - window + 1


def measure(reached, config):
    """The numbers of the claims: nets that find and keep a solution, mean presentations until then.

    A net that never gets there enters a mean with all its presentations; the mean is None where no
    net gets there.
    """
    metrics = {"nets": config.nets}
    for name, values in reached.items():
        prefix = "" if name == MAIN else f"{name}_"
        steps = np.where(values > 0, values, config.presentations).mean(0).tolist()
        found, stable2, stable20 = (
            mean if arrived else None
            for mean, arrived in zip(steps, (values > 0).any(0), strict=True)
        )
        metrics[f"{prefix}found_nets"] = int((values[:, 0] > 0).sum())
        metrics[f"{prefix}found_mean"] = found
        if name == MAIN:
            metrics |= {"stable2_mean": stable2, "stable20_mean": stable20}
        metrics[f"{prefix}stable20_nets"] = int((values[:, -1] > 0).sum())
    if config.kinds == "all":
        kept = {name: (values[:, -1] > 0).mean() for name, values in reached.items()}
        metrics["two_hidden_gap"] = float(kept[MAIN] - kept["two_hidden"])
        metrics["control_stable20"] = float(max(kept[name] for name in CONTROLS))
    return metrics


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
