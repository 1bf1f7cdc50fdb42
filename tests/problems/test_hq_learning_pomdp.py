"""The mazes by enumeration of all memoryless policies, the random walk, and the returns against
slow definitions."""

import dataclasses
import functools
import math

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("hq-learning-pomdp")


# --- the mazes -----------------------------------------------------------------------------------


@functools.cache
def outcomes(maze, start):
    """What a memoryless policy can do from `start`: least steps to each place of hand-over, and to
    the goal (or inf).

    Moves are fixed one input at a time, as the walk meets it, so that every deterministic policy is
    covered. Whatever the sub-goal, the hand-over takes place where its input is seen for the first
    time after a move.
    """
    world, handover, goal = problem.make_world(maze), {}, math.inf

    def follow(cell, steps, policy, visited, seen):
        nonlocal goal
        if cell == world.goal:
            goal = min(goal, steps)
            return
        if cell in visited:
            return  # a loop
        name = world.inputs[cell]
        if steps and name not in seen:
            handover[cell] = min(handover.get(cell, math.inf), steps)
            seen = seen | {name}
        for move in [policy[name]] if name in policy else range(4):
            follow(
                world.after[4 * cell + move],
                steps + 1,
                {**policy, name: move},
                visited | {cell},
                seen,
            )

    follow(start, 0, {}, frozenset(), frozenset())
    return handover, goal


def least_steps(maze, agents):
    """Length of the shortest walk to the goal by `agents` memoryless sub-agents, inf where there is
    none."""
    front, best = {problem.make_world(maze).start: 0}, math.inf
    for _ in range(agents):
        reached = {}
        for cell, steps in front.items():
            handover, goal = outcomes(maze, cell)
            best = min(best, steps + goal)
            for there, more in handover.items():
                reached[there] = min(reached.get(there, math.inf), steps + more)
        front = reached
    return best


@pytest.mark.parametrize("maze", ["a", "b"])
def test_maze_has_the_published_facts(maze):
    world = problem.make_world(maze)
    assert len(world.cells) == 62
    assert len(set(world.inputs)) == 9
    assert problem.shortest_path(world) == 28
    assert [least_steps(maze, agents) for agents in (1, 2, 3)] == [math.inf, math.inf, 28]


def test_zigzag_needs_five_sub_agents():
    assert [least_steps("zigzag", agents) for agents in (4, 5)] == [math.inf, 28]


def test_moves_and_inputs_by_hand():
    world = problem.make_world("a")
    assert set(world.inputs) == {0, 1, 3, 4, 5, 6, 9, 10, 12}
    assert world.cells[world.start] == (7, 0) and world.cells[world.goal] == (2, 7)
    corner = world.cells.index((0, 0))
    assert [world.cells[cell] for cell in world.after[4 * corner : 4 * corner + 4]] == [
        (0, 0),
        (0, 0),
        (0, 1),
        (1, 0),
    ]
    assert world.inputs[corner] == 1 + 2  # west and north blocked


def test_opposite_moves_are_right_where_west_and_east_are_blocked():
    """On every shortest path of maze a, the moves at input 5 are north, then south, then north
    again."""
    world = problem.make_world("a")
    left = {world.goal: 0}
    while len(left) < len(world.cells):
        left |= {
            cell: 1 + max(left.values())
            for cell in range(62)
            if cell not in left
            for m in range(4)
            if world.after[4 * cell + m] in left
        }

    def paths(cell):
        if cell == world.goal:
            return {""}
        steps = [(m, world.after[4 * cell + m]) for m in range(4)]
        good = [(m, there) for m, there in steps if left[there] == left[cell] - 1]
        return {
            ("WNES"[m] if world.inputs[cell] == 5 else "") + rest
            for m, there in good
            for rest in paths(there)
        }

    for moves in paths(world.start):
        runs = [move for move, before in zip(moves, " " + moves, strict=False) if move != before]
        assert runs == ["N", "S", "N"]


