"""Flip-flop: a controller that is only told "this hurt" learns to remember, taught by a model that
predicts the pain.

Task      An endless stream shows one event of {A, B, X} a step, each with probability 1/3. The
          desired output d is 1 at the first B after an A, however far back that A lies, else 0.
          Nobody shows d: there is only pain p(t) = (y(t) - d(t))^2.
Nets      Controller C reads in(t) = [A, B, X, p(t-1), 1]:
            h(t) = tanh([in(t), h(t-1)] Wh),  [m, v] = [1, h(t)] Wo,
            y(t) = sigmoid(m + s eps), s = exp(v), eps ~ N(0, 1), the probabilistic output unit.
          Model M reads [A, B, X, p(t-1), y(t), 1] and its own state; of the same form, it predicts
          p^(t) with a sigmoid.
Learning  M: minimise (p^ - p)^2. C: minimise the sum of p^(t); the gradient runs p^(t) -> y(t)
          through M's weights, which stay fixed in that pass, then back through C's own recurrence.
          Both by truncated back-propagation through time over states that are carried on and never
          reset.
          parallel: both learn from step 1, M sees only what C does. sequential: M first, on
          uniformly random outputs; then C.
Shapes    Ten independent nets learn in lock-step, each on eight streams. States: (time, nets,
          streams, units), weights: (nets, from, to). A row z(t) = [inputs, 1, h(t-1)] holds all
          that hidden units read; every stream's steps are counted.

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
    steps: int = option(
        1_000_000,
        "counted steps a net may take in each condition, the model's phase included",
        1000,
        10_000_000,
    )
    conditions: str = option(
        "all",
        "which conditions to train: both versions and all controls, or one version alone",
        among=("all", "parallel", "sequential"),
    )
    nets: int = option(10, "independent nets in a condition", 1, 50)
    streams: int = option(8, "streams that each net reads at once", 1, 64)
    controller_units: int = option(8, "hidden units of C", 1, 64)
    model_units: int = option(12, "hidden units of M", 1, 64)
    window: int = option(24, "steps over which gradients are carried back", 1, 100)
    stride: int = option(12, "steps between two updates", 1, 100)
    controller_rate: float = option(
        0.002,
        "Adam's step size for C, well below M's: M first knows what C does",
        1e-6,
        1,
    )
    model_rate: float = option(0.02, "Adam's step size for M", 1e-6, 1)
    least_spread: float = option(
        1.0,
        "lower bound of s while learning [pre-sigmoid units]; no output is ever tested with noise",
        0,
        10,
    )
    state_noise: float = option(
        0.3,
        "standard deviation of the noise on C's hidden units while learning [pre-tanh units]",
        0,
        10,
    )
    model_steps: int = option(
        60_000,
        "counted steps of the sequential version's first phase, in which only M learns",
        0,
        10_000_000,
    )
    practice_steps: int = option(
        50_000,
        "counted steps of learning after the last net of a condition passed the test",
        0,
        10_000_000,
    )
    control_steps: int = option(
        0,
        "counted steps of each control; 0 stands for as many as the parallel version took",
        0,
        10_000_000,
    )
    controls_feel: bool = option(
        False,
        "nets without recurrence still read p(t-1), which tells of the step before",
    )
    test_length: int = option(2000, "steps of a fresh stream that must all be right", 10, 100_000)
    test_every: int = option(2000, "counted steps between two tests", 100, 1_000_000)

    def __post_init__(self):
        check_options(self)
        if self.stride > self.window:
            raise ValueError(f"stride must be at most window = {self.window}, got {self.stride}")


QUICK = {"conditions": "sequential", "nets": 4, "steps": 80_000, "model_steps": 50_000}


@dataclass
class Result:
    """metrics: see evaluate(); history: long form, one entry a test, "condition" names which;
    trained: condition -> Trained."""

    metrics: dict
    history: dict
    trained: dict


@dataclass(frozen=True)
class Condition:
    """One way of learning: a version of the paper, or a version with one thing taken away."""

    model_first: bool = False
    random_output: bool = True
    controller_remembers: bool = True
    model_remembers: bool = True


CONDITIONS = {
    "parallel": Condition(),
    "sequential": Condition(model_first=True),
    "deterministic": Condition(random_output=False),
    "memoryless controller": Condition(controller_remembers=False),
    "memoryless model": Condition(model_remembers=False),
}
VERSIONS = ("parallel", "sequential")


@dataclass
class Trained:
    """What a condition ends with: weights, those before learning, the step of each net's first
    passed test, the steps taken.

    solved_at is (nets,), infinite for a net that never passed.
    """

    controller: dict
    model: dict
    untrained: tuple
    solved_at: np.ndarray
    steps: int


# --- the task -------------------------------------------------------------------------------------

FLOAT = np.float32  # of everything but the gradient check
A, B, X = range(3)
# Columns of z: events 0-2, pain 3, (y 4 in M), then the constant 1, then the states.
PAIN, C_INPUTS, M_INPUTS, M_ACTION = 3, 5, 6, 4


def desired(events, armed):
    """The target process: d as floats, and the armed bit after each event, both shaped like events
    (time, ...).

    armed, (...), is the bit before the first of the events: an A arms, the next B disarms and is
    the one to be answered with 1.
    """
    d, bits = np.zeros(events.shape, FLOAT), np.empty(events.shape, bool)
    for t, event in enumerate(events):
        d[t] = (event == B) & armed
        armed = bits[t] = (event == A) | (armed & (event == X))
    return d, bits


# --- the nets -------------------------------------------------------------------------------------


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def init_net(rng, nets, inputs, units, outputs):
    """Weights of `nets` nets: "hidden" (nets, inputs + units, units), "output" (nets, 1 + units,
    outputs)."""
    hidden = rng.normal(0, 1, (nets, inputs + units, units))
    hidden /= np.sqrt(np.where(np.arange(inputs + units) < inputs, inputs, units))[:, None]
    output = rng.normal(0, 0.1 if outputs == 2 else 1 / np.sqrt(units), (nets, 1 + units, outputs))
    output[:, 0] = 0
    return {"hidden": hidden.astype(FLOAT), "output": output.astype(FLOAT)}


def memory_mask(inputs, units, remembers, feels):
    """(inputs + units, 1): 1 for the rows of "hidden" that a net may use, 0 for those that would
    let it remember.

    Without recurrence p(t-1) is a memory too: it shows what the net answered a step ago, so a net
    could write into it.
    """
    mask = np.ones((inputs + units, 1), FLOAT)
    mask[inputs:], mask[PAIN] = remembers, remembers or feels
    return mask


def empty_rows(steps, nets, streams, inputs, units):
    """Rows z for `steps` steps and the one after, (steps + 1, nets, streams, inputs + units), zero
    but for the constant input."""
    z = np.zeros((steps + 1, nets, streams, inputs + units), FLOAT)
    z[..., inputs - 1] = 1
    return z


def forward(net, z, inputs, first=0, noise=None):
    """Fill in the states that follow from the inputs in z, from row `first` on; returns the last
    layer's sums for these rows."""
    for t in range(first, len(z) - 1):
        sums = z[t] @ net["hidden"]
        if noise is not None:
            sums += noise[t - first]
        np.tanh(sums, out=z[t + 1, ..., inputs:])
    return z[first + 1 :, ..., inputs - 1 :] @ net["output"]


