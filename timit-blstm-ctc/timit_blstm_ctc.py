"""Phones in continuous speech: label every frame, or write the string without segmentation.

Task      An utterance is 10 to 18 phones of 24, the first and last of them silence, in frames of
          10 ms. A frame has 26 features: 12 cepstral coefficients and the log energy of a spectrum
          in 18 bands, and the slopes of both. The speech is synthetic and stands in for TIMIT:
          every phone has targets (three formants, levels of voice and noise), which are smoothed
          over +-50 ms and come two frames late, so that a frame depends on both its neighbours;
          speakers differ in vocal tract, accent, tempo and channel. Nobody who speaks in the
          training set speaks in the validation set or in the test set.
          "frames": name the phone of every frame. "ctc": write the string of phones; the label
          error rate is the edit distance to the true strings over their length. "silences": an
          easy corpus, six phones with silence between, one speaker; what the earlier catalog had.
Nets      x(t) -> hidden layer -> softmax. The hidden layer is a bidirectional LSTM ("blstm"), a
          one-way LSTM ("lstm"), the same with its target three frames late ("delayed") or reading
          backwards ("reverse"), a bidirectional layer of tanh units ("brnn") or tanh units with a
          window of ten frames ("mlp"); all with about as many weights. (Graves & Schmidhuber 2005)
CTC       Two frames make a step; the softmax has a class more, the blank. A path is a class a step;
          repeats merged and blanks dropped it is a string. The net learns -ln of the probability
          of all paths to the true string. (Graves, Fernandez, Gomez & Schmidhuber 2006)
Rivals    Both know the true segmentation. HMM: three states a phone, 16 diagonal Gaussians a state.
          Hybrid: one state a phone, scores are the posteriors of a framewise BLSTM over the priors.
Shapes    x (time, batch, 26), targets (time, batch), -1 behind the end; W (directions, 4 cells,
          inputs + 1 + cells), V (hidden + 1, classes).
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

# Name; three formants (Hz) and level of the voice (dB); centre (Hz), width (octaves) and level (dB)
# of the noise; mean duration (frames); silent part at the start. Formants of vowels are those of
# men in Peterson & Barney (1952), the rest are rounded from textbooks or set by hand.
TABLE = """
vowel: iy 270 2290 3010 50 1500 9 0 10 0, ih 390 1990 2550 50 1500 9 0 8 0
vowel: eh 530 1840 2480 50 1500 9 0 9 0, ae 660 1720 2410 50 1500 9 0 14 0
vowel: aa 730 1090 2440 50 1500 9 0 12 0, ao 570 840 2410 50 1500 9 0 12 0
vowel: uh 440 1020 2240 50 1500 9 0 7 0, uw 300 870 2240 50 1500 9 0 11 0
glide: w 290 610 2150 46 1500 9 0 6 0, y 260 2070 3020 46 1500 9 0 6 0
glide: r 310 1060 1380 46 1500 9 0 6 0, l 310 1050 2880 46 1500 9 0 6 0
nasal: m 300 1100 2130 40 1500 9 0 6 0, n 300 1500 2470 40 1500 9 0 5 0
nasal: ng 300 2000 2900 40 1500 9 0 6 0
fricative: f 340 1100 2080 0 2500 2 34 10 0, s 320 1390 2530 0 3800 0.5 48 11 0
fricative: sh 300 1840 2750 0 2500 0.5 48 11 0, v 220 1100 2080 38 2500 2 30 6 0
stop: ch 350 1800 2820 0 2600 0.6 48 9 0.4, p 400 1100 2150 0 800 1 40 7 0.6
stop: t 400 1600 2600 0 3500 0.7 44 5 0.6, k 300 1990 2850 0 1800 0.6 44 7 0.6
silence: sil 500 1500 2500 0 1500 9 0 9 0
"""
ROWS = [
    (kind, row.split())
    for kind, rows in (line.split(": ") for line in TABLE.strip().splitlines())
    for row in rows.split(", ")
]
PHONES, CLASSES = [row[0] for _, row in ROWS], [kind for kind, _ in ROWS]
NUMBERS = np.array([row[1:] for _, row in ROWS], float)
SILENCE, K = len(PHONES) - 1, len(PHONES)
FEATURES, SUCCESSORS, SENTENCES = 26, 14, 8  # sentences a training speaker, as in TIMIT
EASY = [PHONES.index(name) for name in ("iy", "aa", "uw", "n", "s", "sh")]
KINDS = ("blstm", "lstm", "delayed", "reverse", "brnn", "mlp")
DELAY, WINDOW = 3, (-5, 5)  # frames
STATES, GAUSSIANS, FITTED = 3, 16, 3500  # of the hidden Markov model; utterances it learns from
# Noise at the inputs for CTC and for the hybrid's net; prefixes that the search keeps, and the
# least probability of a label that it tries.
INPUT_NOISE, BEAM, LEAST = 0.3, 8, 1e-3
LOOKS = 10  # at a net while it learns
HYBRID_SHARE = 0.36  # updates of the hybrid's net to those of CTC: as many seconds


@dataclass(frozen=True)
class Config:
    """Experiment, corpus and training; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    task: str = option("frames", "what is learnt", among=("frames", "ctc", "silences"))
    utterances: int = option(1600, "training utterances, eight a speaker", 32, 10_000)
    updates: int = option(350, "training batches of each net", 1, 20_000)
    cells: int = option(48, "LSTM cells in each direction of the bidirectional net", 2, 128)
    rate: float = option(0.01, "Adam's first step size; tanh units have 0.3 of it", 1e-5, 0.1)
    noise: float = option(4.0, "noise of the spectrum, dB; how hard the task is", 0, 20)
    lag: int = option(2, "frames by which the sound comes after its label", 0, 8)

    def __post_init__(self):
        check_options(self)


