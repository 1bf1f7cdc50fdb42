"""Compete to compute: nets of small blocks in which only the winner speaks forget less than others.

Task      MNIST, cut in two: P1 are the digits 0 to 4, P2 the digits 5 to 9. A net learns P1 until
          its mean negative log-likelihood (NLL) on the training images is 0.03 nats; its output
          layer is put away and a new random one learns P2, with all layers below, to the same NLL.
          Then the old output layer is put back: how much of P1 has been forgotten?
Nets      784 - 1000 - 1000 - 5, softmax. With z = x W + b the hidden units are
          lwta      blocks of two units; y = z for the larger of a block, 0 for the other
          relu      y = max(z, 0)
          sigmoid   y = 1 / (1 + exp(-z))
          All nets of a run start from the same weights and see the same batches.
Learning  stochastic gradient descent with momentum on batches of 100. Errors pass through winners
          (lwta) and through active units (relu) only.

Arrays have the batch first: x (images, 784), W (inputs, units).

    python3 compete_to_compute.py --seed 0
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
from collections import deque
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np

CLASSES, BATCH, BLOCK = 5, 100, 2
LATEST, CHECK, GATE = 200, 25, 1.5  # batches in the running mean; steps; how near it must be
PROBED = 500  # test images of P1 that are watched while P2 is learnt
CELLS = ((0.03, 0.9), (0.1, 0.5), (0.1, 0.9))  # rate, momentum of a sweep
NAMES = ("W1", "b1", "W2", "b2", "W3", "b3")


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
    """The defaults compare lwta and relu at the paper's size: the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    nets: str = option("lwta-relu", "which nets", among=("lwta-relu", "sigmoid"))
    units: int = option(1000, "units of each of the two hidden layers, even", 2, 2000)
    scale: float = option(0.01, "deviation of initial weights; 0: sqrt(2 / inputs)", 0, 1)
    rate: float = option(0.03, "learning rate", 1e-4, 1)
    momentum: float = option(0.9, "part of the last step that is kept", 0, 0.99)
    sweep: bool = option(False, "instead: three pairs of rate and momentum, one after another")
    nll: float = option(0.03, "likelihood at which a half is learnt [nats]", 0.005, 1.5)
    images: int = option(0, "training images of a half; 0: all", 0, 29_404)
    steps: int = option(5000, "most steps a half", 1, 1_000_000)

    def __post_init__(self):
        check_options(self)
        if self.units % BLOCK:
            raise ValueError(f"units must be even, got {self.units}")
        if 0 < self.images < BATCH:
            raise ValueError(f"images must be 0 or at least {BATCH}, got {self.images}")
        if self.sweep and (self.rate, self.momentum) != CELLS[0]:
            raise ValueError("rate and momentum have no effect in a sweep, leave them out")


QUICK = {"units": 100, "images": 2000, "nll": 0.15}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # net, step, p1, p2: test errors [%] while P2 is learnt
    masks: dict  # by net: which units of both layers are on, P1 test images, before and after P2


# --- the two halves -------------------------------------------------------------------------------


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


def load_halves(rng, count):
    """P1 and P2, a training and a test set each: pixels (images, 784) in [0, 1], labels 0 to 4."""
    images, labels, test_images, test_labels = read_mnist()
    halves = []
    for first in (0, CLASSES):
        half = []
        for x, t in ((images, labels), (test_images, test_labels)):
            mine = np.flatnonzero((t >= first) & (t < first + CLASSES))
            if count and x is images:
                mine = rng.permutation(mine)[:count]
            pixels = x[mine].reshape(len(mine), -1).astype(np.float32) / 255
            half.append((pixels, t[mine].astype(int) - first))
        halves.append(half)
    return halves


# --- the net --------------------------------------------------------------------------------------


def init(rng, units, scale, dtype=np.float32):
    """Weights from N(0, scale^2), or N(0, 2 / inputs) where scale is 0; biases 0."""
    w, sizes = {}, (784, units, units, CLASSES)
    for layer, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False), 1):
        w[f"W{layer}"] = random_matrix(rng, inputs, outputs, scale, dtype)
        w[f"b{layer}"] = np.zeros(outputs, dtype)
    return w


def random_matrix(rng, inputs, outputs, scale, dtype=np.float32):
    """A matrix of initial weights."""
    deviation = scale or math.sqrt(2 / inputs)
    return (deviation * rng.standard_normal((inputs, outputs))).astype(dtype)


