"""Counting inputs by universal search: programs write the weights of a linear unit.

Task      y = sum_i w_i x_i with 100 integer weights, first 0. Every input x has exactly three
          on-bits, the target is their number. Three training inputs; the other 161,697 possible
          inputs are the test. The only weights that are right on all of them: w = 1.
Machine   One array of integer cells; c(a) is the content of address a. Program cells have addresses
          0, 1, ..., work cells -1, -2, ... Thirteen primitives: a cell with the op-code, and its
          arguments in the cells behind it. A step is one executed primitive. Whatever is illegal
          (an address, an op-code, a value beyond 10,000) halts the program.
Program p guesses itself while it runs: when the instruction pointer reaches the end of the program,
          a primitive is guessed (probability 1/13), then each of its arguments, uniformly among the
          legal ones. P(p) is the product of the probabilities of all guesses.
Search    Probabilistic (the paper's): draw a time limit 2^(k+5) with probability 2^-k, run a
          program that guesses as it goes, test the weights that it wrote; repeat.
          LSEARCH (systematic): phase k gives every program p floor(2^k P(p)) steps.
Check     All programs with P(p) above a bound: of the probability of those that fit the examples,
          how much belongs to programs that write w = 1?
Control   Learners that have the three examples and no program: delta rule, least squares, luck.

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
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations, product
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
    """One run: both searches, the enumeration, the controls. The defaults give the headline."""

    seed: int = option(0, "seeds searches, random examples and controls", 0, 2**32 - 1)
    examples: str = option("paper", "training inputs", among=("paper", "random"))
    repeats: int = option(5, "probabilistic searches, each until its first fit", 1, 10_000)
    runs: int = option(200_000, "most runs of one probabilistic search", 1, 100_000_000)
    phases: int = option(24, "last phase of LSEARCH", 1, 30)
    bound: float = option(2e-6, "least probability of the enumerated programs", 1e-8, 1.0)
    limit: int = option(1000, "time limit of the enumerated programs [steps]", 1, 100_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"repeats": 1, "bound": 1e-4}


@dataclass
class Result:
    """program: the likeliest one that LSEARCH found (empty: none); weights: what it wrote, (100,);
    searches: runs of each probabilistic search, None where none fitted; enumerated: see
    enumerate_programs(); controls: name -> weights, (100,)."""

    metrics: dict
    history: dict
    program: list
    weights: np.ndarray
    searches: list
    enumerated: list
    controls: dict


# --- the task -------------------------------------------------------------------------------------

INPUTS, ON = 100, 3
SOLUTION = [1] * INPUTS  # the only weights that are right on every input
PAPER_EXAMPLES = ((5, 17, 86), (13, 55, 58), (40, 87, 94))  # on-bits; the target is always ON


def draw_examples(rng):
    """Three random training inputs, each as its three on-bits."""
    return tuple(tuple(sorted(rng.choice(INPUTS, ON, replace=False).tolist())) for _ in range(3))


def test_inputs(examples):
    """The on-bits of every possible input that is no example: (161697, 3)."""
    return np.array([bits for bits in combinations(range(INPUTS), ON) if bits not in examples])


def fits(written, examples):
    """Whether the weights written so far (the others are 0) answer every example exactly."""
    w = written + [0] * (INPUTS - len(written))
    return all(w[i] + w[j] + w[k] == ON for i, j, k in examples)


def test_errors(weights, inputs):
    """The number of answers that are off by one half or more; weights: (100,)."""
    return int((np.abs(weights[inputs].sum(1) - ON) >= 0.5).sum())


# --- the machine ----------------------------------------------------------------------------------

# idiom: levin_machine
JUMPLEQ, WRITE_WEIGHT, JUMP, STOP, ADD, GET_INPUT, MOVE = range(7)
ALLOCATE, INCREMENT, DECREMENT, SUBTRACT, MULTIPLY, FREE = range(7, 13)

PRIMITIVES = (  # by op-code: the paper's name, and a letter of LEGAL for each argument
    ("Jumpleq", "rrj"),
    ("WriteWeight", "r"),
    ("Jump", "j"),
    ("Stop", ""),
    ("Add", "rrw"),
    ("GetInput", "rw"),
    ("Move", "rw"),
    ("Allocate", "a"),
    ("Increment", "w"),
    ("Decrement", "w"),
    ("Subtract", "rrw"),
    ("Multiply", "rrw"),
    ("Free", "f"),
)
ARITY = [len(kinds) for _, kinds in PRIMITIVES]

BIGGEST = 10_000  # of the absolute values that a cell may hold
PROGRAM_CELLS, WORK_CELLS = 100, 1000  # at most
MOST_AT_ONCE = 5  # cells that one primitive may allocate or free

LEGAL = {  # the legal values of an argument, given the lowest address and the program's size
    "r": lambda lowest, size: range(lowest, size),  # an address to read
    "w": lambda lowest, size: range(lowest, 0),  # an address to write: work cells only
    "j": lambda lowest, size: range(lowest, size + 1),  # an address to jump to
    "a": lambda lowest, size: range(1, min(MOST_AT_ONCE, WORK_CELLS + lowest) + 1),  # new cells
    "f": lambda lowest, size: range(1, min(MOST_AT_ONCE, -lowest) + 1),  # cells to free
}

ARITHMETIC = {  # what is written to the last argument; x, y: the contents of the addresses read
    ADD: lambda x, y: x + y,
    GET_INPUT: lambda x, y: 0,  # this task has no input field
    MOVE: lambda x, y: x,
    INCREMENT: lambda x, y: x + 1,
    DECREMENT: lambda x, y: x - 1,
    SUBTRACT: lambda x, y: x - y,
    MULTIPLY: lambda x, y: x * y,
}

HALTED, GUESSING, TIMEOUT = "halted", "guessing", "timeout"


@dataclass
class State:
    """cells: the program cells 0 ... size-1, then the work cells, the newest first and -1 last:
    Python's index -1 is address -1, and cells[address] is right for both tapes."""

    cells: list = dataclasses.field(default_factory=list)
    size: int = 0
    pointer: int = 0
    weights: list = dataclasses.field(default_factory=list)
    steps: int = 0

    @property
    def program(self):
        return self.cells[: self.size]


