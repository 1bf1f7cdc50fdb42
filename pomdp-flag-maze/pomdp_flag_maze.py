"""T-maze with a hidden flag: a controller learns to act on what it saw many steps earlier, taught
through a world model that must itself find out that the past matters.

Task      A corridor of `length` cells leads from the start to a junction; two cells up and two
          cells down lie the flags. At t = 0 only, the observation o(t) = [wall N, S, W, E;
          indicator] holds +1 (flag up) or -1 (flag down); afterwards it is 0. Right flag +2,
          wrong flag -2, any other step -0.05. An episode ends at a flag or after
          T = 4 length + 4 steps.
Nets      Controller C: h(t+1) = tanh([o(t), 1, h(t)] W), z(t) = [1, h(t+1)] V, four sums.
          Its motors y(t) = softmax((z(t) + g(t)) / tau), g Gumbel noise; the move is argmax y, so
          that it is a draw from softmax(z). Model M reads [o(t), y(t), 1] and its own state and
          predicts o^(t+1), the reward r^(t) and, by a sigmoid, the end e^(t).
Learning  Real forward, model backward. Episodes run in the real maze only. M lowers
            sum_t |o^ - o(t+1)|^2 + 10 (r^ - r)^2 + log loss of e^.
          C raises J = sum_t gamma^t r^(t) + e^(t) saved(t) + beta H(softmax z(t)), H the entropy:
            its gradient runs from M's predictions to y(t), through M's weights and the recurrence
            of both nets; where the real o(t+1) entered, it takes the derivative of o^(t+1).
            saved(t) is what an end at t saves, `credit` a step: gamma^(t+1) credit
            (1 - gamma^(T-t-1)) / (1 - gamma). C stops after five passed tests in a row.
Shapes    K conditions learn in lock-step from the same start, noise and indicators. Rows of C and M
          are (T + 1, K, episodes, columns), weights (K, from, to). A row holds all that the hidden
          units read at one step: inputs, a constant 1, state.

    python3 pomdp_flag_maze.py --seed 0
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
    """The defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    length: int = option(4, "moves from the start to the junction", 1, 20)
    iterations: int = option(1200, "updates of both nets", 1, 20_000)
    episodes: int = option(128, "episodes in the maze for an update", 4, 1000)
    conditions: str = option("all", "main alone, or its controls too", among=("all", "main"))
    alone: int = option(100, "first updates, with random motors, in which only M learns", 0, 20_000)
    hold: float = option(0.75, "probability that random motors stay as they are", 0.0, 0.99)
    credit: float = option(0.2, "what C is told that an end saves a step", 0.0, 2.0)
    entropy: float = option(0.2, "bonus for the entropy of C's moves", 0.0, 2.0)
    stop: bool = option(True, "C stops learning once it has passed five tests in a row")
    controller_units: int = option(24, "hidden units of C", 1, 100)
    model_units: int = option(40, "hidden units of M", 1, 100)
    controller_rate: float = option(3e-3, "step size of C's Adam", 1e-6, 0.1)
    model_rate: float = option(1e-2, "step size of M's Adam", 1e-6, 0.1)
    input_weights: float = option(0.3, "spread of M's first weights from inputs", 0.01, 3.0)

    def __post_init__(self):
        check_options(self)


QUICK = {"length": 2, "iterations": 300, "conditions": "main"}


@dataclass(frozen=True)
class Condition:
    """What a learner lacks."""

    controller_remembers: bool = True
    model_remembers: bool = True
    through_model: bool = True


CONDITIONS = {
    "main": Condition(),
    "feedforward": Condition(controller_remembers=False),
    "memoryless_model": Condition(model_remembers=False),
    "score_function": Condition(through_model=False),
}


@dataclass
class Result:
    """metrics; history, one entry a test: scores and flag errors of every condition; names of the
    conditions; controller and model, weights (conditions, from, to)."""

    metrics: dict
    history: dict
    names: tuple
    controller: dict
    model: dict


# --- the task -------------------------------------------------------------------------------------

