"""The flag maze: its tables against a drawn map, both gradients, the alias, the fair controls."""

import itertools

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("pomdp-flag-maze")
MAP = ["....F", "####.", "S...J", "####.", "....F"]  # only the junction's column leads to flags


def few(batch=8, length=2, seed=0, tau=0.7):
    """A small C and M, a batch of episodes by chance, and what they were drawn from."""
    rng, maze = np.random.default_rng(seed), problem.build_maze(length)
    nets = [problem.init_net(rng, *size, 0.5, 1) for size in ((5, 3, 4), (9, 4, 7))]
    dice = problem.draw(rng, maze.steps, batch, 0.75, 0.25)
    stacks = [problem.stacked(net, [True, True]) for net in nets]
    return maze, nets, stacks, dice, problem.live(*stacks, maze, *dice, tau)


def test_maze_is_the_one_on_the_map():
    """Walls and moves against a picture, cell by cell."""
    maze = problem.build_maze(4)
    free = {(r, c) for r in range(5) for c in range(5) if r == 2 or c == 4}
    assert set(maze.places) == free and maze.steps == 20
    assert all(MAP[r][c] != "#" for r, c in free)
    around = {
        problem.NORTH: (-1, 0),
        problem.SOUTH: (1, 0),
        problem.WEST: (0, -1),
        problem.EAST: (0, 1),
    }
    for cell, (row, column) in enumerate(maze.places):
        for column_of_walls, action in enumerate(around):
            there = (row + around[action][0], column + around[action][1])
            assert maze.walls[cell, column_of_walls] == (there not in free)
            reached = maze.places[maze.goes[cell, action]]
            assert reached == (there if there in free else (row, column))


def test_move_rewards_the_flag_that_the_indicator_names():
    maze, up = problem.build_maze(3), 6  # cells: 0-3 corridor, 4 up, 5 down, 6 and 7 the flags
    cells, actions = np.array([4, 4, 5, 5, 0]), np.array([0, 0, 2, 2, 1])
    indicator = np.array([1, -1, -1, 1, 1])
    after, reward, ended = problem.move(maze, cells, actions, indicator)
    assert after.tolist() == [up, up, up + 1, up + 1, 1]
    assert reward == pytest.approx([2, -2, 2, -2, -0.05]) and ended.tolist() == [True] * 4 + [False]


def test_no_memoryless_policy_passes_both_tests():
    """All tables from observation to move, walked by hand; the best reaches one flag of two."""
    maze = problem.build_maze(4)
    up, down = len(maze.places) - 2, len(maze.places) - 1
    seen = [tuple(walls) for walls in maze.walls.tolist()]
    kinds = sorted(set(seen[:up]))
    scores = set()
    for first in itertools.product(range(4), repeat=2):  # the moves at t = 0, for +1 and for -1
        for later in itertools.product(range(4), repeat=len(kinds)):
            table, right = dict(zip(kinds, later, strict=True)), 0
            for move, flag in zip(first, (up, down), strict=True):
                cell = maze.goes[0, move]
                for _ in range(maze.steps - 1):
                    if cell < up:
                        cell = maze.goes[cell, table[seen[cell]]]
                right += cell == flag
            scores.add(right / 2)
    assert max(scores) == 0.5


def test_saved_is_the_sum_of_the_missing_prices():
    steps, credit = 7, 0.3
    by_sum = [credit * sum(problem.GAMMA**s for s in range(t + 1, steps)) for t in range(steps)]
    assert problem.saved(steps, credit) == pytest.approx(by_sum)


def test_gradients_are_those_of_single_episodes():
    """The batch against the plain form: means over episodes, for C and M alike."""
    maze, nets, stacks, dice, lived = few()
    by_batch = problem.gradients(*stacks, lived, 0.7, 0.2, 0.1, [True, True])
    plain = [{name: 0 for name in net} for net in nets]
    for i in range(8):
        one = (dice[0][i], dice[1][:, i], dice[2][:, i])
        grads = problem.one_episode(*nets, maze, *one, 0.7, 0.2, 0.1)
        plain = [{n: total[n] + g[n] / 8 for n in g} for total, g in zip(plain, grads, strict=True)]
    for total, fast in zip(plain, by_batch, strict=True):
        for name, expected in total.items():
            assert np.abs(expected).max() > 1e-3
            np.testing.assert_allclose(fast[name][1], expected, atol=2e-5 * np.abs(expected).max())


def test_moves_are_draws_from_softmax():
    """argmax of z + g: the frequency of each first move against the softmax of C's sums."""
    maze, _, stacks, _, _ = few()
    indicator, noise, random = problem.draw(np.random.default_rng(3), maze.steps, 20_000, 0.0, 0.0)
    lived = problem.live(*stacks, maze, np.ones_like(indicator), noise, random & False, 0.5)
    share = np.eye(4)[lived.motors[0, 0].argmax(-1)].mean(0)
    assert share == pytest.approx(problem.softmax(lived.sums[0, 0, 0]), abs=0.015)


