"""Flip-flop: told only "this hurt", a controller learns to remember, through a model of the pain.

Task      An endless stream shows one event of {A, B, X} a step, each with probability 1/3. The
          desired output d is 1 at the first B after an A, however far back that A lies, else 0.
          Nobody shows d: there is only pain p(t) = (y(t) - d(t))^2.
Nets      Controller C: h(t) = tanh([A, B, X, p(t-1), 1, h(t-1)] Wh), [m, v] = [1, h(t)] Wo,
          y(t) = sigmoid(m + s eps), s = exp(v), eps ~ N(0, 1), the probabilistic output unit.
          Model M: g(t) = tanh([A, B, X, p(t-1), y(t), 1, g(t-1)] Vh),
          p^(t) = sigmoid([1, g(t)] Vo), the predicted pain.
Learning  M lowers (p^ - p)^2. C lowers the sum of p^(t): the gradient runs p^(t) -> y(t) through
          M's weights, which stay fixed in that pass, then back through C's own recurrence. Both by
          truncated back-propagation through time over states that are carried on, never reset.
          parallel: both learn from step 1, M sees only what C does.
          sequential: M first, on uniformly random outputs; then C, with M fixed.
Shapes    Many nets learn in lock-step, each on several streams. Weights: (nets, from, to). A row
          z(t) = [inputs, 1, h(t-1)] holds all that hidden units read; rows: (time, nets, streams,
          inputs + units). The steps of every stream are counted.

    python3 flip_flop.py --seed 0
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

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # products of ten rows: one thread is as fast

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


VERSIONS = ("parallel", "sequential")


@dataclass(frozen=True)
class Config:
    """Hyper-parameters; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    steps: int = option(1_000_000, "counted steps that a net may take", 1000, 10_000_000)
    conditions: str = option("all", "versions and controls, or one", among=("all", *VERSIONS))
    nets: int = option(10, "independent nets in a condition", 1, 50)
    streams: int = option(8, "streams that each net reads at once", 1, 64)
    controller_units: int = option(8, "hidden units of C", 1, 64)
    model_units: int = option(12, "hidden units of M", 1, 64)
    window: int = option(24, "steps over which gradients are carried back", 1, 100)
    stride: int = option(12, "steps between two updates", 1, 100)
    rule: str = option("adam", "Adam, or plain gradient descent", among=("adam", "plain"))
    controller_rate: float = option(0.002, "step size for C, well below M's", 1e-6, 10)
    model_rate: float = option(0.02, "step size for M", 1e-6, 10)
    least_spread: float = option(1.0, "lower bound of s while learning [pre-sigmoid units]", 0, 10)
    state_noise: float = option(0.3, "noise on C's units while learning [pre-tanh units]", 0, 10)
    model_steps: int = option(60_000, "steps of M alone, if sequential", 0, 10_000_000)
    practice_steps: int = option(50_000, "steps after a version's last net passed", 0, 10_000_000)
    test_length: int = option(2000, "steps of a fresh stream that must all be right", 10, 100_000)
    test_every: int = option(2000, "counted steps between two tests", 100, 1_000_000)

    def __post_init__(self):
        check_options(self)
        if self.stride > self.window:
            raise ValueError(f"stride must be at most window = {self.window}, got {self.stride}")


QUICK = {"conditions": "parallel", "nets": 4, "steps": 250_000}


@dataclass
class Result:
    """metrics: see evaluate(); history: one entry a test, "condition" names which; trained:
    condition -> (C, M, step at which each net first passed or infinity)."""

    metrics: dict
    history: dict
    trained: dict


# --- the task -------------------------------------------------------------------------------------

FLOAT = np.float32  # of everything but the gradient check
A, B, X = range(3)


def desired(events, armed):
    """d as floats and the armed bit after each event, both shaped like events (time, ...).
    armed: the bit before. An A arms; the next B disarms and wants a 1."""
    d, bits = np.zeros(events.shape, FLOAT), np.empty(events.shape, bool)
    for t, event in enumerate(events):
        d[t] = (event == B) & armed
        armed = bits[t] = (event == A) | (armed & (event == X))
    return d, bits


