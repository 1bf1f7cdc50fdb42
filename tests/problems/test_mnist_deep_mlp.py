"""Deformations against slow per-pixel ones, the net against plain formulas, the centred gradient
against central differences."""

import math

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("mnist-deep-mlp")
RNG = np.random.default_rng


@pytest.fixture(scope="module")
def data():
    return problem.load_data(problem.Config())


# --- the images ----------------------------------------------------------------------------------


def test_split_and_format(data):
    images, labels, held_out, test = data
    raw, raw_labels, raw_test, raw_test_labels = problem.read_mnist()
    assert images.shape == (50_000, 841) and len(labels) == 50_000
    for pieces, source, truth in (
        (held_out, raw[50_000:], raw_labels[50_000:]),
        (test, raw_test, raw_test_labels),
    ):
        x = np.concatenate([x for x, _ in pieces], axis=1)
        assert x.shape == (841, 10_000) and x.dtype == np.float32 and x.min() == -1 and x.max() == 1
        assert np.array_equal(np.concatenate([labels for _, labels in pieces]), truth)
        square = x[:, 77].reshape(29, 29)
        np.testing.assert_allclose(square[:28, :28], source[77] / 127.5 - 1, atol=1e-6)
        assert (square[28] == -1).all() and (square[:, 28] == -1).all()


@pytest.mark.parametrize(
    ("net", "millions"),
    [(net, n) for net, n in zip(problem.NETS[2:], (1.34, 3.26, 6.69, 12.11), strict=True)],
)
def test_weights_are_the_papers(net, millions):
    weights = problem.init_weights(RNG(0), net)
    assert math.floor(sum(w.size for w in weights.values()) / 1e4) / 100 == millions
    assert all(
        0.0499 < np.abs(w).max() <= 0.05 for name, w in weights.items() if name.startswith("W")
    )


# --- deforming -----------------------------------------------------------------------------------


def test_field_is_a_convolution():
    """The same draws, convolved pixel by pixel with a two-dimensional kernel of sum one."""
    field = problem.elastic_fields(RNG(3), 2)
    rng = RNG(3)
    sigma, alpha = rng.uniform(5, 6, (2, 1, 1)).ravel(), rng.uniform(36, 38, (2, 1, 1, 1)).ravel()
    noise = 2 * rng.random((2, 2, 29, 29), dtype=np.float32) - 1
    steps = np.arange(-10, 11)
    for k in range(2):
        kernel = np.exp(-(steps[:, None] ** 2 + steps**2) / (2 * sigma[k] ** 2))
        kernel /= kernel.sum()
        wide = np.pad(noise[k], ((0, 0), (10, 10), (10, 10)))
        for r, c in ((0, 0), (14, 14), (3, 25), (28, 10)):
            wanted = alpha[k] * (wide[:, r : r + 21, c : c + 21] * kernel).sum((1, 2))
            np.testing.assert_allclose(field[k, :, r, c], wanted, rtol=1e-4, atol=1e-5)


def test_field_has_the_papers_size():
    fields = problem.elastic_fields(RNG(0), 1500)
    assert 0.9 < fields.std() < 1.3
    assert abs(fields.mean()) < 0.05
    neighbours = np.mean(fields[..., 1:] * fields[..., :-1]) / fields.var()
    assert neighbours > 0.95  # the whole digit is bent, not its pixels scattered
    np.testing.assert_allclose(
        problem.elastic_fields(RNG(5), 3, 0.5), problem.elastic_fields(RNG(5), 3) / 2, rtol=1e-5
    )


def test_affine_law():
    maps = problem.affine_maps(RNG(0), np.full(4000, 15.0))
    shears = maps[:, 0, 1] == 0
    assert 0.45 < shears.mean() < 0.55
    scale = np.where(
        shears[:, None], maps[:, [0, 1], [0, 1]], np.hypot(maps[:, :, 0], maps[:, :, 1])
    )
    assert 0.8 <= scale.min() < 0.82 and 1.18 < scale.max() <= 1.2
    turned = maps[~shears] / scale[~shears][:, :, None]
    np.testing.assert_allclose(
        turned @ turned.swapaxes(1, 2), np.tile(np.eye(2), (len(turned), 1, 1)), atol=1e-12
    )
    assert 14.5 < np.degrees(np.arcsin(turned[:, 0, 1])).max() <= 15
    sheared = maps[shears, 1, 0] / scale[shears, 1]
    assert 14.5 < np.degrees(np.arctan(sheared)).max() <= 15


