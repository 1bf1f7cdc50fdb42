"""Programs against a row-by-row interpreter, learning against its plain form and its probabilities,
pruning and its readings by construction, genetic programming's operators."""

import math
from collections import Counter

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("pipe-6-bit-parity")
AND, OR, NOT, IF, INPUT = problem.AND, problem.OR, problem.NOT, problem.IF, problem.INPUT


def make_tree(seed=0, **options):
    config = problem.Config(**options)
    task = problem.Parity(config.bits)
    return problem.Tree(task, config, np.random.default_rng(seed))


def draw(tree):
    program = []
    return program, tree.draw(program, tree.root)


def parity_program(bits):
    """Even parity by IF(p, NOT x, x) from NOT x0: 4 nodes a bit more."""
    program = [NOT, INPUT]
    for i in range(1, bits):
        program = [IF, *program, NOT, INPUT + i, INPUT + i]
    return program


def answer(program, x):
    """What a program says on one row of bits x, by recursion; and what is left of the program."""
    symbol, rest = program[0], program[1:]
    if symbol >= INPUT:
        return x[symbol - INPUT], rest
    arguments = []
    for _ in range(problem.ARITY[symbol]):
        value, rest = answer(rest, x)
        arguments.append(value)
    if symbol == IF:
        return arguments[1] if arguments[0] else arguments[2], rest
    if symbol == NOT:
        return 1 - arguments[0], rest
    return (min if symbol == AND else max)(arguments), rest


def test_programs_say_on_all_rows_what_they_say_on_each():
    tree = make_tree(terminal=0.5, bits=4)
    seen = Counter()
    for _ in range(300):
        program, answers = draw(tree)
        rows = [[row >> i & 1 for i in range(4)] for row in range(16)]
        assert [answers >> row & 1 for row in range(16)] == [answer(program, x)[0] for x in rows]
        assert answers == tree.task.evaluate(program)
        seen.update(program)
    assert set(seen) == set(range(INPUT + 4))


@pytest.mark.parametrize("bits", [2, 3, 6])
def test_parity_counts_ones(bits):
    task = problem.Parity(bits)
    for row in range(2**bits):
        assert task.wanted >> row & 1 == (bin(row).count("1") + 1) % 2
        assert [x >> row & 1 for x in task.inputs] == [row >> i & 1 for i in range(bits)]
    solution = parity_program(bits)
    assert task.fit(task.evaluate(solution)) == 0 and len(solution) == 2 + 4 * (bits - 1)
    assert task.fit(0) == task.fit(task.every) == 2 ** (bits - 1)
    fewer = parity_program(bits - 1) if bits > 2 else [INPUT]
    assert task.fit(task.evaluate(fewer)) == 2 ** (bits - 1)


def test_programs_are_drawn_with_their_probability():
    tree, counts = make_tree(seed=1, bits=2), Counter()
    for _ in range(30_000):
        counts[tuple(draw(tree)[0])] += 1
    for program in ((INPUT,), (NOT, INPUT + 1), (AND, INPUT, INPUT)):
        chance = math.exp(problem.log_probability(tree.trace(program)))
        assert counts[program] / 30_000 == pytest.approx(chance, rel=0.15)
    assert math.exp(problem.log_probability(tree.trace((NOT, INPUT)))) == pytest.approx(0.1 * 0.3)


def depth(program, arity):
    """Longest path from the root, in edges."""
    levels, deepest = [0], 0
    for symbol in program:
        level = levels.pop()
        deepest = max(deepest, level)
        levels += [level + 1] * arity[symbol]
    return deepest


def test_depth_is_limited():
    """IF everywhere in the tree that exists, two inputs aside: only the limit ends its long arm."""
    tree = make_tree(terminal=0.5)
    program = [IF, INPUT, INPUT] * 70 + [INPUT]
    for node, symbol in tree.trace(program):
        node.set([float(k == symbol) for k in range(10)])
    drawn, _ = draw(tree)
    assert depth(drawn, tree.task.arity) == problem.DEEPEST