def legal_arguments(state, op):
    """The legal values of each argument of a primitive guessed now; None where one has none, or
    the program tape is full. The cells of the new primitive itself count as readable."""
    size, lowest = state.size + 1 + ARITY[op], state.size - len(state.cells)
    ranges = [LEGAL[kind](lowest, size) for kind in PRIMITIVES[op][1]]
    return ranges if size <= PROGRAM_CELLS and all(ranges) else None


def extend(state, op, arguments):
    """A copy of the state with a guessed primitive behind the program."""
    size = state.size
    cells = [*state.cells[:size], op, *arguments, *state.cells[size:]]
    return State(cells, size + 1 + len(arguments), state.pointer, state.weights[:], state.steps)


def guess(rng, state):
    """A random primitive with random legal arguments: the state with it, and its probability;
    (state, 0) where it has no legal argument."""
    op = int(rng.random() * len(PRIMITIVES))
    ranges = legal_arguments(state, op)
    if ranges is None:
        return state, 0.0
    arguments = [choices[int(rng.random() * len(choices))] for choices in ranges]
    return extend(state, op, arguments), 1 / len(PRIMITIVES) / math.prod(map(len, ranges))


def continuations(state, probability):
    """Each op-code that may come next, with the probability of the program that it makes (the
    same for all of its legal arguments)."""
    for op in range(len(PRIMITIVES)):
        ranges = legal_arguments(state, op)
        if ranges is not None:
            yield op, probability / len(PRIMITIVES) / math.prod(map(len, ranges))


def children(state, op):
    """The states after guessing this primitive, one for each choice of its arguments."""
    return [extend(state, op, arguments) for arguments in product(*legal_arguments(state, op))]


