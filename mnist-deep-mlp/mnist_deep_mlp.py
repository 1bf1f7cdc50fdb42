"""Deep, big, simple nets read handwritten digits: plain back-propagation on training images that
are deformed anew every epoch.

Task      MNIST: grey images of digits, padded from 28 x 28 to 29 x 29 so that there is a centre
          pixel; pixel p in 0 ... 255 becomes p / 127.5 - 1. Of the 60,000 training images the first
          50,000 train and the last 10,000 validate; 10,000 others test. Before every epoch each
          training image is deformed anew: horizontal and vertical scale, a rotation or a horizontal
          shear (by a smaller angle where the digit is a 1 or a 7), and an elastic part, noise
          smoothed by a Gaussian.
Net       h_l = A tanh(B (W_l h_{l-1} + b_l)), A = 1.7159, B = 0.6666; softmax over 10 classes,
          cross-entropy.
Learning  stochastic gradient descent by back-propagation, in small batches, with momentum and with
          the gradient centred (see backward); the rate falls linearly to almost zero, and is larger
          for the first layer and smaller for the last. The weights of the epoch with the lowest
          validation error are tested, once.
Controls  (b) the same net on the images as they are, (c) a small net on the same deformed images.

Arrays are feature-major: images x: (841, batch), layers h_l: (units, batch), weights W_l: (units,
inputs), b_l: (units, 1).

    python3 mnist_deep_mlp.py --seed 0
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

import numpy as np

SIDE, PIXELS, CLASSES = 29, 841, 10
A, B = 1.7159, 0.6666
BACKGROUND = -1.0
SLOW = (1, 7)  # digits that look alike when they are turned far
RADIUS = 10  # of the smoothing kernel: 21 x 21 pixels
SMALL = "300-100"
NETS = [
    SMALL,
    "512-256",
    "1000-500",
    "1500-1000-500",
    "2000-1500-1000-500",
    "2500-2000-1500-1000-500",
]


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
    net: str = option("1000-500", "units of the hidden layers, first to last", among=NETS)
    epochs: int = option(30, "epochs on deformed images", 1, 1000)
    controls: bool = option(True, "also train the two controls")
    plain_epochs: int = option(8, "epochs of control (b), on the images as they are", 1, 1000)
    images: int = option(50_000, "training images, the first so many of 50,000", 1000, 50_000)
    batch: int = option(125, "images in a training step, about", 20, 1000)
    group: int = option(
        30,
        "most images that share a deformation; they are spread over an epoch",
        1,
        1000,
    )
    rate: float = option(
        0.02, "learning rate of the first step, for the mean gradient of a batch", 1e-6, 1.0
    )
    plain_rate: float = option(0.05, "the same for control (b)", 1e-6, 1.0)
    first: float = option(12.0, "learning rate of the first layer, as a multiple", 1e-3, 100)
    last: float = option(0.2, "learning rate of the last layer, as a multiple", 1e-3, 100)
    anneal: float = option(
        0.001,
        "learning rate of the last step as a part of the first step's; it falls linearly",
        1e-6,
        1.0,
    )
    momentum: float = option(0.9, "part of the last step that is kept", 0, 0.99)
    strength: float = option(
        1.0, "factor on all deformations; 0 leaves the images as they are", 0, 2
    )
    angle: float = option(
        15.0, "largest rotation or shear, beta; half of it for the digits 1 and 7 [degrees]", 0, 30
    )

    def __post_init__(self):
        check_options(self)


QUICK = {"net": SMALL, "epochs": 2, "controls": False, "images": 5000, "batch": 100}


@dataclass
class Result:
    """What a run leaves.

    metrics; history: by epoch on deformed images; curves: validation error [%] by epoch, by net;
    weights: the selected ones, by net; ranked: (10, 10,000) the classes from best to worst guess of
    the net, for each test image; test: its images and labels.
    """

    metrics: dict
    history: dict
    curves: dict
    weights: dict
    ranked: np.ndarray
    test: tuple


# --- the images ----------------------------------------------------------------------------------


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


def pad(images):
    """Grey levels (images, 841) with an empty row below and an empty column to the right."""
    return np.pad(images, ((0, 0), (0, 1), (0, 1))).reshape(len(images), PIXELS)


def scaled(ink):
    """Grey levels 0 ... 255 as the net sees them."""
    return ink * np.float32(1 / 127.5) + np.float32(BACKGROUND)


def pieces_of(images, labels, size=1000):
    """Images (841, size) as the net sees them and their labels, in pieces: a list of pairs."""
    return [
        (scaled(images[i : i + size]).T, labels[i : i + size]) for i in range(0, len(images), size)
    ]


def load_data(config):
    """Training images (n, 841) in grey levels and labels; validation and test set in pieces, see
    pieces_of()."""
    images, labels, test_images, test_labels = read_mnist()
    images = pad(images)
    held_out, test = (
        pieces_of(images[50_000:], labels[50_000:]),
        pieces_of(pad(test_images), test_labels),
    )
    return images[: config.images], labels[: config.images], held_out, test


# --- deforming -----------------------------------------------------------------------------------


# idiom: deform
def elastic_fields(rng, count, strength=1.0):
    """Smooth random displacements (count, 2, 29, 29), downwards and to the right [pixels].

    Uniform noise in [-1, 1], nothing outside the image, convolved with a Gaussian kernel of 21 x 21
    pixels, sum one and sigma in [5, 6], times alpha in [36, 38]. The Gaussian is a product, so that
    a matrix for the rows and one for the columns do.
    """
    sigma = rng.uniform(5, 6, (count, 1, 1))
    alpha = strength * rng.uniform(36, 38, (count, 1, 1, 1))
    reach = np.arange(-RADIUS, RADIUS + 1)
    offset = np.arange(SIDE) - np.arange(SIDE)[:, None]
    smooth = np.where(np.abs(offset) <= RADIUS, np.exp(-(offset**2) / (2 * sigma**2)), 0)
    smooth /= np.exp(-(reach**2) / (2 * sigma**2)).sum(2, keepdims=True)
    smooth = smooth.astype(np.float32)[:, None]
    noise = 2 * rng.random((count, 2, SIDE, SIDE), dtype=np.float32) - 1
    return alpha.astype(np.float32) * (smooth @ noise @ smooth.swapaxes(2, 3))


def affine_maps(rng, angles, strength=1.0):
    """Matrices (count, 2, 2) that scale and then either rotate or shear by up to angles: (count,)
    [degrees]."""
    count = len(angles)
    gamma = rng.uniform(0.15, 0.20, (count, 1))
    scale = 1 + strength * gamma * rng.uniform(-1, 1, (count, 2))
    angle = np.radians(strength * angles * rng.uniform(-1, 1, count))
    rotated = rng.random(count) < 0.5
    cos, sin = np.where(rotated, np.cos(angle), 1), np.where(rotated, np.sin(angle), 0)
    shear = np.where(rotated, -np.sin(angle), np.tan(angle))
    maps = np.array([[cos, sin], [shear, cos]]).transpose(
        2, 0, 1
    )  # acts on (row, column): a shear moves columns only
    return maps * scale[:, :, None]


def sampling_points(maps, fields):
    """Where each pixel of a deformed image comes from: (count, 2, 841), row and column."""
    grid = np.indices((SIDE, SIDE)).reshape(2, PIXELS) - SIDE // 2
    return (maps @ grid + fields.reshape(-1, 2, PIXELS) + SIDE // 2).astype(np.float32)


def bilinear(points):
    """Indices and weights (4, count, 841) of the four pixels around each point; outside the image
    the weight is 0."""
    corner = np.floor(points)
    share = points - corner
    corner = corner.astype(np.int64)
    weights_of, inside, place = [], [], []
    for step in (0, 1):
        there = corner + step
        weights_of.append(share if step else 1 - share)
        inside.append((there >= 0) & (there < SIDE))
        place.append(np.clip(there, 0, SIDE - 1))
    pairs = [(down, right) for down in (0, 1) for right in (0, 1)]
    index = np.array([SIDE * place[down][:, 0] + place[right][:, 1] for down, right in pairs])
    weights = [
        weights_of[d][:, 0] * weights_of[r][:, 1] * (inside[d][:, 0] & inside[r][:, 1])
        for d, r in pairs
    ]
    return index, np.array(weights)


def split_groups(rng, labels, size):
    """random groups of at most `size` images, arrays of their numbers: those of 1s and 7s, those of
    other digits."""
    is_slow = np.isin(labels, SLOW)
    members = [rng.permutation(np.flatnonzero(part)) for part in (is_slow, ~is_slow)]
    return [np.array_split(part, -(-len(part) // size)) if len(part) else [] for part in members]


def deform(images, groups, points, out):
    """Put the images of each group (an index array), sampled at its own points, into the rows of
    out as the net sees them.

    Grey level 0 is the background, so that what lies outside the image needs no pixel of its own.
    """
    index, weight = bilinear(points)
    weight *= 1 / 127.5
    for g, members in enumerate(groups):
        ink = images[members].T.astype(np.float32, order="C")
        total = ink.take(index[0, g], axis=0)
        total *= weight[0, g][:, None]
        for corner in range(1, 4):
            part = ink.take(index[corner, g], axis=0)
            part *= weight[corner, g][:, None]
            total += part
        total += BACKGROUND
        out[members] = total.T


def deform_all(rng, images, labels, config, out):
    """Put a fresh deformation of every image (n, 841) into out (n, 841); images of a group share
    theirs."""
    slow, others = split_groups(rng, labels, config.group)
    groups, angles = (
        slow + others,
        np.repeat([config.angle / 2, config.angle], [len(slow), len(others)]),
    )
    for start in range(0, len(groups), 50):
        part = slice(start, start + 50)
        maps = affine_maps(rng, angles[part], config.strength)
        deform(
            images,
            groups[part],
            sampling_points(maps, elastic_fields(rng, len(maps), config.strength)),
            out,
        )


# end idiom


# --- the net -------------------------------------------------------------------------------------


@dataclass
class Net:
    """weights, their gradient and the last step (velocity): dicts of arrays; pace: learning rate of
    each array, as a multiple;
    scratch: arrays for the layers, by batch size."""

    weights: dict
    gradient: dict
    velocity: dict
    pace: dict
    scratch: dict = dataclasses.field(default_factory=dict)


def init_weights(rng, name, dtype=np.float32):
    """Weights and biases uniform in [-0.05, 0.05]; more where a unit has few inputs, or the signal
    dies out."""
    sizes, weights = [PIXELS, *map(int, name.split("-")), CLASSES], {}
    # The last size has no successor.
    for l, (inputs, units) in enumerate(zip(sizes, sizes[1:]), 1):  # noqa: B905
        bound = 0.05 if inputs >= 500 else 0.05 * np.sqrt(1000 / inputs)
        weights[f"W{l}"] = rng.uniform(-bound, bound, (units, inputs)).astype(dtype)
        weights[f"b{l}"] = rng.uniform(-bound, bound, (units, 1)).astype(dtype)
    return weights


def make_net(weights, first=1.0, last=1.0):
    """A net at rest; the first and the last layer learn faster or slower than the others by these
    factors."""
    pace = dict.fromkeys(weights, 1.0) | {"W1": first, "b1": first}
    pace |= dict.fromkeys(list(weights)[-2:], last)
    return Net(
        weights, *({name: np.zeros_like(w) for name, w in weights.items()} for _ in range(2)), pace
    )


def forward(weights, x, out=None):
    """[x, h_1, ..., h_{L-1}, probabilities of the classes]; out: arrays to put the layers into."""
    layers, depth = [x], len(weights) // 2
    for l in range(1, depth + 1):
        h = np.matmul(weights[f"W{l}"], layers[-1], out=out[l - 1] if out else None)
        h += weights[f"b{l}"]
        if l < depth:
            h *= B
            np.tanh(h, out=h)
            h *= A
        layers.append(h)
    h -= h.max(0)
    np.exp(h, out=h)
    h /= h.sum(0)
    return layers


def backward(weights, layers, delta, gradient, out=None, centred=True):
    """Fill gradient, given delta = dloss / d(input of the softmax): (10, batch). Uses up the
    layers; out: as for forward.

    Centred: the direction of steepest descent in the coordinates W, b + W m of a layer, where m is
    the batch's mean of its input h. Only W reaches b through m: dW = delta (h - m)^T, db =
    sum(delta) - dW m.
    """
    for l in range(len(weights) // 2, 0, -1):
        h, dw, db, above = layers[l - 1], gradient[f"W{l}"], gradient[f"b{l}"], delta
        np.sum(above, axis=1, keepdims=True, out=db)
        if l > 1:
            delta = np.matmul(weights[f"W{l}"].T, above, out=out[l - 2] if out else None)
            slope = h * h  # A tanh(B a) has the slope A B - h^2 B / A
            slope *= -B / A
            slope += A * B
            delta *= slope
        if centred:
            mean = h.mean(1, keepdims=True)
            np.matmul(above, (h - mean).T, out=dw)
            db -= dw @ mean
        else:
            np.matmul(above, h.T, out=dw)


def update(net, momentum):
    """One step downhill; the gradient comes multiplied by the learning rate."""
    for name, w in net.weights.items():
        velocity = net.velocity[name]
        net.gradient[name] *= net.pace[name]
        velocity *= momentum
        velocity -= net.gradient[name]
        w += velocity


def train_step(net, x, labels, rate, momentum):
    """One step on a batch; returns how many images were classified wrongly before it."""
    batch = len(labels)
    if batch not in net.scratch:
        net.scratch[batch] = [
            [np.empty((len(b), batch), x.dtype) for b in list(net.weights.values())[1::2]]
            for _ in range(2)
        ]
    layers_out, deltas_out = net.scratch[batch]
    layers = forward(net.weights, x, layers_out)
    delta = layers[-1]
    wrong = int(np.sum(delta.argmax(0) != labels))
    delta[labels, np.arange(batch)] -= 1
    delta *= rate / batch
    backward(net.weights, layers, delta, net.gradient, deltas_out)
    update(net, momentum)
    return wrong


# --- training and evaluation ---------------------------------------------------------------------


def rank_classes(weights, pieces):
    """Classes (10, images) from the best to the worst guess."""
    return np.concatenate(
        [np.argsort(-forward(weights, x)[-1], axis=0, kind="stable") for x, _ in pieces], axis=1
    )


def error(weights, pieces):
    """Share of wrongly classified images [%]."""
    wrong = sum(int(np.sum(forward(weights, x)[-1].argmax(0) != labels)) for x, labels in pieces)
    return 100 * wrong / sum(len(labels) for _, labels in pieces)


def train(nets, data, epochs, deformed, rng, config, watch):
    """Train nets (a dict) side by side on the same batches, of deformed images or of the images as
    they are.

    Returns their validation and training errors [%] by epoch, and the weights of each at its lowest
    validation error (of equals, the last).
    """
    images, labels, held_out = data
    curves, training, best, shown = (
        {name: [] for name in nets},
        {name: [] for name in nets},
        {},
        scaled(images),
    )
    steps, rate = -(-len(labels) // config.batch), config.rate if deformed else config.plain_rate
    rates = iter(np.linspace(rate, rate * config.anneal, epochs * steps).tolist())
    for _ in range(epochs):
        if deformed:
            deform_all(rng, images, labels, config, shown)
        wrong = dict.fromkeys(nets, 0)
        # The rates go on in the next epoch.
        for chosen, rate in zip(np.array_split(rng.permutation(len(labels)), steps), rates):  # noqa: B905
            x = shown[chosen].T
            for name, net in nets.items():
                wrong[name] += train_step(net, x, labels[chosen], rate, config.momentum)
        for name, net in nets.items():
            training[name].append(100 * wrong[name] / len(labels))
            curves[name].append(error(net.weights, held_out))
            if curves[name][-1] == min(curves[name]):
                best[name] = {key: w.copy() for key, w in net.weights.items()}
        watch(curves, nets)
    return curves, training, best


def run(config: Config = Config(), watch=None) -> Result:
    """Train the net and its controls, select by validation error, test once."""
    streams = np.random.default_rng(config.seed).spawn(5)
    *data, held_out, test = load_data(config)
    first = init_weights(streams[0], config.net)
    paces = config.first, config.last
    nets = {"deformed": make_net({name: w.copy() for name, w in first.items()}, *paces)}
    if config.controls:
        nets["small"] = make_net(init_weights(streams[1], SMALL), *paces)
    total, done = config.epochs + config.plain_epochs * config.controls, []

    def report(curves, nets):
        done.append(1)
        errors = {name + "_error": curve[-1] for name, curve in curves.items()}
        if watch:
            watch(len(done), total, **errors, nets=nets)

    data = (*data, held_out)
    curves, training, weights = train(nets, data, config.epochs, True, streams[2], config, report)
    history = {"epoch": list(range(1, config.epochs + 1))}
    history |= {name + "_error": curve for name, curve in curves.items()}
    history |= {name + "_train_error": curve for name, curve in training.items()}
    if config.controls:
        plain = train(
            {"plain": make_net(first, *paces)},
            data,
            config.plain_epochs,
            False,
            streams[3],
            config,
            report,
        )
        for kept, more in zip((curves, training, weights), plain, strict=True):
            kept |= more
    ranked = rank_classes(weights["deformed"], test)
    metrics = measure(config, curves, training, weights, ranked, test)
    metrics["field_sd"] = float(elastic_fields(streams[4], 200, config.strength).std())
    return Result(metrics, history, curves, weights, ranked, test)


def measure(config, curves, training, weights, ranked, test):
    """The metrics of trained nets; errors in %."""
    truth = np.concatenate([labels for _, labels in test])
    missed = ranked[0] != truth
    errors = {"deformed": 100 * float(np.mean(missed))}
    errors |= {name: error(w, test) for name, w in weights.items() if name != "deformed"}
    metrics = {f"err_{name}": value for name, value in errors.items()}
    if config.controls:
        metrics["plain_over_deformed"] = errors["plain"] / max(errors["deformed"], 0.01)
        metrics["size_gain_pp"] = errors["small"] - errors["deformed"]
    metrics["second_guess"] = (
        float(np.mean(ranked[1, missed] == truth[missed])) if missed.any() else 1.0
    )
    for name, curve in curves.items():
        metrics[f"val_{name}"] = min(curve)
        metrics[f"best_epoch_{name}"] = len(curve) - curve[::-1].index(min(curve))
        metrics[f"train_{name}"] = training[name][-1]
        metrics |= {
            f"val_{name}_{epoch}": curve[epoch - 1]
            for epoch in (1, 2, 5, 10, 20, 30)
            if epoch <= len(curve)
        }
    metrics["weights"] = sum(w.size for w in weights["deformed"].values())
    return metrics


def gradient_check(config: Config = Config(net=SMALL)) -> float:
    """Worst relative error of backward() against central differences."""
    rng = np.random.default_rng(config.seed)
    weights, x, labels = (
        init_weights(rng, config.net, np.float64),
        rng.uniform(-1, 1, (PIXELS, 6)),
        rng.integers(CLASSES, size=6),
    )
    gradient = {name: np.empty_like(w) for name, w in weights.items()}
    layers = forward(weights, x)
    delta = layers[-1].copy()
    delta[labels, np.arange(6)] -= 1
    backward(weights, layers, delta, gradient, centred=False)
    return worst_relative_error(
        lambda: -np.log(forward(weights, x)[-1][labels, np.arange(6)]).sum(), weights, gradient
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
