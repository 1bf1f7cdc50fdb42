"""Membranes: the dense net against cut windows, gradients, images, and measures by counting."""

import itertools

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("em-segmentation-isbi")


def random_net(rng, field, maps=3):
    weights = problem.init_net(rng, problem.KERNELS[field], maps)
    return {name: w + 0.1 * rng.normal(size=w.shape) for name, w in weights.items()}


@pytest.mark.parametrize("field", problem.KERNELS)
def test_kernels_and_pools_bring_a_window_down_to_one(field):
    side = field
    for k in problem.KERNELS[field]:
        assert (side - k + 1) % 2 == 0
        side = (side - k + 1) // 2
    assert side == 1


@pytest.mark.parametrize("field", problem.KERNELS)
def test_the_dense_net_is_the_net_on_cut_windows(field):
    rng, n = np.random.default_rng(field), 4
    width, kernels = n + field // 2, problem.KERNELS[field]
    weights, tile = random_net(rng, field), rng.normal(size=(2 * width, 2 * width))
    logits, _ = problem.forward(weights, kernels, tile)
    dense = problem.on_grid(logits, n, width)
    for r, c in itertools.product((0, 1, n - 1), repeat=2):
        window = tile[2 * r : 2 * r + field, 2 * c : 2 * c + field]
        assert dense[r, c] == pytest.approx(problem.one_window(weights, kernels, window), rel=1e-9)


def test_a_map_has_at_every_pixel_what_the_net_says_of_its_mirrored_window():
    rng, field = np.random.default_rng(1), 17
    weights, image = random_net(rng, field), rng.normal(size=(20, 20))
    seen = problem.net_map(weights, field, image)
    wide = np.pad(image, 8, "reflect")
    for r, c in ((0, 0), (0, 19), (19, 0), (19, 19), (7, 12), (8, 11)):
        logit = problem.one_window(weights, problem.KERNELS[field], wide[r : r + 17, c : c + 17])
        assert seen[r, c] == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-9)


def test_the_plain_net_by_hand():
    ones = {"W0": np.ones((1, 16)), "b0": np.array([[-1.0]]), "b1": np.zeros((1, 1))}
    ones |= {"W1": np.arange(4.0).reshape(2, 2)}  # (row, column) of the second kernel
    ones |= {"dense": np.ones((48, 1)), "b_dense": np.zeros((48, 1))}
    ones |= {"out": np.ones((1, 48)) / 48, "b_out": np.array([[0.5]])}
    window = np.arange(81.0).reshape(9, 9)
    first = [[window[r : r + 4, c : c + 4].sum() for c in range(6)] for r in range(6)]
    pooled = [[first[r][c] - 1 for c in (1, 3, 5)] for r in (1, 3, 5)]  # sums rise both ways
    second = sum(ones["W1"][p, q] * pooled[1 + p][1 + q] for p in (0, 1) for q in (0, 1))
    assert problem.one_window(ones, (4, 2), window) == pytest.approx(second + 0.5)


@pytest.mark.parametrize("field", [17, 65])
def test_gradients(field):
    assert problem.gradient_check(problem.Config(field=field)) < 1e-5


def test_single_precision_gives_the_same_probabilities():
    rng = np.random.default_rng(3)
    weights, image = random_net(rng, 65, 8), rng.normal(size=(64, 64))
    single = {name: w.astype(np.float32) for name, w in weights.items()}
    rounded = problem.net_map(single, 65, image.astype(np.float32))
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, problem.net_map(weights, 65, image), atol=1e-4)


def test_cross_entropy_by_its_definition():
    rng = np.random.default_rng(4)
    logits, labels, weight = rng.normal(0, 2, 9), rng.random(9) < 0.5, rng.random(9)
    y = 1 / (1 + np.exp(-logits))
    loss, e = problem.cross_entropy(logits, labels, weight)
    wanted = -(weight * np.where(labels, np.log(y), np.log(1 - y))).sum()
    assert loss == pytest.approx(wanted)
    np.testing.assert_allclose(e, weight * (y - labels), atol=1e-14)


