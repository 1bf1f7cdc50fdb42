"""Handwriting without segmentation: a bidirectional LSTM with CTC against hidden Markov models.

Task      A pen writes lines of one to three of 1,000 English words; read the letters from its
          track, then the words with a dictionary and a bigram model. The pen is synthetic: the
          letters of two single-stroke fonts, bent, slanted and joined in a way of its own by each
          of 60 training writers. Nobody who writes in the training set writes in the test set, and
          three words of ten are never written in training. A point of the track has 15 features.
          "oneway": the letters only, by a net that reads both ways and by one that does not.
Net       x(t) -> LSTM forwards and backwards -> softmax over letters, space and the blank. A path
          is a class a step; repeats merged and blanks dropped it is a string. The net learns -ln
          of the probability of all paths to the true string: CTC. (Graves et al. 2009)
Words     Tokens pass through the letters of all words of the dictionary at once. A token that
          leaves a word enters every other, at scale * ln p(next word | word); the best one wins.
Rival     A hidden Markov model: four states a letter, 8 diagonal Gaussians a state, fitted from an
          even segmentation; same features, same dictionary, same bigrams.
Shapes    x (time, batch, 15), 0 behind the end; W (directions, 4 cells, inputs + 1 + cells),
          V (hidden + 1, classes). Lengths are in units of the fonts: a small letter is 9 high.
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

LETTERS, SPACE, HEIGHT = 26, 26, 9.0  # letters are 0 ... 25; the height of a small letter
STYLES, SIZES = ("joined", "print"), {"joined": 1.0, "print": 9 / 14}  # fonts to one height
WRITERS = {"train": 60, "valid": 10, "test": 20}
SPACING, AIR = 4.5, 12.0  # from point to point, and between words
FEATURES, STATES, GAUSSIANS = 15, 4, 8  # of a point; a letter; a state
FITS, FITTED = 5, 300  # rounds that fit the Markov model, and its training lines
SCALES = (0.5, 1, 2, 4)  # of the bigrams, the best one on the validation lines
KEPT = 20  # tokens that leave their words at a step
WORDS, LINES, VALID_LINES = 200, 80, 20  # read in tests
BATCH, LOOKS, FEW = 32, 15, 6  # letters of task "letters"


@dataclass(frozen=True)
class Config:
    """Experiment, pen and training; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    task: str = option("words", "what is read and compared", among=("words", "oneway", "letters"))
    updates: int = option(1000, "training batches of 32", 1, 20_000)
    cells: int = option(48, "LSTM cells in each direction", 2, 128)
    rate: float = option(0.01, "Adam's first step size; it falls to a tenth", 1e-5, 0.1)
    warp: float = option(0.85, "how far a writer bends letters, a small one being 9 high", 0, 3)
    rival: bool = option(True, "fit the Markov model, and read with the dictionary (task words)")

    def __post_init__(self):
        check_options(self)


QUICK = {"task": "letters", "updates": 250, "cells": 24, "rate": 0.02}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves: net, update, loss, error in percent on known and new words
    nets: dict  # weights by name


# --- the pen --------------------------------------------------------------------------------------


def read_letters():
    """By style, 26 letters: left and right edge, and strokes [(points (n, 2), written late)].

    A dot or a bar, marked by a star, is written late by some: when the word is done.
    """
    letters = {style: [] for style in STYLES}
    for row in Path(__file__).with_name("strokes.txt").read_text().splitlines():
        style, _, left, right, text = row.split(maxsplit=4)
        strokes = []
        for stroke in text.split("/"):
            pairs = [pair.split(",") for pair in stroke.replace("*", "").split()]
            strokes.append((np.array(pairs, float), "*" in stroke))
        letters[style].append((float(left), float(right), strokes))
    return letters


def resampled(points):
    """A polyline (n, 2) at points of equal distance along it, about SPACING, both ends kept."""
    way = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = np.linspace(0, way[-1], max(2, round(way[-1] / SPACING) + 1))
    return np.stack([np.interp(at, way, column) for column in points.T], 1)


