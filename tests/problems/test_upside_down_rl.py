"""Upside-down RL: the craft against closed forms and Gym, lessons, replay, nets, returns."""

import numpy as np
import pytest

from tests.contract import load_script

problem = load_script("upside-down-rl")


class Still:
    """A generator whose every uniform number lies in the middle of its range: no scatter."""

    def uniform(self, low, high, shape):
        return np.full(shape, (low + high) / 2)


def calm(count=1):
    return problem.Lander(count, Still())


def test_free_fall_is_a_parabola():
    craft = problem.Lander(5, np.random.default_rng(0))
    x, y, vx, vy, angle, spin = (
        getattr(craft, name).copy() for name in ("x", "y", "vx", "vy", "angle", "spin")
    )
    n = 40
    for _ in range(n):
        craft.step(np.zeros(5, int))
    t = n * 0.02
    assert craft.x == pytest.approx(x + vx * t)
    # Semi-implicit Euler: y + vy t - g t (t + dt) / 2.
    assert craft.y == pytest.approx(y + vy * t - 10 * t * (t + 0.02) / 2)
    assert craft.vy == pytest.approx(vy - 10 * t)
    assert craft.angle == pytest.approx(angle + spin * t)


def test_engines_give_momentum_along_and_across_the_axis():
    craft = calm(4)
    craft.angle[:] = 0.3
    craft.move(np.array([0, 1, 2, 3]))
    along, across = np.array([-np.sin(0.3), np.cos(0.3)]), np.array([np.cos(0.3), np.sin(0.3)])
    gained = np.stack([craft.vx, craft.vy + 0.2], 1)
    assert gained @ along == pytest.approx([0, 0, 0.35, 0], abs=1e-12)
    assert gained @ across == pytest.approx([0, -0.049, 0, 0.049], abs=1e-12)
    assert craft.spin == pytest.approx([0, 0.0985, 0, -0.0985])


def test_hovering_needs_the_main_engine_four_steps_of_seven():
    craft = calm()
    for step in range(70):
        craft.move(np.array([2 if step % 7 < 4 else 0]))
    assert craft.vy == pytest.approx([0], abs=1e-9)


def test_shaping_telescopes():
    """Without fuel, crash and landing, rewards add up to the change of closeness."""
    craft = problem.Lander(3, np.random.default_rng(1))
    before = craft.closeness()
    rewards = sum(craft.step(np.zeros(3, int))[0] for _ in range(30))
    assert rewards == pytest.approx(craft.closeness() - before)


@pytest.mark.parametrize(
    ("fall", "drift", "angle", "crash"),
    [(2, 0, 0, 0), (3, 0, 0, 1), (1, 3.5, 0, 0), (1, 4.5, 0, 1), (1, 0, 0.3, 0), (1, 0, 0.5, 1)],
)
def test_only_gentle_contact_is_survived(fall, drift, angle, crash):
    craft = calm()
    craft.vy[:], craft.vx[:], craft.angle[:] = -fall, drift, angle
    legs = problem.LEG_DOWN * np.cos(angle) + problem.LEG_OUT * np.sin(angle)
    craft.y[:] = problem.GROUND + legs + 0.01
    reward, ended, landed = craft.step(np.zeros(1, int))
    assert ended[0] == crash and not landed[0]
    if crash:
        assert reward[0] == -100
    else:
        assert craft.vy[0] == 0 and craft.legs.any()


def test_a_craft_that_stands_lands_and_one_on_its_back_crashes():
    craft = calm(2)
    craft.y[:], craft.vy[:] = [problem.GROUND + 0.7, problem.GROUND + 0.5], -0.5
    craft.vx[:] = craft.spin[:] = 0
    craft.angle[:] = 0.05, np.pi
    rewards = []
    for _ in range(200):
        reward, ended, landed = craft.step(np.zeros(2, int))
        rewards.append((reward, ended, landed))
        if landed[0]:
            break
    assert rewards[0][1][1] and rewards[0][0][1] == -100
    assert landed[0] and ended[0] and reward[0] == 100 and craft.legs[:, 0].all()


def test_the_craft_is_gyms_step_by_step():
    """Gym draws its own scatter: our craft starts each step where Gym's is, mean over repeats."""
    gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    pytest.importorskip("Box2D", reason="Box2D is not installed")
    world = gymnasium.make("LunarLander-v3").unwrapped
    names = ("x", "y", "vx", "vy", "angle", "spin")
    errors = {action: [] for action in range(4)}
    for seed in range(40):
        world.reset(seed=seed)
        for step in range(12):
            body, craft, action = world.lander, calm(), (seed + step) % 4
            state = (*body.position, *body.linearVelocity, body.angle, body.angularVelocity)
            for name, value in zip(names, state, strict=True):
                getattr(craft, name)[:] = value
            craft.shaping = craft.closeness()
            reward = craft.step(np.array([action]))[0][0]
            observed, theirs, *_ = world.step(action)
            errors[action].append([*(craft.observe()[0] - observed), reward - theirs])
    for action, rows in errors.items():
        mean = np.abs(np.mean(rows, 0))
        assert mean[:6].max() < (0.002 if action == 0 else 0.01), (action, mean)
        assert mean[8] < 1.0, (action, mean)


