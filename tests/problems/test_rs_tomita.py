"""Tomita's languages: automata against definitions, drawing, the screen, plain and fast form."""

import itertools
import re

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("rs-tomita")
CONFIG = problem.Config()


def member(language, text):
    """Whether a string is in a language, by its definition."""
    if language == 3:  # no odd run of 1s that is followed by an odd run of 0s
        runs = [(k, len(list(g))) for k, g in itertools.groupby(text)]
        pairs = itertools.pairwise(runs)
        return not any(a[0] == "1" and a[1] % 2 and b[1] % 2 for a, b in pairs)
    return {
        1: lambda: "0" not in text,
        2: lambda: re.fullmatch("(10)*", text) is not None,
        4: lambda: "000" not in text,
        5: lambda: text.count("0") % 2 == 0 and text.count("1") % 2 == 0,
        6: lambda: (text.count("0") - text.count("1")) % 3 == 0,
        7: lambda: re.fullmatch("0*1*0*1*", text) is not None,
    }[language]()


def as_text(bits, length):
    return "".join(map(str, bits[:length]))


@pytest.mark.parametrize("language", problem.DFAS)
def test_the_automaton_is_the_definition(language):
    for length in range(1, 11):
        bits = np.array(list(itertools.product((0, 1), repeat=length))).T
        found = problem.run_dfa(language, bits, np.full(bits.shape[1], length))
        assert found.tolist() == [member(language, as_text(column, length)) for column in bits.T]
    assert problem.run_dfa(language, np.zeros((0, 1), int), np.zeros(1, int)).all()  # the empty one


@pytest.mark.parametrize("language", [1, 3, 4, 5, 6, 7])
def test_members_are_drawn_evenly(language):
    length, rng = 6, np.random.default_rng(1)
    all_texts = ["".join(s) for s in itertools.product("01", repeat=length)]
    members = [text for text in all_texts if member(language, text)]
    draws = 300 * len(members)
    bits = problem.draw_members(rng, language, np.full(draws, length))
    count = dict.fromkeys(members, 0)
    for column in bits.T:
        count[as_text(column, length)] += 1  # a KeyError if it is no member
    assert min(count.values()) > 300 - 6 * 18 and max(count.values()) < 300 + 6 * 18


@pytest.mark.parametrize("language", problem.DFAS)
@pytest.mark.parametrize("negatives", ["near", "even"])
def test_training_sets(language, negatives):
    config = problem.Config(negatives=negatives)
    rng = np.random.default_rng(2)
    x, lengths, target = problem.make_set(rng, language, 40, 50, 60, config)
    bits = ((x + 1) / 2).astype(int)
    texts = [as_text(bits[:, k], lengths[k]) for k in range(40)]
    assert [int(not member(language, text)) for text in texts] == target.tolist()
    assert (target == np.arange(40) % 2).all() and (np.abs(x).sum(0) == lengths).all()
    assert lengths[0] == lengths[1] and (bits[:, 0] != bits[:, 1]).sum() == 1
    if negatives == "near" and language not in (2, 5, 6):
        for text in texts[5::4]:
            flipped = [text[:k] + "10"[int(text[k])] + text[k + 1 :] for k in range(len(text))]
            assert any(member(language, each) for each in flipped)


def test_strings_of_the_earlier_catalog():
    x, lengths, target = problem.make_short(np.random.default_rng(3), 2, 40, 0, 10, 0)
    bits = ((x + 1) / 2).astype(int)
    texts = [as_text(bits[:, k], lengths[k]) for k in range(40)]
    assert [int(not member(2, text)) for text in texts] == target.tolist()
    assert max(lengths) <= 10


@pytest.mark.parametrize("n", [1, 2, 3])
def test_many_nets_answer_as_one_does(n):
    rng = np.random.default_rng(4)
    x, lengths, target = problem.make_set(rng, 4, 6, 20, 30, CONFIG)
    weights = problem.draw(rng, n, 5, 3.0)
    outputs = problem.end_outputs(n, weights, x, lengths)
    for k, net in np.ndindex(6, 5):
        plain = problem.plain_output(n, weights[:, net].tolist(), x[: lengths[k], k].tolist())
        assert outputs[k, net] == pytest.approx(plain, abs=1e-4)


def test_the_screen_and_the_stages_throw_out_no_solution():
    rng = np.random.default_rng(5)
    training = problem.make_set(rng, 1, 12, 40, 60, CONFIG)
    weights = problem.draw(rng, 1, 400, 100.0)
    index, seen = problem.accept(1, weights, training)
    right = problem.right(problem.end_outputs(1, weights, *training[:2]), training[2]).all(0)
    assert index.tolist() == np.flatnonzero(right).tolist() and len(index) > 5
    assert (seen[index] == 12).all() and seen.min() == 2
    first = problem.plain_guess(1, weights, *training)
    assert first == index[0] + 1


def test_a_hand_made_net_recognises_language_1():
    """The output turns on at a 0 and keeps itself on."""
    n = 1
    weights = np.zeros((problem.size(n), 1), np.float32)
    weights[3 * n + 0] = 40  # v: from the hidden unit
    weights[0] = -100  # a: the hidden unit is on at a 0
    weights[2] = -20  # b
    weights[4 * n + 1] = 100  # r: the output stays on
    weights[4 * n] = -20  # u: at a 1 it does not turn on by itself
    x, lengths, target = problem.make_set(np.random.default_rng(6), 1, 40, 500, 600, CONFIG)
    assert problem.right(problem.end_outputs(n, weights, x, lengths), target).all()


def test_trials_are_counted_to_each_success_and_through_failures():
    made = []

    def judge(n, weights, training):
        made.append(weights.shape[1])
        return np.array([4, 9]), np.full(weights.shape[1], 2)

    def make():
        return problem.make_set(np.random.default_rng(7), 1, 4, 20, 30, CONFIG)

    rng = np.random.default_rng(8)
    found = problem.guess(rng, 1, judge, make, make, 3, 10**6, 1.0, 0.1)
    assert found.trials == [5, 5, problem.BLOCK - 5] and found.guesses == problem.BLOCK + 5
    assert len(made) == 2 and found.weights.shape == (7, 3)
