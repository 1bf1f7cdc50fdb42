"""The fovea: its views, its moves, and the gradient through M against plain and numerical forms."""

import re

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from catalog import ROOT
from catalog.idioms.gradient_check import worst_relative_error
from tests.contract import load_script

problem = load_script("saccadic-target-detection")
TASKS = ("translation", "rotation")
ONES = np.ones((1, 4))


def nets(task, seed=0, scale=8):
    """C and M in 64 bit, their weights large enough for moves to differ."""
    rng = np.random.default_rng(seed)
    actions = problem.ACTIONS[task]
    controller = problem.new_net(rng, 40, 20, actions, np.float64)
    model = problem.new_net(rng, 40 + actions, 40, 40, np.float64)
    return [{name: scale * w for name, w in net.items()} for net in (controller, model)]


def test_the_triangle_is_the_one_that_is_described():
    sides = np.linalg.norm(problem.CORNERS - np.roll(problem.CORNERS, -1, 0), axis=1)
    assert np.sort(sides) == pytest.approx([60, 120, 130], abs=0.01)
    assert problem.CORNERS.mean(0) == pytest.approx([0, 0], abs=0.01)
    assert problem.CORNERS[0, 0] == 0 < problem.CORNERS[0, 1], "the sharpest corner is up"
    assert sides[1] == pytest.approx(60, abs=0.01), "the shortest side is opposite to it"


def test_fields_tile_the_fovea():
    assert len(problem.WIDTHS) == 40 and (problem.WIDTHS**2).sum() == 128**2
    covered = np.zeros((128, 128), int)
    for (x, y), width in zip(problem.CENTRES, problem.WIDTHS, strict=True):
        left, low = int(x - width / 2) + 64, int(y - width / 2) + 64
        covered[low : low + width, left : left + width] += 1
    assert (covered == 1).all()


def test_views_are_those_of_a_turned_fovea_on_an_outline():
    """Each sample point turned and moved one by one, and asked of matplotlib's polygon."""
    place = problem.random_places(np.random.default_rng(1), "rotation", 40, 90)
    for (x, y, angle), seen in zip(place, problem.see(place), strict=True):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = problem.POINTS @ turn.T + [x, y]
        dark = Outline(problem.CORNERS).contains_points(points).reshape(40, 16).mean(1)
        assert np.abs(seen - dark).max() <= 1 / 16 and np.abs(seen - dark).mean() < 0.002


def test_samples_stand_for_the_mean_over_pixels():
    """Mean of all pixels of the goal view's fields; dark mass against the triangle's area."""
    axis = np.arange(-64, 64) + 0.5
    pixels = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    scene = Outline(problem.CORNERS).contains_points(pixels).reshape(128, 128)
    for (x, y), width, value in zip(problem.CENTRES, problem.WIDTHS, problem.GOAL, strict=True):
        left, low = int(x - width / 2) + 64, int(y - width / 2) + 64
        part = scene[low : low + width, left : left + width]
        assert part.mean() == pytest.approx(value, abs=0.1)
    first, second = problem.CORNERS[1:] - problem.CORNERS[0]
    area = abs(first[0] * second[1] - first[1] * second[0]) / 2
    place = np.zeros((400, 3))
    place[:, :2] = np.stack(
        np.meshgrid(np.arange(-160, 160, 16), np.arange(-160, 160, 16)), -1
    ).reshape(-1, 2)  # one field of 16 px, moved over the whole scene
    mass = problem.see(place)[:, 20].sum() * 16**2
    assert mass == pytest.approx(area, rel=0.01)


def test_the_table_of_views_holds_all_that_can_be_seen():
    place = problem.random_places(np.random.default_rng(2), "translation", 50, 90)
    np.testing.assert_array_equal(problem.look("translation", place), problem.see(np.rint(place)))
    table = problem.all_views()
    for edge in (table[0], table[-1], table[:, 0], table[:, -1]):
        assert not edge.any()


