"""Intervals against published values."""

import math
import random

import pytest

from catalog.intervals import mean_interval, median_interval, t_interval, t_quantile, wilson


@pytest.mark.parametrize(
    "successes, n, low, high",
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_against_newcombe_1998(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(
    "freedom, quantile",
    [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (19, 2.093), (30, 2.042), (120, 1.980)],
)
def test_t_quantile_against_the_printed_table(freedom, quantile):
    assert t_quantile(0.975, freedom) == pytest.approx(quantile, abs=6e-4)


def test_t_quantile_against_closed_forms():
    assert t_quantile(0.9, 1) == pytest.approx(math.tan(math.pi * 0.4), rel=1e-9)  # Cauchy
    assert t_quantile(0.9, 2) == pytest.approx(0.8 / math.sqrt(2 * 0.9 * 0.1), rel=1e-9)


def test_t_interval():
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx(
        (2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-3
    )
    assert t_interval([5.0]) == (5.0, 5.0)


@pytest.mark.parametrize(
    "n, rank", [(3, 1), (5, 1), (6, 1), (8, 1), (9, 2), (10, 2), (20, 6), (30, 10), (100, 40)]
)
def test_median_ranks_against_the_sign_test_table(n, rank):
    assert median_interval(list(range(1, n + 1))) == (rank, n + 1 - rank)


@pytest.mark.parametrize(
    "values, positive",
    [([5.0, 6.0, 7.0], True), ([5.0], True), ([0.0, 5.0, 100.0], True), ([0.1, 30.0, 70.0], False)],
)
def test_other_means_keep_the_t_interval(values, positive):
    assert mean_interval(values, positive) == t_interval(values)


@pytest.mark.parametrize(
    "values", [[1.0, 1000.0], [50.0, 60.0, 200.0], [1.0, 11.0, 11.0, 11.0] * 20]
)
def test_positive_means_over_factors_stay_above_zero(values):
    low, high = mean_interval(values, positive=True)
    centre = sum(values) / len(values)
    assert 0 < low < centre < high and low * high == pytest.approx(centre**2)


def test_the_mean_of_shares_ends_where_shares_do():
    assert mean_interval([1.0, 0.95, 0.95], positive=False)[1] == 1.0
    assert mean_interval([0.0, 0.0, 0.1], positive=False)[0] == 0.0
    assert mean_interval([1.0, 2.0, 0.5], positive=False)[1] > 2.0


@pytest.mark.parametrize(
    "draw, truth, least",
    [
        (lambda rng: rng.lognormvariate(0, 1), math.exp(0.5), 0.85),
        (lambda rng: rng.expovariate(1), 1.0, 0.91),
        (lambda rng: rng.gauss(10, 2), 10.0, 0.93),
    ],
    ids=["log-normal", "exponential", "normal"],
)
def test_coverage_of_means_of_ten(draw, truth, least):
    """The interval covers the true mean about as often as it says, no less than the t interval."""
    rng, hits, plain = random.Random(1), 0, 0
    for _ in range(1000):
        values = [draw(rng) for _ in range(10)]
        low, high = mean_interval(values, positive=True)
        hits += low <= truth <= high
        low, high = t_interval(values)
        plain += low <= truth <= high
    assert plain <= hits and least <= hits / 1000 <= 0.97
