"""A net learns to place sub-goals by gradients that flow back through a model of what a leg costs.

Task      A point walks straight to where it is told, and cannot see what lies on the way.
          swamps: unit square, start (0.1, 0.1), goal (0.9, 0.9). Every swamp (centre c, radius R)
            takes a price: the area under the cone m(p) = max(0, 1 - |p - c| / R) along the way.
          arenas: a box of 10 by 10 with four disks of radius r, one of them in the direct way; all
            is drawn afresh each time. A trip succeeds if it comes to the goal within 80 steps of
            0.4 and never enters a disk. Prices are those of swamps with R = r + 0.3.
          pinned: the same, but always from (1, 1) to (9, 9), past disks of radius 0.8.
Nets      generator S: start, goal (and disks) -> sub-goals s(1) ... s(n). Static: all at once.
          Recurrent, in the swamp task: s(k), goal -> s(k+1), n times with the same weights.
          evaluator E, in the arenas: (a - c) / R, (b - c) / R -> price / R of a straight leg from a
          to b beside one disk. It learns from trips that were walked and what they cost; then it is
          fixed. In the swamps the price is computed, as in the paper of 1992.
Learning  s(0) is the start, s(n+1) the goal, J = sum_k E(s(k), s(k+1)), over all disks, and
            dJ/ds(k) = dE(s(k-1), s(k)) / d 2nd argument + dE(s(k), s(k+1)) / d 1st argument;
          from there it goes on into the weights of S. In the arenas J = 25 price + length, and S
          plans both the arena and its mirror image about the straight line from start to goal: the
          plan that E finds cheaper is walked, and it alone is learnt from.
Controls  a blind S, which sees nothing and so learns one constant plan: one-sided, or with the
          choice between it and its mirror image that S has too; S with the disks of another arena.

    python3 subgoal_obstacle_avoidance.py --quick
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import numbers
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small products: more threads are slower

import numpy as np


# idiom: option
def option(default, meaning, low=None, high=None, among=()):
    """A field of Config: its default, what it means, and what is allowed: low to high, or among."""
    among = (False, True) if isinstance(default, bool) else tuple(among)
    if among:
        allowed = f"one of {', '.join(map(str, among))}"
    else:
        kind = "a whole number" if isinstance(default, int) else "a number"
        allowed = f"{kind} from {low:,} to {high:,}"
    facts = {"meaning": meaning, "low": low, "high": high, "among": among, "allowed": allowed}
    return dataclasses.field(default=default, metadata=facts)


def check_options(config):
    """Raise a ValueError that names field, value and what is allowed unless every value is."""
    for field in dataclasses.fields(config):
        value, facts = getattr(config, field.name), field.metadata
        kind = numbers.Integral if isinstance(field.default, int) else numbers.Real
        if facts["among"]:
            good = value in facts["among"]
        else:
            good = isinstance(value, kind) and facts["low"] <= value <= facts["high"]
        if not good:
            raise ValueError(f"{field.name} must be {facts['allowed']}, got {value!r}")


# end idiom


SWAMPS_READ = ("seed", "task", "steps")  # the options that count in the swamps


@dataclass(frozen=True)
class Config:
    """The defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    task: str = option(
        "arenas", "new arenas, one start and goal, or swamps", among=("arenas", "pinned", "swamps")
    )
    steps: int = option(2000, "gradient steps of S", 1, 5000)
    trips: int = option(100_000, "walked trips that E learns from", 256, 1_000_000)
    disks: int = option(4, "disks in an arena", 1, 10)
    subgoals: int = option(3, "sub-goals in an arena", 1, 6)

    def __post_init__(self):
        check_options(self)
        for field in dataclasses.fields(self):
            value, only_arenas = getattr(self, field.name), field.name not in SWAMPS_READ
            if self.task == "swamps" and only_arenas and value != field.default:
                text = f"{field.name} must stay {field.default}, got {value}"
                raise ValueError(f"{text}: it has no effect where task is swamps")


QUICK = {"steps": 100, "trips": 20_000, "disks": 2}


@dataclass
class Result:
    """metrics; history: J and success while S learns (swamps: each net's price over the straight
    line's); nets, evaluator: weights; plans: (500, n + 2, 2) of each way to plan (swamps: (steps +
    1, nets, n + 2, 2) of each stage); scene: the test arenas (swamps: those of each stage)."""

    metrics: dict
    history: dict
    nets: dict
    evaluator: dict
    plans: dict
    scene: Arenas | dict


# --- nets of two layers of tanh units, for E and S in the arenas ---------------------------------


def new_net(rng, sizes, last=1.0):
    """Normal weights, of variance 1 / inputs; the last layer's times `last`."""
    net = {}
    for k, gain in ((1, 1), (2, 1), (3, last)):
        scale = gain / math.sqrt(sizes[k - 1])
        net[f"W{k}"] = rng.normal(0, scale, sizes[k - 1 : k + 1]).astype(np.float32)
        net[f"b{k}"] = np.zeros(sizes[k], np.float32)
    return net


def forward(net, x):
    """Units of both hidden layers and the outputs' net inputs, for x (rows, inputs)."""
    h1 = np.tanh(x @ net["W1"] + net["b1"])
    h2 = np.tanh(h1 @ net["W2"] + net["b2"])
    return h1, h2, h2 @ net["W3"] + net["b3"]


