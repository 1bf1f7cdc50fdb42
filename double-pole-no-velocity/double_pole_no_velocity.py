"""Two poles on one cart, velocities hidden: CoSyNE evolves single weights side by side.

Task      A cart on 4.8 m of track carries a long and a short pole. Every 0.02 s a net sees where
          they are, p = [x / 2.4, th1 / 0.52, th2 / 0.52, 1], never how fast they move, and pushes
          with F = 20 (s - 0.5) newtons. It fails where |x| > 2.4 m or a pole leans by more than 36
          degrees. Solved: 100,000 actions (33 minutes) from th1 = 4 degrees, all else 0.
Net       One fully recurrent logistic unit:  s(t+1) = logistic(w . [p(t), s(t)]), s(0) = 0.
          A net is five weights w: three positions, the constant, the unit itself.
Learning  n = 5 subpopulations of m = 30 weights; row j of the m x n table is net j.
          1. Evaluate all nets, sort, keep the best m. The best quarter leaves two children a pair.
          2. Mutate all weights but the parents' with a certain probability, by Cauchy noise.
          3. Permute each column of the m rows on its own, children apart: every row becomes a new
             net, so a weight is judged in ever new company. Without step 3: plain evolution.
Fitness   standard: actions survived. damping: 0.1 t / 1000 + 0.9 f2, with f2 = 0.75 / (sum over the
          last 100 of at most 1000 actions of |x| + |x'| + |th1| + |th1'|), 0 where t < 100; each
          generation's best net is then tested for 100,000 actions.

Gomez, Schmidhuber, Miikkulainen (2008), JMLR 9, sections 4 and 5, appendix B.

    python3 double_pole_no_velocity.py --seed 0
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


@dataclass(frozen=True)
class Config:
    """Hyper-parameters; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    evaluations: int = option(20_000, "episodes after which the search gives up", 30, 1_000_000)
    fitness: str = option("standard", "what selection looks at", among=("standard", "damping"))
    search: str = option("cosyne", "guess: fresh weights each time", among=("cosyne", "guess"))
    actions: int = option(100_000, "actions without failure that solve the task", 100, 100_000)
    memory: bool = option(True, "the unit reads its own last output")
    permute: bool = option(True, "permute the subpopulations, step 3")
    crossover: bool = option(False, "the two children of a pair swap their tails")
    nets: int = option(30, "m, weights in a subpopulation", 4, 1000)
    mutation: float = option(0.8, "probability that a weight mutates", 0, 1)
    scale: float = option(0.5, "scale of the Cauchy noise", 0, 100)

    def __post_init__(self):
        check_options(self)
        for name in ("permute", "crossover", "nets", "mutation", "scale"):
            default = getattr(Config, name)
            if self.search == "guess" and getattr(self, name) != default:
                raise ValueError(f"{name} must be {default} where search is guess, "
                                 f"got {getattr(self, name)}")  # fmt: skip


QUICK = {"evaluations": 5000, "actions": 1000}


@dataclass
class Result:
    """metrics: see run(); history: one entry a generation; best: the weights (5,) of the last net
    that solved the task, or of the longest survivor."""

    metrics: dict
    history: dict
    best: list


# --- the task -------------------------------------------------------------------------------------

CART, LONG_POLE, SHORT_POLE = 1.0, 0.1, 0.01  # masses [kg]
LONG, SHORT = 0.5, 0.05  # half lengths [m]
GRAVITY = -9.8  # [m/s2]; negative in Wieland's equations
CART_FRICTION, HINGE_FRICTION = 5e-4, 2e-6
TICK = 0.01  # one step of the simulator [s]; an action lasts two
TRACK, FALL = 2.4, math.radians(36)  # failure beyond these [m], [rad]
TILT = math.radians(4)  # of the long pole at the start
ANGLE = 0.52  # what the net's angles are divided by [rad]
FORCE, LEAST_FORCE = 20.0, 10 / 256  # [N] for the whole range of s; |F| is never smaller
DAMPING_CAP, CALM = 1000, 100  # actions of an episode with damping fitness; the last ones judged


def accelerations(v, a, va, b, vb, force, lib=math):
    """x'', th1'', th2'' at speed v, angles a, b from the upright with rates va, vb.

    SI units; floats with lib = math, arrays with lib = numpy. Wieland (1991).
    """
    sin_a, cos_a, sin_b, cos_b = lib.sin(a), lib.cos(a), lib.sin(b), lib.cos(b)
    pull_a = HINGE_FRICTION * va / (LONG_POLE * LONG) + GRAVITY * sin_a
    pull_b = HINGE_FRICTION * vb / (SHORT_POLE * SHORT) + GRAVITY * sin_b
    sign = 1.0 * (v > 0) - (v < 0)
    push = force - CART_FRICTION * sign
    push += LONG_POLE * (LONG * va * va * sin_a + 0.75 * cos_a * pull_a)
    push += SHORT_POLE * (SHORT * vb * vb * sin_b + 0.75 * cos_b * pull_b)
    mass = LONG_POLE * (1 - 0.75 * cos_a * cos_a) + SHORT_POLE * (1 - 0.75 * cos_b * cos_b)
    pushed = push / (CART + mass)
    turn_a = -0.75 * (pushed * cos_a + pull_a) / LONG
    return pushed, turn_a, -0.75 * (pushed * cos_b + pull_b) / SHORT


