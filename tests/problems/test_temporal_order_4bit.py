"""Temporal order, three marks: the sequences, the plain and the fast form, the criterion."""

import itertools

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("temporal-order-4bit")
MARKS = (problem.X, problem.X + 1)


@pytest.mark.parametrize("task", problem.TASKS)
def test_sequences_are_those_of_the_text(task):
    rng = np.random.default_rng(1)
    (shortest, longest), places = problem.TASKS[task]
    orders = list(itertools.product(MARKS, repeat=len(places)))  # as in a dictionary
    lengths, seen = set(), []
    for _ in range(60):
        symbols, classes = problem.make_batch(rng, 2, 20, task)
        lengths.add(len(symbols))
        assert (symbols[0] == problem.START).all() and (symbols[-1] == problem.TRIGGER).all()
        for net, item in np.ndindex(2, 20):
            row = symbols[:, net, item]
            at = np.flatnonzero(np.isin(row, MARKS))
            assert orders.index(tuple(row[at])) == classes[net, item]
            assert (np.delete(row, at)[1:-1] < 4).all()
            seen.append([*(at + 1), classes[net, item]])
    seen = np.array(seen)
    for column, (low, high) in enumerate(places):
        assert set(seen[:, column]) == set(range(low, high + 1))
    assert lengths <= set(range(shortest, longest + 1)) and len(lengths) > (longest - shortest) / 2
    assert np.bincount(seen[:, -1]).min() > 1200 / len(orders)  # half of what is expected


@pytest.mark.parametrize(("task", "count"), [("paper", 308), ("two marks", 156)])
def test_the_net_has_the_papers_weights(task, count):
    weights = problem.init("lstm", np.random.default_rng(0), 1, task)
    assert sum(w.size for w in weights.values()) == count
    marks = len(problem.TASKS[task][1])
    assert weights["W"][0, :marks, problem.SYMBOLS].tolist() == [-2, -4, -6][:marks]


@pytest.mark.parametrize("task", ["short", "two marks"])
def test_the_fast_form_is_the_plain_form(task):
    rng = np.random.default_rng(2)
    symbols, classes = problem.make_batch(rng, 2, 3, task)
    weights = problem.init("lstm", rng, 2, task)
    weights = {name: rng.normal(0, 0.5, w.shape) for name, w in weights.items()}
    layer = problem.hidden_layer("lstm", 2, 3, task, float)
    o, y = problem.forward(layer, weights, symbols)
    grads = problem.backward(layer, weights, o, y, problem.off_target(o, classes))
    for net in range(2):
        sums = [0, 0]
        for item in range(3):
            target = np.eye(o.shape[1])[classes[net, item]]
            args = weights["W"][net], weights["V"][net], symbols[:, net, item], target
            plain, *gradients = problem.one_sequence(*args)
            assert o[net, :, item] == pytest.approx(plain, rel=1e-12)
            sums = [a + b for a, b in zip(sums, gradients, strict=True)]
        assert grads["W"][net] == pytest.approx(sums[0], rel=1e-9, abs=1e-13)
        assert grads["V"][net] == pytest.approx(sums[1], rel=1e-9, abs=1e-13)


def test_the_control_has_the_full_gradient():
    rng = np.random.default_rng(3)
    symbols, classes = problem.make_batch(rng, 4, 2, "short")
    start = problem.init("rnn", rng, 4, "short")
    weights = {name: w.astype(float) for name, w in start.items()}
    layer = problem.hidden_layer("rnn", 4, 2, "short", float)

    def loss():
        o, _ = problem.forward(layer, weights, symbols)
        return float((problem.off_target(o, classes) ** 2).sum() / 2)

    o, y = problem.forward(layer, weights, symbols)
    grads = problem.backward(layer, weights, o, y, problem.off_target(o, classes))
    assert problem.worst_relative_error(loss, weights, grads) < 1e-5


def test_knowing_two_of_three_marks_is_never_right():
    outputs = np.array([[[0.5, 0.5, 0, 0, 0, 0, 0, 0]] * 8])
    right, largest, _ = problem.score(outputs, np.arange(8))
    assert not right.any() and largest.mean() == 1 / 8
    assert problem.score(np.eye(8)[None] * 0.8, np.arange(8))[0].all()


@pytest.mark.parametrize("batch", [1, 4])
def test_the_criterion_wants_2000_right_in_a_row_and_a_small_error(batch):
    criterion = problem.Criterion(3)
    near, poor, wrong = np.full(8, 0.05), np.full(8, 0.2), np.array([0.31, *[0] * 7])
    for k in range(1, 2201):
        off = np.array([near, poor, wrong if k == 100 else near])[:, :, None]
        if k % batch == 0:
            done = criterion.add(np.repeat(off, batch, 2))
            assert done.tolist() == [k >= 2000, False, k >= 2100]


def test_sequences_of_a_step_are_judged_in_turn():
    criterion = problem.Criterion(1)
    criterion.add(np.array([[[0.1, 0.4, 0.1, 0.1]]]))
    assert criterion.in_a_row.tolist() == [2]
    assert criterion.error() == pytest.approx([0.175])


def test_a_net_that_stopped_is_left_as_it_was():
    kept = {}

    def watch(step, total, marks, learning, error, weights):
        kept.setdefault(learning, weights["W"].copy())  # kept[1]: just after the first stopped

    result = problem.run(problem.Config(**problem.QUICK), watch)
    assert result.metrics["solved"] == 2
    first = 1 - result.history["net"][-1]
    W = result.nets["lstm"]["W"]
    assert (W[first] == kept[1][first]).all() and (W[1 - first] != kept[1][1 - first]).any()