@pytest.mark.parametrize(("maze", "share"), [("a", 0.181), ("b", 0.266)])
def test_random_walk_by_dynamic_programming(maze, share):
    """Backwards: p[n][cell], the probability to reach the goal from a cell in n steps, as plain
    sums."""
    world = problem.make_world(maze)
    p = [float(cell == world.goal) for cell in range(62)]
    missed = 0.0
    for _ in range(1000):
        missed += 1 - p[world.start]
        p = [
            1.0
            if cell == world.goal
            else sum(p[there] for there in world.after[4 * cell : 4 * cell + 4]) / 4
            for cell in range(62)
        ]
    reached, mean = problem.random_walk(world, 1000)
    assert reached == pytest.approx(p[world.start], rel=1e-9)
    assert mean == pytest.approx(missed, rel=1e-9)
    assert reached == pytest.approx(share, abs=5e-4)


# --- learning ------------------------------------------------------------------------------------


def mixed_return(rewards, values, gamma, trace):
    """The lambda-return of step 0 as a weighted sum of n-step returns; values[n]: of what is met
    after n + 1 steps."""
    total, steps = 0.0, len(rewards)
    for n in range(1, steps + 1):
        n_step = sum(gamma**k * rewards[k] for k in range(n)) + (
            gamma**n * values[n - 1] if n < steps else 0.0
        )
        total += n_step * (trace ** (n - 1) * (1 - trace) if n < steps else trace ** (n - 1))
    return total


def random_tables(agents, seed=0):
    tables, rng = problem.Tables(agents), np.random.default_rng(seed)
    tables.q = rng.uniform(0, 50, len(tables.q)).tolist()
    tables.hq = rng.uniform(0, 50, (agents - 1, 16)).tolist()
    tables.refresh(range(agents * 16))
    return tables