# --- the idea in plain form: one net, one stream, parallel version, plain descent -----------------

# Columns of a row z: events 0-2, pain, (y in M), the constant 1, then the states.
PAIN, Y = 3, 4
C_INPUTS, M_INPUTS = 5, 6
LARGEST_V = 3.0  # s = exp(v) stays below e^3


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def live_one(C, M, before, event, d, eps, least_spread):
    """One step; before: the step before. C, M: weights {"hidden", "output"}. C_error, M_error are
    the derivatives of p^ and of (p^ - p)^2 with respect to [m, v] and to what p^ is made of."""
    seen = [*np.eye(3)[event], before["p"]]
    z = np.array([*seen, 1, *before["h"]])
    h = np.tanh(z @ C["hidden"])
    m, v = np.array([1, *h]) @ C["output"]
    s = max(np.exp(min(v, LARGEST_V)), least_spread)
    y = sigmoid(m + s * eps)
    zm = np.array([*seen, y, 1, *before["g"]])
    g = np.tanh(zm @ M["hidden"])
    predicted = sigmoid(np.array([1, *g]) @ M["output"][:, 0])
    p = (y - d) ** 2
    slope = predicted * (1 - predicted)
    dy = slope * (M["output"][1:, 0] * (1 - g**2)) @ M["hidden"][Y]  # dp^/dy, by way of g(t)
    dm = dy * y * (1 - y)
    dv = dm * s * eps if least_spread < s < np.exp(LARGEST_V) else 0.0
    errors = {"C_error": np.array([dm, dv]), "M_error": np.array([2 * (predicted - p) * slope])}
    return {"p^": predicted, "p": p, "z": z, "h": h, "zm": zm, "g": g, **errors}


def backward_one(net, steps, z, h, error, newest):
    """The gradient of the newest steps' errors e(t), by the names under which steps hold z, h, e:
    a(t) = (1 - h(t)^2) (Wo e(t) + R a(t+1)), R the rows of Wh that read h(t-1);
    dWh = sum z(t) a(t), dWo = sum [1, h(t)] e(t)."""
    grads = {name: np.zeros_like(w) for name, w in net.items()}
    a = np.zeros(len(net["output"]) - 1)
    for i, step in reversed(list(enumerate(steps))):
        e = step[error] * (i >= len(steps) - newest)
        a = (1 - step[h] ** 2) * (net["output"][1:] @ e + net["hidden"][-len(a) :] @ a)
        grads["hidden"] += np.outer(step[z], a)
        grads["output"] += np.outer([1, *step[h]], e)
    return grads


def learn_one(C, M, stream, config):
    """C and M, changed in place, live through a stream of (event, d, eps). After every `stride`
    steps both learn from these, back over `window` steps."""
    c, m = config.controller_units, config.model_units
    steps = [{"p": 0.0, "h": np.zeros(c), "g": np.zeros(m)}]
    for t, (event, d, eps) in enumerate(stream, 1):
        steps.append(live_one(C, M, steps[-1], event, d, eps, config.least_spread))
        steps = steps[-config.window :]
        if t % config.stride == 0 and t >= config.window:
            c_grads = backward_one(C, steps, "z", "h", "C_error", config.stride)
            m_grads = backward_one(M, steps, "zm", "g", "M_error", config.stride)
            for name in C:
                C[name] -= config.controller_rate * c_grads[name] / config.stride
                M[name] -= config.model_rate * m_grads[name] / config.stride


# --- many nets at once ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Condition:
    """A version of the paper, or the parallel one with something taken away; cut: the inputs that
    hidden units of C or M do not get."""

    random_output: bool = True
    controller_cut: tuple = ()
    model_cut: tuple = ()