def adapted(rule, own_fit, elite_fit, rate=0.05):
    tree = make_tree(seed=2)
    trace = tree.trace(parity_program(3))
    before = math.exp(problem.log_probability(trace))
    rule(trace, own_fit, elite_fit, rate)
    return before, trace


@pytest.mark.parametrize("fits", [(5, 5), (20, 3), (0, 0)])
def test_adapting_in_closed_form_equals_the_repeated_step(fits):
    before, plain = adapted(problem.plain_adapt, *fits)
    _, fast = adapted(problem.adapt, *fits)
    for (a, _), (b, _) in zip(plain, fast, strict=True):
        np.testing.assert_allclose(a.p, b.p, rtol=1e-9)
        assert sum(b.p) == pytest.approx(1) and b.sums[-1] == pytest.approx(1)
    own, elite = fits
    target = before + (1 - before) * 0.05 * (1 + elite) / (1 + own)
    reached = math.exp(problem.log_probability(fast))
    assert target <= reached < 1.5 * target


def test_mutation_hits_each_entry_with_its_chance():
    tree = make_tree(seed=3, mutation=2.0)
    trace = tree.trace(parity_program(6))
    entries, size, hits, rounds = len(tree.initial), len(trace), 0, 600
    for _ in range(rounds):
        for node, _ in trace:
            node.set(list(tree.initial))
        problem.mutate(trace, tree)
        for node, _ in trace:
            grown = [p > q + 1e-12 for p, q in zip(node.p, tree.initial, strict=True)]
            hits += sum(grown)
            assert sum(node.p) == pytest.approx(1)
    assert hits / rounds == pytest.approx(2.0 * math.sqrt(size), rel=0.15)
    assert entries == 10


def test_mutation_moves_an_entry_its_rate_towards_one():
    tree = make_tree(mutation=5.0, mutation_rate=1.0, bits=2)
    node = tree.trace([INPUT])[0][0]
    problem.mutate([(node, INPUT)], tree)
    assert max(node.p) > 0.45


def test_pruning_drops_what_a_nearly_certain_instruction_does_not_use():
    tree = make_tree()
    trace = tree.trace([IF, INPUT, INPUT, INPUT])
    root, kept = tree.root, tree.root.children[0]
    certain = [0.0] * 10
    certain[NOT] = 1.0
    root.set(certain)
    problem.prune(trace, tree)
    assert root.children == [kept]
    problem.prune([(kept, INPUT)], tree)
    assert kept.children == []


def test_an_elite_keeps_its_nodes_or_they_grow_afresh():
    """After its part of the tree is cut off, adapting a trace leaves the tree alone; a new trace of
    the same program has new nodes with the initial probabilities."""
    tree = make_tree()
    program = [AND, INPUT, INPUT + 1]
    elite = tree.trace(program)
    problem.adapt(elite, 5, 5, 0.2)
    del tree.root.children[:]
    root = list(tree.root.p)
    problem.adapt(elite[1:], 5, 5, 0.2)
    assert tree.root.p == root and tree.root.children == []
    again = tree.trace(program)
    assert again[0][0] is tree.root and again[1][0] is not elite[1][0]
    assert again[1][0].p == tree.initial


def test_quick_solves_four_bits_and_counts_its_evaluations():
    result = problem.run(problem.Config(**problem.QUICK))
    task = problem.Parity(4)
    assert result.metrics["solved"] and task.evaluate(result.best) == task.wanted
    assert result.wrong == 0 and result.history["evaluations"][-1] == result.metrics["evaluations"]
    assert result.metrics["unlearned"] is None


def test_the_budget_is_kept():
    metrics = problem.run(problem.Config(evaluations=1234)).metrics
    assert metrics["evaluations"] == 1234 and not metrics["solved"] and metrics["errors"] > 0


def test_unlearned_search_knows_no_parity():
    metrics = problem.run(problem.Config(method="unlearned", evaluations=20_000)).metrics
    assert metrics["unlearned"] >= 24 and metrics["solved"] is None