def test_no_translation():
    points = problem.sampling_points(
        problem.affine_maps(RNG(0), np.full(20, 15.0)), np.zeros((20, 2, 29, 29))
    )
    np.testing.assert_allclose(points[:, :, 14 * 29 + 14], 14, atol=1e-6)


def slow_sample(image, row, column):
    """Grey level between pixels, 0 outside."""
    total, r0, c0 = 0.0, math.floor(row), math.floor(column)
    for r in (r0, r0 + 1):
        for c in (c0, c0 + 1):
            if 0 <= r < 29 and 0 <= c < 29:
                total += (1 - abs(row - r)) * (1 - abs(column - c)) * float(image[29 * r + c])
    return total


def test_deformation_pixel_by_pixel(data):
    """Six images in two groups, a map with far corners outside, against a loop over pixels."""
    images = data[0][:6]
    rng = RNG(1)
    points = problem.sampling_points(
        problem.affine_maps(rng, np.array([15.0, 7.5]), 1.5), problem.elastic_fields(rng, 2)
    )
    assert points.min() < -1 and points.max() > 29
    groups, out = [np.array([4, 0]), np.array([1, 5, 3, 2])], np.empty((6, 841), np.float32)
    problem.deform(images, groups, points, out)
    for members, (rows, places) in zip(groups, points.astype(float), strict=True):
        for member in members:
            slow = [
                slow_sample(images[member], r, c) / 127.5 - 1
                for r, c in zip(rows, places, strict=True)
            ]
            np.testing.assert_allclose(out[member], slow, atol=2e-5)


def test_strength_zero_changes_nothing(data):
    images, labels = data[0][:500], data[1][:500]
    out = np.empty((500, 841), np.float32)
    problem.deform_all(RNG(0), images, labels, problem.Config(strength=0), out)
    np.testing.assert_allclose(out, images / 127.5 - 1, atol=1e-6)


def test_ones_and_sevens_turn_half_as_far(data, monkeypatch):
    images, labels = data[0][:3000], data[1][:3000]
    angles, groups = [], []
    affine_maps, deform = problem.affine_maps, problem.deform
    monkeypatch.setattr(
        problem, "affine_maps", lambda rng, a, s: angles.extend(a) or affine_maps(rng, a, s)
    )
    monkeypatch.setattr(
        problem, "deform", lambda i, g, p, out: groups.extend(g) or deform(i, g, p, out)
    )
    problem.deform_all(RNG(0), images, labels, problem.Config(), np.empty((3000, 841), np.float32))
    assert sorted(np.concatenate(groups)) == list(range(3000))
    assert max(map(len, groups)) <= 30
    for angle, members in zip(angles, groups, strict=True):
        digits = set(labels[members].tolist())
        assert digits <= {1, 7} if angle == 7.5 else angle == 15 and not digits & {1, 7}


# --- the net -------------------------------------------------------------------------------------


def small_problem(dtype=np.float64):
    rng = RNG(2)
    return (
        problem.init_weights(rng, "300-100", dtype),
        rng.uniform(-1, 1, (841, 7)),
        rng.integers(10, size=7),
    )


def test_forward_is_the_formula():
    weights, x, _ = small_problem()
    for n in range(7):
        h = x[:, n]
        for l in (1, 2):
            h = 1.7159 * np.tanh(0.6666 * (weights[f"W{l}"] @ h + weights[f"b{l}"][:, 0]))
        scores = np.exp(weights["W3"] @ h + weights["b3"][:, 0])
        np.testing.assert_allclose(
            problem.forward(weights, x)[-1][:, n], scores / scores.sum(), rtol=1e-10
        )


