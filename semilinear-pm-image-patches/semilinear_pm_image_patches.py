"""Semilinear predictability minimization turns a raw photograph into edge and spot detectors.

Task      A circular window, 64 pixels across, lies anywhere on a photograph of 16 grey levels, at
          any angle. In it 32 code units have round fields of 20 pixels, which overlap; a field is
          sampled at 81 points, each the mean of a pixel and its four neighbours. No teacher, no
          whitening, no mean removed.
Net       code       y_i = sigmoid(w_i . x_i), x_i 81 inputs and a 1
          predictors P_i = sigmoid(sum over j != i of v_ij y_j + c_i)
Learning  with V = sum (P_i - y_i)^2 predictors descend, code units ascend, both at every step:
              dv_ij = rate_P (y_i - P_i) P_i (1 - P_i) y_j
              dw_i  = rate_C (y_i - P_i) y_i (1 - y_i) x_i
          No error passes through the predictors' inputs: the rule is local.
Controls  P_i is the running mean of y_i instead, so that a unit has only its own variance to
          increase; and both once more with 16 units that share one field.

Arrays are (units, conditions, batch); the two conditions are pm and the control.

    python3 semilinear_pm_image_patches.py --seed 0
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
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np

POINTS, FIELD, WINDOW = 81, 10.0, 32.0  # samples of a field, its radius, that of the window
UNITS, COMMON_UNITS, ANGLES, TESTED = 32, 16, 128, 4000
CODE_RATE, PREDICTOR_RATE, FADING = 2.0, 10.0, 0.05
WAVELENGTHS = (6, 8, 11, 15, 20, 28)  # of gratings, in pixels
POINTS_SEEN = 40  # of a learning curve
KINDS = ("pm", "control")


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
    """A photograph; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    picture: str = option("photo", "a photograph, or overlapping discs", among=("photo", "leaves"))
    updates: int = option(800, "updates", 1, 1_000_000)
    batch: int = option(64, "windows of an update; 1: rates a 64th, as in the paper", 1, 1000)
    window: bool = option(True, "train the 32 units in a window, too")

    def __post_init__(self):
        check_options(self)


QUICK = {"window": False, "updates": 700}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # update, and by kind the mean V
    weights: dict  # "window" (32, 2, 82) and "common" (16, 2, 82)
    image: np.ndarray  # what the units look at


# --- pictures -------------------------------------------------------------------------------------


def photograph():
    """Grey levels (600, 512), 0 to 15, from the file beside this script. Raises OSError."""
    path = Path(__file__).resolve().with_name("photograph.npz")
    damage = (OSError, EOFError, LookupError, TypeError, ValueError, NotImplementedError)
    try:
        with np.load(path, allow_pickle=False) as content:
            levels = content["levels"]
    except (*damage, zipfile.BadZipFile, zlib.error) as error:
        raise OSError(f"{path} is not the photograph: {error}") from None
    if levels.shape != (600, 512) or levels.dtype != np.uint8 or levels.max() > 15:
        raise OSError(f"{path} must hold 600 x 512 bytes up to 15, has {levels.shape}")
    return levels


def dead_leaves(rng):
    """Grey levels (702, 566) of 4,000 overlapping discs, density of radius r as r^-3."""
    rows, columns = np.mgrid[:702, :566]
    picture = np.full(rows.shape, 8, np.uint8)
    low, high = 2.0**-2, 120.0**-2
    for radius in (low - rng.random(4000) * (low - high)) ** -0.5:
        r, c = rng.uniform(0, 702), rng.uniform(0, 566)
        top, left = max(0, int(r - radius)), max(0, int(c - radius))
        part = np.s_[top : int(r + radius) + 1, left : int(c + radius) + 1]
        inside = (rows[part] - r) ** 2 + (columns[part] - c) ** 2 <= radius**2
        picture[part][inside] = rng.integers(0, 16)
    return picture


def smoothed(levels):
    """Means of a pixel and its four neighbours, levels from -8 to 7 over 8; the rim is cut off."""
    x = (levels.astype(np.float32) - 8) / 8
    total = x[1:-1, 1:-1] + x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]
    return total / 5


def spiral(count, radius):
    """Points (count, 2) spread evenly over a disc."""
    k = np.arange(count) + 0.5
    angle, r = np.pi * (3 - math.sqrt(5)) * k, radius * np.sqrt(k / count)
    return np.stack([r * np.cos(angle), r * np.sin(angle)], 1)


