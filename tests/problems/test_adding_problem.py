"""Adding problem: the sequences against the task's text, plain and fast form, both gradients."""

import collections

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("adding-problem")


def random_weights(rng, kind, nets, scale=0.5):
    return {
        name: rng.normal(0, scale, w.shape) for name, w in problem.init(kind, rng, nets).items()
    }


@pytest.mark.parametrize("nets", [1, 3])
def test_the_fast_form_is_the_plain_form(nets):
    rng = np.random.default_rng(nets)
    x, target = problem.make_batch(rng, 30, nets, 4)
    weights = random_weights(rng, "lstm", nets)
    o, states = problem.forward("lstm", weights, x)
    error = problem.output_error(o, target, "squared")
    grads = problem.backward("lstm", weights, error, states)
    for net in range(nets):
        W, V = weights["W"][net], weights["V"][net, 0]
        rows = [problem.one_sequence(W, V, x[:, net, :, i], target[net, i]) for i in range(4)]
        outputs, dW, dV = (np.array(column) for column in zip(*rows, strict=True))
        assert o[net] == pytest.approx(outputs, rel=1e-12)
        assert grads["W"][net] == pytest.approx(dW.mean(0), rel=1e-9, abs=1e-14)
        assert grads["V"][net, 0] == pytest.approx(dV.mean(0), rel=1e-9, abs=1e-14)


def test_without_recurrent_weights_the_plain_gradient_is_that_of_the_error():
    rng = np.random.default_rng(5)
    x, target = problem.make_batch(rng, 24, 1, 1)
    W, V = (w[0].astype(float) for w in random_weights(rng, "lstm", 1).values())
    W[:, problem.RECURRENT] = 0
    pairs, wanted, V = x[:, 0, :, 0].astype(float), float(target[0, 0]), V[0]

    def loss():
        return 0.5 * (problem.one_sequence(W, V, pairs, wanted)[0] - wanted) ** 2

    _, dW, dV = problem.one_sequence(W, V, pairs, wanted)
    for array, gradient, places in (
        (W, np.array(dW), np.ndindex(8, 3)),
        (V, np.array(dV), np.ndindex(5)),
    ):
        for place in places:
            kept = array[place]
            array[place] = kept + 1e-5
            above = loss()
            array[place] = kept - 1e-5
            numeric = (above - loss()) / 2e-5
            array[place] = kept
            assert gradient[place] == pytest.approx(numeric, rel=1e-5, abs=1e-9)


def test_online_training_is_the_plain_form_sequence_after_sequence():
    papers = {"online": True, "loss": "squared", "rate": 0.5, "average": 1, "controls": False}
    config = problem.Config(T=24, **papers)
    weights = random_weights(np.random.default_rng(0), "lstm", 2)
    W, V = weights["W"][1].copy(), weights["V"][1, 0].copy()
    history = {"net": [], "sequences": [], "error": [], "right": []}
    _, own = problem.train("lstm", weights, config, np.random.default_rng(1), 40, history)
    stream = np.random.default_rng(1)
    for _ in range(39):  # the weights that are kept are those before the last sequence
        x, target = problem.make_batch(stream, 24, 2, 1)
        _, dW, dV = problem.one_sequence(W, V, x[:, 1, :, 0], target[1, 0])
        W -= 0.5 * np.array(dW)
        V -= 0.5 * np.array(dV)
    assert own.best["W"][1] == pytest.approx(W, rel=1e-6, abs=1e-9)
    assert own.best["V"][1, 0] == pytest.approx(V, rel=1e-6, abs=1e-9)


def test_single_precision_gives_the_same_outputs():
    rng = np.random.default_rng(0)
    x, _ = problem.make_batch(rng, 100, 1, 16)
    weights = random_weights(rng, "lstm", 1)
    exact, _ = problem.forward("lstm", weights, x)
    single = {name: w.astype(np.float32) for name, w in weights.items()}
    rounded, _ = problem.forward("lstm", single, x)
    assert rounded.dtype == np.float32
    assert rounded == pytest.approx(exact, abs=1e-4)