def test_the_papers_toy():
    """s0 -a1-> s1 (2), s0 -a2-> s2 (1), s1 -a3-> s3 (-1): the table of arXiv:1912.02875."""
    found = problem.lessons(["s0", "s1"], ["a1", "a3"], [2, -1], every_end=True)
    found += problem.lessons(["s0"], ["a2"], [1], every_end=True)
    table = {lesson[:3]: lesson[3] for lesson in found}
    assert len(found) == len(table) == 4
    assert table[("s0", 2, 1)] == "a1" and table[("s0", 1, 1)] == "a2"
    assert table[("s0", 1, 2)] == "a1" and table[("s1", -1, 1)] == "a3"


def test_replay_samples_lessons_of_the_best_episodes():
    rng = np.random.default_rng(2)
    replay, told = problem.Replay(1, 4, problem.Chain), {}
    for k in range(9):
        n = int(rng.integers(1, 8))
        s, a = np.eye(9, dtype=np.float32)[rng.integers(0, 9, n)], rng.integers(0, 2, n)
        paid = rng.integers(-3, 4, n) + k / 16
        replay.store(0, s, a, paid)
        told[float(paid.sum())] = problem.lessons(s, a, paid)
    best = sorted(told)[-4:]
    assert sorted(replay.returns[0]) == pytest.approx(best)
    expected = {
        (int(s.argmax()), round(float(d_r), 4), d_h, int(a))
        for total in best
        for s, d_r, d_h, a in told[total]
    }
    states, commands, actions = replay.sample(rng, 2000)
    drawn = {
        (int(s.argmax()), round(float(c[0]), 4), int(c[1]), int(a))
        for s, c, a in zip(states[0], commands[0], actions[0], strict=True)
    }
    assert drawn == expected
    M, S, length = (row[0, 0] for row in replay.commands(2))
    assert M == pytest.approx(np.mean(best[-2:])) and S == pytest.approx(np.std(best[-2:]))
    assert length == np.mean([len(told[total]) for total in best[-2:]])


def test_sparse_reward_is_the_dense_sum_at_the_end():
    rng = np.random.default_rng(3)
    stream = problem.Stream("lander", problem.DELAYED, 6, rng)
    sums = np.zeros((2, 6))
    for _ in range(300):
        paid, ended, total, _ = stream.step(rng.integers(0, 4, (2, 6)))
        sums += paid
        assert (paid[1][~ended[1]] == 0).all()
        assert sums[ended] == pytest.approx(total[ended])
        sums[ended] = 0


def test_both_gradients():
    assert problem.gradient_check() < 1e-5
    assert problem.gradient_check(problem.Config(task="chain", seed=1)) < 1e-5


def test_the_command_multiplies():
    """One net in plain numbers: B is the product u v and two layers; zero commands halve u."""
    rng = np.random.default_rng(4)
    shapes = problem.behaviour_shapes(problem.Lander)
    W = problem.views(rng.normal(0, 0.3, problem.init(rng, shapes, 2).shape), shapes)
    s, c = rng.normal(size=(2, 3, 8)), rng.normal(size=(2, 3, 2))
    logits = problem.behave(W, s, c)[0]
    for net in range(2):
        w = {name: array[net] for name, array in W.items()}
        for k in range(3):
            u = np.tanh(s[net, k] @ w["Ws"] + w["bs"][0])
            v = 1 / (1 + np.exp(-(c[net, k] @ w["Wc"] + w["bc"][0])))
            h = np.maximum((u * v) @ w["W1"] + w["b1"][0], 0)
            h = np.maximum(h @ w["W2"] + w["b2"][0], 0)
            assert logits[net, k] == pytest.approx(h @ w["W3"] + w["b3"][0])


def test_n_step_returns_stop_at_an_episodes_end():
    reward = np.array([[[1.0, 1.0]], [[2.0, 2.0]]])  # (steps, nets, craft)
    ended = np.array([[[False, True]], [[False, False]]])
    kept = [(None, None, r, e) for r, e in zip(reward, ended, strict=True)]
    found = problem.n_step_returns(kept, np.array([[10.0, 10.0]]), gamma=0.5)
    assert found == pytest.approx(np.array([[1 + 0.5 * 7, 1.0, 7.0, 7.0]]))


def test_drawing_follows_the_softmax():
    rng = np.random.default_rng(5)
    logits = np.log(np.array([0.1, 0.2, 0.3, 0.4]))
    share = np.bincount(problem.draw(rng, np.tile(logits, (20000, 1))), minlength=4) / 20000
    assert share == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.015)


def test_shuffled_and_absent_commands_do_not_reach_the_net():
    config = problem.Config(command="none", a2c=False)
    assert not problem.scaled(config, np.ones((1, 3, 2))).any()
    told = problem.scaled(problem.Config(), np.array([[[-900.0, 100.0]]]))
    assert told == pytest.approx(np.array([[[-8.0, 1.0]]]))


def test_the_heuristic_lands():
    found = problem.references(problem.Config(), np.random.default_rng(6))
    assert found["heuristic_landed"] > 0.85 and found["heuristic"] > 220
    assert -260 < found["random"] < -130
