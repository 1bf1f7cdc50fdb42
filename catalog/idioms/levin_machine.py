"""The machine of Schmidhuber (1995) whose programs write weights, as the two searches of that paper
carry it."""

import dataclasses
import math
from dataclasses import dataclass
from itertools import product

INPUTS = 100  # the number of weights that a program may write: the task's

# idiom: levin_machine
JUMPLEQ, WRITE_WEIGHT, JUMP, STOP, ADD, GET_INPUT, MOVE = range(7)
ALLOCATE, INCREMENT, DECREMENT, SUBTRACT, MULTIPLY, FREE = range(7, 13)

PRIMITIVES = (  # by op-code: the paper's name, and a letter of LEGAL for each argument
    ("Jumpleq", "rrj"),
    ("WriteWeight", "r"),
    ("Jump", "j"),
    ("Stop", ""),
    ("Add", "rrw"),
    ("GetInput", "rw"),
    ("Move", "rw"),
    ("Allocate", "a"),
    ("Increment", "w"),
    ("Decrement", "w"),
    ("Subtract", "rrw"),
    ("Multiply", "rrw"),
    ("Free", "f"),
)
ARITY = [len(kinds) for _, kinds in PRIMITIVES]

BIGGEST = 10_000  # of the absolute values that a cell may hold
PROGRAM_CELLS, WORK_CELLS = 100, 1000  # at most
MOST_AT_ONCE = 5  # cells that one primitive may allocate or free

LEGAL = {  # the legal values of an argument, given the lowest address and the program's size
    "r": lambda lowest, size: range(lowest, size),  # an address to read
    "w": lambda lowest, size: range(lowest, 0),  # an address to write: work cells only
    "j": lambda lowest, size: range(lowest, size + 1),  # an address to jump to
    "a": lambda lowest, size: range(1, min(MOST_AT_ONCE, WORK_CELLS + lowest) + 1),  # new cells
    "f": lambda lowest, size: range(1, min(MOST_AT_ONCE, -lowest) + 1),  # cells to free
}

ARITHMETIC = {  # what is written to the last argument; x, y: the contents of the addresses read
    ADD: lambda x, y: x + y,
    GET_INPUT: lambda x, y: 0,  # this task has no input field
    MOVE: lambda x, y: x,
    INCREMENT: lambda x, y: x + 1,
    DECREMENT: lambda x, y: x - 1,
    SUBTRACT: lambda x, y: x - y,
    MULTIPLY: lambda x, y: x * y,
}

HALTED, GUESSING, TIMEOUT = "halted", "guessing", "timeout"


@dataclass
class State:
    """cells: the program cells 0 ... size-1, then the work cells, the newest first and -1 last:
    Python's index -1 is address -1, and cells[address] is right for both tapes."""

    cells: list = dataclasses.field(default_factory=list)
    size: int = 0
    pointer: int = 0
    weights: list = dataclasses.field(default_factory=list)
    steps: int = 0

    @property
    def program(self):
        return self.cells[: self.size]


def legal_arguments(state, op):
    """The legal values of each argument of a primitive guessed now; None where one has none, or
    the program tape is full. The cells of the new primitive itself count as readable."""
    size, lowest = state.size + 1 + ARITY[op], state.size - len(state.cells)
    ranges = [LEGAL[kind](lowest, size) for kind in PRIMITIVES[op][1]]
    return ranges if size <= PROGRAM_CELLS and all(ranges) else None


def extend(state, op, arguments):
    """A copy of the state with a guessed primitive behind the program."""
    size = state.size
    cells = [*state.cells[:size], op, *arguments, *state.cells[size:]]
    return State(cells, size + 1 + len(arguments), state.pointer, state.weights[:], state.steps)


def guess(rng, state):
    """A random primitive with random legal arguments: the state with it, and its probability;
    (state, 0) where it has no legal argument."""
    op = int(rng.random() * len(PRIMITIVES))
    ranges = legal_arguments(state, op)
    if ranges is None:
        return state, 0.0
    arguments = [choices[int(rng.random() * len(choices))] for choices in ranges]
    return extend(state, op, arguments), 1 / len(PRIMITIVES) / math.prod(map(len, ranges))


def continuations(state, probability):
    """Each op-code that may come next, with the probability of the program that it makes (the
    same for all of its legal arguments)."""
    for op in range(len(PRIMITIVES)):
        ranges = legal_arguments(state, op)
        if ranges is not None:
            yield op, probability / len(PRIMITIVES) / math.prod(map(len, ranges))


def children(state, op):
    """The states after guessing this primitive, one for each choice of its arguments."""
    return [extend(state, op, arguments) for arguments in product(*legal_arguments(state, op))]


def execute(state, limit):
    """Run until the program halts, needs a guess or has used `limit` steps in all; says which.
    Changes the state. Every `break` is a halt: a stop, or something illegal."""
    cells, size, weights = state.cells, state.size, state.weights
    ip, steps, lowest = state.pointer, state.steps, size - len(cells)
    outcome = HALTED
    while ip != size and steps < limit:
        op = cells[ip] if ip >= lowest else -1
        if not JUMPLEQ <= op <= FREE or ip + ARITY[op] >= size:
            break
        steps += 1
        if op == STOP:
            break
        a = cells[ip + 1]
        if op == WRITE_WEIGHT:  # the next weight := c(a)
            if not lowest <= a < size or len(weights) == INPUTS:
                break
            weights.append(cells[a])
            ip += 2
        elif op == JUMP:
            if not lowest <= a <= size:
                break
            ip = a
        elif op == JUMPLEQ:  # if c(a) <= c(b) jump to j
            b, j = cells[ip + 2], cells[ip + 3]
            if not (lowest <= a < size and lowest <= b < size and lowest <= j <= size):
                break
            ip = j if cells[a] <= cells[b] else ip + 4
        elif op == ALLOCATE:  # a new work cells, 0, below the lowest address
            if not 1 <= a <= MOST_AT_ONCE or a - lowest > WORK_CELLS:
                break
            cells[size:size] = [0] * a
            lowest -= a
            ip += 2
        elif op == FREE:  # the a work cells with the lowest addresses
            if not 1 <= a <= MOST_AT_ONCE or a > -lowest:
                break
            del cells[size : size + a]
            lowest += a
            ip += 2
        else:  # c(d) := what ARITHMETIC says
            d = cells[ip + ARITY[op]]
            b = cells[ip + 2] if ARITY[op] == 3 else a
            if not (lowest <= a < size and lowest <= b < size and lowest <= d < 0):
                break
            value = ARITHMETIC[op](cells[a], cells[b])
            if not -BIGGEST <= value <= BIGGEST:
                break
            cells[d] = value
            ip += 1 + ARITY[op]
    else:
        outcome = GUESSING if ip == size else TIMEOUT
    state.pointer, state.steps = ip, steps
    return outcome


# end idiom