def plain_block(z):
    """One block in plain words: the largest speaks, of equals the first; the others are silent."""
    winner = max(range(len(z)), key=lambda unit: z[unit])
    return [value if unit == winner else 0.0 for unit, value in enumerate(z)]


def hidden(kind, z):
    """y of a layer for its sums z (images, units), which it overwrites, and its slope dy/dz."""
    if kind == "sigmoid":
        np.tanh(0.5 * z, out=z)
        z += 1
        z *= 0.5
        return z, z * (1 - z)
    if kind == "relu":
        on = z > 0
    else:
        on = np.empty(z.shape, bool)
        np.greater_equal(z[:, ::2], z[:, 1::2], out=on[:, ::2])
        np.logical_not(on[:, ::2], out=on[:, 1::2])
    z *= on
    return z, on


def forward(kind, w, x):
    """Logits (images, 5), and y and slope of both hidden layers."""
    y1, slope1 = hidden(kind, x @ w["W1"] + w["b1"])
    y2, slope2 = hidden(kind, y1 @ w["W2"] + w["b2"])
    return y2 @ w["W3"] + w["b3"], (y1, slope1, y2, slope2)


def log_likelihoods(logits, labels):
    """-log p of every image's class, and p (images, 5)."""
    z = logits - logits.max(1, keepdims=True)
    p = np.exp(z)
    total = p.sum(1, keepdims=True)
    rows = np.arange(len(labels))
    return np.log(total[:, 0]) - z[rows, labels], p / total


def backward(w, x, labels, p, layers):
    """Gradients of the mean NLL: dz3 = (p - t) / n, dz = slope * (dz_next W^T)."""
    y1, slope1, y2, slope2 = layers
    d3 = p.copy()
    d3[np.arange(len(labels)), labels] -= 1
    d3 /= len(labels)
    d2 = d3 @ w["W3"].T
    d2 *= slope2
    d1 = d2 @ w["W2"].T
    d1 *= slope1
    rows = zip(NAMES[::2], NAMES[1::2], (x, y1, y2), (d1, d2, d3), strict=True)
    return {name: part for W, b, y, d in rows for name, part in ((W, y.T @ d), (b, d.sum(0)))}


def mean_nll(kind, w, data):
    """Mean NLL on a set."""
    x, labels = data
    parts = (slice(i, i + 1000) for i in range(0, len(labels), 1000))
    total = sum(log_likelihoods(forward(kind, w, x[s])[0], labels[s])[0].sum() for s in parts)
    return float(total / len(labels))


def wrong(kind, w, data):
    """Which answers are wrong (images,)."""
    x, labels = data
    return forward(kind, w, x)[0].argmax(1) != labels


def error(kind, w, data):
    """Share of wrong answers [%]."""
    return 100 * float(wrong(kind, w, data).mean())


def active(kind, w, x):
    """Which units of both layers are on, (images, 2 units): winners, or where y > 0 (1/2)."""
    y1, slope1, y2, slope2 = forward(kind, w, x)[1]
    if kind == "sigmoid":
        return np.hstack([y1, y2]) > 0.5
    return np.hstack([slope1, slope2])


# --- learning -------------------------------------------------------------------------------------


def train(kind, w, data, rng, config, cell, seen=None):
    """SGD with momentum on w until the NLL is reached; returns steps, and whether it was.

    The NLL of the whole set is looked at every 25 steps when the running mean comes near.
    seen(step) is called as often.
    """
    x, labels = data
    rate, momentum = cell
    velocity, latest = {name: np.zeros_like(w[name]) for name in NAMES}, deque(maxlen=LATEST)
    order, place = rng.permutation(len(labels)), 0
    for step in range(1, config.steps + 1):
        if place + BATCH > len(order):
            order, place = rng.permutation(len(labels)), 0
        batch = order[place : place + BATCH]
        place += BATCH
        pixels, classes = x[batch], labels[batch]
        logits, layers = forward(kind, w, pixels)
        nll, p = log_likelihoods(logits, classes)
        for name, g in backward(w, pixels, classes, p, layers).items():
            speed = velocity[name]
            speed *= momentum
            g *= rate
            speed -= g
            w[name] += speed
        latest.append(float(nll.mean()))
        if step % CHECK == 0 or step == config.steps:
            if not math.isfinite(latest[-1]):
                raise FloatingPointError("weights grew beyond all numbers; choose a smaller rate")
            if seen:
                seen(step)
            near = sum(latest) / len(latest) < GATE * config.nll
            if near and mean_nll(kind, w, data) <= config.nll:
                return step, True
    return config.steps, False


