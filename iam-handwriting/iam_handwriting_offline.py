"""Handwriting on paper: bidirectional LSTM with CTC against hidden Markov models, in strings.

Task      Strings of 4 to 8 handwritten digits (MNIST) that touch or overlap, read from left to
          right, with nine features a column of pixels. The strings are made of digits that people
          wrote; other people wrote those of the test set. Stands in for scanned lines of text.
Net       Two columns a step -> LSTM forwards and backwards -> softmax over digits and the blank,
          trained by CTC (Graves et al. 2009), as in the other script of this folder.
Rival     A hidden Markov model: eight states a digit, 8 diagonal Gaussians a state, fitted from an
          even segmentation. Another digit costs a penalty chosen on validation strings.
Shapes    pictures (batch, 28, columns) of 0 to 255; x (time, batch, features), 0 behind the end;
          W (directions, 4 cells, inputs + 1 + cells), V (hidden + 1, classes).
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import hashlib
import json
import math
import numbers
import os
import platform
import sys
import time
import zlib
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

DIGITS, FEATURES, STACKED = 10, 9, 2  # features of a column, columns a step of the net
STATES, GAUSSIANS, FITS, FITTED = 8, 8, 5, 800  # of a digit; a state; rounds and strings of fitting
PENALTIES = (30, 20, 10, 0, -10, -20)  # for another digit
VALID, HELD, STRINGS = 150, 10_000, 300  # validation strings, of so many digits; test strings
BATCH, LOOKS = 32, 15


@dataclass(frozen=True)
class Config:
    """Net and training; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    updates: int = option(1500, "training batches of 32", 1, 20_000)
    cells: int = option(48, "LSTM cells in each direction", 2, 128)
    rate: float = option(0.015, "Adam's first step size; it falls to a tenth", 1e-5, 0.1)
    longest: int = option(8, "digits of the longest strings; of the shortest, half", 2, 8)
    rival: bool = option(True, "fit the Markov model")

    def __post_init__(self):
        check_options(self)