def weight_gradient(net, x, h1, h2, d3):
    """dJ/dW from d3, that by the outputs' net inputs: d2 = W3 d3 (1 - h2 h2), and so on down."""
    d2 = d3 @ net["W3"].T * (1 - h2 * h2)
    d1 = d2 @ net["W2"].T * (1 - h1 * h1)
    grads = {"W1": x.T @ d1, "W2": h1.T @ d2, "W3": h2.T @ d3}
    return grads | {"b1": d1.sum(0), "b2": d2.sum(0), "b3": d3.sum(0)}


# --- prices ------------------------------------------------------------------------------------

POINTS = 16  # midpoints of a leg at which a price is computed


def exact_price(a, b, disk):
    """What straight legs from a to b (..., 2) cost in the swamps disk (..., 3): x, y, R.

    With p = a + t (b - a), L = |b - a| and M the mean of m(p) over t, the price is F = L M, and
    dF/da = L mean((1 - t) dm/dp) - (b - a) M / L,    dF/db = L mean(t dm/dp) + (b - a) M / L,
    dm/dp = -(p - c) / (|p - c| R) where m > 0. Returns F (...), dF/da and dF/db (..., 2).
    """
    t = ((np.arange(POINTS) + 0.5) / POINTS).astype(a.dtype)
    way, from_centre = b - a, a - disk[..., :2]
    x = from_centre[..., :1] + way[..., :1] * t
    y = from_centre[..., 1:] + way[..., 1:] * t
    far, radius = np.sqrt(x * x + y * y) + 1e-9, disk[..., 2]
    height = np.maximum(0, 1 - far / radius[..., None])
    length, mean = np.sqrt((way * way).sum(-1)) + 1e-9, height.mean(-1)
    slope = np.where(height > 0, -1 / far, 0)  # dm/dp = slope (p - c) / R
    pull = (length / radius / POINTS)[..., None]  # L / R, and the 1 / POINTS of the mean
    by_x, by_y = slope * x, slope * y
    at_b = pull * np.stack([by_x @ t, by_y @ t], -1)
    at_a = pull * np.stack([by_x.sum(-1), by_y.sum(-1)], -1) - at_b
    longer = way * (mean / length)[..., None]
    return length * mean, at_a - longer, at_b + longer


def net_price(evaluator, a, b, disk):
    """The same as E predicts it: F = R E(u) with u = ((a - c) / R, (b - c) / R), so dF/da, dF/db
    are the two halves of dE/du = W1 d1, with d2 = W3 slope (1 - h2 h2), d1 = W2 d2 (1 - h1 h1)."""
    shape = np.broadcast_shapes(a.shape[:-1], disk.shape[:-1])
    radius = np.broadcast_to(disk[..., 2:], (*shape, 1)).reshape(-1, 1)
    u = np.concatenate([a - disk[..., :2], b - disk[..., :2]], -1).reshape(-1, 4) / radius
    h1, h2, z = forward(evaluator, u)
    price, slope = softplus(z)
    d2 = slope * evaluator["W3"][:, 0] * (1 - h2 * h2)
    d1 = d2 @ evaluator["W2"].T * (1 - h1 * h1)
    du = (d1 @ evaluator["W1"].T).reshape(*shape, 4)
    return (price * radius).reshape(shape), du[..., :2], du[..., 2:]


def softplus(z):
    """log(1 + exp(z)), E's output, and its slope 1 / (1 + exp(-z)); safe for large z."""
    small = np.exp(-np.abs(z))
    return np.maximum(z, 0) + np.log1p(small), np.where(z > 0, 1, small) / (1 + small)


def plan_price(price, plan, disks):
    """Price of plans (plans, n + 2, 2), all legs and disks (plans, disks, 3), and its gradient."""
    cost, at_a, at_b = price(plan[:, :-1, None], plan[:, 1:, None], disks[:, None])
    grad = np.zeros_like(plan)
    grad[:, :-1] += at_a.sum(2)  # dE/d 1st argument
    grad[:, 1:] += at_b.sum(2)  # dE/d 2nd argument
    return cost.sum((1, 2)), grad


# --- the swamps: plain gradient descent, twenty nets side by side ------------------------------

NETS, SUBGOALS, IN_TIME = 20, 2, 100  # nets, sub-goals, steps within which a net must be done
DONE = 0.01  # of the straight line's price
START, GOAL = np.array([0.1, 0.1]), np.array([0.9, 0.9])


@dataclass(frozen=True)
class Swamps:
    """A stage: how many swamps, their R, how far they scatter; kind of S, rate, price's factor."""

    count: int
    radius: float
    scatter: float
    recurrent: bool
    rate: float
    scale: float


STAGES = {
    "one": Swamps(1, 0.25, 0.05, recurrent=True, rate=0.03, scale=5),
    "many": Swamps(5, 0.12, 0.03, recurrent=False, rate=0.002, scale=200),
    "many_recurrent": Swamps(5, 0.12, 0.03, recurrent=True, rate=0.002, scale=200),
}


