"""Blues improvisation: an LSTM learns the form of the twelve-bar blues and plays on for ever.

Task      A chorus has 12 bars of 8 steps: C7 C7 C7 C7 F7 F7 C7 C7 G7 F7 C7 C7. Chords: 12 units,
          one a pitch class, on or off. Melody: 13 units, C to C an octave up; four notes a bar,
          two steps each, no rests; a bar is one of two that fit its chord: 2^12 pieces.
          From a step a net says the next one. Then it is fed its own choices: how long does it
          keep to the form?
Net       Blocks of two cells that share their gates; outputs read the inputs, too:
              u = [x, 1, y'],  g = tanh(Wg u),  i, f, o = sigmoid(W u),  c = f c' + i g,
              y = o S tanh(c / S),  output = sigmoid(V [y, x, 1])
          Chord blocks see chords only. Melody blocks see melody and what the chord cells hold.
Learning  Full gradient of the cross-entropy. Chords: one sequence of two choruses from the zero
          state, until every output is within 0.3 and the net plays eight choruses by itself.
          Melody: the chord half is ready; batches of choruses.
Control   A tanh net of as many weights.

Arrays are (units, batch), with time first; a time is called t, the step before '.

    python3 blues_improvisation.py --seed 0
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

CHORDS = {"C7": (0, 4, 7, 10), "F7": (0, 3, 5, 9), "G7": (2, 5, 7, 11)}  # pitch classes, C = 0
FORM = "C7 C7 C7 C7 F7 F7 C7 C7 G7 F7 C7 C7".split()
BARS = {  # two a chord, four different notes of C minor pentatonic; semitones above C
    "C7": ((0, 3, 5, 7), (12, 10, 7, 3)),
    "F7": ((5, 3, 0, 10), (10, 12, 5, 7)),
    "G7": ((7, 10, 12, 5), (3, 5, 10, 7)),
}
CHORD_UNITS, NOTES = 12, 13
GATE_BIASES = (-0.5, -1.0, -1.5, -2.0)  # input and output gates, block by block
FORGET_BIASES = (1.5, 2.0, 2.5, 3.0)
NEAR, PROVEN = 0.3, 8  # how near an output must be; choruses that end learning
RNN_UNITS, EVERY = 14, 25
PIECES, STREAMS, MELODY_SQUASH, MELODY_UPDATES = 64, 16, 4.0, 2500
PLAYED = 5  # improvisations that are judged


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
    """Chords, then melody; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    bar: int = option(8, "steps a bar; without melody any number", 1, 16)
    squash: float = option(6.0, "S: a cell is seen as S tanh(c / S)", 0.5, 100)
    rule: str = option("adam", "ours, or the paper's step of 1e-5", among=("adam", "paper"))
    updates: int = option(6000, "most updates of the chord half", 1, 1_000_000)
    choruses: int = option(20, "choruses of the free run", 1, 200)
    blocks: int = option(8, "melody blocks of two cells", 1, 32)
    melody: bool = option(True, "learn the melody, too")
    controls: bool = option(True, "train a tanh net on the chords")

    def __post_init__(self):
        check_options(self)
        if self.melody and self.bar != 8:
            raise ValueError(f"bar must be 8 with a melody, got {self.bar}; leave the melody out")


QUICK = {"bar": 2, "melody": False, "controls": False, "updates": 3000}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # kind (chords, rnn, melody), update, loss, form_steps
    nets: dict  # weights of the chord half and of the melody half
    played: np.ndarray  # notes of an improvisation, (steps,)


# --- music ----------------------------------------------------------------------------------------


def chorus(bar):
    """The chords of a chorus, (12 bar, 12) of 0 and 1."""
    x = np.zeros((len(FORM), bar, CHORD_UNITS))
    for k, name in enumerate(FORM):
        x[k, :, CHORDS[name]] = 1
    return x.reshape(-1, CHORD_UNITS)


def random_piece(rng):
    """Notes of a piece (96,), 0 to 12: for every bar one of the two that fit its chord."""
    bars = [BARS[name][rng.integers(2)] for name in FORM]
    return np.repeat(np.array(bars).ravel(), 2)


def one_hot(notes):
    """Notes (...,) as units (..., 13)."""
    return np.eye(NOTES)[notes]


# --- the net --------------------------------------------------------------------------------------


