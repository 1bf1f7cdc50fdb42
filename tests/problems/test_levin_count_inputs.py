"""The machine against a second interpreter, the searches against enumeration and closed forms."""

import dataclasses
from collections import Counter
from itertools import product

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("levin-count-inputs")
PAPER = problem.PAPER_EXAMPLES
SOLUTION_CHANCE = 1 / 13 / 2 / 13 / 5  # of 1 0 2 0: two op-codes, 2 addresses to read, 5 to jump to
INTERPRETED = {
    "Add": lambda v: v[0] + v[1],
    "Subtract": lambda v: v[0] - v[1],
    "Multiply": lambda v: v[0] * v[1],
    "Move": lambda v: v[0],
    "GetInput": lambda v: 0,
    "Increment": lambda v: v[0] + 1,
    "Decrement": lambda v: v[0] - 1,
}


class Illegal(Exception):
    """An illegal instruction."""


def interpret(program, limit):
    """The same machine over a dictionary of addresses: weights written, steps, how it ended."""
    cells, pointer, weights, steps = dict(enumerate(program)), 0, [], 0
    while pointer != len(program):
        if steps >= limit:
            return weights, steps, "timeout"
        try:
            name, arguments = decoded(cells, pointer, len(program))
        except (KeyError, Illegal):
            return weights, steps, "halted"
        steps += 1
        try:
            pointer = perform(name, arguments, cells, pointer, len(program), weights)
        except (KeyError, Illegal):
            return weights, steps, "halted"
    return weights, steps, "guessing"


def decoded(cells, pointer, top):
    """Name and arguments of the primitive at the pointer."""
    if not 0 <= cells[pointer] <= 12:
        raise Illegal
    name, kinds = problem.PRIMITIVES[cells[pointer]]
    if pointer + len(kinds) >= top:
        raise Illegal
    return name, [cells[pointer + 1 + i] for i in range(len(kinds))]


def perform(name, arguments, cells, pointer, top, weights):
    """Execute one primitive; the next value of the pointer."""
    lowest, after = min(cells), pointer + 1 + len(arguments)
    kinds = dict(problem.PRIMITIVES)[name]
    if name == "Stop":
        raise Illegal
    for kind, value in zip(kinds, arguments, strict=True):
        ends = {"r": (lowest, top - 1), "w": (lowest, -1), "j": (lowest, top)}.get(kind, (1, 5))
        if not ends[0] <= value <= ends[1]:
            raise Illegal
    if name == "WriteWeight":
        if len(weights) == 100:
            raise Illegal
        weights.append(cells[arguments[0]])
    elif name == "Jump":
        return arguments[0]
    elif name == "Jumpleq":
        return arguments[2] if cells[arguments[0]] <= cells[arguments[1]] else after
    elif name == "Allocate":
        if arguments[0] - lowest > 1000:
            raise Illegal
        cells.update({lowest - 1 - i: 0 for i in range(arguments[0])})
    elif name == "Free":
        for i in range(arguments[0]):
            if lowest + i >= 0:
                raise Illegal
        for i in range(arguments[0]):
            del cells[lowest + i]
    else:
        value = INTERPRETED[name]([cells[a] for a in arguments])
        if abs(value) > 10_000:
            raise Illegal
        cells[arguments[-1]] = value
    return after


def run_program(program, limit):
    state = problem.State(list(program), len(program))
    return state, problem.execute(state, limit)


def test_machine_agrees_with_a_second_interpreter():
    rng = np.random.default_rng(0)
    seen = Counter()
    for _ in range(5000):
        state = problem.State()
        for _ in range(rng.integers(1, 9)):
            state, _ = problem.guess(rng, state)
        program = state.program
        if rng.random() < 0.4 and program:
            program[rng.integers(len(program))] = int(rng.integers(-6, 14))
        state, outcome = run_program(program, 150)
        expected = interpret(program, 150)
        assert (state.weights, state.steps, outcome) == expected, program
        seen.update((outcome, problem.PRIMITIVES[op][0]) for op in program if 0 <= op <= 12)
    names = [name for name, _ in problem.PRIMITIVES]
    assert all(seen["halted", name] and seen["guessing", name] for name in names[:3] + names[4:])


