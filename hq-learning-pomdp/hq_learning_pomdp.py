"""HQ-learning: memoryless sub-agents that hand over to one another solve a maze that no memoryless
policy can solve.

Task      A maze of 10 x 10 cells, 62 of them free, moves W, N, E, S. The only input o is the set of
          blocked neighbours (the sum of 1, 2, 4, 8 for west, north, east, south), so that different
          places look the same. Reward 100 at the goal, nothing elsewhere. A trial ends at the goal
          or after 1000 steps.
System    M sub-agents C_1 ... C_M in a fixed order. C_i has Q_i (16 inputs x 4 moves) and, if i <
          M, HQ_i (16 inputs).
          On taking over, C_i picks a sub-goal, one of the 16 names of inputs: with probability
          p_max the best entry of HQ_i, else any. It moves by Q_i, with probability p_max the best
          move, else by Boltzmann's rule. When the new input equals its sub-goal, C_{i+1} takes over
          for good. The number of the sub-agent in charge is the only memory.
Learning  after the trial, with the tables that acted in it. For the moves, backwards in time,
          V_i(o) = max_a Q_i(o, a):
            T_t = R_t + gamma ((1 - lambda) V_c(t+1)(o_{t+1}) + lambda T_{t+1})
            Q_c(t)(o_t, a_t) += alpha_Q (T_t - Q)
          and for the sub-goals, with R_i the discounted reward of the tenure of C_i, D its length,
          HV = max_o HQ(o):
            H_i = R_i + gamma^D ((1 - lambda) HV_{i+1} + lambda H_{i+1})
            HQ_i(o_i) += alpha_HQ (H_i - HQ)
          where H_{M-1} = R_{M-1} + gamma^D R_M, and the last one that acted has H = R_i.
Controls  the same learner with M = 1 (flat Q(lambda)), and moves at random.

Numbers in the tables are plain Python lists: entry = 64 agent + 4 input + move, slot = entry // 4 =
16 agent + input.

    python3 hq_learning_pomdp.py --seed 0
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

INPUTS, MOVES = 16, 4
REWARD = 100.0  # at the goal
NONE = -1  # no sub-goal, no slip, no single best move
SIZES = (3, 4, 6, 8, 12)
MAZES = {
    "a": "..#..##..# .....##..# ..#..##G## ..##.#..## #.#..#..## "
    "#.#.##.#.. ..#..#.#.. S.##.#.... ..#....#.. ..#..#...#",
    "b": "#.....#### #..#..#### ...#..#### ..##..#G.# ...#..#..# "
    "#..#..#... #..#..##.. .S.#..##.. ...#...... ..##..#..#",
    "zigzag": "S.... ####. ..... .#### ..... ####. ..... .#### ....G",
}


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
    maze: str = option("a", "a, b: 62 free cells; zigzag: v1's 29", among=list(MAZES))
    agents: int = option(8, "sub-agents M of the system", 1, 16)
    sizes: bool = option(False, "instead: systems of 3, 4, 6, 8 and 12 sub-agents, no control")
    noise: float = option(0.0, "probability that a random move replaces the selected one", 0, 1)
    trials: int = option(20_000, "training trials of each system", 2, 200_000)
    max_steps: int = option(1000, "steps after which a trial ends", 10, 5000)
    gamma: float = option(0.9, "discount factor", 0.1, 0.999)
    trace: float = option(0.9, "lambda, weight of the longer returns", 0, 1)
    alpha_q: float = option(0.05, "learning rate of the move tables", 0, 1)
    alpha_hq: float = option(0.2, "learning rate of the sub-goal tables", 0, 1)
    temperature: float = option(0.1, "of Boltzmann's rule", 0.01, 1000)
    p_max: float = option(0.9, "probability of the best choice at first; at last 1", 0, 1)
    test_every: int = option(500, "trials between two greedy tests", 10, 200_000)
    tests: int = option(100, "walks in a test with noise; without, one says all", 1, 1000)

    def __post_init__(self):
        check_options(self)


QUICK = {"maze": "b", "agents": 6, "trials": 3000, "test_every": 100}


@dataclass
class Result:
    """metrics; history: training curves of the systems; world: the maze; tables and walk: by the
    number of sub-agents."""

    metrics: dict
    history: dict
    world: World
    tables: dict
    walk: dict


# --- the maze ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """cells: (row, column) of each free cell; after: cell reached, by 4 cell + move; inputs: what
    is seen, by cell."""

    cells: list
    after: list
    inputs: list
    start: int
    goal: int


def make_world(name):
    """The maze of that name."""
    rows = MAZES[name].split()
    cells = [(r, c) for r, row in enumerate(rows) for c, mark in enumerate(row) if mark != "#"]
    number = {place: cell for cell, place in enumerate(cells)}
    after, inputs = [], []
    for cell, (r, c) in enumerate(cells):
        places = (r, c - 1), (r - 1, c), (r, c + 1), (r + 1, c)  # west, north, east, south
        reached = [number.get(place, cell) for place in places]
        after += reached
        inputs.append(sum(1 << move for move in range(MOVES) if reached[move] == cell))
    marked = {rows[r][c]: cell for cell, (r, c) in enumerate(cells)}
    return World(cells, after, inputs, marked["S"], marked["G"])


def shortest_path(world):
    """Steps from start to goal for somebody who sees the whole maze."""
    steps, front, known = 0, {world.start}, set()
    while world.goal not in front:
        known |= front
        reached = {world.after[MOVES * cell + move] for cell in front for move in range(MOVES)}
        front = reached - known
        steps += 1
    return steps


def random_walk(world, max_steps):
    """Exact probability that random moves reach the goal within max_steps, and the mean length of
    such a trial."""
    step = np.zeros((len(world.cells), len(world.cells)))
    np.add.at(step, (np.repeat(np.arange(len(world.cells)), MOVES), world.after), 1 / MOVES)
    step[world.goal] = 0
    there, arrived, mean = np.eye(len(world.cells))[world.start], 0.0, 0.0
    for _ in range(max_steps):
        mean += 1 - arrived
        there = there @ step
        arrived += there[world.goal]
    return float(arrived), float(mean)


# --- the system ----------------------------------------------------------------------------------


class Tables:
    """What a system of sub-agents knows.

    q: value by entry; hq: 16 values for each sub-agent but the last. Derived from q, by slot:
    value, the largest entry; best, the best move or NONE where several are equally good; bounds,
    cumulative Boltzmann probabilities, made on demand.
    """

    def __init__(self, agents):
        slots = agents * INPUTS
        self.q, self.hq = [0.0] * (slots * MOVES), [[0.0] * INPUTS for _ in range(agents - 1)]
        self.value, self.best, self.bounds = [0.0] * slots, [NONE] * slots, [None] * slots

    def row(self, slot):
        return self.q[MOVES * slot : MOVES * slot + MOVES]

    def refresh(self, slots):
        """Bring what is derived from q up to date."""
        for slot in slots:
            row = self.row(slot)
            top = self.value[slot] = max(row)
            self.best[slot] = row.index(top) if row.count(top) == 1 else NONE
            self.bounds[slot] = None


def tied_move(tables, slot, chance):
    """One of the equally good moves; chance in [0, 1) decides."""
    row = tables.row(slot)
    moves = [move for move in range(MOVES) if row[move] == tables.value[slot]]
    return moves[int(chance * len(moves))]


def boltzmann_move(tables, slot, chance, temperature):
    """A move with probability proportional to exp(Q / temperature); chance in [0, 1) decides."""
    if tables.bounds[slot] is None:
        weights = [math.exp((q - tables.value[slot]) / temperature) for q in tables.row(slot)]
        total = sum(weights)
        tables.bounds[slot] = [sum(weights[: move + 1]) / total for move in range(MOVES - 1)]
    low, middle, high = tables.bounds[slot]
    return (0 if chance < low else 1) if chance < middle else (2 if chance < high else 3)


def choose_subgoals(tables, p_max, rng):
    """A sub-goal for each sub-agent: Max-Random, ties at random; the last has NONE."""
    subgoals = []
    for row, chance in zip(tables.hq, rng.random(len(tables.hq)), strict=True):
        top = max(row)
        best = [name for name in range(INPUTS) if row[name] == top]
        if chance < p_max:
            subgoals.append(best[int(chance / p_max * len(best))])
        else:
            subgoals.append(int((chance - p_max) / (1 - p_max) * INPUTS))
    return subgoals + [NONE]


def draw_slips(rng, config):
    """For each step of a trial the random move that replaces the selected one, or NONE."""
    if not config.noise:
        return [NONE] * config.max_steps
    slips = rng.random(config.max_steps) < config.noise
    return np.where(slips, rng.integers(MOVES, size=config.max_steps), NONE).tolist()


def walk_trial(world, tables, subgoals, p_max, rng, config):
    """Entries used at each step, the steps at which each sub-agent took over, and whether the goal
    was reached.

    One uniform number a step decides between the best move and Boltzmann's rule, and, rescaled,
    within either.
    """
    after, inputs, goal, best = world.after, world.inputs, world.goal, tables.best
    chances = rng.random(config.max_steps).tolist()
    entries, starts, agent, cell = [], [0], 0, world.start
    slot, first, subgoal = inputs[cell], 0, subgoals[0]
    for chance, slip in zip(chances, draw_slips(rng, config), strict=True):
        if chance < p_max:
            move = best[slot]
            if move < 0:
                move = tied_move(tables, slot, chance / p_max)
        else:
            rest = (chance - p_max) / (1 - p_max)
            move = boltzmann_move(tables, slot, rest, config.temperature)
        entries.append(MOVES * slot + move)
        cell = after[MOVES * cell + (move if slip < 0 else slip)]
        if cell == goal:
            return entries, starts, True
        seen = inputs[cell]
        if seen == subgoal:
            agent += 1
            subgoal, first = subgoals[agent], INPUTS * agent
            starts.append(len(entries))
        slot = first + seen
    if starts[-1] == len(entries):  # the one that took over with the last step never acted
        starts.pop()
    return entries, starts, False


# --- learning ------------------------------------------------------------------------------------


def learn_moves(tables, entries, reward, config):
    """Q(lambda), backwards; all targets use the values that stood during the trial."""
    q, value, rate = tables.q, tables.value, config.alpha_q
    short, long = config.gamma * (1 - config.trace), config.gamma * config.trace
    target = reward
    for entry in reversed(entries):
        old = q[entry]
        q[entry] = old + rate * (target - old)
        target = short * value[entry >> 2] + long * target
    tables.refresh({entry >> 2 for entry in entries})


def subgoal_targets(tables, starts, steps, reward, config):
    """H_i of every sub-agent that acted; a trial of `steps` steps ended with `reward`."""
    values = [max(row) for row in tables.hq]
    target = config.gamma ** (steps - 1 - starts[-1]) * reward
    targets = [target]
    for i in reversed(range(len(starts) - 1)):
        if i < len(tables.hq) - 1:  # otherwise C_M followed, whose return stands alone
            target = (1 - config.trace) * values[i + 1] + config.trace * target
        target *= config.gamma ** (starts[i + 1] - starts[i])
        targets.append(target)
    return targets[::-1]


def learn_subgoals(tables, subgoals, starts, steps, reward, config):
    """HQ(lambda) over the sub-agents that acted."""
    targets = subgoal_targets(tables, starts, steps, reward, config)
    # C_M has a target but no table.
    for row, subgoal, target in zip(tables.hq, subgoals, targets):  # noqa: B905
        row[subgoal] += config.alpha_hq * (target - row[subgoal])


# --- training and evaluation ---------------------------------------------------------------------


def greedy_walk(world, tables, rng, config):
    """Cells visited (the start first), the sub-agent in charge at each step, and whether the goal
    was reached.

    No exploration, and the lowest index where entries are equal, so that only noise can make two
    walks differ.
    """
    best = [tables.row(slot).index(value) for slot, value in enumerate(tables.value)]
    subgoals = [row.index(max(row)) for row in tables.hq] + [NONE]
    agent, cells, acting = 0, [world.start], []
    for slip in draw_slips(rng, config):
        acting.append(agent)
        move = best[INPUTS * agent + world.inputs[cells[-1]]] if slip < 0 else slip
        cells.append(world.after[MOVES * cells[-1] + move])
        if cells[-1] == world.goal:
            return cells, acting, True
        agent += world.inputs[cells[-1]] == subgoals[agent]
    return cells, acting, False


def evaluate(world, tables, rng, config):
    """Share of greedy walks that reach the goal, their mean steps (max_steps where it is missed),
    and the last of them."""
    count = config.tests if config.noise else 1
    walks = [greedy_walk(world, tables, rng, config) for _ in range(count)]
    share, steps = np.mean([[reached, len(acting)] for _, acting, reached in walks], axis=0)
    return float(share), float(steps), walks[-1]


def train(world, agents, config, report, most_steps=math.inf):
    """Tables of a system after all trials or most_steps, its curves by test, its last test walk,
    its trials' lengths."""
    rng, test_rng = np.random.default_rng(config.seed).spawn(2 * agents + 2)[-2:]
    tables = Tables(agents)
    curve = {"trial": [], "reached": [], "steps": [], "training": []}
    lengths, walk, total = [], None, 0
    for trial in range(config.trials):
        p_max = config.p_max + (1 - config.p_max) * trial / (config.trials - 1)
        subgoals = choose_subgoals(tables, p_max, rng)
        entries, starts, reached = walk_trial(world, tables, subgoals, p_max, rng, config)
        reward = REWARD * reached
        learn_subgoals(tables, subgoals, starts, len(entries), reward, config)
        learn_moves(tables, entries, reward, config)
        lengths.append(len(entries))
        total += len(entries)
        last = trial + 1 == config.trials or total >= most_steps
        if (trial + 1) % config.test_every == 0 or last:
            share, steps, walk = evaluate(world, tables, test_rng, config)
            training = float(np.mean(lengths[-config.test_every :]))
            for name, value in zip(curve, (trial + 1, share, steps, training), strict=True):
                curve[name].append(value)
            report(trial + 1, agents=agents, reached=share, steps=steps, tables=tables)
        if last:
            break
    return tables, curve, walk, lengths


