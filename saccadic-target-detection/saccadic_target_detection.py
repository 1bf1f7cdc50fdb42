"""A fovea learns to find a target by gradients that flow back through a model of what it will see.

Task      A triangle, dark (1) on white (0), in a scene of 512 x 512 pixels. A fovea with 40 square
          receptive fields, fine in its middle, sees the dark share of each: x(t), 40 numbers. It
          starts somewhere with the object partly in sight, and moves. All that is told is d, the 40
          numbers seen on the target point, and how far the LAST view is from d: no position.
Action    a(t), four numbers in [0, 1], times 20 px: up, down, left, right, added as vectors. In
          the rotation task two more, times 50 degrees: the two ways to turn, to reach an angle too.
Nets      model M: x(t), a(t) -> prediction of x(t+1), 40 hidden units. Controller C: x(t) -> a(t),
          20 hidden units. Both logistic and without memory; outputs see the inputs too.
Learning  First M, from random moves at random places; then M is fixed. Then C: let it move n times,
          E = 1/2 sum_i (d_i - x_i(n))^2, and carry g = dE/dx(t) from the last view to the first:
            [g_x, g_a] = J_M(x(t), a(t))^T g(t+1)      J_M: derivatives of M's outputs
            g(t)       = g_x + J_C(x(t))^T g_a         J_C: derivatives of C's outputs
          from g(n) = x(n) - d; each step adds (da(t)/dW)^T g_a to C's gradient. Views are always
          real ones: M lends its derivatives, not its predictions. A trajectory is over when the
          next move would lose the object: an empty view says nothing about moves.

    python3 saccadic_target_detection.py --quick
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


@dataclass(frozen=True)
class Config:
    """The paper's task with a faster optimiser; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    task: str = option(
        "translation", "reach a place, or also an angle", among=("translation", "rotation")
    )
    rule: str = option(
        "adam", "batches and Adam, or the paper's single examples", among=("adam", "paper")
    )
    model_examples: int = option(200_000, "random moves shown to M", 1000, 2_000_000)
    trajectories: int = option(20_000, "trajectories of C", 64, 1_000_000)
    start: int = option(90, "largest start offset from the target in x and in y [px]", 20, 100)

    def __post_init__(self):
        check_options(self)


QUICK = {"model_examples": 30_000, "trajectories": 6400, "start": 40}


@dataclass
class Result:
    """metrics; history: C's error and hits while it learns; weights of M, C and the controls' C."""

    metrics: dict
    history: dict
    model: dict
    controller: dict
    others: dict


# --- the task: a scene, a fovea, its moves -----------------------------------------------------

# Sides of 130, 120 and 60 px, the target in the centre of mass; counter-clockwise from the
# sharpest corner, which is up when the fovea is at the goal angle.
CORNERS = np.array([[0.0, 80.966], [-29.555, -45.629], [29.555, -35.337]])
REACH = 150  # from every place farther out in x or y the object is out of sight [px]
ACTIONS = {"translation": 4, "rotation": 6}
STEP, TURN = 20, np.radians(50)  # largest move [px] and turn [radians] in a direction
SEEN = 0.02  # the object is in sight where at least one input is this large
WITHIN = {"translation": 10, "rotation": 15}  # a hit: so near to the target [px] ...
ALIGNED = 15  # ... and in the rotation task so near to the goal angle [degrees]
LAST = {"translation": 15, "rotation": 20}  # the step at which that is judged

GRID = np.stack(np.meshgrid(np.arange(4) - 1.5, np.arange(4) - 1.5), -1).reshape(16, 2)
RING = np.abs(GRID).max(1) > 1  # all but the four in the middle, where the next finer grid lies
CENTRES = np.concatenate([8 * GRID, 16 * GRID[RING], 32 * GRID[RING]])  # of the fields, (40, 2)
WIDTHS = np.repeat([8, 16, 32], [16, 12, 12])  # of the fields [px]
POINTS = (CENTRES[:, None] + WIDTHS[:, None, None] * GRID / 4).reshape(-1, 2)  # 16 in each field
INPUTS = len(WIDTHS)


