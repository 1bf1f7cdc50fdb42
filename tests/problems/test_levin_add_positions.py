"""The searches against their plain forms, the exact short cuts, the task against closed forms. The
machine is the one of levin-count-inputs, and tested there."""

import collections

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("levin-add-positions")
PAPER = problem.PAPER_EXAMPLES
NEAR = ((0, 1, 2),)  # an example that short searches can fit
RAMP = [7, 1, 1, -1, 8, -1, 2, 2]  # Allocate 1; WriteWeight -1; Increment -1; Jump 2
DETOUR = [7, 2, 1, -2, 8, -2, 0, -1, 8, 0]


def run_program(program, limit):
    state = problem.State(list(program), len(program))
    return state, problem.execute(state, limit)


@pytest.mark.parametrize("program, steps", [(RAMP, 302), ([*RAMP[:-1], 0], 402), (DETOUR, 402)])
def test_programs_that_write_the_ramp(program, steps):
    state, outcome = run_program(program, 1000)
    assert state.weights == list(range(100)) == problem.SOLUTION
    assert (state.steps, outcome) == (steps, problem.HALTED)


def test_the_chance_of_the_ramp():
    """Guessed by hand: 5 amounts to allocate, 5 cells to read, 1 to write, 10 to jump to."""
    state, P = problem.State(), 1.0
    for op, *arguments in ([7, 1], [1, -1], [8, -1], [2, 2]):
        chances = dict(problem.continuations(state, P))
        state, P = problem.extend(state, op, arguments), chances[op]
        assert problem.execute(state, 20) == (problem.TIMEOUT if op == 2 else problem.GUESSING)
    assert state.program == RAMP and P == pytest.approx(1 / 13**4 / 5 / 5 / 10)


def fitting(found):
    return sorted((P, state.program, state.weights, state.steps) for P, state in found)


def test_levin_search_equals_its_plain_form():
    found, history = problem.levin_search(NEAR, 24)
    plain, phase = problem.plain_levin_search(NEAR, 24)
    assert found and history["phase"][-1] == phase
    assert fitting(found) == fitting(plain)


def test_levin_search_stops_at_its_last_phase():
    found, history = problem.levin_search(PAPER, 12)
    assert found == [] and history["phase"] == list(range(13))
    assert problem.plain_levin_search(PAPER, 12) == ([], None)


def test_the_ramp_is_found_in_the_first_phase_that_pays_for_its_last_weight():
    found, history = problem.levin_search(PAPER, 34, problem.FOUR)
    P, state = found[0]
    assert state.program == RAMP and state.weights == problem.SOLUTION
    k = history["phase"][-1]
    assert 2 ** (k - 1) * P < 1 + 3 * 99 + 1 <= 2**k * P


def test_split_search_has_the_law_of_single_runs():
    """Fits per run, within four standard errors."""
    rng, runs = np.random.default_rng(3), 12_000
    single = sum(problem.probabilistic_run(rng, NEAR)[1] for _ in range(runs)) / runs
    found, programs = problem.split_search(rng, NEAR, 200_000)
    split = sum(fit[0] for fit in found) / 200_000
    assert programs < 100_000
    assert single > 0 and abs(split - single) < 4 * np.sqrt(split * (1 / runs + 1 / 200_000))


def test_split_search_reports_what_its_programs_do():
    found, _ = problem.split_search(np.random.default_rng(4), NEAR, 300_000)
    assert len(found) > 5 and len({fit[3] for fit in found}) > 1
    for count, P, state, limit in found:
        again, outcome = run_program(state.program, limit)
        assert count > 0 and 0 < P <= 1 / 13 and problem.fits(again.weights, NEAR)
        assert again.weights == state.weights
        assert again.steps == limit if outcome == problem.TIMEOUT else again.steps <= limit


def test_runs_part_in_the_proportions_of_the_guess():
    rng, state = np.random.default_rng(5), problem.State()
    parts = problem.guesses(rng, state, 1.0, 130_000)
    counts = {tuple(part.program): (P, n) for part, P, n in parts}
    for program, chance in (((1, 0), 1 / 26), ((2, 2), 1 / 39), ((3,), 1 / 13), ((7, 5), 1 / 65)):
        P, n = counts[program]
        assert P == pytest.approx(chance) and n == pytest.approx(130_000 * chance, rel=0.1)
    assert sum(n for _, n in counts.values()) == pytest.approx(130_000 * 5 / 13, rel=0.03)
    singles = [problem.guesses(rng, state, 1.0, 1) for _ in range(3000)]
    assert sum(map(len, singles)) / 3000 == pytest.approx(5 / 13, abs=0.04)


