"""The self-referential weight matrix: task, plain form, gradients, addresses, controls."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("self-referential-weight-matrix")


def test_a_block_shows_and_asks_each_point_once():
    episodes = problem.make_batch(np.random.default_rng(0), problem.F4, 8, blocks=2)
    assert (np.sort(episodes.point.reshape(4, 4, 8), 1) == np.arange(4)[:, None]).all()
    for n, function in enumerate(np.repeat(episodes.function, 8, 0)):
        assert (episodes.label[n] == problem.TABLES[function, episodes.point[n]]).all()
    assert [t for t in range(16) if episodes.border(t)] == [4, 12]
    assert (np.sort(episodes.function[0])[::2] == np.sort(problem.F4)).all()


def test_functions_have_their_names():
    x1, x2 = problem.POINTS.T > 0
    tables = problem.TABLES > 0
    assert (tables[problem.AND] == (x1 & x2)).all()
    assert (tables[problem.OR] == (x1 | x2)).all()
    assert (tables[problem.XOR] == (x1 ^ x2)).all()
    assert (tables[problem.NAND] == ~(x1 & x2)).all()
    assert (tables[problem.ONLY_FIRST] == (x1 & ~x2)).all()
    best = np.maximum(tables[list(problem.F4)].mean(0), 1 - tables[list(problem.F4)].mean(0))
    assert best.mean() == 0.6875
    assert (tables[list(problem.HELD_OUT)].mean(0) == 0.5).all()


def test_the_fast_form_is_the_plain_one():
    rng = np.random.default_rng(1)
    layout = problem.Layout(9, 0, np.float64)
    W1 = rng.normal(0, 0.3, (layout.units, layout.columns))
    episodes = problem.make_batch(rng, problem.F4, 2)
    outputs, _, last = problem.forward(layout, W1, episodes)
    W, y, evaluation, val = W1.tolist(), [0.0] * layout.units, 0.0, 0.0
    for t in range(8):
        if t == 4:
            y, evaluation, val = [0.0] * layout.units, 0.0, 0.0
        for _ in range(problem.REPEAT):
            x = problem.POINTS[episodes.point[t, 1]].tolist()
            y, val, W = problem.step_plain(layout, W, x, evaluation, val, y)
            evaluation = float(episodes.label[t, 1]) - y[0] if t < 4 else 0.0
        assert outputs[t, 1] == pytest.approx(y[0], abs=1e-12)
    assert np.abs(np.array(W) - last[1]).max() < 1e-12
    assert np.abs(last[1] - W1).max() > 1e-3


def test_gradients():
    assert problem.check_recursion(np.random.default_rng(2)) < 1e-6
    for mode in ("writes", "frozen", "restored"):
        assert problem.check_modern(np.random.default_rng(3), mode) < 1e-5


@pytest.mark.parametrize("mode", ["frozen", "restored"])
def test_gradients_of_the_controls(mode):
    rng = np.random.default_rng(4)
    layout = problem.Layout(9, 0, np.float64)
    W = rng.normal(0, 0.3, (layout.units, layout.columns))
    episodes = problem.make_batch(rng, problem.F4, 2)
    said, tape, _ = problem.forward(layout, W, episodes, mode)
    grad = problem.backward(layout, episodes, said, tape, mode)

    def loss():
        said = problem.forward(layout, W, episodes, mode)[0]
        return float(((said - episodes.label)[~episodes.shown] ** 2).sum() / 4)

    assert problem.worst_relative_error(loss, {"W": W}, {"W": grad}, most=20) < 1e-6


def test_every_weight_has_an_address_of_its_own():
    layout = problem.Layout()
    assert layout.connections == 924 and layout.units == 28
    assert len(np.unique(layout.adr, axis=0)) == 924
    foci = layout.foci(layout.adr[:50])
    assert (foci.argmax(1) == np.arange(50)).all() and np.allclose(foci.max(1), 1)
    with pytest.raises(ValueError):
        problem.Layout(8, 0)


def test_a_write_reaches_the_rows_that_write():
    weights = problem.initial_weights(np.random.default_rng(5), "literal")
    assert 0.5 < problem.writes_to_itself(weights, 5) < 1


@pytest.mark.parametrize("part", ["literal", "modern"])
def test_restored_weights_forget_the_demonstrations(part):
    weights = problem.initial_weights(np.random.default_rng(6), part)
    episodes = problem.make_batch(np.random.default_rng(7), problem.F16, 16)
    other = problem.make_batch(np.random.default_rng(8), problem.F16, 16)
    other.point[4:], other.label[4:] = episodes.point[4:], episodes.label[4:]
    for mode, same in (("writes", False), ("restored", True), ("frozen", True)):
        first = problem.answer(weights, part, episodes, mode)[0][4:]
        second = problem.answer(weights, part, other, mode)[0][4:]
        assert np.allclose(first, second, atol=1e-6) == same