FLOAT = np.float32  # of everything but the gradient check
NORTH, EAST, SOUTH, WEST = range(4)
DELTAS = {NORTH: (-1, 0), EAST: (0, 1), SOUTH: (1, 0), WEST: (0, -1)}
PRICE, PRIZE, GAMMA = 0.05, 2.0, 0.95
OBSERVED, MOTORS = 5, 4
INDICATOR = 4  # column of an observation
C_ONE, M_ONE = OBSERVED, OBSERVED + MOTORS  # columns of the constant 1; the state follows
REWARD, END = 5, 6  # what M predicts after the next observation


@dataclass(frozen=True)
class Maze:
    """goes[cell, move] is the next cell; walls[cell] is (N, S, W, E); places[cell] is (row,
    column). Cell 0 is the start, the last two are the flags, up and down."""

    goes: np.ndarray
    walls: np.ndarray
    places: list
    steps: int


def build_maze(length):
    """The T-maze whose junction lies `length` moves east of the start."""
    places = [(2, column) for column in range(length + 1)]
    places += [(1, length), (3, length), (0, length), (4, length)]
    number = {place: cell for cell, place in enumerate(places)}
    goes = np.empty((len(places), MOTORS), int)
    for (row, column), cell in number.items():
        for move, (down, right) in DELTAS.items():
            goes[cell, move] = number.get((row + down, column + right), cell)
    blocked = goes == np.arange(len(places))[:, None]
    return Maze(goes, blocked[:, [NORTH, SOUTH, WEST, EAST]].astype(FLOAT), places, 4 * length + 4)


def move(maze, cell, action, indicator):
    """One step of many episodes: the next cells, the rewards, and which of them ended."""
    after = maze.goes[cell, action]
    up, down = len(maze.places) - 2, len(maze.places) - 1
    side = np.where(after == up, 1, np.where(after == down, -1, 0))
    return after, np.where(side == 0, -PRICE, PRIZE * side * indicator), side != 0


def saved(steps, credit):
    """(steps,): discounted, what an episode that ends at t saves by its missing steps."""
    t = np.arange(steps)
    return GAMMA ** (t + 1) * credit * (1 - GAMMA ** (steps - t - 1)) / (1 - GAMMA)


# --- the idea for one episode, in plain form ------------------------------------------------------


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def one_episode(controller, model, maze, indicator, noise, random, tau, credit, entropy):
    """Live through one episode and return the gradients of M's loss and of C's -J.

    controller, model: "hidden" (from, to) and "output"; noise: g, (steps, 4); random: (steps,),
    true where C's sums are ignored.
    """
    Wc, Vc, Wm, Vm = (net[name] for net in (controller, model) for name in ("hidden", "output"))
    h, hm, cell, ended, story = np.zeros(Wc.shape[1]), np.zeros(Wm.shape[1]), 0, False, []
    while not ended and len(story) < maze.steps:  # forward, in the real maze
        t = len(story)
        seen = np.append(maze.walls[cell], indicator if t == 0 else 0)
        row = np.concatenate([seen, [1], h])
        h = np.tanh(row @ Wc)
        z = np.append(1, h) @ Vc
        y = softmax(((0 if random[t] else z) + noise[t]) / tau)
        model_row = np.concatenate([seen, y, [1], hm])
        hm = np.tanh(model_row @ Wm)
        out = np.append(1, hm) @ Vm
        cell, reward, ended = move(maze, cell, y.argmax(), indicator)
        target = np.append(np.append(maze.walls[cell], 0), reward)
        story.append((row, h, z, y, model_row, hm, out, target, ended))
    grads = [{name: np.zeros_like(w) for name, w in net.items()} for net in (controller, model)]
    own_back, back, c_back, d_seen = np.zeros_like(hm), np.zeros_like(hm), np.zeros_like(h), 0
    for t in reversed(range(len(story))):  # backward, through the model
        row, h, z, y, model_row, hm, out, target, ended = story[t]
        e = sigmoid(out[END])
        # M's own loss: d/do^ = 2 (o^ - o), d/dr^ = 20 (r^ - r), d/d(sum of e^) = e^ - e
        own = np.append(2 * (out[:END] - target), e - ended)
        own[REWARD] *= 10
        own_sums = (Vm[1:] @ own + own_back) * (1 - hm**2)
        grads[1]["output"] += np.outer(np.append(1, hm), own)
        grads[1]["hidden"] += np.outer(model_row, own_sums)
        own_back = (Wm @ own_sums)[M_ONE + 1 :]
        # C's -J at M's outputs: -gamma^t at r^, -saved e^ (1 - e^) at e^'s sum, and what the next
        # step's nets send back to their observation, at o^(t+1)
        d_out = np.zeros(END + 1)
        d_out[:OBSERVED] = d_seen
        d_out[REWARD] = -(GAMMA**t)
        d_out[END] = -saved(maze.steps, credit)[t] * e * (1 - e)
        down = Wm @ ((Vm[1:] @ d_out + back) * (1 - hm**2))
        d_seen, dy, back = down[:OBSERVED], down[OBSERVED:M_ONE], down[M_ONE + 1 :]
        # through y = softmax((z + g) / tau); the entropy's slope is -p (log p + H)
        p = softmax(z)
        H = -(p * np.log(p)).sum()
        dz = y * (dy - dy @ y) / tau + entropy * p * (np.log(p) + H)
        dz = np.zeros(MOTORS) if random[t] else dz
        sums = (Vc[1:] @ dz + c_back) * (1 - h**2)
        grads[0]["output"] += np.outer(np.append(1, h), dz)
        grads[0]["hidden"] += np.outer(row, sums)
        down = Wc @ sums
        d_seen, c_back = d_seen + down[:OBSERVED], down[C_ONE + 1 :]
    return grads