def test_a_tile_is_a_turned_piece_of_an_image_with_the_labels_in_its_middle():
    """Where the label is the sign of the pixel itself, so it is in every tile."""
    rng, field, n = np.random.default_rng(5), 9, 6
    images = rng.normal(size=(problem.TRAIN, 64, 64)).astype(np.float32)
    train = problem.Data(images, images > 0, images > 9)
    wide = problem.padded(images, field)
    for _ in range(20):
        tile, labels = problem.make_tile(train, wide, n, field, rng)
        middle = tile[4 : 4 + 2 * n : 2, 4 : 4 + 2 * n : 2]
        np.testing.assert_array_equal(middle > 0, labels)


def test_turning_back_undoes_all_eight_views():
    image = np.arange(16).reshape(4, 4)
    views = [problem.turned(image, view) for view in range(problem.VIEWS)]
    assert len({view.tobytes() for view in views}) == 8
    for number, view in enumerate(views):
        np.testing.assert_array_equal(problem.turned_back(view, number), image)


def test_the_perceptrons_map_is_the_perceptron_on_cut_patches():
    rng = np.random.default_rng(6)
    weights, image = problem.init_mlp(rng), rng.normal(size=(64, 64)).astype(np.float32)
    seen, wide = problem.mlp_map(weights, image), np.pad(image, 16, "reflect")
    for r, c in ((0, 0), (31, 40), (63, 62)):
        x = wide[r : r + 32, c : c + 32].reshape(-1)
        h = np.maximum(weights["W0"] @ x + weights["b0"][:, 0], 0)
        h = np.maximum(weights["W1"] @ h + weights["b1"][:, 0], 0)
        logit = weights["W2"] @ h + weights["b2"][:, 0]
        assert seen[r, c] == pytest.approx(1 / (1 + np.exp(-logit[0])), rel=1e-4)


def flood(free):
    """Components by filling one after the other, pixel by pixel."""
    found, count = np.zeros(free.shape, int), 0
    for start in zip(*np.nonzero(free), strict=True):
        if found[start]:
            continue
        count, stack = count + 1, [start]
        while stack:
            r, c = stack.pop()
            if 0 <= r < len(free) and 0 <= c < free.shape[1] and free[r, c] and not found[r, c]:
                found[r, c] = count
                stack += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
    return found


@pytest.mark.parametrize("share", [0.0, 0.3, 0.55, 0.6, 0.9, 1.0])
def test_components_are_those_of_a_flood_fill(share):
    free = np.random.default_rng(7).random((40, 53)) < share
    found, plain = problem.components(free), flood(free)
    assert len(set(zip(found.flat, plain.flat, strict=True))) == plain.max() + (not free.all())
    assert found.max() == plain.max()


def test_rand_error_counts_pairs_of_pixels():
    rng = np.random.default_rng(8)
    for _ in range(10):
        found, membrane = rng.random((2, 9, 8)) < 0.35
        ours, true = flood(~found), flood(~membrane)
        pixels = [p for p in np.ndindex(9, 8) if true[p]]
        tp = fp = fn = 0
        for p, q in itertools.combinations(pixels, 2):
            here, there = ours[p] == ours[q] > 0, true[p] == true[q]
            tp, fp, fn = tp + (here and there), fp + (here > there), fn + (here < there)
        assert problem.rand_error(found, membrane) == pytest.approx(1 - 2 * tp / (2 * tp + fp + fn))
    assert problem.rand_error(membrane, membrane) == 0


def test_a_gap_of_one_pixel_costs_little_in_pixels_and_much_in_pairs():
    membrane = np.zeros((21, 21), bool)
    membrane[:, 10] = True
    found = membrane.copy()
    found[5, 10] = False
    assert (found != membrane).mean() < 0.003
    assert problem.rand_error(found, membrane) > 0.3


def test_the_best_threshold_is_the_best_of_all():
    rng = np.random.default_rng(9)
    for shift in (-9, 0, 1, 9):
        labels = rng.random(60) < 0.4
        scores = rng.normal(size=60) + shift * labels
        tried = [((scores >= t) != labels).sum() for t in (*scores, scores.max() + 1)]
        best = problem.best_threshold(scores, labels)
        assert ((scores >= best) != labels).sum() == min(tried)


