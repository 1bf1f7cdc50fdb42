"""Which way did a light move? A recurrent net learns it by the neural bucket brigade.

Task      A retina of n = 5 cells. A light crosses it from left to right (LR) or from right to left
          (RL). Wanted: after LR output unit 0 is on, after RL output unit 1. All that the net is
          told is a reward at every tick at which the right output is on.
Time      One presentation: every unit off, one of the two directions drawn at random, then n ticks
          t = 1 ... n. At tick t the light is on cell t (LR) or cell n+1-t (RL). What is on at tick
          t-1 decides which output is on at tick t, so that no output is on at tick 1.
Net       A unit is on or off, x_j(t) = 1 or 0. The cells and a unit that is always on lead to both
          outputs; each output leads to both outputs, itself included. These 2 (n + 3) connections
          have weights w_ij > 0 from unit i to unit j, called substance, since the rule moves them
          about. The outputs compete:
            c_ij(t) = x_i(t-1) w_ij(t-1)   contribution of unit i to unit j
            net_j(t) = sum_i c_ij(t)       the output with the larger net_j > 0 is on
Rule      At every tick, for all connections at once (h: units that lead to j; k: units that j
          leads to, here the two outputs, if j is one):
            dw_ij(t) = - lam c_ij(t) x_j(t)             payment: a winner's connections pay lam
                       + c_ij(t-1) / sum_h c_hj(t-1)    income: what the connections from j to
                         * sum_k lam c_jk(t) x_k(t)     winners k pay goes to those that put j on
                       + eta c_ij(t) x_j(t)             reward, only if j is the right output
Test      After every presentation, weights frozen, both directions: right means that the right
          output is on at the last tick. Found: the first test that is right on both. Stable: the
          first of fifty such tests in a row, while learning goes on.

The rule stands below twice: for one net in plain loops (`present_one`), then for many nets of
six kinds in lock-step (`present`). Units are numbered cells first, then the one that is always on,
then the outputs; a weight's row is its source, its column its target, an output. The fast form has
the nets as last axis: (n + 3, 2, nets). What a kind of net lacks stays 0.

    python3 nbb_moving_light.py --quick
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
    cells: int = option(5, "cells of the retina, and ticks of a presentation", 2, 20)
    nets: int = option(20, "nets of each kind", 1, 200)
    presentations: int = option(3000, "presentations to a net", 50, 20_000)
    lam: float = option(0.005, "share of its contribution that a winner's connection pays", 0, 0.5)
    eta: float = option(
        0.005, "share of its contribution that a right output's connection is given", 0, 0.5
    )
    kinds: str = option(
        "all",
        "nets that learn: all six kinds, main: the paper's, control: that and one without "
        "recurrence, pairs or alternating: the paper's, with this order of directions",
        among=("all", "main", "control", "pairs", "alternating"),
    )

    def __post_init__(self):
        check_options(self)


QUICK = {"nets": 10, "presentations": 400, "kinds": "control"}


@dataclass
class Result:
    """metrics; history: per kind the shares of nets found and stable so far, and the share of tests
    since the last entry that were right on both directions; and for the figures

    reached: kind -> (nets, 2), the presentation that opened the first 1 and 50 right tests in a
    row, 0 where that never came; weights: (cells + 3, 2, nets), the final ones of the first kind.
    """

    metrics: dict
    history: dict
    reached: dict
    weights: np.ndarray


# --- the task and the net ----------------------------------------------------------------------

DIRECTIONS = ("LR", "RL")  # the right output has the number of the direction
WINDOWS = (1, 50)  # right tests in a row: found, stable
LEAST, MOST = 0.999, 1.001  # initial weights are uniform between these


def light_paths(cells):
    """Which cell is lit at each tick, (2 directions, ticks), counted from 0."""
    return np.array([range(cells), range(cells)[::-1]])


def draw_directions(rng, order, presentations, nets):
    """The directions that nets are shown, 0 for LR, 1 for RL: (presentations, nets).

    random: every one is drawn; pairs: each two in a row are LR and RL, which first is drawn;
    alternating: only the first one is drawn.
    """
    drawn = rng.integers(2, size=(presentations, nets), dtype=np.int8)
    if order == "alternating":
        drawn[:] = drawn[0]
    if order != "random":
        drawn[1::2] = 1 - drawn[: presentations - 1 : 2]
    return drawn


@dataclass(frozen=True)
class Kind:
    """A kind of net: whether its outputs lead to the outputs (recurrent), which parts of the rule
    it has, and in which order it is shown the directions; the defaults are the paper's."""

    recurrent: bool = True
    income: bool = True
    reward: bool = True
    order: str = "random"


