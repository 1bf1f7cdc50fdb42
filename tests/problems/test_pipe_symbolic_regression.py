"""PIPE's probabilities and updates against direct multiplication and plain loops; programs against
Python's own arithmetic."""

import math

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("pipe-symbolic-regression")
CURVE, QUARTIC = problem.make_problem("curve"), problem.make_problem("quartic")


def make_tree(seed=0, target=CURVE, **options):
    return problem.Tree(target, problem.Config(**options), np.random.default_rng(seed))


def drawn(tree, size):
    """A trace of so many nodes, up to three times as many."""
    with np.errstate(all="ignore"):
        return next(
            trace
            for trace in (tree.sample()[1] for _ in range(100_000))
            if size <= len(trace) <= 3 * size
        )


def program_of(trace):
    return [(symbol, constant) for _, symbol, constant in trace]


def written(program, task):
    """The program as a Python expression."""
    stack = []
    for symbol, constant in reversed(program):
        name, arity = task.names[symbol], task.arity[symbol]
        if arity == 2:
            stack.append(f"({stack.pop()} {name} {stack.pop()})")
        elif arity == 1:
            stack.append(f"{name}({stack.pop()})")
        else:
            stack.append("x" if symbol == task.x else f"{constant:.3f}")
    return stack[0]


def test_the_zero_program_and_the_height_of_the_target():
    zero = [(1, 0.0), (CURVE.x, 0.0), (CURVE.x, 0.0)]  # x - x
    assert problem.fit(problem.evaluate(zero, CURVE), CURVE) == pytest.approx(20.47, abs=0.005)
    assert np.abs(CURVE.wanted).max() == pytest.approx(0.835, abs=0.001)
    assert len(CURVE.points) == 101 and CURVE.points[-1] == 10


def test_protected_functions():
    x = np.array([-2.0, 0.0, 3.0])
    with np.errstate(all="ignore"):
        assert problem.divide(np.ones(3), x) == pytest.approx([-0.5, 1, 1 / 3])
        assert problem.rlog(x) == pytest.approx([math.log(2), 0, math.log(3)])
    assert problem.fit(np.full(101, np.nan), CURVE) == problem.MOST


def test_programs_agree_with_python():
    rng = np.random.default_rng(1)
    for _ in range(200):
        program = problem.grow(CURVE, problem.uniform_stream(rng).__next__, 4, full=False)
        text = written(program, CURVE)
        if "%" in text or "rlog" in text:
            continue
        with np.errstate(all="ignore"):
            expected = eval(text, {"x": CURVE.points, "sin": np.sin, "cos": np.cos, "exp": np.exp})
            values = problem.evaluate([(s, round(c, 3)) for s, c in program], CURVE)
        np.testing.assert_allclose(
            values, np.broadcast_to(expected, values.shape), rtol=1e-9, equal_nan=True
        )


def test_undefined_values_count_as_the_largest_error():
    """Not-a-number between the fitness cases must not become a metric."""
    values = np.array([0.0, np.nan, 1.0])
    assert problem.rmse(values, np.zeros(3)) == problem.MOST
    assert problem.rmse(np.array([3.0, 4.0]), np.zeros(2)) == pytest.approx(math.sqrt(12.5))
    exp, minus, x = (6, 0.0), (1, 0.0), (CURVE.x, 0.0)
    undefined = [minus, *2 * [exp, exp, exp, x]]
    with np.errstate(all="ignore"):
        assert np.isnan(problem.evaluate(undefined, CURVE)).any()
        assert problem.dense_ratio(undefined, CURVE) == 1


def test_the_exact_quartic_hits_every_point():
    x, plus, times = (QUARTIC.x, 0.0), (0, 0.0), (2, 0.0)
    horner = [
        times,
        x,
        plus,
        *[(3, 0.0), x, x],
        times,
        x,
        plus,
        *[(3, 0.0), x, x],
        times,
        x,
        plus,
        *[(3, 0.0), x, x],
        x,
    ]
    assert problem.hits(problem.evaluate(horner, QUARTIC), QUARTIC) == 20


def test_program_probability_is_the_product_over_its_nodes():
    tree = make_tree(terminal=0.3)
    trace = drawn(tree, 5)
    product = 1.0
    for node, symbol, _ in trace:
        product *= node.p[symbol]
    assert problem.log_probability(trace) == pytest.approx(math.log(product))
    assert sum(tree.initial) == pytest.approx(1)
    assert tree.initial[-1] == pytest.approx(0.15) and tree.initial[0] == pytest.approx(0.7 / 8)


