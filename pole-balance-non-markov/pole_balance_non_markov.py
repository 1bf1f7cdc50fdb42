"""Pole balancing from positions alone: recurrent controller C, taught through recurrent model M.

Task      A cart on 4.8 m of track carries a pole. Seen are p = (x / 2.4 m, theta / 12 degrees),
          never a velocity. The action u in [-1, 1] pushes with 10 u newtons. Pain is 1 where |x| or
          |theta| has passed its limit, else 0. A trial ends at pain or at its cap.
Nets      Controller C:  c(t+1) = tanh([p(t), 1, c(t)] Wc),       u(t) = tanh([1, c(t+1)] Vc)
          Model M:       m(t+1) = tanh([p(t), u(t), 1, m(t)] Wm),
                         [d(t), q(t)] = [p(t), u(t), 1] Dm + m(t+1) Vm
          M says p(t+1) = p(t) + scale d(t), and pain at t+1 with probability sigmoid(q(t)).
Learning  M, from recorded trials: squared error of d, cross-entropy of the pain.
          C, in imagination: both nets read WARM steps of a recorded trial, which sets their states;
          then M reads its own predictions. E = sum over t of log(1 + exp q(t)), M's surprise if no
          pain came. dE/dWc and dE/dVc run back through both nets; only C changes.
          Rounds of: M learns, C learns, C goes to the real cart for some noisy trials.
Controls  As many controllers without memory (their c(t) is not read) learn in the same way; with
          model = true the equations of motion stand in the place of M.
Shapes    K controllers learn side by side from the same B stretches of trials: states (time, K, B,
          units), weights of C (K, from, to), of M (from, to).

    python3 pole_balance_non_markov.py --seed 0
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
    trials: int = option(400, "real trials of C, the 100 random ones included", 120, 10_000)
    model: str = option("learned", "what C is taught through", among=("learned", "true"))
    controllers: int = option(6, "controllers with memory, and as many without", 1, 30)
    controller_units: int = option(16, "hidden units of C", 1, 100)
    model_units: int = option(32, "hidden units of M", 1, 200)
    stretches: int = option(16, "imagined trajectories of each controller", 1, 200)
    horizon: int = option(75, "longest imagined trajectory [steps]; it grows from 25", 1, 300)
    reach: int = option(300, "imagined steps after which the gradient through M is cut", 1, 300)
    updates: int = option(25, "updates of C in a round", 1, 1000)
    controller_rate: float = option(0.01, "Adam's step size for C", 1e-6, 0.1)
    noise: float = option(0.1, "standard deviation of the noise on u in a round's trials", 0, 1)
    test_cap: int = option(10_000, "steps after which a test trial ends", 1000, 100_000)

    def __post_init__(self):
        check_options(self)
        if self.model == "true" and self.model_units != Config.model_units:
            raise ValueError(f"model_units must be {Config.model_units} where model is true, "
                             f"got {self.model_units}")  # fmt: skip


QUICK = {"model": "true", "trials": 160, "controllers": 2, "test_cap": 1000}


@dataclass
class Result:
    """metrics: see evaluate(); history: one entry a round; model: LearnedModel or TrueModel;
    rounds: each round's chosen pair, with and without memory, (2, from, to); kept: the pair tested.
    """

    metrics: dict
    history: dict
    model: object
    rounds: list
    kept: dict


# --- the task -------------------------------------------------------------------------------------

FORCE = 10.0  # [N]
RANDOM_TRIALS, ROUND_TRIALS, TEST_TRIALS = 100, 20, 30
TRIAL_CAP = 3000  # steps of a trial while learning
LONG = 1000  # steps of a trial that counts as balanced
AFTERMATH = 10  # steps that such a trial runs on after pain, so that M sees both sides of it

# idiom: cart_pole
CART, POLE, HALF = 1.0, 0.1, 0.5  # mass of the cart, mass of the pole [kg]; half its length [m]
GRAVITY, TICK = 9.8, 0.02  # [m/s2]; time of one step [s]
TRACK, FALL = 2.4, np.pi * 12 / 180  # failure: farther from the middle [m], more tilted [rad]


def cart_pole_rates(state, force, cart_friction=5e-4, hinge_friction=2e-6):
    """Rates of change (x', x'', theta', theta'') of states (..., 4) = (x, x', theta, theta').

    Units: m and rad, a second; theta is measured from the upright, positive to the right.
    force: (...) [N], on the cart. Barto, Sutton & Anderson (1983), appendix.
    """
    speed, angle, spin = state[..., 1], state[..., 2], state[..., 3]
    sin, cos, mass = np.sin(angle), np.cos(angle), CART + POLE
    push = force + POLE * HALF * spin**2 * sin - cart_friction * np.sign(speed)
    turn = GRAVITY * sin - cos * push / mass - hinge_friction * spin / (POLE * HALF)
    turn = turn / (HALF * (4 / 3 - POLE * cos**2 / mass))
    return np.stack([speed, (push - POLE * HALF * turn * cos) / mass, spin, turn], -1)


def cart_pole_step(state, force):
    """The states (..., 4) one TICK later, by Euler's rule: positions move with the old speeds."""
    return state + TICK * cart_pole_rates(state, force)