@pytest.mark.parametrize(
    "program, weights, steps, outcome",
    [
        ([7, 3, 6, 0, -3, 2, -3], [], 4, "halted"),  # Allocate 0 on the work tape
        ([7, 1, 8, -1, 1, -1], [1], 3, "guessing"),
        ([7, 2, 9, -2, 0, -2, -1, 9, 3, 1, -2, 12, 2], [-1], 5, "guessing"),
        ([7, 1, 8, -1, 4, -1, -1, -1, 2, 4], [], 29, "halted"),  # 2^14 is beyond 10,000
        ([7, 5, 2, 0], [], 401, "halted"),  # 1,000 work cells, not 1,005
        ([1, 0, 12, 1], [1], 2, "halted"),  # no cell to free
    ],
)
def test_programs_worked_out_by_hand(program, weights, steps, outcome):
    state, ended = run_program(program, 1000)
    assert (state.weights, state.steps, ended) == (weights, steps, outcome)


def test_freeing_the_cells_under_the_pointer_halts():
    """Code on the work tape that frees itself: the pointer must not fall onto program cells."""
    program = [7, 3, 6, 16, -3, 6, 15, -2, 2, -3, 1, 10, 2, 10, 3, 3, 12]
    state, outcome = run_program(program, 50)
    assert (state.weights, state.steps, outcome) == ([], 5, "halted") == interpret(program, 50)


def test_every_op_code_has_its_own_handler():
    writing = {op for op, (_, kinds) in enumerate(problem.PRIMITIVES) if "w" in kinds}
    assert writing == set(problem.ARITHMETIC)
    named = [getattr(problem, name) for name in ("JUMPLEQ", "WRITE_WEIGHT", "JUMP", "STOP", "FREE")]
    assert (
        named == [0, 1, 2, 3, 12] and problem.PRIMITIVES[problem.WRITE_WEIGHT][0] == "WriteWeight"
    )


@pytest.mark.parametrize("second", [0, 1])
def test_the_four_cell_solutions(second):
    state, outcome = run_program([1, second, 2, 0], 1000)
    assert state.weights == [1] * 100 and outcome == "halted" and state.steps == 201
    rows = problem.enumerate_programs(PAPER, SOLUTION_CHANCE * 0.999, 1000)
    assert [row[1:] for row in rows if row[2]] == [(201, True, True)] * 2
    assert min(row[0] for row in rows) == pytest.approx(SOLUTION_CHANCE)


def test_first_guesses_against_brute_force():
    """All programs of one primitive, listed over every cell value, with their probabilities."""
    brute = {}
    for op, (_, kinds) in enumerate(problem.PRIMITIVES):
        if "w" in kinds or kinds == "f":
            continue  # there are no work cells yet
        size = 1 + len(kinds)
        ends = {"r": range(size), "j": range(size + 1), "a": range(1, 6)}
        for arguments in product(range(-3, 8), repeat=len(kinds)):
            if all(value in ends[kind] for kind, value in zip(kinds, arguments, strict=True)):
                brute[(op, *arguments)] = 1 / 13 / np.prod([len(ends[kind]) for kind in kinds])
    tree = {
        tuple(child.program): chance
        for op, chance in problem.continuations(problem.State(), 1.0)
        for child in problem.children(problem.State(), op)
    }
    assert tree == pytest.approx(brute)
    assert sum(tree.values()) == pytest.approx(5 / 13)


def test_guesses_follow_the_probabilities():
    rng = np.random.default_rng(1)
    counts = Counter(tuple(problem.guess(rng, problem.State())[0].program) for _ in range(30_000))
    for program, chance in (((1, 0), 1 / 26), ((2, 2), 1 / 39), ((3,), 1 / 13), ((7, 5), 1 / 65)):
        assert counts[program] / 30_000 == pytest.approx(chance, rel=0.15)
        assert problem.guess(rng, problem.State())[1] in (
            0,
            pytest.approx(1 / 13),
            *(pytest.approx(1 / 13 / n) for n in (2, 3, 5, 4 * 4 * 5)),
        )


def test_guessing_changes_no_other_state():
    parent = problem.State([7, 1, 0], 2, 2, [4], 1)
    before = dataclasses.asdict(parent)
    for op, _ in problem.continuations(parent, 1.0):
        for child in problem.children(parent, op):
            problem.execute(child, 30)
    assert dataclasses.asdict(parent) == before


@pytest.mark.parametrize("phases", [18, 19])
def test_levin_search_equals_its_plain_form(phases):
    found, history = problem.levin_search(PAPER, phases)
    plain, tried = problem.plain_levin_search(PAPER, phases)
    first_run = Counter(tried.values())
    assert history["first run"] == [first_run[k] for k in range(phases + 1)]
    facts = [sorted((P, s.program, s.weights, s.steps) for P, s in fits) for fits in (found, plain)]
    assert facts[0] == facts[1] and len(facts[0]) == history["fits"][-1] == 2 * (phases == 19)