def make_swamps(rng, stage):
    """(nets, count, 3): spread over the middle of the line from start to goal, then scattered."""
    along = (np.arange(stage.count) + 1) / (stage.count + 1)
    centre = START + along[:, None] * (GOAL - START)
    centre = centre + rng.uniform(-stage.scatter, stage.scatter, (NETS, stage.count, 2))
    return np.concatenate([centre, np.full((NETS, stage.count, 1), stage.radius)], -1)


def new_swamp_nets(rng, stage):
    """40 tanh units, logistic outputs; weights from -0.1 to 0.1, the first axis counts nets."""
    outputs = 2 if stage.recurrent else 2 * SUBGOALS
    shapes = {"W1": (4, 40), "b1": (1, 40), "W2": (40, outputs), "b2": (1, outputs)}
    return {name: rng.uniform(-0.1, 0.1, (NETS, *shape)) for name, shape in shapes.items()}


def propose(nets, stage):
    """Plans (nets, n + 2, 2), and for each use of S its inputs, hidden units and outputs."""
    count = len(nets["W1"])
    goal, parts, trace = np.tile(GOAL, (count, 1)), [np.tile(START, (count, 1))], []
    for _ in range(SUBGOALS if stage.recurrent else 1):
        x = np.concatenate([parts[-1], goal], -1)[:, None]
        h = np.tanh(x @ nets["W1"] + nets["b1"])
        y = 0.5 + 0.5 * np.tanh(0.5 * (h @ nets["W2"] + nets["b2"]))
        trace.append((x, h, y))
        parts.append(y[:, 0])
    return np.concatenate([*parts, goal], -1).reshape(count, -1, 2), trace


def swamp_gradient(nets, stage, swamps):
    """J (nets,), its gradient, the plans. Recurrent: from each sub-goal also into the one before.

    d_out = dJ/dy y (1 - y),  d_hidden = W2 d_out (1 - h h),  dJ/dx = W1 d_hidden.
    """
    plan, trace = propose(nets, stage)
    price, d_plan = plan_price(exact_price, plan, swamps)
    grads = {name: np.zeros_like(w) for name, w in nets.items()}
    d_parts = stage.scale * d_plan[:, 1:-1].reshape(len(plan), len(trace), 1, -1)
    fed_back = np.zeros((len(plan), 1, 2))
    for k in reversed(range(len(trace))):
        x, h, y = trace[k]
        d_y = d_parts[:, k] + fed_back if stage.recurrent else d_parts[:, k]
        d_out = d_y * y * (1 - y)
        d_hidden = d_out @ nets["W2"].swapaxes(1, 2) * (1 - h * h)
        parts = {"W1": x.swapaxes(1, 2) @ d_hidden, "b1": d_hidden}
        parts |= {"W2": h.swapaxes(1, 2) @ d_out, "b2": d_out}
        for name, part in parts.items():
            grads[name] += part
        fed_back = (d_hidden @ nets["W1"].swapaxes(1, 2))[..., :2]
    return stage.scale * price, grads, plan


def cross_swamps(rng, stage, steps):
    """W -= rate dJ/dW, `steps` times. Returns plans (steps + 1, nets, n + 2, 2), the swamps, and J
    as a share of the straight line's price (steps + 1, nets)."""
    swamps, nets = make_swamps(rng, stage), new_swamp_nets(rng, stage)
    straight = np.tile(np.stack([START, GOAL]), (NETS, 1, 1))
    direct = stage.scale * plan_price(exact_price, straight, swamps)[0]
    plans, shares = [], []
    for _ in range(steps + 1):  # once more than steps: the last plan counts too
        J, grads, plan = swamp_gradient(nets, stage, swamps)
        plans.append(plan)
        shares.append(J / direct)
        for name, g in grads.items():
            nets[name] -= stage.rate * g
    return np.array(plans), swamps, np.array(shares)


def run_swamps(config, watch):
    """All stages; counts are steps until J is below 1 % of the straight line's price."""
    metrics, history = {"nets": NETS}, {"step": list(range(config.steps + 1))}
    plans, scene = {}, {}
    streams = np.random.default_rng(config.seed).spawn(len(STAGES))
    for k, (name, stage) in enumerate(STAGES.items()):
        plans[name], scene[name], shares = cross_swamps(streams[k], stage, config.steps)
        below = shares < DONE
        first = np.where(below.any(0), below.argmax(0), np.inf)
        within = first[first <= IN_TIME]
        metrics[f"{name}_solved"] = len(within)
        metrics[f"{name}_steps"] = float(np.median(within)) if len(within) else None
        metrics[f"{name}_slowest"] = float(within.max()) if len(within) else None
        history[f"{name}_share"] = shares.tolist()
        if watch:
            watch(k + 1, len(STAGES), solved=len(within), plans=plans[name])
    return Result(metrics, history, {}, {}, plans, scene)


# --- the arenas --------------------------------------------------------------------------------

SIDE, STEP, LIMIT = 10.0, 0.4, 80  # the box, a step, and how many a trip may take
MARGIN, CLEAR = 0.3, 0.4  # R - r; what is free between a disk and start or goal
APART = 6.0  # start and goal, at least


@dataclass
class Arenas:
    """start, goal: (count, 2); disks: (count, disks, 3): x, y, r."""

    start: np.ndarray
    goal: np.ndarray
    disks: np.ndarray

    def __getitem__(self, which):
        return Arenas(self.start[which], self.goal[which], self.disks[which])

    def priced(self):
        """The disks with the radius R within which a leg is charged."""
        return self.disks + np.array([0, 0, MARGIN], np.float32)