def act(controller, z, first, d, eps, noise, least_spread, actions=None):
    """Let C live through rows first ... of z, whose events are filled in; returns y and s, (steps,
    nets, streams).

    Writes the states and the pain that each y earns into the next row. With `actions`, y is taken
    from there.
    """
    y, spread = np.empty_like(d), np.empty_like(d)
    for t in range(len(d)):
        after = z[first + t + 1]
        out = forward(controller, z[first + t : first + t + 2], C_INPUTS, noise=noise[t : t + 1])[0]
        spread[t] = np.maximum(np.exp(np.minimum(out[..., 1], 3)), least_spread)
        y[t] = sigmoid(out[..., 0] + spread[t] * eps[t]) if actions is None else actions[t]
        after[..., PAIN] = (y[t] - d[t]) ** 2
    return y, spread


# --- learning -------------------------------------------------------------------------------------


def backward(net, z, inputs, d_out):
    """Gradient of a loss over the window z with respect to the net's weights, given d_out =
    dloss/d(last layer's sums)."""
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


def pain_slope(model, z, predicted):
    """dp^/dy, shaped as predicted (steps, nets, streams, 1), for the rows z that gave it.

    Only the path through the same step: y(t) changes no later pain, so what M's later states would
    send back is M's error.
    """
    through = (1 - z[1:, ..., M_INPUTS:] ** 2) * model["hidden"][:, None, M_ACTION]
    return predicted * (1 - predicted) * (through @ model["output"][:, 1:])


