"""What only relational-nem-bouncing-balls has to keep."""

import itertools

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("relational-nem-bouncing-balls")


def test_energy_is_kept_and_balls_stay_in_the_box():
    rng = np.random.default_rng(0)
    r, x, v = problem.throw(rng, 20, 5, problem.FOUR)
    energy = (r**2 * (v**2).sum(2)).sum(1)
    hits = 0
    for _ in range(60 * problem.SUBSTEPS):
        hits += problem.advance(x, v, r, 1 / problem.SUBSTEPS).sum()
    assert hits > 100
    np.testing.assert_allclose((r**2 * (v**2).sum(2)).sum(1), energy, rtol=1e-10)
    assert (x > r[..., None] - 0.01).all() and (x < 1.01 - r[..., None]).all()


def test_collisions_by_hand():
    x, v = np.array([[[0.4, 0.5], [0.559, 0.5]]]), np.array([[[0.02, 0.01], [-0.01, 0.0]]])
    equal = v.copy()
    assert problem.advance(x.copy(), equal, np.array([[0.08, 0.08]]), 0.001).all()
    np.testing.assert_allclose(equal[0], [[-0.01, 0.01], [0.02, 0.0]], atol=1e-5)
    heavy, r = v.copy(), np.array([[0.12, 0.06]])
    problem.advance(x.copy(), heavy, r, 0.001)
    m = r[0] ** 2
    np.testing.assert_allclose(m @ heavy[0], m @ v[0], atol=1e-15)  # momentum
    assert heavy[0, 1, 0] - heavy[0, 0, 0] == pytest.approx(
        0.03, rel=1e-3
    )  # closing speed turns round
    apart = -v
    assert not problem.advance(x.copy(), apart, np.array([[0.08, 0.08]]), 0.001).any()


def test_walls_turn_balls_back():
    x, v = np.array([[[0.075, 0.5], [0.5, 0.93]]]), np.array([[[-0.03, 0.01], [0.0, 0.04]]])
    assert not problem.advance(x, v, np.array([[0.08, 0.08]]), 1).any()
    np.testing.assert_allclose(v[0], [[0.03, 0.01], [0.0, -0.04]])


def test_hits_stand_beside_the_frame_before_them():
    videos = problem.make_videos(np.random.default_rng(1), 30, 4, problem.FOUR)
    step = np.diff(videos.places, axis=1)
    turned = np.linalg.norm(np.diff(step, axis=1), axis=3) > 1e-9
    inside = ((videos.places > 0.16) & (videos.places < 0.84)).all(3)
    quiet = ~videos.hits[:, :-2] & ~videos.hits[:, 1:-1] & inside[:, :-2] & inside[:, 2:]
    assert not (turned & quiet).any() and videos.hits[:, :-1].any()


def test_frames_show_discs_but_not_behind_the_curtain():
    places, r = np.array([[[[0.5, 0.25]]]]), np.array([[0.1]])
    strip = np.zeros((1, 64), bool)
    frames, shown = problem.draw(places, r, strip)
    row, column = np.nonzero(frames[0, 0])
    assert shown[0, 0, 0] == 1 and row.mean() == 15.5 and column.mean() == 31.5
    assert abs(len(row) - np.pi * 6.4**2) < 6
    strip[0, :32] = True
    frames, shown = problem.draw(places, r, strip)
    assert shown[0, 0, 0] == 0.5 and not frames[0, 0, :, :32].any()


def test_balls_are_found_and_followed():
    videos = problem.make_videos(np.random.default_rng(2), 12, 4, problem.FOUR)
    tracks = problem.follow_all(videos.frames, 5, problem.keep_on, owners=True)
    assert (tracks.used.sum(1) == 4).all()
    errors = [64 * problem.slot_of(tracks, videos, t)[1] for t in range(problem.FRAMES)]
    assert np.median(errors) < 0.15 and np.mean(np.array(errors) < 1) > 0.95
    assert problem.grouping(videos, tracks) > 0.95


def test_an_em_step_by_loops():
    rng = np.random.default_rng(0)
    u, on = rng.random((1, 200, 2)).astype(np.float32), rng.random((1, 200)) < 0.8
    p, r = rng.random((1, 3, 2)).astype(np.float32), np.float32([[0.2, 0.3, 0.25]])
    used = np.array([[True, False, True]])
    new, radii, gamma, lost = problem.em_step(u, on, p, r, used, settled=False)
    share = np.zeros((200, 3))
    for i in range(200):
        beyond = np.linalg.norm(u[0, i] - p[0], axis=1) - r[0]
        psi = 1 / (1 + np.exp(np.minimum(128 * beyond, 60))) * used[0] * on[0, i]
        share[i] = psi / (psi.sum() + 1e-6)
    np.testing.assert_allclose(gamma[0], share, atol=1e-5)
    for k in (0, 2):
        mass = share[:, k].sum()
        np.testing.assert_allclose(new[0, k], share[:, k] @ u[0] / mass, atol=1e-5)
        size = np.sqrt(mass / np.pi) / 64
        assert radii[0, k] == pytest.approx(0.8 * r[0, k] + 0.2 * size, abs=1e-6)
    assert not lost.any() and (new[0, 1] == p[0, 1]).all()


