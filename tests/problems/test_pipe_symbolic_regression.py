"""PIPE's updates against the paper's loop, its fast draws against the plain form, programs against
Python's own arithmetic, and genetic programming's operators."""

import math

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("pipe-symbolic-regression")
X, R, PLUS, MINUS, TIMES, OVER, SIN, COS, EXP, RLOG = range(10)
CURVE, QUARTIC = problem.Task("curve"), problem.Task("quartic")


@pytest.fixture(autouse=True)
def quiet():
    """Undefined values are part of the task."""
    with np.errstate(all="ignore"):
        yield


def make_tree(seed=0, task=CURVE, **options):
    return problem.Tree(task, problem.Config(**options), np.random.default_rng(seed))


def drawn(tree, size):
    """The steps of a program of so many nodes, up to three times as many."""
    for _ in range(20_000):
        for _, choice in tree.draw(10):
            steps = tree.steps(choice)
            if size <= len(steps) <= 3 * size:
                return steps
    raise AssertionError("no program of this size")


def program_of(steps):
    return [(symbol, constant) for _, symbol, constant in steps]


def evolved(seed=3, generations=60, **options):
    """A tree that has learnt for a while, so that its likeliest program has many nodes."""
    tree = make_tree(seed, terminal=0.6, **options)
    for _ in range(generations):
        values, choice = min(tree.draw(10), key=lambda pair: CURVE.fits([pair[0]])[0])
        problem.learn(tree, tree.steps(choice), 3.0, 3.0)
    return tree


def prefix(*names):
    """A program from symbols and constants."""
    return [(R, n) if isinstance(n, float) else (n, 0.0) for n in names]


def written(program):
    """The program as a Python expression."""
    stack = []
    for symbol, constant in reversed(program):
        name, arity = problem.NAMES[symbol], problem.ARITY[symbol]
        if arity == 2:
            stack.append(f"({stack.pop()} {name} {stack.pop()})")
        elif arity == 1:
            stack.append(f"{name}({stack.pop()})")
        else:
            stack.append("x" if symbol == X else repr(constant))
    return stack[0]


def flat(part):
    """A program of genetic programming in prefix order, without its constants."""
    return [part.symbol, *(symbol for inner in part.parts for symbol in flat(inner))]


def test_the_zero_program_and_the_height_of_the_target():
    zero = problem.evaluate(prefix(MINUS, X, X), CURVE.points)
    assert CURVE.fits([zero])[0] == pytest.approx(20.47, abs=0.005)
    assert np.abs(CURVE.wanted).max() == pytest.approx(0.835, abs=0.001)
    assert len(CURVE.points) == 101 and CURVE.points[-1] == 10
    x = 2.0
    by_hand = x**3 * math.exp(-x) * math.cos(x) * math.sin(x)
    assert CURVE.wanted[20] == pytest.approx(by_hand * (math.sin(x) ** 2 * math.cos(x) - 1))


def test_protected_functions_and_undefined_values():
    x = np.array([-2.0, 0.0, 3.0])
    assert problem.divide(np.ones(3), x) == pytest.approx([-0.5, 1, 1 / 3])
    assert problem.rlog(x) == pytest.approx([math.log(2), 0, math.log(3)])
    assert CURVE.fits([np.full(101, np.nan), np.full(101, np.inf)]).tolist() == [problem.MOST] * 2
    undefined = prefix(MINUS, EXP, EXP, EXP, X, EXP, EXP, EXP, X)
    values = problem.evaluate(undefined, CURVE.points)
    assert np.isnan(values).any()
    assert problem.dense_ratio(problem.Best(undefined, problem.MOST, values), CURVE) == 1


def test_programs_agree_with_python():
    tree, names, compared = make_tree(1, terminal=0.55), {"sin": np.sin, "cos": np.cos}, 0
    for _ in range(100):
        for values, choice in tree.draw(10):
            program = program_of(tree.steps(choice))
            np.testing.assert_array_equal(problem.evaluate(program, CURVE.points), values)
            text = written(program)
            if "%" not in text and "rlog" not in text:
                expected = eval(text, {"x": CURVE.points, "exp": np.exp, **names})
                expected = np.broadcast_to(expected, values.shape)
                np.testing.assert_allclose(values, expected, rtol=1e-9, equal_nan=True)
                compared += len(program) > 3
    assert compared > 50


