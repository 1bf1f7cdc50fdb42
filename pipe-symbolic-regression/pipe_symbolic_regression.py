"""Probabilistic incremental program evolution (PIPE): a tree of probability vectors learns to write
programs that fit a curve.

Task      Find a program in x that equals f(x) = x^3 e^-x cos x sin x (sin^2 x cos x - 1) at x = 0,
          0.1, ..., 10. FIT(PROG): sum over the 101 points of |f(x) - PROG(x)|; less is better.
Program   A tree of + - * % (a % 0 = 1) sin cos exp rlog (log|a|, 0 at 0), x, and R, a constant in
          [0, 1).
PPT       The probabilistic prototype tree: every node holds a probability P(I) for each of the 10
          instructions, a constant for R, and children made on demand. A program is drawn from the
          root downwards; P(PROG) is the product of P(I) over its nodes.
Learning  Draw PS programs; PROG_b is the best of them, PROG_el the best ever. Raise P(PROG_b) to
              P_TARGET = P + (1 - P) lr (eps + FIT(PROG_el)) / (eps + FIT(PROG_b))
          by repeating P(I) += c_lr lr (1 - P(I)) at all its nodes, store its constants there, and
          mutate some entries. Now and then (P_el) learn from PROG_el instead, without drawing.
Opponents Draws from the initial tree; genetic programming (GP), as many evaluations each.
Arrays    values: (points,), what a program says; p: (nodes, instructions), probabilities of the
          nodes that a program uses, in prefix order; own: (nodes,), those of its instructions.

    python3 pipe_symbolic_regression.py --quick
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import numbers
import os
import platform
import sys
import time
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
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
    target: str = option("curve", "the paper's, or Koza's quartic", among=("curve", "quartic"))
    evaluations: int = option(100_000, "programs evaluated by each method", 100, 10_000_000)
    opponents: bool = option(True, "the unlearned tree and genetic programming run too")
    population: int = option(10, "PS, programs drawn in a generation", 1, 1000)
    learning_rate: float = option(0.01, "lr, share of the way to 1 of a perfect one", 1e-6, 0.999)
    elitist: float = option(0.01, "P_el, probability of an elitist generation", 0.0, 0.999)
    terminal: float = option(0.8, "P_T, probability of x or R in a new node", 0.5, 0.99)
    mutation: float = option(0.4, "P_M, scales the number of mutated entries", 0.0, 1.0)
    mutation_rate: float = option(0.4, "mr, share of the way to 1 of a mutated one", 0.0, 0.999)
    keep_constant: float = option(0.3, "T_R, P(R) above which a stored constant serves", 0.0, 1.0)
    prune: float = option(0.999999, "T_P, P(I) above which unused children go", 0.5, 1.0)
    gp_population: int = option(2000, "programs in a generation of GP", 10, 100_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"target": "quartic", "opponents": False, "evaluations": 30_000}


@dataclass
class Best:
    """PROG_el: its (instruction, constant) in prefix order, its FIT, its values at the points."""

    program: list
    fit: float
    values: np.ndarray


@dataclass
class Result:
    """best: PROG_el; tree: the prototype tree at the end; task: what was fitted."""

    metrics: dict
    history: dict
    best: Best
    tree: Tree
    task: Task


# --- programs and the task ------------------------------------------------------------------------


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


X, R, FIRST = 0, 1, 2  # instructions: x, a constant, and from FIRST on functions
NAMES = ("x", "R", "+", "-", "*", "%", "sin", "cos", "exp", "rlog")
ARITY = (0, 0, 2, 2, 2, 2, 1, 1, 1, 1)
FUNCTIONS = (None, None, np.add, np.subtract, np.multiply, divide, np.sin, np.cos, np.exp, rlog)
ARITHMETIC = 6  # so many are x, R and functions of two arguments: all that the quartic has


def evaluate(program, points):
    """What a program, (instruction, constant) in prefix order, says at points."""
    stack = []
    for symbol, constant in reversed(program):
        if symbol < FIRST:
            stack.append(points if symbol == X else np.full(len(points), constant))
        else:
            stack.append(FUNCTIONS[symbol](*(stack.pop() for _ in range(ARITY[symbol]))))
    return stack[0]


def curve(x):
    """The paper's target."""
    return x**3 * np.exp(-x) * np.cos(x) * np.sin(x) * (np.sin(x) ** 2 * np.cos(x) - 1)