def test_centred_gradient_is_descent_in_other_coordinates():
    """Central differences of the loss in (W, b + W m): W moves while b + W m stays; then b follows
    W."""
    weights, x, labels = small_problem()
    layers = problem.forward(weights, x)
    means = [h.mean(1, keepdims=True) for h in layers]
    delta = layers[-1].copy()
    delta[labels, np.arange(7)] -= 1
    sums = delta.sum(1, keepdims=True)
    gradient = {name: np.empty_like(w) for name, w in weights.items()}
    problem.backward(weights, [h.copy() for h in layers], delta, gradient)

    def loss(l, unit, source, step):
        moved = {name: w.copy() for name, w in weights.items()}
        moved[f"W{l}"][unit, source] += step
        moved[f"b{l}"][unit] -= step * means[l - 1][source]
        return -np.log(problem.forward(moved, x)[-1][labels, np.arange(7)]).sum()

    for l, unit, source in ((1, 5, 400), (1, 299, 0), (2, 17, 250), (3, 4, 60)):
        slope = (loss(l, unit, source, 1e-5) - loss(l, unit, source, -1e-5)) / 2e-5
        assert gradient[f"W{l}"][unit, source] == pytest.approx(slope, rel=1e-5, abs=1e-8)
    np.testing.assert_allclose(gradient["b3"], sums - gradient["W3"] @ means[2], atol=1e-12)


def test_batch_of_one_is_the_papers_rule():
    """Without momentum, centring and a pace of their own for layers, a batch of one image moves the
    weights as online_step() does."""
    weights, x, labels = small_problem()
    slow = {name: w.copy() for name, w in weights.items()}
    net = problem.make_net(RNG(0), weights, 7, problem.Config(first=1, last=1))
    for n in range(7):
        layers = problem.forward(weights, x[:, n : n + 1])
        delta = layers[-1]
        delta[labels[n]] -= 1
        delta *= 0.01
        problem.backward(weights, layers, delta, net.gradient, centred=False)
        problem.update(net, 0.0)
        problem.online_step(slow, x[:, n], labels[n], 0.01)
    for name, w in weights.items():
        np.testing.assert_allclose(w, slow[name], rtol=1e-9, atol=1e-12)


def test_online_step_goes_down_the_loss():
    """Its step of a weight in each layer is the rate times the central difference of the loss."""
    weights, x, labels = small_problem()
    moved = {name: w.copy() for name, w in weights.items()}
    problem.online_step(moved, x[:, 0], labels[0], 1.0)

    def loss(name, place, step):
        near = {key: w.copy() for key, w in weights.items()}
        near[name][place] += step
        return -np.log(problem.forward(near, x[:, :1])[-1][labels[0], 0])

    for name, place in (("W1", (3, 7)), ("b1", (40, 0)), ("W2", (9, 100)), ("W3", (2, 11))):
        slope = (loss(name, place, 1e-5) - loss(name, place, -1e-5)) / 2e-5
        assert weights[name][place] - moved[name][place] == pytest.approx(slope, rel=1e-5)


def test_update_is_momentum_at_the_layers_own_pace():
    weights = {
        "W1": np.array([[1.0]]),
        "b1": np.array([[2.0]]),
        "W2": np.array([[1.0]]),
        "b2": np.array([[2.0]]),
    }
    net = problem.make_net(RNG(0), weights, 5, problem.Config(first=12, last=0.2))
    for step in (3.0, 4.0):
        for name in ("W1", "b2"):
            net.gradient[name][:] = step
        problem.update(net, 0.5)
    assert weights["W1"][0, 0] == pytest.approx(1 - 12 * (3 + 1.5 + 4)) and weights["b2"][
        0, 0
    ] == pytest.approx(2 - 0.2 * 8.5)
    assert weights["b1"][0, 0] == 2 and weights["W2"][0, 0] == 1
    config = problem.Config(first=12, last=0.2)
    deep = problem.make_net(RNG(0), problem.init_weights(RNG(0), "1500-1000-500"), 5, config)
    assert deep.pace == {
        "W1": 12,
        "b1": 12,
        "W2": 1,
        "b2": 1,
        "W3": 1,
        "b3": 1,
        "W4": 0.2,
        "b4": 0.2,
    }


def test_all_hard_images_are_shown_and_a_share_of_the_easy_ones():
    net = problem.make_net(RNG(0), small_problem()[0], 20_000, problem.Config(), kept=0.1)
    assert sorted(problem.chosen(net)) == list(range(20_000))  # what was never shown is hard
    net.certainty[::2] = 0.995
    net.certainty[1::2] = 0.985
    shown = problem.chosen(net)
    assert len(set(shown.tolist())) == len(shown) and (shown[:100] != np.sort(shown)[:100]).any()
    assert np.array_equal(np.sort(shown[shown % 2 == 1]), np.arange(1, 20_000, 2))
    assert 0.08 < np.mean(shown % 2 == 0) * len(shown) / 10_000 < 0.12
    net.kept = 1.0
    assert sorted(problem.chosen(net)) == list(range(20_000))


