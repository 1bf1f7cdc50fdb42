"""World models, car racing: the physics against energy, slip and a scalar reference, roads, views,
V, M and the search."""

import math

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("world-models-carracing")
ROAD = np.ones((4, 1), bool)


@pytest.fixture(scope="module")
def tracks():
    return problem.Tracks(problem.make_laps(np.random.default_rng(5), 4))


def rolling(speed, heading=0.0):
    """One car that rolls straight ahead without slip, (12, 1), float64."""
    car = np.zeros((12, 1))
    car[problem.HEADING] = heading
    car[problem.SPEED_X], car[problem.SPEED_Y] = speed * np.cos(heading), speed * np.sin(heading)
    car[problem.WHEELS :] = speed / problem.RADIUS
    return car


def any_cars(rng, n):
    """Cars in wild states, (12, n), float64."""
    cars = rng.normal(0, 1, (12, n)) * np.array(
        [[0], [0], [3], [40], [40], [3], [0.2], [0.5]] + 4 * [[60]]
    )
    cars[problem.GAS] = 0
    return cars


def energy(cars):
    """Kinetic energy of body and wheels, (n,)."""
    body = (
        7.3 * (cars[problem.SPEED_X] ** 2 + cars[problem.SPEED_Y] ** 2)
        + 19.1 * cars[problem.SPIN] ** 2
    )
    return (body + 1.6 * (cars[problem.WHEELS :] ** 2).sum(0)) / 2


def test_full_brake_from_60_stops_within_half_a_second():
    car = rolling(60.0, 0.7)
    for _ in range(25):
        problem.frame(car, np.array([[0.0], [0.0], [1.0]]), ROAD)
    assert np.hypot(car[problem.SPEED_X, 0], car[problem.SPEED_Y, 0]) < 0.1
    assert (
        np.hypot(car[0, 0], car[1, 0]) > 60**2 / (2 * 4 * 400 / 7.3) - 60 / 50
    )  # what four tyres at their limit allow, but a frame


def test_no_slip_no_force():
    car = rolling(47.0, -2.0)
    before = car.copy()
    assert np.abs(problem.tyre_forces(car, np.cos(car[2]), np.sin(car[2]), ROAD)).max() < 1e-9
    problem.frame(car, np.zeros((3, 1)), ROAD)
    np.testing.assert_allclose(car[3:], before[3:], atol=1e-9)
    np.testing.assert_allclose(car[:2], before[:2] + before[3:5] / 50, atol=1e-9)


def test_energy_never_rises_without_gas():
    rng = np.random.default_rng(0)
    cars = any_cars(rng, 300)
    for _ in range(60):
        before = energy(cars)
        action = np.stack(
            [
                rng.uniform(-1, 1, 300),
                np.zeros(300),
                rng.uniform(0, 1.2, 300) * (rng.random(300) < 0.5),
            ]
        )
        problem.frame(cars, action, rng.random((4, 300)) < 0.5)
        assert (energy(cars) <= before * (1 + 1e-12) + 1e-9).all()


def test_gas_raises_energy():
    car = rolling(10.0)
    problem.frame(car, np.array([[0.0], [1.0], [0.0]]), ROAD)
    assert energy(car)[0] > energy(rolling(10.0))[0]


def test_tyre_force_keeps_to_the_limit_of_its_ground():
    cars, on_road = (
        any_cars(np.random.default_rng(1), 200),
        np.random.default_rng(2).random((4, 200)) < 0.5,
    )
    ahead, left, _ = problem.tyre_forces(cars, np.cos(cars[2]), np.sin(cars[2]), on_road)
    force = np.hypot(ahead, left)
    assert (force <= np.where(on_road, 400, 240) * (1 + 1e-9)).all()
    assert force[on_road].max() > 399 and force[~on_road].max() > 239