class Pens:
    """Writers, each with a style for every letter, a slant, proportions and bends of their own.

    points (n, 2) of all letters, letter u = 26 writer + letter from bounds[u] to bounds[u + 1];
    new: a stroke starts here; late: it may come late; width (writers, 26); by writer whether they
    join letters and delay late strokes, and how far their lines wave.
    """

    def __init__(self, rng, count, warp):
        letters, strokes, sizes = read_letters(), [], []
        self.width = np.empty((count, LETTERS))
        for k in range(count):
            slant, aspect, turn = (
                rng.uniform(-0.3, 0.5),
                rng.uniform(0.8, 1.25),
                rng.normal(0, 0.035),
            )
            c, s = np.cos(turn), np.sin(turn)
            form = np.array([[c, s], [-s, c]]) @ np.array([[aspect, -slant], [0, 1]])
            joined, gap = rng.uniform(), rng.uniform(0, 3)
            for letter in range(LETTERS):
                style = STYLES[int(rng.random() > joined)]
                (left, right, drawn), size = letters[style][letter], SIZES[style]
                waves, phase = rng.normal(0, 0.25, (2, 3)), rng.uniform(0, 2 * np.pi, 3)
                bend, before = rng.normal(0, warp * np.sqrt(2 / 3), (3, 2)), len(strokes)
                for points, late in drawn:
                    p = resampled(size * (points - [left, HEIGHT]))  # on the line, from x = 0
                    p = resampled((p + np.sin(p @ waves + phase) @ bend) @ form.T)
                    strokes.append((p, np.arange(len(p)) == 0, np.full(len(p), late)))
                sizes.append(sum(len(stroke[0]) for stroke in strokes[before:]))
                self.width[k, letter] = size * aspect * (right - left) + gap
        self.points, self.new, self.late = (
            np.concatenate(part) for part in zip(*strokes, strict=True)
        )
        self.bounds = np.concatenate([[0], np.cumsum(sizes)])
        self.joins, self.delays = rng.random((2, count)) < 0.5
        self.wave = rng.uniform(0, 1.5, count)


def write(rng, pens, who, strings):
    """The track of strings of characters, string b in the hand of writer who[b].

    x, y and whether a stroke starts, (time, batch), 0 behind the end; and the points of each line.
    """
    sizes = np.array([len(string) for string in strings])
    line, text = np.repeat(np.arange(len(strings)), sizes), np.concatenate(strings)
    start = (np.cumsum(sizes) - sizes)[line]  # of each character's line
    writer, space = np.asarray(who)[line], text == SPACE
    letter = np.where(space, 0, text)
    width = np.where(space, AIR, pens.width[writer, letter])
    edge = np.cumsum(width) - width
    edge -= edge[start]
    begins = (np.arange(len(text)) == start) | np.roll(space, 1)  # a word
    unit = writer * LETTERS + letter
    counts = np.where(space, 0, pens.bounds[unit + 1] - pens.bounds[unit])
    owner = np.repeat(np.arange(len(text)), counts)  # the character of each point
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    late = pens.late[pens.bounds[unit[owner]] + rank]
    order = 2 * np.cumsum(begins)[owner] + (late & pens.delays[writer[owner]])
    order = np.argsort(order, kind="stable")
    owner, rank, late = owner[order], rank[order], late[order]
    index = pens.bounds[unit[owner]] + rank
    joined = (rank == 0) & ~begins[owner] & pens.joins[writer[owner]] & ~np.roll(late, 1)
    p = pens.points[index] + [1, 0] * edge[owner, None]
    phase = rng.uniform(0, 2 * np.pi, len(strings))[line[owner]]
    p[:, 1] += pens.wave[writer[owner]] * np.sin(p[:, 0] / 40 + phase)
    p += rng.normal(0, 0.015 * HEIGHT, p.shape)
    lengths = np.bincount(line[owner], minlength=len(strings))
    t = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    track = np.zeros((3, lengths.max(), len(strings)))
    track[:, t, line[owner]] = *p.T, pens.new[index] & ~joined
    return *track, lengths