def test_both_gradients_agree_with_central_differences():
    assert problem.gradient_check() < 1e-6
    rng = np.random.default_rng(3)
    x, target = problem.make_batch(rng, 24, 1, 3)
    weights = random_weights(rng, "rnn", 2)

    def loss():
        o, _ = problem.forward("rnn", weights, x)
        return -np.sum(target * np.log(o) + (1 - target) * np.log(1 - o)) / 3

    o, states = problem.forward("rnn", weights, x)
    error = problem.output_error(o, target, "cross-entropy")
    grads = problem.backward("rnn", weights, error, states)
    assert problem.worst_relative_error(loss, weights, grads) < 1e-5


def test_the_controls_forward_pass_is_a_plain_recurrent_net():
    rng = np.random.default_rng(4)
    x, _ = problem.make_batch(rng, 24, 1, 2)
    weights = random_weights(rng, "rnn", 2)
    o, _ = problem.forward("rnn", weights, x)
    for net in range(2):
        y = np.zeros(8)
        for pair in x[:, 0, :, 1]:
            y = np.tanh(weights["W"][net] @ [*pair, 1, *y])
        V = weights["V"][net, 0]
        assert o[net, 1] == pytest.approx(1 / (1 + np.exp(-V[0] - V[1:] @ y)), rel=1e-9)


def test_weights_are_as_many_as_the_paper_says_and_start_as_it_says():
    rng = np.random.default_rng(0)
    lstm, rnn = problem.init("lstm", rng, 1), problem.init("rnn", rng, 2)
    assert sum(w[0].size for w in lstm.values()) == 93
    assert sum(w[0].size for w in rnn.values()) == 97
    assert lstm["W"][0, :2, 2].tolist() == [-3, -6]
    lstm["W"][0, :2, 2] = 0
    assert max(np.abs(w).max() for w in lstm.values()) <= 0.1
    recurrent = rnn["W"][1, :, problem.RECURRENT]
    assert recurrent @ recurrent.T == pytest.approx(np.eye(8), abs=1e-6)


