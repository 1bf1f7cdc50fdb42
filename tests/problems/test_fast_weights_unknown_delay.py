"""Fast weights, unknown delays: the stream, plain formulas, gradients, a solution set by hand."""

import math

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("fast-weights-unknown-delay")
A, B, C = problem.A, problem.B, problem.C


def test_targets_are_the_first_b_after_an_a():
    events, targets = problem.stream(np.random.default_rng(1), 20, 400)
    for row, wanted in zip(events.T, targets.T, strict=True):
        text = "".join("ABC"[e] for e in row)
        for t, symbol in enumerate(text):
            since = text[text.rfind("B", 0, t) + 1 : t]
            assert wanted[t] == (symbol == "B" and "A" in since)
    assert np.bincount(events.ravel()) / events.size == pytest.approx(1 / 3, abs=0.03)


def plain(kind, slow, events, targets, eta, T):
    """Answers and slow weights of one net after the stream, number by number."""
    slow, w = slow.copy(), [0.0] * 3
    count = len(slow)
    p = [[0.0] * count for _ in range(3)]
    answers = []
    for e, d in zip(events, targets, strict=True):
        y = w[e]
        answers.append(y)
        for k in range(count):
            slow[k] -= eta * (y - d) * p[e][k]
        for a in range(3):
            own = 3 * a + e
            if kind == "from-to":
                box, parts = slow[own] * slow[9 + e], {own: slow[9 + e], 9 + e: slow[own]}
            else:
                box, parts = slow[own], {own: 1.0}
            w[a] = 1 / (1 + math.exp(-T * (w[a] + box - 0.5)))
            for k in range(count):
                p[a][k] = T * w[a] * (1 - w[a]) * (p[a][k] + parts.get(k, 0.0))
    return answers, slow


@pytest.mark.parametrize("kind", ["one", "from-to"])
def test_learning_is_what_the_equations_say(kind):
    config = problem.Config(replicas=3)
    rng = np.random.default_rng(2)
    learner = problem.Learner(kind, rng, config)
    learner.slow *= 5
    start = learner.slow.copy()
    events, targets = problem.stream(rng, 3, 60)
    answers = np.array([learner.step(e, d) for e, d in zip(events, targets, strict=True)])
    for k in range(3):
        wanted, slow = plain(kind, start[k], events[:, k], targets[:, k], 1.0, 10.0)
        assert answers[:, k] == pytest.approx(wanted, rel=1e-9)
        assert learner.slow[k] == pytest.approx(slow, rel=1e-9)


def test_derivatives_carried_forward_are_exact():
    assert problem.gradient_check() < 1e-6
    assert problem.gradient_check(problem.Config(replicas=2, T=10.0, seed=3)) < 1e-4


def solved_by_hand(strength):
    learner = problem.Learner("one", np.random.default_rng(4), problem.Config(replicas=1))
    learner.slow[:] = 0
    learner.slow.reshape(3, 3)[B, [A, B]] = strength, -strength  # A lifts the weight of B
    return learner


def test_a_switch_set_by_hand_keeps_for_any_time_and_a_weak_one_does_not():
    assert problem.keeps(solved_by_hand(1.0), 10.0).all()
    assert not problem.keeps(solved_by_hand(0.6), 10.0).any()
    learner = solved_by_hand(1.0)
    events, targets = problem.stream(np.random.default_rng(5), 1, 2000)
    worst = 0.0
    for event, target in zip(events, targets, strict=True):
        worst = max(worst, abs(learner.w[0, event[0]] - target[0]) if event[0] == B else 0.0)
        learner.write(event)
    assert worst < 0.0073  # both fixed points of the bounded rule lie 0.0072 from 0 and 1


def test_the_start_is_the_first_step_of_the_first_clean_window():
    config = problem.Config(replicas=5, steps=600)
    history = {"kind": [], "step": [], "share": []}
    learner, starts, longest = problem.train("one", np.random.default_rng(6), config, history, None)
    rng = np.random.default_rng(6)
    again = problem.Learner("one", rng, config)
    events, targets = problem.stream(rng, 5, 600)
    off = [abs(again.step(e, d) - d) for e, d in zip(events, targets, strict=True)]
    clean = np.array(off) <= 0.05
    for k in range(5):
        wins = [t for t in range(501) if clean[t : t + 100, k].all()]
        assert starts[k] == (wins[0] + 1 if wins else 0)
        runs = "".join("x" if ok else " " for ok in clean[:, k]).split()
        assert longest[k] == max(map(len, runs))
    assert again.slow == pytest.approx(learner.slow)


@pytest.mark.parametrize("additive", [True, False])
def test_the_gradient_of_part_2(additive):
    rng = np.random.default_rng(7)
    weights = {"W1": rng.normal(0, 0.5, (6, 16)), "W2": rng.normal(0, 0.3, (16, 4))}
    u, bits = problem.episodes(rng, 3, 4)

    def loss():
        return float(((problem.store(weights, u, additive, 4.0)[0][-1] - bits) ** 2).sum() / 2)

    w, h = problem.store(weights, u, additive, 4.0)
    grads = problem.store_gradients(weights, u, w, h, w[-1] - bits, additive, 4.0)
    assert problem.worst_relative_error(loss, weights, grads) < 1e-6


def test_episodes_flag_the_first_pattern_alone():
    u, bits = problem.episodes(np.random.default_rng(8), 50, 6)
    assert u.shape == (7, 50, 6) and (u[0, :, 4] == 1).all() and (u[1:, :, 4] == 0).all()
    assert (bits == u[0, :, :4]).all() and set(np.unique(bits)) == {0, 1}


def test_a_net_that_knows_only_the_last_event_is_not_right_for_long():
    config = problem.Config(replicas=40, steps=3000)
    history = {"kind": [], "step": [], "share": []}
    _, _, longest = problem.train("blanked", np.random.default_rng(9), config, history, None)
    assert longest.max() < problem.SURE
