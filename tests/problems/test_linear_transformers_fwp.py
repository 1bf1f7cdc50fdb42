"""Linear Transformers as fast weight programmers: plain form against fast form, gradients, task."""

import math
import re

import numpy as np
import pytest

from catalog import ROOT
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
    """Weights of a small float64 net."""
    return problem.init_weights(rng, symbols, key_size, np.float64)


def slow_phi(x, features):
    """Feature map of one vector, index by index."""
    if features == "linear":
        return [v + 1 if v > 0 else math.exp(v) for v in x]
    z = [max(v, 0) for v in x] + [max(-v, 0) for v in x]
    return [z[j] * z[j - i] for i in range(1, int(features[-1]) + 1) for j in range(len(z))]


def plain_read(weights, keys, values, query, rule, features):
    """The last read-out of the plain form; softmax attention, which it lacks, spelt out here."""
    if features != "softmax":
        return list(problem.read_one(weights, keys, values, query, rule, features))[-1]
    onehot, e = np.eye(len(weights["E"])), weights["E"]
    q = e[query] @ weights["Wq"] + weights["bq"]
    x = [np.concatenate([onehot[v], e[k]]) for k, v in zip(keys, values, strict=True)]
    raised = np.array([math.exp((row @ weights["Wk"] + weights["bk"]) @ q / 8) for row in x])
    return raised @ onehot[values] / raised.sum()


@pytest.mark.parametrize("setting", [1, 2])
@pytest.mark.parametrize("rule, features", RULES)
def test_training_and_evaluation_read_what_the_plain_form_reads(rule, features, setting):
    rng = np.random.default_rng(0)
    weights = small_net(rng)
    keys, values = problem.make_batch(rng, setting, 6, 6 * setting, 4)
    query, target = problem.ask(rng, keys, values)
    every_keys = np.broadcast_to(keys, values.shape)
    plain = np.array(
        [plain_read(weights, every_keys[b], values[b], query[b], rule, features) for b in range(4)]
    )
    every = problem.read_all(weights, keys, values, rule, features)
    np.testing.assert_allclose(every[np.arange(4), query], plain, atol=1e-12)
    loss, _ = problem.loss_and_grads(weights, keys, values, query, target, rule, features)
    assert loss == pytest.approx(0.5 * ((plain - np.eye(6)[target]) ** 2).sum(1).mean(), abs=1e-12)


@pytest.mark.parametrize("setting", [1, 2])
@pytest.mark.parametrize("rule, features", RULES)
def test_gradients(rule, features, setting):
    rng = np.random.default_rng(1)
    weights = small_net(rng, 4, 3)
    weights = {name: w + rng.normal(0, 0.3, w.shape) for name, w in weights.items()}
    keys, values = problem.make_batch(rng, setting, 4, 4 * setting, 3)
    batch = (keys, values, *problem.ask(rng, keys, values), rule, features)
    grads = problem.loss_and_grads(weights, *batch)[1]
    assert set(grads) >= set(weights) - ({"Wb", "bb"} if rule == "sum" else set())

    def loss():
        return problem.loss_and_grads(weights, *batch)[0]

    assert problem.worst_relative_error(loss, weights, grads) < 1e-5


def test_both_forms_are_the_same_at_every_prefix():
    assert problem.largest_difference(np.random.default_rng(2), 8, length=40) < 1e-12


def test_delta_write_is_a_product_of_matrices():
    """W = sum_t beta_t v_t k_t^T times (1 - beta_s k_s k_s^T) for all later writes s."""
    rng = np.random.default_rng(3)
    k, v, beta = rng.uniform(0, 1, (9, 5)), rng.normal(0, 1, (9, 4)), rng.uniform(0, 1, 9)
    fast, q = np.zeros((4, 5)), rng.normal(0, 1, (2, 5))
    for t in range(9):
        later = np.eye(5)
        for s in range(t + 1, 9):
            later = later @ (np.eye(5) - beta[s] * np.outer(k[s], k[s]))
        fast += beta[t] * np.outer(v[t], k[t]) @ later
    a, _ = problem.delta_attend(k[None], q[None], beta[None])
    np.testing.assert_allclose(a[0] @ v, q @ fast.T, atol=1e-12)


