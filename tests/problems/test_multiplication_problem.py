"""Multiplication problem: the sequences, the plain and the fast form, the window, who is kept."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("multiplication-problem")


@pytest.mark.parametrize("task", problem.TASKS)
def test_sequences_are_those_of_the_text(task):
    rng = np.random.default_rng(1)
    (shortest, longest), (low, high), before = problem.TASKS[task]
    lengths, single, count = set(), 0, 0
    for _ in range(60):
        x, target = problem.make_batch(rng, 2, 20, task)
        n = len(x)
        lengths.add(n)
        assert (x[[0, -1], :, 1] == -1).all() and ((0 <= x[:, :, 0]) & (x[:, :, 0] < 1)).all()
        for net, item in np.ndindex(2, 20):
            values, marks = x[:, net, :, item].T
            at = np.flatnonzero(marks == 1)
            assert set(marks[1:-1]) <= {0, 1} and 1 <= len(at) <= 2
            assert low <= at[0] < high or len(at) == 1
            assert at[-1] < (before or max(11, n // 2))
            assert target[net, item] == pytest.approx(np.prod(values[at]))
            single, count = single + (len(at) == 1), count + 1
    assert lengths <= set(range(shortest, longest + 1)) and len(lengths) >= (longest - shortest) / 2
    # The first choice falls on pair 0 once in ten, the second, of the other 48, once in 48.
    share = {"paper": 1 / 10 + 9 / 10 / 48, "v1": 0, "short": 1 / 6 + 5 / 6 / 9}[task]
    assert abs(single / count - share) <= 5 * np.sqrt(share / count)


def test_the_net_has_the_papers_93_weights():
    weights = problem.init("lstm", np.random.default_rng(0), 1)
    assert sum(w.size for w in weights.values()) == 93
    assert weights["W"][0, :2, 2].tolist() == [-3, -6]
    opened = problem.init("lstm", np.random.default_rng(0), 1, "open")
    assert max(np.abs(w).max() for w in opened.values()) <= 0.1


def test_the_fast_form_is_the_plain_form():
    rng = np.random.default_rng(2)
    x, target = problem.make_batch(rng, 2, 3, "short")
    weights = problem.init("lstm", rng, 2)
    weights = {name: rng.normal(0, 0.5, w.shape) for name, w in weights.items()}
    layer = problem.hidden_layer("lstm", 2, 3, "short", float)
    o, y = problem.forward(layer, weights, x)
    grads = problem.backward(layer, weights, (o - target) * o * (1 - o), y)
    for net in range(2):
        sums = [0, 0]
        for item in range(3):
            pairs = x[:, net, :, item].astype(float)
            args = weights["W"][net], weights["V"][net, 0], pairs, target[net, item]
            plain, *gradients = problem.one_sequence(*args)
            assert o[net, item] == pytest.approx(plain, rel=1e-12)
            sums = [a + b for a, b in zip(sums, gradients, strict=True)]
        assert grads["W"][net] == pytest.approx(sums[0], rel=1e-9, abs=1e-13)
        assert grads["V"][net, 0] == pytest.approx(sums[1], rel=1e-9, abs=1e-13)


def test_the_control_has_the_full_gradient_of_the_cross_entropy():
    rng = np.random.default_rng(3)
    x, target = problem.make_batch(rng, 1, 4, "short")
    weights = {name: w.astype(float) for name, w in problem.init("rnn", rng, 2).items()}
    layer = problem.hidden_layer("rnn", 2, 4, "short", float)

    def loss():
        o, _ = problem.forward(layer, weights, x)
        return float(-(target * np.log(o) + (1 - target) * np.log(1 - o)).sum())

    o, y = problem.forward(layer, weights, x)
    grads = problem.backward(layer, weights, o - target, y)
    assert problem.worst_relative_error(loss, weights, grads) < 1e-5


@pytest.mark.parametrize("batch", [1, 32])
def test_the_window_counts_the_latest_2000(batch):
    window, rng = problem.Window(2), np.random.default_rng(4)
    off = rng.uniform(0, 0.08, (2, 2560)).astype(np.float32)
    for k in range(0, 2560, batch):
        wrong = window.add(off[:, k : k + batch])
        latest = off[:, max(0, k + batch - 2000) : k + batch]
        unseen = 2000 - latest.shape[1]
        assert wrong.tolist() == ((latest > 0.04).sum(1) + unseen).tolist()
    assert window.error() == pytest.approx(off[:, 560:].mean(1), rel=1e-5)


def test_a_net_that_stopped_is_left_as_it_was():
    kept = {}

    def watch(step, total, learning, wrong, weights):
        kept[learning] = weights["W"].copy()  # kept[2]: when the first net stopped

    result = problem.run(problem.Config(**problem.QUICK), watch)
    assert result.metrics["solved_140"] == 2
    first = 1 - result.history["net"][-1]
    W = result.nets["lstm"]["W"]
    assert (W[first] == kept[2][first]).all() and (W[1 - first] != kept[2][1 - first]).any()
    assert (result.nets[140]["W"] == W).all()  # both stopped at the rule of 140


def test_errors_are_judged_by_004():
    error = np.array([[0.039, -0.039, 0.041, -0.1], [0, 0, 0, 0.5]])
    metrics = problem.evaluate(error, "end")
    assert metrics["wrong_end"] == 1.5 and metrics["wrong_most_end"] == 2
    assert metrics["mae_end"] == pytest.approx((0.219 + 0.5) / 8)
    assert problem.evaluate(error[:0], "end")["wrong_end"] is None
