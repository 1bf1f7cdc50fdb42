"""Towers of Hanoi by the optimal ordered problem solver (OOPS): program search with frozen code.

Tasks     Family A, n = 1, 2, ...: given n, write n ones, then n twos.
          Family B, n = 1, 2, ...: Hanoi, n disks from peg 1 to peg 3; reward at the goal only.
Machine   A program is a string of tokens and also a procedure. It starts with the stack (n) or
          (S, A, D, n) = (1, 2, 3, n), its top decremented. `rec` calls the program itself on a copy
          of the stack, unless the top is 0; then, and after the call, the caller's stack is reset
          to the caller's own arguments. A token is a step; what is illegal ends the run. A run on
          a task ends as soon as its goal is reached.
P(p)      product of the probabilities of p's tokens, chosen when the instruction pointer leaves the
          code. Weights start at 1; a boost adds n_Q, the number of tokens. The user boosts some
          tokens of each family; the token `bq` boosts the tokens of the last program that was
          frozen for the family before, for the rest of the program that chose it.
OOPS      The program that solves the newest task is frozen. Next task: try it as it is; else, for
          T = 2, 4, 8, ..., spend T/2 on prolonging it (on the new task only: it has solved the
          others) and T/2 on fresh programs (on all tasks of the family so far). Try: depth first,
          every prefix p may use (T/2) P(p) steps, all its tasks together.
Control   The same search for family B alone, without A.

    python3 oops_towers_of_hanoi.py --seed 0
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
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
    """One run: OOPS on A then B, and the control on B alone. The defaults give the headline."""

    seed: int = option(0, "shuffles the order in which tokens are tried", 0, 2**32 - 1)
    words: int = option(17, "generic words of the language, besides 7 special tokens", 0, 17)
    ones: int = option(30, "largest n of family A; 0 leaves the family out", 0, 60)
    disks: int = option(30, "largest n of family B", 1, 60)
    doublings: int = option(30, "log2 of the longest time T for one task [steps]", 1, 34)

    def __post_init__(self):
        check_options(self)


QUICK = {"words": 2, "ones": 5, "disks": 4}


@dataclass
class Result:
    """frozen, without: the Frozen of OOPS and of the control; order: of the tokens, (n_Q,).
    history: a row for each Frozen of OOPS."""

    metrics: dict
    history: dict
    frozen: list
    without: list
    order: list


# --- the tasks ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """Family "A" or "B", and n."""

    family: str
    n: int

    def start(self):
        """The state of the machine before the first step: (stack, arguments, frames, ip, world).

        arguments: what the stack is reset to after a call. frames: (ip, arguments, frames) of the
        caller, None in the main program. world: (ones, twos) written, or the disks on each peg,
        from bottom to top. States are never changed in place, so backtracking restores nothing.
        """
        if self.family == "A":
            return (self.n - 1,), (self.n - 1,), None, 0, (0, 0)
        stack = (1, 2, 3, self.n - 1)
        return stack, stack, None, 0, (tuple(range(self.n, 0, -1)), (), ())


# --- the machine ----------------------------------------------------------------------------------

O1, O2, MV, XAD, XSA, REC, BQ, SKIP0, SKIPN, RET, DUP, DROP, SWAP, INC, DEC = range(15)
C0, C1, C2, C3, OVER, BY2, ADD, SUB, AUX = range(15, 24)
NAMES = (
    "o1 o2 mv xAD xSA rec bq skip0 skipn ret dup drop swap inc dec c0 c1 c2 c3 over by2 add sub aux"
).split()
SPECIAL = (O1, O2, MV, XAD, XSA, REC, BQ)
GENERIC = (DUP, DROP, SWAP, INC, DEC, C0, C1, C2, C3, OVER, BY2, ADD, SUB, SKIP0, SKIPN, RET, AUX)
ON_STACK = {  # token -> the stack after it
    DUP: lambda s: (*s, s[-1]),
    DROP: lambda s: s[:-1],
    SWAP: lambda s: (*s[:-2], s[-1], s[-2]),
    INC: lambda s: (*s[:-1], s[-1] + 1),
    DEC: lambda s: (*s[:-1], s[-1] - 1),
    OVER: lambda s: (*s, s[-2]),
    BY2: lambda s: (*s[:-1], s[-1] * 2),
    ADD: lambda s: (*s[:-2], s[-2] + s[-1]),
    SUB: lambda s: (*s[:-2], s[-2] - s[-1]),
    AUX: lambda s: s[:-1],  # to a second stack, which no word of ours reads
    XAD: lambda s: (*s[:-4], s[-4], s[-2], s[-3], s[-1]),  # swap A and D
    XSA: lambda s: (*s[:-4], s[-3], s[-4], s[-2], s[-1]),  # swap S and A
}
ON_STACK |= {token: lambda s, value=token - C0: (*s, value) for token in (C0, C1, C2, C3)}
NEEDS = {token: 0 for token in (O1, O2, BQ, RET, C0, C1, C2, C3)}  # -> values on the stack
NEEDS |= {token: 1 for token in (REC, SKIP0, SKIPN, DUP, DROP, INC, DEC, BY2, AUX)}
NEEDS |= {token: 2 for token in (SWAP, OVER, ADD, SUB)} | {token: 4 for token in (MV, XAD, XSA)}

FRAMES, IP = 2, 3  # places in a state
LEFT, SOLVED, HALTED, DEAD, OVER_TIME = "left", "solved", "halted", "dead", "over time"


def move(pegs, source, target):
    """The pegs after moving a top disk; None where that is illegal. Pegs are numbered from 1."""
    if not (0 < source < 4 and 0 < target < 4) or not pegs[source - 1]:
        return None
    disk, on = pegs[source - 1][-1], pegs[target - 1]
    if on and on[-1] <= disk:
        return None
    after = list(pegs)
    after[source - 1] = pegs[source - 1][:-1]
    after[target - 1] = (*on, disk)
    return tuple(after)


def execute(code, task, state, limit, closed):
    """Run from a state: how it ended, the steps, the state then.

    It ends when the goal of the task is reached (SOLVED), the pointer leaves the code (LEFT), the
    main program returns (HALTED), something is illegal (DEAD) or the limit is used up (OVER_TIME).
    closed: the code is complete; leaving it is then a return.
    """
    stack, arguments, frames, ip, world = state
    family, n, size, steps = task.family, task.n, len(code), 0
    outcome = None
    while outcome is None:
        if ip >= size and not closed:
            return LEFT, steps, (stack, arguments, frames, ip, world)
        if ip < size and steps >= limit:
            return OVER_TIME, steps, (stack, arguments, frames, ip, world)
        token = code[ip] if ip < size else RET
        steps += ip < size
        ip += 1
        if len(stack) < NEEDS[token]:
            outcome = DEAD
        elif token in ON_STACK:
            stack = ON_STACK[token](stack)
        elif token == REC and stack[-1]:
            frames = ip, arguments, frames
            arguments = stack = (*stack[:-1], stack[-1] - 1)
            ip = 0
        elif token == REC:
            stack = arguments
        elif token == RET and frames:
            ip, arguments, frames = frames
            stack = arguments
        elif token == RET:
            outcome = HALTED
        elif token == MV and family == "B":
            world = move(world, stack[-4], stack[-2])
            if not world:
                outcome = DEAD
            elif len(world[2]) == n:
                outcome = SOLVED
        elif token == O1 and family == "A" and world[0] < n:
            world = world[0] + 1, 0
        elif token == O2 and family == "A" and world[0] == n > world[1]:
            world = n, world[1] + 1
            if world[1] == n:
                outcome = SOLVED
        elif token in (SKIP0, SKIPN):  # the next token, even one that is not chosen yet
            ip += (stack[-1] == 0) == (token == SKIP0)
            stack = stack[:-1]
        elif token != BQ:  # what bq boosts is the search's business
            outcome = DEAD
    return outcome, steps, (stack, arguments, frames, ip, world)


def count_moves(code, n):
    """Moves with which the complete program solves n disks and then halts; None where it does not.

    2^30 moves cannot be executed, so calls are memoised: a call for t disks that touches only the t
    smallest depends on its stack and on where they are, and on nothing else. Exact for such
    programs; None for others.
    """

    @functools.cache
    def call(arguments, where):
        """(where, moves) after a call; where: the pegs of the disks, the smallest first."""
        pegs, stack, moves, ip = list(where), arguments, 0, 0
        while ip < len(code) and code[ip] != RET:
            token = code[ip]
            ip += 1
            if len(stack) < NEEDS[token]:
                raise ValueError("too few values on the stack")
            if token in ON_STACK:
                stack = ON_STACK[token](stack)
            elif token == MV:
                source, target = stack[-4], stack[-2]
                disk = pegs.index(source)
                if target not in (1, 2, 3) or target in pegs[: disk + 1]:
                    raise ValueError("illegal move")
                pegs[disk] = target
                moves += 1
            elif token == REC:
                t = stack[-1]
                if not 0 <= t < len(pegs):
                    raise ValueError("a call for more disks than its caller's")
                if t:
                    pegs[:t], more = call((*stack[:-1], t - 1), tuple(pegs[:t]))
                    moves += more
                stack = arguments
            elif token in (SKIP0, SKIPN):
                ip += (stack[-1] == 0) == (token == SKIP0)
                stack = stack[:-1]
            elif token != BQ:
                raise ValueError("no output here")
        return tuple(pegs), moves

    try:
        where, moves = call((1, 2, 3, n - 1), (1,) * n)
    except ValueError:  # also of pegs.index: no disk there
        return None
    return moves if where == (3,) * n else None


# --- probabilities --------------------------------------------------------------------------------


def boost(weights, tokens, times=1):
    """A copy of the weights {token: weight} in which those of the tokens grow by times n_Q."""
    return weights | {token: weights[token] + times * len(weights) for token in tokens}


def token_chances(code, weights, teacher, boosting=BQ):
    """The probability of each token of a program; teacher: the tokens that `bq` boosts."""
    chances = []
    for token in code:
        chances.append(weights[token] / sum(weights.values()))
        if token == boosting:
            weights = boost(weights, teacher)
    return chances


def paper_probability():
    """P of the paper's Hanoi solver in its own language of 73 tokens (NIPS version, section 3)."""
    solver = "c3 dec boostq defnp c4 calltp c3 c5 calltp endnp".split()
    teacher = {"defnp", "c1", "calltp", "c2", "endnp"}  # the program frozen for family A
    by_user = {"c3", "c4", "c5", "by2", "dec", "boostq"}
    language = [*teacher, *by_user, *range(73 - len(teacher | by_user))]
    weights = boost(dict.fromkeys(language, 1), by_user)
    return math.prod(token_chances(solver, weights, teacher, "boostq"))


