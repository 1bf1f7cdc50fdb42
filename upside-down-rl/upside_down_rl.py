"""Upside-down reinforcement learning: a net is told which return to get, and lands a spacecraft.

Task      LunarLander in arrays, without Box2D: land a craft on flat ground with three engines.
          Reward of a step: gain in closeness, slowness and uprightness, less fuel; -100 for a
          crash, +100 for a landing. "sparse": the sum of an episode is paid in its last step, and
          nothing before. task = "chain": the earlier catalog's chain of 9 states.
Rule      An episode that got the sum d_r of rewards in the d_h steps after step t says, right or
          wrong, how to get d_r in d_h: by the action a_t it chose. So learn by classification
              B(s_t, d_r, d_h) -> a_t,  loss -log p(a_t),
          from the best episodes so far; then ask for more than these got, try, store, repeat.
          No value is predicted, and it does not matter when within the d_h steps reward comes.
Net       u = tanh(W_s s + b_s), v = sigm(W_c [0.02 d_r; 0.01 d_h] + b_c), both of 64 units; the
          product u v goes through two layers of 64 rectified units to 4 logits.
Control   A2C, an actor-critic: tanh 64-64, a policy and a value V; 5-step returns R;
          loss -log p(a) (R - V) + (R - V)^2 / 4 - 0.01 entropy. B with shuffled commands.
Shapes    Two nets learn side by side, the first on dense, the second on sparse rewards: weights
          (nets, n), states (nets, batch, 8), commands (nets, batch, 2), actions (nets, batch).
Source    Schmidhuber 2019, arXiv:1912.02875; Srivastava et al. 2019, arXiv:1912.02877.
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


@dataclass(frozen=True)
class Config:
    """Hyper-parameters; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    task: str = option("lander", "the world", among=("lander", "chain"))
    decisions: int = option(1_500_000, "actions chosen by each net", 30_000, 20_000_000)
    command: str = option("true", "what B is told", among=("true", "shuffled", "none"))
    rate: float = option(1e-3, "Adam's step size for B", 1e-5, 0.1)
    return_scale: float = option(0.02, "factor of d_r at the net's input", 1e-4, 10)
    horizon_scale: float = option(0.01, "factor of d_h at the net's input [1/step]", 1e-4, 10)
    replay: int = option(700, "best episodes that are kept", 60, 5000)
    best: int = option(75, "of these, episodes that commands are made from", 1, 5000)
    updates: int = option(32, "updates of B after every 32 steps of its 64 craft", 1, 320)
    a2c: bool = option(True, "train the actor-critic, too")
    a2c_rate: float = option(2e-3, "Adam's first step for A2C; it falls to a tenth", 1e-5, 0.1)

    def __post_init__(self):
        check_options(self)
        if self.best > self.replay:
            raise ValueError(f"best must be at most replay ({self.replay}), got {self.best}")
        if not self.a2c and self.a2c_rate != 2e-3:
            raise ValueError(f"a2c_rate has no effect here: must be 0.002, got {self.a2c_rate}")


QUICK = {"task": "chain", "decisions": 40_000, "return_scale": 0.2, "horizon_scale": 0.03}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # decisions, and of each learner the mean return and landed share since the last
    weights: np.ndarray  # (2, n), B for dense and for sparse rewards
    asked: dict  # "end", "early": desired and obtained returns, one pair of arrays a net (or None)


NETS = ("dense", "sparse")
DELAYED = np.array([[False], [True]])
CRAFT = 64  # flown at the same time by each net
PERIOD, WARM_UP, BATCH = 32, 50, 256  # steps between learning; random episodes; pairs an update
POINTS = 60  # of the history
RECENT, EARLY_SHARE = 100, 0.3  # early: this share of the last 100 episodes landed

# --- the lander -----------------------------------------------------------------------------------

