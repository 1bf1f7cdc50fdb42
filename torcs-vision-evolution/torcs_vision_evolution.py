"""Racing from images: evolution finds 200 Fourier-type coefficients of 1,115,139 weights.

Task      A closed track of 714.16 m, 10 m wide, with a hairpin and an S; grass beside it, a wall at
          12 m. The car sees a picture of 64 x 64 edges of road and grass, no speed and no position,
          and five times a second says how to steer and how hard to accelerate or brake. A race
          lasts 25 s from standstill. Fitness d - 3 m / 1000 + v / 5 - 100 c: d metres along the
          track, m damage (grass, wall), v the top speed, c the mean squared change of the signals.
          The race car simulator of the paper is replaced by the arrays below: a bicycle model with
          limited grip, physics 25 times a second.
Net       4096 inputs, 16 x 16 fully recurrent tanh units, 3 tanh outputs: steering, and two that
          are averaged, above 0 throttle, below 0 brake. 1,048,576 + 65,536 + 256 + 771 weights.
Encoding  Each weight array is the inverse orthonormal cosine transform of an array that is zero but
          for low frequencies: indices a, b, c, d of the input weights (picture row and column, unit
          row and column) with a + b + c + d <= 5 (126 genes), recurrent weights <= 3 (35), biases
          a + b <= 2 (6), each output <= 3 (10) and its bias (1). Such a net sees of a picture X
          only the 36 numbers P' X P, P the first six basis vectors. Fourier computes with these,
          exactly; build_weights() writes out all weights.
Search    Koutnik, Cuccu, Schmidhuber & Gomez 2013: CoSyNE, 64 genomes. The best quarter breeds
          (one-point crossover, Cauchy noise on one gene in twenty) and replaces the worst quarter;
          then values of a gene change places among the genomes, the likelier the worse these are.
          Controls: the same with all weights as genes; random genomes; the champion blindfolded; a
          driver that knows the track.
Shapes    Nets and cars side by side on the first axis; genes (nets, 200), pictures (cars, 64, 64).
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

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
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

# Corners of the track: place [m], before it is scaled to its length, and radius of the bend [m].
CORNERS = ((0, 0, 50), (250, 0, 55), (240, 112, 50), (130, 80, 100), (50, 112, 15), (18, 112, 15))
TRACK_LENGTH, HALF_WIDTH, WALL = 714.16, 5.0, 12.0
CELL, SEEN_FAR = 0.5, 16.0  # raster cell [m]; how far from the centre line distances are known [m]
TICK, TICKS = 0.04, 5  # physics step [s], steps a decision
PER_SECOND = 5  # decisions
GRIP, GRASS_GRIP, DRIVE, BRAKE, AXLES = 1.2, 0.5, 6.0, 10.0, 2.6
TOP, DRAG, GRASS_DRAG, STEER = 60.0, 0.0008, 3.0, 0.35
SIDE, UNITS, ROWS = 64, 16, 6  # picture, unit array, basis vectors that matter
HORIZON, CAMERA, SKY = 24, 1.2, 0.3
POPULATION, STARTS, EARLY = 64, 4, 20  # the last: generations after which genes are compared


@dataclass(frozen=True)
class Config:
    """The paper's net and search; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    genes: str = option("fourier", "coefficients, or all weights", among=("fourier", "direct"))
    generations: int = option(200, "generations of evolution", 1, 100_000)
    mutation: float = option(0.05, "share of a child's genes that get noise", 0, 1)
    scale: float = option(1.0, "of this Cauchy noise; all weights as genes: 1/20", 1e-4, 100)
    seconds: int = option(25, "length of a race [s]", 1, 25)
    controls: bool = option(True, "evolve all weights, draw random nets, blindfold the champion")

    def __post_init__(self):
        check_options(self)


