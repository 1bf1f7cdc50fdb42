"""Adaptive curiosity: an agent rewarded for what it comes to expect about its own errors.

Task      Ten by ten cells, walls around; moves up, down, left, right; a move into the wall leaves
          the agent where it is. When it chooses move a in cell s, the world answers with y:
            A known      y = 0, which is what an untrained model predicts
            B random     y = -1 or +1, a fair coin at every visit
            C learnable  y = -1 or +1, drawn once for each pair (s, a), then always the same
          Nobody tells the agent which cells are which. One life, no restarts.
            world P      9 columns B, 1 column C (the paper's kind: partly random)
            world rare   the same, but only the upper five cells of that column are C
            world T      4 columns A, 5 columns B, 1 column C (three regions)
Modules   Tables over pairs (s, a), which is what nets without hidden units are on one-hot inputs.
          (The paper's C, the confidence, is a table; region C is a place.)
            M(s,a)  predicts y                     M <- M + aM (y - M)
            C(s,a)  M's expected squared error     C <- C + aC ((y - M)^2 - C), before M learns
            Q(s,a)  what curiosity will earn       Q <- Q + b (r + g U(s') - Q)
            U(s)    utility of a cell              max_a Q(s,a)
          M and Q start at 0, C at 1.
Reward    r = C before its step - C after it = aC (C - (y - M)^2): positive when the error came
          out below what was expected, negative when above. The rewards of a pair add up to
          1 - C(s,a): to 1 in A and C, once and for all, and to about 0 in B.
Moves     The best a by Q, ties at random; with probability `explore` any move.
Drives    curious   the above
          random    every move at random (the paper's comparison)
          clipped   r = max(0, r): only good news counts
          raw       r = (y - M)^2: surprise itself (the 1990 proposal)
          myopic    g = 0: reward counts only for the move that earned it
Rule      For comparison, `live_by_rule` learns only M. It is told more: it has the map, and it
          knows that an answer is either fixed or a coin.
Measure   E(t) = sum over all pairs of A and C of (y - M(s,a))^2. T10: the first step after which
          E < 10 % of E(0).

One life in plain loops is `live`; `step` moves many lives at once. Their tables are flat: the
entry of life n, cell s, move a is (100 n + s) 4 + a.

    python3 curiosity_three_regions.py --quick
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
    """The defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    lives: int = option(20, "lives of each drive in each world", 1, 200)
    steps: int = option(60_000, "steps of a life", 100, 1_000_000)
    worlds: str = option("both", "P, T, both, or rare", among=("both", "P", "T", "rare"))
    drives: str = option("all", "all five, or main: curious and random", among=("all", "main"))
    model_rate: float = option(0.02, "aM, step size of the world model M", 0.001, 1)
    confidence_rate: float = option(0.2, "aC, step size of the confidence C", 0.001, 1)
    value_rate: float = option(0.5, "b, step size of Q", 0.01, 1)
    gamma: float = option(0.8, "g, discount of reward by a step", 0, 0.99)
    explore: float = option(0.2, "probability of a random move", 0, 1)

    def __post_init__(self):
        check_options(self)


QUICK = {"lives": 8, "steps": 8000, "worlds": "P", "drives": "main", "model_rate": 0.08}


@dataclass
class Result:
    """metrics; history: at every LOOK steps, for each group, the mean E(t) / E(0) and the shares of
    the steps since then in A, B, C; groups: (world, drive) of each; t10: (groups, lives), 0 where
    it never came."""

    metrics: dict
    history: dict
    groups: list
    t10: np.ndarray


# --- the world ---------------------------------------------------------------------------------

SIDE, MOVES = 10, 4  # cells along an edge; up, down, left, right
CELLS, PAIRS = SIDE**2, SIDE**2 * MOVES
A, B, C = range(3)  # the regions
WORLDS = {
    "P": ["BBBBBBBBBC"] * 10,
    "T": ["AAAABBBBBC"] * 10,
    "rare": ["BBBBBBBBBC"] * 5 + ["BBBBBBBBBB"] * 5,
}
DRIVES = ("curious", "random", "clipped", "raw", "myopic")
REMAINS = 0.1  # share of E(0) at which T10 is read