def see(place):
    """The 40 inputs at places (batch, 3): the share of each field's 16 points that is dark.

    A place is (x, y, angle): the fovea's centre as seen from the target point [px], and its angle
    against the goal angle [radians]. All else in the scene is white and does not matter. With R its
    rotation and p its centre, its point q lies at R q + p: left of a side with normal n, from a
    corner k, where n (R q + p) >= n k, that is (R^T n) q >= n (k - p).
    """
    side = np.roll(CORNERS, -1, 0) - CORNERS
    normal = np.stack([-side[:, 1], side[:, 0]], -1)
    cos, sin = np.cos(place[:, 2:]), np.sin(place[:, 2:])
    turned = [cos * normal[:, 0] + sin * normal[:, 1], cos * normal[:, 1] - sin * normal[:, 0]]
    least = (normal * CORNERS).sum(1) - place[:, :2] @ normal.T
    height = np.stack(turned, -1).astype(np.float32) @ POINTS.T.astype(np.float32)
    dark = (height >= least[..., None].astype(np.float32)).all(1)
    return dark.reshape(len(place), INPUTS, 16).mean(-1, dtype=np.float32)


GOAL = see(np.zeros((1, 3)))[0]  # the view d


@functools.cache
def all_views():
    """What an upright fovea sees from every whole pixel: (y, x, 40)."""
    axis = np.arange(-REACH, REACH + 1.0)
    return np.stack([see(np.stack([axis, 0 * axis + y, 0 * axis], -1)) for y in axis])


def look(task, place):
    """The same as see; of the translation task from the table, at the nearest whole pixel."""
    if task == "rotation":
        return see(place)
    x, y = np.clip(np.rint(place[:, :2].T), -REACH, REACH).astype(int) + REACH
    return all_views()[y, x]


def move(place, action):
    """Places after actions (batch, 4 or 6): up, down, left, right as the fovea is turned; turns."""
    right, up = STEP * (action[:, 3] - action[:, 2]), STEP * (action[:, 0] - action[:, 1])
    cos, sin = np.cos(place[:, 2]), np.sin(place[:, 2])
    turn = TURN * (action[:, 4] - action[:, 5]) if action.shape[1] == 6 else 0 * up
    return place + np.stack([cos * right - sin * up, sin * right + cos * up, turn], -1)


def random_places(rng, task, count, reach):
    """Places with the object in sight, offsets up to reach px in x and in y, any angle."""
    most = np.array([reach, reach, np.pi if task == "rotation" else 0.0])
    place, hidden = np.empty((count, 3)), np.arange(count)
    while len(hidden):
        place[hidden] = rng.uniform(-most, most, (len(hidden), 3))
        hidden = hidden[look(task, place[hidden]).max(1) < SEEN]
    return place


# --- the nets ----------------------------------------------------------------------------------


def new_net(rng, inputs, hidden, outputs, dtype=np.float32):
    """Weights from -0.1 to 0.1; outputs see inputs and hidden units; the bias is an input of 1."""
    shapes = {"hidden": (inputs + 1, hidden), "output": (inputs + 1 + hidden, outputs)}
    return {name: rng.uniform(-0.1, 0.1, shape).astype(dtype) for name, shape in shapes.items()}


def forward(net, *parts):
    """s = [inputs, 1, hidden units], (batch, ...), and the outputs y, (batch, outputs); every unit
    is logistic, 1 / (1 + exp(-u)) = (1 + tanh(u / 2)) / 2."""
    z = np.concatenate([*parts, np.ones((len(parts[0]), 1), parts[0].dtype)], 1)
    s = np.concatenate([z, 0.5 + 0.5 * np.tanh(0.5 * (z @ net["hidden"]))], 1)
    return s, 0.5 + 0.5 * np.tanh(0.5 * (s @ net["output"]))


def backward(net, s, d_output):
    """From d_output = dE/d(net input of the outputs): d_hidden, the hidden units', and dE/dz.

    ds = W_output d_output;  d_hidden = ds h (1 - h);  dE/dz = ds + W_hidden d_hidden.
    """
    inputs = len(net["hidden"])
    ds, h = d_output @ net["output"].T, s[:, inputs:]
    d_hidden = ds[:, inputs:] * h * (1 - h)
    return d_hidden, ds[:, :inputs] + d_hidden @ net["hidden"].T


