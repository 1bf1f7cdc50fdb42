"""LSTM: a search space odyssey. Nine LSTMs, each without or with one part, predict Bach chorales.

Task      Four-part chorales, one vector of 46 pitches (on or off) a quarter. From all quarters so
          far a net says which pitches sound on the next one: 46 logistic outputs. Measured is the
          NLL, minus the log-likelihood of all 46, in nats a quarter. 229 chorales train, 66
          validate, 67 test. (Second task: the adding problem of the earlier catalog.)
Net       V, the vanilla LSTM of one layer, with peepholes p and full gradient:
              z = tanh(Wz u),  i = s(Wi u + pi c'),  f = s(Wf u + pf c'),  s logistic
              c = z i + c' f,  o = s(Wo u + po c),   h = tanh(c) o,   u = [x, 1, h']
          (' is the step before) and eight nets that differ in one thing:
              NIG i = 1      NFG f = 1       NOG o = 1      NP  no peepholes
              NIAF z linear  NOAF h = c o    CIFG f = 1 - i
              FGR  gates also see all three gates of the step before
Learning  Nesterov momentum, the step times 1 - momentum; a step of its own for NFG and NOAF.
Search    many V side by side, random step, momentum, size and input noise: which of them matters?

Arrays are (nets, units, batch), with time first; all nets learn side by side from the same batches.

    python3 lstm_search_space_odyssey.py --seed 0
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

KINDS = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR")
STEPS = {"NFG": 0.1, "NOAF": 0.02}  # of the learning rule; 0.2 for the others
LOW, PITCHES, TRAIN, VALID = 36, 46, 229, 66  # lowest pitch; pitches; chorales of two sets
CHUNK, BATCH, MOMENTUM, NOMINAL = 64, 16, 0.9, 30
CONTENT = "ca4ca049e72eef8a18dadc7797a18ff73492607a95e1d0b30d8892807897f08d"  # SHA-256
BINS = 6  # of the analysis of variance
VARIABLES = ("step", "momentum", "size", "noise")
LONG, FEW, MARKED = 50, 32, 12  # adding problem: length, batch, hidden units


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
    """Nine nets on chorales; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    task: str = option(
        "chorales",
        "nine nets, a search, or the adding problem",
        among=("chorales", "search", "adding"),
    )
    replicas: int = option(2, "nets of a kind; of a search, trials in dozens", 1, 20)
    hidden: int = option(32, "hidden units; of a search, the most", 2, 128)
    epochs: int = option(24, "passes over the chorales; adding: 100 updates each", 1, 500)
    pieces: int = option(TRAIN, "training chorales", BATCH, TRAIN)

    def __post_init__(self):
        check_options(self)


QUICK = {"hidden": 12, "replicas": 1, "pieces": 100, "epochs": 5}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # kind (or trial), epoch, validation NLL
    weights: dict  # those of the best epoch
    trials: dict  # of a search: the variables and the NLL of every trial


# --- chorales -------------------------------------------------------------------------------------


def read_chorales():
    """All chorales as (steps, 46) of 0 and 1. OSError says what is wrong with the file."""
    beside = Path(__file__).resolve().parents[1] / "data" / "chorales" / "chorales.txt.gz"
    path = Path(os.environ.get("CHORALES_FILE") or beside)
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise OSError(f"{path} cannot be read: {error} (CHORALES_FILE names another)") from None
    if path == beside and hashlib.sha256(content).hexdigest() != CONTENT:
        raise OSError(f"{path} is not the collection of the catalog: its SHA-256 differs")
    pieces = []
    for number, line in enumerate(content.decode("ascii", "replace").splitlines(), 1):
        try:
            voices = np.array([[int(p) for p in step.split(",")] for step in line.split()[1:]])
            good = voices.ndim == 2 and voices.shape[0] > 1
            good &= bool(((voices == 0) | ((voices >= LOW) & (voices < LOW + PITCHES))).all())
        except ValueError:
            good = False
        if not good:
            wanted = f"a name and steps of pitches, 0 or {LOW} to {LOW + PITCHES - 1}"
            raise OSError(f"{path}, line {number}: expected {wanted}")
        roll = np.zeros((len(voices), LOW + PITCHES), np.float32)
        np.put_along_axis(roll, voices, 1, 1)
        pieces.append(roll[:, LOW:])
    if len(pieces) < TRAIN + VALID + 1:
        raise OSError(f"{path} holds {len(pieces)} chorales, {TRAIN + VALID + 1} are needed")
    return pieces