# --- the search -----------------------------------------------------------------------------------

BOOSTS = {"A": (O1, O2, BQ), "B": (MV, XAD, XSA, BQ)}  # the user's, by family
LEAN = {"B": (MV, XAD, XSA)}  # of a user who knows that without A there is nothing for bq to boost
LITERAL = 8  # disks; a frozen program is executed on them, and beyond verified by count_moves
PATIENCE = 10_000  # steps of a frozen program that is tried as it is


@dataclass
class Frozen:
    """The program that solves the family's tasks 1 ... n (the defaults: there is none).

    how: frozen (it was there), prolonged or fresh; doubling: log2 T; closed: it may need its end as
    a return, so it cannot be prolonged; chance: P of the tokens chosen for task n; steps, prefixes:
    of the whole search so far."""

    family: str = ""
    n: int = None
    how: str = ""
    doubling: int = None
    code: tuple = ()
    closed: bool = True
    chance: float = None
    steps: int = None
    prefixes: int = None


class Oops:
    """The search: token order, log2 of the longest T, the user's boosts, and what it has used."""

    def __init__(self, order, doublings, user_boosts, watch=None):
        self.order, self.doublings, self.watch = order, doublings, watch
        self.user_boosts = user_boosts
        self.steps = self.prefixes = self.half = 0
        self.frozen, self.teacher, self.weights = [], (), {}

    def learn(self, family, most):
        """Solve the tasks 1 ... most of a family, as far as time goes: a Frozen for each."""
        self.teacher = tuple(sorted(set(self.frozen[-1].code))) if self.frozen else ()
        self.weights = boost(dict.fromkeys(self.order, 1), self.user_boosts[family])
        code, closed, rows = (), True, []
        for n in range(1, most + 1):
            task = Task(family, n)
            tried = n > 1 and self.solved_by(code, task)
            found = ("frozen", 0, code, True, 1.0) if tried else self.search(task, code, closed)
            if not found:
                break
            _, _, code, closed, _ = found
            rows.append(Frozen(family, n, *found, self.steps, self.prefixes))
        self.frozen += rows
        return rows

    def solved_by(self, code, task):
        """Whether the frozen program, complete as it is, solves the next task too."""
        if task.family == "B" and task.n > LITERAL:
            return count_moves(code, task.n) is not None
        outcome, steps, _ = execute(code, task, task.start(), PATIENCE, closed=True)
        self.steps += steps
        return outcome == SOLVED

    def search(self, task, code, closed):
        """Half of the time T for prolonging the frozen code, half for fresh programs; T doubles.

        Returns (how, log2 T, code, closed, P), or None where the longest T was not enough.
        """
        ways = [] if closed else [("prolonged", code, [task])]
        ways.append(("fresh", (), [Task(task.family, n + 1) for n in range(task.n)]))
        for doubling in range(1, self.doublings + 1):
            if self.watch:
                self.watch(doubling, self.doublings, n=task.n, steps=self.steps)
            self.half = 2 ** (doubling - 1)
            for how, prefix, tasks in ways:
                tasks, state, steps = self.advance(prefix, tasks, tasks[0].start(), self.half)
                if state:
                    weights = boost(self.weights, self.teacher, prefix.count(BQ))
                    found = self.grow(list(prefix), tasks, state, steps, 1.0, weights)
                    if found:
                        return how, doubling, *found
        return None

    def grow(self, code, tasks, state, steps, chance, weights):
        """Try: all continuations of a prefix that has left its code, depth first.

        tasks: those not yet solved, of which the first has come to this state; steps: used by the
        prefix; chance: P(prefix). Returns (code, closed, P) of the first program that solves all.
        """
        total = sum(weights.values())
        for token in self.order:
            likely = chance * weights[token] / total
            limit = int(self.half * likely)
            if steps >= limit:
                continue
            self.prefixes += 1
            if token == BQ and not self.teacher:  # illegal: nothing to boost
                self.steps += 1
                continue
            code.append(token)
            boosts = token == BQ and state[IP] == len(code) - 1  # not where a skip jumps over it
            left, now, used = self.advance(code, tasks, state, limit - steps)
            if not left:
                return tuple(code), False, likely
            if now:
                if now[FRAMES] and not self.advance(code, left, now, limit - steps - used, True)[0]:
                    return tuple(code), True, likely
                after = boost(weights, self.teacher) if boosts else weights
                found = self.grow(code, left, now, steps + used, likely, after)
                if found:
                    return found
            code.pop()
        return None

    def advance(self, code, tasks, state, limit, closed=False):
        """Run on the first task, from a state, then on the others while each is solved.

        Returns (tasks not solved, state that has left the code or None, steps used).
        """
        used = 0
        while tasks:
            outcome, steps, state = execute(code, tasks[0], state, limit - used, closed)
            used += steps
            self.steps += steps
            if outcome != SOLVED:
                return tasks, state if outcome == LEFT else None, used
            tasks = tasks[1:]
            state = tasks[0].start() if tasks else None
        return tasks, state, used


