"""The critic of four pains: gradients, plain form = fast form, what TD must come to, controls."""

import numpy as np
import pytest

from catalog import ROOT
from tests.contract import load_script

problem = load_script("pole-balance-markov-vac")


def one_of(weights, net):
    return {name: w[net].copy() for name, w in weights.items()}


def test_gradients_agree_with_differences():
    assert problem.gradient_check() < 1e-5


@pytest.mark.parametrize("inputs", ["symmetric", "asymmetric"])
def test_the_plain_form_learns_the_same(inputs):
    config = problem.Config(nets=4, conditions="vector", frozen=5, caution=100, inputs=inputs)
    learners = problem.make_learners(config, np.random.default_rng(0))
    starts = [one_of(learners.weights, net) for net in range(4)]
    coins, lives = np.random.default_rng(1).random((600, 4)), [[], [], [], []]
    for step in coins:
        failed = np.flatnonzero(learners.step(step).any(1))
        for net in failed:
            lives[net].append(learners.age[net])
        learners.restart(failed)
    for net, weights in enumerate(starts):
        before = one_of(learners.weights, net)["C"] - weights["C"]
        assert problem.balance_one(weights, coins[:, net], config) == lives[net]
        assert len(lives[net]) > config.frozen and np.abs(before).max() > 1e-3
        for name, w in weights.items():
            np.testing.assert_allclose(w, learners.weights[name][net], rtol=1e-9, atol=1e-12)


def test_the_critic_comes_to_the_discounted_pain_of_a_known_future():
    """Always pushed to the right, the pole falls to the left after the same d steps: the critic
    must say gamma^(d-1) at the start, and 0 for the three other pains."""
    config = problem.Config(nets=1, frozen=10_000, scalar_frozen=10_000)
    learners = problem.make_learners(config, np.random.default_rng(0))
    learners.action[:] = True
    for _ in range(3000):
        pain = learners.step(np.full(4, -1.0))
        failed = np.flatnonzero(pain.any(1))
        if len(failed):
            steps, ended = learners.age[0], pain[0]
        learners.restart(failed)
    assert ended.tolist() == [False, False, True, False]
    x = np.append(problem.seen(problem.START), 1.0)[None, None].repeat(4, 0)
    q = problem.critic_forward(learners.weights, learners.rows["hidden"], x)[1][:, 0]
    wanted = problem.GAMMAS[0] ** (steps - 1)
    assert q[0, 2] == pytest.approx(wanted, abs=0.03), "vector critic, its third pain"
    assert q[1, 0] == pytest.approx(wanted, abs=0.03), "scalar critic, its only one"
    assert q[0, [0, 1, 3]].max() < 0.1


def effects(result, config, condition):
    """D (nets, 500) of a condition's nets in random states."""
    vector, hidden = problem.CONDITIONS[condition][0] == 4, problem.CONDITIONS[condition][1]
    place = list(problem.CONDITIONS).index(condition) * config.nets
    weights = {name: w[place : place + config.nets] for name, w in result.weights.items()}
    z = problem.seen(np.random.default_rng(2).uniform(-1, 1, (500, 4)) * problem.UNIT)
    pair = np.stack([np.column_stack([z, np.full(500, a)]) for a in (0, 1)])
    on = np.full(config.nets, hidden)
    left, right = (
        problem.critic_forward(weights, on, np.repeat(x[None], config.nets, 0))[1] for x in pair
    )
    return (right - left)[..., : 4 if vector else 1].sum(-1)


def test_only_a_flat_scalar_critic_prefers_one_push_everywhere():
    config = problem.Config(nets=4, frozen=30, steps=1500)
    result = problem.run(config)
    flat = np.sign(effects(result, config, "flat_scalar"))
    assert (flat == flat[:, :1]).all()
    for other in ("vector", "flat_vector"):
        assert (np.ptp(np.sign(effects(result, config, other)), axis=1) == 2).all(), other
    place = list(problem.CONDITIONS).index("flat_scalar") * config.nets
    assert (result.weights["V"][place:, 6:] == 0).all(), "hidden units must stay without effect"


def test_a_frozen_actor_does_not_move_and_a_cautious_one_stays_near_even_odds():
    config = problem.Config(nets=6, conditions="vector", frozen=40, caution=10_000)
    learners = problem.make_learners(config, np.random.default_rng(3))
    start, rng, reach = learners.weights["C"].copy(), np.random.default_rng(4), []
    for _ in range(2200):
        young = learners.failures < config.frozen
        failed = np.flatnonzero(learners.step(rng.random(6)).any(1))
        assert (learners.weights["C"][young] == start[young]).all()
        learners.restart(failed)
        _, net = problem.actor_forward(learners.weights, problem.seen(learners.state))
        reach.append(np.abs(net))
    assert not (learners.weights["C"] == start).any(1).all(), "later it does"
    assert np.quantile(reach, 0.95) < 2 * problem.HELD < problem.BOUND


