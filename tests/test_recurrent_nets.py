"""Memory blocks and tanh net: a slow form in loops, gradients by central differences."""

import math

import numpy as np
import pytest

from catalog.idioms.gradient_check import worst_relative_error
from catalog.idioms.memory_blocks import MemoryBlocks, logistic
from catalog.idioms.tanh_net import TanhNet

NETS, INPUTS, BLOCKS, SIZE, BATCH, STEPS = 2, 3, 2, 2, 3, 6
UNITS, CELLS = BLOCKS * (2 + SIZE), BLOCKS * SIZE


def example(units, every, outputs, seed=0):
    """Weights, inputs and errors at the outputs of the last step, or of every one."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(NETS, units, INPUTS + 1 + units)) / 2
    x = rng.normal(size=(STEPS, NETS, INPUTS, BATCH))
    e = rng.normal(size=(*[STEPS] * every, NETS, outputs, BATCH))
    return W, x, e


def plain_blocks(W, xs, es):
    """y_c of every step, and the truncated gradient of sum e y_c, for one net and one sequence.

    W: rows of weights; xs: inputs a step; es: errors at y_c a step. Every cell carries ds_c/dw
    forward for its own weights and its input gate's, y(t-1) taken as given.
    """
    f = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    width, outputs = len(W[0]), []
    s, y = [0.0] * CELLS, [0.0] * UNITS
    ds_in, ds_c, dW = (np.zeros((rows, width)) for rows in (CELLS, CELLS, UNITS))
    for x, e in zip(xs, es, strict=True):
        u = np.array([*x, 1.0, *y])
        net = [sum(w * v for w, v in zip(row, u, strict=True)) for row in W]
        y = [f(net[k]) for k in range(2 * BLOCKS)] + [0.0] * CELLS
        for c in range(CELLS):
            j = c // SIZE
            y_in, y_out, g = y[j], y[BLOCKS + j], 4 * f(net[2 * BLOCKS + c]) - 2
            s[c] += y_in * g
            h = 2 * f(s[c]) - 1
            ds_in[c] += g * y_in * (1 - y_in) * u
            ds_c[c] += y_in * (1 - g * g / 4) * u
            y[2 * BLOCKS + c] = y_out * h
            dW[j] += e[c] * y_out * (1 - h * h) / 2 * ds_in[c]
            dW[2 * BLOCKS + c] += e[c] * y_out * (1 - h * h) / 2 * ds_c[c]
            dW[BLOCKS + j] += e[c] * h * y_out * (1 - y_out) * u
        outputs.append(y[2 * BLOCKS :])
    return np.array(outputs), dW


@pytest.mark.parametrize("every", [False, True])
def test_memory_blocks_equal_the_plain_form(every):
    W, x, e = example(UNITS, every, CELLS)
    net = MemoryBlocks(NETS, INPUTS, BLOCKS, SIZE, BATCH, STEPS + 2, np.float64)
    y, dW = net.forward(W, x), net.backward(e)
    errors = np.zeros((STEPS, *e.shape[-3:]))
    errors[STEPS - (STEPS if every else 1) :] = e
    for k in range(NETS):
        total = np.zeros_like(dW[k])
        for b in range(BATCH):
            plain, gradient = plain_blocks(W[k], x[:, k, :, b], errors[:, k, :, b])
            assert np.allclose(plain, y[:, k, :, b], rtol=1e-12, atol=1e-14)
            total += gradient
        assert np.allclose(total, dW[k], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("every", [False, True])
def test_truncated_gradient_by_differences_through_the_cut_graph(every):
    W, x, e = example(UNITS, every, CELLS, 1)
    net = MemoryBlocks(NETS, INPUTS, BLOCKS, SIZE, BATCH, STEPS, np.float64)
    net.forward(W, x)
    fed_back = net.U[:STEPS, :, INPUTS + 1 :] / 2  # y(t-1), a constant from here on

    def loss():
        ones = np.ones((STEPS, NETS, 1, BATCH))
        sums = W @ np.concatenate([x, ones, fed_back], 2)
        y = logistic(sums)
        y_in, y_out = (y[:, :, k : k + BLOCKS].repeat(SIZE, 2) for k in (0, BLOCKS))
        s = (y_in * (4 * logistic(sums[:, :, 2 * BLOCKS :]) - 2)).cumsum(0)
        y_c = y_out * (2 * logistic(s) - 1)
        return float((e * (y_c if every else y_c[-1])).sum())

    grads = {"W": net.backward(e)}
    assert worst_relative_error(loss, {"W": W}, grads) < 1e-6


def test_buffers_can_be_used_again_for_shorter_sequences():
    W, x, e = example(UNITS, True, CELLS)
    net, fresh = (MemoryBlocks(NETS, INPUTS, BLOCKS, SIZE, BATCH, STEPS) for _ in range(2))
    W = W.astype(np.float32)
    net.forward(W, x)
    net.backward(e)
    assert (net.forward(W, x[:3] * 2) == fresh.forward(W, x[:3] * 2)).all()
    assert (net.backward(e[0]) == fresh.backward(e[0])).all()
    assert net.backward(e[0]).dtype == np.float32


def test_a_stream_for_all_nets_is_the_same_as_one_for_each():
    W, x, _ = example(UNITS, True, CELLS)
    net = MemoryBlocks(NETS, INPUTS, BLOCKS, SIZE, BATCH, STEPS, np.float64)
    shared = net.forward(W, x[:, :1])
    assert np.array_equal(shared, net.forward(W, x[:, [0, 0]]))


@pytest.mark.parametrize("every", [False, True])
def test_tanh_net_by_central_differences(every):
    W, x, e = example(5, every, 5, 2)
    net = TanhNet(NETS, INPUTS, 5, BATCH, STEPS + 1, np.float64)

    def loss():
        y = net.forward(W, x)
        return float((e * (y if every else y[-1])).sum())

    loss()
    assert worst_relative_error(loss, {"W": W}, {"W": net.backward(e)}) < 1e-6


def test_tanh_net_equals_the_plain_form():
    W, x, _ = example(5, True, 5, 3)
    y = np.zeros((NETS, 5, BATCH))
    for t, out in enumerate(TanhNet(NETS, INPUTS, 5, BATCH, STEPS, np.float64).forward(W, x)):
        y = np.tanh(W[:, :, :INPUTS] @ x[t] + W[:, :, INPUTS, None] + W[:, :, INPUTS + 1 :] @ y)
        assert np.allclose(out, y)
