"""Pole balancing: the step's derivative, the joint gradient, plain form = fast form, memory."""

import numpy as np
import pytest

from catalog import ROOT
from tests.contract import load_script

problem = load_script("pole-balance-non-markov")


def central(function, x, step=1e-6):
    """Central differences of a scalar function of the array x."""
    grad = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[i] = step
        grad[i] = (function(x + shift) - function(x - shift)) / (2 * step)
    return grad


def test_the_derivative_of_a_step_agrees_with_differences():
    rng = np.random.default_rng(0)
    state, later = rng.normal(size=(2, 20, 4))
    force = rng.normal(0, 10, 20)

    def along(state, force):
        return (later * problem.cart_pole_step(state, force)).sum()

    d_state, d_force = problem.cart_pole_back(state, force, later)
    np.testing.assert_allclose(d_state, central(lambda s: along(s, force), state), atol=1e-8)
    np.testing.assert_allclose(d_force, central(lambda f: along(state, f), force), atol=1e-8)


def test_gradients_agree_with_differences():
    assert problem.gradient_check() < 1e-5


@pytest.fixture(scope="module")
def small():
    """A learner whose model has learnt little, in double precision."""
    config = problem.Config(
        trials=120, controllers=2, controller_units=3, model_units=4, stretches=3
    )
    learner = problem.Learner(config)
    learner.rows = learner.log.draw_warm(learner.draws, 3)
    for net in (learner.model.net, learner.controllers):
        net.update({name: w.astype(float) for name, w in net.items()})
    return learner


def test_the_plain_form_imagines_the_same(small):
    log, rows, model = small.log, small.rows, small.model
    _, _, cost, alive = problem.imagine(small.controllers, model, log, rows, 60)
    for k in range(4):
        one = {name: w[k] for name, w in small.controllers.items()}
        for b in range(3):
            p, u = problem.seen(log.states[rows[:, b]]), log.actions[rows[:-1, b]]
            plain = problem.imagine_one(one, model.net, model.scale, p, u, 60)
            assert plain == pytest.approx(cost[:, k, b].sum(), rel=1e-9)
    assert 0 < alive.mean() < 1, "some must be lost on the way, some not at once"


def test_lost_steps_keep_costing(small):
    _, _, cost, alive = problem.imagine(small.controllers, small.model, small.log, small.rows, 200)
    assert (cost[~alive] == problem.LOST_COST).all() and not alive[-1].all()
    assert (np.diff(alive.astype(int), axis=0) <= 0).all(), "nothing comes back"


def test_an_action_reaches_the_positions_two_steps_later(small):
    """So a gradient that is cut after every step of the true equations is 0."""
    teacher = problem.TrueModel()
    z, u, _, alive = problem.imagine(small.controllers, teacher, small.log, small.rows, 20)
    for reach, moves in ((1, False), (2, True)):
        grads = problem.controller_gradient(
            small.controllers, teacher, z, u, alive.astype(float), reach
        )
        assert bool(np.abs(grads["output"]).max() > 0) == moves


def test_trials_end_where_the_simulator_step_by_step_says():
    """The pushed pole falls; all trials at once do what one trial does in a plain loop."""
    starts = problem.draw_starts(np.random.default_rng(1), 6)
    states, actions, lengths = problem.make_trials(lambda p: 5 * p[..., 1], starts, 300, 10)
    assert lengths.min() < lengths.max()
    for trial, state in enumerate(starts):
        steps = 0
        while not problem.cart_pole_failed(state) and steps < 300:
            force = 10 * np.clip(5 * state[2] / problem.FALL, -1, 1)
            state = problem.cart_pole_step(state, force)
            steps += 1
            np.testing.assert_allclose(state, states[steps, trial], atol=1e-12)
        assert steps == lengths[trial]
        after = states[steps + problem.AFTERMATH :, trial]
        assert steps == 300 or (after == after[0]).all(), "it stands still at last"


