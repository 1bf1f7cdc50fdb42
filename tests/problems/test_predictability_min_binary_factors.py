"""The objective against exhaustive enumeration, gradients against differences, predictors against
plain loops."""

import itertools
import math

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("predictability-min-binary-factors")
WORDS = np.array(list(itertools.product((0.0, 1.0), repeat=2)))


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def test_gradients():
    for seed in range(3):
        assert problem.gradient_check(problem.Config(seed=seed)) < 1e-5


def test_every_code_of_the_uneven_patterns():
    """Factorial codes reach V = 2, other codes that keep all apart 19/10 at most, the rest no more
    than 1.524."""
    values = {True: [], "apart": [], "merged": []}
    for chosen in itertools.product(range(4), repeat=4):
        bits = WORDS[list(chosen)]
        judged = problem.judge(bits, problem.UNEVEN)
        kind = True if judged.factorial else "apart" if judged.distinct == 4 else "merged"
        values[kind].append(problem.ideal_objective(bits, problem.UNEVEN))
    assert len(values[True]) == 8 and len(values["apart"]) == 16
    assert values[True] == pytest.approx([2.0] * 8)
    assert max(values["apart"]) == pytest.approx(1.9)
    assert max(values["merged"]) == pytest.approx(1.524, abs=5e-4)


def test_judgement():
    even, uneven = np.ones(4, int), problem.UNEVEN
    xor = np.stack([WORDS[:, 0], WORDS[:, 0] != WORDS[:, 1]], axis=1).astype(float)
    assert problem.judge(WORDS, even).factorial and problem.judge(xor, even).factorial
    assert problem.judge(WORDS, uneven).factorial and not problem.judge(xor, uneven).factorial
    spare = np.concatenate([WORDS, np.ones((4, 1))], axis=1)
    assert problem.judge(spare, even).factorial
    copied = np.concatenate([WORDS, WORDS[:, :1]], axis=1)
    assert not problem.judge(copied, even).factorial
    grey = WORDS.copy()
    grey[0, 0] = 0.15
    assert not problem.judge(grey, even).factorial


def test_factorial_codes_of_o1_have_one_constant_unit():
    """All one-to-one codes of four equally frequent patterns with three bits."""
    words = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
    codes = [words[list(chosen)] for chosen in itertools.permutations(range(8), 4)]
    good = [code for code in codes if problem.judge(code, np.ones(4, int)).factorial]
    assert len(good) == 3 * 2 * 24 and all((np.ptp(code, axis=0) == 0).sum() == 1 for code in good)


def test_the_auto_encoder_reproduces_its_input():
    """Wide enough, it brings the error on four patterns of -1 and 1 near to nothing."""
    x, weight = 2 * WORDS[None] - 1, np.full((4, 1), 0.25)
    code = problem.init_code(np.random.default_rng(0), 1, 2, 8, 2, decoder=True)
    for _ in range(4000):
        h, y = problem.encode(code, x)
        problem.ascend(code, problem.reconstruct_backward(code, x, h, y, weight), 6.0)
    out = problem.logistic(problem.encode(code, x)[1] @ code["E"] + code["e"])
    assert np.abs(out - WORDS).max() < 0.1


def test_nets_against_plain_loops():
    rng = np.random.default_rng(0)
    code, predictors = problem.init_code(rng, 2, 3, 4, 3), problem.init_predictors(rng, 2, 3, 2)
    x = rng.random((5, 3))
    h, y = problem.encode(code, x[None])
    p = problem.by_pattern(problem.predict(predictors, y)[1])
    for net, pattern in itertools.product(range(2), range(5)):
        hidden = [
            math.tanh(x[pattern] @ code["A"][net, :, j] + code["a"][net, 0, j]) for j in range(4)
        ]
        units = [
            sigmoid(np.dot(hidden, code["B"][net, :, i]) + code["b"][net, 0, i]) for i in range(3)
        ]
        assert y[net, pattern] == pytest.approx(units)
        for i in range(3):
            others = [2 * units[j] - 1 if j != i else 0.0 for j in range(3)]
            guess = [
                math.tanh(
                    np.dot(others, predictors["C"][net, i, :, j]) + predictors["c"][net, i, 0, j]
                )
                for j in range(2)
            ]
            top = sigmoid(
                np.dot(guess, predictors["D"][net, i, :, 0]) + predictors["d"][net, i, 0, 0]
            )
            assert p[net, pattern, i] == pytest.approx(top)


def test_predictors_never_see_their_own_unit():
    rng = np.random.default_rng(1)
    predictors = problem.init_predictors(rng, 1, 3, 2)
    y = rng.random((1, 4, 3))
    before = problem.by_pattern(problem.predict(predictors, y)[1])
    y[..., 1] = 0.123
    after = problem.by_pattern(problem.predict(predictors, y)[1])
    np.testing.assert_array_equal(before[..., 1], after[..., 1])
    assert (before[..., 0] != after[..., 0]).all()


def test_predictors_learn_the_conditional_mean():
    """With a fixed code, many epochs bring a predictor to E[y_i | y_j]."""
    rng = np.random.default_rng(2)
    y = np.array([[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]])
    counts = np.array([4, 1, 1, 4])
    predictors = problem.init_predictors(rng, 1, 2, 2)
    for _ in range(4000):
        g, p = problem.predict(predictors, y)
        problem.ascend(
            predictors,
            problem.predictor_backward(predictors, y, g, p, counts[:, None] / 10)[0],
            -5.0,
        )
    assert problem.by_pattern(problem.predict(predictors, y)[1])[0] == pytest.approx(
        np.array([[0.2, 0.2], [0.8, 0.2], [0.2, 0.8], [0.8, 0.8]]), abs=0.02
    )


def test_short_gradient_leaves_the_predictors_out():
    rng = np.random.default_rng(3)
    predictors, y = problem.init_predictors(rng, 1, 2, 2), rng.random((1, 4, 2))
    g, p = problem.predict(predictors, y)
    dg = problem.predictor_backward(predictors, y, g, p, np.ones((4, 1)))[1]
    short = problem.escape(predictors, y, p, dg, np.ones((4, 1)), "short")
    np.testing.assert_allclose(short, y - problem.by_pattern(p))
    assert (
        np.abs(problem.escape(predictors, y, p, dg, np.ones((4, 1)), "full") - short).max() > 1e-3
    )


def test_recovery_and_information():
    rng = np.random.default_rng(4)
    factors = rng.choice([-1.0, 1.0], (2, 4096, 3))
    code = (np.stack([-factors[..., 2], factors[..., 0], factors[..., 1]], axis=2) + 1) / 2
    assert problem.recovery(code, factors) == pytest.approx([1, 1])
    assert problem.pairwise_information(code > 0.5).max() < 2e-3
    copies = np.repeat(factors[..., :1], 3, axis=2)
    assert problem.pairwise_information(copies > 0) == pytest.approx([math.log(2)] * 2, rel=1e-3)


def test_sizes_of_the_experiments():
    table = problem.paper_experiments(problem.Config())
    assert {
        name: (e.units, e.patterns.shape, e.hidden)
        for name, e in table.items()
        if name in ("u2", "u3", "u4")
    } == {
        "u2": (2, (4, 2), (2, 4)),
        "u3": (4, (16, 16), (3, 16)),
        "u4": (4, (16, 4), (6, 8)),
    }
    assert table["n1"].counts.sum() == 9