# --- the same for all conditions and episodes at once ---------------------------------------------


def init_net(rng, inputs, units, outputs, spread, out_spread):
    """Weights of one net: the state's part of "hidden" near 0.9 times the unit matrix, the
    indicator's row doubled."""
    hidden = rng.normal(0, spread, (inputs + 1 + units, units))
    hidden[INDICATOR] *= 2
    hidden[inputs] *= 0.5
    hidden[inputs + 1 :] = 0.9 * np.eye(units) + 0.1 * rng.normal(0, units**-0.5, (units, units))
    output = rng.normal(0, out_spread * units**-0.5, (1 + units, outputs))
    output[0] = 0
    return {"hidden": hidden, "output": output}


def stacked(net, remembers):
    """One net for each condition, all alike; without recurrence where remembers is false."""
    net = {name: np.stack([w] * len(remembers)).astype(FLOAT) for name, w in net.items()}
    units = net["hidden"].shape[2]
    net["hidden"][~np.array(remembers), -units:] = 0
    return net


@dataclass
class Episodes:
    """What happened. rows, model_rows: (T + 1, K, B, columns); sums z and motors y: (T, K, B, 4);
    out, M's predictions: (T, K, B, 7); reward, ended, alive (not ended before t): (T, K, B);
    random: (T, B); cells: (T + 1, K, B)."""

    rows: np.ndarray
    model_rows: np.ndarray
    sums: np.ndarray
    motors: np.ndarray
    out: np.ndarray
    reward: np.ndarray
    ended: np.ndarray
    alive: np.ndarray
    random: np.ndarray
    cells: np.ndarray


def live(controller, model, maze, indicator, noise, random, tau):
    """Episodes for indicator (B,), noise (T, B, 4) and random (T, B), the same in every condition;
    random is true where C's sums are ignored."""
    steps, batch, kinds = len(noise), len(indicator), len(controller["hidden"])
    rows, model_rows = (
        np.zeros((steps + 1, kinds, batch, one + 1 + net["hidden"].shape[2]), FLOAT)
        for net, one in ((controller, C_ONE), (model, M_ONE))
    )
    rows[..., C_ONE] = model_rows[..., M_ONE] = 1
    rows[0, ..., INDICATOR] = model_rows[0, ..., INDICATOR] = indicator
    sums, motors = np.empty((2, steps, kinds, batch, MOTORS), FLOAT)
    reward = np.empty((steps, kinds, batch), FLOAT)
    ended, alive = np.zeros((2, steps, kinds, batch), bool)
    cells = np.zeros((steps + 1, kinds, batch), int)
    running = np.ones((kinds, batch), bool)
    for t in range(steps):
        rows[t, ..., :INDICATOR] = model_rows[t, ..., :INDICATOR] = maze.walls[cells[t]]
        np.tanh(rows[t] @ controller["hidden"], out=rows[t + 1, ..., C_ONE + 1 :])
        sums[t] = rows[t + 1, ..., C_ONE:] @ controller["output"]
        obeyed = np.where(random[t][:, None], FLOAT(0), sums[t])
        motors[t] = softmax((obeyed + noise[t]) / FLOAT(tau))
        model_rows[t, ..., OBSERVED:M_ONE] = motors[t]
        np.tanh(model_rows[t] @ model["hidden"], out=model_rows[t + 1, ..., M_ONE + 1 :])
        after, reward[t], at_flag = move(maze, cells[t], motors[t].argmax(-1), indicator)
        alive[t], ended[t] = running, running & at_flag
        cells[t + 1] = np.where(running, after, cells[t])
        running = running & ~at_flag
    rows[steps, ..., :INDICATOR] = maze.walls[cells[steps]]
    out = model_rows[1:, ..., M_ONE:] @ model["output"]
    return Episodes(rows, model_rows, sums, motors, out, reward, ended, alive, random, cells)


