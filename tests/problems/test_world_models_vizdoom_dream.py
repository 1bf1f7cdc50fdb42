"""World models, take cover: the room against geometry and a player who knows the targets, views, V,
M's dream against plain loops, and the search."""

import math

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("world-models-vizdoom-dream")
CAP = 800


def rng(seed=0):
    return np.random.default_rng(seed)


def calm_room(**state):
    """One room in which no monster throws, with the state given."""
    room = problem.Rooms(rng(), 1)
    for name, value in state.items():
        getattr(room, name)[:] = value
    room.rng = type("Never", (), {"random": staticmethod(np.ones)})
    return room


class Knowing:
    """A player who knows when and where balls arrive, and tries plans of two parts."""

    def act(self, rooms):
        return np.array([self.choice(rooms, i) for i in range(len(rooms.x))])

    def choice(self, rooms, i):
        """The first of a plan's actions: hold one way for some steps, then the other, or stay."""
        flying = rooms.age[i] < problem.FLIGHT
        left, target = problem.FLIGHT - rooms.age[i][flying], rooms.target[i][flying]
        plans = [
            [a] * n + [b] * (20 - n)
            for n in (1, 3, 6, 10, 15)
            for a in (0, 1, -1)
            for b in (0, 1, -1)
        ]
        a = np.array(plans).T
        x, v = np.full(len(plans), rooms.x[i]), np.full(len(plans), rooms.v[i])
        misses = np.zeros(len(plans))
        for t in range(20):
            v = 0.6 * v + 0.12 * a[t]
            place = np.clip(x + v, 0, problem.WIDTH)
            v[place != x + v] = 0
            x = place
            for goal in target[left == t + 1]:
                misses += (np.abs(goal - x) < 0.7) * 100.0
        return a[0, (misses + 0.1 * np.abs(x - 5)).argmin()]

    def keep(self, mask):
        pass


class Still(Knowing):
    def act(self, rooms):
        return np.zeros(len(rooms.x))


def test_speed_and_walls():
    room = calm_room()
    for _ in range(60):
        room.act(np.array([1.0]))
    assert room.x[0] == 10 and room.v[0] == 0
    for _ in range(12):
        room.act(np.array([-0.4]))
    speed = 0.3 * (1 - 0.6**12)
    assert room.v[0] == pytest.approx(-speed)
    assert room.x[0] == pytest.approx(10 - (0.3 * 12 - 0.6 / 0.4 * speed))
    still = calm_room()
    still.act(np.array([1 / 3]))
    assert still.x[0] == 5


@pytest.mark.parametrize(("away", "dies"), [(0.59, True), (0.61, False)])
def test_a_ball_kills_after_twenty_steps_and_only_near_its_target(away, dies):
    room = calm_room()
    room.throw(np.array([0]), 2)
    room.x += away
    for _ in range(19):
        assert not room.act(np.zeros(1))[0]
    assert room.act(np.zeros(1))[0] == dies
    assert not room.act(np.zeros(1))[0]


def test_who_stands_still_dies_by_the_first_ball():
    lived = problem.survival(problem.Rooms(rng(), 2000), Still(), CAP)
    thrown = 1 / (1 - (1 - problem.THROWS) ** problem.MONSTERS)  # mean steps to the first throw
    assert lived.min() >= 21 and lived.mean() == pytest.approx(20 + thrown, abs=4 * thrown / 44)


def test_random_play_and_pacing():
    many = 1000
    player = problem.RandomPlayer(rng(1), np.full(many, 10))
    assert 72 < problem.survival(problem.Rooms(rng(2), many), player, CAP).mean() < 86
    assert (
        160 < problem.survival(problem.Rooms(rng(3), many), problem.Pacer(many), CAP).mean() < 200
    )


def test_who_knows_the_targets_survives():
    assert (problem.survival(problem.Rooms(rng(4), 3), Knowing(), 300) == 300).all()


def test_no_room_runs_out_of_slots():
    rooms, most = problem.Rooms(rng(5), 2000), 0
    for _ in range(150):
        rooms.act(np.zeros(2000))
        most = max(most, (rooms.age <= problem.FLIGHT).sum(1).max())
    assert 6 < most < problem.SLOTS


