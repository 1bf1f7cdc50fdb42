"""The machine against a second interpreter, and the searches against exhaustive enumeration."""

from itertools import product

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("levin-count-inputs")
NAMES = [name for name, _ in problem.PRIMITIVES]


def interpret(program, limit):
    """The same machine over a dictionary of addresses: weights written, steps, and how it ended."""
    cells = dict(enumerate(program))
    top, ip, weights, steps = len(program), 0, [], 0
    while ip != top:
        if steps >= limit:
            return weights, steps, "timeout"
        lowest = min(cells)
        try:
            name, kinds = problem.PRIMITIVES[cells[ip]] if cells[ip] >= 0 else (None, "")
            arguments = [cells[ip + 1 + i] for i in range(len(kinds)) if ip + 1 + i < top or 1 / 0]
        except (KeyError, IndexError, ZeroDivisionError):
            return weights, steps, "halted"
        if name is None:
            return weights, steps, "halted"
        steps += 1
        legal = {
            "r": range(lowest, top),
            "w": range(lowest, 0),
            "j": range(lowest, top + 1),
            "a": range(1, 6),
            "f": range(1, 6),
        }
        if name == "stop" or any(
            value not in legal[kind] for kind, value in zip(kinds, arguments, strict=True)
        ):
            return weights, steps, "halted"
        ip += 1 + len(arguments)
        if name == "write weight":
            if len(weights) == 100:
                return weights, steps, "halted"
            weights.append(cells[arguments[0]])
        elif name == "jump":
            ip = arguments[0]
        elif name == "jump if less or equal":
            if cells[arguments[0]] <= cells[arguments[1]]:
                ip = arguments[2]
        elif name == "allocate":
            if arguments[0] - lowest > problem.WORK_CELLS:
                return weights, steps, "halted"
            cells.update({lowest - 1 - i: 0 for i in range(arguments[0])})
        elif name == "free":
            if arguments[0] > -lowest:
                return weights, steps, "halted"
            for i in range(arguments[0]):
                del cells[lowest + i]
        else:
            values = [cells[a] for a in arguments]
            value = {
                "add": lambda v: v[0] + v[1],
                "subtract": lambda v: v[0] - v[1],
                "multiply": lambda v: v[0] * v[1],
                "move": lambda v: v[0],
                "get input": lambda v: 0,
                "increment": lambda v: v[0] + 1,
                "decrement": lambda v: v[0] - 1,
            }[name](values)
            if abs(value) > 10_000:
                return weights, steps, "halted"
            cells[arguments[-1]] = value
    return weights, steps, "guessing"


def run_program(program, limit):
    state = problem.State(list(program), len(program))
    return state, problem.execute(state, limit)


def test_machine_agrees_with_a_second_interpreter():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(6000):
        state = problem.State()
        for _ in range(
            rng.integers(1, 7)
        ):  # random programs with arguments that were legal when guessed
            problem.guess(rng.random, state)
        program = state.program
        if rng.random() < 0.3 and program:
            program[rng.integers(len(program))] = int(rng.integers(-6, 14))
        state, outcome = run_program(program, 150)
        weights, steps, expected = interpret(program, 150)
        assert (state.weights, state.steps, outcome) == (weights, steps, expected), program
        seen |= {(outcome, program[0] if program else None)}
    assert len(seen) > 25, "the programs must differ"


def test_the_four_cell_solution():
    state, outcome = run_program([1, 0, 2, 0], 1000)
    assert state.weights == [1] * 100 and outcome == "halted" and state.steps == 201
    probability = 1 / 13 / 2 / 13 / 5
    rows = problem.enumerate_programs((problem.PAPER_EXAMPLES,), probability * 0.999, 1000)
    assert (pytest.approx(probability), 201, True, True) in [
        (pytest.approx(row[0]), *row[1:]) for row in rows
    ]


def test_enumeration_is_exhaustive_for_short_programs():
    """All programs of one or two primitives, listed by brute force over every cell value, are those that the tree visits."""
    first = [
        (op, *args) for op in range(13) for args in product(range(-3, 8), repeat=problem.ARITY[op])
    ]
    brute = {}
    for program in first:
        state = problem.State()
        ranges = problem.legal_arguments(state, program[0])
        if all(value in choices for value, choices in zip(program[1:], ranges, strict=True)):
            brute[program] = 1 / 13 / np.prod([len(choices) for choices in ranges])
    visited = {}
    for op, chance in problem.branches(problem.State(), 1.0, range(13)):
        for child in problem.children(problem.State(), op):
            visited[tuple(child.program)] = chance
    assert visited == pytest.approx(brute)
    writable = {
        op for op in range(13) if "w" not in problem.PRIMITIVES[op][1] and op != 12
    }  # there are no work cells yet
    assert sum(visited.values()) == pytest.approx(len(writable) / 13)


def test_guesses_follow_the_probabilities():
    rng = np.random.default_rng(1)
    counts = {}
    for _ in range(30_000):
        state = problem.State()
        if problem.guess(rng.random, state) is not None:
            counts[tuple(state.program)] = counts.get(tuple(state.program), 0) + 1
    for program, chance in (((1, 0), 1 / 26), ((2, 2), 1 / 39), ((3,), 1 / 13), ((7, 5), 1 / 65)):
        assert counts[program] / 30_000 == pytest.approx(chance, rel=0.15)


def test_levin_search_gives_each_program_its_share_of_time():
    tested, state = problem.levin_search(problem.PAPER_EXAMPLES, list(range(13)), 30)
    assert state.program == [1, 0, 2, 0]
    assert all(steps <= 2**phase * chance for phase, chance, steps, *_ in tested)
    assert tested[-1][1] == pytest.approx(1 / 13 / 2 / 13 / 5)
    fresh = [row for row in tested if not row[5]]
    last = tested[-1][0]
    # Every prefix whose first step was affordable before the last phase, found by brute force, has been run.
    cheap = problem.enumerate_programs((problem.PAPER_EXAMPLES,), 2.0 ** (1 - last), 2)
    assert len(fresh) >= sum(steps <= 1 for _, steps, *_ in cheap)
    assert tested[-1][3] and not any(row[3] for row in tested[:-1])


@pytest.mark.parametrize("weights, errors", [(np.ones(100), 0), (np.zeros(100), 161_697)])
def test_test_set_counts_all_inputs(weights, errors):
    assert problem.test_errors(weights, problem.all_inputs(), ()) == errors + (3 if errors else 0)


def test_controls_fit_the_examples_and_know_only_84_inputs():
    inputs = problem.all_inputs()
    controls = problem.train_controls(np.random.default_rng(0), problem.PAPER_EXAMPLES)
    for name in ("delta rule from zero", "minimum norm"):
        np.testing.assert_allclose(
            np.flatnonzero(np.abs(controls[name] - 1) < 1e-6),
            sorted(sum(problem.PAPER_EXAMPLES, ())),
        )
        assert (
            161_697 - problem.test_errors(controls[name], inputs, problem.PAPER_EXAMPLES) == 84 - 3
        )


def test_fits_needs_every_example():
    assert problem.fits([1] * 100, problem.PAPER_EXAMPLES)
    assert not problem.fits([1] * 94, problem.PAPER_EXAMPLES), "input 94 has no weight yet"
    assert problem.fits([1] * 95, problem.PAPER_EXAMPLES) and not problem.fits(
        [], problem.PAPER_EXAMPLES
    )
