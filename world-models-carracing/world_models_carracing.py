"""World models, car racing: a linear driver steers from pixels with the help of a learned memory.

Task      Every episode is a new random closed road cut into N tiles. Reward +1000/N for each tile
          first touched and -0.1 a frame, 1000 frames of 1/50 s; leaving the field costs 100. The
          driver sees a 32x32 grey view in the car's frame, never its speed. Actions a = (steer in
          [-1, 1], gas in [0, 1], brake in [0, 1]), each held for `repeat` frames.
V         variational autoencoder, view -> z in R^12; loss = squared error + max(KL(q(z|view) ||
          N(0, 1)), 0.5 a dimension).
M         LSTM on [z_t, a_t] with state h in R^48; its output is, per dimension, a mixture of 5
          Gaussians for z_{t+1} (MDN).
C         a_t = tanh(W [z_t, h_t, 1]), h_t = state of M before it sees z_t; W: (3, 61), found by an
          evolution strategy (CMA-ES).
Control   the same C on z_t alone, W: (3, 13), the same search on the same tracks.
V and M learn from random driving and never see a reward; only C does.

    python3 world_models_carracing.py --seed 0
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import numbers
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small products: two threads are no faster

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
    """Hyper-parameters; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    z: int = option(12, "dimensions of V's code", 1, 64)
    hidden: int = option(48, "cells of M's LSTM", 1, 512)
    mixtures: int = option(5, "Gaussians per dimension of z in M's prediction", 1, 10)
    data_cars: int = option(
        1024, "cars that drive at random to fill the data set; a tenth is held out", 20, 4096
    )
    data_decisions: int = option(100, "decisions in one random drive", 5, 300)
    v_steps: int = option(3500, "training steps of V, 100 views each", 1, 100000)
    m_steps: int = option(800, "training steps of M, 32 drives each", 1, 100000)
    generations: int = option(45, "generations of the search for C", 1, 2000)
    population: int = option(64, "candidates in a generation", 4, 256)
    tracks: int = option(4, "new tracks that every candidate of a generation drives", 1, 16)
    sigma: float = option(0.1, "first step size of the search", 1e-3, 2.0)
    test_tracks: int = option(100, "unseen tracks of the final test", 2, 200)
    frames: int = option(1000, "length of an episode [1/50 s]", 10, 5000)
    repeat: int = option(2, "frames for which an action is held", 1, 8)

    def __post_init__(self):
        check_options(self)


QUICK = {"data_cars": 100, "data_decisions": 40, "v_steps": 150, "m_steps": 10, "frames": 200}
QUICK |= {"generations": 2, "population": 8, "tracks": 2, "test_tracks": 8}


@dataclass
class Result:
    """metrics and history (a line a generation); what the figures need of the rest.

    curves: training curves of V and M; brain: V and M; controllers: the weights of C, "z" and "zh";
    tests: the unseen tracks;
    scores: their scores by controller; probe: true and read-out speed of held-out drives.
    """

    metrics: dict
    history: dict
    curves: dict
    brain: Brain
    controllers: dict
    tests: Tracks
    scores: dict
    probe: dict


# --- the tracks -----------------------------------------------------------------------------------
STEP, HALF_WIDTH, KERB, FIELD = 3.5, 6.67, 1.33, 333.0  # game units
CHECKPOINTS = 12
SIZE = 768  # cells of 1 x 1 unit on a side of a map; beyond the field grass can be seen
GRASS, ROAD, KERB_GREY, CAR_GREY = 160, 60, 255, 0


def make_laps(rng, count):
    """A list of `count` closed roads: arrays (tiles, 3) of x, y and direction beta; the road runs
    at right angles to beta."""
    laps = []
    while len(laps) < count:
        shape = (count - len(laps) + 20, CHECKPOINTS)
        angle = 2 * np.pi / CHECKPOINTS * (np.arange(CHECKPOINTS) + rng.uniform(0, 1, shape))
        radius = rng.uniform(50, 150, shape)
        angle[:, [0, -1]] = 0, 2 * np.pi * (CHECKPOINTS - 1) / CHECKPOINTS
        radius[:, [0, -1]] = 225
        laps += [lap for lap in closed_laps(*wander(angle, radius)) if lap is not None]
    return laps[:count]


def wander(angle, radius, steps=1100):
    """Points that chase the checkpoints round and round.

    Returns the path (steps, tracks, 3) of x, y and beta, and the angle covered so far (steps,
    tracks).
    """
    which = np.arange(len(angle))
    goal_x, goal_y = radius * np.cos(angle), radius * np.sin(angle)
    x, y = np.full(len(angle), 225.0), np.zeros(len(angle))
    beta, turned, goal = np.zeros(len(angle)), np.zeros(len(angle)), np.zeros(len(angle), int)
    path, covered = np.empty((steps, len(angle), 3)), np.empty((steps, len(angle)))
    for step in range(steps):
        rounds, rest = np.divmod(turned, 2 * np.pi)
        goal = np.maximum(goal, (CHECKPOINTS * rounds + (angle < rest[:, None]).sum(1)).astype(int))
        nearest = goal % CHECKPOINTS
        p = 6 * (
            np.cos(beta) * (goal_x[which, nearest] - x)
            + np.sin(beta) * (goal_y[which, nearest] - y)
        )
        bend = np.where(np.abs(p) > 0.3, -np.sign(p) * np.minimum(0.31, 0.001 * np.abs(p)), 0.0)
        path[step], covered[step] = np.stack([x, y, beta + bend / 2], 1), turned
        before = np.arctan2(y, x)
        x, y, beta = x - STEP * np.sin(beta), y + STEP * np.cos(beta), beta + bend
        turned = turned + (np.arctan2(y, x) - before + np.pi) % (2 * np.pi) - np.pi
    return path, covered