DT, GRAVITY = 0.02, -10.0  # [s], [m/s^2]
# What a step of an engine does, and how hard one may land, as measured on Gym's lander; u and w
# are uniform in [-1, 1].
MAIN = 0.35  # times 1 + u / 2: speed along the craft's axis [m/s]
ASIDE, TILT = 0.087, 0.5  # main engine: w ASIDE across the axis, TILT times that of spin [rad/m]
SIDE, TURN = 0.049, 0.0985  # times 1 + w / 4: speed across it [m/s], spin against it [rad/s]
GROUND, MIDDLE, TOP, KICK = 10 / 3, 10.0, 40 / 3, 4.0  # [m], the last [m/s]
TWIST = -0.113  # spin at the start for each m/s to the right [rad/m]
LEG_OUT, LEG_DOWN = 0.67, 0.6  # place of the leg tips below the centre [m]
HULL = np.array([[14, 17], [17, 0], [17, -10]]).T[:, :, None] / 30  # half of its corners [m]
GENTLE_FALL, GENTLE_DRIFT, GENTLE_ANGLE = 2.75, 4.0, 0.4  # [m/s], [m/s], [rad]
REST_SPEED, REST_STEPS = 0.05, 10  # a craft as slow on both legs for so long has landed [m/s]
TOUCH = 0.01  # a leg this near to the ground stands on it [m]


class Lander:
    """Craft side by side; every attribute is an array (count,), legs is (2, count).

    A leg tip that comes below ground stands if the craft falls at less than 2.75 m/s, drifts at
    less than 4 and leans by less than 0.4 rad: the craft is lifted to the ground, loses its fall
    and half of its drift, and turns upright. Any other contact is a crash.
    """

    INPUTS, ACTIONS, LIMIT = 8, 4, 1000  # actions: none, left, main and right engine

    def __init__(self, count, rng):
        self.rng = rng
        names = ("x", "y", "vx", "vy", "angle", "spin", "shaping")
        for name, column in zip(names, np.zeros((len(names), count)), strict=True):
            setattr(self, name, column)
        self.t, self.still = np.zeros((2, count), int)
        self.legs = np.zeros((2, count), bool)
        self.restart(np.arange(count))

    def restart(self, which):
        """Put the craft with these numbers at the top centre, with a random speed and spin."""
        for name in ("angle", "t", "still"):
            getattr(self, name)[which] = 0
        self.legs[:, which] = False
        self.x[which], self.y[which] = MIDDLE, TOP
        self.vx[which], self.vy[which] = self.rng.uniform(-KICK, KICK, (2, len(which)))
        self.spin[which] = TWIST * self.vx[which]
        self.shaping[which] = self.closeness()[which]

    def observe(self):
        """What the nets see, (count, 8): Gym's eight numbers."""
        columns = [(self.x - MIDDLE) / 10, (self.y - GROUND - LEG_DOWN) / (20 / 3)]
        columns += [self.vx * (10 / 50), self.vy * (20 / 3 / 50), self.angle, 0.4 * self.spin]
        return np.stack([*columns, *self.legs], 1).astype(np.float32)

    def closeness(self):
        """-100 (distance + speed + |angle|) in observed units, and 10 for each leg that stands."""
        away = np.hypot((self.x - MIDDLE) / 10, (self.y - GROUND - LEG_DOWN) / (20 / 3))
        speed = np.hypot(self.vx * (10 / 50), self.vy * (20 / 3 / 50))
        return 10 * self.legs.sum(0) - 100 * (away + speed + np.abs(self.angle))

    def step(self, action):
        """Fly one step; returns rewards, which episodes ended, and which of these by a landing."""
        self.move(action)
        crashed = self.contact() | (np.abs(self.x - MIDDLE) >= 10)
        speed = np.hypot(self.vx, self.vy)
        self.still = np.where(self.legs.all(0) & (speed < REST_SPEED), self.still + 1, 0)
        landed = (self.still >= REST_STEPS) & ~crashed
        shaping = self.closeness()
        reward = shaping - self.shaping - 0.30 * (action == 2) - 0.03 * (action % 2)
        reward = np.where(crashed, -100.0, np.where(landed, 100.0, reward))
        self.shaping = shaping
        self.t += 1
        return reward, crashed | landed | (self.t >= self.LIMIT), landed

    def move(self, action):
        """Free flight: speeds first, then places (semi-implicit Euler)."""
        sin, cos = np.sin(self.angle), np.cos(self.angle)
        u, w = self.rng.uniform(-1, 1, (2, len(action)))
        fired = action == 2
        along = MAIN * (1 + u / 2) * fired
        side = ((action == 3) * 1.0 - (action == 1)) * (1 + w / 4)
        aside = ASIDE * w * fired
        across = SIDE * side + aside
        self.vx += across * cos - along * sin
        self.vy += across * sin + along * cos + GRAVITY * DT
        self.spin += TILT * aside - TURN * side
        self.x += DT * self.vx
        self.y += DT * self.vy
        self.angle += DT * self.spin

    def contact(self):
        """Let legs stand on the ground; returns which craft crashed."""
        sin, cos, height = np.sin(self.angle), np.cos(self.angle), self.y - GROUND
        tips = height - LEG_DOWN * cos + LEG_OUT * np.array([[-1], [1]]) * sin
        lowest = tips.min(0)
        hull = height - (HULL[0] * np.abs(sin) - HULL[1] * cos).max(0)
        gentle = (self.vy > -GENTLE_FALL) & (np.abs(self.vx) < GENTLE_DRIFT)
        gentle &= np.abs(self.angle) < GENTLE_ANGLE
        crashed = (hull < 0) | ((lowest < 0) & ~gentle)
        stands = (lowest < 0) & ~crashed
        self.legs = (tips < TOUCH) & stands
        self.y -= lowest * stands
        self.vy = np.where(stands, np.maximum(self.vy, 0), self.vy)
        self.vx = np.where(stands, 0.5 * self.vx, self.vx)
        self.spin = np.where(stands, 0.5 * self.spin - 2 * self.angle, self.spin)
        return crashed


