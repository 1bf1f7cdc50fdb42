"""Strings of the embedded Reber grammar, as the two Reber scripts of the catalog carry them."""

import numpy as np

# idiom: reber
SYMBOLS = "BTPSXVE"
# The Reber grammar (Reber 1967): from each state two ways on, as likely, the symbol and the state
# that it leads to; state 5 has one, the E that ends the string.
REBER = ("T1 P2", "S1 X3", "T2 V4", "X2 S5", "P3 V5", "E6")


def embedded_ways():
    """The ways on from the states of the embedded grammar: B, T or P, a Reber string with its own
    B and E, the same T or P, E. States 2 to 9 come after the T, 10 to 17 after the P; 0 is the
    start, and the end of a string.
    """
    ways = ["B1", "T2 P10"]
    for first, letter in ((2, "T"), (10, "P")):
        inner = [[f"{way[0]}{int(way[1]) + first + 1}" for way in pair.split()] for pair in REBER]
        ways += [f"B{first + 1}", *map(" ".join, inner), f"{letter}18"]
    return [*ways, "E0"]


WAYS = [[(SYMBOLS.index(way[0]), int(way[1:])) for way in ways.split()] for ways in embedded_ways()]
EMIT, LEAD = np.array([[ways[0], ways[-1]] for ways in WAYS], np.int8).transpose(2, 0, 1)
LEGAL = (EMIT[:, :, None] == np.arange(len(SYMBOLS))).any(1)  # (states, 7): what may come next


def embedded_reber(rng, count):
    """Random strings: symbols (count, longest), -1 behind the end, and states of the same shape.

    The state is that after the symbol: LEGAL[state] says which symbols may come next.
    """
    symbols, states, state = [], [], np.zeros(count, np.int8)
    going = np.ones(count, bool)
    while going.any():
        way = rng.integers(0, 2, count)
        symbols.append(np.where(going, EMIT[state, way], -1))
        state = np.where(going, LEAD[state, way], 0)
        states.append(state)
        going &= state != 0
    return np.stack(symbols, 1).astype(np.int8), np.stack(states, 1)


# end idiom
