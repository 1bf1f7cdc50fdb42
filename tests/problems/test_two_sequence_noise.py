"""Signal and noise on one line: the sequences, plain and fast form, the stop rule, guessing."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("two-sequence-noise")


@pytest.mark.parametrize("task", ["3a", "3b", "3c"])
def test_sequences_are_those_of_the_text(task):
    rng = np.random.default_rng(1)
    config = problem.Config(task=task, controls=False)
    lengths, signals, noise = set(), [], []
    for _ in range(100):
        x, first = problem.make_batch(rng, 2, 30, config)
        lengths.add(len(x))
        signals.append((x[:3, :, 0] * np.where(first, 1, -1)).ravel())
        noise.append(x[3:].ravel())
    signals, noise = np.concatenate(signals), np.concatenate(noise)
    assert min(lengths) == 100 and max(lengths) == 110
    assert signals.mean() == pytest.approx(1, abs=0.02)
    assert signals.var() == pytest.approx(0.2 if task == "3b" else 0, abs=0.01)
    assert noise.mean() == pytest.approx(0, abs=0.003)
    assert noise.var() == pytest.approx(0.2, abs=0.002)


def test_targets_and_their_noise():
    first = np.array([True, False])
    assert problem.target_of("3a", first).tolist() == [1, 0]
    assert problem.target_of("3c", first).tolist() == [0.2, 0.8]
    target = np.full(20_000, 0.2)
    drawn = problem.noisy(np.random.default_rng(0), "3c", target)
    assert drawn.mean() == pytest.approx(0.2, abs=0.01)
    assert drawn.var() == pytest.approx(0.1, abs=0.005)
    assert (problem.noisy(np.random.default_rng(0), "3b", target) == target).all()


def test_the_net_has_the_papers_102_weights():
    weights = problem.init("lstm", np.random.default_rng(0), 1)
    assert sum(w.size for w in weights.values()) == 102
    assert weights["W"][0, :6, 1].tolist() == [-1, -3, -5, -2, -4, -6]


def test_the_fast_form_is_the_plain_form():
    rng = np.random.default_rng(2)
    config = problem.Config(task="3b", steps=15, controls=False)
    x, first = problem.make_batch(rng, 2, 3, config)
    weights = {n: rng.normal(0, 0.7, w.shape) for n, w in problem.init("lstm", rng, 2).items()}
    layer = problem.hidden_layer("lstm", 2, 3, config.steps, float)
    o, y = problem.forward(layer, weights, x)
    target = problem.target_of("3b", first)
    grads = problem.backward(layer, weights, o, y, target)
    for net in range(2):
        sums = [0, 0]
        for item in range(3):
            args = weights["W"][net], weights["V"][net, 0], x[:, net, 0, item], target[net, item]
            plain, *gradients = problem.one_sequence(*args)
            assert o[net, item] == pytest.approx(plain, rel=1e-9)
            sums = [a + b / 3 for a, b in zip(sums, gradients, strict=True)]
        assert grads["W"][net] == pytest.approx(sums[0], rel=1e-7, abs=1e-12)
        assert grads["V"][net, 0] == pytest.approx(sums[1], rel=1e-7, abs=1e-12)


def test_the_limits_judge_outputs():
    first = np.array([True, True, False, False])
    near = problem.target_of("3c", first) + np.array([0.01, -0.01, 0.09, -0.05])
    wrong, error = problem.judge(np.array([near, np.full(4, 0.5)]), first, "3c")
    assert wrong.tolist() == [0, 4]
    assert error == pytest.approx([0.04, 0.3])


def test_guessed_nets_are_plain_recurrent_nets():
    rng = np.random.default_rng(3)
    W, x = rng.uniform(-100, 100, (5, 7)).astype(np.float32), rng.normal(size=(12, 4))
    outputs = problem.guessed_outputs(W, x)
    for net, item in np.ndindex(5, 4):
        a, b, c, d, e, f, g = W[net].astype(float)
        hidden = output = 0.0
        for now in x[:, item]:
            inner, outer = a * now + b * hidden + c * output + d, e * now + f * hidden + g * output
            hidden, output = problem.logistic(inner), problem.logistic(outer)
        assert outputs[net, item] == pytest.approx(output, abs=2e-3)


def test_screening_sequences_show_both_classes():
    x, first = problem.eight_sequences(np.random.default_rng(4), problem.Config())
    assert first.sum() == 4 and x.shape[1] == 8
    assert (x[0] == np.where(first, 1, -1)).all()


def test_random_weights_solve_3a_and_not_3c():
    problem.GUESSES, kept = 4000, problem.GUESSES
    guesses = problem.guess(np.random.default_rng(5), problem.Config())
    problem.GUESSES = kept
    assert 1 <= guesses["solves"].sum() < 40 and guesses["within"].sum() == 0


def test_nets_that_stopped_meet_the_limits_of_a_check():
    result = problem.run(problem.Config(**problem.QUICK))
    history = {name: np.array(column) for name, column in result.history.items()}
    for net in range(problem.QUICK["nets"]):
        mine = history["net"] == net
        good = (history["wrong"][mine] == 0) & (history["error"][mine] < 0.015)
        assert good[-1] and not good[:-1].any()
    assert result.metrics["difference"] < 0.03
