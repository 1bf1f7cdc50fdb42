"""Relational neural EM: slots find balls in video, and learn from the video how balls collide.

Task      Videos of 30 frames, 64 x 64 binary pixels: balls of different size and mass bounce off
          the walls and each other without loss. Nothing else is given. Predict where every ball
          will be in the next frame; train with four balls, then try six to eight, and three that
          vanish behind a curtain.
Slots     Slot k holds a place p_k and a radius r_k and predicts a soft disc,
              psi_k(u) = sigmoid((r_k - |u - p_k|) / half a pixel)        at pixel u.
          An EM step on the pixels of a frame that are on:
              E   gamma_k(u) = psi_k(u) / sum of psi(u)                   whose pixel is it
              M   p_k, r_k from centre and area of the pixels that are its own
          A slot that sees less than three quarters of its disc only follows as far as it must.
Dynamics  For the next frame every slot moves on by its last step, changed by a learned function:
              e_kj = f(slot j as seen from slot k),  E_k = sum over j of a_kj e_kj,  0 < a_kj < 1,
              change of step = g(slot k, walls, E_k).
          "attention" is this; "sum" has a = 1, "mean" a = 1 / others, "none" E = 0. The target is
          the place that EM finds in the next frame: no state of the simulator is ever used.
Shapes    Lengths are in units of the box; places (videos, frames, balls or slots, 2); weights
          (models, in, out): models learn side by side from the same batches.
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

SIDE, FRAMES, SUBSTEPS = 64, 30, 10  # pixels; frames of a video; physics steps a frame
SPEED = (0.03, 0.05)  # box widths a frame
FOUR, MANY = (0.07, 0.11), (0.06, 0.09)  # radii with four balls, and with six to eight
CURTAIN, HIDDEN = 0.25, 0.5  # its width; a ball is occluded that shows less of itself
FIRST_STEPS, STEPS, SEEN = 10, 3, 0.75  # EM steps; share of a disc that a slot must see
REACH, SIZES, LEAST = 7.5, (3.5, 4.5, 5.5, 6.5), 12  # of the search for balls, in pixels
NEAR_WALL, HIDDEN_UNITS, CHUNK = 0.16, 64, 100  # videos at a time
TESTS, FEW = 100, 40  # test videos of each kind, and without the other tests
MODELS = {"relational": ("attention", "none"), "aggregate": ("sum", "mean")}


@dataclass(frozen=True)
class Config:
    """Models and training; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    models: str = option("relational", "attention and none, or sum and mean", among=tuple(MODELS))
    videos: int = option(1200, "videos of four balls to learn from", 20, 20_000)
    updates: int = option(2500, "training batches of 128 moments", 1, 100_000)
    rate: float = option(0.002, "Adam's first step size; it falls to 0", 1e-5, 0.1)
    tests: bool = option(True, "more balls, long predictions and the curtain, too")

    def __post_init__(self):
        check_options(self)


