"""Checks that only subgoal-obstacle-avoidance has."""

import functools
import re
from types import SimpleNamespace

import numpy as np
import pytest

from tests.contract import ROOT, load_script

problem = load_script("subgoal-obstacle-avoidance")


def area_under_cone(radius, beside):
    """The price of a line that passes a swamp's tip at a distance, in closed form: with half the
    chord w, 2 w - (w R + h^2 asinh(w / h)) / R."""
    half = np.sqrt(radius**2 - beside**2)
    return 2 * half - (half * radius + beside**2 * np.arcsinh(half / beside)) / radius


@pytest.mark.parametrize("beside", [0.01, 0.5, 1.1])
def test_price_is_the_area_under_the_cone(beside, monkeypatch):
    a, b, disk = np.array([-3.0, beside]), np.array([3.0, beside]), np.array([0, 0, 1.4])
    wanted = area_under_cone(1.4, beside)
    assert problem.exact_price(a, b, disk)[0] == pytest.approx(wanted, abs=0.03)
    monkeypatch.setattr(problem, "POINTS", 4000)
    assert problem.exact_price(a, b, disk)[0] == pytest.approx(wanted, rel=1e-4)
    turned = problem.exact_price(b[::-1], a[::-1], disk)[0]
    assert turned == pytest.approx(wanted, rel=1e-4), "either way, in any direction"


def test_walked_trips_pay_that_area(monkeypatch):
    a, b, disk, paid = problem.make_trips(np.random.default_rng(1), 400)
    monkeypatch.setattr(problem, "POINTS", 1000)
    area = problem.exact_price(*(part.astype(float) for part in (a, b, disk)))[0]
    assert np.abs(paid - area).max() < 0.05
    assert (paid[:200] > 0).mean() > 0.9 > 0.6 > (paid[200:] > 0).mean(), "half graze a disk"


def test_trained_evaluator_knows_prices_and_slopes():
    rng = np.random.default_rng(2)
    error, cosine = problem.model_quality(rng, problem.train_evaluator(rng, 20_000))
    assert error < 0.1 and cosine > 0.75
    error, cosine = problem.model_quality(rng, problem.new_net(rng, (4, 32, 32, 1)))
    assert error > 0.5 and cosine < 0.5


def nets(seed=3, count=12):
    """S with weights that bend plans well off the line, E, and arenas, in float64."""
    rng = np.random.default_rng(seed)
    net = problem.new_net(rng, (3 * 4 + 4, 128, 128, 6), last=0.1)
    net = {name: w.astype(float) for name, w in net.items()}
    net["W3"] *= 8
    evaluator = {name: w.astype(float) for name, w in problem.new_net(rng, (4, 32, 32, 1)).items()}
    arenas = problem.make_arenas(rng, "arenas", count, 4)
    parts = (part.astype(float) for part in (arenas.start, arenas.goal, arenas.disks))
    return net, functools.partial(problem.net_price, evaluator), problem.Arenas(*parts)


@pytest.mark.parametrize("learned", [True, False])
def test_a_batch_learns_what_single_arenas_learn(learned):
    net, price, arenas = nets()
    price = price if learned else problem.exact_price
    plan, x, axes, hidden, inside = problem.choose(net, price, arenas)
    J, d_plan = problem.cost(price, plan, arenas.priced())
    grads = problem.back_into_weights(net, x, hidden, axes, inside, d_plan / len(J))
    rows = zip(arenas.start, arenas.goal, arenas.disks, strict=True)
    single = [problem.learn_from_one(net, price, *row) for row in rows]
    assert pytest.approx([each for each, _ in single]) == J
    for name, g in grads.items():
        plain = np.mean([gradient[name] for _, gradient in single], axis=0)
        np.testing.assert_allclose(g, plain, rtol=1e-4, atol=1e-6 * np.abs(plain).max())
    assert 0 < (~inside).sum() < inside.size / 2, "some sub-goals must be clipped, not most"


def test_choice_takes_the_cheaper_side():
    net, price, arenas = nets()
    axes = problem.frames(arenas, mirrored=True)
    x = problem.see(arenas, axes)
    prices = []
    for half in (slice(0, 12), slice(12, 24)):
        plan = problem.plan_trips(net, arenas.start, axes[half], x[half])[0]
        prices.append(problem.cost(price, plan, arenas.priced())[0])
    chosen = problem.cost(price, problem.choose(net, price, arenas)[0], arenas.priced())[0]
    np.testing.assert_allclose(chosen, np.minimum(*prices))
    assert 0 < (prices[1] < prices[0]).sum() < 12