def heuristic(s):
    """Gym's proportional-derivative pilot: actions for the observations s (..., 8)."""
    x, y, vx, vy, angle, spin, left, right = np.moveaxis(s, -1, 0)
    stands = (left + right) > 0
    turn = (np.clip(0.5 * x + vx, -0.4, 0.4) - angle) * 0.5 - spin
    turn = np.where(stands, 0, turn)
    lift = np.where(stands, -0.5 * vy, (0.55 * np.abs(x) - y) * 0.5 - 0.5 * vy)
    sideways = np.where(turn < -0.05, 3, np.where(turn > 0.05, 1, 0))
    return np.where((lift > np.abs(turn)) & (lift > 0.05), 2, sideways)


class Chain:
    """The earlier catalog's world: states 0 ... 8, start at 4, +1 at 0, +5 at 8, else -0.1."""

    INPUTS, ACTIONS, LIMIT = 9, 2, 30  # actions: left, right

    def __init__(self, count, rng):
        self.place, self.t = np.zeros((2, count), int)
        self.restart(np.arange(count))

    def restart(self, which):
        self.place[which], self.t[which] = 4, 0

    def observe(self):
        return np.eye(self.INPUTS, dtype=np.float32)[self.place]

    def step(self, action):
        self.place += 2 * action - 1
        self.t += 1
        left, right = self.place == 0, self.place == 8
        reward = np.where(right, 5.0, np.where(left, 1.0, -0.1))
        return reward, left | right | (self.t >= self.LIMIT), right


WORLDS = {"lander": Lander, "chain": Chain}


class Stream:
    """Endless episodes of craft (nets, craft); where `delayed`, reward comes at the end only."""

    def __init__(self, task, delayed, craft, rng):
        self.shape, self.delayed = (len(delayed), craft), delayed
        self.world = WORLDS[task](len(delayed) * craft, rng)
        self.total = np.zeros(self.shape)  # of the running episodes

    def observe(self):
        """States (nets, craft, inputs)."""
        return self.world.observe().reshape(*self.shape, -1)

    def step(self, action):
        """Returns what is paid, which episodes ended, their returns, and which landed.

        Craft whose episode ended start anew.
        """
        columns = self.world.step(action.reshape(-1))
        reward, ended, landed = (column.reshape(self.shape) for column in columns)
        total = self.total + reward
        paid = np.where(self.delayed, np.where(ended, total, 0), reward)
        self.total = np.where(ended, 0, total)
        if ended.any():
            self.world.restart(np.flatnonzero(ended))
        return paid, ended, total, landed


# --- the idea in plain form: what one episode teaches ---------------------------------------------


def lessons(states, actions, rewards, every_end=False):
    """All (s, d_r, d_h, a) that an episode teaches: d_r came in the d_h steps after state s, by a.

    As in our runs (and the paper's) a lesson lasts to the episode's end; with every_end it may end
    at any later step, as in the tables of arXiv:1912.02875.
    """
    found = []
    n = len(actions)
    for t1 in range(n):
        for t2 in range(t1 + 1, n + 1) if every_end else [n]:
            found.append((states[t1], sum(rewards[t1:t2]), t2 - t1, actions[t1]))
    return found