def test_levin_search_gives_each_program_its_share_of_time():
    shares = []

    def watch(phase, phases, probability, limit, state):
        assert limit == int(2**phase * probability)
        shares.append((state.steps, limit))

    problem.levin_search(PAPER, 15, watch)
    assert len(shares) > 400 and all(steps <= limit for steps, limit in shares)


def test_solution_comes_in_the_first_phase_that_pays_for_it():
    found, history = problem.levin_search(PAPER, 24)
    last = history["phase"][-1]
    assert 2 ** (last - 1) * SOLUTION_CHANCE < 201 <= 2**last * SOLUTION_CHANCE
    assert found[0][1].program == [1, 0, 2, 0]


def test_probabilistic_search_succeeds_as_often_as_the_enumeration_says():
    """Limits of 256 steps or more are drawn with probability 1/4; rarer programs only add."""
    shares = [
        sum(P for P, _, good, _ in problem.enumerate_programs(PAPER, 1e-5, limit) if good)
        for limit in (256, 512)
    ]
    chance = (shares[0] + shares[1]) / 8
    rng = np.random.default_rng(5)
    runs = [problem.probabilistic_search(rng, PAPER, 200_000)[0] for _ in range(40)]
    assert 0.4 / chance < np.mean(runs) < 1.3 / chance


def test_only_all_ones_are_right_everywhere():
    inputs = problem.test_inputs(PAPER)
    assert inputs.shape == (161_697, 3)
    assert problem.test_errors(np.ones(100), inputs) == 0
    assert problem.test_errors(np.zeros(100), inputs) == 161_697
    wrong = np.ones(100)
    wrong[7] = 2
    assert problem.test_errors(wrong, inputs) == 99 * 98 // 2  # every input with 7 on
    assert problem.SOLUTION == np.ones(100).tolist()


def test_controls_meet_their_closed_forms():
    controls = problem.train_controls(np.random.default_rng(0), PAPER)
    on = sorted(sum(PAPER, ()))
    for name in ("delta rule from zero", "minimum norm"):
        np.testing.assert_allclose(controls[name][on], 1)
        assert np.count_nonzero(np.abs(controls[name]) > 1e-9) == 9
        right = 161_697 - problem.test_errors(controls[name], problem.test_inputs(PAPER))
        assert right == 84 - 3  # the inputs whose three on-bits are all among the nine
    x = np.zeros((3, 100))
    x[np.arange(3)[:, None], np.array(PAPER)] = 1
    ridge = np.linalg.solve(x.T @ x + problem.DECAY * np.eye(100), x.T @ np.full(3, 3.0))
    np.testing.assert_allclose(controls["with weight decay"], ridge, atol=1e-3)


def test_delta_rule_follows_the_gradient():
    """One step of the rule against central differences of its error."""
    rng, small = np.random.default_rng(2), 1e-6
    x, weights = rng.integers(0, 2, (3, 6)).astype(float), rng.normal(size=6)

    def error(w):
        return ((3 - x @ w) ** 2).sum() / 2 + 0.3 * (w**2).sum() / 2

    slopes = [(error(weights + e) - error(weights - e)) / (2 * small) for e in small * np.eye(6)]
    kept, problem.EPOCHS = problem.EPOCHS, 1
    try:
        change = problem.train_delta(weights, x, 0.3) - weights
    finally:
        problem.EPOCHS = kept
    np.testing.assert_allclose(change, -problem.RATE * np.array(slopes), rtol=1e-5)


def test_fits_needs_every_example():
    assert problem.fits([1] * 100, PAPER)
    assert not problem.fits([1] * 94, PAPER), "input 94 has no weight yet"
    assert problem.fits([1] * 95, PAPER) and not problem.fits([], PAPER)


def test_what_finds_nothing_is_none_not_a_number():
    result = problem.run(problem.Config(repeats=1, runs=1, phases=18, bound=1e-3))
    absent = {name for name, value in result.metrics.items() if value is None}
    assert absent == {
        "pls_runs",
        "lsearch_phase",
        "lsearch_prefixes",
        "program_cells",
        "program_steps",
        "any_popcount",
        "generalise_mass",
    }
    assert result.metrics["pls_general"] == 0 and result.metrics["lsearch_exact"] is False


def test_quick_solves_the_task():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["pls_general"] == 1 and metrics["lsearch_exact"] and metrics["any_popcount"] == 1
    assert metrics["generalise_mass"] == 1 and metrics["gradient_test"] <= 0.001


def test_random_examples_are_drawn_from_the_seed():
    drawn = [problem.draw_examples(np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(set(bits)) == 3 and bits == tuple(sorted(bits)) for bits in drawn[2])
