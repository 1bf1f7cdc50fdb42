"""The neural bucket brigade against a slow reference, its substance ledger, and what its nets can know."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("nbb-xor")
LAM = ETA = 0.005


def few_nets(names, count=5, seed=3):
    return problem.build(np.random.default_rng(seed), names, count, np.float64)


def reference_presentation(w, kind, pattern, lam, eta):
    """One net's presentation in plain loops, straight from the rule; w: (7, 6), changed in place. Returns the tick's moves."""
    subsets = [*kind.subsets, (4, 5)]
    inputs = problem.PATTERNS[pattern]
    right = 4 + problem.XOR[pattern]
    x = [0.0] * 7
    before = [[0.0] * 6 for _ in range(7)]  # c(t-1)
    moves = []
    for _ in range(6):
        c = [[x[i] * w[i, j] for j in range(6)] for i in range(7)]
        net = [sum(c[i][j] for i in range(7)) for j in range(6)]
        y = [0.0] * 6
        for subset in subsets:
            best = max(subset, key=lambda j: net[j])
            y[best] = float(net[best] > 0)
        delta = np.zeros((7, 6))
        paid = redistributed = dissipated = injected = 0.0
        for i in range(7):
            for j in range(6):
                pay = lam * c[i][j] * y[j]
                delta[i, j] -= pay
                paid += pay
                heirs = sum(before[h][i - 3] for h in range(7)) if i >= 3 else 0.0
                if pay and (heirs == 0 or not kind.redistribution):
                    dissipated += pay  # inputs have no predecessors
                elif pay:
                    for h in range(7):
                        delta[h, i - 3] += pay * before[h][i - 3] / heirs
                    redistributed += pay
                if j == right and kind.reward:
                    delta[i, j] += eta * c[i][j] * y[j]
                    injected += eta * c[i][j] * y[j]
        w += delta
        before, x = c, [*inputs, *y[:4]]
        moves.append((paid, redistributed, dissipated, injected))
    return moves


@pytest.mark.parametrize("name", problem.KINDS)
def test_presentations_follow_the_rule(name):
    nets = few_nets([name])
    slow = nets.weights.copy()
    rng = np.random.default_rng(1)
    for _ in range(30):
        pattern = rng.integers(4, size=5)
        problem.present(nets, pattern, LAM, ETA)
        for n in range(5):
            reference_presentation(slow[..., n], problem.KINDS[name], pattern[n], LAM, ETA)
    np.testing.assert_allclose(nets.weights, slow, rtol=1e-12)
    assert not np.allclose(slow, few_nets([name]).weights, rtol=1e-3), "something must have moved"


@pytest.mark.parametrize("name", ["three_hidden", "two_pairs", "no_redistribution", "no_reward"])
def test_substance_ledger(name):
    """At every tick: paid = redistributed + dissipated, and what all weights gain is injected - dissipated."""
    nets = few_nets([name])
    kind = problem.KINDS[name]
    rng = np.random.default_rng(2)
    for _ in range(20):
        pattern = rng.integers(4, size=5)
        slow, total = nets.weights.copy(), [nets.weights.sum((0, 1))]
        fast = []

        def tick(c, y, share, income, gain, fast=fast, total=total):
            paid = LAM * (c * y).sum((0, 1))
            redistributed = (share * income).sum((0, 1))
            fast.append((paid, redistributed, (c * y * gain).sum((0, 1))))
            total.append(nets.weights.sum((0, 1)))

        problem.present(nets, pattern, LAM, ETA, tick)
        books = [reference_presentation(slow[..., n], kind, pattern[n], LAM, ETA) for n in range(5)]
        for t, (paid, redistributed, injected) in enumerate(fast):
            expected = np.array([books[n][t + 1] for n in range(5)]).T
            np.testing.assert_allclose(
                [paid, redistributed, injected], expected[[0, 1, 3]], atol=1e-12
            )
            dissipated = expected[2]
            np.testing.assert_allclose(paid, redistributed + dissipated, atol=1e-12)
            np.testing.assert_allclose(total[t + 1] - total[t], injected - dissipated, atol=1e-12)


@pytest.mark.parametrize("name", problem.KINDS)
def test_frozen_test_is_what_six_ticks_would_show(name):
    nets = few_nets([name], count=30)
    rng = np.random.default_rng(5)
    nets.weights *= rng.uniform(0.9, 1.1, nets.weights.shape)
    fast = problem.solved(nets)
    for n in range(30):
        for pattern in range(4):
            x, on = np.zeros(7), []
            for _ in range(6):
                net = x @ nets.weights[..., n]
                y = problem.winners(net[:, None], nets.group[..., n : n + 1])[:, 0]
                x = np.array([*problem.PATTERNS[pattern], *y[:4]])
                on.append(y[4 + problem.XOR[pattern]])
            assert all(on[-3:]) == fast[pattern, n]


def test_without_hidden_units_no_weights_solve_xor():
    nets = few_nets(["no_hidden"], count=20_000)
    nets.weights *= np.random.default_rng(0).uniform(0, 1, nets.weights.shape)
    assert not problem.solved(nets).all(0).any()
    assert problem.solved(nets).sum(0).max() == 3, "three of four patterns are possible"


def test_the_headline_net_has_21_weights():
    nets = few_nets(["three_hidden"])
    assert (nets.weights[..., 0] > 0).sum() == 21
    assert (np.abs(nets.weights[nets.weights > 0] - 1) <= 0.001).all()


def test_streaks_are_dated_at_their_opening():
    reached, number = np.zeros((1, 3), int), np.array([0])
    right = [0, 1, 0, 1, 1, 0] + [1] * 25
    streak = 0
    for count, good in enumerate(right, 1):
        streak = streak + 1 if good else 0
        problem.note_streaks(reached, number, np.array([streak]), count)
    assert reached.tolist() == [[2, 4, 7]]


def test_quick_run_learns():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["found_fraction"] >= 0.9 and metrics["found_mean"] < 800
