"""The bucket brigade on a recurrent net: plain loops against the fast form, ledger, memory."""

import itertools
import re

import numpy as np
import pytest

from catalog import ROOT
from tests.contract import load_script

problem = load_script("nbb-moving-light")
LAM = ETA = 0.005
EXAMPLE = {  # the weights of the worked example: rows of sources, columns of outputs
    "cell 1": (0.4, 0.2),
    "cell 2": (0.3, 0.2),
    "cell 3": (0.2, 0.2),
    "cell 4": (0.2, 0.3),
    "cell 5": (0.2, 0.4),
    "1": (0.2, 0.2),
    "out 0": (0.3, 0.1),
    "out 1": (0.1, 0.3),
}


def few_nets(name, count=5, seed=3, cells=5):
    config = problem.Config(nets=count, cells=cells, presentations=50)
    return problem.build(np.random.default_rng(seed), [name], config, np.float64)


def example_weights():
    return [list(row) for row in EXAMPLE.values()]


def shaken(nets, seed=5):
    """The nets with weights so far apart that both outputs win now and then."""
    nets.weights *= np.random.default_rng(seed).uniform(0.5, 1.5, nets.weights.shape)
    return nets


@pytest.mark.parametrize("cells", [2, 5, 8])
def test_the_light_crosses_all_cells_one_way_or_the_other(cells):
    paths = problem.light_paths(cells)
    assert paths[0].tolist() == list(range(cells))
    assert (paths[0] + paths[1] == cells - 1).all()


def test_orders_of_directions():
    drawn = {
        order: problem.draw_directions(np.random.default_rng(0), order, 1001, 40)
        for order in ("random", "pairs", "alternating")
    }
    pairs = drawn["pairs"][:1000].reshape(500, 2, 40)
    assert (pairs.sum(1) == 1).all(), "LR and RL in each pair"
    assert 0.45 < pairs[:, 0].mean() < 0.55, "either may come first"
    assert (drawn["alternating"][1:] != drawn["alternating"][:-1]).all()
    assert set(drawn["alternating"][0]) == {0, 1}
    repeats = (drawn["random"][1:] == drawn["random"][:-1]).mean(0)
    assert (abs(repeats - 0.5) < 0.1).all(), "independent of the one before"


@pytest.mark.parametrize("cells", [2, 5, 8])
@pytest.mark.parametrize("name", problem.KINDS)
def test_many_nets_do_what_one_net_does(name, cells):
    nets = shaken(few_nets(name, cells=cells))
    plain = [nets.weights[..., n].tolist() for n in range(5)]
    start = nets.weights.copy()
    for direction in nets.directions[:20]:
        problem.present(nets, direction, LAM, ETA)
        for n in range(5):
            problem.present_one(plain[n], problem.KINDS[name], direction[n], LAM, ETA)
    np.testing.assert_allclose(nets.weights, np.moveaxis(plain, 0, -1), rtol=1e-12)
    assert not np.allclose(nets.weights, start, rtol=1e-3), "something must have moved"


def test_one_net_learns_as_in_the_batch():
    """Weights and tests are the same after every presentation; the last is the 50th in a row."""
    config = problem.Config(nets=1, presentations=400)
    stream = np.random.default_rng(7).spawn(1)[0]
    nets = problem.build(np.random.default_rng(7), [problem.MAIN], config, np.float64)
    last = best = 0
    for count, (direction, w, right, streak) in enumerate(problem.learn_one(stream, config)):
        assert direction == nets.directions[count, 0]
        problem.present(nets, nets.directions[count], LAM, ETA)
        assert nets.weights[..., 0] == pytest.approx(w, rel=1e-9, abs=0)
        assert problem.solved(nets.weights)[:, 0].tolist() == right
        assert streak == (last + 1 if all(right) else 0)
        last, best = streak, max(best, streak)
    assert count == 399 and best >= 50


@pytest.mark.parametrize("name", [problem.MAIN, "no_recurrence", "no_income", "no_reward"])
def test_substance_ledger(name):
    """All weights of a net together gain what is rewarded less what is paid and not passed on."""
    nets, kind = shaken(few_nets(name)), problem.KINDS[name]
    total = np.zeros(4)
    for direction in nets.directions[:20]:
        before = nets.weights.copy()
        problem.present(nets, direction, LAM, ETA)
        for n in range(5):
            ticks = problem.present_one(before[..., n].tolist(), kind, direction[n], LAM, ETA)
            paid, passed, rewarded = np.array([tick[1:] for tick in ticks]).sum(0)
            gained = nets.weights[..., n].sum() - before[..., n].sum()
            assert gained == pytest.approx(rewarded - (paid - passed), abs=1e-12)
            total += paid, passed, rewarded, gained
    assert total[0] > 0
    assert (total[1] > 0) == (kind.income and kind.recurrent)
    assert (total[2] > 0) == kind.reward


@pytest.mark.parametrize("cells", [2, 3, 5, 8])
@pytest.mark.parametrize("name", [problem.MAIN, "no_recurrence"])
def test_fast_test_is_what_the_ticks_show(name, cells):
    nets = shaken(few_nets(name, count=40, cells=cells))
    fast = problem.solved(nets.weights)
    for n in range(40):
        w = nets.weights[..., n].tolist()
        assert [problem.right_one(w, direction) for direction in (0, 1)] == fast[:, n].tolist()
    assert fast.any() and not fast.all()


@pytest.mark.parametrize("name", problem.KINDS)
def test_only_ratios_of_weights_matter(name):
    """Every term of the rule is linear in the weights: doubling them all doubles every change."""
    once, twice = few_nets(name), few_nets(name)
    twice.weights *= 2
    for direction in once.directions:
        problem.present(once, direction, LAM, ETA)
        problem.present(twice, direction, LAM, ETA)
    np.testing.assert_array_equal(twice.weights, 2 * once.weights)