def test_view_is_drawn_pixel_by_pixel():
    rooms = problem.Rooms(rng(6), 5)
    for _ in range(60):
        rooms.act(np.full(5, 0.5))
    views = rooms.look().reshape(5, 20, 32)
    assert (rooms.age <= 20).sum() >= 4
    for i in range(5):
        x = rooms.x[i]
        for row in range(20):
            for col in range(32):
                left, right = 16 - 16 * x / 13, 16 + 16 * (10 - x) / 13
                inside = min(max(col + 1 - max(left, 0), 0), 1) * min(
                    max(min(right, 32) - col, 0), 1
                )
                grey = 0.15 + 0.2 * inside
                for m in rooms.monsters[i]:
                    at = 16 + 16 * (m - x) / 13
                    grey -= 0.2 * math.exp(-((col + 0.5 - at) ** 2) - (row - 9.5) ** 2)
                for a, s, g in zip(rooms.age[i], rooms.start[i], rooms.target[i], strict=True):
                    if a <= 20:
                        depth = 12 - 0.6 * a
                        radius = max(0.9, 8 / (depth + 1))
                        at = 16 + 16 * (s + (g - s) * a / 20 - x) / (depth + 1)
                        far = ((col + 0.5 - at) ** 2 + (row - 9.5) ** 2) / radius**2
                        grey += 0.6 * math.exp(-far)
                assert abs(views[i, row, col] - 255 * min(max(grey, 0), 1)) < 1.01


def test_rooms_of_a_batch_keep_their_things():
    rooms = problem.Rooms(rng(7), 6)
    for _ in range(40):
        rooms.act(np.zeros(6))
    views, mask = rooms.look(), np.array([True, False, True, True, False, False])
    rooms.keep(mask)
    np.testing.assert_array_equal(rooms.look(), views[mask])


def test_data_are_whole_episodes():
    views, actions, dead, begins = problem.collect(rng(8), 40)
    first = np.flatnonzero(begins)
    assert len(first) == 40 and first[0] == 0 and len(views) == len(actions) == len(dead)
    last = np.append(first[1:], len(begins)) - 1
    length = last - first
    assert (dead[last] == (length < problem.LONGEST)).all() or dead[last][length < 300].all()
    assert dead.sum() == dead[last].sum() and length.min() >= 20
    empty = views[first].reshape(40, 20, 32)[:, 0]  # top row of the room at rest: no ball yet
    assert (empty == empty[0]).all()


def test_gradients():
    assert problem.gradient_check() < 1e-5


def test_a_dream_step_equals_the_plain_loops():
    draw, n, size, hidden = rng(9), 40, 4, 6
    memory = problem.init_memory(draw, size, hidden, 3, np.float64)
    memory["Wo"] *= 4
    h, tau = draw.normal(size=(n, hidden)), draw.choice(problem.TAUS, n).astype(float)
    chance, noise = draw.random((size, n)), draw.normal(size=(size, n))
    z, dead = problem.imagine(memory, h, tau, chance, noise)
    for i in range(n):
        plain, died = problem.plain_imagine(memory, h[i], tau[i], chance[:, i], noise[:, i])
        np.testing.assert_allclose(z[i], plain, rtol=1e-9)
        assert died == dead[i]
    assert 0 < dead.mean() < 1


def test_a_cool_dream_repeats_itself():
    memory = problem.init_memory(rng(10), 3, 5, 4, np.float64)
    memory["bo"] = rng(11).normal(size=len(memory["bo"]))
    h = np.repeat(rng(12).normal(size=(1, 5)), 500, 0)
    spread = []
    for tau in (0.01, 0.1, 1.0, 1.3):
        draws = rng(13).random((3, 500)), rng(14).normal(size=(3, 500))
        spread.append(problem.imagine(memory, h, np.full(500, tau), *draws)[0].std(0).sum())
    assert spread == sorted(spread) and spread[0] < 0.3 * spread[2]