def cart_pole_failed(state):
    """Whether states (..., 4) are off the track or fallen: (...)."""
    return (np.abs(state[..., 0]) > TRACK) | (np.abs(state[..., 2]) > FALL)


# end idiom


LIMITS = np.array([TRACK, FALL])


def seen(states):
    """p, the scaled positions (..., 2) of states (..., 4): all that a net is shown."""
    return states[..., ::2] / LIMITS


def draw_starts(rng, count):
    """States (count, 4) in which trials begin."""
    return rng.uniform(-0.05, 0.05, (count, 4))


def make_trials(policy, states, cap, aftermath=0):
    """Real trials from states (..., 4), all at once; policy(p) maps p (..., 2) to u (...).

    Returns states (steps + 1, ..., 4), actions (steps, ...) and lengths (...): steps until pain, at
    most cap. A trial runs on for `aftermath` steps after pain, then it stands still.
    """
    history, actions, lengths = [states], [], np.full(states.shape[:-1], cap)
    for step in range(cap + aftermath):
        running = step < np.where(lengths < cap, lengths + aftermath, cap)
        if not running.any():
            break
        actions.append(np.clip(policy(seen(states)), -1, 1))
        later = cart_pole_step(states, FORCE * actions[-1])
        states = np.where(running[..., None], later, states)
        history.append(states)
        lengths = np.where(cart_pole_failed(states), np.minimum(lengths, step + 1), lengths)
    return np.array(history), np.array(actions), lengths


class RandomPolicy:
    """A new uniform action with probability 0.5 a step, else the last one."""

    def __init__(self, rng, count):
        self.rng, self.u = rng, rng.uniform(-1, 1, count)

    def __call__(self, p):
        fresh = self.rng.random(self.u.shape) < 0.5
        self.u = np.where(fresh, self.rng.uniform(-1, 1, self.u.shape), self.u)
        return self.u


class Log:
    """All recorded trials end to end: states (rows, 4), actions (rows,), first and last rows."""

    def __init__(self):
        self.states, self.actions = np.empty((0, 4)), np.empty(0)
        self.first, self.last = np.empty(0, int), np.empty(0, int)
        self.warm = []  # of each trial: the rows where an imagination may begin

    def add(self, states, actions, lengths):
        """Append trials as make_trials returns them, states (steps + 1, trials, 4)."""
        for trial, length in enumerate(lengths):
            rows, start = min(length + AFTERMATH, len(actions)) + 1, len(self.states)
            self.first = np.append(self.first, start)
            self.last = np.append(self.last, start + rows - 1)
            self.states = np.concatenate([self.states, states[:rows, trial]])
            self.actions = np.concatenate([self.actions, actions[: rows - 1, trial], [0.0]])
            inside = np.abs(seen(states[WARM:length, trial])).max(-1) < WARM_LIMIT
            if inside.any():
                self.warm.append(start + WARM + np.flatnonzero(inside))

    def draw(self, rng, count, steps):
        """Rows (steps + 1, count) of stretches of random trials, and which of their steps lie
        inside the trial (steps, count)."""
        trial = rng.integers(len(self.first), size=count)
        first, last = self.first[trial], self.last[trial]
        start = first + (rng.random(count) * np.maximum(1, last - first - steps + 1)).astype(int)
        rows = start + np.arange(steps + 1)[:, None]
        return np.minimum(rows, last), rows[:-1] < last

    def draw_warm(self, rng, count):
        """Rows (WARM + 1, count) of stretches that end well inside the limits."""
        picks = [self.warm[i] for i in rng.integers(len(self.warm), size=count)]
        return np.array([rng.choice(rows) for rows in picks]) + np.arange(-WARM, 1)[:, None]