def neighbours():
    """(100, 4): the cell in which each move ends."""
    row, column = np.divmod(np.arange(CELLS), SIDE)
    up, down = np.maximum(row - 1, 0), np.minimum(row + 1, SIDE - 1)
    left, right = np.maximum(column - 1, 0), np.minimum(column + 1, SIDE - 1)
    ends = [up * SIDE + column, down * SIDE + column, row * SIDE + left, row * SIDE + right]
    return np.stack(ends, axis=1)


NEXT = neighbours()


def regions(world):
    """(100,): the region of each cell of a map of ten words."""
    return np.array(["ABC".index(letter) for row in world for letter in row])


def answers(rng, region):
    """(400,): what the world answers to each pair; in B a coin will decide instead."""
    signs = rng.choice([-1.0, 1.0], PAIRS)
    return np.where(np.repeat(region, MOVES) == C, signs, 0.0)


# --- one life, in plain loops ------------------------------------------------------------------


def reward_of(drive, before, after, squared):
    """What a drive is paid: C's output before and after its step, and M's squared error."""
    if drive == "raw":
        return squared
    if drive == "clipped":
        return max(0.0, before - after)
    return before - after


def live(region, answer, drive, start, luck, config):
    """One life of as many steps as luck holds; yields after each (s, a, reward, E).

    luck: for each step (the coin, whether the move is random, the random move, four tie-breakers).
    Returns the tables M, C, Q.
    """
    M, confidence, Q = np.zeros((CELLS, MOVES)), np.ones((CELLS, MOVES)), np.zeros((CELLS, MOVES))
    g = 0.0 if drive == "myopic" else config.gamma
    s = start
    for coin, is_random, random_move, ties in luck:
        a = random_move if is_random else int(np.argmax(Q[s] + ties))
        y = coin if region[s] == B else answer[s * MOVES + a]
        squared = (y - M[s, a]) ** 2
        before = confidence[s, a]
        confidence[s, a] += config.confidence_rate * (squared - before)
        r = reward_of(drive, before, confidence[s, a], squared)
        M[s, a] += config.model_rate * (y - M[s, a])
        after = NEXT[s, a]
        Q[s, a] += config.value_rate * (r + g * max(Q[after]) - Q[s, a])
        yield s, a, r, model_error(M, region, answer)
        s = after
    return M, confidence, Q


def model_error(M, region, answer):
    """E: the summed squared error of M on all pairs that have one answer."""
    fixed = np.repeat(region, MOVES) != B
    return float(((answer - M.reshape(-1))[fixed] ** 2).sum())


# --- a rule that is told more ------------------------------------------------------------------


