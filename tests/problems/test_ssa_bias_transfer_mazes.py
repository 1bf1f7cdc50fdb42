"""Levin search against plain enumeration and its plain form, the stack against its criterion."""

import math
from itertools import product

import numpy as np
import pytest

from catalog import ROOT
from tests.contract import load_script

problem = load_script("ssa-bias-transfer-mazes")
ROOM = """
#########
# #     #
# # # # #
#   # # #
### # ###
#   #   #
# ##### #
#     # #
#########
"""
FREE = np.array([[c == " " for c in line] for line in ROOM.split("\n") if line])
START = (3, 3)
PLACES = "NESW"


def parsed(symbol):
    """A symbol as the paper's words: (condition, turn), or (address, times)."""
    words = [("front", "left"), ("front", "right"), ("left", "left"), ("left", "right")]
    words += [("left", ""), ("right", "left"), ("right", "right"), ("right", "")]
    jumps = [(a, n) for a in range(8) for n in range(1, 7)]
    return words[symbol] if symbol < 8 else jumps[symbol - 8]


def interpret(program, limit):
    """Every place that the program visits, in order, at most `limit` of them; a second machine."""
    row, col, looks = *START, "N"
    visited, pointer, left = [], 0, {}
    while pointer < len(program) and len(visited) < limit:
        first, second = parsed(program[pointer])
        if isinstance(first, int):
            left.setdefault(pointer, second)
            if left[pointer]:
                left[pointer] -= 1
                pointer = first
            else:
                del left[pointer]
                pointer += 1
            continue
        while len(visited) < limit:
            if FREE[(row, col) if not open_to(row, col, looks) else ahead(row, col, looks)]:
                row, col = ahead(row, col, looks) if open_to(row, col, looks) else (row, col)
            visited.append((row, col))
            side = {"front": looks, "left": turned(looks, -1), "right": turned(looks, 1)}[first]
            if open_to(row, col, side) == (first != "front"):
                break
        else:
            return visited
        looks = turned(looks, {"left": -1, "right": 1, "": 0}[second])
        pointer += 1
    return visited


def turned(looks, by):
    return PLACES[(PLACES.index(looks) + by) % 4]


def ahead(row, col, looks):
    return {"N": (row - 1, col), "S": (row + 1, col), "W": (row, col - 1), "E": (row, col + 1)}[
        looks
    ]


def open_to(row, col, looks):
    return bool(FREE[ahead(row, col, looks)])


def symbols_at(address):
    return range(8 + 6 * address)


def task_for(goal, free=FREE, start=START):
    return problem.Task(free, start, goal, problem.move_tables(free))


@pytest.fixture(scope="module")
def world():
    return problem.make_world(0)


def random_prior(rng, adapts):
    prior = problem.uniform_prior()
    for _ in range(adapts):
        program = [int(rng.integers(8 + 6 * i)) for i in range(rng.integers(1, 9))]
        problem.adapt(prior, program, 0.4)
    return prior


def free_cells(free, start):
    return [cell for cell in map(tuple, np.argwhere(free).tolist()) if cell != start]


def test_plain_machine_agrees_with_a_second_one():
    rng, met = np.random.default_rng(0), 0
    for _ in range(600):
        program = [int(rng.integers(8 + 6 * i)) for i in range(rng.integers(1, 9))]
        visited = interpret(program, 300)
        goal = visited[rng.integers(len(visited))] if rng.random() < 0.7 else (7, 1)
        if goal == START:
            continue
        steps, found = problem.run_program(FREE, START, goal, program, 300)
        expected = visited.index(goal) + 1 if goal in visited else len(visited)
        assert (steps, found) == (expected, goal in visited), program
        met += found
    assert 100 < met < 590


