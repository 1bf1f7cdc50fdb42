"""Timed spikes: the cell against plain formulas, gradients, streams, the test."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("timing-counting-spikes")


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def plain(P, inputs):
    """Outputs of one net (18,) on a sequence of inputs, number by number."""
    y = s = 0.0
    outputs = []
    for x in inputs:
        a = P[0] * x + P[1] * y + P[2]
        i = sigmoid(P[4] * x + P[5] * y + P[6] + P[7] * s)
        q = sigmoid(P[8] * x + P[9] * y + P[10] + P[11] * s)
        before = y
        s = q * s + i * a
        o = sigmoid(P[12] * x + P[13] * before + P[14] + P[15] * s)
        y = o * s
        outputs.append(P[16] * y + P[17])
    return outputs


def test_a_step_is_the_plain_one():
    rng = np.random.default_rng(1)
    P, x = rng.normal(0, 0.7, (18, 3)), rng.normal(size=(6, 3))
    P[3] = 0
    y, s = np.zeros(3), np.zeros(3)
    for t, now in enumerate(x):
        *_, s, y, net = problem.step(P, now, y, s, np.full(3, True))
        for k in range(3):
            assert net[k] == pytest.approx(plain(P[:, k], x[: t + 1, k])[-1])


def test_a_net_has_17_weights():
    _, exist = problem.start(np.random.default_rng(0), (problem.GTS10,))
    assert exist[:, 0].sum() == 17
    rows = problem.PARTS["gts"]
    counts = [problem.start(np.random.default_rng(0), (row,))[1][:, 0].sum() for row in rows]
    assert counts == [17, 14, 13]  # no peepholes; no forget gate


@pytest.mark.parametrize("forget", [True, False])
def test_the_truncated_gradient_of_nmsd(forget):
    rng = np.random.default_rng(2)
    row = replace(problem.NMSD_ROWS[0], F=5, nets=2, spread=0.5, forget=forget, output=(1.0, 0.1))
    P, exist = problem.start(rng, (row,))
    flags = np.full(2, forget)
    out, g = problem.delays(P, row)

    def states(k):
        """X and the X of o at all steps of sequence k, as the weights now are."""
        y, s, given = np.zeros(2), np.zeros(2), []
        for t in range(row.F + k + 1):
            x = float(t in (0, row.F + k))
            X, X_o, *_, s, y, _ = problem.step(P, x, y, s, flags)
            given.append((X, X_o))
        return given

    given = [states(0), states(1)]

    def loss():
        total = 0.0
        W = P[:16].reshape(4, 4, -1)
        for k in (0, 1):
            s = 0.0
            for X, _ in given[k]:
                i, q = problem.logistic((W[1:3] * X).sum(1))
                s = (q if forget else 1.0) * s + i * (W[0, :3] * X[:3]).sum(0)
            o = problem.logistic((W[3] * given[k][-1][1]).sum(0))
            total += ((problem.logistic(P[16] * o * s + P[17]) - k) ** 2).sum() / 2
        return float(total)

    g = g * exist
    assert problem.worst_relative_error(loss, {"P": P}, {"P": g}) < 1e-6
    assert out.shape == (2, 2)


def test_targets():
    rows = (replace(problem.GTS10, nets=1), replace(problem.PARTS["rows"][3], nets=1))
    stack = problem.Stack(rows, np.random.default_rng(0), False)
    seen = np.array([stack.target(np.array([t, t])) for t in range(1, 101)])
    assert np.flatnonzero(seen[:, 0]).tolist() == [9, 19, 29, 39, 49, 59, 69, 79, 89, 99]
    steps = np.arange(1, 101)
    assert seen[:, 1] == pytest.approx((1 - np.cos(2 * np.pi * steps / 25)) / 2)


def test_a_stream_ends_at_its_first_wrong_step():
    """Without input and weights the output is 1/2 for ever: wrong at once."""
    stack = problem.Stack((replace(problem.GTS10, nets=2),), np.random.default_rng(0), True)
    stack.P[:] = 0
    for number in range(1, 6):
        stack.advance(number)
        stack.P[:], stack.speed[:] = 0, 0
    assert stack.streams.tolist() == [5, 5] and (stack.t == 0).all() and (stack.best == 0).all()
    stack.P[17] = -6  # silent: wrong where the first spike is due
    for number in range(6, 16):
        stack.advance(number)
        stack.P[:], stack.speed[:], stack.P[17] = 0, 0, -6
    assert stack.streams.tolist() == [6, 6] and (stack.best < 1).all()


def test_a_full_stream_and_its_test_are_what_plain_formulas_say():
    stack = problem.Stack((replace(problem.GTS10, F=8, nets=8),), np.random.default_rng(1), False)
    for number in range(1, 30_000):
        before = stack.P.copy()
        full, made = stack.advance(number)
        if full.any():
            break
    net = int(full.argmax())
    assert (made[:, 0] == before[:, net]).all() and (made[:, 0] != stack.P[:, net]).any()
    outputs = 1 / (1 + np.exp(-np.array(plain(before[:, net], [0.0] * 8000))))
    due = np.arange(1, 8001) % 8 == 0
    wrong = np.flatnonzero(np.abs(outputs - due) >= 0.49)
    assert len(wrong) == 0 or wrong[0] >= 800  # a hundred spikes
    periods, _ = stack.test(before[:, [net]], np.array([net]))
    assert periods[0] == (1000 if len(wrong) == 0 else wrong[0] // 8)


def test_the_test_counts_periods_to_the_first_wrong_step():
    stack = problem.Stack((replace(problem.GTS10, nets=2),), np.random.default_rng(0), False)
    P = np.zeros((18, 2))
    P[17] = -6
    periods, _ = stack.test(P, np.array([0, 1]))
    assert periods.tolist() == [0, 0]
