"""The idiom adam: the published algorithm, replicas side by side, the limit of the gradient."""

import numpy as np
import pytest

from catalog.idioms.adam import Adam

SHAPES = {"a": (3, 2), "b": (4,), "c": ()}


class Frozen:
    """The arithmetic under which results were recorded; it must not change by a bit."""

    def __init__(self, weights, rate, beta1=0.9, beta2=0.999, eps=1e-8):
        self.rate, self.beta1, self.beta2, self.eps, self.t = rate, beta1, beta2, eps, 0
        self.mean = {name: np.zeros_like(w) for name, w in weights.items()}
        self.square = {name: np.zeros_like(w) for name, w in weights.items()}

    def step(self, weights, grads):
        self.t += 1
        rate = self.rate * float(np.sqrt(1 - self.beta2**self.t)) / (1 - self.beta1**self.t)
        for name, g in grads.items():
            mean, square = self.mean[name], self.square[name]
            mean += (1 - self.beta1) * (g - mean)
            square += (1 - self.beta2) * (g * g - square)
            weights[name] -= rate * mean / (np.sqrt(square) + self.eps)


def drawn(rng, shapes, kind=np.float64, size=1.0):
    return {name: np.array(size * rng.normal(size=s), kind) for name, s in shapes.items()}


def copied(weights):
    return {name: w.copy() for name, w in weights.items()}


def assert_same_bits(one, other):
    for name, w in one.items():
        assert w.dtype == other[name].dtype and w.tobytes() == other[name].tobytes(), name


def test_adam_follows_the_published_algorithm():
    rng, rate = np.random.default_rng(0), 0.01
    weights = {"a": rng.normal(size=(3, 2)), "b": rng.normal(size=4)}
    mine = copied(weights)
    m, v = ({name: np.zeros_like(w) for name, w in weights.items()} for _ in range(2))
    optimiser = Adam(mine, rate)
    for t in range(1, 6):
        grads = {name: rng.normal(size=w.shape) for name, w in weights.items()}
        optimiser.step(mine, grads)
        for name, g in grads.items():
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.999 * v[name] + 0.001 * g**2
            root = np.sqrt(v[name] / (1 - 0.999**t)) + 1e-8 / np.sqrt(1 - 0.999**t)
            weights[name] = weights[name] - rate * m[name] / (1 - 0.9**t) / root
    for name, w in weights.items():
        np.testing.assert_allclose(mine[name], w, rtol=1e-12)


@pytest.mark.parametrize("kinds", [(np.float64,) * 2, (np.float32,) * 2, (np.float32, np.float64)])
def test_without_options_not_a_bit_has_changed(kinds):
    rng = np.random.default_rng(1)
    weights = drawn(rng, {**SHAPES, "large": (70, 300)}, kinds[0])
    mine, frozen = copied(weights), copied(weights)
    new, old = Adam(mine, 0.01, beta2=0.99), Frozen(frozen, 0.01, beta2=0.99)
    for step in range(20):
        new.rate = old.rate = 0.01 / (1 + step)
        grads = drawn(rng, {name: w.shape for name, w in weights.items()}, kinds[1])
        if step % 3 == 0:
            del grads["b"]
        new.step(mine, grads)
        old.step(frozen, grads)
    assert_same_bits(mine, frozen)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("limit", [None, 1.0])
@pytest.mark.parametrize("rates", [0.01, np.array([0.01, 0.003, 0.1, 0.02, 1.0])])
def test_stacked_is_each_replica_alone(kind, limit, rates):
    rng = np.random.default_rng(2)
    stack = {"a": (5, 7, 90), "b": (5, 4), "c": (5, 1)}
    together = drawn(rng, stack, kind)
    alone = [{name: w[i].copy() for name, w in together.items()} for i in range(5)]
    optimiser = Adam(together, rates, limit=limit, stacked=True)
    single = [Adam(alone[i], float(np.broadcast_to(rates, 5)[i]), limit=limit) for i in range(5)]
    for step in range(10):
        grads = drawn(rng, stack, kind, size=0.1 * step)
        optimiser.step(together, grads)
        for i in range(5):
            single[i].step(alone[i], {name: g[i] for name, g in grads.items()})
    for i in range(5):
        assert_same_bits({name: w[i].copy() for name, w in together.items()}, alone[i])
    assert all(w.dtype == kind for w in together.values())


def test_limit_holds_for_each_replica_over_all_arrays():
    grads = {"a": np.array([[3.0, 0.0], [0.3, 0.0], [0.0, 0.0]]), "b": np.array([4.0, 0.4, 0.0])}
    kept = copied(grads)
    limited = Adam(grads, 0.1, limit=1.0, stacked=True).limited(grads)
    np.testing.assert_allclose(limited["a"], [[0.6, 0], [0.3, 0], [0, 0]], rtol=1e-15)
    np.testing.assert_allclose(limited["b"], [0.8, 0.4, 0], rtol=1e-15)
    for name, g in limited.items():
        assert g[1:].tobytes() == kept[name][1:].tobytes()
    assert_same_bits(grads, kept)
    whole = Adam(grads, 0.1, limit=1.0).limited(grads)
    assert np.sqrt(sum((g**2).sum() for g in whole.values())) == pytest.approx(1)


def test_limit_tells_in_the_step():
    """With eps far above the gradient a step is proportional to it, so that a limit shows."""
    weights, short = ({"a": np.zeros((2, 3))} for _ in range(2))
    grads = {"a": np.array([[8.0, 0, 0], [0.5, 0, 0]])}
    Adam(weights, 1.0, eps=1e9, stacked=True).step(weights, grads)
    Adam(short, 1.0, eps=1e9, stacked=True, limit=2.0).step(short, grads)
    np.testing.assert_allclose(short["a"][:, 0] / weights["a"][:, 0], [0.25, 1], rtol=1e-6)


def test_weights_are_changed_in_place():
    weights = {"a": np.ones(3, np.float32)}
    array = weights["a"]
    Adam(weights, 0.1, limit=1e-3).step(weights, {"a": np.ones(3, np.float32)})
    assert weights["a"] is array and array.dtype == np.float32 and (array < 1).all()
