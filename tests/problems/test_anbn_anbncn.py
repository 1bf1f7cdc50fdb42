"""Counting languages: targets by an automaton, gradients, shared prefixes, an exact counter."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("anbn-anbncn")


def members(language, longest):
    """All strings of a language with n or n + m to longest, as text with S and T."""
    if language == "two":
        pairs = [(n, m) for n in range(1, longest) for m in range(1, longest - n + 1)]
        return [f"S{'a' * n}{'b' * m}{'B' * m}{'A' * n}T" for n, m in pairs]
    letters = problem.LETTERS[language]
    return ["S" + "".join(k * n for k in letters) + "T" for n in range(1, longest + 1)]


@pytest.mark.parametrize("language", problem.LETTERS)
def test_targets_are_the_symbols_with_which_some_member_goes_on(language):
    longest = 5
    x, target, mask = problem.strings(language, problem.counts_of(language, longest))
    names = "T" + problem.LETTERS[language]
    known = members(language, 2 * longest + 2)
    seen = set()
    for s in range(x.shape[3]):
        steps = int(mask[:, s].sum())
        text = "S" + "".join(names[int(x[t, 0, :, s].argmax())] for t in range(1, steps))
        seen.add(text + "T")
        for t in range(steps):
            goes_on = {word[t + 1] for word in known if word.startswith(text[: t + 1])}
            legal = {names[k] for k in np.flatnonzero(target[t, 0, :, s] > 0)}
            assert legal == goes_on, text[: t + 1]
    assert seen == set(members(language, longest))


@pytest.mark.parametrize("language", problem.LETTERS)
def test_the_truncated_gradient(language):
    rng = np.random.default_rng(1)
    net = problem.Peephole(language)
    x, target, mask = problem.strings(language, problem.counts_of(language, 3))
    weights = {name: rng.normal(0, 0.5, w.shape) for name, w in net.init(rng, 2).items()}
    for squared in (True, False):
        _, e_a = problem.losses(net.forward(weights, x), target, mask, squared)
        grads = net.backward(weights, e_a)
        given = net.kept[:2]

        def loss(given=given, squared=squared):
            a = net.forward(weights, x, given)
            return float(problem.losses(a, target, mask, squared)[0].sum())

        assert problem.worst_relative_error(loss, weights, grads) < 1e-5


def test_the_control_has_the_full_gradient():
    rng = np.random.default_rng(2)
    net, (x, target, mask) = problem.Plain("anbncn"), problem.strings("anbncn", [(2, 2, 2)])
    weights = net.init(rng, 2)
    _, e_a = problem.losses(net.forward(weights, x), target, mask, True)
    grads = {name: g.copy() for name, g in net.backward(weights, e_a).items()}

    def loss():
        return float(problem.losses(net.forward(weights, x), target, mask, True)[0].sum())

    assert problem.worst_relative_error(loss, weights, grads) < 1e-5
    assert sum(w.size for w in weights.values()) == 2 * 90


def exact_counter():
    """a^n b^n by hand: c goes up by 0.01 an a, down by 0.01 a b; T when it is back at 0."""
    net = problem.Peephole("anbn")
    w = {name: np.zeros_like(part) for name, part in net.init(np.random.default_rng(0), 1).items()}
    w["W"][0, 1, -1] = w["W"][0, 2, -1] = 50  # forget and output gates are 1
    w["W"][0, 0, -1] = 50  # and so is the input gate
    w["W"][0, 3, [1, 2]] = 0.005, -0.005  # x is +1 or -1, so g is 0.01, -0.01, and 0 at S
    V = w["V"][0]  # columns: S, a, b, h, 1
    V[:, :] = 0
    V[0, [2, 3, 4]] = 1, -300, 0.5  # T: after a b, and h near 0
    V[1, [0, 1, 4]] = 1, 1, 1  # a: after S or an a
    V[2, [1, 2, 3, 4]] = 3, 1, 300, 0.5  # b: after an a, or while h is above 0
    return w


def test_an_exact_counter_is_accepted():
    w = exact_counter()
    good = problem.accepts(w, "anbn", 60)
    x, target, mask = problem.strings("anbn", problem.counts_of("anbn", 60))
    whole = problem.accepted(problem.Peephole("anbn").forward(w, x), target, mask)
    assert (good == whole).all() and problem.run_of(good)[0] >= 50


@pytest.mark.parametrize("language", ["anbn", "anbncn"])
def test_shared_prefixes_give_what_whole_strings_give(language):
    rng = np.random.default_rng(3)
    longest = {"anbn": 10, "anbncn": 4}[language]
    net, sets = (
        problem.Peephole(language),
        problem.strings(language, problem.counts_of(language, longest)),
    )
    weights = net.init(rng, 4)
    history = {name: [] for name in ("language", "updates", "net", "loss", "margin")}
    plan = problem.Schedule(400, 0.02, squared=language != "anbn", hold=0.0)
    problem.train(net, weights, sets, plan, language, history, None)
    x, target, mask = problem.strings(language, problem.counts_of(language, 60))
    whole = problem.accepted(net.forward(weights, x), target, mask)
    assert (problem.accepts(weights, language, 60) == whole).all()
    assert whole.any() and not whole.all()


def test_the_run_ends_at_the_first_string_that_is_not_accepted():
    good = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1]], bool)
    assert problem.run_of(good).tolist() == [2, 0, 4]


def test_rates_fall():
    plan = problem.Schedule(100, 0.01)
    assert plan.rate_at(0.1) == plan.rate_at(0.3) == 0.01
    assert plan.rate_at(1.0) == pytest.approx(0.0001)
    assert problem.Schedule(100, 0.02, squared=False, hold=0).rate_at(1) == pytest.approx(1e-4)
