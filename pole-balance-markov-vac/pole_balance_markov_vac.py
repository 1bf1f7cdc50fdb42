"""Pole balancing by a critic that predicts four kinds of pain, and an actor that learns through it.

Task      A cart on 4.8 m of track carries a pole; every 0.02 s it is pushed with 10 N, to the left
          (a = 0) or to the right (a = 1). Seen are x, x', theta, theta', scaled, and a constant 1:
          z. A trial starts at rest and ends at one of four pains: 1, 2 the left or right end of
          the track, 3, 4 the pole 12 degrees to the left or right. Nothing else is ever told.
Nets      Critic: h = tanh([z, a] W), Q_k(z, a) = sigm([z, a, h] V)_k, one output k for each pain.
          Actor:  g = tanh(z B), y(z) = sigm([z, g] C), the probability of a = 1.
Learning  Q_k(z, a) estimates E[gamma^(d-1)] where pain k comes after d steps, 0 if it never does:
            delta_k = pain_k + gamma Q_k(z', a') - Q_k(z, a)         (without Q' after a failure)
            e_k    <- gamma lambda e_k + dQ_k(z, a)/d(W, V)          (cleared at a failure)
            (W, V) <- (W, V) + rate sum_k delta_k e_k
          The actor goes down the gradient of the pain that the critic expects of it, y Q(z, 1) +
          (1 - y) Q(z, 0): with D(z) = sum_k [Q_k(z, 1) - Q_k(z, 0)], divided by its own RMS,
            (B, C) <- (B, C) - rate D(z) dy(z)/d(B, C)
          It is frozen for the first failures. Its net input is kept within a bound that grows with
          the mean length of its trials: who fails soon must go on trying both pushes.
Controls  One output for any pain (scalar); each critic also without hidden units h (flat).
Shapes    n nets side by side: states (n, 4), W (n, 6, units), V (n, 6 + units, 4), B (n, 5, units),
          C (n, 5 + units), Q (n, pairs of z and a, 4).

    python3 pole_balance_markov_vac.py --seed 0
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
    nets: int = option(10, "nets of each condition", 1, 200)
    conditions: str = option("all", "critics (contrast: two)", among=("all", "vector", "contrast"))
    inputs: str = option("symmetric", "scale: -1..1 or 0..1", among=("symmetric", "asymmetric"))
    steps: int = option(300_000, "steps after which the run ends", 100, 10_000_000)
    failures: int = option(750, "failures after which a net is given up", 1, 100_000)
    caution: float = option(60, "mean life [steps] that lets y's net input go 1 farther", 1, 10_000)
    units: int = option(10, "hidden units of critic and actor", 1, 100)
    frozen: int = option(65, "failures before the actors of vector critics learn", 0, 10_000)
    critic_rate: float = option(1.2, "learning rate of the vector critics", 0, 20)
    actor_rate: float = option(0.4, "learning rate of their actors", 0, 20)
    trace: float = option(0.65, "lambda, decay of the eligibility, of the vector critics", 0, 1)
    scalar_frozen: int = option(100, "the same, of scalar critics", 0, 10_000)
    scalar_critic_rate: float = option(1.4, "learning rate of the scalar critics", 0, 20)
    scalar_actor_rate: float = option(0.8, "learning rate of their actors", 0, 20)
    scalar_trace: float = option(0.3, "lambda of the scalar critics", 0, 1)

    def __post_init__(self):
        check_options(self)


QUICK = {"conditions": "contrast", "nets": 6, "steps": 5000}


@dataclass
class Result:
    """What evaluate() and run() return; lists and arrays hold the nets, condition by condition."""

    metrics: dict
    history: dict  # one entry a net
    lives: list  # of each net, the lengths of its trials [steps] that ended in failure
    kinds: list  # of each net, which pain ended them
    weights: dict  # at the end of each net's learning


# --- the task -------------------------------------------------------------------------------------

FORCE = 10.0  # [N]
BALANCED = 30_000  # steps; a net that lasts longer has solved the task

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

UNIT = np.array([TRACK, 1.5, FALL, 2.0])  # of x, x', theta, theta'
START = np.zeros(4)


def seen(states, inputs="symmetric"):
    """z (..., 5): the states (..., 4), scaled, and a constant 1."""
    z = np.ones((*states.shape[:-1], 5))
    np.divide(states, UNIT, out=z[..., :4])
    if inputs == "asymmetric":
        z[..., :4] = (z[..., :4] + 1) / 2
    return z


def pains(states):
    """Which of the four pains states (..., 4) bring: (..., 4) booleans."""
    x, angle = states[..., 0], states[..., 2]
    return np.stack([x < -TRACK, x > TRACK, angle < -FALL, angle > FALL], -1)


# --- the idea in plain form -----------------------------------------------------------------------

GAMMAS, LONG_LIFE = (0.97, 0.998), 200  # gamma; the second once the mean life has passed LONG_LIFE
LIFE_RATE, SQUARE_RATE, TINY = 0.1, 0.0003, 1e-30  # of the means of life and of D^2; added to D^2
HELD, BOUND = 0.5, 16.0  # how far the actor's net input may go, while trials are short and long
LARGE, SMALL = 1.0, 0.1  # weights begin uniform in -LARGE..LARGE (W) or -SMALL..SMALL
PULL = 0.1  # rate with which a net input beyond its bound is drawn back


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def balance_one(weights, coins, config):
    """One net with a vector critic for len(coins) steps, coins uniform in 0..1; weights are changed
    in place. Returns the lengths of its trials."""
    w, v, b, c = weights["W"], weights["V"], weights["B"], weights["C"]
    state, action, age, lives = START, False, 0, []
    trace_w, trace_v = np.zeros((4, *w.shape)), np.zeros((4, len(v)))
    gamma, life, square = GAMMAS[0], 0.0, 0.0

    def critic(z, a):
        x = np.append(z, a)
        h = np.tanh(x @ w)
        return x, h, sigmoid(np.concatenate([x, h]) @ v)

    for coin in coins:
        z = seen(state, config.inputs)
        moved = cart_pole_step(state, FORCE if action else -FORCE)
        pain, age = pains(moved[None])[0], age + 1
        failed = pain.any()
        state = START if failed else moved
        z_next = seen(state, config.inputs)
        left, right = (critic(z_next, a)[2] for a in (0, 1))
        g = np.tanh(z_next @ b)
        net = np.concatenate([z_next, g]) @ c
        y = sigmoid(net)
        action_next = coin < y
        x, h, q = critic(z, action)
        delta = pain + (0 if failed else gamma) * (right if action_next else left) - q
        for k in range(4):  # dQ_k/dV_k = Q_k (1 - Q_k) [x, h];  dQ_k/dW = ... V_hk (1 - h^2) x
            slope = q[k] * (1 - q[k])
            trace_v[k] = gamma * config.trace * trace_v[k] + slope * np.concatenate([x, h])
            d_h = slope * v[6:, k] * (1 - h**2)
            trace_w[k] = gamma * config.trace * trace_w[k] + np.outer(x, d_h)
            v[:, k] += config.critic_rate * delta[k] * trace_v[k]
            w += config.critic_rate * delta[k] * trace_w[k]
        effect = (right - left).sum()  # D
        square += SQUARE_RATE * (effect**2 - square)
        push = -config.actor_rate * effect / np.sqrt(square + TINY) * y * (1 - y)
        bound = np.clip(life / config.caution, HELD, BOUND)
        if abs(net) > bound:
            push = PULL * (np.clip(net, -bound, bound) - net)
        if len(lives) >= config.frozen:
            d_g = push * c[5:] * (1 - g**2)
            c += push * np.concatenate([z_next, g])
            b += np.outer(z_next, d_g)
        action = action_next
        if failed:
            lives.append(age)
            life += LIFE_RATE * (age - life)
            gamma = GAMMAS[1] if life > LONG_LIFE else gamma
            age, trace_w, trace_v = 0, 0 * trace_w, 0 * trace_v
    return lives


# --- the nets, many at once -----------------------------------------------------------------------

CONDITIONS = {  # components of the critic, and whether it has hidden units
    "vector": (4, True),
    "scalar": (1, True),
    "flat_vector": (4, False),
    "flat_scalar": (1, False),
}


def critic_forward(weights, hidden, x):
    """[x, h] (n, pairs, 6 + units) and Q (n, pairs, 4) of rows x = [z, a] (n, pairs, 6)."""
    h = np.tanh(x @ weights["W"]) * hidden[:, None, None]
    features = np.concatenate([x, h], -1)
    return features, sigmoid(features @ weights["V"])


def actor_forward(weights, z):
    """[z, g] (n, 5 + units) and the net input of y (n,)."""
    g = np.tanh((z[:, None] @ weights["B"])[:, 0])
    features = np.concatenate([z, g], -1)
    return features, (features * weights["C"]).sum(-1)


def critic_gradient(weights, features, q):
    """dQ_k/dW (n, 4, 6, units) and dQ_k/dV_k (n, 4, 6 + units) for one pair a net. With
    s_k = Q_k (1 - Q_k):  dQ_k/dV_k = s_k [x, h],  dQ_k/dW = x' (s_k V_hk (1 - h^2))."""
    x, h, slope = features[:, :6], features[:, 6:], (q * (1 - q))[:, :, None]
    d_h = slope * weights["V"][:, 6:].swapaxes(1, 2) * (1 - h**2)[:, None]
    return x[:, None, :, None] * d_h[:, :, None], slope * features[:, None]


