"""Membranes in electron microscopy: a deep max-pooling net judges a pixel by its surroundings.

Task      Made-up slices of nerve tissue, (size, size) grey pixels. Which pixels are membrane?
          Parts of it are pale, and rims of organelles, as dark and as wide, are not membrane.
Net       For a pixel: the field x field window around it -> [convolution k x k, 2 x 2 max-pool,
          ReLU] several times, down to 1 x 1 -> 48 ReLU units -> a logistic unit y = P(membrane).
Learning  Adam on the mean cross-entropy, both classes with half of the weight; every step a tile
          of the training images, turned and mirrored at random.
Output    A monotone cubic, fitted on training pixels, makes y a probability; these are averaged
          over the 8 ways to turn and mirror the image.
Measures  Pixel error, and Rand error: are pairs of pixels in one cell where they should be?
Baseline  Sobel's edges plus darkness. Rivals: a net that sees 17 x 17 pixels, and a perceptron
          with two hidden layers.

No window is cut out: neighbouring windows share nearly all their work. Labels lie two pixels apart,
as the first pool takes every other pixel. From there maps are flat rows, arrays (maps, L), in which
a step down is a step of W places. Later pools take every place, and so the taps of the next kernel
lie twice as far apart. Places where rows wrap around are computed, too, and never used.

    python3 em_segmentation_isbi.py --seed 0
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
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
from numpy.lib.stride_tricks import sliding_window_view

# Kernel sizes that bring a window down to 1 x 1, with a 2 x 2 pool after each.
KERNELS = {9: (4, 2), 17: (4, 2, 2), 33: (4, 2, 2, 2), 65: (4, 4, 5, 4)}
NARROW = 17  # the field of the rival net
TAPS = 4  # rows and columns of the first kernel
DENSE = 48
TRAIN, HELD_OUT = 8, 6  # images
VALIDATE, TEST = slice(0, 2), slice(2, 6)  # of those held out
MARGIN, DARKNESS = 16, 0.45
TILE = 48  # labels a side of a training tile, at most; they lie two pixels apart
RATE, WARM_UP, CONSTANT, LAST_RATE = 3e-3, 40, 0.4, 0.02
VIEWS = 8
PATCH, HIDDEN, BATCH, MLP_RATE, MOMENTUM = 32, (256, 128), 256, 0.05, 0.9
BINS = 15
REPORT = 50  # steps between reports


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
    """The defaults train one net with a field of 65 pixels: the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    images: str = option(
        "tissue", "made-up slices, or easy Voronoi cells", among=("tissue", "voronoi")
    )
    size: int = option(256, "side of an image [pixels]", among=(64, 96, 128, 256))
    field: int = option(65, "side of the window [pixels]", among=tuple(KERNELS))
    maps: int = option(16, "maps of a convolution layer", 2, 48)
    noise: float = option(0.06, "of a pixel; membrane is up to 0.45 darker", 0.0, 0.5)
    steps: int = option(3500, "training tiles", 2, 50_000)
    against: str = option(
        "none", "a rival that gets as many labels", among=("none", "field", "mlp")
    )

    def __post_init__(self):
        check_options(self)
        if self.against == "field" and self.field <= NARROW:
            raise ValueError(f"field must be 33 or 65 against one of {NARROW}, got {self.field}")

    @property
    def tile(self):
        """Labels of a training tile, a side."""
        return min(TILE, self.size // 2)


QUICK = {"size": 64, "field": 9, "maps": 12, "noise": 0.02, "steps": 1200}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # net, step, loss: a row a report
    held: Data  # the images held out, two for validation and four for the test
    maps: dict  # by method: their scores (images, size, size), larger for membrane
    weights: dict
    cubic: np.ndarray  # (4,), see calibrated()


# --- images ---------------------------------------------------------------------------------------


@dataclass
class Data:
    """Images; what is membrane; what only looks like it: all (images, size, size)."""

    images: np.ndarray
    labels: np.ndarray
    distractors: np.ndarray


def blur(image, width):
    """The image (size, size), periodic, under a Gaussian of that standard deviation [pixels]."""
    f = np.fft.fftfreq(len(image))
    kernel = np.exp(-2 * (np.pi * width * f) ** 2)
    return np.fft.ifft2(np.fft.fft2(image) * kernel[:, None] * kernel).real


def smooth(rng, size, width):
    """A random smooth field (size, size) with mean 0 and standard deviation 1."""
    field = blur(rng.normal(size=(size, size)), width)
    return (field - field.mean()) / field.std()


def nearest_two(points, seeds):
    """Of every point (n, 2): its nearest seed, and how far it is from the border of that cell."""
    square = (seeds**2).sum(1) - 2 * points @ seeds.T
    rows = np.arange(len(points))
    first = square.argmin(1)
    least = square[rows, first]
    square[rows, first] = np.inf
    second = square.argmin(1)
    apart = np.linalg.norm(seeds[first] - seeds[second], axis=1)
    return first, (square[rows, second] - least) / (2 * apart)


def meeting(cell):
    """Pixels with another cell to the right or below; to the left or above; (2, *cell.shape)."""
    wide = np.pad(cell, 1, "edge")
    after = (wide[1:-1, 2:] != cell) | (wide[2:, 1:-1] != cell)
    return np.stack([after, (wide[1:-1, :-2] != cell) | (wide[:-2, 1:-1] != cell)])


def tissue(rng, size, noise):
    """A slice like those of serial-section electron microscopy: image, membrane, distractors."""
    full = size + 2 * MARGIN
    seeds = rng.uniform(0, full, (round(60 * (full / 256) ** 2), 2))
    grid = np.stack(np.mgrid[:full, :full], -1).reshape(-1, 2).astype(float)
    for _ in range(2):  # Lloyd's steps: a seed goes to the middle of its cell
        owner = nearest_two(grid[::5], seeds)[0]
        sums = [np.bincount(owner, axis, len(seeds)) for axis in grid[::5].T]
        count = np.maximum(np.bincount(owner, minlength=len(seeds)), 1)
        seeds = np.stack(sums, 1) / count[:, None]
    warp = np.stack([3 * smooth(rng, full, 8).ravel() for _ in range(2)], 1)  # 6 px at 2 sd
    cell, inside = (a.reshape(full, full) for a in nearest_two(grid + warp, seeds))
    half = (3.5 + 1.5 * np.tanh(smooth(rng, full, 20))) / 2  # half of the width, 2 to 5 px
    membrane = (inside < half) | meeting(cell)[0]
    contrast = 0.15 + 0.85 * (0.5 + 0.5 * np.tanh(0.85 * smooth(rng, full, 12)))
    dark = contrast * np.clip(1 - (inside / half) ** 2, 0, 1)
    stain, free = np.zeros((full, full)), inside > half + 1
    for chosen in rng.choice(len(seeds), len(seeds) // 3, replace=False):
        middle = np.divmod(np.argmax(np.where(cell == chosen, inside, -1)), full)
        stamp(stain, middle, free, cell, mitochondrion(rng, half[middle]))
    for place in rng.choice(full * full, 2 * len(seeds)):
        stamp(stain, np.divmod(place, full), free, cell, vesicle(rng))
    level = rng.uniform(0.6, 0.85, len(seeds))[cell]
    image = blur(level - DARKNESS * np.maximum(dark, stain), 0.8)
    image = image * (1 + 0.06 * smooth(rng, full, 40)) + noise * rng.normal(size=(full, full))
    window = (slice(MARGIN, MARGIN + size),) * 2
    return image[window], membrane[window], stain[window] > 0.2


def stamp(stain, middle, free, cell, pattern):
    """Darkens what is free of the cell at the place middle by pattern(y, x), seen from there."""
    box = tuple(slice(max(m - 14, 0), min(m + 15, len(stain))) for m in middle)
    y, x = np.mgrid[box] - np.reshape(middle, (2, 1, 1))
    dark = pattern(y, x) * (free[box] & (cell[box] == cell[middle]))
    np.maximum(stain[box], dark, out=stain[box])


def mitochondrion(rng, half):
    """An ellipse of 10 to 20 px with stripes inside, its rim as dark and wide as membrane."""
    long, angle, phase = rng.uniform(5, 10), rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    short = long * rng.uniform(0.6, 1)

    def pattern(y, x):
        along = x * np.cos(angle) + y * np.sin(angle)
        across = y * np.cos(angle) - x * np.sin(angle)
        radius = np.hypot(along / long, across / short)
        rim = np.clip(1 - ((radius - 1) * short / half) ** 2, 0, 1)
        stripes = np.where(radius < 1, 0.3 + 0.3 * np.cos(2 * np.pi * along / 4 + phase), 0)
        return np.maximum(rim, stripes)

    return pattern


def vesicle(rng):
    """A ring with a radius of 2 to 4 px."""
    radius = rng.uniform(2, 4)
    return lambda y, x: np.clip(1 - ((np.hypot(y, x) - radius) / 1.5) ** 2, 0, 1)


def voronoi(rng, size, noise):
    """The earlier catalog's easy slice: a membrane is the only dark line; blobs are soft."""
    grid = np.stack(np.mgrid[:size, :size], -1).reshape(-1, 2).astype(float)
    count = round(25 * (size / 96) ** 2)
    cell = nearest_two(grid, rng.uniform(0, size, (count, 2)))[0].reshape(size, size)
    membrane = meeting(cell).any(0)
    image = rng.uniform(0.55, 0.85, count)[cell]
    blobs = np.zeros((size, size))
    for y, x in rng.uniform(0, size, (count // 2, 2)):
        blobs += np.exp(-((grid - (y, x)) ** 2).sum(1) / 8).reshape(size, size)
    image = image - 0.25 * np.minimum(blobs, 1)
    image[membrane] = rng.uniform(0.05, 0.18, membrane.sum())
    image = sliding_window_view(np.pad(image, 1, "reflect"), (3, 3)).mean((2, 3))
    image = image * (1 + 0.06 * smooth(rng, size, 15)) + noise * rng.normal(size=(size, size))
    return image, membrane, blobs > 0.2


def make_data(config, rng):
    """Images for training and those held out, both less the mean of the first, over its spread."""
    make = tissue if config.images == "tissue" else voronoi
    slices = [make(rng, config.size, config.noise) for _ in range(TRAIN + HELD_OUT)]
    images, labels, distractors = (np.array(column) for column in zip(*slices, strict=True))
    images = (images - images[:TRAIN].mean()) / images[:TRAIN].std()
    arrays = (images.astype(np.float32), labels, distractors)
    return Data(*(a[:TRAIN] for a in arrays)), Data(*(a[TRAIN:] for a in arrays))


def turned(image, view):
    """One of the 8 ways to turn (view % 4 quarters) and mirror (view >= 4) an image."""
    image = np.rot90(image, view % 4)
    return image[:, ::-1] if view >= 4 else image


def turned_back(image, view):
    """The inverse of turned()."""
    return turned(image, view if view >= 4 else -view % 4)


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


# --- the net --------------------------------------------------------------------------------------


def one_window(weights, kernels, window):
    """The net in plain form: the logit of the pixel in the middle of a window (field, field)."""
    maps = window[None]
    for layer, k in enumerate(kernels):
        kernel, bias = kernel_of(weights, layer, k), weights[f"b{layer}"]  # (out, in, k, k)
        side = maps.shape[1] - k + 1
        sums = np.empty((len(kernel), side, side))
        for r in range(side):
            for c in range(side):
                sums[:, r, c] = np.tensordot(kernel, maps[:, r : r + k, c : c + k], 3)
        pooled = sums.reshape(len(kernel), side // 2, 2, side // 2, 2).max((2, 4))
        maps = np.maximum(pooled + bias[:, :, None], 0)
    h = np.maximum(weights["dense"] @ maps[:, 0] + weights["b_dense"], 0)
    return (weights["out"] @ h + weights["b_out"]).item()


def kernel_of(weights, layer, k):
    """A layer's kernel as (out, in, row, column); it is stored as (row out, column in)."""
    if layer == 0:
        return weights["W0"].reshape(-1, 1, k, k)
    out = len(weights[f"b{layer}"])
    return weights[f"W{layer}"].reshape(k, out, k, -1).transpose(1, 3, 0, 2)


def init_net(rng, kernels, maps):
    """Weights of a net (He et al. 2015), float32; biases are 0."""
    weights = {"W0": rng.normal(0, math.sqrt(2 / TAPS**2), (maps, TAPS**2))}
    for layer, k in enumerate(kernels[1:], 1):
        weights[f"W{layer}"] = rng.normal(0, math.sqrt(2 / (k * k * maps)), (k * maps, k * maps))
    weights |= {f"b{layer}": np.zeros((maps, 1)) for layer in range(len(kernels))}
    weights["dense"] = rng.normal(0, math.sqrt(2 / maps), (DENSE, maps))
    weights["out"] = rng.normal(0, math.sqrt(1 / DENSE), (1, DENSE))
    weights |= {"b_dense": np.zeros((DENSE, 1)), "b_out": np.zeros((1, 1))}
    return {name: w.astype(np.float32) for name, w in weights.items()}


def first_columns(tile):
    """Columns (16, 4 L) of the first layer: under its taps, the windows of the 4 pixels of a pool.

    tile (2 W, 2 W) falls into four phases, every other row and column: L = W W - 2 W - 2.
    """
    width = len(tile) // 2
    length = width * width - 2 * width - 2
    phase = [[np.ascontiguousarray(tile[a::2, b::2]).ravel() for b in (0, 1)] for a in (0, 1)]
    columns = np.empty((TAPS, TAPS, 2, 2, length), tile.dtype)
    for p, q, a, b in itertools.product(range(TAPS), range(TAPS), (0, 1), (0, 1)):
        start = (a + p) // 2 * width + (b + q) // 2
        columns[p, q, a, b] = phase[(a + p) % 2][(b + q) % 2][start : start + length]
    return columns.reshape(TAPS * TAPS, 4 * length)


def forward(weights, kernels, tile):
    """Logits (L,) of the windows that start at every other pixel of a tile (2 W, 2 W); states.

    With n labels a side, W = n + (field - 1) / 2 and L = (n - 1) W + n: see on_grid().
    """
    width, layers = len(tile) // 2, []
    for layer, k in enumerate(kernels):
        step = 2 ** (layer - 1)  # between taps, from the second layer on
        if layer == 0:
            seen = first_columns(tile)
            z = (weights["W0"] @ seen).reshape(len(weights["W0"]), 2, 2, -1)
            rows = np.maximum(z[:, :, 0], z[:, :, 1])
            x = np.maximum(rows[:, 0], rows[:, 1])
            masks = (z[:, :, 0] >= z[:, :, 1], rows[:, 0] >= rows[:, 1])
        else:
            y, seen = convolve(weights[f"W{layer}"], x, k, step, width)
            x, masks = pool(y, step, width)
        x += weights[f"b{layer}"]
        np.maximum(x, 0, out=x)
        layers.append((seen, masks, x))
    h = np.maximum(weights["dense"] @ x + weights["b_dense"], 0)
    return (weights["out"] @ h + weights["b_out"])[0], (layers, h)


def convolve(W, x, k, step, width):
    """y(i) = sum_pq K_pq x(i + p step width + q step), for maps x (in, L); also U, the shifted x.

    One product for all taps of all kernel rows: W is (k out, k in), U is (k in, L').
    """
    long = x.shape[1] - (k - 1) * step
    short = long - (k - 1) * step * width
    U = np.concatenate([x[:, q * step : q * step + long] for q in range(k)])
    Z = W @ U
    out = len(W) // k
    y = Z[:out, :short].copy()
    for p in range(1, k):
        y += Z[p * out : (p + 1) * out, p * step * width : p * step * width + short]
    return y, U


def convolve_back(W, U, dy, step, width, x):
    """dW = dZ U^T and dx, where dZ holds dy once for every kernel row and dU = W^T dZ."""
    (out, short), maps = dy.shape, len(x)
    k = len(U) // maps
    dZ, dx = np.zeros((k * out, U.shape[1]), dy.dtype), np.zeros_like(x)
    for p in range(k):
        dZ[p * out : (p + 1) * out, p * step * width : p * step * width + short] = dy
    dU = W.T @ dZ
    for q in range(k):
        dx[:, q * step : q * step + U.shape[1]] += dU[q * maps : (q + 1) * maps]
    return dZ @ U.T, dx


def pool(x, step, width):
    """The largest of x(i), x(i + step), and both a row of taps below; where the first ones won."""
    down = step * width
    rows = np.maximum(x[:, :-down], x[:, down:])
    upper = x[:, :-down] >= x[:, down:]
    return np.maximum(rows[:, :-step], rows[:, step:]), (upper, rows[:, :-step] >= rows[:, step:])


def pool_back(dy, masks, step, width):
    """The derivative goes to the one that won."""
    for mask, shift in zip(masks[::-1], (step, step * width), strict=True):
        dx = np.zeros((len(dy), dy.shape[1] + shift), dy.dtype)
        won = dy * mask
        dx[:, :-shift] = won
        dx[:, shift:] += dy - won
        dy = dx
    return dy


def backward(weights, kernels, states, e, width):
    """Gradients of a loss whose derivative by the logits is e (L,).

    dh = out^T e, and so on downwards: through every ReLU where it is open, pools and convolutions.
    """
    layers, h = states
    grads = {"out": e[None] @ h.T, "b_out": e.sum().reshape(1, 1)}
    dh = weights["out"].T * e * (h > 0)
    dx = weights["dense"].T @ dh
    grads |= {"dense": dh @ layers[-1][2].T, "b_dense": dh.sum(1, keepdims=True)}
    for layer in range(len(kernels) - 1, -1, -1):
        seen, masks, x = layers[layer]
        dx *= x > 0
        grads[f"b{layer}"] = dx.sum(1, keepdims=True)
        if layer:
            step, below = 2 ** (layer - 1), layers[layer - 1][2]
            dy = pool_back(dx, masks, step, width)
            back = convolve_back(weights[f"W{layer}"], seen, dy, step, width, below)
            grads[f"W{layer}"], dx = back
    left, upper = masks
    drows = np.stack([dx * upper, dx * ~upper], 1)
    dz = np.stack([drows * left, drows * ~left], 2)
    grads["W0"] = dz.reshape(len(dx), -1) @ seen.T
    return grads


def on_grid(flat, n, width):
    """Of a flat row (L,) what belongs to the n x n labels; the rest is where rows wrap around."""
    return np.append(flat, np.zeros(width - n, flat.dtype)).reshape(n, width)[:, :n]


def off_grid(values, width):
    """The inverse: values (n, n) as a flat row (L,) with zeros where rows wrap around."""
    n = len(values)
    return np.pad(values, ((0, 0), (0, width - n))).ravel()[: (n - 1) * width + n]


def probability(logits):
    """The logistic function."""
    return 0.5 + 0.5 * np.tanh(0.5 * logits)


def padded(images, field):
    """Images with mirrored borders, (images, size + field, size + field)."""
    before = field // 2
    return np.pad(images, ((0, 0), (before, before + 1), (before, before + 1)), "reflect")


def net_map(weights, field, image):
    """P(membrane) by the net at all pixels of an image (size, size): four grids of half of them."""
    n, answer = len(image) // 2, np.empty_like(image)
    width = n + field // 2
    wide = padded(image[None], field)[0]
    for a, b in itertools.product((0, 1), (0, 1)):
        tile = wide[a : a + 2 * width, b : b + 2 * width]
        logits, _ = forward(weights, KERNELS[field], tile)
        answer[a::2, b::2] = on_grid(probability(logits), n, width)
    return answer


# --- learning -------------------------------------------------------------------------------------


def schedule(step, steps):
    """The factor of the learning rate: warm-up, constant, a line down to LAST_RATE."""
    done = step / steps
    falling = 1 - (1 - LAST_RATE) * (done - CONSTANT) / (1 - CONSTANT)
    return min((step + 1) / WARM_UP, 1.0, falling)


def make_tile(train, wide, n, field, rng):
    """A tile (2 W, 2 W) of a training image, turned and mirrored; the labels (n, n) inside it."""
    image, span = rng.integers(TRAIN), 2 * n - 1
    r, c = rng.integers(0, train.labels.shape[1] - span + 1, 2)
    view, side = rng.integers(VIEWS), span + field - 1
    tile = turned(wide[image, r : r + side, c : c + side], view)
    labels = turned(train.labels[image, r : r + span, c : c + span], view)[::2, ::2]
    return np.pad(tile, (0, 1)), labels


def train_net(train, config, field, rng, seen):
    """Weights after config.steps tiles, each followed by seen(step, loss, weights).

    A label weighs 0.5 / its class's share: membrane makes half of the loss.
    """
    kernels, n = KERNELS[field], config.tile
    weights = init_net(rng, kernels, config.maps)
    adam, wide = Adam(weights, RATE, 0.9, 0.995), padded(train.images, field)
    width, share = n + field // 2, train.labels.mean()
    for step in range(config.steps):
        tile, labels = make_tile(train, wide, n, field, rng)
        logits, states = forward(weights, kernels, tile)
        weight = np.where(labels, 0.5 / share, 0.5 / (1 - share)) / labels.size
        weight = off_grid(weight.astype(np.float32), width)
        loss, e = cross_entropy(logits, off_grid(labels, width), weight)
        adam.rate = RATE * schedule(step, config.steps)
        adam.step(weights, backward(weights, kernels, states, e, width))
        seen(step + 1, loss, weights)
    return weights


def cross_entropy(logits, labels, weight):
    """Sum of weight times -log P(label), and its derivative by the logits."""
    y = probability(logits)
    signed = np.where(labels, logits, -logits)
    return float((weight * np.logaddexp(0, -signed)).sum()), weight * (y - labels)


def init_mlp(rng):
    """Weights of the rival: a patch of 32 x 32 pixels -> 256 -> 128 -> 1, ReLU; float32."""
    sizes, weights = (PATCH * PATCH, *HIDDEN, 1), {}
    for layer, (fan_in, out) in enumerate(itertools.pairwise(sizes)):
        weights[f"W{layer}"] = rng.normal(0, math.sqrt(2 / fan_in), (out, fan_in))
        weights[f"b{layer}"] = np.zeros((out, 1))
    return {name: w.astype(np.float32) for name, w in weights.items()}


def mlp_forward(weights, x):
    """Logits (batch,) and the states of all layers, for patches x (PATCH * PATCH, batch)."""
    states = [x]
    for layer in range(2):
        z = weights[f"W{layer}"] @ states[-1] + weights[f"b{layer}"]
        states.append(np.maximum(z, 0))
    return (weights["W2"] @ states[-1] + weights["b2"])[0], states


def mlp_backward(weights, states, e):
    """Gradients: dW = dz x^T, dx = W^T dz, dz = dx where the unit is on."""
    grads, dz = {}, e[None]
    for layer in (2, 1, 0):
        grads[f"W{layer}"], grads[f"b{layer}"] = dz @ states[layer].T, dz.sum(1, keepdims=True)
        if layer:
            dz = (weights[f"W{layer}"].T @ dz) * (states[layer] > 0)
    return grads


def train_mlp(train, config, rng, seen):
    """The rival after as many labels as the net saw; half of every batch is membrane."""
    weights, wide = init_mlp(rng), padded(train.images, PATCH + 1)
    velocity = {name: np.zeros_like(w) for name, w in weights.items()}
    windows = sliding_window_view(wide, (PATCH + 1, PATCH + 1), (1, 2))
    places = [np.argwhere(train.labels == label) for label in (False, True)]
    labels = np.repeat([False, True], BATCH // 2)
    for step in range(config.steps):
        for _ in range(config.tile**2 // BATCH):
            chosen = np.concatenate([p[rng.integers(0, len(p), BATCH // 2)] for p in places])
            x = turned(windows[tuple(chosen.T)].transpose(1, 2, 0), rng.integers(VIEWS))
            x = x[:PATCH, :PATCH].reshape(PATCH * PATCH, BATCH)
            logits, states = mlp_forward(weights, x)
            loss, e = cross_entropy(logits, labels, np.float32(1 / BATCH))
            for name, grad in mlp_backward(weights, states, e).items():
                velocity[name] *= MOMENTUM
                velocity[name] -= MLP_RATE * schedule(step, config.steps) * grad
                weights[name] += velocity[name]
        seen(step + 1, loss, weights)
    return weights


def mlp_map(weights, image):
    """P(membrane) by the rival at all pixels of an image (size, size)."""
    wide, answer = padded(image[None], PATCH + 1)[0], np.empty_like(image)
    for row in range(0, len(image), 16):
        windows = sliding_window_view(wide[row : row + 16 + PATCH - 1], (PATCH, PATCH))
        x = windows[:, : len(image)].reshape(-1, PATCH * PATCH).T
        answer[row : row + 16] = probability(mlp_forward(weights, x)[0]).reshape(16, -1)
    return answer


# --- what comes after the net, and how it is judged -----------------------------------------------


def sobel_map(image):
    """The baseline: strength of Sobel's edges, of mean 1, plus darkness; (size, size)."""
    w = sliding_window_view(np.pad(image, 1, "reflect"), (3, 3))
    smooth, slope = np.array([1, 2, 1]), np.array([-1, 0, 1])
    edges = np.hypot(*(w @ b @ a for a, b in ((smooth, slope), (slope, smooth))))
    return (edges / edges.mean() - image).astype(np.float32)


def basis(y):
    """The four cubic polynomials of Bernstein, (4, *y.shape)."""
    return np.stack([math.comb(3, i) * y**i * (1 - y) ** (3 - i) for i in range(4)])


def fit_cubic(y, labels, bins=64):
    """The coefficients of the monotone cubic that best maps outputs y to shares of membrane.

    Coefficients that rise make the cubic rise: their increments are least squares under >= 0,
    solved by trying every set of increments that are 0.
    """
    place = np.minimum((y * bins).astype(int), bins - 1)
    count = np.bincount(place.ravel(), minlength=bins)
    share = np.bincount(place.ravel(), labels.ravel(), bins) / np.maximum(count, 1)
    features = np.cumsum(basis((np.arange(bins) + 0.5) / bins)[::-1], 0)[::-1].T
    root, best = np.sqrt(count)[:, None], (np.inf, None)
    for used in map(list, itertools.product((False, True), repeat=4)):
        rises, wanted = np.zeros(4), root[:, 0] * share
        rises[used] = np.linalg.lstsq(root * features[:, used], wanted, rcond=None)[0]
        error = (count * (features @ rises - share) ** 2).sum()
        if (rises >= 0).all() and error < best[0]:
            best = error, np.cumsum(rises)
    return best[1]


def calibrated(cubic, y):
    """Probabilities for outputs y, by the cubic with these coefficients."""
    return np.clip(np.tensordot(cubic, basis(y), 1), 0, 1).astype(np.float32)


def calibration_error(y, labels):
    """Expected calibration error: mean over pixels of |mean y - share of membrane| of its bin."""
    place = np.minimum((y * BINS).astype(int), BINS - 1).ravel()
    gaps = np.bincount(place, y.ravel().astype(float) - labels.ravel(), BINS)
    return float(np.abs(gaps).sum() / y.size)


def components(free):
    """4-connected components of a mask (rows, columns): numbers from 1, and 0 off the mask.

    Runs along rows are numbered; then runs that touch take the least number, until none changes.
    """
    start = free.copy()
    start[:, 1:] &= ~free[:, :-1]
    run = np.cumsum(start.ravel()).reshape(free.shape) * free
    touch = free[:-1] & free[1:]
    above, below = run[:-1][touch], run[1:][touch]
    parent, before = np.arange(run.max() + 1), None
    while before is None or (parent != before).any():
        before = parent.copy()
        least = np.minimum(parent[above], parent[below])
        for side in (above, below):
            np.minimum.at(parent, parent[side], least)
            np.minimum.at(parent, side, least)
        parent = parent[parent]
    return np.unique(parent, return_inverse=True)[1][run]


def rand_error(found, membrane):
    """1 - F-score of pairs of pixels that are in one cell, by what was found and in truth.

    found: a mask of pixels called membrane; such a pixel is a cell of its own. Only pixels of true
    cells count.
    """
    true = components(~membrane)
    inside = true > 0
    ours, true = components(~found)[inside], true[inside]
    own = ours > 0
    both = ours[own] * (true.max() + 1) + true[own]
    together, here, there = (
        sum(n * (n - 1) for n in np.unique(cells, return_counts=True)[1].tolist())
        for cells in (both, ours[own], true)
    )  # twice the pairs
    return 1 - 2 * together / (here + there)


def best_threshold(scores, labels):
    """The threshold with the fewest wrong pixels where scores >= it are called membrane."""
    order = np.argsort(scores, None)
    sorted_labels = labels.ravel()[order]
    wrong = np.cumsum(sorted_labels * 2 - 1)  # by how many, if the first ones are called clear
    best = wrong.argmin()
    if wrong[best] >= 0:
        return float(scores.min())
    return float(scores.max() + 1 if best == len(order) - 1 else scores.ravel()[order[best + 1]])


def roc_area(scores, labels):
    """Chance that a membrane pixel scores higher than another; draws count half."""
    clear, membrane = np.sort(scores[~labels]), scores[labels]
    below = np.searchsorted(clear, membrane).mean()
    not_above = np.searchsorted(clear, membrane, "right").mean()
    return float((below + not_above) / 2 / len(clear))


def near_border(labels):
    """Pixels (images, size, size) with another label within a step, diagonal ones included."""
    wide = np.pad(labels, ((0, 0), (1, 1), (1, 1)), "edge")
    windows = sliding_window_view(wide, (3, 3), (1, 2))
    return windows.any((3, 4)) & ~windows.all((3, 4))


def judge(name, scores, held):
    """Metrics of a method's scores (images, size, size), thresholds from the validation images."""
    truth = held.labels[TEST]
    called = scores[TEST] >= best_threshold(scores[VALIDATE], held.labels[VALIDATE])
    wrong, border = called != truth, near_border(truth)

    def rand(part, threshold):
        masks = zip(scores[part] >= threshold, held.labels[part], strict=True)
        return float(np.mean([rand_error(found, membrane) for found, membrane in masks]))

    tried = np.quantile(scores[VALIDATE], np.linspace(0.45, 0.95, 9))
    cut = min(tried, key=lambda threshold: rand(VALIDATE, threshold))
    return {
        f"{name}_error": float(wrong.mean()),
        f"{name}_rand": rand(TEST, cut),
        f"{name}_area": roc_area(scores[TEST], truth),
        f"{name}_border_share": float((wrong & border).sum() / max(1, wrong.sum())),
        f"{name}_off_border": float(wrong[~border].mean()),
        f"{name}_distractors": float(called[held.distractors[TEST] & ~truth].mean()),
    }


def views_of(weights, field, images):
    """P(membrane) by the net, uncalibrated, from every side: (8, images, size, size)."""
    sides = range(VIEWS)
    return np.array(
        [[turned_back(net_map(weights, field, turned(i, v)), v) for i in images] for v in sides]
    )


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Make images, train the net and perhaps a rival, judge them beside the baseline."""
    rngs = np.random.default_rng(config.seed).spawn(3)
    (train, held), history = make_data(config, rngs[0]), {"net": [], "step": [], "loss": []}

    def reporter(name, losses):
        def seen(step, loss, weights):
            losses.append(loss)
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss of the {name} is {loss} at step {step}")
            if step % REPORT == 0 or step == config.steps:
                mean = float(np.mean(losses[-REPORT:]))
                for key, value in zip(history, (name, step, mean), strict=True):
                    history[key].append(value)
                if watch:
                    watch(step, config.steps, loss=mean, net=name, weights=weights, held=held)

        return seen

    weights = train_net(train, config, config.field, rngs[1], reporter("cnn", []))
    on_training = np.array([net_map(weights, config.field, image) for image in train.images])
    cubic = fit_cubic(on_training, train.labels)
    views = views_of(weights, config.field, held.images)
    maps = {"sobel": np.array([sobel_map(image) for image in held.images]), "cnn": views[0]}
    maps["views"] = calibrated(cubic, views).mean(0)
    if config.against == "field":
        rival = train_net(train, config, NARROW, rngs[2], reporter("field", []))
        maps["field"] = np.array([net_map(rival, NARROW, image) for image in held.images])
    if config.against == "mlp":
        rival = train_mlp(train, config, rngs[2], reporter("mlp", []))
        maps["mlp"] = np.array([mlp_map(rival, image) for image in held.images])
    return Result(measured(maps, cubic, held, config.against), history, held, maps, weights, cubic)


def measured(maps, cubic, held, against):
    """Metrics of all methods, and the ratios that the claims are about."""
    truth = held.labels[TEST]
    m = {"membrane_share": float(truth.mean()), "border_pixels": float(near_border(truth).mean())}
    for name, scores in maps.items():
        m |= judge(name, scores, held)
    for when, y in (("before", maps["cnn"]), ("after", calibrated(cubic, maps["cnn"]))):
        m[f"calibration_{when}"] = calibration_error(y[TEST], truth)
    ratios = {
        "edge_ratio": ("views_error", "sobel_error"),
        "averaging_ratio": ("views_error", "cnn_error"),
        "calibration_ratio": ("calibration_after", "calibration_before"),
    }
    if against != "none":
        for what in ("error", "rand", "off_border"):
            ratios[f"{against}_{what}_ratio"] = (f"cnn_{what}", f"{against}_{what}")
        ratios[f"{against}_views_rand_ratio"] = ("views_rand", f"{against}_rand")
    return m | {name: m[a] / m[b] if m[b] else None for name, (a, b) in ratios.items()}


def gradient_check(config: Config = Config()) -> float:
    """Worst relative error of both nets' gradients against central differences, in float64."""
    rng, n, worst = np.random.default_rng(config.seed), 5, []
    kernels, width = KERNELS[config.field], n + config.field // 2
    tile, labels = rng.normal(size=(2 * width, 2 * width)), rng.random((n, n)) < 0.5
    weight, flat = off_grid(rng.random((n, n)), width), off_grid(labels, width)
    patches = rng.normal(size=(PATCH * PATCH, len(flat)))
    nets = (
        (
            init_net(rng, kernels, 4),
            lambda w: forward(w, kernels, tile),
            lambda w, states, e: backward(w, kernels, states, e, width),
        ),
        (init_mlp(rng), lambda w: mlp_forward(w, patches), mlp_backward),
    )
    for weights, forwards, backwards in nets:
        w = {name: array + 0.05 * rng.normal(size=array.shape) for name, array in weights.items()}
        logits, states = forwards(w)
        grads = backwards(w, states, cross_entropy(logits, flat, weight)[1])

        def loss(w=w, forwards=forwards):
            return cross_entropy(forwards(w)[0], flat, weight)[0]

        worst.append(worst_relative_error(loss, w, grads))
    return max(worst)


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