# --- the idea in plain form -----------------------------------------------------------------------

WARM = 15  # recorded steps that set both nets' states
WARM_LIMIT = 0.8  # an imagination begins with |p| below this ...
LOST, LOST_COST = 1.15, 3.0  # ... and is lost beyond that; a lost step costs this much


def imagine_one(controller, model, scale, positions, actions, horizon):
    """E of one controller from one recorded stretch, p (WARM + 1, 2) and u (WARM,)."""
    c, m = np.zeros(len(controller["state"]) - C_INPUTS), np.zeros(len(model["state"]) - M_INPUTS)
    cost, p = 0.0, positions[0]
    for t in range(WARM + horizon):
        if t >= WARM and np.abs(p).max() > LOST:
            return cost + LOST_COST * (WARM + horizon - t)
        c = np.tanh(np.concatenate([p, [1], c]) @ controller["state"])
        u = actions[t] if t < WARM else np.tanh(np.concatenate([[1], c]) @ controller["output"])[0]
        inputs = np.array([*p, u, 1])
        m = np.tanh(np.concatenate([inputs, m]) @ model["state"])
        *d, q = inputs @ model["direct"] + m @ model["output"]
        p = positions[t + 1] if t < WARM else p + scale * d
        cost += 0 if t < WARM else np.log1p(np.exp(q))
    return cost


# --- controllers and model, many at once ----------------------------------------------------------

P, ONE, C_INPUTS = slice(0, 2), 2, 3  # columns that C reads: p, 1, then its states c
U, M_INPUTS = 2, 4  # columns that M reads: p, u, 1, then its states m


def sigmoid(q):
    return 0.5 + 0.5 * np.tanh(0.5 * q)


def recurrent_weights(rng, inputs, units):
    """(inputs + units, units): inputs N(0, 1), then half an orthogonal matrix."""
    turn = np.linalg.qr(rng.normal(size=(units, units)))[0]
    return np.concatenate([rng.normal(size=(inputs, units)), 0.5 * turn]).astype(np.float32)


def blank_rows(steps, controllers, stretches):
    """C's rows [p, 1, c] for steps and the one after, zero but for the 1."""
    weights = controllers["state"]
    z = np.zeros((steps + 1, len(weights), stretches, weights.shape[1]), weights.dtype)
    z[..., ONE] = 1
    return z


def act(controllers, now, after):
    """u (K, B) of controllers that read the rows `now`; their states go into the rows after."""
    np.tanh(now @ controllers["state"], out=after[..., C_INPUTS:])
    return np.tanh((after[..., ONE:] @ controllers["output"])[..., 0])


class Acting:
    """K controllers as a policy over p (K, trials, 2), from fresh states."""

    def __init__(self, controllers, trials, noise=0.0, rng=None):
        self.controllers, self.noise, self.rng = controllers, noise, rng
        self.now, self.after = blank_rows(1, controllers, trials)

    def __call__(self, p):
        self.now[..., P] = p
        u = act(self.controllers, self.now, self.after)
        self.now, self.after = self.after, self.now
        return u + self.noise * self.rng.normal(size=u.shape) if self.noise else u


def model_forward(net, z):
    """Fill in the states of M's rows z (steps + 1, B, 4 + units); returns [d, q] (steps, B, 3)."""
    for t in range(len(z) - 1):
        np.tanh(z[t] @ net["state"], out=z[t + 1, :, M_INPUTS:])
    return z[:-1, :, :M_INPUTS] @ net["direct"] + z[1:, :, M_INPUTS:] @ net["output"]


