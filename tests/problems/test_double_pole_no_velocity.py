"""Two poles: energy, friction, arrays = floats, the three steps of breeding."""

import math

import numpy as np
import pytest

from catalog import ROOT
from tests.contract import load_script

problem = load_script("double-pole-no-velocity")
POLES = ((problem.LONG_POLE, problem.LONG), (problem.SHORT_POLE, problem.SHORT))


def energy(state):
    """Of cart and two uniform rods [J], from the speeds of their centres."""
    _, v, a, va, b, vb = state
    total = problem.CART * v**2 / 2
    for (mass, half), angle, spin in zip(POLES, (a, b), (va, vb), strict=True):
        across, up = v + half * spin * math.cos(angle), -half * spin * math.sin(angle)
        total += mass * (across**2 + up**2) / 2 + mass * half**2 / 3 * spin**2 / 2
        total += mass * 9.8 * half * math.cos(angle)
    return total


def test_energy_without_friction_and_force_stays(monkeypatch):
    monkeypatch.setattr(problem, "CART_FRICTION", 0.0)
    monkeypatch.setattr(problem, "HINGE_FRICTION", 0.0)
    state = (0.1, 0.3, 0.2, -0.5, 0.02, 0.1)
    before = energy(state)
    for _ in range(20):
        state = problem.simulate(*state, 0.0)
    assert abs(state[4]) > 0.1, "something must move"
    assert energy(state) == pytest.approx(before, rel=1e-6)


def test_the_force_does_work(monkeypatch):
    """Without friction the energy grows by force times way."""
    monkeypatch.setattr(problem, "CART_FRICTION", 0.0)
    monkeypatch.setattr(problem, "HINGE_FRICTION", 0.0)
    state = (0.0, 0.0, 0.05, 0.0, 0.0, 0.0)
    before = energy(state)
    for _ in range(10):
        state = problem.simulate(*state, 3.0)
    assert energy(state) - before == pytest.approx(3.0 * state[0], rel=1e-5)


def test_friction_brakes_and_a_tilt_grows():
    state = (0.0, 1.0, 0.01, 0.0, 0.0, 0.0)
    before = energy(state)
    for _ in range(5):
        state = problem.simulate(*state, 0.0)
    assert energy(state) < before and state[2] > 0.01


def test_one_episode_ends_at_the_limits():
    right = [0.0, 0.0, 0.0, 30.0, 0.0]
    trace = []
    t = problem.episode(right, 100, trace=trace)
    x, _, a, _, b, *_ = trace[-1]
    assert t == len(trace) < 100
    assert abs(x) > problem.TRACK or max(abs(a), abs(b)) > problem.FALL
    assert all(abs(row[0]) <= problem.TRACK for row in trace[:-1])
    assert trace[0][6] == pytest.approx(10.0)


def test_the_unit_remembers_and_the_force_has_a_least_size():
    trace = []
    problem.episode([0.0, 0.0, 0.0, -1.0, 2.0], 3, trace=trace)
    s = 0.0
    for row in trace:
        s = 1 / (1 + math.exp(1.0 - 2.0 * s))
        assert row[7] == pytest.approx(s)
    trace = []
    problem.episode([0.0, 0.0, 0.0, 1e-6, 0.0], 1, trace=trace)
    assert trace[0][6] == 10 / 256


def test_all_starts_at_once_do_what_one_episode_does():
    weights = [1.5, 9.0, -12.0, 0.1, -3.0]
    balanced = problem.balanced_starts(weights, cap=12)
    assert 0 < balanced.sum() < 625
    for place in np.ndindex(5, 5, 5, 5):
        if sum(place) % 3 == 0:
            x, v, a, va = (problem.GRID[i] * r for i, r in zip(place, problem.RANGES, strict=True))
            t = problem.episode(weights, 12, start=(x, v, a, va, 0.0, 0.0))
            assert balanced[place] == (t == 12)


def table(config):
    rng = np.random.default_rng(0)
    return rng.normal(size=(44, 5)), rng.permutation(44).astype(float)


def test_permutation_keeps_the_columns_and_mixes_the_rows():
    config = problem.Config(mutation=0.0)
    rows, fitness = table(config)
    best = rows[np.argsort(-fitness)][:30]
    bred = problem.breed(rows, fitness, config, np.random.default_rng(1))
    assert bred.shape == (44, 5)
    np.testing.assert_array_equal(np.sort(bred[:30], 0), np.sort(best, 0))
    old = {tuple(row) for row in best}
    assert sum(tuple(row) in old for row in bred[:30]) < 10
    assert all(tuple(row) in {tuple(r) for r in best[:7]} for row in bred[30:])


def test_without_permutation_only_the_parents_stay():
    config = problem.Config(permute=False, mutation=1.0)
    rows, fitness = table(config)
    best = rows[np.argsort(-fitness)][:30]
    bred = problem.breed(rows, fitness, config, np.random.default_rng(1))
    np.testing.assert_array_equal(bred[:7], best[:7])
    assert (bred[7:30] != best[7:]).all()


def test_crossover_swaps_tails():
    config = problem.Config(mutation=0.0, permute=False, crossover=True)
    rows, fitness = table(config)
    best = rows[np.argsort(-fitness)][:30]
    bred = problem.breed(rows, fitness, config, np.random.default_rng(1))
    one, two = bred[32:34]
    mixed = {tuple(np.sort(pair)) for pair in np.stack([one, two], 1)}
    assert mixed == {tuple(np.sort(pair)) for pair in best[:2].T}
    assert tuple(one) not in {tuple(row) for row in best}


def test_damping_fitness_by_hand():
    """A net that dies early has no second term; a trace judged by hand has the same value."""
    weights = problem.run(problem.Config(**problem.QUICK)).best
    trace = []
    t = problem.episode(weights, 1000, trace=trace)
    unrest = np.abs(np.array(trace)[-100:, :4]).sum()
    value, survived = problem.damping_fitness(weights)
    assert survived == t == 1000
    assert value == pytest.approx(0.1 + 0.675 / unrest)
    value, survived = problem.damping_fitness([0.0, 0.0, 0.0, 30.0, 0.0])
    assert survived < 100 and value == pytest.approx(1e-4 * survived)


def test_the_small_instance_is_solved():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["solved"] and metrics["longest"] == 1000


def test_nets_without_memory_stay_so():
    config = problem.Config(memory=False, evaluations=200, actions=500)
    rng = np.random.default_rng(0)
    rows = problem.next_nets(None, None, config, rng)
    rows = problem.next_nets(rows, np.arange(30.0), config, rng)
    assert (rows[:, 4] == 0).all() and (rows[:, :4] != 0).all()


def test_readme_shows_the_worked_example_as_it_runs():
    text = (ROOT / "double-pole-no-velocity" / "README.md").read_text(encoding="utf-8")

    starts = [(0.0, 0.0, math.radians(2), rate, 0.0, 0.0) for rate in (0.5, -0.5)]
    rows = text.split("coming back: what the net sees")[1].split("\n")[2:6]
    states = starts
    for row in rows:
        for cell, state in zip(row.split("|")[2:4], states, strict=True):
            told = [float(x) for x in cell.split(",")]
            np.testing.assert_allclose(
                told, [state[0] / 2.4, state[2] / 0.52, state[4] / 0.52], atol=6e-4
            )
        states = [problem.simulate(*problem.simulate(*s, 0.0), 0.0) for s in states]
    for state in starts:
        for force in (10.0, -10.0):
            after, pushes = state, 0
            while abs(after[4]) <= problem.FALL:
                after = problem.simulate(*problem.simulate(*after, force), force)
                pushes += 1
            assert pushes == 5