QUICK = {"generations": 20, "seconds": 10, "controls": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # by generation: distance, fitness and top speed of the best, mean distance
    champion: np.ndarray  # its genes
    champions: list  # (generation, genes) whenever the best changed


# --- the track ------------------------------------------------------------------------------------


def centre_line(factor, step=0.25):
    """Points (n, 2), headings (n,) every step metres of the track scaled by factor; its length."""
    places = factor * np.array([corner[:2] for corner in CORNERS], float)
    radii = np.array([corner[2] for corner in CORNERS], float)
    to_next = np.roll(places, -1, 0) - places
    out = np.arctan2(to_next[:, 1], to_next[:, 0])  # heading behind each corner
    turn = (out - np.roll(out, 1) + np.pi) % (2 * np.pi) - np.pi
    cut = radii * np.tan(np.abs(turn) / 2)  # of both straights, for the bend
    pieces, length = [], 0.0
    for k in range(len(places)):
        straight = np.hypot(*to_next[k]) - cut[k] - cut[(k + 1) % len(places)]
        start = places[k] + cut[k] * np.array([math.cos(out[k]), math.sin(out[k])])
        bend, after = radii[(k + 1) % len(places)], turn[(k + 1) % len(places)]
        pieces.append((length, straight, start, out[k], bend, after))
        length += straight + bend * abs(after)
    at = np.arange(0, length, step)
    points, headings = np.empty((len(at), 2)), np.empty(len(at))
    for begin, straight, start, heading, bend, after in pieces:
        mine = (at >= begin) & (at < begin + straight + bend * abs(after))
        on, along = at[mine] - begin, np.array([math.cos(heading), math.sin(heading)])
        angle = np.maximum(on - straight, 0) / bend * np.sign(after)
        left = np.array([-along[1], along[0]]) * np.sign(after)
        points[mine] = start + np.minimum(on, straight)[:, None] * along
        points[mine] += bend * np.sin(np.abs(angle))[:, None] * along
        points[mine] += bend * (1 - np.cos(angle))[:, None] * left
        headings[mine] = heading + angle
    return points, headings, length


class Track:
    """The centre line, and rasters: nearest point of it and distance [m], for every cell."""

    def __init__(self):
        low, high = 0.8, 1.6
        for _ in range(40):  # bisect the factor that gives the length
            factor = (low + high) / 2
            low, high = (factor, high) if centre_line(factor)[2] < TRACK_LENGTH else (low, factor)
        self.points, self.headings, self.length = centre_line(factor)
        self.origin = self.points.min(0) - 60
        shape = np.ceil((self.points.max(0) + 60 - self.origin) / CELL).astype(int)
        self.distance = np.full(shape, np.inf, np.float32)
        self.nearest = np.zeros(shape, np.int32)
        reach = int(SEEN_FAR / CELL)
        offsets = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), -1)
        for index in range(0, len(self.points), 2):
            cell = ((self.points[index] - self.origin) / CELL).astype(int)
            cells = cell + offsets
            centres = self.origin + (cells + 0.5) * CELL
            away = np.hypot(*np.moveaxis(centres - self.points[index], -1, 0)).astype(np.float32)
            part = tuple(slice(c - reach, c + reach + 1) for c in cell)
            closer = away < self.distance[part]
            self.distance[part][closer] = away[closer]
            self.nearest[part][closer] = index
        self.grass = (self.distance > HALF_WIDTH).astype(np.float32).ravel()
        self.width = shape[1]

    def cells(self, x, y):
        """Flat raster index of places."""
        i = ((x - self.origin[0]) / CELL).astype(np.int32)
        j = ((y - self.origin[1]) / CELL).astype(np.int32)
        limit = self.distance.shape
        return np.clip(i, 0, limit[0] - 1) * self.width + np.clip(j, 0, limit[1] - 1)

    def arc(self, cells):
        """Metres along the track of the nearest centre point."""
        return self.nearest.ravel()[cells] * 0.25