def padded(pieces):
    """Inputs, targets (steps, pitches, pieces), mask (steps, 1, pieces): x(t) is target t - 1."""
    steps = max(map(len, pieces))
    target = np.zeros((steps, PITCHES, len(pieces)), np.float32)
    mask = np.zeros((steps, 1, len(pieces)), np.float32)
    for k, piece in enumerate(pieces):
        target[: len(piece), :, k], mask[: len(piece), :, k] = piece, 1
    return np.concatenate([np.zeros_like(target[:1]), target[:-1]]), target, mask


def batches_of(rng, pieces):
    """Batches of chunks of at most 64 steps, chunks of about equal length together."""
    chunks = [piece[i : i + CHUNK] for piece in pieces for i in range(0, len(piece), CHUNK)]
    order = np.argsort([len(chunk) + 8 * rng.random() for chunk in chunks])
    groups = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    return [padded([chunks[k] for k in groups[g]]) for g in rng.permutation(len(groups))]


# --- nine nets side by side -----------------------------------------------------------------------


def logistic(z):
    """1 / (1 + exp(-z)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def init(rng, kinds, hidden, inputs=PITCHES, outputs=PITCHES, dtype=np.float32):
    """Weights N(0, 0.1^2), equal for equal replicas: kinds lists the kind of every net.

    W (nets, 4 hidden, inputs + 1 + hidden): rows z, i, f, o. P (nets, 3 hidden, 1): peepholes of
    i, f, o. G (nets, 3 hidden, 3 hidden): gates to gates, FGR only. V: hidden units, 1 to outputs.
    """
    shapes = {
        "W": (4 * hidden, inputs + 1 + hidden),
        "P": (3 * hidden, 1),
        "V": (outputs, hidden + 1),
        "G": (3 * hidden, 3 * hidden),
    }
    replicas, w = [kinds[: k + 1].count(kind) for k, kind in enumerate(kinds)], {}
    for name, shape in shapes.items():
        drawn = 0.1 * rng.standard_normal((max(replicas), *shape))
        w[name] = drawn[np.array(replicas) - 1].astype(dtype)
    w["V"][:, :, -1] = -2 if outputs == PITCHES else 0
    w["P"][[kind == "NP" for kind in kinds]] = 0
    w["G"][[kind != "FGR" for kind in kinds]] = 0
    return w


def plain_step(kind, w, x, h, c, gates):
    """One step of one net in plain words: lists in, lists h, c and gates (i, f, o) out."""
    H, u = len(h), [*x, 1.0, *h]
    sums = [sum(a * b for a, b in zip(row, u, strict=True)) for row in w["W"]]
    if kind == "FGR":
        for k, row in enumerate(w["G"]):
            sums[H + k] += sum(a * b for a, b in zip(row, gates, strict=True))
    new_h, new_c, i, f, o = [], [], [], [], []
    for j in range(H):
        z = sums[j] if kind == "NIAF" else math.tanh(sums[j])
        i.append(1.0 if kind == "NIG" else logistic(sums[H + j] + w["P"][j] * c[j]))
        f.append(1.0 if kind == "NFG" else logistic(sums[2 * H + j] + w["P"][H + j] * c[j]))
        f[j] = 1 - i[j] if kind == "CIFG" else f[j]
        new_c.append(z * i[j] + c[j] * f[j])
        o.append(1.0 if kind == "NOG" else logistic(sums[3 * H + j] + w["P"][2 * H + j] * new_c[j]))
        new_h.append((new_c[j] if kind == "NOAF" else math.tanh(new_c[j])) * o[j])
    return new_h, new_c, [*i, *f, *o]


class Stack:
    """Nets of any kinds side by side: forward and backward pass."""

    def __init__(self, kinds, hidden, live=None):
        """live (nets, hidden, 1): 0 where a smaller net has no unit."""
        self.H, self.n, self.live = hidden, len(kinds), live
        self.at = {kind: [k for k, other in enumerate(kinds) if other == kind] for kind in KINDS}
        self.at = {k: slice(v[0], v[-1] + 1) for k, v in self.at.items() if v}

    def forward(self, w, x):
        """Net sums of the outputs (steps, nets, outputs, batch); x (steps, inputs, batch) or with
        an axis of nets before the inputs."""
        steps, batch, H, at = len(x), x.shape[-1], self.H, self.at
        inputs = x.shape[-2]
        x = np.broadcast_to(x[:, None] if x.ndim == 3 else x, (steps, self.n, inputs, batch))
        self.U = np.empty((steps + 1, self.n, inputs + 1 + H, batch), w["W"].dtype)
        self.U[:steps, :, :inputs], self.U[:, :, inputs], self.U[0, :, inputs + 1 :] = x, 1, 0
        self.C = np.zeros((steps + 1, self.n, H, batch), w["W"].dtype)
        self.A = np.empty((steps, self.n, 4 * H, batch), w["W"].dtype)  # z, i, f, o
        self.S = np.empty((steps, self.n, H, batch), w["W"].dtype)  # squashed cells
        pi, pf, po = np.split(w["P"], 3, 1)
        for t in range(steps):
            a, c = np.matmul(w["W"], self.U[t], out=self.A[t]), self.C[t]
            if "FGR" in at and t:
                a[at["FGR"], H:] += w["G"][at["FGR"]] @ self.A[t - 1, at["FGR"], H:]
            a[:, H : 2 * H] += pi * c
            a[:, 2 * H : 3 * H] += pf * c
            linear = a[at["NIAF"], :H].copy() if "NIAF" in at else None
            a[:, H : 3 * H] *= 0.5
            np.tanh(a[:, : 3 * H], out=a[:, : 3 * H])
            a[:, H : 3 * H] += 1
            a[:, H : 3 * H] *= 0.5
            if linear is not None:
                a[at["NIAF"], :H] = linear
            for kind, rows in (("NIG", slice(H, 2 * H)), ("NFG", slice(2 * H, 3 * H))):
                if kind in at:
                    a[at[kind], rows] = 1
            if "CIFG" in at:
                a[at["CIFG"], 2 * H : 3 * H] = 1 - a[at["CIFG"], H : 2 * H]
            new = np.multiply(a[:, :H], a[:, H : 2 * H], out=self.C[t + 1])
            new += c * a[:, 2 * H : 3 * H]
            a[:, 3 * H :] = logistic(a[:, 3 * H :] + po * new)
            if "NOG" in at:
                a[at["NOG"], 3 * H :] = 1
            s = np.tanh(new, out=self.S[t])
            if "NOAF" in at:
                s[at["NOAF"]] = new[at["NOAF"]]
            np.multiply(s, a[:, 3 * H :], out=self.U[t + 1, :, inputs + 1 :])
            if self.live is not None:
                self.U[t + 1, :, inputs + 1 :] *= self.live
        return w["V"][:, :, :-1] @ self.U[1:, :, inputs + 1 :] + w["V"][:, :, -1:]

    def backward(self, w, e):
        """Gradients for the error e at the net sums of the outputs (steps, nets, outputs, batch).

        do = dh s,  dc = dh o s' + po dnet_o + f(t+1) dc(t+1) + pi dnet_i(t+1) + pf dnet_f(t+1)
        dz = dc i,  di = dc z,  df = dc c';  dnet = slope times these, 0 for a gate that is missing
        """
        steps, H, at, A, C = len(e), self.H, self.at, self.A, self.C
        inputs = self.U.shape[2] - 1 - H
        slope = A * (1 - A)
        slope[:, :, :H] = 1 - A[:, :, :H] ** 2
        squash = 1 - self.S**2
        absent = {"NIG": 1, "NFG": 2, "CIFG": 2, "NOG": 3}
        for kind, row in absent.items():
            if kind in at:
                slope[:, at[kind], row * H : (row + 1) * H] = 0
        if "NIAF" in at:
            slope[:, at["NIAF"], :H] = 1
        if "NOAF" in at:
            squash[:, at["NOAF"]] = 1
        pi, pf, po = np.split(w["P"], 3, 1)
        back = np.ascontiguousarray(w["W"][:, :, inputs + 1 :].swapaxes(1, 2))
        through = w["V"][:, :, :-1].swapaxes(1, 2) @ e
        D = np.empty_like(A)
        dc_next = 0
        for t in range(steps - 1, -1, -1):
            dh, d, a, k = through[t], D[t], A[t], slope[t]
            if t + 1 < steps:
                dh = dh + back @ D[t + 1]
            if self.live is not None:
                dh = dh * self.live
            d[:, 3 * H :] = dh * self.S[t]
            if "FGR" in at and t + 1 < steps:
                rows = at["FGR"]
                later = w["G"][rows].swapaxes(1, 2) @ D[t + 1, rows, H:]
                d[rows, 3 * H :] += later[:, 2 * H :]
            d[:, 3 * H :] *= k[:, 3 * H :]
            dc = dh * a[:, 3 * H :] * squash[t] + po * d[:, 3 * H :] + dc_next
            d[:, :H], d[:, H : 2 * H] = dc * a[:, H : 2 * H], dc * a[:, :H]
            d[:, 2 * H : 3 * H] = dc * C[t]
            if "CIFG" in at:
                d[at["CIFG"], H : 2 * H] -= d[at["CIFG"], 2 * H : 3 * H]
            if "FGR" in at and t + 1 < steps:
                d[at["FGR"], H : 3 * H] += later[:, : 2 * H]
            d[:, : 3 * H] *= k[:, : 3 * H]
            dc_next = dc * a[:, 2 * H : 3 * H] + pi * d[:, H : 2 * H] + pf * d[:, 2 * H : 3 * H]
        flat = flat_time(D)
        grads = {"W": flat @ flat_time(self.U[:-1]).swapaxes(1, 2)}
        peeps = ((1, C[:-1]), (2, C[:-1]), (3, C[1:]))
        grads["P"] = np.concatenate(
            [(D[:, :, r * H : (r + 1) * H] * c).sum((0, 3)) for r, c in peeps], 1
        )[..., None]
        if "NP" in at:
            grads["P"][at["NP"]] = 0
        h1 = np.concatenate([self.U[1:, :, inputs + 1 :], self.U[:-1, :, inputs : inputs + 1]], 2)
        grads["V"] = flat_time(e) @ flat_time(h1).swapaxes(1, 2)
        if "FGR" in at:
            grads["G"] = np.zeros_like(w["G"])
            now, before = D[1:, at["FGR"], H:], A[:-1, at["FGR"], H:]
            grads["G"][at["FGR"]] = flat_time(now) @ flat_time(before).swapaxes(1, 2)
        return grads


def flat_time(array):
    """(steps, nets, units, batch) -> (nets, units, steps * batch)."""
    return array.transpose(1, 2, 0, 3).reshape(*array.shape[1:3], -1)


# --- learning -------------------------------------------------------------------------------------


def nll_of(sums, target, mask):
    """NLL of every net (nets,), mean over steps, and the error at the net sums.

    target and mask are (steps, pitches or 1, batch).
    """
    target, mask = target[:, None], mask[:, None]
    count = mask.sum()
    nll = np.logaddexp(0, sums) - target * sums
    return (nll * mask).sum((0, 2, 3)) / count, (logistic(sums) - target) * (mask / count)


class Nesterov:
    """Momentum (Nesterov 1983), the step times 1 - momentum, over a dict of stacked arrays."""

    def __init__(self, weights, step, momentum):
        """step, momentum: (nets,)."""
        self.step = np.asarray(step, np.float32)[:, None, None]
        self.momentum = np.asarray(momentum, np.float32)[:, None, None]
        self.speed = {name: np.zeros_like(w) for name, w in weights.items()}

    def move(self, weights, grads, factor=1.0):
        """One step downhill; factor is on the step."""
        rate = factor * self.step * (1 - self.momentum)
        for name, g in grads.items():
            speed = self.speed[name]
            speed *= self.momentum
            speed -= rate * g
            weights[name] += self.momentum * speed - rate * g


def learn(stack, w, names, rule, sets, config, rng, history, watch, noise=0.0):
    """Train all nets; returns validation NLL and test NLL of every net's best epoch, and weights.

    noise: deviation of Gaussian noise on the inputs, a number or (nets, 1, 1).
    """
    train, valid, test = sets[0], padded(sets[1]), padded(sets[2])
    best, tested, kept = np.full(stack.n, np.inf), np.full(stack.n, np.nan), None
    for epoch in range(1, config.epochs + 1):
        factor = 1.0 if epoch <= 0.63 * config.epochs or config.task == "search" else 0.3
        for x, target, mask in batches_of(rng, train):
            if np.any(noise):
                x = x[:, None] + noise * rng.standard_normal((len(x), 1, *x.shape[1:]))
                x = x.astype(np.float32)
            _, e = nll_of(stack.forward(w, x), target, mask)
            rule.move(w, stack.backward(w, (NOMINAL * e).astype(np.float32)), factor)
        now = nll_of(stack.forward(w, valid[0]), *valid[1:])[0]
        better = now < best
        if better.any():
            new = nll_of(stack.forward(w, test[0]), *test[1:])[0]
            best[better], tested[better] = now[better], new[better]
            kept = kept or {name: array.copy() for name, array in w.items()}
            for name, array in w.items():
                kept[name][better] = array[better]
        for name, value in zip(names, now, strict=True):
            for column, entry in zip(history.values(), (name, epoch, float(value)), strict=True):
                column.append(entry)
        if watch:
            watch(epoch, config.epochs, best=float(best.min()), nll=now, weights=w)
    return best, tested, kept


def split(rng, pieces, config):
    """Training, validation and test chorales, by one fixed permutation."""
    order = np.random.default_rng(0).permutation(len(pieces))
    parts = np.split(order, [TRAIN, TRAIN + VALID])
    chosen = rng.permutation(parts[0])[: config.pieces]
    return [[pieces[k] for k in part] for part in (chosen, *parts[1:])]


def frequencies(train, test):
    """NLL on the test chorales of every pitch's frequency in the training chorales."""
    p = (np.concatenate(train).sum(0) + 0.5) / (sum(map(len, train)) + 1)
    y = np.concatenate(test)
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).sum(1).mean())


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train nine nets on chorales, search the settings of V, or solve the adding problem."""
    rng = np.random.default_rng(config.seed)
    result = Result({}, {"net": [], "epoch": [], "nll": []}, {}, {})
    with np.errstate(over="ignore", invalid="ignore"):
        task = {"chorales": compare, "search": search, "adding": adding}[config.task]
        task(config, rng, result, watch)
    return result


def compare(config, rng, result, watch):
    """The nine nets on chorales: test NLL of each, and how it stands beside V."""
    sets = split(rng, read_chorales(), config)
    names = [kind for kind in KINDS for _ in range(config.replicas)]
    w = init(rng, names, config.hidden)
    rule = Nesterov(w, [STEPS.get(kind, 0.2) for kind in names], np.full(len(names), MOMENTUM))
    args = names, rule, sets, config, rng, result.history, watch
    _, tested, result.weights = learn(Stack(names, config.hidden), w, *args)
    nll = tested.reshape(len(KINDS), -1).mean(1)
    m = result.metrics
    for kind, value in zip(KINDS, nll, strict=True):
        if not math.isfinite(value):
            raise FloatingPointError(f"{kind} never had a finite NLL; choose other units or epochs")
        m[kind] = float(value)
    m |= {f"{kind}_worse": m[kind] - m["V"] for kind in KINDS[1:]}
    m["cheap_apart"] = max(abs(m[kind] - m["V"]) for kind in ("CIFG", "NP")) / m["V"]
    m["music_apart"] = max(m[f"{kind}_worse"] for kind in ("NIG", "NOG", "NIAF")) / m["V"]
    m["best_ahead"] = (m["V"] - min(m[kind] for kind in KINDS[1:])) / m["V"]
    m["frequencies"] = frequencies(sets[0], sets[2])
    m["V_of_frequencies"] = m["V"] / m["frequencies"]


def search(config, rng, result, watch):
    """Random settings of V side by side; which variable explains the validation NLL?"""
    sets, n = split(rng, read_chorales(), config), 12 * config.replicas
    step, momentum = 10 ** rng.uniform(-3.5, 0.5, n), 1 - 10 ** rng.uniform(-2, 0, n)
    size = np.round(2 ** rng.uniform(np.log2(config.hidden / 4), np.log2(config.hidden), n))
    noise = rng.uniform(0, 1, n)
    live = (np.arange(config.hidden) < np.maximum(size, 1)[:, None])[..., None]
    w = init(rng, ["V"] * n, config.hidden)
    for name, array in w.items():  # trials have initial weights of their own
        array[:] = init(rng, ["V"], config.hidden)[name] if n == 1 else rng.permutation(array)
    stack = Stack(["V"] * n, config.hidden, live.astype(np.float32))
    args = range(n), Nesterov(w, step, momentum), sets, config, rng, result.history, watch
    best, _, result.weights = learn(stack, w, *args, noise[:, None, None])
    worst = frequencies(sets[0], sets[1])  # a trial that diverges, or is worse, counts as this
    nll = np.minimum(np.where(np.isfinite(best), best, worst), worst)
    variables = dict(zip(VARIABLES, (step, momentum, size, noise), strict=True))
    result.trials = {**variables, "nll": nll}
    shares = {name: share_explained(values, nll) for name, values in variables.items()}
    result.metrics |= {f"{name}_share": share for name, share in shares.items()}
    result.metrics["others_share"] = max(shares[name] for name in VARIABLES[1:])
    result.metrics |= {"best": float(nll.min()), "trials": n}


def share_explained(values, nll):
    """Share of the variance of nll between BINS bins of the ranks of values, less that of chance.

    Of an unrelated variable the bins' means take (bins - 1) / (n - 1) of it.
    """
    rank = np.argsort(np.argsort(values, kind="stable"))
    bins = rank * BINS // len(rank)
    means = np.array([nll[bins == b].mean() for b in np.unique(bins)])[bins]
    chance = (len(np.unique(bins)) - 1) / (len(nll) - 1)
    return float((means.var() / max(nll.var(), 1e-12) - chance) / (1 - chance))


# --- the earlier catalog's task -------------------------------------------------------------------


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


def add_batch(rng, batch):
    """Inputs (50, 2, batch): values, marks of two of them; target (batch,): their sum."""
    x = np.zeros((LONG, 2, batch), np.float32)
    x[:, 0] = rng.random((LONG, batch))
    columns, half = np.arange(batch), LONG // 2
    first, second = rng.integers(0, half, batch), rng.integers(half, LONG, batch)
    x[first, 1, columns] = x[second, 1, columns] = 1
    return x, x[first, 0, columns] + x[second, 0, columns]


def adding(config, rng, result, watch):
    """The nine nets on the adding problem: mean squared error on fresh sequences."""
    names = [kind for kind in KINDS for _ in range(config.replicas)]
    stack, w = Stack(names, MARKED), init(rng, names, MARKED, 2, 1)
    w["W"][:, 2 * MARKED : 3 * MARKED, 2] = 1  # forget gates start open
    adam, updates = Adam(w, 0.005, limit=1.0, stacked=True), 100 * config.epochs

    def off_of(x, target):
        return stack.forward(w, x)[-1, :, 0] - target

    for update in range(1, updates + 1):
        x, target = add_batch(rng, FEW)
        off = off_of(x, target)
        e = np.zeros((LONG, len(names), 1, FEW), np.float32)
        e[-1, :, 0] = 2 * off / FEW
        adam.step(w, stack.backward(w, e))
        if update % 100 == 0:
            for name, value in zip(names, (off**2).mean(1), strict=True):
                row = name, update, float(value)
                for column, entry in zip(result.history.values(), row, strict=True):
                    column.append(entry)
            if watch:
                watch(update, updates, error=float((off**2).mean()), nll=(off**2).mean(1))
    x, target = add_batch(rng, 1000)
    errors = np.median((off_of(x, target) ** 2).mean(1).reshape(len(KINDS), -1), 1)
    result.metrics |= {kind: float(error) for kind, error in zip(KINDS, errors, strict=True)}
    result.weights = w


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
    """Worst relative error of backward() for all nine kinds, in float64."""
    rng = np.random.default_rng(config.seed)
    w = init(rng, KINDS, 4, 5, 3, float)
    for name in w:
        w[name] *= 5
    stack, x = Stack(KINDS, 4), rng.normal(size=(6, 5, 3))
    target, mask = (rng.random((6, 3, 3)) < 0.5).astype(float), np.ones((6, 1, 3))
    _, e = nll_of(stack.forward(w, x), target, mask)
    grads = stack.backward(w, e)

    def loss():
        w["P"][KINDS.index("NP")] = 0  # no weights of that net
        return float(nll_of(stack.forward(w, x), target, mask)[0].sum())

    return worst_relative_error(loss, w, grads, most=400)


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