def model_loss(out, change, pain, inside):
    """Mean over the steps inside of |d - change|^2 + cross-entropy(q, pain), where painful steps,
    being rare, count PAIN_WEIGHT times; and its derivative by out = [d, q]."""
    share = inside / inside.sum()
    heavy = share * np.where(pain > 0, PAIN_WEIGHT, 1).astype(share.dtype)
    error, q = out[..., :2] - change, out[..., 2]
    loss = (share * (error**2).sum(-1)).sum() + (heavy * (np.logaddexp(0, q) - pain * q)).sum()
    d_q = heavy * (sigmoid(q) - pain)
    return loss, np.concatenate([2 * share[..., None] * error, d_q[..., None]], -1)


def model_backward(net, z, d_out):
    """Gradient by M's weights of a loss whose derivative by [d, q] is d_out.

    With s the sum inside the tanh: ds(t) = (d_out(t) Vm' + ds(t+1) Wm') (1 - m(t+1)^2).
    """
    slope = 1 - z[1:, :, M_INPUTS:] ** 2
    d_sums = (d_out @ net["output"].T) * slope
    for t in range(len(d_sums) - 2, -1, -1):
        d_sums[t] += (d_sums[t + 1] @ net["state"][M_INPUTS:].T) * slope[t]
    read, states, d_sums, d_out = (
        x.reshape(-1, x.shape[-1]) for x in (z[:-1], z[1:, :, M_INPUTS:], d_sums, d_out)
    )
    direct = read[:, :M_INPUTS].T @ d_out
    return {"state": read.T @ d_sums, "direct": direct, "output": states.T @ d_out}


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


PAIN_WEIGHT = 5.0
MODEL_BATCH = 64  # stretches in an update of M
FIRST, LATER = (600, 25, 0.03), (300, 40, 0.009)  # updates, steps, rate: before round 1, in rounds
COOLED = 0.1  # part of the rate that is left after these updates


class LearnedModel:
    """M, and its memory of one imagination. scale: the deviation of p's change in a step."""

    def __init__(self, rng, units, log):
        output = rng.normal(0, 0.1, (units, 3)).astype(np.float32)
        self.net = {"state": recurrent_weights(rng, M_INPUTS, units), "output": output}
        self.net["direct"] = np.zeros((M_INPUTS, 3), np.float32)
        self.adam = Adam(self.net, 0.0, limit=1.0)
        p = seen(log.states)
        self.scale = np.delete(np.diff(p, axis=0), log.last[:-1], 0).std(0).astype(np.float32)
        self.learn(log, rng, FIRST)

    def learn(self, log, rng, plan=LATER):
        """Updates at a sinking rate: the noise of the last ones is what C would exploit."""
        updates, steps, rate = plan
        for part in np.linspace(1, COOLED, updates):
            self.adam.rate = rate * float(part)
            rows, inside = log.draw(rng, MODEL_BATCH, steps)
            z, change, pain = self.read(log, rows)
            out = model_forward(self.net, z)
            d_out = model_loss(out, change, pain, inside.astype(z.dtype))[1]
            self.adam.step(self.net, model_backward(self.net, z, d_out))

    def read(self, log, rows):
        """M's rows z (steps + 1, B, 4 + units) without states, and the scaled changes and the pain
        that follow, for rows (steps + 1, B) of the log."""
        z = np.zeros((*rows.shape, len(self.net["state"])), self.net["state"].dtype)
        z[..., P], z[..., U], z[..., U + 1] = seen(log.states[rows]), log.actions[rows], 1
        change = (z[1:, :, P] - z[:-1, :, P]) / self.scale
        return z, change, cart_pole_failed(log.states[rows[1:]]).astype(z.dtype)

    def begin(self, log, rows, controllers, horizon):
        """Read recorded stretches, then be ready to imagine for every controller."""
        z = self.read(log, rows)[0]
        model_forward(self.net, z)
        self.z = np.empty((horizon + 1, controllers, *z.shape[1:]), z.dtype)
        self.z[:, ..., U + 1] = 1
        self.z[0] = z[-1]
        self.q = np.empty(self.z.shape[:3], z.dtype)
        self.d_p, self.d_m = 0.0, 0.0  # the derivatives by p(t+1) and m(t+1) in backward

    def forward(self, t, u, alive):
        """An imagined step on actions u (K, B): the next p, which stands still where not alive, and
        the step's cost."""
        now, after = self.z[t], self.z[t + 1]
        now[..., U] = u
        np.tanh(now @ self.net["state"], out=after[..., M_INPUTS:])
        out = now[..., :M_INPUTS] @ self.net["direct"] + after[..., M_INPUTS:] @ self.net["output"]
        after[..., P] = now[..., P] + alive[..., None] * self.scale * out[..., :2]
        self.q[t] = out[..., 2]
        return after[..., P], np.logaddexp(0, out[..., 2])

    def backward(self, t, d_p, d_cost, cut):
        """dE/du(t), given dE/dp(t+1) as far as C read it, and dE/d(cost of step t).

        With D = dE/d[d, q] = [scale dp, sigmoid(q) dcost] and s the sum inside the tanh:
        ds = (D Vm' + dm(t+1)) (1 - m(t+1)^2);  d[p, u, 1, m](t) = ds Wm' + [D Dm' + dp, 0].
        """
        d_p, d_m = (0.0, 0.0) if cut else (d_p + self.d_p, self.d_m)
        d_out = np.empty((*d_cost.shape, 3), self.z.dtype)
        d_out[..., :2] = self.scale * d_p
        d_out[..., 2] = sigmoid(self.q[t]) * d_cost
        m = self.z[t + 1, ..., M_INPUTS:]
        d_row = ((d_out @ self.net["output"].T + d_m) * (1 - m * m)) @ self.net["state"].T
        d_row[..., :M_INPUTS] += d_out @ self.net["direct"].T
        self.d_p, self.d_m = d_p + d_row[..., P], d_row[..., M_INPUTS:]
        return d_row[..., U]


