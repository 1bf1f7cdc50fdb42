"""What only clockwork-rnn has to keep."""

import numpy as np

from tests.contract import load_script

problem = load_script("clockwork-rnn")


def test_gradients_are_the_central_differences():
    assert problem.gradient_check() < 1e-5


def test_fast_form_is_the_plain_form():
    rng, periods = np.random.default_rng(0), [1, 2, 4]
    net = problem.Clockwork(rng, 2, 3, 2, periods, 3, np.float64)
    for name in net.weights:
        net.weights[name] *= 10  # far from linear
    x = rng.normal(0, 1, (13, 2, 3, 1))
    fast = net.forward(x)[:, :, :, 0]
    for k in range(2):
        w = {name: array[k] for name, array in net.weights.items()}
        w["b"], w["c"] = w["b"][:, 0], w["c"][:, 0]
        plain = problem.plain_clockwork(w, periods, x[:, k, :, 0])
        np.testing.assert_allclose(fast[:, k], plain, atol=1e-12)


def test_units_that_are_not_due_keep_their_value_and_all_start_at_once():
    rng = np.random.default_rng(1)
    net = problem.Clockwork(rng, 1, 1, 1, [1, 2, 8], 2, np.float64)
    net.forward(np.ones((20, 1, 1, 1)))
    h = net.h[1:, 0, :, 0]
    assert (h[0] != 0).all()
    assert (h[1:8, 4:] == h[0, 4:]).all()
    assert (h[8, 4:] != h[0, 4:]).all()


def test_weights_from_faster_modules_stay_zero():
    rng = np.random.default_rng(2)
    net = problem.Clockwork(rng, 1, 0, 1, [1, 2, 4], 2)
    target = rng.normal(0, 1, (20, 1, 1, 1)).astype(np.float32)
    x = np.ones((20, 1, 0, 1), np.float32)
    before = net.weights["W"].copy()
    problem.learn_waves(net, x, target, 0.03, np.inf, 20, lambda *_: None)
    assert (net.weights["W"] != before).any()
    assert (net.weights["W"][:, net.mask == 0] == 0).all()


def test_counts_of_weights_are_the_papers():
    rng = np.random.default_rng(0)
    assert problem.make_nets("music", rng, 4)["clockwork"][0].count() == 793
    assert all(net.count() <= 1024 for net, *_ in problem.make_nets("music", rng, 4).values())
    assert all(net.count() <= 2500 for net, *_ in problem.make_nets("words", rng, 4).values())
    assert problem.make_nets("sines", rng, 8)["clockwork"][0].count() == 2497


def test_cost_ratio_counts_the_multiply_adds():
    net = problem.Clockwork(np.random.default_rng(0), 1, 0, 1, [1, 2, 4, 8], 3)
    done = 0
    for t in range(8):
        due = t % net.clock == 0
        done += int(net.mask[due].sum())
    assert np.isclose(problem.cost_ratio([1, 2, 4, 8]), 8 * 144 / done)


def test_waveforms_and_words_are_as_described():
    waves = problem.music_windows()
    assert waves.shape == (320, 5)
    np.testing.assert_allclose(np.abs(waves).max(0), 1)
    frames, lengths, labels, is_test = problem.spoken_words(np.random.default_rng(3))
    assert frames.shape[1:] == (13, 175)
    assert (np.bincount(labels) == 7).all()
    assert (~is_test).sum() == 125
    assert all((frames[length:, :, k] == 0).all() for k, length in enumerate(lengths))


def test_the_small_instance_is_solved():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["clockwork_nmse"] < 0.5 * metrics["srn_nmse"]
