"""Adaptive curiosity: plain loops against the fast form, exact expectations, sums of rewards."""

import re

import numpy as np
import pytest

from catalog import ROOT
from tests.contract import load_script

problem = load_script("curiosity-three-regions")
bandit = load_script("curiosity-three-regions", "curiosity_three_regions_v1")


@pytest.mark.parametrize("world", ["T", "rare"])
@pytest.mark.parametrize("drive", problem.DRIVES)
def test_many_lives_do_what_one_life_does(world, drive):
    count, steps = 3, 250
    config = problem.Config(model_rate=0.1, confidence_rate=0.2, explore=0.3)
    lives = problem.build(np.random.default_rng(1), [(problem.WORLDS[world], drive)], count, config)
    luck = problem.draw_luck(np.random.default_rng(2), steps, lives.explore)
    plain = []
    for n in range(count):
        region, answer = lives.region.reshape(count, -1)[n], lives.answer.reshape(count, -1)[n]
        own = zip(*(part[:, n] for part in luck), strict=True)
        plain.append(problem.live(region, answer, drive, lives.state[n], own, config))
    for now in zip(*luck, strict=True):
        before = lives.state.copy()
        where, _ = problem.step(lives, problem.CELLS * np.arange(count), *now)
        for n in range(count):
            s, a, _, error = next(plain[n])
            assert (s, problem.NEXT[s, a]) == (before[n], lives.state[n])
            assert lives.region[n * problem.CELLS + s] == where[n]
            assert error == pytest.approx(lives.error[n], rel=1e-9)
    for n in range(count):
        with pytest.raises(StopIteration) as end:
            next(plain[n])
        for table, flat in zip(end.value.value, (lives.M, lives.confidence, lives.Q), strict=True):
            np.testing.assert_allclose(
                flat.reshape(count, -1)[n], table.reshape(-1), rtol=1e-9, atol=1e-14
            )


def test_drives_differ_and_curiosity_moves_the_tables():
    config = problem.Config(model_rate=0.1)
    ends = []
    for drive in problem.DRIVES:
        lives = problem.build(np.random.default_rng(1), [(problem.WORLDS["T"], drive)], 2, config)
        luck = problem.draw_luck(np.random.default_rng(2), 400, lives.explore)
        for now in zip(*luck, strict=True):
            problem.step(lives, problem.CELLS * np.arange(2), *now)
        ends.append(lives.Q)
    for k, first in enumerate(ends):
        assert np.abs(first).max() > 0
        assert all(not np.allclose(first, other) for other in ends[:k])


def test_signed_rewards_of_a_pair_add_up_to_what_confidence_lost():
    """The sum over the visits of a pair is 1 - C(s, a): 1 where all is known, about 0 on coins,
    where M wanders about 0 with variance aM / (2 - aM)."""
    config = problem.Config(model_rate=0.2, confidence_rate=0.2)
    region = problem.regions(problem.WORLDS["T"])
    rng = np.random.default_rng(0)
    answer = problem.answers(rng, region)
    luck = problem.draw_luck(rng, 30_000, np.ones(1))
    life = problem.live(region, answer, "curious", 0, zip(*(x[:, 0] for x in luck)), config)  # noqa: B905
    paid = np.zeros((problem.CELLS, problem.MOVES))
    while True:
        try:
            s, a, reward, _ = next(life)
        except StopIteration as end:
            confidence = end.value[1]
            break
        paid[s, a] += reward
    np.testing.assert_allclose(paid, 1 - confidence, atol=1e-12)
    assert np.abs(paid[region != problem.B] - 1).max() < 0.01
    assert paid[region == problem.B].mean() == pytest.approx(-0.2 / 1.8, abs=0.05)


