"""The embedded Reber grammar: its strings against a recogniser written down another way."""

import re

import numpy as np

from catalog.idioms.reber import LEGAL, SYMBOLS, embedded_reber

# The same language as a regular expression.
INNER = "B(?:TS*X(?:XT*VP)*(?:S|XT*VV)|PT*V(?:PXT*V)*(?:V|PS))E"
STRING = re.compile(f"B(?:T{INNER}T|P{INNER}P)E")


def draw(count, seed=0):
    symbols, states = embedded_reber(np.random.default_rng(seed), count)
    return symbols, states, (symbols >= 0).sum(1)


def as_text(row):
    return "".join(SYMBOLS[s] for s in row if s >= 0)


def test_strings_are_in_the_language_and_padding_is_behind():
    symbols, states, lengths = draw(3000)
    assert all(STRING.fullmatch(as_text(row)) for row in symbols)
    assert ((symbols >= 0) == (np.arange(symbols.shape[1]) < lengths[:, None])).all()
    assert (states[np.arange(3000), lengths - 1] == 0).all()


def test_lengths_have_the_known_probabilities():
    _, _, lengths = draw(200_000, 1)
    shares = [(lengths == n).mean() for n in (9, 10, 11, 12)]
    assert np.allclose(shares, [1 / 4, 3 / 16, 1 / 8, 7 / 64], atol=0.004)
    assert lengths.min() == 9 and abs(lengths.mean() - 12) < 0.05


def test_legal_symbols_are_those_that_some_string_goes_on_with():
    symbols, states, lengths = draw(20_000, 2)
    seen = {}
    for row in symbols:
        text = as_text(row)
        for t in range(1, len(text)):
            seen.setdefault(text[:t], set()).add(text[t])
    common = 0
    for row, after in zip(symbols[:300], states[:300], strict=True):
        text = as_text(row)
        for t in range(1, min(len(text), 7)):
            legal = {SYMBOLS[k] for k in np.flatnonzero(LEGAL[after[t - 1]])}
            assert seen[text[:t]] == legal
            common += len(legal) == 2
    assert common > 300


def test_the_second_letter_alone_decides_the_last_but_one():
    symbols, _, lengths = draw(2000, 3)
    rows = np.arange(2000)
    assert (symbols[:, 1] == symbols[rows, lengths - 2]).all()
    assert abs((symbols[:, 1] == SYMBOLS.index("T")).mean() - 0.5) < 0.05