class Windows:
    """Windows on an image: what every point of every field sees."""

    def __init__(self, image, centres):
        """centres (units, 2): the fields' places in the window, in pixels."""
        self.image, self.flat = image, image.ravel()
        places = (centres[:, None] + spiral(POINTS, FIELD)).reshape(-1, 2)
        turn = 2 * np.pi * np.arange(ANGLES) / ANGLES
        cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
        rows = np.rint(cos * places[:, 0] - sin * places[:, 1]).astype(int)
        columns = np.rint(sin * places[:, 0] + cos * places[:, 1]).astype(int)
        self.offsets = rows * image.shape[1] + columns

    def draw(self, rng, count):
        """Inputs (units, 82, count) of windows at random places and angles."""
        margin = int(WINDOW) + 1
        row = rng.integers(margin, self.image.shape[0] - margin, count)
        column = rng.integers(margin, self.image.shape[1] - margin, count)
        at = (row * self.image.shape[1] + column)[:, None] + self.offsets[
            rng.integers(0, ANGLES, count)
        ]
        x = self.flat[at].reshape(count, -1, POINTS).transpose(1, 2, 0)
        return np.concatenate([x, np.ones((len(x), 1, count), np.float32)], 1)


# --- learning -------------------------------------------------------------------------------------


def logistic(z):
    """1 / (1 + exp(-z)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def plain_step(w, v, x):
    """One presentation in plain loops: the changes of w and v at rates 1, lists of lists.

    w (units, 82), v (units, units + 1) with the constant last and 0 on the diagonal, x (units, 82).
    """
    units = range(len(w))
    y = [float(logistic(sum(a * b for a, b in zip(w[i], x[i], strict=True)))) for i in units]
    seen = [*y, 1.0]
    P = [float(logistic(sum(a * b for a, b in zip(v[i], seen, strict=True)))) for i in units]
    dw = [[(y[i] - P[i]) * y[i] * (1 - y[i]) * a for a in x[i]] for i in units]
    dv = [
        [0.0 if j == i else (y[i] - P[i]) * P[i] * (1 - P[i]) * a for j, a in enumerate(seen)]
        for i in units
    ]
    return dw, dv


class Learner:
    """Code units and predictors (condition 0), and the control with running means (condition 1)."""

    def __init__(self, rng, units, factor=1.0):
        """factor: on all rates, so that small batches are as slow as large ones."""
        self.factor = factor
        first = rng.uniform(-0.01, 0.01, (units, 1, POINTS + 1)).astype(np.float32)
        self.W = np.repeat(first, 2, 1)
        self.V = np.zeros((units, units + 1), np.float32)
        self.mean = np.full(units, 0.5, np.float32)
        self.others = np.ones_like(self.V)
        np.fill_diagonal(self.others, 0)

    def code(self, x):
        """y (units, 2, batch)."""
        return logistic(self.W @ x)

    def step(self, x):
        """One update on a batch (units, 82, batch); returns V of both conditions before it."""
        y, batch = self.code(x), x.shape[2]
        seen = np.concatenate([y[:, 0], np.ones((1, batch), np.float32)])
        P = np.stack([logistic(self.V @ seen), np.repeat(self.mean[:, None], batch, 1)], 1)
        off = y - P
        slope = off[:, 0] * P[:, 0] * (1 - P[:, 0])
        self.V += self.factor * PREDICTOR_RATE / batch * (slope @ seen.T) * self.others
        self.W += self.factor * CODE_RATE / batch * ((off * y * (1 - y)) @ x.swapaxes(1, 2))
        self.mean += self.factor * FADING * (y[:, 1].mean(1) - self.mean)
        return (off**2).sum(0).mean(1)


def train(rng, windows, units, config, seen):
    """A trained learner; seen(update, V, learner) forty times."""
    learner, every = (
        Learner(rng, units, min(1.0, config.batch / 64)),
        -(-config.updates // POINTS_SEEN),
    )
    for update in range(1, config.updates + 1):
        V = learner.step(windows.draw(rng, config.batch))
        if update % every == 0 or update == config.updates:
            if not np.isfinite(learner.W).all():
                raise FloatingPointError("weights grew beyond all numbers")
            seen(update, V, learner)
    return learner


# --- what the units have become -------------------------------------------------------------------


def kernel_bank():
    """Kernels (count, 81) of norm 1, and which are oriented: spots, edges and bars of many sizes.

    Spots are differences of Gaussians, edges and bars first and second derivatives of a Gaussian.
    """
    p = spiral(POINTS, FIELD)
    places = np.concatenate([np.zeros((1, 2)), spiral(12, 6.0)])
    kernels, oriented = [], []
    for centre in places:
        d = p - centre
        r2 = (d**2).sum(1)
        for size in (1.5, 2.2, 3.2, 4.5):
            for wider in (1.6, 2.5):
                inner, outer = (np.exp(-r2 / (2 * s * s)) / s**2 for s in (size, wider * size))
                kernels.append(inner - outer)
                oriented.append(False)
            for turn in np.pi * np.arange(12) / 12:
                u = (d @ (np.cos(turn), np.sin(turn))) / size
                v = (d @ (-np.sin(turn), np.cos(turn))) / size
                for long in (1.0, 2.0):
                    bell = np.exp(-(u**2 + (v / long) ** 2) / 2)
                    kernels += [u * bell, (u**2 - 1) * bell]
                    oriented += [True, True]
    kernels = np.array(kernels)
    return kernels / np.linalg.norm(kernels, axis=1, keepdims=True), np.array(oriented)


def orientation_index(w):
    """(best - across) / (best + across) of the responses to gratings, (units,); w (units, 81).

    Across: turned by a right angle, at the wavelength of the best response.
    """
    turns = np.pi * np.arange(24) / 24
    direction = np.stack([np.cos(turns), np.sin(turns)])
    phase = spiral(POINTS, FIELD) @ direction  # (points, turns)
    waves = [np.exp(2j * np.pi * phase / length) for length in WAVELENGTHS]
    response = np.abs(np.stack([w @ wave for wave in waves], 1))  # (units, lengths, turns)
    units = np.arange(len(w))
    length, turn = np.divmod(response.reshape(len(w), -1).argmax(1), len(turns))
    best, across = response[units, length, turn], response[units, length, (turn + 12) % 24]
    return (best - across) / (best + across)


def describe(w):
    """By unit: the part of w that its best kernel explains, whether that is oriented, balance.

    w (units, 81) without the bias. Balance is |sum w| / sum |w|: 1 for a blob, 0 for a detector.
    """
    kernels, oriented = kernel_bank()
    fit = (w @ kernels.T) ** 2 / (w**2).sum(1, keepdims=True)
    best = fit.argmax(1)
    balance = np.abs(w.sum(1)) / np.abs(w).sum(1)
    return fit.max(1), oriented[best], balance, kernels[best]


def entropy(p):
    """Bits of a binary variable."""
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


def pairwise_information(on):
    """Mean mutual information of two units, in bits; on (units, samples) of booleans."""
    p, joint = on.mean(1), (on.astype(float) @ on.T) / on.shape[1]
    total = np.zeros_like(joint)
    for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
        pa, pb = (np.abs(p - (1 - s)) for s in (a, b))  # probability of state a; of b
        both = joint if a and b else p[:, None] - joint if a else p - joint if b else None
        both = 1 - p[:, None] - p + joint if both is None else both
        product = np.maximum(pa[:, None] * pb, 1e-12)
        both = np.maximum(both, 0)
        total += np.where(both > 1e-12, both * np.log2(np.maximum(both, 1e-12) / product), 0)
    return float(total[~np.eye(len(p), dtype=bool)].mean())


def effective_rank(W):
    """exp of the entropy of the squared singular values' shares."""
    share = np.linalg.svd(W, compute_uv=False) ** 2
    share = share / share.sum()
    return float(np.exp(-(share * np.log(np.maximum(share, 1e-300))).sum()))