def test_sampling_follows_the_probabilities():
    tree = make_tree(terminal=0.5)
    first = np.zeros(10)
    with np.errstate(all="ignore"):
        for _ in range(20_000):
            first[tree.sample()[1][0][1]] += 1
    expected = 20_000 * np.array(tree.initial)
    assert (
        ((first - expected) ** 2) / expected
    ).sum() < 27.9  # chi-squared, 9 degrees of freedom, one in a thousand


def test_stored_values_are_those_of_a_fresh_evaluation():
    tree, compared = make_tree(3, terminal=0.4), 0
    with np.errstate(all="ignore"):
        for number in range(3000):
            values, trace = tree.sample()
            np.testing.assert_array_equal(values, problem.evaluate(program_of(trace), CURVE))
            compared += len(trace) > 5
            if number % 10 == 0:
                problem.adapt(trace, 3.0, 2.0, 0.3)
    assert compared > 100


def test_closed_form_is_the_papers_loop():
    """The loop of the paper, repetition by repetition, on a copy of the probabilities."""
    for own, best in ((5.0, 5.0), (20.0, 3.0)):
        trace = drawn(make_tree(7, terminal=0.4), 9)
        p = [node.p[symbol] for node, symbol, _ in trace]
        now = math.prod(p)
        target = now + (1 - now) * 0.01 * (1e-6 + best) / (1e-6 + own)
        repetitions = 0
        while math.prod(p) < target:
            p = [value + 0.1 * 0.01 * (1 - value) for value in p]
            repetitions += 1
        assert problem.adapt(trace, own, best, 0.01) == repetitions > 100
        np.testing.assert_allclose([node.p[symbol] for node, symbol, _ in trace], p, rtol=1e-9)
        assert all(sum(node.p) == pytest.approx(1) for node, _, _ in trace)
        assert all(node.constant == constant for node, _, constant in trace)


def test_a_better_program_pulls_further():
    near, far = drawn(make_tree(7, terminal=0.4), 9), drawn(make_tree(7, terminal=0.4), 9)
    assert problem.adapt(near, 3.0, 3.0, 0.01) > problem.adapt(far, 30.0, 3.0, 0.01)


def test_mutation_rate():
    """On average P_M sqrt(size) entries of a program mutate."""
    tree = make_tree(5, terminal=0.4)
    trace = drawn(tree, 25)
    changed = 0
    for _ in range(2000):
        before = [list(node.p) for node, _, _ in trace]
        problem.mutate(trace, tree)
        for (node, _, _), old in zip(trace, before, strict=True):
            changed += sum(new > was + 1e-15 for new, was in zip(node.p, old, strict=True))
            node.set(old)
    assert changed / 2000 == pytest.approx(0.4 * math.sqrt(len(trace)), rel=0.1)


def test_pruning_and_growing_back():
    tree = make_tree()
    children = tree.child(tree.root, 1)
    assert children is tree.root.children[1]
    tree.root.set([0.0] * 4 + [1.0] + [0.0] * 5)  # surely sin, one argument
    problem.drop_unused([(tree.root, 4, 0.0)], tree)
    assert len(tree.root.children) == 1
    assert len(tree.trace([(0, 0.0), (CURVE.x, 0.0), (CURVE.x, 0.0)])) == 3
    assert len(tree.root.children) == 2


def test_crossover_makes_programs():
    uniform = problem.uniform_stream(np.random.default_rng(2)).__next__
    for _ in range(300):
        mother, father = (problem.grow(CURVE, uniform, 6, full=True) for _ in range(2))
        child = problem.cross(mother, father, CURVE, uniform)
        assert problem.end(child, 0, CURVE) == len(child)
        assert problem.depth(child, CURVE) <= 17
    assert problem.depth([(0, 0.0), (4, 0.0), (CURVE.x, 0.0), (CURVE.x, 0.0)], CURVE) == 2


def test_genetic_programming_uses_its_budget_and_improves():
    counts = []
    config = problem.Config(evaluations=3000, gp_population=500)
    with np.errstate(all="ignore"):
        best = problem.genetic_programming(
            CURVE, config, np.random.default_rng(0), lambda done, fit: counts.append((done, fit))
        )
    assert [done for done, _ in counts] == list(range(1, 3001))
    assert best == counts[-1][1] < counts[499][1]


def test_something_is_learnt():
    metrics = problem.run(problem.Config(seed=0, **problem.QUICK)).metrics
    assert metrics["sae"] < 18 and metrics["log_probability"] > metrics["first_log_probability"]