def model_errors(lived):
    """dloss/d(M's sums), (T, K, B, 7), of the mean over episodes: 2 (o^ - o), 20 (r^ - r),
    sigmoid - e."""
    d_out = np.empty_like(lived.out)
    d_out[..., :OBSERVED] = 2 * (lived.out[..., :OBSERVED] - lived.rows[1:, ..., :OBSERVED])
    d_out[..., REWARD] = 20 * (lived.out[..., REWARD] - lived.reward)
    d_out[..., END] = sigmoid(lived.out[..., END]) - lived.ended
    return d_out * (lived.alive / FLOAT(lived.alive.shape[2]))[..., None]


def entropy_slope(sums):
    """dH/dz of the entropy of softmax(z): -p (log p + H)."""
    log_p = sums - sums.max(-1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(-1, keepdims=True))
    p = np.exp(log_p)
    return -p * (log_p - (p * log_p).sum(-1, keepdims=True))


def score_errors(lived, savings):
    """d(-J)/dz by the score function, (T, K, B, 4): (softmax z - the move) times the discounted
    return from t on, with the same savings, less its mean over C's own living episodes."""
    discount = FLOAT(GAMMA) ** np.arange(len(savings), dtype=FLOAT)[:, None, None]
    gains = lived.alive * (discount * lived.reward + lived.ended * savings[:, None, None])
    returns = np.cumsum(gains[::-1], 0)[::-1]
    counted = lived.alive & ~lived.random[:, None]
    mean = (returns * counted).sum(2) / np.maximum(counted.sum(2), 1)
    moved = lived.motors.argmax(-1)[..., None] == np.arange(MOTORS)
    return (softmax(lived.sums) - moved) * (returns - mean[..., None])[..., None]


def gradients(controller, model, lived, tau, credit, entropy, through_model):
    """Gradients of M's loss and of C's -J, means over the episodes, as (grads of C, of M).

    through_model: (K,), where false C's gradient is that of the score function.
    """
    steps, kinds, batch = lived.alive.shape
    savings, through = saved(steps, credit).astype(FLOAT), np.array(through_model)[:, None]
    slope = 1 - lived.model_rows[1:, ..., M_ONE + 1 :] ** 2
    c_slope = 1 - lived.rows[1:, ..., C_ONE + 1 :] ** 2
    c_out, m_out = (turned(net["output"][:, 1:]) for net in (controller, model))
    c_back, m_back = (turned(net["hidden"]) for net in (controller, model))
    own = model_errors(lived)
    own_sums = (own @ m_out) * slope
    ends, d_out = sigmoid(lived.out[..., END]), np.zeros_like(lived.out)
    d_out[..., REWARD] = -(FLOAT(GAMMA) ** np.arange(steps, dtype=FLOAT)[:, None, None])
    d_out[..., END] = -savings[:, None, None] * ends * (1 - ends)
    d_sums = (d_out @ m_out) * slope * (lived.alive / FLOAT(batch))[..., None]
    free = (lived.alive & ~lived.random[:, None]).astype(FLOAT)
    by_score = ~through[..., None] * score_errors(lived, savings)
    d_z = (by_score - FLOAT(entropy) * entropy_slope(lived.sums)) * (free / batch)[..., None]
    taught = free * through / FLOAT(tau)
    c_sums = np.empty_like(c_slope)
    down, c_down = np.zeros_like(lived.model_rows[0]), np.zeros_like(lived.rows[0])
    own_down = down[..., M_ONE + 1 :]
    for t in reversed(range(steps)):
        own_sums[t] += own_down * slope[t]
        own_down = own_sums[t] @ m_back[..., M_ONE + 1 :]
        d_seen = down[..., :OBSERVED] + c_down[..., :OBSERVED]
        d_sums[t] += (d_seen @ m_out[:, :OBSERVED] + down[..., M_ONE + 1 :]) * slope[t]
        down = d_sums[t] @ m_back
        y, dy = lived.motors[t], down[..., OBSERVED:M_ONE]
        d_z[t] += y * (dy - (dy * y).sum(-1, keepdims=True)) * taught[t][..., None]
        c_sums[t] = (d_z[t] @ c_out + c_down[..., C_ONE + 1 :]) * c_slope[t]
        c_down = c_sums[t] @ c_back
    return (
        over_time(lived.rows, C_ONE, c_sums, d_z),
        over_time(lived.model_rows, M_ONE, own_sums, own),
    )