@pytest.mark.parametrize("goal", [(1, 1), (5, 7)])
def test_vectorised_expansion_equals_enumeration_of_all_programs(goal):
    """Every program of at most three symbols, whatever its probability: times and arrivals."""
    task, rows = task_for(goal), [np.ones(8 + 6 * i) for i in range(4)]
    programs = np.zeros((1, 0), int), np.ones(1), np.array([[task.start, 0, np.inf]])
    for length in range(1, 4):
        programs, waiting = task.extend(programs, rows[length - 1], 1.0, 0.5)
        assert waiting == 0
        symbols, _, ends = programs
        every = list(product(*map(symbols_at, range(length))))
        assert list(map(tuple, symbols.tolist())) == every
        for program, (_, time, arrival) in zip(symbols.tolist(), ends.tolist(), strict=True):
            visited = interpret(program, problem.LONGEST)
            if goal in visited:
                assert arrival == visited.index(goal) + 1
            else:
                assert arrival >= problem.LONGEST
                assert min(time, problem.LONGEST) == len(visited)
    assert len(programs[0]) == 8 * 14 * 20


def test_search_tries_each_program_once_in_the_phase_that_affords_it():
    """No goal can be reached: the steps are those of all programs down to the last phase."""
    prior, phases = problem.uniform_prior(), 10
    rows, used = [problem.chances(prior, i) for i in range(4)], 0
    for length in range(1, 5):
        for program in product(*map(symbols_at, range(length))) if length < 4 else ():
            chance = math.prod(row[symbol] for row, symbol in zip(rows, program, strict=False))
            phase = 2.0 ** math.ceil(-math.log2(chance))
            if phase <= 2**phases:
                used += len(interpret(program, math.floor(chance * phase / problem.C)))
    nowhere = task_for((1, 1))
    nowhere.ahead[:] = np.inf
    assert 1 / (8 * 9**3) < 2.0**-phases, "no longer program is due"
    assert problem.levin_search(nowhere, prior, used) == (None, used, None)
    seen = []
    real, nowhere.extend = nowhere.extend, lambda *a: (seen.append(a[2]), real(*a))[1]
    problem.levin_search(nowhere, prior, used)
    assert max(seen) == 2**phases
    problem.levin_search(nowhere, prior, used + 1)
    assert max(seen) > 2**phases


