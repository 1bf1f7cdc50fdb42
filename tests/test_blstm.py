"""The bidirectional LSTM: a plain form in loops, padding, its gradient by central differences."""

import numpy as np
import pytest

from catalog.idioms.blstm import blstm_backward, blstm_forward, blstm_weights, turned
from catalog.idioms.gradient_check import worst_relative_error

INPUTS, CELLS, LENGTHS = 3, 2, np.array([5, 1, 7, 4])
BATCH, STEPS = len(LENGTHS), 7


def example(directions, seed=0):
    rng = np.random.default_rng(seed)
    W = blstm_weights(rng, INPUTS, CELLS, directions, 0.7, 0.3, np.float64)
    x = rng.normal(size=(STEPS, BATCH, INPUTS))
    e = rng.normal(size=(STEPS, BATCH, directions * CELLS))
    return W, x, e * (np.arange(STEPS)[:, None] < LENGTHS)[:, :, None]


def plain_lstm(W, xs):
    """The outputs h of one direction for one sequence, step by step."""
    c, h, outputs = np.zeros(CELLS), np.zeros(CELLS), []
    for x in xs:
        i, f, g, o = np.split(W @ np.concatenate([x, [1], h]), 4)
        i, f, o = (1 / (1 + np.exp(-net)) for net in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        outputs.append(h)
    return np.array(outputs)


@pytest.mark.parametrize("directions", [1, 2])
def test_forward_equals_the_plain_form(directions):
    W, x, _ = example(directions)
    y, _ = blstm_forward(W, x, LENGTHS)
    for b, n in enumerate(LENGTHS):
        sides = [plain_lstm(W[0], x[:n, b])]
        if directions == 2:
            sides.append(plain_lstm(W[1], x[:n, b][::-1])[::-1])
        np.testing.assert_allclose(y[:n, b], np.concatenate(sides, 1), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("directions", [1, 2])
def test_gradient_by_central_differences(directions):
    W, x, e = example(directions, 1)
    _, memory = blstm_forward(W, x, LENGTHS)
    grads = {"W": blstm_backward(W, memory, e)}
    loss = lambda: float((e * blstm_forward(W, x, LENGTHS)[0]).sum())  # noqa: E731
    assert worst_relative_error(loss, {"W": W}, grads, most=200) < 1e-6


def test_padding_changes_nothing():
    W, x, e = example(2, 2)
    kept = e.copy()
    _, memory = blstm_forward(W, x, LENGTHS)
    before = blstm_backward(W, memory, e)
    other = np.where((np.arange(STEPS)[:, None] < LENGTHS)[:, :, None], x, 100.0)
    _, memory = blstm_forward(W, other, LENGTHS)
    np.testing.assert_allclose(blstm_backward(W, memory, e), before, rtol=1e-12)
    assert (e == kept).all()


def test_turned_twice_is_the_same():
    _, x, _ = example(2, 3)
    once = turned(x, LENGTHS)
    assert (turned(once, LENGTHS) == x).all()
    assert (once[:4, 3] == x[3::-1, 3]).all() and (once[4:, 3] == x[4:, 3]).all()


def test_precision_and_forget_bias():
    W = blstm_weights(np.random.default_rng(0), INPUTS, CELLS)
    assert (W[:, CELLS : 2 * CELLS, INPUTS] == 1).all() and abs(W).max() == 1
    y, memory = blstm_forward(W, np.ones((2, 1, INPUTS), np.float32), np.array([2]))
    assert y.dtype == blstm_backward(W, memory, np.ones_like(y)).dtype == np.float32
