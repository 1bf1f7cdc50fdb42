"""World models, take cover: a controller evolves inside a model's dream and then plays for real.

Task      A room of width 10; four monsters at the far wall throw fireballs at the place where the
          player stands at that moment; a ball arrives 20 steps later and kills within 0.6. The
          player sees a 20x32 grey view and steps left or right; score = steps survived, <= `cap`.
V         variational autoencoder 640-128-z, view -> z in R^16; loss = 150 |view - decoded|^2 +
          max(KL(q(z|view) || N(0, 1)), 0.5 a dimension).
M         LSTM on [z_t, a_t] with h, c in R^64; from h_{t+1}, per dimension of z_{t+1}, a mixture of
          5 Gaussians (logits l_k, means m_k, log deviations s_k), and a logit for "dead at t + 1".
Dream     at temperature tau: k from softmax(l / tau), z = m_k + exp(s_k) sqrt(tau) N(0, 1); it ends
          where the logit of death is positive.
C         a_t = tanh(w [z_t, h_t, c_t]), 144 weights, left below -1/3, right above 1/3; found by an
          evolution strategy (CMA-ES) in dreams alone, once at each of five temperatures.
V and M learn from random play. C is tested in the room, where z is drawn from V's q(z|view).

    python3 world_models_vizdoom_dream.py --seed 0
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
    episodes: int = option(1500, "episodes of random play; a tenth is held out", 20, 5000)
    z: int = option(16, "dimensions of V's code", 1, 64)
    hidden: int = option(64, "cells of M's LSTM", 1, 512)
    mixtures: int = option(5, "Gaussians per dimension of z in M's prediction", 1, 10)
    v_steps: int = option(4000, "training steps of V, 100 views each", 1, 100000)
    m_steps: int = option(3200, "training steps of M, 32 windows of 64 frames each", 1, 100000)
    generations: int = option(36, "generations of every search for C", 1, 2000)
    population: int = option(32, "candidates in a generation", 4, 256)
    dreams: int = option(8, "dreams of every candidate in a generation", 1, 64)
    sigma: float = option(0.5, "first step size of the search", 1e-3, 2.0)
    dream_cap: int = option(400, "longest dream in the search [steps]", 20, 5000)
    cap: int = option(800, "longest episode, and longest dream in the test [steps]", 20, 5000)
    tests: int = option(100, "episodes of the final test, and dreams", 2, 1000)

    def __post_init__(self):
        check_options(self)


QUICK = {"episodes": 60, "v_steps": 150, "m_steps": 60, "generations": 3, "population": 8}
QUICK |= {"dreams": 2, "dream_cap": 50, "cap": 300, "tests": 20, "hidden": 16}


@dataclass
class Result:
    """metrics and history (a line a generation); what the figures need of the rest.

    curves: training curves of V and M; brain: V and M; controllers: (5, inputs), one a temperature;
    dreamt, lived: their survival in dreams and in the room, (5, tests); random, pacing: survival of
    random play and of blind pacing; starts: (n, 640) first views.
    """

    metrics: dict
    history: dict
    curves: dict
    brain: Brain
    controllers: np.ndarray
    dreamt: np.ndarray
    lived: np.ndarray
    random: np.ndarray
    pacing: np.ndarray
    starts: np.ndarray


TAUS = np.array([0.1, 0.5, 1.0, 1.15, 1.3], np.float32)
NAMES = ("t010", "t050", "t100", "t115", "t130")

# --- the room -------------------------------------------------------------------------------------
WIDTH, DEPTH, FLIGHT, REACH = 10.0, 12.0, 20, 0.6
MONSTERS, THROWS, SLOTS = 4, 0.025, 16  # more than 16 balls in the air: one step in 10^10
ROWS, COLUMNS = np.arange(20) + 0.5, np.arange(32) + 0.5
WALL, SIDE, FIRE, DARK = 0.35, 0.15, 0.6, 0.2  # grey of back wall and sides; of things upon them
DEPTH_AT = np.append(DEPTH * (1 - np.arange(FLIGHT + 1) / FLIGHT), np.inf)  # by a ball's age
RADIUS_AT = np.maximum(0.9, 8 / (DEPTH_AT + 1))
ROW_AT = np.exp(-(((ROWS - 10) / RADIUS_AT[:, None]) ** 2)).astype(np.float32)
ROW_AT[-1] = 0  # a ball that is gone
MONSTER_ROW = np.exp(-((ROWS - 10) ** 2)).astype(np.float32)


def column(place, x, depth):
    """Where a thing appears in the view of a player at x."""
    return 16 + 16 * (place - x) / (depth + 1)


class Rooms:
    """n rooms side by side; x, v: (n,) place and speed of the players; monsters: (n, 4) places.

    Balls lie in slots: start, target, age, (n, SLOTS) each; a slot is free where age > FLIGHT.
    """

    played = 0  # steps that anybody has played in any room

    def __init__(self, rng, n):
        self.rng, self.x, self.v = rng, np.full(n, WIDTH / 2), np.zeros(n)
        self.monsters = rng.uniform(0, WIDTH, (n, MONSTERS))
        self.start, self.target = np.zeros((2, n, SLOTS))
        self.age = np.full((n, SLOTS), FLIGHT + 1)

    def act(self, action):
        """Everybody moves, balls fly, monsters throw; action: (n,) in [-1, 1]. Returns who died."""
        Rooms.played += len(self.x)
        step = (action > 1 / 3).astype(float) - (action < -1 / 3)
        self.v = 0.6 * self.v + 0.12 * step
        place = self.x + self.v
        self.x = np.clip(place, 0, WIDTH)
        self.v[self.x != place] = 0
        self.age = np.minimum(self.age + 1, FLIGHT + 1)
        near = np.abs(self.target - self.x[:, None]) < REACH
        for monster, throws in enumerate(self.rng.random((MONSTERS, len(self.x))) < THROWS):
            self.throw(np.flatnonzero(throws), monster)
        return (near & (self.age == FLIGHT)).any(1)

    def throw(self, rooms, monster):
        """A ball from this monster of the rooms at their players, where a slot is free."""
        free = self.age[rooms] > FLIGHT
        rooms, slot = rooms[free.any(1)], free.argmax(1)[free.any(1)]
        self.start[rooms, slot] = self.monsters[rooms, monster]
        self.target[rooms, slot] = self.x[rooms]
        self.age[rooms, slot] = 0

    def look(self):
        """Views, (n, 640) uint8: every thing a soft disc, hence a product of a column and a row."""
        x, used = self.x[:, None], (self.age <= FLIGHT).any(0)
        age = self.age[:, used]
        place = self.start[:, used] + (self.target - self.start)[:, used] * (age / FLIGHT)
        offset = COLUMNS - column(place, x, DEPTH_AT[age])[..., None]
        offset /= RADIUS_AT[age][..., None]
        views = ROW_AT[age].swapaxes(1, 2) @ np.exp(-offset * offset).astype(np.float32) * FIRE
        left, right = (np.clip(column(edge, x, DEPTH), 0, 32) for edge in (0, WIDTH))
        inside = np.clip(COLUMNS - left + 0.5, 0, 1) * np.clip(right - COLUMNS + 0.5, 0, 1)
        views += (SIDE + (WALL - SIDE) * inside)[:, None]
        offset = COLUMNS - column(self.monsters, x, DEPTH)[..., None]
        dark = (np.exp(-offset * offset).sum(1) * DARK).astype(np.float32)
        views -= MONSTER_ROW[:, None] * dark[:, None]
        return (255 * np.clip(views, 0, 1)).astype(np.uint8).reshape(len(x), -1)

    def keep(self, mask):
        """Forget all rooms but those of the mask."""
        for name in ("x", "v", "monsters", "start", "target", "age"):
            setattr(self, name, getattr(self, name)[mask])


class RandomPlayer:
    """Actions drawn from U(-1, 1), each held for 1 to longest[i] steps; longest: (n,)."""

    def __init__(self, rng, longest):
        self.rng, self.longest = rng, longest
        self.action, self.hold = np.zeros(len(longest), np.float32), np.zeros(len(longest), int)

    def act(self, rooms):
        new = self.hold == 0
        self.hold[new] = self.rng.integers(1, self.longest[new] + 1)
        self.action[new] = self.rng.uniform(-1, 1, new.sum())
        self.hold -= 1
        return self.action.copy()

    def keep(self, mask):
        self.longest, self.action, self.hold = (
            part[mask] for part in (self.longest, self.action, self.hold)
        )


class Pacer:
    """From wall to wall, blind to all else."""

    def __init__(self, n):
        self.way = np.ones(n)

    def act(self, rooms):
        self.way[rooms.x == WIDTH] = -1
        self.way[rooms.x == 0] = 1
        return self.way

    def keep(self, mask):
        self.way = self.way[mask]


def survival(rooms, player, cap):
    """Steps that every player lives, (n,), at most cap."""
    lived, who = np.full(len(rooms.x), cap), np.arange(len(rooms.x))
    for t in range(1, cap + 1):
        dead = rooms.act(player.act(rooms))
        if dead.any():
            lived[who[dead]] = t
            rooms.keep(~dead)
            player.keep(~dead)
            who = who[~dead]
        if not len(who):
            break
    return lived


LONGEST = 300  # steps of an episode of the data


def collect(rng, episodes):
    """Random play, one episode after the other; every second one holds its actions longer.

    Returns views (frames, 640) uint8, actions (frames,), dead and begins (frames,) bool.
    """
    who, dead = np.arange(episodes), np.zeros(episodes, bool)
    rooms, player, rows = Rooms(rng, episodes), RandomPlayer(rng, np.where(who % 2, 40, 10)), []
    for t in range(LONGEST + 1):
        action = player.act(rooms)
        rows.append((who, rooms.look(), action, dead, np.full(len(who), t == 0)))
        rooms.keep(~dead)
        player.keep(~dead)
        who, action = who[~dead], action[~dead]
        if not len(who):
            break
        dead = rooms.act(action)
    whose, views, actions, dead, begins = (np.concatenate(part) for part in zip(*rows, strict=True))
    order = np.argsort(whose, kind="stable")
    return views[order], actions[order], dead[order], begins[order]


# --- V: the autoencoder ---------------------------------------------------------------------------
CLOSE, FREE, V_UNITS, V_RATE = 150, 0.5, 256, 2e-3  # weight of the squared error; free nats of KL


def init_vision(rng, z, dtype=np.float32):
    """Layers of V, (inputs, outputs), with biases: two to encode, two to decode."""
    shapes = {
        "E1": (640, V_UNITS),
        "E2": (V_UNITS, 2 * z),
        "D2": (z, V_UNITS),
        "D1": (V_UNITS, 640),
    }
    weights = {name: rng.normal(0, np.sqrt(2 / shape[0]), shape) for name, shape in shapes.items()}
    weights["E2"] *= 0.3
    weights |= {name + "b": np.zeros(shape[1]) for name, shape in shapes.items()}
    return {name: w.astype(dtype) for name, w in weights.items()}


def encode(weights, x):
    """Mean and log variance of z, (n, z) each, and the hidden layer; x: (n, 640) in [0, 1]."""
    hidden = np.maximum(x @ weights["E1"] + weights["E1b"], 0)
    mean, logvar = np.split(hidden @ weights["E2"] + weights["E2b"], 2, axis=1)
    return mean, logvar, hidden


def decode(weights, z):
    """Views in [0, 1], (n, 640), and the hidden layer."""
    hidden = np.maximum(z @ weights["D2"] + weights["D2b"], 0)
    return 0.5 + 0.5 * np.tanh(0.5 * (hidden @ weights["D1"] + weights["D1b"])), hidden


def vision_loss(weights, x, noise, free=FREE):
    """Loss of V on x in [0, 1], (n, 640), its gradients, and the squared error alone; noise,
    standard normal: (n, z)."""
    grads, (n, size) = {}, noise.shape

    def layer_backward(name, below, above):
        grads[name], grads[name + "b"] = below.T @ above, above.sum(0)
        return above @ weights[name].T

    mean, logvar, seen = encode(weights, x)
    spread = np.exp(logvar / 2) * noise
    y, drawn = decode(weights, mean + spread)
    kl = 0.5 * (mean**2 + np.exp(logvar) - 1 - logvar).sum(1)
    squared = ((x - y) ** 2).sum(1).mean()
    dy = layer_backward("D1", drawn, 2 * CLOSE / n * (y - x) * y * (1 - y))
    dz = layer_backward("D2", mean + spread, dy * (drawn > 0))
    counts = (kl > free * size)[:, None] / np.asarray(n, x.dtype)
    dmean, dlogvar = dz + counts * mean, dz * spread / 2 + counts * (np.exp(logvar) - 1) / 2
    dseen = layer_backward("E2", seen, np.concatenate([dmean, dlogvar], 1))
    layer_backward("E1", x, dseen * (seen > 0))
    return CLOSE * squared + np.maximum(kl, free * size).mean(), grads, squared


def encode_all(weights, views):
    """Mean and deviation of z, (frames, z) each, for any number of views, (frames, 640) uint8."""
    parts = (views[i : i + 1000] / np.float32(255) for i in range(0, len(views), 1000))
    mean, logvar, _ = zip(*(encode(weights, part) for part in parts), strict=True)
    return np.concatenate(mean), np.exp(np.concatenate(logvar) / 2)


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


def slowing(rate, step, steps):
    """The learning rate: as it is for half of the steps, then down to 0."""
    return rate * min(1, 2 - 2 * step / steps)


def train_vision(rng, views, held, config, curve):
    """V trained on views, (n, 640) uint8; appends (step, squared error on held) to curve."""
    weights = init_vision(rng, config.z)
    adam, held = Adam(weights, V_RATE), held[:: max(1, len(held) // 1000)] / np.float32(255)
    for step in range(config.v_steps + 1):
        if step % max(1, config.v_steps // 20) == 0 or step == config.v_steps:
            drawn = decode(weights, encode(weights, held)[0])[0]
            curve.append((step, float(((held - drawn) ** 2).sum(1).mean())))
        adam.rate = slowing(V_RATE, step, config.v_steps)
        batch = views[rng.integers(0, len(views), 100)] / np.float32(255)
        noise = rng.standard_normal((100, config.z), dtype=np.float32)
        adam.step(weights, vision_loss(weights, batch, noise)[1])
    return weights


# --- M: the recurrent mixture-density network -----------------------------------------------------
NARROW, WIDE = -7, 3  # limits of the log deviations
RARE, DEATH = 10, 5  # weight of a death among the living; of that loss beside the mixture's
STREAMS, WINDOW, M_RATE, WARM_UP = 32, 64, 8e-3, 50


def init_memory(rng, z, hidden, mixtures, dtype=np.float32):
    """Gates in the order input, forget, output, candidate; heads: logit, mean and log deviation of
    every Gaussian, and the logit of death."""
    weights = {
        "Wx": rng.normal(0, 1 / np.sqrt(z + 1), (z + 1, 4 * hidden)),
        "Wh": rng.normal(0, 1 / np.sqrt(hidden), (hidden, 4 * hidden)),
        "b": np.repeat([0.0, 1.0, 0.0, 0.0], hidden),
        "Wo": rng.normal(0, 0.3 / np.sqrt(hidden), (hidden, 3 * z * mixtures + 1)),
        "bo": np.zeros(3 * z * mixtures + 1),
    }
    means = slice(z * mixtures, 2 * z * mixtures)
    weights["bo"][means] = rng.normal(0, 0.5, z * mixtures)  # tells the Gaussians apart
    return {name: w.astype(dtype) for name, w in weights.items()}


def feed(weights, x):
    """What the inputs, (..., z + 1), add to the gates, (..., 4 hidden)."""
    return x @ weights["Wx"] + weights["b"]


def remember(weights, fed, h, c):
    """One step of the LSTM: the gates' activations, and the new h and c, (n, hidden) each; fed: (n,
    4 hidden), from feed."""
    gates, units = h @ weights["Wh"], h.shape[1]
    gates += fed
    gates[:, : 3 * units] *= 0.5
    np.tanh(gates, out=gates)
    gates[:, : 3 * units] += 1
    gates[:, : 3 * units] *= 0.5
    take, forget, show, new = parts_of(gates)
    c = forget * c + take * new
    return gates, show * np.tanh(c), c


def parts_of(gates):
    """Input, forget and output gates and candidates, (..., hidden) each."""
    units = gates.shape[-1] // 4
    return [gates[..., i * units : (i + 1) * units] for i in range(4)]


def heads(weights, h, z):
    """Predictions from all rows of h, (rows, hidden): logits, means and log deviations, (mixtures,
    z, rows) each, and the logit of death, (rows,)."""
    out = weights["Wo"].T @ h.T
    out += weights["bo"][:, None]
    logits, mean, spread = out[:-1].reshape(3, -1, z, len(h))
    return logits, mean, np.clip(spread, NARROW, WIDE, out=spread), out[-1]


def plain_imagine(weights, h, tau, chance, noise):
    """One step of one dream in plain loops: the next z, a list, and whether the dreamer is dead.

    h: (hidden,); chance in [0, 1) and noise, standard normal: (z,) each.
    """
    out = [float(b + h @ w) for b, w in zip(weights["bo"], weights["Wo"].T, strict=True)]
    size, count = len(noise), (len(out) - 1) // 3
    z = []
    for i in range(size):
        shares = [math.exp(out[k] / tau) for k in range(i, count, size)]
        k, left = 0, chance[i] * sum(shares)
        while left > shares[k]:
            left -= shares[k]
            k += 1
        mean, spread = out[count + k * size + i], out[2 * count + k * size + i]
        spread = min(max(spread, NARROW), WIDE)
        z.append(mean + math.exp(spread) * math.sqrt(tau) * noise[i])
    return z, out[-1] > 0


def imagine(weights, h, tau, chance, noise):
    """The same for n dreams: z, (n, z), and who is dead, (n,); tau: (n,); chance, noise: (z, n)."""
    logits, mean, spread, death = heads(weights, h, len(noise))
    shares = logits - logits.max(0)
    shares /= tau
    np.exp(shares, out=shares)
    np.cumsum(shares, 0, out=shares)
    pick = (shares[:-1] < chance * shares[-1]).sum(0)[None]
    mean, spread = (np.take_along_axis(part, pick, 0)[0] for part in (mean, spread))
    return (mean + np.exp(spread) * np.sqrt(tau) * noise).T, death > 0


def heads_loss(weights, h, target, dead, share):
    """Loss of the heads after the rows of h, and its gradient at their outputs, (outputs, rows).

    target: (rows, z); dead: (rows,); share: (rows,), 1 / the number of rows that count, or 0.
    """
    logits, mean, spread, death = heads(weights, h, target.shape[1])
    logits = logits - logits.max(0)
    logits -= np.log(np.exp(logits).sum(0))
    precision = np.exp(-spread)
    scaled = (target.T - mean) * precision
    joint = logits - 0.5 * scaled * scaled - spread
    top = joint.max(0)
    blame = np.exp(joint - top)
    total = blame.sum(0)
    blame /= total
    nats = 0.5 * np.log(2 * np.pi) - (top + np.log(total)).mean(0)
    weight = DEATH * np.where(dead, RARE, 1)
    nats = nats + weight * np.logaddexp(0, np.where(dead, -death, death))
    dspread = blame * (1 - scaled * scaled) * ((spread > NARROW) & (spread < WIDE))
    dout = np.empty((weights["Wo"].shape[1], len(h)), h.dtype)
    for part, error in zip(
        dout[:-1].reshape(3, *logits.shape),
        (np.exp(logits) - blame, -blame * scaled * precision, dspread),
        strict=True,
    ):
        np.multiply(error, share / target.shape[1], out=part)
    dout[-1] = weight * (0.5 + 0.5 * np.tanh(0.5 * death) - dead) * share
    return float(nats @ share), dout


def follow(weights, x, begins, h0, c0):
    """M along streams: gates (T, n, 4 hidden), h and c (T + 1, n, hidden), each before x[t].

    x: (T, n, z + 1); begins: (T + 1, n) bool; where it is true an episode begins with h = c = 0.
    """
    keep, fed, gates = (~begins[..., None]).astype(x.dtype), feed(weights, x), []
    h, c = np.empty((2, len(begins), *h0.shape), x.dtype)
    h[0], c[0] = h0 * keep[0], c0 * keep[0]
    for t in range(len(x)):
        opened, after, cells = remember(weights, fed[t], h[t], c[t])
        gates.append(opened)
        h[t + 1], c[t + 1] = after * keep[t + 1], cells * keep[t + 1]
    return np.array(gates), h, c


def memory_loss(weights, x, target, dead, begins, h0, c0, block=512):
    """Loss of M on streams, gradients, and the state for the window that follows.

    x: (T, n, z + 1) holds z_t and a_t; target: (T, n, z) z_{t+1}; dead: (T, n) at t + 1; begins: (T
    + 1, n) bool: a step that leads to another episode does not count.
    """
    gates, h, c = follow(weights, x, begins, h0, c0)
    rows, target, dead = (
        h[1:].reshape(-1, h.shape[2]),
        target.reshape(-1, target.shape[2]),
        dead.ravel(),
    )
    counts = ~begins[1:].ravel()
    share = (counts / max(1, counts.sum())).astype(x.dtype)
    parts = [slice(i, i + block) for i in range(0, len(rows), block)]  # a block fits in the cache
    losses, douts = zip(
        *(heads_loss(weights, rows[i], target[i], dead[i], share[i]) for i in parts), strict=True
    )
    dout = np.concatenate(douts, 1)
    grads = {"Wo": (dout @ rows).T, "bo": dout.sum(1)}
    dh_out = (weights["Wo"] @ dout).T.reshape(h[1:].shape)
    keep = (~begins[..., None]).astype(x.dtype)
    grads |= memory_backward(weights, x, h, c, gates, keep, dh_out)
    return sum(losses), grads, (h[-1], c[-1])


def memory_backward(weights, x, h, c, gates, keep, dh_out):
    """Back-propagation through the window; dh_out: (T, n, hidden), the heads' gradient at h.

    With i, f, o the gates, g the candidates, s = tanh(c): dc += dh o (1 - s^2), and the errors at
    the net inputs are dc g i (1 - i), dc c_{t-1} f (1 - f), dh s o (1 - o) and dc i (1 - g^2).
    """
    take, forget, show, new = parts_of(gates)
    squashed = np.tanh(forget * c[:-1] + take * new)
    slopes = [new * take * (1 - take), c[:-1] * forget * (1 - forget)]
    slopes += [squashed * show * (1 - show), take * (1 - new * new)]
    slopes, into_cell = np.concatenate(slopes, 2), show * (1 - squashed * squashed)
    dh, dc, da, back = 0.0, 0.0, np.empty_like(gates), np.ascontiguousarray(weights["Wh"].T)
    for t in reversed(range(len(x))):
        dh = (dh + dh_out[t]) * keep[t + 1]
        dc = dc * keep[t + 1] + dh * into_cell[t]
        np.multiply(np.concatenate([dc, dc, dh, dc], 1), slopes[t], out=da[t])
        dh, dc = da[t] @ back, dc * forget[t]
    da = da.reshape(-1, da.shape[2])
    flat = x.reshape(len(da), -1), h[:-1].reshape(len(da), -1)
    return {"Wx": flat[0].T @ da, "Wh": flat[1].T @ da, "b": da.sum(0)}


@dataclass
class Play:
    """Coded episodes, one after the other: mean and deviation of z, (frames, z); actions, dead,
    begins, (frames,)."""

    mean: np.ndarray
    deviation: np.ndarray
    actions: np.ndarray
    dead: np.ndarray
    begins: np.ndarray

    def starts(self):
        """STREAMS frames, evenly spread, each the first of an episode."""
        first = np.flatnonzero(self.begins)
        wanted = np.arange(STREAMS) * len(self.begins) // STREAMS
        return first[np.searchsorted(first, wanted, "right") - 1]

    def window(self, rng, frames):
        """x, target, dead, begins for memory_loss at frames, (T + 1, n); z drawn from V."""
        frames = frames % len(self.begins)  # after the last episode comes the first
        z = rng.standard_normal((*frames.shape, self.mean.shape[1]), dtype=np.float32)
        z = self.mean[frames] + self.deviation[frames] * z
        x = np.concatenate([z, self.actions[frames][..., None]], 2)
        return x[:-1], z[1:], self.dead[frames[1:]], self.begins[frames]


def follow_all(rng, weights, play):
    """M along all play, in STREAMS streams: x, dead and begins as in memory_loss, h and c."""
    frames = play.starts() + np.arange(max(2, len(play.begins) // STREAMS) + 1)[:, None]
    x, _, dead, begins = play.window(rng, frames)
    state = np.zeros((2, STREAMS, len(weights["Wh"])), np.float32)
    return x, dead, begins, *follow(weights, x, begins, *state)[1:]


def train_memory(rng, play, config, curve):
    """M trained on STREAMS streams of episodes, its state carried from window to window; appends
    (step, loss) to curve."""
    weights = init_memory(rng, config.z, config.hidden, config.mixtures)
    adam, frames = Adam(weights, M_RATE, limit=1.0), play.starts() + np.arange(WINDOW + 1)[:, None]
    state = np.zeros((2, STREAMS, config.hidden), np.float32)
    for step in range(config.m_steps):
        adam.rate = slowing(M_RATE, step, config.m_steps) * min(1, (step + 1) / WARM_UP)
        loss, grads, state = memory_loss(weights, *play.window(rng, frames), *state)
        adam.step(weights, grads)
        curve.append((step, loss))
        frames = frames + WINDOW
    return weights


# --- C: the controller, its dreams, its search ----------------------------------------------------


@dataclass
class Brain:
    """V and M once they are trained; mean and scale, (inputs,), make z, h and c alike for C."""

    vision: dict
    memory: dict
    mean: np.ndarray
    scale: np.ndarray

    def steer(self, controllers, z, h, c):
        """Actions, (n,), of the controllers, (n, inputs)."""
        inputs = (np.concatenate([z, h, c], 1) - self.mean) * self.scale
        return np.tanh(np.einsum("ij,ij->i", inputs, controllers))


def make_brain(rng, vision, memory, play):
    """V and M, and the scales of z, h and c over recorded play: the three weigh the same."""
    x, _, _, h, c = follow_all(rng, memory, play)
    parts = [part.reshape(-1, part.shape[2]) for part in (x[..., :-1], h[:-1], c[:-1])]
    mean = np.concatenate([part.mean(0) for part in parts])
    scale = [1 / np.sqrt(part.shape[1]) / (part.std(0) + 1e-3) for part in parts]
    return Brain(vision, memory, mean, np.concatenate(scale).astype(np.float32))


def dream(rng, brain, controllers, tau, z, cap, note=None):
    """Steps survived in M's dreams, (n,), at most cap; it needs no room.

    controllers: (n, inputs); tau: (n,); z: (n, z), the codes of first views. note(who, z) is called
    at every step with the numbers and codes of those who live.
    """
    lived, who, size = np.full(len(z), cap), np.arange(len(z)), z.shape[1]
    h = c = np.zeros((len(z), len(brain.memory["Wh"])), np.float32)
    for t in range(1, cap + 1):
        if note:
            note(who, z)
        action = brain.steer(controllers, z, h, c)
        x = np.concatenate([z, action[:, None]], 1)
        _, h, c = remember(brain.memory, feed(brain.memory, x), h, c)
        chance = rng.random((size, len(z)), np.float32)
        z, dead = imagine(
            brain.memory, h, tau, chance, rng.standard_normal(chance.shape, np.float32)
        )
        if dead.any():
            lived[who[dead]] = t
            who, z, h, c, tau, controllers = (
                part[~dead] for part in (who, z, h, c, tau, controllers)
            )
        if not len(who):
            break
    return lived


class Player:
    """C in the room: it sees views through V, and M runs beside it."""

    def __init__(self, rng, brain, controllers):
        self.rng, self.brain, self.controllers = rng, brain, controllers
        self.h = self.c = np.zeros((len(controllers), len(brain.memory["Wh"])), np.float32)

    def act(self, rooms):
        self.z = draw_codes(self.rng, self.brain.vision, rooms.look())
        action = self.brain.steer(self.controllers, self.z, self.h, self.c)
        x = np.concatenate([self.z, action[:, None]], 1)
        memory = self.brain.memory
        _, self.h, self.c = remember(memory, feed(memory, x), self.h, self.c)
        return action

    def keep(self, mask):
        self.h, self.c, self.controllers = (x[mask] for x in (self.h, self.c, self.controllers))


def draw_codes(rng, vision, views):
    """z drawn from V's q(z | view), (n, z); views: (n, 640) uint8."""
    mean, deviation = encode_all(vision, views)
    return mean + deviation * rng.standard_normal(mean.shape, dtype=np.float32)


