"""Neural data router: the task, first match against enumeration, layers equation by equation."""

import itertools
import math

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("neural-data-router")


def net_of(model="router", seed=1):
    """A net of six units in float64, with every weight away from its special first value."""
    rng = np.random.default_rng(seed)
    net = problem.Net(model, 9, 4, 6, rng, float)
    for weight in net.weights.values():
        weight += rng.normal(0, 0.2, weight.shape)
    return net


def states(net, tokens, layers):
    """Of one input: the state (layers, columns, d) before every layer."""
    return np.stack([h for h, *_ in problem.forward(net, tokens[None], layers)[1][1]])


def task_of(**change):
    config = problem.Config(**change)
    return problem.Task(config, np.random.default_rng(config.seed))


@pytest.mark.parametrize("order", ["forward", "backward"])
@pytest.mark.parametrize("depth", [1, 4])
def test_answers_follow_from_the_tokens(order, depth):
    task = task_of(order=order)
    tokens, answers = task.make_batch(np.random.default_rng(2), 50, depth)
    assert tokens.shape == (50, depth + 3)
    assert (tokens[:, 0] == 19).all() and (tokens[:, -1] == 20).all()
    for row, answer in zip(tokens[:, 1:-1].tolist(), answers, strict=True):
        value, *tables = row if order == "forward" else row[::-1]
        for table in tables:
            value = task.tables[table - 8][value]
        assert value == answer


def test_every_table_is_a_permutation_and_two_are_shown_alone_only():
    task, rng = task_of(), np.random.default_rng(3)
    assert (np.sort(task.tables) == np.arange(8)).all()
    alone, _ = task.make_batch(rng, 1000, 1)
    chained, _ = task.make_batch(rng, 1000, 6)
    assert set(alone[:, 2]) == set(range(8, 19))
    assert set(chained[:, 2:-1].ravel()) == set(range(8, 17))


def test_test_sequences_are_distinct():
    tokens, answers = task_of().make_test(np.random.default_rng(4), 1000, 1)
    assert len(tokens) == len(answers) == len({tuple(row) for row in tokens}) <= 88


def test_the_scan_goes_out_from_the_column_right_before_left():
    assert problem.scan(2, 6) == [3, 1, 4, 0, 5]
    assert problem.scan(0, 4) == [1, 2, 3]
    assert problem.scan(3, 4) == [2, 1, 0]


def logits_of(rng, columns):
    _, _, itself = problem.geometry(columns, float)
    return rng.normal(0, 2, (1, columns, columns)) + itself


def test_attention_is_the_chance_of_being_the_first_match():
    columns, x = 5, logits_of(np.random.default_rng(5), 5)
    P, A = problem.first_match(x, problem.geometry(columns, float)[0])
    np.testing.assert_allclose(P, problem.sigmoid(x), atol=1e-12)
    np.testing.assert_allclose(A[0], problem.plain_first_match(P[0]), atol=1e-12)
    for i in range(columns):
        others, chance = problem.scan(i, columns), np.zeros(columns)
        for coins in itertools.product((0, 1), repeat=len(others)):
            outcome = math.prod(
                P[0, i, j] if coin else 1 - P[0, i, j]
                for j, coin in zip(others, coins, strict=True)
            )
            if any(coins):
                chance[others[coins.index(1)]] += outcome
        np.testing.assert_allclose(A[0, i], chance, atol=1e-12)


def test_attention_stays_sound_at_extreme_logits():
    earlier, _, itself = problem.geometry(4, np.float32)
    _, A = problem.first_match(np.full((1, 4, 4), 800, np.float32) + itself, earlier)
    np.testing.assert_allclose(A[0], np.eye(4)[[1, 2, 3, 2]], atol=1e-12)
    _, A = problem.first_match(np.full((1, 4, 4), -800, np.float32) + itself, earlier)
    assert A.max() == 0


