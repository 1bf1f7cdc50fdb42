"""Adding problem: the sequences against the task's text, the truncated gradient against a slow per-step reference."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("adding-problem")


def sigm(x):
    return 1 / (1 + np.exp(-x))


def slow_lstm(W, V, x, target):
    """One sequence x (time, 2), step by step as in the paper: output, and the truncated gradient of (o - target)^2 / 2.

    Carries ds/dW forward in time for every cell, y(t-1) taken as given, and uses it when the error arrives at the end.
    """
    y, s, ds = np.zeros(8), np.zeros(4), np.zeros((4, 8, 11))
    for pair in x:
        u = np.array([*pair, 1.0, *y])
        net = W @ u
        gate_in, gate_out, g = sigm(net[:2]), sigm(net[2:4]), 4 * sigm(net[4:]) - 2
        for c in range(4):
            b = c // 2
            s[c] += gate_in[b] * g[c]
            ds[c, b] += g[c] * gate_in[b] * (1 - gate_in[b]) * u
            ds[c, 4 + c] += gate_in[b] * 4 * sigm(net[4 + c]) * (1 - sigm(net[4 + c])) * u
        h = 2 * sigm(s) - 1
        y_cells = np.array([gate_out[c // 2] * h[c] for c in range(4)])
        y = np.array([*gate_in, *gate_out, *y_cells])
    o = sigm(V[0] + V[1:] @ y_cells)
    e = (o - target) * o * (1 - o)
    dW, dV = np.zeros_like(W), e * np.array([1.0, *y_cells])
    for c in range(4):
        b = c // 2
        dW[2 + b] += e * V[1 + c] * h[c] * gate_out[b] * (1 - gate_out[b]) * u
        dW += e * V[1 + c] * gate_out[b] * 2 * sigm(s[c]) * (1 - sigm(s[c])) * ds[c]
    return o, dW, dV


@pytest.mark.parametrize("nets", [1, 3])
def test_truncated_gradient_agrees_with_a_slow_reference(nets):
    rng = np.random.default_rng(nets)
    x, target = problem.make_batch(rng, 30, nets, 4)
    x = x.astype(float)
    weights = {name: rng.normal(0, 0.5, w.shape) for name, w in problem.init_lstm(rng, nets).items()}
    o, kept = problem.lstm_forward(weights, x)
    grads = problem.lstm_backward(weights, x, o, kept, target)
    for net in range(nets):
        slow = [slow_lstm(weights["W"][net], weights["V"][net, 0], x[:, net, :, i], target[net, i]) for i in range(4)]
        assert o[net] == pytest.approx([outcome[0] for outcome in slow], rel=1e-12)
        assert grads["W"][net] == pytest.approx(np.mean([outcome[1] for outcome in slow], axis=0), rel=1e-9, abs=1e-14)
        assert grads["V"][net, 0] == pytest.approx(np.mean([outcome[2] for outcome in slow], axis=0), rel=1e-9, abs=1e-14)


def test_single_precision_gives_the_same_outputs():
    rng = np.random.default_rng(0)
    x, _ = problem.make_batch(rng, 100, 1, 16)
    weights = {name: rng.normal(0, 0.5, w.shape) for name, w in problem.init_lstm(rng, 1).items()}
    exact, _ = problem.lstm_forward(weights, x.astype(float))
    single, kept = problem.lstm_forward({name: w.astype(np.float32) for name, w in weights.items()}, x)
    assert kept[0].dtype == np.float32
    assert single == pytest.approx(exact, abs=1e-4)


def test_gradients_agree_with_central_differences():
    assert problem.gradient_check() < 1e-6


def test_weights_are_as_many_as_the_paper_says():
    rng = np.random.default_rng(0)
    assert sum(w[0].size for w in problem.init_lstm(rng, 1).values()) == 93
    assert sum(w[0].size for w in problem.init_rnn(rng).values()) == 97


@pytest.mark.parametrize("T", [24, 100])
def test_sequences_are_as_the_task_says(T):
    rng, lengths, one_term = np.random.default_rng(1), set(), 0
    firsts = []
    for _ in range(60):
        x, target = problem.make_batch(rng, T, 1, 50)
        lengths.add(len(x))
        for values, markers, wanted in zip(x[:, 0, 0].T, x[:, 0, 1].T, target[0], strict=True):
            marked = [i for i in range(len(x)) if markers[i] == 1]
            assert markers[0] == markers[-1] == -1
            assert set(np.unique(markers)) <= {-1, 0, 1}
            assert max(marked) <= T // 2 - 2  # the least lag is the experiment
            assert min(marked) < 10
            assert len(marked) in (1, 2)
            assert wanted == pytest.approx(0.5 + sum(values[i] for i in marked) / 4, abs=1e-6)
            assert 0 <= wanted <= 1
            one_term += len(marked) == 1
            firsts.append(min(marked))
    assert lengths == set(range(T, T + T // 10 + 1)) or len(lengths) > 8
    share = 1 / 10 + 9 / 10 / (T // 2 - 2)
    assert one_term / 3000 == pytest.approx(share, abs=0.03)
    assert set(firsts) == set(range(1, 10)) | ({x for x in firsts if x >= 10})


def test_the_earlier_catalogs_task_marks_one_value_in_each_half():
    x, target = problem.make_batch(np.random.default_rng(0), 40, 1, 200, "v1")
    marked = x[:, 0, 1] == 1
    assert len(x) == 40
    assert (marked[:20].sum(0) == 1).all()
    assert (marked[20:].sum(0) == 1).all()
    assert 4 * target[0] - 2 == pytest.approx((x[:, 0, 0] * marked).sum(0), abs=1e-5)


def test_criterion_wants_two_thousand_right_in_a_row_and_a_small_mean():
    criterion = problem.Criterion(1)
    criterion.add(np.full((1, 1500), 0.005))
    assert not criterion.add(np.full((1, 499), 0.005))[0]
    assert criterion.add(np.full((1, 1), 0.005))[0]
    assert criterion.met_at[0] == 2000
    assert not criterion.add(np.array([[0.05]]))[0]
    assert not criterion.add(np.full((1, 1999), 0.005))[0]
    assert criterion.add(np.full((1, 1), 0.005))[0]
    assert criterion.met_at[0] == 2000
    careless = problem.Criterion(1)
    assert not careless.add(np.full((1, 5000), 0.02))[0]


def test_a_constant_answer_has_the_error_that_the_distribution_gives():
    rng = np.random.default_rng(0)
    targets = np.concatenate([problem.make_batch(rng, 100, 1, 2000)[1][0] for _ in range(5)])
    assert np.mean((targets - 0.5) ** 2) == pytest.approx(1 / 24 * (1 - 0.12 / 2), rel=0.06)