def test_mirror_image_is_seen_with_the_other_sign_across():
    _, _, arenas = nets()
    x = problem.see(arenas, problem.frames(arenas, mirrored=True))
    plain, image = x[:12, :12].reshape(12, 4, 3), x[12:, :12].reshape(12, 4, 3)
    np.testing.assert_allclose(image, plain * [1, -1, 1])
    assert (np.diff(plain[..., 0], axis=1) >= 0).all(), "disks come in order along the way"
    way = arenas.goal - arenas.start
    to = arenas.disks[..., :2] - arenas.start[:, None]
    along = (to * way[:, None]).sum(-1) / (way * way).sum(-1)[:, None]
    np.testing.assert_allclose(plain[..., 0], problem.GAIN * np.sort(along, 1))


def test_blind_generator_makes_one_plan():
    net, price, arenas = nets()
    net = {name: w + 0.01 for name, w in net.items()}
    plan, *_, inside = problem.choose(net, price, arenas, blind=True, mirrored=False)
    axes = problem.frames(arenas, mirrored=False)
    far = (axes[:, :1] ** 2).sum(-1)[..., None]
    place = (plan[:, 1:-1] - arenas.start[:, None]) @ axes.swapaxes(1, 2) / far
    free = inside.all((1, 2))
    assert free.sum() > 3
    assert np.ptp(place[free], axis=0) == pytest.approx(np.zeros((3, 2)), abs=1e-9)


@pytest.mark.parametrize("task", ["arenas", "pinned"])
def test_arenas_keep_the_rules_and_block_the_direct_way(task):
    arenas = problem.make_arenas(np.random.default_rng(4), task, 300, 4)
    way = arenas.goal - arenas.start
    assert np.linalg.norm(way, axis=1).min() >= (6 if task == "arenas" else 11.3)
    for end in (arenas.start, arenas.goal):
        gap = np.linalg.norm(arenas.disks[..., :2] - end[:, None], axis=2) - arenas.disks[..., 2]
        assert gap.min() >= 0.4 - 1e-5
    inside = (arenas.disks[:, 1:, :2] >= 0) & (arenas.disks[:, 1:, :2] <= 10)
    assert inside.all() and arenas.disks[..., 2].min() >= 0.8 and arenas.disks[..., 2].max() <= 1.4
    straight = np.stack([arenas.start, arenas.goal], 1)
    assert not problem.walk(straight, arenas.disks)[1].any()


def test_every_arena_has_a_way_through():
    """Flood fill on a grid of 0.2."""
    arenas = problem.make_arenas(np.random.default_rng(5), "arenas", 150, 4)
    line = np.arange(0.1, 10, 0.2)
    x, y = np.meshgrid(line, line)
    free = np.ones((150, 50, 50), bool)
    for disk in arenas.disks.swapaxes(0, 1)[..., None, None]:
        free &= np.hypot(x - disk[:, 0], y - disk[:, 1]) > disk[:, 2]
    cells = [np.minimum((p / 0.2).astype(int), 49) for p in (arenas.start, arenas.goal)]
    rows = np.arange(150)
    seen = np.zeros_like(free)
    seen[rows, cells[0][:, 1], cells[0][:, 0]] = True
    for _ in range(200):
        wide = seen.copy()
        wide[:, 1:] |= seen[:, :-1]
        wide[:, :-1] |= seen[:, 1:]
        wide[:, :, 1:] |= seen[:, :, :-1]
        wide[:, :, :-1] |= seen[:, :, 1:]
        seen = wide & free | seen
    assert seen[rows, cells[1][:, 1], cells[1][:, 0]].all()


def test_walks_by_hand():
    """Through the disk; round it; past it at 0.01; and a detour that takes more than 80 steps."""
    disk = np.array([[[5.0, 5, 1]]])
    plans = [
        [(1, 5), (5, 5), (9, 5)],
        [(1, 5), (5, 7), (9, 5)],
        [(1, 6.01), (5, 6.01), (9, 6.01)],
        [(1, 5), (1, 5), (9, 6.6)],
    ]
    track, good = problem.walk(np.array(plans, float), np.repeat(disk, 4, 0))
    assert good.tolist() == [False, True, True, False]
    assert np.linalg.norm(track[1] - track[0], axis=1) == pytest.approx(0.4)
    far = [[(0, 0), (10, 10), (0, 10), (10, 0), (10, 10)]]
    assert not problem.walk(np.array(far, float), np.array([[[5.0, 12, 0.1]]]))[1].any()


