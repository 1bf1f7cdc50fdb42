"""Gaussian mixtures against densities written out, Viterbi against all paths."""

import itertools

import numpy as np
import pytest

from catalog.idioms.gaussian_hmm import align, fit_mixtures, log_densities, viterbi

STATES, LENGTHS = 3, np.array([5, 1, 4])


def example(seed):
    rng = np.random.default_rng(seed)
    score = rng.normal(size=(5, 3, STATES))
    start, end = np.log(rng.dirichlet(np.ones(STATES), 2))
    step = np.log(rng.dirichlet(np.ones(STATES), STATES))
    step[2, 0] = start[1] = -np.inf
    return score, start, step, end


@pytest.mark.parametrize("seed", range(4))
def test_viterbi_against_all_paths(seed):
    score, start, step, end = example(seed)
    path, best = viterbi(score, LENGTHS, start, step, end)
    for b, n in enumerate(LENGTHS):
        values = {}
        for way in itertools.product(range(STATES), repeat=int(n)):
            value = start[way[0]] + end[way[-1]] + sum(score[t, b, k] for t, k in enumerate(way))
            values[way] = value + sum(step[k, j] for k, j in itertools.pairwise(way))
        top = max(values, key=values.get)
        assert tuple(path[:n, b]) == top and best[b] == pytest.approx(values[top])
        assert (path[n:, b] == -1).all()


@pytest.mark.parametrize("seed", range(4))
def test_align_against_all_chains(seed):
    score = np.random.default_rng(seed).normal(size=(6, 4, 4))
    lengths, places = np.array([6, 4, 3, 5]), np.array([3, 4, 1, 2])
    path = align(score, lengths, places)
    for b, (n, count) in enumerate(zip(lengths, places, strict=True)):
        chains = []
        for ups in itertools.combinations(range(1, n), count - 1):
            chains.append([sum(up <= t for up in ups) for t in range(n)])
        top = max(chains, key=lambda way: sum(score[t, b, k] for t, k in enumerate(way)))
        assert list(path[:n, b]) == top and (path[n:, b] == -1).all()


def test_one_gaussian_is_mean_and_variance():
    rng = np.random.default_rng(0)
    x, state = rng.normal(size=(60, 2)) * [1, 3], np.repeat([0, 2], 30)
    mixtures = fit_mixtures(x, state, 3, 1)
    log_w, mean, var = mixtures
    np.testing.assert_allclose(mean[2, 0], x[30:].mean(0))
    np.testing.assert_allclose(var[0, 0], x[:30].var(0))
    np.testing.assert_allclose(mean[1, 0], x.mean(0))  # a state without frames
    assert (log_w == 0).all()
    density = np.exp(-((x - mean[0, 0]) ** 2) / (2 * var[0, 0])) / np.sqrt(2 * np.pi * var[0, 0])
    np.testing.assert_allclose(log_densities(mixtures, x)[:, 0], np.log(density.prod(1)))


def test_two_gaussians_find_two_heaps():
    rng = np.random.default_rng(1)
    heaps = np.array([[-3.0, 0], [3, 1]])
    x = heaps[rng.integers(0, 2, 2000)] + rng.normal(size=(2000, 2)) / 2
    log_w, mean, var = fit_mixtures(x, np.zeros(2000, int), 1, 2, rounds=10)
    order = mean[0, :, 0].argsort()
    np.testing.assert_allclose(mean[0, order], heaps, atol=0.1)
    np.testing.assert_allclose(var[0], 0.25, atol=0.05)
    np.testing.assert_allclose(np.exp(log_w[0]), 0.5, atol=0.05)
    more = fit_mixtures(x, np.zeros(2000, int), 1, 1)
    gain = log_densities((log_w, mean, var), x).mean() - log_densities(more, x).mean()
    assert gain > 0.5


def test_few_frames_stay_finite():
    x = np.ones((3, 2), np.float32)
    mixtures = fit_mixtures(x, np.array([0, 0, 1]), 3, 8)
    assert np.isfinite(log_densities(mixtures, x)).all()
