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
Learning  The paper's rule is online_step(): one image, one step downhill. Here the steps are taken
          on small batches, with momentum and with the gradient centred (see backward); the rate
          falls linearly to almost zero, and is larger for the first layer and smaller for the last.
          Deformed images that the net was sure of when it last saw them are shown less often (see
          chosen).
          The weights of the epoch with the lowest validation error are tested, once.
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
BOUND, FEW, WIDE = 0.05, 500, 1000  # initial weights; they are larger where a unit has few inputs
EASY = 0.99  # probability of its label from which an image is easy
MILESTONES = (1, 2, 5, 10, 15, 20, 28)  # epochs whose validation error is a metric
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
    epochs: int = option(28, "epochs on deformed images", 1, 1000)
    controls: bool = option(True, "also train the two controls")
    plain_epochs: int = option(8, "epochs of control (b), on the images as they are", 1, 1000)
    images: int = option(50_000, "training images, the first so many of 50,000", 1000, 50_000)
    batch: int = option(128, "images in a training step", 20, 1000)
    group: int = option(30, "most images that share a deformation", 1, 1000)
    kept: float = option(0.15, "share of the easy deformed images that are shown", 0.05, 1)
    rate: float = option(0.04, "first learning rate, for the mean gradient of a batch", 1e-6, 1.0)
    plain_rate: float = option(0.05, "the same for control (b)", 1e-6, 1.0)
    first: float = option(12.0, "learning rate of the first layer, as a multiple", 1e-3, 100)
    last: float = option(0.2, "learning rate of the last layer, as a multiple", 1e-3, 100)
    anneal: float = option(0.001, "last learning rate as a part of the first", 1e-6, 1.0)
    momentum: float = option(0.9, "part of the last step that is kept", 0, 0.99)
    strength: float = option(1.0, "factor on all deformations; 0: images as they are", 0, 2)
    angle: float = option(
        15.0, "largest rotation or shear, beta; half of it for the digits 1 and 7 [degrees]", 0, 30
    )

    def __post_init__(self):
        check_options(self)


QUICK = {"net": SMALL, "epochs": 3, "controls": False, "images": 15_000, "rate": 0.05}


@dataclass
class Result:
    """What a run leaves.

    metrics; history: by epoch on deformed images; curves: validation error [%] by epoch, by net;
    shares: share of the images shown by epoch, by net; weights: the selected ones, by net; ranked:
    (10, 10,000) the classes from best to worst guess of the net, for each test image; test: its
    images and labels.
    """

    metrics: dict
    history: dict
    curves: dict
    shares: dict
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
    starts = range(0, len(images), size)
    return [(scaled(images[i : i + size]).T, labels[i : i + size]) for i in starts]


def load_data(config):
    """Training images (n, 841) in grey levels and labels; validation and test set in pieces, see
    pieces_of()."""
    images, labels, test_images, test_labels = read_mnist()
    images = pad(images)
    held_out = pieces_of(images[50_000:], labels[50_000:])
    test = pieces_of(pad(test_images), test_labels)
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


# --- the paper's rule, in plain form --------------------------------------------------------------


def softmax(a):
    """exp(a) over its sum, along the first axis."""
    e = np.exp(a - a.max(0))
    return e / e.sum(0)


def online_step(weights, x, label, rate):
    """One step of the paper on one image x: (841,); changes the weights.

    Forward: h_l = A tanh(B (W_l h_{l-1} + b_l)). Backward: the last delta is p - (one-hot label),
    below it delta_{l-1} = (W_l^T delta_l) * (A B - B h_{l-1}^2 / A), the slope of the unit. Step:
    W_l -= rate delta_l h_{l-1}^T, b_l -= rate delta_l.
    """
    depth, h = len(weights) // 2, [x]
    for l in range(1, depth + 1):
        a = weights[f"W{l}"] @ h[-1] + weights[f"b{l}"][:, 0]
        h.append(A * np.tanh(B * a) if l < depth else softmax(a))
    delta = h.pop()
    delta[label] -= 1
    for l in range(depth, 0, -1):
        below = (weights[f"W{l}"].T @ delta) * (A * B - B * h[l - 1] ** 2 / A)
        weights[f"W{l}"] -= rate * np.outer(delta, h[l - 1])
        weights[f"b{l}"][:, 0] -= rate * delta
        delta = below


# --- the net -------------------------------------------------------------------------------------


@dataclass
class Net:
    """What a net is while it learns.

    weights, their gradient and the last step (velocity): dicts of arrays; pace: learning rate of
    each array, as a multiple; certainty: (training images,) probability of the label when the image
    was last shown; kept: share of the easy images that an epoch shows; rng: draws them.
    """

    weights: dict
    gradient: dict
    velocity: dict
    pace: dict
    certainty: np.ndarray
    kept: float
    rng: np.random.Generator