def weight_gradient(net, s, d_output, d_hidden):
    """dE/dW of both layers: what came in times what came back."""
    return {"hidden": s[:, : len(net["hidden"])].T @ d_hidden, "output": s.T @ d_output}


# --- one trajectory in plain form --------------------------------------------------------------


def jacobian(net, s, y):
    """J: dy_k/dz_j for one input z, (outputs, inputs + 1): the shortcut, and through every h."""
    inputs = len(net["hidden"])
    h, shortcut, from_hidden = s[inputs:], net["output"][:inputs], net["output"][inputs:]
    return ((shortcut + net["hidden"] * h * (1 - h) @ from_hidden) * y * (1 - y)).T


def learn_from_one(controller, model, task, place, steps):
    """E of one trajectory that starts at place (3,), and dE/dW of both layers of C."""
    x, trajectory = look(task, place[None])[0], []
    for _ in range(steps):
        s, action = (row[0] for row in forward(controller, x[None]))
        place = move(place[None], action[None])[0]
        seen = look(task, place[None])[0]
        if seen.max() < SEEN:
            break
        trajectory.append((x, s, action))
        x = seen
    grads = {name: np.zeros_like(w) for name, w in controller.items()}
    g = x - GOAL
    error = 0.5 * g @ g
    for x, s, action in reversed(trajectory):
        m, prediction = (row[0] for row in forward(model, x[None], action[None]))
        back = jacobian(model, m, prediction).T @ g
        g_x, g_a = back[:INPUTS], back[INPUTS:-1]
        d_output, h = g_a * action * (1 - action), s[INPUTS + 1 :]
        d_hidden = controller["output"][INPUTS + 1 :] @ d_output * h * (1 - h)
        grads["output"] += np.outer(s, d_output)
        grads["hidden"] += np.outer(s[: INPUTS + 1], d_hidden)
        g = g_x + (jacobian(controller, s, action).T @ g_a)[:INPUTS]
    return error, grads


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

RATE = {"adam": 0.02, "paper": 0.1}
MODEL_BATCH, BATCH = {"adam": 32, "paper": 1}, {"adam": 64, "paper": 1}  # examples, trajectories
LIMIT = 0.3  # largest norm of C's gradient, with Adam
WIDE, CHUNK = 100, 2048  # M's examples: largest start offset [px]; how many are drawn at a time


def make_examples(rng, task, count):
    """Random places and moves: views x, actions a, and the views that follow."""
    place = random_places(rng, task, count, WIDE)
    action = rng.random((count, ACTIONS[task]), np.float32)
    return look(task, place), action, look(task, move(place, action))


def model_gradient(model, x, action, target, rule):
    """Of M's mean cross-entropy: y - target a net input; of squared error: that times y (1 - y)."""
    s, y = forward(model, x, action)
    d_output = (y - target) / len(target)
    if rule == "paper":
        d_output *= y * (1 - y)
    return weight_gradient(model, s, d_output, backward(model, s, d_output)[0])


def update(net, grads, adam, progress):
    """One step of Adam, its rate falling with the share of training done; or W -= 0.1 dE/dW."""
    if adam:
        adam.rate = RATE["adam"] * (1 if progress < 0.6 else 0.3 if progress < 0.85 else 0.1)
        adam.step(net, grads)
    else:
        for name, g in grads.items():
            net[name] -= RATE["paper"] * g


def train_model(rng, config):
    """A trained M."""
    task, batch = config.task, MODEL_BATCH[config.rule]
    model = new_net(rng, INPUTS + ACTIONS[task], 40, INPUTS)
    adam = Adam(model, RATE["adam"]) if config.rule == "adam" else None
    for first in range(0, config.model_examples, CHUNK):
        count = min(CHUNK, config.model_examples - first)
        examples = make_examples(rng, task, count)
        for k in range(0, count, batch):
            part = [array[k : k + batch] for array in examples]
            grads = model_gradient(model, *part, config.rule)
            update(model, grads, adam, (first + k) / config.model_examples)
    return model