def turned(weights):
    """(K, from, to) -> (K, to, from), laid out for fast products."""
    return np.ascontiguousarray(weights.swapaxes(1, 2))


def over_time(rows, one, d_hidden, d_output):
    """Gradients of one net's weights: sums over steps and episodes of what was read times the
    errors behind it."""
    rows_in, rows_out, d_hidden, d_output = (
        x.transpose(1, 0, 2, 3).reshape(x.shape[1], -1, x.shape[3])
        for x in (rows[:-1], rows[1:, ..., one:], d_hidden, d_output)
    )
    return {
        "hidden": rows_in.swapaxes(1, 2) @ d_hidden,
        "output": rows_out.swapaxes(1, 2) @ d_output,
    }


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


# --- run and evaluate -----------------------------------------------------------------------------

RANDOM_EPISODES, RANDOM_MOTORS = 0.25, 0.1  # shares, once C learns
TAU_FIRST, TAU_LAST, TAU_UNTIL = 1.0, 0.5, 0.5  # tau falls during the first half
LATE, LATE_RATE = 0.7, 0.1  # from this share of the updates on, step sizes shrink
FADE = 0.5  # share of the bonus for entropy that is lost by the end
LONGEST = 5.0  # gradient of a net
TEST_EVERY, IN_A_ROW = 10, 5
FRESH, SHARP = 512, 0.1  # episodes in which M is judged, and their tau


def draw(rng, steps, batch, hold, random_share):
    """Indicators (batch,), noise g (steps, batch, 4), random (steps, batch). The first
    random_share of the episodes has random motors throughout, each held with probability hold."""
    indicator = rng.choice([-1, 1], batch)
    noise = -np.log(rng.standard_exponential((steps, batch, MOTORS), dtype=FLOAT) + FLOAT(1e-30))
    wandering = np.arange(batch) < round(random_share * batch)
    kept = (rng.random((steps, batch)) < hold) & wandering
    kept[0] = False
    last = np.maximum.accumulate(np.where(kept, 0, np.arange(steps)[:, None]), axis=0)
    noise = np.take_along_axis(noise, last[..., None], axis=0)
    return indicator, noise, wandering | (rng.random((steps, batch)) < RANDOM_MOTORS)


def walk(controller, model, maze, indicator, rng=None, slips=0.0):
    """Episodes without noise, one for each indicator; a share `slips` of the moves is random."""
    shape = maze.steps, len(indicator)
    noise, random = np.zeros((*shape, MOTORS), FLOAT), np.zeros(shape, bool)
    if slips:
        random = rng.random(shape) < slips
        noise[random] = rng.gumbel(size=(random.sum(), MOTORS))
    return live(controller, model, maze, np.asarray(indicator), noise, random, TAU_LAST)


def reached(lived):
    """(K, B): did the episode end at the right flag?"""
    return (lived.ended & (lived.reward > 0)).any(0)


def flag_error(lived):
    """(K,): mean squared error of M's predicted flag rewards over their variance; 1 where all
    episodes that ended had the same reward, or none ended."""
    error = np.ones(lived.ended.shape[1])
    for k in range(len(error)):
        at = lived.ended[:, k]
        real, predicted = lived.reward[:, k][at], lived.out[:, k, :, REWARD][at]
        if at.any() and real.var() > 0:
            error[k] = ((predicted - real) ** 2).mean() / real.var()
    return error