def quartic(x):
    """Koza's target."""
    return x**4 + x**3 + x**2 + x


MOST = 1e6  # the largest FIT, also for programs with an undefined value
HIT = 0.01  # Koza's hit is an error below


class Task:
    """function, points and its values there, wanted; how many instructions programs are made of."""

    def __init__(self, target):
        if target == "curve":
            self.function, self.points, self.instructions = curve, np.arange(101) / 10, len(NAMES)
        else:
            self.function, self.points = quartic, np.linspace(-1, 1, 20)
            self.instructions = ARITHMETIC
        self.wanted, self.ones = self.function(self.points), np.ones(len(self.points))

    def leaf(self, symbol, constant):
        """Values of x, or of a constant."""
        return self.points if symbol == X else self.ones * constant

    def fits(self, values):
        """FIT of each program: the sum of absolute errors, at most MOST; values: (programs,
        points)."""
        errors = np.abs(np.asarray(values) - self.wanted).sum(1)
        return np.where(errors < MOST, errors, MOST)  # not-a-number is not less

    def hits(self, values):
        """At how many points a program is right."""
        return int((np.abs(values - self.wanted) < HIT).sum())


# --- the prototype tree ---------------------------------------------------------------------------

DEEPEST = 60  # nodes so deep, or deeper, take x for a function


class Node:
    """row: where the tree keeps its probabilities; sums: their running sums, None until needed;
    likely: the likeliest instruction; constant; depth; parent; the children that exist so far.

    part, values: the nodes of the likeliest program from here on, in prefix order, and its values;
    stale: they have to be found anew.
    """

    __slots__ = "row constant depth parent children sums likely part values stale".split()

    def __init__(self, row, constant, parent):
        self.row, self.constant, self.parent, self.children = row, constant, parent, []
        self.depth = parent.depth + 1 if parent else 0
        self.sums, self.likely, self.stale = None, X, True

    def change(self):
        """What is likeliest here is another program now, and so it is above."""
        node = self
        while node and not node.stale:
            node.stale = True
            node = node.parent


