"""The chunking system against its plain form, its derivatives, its judge, and a latch set by hand.

Conventional nets: derivatives, and what they learn where the lag is short."""

from itertools import islice

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("chunker-22-symbol")
control = load_script("chunker-22-symbol", "chunker_22_symbol_control")


# --- the plain form ----------------------------------------------------------------------------


@pytest.mark.parametrize("timing", ["together", "layered"])
@pytest.mark.parametrize("depth", [1, 3, 6])
def test_descent_is_the_derivative(depth, timing):
    """Of a loss that is unrolled over `depth` activations, by central differences."""
    config = problem.Config(lag=4, depth=depth, timing=timing, seed=depth, learning_rate=2)
    assert problem.gradient_check(config) < 1e-5


def test_plain_net_in_numbers():
    """Two slots worked out by hand: one symbol, no weights but those named."""
    config = problem.Config(lag=1, depth=1, learning_rate=1)
    net = problem.PlainNet(
        np.array([1.0, 0.0]), 2.0, np.array([[0.0], [0.0]]), np.array([1.0]), config
    )
    f = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    net.feed(np.array([1.0, 0.0]))
    assert net.h[-1] == pytest.approx(f(1)) and net.o[0] == 0.5
    net.feed(np.array([0.0, 1.0]))
    h1, h2 = f(1), f(2 * f(1))
    assert net.h[-1] == pytest.approx(h2) and net.o[0] == pytest.approx(f(h1))
    D = (1 - f(h1)) * f(h1) * (1 - f(h1))
    net.learn(np.array([1 - f(h1)]))
    assert net.q[0] == pytest.approx(1 + h1 * D) and net.O[1, 0] == pytest.approx(D)
    assert net.V[0] == pytest.approx(1 + D * h1 * (1 - h1)) and net.v == 2, "h(0) is 0"


def plain_copy(nets, replica, config):
    """The PlainNet of one replica."""
    V, O = nets.V[..., replica], nets.O[..., replica]
    return problem.PlainNet(*(np.array(part) for part in (V[:-1], V[-1], O[:-1], O[-1])), config)


@pytest.mark.parametrize("timing, depth", [("together", 3), ("layered", 3), ("together", 1)])
def test_replicas_do_what_the_plain_form_does(timing, depth, monkeypatch):
    """Weights, states and events of four replicas, with and without the collapse, 80 sequences."""
    monkeypatch.setattr(problem, "REAL", np.float64)
    config = problem.Config(lag=3, timing=timing, depth=depth)
    system = problem.Chunkers(np.random.default_rng(0), config, [1, 1, 0, 0])
    pairs = [[plain_copy(nets, r, config) for nets in (system.A, system.C)] for r in range(4)]
    slots = problem.stream(problem.draws(np.random.default_rng(1), 4), config.lag)
    quiet = 0
    for _, symbol, target in islice(slots, 80 * (config.lag + 1)):
        before, A = system.C.past[0].state, system.A.past[0].state
        size, event = system.slot(symbol, target)
        goal = np.zeros((config.lag + 3, 4))
        goal[symbol, np.arange(4)] = 1
        goal[-1] = A[config.lag + 3] if target is None else target
        np.testing.assert_allclose(size, abs(goal - A[1 : config.lag + 4]))
        assert np.array_equal(event, (size > config.threshold).any(0))
        assert np.array_equal(before[:, ~event], system.C.past[0].state[:, ~event]), (
            "C stands still"
        )
        quiet += (~event).sum()
        for r, (A, C) in enumerate(pairs):
            now = symbol[r] if np.ndim(symbol) else symbol
            d = None if target is None else target[r]
            assert event[r] == problem.plain_slot(A, C, now, d, config, collapse=float(r < 2))
    assert quiet > 20, "some slots must have become predictable"
    for r, pair in enumerate(pairs):
        for fast, plain in zip((system.A, system.C), pair, strict=True):
            same = {"rtol": 1e-8, "atol": 1e-10}
            np.testing.assert_allclose(fast.O[..., r], [*plain.O, plain.q], **same)
            np.testing.assert_allclose(fast.V[:, r], [*plain.V, plain.v], **same)
            state = fast.past[0].state[:, r]
            np.testing.assert_allclose(state, [plain.h[-1], *plain.o], **same)