def init_weights(rng, name, dtype=np.float32):
    """Weights and biases uniform in [-0.05, 0.05]; more where a unit has few inputs, or the signal
    dies out."""
    sizes, weights = [PIXELS, *map(int, name.split("-")), CLASSES], {}
    for l, (inputs, units) in enumerate(zip(sizes[:-1], sizes[1:], strict=True), 1):
        bound = BOUND if inputs >= FEW else BOUND * np.sqrt(WIDE / inputs)
        weights[f"W{l}"] = rng.uniform(-bound, bound, (units, inputs)).astype(dtype)
        weights[f"b{l}"] = rng.uniform(-bound, bound, (units, 1)).astype(dtype)
    return weights


def make_net(rng, weights, images, config, kept=1.0):
    """A net at rest that has seen none of so many images; the first and the last layer have a pace
    of their own."""
    pace = dict.fromkeys(weights, 1.0) | {"W1": config.first, "b1": config.first}
    pace |= dict.fromkeys(list(weights)[-2:], config.last)
    gradient, velocity = ({key: np.zeros_like(w) for key, w in weights.items()} for _ in range(2))
    return Net(weights, gradient, velocity, pace, np.zeros(images, np.float32), kept, rng)


def forward(weights, x):
    """[x, h_1, ..., h_{L-1}, probabilities of the classes]."""
    layers, depth = [x], len(weights) // 2
    for l in range(1, depth + 1):
        h = weights[f"W{l}"] @ layers[-1]
        h += weights[f"b{l}"]
        if l < depth:
            h *= B
            np.tanh(h, out=h)
            h *= A
        layers.append(h)
    layers[-1] = softmax(h)
    return layers