def actor_gradient(weights, features, d_net):
    """Gradient by B and C, given that by y's net input (n,): d_net z' (C_g (1 - g^2)) and
    d_net [z, g]."""
    d_g = d_net[:, None] * weights["C"][:, 5:] * (1 - features[:, 5:] ** 2)
    return features[:, :5, None] * d_g[:, None], d_net[:, None] * features


class Learners:
    """n nets and their carts, in lock-step. Arrays have a net as the leading axis.

    rows: dict of arrays (n,): components, hidden, and four options of Config.
    """

    def __init__(self, weights, rows, config):
        n, units = len(rows["trace"]), config.units
        self.config, self.weights, self.rows = config, weights, rows
        self.heads = np.arange(4) < rows["components"][:, None]  # which outputs count
        self.vector = rows["components"] == 4
        self.state, self.action = np.zeros((n, 4)), np.zeros(n, bool)
        self.age, self.failures = np.zeros(n, int), np.zeros(n, int)
        self.life, self.square, self.gamma = np.zeros(n), np.zeros(n), np.full(n, GAMMAS[0])
        self.trace_w, self.trace_v = np.zeros((n, 4, 6, units)), np.zeros((n, 4, 6 + units))

    def keep(self, rows):
        """Go on with these nets alone."""
        for table in (self.weights, self.rows, vars(self)):
            arrays = {name: x[rows] for name, x in table.items() if isinstance(x, np.ndarray)}
            table.update(arrays)

    def step(self, coins):
        """Push, feel, learn; coins (n,) uniform in 0..1. Returns the pains (n, 4) of this step.

        A failed cart stands at the start again afterwards; its age counts on until restart().
        """
        moved = cart_pole_step(self.state, np.where(self.action, FORCE, -FORCE))
        pain = pains(moved)
        failed = pain.any(1)
        new = np.where(failed[:, None], START, moved)
        z, z_new = seen(self.state, self.config.inputs), seen(new, self.config.inputs)
        x = np.zeros((len(z), 3, 6))  # the pair left behind, and the next state with both actions
        x[:, 0, :5], x[:, 1:, :5] = z, z_new[:, None]
        x[:, 0, 5], x[:, 2, 5] = self.action, 1
        features, q = critic_forward(self.weights, self.rows["hidden"], x)
        actor, net = actor_forward(self.weights, z_new)
        action = coins < sigmoid(net)
        target = np.where(action[:, None], q[:, 2], q[:, 1])
        felt = np.where(self.vector[:, None], pain, failed[:, None])
        delta = felt + (self.gamma * ~failed)[:, None] * target - q[:, 0]
        self.learn_critic(features[:, 0], q[:, 0], delta * self.heads)
        self.learn_actor(actor, net, ((q[:, 2] - q[:, 1]) * self.heads).sum(1))
        self.state, self.action = new, action
        self.age += 1
        return pain

    def learn_critic(self, features, q, delta):
        """TD(lambda) of every component."""
        decay = (self.gamma * self.rows["trace"])[:, None, None]
        d_w, d_v = critic_gradient(self.weights, features, q)
        self.trace_v *= decay
        self.trace_v += d_v
        self.trace_w *= decay[..., None]
        self.trace_w += d_w
        step = self.rows["critic_rate"][:, None] * delta
        self.weights["V"] += (step[:, :, None] * self.trace_v).swapaxes(1, 2)
        self.weights["W"] += np.einsum("nk,nkiu->niu", step, self.trace_w)

    def learn_actor(self, features, net, effect):
        """Down the expected pain; back where y's net input has gone beyond its bound."""
        y = sigmoid(net)
        self.square += SQUARE_RATE * (effect**2 - self.square)
        push = -self.rows["actor_rate"] * effect / np.sqrt(self.square + TINY) * y * (1 - y)
        bound = np.clip(self.life / self.config.caution, HELD, BOUND)
        beyond = np.clip(net, -bound, bound) - net
        push = np.where(beyond == 0, push, PULL * beyond)
        push[self.failures < self.rows["frozen"]] = 0
        d_b, d_c = actor_gradient(self.weights, features, push)
        self.weights["B"] += d_b
        self.weights["C"] += d_c

    def restart(self, failed):
        """After failures of these nets (their places): count them, clear their traces."""
        self.failures[failed] += 1
        self.life[failed] += LIFE_RATE * (self.age[failed] - self.life[failed])
        self.gamma[failed[self.life[failed] > LONG_LIFE]] = GAMMAS[1]
        self.age[failed] = 0
        self.trace_w[failed] = self.trace_v[failed] = 0


