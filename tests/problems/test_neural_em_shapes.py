"""Neural EM: images, the plain step, gradients, and the adjusted score against sampling."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("neural-em-shapes")


def test_shapes_have_their_pixels():
    square, up, down = problem.shapes_of(28)
    assert [shape.sum() for shape in (square, up, down)] == [40, 48, 48]
    assert square.shape == (7, 7) and not square[2:5, 2:5].any()
    assert up.shape == (7, 12) and (up == up[:, ::-1]).all() and (down == up[::-1]).all()


def test_images_are_unions_and_overlap_has_no_owner():
    x, owner = problem.make_images(np.random.default_rng(1), 300, 28)
    assert set(np.unique(x)) == {0, 1} and (x[owner >= 0] == 1).all()
    assert set(np.unique(owner)) == {-1, 0, 1, 2}
    for image, own in zip(x, owner, strict=True):
        counts = [(own == k).sum() for k in range(3)]
        if (own >= 0).sum() == image.sum():
            assert all(count in (40, 48) for count in counts)
    clear = ((owner >= 0).sum(1) == x.sum(1)).mean()
    assert 0.15 < clear < 0.4


def test_a_step_is_the_plain_step():
    rng = np.random.default_rng(2)
    w = {name: 2 * array for name, array in problem.init(rng, "rnnem", 30, 6, float).items()}
    x = (rng.random((2, 30)) < 0.3).astype(float)
    trace = problem.unroll(w, x, np.random.default_rng(3), 3, 3)
    for image in range(2):
        first = trace[0]
        gamma = list(first["gamma_before"][image])
        psi, h = [np.zeros(30)] * 3, [np.zeros(6)] * 3
        for now in trace:
            noisy = now["gap"][image, 0] + psi[0]
            gamma, psi, h = problem.plain_step(w, x[image], noisy, gamma, psi, h)
            np.testing.assert_allclose(now["gamma"][image], gamma, atol=1e-10)
            np.testing.assert_allclose(now["h"][image], h, atol=1e-10)


def test_gamma_is_a_distribution_and_a_tenth_of_the_bits_is_flipped():
    rng = np.random.default_rng(4)
    x, _ = problem.make_images(rng, 20, 28)
    trace = problem.unroll(problem.init(rng, "rnnem", 784, 20), x, rng, 4, 4)
    for now in trace:
        np.testing.assert_allclose(now["gamma"].sum(1), 1, rtol=1e-5)
    noisy = trace[0]["gap"][:, 0]  # psi is 0 at first
    assert (noisy != x).mean() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("inter", [True, False])
def test_the_loss_by_its_definition(inter):
    rng = np.random.default_rng(5)
    x, logits = (rng.random((2, 6)) < 0.5).astype(float), rng.normal(size=(2, 3, 6))
    gamma = rng.random((2, 3, 6))
    psi, total = 1 / (1 + np.exp(-logits)), 0.0
    for n in range(2):
        for k in range(3):
            for i in range(6):
                p, g = psi[n, k, i], gamma[n, k, i]
                total += g * -(x[n, i] * np.log(p) + (1 - x[n, i]) * np.log(1 - p))
                total += (1 - g) * -np.log(1 - p) if inter else 0
    now = {"logits": logits, "gamma": gamma, "psi": psi}
    assert problem.step_loss(x, now, inter)[0] == pytest.approx(total / 2)


def test_gradients_of_all_three_models():
    assert problem.gradient_check() < 1e-5


def test_expected_information_by_sampling():
    rows, columns = np.array([5, 9, 6]), np.array([12, 8])
    u, v = np.repeat(np.arange(3), rows), np.repeat(np.arange(2), columns)
    rng, found = np.random.default_rng(6), []
    for _ in range(4000):
        table = np.zeros((3, 2))
        np.add.at(table, (u, rng.permutation(v)), 1)
        p = table / 20
        outer = np.outer(rows, columns) / 400
        found.append((p[p > 0] * np.log(p[p > 0] / outer[p > 0])).sum())
    assert problem.expected_information(rows, columns) == pytest.approx(np.mean(found), rel=0.05)


def test_the_score_is_one_for_the_truth_and_nil_for_chance():
    rng = np.random.default_rng(7)
    truth = rng.integers(0, 3, 120)
    names = np.array([2, 0, 1])[truth]
    assert problem.adjusted_information(names, truth) == pytest.approx([1, 1])
    chance = [problem.adjusted_information(rng.integers(0, 4, 120), truth)[0] for _ in range(300)]
    assert np.mean(chance) == pytest.approx(0, abs=0.01)
    merged = np.where(truth == 2, 1, truth)
    by_max, by_mean = problem.adjusted_information(merged, truth)
    assert 0 < by_max < by_mean < 1


def test_the_small_instance_begins_to_group():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["ami"] > 0.3 and abs(metrics["start"]) < 0.05