def test_delta_write_replaces_and_strength_zero_does_nothing():
    k = np.tile(np.array([0.6, 0.8]), (1, 2, 1))
    for strengths, shares in (((1, 1), (0, 1)), ((1, 0), (1, 0)), ((1, 0.5), (0.5, 0.5))):
        a, _ = problem.delta_attend(k, k[:, :1], np.array([strengths], float))
        np.testing.assert_allclose(a[0, 0], shares, atol=1e-12)


@pytest.mark.parametrize("features", ["linear", "dpfp-1", "dpfp-2", "dpfp-3"])
def test_feature_maps_index_by_index(features):
    x = np.random.default_rng(5).normal(0, 1, (3, 7))
    phi, _ = problem.feature_map(x, features)
    np.testing.assert_allclose(phi, [slow_phi(row, features) for row in x])
    np.testing.assert_allclose(phi, [problem.phi_one(row, features) for row in x])
    assert (phi >= 0).all()


def test_a_batch_is_worked_off_in_parts_without_losing_any():
    """Nineteen sequences, more than are read at a time: loss and gradients as one by one."""
    rng = np.random.default_rng(6)
    weights = small_net(rng)
    keys, values = problem.make_batch(rng, 2, 6, 12, 19)
    asked = problem.ask(rng, keys, values)
    loss, grads = problem.loss_and_grads(weights, keys, values, *asked, "sum", "dpfp-2")
    ones = [
        problem.loss_and_grads(
            weights, *(part[i : i + 1] for part in (keys, values, *asked)), "sum", "dpfp-2"
        )
        for i in range(19)
    ]
    assert loss == pytest.approx(np.mean([one for one, _ in ones]))
    for name, grad in grads.items():
        mean = np.mean([one[name] for _, one in ones], axis=0)
        np.testing.assert_allclose(grad, mean, atol=1e-12)


def test_setting_1_holds_every_symbol_once_and_setting_2_asks_for_the_last():
    rng = np.random.default_rng(7)
    keys, values = problem.make_batch(rng, 1, 9, 9, 5)
    assert (keys == np.arange(9)).all() and (np.sort(values, 1) == np.arange(9)).all()
    assert len({tuple(row) for row in values}) == 5
    query, target = problem.ask(rng, keys, values)
    assert (target == values[np.arange(5), query]).all()
    keys, values = problem.make_batch(rng, 2, 9, 18, 5)
    assert keys.shape == values.shape == (5, 18)
    right = problem.last_values(keys, values, 9)
    query, target = problem.ask(rng, keys, values)
    for b in range(5):
        last = dict(zip(keys[b], values[b], strict=True))  # a later pair replaces an earlier one
        assert [last.get(key, -1) for key in range(9)] == list(right[b])
        assert target[b] == last[query[b]]


def test_sum_by_symbol_against_a_loop():
    rng = np.random.default_rng(8)
    rows = rng.normal(size=(5, 6, 3))
    once = rng.permuted(np.tile(np.arange(6), (5, 1)), axis=1)
    for ids in (rng.choice([0, 2, 3], (5, 6)), once, np.arange(6)[None]):
        spread = np.broadcast_to(ids, (5, 6))
        wanted = [rows[spread == symbol].sum(0) for symbol in range(6)]
        np.testing.assert_allclose(problem.sum_by_symbol(rows, ids, 6), wanted)


