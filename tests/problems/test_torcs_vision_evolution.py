"""Racing from images: the track, the camera, the car, the million weights, the search."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("torcs-vision-evolution")
TRACK = problem.the_track()


def test_the_track_is_closed_and_as_long_as_it_is_said_to_be():
    steps = np.linalg.norm(np.diff(TRACK.points, axis=0, append=TRACK.points[:1]), axis=1)
    assert TRACK.length == pytest.approx(714.16, abs=1e-6)
    assert steps.sum() == pytest.approx(714.16, abs=0.3) and steps.max() < 0.26
    along = np.stack([np.cos(TRACK.headings), np.sin(TRACK.headings)], 1)
    moves = np.roll(TRACK.points, -1, 0) - TRACK.points
    assert ((moves * along).sum(1)[:-1] > 0.999 * 0.25).all()


def test_the_rasters_know_distance_and_place():
    rng = np.random.default_rng(1)
    index = rng.integers(0, len(TRACK.points), 300)
    side = rng.uniform(-11, 11, 300)
    left = np.stack([-np.sin(TRACK.headings[index]), np.cos(TRACK.headings[index])], 1)
    places = TRACK.points[index] + side[:, None] * left
    cells = TRACK.cells(*places.T)
    exact = np.linalg.norm(places[:, None] - TRACK.points, axis=2)
    assert TRACK.distance.ravel()[cells] == pytest.approx(exact.min(1), abs=0.6)
    away = np.abs(TRACK.arc(cells) - exact.argmin(1) * 0.25)
    assert np.minimum(away, 714.16 - away).max() < 3


def test_a_car_on_a_straight_obeys_its_equation():
    """Full throttle: dv/dt = 6 (1 - v / 60) - 0.0008 v^2, and the path is its integral."""
    cars = problem.start_cars(TRACK, [20.0])
    start, v, d = np.array([cars.x[0], cars.y[0]]), 0.0, 0.0
    for _ in range(20):
        problem.move(TRACK, cars, np.zeros(1), np.ones(1))
        for _ in range(problem.TICKS):
            v += 0.04 * (6 * (1 - v / 60) - 0.0008 * v * v)
            d += 0.04 * v
    assert cars.v[0] == pytest.approx(v) and cars.damage[0] == 0
    assert np.hypot(*(np.array([cars.x[0], cars.y[0]]) - start)) == pytest.approx(d)
    assert cars.d[0] == pytest.approx(d, abs=0.6)


def test_grip_limits_the_bend():
    cars = problem.start_cars(TRACK, [20.0])
    cars.v = np.array([30.0])
    before = cars.heading[0]
    problem.move(TRACK, cars, np.ones(1), np.zeros(1))
    turned = (cars.heading[0] - before) / (problem.TICKS * problem.TICK)
    assert turned * 29 < 1.2 * 9.8 * 1.05  # v times yaw rate, the acceleration to the side


def test_the_wall_stops_the_car():
    cars = problem.start_cars(TRACK, [20.0])
    cars.heading = cars.heading + np.pi / 2
    for _ in range(40):
        problem.move(TRACK, cars, np.zeros(1), np.ones(1))
    assert cars.damage[0] > 20
    assert TRACK.distance.ravel()[TRACK.cells(cars.x, cars.y)][0] <= problem.WALL


def test_progress_wraps_around_the_start():
    cars = problem.start_cars(TRACK, [713.0])
    cars.v = np.array([20.0])
    for _ in range(3):
        problem.move(TRACK, cars, np.zeros(1), np.zeros(1))
    assert 10 < cars.d[0] < 13 and cars.arc[0] < 20


def test_the_camera_sees_the_edges_of_the_road_where_they_are():
    """On a straight the only edges some 15 m ahead lie 5 m to both sides."""
    cars = problem.start_cars(TRACK, [60.0])
    picture = problem.edges(TRACK, cars.x, cars.y, cars.heading)[0]
    ahead, left = (part.reshape(-1, 64) for part in problem.ground_points())
    row = 28
    bright = left[row - problem.HORIZON - 1, picture[row] > 0]
    assert ahead[row - problem.HORIZON - 1, 0] == pytest.approx(14.8, abs=0.1)
    assert (bright > 0).any() and (bright < 0).any()
    assert np.abs(bright) == pytest.approx(5.0, abs=1.6)


def test_a_million_weights_do_what_200_genes_say():
    rng = np.random.default_rng(2)
    genes = rng.uniform(-1, 1, (3, problem.GENES))
    weights = np.stack([problem.build_weights(row) for row in genes])
    assert weights.shape == (3, 1_115_139) and problem.GENES == 200
    fast, built = problem.Fourier(genes, float), problem.Direct(weights)
    cars = problem.start_cars(TRACK, [0.0, 200.0, 500.0])
    for _ in range(12):
        pictures = problem.edges(TRACK, cars.x, cars.y, cars.heading).astype(float)
        a, b = fast.act(pictures), built.act(pictures)
        assert a == pytest.approx(b, rel=1e-9, abs=1e-12)
        problem.move(TRACK, cars, *problem.signals(a))


def test_direct_weights_begin_as_large_as_coefficients_make_them():
    rng = np.random.default_rng(3)
    built = problem.build_weights(rng.uniform(-1, 1, problem.GENES))
    direct = problem.random_genes(rng, 1, problem.Direct)[0]
    first = problem.Direct.CUTS[0]
    assert direct[:first].std() == pytest.approx(built[:first].std(), rel=0.3)


def test_breeding_keeps_the_best_and_moves_values_within_a_gene():
    rng = np.random.default_rng(4)
    genes = rng.uniform(-1, 1, (64, problem.GENES)).astype(np.float32)
    fitness, before = rng.normal(size=64), genes.copy()
    changed = problem.breed(rng, genes, fitness, 0.05, 0.0)
    order = np.argsort(-fitness)
    assert (genes[order[0]] == before[order[0]]).all()
    assert changed[order[-16:]].all() and (genes[~changed] == before[~changed]).all()
    stay = order[:-16]  # without noise no value is new
    assert all(np.isin(genes[:, k], before[:, k]).all() for k in range(problem.GENES))
    assert not changed[stay].all()  # some keep all their genes


def test_the_driver_that_knows_the_track_laps_most_of_it_without_damage():
    d, top = problem.knowing_driver()
    assert 540 < d < 600 and 30 < top < 40


def test_a_blind_net_gets_no_picture():
    rng = np.random.default_rng(5)
    genes = problem.random_genes(rng, 2, problem.Fourier)
    trace = []
    problem.race(problem.Fourier(genes), np.zeros(2), 5, trace=trace)
    assert len(trace) == 5 and trace[0][1].any()
    _, seeing, _ = problem.race(problem.Fourier(genes), np.zeros(2), 50)
    _, blind, _ = problem.race(problem.Fourier(genes), np.zeros(2), 50, blind=True)
    assert (seeing != blind).any()
