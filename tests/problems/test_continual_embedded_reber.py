"""Continual embedded Reber grammar: streams, the cell, its gradient two ways, and the test."""

import re

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("continual-embedded-reber")
ALL = list(problem.KINDS)


def empty():
    return {"net": [], "strings": [], "right": []}


def test_a_stream_is_strings_that_follow_each_other():
    symbols, states = problem.stream(np.random.default_rng(1), 5000)
    text = "".join(problem.SYMBOLS[s] for s in symbols)
    assert len(text) == len(states) == 5000
    starts = np.flatnonzero(states[:-1] == 0) + 1
    assert all(text[k] == "B" for k in starts)
    rows = np.split(symbols, starts)[:-1]
    for row in rows:
        assert re.fullmatch(r"B([TP])B[TPSXV]+E\1E", "".join(problem.SYMBOLS[s] for s in row))


def test_states_name_what_may_follow():
    symbols, states = problem.stream(np.random.default_rng(2), 20_000)
    assert problem.LEGAL[states[:-1], symbols[1:]].all()
    assert problem.LEGAL[0].sum() == 1 and problem.LEGAL[0, 0]  # after a string only B


def test_the_net_has_the_papers_424_weights():
    nets = problem.Nets(ALL, np.random.default_rng(0))
    count = nets.exists.sum((1, 2)) + nets.weights["V"][0].size
    assert count.tolist() == [424, 424 - 64, 424 - 64, 424 - 64]
    W = nets.weights["W"][0]
    assert W[problem.I, problem.BIAS].tolist() == [-0.5, -1, -1.5, -2]
    assert W[problem.Q, problem.BIAS].tolist() == [0.5, 1, 1.5, 2]
    assert (W[problem.C, problem.BIAS] == 0).all()


def test_the_gradient_is_what_traces_carried_forward_give():
    """The paper's form, ds/dw carried forward, sums up to what errors give going backwards."""
    rng = np.random.default_rng(3)
    nets = problem.Nets(ALL, rng, float)
    nets.weights = {name: 2 * w for name, w in nets.weights.items()}
    symbols, targets = rng.integers(0, 7, (2, 8))
    s, y = rng.normal(size=(2, 4, problem.CELLS))
    run = nets.run(symbols, s, y)
    backwards = nets.gradients(run, nets.outputs(run[-1]), targets)
    traces, sums = problem.Traces(nets), {"W": 0, "V": 0}
    for symbol, target in zip(symbols, targets, strict=True):
        s, y, _, grads = traces.step(symbol, target, s, y)
        sums = {name: sums[name] + grads[name] for name in sums}
    for name, gradient in backwards.items():
        assert gradient == pytest.approx(sums[name], rel=1e-9, abs=1e-12)
    assert s == pytest.approx(run[2][-1])


def test_reading_streams_is_running_one():
    rng = np.random.default_rng(4)
    nets = problem.Nets(ALL, rng)
    symbols, states = (part[:, None] for part in problem.stream(rng, 60))
    starts = np.zeros(symbols.shape, bool)
    starts[1:] = states[:-1] == 0
    zero = np.zeros((4, problem.CELLS, 1), np.float32)
    seen, _, _ = problem.read(nets, symbols, starts, zero, zero)
    s = y = np.zeros((4, problem.CELLS), np.float32)
    for t in range(60):
        if starts[t, 0]:
            s, y = np.where(nets.reset[:, None], 0, (s, y))
        run = nets.run(symbols[t], s, y)
        s, y = run[2][-1], run[-1][-1, :, problem.Y]
        assert seen[t, :, :, 0] == pytest.approx(y, abs=1e-6)


def test_right_wants_all_legal_outputs_above_all_others():
    two = next(state for state in range(18) if problem.LEGAL[state].sum() == 2)
    a, b = np.flatnonzero(problem.LEGAL[two])
    o = np.full(7, 0.1)
    o[[a, b]] = 0.5, 0.3
    assert problem.right(o, two)
    o[(set(range(7)) - {a, b}).pop()] = 0.4
    assert not problem.right(o, two)


def test_lengths_are_those_of_the_first_wrong_step():
    rng = np.random.default_rng(5)
    nets = problem.Nets(["forget", "decay"], rng)
    problem.train(problem.Config(nets=1, strings=1500), nets, rng, empty(), None)
    lengths = problem.test(nets, np.random.default_rng(6), 3000)
    assert lengths.shape == (2, problem.STREAMS) and (lengths < 3000).all()
    # the same streams, one net, one stream at a time, symbol by symbol
    rng = np.random.default_rng(5)
    nets = problem.Nets(["forget", "decay"], rng)
    problem.train(problem.Config(nets=1, strings=1500), nets, rng, empty(), None)
    rng = np.random.default_rng(6)
    for j in range(2):
        symbols, states = problem.stream(rng, 3000)
        run = nets.run(symbols[:200], *np.zeros((2, 2, problem.CELLS), np.float32))
        good = problem.right(nets.outputs(run[-1]), states[:200, None])
        for k in range(2):
            first = np.flatnonzero(~good[:, k])
            assert lengths[k, j] == (first[0] if len(first) else lengths[k, j])


def test_streams_end_at_mistakes():
    """A net that is always wrong begins every string with empty states."""
    rng = np.random.default_rng(7)
    nets = problem.Nets(["none"], rng)
    seen, original = [], nets.run

    def watched(symbols, s, y):
        seen.append(float(np.abs(s).max()))
        return original(symbols, s, y)

    nets.run = watched
    problem.train(problem.Config(nets=1, strings=30), nets, rng, empty(), None)
    assert seen == [0.0] * 30
