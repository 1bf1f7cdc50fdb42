"""A clockwork RNN: hidden modules that tick at different rates store waveforms and classify words.

Tasks     music   no input; the net draws a given waveform of 320 samples out of its own dynamics
          words   25 spoken words (synthetic), 13 channels; one label after the last frame
          sines   a sum of four sines from a constant input: the earlier catalog's task
Nets      clockwork   modules of equal size with periods T_i = 1, 2, 4, ..; at step t only modules
                      with t mod T_i = 0 compute, from modules that are as slow or slower
                          h_i(t) = tanh(sum of W_ij h_j(t-1) over T_j >= T_i + V_i x(t) + b_i)
                      and all others keep their h; y(t) = U h(t) + c
          srn         the same with one module of period 1: a plain recurrent net
          lstm        cells with input, forget and output gate
Learning  full gradient through time; Nesterov momentum (music, sines), Adam (words).

Arrays are (time, nets, units, sequences): nets that are trained side by side do not touch.

    python3 clockwork_rnn.py --seed 0
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

SAMPLES, HERTZ = 320, 44_100
CHANNELS, GROUPS, PER_GROUP, SPEAKERS, TRAIN_SPEAKERS = 13, 5, 5, 7, 5
MOMENTUM, INITIAL, FORGET_BIAS = 0.95, 0.1, 5.0
FRAME_NOISE, SPEAKER_MAP, INPUT_NOISE = 0.4, 0.1, 0.6
BATCH, PATIENCE = 25, 20


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
    """The defaults train the three nets on five waveforms: the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    task: str = option("music", "what is learnt", among=("music", "words", "sines"))
    units: int = option(4, "units of each module of a clockwork net", 1, 16)
    epochs: int = option(2000, "most epochs of a net", 1, 10_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"task": "sines", "units": 8, "epochs": 400}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # kind, epoch, error: a row a net and evaluation
    nets: dict  # trained nets by kind
    outputs: dict  # by kind (music, sines): the waveforms (time, nets)


def music_windows(count=5):
    """Waveforms (320, count) within -1 and 1: chords of two to four notes, the same in all runs.

    Stand-in for the paper's five pieces of music of 7 ms (section 4.1).
    """
    rng = np.random.default_rng(1402_3511)
    t, waves = np.arange(SAMPLES) / HERTZ, []
    for window in range(count):
        wave = np.zeros(SAMPLES)
        onset = 0.002 if window == 4 else 0.0  # one string is plucked inside its window
        for _ in range(rng.integers(2, 5)):
            pitch, stretch = 110 * 8 ** rng.random(), rng.uniform(0, 3e-4)
            decay, sounding = rng.uniform(0.003, 0.020), t >= onset
            for k in range(1, rng.integers(10, 15) + 1):
                f = k * pitch * math.sqrt(1 + stretch * k * k)
                phase = rng.uniform(0, 2 * math.pi)
                if f < 12_000:
                    note = k**-1.2 * np.sin(2 * math.pi * f * t + phase)
                    wave += note * sounding * np.exp(-np.maximum(t - onset, 0) / decay)
        waves.append(wave / np.abs(wave).max())
    return np.stack(waves, 1)


def four_sines(rng):
    """The earlier catalog's target (320, 1): periods 8, 32, 80, 160; halved; variance 1/2."""
    t = np.arange(SAMPLES)
    phases = rng.uniform(0, 2 * math.pi, 4)
    periods = (8, 32, 80, 160)
    waves = [np.sin(2 * math.pi * t / p + q) for p, q in zip(periods, phases, strict=True)]
    return np.sum(waves, 0)[:, None] / 2


