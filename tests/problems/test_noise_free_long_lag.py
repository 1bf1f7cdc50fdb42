"""Noise-free long lags: sequences, gradients by hand, success, the plain and the fast form."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("noise-free-long-lag")


def test_sequences_of_2a_and_2b():
    rng, p, keys = np.random.default_rng(1), 6, set()
    for _ in range(20):
        inputs, targets = problem.sequence_2a(rng, 3, p)
        assert (targets[:, :-1] == inputs[:, 1:]).all() and (targets[:, -1] == inputs[:, 0]).all()
        assert (inputs[:, 1:] == np.arange(p - 1)).all()
        keys |= set(inputs[:, 0].tolist())
    inputs, key = problem.sequence_2b(rng, 3000, p)
    assert inputs.shape == (3000, p) and (key[:, 0] == inputs[:, 0]).all()
    assert keys == set(inputs[:, 0].tolist()) == {p - 1, p}
    assert np.bincount(inputs[:, 1:].ravel()).tolist() == pytest.approx([3000] * 5, rel=0.1)


def test_sequences_of_2c():
    rng, q, p, extra = np.random.default_rng(2), 8, 5, []
    for _ in range(400):
        symbols, classes = problem.make_batch_2c(rng, 2, 3, q, p)
        assert (symbols[0] == p + 1).all() and (symbols[-1] == p).all()
        assert (symbols[1] == p + 2 + classes).all() and (symbols[2:-1] < p).all()
        extra.append(len(symbols) - 3 - q)
    assert min(extra) == 0 and np.mean(extra) == pytest.approx(9, rel=0.2)  # geometric from 0
    assert np.mean(np.array(extra) == 0) == pytest.approx(0.1, abs=0.05)


def test_the_nets_have_the_papers_weights():
    rng = np.random.default_rng(0)
    weights = problem.init(rng, 1, 100, -4)
    assert sum(w.size for w in weights.values()) == 10_504
    assert sum(w.size for w in problem.init_2c(rng, 1, 50).values()) == 6 * 50 + 64


def cross_entropy(o, targets):
    hit = np.take_along_axis(o, targets[:, :, None], 2)
    return float(-np.log(1 - o).sum() - np.log(hit).sum() + np.log(1 - hit).sum())


@pytest.mark.parametrize("task", ["2a", "2b"])
def test_the_gradient_of_the_cell(task):
    rng, p = np.random.default_rng(3), 7
    weights = {name: w.astype(float) for name, w in problem.init(rng, 2, p, -1).items()}
    sequence, asked = (problem.sequence_2a, p) if task == "2a" else (problem.sequence_2b, 1)
    inputs, targets = sequence(rng, 2, p)
    s, o = problem.forward(weights, inputs, asked)
    grads = problem.backward(weights, inputs, s, problem.off_target(o, targets))

    def loss():
        return cross_entropy(problem.forward(weights, inputs, asked)[1], targets)

    assert problem.worst_relative_error(loss, weights, grads) < 1e-6


def test_the_gradient_of_the_unit():
    rng, p = np.random.default_rng(4), 7
    weights = {name: w.astype(float) for name, w in problem.init(rng, 2, p, 0).items()}
    weights["r"] = rng.normal(size=2)
    inputs, targets = problem.sequence_2a(rng, 2, p)
    y, o = problem.forward_unit(weights, inputs)
    grads = problem.backward_unit(weights, inputs, y, problem.off_target(o, targets))

    def loss():
        return cross_entropy(problem.forward_unit(weights, inputs)[1], targets)

    assert problem.worst_relative_error(loss, weights, grads) < 1e-5


def solution(p):
    """A cell that takes in x alone, and outputs that read it: 2a, solved by hand."""
    weights = {name: np.zeros((1, p + 1)) for name in "CIw"}
    weights["D"] = np.full((1, p + 1, p + 1), -20.0)
    weights["C"] += 20
    weights["I"] += -20
    weights["I"][:, p - 1] = 20  # x
    for symbol in range(p - 2):
        weights["D"][0, symbol, symbol + 1] = 20
    weights["D"][0, p - 1 :, 0] = 20
    weights["D"][0, p - 2, p - 1 :] = -5, 5
    weights["w"][0, p - 1 :] = 10, -10
    return weights


def test_success_in_2a_is_all_outputs_at_all_steps():
    p = 9
    weights = solution(p)

    def largest(cell=True):
        run = lambda x: problem.forward(weights, x, p, cell)[1]  # noqa: E731
        return problem.largest_error_2a(run, 1, p)

    assert largest() < 0.01 and largest(cell=False) > 0.99
    weights["D"][0, 2, 5] = 0  # one output, at one step
    assert largest() == pytest.approx(0.5)


def test_success_in_2b_is_at_the_end():
    p, rng = 9, np.random.default_rng(5)
    weights = solution(p)
    assert problem.largest_error_2b(weights, p, rng) > 0.99  # the last symbol tells nothing here
    weights["D"][0, : p - 1] = -20
    weights["D"][0, : p - 1, p - 1 :] = -5, 5
    assert problem.largest_error_2b(weights, p, rng) < 0.01


def test_2c_with_and_without_history():
    rng, (q, p) = np.random.default_rng(6), (9, 4)
    weights = problem.init_2c(rng, 2, p)
    symbols, classes = problem.make_batch_2c(rng, 2, 3, q, p)
    layer = problem.MemoryBlocks(2, problem.UNITS, problem.BLOCKS, 1, 3, len(symbols))
    o, _ = problem.forward_2c(layer, weights, symbols, -1.5)
    assert o == pytest.approx(problem.outputs_2c(weights, symbols, -1.5), abs=1e-6)
    off = problem.off_target_2c(np.array([[[0.9], [0.3]]]), np.array([[0]]))
    assert off.ravel().tolist() == pytest.approx([-0.1, 0.3])


def test_the_plateau_is_less_than_one_percent_in_500():
    flat, falling = [1.0] * 1000, np.linspace(1, 0.5, 1000).tolist()
    assert problem.plateau(flat) and not problem.plateau(falling)
    assert not problem.plateau(flat[:-1]) and not problem.plateau([1.0] * 500 + [0.98] * 500)
