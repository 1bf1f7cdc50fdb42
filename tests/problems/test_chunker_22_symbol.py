"""The chunking system against a slow reference on dense vectors, its derivatives, its judge, and a latch set by hand."""

import dataclasses
from itertools import islice

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("chunker-22-symbol")


def f(x):
    return 1 / (1 + np.exp(-x))


class SlowNet:
    """One net on dense vectors; learns by multiplying out the chain rule through its last three hidden activations."""

    def __init__(self, net, replica):
        inputs = net.symbols + 2
        self.I, self.r = net.V[:inputs, replica].copy(), net.V[inputs, replica]
        self.O, self.q = net.O[:inputs, replica].copy(), net.O[inputs, replica].copy()
        self.layered = net.layered
        self.inputs, self.hs, self.guess = [], [0.0], np.zeros(self.O.shape[1])

    def feed(self, x):
        self.inputs.append(x)
        self.hs.append(f(x @ self.I + self.hs[-1] * self.r))
        self.guess = f(x @ self.O + self.hs[-1 if self.layered else -2] * self.q)

    def learn(self, error, rate):
        if not self.inputs:
            return
        slope = error * self.guess * (1 - self.guess)
        seen = len(self.hs) - (
            1 if self.layered else 2
        )  # which activation the outputs saw; the first belongs to no input
        back, dI, dr = self.q @ slope, np.zeros_like(self.I), 0.0
        for k in range(seen, max(seen - 3, 0), -1):
            back *= self.hs[k] * (1 - self.hs[k])
            dI += back * self.inputs[k - 1]
            dr += back * self.hs[k - 1]
            back *= self.r
        self.O += rate * np.outer(self.inputs[-1], slope)
        self.q += rate * self.hs[seen] * slope
        self.I += rate * dI
        self.r += rate * dr


def slow_slot(A, C, symbol, target, symbols, collapse):
    """One slot of the system as the rules say, for a single replica; returns whether it was an event."""
    goal, x = np.zeros(symbols + 1), np.zeros(symbols + 2)
    goal[symbol] = x[symbol] = x[-1] = 1
    error = goal - A.guess[: symbols + 1]
    error[-1] = 0 if target is None else target - A.guess[symbols]
    if target is not None:
        x[symbols] = target
    state = np.concatenate([C.hs[-1:], C.guess])
    event = np.abs(error).max() > 0.2
    if event:
        c_error = goal - C.guess
        c_error[-1] = target - C.guess[-1] if target is not None and abs(error[-1]) > 0.2 else 0
        C.learn(c_error, 1.0)
        C.feed(x)
    A.learn(np.concatenate([error, collapse * (state - A.guess[symbols + 1 :])]), 1.0)
    A.feed(x)
    return event