class Replay:
    """The best episodes of each net, as arrays (nets, size, limit, ...), and random lessons
    drawn from. Empty slots count as the worst, so that slots fill in order."""

    def __init__(self, nets, size, world):
        self.count, self.size = np.zeros(nets, int), size
        self.states = np.zeros((nets, size, world.LIMIT, world.INPUTS), np.float32)
        self.actions = np.zeros((nets, size, world.LIMIT), np.int8)
        self.to_go = np.zeros((nets, size, world.LIMIT), np.float32)
        self.length = np.ones((nets, size), int)
        self.returns = np.full((nets, size), -np.inf)

    def store(self, net, states, actions, paid):
        """Keep an episode if there is room, or in place of the worst one if it is better."""
        total, worst = paid.sum(), np.argmin(self.returns[net])
        if total <= self.returns[net, worst]:
            return
        n = len(actions)
        self.states[net, worst, :n], self.actions[net, worst, :n] = states, actions
        self.to_go[net, worst, :n] = np.cumsum(paid[::-1])[::-1]
        self.length[net, worst], self.returns[net, worst] = n, total
        self.count[net] = min(self.count[net] + 1, self.size)

    def sample(self, rng, batch):
        """Random lessons: states (nets, batch, inputs), commands (nets, batch, 2), actions."""
        net = np.arange(len(self.count))[:, None]
        u = rng.random((2, len(net), batch))
        slot = (u[0] * self.count[:, None]).astype(int)
        t = (u[1] * self.length[net, slot]).astype(int)
        commands = np.stack([self.to_go[net, slot, t], self.length[net, slot] - t], 2)
        return self.states[net, slot, t], commands.astype(np.float32), self.actions[net, slot, t]

    def commands(self, best):
        """Mean M and deviation S of the best returns and their mean length, each (nets, 1)."""
        net = np.arange(len(self.count))[:, None]
        slots = np.argsort(-self.returns, 1, kind="stable")[:, : min(best, self.count.min())]
        returns, length = self.returns[net, slots], self.length[net, slots]
        return returns.mean(1)[:, None], returns.std(1)[:, None], length.mean(1)[:, None]


# --- the nets -------------------------------------------------------------------------------------

UNITS = 64


def behaviour_shapes(world):
    """Weight arrays of the behaviour function B."""
    shapes = {"Ws": (world.INPUTS, UNITS), "bs": (1, UNITS), "Wc": (2, UNITS), "bc": (1, UNITS)}
    shapes |= {"W1": (UNITS, UNITS), "b1": (1, UNITS), "W2": (UNITS, UNITS), "b2": (1, UNITS)}
    return shapes | {"W3": (UNITS, world.ACTIONS), "b3": (1, world.ACTIONS)}


def critic_shapes(world):
    """Weight arrays of A2C: the last output is the value."""
    shapes = {"W1": (world.INPUTS, UNITS), "b1": (1, UNITS), "W2": (UNITS, UNITS), "b2": (1, UNITS)}
    return shapes | {"W3": (UNITS, world.ACTIONS + 1), "b3": (1, world.ACTIONS + 1)}


def views(flat, shapes):
    """The arrays (nets, rows, columns) that lie one after the other in flat (nets, n)."""
    arrays, start = {}, 0
    for name, shape in shapes.items():
        end = start + math.prod(shape)
        arrays[name] = flat[:, start:end].reshape(len(flat), *shape)
        start = end
    return arrays


def init(rng, shapes, nets):
    """Flat weights (nets, n): uniform within 1 / sqrt(inputs), biases 0, outputs a tenth."""
    flat = np.zeros((nets, sum(map(math.prod, shapes.values()))), np.float32)
    for name, w in views(flat, shapes).items():
        if name.startswith("W"):
            bound = (0.1 if name == "W3" else 1) / np.sqrt(w.shape[1])
            w[:] = rng.uniform(-bound, bound, w.shape)
    return flat


def scaled(config, commands):
    """Commands (..., 2) as the net sees them: d_r within +-400, both scaled; zeros without."""
    d_r = np.clip(commands[..., 0], -400, 400) * config.return_scale
    told = np.stack([d_r, commands[..., 1] * config.horizon_scale], -1).astype(np.float32)
    return told * (config.command != "none")


def behave(W, s, c):
    """Logits (nets, batch, actions) of B for states s and scaled commands c, and its layers."""
    u = np.tanh(s @ W["Ws"] + W["bs"])
    v = 0.5 + 0.5 * np.tanh(0.5 * (c @ W["Wc"] + W["bc"]))
    h1 = np.maximum(u * v @ W["W1"] + W["b1"], 0)
    h2 = np.maximum(h1 @ W["W2"] + W["b2"], 0)
    return h2 @ W["W3"] + W["b3"], (s, c, u, v, h1, h2)