def closed_laps(path, covered):
    """For each track the points of its third round, or None where that round does not close."""
    for track in range(path.shape[1]):
        first, last = np.searchsorted(
            np.maximum.accumulate(covered[:, track]), 2 * np.pi * (np.array([2, 3]) - 1 / 24)
        )
        closes = (
            last < len(path) and np.hypot(*(path[last, track, :2] - path[first, track, :2])) <= STEP
        )
        yield path[first:last, track] if closes else None


class Tracks:
    """Roads painted once into maps of SIZE x SIZE cells, flattened one after the other.

    tile: number of the road's tile plus 1, 0 = grass; grey: what the view shows, softened; count:
    tiles of each track.
    """

    def __init__(self, laps):
        self.laps, self.count = laps, np.array([len(lap) for lap in laps])
        self.tile = np.zeros((len(laps), SIZE * SIZE), np.int16)
        self.grey = np.full((len(laps), SIZE * SIZE), GRASS, np.uint8)
        for lap, tile, grey in zip(laps, self.tile, self.grey, strict=True):
            outside = kerb_side(lap)
            kerb = cells_between(lap, HALF_WIDTH * outside, (HALF_WIDTH + KERB) * outside)
            grey[kerb[outside != 0]] = KERB_GREY
            road = cells_between(lap, -HALF_WIDTH, HALF_WIDTH)
            grey[road] = ROAD
            tile[road] = np.arange(1, len(lap) + 1)[:, None]
            soften(grey.reshape(SIZE, SIZE))
        self.tile, self.grey = self.tile.reshape(-1), self.grey.reshape(-1)


def kerb_side(lap):
    """For every tile +1 or -1, the outer side of a tight bend along beta, or 0 where the road is
    not tight."""
    bend = (np.roll(lap[:, 2], -1) - lap[:, 2] + np.pi) % (2 * np.pi) - np.pi
    tight = sum(np.roll(np.abs(bend) > 0.06, shift) for shift in range(4)) == 4
    return np.where(tight, np.sign(bend), 0)