def follow(controller, task, place, steps):
    """The views, steps + 1 times (batch, 40), and for each step C's s, its action, who goes on."""
    views, trace, going = [look(task, place)], [], np.ones(len(place), bool)
    for _ in range(steps):
        s, action = forward(controller, views[-1])
        place = move(place, action)
        seen = look(task, place)
        going = going & (seen.max(1) >= SEEN)
        trace.append((s, action, going))
        views.append(np.where(going[:, None], seen, views[-1]))
    return views, trace


def controller_gradient(controller, model, views, trace, through_time=True, goal=GOAL):
    """E, mean over the batch; its gradient, by the equations at the top (without through_time only
    the last action learns); and sum |g| before each step, from the last one back."""
    g = (views[-1] - goal) / len(views[-1])
    error = 0.5 * len(g) * float((g * g).sum())
    parts, sizes = [], [float(np.abs(g).sum())]
    for x, (s, action, going) in zip(views[-2::-1], trace[::-1], strict=True):
        m, prediction = forward(model, x, action)
        _, dz = backward(model, m, g * prediction * (1 - prediction))
        g_x, g_a = dz[:, :INPUTS], dz[:, INPUTS:-1] * going[:, None]
        d_output = g_a * action * (1 - action)
        d_hidden, dz = backward(controller, s, d_output)
        parts.append((s, d_output, d_hidden))
        g = np.where(going[:, None], (g_x + dz[:, :INPUTS]) * through_time, g)
        sizes.append(float(np.abs(g).sum()))
    stacked = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return error, weight_gradient(controller, *stacked), sizes


def train_controller(rng, model, config, through_time=True, note=None):
    """A trained C; note(trajectories so far, C, error) is called now and then. Over the first 80 %,
    trajectories grow from at most 3 moves to 15, over the first half, starts spread from 40 px."""
    task, batch, near = config.task, BATCH[config.rule], min(40, config.start)
    controller = new_net(rng, INPUTS, 20, ACTIONS[task])
    adam = Adam(controller, RATE["adam"], limit=LIMIT) if config.rule == "adam" else None
    rounds = math.ceil(config.trajectories / batch)
    marks = {int(rounds * (i / NOTES) ** 2) for i in range(NOTES)}  # denser where C learns most
    for k in range(rounds):
        progress = k / rounds
        steps = rng.integers(1, 4 + int(12 * min(1, progress / 0.8)))
        reach = near + (config.start - near) * min(1, 2 * progress)
        place = random_places(rng, task, batch, reach)
        views, trace = follow(controller, task, place, steps)
        error, grads, _ = controller_gradient(controller, model, views, trace, through_time)
        if note and k in marks:
            note(k * batch, controller, error)
        update(controller, grads, adam, progress)
    if note:
        note(config.trajectories, controller, error)
    return controller


# --- the experiment ----------------------------------------------------------------------------

TESTS, NOTES = 500, 50  # fresh starts; looks at C while it learns
SPEED = 5  # of the tracked object [px a step]


def policy_of(controller):
    """C as a function from views (batch, 40) to actions."""
    return lambda x: forward(controller, x)[1]


def centroid_rule(x):
    """Not learnt, the layout is known: moves the centre of mass to where the goal view has it."""
    mass, goal = x * WIDTHS**2, GOAL * WIDTHS**2
    centre = mass @ CENTRES / np.maximum(mass.sum(1, keepdims=True), 1)
    right, up = ((centre - goal @ CENTRES / goal.sum()) / STEP).T
    return np.clip(np.stack([up, -up, -right, right], -1), 0, 1)


def journey(task, policy, place, steps, drift=0.0):
    """Places (steps + 1, batch, 3) of a fovea that moves as policy(view) says. The object drifts by
    so many px a step, each in its own direction. Nothing ends here when it is lost."""
    heading = 2 * np.pi * np.arange(len(place)) / len(place)
    away = drift * np.stack([np.cos(heading), np.sin(heading), 0 * heading], -1)
    places = [place]
    for _ in range(steps):
        places.append(move(places[-1], policy(look(task, places[-1]))) - away)
    return np.array(places)