def test_A_learns_toward_the_state_that_C_had_a_slot_ago():
    """In its goals, and the rate of s is 0 without the collapse."""
    config = problem.Config(lag=3)
    system = problem.Chunkers(np.random.default_rng(0), config, [1, 0])
    for symbol in (0, 2, 3, 4, 0):
        before = system.C.past[0].state
        assert np.array_equal(system.goal[6:], before)
        O = system.A.O.copy()
        system.slot(symbol, None)
        assert np.array_equal(system.goal[6:], system.C.past[0].state)
        assert np.array_equal(system.A.O[:, 6:, 1], O[:, 6:, 1])
    assert system.A.O.dtype == np.float32 and (system.A.O[:, 6:, 0] != O[:, 6:, 0]).any()


# --- the task ----------------------------------------------------------------------------------


def test_stream_gives_the_target_with_the_next_first_symbol():
    firsts = [np.array([0, 1]), np.array([1, 1]), np.array([0, 0])]
    slots = list(problem.stream(firsts, 4))
    assert [position for position, _, _ in slots] == [0, 1, 2, 3, 4] * 3
    assert [symbol for position, symbol, _ in slots if position] == [2, 3, 4, 5] * 3
    assert [i for i, (_, _, target) in enumerate(slots) if target is not None] == [5, 10]
    assert slots[5][2].tolist() == [1, 0] and slots[10][2].tolist() == [0, 0]


@pytest.mark.parametrize("script", [problem, control])
def test_judge_counts_streaks_with_both_first_symbols(script):
    rng, length, replicas = np.random.default_rng(0), 400, 6
    worst = np.where(rng.random((length, replicas)) < 0.04, 0.5, 0.1)
    first = rng.integers(2, size=(length, replicas))
    first[:, 0] = 1  # never both
    worst[:, 1] = 0.31  # never right
    worst[:, 2] = 0.29
    judge = script.Judge(replicas)
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
    assert judge.solved(400) == np.sum(judge.solved_at >= 0) and judge.solved(19) == 0
    assert judge.solved(401) is None and judge.solved(401, [2]) == 1


def test_judge_makes_who_fails_alone_start_anew():
    judge, times = problem.Judge(1), []
    for sequence in range(60):
        met = judge.see(np.array([sequence % 2]), np.zeros(1))
        if met.size:
            times.append(judge.sequences)
            judge.decide(met, np.array([len(times) == 2]))
    assert times == [20, 40] and judge.solved_at.tolist() == [40]


# --- a latch set by hand -----------------------------------------------------------------------


def latch(timing):
    """Two nets with self-weight 8 and bias -4, set by a and reset by x; d shows the hidden unit."""
    config = problem.Config(timing=timing, init=0)
    A = problem.Nets(np.random.default_rng(0), config, 2, 47)
    A.V[0], A.V[1], A.V[problem.ONE], A.V[problem.HIDDEN] = 12, -12, -4, 8
    A.O[problem.ONE, 22], A.O[problem.HIDDEN, 22] = -4, 8
    return A


@pytest.mark.parametrize("timing", ["together", "layered"])
def test_one_hidden_unit_can_hold_the_symbol(timing):
    """A latch set by hand holds the symbol over 20 others; taught the b's, it passes alone."""
    A, both = latch(timing), np.array([0, 1])
    first = np.random.default_rng(1).integers(2, size=(40, 2))
    hs, guesses = problem.play_alone(A, first, 20)
    assert hs.shape == (40, 21, 2) and guesses.shape == (40, 21, 2, 47)
    assert np.abs(guesses[:, -1, :, 22] - (1 - first)).max() < 0.1
    rng = np.random.default_rng(2)
    assert not problem.passes_alone(A, both, 20, rng).any(), "the b's are not predicted yet"
    A.O[:22, :22] = -8
    for symbol in range(21):
        A.O[symbol, max(symbol + 1, 2)] = 8
    A.O[0, 5, 1] = 8  # the second net also predicts b4 after a
    assert problem.passes_alone(A, both, 20, rng).tolist() == [True, False]
    assert not problem.passes_alone(A, both[1:], 20, rng).any()
    A.V[problem.HIDDEN, 0] = 0  # no self-excitation, no memory
    assert not problem.passes_alone(A, both[:1], 20, rng).any()