def cells_between(lap, low, high):
    """Indices into a flat map of the cells of every tile between the offsets low and high from the
    middle, (tiles, 240)."""
    offset = low + np.multiply.outer(np.linspace(0, 1, 30), np.broadcast_to(high - low, len(lap)))
    edge = lap[:, :2] + offset[..., None] * np.stack([np.cos(lap[:, 2]), np.sin(lap[:, 2])], 1)
    ahead = np.roll(edge, -1, 1) - edge
    spots = edge + np.multiply.outer((np.arange(8) + 0.5) / 8, ahead)
    x, y = np.floor(spots + SIZE // 2).astype(int).reshape(240, len(lap), 2).T
    return y * SIZE + x


def soften(grey):
    """Smooth a map in place with the weights 1 2 1 in both directions, so that a view that steps
    over cells still sees edges."""
    for g in (grey, grey.T):
        g[1:-1] = (g[:-2].astype(np.uint16) + 2 * g[1:-1].astype(np.uint16) + g[2:] + 2) // 4


# --- the cars -------------------------------------------------------------------------------------
FRAME = 1 / 50  # s
MASS, INERTIA, RADIUS, WHEEL_INERTIA = 7.3, 19.1, 0.54, 1.6
LEFT = np.array(
    [[1.1], [-1.1], [1.1], [-1.1]], np.float32
)  # places of the wheels; the rear ones come last
AHEAD = np.array([[1.68], [1.68], [-1.56], [-1.56]], np.float32)
X, Y, HEADING, SPEED_X, SPEED_Y, SPIN, STEERED, GAS, WHEELS = range(
    9
)  # rows of a state; the four wheels' spin from row 8 on
COUNTED = np.ones(512, np.float32)  # more than any road's tiles
COUNTED[0] = 0  # stands for grass


def frame(cars, action, on_road):
    """Move the states, (12, cars), by one frame in place; action: (3, cars) steer, gas, brake;
    on_road: (4, cars) bool."""
    steer, gas, brake = action
    ahead, left, wheels = np.cos(cars[HEADING]), np.sin(cars[HEADING]), cars[WHEELS:]
    turn = np.minimum(np.maximum(50 * (-steer - cars[STEERED]), -3), 3)
    cars[STEERED] = np.minimum(np.maximum(cars[STEERED] + FRAME * turn, -0.4), 0.4)
    cars[GAS] = np.minimum(gas, cars[GAS] + 0.1)
    wheels[2:] += FRAME * 40000 * cars[GAS] / (WHEEL_INERTIA * (np.abs(wheels[2:]) + 5))
    grip = np.where(brake < 0.9, 15 * brake, np.float32(np.inf))  # a hard brake blocks the wheel
    wheels -= np.minimum(np.maximum(wheels, -grip), grip)
    force_ahead, force_left, along = tyre_forces(cars, ahead, left, on_road)
    wheels -= FRAME * RADIUS / WHEEL_INERTIA * along
    push_ahead, push_left = force_ahead.sum(0), force_left.sum(0)
    cars[SPEED_X] += FRAME / MASS * (push_ahead * ahead - push_left * left)
    cars[SPEED_Y] += FRAME / MASS * (push_ahead * left + push_left * ahead)
    cars[SPIN] += FRAME / INERTIA * (AHEAD * force_left - LEFT * force_ahead).sum(0)
    cars[:3] += FRAME * cars[3:6]


def tyre_forces(cars, ahead, left, on_road):
    """Forces on the body along its axes, (4, cars) each, and the part along each wheel, which slows
    the wheel's spin.

    A tyre pulls against its slip, in proportion to it and up to a limit. ahead, left: cosine and
    sine of the heading.
    """
    speed_ahead = cars[SPEED_X] * ahead + cars[SPEED_Y] * left - cars[SPIN] * LEFT
    speed_left = cars[SPEED_Y] * ahead - cars[SPEED_X] * left + cars[SPIN] * AHEAD
    cos, sin = np.ones_like(cars[WHEELS:]), np.zeros_like(cars[WHEELS:])
    cos[:2], sin[:2] = np.cos(cars[STEERED]), np.sin(cars[STEERED])
    along = 82 * (RADIUS * cars[WHEELS:] - speed_ahead * cos - speed_left * sin)
    side = 82 * (speed_ahead * sin - speed_left * cos)
    cut = np.minimum(
        1,
        np.where(on_road, np.float32(400), np.float32(240))
        / np.sqrt(along * along + side * side + 1e-12),
    )
    along, side = along * cut, side * cut
    return along * cos - side * sin, along * sin + side * cos, along


def wheel_places(cars):
    """x and y of the wheels, (4, cars) each."""
    cos, sin = np.cos(cars[HEADING]), np.sin(cars[HEADING])
    return cars[X] + AHEAD * cos - LEFT * sin, cars[Y] + AHEAD * sin + LEFT * cos


def view_basis():
    """(3, 1024): x of a pixel = (car's x, cos, sin) @ basis, in the order in which V's layers merge
    the pixels, and that order.

    The view shows 62 x 43 units, heading up, the car 6/7 down. V merges 4x4 pixels, then 2x2 groups
    three times; stored in this order, each of its layers is one reshape and one product.
    """
    row, column = np.mgrid[:32, :32]
    parts = [
        (row >> shift & mask, column >> shift & mask)
        for shift, mask in ((4, 1), (3, 1), (2, 1), (0, 3))
    ]
    order = np.lexsort([part.ravel() for pair in parts for part in pair][::-1])
    forward = 43 * (6 / 7 - (row.ravel()[order] + 0.5) / 32)
    right = 62 * ((column.ravel()[order] + 0.5) / 32 - 0.5)
    return np.stack([np.ones(1024), forward, right]).astype(np.float32), order


BASIS, ORDER = view_basis()
CAR_PIXELS = np.flatnonzero((np.abs(BASIS[1]) < 2.1) & (np.abs(BASIS[2]) < 1.3))


class Race:
    """Cars on tracks: what a driver may see (look) and do (act), and the score that only C's search
    is told.

    cars: (12, n) states; which: (n,) track of each car; every car starts at rest on the first tile
    of its track.
    """

    def __init__(self, tracks, which, repeat=2):
        self.tracks, self.which, self.repeat, self.frames = tracks, which, repeat, 0
        self.cars = np.zeros((12, len(which)), np.float32)
        self.cars[:3] = self.places(np.zeros(len(which), int))
        self.seen = np.zeros((len(which), len(COUNTED)), np.float32)  # 1 for tiles touched
        self.touched, self.last_new = np.zeros(len(which)), np.zeros(len(which), int)
        self.out = np.zeros(len(which), bool)
        self.buffers = np.empty((2, len(which), 1024), np.float32)

    def places(self, tile):
        """x, y and heading of the middle of a tile of every car's track, (3, n)."""
        points = [self.tracks.laps[track][i] for track, i in zip(self.which, tile, strict=True)]
        return np.array(points).T + [[0], [0], [np.pi / 2]]

    def look(self):
        """Views of all cars, (n, 1024) uint8, pixels in V's order."""
        cos, sin = np.cos(self.cars[HEADING]), np.sin(self.cars[HEADING])
        row, column = self.buffers[:, : len(self.which)]
        np.matmul(np.stack([self.cars[Y] + SIZE // 2, sin, -cos], 1), BASIS, out=row)
        np.matmul(np.stack([self.cars[X] + SIZE // 2, cos, sin], 1), BASIS, out=column)
        np.floor(row, out=row)
        row *= SIZE
        row += np.floor(column, out=column)  # whole numbers below 2^24: exact in float32
        cell = row.astype(np.int64)
        cell += (self.which * (SIZE * SIZE))[:, None]
        views = self.tracks.grey.take(cell, mode="clip")
        views[:, CAR_PIXELS] = CAR_GREY
        return views

    def act(self, action):
        """Hold the actions, (n, 3), for `repeat` frames."""
        action = np.ascontiguousarray(action.T, np.float32)
        car, base = np.arange(len(self.which)), self.which * (SIZE * SIZE) + SIZE // 2 * (SIZE + 1)
        for _ in range(self.repeat):
            x, y = wheel_places(self.cars)
            tile = self.tracks.tile.take(
                np.floor(y).astype(int) * SIZE + np.floor(x).astype(int) + base, mode="clip"
            )
            self.seen[car, tile] = 1
            frame(self.cars, action, tile > 0)
        self.frames += self.repeat
        touched = self.seen @ COUNTED
        self.last_new[touched > self.touched] = self.frames
        self.touched = touched
        self.out = np.abs(self.cars[:2]).max(0) > FIELD

    def score(self):
        return (
            1000 * self.touched / self.tracks.count[self.which]
            - 0.1 * self.frames
            - 100.0 * self.out
        )

    def over(self):
        return self.out | (self.touched == self.tracks.count[self.which])

    def keep(self, mask):
        """Forget all cars but those of the mask."""
        for name in ("which", "seen", "last_new", "touched", "out"):
            setattr(self, name, getattr(self, name)[mask])
        self.cars = np.ascontiguousarray(self.cars[:, mask])


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

# --- data: random driving -------------------------------------------------------------------------


class RandomDriver:
    """Actions drawn at random and held for 1 to 20 frames, plus a reflex of random strength to the
    picture.

    Every car draws a gain; its steering adds gain x (grey of the left half of the view - grey of
    the right half).
    """

    def __init__(self, rng, n):
        self.rng, self.gain, self.action, self.hold = (
            rng,
            rng.normal(0, 5, n),
            np.zeros((n, 3)),
            np.zeros(n, int),
        )

    def __call__(self, views):
        new, rng = self.hold == 0, self.rng
        n = int(new.sum())
        self.hold[new] = rng.integers(1, 11, n)
        gas, brake = (
            rng.uniform(0, 1, n) * (rng.random(n) < 0.8),
            rng.uniform(0, 0.9, n) * (rng.random(n) < 0.1),
        )
        self.action[new] = np.stack([rng.normal(0, 0.2, n), gas, brake], 1)
        self.hold -= 1
        action = self.action.copy()
        action[:, 0] += self.gain * (views @ LEFT_HALF - views @ RIGHT_HALF)
        action[:, 0] = np.clip(action[:, 0], -1, 1)
        return action


LEFT_HALF = (BASIS[2] < 0).astype(np.float32) / (512 * 255)
RIGHT_HALF = (BASIS[2] > 0).astype(np.float32) / (512 * 255)


def scatter(rng, race, chosen):
    """Put the chosen cars, (n,) bool, at rest anywhere on their roads, roughly along it."""
    n = int(chosen.sum())
    race.cars[:, chosen] = 0
    race.cars[:3, chosen] = race.places(rng.integers(0, race.tracks.count[race.which]))[:, chosen]
    race.cars[:3, chosen] += rng.normal(0, 1, (3, n)) * [[2], [2], [0.2]]


def collect(rng, tracks, config):
    """Random drives, begun anew where no road is in sight.

    Returns views (T, n, 1024), actions (T, n, 3), speeds (T, n) and where a drive begins (T, n).
    """
    n, length = config.data_cars, config.data_decisions
    race, driver = (
        Race(tracks, np.arange(n) % len(tracks.laps), config.repeat),
        RandomDriver(rng, n),
    )
    views, actions = np.empty((length, n, 1024), np.uint8), np.empty((length, n, 3), np.float32)
    speeds, begins = np.empty((length, n)), np.ones((length, n), bool)
    for t in range(length):
        if t:
            begins[t] = (race.look() < (ROAD + GRASS) / 2).sum(1) <= len(CAR_PIXELS)
        scatter(rng, race, begins[t])
        views[t] = race.look()
        actions[t], speeds[t] = driver(views[t]), np.hypot(race.cars[SPEED_X], race.cars[SPEED_Y])
        race.act(actions[t])
    return views, actions, speeds, begins


# --- V: the autoencoder ---------------------------------------------------------------------------
ENCODER, DECODER = ("E1", "E2", "E3", "E4"), ("D4", "D3", "D2", "D1")
MAPS = (8, 16, 64)


def init_vision(rng, z, dtype=np.float32):
    """Layers of V as (inputs, outputs): convolutions whose stride is their size, hence plain
    products in the pixels' order."""
    a, b, c = MAPS
    shapes = {"E1": (16, a), "E2": (4 * a, b), "E3": (4 * b, c), "E4": (4 * c, 2 * z)}
    shapes |= {"D4": (z, 4 * c), "D3": (c, 4 * b), "D2": (b, 4 * a), "D1": (a, 16)}
    weights = {name: rng.normal(0, np.sqrt(2 / shape[0]), shape) for name, shape in shapes.items()}
    weights |= {name + "b": np.zeros(shape[1]) for name, shape in shapes.items()}
    return {name: w.astype(dtype) for name, w in weights.items()}


def layers(weights, names, x):
    """Activations of a stack of layers, the input first; rectified except the last."""
    states = [x]
    for name in names:
        x = x.reshape(-1, len(weights[name])) @ weights[name]
        x += weights[name + "b"]
        if name != names[-1]:
            np.maximum(x, 0, out=x)
        states.append(x)
    return states


def layers_backward(weights, names, states, dx, grads):
    """Fills grads; returns the gradient at the stack's input, shaped like its rows."""
    for name, below, above in zip(reversed(names), states[-2::-1], states[:0:-1], strict=True):
        dx = dx.reshape(above.shape)
        if name != names[-1]:
            dx = dx * (above > 0)
        rows = below.reshape(-1, len(weights[name]))
        grads[name], grads[name + "b"] = rows.T @ dx, dx.sum(0)
        dx = dx @ weights[name].T
    return dx


def encode(weights, views):
    """Mean of z: (n, z)."""
    return layers(weights, ENCODER, views * np.float32(1 / 255))[-1][:, : len(weights["D4"])]


def decode(weights, z):
    """Views in [0, 1], (n, 1024)."""
    return 0.5 + 0.5 * np.tanh(0.5 * layers(weights, DECODER, z)[-1].reshape(len(z), 1024))


def vision_loss(weights, x, noise, free=0.5, scale=12):
    """Loss of V on x in [0, 1], (n, 1024), its gradients, and the squared error alone; noise: (n,
    z), standard normal.

    scale: the paper's pictures have 12 times as many values, so that its sum of squares outweighs
    the KL term by as much more.
    """
    grads, (n, size) = {}, noise.shape
    coded = layers(weights, ENCODER, x)
    mean, logvar = coded[-1][:, :size], coded[-1][:, size:]
    spread = np.exp(logvar / 2) * noise
    drawn = layers(weights, DECODER, mean + spread)
    y = 0.5 + 0.5 * np.tanh(0.5 * drawn[-1].reshape(x.shape))
    kl = 0.5 * (mean**2 + np.exp(logvar) - 1 - logvar).sum(1)
    squared = ((x - y) ** 2).sum(1).mean()
    dz = layers_backward(weights, DECODER, drawn, 2 * scale / n * (y - x) * y * (1 - y), grads)
    counts = (kl > free * size)[:, None] / n
    dmean, dlogvar = dz + counts * mean, dz * spread / 2 + counts * (np.exp(logvar) - 1) / 2
    layers_backward(
        weights, ENCODER, coded, np.concatenate([dmean, dlogvar], 1).astype(x.dtype), grads
    )
    return scale * squared + np.maximum(kl, free * size).mean(), grads, squared


# --- M: the recurrent mixture-density network -----------------------------------------------------


def init_memory(rng, z, hidden, mixtures, dtype=np.float32):
    """Gates in the order input, forget, output, candidate; heads: log weight, mean and log
    deviation of every Gaussian."""
    weights = {
        "Wx": rng.normal(0, 1 / np.sqrt(z + 3), (z + 3, 4 * hidden)),
        "Wh": rng.normal(0, 1 / np.sqrt(hidden), (hidden, 4 * hidden)),
        "b": np.repeat([0.0, 1.0, 0.0, 0.0], hidden),
        "Wo": rng.normal(0, 0.3 / np.sqrt(hidden), (hidden, 3 * z * mixtures)),
        "bo": np.zeros(3 * z * mixtures),
    }
    weights["bo"][z * mixtures : 2 * z * mixtures] = rng.normal(
        0, 0.1, z * mixtures
    )  # tells the Gaussians apart
    return {name: w.astype(dtype) for name, w in weights.items()}


def remember(weights, x, h, c):
    """One step of the LSTM: the gates' activations, and the new h and c; x: (n, z + 3), h, c: (n,
    hidden)."""
    gates = x @ weights["Wx"]
    gates += h @ weights["Wh"]
    gates += weights["b"]
    units = h.shape[1]
    gates[:, : 3 * units] *= 0.5
    np.tanh(gates, out=gates)
    gates[:, : 3 * units] += 1
    gates[:, : 3 * units] *= 0.5
    take, forget, show, new = (gates[:, i * units : (i + 1) * units] for i in range(4))
    c = forget * c + take * new
    return gates, show * np.tanh(c), c


def predict(weights, h, z):
    """Mixtures for the steps z_{t+1} - z_t after all rows of h, (rows, hidden).

    Returns log weights, means and log deviations, (mixtures, z, rows) each.
    """
    out = (weights["Wo"].T @ h.T + weights["bo"][:, None]).reshape(3, -1, z, len(h))
    logits, mean, spread = out
    logits -= logits.max(0)
    logits -= np.log(np.exp(logits).sum(0))
    return logits, mean, spread


def mixture_loss(weights, h, step, counts):
    """Mean negative log-likelihood per dimension [nats] of the steps, (rows, z), and its gradient
    at the heads' outputs.

    counts: (rows,) bool, which rows count.
    """
    logits, mean, spread = predict(weights, h, step.shape[1])
    precision = np.exp(-spread)
    scaled = (step.T - mean) * precision
    joint = logits - 0.5 * scaled * scaled - spread
    top = joint.max(0)
    share = np.exp(joint - top)
    total = share.sum(0)
    share /= total
    weight = (counts / (counts.sum() * step.shape[1])).astype(h.dtype)
    loss = 0.5 * np.log(2 * np.pi) - float(((top + np.log(total)) @ weight).sum())
    dout = (
        np.stack(
            [np.exp(logits) - share, -share * scaled * precision, share * (1 - scaled * scaled)]
        )
        * weight
    )
    return loss, dout.reshape(-1, len(h))


def memory_loss(weights, x, step, begins):
    """Mean negative log-likelihood per dimension [nats] of the steps z_{t+1} - z_t, (T, n, z);
    gradients; h, (T, n, hidden).

    x: (T, n, z + 3) holds z_t and a_t; h[t] is the state before x[t]. begins: (T + 1, n) bool;
    where it is true, h is zero and the step that leads there does not count.
    """
    length, n, _ = x.shape
    units, keep = len(weights["Wh"]), ~begins[..., None]
    h, c = np.zeros((length + 1, n, units), x.dtype), np.zeros((length + 1, n, units), x.dtype)
    gates = np.empty((length, n, 4 * units), x.dtype)
    for t in range(length):
        gates[t], h[t + 1], c[t + 1] = remember(weights, x[t], h[t], c[t])
        h[t + 1] *= keep[t + 1]
        c[t + 1] *= keep[t + 1]
    rows = h[1:].reshape(-1, units)
    loss, dout = mixture_loss(weights, rows, step.reshape(len(rows), -1), ~begins[1:].reshape(-1))
    grads = {"Wo": (dout @ rows).T, "bo": dout.sum(1)}
    grads |= memory_backward(
        weights, x, h, c, gates, keep, (weights["Wo"] @ dout).T.reshape(length, n, units)
    )
    return loss, grads, h[:-1]


def memory_backward(weights, x, h, c, gates, keep, dh_out):
    """Back-propagation through time; dh_out: (T, n, hidden), the heads' gradient at every h."""
    units, dh, dc = h.shape[2], 0.0, 0.0
    da = np.empty_like(gates)
    for t in reversed(range(len(x))):
        take, forget, show, new = (gates[t][:, i * units : (i + 1) * units] for i in range(4))
        squashed = np.tanh(c[t + 1])
        dh = (dh + dh_out[t]) * keep[t + 1]
        dc = dc * keep[t + 1] + dh * show * (1 - squashed * squashed)
        parts = (
            dc * new * take * (1 - take),
            dc * c[t] * forget * (1 - forget),
            dh * squashed * show * (1 - show),
        )
        np.concatenate([*parts, dc * take * (1 - new * new)], 1, out=da[t])
        dh, dc = da[t] @ weights["Wh"].T, dc * forget
    da = da.reshape(-1, 4 * units)
    return {
        "Wx": x.reshape(len(da), -1).T @ da,
        "Wh": h[:-1].reshape(len(da), -1).T @ da,
        "b": da.sum(0),
    }


# --- C: the driver, and its search ----------------------------------------------------------------


@dataclass
class Brain:
    """V and M once they are trained, and the scales that make z and h comparable inputs for C."""

    vision: dict
    memory: dict
    z_mean: np.ndarray
    z_scale: np.ndarray
    h_mean: np.ndarray
    h_scale: np.ndarray


def drive(brain, tracks, which, controllers, cap, patience, repeat=2, note=None):
    """Scores, (n,), of cars with the weights controllers, (n, inputs + 1, 3), each on the track
    numbered in which, (n,).

    Controllers with as many inputs as z has dimensions see z alone, and M does not run. A drive
    ends after `cap` frames, off the field, when all tiles are touched, or after `patience` frames
    without a new tile. note(race, z, h, action) is called at every decision.
    """
    scores, car, race = np.empty(len(which)), np.arange(len(which)), Race(tracks, which, repeat)
    units = len(brain.memory["Wh"]) if controllers.shape[1] > len(brain.z_mean) + 1 else 0
    h, c = np.zeros((len(which), units), np.float32), np.zeros((len(which), units), np.float32)
    while True:
        z = encode(brain.vision, race.look())
        inputs = [(z - brain.z_mean) * brain.z_scale, np.ones((len(z), 1), np.float32)]
        if units:
            inputs.insert(1, (h - brain.h_mean) * brain.h_scale)
        action = np.tanh((np.concatenate(inputs, 1)[:, None] @ controllers)[:, 0])
        action[:, 1] = (action[:, 1] + 1) / 2
        action[:, 2] = np.maximum(action[:, 2], 0)
        if note:
            note(race, z, h, action)
        if units:
            _, h, c = remember(brain.memory, np.concatenate([z, action], 1), h, c)
        race.act(action)
        ended = race.over() | (race.frames >= cap) | (race.frames - race.last_new >= patience)
        if ended.any():
            scores[car[ended]] = race.score()[ended]
            if ended.all():
                return scores
            race.keep(~ended)
            car, h, c, controllers = car[~ended], h[~ended], c[~ended], controllers[~ended]


class Search:
    """CMA-ES (Hansen & Ostermeier 2001) with a diagonal covariance (Ros & Hansen 2008), which few
    generations can learn."""

    def __init__(self, rng, n, config):
        self.rng, self.mean, self.sigma, self.population = (
            rng,
            np.zeros(n),
            config.sigma,
            config.population,
        )
        self.share = np.log(self.population / 2 + 0.5) - np.log(
            np.arange(1, self.population // 2 + 1)
        )
        self.share /= self.share.sum()
        mu = 1 / (self.share**2).sum()
        self.c_sigma = (mu + 2) / (n + mu + 5)
        self.damping = 1 + 2 * max(0, np.sqrt((mu - 1) / (n + 1)) - 1) + self.c_sigma
        self.c_path = (4 + mu / n) / (n + 4 + 2 * mu / n)
        faster = (n + 2) / 3  # a diagonal has that many fewer entries to learn
        self.c_one = min(0.5, faster * 2 / ((n + 1.3) ** 2 + mu))
        self.c_mu = min(1 - self.c_one, faster * 2 * (mu - 2 + 1 / mu) / ((n + 2) ** 2 + mu))
        self.mu, self.length = mu, np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))
        self.scale, self.path, self.path_sigma = np.ones(n), np.zeros(n), np.zeros(n)

    def ask(self):
        """Candidates, (population, n)."""
        self.steps = self.rng.standard_normal((self.population, len(self.mean)))
        return self.mean + self.sigma * np.sqrt(self.scale) * self.steps

    def tell(self, scores):
        """Move towards the better half of the candidates; the higher the score the better."""
        steps = self.steps[np.argsort(-scores)[: len(self.share)]]
        step = self.share @ steps
        self.mean += self.sigma * np.sqrt(self.scale) * step
        self.path_sigma += (
            -self.c_sigma * self.path_sigma
            + np.sqrt(self.c_sigma * (2 - self.c_sigma) * self.mu) * step
        )
        stretch = np.linalg.norm(self.path_sigma) / self.length
        self.path += -self.c_path * self.path
        if stretch < 1.4 + 2 / len(self.mean):
            self.path += (
                np.sqrt(self.c_path * (2 - self.c_path) * self.mu) * np.sqrt(self.scale) * step
            )
        change = self.c_one * (self.path**2 / self.scale - 1) + self.c_mu * (
            self.share @ steps**2 - 1
        )
        self.scale *= 1 + change
        self.sigma *= np.exp(self.c_sigma / self.damping * (stretch - 1))


# --- training, test -------------------------------------------------------------------------------


def train_vision(rng, views, config, curve):
    """V trained on views, (T, cars, 1024), a tenth of the cars held out; appends (step, held-out
    squared error) to curve."""
    weights = init_vision(rng, config.z)
    adam, kept = Adam(weights, 2e-3), views.shape[1] - views.shape[1] // 10
    held = views[:, kept:].reshape(-1, 1024)[
        :: max(1, len(views) * (views.shape[1] - kept) // 1000)
    ]
    for step in range(config.v_steps):
        if step % max(1, config.v_steps // 20) == 0 or step == config.v_steps - 1:
            error = (
                ((held / np.float32(255) - decode(weights, encode(weights, held))) ** 2)
                .sum(1)
                .mean()
            )
            curve.append((step, float(error)))
        adam.rate = 2e-3 * min(1, 2 - 2 * step / config.v_steps)
        batch = views[rng.integers(0, len(views), 100), rng.integers(0, kept, 100)] / np.float32(
            255
        )
        _, grads, _ = vision_loss(
            weights, batch, rng.standard_normal((100, config.z), dtype=np.float32)
        )
        adam.step(weights, grads)
    return weights


def encode_drives(weights, views):
    """Mean and standard deviation of z for whole drives: two arrays (T, cars, z)."""
    coded = np.stack([layers(weights, ENCODER, view / np.float32(255))[-1] for view in views])
    mean, logvar = np.split(coded, 2, axis=2)
    return mean, np.exp(logvar / 2)


def draw_drives(rng, coded, actions, chosen):
    """Inputs of M, (T - 1, n, z + 3), and the steps it should predict, (T - 1, n, z), of the chosen
    drives; z drawn from V."""
    mean, deviation = (part[:, chosen] for part in coded)
    z = mean + deviation * rng.standard_normal(mean.shape, dtype=np.float32)
    return np.concatenate([z, actions[:, chosen]], 2)[:-1], np.diff(z, axis=0)


def train_memory(rng, coded, actions, begins, config, curve):
    """M trained on drives, a tenth held out; appends (step, held-out gain over the Gaussian around
    z_t [nats]) to curve."""
    weights = init_memory(rng, config.z, config.hidden, config.mixtures)
    adam, kept = Adam(weights, 1e-2), begins.shape[1] - begins.shape[1] // 10
    held = np.arange(kept, begins.shape[1])
    x, step_held = draw_drives(rng, coded, actions, held)
    plain = gaussian_loss(
        draw_drives(rng, coded, actions, np.arange(kept))[1],
        begins[:, :kept],
        step_held,
        begins[:, held],
    )
    for step in range(config.m_steps + 1):
        if step % max(1, config.m_steps // 20) == 0 or step == config.m_steps:
            curve.append((step, plain - memory_loss(weights, x, step_held, begins[:, held])[0]))
        if step == config.m_steps:
            return weights
        adam.rate = 1e-2 * min(1, 2 - 2 * step / config.m_steps)
        chosen = rng.integers(0, kept, 32)
        _, grads, _ = memory_loss(
            weights, *draw_drives(rng, coded, actions, chosen), begins[:, chosen]
        )
        norm = np.sqrt(sum(float((g * g).sum()) for g in grads.values()))
        adam.step(weights, {name: g / max(1.0, norm) for name, g in grads.items()})


def gaussian_loss(steps, begins, held, held_begins):
    """Mean negative log-likelihood per dimension [nats] of held-out steps under the Gaussian fitted
    to steps."""
    steps, held = steps[~begins[1:]], held[~held_begins[1:]]
    mean, variance = steps.mean(0), steps.var(0)
    return float(
        (0.5 * np.log(2 * np.pi * variance) + 0.5 * ((held - mean) ** 2).mean(0) / variance).mean()
    )


def make_brain(vision, memory, coded, actions, begins):
    """V and M with the scales of z and h over the drives; h and z as arrays (T - 1, cars, ...)
    beside it."""
    z = coded[0][:-1]
    _, _, h = memory_loss(
        memory, np.concatenate([z, actions[:-1]], 2), np.diff(coded[0], axis=0), begins
    )
    shares = np.sqrt(z.shape[2] / h.shape[2])  # all of h together weighs as much as all of z
    return (
        Brain(
            vision,
            memory,
            z.mean((0, 1)),
            1 / z.std((0, 1)),
            h.mean((0, 1)),
            shares / (h.std((0, 1)) + 1e-3),
        ),
        z,
        h,
    )


def probe(features, speeds):
    """A linear read-out of speed fitted to the first half of the drives: R^2 on the second half
    (None where speed does not vary), and its estimates there."""
    half = features.shape[1] // 2
    rows = np.concatenate([features, np.ones((*features.shape[:2], 1))], 2)
    fit = np.linalg.lstsq(
        rows[:, :half].reshape(-1, rows.shape[2]), speeds[:, :half].ravel(), rcond=None
    )[0]
    truth, read = speeds[:, half:], rows[:, half:] @ fit
    if truth.var() == 0:  # drives so short that no car ever changes its speed
        return None, read
    return float(1 - ((truth - read) ** 2).mean() / truth.var()), read


def random_scores(rng, tracks, config):
    """Scores of the policy that collects the data, one whole episode on every track."""
    n = len(tracks.laps)
    race, driver, scores = (
        Race(tracks, np.arange(n), config.repeat),
        RandomDriver(rng, n),
        np.full(n, np.nan),
    )
    while race.frames < config.frames and np.isnan(scores).any():
        race.act(driver(race.look()))
        ended = np.isnan(scores) & (race.over() | (race.frames >= config.frames))
        scores[ended] = race.score()[ended]
    return scores


def evolve(rngs, laps, brain, config, history, watch):
    """The two searches, C on z and C on (z, h), side by side on the same new tracks; returns the
    means that they end with."""
    inputs = {"z": config.z, "zh": config.z + config.hidden}
    searches = {
        name: Search(rng, 3 * (n + 1), config)
        for rng, (name, n) in zip(rngs, inputs.items(), strict=True)
    }
    which = np.tile(np.arange(config.tracks), config.population)
    for generation in range(1, config.generations + 1):
        tracks = Tracks(laps[(generation - 1) * config.tracks : generation * config.tracks])
        cap = min(config.frames, 300 + 35 * generation)  # nobody gets far at first
        history["generation"].append(generation)
        for name, search in searches.items():
            weights = np.repeat(
                search.ask().reshape(config.population, -1, 3), config.tracks, 0
            ).astype(np.float32)
            scores = (
                drive(brain, tracks, which, weights, cap, 50, config.repeat)
                .reshape(config.population, -1)
                .mean(1)
            )
            search.tell(scores)
            history[name + "_mean"].append(float(scores.mean()))
            history[name + "_best"].append(float(scores.max()))
        if watch:
            means = {name + "_mean": history[name + "_mean"][-1] for name in searches}
            controllers = {
                name: search.mean.reshape(-1, 3).astype(np.float32)
                for name, search in searches.items()
            }
            watch(generation, config.generations, **means, controllers=controllers, brain=brain)
    return {
        name: search.mean.reshape(-1, 3).astype(np.float32) for name, search in searches.items()
    }


def run(config: Config = Config(), watch=None) -> Result:
    """Collect random drives, train V, then M, evolve both controllers, and test them on unseen
    tracks."""
    streams, curves = np.random.default_rng(config.seed).spawn(6), {"v": [], "m": []}
    laps = make_laps(streams[0], config.test_tracks + 32 + config.generations * config.tracks)
    tests, laps = Tracks(laps[: config.test_tracks]), laps[config.test_tracks :]
    random_score = float(random_scores(streams[1], tests, config).mean())
    views, actions, speeds, begins = collect(streams[1], Tracks(laps[:32]), config)
    vision = train_vision(streams[2], views, config, curves["v"])
    coded = encode_drives(vision, views)
    memory = train_memory(streams[3], coded, actions, begins, config, curves["m"])
    brain, z, h = make_brain(vision, memory, coded, actions, begins)
    held = slice(config.data_cars - config.data_cars // 10, None)
    (from_h, read_h), (from_z, read_z) = (
        probe(part[:, held], speeds[:-1, held]) for part in (h, z)
    )
    history = {name: [] for name in ("generation", "z_mean", "z_best", "zh_mean", "zh_best")}
    controllers = evolve(streams[4:], laps[32:], brain, config, history, watch)
    scores = {}
    for name, weights in controllers.items():
        copies = np.repeat(weights[None], config.test_tracks, 0)
        scores[name] = drive(
            brain,
            tests,
            np.arange(config.test_tracks),
            copies,
            config.frames,
            config.frames,
            config.repeat,
        )
    metrics = {
        "full_score": float(scores["zh"].mean()),
        "z_score": float(scores["z"].mean()),
        "memory_gain": float(scores["zh"].mean() - scores["z"].mean()),
        "memory_helps": bool(scores["zh"].mean() > scores["z"].mean()),
        "full_sd": float(scores["zh"].std()),
        "z_sd": float(scores["z"].std()),
        "steadiness": float(scores["zh"].std() / scores["z"].std()),
        "solved": float((scores["zh"] >= 900).mean()),
        "speed_from_h": from_h,
        "speed_from_z": from_z,
        "speed_probe": None if from_h is None else from_h - from_z,
        "m_gain": curves["m"][-1][1],
        "v_error": curves["v"][-1][1],
        "v_falls_to": curves["v"][-1][1] / curves["v"][0][1],
        "random_score": random_score,
    }
    shown = {"true": speeds[:-1, held][:, -read_h.shape[1] :], "h": read_h, "z": read_z}
    return Result(metrics, history, curves, brain, controllers, tests, scores, shown)


def gradient_check(config: Config = Config(z=3, hidden=5, mixtures=3)) -> float:
    """Worst relative error of the gradients of V and M against central differences."""
    rng = np.random.default_rng(config.seed)
    vision, x, noise = (
        init_vision(rng, config.z, np.float64),
        rng.uniform(0, 1, (3, 1024)),
        rng.normal(size=(3, config.z)),
    )
    worst = worst_relative_error(
        lambda: vision_loss(vision, x, noise)[0], vision, vision_loss(vision, x, noise)[1]
    )
    memory = init_memory(rng, config.z, config.hidden, config.mixtures, np.float64)
    drives = (
        rng.normal(size=(6, 4, config.z + 3)),
        rng.normal(size=(6, 4, config.z)),
        rng.random((7, 4)) < 0.2,
    )
    return max(
        worst,
        worst_relative_error(
            lambda: memory_loss(memory, *drives)[0], memory, memory_loss(memory, *drives)[1]
        ),
    )


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