# --- the equations of motion in the place of M ----------------------------------------------------

PAIN_WIDTH = 0.15  # of the true model's cost, which rises between 1 - 0.15 and 1 + 0.15 of a limit


def cart_pole_back(state, force, later, hinge_friction=2e-6):
    """dE/dstate (..., 4) and dE/dforce (...), given later = dE/d(the state a TICK later), (..., 4).

    turn = N / D with N = g sin - cos push / M - friction, so dturn = (dN - turn dD) / D; and
    gain = x'' = (push - m l turn cos) / M, so dgain = (dpush - m l d(turn cos)) / M.
    """
    angle, spin, arm, mass = state[..., 2], state[..., 3], POLE * HALF, CART + POLE
    _, gain, _, turn = np.moveaxis(cart_pole_rates(state, force), -1, 0)
    sin, cos = np.sin(angle), np.cos(angle)
    divisor = HALF * (4 / 3 - POLE * cos**2 / mass)
    push = mass * gain + arm * turn * cos
    push_angle, push_spin = arm * spin**2 * cos, 2 * arm * spin * sin
    turn_angle = GRAVITY * cos + (sin * push - cos * push_angle - 2 * arm * cos * sin * turn) / mass
    turn_angle, turn_force = turn_angle / divisor, -cos / mass / divisor
    turn_spin = (-cos * push_spin / mass - hinge_friction / arm) / divisor
    gain_angle = (push_angle - arm * (turn_angle * cos - turn * sin)) / mass
    gain_spin, gain_force = (push_spin - arm * turn_spin * cos) / mass, 1 - arm * turn_force * cos
    x, speed, theta, omega = np.moveaxis(later, -1, 0)
    d_angle = theta + TICK * (gain_angle * speed + turn_angle * omega)
    d_spin = omega + TICK * (theta + gain_spin * speed + turn_spin * omega)
    d_force = TICK * (gain_force / mass * speed + turn_force * omega)
    return np.stack([x, speed + TICK * x, d_angle, d_spin], -1), d_force