def layer_norm(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def router_layer(w, h):
    """One layer on h (columns, d), column by column."""
    columns, d = h.shape
    q, k, v = h @ w["qkv"][:, :d] + w["c"], h @ w["qkv"][:, d : 2 * d], h @ w["qkv"][:, 2 * d : -2]
    a, b, e = w["scale"]
    P, after = np.zeros((columns, columns)), np.empty_like(h)
    for i in range(columns):
        front, back = h[i] @ w["qkv"][:, -2:]
        for j in problem.scan(i, columns):
            logit = a * q[i] @ k[j] + b * (front if j > i else back) + e
            P[i, j] = 1 / (1 + math.exp(-logit))
    found = problem.plain_first_match(P) @ v @ w["o"]
    for i in range(columns):
        u = layer_norm(h[i] + found[i]) * w["gain1"] + w["shift1"]
        inner = np.maximum(u @ w["inner"] + w["inner_bias"], 0)
        f = layer_norm(inner[: 2 * d] @ w["W2"] + w["W2_bias"]) * w["gain2"] + w["shift2"]
        gate = 1 / (1 + np.exp(-(inner[2 * d :] @ w["G2"] + w["G2_bias"])))
        after[i] = (1 - gate) * h[i] + gate * f
    return after


def plain_layer(w, h):
    """One layer of the plain Transformer."""
    q, k, v = np.split(h @ w["qkv"], 3, axis=1)
    match = np.exp(w["scale"][0] * (q + w["c"]) @ k.T)
    found = match / match.sum(1, keepdims=True) @ v @ w["o"]
    u = np.stack([layer_norm(row) for row in h + found]) * w["gain1"] + w["shift1"]
    step = u + np.maximum(u @ w["inner"] + w["inner_bias"], 0) @ w["W2"] + w["W2_bias"]
    return np.stack([layer_norm(row) for row in step]) * w["gain2"] + w["shift2"]


@pytest.mark.parametrize("model, layer", [("router", router_layer), ("plain", plain_layer)])
def test_layers_follow_the_equations(model, layer):
    net, tokens = net_of(model), np.random.default_rng(6).integers(9, size=7)
    if net.gated:
        net.weights["G2_bias"] += 3  # gates far from shut
    h = states(net, tokens, 4)
    for before, after in itertools.pairwise(h):
        np.testing.assert_allclose(layer(net.weights, before), after, atol=1e-12)


def test_gradients():
    assert problem.gradient_check() < 1e-5
    assert problem.gradient_check(problem.Config(seed=9)) < 1e-5


def test_sequences_of_a_batch_do_not_touch():
    for model in ("router", "no-gate", "plain"):
        net, tokens = net_of(model), np.random.default_rng(8).integers(9, size=(3, 5))
        together, _ = problem.forward(net, tokens, 4)
        alone = [problem.forward(net, row[None], 4)[0][0] for row in tokens]
        np.testing.assert_allclose(together, alone, atol=1e-12)


def test_shut_gates_carry_every_column_on():
    net, tokens = net_of(), np.random.default_rng(9).integers(9, size=(1, 5))
    shut = np.ones((4, 5, 1))
    shut[:, 3] = 0
    (_, kept) = problem.forward(net, tokens, 4, shut)[1]
    np.testing.assert_array_equal(kept[3][0][3], kept[0][0][3])
    assert np.abs(kept[3][0] - kept[0][0]).max(1)[:3].min() > 1e-3
    net.weights["G2_bias"][:] = -60
    h = states(net, tokens[0], 5)
    np.testing.assert_allclose(h[4], h[0], atol=1e-12)


def test_only_the_plain_net_knows_where_a_column_stands():
    tokens = np.array([3, 3, 3])
    for model, same in (("router", True), ("no-gate", True), ("plain", False)):
        first = states(net_of(model), tokens, 1)[0]
        assert (first[0] == first[2]).all() == same


def test_gates_start_nearly_shut():
    net = problem.Net("router", 21, 8, 48, np.random.default_rng(10))
    tokens, _ = task_of().make_batch(np.random.default_rng(11), 64, 5)
    _, (_, kept) = problem.forward(net, tokens, 1)
    assert kept[0][3][2].mean() < 0.1


def test_the_rate_warms_up_and_falls():
    rates = [problem.rate_at(step, 1000) for step in range(1, 1001)]
    assert rates[0] == pytest.approx(1.5e-5) and rates[99] == rates[699] == pytest.approx(1.5e-3)
    assert rates[-1] == pytest.approx(1.5e-4, rel=0.05) and min(rates[100:]) == rates[-1]


def test_accuracy_counts_right_answers_over_parts():
    net, rng = net_of(), np.random.default_rng(12)
    tokens = rng.integers(9, size=(150, 4))
    given = problem.forward(net, tokens, 3)[0].argmax(1)
    answers = np.where(np.arange(150) < 30, (given + 1) % 4, given)
    assert problem.accuracy(net, tokens, answers, 3) == pytest.approx(0.8)


def test_the_small_instance_is_solved_depth_by_depth():
    result = problem.run(problem.Config(**problem.QUICK))
    metrics = result.metrics
    assert metrics["trained_fewer"] > 0.97 and metrics["accuracy_4"] > 0.6
    assert metrics["mastered_1"] < metrics["mastered_2"] < metrics["mastered_3"]
    assert result.history["shown"] == sorted(result.history["shown"])


def test_a_table_must_be_left_for_chains():
    with pytest.raises(ValueError, match="alone must be below tables"):
        problem.Config(tables=2, alone=2)