def controller_error(slope, y, spread, eps, least_spread):
    """d(sum of p^)/d[m, v], (steps, nets, streams, 2), back through the random number that y was
    made of."""
    dm = slope[..., 0] * y * (1 - y)
    free = (spread > least_spread) & (spread < np.exp(3))
    return np.stack([dm, dm * eps * spread * free], -1)


def clipped(grads, most=1.0):
    """The gradients, each net's scaled down to a length of at most `most`."""
    length = np.sqrt(sum((g**2).sum((1, 2), keepdims=True) for g in grads.values()))
    scale = np.minimum(1, most / (length + 1e-12))
    return {name: g * scale for name, g in grads.items()}


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


class Learner:
    """The nets of one condition, their streams, and the rows z of the last `window` steps."""

    def __init__(self, config, condition):
        self.config, self.condition, self.steps = config, condition, 0
        weights, self.events, self.noise, self.tests = np.random.default_rng(config.seed).spawn(4)
        nets, c, m = config.nets, config.controller_units, config.model_units
        self.controller = init_net(weights, nets, C_INPUTS, c, 2)
        self.model = init_net(weights, nets, M_INPUTS, m, 1)
        self.masks = (
            memory_mask(C_INPUTS, c, condition.controller_remembers, config.controls_feel),
            memory_mask(M_INPUTS, m, condition.model_remembers, config.controls_feel),
        )
        self.controller["hidden"] *= self.masks[0]
        self.model["hidden"] *= self.masks[1]
        self.adams = (
            Adam(self.controller, config.controller_rate),
            Adam(self.model, config.model_rate),
        )
        self.z = empty_rows(config.window, nets, config.streams, C_INPUTS, c)
        self.zm = empty_rows(config.window, nets, config.streams, M_INPUTS, m)
        self.armed = np.zeros((nets, config.streams), bool)

    def advance(self):
        """Live through `stride` steps, then update what this phase trains; returns numbers about
        these steps."""
        config, condition, first = (
            self.config,
            self.condition,
            self.config.window - self.config.stride,
        )
        shape = (config.stride, config.nets, config.streams)
        events = self.events.integers(0, 3, shape)
        d, bits = desired(events, self.armed)
        self.armed = bits[-1]
        for z in (self.z, self.zm):
            z[: first + 1] = z[config.stride :].copy()
            z[first:-1, ..., :3] = events[..., None] == np.arange(3)
        model_phase = condition.model_first and self.steps < config.model_steps
        eps = self.noise.standard_normal(shape, FLOAT) * condition.random_output
        state_noise = config.state_noise * self.noise.standard_normal(
            (*shape, config.controller_units), FLOAT
        )
        actions = self.noise.random(shape, FLOAT) if model_phase else None
        y, spread = act(
            self.controller, self.z, first, d, eps, state_noise, config.least_spread, actions
        )
        self.zm[first:-1, ..., PAIN], self.zm[first:-1, ..., M_ACTION] = (
            self.z[first:-1, ..., PAIN],
            y,
        )
        predicted = sigmoid(forward(self.model, self.zm, M_INPUTS, first))
        pain = (y - d) ** 2
        slope = pain_slope(self.model, self.zm[first:], predicted)
        if not model_phase:
            self.improve(0, controller_error(slope, y, spread, eps, config.least_spread))
        if model_phase or not condition.model_first:
            self.improve(1, 2 * (predicted - pain[..., None]) * predicted * (1 - predicted))
        self.steps += config.stride * config.streams
        truth = 2 * (y - d)
        return {
            "pain": pain.mean(),
            "model_error": ((predicted[..., 0] - pain) ** 2)[events == B].mean()
            if (events == B).any()
            else 0.0,
            "cosine": (slope[..., 0] * truth).sum()
            / np.sqrt((slope**2).sum() * (truth**2).sum() + 1e-12),
        }

    def improve(self, which, d_out):
        """One Adam step of C (0) or M (1), given the errors at its last layer over the newest
        steps, once a window is full."""
        if self.steps < self.config.streams * (self.config.window - self.config.stride):
            return
        net, z, inputs = ((self.controller, self.z, C_INPUTS), (self.model, self.zm, M_INPUTS))[
            which
        ]
        errors = np.zeros((self.config.window, *d_out.shape[1:]), FLOAT)
        errors[-len(d_out) :] = d_out / (len(d_out) * self.config.streams)
        grads = backward(net, z, inputs, errors)
        grads["hidden"] *= self.masks[which]
        self.adams[which].step(net, clipped(grads))


