"""Predictable stereo: views, no linear rule tells the shift, objectives, gradients, criterion."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("predictable-stereo")


def test_a_view_is_a_strip_and_the_same_strip_shifted():
    bits, shift = problem.stereo_views(5)
    assert len(bits) == 60 and shift.mean() == 0.5
    assert len({tuple(view) for view in bits}) == 60
    for view, is_plus in zip(bits, shift[:, 0], strict=True):
        right, left = view[:5], view[5:]
        assert (left == np.roll(right, 1 if is_plus else -1)).all()


@pytest.mark.parametrize("width, views", [(3, 12), (4, 24), (5, 60), (6, 120)])
def test_views_that_fit_both_shifts_are_left_out(width, views):
    bits, _ = problem.stereo_views(width)
    assert len(bits) == views
    assert len({tuple(view) for view in bits}) == views  # a view tells its shift for certain


def test_no_linear_rule_tells_the_shift():
    bits, shift = problem.stereo_views(5)
    x, s = 2.0 * bits - 1, 2.0 * shift[:, 0] - 1
    assert np.abs(x.T @ s).max() == 0  # no pixel, so no weighted sum, goes with s
    products = x[:, :5] * np.roll(x[:, 5:], 1, 1)  # r_i l_(i-1)
    assert np.abs(products.sum(1) @ s) > 30


def test_features_by_counting():
    bits, features = problem.feature_views()
    assert len(bits) == 152
    for view, (right, ones) in zip(bits.tolist(), features.tolist(), strict=True):
        assert (sum(view[4:]) > sum(view[:4])) == right and sum(view[4:]) != sum(view[:4])
        assert (view.count(1) > view.count(0)) == ones and view.count(1) != view.count(0)


def test_pairs_have_their_classes_in_common_and_nothing_else():
    pairs = problem.Pairs(*problem.feature_views())
    picked = pairs.draw(np.random.default_rng(1), 3, 4000, False)
    classes = pairs.classes[picked]
    assert (classes[:, 0] == classes[:, 1]).all()
    same = (picked[:, 0] == picked[:, 1]).mean()
    assert same == pytest.approx(1 / 38, abs=0.01)
    picked = pairs.draw(np.random.default_rng(2), 3, 4000, True)
    agree = (pairs.classes[picked][:, 0] == pairs.classes[picked][:, 1]).all(2).mean()
    assert agree == pytest.approx(0.25, abs=0.03)


def test_the_objective_is_the_plain_one():
    rng = np.random.default_rng(3)
    y = rng.random((2, 2, 30, 1))
    loss, _, _ = problem.objective(problem.Condition("x"), {}, y, None, 0.9, None)
    for net in range(2):
        first, second = y[net, :, :, 0].tolist()
        assert loss[net] == pytest.approx(problem.plain_loss(first, second, 0.9))


def test_equal_weights_are_minus_twice_the_covariance():
    y = np.random.default_rng(4).random((1, 2, 50, 1))
    loss, _, _ = problem.objective(problem.Condition("x"), {}, y, None, 1.0, None)
    a, b = y[0, :, :, 0]
    assert loss[0] == pytest.approx(-2 * np.cov(a, b, bias=True)[0, 1] + (a.mean() - b.mean()) ** 2)


def test_gradients_of_all_objectives():
    assert problem.gradient_check() < 1e-5


def test_predictors_learn_what_one_output_tells_of_the_other():
    rng = np.random.default_rng(5)
    first = rng.random((1, 2, 400)) < 0.5
    y = np.stack([first, first ^ (rng.random((1, 2, 400)) < 0.1)], 3).astype(float)
    predictors = problem.Predictors(1)
    for _ in range(200):
        predictors.learn(y)
    surprise, _ = predictors.surprise(y)
    assert surprise[0] == pytest.approx(2 * 2 * 0.1 * 0.9, abs=0.04)  # two nets, two outputs


def test_right_takes_the_best_naming():
    _, features = problem.feature_views()
    for order, flip in (((0, 1), (0, 0)), ((1, 0), (1, 0))):
        y = (features[:, order] ^ np.array(flip, bool)).astype(float)
        assert problem.right(y[None, None], features) == 1
    assert problem.right(np.zeros((1, 1, 152, 2)), features) == 0.25


def test_the_small_instance_is_solved():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["separate_share"] == metrics["shared_share"] == 1


def test_templates_reach_what_a_majority_of_eight_can():
    config = problem.Config(task="templates", nets=2, seed=3)
    assert problem.run(config).metrics["templates_right"] == pytest.approx(0.9973, abs=0.002)