def test_mixture_is_a_density():
    memory = problem.init_memory(rng(15), 1, 6, 4, np.float64)
    h, grid = rng(16).normal(size=(1, 6)), np.linspace(-40, 40, 8001)
    rows, one = np.repeat(h, len(grid), 0), np.ones(len(grid)) / len(grid)
    death = float(problem.heads(memory, h, 1)[3][0])
    alive = problem.DEATH * np.logaddexp(0, death)
    density = [
        math.exp(
            alive - problem.heads_loss(memory, h, v.reshape(1, 1), np.array([False]), np.ones(1))[0]
        )
        for v in grid[::4]
    ]
    assert np.sum(density) * (grid[4] - grid[0]) == pytest.approx(1, abs=1e-3)
    assert problem.heads_loss(memory, rows, grid[:, None], one < 0, one)[1].shape[1] == len(grid)


def test_state_is_carried_from_window_to_window_and_zero_at_a_beginning():
    draw = rng(17)
    memory = problem.init_memory(draw, 3, 5, 2, np.float64)
    x, begins = draw.normal(size=(8, 2, 4)), np.zeros((9, 2), bool)
    begins[5, 0] = True
    zero = np.zeros((2, 2, 5))
    _, h, c = problem.follow(memory, x, begins, *zero)
    _, h1, c1 = problem.follow(memory, x[:4], begins[:5], *zero)
    _, h2, _ = problem.follow(memory, x[4:], begins[4:], h1[-1], c1[-1])
    np.testing.assert_allclose(h, np.concatenate([h1[:-1], h2]))
    assert (h[5, 0] == 0).all() and (c[5, 0] == 0).all() and (h[5, 1] != 0).all()


def test_streams_begin_with_episodes_and_run_on():
    views, actions, dead, begins = problem.collect(rng(18), 100)
    codes = np.arange(len(begins), dtype=np.float32)[:, None]
    play = problem.Play(codes, np.zeros_like(codes), actions, dead, begins)
    assert begins[play.starts()].all()
    frames = np.array([[len(begins) - 2], [len(begins) - 1], [len(begins)]])
    x, target, died, at = play.window(rng(), frames)
    assert target[:, 0, 0].tolist() == [len(begins) - 1, 0] and at[2, 0]
    assert x[0, 0, 1] == actions[-2] and died[0, 0] == dead[-1]


def test_dreamers_of_a_batch_do_not_disturb_each_other():
    draw = rng(19)
    memory = problem.init_memory(draw, 4, 6, 2)
    memory["Wo"][:, -1] *= 20
    memory["bo"][-1] = -2
    brain = problem.Brain({}, memory, np.zeros(16, np.float32), np.ones(16, np.float32))
    seen = {}
    controllers, tau = draw.normal(size=(30, 16)).astype(np.float32), np.ones(30, np.float32)
    lived = problem.dream(
        draw,
        brain,
        controllers,
        tau,
        draw.normal(size=(30, 4)).astype(np.float32),
        50,
        lambda who, z: [seen.setdefault(i, []).append(row) for i, row in zip(who, z, strict=True)],
    )
    assert [len(seen[i]) for i in range(30)] == lived.tolist() and np.ptp(lived) > 5


def test_search_finds_an_ellipsoid_s_top():
    search = problem.Search(rng(20), 12, 16, 0.5)
    goal, stretch = np.linspace(-2, 2, 12), 10.0 ** np.linspace(0, 3, 12)
    for _ in range(400):
        search.tell(-(stretch * (search.ask() - goal) ** 2).sum(1))
    np.testing.assert_allclose(search.mean, goal, atol=1e-3)


def test_rank_correlation():
    x = np.array([0.1, 0.5, 1.0, 1.15, 1.3])
    assert problem.rank_correlation(x, -(x**3)) == pytest.approx(-1)
    assert problem.rank_correlation(x, np.array([5, 5, 3, 2, 1])) == pytest.approx(
        -0.9747, abs=1e-4
    )
    assert problem.rank_correlation(x, np.ones(5)) is None


def test_quick_run_shows_the_ends_of_the_scale():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["dream_t010"] >= metrics["dream_t115"] and metrics["real_steps_for_C"] == 0
    assert 60 < metrics["random"] < 110
    assert metrics["v_falls_to"] < 0.2 and metrics["m_falls_by"] > 1