def backward(weights, layers, delta, gradient, centred=True):
    """Fill gradient, given delta = dloss / d(input of the softmax): (10, batch).

    Centred: the direction of steepest descent in the coordinates W, b + W m of a layer, where m is
    the batch's mean of its input h. Only W reaches b through m: dW = delta (h - m)^T, db =
    sum(delta) - dW m.
    """
    for l in range(len(weights) // 2, 0, -1):
        h, dw, db = layers[l - 1], gradient[f"W{l}"], gradient[f"b{l}"]
        np.sum(delta, axis=1, keepdims=True, out=db)
        mean = h.mean(1, keepdims=True) if centred else np.zeros_like(h[:, :1])
        np.matmul(delta, (h - mean).T, out=dw)
        db -= dw @ mean
        if l > 1:
            slope = h * h  # A tanh(B a) has the slope A B - h^2 B / A
            slope *= -B / A
            slope += A * B
            delta = weights[f"W{l}"].T @ delta
            delta *= slope


def update(net, momentum):
    """One step downhill; the gradient comes multiplied by the learning rate."""
    for name, w in net.weights.items():
        velocity = net.velocity[name]
        net.gradient[name] *= net.pace[name]
        velocity *= momentum
        velocity -= net.gradient[name]
        w += velocity


def train_step(net, x, labels, rate, momentum):
    """One step on a batch, for the sum of its gradients times rate; returns the probabilities
    (batch,) of the labels before it."""
    layers, columns = forward(net.weights, x), np.arange(len(labels))
    delta = layers[-1]
    certainty = delta[labels, columns]
    delta[labels, columns] -= 1
    delta *= rate
    backward(net.weights, layers, delta, net.gradient)
    update(net, momentum)
    return certainty


# --- training and evaluation ---------------------------------------------------------------------


def chosen(net):
    """Numbers of the images that an epoch shows, in random order: those that the net was not sure
    of when it last saw them, and a share of the easy ones.

    An easy image hardly moves the weights, but costs as much time as any other.
    """
    hard = net.certainty < EASY
    return net.rng.permutation(np.flatnonzero(hard | (net.rng.random(len(hard)) < net.kept)))


def train_epoch(net, images, labels, rates, config):
    """Show images (n, 841), as the net sees them; returns the share of them that was shown.

    rates: learning rates at the beginning and at the end of the epoch.
    """
    shown = chosen(net)
    for start in range(0, len(shown), config.batch):
        batch = shown[start : start + config.batch]
        rate = rates[0] + (rates[1] - rates[0]) * start / len(shown)
        x, mean_rate = images[batch].T, float(rate) / config.batch
        net.certainty[batch] = train_step(net, x, labels[batch], mean_rate, config.momentum)
    return len(shown) / len(labels)


def train(nets, data, epochs, rate, rng, config, watch):
    """Train nets (a dict) side by side, on images that rng deforms, or as they are if it is None.

    Returns their validation errors [%] and the shares of images shown by epoch, and the weights of
    each at its lowest validation error (of equals, the last).
    """
    images, labels, held_out = data
    curves, shares, best = {name: [] for name in nets}, {name: [] for name in nets}, {}
    seen, rates = scaled(images), np.linspace(rate, rate * config.anneal, epochs + 1)
    for epoch in range(epochs):
        if rng:
            deform_all(rng, images, labels, config, seen)
        for name, net in nets.items():
            share = train_epoch(net, seen, labels, rates[epoch : epoch + 2], config)
            shares[name].append(share)
            curves[name].append(error(net.weights, held_out))
            if curves[name][-1] == min(curves[name]):
                best[name] = {key: w.copy() for key, w in net.weights.items()}
        watch({name: curve[-1] for name, curve in curves.items()}, nets)
    return curves, shares, best


def rank_classes(weights, pieces):
    """Classes (10, images) from the best to the worst guess."""
    guesses = [np.argsort(-forward(weights, x)[-1], axis=0, kind="stable") for x, _ in pieces]
    return np.concatenate(guesses, axis=1)


def error(weights, pieces):
    """Share of wrongly classified images [%]."""
    wrong = sum(int(np.sum(forward(weights, x)[-1].argmax(0) != labels)) for x, labels in pieces)
    return 100 * wrong / sum(len(labels) for _, labels in pieces)


def run(config: Config = Config(), watch=None) -> Result:
    """Train the net and its controls, select by validation error, test once."""
    starts, small_start, deforming, fields, *showing = np.random.default_rng(config.seed).spawn(7)
    *data, held_out, test = load_data(config)
    data, count = (*data, held_out), config.images
    first = init_weights(starts, config.net)
    same = {name: w.copy() for name, w in first.items()}
    nets = {"deformed": make_net(showing[0], first, count, config, config.kept)}
    if config.controls:
        small = init_weights(small_start, SMALL)
        nets["small"] = make_net(showing[1], small, count, config, config.kept)
    total, done = config.epochs + config.plain_epochs * config.controls, []

    def report(errors, nets):
        done.append(errors)
        if watch:
            shown = {name + "_error": value for name, value in errors.items()}
            watch(len(done), total, **shown, nets=nets)

    found = train(nets, data, config.epochs, config.rate, deforming, config, report)
    history = {"epoch": list(range(1, config.epochs + 1))}
    history |= {name + "_error": curve for name, curve in found[0].items()}
    if config.controls:
        nets, rate = {"plain": make_net(showing[2], same, count, config)}, config.plain_rate
        plain = train(nets, data, config.plain_epochs, rate, None, config, report)
        found = [both | more for both, more in zip(found, plain, strict=True)]
    curves, shares, weights = found
    ranked = rank_classes(weights["deformed"], test)
    metrics = measure(config, curves, shares, weights, ranked, test)
    metrics["field_sd"] = float(elastic_fields(fields, 200, config.strength).std())
    return Result(metrics, history, curves, shares, weights, ranked, test)


def measure(config, curves, shares, weights, ranked, test):
    """The metrics of trained nets; errors in %."""
    truth = np.concatenate([labels for _, labels in test])
    missed = ranked[0] != truth
    errors = {"deformed": 100 * float(np.mean(missed))}
    errors |= {name: error(w, test) for name, w in weights.items() if name != "deformed"}
    metrics = {f"err_{name}": value for name, value in errors.items()}
    if config.controls:
        metrics["plain_over_deformed"] = errors["plain"] / max(errors["deformed"], 0.01)
        metrics["size_gain_pp"] = errors["small"] - errors["deformed"]
    second = ranked[1, missed] == truth[missed]
    metrics["second_guess"] = float(np.mean(second)) if missed.any() else 1.0
    for name, curve in curves.items():
        metrics[f"val_{name}"] = min(curve)
        metrics[f"best_epoch_{name}"] = len(curve) - curve[::-1].index(min(curve))
        metrics[f"shown_{name}"] = float(np.mean(shares[name]))
        reached = [epoch for epoch in MILESTONES if epoch <= len(curve)]
        metrics |= {f"val_{name}_{epoch}": curve[epoch - 1] for epoch in reached}
    metrics["weights"] = sum(w.size for w in weights["deformed"].values())
    return metrics


def gradient_check(config: Config = Config(net=SMALL)) -> float:
    """Worst relative error of backward() against central differences."""
    rng, columns = np.random.default_rng(config.seed), np.arange(6)
    weights = init_weights(rng, config.net, np.float64)
    x, labels = rng.uniform(-1, 1, (PIXELS, 6)), rng.integers(CLASSES, size=6)
    gradient = {name: np.empty_like(w) for name, w in weights.items()}
    layers = forward(weights, x)
    delta = layers[-1].copy()
    delta[labels, columns] -= 1
    backward(weights, layers, delta, gradient, centred=False)

    def loss():
        return -np.log(forward(weights, x)[-1][labels, columns]).sum()

    return worst_relative_error(loss, weights, gradient)


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