def test_a_net_that_fell_into_a_constant_push_is_drawn_back():
    config = problem.Config(nets=6, conditions="vector", frozen=0)
    learners = problem.make_learners(config, np.random.default_rng(3))
    learners.weights["C"][:, 4] = 8.0  # the constant input pushes to the right
    rng, lives = np.random.default_rng(4), []
    for _ in range(2000):
        failed = np.flatnonzero(learners.step(rng.random(6)).any(1))
        lives.extend(learners.age[failed])
        learners.restart(failed)
    assert np.mean(lives[:6]) < 14 and np.mean(lives[-60:]) > 15


def test_counting():
    assert problem.failures_before([20, 1000, 30], 5, 999) == 1
    assert problem.failures_before([20, 999, 30], 1000, 999) == 3, "the trial still going on"
    assert problem.failures_before([20, 999], 7, 999) is None


def test_pains_and_inputs():
    states = np.array([[-2.5, 0, 0, 0], [2.5, 0, 0, 0], [0, 0, -0.3, 0], [0, 9, 0.3, 0]])
    assert (problem.pains(states) == np.eye(4, dtype=bool)).all()
    assert not problem.pains(np.zeros((1, 4))).any()
    assert (problem.seen(-problem.UNIT) == [-1, -1, -1, -1, 1]).all()
    assert (problem.seen(-problem.UNIT, "asymmetric") == [0, 0, 0, 0, 1]).all()


def test_the_area_is_high_for_a_critic_that_knows_and_half_for_one_that_does_not():
    """Always pushed to the right; the outputs read the angle and the speed in the right sense, in
    the wrong one, or not at all."""
    config = problem.Config()
    areas = []
    for sense in (1, -1, 0):
        v = np.zeros((1, 16, 4))
        v[0, :4] = sense * np.array([[-3, 3, 0, 0], [-3, 3, 0, 0], [0, 0, -3, 3], [0, 0, -3, 3]])
        weights = {"B": np.zeros((1, 5, 3)), "C": np.array([[0, 0, 0, 0, 9.0, 0, 0, 0]])}
        weights |= {"W": np.zeros((1, 6, 10)), "V": v}
        areas.append(problem.component_auc(weights, config, np.random.default_rng(0)))
    knows, wrong, blind = areas
    assert knows > 0.8 and wrong == pytest.approx(1 - knows) and blind == 0


def test_tests_follow_the_simulator():
    """A net that always pushes to the right: its trials last as long as a plain loop says."""
    weights = {"B": np.zeros((1, 5, 3)), "C": np.array([[0, 0, 0, 0, 9.0, 0, 0, 0]])}
    starts = np.random.default_rng(6).uniform(-1, 1, (1, 5, 4)) * problem.UNIT / 3
    lives, first, ended = problem.make_trials(weights, starts, 1000, problem.Config())
    assert first.all() and (ended.sum(-1) == 1).all()
    for state, life in zip(starts[0], lives[0], strict=True):
        steps = 0
        while not problem.cart_pole_failed(state):
            state, steps = problem.cart_pole_step(state, problem.FORCE), steps + 1
        assert steps == life
    assert (problem.make_trials(weights, starts, 3, problem.Config())[0] == 3).all()


def test_nets_do_not_depend_on_which_others_learn():
    config = dict(nets=3, steps=800, failures=20)
    every = problem.run(problem.Config(**config))
    alone = problem.run(problem.Config(**config, conditions="vector"))
    assert every.lives[:3] == alone.lives and every.kinds[:3] == alone.kinds
    assert [len(x) for x in every.lives] == [len(x) for x in every.kinds]
    assert (every.weights["W"][:3] == alone.weights["W"]).all()


def test_the_small_instance_learns_to_balance():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["life"] > 60 > 40 > metrics["flat_scalar_life"]


def test_readme_shows_the_worked_example_as_it_runs():
    text = (ROOT / "pole-balance-markov-vac" / "README.md").read_text(encoding="utf-8")
    state, steps = problem.START, 0
    while True:
        ended = problem.pains(state)
        pain = "3: fallen to the left " if ended[2] else ""
        if steps % 2 == 0 or ended.any():
            assert f"| {steps} | {state[0]:.3f} | {state[2] + 0:.3f} | {pain}|" in text
        if ended.any():
            break
        state, steps = problem.cart_pole_step(state, problem.FORCE), steps + 1
    first = problem.GAMMAS[0] ** (steps - 1)
    assert f"$0.97^{steps - 1} = {first:.3f}$ at step 0" in text
