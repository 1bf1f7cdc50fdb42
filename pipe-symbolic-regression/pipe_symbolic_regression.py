"""Probabilistic incremental program evolution (PIPE): a tree of probability vectors learns to write
programs that fit a curve.

Task      Find a program in x that equals f(x) = x^3 e^-x cos x sin x (sin^2 x cos x - 1) at x = 0,
          0.1, ..., 10. FIT(program) = sum over the 101 points of |f(x) - program(x)|; less is
          better; the program "0" has FIT 20.47.
Programs  functions + - * % (a % 0 = 1) sin cos exp rlog (log|a|, 0 at 0), terminals x and R, a
          constant in [0, 1).
Model     The probabilistic prototype tree: every node N holds a probability P(I) for each of the 10
          instructions, a constant R, and children made on demand. A program is drawn depth first;
          P(PROG) is the product of P(I) over its nodes.
Learning  Each generation draws 10 programs. P(PROG_b) of the best is raised to
              P_TARGET = P(PROG_b) + (1 - P(PROG_b)) lr (eps + FIT(PROG_el)) / (eps + FIT(PROG_b)),
          PROG_el the best program ever, by repeating P(I) += 0.1 lr (1 - P(I)) at all its nodes;
          then some entries mutate.
Controls  Programs drawn from the initial tree; genetic programming with crossover, the same number
          of evaluations.

    python3 pipe_symbolic_regression.py --seed 0
"""

from __future__ import annotations

import argparse
import bisect
import dataclasses
import itertools
import json
import math
import numbers
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


# idiom: option
def option(default, meaning, low=None, high=None, among=()):
    """A field of Config: its default, what it means, and what is allowed: low to high, or among."""
    among = (False, True) if isinstance(default, bool) else tuple(among)
    if among:
        allowed = f"one of {', '.join(map(str, among))}"
    else:
        kind = "a whole number" if isinstance(default, int) else "a number"
        allowed = f"{kind} from {low:,} to {high:,}"
    facts = {"meaning": meaning, "low": low, "high": high, "among": among, "allowed": allowed}
    return dataclasses.field(default=default, metadata=facts)


def check_options(config):
    """Raise a ValueError that names field, value and what is allowed unless every value is."""
    for field in dataclasses.fields(config):
        value, facts = getattr(config, field.name), field.metadata
        kind = numbers.Integral if isinstance(field.default, int) else numbers.Real
        if facts["among"]:
            good = value in facts["among"]
        else:
            good = isinstance(value, kind) and facts["low"] <= value <= facts["high"]
        if not good:
            raise ValueError(f"{field.name} must be {facts['allowed']}, got {value!r}")


# end idiom