class Tree:
    """The prototype tree and its random numbers.

    p: (rows, instructions), probabilities of the nodes; low, high: (rows,), the interval of the
    uniform random number for which the likeliest instruction is drawn.
    """

    def __init__(self, task, config, rng):
        self.task, self.config, self.rng = task, config, rng
        functions = task.instructions - FIRST
        share = (1 - config.terminal) / functions
        self.initial = np.array([config.terminal / 2] * 2 + [share] * functions)
        self.p, self.rows = np.empty((0, task.instructions)), 0
        self.low, self.high = np.empty((2, 0))
        self.uniform = uniform_stream(rng).__next__
        self.root = self.node(None)

    def node(self, parent):
        """A new node; the arrays double when they are full."""
        if self.rows == len(self.p):
            more = max(1000, self.rows)
            self.p = np.concatenate([self.p, np.tile(self.initial, (more, 1))])
            self.low = np.concatenate([self.low, np.zeros(more)])
            self.high = np.concatenate([self.high, np.full(more, self.initial[X])])
        self.rows += 1
        return Node(self.rows - 1, self.uniform(), parent)

    def children(self, node, count):
        """The first children of a node, made where there are none yet."""
        while len(node.children) < count:
            node.children.append(self.node(node))
        return node.children[:count]

    def choose(self, node, number):
        """(instruction, constant) for a uniform random number."""
        if node.sums is None:
            node.sums = [*accumulate(self.p[node.row].tolist()[:-1]), 1.0]
        symbol = bisect(node.sums, number)
        if symbol == R:
            stored = self.p[node.row, R] > self.config.keep_constant
            return R, node.constant if stored else self.uniform()
        return X if node.depth >= DEEPEST else symbol, 0.0

    def draw_plain(self, node, numbers, choice):
        """Draw a program depth first; returns its values, and adds node -> (instruction, constant)
        to choice. numbers: node -> the random number that decides there; if none, a fresh one."""
        number = numbers[node] if node in numbers else self.uniform()
        symbol, constant = choice[node] = self.choose(node, number)
        if symbol < FIRST:
            return self.task.leaf(symbol, constant)
        parts = []
        for k in range(ARITY[symbol]):
            parts.append(self.draw_plain(self.children(node, k + 1)[k], numbers, choice))
        return FUNCTIONS[symbol](*parts)

    def draw(self, count):
        """So many programs, each as draw_plain draws it: its values, and its choices where it
        leaves the likeliest program.

        Every node of that one gets a number for each draw at once. A draw leaves where the number
        lies outside the interval of the likeliest instruction; only from there to the root are its
        values new.
        """
        self.find(self.root)
        nodes = self.root.part
        rows, ends = np.array([(node.row, k + len(node.part)) for k, node in enumerate(nodes)]).T
        numbers = self.rng.random((count, len(nodes)))
        leaves = (numbers < self.low[rows]) | (numbers >= self.high[rows])
        so_far = np.zeros((count, len(nodes) + 1), int)  # places before this one that leave
        np.cumsum(leaves, axis=1, out=so_far[:, 1:])
        changed = so_far[:, ends] > so_far[:, :-1]  # its part has a place that leaves
        values, ends, draws = [node.values for node in nodes], ends.tolist(), range(count)
        return [
            self.redraw(nodes, ends, values.copy(), changed[k], leaves[k], numbers[k])
            for k in draws
        ]

    def redraw(self, nodes, ends, values, changed, leaves, numbers):
        """One of the programs of draw; values: of each part of the likeliest program."""
        choice, leaves = {}, leaves.tolist()
        for place in changed.nonzero()[0][::-1].tolist():  # arguments come before what they enter
            node = nodes[place]
            symbol = node.likely
            known = ARITY[symbol]
            if leaves[place]:
                symbol, constant = choice[node] = self.choose(node, numbers[place])
            arity = ARITY[symbol]
            if arity == 0:
                values[place] = self.task.leaf(symbol, constant)
                continue
            first = values[place + 1] if known else self.draw_new(node, 0, choice)
            if arity == 1:
                values[place] = FUNCTIONS[symbol](first)
                continue
            second = values[ends[place + 1]] if known == 2 else self.draw_new(node, 1, choice)
            values[place] = FUNCTIONS[symbol](first, second)
        return values[0], choice

    def draw_new(self, node, number, choice):
        """Draw an argument that the likeliest program does not have."""
        return self.draw_plain(self.children(node, number + 1)[number], {}, choice)

    def find(self, node):
        """Bring up to date what is known of the likeliest program from this node on."""
        children = self.children(node, ARITY[node.likely])
        node.part, node.stale = [node], False
        for child in children:
            if child.stale:
                self.find(child)
            node.part += child.part
        if children:
            node.values = FUNCTIONS[node.likely](*[child.values for child in children])
        else:
            node.values = self.task.leaf(node.likely, node.constant)

    def steps(self, choice):
        """(node, instruction, constant) of a program that draw has made, in prefix order."""
        steps, pending = [], [self.root]
        while pending:
            node = pending.pop()
            default = (node.likely, node.constant if node.likely == R else 0.0)
            symbol, constant = choice.get(node, default)
            steps.append((node, symbol, constant))
            pending += self.children(node, ARITY[symbol])[::-1]
        return steps

    def steps_of(self, program):
        """The same of any program; nodes that were dropped are made again."""
        steps, pending = [], [self.root]
        for symbol, constant in program:
            node = pending.pop()
            steps.append((node, symbol, constant))
            pending += self.children(node, ARITY[symbol])[::-1]
        return steps

    def store(self, nodes, p):
        """New probabilities p, (nodes, instructions)."""
        every, likely, sums = np.arange(len(nodes)), p.argmax(1), np.cumsum(p, axis=1)
        sums[:, -1] = 1.0
        low = np.where(likely > 0, sums[every, likely - 1], 0.0)
        low[(likely == R) & (p[:, R] <= self.config.keep_constant)] = 2.0  # a fresh one each time
        rows = [node.row for node in nodes]
        self.p[rows], self.low[rows], self.high[rows] = p, low, sums[every, likely]
        for node, symbol in zip(nodes, likely.tolist(), strict=True):
            shown = X if node.depth >= DEEPEST and symbol != R else symbol
            node.sums = None
            if shown != node.likely:
                node.likely = shown
                node.change()