@pytest.mark.parametrize("reward", [0.0, 100.0])
@pytest.mark.parametrize("trace", [0.0, 0.7, 1.0])
def test_move_targets_are_the_forward_view(reward, trace):
    config = problem.Config(trace=trace, gamma=0.8, alpha_q=0.1)
    tables, slow = random_tables(3), random_tables(3)
    entries = np.random.default_rng(1).integers(3 * 64, size=40).tolist()
    entries[10:20] = entries[:10]  # what is visited twice is corrected twice, the later visit first
    values = [max(slow.q[4 * (entry // 4) : 4 * (entry // 4) + 4]) for entry in entries]
    for t in reversed(range(40)):
        rewards = [0.0] * (39 - t) + [reward]
        target = mixed_return(rewards, values[t + 1 :], 0.8, trace)
        slow.q[entries[t]] += 0.1 * (target - slow.q[entries[t]])
    problem.learn_moves(tables, entries, reward, config)
    np.testing.assert_allclose(tables.q, slow.q, rtol=1e-12)
    assert tables.value == [max(tables.row(slot)) for slot in range(48)]


def subgoal_target(i, agents, starts, steps, reward, values, config):
    """H_i from its definition in words, by recursion over the sub-agents that acted."""
    ends = [*starts[1:], steps]
    tenure = sum(
        config.gamma ** (t - starts[i]) * (reward if t == steps - 1 else 0)
        for t in range(starts[i], ends[i])
    )
    if i == len(starts) - 1:
        return tenure
    later = subgoal_target(i + 1, agents, starts, steps, reward, values, config)
    if i + 1 < agents - 1:
        later = (1 - config.trace) * values[i + 1] + config.trace * later
    return tenure + config.gamma ** (ends[i] - starts[i]) * later


@pytest.mark.parametrize("starts", [[0], [0, 7], [0, 1, 12, 13]])
@pytest.mark.parametrize("reward", [0.0, 100.0])
def test_subgoal_targets(starts, reward):
    config = problem.Config(gamma=0.95, trace=0.6)
    for agents in (4, 6):
        tables = random_tables(agents)
        values = [max(row) for row in tables.hq]
        wanted = [
            subgoal_target(i, agents, starts, 20, reward, values, config)
            for i in range(len(starts))
        ]
        np.testing.assert_allclose(
            problem.subgoal_targets(tables, starts, 20, reward, config), wanted, rtol=1e-12
        )
        before = [row[:] for row in tables.hq]
        problem.learn_subgoals(tables, [5] * (agents - 1) + [-1], starts, 20, reward, config)
        for i, (row, old) in enumerate(zip(tables.hq, before, strict=True)):
            if i < len(starts):
                old[5] += config.alpha_hq * (wanted[i] - old[5])
            assert row == pytest.approx(old)


def test_a_sub_goal_that_is_never_met_costs_nothing():
    """With discounted tenures going on alone and handing over are worth the same, if the same steps
    lead to the goal."""
    config = problem.Config(trace=1.0)
    tables = problem.Tables(2)
    alone = problem.subgoal_targets(tables, [0], 30, 100.0, config)[0]
    assert problem.subgoal_targets(tables, [0, 11], 30, 100.0, config)[0] == pytest.approx(alone)
    assert alone == pytest.approx(100 * 0.9**29)


# --- acting --------------------------------------------------------------------------------------


def test_choices_have_their_probabilities():
    """Best move with p_max, ties split evenly, else Boltzmann's rule, from one uniform number."""
    config = problem.Config(p_max=0.5, temperature=2.0, max_steps=50)
    world = dataclasses.replace(
        problem.make_world("a"), after=[0] * 248, inputs=[0] * 62, start=0, goal=61
    )  # nothing moves
    tables, p_max, rng = problem.Tables(1), 0.5, np.random.default_rng(0)
    tables.q[:4] = [1.0, 3.0, 3.0, 0.0]
    tables.refresh([0])
    entries = [
        entry
        for _ in range(800)
        for entry in problem.walk_trial(world, tables, [-1], p_max, rng, config)[0]
    ]
    weights = np.exp(np.array([1.0, 3.0, 3.0, 0.0]) / 2)
    wanted = 0.5 * np.array([0, 0.5, 0.5, 0]) + 0.5 * weights / weights.sum()
    np.testing.assert_allclose(np.bincount(entries, minlength=4) / len(entries), wanted, atol=0.01)


def test_sub_goals_have_their_probabilities():
    tables, rng = problem.Tables(2), np.random.default_rng(0)
    tables.hq[0][3] = tables.hq[0][9] = 1.0
    picks = [problem.choose_subgoals(tables, 0.6, rng)[0] for _ in range(20_000)]
    wanted = np.full(16, 0.4 / 16)
    wanted[[3, 9]] += 0.3
    np.testing.assert_allclose(np.bincount(picks, minlength=16) / len(picks), wanted, atol=0.01)


def test_trial_follows_the_rules_of_handing_over():
    """Replayed from the entries: right sub-agent, right cell, hand-over only after a move and only
    at the sub-goal."""
    config, rng = problem.Config(max_steps=300), np.random.default_rng(2)
    world = problem.make_world("b")
    for _ in range(50):
        subgoals = [*rng.integers(16, size=4).tolist(), -1]
        entries, starts, reached = problem.walk_trial(
            world, problem.Tables(5), subgoals, 0.9, rng, config
        )
        agent, cell, took_over = 0, world.start, [0]
        for t, entry in enumerate(entries):
            assert entry // 4 == 16 * agent + world.inputs[cell]
            cell = world.after[4 * cell + entry % 4]
            if cell != world.goal and world.inputs[cell] == subgoals[agent]:
                agent += 1
                took_over.append(t + 1)
        assert reached == (cell == world.goal)
        assert starts == [start for start in took_over if start < len(entries)]


def test_greedy_walk_of_a_hand_made_solution():
    """A walk in the open: table entries along a shortest path, one sub-agent a step, must lead to
    the goal in 28 steps."""
    world, config = problem.make_world("a"), problem.Config()
    path, front = {world.start: []}, [world.start]
    for cell in front:
        for move in range(4):
            there = world.after[4 * cell + move]
            if there not in path:
                path[there] = path[cell] + [move]
                front.append(there)
    tables, cell = problem.Tables(28), world.start
    for agent, move in enumerate(path[world.goal]):
        tables.q[64 * agent + 4 * world.inputs[cell] + move] = 1.0
        cell = world.after[4 * cell + move]
        if agent < 27:
            tables.hq[agent][world.inputs[cell]] = 1.0
    tables.refresh(range(28 * 16))
    cells, acting, reached = problem.greedy_walk(world, tables, np.random.default_rng(0), config)
    assert reached and acting == list(range(28)) and cells[-1] == world.goal


def test_noise_replaces_moves_at_its_rate():
    slips = np.array(
        problem.draw_slips(np.random.default_rng(0), problem.Config(noise=0.1, max_steps=5000))
    )
    assert np.mean(slips >= 0) == pytest.approx(0.1, abs=0.015)
    assert set(slips) == {-1, 0, 1, 2, 3}


def test_quick_run_learns():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["training_steps_6"] < metrics["random_steps"] / 4
    assert metrics["ever_reached_1"] == 0