@pytest.mark.parametrize("name", problem.KINDS)
def test_mirrored_nets_learn_mirrored(name):
    """Left and right, and with them the two outputs, are alike to the rule."""
    nets, mirrored = few_nets(name), few_nets(name)
    order = [4, 3, 2, 1, 0, 5, 7, 6]
    mirrored.weights = np.ascontiguousarray(nets.weights[order][:, ::-1])
    for direction in nets.directions:
        problem.present(nets, direction, LAM, ETA)
        problem.present(mirrored, 1 - direction, LAM, ETA)
    np.testing.assert_allclose(mirrored.weights, nets.weights[order][:, ::-1], rtol=1e-9)


def test_first_ticks_by_hand():
    """The worked example's ticks 2 and 3, computed with pencil and paper: lam = eta = 0.1."""
    ticks = problem.present_one(example_weights(), problem.Kind(), 1, 0.1, 0.1)
    assert ticks[0] == (["cell 5", "1"], 0, 0, 0)
    # cell 5 and the 1 bring 0.4 to out 0 and 0.6 to out 1, which pays 0.06 and is given 0.06
    assert ticks[1][0] == ["cell 4", "1", "out 1"]
    assert ticks[1][1:] == pytest.approx((0.06, 0, 0.06))
    # cell 4, the 1 and out 1 bring 0.3 + 0.2 + 0.3 = 0.8; what out 1's connection pays, 0.03,
    # goes back to cell 5 and the 1
    assert ticks[2][1:] == pytest.approx((0.08, 0.03, 0.08))


def test_readme_shows_the_worked_example_as_it_runs():
    text = (ROOT / "nbb-moving-light" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(cell \d|1|out \d)` \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    assert {name: (float(a), float(b)) for name, a, b in rows} == EXAMPLE
    ticks = problem.present_one(example_weights(), problem.Kind(), 1, 0.1, 0.1)
    for t, (on, *moved) in enumerate(ticks, 1):
        units = ", ".join(f"`{name}`" for name in on)
        assert f"| {t} | {units} | " + " | ".join(f"{x:.3f}" for x in moved) + " |" in text


@pytest.mark.parametrize("cells", [3, 4, 5, 8])
def test_only_with_three_cells_is_memory_needed_to_answer(cells):
    """Every way in which a net without recurrence can answer each cell, tried on both paths."""
    solutions = 0
    for answers in itertools.product((0, 1), repeat=cells):
        w = np.zeros((cells + 3, 2, 1))
        w[range(cells), answers, 0] = 1
        solutions += problem.solved(w).all()
    assert solutions == (0 if cells == 3 else 2 ** (cells - 2))


def test_a_cut_net_has_no_recurrent_connection():
    w = few_nets(problem.MAIN).weights
    cut = problem.without_recurrence(w)
    assert (cut[:-2] == w[:-2]).all() and (cut[-2:] == 0).all() and (w[-2:] > 0).all()
    assert (few_nets("no_recurrence").weights[-2:] == 0).all()


def test_a_table_is_right_once_it_has_seen_either_direction():
    """Its first guess is output 0 everywhere, so that only RL has to be learnt, in one step."""
    config = problem.Config(nets=200, presentations=100)
    reached = problem.learn_table(np.random.default_rng(0), config)
    assert reached.mean() == pytest.approx(2, abs=0.3), "a geometric waiting time"
    three = problem.Config(nets=20, presentations=500, cells=3)
    assert not problem.learn_table(np.random.default_rng(0), three).any()


def test_a_kind_does_not_depend_on_the_others():
    every = problem.run(problem.Config(nets=3, presentations=60))
    main = problem.run(problem.Config(nets=3, presentations=60, kinds="main"))
    np.testing.assert_array_equal(every.weights, main.weights)
    assert len(problem.CHOICES["all"]) == 6 and every.reached["pairs"].shape == (3, 2)


def test_streaks_are_dated_at_their_opening():
    reached, streak = np.zeros((1, 2), int), np.zeros(1, int)
    for count, good in enumerate([0, 1, 0, 1, 1, 0] + [1] * 60, 1):
        streak = streak * good + good
        problem.note_streaks(reached, streak, count, problem.WINDOWS)
    assert reached.tolist() == [[2, 7]]


def test_means_are_over_those_that_succeed_and_uptime_is_after_the_first_fifty():
    config = problem.Config(nets=3, presentations=100, kinds="main")
    reached, kept = np.array([[10, 30], [20, 0], [0, 0]]), np.array([20, 0, 0])
    metrics = problem.measure({problem.MAIN: reached}, {problem.MAIN: kept}, config)
    assert (metrics["found_nets"], metrics["stable50_nets"]) == (2, 1)
    assert (metrics["found_mean"], metrics["stable50_mean"]) == (15, 30)
    assert metrics["cycles_per_sequence"] == 15
    assert metrics["uptime"] == pytest.approx(20 / 21), "tests 80 to 100 come after tests 30 to 79"
    none = problem.measure({problem.MAIN: np.zeros((3, 2), int)}, {problem.MAIN: kept}, config)
    assert none["stable50_mean"] is None and none["uptime"] is None


def test_weights_that_overflow_end_the_run():
    config = problem.Config(nets=2, presentations=2000, lam=0, eta=0.5, kinds="main")
    with pytest.raises(FloatingPointError, match="eta"):
        problem.run(config)


def test_quick_run_solves_the_task_and_its_control_does_not():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["stable50_nets"] >= 0.8 * metrics["nets"]
    assert metrics["no_recurrence_stable50_nets"] == 0
    assert metrics["right_without_recurrence"] == 0