def logistic(z):
    """1 / (1 + exp(-z)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def init(rng, inputs, outputs, blocks, extra=0):
    """W: rows 2 g, i, f, o a block; columns inputs, extra inputs, 1, cells. V: cells, inputs, 1."""
    cells, seen = 2 * blocks, inputs + extra + 1 + 2 * blocks
    w = {"W": rng.standard_normal((cells + 3 * blocks, seen)) / math.sqrt(seen)}
    by_block = np.arange(blocks) * 4 // blocks
    gates = [np.take(b, by_block) for b in (GATE_BIASES, FORGET_BIASES, GATE_BIASES)]
    w["W"][cells:, inputs + extra] = np.concatenate(gates)
    w["W"][:cells, inputs + extra] = 0
    fan_in = cells + inputs + 1
    w["V"] = 0.5 * rng.standard_normal((outputs, fan_in)) / math.sqrt(fan_in)
    w["V"][:, cells:-1] *= 0.2
    w["V"][:, -1] = -0.5
    return w


def plain_step(w, x, y, c, squash):
    """One step of one net in plain loops: lists in, lists y, c and outputs out."""
    cells, blocks = len(c), len(c) // 2
    u = [*x, 1.0, *y]
    net = [sum(a * b for a, b in zip(row, u, strict=True)) for row in w["W"]]
    new_y, new_c = [], []
    for cell in range(cells):
        i, f, o = (float(logistic(net[cells + k * blocks + cell // 2])) for k in range(3))
        new_c.append(f * c[cell] + i * math.tanh(net[cell]))
        new_y.append(o * squash * math.tanh(new_c[cell] / squash))
    seen = [*new_y, *x, 1.0]
    outputs = [
        float(logistic(sum(a * b for a, b in zip(row, seen, strict=True)))) for row in w["V"]
    ]
    return new_y, new_c, outputs


class Blocks:
    """Forward and backward pass of blocks of two cells."""

    def __init__(self, blocks, squash):
        self.blocks, self.squash, self.cells = blocks, squash, 2 * blocks

    def step(self, W, u, c):
        """g, gates (3, cells, batch), new c, squashed c, y; cells of a block are neighbours."""
        net = W @ u
        g = np.tanh(net[: self.cells])
        gates = logistic(net[self.cells :].reshape(3, self.blocks, -1)).repeat(2, 1)
        c = gates[1] * c + gates[0] * g
        s = self.squash * np.tanh(c / self.squash)
        return g, gates, c, s, gates[2] * s

    def forward(self, w, x, extra=None):
        """Net sums of the outputs (steps, outputs, batch); x and extra (steps, units, batch)."""
        steps, inputs, batch = x.shape
        parts = (x,) if extra is None else (x, extra)
        width = sum(part.shape[1] for part in parts)
        self.U = np.ones((steps + 1, width + 1 + self.cells, batch))
        self.U[:steps, :width] = np.concatenate(parts, 1)
        self.U[0, width + 1 :] = 0
        c, kept = np.zeros((self.cells, batch)), []
        for t in range(steps):
            before = c
            g, gates, c, s, y = self.step(w["W"], self.U[t], c)
            self.U[t + 1, width + 1 :] = y
            kept.append((g, gates, before, s))
        self.kept = [np.stack(part) for part in zip(*kept, strict=True)]
        self.seen = np.concatenate([self.U[1:, width + 1 :], x, np.ones((steps, 1, batch))], 1)
        return w["V"] @ self.seen

    def backward(self, w, e):
        """Gradients of W and V for the error e at the net sums of the outputs.

        ey = V^T e + Wy^T d(t+1),  ec = ey o (1 - (s / S)^2) + f(t+1) ec(t+1)
        dg = ec i (1 - g^2),  di = ec g,  df = ec c',  do = ey s; gates: times their slope, summed
        over the cells of a block
        """
        g, gates, before, s = self.kept
        through = w["V"][:, : self.cells].T @ e
        slopes, squashed = gates * (1 - gates), gates[:, 2] * (1 - (s / self.squash) ** 2)
        into_g, back = gates[:, 0] * (1 - g * g), w["W"][:, -self.cells :].T.copy()
        d = np.empty((len(e), len(w["W"]), e.shape[2]))
        later, ec = 0.0, 0.0
        for t in range(len(e) - 1, -1, -1):
            ey = through[t] + later
            ec = ey * squashed[t] + ec
            parts = np.stack((ec * g[t], ec * before[t], ey * s[t])) * slopes[t]
            d[t, : self.cells] = ec * into_g[t]
            pairs = parts.reshape(3, self.blocks, 2, -1).sum(2)
            d[t, self.cells :] = pairs.reshape(3 * self.blocks, -1)
            later, ec = back @ d[t], ec * gates[t, 1]
        flat = d.transpose(1, 0, 2).reshape(len(w["W"]), -1)
        dW = flat @ self.U[:-1].transpose(0, 2, 1).reshape(flat.shape[1], -1)
        e = e.transpose(1, 0, 2).reshape(len(w["V"]), -1)
        return {"W": dW, "V": e @ self.seen.transpose(0, 2, 1).reshape(e.shape[1], -1)}

    def play(self, w, first, steps):
        """Chords (steps, 12) and cells y (steps, cells) when fed its own rounded outputs."""
        x, y, c = first[:, None], np.zeros((self.cells, 1)), np.zeros((self.cells, 1))
        chords, cells = [], []
        for _ in range(steps):
            *_, c, _, y = self.step(w["W"], np.concatenate([x, np.ones((1, 1)), y]), c)
            sums = w["V"] @ np.concatenate([y, x, np.ones((1, 1))])
            x = (sums > 0).astype(float)
            chords.append(x[:, 0])
            cells.append(y[:, 0])
        return np.array(chords), np.array(cells)


class Tanh:
    """The control: a layer of tanh units, y = tanh(W [x, 1, y']), outputs as above."""

    def init(self, rng):
        """As many weights as the chord half."""
        seen = CHORD_UNITS + 1 + RNN_UNITS
        W = rng.standard_normal((RNN_UNITS, seen)) / math.sqrt(seen)
        return {"W": W, "V": init(rng, CHORD_UNITS, CHORD_UNITS, RNN_UNITS // 2)["V"]}

    def forward(self, w, x):
        """See Blocks."""
        self.U = np.ones((len(x) + 1, CHORD_UNITS + 1 + RNN_UNITS, x.shape[2]))
        self.U[:-1, :CHORD_UNITS], self.U[0, CHORD_UNITS + 1 :] = x, 0
        for t in range(len(x)):
            np.tanh(w["W"] @ self.U[t], out=self.U[t + 1, CHORD_UNITS + 1 :])
        y = self.U[1:, CHORD_UNITS + 1 :]
        self.seen = np.concatenate([y, x, np.ones((len(x), 1, x.shape[2]))], 1)
        return w["V"] @ self.seen

    def backward(self, w, e):
        """d(t) = (1 - y^2) (V^T e + Wy^T d(t+1))."""
        d = w["V"][:, :RNN_UNITS].T @ e
        slope, back = 1 - self.U[1:, CHORD_UNITS + 1 :] ** 2, w["W"][:, CHORD_UNITS + 1 :].T
        for t in range(len(e) - 1, -1, -1):
            d[t] = slope[t] * (d[t] + (back @ d[t + 1] if t + 1 < len(e) else 0))
        flat = d.transpose(1, 0, 2).reshape(RNN_UNITS, -1)
        dW = flat @ self.U[:-1].transpose(0, 2, 1).reshape(flat.shape[1], -1)
        e = e.transpose(1, 0, 2).reshape(len(w["V"]), -1)
        return {"W": dW, "V": e @ self.seen.transpose(0, 2, 1).reshape(e.shape[1], -1)}

    def play(self, w, first, steps):
        """See Blocks."""
        x, y, chords = first[:, None], np.zeros((RNN_UNITS, 1)), []
        for _ in range(steps):
            y = np.tanh(w["W"] @ np.concatenate([x, np.ones((1, 1)), y]))
            x = (w["V"] @ np.concatenate([y, x, np.ones((1, 1))]) > 0).astype(float)
            chords.append(x[:, 0])
        return np.array(chords), None


# --- learning the form ----------------------------------------------------------------------------


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


class Momentum:
    """The paper's rule: a step of 1e-5 with momentum 0.9."""

    def __init__(self, weights):
        self.speed = {name: np.zeros_like(w) for name, w in weights.items()}

    def step(self, weights, grads):
        """Move each array of weights one step downhill."""
        for name, g in grads.items():
            self.speed[name] = 0.9 * self.speed[name] - 1e-5 * g
            weights[name] += self.speed[name]


def cross_entropy(sums, target):
    """Sum over outputs and time of the cross-entropy, and the error at the net sums."""
    return float((np.logaddexp(0, sums) - target * sums).sum()), logistic(sums) - target


def form_steps(net, w, bar, choruses):
    """Right steps before the first wrong chord of a free run; its cells y (steps, cells)."""
    form = chorus(bar)
    steps = choruses * len(form)
    chords, cells = net.play(w, form[0], steps)
    wrong = (chords != np.resize(np.roll(form, -1, 0), chords.shape)).any(1)
    return int(wrong.argmax()) if wrong.any() else steps, cells


def learn_chords(net, w, rate, config, kind, history, watch):
    """Learn two choruses from the zero state; returns updates, or None where it does not end."""
    form = chorus(config.bar)
    x = np.concatenate([form, form])[:, :, None]
    target = np.roll(x, -1, 0)
    learner = Adam(w, rate, beta2=0.99, limit=1.0) if config.rule == "adam" else Momentum(w)
    for update in range(1, config.updates + 1):
        sums = net.forward(w, x)
        loss, e = cross_entropy(sums, target)
        if not math.isfinite(loss):
            raise FloatingPointError("weights grew beyond all numbers; choose another squash")
        near = np.abs(e).max() < NEAR
        whole = PROVEN * len(form)
        held = form_steps(net, w, config.bar, PROVEN)[0] if near or update % EVERY == 0 else 0
        if update % EVERY == 0 or (near and held == whole):
            point = kind, update, loss / len(x), held
            for column, value in zip(history.values(), point, strict=True):
                column.append(value)
            if watch:
                state = {"kind": kind, "loss": loss / len(x), "form_steps": held}
                watch(update, config.updates, **state, weights=w)
        if near and held == whole:
            return update
        if config.rule == "adam":
            learner.rate = rate * 0.5 ** (update // 3000)
            e = e / 24
        learner.step(w, net.backward(w, e))
    return None


# --- learning the melody --------------------------------------------------------------------------


def chord_cells(net, w, bar):
    """What the chord cells hold when step t has been read, two choruses, (2 steps, cells)."""
    form = chorus(bar)
    net.forward(w, np.concatenate([form, form])[:, :, None])
    return net.seen[:, : net.cells, 0]


def learn_melody(rng, cells, pieces, blocks, history, watch):
    """Train the melody half; cells: chord_cells. Returns the net and its weights."""
    net, w = Blocks(blocks, MELODY_SQUASH), init(rng, NOTES, NOTES, blocks, cells.shape[1])
    adam, steps, half = Adam(w, 0.02, limit=1.0), len(cells) // 2, STREAMS // 2
    extra = np.stack([cells[:steps]] * half + [cells[steps:]] * half, 2)
    for update in range(1, MELODY_UPDATES + 1):
        notes = pieces[rng.integers(len(pieces), size=STREAMS)]
        after = pieces[rng.integers(len(pieces), size=STREAMS), 0]  # the next chorus begins
        x = one_hot(notes).transpose(1, 2, 0)
        target = np.concatenate([x[1:], one_hot(after).T[None]])
        loss, e = cross_entropy(net.forward(w, x, extra), target)
        adam.rate = 0.02 * 0.5 ** (update // 800)
        adam.step(w, net.backward(w, e / (STREAMS * 24)))
        if update % 100 == 0:
            point = "melody", update, loss / (STREAMS * steps), 0
            for column, value in zip(history.values(), point, strict=True):
                column.append(value)
            if watch:
                watch(update, MELODY_UPDATES, kind="melody", loss=point[2])
    return net, w


def excess(net, w, cells, pieces):
    """Nats an onset above what the next note costs who knows form and bars: ln 2 a bar.

    Outputs are read as a distribution over the notes; onsets but a chorus's first.
    """
    extra = np.repeat(cells[: len(cells) // 2, :, None], len(pieces), 2)
    p = logistic(net.forward(w, one_hot(pieces).transpose(1, 2, 0), extra))
    p = p / p.sum(1, keepdims=True)
    times = np.arange(1, pieces.shape[1] - 1, 2)
    found = p[times[:, None], pieces[:, times + 1].T, np.arange(len(pieces))]
    first = np.log(2) * (len(FORM) - 1) / len(times)
    return float(-np.log(found).mean() - first)


def improvise(rng, net, w, cells, first):
    """Notes (steps,) over chord cells (steps, cells), drawn among outputs over half the largest."""
    x, y, c = one_hot(first)[:, None], np.zeros((net.cells, 1)), np.zeros((net.cells, 1))
    notes = []
    for now in cells:
        *_, c, _, y = net.step(w["W"], np.concatenate([x, now[:, None], np.ones((1, 1)), y]), c)
        p = logistic(w["V"] @ np.concatenate([y, x, np.ones((1, 1))]))[:, 0]
        p = np.where(p > p.max() / 2, p, 0)
        notes.append(int(rng.choice(NOTES, p=p / p.sum())))
        x = one_hot(notes[-1])[:, None]
    return np.array(notes)


def legal_bars(notes):
    """Share of the bars of whole choruses (96 a chorus) that fit their chords."""
    bars = notes.reshape(-1, 8)
    names = np.resize(FORM, len(bars))
    fits = {name: {tuple(np.repeat(bar, 2)) for bar in BARS[name]} for name in BARS}
    return float(np.mean([tuple(bar) in fits[name] for bar, name in zip(bars, names, strict=True)]))


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Learn the chords, play; learn the melody, play; train the control."""
    rngs = np.random.default_rng(config.seed).spawn(4)
    history = {"kind": [], "update": [], "loss": [], "form_steps": []}
    squash = 1.0 if config.rule == "paper" else config.squash
    net, w = Blocks(4, squash), init(rngs[0], CHORD_UNITS, CHORD_UNITS, 4)
    updates = learn_chords(net, w, 0.007, config, "chords", history, watch)
    steps, played = form_steps(net, w, config.bar, config.choruses)
    form = chorus(config.bar)
    thrice = np.concatenate([form] * 3)
    said = net.forward(w, thrice[:, :, None])[:, :, 0] > 0
    m = {
        "held": steps == config.choruses * len(form),
        "form_steps": steps,
        "cycle": bool((said == np.roll(thrice, -1, 0)).all()),
        "updates": updates,
        "chorus_right": min(steps, len(form)) / len(form),
    }
    nets, notes = {"chords": w}, np.empty(0, int)
    if config.controls:
        rnn = Tanh()
        weights = rnn.init(rngs[1])
        learn_chords(rnn, weights, 0.01, config, "rnn", history, watch)
        m["rnn_form_steps"] = form_steps(rnn, weights, config.bar, config.choruses)[0]
        m["rnn_held"] = m["rnn_form_steps"] == config.choruses * len(form)
    if config.melody:
        pieces = np.array([random_piece(rngs[2]) for _ in range(2 * PIECES)])
        cells = chord_cells(net, w, config.bar)
        half, nets["melody"] = learn_melody(
            rngs[2], cells, pieces[:PIECES], config.blocks, history, watch
        )
        m["melody_excess"] = excess(half, nets["melody"], cells, pieces[PIECES:])
        first, plays = pieces[0, 0], []
        for _ in range(PLAYED):
            plays.append(improvise(rngs[3], half, nets["melody"], played, first))
        plays = [np.concatenate([[first], play[:-1]]) for play in plays]  # as it is heard
        notes = plays[0]
        m["melody_fit"] = float(np.mean([legal_bars(play) for play in plays]))
        known = {tuple(piece) for piece in pieces[:PIECES]}
        choruses = [tuple(part) for play in plays for part in play.reshape(-1, len(form))]
        m["novelty"] = float(np.mean([part not in known for part in choruses]))
    return Result(m, history, nets, notes)


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
    """Worst relative error of the gradients of both halves and of the control."""
    rng, worst = np.random.default_rng(config.seed), 0.0
    x = (rng.random((7, CHORD_UNITS, 2)) < 0.4).astype(float)
    target, extra = np.roll(x, -1, 0), rng.normal(size=(7, 4, 2))
    tanh = Tanh()
    cases = (
        (Blocks(4, 2.0), init(rng, CHORD_UNITS, CHORD_UNITS, 4), ()),
        (Blocks(3, 6.0), init(rng, CHORD_UNITS, CHORD_UNITS, 3, 4), (extra,)),
        (tanh, tanh.init(rng), ()),
    )
    for net, w, more in cases:

        def loss(net=net, w=w, more=more):
            return cross_entropy(net.forward(w, x, *more), target)[0]

        grads = net.backward(w, cross_entropy(net.forward(w, x, *more), target)[1])
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