def test_programs_declared_dead_write_nothing_any_more():
    """Random programs that run long: where advance() gives up, execute() writes no weight in 3,000
    further steps and needs no guess."""
    rng, seen = np.random.default_rng(6), collections.Counter()
    for _ in range(30_000):
        state, outcome, chance = problem.State(), problem.GUESSING, 1.0
        while outcome == problem.GUESSING and chance:
            state, chance = problem.guess(rng, state)
            outcome = problem.execute(state, problem.PATIENCE) if chance else None
        if outcome != problem.TIMEOUT:
            continue
        reasons = problem.circles_blindly(state), problem.repeats(state)
        seen.update([reasons])
        if any(reasons):
            later = problem.copied(state)
            assert problem.execute(later, state.steps + 3000) != problem.GUESSING
            assert later.weights == state.weights
        else:
            assert problem.advance(problem.copied(state), 100) is not None
    assert min(seen[reasons] for reasons in ((True, False), (False, True), (False, False))) > 0


def test_a_fit_needs_a_weight_in_every_example():
    assert problem.fewest_writes(PAPER) == 41
    ramp = problem.SOLUTION
    assert problem.fits(ramp, PAPER) and problem.fits(ramp[:95], PAPER)
    assert not problem.fits(ramp[:94], PAPER), "input 94 has no weight yet"
    least = [0] * 41
    least[5], least[13], least[40] = 108, 126, 221
    assert problem.fits(least, PAPER) and not problem.fits(least[:40], PAPER)


def test_only_the_ramp_is_right_everywhere():
    inputs = problem.test_inputs(PAPER)
    assert inputs.shape == (161_697, 3)
    assert problem.test_errors(np.arange(100), inputs) == 0
    assert problem.test_errors(np.zeros(100), inputs) == 161_697
    wrong = np.arange(100)
    wrong[7] += 1
    assert problem.test_errors(wrong, inputs) == 99 * 98 // 2  # every input with 7 on


def test_controls_meet_their_closed_forms():
    controls = problem.train_controls(np.random.default_rng(0), PAPER)
    on = np.array(PAPER)
    for name in ("delta rule from zero", "minimum norm"):
        np.testing.assert_allclose(controls[name][on], on.sum(1)[:, None] / [[3, 3, 3]] * 1.0)
    x, targets = np.zeros((3, 100)), on.sum(1)
    x[np.arange(3)[:, None], on] = 1
    ridge = np.linalg.solve(x.T @ x + problem.DECAY * np.eye(100), x.T @ targets)
    np.testing.assert_allclose(controls["with weight decay"], ridge, atol=1e-3)
    np.testing.assert_allclose(x @ controls["delta rule from random"], targets)


def test_delta_rule_follows_the_gradient(monkeypatch):
    rng, small = np.random.default_rng(2), 1e-6
    x, w, targets = rng.integers(0, 2, (3, 6)).astype(float), rng.normal(size=6), np.arange(3.0)

    def error(w):
        return ((targets - x @ w) ** 2).sum() / 2 + 0.3 * (w**2).sum() / 2

    slopes = [(error(w + e) - error(w - e)) / (2 * small) for e in small * np.eye(6)]
    monkeypatch.setattr(problem, "EPOCHS", 1)
    change = problem.train_delta(w, x, targets, 0.3) - w
    np.testing.assert_allclose(change, -problem.RATE * np.array(slopes), rtol=1e-5)


def test_letters_add_positions_and_come_as_the_58th_string():
    x = np.random.default_rng(1).integers(0, 2, (20, 100))
    assert (problem.letters_answer("im+", x) == x @ np.arange(100)).all()
    assert (problem.letters_answer("b+", x) == x.sum(1)).all()
    for seed in range(3):
        assert problem.letters_search(np.random.default_rng(seed)) == (58, 1.0)


def test_quick_finds_the_ramp_and_controls_know_nothing():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["lsearch_exact"] and metrics["any_sum"] == 1 and metrics["program_cells"] == 8
    assert metrics["gradient_test"] <= 0.01


def test_what_finds_nothing_is_none_not_a_number():
    metrics = problem.run(problem.Config(runs=1, phases=10)).metrics
    assert {name for name, value in metrics.items() if value is None} == {
        "lsearch_phase",
        "lsearch_general",
        "program_cells",
        "program_steps",
        "any_sum",
        "pls_first_fit",
    }
    assert metrics["lsearch_exact"] is False and metrics["pls_fits"] == 0