def run(config: Config = Config(), watch=None) -> Result:
    """Both nets learn from the same episodes, update by update; tests are without noise."""
    maze, names = build_maze(config.length), tuple(CONDITIONS)
    names = names if config.conditions == "all" else names[:1]
    kinds = [CONDITIONS[name] for name in names]
    starts, world, tests = np.random.default_rng(config.seed).spawn(3)
    controller = init_net(starts, OBSERVED, config.controller_units, MOTORS, 1.0, 0.1)
    controller = stacked(controller, [kind.controller_remembers for kind in kinds])
    model = init_net(starts, M_ONE, config.model_units, END + 1, config.input_weights, 1.0)
    model = stacked(model, [kind.model_remembers for kind in kinds])
    memories = [np.abs(net["hidden"]) > 0 for net in (controller, model)]
    adams = [Adam(net, 0.0, limit=LONGEST, stacked=True) for net in (controller, model)]
    streak = np.zeros(len(names), int)
    through, history = [kind.through_model for kind in kinds], {"step": []}
    for step in range(config.iterations):
        done, learns = step / config.iterations, step >= config.alone
        tau = TAU_FIRST + (TAU_LAST - TAU_FIRST) * min(1, done / TAU_UNTIL)
        share = RANDOM_EPISODES if learns else 1
        dice = draw(world, maze.steps, config.episodes, config.hold, share)
        lived = live(controller, model, maze, *dice, tau)
        prices = config.credit, config.entropy * (1 - FADE * done)
        grads = gradients(controller, model, lived, tau, *prices, through)
        late = LATE_RATE if done >= LATE else 1
        adams[0].rate = config.controller_rate * late * (streak < IN_A_ROW)
        adams[1].rate = config.model_rate * late
        for grad, memory in zip(grads, memories, strict=True):
            grad["hidden"] *= memory
        adams[1].step(model, grads[1])
        if learns:
            adams[0].step(controller, grads[0])
        if (step + 1) % TEST_EVERY == 0 or step + 1 == config.iterations:
            scores = test(controller, model, maze, names, lived, history, step + 1)
            if config.stop:
                streak = np.where(streak < IN_A_ROW, (streak + 1) * (scores == 1), streak)
            if watch:
                state = {"score": history["score_main"][-1], "M_error": history["error_main"][-1]}
                nets = {"controller": controller, "model": model}
                watch(step + 1, config.iterations, **state, **nets)
    metrics = evaluate(controller, model, maze, names, config, tests, history)
    return Result(metrics, history, names, controller, model)


def test(controller, model, maze, names, lived, history, step):
    """Append to history the score of both walks, and M's flag error and the share of episodes that
    ended in the last batch."""
    scores = reached(walk(controller, model, maze, [1, -1])).mean(-1)
    errors, ends = flag_error(lived), lived.ended.any(0).mean(-1)
    if not np.isfinite(errors).all():
        raise FloatingPointError("M predicts no finite reward any more; try a smaller model_rate")
    history["step"].append(step)
    for k, name in enumerate(names):
        for what, values in (("score", scores), ("error", errors), ("ends", ends)):
            history.setdefault(f"{what}_{name}", []).append(float(values[k]))
    return scores


def evaluate(controller, model, maze, names, config, rng, history):
    """The metrics. flag_error: on fresh episodes whose motors are random, held and sharp, so that
    the flag tells nothing of the indicator; flag_error_mixed: on episodes as in training."""
    mixed = draw(rng, maze.steps, FRESH, config.hold, RANDOM_EPISODES)
    mixed_errors = flag_error(live(controller, model, maze, *mixed, TAU_LAST))
    wandering = draw(rng, maze.steps, FRESH, config.hold, 1.0)
    errors = flag_error(live(controller, model, maze, *wandering, SHARP))
    tested = walk(controller, model, maze, [1, -1])
    slipping = walk(controller, model, maze, rng.choice([-1, 1], 200), rng, 0.05)
    scores, noisy = (reached(lived).mean(-1) for lived in (tested, slipping))
    metrics = {
        "solved": bool(scores[0] == 1),
        "solved_after": solved_after(history, "main"),
        "steps": float(tested.alive[:, 0].sum(0).mean()),
        "score": float(scores[0]),
        "noisy_score": float(noisy[0]),
        "flag_error": float(errors[0]),
        "flag_error_mixed": float(mixed_errors[0]),
    }
    for name in list(CONDITIONS)[1:]:
        k = names.index(name) if name in names else None
        metrics[f"score_{name}"] = None if k is None else float(scores[k])
        metrics[f"flag_error_{name}"] = None if k is None else float(errors[k])
        metrics[f"solved_after_{name}"] = None if k is None else solved_after(history, name)
    return metrics