QUICK = {"updates": 350, "cells": 24, "rate": 0.02, "longest": 2, "rival": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curve: update, loss, error in percent on validation strings
    weights: dict
    tests: tuple  # pictures, widths, strings, what CTC and the rival read (None without one)


# --- strings of digits ---


# idiom: mnist
# File (kept as NAME.gz): magic number, number of items, SHA-256 of the unpacked content.
MNIST_CONTENT = {
    "train-images-idx3-ubyte": (
        2051,
        60000,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        2049,
        60000,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        2051,
        10000,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        2049,
        10000,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}


def read_mnist(directory=None):
    """MNIST (LeCun, Cortes & Burges 1998): train images, train labels, test images, test labels.

    Images are uint8 (60000 or 10000, 28, 28), 0 = background; labels are uint8. The directory is
    the one given, else the environment variable MNIST_DIR, else data/mnist beside this folder.
    Raises OSError that says what is wrong with which file.
    """
    beside = Path(__file__).resolve().parents[1] / "data" / "mnist"
    directory = Path(directory or os.environ.get("MNIST_DIR") or beside)
    advice = "set MNIST_DIR to the directory of the four files; the catalog has them in data/mnist"
    arrays = []
    for name, (magic, count, digest) in MNIST_CONTENT.items():
        path = directory / f"{name}.gz"
        if not path.is_file():
            raise OSError(f"MNIST file missing: {path} ({advice})")
        try:
            content = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise OSError(f"{path} is not a whole gzip file: {error} ({advice})") from None
        size = 8 + count if magic == 2049 else 16 + count * 784
        if int.from_bytes(content[:4], "big") != magic:
            found = int.from_bytes(content[:4], "big")
            raise OSError(f"{path} starts with magic number {found}, expected {magic} ({advice})")
        if len(content) != size or int.from_bytes(content[4:8], "big") != count:
            found = f"{len(content)} bytes, expected {size} for {count} items"
            raise OSError(f"{path} unpacks to {found} ({advice})")
        if hashlib.sha256(content).hexdigest() != digest:
            raise OSError(f"{path} is not MNIST's content: its SHA-256 differs ({advice})")
        array = np.frombuffer(content, np.uint8, offset=8 if magic == 2049 else 16)
        arrays.append(array.reshape(count, 28, 28) if magic == 2051 else array)
    return arrays


# end idiom


def draw_digits(rng, images, labels, count, low, high):
    """Pictures (count, 28, longest) of low to high digits each, their widths, and the digits.

    Digits are cut to their columns, moved up or down by up to three pixels and set side by side
    with four columns between them to three columns of overlap.
    """
    sizes = rng.integers(low, high + 1, count)
    chosen = rng.integers(len(images), size=sizes.sum())
    shift, gap = rng.integers(-3, 4, len(chosen)), rng.integers(-3, 5, len(chosen))
    ink = (images[chosen] > 25).any(1)
    left, right = ink.argmax(1), 28 - ink[:, ::-1].argmax(1)
    line = np.repeat(np.arange(count), sizes)
    step = right - left + gap
    edge = np.cumsum(step) - step
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    edge = edge - edge[first][line] + 2
    widths = np.maximum.reduceat(edge + right - left, first) + 2
    pictures = np.zeros((count, 28, widths.max()), np.uint8)
    for k, b in enumerate(line):
        digit = np.roll(images[chosen[k]][:, left[k] : right[k]], shift[k], 0)
        place = pictures[b, :, edge[k] : edge[k] + digit.shape[1]]
        np.maximum(place, digit, out=place)
    return pictures, widths, np.split(labels[chosen].astype(int), np.cumsum(sizes)[:-1])


def column_features(pictures, widths):
    """The nine features (columns, batch, 9) of Marti & Bunke (2001), 0 behind the end.

    Mean, centre of gravity and second moment of the ink, top and bottom of it and their slopes,
    changes between ink and paper, and the mean ink between top and bottom.
    """
    p = pictures.transpose(2, 0, 1) / np.float32(255)
    row, ink = np.arange(28, dtype=np.float32), p > 0.3
    mass, any_ink = p.sum(2), ink.any(2)
    centre = np.where(mass > 0, (p * row).sum(2) / np.maximum(mass, 1e-6), 14)
    second = np.where(mass > 0, (p * row * row).sum(2) / np.maximum(mass, 1e-6), 196)
    top = np.where(any_ink, ink.argmax(2), 14)
    bottom = np.where(any_ink, 27 - ink[:, :, ::-1].argmax(2), 14)
    changes = (ink[:, :, 1:] != ink[:, :, :-1]).sum(2)
    between = (p * ((row >= top[:, :, None]) & (row <= bottom[:, :, None]))).sum(2)
    slopes = [np.gradient(edge.astype(np.float32), axis=0) for edge in (top, bottom)]
    columns = [
        mass / 4 - 1,
        (centre - 14) / 5,
        (second - centre**2) / 20 - 1,
        (top - 10) / 5,
        (bottom - 18) / 5,
        slopes[0] / 3,
        slopes[1] / 3,
        changes / 2 - 1,
        between / np.maximum(bottom - top + 1, 1) * 2 - 1,
    ]
    inside = np.arange(len(p))[:, None] < widths
    return (np.stack(columns, 2) * inside[:, :, None]).astype(np.float32)


# --- the net --------------------------------------------------------------------------------------


# idiom: blstm
def turned(x, lengths):
    """x (time, batch, ...) with the first lengths[b] steps of each sequence in reverse order."""
    t = np.arange(len(x))[:, None]
    return x[np.where(t < lengths, lengths - 1 - t, t), np.arange(x.shape[1])]


def blstm_weights(rng, inputs, cells, directions=2, size=0.1, forget=1.0, dtype=np.float32):
    """Normal weights W (directions, 4 cells, inputs + 1 + cells); forget: bias of forget gates."""
    W = size * rng.normal(size=(directions, 4 * cells, inputs + 1 + cells))
    W[:, cells : 2 * cells, inputs] = forget
    return W.astype(dtype)


def blstm_forward(W, x, lengths):
    """Cell outputs (time, batch, directions * cells) of x (time, batch, inputs), and the memory
    that blstm_backward() needs.

    Rows of W[d]: input gates i, forget gates f, candidates g, output gates o. Direction d sees
    u(t) = [x(t), 1, h(t-1)]; with net = W[d] u(t) and f the logistic function,
        c(t) = f(net_f) c(t-1) + f(net_i) tanh(net_g),  h(t) = f(net_o) tanh(c(t)),
    c and h being 0 before the first step (Graves & Schmidhuber 2005, without peepholes). The
    second direction reads each sequence backwards, from its own last step, so that padding is
    never seen before it. W with one direction is the one-way net.
    """
    steps, batch, inputs = x.shape
    directions, rows, width = W.shape
    cells = rows // 4
    U = np.empty((steps + 1, directions, width, batch), W.dtype)
    U[0, :, inputs + 1 :], U[:, :, inputs] = 0, 1
    for d in range(directions):
        U[:steps, d, :inputs] = (turned(x, lengths) if d else x).swapaxes(1, 2)
    gates = np.empty((steps, directions, rows, batch), W.dtype)
    c = np.zeros((steps + 1, directions, cells, batch), W.dtype)
    tanh_c = np.empty((steps, directions, cells, batch), W.dtype)
    half = np.full((rows, 1), 0.5, W.dtype)  # f(x) = (1 + tanh(x / 2)) / 2: one tanh for all
    half[2 * cells : 3 * cells] = 1
    half_W, shift = W * half, 1 - half
    i, f, g, o = (gates[:, :, k * cells : (k + 1) * cells] for k in range(4))
    h, step = U[1:, :, inputs + 1 :], np.empty_like(c[0])
    for t in range(steps):
        np.matmul(half_W, U[t], out=gates[t])
        np.tanh(gates[t], out=gates[t])
        gates[t] *= half
        gates[t] += shift
        np.multiply(f[t], c[t], out=c[t + 1])
        np.multiply(i[t], g[t], out=step)
        c[t + 1] += step
        np.tanh(c[t + 1], out=tanh_c[t])
        np.multiply(o[t], tanh_c[t], out=h[t])
    y = np.ascontiguousarray(h.transpose(0, 3, 1, 2))
    y[:, :, 1:] = turned(y[:, :, 1:], lengths)
    return y.reshape(steps, batch, -1), (U, gates, c, tanh_c, lengths)


def blstm_backward(W, memory, e):
    """Full gradient of W; e: error at the cell outputs, 0 behind the end of a sequence.

    e_h(t) = e(t) + R^T delta(t+1), R the part of W that sees h
    e_c(t) = e_h(t) o (1 - tanh(c)^2) + e_c(t+1) f(t+1)
    delta  = [e_c g i (1 - i), e_c c(t-1) f (1 - f), e_c i (1 - g^2), e_h tanh(c) o (1 - o)]
    dW     = sum over t of delta(t) u(t)^T
    """
    U, gates, c, tanh_c, lengths = memory
    steps, directions, rows, batch = gates.shape
    cells = rows // 4
    e = e.reshape(steps, batch, directions, cells).copy()
    e[:, :, 1:] = turned(e[:, :, 1:], lengths)
    e = np.ascontiguousarray(e.transpose(0, 2, 3, 1))
    parts = gates.reshape(steps, directions, 4, cells, batch)
    i, f, g, o = parts.transpose(2, 0, 1, 3, 4)
    delta = np.empty_like(parts)  # first the factors of e_c and e_h, for all steps at once
    delta[:, :, 0] = g * i * (1 - i)
    delta[:, :, 1] = c[:-1] * f * (1 - f)
    delta[:, :, 2] = i * (1 - g * g)
    delta[:, :, 3] = tanh_c * o * (1 - o)
    slope = o * (1 - tanh_c * tanh_c)
    back = np.ascontiguousarray(W[:, :, -cells:].swapaxes(1, 2))
    flat, e_c = delta.reshape(gates.shape), np.zeros_like(c[0])
    for t in range(steps - 1, -1, -1):
        if t < steps - 1:
            e[t] += back @ flat[t + 1]
            e_c *= f[t + 1]
        e_c += e[t] * slope[t]
        delta[t, :, :3] *= e_c[:, None]
        delta[t, :, 3] *= e[t]
    flat = flat.transpose(1, 2, 0, 3).reshape(directions, rows, -1)
    return flat @ U[:steps].transpose(1, 0, 3, 2).reshape(directions, -1, W.shape[2])


# end idiom


def make_net(rng, inputs, classes, cells, dtype=np.float32):
    """Weights W and V."""
    V = rng.normal(0, 0.1, (2 * cells + 1, classes)).astype(dtype)
    return {"W": blstm_weights(rng, inputs, cells, dtype=dtype), "V": V}


def stacked(x, lengths):
    """Two columns a step: (time / 2, batch, 2 features), and the steps of each string."""
    x = np.pad(x, ((0, len(x) % STACKED), (0, 0), (0, 0)))
    return np.concatenate([x[k::STACKED] for k in range(STACKED)], 2), -(-lengths // STACKED)


def forward(w, x, lengths):
    """Probabilities (time, batch, classes), and what backward() needs."""
    hidden, memory = blstm_forward(w["W"], x, lengths)
    a = hidden @ w["V"][:-1] + w["V"][-1]
    y = np.exp(a - a.max(2, keepdims=True))
    y /= y.sum(2, keepdims=True)
    return y, (hidden, memory)


def backward(w, seen, da):
    """Gradient of the weights; da: that of the softmax's inputs, 0 in padding."""
    hidden, memory = seen
    flat = da.reshape(-1, da.shape[2])
    dV = np.concatenate([hidden.reshape(len(flat), -1).T @ flat, flat.sum(0)[None]])
    return {"W": blstm_backward(w["W"], memory, da @ w["V"][:-1].T), "V": dV}


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


# idiom: ctc
def ctc(y, lengths, labels, counts):
    """Losses -ln p(labels | y) (batch,) and their gradient (time, batch, classes) at the softmax's
    inputs (Graves, Fernandez, Gomez & Schmidhuber 2006).

    y: probabilities (time, batch, classes), the last class is the blank; lengths: frames (batch,);
    labels (batch, longest), the first counts[b] of which count. l' is the string with blanks
    around and between its labels, s a place in it, and
        alpha_t(s) = y_t(l'_s) [alpha_{t-1}(s) + alpha_{t-1}(s-1) + alpha_{t-1}(s-2)],
    the last term only where l'_s is a label other than l'_{s-2}; beta is the alpha of string and
    frames in reverse order, so that both are found in one batch. With p the probability of all
    paths, d(-ln p)/da_t(k) = y_t(k) - sum over l'_s = k of alpha_t(s) beta_t(s) / (p y_t(k)).
    Probabilities below 1e-12 count as 1e-12. Where the frames are too few for the string, the loss
    is infinite and the gradient 0; 0, too, at a frame whose alpha beta are all below 1e-300.
    """
    steps, batch, classes = y.shape
    blank, places, who = classes - 1, 2 * labels.shape[1] + 1, np.arange(batch)
    t, s = np.arange(steps)[:, None], np.arange(places)
    last, inside = 2 * counts, t < lengths
    back_t = np.where(inside, lengths - 1 - t, t)  # frames and places in reverse order
    exists = s <= last[:, None]
    back_s = np.where(exists, last[:, None] - s, s)
    text = np.full((batch, places), blank)
    text[:, 1::2] = labels
    text[~exists] = blank
    seen = np.maximum(np.take_along_axis(y, text[None], 2).astype(float), 1e-12) * exists
    both = np.concatenate([seen, seen[back_t[:, :, None], who[:, None], back_s]], 1)
    texts = np.concatenate([text, text[who[:, None], back_s]])
    jump = np.ones(texts.shape, bool)
    jump[:, 2:] = (texts[:, 2:] != blank) & (texts[:, 2:] != texts[:, :-2])
    alpha = np.zeros((steps + 1, 2 * batch, places + 2))  # two places more: alpha_{t-1}(s-1), (s-2)
    alpha[0, :, 1] = 1  # before the first frame: one step from l'_0, a jump from l'_1
    scale = np.empty((steps, 2 * batch))
    for before, now, y_t, norm in zip(alpha, alpha[1:], both, scale, strict=False):
        a = (before[:, 2:] + before[:, 1:-1] + jump * before[:, :-2]) * y_t
        norm[:] = a.sum(1)
        now[:, 2:] = a / norm[:, None]
    ends = alpha[lengths, who][who[:, None], last[:, None] + [1, 2]].sum(1)
    with np.errstate(divide="ignore"):
        loss = -np.log(ends) - (np.log(scale[:, :batch]) * inside).sum(0)
    beta = alpha[1:, batch:, 2:][back_t[:, :, None], who[:, None], back_s]
    share = alpha[1:, :batch, 2:] * beta / np.where(exists, seen, 1)
    total = share.sum(2, keepdims=True)
    share /= np.maximum(total, 1e-300)
    one_hot = (text[:, :, None] == np.arange(classes)) * exists[:, :, None]
    posterior = (share.swapaxes(0, 1) @ one_hot).swapaxes(0, 1)
    use = inside & np.isfinite(loss) & (total[:, :, 0] > 1e-300)
    return loss, ((y - posterior) * use[:, :, None]).astype(y.dtype)


def best_path(y, lengths):
    """The label strings, lists, of the likeliest class a frame: repeats merged, blanks dropped."""
    best, blank = y.argmax(2), y.shape[2] - 1
    new = np.concatenate([best[:1] >= 0, best[1:] != best[:-1]]) & (best != blank)
    return [list(map(int, best[:n, b][new[:n, b]])) for b, n in enumerate(lengths)]


# end idiom


def string_error(y, lengths, strings):
    """CTC losses of a batch, and the gradient of 3 / time of their sum at the softmax's inputs."""
    counts = np.array([len(string) for string in strings])
    labels = np.zeros((len(strings), counts.max()), int)
    for row, string in zip(labels, strings, strict=True):
        row[: len(string)] = string
    loss, da = ctc(y, lengths, labels, counts)
    return loss, da * np.asarray(3 / len(y), da.dtype)


def train(config, w, draw, look):
    """Teach a net by CTC; draw(share of the training done) gives x, lengths and strings."""
    optimiser = Adam(w, config.rate, limit=1.0)
    for update in range(config.updates):
        done = update / config.updates
        x, lengths, strings = draw(done)
        y, seen = forward(w, x, lengths)
        loss, da = string_error(y, lengths, strings)
        optimiser.rate = config.rate * (1 - 0.9 * done)
        optimiser.step(w, backward(w, seen, da))
        if (update + 1) % max(1, config.updates // LOOKS) == 0:
            usable = loss[np.isfinite(loss)]
            look(update + 1, float(usable.mean()) if len(usable) else 0.0, w)
    return w


# idiom: edit_distance
def edit_distance(one, other):
    """Fewest insertions, deletions and substitutions that turn one sequence into the other."""
    row = list(range(len(other) + 1))  # from the first k items of one to the first j of other
    for k, item in enumerate(one, 1):
        diagonal, row[0] = row[0], k
        for j, target in enumerate(other, 1):
            changed = diagonal + (item != target)
            diagonal = row[j]
            row[j] = min(changed, row[j] + 1, row[j - 1] + 1)
    return row[-1]


# end idiom


def percent_wrong(found, strings):
    """Edit distances over the length of the true strings, in percent."""
    wrong = sum(map(edit_distance, found, map(list, strings)))
    return 100 * wrong / sum(map(len, strings))


# --- the hidden Markov model ---


# idiom: gaussian_hmm
def fit_mixtures(frames, state, states, gaussians, rounds=4):
    """A mixture of diagonal Gaussians for each state: log weights (states, gaussians), means and
    variances (states, gaussians, features).

    frames (n, features) and state (n,), the state that each belongs to. gaussians is a power of
    two: from one Gaussian on, all are split in two, a fifth of a standard deviation to either
    side, and `rounds` rounds of expectation and maximisation follow. Variances stay above a
    hundredth of those of all frames; a state without frames gets the Gaussian of all.
    """
    floor, fitted = 0.01 * frames.var(0) + 1e-8, []
    order = np.argsort(state, kind="stable")
    bounds = np.searchsorted(state[order], np.arange(states + 1))
    for first, end in zip(bounds, bounds[1:], strict=False):
        x = frames[order[first:end]] if end > first else frames
        mixture = (np.zeros(1), x.mean(0)[None], np.maximum(x.var(0), floor)[None])
        while len(mixture[0]) < gaussians:
            log_w, mean, var = (np.concatenate([part, part]) for part in mixture)
            side = 0.2 * np.sqrt(var) * np.repeat([1, -1], len(var) // 2)[:, None]
            mixture = (log_w - np.log(2), mean + side, var)
            for _ in range(rounds):
                part = log_parts(mixture, x)
                part = np.exp(part - part.max(1, keepdims=True))
                part /= part.sum(1, keepdims=True)
                n = part.sum(0)[:, None] + 1e-6
                mean = (part.T @ x + 1e-6 * x.mean(0)) / n
                var = np.maximum(part.T @ (x * x) / n - mean * mean, floor)
                mixture = (np.log(n[:, 0] / n.sum()), mean, var)
        fitted.append(mixture)
    return tuple(np.stack(part) for part in zip(*fitted, strict=True))


def log_parts(mixture, x):
    """Log weight plus log density of x (n, features) under each Gaussian: (n, gaussians)."""
    log_w, mean, var = mixture
    constant = log_w - 0.5 * (mean * mean / var + np.log(2 * np.pi * var)).sum(1)
    return x @ (mean / var).T - (x * x) @ (0.5 / var).T + constant


def log_densities(mixtures, frames):
    """Log density of each frame (n, features) under each state's mixture: (n, states)."""
    columns = []
    for mixture in zip(*mixtures, strict=True):
        part = log_parts(mixture, frames)
        top = part.max(1)
        columns.append(top + np.log(np.exp(part - top[:, None]).sum(1)))
    return np.stack(columns, 1)


def viterbi(score, lengths, start, step, end):
    """The best paths (time, batch) and their scores (batch,), the states behind an end being -1.

    score (time, batch, states): log density of a frame in a state; start, end (states,) and step
    (states, states), from and to: log probabilities, -inf where there is no way.
    """
    steps, batch, states = score.shape
    came, best, into = np.empty(score.shape, np.int16), score[0] + start, step.T
    final = np.where(lengths[:, None] == 1, best + end, -np.inf)
    for t in range(1, steps):
        ways = best[:, None] + into  # (batch, to, from)
        came[t] = ways.argmax(2)
        best = np.take_along_axis(ways, came[t][:, :, None].astype(int), 2)[:, :, 0] + score[t]
        final = np.where(lengths[:, None] == t + 1, best + end, final)
    path, who, here = np.full((steps, batch), -1), np.arange(batch), final.argmax(1)
    for t in range(steps - 1, -1, -1):
        inside = t < lengths
        path[t] = np.where(inside, here, -1)
        if t:
            here = np.where(inside, came[t, who, here], here)
    return path, final.max(1)


def align(score, lengths, places):
    """The best chain (time, batch) through score (time, batch, longest), -1 behind an end: from
    place 0 to place places[b] - 1 in lengths[b] frames, each frame staying or going on by one.

    The alignment of frames with a known string of states; it needs lengths >= places.
    """
    steps, batch, longest = score.shape
    best = np.full((batch, longest + 1), -np.inf)
    best[:, 1] = score[0, :, 0]
    went = np.zeros(score.shape, bool)
    for t in range(1, steps):
        went[t] = best[:, :-1] > best[:, 1:]
        best[:, 1:] = np.maximum(best[:, :-1], best[:, 1:]) + score[t]
    path, who, here = np.full((steps, batch), -1), np.arange(batch), places - 1
    for t in range(steps - 1, -1, -1):
        inside = t < lengths
        path[t] = np.where(inside, here, -1)
        here = here - (inside & went[t, who, here])
    return path


# end idiom


def fit_hmm(x, lengths, strings):
    """Mixtures of all states from strings without bounds: first cut evenly, then align the columns
    with the states and fit them anew, five times, with 1, 2, 4, 8 and 8 Gaussians."""
    sizes = STATES * np.array([len(string) for string in strings])
    usable = sizes <= lengths
    x, lengths, places = x[:, usable].astype(float), lengths[usable], sizes[usable]
    chain = np.zeros((len(places), places.max()), int)
    for row, k, n in zip(chain, np.flatnonzero(usable), places, strict=True):
        row[:n] = (STATES * strings[k][:, None] + np.arange(STATES)).ravel()
    t, who = np.arange(len(x))[:, None], np.arange(len(places))
    inside = t < lengths
    path = np.minimum(t * places // lengths, places - 1)
    for fit in range(FITS):
        state = chain[who, path][inside]
        mixtures = fit_mixtures(x[inside], state, DIGITS * STATES, min(GAUSSIANS, 2**fit))
        score = hmm_scores(mixtures, x)[t[:, :, None], who[:, None], chain]
        path = np.maximum(align(score, lengths, places), 0)
    return mixtures


def hmm_scores(mixtures, x):
    """Log densities (time, batch, states)."""
    flat = log_densities(mixtures, x.reshape(-1, x.shape[2]).astype(float))
    return flat.reshape(*x.shape[:2], -1)


def hmm_digits(score, lengths, penalty):
    """The likeliest strings of digits; another digit costs `penalty`, a step in a digit nothing."""
    n = DIGITS * STATES
    first, last = np.arange(0, n, STATES), np.arange(STATES - 1, n, STATES)
    start, end, step = np.full(n, -np.inf), np.full(n, -np.inf), np.full((n, n), -np.inf)
    start[first], end[last] = 0, 0
    step[np.arange(n), np.arange(n)] = 0
    step[np.arange(n - 1), np.arange(1, n)] = 0
    step[last[:-1], first[1:]] = -np.inf
    step[np.ix_(last, first)] = penalty
    path, _ = viterbi(score, lengths, start, step, end)
    enters = (path % STATES == 0) & (path >= 0)
    enters[1:] &= path[1:] != path[:-1]
    return [(column[new] // STATES).tolist() for column, new in zip(path.T, enters.T, strict=True)]


# --- a run ----------------------------------------------------------------------------------------


def read_by(w, x, widths):
    """What the net reads along the best path."""
    steps, lengths = stacked(x, widths)
    return best_path(forward(w, steps, lengths)[0], lengths)


def run(config: Config = Config(), watch=None) -> Result:
    """Learn to read strings, read those of the test set; fit the rival."""
    rngs = np.random.default_rng(config.seed).spawn(4)
    images, labels, *test = read_mnist()
    train_set, held = (images[:-HELD], labels[:-HELD]), (images[-HELD:], labels[-HELD:])

    def drawn(rng, digits, count, low, high):
        pictures, widths, strings = draw_digits(rng, *digits, count, low, high)
        return column_features(pictures, widths), widths, strings

    def draw(done):
        x, widths, strings = drawn(rngs[2], train_set, BATCH, *((1, 2) if done < 0.2 else sizes))
        return *stacked(x, widths), strings

    def look(update, loss, w):
        point = update, loss, percent_wrong(read_by(w, *valid[:2]), valid[2])
        for column, value in zip(result.history.values(), point, strict=True):
            column.append(value)
        if watch:
            watch(update, config.updates, loss=loss, wrong=point[-1], weights=w)

    sizes = config.longest // 2, config.longest
    valid = drawn(rngs[1], held, VALID, *sizes)
    pictures, widths, strings = draw_digits(rngs[1], *test, STRINGS, *sizes)
    x, other = column_features(pictures, widths), None
    w = make_net(rngs[0], STACKED * FEATURES, DIGITS + 1, config.cells)
    result = Result({}, {"update": [], "loss": [], "wrong": []}, w, ())
    train(config, w, draw, look)
    found = read_by(w, x, widths)
    result.metrics["ctc_wrong"] = percent_wrong(found, strings)
    if config.rival:
        mixtures = fit_hmm(*drawn(rngs[3], train_set, FITTED, *sizes))
        scores = hmm_scores(mixtures, valid[0])
        errors = [percent_wrong(hmm_digits(scores, valid[1], p), valid[2]) for p in PENALTIES]
        penalty = PENALTIES[int(np.argmin(errors))]
        other = hmm_digits(hmm_scores(mixtures, x), widths, penalty)
        result.metrics["hmm_wrong"] = percent_wrong(other, strings)
        ratio = result.metrics["ctc_wrong"] / max(result.metrics["hmm_wrong"], 1e-9)
        result.metrics |= {"hmm_penalty": penalty, "error_ratio": ratio}
    result.tests = pictures, widths, strings, found, other
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
    """Worst relative error of the gradient of the CTC loss."""
    rng = np.random.default_rng(config.seed)
    x, lengths = rng.normal(size=(9, 3, 2 * FEATURES)), np.array([9, 7, 4])
    strings = [[0, 1, 1], [2, 0], [3]]
    w = make_net(rng, 2 * FEATURES, 5, 4, dtype=float)

    def loss():
        y, _ = forward(w, x, lengths)
        return float(string_error(y, lengths, strings)[0].sum()) * 3 / len(x)

    y, seen = forward(w, x, lengths)
    return worst_relative_error(loss, w, backward(w, seen, string_error(y, lengths, strings)[1]))


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