def test_random_moves_learn_as_a_markov_chain_says():
    """With q = (1 - aM)^2, a pair's expected error from each cell is q^visits, by the recursion
    f(s) = mean over a of f(next(s, a)), times q for the pair itself."""
    count, steps, rate = 300, 2000, 0.1
    config = problem.Config(model_rate=rate)
    groups = [(problem.WORLDS["rare"], "random")]
    lives = problem.build(np.random.default_rng(3), groups, count, config)
    start, rng = lives.error.copy(), np.random.default_rng(4)
    for _ in range(steps // 500):
        for now in zip(*problem.draw_luck(rng, 500, lives.explore), strict=True):
            problem.step(lives, problem.CELLS * np.arange(count), *now)
    pairs = np.flatnonzero(np.repeat(problem.regions(problem.WORLDS["rare"]) == problem.C, 4))
    weights = np.ones((len(pairs), problem.PAIRS))
    weights[np.arange(len(pairs)), pairs] = (1 - rate) ** 2
    weights = weights.reshape(-1, problem.CELLS, problem.MOVES)
    expected = np.ones((len(pairs), problem.CELLS))
    for _ in range(steps):
        expected = (weights * expected[:, problem.NEXT]).mean(2)
    assert (lives.error / start).mean() == pytest.approx(expected.mean(), rel=0.05)


@pytest.mark.parametrize("rate", [0.01, 0.02, 0.1, 0.5, 1])
def test_visits_needed(rate):
    error, visits = 1.0, 0
    while error >= problem.REMAINS:
        error, visits = error * (1 - rate) ** 2, visits + 1
    assert problem.visits_needed(rate) == visits


def test_worlds_have_the_regions_that_the_text_says():
    counts = {name: np.bincount(problem.regions(w), minlength=3) for name, w in
              problem.WORLDS.items()}  # fmt: skip
    assert {name: count.tolist() for name, count in counts.items()} == {
        "P": [0, 90, 10],
        "rare": [0, 95, 5],
        "T": [40, 50, 10],
    }
    assert problem.regions(problem.WORLDS["rare"]).reshape(10, 10)[:5, 9].tolist() == [2] * 5


def test_moves_end_beside_or_at_the_wall():
    assert problem.NEXT[0].tolist() == [0, 10, 0, 1]
    assert problem.NEXT[99].tolist() == [89, 99, 98, 99]
    assert problem.NEXT[55].tolist() == [45, 65, 54, 56]
    arrivals = np.bincount(problem.NEXT.reshape(-1), minlength=problem.CELLS)
    assert (arrivals == problem.MOVES).all(), "random moves visit all cells equally often"


def test_the_rule_needs_little_more_than_the_visits_that_all_need():
    config = problem.Config(model_rate=0.05)
    rng, region = np.random.default_rng(5), problem.regions(problem.WORLDS["P"])
    answer = problem.answers(rng, region)
    t10 = problem.live_by_rule(rng, region, answer, config)
    ideal = 40 * problem.visits_needed(0.05)
    assert ideal <= t10 < ideal + 5 * problem.PAIRS
    few = problem.Config(steps=100)
    assert problem.live_by_rule(rng, region, answer, few) == 0


def test_the_rule_walks_to_the_nearest_cell():
    assert problem.move_towards(55, np.array([5, 53])) == 2
    assert problem.move_towards(55, np.array([99])) == 1
    for s in range(problem.CELLS):
        steps, here = 0, s
        while here != 37:
            here, steps = problem.NEXT[here, problem.move_towards(here, np.array([37]))], steps + 1
        assert steps == abs(s // 10 - 3) + abs(s % 10 - 7)


def test_lives_that_never_arrive_count_in_full():
    config = problem.Config(lives=2, steps=100, worlds="P", drives="main")
    groups = [("P", "curious"), ("P", "random")]
    early = np.full((2, 2, 3), [0, 30, 10])
    late = np.full((2, 2, 3), [0, 30, 3])
    metrics = problem.measure(groups, np.array([[20, 0], [90, 0]]), early, late, config)
    assert (metrics["P_curious_reached"], metrics["P_curious_t10"]) == (1, 60)
    assert metrics["P_curious_speedup"] == pytest.approx(95 / 60)
    assert metrics["P_curious_density"] == pytest.approx(3)
    assert metrics["P_curious_boredom"] == pytest.approx(10 / 40 - 3 / 33)
    never = problem.measure(groups, np.zeros((2, 2), int), early, late, config)
    assert never["P_curious_t10"] is None and never["P_curious_speedup"] is None


def test_readme_shows_the_worked_example_as_it_runs():
    """Four visits to a pair of C and to one of B, with both rates one half."""
    text = (ROOT / "curiosity-three-regions" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| ([+−]1) \| (.+) \| ([+−]1) \| (.+) \|$", text, re.MULTILINE)
    assert len(rows) == 4
    tables = [[0.0, 1.0], [0.0, 1.0]]  # M and C of both pairs
    for visit, known, left, coin, right in rows:
        for table, sign, shown in zip(tables, (known, coin), (left, right), strict=True):
            y, (M, C) = (1 if sign == "+1" else -1), table
            squared = (y - M) ** 2
            new = C + 0.5 * (squared - C)
            values = [float(x.replace("−", "-")) for x in shown.split(" | ")]
            assert values == pytest.approx([M, squared, new, C - new], abs=0.0051), visit
            table[:] = [M + 0.5 * (y - M), new]
        assert known == "+1"


def test_bandit_contexts_come_in_turn():
    rng = np.random.default_rng(0)
    targets = bandit.make_targets(rng)
    assert [bandit.pull(rng, targets, 0, n)[1] for n in range(6)] == [1, 0, -1, 0, 1, 0]
    assert bandit.pull(rng, targets, 2, 130) == (2, targets[2][2])
    draws = np.array([bandit.pull(rng, targets, 1, n)[1] for n in range(4000)])
    assert draws.std() == pytest.approx(0.5, abs=0.03) and targets[2].std() == pytest.approx(2, 0.3)


def test_bandit_choice_follows_the_softmax():
    rng, interest = np.random.default_rng(0), np.array([0.0, 0.02, 0.05])
    odds = np.exp(30 * interest)
    drawn = np.bincount([bandit.choose(rng, interest, 30) for _ in range(5000)], minlength=3)
    np.testing.assert_allclose(drawn / 5000, odds / odds.sum(), atol=0.025)


def test_quick_run_is_faster_than_random():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["P_curious_reached"] == metrics["lives"]
    assert metrics["P_curious_speedup"] > 1.5
    assert metrics["P_curious_density"] > 4
    assert metrics["P_curious_boredom"] > 0.15