def pen_features(x, y, up, lengths):
    """The 15 features (time, batch, 15) of each point, 0 behind the end.

    Step to the point; pen-up flag; height; x against its surroundings; how far the pen has come
    back; direction and curvature (cosine and sine); and of the five points around: aspect, slope
    (cosine and sine), curliness (length over size) and mean squared distance from a straight line.
    """
    t, last = np.arange(len(x))[:, None], lengths - 1
    inside = (t <= last).astype(float)

    def at(array, k):
        return np.take_along_axis(array, np.clip(t + k, 0, last), 0)

    def angle(dx, dy):
        size = np.hypot(dx, dy) + 1e-9
        return dx / size, dy / size

    dx, dy = x - at(x, -1), y - at(y, -1)
    (c0, s0), (c, s) = angle(dx, dy), angle(at(x, 1) - x, at(y, 1) - y)
    height = (y - (y * inside).sum(0) / lengths) / HEIGHT
    apart = (x - sum(at(x, k) for k in range(-8, 9)) / 17) / HEIGHT
    back = np.maximum.accumulate(np.where(inside > 0, x, -np.inf), 0) - x
    xs, ys = (np.stack([at(part, k) for k in range(-2, 3)]) for part in (x, y))
    w, h = np.ptp(xs, axis=0), np.ptp(ys, axis=0)
    slope = angle(xs[-1] - xs[0], ys[-1] - ys[0])
    way = np.hypot(np.diff(xs, axis=0), np.diff(ys, axis=0)).sum(0)
    off = (((xs - xs[0]) * slope[1] - (ys - ys[0]) * slope[0]) ** 2).mean(0)
    pen = np.clip(dx, -20, 20) / 5, np.clip(dy, -20, 20) / 5, up, height, apart
    turn = np.minimum(back, 20) / HEIGHT, c, s, c * c0 + s * s0, s * c0 - c * s0
    around = (h - w) / (h + w + 1e-9), *slope
    curl = np.minimum(way / np.maximum(w, h).clip(1), 5) - 2, off.clip(0, 9) / 3
    return (np.stack([*pen, *turn, *around, *curl], 2) * inside[:, :, None]).astype(np.float32)


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


def make_net(rng, inputs, classes, cells, directions=2, dtype=np.float32):
    """Weights W and V; a one-way net has the cells that give it at least as many weights."""
    hidden = cells
    if directions == 1:
        wanted = 8 * cells * (inputs + 1 + cells) + (2 * cells + 1) * classes
        while 4 * hidden * (inputs + 1 + hidden) + (hidden + 1) * classes < wanted:
            hidden += 1
    W = blstm_weights(rng, inputs, hidden, directions, dtype=dtype)
    return {"W": W, "V": rng.normal(0, 0.1, (directions * hidden + 1, classes)).astype(dtype)}


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


# --- words from a dictionary ----------------------------------------------------------------------


@dataclass
class Lexicon:
    """Every word as a row of places for tokens. A word begins with the space before it.

    units (words, places): which column of the scores belongs to a place; leap (words, places):
    whether a token may also come from two places back; ends (words, 2): from where a token may
    leave; starts: where the first word of a line, which has no space, may begin.
    """

    units: np.ndarray
    leap: np.ndarray
    ends: np.ndarray
    starts: tuple


def ctc_lexicon(words):
    """Blanks around and between the characters; a blank between different ones may be left out."""
    longest = max(map(len, words))
    units = np.full((len(words), 2 * longest + 3), SPACE + 1)
    for row, word in zip(units, words, strict=True):
        row[1 : 2 * len(word) + 2 : 2] = [SPACE, *word]
    leap = np.zeros(units.shape, bool)
    leap[:, 1] = True  # the space may follow the word before at once
    leap[:, 3::2] = units[:, 3::2] != units[:, 1:-2:2]
    last = np.array([2 * len(word) + 2 for word in words])
    return Lexicon(units, leap, np.stack([last - 1, last], 1), (2, 3))