@functools.lru_cache
def the_track():
    return Track()


# --- what the car sees ----------------------------------------------------------------------------


@functools.lru_cache
def ground_points():
    """Where the pixels below the horizon meet the ground: ahead, left (39 * 64,) [m]."""
    focal = SIDE / 2 / math.tan(math.radians(30))
    rows, columns = np.meshgrid(np.arange(HORIZON + 1, SIDE), np.arange(SIDE), indexing="ij")
    ahead = CAMERA * focal / (rows - HORIZON + 0.5)
    left = (SIDE / 2 - 0.5 - columns) * ahead / focal
    return ahead.ravel().astype(np.float32), left.ravel().astype(np.float32)


def edges(track, x, y, heading):
    """Edge pictures (cars, 64, 64): Roberts cross of grass 1, road 0 and sky 0.3."""
    ahead, left = ground_points()
    cosine, sine = np.cos(heading)[:, None], np.sin(heading)[:, None]
    cells = track.cells(
        x[:, None] + cosine * ahead - sine * left, y[:, None] + sine * ahead + cosine * left
    )
    picture = np.full((len(x), SIDE, SIDE), SKY, np.float32)
    picture[:, HORIZON + 1 :] = track.grass[cells].reshape(len(x), -1, SIDE)
    result = np.zeros_like(picture)
    result[:, :-1, :-1] = np.abs(picture[:, :-1, :-1] - picture[:, 1:, 1:])
    result[:, :-1, :-1] += np.abs(picture[:, :-1, 1:] - picture[:, 1:, :-1])
    return result / 2


# --- nets -----------------------------------------------------------------------------------------


def cosines(size, count):
    """The first basis vectors of the orthonormal cosine transform: (size, count)."""
    angle = np.pi * (np.arange(size)[:, None] + 0.5) * np.arange(count) / size
    return np.cos(angle) * np.sqrt(np.where(np.arange(count) == 0, 1, 2) / size)


def low(dimensions, most):
    """Index tuples whose sum is at most `most`, in the order of the sum: (count, dimensions)."""
    grid = np.indices((most + 1,) * dimensions).reshape(dimensions, -1).T
    grid = grid[grid.sum(1) <= most]
    return grid[np.argsort(grid.sum(1), kind="stable")]


INPUT, RECURRENT, BIAS, OUTPUT = low(4, 5), low(4, 3), low(2, 2), low(2, 3)
GENES = len(INPUT) + len(RECURRENT) + len(BIAS) + 3 * (len(OUTPUT) + 1)
GAIN = {"input": 8.0, "recurrent": 4.0, "bias": 4.0, "output": 0.25}  # units are to work in range


def unpack(genes):
    """Coefficient arrays of genomes (nets, 200).

    Input (nets, 6, 6, 6, 6) and recurrent (nets, 6, 6, 6, 6), indexed [unit row, unit column, seen
    row, seen column]; bias (nets, 6, 6); output (nets, 3, 6, 6) and its bias (nets, 3).
    """
    nets, cuts = len(genes), np.cumsum([len(INPUT), len(RECURRENT), len(BIAS)])
    parts = np.split(genes, cuts, 1)
    M, R = np.zeros((2, nets, ROWS, ROWS, ROWS, ROWS), genes.dtype)
    for array, index, values in ((M, INPUT, parts[0]), (R, RECURRENT, parts[1])):
        a, b, c, d = index.T
        array[:, c, d, a, b] = values
    bias = np.zeros((nets, ROWS, ROWS), genes.dtype)
    bias[:, BIAS[:, 0], BIAS[:, 1]] = parts[2]
    rest, O = parts[3].reshape(nets, 3, -1), np.zeros((nets, 3, ROWS, ROWS), genes.dtype)
    O[:, :, OUTPUT[:, 0], OUTPUT[:, 1]] = rest[:, :, :-1]
    return M * GAIN["input"], R * GAIN["recurrent"], bias * GAIN["bias"], O, rest[:, :, -1]