QUICK = {"utterances": 200, "updates": 50, "cells": 16, "noise": 1.0, "lag": 4}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves on the validation set: net, update, score in percent
    nets: dict  # weights by kind of net
    test: Corpus


# --- the corpus -----------------------------------------------------------------------------------


@dataclass
class Corpus:
    """Utterances one after the other: x (frames, features), labels (frames,), the first frame of
    each in bounds (utterances + 1,), and their strings of phones."""

    x: np.ndarray
    labels: np.ndarray
    bounds: np.ndarray
    strings: list

    def lengths(self):
        """Frames of each utterance."""
        return np.diff(self.bounds)

    def batch(self, chosen):
        """x (time, batch, features) and labels (time, batch), 0 and -1 behind the end; lengths."""
        lengths = self.lengths()[chosen]
        t = np.arange(lengths.max())[:, None]
        inside = t < lengths
        frame = self.bounds[chosen] + np.minimum(t, lengths - 1)
        return self.x[frame] * inside[:, :, None], np.where(inside, self.labels[frame], -1), lengths

    def part(self, count):
        """The first utterances."""
        end = self.bounds[: count + 1][-1]
        return Corpus(
            self.x[:end], self.labels[:end], self.bounds[: count + 1], self.strings[:count]
        )


def draw_bigram(rng):
    """Probabilities (24, 24) of the next phone: 14 phones may follow each, never itself."""
    weight = rng.gamma(1, 1, (K, K)) + 0.05
    np.fill_diagonal(weight, 0)
    weight[:, SILENCE] *= 0.3  # pauses are rare
    kept = np.argsort(np.where(weight > 0, rng.random((K, K)), 2), 1)[:, :SUCCESSORS]
    bigram = np.zeros((K, K))
    np.put_along_axis(bigram, kept, np.take_along_axis(weight, kept, 1), 1)
    return bigram / bigram.sum(1, keepdims=True)


def draw_strings(rng, bigram, count):
    """Strings of 8 to 16 phones with silence before and after, as an array padded with -1."""
    inner = rng.integers(8, 17, count)
    strings = np.full((count, 18), -1)
    strings[:, 0] = SILENCE
    ways = bigram.cumsum(1)
    for k in range(1, 17):
        drawn = (rng.random(count)[:, None] > ways[strings[:, k - 1]]).sum(1)
        strings[:, k] = np.minimum(drawn, K - 1)
    for row, n in zip(strings, inner, strict=True):
        end = n + 1 if row[n] != SILENCE else n
        row[end:] = -1
        row[end] = SILENCE
    return strings


def draw_easy_strings(rng, count):
    """Strings of 3 to 8 of six phones, silence around and between them."""
    strings = np.full((count, 17), -1)
    for row, n in zip(strings, rng.integers(3, 9, count), strict=True):
        row[: 2 * n + 1] = SILENCE
        row[1 : 2 * n : 2] = rng.choice(EASY, n)
    return strings


def smoothed(tracks, kernel):
    """Every column of tracks (frames, n) convolved with the kernel."""
    return np.stack([np.convolve(column, kernel, "same") for column in tracks.T], 1)