class TrueModel:
    """The perfect model, with the methods of M; its cost rises smoothly across the limits."""

    def learn(self, log, rng):
        """Nothing: these equations are right."""

    def begin(self, log, rows, controllers, horizon):
        self.states = np.empty((horizon + 1, controllers, rows.shape[1], 4))
        self.states[0] = log.states[rows[-1]]
        self.u = np.empty(self.states.shape[:3])
        self.d_state = 0.0

    def forward(self, t, u, alive):
        self.u[t] = u
        later = cart_pole_step(self.states[t], FORCE * u)
        self.states[t + 1] = np.where(alive[..., None], later, self.states[t])
        p = np.abs(seen(later))
        sides = np.logaddexp(0, (p - 1) / PAIN_WIDTH) + np.logaddexp(0, (-p - 1) / PAIN_WIDTH)
        return seen(self.states[t + 1]), sides.sum(-1)

    def backward(self, t, d_p, d_cost, cut):
        """dcost/dp = (sigmoid((p - 1) / w) - sigmoid((-p - 1) / w)) / w, w = PAIN_WIDTH."""
        d_p, d_state = (0.0, 0.0) if cut else (d_p, self.d_state)
        p = seen(self.states[t + 1])
        slope = sigmoid((p - 1) / PAIN_WIDTH) - sigmoid((-p - 1) / PAIN_WIDTH)
        d_later = np.zeros_like(self.states[t]) + d_state
        d_later[..., ::2] += (d_p + d_cost[..., None] * slope / PAIN_WIDTH) / LIMITS
        self.d_state, d_force = cart_pole_back(self.states[t], FORCE * self.u[t], d_later)
        return FORCE * d_force


# --- C learns in imagination ----------------------------------------------------------------------


def imagine(controllers, model, log, rows, horizon):
    """Imagined trajectories of K controllers from the same recorded stretches, rows (WARM + 1, B).

    Returns C's rows z (WARM + horizon + 1, K, B, 3 + units), u (WARM + horizon, K, B), cost and
    alive (horizon, K, B). A step that begins beyond LOST is not alive and costs LOST_COST.
    """
    z = blank_rows(WARM + horizon, controllers, rows.shape[1])
    z[: WARM + 1, ..., P] = seen(log.states[rows])[:, None]
    model.begin(log, rows, z.shape[1], horizon)
    u = np.zeros(z.shape[:-1], z.dtype)[1:]
    cost, alive = np.zeros((horizon, *u.shape[1:])), np.zeros((horizon, *u.shape[1:]), bool)
    for t in range(len(u)):
        u[t] = act(controllers, z[t], z[t + 1])
        if t >= WARM:
            step = t - WARM
            alive[step] = np.abs(z[t, ..., P]).max(-1) <= LOST
            z[t + 1, ..., P], cost[step] = model.forward(step, u[t], alive[step])
    return z, u, np.where(alive, cost, LOST_COST), alive


def controller_gradient(controllers, model, z, u, d_cost, reach):
    """Gradient by C's weights, given dE/dcost (horizon, K, B) of imagine().

    With r the sum inside u's tanh and s that inside c's, for each controller:
    dr(t) = du(t) (1 - u(t)^2);  ds(t) = (dr(t) Vc' + dc(t+1)) (1 - c(t+1)^2);
    d[p, 1, c](t) = ds(t) Wc';  the model turns dp(t+1) into du(t). At the end of every `reach`
    steps it takes what comes from later steps for 0.
    """
    back, out_back = controllers["state"].swapaxes(1, 2), controllers["output"][:, None, 1:, 0]
    d_sums, d_out = np.zeros(z[1:, ..., C_INPUTS:].shape, z.dtype), np.zeros(u.shape, z.dtype)
    d_p, d_c = 0.0, 0.0
    for t in range(len(u) - 1, -1, -1):
        if t >= WARM:
            step = t - WARM
            d_u = model.backward(step, d_p, d_cost[step], cut=(step + 1) % reach == 0)
            d_out[t] = d_u * (1 - u[t] ** 2)
        d_sums[t] = (d_out[t, ..., None] * out_back + d_c) * (1 - z[t + 1, ..., C_INPUTS:] ** 2)
        d_row = d_sums[t] @ back
        d_p, d_c = d_row[..., P], d_row[..., C_INPUTS:]
    rows, states, d_sums, d_out = (  # (time, K, B, units) -> (K, time B, units)
        x.swapaxes(0, 1).reshape(len(back), -1, x.shape[3])
        for x in (z[:-1], z[1:, ..., ONE:], d_sums, d_out[..., None])
    )
    return {"state": rows.swapaxes(1, 2) @ d_sums, "output": states.swapaxes(1, 2) @ d_out}