# --- tests without noise and without learning -----------------------------------------------------


def respond(controller, events, z=None, armed=None, feel=True):
    """Outputs y and targets d of nets without noise on events (time, nets, streams), the row z
    after them, and the armed bits.

    z and armed carry on an earlier stream. With feel=False the controller always reads p = 0.
    """
    steps, nets, streams = events.shape
    z = (
        empty_rows(0, nets, streams, C_INPUTS, controller["hidden"].shape[2])[0]
        if z is None
        else z.copy()
    )
    d, bits = desired(events, np.zeros((nets, streams), bool) if armed is None else armed)
    shown = np.eye(3, dtype=FLOAT)[events]
    y = np.empty_like(d)
    for t in range(steps):
        z[..., :3] = shown[t]
        z[..., C_INPUTS:] = np.tanh(z @ controller["hidden"])
        y[t] = sigmoid((z[..., C_INPUTS - 1 :] @ controller["output"][..., :1])[..., 0])
        if feel:
            z[..., PAIN] = (y[t] - d[t]) ** 2
    return y, d, z, bits[-1]


def passing(controller, rng, length, piece=50):
    """Indices of the nets that make no mistake on a fresh stream of `length` steps; a net is
    dropped at its first mistake."""
    alive, z, armed = np.arange(len(controller["hidden"])), None, None
    for start in range(0, length, piece):
        events = rng.integers(0, 3, (min(piece, length - start), len(alive), 1))
        y, d, z, armed = respond(
            {name: w[alive] for name, w in controller.items()}, events, z, armed
        )
        right = ((y > 0.5) == d).all((0, 2))
        alive, z, armed = alive[right], z[right], armed[right]
        if not len(alive):
            break
    return alive


def lag_test(controller, rng, lag, repeats=20):
    """(nets,): is a net right on A, then `lag` times X, then B, B, in all repeats? Each starts from
    a state reached by chance."""
    nets = len(controller["hidden"])
    _, _, z, armed = respond(controller, rng.integers(0, 3, (50, nets, repeats)))
    events = np.array([A] + [X] * lag + [B, B])[:, None, None].repeat(nets, 1).repeat(repeats, 2)
    y, d, _, _ = respond(controller, events, z, armed)
    return ((y > 0.5) == d).all((0, 2))


def error_rates(controller, rng, length, feel=True):
    """Share of the steps, and of the B steps, at which (y > 0.5) is not d, over a fresh stream for
    each net."""
    events = rng.integers(0, 3, (length, len(controller["hidden"]), 1))
    y, d, _, _ = respond(controller, events, feel=feel)
    wrong = (y > 0.5) != d
    return float(wrong.mean()), float(wrong[events == B].mean())


# --- run and evaluate -----------------------------------------------------------------------------


def train(name, config, most_steps, history, watch):
    """Train one condition until all its nets are solved and have practised, or for most_steps if it
    is a control."""
    learner, is_version = Learner(config, CONDITIONS[name]), name in VERSIONS
    untrained = tuple(
        {key: w.copy() for key, w in net.items()} for net in (learner.controller, learner.model)
    )
    solved_at, recent, next_test = np.full(config.nets, np.inf), {}, config.test_every
    while learner.steps < most_steps:
        recent = {
            key: 0.9 * recent.get(key, value) + 0.1 * value
            for key, value in learner.advance().items()
        }
        if learner.steps < min(next_test, most_steps):
            continue
        next_test += config.test_every
        unsolved = np.flatnonzero(np.isinf(solved_at))
        if len(unsolved):
            passed = passing(
                {key: w[unsolved] for key, w in learner.controller.items()},
                learner.tests,
                config.test_length,
            )
            solved_at[unsolved[passed]] = learner.steps
            if len(passed) == len(unsolved) and is_version:
                most_steps = min(most_steps, learner.steps + config.practice_steps)
        state = {
            "solved": float(np.isfinite(solved_at).mean()),
            **{key: float(value) for key, value in recent.items()},
        }
        for key, value in {"condition": name, "step": learner.steps, **state}.items():
            history.setdefault(key, []).append(value)
        if watch:
            place = list(CONDITIONS).index(name) + 1
            watch(
                learner.steps,
                most_steps,
                condition=place,
                **state,
                controller=learner.controller,
                model=learner.model,
            )
    return Trained(learner.controller, learner.model, untrained, solved_at, learner.steps)


