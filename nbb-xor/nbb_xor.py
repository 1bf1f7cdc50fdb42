"""XOR by the neural bucket brigade: weight substance moves between neighbouring connections; no gradient, no hidden targets.

Task      Inputs x1, x2 in {0, 1} and a unit that is always 1. One presentation: all units off, a random one of the four
          patterns is clamped for 6 ticks. Wanted: output unit x1 XOR x2 on. A reward arrives whenever it is on; that is all
          the net is told.
Net       Winner-take-all subsets: hidden units (one subset of 3 in the headline net) and the two outputs. All weights are
          positive, from inputs to hidden units and to outputs, and from hidden units to outputs: 21 of them.
            c_ij(t) = x_i(t-1) w_ij(t-1)        contribution of unit i to unit j
            net_j(t) = sum_i c_ij(t)            in each subset the unit with the largest positive net_j gets x_j(t) = 1
Rule      dw_ij(t) = - lam c_ij(t) x_j(t)                                        a winner's connections pay
                     + c_ij(t-1) / sum_h c_hj(t-1) * sum_k lam c_jk(t) x_k(t)    what j's successors paid goes to the
                                                                                connections that had switched j on
                     + eta c_ij(t) x_j(t) if j is the right output               reward
Test      After every presentation, weights frozen: each pattern must switch its output on in the last 3 ticks.

Several nets of each of seven kinds learn in lock-step. Arrays have the nets as last axis: weights are (7, 6, nets), rows are
sources (3 inputs, 4 hidden units), columns are targets (4 hidden units, 2 outputs); what a kind lacks stays zero.

    python3 nbb_xor.py --seed 0
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
    """The paper's settings; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    nets: int = option(20, "nets of each kind", 1, 1000)
    presentations: int = option(10_000, "most presentations of a pattern to a net", 20, 1_000_000)
    lam: float = option(
        0.005, "share of its contribution that a winner's connection pays at a tick", 0.0, 0.5
    )
    eta: float = option(
        0.005, "share of its contribution that a rewarded connection receives at a tick", 0.0, 0.5
    )
    kinds: str = option(
        "all",
        "all kinds of nets, main (the paper's net alone) or control (that one and the net without reward)",
        among=("all", "main", "control"),
    )
    keep: bool = option(
        False,
        "go on with nets that have been right 20 times running, for pictures of what comes after",
    )

    def __post_init__(self):
        check_options(self)


QUICK = {"nets": 8, "presentations": 1500, "kinds": "control"}

PATTERNS = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], np.float32)
XOR = np.array([0, 1, 1, 0])
TICKS = 6
WINDOWS = (1, 2, 20)  # consecutive right tests that count as found, as briefly stable, as stable


@dataclass(frozen=True)
class Kind:
    """How a net differs from the paper's: subsets of hidden units, shortcut from inputs to outputs,
    parts of the rule."""

    subsets: tuple = ((0, 1, 2),)
    shortcut: bool = True
    redistribution: bool = True
    reward: bool = True


KINDS = {
    "three_hidden": Kind(),
    "no_reward": Kind(reward=False),
    "no_redistribution": Kind(redistribution=False),
    "no_hidden": Kind(subsets=()),
    "two_hidden": Kind(subsets=((0, 1),)),
    "two_pairs": Kind(subsets=((0, 1), (2, 3))),
    "no_shortcut": Kind(shortcut=False),
}
CHOICES = {"all": list(KINDS), "main": ["three_hidden"], "control": ["three_hidden", "no_reward"]}


@dataclass
class Result:
    """reached: kind -> (nets, 3), the presentation that opened the first run of 1, 2 and 20 right
    tests, 0 = never;
    weights: (7, 6, nets), the final weights of the paper's nets."""

    metrics: dict
    history: dict
    reached: dict
    weights: np.ndarray


# --- the nets ----------------------------------------------------------------------------------