def test_the_best_a_sum_can_do_is_an_even_mix():
    """A perfect memory is right on keys that come once; n values of a key cost 1/2 (1 - 1/n)."""
    rng = np.random.default_rng(9)
    weights = {name: w * 0 for name, w in small_net(rng, 6, 40).items()}
    weights["E"][:, :6] = np.eye(6) * 60
    for name, rows in (("Wk", slice(6, 12)), ("Wq", slice(0, 6))):
        weights[name][rows, :6] = np.eye(6)
    assert problem.evaluate(rng, weights, (1, "sum", "softmax", 6)) < 1e-12
    keys, values = np.array([[0, 1, 0, 0, 2]]), np.array([[1, 2, 3, 4, 5]])
    y = problem.read_all(weights, keys, values, "sum", "softmax")[0]
    losses = 0.5 * ((y[:3] - np.eye(6)[[4, 2, 5]]) ** 2).sum(1)
    np.testing.assert_allclose(losses, [0.5 * (1 - 1 / 3), 0, 0], atol=1e-9)


@pytest.mark.parametrize("symbols, first_bad, wanted", [(40, 32, 0.25), (300, 200, 0), (40, 0, 1)])
def test_evaluation_is_a_mean_of_means_over_groups_of_keys(monkeypatch, symbols, first_bad, wanted):
    """Of 40 keys the last 8 weigh half; keys from 200 on are not asked; 1: all read-outs empty."""

    def memory(weights, keys, values, rule, features):
        y = np.eye(symbols)[problem.last_values(keys, values, symbols)]
        y[:, first_bad:] = 0
        return y

    monkeypatch.setattr(problem, "read_all", memory)
    loss = problem.evaluate(np.random.default_rng(0), None, (1, "sum", "linear", symbols))
    assert loss == pytest.approx(wanted * (1 if wanted < 1 else 0.5))


def test_more_keys_than_dimensions_cannot_all_be_right():
    """With p = 2 features and 6 keys the read-outs have rank 2, so that the loss has a floor."""
    rng = np.random.default_rng(10)
    weights = small_net(rng, 6, 2)
    keys, values = problem.make_batch(rng, 1, 6, 6, 4)
    y = problem.read_all(weights, keys, values, "sum", "linear")
    assert max(np.linalg.matrix_rank(row, tol=1e-9) for row in y) <= 2
    assert problem.evaluate(rng, weights, (1, "sum", "linear", 6)) >= 0.5 * (6 - 2) / 6


def test_training_stops_at_the_goal_and_when_nothing_improves():
    config = problem.Config(key_size=16, batch=8, steps=3000, every=50, goal=0.01)
    losses, _ = problem.train(np.random.default_rng(0), (1, "sum", "softmax", 3), config)
    assert losses[-1] <= 0.01 and all(loss > 0.01 for loss in losses[:-1])
    config = problem.Config(key_size=2, batch=4, steps=5000, every=10, patience=3)
    losses, _ = problem.train(np.random.default_rng(0), (1, "sum", "linear", 12), config)
    assert len(losses) < 500 and min(losses) == losses[-4] < min(losses[-3:])


def test_softmax_has_no_delta_rule():
    with pytest.raises(ValueError, match="rule must be sum"):
        problem.Config(conditions="one", features="softmax", rule="delta")


def test_a_small_delta_net_learns_to_update():
    config = problem.Config()
    losses, _ = problem.train(np.random.default_rng(1), (2, "delta", "dpfp-1", 10), config)
    assert losses[-1] <= config.goal and len(losses) <= 15


def test_readme_s_worked_example():
    """Keys a, b at right angles, outer products: the table of the README."""
    text = (ROOT / "linear-transformers-fwp" / "README.md").read_text(encoding="utf-8")
    key, value = np.eye(2), np.eye(3)
    added, corrected = np.zeros((3, 2)), np.zeros((3, 2))
    for letter, number in (("a", 0), ("b", 1), ("a", 2)):
        k, v = key["ab".index(letter)], value[number]
        added += np.outer(v, k)
        corrected += 0.8 * np.outer(v - corrected @ k, k)
        shown = [added[:, 0] / added[:, 0].sum(), corrected[:, 0]]
        cells = [" ".join(f"{x:.2f}" for x in row) for row in shown]
        assert re.search(rf"^\| {letter} → {number + 1} \| {cells[0]} \| {cells[1]} \|", text, re.M)
