"""World models, car racing: a linear driver steers from pixels with the help of a learned memory.

Task   Every episode is a new random closed road of N tiles. Reward: +1000/N for each tile first
       touched, -0.1 a frame, -100 for leaving the field; at most 1000 frames of 1/50 s. The driver
       sees 32 x 32 grey pixels in the car's frame, never its speed. Actions a = (steer in [-1, 1],
       gas in [0, 1], brake in [0, 1]), each held for two frames, which make one decision.
V      Variational autoencoder, view -> z in R^12; loss: squared error + max(KL(q(z | view) ||
       N(0, 1)), 0.5 a dimension).
M      LSTM with state h in R^48 on [z_t, a_t]; per dimension a mixture of Gaussians for z_{t+1}.
C      a_t = tanh(W [1, z_t, h_t]), h_t: M's state before it sees z_t; W: (61, 3), found by CMA-ES.
       The control is the same C without h, W: (13, 3), searched in the same way on the same roads.
V and M learn from random driving and never see a reward; only the search for C does.
Arrays: views (cars, 1024), z (cars, 12), h (cars, 48), drives (decisions, cars, ...).

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
    data_cars: int = option(1024, "random drives to learn from, a tenth held out", 20, 4096)
    v_steps: int = option(3500, "training steps of V, 100 views each", 1, 100000)
    m_steps: int = option(800, "training steps of M, 32 drives each", 1, 100000)
    generations: int = option(45, "generations of the search for C", 1, 2000)
    population: int = option(64, "candidates in a generation", 4, 256)
    tracks: int = option(4, "new roads that every candidate of a generation drives", 1, 16)
    test_tracks: int = option(100, "unseen roads of the final test", 2, 200)
    frames: int = option(1000, "length of an episode [1/50 s]", 10, 5000)

    def __post_init__(self):
        check_options(self)


QUICK = {"data_cars": 100, "v_steps": 300, "m_steps": 20, "frames": 200}
QUICK |= {"generations": 8, "population": 16, "tracks": 2, "test_tracks": 20}


@dataclass
class Result:
    """metrics; history (a line a generation); what the figures need.

    brain: V and M; controllers and scores: by name, "z" or "zh"; tests: the unseen roads; probe:
    true and read-out speed of held-out drives.
    """

    metrics: dict
    history: dict
    brain: Brain
    controllers: dict
    tests: Tracks
    scores: dict
    probe: dict


# --- the game: roads ------------------------------------------------------------------------------
STEP, HALF_WIDTH, KERB, FIELD = 3.5, 6.67, 1.33, 333.0  # game units
CHECKPOINTS, OUTER, WANDER_STEPS = 12, 225.0, 1100
THIRD_ROUND = 2 * np.pi * (np.array([2, 3]) - 1 / 24)  # the first two rounds only warm up
SIZE = 768  # cells of 1 x 1 unit on a side of a map; beyond the field grass can be seen
CENTRE = SIZE // 2 * (SIZE + 1)  # the cell at x = y = 0 in a flat map
GRASS, ROAD, KERB_GREY, CAR_GREY = 160, 60, 255, 0
TIGHT = 0.06  # bend from tile to tile that gets kerbs [rad]


def make_laps(rng, count):
    """`count` closed roads: (tiles, 3) of x, y and beta, at right angles to which the road runs."""
    laps = []
    while len(laps) < count:
        shape = (count - len(laps) + 20, CHECKPOINTS)
        angle = 2 * np.pi / CHECKPOINTS * (np.arange(CHECKPOINTS) + rng.uniform(0, 1, shape))
        radius = rng.uniform(50, 150, shape)
        angle[:, [0, -1]] = 0, 2 * np.pi * (CHECKPOINTS - 1) / CHECKPOINTS
        radius[:, [0, -1]] = OUTER
        path, covered = wander(angle, radius)
        for road, reached in enumerate(np.maximum.accumulate(covered).T):
            first, last = np.searchsorted(reached, THIRD_ROUND)
            if last < len(path):
                gap = np.hypot(*(path[last, road, :2] - path[first, road, :2]))
                laps += [path[first:last, road]] * int(gap <= STEP)
    return laps[:count]


def wander(angle, radius):
    """Points that chase the checkpoints, given in polar coordinates, round and round.

    Returns paths (steps, roads, 3) of x, y and beta, and the angle covered so far (steps, roads).
    """
    n = len(angle)
    goal_x, goal_y = radius * np.cos(angle), radius * np.sin(angle)
    x, y, beta, turned, goal = np.full(n, OUTER), *np.zeros((3, n)), np.zeros(n, int)
    path, covered = np.empty((WANDER_STEPS, n, 3)), np.empty((WANDER_STEPS, n))
    for step in range(WANDER_STEPS):
        rounds, rest = np.divmod(turned, 2 * np.pi)
        goal = np.maximum(goal, (CHECKPOINTS * rounds + (angle < rest[:, None]).sum(1)).astype(int))
        nearest = np.arange(n), goal % CHECKPOINTS
        p = np.cos(beta) * (goal_x[nearest] - x) + np.sin(beta) * (goal_y[nearest] - y)
        p *= 6
        bend = np.where(np.abs(p) > 0.3, -np.sign(p) * np.minimum(0.31, 0.001 * np.abs(p)), 0.0)
        path[step], covered[step] = np.stack([x, y, beta + bend / 2], 1), turned
        before = np.arctan2(y, x)
        x, y, beta = x - STEP * np.sin(beta), y + STEP * np.cos(beta), beta + bend
        turned = turned + (np.arctan2(y, x) - before + np.pi) % (2 * np.pi) - np.pi
    return path, covered


class Tracks:
    """Roads painted once into maps of SIZE x SIZE cells, flattened one after the other.

    tile: number of the road's tile plus 1, 0 = grass; grey: what the view shows; count: tiles.
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
    """For every tile the outer side of a tight bend, +1 or -1 along beta; 0 where there is none."""
    bend = (np.roll(lap[:, 2], -1) - lap[:, 2] + np.pi) % (2 * np.pi) - np.pi
    tight = sum(np.roll(np.abs(bend) > TIGHT, shift) for shift in range(4)) == 4
    return np.where(tight, np.sign(bend), 0)


