"""Even parity of six bits by Probabilistic Incremental Program Evolution (PIPE).

Task      Inputs x0 ... x5; the answer is 1 iff an even number of them is 1. All 64 rows of the
          truth table are fitness cases: FIT(PROG) is the number of wrong rows, 0 is a solution.
Program   A tree of AND, OR, NOT, IF (IF(a, b, c) is b where a is 1, else c) and inputs. What a
          subtree says on all 64 rows is one integer, bit r for row r: a function is one or two
          operations on such integers.
PPT       The probabilistic prototype tree. Each node holds a probability P(I) for each of the 10
          instructions, at first P_T / 6 for an input and (1 - P_T) / 4 for a function. A program
          is drawn from the root downwards. P(PROG) is the product of P(I) over its nodes.
Learning  Draw PS programs; PROG_b is the best of them, PROG_el the best so far. Raise P(PROG_b) to
              P_TARGET = P + (1 - P) lr (eps + FIT(PROG_el)) / (eps + FIT(PROG_b))
          by repeating P(I) += c_lr lr (1 - P(I)) at all of its nodes; mutate their probabilities;
          prune what a nearly certain instruction (P(I) > T_P) does not use. Now and then (P_el)
          do the same, without drawing, for PROG_el.
Controls  Learning without pruning; the unlearned tree.

    python3 pipe_6_bit_parity.py --seed 0
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
    """The defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    method: str = option("pipe", "what searches", among=("pipe", "unlearned"))
    bits: int = option(6, "inputs of the parity", 2, 8)
    evaluations: int = option(500_000, "programs that may be evaluated", 10, 10_000_000)
    pruned: str = option(
        "kept",
        "nodes of PROG_el that are pruned: it keeps them, they grow afresh, or nothing is pruned",
        among=("kept", "regrown", "never"),
    )
    population: int = option(10, "PS, programs drawn in a generation", 1, 1000)
    terminal: float = option(0.6, "P_T, probability of an input in a new node", 0.5, 0.99)
    elitist: float = option(0.01, "P_el, probability of an elitist generation", 0.0, 0.9)
    learning_rate: float = option(0.01, "lr", 1e-4, 0.5)
    mutation: float = option(0.4, "P_M", 0.0, 5.0)
    mutation_rate: float = option(0.4, "mr", 0.0, 1.0)
    prune: float = option(0.999999, "T_P", 0.5, 1.0)

    def __post_init__(self):
        check_options(self)


QUICK = {"bits": 4, "evaluations": 100_000}


@dataclass
class Result:
    """best: PROG_el, instructions in prefix order; wrong: its wrong rows, one bit each; tree: the
    prototype tree at the end. Without PIPE best is empty and tree None."""

    metrics: dict
    history: dict
    best: list
    wrong: int
    tree: Tree | None


# --- the task: programs on all rows at once -------------------------------------------------------

AND, OR, NOT, IF, INPUT = range(5)  # INPUT + i is x_i
NAMES, ARITY = ("AND", "OR", "NOT", "IF"), (2, 2, 1, 3)


class Parity:
    """Even parity of so many bits. inputs: what x_i is on all rows, bit r for row r; wanted: the
    answers; every: all rows; arity: of every instruction."""

    def __init__(self, bits):
        rows = range(2**bits)
        self.inputs = [sum((row >> i & 1) << row for row in rows) for i in range(bits)]
        self.wanted = sum((row.bit_count() % 2 == 0) << row for row in rows)
        self.every = 2 ** len(rows) - 1
        self.arity = ARITY + (0,) * bits

    def apply(self, symbol, a, b=0, c=0):
        """A function on its arguments, for all rows."""
        if symbol == AND:
            return a & b
        if symbol == OR:
            return a | b
        return a ^ self.every if symbol == NOT else c ^ (a & (b ^ c))

    def evaluate(self, program):
        """What a program, instructions in prefix order, says on all rows."""
        stack = []
        for symbol in reversed(program):
            arguments = [stack.pop() for _ in range(self.arity[symbol])]
            value = self.apply(symbol, *arguments) if arguments else self.inputs[symbol - INPUT]
            stack.append(value)
        return stack[0]

    def fit(self, answers):
        """FIT: the number of wrong rows."""
        return (answers ^ self.wanted).bit_count()


# --- the probabilistic prototype tree -------------------------------------------------------------

