"""CTC: loss by the sum over all paths, gradient by central differences, best path."""

import itertools

import numpy as np
import pytest

from catalog.idioms.ctc import best_path, ctc
from catalog.idioms.gradient_check import worst_relative_error

CLASSES, BLANK = 3, 2
LABELS = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 1, 1]])  # what counts: 010, 11, -, 0
COUNTS, LENGTHS = np.array([3, 2, 0, 1]), np.array([5, 4, 3, 6])


def softmax(a):
    y = np.exp(a - a.max(2, keepdims=True))
    return y / y.sum(2, keepdims=True)


def example(seed=0):
    return np.random.default_rng(seed).normal(size=(6, 4, CLASSES)) * 2


def collapsed(path):
    return [k for k, _ in itertools.groupby(path) if k != BLANK]


def brute_force(y, labels):
    """Sum of the probabilities of all paths that collapse to labels; y: (frames, classes)."""
    paths = itertools.product(range(CLASSES), repeat=len(y))
    good = (path for path in paths if collapsed(path) == list(labels))
    return sum(np.prod([y[t, k] for t, k in enumerate(path)]) for path in good)


@pytest.mark.parametrize("seed", range(3))
def test_loss_is_the_sum_over_all_paths(seed):
    y = softmax(example(seed))
    loss, _ = ctc(y, LENGTHS, LABELS, COUNTS)
    for b, (n, count) in enumerate(zip(LENGTHS, COUNTS, strict=True)):
        assert np.exp(-loss[b]) == pytest.approx(brute_force(y[:n, b], LABELS[b, :count]), 1e-10)


def test_gradient_by_central_differences():
    a = example(3)
    _, gradient = ctc(softmax(a), LENGTHS, LABELS, COUNTS)
    loss = lambda: float(ctc(softmax(a), LENGTHS, LABELS, COUNTS)[0].sum())  # noqa: E731
    assert worst_relative_error(loss, {"a": a}, {"a": gradient}, most=100) < 1e-6
    assert (gradient[np.arange(6)[:, None] >= LENGTHS] == 0).all()


def test_a_string_that_does_not_fit():
    y = softmax(example(4))
    loss, gradient = ctc(y, np.array([5, 2, 3, 6]), LABELS, COUNTS)  # 11 needs three frames
    assert loss[1] == np.inf and (gradient[:, 1] == 0).all()
    assert np.isfinite(loss[[0, 2, 3]]).all() and np.isfinite(gradient).all()


@pytest.mark.parametrize("certain", [3, 60])
def test_long_strings_and_certain_outputs_stay_finite(certain):
    rng = np.random.default_rng(5)
    y = softmax(certain * rng.normal(size=(400, 2, 30))).astype(np.float32)
    loss, gradient = ctc(y, np.array([400, 300]), rng.integers(0, 29, (2, 90)), np.array([90, 80]))
    assert np.isfinite(loss).all() and np.isfinite(gradient).all()
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient.sum(2), 0, atol=1e-5)
    assert certain > 3 or (np.abs(gradient[:300]).sum(2) > 0).all()


def test_best_path_merges_and_drops():
    path = np.array([[0, 0, 2, 0, 1, 2], [2, 2, 2, 2, 2, 0], [0, 1, 1, 1, 0, 0]])
    y = np.eye(3)[path.T]
    assert best_path(y, np.array([6, 5, 6])) == [[0, 0, 1], [], [0, 1, 0]]
    for seed in range(5):
        y = softmax(example(seed))
        found = best_path(y, LENGTHS)
        for b, n in enumerate(LENGTHS):
            assert found[b] == collapsed(y[:n, b].argmax(1))
