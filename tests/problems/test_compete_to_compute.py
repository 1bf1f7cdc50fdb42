"""Compete to compute: blocks, gradients, halves, and the protocol of learning and forgetting."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("compete-to-compute")
SMALL = problem.Config(units=20, images=300, nll=1.0, rate=0.1, scale=0.05)


def test_a_layer_of_blocks_is_the_plain_block_by_block():
    z = np.random.default_rng(1).normal(size=(50, 12))
    z[0, :2] = 0.7  # equals: the first wins
    wanted = [
        sum((problem.plain_block(list(row[i : i + 2])) for i in range(0, 12, 2)), []) for row in z
    ]
    y, on = problem.hidden("lwta", z.copy())
    assert (y == np.array(wanted)).all()
    assert (on.reshape(50, 6, 2).sum(2) == 1).all() and on[0, 0]
    assert (y < 0).any()  # the larger of two negative units speaks, too


def test_the_other_units_by_their_definition():
    z = np.random.default_rng(2).normal(0, 3, (20, 6))
    y, slope = problem.hidden("relu", z.copy())
    assert (y == np.maximum(z, 0)).all() and (slope == (z > 0)).all()
    y, slope = problem.hidden("sigmoid", z.copy())
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-z)), atol=1e-12)
    np.testing.assert_allclose(slope, y * (1 - y), atol=1e-15)


def test_gradients_of_all_three_kinds():
    assert problem.gradient_check() < 1e-5


def test_losers_do_not_learn():
    rng = np.random.default_rng(3)
    w = problem.init(rng, 10, 0.0, np.float64)
    x, labels = rng.random((1, 784)), np.array([2])
    logits, layers = problem.forward("lwta", w, x)
    grads = problem.backward(w, x, labels, problem.log_likelihoods(logits, labels)[1], layers)
    losers = ~layers[1][0]
    assert losers.sum() == 5
    assert (grads["W1"][:, losers] == 0).all() and (grads["b1"][losers] == 0).all()
    assert (grads["W2"][losers] == 0).all() and (grads["W1"][:, ~losers] != 0).any()


def test_the_halves_hold_every_image_once():
    (train_1, test_1), (train_2, test_2) = problem.load_halves(np.random.default_rng(4), 0)
    assert [len(part[1]) for part in (train_1, test_1, train_2, test_2)] == [
        30596,
        5139,
        29404,
        4861,
    ]
    labels = problem.read_mnist()[1]
    first, second = labels[labels < 5], labels[labels >= 5]
    assert (train_1[1] == first).all() and (train_2[1] == second.astype(int) - 5).all()


def test_nets_of_a_run_start_alike_and_see_the_same_batches():
    result = problem.run(SMALL)
    again = problem.run(SMALL)
    assert result.metrics == again.metrics
    lines = []
    for kind in ("lwta", "relu"):
        w = problem.init(np.random.default_rng((0, 1)), 20, 0.05)
        lines.append(w["W1"].sum())
        assert result.masks[kind][0].shape == (5139, 40)
    assert lines[0] == lines[1]


def test_without_a_second_half_nothing_is_forgotten(monkeypatch):
    real = problem.train
    calls = []

    def train(kind, w, *rest):
        calls.append(kind)
        return real(kind, w, *rest) if len(calls) % 2 else (0, True)

    monkeypatch.setattr(problem, "train", train)
    metrics = problem.run(SMALL).metrics
    for kind in ("lwta", "relu"):
        assert metrics[f"{kind}_after"] == metrics[f"{kind}_p1"]
        assert metrics[f"{kind}_kept"] == 1
    assert metrics["gap"] == 0


def test_learning_stops_at_the_likelihood_and_not_before():
    (train, _), _ = problem.load_halves(np.random.default_rng(5), 400)
    w = problem.init(np.random.default_rng(6), 20, 0.05)
    config = problem.Config(units=20, nll=0.4, rate=0.1)
    steps, reached = problem.train("relu", w, train, np.random.default_rng(7), config, (0.1, 0.9))
    assert reached and steps % problem.CHECK == 0
    assert problem.mean_nll("relu", w, train) <= 0.4
    z = np.concatenate([problem.forward("relu", w, train[0])[0]])
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    by_hand = -np.log(p[np.arange(400), train[1]]).mean()
    assert problem.mean_nll("relu", w, train) == pytest.approx(by_hand, rel=1e-4)


def test_the_small_instance_learns_both_halves():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["lwta_reached"] and metrics["relu_reached"]
    assert metrics["learned_p1"] < 6 and metrics["learned_p2"] < 10
    assert metrics["lwta_after"] > metrics["lwta_p1"]
