"""Semilinear PM: windows, the local rule against plain loops and the gradient, detectors, bits."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("semilinear-pm-image-patches")


def test_a_step_is_the_plain_rule():
    rng = np.random.default_rng(1)
    learner = problem.Learner(rng, 4)
    learner.W = rng.normal(0, 0.2, (4, 2, 82))
    learner.V = rng.normal(0, 0.5, (4, 5)) * learner.others
    w, v, x = learner.W[:, 0].copy(), learner.V.copy(), rng.normal(size=(4, 82, 3))
    total_w, total_v = np.zeros_like(w), np.zeros_like(v)
    for b in range(3):
        dw, dv = problem.plain_step(w.tolist(), v.tolist(), x[:, :, b].tolist())
        total_w += np.array(dw) / 3
        total_v += np.array(dv) / 3
    learner.step(x)
    np.testing.assert_allclose(learner.W[:, 0] - w, problem.CODE_RATE * total_w, atol=1e-9)
    np.testing.assert_allclose(learner.V - v, problem.PREDICTOR_RATE * total_v, atol=1e-6)


def test_predictors_descend_and_code_units_ascend_their_part_of_V():
    """Central differences of sum (P - y)^2 / 2; for the code with the predictions held fixed."""
    rng = np.random.default_rng(2)
    w, v = rng.normal(0, 0.2, (3, 82)), rng.normal(0, 0.5, (3, 4))
    np.fill_diagonal(v, 0)
    x = rng.normal(size=(3, 82))

    def code(w):
        return 1 / (1 + np.exp(-(w * x).sum(1)))

    def predicted(v, y):
        return 1 / (1 + np.exp(-(v @ np.append(y, 1))))

    dw, dv = problem.plain_step(w.tolist(), v.tolist(), x.tolist())
    fixed, eps = predicted(v, code(w)), 1e-5
    for i, k in ((0, 0), (1, 40), (2, 81)):
        up, down = w.copy(), w.copy()
        up[i, k] += eps
        down[i, k] -= eps
        slope = [((code(m) - fixed) ** 2).sum() / 2 for m in (up, down)]
        assert dw[i][k] == pytest.approx((slope[0] - slope[1]) / (2 * eps), rel=1e-4, abs=1e-9)
    for i, j in ((0, 1), (1, 3), (2, 0)):
        up, down = v.copy(), v.copy()
        up[i, j] += eps
        down[i, j] -= eps
        slope = [((predicted(m, code(w)) - code(w)) ** 2).sum() / 2 for m in (up, down)]
        assert dv[i][j] == pytest.approx(-(slope[0] - slope[1]) / (2 * eps), rel=1e-4, abs=1e-9)
        assert dv[i][i] == 0


def test_the_photograph_is_raw_and_a_damaged_one_is_refused(tmp_path, monkeypatch):
    levels = problem.photograph()
    assert levels.shape == (600, 512) and set(np.unique(levels)) == set(range(16))
    monkeypatch.setattr(problem, "__file__", str(tmp_path / "script.py"))
    for content in (None, b"PK nothing", b""):
        if content is not None:
            (tmp_path / "photograph.npz").write_bytes(content)
        with pytest.raises(OSError, match="photograph.npz") as error:
            problem.photograph()
        assert "\n" not in str(error.value)
    with (tmp_path / "photograph.npz").open("wb") as file:
        np.save(file, levels)  # an array where an archive should be
    with pytest.raises(OSError, match="photograph.npz"):
        problem.photograph()
    np.savez(tmp_path / "photograph.npz", levels=levels)
    content = bytearray((tmp_path / "photograph.npz").read_bytes())
    content[content.rindex(b"PK\1\2") + 10] ^= 77  # compression method
    (tmp_path / "photograph.npz").write_bytes(content)
    with pytest.raises(OSError, match="photograph.npz"):
        problem.photograph()
    np.savez(tmp_path / "photograph.npz", levels=levels[:100])
    with pytest.raises(OSError, match="600 x 512"):
        problem.photograph()


def test_a_point_is_the_mean_of_a_pixel_and_its_neighbours():
    levels = np.random.default_rng(3).integers(0, 16, (9, 8)).astype(np.uint8)
    image = problem.smoothed(levels)
    x = (levels.astype(float) - 8) / 8
    by_hand = (x[4, 3] + x[3, 3] + x[5, 3] + x[4, 2] + x[4, 4]) / 5
    assert image.shape == (7, 6) and image[3, 2] == pytest.approx(by_hand)


def test_windows_stay_on_the_picture_and_turn():
    rows, columns = np.mgrid[:120, :110].astype(np.float32)
    centres = problem.spiral(problem.UNITS, problem.WINDOW - problem.FIELD)
    assert np.linalg.norm(centres, axis=1).max() < 22
    x, y = (
        problem.Windows(image, centres).draw(np.random.default_rng(4), 300)
        for image in (rows, columns)
    )
    assert x.shape == (32, 82, 300) and (x[:, 81] == 1).all()
    assert x[:, :81].min() >= 0 and x[:, :81].max() <= 119 and y[:, :81].max() <= 109
    for unit in (0, 31):  # a field keeps its shape in every window
        spread = np.hypot(x[unit, :81] - x[unit, :81].mean(0), y[unit, :81] - y[unit, :81].mean(0))
        wanted = np.linalg.norm(problem.spiral(81, 10.0), axis=1)
        assert np.abs(np.sort(spread, 0) - np.sort(wanted)[:, None]).max() < 1.2
    apart = np.arctan2(
        y[31, :81].mean(0) - y[0, :81].mean(0), x[31, :81].mean(0) - x[0, :81].mean(0)
    )
    assert np.histogram(apart, 8, (-np.pi, np.pi))[0].min() > 10


def test_kernels_are_recognised_and_a_blob_is_none():
    points = problem.spiral(81, 10.0)
    r2 = (points**2).sum(1)
    spot = np.exp(-r2 / 8) / 4 - np.exp(-r2 / 32) / 16
    edge = points[:, 0] * np.exp(-r2 / 18)
    blob = np.exp(-r2 / 50)
    fit, oriented, balance, _ = problem.describe(np.stack([spot, edge, -edge, blob]))
    assert (fit[:3] > 0.9).all()
    assert oriented[:3].tolist() == [False, True, True]
    assert balance[3] == pytest.approx(1) and balance[1] < 0.1
    index = problem.orientation_index(np.stack([spot, edge]))
    assert index[0] < 0.15 and index[1] > 0.8


def test_information_by_hand():
    rng = np.random.default_rng(5)
    a = rng.random(20_000) < 0.5
    copy, free = np.stack([a, a]), np.stack([a, rng.random(20_000) < 0.3])
    assert problem.pairwise_information(copy) == pytest.approx(1, abs=1e-3)
    assert problem.pairwise_information(free) == pytest.approx(0, abs=1e-3)
    noisy = np.stack([a, a ^ (rng.random(20_000) < 0.1)])
    assert problem.pairwise_information(noisy) == pytest.approx(1 - problem.entropy(0.1), abs=0.02)


def test_effective_rank():
    assert problem.effective_rank(np.eye(5)) == pytest.approx(5)
    assert problem.effective_rank(np.ones((5, 9))) == pytest.approx(1)


def test_the_small_instance_tells_units_apart():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["pm_rank"] > 4 and metrics["control_rank"] < 2