def distance(places):
    """Of the fovea's centre from the target point [px]."""
    return np.hypot(places[..., 0], places[..., 1])


def off_angle(places):
    """Between the fovea's angle and the goal angle [degrees], 0 to 180."""
    return np.abs((np.degrees(places[..., 2]) + 180) % 360 - 180)


def hits(task, places):
    """Whether the fovea is on the target, and in the rotation task at the goal angle too."""
    return (distance(places) <= WITHIN[task]) & (off_angle(places) <= ALIGNED)


def run(config: Config = Config(), watch=None) -> Result:
    """Train M, then C through M, then C in the ways that should fail; test all on fresh starts."""
    test_rng, *rngs = np.random.default_rng(config.seed).spawn(6)
    task = config.task
    starts = random_places(test_rng, task, TESTS, config.start)
    history = {"trajectory": [], "error": [], "hit": []}

    def note(count, controller, error):
        places = journey(task, policy_of(controller), starts[:200], LAST[task])
        row = (count, error, float(hits(task, places[-1]).mean()))
        for values, value in zip(history.values(), row, strict=True):
            values.append(value)
        if watch:
            watch(count, config.trajectories, error=error, hit=row[-1], controller=controller)

    model = train_model(rngs[0], config)
    controller = train_controller(rngs[1], model, config, note=note)
    untrained = new_net(rngs[2], INPUTS + ACTIONS[task], 40, INPUTS)
    others = {
        "untrained": train_controller(rngs[3], untrained, config),
        "one_step": train_controller(rngs[4], model, config, through_time=False),
    }
    metrics = measure(task, model, controller, others, starts, test_rng)
    return Result(metrics, history, model, controller, others)


def measure(task, model, controller, others, starts, rng):
    """The numbers of the claims and of the controls, all from the same starts."""
    x, action, seen = make_examples(rng, task, 5000)
    wrong = ((forward(model, x, action)[1] - seen) ** 2).sum()
    last, metrics = LAST[task], {"model_gain": float(wrong / ((x - seen) ** 2).sum())}

    def share(policy):
        return float(hits(task, journey(task, policy, starts, last)[-1]).mean())

    places = journey(task, policy_of(controller), starts, 30)
    final, at = places[last], hits(task, places[last])
    metrics |= {f"hit{last}": float(at.mean()), "stay30": float(hits(task, places[30]).mean())}
    metrics["miss_px"] = float(np.median(distance(final)))
    if task == "rotation":
        metrics["place20"] = float((distance(final) <= WITHIN["rotation"]).mean())
        metrics["flipped20"] = float((off_angle(final) > 120).mean())
        begin = off_angle(starts)
        metrics["hit20_from_near_angle"] = float(at[begin < 60].mean())
        metrics["hit20_from_far_angle"] = float(at[begin > 120].mean())
    else:
        track = journey(task, policy_of(controller), starts, 40, drift=SPEED)
        metrics["track_px"] = float(distance(track[10:]).mean())
        metrics["hit_centroid_rule"] = share(centroid_rule)
    metrics["hit_random"] = share(lambda x: rng.random((len(x), ACTIONS[task])))
    metrics |= {f"hit_{name}": share(policy_of(net)) for name, net in others.items()}
    metrics["control_hit"] = max(metrics["hit_random"], metrics["hit_untrained"])
    return metrics


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of C's gradient, in a world that does what M predicts: exact there."""
    rng = np.random.default_rng(config.seed)
    model = new_net(rng, INPUTS + 4, 40, INPUTS, np.float64)
    model["output"] *= 10
    controller = new_net(rng, INPUTS, 20, 4, np.float64)
    x, goal = rng.random((5, INPUTS)), rng.random(INPUTS)
    over = np.array([3, 3, 2, 1, 0])  # after so many steps each of the five trajectories is over

    def learn():
        views, trace = [x], []
        for t in range(3):
            s, action = forward(controller, views[-1])
            trace.append((s, action, t < over))
            views.append(
                np.where(t < over[:, None], forward(model, views[-1], action)[1], views[-1])
            )
        return controller_gradient(controller, model, views, trace, goal=goal)

    return worst_relative_error(lambda: learn()[0], controller, learn()[1])


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