def make_arenas(rng, task, count, disks):
    """Arenas, drawn until there are enough that keep the rules; disk 1 is in the direct way."""
    kept, missing = [], count
    while missing > 0:
        shape = (4 * missing + 50, disks)
        start, goal = rng.uniform(0, SIDE, (2, shape[0], 2))
        centre, radius = rng.uniform(0, SIDE, (*shape, 2)), rng.uniform(0.8, 1.4, shape)
        if task == "pinned":
            start[:], goal[:], radius[:] = 1, 9, 0.8
        way = goal - start
        far = np.linalg.norm(way, axis=1)
        along, beside = rng.uniform(0.3, 0.7, shape[0]), rng.uniform(-0.5, 0.5, shape[0]) / far
        across = np.stack([-way[:, 1], way[:, 0]], -1)
        centre[:, 0] = start + along[:, None] * way + beside[:, None] * across
        good = far >= APART
        for end in (start, goal):
            gap = np.linalg.norm(centre - end[:, None], axis=2) - radius
            good &= (gap >= CLEAR).all(1)
        disk = np.concatenate([centre, radius[..., None]], -1)
        kept.append([part[good].astype(np.float32) for part in (start, goal, disk)])
        missing -= int(good.sum())
    return Arenas(*(np.concatenate(parts)[:count] for parts in zip(*kept, strict=True)))


def walk(plan, disks):
    """Trips towards each target in turn, up to 0.4 before it, until all are over: the ways (steps
    + 1, trips, 2), and which come to the goal without a point in a disk (trips, disks, 3)."""
    at, target, trips = plan[:, 0], np.ones(len(plan), int), np.arange(len(plan))
    track, free, last = [at], np.ones(len(plan), bool), plan.shape[1] - 1
    for _ in range(LIMIT):
        for _ in range(last):  # a target may lie close to the next
            near = np.linalg.norm(plan[trips, target] - at, axis=1) <= STEP
            target = np.minimum(target + near, last)
        to = plan[trips, target] - at
        far = np.linalg.norm(to, axis=1, keepdims=True)
        if (far <= STEP).all():
            break
        step = np.where(far <= STEP, 0, to * STEP / np.maximum(far, STEP))
        free &= (distance_to_segment(disks[..., :2], at, step) >= disks[..., 2]).all(1)
        at = at + step
        track.append(at)
    arrived = np.linalg.norm(plan[:, -1] - at, axis=1) <= STEP
    return np.array(track), free & arrived


def distance_to_segment(point, at, step):
    """From points (trips, disks, 2) to segments from `at` to `at + step`, both (trips, 2)."""
    to = point - at[:, None]
    along = (to * step[:, None]).sum(-1) / np.maximum((step * step).sum(-1), 1e-12)[:, None]
    return np.linalg.norm(to - np.clip(along, 0, 1)[..., None] * step[:, None], axis=-1)


# --- the generator S ---------------------------------------------------------------------------

HIDDEN, BATCH = 128, 128
PRICE = 25.0  # how many units of length a unit of price is worth
GAIN = 3  # times what S sees of the disks, so that its inputs are of the size of 1


def frames(arenas, mirrored):
    """Axes of the frame in which S plans: (plans, 2, 2), rows: from start to goal, and at right
    angles to it, as long. With mirrored, the images with the second axis turned round follow."""
    way = arenas.goal - arenas.start
    across = np.stack([-way[:, 1], way[:, 0]], -1)
    plain = np.stack([way, across], 1)
    return np.concatenate([plain, np.stack([way, -across], 1)]) if mirrored else plain


def see(arenas, axes):
    """What S sees: (plans, 3 disks + 4), in its frame: x, y, r of the disks, in order of x; the
    box's centre, and the way from there to the middle of its right wall."""
    times = len(axes) // len(arenas.start)
    start, disks = np.tile(arenas.start, (times, 1)), np.tile(arenas.disks, (times, 1, 1))
    far = np.sqrt((axes[:, :1] ** 2).sum(-1))
    inverse = axes.swapaxes(1, 2) / far[..., None] ** 2
    place = (disks[..., :2] - start[:, None]) @ inverse
    seen = np.concatenate([place, disks[..., 2:] / far[..., None]], -1)
    order = place[..., 0].argsort(1)
    seen = np.take_along_axis(seen, order[..., None], 1).reshape(len(axes), -1)
    centre = (SIDE / 2 - start)[:, None] @ inverse
    right = np.array([[SIDE / 2, 0]], axes.dtype) @ inverse
    return np.concatenate([GAIN * seen, centre[:, 0], right[:, 0]], 1)


def plan_trips(net, start, axes, x):
    """Plans (plans, n + 2, 2) of S for inputs x, in the box; hidden units; what is not clipped."""
    h1, h2, q = forward(net, x)
    q = q.reshape(len(x), -1, 2)
    n = q.shape[1]
    q = q + np.stack([np.arange(1, n + 1) / (n + 1), np.zeros(n)], -1).astype(q.dtype)
    free = start[:, None] + q @ axes
    inside = np.clip(free, 0, SIDE)
    goal = start + axes[:, 0]
    plan = np.concatenate([start[:, None], inside, goal[:, None]], 1)
    return plan, (h1, h2), free == inside