class Fourier:
    """Nets given by coefficients, run on the 36 numbers of a picture that they can see."""

    def __init__(self, genes, dtype=np.float32):
        M, R, bias, O, self.out_bias = unpack(np.asarray(genes, dtype))
        n, size = len(genes), ROWS * ROWS
        self.M, self.R = M.reshape(n, size, size), R.reshape(n, size, size)
        self.bias, self.O = bias.reshape(n, size, 1), O.reshape(n, 3, size)
        self.P, self.Q = cosines(SIDE, ROWS).astype(dtype), cosines(UNITS, ROWS).astype(dtype)
        self.state = np.zeros((n, size, 1), dtype)

    def act(self, pictures):
        """Outputs (nets, 3); the state goes one step on."""
        seen = (self.P.T @ pictures @ self.P).reshape(len(pictures), -1, 1)
        drive = self.M @ seen + self.R @ self.state + self.bias
        h = np.tanh(self.Q @ drive.reshape(-1, ROWS, ROWS) @ self.Q.T)
        self.state = (self.Q.T @ h @ self.Q).reshape(len(h), -1, 1)
        return np.tanh(GAIN["output"] * (self.O @ self.state)[..., 0] + self.out_bias)

    def keep(self, left):
        """Go on with some of the nets."""
        for name in ("M", "R", "bias", "O", "out_bias", "state"):
            setattr(self, name, getattr(self, name)[left])


def build_weights(genes):
    """All 1,115,139 weights of one genome (200,), in the order of Direct."""
    M, R, bias, O, out_bias = (part[0] for part in unpack(np.asarray(genes, float)[None]))
    P, Q = cosines(SIDE, ROWS), cosines(UNITS, ROWS)
    W = np.einsum("cdab,uc,vd,ra,sb->rsuv", M, Q, Q, P, P, optimize=True)
    back = np.einsum("cdab,uc,vd,ra,sb->rsuv", R, Q, Q, Q, Q, optimize=True)
    b = np.einsum("cd,uc,vd->uv", bias, Q, Q)
    out = GAIN["output"] * np.einsum("kcd,uc,vd->kuv", O, Q, Q)
    return np.concatenate([part.ravel() for part in (W, back, b, out, out_bias)])


class Direct:
    """Nets given by all their weights (nets, 1,115,139): input (4096, 256), recurrent (256, 256),
    bias (256), output (3, 256) and its bias (3). Of the input weights only rows of bright pixels
    are read.
    """

    CUTS = np.cumsum([SIDE**2 * 256, 256 * 256, 256, 3 * 256])

    def __init__(self, weights):
        self.weights, self.left = weights, np.arange(len(weights))
        self.state = np.zeros((len(weights), 256), weights.dtype)

    def act(self, pictures):
        """Outputs (nets, 3); the state goes one step on."""
        outputs = np.empty((len(pictures), 3), self.weights.dtype)
        for k, (row, picture) in enumerate(zip(self.left, pictures, strict=True)):
            W, back, b, out, out_bias = np.split(self.weights[row], self.CUTS)
            bright, picture = np.flatnonzero(picture), picture.ravel()
            drive = picture[bright] @ W.reshape(-1, 256)[bright]
            self.state[k] = np.tanh(drive + self.state[k] @ back.reshape(256, 256) + b)
            outputs[k] = np.tanh(out.reshape(3, 256) @ self.state[k] + out_bias)
        return outputs

    def keep(self, left):
        """Go on with some of the nets."""
        self.left, self.state = self.left[left], self.state[left]


# --- the race -------------------------------------------------------------------------------------


@dataclass
class Cars:
    """Places, headings, speeds and records of cars side by side."""

    x: np.ndarray
    y: np.ndarray
    heading: np.ndarray
    v: np.ndarray
    arc: np.ndarray  # metres along the track, now
    d: np.ndarray  # and in all
    damage: np.ndarray
    top: np.ndarray


