"""What only mcdnn-image-bench has to keep."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("mcdnn-image-bench")


def plain_outputs(w, image):
    """The softmax outputs of one image, map by map and unit by unit."""
    image = image.reshape(29, 29)
    y1 = np.zeros((13, 13, 20))
    for row in range(13):
        for column in range(13):
            sums = []
            for a in (0, 1):
                for b in (0, 1):
                    r, c = 2 * row + a, 2 * column + b
                    sums.append(image[r : r + 4, c : c + 4].ravel() @ w["W1"])
            y1[row, column] = 1.7159 * np.tanh(0.6666 * (np.max(sums, 0) + w["b1"]))
    kernel = w["W2"].reshape(5, 5, 20, 40)
    z = np.array([
        [np.tensordot(y1[r : r + 5, c : c + 5], kernel, 3) for c in range(9)] for r in range(9)
    ])  # fmt: skip
    y2 = np.array([
        [z[3 * r : 3 * r + 3, 3 * c : 3 * c + 3].max((0, 1)) for c in range(3)] for r in range(3)
    ])  # fmt: skip
    y2 = 1.7159 * np.tanh(0.6666 * (y2 + w["b2"])).reshape(-1)
    y3 = 1.7159 * np.tanh(0.6666 * (y2 @ w["W3"] + w["b3"]))
    a = np.exp(y3 @ w["W4"] + w["b4"])
    return a / a.sum()


def test_a_column_is_the_plain_net():
    rng = np.random.default_rng(0)
    w, x = problem.init(rng, float), rng.normal(size=(3, 841))
    for name in ("b1", "b2", "b3", "b4"):
        w[name] += rng.normal(0, 0.2, w[name].shape)
    p, _ = problem.forward(w, x)
    np.testing.assert_allclose(p, [plain_outputs(w, image) for image in x], rtol=1e-9)


def test_the_paper_s_sizes():
    sizes = {name: array.size for name, array in problem.init(np.random.default_rng(0)).items()}
    assert sizes["W1"] == 4 * 4 * 20 and sizes["W2"] == 5 * 5 * 20 * 40
    assert sizes["W3"] == 3 * 3 * 40 * 150 and sum(sizes.values()) == 76_040


def test_ties_in_a_pool_have_one_winner():
    w = problem.init(np.random.default_rng(0), float)
    p, seen = problem.forward(w, np.full((1, 841), -1.0))  # flat: all four sums are equal
    assert not seen[1].any()
    d = np.zeros((1, 10))
    d[0, 3] = 1
    grads = problem.backward(w, seen, d)
    np.testing.assert_allclose(grads["W1"], -np.tile(grads["b1"], (16, 1)), rtol=1e-9)


def test_pooling_and_back():
    z = np.random.default_rng(0).normal(size=(9, 2, 9, 4))
    nine = problem.pooled(z)
    block = z[3:6, 1, 6:9, 2]
    np.testing.assert_array_equal(np.sort(nine[:, 1, 1, 2, 2]), np.sort(block.ravel()))
    np.testing.assert_array_equal(problem.unpooled(nine), z.reshape(-1, 4))


def plain_view(image, width):
    """One image with its digit `width` columns wide: the mean of what a column covers."""
    rows, columns = (np.flatnonzero((image > problem.INK).any(axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    digit = image[top:bottom, left:right].astype(float)
    size = right - left
    wide = min(width, 3 * size) if size < 4 else width
    drawn = np.zeros((len(digit), wide))
    for j in range(wide):
        start, end = j * size / wide, (j + 1) * size / wide
        for k in range(size):
            part = max(0.0, min(end, k + 1) - max(start, k))
            drawn[:, j] += digit[:, k] * part / (end - start)
    out = np.zeros((29, 29))
    high, across = (29 - len(digit)) // 2, (29 - wide) // 2
    out[high : high + len(digit), across : across + wide] = drawn
    return out


@pytest.mark.parametrize("width", [10, 20])
def test_a_view_is_area_averaging(width):
    rng = np.random.default_rng(0)
    images = np.zeros((4, 28, 28), np.uint8)
    for image, (rows, columns) in zip(images, ((20, 14), (20, 3), (8, 20), (17, 1)), strict=True):
        top, left = rng.integers(0, 29 - rows), rng.integers(0, 29 - columns)
        shape = rows, columns
        image[top : top + rows, left : left + columns] = rng.integers(30, 256, shape)
    seen = problem.view(images, width)
    for image, found in zip(images, seen, strict=True):
        np.testing.assert_allclose(found, plain_view(image, width), atol=0.6)
    assert (problem.view(images, None)[:, :28, :28] == images).all()


def test_easy_images_count_for_those_left_out():
    losses = np.where(np.arange(40_000) < 10_000, 1.0, 0.001)
    shown, counts = problem.chosen(np.random.default_rng(0), losses)
    assert set(range(10_000)) <= set(shown) and len(set(shown)) == len(shown)
    assert counts[shown < 10_000].max() == 1
    assert counts[shown >= 10_000].sum() == pytest.approx(30_000, rel=0.05)
    everything, ones = problem.chosen(np.random.default_rng(0), np.full(50, np.inf))
    assert sorted(everything) == list(range(50)) and (ones == 1).all()


def test_the_rate_rises_and_falls():
    rates = [problem.rate_at(done) for done in (0, 0.05, 0.1, 0.55, 1)]
    np.testing.assert_allclose(rates, [0, 0.01, 0.02, 0.01, 0], atol=1e-12)


def test_errors_in_common():
    def sure(digits):
        return np.eye(10)[digits]

    labels = np.array([1, 2, 3, 4, 5])
    one, other = sure([1, 2, 0, 0, 0]), sure([1, 9, 9, 4, 9])
    assert problem.errors(one, labels) == 60
    assert problem.double_fault(one, other, labels) == 2 / 4


def test_the_committee_is_the_mean_of_outputs(monkeypatch):
    made = iter(range(9))

    def train(config, images, labels, rng, look):
        return {"k": next(made)}, [1.0]

    def outputs_of(w, x):
        out = np.full((len(x), 10), 0.01)
        out[:, w["k"]] = 0.9
        out[:, 7] = 0.5  # nobody's first choice, everybody's second
        return out

    monkeypatch.setattr(problem, "train", train)
    monkeypatch.setattr(problem, "outputs_of", outputs_of)
    result = problem.run(problem.Config(images=1000, tests=200))
    assert list(result.outputs) == [*problem.SIX, "ORIGINAL_2"]
    share = 100 * (result.labels == 7).mean()
    assert result.metrics["committee_error"] == pytest.approx(100 - share)


def test_the_small_instance_is_solved():
    assert problem.run(problem.Config(**problem.QUICK)).metrics["error_ORIGINAL"] < 25
