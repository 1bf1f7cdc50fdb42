"""Evolino: plain form against fast form, the series, least squares, breeding, the controls."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("evolino-sines-mackey-glass")


def random_nets(task, count, feedback, seed=5):
    width = problem.initial_range(task, feedback)
    return problem.random_teams(np.random.default_rng(seed), width, count)


def test_one_step_of_many_nets_is_the_plain_step():
    task = problem.sines(2)
    weights = random_nets(task, 3, 0.5)
    nets = problem.Lstms(weights)
    state = nets.start(2)
    plain = [[([0.0] * 10, [0.0] * 10) for _ in range(2)] for _ in range(3)]
    for t in range(20):
        y = np.array([np.sin(0.3 * t), np.cos(0.5 * t)])
        state = nets.step(y, state)
        for p in range(3):
            for k in range(2):
                plain[p][k] = problem.plain_step(weights[p].tolist(), y[k], *plain[p][k])
                np.testing.assert_allclose(state[0][p, :, k], plain[p][k][0], rtol=1e-11)
                np.testing.assert_allclose(state[1][p, :, k], plain[p][k][1], rtol=1e-11)
    assert np.abs(state[0]).max() > 0.05


@pytest.mark.parametrize("feedback", [0.1, 0.02])
def test_fitness_is_the_plain_fitness(feedback):
    """Moderate feedback keeps the least squares well enough conditioned to compare digits."""
    task = problem.sines(2)
    weights = random_nets(task, 2, feedback)
    fitness, outs = problem.evaluate(problem.Lstms(weights), task)
    for p in range(2):
        plain, W = problem.plain_fitness(weights[p].tolist(), task.series, 100, 300)
        assert fitness[p] == pytest.approx(plain, rel=1e-3)
        np.testing.assert_allclose(outs[p], W, rtol=1e-3, atol=1e-6 * np.abs(W).max())


def test_output_weights_are_the_pseudo_inverse():
    rng = np.random.default_rng(0)
    outputs, wanted = rng.normal(size=(30, 4, 5, 2)), rng.normal(size=(30, 2))
    outputs[:, 1, 4] = outputs[:, 1, 3]  # of less than full rank: the shortest solution counts
    W = problem.output_weights(outputs, wanted)
    for p in range(4):
        phi = outputs[:, p].transpose(0, 2, 1).reshape(60, 5)
        np.testing.assert_allclose(W[p], np.linalg.pinv(phi) @ wanted.reshape(-1), atol=1e-10)
    assert W[1, 3] == pytest.approx(W[1, 4])


def test_sines_obey_their_linear_recursion():
    """sum of K sines: the polynomial with roots exp(+-i w_k) annihilates it."""
    for count in (2, 3, 4, 5):
        w = problem.FREQUENCIES[:count]
        poly = np.poly(np.concatenate([np.exp(1j * w), np.exp(-1j * w)])).real
        series = problem.sines(count).series
        assert len(series) == 700
        assert np.abs(np.convolve(series, poly, "valid")).max() < 1e-10
        assert np.abs(np.convolve(series, poly[:-1], "valid")).max() > 0.1


def test_mackey_glass_before_the_delay_matters_is_a_closed_form():
    """Up to t = 17 the delayed term is constant: x decays exponentially to 10 times it."""
    series = problem.mackey_glass_series(18, dropped=0)
    term = 0.2 * 1.2 / (1 + 1.2**10)
    exact = 10 * term + (1.2 - 10 * term) * np.exp(-0.1 * np.arange(18))
    np.testing.assert_allclose(series, exact, rtol=1e-8)


def test_mackey_glass_does_not_depend_on_the_step():
    coarse = problem.mackey_glass_series(150, step=0.1, dropped=0)
    fine = problem.mackey_glass_series(150, step=0.05, dropped=0)
    np.testing.assert_allclose(coarse, fine, atol=2e-4)
    assert np.ptp(fine) > 0.5


def test_fitted_loops_and_tests_do_not_meet():
    task = problem.mackey_glass()
    seen = task.segments.max() + max(task.loops) + task.horizon
    assert seen < 3000 <= task.test_segments.min()
    starts = np.add.outer(task.segments, task.loops).ravel()
    assert (np.diff(np.sort(starts)) == 40).all() and len(starts) == 50
    few = problem.sines(3)
    assert few.loops[0] + few.horizon == 400 == few.test_warm_up


def test_a_loop_that_is_always_right_equals_the_teacher():
    """With W exact by construction, the closed loop follows the teacher-forced outputs."""
    task = problem.sines(2)
    weights = random_nets(task, 40, 1e-3)
    fitness, W = problem.evaluate(problem.Lstms(weights), task)
    best = fitness.argmin()
    nets = problem.Lstms(weights[[best]])
    predicted = problem.test(nets, W[[best]], task)[:, 0]
    outputs, _ = problem.teacher_forced(nets, task, task.test_segments, 700, ())
    forced = np.array([(W[best] @ h[0])[0] for h in outputs[399:]])
    np.testing.assert_allclose(predicted[:, 0], forced, atol=0.02)


def test_children_differ_from_their_parents_only_in_changed_cells():
    rng = np.random.default_rng(1)
    width = problem.initial_range(problem.sines(2), 1e-5)
    teams = problem.random_teams(rng, width, 10)
    children = problem.breed(rng, teams, width, 200)
    same = (children[:, None] == teams).all((-1, -2))  # child, team, cell
    kept = same.any(1)
    assert 0.3 < kept.mean() < 0.9
    parents = same.any(2).sum(1)
    assert parents.max() == 2 and (parents == 1).mean() > 0.3
    assert (np.abs(children - teams.mean(0))[..., 0] < 1e-2).mean() > 0.99


def test_echo_states_have_their_spectral_radius():
    nets = problem.EchoStates(np.random.default_rng(2), 1.0)
    radius = np.abs(np.linalg.eigvals(nets.inner)).max(-1)
    np.testing.assert_allclose(radius, np.repeat(nets.RADII, nets.DRAWS), rtol=1e-8)
    assert 0.08 < (nets.inner != 0).mean() < 0.12 and np.abs(nets.inward).max() > 0.99


def test_a_linear_recursion_continues_sines():
    task = problem.sines(3)
    truth = task.windows(task.test_segments, task.test_warm_up)
    assert problem.nrmse(problem.linear_recursion_test(task, 6), truth) < 1e-7
    assert problem.nrmse(problem.linear_recursion_test(task, 4), truth) > 0.1


def test_nrmse_of_the_mean_is_one():
    x = np.random.default_rng(3).normal(size=100)
    assert problem.nrmse(np.full(100, x.mean()), x) == pytest.approx(1)


def test_fitness_never_gets_worse_and_quick_run_continues_two_sines():
    result = problem.run(problem.Config(**problem.QUICK))
    assert (np.diff(result.history["sines2"]) <= 0).all()
    assert result.history["evaluations"][-1] == 400
    assert result.metrics["sines2_nrmse"] < 1e-3
    assert result.metrics["sines2_linear_nrmse"] < 1e-8


def test_an_option_without_effect_is_refused():
    with pytest.raises(ValueError, match="sines"):
        problem.Config(task="mackey-glass", sines=3)
