"""Guessing against plain loops, and facts that do not depend on the code under test."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("rs-parity")
KINDS = {
    "a1": problem.Net(1, "all"),
    "a1_3": problem.Net(3, "all"),
    "a2": problem.Net(10, "self"),
    "a2_noself": problem.Net(10, "none"),
}


def parity_net():
    """A net made by hand, (size, 1): two hidden units, no connections among them.

    On is h1 where x is +1 or o was 1, h2 where both: then o = h1 and not h2 is XOR.
    """
    a, f, b, v = [40, 40], [60, 80], [10, -60], [60, -90]
    return problem.Net(2, "none"), np.array([*a, *f, *b, *v, 0, -30], np.float32)[:, None]


@pytest.mark.parametrize("name", KINDS)
def test_many_nets_do_what_one_net_does_in_plain_loops(name):
    net, rng = KINDS[name], np.random.default_rng(3)
    x, lengths, _ = problem.make_set(rng, 6, 5, 12, 0.2)
    weights = problem.draw(rng, net, 7, 2.0)
    fast = problem.end_outputs(net, weights, x, lengths)
    slow = [
        [problem.plain_output(net, w, x[:end, s].tolist()) for w in weights.T.tolist()]
        for s, end in enumerate(lengths)
    ]
    np.testing.assert_allclose(fast, slow, atol=1e-5)
    assert np.ptp(slow) > 0.1, "the nets must differ"
    assert len(weights) == net.size


@pytest.mark.parametrize("name", KINDS)
def test_screen_throws_away_no_net_that_is_right(name):
    """The early exit judges every net as the run to the end does."""
    net, rng = KINDS[name], np.random.default_rng(11)
    x, lengths, target = problem.make_set(rng, 4, 40, 40)
    weights = problem.draw(rng, net, 6000, 100.0)
    outputs = problem.end_outputs(net, weights, x[:, :2], lengths[:2])
    expected = np.flatnonzero(problem.right(outputs, target[:2]).all(0))
    found = problem.screen(net, weights, x[:, :2], target[:2])
    assert found.tolist() == expected.tolist() and 0 < len(found) < 300


@pytest.mark.parametrize("name", KINDS)
def test_first_accepted_net_is_the_first_in_plain_loops(name):
    """Short strings, so that successes are common and plain loops affordable."""
    net, rng = KINDS[name], np.random.default_rng(4)
    for _ in range(3):
        training = problem.make_set(rng, 4, 3, 6)
        weights = problem.draw(rng, net, 3000, 100.0)
        index, seen = problem.accept(net, weights, training)
        assert problem.plain_guess(net, weights[:, : index[0] + 1], *training) == index[0] + 1
        assert set(seen[index]) == {4} and seen.min() == 2


def test_sets_are_what_the_paper_says():
    x, lengths, target = problem.make_set(np.random.default_rng(0), 100, 500, 600)
    assert x.shape == (600, 100) and target.sum() == 50
    assert lengths.min() >= 500 and lengths.max() <= 600 and len(set(lengths % 2)) == 2
    for s, length in enumerate(lengths):
        assert set(x[:length, s]) == {-1, 1} and not x[length:, s].any()
        assert (x[:length, s] > 0).sum() % 2 == target[s]
    assert np.flatnonzero(x[:, 0] != x[:, 1]).tolist() == [0] and lengths[0] == lengths[1]
    assert abs((x[:500, 2:] > 0).mean() - 0.5) < 0.01


def test_noise_is_uniform_and_the_pair_shares_it():
    x, lengths, _ = problem.make_set(np.random.default_rng(0), 100, 500, 600, 0.2)
    shift = np.abs(x[:500]) - 1
    assert np.abs(shift).max() <= 0.2 and shift.std() == pytest.approx(0.2 / 3**0.5, rel=0.02)
    assert np.flatnonzero(x[:, 0] != x[:, 1]).tolist() == [0]


def test_a_net_made_by_hand_is_accepted_and_its_broken_copies_are_not():
    net, by_hand = parity_net()
    training = problem.make_set(np.random.default_rng(1), 100, 500, 600)
    copies = np.repeat(by_hand, 3, axis=1)
    copies[2:4, 1] = 0  # f: the hidden units no longer see the output
    copies[9, 2] = 30  # c: the output is always on
    index, seen = problem.accept(net, copies, training)
    assert index.tolist() == [0] and seen.tolist() == [100, 2, 2]


def test_one_length_lets_counters_of_minus_pass():
    """With even lengths only, a net that counts the -1s is right too; with mixed ones it is not."""
    net, counter = parity_net()
    counter[:2] *= -1  # a: +1 and -1 change places
    rng = np.random.default_rng(1)
    even, mixed = (problem.make_set(rng, 50, low, 550) for low in (550, 540))
    assert len(problem.accept(net, counter, even)[0]) == 1
    assert len(problem.accept(net, counter, mixed)[0]) == 0


def test_an_accepted_net_without_self_connections_is_a_table_of_xor():
    """Independent of strings: four evaluations by hand tell what the net makes of (output, x)."""
    net = KINDS["a2_noself"]
    rng = np.random.default_rng(6)
    weights = problem.draw(rng, net, 3000, 100.0)
    index, _ = problem.accept(net, weights, problem.make_set(rng, 20, 100, 120))
    assert 4 <= len(index) <= 30, "the paper's 250 trials a success would give 12"
    for w in weights[:, index].T.astype(float):
        a, f, b, v = w[:40].reshape(4, 10)
        for o in (0, 1):
            for x in (-1, 1):
                h = 1 / (1 + np.exp(-(a * x + f * o + b)))
                assert (h @ v + w[40] * x + w[41] > 0) == (o ^ (x > 0))


def test_trials_count_every_guess():
    """Trials of a stream of nets whose successes are known: even the blocks' borders count."""
    net, by_hand = parity_net()
    rng = np.random.default_rng(3)
    make_rng = np.random.default_rng(2)

    def make():
        return problem.make_set(make_rng, 20, 60, 70)

    places, blocks = [3, 4, 12_345, 20_000, 20_001], []

    def stream(rng, net, count, weight_range):
        weights = np.zeros((net.size, count), np.float32)
        start = sum(blocks)
        for place in places:
            if start < place <= start + count:
                weights[:, place - start - 1] = by_hand[:, 0]
        blocks.append(count)
        return weights

    kept = problem.draw
    problem.draw = stream
    try:
        found = problem.guess(rng, net, make, 5, 100_000, 1.0)
    finally:
        problem.draw = kept
    assert np.cumsum(found.trials).tolist() == places and found.guesses == 20_001
    assert found.tests == [1] * 5 and found.weights.shape == (net.size, 5)
    assert found.presented == 2 * 20_001 + 5 * 18


def test_guesses_end_a_search_without_success():
    config = problem.Config(nets="a2_noself", weight_range=1.0, guesses=15_000)
    result = problem.run(config)
    assert result.metrics["a2_noself_successes"] == 0
    assert result.metrics["a2_noself_trials"] is None
    assert result.found["a2_noself"].guesses == 15_000


def test_back_propagation_learns_short_parity():
    """The control is able to learn: with two or three symbols the same code solves the task."""
    training = problem.make_set(np.random.default_rng(0), 20, 2, 3)
    net = KINDS["a2"]
    solved, errors = problem.train_by_gradient(np.random.default_rng(0), net, training, 600)
    assert solved and errors[-1] < 0.01 < 0.2 < errors[0]


def test_quick_run_finds_nets_in_about_as_many_guesses_as_the_paper():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert 100 <= metrics["a2_noself_trials"] <= 700 and metrics["test_correct"] >= 0.99
