"""Linear Transformers as fast weight programmers: the forms against each other, gradients, feature
maps, the task."""

import math

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("linear-transformers-fwp")
RULES = [
    ("sum", "linear"),
    ("sum", "dpfp-1"),
    ("sum", "dpfp-3"),
    ("sum", "softmax"),
    ("delta", "linear"),
    ("delta", "dpfp-2"),
]


def small_net(rng, symbols=6, key_size=5):
    """Weights of a small float64 net, none of them at its special starting value."""
    weights = problem.init_weights(rng, symbols, key_size, np.float64)
    return {name: w + rng.normal(0, 0.3, w.shape) for name, w in weights.items()}


def slow_phi(x, features):
    """Feature map of one vector, index by index."""
    if features == "softmax":
        return list(x)
    if features == "linear":
        return [v + 1 if v > 0 else math.exp(v) for v in x]
    z = [max(v, 0) for v in x] + [max(-v, 0) for v in x]
    return [z[j] * z[j - i] for i in range(1, int(features[-1]) + 1) for j in range(len(z))]


def slow_read(weights, keys, values, query, rule, features):
    """Read-out of one sequence after the paper's equations, pair by pair, with x_t spelt out."""
    symbols = len(weights["E"])
    onehot = np.eye(symbols)
    q = np.array(slow_phi(weights["E"][query] @ weights["Wq"] + weights["bq"], features))
    if features == "softmax":
        x = [
            np.concatenate([onehot[v], weights["E"][k]]) for k, v in zip(keys, values, strict=True)
        ]
        raised = np.array([math.exp((row @ weights["Wk"] + weights["bk"]) @ q / 8) for row in x])
        return raised @ onehot[values] / raised.sum()
    fast, z = np.zeros((symbols, len(q))), np.zeros(len(q))
    for key, value in zip(keys, values, strict=True):
        x = np.concatenate([onehot[value], weights["E"][key]])
        phi = np.array(slow_phi(x @ weights["Wk"] + weights["bk"], features))
        if rule == "delta":
            phi = phi / phi.sum()
            beta = 1 / (1 + math.exp(-(x @ weights["Wb"] + weights["bb"])[0]))
            old = fast @ phi
            fast += beta * np.outer(onehot[value] - old, phi)
        else:
            fast += np.outer(onehot[value], phi)
            z += phi
    return fast @ q / q.sum() if rule == "delta" else fast @ q / (z @ q + 1e-6)


@pytest.mark.parametrize("rule, features", RULES)
def test_training_form_and_fast_weights_agree_with_the_paper_s_equations(rule, features):
    rng = np.random.default_rng(0)
    weights = small_net(rng)
    keys, values = problem.make_batch(rng, 2, 6, 2, 4)
    all_read = problem.read_all(weights, keys, values, rule, features)
    query = keys[:, 2]
    target = problem.answers(keys, values, 6)[np.arange(4), query]
    slow = np.array(
        [slow_read(weights, keys[b], values[b], query[b], rule, features) for b in range(4)]
    )
    np.testing.assert_allclose(all_read[np.arange(4), query], slow, atol=1e-12)
    loss, _ = problem.loss_and_grads(weights, keys, values, query, target, rule, features)
    assert loss == pytest.approx(0.5 * ((slow - np.eye(6)[target]) ** 2).sum(1).mean(), abs=1e-12)


@pytest.mark.parametrize("rule, features", RULES)
def test_gradients(rule, features):
    rng = np.random.default_rng(1)
    weights = small_net(rng, 4, 3)
    keys, values = problem.make_batch(rng, 2, 4, 2, 3)
    batch = (
        keys,
        values,
        keys[:, -2],
        problem.answers(keys, values, 4)[np.arange(3), keys[:, -2]],
        rule,
        features,
    )
    grads = problem.loss_and_grads(weights, *batch)[1]
    assert set(grads) >= set(weights) - ({"Wb", "bb"} if rule == "sum" else set())
    assert (
        problem.worst_relative_error(
            lambda: problem.loss_and_grads(weights, *batch)[0], weights, grads
        )
        < 1e-5
    )


def test_all_forms_are_the_same_at_every_prefix():
    assert problem.largest_difference(np.random.default_rng(2), length=60) < 1e-12


def test_delta_write_is_a_product_of_matrices():
    rng = np.random.default_rng(3)
    k, v, beta = (
        rng.uniform(0, 1, (1, 9, 5)),
        rng.normal(0, 1, (1, 9, 4)),
        rng.uniform(0, 1, (1, 9)),
    )
    wanted = np.zeros((4, 5))
    for t in range(9):
        later = np.eye(5)
        for s in range(t + 1, 9):
            later = later @ (np.eye(5) - beta[0, s] * np.outer(k[0, s], k[0, s]))
        wanted += beta[0, t] * np.outer(v[0, t], k[0, t]) @ later
    np.testing.assert_allclose(problem.write_delta(k, v, beta)[0], wanted, atol=1e-12)


def test_triangular_solves_against_the_general_solver():
    rng = np.random.default_rng(4)
    below, right = np.tril(rng.normal(0, 0.3, (3, 12, 12)), -1), rng.normal(size=(3, 12))
    system = np.eye(12) + below
    forwards, backwards = (
        problem.solve_forwards(below, right),
        problem.solve_backwards(below, right),
    )
    np.testing.assert_allclose(
        forwards, np.linalg.solve(system, right[..., None])[..., 0], atol=1e-12
    )
    np.testing.assert_allclose(
        backwards, np.linalg.solve(system.swapaxes(1, 2), right[..., None])[..., 0], atol=1e-12
    )


