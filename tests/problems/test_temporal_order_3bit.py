"""Temporal order, three bits: the sequences, the plain and the fast form, the criterion."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("temporal-order-3bit")
MARKS = (problem.X, problem.X + 1)


@pytest.mark.parametrize("task", problem.TASKS)
def test_sequences_are_those_of_the_text(task):
    rng = np.random.default_rng(1)
    (shortest, longest), places = problem.TASKS[task]
    lengths, seen = set(), []
    for _ in range(60):
        symbols, classes = problem.make_batch(rng, 2, 20, task)
        lengths.add(len(symbols))
        assert (symbols[0] == problem.START).all() and (symbols[-1] == problem.TRIGGER).all()
        for net, item in np.ndindex(2, 20):
            row = symbols[:, net, item]
            at = np.flatnonzero(np.isin(row, MARKS))
            assert len(at) == 2 and (np.delete(row, at)[1:-1] < 4).all()
            order = 2 * (row[at[0]] - problem.X) + row[at[1]] - problem.X
            assert order == classes[net, item]
            seen.append([*(at + 1), order])
    seen = np.array(seen)
    for column, (low, high) in enumerate(places):
        assert set(seen[:, column]) == set(range(low, high + 1))
    assert lengths <= set(range(shortest, longest + 1)) and len(lengths) > (longest - shortest) / 2
    assert np.bincount(seen[:, 2]).min() > 500  # of 2400


def test_the_net_has_the_papers_156_weights():
    weights = problem.init("lstm", np.random.default_rng(0), 1)
    assert sum(w.size for w in weights.values()) == 156
    assert weights["W"][0, :2, problem.SYMBOLS].tolist() == [-2, -4]


def test_the_fast_form_is_the_plain_form():
    rng = np.random.default_rng(2)
    symbols, classes = problem.make_batch(rng, 2, 3, "short")
    weights = {n: rng.normal(0, 0.5, w.shape) for n, w in problem.init("lstm", rng, 2).items()}
    layer = problem.hidden_layer("lstm", 2, 3, "short", float)
    o, y = problem.forward(layer, weights, symbols)
    grads = problem.backward(layer, weights, o, y, classes)
    for net in range(2):
        sums = [0, 0]
        for item in range(3):
            target = np.eye(4)[classes[net, item]]
            args = weights["W"][net], weights["V"][net], symbols[:, net, item], target
            plain, *gradients = problem.one_sequence(*args)
            assert o[net, :, item] == pytest.approx(plain, rel=1e-12)
            sums = [a + b for a, b in zip(sums, gradients, strict=True)]
        assert grads["W"][net] == pytest.approx(sums[0], rel=1e-9, abs=1e-13)
        assert grads["V"][net] == pytest.approx(sums[1], rel=1e-9, abs=1e-13)


def test_the_control_has_the_full_gradient():
    rng = np.random.default_rng(3)
    symbols, classes = problem.make_batch(rng, 4, 2, "short")
    weights = {n: w.astype(float) for n, w in problem.init("rnn", rng, 4).items()}
    layer = problem.hidden_layer("rnn", 4, 2, "short", float)

    def loss():
        o, _ = problem.forward(layer, weights, symbols)
        return float(((o - problem.target_of(classes)) ** 2).sum() / 2)

    grads = problem.backward(layer, weights, *problem.forward(layer, weights, symbols), classes)
    assert problem.worst_relative_error(loss, weights, grads) < 1e-5


def test_knowing_one_mark_is_never_right():
    outputs = np.array([[[0.5, 0.5, 0, 0]] * 4])
    right, largest, _ = problem.score(outputs, np.arange(4))
    assert not right.any() and largest.mean() == 0.25
    assert problem.score(np.eye(4)[None] * 0.8, np.arange(4))[0].all()


def test_the_criterion_wants_2000_right_in_a_row_and_a_small_error():
    criterion = problem.Criterion(3)
    near, poor, wrong = np.full(4, 0.05), np.full(4, 0.2), np.array([0.31, 0, 0, 0])
    for k in range(1, 2101):
        done = criterion.add(np.array([near, poor, wrong if k == 100 else near]))
        assert done.tolist() == [k >= 2000, False, k >= 2100]


def test_a_net_that_stopped_is_left_as_it_was():
    kept = {}

    def watch(step, total, learning, error, weights):
        kept.setdefault(learning, weights["W"].copy())  # kept[1]: just after the first stopped

    result = problem.run(problem.Config(**problem.QUICK), watch)
    first = 1 - result.history["net"][-1]
    W = result.nets["lstm"]["W"]
    assert (W[first] == kept[1][first]).all() and (W[1 - first] != kept[1][1 - first]).any()
