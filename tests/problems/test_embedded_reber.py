"""Embedded Reber grammar: strings, sets, judging, which connections exist, gradients."""

import re

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("embedded-reber")


def text(symbols):
    return "".join(problem.SYMBOLS[s] for s in symbols if s >= 0)


def walk(string):
    """Whether a string is a Reber string, by the graph as the literature draws it."""
    graph = {
        0: {"T": 1, "P": 2},
        1: {"S": 1, "X": 3},
        2: {"T": 2, "V": 4},
        3: {"X": 2, "S": 5},
        4: {"P": 3, "V": 5},
    }
    if string[0] != "B" or string[-1] != "E":
        return False
    state = 0
    for symbol in string[1:-1]:
        if symbol not in graph.get(state, {}):
            return False
        state = graph[state][symbol]
    return state == 5


def test_strings_are_embedded_reber_strings():
    symbols, _ = problem.embedded_reber(np.random.default_rng(1), 500)
    for row in symbols:
        string = text(row)
        assert re.fullmatch(r"B([TP])(B.*E)\1E", string)
        assert walk(string[2:-2])
    lengths = (symbols >= 0).sum(1)
    assert lengths.min() == 9 and lengths.mean() == pytest.approx(12, abs=0.6)


def test_no_string_of_a_test_set_is_in_its_training_set():
    symbols, states = problem.draw_sets(np.random.default_rng(2))
    assert symbols.shape[:3] == states.shape[:3] == (3, 2, 256)
    for train, test in symbols:
        assert not {text(row) for row in train} & {text(row) for row in test}


def test_states_name_the_legal_symbols():
    symbols, states = problem.embedded_reber(np.random.default_rng(3), 300)
    following = {}
    for row, state in zip(symbols, states, strict=True):
        string = text(row)
        for k in range(1, len(string)):
            following.setdefault(int(state[k - 1]), set()).add(string[k])
    for state, seen in following.items():
        assert {problem.SYMBOLS[s] for s in np.flatnonzero(problem.LEGAL[state])} == seen


@pytest.mark.parametrize(("net", "count"), [("direct", 488), ("3-2", 276), ("4-1", 264)])
def test_weights_that_exist(net, count):
    nets = problem.Nets("lstm", net, 1, np.random.default_rng(0))
    assert sum(int(there.sum()) for there in nets.exists.values()) == count
    for name, w in nets.weights.items():
        assert ((w != 0) == (nets.exists[name] != 0)).all()


@pytest.mark.parametrize("net", problem.NETS)
def test_the_truncated_gradient(net):
    assert problem.gradient_check(problem.Config(net=net)) < 1e-4


@pytest.mark.parametrize("kind", ["full", "elman"])
def test_the_gradients_of_the_tanh_nets(kind):
    rng = np.random.default_rng(4)
    nets = problem.Nets(kind, "direct", 2, rng)
    weights = {name: w.astype(float) for name, w in nets.weights.items()}
    x = problem.ONE_HOT[rng.integers(0, 7, (6, 2))][..., None].astype(float)
    target = problem.ONE_HOT[rng.integers(0, 7, (6, 2))][..., None]
    o, seen = nets.forward(x, weights, float)
    grads = nets.backward(weights, o, seen, o - target)
    given = nets.layer.U[:6].copy()

    def loss():
        if kind == "full":
            o, _ = nets.forward(x, weights, float)
        else:  # y(t-1) is an input that does not change
            y = np.tanh(weights["W"] @ given)
            o = problem.logistic(weights["V"] @ np.concatenate([y, given[:, :, :8]], 2))
        return float(((o - target) ** 2).sum() / 2)

    assert problem.worst_relative_error(loss, weights, grads) < 1e-5


def test_padding_behind_changes_nothing():
    rng = np.random.default_rng(5)
    nets = problem.Nets("lstm", "direct", 1, rng)
    short = problem.ONE_HOT[rng.integers(0, 7, (8, 1))][..., None]
    long = np.concatenate([short, np.zeros((5, 1, 7, 1), np.float32)])
    target = problem.ONE_HOT[rng.integers(0, 7, (8, 1))][..., None]
    o, seen = nets.forward(short, nets.weights)
    plain = nets.backward(nets.weights, o, seen, o - target)
    o, seen = nets.forward(long, nets.weights)
    off = np.concatenate([o[:8] - target, np.zeros((5, 1, 7, 1), np.float32)])
    behind = nets.backward(nets.weights, o, seen, off)
    for name in plain:
        assert behind[name] == pytest.approx(plain[name], abs=1e-6)


def test_judging_wants_all_legal_symbols_above_all_others():
    legal = problem.LEGAL[2]  # after B and T: only B
    two = next(s for s in range(18) if problem.LEGAL[s].sum() == 2)
    a, b = np.flatnonzero(problem.LEGAL[two])
    o = np.zeros((2, 1, 7, 1))
    o[0, 0, legal.argmax()] = 1
    o[1, 0, [a, b], 0] = 0.5, 0.4
    states, targets = np.array([2, two])[:, None, None], np.array([0, a])[:, None, None]

    def verdict():
        return [bool(part[0, 0]) for part in problem.judge(o, targets, states)]

    assert verdict() == [True, True]
    o[1, 0, (set(range(7)) - {a, b}).pop()] = 0.45  # between the two legal ones
    assert verdict() == [False, True]
    o[1, 0, a] = 0.3
    assert verdict() == [False, False]
    targets[1] = -1  # nothing is asked there
    assert verdict() == [True, True]


def test_a_string_that_only_remembers_is_outer():
    symbols, _ = problem.embedded_reber(np.random.default_rng(6), 50)
    o = np.zeros((symbols.shape[1] - 1, 1, 7, 50))
    o[:, 0, symbols[:, 1], np.arange(50)] = 1  # says the second symbol at every step
    assert problem.second_letter(o, symbols).all()
    assert not problem.second_letter(-o, symbols).any()