C_STATES, M_STATES = slice(C_INPUTS, None), slice(M_INPUTS, None)
CONDITIONS = {
    "parallel": Condition(),
    "sequential": Condition(),
    "deterministic": Condition(random_output=False),
    "memoryless": Condition(controller_cut=(C_STATES, PAIN)),
    "memoryless_feels": Condition(controller_cut=(C_STATES,)),  # p(t-1) tells of the last step
    "memoryless_model": Condition(model_cut=(M_STATES, PAIN)),
}


def init_net(rng, nets, inputs, units, outputs):
    """Weights: "hidden" (nets, inputs + units, units), "output" (nets, 1 + units, outputs)."""
    hidden = rng.normal(0, 1, (nets, inputs + units, units))
    hidden /= np.sqrt(np.where(np.arange(inputs + units) < inputs, inputs, units))[:, None]
    output = rng.normal(0, 0.1 if outputs == 2 else 1 / np.sqrt(units), (nets, 1 + units, outputs))
    output[:, 0] = 0
    return {"hidden": hidden.astype(FLOAT), "output": output.astype(FLOAT)}


def some(net, chosen):
    """The chosen nets."""
    return {name: w[chosen] for name, w in net.items()}


def empty_rows(steps, nets, streams, inputs, units):
    """Rows z for `steps` steps and the one after, zero but for the constant input."""
    z = np.zeros((steps + 1, nets, streams, inputs + units), FLOAT)
    z[..., inputs - 1] = 1
    return z


def forward(net, z, inputs, first=0):
    """Fill in the states from row `first` on; returns the last layer's sums for these rows."""
    for t in range(first, len(z) - 1):
        np.tanh(z[t] @ net["hidden"], out=z[t + 1, ..., inputs:])
    return z[first + 1 :, ..., inputs - 1 :] @ net["output"]


def act(controller, z, first, d, eps, least_spread, noise=None, actions=None):
    """Let C live through the rows from `first` on, whose events are filled in; returns y and s,
    (steps, nets, streams). Writes states, and the pain that y earns, into the next row; noise is
    added before the tanh; actions, if given, replace y."""
    y, s = np.empty_like(d), np.empty_like(d)
    for t, (row, after) in enumerate(zip(z[first:-1], z[first + 1 :], strict=True)):
        sums = row @ controller["hidden"] + (0 if noise is None else noise[t])
        np.tanh(sums, out=after[..., C_INPUTS:])
        out = after[..., C_INPUTS - 1 :] @ controller["output"]
        s[t] = np.maximum(np.exp(np.minimum(out[..., 1], LARGEST_V)), least_spread)
        y[t] = sigmoid(out[..., 0] + s[t] * eps[t]) if actions is None else actions[t]
        after[..., PAIN] = (y[t] - d[t]) ** 2
    return y, s


def controller_error(model, zm, predicted, y, s, eps, least_spread):
    """dp^/d[m, v], (steps, nets, streams, 2), for M's rows zm that gave p^. y(t) changes no later
    pain: what M's later states would send back is M's error, and is left out."""
    through = (1 - zm[1:, ..., M_INPUTS:] ** 2) * model["hidden"][:, None, Y]
    dy = (predicted * (1 - predicted) * (through @ model["output"][:, 1:]))[..., 0]
    dm = dy * y * (1 - y)
    return np.stack([dm, dm * s * eps * ((least_spread < s) & (s < np.exp(LARGEST_V)))], -1)


def backward(net, z, inputs, d_out):
    """`backward_one` for all nets, summed over streams; d_out: the errors at the last layer, (time,
    nets, streams, outputs)."""
    slope = 1 - z[1:, ..., inputs:] ** 2
    d_sums = (d_out @ net["output"][:, 1:].swapaxes(1, 2)) * slope
    back = np.ascontiguousarray(net["hidden"][:, inputs:].swapaxes(1, 2))
    for t in range(len(d_sums) - 2, -1, -1):
        d_sums[t] += (d_sums[t + 1] @ back) * slope[t]
    return {
        "hidden": per_net(z[:-1]).swapaxes(1, 2) @ per_net(d_sums),
        "output": per_net(z[1:, ..., inputs - 1 :]).swapaxes(1, 2) @ per_net(d_out),
    }