def spoken_words(rng):
    """25 pseudo-words by seven speakers: frames (time, 13, 175), lengths, labels, is_test (175,).

    Words of a group share their last phones and differ in the first one. Channels are normalised
    over the frames of the training words. Beyond a sequence's length frames are zero.
    """
    phones = rng.normal(0, 1, (22, CHANNELS))
    words = []
    for _ in range(GROUPS):
        suffix, long_suffix = rng.integers(0, 22, rng.integers(3, 5)), rng.integers(25, 46)
        for first in rng.choice(22, PER_GROUP, replace=False):
            prefix = np.append(first, rng.integers(0, 22, rng.integers(1, 3)))
            words.append((prefix, suffix, rng.integers(20, 36), long_suffix))
    spoken, labels, is_test = [], [], []
    for speaker in range(SPEAKERS):
        voice = np.eye(CHANNELS) + rng.normal(0, SPEAKER_MAP, (CHANNELS, CHANNELS))
        shift, rate = rng.normal(0, SPEAKER_MAP, CHANNELS), rng.uniform(0.9, 1.1)
        for label, (prefix, suffix, long_prefix, long_suffix) in enumerate(words):
            parts = [
                part[np.arange(round(long * rate)) * len(part) // round(long * rate)]
                for part, long in ((prefix, long_prefix), (suffix, long_suffix))
            ]
            x = phones[np.concatenate(parts)]
            x = np.stack([np.convolve(c, np.ones(4) / 4, "same") for c in x.T], 1)
            spoken.append(x @ voice.T + shift + rng.normal(0, FRAME_NOISE, x.shape))
            labels.append(label)
            is_test.append(speaker >= TRAIN_SPEAKERS)
    heard = np.concatenate([x for x, test in zip(spoken, is_test, strict=True) if not test])
    lengths = np.array([len(x) for x in spoken])
    frames = np.zeros((lengths.max(), CHANNELS, len(spoken)))
    for k, x in enumerate(spoken):
        frames[: len(x), :, k] = (x - heard.mean(0)) / heard.std(0)
    return frames, lengths, np.array(labels), np.array(is_test)


def plain_clockwork(w, periods, x):
    """Outputs (time, out) of one clockwork net on x (time, in), module by module (section 3)."""
    size = len(w["b"]) // len(periods)
    h, outputs = np.zeros(len(w["b"])), []
    for t in range(len(x)):
        before = h.copy()
        for i, period in enumerate(periods):
            if t % period == 0:
                rows = slice(i * size, (i + 1) * size)
                z = w["V"][rows] @ x[t] + w["b"][rows]
                for j, other in enumerate(periods):
                    if other >= period:
                        columns = slice(j * size, (j + 1) * size)
                        z += w["W"][rows, columns] @ before[columns]
                h[rows] = np.tanh(z)
        outputs.append(w["U"] @ h + w["c"])
    return np.array(outputs)


class Clockwork:
    """Clockwork nets side by side; one module of period 1 makes a plain recurrent net.

    Modules stand fast to slow, so the units due at a step are the first ones.
    """

    def __init__(self, rng, nets, inputs, outputs, periods, size, dtype=np.float32):
        n = self.units = len(periods) * size
        clock = np.repeat(periods, size)
        self.clock, self.size = clock, size
        self.mask = (clock[None, :] >= clock[:, None]).astype(dtype)
        shapes = {"W": (n, n), "V": (n, inputs), "b": (n, 1), "U": (outputs, n), "c": (outputs, 1)}
        draw = {k: rng.normal(0, INITIAL, (nets, *s)).astype(dtype) for k, s in shapes.items()}
        self.weights = draw | {"W": draw["W"] * self.mask}

    def count(self):
        """Weights of one net."""
        idle = int((self.mask == 0).sum())
        return sum(math.prod(w.shape[1:]) for w in self.weights.values()) - idle

    def forward(self, x):
        """y (time, nets, out, sequences) from x (time, nets, in, sequences)."""
        w = self.weights
        self.x, steps = x, len(x)
        self.due = [int((t % self.clock == 0).sum()) for t in range(steps)]
        self.parts = {n: np.ascontiguousarray(w["W"][:, :n]) for n in set(self.due)}
        drive = w["V"] @ x + w["b"]
        shape = (steps + 1, w["W"].shape[0], self.units, x.shape[-1])
        self.h = h = np.zeros(shape, w["W"].dtype)
        for t, n in enumerate(self.due):
            z = self.parts[n] @ h[t]
            z += drive[t, :, :n]
            np.tanh(z, out=h[t + 1, :, :n])
            h[t + 1, :, n:] = h[t, :, n:]
        return w["U"] @ h[1:] + w["c"]

    def backward(self, dy):
        """Gradients of a loss whose derivative by y is dy.

        Units that are due: d = (1 - h^2) dh, then dh(t-1) = W^T d; others: dh(t-1) = dh(t).
        """
        w, h = self.weights, self.h
        above = w["U"].transpose(0, 2, 1) @ dy
        slope = 1 - h[1:] * h[1:]
        d, dh = np.zeros_like(above), np.zeros_like(above[0])
        back = {n: np.ascontiguousarray(p.transpose(0, 2, 1)) for n, p in self.parts.items()}
        for t in range(len(dy) - 1, -1, -1):
            n = self.due[t]
            dh += above[t]
            np.multiply(dh[:, :n], slope[t, :, :n], out=d[t, :, :n])
            dh[:, :n] = 0
            dh += back[n] @ d[t, :, :n]
        g = {"W": over_time(d, h[:-1]) * self.mask, "V": over_time(d, self.x)}
        g |= {"U": over_time(dy, h[1:])}
        return g | {"b": d.sum((0, 3))[..., None], "c": dy.sum((0, 3))[..., None]}


class Lstm:
    """LSTM nets side by side; rows of W, V and b: input, forget, output gate, new content."""

    def __init__(self, rng, nets, inputs, outputs, cells, dtype=np.float32):
        self.units = n = cells
        shapes = {"W": (4 * n, n), "V": (4 * n, inputs), "b": (4 * n, 1)}
        shapes |= {"U": (outputs, n), "c": (outputs, 1)}
        self.weights = {
            k: rng.normal(0, INITIAL, (nets, *s)).astype(dtype) for k, s in shapes.items()
        }
        self.weights["b"][:, n : 2 * n] += FORGET_BIAS

    def count(self):
        """Weights of one net."""
        return sum(math.prod(w.shape[1:]) for w in self.weights.values())

    def forward(self, x):
        """y from x, shapes as above: c(t) = f c(t-1) + i g, h(t) = o tanh(c(t))."""
        w, n = self.weights, self.units
        self.x, steps = x, len(x)
        drive = w["V"] @ x + w["b"]
        drive[:, :, : 3 * n] *= 0.5  # sigmoid(z) = (1 + tanh(z / 2)) / 2
        W = w["W"].copy()
        W[:, : 3 * n] *= 0.5
        self.h = np.zeros((steps + 1, len(W), n, x.shape[-1]), W.dtype)
        self.cell, self.out = np.zeros_like(self.h), np.zeros_like(self.h)
        self.gates = drive
        for t in range(steps):
            z = self.gates[t]
            z += W @ self.h[t]
            np.tanh(z, out=z)
            z[:, : 3 * n] += 1
            z[:, : 3 * n] *= 0.5
            np.multiply(z[:, n : 2 * n], self.cell[t], out=self.cell[t + 1])
            self.cell[t + 1] += z[:, :n] * z[:, 3 * n :]
            np.tanh(self.cell[t + 1], out=self.out[t + 1])
            np.multiply(z[:, 2 * n : 3 * n], self.out[t + 1], out=self.h[t + 1])
        return w["U"] @ self.h[1:] + w["c"]

    def backward(self, dy):
        """Gradients of a loss whose derivative by y is dy."""
        w, n = self.weights, self.units
        i, f, o, g = (self.gates[:, :, k * n : (k + 1) * n] for k in range(4))
        out = self.out[1:]
        slope = np.concatenate(  # of the gates, times what each multiplies
            [i * (1 - i) * g, f * (1 - f) * self.cell[:-1], o * (1 - o) * out, i * (1 - g * g)], 2
        )
        opens = o * (1 - out * out)
        above, back = w["U"].transpose(0, 2, 1) @ dy, w["W"].transpose(0, 2, 1).copy()
        d, dh, dc = np.empty_like(slope), np.zeros_like(above[0]), np.zeros_like(above[0])
        for t in range(len(dy) - 1, -1, -1):
            dh += above[t]
            dc += dh * opens[t]
            for k, error in enumerate((dc, dc, dh, dc)):
                rows = slice(k * n, (k + 1) * n)
                np.multiply(error, slope[t, :, rows], out=d[t, :, rows])
            dc *= f[t]
            dh = back @ d[t]
        g = {"W": over_time(d, self.h[:-1]), "V": over_time(d, self.x)}
        g |= {"U": over_time(dy, self.h[1:]), "b": d.sum((0, 3))[..., None]}
        return g | {"c": dy.sum((0, 3))[..., None]}


def over_time(d, h):
    """Sum over time and sequences of d h^T: (nets, rows, columns)."""
    nets = d.shape[1]
    left = d.transpose(1, 2, 0, 3).reshape(nets, d.shape[2], d.shape[0] * d.shape[3])
    right = h.transpose(1, 0, 3, 2).reshape(nets, d.shape[0] * d.shape[3], h.shape[2])
    return left @ right


def cost_ratio(periods):
    """Multiply-adds in W a step: plain net / clockwork net of the same width, equal modules.

    Module i of G has G - i blocks of G^2 in a row and is due every T_i steps (section 3).
    """
    G = len(periods)
    return float(G * G / sum((G - i) / period for i, period in enumerate(periods)))


class Nesterov:
    """Gradient descent with Nesterov momentum; limit: longest gradient of a net."""

    def __init__(self, weights, rate, limit=math.inf):
        self.rate, self.limit = rate, limit
        self.velocity = {name: np.zeros_like(w) for name, w in weights.items()}

    def step(self, weights, grads):
        """Move the weights: v = m v - r g, then w + m v - r g (w stands at the point ahead)."""
        norm = np.sqrt(sum((g * g).sum((1, 2), keepdims=True) for g in grads.values()))
        scale = -self.rate * np.minimum(1, self.limit / (norm + 1e-12))
        for name, w in weights.items():
            move, v = scale.astype(w.dtype) * grads[name], self.velocity[name]
            v *= MOMENTUM
            v += move
            w += MOMENTUM * v + move


def learn_waves(net, x, target, rate, limit, epochs, seen):
    """Fit target (time, nets, 1, 1); returns the last waveforms (time, nets) and their NMSE.

    Calls seen(epoch, mean of the nets' normalised errors) twenty times.
    """
    rule, variance = Nesterov(net.weights, rate, limit), target.var(0)
    for epoch in range(epochs + 1):
        e = net.forward(x) - target
        nmse = float(((e * e).mean(0) / variance).mean())
        if not math.isfinite(nmse):
            raise FloatingPointError("a net grew beyond all numbers")
        if epoch % max(1, epochs // 20) == 0:
            seen(epoch, nmse)
        if epoch < epochs:
            rule.step(net.weights, net.backward(2 / len(e) * e))
    return (e + target)[:, :, 0, 0], nmse


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


def read_out(net, frames, lengths):
    """Logits (25, sequences) at each sequence's own last frame, and all y."""
    y = net.forward(frames[:, None])
    return y[lengths - 1, 0, :, np.arange(len(lengths))].T, y


def learn_words(net, data, rng, rate, epochs, seen):
    """Train on the 125 words until the noise-free loss stalls; returns train and test error."""
    frames, lengths, labels, is_test = data
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    rule, best, since = Adam(net.weights, rate, limit=1.0), math.inf, 0
    for epoch in range(epochs):
        order = rng.permutation(train)
        for batch in order.reshape(-1, BATCH):
            x = frames[: lengths[batch].max(), :, batch]
            x = x + rng.normal(0, INPUT_NOISE, x.shape).astype(x.dtype)
            logits, y = read_out(net, x, lengths[batch])
            dy = np.zeros_like(y)
            _, e = cross_entropy(logits, labels[batch])
            dy[lengths[batch] - 1, 0, :, np.arange(BATCH)] = e.T
            rule.step(net.weights, net.backward(dy))
        logits, _ = read_out(net, frames[:, :, train], lengths[train])
        loss, _ = cross_entropy(logits, labels[train])
        seen(epoch + 1, loss)
        since = 0 if loss < best else since + 1
        best = min(best, loss)
        if since >= PATIENCE:
            break
    answers = read_out(net, frames[:, :, test], lengths[test])[0].argmax(0)
    wrong = logits.argmax(0) != labels[train], answers != labels[test]
    return tuple(float(part.mean()) for part in wrong)


def cross_entropy(logits, labels):
    """Mean cross-entropy of the softmax, and its derivative by the logits (25, sequences)."""
    z = logits - logits.max(0)
    p, columns = np.exp(z), np.arange(len(labels))
    total = p.sum(0)
    loss = float((np.log(total) - z[labels, columns]).mean())
    p /= total
    p[labels, columns] -= 1
    return loss, p / len(labels)


def make_nets(task, rng, units, dtype=np.float32):
    """By kind: the net of a task, and its rate and the limit of its gradient."""
    inputs, outputs, nets = {"music": (0, 1, 5), "words": (13, 25, 1), "sines": (1, 1, 1)}[task]
    modules, plain, cells = {"music": (9, 31, 15), "words": (7, 32, 16), "sines": (8, 48, 0)}[task]
    periods, form = 2 ** np.arange(modules), (rng, nets, inputs, outputs)
    made = {
        "clockwork": (Clockwork(*form, periods, units, dtype), 0.03, math.inf),
        "srn": (Clockwork(*form, [1], plain, dtype), 0.01, 1.0),
    }
    if cells:
        made["lstm"] = (Lstm(*form, cells, dtype), 0.01, 1.0)
    return made


def run(config: Config = Config(), watch=None) -> Result:
    """Train the nets of a task one after the other."""
    rngs = np.random.default_rng(config.seed).spawn(3)
    result = Result({}, {"kind": [], "epoch": [], "error": []}, {}, {})
    made, metrics = make_nets(config.task, rngs[0], config.units), result.metrics
    if config.task == "words":
        frames, *rest = spoken_words(rngs[1])
        data = (frames.astype(np.float32), *rest)
    else:
        waves = music_windows() if config.task == "music" else four_sines(rngs[1])
        target = waves[:, :, None, None].astype(np.float32)
        x = np.ones((SAMPLES, waves.shape[1], int(config.task == "sines"), 1), np.float32)
    for number, (kind, (net, rate, limit)) in enumerate(made.items()):

        def seen(epoch, error, kind=kind, number=number):
            for column, value in zip(result.history.values(), (kind, epoch, error), strict=True):
                column.append(value)
            if watch:
                total = len(made) * config.epochs
                watch(number * config.epochs + epoch, total, error=error)

        metrics[f"{kind}_weights"] = net.count()
        result.nets[kind] = net
        if config.task == "words":
            errors = learn_words(net, data, rngs[2], 0.01, config.epochs, seen)
            metrics[f"{kind}_train_error"], metrics[f"{kind}_error"] = errors
        else:
            found = learn_waves(net, x, target, rate, limit, config.epochs, seen)
            result.outputs[kind], metrics[f"{kind}_nmse"] = found
    if config.task != "words":
        for kind in list(made)[1:]:
            ratio = metrics[f"{kind}_nmse"] / metrics["clockwork_nmse"]
            metrics[f"{kind}_over_clockwork"] = ratio
    metrics["cost_ratio"] = cost_ratio(np.unique(made["clockwork"][0].clock))
    return result


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
    """Worst relative error of backward() of clockwork, plain and LSTM nets, in float64."""
    rng, worst = np.random.default_rng(config.seed), 0.0
    form = (rng, 2, 3, 2)
    for net in (
        Clockwork(*form, [1, 2, 4], 3, np.float64),
        Clockwork(*form, [1], 5, np.float64),
        Lstm(*form, 4, np.float64),
    ):
        x, target = rng.normal(0, 1, (11, 2, 3, 4)), rng.normal(0, 1, (11, 2, 2, 4))
        grads = net.backward(net.forward(x) - target)

        def loss(net=net, x=x, target=target):
            if isinstance(net, Clockwork):  # weights from faster modules do not exist
                net.weights["W"] *= net.mask
            return 0.5 * float(((net.forward(x) - target) ** 2).sum())

        worst = max(worst, worst_relative_error(loss, net.weights, grads))
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