def simulate(x, v, a, va, b, vb, force, lib=math):
    """The state (x, x', th1, th1', th2, th2') one TICK later, by the Runge-Kutta rule of order 4.

    Nothing depends on x, so three accelerations and three speeds make a stage.
    """
    h = TICK / 2
    x1, a1, b1 = accelerations(v, a, va, b, vb, force, lib)
    v2, va2, vb2 = v + h * x1, va + h * a1, vb + h * b1
    x2, a2, b2 = accelerations(v2, a + h * va, va2, b + h * vb, vb2, force, lib)
    v3, va3, vb3 = v + h * x2, va + h * a2, vb + h * b2
    x3, a3, b3 = accelerations(v3, a + h * va2, va3, b + h * vb2, vb3, force, lib)
    v4, va4, vb4 = v + TICK * x3, va + TICK * a3, vb + TICK * b3
    x4, a4, b4 = accelerations(v4, a + TICK * va3, va4, b + TICK * vb3, vb4, force, lib)
    sixth = TICK / 6
    return (
        x + sixth * (v + 2 * (v2 + v3) + v4),
        v + sixth * (x1 + 2 * (x2 + x3) + x4),
        a + sixth * (va + 2 * (va2 + va3) + va4),
        va + sixth * (a1 + 2 * (a2 + a3) + a4),
        b + sixth * (vb + 2 * (vb2 + vb3) + vb4),
        vb + sixth * (b1 + 2 * (b2 + b3) + b4),
    )


# --- one net, one episode -------------------------------------------------------------------------


def episode(weights, cap, start=(0.0, 0.0, TILT, 0.0, 0.0, 0.0), trace=None):
    """Actions that the net survives, at most cap; trace gets (x, x', th1, th1', th2, th2', F, s)
    after each."""
    w_x, w_a, w_b, bias, w_self = weights
    w_x, w_a, w_b = w_x / TRACK, w_a / ANGLE, w_b / ANGLE
    state, s = start, 0.0
    for t in range(cap):
        x, _, a, _, b, _ = state
        if not (-TRACK <= x <= TRACK and -FALL <= a <= FALL and -FALL <= b <= FALL):
            return t
        s = 0.5 + 0.5 * math.tanh(0.5 * (w_x * x + w_a * a + w_b * b + bias + w_self * s))
        force = FORCE * (s - 0.5)
        force = math.copysign(max(abs(force), LEAST_FORCE), force)
        state = simulate(*simulate(*state, force), force)
        if trace is not None:
            trace.append((*state, force, s))
    return cap


def damping_fitness(weights):
    """0.1 f1 + 0.9 f2, and the actions survived."""
    trace = []
    t = episode(weights, DAMPING_CAP, trace=trace)
    if t < CALM:
        return 0.1 * t / DAMPING_CAP, t
    unrest = sum(abs(x) + abs(v) + abs(a) + abs(va) for x, v, a, va, *_ in trace[-CALM:])
    return 0.1 * t / DAMPING_CAP + 0.9 * 0.75 / unrest, t


# --- 625 other starts -----------------------------------------------------------------------------

GRID = np.array([0.05, 0.25, 0.5, 0.75, 0.95]) * 2 - 1  # from end to end of each range
RANGES = (2.16, 1.35, math.radians(3.6), math.radians(8.6))  # x, x', th1, th1'
GOOD_SCORE, SCORE_BUDGET = 200, 10_000  # where the search for a general net ends; evaluations


def balanced_starts(weights, cap=1000):
    """Which of Gruau's 625 starts the net balances for cap actions: (5, 5, 5, 5), x first."""
    starts = np.meshgrid(*(GRID * limit for limit in RANGES), indexing="ij")
    x, v, a, va = (axis.ravel() for axis in starts)
    state, alive = np.stack([x, v, a, va, 0 * x, 0 * x]), np.arange(x.size)
    s = np.zeros(x.size)
    w = np.array(weights) / [TRACK, ANGLE, ANGLE, 1, 1]
    for _ in range(cap):
        inside = (np.abs(state[::2]) <= np.array([[TRACK], [FALL], [FALL]])).all(0)
        if not inside.all():
            state, alive, s = state[:, inside], alive[inside], s[inside]
        s = 0.5 + 0.5 * np.tanh(0.5 * (w[:3] @ state[::2] + w[3] + w[4] * s))
        force = FORCE * (s - 0.5)
        force = np.copysign(np.maximum(np.abs(force), LEAST_FORCE), force)
        state = np.array(simulate(*simulate(*state, force, np), force, np))
    balanced = np.zeros(x.size, bool)
    balanced[alive] = True
    return balanced.reshape(5, 5, 5, 5)