def per_net(x):
    """(time, nets, streams, units) -> (nets, time * streams, units)."""
    return x.transpose(1, 0, 2, 3).reshape(x.shape[1], -1, x.shape[3])


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


class Nets:
    """C or M of all nets: weights, the rows z of the last `window` steps, and how they learn."""

    def __init__(self, config, weights, inputs, rate, cuts):
        many, rows, units = weights["hidden"].shape
        self.weights = {name: np.concatenate([w] * len(cuts)) for name, w in weights.items()}
        mask = np.ones((len(cuts), many, rows, 1), FLOAT)
        for i, cut in enumerate(cuts):
            for row in cut:
                mask[i, :, row] = 0
        self.mask = mask.reshape(-1, rows, 1)
        self.weights["hidden"] *= self.mask
        self.inputs, self.rate = inputs, rate
        self.z = empty_rows(config.window, len(self.mask), config.streams, inputs, units)
        adam = Adam(self.weights, rate, limit=1.0, stacked=True)
        self.adam = adam if config.rule == "adam" else None

    def learn(self, errors):
        """One update, given the errors at the last layer in the newest steps, (time, nets, ...)."""
        whole = np.zeros((len(self.z) - 1, *errors.shape[1:]), FLOAT)
        whole[-len(errors) :] = errors / (len(errors) * errors.shape[2])
        grads = backward(self.weights, self.z, self.inputs, whole)
        grads["hidden"] *= self.mask
        if self.adam:
            return self.adam.step(self.weights, grads)
        for name, grad in grads.items():
            self.weights[name] -= self.rate * grad


class Learner:
    """Nets of some conditions side by side: same first weights, same events, same dice in each."""

    def __init__(self, config, names):
        self.config, self.names, self.steps = config, names, 0
        kinds = [CONDITIONS[name] for name in names]
        self.model_first = names[0] == "sequential"
        self.noisy = np.repeat([kind.random_output for kind in kinds], config.nets)[:, None]
        self.armed = np.zeros((len(self.noisy), config.streams), bool)
        weights, self.events, self.dice, self.tests = np.random.default_rng(config.seed).spawn(4)
        c = init_net(weights, config.nets, C_INPUTS, config.controller_units, 2)
        m = init_net(weights, config.nets, M_INPUTS, config.model_units, 1)
        cuts = [[kind.controller_cut for kind in kinds], [kind.model_cut for kind in kinds]]
        self.controller = Nets(config, c, C_INPUTS, config.controller_rate, cuts[0])
        self.model = Nets(config, m, M_INPUTS, config.model_rate, cuts[1])

    def weights(self, i):
        """C and M of condition i."""
        part = slice(i * self.config.nets, (i + 1) * self.config.nets)
        return some(self.controller.weights, part), some(self.model.weights, part)

    def advance(self):
        """Live through `stride` steps, then update what this phase trains; returns the mean pain of
        each condition."""
        config, C, M = self.config, self.controller, self.model
        first, least_spread = config.window - config.stride, config.least_spread
        model_phase = self.model_first and self.steps < config.model_steps
        d = self.next_events(first)
        eps, noise, actions = self.throw_dice(model_phase)
        y, s = act(C.weights, C.z, first, d, eps, least_spread, noise, actions)
        M.z[first:-1, ..., PAIN], M.z[first:-1, ..., Y] = C.z[first:-1, ..., PAIN], y
        predicted, pain = sigmoid(forward(M.weights, M.z, M_INPUTS, first)), (y - d) ** 2
        c_error = controller_error(M.weights, M.z[first:], predicted, y, s, eps, least_spread)
        m_error = 2 * (predicted - pain[..., None]) * predicted * (1 - predicted)
        if self.steps >= config.streams * first:  # the window is full
            if not model_phase:
                C.learn(c_error)
            if model_phase or not self.model_first:
                M.learn(m_error)
        self.steps += config.stride * config.streams
        return pain.mean((0, 2)).reshape(len(self.names), -1).mean(1)

    def next_events(self, first):
        """Move the rows on, show the next events in those from `first` on; returns d."""
        shape = (self.config.stride, self.config.nets, self.config.streams)
        events = np.tile(self.events.integers(0, 3, shape), (1, len(self.names), 1))
        d, bits = desired(events, self.armed)
        self.armed = bits[-1]
        for z in (self.controller.z, self.model.z):
            z[: first + 1] = z[self.config.stride :].copy()
            z[first:-1, ..., :3] = np.eye(3)[events]
        return d

    def throw_dice(self, model_phase):
        """eps, the noise on C's states, and outputs by chance in the model's phase."""
        config, copies = self.config, len(self.names)
        shape = (config.stride, config.nets, config.streams)
        eps = np.tile(self.dice.standard_normal(shape, FLOAT), (1, copies, 1)) * self.noisy
        noise = self.dice.standard_normal((*shape, config.controller_units), FLOAT)
        noise = np.tile(config.state_noise * noise, (1, copies, 1, 1))
        return eps, noise, self.dice.random(shape, FLOAT) if model_phase else None