def start_cars(track, arcs):
    """Cars at rest on the centre line at the arcs [m]."""
    index = (np.asarray(arcs, float) / 0.25).astype(int) % len(track.points)
    zero = np.zeros(len(index))
    place, heading = track.points[index].T, track.headings[index]
    return Cars(*place.copy(), heading.copy(), zero, index * 0.25, *np.zeros((3, len(index))))


def move(track, cars, steer, pedal):
    """One decision, five ticks of physics; steer and pedal (cars,) in [-1, 1]."""
    delta = STEER * steer
    for _ in range(TICKS):
        cells = track.cells(cars.x, cars.y)
        off = track.distance.ravel()[cells] > HALF_WIDTH
        grip = 9.8 * np.where(off, GRASS_GRIP, GRIP)
        push = np.where(pedal > 0, DRIVE * pedal * (1 - cars.v / TOP), BRAKE * pedal)
        push = push - DRAG * cars.v**2 - np.where(off, GRASS_DRAG, 0)
        cars.v = np.maximum(cars.v + TICK * push, 0)
        most = grip / np.maximum(cars.v, 0.1)
        yaw = np.clip(cars.v * np.tan(delta) / AXLES, -most, most)
        cars.heading = cars.heading + TICK * yaw
        x = cars.x + TICK * cars.v * np.cos(cars.heading)
        y = cars.y + TICK * cars.v * np.sin(cars.heading)
        cells = track.cells(x, y)
        hit = track.distance.ravel()[cells] > WALL
        cars.damage = cars.damage + off + 10 * cars.v * hit
        cars.x, cars.y = np.where(hit, cars.x, x), np.where(hit, cars.y, y)
        cars.v = np.where(hit, 0, cars.v)
        arc = np.where(hit, cars.arc, track.arc(cells))
        half = track.length / 2
        cars.d = cars.d + (arc - cars.arc + half) % track.length - half
        cars.arc, cars.top = arc, np.maximum(cars.top, cars.v)


def signals(outputs):
    """Steering and pedal (cars,) of outputs (cars, 3)."""
    return outputs[:, 0].astype(float), outputs[:, 1:].mean(1).astype(float)


def race(nets, arcs, decisions, blind=False, trace=None):
    """Race cars from the arcs, each with its own net; returns fitness, d and top speed (cars,).

    A car that has been slower than 0.5 m/s for ten decisions is out. trace: a list that gets
    (cars, pictures, steer, pedal) at every decision.
    """
    track, count = the_track(), len(arcs)
    cars, left = start_cars(track, arcs), np.arange(count)
    fitness, d, top = np.zeros((3, count))
    before, change, slow = np.zeros((2, count)), np.zeros(count), np.zeros(count, int)
    for decision in range(1, decisions + 1):
        pictures = edges(track, cars.x, cars.y, cars.heading)
        steer, pedal = signals(nets.act(0 * pictures if blind else pictures))
        change[left] += ((steer - before[0, left]) ** 2 + (pedal - before[1, left]) ** 2) / 2
        before[0, left], before[1, left] = steer, pedal
        move(track, cars, steer, pedal)
        if trace is not None:
            trace.append((dataclasses.replace(cars), pictures, steer, pedal))
        slow[left] = np.where(cars.v < 0.5, slow[left] + 1, 0)
        out = (slow[left] >= 10) | (decision == decisions)
        if out.any():
            rough = change[left] / decision
            value = cars.d - 3 * cars.damage / 1000 + cars.top / 5 - 100 * rough
            gone = left[out]
            fitness[gone], d[gone], top[gone] = value[out], cars.d[out], cars.top[out]
            left = left[~out]
            nets.keep(~out)
            for field in dataclasses.fields(cars):
                setattr(cars, field.name, getattr(cars, field.name)[~out])
        if not len(left):
            break
    return fitness, d, top