def test_the_exact_quartic_hits_every_point():
    horner = prefix(*[TIMES, X, PLUS, OVER, X, X] * 3, X)
    assert QUARTIC.hits(problem.evaluate(horner, QUARTIC.points)) == 20
    assert QUARTIC.hits(QUARTIC.wanted + 0.02) == 0 and QUARTIC.instructions == 6


def test_program_probability_is_the_product_over_its_nodes():
    tree = make_tree(terminal=0.5)
    steps = drawn(tree, 5)
    own = [tree.p[node.row, symbol] for node, symbol, _ in steps]
    assert problem.log_product(np.array(own)) == pytest.approx(math.log(math.prod(own)))
    assert tree.initial.sum() == pytest.approx(1)
    assert tree.initial[X] == pytest.approx(0.25) and tree.initial[SIN] == pytest.approx(0.5 / 8)


@pytest.mark.parametrize("constant", [0.05, 0.5])
def test_fast_draws_are_the_plain_ones(constant):
    """The same random numbers: those of the likeliest program's nodes from a table, all others one
    constant. Below 0.3 an instruction of a new node is x, between that and 0.6 it is R."""
    tree, long, different = evolved(), 0, 0
    for _ in range(40):
        tree.uniform = lambda: constant
        state = tree.rng.bit_generator.state
        fast = tree.draw(10)
        nodes = tree.root.part
        tree.rng.bit_generator.state = state
        for row, (values, choice) in zip(tree.rng.random((10, len(nodes))), fast, strict=True):
            plain = {}
            expected = tree.draw_plain(tree.root, dict(zip(nodes, row, strict=True)), plain)
            np.testing.assert_array_equal(values, expected)
            steps = tree.steps(choice)
            assert steps == tree.steps(plain)
            long += len(steps) > 8
            different += len(choice) > 0
        tree.uniform = tree.rng.random
        problem.learn(tree, steps, 4.0, 3.0)
    assert long > 40 and different > 100


def test_the_likeliest_program_is_kept_up_to_date():
    tree = evolved(generations=40)
    for _ in range(30):
        _, choice = tree.draw(4)[-1]
        problem.learn(tree, tree.steps(choice), 3.0, 3.0)
        tree.draw(1)
        afresh = tree.steps({})  # follows the likeliest instruction of each node
        assert [node for node, _, _ in afresh] == tree.root.part
        values = problem.evaluate(program_of(afresh), CURVE.points)
        np.testing.assert_array_equal(tree.root.values, values)
        for node in tree.root.part:
            assert tree.p[node.row].argmax() == node.likely
            assert tree.p[node.row].sum() == pytest.approx(1)


def test_draws_follow_the_probabilities():
    tree, first = make_tree(terminal=0.5), np.zeros(10)
    for _ in range(2000):
        for _, choice in tree.draw(10):
            first[choice[tree.root][0] if tree.root in choice else tree.root.likely] += 1
    expected = 20_000 * tree.initial
    assert ((first - expected) ** 2 / expected).sum() < 27.9  # chi-squared, 9 degrees, 1 in 1000


@pytest.mark.parametrize("fits", [(5.0, 5.0), (20.0, 3.0)])
def test_learning_is_the_papers_loop(fits):
    """The loop step by step on a copy of the probabilities; the others shrink in proportion."""
    own_fit, elite_fit = fits
    tree = make_tree(7, terminal=0.5)
    steps = drawn(tree, 9)
    rows, symbols = [node.row for node, _, _ in steps], [symbol for _, symbol, _ in steps]
    before, own = tree.p[rows].copy(), tree.p[rows, symbols]
    now = math.prod(own)
    target = now + (1 - now) * 0.01 * (1e-6 + elite_fit) / (1e-6 + own_fit)
    expected = problem.raised_plain(own, target, 0.01)
    assert math.prod(expected) >= target > now
    problem.learn(tree, steps, own_fit, elite_fit, elitist=True)
    np.testing.assert_allclose(tree.p[rows, symbols], expected, rtol=1e-9)
    np.testing.assert_allclose(tree.p[rows].sum(1), 1)
    other = (symbols[0] + 1) % 10
    shrunk = before[0, other] * (1 - expected[0]) / (1 - own[0])
    assert tree.p[rows[0], other] == pytest.approx(shrunk)