# --- run and evaluate -----------------------------------------------------------------------------

FIRST_HORIZON = 25  # of round 1; every later round looks as much farther
CLIP = 0.1  # longest gradient of one controller
COMPARED = 64  # stretches on which controllers are compared


class Learner:
    """The controllers (with memory first), the model, and the log of real trials."""

    def __init__(self, config):
        self.config = config
        nets, self.plant, self.draws, self.tests = np.random.default_rng(config.seed).spawn(4)
        count, units = config.controllers, config.controller_units
        states = [recurrent_weights(nets, C_INPUTS, units) for _ in range(2 * count)]
        output = nets.normal(0, 0.5 / np.sqrt(units), (2 * count, 1 + units, 1))
        self.mask = np.ones((2 * count, C_INPUTS + units, 1), np.float32)
        self.mask[count:, C_INPUTS:] = 0  # these do not read their own state
        self.controllers = {"state": states * self.mask, "output": output.astype(np.float32)}
        self.adam = Adam(self.controllers, config.controller_rate, limit=CLIP, stacked=True)
        policy = RandomPolicy(self.plant, RANDOM_TRIALS)
        starts = draw_starts(self.plant, RANDOM_TRIALS)
        trials = make_trials(policy, starts, TRIAL_CAP, AFTERMATH)
        self.log, self.lengths = Log(), trials[2]  # the lengths of C's real trials so far
        self.log.add(*trials)
        learned = config.model == "learned"
        self.model = LearnedModel(nets, config.model_units, self.log) if learned else TrueModel()

    def improve(self, horizon):
        """One update of every controller, on new stretches."""
        rows = self.log.draw_warm(self.draws, self.config.stretches)
        z, u, _, alive = imagine(self.controllers, self.model, self.log, rows, horizon)
        d_cost = alive.astype(z.dtype) / rows.shape[1]
        grads = controller_gradient(self.controllers, self.model, z, u, d_cost, self.config.reach)
        grads["state"] *= self.mask
        self.adam.step(self.controllers, grads)

    def choose(self):
        """The pair (with memory, without) that costs least in imagination: weights (2, from, to),
        and its costs a step."""
        rows = self.log.draw_warm(self.draws, COMPARED)
        cost = imagine(self.controllers, self.model, self.log, rows, self.config.horizon)[2]
        cost = cost.mean((0, 2)).reshape(2, -1)
        best = cost.argmin(1) + [0, cost.shape[1]]
        return {name: w[best] for name, w in self.controllers.items()}, cost.min(1)

    def try_out(self, pair, count):
        """Noisy real trials; those with memory go into the log. Returns lengths (2, count) and how
        far from the middle p is on average (2,)."""
        starts = np.repeat(draw_starts(self.plant, count)[None], 2, 0)
        policy = Acting(pair, count, self.config.noise, self.plant)
        states, actions, lengths = make_trials(policy, starts, TRIAL_CAP, AFTERMATH)
        self.lengths = np.append(self.lengths, lengths[0])
        self.log.add(states[:, 0], actions[:, 0], lengths[0])
        return lengths, np.abs(seen(states)).max(-1).mean((0, 2))


def run(config: Config = Config(), watch=None) -> Result:
    """Rounds of learning and real trials; the best controllers of all rounds are tested."""
    learner, history, rounds = Learner(config), {}, []
    kept, best = None, [(0.0, 0.0), (0.0, 0.0)]
    while len(learner.lengths) < config.trials:
        learner.model.learn(learner.log, learner.draws)
        for _ in range(config.updates):
            learner.improve(min(config.horizon, FIRST_HORIZON * (len(rounds) + 1)))
        pair, costs = learner.choose()
        count = min(ROUND_TRIALS, config.trials - len(learner.lengths))
        lengths, swing = learner.try_out(pair, count)
        kept = kept or {name: w.copy() for name, w in pair.items()}
        for half, score in enumerate(zip(lengths.mean(1), -swing, strict=True)):
            if score > best[half]:  # longer real trials or, as long, with smaller swings
                best[half] = score
                for name, w in pair.items():
                    kept[name][half] = w[half]
        rounds.append(pair)
        done = len(learner.lengths)
        state = {"length": lengths[0].mean(), "swing": swing[0], "cost": costs[0]}
        state |= {"memoryless_length": lengths[1].mean(), "memoryless_cost": costs[1]}
        for name, value in {"trials": done, **state}.items():
            history.setdefault(name, []).append(float(value))
        if watch:
            watch(done, config.trials, **state, pair=pair, model=learner.model)
    return Result(evaluate(learner, kept), history, learner.model, rounds, kept)