def reference_frame(car, steer, gas, brake, on_road):
    """The same frame, one car, wheel by wheel, with complex numbers for the plane."""
    x, y, heading, vx, vy, spin, steered, held, *wheels = car
    place, speed, body = (
        complex(x, y),
        complex(vx, vy),
        complex(math.cos(heading), math.sin(heading)),
    )
    error = -steer - steered
    steered = max(-0.4, min(0.4, steered + math.copysign(min(50 * abs(error), 3), error) / 50))
    held = min(gas, held + 0.1)
    total, torque = 0j, 0.0
    spots = [complex(1.68, 1.1), complex(1.68, -1.1), complex(-1.56, 1.1), complex(-1.56, -1.1)]
    for i, spot in enumerate(spots):
        if i >= 2:
            wheels[i] += 40000 * held / 1.6 / (abs(wheels[i]) + 5) / 50
        wheels[i] = (
            0.0 if brake >= 0.9 else math.copysign(max(0.0, abs(wheels[i]) - 15 * brake), wheels[i])
        )
        wheel = body * (complex(math.cos(steered), math.sin(steered)) if i < 2 else 1)
        slip = (speed + 1j * spin * spot * body) / wheel - 0.54 * wheels[i]
        force = -82 * slip
        limit = 400 if on_road[i] else 240
        force *= min(1, limit / abs(force)) if force else 1
        wheels[i] -= force.real * 0.54 / 1.6 / 50
        total += force * wheel
        torque += ((spot * body).conjugate() * force * wheel).imag
    speed += total / 7.3 / 50
    spin += torque / 19.1 / 50
    place += speed / 50
    return [
        place.real,
        place.imag,
        heading + spin / 50,
        speed.real,
        speed.imag,
        spin,
        steered,
        held,
        *wheels,
    ]


def test_frame_agrees_with_a_scalar_reference():
    rng = np.random.default_rng(3)
    cars, on_road = any_cars(rng, 40), rng.random((4, 40)) < 0.5
    cars[problem.GAS] = rng.uniform(0, 1, 40)
    action = np.stack([rng.uniform(-1, 1, 40), rng.uniform(0, 1, 40), rng.uniform(0, 1, 40)])
    wanted = [reference_frame(list(cars[:, i]), *action[:, i], on_road[:, i]) for i in range(40)]
    problem.frame(cars, action, on_road)
    np.testing.assert_allclose(
        cars, np.array(wanted).T, rtol=1e-6, atol=1e-5
    )  # the wheels' places are float32


def test_roads_are_closed_and_cut_into_tiles(tracks):
    for lap in tracks.laps:
        np.testing.assert_allclose(np.hypot(*np.diff(lap[:, :2], axis=0).T), 3.5)
        assert np.hypot(*(lap[0] - lap[-1])[:2]) <= 7.0 and 200 <= len(lap) <= 400
        angle = np.unwrap(np.arctan2(lap[:, 1], lap[:, 0]))
        assert angle[-1] - angle[0] == pytest.approx(2 * np.pi, abs=0.1)


def test_every_tile_can_be_touched_and_only_the_road_is_tiles(tracks):
    half = problem.SIZE // 2
    for i, lap in enumerate(tracks.laps):
        tile = tracks.tile.reshape(-1, problem.SIZE, problem.SIZE)[i]
        assert set(np.unique(tile)) == set(range(len(lap) + 1))
        middle = (lap[:, :2] + np.roll(lap[:, :2], -1, 0)) / 2 + half
        found = tile[middle[:, 1].astype(int), middle[:, 0].astype(int)]
        assert (np.abs(found - np.arange(1, len(lap) + 1)) <= 1).all()
        row, column = np.nonzero(tile)
        distance = np.hypot(
            column[:, None] + 0.5 - half - lap[:, 0], row[:, None] + 0.5 - half - lap[:, 1]
        ).min(1)
        assert distance.max() < 6.67 + 3.5


def test_view_is_the_map_seen_from_the_car(tracks):
    race = problem.Race(tracks, np.array([2]))
    race.cars[:3, 0] += 3, -2, 0.8
    x, y, heading = race.cars[:3, 0].astype(float)
    picture = np.zeros(1024)
    picture[problem.ORDER] = race.look()[0]
    grey, different = tracks.grey.reshape(-1, problem.SIZE, problem.SIZE)[2], 0
    for row in range(32):
        for column in range(32):
            forward, right = 43 * (6 / 7 - (row + 0.5) / 32), 62 * ((column + 0.5) / 32 - 0.5)
            if abs(forward) < 2.1 and abs(right) < 1.3:
                assert picture.reshape(32, 32)[row, column] == problem.CAR_GREY
                continue
            east = x + forward * math.cos(heading) + right * math.sin(heading) + problem.SIZE // 2
            north = y + forward * math.sin(heading) - right * math.cos(heading) + problem.SIZE // 2
            different += picture.reshape(32, 32)[row, column] != grey[int(north), int(east)]
    assert different <= 3  # pixels on the very border of a cell may round the other way