@pytest.mark.parametrize("size", [7, 9, 11])
def test_fast_search_equals_plain_search(size):
    rng, start, solved = np.random.default_rng(size), (size // 4 * 2 + 1,) * 2, 0
    for adapts in range(8):
        free = problem.make_maze(rng, start, size)
        cells, prior = free_cells(free, start), random_prior(rng, adapts)
        goal = cells[rng.integers(len(cells))]
        task = task_for(goal, free, start)
        for cap in (37, 2000, 60_000):
            plain = problem.plain_levin_search(free, start, goal, prior, cap)
            assert problem.levin_search(task, prior, cap) == plain
            solved += plain[0] is not None
    assert 2 < solved < 23


def test_a_sharp_prior_finds_its_program_at_once():
    prior, program = problem.uniform_prior(), (0, 1, 12, 3)
    for _ in range(60):
        problem.adapt(prior, program, 0.5)
    goal = interpret(program, 400)[-1]
    found, steps, path = problem.levin_search(task_for(goal), prior, 10**6)
    assert path <= len(interpret(program, 400)) and steps < 2000
    assert found is not None


def test_a_search_without_any_likely_program_gives_up():
    """After so many Adapts only one program of each length is left."""
    prior, task = problem.uniform_prior(), task_for((1, 1))
    for _ in range(1200):
        problem.adapt(prior, (0,) * problem.LENGTH, 0.9)
    task.ahead[:] = np.inf
    used = sum(len(interpret((0,) * k, 200)) for k in range(1, 9))
    assert problem.levin_search(task, prior, 10**9) == (None, used, None)


def test_distributions_stay_distributions():
    prior = random_prior(np.random.default_rng(1), 200)
    for i in range(problem.LENGTH):
        assert problem.chances(prior, i).sum() == pytest.approx(1)
        assert not prior["PA"][i, i:].any(), "a Jump leads to an earlier address"
    assert prior["P"][0, problem.JUMP] == 0


def test_adapt_is_the_papers_rule():
    prior, before = problem.uniform_prior(), problem.uniform_prior()
    problem.adapt(prior, (3, 8 + 6 * 0 + 3), 0.3)  # a move, then Jump(0, 4)
    for name, i, j in (("P", 0, 3), ("P", 1, 8), ("PA", 1, 0), ("PR", 1, 3)):
        p = before[name][i, j]
        assert prior[name][i, j] == pytest.approx(p + 0.3 * (1 - p))
        others = np.arange(before[name].shape[1]) != j
        np.testing.assert_allclose(prior[name][i, others], 0.7 * before[name][i, others])
    for name in ("P", "PA", "PR"):
        np.testing.assert_array_equal(prior[name][2:], before[name][2:])


def test_success_story_criterion_holds_after_each_search_and_undoing_is_exact(world):
    tasks = world[3]
    config = problem.Config(grid=False, epochs=8)
    undone, priors, last = 0, [], []

    def watch(search, prior, stack, now, reward):
        nonlocal undone, last
        assert len(stack) == search.tags
        older = stack[:-1] if search.program else stack  # the newest has no time behind it
        rates = [reward / now] + [(reward - r) / (now - t) for t, r, _ in older]
        assert all(a < b for a, b in zip(rates, rates[1:], strict=False))
        undone += len(last) > len(older)
        last = [tag[0] for tag in stack]
        priors.append(prior["P"].copy())
        if stack and search.program:  # what Adapt changed is what the tag would restore
            again = {name: x.copy() for name, x in stack[-1][2].items()}
            problem.adapt(again, search.program, 0.3)
            np.testing.assert_array_equal(again["P"], prior["P"])

    log = problem.simulate(tasks, 0.3, True, config, watch)
    assert undone > 10 and len(log) == len(priors) == len(problem.schedule(8)) == 44


def test_undoing_everything_leads_back_to_the_uniform_prior():
    prior, stack = problem.uniform_prior(), []
    for k, program in enumerate([(0, 1), (2, 9), (3,)]):
        stack.append((10 * k, 5.0 * k, {name: x.copy() for name, x in prior.items()}))
        problem.adapt(prior, program, 0.5)
    problem.success_story(stack, prior, 1000, 10.0)  # no reward since the last tag
    assert stack == []
    for name, array in problem.uniform_prior().items():
        np.testing.assert_array_equal(prior[name], array)


def test_world_keeps_its_rule(world):
    free, start, goals, tasks, plain = world
    far = problem.distances(free, start)
    assert free.shape == (23, 23) and len(far) == free.sum() > 240
    for goal, (low, high), (program, steps, path) in zip(goals, problem.BANDS, plain, strict=True):
        assert low <= far[goal] < high and far[goal] <= path <= problem.LONGEST
        assert problem.run_program(free, start, goal, program, 400) == (path, True)
        assert steps <= problem.SOLVABLE
    assert len(problem.schedule(40)) == 220


def test_a_table_of_solutions_pays_once_for_each_goal():
    plain = [((0,), 1000 * (k + 1), k + 1) for k in range(7)]
    total = sum(s.steps for s in problem.unlearned(plain, 40, stored=True))
    paths = sum(plain[goal][2] for _, goal in problem.schedule(40))
    assert total == 28_000 + paths - 28
    costs = problem.epoch_costs(problem.unlearned(plain, 40), 40)
    assert costs.tolist() == [10_000] * 10 + [15_000] * 10 + [21_000] * 10 + [28_000] * 10


def test_quick_run_transfers():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["ssa_failed"] == 0 and metrics["ssa_speedup"] > 100


def test_the_readme_runs_its_program_step_by_step(world):
    text = (ROOT / "ssa-bias-transfer-mazes" / "README.md").read_text(encoding="utf-8")
    free, start, goals, _, plain = world
    program, _, path = plain[3]
    assert program == (0, 0, 1, 9) and f"{path} steps, reward 1/{path}." in text
    ends, counted = list(problem.way(free, start, program))[:path], 0
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 7 and cells[2].startswith("`wall"):
            counted += int(cells[3])
            row, col = map(int, cells[4].replace(": the goal", "").split(","))
            assert ends[counted - 1] == (row, col)
    assert counted == path and ends[-1] == goals[3]
    rows = [problem.chances(problem.uniform_prior(), i) for i in range(4)]
    chance = math.prod(row[symbol] for row, symbol in zip(rows, program, strict=True))
    assert chance == pytest.approx(1 / 104976) and math.floor(2**17 * chance / problem.C) == 249