def cells_between(lap, low, high):
    """Cells of every tile between the offsets low and high from the middle, (tiles, 240)."""
    offset = low + np.multiply.outer(np.linspace(0, 1, 30), np.broadcast_to(high - low, len(lap)))
    edge = lap[:, :2] + offset[..., None] * np.stack([np.cos(lap[:, 2]), np.sin(lap[:, 2])], 1)
    ahead = np.roll(edge, -1, 1) - edge
    spots = edge + np.multiply.outer((np.arange(8) + 0.5) / 8, ahead)
    x, y = np.floor(spots + SIZE // 2).astype(int).reshape(240, len(lap), 2).T
    return y * SIZE + x


def soften(grey):
    """Smooth a map, in place, 1 2 1 both ways: a view that steps over cells still sees edges."""
    for g in (grey, grey.T):
        g[1:-1] = (g[:-2].astype(np.uint16) + 2 * g[1:-1].astype(np.uint16) + g[2:] + 2) // 4


# --- the game: cars -------------------------------------------------------------------------------
FRAME, REPEAT = 1 / 50, 2  # s; frames for which an action is held
MASS, INERTIA, RADIUS, WHEEL_INERTIA = 7.3, 19.1, 0.54, 1.6
ENGINE, STIFFNESS, GRIP_ROAD, GRIP_GRASS = 40000, 82, np.float32(400), np.float32(240)
LEFT = np.array([[1.1], [-1.1], [1.1], [-1.1]], np.float32)  # of the wheels, the rear ones last
AHEAD = np.array([[1.68], [1.68], [-1.56], [-1.56]], np.float32)
# Rows of a state; the four wheels' spin from row 8 on.
X, Y, HEADING, SPEED_X, SPEED_Y, SPIN, STEERED, GAS, WHEELS = range(9)
MOST_TILES = 512
VIEWS_AT_ONCE = 256  # more rows and the product leaves the fast path for small matrices


def frame(cars, action, on_road):
    """Move states, (12, cars), by one frame; action: (3, cars); on_road: (4, cars) bool."""
    steer, gas, brake = action
    ahead, left, wheels = np.cos(cars[HEADING]), np.sin(cars[HEADING]), cars[WHEELS:]
    turn = np.minimum(np.maximum(50 * (-steer - cars[STEERED]), -3), 3)
    cars[STEERED] = np.minimum(np.maximum(cars[STEERED] + FRAME * turn, -0.4), 0.4)
    cars[GAS] = np.minimum(gas, cars[GAS] + 0.1)
    wheels[2:] += FRAME * ENGINE * cars[GAS] / (WHEEL_INERTIA * (np.abs(wheels[2:]) + 5))
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
    """Forces on the body along its axes, (4, cars) each, and the part along each wheel.

    A tyre pulls against its slip, in proportion to it and up to a limit. ahead, left: cosine and
    sine of the heading.
    """
    speed_ahead = cars[SPEED_X] * ahead + cars[SPEED_Y] * left - cars[SPIN] * LEFT
    speed_left = cars[SPEED_Y] * ahead - cars[SPEED_X] * left + cars[SPIN] * AHEAD
    cos, sin = np.ones_like(cars[WHEELS:]), np.zeros_like(cars[WHEELS:])
    cos[:2], sin[:2] = np.cos(cars[STEERED]), np.sin(cars[STEERED])
    along = STIFFNESS * (RADIUS * cars[WHEELS:] - speed_ahead * cos - speed_left * sin)
    side = STIFFNESS * (speed_ahead * sin - speed_left * cos)
    limit = np.where(on_road, GRIP_ROAD, GRIP_GRASS)
    cut = np.minimum(1, limit / np.sqrt(along * along + side * side + 1e-12))
    along, side = along * cut, side * cut
    return along * cos - side * sin, along * sin + side * cos, along


def view_basis():
    """(3, 1024): x of a pixel = (car's x, cos, sin) @ basis, in V's order, and that order.

    The view shows 62 x 43 units, heading up, the car 6/7 down. V merges 4x4 pixels, then 2x2 groups
    three times; stored in this order, each of its layers is one reshape and one product.
    """
    row, column = np.mgrid[:32, :32]
    digits = (4, 1), (3, 1), (2, 1), (0, 3)  # bits of a coordinate: shift and mask
    parts = [part >> shift & mask for shift, mask in digits for part in (row, column)]
    order = np.lexsort([part.ravel() for part in parts[::-1]])
    forward = 43 * (6 / 7 - (row.ravel()[order] + 0.5) / 32)
    right = 62 * ((column.ravel()[order] + 0.5) / 32 - 0.5)
    return np.stack([np.ones(1024), forward, right]).astype(np.float32), order


BASIS, ORDER = view_basis()
CAR_PIXELS = np.flatnonzero((np.abs(BASIS[1]) < 2.1) & (np.abs(BASIS[2]) < 1.3))
LEFT_MINUS_RIGHT = -np.sign(BASIS[2]) / np.float32(512 * 255)  # halves of a view


class Race:
    """Cars on roads: what a driver may see (look) and do (act), and the score, told to the search.

    cars: (12, n) states; which: (n,) road of each car; every car starts at rest on the first tile.
    """

    def __init__(self, tracks, which):
        n = len(which)
        self.tracks, self.which, self.frames = tracks, which, 0
        self.cars = np.zeros((12, n), np.float32)
        self.cars[:3] = self.places(np.zeros(n, int))
        self.seen = np.zeros((n, MOST_TILES), bool)  # tiles touched; column 0 stands for grass
        self.touched, self.last_new = np.zeros((2, n), int)
        self.out = np.zeros(n, bool)

    def places(self, tile):
        """x, y and heading of the middle of a tile of every car's road, (3, n)."""
        points = [self.tracks.laps[road][i] for road, i in zip(self.which, tile, strict=True)]
        return np.array(points).T + [[0], [0], [np.pi / 2]]

    def look(self):
        """Views of all cars, (n, 1024) uint8, pixels in V's order."""
        views = np.empty((len(self.which), 1024), np.uint8)
        first = (self.which * (SIZE * SIZE)).astype(np.int32)[:, None]
        cos, sin = np.cos(self.cars[HEADING]), np.sin(self.cars[HEADING])
        x = np.stack([self.cars[X] + SIZE // 2, cos, sin], 1)
        y = np.stack([self.cars[Y] + SIZE // 2, sin, -cos], 1)
        for start in range(0, len(views), VIEWS_AT_ONCE):
            part = slice(start, start + VIEWS_AT_ONCE)
            cell = (y[part] @ BASIS).astype(np.int32)
            cell *= SIZE
            cell += (x[part] @ BASIS).astype(np.int32)
            cell += first[part]
            self.tracks.grey.take(cell, mode="clip", out=views[part])
        views[:, CAR_PIXELS] = CAR_GREY
        return views

    def act(self, action):
        """Hold the actions, (n, 3), for REPEAT frames."""
        action = np.ascontiguousarray(action.T, np.float32)
        car, base = np.arange(len(self.which)), self.which * (SIZE * SIZE) + CENTRE
        for _ in range(REPEAT):
            cos, sin = np.cos(self.cars[HEADING]), np.sin(self.cars[HEADING])
            x = self.cars[X] + AHEAD * cos - LEFT * sin  # of the wheels
            y = self.cars[Y] + AHEAD * sin + LEFT * cos
            cell = np.floor(y).astype(int) * SIZE + np.floor(x).astype(int) + base
            tile = self.tracks.tile.take(cell, mode="clip")
            self.seen[car, tile] = True
            frame(self.cars, action, tile > 0)
        self.frames += REPEAT
        touched = np.count_nonzero(self.seen[:, 1:], 1)
        self.last_new[touched > self.touched] = self.frames
        self.touched = touched
        self.out = np.abs(self.cars[:2]).max(0) > FIELD

    def score(self):
        """Scores so far, (n,)."""
        share = self.touched / self.tracks.count[self.which]
        return 1000 * share - 0.1 * self.frames - 100.0 * self.out

    def over(self):
        """(n,) bool: off the field, or all tiles touched."""
        return self.out | (self.touched == self.tracks.count[self.which])

    def keep(self, mask):
        """Forget all cars but those of the mask."""
        for name in ("which", "seen", "last_new", "touched", "out"):
            setattr(self, name, getattr(self, name)[mask])
        self.cars = np.ascontiguousarray(self.cars[:, mask])


# --- the idea in plain form: one car --------------------------------------------------------------


@dataclass
class Brain:
    """V and M once they are trained, and the scales that make z and h comparable inputs for C."""

    vision: dict
    memory: dict
    mean: np.ndarray  # of [z, h], (z + hidden,)
    scale: np.ndarray


def drive_one(brain, race, weights, frames):
    """One car driven by C's weights, (1 + z + hidden, 3); yields z, h and action, (1, ...) each, at
    every decision, until the race is over or the frames are used up."""
    h = c = np.zeros((1, len(brain.memory["Wh"])), np.float32)
    while race.frames < frames and not race.over():
        z = encode(brain.vision, race.look())  # V: the picture of the moment
        action = choose(brain, weights, z, h)  # C
        yield z, h, action
        h, c = remember(brain.memory, np.concatenate([z, action], 1), h, c)  # M: what to expect
        race.act(action)


def choose(brain, weights, z, h):
    """C: actions, (n, 3), for weights (1 + z + hidden, 3), or (n, 1 + z + hidden, 3)."""
    known = (np.concatenate([z, h], 1) - brain.mean) * brain.scale
    action = np.tanh(np.insert(known, 0, 1, axis=1)[:, None] @ weights)[:, 0]
    action[:, 1] = (action[:, 1] + 1) / 2  # gas
    action[:, 2] = np.maximum(action[:, 2], 0)  # brake
    return action


# --- V: the autoencoder ---------------------------------------------------------------------------
ENCODER, DECODER = ("E1", "E2", "E3", "E4"), ("D4", "D3", "D2", "D1")
MAPS, WHITE = (8, 16, 64), np.float32(1 / 255)
FREE = 0.5  # nats a dimension that the KL term does not ask back
PIXEL_WEIGHT = 12  # the paper's pictures have so many times as many values


def init_vision(rng, z, dtype=np.float32):
    """V: convolutions whose stride is their size, hence plain products (inputs, outputs)."""
    a, b, c = MAPS
    shapes = {"E1": (16, a), "E2": (4 * a, b), "E3": (4 * b, c), "E4": (4 * c, 2 * z)}
    shapes |= {"D4": (z, 4 * c), "D3": (c, 4 * b), "D2": (b, 4 * a), "D1": (a, 16)}
    weights = {name: rng.normal(0, np.sqrt(2 / shape[0]), shape) for name, shape in shapes.items()}
    weights |= {name + "b": np.zeros(shape[1]) for name, shape in shapes.items()}
    return {name: w.astype(dtype) for name, w in weights.items()}


def layers(weights, names, x):
    """Activations of a stack, (n, units) each, the input first; rectified except the last."""
    states = [x]
    for name in names:
        y = (states[-1].reshape(-1, len(weights[name])) @ weights[name]).reshape(len(x), -1)
        y += np.tile(weights[name + "b"], y.shape[1] // weights[name].shape[1])  # long rows: faster
        if name != names[-1]:
            np.maximum(y, np.zeros_like(y[0]), out=y)  # a row of zeros: twice as fast as 0
        states.append(y)
    return states


def layers_backward(weights, names, states, dx, grads):
    """Fills grads; returns the gradient at the stack's input. dx: gradient at its output."""
    for name, below, above in zip(reversed(names), states[-2::-1], states[:0:-1], strict=True):
        if name != names[-1]:
            dx = dx * (above > 0)
        dx, rows = dx.reshape(-1, weights[name].shape[1]), below.reshape(-1, len(weights[name]))
        grads[name], grads[name + "b"] = rows.T @ dx, np.ones(len(dx), dx.dtype) @ dx
        dx = (dx @ weights[name].T).reshape(below.shape)
    return dx


def encode(weights, views):
    """Mean of z, (n, z), for views of 0 to 255."""
    return layers(weights, ENCODER, views * WHITE)[-1][:, : len(weights["D4"])]


def decode(weights, z):
    """Views in [0, 1], (n, 1024)."""
    return 0.5 + 0.5 * np.tanh(0.5 * layers(weights, DECODER, z)[-1])


def vision_loss(weights, x, noise, free=FREE):
    """Loss of V on x in [0, 1], (n, 1024), and its gradients; noise: (n, z), standard normal.

    z = mean + exp(logvar / 2) noise; dL/dmean = dL/dz + mean, dL/dlogvar = dL/dz (z - mean) / 2 +
    (exp(logvar) - 1) / 2, the second terms where the KL exceeds what is free.
    """
    grads, (n, size) = {}, noise.shape
    coded = layers(weights, ENCODER, x)
    mean, logvar = coded[-1][:, :size], coded[-1][:, size:]
    spread = np.exp(logvar / 2) * noise
    drawn = layers(weights, DECODER, mean + spread)
    y = 0.5 + 0.5 * np.tanh(0.5 * drawn[-1])
    kl = 0.5 * (mean**2 + np.exp(logvar) - 1 - logvar).sum(1)
    loss = PIXEL_WEIGHT * ((x - y) ** 2).sum(1).mean() + np.maximum(kl, free * size).mean()
    dy = 2 * PIXEL_WEIGHT / n * (y - x) * y * (1 - y)
    dz = layers_backward(weights, DECODER, drawn, dy, grads)
    counts = ((kl > free * size)[:, None] / n).astype(x.dtype)
    dlogvar = dz * spread / 2 + counts * (np.exp(logvar) - 1) / 2
    coding = np.concatenate([dz + counts * mean, dlogvar], 1)
    layers_backward(weights, ENCODER, coded, coding, grads)
    return loss, grads


# --- M: the recurrent mixture-density network -----------------------------------------------------
MIXTURES = 5
SHOW, TAKE, FORGET, NEW = range(4)  # the LSTM's gates, and the candidate for its cells


def init_memory(rng, z, hidden, dtype=np.float32):
    """Heads: log weight, mean and log deviation of every Gaussian, whose means start apart."""
    weights = {
        "Wx": rng.normal(0, 1 / np.sqrt(z + 3), (z + 3, 4 * hidden)),
        "Wh": rng.normal(0, 1 / np.sqrt(hidden), (hidden, 4 * hidden)),
        "b": np.repeat([0.0, 0.0, 1.0, 0.0], hidden),
        "Wo": rng.normal(0, 0.3 / np.sqrt(hidden), (hidden, 3 * z * MIXTURES)),
        "bo": np.zeros(3 * z * MIXTURES),
    }
    weights["bo"].reshape(3, -1)[1] = rng.normal(0, 0.1, z * MIXTURES)
    return {name: w.astype(dtype) for name, w in weights.items()}


def remember(weights, x, h, c):
    """One step of the LSTM: the new h and c, (n, hidden); x: (n, z + 3), z and action."""
    gates = x @ weights["Wx"]
    gates += weights["b"]
    h, c, _ = cells(weights, gates, h, c)
    return h, c


def cells(weights, gates, h, c):
    """New h, new c and its tanh; gates: W_x x + b, which become the gates' activations in place."""
    units = h.shape[1]
    gates += h @ weights["Wh"]
    gates[:, : NEW * units] *= 0.5  # logistic(a) = (1 + tanh(a / 2)) / 2
    np.tanh(gates, out=gates)
    gates[:, : NEW * units] *= 0.5
    gates[:, : NEW * units] += 0.5
    show, take, forget, new = (gates[:, i * units : (i + 1) * units] for i in range(4))
    c = forget * c
    c += take * new
    squashed = np.tanh(c)
    return show * squashed, c, squashed


def memory_forward(weights, x, begins):
    """h and c, (T + 1, n, hidden), gates, (T, n, 4 hidden), and tanh of c, (T, n, hidden).

    x: (T, n, z + 3) holds z_t and a_t, h[t] is the state before x[t]; begins: (T + 1, n) bool;
    where it is true, a drive begins and h and c are zero.
    """
    (length, n, _), units = x.shape, len(weights["Wh"])
    keep = (~begins[..., None]).astype(x.dtype)
    h, c = np.zeros((2, length + 1, n, units), x.dtype)
    gates, squashed = x @ weights["Wx"] + weights["b"], np.empty((length, n, units), x.dtype)
    for t in range(length):
        h[t + 1], c[t + 1], squashed[t] = cells(weights, gates[t], h[t], c[t])
        h[t + 1] *= keep[t + 1]
        c[t + 1] *= keep[t + 1]
    return h, c, gates, squashed


def memory_backward(weights, x, begins, states, dh_out):
    """Gradients by back-propagation through time; dh_out: (T, n, hidden), the heads' at every h.

    With c' = forget c + take new and h' = show tanh(c'): dc' = dh' show (1 - tanh(c')^2) + later;
    at the gates' inputs dc' new take (1 - take), dc' c forget (1 - forget), dh' tanh(c') show
    (1 - show), dc' take (1 - new^2).
    """
    h, c, gates, squashed = states
    length, n, units = squashed.shape
    keep, gates = (~begins[..., None]).astype(x.dtype), gates.reshape(length, n, 4, units)
    show, take, forget, new = (gates[:, :, i] for i in range(4))
    slope = gates * (1 - gates)
    slope[:, :, TAKE] *= new
    slope[:, :, FORGET] *= c[:-1]
    slope[:, :, SHOW] *= squashed
    slope[:, :, NEW] = take * (1 - new * new)
    to_c, dh, dc = show * (1 - squashed * squashed), 0.0, 0.0
    for t in reversed(range(length)):
        dh = (dh + dh_out[t]) * keep[t + 1]
        dc = dc * keep[t + 1] + dh * to_c[t]
        dgates = slope[t]  # from here on the gradient
        dgates[:, SHOW] *= dh
        dgates[:, TAKE:] *= dc[:, None]
        dh, dc = dgates.reshape(n, -1) @ weights["Wh"].T, dc * forget[t]
    rows = slope.reshape(length * n, -1)
    inputs, before = x.reshape(len(rows), -1), h[:-1].reshape(len(rows), -1)
    return {"Wx": inputs.T @ rows, "Wh": before.T @ rows, "b": rows.sum(0)}


def predict(weights, h, z):
    """Mixtures for the steps z_{t+1} - z_t after all rows of h, (rows, hidden).

    Returns log weights, means and log deviations, (MIXTURES, z, rows) each.
    """
    out = (weights["Wo"].T @ h.T + weights["bo"][:, None]).reshape(3, -1, z, len(h))
    logits, mean, spread = out
    logits -= logits.max(0)
    logits -= np.log(np.exp(logits).sum(0))
    return logits, mean, spread


def mixture_loss(weights, h, step, counts):
    """Mean negative log-likelihood per dimension [nats] of the steps, (rows, z), and its gradient
    at the heads' outputs; counts: (rows,) bool, which rows count.

    With r_j the share of Gaussian j in the density and u = (step - mean) / deviation: d/dlogit =
    weight - r, d/dmean = -r u / deviation, d/dlog deviation = r (1 - u^2).
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
    parts = np.exp(logits) - share, -share * scaled * precision, share * (1 - scaled * scaled)
    return loss, (np.stack(parts) * weight).reshape(-1, len(h))


def memory_loss(weights, x, step, begins):
    """Mean negative log-likelihood per dimension [nats] of the steps z_{t+1} - z_t, (T, n, z), and
    its gradients; steps that lead to the begin of another drive do not count."""
    states = memory_forward(weights, x, begins)
    rows = states[0][1:].reshape(-1, len(weights["Wh"]))
    loss, dout = mixture_loss(weights, rows, step.reshape(len(rows), -1), ~begins[1:].reshape(-1))
    dh_out = (weights["Wo"] @ dout).T.reshape(*x.shape[:2], -1)
    grads = {"Wo": (dout @ rows).T, "bo": dout.sum(1)}
    return loss, grads | memory_backward(weights, x, begins, states, dh_out)


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


# --- learning of V and M: random driving ----------------------------------------------------------
DRIVE = 100  # decisions in a random drive
SHARE_HELD = 10  # one drive of so many is held out
V_RATE, V_BATCH, M_RATE, M_BATCH = 2e-3, 100, 1e-2, 32


class RandomDriver:
    """Actions drawn at random and held for some decisions, plus a reflex of random strength: a car
    steers by gain x (grey of the left half of its view - grey of the right half)."""

    def __init__(self, rng, n):
        self.rng, self.gain = rng, rng.normal(0, 5, n)
        self.action, self.hold = np.zeros((n, 3)), np.zeros(n, int)

    def __call__(self, views):
        """Actions, (n, 3)."""
        new, rng = self.hold == 0, self.rng
        n = int(new.sum())
        self.hold[new] = rng.integers(1, 11, n)
        gas = rng.uniform(0, 1, n) * (rng.random(n) < 0.8)
        brake = rng.uniform(0, 0.9, n) * (rng.random(n) < 0.1)
        self.action[new] = np.stack([rng.normal(0, 0.2, n), gas, brake], 1)
        self.hold -= 1
        action = self.action.copy()
        action[:, 0] = np.clip(action[:, 0] + self.gain * (views @ LEFT_MINUS_RIGHT), -1, 1)
        return action


def random_scores(rng, tracks, frames):
    """Scores of the random driver, one whole episode on every road."""
    which = np.arange(len(tracks.laps))
    race, driver, scores = Race(tracks, which), RandomDriver(rng, len(which)), np.zeros(len(which))
    while race.frames < frames:
        going = ~race.over()
        race.act(driver(race.look()))
        scores[going] = race.score()[going]
    return scores


def collect(rng, tracks, n):
    """Random drives, begun anew where no road is in sight.

    Returns views (T, n, 1024), actions (T, n, 3), speeds (T, n) and where a drive begins (T, n).
    """
    race, driver = Race(tracks, np.arange(n) % len(tracks.laps)), RandomDriver(rng, n)
    views, actions = np.empty((DRIVE, n, 1024), np.uint8), np.empty((DRIVE, n, 3), np.float32)
    speeds, begins = np.empty((DRIVE, n)), np.ones((DRIVE, n), bool)
    for t in range(DRIVE):
        if t:
            begins[t] = (race.look() < (ROAD + GRASS) / 2).sum(1) <= len(CAR_PIXELS)
        places = race.places(rng.integers(0, tracks.count[race.which]))[:, begins[t]]
        race.cars[:, begins[t]] = 0  # at rest, roughly along the road
        race.cars[:3, begins[t]] = places + rng.normal(0, 1, places.shape) * [[2], [2], [0.2]]
        views[t] = race.look()
        actions[t], speeds[t] = driver(views[t]), np.hypot(race.cars[SPEED_X], race.cars[SPEED_Y])
        race.act(actions[t])
    return views, actions, speeds, begins


def train(weights, rate, steps, gradients, limit=None):
    """Adam on the weights, in place, at a rate that falls from half-way on."""
    adam = Adam(weights, rate, limit=limit)
    for step in range(steps):
        adam.rate = rate * min(1, 2 - 2 * step / steps)
        adam.step(weights, gradients())


def train_vision(rng, views, config):
    """V trained on views, (T, cars, 1024)."""
    weights, kept = init_vision(rng, config.z), views.shape[1] - views.shape[1] // SHARE_HELD

    def gradients():
        drawn = rng.integers(0, len(views), V_BATCH), rng.integers(0, kept, V_BATCH)
        noise = rng.standard_normal((V_BATCH, config.z), dtype=np.float32)
        return vision_loss(weights, views[drawn] * WHITE, noise)[1]

    train(weights, V_RATE, config.v_steps, gradients)
    return weights


def encode_drives(weights, views):
    """Mean and standard deviation of z for whole drives: two arrays (T, cars, z)."""
    coded = np.stack([layers(weights, ENCODER, view * WHITE)[-1] for view in views])
    mean, logvar = np.split(coded, 2, axis=2)
    return mean, np.exp(logvar / 2)


def draw_drives(rng, coded, actions, chosen):
    """M's inputs, (T - 1, n, z + 3), and steps to predict, (T - 1, n, z); z drawn from V."""
    mean, deviation = (part[:, chosen] for part in coded)
    z = mean + deviation * rng.standard_normal(mean.shape, dtype=np.float32)
    return np.concatenate([z, actions[:, chosen]], 2)[:-1], np.diff(z, axis=0)


def train_memory(rng, coded, actions, begins, config):
    """M, and its gain on drives held out over the Gaussian around z_t [nats per dimension]."""
    weights, cars = init_memory(rng, config.z, config.hidden), begins.shape[1]
    kept, counts = cars - cars // SHARE_HELD, ~begins[1:]
    x, steps = draw_drives(rng, coded, actions, np.arange(kept, cars))
    _, plain = draw_drives(rng, coded, actions, np.arange(kept))

    def gradients():
        chosen = rng.integers(0, kept, M_BATCH)
        drives = draw_drives(rng, coded, actions, chosen)
        return memory_loss(weights, *drives, begins[:, chosen])[1]

    train(weights, M_RATE, config.m_steps, gradients, limit=1.0)
    h = memory_forward(weights, x, begins[:, kept:])[0][1:].reshape(-1, config.hidden)
    loss, _ = mixture_loss(weights, h, steps.reshape(len(h), -1), counts[:, kept:].reshape(-1))
    return weights, gaussian_loss(plain[counts[:, :kept]], steps[counts[:, kept:]]) - float(loss)


def gaussian_loss(steps, held):
    """Loss [nats per dimension] of the Gaussian fitted to steps on the steps held out."""
    variance = steps.var(0)
    squared = ((held - steps.mean(0)) ** 2).mean(0) / variance
    return float((0.5 * np.log(2 * np.pi * variance) + 0.5 * squared).mean())


def make_brain(rngs, tracks, config):
    """Random drives, V trained on them, then M; returns both with the scales of z and h, M's gain,
    and z, h and speeds of the drives held out. All of h is to weigh as much as all of z."""
    views, actions, speeds, begins = collect(rngs[0], tracks, config.data_cars)
    vision = train_vision(rngs[1], views, config)
    coded = encode_drives(vision, views)
    memory, gain = train_memory(rngs[2], coded, actions, begins, config)
    z = coded[0][:-1]
    h = memory_forward(memory, np.concatenate([z, actions[:-1]], 2), begins)[0][:-1]
    share = math.sqrt(config.z / config.hidden)  # no np.float64, which would spread
    scale = np.concatenate([1 / z.std((0, 1)), share / (h.std((0, 1)) + 1e-3)])
    brain = Brain(vision, memory, np.concatenate([z, h], 2).mean((0, 1)), scale)
    held = slice(config.data_cars - config.data_cars // SHARE_HELD, None)
    return brain, gain, z[:, held], h[:, held], speeds[:-1, held]


def probe(features, speeds):
    """A linear read-out of speed fitted to the first half of the drives: R^2 on the second half,
    and true speeds and estimates there."""
    half = features.shape[1] // 2
    rows = np.concatenate([features, np.ones((*features.shape[:2], 1))], 2)
    fitted = rows[:, :half].reshape(-1, rows.shape[2]), speeds[:, :half].ravel()
    truth, read = speeds[:, half:], rows[:, half:] @ np.linalg.lstsq(*fitted, rcond=None)[0]
    return float(1 - ((truth - read) ** 2).mean() / truth.var()), truth, read


# --- learning of C: the search --------------------------------------------------------------------
SIGMA = 0.1  # first step size
FIRST_CAP, MORE_CAP = 300, 35  # frames of an episode: nobody gets far at first
PATIENCE = 50  # frames without a new tile that end a car's episode in the search


class Search:
    """CMA-ES (Hansen & Ostermeier 2001); diagonal (Ros & Hansen 2008): few generations suffice."""

    def __init__(self, rng, n, population):
        self.rng, self.mean, self.sigma, self.population = rng, np.zeros(n), SIGMA, population
        share = np.log(population / 2 + 0.5) - np.log(np.arange(1, population // 2 + 1))
        self.share = share / share.sum()
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
        step, deviation = self.share @ steps, np.sqrt(self.scale)
        self.mean += self.sigma * deviation * step
        self.path_sigma *= 1 - self.c_sigma
        self.path_sigma += np.sqrt(self.c_sigma * (2 - self.c_sigma) * self.mu) * step
        stretch = np.linalg.norm(self.path_sigma) / self.length
        self.path *= 1 - self.c_path
        if stretch < 1.4 + 2 / len(self.mean):
            self.path += np.sqrt(self.c_path * (2 - self.c_path) * self.mu) * deviation * step
        change = self.c_one * (self.path**2 / self.scale - 1)
        self.scale *= 1 + change + self.c_mu * (self.share @ steps**2 - 1)
        self.sigma *= np.exp(self.c_sigma / self.damping * (stretch - 1))


def as_weights(genomes, brain):
    """Weights of C, (n, 1 + z + hidden, 3); a genome too short for h has zeros there."""
    weights = np.zeros((len(genomes), 1 + len(brain.mean), 3), np.float32)
    weights.reshape(len(genomes), -1)[:, : genomes.shape[1]] = genomes
    return weights


def drive(brain, tracks, which, weights, cap, patience):
    """Scores, (n,), of many cars, each with its own C, (n, 1 + z + hidden, 3), on the road numbered
    in which, (n,); cars whose C reads h come first, and M runs for these alone.

    A drive ends as in drive_one, or after `patience` frames without a new tile.
    """
    scores, car, race = np.empty(len(which)), np.arange(len(which)), Race(tracks, which)
    units = len(brain.memory["Wh"])
    reads_h = weights[:, -units:].any((1, 2))
    h, c = np.zeros((2, len(which), units), np.float32)
    while True:
        z = encode(brain.vision, race.look())
        action, k = choose(brain, weights, z, h), np.count_nonzero(reads_h)
        if k:
            x = np.concatenate([z, action], 1)[:k]
            h[:k], c[:k] = remember(brain.memory, x, h[:k], c[:k])
        race.act(action)
        ended = race.over() | (race.frames >= cap) | (race.frames - race.last_new >= patience)
        if ended.any():
            scores[car[ended]] = race.score()[ended]
            if ended.all():
                return scores
            race.keep(~ended)
            car, h, c, weights, reads_h = (a[~ended] for a in (car, h, c, weights, reads_h))


def evolve(rngs, laps, brain, config, history, watch):
    """Two searches, C on (z, h) and C on z, on the same new roads; the means they end with."""
    sizes = {"zh": config.z + config.hidden, "z": config.z}
    searches = {
        name: Search(rng, 3 * (1 + size), config.population)
        for rng, (name, size) in zip(rngs, sizes.items(), strict=True)
    }
    which = np.tile(np.arange(config.tracks), 2 * config.population)
    for generation in range(1, config.generations + 1):
        tracks = Tracks(laps[(generation - 1) * config.tracks : generation * config.tracks])
        weights = np.concatenate([as_weights(each.ask(), brain) for each in searches.values()])
        cap = min(config.frames, FIRST_CAP + MORE_CAP * generation)
        scores = drive(brain, tracks, which, weights.repeat(config.tracks, 0), cap, PATIENCE)
        history["generation"].append(generation)
        for (name, search), part in zip(searches.items(), np.split(scores, 2), strict=True):
            part = part.reshape(config.population, -1).mean(1)
            search.tell(part)
            history[name + "_mean"].append(float(part.mean()))
        means = {name: as_weights(each.mean[None], brain)[0] for name, each in searches.items()}
        if watch:
            shown = {name + "_mean": history[name + "_mean"][-1] for name in searches}
            watch(generation, config.generations, **shown, controllers=means)
    return means


# --- a run ----------------------------------------------------------------------------------------
DATA_ROADS = 32
KEPT_BYTES = 31 << 20  # freed once, so many make glibc keep freed memory: fresh pages are slow


def run(config: Config = Config(), watch=None) -> Result:
    """Train V and M on random drives, evolve both controllers, and test them on unseen roads."""
    np.empty(KEPT_BYTES, np.uint8)
    streams = np.random.default_rng(config.seed).spawn(6)
    count = config.test_tracks + DATA_ROADS + config.generations * config.tracks
    laps = make_laps(streams[0], count)
    tests, laps = Tracks(laps[: config.test_tracks]), laps[config.test_tracks :]
    random_score = random_scores(streams[1], tests, config.frames).mean()
    brain, gain, z, h, speeds = make_brain(streams[1:4], Tracks(laps[:DATA_ROADS]), config)
    from_h, truth, read_h = probe(h, speeds)
    from_z, _, read_z = probe(z, speeds)
    history = {name: [] for name in ("generation", "zh_mean", "z_mean")}
    controllers = evolve(streams[4:], laps[DATA_ROADS:], brain, config, history, watch)
    which, weights = np.tile(np.arange(config.test_tracks), 2), np.stack(list(controllers.values()))
    weights, cap = weights.repeat(config.test_tracks, 0), config.frames
    full, plain = np.split(drive(brain, tests, which, weights, cap, patience=cap), 2)
    metrics = {
        "full_score": float(full.mean()),
        "z_score": float(plain.mean()),
        "memory_gain": float(full.mean() - plain.mean()),
        "memory_helps": bool(full.mean() > plain.mean()),
        "steadiness": float(full.std() / plain.std()),
        "speed_probe": from_h - from_z,
        "m_gain": gain,
        "random_score": float(random_score),
    }
    shown, scores = {"true": truth, "h": read_h, "z": read_z}, {"zh": full, "z": plain}
    return Result(metrics, history, brain, controllers, tests, scores, shown)


def gradient_check(config: Config = Config(z=3, hidden=5)) -> float:
    """Worst relative error of the gradients of V and M against central differences."""
    rng = np.random.default_rng(config.seed)
    vision = init_vision(rng, config.z, np.float64)
    seen = rng.uniform(0, 1, (3, 1024)), rng.normal(size=(3, config.z))
    memory = init_memory(rng, config.z, config.hidden, np.float64)
    x, steps = rng.normal(size=(6, 4, config.z + 3)), rng.normal(size=(6, 4, config.z))
    drives = x, steps, rng.random((7, 4)) < 0.2

    def error(loss, weights, data):
        grads = loss(weights, *data)[1]
        return worst_relative_error(lambda: loss(weights, *data)[0], weights, grads)

    return max(error(vision_loss, vision, seen), error(memory_loss, memory, drives))


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