def evaluate(learner, kept):
    """The metrics, of tests without noise; memoryless_ for the controller without memory."""
    long = np.flatnonzero(learner.lengths >= LONG)
    starts = draw_starts(learner.tests, TEST_TRIALS)
    tests = make_trials(
        Acting(kept, TEST_TRIALS), np.stack([starts, starts]), learner.config.test_cap
    )[2]
    ratios = settling(kept, learner.tests)
    metrics = {
        "trials": len(learner.lengths),
        "random_length": float(learner.lengths[:RANDOM_TRIALS].mean()),
        "reached_1000": len(long) > 0,
        "trials_to_1000": int(long[0]) + 1 if len(long) else None,
    }
    for prefix, lengths, ratio in zip(("", "memoryless_"), tests, ratios, strict=True):
        metrics |= {
            f"{prefix}test_1000": float((lengths >= LONG).mean()),
            f"{prefix}all_1000": bool((lengths >= LONG).all()),
            f"{prefix}best_3000": bool((lengths >= 3000).any()),
            f"{prefix}median": float(np.median(lengths)),
            f"{prefix}best": int(lengths.max()),
            f"{prefix}settling": float(ratio),
        }
    return metrics


def settling(pair, rng):
    """(2,): how much of a swing is left. Trials begin at rest, tilted by 0.1 rad, up to 0.8 m off
    the middle: deviation of theta in steps 401-500 over that in steps 1-100, 1 for a failure; mean.
    """
    starts = np.zeros((2, TEST_TRIALS, 4))
    starts[..., 0] = rng.uniform(-0.8, 0.8, TEST_TRIALS)
    starts[..., 2] = rng.choice([-0.1, 0.1], TEST_TRIALS)
    states, _, lengths = make_trials(Acting(pair, TEST_TRIALS), starts, 500)
    angle = states[..., 2]
    ratio = angle[401:].std(0) / angle[1:101].std(0) if len(angle) > 500 else 1.0
    return np.where(lengths < 500, 1.0, ratio).mean(1)


SMALL = Config(trials=120, controllers=2, controller_units=3, model_units=4, stretches=3)


def gradient_check(config: Config = SMALL) -> float:
    """Worst relative error against central differences of M's gradient, of C's gradient through M,
    and of C's through the true equations; in double precision."""
    learner = Learner(config)
    log, model, controllers = learner.log, learner.model, learner.controllers
    for net in (model.net, controllers):
        net.update({name: w.astype(float) for name, w in net.items()})
    rows, inside = log.draw(learner.draws, 3, 8)
    z, change, pain = model.read(log, rows)

    def surprise():
        return model_loss(model_forward(model.net, z), change, pain, inside.astype(float))

    worst = [
        worst_relative_error(
            lambda: surprise()[0], model.net, model_backward(model.net, z, surprise()[1])
        )
    ]
    rows, horizon = log.draw_warm(learner.draws, 3), 12
    for teacher in (model, TrueModel()):
        z, u, _, alive = imagine(controllers, teacher, log, rows, horizon)
        grads = controller_gradient(controllers, teacher, z, u, alive.astype(float), horizon)
        grads["state"] *= learner.mask

        def pain_ahead(teacher=teacher):
            masked = {**controllers, "state": controllers["state"] * learner.mask}
            return imagine(masked, teacher, log, rows, horizon)[2].sum()

        worst.append(worst_relative_error(pain_ahead, controllers, grads))
    return max(worst)


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