def synthesise(rng, strings, speakers, noise, lag, varied=True):
    """A Corpus of strings (utterances, longest), utterance u spoken by speaker u mod speakers.

    All utterances lie one after the other, silence beside silence, so that smoothing may cross
    their bounds. varied: speakers, accents and chance lengthen, shorten and shift phones.
    """
    there = strings >= 0
    phone, speaker = strings[there], np.nonzero(there)[0] % speakers
    size = float(varied)
    tempo, tract = rng.uniform(0.8, 1.25, speakers), np.log(rng.uniform(0.85, 1.2, speakers))
    accent = rng.normal(0, 0.12, (speakers, K, 3))
    mean = NUMBERS[phone, 7] * (tempo[speaker] ** size)
    frames = np.maximum(2, np.rint(rng.gamma(5, mean / 5) if varied else mean)).astype(int)
    targets = np.empty((len(phone), 7))
    chance = rng.normal(0, 0.06, (len(phone), 3))
    shift = tract[speaker, None] + accent[speaker, phone] + chance
    targets[:, :3] = np.log(NUMBERS[phone, :3]) + size * shift
    targets[:, 3:] = NUMBERS[phone, 3:7]
    targets[:, 4] = np.log2(targets[:, 4])
    first = np.cumsum(frames) - frames
    segment = np.repeat(np.arange(len(phone)), frames)
    position = (np.arange(len(segment)) - first[segment] + 0.5) / frames[segment]
    tracks = targets[segment]
    tracks[position < NUMBERS[phone[segment], 8], 6] = 0  # the mouth is shut
    kernel = np.hanning(13)[1:-1]
    tracks = np.roll(smoothed(tracks, kernel / kernel.sum()), lag, 0).astype(np.float32)
    spectrum = log_spectrum(tracks)
    channel = smoothed(rng.normal(0, 3, (18, speakers)), np.ones(3) / np.sqrt(3)).T
    spectrum += (size * channel[speaker[segment]]).astype(np.float32)
    drift = rng.standard_normal((len(segment) + 8, 18), np.float32).cumsum(0, dtype=float)
    drift = np.concatenate([drift[8:9], drift[9:] - drift[:-9]]) / 3  # correlated over nine frames
    spectrum += (noise * drift).astype(np.float32)
    ends = np.cumsum(np.bincount(np.nonzero(there)[0], frames)).astype(int)
    return Corpus(
        features(spectrum),
        phone[segment].astype(np.int8),
        np.concatenate([[0], ends]),
        [list(map(int, row[row >= 0])) for row in strings],
    )


def log_spectrum(tracks):
    """Level (frames, 18) in dB at the centres of bands on the mel scale from 0 to 4 kHz.

    A voice filtered by three resonances of formants F and bandwidths B, whose power gain is
    F^4 / ((f^2 - F^2)^2 + B^2 f^2), a band of noise, and a floor of 20 dB.
    """
    mel = np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 20)[1:-1]
    f = (700 * (10 ** (mel / 2595) - 1)).astype(np.float32)
    voice = np.repeat(tracks[:, 3:4], 18, 1) - 10 * np.log10(1 + (f / 500) ** 2)
    for k in range(3):
        formant = np.exp(tracks[:, k : k + 1])
        width = 60 + 0.06 * formant
        gain = formant**4 / ((f * f - formant * formant) ** 2 + (width * f) ** 2)
        voice += 10 * np.log10(gain)
    away = (np.log2(f) - tracks[:, 4:5]) / tracks[:, 5:6]
    hiss = tracks[:, 6:7] - 10 * away * away
    return 10 * np.log10(10 ** (voice / 10) + 10 ** (hiss / 10) + 100)


def features(spectrum):
    """12 cepstral coefficients, log energy and the slopes of both over five frames."""
    k, band = np.arange(1, 13)[:, None], np.arange(18) + 0.5
    cosines = np.cos(np.pi * k * band / 18).astype(np.float32)
    energy = 10 * np.log10((10 ** (spectrum / 10)).sum(1, keepdims=True))
    x = np.concatenate([spectrum @ cosines.T, energy], 1)
    near = np.roll(x, -1, 0) - np.roll(x, 1, 0)
    return np.concatenate([x, (near + 2 * (np.roll(x, -2, 0) - np.roll(x, 2, 0))) / 10], 1)


