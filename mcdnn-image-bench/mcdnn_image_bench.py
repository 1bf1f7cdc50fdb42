"""Multi-column deep nets: convolutional nets that see digits at different widths, and their mean.

Task      MNIST: 28 x 28 pixels, ten digits; count the errors among the 10,000 test images.
Views     A column sees every image, also at the test, in one of seven ways: as it is (ORIGINAL), or
          with the digit stretched or shrunk to a width of 10, 12, ... 20 pixels (W10 ... W20).
Column    29 x 29 -> 20 maps, kernels 4 x 4 -> greatest of 2 x 2 -> 40 maps, kernels 5 x 5
          -> greatest of 3 x 3 -> 150 units -> 10 outputs, a softmax. Units squash their sum a by
          1.7159 tanh(0.6666 a). (Ciresan, Meier & Schmidhuber 2012)
Committee The mean of the columns' outputs; its largest entry is the answer.
Learning  Cross-entropy, momentum, batches of 50. Before each epoch all images are deformed anew.
          From the second epoch on an image is left out if its last loss was below 0.02, but for 15
          of 100, which then count 1 / 0.15 times: the mean gradient stays what it was.
Shapes    The row of a map comes first: (rows, batch, columns, maps), so that the rows that a kernel
          needs are one slice without a copy.
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

SIDE, PIXELS, BACKGROUND = 29, 841, -1.0  # of an image; what the net sees where nothing is
RADIUS, SLOW = 10, (1, 7)  # of the smoothing kernel; digits that rotation would turn into others
MAPS, UNITS, CLASSES = (20, 40), 150, 10
KERNELS, AFTER = (4, 5), (13, 3)  # sides of the kernels, rows of the maps behind each pool
ACROSS, POOL = 9, 3  # rows of the second maps before their pool, side of that pool
WIDTHS = {"ORIGINAL": None, **{f"W{w}": w for w in (10, 12, 14, 16, 18, 20)}}
SIX = ("W12", "W14", "W16", "W18", "W20", "ORIGINAL")
INK, THIN, MOST = 25, 4, 3  # grey of a digit; columns of a thin one, which grows at most so much
BATCH, RATE, WARM, MOMENTUM = 50, 0.02, 0.1, 0.9  # WARM: share of training in which the rate rises
EASY, KEPT = 0.02, 0.15  # loss of an easy image, share of these that are shown
LOOK = 100  # batches between points of the learning curves


@dataclass(frozen=True)
class Deformation:
    """Images that share a deformation; largest angle [degrees]; factor on all deformations."""

    group: int = 30
    angle: float = 16.0
    strength: float = 0.5


@dataclass(frozen=True)
class Config:
    """Columns and training; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    views: str = option(
        "six", "W12 to W20 and ORIGINAL, all seven, or ORIGINAL alone", among=("six", "all", "one")
    )
    copies: int = option(1, "columns a view, from different initial weights", 1, 10)
    twin: bool = option(True, "train a second ORIGINAL, which is not in the committee")
    images: int = option(60_000, "training images", 1000, 60_000)
    tests: int = option(10_000, "test images", 100, 10_000)
    epochs: int = option(3, "epochs of a column", 1, 100)

    def __post_init__(self):
        check_options(self)


QUICK = {"views": "one", "twin": False, "images": 4000, "tests": 1000, "epochs": 1}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # column, update, loss of the last batches
    columns: dict  # weights by name of column
    outputs: dict  # softmax outputs (tests, 10) by name of column
    labels: np.ndarray


# --- what a column sees ---------------------------------------------------------------------------


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


