"""Flip-flop: the target process, the plain form against the fast one, both gradients, and the wall
between the wanted output and the controller's loss."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("flip-flop")
level = load_script("flip-flop", "flip_flop_v1")
SMALL = {"nets": 2, "streams": 1, "window": 6, "stride": 3, "controller_units": 3, "model_units": 4}
PLAIN = {"rule": "plain", "state_noise": 0, "least_spread": 0, "controller_rate": 0.5}


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


def test_the_worked_example():
    events = ["ABX".index(c) for c in "XAXXBBXABA"]
    assert problem.desired(np.array(events), False)[0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 1, 0]


def test_levels_agree_with_the_last_of_a_and_b():
    events, d = level.make_episodes(np.random.default_rng(0), 300, 5)
    for column, wanted in zip(events.T, d.T, strict=True):
        state = 0.0
        for event, value in zip(column, wanted, strict=True):
            state = {level.A: 0.0, level.B: 1.0}.get(int(event), state)
            assert value == state
    counts = np.bincount(events.ravel(), minlength=4) / events.size
    assert counts == pytest.approx(level.CHANCES, abs=0.04)


def small_learner(**options):
    return problem.Learner(problem.Config(**SMALL | options), ("parallel",))


def test_many_nets_learn_as_one_net_in_plain_form(monkeypatch):
    """Each net of the fast form ends with the weights of the plain form on the same stream."""
    monkeypatch.setattr(problem, "FLOAT", np.float64)
    learner, streams, act = small_learner(**PLAIN), [[], []], problem.act

    def record(controller, z, first, d, eps, *rest):
        events = z[first:-1, ..., :3].argmax(-1)
        for net, stream in enumerate(streams):
            stream += zip(*(x[:, net, 0].tolist() for x in (events, d, eps)), strict=True)
        return act(controller, z, first, d, eps, *rest)

    monkeypatch.setattr(problem, "act", record)
    copies = [{k: w.copy() for k, w in net.items()} for net in learner.weights(0)]
    for _ in range(20):
        learner.advance()
    for net, stream in enumerate(streams):
        assert len(stream) == 60
        one = [{name: w[net].copy() for name, w in weights.items()} for weights in copies]
        problem.learn_one(*one, stream, learner.config)
        for plain, fast, start in zip(one, learner.weights(0), copies, strict=True):
            for name in plain:
                np.testing.assert_allclose(fast[name][net], plain[name], rtol=1e-9, atol=1e-12)
                assert not np.allclose(start[name][net], plain[name], rtol=1e-2)


def test_gradients_agree_with_central_differences():
    assert problem.gradient_check() < 1e-6


def test_wanted_outputs_reach_the_controller_only_as_pain_that_it_reads(monkeypatch):
    """With the pain that is read kept as it was, other wanted outputs must leave C's update bit for
    bit the same."""
    act = problem.act

    def updated(falsify):
        learner = small_learner(stride=6)

        def act_on_honest_pain(controller, z, first, d, *rest):
            return act(controller, z, first, 1 - d if falsify else d, *rest)

        learner.advance()
        honest = learner.next_events
        learner.next_events = lambda first: 1 - honest(first) if falsify else honest(first)
        monkeypatch.setattr(problem, "act", act_on_honest_pain)
        learner.advance()
        monkeypatch.undo()
        return learner.weights(0)

    (controller, model), (falsified, misled) = updated(False), updated(True)
    for name in controller:
        assert np.array_equal(controller[name], falsified[name])
        assert not np.array_equal(model[name], misled[name])


def test_the_model_of_the_parallel_version_sees_only_what_the_controller_does(monkeypatch):
    seen, act = [], problem.act
    monkeypatch.setattr(
        problem, "act", lambda *args: seen.append((args[-1], *act(*args))) or seen[-1][1:]
    )
    parallel = small_learner(stride=6)
    parallel.advance()
    sequential = problem.Learner(parallel.config, ("sequential",))
    sequential.advance()
    (none, y, _), (actions, random, _) = seen
    assert none is None
    assert np.array_equal(parallel.model.z[:-1, ..., problem.Y], y)
    assert np.array_equal(actions, random)


def test_the_sequential_version_trains_the_model_first_and_then_holds_it():
    config = problem.Config(**SMALL | {"stride": 6}, model_steps=12)
    learner = problem.Learner(config, ("sequential",))
    for moves in ("M", "M", "C", "C"):
        before = [{k: w.copy() for k, w in net.items()} for net in learner.weights(0)]
        learner.advance()
        for which, old, new in zip("CM", before, learner.weights(0), strict=True):
            same = np.array_equal(old["hidden"], new["hidden"])
            assert same == (which != moves)


def latch_by_hand(fading=1.0):
    """A controller that solves the task: unit 1 is armed by A and disarmed by B, unit 2 fires at B
    if unit 1 was armed."""
    hidden, output = np.zeros((1, problem.C_INPUTS + 2, 2)), np.zeros((1, 3, 2))
    first, always = problem.C_INPUTS, problem.C_INPUTS - 1
    hidden[0, [problem.A, problem.B], 0] = 20, -20
    hidden[0, first, 0] = 3 * fading
    hidden[0, [first, problem.B, always], 1] = 10, 10, -15
    output[0, 2, 0] = 9
    return {"hidden": hidden.astype(problem.FLOAT), "output": output.astype(problem.FLOAT)}


def test_the_tests_pass_a_right_controller_and_fail_a_forgetful_one():
    right, forgetful = latch_by_hand(), latch_by_hand(fading=0.2)
    assert list(problem.passing(right, np.random.default_rng(0), 2000)) == [0]
    assert problem.lag_test(right, np.random.default_rng(1), 300).all()
    assert not problem.lag_test(forgetful, np.random.default_rng(1), 100).any()
    assert len(problem.passing(forgetful, np.random.default_rng(0), 2000)) == 0


def test_what_the_controls_cannot_use():
    """Trained side by side from the same weights: without recurrence and pain, the answer depends
    on the event alone; a net that feels also tells apart what hurt a step ago, and no more."""
    config = problem.Config(nets=2, controller_rate=0.02)
    learner = problem.Learner(config, ("parallel", "memoryless", "memoryless_feels"))
    for _ in range(40):
        learner.advance()
    events = np.random.default_rng(0).integers(0, 3, (300, 2, 1))
    spans = []
    for i in range(3):
        y, _, rows, _ = problem.respond(learner.weights(i)[0], events)
        pain = rows[:-1, ..., problem.PAIN].round(3)
        at = [(events[:, 0] == event) & (pain[:, 0] == pain[5, 0]) for event in range(3)]
        alone = max(np.ptp(y[:, 0][events[:, 0] == event]) for event in range(3))
        spans.append((alone, max(np.ptp(y[:, 0][here]) for here in at if here.any())))
    assert spans[0][0] > 1e-2
    assert spans[1][0] < 1e-6 < spans[2][0]
    assert spans[2][1] < 1e-3


def test_the_level_task_learns_by_true_gradients():
    """M's against central differences; C's against its own equation, by moving y alone."""
    rng = np.random.default_rng(3)
    controller, model = level.init_net(rng, level.C_INPUTS), level.init_net(rng, level.M_INPUTS)
    events, d = level.make_episodes(rng, 6, 3)
    y = rng.random(d.shape)
    grads, _ = level.model_gradient(model, events, d, y)
    for name, place in (("hidden", (level.Y, 2)), ("hidden", (-1, 3)), ("output", (5, 0))):
        kept, sides = model[name][place], []
        for shift in (1e-5, -1e-5):
            model[name][place] = kept + shift
            sides.append(level.model_gradient(model, events, d, y)[1])
        model[name][place] = kept
        assert grads[name][place] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-5)
    grads, pain = level.controller_gradient(controller, model, events[:1], d[:1])
    y, _ = level.forward(controller, events[:1], d[:1])
    assert pain == pytest.approx(((y - d[:1]) ** 2).mean())
    sides = []
    for shift in (1e-5, -1e-5):
        controller["output"][4] += shift
        moved, _ = level.forward(controller, events[:1], d[:1])
        sides.append(level.forward(model, events[:1], d[:1], moved)[0].mean())
        controller["output"][4] -= shift
    assert grads["output"][4, 0] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-5)