DEEPEST = 60  # below, only inputs are drawn
NONE = (None, None, None)  # children that do not exist


class Node:
    """Probabilities p of the instructions and their running sums; children that exist so far."""

    __slots__ = ("p", "sums", "children")

    def __init__(self, p):
        self.children = []
        self.set(p)

    def set(self, p):
        self.p = p
        self.sums = list(accumulate(p))


class Tree:
    """The PPT. Nodes are made where a program is adapted; a node that does not exist yet has the
    initial probabilities."""

    def __init__(self, task, config, rng):
        self.task, self.config, bits = task, config, config.bits
        functions, terminals = (1 - config.terminal) / len(ARITY), config.terminal / bits
        self.initial = [functions] * len(ARITY) + [terminals] * bits
        self.new, self.leaf = Node(self.initial), Node([0] * len(ARITY) + [1 / bits] * bits)
        self.uniform = uniform_stream(rng).__next__
        self.root = Node(self.initial)

    def draw(self, program, node=None, depth=0):
        """Draw a subtree; its instructions are added to the list; returns what it says on all
        rows. node: where, None for one that does not exist yet."""
        source = self.leaf if depth >= DEEPEST else node or self.new
        symbol = bisect(source.sums, self.uniform() * source.sums[-1])
        program.append(symbol)
        if symbol >= INPUT:
            return self.task.inputs[symbol - INPUT]
        children, depth = node.children if node else NONE, depth + 1
        if len(children) < ARITY[symbol]:
            children = (*children, *NONE)
        a = self.draw(program, children[0], depth)
        if symbol == NOT:
            return a ^ self.task.every
        b = self.draw(program, children[1], depth)
        if symbol != IF:
            return a & b if symbol == AND else a | b
        c = self.draw(program, children[2], depth)
        return c ^ (a & (b ^ c))

    def trace(self, program):
        """(node, instruction) for each instruction of a program; nodes are made where needed."""
        steps, pending = [], [self.root]
        for symbol in program:
            node = pending.pop()
            steps.append((node, symbol))
            arity = self.task.arity[symbol]
            while len(node.children) < arity:
                node.children.append(Node(self.initial))
            pending += node.children[:arity][::-1]
        return steps


def uniform_stream(rng):
    """Uniform numbers in [0, 1), drawn in blocks: a tenth of the time of single draws."""
    while True:
        yield from rng.random(4096).tolist()


# --- learning -------------------------------------------------------------------------------------

EPS, STEP = 1.0, 0.1  # eps; c_lr


def log_probability(trace):
    """log P(PROG)."""
    return sum(math.log(max(node.p[symbol], 1e-300)) for node, symbol in trace)


def plain_adapt(trace, own_fit, elite_fit, rate):
    """adapt() as it is defined: repeat the small step until P(PROG) reaches P_TARGET, then rescale
    the other instructions of each node."""
    target = target_probability(trace, own_fit, elite_fit, rate)
    raised = [node.p[symbol] for node, symbol in trace]
    while math.prod(raised) < target:
        raised = [p + STEP * rate * (1 - p) for p in raised]
    set_probabilities(trace, raised)