@dataclass
class Nets:
    """weights: (7, 6, nets); group: (3, 6, nets), which targets compete in each subset;
    redistribute, reward: (nets,), 0 or 1;
    kind: (nets,), index into the list of kinds; number: (nets,), where a net's results go."""

    weights: np.ndarray
    group: np.ndarray
    redistribute: np.ndarray
    reward: np.ndarray
    kind: np.ndarray
    number: np.ndarray

    def take(self, chosen):
        """The chosen nets."""
        return Nets(
            *(
                np.ascontiguousarray(getattr(self, field.name)[..., chosen])
                for field in dataclasses.fields(self)
            )
        )


def build(rng, names, count, dtype=np.float32):
    """count nets of each named kind, weights uniform in [0.999, 1.001]."""
    parts = []
    for index, kind in enumerate(KINDS[name] for name in names):
        hidden = [unit for subset in kind.subsets for unit in subset]
        connected = np.zeros((7, 6, 1), dtype)
        connected[:3, hidden] = 1
        connected[:3, 4:] = kind.shortcut
        connected[[3 + unit for unit in hidden], 4:] = 1
        group = np.zeros((3, 6, count), dtype)
        for row, subset in zip(group, (*kind.subsets, (4, 5)), strict=False):
            row[list(subset)] = 1
        weights = rng.uniform(0.999, 1.001, (7, 6, count)).astype(dtype) * connected
        flags = [np.full(count, flag, dtype) for flag in (kind.redistribution, kind.reward)]
        parts.append((weights, group, *flags, np.full(count, index)))
    columns = [np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)]
    return Nets(*columns, np.arange(len(columns[-1])))


def winners(net, group):
    """One 1 in each subset, at its largest positive net input: (..., 6, nets) -> (..., 6, nets)."""
    peak = (net[..., None, :, :] * group).max(-2)  # (..., 3 subsets, nets)
    own = (peak[..., None, :] * group).sum(-3)  # the peak of each target's own subset
    return ((net == own) & (net > 0)).astype(net.dtype)


def solved(nets):
    """Which patterns each net gets right with frozen weights: (4, nets).

    From tick 3 on nothing changes any more, so the last 3 ticks are what the hidden winners lead
    to.
    """
    w = nets.weights
    drive = np.tensordot(PATTERNS.astype(w.dtype), w[:3], 1)  # (4 patterns, 6, nets)
    hidden = winners(drive, nets.group)[:, :4]
    net = drive[:, 4:] + (hidden[:, :, None] * w[3:, 4:]).sum(1)
    return np.where(XOR[:, None] == 1, net[:, 1] > net[:, 0], net[:, 0] > net[:, 1])


# --- learning ----------------------------------------------------------------------------------


def present(nets, pattern, lam, eta, watch_tick=None):
    """One presentation to every net, learning at every tick; pattern: (nets,), which of the four.

    Tick 1 only clamps the inputs, since nothing was on before. watch_tick(c, y, share, income,
    gain) sees what each later tick moves: contributions, winners, shares of the last tick, what
    hidden units receive, reward a unit of contribution.
    """
    w = nets.weights
    x = np.zeros((7, w.shape[-1]), w.dtype)
    x[:3] = PATTERNS[pattern].T
    gain = np.zeros((6, w.shape[-1]), w.dtype)
    gain[4 + XOR[pattern], np.arange(w.shape[-1])] = nets.reward * w.dtype.type(eta)
    lam = w.dtype.type(lam)
    share = np.zeros((7, 4, w.shape[-1]), w.dtype)  # c_ij(t-1) / sum_h c_hj(t-1)
    for _ in range(2, TICKS + 1):
        c = x[:, None] * w
        net = c.sum(0)
        y = winners(net, nets.group)
        income = (c[3:, 4:] * (lam * nets.redistribute * y[4:])).sum(
            1
        )  # only outputs follow hidden units
        w += c * (y * (gain - lam))
        w[:, :4] += share * income
        if watch_tick:
            watch_tick(c, y, share, income, gain)
        share = c[:, :4] / np.maximum(net[:4], np.finfo(w.dtype).tiny)
        x[3:] = y[:4]