def test_only_nodes_of_constants_store_one():
    tree = make_tree()
    nodes = [node for node, _, _ in tree.steps_of(prefix(PLUS, X, R))]
    old = [node.constant for node in nodes]
    problem.learn(tree, tree.steps_of(prefix(PLUS, X, 0.125)), 3.0, 3.0)
    assert [node.constant for node in nodes] == [*old[:2], 0.125]


def test_a_stored_constant_serves_while_r_is_likely():
    tree = make_tree()
    node = tree.root
    assert tree.choose(node, 0.5) == (R, node.constant)  # P(R) = 0.4 > T_R
    tree.store([node], np.array([[0.72, 0.2, *[0.01] * 8]]))
    assert tree.choose(node, 0.8)[1] != tree.choose(node, 0.8)[1]


def test_mutation_rate():
    """On average P_M sqrt(nodes) entries mutate, each goes mr of its way to 1."""
    config, rng, changed = problem.Config(), np.random.default_rng(5), 0
    for _ in range(2000):
        p = np.full((25, 10), 0.1)
        problem.mutate(p, config, rng)
        np.testing.assert_allclose(p.sum(1), 1)
        changed += (p > 0.11).sum()
        for row in p[(p > 0.11).sum(1) == 1]:
            assert row.max() == pytest.approx(0.46 / 1.36)
    assert changed / 2000 == pytest.approx(0.4 * 5, rel=0.1)


def test_pruning_and_growing_back():
    tree = make_tree(mutation=0.0)
    steps = tree.steps_of(prefix(PLUS, X, X))
    certain = np.full((1, 10), 1e-9)
    certain[0, SIN] = 1 - 9e-9
    tree.store([tree.root], certain)
    kept, dropped = tree.root.children
    problem.learn(tree, [(tree.root, SIN, 0.0), (kept, X, 0.0)], 3.0, 3.0)
    assert tree.root.children == [kept]
    again = tree.steps_of(prefix(PLUS, X, X))
    assert again[1][0] is steps[1][0] and again[2][0] is not dropped


def test_depth_is_limited():
    """Functions everywhere: at the limit x takes their place, in both forms."""
    tree = make_tree()
    program = prefix(*[SIN] * 80, X)
    steps = tree.steps_of(program)
    p = np.full((len(steps), 10), 1e-12)
    p[:, SIN] = 1.0
    tree.store([node for node, _, _ in steps], p)
    ((_, choice),) = tree.draw(1)
    assert program_of(tree.steps(choice)) == prefix(*[SIN] * problem.DEEPEST, X)
    plain = {}
    tree.draw_plain(tree.root, {}, plain)
    assert len(plain) == problem.DEEPEST + 1


def test_crossover_makes_programs():
    uniform = problem.uniform_stream(np.random.default_rng(2)).__next__
    moved = 0
    for _ in range(300):
        mother, father = (problem.grow(CURVE, uniform, 6, full=True) for _ in range(2))
        child = problem.cross(mother, father, uniform)
        symbols = flat(child)
        assert len(symbols) == child.size == 1 + sum(problem.ARITY[s] for s in symbols)
        assert problem.depth(child) <= problem.HIGHEST and problem.depth(mother) == 6
        moved += symbols != flat(mother)
    assert moved > 200
    deep = problem.grow(CURVE, lambda: 0.99, 17, full=True)  # rlog all the way down to R
    assert problem.depth(deep) == 17
    path, part = problem.pick(deep, lambda: 0.5)
    assert len(path) == 9 and part.size == 9


def test_genetic_programming_uses_its_budget_and_improves():
    config = problem.Config(evaluations=3000, gp_population=500)
    tried = problem.genetic_programming(CURVE, config, np.random.default_rng(0))
    assert len(tried) == 3000 and min(tried) < min(tried[:500])


def test_quick_solves_the_quartic():
    result = problem.run(problem.Config(**problem.QUICK))
    values = problem.evaluate(result.best.program, QUARTIC.points)
    assert result.metrics["solved"] and np.abs(values - QUARTIC.wanted).max() < 0.01
    assert result.metrics["gp_sae"] is None and result.metrics["evaluations"] < 30_000


def test_a_short_run_beats_the_unlearned_tree():
    metrics = problem.run(problem.Config(seed=1000, evaluations=5000)).metrics
    assert metrics["sae"] < 20.4 and metrics["evaluations"] == 5000
    assert metrics["sae"] <= metrics["sae_30"] <= metrics["sae_01"]
    assert metrics["random_sae"] > 19 and metrics["gp_sae"] < 20.5
