"""Neural data router: the task, first match against enumeration, the layer in plain form."""

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
    net.flat += rng.normal(0, 0.2, net.flat.shape)
    if net.gated:
        net.weights["gate_bias"] += 3
    return net


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


def test_attention_is_the_chance_of_being_the_first_match():
    columns, rng = 5, np.random.default_rng(5)
    room = problem.Room(net_of(), 1, columns, 1)
    logits = rng.normal(0, 2, (1, columns, columns)) + room.itself
    P, A = logits.copy(), np.empty_like(logits)
    problem.first_match(P, A, room)
    np.testing.assert_allclose(P, problem.sigmoid(logits), atol=1e-12)
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
    room = problem.Room(net_of(), 1, 4, 1)
    P, A = np.full((1, 4, 4), 800.0) + room.itself, np.empty((1, 4, 4))
    problem.first_match(P, A, room)
    np.testing.assert_allclose(A[0], np.eye(4)[[1, 2, 3, 2]], atol=1e-12)
    P[:] = -800
    problem.first_match(P, A, room)
    assert A.max() < 1e-300


def test_three_layers_are_the_plain_form():
    net, rng = net_of(), np.random.default_rng(6)
    h, room = rng.normal(size=(2, 7, 6)), problem.Room(net, 2, 7, 3)
    problem.forward(net, room, h, 3)
    for sequence in range(2):
        state = h[sequence]
        for _ in range(3):
            state = problem.plain_layer(net.weights, state)
        np.testing.assert_allclose(room.h[3].reshape(2, 7, 6)[sequence], state, atol=1e-12)


def test_a_layer_of_the_plain_transformer():
    net, h = net_of("plain"), np.random.default_rng(7).normal(size=(4, 6))
    w, room = net.weights, problem.Room(net, 1, 4, 1)
    problem.forward(net, room, h[None], 1)
    q, k, v = np.split(h @ w["qkv"], 3, axis=1)
    match = np.exp(w["scale"][0] * (q + w["c"]) @ k.T)
    found = match / match.sum(1, keepdims=True) @ v @ w["o"]
    u = np.stack([problem.layer_norm(row) for row in h + found]) * w["gain1"] + w["bias1"]
    step = u + np.maximum(u @ w["inner"] + w["inner_bias"], 0) @ w["W2"] + w["b2"]
    after = np.stack([problem.layer_norm(row) for row in step]) * w["gain2"] + w["bias2"]
    np.testing.assert_allclose(room.h[1], after, atol=1e-12)


def test_gradients():
    assert problem.gradient_check() < 1e-5
    assert problem.gradient_check(problem.Config(seed=9)) < 1e-5


def test_a_room_of_one_slot_gives_the_same_answers():
    for model in ("router", "no-gate", "plain"):
        net, tokens = net_of(model), np.random.default_rng(8).integers(9, size=(3, 5))
        both = [
            problem.forward(net, problem.Room(net, 3, 5, slots), net.first_state(tokens), 6)
            for slots in (1, 6)
        ]
        np.testing.assert_array_equal(*both)


def test_shut_gates_carry_every_column_on():
    net, h = net_of(), np.random.default_rng(9).normal(size=(2, 5, 6))
    room, shut = problem.Room(net, 2, 5, 4), np.ones((4, 10, 1))
    shut[:, 3] = 0
    problem.forward(net, room, h, 4, shut)
    np.testing.assert_array_equal(room.h[4][3], h.reshape(10, 6)[3])
    assert np.abs(room.h[4] - room.h[0]).max(1)[:3].min() > 1e-3
    net.weights["gate_bias"][:] = -60
    problem.forward(net, room, h, 4)
    np.testing.assert_allclose(room.h[4], room.h[0], atol=1e-12)


def test_only_the_plain_net_knows_where_a_column_stands():
    tokens = np.array([[3, 3, 3]])
    for model, same in (("router", True), ("no-gate", True), ("plain", False)):
        first = net_of(model).first_state(tokens)[0]
        assert (first[0] == first[2]).all() == same


def test_gates_start_nearly_shut():
    net = problem.Net("router", 21, 8, 48, np.random.default_rng(10))
    tokens, _ = task_of().make_batch(np.random.default_rng(11), 1, 5)
    gates, attention, _ = problem.trace(net, tokens[0], 14)
    assert gates.shape == (14, 8) and attention.shape == (14, 8, 8)
    assert gates[0].max() < 0.2


def test_depth_grows_when_the_deepest_is_answered():
    growth, rng = problem.Growth(3), np.random.default_rng(12)
    for step in range(1, 23):
        growth.note(step, 1, 1.0)
    assert growth.shown == 2 and growth.mastered == {1: 22}
    for step in range(23, 60):
        growth.note(step, 1, 1.0)  # not the deepest: tells nothing
    assert growth.shown == 2
    draws = [growth.draw(rng) for _ in range(400)]
    assert {depth for depth, _ in draws} == {1, 2}
    assert {layers - depth for depth, layers in draws} == {2, 3, 4, 5, 6, 7}


def test_the_rate_warms_up_and_falls():
    rates = [problem.rate_at(step, 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(1.5e-5) and rates[99] == rates[699] == pytest.approx(1.5e-3)
    assert rates[-1] == pytest.approx(1.5e-4, rel=0.05) and min(rates[100:]) == rates[-1]


def test_the_small_instance_is_solved():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["trained"] > 0.98 and metrics["mastered_3"]
    assert metrics["accuracy_4"] > 0.6


def test_a_table_must_be_left_for_chains():
    with pytest.raises(ValueError, match="alone must be below tables"):
        problem.Config(tables=2, alone=2)