def test_play_alone_learns_nothing_and_remembers_nothing():
    A, first = latch("together"), np.array([[0, 1], [1, 0]])
    kept = [x.copy() for x in (A.W, *A.past[0][2:])]
    problem.play_alone(A, first, 20)
    assert all(np.array_equal(a, b) for a, b in zip(kept, (A.W, *A.past[0][2:]), strict=True))


# --- whole runs --------------------------------------------------------------------------------


def test_quick_run_solves_the_task():
    """All systems bridge the lag alone, none without the collapse, although C knows the answer."""
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["solved_5k"] == metrics["systems"] and metrics["no_collapse_solved"] == 0
    assert metrics["events"] < 1.2 and metrics["alone_accuracy"] > 0.9
    assert metrics["hierarchy_sequences"] < metrics["median_sequences"]


def test_what_does_not_apply_is_none():
    config = problem.Config(lag=2, replicas=2, sequences=30, plain_sequences=0, learning_rate=10)
    result = problem.run(config)
    absent = {name for name, value in result.metrics.items() if value is None}
    assert absent == {
        *("solved_5k", "solved_35k", "median_sequences", "slowest_sequences"),
        *("no_collapse_solved", "hierarchy_sequences"),
    }
    assert result.solved_at.tolist() == [-1, -1]


def test_a_run_ends_within_its_sequences():
    config = problem.Config(lag=5, replicas=1, sequences=40, plain_sequences=1000)
    result = problem.run(config)
    assert result.metrics["sequences"] == 40 and result.metrics["no_collapse_solved"] == 0


# --- the conventional net ----------------------------------------------------------------------


@pytest.mark.parametrize("timing", ["together", "layered"])
def test_conventional_net_descends_through_the_whole_sequence(timing):
    assert control.gradient_check(control.Config(lag=4, timing=timing)) < 1e-5


@pytest.mark.parametrize("timing", ["together", "layered"])
def test_conventional_net_reaches_the_first_symbol(timing):
    """What the target unit misses after b20 changes the weights from a and x, as differences do."""
    net = control.make_net(np.random.default_rng(0), control.Config(timing=timing, init=0), 2)
    net.V[0], net.V[1], net.V[control.ONE], net.V[control.HIDDEN] = 5, -5, -2, 4
    net.O[control.ONE, :, 22], net.O[control.HIDDEN, :, 22] = -4, 8
    first, target, before = np.array([0, 1]), np.zeros(2), np.full(2, 0.5)
    hs, guesses = control.forward(net, first, target, before)
    slope = np.zeros_like(guesses)
    slope[-1, :, -1] = guesses[-1, :, -1] * (1 - guesses[-1, :, -1])
    _, V = control.backward(net, slope, hs, before, first, target)
    answers = []
    for change in (1e-5, -2e-5):
        net.V[:2] += change
        answers.append(control.forward(net, first, target, before)[1][-1, :, -1])
    found = V[first, [0, 1]]
    np.testing.assert_allclose(found, (answers[0] - answers[1]) / 2e-5, rtol=1e-4, atol=1e-12)
    assert abs(found).max() > 1e-7 and V[0, 1] == V[1, 0] == 0


def test_conventional_nets_and_chunkers_see_the_same_net(monkeypatch):
    """Forward over a sequence is what Nets does slot by slot."""
    monkeypatch.setattr(problem, "REAL", np.float64)
    A = problem.Nets(np.random.default_rng(0), problem.Config(lag=4), 3, 7)
    first = np.array([[0, 1, 1], [1, 0, 1]])
    hs, guesses = problem.play_alone(A, first, 4)
    net = control.Net(A.O.swapaxes(1, 2), A.V, False)
    one = control.forward(net, first[0], np.zeros(3), np.zeros(3))
    two = control.forward(net, first[1], 1.0 - first[0], one[0][-1])
    np.testing.assert_allclose(hs, [one[0], two[0]], rtol=1e-12)
    np.testing.assert_allclose(guesses, [one[1], two[1]], rtol=1e-12)


def test_conventional_nets_learn_a_lag_of_one():
    """Otherwise their failure at 20 would say nothing."""
    metrics = control.run(control.Config(**control.QUICK)).metrics
    assert metrics["solved"] >= metrics["nets"] / 2 and metrics["best_target_err"] < 0.1