MAIN = "full_rule"
KINDS = {
    MAIN: Kind(),
    "no_recurrence": Kind(recurrent=False),
    "no_income": Kind(income=False),
    "no_reward": Kind(reward=False),
    "pairs": Kind(order="pairs"),
    "alternating": Kind(order="alternating"),
}
CHOICES = {
    "all": tuple(KINDS),
    "main": (MAIN,),
    "control": (MAIN, "no_recurrence"),
    "pairs": ("pairs",),
    "alternating": ("alternating",),
}


def draw_weights(rng, kind, cells, nets):
    """Initial weights of nets of one kind, (cells + 3, 2, nets)."""
    w = rng.uniform(LEAST, MOST, (cells + 3, 2, nets))
    w[cells + 1 :] *= kind.recurrent
    return w


# --- one net, in plain loops -------------------------------------------------------------------


def unit_names(cells):
    """cell 1, cell 2, ..., the unit that is always on, the two outputs."""
    return [*(f"cell {i + 1}" for i in range(cells)), "1", "out 0", "out 1"]


def contributions(w, x):
    """c_ij = x_i w_ij, with x the units that were on one tick before; a row for each source."""
    return [[x[i] * w[i][j] for j in (0, 1)] for i in range(len(w))]


def compete(c):
    """Which output is on, 1.0 or 0.0: the one with the larger positive net_j, 0 if they tie."""
    net = [sum(row[j] for row in c) for j in (0, 1)]
    return [float(net[0] >= net[1] and net[0] > 0), float(net[1] > net[0])]


def inputs(cells, direction, t):
    """What is on at tick t (counted from 0) apart from the outputs: the lit cell and the 1."""
    lit = light_paths(cells)[direction, t]
    return [*(float(i == lit) for i in range(cells)), 1.0]


def present_one(w, kind, direction, lam, eta):
    """One presentation to one net, learning at every tick; w, rows of 2, is changed in place.

    Returns what happened at each tick: (units that are on, substance paid, passed on, rewarded).
    """
    cells = len(w) - 3
    x = [0.0] * len(w)  # before tick 1 everything is off
    before = contributions(w, x)  # c(t-1)
    ticks = []
    for t in range(cells):
        c = contributions(w, x)
        y = compete(c)
        pay = [[lam * c[i][j] * y[j] for j in (0, 1)] for i in range(len(w))]
        passed = rewarded = 0.0
        for i in range(len(w)):
            for j in (0, 1):
                w[i][j] -= pay[i][j]
                if kind.reward and j == direction:
                    w[i][j] += eta * c[i][j] * y[j]
                    rewarded += eta * c[i][j] * y[j]
        for j in (0, 1):
            income = sum(pay[cells + 1 + j])  # what output j makes the next winner pay
            if kind.income and income > 0:
                helped = sum(before[h][j] for h in range(len(w)))
                for i in range(len(w)):
                    w[i][j] += before[i][j] / helped * income
                passed += income
        before, x = c, [*inputs(cells, direction, t), *y]
        on = [name for name, unit in zip(unit_names(cells), x, strict=True) if unit]
        ticks.append((on, sum(map(sum, pay)), passed, rewarded))
    return ticks


def watch_one(w, direction):
    """Contributions at each tick of a presentation with frozen weights, (ticks, cells + 3, 2), and
    which output is on, (ticks, 2)."""
    cells, seen = len(w) - 3, []
    x = [0.0] * len(w)
    for t in range(cells):
        c = contributions(w, x)
        seen.append((c, compete(c)))
        x = [*inputs(cells, direction, t), *seen[-1][1]]
    return tuple(np.array(column) for column in zip(*seen, strict=True))


def right_one(w, direction):
    """Whether one net, its weights frozen, is right on a direction."""
    return bool(watch_one(w, direction)[1][-1, direction])


