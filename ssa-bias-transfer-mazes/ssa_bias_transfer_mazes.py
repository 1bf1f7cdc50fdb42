"""Bias from solved mazes: adaptive Levin search, with and without the success-story algorithm.

Task      A 23 x 23 maze, one start, seven goals, each farther than the one before. Goal sets
          G_i = {1 .. 3+i}, i = 1 .. 4, for 10 epochs each: in an epoch, every goal of the set gets
          a search of its own (220 searches in all). Reward 1/(steps of the solution path).
Program   At most 8 instructions. A move: go ahead, at least one step, until a condition holds
          (front blocked, left free, right free), then turn. Jump(a, n): n times back to the earlier
          address a, then go on. Time counts forward steps, also those against a wall.
Prior     P[i, j] of instruction j at address i; PA[i, a], PR[i, n] of a Jump's address and n.
          P(q) of a program q is the product over its instructions and their arguments.
Search    Phase = 1, 2, 4, ...: every program q not yet run with P(q) >= 1/Phase runs for at most
          P(q) Phase / c steps; the first to stand on the goal ends the search.
Adapt(q)  In each distribution that q used: p := (1 - g) p, then p := p + g for what q chose.
SSA       A stack of tags (time t, reward R), one for each Adapt that still counts. Before an Adapt,
          undo from the top until each tag has seen more reward a step since than the tag below it:
          R/t < (R-R_1)/(t-t_1) < (R-R_2)/(t-t_2) < ...
Methods   plain: no learning. ALS: Adapt after each success. SSA+ALS: the same with the stack.

A state is 4 x cell + heading. A symbol is an instruction with its arguments: 0 .. 7 are the moves,
8 + 6a + (n-1) is Jump(a, n). Arrays over programs have the programs first, (n, length) or (n,).

    python3 ssa_bias_transfer_mazes.py --seed 0
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
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

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
    """One maze, all methods; the defaults give the headline result."""

    seed: int = option(0, "seeds the maze and its goals", 0, 2**32 - 1)
    rate: float = option(0.3, "learning rate g of the main comparison", 0.001, 0.95)
    grid: bool = option(True, "also run the nine learning rates from 0.05 to 0.8")
    epochs: int = option(40, "epochs, a quarter of them for each goal set", 4, 400)
    cap: int = option(20_000_000, "steps after which a search gives up", 100, 100_000_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"grid": False}
RATES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
MIDDLE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)  # the rates of the metric ssa_share_worst
METHODS = ("ssa", "als")


@dataclass
class Result:
    """maze: (23, 23), True where free; goals: their seven cells; history: steps per epoch of plain
    search, SSA+ALS and ALS at the main rate."""

    metrics: dict
    history: dict
    maze: np.ndarray
    goals: list


# --- the maze -------------------------------------------------------------------------------------

SIZE = 23
OPENED = 0.12  # share of the walls between corridors that are opened
LEFT, RIGHT = -1, 1
AHEAD = ((-1, 0), (0, 1), (1, 0), (0, -1))  # headings: 0 north, 1 east, 2 south, 3 west


def beyond(cell, heading):
    """The next cell in this direction."""
    r, c = AHEAD[heading % 4]
    return cell[0] + r, cell[1] + c


def make_maze(rng, start, size=SIZE):
    """A depth-first maze on the odd cells, some of its walls opened: (size, size), True: free."""
    free = np.zeros((size, size), bool)
    free[start], path = True, [start]
    while path:
        row, col = path[-1]
        ways = [(row + 2 * r, col + 2 * c) for r, c in AHEAD]
        ways = [(r, c) for r, c in ways if 0 < r < size and 0 < c < size and not free[r, c]]
        if not ways:
            path.pop()
            continue
        r, c = ways[rng.integers(len(ways))]
        free[r, c] = free[(row + r) // 2, (col + c) // 2] = True
        path.append((r, c))
    inner = range(1, size - 1)
    walls = [(r, c) for r in inner for c in inner if (r + c) % 2 and not free[r, c]]
    for k in rng.permutation(len(walls))[: round(OPENED * len(walls))]:
        free[walls[k]] = True
    return free


def distances(free, start):
    """Steps of the shortest way from the start to every free cell, as a dict."""
    far, queue = {start: 0}, [start]
    for cell in queue:
        for near in (beyond(cell, heading) for heading in range(4)):
            if free[near] and near not in far:
                far[near] = far[cell] + 1
                queue.append(near)
    return far


# --- programs and Levin search in plain form ------------------------------------------------------

MOVES = [(0, turn) for turn in (LEFT, RIGHT)]  # 0: until the front is blocked; then the turn
MOVES += [(side, turn) for side in (LEFT, RIGHT) for turn in (LEFT, RIGHT, 0)]  # until it is free
JUMP = len(MOVES)  # the ninth instruction
REPEATS = 6  # n of a Jump: 1 .. 6
LENGTH = 8  # instructions of the longest program
C = 0.005  # c of the search: a program gets 1/c to 2/c steps
LONGEST = round(2 / C)
HIGHEST_PHASE = 2.0**1000  # rarer programs count as impossible


def jump_arguments(symbol):
    """Address a and repeats n of the symbol Jump(a, n)."""
    return (symbol - JUMP) // REPEATS, (symbol - JUMP) % REPEATS + 1


def walk(free, cell, heading, move):
    """The cell after each step of a move; there is no end where its condition never holds."""
    side, _ = MOVES[move]
    while True:
        cell = beyond(cell, heading) if free[beyond(cell, heading)] else cell
        yield cell
        if free[beyond(cell, heading + side)] == (side != 0):
            return


def way(free, start, program):
    """The cell after each step of a program that begins at the start, facing north."""
    cell, heading, ip = start, 0, 0
    counters = [jump_arguments(symbol)[1] for symbol in program]
    while ip < len(program):
        if program[ip] >= JUMP:
            address, n = jump_arguments(program[ip])
            back = counters[ip] > 0
            counters[ip] = counters[ip] - 1 if back else n
            ip = address if back else ip + 1
        else:
            for step in walk(free, cell, heading, program[ip]):
                cell = step
                yield cell
            heading += MOVES[program[ip]][1]
            ip += 1


def run_program(free, start, goal, program, limit):
    """Run a program for at most `limit` steps: (steps taken, whether the goal was reached)."""
    steps = 0
    for cell in islice(way(free, start, program), limit):
        steps += 1
        if cell == goal:
            return steps, True
    return steps, False


def plain_levin_search(free, start, goal, prior, cap):
    """Levin search, one program after another: (program, steps of all programs, path).

    Inside a phase shorter programs come first, then those whose prefix was run first. Program and
    path (the steps of the solution) are None where the search gave up after `cap` steps.
    """
    rows = [chances(prior, i) for i in range(LENGTH)]
    done = [[((), 1.0)]] + [[] for _ in rows]  # by length: the programs that were run
    used, phase, last = 0, 1.0, 0.5
    while phase < HIGHEST_PHASE:
        for i, row in enumerate(rows):
            for prefix, chance in done[i]:
                for symbol, p in enumerate(row):
                    if not 1 / phase <= chance * p < 1 / last:
                        continue
                    program, limit = (*prefix, symbol), math.floor(chance * p * phase / C)
                    steps, found = run_program(free, start, goal, program, min(limit, cap - used))
                    used += steps
                    if found:
                        return program, used, steps
                    if used == cap:
                        return None, used, None
                    done[i + 1].append((program, chance * p))
        last, phase = phase, 2 * phase
    return None, used, None


# --- the prior ------------------------------------------------------------------------------------


def uniform_prior():
    """P (8, 9), PA (8, 8), PR (8, 6). Address 0 has no Jump; a Jump leads to an earlier address."""
    P = np.full((LENGTH, JUMP + 1), 1 / (JUMP + 1))
    P[0] = [1 / JUMP] * JUMP + [0]
    PA = np.tril(np.ones((LENGTH, LENGTH)), -1) / np.maximum(np.arange(LENGTH), 1)[:, None]
    return {"P": P, "PA": PA, "PR": np.full((LENGTH, REPEATS), 1 / REPEATS)}


def chances(prior, i):
    """The probability of every symbol at address i: (8 + 6i,)."""
    arguments = np.outer(prior["PA"][i, :i], prior["PR"][i]).ravel()
    return np.concatenate([prior["P"][i, :JUMP], prior["P"][i, JUMP] * arguments])


def adapt(prior, program, rate):
    """Adapt(q): move every distribution that the program used towards what it chose. In place."""
    for i, symbol in enumerate(program):
        chosen = [("P", min(symbol, JUMP))]
        if symbol >= JUMP:
            address, n = jump_arguments(symbol)
            chosen += [("PA", address), ("PR", n - 1)]
        for name, place in chosen:
            prior[name][i] *= 1 - rate
            prior[name][i, place] += rate


# --- Levin search for many programs at once -------------------------------------------------------
# A program is its prefix, which was run before, and one symbol more: it goes on from the prefix's
# ends, (n, 3): state and time at the end, and time of arrival at the goal (inf: not there). Nobody
# asks what happens after the arrival, or after LONGEST steps: there they may hold anything.

STATE, TIME, ARRIVAL = range(3)


def move_tables(free):
    """What every move does in every state: the state after it, and its steps, inf where it never
    ends; (8, states) each."""
    after, took = np.zeros((JUMP, 4 * free.size), int), np.full((JUMP, 4 * free.size), np.inf)
    for cell in map(tuple, np.argwhere(free).tolist()):
        for heading, (move, (_, turn)) in product(range(4), enumerate(MOVES)):
            cells = list(islice(walk(free, cell, heading, move), len(free)))
            if len(cells) < len(free):
                state = state_number(free, cell, heading)
                after[move, state] = state_number(free, cells[-1], heading + turn)
                took[move, state] = len(cells)
    return after, took


def state_number(free, cell, heading):
    """4 x cell + heading."""
    return (cell[0] * len(free) + cell[1]) * 4 + heading % 4


def steps_ahead(free, goal):
    """Steps straight ahead from every state to the goal, inf where that does not lead there."""
    ahead = np.full(4 * free.size, np.inf)
    for heading in range(4):
        cell, steps = beyond(goal, heading + 2), 1
        while free[cell]:
            ahead[state_number(free, cell, heading)] = steps
            cell, steps = beyond(cell, heading + 2), steps + 1
    return ahead


class Task:
    """One goal of a maze; it runs programs."""

    def __init__(self, free, start, goal, tables):
        self.after, self.took = tables
        self.ahead = steps_ahead(free, goal)
        self.start = state_number(free, start, 0)

    def move(self, move, ends):
        """The ends after one more move of each program."""
        (_, time, arrival), state = ends.T, ends[:, STATE].astype(int)
        took, ahead = self.took[move, state], self.ahead[state]
        arrives = (ahead <= took) & (arrival == np.inf)
        arrival = np.where(arrives, time + ahead, arrival)
        return np.column_stack([self.after[move, state], time + took, arrival])

    def jump(self, symbols, ends):
        """The ends after one more symbol, a Jump, of each program.

        Whoever comes to the end of a program has passed all its Jumps: their counters are full.
        """
        length, ends = symbols.shape[1], ends.copy()
        address, full = jump_arguments(symbols)
        counters, ip = full.copy(), np.full(len(symbols), length - 1)
        live = np.arange(len(symbols))
        while True:
            open_end = (ends[live, TIME] < LONGEST) & (ends[live, ARRIVAL] == np.inf)
            live = live[open_end & (ip[live] < length)]
            if not len(live):
                return ends
            symbol = symbols[live, ip[live]]
            who = live[symbol >= JUMP]
            at, left = ip[who], counters[who, ip[who]]
            counters[who, at] = np.where(left > 0, left - 1, full[who, at])
            ip[who] = np.where(left > 0, address[who, at], at + 1)
            who = live[symbol < JUMP]
            ends[who] = self.move(symbol[symbol < JUMP], ends[who])
            ip[who] += 1

    def extend(self, programs, row, phase, last):
        """Run the programs due in a phase that have one symbol more than those given.

        programs: (symbols (n, length), probabilities (n,), ends (n, 3)); row: probability of each
        symbol. Returns the new programs in the same form, and the probability of the likeliest one
        that has to wait for a later phase (0: there is none).
        """
        symbols, chance, ends = programs
        likely = chance * row.max() >= 1 / phase
        waiting = chance[~likely].max(initial=0) * row.max()
        parents = np.flatnonzero(likely)
        chance = chance[parents, None] * row
        waiting = max(waiting, chance[chance < 1 / phase].max(initial=0))
        due = (chance >= 1 / phase) & (chance < 1 / last)
        parent, symbol = np.nonzero(due)
        symbols = np.column_stack([symbols[parents[parent]], symbol])
        ends = ends[parents[parent]]
        moves, jumps = symbol < JUMP, symbol >= JUMP
        ends[moves] = self.move(symbol[moves], ends[moves])
        ends[jumps] = self.jump(symbols[jumps], ends[jumps])
        return (symbols, chance[due], ends), waiting


def levin_search(task, prior, cap):
    """What plain_levin_search() returns. A phase in which no program is due is skipped."""
    rows = [chances(prior, i) for i in range(LENGTH)]
    empty = np.zeros((1, 0), int), np.ones(1), np.array([[task.start, 0, np.inf]])
    done = [empty] + [None] * LENGTH
    used, phase, last = 0, 1.0, 0.5
    while phase < HIGHEST_PHASE:
        likeliest = 0.0
        for i in range(LENGTH):
            if done[i] is None:
                break
            new, waiting = task.extend(done[i], rows[i], phase, last)
            likeliest = max(likeliest, waiting)
            symbols, chance, ends = new
            if not len(chance):
                continue
            limit = np.floor(chance * phase / C)
            total = used + np.cumsum(np.minimum(limit, ends[:, TIME:].min(1)))
            for k in np.flatnonzero(ends[:, ARRIVAL] <= limit)[:1]:
                if total[k] <= cap:
                    return tuple(symbols[k].tolist()), int(total[k]), int(ends[k, ARRIVAL])
            used = int(total[-1])
            if used >= cap:
                return None, cap, None
            if done[i + 1]:
                new = [np.concatenate(pair) for pair in zip(done[i + 1], new, strict=True)]
            done[i + 1] = new
        last, phase = phase, 2 * phase
        while likeliest < 1 / phase:
            phase *= 2
    return None, used, None


# --- the world ------------------------------------------------------------------------------------

BANDS = ((3, 7), (7, 11), (11, 15), (15, 20), (20, 25), (25, 30), (30, 40))  # distances of goals
TRIES = 8  # cells that may be tried as the goal of a band
SOLVABLE = 20_000_000  # steps of plain search within which a goal must be found


def make_world(seed):
    """The maze of a seed, its start and goals, their Tasks, and what plain search finds for each.

    In each band of distances, cells at random are tried until plain Levin search finds one within
    SOLVABLE steps. Where no cell of a band is found, another maze is drawn.
    """
    rng, start = np.random.default_rng(seed), (SIZE // 2, SIZE // 2)
    while True:
        free = make_maze(rng, start)
        tables, far = move_tables(free), distances(free, start)
        found = []
        for low, high in BANDS:
            cells = [cell for cell in far if low <= far[cell] < high]
            for k in rng.permutation(len(cells))[:TRIES]:
                task = Task(free, start, cells[k], tables)
                solution = levin_search(task, uniform_prior(), SOLVABLE)
                if solution[0]:
                    found.append((cells[k], task, solution))
                    break
            else:
                break
        if len(found) == len(BANDS):
            return free, start, *zip(*found, strict=True)


def wall_follower(free, start):
    """The cells that somebody sees who keeps the right hand on the wall: a set."""
    cell, heading, seen = start, 0, set()
    while (cell, heading) not in seen:
        seen.add((cell, heading))
        turns = [turn for turn in (RIGHT, 0, LEFT, 2) if free[beyond(cell, heading + turn)]]
        heading = (heading + turns[0]) % 4
        cell = beyond(cell, heading)
    return {cell for cell, _ in seen}


# --- learning -------------------------------------------------------------------------------------


class Search(NamedTuple):
    """A search as it went; program: what it found, None where it failed; tags: on the stack now."""

    epoch: int
    goal: int
    steps: int
    program: tuple | None
    tags: int = 0


def schedule(epochs):
    """The (epoch, goal) of every search: in each quarter of the epochs there is one goal more."""
    return [(e, goal) for e in range(epochs) for goal in range(4 + 4 * e // epochs)]


def success_story(stack, prior, now, reward):
    """Undo the topmost Adapt until the success-story criterion holds. In place.

    stack: a tag (time, reward, the prior as it was before the Adapt) for each Adapt that counts.
    """
    while stack:
        time_top, reward_top, before = stack[-1]
        time_below, reward_below = stack[-2][:2] if len(stack) > 1 else (0, 0)
        since_top = (reward - reward_top) / (now - time_top)
        if since_top > (reward - reward_below) / (now - time_below):
            return
        prior.update(before)
        stack.pop()


def simulate(tasks, rate, with_ssa, config, watch=None):
    """All searches of ALS or SSA+ALS with one learning rate: a list of Search.

    watch(search, prior, stack, now, reward) is called after each of them.
    """
    log, prior, stack, now, reward = [], uniform_prior(), [], 0, 0.0
    for epoch, goal in schedule(config.epochs):
        program, steps, path = levin_search(tasks[goal], prior, config.cap)
        now += steps
        reward += 1 / path if program else 0
        if with_ssa:
            success_story(stack, prior, now, reward)
        if program:
            if with_ssa:
                stack.append((now, reward, {name: x.copy() for name, x in prior.items()}))
            adapt(prior, program, rate)
        log.append(Search(epoch, goal, steps, program, len(stack)))
        if watch:
            watch(log[-1], prior, stack, now, reward)
    return log


# --- run and evaluate -----------------------------------------------------------------------------


def epoch_costs(searches, epochs):
    """Steps in each epoch: (epochs,)."""
    return np.bincount([s.epoch for s in searches], [s.steps for s in searches], epochs)


def unlearned(plain, epochs, stored=False):
    """All searches of plain search, or of somebody who stores the program found for each goal: who
    pays for one search, and later for the path only."""
    seen, log = set(), []
    for epoch, goal in schedule(epochs):
        program, steps, path = plain[goal]
        log.append(Search(epoch, goal, path if stored and goal in seen else steps, program))
        seen.add(goal)
    return log


def summarise(log, plain, epochs):
    """Of one simulation: steps, failed searches, steps of a late epoch (one with all goals), and
    how much dearer plain search is there, and on the first searches for goals 5 to 7."""
    steps = [found[1] for found in plain]
    late = float(epoch_costs(log, epochs)[math.ceil(3 * epochs / 4) :].mean())
    first = sum(next(s.steps for s in log if s.goal == goal) for goal in (4, 5, 6))
    return {
        "total": sum(s.steps for s in log),
        "failed": sum(not s.program for s in log),
        "late_epoch": late,
        "speedup": sum(steps) / late,
        "new_goals_speedup": sum(steps[4:]) / first,
    }


def measure(plain, logs, config):
    """The metrics; logs: (method, rate) -> searches."""
    steps = [found[1] for found in plain]
    plain_total = sum(s.steps for s in unlearned(plain, config.epochs))
    metrics = {"plain_goal7": steps[-1], "plain_epoch": sum(steps), "plain_total": plain_total}
    facts = {key: summarise(log, plain, config.epochs) for key, log in logs.items()}
    for name in METHODS:
        found = facts[name, config.rate]
        metrics |= {f"{name}_{fact}": value for fact, value in found.items()}
    metrics["als_over_ssa"] = metrics["als_total"] / metrics["ssa_total"]
    stored = sum(s.steps for s in unlearned(plain, config.epochs, stored=True))
    metrics["ssa_over_stored"] = metrics["ssa_total"] / stored
    for name, rate, fact in product(METHODS, RATES, ("total", "failed")):
        found = facts.get((name, rate), {})
        metrics[f"{name}_{round(100 * rate):02d}_{fact}"] = found.get(fact)
    metrics |= dict.fromkeys(("failed_gap", "ssa_share_worst", "ok_gain"))
    if config.grid:
        ssa, als = ([facts[name, rate] for rate in RATES] for name in METHODS)
        gaps = [b["failed"] - a["failed"] for a, b in zip(ssa, als, strict=True)]
        good = [[x["total"] < plain_total / 4 for x in found] for found in (ssa, als)]
        metrics["failed_gap"] = sum(gaps) / len(RATES)
        metrics["ok_gain"] = (sum(good[0]) - sum(good[1])) / len(RATES)
        metrics["ssa_share_worst"] = max(facts["ssa", g]["total"] for g in MIDDLE) / plain_total
    return metrics


def run(config: Config = Config(), watch=None) -> Result:
    """One maze: plain search, then SSA+ALS and ALS with every learning rate."""
    free, start, goals, tasks, plain = make_world(config.seed)
    rates = sorted({config.rate, *(RATES if config.grid else ())})
    logs = {}
    for rate, name in product(rates, METHODS):
        logs[name, rate] = log = simulate(tasks, rate, name == "ssa", config)
        if watch:
            facts = {"rate": rate, "steps": sum(s.steps for s in log)}
            watch(len(logs), len(METHODS) * len(rates), **facts)
    metrics = measure(plain, logs, config)
    metrics["ssa_tags"] = logs["ssa", config.rate][-1].tags
    seen = [goal in wall_follower(free, start) for goal in goals]
    metrics["wall_follower_goals"], metrics["wall_follower_all"] = sum(seen), all(seen)
    history = {"epoch": list(range(1, config.epochs + 1))}
    shown = {name: logs[name, config.rate] for name in METHODS}
    for name, log in {"plain": unlearned(plain, config.epochs), **shown}.items():
        history[name] = epoch_costs(log, config.epochs).tolist()
    return Result(metrics, history, free, list(goals))


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