def back_into_weights(net, x, hidden, axes, inside, d_plan):
    """dJ/dW; dJ/dq = dJ/ds axes^T inside the box, 0 where a sub-goal was clipped."""
    d_q = (d_plan[:, 1:-1] * inside) @ axes.swapaxes(1, 2)
    return weight_gradient(net, x, *hidden, d_q.reshape(len(x), -1))


def cost(price, plan, disks):
    """J = 25 price + length of plans (plans,), and its gradient (plans, n + 2, 2)."""
    total, grad = plan_price(price, plan, disks)
    way = plan[:, 1:] - plan[:, :-1]
    length = np.sqrt((way * way).sum(-1)) + 1e-9
    unit = way / length[..., None]
    grad = PRICE * grad
    grad[:, 1:] += unit
    grad[:, :-1] -= unit
    return PRICE * total + length.sum(1), grad


# --- one arena in plain form -------------------------------------------------------------------


def plan_one(net, price, start, goal, disks, side):
    """One plan and its J: side is 1, or -1 for the mirror image. Returns J, dJ/ds, and what S did:
    inputs, hidden units, the frame's axes, the plan s."""
    way = goal - start
    axes = np.array([way, side * np.array([-way[1], way[0]])])
    x = see(Arenas(start[None], goal[None], disks[None]), axes[None])[0]
    h1, h2, out = forward(net, x)
    n = len(out) // 2
    s = [start]
    for k in range(n):
        free = start + way * (k + 1) / (n + 1) + out[2 * k] * axes[0] + out[2 * k + 1] * axes[1]
        s.append(np.clip(free, 0, SIDE))
    s.append(goal)
    J, ds = 0.0, np.zeros((n + 2, 2))
    for k in range(n + 1):
        length = np.linalg.norm(s[k + 1] - s[k])
        J += length
        ds[k] -= (s[k + 1] - s[k]) / length
        ds[k + 1] += (s[k + 1] - s[k]) / length
        for x_c, y_c, r in disks:
            F, at_a, at_b = price(s[k], s[k + 1], np.array([x_c, y_c, r + MARGIN]))
            J += PRICE * F
            ds[k] += PRICE * at_a  # s(k) is where leg k starts ...
            ds[k + 1] += PRICE * at_b  # ... and s(k + 1) where it ends
    return J, ds, x, h1, h2, axes, s


def learn_from_one(net, price, start, goal, disks):
    """J of the cheaper of both plans for one arena, and dJ/dW; disks: (disks, 3)."""
    both = [plan_one(net, price, start, goal, disks, side) for side in (1, -1)]
    J, ds, x, h1, h2, axes, s = min(both, key=lambda plan: plan[0])
    d3 = []
    for at, d in zip(s[1:-1], ds[1:-1], strict=True):
        d3.extend(axes @ (d * ((at > 0) & (at < SIDE))))  # no pull where a wall holds it
    d2 = net["W3"] @ d3 * (1 - h2 * h2)
    d1 = net["W2"] @ d2 * (1 - h1 * h1)
    grads = {"W1": np.outer(x, d1), "W2": np.outer(h1, d2), "W3": np.outer(h2, d3)}
    return J, grads | {"b1": d1, "b2": d2, "b3": np.array(d3)}


# --- learning ----------------------------------------------------------------------------------


# idiom: adam
class Adam:
    """Adam (Kingma & Ba 2015) over a dict of arrays, which step() updates in place.

    limit: largest norm of the gradient, taken over all arrays; a longer gradient is scaled to it.
    stacked: the first axis of every array counts replicas, each limited by itself; rate may then
    be an array (replicas,).
    """

    def __init__(self, weights, rate, beta1=0.9, beta2=0.999, eps=1e-8, limit=None, stacked=False):
        self.rate, self.beta1, self.beta2, self.eps, self.t = rate, beta1, beta2, eps, 0
        self.limit, self.stacked = limit, stacked
        self.mean = {name: np.zeros_like(w) for name, w in weights.items()}
        self.square = {name: np.zeros_like(w) for name, w in weights.items()}

    def step(self, weights, grads):
        """Move each array of weights that has an entry in grads (same shape) one step downhill."""
        self.t += 1
        rate = self.rate * float(np.sqrt(1 - self.beta2**self.t)) / (1 - self.beta1**self.t)
        if self.limit is not None:
            grads = self.limited(grads)
        for name, g in grads.items():
            mean, square = self.mean[name], self.square[name]
            mean += (1 - self.beta1) * (g - mean)
            square += (1 - self.beta2) * (g * g - square)
            weights[name] -= self.fitted(rate, mean) * mean / (np.sqrt(square) + self.eps)

    def limited(self, grads):
        """The gradients, a longer one scaled to the limit."""
        rows = [g.reshape(len(g) if self.stacked else 1, -1) for g in grads.values()]
        norm = np.sqrt(sum((row * row).sum(1) for row in rows))
        scale = self.limit / np.maximum(norm, self.limit)
        scale = scale if self.stacked else float(scale[0])
        return {name: g * self.fitted(scale, g) for name, g in grads.items()}

    def fitted(self, factor, array):
        """A number as it is; (replicas,) as (replicas, 1, ...), in the precision of array."""
        if np.ndim(factor) == 0:
            return factor
        return factor.reshape(-1, *[1] * (array.ndim - 1)).astype(array.dtype)