# --- tests without noise, run, evaluate -----------------------------------------------------------


def respond(controller, events, start=None):
    """y and d of nets without noise on events (time, nets, streams), C's rows and the armed bits;
    start: the last of these two, to carry on an earlier stream."""
    steps, nets, streams = events.shape
    rows = empty_rows(steps, nets, streams, C_INPUTS, controller["hidden"].shape[2])
    armed = np.zeros((nets, streams), bool)
    if start:
        rows[0], armed = start
    rows[:-1, ..., :3] = np.eye(3)[events]
    d, bits = desired(events, armed)
    y, _ = act(controller, rows, 0, d, np.zeros_like(d), 0.0)
    return y, d, rows, bits


def passing(controller, rng, length, piece=50):
    """Indices of the nets that make no mistake on a fresh stream; one is dropped at its first."""
    alive, start = np.arange(len(controller["hidden"])), None
    for done in range(0, length, piece):
        events = rng.integers(0, 3, (min(piece, length - done), len(alive), 1))
        y, d, rows, bits = respond(some(controller, alive), events, start)
        right = ((y > 0.5) == d).all((0, 2))
        alive, start = alive[right], (rows[-1][right], bits[-1][right])
        if not len(alive):
            break
    return alive


def lag_test(controller, rng, lag, repeats=20):
    """(nets,): right on A, `lag` times X, B, B in all repeats, each from a state of chance?"""
    nets = len(controller["hidden"])
    _, _, rows, bits = respond(controller, rng.integers(0, 3, (50, nets, repeats)))
    events = np.array([A] + [X] * lag + [B, B])[:, None, None].repeat(nets, 1).repeat(repeats, 2)
    y, d, _, _ = respond(controller, events, (rows[-1], bits[-1]))
    return ((y > 0.5) == d).all((0, 2))


def run(config: Config = Config(), watch=None) -> Result:
    """Train the conditions that config asks for, the controls as long as the parallel version, and
    measure them on fresh streams. Raises FloatingPointError where answers become infinite."""
    every = [[name for name in CONDITIONS if name != "sequential"], ["sequential"]]
    history, trained = {}, {}
    for names in every if config.conditions == "all" else [[config.conditions]]:
        trained |= train(names, config, history, watch)
    return Result(evaluate(trained, config), history, trained)