def test_moves_by_hand():
    """Up 0.9 against down 0.1 is 16 px; in a fovea turned by 90 degrees, up leads to the left."""
    action = np.array([[0.9, 0.1, 0.2, 0.6]])
    assert problem.move(np.zeros((1, 3)), action) == pytest.approx(np.array([[8, 16, 0]]))
    turned = np.array([[0, 0, np.pi / 2]])
    assert problem.move(turned, action)[0, :2] == pytest.approx([-16, 8])
    spin = np.array([[0.5, 0.5, 0.3, 0.3, 0.7, 0.2]])
    assert problem.move(turned, spin)[0] == pytest.approx([0, 0, np.radians(90 + 25)])


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_learns_what_single_trajectories_learn(task):
    controller, model = nets(task)
    place = problem.random_places(np.random.default_rng(3), task, 12, 90)
    views, trace = problem.follow(controller, task, place, 6)
    error, grads, _ = problem.controller_gradient(controller, model, views, trace)
    single = [problem.learn_from_one(controller, model, task, row, 6) for row in place]
    assert error == pytest.approx(np.mean([each for each, _ in single]))
    for name, g in grads.items():
        plain = np.mean([gradient[name] for _, gradient in single], axis=0)
        np.testing.assert_allclose(g, plain, rtol=1e-4, atol=1e-6 * np.abs(plain).max())
    over = ~trace[-1][-1]
    assert 0 < over.sum() < 12, "some must lose the object, some not"


def test_one_step_credit_is_the_whole_credit_of_the_last_move():
    controller, model = nets("translation", scale=2)
    place = problem.random_places(np.random.default_rng(3), "translation", 12, 30)
    views, trace = problem.follow(controller, "translation", place, 4)
    assert trace[-1][-1].all()
    _, cut, _ = problem.controller_gradient(controller, model, views, trace, through_time=False)
    _, last, _ = problem.controller_gradient(controller, model, views[-2:], trace[-1:])
    _, whole, _ = problem.controller_gradient(controller, model, views, trace)
    for name, g in cut.items():
        np.testing.assert_allclose(g, last[name], rtol=1e-9, atol=1e-15)
        assert not np.allclose(g, whole[name], rtol=0.01)


@pytest.mark.parametrize("rule", ["adam", "paper"])
def test_gradient_of_the_model(rule):
    rng = np.random.default_rng(4)
    model = problem.new_net(rng, 44, 40, 40, np.float64)
    x, action, target = rng.random((5, 40)), rng.random((5, 4)), rng.random((5, 40))

    def loss():
        y = problem.forward(model, x, action)[1]
        if rule == "paper":
            return 0.5 * ((y - target) ** 2).sum() / 5
        return -(target * np.log(y) + (1 - target) * np.log(1 - y)).sum() / 5

    grads = problem.model_gradient(model, x, action, target, rule)
    assert worst_relative_error(loss, model, grads) < 1e-6


def test_hits_need_place_and_angle():
    place = np.array([[6, 8, 0], [7, 8, 0], [9, 12, 0.2], [9, 12, -0.2 + 2 * np.pi], [0, 0, 0.3]])
    assert problem.hits("translation", place[:2]).tolist() == [True, False]
    assert problem.hits("rotation", place).tolist() == [True, True, True, True, False]
    assert problem.off_angle(np.array([[0, 0, np.pi + 0.1]])) == pytest.approx(180 - 5.7296, 1e-4)


def test_a_fovea_that_rests_loses_a_moving_object():
    rest = problem.journey("translation", lambda x: 0.5 * ONES, np.zeros((1, 3)), 8, drift=5)
    assert problem.distance(rest)[:, 0] == pytest.approx(5 * np.arange(9))


def test_the_centroid_rule_rests_on_the_target_and_heads_for_it():
    at, off = problem.look("translation", np.array([[0, 0, 0], [30.0, -20, 0]]))
    assert problem.centroid_rule(at[None]) == pytest.approx(np.zeros((1, 4)), abs=1e-6)
    up, down, left, right = problem.centroid_rule(off[None])[0]
    assert up > 0 and left > 0 and down == right == 0


def test_readme_shows_the_worked_example_as_it_runs():
    text = (ROOT / "saccadic-target-detection" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \((-?\d+), (-?\d+)\) \| ([\d.]+) \| ([^|]+) \|$", text, re.MULTILINE)
    assert len(rows) == 4
    places = np.array([[int(x), int(y), 0] for x, y, *_ in rows], float)
    errors = 0.5 * ((problem.see(places) - problem.GOAL) ** 2).sum(1)
    assert [f"{error:.2f}" for error in errors] == [row[2] for row in rows]
    for k, row in enumerate(rows[:-1]):
        parts = dict(part.split() for part in row[3].split(", "))
        names = ("up", "down", "left", "right")
        action = np.array([[float(parts.get(name, 0)) for name in names]])
        assert problem.move(places[k : k + 1], action) == pytest.approx(places[k + 1 : k + 2])


def test_quick_run_finds_the_target():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["hit15"] > 0.9 > 0.1 > metrics["control_hit"]
    assert metrics["model_gain"] < 0.7