def test_delta_write_replaces_and_strength_zero_does_nothing():
    k = np.tile(np.array([0.6, 0.8]), (1, 2, 1))
    v = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    np.testing.assert_allclose(
        problem.write_delta(k, v, np.ones((1, 2)))[0] @ k[0, 0], [0, 1], atol=1e-12
    )
    np.testing.assert_allclose(
        problem.write_delta(k, v, np.array([[1.0, 0.0]]))[0] @ k[0, 0], [1, 0], atol=1e-12
    )


@pytest.mark.parametrize("features", ["linear", "dpfp-1", "dpfp-2", "dpfp-3"])
def test_feature_map_index_by_index(features):
    x = np.random.default_rng(5).normal(0, 1, (3, 7))
    phi, _ = problem.feature_map(x, features)
    np.testing.assert_allclose(phi, [slow_phi(row, features) for row in x])
    assert (phi >= 0).all() and phi.shape[1] == {"linear": 7}.get(
        features, 14 * int(features[-1] if "-" in features else 0)
    )


def test_a_batch_is_worked_off_in_parts_without_losing_any():
    """Nineteen sequences, more than are read at a time: the same mean loss and gradients as one by
    one."""
    rng = np.random.default_rng(6)
    weights = small_net(rng)
    keys, values = problem.make_batch(rng, 1, 6, 1, 19)
    target = values[:, 0]
    loss, grads = problem.loss_and_grads(weights, keys, values, keys[:, 0], target, "sum", "dpfp-2")
    ones = [
        problem.loss_and_grads(
            weights,
            *(part[i : i + 1] for part in (keys, values, keys[:, 0], target)),
            "sum",
            "dpfp-2",
        )
        for i in range(19)
    ]
    assert loss == pytest.approx(np.mean([one for one, _ in ones]))
    for name, grad in grads.items():
        np.testing.assert_allclose(
            grad, np.mean([one[name] for _, one in ones], axis=0), atol=1e-12
        )


def test_setting_1_holds_every_symbol_once_and_setting_2_asks_for_the_last():
    rng = np.random.default_rng(7)
    keys, values = problem.make_batch(rng, 1, 9, 1, 5)
    assert (np.sort(keys, 1) == np.arange(9)).all() and (np.sort(values, 1) == np.arange(9)).all()
    keys, values = problem.make_batch(rng, 2, 9, 2, 5)
    assert keys.shape == (5, 18)
    right = problem.answers(keys, values, 9)
    for b in range(5):
        last = dict(zip(keys[b], values[b], strict=True))  # a later pair replaces an earlier one
        assert [last.get(key, -1) for key in range(9)] == list(right[b])


def test_sum_by_symbol_against_a_loop():
    rng = np.random.default_rng(8)
    rows, ids = rng.normal(size=(30, 3)), rng.choice([0, 2, 3], 30)
    wanted = np.array([rows[ids == symbol].sum(0) for symbol in range(5)])
    np.testing.assert_allclose(problem.sum_by_symbol(rows, ids, 5), wanted)


def test_a_perfect_memory_scores_zero_and_an_even_mix_what_the_closed_form_says():
    """The best a sum can do in setting 2: every occurrence counts alike, loss 1/2 (1 - 1/n) for a
    key that came n times."""
    rng = np.random.default_rng(9)
    weights = {name: w * 0 for name, w in problem.init_weights(rng, 6, 40, np.float64).items()}
    weights["E"][:, :6] = np.eye(6) * 60
    for name, rows in (("Wk", slice(6, 12)), ("Wq", slice(0, 6))):
        weights[name][rows, :6] = np.eye(6)
    keys, values = problem.make_batch(rng, 1, 6, 1, 3)
    assert problem.evaluate(weights, keys, values, "sum", "softmax") < 1e-12
    keys, values = np.array([[0, 1, 0, 0, 2]]), np.array([[1, 2, 3, 4, 5]])
    wanted = (0.5 * (1 - 1 / 3) + 0 + 0) / 3
    assert problem.evaluate(weights, keys, values, "sum", "softmax") == pytest.approx(
        wanted, abs=1e-9
    )


def test_more_keys_than_dimensions_cannot_all_be_right():
    """Whatever the net: with p = 2 features and 6 keys the read-outs have rank 2, so the loss has a
    floor."""
    rng = np.random.default_rng(10)
    weights = problem.init_weights(rng, 6, 2, np.float64)
    keys, values = problem.make_batch(rng, 1, 6, 1, 4)
    y = problem.read_all(weights, keys, values, "sum", "linear")
    assert max(np.linalg.matrix_rank(row, tol=1e-9) for row in y) <= 2
    assert problem.evaluate(weights, keys, values, "sum", "linear") >= 0.5 * (6 - 2) / 6


def test_training_stops_at_the_goal_and_when_nothing_improves():
    config = problem.Config(
        conditions="one", symbols=3, key_size=16, batch=8, steps=3000, every=50, goal=0.01
    )
    curve, _ = problem.train(np.random.default_rng(0), (1, "sum", "softmax", 3, 1), config, None)
    assert curve[-1][1] <= 0.01 and all(loss > 0.01 for _, loss in curve[:-1])
    config = problem.Config(
        conditions="one", symbols=12, key_size=2, batch=4, steps=5000, every=10, patience=3
    )
    curve, _ = problem.train(np.random.default_rng(0), (1, "sum", "linear", 12, 1), config, None)
    losses = [loss for _, loss in curve]
    assert len(curve) < 500 and min(losses) == losses[-4] < min(losses[-3:])


def test_softmax_has_no_delta_rule():
    with pytest.raises(ValueError, match="rule must be sum"):
        problem.Config(features="softmax", rule="delta")
