"""LOCOCODE: pictures, the flatness term by its definition, gradients, counting bars and bits."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("lococode-ica")


def test_pictures_are_unions_of_bars():
    pictures, there = problem.bar_pictures(np.random.default_rng(1), 3000)
    for picture, bars in zip(pictures[:200], there[:200], strict=True):
        wanted = np.full((5, 5), -0.5)
        wanted[bars[:5]] = 0.5
        wanted[:, bars[5:]] = 0.5
        assert (picture.reshape(5, 5) == wanted).all()
    assert there.mean(0) == pytest.approx(0.2, abs=0.04)
    assert np.corrcoef(there.T)[~np.eye(10, dtype=bool)] == pytest.approx(0, abs=0.08)


def test_noise_has_the_papers_variance():
    noisy, there = problem.bar_pictures(np.random.default_rng(2), 4000, noisy=True)
    empty = noisy[~there.any(1)]
    assert empty.mean() == pytest.approx(-0.5, abs=0.02)
    assert empty.var() == pytest.approx(0.05, rel=0.1)


def outputs(weights, x):
    """Outputs (25,) of one net on one picture, from all its 1300 weights in a row."""
    cut = np.split(weights, np.cumsum([625, 625, 25]))
    h = 1 / (1 + np.exp(-(cut[0].reshape(25, 25) @ x + cut[2])))
    return 2 / (1 + np.exp(-(cut[1].reshape(25, 25) @ h + cut[3]))) - 1


def test_flatness_is_the_definition_by_all_derivatives():
    """B = 1/2 [sum log sum_k (do_k/dw)^2 + L log sum_k (sum |do_k/dw| / sqrt(sum (do/dw)^2))^2]."""
    rng = np.random.default_rng(3)
    x, found, wanted = rng.uniform(-0.5, 0.5, (2, 25)), [], []
    x[np.abs(x) < 0.05] = 0.2
    for seed in (4, 5):
        rng = np.random.default_rng(seed)
        w = {k: v + rng.normal(0, 0.4, v.shape) for k, v in problem.init(rng, 1).items()}
        found += problem.flatness(w, *problem.forward(w, x))[0].tolist()
        flat = np.concatenate([w[name][0].ravel() for name in ("W1", "W2", "b1", "b2")])
        for picture in x:
            jacobian = np.empty((1300, 25))
            for i in range(1300):
                up, down = flat.copy(), flat.copy()
                up[i] += 1e-5
                down[i] -= 1e-5
                jacobian[i] = (outputs(up, picture) - outputs(down, picture)) / 2e-5
            square = (jacobian**2).sum(1)
            ratio = np.abs(jacobian) / np.sqrt(square)[:, None]
            B = np.log(square).sum() + 1300 * np.log((ratio.sum(0) ** 2).sum())
            # what does not depend on weights: the squared inputs of the hidden units
            wanted.append((B - 25 * np.log(picture**2).sum()) / 2)
    found, wanted = np.array(found), np.array(wanted)
    # and what each W2 row shares, h_j, is part of both; the difference is one number for all
    assert found - wanted == pytest.approx((found - wanted)[0], abs=1e-3)


def test_the_gradient():
    assert problem.gradient_check() < 1e-5


def test_bars_are_counted_one_to_one():
    rng = np.random.default_rng(6)
    there = rng.random((400, 10)) < 0.2
    codes = np.concatenate([there[:, [3, 3, 5]], rng.random((400, 2))], 1).astype(float)
    assert problem.bars_found(codes, there, 0.9) == 2  # two units for one bar count once
    mixed = (there[:, 0] | there[:, 1])[:, None].astype(float)
    assert problem.bars_found(mixed, there, 0.9) == 0
    assert problem.bars_found(1 - there.astype(float), there, 0.9) == 10


def test_a_net_set_by_hand_is_all_bars_in_ten_active_units():
    w = {name: np.zeros((1, *shape)) for name, shape in (("W1", (25, 25)), ("W2", (25, 25)))}
    w |= {"b1": np.full((1, 1, 25), -40.0), "b2": np.full((1, 1, 25), -6.0)}
    masks = np.concatenate(
        [np.eye(5)[:, :, None] * np.ones(5), np.ones((5, 1)) * np.eye(5)[:, None]]
    )
    for unit, mask in enumerate(masks.reshape(10, 25)):
        w["W1"][0, unit] = 40 * mask
        w["b1"][0, 0, unit] = -80  # on if all five pixels of the bar are: 5 * 0.5 * 40 = 100
        w["W2"][0, :, unit] = 12 * mask
    x, there = problem.bar_pictures(np.random.default_rng(7), 500)
    h, o = problem.forward(w, x)
    active = problem.active_units(w, x, 1.4 * x)
    assert active[0, :10].all() and not active[0, 10:].any()
    assert problem.bars_found(h[0][:, active[0]], there, 0.9) == 10
    metrics = problem.evaluate("fms", w, x, x, there, np.zeros(1), "bars")
    assert metrics["fms_exact"] == 1 and metrics["fms_bits"] < 0.4


def test_bits_of_a_fair_coin():
    coin = np.tile([0.0, 1.0], 500)[:, None]
    assert problem.bits_per_pixel(coin, coin) * 25 == pytest.approx(1, abs=0.01)
    still = np.zeros((1000, 1))
    assert problem.bits_per_pixel(still, still) == 0


def test_fastica_finds_sources_and_the_distance_sees_it():
    rng = np.random.default_rng(8)
    sources, mixing = rng.laplace(size=(3000, 4)), rng.normal(size=(4, 4))
    filters = problem.independent_components(rng, sources @ mixing.T, 4)
    assert problem.amari(filters @ mixing) < 0.05
    assert problem.amari(np.eye(4)[[2, 0, 3, 1]] * [1, -2, 3, 4]) == 0
    assert problem.amari(np.ones((4, 4))) == pytest.approx(1)


def test_the_earlier_task():
    ours, ica = problem.laplace(np.random.default_rng(9))
    assert ours < 0.05 and ica < 0.05