# end idiom


def make_trips(rng, count):
    """Walked trips: from a to b (count, 2), past a disk (count, 3), and what they cost (count,).

    The first half pass a point in or near the disk, the others lead anywhere in the box. A trip
    goes in steps of 0.4, the last one shorter, and pays m(p) times its length in mid-step.
    """
    disk = rng.uniform([0, 0, 0.8 + MARGIN], [SIDE, SIDE, 1.4 + MARGIN], (count, 3))
    a, b = rng.uniform(0, SIDE, (2, count, 2))
    half = count // 2
    angle, heading = rng.uniform(0, 2 * np.pi, (2, half, 1))
    out = disk[:half, 2:] * rng.uniform(0, 1.2, (half, 1))
    near = disk[:half, :2] + out * np.concatenate([np.cos(angle), np.sin(angle)], 1)
    ahead = np.concatenate([np.cos(heading), np.sin(heading)], 1)
    before, after = rng.uniform(0, 4, (2, half, 1))
    a[:half], b[:half] = near - before * ahead, near + after * ahead
    far = np.linalg.norm(b - a, axis=1)
    unit, paid = (b - a) / far[:, None], np.zeros(count)
    for begin in np.arange(0, far.max(), STEP):
        length = np.clip(far - begin, 0, STEP)
        p = a + unit * (begin + length / 2)[:, None]
        height = 1 - np.linalg.norm(p - disk[:, :2], axis=1) / disk[:, 2]
        paid += np.maximum(0, height) * length
    return tuple(part.astype(np.float32) for part in (a, b, disk, paid))


def evaluator_gradient(evaluator, u, target):
    """Mean of (E(u) - target)^2 / 2, and its gradient: by z, (E - target) slope."""
    h1, h2, z = forward(evaluator, u)
    price, slope = softplus(z)
    wrong = price - target
    grads = weight_gradient(evaluator, u, h1, h2, wrong * slope / len(u))
    return 0.5 * float((wrong * wrong).mean()), grads


PASSES, TRIP_BATCH, TRIP_RATE = 4, 256, 1e-2


def train_evaluator(rng, trips):
    """E after four passes over walked trips, Adam's rate falling to 0."""
    a, b, disk, paid = make_trips(rng, trips)
    u = np.concatenate([a - disk[:, :2], b - disk[:, :2]], 1) / disk[:, 2:]
    target = (paid / disk[:, 2])[:, None]
    evaluator = new_net(rng, (4, 32, 32, 1))
    adam, done = Adam(evaluator, TRIP_RATE), 0
    for _ in range(PASSES):
        order = rng.permutation(trips)
        for k in range(0, trips, TRIP_BATCH):
            rows = order[k : k + TRIP_BATCH]
            adam.rate = TRIP_RATE * (1 - done / (PASSES * trips))
            adam.step(evaluator, evaluator_gradient(evaluator, u[rows], target[rows])[1])
            done += len(rows)
    return evaluator


def choose(net, price, arenas, blind=False, mirrored=True, seen=None):
    """For each arena the cheaper plan: plan, inputs, axes, hidden units, inside. A blind S gets
    zeros for inputs; seen: arenas whose disks S is shown instead."""
    axes = frames(arenas, mirrored)
    x = see(arenas if seen is None else Arenas(arenas.start, arenas.goal, seen.disks), axes)
    x = np.zeros_like(x) if blind else x
    times = len(axes) // len(arenas.start)
    start, disks = np.tile(arenas.start, (times, 1)), np.tile(arenas.priced(), (times, 1, 1))
    plan, (h1, h2), inside = plan_trips(net, start, axes, x)
    J = cost(price, plan, disks)[0] if mirrored else np.zeros(len(plan))  # else: no choice
    best = J.reshape(times, -1).argmin(0) * len(arenas.start) + np.arange(len(arenas.start))
    return plan[best], x[best], axes[best], (h1[best], h2[best]), inside[best]


def learn(rng, price, arenas, config, blind=False, mirrored=True, note=None):
    """A generator that has seen all arenas once, 128 at a time; Adam, 3e-3 falling to 3e-4.

    note(step, net, J) is called before some of the steps and at the end.
    """
    sizes = (3 * config.disks + 4, HIDDEN, HIDDEN, 2 * config.subgoals)
    net = new_net(rng, sizes, last=0.1)  # begins near evenly spaced sub-goals on the line
    adam, steps = Adam(net, 3e-3), len(arenas.start) // BATCH
    marks = {int(steps * (i / NOTES) ** 2) for i in range(NOTES)}  # denser where S learns most
    for k in range(steps):
        batch = arenas[k * BATCH : (k + 1) * BATCH]
        plan, x, axes, hidden, inside = choose(net, price, batch, blind, mirrored)
        J, d_plan = cost(price, plan, batch.priced())
        if note and k in marks:
            note(k, net, float(J.mean()))
        grads = back_into_weights(net, x, hidden, axes, inside, d_plan / BATCH)
        adam.rate = 3e-3 - 2.7e-3 * k / steps
        adam.step(net, grads)
    if note:
        note(steps, net, float(J.mean()))
    return net