def test_a_slot_that_sees_little_moves_just_so_far():
    u = np.float32([[[0.5, 0.5], [0.52, 0.5], [0.9, 0.5]]])
    on, used = np.ones((1, 3), bool), np.ones((1, 2), bool)
    p, r = np.float32([[[0.3, 0.5], [0.9, 0.5]]]), np.float32([[0.1, 0.1]])
    new, radii, _, lost = problem.em_step(u, on, p, r, used, settled=True)
    assert lost.all() and (radii == r).all()
    np.testing.assert_allclose(new[0], [[0.42, 0.5], [0.9, 0.5]], atol=1e-6)  # edge at 0.52


@pytest.mark.parametrize("kind", ["attention", "sum", "mean", "none"])
def test_slots_are_alike_and_empty_ones_have_no_effect(kind):
    rng = np.random.default_rng(0)
    p, r = rng.uniform(0.2, 0.8, (4, 3, 5, 2)), rng.uniform(0.07, 0.1, (4, 5))
    used, w = np.ones((4, 5), bool), problem.init(rng, 1)
    used[:, 3] = False

    def change(p, r, used):
        return problem.forward(w, (kind,), *problem.describe(p, r, used))[0][0]

    out, order = change(p, r, used), [2, 0, 4, 3, 1]
    np.testing.assert_allclose(
        change(p[:, :, order], r[:, order], used[:, order]), out[:, order], atol=1e-5
    )
    kept = [0, 1, 2, 4]
    np.testing.assert_allclose(
        change(p[:, :, kept], r[:, kept], used[:, kept]), out[:, kept], atol=1e-5
    )
    moved = p.copy()
    moved[:, :, 0] += 0.01
    same = np.allclose(change(moved, r, used)[:, 1:3], out[:, 1:3], atol=1e-7)
    assert same == (kind == "none")


def test_moments_know_the_surprises():
    places = np.zeros((1, 30, 1, 2), np.float32)
    places[0, :15, 0, 0] = 0.3 + 0.02 * np.arange(15)
    places[0, 15:, 0, 0] = places[0, 14, 0, 0] - 0.02 * np.arange(1, 16)
    places[0, :, 0, 1] = 0.5
    used = np.ones((1, 1), bool)
    tracks = problem.Tracks(places, np.full((1, 30, 1), 0.08), used, None)
    every, rare = problem.moments(tracks)
    assert every.tolist() == [[0, t] for t in range(2, 29)] and rare.tolist() == [[0, 14]]


def test_without_a_change_balls_go_straight_on():
    rng = np.random.default_rng(0)
    w = problem.init(rng, 2)
    w["out"][:] = 0
    places = np.cumsum(np.full((3, 30, 2, 2), 0.01, np.float32), 1)
    used = np.ones((3, 2), bool)
    tracks = problem.Tracks(places, np.full((3, 30, 2), 0.08, np.float32), used, None)
    rolled = problem.roll_out(w, ("attention", "none"), tracks)
    np.testing.assert_allclose(rolled, np.repeat(places[None], 2, 0), atol=1e-5)
    truth = places.astype(float)
    truth[:, 10:, :, 1] += 0.2
    videos = problem.Videos(None, truth, np.full((3, 2), 0.1), None, None)
    frames, speed = problem.long_errors(rolled, videos, tracks)
    np.testing.assert_allclose(frames, 8)  # frames 2 to 9 are right
    np.testing.assert_allclose(speed, 0.2 / 27, rtol=1e-3)


def test_rand_index_counts_pairs():
    rng = np.random.default_rng(0)
    u, v = rng.integers(0, 3, 40), rng.integers(0, 4, 40)
    v[:25] = u[:25]
    table = np.zeros((3, 4))
    np.add.at(table, (u, v), 1)
    pairs = list(itertools.combinations(range(40), 2))
    same_u, same_v = (np.array([a[i] == a[j] for i, j in pairs]) for a in (u, v))
    both, chance = (same_u & same_v).sum(), same_u.sum() * same_v.sum() / len(pairs)
    expected = (both - chance) / ((same_u.sum() + same_v.sum()) / 2 - chance)
    assert problem.adjusted_rand(table) == pytest.approx(expected)
    assert problem.adjusted_rand(np.diag([3.0, 5, 2])) == 1


def test_an_occlusion_and_who_keeps_it():
    shown = np.ones((1, 30, 2))
    shown[0, 5:9, 0], shown[0, 9, 0] = 0.1, 0.6
    shown[0, 20:22, 1] = 0  # too short
    places = np.tile([[0.2, 0.2], [0.8, 0.8]], (1, 30, 1, 1))
    videos = problem.Videos(None, places, np.full((1, 2), 0.1), None, shown)
    assert problem.occlusions(videos) == [(0, 0, 4, 10)]
    tracks = problem.Tracks(places.copy(), None, np.ones((1, 2), bool), None)
    assert problem.kept(videos, tracks) == 1
    tracks.places[0, 10:] = tracks.places[0, 10:, ::-1]
    assert problem.kept(videos, tracks) == 0


def test_the_small_instance_is_solved():
    metrics = problem.run(problem.Config(**problem.QUICK)).metrics
    assert metrics["hit_ratio_4"] < 0.9 and metrics["ari_4"] > 0.95