def knowing_driver(seconds=25):
    """Metres and top speed [m/s] of a driver that knows the track and where it is.

    It steers to the centre line some way ahead, and keeps below the speed from which it could
    still brake for every bend ahead.
    """
    track = the_track()
    turn = np.diff(np.unwrap(np.append(track.headings, track.headings[0] + turning(track)))) / 0.25
    turn = np.convolve(np.r_[turn[-8:], turn, turn[:8]], np.ones(17) / 17, "valid")
    most = np.sqrt(1.05 * 9.8 * GRIP / np.maximum(np.abs(turn), 1e-3))
    for _ in range(2):  # backwards, around the start twice
        for k in range(len(most) - 1, -1, -1):
            ahead = most[(k + 1) % len(most)]
            most[k] = min(most[k], math.sqrt(ahead**2 + 2 * 0.9 * BRAKE * 0.25))
    cars = start_cars(track, [0.0])
    for _ in range(seconds * PER_SECOND):
        v, n = float(cars.v[0]), len(track.points)
        target = track.points[int((cars.arc[0] + 4 + 0.5 * v) / 0.25) % n]
        angle = math.atan2(target[1] - cars.y[0], target[0] - cars.x[0]) - cars.heading[0]
        angle = (angle + math.pi) % (2 * math.pi) - math.pi
        away = math.hypot(target[0] - cars.x[0], target[1] - cars.y[0])
        steer = np.clip(math.atan(2 * AXLES * math.sin(angle) / away) / STEER, -1, 1)
        wish = most[int((cars.arc[0] + 0.1 * v) / 0.25) % n]
        move(track, cars, np.array([steer]), np.clip([2 * (wish - v)], -1, 1))
    return float(cars.d[0]), float(cars.top[0])


def turning(track):
    """The angle of one lap, plus or minus 2 pi."""
    steps = np.diff(track.headings)
    return 2 * np.pi * np.sign(((steps + np.pi) % (2 * np.pi) - np.pi).sum())


# --- evolution ------------------------------------------------------------------------------------


KINDS = {"fourier": Fourier, "direct": Direct}


def random_genes(rng, count, kind):
    """Genomes: coefficients in [-1, 1], or weights as large as these make them."""
    if kind is Fourier:
        return rng.uniform(-1, 1, (count, GENES)).astype(np.float32)
    sizes = np.diff([0, *Direct.CUTS, Direct.CUTS[-1] + 3])
    parts = ((len(INPUT), GAIN["input"]), (len(RECURRENT), GAIN["recurrent"]))
    parts += ((len(BIAS), GAIN["bias"]), (3 * len(OUTPUT), GAIN["output"]), (3, 1.0))
    spread = [gain * math.sqrt(n / size) for (n, gain), size in zip(parts, sizes, strict=True)]
    spread = np.repeat(np.array(spread, np.float32), sizes)
    genes = rng.random((count, len(spread)), np.float32)
    genes -= 0.5
    genes *= 2 * spread
    return genes