# --- the experiment ----------------------------------------------------------------------------

TESTS, NOTES, SHOTS = 500, 30, 60  # test arenas; looks at S while it learns; random plans tried


def success(plan, arenas):
    """Share of trips that succeed."""
    return float(walk(plan, arenas.disks)[1].mean())


def random_plans(rng, arenas, subgoals):
    """One plan for each arena, its sub-goals drawn anywhere in the box."""
    between = rng.uniform(0, SIDE, (len(arenas.start), subgoals, 2)).astype(np.float32)
    return np.concatenate([arenas.start[:, None], between, arenas.goal[:, None]], 1)


def shoot(rng, price, arenas, subgoals):
    """The cheapest by `price` of 60 random plans."""
    plans = np.array([random_plans(rng, arenas, subgoals) for _ in range(SHOTS)])
    J = np.array([cost(price, plan, arenas.priced())[0] for plan in plans])
    return plans[J.argmin(0), np.arange(len(arenas.start))]


def model_quality(rng, evaluator):
    """E's squared error on fresh trips over their variance, and the mean cosine of its gradient by
    a and b with the computed one, where there is one."""
    a, b, disk, paid = make_trips(rng, 4000)
    guess, *mine = net_price(evaluator, a, b, disk)
    mine, true = np.concatenate(mine, 1), np.concatenate(exact_price(a, b, disk)[1:], 1)
    sizes = np.linalg.norm(mine, axis=1) * np.linalg.norm(true, axis=1)
    counts = np.linalg.norm(true, axis=1) > 0.05
    cosine = (mine * true).sum(1)[counts] / np.maximum(sizes[counts], 1e-12)
    return float(((guess - paid) ** 2).mean() / paid.var()), float(cosine.mean())


def run(config: Config = Config(), watch=None) -> Result:
    """Train E, then S through E and all controls on the same arenas; let all walk in fresh ones."""
    if config.task == "swamps":
        return run_swamps(config, watch)
    streams = np.random.default_rng(config.seed).spawn(8)
    tests = make_arenas(streams[0], config.task, TESTS, config.disks)
    arenas = make_arenas(streams[1], config.task, BATCH * config.steps, config.disks)
    evaluator = train_evaluator(streams[2], config.trips)
    price = functools.partial(net_price, evaluator)
    history = {"step": [], "J": [], "success": []}

    def note(step, net, J):
        if not math.isfinite(J):
            raise FloatingPointError(f"J is {J} after {step} steps of S")
        share = success(choose(net, price, tests)[0], tests)
        for name, value in zip(history, (step, J, share), strict=True):
            history[name].append(value)
        if watch:
            watch(step, config.steps, J=J, success=share, net=net, evaluator=evaluator)

    nets = {
        "learned": learn(streams[3], price, arenas, config, note=note),
        "exact": learn(streams[4], exact_price, arenas, config),
        "mirrored": learn(streams[5], price, arenas, config, blind=True),
        "constant": learn(streams[6], price, arenas, config, blind=True, mirrored=False),
    }
    others = tests[np.roll(np.arange(TESTS), 1)]
    chance = streams[7]
    error, cosine = model_quality(chance, evaluator)
    plans = {
        "learned": choose(nets["learned"], price, tests)[0],
        "exact": choose(nets["exact"], exact_price, tests)[0],
        "mirrored": choose(nets["mirrored"], price, tests, blind=True)[0],
        "constant": choose(nets["constant"], price, tests, blind=True, mirrored=False)[0],
        "shuffled": choose(nets["learned"], price, tests, seen=others)[0],
        "one_sided": choose(nets["learned"], price, tests, mirrored=False)[0],
        "shooting": shoot(chance, price, tests, config.subgoals),
        "random": random_plans(chance, tests, config.subgoals),
        "direct": np.stack([tests.start, tests.goal], 1),
    }
    metrics = {f"success_{name}": success(plan, tests) for name, plan in plans.items()}
    learned = metrics["success_learned"]
    metrics["gain_constant"] = learned - metrics["success_constant"]
    metrics["gain_mirrored"] = learned - metrics["success_mirrored"]
    metrics["gain_shuffled"] = learned - metrics["success_shuffled"]
    metrics["model_gap"] = metrics["success_exact"] - learned
    metrics |= {"model_error": error, "model_cosine": cosine}
    return Result(metrics, history, nets, evaluator, plans, tests)


# idiom: gradient_check
def worst_relative_error(loss, weights, grads, most=60, eps=1e-5):
    """Largest relative difference between grads and the central differences of loss().

    loss() reads the float64 arrays of the dict weights; grads holds its gradient, array by array.
    At most `most` entries of each array are tried, evenly spread. Entries far below an array's
    largest are judged against that one.
    """
    worst = 0.0
    for name, grad in grads.items():
        w, floor = weights[name].reshape(-1), 1e-3 * np.abs(grad).max() + 1e-5
        for i in np.unique(np.linspace(0, w.size - 1, most).astype(int)):
            kept, analytic = w[i], grad.reshape(-1)[i]
            w[i] = kept + eps
            above = loss()
            w[i] = kept - eps
            numeric = (above - loss()) / (2 * eps)
            w[i] = kept
            worst = max(worst, abs(numeric - analytic) / max(abs(numeric) + abs(analytic), floor))
    return float(worst)