def adapt(trace, own_fit, elite_fit, rate):
    """Raise P(PROG) to P_TARGET. So many small steps leave 1 - P(I) = (1 - P(I)) (1 - c_lr lr)^m of
    the distance to 1; the least m that suffices is found by bisection."""
    target = math.log(target_probability(trace, own_fit, elite_fit, rate))
    missing, keep = 1 - np.array([node.p[symbol] for node, symbol in trace]), 1 - STEP * rate

    def reaches(m):
        return np.log1p(-missing * keep**m).sum() >= target

    low, high = 0, 1
    while not reaches(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    set_probabilities(trace, (1 - missing * keep**high).tolist())


def target_probability(trace, own_fit, elite_fit, rate):
    """P_TARGET; below 1, or no number of steps would reach it."""
    now = math.exp(log_probability(trace))
    return min(now + (1 - now) * rate * (EPS + elite_fit) / (EPS + own_fit), 1 - 1e-9)


def set_probabilities(trace, raised):
    """Give each node's instruction its new probability, and the others what remains."""
    for (node, symbol), new in zip(trace, raised, strict=True):
        scale = (1 - new) / max(1 - node.p[symbol], 1e-300)
        node.set([new if k == symbol else p * scale for k, p in enumerate(node.p)])


def mutate(trace, tree):
    """P += mr (1 - P) for each probability of the program's nodes, with a chance of P_M / ((k + l)
    sqrt(size)), then renormalise. k + l: instructions."""
    config, entries = tree.config, len(tree.initial)
    chance = min(1.0, config.mutation / (entries * math.sqrt(len(trace))))
    place = gap(tree.uniform(), chance)
    while place < entries * len(trace):
        (node, _), symbol = trace[place // entries], place % entries
        p = list(node.p)
        p[symbol] += config.mutation_rate * (1 - p[symbol])
        total = sum(p)
        node.set([value / total for value in p])
        place += 1 + gap(tree.uniform(), chance)


def gap(uniform, chance):
    """Failures before the next success of independent trials, a geometric number: so mutation
    visits only what it changes."""
    if chance in (0, 1):
        return 0 if chance else sys.maxsize
    return int(math.log(1 - uniform) / math.log1p(-chance))


def prune(trace, tree):
    """Cut off the children that a nearly certain instruction does not use."""
    for node, _ in trace:
        likely = max(node.p)
        if likely > tree.config.prune:
            del node.children[tree.task.arity[node.p.index(likely)] :]


def pipe(task, config, rng, observe):
    """PIPE: (PROG_el, its FIT, evaluations, tree). observe(evaluations, PROG_el's trace, its FIT,
    tree) is called after each generation that draws programs."""
    tree = Tree(task, config, rng)
    elite, elite_fit, done = [], math.inf, 0  # elite: a trace; its nodes may have been cut off
    while done < config.evaluations and elite_fit:
        if elite and tree.uniform() < config.elitist:
            if config.pruned == "regrown":
                elite = tree.trace([symbol for _, symbol in elite])
            adapted = elite
            adapt(elite, elite_fit, elite_fit, config.learning_rate)
        else:
            drawn = []
            for number in range(min(config.population, config.evaluations - done)):
                program = []
                answers = tree.draw(program, tree.root)
                drawn.append((task.fit(answers), len(program), number, program))
            own_fit, size, number, program = min(drawn)
            done += len(drawn) if own_fit else number + 1
            adapted = tree.trace(program)
            if (own_fit, size) < (elite_fit, len(elite)):
                elite, elite_fit = adapted, own_fit
            adapt(adapted, own_fit, elite_fit, config.learning_rate)
            mutate(adapted, tree)
            observe(done, elite, elite_fit, tree)
        if config.pruned != "never":
            prune(adapted, tree)
    return [symbol for _, symbol in elite], elite_fit, done, tree


# --- control -------------------------------------------------------------------------------------


def unlearned(task, config, rng):
    """FIT of the best of so many programs that are drawn from the initial tree."""
    tree = Tree(task, config, rng)
    return min(task.fit(tree.draw([])) for _ in range(config.evaluations))


# --- the experiment -------------------------------------------------------------------------------

LOOKS = 100  # entries of the history, at most, beside the first


def run(config: Config = Config(), watch=None) -> Result:
    """One search; what does not apply to it is None."""
    task, streams = Parity(config.bits), np.random.default_rng(config.seed).spawn(2)
    history = {name: [] for name in ("evaluations", "fit", "size", "log_probability")}
    every, best, tree = max(1, config.evaluations // LOOKS), [], None
    names = ("solved", "errors", "evaluations", "size", "log_probability", "unlearned")
    metrics = dict.fromkeys(names)

    def observe(done, elite, elite_fit, tree):
        if done >= every * len(history["fit"]) or not elite_fit:
            facts = {"fit": elite_fit, "size": len(elite)}
            facts["log_probability"] = log_probability(elite)
            for name, value in {"evaluations": done, **facts}.items():
                history[name].append(value)
            if watch:
                program = [symbol for _, symbol in elite]
                watch(done, config.evaluations, **facts, program=program, tree=tree)

    if config.method == "unlearned":
        metrics["unlearned"] = unlearned(task, config, streams[1])
    else:
        best, fit, done, tree = pipe(task, config, streams[0], observe)
        metrics |= {"solved": fit == 0, "errors": fit, "evaluations": done, "size": len(best)}
        metrics["log_probability"] = history["log_probability"][-1]
    wrong = task.evaluate(best) ^ task.wanted if best else task.every
    return Result(metrics, history, best, wrong, tree)


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
