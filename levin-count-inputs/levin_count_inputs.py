"""Counting inputs by universal search: programs write the weights of a linear unit, and three examples suffice.

Task      A linear unit y = sum_i w_i x_i with 100 integer weights, first 0. Every input has exactly three on-bits, the target is
          their number. Three training inputs; the other 161,697 possible inputs are the test. The one general solution: w = 1.
Machine   One integer array c. Program cells have addresses 0, 1, ..., m-1, work cells -1, -2, ... Thirteen primitives, op-code =
          position in PRIMITIVES. When the instruction pointer reaches address m, a primitive is guessed (1/13) and then each
          of its arguments, uniformly among the legal values; P(p) is the product of all these probabilities. A step is one
          primitive. An illegal address or op-code, or a value beyond 10,000, halts the program.
Search    PLS: draw a time limit 2^(k+5) with probability 2^-k, run a program that guesses as it goes, test its weights; repeat.
          LSEARCH: phase k gives every program p floor(2^k P(p)) steps; what ran out of time goes on in a later phase.
          All programs with P(p) above a bound: how many fit the examples, and how much of their probability generalises?
Control   Delta rule (from zero, from random weights, with weight decay), minimum-norm least squares, random weights.

    python3 levin_count_inputs.py --seed 0
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
from itertools import combinations, product
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
    """The experiments of one run; the defaults give the headline result."""

    seed: int = option(
        0,
        "seeds the probabilistic search, LSEARCH's order of op-codes (0: the machine's own), three fresh examples, the controls",
        0,
        2**32 - 1,
    )
    repeats: int = option(
        5, "probabilistic searches, each until its first fitting program", 0, 10_000
    )
    bound: float = option(
        2e-6, "least probability of the programs that are all enumerated", 1e-10, 1.0
    )
    limit: int = option(1000, "time limit of the enumerated programs [steps]", 1, 1_000_000)
    phases: int = option(24, "last phase of LSEARCH", 1, 40)
    runs: int = option(200_000, "most programs of one probabilistic search", 1, 100_000_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"repeats": 1, "bound": 1e-4, "runs": 20_000}

INPUTS, ON = 100, 3
PAPER_EXAMPLES = ((5, 17, 86), (13, 55, 58), (40, 87, 94))
BIG, PROGRAM_CELLS, WORK_CELLS = 10_000, 100, 1000

# name and kinds of arguments: r address to read, w address to write, j address to jump to, a cells
# to allocate, f cells to free
PRIMITIVES = (
    ("jump if less or equal", "rrj"),
    ("write weight", "r"),
    ("jump", "j"),
    ("stop", ""),
    ("add", "rrw"),
    ("get input", "rw"),
    ("move", "rw"),
    ("allocate", "a"),
    ("increment", "w"),
    ("decrement", "w"),
    ("subtract", "rrw"),
    ("multiply", "rrw"),
    ("free", "f"),
)
ARITY = [len(kinds) for _, kinds in PRIMITIVES]
HALTED, GUESSING, TIMEOUT = "halted", "guessing", "timeout"


@dataclass
class Result:
    """program: the first one that LSEARCH found; weights: what it wrote; tested: rows (phase, P,
    steps, fits, general, resumed) of LSEARCH's programs in their order; enumerated: see
    enumerate_programs(); controls: name -> weights."""

    metrics: dict
    history: dict
    program: list
    weights: np.ndarray
    tested: list
    enumerated: list
    controls: dict


# --- the task ----------------------------------------------------------------------------------


def all_inputs():
    """The on-bits of every possible input: (161700, 3)."""
    return np.array(list(combinations(range(INPUTS), ON)))


def fits(weights, examples):
    """Whether the weights written so far (the others are 0) answer every example with 3."""
    w = weights + [0] * (INPUTS - len(weights))
    return all(w[a] + w[b] + w[c] == ON for a, b, c in examples)


def test_errors(weights, inputs, examples):
    """Wrong answers on all inputs but the examples; weights: (100,)."""
    wrong = np.abs(weights[inputs].sum(1) - ON) >= 0.5
    trained = [np.abs(weights[list(example)].sum() - ON) >= 0.5 for example in examples]
    return int(wrong.sum()) - sum(map(int, trained))


# --- the machine ---------------------------------------------------------------------------------


@dataclass
class State:
    """cells: program cells 0 ... size-1, then work cells, the first one last, so that Python's
    index -1 is address -1."""

    cells: list = dataclasses.field(default_factory=list)
    size: int = 0
    pointer: int = 0
    weights: list = dataclasses.field(default_factory=list)
    steps: int = 0

    def copy(self):
        return State(self.cells[:], self.size, self.pointer, self.weights[:], self.steps)

    @property
    def program(self):
        return self.cells[: self.size]


def legal_arguments(state, op):
    """For each argument of a primitive guessed now, the range of its legal values; None if the
    program tape is full."""
    size, lowest = state.size + 1 + ARITY[op], state.size - len(state.cells)
    if size > PROGRAM_CELLS:
        return None
    ranges = {
        "r": range(lowest, size),
        "w": range(lowest, 0),
        "j": range(lowest, size + 1),
        "a": range(1, min(5, WORK_CELLS + lowest) + 1),
        "f": range(1, min(5, -lowest) + 1),
    }
    return [ranges[kind] for kind in PRIMITIVES[op][1]]


def extend(state, op, arguments):
    """Write a guessed primitive behind the program."""
    state.cells[state.size : state.size] = [op, *arguments]
    state.size += 1 + len(arguments)


def execute(state, limit):
    """Run until the program halts, needs a guess or has used `limit` steps in all; says which.
    Changes the state."""
    cells, size, ip, weights, steps = (
        state.cells,
        state.size,
        state.pointer,
        state.weights,
        state.steps,
    )
    lowest = size - len(cells)
    outcome = GUESSING
    while ip != size:
        if steps >= limit:
            outcome = TIMEOUT
            break
        outcome = HALTED
        op = cells[ip]
        if not 0 <= op <= 12 or ip + ARITY[op] >= size or op == 3:
            steps += op == 3
            break
        steps += 1
        a = cells[ip + 1]
        if op == 1:
            if not lowest <= a < size or len(weights) == INPUTS:
                break
            weights.append(cells[a])
            ip += 2
        elif op == 2:
            if not lowest <= a <= size:
                break
            ip = a
        elif op == 0:
            b, target = cells[ip + 2], cells[ip + 3]
            if not (lowest <= a < size and lowest <= b < size and lowest <= target <= size):
                break
            ip = target if cells[a] <= cells[b] else ip + 4
        elif op == 7:
            if not 1 <= a <= 5 or a - lowest > WORK_CELLS:
                break
            cells[size:size] = [0] * a
            lowest -= a
            ip += 2
        elif op == 12:
            if not 1 <= a <= 5 or a > -lowest:
                break
            del cells[size : size + a]
            lowest += a
            ip += 2
        else:
            target = cells[ip + ARITY[op]]
            value = result_of(op, a, cells, ip, lowest, size)
            if value is None or not lowest <= target < 0 or not -BIG <= value <= BIG:
                break
            cells[target] = value
            ip += 1 + ARITY[op]
        outcome = GUESSING
    state.pointer, state.steps = ip, steps
    return outcome


def result_of(op, a, cells, ip, lowest, size):
    """What an arithmetic primitive writes; None where an address is illegal."""
    if not lowest <= a < size:
        return None
    if op in (8, 9):
        return cells[a] + (1 if op == 8 else -1)
    if op in (5, 6):
        return cells[a] if op == 6 else 0  # there is no input field
    b = cells[ip + 2]
    if not lowest <= b < size:
        return None
    if op == 4:
        return cells[a] + cells[b]
    return cells[a] - cells[b] if op == 10 else cells[a] * cells[b]


# --- the searches --------------------------------------------------------------------------------


def guess(rng, state):
    """Extend the program by a random primitive with random legal arguments; its probability, or
    None where none is legal."""
    op = int(rng() * 13)
    ranges = legal_arguments(state, op)
    if ranges is None or not all(ranges):
        return None
    extend(state, op, [choices[int(rng() * len(choices))] for choices in ranges])
    return 1 / 13 / float(np.prod([len(choices) for choices in ranges]))


def probabilistic_search(rng, examples, most):
    """Runs until the first program that fits, its state and its probability; None for the state if
    `most` were not enough."""
    draw = iter_random(rng)
    for runs in range(1, most + 1):
        k = 1
        while draw() < 0.5:
            k += 1
        limit, state, probability = 2 ** min(k + 5, 20), State(), 1.0
        while execute(state, limit) == GUESSING:
            chance = guess(draw, state)
            if chance is None:
                break
            probability *= chance
        if state.weights and fits(state.weights, examples):
            return runs, state, probability
    return most, None, 0.0


def iter_random(rng, block=65_536):
    """A function that returns one uniform number after the other, drawn in blocks."""
    numbers = iter(())

    def draw():
        nonlocal numbers
        for value in numbers:
            return value
        numbers = iter(rng.random(block).tolist())
        return next(numbers)

    return draw


def levin_search(examples, order, phases, watch=None):
    """LSEARCH; order: the op-codes in the order of trial. Returns the rows tested and the first
    State that fits (or None).

    A primitive's arguments all have the same probability, so what waits for a later phase is
    (state, op-code, probability), or (state, None, probability) for a program that ran out of time.
    """
    waiting = {phase: [] for phase in range(phases + 2)}
    for op, chance in branches(State(), 1.0, order):
        waiting[min(phase_of(1, chance), phases + 1)].append((State(), op, chance))
    tested = []
    for phase in range(phases + 1):
        stack = waiting.pop(phase)
        while stack:
            state, op, probability = stack.pop()
            for child in [state] if op is None else children(state, op):
                allowed = int(2**phase * probability)
                outcome = execute(child, allowed)
                good = bool(child.weights) and fits(child.weights, examples)
                row = (
                    phase,
                    probability,
                    child.steps,
                    good,
                    good and child.weights == [1] * INPUTS,
                    op is None,
                )
                tested.append(row)
                if watch and (len(tested) % 20 == 0 or good):
                    watch(
                        len(tested),
                        5000,
                        phase=phase,
                        state=child,
                        probability=probability,
                        good=good,
                    )
                if good:
                    return tested, child
                if outcome == TIMEOUT:
                    waiting[min(phase + 1, phases + 1)].append((child, None, probability))
                elif outcome == GUESSING:
                    for each, chance in branches(child, probability, order):
                        due = phase_of(child.steps + 1, chance)
                        (stack if due <= phase else waiting[min(due, phases + 1)]).append(
                            (child, each, chance)
                        )
    return tested, None


def phase_of(steps, probability):
    """The first phase in which a program of this probability may take so many steps."""
    phase = 0
    while int(2**phase * probability) < steps:
        phase += 1
    return phase


def branches(state, probability, order):
    """Op-code and probability of each primitive (with any one choice of its arguments) that could
    come next."""
    for op in reversed(order):
        ranges = legal_arguments(state, op)
        if ranges is not None and all(ranges):
            yield op, probability / 13 / float(np.prod([len(choices) for choices in ranges]))


def children(state, op):
    """The states after guessing this primitive, one for each choice of arguments."""
    for arguments in product(*legal_arguments(state, op)):
        child = state.copy()
        extend(child, op, arguments)
        yield child


def enumerate_programs(families, bound, limit):
    """All programs with probability of at least `bound`, each run up to `limit` steps.

    Rows (P, steps, general, fits for each of the families of examples).
    """
    rows, stack = [], [(State(), 1.0)]
    while stack:
        state, probability = stack.pop()
        for op, chance in branches(state, probability, range(13)):
            if chance < bound:
                continue
            for child in children(state, op):
                outcome = execute(child, limit)
                good = [
                    bool(child.weights) and fits(child.weights, examples) for examples in families
                ]
                rows.append((chance, child.steps, child.weights == [1] * INPUTS, *good))
                if outcome == GUESSING:
                    stack.append((child, chance))
    return rows


def general_share(rows, family):
    """Share of the probability of the fitting programs that belongs to programs that write w = 1."""
    fitting = [row for row in rows if row[3 + family]]
    return (
        sum(row[0] for row in fitting if row[2]) / sum(row[0] for row in fitting)
        if fitting
        else 0.0
    )


# --- controls ------------------------------------------------------------------------------------


def train_delta(weights, examples, decay=0.0, rate=0.1, epochs=5000):
    """The delta rule on the three examples, with weight decay if wanted."""
    x = np.zeros((len(examples), INPUTS))
    for row, example in zip(x, examples, strict=True):
        row[list(example)] = 1
    for _ in range(epochs):
        weights = weights + rate * ((ON - x @ weights) @ x - decay * weights)
    return weights


def train_controls(rng, examples):
    """Weights of the learners that have only the three examples and no program."""
    x = np.zeros((len(examples), INPUTS))
    for row, example in zip(x, examples, strict=True):
        row[list(example)] = 1
    return {
        "delta rule from zero": train_delta(np.zeros(INPUTS), examples),
        "delta rule from random": train_delta(rng.uniform(-0.1, 0.1, INPUTS), examples),
        "with weight decay": train_delta(rng.uniform(-0.1, 0.1, INPUTS), examples, decay=1e-2),
        "minimum norm": np.linalg.pinv(x) @ np.full(len(examples), float(ON)),
        "random weights": rng.integers(-BIG, BIG + 1, INPUTS).astype(float),
    }


# --- the experiment ------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Probabilistic search, LSEARCH, the enumeration of all likely programs, and the controls.

    All that the claims use belongs to the paper's three examples; the same for three random ones is
    reported as fresh_...
    """
    draw_rng, search_rng, order_rng, control_rng = np.random.default_rng(config.seed).spawn(4)
    fresh = [
        tuple(sorted(draw_rng.choice(INPUTS, ON, replace=False).tolist())) for _ in PAPER_EXAMPLES
    ]
    order = order_rng.permutation(13).tolist() if config.seed else list(range(13))
    inputs = all_inputs()
    found = [
        probabilistic_search(search_rng, PAPER_EXAMPLES, config.runs) for _ in range(config.repeats)
    ]
    tested, state = levin_search(PAPER_EXAMPLES, order, config.phases, watch)
    enumerated = enumerate_programs((PAPER_EXAMPLES, fresh), config.bound, config.limit)
    controls = train_controls(control_rng, PAPER_EXAMPLES)
    weights = padded(state)
    strings = control_rng.random((10_000, INPUTS)) < control_rng.random((10_000, 1))
    exact = [s is not None and s.weights == [1] * INPUTS for _, s, _ in found] + [
        bool((weights == 1).all())
    ]
    metrics = {
        "exact_weights": all(exact) and test_errors(weights, inputs, PAPER_EXAMPLES) == 0,
        "pls_runs": float(np.mean([runs for runs, _, _ in found])) if found else 0.0,
        "lsearch_prefixes": sum(not row[5] for row in tested),
        "program_cells": state.size if state else 0,
        "program_steps": state.steps if state else 0,
        "generalise_mass": general_share(enumerated, 0),
        "enumerated": len(enumerated),
        "fitting": sum(row[3] for row in enumerated),
        "gradient_test": best_accuracy(controls, inputs, PAPER_EXAMPLES),
        "any_popcount": float(np.mean(strings @ weights == strings.sum(1))),
    }
    tested_fresh, state_fresh = levin_search(fresh, order, config.phases)
    metrics |= {
        "fresh_exact_weights": bool((padded(state_fresh) == 1).all()),
        "fresh_lsearch_prefixes": sum(not row[5] for row in tested_fresh),
        "fresh_generalise_mass": general_share(enumerated, 1),
        "fresh_gradient_test": best_accuracy(train_controls(control_rng, fresh), inputs, fresh),
    }
    history = {"tested": list(range(1, len(tested) + 1)), "phase": [row[0] for row in tested]}
    return Result(
        metrics, history, state.program if state else [], weights, tested, enumerated, controls
    )


def padded(state):
    """All 100 weights of a State (or None); what was not written is 0."""
    written = state.weights if state else []
    return np.array(written + [0] * (INPUTS - len(written)))


def best_accuracy(controls, inputs, examples):
    """Share of the test inputs that the best of the controls gets right."""
    return max(
        1 - test_errors(w, inputs, examples) / (len(inputs) - len(examples))
        for w in controls.values()
    )


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