def test_walks_agree_with_a_dense_look_at_the_way():
    """Each step cut into 200 points; cases within 0.002 of a rim may differ."""
    rng = np.random.default_rng(6)
    arenas = problem.make_arenas(rng, "arenas", 200, 4)
    plan = problem.random_plans(rng, arenas, 2)
    plan[:, 1:-1] = plan[:, :1] + (plan[:, 1:-1] - plan[:, :1]) * 0.7
    track, good = problem.walk(plan, arenas.disks)
    share = np.linspace(0, 1, 200)[:, None, None]
    clear = np.full(200, np.inf)
    for at, to in zip(track, track[1:], strict=False):
        p = at + share * (to - at)
        gap = np.linalg.norm(p[:, :, None] - arenas.disks[..., :2], axis=-1)
        clear = np.minimum(clear, (gap - arenas.disks[..., 2]).min((0, 2)))
    arrived = np.linalg.norm(track[-1] - arenas.goal, axis=1) <= 0.4
    sure = np.abs(clear) > 0.002
    assert (good == ((clear > 0) & arrived))[sure].all()
    assert 5 < good.sum() < 195


@pytest.mark.parametrize("name", problem.STAGES)
def test_stacked_nets_are_single_nets(name):
    rng, stage = np.random.default_rng(7), problem.STAGES[name]
    swamps, stacked = problem.make_swamps(rng, stage), problem.new_swamp_nets(rng, stage)
    J, grads, plan = problem.swamp_gradient(stacked, stage, swamps)
    for k in (0, 13):
        one = {weight: w[k : k + 1] for weight, w in stacked.items()}
        alone = problem.swamp_gradient(one, stage, swamps[k : k + 1])
        assert alone[0][0] == pytest.approx(J[k])
        np.testing.assert_allclose(alone[2][0], plan[k])
        for weight, g in alone[1].items():
            np.testing.assert_allclose(g[0], grads[weight][k], rtol=1e-9)
    assert plan.shape == (20, 4, 2) and (plan > 0).all() and (plan < 1).all()


def test_recurrent_generator_feeds_its_sub_goals_back():
    stage = problem.STAGES["one"]
    stacked = problem.new_swamp_nets(np.random.default_rng(8), stage)
    plan, _ = problem.propose(stacked, stage)
    for k in range(3):
        for at, to in ((0, 1), (1, 2)):
            x = np.array([*plan[k, at], 0.9, 0.9])
            h = np.tanh(x @ stacked["W1"][k] + stacked["b1"][k, 0])
            z = h @ stacked["W2"][k] + stacked["b2"][k, 0]
            assert plan[k, to] == pytest.approx(1 / (1 + np.exp(-z)))


def test_shooting_takes_the_cheapest_of_its_plans():
    _, price, arenas = nets()
    plan = problem.shoot(np.random.default_rng(9), price, arenas, 3)
    rng = np.random.default_rng(9)
    plans = [problem.random_plans(rng, arenas, 3) for _ in range(problem.SHOTS)]
    least = np.min([problem.cost(price, each, arenas.priced())[0] for each in plans], axis=0)
    np.testing.assert_allclose(problem.cost(price, plan, arenas.priced())[0], least)


def test_readme_shows_the_worked_example_as_it_runs():
    text = (ROOT / "subgoal-obstacle-avoidance" / "README.md").read_text(encoding="utf-8")
    number = r"(-?[\d.]+)"
    pair = rf"\({number}, {number}\)"
    row = rf"^\| {pair} \| {number} \| {number} \| {number} \| {pair} \|$"
    rows = np.array(re.findall(row, text.replace("−", "-"), re.MULTILINE), float)
    assert len(rows) == 4
    swamp = np.array([[[0.5, 0.5, 0.25]]])
    for x, y, first, second, both, *slope in rows:
        plan = np.array([[problem.START, (x, y), problem.GOAL]])
        price, grad = problem.plan_price(problem.exact_price, plan, swamp)
        legs = [problem.exact_price(plan[0, k], plan[0, k + 1], swamp[0, 0])[0] for k in (0, 1)]
        assert [first, second] == pytest.approx(legs, abs=0.0006)
        assert both == pytest.approx(price[0], abs=0.0006)
        assert slope == pytest.approx(-grad[0, 1], abs=0.006)


def test_options_without_effect_are_refused():
    with pytest.raises(ValueError, match="disks must stay 4"):
        problem.Config(task="swamps", disks=3)
    assert problem.Config(task="swamps", steps=7).steps == 7


def test_quick_run_crosses_its_arenas():
    metrics = SimpleNamespace(**problem.run(problem.Config(**problem.QUICK)).metrics)
    assert metrics.success_learned > 0.95 > 0.01 > metrics.success_direct
    assert metrics.success_learned > metrics.success_constant + 0.1