def uniform_stream(rng):
    """Uniform numbers in [0, 1), drawn in blocks: a tenth of the time of single draws."""
    while True:
        yield from rng.random(4096).tolist()


# --- learning -------------------------------------------------------------------------------------

EPS, STEP = 1e-6, 0.1  # eps; c_lr


def log_product(own):
    """log P(PROG), which is far below the smallest number at first."""
    return float(np.log(np.maximum(own, 1e-300)).sum())


def raised_plain(own, target, rate):
    """P(I) of a program's instructions after the paper's loop, step by step."""
    own = list(own)
    while math.prod(own) < target:
        own = [p + STEP * rate * (1 - p) for p in own]
    return own


def raised(own, target, rate):
    """The same: m steps leave 1 - P(I) = (1 - P(I)) (1 - c_lr lr)^m of the way to 1; the least m
    that suffices is found by bisection."""
    missing, keep, goal = own - 1, 1 - STEP * rate, math.log(target)

    def falls_short(m):
        return np.log1p(missing * keep**m).sum() < goal

    low, high = 0, 1024
    while falls_short(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if falls_short(middle) else (low, middle)
    return 1 + missing * keep**high


def learn(tree, steps, own_fit, elite_fit, elitist=False):
    """Make a program likelier; unless elitist, mutate and prune its nodes too."""
    config = tree.config
    nodes, symbols, _ = map(list, zip(*steps, strict=True))
    p, every = tree.p[[node.row for node in nodes]], np.arange(len(nodes))
    own = p[every, symbols]
    now, rate = math.exp(log_product(own)), config.learning_rate
    target = now + (1 - now) * rate * (EPS + elite_fit) / (EPS + own_fit)
    new = raised(own, target, rate)
    p *= ((1 - new) / np.maximum(1 - own, 1e-300))[:, None]
    p[every, symbols] = new
    if not elitist:
        mutate(p, config, tree.rng)
    tree.store(nodes, p)
    for node, symbol, constant in steps:
        if symbol == R and constant != node.constant:
            node.constant = constant
            node.change()
    if not elitist:
        for k in (p.max(1) > config.prune).nonzero()[0].tolist():
            del nodes[k].children[ARITY[nodes[k].likely] :]


def mutate(p, config, rng):
    """P += mr (1 - P) for each entry with a chance of P_M / ((k + l) sqrt(nodes)), in place; then
    each node's sum is 1 again. k + l: instructions."""
    chance = config.mutation / (p.shape[1] * math.sqrt(len(p)))
    rows, columns = (rng.random(p.shape) < chance).nonzero()
    p[rows, columns] += config.mutation_rate * (1 - p[rows, columns])
    p[rows] /= p[rows].sum(1, keepdims=True)


def pipe(task, config, rng, observe):
    """PIPE: (PROG_el, tree, FIT of every program drawn). observe(evaluations, PROG_el, tree) is
    called after each generation that draws programs; true ends the run."""
    tree, best, tried = Tree(task, config, rng), None, []
    while len(tried) < config.evaluations:
        if best and tree.uniform() < config.elitist:
            learn(tree, tree.steps_of(best.program), best.fit, best.fit, elitist=True)
            continue
        drawn = tree.draw(min(config.population, config.evaluations - len(tried)))
        fits = task.fits([values for values, _ in drawn]).tolist()
        tried += fits
        fit = min(fits)
        equals = [pair for pair, own in zip(drawn, fits, strict=True) if own == fit]
        written = [(tree.steps(choice), values) for values, choice in equals]
        steps, values = min(written, key=lambda pair: len(pair[0]))  # the smaller one wins
        if not best or (fit, len(steps)) < (best.fit, len(best.program)):
            best = Best([(symbol, constant) for _, symbol, constant in steps], fit, values)
        learn(tree, steps, fit, best.fit)
        if observe(len(tried), best, tree):
            break
    return best, tree, tried


def unlearned(task, config, rng):
    """FIT of so many programs that are drawn from the initial tree."""
    tree, tried = Tree(task, config, rng), []
    while len(tried) < config.evaluations:
        drawn = tree.draw(min(1000, config.evaluations - len(tried)))
        tried += task.fits([values for values, _ in drawn]).tolist()
    return tried


class Part:
    """A program of GP, which never changes: so programs share parts and what is known of them."""

    __slots__ = ("symbol", "parts", "values", "size")

    def __init__(self, symbol, parts, values=None):
        self.symbol, self.parts = symbol, parts
        self.values = FUNCTIONS[symbol](*[part.values for part in parts]) if parts else values
        self.size = 1 + sum([part.size for part in parts])


ENTRANTS, COPIED, HIGHEST = 7, 0.1, 17  # of a tournament; share of a generation; depth


def genetic_programming(task, config, rng):
    """FIT of every program of tree GP: ramped half-and-half, tournaments, crossover."""
    uniform, size = uniform_stream(rng).__next__, min(config.gp_population, config.evaluations)
    programs = [grow(task, uniform, 2 + k % 5, full=k % 2 == 0) for k in range(size)]
    fits = task.fits([program.values for program in programs])
    tried = fits.tolist()
    while len(tried) < config.evaluations:
        kept = tournaments(fits, rng, int(COPIED * size))
        born = min(size - len(kept), config.evaluations - len(tried))
        pairs = tournaments(fits, rng, 2 * born).reshape(2, born).T.tolist()
        children = [cross(programs[a], programs[b], uniform) for a, b in pairs]
        born_fits = task.fits([child.values for child in children])
        programs = [programs[k] for k in kept] + children
        fits = np.concatenate([fits[kept], born_fits])
        tried += born_fits.tolist()
    return tried


def tournaments(fits, rng, count):
    """The winners of so many tournaments, as places in fits."""
    entrants = rng.integers(len(fits), size=(count, ENTRANTS))
    return entrants[np.arange(count), fits[entrants].argmin(1)]


def grow(task, uniform, depth, full):
    """A random program at most so deep; full: every branch is."""
    if depth == 0 or (not full and uniform() < FIRST / task.instructions):
        symbol = X if uniform() < 0.5 else R
        return Part(symbol, (), task.leaf(symbol, uniform()))
    symbol = FIRST + int(uniform() * (task.instructions - FIRST))
    parts = [grow(task, uniform, depth - 1, full) for _ in range(ARITY[symbol])]
    return Part(symbol, tuple(parts))


def cross(receiver, donor, uniform):
    """A part of the receiver is replaced by one of the donor; the receiver itself if that would be
    too deep."""
    path, _ = pick(receiver, uniform)
    _, new = pick(donor, uniform)
    if len(path) + depth(new) > HIGHEST:
        return receiver
    for program, k in reversed(path):
        parts = program.parts
        new = Part(program.symbol, (*parts[:k], new, *parts[k + 1 :]))
    return new


def pick(program, uniform):
    """A crossover point, a function in 90 of 100 cases if there is one: the way there, (program,
    number of the argument) for each step down, and the part that is there."""
    wants_function = program.parts and uniform() < 0.9
    while True:
        part, path, number = program, [], int(uniform() * program.size)
        while number:  # in prefix order; 0 is this very one
            number, k = number - 1, 0
            while number >= part.parts[k].size:
                number, k = number - part.parts[k].size, k + 1
            path.append((part, k))
            part = part.parts[k]
        if part.parts or not wants_function:
            return path, part


def depth(program):
    """Longest way from the root, in steps."""
    return 1 + max(map(depth, program.parts)) if program.parts else 0


# --- the experiment -------------------------------------------------------------------------------

LOOKS = 100  # entries of the history
PERCENT = (1, 3, 10, 30)  # of the evaluations: errors so far go into the record
FINE = 20  # times as many points between the fitness cases


def dense_ratio(best, task):
    """RMSE on a finer grid over RMSE on the fitness cases, each at most MOST: does the program
    follow the curve between them?"""
    cases = len(task.points)
    fine = np.linspace(task.points[0], task.points[-1], FINE * (cases - 1) + 1)
    between = np.sqrt(np.mean((evaluate(best.program, fine) - task.function(fine)) ** 2))
    at = np.sqrt(np.mean((best.values - task.wanted) ** 2))
    at, between = (float(error) if error < MOST else MOST for error in (at, between))
    return between / max(at, 1e-9)


def errors(name, tried, config):
    """The least FIT of so many programs, and after 1, 3, 10 and 30 % of the evaluations."""
    best, part = np.minimum.accumulate(tried).tolist(), config.evaluations // 100
    early = {f"{name}_{k:02d}": best[min(k * part, len(best)) - 1] for k in PERCENT}
    return {name: best[-1], **early}


def run(config: Config = Config(), watch=None) -> Result:
    """PIPE and its opponents, each with random numbers of its own; what does not apply is None."""
    task, streams = Task(config.target), np.random.default_rng(config.seed).spawn(3)
    history = {name: [] for name in ("evaluations", "fit", "size", "log_probability")}

    def observe(done, best, tree):
        ended = config.target == "quartic" and task.hits(best.values) == len(task.points)
        if ended or done * LOOKS >= config.evaluations * (len(history["fit"]) + 1):
            nodes, symbols, _ = map(list, zip(*tree.steps_of(best.program), strict=True))
            own = tree.p[[node.row for node in nodes], symbols]
            facts = {
                "fit": best.fit,
                "size": len(best.program),
                "log_probability": log_product(own),
            }
            for name, value in {"evaluations": done, **facts}.items():
                history[name].append(value)
            if watch:
                watch(done, config.evaluations, **facts, best=best.program, tree=tree, task=task)
        return ended

    with np.errstate(all="ignore"):  # undefined values are counted, see MOST
        best, tree, tried = pipe(task, config, streams[0], observe)
        hits = task.hits(best.values)
        metrics = {"solved": hits == len(task.points), "hits": hits, "evaluations": len(tried)}
        metrics |= {"size": len(best.program), "log_probability": history["log_probability"][-1]}
        metrics |= errors("sae", tried, config) | {"dense_ratio": dense_ratio(best, task)}
        metrics |= dict.fromkeys(("random_sae", "vs_random", "gp_sae"))
        if config.opponents:
            metrics["random_sae"] = min(unlearned(task, config, streams[1]))
            metrics["vs_random"] = metrics["random_sae"] / max(metrics["sae"], 1e-9)
            metrics |= errors("gp_sae", genetic_programming(task, config, streams[2]), config)
    return Result(metrics, history, best, tree, task)


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