def breed(rng, genes, fitness, mutation, scale):
    """The next genomes, in place: children for the worst quarter, then genes change places.

    Returns which genomes have changed, (64,). A gene of a genome is free to move with the
    probability 1 - x^(1/64), x its fitness scaled from 0 (worst) to 1; free values of the same
    gene are shuffled. All weights as genes move in blocks of a thousand.
    """
    order, quarter = np.argsort(-fitness), len(genes) // 4
    changed, size = np.zeros(len(genes), bool), genes.shape[1]
    for child in order[-quarter:]:
        mother, father = rng.choice(order[:quarter], 2, replace=False)
        cut = int(rng.integers(1, size))
        genes[child, :cut], genes[child, cut:] = genes[mother, :cut], genes[father, cut:]
        hit = np.flatnonzero(rng.random(size, np.float32) < mutation)
        genes[child, hit] += (scale * rng.standard_cauchy(len(hit))).astype(genes.dtype)
        changed[child] = True
    span = max(fitness.max() - fitness.min(), 1e-9)
    chance = 1 - np.clip((fitness - fitness.min()) / span, 0, 1) ** (1 / len(genes))
    chance[changed] = 0  # children are to be seen first
    block = 1 if size == GENES else 1000
    free = rng.random((len(genes), -(-size // block))) < chance[:, None]
    for column in np.flatnonzero(free.sum(0) > 1):
        rows, part = np.flatnonzero(free[:, column]), slice(column * block, (column + 1) * block)
        genes[rows, part] = genes[rng.permutation(rows), part]
        changed[rows] = True
    return changed


def evolve(config, kind, generations, rng, history, watch):
    """CoSyNE; returns the champion's genes, and (generation, genes) whenever it changed."""
    decisions, scale = config.seconds * PER_SECOND, config.scale
    if kind is Direct:
        scale /= 20  # as coefficients are to the weights that they make
    genes = random_genes(rng, POPULATION, kind)
    fitness, d, top = race(kind(genes), np.zeros(POPULATION), decisions)
    champions = []
    for generation in range(generations + 1):
        best = int(fitness.argmax())
        if not champions or fitness[best] > history["fitness"][-1]:
            champions.append((generation, genes[best].copy()))
        row = generation, *(float(part[best]) for part in (d, fitness, top)), float(d.mean())
        for name, value in zip(history, row, strict=True):
            history[name].append(value)
        if watch:
            watch(generation, generations, distance=float(d[best]), mean=float(d.mean()))
        if generation < generations:
            new = np.flatnonzero(breed(rng, genes, fitness, config.mutation, scale))
            fitness[new], d[new], top[new] = race(kind(genes[new]), np.zeros(len(new)), decisions)
    return genes[int(fitness.argmax())].copy(), champions


def run(config: Config = Config(), watch=None) -> Result:
    """Evolve; then race the champion blind and from elsewhere, and 320 random genomes."""
    rngs = np.random.default_rng(config.seed).spawn(3)
    kind, decisions = KINDS[config.genes], config.seconds * PER_SECOND
    history = empty_history()
    champion, champions = evolve(config, kind, config.generations, rngs[0], history, watch)
    driver, _ = knowing_driver(config.seconds)
    distance, early = history["distance"][-1], min(EARLY, config.generations)
    metrics = {
        "distance": distance,
        "fitness": history["fitness"][-1],
        "top_kmh": 3.6 * history["top"][-1],
        "driver": driver,
        "d_ratio": distance / driver,
        "early": history["distance"][early],
        "first": history["distance"][0],
    }
    if config.controls:
        _, blind, _ = race(kind(champion[None]), [0.0], decisions, blind=True)
        arcs = the_track().length * np.arange(STARTS) / STARTS
        _, elsewhere, _ = race(kind(np.tile(champion, (STARTS, 1))), arcs, decisions)
        best = (-np.inf, 0.0)
        for _ in range(5):  # 320 nets; evolution races more
            genes = random_genes(rngs[1], POPULATION, kind)
            fitness, d, _ = race(kind(genes), np.zeros(POPULATION), decisions)
            best = max(best, (float(fitness.max()), float(d[fitness.argmax()])))
        direct = empty_history()
        evolve(config, Direct, early, rngs[2], direct, watch)
        metrics |= {
            "blind_ratio": float(blind[0]) / distance,
            "starts_ratio": float(elsewhere.mean()) / driver,
            "random": best[1],
            "random_ratio": best[1] / distance,
            "direct": direct["distance"][-1],
            "direct_ratio": direct["distance"][-1] / metrics["early"],
        }
    return Result(metrics, history, champion, champions)


def empty_history():
    return {"generation": [], "distance": [], "fitness": [], "top": [], "mean": []}


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