def learn_one(rng, config=Config(), kind=KINDS[MAIN]):
    """Train one net; yields after each presentation (direction that was shown, weights, whether
    each direction is right now, right tests in a row)."""
    w = draw_weights(rng, kind, config.cells, 1)[..., 0].tolist()
    streak = 0
    for direction in draw_directions(rng, kind.order, config.presentations, 1)[:, 0]:
        present_one(w, kind, direction, config.lam, config.eta)
        right = [right_one(w, tested) for tested in (0, 1)]
        streak = streak + 1 if all(right) else 0
        yield direction, np.array(w), right, streak


# --- many nets at once -------------------------------------------------------------------------


@dataclass
class Nets:
    """weights: (cells + 3, 2, nets); income, reward: (nets,), 0 or 1; directions:
    (presentations, nets), what each net will be shown."""

    weights: np.ndarray
    income: np.ndarray
    reward: np.ndarray
    directions: np.ndarray


def build(rng, names, config, dtype=np.float32):
    """The nets of the named kinds; a kind's numbers do not depend on which others are named."""
    parts, count = [], config.nets
    for (name, kind), stream in zip(KINDS.items(), rng.spawn(len(KINDS)), strict=True):
        if name in names:
            w = draw_weights(stream, kind, config.cells, count).astype(dtype)
            flags = [np.full(count, flag, dtype) for flag in (kind.income, kind.reward)]
            shown = draw_directions(stream, kind.order, config.presentations, count)
            parts.append((w, *flags, shown))
    return Nets(*(np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)))


def winners(net):
    """`compete` for many nets: 1 where an output is on; (..., 2, nets) -> (..., 2, nets)."""
    first, second = net[..., 0, :], net[..., 1, :]
    on = np.stack([(first >= second) & (first > 0), second > first], axis=-2)
    return on.astype(net.dtype)


def present(nets, direction, lam, eta):
    """`present_one` for many nets; direction: (nets,), which one each is shown."""
    w = nets.weights
    cells, count = len(w) - 3, w.shape[-1]
    lam, eta = w.dtype.type(lam), w.dtype.type(eta)
    lit, number = light_paths(cells)[direction], np.arange(cells)[:, None]
    x = np.zeros((cells + 3, count), w.dtype)
    x[cells] = 1
    gain = nets.reward * eta * (direction == np.array([[0], [1]]))  # reward a unit of contribution
    share = np.zeros_like(w)  # c_ij(t-1) / sum_h c_hj(t-1)
    for t in range(cells - 1):  # what is lit at the last tick comes too late
        x[:cells] = lit[:, t] == number
        c = x[:, None] * w
        net = c.sum(0)
        y = winners(net)
        income = (c[cells + 1 :] * (lam * nets.income * y)).sum(1)
        w += c * (y * (gain - lam)) + share * income
        share = c / np.maximum(net, np.finfo(w.dtype).tiny)
        x[cells + 1 :] = y


def solved(weights):
    """`right_one` for many nets and both directions: (2, nets)."""
    cells = len(weights) - 3
    drive = weights[light_paths(cells)] + weights[cells]  # (2 directions, ticks, 2, nets)
    y = np.zeros_like(drive[:, 0])
    for t in range(cells - 1):
        recurrent = (y[:, :, None] * weights[cells + 1 :]).sum(1)
        y = winners(drive[:, t] + recurrent)
    return y[[0, 1], [0, 1]] == 1


def without_recurrence(weights):
    """A copy of the weights with those from output to output set to 0."""
    cut = weights.copy()
    cut[-2:] = 0
    return cut


# --- a yardstick, the experiment ---------------------------------------------------------------

LOOK = 25  # presentations between two looks


def learn_table(rng, config):
    """Learners without a net: a table from the cell that is lit last but one to the answer.

    After each presentation a learner is told whether its answer was right, and changes the value
    of that answer. Returns for each the presentation that opened the first fifty right tests.
    """
    lit = light_paths(config.cells)[:, -2]
    number = np.arange(config.nets)
    value = np.zeros((config.cells, 2, config.nets))
    reached, streak = np.zeros((config.nets, 1), int), np.zeros(config.nets, int)
    shown = draw_directions(rng, "random", config.presentations, config.nets)
    for count, direction in enumerate(shown, 1):
        answer = value[lit[direction], :, number].argmax(1)
        value[lit[direction], answer, number] += (answer == direction) - 0.5
        right = (value[lit].argmax(1) == [[0], [1]]).all(0)
        streak = np.where(right, streak + 1, 0)
        note_streaks(reached, streak, count, WINDOWS[-1:])
        if reached.all():
            break
    return reached[:, 0]


