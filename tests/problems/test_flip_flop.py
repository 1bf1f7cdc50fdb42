"""Flip-flop: the target process, both gradients and the wall between the wanted output and the
controller's loss."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("flip-flop")
level = load_script("flip-flop", "flip_flop_v1")


def pulses(events):
    """An independent reading of the task: 1 at a B that is the first since an A, by looking back
    over the text."""
    text = "".join("ABX"[event] for event in events)
    return [
        float(c == "B" and text[:i].rfind("A") > text[:i].rfind("B")) for i, c in enumerate(text)
    ]


def test_targets_agree_with_a_look_back_over_the_whole_stream():
    events = np.random.default_rng(0).integers(0, 3, (500, 4))
    d, armed = problem.desired(events[:200], np.zeros(4, bool))
    rest, _ = problem.desired(events[200:], armed[-1])  # the armed bit carries over a cut
    expected = np.array([pulses(column) for column in events.T]).T
    assert np.array_equal(np.concatenate([d, rest]), expected)
    assert expected.mean() == pytest.approx(1 / 6, abs=0.03)


def test_levels_agree_with_the_last_of_a_and_b():
    events, d = level.make_episodes(np.random.default_rng(0), 300, 5)
    for column, wanted in zip(events.T, d.T, strict=True):
        state = 0.0
        for event, value in zip(column, wanted, strict=True):
            state = {level.A: 0.0, level.B: 1.0}.get(int(event), state)
            assert value == state
    assert np.bincount(events.ravel(), minlength=4) / events.size == pytest.approx(
        level.CHANCES, abs=0.04
    )


def small_learner(seed=0):
    config = problem.Config(
        seed=seed, nets=2, streams=2, window=5, stride=5, controller_units=3, model_units=4
    )
    learner = problem.Learner(config, problem.CONDITIONS["parallel"])
    for _ in range(3):
        learner.advance()
    return learner


def as_floats(net):
    return {name: w.astype(float) for name, w in net.items()}


def slow_loss(controller, model, z, zm, eps, net, stream):
    """Sum of p^(t) of one net on one stream, unit by unit: C relives its inputs, M answers from the
    states it was in."""
    h, total = z[0, net, stream, problem.C_INPUTS :], 0.0
    for t in range(len(z) - 1):
        inputs = z[t, net, stream, : problem.C_INPUTS]
        h = np.array(
            [
                np.tanh(np.dot(np.concatenate([inputs, h]), controller["hidden"][net][:, k]))
                for k in range(len(h))
            ]
        )
        m, v = (np.dot(np.append(1.0, h), controller["output"][net][:, k]) for k in (0, 1))
        y = 1 / (1 + np.exp(-(m + np.exp(v) * eps[t, net, stream])))
        row = zm[t, net, stream].copy()
        row[problem.M_ACTION] = y
        states = np.tanh(row @ model["hidden"][net])
        total += 1 / (1 + np.exp(-np.append(1.0, states) @ model["output"][net][:, 0]))
    return total


def controller_gradient(controller, model, z, zm, eps):
    """The script's own gradient of the sum of p^ with respect to C's weights. The wanted outputs
    are no argument of it."""
    out = problem.forward(controller, z.copy(), problem.C_INPUTS)
    spread = np.exp(out[..., 1])
    y = problem.sigmoid(out[..., 0] + spread * eps)
    after = zm.copy()
    after[:-1, ..., problem.M_ACTION] = y
    after[1:, ..., problem.M_INPUTS :] = np.tanh(after[:-1] @ model["hidden"])
    predicted = problem.sigmoid(after[1:, ..., problem.M_INPUTS - 1 :] @ model["output"])
    slope = problem.pain_slope(model, after, predicted)
    relived = z.copy()
    problem.forward(controller, relived, problem.C_INPUTS)
    return problem.backward(
        controller, relived, problem.C_INPUTS, problem.controller_error(slope, y, spread, eps, 0.0)
    )


def test_controller_gradient_agrees_with_central_differences_of_a_slow_forward_pass():
    learner, rng = small_learner(), np.random.default_rng(5)
    controller, model = as_floats(learner.controller), as_floats(learner.model)
    controller["output"] += rng.normal(0, 0.5, controller["output"].shape)
    z, zm = learner.z.astype(float), learner.zm.astype(float)
    eps = rng.normal(size=z[:-1, ..., 0].shape)
    grads = controller_gradient(controller, model, z, zm, eps)

    def loss():
        return sum(
            slow_loss(controller, model, z, zm, eps, net, stream)
            for net in range(2)
            for stream in range(2)
        )

    for name, grad in grads.items():
        for index in zip(*(rng.integers(0, size, 12) for size in grad.shape), strict=True):
            kept, sides = controller[name][index], []
            for shift in (1e-5, -1e-5):
                controller[name][index] = kept + shift
                sides.append(loss())
            controller[name][index] = kept
            assert grad[index] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-5, abs=1e-8), (
                name,
                index,
            )


def test_model_gradient_agrees_with_central_differences():
    learner, rng = small_learner(1), np.random.default_rng(6)
    model, zm = as_floats(learner.model), learner.zm.astype(float)
    pain = rng.random((*zm[:-1, ..., 0].shape, 1))

    def loss():
        return ((problem.sigmoid(problem.forward(model, zm, problem.M_INPUTS)) - pain) ** 2).sum()

    predicted = problem.sigmoid(problem.forward(model, zm, problem.M_INPUTS))
    grads = problem.backward(
        model, zm, problem.M_INPUTS, 2 * (predicted - pain) * predicted * (1 - predicted)
    )
    for name, grad in grads.items():
        for index in np.ndindex(grad[:1].shape):
            kept, sides = model[name][index], []
            for shift in (1e-5, -1e-5):
                model[name][index] = kept + shift
                sides.append(loss())
            model[name][index] = kept
            assert grad[index] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-4, abs=1e-7), (
                name,
                index,
            )
    assert problem.gradient_check() < 1e-5


def test_wanted_outputs_reach_the_controller_only_as_pain_that_it_reads(monkeypatch):
    """With the read pain and M's update kept as they were, other wanted outputs must leave C's
    update bit for bit the same."""

    def updated(falsify):
        learner = small_learner()
        truth = problem.desired
        if falsify:
            monkeypatch.setattr(
                problem,
                "desired",
                lambda events, armed: (1 - truth(events, armed)[0], truth(events, armed)[1]),
            )
        act = problem.act

        def act_on_recorded_pain(controller, z, first, d, *rest):
            honest = truth(z[first:-1, ..., :3].argmax(-1), armed)[0]
            return act(controller, z, first, honest, *rest)

        armed = learner.armed
        monkeypatch.setattr(problem, "act", act_on_recorded_pain)
        learner.advance()
        monkeypatch.undo()
        return learner

    honest, falsified = updated(False), updated(True)
    for name in honest.controller:
        assert np.array_equal(honest.controller[name], falsified.controller[name])
        assert not np.array_equal(honest.model[name], falsified.model[name])


def test_the_model_of_the_parallel_version_sees_only_what_the_controller_does(monkeypatch):
    learner, seen = small_learner(), []
    act = problem.act
    monkeypatch.setattr(
        problem, "act", lambda *args: seen.append((args[-1], *act(*args))) or seen[-1][1:]
    )
    learner.advance()
    ((actions, y, _),) = seen
    assert actions is None
    assert np.array_equal(learner.zm[:-1, ..., problem.M_ACTION], y)


def latch_by_hand(fading=1.0):
    """A controller that solves the task: unit 1 is armed by A and disarmed by B, unit 2 fires at B
    if unit 1 was armed."""
    hidden, output = np.zeros((1, problem.C_INPUTS + 2, 2)), np.zeros((1, 3, 2))
    hidden[0, [problem.A, problem.B], 0] = 20, -20
    hidden[0, problem.C_INPUTS, 0] = 3 * fading
    hidden[0, problem.C_INPUTS, 1], hidden[0, problem.B, 1], hidden[0, problem.C_INPUTS - 1, 1] = (
        10,
        10,
        -15,
    )
    output[0, 2, 0] = 9
    return {"hidden": hidden.astype(problem.FLOAT), "output": output.astype(problem.FLOAT)}


def test_the_tests_pass_a_right_controller_and_fail_a_forgetful_one():
    right, forgetful = latch_by_hand(), latch_by_hand(fading=0.2)
    assert list(problem.passing(right, np.random.default_rng(0), 2000)) == [0]
    assert problem.error_rates(right, np.random.default_rng(0), 2000) == (0.0, 0.0)
    assert problem.lag_test(right, np.random.default_rng(1), 300).all()
    assert not problem.lag_test(forgetful, np.random.default_rng(1), 100).any()
    assert len(problem.passing(forgetful, np.random.default_rng(0), 2000)) == 0


@pytest.mark.parametrize("seed", [0, 1])
def test_nets_without_memory_cannot_tell_waits_apart(seed):
    """Without recurrence and without p(t-1), the answer depends on the event of the step alone, so
    it fails half of the B's."""
    config = problem.Config(seed=seed, nets=2, steps=10_000)
    learner = problem.Learner(config, problem.CONDITIONS["memoryless controller"])
    for _ in range(20):
        learner.advance()
    events = np.random.default_rng(seed).integers(0, 3, (300, 2, 1))
    y, *_ = problem.respond(learner.controller, events)
    for event in range(3):
        assert all(np.ptp(y[:, net][events[:, net] == event]) < 1e-6 for net in range(2))