def behave_backward(W, G, e, layers):
    """Write the gradients into G; e (nets, batch, actions) is the error at the logits.

    e_h2 = [h2 > 0] W3 e, e_h1 = [h1 > 0] W2 e_h2, e_uv = W1 e_h1,
    e_s = e_uv v (1 - u^2), e_c = e_uv u v (1 - v); each dW = (input) (error)^T.
    """
    s, c, u, v, h1, h2 = layers
    write(G, "3", h2, e)
    e = (e @ W["W3"].swapaxes(1, 2)) * (h2 > 0)
    write(G, "2", h1, e)
    e = (e @ W["W2"].swapaxes(1, 2)) * (h1 > 0)
    write(G, "1", u * v, e)
    e = e @ W["W1"].swapaxes(1, 2)
    write(G, "s", s, e * v * (1 - u * u))
    write(G, "c", c, e * u * v * (1 - v))


def write(G, layer, x, e):
    """Gradients of the weights W and biases b of a layer with inputs x and error e."""
    np.matmul(x.swapaxes(1, 2), e, out=G["W" + layer])
    e.sum(1, keepdims=True, out=G["b" + layer])


def probabilities(logits):
    """Softmax over the last axis."""
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def one_hot(actions, count):
    return (actions[..., None] == np.arange(count)).astype(np.float32)


def draw(rng, logits):
    """Actions with the probabilities of the softmax, by the Gumbel trick."""
    waits = np.maximum(rng.standard_exponential(logits.shape, np.float32), 1e-37)  # not 0
    return np.argmax(logits - np.log(waits), -1)


def actor_critic(W, s):
    """Logits and values (nets, batch, actions + 1) of A2C, and its layers."""
    h1 = np.tanh(s @ W["W1"] + W["b1"])
    h2 = np.tanh(h1 @ W["W2"] + W["b2"])
    return h2 @ W["W3"] + W["b3"], (s, h1, h2)


def critic_loss(out, hot, gained, advantage):
    """Mean loss of A2C; the advantage R - V in front of log p counts as a constant."""
    p = probabilities(out[..., :-1])
    log_p = np.log(np.maximum(p, 1e-30))
    policy = -(hot * log_p).sum(-1) * advantage
    return (policy + (gained - out[..., -1]) ** 2 / 4 + 0.01 * (p * log_p).sum(-1)).mean(-1)


def critic_error(out, hot, gained, advantage):
    """Gradient of critic_loss by out.

    e_logits = (p - hot) (R - V) + 0.01 p (log p + H), H the entropy; e_V = (V - R) / 2.
    """
    p = probabilities(out[..., :-1])
    log_p = np.log(np.maximum(p, 1e-30))
    entropy = -(p * log_p).sum(-1, keepdims=True)
    e = (p - hot) * advantage[..., None] + 0.01 * p * (log_p + entropy)
    e_value = (out[..., -1:] - gained[..., None]) / 2
    return np.concatenate([e, e_value], -1) / out.shape[1]


def critic_backward(W, G, e, layers):
    """Write the gradients into G: e_h2 = (1 - h2^2) W3 e, e_h1 = (1 - h1^2) W2 e_h2."""
    s, h1, h2 = layers
    write(G, "3", h2, e)
    e = (e @ W["W3"].swapaxes(1, 2)) * (1 - h2 * h2)
    write(G, "2", h1, e)
    write(G, "1", s, (e @ W["W2"].swapaxes(1, 2)) * (1 - h1 * h1))


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


# --- learning -------------------------------------------------------------------------------------