# --- the experiment -------------------------------------------------------------------------------


def writes_right(code, n):
    """Whether the complete program writes n ones and n twos, not more, and halts."""
    task = Task("A", n)
    outcome, _, state = execute(code, task, task.start(), PATIENCE, closed=True)
    return outcome == SOLVED and execute(code, task, state, PATIENCE, closed=True)[0] == HALTED


def largest_n(code, disks):
    """The largest n up to which every Hanoi task is solved with 2^n - 1 moves, the fewest."""
    right = [count_moves(code, n) == 2**n - 1 for n in range(1, disks + 1)]
    return [*right, False].index(False)


def general_solver(rows, most):
    """The row in which the program that solves a family's last task came up."""
    solved = len(rows) == most > 0
    return next(row for row in rows if row.code == rows[-1].code) if solved else Frozen()


def run(config: Config = Config(), watch=None) -> Result:
    """OOPS on A then B; B alone, twice; verification of the programs found."""
    rng = np.random.default_rng(config.seed)
    order = rng.permutation([*SPECIAL, *GENERIC[: config.words]]).tolist()
    searches = [Oops(order, config.doublings, boosts, watch) for boosts in (BOOSTS, BOOSTS, LEAN)]
    ones, disks = config.ones, config.disks
    writer = general_solver(searches[0].learn("A", ones), ones)
    rows = [search.learn("B", disks) for search in searches]
    oops, control, lean = (general_solver(family, disks) for family in rows)
    metrics = {
        "a30": all(writes_right(writer.code, n + 1) for n in range(ones)) if ones else None,
        "a_steps": writer.steps,
        "hanoi_max_n": largest_n(rows[0][-1].code if rows[0] else (), disks),
        "uses_boost": BQ in oops.code and oops.code.count(REC) == 2,
        "general_from": oops.n,
        "steps": oops.steps,
        "prefixes": oops.prefixes,
        "fresh_after": rows[0][-1].prefixes - rows[0][2].prefixes if len(rows[0]) > 2 else None,
        "control_from": control.n,
        "control_steps": control.steps,
        "transfer_ratio": control.steps / oops.steps if control.n and oops.n else None,
        "lean_steps": lean.steps,
        "lean_ratio": lean.steps / oops.steps if lean.n and oops.n else None,
        "probability": oops.chance,
        "control_probability": control.chance,
        "paper_probability": paper_probability(),
    }
    frozen = searches[0].frozen
    history = {name: [getattr(row, name) for row in frozen] for name in vars(Frozen())}
    return Result(metrics, history, frozen, rows[1], order)


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