def test_pixels_of_a_patch_lie_together():
    rows, columns = np.divmod(problem.ORDER.reshape(-1, 16), 32)
    assert (np.ptp(rows, 1) == 3).all() and (np.ptp(columns, 1) == 3).all()
    rows, columns = np.divmod(problem.ORDER.reshape(-1, 64), 32)
    assert (np.ptp(rows, 1) == 7).all() and (np.ptp(columns, 1) == 7).all()


def test_score_counts_tiles_frames_and_leaving_the_field(tracks):
    race = problem.Race(tracks, np.array([0, 0, 1]))
    race.seen[0, 1 : len(tracks.laps[0]) + 1] = 1
    race.cars[problem.X, 2] = 340
    race.act(np.zeros((3, 3)))
    assert race.score()[0] == pytest.approx(1000 - 0.2)
    assert (
        race.score()[1] == pytest.approx(1000 / len(tracks.laps[0]) * race.touched[1] - 0.2)
        and race.touched[1] <= 3
    )
    assert race.score()[2] == pytest.approx(-100.2)
    assert list(race.over()) == [True, False, True]


def test_uniform_random_actions_score_as_in_the_original_game(tracks):
    rng, race = np.random.default_rng(0), problem.Race(tracks, np.arange(40) % 4)
    for _ in range(1000 // problem.REPEAT):
        race.act(rng.uniform([-1, 0, 0], 1, (40, 3)))
    assert -70 < race.score().mean() < -15  # reported for the game: about -33


def test_a_driver_that_knows_road_and_speed_gets_round(tracks):
    race = problem.Race(tracks, np.arange(4))
    scores = np.full(4, np.nan)
    for _ in range(500):
        action = np.zeros((4, 3))
        for i, lap in enumerate(tracks.laps):
            x, y, heading, vx, vy, spin = race.cars[:6, i]
            speed, nearest = (
                math.hypot(vx, vy),
                int(np.hypot(lap[:, 0] - x, lap[:, 1] - y).argmin()),
            )
            goal = lap[(nearest + 3 + int(speed / 15)) % len(lap)]
            aim = (math.atan2(goal[1] - y, goal[0] - x) - heading + math.pi) % (
                2 * math.pi
            ) - math.pi
            beta = lap[(nearest + np.arange(13)) % len(lap), 2]
            bend = (
                np.convolve(
                    np.abs((np.diff(beta) + np.pi) % (2 * np.pi) - np.pi), np.ones(3) / 3, "same"
                )
                / 3.5
            )
            safe = np.sqrt(
                100 / np.maximum(bend, 1e-3) + 240 * 3.5 * np.maximum(np.arange(12) - 1, 0)
            ).min()
            surplus = min(70.0, safe) - speed
            action[i] = np.clip(
                [0.15 * spin - 2 * aim, 0.1 * surplus, -0.05 * surplus], [-1, 0, 0], [1, 1, 0.8]
            )
        race.act(action)
        ended = race.over() & np.isnan(scores)
        scores[ended] = race.score()[ended]
    scores = np.where(np.isnan(scores), race.score(), scores)
    assert scores.mean() > 880


def test_gradients():
    assert problem.gradient_check() < 1e-5
    rng = np.random.default_rng(1)
    vision = problem.init_vision(rng, 2, np.float64)
    seen = rng.uniform(0, 1, (2, 1024)), rng.normal(size=(2, 2)), 50  # all below the free KL
    grads = problem.vision_loss(vision, *seen)[1]
    error = problem.worst_relative_error(
        lambda: problem.vision_loss(vision, *seen)[0], vision, grads
    )
    assert error < 1e-5


def test_mixture_is_a_density():
    memory = problem.init_memory(np.random.default_rng(2), 1, 6, np.float64)
    memory["Wo"] *= 3
    h, grid = np.random.default_rng(3).normal(size=(1, 6)), np.linspace(-40, 40, 16001)
    density = [
        math.exp(-problem.mixture_loss(memory, h, np.array([[v]]), np.array([True]))[0])
        for v in grid[::4]
    ]
    assert np.sum(density) * (grid[4] - grid[0]) == pytest.approx(1, abs=1e-3)


def test_two_drives_in_one_sequence_are_two_drives():
    rng = np.random.default_rng(4)
    memory = problem.init_memory(rng, 3, 5, np.float64)
    x, step, begins = rng.normal(size=(8, 1, 6)), rng.normal(size=(8, 1, 3)), np.zeros((9, 1), bool)
    begins[[0, 5]] = True
    one, two, never = slice(0, 4), slice(5, 8), np.zeros((9, 1), bool)
    joint = problem.memory_loss(memory, x, step, begins)[0]
    first = problem.memory_loss(memory, x[one], step[one], never[:5])[0]
    second = problem.memory_loss(memory, x[two], step[two], never[:4])[0]
    assert joint == pytest.approx((4 * first + 3 * second) / 7)
    h = problem.memory_forward(memory, x, begins)[0]
    np.testing.assert_allclose(h[:5], problem.memory_forward(memory, x[one], never[:5])[0])
    np.testing.assert_allclose(h[5:], problem.memory_forward(memory, x[5:], never[:4])[0])


def test_step_of_the_lstm_against_its_equations():
    rng = np.random.default_rng(7)
    memory = problem.init_memory(rng, 2, 3, np.float64)
    x, h, c = rng.normal(size=(1, 5)), rng.normal(size=(1, 3)), rng.normal(size=(1, 3))
    show, take, forget, new = np.split((x @ memory["Wx"] + h @ memory["Wh"] + memory["b"])[0], 4)
    cell = c[0] / (1 + np.exp(-forget)) + np.tanh(new) / (1 + np.exp(-take))
    found = problem.remember(memory, x, h, c)
    np.testing.assert_allclose(found, [[np.tanh(cell) / (1 + np.exp(-show))], [cell]])


def small_brain(rng):
    """V and M that know nothing, z of 4 and 5 cells."""
    vision, memory = problem.init_vision(rng, 4), problem.init_memory(rng, 4, 5)
    mean = rng.normal(0, 0.1, 9).astype(np.float32)
    return problem.Brain(vision, memory, mean, np.ones(9, np.float32))


def test_many_cars_score_as_one_car_in_plain_form(tracks):
    rng = np.random.default_rng(6)
    brain, genomes = small_brain(rng), rng.normal(0, 0.5, (6, 30))
    weights = [problem.as_weights(genomes[:, :n], brain) for n in (30, 15)]
    weights, which = np.concatenate(weights), np.arange(12) % 4
    together = problem.drive(brain, tracks, which, weights, 200, 200)
    for i in range(12):
        race = problem.Race(tracks, which[i : i + 1])
        decisions = list(problem.drive_one(brain, race, weights[i], 200))
        assert race.score()[0] == pytest.approx(together[i], abs=12)  # three tiles: float32 sums
        assert len(decisions) == 100 and abs(decisions[-1][1]).max() > 0
    assert np.ptp(together) > 10


def test_c_on_z_alone_does_not_read_h():
    rng = np.random.default_rng(8)
    brain, z = small_brain(rng), rng.normal(size=(3, 4))
    for n, same in ((15, True), (30, False)):
        weights = problem.as_weights(rng.normal(size=(1, n)), brain)[0]
        one, other = (problem.choose(brain, weights, z, rng.normal(size=(3, 5))) for _ in range(2))
        assert np.array_equal(one, other) == same
        assert (abs(one) <= 1).all() and (one[:, 1:] >= 0).all()


def test_cars_that_find_no_new_tile_are_taken_off(tracks):
    brain = small_brain(np.random.default_rng(9))
    weights = np.zeros((1, 10, 3), np.float32)
    weights[0, 0] = -3, 3, -3  # full lock and full gas: round in circles on the grass
    score = problem.drive(brain, tracks, np.zeros(1, int), weights, 1000, 50)
    assert score > problem.drive(brain, tracks, np.zeros(1, int), weights, 1000, 1000) + 50


def test_search_finds_an_ellipsoid_s_top():
    search = problem.Search(np.random.default_rng(0), 12, 16)
    goal, stretch = np.linspace(-2, 2, 12), 10.0 ** np.linspace(0, 3, 12)
    for _ in range(400):
        search.tell(-(stretch * (search.ask() - goal) ** 2).sum(1))
    np.testing.assert_allclose(search.mean, goal, atol=1e-3)
    assert search.scale.max() / search.scale.min() > 30  # the diagonal learnt the stretch


def test_probe_reads_a_linear_signal_and_nothing_else():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 20, 6))
    assert problem.probe(features, features @ np.arange(6) + 3)[0] == pytest.approx(1)
    assert abs(problem.probe(features, rng.normal(size=(50, 20)))[0]) < 0.05