class Diary:
    """Returns and landings of all finished episodes of both nets, and the curves of them."""

    def __init__(self, steps):
        self.steps, self.episodes = steps, [[], []]  # of a net: (step, return, landed)
        self.curves = {"return": [], "landed": []}
        self.marks = np.unique(np.linspace(0, steps, POINTS + 1).astype(int))[1:]

    def note(self, step, ended, total, landed):
        for net, craft in np.argwhere(ended):
            self.episodes[net].append((step, total[net, craft], landed[net, craft]))

    def recent(self, net):
        """Mean return and landed share of the last 100 episodes; not a number before the first."""
        last = self.episodes[net][-RECENT:]
        return np.mean([row[1:] for row in last], 0) if last else np.full(2, np.nan)

    def mark(self, weights):
        """Write a point of the curves; returns the two mean returns."""
        if not np.isfinite(weights).all():
            raise FloatingPointError("the weights are no longer finite")
        returns, landed = zip(*map(self.recent, range(len(NETS))), strict=True)
        self.curves["return"].append(returns)
        self.curves["landed"].append(landed)
        return returns

    def second_half(self):
        """Mean return of each net's episodes that ended in the second half of training, if any."""
        halves = [[row[1] for row in e if row[0] >= self.steps // 2] for e in self.episodes]
        return [float(np.mean(half)) if half else None for half in halves]


def train_udrl(config, rng, watch):
    """Train B on dense and on sparse rewards; returns weights, replay, diary, early sensitivity."""
    world = WORLDS[config.task]
    shapes, steps = behaviour_shapes(world), config.decisions // CRAFT
    flat = init(rng, shapes, len(NETS))
    grad = np.zeros_like(flat)
    W, G = views(flat, shapes), views(grad, shapes)
    adam, replay = Adam({"all": flat}, config.rate), Replay(len(NETS), config.replay, world)
    diary, stream = Diary(steps), Stream(config.task, DELAYED, CRAFT, rng)
    kept_s = np.zeros((*stream.shape, world.LIMIT, world.INPUTS), np.float32)
    kept_a, kept_r = np.zeros((2, *stream.shape, world.LIMIT), np.float32)
    net, craft = np.ogrid[: len(NETS), :CRAFT]
    t, command, early, ready = np.zeros(stream.shape, int), None, [None, None], False
    d_r, d_h = np.zeros((2, *stream.shape))
    for step in range(1, steps + 1):
        s = stream.observe()
        if ready:
            action = draw(rng, behave(W, s, scaled(config, np.stack([d_r, d_h], -1)))[0])
        else:
            action = rng.integers(0, world.ACTIONS, stream.shape)
        kept_s[net, craft, t], kept_a[net, craft, t] = s, action
        paid, ended, total, landed = stream.step(action)
        kept_r[net, craft, t] = paid
        t += 1
        d_r, d_h = d_r - paid, np.maximum(d_h - 1, 1)
        for i, j in np.argwhere(ended):
            n = t[i, j]
            replay.store(i, kept_s[i, j, :n], kept_a[i, j, :n], kept_r[i, j, :n])
        t[ended] = 0
        diary.note(step, ended, total, landed)
        if ready and ended.any():
            d_r, d_h = fresh_commands(rng, command, ended, d_r, d_h)
        if step % PERIOD == 0 and min(map(len, diary.episodes)) >= WARM_UP:
            for _ in range(config.updates):
                update(config, rng, W, G, replay)
                adam.step({"all": flat}, {"all": grad})
            command = replay.commands(config.best)
            if not ready:
                d_r, d_h = fresh_commands(rng, command, np.full(stream.shape, True), d_r, d_h)
                ready = True
            for i in range(len(NETS)):
                if early[i] is None and diary.recent(i)[1] >= EARLY_SHARE:
                    early[i] = sensitivity(config, flat, replay.returns, command, i, rng)
        if step in diary.marks:
            dense, sparse = diary.mark(flat)
            if watch and ready:
                state = {"udrl_dense": float(dense), "udrl_sparse": float(sparse)}
                state |= {"weights": flat.copy(), "command": np.stack(command)}
                watch(step * CRAFT, config.decisions, **state)
    return flat, replay, diary, early


def fresh_commands(rng, command, where, d_r, d_h):
    """New commands for the episodes that begin: d_r uniform in [M, M + S], d_h the mean length."""
    M, S, length = command
    asked = M + S * rng.random(where.shape)
    return np.where(where, asked, d_r), np.where(where, length, d_h)


def update(config, rng, W, G, replay):
    """The gradient of -log p(a) over one batch of lessons, into G."""
    s, commands, actions = replay.sample(rng, BATCH)
    if config.command == "shuffled":
        commands = rng.permuted(commands, axis=1)
    logits, layers = behave(W, s, scaled(config, commands))
    e = (probabilities(logits) - one_hot(actions, logits.shape[-1])) / BATCH
    behave_backward(W, G, e, layers)


def train_a2c(config, rng, watch):
    """Train A2C on dense and on sparse rewards; returns its weights and diary."""
    world = WORLDS[config.task]
    shapes, steps, n = critic_shapes(world), config.decisions // CRAFT, 5
    flat = init(rng, shapes, len(NETS))
    grad = np.zeros_like(flat)
    W, G = views(flat, shapes), views(grad, shapes)
    adam = Adam({"all": flat}, config.a2c_rate, limit=0.5, stacked=True)
    diary, stream = Diary(steps), Stream(config.task, DELAYED, CRAFT, rng)
    kept = []
    for step in range(1, steps + 1):
        s = stream.observe()
        action = draw(rng, actor_critic(W, s)[0][..., :-1])
        paid, ended, total, landed = stream.step(action)
        diary.note(step, ended, total, landed)
        kept.append((s, one_hot(action, world.ACTIONS), 0.5 * config.return_scale * paid, ended))
        if len(kept) == n:
            gained = n_step_returns(kept, actor_critic(W, stream.observe())[0][..., -1])
            states, hot = (np.concatenate([row[k] for row in kept], 1) for k in (0, 1))
            out, layers = actor_critic(W, states)
            e = critic_error(out, hot, gained, gained - out[..., -1])
            critic_backward(W, G, e.astype(np.float32), layers)
            adam.rate = config.a2c_rate * (1 - 0.9 * step / steps)
            adam.step({"all": flat}, {"all": grad})
            kept = []
        if step in diary.marks:
            dense, sparse = diary.mark(flat)
            if watch:
                state = {"a2c_dense": float(dense), "a2c_sparse": float(sparse)}
                watch(step * CRAFT, config.decisions, **state)
    return flat, diary


def n_step_returns(kept, value, gamma=0.99):
    """R(t) = r(t) + gamma R(t+1), from the value after the last step; 0 after an episode's end.

    kept: rows (states, actions, rewards, ended) of the steps; returns (nets, steps * craft).
    """
    returns = []
    for _, _, reward, ended in reversed(kept):
        value = reward + gamma * np.where(ended, 0, value)
        returns.append(value)
    return np.concatenate(returns[::-1], 1)


# --- tests ----------------------------------------------------------------------------------------


def fly(task, delayed, act, d_r, d_h, rng, trace=None):
    """One episode a craft: returns and landings (nets, craft); d_r and d_h have this shape.

    act(s, commands) gives actions. For the lander, trace gets of each step who still flies, the
    places [x, y, angle] (3, nets * craft) and the actions.
    """
    stream = Stream(task, delayed, d_r.shape[1], rng)
    returns, success = np.zeros(d_r.shape), np.zeros(d_r.shape, bool)
    flying = np.full(d_r.shape, True)
    while flying.any():
        commands = np.stack([d_r, d_h], -1)
        action = act(stream.observe(), commands)
        if trace is not None:
            craft = stream.world
            place = np.stack([craft.x, craft.y, craft.angle])
            trace.append((flying.reshape(-1), place, action.reshape(-1)))
        paid, ended, total, landed = stream.step(action)
        last = flying & ended
        returns, success = np.where(last, total, returns), np.where(last, landed, success)
        flying = flying & ~ended
        d_r, d_h = d_r - paid, np.maximum(d_h - 1, 1)
    return returns, success


def pilot(config, flat, rng, greedy=False):
    """B as a function of states and commands."""
    W = views(flat, behaviour_shapes(WORLDS[config.task]))

    def act(s, commands):
        logits = behave(W, s, scaled(config, commands))[0]
        return logits.argmax(-1) if greedy else draw(rng, logits)

    return act


def sensitivity(config, flat, seen, command, net, rng):
    """Desired and obtained returns of one net, (220,) each: 11 commands, 20 episodes of each.

    The commands lie between the 5 % and the 95 % quantile of the returns `seen` of each net.
    """
    known = np.asarray(seen[net])
    low, high = np.quantile(known[np.isfinite(known)], (0.05, 0.95))
    desired = np.repeat(np.linspace(low, high, 11), 20)[None]
    horizon = np.full(desired.shape, command[2][net])
    act = pilot(config, flat[net : net + 1], rng)
    obtained, _ = fly(config.task, DELAYED[net : net + 1], act, desired, horizon, rng)
    return desired[0], obtained[0]


def correlation(pair):
    """Pearson's r of desired and obtained returns; None where there is none."""
    if pair is None or min(np.std(pair[0]), np.std(pair[1])) < 1e-9:
        return None
    return float(np.corrcoef(*pair)[0, 1])


def tested(config, flat, replay, diary, rng):
    """Metrics of 100 episodes a net that are asked for M, sampled and greedy; and sensitivity."""
    command, metrics = replay.commands(config.best), {}
    asked, length = (np.repeat(row, 100, 1) for row in (command[0], command[2]))
    for name, greedy in (("udrl", False), ("greedy", True)):
        act = pilot(config, flat, rng, greedy)
        returns, landed = fly(config.task, DELAYED, act, asked, length, rng)
        for i, kind in enumerate(NETS):
            metrics[f"{name}_{kind}"] = float(returns[i].mean())
            metrics[f"{name}_{kind}_landed"] = float(landed[i].mean())
    seen = [[row[1] for row in episodes] for episodes in diary.episodes]
    pairs = [sensitivity(config, flat, seen, command, i, rng) for i in range(len(NETS))]
    return metrics, pairs


def references(config, rng):
    """Mean returns of random play and, for the lander, of the heuristic; 200 episodes."""
    actions, none = WORLDS[config.task].ACTIONS, np.zeros((2, 100))

    def random_play(s, commands):
        return rng.integers(0, actions, commands.shape[:2])

    returns, _ = fly(config.task, DELAYED, random_play, none, none, rng)
    metrics = {"random": float(returns.mean()), "heuristic": None, "heuristic_landed": None}
    if config.task == "lander":
        returns, landed = fly("lander", DELAYED, lambda s, _: heuristic(s), none, none, rng)
        metrics |= {"heuristic": float(returns.mean()), "heuristic_landed": float(landed.mean())}
    return metrics


def difference(a, b):
    """a - b, or None where one is None."""
    return None if a is None or b is None else a - b


def run(config=Config(), watch=None):
    """Train and test both learners on dense and sparse rewards; returns a Result."""
    rng, a2c_rng, test_rng = np.random.default_rng(config.seed).spawn(3)
    flat, replay, diary, early = train_udrl(config, rng, watch)
    diaries = {"udrl": diary}
    metrics, end = tested(config, flat, replay, diary, test_rng)
    landed = (metrics[f"udrl_{kind}_landed"] for kind in reversed(NETS))
    metrics["sparse_less_dense_landed"] = difference(*landed)
    if config.a2c:
        _, diaries["a2c"] = train_a2c(config, a2c_rng, watch)
    history = {"decisions": (diary.marks * CRAFT).tolist()}
    for learner in ("udrl", "a2c"):
        for i, kind in enumerate(NETS):
            book, name = diaries.get(learner), f"{learner}_{kind}"
            metrics[f"{name}_half"] = book.second_half()[i] if book else None
            for what, rows in book.curves.items() if book else ():
                history[f"{name}_{what}"] = [float(row[i]) for row in rows]
    metrics["a2c_drop"] = difference(metrics["a2c_dense_half"], metrics["a2c_sparse_half"])
    halves = (metrics[f"{learner}_sparse_half"] for learner in ("udrl", "a2c"))
    metrics["udrl_less_a2c_sparse"] = difference(*halves)
    for kind, pair, before in zip(NETS, end, early, strict=True):
        metrics[f"corr_{kind}"] = correlation(pair)
        metrics[f"early_corr_{kind}"] = correlation(before)
    found = [metrics[f"corr_{kind}"] for kind in NETS]
    metrics["corr_most"] = max((r for r in found if r is not None), default=None)
    metrics |= references(config, test_rng)
    return Result(metrics, history, flat, {"end": end, "early": early})


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


def gradient_check(config=Config()):
    """Worst relative error of the gradients of B and of A2C, in float64."""
    rng, world = np.random.default_rng(config.seed), WORLDS[config.task]
    s, actions = rng.normal(size=(1, 7, world.INPUTS)), rng.integers(0, world.ACTIONS, (1, 7))
    hot = one_hot(actions, world.ACTIONS)
    c, gained, advantage = rng.normal(size=(1, 7, 2)), *rng.normal(size=(2, 1, 7))
    worst = 0.0
    for shapes in (behaviour_shapes(world), critic_shapes(world)):
        flat = rng.normal(0, 0.4, init(rng, shapes, 1).shape)
        grad = np.zeros_like(flat)
        W, G = views(flat, shapes), views(grad, shapes)
        if "Ws" in shapes:
            logits, layers = behave(W, s, c)
            behave_backward(W, G, (probabilities(logits) - hot) / 7, layers)

            def loss(W=W):
                return -(hot * np.log(probabilities(behave(W, s, c)[0]))).sum() / 7

        else:
            out, layers = actor_critic(W, s)
            critic_backward(W, G, critic_error(out, hot, gained, advantage), layers)

            def loss(W=W):
                return float(critic_loss(actor_critic(W, s)[0], hot, gained, advantage)[0])

        worst = max(worst, worst_relative_error(loss, W, G))
    return worst


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