@dataclass(frozen=True)
class Config:
    """The paper's parameters for regression; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    target: str = option(
        "curve",
        "the paper's curve, or x^4 + x^3 + x^2 + x from + - * % only (quartic)",
        among=("curve", "quartic"),
    )
    evaluations: int = option(
        100_000, "programs drawn and evaluated by each method", 100, 10_000_000
    )
    population: int = option(10, "programs drawn in a generation (PS)", 1, 1000)
    learning_rate: float = option(
        0.01, "share of the way to probability 1 that a perfect program goes (lr)", 1e-6, 0.999
    )
    elitist: float = option(
        0.01,
        "probability of a generation that only learns from the best program ever (P_el)",
        0.0,
        0.999,
    )
    terminal: float = option(  # below 0.5 programs of two-place functions grow without end
        0.8, "probability of a terminal in a new node (P_T)", 0.5, 0.99
    )
    mutation: float = option(
        0.4, "scales the number of mutated entries in a generation (P_M)", 0.0, 1.0
    )
    mutation_rate: float = option(
        0.4, "share of the way to 1 that a mutated entry goes (mr)", 0.0, 0.999
    )
    keep_constant: float = option(
        0.3, "P(R) above which a node uses its stored constant (T_R)", 0.0, 1.0
    )
    prune: float = option(
        0.999999, "P(I) above which a node's unused children are dropped (T_P)", 0.5, 1.0
    )
    gp: bool = option(False, "genetic programming too, with as many evaluations")
    gp_population: int = option(
        2000, "programs in a generation of genetic programming", 10, 100_000
    )

    def __post_init__(self):
        check_options(self)


QUICK = {"evaluations": 4000}

MOST = 1e6  # the largest FIT, also for programs with an undefined value
EPS = 1e-6
STEP = 0.1  # c_lr: each repetition of the update goes this share of lr
DEEPEST = 60  # below, only terminals are drawn


@dataclass
class Result:
    """best: PROG_el as a list of (instruction, constant) in prefix order; values: its values at the
    points; tree: the prototype tree at the end."""

    metrics: dict
    history: dict
    best: list
    values: np.ndarray
    tree: Tree
    problem: Problem


# --- programs and the task -----------------------------------------------------------------------


def divide(a, b):
    """a % b: a / b, or 1 where b is 0."""
    quotient = a / b
    quotient[b == 0] = 1.0
    return quotient


def rlog(a):
    """log|a|, or 0 where a is 0."""
    value = np.log(np.abs(a))
    value[a == 0] = 0.0
    return value


@dataclass(frozen=True)
class Problem:
    """names, functions, arity: of the instructions, functions first, then x and R; points and
    wanted values: (n,)."""

    names: tuple
    functions: tuple
    arity: tuple
    points: np.ndarray
    wanted: np.ndarray

    @property
    def x(self):
        """Number of the instruction x; that of R is one more."""
        return len(self.functions)


BINARY = {"+": np.add, "-": np.subtract, "*": np.multiply, "%": divide}
UNARY = {"sin": np.sin, "cos": np.cos, "exp": np.exp, "rlog": rlog}


def curve(x):
    return x**3 * np.exp(-x) * np.cos(x) * np.sin(x) * (np.sin(x) ** 2 * np.cos(x) - 1)


def quartic(x):
    return x**4 + x**3 + x**2 + x


def make_problem(target):
    unary = UNARY if target == "curve" else {}
    points, wanted = (
        (np.arange(101) / 10, curve) if target == "curve" else (np.linspace(-1, 1, 20), quartic)
    )
    names, arity = (*BINARY, *unary, "x", "R"), (2,) * len(BINARY) + (1,) * len(unary) + (0, 0)
    return Problem(names, (*BINARY.values(), *unary.values()), arity, points, wanted(points))


def fit(values, problem):
    """FIT: sum of absolute errors, at most MOST (not-a-number counts as MOST)."""
    error = float(np.abs(values - problem.wanted).sum())
    return error if error < MOST else MOST


def evaluate(program, problem, points=None):
    """Values of a program, a prefix list of (instruction, constant), at the points (default: the
    problem's)."""
    points = problem.points if points is None else points
    stack = []
    for symbol, constant in reversed(program):
        arity = problem.arity[symbol]
        if arity == 2:
            stack.append(problem.functions[symbol](stack.pop(), stack.pop()))
        elif arity == 1:
            stack.append(problem.functions[symbol](stack.pop()))
        else:
            stack.append(points if symbol == problem.x else np.full(len(points), constant))
    return stack[0]


# --- the probabilistic prototype tree ------------------------------------------------------------


class Node:
    """A node of the prototype tree: probabilities p and their running sums, a constant, children
    made on demand.

    symbol, drawn and values: the last instruction and constant drawn here, and the values of the
    subtree below.
    """

    __slots__ = ("p", "sums", "constant", "children", "symbol", "drawn", "values")

    def __init__(self, initial, constant):
        self.constant, self.children, self.symbol, self.drawn, self.values = (
            constant,
            [],
            -1,
            -1.0,
            None,
        )
        self.set(initial)

    def set(self, p):
        self.p = p
        self.sums = list(itertools.accumulate(p))


class Tree:
    """The prototype tree and the stream of random numbers that it uses."""

    def __init__(self, problem, config, rng):
        self.problem, self.config = problem, config
        functions = len(problem.functions)
        self.initial = [(1 - config.terminal) / functions] * functions + [config.terminal / 2] * 2
        self.uniform = uniform_stream(rng).__next__
        self.root = Node(self.initial, self.uniform())

    def child(self, node, number):
        """Child of a node, made where there is none yet."""
        children = node.children
        while len(children) <= number:
            children.append(Node(self.initial, self.uniform()))
        return children[number]

    def sample(self):
        """Draw a program: its values, and its trace of (node, instruction, constant) in prefix
        order.

        Where a subtree is the one that was drawn there the time before, its stored values serve
        again; that saves most of the arithmetic once the tree has made up its mind.
        """
        problem, uniform, child, trace = self.problem, self.uniform, self.child, []
        functions, arity, x, points = problem.functions, problem.arity, problem.x, problem.points

        def draw(node, depth):
            """Whether the subtree below node is a new one."""
            symbol, constant = bisect.bisect(node.sums, uniform()), 0.0
            if symbol > x:
                symbol = x + 1
                constant = (
                    node.constant if node.p[symbol] > self.config.keep_constant else uniform()
                )
            elif depth >= DEEPEST:
                symbol = x
            trace.append((node, symbol, constant))
            new = node.symbol != symbol or node.drawn != constant
            if symbol >= x:
                if new:
                    node.values = points if symbol == x else np.full(len(points), constant)
            elif arity[symbol] == 1:
                only = child(node, 0)
                new |= draw(only, depth + 1)
                if new:
                    node.values = functions[symbol](only.values)
            else:
                left, right = child(node, 0), child(node, 1)
                new |= draw(left, depth + 1)
                new |= draw(right, depth + 1)
                if new:
                    node.values = functions[symbol](left.values, right.values)
            node.symbol, node.drawn = symbol, constant
            return new

        draw(self.root, 0)
        return self.root.values, trace

    def trace(self, program):
        """(node, instruction, constant) for each step of a program, its nodes made where pruning
        has dropped them."""
        steps, pending = [], [self.root]
        for symbol, constant in program:
            node = pending.pop()
            steps.append((node, symbol, constant))
            pending.extend(self.child(node, k) for k in reversed(range(self.problem.arity[symbol])))
        return steps


def uniform_stream(rng):
    """Uniform numbers in [0, 1), drawn in blocks: a tenth of the time of single draws."""
    while True:
        yield from rng.random(4096).tolist()


def log_probability(trace):
    """log P(PROG) = sum over the program's nodes of log P(I)."""
    return sum(math.log(max(node.p[symbol], 1e-300)) for node, symbol, _ in trace)


def raised(p, repetitions, rate):
    """P(I) after so many steps P(I) += STEP rate (1 - P(I)): the closed form 1 - (1 - P)(1 - STEP
    rate)^repetitions."""
    return 1 - (1 - p) * (1 - STEP * rate) ** repetitions


def adapt(trace, own_fit, elite_fit, rate):
    """Raise P(PROG) to P_TARGET, scale the other entries of each node, store the constants; returns
    the repetitions.

    The number of repetitions of the paper's loop is found by bisection on its closed form, which
    rises monotonically.
    """
    p = np.array([node.p[symbol] for node, symbol, _ in trace])
    now = math.exp(log_probability(trace))
    target = math.log(now + (1 - now) * rate * (EPS + elite_fit) / (EPS + own_fit))

    def reaches(repetitions):
        return np.log(raised(p, repetitions, rate)).sum() >= target

    low, high = 0, 1
    while not reaches(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    for (node, symbol, constant), new in zip(trace, raised(p, high, rate).tolist(), strict=True):
        scale = (1 - new) / max(1 - node.p[symbol], 1e-300)
        node.set([new if k == symbol else other * scale for k, other in enumerate(node.p)])
        node.constant = constant
    return high


def mutate(trace, tree):
    """Each entry of the program's nodes goes mr of its way to 1 with probability P_M / ((k + l)
    sqrt(size)); then renormalise."""
    config, entries = tree.config, len(tree.initial)
    chance = config.mutation / (entries * math.sqrt(len(trace)))
    position = skip(tree.uniform(), chance)
    while position < entries * len(trace):
        node, symbol = trace[position // entries][0], position % entries
        p = list(node.p)
        p[symbol] += config.mutation_rate * (1 - p[symbol])
        total = sum(p)
        node.set([value / total for value in p])
        position += 1 + skip(tree.uniform(), chance)


def skip(uniform, chance):
    """Failures before the first success of independent trials: geometric, so that mutation need not
    visit every entry."""
    return int(math.log(1 - uniform) / math.log1p(-chance)) if chance > 0 else 10**9


def drop_unused(trace, tree):
    """Drop the children that a nearly certain instruction does not use."""
    for node, _, _ in trace:
        likely = max(node.p)
        if likely > tree.config.prune:
            del node.children[tree.problem.arity[node.p.index(likely)] :]


# --- the methods ----------------------------------------------------------------------------------


def pipe(problem, config, rng, observe):
    """PIPE; returns PROG_el and the tree.

    observe(evaluations, PROG_el, its FIT, tree) is called after each generation that draws
    programs; true ends the run.
    """
    tree = Tree(problem, config, rng)
    best, best_fit, done = None, math.inf, 0
    while done < config.evaluations:
        if best and tree.uniform() < config.elitist:
            adapt(tree.trace(best), best_fit, best_fit, config.learning_rate)
            continue
        chosen, chosen_fit = None, math.inf
        for _ in range(min(config.population, config.evaluations - done)):
            values, trace = tree.sample()
            own, done = fit(values, problem), done + 1
            if own < chosen_fit or (own == chosen_fit and len(trace) < len(chosen)):
                chosen, chosen_fit = trace, own
        if chosen_fit < best_fit or (chosen_fit == best_fit and len(chosen) < len(best)):
            best, best_fit = [(symbol, constant) for _, symbol, constant in chosen], chosen_fit
        adapt(chosen, chosen_fit, best_fit, config.learning_rate)
        mutate(chosen, tree)
        drop_unused(chosen, tree)
        if observe(done, best, best_fit, tree):
            break
    return best, tree


def random_search(problem, config, rng, observe):
    """Control: programs drawn from the initial tree, without learning; returns the best FIT."""
    tree = Tree(problem, config, rng)
    best_fit = math.inf
    for done in range(1, config.evaluations + 1):
        best_fit = min(best_fit, fit(tree.sample()[0], problem))
        observe(done, best_fit)
    return best_fit


def genetic_programming(problem, config, rng, observe):
    """Control: tree GP (Koza 1992), ramped half-and-half, tournaments of 7, 90 % crossover, depth
    at most 17; best FIT."""
    uniform = uniform_stream(rng).__next__
    size = min(config.gp_population, config.evaluations)
    programs = [grow(problem, uniform, 2 + k % 5, full=k % 2 == 0) for k in range(size)]
    best_fit, done, fits = math.inf, 0, []
    while True:
        for program in programs[len(fits) :]:
            fits.append(fit(evaluate(program, problem), problem))
            best_fit, done = min(best_fit, fits[-1]), done + 1
            observe(done, best_fit)
            if done == config.evaluations:
                return best_fit
        kept = [tournament(fits, uniform) for _ in range(size // 10)]
        pairs = [
            (tournament(fits, uniform), tournament(fits, uniform)) for _ in range(size - len(kept))
        ]
        children = [cross(programs[a], programs[b], problem, uniform) for a, b in pairs]
        programs, fits = [programs[k] for k in kept] + children, [fits[k] for k in kept]


def tournament(fits, uniform, entrants=7):
    return min((int(uniform() * len(fits)) for _ in range(entrants)), key=fits.__getitem__)


def grow(problem, uniform, depth, full):
    """A random program at most so deep; full: every branch is."""
    functions = len(problem.functions)
    if depth == 0 or (not full and uniform() < 2 / (functions + 2)):
        return [(problem.x, 0.0)] if uniform() < 0.5 else [(problem.x + 1, uniform())]
    symbol = int(uniform() * functions)
    program = [(symbol, 0.0)]
    for _ in range(problem.arity[symbol]):
        program += grow(problem, uniform, depth - 1, full)
    return program


def cross(receiver, donor, problem, uniform):
    """A subtree of the receiver is replaced by one of the donor; the receiver itself if that would
    be deeper than 17."""
    at, source = pick(receiver, problem, uniform), pick(donor, problem, uniform)
    child = (
        receiver[:at]
        + donor[source : end(donor, source, problem)]
        + receiver[end(receiver, at, problem) :]
    )
    return child if depth(child, problem) <= 17 else receiver


def pick(program, problem, uniform):
    """A crossover point: a function in 90 of 100 cases, if there is one."""
    inner = [k for k, (symbol, _) in enumerate(program) if problem.arity[symbol]]
    if inner and uniform() < 0.9:
        return inner[int(uniform() * len(inner))]
    return int(uniform() * len(program))


def end(program, start, problem):
    """Index behind the subtree that begins at start."""
    missing = 1
    while missing:
        missing += problem.arity[program[start][0]] - 1
        start += 1
    return start


def depth(program, problem):
    """Longest path from the root, in edges."""
    levels, deepest = [0], 0
    for symbol, _ in program:
        level = levels.pop()
        deepest = max(deepest, level)
        levels += [level + 1] * problem.arity[symbol]
    return deepest


# --- the experiment -------------------------------------------------------------------------------


def hits(values, problem):
    """Points at which the error is below 0.01 (Koza's hit)."""
    return int((np.abs(values - problem.wanted) < 0.01).sum())


def rmse(values, wanted):
    """Root of the mean squared error, at most MOST (not-a-number counts as MOST)."""
    error = float(np.sqrt(np.mean((values - wanted) ** 2)))
    return error if error < MOST else MOST


def dense_ratio(program, problem):
    """RMSE on a grid 20 times finer over RMSE on the fitness cases: does the program follow the
    curve between them?"""
    fine = np.linspace(problem.points[0], problem.points[-1], 20 * (len(problem.points) - 1) + 1)
    between = rmse(evaluate(program, problem, fine), curve(fine))
    return between / max(rmse(evaluate(program, problem), problem.wanted), 1e-9)


class Curve:
    """Best FIT so far of a method, at every hundredth of the evaluations."""

    def __init__(self, config):
        self.every, self.best = max(1, config.evaluations // 100), []

    def __call__(self, done, best_fit):
        due = done >= self.every * (len(self.best) + 1)
        if due:
            self.best.append(best_fit)
        return due

    def metrics(self, prefix):
        """FIT after 1, 3, 10 and 30 % of the evaluations."""
        return {
            f"{prefix}_{percent:02d}": self.best[min(percent, len(self.best)) - 1]
            for percent in (1, 3, 10, 30)
        }


def run(config: Config = Config(), watch=None) -> Result:
    """PIPE, the unlearned tree and, if asked for, genetic programming; each with random numbers of
    its own."""
    problem = make_problem(config.target)
    streams = np.random.default_rng(config.seed).spawn(4)
    curve_of = {name: Curve(config) for name in ("pipe", "random", "gp")}
    history = {"evaluations": [], "fit": [], "size": [], "log_probability": []}

    def observe(done, best, best_fit, tree):
        ended = config.target == "quartic" and hits(evaluate(best, problem), problem) == len(
            problem.points
        )
        if curve_of["pipe"](done, best_fit) or ended:
            state = {
                "fit": best_fit,
                "size": len(best),
                "log_probability": log_probability(tree.trace(best)),
            }
            for name, value in {"evaluations": done, **state}.items():
                history[name].append(value)
            if watch:
                watch(done, config.evaluations, **state, best=best, tree=tree, problem=problem)
        return ended

    with np.errstate(all="ignore"):
        best, tree = pipe(problem, config, streams[0], observe)
        values = evaluate(best, problem)
        metrics = {
            "sae": fit(values, problem),
            "size": len(best),
            "evaluations": history["evaluations"][-1],
        }
        metrics |= {
            "log_probability": history["log_probability"][-1],
            "hits": hits(values, problem),
        }
        metrics["first_log_probability"] = log_probability(
            Tree(problem, config, streams[3]).trace(best)
        )
        metrics["solved"] = metrics["hits"] == len(problem.points)
        if config.target == "curve":
            random_fit = random_search(problem, config, streams[1], curve_of["random"])
            metrics |= curve_of["pipe"].metrics("sae") | {
                "random_sae": random_fit,
                "dense_ratio": dense_ratio(best, problem),
            }
            metrics["vs_random"] = random_fit / max(metrics["sae"], 1e-9)
        if config.gp:
            metrics["gp_sae"] = genetic_programming(problem, config, streams[2], curve_of["gp"])
            metrics |= curve_of["gp"].metrics("gp_sae")
    return Result(metrics, history, best, values, tree, problem)


# idiom: cli
def main(argv=None):
    """Command line: an option for every field of Config; the result goes to standard output."""
    form = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser(description=__doc__, add_help=False, **form)
    parser.error = lambda message: stop(2, message)
    for field in dataclasses.fields(Config):
        text = f"{field.metadata['meaning']} ({field.metadata['allowed']}; default {field.default})"
        kind = {"type": type(field.default), "metavar": "X"}
        if isinstance(field.default, bool):
            kind = {"action": argparse.BooleanOptionalAction, "default": None}
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, help=text.replace("%", "%%"), **kind)
    parser.add_argument("--quick", action="store_true", help="a small instance, about two seconds")
    parser.add_argument("--json", action="store_true", help="print the run as one line of JSON")
    parser.add_argument("-h", "--help", action="store_true", help="print this")
    options = {name: x for name, x in vars(parser.parse_args(argv)).items() if x is not None}
    quick, as_json, wants_help = (options.pop(name) for name in ("quick", "json", "help"))
    try:
        config = Config(**{**(QUICK if quick else {}), **options})
    except ValueError as error:
        stop(2, error)
    try:
        text = parser.format_help().rstrip() if wants_help else run_as_text(config, as_json)
    except KeyboardInterrupt:
        sys.exit(130)
    except FloatingPointError as error:
        stop(1, f"the run diverged: {error}")
    except OSError as error:
        stop(2, error)
    try:
        print(text, flush=True)
    except OSError as error:  # the reader has seen enough, or there is no room
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            stop(1, error)


def run_as_text(config, as_json):
    """Run, with a line of progress on a terminal; returns the record as JSON, or a table of it."""

    def watch(step, total, **state):
        shown = [f"{name} {x:.4g}" for name, x in state.items() if isinstance(x, (int, float))]
        print(f"\r{step}/{total}  {'  '.join(shown)}\x1b[K", end="", file=sys.stderr, flush=True)

    on_terminal = sys.stderr and sys.stderr.isatty() and not as_json
    start, busy = time.perf_counter(), time.process_time()
    try:
        metrics = run(config, watch if on_terminal else None).metrics
    finally:
        if on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    times = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - busy}
    for name, value in metrics.items():
        if value is not None and not math.isfinite(value):
            raise FloatingPointError(f"{name} is {value}")
    if as_json:
        record = {"problem": Path(__file__).stem.replace("_", "-"), "config": vars(config)}
        record |= {"metrics": metrics, **{name: round(x, 3) for name, x in times.items()}}
        record |= {"python": platform.python_version(), "numpy": np.__version__}
        record |= {"machine": platform.machine()}
        return json.dumps(record, default=lambda value: value.item(), allow_nan=False)
    shown = {**metrics, "seconds": round(times["seconds"], 2)}
    return "\n".join(f"{name:<28}{in_five_digits(x)}" for name, x in shown.items())


def in_five_digits(value):
    """A metric as text; a dash where it does not apply."""
    return "-" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def stop(status, message):
    """End with one line on standard error, where there is one."""
    if sys.stderr:
        print(f"{Path(__file__).name}: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
# end idiom
