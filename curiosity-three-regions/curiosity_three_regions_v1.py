"""Curiosity as a bandit with three arms, the task of the earlier catalog; no world, no moves.

Task      Every step one of three arms is pulled. Each holds a ring of contexts through which its
          pulls go in turn, and answers with a target y:
            A known      4 contexts, y = 1, 0, -1, 0
            B random     8 contexts, y normal with deviation 0.5, new at every pull
            C learnable  128 contexts, y normal with deviation 2, drawn once
Modules   M(context) predicts y, C(context) the squared error of M; rates 0.05 and 0.1.
Reward    r = C before its step - C after it, or max(0, r) for the control.
Choice    The interest of an arm is a running average of its rewards. Arms are pulled with
          probabilities proportional to exp(30 interest), at first 200 times at random.

    python3 curiosity_three_regions_v1.py --seed 0
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
    """The earlier catalog's sizes; the rates of the confidence are ours."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    steps: int = option(5000, "pulls", 201, 1_000_000)
    model_rate: float = option(0.05, "step size of the world model M", 0.001, 1)
    confidence_rate: float = option(0.1, "step size of the confidence C", 0.001, 1)
    prior: float = option(8.0, "squared error that C expects at first", 0, 100)
    beta: float = option(30.0, "how much more interest weighs than chance", 0, 1000)

    def __post_init__(self):
        check_options(self)


QUICK = {"steps": 3000}


@dataclass
class Result:
    """metrics: share of the pulls of each arm; history: pulls so far and these shares, by reward;
    arms: reward -> (steps,), the arm of each pull."""

    metrics: dict
    history: dict
    arms: dict


ARMS = ("a", "b", "c")
CONTEXTS = (4, 8, 128)
FIRST = 200  # pulls at random
AVERAGE = 0.05  # rate of the running average that is an arm's interest
LOOK = 100  # pulls between two entries of the history


def make_targets(rng):
    """A's and C's fixed targets; B has none."""
    return np.array([1.0, 0.0, -1.0, 0.0]), None, rng.normal(0, 2, CONTEXTS[2])


def pull(rng, targets, arm, count):
    """Context and target of an arm's pull number count."""
    context = count % CONTEXTS[arm]
    y = rng.normal(0, 0.5) if targets[arm] is None else targets[arm][context]
    return context, y


def choose(rng, interest, beta):
    """An arm, drawn with probability proportional to exp(beta interest)."""
    odds = np.cumsum(np.exp(beta * (interest - interest.max())))
    return int(np.searchsorted(odds, rng.random() * odds[-1], side="right"))


def play(rng, clipped, config):
    """All pulls with the signed or the clipped reward: (steps,), the arm of each."""
    targets = make_targets(rng)
    M = [np.zeros(size) for size in CONTEXTS]
    confidence = [np.full(size, config.prior) for size in CONTEXTS]
    interest, counts, arms = np.zeros(3), [0, 0, 0], []
    for t in range(config.steps):
        arm = int(rng.integers(3)) if t < FIRST else choose(rng, interest, config.beta)
        context, y = pull(rng, targets, arm, counts[arm])
        surprise = y - M[arm][context]
        reward = config.confidence_rate * (confidence[arm][context] - surprise**2)
        confidence[arm][context] -= reward
        M[arm][context] += config.model_rate * surprise
        interest[arm] += AVERAGE * ((max(0.0, reward) if clipped else reward) - interest[arm])
        counts[arm] += 1
        arms.append(arm)
    return np.array(arms)


def run(config: Config = Config(), watch=None) -> Result:
    """The bandit with the signed and with the clipped reward."""
    streams = np.random.default_rng(config.seed).spawn(2)
    arms, metrics = {}, {}
    for k, name in enumerate(("signed", "clipped")):
        arms[name] = play(streams[k], name == "clipped", config)
        shares = np.bincount(arms[name], minlength=3) / config.steps
        metrics |= {f"{name}_share_{arm}": float(x) for arm, x in zip(ARMS, shares, strict=True)}
        metrics[f"{name}_c_first"] = bool(shares[2] > max(shares[:2]))
        metrics[f"{name}_c_b_a"] = bool(shares[2] > shares[1] > shares[0])
        if watch:
            watch(k + 1, 2, share_c=float(shares[2]))
    pulls = [*range(LOOK, config.steps, LOOK), config.steps]
    history = {"pulls": pulls}
    for name, chosen in arms.items():
        shares = np.cumsum(chosen[:, None] == np.arange(3), axis=0)
        history[name] = [(shares[n - 1] / n).tolist() for n in pulls]
    return Result(metrics, history, arms)


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