def learn_and_forget(kind, config, cell, halves, result, watch, label):
    """One net through P1, P2 and the last exam; adds to result.metrics and result.history."""
    (train_1, test_1), (train_2, test_2) = halves
    fresh, order = (np.random.default_rng((config.seed, k)) for k in (1, 2))  # equal for all nets
    w = init(fresh, config.units, config.scale)
    steps_1, reached_1 = train(kind, w, train_1, order, config, cell)
    before, masks = error(kind, w, test_1), [active(kind, w, test_1[0])]
    old = {name: w[name].copy() for name in ("W3", "b3")}
    w["W3"] = random_matrix(fresh, config.units, CLASSES, config.scale)
    w["b3"] = np.zeros_like(w["b3"])
    some = tuple(part[:PROBED] for part in test_1), tuple(part[:PROBED] for part in test_2)

    def seen(step):
        now = wrong(kind, w | old, some[0]), wrong(kind, w, some[1])
        p1, p2 = (100 * float(answers.mean()) for answers in now)
        for column, value in zip(result.history.values(), (label, step, p1, p2), strict=True):
            column.append(value)
        if watch:
            watch(step, config.steps, net=label, p1=p1, p2=p2, wrong=now[0])

    steps_2, reached_2 = train(kind, w, train_2, order, config, cell, seen)
    masks.append(active(kind, w | old, test_1[0]))
    result.masks[label] = masks
    result.metrics |= {
        f"{label}_p1": before,
        f"{label}_p2": error(kind, w, test_2),
        f"{label}_after": error(kind, w | old, test_1),
        f"{label}_steps": steps_1 + steps_2,
        f"{label}_reached": reached_1 and reached_2,
        f"{label}_kept": float((masks[0] == masks[1]).mean()),
    }


def run(config: Config = Config(), watch=None) -> Result:
    """Take the nets through both halves, and compare what they have forgotten."""
    halves = load_halves(np.random.default_rng((config.seed, 0)), config.images)
    result = Result({}, {"net": [], "step": [], "p1": [], "p2": []}, {})
    metrics, kinds = result.metrics, config.nets.split("-")
    cells = CELLS if config.sweep else ((config.rate, config.momentum),)
    for number, cell in enumerate(cells):
        for kind in kinds:
            label = f"{kind}_{number}" if config.sweep else kind
            learn_and_forget(kind, config, cell, halves, result, watch, label)
    if len(kinds) == 2:
        metrics |= compare(metrics, len(cells) if config.sweep else 0)
    for name in ("p1", "p2"):
        values = [value for key, value in metrics.items() if key.endswith(f"_{name}")]
        metrics[f"learned_{name}"] = max(values)
    return result


def compare(metrics, cells):
    """How relu stands beside lwta; in a sweep, in how many cells lwta forgets less."""
    if cells:
        after = [[metrics[f"{kind}_{k}_after"] for kind in ("lwta", "relu")] for k in range(cells)]
        return {"cells": cells, "cells_won": sum(lwta < relu for lwta, relu in after)}
    lost = {kind: metrics[f"{kind}_after"] - metrics[f"{kind}_p1"] for kind in ("lwta", "relu")}
    ratio = metrics["relu_after"] / metrics["lwta_after"]
    return {"ratio": ratio, "lwta_ahead": ratio > 1, "gap": lost["relu"] - lost["lwta"]}


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
    """Worst relative error of backward() for all three kinds of nets, in float64."""
    worst = 0.0
    for kind in ("lwta", "relu", "sigmoid"):
        rng = np.random.default_rng(config.seed)
        w = init(rng, 20, 0.0, np.float64)
        x, labels = rng.random((8, 784)), rng.integers(0, CLASSES, 8)
        logits, layers = forward(kind, w, x)
        grads = backward(w, x, labels, log_likelihoods(logits, labels)[1], layers)

        def loss(kind=kind, w=w, x=x, labels=labels):
            return float(log_likelihoods(forward(kind, w, x)[0], labels)[0].mean())

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