@pytest.mark.parametrize("timing", ["together", "layered"])
def test_system_follows_the_rules(timing):
    """Weights, states and events of four replicas, with and without the collapse, over 80 sequences."""
    config = problem.Config(lag=3, timing=timing)
    symbols = config.lag + 2
    system = problem.Chunkers(np.random.default_rng(0), config, [1, 1, 0, 0])
    pairs = [(SlowNet(system.A, r), SlowNet(system.C, r)) for r in range(4)]
    stream = problem.stream(problem.draws(np.random.default_rng(1), 4), config.lag)
    quiet = 0
    for _, symbol, target in islice(stream, 80 * (config.lag + 1)):
        before = system.c_state.copy()
        worst, missed, event = system.slot(symbol, target)
        assert (worst >= missed).all() and (target is not None or not missed.any())
        assert np.array_equal(before[~event], system.c_state[~event]), (
            "C must stand still between events"
        )
        quiet += (~event).sum()
        for r, (A, C) in enumerate(pairs):
            seen = symbol[r] if np.ndim(symbol) else symbol
            assert event[r] == slow_slot(
                A, C, seen, None if target is None else target[r], symbols, float(r < 2)
            )
    assert quiet > 20, "some slots must have become predictable"
    for r, (A, C) in enumerate(pairs):
        for fast, slow in ((system.A, A), (system.C, C)):
            np.testing.assert_allclose(fast.O[:, r], [*slow.O, slow.q], rtol=1e-8, atol=1e-10)
            np.testing.assert_allclose(fast.V[:, r], [*slow.I, slow.r], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(system.guess[r], A.guess, rtol=1e-8)
        np.testing.assert_allclose(system.c_state[r], [C.hs[-1], *C.guess], rtol=1e-8)


def test_stream_gives_the_target_with_the_next_first_symbol():
    firsts = [np.array([0, 1]), np.array([1, 1]), np.array([0, 0])]
    slots = list(problem.stream(firsts, 4))
    assert [position for position, _, _ in slots] == [0, 1, 2, 3, 4] * 3
    assert [symbol for position, symbol, _ in slots if position] == [2, 3, 4, 5] * 3
    assert [i for i, (_, _, target) in enumerate(slots) if target is not None] == [5, 10]
    assert slots[5][2].tolist() == [1, 0] and slots[10][2].tolist() == [0, 0]


@pytest.mark.parametrize("depth", [1, 3, 6])
@pytest.mark.parametrize("timing", ["together", "layered"])
def test_descent_directions_are_derivatives(depth, timing):
    """Truncated: of a loss that is unrolled over `depth` activations; conventional net: over a whole sequence."""
    assert (
        problem.gradient_check(problem.Config(lag=4, depth=depth, timing=timing, seed=depth)) < 1e-5
    )


def latch(config, outputs):
    """Two nets with self-weight 8 and bias -4, set by a and reset by x; the target unit shows the hidden unit."""
    net = problem.make_net(
        np.random.default_rng(0), dataclasses.replace(config, init=0.0), 2, outputs
    )
    one, hidden, unit = net.symbols + 1, net.symbols + 2, config.lag + 2
    net.V[0], net.V[1], net.V[one], net.V[hidden] = 12.0, -12.0, -4.0, 8.0
    net.O[one, :, unit], net.O[hidden, :, unit] = -4.0, 8.0
    return net


@pytest.mark.parametrize("timing", ["together", "layered"])
def test_conventional_net_sees_the_first_symbol(timing):
    """The direction of the conventional net reaches back from the target to the first symbol, as differences do."""
    net = latch(problem.Config(timing=timing), 23)
    net.V *= 0.4  # a weaker latch: the derivative must not vanish on the way
    first, target, before = np.array([0, 1]), np.zeros(2), np.full(2, 0.5)
    hs, guesses = problem.whole_sequence(net, first, target, before)
    slope = np.zeros_like(guesses)
    slope[-1, :, -1] = guesses[-1, :, -1] * (1 - guesses[-1, :, -1])
    _, V = problem.whole_descent(net, slope, hs, before, first, target)
    net.V[:2] += 1e-5
    above = problem.whole_sequence(net, first, target, before)[1][-1, :, -1]
    net.V[:2] -= 2e-5
    below = problem.whole_sequence(net, first, target, before)[1][-1, :, -1]
    found = V[first, [0, 1]]
    np.testing.assert_allclose(found, (above - below) / 2e-5, rtol=1e-4, atol=1e-12)
    assert abs(found).max() > 1e-7 and V[0, 1] == V[1, 0] == 0


@pytest.mark.parametrize("timing", ["together", "layered"])
def test_one_hidden_unit_can_hold_the_symbol(timing):
    """A latch set by hand holds the first symbol over 20 others; taught to predict the b's, it passes alone."""
    config = problem.Config(timing=timing)
    net = latch(config, 2 * config.lag + 7)
    first = np.random.default_rng(1).integers(2, size=(40, 2))
    hs, guesses = problem.play_alone(net, first)
    assert hs.shape == (40, 21, 2) and net.symbols == 22
    assert np.abs(guesses[:, -1, :, 22] - (1 - first)).max() < 0.1
    assert not problem.passes_alone(net, np.array([0, 1]), np.random.default_rng(2)).any(), (
        "the b's are not predicted yet"
    )
    net.O[:22, :, :22] = -8.0
    for symbol in range(21):
        net.O[symbol, :, max(symbol + 1, 2)] = 8.0
    net.O[0, 1, 5] = 8.0  # the second net also predicts b4 after a
    assert problem.passes_alone(net, np.array([0, 1]), np.random.default_rng(2)).tolist() == [
        True,
        False,
    ]
    net.V[-1, 0] = 0.0  # no self-excitation, no memory
    assert not problem.passes_alone(net, np.array([0]), np.random.default_rng(2)).any()


def test_judge_counts_streaks_with_both_first_symbols():
    rng, length, replicas = np.random.default_rng(0), 400, 6
    worst = np.where(rng.random((length, replicas)) < 0.04, 0.5, 0.1)
    first = rng.integers(2, size=(length, replicas))
    first[:, 0] = 1  # never both
    worst[:, 1] = 0.31  # never right
    worst[:, 2] = 0.29
    judge = problem.Judge(replicas)
    for now, errors in zip(first, worst, strict=True):
        met = judge.see(now, errors)
        judge.decide(met, np.full(met.size, True))

    def slow(r):
        for end in range(20, length + 1):
            window = slice(end - 20, end)
            if (worst[window, r] < 0.3).all() and len(set(first[window, r])) == 2:
                return end
        return -1

    assert judge.solved_at.tolist() == [slow(r) for r in range(replicas)]
    assert judge.solved_at[:2].tolist() == [-1, -1] and judge.solved_at[2] >= 20
    assert judge.share(400) == np.mean(judge.solved_at >= 0) and judge.share(19) == 0


def test_judge_makes_who_fails_alone_start_anew():
    judge, times = problem.Judge(1), []
    for sequence in range(60):
        met = judge.see(np.array([sequence % 2]), np.zeros(1))
        if met.size:
            times.append(judge.sequences)
            judge.decide(met, np.array([len(times) == 2]))
    assert times == [20, 40] and judge.solved_at.tolist() == [40]


def test_quick_run_compresses_the_stream():
    """All b's predicted, and far fewer events than slots."""
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["symbol_error"] < 0.3
    assert metrics["events_all"] < 6