def measure(learner, windows, rng, metrics):
    """Detectors, redundancy and entropy of both conditions, on fresh windows."""
    y = np.concatenate([learner.code(windows.draw(rng, 500)) for _ in range(TESTED // 500)], 2)
    for k, kind in enumerate(KINDS):
        fit, oriented, balance, _ = describe(learner.W[:, k, :-1])
        index = orientation_index(learner.W[:, k, :-1])
        detector = (fit >= 0.5) & (balance <= 0.25)
        metrics[f"{kind}_features"] = float(detector.mean())
        metrics[f"{kind}_edges"] = int((detector & oriented & (index >= 1 / 3)).sum())
        metrics[f"{kind}_spots"] = int((detector & ~oriented).sum())
        metrics[f"{kind}_information"] = pairwise_information(y[:, k] > 0.5)
        metrics[f"{kind}_entropy"] = float(entropy((y[:, k] > 0.5).mean(1)).mean())
        metrics[f"{kind}_extreme"] = float((np.abs(y[:, k] - 0.5) > 0.3).mean())
    metrics["redundancy_ratio"] = metrics["pm_information"] / metrics["control_information"]
    metrics["binary_entropy"] = metrics["pm_entropy"] * metrics["pm_extreme"]


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train units in a window, and units that share one field, with and without predictors."""
    rngs = np.random.default_rng(config.seed).spawn(4)
    levels = photograph() if config.picture == "photo" else dead_leaves(rngs[0])
    image = smoothed(levels)
    result = Result({}, {"part": [], "update": [], "pm": [], "control": []}, {}, image)
    parts = [("common", np.zeros((COMMON_UNITS, 2)), rngs[2])]
    if config.window:
        parts.insert(0, ("window", spiral(UNITS, WINDOW - FIELD), rngs[1]))
    for part, centres, rng in parts:

        def seen(update, V, learner, part=part):
            point = part, update, float(V[0]), float(V[1])
            for column, value in zip(result.history.values(), point, strict=True):
                column.append(value)
            if watch:
                state = {"part": part, "pm": float(V[0]), "control": float(V[1])}
                watch(update, config.updates, **state, W=learner.W)

        windows = Windows(image, centres)
        learner = train(rng, windows, len(centres), config, seen)
        result.weights[part] = learner.W
        if part == "window":
            measure(learner, windows, rngs[3], result.metrics)
        else:
            ranks = [effective_rank(learner.W[:, k, :-1]) for k in range(2)]
            result.metrics |= {
                f"{kind}_rank": rank for kind, rank in zip(KINDS, ranks, strict=True)
            }
    return result


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
