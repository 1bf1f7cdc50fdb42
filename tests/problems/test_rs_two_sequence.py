"""Guessing against plain loops, and facts that do not depend on the code under test."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("rs-two-sequence")
SMALL = problem.Config(sequences=12, shortest=20, longest=30)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def slow_outputs(name, row, x, lengths, label):
    """Each sequence's last output, unit by unit."""
    result = []
    for s, length in enumerate(lengths):
        inputs = [float(value) for value in x[:length, s]]
        if name == "latch1":
            w, first, second = map(float, row)
            h = np.tanh(first if label[s] else second)
            for now in inputs[1:]:
                h = np.tanh(w * h + now)
            result.append(h)
        elif name == "latch2":
            w, v, b = map(float, row)
            h = 0.0
            for now in inputs:
                h = np.tanh(w * h + v * now + b)
            result.append(h)
        elif name == "v1":
            wx, wh, b, v = row[:5], row[5:30].reshape(5, 5), row[30:35], row[35:40]
            h = np.zeros(5)
            for now in inputs:
                h = np.tanh(
                    [now * wx[j] + sum(h[i] * wh[i, j] for i in range(5)) + b[j] for j in range(5)]
                )
            result.append(sigmoid(h @ v + row[40]))
        else:
            result.append(problem.plain_output(row, inputs))
    return np.array(result)


@pytest.mark.parametrize("name", ["latch1", "latch2", "a1", "a2", "v1"])
def test_outputs_match_plain_loops(name):
    condition = problem.CONDITIONS[name]
    rng = np.random.default_rng(4)
    x, lengths, label = problem.make_set(rng, SMALL, condition.noise)
    if name == "v1":
        x, lengths = x[:20], np.full(12, 20)
    weights = (condition.draw(rng, 6) / (1 if name == "v1" else 60)).astype(np.float32)
    fast = problem.end_outputs(condition, weights, x, lengths, label)
    slow = np.array([slow_outputs(name, row, x, lengths, label) for row in weights])
    np.testing.assert_allclose(fast, slow, atol=2e-4)
    assert np.ptp(slow) > 0.1, "the nets must differ"


@pytest.mark.parametrize("name", ["latch1", "latch2", "a1"])
def test_acceptance_in_stages_is_acceptance_on_all(name):
    condition = problem.CONDITIONS[name]
    rng = np.random.default_rng(7)
    training = problem.make_set(rng, SMALL, condition.noise)
    weights = condition.draw(rng, 3000)
    alive, shown = problem.accepted(condition, weights, training)
    x, lengths, label = training
    right = condition.right(problem.end_outputs(condition, weights, x, lengths, label), label).all(
        1
    )
    assert alive.tolist() == np.flatnonzero(right).tolist() and len(alive) > 0
    assert shown < right.size * 12 / 2


def test_sets_are_what_the_paper_says():
    config = problem.Config()
    x, lengths, label = problem.make_set(np.random.default_rng(0), config, problem.STD_02)
    assert x.shape == (600, 100) and label.sum() == 50
    assert lengths.min() >= 500 and lengths.max() <= 600 and len(set(lengths)) > 30
    assert (x[0] == 2 * label - 1).all()
    assert abs(x[1:500].std() - 0.2) < 0.003
    assert all((x[length:, s] == 0).all() for s, length in enumerate(lengths))


def test_a_latch_made_by_hand_is_accepted_and_a_memoryless_net_is_not():
    condition = problem.CONDITIONS["latch2"]
    training = problem.make_set(
        np.random.default_rng(1), problem.Config(sequences=20), problem.STD_02
    )
    by_hand = np.array(
        [[60, 40, 0], [0, 60, 0], [-60, 40, 0]], np.float32
    )  # latch, no memory, oscillator
    assert problem.accepted(condition, by_hand, training)[0].tolist() == [0]


def test_trials_count_every_guess():
    """The mean of many replicates fits the geometric law of the density measured apart."""
    config = problem.Config(sequences=8, shortest=20, longest=24)
    trials, nets, tests, _ = problem.guess(np.random.default_rng(3), "latch1", config, 300, None)
    assert len(trials) == len(nets) == len(tests) == 300 and min(trials) >= 1
    rng = np.random.default_rng(8)
    condition, hits = problem.CONDITIONS["latch1"], 0
    for _ in range(60):
        hits += len(
            problem.accepted(
                condition, condition.draw(rng, 100), problem.make_set(rng, config, condition.noise)
            )[0]
        )
    assert np.mean(trials) == pytest.approx(6000 / hits, rel=0.25)


def test_back_propagation_finds_what_a_short_lag_allows():
    """The control is able to learn: with a lag of three steps the same code solves the task."""
    config = problem.Config(sequences=20, shortest=3, longest=4)
    solved, error, _ = problem.train_by_gradient(np.random.default_rng(0), 10, 400, config, None)
    assert solved and error[-1] < 0.01 < error[0]


@pytest.mark.parametrize("hidden", [1, 2])
def test_the_plain_guess_and_the_fast_one_accept_the_same_nets(hidden):
    """On short sequences, so that plain loops suffice."""
    config = problem.Config(sequences=6, shortest=8, longest=10)
    training = problem.make_set(np.random.default_rng(2), config, problem.STD_02)
    trial, row = problem.plain_guess(np.random.default_rng(5), hidden, training)
    rng = np.random.default_rng(5)
    drawn = np.concatenate([problem.draw_recurrent(rng, 1, hidden) for _ in range(trial)])
    condition = problem.CONDITIONS["a1"]
    assert problem.accepted(condition, drawn, training)[0].tolist() == [trial - 1]
    assert (drawn[-1] == row).all()
