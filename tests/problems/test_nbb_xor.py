"""The neural bucket brigade: plain loops against the fast form, its ledger, its worked example."""

import re

import numpy as np
import pytest

from catalog import ROOT
from tests.contract import load_script

problem = load_script("nbb-xor")
LAM = ETA = 0.005
EXAMPLE = {  # the weights of the worked example: rows of sources, columns of targets
    "x1": (0.5, 0.3, 0.2, 0, 0.2, 0.3),
    "x2": (0.3, 0.5, 0.2, 0, 0.2, 0.2),
    "1": (0.4, 0.3, 0.5, 0, 0.2, 0.2),
    "h1": (0, 0, 0, 0, 0.1, 0.4),
    "h2": (0, 0, 0, 0, 0.3, 0.3),
    "h3": (0, 0, 0, 0, 0.4, 0.2),
    "h4": (0, 0, 0, 0, 0, 0),
}


def few_nets(names, count=5, seed=3):
    return problem.build(np.random.default_rng(seed), names, count, np.float64)


def example_weights():
    return [list(map(float, row)) for row in EXAMPLE.values()]


@pytest.mark.parametrize("name", problem.KINDS)
def test_many_nets_do_what_one_net_does(name):
    nets = few_nets([name])
    plain = [nets.weights[..., n].tolist() for n in range(5)]
    start = nets.weights.copy()
    rng = np.random.default_rng(1)
    for _ in range(30):
        pattern = rng.integers(4, size=5)
        problem.present(nets, pattern, LAM, ETA)
        for n in range(5):
            problem.present_one(plain[n], problem.KINDS[name], pattern[n], LAM, ETA)
    np.testing.assert_allclose(nets.weights, np.moveaxis(plain, 0, -1), rtol=1e-12)
    assert not np.allclose(nets.weights, start, rtol=1e-3), "something must have moved"


def test_one_net_learns_as_in_the_batch():
    """Weights and tests are the same after every presentation until the net is stable."""
    seed, last = 111, 0  # this one is soon stable
    nets = problem.build(np.random.default_rng(seed), ["three_hidden"], 1, np.float64)
    lesson = problem.learn_one(np.random.default_rng(seed))
    for count, (pattern, w, right, streak) in enumerate(lesson, 1):  # noqa: B007
        problem.present(nets, np.array([pattern]), LAM, ETA)
        assert nets.weights[..., 0] == pytest.approx(w, rel=1e-9, abs=0)
        assert problem.solved(nets)[:, 0].tolist() == right
        assert streak == (last + 1 if all(right) else 0)
        last = streak
    assert streak == 20 and count < 900


@pytest.mark.parametrize("name", ["three_hidden", "two_pairs", "no_redistribution", "no_reward"])
def test_substance_ledger(name):
    """All weights of a net together gain what is rewarded less what is paid and not passed on."""
    nets, kind = few_nets([name]), problem.KINDS[name]
    rng = np.random.default_rng(2)
    for _ in range(20):
        pattern = rng.integers(4, size=5)
        before = nets.weights.copy()
        problem.present(nets, pattern, LAM, ETA)
        for n in range(5):
            ticks = problem.present_one(before[..., n].tolist(), kind, pattern[n], LAM, ETA)
            paid, passed, rewarded = np.array([tick[1:] for tick in ticks]).sum(0)
            gained = nets.weights[..., n].sum() - before[..., n].sum()
            assert gained == pytest.approx(rewarded - (paid - passed), abs=1e-12)
            assert paid > 0 and (passed > 0) == kind.redistribution
            assert (rewarded == 0) if not kind.reward else (rewarded >= 0)


@pytest.mark.parametrize("name", problem.KINDS)
def test_frozen_test_is_what_six_ticks_would_show(name):
    nets = few_nets([name], count=30)
    nets.weights *= np.random.default_rng(5).uniform(0.9, 1.1, nets.weights.shape)
    fast = problem.solved(nets)
    for n in range(30):
        w = nets.weights[..., n].tolist()
        plain = [problem.right_one(w, problem.KINDS[name], pattern) for pattern in range(4)]
        assert plain == fast[:, n].tolist()