def run(config: Config = Config(), watch=None) -> Result:
    """Train one system and the flat control, which stops after as many steps, or systems of all
    SIZES; test them greedily."""
    world = make_world(config.maze)
    systems = SIZES if config.sizes else sorted({config.agents, 1}, reverse=True)
    chance, chance_steps = random_walk(world, config.max_steps)
    metrics = {"shortest": shortest_path(world), "random_reached": chance}
    metrics["random_steps"] = chance_steps
    result = Result(metrics, {}, world, {}, {})
    most_steps = math.inf
    for number, agents in enumerate(systems):

        def report(trial, done=number, **state):
            if watch:
                watch(done * config.trials + trial, len(systems) * config.trials, **state)

        trained = train(world, agents, config, report, most_steps)
        result.tables[agents], curve, result.walk[agents], lengths = trained
        metrics |= summary(agents, curve, result.walk[agents], lengths, metrics["shortest"])
        if number == 0 and not config.sizes:
            most_steps = sum(lengths)
        if number == 0 or config.sizes:
            result.history["trial"] = curve.pop("trial")
            result.history |= {f"{name}_{agents}": values for name, values in curve.items()}
    if config.sizes:
        larger = np.mean([metrics[f"reached_{agents}"] for agents in (6, 8, 12)])
        metrics["size_gain"] = float(larger - metrics["reached_3"])
    return result


LATE = 300  # trials at the end whose length is reported


def summary(agents, curve, walk, lengths, shortest):
    """Metrics of one trained system, their names ending in the number of its sub-agents.

    reached: share of the last test's walks that arrive; ever_reached: in any test; learnt_at: trial
    of the first of the tests that arrive to the end; used: sub-agents that acted in the last walk.
    """
    _, acting, reached = walk
    shares = curve["reached"]
    lost = max((i for i, share in enumerate(shares) if share < 0.5), default=-1)
    metrics = {
        "reached": shares[-1],
        "steps": curve["steps"][-1],
        "optimal": reached and len(acting) == shortest,
        "ever_reached": max(shares) > 0,
        "learnt_at": curve["trial"][min(lost + 1, len(shares) - 1)],
        "used": acting[-1] + 1,
        "training_steps": float(np.mean(lengths[-LATE:])),
        "million_steps": sum(lengths) / 1e6,
    }
    return {f"{name}_{agents}": value for name, value in metrics.items()}


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