def live_by_rule(rng, region, answer, config):
    """T10 of an agent that walks to the nearest open pair and there takes the least tried one.

    A pair is open until it has given two different answers, so that it is a coin, or M's squared
    error on it is below 10 %. Returns 0 if T10 never comes.
    """
    M, first, tries = np.zeros(PAIRS), np.zeros(PAIRS), np.zeros(PAIRS, int)
    is_open, fixed = np.ones(PAIRS, bool), np.repeat(region, MOVES) != B
    error = (answer**2).sum()
    limit, s = REMAINS * error, int(rng.integers(CELLS))
    for t in range(1, config.steps + 1):
        pairs = MOVES * s + np.flatnonzero(is_open[MOVES * s : MOVES * (s + 1)])
        if len(pairs):
            pair = pairs[tries[pairs].argmin()]
        elif is_open.any():
            pair = MOVES * s + move_towards(s, np.flatnonzero(is_open) // MOVES)
        else:
            return 0
        y = answer[pair] if fixed[pair] else 1.0 - 2 * rng.integers(2)
        squared = (y - M[pair]) ** 2
        if tries[pair] == 0:
            first[pair] = y
        is_open[pair] &= y == first[pair] and squared >= REMAINS
        tries[pair] += 1
        M[pair] += config.model_rate * (y - M[pair])
        if fixed[pair]:
            error += (y - M[pair]) ** 2 - squared
            if error < limit:
                return t
        s = NEXT[s, pair % MOVES]
    return 0


def move_towards(s, cells):
    """The move from s that comes nearer to the nearest of the cells, up and down first."""
    down, right = cells // SIDE - s // SIDE, cells % SIDE - s % SIDE
    nearest = (abs(down) + abs(right)).argmin()
    down, right = down[nearest], right[nearest]
    return (0 if down < 0 else 1) if down else (2 if right < 0 else 3)


# --- many lives at once ------------------------------------------------------------------------


@dataclass
class Lives:
    """Many lives in lock-step. The tables region, (lives, 100), and answer, M, confidence and Q,
    (lives, 400), are kept flat; all else is one number a life."""

    region: np.ndarray
    answer: np.ndarray
    M: np.ndarray
    confidence: np.ndarray
    Q: np.ndarray
    state: np.ndarray
    error: np.ndarray
    clipped: np.ndarray
    raw: np.ndarray
    gamma: np.ndarray
    explore: np.ndarray
    model_rate: np.ndarray
    confidence_rate: np.ndarray
    value_rate: np.ndarray


def build(rng, groups, lives, config):
    """So many lives for each group (map, drive); a group's lives stand together."""
    rows = [(regions(world), drive) for world, drive in groups for _ in range(lives)]
    region = np.array([region for region, _ in rows])
    answer = np.array([answers(rng, region) for region, _ in rows])
    drive = np.array([drive for _, drive in rows])
    count = len(rows)
    return Lives(
        region.reshape(-1),
        answer.reshape(-1),
        M=np.zeros(count * PAIRS),
        confidence=np.ones(count * PAIRS),
        Q=np.zeros(count * PAIRS),
        state=rng.integers(CELLS, size=count),
        error=(answer**2).sum(1),  # M starts at 0
        clipped=drive == "clipped",
        raw=drive == "raw",
        gamma=np.where(drive == "myopic", 0.0, config.gamma),
        explore=np.where(drive == "random", 1.0, config.explore),
        model_rate=np.full(count, config.model_rate),
        confidence_rate=np.full(count, config.confidence_rate),
        value_rate=np.full(count, config.value_rate),
    )


TIE = 1e-9  # tie-breakers lie below this


def draw_luck(rng, steps, explore):
    """The luck of a block of steps, each (steps, lives): coins, which moves are random, random
    moves; and (steps, lives, 4) tie-breakers."""
    shape = (steps, len(explore))
    coins = rng.choice([-1.0, 1.0], shape)
    is_random = rng.random(shape) < explore
    return coins, is_random, rng.integers(MOVES, size=shape), TIE * rng.random((*shape, MOVES))


def step(lives, base, coin, is_random, random_move, ties):
    """One step of `live` for all lives; base: (lives,), 100 times a life's number.

    Returns the region in which each life was and the change of its confidence, both (lives,).
    """
    utility = lives.Q.reshape(-1, MOVES)
    cell = base + lives.state
    a = np.where(is_random, random_move, (utility[cell] + ties).argmax(1))
    pair = cell * MOVES + a
    where = lives.region[cell]
    noisy = where == B
    surprise = np.where(noisy, coin, lives.answer[pair]) - lives.M[pair]
    squared = surprise * surprise
    before = lives.confidence[pair]
    after = before + lives.confidence_rate * (squared - before)
    lives.confidence[pair] = after
    change = before - after
    reward = np.where(lives.clipped, np.maximum(change, 0), np.where(lives.raw, squared, change))
    lives.M[pair] += lives.model_rate * surprise
    lives.error += np.where(noisy, 0, squared * ((1 - lives.model_rate) ** 2 - 1))
    lives.state = NEXT[lives.state, a]
    target = reward + lives.gamma * utility[base + lives.state].max(1)
    lives.Q[pair] += lives.value_rate * (target - lives.Q[pair])
    return where, change


# --- the experiment ----------------------------------------------------------------------------

LOOK = 500  # steps between two looks
LATE = 3  # the last third of a life is where boredom is read


def run(config: Config = Config(), watch=None) -> Result:
    """All lives of all drives in all worlds, side by side, for `steps` steps."""
    rng, luck_rng, rule_rng = np.random.default_rng(config.seed).spawn(3)
    worlds = ("P", "T") if config.worlds == "both" else (config.worlds,)
    drives = DRIVES if config.drives == "all" else DRIVES[:2]
    groups = [(world, drive) for world in worlds for drive in drives]
    lives = build(rng, [(WORLDS[world], drive) for world, drive in groups], config.lives, config)
    shape, count = (len(groups), config.lives), len(lives.state)
    base = CELLS * np.arange(count)
    limit, start = REMAINS * lives.error, lives.error.copy()
    t10 = np.zeros(count, int)
    visits = np.zeros((count, 3), int)  # so far, of each region
    early, before_late, last = visits.copy(), visits.copy(), visits.copy()
    flat, place = visits.reshape(-1), 3 * np.arange(count)
    history = {"step": [], "error": [], "shares": []}
    late_from = config.steps - config.steps // LATE
    for t in range(1, config.steps + 1):
        if (t - 1) % LOOK == 0:
            block = min(LOOK, config.steps - t + 1)
            luck = zip(*draw_luck(luck_rng, block, lives.explore), strict=True)
        where, _ = step(lives, base, *next(luck))
        flat[place + where] += 1
        arrived = (lives.error < limit) & (t10 == 0)
        if arrived.any():
            t10[arrived], early[arrived] = t, visits[arrived]
        if t == late_from:
            before_late[:] = visits
        if t % LOOK == 0 or t == config.steps:
            fresh = (visits - last).reshape(*shape, 3)
            enter(history, t, (lives.error / start).reshape(shape), fresh)
            last[:] = visits
            if watch:
                watch(t, config.steps, error=history["error"][-1][0], lives=lives)
    early[t10 == 0] = visits[t10 == 0]
    t10 = t10.reshape(shape)
    early, late = early.reshape(*shape, 3), (visits - before_late).reshape(*shape, 3)
    metrics = measure(groups, t10, early, late, config)
    if config.drives == "all":
        for world in worlds:
            metrics |= compare_with_rule(rule_rng, world, metrics, config)
    return Result(metrics, history, groups, t10)


def compare_with_rule(rng, world, metrics, config):
    """Mean T10 of as many lives by rule, as in `measure`, and how much longer the curious take."""
    region, times = regions(WORLDS[world]), []
    for _ in range(config.lives):
        times.append(live_by_rule(rng, region, answers(rng, region), config))
    mean = float(np.mean([time or config.steps for time in times])) if any(times) else None
    curious = metrics[f"{world}_curious_t10"]
    ratio = curious / mean if mean and curious else None
    return {f"{world}_rule_t10": mean, f"{world}_curious_to_rule": ratio}


def enter(history, t, error, visits):
    """Add a look at step t; error: (groups, lives); visits, since the last: (groups, lives, 3)."""
    visits = visits.sum(1)
    history["step"].append(t)
    history["error"].append(error.mean(1).tolist())
    history["shares"].append((visits / visits.sum(1, keepdims=True)).tolist())


def measure(groups, t10, early, late, config):
    """The numbers of the claims; early, late: (groups, lives, 3), visits up to T10 and at the end.

    speedup: T10 of random lives / T10. density: visits to a cell of C / to one of B before T10.
    boredom: share of steps in C before T10 - in the last third of life. ideal: learnable pairs
    times visits needed. A life that never gets to T10 enters a mean with all its steps; where no
    life of a group does, the mean is None, and so is a ratio to random lives where none does.
    """
    metrics = {"lives": config.lives}
    full = np.where(t10 > 0, t10, config.steps).mean(1)
    reached = (t10 > 0).sum(1)
    for k, (world, drive) in enumerate(groups):
        name, random = f"{world}_{drive}", groups.index((world, "random"))
        cells = np.maximum(np.bincount(regions(WORLDS[world]), minlength=3), 1)
        in_a_cell = early[k].sum(0) / cells
        share, end = (early[k] / early[k].sum(1, keepdims=True)).mean(0), late[k].sum(0)
        end = end / end.sum()
        metrics[f"{name}_reached"] = int(reached[k])
        metrics[f"{name}_t10"] = float(full[k]) if reached[k] else None
        metrics[f"{name}_speedup"] = float(full[random] / full[k]) if reached[random] else None
        metrics[f"{name}_density"] = float(in_a_cell[C] / in_a_cell[B]) if in_a_cell[B] else None
        metrics[f"{name}_boredom"] = float(share[C] - end[C])
        metrics[f"{name}_late_b"], metrics[f"{name}_late_c"] = float(end[B]), float(end[C])
    for world in dict.fromkeys(world for world, _ in groups):
        learnable = MOVES * int((regions(WORLDS[world]) == C).sum())
        metrics[f"{world}_ideal_t10"] = learnable * visits_needed(config.model_rate)
    return metrics


def visits_needed(rate):
    """Visits after which a pair's squared error is below 10 %: (1 - aM)^(2 n) < 0.1."""
    return 1 if rate == 1 else math.floor(math.log(REMAINS) / (2 * math.log(1 - rate))) + 1


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