def hmm_lexicon(words, states=STATES):
    """Four states a letter one after the other, behind the one state of the space."""
    longest = max(map(len, words))
    units = np.full((len(words), states * longest + 1), SPACE * states)
    for row, word in zip(units, words, strict=True):
        row[1 : states * len(word) + 1] = hmm_states(word, states)
    last = np.array([states * len(word) for word in words])
    return Lexicon(units, np.zeros(units.shape, bool), np.stack([last, last], 1), (1,))


def token_passing(score, lexicon, start, step, scale):
    """The likeliest words of a line, and ln of their score; score (time, columns).

    best[w, s] is the score of the best token in place s of word w; came[w, s] tells in which
    entry of `left` its way to this word is noted: (entry before, word that was left).
    """
    units, leap = lexicon.units, np.where(lexicon.leap, 0, -np.inf).astype(np.float32)
    n = len(units)
    best = np.full((n, units.shape[1] + 2), -np.inf, np.float32)  # two places before the first
    came = np.full(best.shape, -1)
    words, step, left = np.arange(n), (scale * step).astype(np.float32), []
    for t, now in enumerate(score.astype(np.float32)):
        here = best[:, 2:]
        if t == 0:
            for s in lexicon.starts:
                here[:, s] = scale * start + now[units[:, s]]
        else:
            one, two = best[:, 1:-1], best[:, :-2] + leap
            went = one > here
            new, origin = np.where(went, one, here), np.where(went, came[:, 1:-1], came[:, 2:])
            went = two > new
            new, origin = np.where(went, two, new), np.where(went, came[:, :-2], origin)
            here[:], came[:, 2:] = new + now[units], origin
        at = np.take_along_axis(here, lexicon.ends, 1)
        which = lexicon.ends[words, at.argmax(1)]
        leaving = here[words, which]
        kept = np.argpartition(-leaving, KEPT)[:KEPT] if n > KEPT else words
        ways = leaving[kept, None] + step[kept]
        winner = ways.argmax(0)
        best[:, 1], came[:, 1] = ways[winner, words], len(left) + winner
        left += [(came[w, which[w] + 2], w) for w in kept.tolist()]
    word = int(leaving.argmax())
    line, entry = [word], came[word, which[word] + 2]
    while entry >= 0:
        entry, word = left[entry]
        line.append(word)
    return line[::-1], float(leaving.max())


def word_accuracy(scores, lexicon, online, lines, scale):
    """100 (1 - edit distance / words) of all lines."""
    found = [token_passing(score, lexicon, online.start, online.step, scale)[0] for score in scores]
    return 100 - percent_wrong(found, lines)


# --- the hidden Markov model ----------------------------------------------------------------------


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


def hmm_states(string, states):
    """The states of a string: so many a letter or digit, one of a space."""
    parts = [[k * states] if k == SPACE else range(k * states, (k + 1) * states) for k in string]
    return np.concatenate([np.asarray(part) for part in parts]).astype(int)