# --- the experiment ------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """All nets of all kinds until they are stable or the presentations are used up."""
    rng, pattern_rng = np.random.default_rng(config.seed).spawn(2)
    names = CHOICES[config.kinds]
    nets = build(rng, names, config.nets)
    reached = np.zeros((len(nets.number), len(WINDOWS)), int)
    streak = np.zeros(len(nets.number), int)
    final = nets.weights.copy()
    history = {"presentation": [], "correct": [], "substance": [], "stable": []}
    for count in range(1, config.presentations + 1):
        present(nets, pattern_rng.integers(4, size=len(streak)), config.lam, config.eta)
        correct = solved(nets)
        streak = np.where(correct.all(0), streak + 1, 0)
        note_streaks(reached, nets.number, streak, count)
        done = reached[nets.number, -1] > 0
        if count % 25 == 0 or count == config.presentations or done.all():
            record(history, names, nets, correct, reached, count)
            if watch:
                watch(
                    count,
                    config.presentations,
                    stable=history["stable"][-1][0],
                    nets=nets,
                    correct=correct,
                    reached=reached,
                )
        if done.all() and not config.keep:
            break
        if count % 500 == 0 and done.any() and not config.keep:
            final[..., nets.number] = nets.weights
            nets, streak = nets.take(~done), streak[~done]
    final[..., nets.number] = nets.weights
    by_kind = {
        name: reached[i * config.nets : (i + 1) * config.nets] for i, name in enumerate(names)
    }
    return Result(measure(by_kind, config), history, by_kind, final[..., : config.nets])


def note_streaks(reached, number, streak, count):
    """Enter the presentation that opened a run of right tests once the run is as long as each of
    WINDOWS."""
    for column, window in enumerate(WINDOWS):
        long_enough = number[streak == window]
        first = long_enough[reached[long_enough, column] == 0]
        reached[first, column] = count - window + 1


def record(history, names, nets, correct, reached, count):
    """One row of history: per kind the share of nets right on each pattern, mean substance in the
    three layers, stable nets."""
    history["presentation"].append(count)
    rows = [nets.kind == i for i in range(len(names))]
    history["correct"].append(
        [correct[:, row].mean(1).tolist() if row.any() else [1.0] * 4 for row in rows]
    )
    w = nets.weights[..., rows[0]] if rows[0].any() else np.zeros((7, 6, 1))
    history["substance"].append(
        [float(part.sum() / w.shape[-1]) for part in (w[:3, :4], w[:3, 4:], w[3:, 4:])]
    )
    stable = reached[:, -1].reshape(len(names), -1) > 0
    history["stable"].append(stable.mean(1).tolist())


def measure(reached, config):
    """The numbers of the claims; a net that never gets there counts with all its presentations."""
    share = {name: (values > 0).mean(0) for name, values in reached.items()}
    steps = np.where(reached["three_hidden"] > 0, reached["three_hidden"], config.presentations)
    metrics = {
        "found_fraction": float(share["three_hidden"][0]),
        "found_mean": float(steps[:, 0].mean()),
        "found_slowest": int(steps[:, 0].max()),
        "stable_mean2": float(steps[:, 1].mean()),
        "stable_mean20": float(steps[:, 2].mean()),
        "stable20": float(share["three_hidden"][2]),
    }
    for name in list(reached)[1:]:
        metrics[f"{name}_found"], metrics[f"{name}_stable20"] = (
            float(share[name][0]),
            float(share[name][2]),
        )
    if config.kinds == "all":
        metrics["two_hidden_gap"] = metrics["stable20"] - metrics["two_hidden_stable20"]
        controls = ("no_redistribution", "no_reward", "no_hidden")
        metrics["control_stable20"] = max(metrics[f"{name}_stable20"] for name in controls)
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