def run(config: Config = Config(), watch=None) -> Result:
    """Train every condition that config asks for, one after the other, and measure them on fresh
    streams."""
    history, trained = {}, {}
    for name in CONDITIONS if config.conditions == "all" else [config.conditions]:
        most_steps = (
            config.steps if name in VERSIONS else config.control_steps or trained["parallel"].steps
        )
        trained[name] = train(name, config, most_steps, history, watch)
    return Result(evaluate(trained, history, config), history, trained)


def evaluate(trained, history, config):
    """The metrics: how many nets solved the task and when, lag tests of the solved ones, what
    became of the controls."""
    rng = np.random.default_rng(config.seed).spawn(5)[4]
    versions, metrics = [name for name in VERSIONS if name in trained], {}
    for name in versions:
        nets, ending = trained[name], "" if name == "parallel" else "_sequential"
        last = len(history["condition"]) - 1 - history["condition"][::-1].index(name)
        metrics |= {
            f"solved_{name}": float(np.isfinite(nets.solved_at).mean()),
            f"steps_median{ending}": float(np.median(np.minimum(nets.solved_at, config.steps))),
            f"steps_taken_{name}": nets.steps,
            f"error_{name}": error_rates(nets.controller, rng, config.test_length)[0],
            f"error_{name}_unfelt": error_rates(
                nets.controller, rng, config.test_length, feel=False
            )[0],
            f"pain_{name}": history["pain"][last],
            f"model_error_{name}": history["model_error"][last],
        }
    for lag in (10, 30, 100, 300):
        right = [
            lag_test(trained[name].controller, rng, lag)[np.isfinite(trained[name].solved_at)]
            for name in versions
        ]
        right = np.concatenate(right)
        metrics[f"lag{lag}"] = float(right.mean()) if len(right) else 0.0
    if config.conditions == "all":
        metrics["solved_deterministic"] = float(
            np.isfinite(trained["deterministic"].solved_at).mean()
        )
        metrics["deterministic_gap"] = metrics["solved_parallel"] - metrics["solved_deterministic"]
        for key, name in (
            ("memoryless", "memoryless controller"),
            ("memoryless_model", "memoryless model"),
        ):
            error, error_on_b = error_rates(trained[name].controller, rng, config.test_length)
            metrics |= {f"{key}_error": error, f"{key}_error_on_b": error_on_b}
    return metrics


def gradient_check(
    config: Config = Config(
        nets=2, streams=3, window=6, stride=6, controller_units=3, model_units=4
    ),
) -> float:
    """Worst relative error of M's gradient of (p^ - p)^2 and of C's gradient of the sum of p^,
    against central differences."""
    learner, rng, least_spread = (
        Learner(config, CONDITIONS["parallel"]),
        np.random.default_rng(config.seed),
        0.1,
    )
    learner.controller["output"] += rng.normal(0, 1, learner.controller["output"].shape)
    learner.advance()
    controller, model = (
        {name: w.astype(float) for name, w in net.items()}
        for net in (learner.controller, learner.model)
    )
    z, zm = learner.z.astype(float), learner.zm.astype(float)
    eps, pain = rng.normal(size=zm[:-1, ..., 0].shape), rng.random((*zm[:-1, ..., 0].shape, 1))

    def predict():
        return sigmoid(forward(model, zm, M_INPUTS))

    predicted = predict()
    grads = backward(model, zm, M_INPUTS, 2 * (predicted - pain) * predicted * (1 - predicted))
    worst = worst_relative_error(lambda: ((predict() - pain) ** 2).sum(), model, grads)
    predict()
    states = zm.copy()  # held, so that y(t) reaches p^(t) only, as in pain_slope

    def act_again():
        out = forward(controller, z, C_INPUTS)
        spread = np.maximum(np.exp(np.minimum(out[..., 1], 3)), least_spread)
        return sigmoid(out[..., 0] + spread * eps), spread

    def predict_action():
        zm[:-1] = states[:-1]
        zm[:-1, ..., M_ACTION] = act_again()[0]
        zm[1:, ..., M_INPUTS:] = np.tanh(zm[:-1] @ model["hidden"])
        return sigmoid(zm[1:, ..., M_INPUTS - 1 :] @ model["output"])

    errors = controller_error(
        pain_slope(model, zm, predict_action()), *act_again(), eps, least_spread
    )
    return max(
        worst,
        worst_relative_error(
            lambda: predict_action().sum(), controller, backward(controller, z, C_INPUTS, errors)
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