def execute(state, limit):
    """Run until the program halts, needs a guess or has used `limit` steps in all; says which.
    Changes the state. Every `break` is a halt: a stop, or something illegal."""
    cells, size, weights = state.cells, state.size, state.weights
    ip, steps, lowest = state.pointer, state.steps, size - len(cells)
    outcome = HALTED
    while ip != size and steps < limit:
        op = cells[ip] if ip >= lowest else -1
        if not JUMPLEQ <= op <= FREE or ip + ARITY[op] >= size:
            break
        steps += 1
        if op == STOP:
            break
        a = cells[ip + 1]
        if op == WRITE_WEIGHT:  # the next weight := c(a)
            if not lowest <= a < size or len(weights) == INPUTS:
                break
            weights.append(cells[a])
            ip += 2
        elif op == JUMP:
            if not lowest <= a <= size:
                break
            ip = a
        elif op == JUMPLEQ:  # if c(a) <= c(b) jump to j
            b, j = cells[ip + 2], cells[ip + 3]
            if not (lowest <= a < size and lowest <= b < size and lowest <= j <= size):
                break
            ip = j if cells[a] <= cells[b] else ip + 4
        elif op == ALLOCATE:  # a new work cells, 0, below the lowest address
            if not 1 <= a <= MOST_AT_ONCE or a - lowest > WORK_CELLS:
                break
            cells[size:size] = [0] * a
            lowest -= a
            ip += 2
        elif op == FREE:  # the a work cells with the lowest addresses
            if not 1 <= a <= MOST_AT_ONCE or a > -lowest:
                break
            del cells[size : size + a]
            lowest += a
            ip += 2
        else:  # c(d) := what ARITHMETIC says
            d = cells[ip + ARITY[op]]
            b = cells[ip + 2] if ARITY[op] == 3 else a
            if not (lowest <= a < size and lowest <= b < size and lowest <= d < 0):
                break
            value = ARITHMETIC[op](cells[a], cells[b])
            if not -BIGGEST <= value <= BIGGEST:
                break
            cells[d] = value
            ip += 1 + ARITY[op]
    else:
        outcome = GUESSING if ip == size else TIMEOUT
    state.pointer, state.steps = ip, steps
    return outcome


# end idiom


# --- the searches ---------------------------------------------------------------------------------

LONGEST = 2**20  # steps of the longest time limit that probabilistic search draws


def probabilistic_search(rng, examples, most):
    """The paper's search: the number of runs until a program fits, and its state; None and an
    empty state where `most` runs were not enough."""
    for runs in range(1, most + 1):
        k = 1
        while rng.random() < 0.5:  # k with probability 2^-k
            k += 1
        limit, state, probability = min(2 ** (k + 5), LONGEST), State(), 1.0
        while probability and execute(state, limit) == GUESSING:
            state, probability = guess(rng, state)
        if fits(state.weights, examples):
            return runs, state
    return None, State()


def plain_levin_search(examples, phases):
    """LSEARCH as it is defined: phase k runs every program p from scratch for floor(2^k P(p))
    steps, and the first phase in which a program fits is the last one.

    Returns its fits, [(P, state)], and the phase in which each program (a tuple) was first run.
    """
    tried = {}
    for k in range(phases + 1):
        found, stack = [], [((), 1.0)]
        while stack:
            p, P = stack.pop()
            state = State(list(p), len(p))
            outcome = execute(state, int(2**k * P))
            if p:
                tried.setdefault(p, k)
            if fits(state.weights, examples):
                found.append((P, state))
            if outcome == GUESSING:
                for op, chance in continuations(state, P):
                    if int(2**k * chance) > state.steps:  # enough for one more step
                        for arguments in product(*legal_arguments(state, op)):
                            stack.append(((*p, op, *arguments), chance))
        if found:
            break
    return found, tried


def levin_search(examples, phases, watch=None):
    """LSEARCH without running anything twice: a program goes on from the state of its prefix, or
    from where its time had run out.

    Returns the fits of the first phase that has any, [(P, state)], likeliest first, and the
    history, one row a phase.
    """
    history = {name: [] for name in ("phase", "first run", "resumed", "fits")}
    # What waits for a phase: (state, op, P), all continuations of the state by the primitive op,
    # each with probability P; op None means that the state itself, out of time, goes on.
    due = defaultdict(list)
    put_off(due, State(), 1.0, 0)
    for k in range(phases + 1):
        found, counts = [], {"first run": 0, "resumed": 0}
        while due[k]:
            parent, op, P = due[k].pop()
            for state in [parent] if op is None else children(parent, op):
                outcome = execute(state, int(2**k * P))
                counts["resumed" if op is None else "first run"] += 1
                if fits(state.weights, examples):
                    found.append((P, state))
                if outcome == TIMEOUT:
                    due[k + 1].append((state, None, P))
                elif outcome == GUESSING:
                    put_off(due, state, P, k)
                if watch:
                    watch(k, phases, probability=P, limit=int(2**k * P), state=state)
        for name, value in {"phase": k, **counts, "fits": len(found)}.items():
            history[name].append(value)
        if found:
            break
    return sorted(found, key=lambda fit: (-fit[0], fit[1].program)), history


def put_off(due, state, probability, phase):
    """File every continuation of a state under the phase, now or later, that pays its next step."""
    for op, P in continuations(state, probability):
        affordable = math.ceil(math.log2((state.steps + 1) / P))  # the first k: 2^k P > steps
        due[max(phase, affordable)].append((state, op, P))