def test_certainty_is_the_labels_probability_when_shown():
    weights, x, labels = small_problem()
    images, net = x.T.copy(), problem.make_net(RNG(0), weights, 7, problem.Config())
    wanted = problem.forward(weights, x)[-1][labels, np.arange(7)]
    share = problem.train_epoch(net, images, labels, np.full(2, 1e-9), problem.Config(batch=20))
    assert share == 1
    np.testing.assert_allclose(net.certainty, wanted, rtol=1e-5)


def test_epochs_show_each_image_once_at_a_falling_rate(data, monkeypatch):
    images, labels = data[0][:1000], data[1][:1000]
    rates, shown = [], []

    def train_step(net, x, t, rate, momentum):
        rates.append(rate)
        shown.append((x.T, t))
        return np.zeros(len(t))

    monkeypatch.setattr(problem, "train_step", train_step)
    config = problem.Config(images=1000, batch=130, anneal=0.01)
    nets = {"a": problem.make_net(RNG(0), small_problem(np.float32)[0], 1000, config)}
    part = images, labels, data[2][:1]
    problem.train(nets, part, 2, 0.05, None, config, lambda *_: None)
    progress = np.concatenate([epoch + np.arange(0, 1000, 130) / 1000 for epoch in (0, 1)]) / 2
    np.testing.assert_allclose(rates, 0.05 * (1 - 0.99 * progress) / 130)
    for epoch in (shown[:8], shown[8:]):
        seen = np.concatenate([np.column_stack([x, t]) for x, t in epoch])
        wanted = np.column_stack([problem.scaled(images), labels])
        assert np.array_equal(seen[np.lexsort(seen.T)], wanted[np.lexsort(wanted.T)])


def test_selection_by_validation_error(data):
    """The kept weights have the lowest validation error of all epochs, also where the last epoch is
    not the best."""
    config = problem.Config(images=1000, batch=50, anneal=1.0)
    nets = {"a": problem.make_net(RNG(0), small_problem(np.float32)[0], 1000, config, 0.2)}
    part = data[0][:1000], data[1][:1000], data[2][:2]
    curves, shares, best = problem.train(nets, part, 6, 0.2, RNG(0), config, lambda *_: None)
    assert problem.error(best["a"], data[2][:2]) == pytest.approx(min(curves["a"]))
    assert len(set(curves["a"])) > 1
    assert shares["a"][0] == 1 and all(0 < share <= 1 for share in shares["a"])


def test_net_does_not_depend_on_its_controls():
    small = {"net": "300-100", "images": 1000, "epochs": 2, "plain_epochs": 2, "batch": 50}
    alone = problem.run(problem.Config(**small, controls=False)).metrics
    metrics = problem.run(problem.Config(**small)).metrics
    assert alone == {name: metrics[name] for name in alone}
    ratio, gain = (
        metrics["err_plain"] / metrics["err_deformed"],
        metrics["err_small"] - metrics["err_deformed"],
    )
    assert metrics["plain_over_deformed"] == pytest.approx(ratio)
    assert metrics["size_gain_pp"] == pytest.approx(gain)


def test_second_guess_and_errors_by_hand():
    truth = np.array([3, 1, 4, 1])
    ranked = np.array([[3, 7, 9, 2], [5, 1, 4, 7], *[[0, 0, 0, 0]] * 8])
    weights = {"deformed": {"W1": np.zeros((2, 3)), "b1": np.zeros((2, 1))}}
    test = [(np.zeros((841, 4)), truth)]
    found = problem.measure(
        problem.Config(controls=False),
        {"deformed": [5.0, 2.0, 2.0, 4.0]},
        {"deformed": [1.0, 0.5, 0.5, 0.4]},
        weights,
        ranked,
        test,
    )
    assert found["err_deformed"] == 75 and found["second_guess"] == pytest.approx(2 / 3)
    assert found["shown_deformed"] == pytest.approx(0.6)
    assert (
        found["best_epoch_deformed"] == 3 and found["val_deformed"] == 2 and found["weights"] == 8
    )


def test_quick_run_reads_most_digits():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["err_deformed"] < 5 and 0.9 < metrics["field_sd"] < 1.3