QUICK = {"videos": 60, "updates": 200, "tests": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # loss of every model while it learns
    weights: dict
    videos: dict  # test videos by kind


# --- the world ------------------------------------------------------------------------------------


@dataclass
class Videos:
    """Frames (videos, time, 64, 64) of ones and zeros, and what only scores may use: places
    (videos, time, balls, 2), radii (videos, balls), whether a ball hits another between a frame and
    the next (videos, time, balls), and the pixels of a ball that are seen, as a share."""

    frames: np.ndarray
    places: np.ndarray
    radii: np.ndarray
    hits: np.ndarray
    shown: np.ndarray


def throw(rng, count, balls, radii, left=None):
    """Radii, places without overlap, and velocities a frame, of balls in many boxes.

    left: where the curtains begin; no ball starts behind one.
    """
    r = rng.uniform(*radii, (count, balls))
    x = np.empty((count, balls, 2))
    todo = np.arange(count)
    while len(todo):
        x[todo] = r[todo, :, None] + rng.random((len(todo), balls, 2)) * (1 - 2 * r[todo, :, None])
        gap = np.linalg.norm(x[todo, :, None] - x[todo, None], axis=3)
        gap -= r[todo, :, None] + r[todo, None] - 9 * np.eye(balls)
        bad = gap.min((1, 2)) < 0.005
        if left is not None:
            middle = left[todo, None] + CURTAIN / 2
            bad |= (np.abs(x[todo, :, 0] - middle) < CURTAIN / 2 + r[todo]).any(1)
        todo = todo[bad]
    angle, speed = rng.uniform(0, 2 * np.pi, (count, balls)), rng.uniform(*SPEED, (count, balls))
    return r, x, speed[..., None] * np.stack([np.cos(angle), np.sin(angle)], 2)


def advance(x, v, r, step):
    """Move the balls, in place, for a share of a frame; which of them hit another, (count, balls).

    Elastic: where two overlap and approach, they exchange momentum along the line between them;
    mass is the square of the radius. Walls turn back who moves into them.
    """
    x += step * v
    low, high = x < r[..., None], x > 1 - r[..., None]
    np.copyto(v, np.where(low, np.abs(v), np.where(high, -np.abs(v), v)))
    hit = np.zeros(r.shape, bool)
    one, other = np.triu_indices(r.shape[1], 1)
    apart = x[:, other] - x[:, one]
    distance = np.linalg.norm(apart, axis=2)
    for b, pair in np.argwhere(distance < r[:, one] + r[:, other]):  # pairs one after the other
        i, j = one[pair], other[pair]
        normal = apart[b, pair] / distance[b, pair]
        closing = (v[b, i] - v[b, j]) @ normal
        if closing > 0:
            m, n = r[b, i] ** 2, r[b, j] ** 2
            v[b, i] -= 2 * n / (m + n) * closing * normal
            v[b, j] += 2 * m / (m + n) * closing * normal
            hit[b, [i, j]] = True
    return hit


def make_videos(rng, count, balls, radii, curtain=False):
    """Videos of so many balls; with a curtain, a strip of every video shows nothing."""
    left = rng.uniform(0.2, 0.8 - CURTAIN, count) if curtain else None
    r, x, v = throw(rng, count, balls, radii, left)
    places = np.empty((count, FRAMES, balls, 2))
    hits = np.zeros((count, FRAMES, balls), bool)
    for t in range(FRAMES):
        places[:, t] = x
        for _ in range(SUBSTEPS):
            hits[:, t] |= advance(x, v, r, 1 / SUBSTEPS)
    strip = np.zeros((count, SIDE), bool)
    if curtain:
        from_left = pixel_centres() - left[:, None]
        strip = (from_left >= 0) & (from_left < CURTAIN)
    frames, shown = draw(places, r, strip)
    return Videos(frames, places, r, hits, shown)


def pixel_centres():
    """Places of the 64 columns, or rows."""
    return (np.arange(SIDE) + 0.5) / SIDE


def draw(places, r, strip):
    """Frames of discs, a strip of columns (videos, 64) blank; and how much of each disc shows."""
    count, steps, balls, _ = places.shape
    frames, shown = np.zeros((count, steps, SIDE, SIDE), bool), np.empty((count, steps, balls))
    u = pixel_centres().astype(np.float32)
    for k in range(balls):
        x, y = places[:, :, k, 0, None].astype(np.float32), places[:, :, k, 1, None]
        across, down = (u - x) ** 2, (u - y.astype(np.float32)) ** 2
        disc = down[..., None] + across[:, :, None] < (r[:, k] ** 2)[:, None, None, None]
        seen = disc & ~strip[:, None, None]
        shown[:, :, k] = seen.sum((2, 3)) / np.maximum(disc.sum((2, 3)), 1)
        frames |= seen
    return frames, shown


# --- slots ----------------------------------------------------------------------------------------


def pixels_on(frames):
    """Places (videos, most, 2) of the pixels that are on in frames (videos, 64, 64), and which of
    these entries are there."""
    video, row, column = np.nonzero(frames)
    counts = np.bincount(video, minlength=len(frames))
    at = np.arange(len(video)) - np.repeat(np.cumsum(counts) - counts, counts)
    u = np.zeros((len(frames), max(1, counts.max()), 2), np.float32)
    u[video, at] = (np.stack([column, row], 1) + 0.5) / SIDE
    return u, np.arange(u.shape[1]) < counts[:, None]


def find_balls(frames, slots):
    """First places (videos, slots, 2), and which slots are in use: the place around which most is
    on, near pixels counting more; a disc is cleared there; and so on until little is left."""
    wide = SIDE + 16
    offset = np.minimum(np.arange(wide), wide - np.arange(wide))
    near = offset[:, None] ** 2 + offset**2
    kernel = np.fft.rfft2(np.maximum(REACH - np.sqrt(near), 0))
    left = np.pad(frames, ((0, 0), (0, 16), (0, 16))).astype(float)
    u = np.arange(wide)
    p, used = np.zeros((len(frames), slots, 2)), np.zeros((len(frames), slots), bool)
    for k in range(slots):
        covered = np.fft.irfft2(np.fft.rfft2(left) * kernel, s=(wide, wide)) * (left > 0)
        row, column = np.divmod(covered.reshape(len(frames), -1).argmax(1), wide)
        away = (u[:, None] - row[:, None, None]) ** 2 + (u - column[:, None, None]) ** 2
        mine = left * (away <= SIZES[1] ** 2)
        size = np.maximum(mine.sum((1, 2)), 1)
        used[:, k] = size >= LEAST
        p[:, k, 0], p[:, k, 1] = mine.sum(1) @ u / size, mine.sum(2) @ u / size
        size = np.full(len(frames), SIZES[0])
        for wider in SIZES[1:]:  # as large as the disc that is on almost everywhere
            disc = away <= wider**2
            size[(left * disc).sum((1, 2)) >= 0.9 * disc.sum((1, 2))] = wider
        left *= away > (size[:, None, None] + 1.8) ** 2
    return (p + 0.5) / SIDE, used


def em_step(u, on, p, r, used, settled):
    """One EM step: new places and radii, the shares gamma (videos, pixels, slots), and which slots
    see too little.

    settled: slots that see too little of their disc move no more than they must; else all follow.
    """
    away = np.sqrt((u[:, :, :1] - p[:, None, :, 0]) ** 2 + (u[:, :, 1:] - p[:, None, :, 1]) ** 2)
    psi = 1 / (1 + np.exp(np.minimum((away - r[:, None]) * (2 * SIDE), 60)))
    psi *= on[:, :, None] & used[:, None]
    gamma = psi / (psi.sum(2, keepdims=True) + 1e-6)
    mass = gamma.sum(1)
    centre = (gamma.swapaxes(1, 2) @ u) / np.maximum(mass, 1e-6)[:, :, None]
    size = np.sqrt(mass / np.pi) / SIDE
    free = used & (mass >= (SEEN * np.pi * (r * SIDE) ** 2 if settled else 1))
    lost = used & ~free
    if settled and lost.any():  # pixels two pixels away from all others are not theirs
        p = cover(u, on & ((psi * free[:, None]).sum(2) < 0.01), p, r, lost, away)
    p = np.where(free[:, :, None], centre, p).astype(np.float32)
    return p, np.where(free, 0.8 * r + 0.2 * size, r).astype(np.float32), gamma, lost


def cover(u, open_, p, r, lost, away):
    """Places of slots that see too little: moved just so far that the disc covers what no other
    slot explains and what lies nearest to this one; open_ (videos, pixels): such pixels."""
    beyond = np.where(lost[:, None], away - r[:, None], np.inf)
    mine = open_[:, :, None] & lost[:, None] & (beyond == beyond.min(2, keepdims=True))
    beyond = np.where(mine, beyond, 0)
    far = beyond.argmax(1)[:, None]  # (videos, 1, slots): the pixel that lies farthest outside
    excess = np.take_along_axis(beyond, far, 1)[:, 0]
    share = np.maximum(excess, 0) / np.maximum(np.take_along_axis(away, far, 1)[:, 0], 1e-6)
    pixel = u[np.arange(len(u))[:, None], far[:, 0]]
    return p + share[:, :, None] * (pixel - p)


@dataclass
class Tracks:
    """What slots make of videos: places (videos, time, slots, 2), radii (videos, time, slots),
    slots in use (videos, slots), and the slot of every pixel of the frames, -1 where it is off
    (videos, time, 64, 64)."""

    places: np.ndarray
    radii: np.ndarray
    used: np.ndarray
    owner: np.ndarray


def follow(frames, slots, predict, owners=False):
    """Tracks of videos; predict(last places (videos, up to 3, slots, 2), radii, used) -> places.

    A slot that sees too little of its ball is put right by what it sees, but keeps its course: the
    places that predict() gets are shifted with it.
    """
    count, steps = frames.shape[:2]
    p, used = find_balls(frames[:, 0], slots)
    p, r = p.astype(np.float32), np.full(used.shape, 5.5 / SIDE, np.float32)
    places = np.empty((count, steps, slots, 2), np.float32)
    radii = places[..., 0].copy()
    owner = np.full(frames.shape, -1, np.int8) if owners else None
    past = places[:, :0]
    for t in range(steps):
        p = predict(past, r, used) if t > 1 else p
        guess = p
        u, on = pixels_on(frames[:, t])
        for _ in range(STEPS if t else FIRST_STEPS):
            p, r, gamma, lost = em_step(u, on, p, r, used, settled=t > 0)
        places[:, t], radii[:, t] = p, r
        past = past + ((p - guess) * lost[:, :, None])[:, None]
        past = np.concatenate([past[:, -2:], p[:, None]], 1)
        if owners:
            owner[:, t][frames[:, t]] = gamma.argmax(2)[on]
    return Tracks(places, radii, used, owner)


def keep_on(places, r, used):
    """The next places if every slot goes on as it did."""
    return 2 * places[:, -1] - places[:, -2]


def follow_all(frames, slots, predict, owners=False):
    """follow(), some videos at a time."""
    parts = [
        follow(frames[k : k + CHUNK], slots, predict, owners) for k in range(0, len(frames), CHUNK)
    ]
    names = [field.name for field in dataclasses.fields(Tracks)]
    joined = ([getattr(part, name) for part in parts] for name in names)
    return Tracks(*(None if part[0] is None else np.concatenate(part) for part in joined))


# --- dynamics -------------------------------------------------------------------------------------


def describe(p, r, used):
    """What a model sees of a moment: nodes (n, slots, 9), pairs (n, slots, others, 10), and which
    pairs are there. p (n, 3, slots, 2): the last three places; r, used (n, slots).

    Node: last step and the one before, gaps to the walls, radius. Pair: where the other is, in
    which direction, how it moves against this one, gap, speed of approach, both radii.
    """
    old, now = p[:, 1] - p[:, 0], p[:, 2] - p[:, 1]
    place = p[:, 2]
    walls = np.concatenate([place - r[:, :, None], 1 - r[:, :, None] - place], 2)
    walls = np.minimum(walls, NEAR_WALL)
    nodes = np.concatenate([25 * old, 25 * now, 10 * walls, 10 * r[:, :, None]], 2)
    slots = r.shape[1]
    others = np.array([[j for j in range(slots) if j != k] for k in range(slots)]).reshape(
        slots, -1
    )
    apart, moves = place[:, others] - place[:, :, None], now[:, others] - now[:, :, None]
    distance = np.sqrt((apart**2).sum(3, keepdims=True)) + 1e-6
    normal = apart / distance
    mine = np.broadcast_to(r[:, :, None, None], distance.shape)
    gap = np.clip(10 * (distance - mine - r[:, others][..., None]), -1, 3)
    closing = (moves * normal).sum(3, keepdims=True)
    sizes = 10 * np.concatenate([mine, r[:, others][..., None]], 3)
    pairs = np.concatenate([3 * apart, normal, 25 * moves, gap, 25 * closing, sizes], 3)
    there = used[:, :, None] & used[:, others]
    return nodes.astype(np.float32), pairs.astype(np.float32), there.astype(np.float32)


def init(rng, models, units=HIDDEN_UNITS, dtype=np.float32):
    """He weights with biases in the last row; the last layer a tenth of that."""

    def layer(inputs, outputs, size=1.0):
        w = rng.normal(0, size * np.sqrt(2 / inputs), (models, inputs + 1, outputs))
        w[:, -1] = 0
        return w.astype(dtype)

    return {
        "pair1": layer(10, units),
        "pair2": layer(units, units),
        "gate": layer(units, 1, 0.1),
        "node1": layer(9 + units, units),
        "node2": layer(units, units),
        "out": layer(units, 2, 0.1),
    }


def affine(x, w):
    """x (models or 1, rows, in) through weights (models, in + 1, out)."""
    return x @ w[:, :-1] + w[:, -1:]


def forward(w, kinds, nodes, pairs, there):
    """Change of each slot's step (models, n, slots, 2), in 25ths; and what backward() needs."""
    n, slots, others, _ = pairs.shape
    models = len(kinds)
    h1 = np.maximum(affine(pairs.reshape(1, -1, 10), w["pair1"]), 0)
    h2 = np.maximum(affine(h1, w["pair2"]), 0)
    a = 1 / (1 + np.exp(-affine(h1, w["gate"])))
    weight = np.stack([factor(kind, there, a[m, :, 0]) for m, kind in enumerate(kinds)])
    shape = (models, n * slots, others)
    units = h2.shape[2]
    E = (weight.reshape(*shape, 1) * h2.reshape(*shape, units)).sum(2)
    own = np.broadcast_to(nodes.reshape(1, n * slots, -1), (models, n * slots, nodes.shape[2]))
    x = np.concatenate([own, E], 2)
    g1 = np.maximum(affine(x, w["node1"]), 0)
    g2 = np.maximum(affine(g1, w["node2"]), 0)
    out = affine(g2, w["out"]).reshape(models, n, slots, 2)
    return out, (pairs.reshape(1, -1, 10), h1, h2, a, weight, x, g1, g2)


def factor(kind, there, a):
    """Weights of the effects of pairs (rows,): those of one model."""
    if kind == "none":
        return np.zeros_like(a)
    if kind == "mean":
        there = there / np.maximum(there.sum(2, keepdims=True), 1)
    return there.reshape(-1) * (a if kind == "attention" else 1)


def backward(w, kinds, seen, d_out, there):
    """Gradient of the weights; d_out (models, n, slots, 2): that of the output."""
    pairs, h1, h2, a, weight, x, g1, g2 = seen
    models, units = len(kinds), h2.shape[2]
    grads = {}

    def back(name, inputs, delta):
        """Store the gradient of a layer's weights; returns that of its inputs."""
        total = np.broadcast_to(inputs, (models, *inputs.shape[1:])).swapaxes(1, 2) @ delta
        grads[name] = np.concatenate([total, delta.sum(1, keepdims=True)], 1)
        return delta @ w[name][:, :-1].swapaxes(1, 2)

    delta = back("out", g2, d_out.reshape(models, -1, 2)) * (g2 > 0)
    delta = back("node2", g1, delta) * (g1 > 0)
    d_E = back("node1", x, delta)[:, :, -units:]
    others = h2.shape[1] // d_E.shape[1]
    d_pair = np.repeat(d_E, others, 1)
    attends = np.array([kind == "attention" for kind in kinds])[:, None]
    d_a = (d_pair * h2).sum(2) * there.reshape(-1) * attends
    d_h1 = back("pair2", h1, d_pair * weight[:, :, None] * (h2 > 0))
    d_h1 += back("gate", h1, d_a[:, :, None] * a * (1 - a))
    back("pair1", pairs, d_h1 * (h1 > 0))
    return grads


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


def predictor(w, kinds, model):
    """The function that follow() asks for the next places: one of the models."""
    alone = {name: array[model : model + 1] for name, array in w.items()}

    def predict(places, r, used):
        ahead = keep_on(places, r, used)
        if places.shape[1] < 3:
            return ahead
        out, _ = forward(alone, kinds[model : model + 1], *describe(places, r, used))
        return np.clip(ahead + out[0] / 25, 0, 1).astype(np.float32)  # nothing leaves the box

    return predict


def moments(tracks):
    """All (video, time) from which the next step can be learnt, and those with a surprise: a step
    that changes by a fifth of itself or more, of a ball far from the walls."""
    step = np.diff(tracks.places, axis=1)
    change = np.linalg.norm(np.diff(step, axis=1), axis=3)  # at time t + 1, t from 0
    size = np.linalg.norm(step[:, :-1], axis=3)
    place, r = tracks.places[:, 1:-1], tracks.radii[:, 1:-1, :, None]
    inside = ((place - r > 0.06) & (place + r < 0.94)).all(3)
    surprise = ((change > 0.2 * size + 0.003) & inside & tracks.used[:, None]).any(2)
    surprise[:, 0] = False  # three places are needed
    every = np.argwhere(np.ones_like(surprise)[:, 1:]) + [0, 2]
    return every, np.argwhere(surprise) + [0, 1]


def train(config, kinds, tracks, rng, history, watch):
    """Weights that predict the next places of tracks; half of every batch holds a surprise."""
    w = init(rng, len(kinds))
    optimiser = Adam(w, config.rate, beta2=0.99)
    every, rare = moments(tracks)
    back = np.arange(-2, 1)
    for update in range(config.updates):
        pick = [part[rng.integers(len(part), size=64)] for part in (every, rare) if len(part)]
        video, t = np.concatenate(pick).T
        p = tracks.places[video[:, None], t[:, None] + back]
        used = tracks.used[video]
        nodes, pairs, there = describe(p, tracks.radii[video, t], used)
        out, seen = forward(w, kinds, nodes, pairs, there)
        true = tracks.places[video, t + 1] - 2 * p[:, 2] + p[:, 1]
        error = (out - 25 * true) * used[:, :, None]
        n = np.float32(used.sum())
        optimiser.rate = config.rate * (1 - update / config.updates)
        optimiser.step(w, backward(w, kinds, seen, 2 * error / n, there))
        if (update + 1) % max(1, config.updates // 50) == 0:
            losses = [float(x) for x in (error**2).sum((1, 2, 3)) / n]
            for column, value in zip(history.values(), (update + 1, *losses), strict=True):
                column.append(value)
            if watch:
                watch(update + 1, config.updates, **dict(zip(kinds, losses, strict=True)), w=w)
    return w


# --- scores ---------------------------------------------------------------------------------------


def slot_of(tracks, videos, t):
    """The slot nearest to each ball at a time, (videos, balls), and its distance."""
    apart = tracks.places[:, t, None] - videos.places[:, t, :, None]
    away = np.linalg.norm(apart, axis=3) + 9 * ~tracks.used[:, None]
    return away.argmin(2), away.min(2)


def step_errors(w, kinds, videos, tracks):
    """Mean distance [pixels] of predicted from true places a frame ahead, (models,) each: of balls
    that hit another meanwhile, and of the others."""
    hit, free = [], []
    who = np.arange(len(tracks.places))[:, None]
    for t in range(2, FRAMES - 1):
        slots, _ = slot_of(tracks, videos, t)
        p = tracks.places[:, t - 2 : t + 1]
        out, _ = forward(w, kinds, *describe(p, tracks.radii[:, t], tracks.used))
        ahead = 2 * p[:, 2] - p[:, 1] + out / 25
        error = SIDE * np.linalg.norm(ahead[:, who, slots] - videos.places[:, t + 1], axis=3)
        hit.append(error[:, videos.hits[:, t]])
        free.append(error[:, ~videos.hits[:, t]])
    return tuple(np.concatenate(part, 1).mean(1) for part in (hit, free))


def roll_out(w, kinds, tracks):
    """Places (models, videos, time, slots, 2) predicted from the first three frames alone."""
    p = np.repeat(tracks.places[None, :, :3], len(kinds), 0)
    for _ in range(3, FRAMES):
        ahead = [
            predictor(w, kinds, m)(part[:, -3:], tracks.radii[:, 2], tracks.used)
            for m, part in enumerate(p)
        ]
        p = np.concatenate([p, np.stack(ahead)[:, :, None]], 2)
    return p


def long_errors(rolled, videos, tracks):
    """By model: frames until the mean distance from the truth exceeds a radius, and the mean error
    of the velocity [box widths a frame] over the predicted frames."""
    slots, _ = slot_of(tracks, videos, 2)
    who, later = np.arange(len(slots))[:, None], slice(2, None)
    found = rolled[:, who, :, slots].transpose(2, 0, 3, 1, 4)  # (models, videos, time, balls, 2)
    away = np.linalg.norm(found - videos.places, axis=4).mean(3)
    beyond = away[:, :, later] > videos.radii.mean(1)[:, None]
    frames = np.where(beyond.any(2), beyond.argmax(2), FRAMES - 3).mean(1)
    moves = np.diff(found, axis=2) - np.diff(videos.places, axis=1)
    return frames, np.linalg.norm(moves[:, :, later], axis=4).mean((1, 2, 3))


def adjusted_rand(table):
    """Adjusted Rand index of two labellings with this table of counts (Hubert & Arabie 1985)."""

    def pairs(n):
        return (n * (n - 1) / 2).sum()

    both, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    chance = rows * columns / pairs(table.sum())
    return (both - chance) / ((rows + columns) / 2 - chance)


def grouping(videos, tracks):
    """Mean adjusted Rand index of slots and balls over all pixels of a video that are on."""
    u, scores = pixel_centres(), []
    for b, frames in enumerate(videos.frames):
        t, row, column = np.nonzero(frames)
        pixel = np.stack([u[column], u[row]], 1)[:, None]
        away = np.linalg.norm(pixel - videos.places[b, t], axis=2) - videos.radii[b]
        table = np.zeros((tracks.used.shape[1], videos.radii.shape[1]))
        np.add.at(table, (tracks.owner[b, t, row, column], away.argmin(1)), 1)
        scores.append(adjusted_rand(table))
    return float(np.mean(scores))


def occlusions(videos):
    """(video, ball, last frame before, first frame after) wherever a ball is hidden for three
    frames or more and then shown enough for a slot to see."""
    found = []
    hidden = videos.shown < HIDDEN
    for b, ball in np.argwhere(hidden.any(1)):
        edges = np.flatnonzero(np.diff(hidden[b, :, ball].astype(int)))
        for start, end in zip(edges, edges[1:], strict=False):
            back = np.flatnonzero(videos.shown[b, end + 1 :, ball] >= SEEN)
            if hidden[b, start + 1, ball] and end - start >= 3 and len(back):
                found.append((b, ball, start, end + 1 + back[0]))
    return found


def kept(videos, tracks):
    """Share of occlusions after which the ball has the slot that it had before."""
    good = []
    for b, ball, before, after in occlusions(videos):
        slots, away = zip(*(slot_of(tracks, videos, t) for t in (before, after)), strict=True)
        near = all(part[b, ball] < videos.radii[b, ball] for part in away)
        good.append(near and slots[0][b, ball] == slots[1][b, ball])
    return float(np.mean(good))


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Find balls in videos, learn how they move, predict; then more balls, and a curtain."""
    rngs = np.random.default_rng(config.seed).spawn(4)
    kinds = MODELS[config.models]
    history = {"update": [], **{kind: [] for kind in kinds}}
    learnt_from = make_videos(rngs[0], config.videos, 4, FOUR)
    tracks = follow_all(learnt_from.frames, 5, keep_on)
    w = train(config, kinds, tracks, rngs[1], history, watch)
    result, best = Result({}, history, w, {}), predictor(w, kinds, 0)
    m = result.metrics
    sizes = (4, 6, 7, 8) if config.tests else (4,)
    for balls in sizes:
        count = TESTS if config.tests else FEW
        videos = make_videos(rngs[2], count, balls, FOUR if balls == 4 else MANY)
        tracks = follow_all(videos.frames, 5 if balls == 4 else 8, best, owners=True)
        hit, free = step_errors(w, kinds, videos, tracks)
        for kind, *errors in zip(kinds, hit, free, strict=True):
            m[f"{kind}_hit_{balls}"], m[f"{kind}_free_{balls}"] = map(float, errors)
        m[f"hit_ratio_{balls}"] = float(hit[0] / hit[1])
        m[f"free_ratio_{balls}"] = float(free[0] / free[1])
        m[f"ari_{balls}"] = grouping(videos, tracks)
        result.videos[balls] = videos, tracks
    if config.tests:
        m["hit_ratio_678"] = max(m[f"hit_ratio_{n}"] for n in sizes[1:])
        m["ari_678"] = float(np.mean([m[f"ari_{n}"] for n in sizes[1:]]))
        videos, tracks = result.videos[4]
        frames, speed = long_errors(roll_out(w, kinds, tracks), videos, tracks)
        m |= {f"{kind}_frames": float(x) for kind, x in zip(kinds, frames, strict=True)}
        m["horizon_ratio"] = float(frames[0] / frames[1])
        m["velocity_ratio"] = float(speed[0] / speed[1])
        videos = make_videos(rngs[3], TESTS, 3, FOUR, curtain=True)
        tracks = follow_all(videos.frames, 5, best)
        m["kept"] = kept(videos, tracks)
        m["kept_stays"] = kept(videos, follow_all(videos.frames, 5, stay))
        m["occlusions"] = len(occlusions(videos))
        result.videos["curtain"] = videos, tracks
    return result


def stay(places, r, used):
    """The next places if nothing moves: EM without dynamics."""
    return places[:, -1]


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
    """Worst relative error of the gradients of all four models."""
    rng = np.random.default_rng(config.seed)
    kinds = ("attention", "sum", "mean", "none")
    used = np.array([[True, True, True], [True, True, False]])
    p, r = rng.uniform(0.2, 0.8, (2, 3, 3, 2)), rng.uniform(0.07, 0.1, (2, 3))
    seen = [part.astype(float) for part in describe(p, r, used)]
    w = init(rng, 4, 5, float)
    for array in w.values():
        array += rng.normal(0, 0.3, array.shape)
    target = rng.normal(size=(2, 3, 2))

    def loss():
        return float(((forward(w, kinds, *seen)[0] - target) ** 2).sum() / 2)

    out, memory = forward(w, kinds, *seen)
    return worst_relative_error(loss, w, backward(w, kinds, memory, out - target, seen[2]))


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