def train(names, config, history, watch):
    """Train conditions side by side until all nets of the first are solved and have practised."""
    learner = Learner(config, names)
    solved_at, pain = np.full(len(names) * config.nets, np.inf), 0.25  # the pain of y = 1/2
    by_condition = solved_at.reshape(len(names), -1)
    most, next_test = config.steps, config.test_every
    while learner.steps < most:
        pain = 0.9 * pain + 0.1 * learner.advance()
        if learner.steps < min(next_test, most):
            continue
        next_test += config.test_every
        unsolved = np.flatnonzero(np.isinf(solved_at))
        nets = some(learner.controller.weights, unsolved)
        solved_at[unsolved[passing(nets, learner.tests, config.test_length)]] = learner.steps
        if not np.isfinite(pain).all():
            raise FloatingPointError(f"the pain is not a number after {learner.steps} steps")
        most = int(min(config.steps, by_condition[0].max() + config.practice_steps))
        solved = np.isfinite(by_condition).mean(1)
        entries = (names, [learner.steps] * len(names), solved.tolist(), pain.tolist())
        for key, values in zip(("condition", "step", "solved", "pain"), entries, strict=True):
            history.setdefault(key, []).extend(values)
        if watch:
            C, M = learner.weights(0)
            watch(learner.steps, most, solved=solved[0], pain=pain[0], controller=C, model=M)
    return {name: (*learner.weights(i), by_condition[i]) for i, name in enumerate(names)}


def evaluate(trained, config):
    """How many nets solved the task and when; wrong answers; lag tests of the solved; the gap."""
    rng = np.random.default_rng(config.seed).spawn(5)[4]
    metrics, right = {}, {lag: [] for lag in (10, 30, 100, 300)}
    for name, (controller, _, solved_at) in trained.items():
        solved = np.isfinite(solved_at)
        y, d, _, _ = respond(controller, rng.integers(0, 3, (config.test_length, config.nets, 1)))
        metrics[f"solved_{name}"] = float(solved.mean())
        metrics[f"error_{name}"] = float(((y > 0.5) != d).mean())
        if name in VERSIONS:
            reached = np.minimum(solved_at, config.steps)
            metrics[f"steps_median_{name}"] = float(np.median(reached))
            for lag, nets in right.items():
                nets.extend(lag_test(controller, rng, lag)[solved])
    metrics |= {f"lag{lag}": float(np.mean(nets)) if nets else None for lag, nets in right.items()}
    if config.conditions == "all":
        noisy, quiet = metrics["solved_parallel"], metrics["solved_deterministic"]
        metrics["deterministic_gap"] = noisy - quiet
    return metrics


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of the plain form: (p^ - p)^2 for M, the sum of p^ for C."""
    rng, least_spread = np.random.default_rng(config.seed), 0.1
    c, m = config.controller_units, config.model_units
    C, M = init_net(rng, 1, C_INPUTS, c, 2), init_net(rng, 1, M_INPUTS, m, 1)
    C, M = ({name: w[0].astype(float) for name, w in net.items()} for net in (C, M))
    C["output"] += rng.normal(0, 1, C["output"].shape)
    stream = [(rng.integers(3), rng.integers(2), rng.normal()) for _ in range(config.window)]
    steps = [{"p": 0.5, "h": rng.uniform(-1, 1, c), "g": rng.uniform(-1, 1, m)}]
    for moment in stream:
        steps.append(live_one(C, M, steps[-1], *moment, least_spread))

    def replay(state, loss):  # only h or g follows from the weights; all else stays as it was
        total, now = 0.0, steps[0]
        for before, moment in zip(steps, stream, strict=False):
            now = live_one(C, M, {**before, state: now[state]}, *moment, least_spread)
            total += loss(now)
        return total

    c_grads = backward_one(C, steps[1:], "z", "h", "C_error", config.window)
    m_grads = backward_one(M, steps[1:], "zm", "g", "M_error", config.window)
    c_loss, m_loss = (lambda step: step["p^"]), (lambda step: (step["p^"] - step["p"]) ** 2)
    c_worst = worst_relative_error(lambda: replay("h", c_loss), C, c_grads)
    return max(c_worst, worst_relative_error(lambda: replay("g", m_loss), M, m_grads))


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