def starts_balanced(weights):
    """How many of the 625 starts the net balances: its score."""
    return int(balanced_starts(weights).sum())


# --- learning -------------------------------------------------------------------------------------

WEIGHTS, LIMIT = 5, 10.0  # n; first weights are uniform in -LIMIT .. LIMIT
SELF = 4  # column of the weight from the unit to itself


def breed(rows, fitness, config, rng):
    """The next nets (m + children, n) out of the last ones and their fitness: steps 1 to 3."""
    m, parents = config.nets, config.nets // 4
    rows = rows[np.argsort(-fitness, kind="stable")][:m]
    children = []
    for j in range(parents):
        better = rng.integers(max(j, 1))
        pair = rows[[j, better]].copy()
        if config.crossover:
            point = rng.integers(1, WEIGHTS)
            pair[:, point:] = pair[::-1, point:]
        children.extend(pair)
    rows = np.concatenate([rows, children])
    others = rows[parents:]
    mutates = rng.random(others.shape) < config.mutation
    others += np.where(mutates, config.scale * rng.standard_cauchy(others.shape), 0.0)
    if config.permute:
        rows[:m] = rng.permuted(rows[:m], axis=0)
    return rows


def next_nets(rows, fitness, config, rng):
    """The nets of the next generation; rows is None at first."""
    if rows is None or config.search == "guess":
        rows = rng.uniform(-LIMIT, LIMIT, (config.nets, WEIGHTS))
    else:
        rows = breed(rows, fitness, config, rng)
    if not config.memory:
        rows[:, SELF] = 0
    return rows


def evaluate(rows, config):
    """Fitness and survival of the nets, one by one; standard: up to the first that solves."""
    fitness, survived = [], []
    for weights in rows.tolist():
        if config.fitness == "damping":
            value, t = damping_fitness(weights)
        else:
            value = t = episode(weights, config.actions)
        fitness.append(value)
        survived.append(t)
        if config.fitness == "standard" and t >= config.actions:
            break
    return np.array(fitness, float), survived


LONG_TRIAL, V1_EVALUATIONS = 1000, 16_800  # the earlier catalog: such a trial after so many


def run(config: Config = Config(), watch=None) -> Result:
    """Search until the task is solved; with damping fitness on until a net's score is GOOD_SCORE.

    Metrics: evaluations until solved (or spent), solved; evaluations until the first net with 1000
    actions; score, of the 625 starts, of the net that solved; and for damping whether a net that
    solves it reached GOOD_SCORE, evaluations until then (or spent), and the score of the last net
    that solved it or, where none did, of the longest survivor.
    """
    rng, damping = np.random.default_rng(config.seed), config.fitness == "damping"
    rows = fitness = best = solved_at = first_long = score = last_score = None
    spent, longest, general, over = 0, -1, False, False
    history = {"evaluations": [], "longest": [], "fitness": []}
    while not over:
        rows = next_nets(rows, fitness, config, rng)[: config.evaluations - spent]
        fitness, survived = evaluate(rows, config)
        long = [i for i, t in enumerate(survived, spent + 1) if t >= LONG_TRIAL]
        first_long = first_long or (long[0] if long else None)
        spent += len(survived)
        top = int(np.argmax(fitness))
        weights, t = rows[top].tolist(), survived[top]
        if (
            damping
            and t == DAMPING_CAP
            and (not solved_at or starts_balanced(weights) >= GOOD_SCORE)
        ):
            t = episode(weights, config.actions)
        if not solved_at:
            longest, best = max((longest, best), (t, weights))
        if t >= config.actions:
            best, last_score = weights, starts_balanced(weights)
            score = score if solved_at else last_score
            solved_at = solved_at or spent
            general = damping and last_score >= GOOD_SCORE
        for name, value in zip(history, (spent, longest, float(fitness[top])), strict=True):
            history[name].append(value)
        if watch:
            watch(spent, config.evaluations, longest=longest, weights=np.array(weights))
        enough = solved_at and (not damping or general or spent >= SCORE_BUDGET)
        over = enough or spent >= config.evaluations
    metrics = {
        "evaluations": solved_at or spent,
        "solved": solved_at is not None,
        "longest": longest,
        "evaluations_1000": first_long,
        "reached_1000": first_long is not None and first_long <= V1_EVALUATIONS,
        "score": score,
        "general": general if damping else None,
        "evaluations_general": spent if damping else None,
        "general_score": (last_score or starts_balanced(best)) if damping else None,
    }
    return Result(metrics, history, best)


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