# --- run and evaluate -----------------------------------------------------------------------------

CHOSEN = {"all": tuple(CONDITIONS), "vector": ("vector",), "contrast": ("vector", "flat_scalar")}
WATCHED = 500  # steps between two calls of watch
TEST_STARTS, TEST_STEPS = 30, 1000  # of solved nets: greedy trials from random starts
JUDGED, WITHIN = 400, 50  # random states in which Q_k is judged, by the pains of so many steps


def make_learners(config, rng):
    """Learners of all chosen conditions, one after the other; net i begins with the same weights
    in each of them."""
    names = CHOSEN[config.conditions]
    components, hidden = np.array([CONDITIONS[name] for name in names]).repeat(config.nets, 0).T
    vector, hidden = components == 4, hidden.astype(bool)
    rows = {"components": components, "hidden": hidden}
    for name in ("frozen", "critic_rate", "actor_rate", "trace"):
        own, scalar = getattr(config, name), getattr(config, f"scalar_{name}")
        rows[name] = np.where(vector, own, scalar).astype(float)
    units, weights = config.units, {}
    shapes = {"W": (6, units), "V": (6 + units, 4), "B": (5, units), "C": (5 + units,)}
    for name, shape in shapes.items():
        size = LARGE if name == "W" else SMALL
        one = rng.uniform(-size, size, (config.nets, *shape))
        weights[name] = np.concatenate([one] * len(names))
    weights["V"][~hidden, 6:] = 0  # V's gradient there is h, which is 0 in such nets
    return Learners(weights, rows, config)


