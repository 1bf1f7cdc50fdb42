"""The machine against a recursive interpreter, the search against enumeration from scratch,
memoised calls against executed moves, probabilities against fractions."""

from fractions import Fraction

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("oops-towers-of-hanoi")
TOKEN = {name: token for token, name in enumerate(problem.NAMES)}
ORDER = sorted(TOKEN.values())


def code(text):
    return tuple(TOKEN[name] for name in text.split())


def named(tokens):
    return [problem.NAMES[token] for token in tokens]


class End(Exception):
    """The run is over; its argument says why."""


class Interpreter:
    """The same machine, with Python's own recursion and lists that are changed in place."""

    def __init__(self, names, family, n, limit):
        self.names, self.family, self.n, self.limit = names, family, n, limit
        self.steps, self.output, self.moves = 0, "", 0
        self.pegs = {1: list(range(n, 0, -1)), 2: [], 3: []}

    def outcome(self):
        try:
            self.call([self.n - 1] if self.family == "A" else [1, 2, 3, self.n - 1])
        except End as end:
            return str(end)
        except IndexError:
            return "dead"
        return "halted"

    def call(self, given):
        stack, place = list(given), 0
        while place < len(self.names):
            name, place = self.names[place], place + 1
            if self.steps == self.limit:
                raise End("over time")
            self.steps += 1
            if name == "ret":
                return
            if name == "rec":
                if stack[-1]:
                    self.call([*stack[:-1], stack[-1] - 1])
                stack = list(given)
            elif name in ("skip0", "skipn"):
                place += (stack.pop() == 0) == (name == "skip0")
            else:
                getattr(self, "do_" + name, self.generic(name))(stack)

    def generic(self, name):
        def act(s):
            if name in ("c0", "c1", "c2", "c3"):
                s.append(int(name[1]))
            elif name in ("over", "swap", "add", "sub"):
                y, x = s.pop(), s.pop()
                s += {"over": [x, y, x], "swap": [y, x], "add": [x + y], "sub": [x - y]}[name]
            elif name in ("drop", "aux", "dup", "inc", "dec", "by2"):
                x = s.pop()
                values = {"dup": [x, x], "inc": [x + 1], "dec": [x - 1], "by2": [x + x]}
                s += values.get(name, [])

        return act

    def do_xAD(self, s):
        n, d, a, source = s.pop(), s.pop(), s.pop(), s.pop()
        s += [source, d, a, n]

    def do_xSA(self, s):
        n, d, a, source = s.pop(), s.pop(), s.pop(), s.pop()
        s += [a, source, d, n]

    def do_mv(self, s):
        source, target = s[-4], s[-2]
        if self.family == "A" or not {source, target} <= {1, 2, 3}:
            raise End("dead")
        disk = self.pegs[source].pop()
        if source == target or (self.pegs[target] and self.pegs[target][-1] < disk):
            raise End("dead")
        self.pegs[target].append(disk)
        self.moves += 1
        if self.pegs[3] == list(range(self.n, 0, -1)):
            raise End("solved")

    def write(self, letter):
        self.output += letter
        if self.family == "B" or not ("1" * self.n + "2" * self.n).startswith(self.output):
            raise End("dead")
        if len(self.output) == 2 * self.n:
            raise End("solved")

    def do_o1(self, s):
        self.write("1")

    def do_o2(self, s):
        self.write("2")


def executed(tokens, family, n, limit=300):
    task = problem.Task(family, n)
    return problem.execute(tokens, task, task.start(), limit, closed=True)[:2]


@pytest.mark.parametrize("family", ["A", "B"])
def test_the_machine_agrees_with_a_recursive_interpreter(family):
    rng, seen = np.random.default_rng(0), set()
    likely = code("o1 o2 rec" if family == "A" else "mv xAD xSA rec")
    for _ in range(6000):
        size = rng.integers(1, 12)
        often = rng.choice(likely, size)
        tokens = tuple(np.where(rng.random(size) < 0.6, often, rng.choice(ORDER, size)).tolist())
        n = int(rng.integers(1, 5))
        other = Interpreter(named(tokens), family, n, 300)
        expected = other.outcome()
        assert executed(tokens, family, n) == (expected, other.steps), named(tokens)
        seen.add(expected)
    assert seen == {"solved", "halted", "dead", "over time"}


def test_going_on_from_a_saved_state_is_the_same_as_starting_again():
    task, whole = problem.Task("B", 4), code("xAD rec mv xSA rec")
    state, steps = task.start(), 0
    for size in range(1, len(whole) + 1):
        outcome, more, state = problem.execute(whole[:size], task, state, 100, closed=False)
        steps += more
        assert outcome == problem.LEFT
    outcome, more, _ = problem.execute(whole, task, state, 1000, closed=True)
    assert (outcome, steps + more) == executed(whole, "B", 4, 1000)
    assert outcome == problem.SOLVED


@pytest.mark.parametrize("text", ["xAD rec mv xSA rec", "xAD bq rec mv xSA rec"])
def test_memoised_moves_are_the_executed_ones(text):
    for n in range(1, 11):
        other = Interpreter(text.split(), "B", n, 10**6)
        assert other.outcome() == "solved"
        assert problem.count_moves(code(text), n) == other.moves == 2**n - 1
    assert problem.count_moves(code(text), 30) == 2**30 - 1