# end idiom


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of all derived gradients, in float64: of both prices by the ends of
    legs, of J by the weights of S in swamps (tips off the way) and arenas, of E's error by its."""
    rng, errors = np.random.default_rng(config.seed), []
    a, b, disk, paid = (part.astype(float) for part in make_trips(rng, 12))
    evaluator, net = (
        {name: w.astype(float) for name, w in new_net(rng, sizes).items()}
        for sizes in ((4, 32, 32, 1), (3 * config.disks + 4, HIDDEN, HIDDEN, 2 * config.subgoals))
    )
    learned, ends = functools.partial(net_price, evaluator), {"a": a, "b": b}

    def compare(loss, weights, grads):
        errors.append(worst_relative_error(loss, weights, grads))

    for price in (learned, exact_price):
        grads = dict(zip(ends, price(a, b, disk)[1:], strict=True))
        compare(lambda price=price: price(a, b, disk)[0].sum(), ends, grads)
    for stage in STAGES.values():
        swamps = make_swamps(rng, stage)[:2] + [0.06, 0, 0]
        nets = {name: w[:2] for name, w in new_swamp_nets(rng, stage).items()}
        parts = functools.partial(swamp_gradient, nets, stage, swamps)
        compare(lambda parts=parts: parts()[0].sum(), nets, parts()[1])
    u, target = rng.normal(0, 1, (12, 4)), paid[:, None]
    parts = functools.partial(evaluator_gradient, evaluator, u, target)
    compare(lambda: parts()[0], evaluator, parts()[1])
    arenas = make_arenas(rng, "arenas", 6, config.disks)
    arenas = Arenas(*(part.astype(float) for part in (arenas.start, arenas.goal, arenas.disks)))

    def cost_of_plans():
        return cost(learned, choose(net, learned, arenas)[0], arenas.priced())[0].sum()

    plan, x, axes, hidden, inside = choose(net, learned, arenas)
    d_plan = cost(learned, plan, arenas.priced())[1]
    compare(cost_of_plans, net, back_into_weights(net, x, hidden, axes, inside, d_plan))
    return max(errors)


# idiom: cli
def main(argv=None):
    """Command line: an option for every field of Config; the result goes to standard output."""
    form = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser(description=__doc__, add_help=False, **form)
    parser.error = lambda message: stop(2, message)
    for field in dataclasses.fields(Config):
        text = f"{field.metadata['meaning']} ({field.metadata['allowed']}; default {field.default})"
        kind = {"type": type(field.default), "metavar": "X"}
        if isinstance(field.default, bool):
            kind = {"action": argparse.BooleanOptionalAction, "default": None}
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, help=text.replace("%", "%%"), **kind)
    parser.add_argument("--quick", action="store_true", help="a small instance, about two seconds")
    parser.add_argument("--json", action="store_true", help="print the run as one line of JSON")
    parser.add_argument("-h", "--help", action="store_true", help="print this")
    options = {name: x for name, x in vars(parser.parse_args(argv)).items() if x is not None}
    quick, as_json, wants_help = (options.pop(name) for name in ("quick", "json", "help"))
    try:
        config = Config(**{**(QUICK if quick else {}), **options})
    except ValueError as error:
        stop(2, error)
    try:
        text = parser.format_help().rstrip() if wants_help else run_as_text(config, as_json)
    except KeyboardInterrupt:
        sys.exit(130)
    except FloatingPointError as error:
        stop(1, f"the run diverged: {error}")
    except OSError as error:
        stop(2, error)
    try:
        print(text, flush=True)
    except OSError as error:  # the reader has seen enough, or there is no room
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            stop(1, error)


def run_as_text(config, as_json):
    """Run, with a line of progress on a terminal; returns the record as JSON, or a table of it."""

    def watch(step, total, **state):
        shown = [f"{name} {x:.4g}" for name, x in state.items() if isinstance(x, (int, float))]
        print(f"\r{step}/{total}  {'  '.join(shown)}\x1b[K", end="", file=sys.stderr, flush=True)

    on_terminal = sys.stderr and sys.stderr.isatty() and not as_json
    start, busy = time.perf_counter(), time.process_time()
    try:
        metrics = run(config, watch if on_terminal else None).metrics
    finally:
        if on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    times = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - busy}
    for name, value in metrics.items():
        if value is not None and not math.isfinite(value):
            raise FloatingPointError(f"{name} is {value}")
    if as_json:
        record = {"problem": Path(__file__).stem.replace("_", "-"), "config": vars(config)}
        record |= {"metrics": metrics, **{name: round(x, 3) for name, x in times.items()}}
        record |= {"python": platform.python_version(), "numpy": np.__version__}
        record |= {"machine": platform.machine()}
        return json.dumps(record, default=lambda value: value.item(), allow_nan=False)
    shown = {**metrics, "seconds": round(times["seconds"], 2)}
    return "\n".join(f"{name:<28}{in_five_digits(x)}" for name, x in shown.items())


def in_five_digits(value):
    """A metric as text; a dash where it does not apply."""
    return "-" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def stop(status, message):
    """End with one line on standard error, where there is one."""
    if sys.stderr:
        print(f"{Path(__file__).name}: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
# end idiom
