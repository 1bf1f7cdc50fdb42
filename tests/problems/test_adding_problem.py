"""Adding problem: the sequences against the task's text, the truncated gradient against a slow per-step reference."""

import collections

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("adding-problem")


def sigm(x):
    return 1 / (1 + np.exp(-x))


def slow_lstm(W, V, x, target):
    """One sequence x (time, 2), step by step as in the paper: output, and the truncated gradient of (o - target)^2 / 2.

    Carries ds/dW forward in time for every cell, y(t-1) taken as given, and uses it when the error arrives at the end.
    """
    y, s, ds = np.zeros(8), np.zeros(4), np.zeros((4, 8, 11))
    for pair in x:
        u = np.array([*pair, 1.0, *y])
        net = W @ u
        gate_in, gate_out, g = sigm(net[:2]), sigm(net[2:4]), 4 * sigm(net[4:]) - 2
        for c in range(4):
            b = c // 2
            s[c] += gate_in[b] * g[c]
            ds[c, b] += g[c] * gate_in[b] * (1 - gate_in[b]) * u
            ds[c, 4 + c] += gate_in[b] * 4 * sigm(net[4 + c]) * (1 - sigm(net[4 + c])) * u
        h = 2 * sigm(s) - 1
        y_cells = np.array([gate_out[c // 2] * h[c] for c in range(4)])
        y = np.array([*gate_in, *gate_out, *y_cells])
    o = sigm(V[0] + V[1:] @ y_cells)
    e = (o - target) * o * (1 - o)
    dW, dV = np.zeros_like(W), e * np.array([1.0, *y_cells])
    for c in range(4):
        b = c // 2
        dW[2 + b] += e * V[1 + c] * h[c] * gate_out[b] * (1 - gate_out[b]) * u
        dW += e * V[1 + c] * gate_out[b] * 2 * sigm(s[c]) * (1 - sigm(s[c])) * ds[c]
    return o, dW, dV


@pytest.mark.parametrize("nets", [1, 3])
def test_truncated_gradient_agrees_with_a_slow_reference(nets):
    rng = np.random.default_rng(nets)
    x, target = problem.make_batch(rng, 30, nets, 4)
    x = x.astype(float)
    weights = {
        name: rng.normal(0, 0.5, w.shape) for name, w in problem.init_lstm(rng, nets).items()
    }
    o, kept = problem.lstm_forward(weights, x)
    grads = problem.lstm_backward(weights, x, problem.output_error(o, target, "squared"), kept)
    for net in range(nets):
        slow = [
            slow_lstm(weights["W"][net], weights["V"][net, 0], x[:, net, :, i], target[net, i])
            for i in range(4)
        ]
        assert o[net] == pytest.approx([outcome[0] for outcome in slow], rel=1e-12)
        assert grads["W"][net] == pytest.approx(
            np.mean([outcome[1] for outcome in slow], axis=0), rel=1e-9, abs=1e-14
        )
        assert grads["V"][net, 0] == pytest.approx(
            np.mean([outcome[2] for outcome in slow], axis=0), rel=1e-9, abs=1e-14
        )


def test_single_precision_gives_the_same_outputs():
    rng = np.random.default_rng(0)
    x, _ = problem.make_batch(rng, 100, 1, 16)
    weights = {name: rng.normal(0, 0.5, w.shape) for name, w in problem.init_lstm(rng, 1).items()}
    exact, _ = problem.lstm_forward(weights, x.astype(float))
    single, kept = problem.lstm_forward(
        {name: w.astype(np.float32) for name, w in weights.items()}, x
    )
    assert kept[0].dtype == np.float32
    assert single == pytest.approx(exact, abs=1e-4)


def test_gradients_agree_with_central_differences():
    assert problem.gradient_check() < 1e-5


def test_weights_are_as_many_as_the_paper_says():
    rng = np.random.default_rng(0)
    assert sum(w[0].size for w in problem.init_lstm(rng, 1).values()) == 93
    assert sum(w[0].size for w in problem.init_rnn(rng).values()) == 97


def law_of_the_marks(T):
    """Probability of every set of pairs marked with 1, by enumeration of the two choices; pair 0 keeps its -1."""
    law = collections.Counter()
    for first in range(10):
        rest = [pair for pair in range(T // 2 - 1) if pair != first]
        for second in rest:
            law[frozenset({first, second} - {0})] += 1 / 10 / len(rest)
    return law


@pytest.mark.parametrize("T", [24, 100])
def test_marks_lengths_and_targets_are_as_the_task_says(T):
    rng, law, seen, lengths = (
        np.random.default_rng(1),
        law_of_the_marks(T),
        collections.Counter(),
        set(),
    )
    assert sum(law.values()) == pytest.approx(1)
    assert sum(p for marks, p in law.items() if len(marks) == 1) == pytest.approx(
        0.1 + 0.9 / (T // 2 - 2)
    )
    for _ in range(200):
        x, target = problem.make_batch(rng, T, 1, 50)
        lengths.add(len(x))
        for values, markers, wanted in zip(x[:, 0, 0].T, x[:, 0, 1].T, target[0], strict=True):
            marked = frozenset(np.flatnonzero(markers == 1).tolist())
            seen[marked] += 1
            assert markers[0] == markers[-1] == -1
            assert set(np.unique(markers)) == {-1, 0, 1}
            assert wanted == pytest.approx(0.5 + sum(values[i] for i in marked) / 4, abs=1e-6)
    assert lengths == set(range(T, T + T // 10 + 1))
    assert set(seen) <= set(law)
    square = sum((seen[marks] - 10_000 * p) ** 2 / (10_000 * p) for marks, p in law.items())
    assert abs(square - len(law)) < 5 * np.sqrt(2 * len(law))


def test_the_earlier_catalogs_task_marks_one_value_in_each_half():
    x, target = problem.make_batch(np.random.default_rng(0), 40, 1, 200, "v1")
    marked = x[:, 0, 1] == 1
    assert len(x) == 40
    assert (marked[:20].sum(0) == 1).all()
    assert (marked[20:].sum(0) == 1).all()
    assert 4 * target[0] - 2 == pytest.approx((x[:, 0, 0] * marked).sum(0), abs=1e-5)


def test_cross_entropy_has_its_least_value_at_the_target_and_the_gradient_that_differences_give():
    target, sums = np.array([[0.2, 0.97]]), np.array([[0.3, -1.0]])

    def loss(sums):
        o = sigm(sums)
        return -np.mean(target * np.log(o) + (1 - target) * np.log(1 - o))

    numeric = [(loss(sums + step) - loss(sums - step)) / 2e-6 for step in 1e-6 * np.eye(2)]
    assert problem.output_error(sigm(sums), target, "cross-entropy")[0, 0] == pytest.approx(
        numeric, rel=1e-6
    )
    assert np.abs(problem.output_error(target, target, "cross-entropy")).max() == 0


def criterion_after(*errors, in_a_row=2000):
    criterion = problem.Criterion(in_a_row, {"W": np.zeros((1, 2))})
    for weight, part in enumerate(errors):
        criterion.add(np.atleast_2d(part), {"W": np.full((1, 2), float(weight))})
    return criterion


def test_criterion_wants_so_many_right_in_a_row_and_a_small_mean():
    assert np.isinf(criterion_after([0.005] * 1999).met_at[0])
    assert criterion_after([0.005] * 1999, [0.005], [0.5]).met_at[0] == 2000
    assert np.isinf(criterion_after([0.005] * 1999, [0.05], [0.005] * 1999).met_at[0])
    assert criterion_after([0.05], [0.005] * 2000).met_at[0] == 2001
    assert np.isinf(criterion_after([0.02] * 5000).met_at[0])
    assert np.isinf(criterion_after([0.005] * 2000, in_a_row=2001).met_at[0])


def test_criterion_keeps_the_weights_with_which_it_was_met():
    assert criterion_after([0.005] * 1999, [0.005], [0.5]).best["W"][0, 0] == 1
    assert criterion_after([0.005] * 1000, [0.5], [0.005]).best["W"][0, 0] == 2


def test_a_constant_answer_has_the_error_that_the_distribution_gives():
    rng = np.random.default_rng(0)
    targets = np.concatenate([problem.make_batch(rng, 100, 1, 2000)[1][0] for _ in range(5)])
    assert np.mean((targets - 0.5) ** 2) == pytest.approx(1 / 24 * (1 - 0.12 / 2), rel=0.06)