def run(config: Config = Config(), watch=None) -> Result:
    """Let all nets learn until each has balanced for BALANCED steps, or failed too often."""
    draws, pushes, tests = np.random.default_rng(config.seed).spawn(3)
    learners = make_learners(config, draws)
    net = np.arange(len(learners.age))  # whom each of the remaining rows is
    weights = {name: w.copy() for name, w in learners.weights.items()}
    lives, kinds = [[] for _ in net], [[] for _ in net]
    age = np.zeros(len(net), int)  # of the trial that is going on, or was when the net stopped
    for step in range(1, config.steps + 1):
        coins = np.tile(pushes.random(config.nets), len(lives) // config.nets)
        pain = learners.step(coins[net])
        failed = np.flatnonzero(pain.any(1))
        for row in failed:
            lives[net[row]].append(int(learners.age[row]))
            kinds[net[row]].append(int(pain[row].argmax()))
        learners.restart(failed)
        over = (learners.age > BALANCED) | (learners.failures >= config.failures)
        if over.any() or step == config.steps:
            for name, w in learners.weights.items():
                weights[name][net] = w
            age[net] = learners.age
            learners.keep(~over)
            net = net[~over]
        if watch and (step % WATCHED == 0 or not len(net)):
            life = np.mean([np.mean(x[-10:] or [0]) for x in lives[: config.nets]])
            failures = np.array([len(x) for x in lives])
            shown = {"life": life, "learning": len(net), "failures": failures, "net": net}
            watch(step, config.steps, **shown, weights=learners.weights)
        if not len(net):
            break
    return evaluate(config, lives, kinds, age, weights, tests)


def failures_before(lives, age, longer):
    """Failures before the first trial of more than `longer` steps; None if there was none."""
    return next((i for i, life in enumerate([*lives, age]) if life > longer), None)


def evaluate(config, lives, kinds, age, weights, rng):
    """The metrics: of the vector critic without a prefix, of the other conditions with their name.

    solved: share of nets with a trial of more than BALANCED steps; failures: median number of
    failures before it, a net without one counting config.failures; longest: longest trial of any
    net; life: median over nets of the mean of the last 50 trials.
    """
    metrics, history = {"nets": config.nets}, {"longest": []}
    for i, name in enumerate(CHOSEN[config.conditions]):
        mine = range(i * config.nets, (i + 1) * config.nets)
        prefix = "" if name == "vector" else f"{name}_"
        longest = [max([*lives[n], age[n]]) for n in mine]
        for label, longer in (("", BALANCED), ("_1000", 999)):
            firsts = [failures_before(lives[n], age[n], longer) for n in mine]
            metrics[f"{prefix}solved{label}"] = float(np.mean([x is not None for x in firsts]))
            firsts = [config.failures if x is None else x for x in firsts]
            metrics[f"{prefix}failures{label}"] = float(np.median(firsts))
        metrics[f"{prefix}longest"] = int(max(longest))
        metrics[f"{prefix}life"] = float(np.median([np.mean(lives[n][-50:] or [0]) for n in mine]))
        history["longest"] += longest
    if "scalar_failures" in metrics:
        metrics["scalar_ratio"] = metrics["scalar_failures"] / max(1, metrics["failures"])
    vector = {name: w[: config.nets] for name, w in weights.items()}
    solved = np.array(history["longest"][: config.nets]) > BALANCED
    starts = rng.uniform(-1, 1, (solved.sum(), TEST_STARTS, 4)) * [1.2, 0, FALL / 2, 0]
    winners = {name: w[solved] for name, w in vector.items()}
    tests = make_trials(winners, starts, TEST_STEPS, config)[0] >= TEST_STEPS
    metrics["random_start_1000"] = float(tests.mean()) if solved.any() else None
    metrics["component_auc"] = component_auc(vector, config, rng)
    return Result(metrics, history, lives, kinds, weights)


def make_trials(weights, states, cap, config, rng=None):
    """Trials of nets from states (n, trials, 4) without learning, greedy where rng is None: lives
    (n, trials), at most cap; the first pushes (n, trials); the pains at the end (n, trials, 4)."""
    lives, first = np.full(states.shape[:2], cap), None
    for step in range(cap):
        z = seen(states, config.inputs)
        net = np.concatenate([z, np.tanh(z @ weights["B"])], -1) @ weights["C"][..., None]
        action = sigmoid(net[..., 0]) > (0.5 if rng is None else rng.random(lives.shape))
        first = action if first is None else first
        moved = cart_pole_step(states, np.where(action, FORCE, -FORCE))
        states = np.where(pains(states).any(-1)[..., None], states, moved)  # the failed stand still
        lives = np.where(pains(states).any(-1), np.minimum(lives, step + 1), lives)
    return lives, first, pains(states)


def component_auc(weights, config, rng):
    """How well Q_k tells whether pain k comes within WITHIN steps, from JUDGED random states under
    the net's own noisy pushes: share of pairs of states, one with and one without that pain, in
    which the first has the higher Q_k; mean over nets and components, None without such pairs."""
    nets = len(weights["C"])
    states = rng.uniform(-1, 1, (nets, JUDGED, 4)) * UNIT
    _, action, ended = make_trials(weights, states, WITHIN, config, rng)
    x = np.concatenate([seen(states, config.inputs), action[..., None]], -1)
    q = critic_forward(weights, np.ones(nets, bool), x)[1]
    cases = [(q[n, :, k], ended[n, :, k]) for n, k in np.ndindex(nets, 4)]
    areas = [(q[pain][:, None] > q[~pain]).mean() for q, pain in cases if 0 < pain.sum() < JUDGED]
    return float(np.mean(areas)) if areas else None


def gradient_check(config: Config = Config(nets=3, conditions="vector", units=4)) -> float:
    """Worst relative error of the gradients of each Q_k and of y against central differences."""
    rng = np.random.default_rng(config.seed)
    learners = make_learners(config, rng)
    weights, hidden = learners.weights, learners.rows["hidden"]
    for w in weights.values():
        w[:] = rng.uniform(-1, 1, w.shape)
    z = rng.uniform(-1, 1, (config.nets, 5))
    x = np.column_stack([z, rng.random(config.nets) < 0.5])[:, None]
    features, q = critic_forward(weights, hidden, x)
    d_w, d_v = critic_gradient(weights, features[:, 0], q[:, 0])
    mix = rng.uniform(-1, 1, (config.nets, 4))  # of the four outputs
    grads = {"W": (mix[:, :, None, None] * d_w).sum(1), "V": (mix[..., None] * d_v).swapaxes(1, 2)}
    worst = worst_relative_error(
        lambda: (mix * critic_forward(weights, hidden, x)[1][:, 0]).sum(), weights, grads
    )
    features, net = actor_forward(weights, z)
    slope = sigmoid(net) * (1 - sigmoid(net))
    grads = dict(zip("BC", actor_gradient(weights, features, slope), strict=True))
    return max(
        worst,
        worst_relative_error(lambda: sigmoid(actor_forward(weights, z)[1]).sum(), weights, grads),
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