def run(config: Config = Config(), watch=None) -> Result:
    """All nets of all kinds, for as many presentations as the config says.

    Raises FloatingPointError where weights grow beyond the range of 32-bit numbers.
    """
    net_rng, table_rng = np.random.default_rng(config.seed).spawn(2)
    names = CHOICES[config.kinds]
    nets = build(net_rng, names, config)
    total = nets.weights.shape[-1]
    reached, streak = np.zeros((total, len(WINDOWS)), int), np.zeros(total, int)
    kept, right = np.zeros(total, int), np.zeros(total, int)
    history = {"presentation": [], "found": [], "stable": [], "right": []}
    for count, direction in enumerate(nets.directions, 1):
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below
            present(nets, direction, config.lam, config.eta)
            correct = solved(nets.weights).all(0)
        streak = np.where(correct, streak + 1, 0)
        kept += correct & (reached[:, -1] > 0)
        right += correct
        note_streaks(reached, streak, count, WINDOWS)
        if count % LOOK == 0 or count == config.presentations:
            if not np.isfinite(nets.weights).all():
                raise FloatingPointError(
                    f"weights overflow within {count} presentations; bring eta down to lam"
                )
            shares = (reached.reshape(len(names), -1, len(WINDOWS)) > 0).mean(1)
            steps = count - (history["presentation"] or [0])[-1]
            history["presentation"].append(count)
            history["found"].append(shares[:, 0].tolist())
            history["stable"].append(shares[:, -1].tolist())
            history["right"].append((right.reshape(len(names), -1).mean(1) / steps).tolist())
            right[:] = 0
            if watch:
                watch(count, config.presentations, stable=float(shares[0, -1]))
    by_kind = dict(zip(names, reached.reshape(len(names), -1, len(WINDOWS)), strict=True))
    kept = dict(zip(names, kept.reshape(len(names), -1), strict=True))
    metrics = measure(by_kind, kept, config)
    weights = nets.weights[..., : config.nets]
    if MAIN in names:
        cut = solved(without_recurrence(weights)).all(0)
        metrics["right_without_recurrence"] = float(cut.mean())
    if config.kinds == "all":
        metrics |= compare(by_kind, learn_table(table_rng, config))
    return Result(metrics, history, by_kind, weights)


def note_streaks(reached, streak, count, windows):
    """Enter the presentation that opened a run of right tests once it is as long as a window."""
    for column, window in enumerate(windows):
        reached[(streak == window) & (reached[:, column] == 0), column] = count - window + 1


def mean_or_none(values):
    """The mean as a float; None where there are no values."""
    return float(np.mean(values)) if len(values) else None


def measure(reached, kept, config):
    """The numbers of the claims: nets that find and keep a solution; mean presentations until
    then, over those that do; uptime: of their tests after the first fifty, the share right on both.

    reached, kept: by kind, as in Result and (nets,), right tests after the first fifty.
    """
    metrics = {"nets": config.nets}
    for name, values in reached.items():
        prefix = "" if name == MAIN else f"{name}_"
        found, stable = (column[column > 0] for column in values.T)
        later = config.presentations - (stable + WINDOWS[-1] - 1)  # tests after the first fifty
        metrics[f"{prefix}found_nets"] = len(found)
        metrics[f"{prefix}found_mean"] = mean_or_none(found)
        metrics[f"{prefix}stable50_nets"] = len(stable)
        metrics[f"{prefix}stable50_mean"] = mean_or_none(stable)
        metrics[f"{prefix}uptime"] = float(kept[name].sum() / later.sum()) if later.any() else None
        if name == MAIN:
            metrics["cycles_per_sequence"] = mean_or_none(stable / 2)
    return metrics


def compare(reached, table):
    """The controls' numbers: stable shares against the full rule, and the table's presentations."""
    share = {name: (values[:, -1] > 0).mean() for name, values in reached.items()}
    return {
        "half_rule_stable50": float(max(share["no_income"], share["no_reward"])),
        "order_gap": float(share[MAIN] - share["pairs"]),
        "table_stable50_nets": int((table > 0).sum()),
        "table_stable50_mean": mean_or_none(table[table > 0]),
    }


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