def test_roc_area_is_a_share_of_pairs():
    rng = np.random.default_rng(10)
    scores, labels = rng.integers(0, 9, 50).astype(float), rng.random(50) < 0.4
    wins = [(a > b) + (a == b) / 2 for a, b in itertools.product(scores[labels], scores[~labels])]
    assert problem.roc_area(scores, labels) == pytest.approx(np.mean(wins))


def test_the_cubic_rises_and_undoes_the_bias_of_balanced_training():
    rng = np.random.default_rng(11)
    share, p = 0.2, rng.random(200_000)
    labels = rng.random(len(p)) < p
    odds = p / (1 - p) * (1 - share) / share  # what a net says that saw both classes as often
    y = odds / (1 + odds)
    cubic = problem.fit_cubic(y, labels)
    assert (np.diff(problem.calibrated(cubic, np.linspace(0, 1, 200))) >= 0).all()
    before = problem.calibration_error(y, labels)
    assert problem.calibration_error(problem.calibrated(cubic, y), labels) < 0.2 * before


def test_a_falling_curve_gets_the_best_flat_cubic():
    y = np.repeat([0.2, 0.8], 500)
    cubic = problem.fit_cubic(y, y < 0.5)
    np.testing.assert_allclose(problem.calibrated(cubic, y), 0.5, atol=1e-6)


def test_calibration_error_by_its_definition():
    rng = np.random.default_rng(12)
    y, labels = rng.random(400), rng.random(400) < 0.3
    y[0] = 1.0
    total = 0
    for b in range(15):
        inside = (y >= b / 15) & ((y < (b + 1) / 15) | (b == 14))
        total += inside.sum() * abs(y[inside].mean() - labels[inside].mean())
    assert problem.calibration_error(y, labels) == pytest.approx(total / 400)


def test_border_pixels_have_another_label_beside_them():
    labels = np.random.default_rng(13).random((1, 9, 9)) < 0.2
    border = problem.near_border(labels)[0]
    for r, c in np.ndindex(9, 9):
        around = labels[0, max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2]
        assert border[r, c] == (around != labels[0, r, c]).any()


def test_distance_to_the_border_is_that_to_the_bisector():
    seeds = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 30.0]])
    cell, inside = problem.nearest_two(np.array([[4.0, 1.0], [9.0, -3.0], [1.0, 14.0]]), seeds)
    assert cell.tolist() == [0, 1, 0]
    np.testing.assert_allclose(inside, [1, 4, 1])


def test_slices_are_hard_as_said():
    image, membrane, stain = problem.tissue(np.random.default_rng(14), 256, 0.0)
    assert 0.15 < membrane.mean() < 0.25
    assert not (stain & membrane).any() and 0.05 < stain.mean() < 0.2
    cells = problem.components(~membrane)
    sizes = np.bincount(cells.ravel())[1:]
    assert 40 <= (sizes > 50).sum() <= 100 and sizes.max() < 0.1 * image.size
    assert np.quantile(image[stain], 0.1) <= np.quantile(image[membrane], 0.1)  # as dark
    middle = membrane & ~problem.near_border(membrane[None])[0]
    pale = image[middle] > np.median(image[~membrane & ~stain]) - 0.3 * problem.DARKNESS
    assert 0.1 < pale.mean() < 0.6


def test_the_easy_slices_are_dark_only_at_borders():
    image, membrane, _ = problem.voronoi(np.random.default_rng(15), 96, 0.0)
    assert 0.1 < membrane.mean() < 0.25
    assert problem.roc_area(-image, membrane) > 0.95


def test_the_schedule_warms_up_stays_and_falls():
    factors = [problem.schedule(step, 1000) for step in range(1001)]
    assert factors[0] == 1 / 40 and factors[39] == factors[400] == 1
    assert factors[700] == pytest.approx(0.51) and factors[1000] == pytest.approx(0.02)


def test_the_small_instance_beats_the_edges():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["cnn_area"] > metrics["sobel_area"] + 0.1
    assert metrics["views_error"] < 0.8 * metrics["sobel_error"]


def test_a_net_is_compared_with_a_narrower_one_only():
    with pytest.raises(ValueError, match="field must be 33 or 65"):
        problem.Config(against="field", field=17)