class Search:
    """CMA-ES (Hansen & Ostermeier 2001) with a diagonal covariance (Ros & Hansen 2008), which few
    generations can learn."""

    def __init__(self, rng, n, population, sigma):
        self.rng, self.mean, self.sigma, self.population = rng, np.zeros(n), sigma, population
        self.share = np.log(population / 2 + 0.5) - np.log(np.arange(1, population // 2 + 1))
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
        steps = self.steps[np.argsort(-scores, kind="stable")[: len(self.share)]]
        step = self.share @ steps
        self.mean += self.sigma * np.sqrt(self.scale) * step
        self.path_sigma *= 1 - self.c_sigma
        self.path_sigma += np.sqrt(self.c_sigma * (2 - self.c_sigma) * self.mu) * step
        stretch = np.linalg.norm(self.path_sigma) / self.length
        self.path *= 1 - self.c_path
        if stretch < 1.4 + 2 / len(self.mean):
            push = np.sqrt(self.c_path * (2 - self.c_path) * self.mu)
            self.path += push * np.sqrt(self.scale) * step
        change = self.c_one * (self.path**2 / self.scale - 1)
        change += self.c_mu * (self.share @ steps**2 - 1)
        self.scale *= 1 + change
        self.sigma *= np.exp(self.c_sigma / self.damping * (stretch - 1))


def evolve(rngs, brain, starts, config, history, watch):
    """Five searches, one a temperature, in one batch of dreams; the means that they end with, (5,
    inputs). starts: (n, z) codes of first views."""
    searches = [Search(rng, len(brain.mean), config.population, config.sigma) for rng in rngs[1:]]
    tau = np.repeat(TAUS, config.population * config.dreams)
    for generation in range(1, config.generations + 1):
        candidates = np.concatenate([search.ask() for search in searches]).astype(np.float32)
        first = starts[rngs[0].integers(0, len(starts), len(tau))]
        lived = dream(
            rngs[0], brain, np.repeat(candidates, config.dreams, 0), tau, first, config.dream_cap
        )
        scores = lived.reshape(len(TAUS), config.population, config.dreams).mean(2)
        for search, score in zip(searches, scores, strict=True):
            search.tell(score)
        means = {name: float(score.mean()) for name, score in zip(NAMES, scores, strict=True)}
        for name, value in ({"generation": generation} | means).items():
            history.setdefault(name, []).append(value)
        controllers = np.array([search.mean for search in searches], np.float32)
        if watch:
            watch(generation, config.generations, **means, controllers=controllers, brain=brain)
    return controllers


# --- run and evaluate -----------------------------------------------------------------------------


def death_scores(rng, memory, play):
    """Recall and precision of M's foretold deaths on held-out play; None where there is none."""
    _, dead, begins, h, _ = follow_all(rng, memory, play)
    counts = ~begins[1:]
    foretold = (h[1:] @ memory["Wo"][:, -1] + memory["bo"][-1] > 0)[counts]
    right = (foretold & dead[counts]).sum()
    return [float(right / n) if n else None for n in (dead[counts].sum(), foretold.sum())]


BRIGHT = 0.6


def shows_ball(views):
    """Which views, (n, 640) in [0, 1], show a ball: no wall is that bright."""
    return views.max(1) > BRIGHT


def dream_test(rng, brain, controllers, starts, config):
    """Every temperature's controller in its own dreams: survival, (5, tests), and the share of
    dreamt frames that show a ball, (5,)."""
    tau, counts = np.repeat(TAUS, config.tests), np.zeros((2, len(TAUS)))

    def note(who, z):
        balls = shows_ball(decode(brain.vision, z)[0])
        for row, weights in zip(counts, (None, balls), strict=True):
            row += np.bincount(who // config.tests, weights, len(TAUS))

    first = starts[rng.integers(0, len(starts), len(tau))]
    lived = dream(rng, brain, np.repeat(controllers, config.tests, 0), tau, first, config.cap, note)
    return lived.reshape(len(TAUS), -1), counts[1] / counts[0]


def rank_correlation(x, y):
    """Spearman's, or None where one of the two does not vary."""
    ranks = [(v[:, None] > v).sum(1) + (v[:, None] == v).sum(1) / 2 for v in (x, y)]
    return float(np.corrcoef(ranks)[0, 1]) if all(np.ptp(r) for r in ranks) else None


def run(config: Config = Config(), watch=None) -> Result:
    """Random play, V, M, five searches in dreams, and the test of all five in the room."""
    rngs, curves, history = np.random.default_rng(config.seed).spawn(12), {"v": [], "m": []}, {}
    views, actions, dead, begins = collect(rngs[0], config.episodes)
    cut = np.flatnonzero(begins)[config.episodes - config.episodes // 10]  # the rest is held out
    vision = train_vision(rngs[1], views[:cut], views[cut:], config, curves["v"])
    coded = (*encode_all(vision, views), actions, dead, begins)
    play, held = Play(*(part[:cut] for part in coded)), Play(*(part[cut:] for part in coded))
    memory = train_memory(rngs[2], play, config, curves["m"])
    brain = make_brain(rngs[3], vision, memory, play)
    recall, precision = death_scores(rngs[3], memory, held)
    starts, played = draw_codes(rngs[3], vision, views[begins]), Rooms.played
    controllers = evolve(rngs[4:10], brain, starts, config, history, watch)
    played = Rooms.played - played
    dreamt, balls = dream_test(rngs[10], brain, controllers, starts, config)
    many = 5 * config.tests
    player = Player(rngs[11], brain, np.repeat(controllers, config.tests, 0))
    lived = survival(Rooms(rngs[11], many), player, config.cap).reshape(len(TAUS), -1)
    random = survival(Rooms(rngs[11], many), RandomPlayer(rngs[11], np.full(many, 10)), config.cap)
    pacing = survival(Rooms(rngs[11], many), Pacer(many), config.cap)
    best, cheat = float(lived[2:].mean(1).max()), float(lived[0].mean())
    metrics = {
        "best_over_random": best / float(random.mean()),
        "cheat_dream": float(dreamt[0].mean() / config.cap),
        "cheat_real": cheat / float(random.mean()),
        "transfer_gap": best / cheat,
        "dream_falls": rank_correlation(TAUS, dreamt.mean(1)),
        "real_steps_for_C": played,
        "best_over_pacing": best / float(pacing.mean()),
        "cheat_over_pacing": cheat / float(pacing.mean()),
        "random": float(random.mean()),
        "random_sd": float(random.std()),
        "pacing": float(pacing.mean()),
        "done_recall": recall,
        "done_precision": precision,
        "v_error": curves["v"][-1][1],
        "v_falls_to": curves["v"][-1][1] / curves["v"][0][1],
        "m_loss": curves["m"][-1][1],
        "m_falls_by": curves["m"][0][1] - curves["m"][-1][1],
        "balls_real": float(shows_ball(views / np.float32(255)).mean()),
    }
    for i, name in enumerate(NAMES):
        metrics |= {
            f"dream_{name}": float(dreamt[i].mean()),
            f"real_{name}": float(lived[i].mean()),
        }
        metrics |= {f"real_sd_{name}": float(lived[i].std()), f"balls_{name}": float(balls[i])}
    return Result(
        metrics, history, curves, brain, controllers, dreamt, lived, random, pacing, views[begins]
    )


def gradient_check(config: Config = Config(z=3, hidden=5, mixtures=3)) -> float:
    """Worst relative error of the gradients of V and M against central differences."""
    rng, worst = np.random.default_rng(config.seed), 0.0
    vision, x = init_vision(rng, config.z, np.float64), rng.uniform(0, 1, (3, 640))
    noise = rng.normal(size=(3, config.z))
    for free in (FREE, 50):  # above the free nats, and below
        grads = vision_loss(vision, x, noise, free)[1]
        error = worst_relative_error(
            lambda free=free: vision_loss(vision, x, noise, free)[0], vision, grads
        )
        worst = max(worst, error)
    memory = init_memory(rng, config.z, config.hidden, config.mixtures, np.float64)
    memory["bo"] += rng.normal(0, 2, len(memory["bo"]))  # some deviations at their limits
    x, target = rng.normal(size=(6, 4, config.z + 1)), rng.normal(size=(6, 4, config.z))
    given = (x, target, rng.random((6, 4)) < 0.3, rng.random((7, 4)) < 0.2)
    given += tuple(rng.normal(size=(2, 4, config.hidden)))
    grads = memory_loss(memory, *given)[1]
    return max(worst, worst_relative_error(lambda: memory_loss(memory, *given)[0], memory, grads))


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