def make_corpora(config, rng):
    """Training, validation and test set; features have mean 0 and variance 1 in the first."""
    easy = config.task == "silences"
    train, *others = rng.spawn(3)
    bigram = draw_bigram(rng)
    sizes = [(train, config.utterances, -(-config.utterances // SENTENCES))]
    held = min(240, config.utterances // 2)
    sizes += [(other, held, -(-held // 4)) for other in others]
    corpora = []
    for stream, count, speakers in sizes:
        strings = draw_easy_strings(stream, count) if easy else draw_strings(stream, bigram, count)
        corpus = synthesise(stream, strings, speakers, config.noise, config.lag, not easy)
        corpora.append(corpus)
        if easy:
            corpus.strings = [[p for p in row if p != SILENCE] for row in corpus.strings]
    mean, deviation = corpora[0].x.mean(0, dtype=float), corpora[0].x.std(0, dtype=float)
    for corpus in corpora:
        corpus.x = ((corpus.x - mean) / deviation).astype(np.float32)
    return corpora


# --- nets -----------------------------------------------------------------------------------------


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


# idiom: tanh_net
class TanhNet:
    """Nets side by side, each a layer of tanh units: y(t) = tanh(W [x(t), 1, y(t-1)]), y(0) = 0.

    W is (nets, units, inputs + 1 + units). Buffers for at most `steps` are made once.
    """

    def __init__(self, nets, inputs, units, batch, steps, dtype=np.float32):
        self.inputs, self.units, self.n = inputs, units, 0
        self.U = np.zeros((steps + 1, nets, inputs + 1 + units, batch), dtype)
        self.U[:, :, inputs] = 1
        self.Y = self.U[1:, :, inputs + 1 :]
        self.delta = np.empty((steps, nets, units, batch), dtype)

    def forward(self, W, x):
        """Run over x (time, nets or 1, inputs, batch); returns y (time, nets, units, batch)."""
        self.n, self.W = len(x), W
        self.U[: self.n, :, : self.inputs] = x
        for u, y in zip(self.U[: self.n], self.Y, strict=False):
            np.tanh(W @ u, out=y)
        return self.Y[: self.n]

    def backward(self, e):
        """Full gradient of W; e: error at y, (nets, units, batch) of the last step or of every one.

        With R the recurrent part of W: delta(t) = (1 - y(t)^2) (e(t) + R^T delta(t+1)),
        dW = sum over t of delta(t) u(t)^T.
        """
        n, delta = self.n, self.delta[: self.n]
        delta[:] = 0
        delta[n - len(e.reshape(-1, *delta.shape[1:])) :] = e
        slope = 1 - self.Y[:n] ** 2
        back = np.ascontiguousarray(self.W[:, :, self.inputs + 1 :].swapaxes(1, 2))
        delta[-1] *= slope[-1]
        for t in range(n - 2, -1, -1):
            delta[t] += back @ delta[t + 1]
            delta[t] *= slope[t]
        nets, units = delta.shape[1:3]
        U = self.U[:n].transpose(1, 0, 3, 2).reshape(nets, -1, self.U.shape[2])
        return delta.transpose(1, 2, 0, 3).reshape(nets, units, -1) @ U


# end idiom


def count_weights(kind, hidden, inputs=FEATURES, classes=K):
    """Weights of a net with so many hidden units, for "blstm" and "brnn" in each direction."""
    sides = 2 if kind in ("blstm", "brnn") else 1
    if kind == "mlp":
        seen = hidden * ((WINDOW[1] - WINDOW[0]) * inputs + 1)
    else:
        seen = sides * (1 if kind == "brnn" else 4) * hidden * (inputs + 1 + hidden)
    return seen + (sides * hidden + 1) * classes


def make_net(kind, cells, rng, inputs=FEATURES, classes=K, dtype=np.float32):
    """Weights W, V of a net with at least as many of them as a BLSTM of so many cells a side."""
    hidden, wanted = 1, count_weights("blstm", cells, inputs, classes)
    while count_weights(kind, hidden, inputs, classes) < wanted:
        hidden += 1
    sides = 2 if kind in ("blstm", "brnn") else 1
    if kind == "mlp":
        width = (WINDOW[1] - WINDOW[0]) * inputs
        W = rng.normal(0, width**-0.5, (width + 1, hidden))
    elif kind == "brnn":
        W = rng.normal(0, 0.1, (2, hidden, inputs + 1 + hidden))
    else:
        W = blstm_weights(rng, inputs, hidden, sides)
    V = rng.normal(0, 0.1, (sides * hidden + 1, classes))
    return {"W": W.astype(dtype), "V": V.astype(dtype)}


def windows(x):
    """The ten frames around each, (time, batch, 10 inputs), zeros where there is none."""
    steps, padded = len(x), np.pad(x, ((-WINDOW[0], WINDOW[1]), (0, 0), (0, 0)))
    return np.concatenate([padded[k : k + steps] for k in range(WINDOW[1] - WINDOW[0])], 2)


def both_ways(x, lengths):
    """x (time, batch, n) and its reversal, as (time, 2, n, batch)."""
    return np.stack([x, turned(x, lengths)], 1).swapaxes(2, 3)


def forward(kind, w, x, lengths):
    """Probabilities (time, batch, classes), and what backward() needs."""
    if kind == "mlp":
        memory = windows(x)
        hidden = np.tanh(memory @ w["W"][:-1] + w["W"][-1])
    elif kind == "brnn":
        units = w["W"].shape[1]
        memory = TanhNet(2, x.shape[2], units, x.shape[1], len(x), x.dtype)
        h = memory.forward(w["W"], both_ways(x, lengths)).swapaxes(2, 3)
        hidden = np.concatenate([h[:, 0], turned(h[:, 1], lengths)], 2)
    else:
        hidden, memory = blstm_forward(w["W"], x, lengths)
    a = hidden @ w["V"][:-1] + w["V"][-1]
    y = np.exp(a - a.max(2, keepdims=True))
    y /= y.sum(2, keepdims=True)
    return y, (hidden, memory, lengths)


def backward(kind, w, seen, da):
    """Gradient of the weights; da: that of the softmax's inputs a = V [hidden, 1], 0 in padding."""
    hidden, memory, lengths = seen
    flat, units = da.reshape(-1, da.shape[2]), hidden.shape[2]
    dV = np.concatenate([hidden.reshape(-1, units).T @ flat, flat.sum(0)[None]])
    e = da @ w["V"][:-1].T
    if kind == "mlp":
        delta = (e * (1 - hidden * hidden)).reshape(-1, units)
        dW = np.concatenate([memory.reshape(len(delta), -1).T @ delta, delta.sum(0)[None]])
    elif kind == "brnn":
        one, other = e[:, :, : units // 2], turned(e[:, :, units // 2 :], lengths)
        dW = memory.backward(np.stack([one, other], 1).swapaxes(2, 3))
    else:
        dW = blstm_backward(w["W"], memory, e)
    return {"W": dW, "V": dV}


# --- learning -------------------------------------------------------------------------------------


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


def for_kind(kind, x, labels, lengths):
    """The batch as this kind of net sees it: turned, or with labels three frames late."""
    if kind == "reverse":
        return turned(x, lengths), turned(labels, lengths), lengths
    if kind == "delayed":
        none = np.full((DELAY, x.shape[1]), -1)
        x = np.concatenate([x, np.zeros((DELAY, *x.shape[1:]), x.dtype)])
        return x, np.concatenate([none, labels]), lengths + DELAY
    return x, labels, lengths


def stacked(x, lengths):
    """Two frames a step: (time / 2, batch, 2 inputs), and the steps of each sequence."""
    x = np.pad(x, ((0, len(x) % 2), (0, 0), (0, 0)))
    return np.concatenate([x[::2], x[1::2]], 2), (lengths + 1) // 2


def batches(rng, lengths, size):
    """Without end, batches of utterances of about the same length."""
    while True:
        order = np.argsort(lengths + rng.uniform(0, 15, len(lengths)))
        groups = [order[k : k + size] for k in range(0, len(order), size)]
        for k in rng.permutation(len(groups)):
            yield groups[k]


def frame_error(y, labels):
    """Gradient of the mean cross-entropy a frame at the softmax's inputs: (y - target) / frames."""
    inside = labels >= 0
    target = (labels[:, :, None] == np.arange(y.shape[2])).astype(y.dtype)
    return (y - target) * inside[:, :, None] / inside.sum().astype(y.dtype)


def string_error(y, lengths, strings):
    """Gradient of the mean CTC loss an utterance."""
    counts = np.array([len(string) for string in strings])
    labels = np.zeros((len(strings), counts.max()), int)
    for row, string in zip(labels, strings, strict=True):
        row[: len(string)] = string
    loss, da = ctc(y, lengths, labels, counts)
    return da / np.asarray(len(loss), da.dtype)


def train(config, kind, corpus, updates, rng, look, by_ctc=False, noise=0.0):
    """Weights of a net that has learnt frames, or strings by CTC; calls look() now and then.

    Frames: batches of 32 utterances, the rate falls linearly to a tenth. Strings: batches of 16,
    the rate is constant for 30 % of the updates, then falls to a twentieth.
    """
    sizes = (2 * FEATURES, K + 1) if by_ctc else (FEATURES, K)
    per_batch, flat, last = (16, 0.3, 0.05) if by_ctc else (32, 0, 0.1)
    w = make_net(kind, config.cells, rng, *sizes)
    rate = config.rate * (0.3 if kind in ("brnn", "mlp") else 1)
    optimiser, drawn = Adam(w, rate, limit=1.0), batches(rng, corpus.lengths(), per_batch)
    for update in range(updates):
        chosen = next(drawn)
        x, labels, lengths = corpus.batch(chosen)
        if noise:
            x = x + noise * rng.standard_normal(x.shape, np.float32)
        if by_ctc:
            x, lengths = stacked(x, lengths)
        else:
            x, labels, lengths = for_kind(kind, x, labels, lengths)
        y, seen = forward(kind, w, x, lengths)
        if by_ctc:
            da = string_error(y, lengths, [corpus.strings[k] for k in chosen])
        else:
            da = frame_error(y, labels)
        falling = max(0, update / updates - flat) / (1 - flat)
        optimiser.rate = rate * (1 - (1 - last) * falling)
        optimiser.step(w, backward(kind, w, seen, da))
        if (update + 1) % max(1, updates // LOOKS) == 0:
            look(kind, update + 1, w)
    return w


# --- evaluation -----------------------------------------------------------------------------------


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


def frame_posteriors(kind, w, corpus):
    """Probabilities (time, utterances, phones) that a net gives to the frames of a corpus."""
    x, labels, lengths = corpus.batch(np.arange(len(corpus.strings)))
    seen, _, longer = for_kind(kind, x, labels, lengths)
    y, _ = forward(kind, w, seen, longer)
    if kind == "reverse":
        return turned(y, lengths)
    return y[DELAY:] if kind == "delayed" else y


def frame_accuracy(kind, w, corpus):
    """Percent of the frames whose likeliest phone is the right one."""
    _, labels, _ = corpus.batch(np.arange(len(corpus.strings)))
    right = frame_posteriors(kind, w, corpus).argmax(2) == labels
    return float(100 * right[labels >= 0].mean())


def string_posteriors(kind, w, corpus):
    """Probabilities (time / 2, utterances, phones + blank) of a CTC net, and the steps of each."""
    x, _, lengths = corpus.batch(np.arange(len(corpus.strings)))
    x, lengths = stacked(x, lengths)
    return forward(kind, w, x, lengths)[0], lengths


def label_error(found, strings):
    """Percent: edit distances over the length of the true strings."""
    wrong = sum(map(edit_distance, found, strings))
    return 100 * wrong / sum(map(len, strings))


def best_path_error(kind, w, corpus):
    """Label error rate of the likeliest path."""
    return label_error(best_path(*string_posteriors(kind, w, corpus)), corpus.strings)


def prefix_search(y):
    """The likeliest string of y (time, classes), over the paths of the best prefixes.

    A prefix has two probabilities: of its paths that end in a blank, and of those that do not.
    """
    blank, best = y.shape[1] - 1, {(): (1.0, 0.0)}
    for y_t in y.astype(float):
        grown = {}
        labels = np.flatnonzero(y_t[:blank] > LEAST).tolist()
        for prefix, (p_blank, p_label) in best.items():
            both = p_blank + p_label
            old = grown.get(prefix, (0.0, 0.0))
            repeat = p_label * y_t[prefix[-1]] if prefix else 0.0
            grown[prefix] = (old[0] + both * y_t[blank], old[1] + repeat)
            for k in labels:
                start = p_blank if prefix and prefix[-1] == k else both
                old = grown.get((*prefix, k), (0.0, 0.0))
                grown[(*prefix, k)] = (old[0], old[1] + start * y_t[k])
        kept = sorted(grown, key=lambda prefix: -sum(grown[prefix]))[:BEAM]
        total = sum(grown[kept[0]])
        best = {prefix: tuple(p / total for p in grown[prefix]) for prefix in kept}
    return list(max(best, key=lambda prefix: sum(best[prefix])))


def state_labels(corpus, states):
    """The state of each frame, phone * states + third of the segment (for three states)."""
    new = np.concatenate([[True], corpus.labels[1:] != corpus.labels[:-1]])
    new[corpus.bounds[:-1]] = True
    first = np.flatnonzero(new)
    frames = np.diff(np.append(first, len(new)))
    position = (np.arange(len(new)) - np.repeat(first, frames) + 0.5) / np.repeat(frames, frames)
    return corpus.labels.astype(int) * states + (position * states).astype(int)


def count_steps(corpus, states):
    """Log probabilities of start (states,), step (states, states) and end, counted frame to frame,
    with a hundredth of a count everywhere."""
    state, n = state_labels(corpus, states), K * states
    step = np.full((n, n), 0.01)
    inside = np.setdiff1d(np.arange(1, len(state)), corpus.bounds)
    np.add.at(step, (state[inside - 1], state[inside]), 1)
    start = np.bincount(state[corpus.bounds[:-1]], minlength=n) + 0.01
    end = np.bincount(state[corpus.bounds[1:] - 1], minlength=n) + 0.01
    return tuple(np.log(p / p.sum(-1, keepdims=True)) for p in (start, step, end))


def viterbi_strings(score, lengths, chain, states, scale, penalty):
    """Strings of the best paths, steps between phones weighted by `scale` plus `penalty`."""
    start, step, end = chain
    phone = np.arange(len(start)) // states
    step = np.where(phone[:, None] == phone, step, scale * step + penalty)
    path, _ = viterbi(score, lengths, start, step, end)
    strings = []
    for row, n in zip(path.T // states, lengths, strict=True):
        strings.append([int(k) for t, k in enumerate(row[:n]) if t == 0 or k != row[t - 1]])
    return strings


def markov_error(scores, chain, states, valid, test):
    """Label error rate on the test set, scale and penalty being the best on the validation set.

    scores: a function from a corpus to (time, utterances, states).
    """
    best = (math.inf, 0, 0)
    score, lengths = scores(valid), valid.lengths()
    for scale in (1, 2, 4):
        for penalty in (4, 2, 0, -2, -4):
            found = viterbi_strings(score, lengths, chain, states, scale, penalty)
            best = min(best, (label_error(found, valid.strings), scale, penalty))
    found = viterbi_strings(scores(test), test.lengths(), chain, states, *best[1:])
    return label_error(found, test.strings)


def hmm_error(train, valid, test):
    """Label error rate of the hidden Markov model with Gaussian mixtures."""
    fitted = train.part(FITTED)
    mixtures = fit_mixtures(fitted.x, state_labels(fitted, STATES), K * STATES, GAUSSIANS)

    def scores(corpus):
        x, _, lengths = corpus.batch(np.arange(len(corpus.strings)))
        return log_densities(mixtures, x.reshape(-1, FEATURES)).reshape(*x.shape[:2], -1)

    return markov_error(scores, count_steps(train, STATES), STATES, valid, test)


def hybrid_error(w, train, valid, test):
    """Label error rate of Viterbi on the framewise net's posteriors over the phones' priors."""
    prior = np.log(np.bincount(train.labels, minlength=K) / len(train.labels) + 1e-6)

    def scores(corpus):
        return np.log(np.maximum(frame_posteriors("blstm", w, corpus), 1e-12)) - prior

    return markov_error(scores, count_steps(train, 1), 1, valid, test)


# --- the experiments ------------------------------------------------------------------------------


def label_frames(config, corpora, streams, look):
    """Metrics and nets of all kinds that label every frame of the test set."""
    train_set, _, test = corpora
    nets, metrics = {}, {}
    for kind, stream in zip(KINDS, streams, strict=True):
        nets[kind] = train(config, kind, train_set, config.updates, stream, look)
        metrics[kind] = frame_accuracy(kind, nets[kind], test)
    rivals = {"bi_gain": "lstm", "delayed_gain": "delayed", "reverse_gain": "reverse"}
    for name, rival in {**rivals, "lstm_gain": "mlp", "brnn_order": "brnn"}.items():
        metrics[name] = metrics["blstm"] - metrics[rival]
    sizes = [sum(part.size for part in w.values()) for w in nets.values()]
    return {**metrics, "least_weights": min(sizes), "most_weights": max(sizes)}, nets


def write_strings(config, corpora, streams, look):
    """Metrics and nets of the hidden Markov model, the hybrid and CTC."""
    train_set, _, test = corpora
    metrics = {"hmm": hmm_error(*corpora)}
    updates = max(1, round(HYBRID_SHARE * config.updates))
    ignore = lambda *state: None  # noqa: E731
    hybrid = train(config, "blstm", train_set, updates, streams[0], ignore, noise=INPUT_NOISE)
    metrics["hybrid_frames"] = frame_accuracy("blstm", hybrid, test)
    metrics["hybrid"] = hybrid_error(hybrid, *corpora)
    net = train(config, "blstm", train_set, config.updates, streams[1], look, True, INPUT_NOISE)
    y, lengths = string_posteriors("blstm", net, test)
    metrics["best_path"] = label_error(best_path(y, lengths), test.strings)
    found = [prefix_search(y[:n, k]) for k, n in enumerate(lengths)]
    metrics["prefix"] = label_error(found, test.strings)
    metrics["prefix_gain"] = metrics["best_path"] - metrics["prefix"]
    for rival in ("hmm", "hybrid"):
        metrics[f"ctc_to_{rival}"] = metrics["prefix"] / max(metrics[rival], 1e-9)
    inside = np.arange(len(y))[:, None] < lengths
    metrics["blanks"] = float((y.argmax(2) == K)[inside].mean())
    return metrics, {"hybrid": hybrid, "ctc": net}


def write_easy_strings(config, corpora, streams, look):
    """Metrics and nets of the earlier catalog's task, by CTC with both directions and with one."""
    train_set, _, test = corpora
    nets, metrics = {}, {}
    for kind, stream in zip(("blstm", "lstm"), streams, strict=False):
        solved = []

        def look_and_note(kind, update, w, solved=solved):
            if look(kind, update, w) <= 5:
                solved.append(update)

        nets[kind] = train(config, kind, train_set, config.updates, stream, look_and_note, True)
        metrics[f"{kind}_error"] = best_path_error(kind, nets[kind], test)
        metrics[f"{kind}_updates"] = solved[0] if solved else config.updates
    return metrics, nets


EXPERIMENTS = {"frames": label_frames, "ctc": write_strings, "silences": write_easy_strings}


def run(config=Config(), watch=None):
    """Train and evaluate once. watch(update, total, kind, score, weights) sees each look at a net;
    score is percent of the frames right, or the label error rate of best paths, in validation.
    """
    rng = np.random.default_rng(config.seed)
    corpora = make_corpora(config, rng)
    history, glance = {"net": [], "update": [], "score": []}, corpora[1].part(60)
    judge = frame_accuracy if config.task == "frames" else best_path_error

    def look(kind, update, w):
        if not all(np.isfinite(part).all() for part in w.values()):
            raise FloatingPointError(f"weights of {kind} are not finite")
        score = judge(kind, w, glance)
        for name, value in zip(history, (kind, update, score), strict=True):
            history[name].append(value)
        if watch:
            watch(update, config.updates, kind=kind, score=score, weights=w)
        return score

    streams = rng.spawn(len(KINDS))
    metrics, nets = EXPERIMENTS[config.task](config, corpora, streams, look)
    return Result(metrics, history, nets, corpora[2])


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
    """Worst relative error of the gradients of all kinds of nets, framewise and by CTC."""
    rng, worst = np.random.default_rng(config.seed), 0.0
    lengths = np.array([7, 4, 6])
    x = rng.normal(size=(7, 3, 3))
    inside = np.arange(7)[:, None] < lengths
    x *= inside[:, :, None]
    labels = np.where(inside, rng.integers(0, 4, inside.shape), -1)
    strings = [[0, 1, 1], [2], [1, 0]]
    for kind in ("blstm", "lstm", "brnn", "mlp"):
        w = make_net(kind, 2, rng, 3, 4, float)

        def frame_loss(kind=kind, w=w):
            y, _ = forward(kind, w, x, lengths)
            right = np.take_along_axis(y, np.maximum(labels, 0)[:, :, None], 2)[:, :, 0]
            return float(-np.log(right[inside]).mean())

        def string_loss(kind=kind, w=w):
            y, _ = forward(kind, w, x, lengths)
            padded = np.array([[0, 1, 1], [2, 0, 0], [1, 0, 0]])
            return float(ctc(y, lengths, padded, np.array([3, 1, 2]))[0].mean())

        y, seen = forward(kind, w, x, lengths)
        for loss, da in (
            (frame_loss, frame_error(y, labels)),
            (string_loss, string_error(y, lengths, strings)),
        ):
            grads = backward(kind, w, seen, da)
            worst = max(worst, worst_relative_error(loss, w, grads))
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
