"""What only neural-data-router has to keep."""

import numpy as np

from tests.contract import load_script

problem = load_script("neural-data-router")


def test_labels_follow_the_rule():
    x, t = problem.make_batch(np.random.default_rng(0), np.array([1.0, 0.0]), 100, 0.0)
    assert ((x[:, 0] > 0) == t).all()


def test_the_plain_form_is_the_same():
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=2), "b": np.array(0.1)}
    for _ in range(3):
        x, t = problem.make_batch(rng, np.ones(2), 20, 0.1)
        w, b = problem.plain_step(list(weights["w"]), float(weights["b"]), x, t, 0.3)
        problem.update(weights, x, t, 0.3)
        np.testing.assert_allclose([*weights["w"], weights["b"]], [*w, b], rtol=1e-12)


def test_the_small_instance_is_solved():
    assert problem.run(problem.Config(**problem.QUICK)).metrics["accuracy"] > 0.95