def solved_after(history, name):
    """Updates until the first of five tests in a row that are passed; None where there are none."""
    passed = np.array(history[f"score_{name}"]) == 1
    runs = np.convolve(passed, np.ones(IN_A_ROW), "valid") if len(passed) >= IN_A_ROW else [0]
    return history["step"][int(np.argmax(runs))] if max(runs) == IN_A_ROW else None


def gradient_check(
    config: Config = Config(length=2, episodes=6, controller_units=3, model_units=4),
) -> float:
    """Worst relative error of both gradients against central differences.

    C's is the gradient of a J in which o(t+1) is replaced by o(t+1) + o^(t+1) - its value at the
    present weights.
    """
    rng, maze, tau = np.random.default_rng(config.seed), build_maze(config.length), 0.7
    controller, model = (
        {name: w[None] for name, w in init_net(rng, *sizes, 0.5, 1).items()}
        for sizes in ((OBSERVED, config.controller_units, MOTORS), (M_ONE, config.model_units, 7))
    )
    indicator, noise, random = draw(rng, maze.steps, config.episodes, config.hold, RANDOM_EPISODES)
    lived = live(controller, model, maze, indicator, noise, random, tau)
    for name in ("rows", "model_rows", "sums", "motors", "out"):
        setattr(lived, name, getattr(lived, name).astype(float))
    seen, predicted = lived.rows[1:, ..., :OBSERVED].copy(), None

    def relive(shift):
        """All states anew, on the same moves; if shift, with o(t+1) + o^(t+1) - predicted."""
        for t in range(maze.steps):
            rows, model_rows = lived.rows, lived.model_rows
            if shift and t:
                moved = seen[t - 1] + lived.out[t - 1, ..., :OBSERVED] - predicted[t - 1]
                rows[t, ..., :OBSERVED] = model_rows[t, ..., :OBSERVED] = moved
            rows[t + 1, ..., C_ONE + 1 :] = np.tanh(rows[t] @ controller["hidden"])
            lived.sums[t] = rows[t + 1, ..., C_ONE:] @ controller["output"]
            obeyed = np.where(random[t][:, None], 0, lived.sums[t])
            lived.motors[t] = softmax((obeyed + noise[t]) / tau)
            model_rows[t, ..., OBSERVED:M_ONE] = lived.motors[t]
            model_rows[t + 1, ..., M_ONE + 1 :] = np.tanh(model_rows[t] @ model["hidden"])
            lived.out[t] = model_rows[t + 1, ..., M_ONE:] @ model["output"]

    def model_loss():
        relive(shift=False)
        ends = sigmoid(lived.out[..., END])
        loss = ((lived.out[..., :OBSERVED] - seen) ** 2).sum(-1)
        loss += 10 * (lived.out[..., REWARD] - lived.reward) ** 2
        loss -= np.log(np.where(lived.ended, ends, 1 - ends))
        return (loss * lived.alive).sum() / config.episodes

    def cost():
        relive(shift=True)
        p = softmax(lived.sums)
        J = GAMMA ** np.arange(maze.steps)[:, None, None] * lived.out[..., REWARD]
        J += saved(maze.steps, config.credit)[:, None, None] * sigmoid(lived.out[..., END])
        J -= config.entropy * (p * np.log(p)).sum(-1) * ~random[:, None]
        return -(J * lived.alive).sum() / config.episodes

    relive(shift=False)
    predicted = lived.out[..., :OBSERVED].copy()
    by_hand = gradients(controller, model, lived, tau, config.credit, config.entropy, [True])
    worst = worst_relative_error(model_loss, model, by_hand[1])
    return max(worst, worst_relative_error(cost, controller, by_hand[0]))


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