@pytest.mark.parametrize("name", problem.KINDS)
def test_only_ratios_of_weights_matter(name):
    """Every term of the rule is linear in the weights: doubling them all doubles every change."""
    once, twice = few_nets([name]), few_nets([name])
    twice.weights *= 2
    rng = np.random.default_rng(4)
    for _ in range(50):
        pattern = rng.integers(4, size=5)
        problem.present(once, pattern, LAM, ETA)
        problem.present(twice, pattern, LAM, ETA)
    np.testing.assert_array_equal(twice.weights, 2 * once.weights)
    np.testing.assert_array_equal(problem.solved(twice), problem.solved(once))


def test_first_ticks_by_hand():
    """The worked example's ticks 2 and 3, computed with pencil and paper: lam = eta = 0.1."""
    w = example_weights()
    ticks = problem.present_one(w, problem.Kind(), 2, 0.1, 0.1)
    assert ticks[0] == (["x1", "1"], 0, 0, 0)
    # h1 gets 0.5 + 0.4, out 1 gets 0.3 + 0.2; both win and pay a tenth, out 1 is rewarded
    assert ticks[1][0] == ["x1", "1", "h1", "out 1"]
    assert ticks[1][1:] == pytest.approx((0.09 + 0.05, 0, 0.05))
    # h1 now gets 0.81, out 1 gets 0.5 + 0.4, of which 0.04 goes back to x1 -> h1 and 1 -> h1
    assert ticks[2][1:] == pytest.approx((0.081 + 0.09, 0.04, 0.09))


def test_readme_shows_the_worked_example_as_it_runs():
    text = (ROOT / "nbb-xor" / "README.md").read_text(encoding="utf-8")
    weights = re.findall(r"^\| `(x1|x2|1|h1|h2|h3)` \| ([^`\n]+) \|$", text, re.MULTILINE)
    assert len(weights) == 6
    for name, row in weights:
        row = [float(x) if x.strip() else 0.0 for x in row.split("|")]
        assert row == [*EXAMPLE[name][:3], *EXAMPLE[name][4:]], name
    ticks = problem.present_one(example_weights(), problem.Kind(), 2, 0.1, 0.1)
    for t, (on, *moved) in enumerate(ticks, 1):
        units = ", ".join(f"`{name}`" for name in on)
        assert f"| {t} | {units} | " + " | ".join(f"{x:.3f}" for x in moved) + " |" in text


def test_without_hidden_units_no_weights_solve_xor():
    nets = few_nets(["no_hidden"], count=20_000)
    nets.weights *= np.random.default_rng(0).uniform(0, 1, nets.weights.shape)
    assert not problem.solved(nets).all(0).any()
    assert problem.solved(nets).sum(0).max() == 3, "three of four patterns are possible"


def test_the_headline_net_has_21_weights():
    nets = few_nets(["three_hidden"])
    assert (nets.weights[..., 0] > 0).sum() == 21
    assert (np.abs(nets.weights[nets.weights > 0] - 1) <= 0.001).all()


def test_streaks_are_dated_at_their_opening():
    reached, number = np.zeros((1, 3), int), np.array([0])
    right = [0, 1, 0, 1, 1, 0] + [1] * 25
    streak = 0
    for count, good in enumerate(right, 1):
        streak = streak + 1 if good else 0
        problem.note_streaks(reached, number, np.array([streak]), count)
    assert reached.tolist() == [[2, 4, 7]]


def test_a_mean_over_no_net_is_none_and_unfinished_nets_count_in_full():
    reached = {"three_hidden": np.array([[10, 30, 0], [20, 0, 0]])}
    metrics = problem.measure(reached, problem.Config(nets=2, presentations=100, kinds="main"))
    assert (metrics["found_nets"], metrics["stable20_nets"]) == (2, 0)
    assert (metrics["found_mean"], metrics["stable2_mean"]) == (15, 65)
    assert metrics["stable20_mean"] is None


def test_weights_that_overflow_end_the_run():
    config = problem.Config(nets=2, presentations=2000, eta=0.05, kinds="main")
    with pytest.raises(FloatingPointError, match="eta"):
        problem.run(config)


def test_quick_run_solves_xor_and_its_control_does_not():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["stable20_nets"] == metrics["nets"]
    assert metrics["found_mean"] < 800
    assert metrics["no_reward_stable20_nets"] == 0