def test_memoised_calls_of_other_programs_are_exact():
    rng, solved = np.random.default_rng(1), 0
    for _ in range(2000):
        tokens = list(code("xAD rec mv xSA rec"))
        for _ in range(rng.integers(1, 4)):
            tokens.insert(rng.integers(0, len(tokens) + 1), int(rng.choice(ORDER)))
        moves = problem.count_moves(tuple(tokens), 3)
        if moves is not None:
            other = Interpreter(named(tokens), "B", 3, 10_000)
            assert other.outcome() == "solved" and other.moves <= moves
            solved += 1
    assert solved > 100
    assert problem.count_moves(code("mv mv"), 1) is None
    assert problem.count_moves(code("xAD rec mv xSA"), 2) is None


def from_scratch(order, tasks, half, weights, teacher):
    """All prefixes that Try may test at this time, and the first solution, without saved states.

    A prefix runs from the start on each task in turn; it may be extended where the pointer leaves
    it; its weights are those of its beginning.
    """
    tested, solution, stack = 0, None, [()]
    while stack and not solution:
        prefix = stack.pop()
        if prefix:
            tested += 1
            chance = exact_chance(prefix, tasks, weights, teacher)
            limit = int(half * chance)
            open_run, used, _ = runs(prefix, tasks, limit, False)
            if open_run == "solved" or runs(prefix, tasks, limit, True)[0] == "solved":
                solution = prefix
                continue
            if open_run != "left":
                continue
        else:
            used = 0
        for token in reversed(order):
            child = (*prefix, token)
            if used < int(half * exact_chance(child, tasks, weights, teacher)):
                stack.append(child)
    return tested, solution


def runs(prefix, tasks, limit, closed):
    """How the run on the first task that is not solved ended, steps on all, the state then."""
    used = 0
    for task in tasks:
        outcome, steps, state = problem.execute(prefix, task, task.start(), limit - used, closed)
        used += steps
        if outcome != "solved":
            break
    return outcome, used, state


def exact_chance(tokens, tasks, weights, teacher):
    """P by fractions; a bq boosts unless a skip jumps over it when it is chosen."""
    chance, weights = Fraction(1), dict(weights)
    for place, token in enumerate(tokens):
        chance *= Fraction(weights[token], sum(weights.values()))
        if token == problem.BQ and runs(tokens[:place], tasks, 10**6, False)[2][3] == place:
            for other in teacher:
                weights[other] += len(weights)
    return chance


@pytest.mark.parametrize(
    "family, order, half, solved",
    [
        ("A", "rec dup o1 skip0 bq o2 drop c0", 2**9, False),
        ("A", "rec dup o1 skip0 bq o2 drop c0", 2**12, True),
        ("A", "drop skip0 o2 bq ret o1 c0 rec", 2**12, True),
        ("B", "rec mv o1 xSA bq skipn xAD dec", 2**14, False),
    ],
)
def test_the_search_is_the_enumeration_of_all_prefixes_in_time(family, order, half, solved):
    order, teacher = code(order), code("rec" if family == "B" else "drop")
    tasks = [problem.Task(family, n) for n in (1, 2)]
    search = problem.Oops(order, 1, problem.BOOSTS)
    boosted = [token for token in problem.BOOSTS[family] if token in order]
    weights = problem.boost(dict.fromkeys(order, 1), boosted)
    search.teacher, search.half = teacher, half
    found = search.grow([], tasks, tasks[0].start(), 0, 1.0, weights)
    tested, solution = from_scratch(order, tasks, half, weights, teacher)
    assert search.prefixes == tested > 20
    assert (found[0] if found else None) == solution
    assert bool(found) == solved
    if found:
        assert found[2] == pytest.approx(float(exact_chance(solution, tasks, weights, teacher)))


def test_the_probabilities_of_the_paper_and_of_the_solvers():
    expected = Fraction(74, 511) ** 3 * Fraction(74, 876) ** 7
    assert problem.paper_probability() == pytest.approx(float(expected), rel=1e-12)
    assert problem.paper_probability() == pytest.approx(9.3e-11, rel=0.01)
    weights = problem.boost(dict.fromkeys(ORDER, 1), problem.BOOSTS["B"])
    solver = code("xAD bq rec mv xSA rec")
    chances = problem.token_chances(solver, weights, code("o1 rec o2"))
    assert np.prod(chances) == pytest.approx((25 / 120) ** 2 * (25 / 192) ** 4)
    assert chances == pytest.approx([25 / 120] * 2 + [25 / 192] * 4)


def test_a_prolonged_program_has_solved_the_tasks_before():
    result = problem.run(problem.Config(**problem.QUICK))
    prolonged = [row for row in result.frozen if row.how == "prolonged"]
    assert prolonged
    for row in prolonged:
        for n in range(1, row.n + 1):
            assert executed(row.code, row.family, n)[0] == problem.SOLVED
    assert result.metrics["hanoi_max_n"] == 4 and result.metrics["a30"]
    assert problem.writes_right(code("o1 rec o2"), 30)
    assert not problem.writes_right(code("o1 rec o2 o2"), 3)