def view(images, width):
    """Images (n, 28, 28) in 29 x 29, the digit in the middle and `width` columns wide.

    A column of the result is the mean of the piece of the digit that it covers, found from sums
    along the rows. width None: the image as it is.
    """
    if width is None:
        return np.pad(images, ((0, 0), (0, 1), (0, 1)))
    out = np.empty((len(images), SIDE, SIDE), np.uint8)
    for start in range(0, len(images), 2000):
        part = images[start : start + 2000]
        ink = part > INK
        rows, columns = ink.any(2), ink.any(1)
        top, bottom = rows.argmax(1), 28 - rows[:, ::-1].argmax(1)
        left, right = columns.argmax(1), 28 - columns[:, ::-1].argmax(1)
        size = right - left
        wide = np.where(size < THIN, np.minimum(width, MOST * size), width)
        step = size / wide  # columns of the image that one of the result covers
        edge = left[:, None] + (np.arange(SIDE + 1) - ((SIDE - wide) // 2)[:, None]) * step[:, None]
        edge = np.clip(edge, left[:, None], right[:, None])
        sums = np.zeros((len(part), 28, 30), np.float32)
        np.cumsum(part, 2, out=sums[:, :, 1:29])
        sums[:, :, 29] = sums[:, :, 28]
        low = edge.astype(int)
        share = (edge - low)[:, None].astype(np.float32)
        low = np.broadcast_to(low[:, None], (len(part), 28, SIDE + 1))
        before = np.take_along_axis(sums, low, 2)
        at = before + share * (np.take_along_axis(sums, low + 1, 2) - before)
        drawn = np.diff(at, axis=2) / step[:, None, None].astype(np.float32)
        row = np.arange(SIDE) + (top - (SIDE - bottom + top) // 2)[:, None]
        inside = (row >= top[:, None]) & (row < bottom[:, None])
        drawn = np.take_along_axis(drawn, np.clip(row, 0, 27)[:, :, None], 1)
        out[start : start + 2000] = np.rint(drawn * inside[:, :, None]).clip(0, 255)
    return out


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


# --- a column -------------------------------------------------------------------------------------


def squash(a):
    """1.7159 tanh(0.6666 a), in place."""
    a *= 0.6666
    np.tanh(a, out=a)
    a *= 1.7159
    return a


def slope(y):
    """Derivative of the squashing function where its value is y."""
    return (0.6666 * 1.7159) - (0.6666 / 1.7159) * y * y


def init(rng, dtype=np.float32):
    """Weights of variance 1 / fan-in, uniform; biases 0."""
    shapes = {
        "W1": (KERNELS[0] ** 2, MAPS[0]),
        "W2": (KERNELS[1], KERNELS[1] * MAPS[0], MAPS[1]),
        "W3": (AFTER[1] ** 2 * MAPS[1], UNITS),
        "W4": (UNITS, CLASSES),
    }
    weights = {}
    for name, shape in shapes.items():
        reach = np.sqrt(3 / np.prod(shape[:-1]))
        weights[name] = rng.uniform(-reach, reach, shape).astype(dtype)
        weights["b" + name[1]] = np.zeros(shape[-1], dtype)
    return weights


def patches(x):
    """Patches (4, 13, batch, 13, 16) of images (batch, 29, 29): the four that meet in a pool are
    the entries of the first axis."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (KERNELS[0], KERNELS[0]), (1, 2))
    n, rows = len(x), AFTER[0]
    out = np.empty((4, rows, n, rows, KERNELS[0], KERNELS[0]), x.dtype)
    for k in range(4):
        out[k] = windows[:, k // 2 :: 2, k % 2 :: 2].swapaxes(0, 1)
    return out.reshape(4, rows, n, rows, -1)


def forward(w, x):
    """Softmax outputs (batch, 10) of images (batch, 841), and what backward() needs."""
    n, rows = len(x), AFTER[0]
    P = patches(x.reshape(n, SIDE, SIDE))
    z = (P.reshape(-1, P.shape[4]) @ w["W1"]).reshape(4, rows, n, rows, MAPS[0])
    right, lower_right = z[1] > z[0], z[3] > z[2]  # of equal ones the earlier wins
    upper, lower = np.maximum(z[0], z[1]), np.maximum(z[2], z[3])
    first = np.where(lower > upper, np.int8(2) + lower_right, right)
    best = np.maximum(upper, lower)
    y1 = squash(best + w["b1"])
    H = np.empty((rows, n, ACROSS, KERNELS[1], MAPS[0]), x.dtype)  # shifted columns side by side
    for s in range(KERNELS[1]):
        H[:, :, :, s] = y1[:, :, s : s + ACROSS]
    H = H.reshape(rows, n * ACROSS, -1)
    z = H[:ACROSS].reshape(-1, H.shape[2]) @ w["W2"][0]
    for k in range(1, KERNELS[1]):
        z += H[k : k + ACROSS].reshape(-1, H.shape[2]) @ w["W2"][k]
    z = pooled(z.reshape(ACROSS, n, ACROSS, MAPS[1]))
    second = z.argmax(0)
    y2 = squash(np.take_along_axis(z, second[None], 0)[0] + w["b2"])
    y3 = squash(flat(y2) @ w["W3"] + w["b3"])
    a = y3 @ w["W4"] + w["b4"]
    p = np.exp(a - a.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return p, (P, first, y1, H, second, y2, y3)


def pooled(z):
    """Sums (9, batch, 9, maps) as the nine that meet in each pool: (9, 3, batch, 3, maps)."""
    n, maps = z.shape[1], z.shape[3]
    z = z.reshape(AFTER[1], POOL, n, AFTER[1], POOL, maps)
    return np.ascontiguousarray(z.transpose(1, 4, 0, 2, 3, 5)).reshape(
        POOL**2, AFTER[1], n, AFTER[1], -1
    )


def unpooled(z):
    """The inverse of pooled()."""
    n, maps = z.shape[2], z.shape[4]
    z = z.reshape(POOL, POOL, AFTER[1], n, AFTER[1], maps).transpose(2, 0, 3, 4, 1, 5)
    return np.ascontiguousarray(z).reshape(-1, maps)


def flat(y):
    """Maps (3, batch, 3, maps) as (batch, 9 maps)."""
    return y.swapaxes(0, 1).reshape(y.shape[1], -1)


def backward(w, seen, da):
    """Gradients; da (batch, 10): that of the sums that the softmax gets."""
    P, first, y1, H, second, y2, y3 = seen
    n, rows = len(da), AFTER[0]
    grads = {}
    grads["W4"], grads["b4"] = y3.T @ da, da.sum(0)
    delta = (da @ w["W4"].T) * slope(y3)
    grads["W3"], grads["b3"] = flat(y2).T @ delta, delta.sum(0)
    delta = (delta @ w["W3"].T).reshape(n, AFTER[1], AFTER[1], MAPS[1]).swapaxes(0, 1) * slope(y2)
    grads["b2"] = delta.sum((0, 1, 2))
    nine = np.zeros((POOL**2, *delta.shape), delta.dtype)
    np.put_along_axis(nine, second[None], delta[None], 0)
    dz = unpooled(nine)
    grads["W2"], dH = np.empty_like(w["W2"]), np.zeros_like(H)
    for k in range(KERNELS[1]):
        part = H[k : k + ACROSS].reshape(-1, H.shape[2])
        grads["W2"][k] = (dz.T @ part).T
        dH[k : k + ACROSS] += (dz @ w["W2"][k].T).reshape(ACROSS, -1, H.shape[2])
    dH = dH.reshape(rows, n, ACROSS, KERNELS[1], MAPS[0])
    dy = np.zeros_like(y1)
    for s in range(KERNELS[1]):
        dy[:, :, s : s + ACROSS] += dH[:, :, :, s]
    dy *= slope(y1)
    grads["b1"] = dy.sum((0, 1, 2))
    grads["W1"] = np.zeros_like(w["W1"])
    for k in range(4):
        won = (dy * (first == k)).reshape(-1, MAPS[0])
        grads["W1"] += P[k].reshape(len(won), -1).T @ won
    return grads


# --- learning -------------------------------------------------------------------------------------


def rate_at(done):
    """The learning rate after a share of the training: it rises for a tenth, then falls to 0."""
    return RATE * min(done / WARM, (1 - done) / (1 - WARM))


def chosen(rng, losses):
    """The images of the next epoch in random order, and how much each of them counts."""
    easy = losses < EASY
    shown = np.flatnonzero(~easy | (rng.random(len(losses)) < KEPT))
    shown = rng.permutation(shown)
    return shown, np.where(easy[shown], 1 / KEPT, 1.0).astype(np.float32)


def train(config, images, labels, rng, look):
    """Weights of a column that has learnt from images (n, 841) in grey levels, and the share of
    images shown in each epoch."""
    w = init(rng)
    speed = {name: np.zeros_like(array) for name, array in w.items()}
    losses, shares = np.full(len(images), np.inf), []
    for epoch in range(config.epochs):
        shown, counts = chosen(rng, losses)
        shares.append(len(shown) / len(images))
        x = np.empty((len(shown), PIXELS), np.float32)
        deform_all(rng, images[shown], labels[shown], Deformation(), x)
        for start in range(0, len(shown) - BATCH + 1, BATCH):
            part = slice(start, start + BATCH)
            which, true = shown[part], labels[shown[part]]
            p, seen = forward(w, x[part])
            losses[which] = -np.log(p[np.arange(BATCH), true] + 1e-12)
            da = p.copy()
            da[np.arange(BATCH), true] -= 1
            da *= counts[part, None] / np.float32(BATCH)
            grads = backward(w, seen, da)
            rate = np.float32(rate_at((epoch + start / len(shown)) / config.epochs))
            for name, g in grads.items():
                speed[name] = np.float32(MOMENTUM) * speed[name] - rate * g
                w[name] += speed[name]
            if start // BATCH % LOOK == LOOK - 1:
                latest = losses[shown[start - (LOOK - 1) * BATCH : start + BATCH]]
                look(epoch + start / len(shown), float(latest.mean()), w)
    return w, shares


def outputs_of(w, x):
    """Softmax outputs (n, 10) of images (n, 841) as the net sees them."""
    return np.concatenate([forward(w, x[k : k + 250])[0] for k in range(0, len(x), 250)])


# --- a run ----------------------------------------------------------------------------------------


def errors(outputs, labels):
    """Percent of the images whose largest output is not their digit's."""
    return 100 * float((outputs.argmax(1) != labels).mean())


def double_fault(one, other, labels):
    """Images that both columns miss, as a share of those that at least one misses."""
    a, b = one.argmax(1) != labels, other.argmax(1) != labels
    return float((a & b).sum() / max(1, (a | b).sum()))


def run(config: Config = Config(), watch=None) -> Result:
    """Train the columns one by one, then let them vote."""
    images, labels, test_images, test_labels = read_mnist()
    images, labels = images[: config.images], labels[: config.images]
    test_images, test_labels = test_images[: config.tests], test_labels[: config.tests]
    names = {"six": SIX, "all": tuple(WIDTHS), "one": ("ORIGINAL",)}[config.views]
    todo = [(name, copy) for copy in range(config.copies) for name in names]
    if config.twin:
        todo.append(("ORIGINAL", config.copies))
    result = Result({}, {"column": [], "epoch": [], "loss": []}, {}, {}, test_labels)
    m, shares = result.metrics, []
    for k, (name, copy) in enumerate(todo):
        label = name if copy == 0 else f"{name}_{copy + 1}"

        def look(epoch, loss, w, label=label, k=k):
            for column, value in zip(result.history.values(), (label, epoch, loss), strict=True):
                column.append(value)
            if watch:
                done = round(100 * (k + epoch / config.epochs))
                watch(done, 100 * len(todo), column=label, loss=loss, weights=w)

        seen = view(images, WIDTHS[name]).reshape(-1, PIXELS)
        rng = np.random.default_rng((config.seed, k))
        result.columns[label], share = train(config, seen, labels, rng, look)
        x = view(test_images, WIDTHS[name]).reshape(-1, PIXELS)
        x = x * np.float32(1 / 127.5) + np.float32(BACKGROUND)
        result.outputs[label] = outputs_of(result.columns[label], x)
        m[f"error_{label}"] = errors(result.outputs[label], test_labels)
        shares.append(share)
    committee = [out for label, out in result.outputs.items() if not twin_of(config, label)]
    m["column_error"] = float(np.mean([m[f"error_{label}"] for label in result.outputs]))
    m["committee_error"] = errors(np.mean(committee, 0), test_labels)
    m["shown"] = float(np.mean(shares))
    if len(committee) > 1:
        m["committee_to_column"] = m["committee_error"] / m["column_error"]
        best = min(m[f"error_{label}"] for label in result.outputs)
        m["beats_best"] = m["committee_error"] < best
    if len(committee) > 1 and config.twin:
        twins = result.outputs["ORIGINAL"], result.outputs[f"ORIGINAL_{config.copies + 1}"]
        m["twins_error"] = errors(np.mean(twins, 0), test_labels)
        same = double_fault(*twins, test_labels)
        pairs = [(a, b) for i, a in enumerate(committee) for b in committee[:i]]
        cross = float(np.mean([double_fault(a, b, test_labels) for a, b in pairs]))
        m |= {"double_fault": cross, "double_fault_twins": same}
        m["double_fault_ratio"] = cross / max(same, 1e-9)
    return result


def twin_of(config, label):
    """Whether a column is the second ORIGINAL, which only serves as a control."""
    return config.twin and label == f"ORIGINAL_{config.copies + 1}"


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
    """Worst relative error of the gradient of the cross-entropy of two images."""
    rng = np.random.default_rng(config.seed)
    w, x = init(rng, float), rng.normal(size=(2, PIXELS))
    for name in ("b1", "b2", "b3", "b4"):
        w[name] += rng.normal(0, 0.1, w[name].shape)
    labels = np.array([3, 8])

    def loss():
        return float(-np.log(forward(w, x)[0][[0, 1], labels]).sum())

    p, seen = forward(w, x)
    da = p - np.eye(CLASSES)[labels]
    return worst_relative_error(loss, w, backward(w, seen, da))


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
