"""A chunker of three levels: sequences, gradients, what is passed on, a stack set by hand."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("chunker-very-deep-1200")


def test_sequences():
    symbols, classes = problem.make_sequences(np.random.default_rng(1), 50, 60)
    assert symbols.shape == (1202, 50) and set(classes) == {0, 1}
    assert (symbols[0] == classes).all() and (symbols[-1] == 25 + classes).all()
    words = symbols[1:-1, 0].reshape(60, 20)
    assert words[:, 0].tolist() == [2, 3, 4, 5] * 15
    assert (words[:, 1:] == np.arange(6, 25)).all()
    assert (symbols[1:-1] == symbols[1:-1, :1]).all()  # nothing but the class differs


def plain_gradients(net, symbols, targets, weight, back):
    """Errors taken back step by step, one after the other."""
    w, (n, count) = net.w, symbols.shape
    h, o = net.forward(symbols)
    grads = {name: np.zeros_like(value) for name, value in w.items()}
    for s in range(count):
        for t in range(n):
            e = o[t, s] - (np.arange(o.shape[2]) == targets[t, s])
            slope = 1 - h[1:, s] ** 2
            if not net.softmax:
                e, slope = e * o[t, s] * (1 - o[t, s]), h[1:, s] * (1 - h[1:, s])
            e = e * weight[t, s]
            grads["V"] += np.outer(h[t + 1, s], e)
            grads["c"] += e
            d = w["V"] @ e * slope[t]
            for k in range(t, max(-1, t - (back or n)), -1):
                grads["U"][symbols[k, s]] += d
                grads["b"] += d
                grads["R"] += np.outer(h[k, s], d)
                d = w["R"] @ d * slope[k - 1]
    return grads


@pytest.mark.parametrize("softmax", [True, False])
@pytest.mark.parametrize("back", [1, 3, 0])
def test_the_fast_gradient_is_the_plain_one(softmax, back):
    rng = np.random.default_rng(2)
    net = problem.Elman(rng, 4, 6, softmax)
    symbols, weight = rng.integers(0, 6, (8, 2)), rng.random((7, 2))
    h, o = net.forward(symbols[:-1])
    _, fast = net.gradients(symbols[:-1], h, o, symbols[1:], weight, back)
    plain = plain_gradients(net, symbols[:-1], symbols[1:], weight, back)
    for name, gradient in fast.items():
        assert gradient == pytest.approx(plain[name], rel=1e-9, abs=1e-12)


def test_learning_on_line_takes_the_gradient_of_every_step():
    rng = np.random.default_rng(3)
    net = problem.Elman(rng, 4, 6, softmax=False)
    start = {name: w.copy() for name, w in net.w.items()}
    problem.read_and_learn(net, np.array([1, 4]), 0.5)  # a single step
    again = problem.Elman(rng, 4, 6, softmax=False)
    again.w = start
    plain = plain_gradients(again, np.array([[1]]), np.array([[4]]), np.ones((1, 1)), 3)
    for name, w in net.w.items():
        assert w == pytest.approx(start[name] - 0.5 * plain[name])


def test_a_text_of_one_symbol_teaches_nothing():
    net = problem.Elman(np.random.default_rng(5), 4, 6, softmax=False)
    before = {name: w.copy() for name, w in net.w.items()}
    assert problem.read_and_learn(net, np.array([1]), 1.0).shape == (0, 6)
    assert all((net.w[name] == w).all() for name, w in before.items())


class ByHand:
    """A predictor that knows, with certainty, what follows each symbol it has been told of."""

    def __init__(self, follows):
        self.follows = follows

    def forward(self, symbols):
        o = np.full((*symbols.shape, problem.SYMBOLS), 1 / problem.SYMBOLS)
        for place, symbol in np.ndenumerate(symbols):
            if symbol in self.follows:
                o[place] = np.arange(problem.SYMBOLS) == self.follows[symbol]
        return None, o


def test_a_stack_set_by_hand_compresses_1202_symbols_to_61_and_to_2():
    symbols, classes = problem.make_sequences(np.random.default_rng(4), 6, 60)
    tail = {2 + k: 6 for k in range(4)} | {6 + k: 7 + k for k in range(18)} | {0: 2, 1: 2}
    heads = {0: 3, 1: 3, 2: 3, 3: 4, 4: 5, 5: 2}
    first = problem.unexpected(ByHand(tail), symbols)
    second = problem.unexpected(ByHand(heads), first)
    assert first.shape[0] == 61 and (first >= 0).all()
    assert (first[0] == classes).all() and first[1:5, 0].tolist() == [3, 4, 5, 2]
    assert second.shape[0] == 2 and (second[1] == 25 + classes).all()
    top = ByHand({0: 25, 1: 26})
    nets = [ByHand(tail), ByHand(heads), top]
    assert problem.accuracy(nets, symbols, classes) == 1
    assert problem.accuracy(nets[:2], symbols, classes, problem.BOTH) < 1


def test_what_is_unexpected():
    symbols = np.array([[3, 3], [4, 5], [4, -1]])
    passed = problem.unexpected(ByHand({3: 4}), symbols)
    assert passed.tolist() == [[3, 3], [4, 5]]  # 4 was expected behind 3, and nothing behind 4
    assert problem.compact(symbols, np.zeros((3, 2), bool)).tolist() == [[-1, -1]]


def test_a_short_stack_learns_all_of_it():
    result = problem.run(problem.Config(words=24, standard=False))
    assert result.metrics["accuracy"] == 1 and result.metrics["length_2"] == 2
    assert result.metrics["length_1"] == 25 and result.metrics["cut_accuracy"] < 0.7