def test_the_log_cuts_trials_where_they_end():
    log, rng = problem.Log(), np.random.default_rng(0)
    policy = problem.RandomPolicy(rng, 30)
    states, actions, lengths = problem.make_trials(policy, problem.draw_starts(rng, 30), 100, 10)
    log.add(states, actions, lengths)
    rows, inside = log.draw(rng, 500, 40)
    later = problem.cart_pole_step(log.states[rows[:-1]], problem.FORCE * log.actions[rows[:-1]])
    np.testing.assert_allclose(later[inside], log.states[rows[1:]][inside])
    assert inside[0].all() and not inside.all()
    warm = log.draw_warm(rng, 500)
    assert (np.diff(warm, axis=0) == 1).all()
    same_trial = np.searchsorted(log.last, warm[0]) == np.searchsorted(log.last, warm[-1])
    assert same_trial.all()
    assert np.abs(problem.seen(log.states[warm[-1]])).max() < problem.WARM_LIMIT


def test_only_controllers_with_memory_answer_to_the_past(small):
    """The same position after different pasts: without memory the answer is the same."""
    policy = problem.Acting(small.controllers, 2)
    for past in np.random.default_rng(0).normal(size=(5, 2)):
        policy(np.broadcast_to(past[:, None], (4, 2, 2)))
    u = policy(np.full((4, 2, 2), 0.1))
    apart = np.abs(u[:, 0] - u[:, 1])
    assert (apart[:2] > 1e-6).all() and (apart[2:] == 0).all()


def test_memory_stays_out_after_updates():
    config = problem.Config(**{**problem.QUICK, "trials": 120})
    learner = problem.Learner(config)
    before = learner.controllers["state"].copy()
    learner.improve(20)
    assert (learner.controllers["state"][2:, problem.C_INPUTS :] == 0).all()
    assert (learner.controllers["state"] != before).any((1, 2)).all(), "all must learn"


def test_settling_tells_damping_from_swinging():
    """Linear feedback by hand: with the change of p since the last step it damps, without not."""

    def feedback(gain):
        """Weights of one controller: two states hold p, so small that tanh stays linear."""
        state, output = np.zeros((1, 5, 2)), np.zeros((1, 3, 1))
        state[0, :2] = 1e-3 * np.eye(2)
        output[0, 1:, 0] = 1e3 * np.array(gain)
        return {"state": state, "output": output}

    def delayed(p_gain, d_gain):
        """The same with two more states, which hold the p of a step before."""
        state, output = np.zeros((1, 7, 4)), np.zeros((1, 5, 1))
        state[0, :2, :2], state[0, 3:5, 2:] = 1e-3 * np.eye(2), np.eye(2)
        output[0, 1:3, 0] = 1e3 * (np.array(p_gain) + d_gain)
        output[0, 3:, 0] = -1e3 * np.array(d_gain)
        return {"state": state, "output": output}

    def twice(one):
        return {name: np.repeat(w, 2, 0) for name, w in one.items()}

    damped = twice(delayed((0.3, 2.0), (20.0, 30.0)))
    assert problem.settling(damped, np.random.default_rng(0)).max() < 0.3
    swinging = twice(feedback((0.0, 2.0)))
    assert problem.settling(swinging, np.random.default_rng(0)).min() > 0.8


def test_the_small_instance_learns_to_balance():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert 20 < metrics["random_length"] < 30
    assert metrics["median"] > 10 * metrics["random_length"]
    assert metrics["median"] > metrics["memoryless_median"]


def test_readme_shows_the_worked_example_as_it_runs():
    text = (ROOT / "pole-balance-non-markov" / "README.md").read_text(encoding="utf-8")
    starts = np.array([[0, 0, 0.05, 0.6], [0, 0, 0.05, -0.6]])
    states = problem.make_trials(lambda p: 0 * p[..., 0], starts, 3)[0]
    for step, (falling, back) in enumerate(problem.seen(states)[..., 1]):
        assert f"| {step} | 0, {falling:.3f} | 0, {back:.3f} |" in text
    for u, wanted in ((1, "13, 9"), (-1, "6, 11")):
        lengths = problem.make_trials(lambda p, u=u: 0 * p[..., 0] + u, starts, 100)[2]
        assert ", ".join(map(str, lengths)) == wanted