def law_of_the_marks(T):
    """Probability of every set of pairs marked with 1, by enumeration; pair 0 keeps its -1."""
    law = collections.Counter()
    for first in range(10):
        rest = [pair for pair in range(T // 2 - 1) if pair != first]
        for second in rest:
            law[frozenset({first, second} - {0})] += 1 / 10 / len(rest)
    return law


@pytest.mark.parametrize("T", [24, 100])
def test_marks_lengths_and_targets_are_as_the_task_says(T):
    rng, law = np.random.default_rng(1), law_of_the_marks(T)
    seen, lengths = collections.Counter(), set()
    assert sum(law.values()) == pytest.approx(1)
    one_term = sum(p for marks, p in law.items() if len(marks) == 1)
    assert one_term == pytest.approx(0.1 + 0.9 / (T // 2 - 2))
    for _ in range(200):
        x, target = problem.make_batch(rng, T, 1, 50)
        lengths.add(len(x))
        for values, markers, wanted in zip(x[:, 0, 0].T, x[:, 0, 1].T, target[0], strict=True):
            marked = frozenset(np.flatnonzero(markers == 1).tolist())
            seen[marked] += 1
            assert markers[0] == markers[-1] == -1
            assert set(np.unique(markers)) == {-1, 0, 1}
            assert wanted == pytest.approx(0.5 + sum(values[i] for i in marked) / 4, abs=1e-6)
    assert lengths == set(range(T, T + T // 10 + 1))
    assert set(seen) <= set(law)
    square = sum((seen[marks] - 10_000 * p) ** 2 / (10_000 * p) for marks, p in law.items())
    assert abs(square - len(law)) < 5 * np.sqrt(2 * len(law))


def test_the_earlier_catalogs_task_marks_one_value_in_each_half():
    x, target = problem.make_batch(np.random.default_rng(0), 40, 1, 200, "v1")
    marked = x[:, 0, 1] == 1
    assert len(x) == 40
    assert (marked[:20].sum(0) == 1).all()
    assert (marked[20:].sum(0) == 1).all()
    assert 4 * target[0] - 2 == pytest.approx((x[:, 0, 0] * marked).sum(0), abs=1e-5)


def test_a_constant_answer_has_the_error_that_the_distribution_gives():
    rng = np.random.default_rng(0)
    targets = [problem.make_batch(rng, 100, 1, 2000)[1][0] for _ in range(5)]
    square = np.mean((np.concatenate(targets) - 0.5) ** 2)
    assert square == pytest.approx(1 / 24 * (1 - 0.12 / 2), rel=0.06)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
def test_error_at_the_output_is_the_gradient_of_the_loss(loss):
    target, sums = np.array([[0.2, 0.97]]), np.array([[0.3, -1.0]])

    def mean_loss(sums):
        o = 1 / (1 + np.exp(-sums))
        cross = -target * np.log(o) - (1 - target) * np.log(1 - o)
        return np.mean(cross if loss == "cross-entropy" else 0.5 * (o - target) ** 2)

    steps = 1e-6 * np.eye(2)
    numeric = [(mean_loss(sums + step) - mean_loss(sums - step)) / 2e-6 for step in steps]
    error = problem.output_error(problem.f(sums), target, loss)
    assert error[0, 0] == pytest.approx(numeric, rel=1e-6)
    assert np.abs(problem.output_error(target, target, loss)).max() == 0


def criterion_after(*errors, in_a_row=2000):
    """A Criterion of one net that has seen these errors; before the i-th, its weights are i."""
    criterion = problem.Criterion(in_a_row, {"W": np.zeros((1, 2))})
    for weight, part in enumerate(errors):
        criterion.add(np.atleast_2d(part), {"W": np.full((1, 2), float(weight))})
    return criterion


def test_criterion_wants_so_many_right_in_a_row_and_a_small_mean():
    assert np.isinf(criterion_after([0.005] * 1999).met_at[0])
    assert criterion_after([0.005] * 1999, [0.005], [0.5]).met_at[0] == 2000
    assert np.isinf(criterion_after([0.005] * 1999, [0.05], [0.005] * 1999).met_at[0])
    assert criterion_after([0.05], [0.005] * 2000).met_at[0] == 2001
    assert np.isinf(criterion_after([0.02] * 1500, [0.02] * 1500, [0.02] * 1500).met_at[0])
    assert np.isinf(criterion_after([0.005] * 2000, in_a_row=2001).met_at[0])
    assert np.isinf(criterion_after(*[[0.0]] * 10, in_a_row=0).met_at[0])


def test_criterion_keeps_the_weights_with_which_it_was_met():
    assert criterion_after([0.005] * 1999, [0.005], [0.5]).best["W"][0, 0] == 1
    assert criterion_after([0.005] * 1000, [0.5], [0.005]).best["W"][0, 0] == 2


def test_what_does_not_apply_is_none_and_an_unmet_criterion_uses_all_sequences():
    metrics = problem.run(problem.Config(T=24, sequences=160, controls=False, in_a_row=0)).metrics
    assert metrics["solved"] is metrics["sequences_2000"] is metrics["wrong_2000"] is None
    assert metrics["sequences"] == 160
    assert problem.run(problem.Config(T=24, sequences=160, controls=False)).metrics["solved"] == 0


def test_the_controls_learn_from_the_sequences_of_the_lstm(monkeypatch):
    streams, make_batch = collections.defaultdict(list), problem.make_batch

    def noted(rng, T, nets, batch, task="paper"):
        x, target = make_batch(rng, T, nets, batch, task)
        streams[id(rng)].append((rng, x))  # the generator is kept so that its id stays its own
        return x, target

    monkeypatch.setattr(problem, "make_batch", noted)
    problem.run(problem.Config(T=24, sequences=100))
    test, lstm, rnn = ([x for _, x in batches] for batches in streams.values())
    assert len(test) == 10
    assert len(lstm) == len(rnn) == 13
    assert all((a == b).all() for a, b in zip(lstm, rnn, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {"online": True},
        {"online": True, "controls": False, "batch": 4},
        {"online": True, "controls": False, "decay": 100},
        {"controls": False, "control_rate": 0.02},
    ],
)
def test_options_without_effect_are_refused(options):
    with pytest.raises(ValueError, match=list(options)[-1] if len(options) > 1 else "controls"):
        problem.Config(**options)


def test_weights_that_overflow_are_an_error_of_one_line():
    weights = problem.init("lstm", np.random.default_rng(0), 1)
    weights["V"][0, 0, 0] = np.inf
    with pytest.raises(FloatingPointError, match="choose a smaller rate"):
        problem.report("lstm", None, 100, weights, {}, None)