def test_random_motors_are_held():
    steps, batch = 40, 2000
    _, noise, random = problem.draw(np.random.default_rng(0), steps, batch, 0.75, 0.5)
    same = (noise[1:] == noise[:-1]).all(-1)
    assert same[:, : batch // 2].mean() == pytest.approx(0.75, abs=0.01)
    assert not same[:, batch // 2 :].any() and random[:, : batch // 2].all()
    assert random[:, batch // 2 :].mean() == pytest.approx(problem.RANDOM_MOTORS, abs=0.01)


def test_score_function_follows_the_real_return():
    """Two episodes alike but for their first moves: the better first move becomes likelier."""
    maze, _, stacks, _, _ = few(length=1)
    noise = np.full((maze.steps, 2, 4), -20, np.float32)
    noise[0, 0, problem.EAST] = noise[0, 1, problem.WEST] = 20  # one walks, one bumps into a wall
    noise[1:, :, problem.NORTH] = 20  # both then go north, only the first meets a flag
    dice = (np.array([1, 1]), noise, np.zeros((maze.steps, 2), bool))
    lived = problem.live(*stacks, maze, *dice, 1.0)
    assert problem.reached(lived)[0].tolist() == [True, False]
    errors = problem.score_errors(lived, problem.saved(maze.steps, 0.0))
    discount = problem.GAMMA ** np.arange(maze.steps)
    gains = [-0.05 * discount[:2].sum() + 2 * discount[2], -0.05 * discount.sum()]
    p = problem.softmax(lived.sums[0, 0])
    for i, first in enumerate((problem.EAST, problem.WEST)):
        expected = (p[i] - np.eye(4)[first]) * (gains[i] - np.mean(gains))
        np.testing.assert_allclose(errors[0, 0, i], expected, atol=1e-5)


def test_nets_without_recurrence_forget():
    """Whatever came before, such a C answers the same observation with the same sums."""
    maze = problem.build_maze(4)
    net = problem.init_net(np.random.default_rng(0), 5, 24, 4, 1.0, 0.1)
    controller = problem.stacked(net, [True, False])
    net = problem.init_net(np.random.default_rng(1), 9, 40, 7, 0.3, 1)
    model = problem.stacked(net, [True, True])
    noise = np.zeros((maze.steps, 2, 4), np.float32)
    noise[:, :, problem.EAST] = 20
    lived = problem.live(
        controller, model, maze, np.array([1, -1]), noise, np.ones(noise.shape[:2], bool), 1
    )
    apart = np.abs(lived.sums[:, :, 0] - lived.sums[:, :, 1]).max(-1)
    assert (apart[0] > 1e-3).all() and apart[2, 0] > 1e-3
    assert (apart[1:, 1] == 0).all()


def test_controls_stay_without_recurrence_while_they_learn():
    config = problem.Config(length=1, iterations=12, alone=4, episodes=8, conditions="all")
    result = problem.run(config)
    for net, part in (("controller", "feedforward"), ("model", "memoryless_model")):
        hidden = getattr(result, net)["hidden"]
        recurrent = np.abs(hidden[:, -hidden.shape[2] :]).max((1, 2))
        assert (recurrent == 0).tolist() == [name == part for name in result.names]


def test_the_learners_never_see_the_indicator_again():
    _, _, _, _, lived = few(batch=50)
    for rows in (lived.rows, lived.model_rows):
        assert (np.abs(rows[0, ..., problem.INDICATOR]) == 1).all()
        assert not rows[1:, ..., problem.INDICATOR].any()


def test_a_controller_that_has_passed_stays_as_it_is(monkeypatch):
    """With every walk called right, C stops after five tests while M goes on."""
    monkeypatch.setattr(problem, "reached", lambda lived: np.ones(lived.reward.shape[1:], bool))
    seen = []

    def watch(step, total, controller, model, **_):
        seen.append([net["hidden"].copy() for net in (controller, model)])

    config = {"length": 1, "iterations": 80, "alone": 0, "episodes": 8, "conditions": "main"}
    result = problem.run(problem.Config(**config), watch)
    assert result.metrics["solved_after"] == 10
    moved = [
        [(a != b).any() for a, b in zip(*pair, strict=True)]
        for pair in zip(seen[:-1], seen[1:], strict=True)
    ]
    assert moved == [[True, True]] * 4 + [[False, True]] * 3
    seen.clear()
    problem.run(problem.Config(**config, stop=False), watch)
    assert (seen[-1][0] != seen[-2][0]).any()