def fit_hmm(x, lengths, strings, states, count):
    """Mixtures of `count` states from strings without bounds: first cut evenly, then align the
    frames with the states and fit them anew, five times, with 1, 2, 4, 8 and 8 Gaussians."""
    chains = [hmm_states(string, states) for string in strings]
    usable = np.flatnonzero([len(c) <= n for c, n in zip(chains, lengths, strict=True)])
    x, lengths = x[:, usable].astype(float), np.asarray(lengths)[usable]
    places = np.array([len(chains[k]) for k in usable])
    chain = np.zeros((len(usable), places.max()), int)
    for row, k in zip(chain, usable, strict=True):
        row[: len(chains[k])] = chains[k]
    t, who = np.arange(len(x))[:, None], np.arange(len(usable))
    inside = t < lengths
    path = np.minimum(t * places // lengths, places - 1)
    for fit in range(FITS):
        state = chain[who, path][inside]
        mixtures = fit_mixtures(x[inside], state, count, min(GAUSSIANS, 2**fit))
        if fit < FITS - 1:
            score = log_densities(mixtures, x.reshape(-1, x.shape[2])).reshape(*x.shape[:2], -1)
            path = align(score[t[:, :, None], who[:, None], chain], lengths, places)
            path = np.maximum(path, 0)
    return mixtures


def hmm_scores(mixtures, x):
    """Log densities (time, batch, states)."""
    flat = log_densities(mixtures, x.reshape(-1, x.shape[2]).astype(float))
    return flat.reshape(*x.shape[:2], -1)


# --- a run ----------------------------------------------------------------------------------------


class Online:
    """Words, their chain, and writers; what is drawn from them: features, lengths and strings.

    The chain: words in a random order of frequency, the r-th weighs 1 / (r + 2), every pair has a
    factor of its own. start (words,), step (words, words): log probabilities. Of any ten ranks in
    a row, three are words that training never shows.
    """

    def __init__(self, config, rng):
        self.few = config.task == "letters"
        words = Path(__file__).with_name("words.txt").read_text().split()
        self.words = [np.frombuffer(word.encode(), np.uint8).astype(int) - 97 for word in words]
        rank = rng.permutation(len(words))
        self.known, self.new = np.flatnonzero(rank % 10 < 7), np.flatnonzero(rank % 10 >= 7)
        weight = 1 / (rank + 2)
        step = weight * rng.gamma(0.5, 1, (len(words), len(words))) + 1e-9
        self.start = np.log(weight / weight.sum())
        self.step = np.log(step / step.sum(1, keepdims=True))
        self.pens = {part: Pens(rng, count, config.warp) for part, count in WRITERS.items()}

    def spelt(self, line):
        """Characters of a line of words' numbers, with spaces between."""
        return np.concatenate([part for k in line for part in ([SPACE], self.words[k])])[1:]

    def written(self, rng, part, strings):
        """Strings, each in the hand of some writer of this part."""
        who = rng.integers(WRITERS[part], size=len(strings))
        *track, lengths = write(rng, self.pens[part], who, strings)
        return pen_features(*track, lengths), lengths, strings

    def known_lines(self, rng, sizes):
        """Strings of so many known words each, all equally likely."""
        return [self.spelt(rng.choice(self.known, n)) for n in sizes]

    def training(self, rng, done):
        """A batch: at first one or two letters, then two to five, then a known word, and in the
        last two fifths of training lines of one to three."""
        if self.few:
            strings = self.short_strings(rng, BATCH)
        elif done < 0.4:
            low, high = (1, 2) if done < 0.2 else (2, 5)
            strings = [rng.integers(LETTERS, size=n) for n in rng.integers(low, high + 1, BATCH)]
        else:
            sizes = np.ones(BATCH, int) if done < 0.6 else rng.integers(1, 4, BATCH)
            strings = self.known_lines(rng, sizes)
        return self.written(rng, "train", strings)

    def short_strings(self, rng, count):
        """One or two of the first letters of the alphabet."""
        return [rng.integers(FEW, size=n) for n in rng.integers(1, 3, count)]

    def single_words(self, rng, part, count):
        """Known words, and words that training never shows; strings where words are not read."""
        if self.few:
            return [self.written(rng, part, self.short_strings(rng, count)) for _ in range(2)]
        picks = rng.choice(self.known, count), rng.choice(self.new, count)
        return [self.written(rng, part, [self.words[k] for k in pick]) for pick in picks]

    def lines(self, rng, part, count):
        """Lines of one to three words of the chain, as words' numbers, and written."""
        lines = []
        for n in rng.integers(1, 4, count):
            line = [int(rng.choice(len(self.words), p=np.exp(self.start)))]
            while len(line) < n:
                line.append(int(rng.choice(len(self.words), p=np.exp(self.step[line[-1]]))))
            lines.append(line)
        return lines, self.written(rng, part, [self.spelt(line) for line in lines])


def read_by(w, data):
    """What a net reads along the best path, and the percentage of characters that are wrong."""
    x, lengths, strings = data
    found = best_path(forward(w, x, lengths)[0], lengths)
    return found, percent_wrong(found, strings)


def read_with_dictionary(online, w, rng):
    """Percent of the words right, with dictionary and bigrams, for CTC and the Markov model."""
    fitted = online.written(rng, "train", online.known_lines(rng, rng.integers(1, 4, FITTED)))
    mixtures = fit_hmm(*fitted, STATES, STATES * LETTERS + 1)
    valid, test = (online.lines(rng, *kind) for kind in (("valid", VALID_LINES), ("test", LINES)))
    readers = {
        "ctc": (ctc_lexicon, lambda x, n: np.log(forward(w, x, n)[0] + 1e-12)),
        "hmm": (hmm_lexicon, lambda x, _: hmm_scores(mixtures, x)),
    }
    metrics = {}
    for name, (lexicon_of, score) in readers.items():
        lexicon = lexicon_of(online.words)

        def right(part, scale, lexicon=lexicon, score=score):
            lines, (x, lengths, _) = part
            scores = score(x, lengths)
            scores = [scores[:n, b] for b, n in enumerate(lengths)]
            return word_accuracy(scores, lexicon, online, lines, scale)

        scale = max(SCALES, key=lambda scale: right(valid, scale))
        metrics |= {f"{name}_words": right(test, scale), f"{name}_scale": scale}
    wrong = {name: 100 - metrics[f"{name}_words"] for name in readers}
    return metrics | {"word_error_ratio": wrong["ctc"] / max(wrong["hmm"], 1e-9)}


def run(config: Config = Config(), watch=None) -> Result:
    """Learn to read, read new writers; then fit the rival, or train the one-way net."""
    rngs = np.random.default_rng(config.seed).spawn(4)
    columns = ("net", "update", "loss", "known", "new")
    result = Result({}, {name: [] for name in columns}, {})
    online, m = Online(config, rngs[0]), result.metrics
    valid = online.single_words(rngs[1], "valid", 60)
    test = online.single_words(rngs[1], "test", WORDS)
    for name, directions in ("blstm", 2), ("lstm", 1):
        if name == "lstm" and config.task != "oneway":
            break
        weights_rng, batch_rng = np.random.default_rng((config.seed, 1)).spawn(2)
        w = make_net(weights_rng, FEATURES, LETTERS + 2, config.cells, directions)

        def look(update, loss, w, name=name):
            point = name, update, loss, *(read_by(w, part)[1] for part in valid)
            for column, value in zip(columns, point, strict=True):
                result.history[column].append(value)
            if watch:
                watch(update, config.updates, net=name, loss=loss, wrong=point[-1], weights=w)

        def draw(done, rng=batch_rng):
            return online.training(rng, done)

        result.nets[name] = train(config, w, draw, look)
        (found, m[f"{name}_known"]), (_, m[f"{name}_new"]) = (read_by(w, part) for part in test)
        right = [a == list(b) for a, b in zip(found, test[0][2], strict=True)]
        m[f"{name}_known_words"] = 100 * float(np.mean(right))
    m["gap"] = m["blstm_new"] / max(m["blstm_known"], 1e-9)
    if config.task == "oneway":
        m["oneway_ratio"] = m["lstm_new"] / max(m["blstm_new"], 1e-9)
    elif config.task == "words" and config.rival:
        m |= read_with_dictionary(online, result.nets["blstm"], rngs[3])
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
    x, lengths = rng.normal(size=(9, 3, FEATURES)), np.array([9, 7, 4])
    strings = [[0, 1, 1], [2, 0], [3]]
    w = make_net(rng, FEATURES, 5, 4, dtype=float)

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
