"""Highway networks: a layer by the paper's equation, gradients, carrying, and lesions."""

import math

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("highway-networks")


def net_of(kind, depth=4, seed=1, **setting):
    return problem.Net(
        kind, depth, problem.Setting(0.1, 1.0, **setting), np.random.default_rng(seed), float
    )


def test_a_highway_layer_is_equation_3_unit_by_unit():
    net, x = net_of("highway", gate_bias=-0.5), np.random.default_rng(2).normal(size=(50, 3))
    y, _ = net.layer(1, x)
    W, b = net.weights["W"][1], net.weights["b"][1, :, 0]
    for image in range(3):
        for unit in range(50):
            H = math.tanh(sum(W[unit] * x[:, image]) + b[unit])
            T = 1 / (1 + math.exp(-sum(W[50 + unit] * x[:, image]) - b[50 + unit]))
            assert y[unit, image] == pytest.approx(H * T + x[unit, image] * (1 - T), abs=1e-12)


def test_a_plain_layer_squashes_its_sums():
    for relu, f in ((False, np.tanh), (True, lambda z: np.where(z > 0, z, 0))):
        net, x = net_of("plain", relu=relu), np.random.default_rng(3).normal(size=(71, 3))
        np.testing.assert_allclose(net.layer(0, x)[0], f(net.weights["W"][0] @ x), atol=1e-14)


def test_gradients():
    assert problem.gradient_check() < 1e-5


def test_gradients_with_relu():
    rng = np.random.default_rng(4)
    for kind in problem.UNITS:
        net = net_of(kind, relu=True, gate_bias=-1.0)
        x, labels = rng.normal(0, 0.3, (784, 7)), rng.integers(0, 10, 7)
        _, e = problem.cross_entropy(net.forward(x), labels)
        net.backward(x, e)

        def loss(net=net, x=x, labels=labels):
            return problem.cross_entropy(net.forward(x), labels)[0]

        assert problem.worst_relative_error(loss, net.weights, net.grads) < 1e-5


def test_both_kinds_have_about_as_many_weights():
    highway, plain = (net_of(kind, 50).weights["W"].size for kind in ("highway", "plain"))
    assert highway / plain == pytest.approx(1, abs=0.02)


def test_initial_weights_are_normalised():
    net = problem.Net("plain", 30, problem.Setting(0.1, 1.0), np.random.default_rng(5), float)
    assert net.weights["W"].std() == pytest.approx(math.sqrt(2 / 142), rel=0.02)
    relu = problem.Net(
        "highway", 30, problem.Setting(0.1, 1.0, relu=True), np.random.default_rng(5)
    )
    assert relu.weights["W"].std() == pytest.approx(math.sqrt(2 / 50), rel=0.02)
    assert (relu.weights["b"][:, :50] == 0).all() and (relu.weights["b"][:, 50:] == -2).all()


def test_closed_gates_carry_the_input_through_all_layers():
    net = net_of("highway", 20, gate_bias=-40.0)
    x = np.random.default_rng(6).normal(size=(784, 5))
    net.forward(x)
    np.testing.assert_allclose(net.y[-1], net.y[0], atol=1e-12)


def test_a_lesion_is_a_net_without_the_layer():
    net = net_of("highway", 5, gate_bias=1.0)
    rng = np.random.default_rng(7)
    x, labels = rng.normal(size=(784, 200)), rng.integers(0, 10, 200)
    lost, whole = problem.lesions(net, (x, labels)), problem.correct(net, (x, labels))
    assert len(lost) == 4
    for layer in range(4):
        without = problem.correct(net, (x, labels), (layer,))
        assert whole - lost[layer] == pytest.approx(without)
        small = net_of("highway", 4)
        keep = [other for other in range(4) if other != layer]
        for name, array in net.weights.items():
            small.weights[name][:] = array[keep] if name in ("W", "b") else array
        assert problem.correct(small, (x, labels)) == pytest.approx(without)


def test_cross_entropy_by_its_definition():
    rng = np.random.default_rng(8)
    logits, labels = rng.normal(0, 2, (10, 6)), rng.integers(0, 10, 6)
    p = np.exp(logits) / np.exp(logits).sum(0)
    loss, e = problem.cross_entropy(logits, labels)
    assert loss == pytest.approx(-np.log(p[labels, range(6)]).mean())
    np.testing.assert_allclose(e, (p - np.eye(10)[labels].T) / 6, atol=1e-14)


def test_the_small_instance_is_solved_sooner_by_the_highway_net():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["highway_10_loss"] < 0.05 and metrics["highway_10_test"] > 90
    assert metrics["plain_10_loss"] > metrics["highway_10_loss"]


def test_a_search_needs_a_hundred_layers():
    with pytest.raises(ValueError, match="depth must be 100"):
        problem.Config(settings=3)
    small = problem.Config(depth=100, settings=1, epochs=1, images=500)
    assert set(problem.run(small).metrics) == {
        "search_highway",
        "search_plain",
        "search_ratio",
    }