def enumerate_programs(examples, bound, limit):
    """All programs with probability of at least `bound`, each run up to `limit` steps: rows
    (P, steps, fits the examples, writes w = 1)."""
    rows, stack = [], [(State(), 1.0)]
    while stack:
        parent, probability = stack.pop()
        for op, P in continuations(parent, probability):
            for state in children(parent, op) if P >= bound else ():
                outcome = execute(state, limit)
                good = fits(state.weights, examples)
                rows.append((P, state.steps, good, state.weights == SOLUTION))
                if outcome == GUESSING:
                    stack.append((state, P))
    return rows


def general_share(rows):
    """Share of the probability of the fitting programs that belongs to programs that write w = 1;
    None where no program fits."""
    fitting = [(P, general) for P, _, good, general in rows if good]
    total = sum(P for P, _ in fitting)
    return sum(P for P, general in fitting if general) / total if fitting else None


# --- controls -------------------------------------------------------------------------------------

RATE, EPOCHS, DECAY, INITIAL = 0.1, 5000, 0.01, 0.1  # of the delta rule; INITIAL: |w_i| at most


def train_delta(weights, x, decay=0.0):
    """The delta rule on the inputs x, (examples, 100), each with target ON.

    E = sum_p (ON - x_p w)^2 / 2 + decay |w|^2 / 2, so -dE/dw = sum_p (ON - x_p w) x_p - decay w.
    """
    for _ in range(EPOCHS):
        weights = weights + RATE * ((ON - x @ weights) @ x - decay * weights)
    return weights


def train_controls(rng, examples):
    """Weights of the learners that have only the three examples and no program."""
    x = np.zeros((len(examples), INPUTS))
    x[np.arange(len(examples))[:, None], np.array(examples)] = 1
    return {
        "delta rule from zero": train_delta(np.zeros(INPUTS), x),
        "delta rule from random": train_delta(rng.uniform(-INITIAL, INITIAL, INPUTS), x),
        "with weight decay": train_delta(rng.uniform(-INITIAL, INITIAL, INPUTS), x, DECAY),
        "minimum norm": np.linalg.pinv(x) @ np.full(len(examples), float(ON)),
        "random weights": rng.integers(-BIGGEST, BIGGEST + 1, INPUTS).astype(float),
    }


def best_accuracy(controls, inputs):
    """Share of the test inputs that the best of the controls gets right."""
    return 1 - min(test_errors(w, inputs) for w in controls.values()) / len(inputs)


# --- the experiment -------------------------------------------------------------------------------

STRINGS = 10_000  # random 100-bit strings whose ones the found weights count


def run(config: Config = Config(), watch=None) -> Result:
    """Both searches, the enumeration of all likely programs, and the controls. A metric of a search
    that found nothing is None."""
    example_rng, search_rng, control_rng = np.random.default_rng(config.seed).spawn(3)
    examples = PAPER_EXAMPLES if config.examples == "paper" else draw_examples(example_rng)
    inputs = test_inputs(examples)
    searches = [
        probabilistic_search(search_rng, examples, config.runs) for _ in range(config.repeats)
    ]
    runs = [number for number, _ in searches]
    found, history = levin_search(examples, config.phases, watch)
    best = found[0][1] if found else State()
    weights = np.array(best.weights + [0] * (INPUTS - len(best.weights)))
    enumerated = enumerate_programs(examples, config.bound, config.limit)
    controls = train_controls(control_rng, examples)
    strings = control_rng.random((STRINGS, INPUTS)) < control_rng.random((STRINGS, 1))
    metrics = {
        "pls_searches": len(searches),
        "pls_general": sum(state.weights == SOLUTION for _, state in searches),
        "pls_runs": None if None in runs else float(np.mean(runs)),
        "lsearch_exact": test_errors(weights, inputs) == 0,
        "lsearch_phase": history["phase"][-1] if found else None,
        "lsearch_prefixes": sum(history["first run"]) if found else None,
        "program_cells": best.size if found else None,
        "program_steps": best.steps if found else None,
        "any_popcount": float(np.mean(strings @ weights == strings.sum(1))) if found else None,
        "enumerated": len(enumerated),
        "fitting": sum(row[2] for row in enumerated),
        "generalise_mass": general_share(enumerated),
        "gradient_test": best_accuracy(controls, inputs),
    }
    return Result(metrics, history, best.program, weights, runs, enumerated, controls)


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
