"""Highway networks: layers that learn how much of their input to carry on are trained 100 deep.

Task      MNIST: 28 x 28 pixels p / 255 minus the mean image; ten classes. What counts is how far
          the mean cross-entropy on the training images falls.
Layers    highway   y = T * H + (1 - T) * x,  H = f(W_H x + b_H),  T = sigmoid(W_T x + b_T),
                    50 units; b_T starts at -2 or less: a new layer carries its input on
          plain     y = f(W x + b), 71 units: as many weights
Net       one plain layer 784 -> units, depth - 1 layers of one kind, softmax; f is tanh or ReLU.
Learning  stochastic gradient descent with momentum on the mean cross-entropy of 100 images; the
          rate falls by a factor every epoch. Both kinds have settings of their own at every depth,
          found by the same search over rate, decay, momentum, f and b_T (option settings).
Control   plain nets of 10 and 20 layers learn well; the deeper they are the less they learn.

Arrays are (units, images); W is (layers, rows, units), rows = units (plain) or both W_H and W_T.

    python3 highway_networks.py --seed 0
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

PIXELS, CLASSES, BATCH = 784, 10, 100
UNITS = {"highway": 50, "plain": 71}
DEPTHS = (10, 20, 50, 100)
DONE = 1e-3  # a loss that is low enough
LEARNT = 0.1  # the loss at which speeds are compared
LESIONED = 2000  # test images that are read without a layer


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
    """The defaults train both kinds at four depths: the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    depth: int = option(0, "layers of the nets; 0: all four depths", among=(0, *DEPTHS))
    images: int = option(10_000, "training images, drawn at random", 500, 60_000)
    epochs: int = option(15, "most epochs of a net", 1, 400)
    settings: int = option(0, "instead: try so many random settings a kind", 0, 200)

    def __post_init__(self):
        check_options(self)
        if self.settings and self.depth != 100:
            raise ValueError(f"depth must be 100 where settings are tried, got {self.depth}")


QUICK = {"images": 3000, "epochs": 8, "depth": 10}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # kind, depth, epoch, loss: a row a net and epoch
    nets: dict  # trained nets by (kind, depth)
    tried: list  # of a search: (kind, setting, loss)


@dataclass(frozen=True)
class Setting:
    """How a net is started and trained."""

    rate: float
    decay: float  # of the rate, an epoch
    momentum: float = 0.9
    gate_bias: float = -2.0  # b_T at the start
    relu: bool = False


# By kind and depth: what a search found, for the plain nets too.
CHOSEN = {
    ("highway", 10): Setting(0.27, 0.9, relu=True),
    ("highway", 20): Setting(0.27, 0.9, relu=True, gate_bias=-4.0),
    ("highway", 50): Setting(0.27, 0.9, relu=True, gate_bias=-6.0),
    ("highway", 100): Setting(0.27, 0.9, relu=True, gate_bias=-6.0),
    ("plain", 10): Setting(0.06, 0.9),
    ("plain", 20): Setting(0.03, 0.9),
    ("plain", 50): Setting(0.01, 0.9),
    ("plain", 100): Setting(0.0033, 0.95, momentum=0.96, relu=True),
}


# --- the images -----------------------------------------------------------------------------------


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


def load_images(rng, count):
    """Training pixels (784, count) and labels (count,), drawn without replacement; test images."""
    images, labels, test_images, test_labels = read_mnist()
    chosen = rng.choice(len(images), count, replace=False)
    x = images[chosen].reshape(count, PIXELS).T.astype(np.float32) / 255
    test_x = test_images.reshape(-1, PIXELS).T.astype(np.float32) / 255
    mean = x.mean(1, keepdims=True)
    return (x - mean, labels[chosen]), (test_x - mean, test_labels)


# --- the net --------------------------------------------------------------------------------------


class Net:
    """A stack of layers; all weights are views into one flat array, so that one step moves them."""

    def __init__(self, kind, depth, setting, rng, dtype=np.float32):
        self.kind, self.depth, self.setting = kind, depth, setting
        units = UNITS[kind]
        rows = 2 * units if kind == "highway" else units
        self.shapes = {
            "W_in": (units, PIXELS),
            "b_in": (units, 1),
            "W": (depth - 1, rows, units),
            "b": (depth - 1, rows, 1),
            "W_out": (CLASSES, units),
            "b_out": (CLASSES, 1),
        }
        self.flat, self.weights = self.array(dtype)
        self.flat_grad, self.grads = self.array(dtype)
        for name in ("W_in", "W", "W_out"):
            w, fan_in = self.weights[name], self.shapes[name][-1]
            fan_out = CLASSES if name == "W_out" else units
            if setting.relu:  # He et al. 2015
                w[:] = rng.normal(0, math.sqrt(2 / fan_in), w.shape)
            else:  # Glorot & Bengio 2010
                w[:] = rng.uniform(-1, 1, w.shape) * math.sqrt(6 / (fan_in + fan_out))
        if kind == "highway":
            self.weights["b"][:, units:] = setting.gate_bias

    def array(self, dtype):
        """A flat array of zeros for all weights, and its views by name."""
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        flat = np.zeros(sum(sizes), dtype)
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        named = zip(self.shapes.items(), parts, strict=True)
        return flat, {name: part.reshape(shape) for (name, shape), part in named}

    def f(self, z):
        """The squashing function of all layers, in place."""
        return np.maximum(z, 0, out=z) if self.setting.relu else np.tanh(z, out=z)

    def slope(self, a):
        """f' as a function of f."""
        return a > 0 if self.setting.relu else 1 - a * a

    def layer(self, index, x):
        """Layer index on x (units, images): y and what backward() needs, (H, T) or ()."""
        z = self.weights["W"][index] @ x
        z += self.weights["b"][index]
        if self.kind == "plain":
            return self.f(z), ()
        H, T = self.f(z[: len(x)]), z[len(x) :]
        T *= 0.5
        np.tanh(T, out=T)  # sigmoid(z) = (1 + tanh(z / 2)) / 2
        T += 1
        T *= 0.5
        y = H - x
        y *= T
        y += x
        return y, (H, T)

    def forward(self, pixels, without=()):
        """Logits (10, images); the layers in `without` copy their input (T = 0).

        Keeps every y, and (H, T) of every layer, for backward().
        """
        w = self.weights
        y = self.f(w["W_in"] @ pixels + w["b_in"])
        self.y, self.inner = [y], []
        for index in range(self.depth - 1):
            y, inner = (y, ()) if index in without else self.layer(index, y)
            self.y.append(y)
            self.inner.append(inner)
        return w["W_out"] @ y + w["b_out"]

    def backward(self, pixels, e):
        """Gradients of a loss whose derivative by the logits is e (10, images).

        plain     dz = f'(z) dy,  dx = W^T dz
        highway   dz_H = f'(z_H) T dy,  dz_T = T (1 - T) (H - x) dy,
                  dx = (1 - T) dy + W_H^T dz_H + W_T^T dz_T
        """
        w, g = self.weights, self.grads
        g["W_out"][:] = e @ self.y[-1].T
        g["b_out"][:] = e.sum(1, keepdims=True)
        dy = w["W_out"].T @ e
        for index in range(self.depth - 2, -1, -1):
            x = self.y[index]
            if self.kind == "plain":
                dz, carried = dy * self.slope(self.y[index + 1]), 0
            else:
                H, T = self.inner[index]
                through, units = T * dy, len(x)
                dz, carried = np.empty((2 * units, x.shape[1]), x.dtype), dy - through
                np.multiply(self.slope(H), through, out=dz[:units])
                np.multiply(H - x, through, out=dz[units:])
                dz[units:] *= 1 - T
            np.matmul(dz, x.T, out=g["W"][index])
            dz.sum(1, keepdims=True, out=g["b"][index])
            dy = w["W"][index].T @ dz
            dy += carried
        dz = dy * self.slope(self.y[0])
        g["W_in"][:] = dz @ pixels.T
        g["b_in"][:] = dz.sum(1, keepdims=True)


def cross_entropy(logits, labels):
    """Mean cross-entropy of the softmax, and its derivative by the logits."""
    z = logits - logits.max(0)
    p = np.exp(z)
    total, columns = p.sum(0), np.arange(len(labels))
    loss = float((np.log(total) - z[labels, columns]).mean())
    p /= total
    p[labels, columns] -= 1
    return loss, p / len(labels)


# --- learning -------------------------------------------------------------------------------------


def train(net, data, rng, epochs, seen):
    """SGD with momentum; returns the mean loss of every epoch (nan: beyond all numbers).

    Ends early at a loss below DONE. seen(epoch, loss) is called after every epoch.
    """
    x, labels = data
    velocity, rate, losses = np.zeros_like(net.flat), net.setting.rate, []
    for epoch in range(epochs):
        order = rng.permutation(len(labels))
        total, batches = 0.0, [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
        for batch in batches:
            pixels = np.ascontiguousarray(x[:, batch])
            loss, e = cross_entropy(net.forward(pixels), labels[batch])
            net.backward(pixels, e)
            velocity *= net.setting.momentum
            velocity -= rate * net.flat_grad
            net.flat += velocity
            total += loss * len(batch) / len(order)
        losses.append(total)
        seen(epoch + 1, total)
        if total < DONE or not math.isfinite(total):
            break
        rate *= net.setting.decay
    return losses


def correct(net, data, without=()):
    """Share of right answers [%]."""
    x, labels = data
    parts = range(0, len(labels), 1000)
    answers = [net.forward(x[:, i : i + 1000], without).argmax(0) for i in parts]
    return 100 * float((np.concatenate(answers) == labels).mean())


def lesions(net, data):
    """Percentage points of right answers lost (layers,) without each gated layer."""
    x, labels = data
    net.forward(x)
    inputs, right, w = net.y, [], net.weights
    for index in range(net.depth):  # what comes before the layer stays the same; last: none
        y = inputs[index]
        for later in range(index + 1, net.depth - 1):
            y, _ = net.layer(later, y)
        right.append(float(((w["W_out"] @ y + w["b_out"]).argmax(0) == labels).mean()))
    return [100 * (right[-1] - share) for share in right[:-1]]


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train nets of both kinds at every depth, or try random settings at 100 layers."""
    rngs = np.random.default_rng(config.seed).spawn(2)
    data, test = load_images(rngs[0], config.images)
    result = Result({}, {"kind": [], "depth": [], "epoch": [], "loss": []}, {}, [])
    with np.errstate(over="ignore", invalid="ignore"):
        if config.settings:
            search(config, rngs[1], data, result, watch)
        else:
            compare_depths(config, rngs[1], data, test, result, watch)
    return result


def compare_depths(config, rng, data, test, result, watch):
    """Fill result with nets of both kinds at every depth, and what they have come to."""
    depths = [config.depth] if config.depth else DEPTHS
    jobs = [(kind, depth) for depth in depths for kind in UNITS]
    metrics, reached = result.metrics, {}
    for number, (kind, depth) in enumerate(jobs):
        net = Net(kind, depth, CHOSEN[kind, depth], rng)
        seen = follow(result.history, watch, net, number, len(jobs), config.epochs)
        losses = train(net, data, rng, config.epochs, seen)
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"the {kind} net of {depth} layers grew beyond all numbers")
        result.nets[kind, depth] = net
        reached[kind, depth] = next((i for i, x in enumerate(losses) if x <= LEARNT), math.inf)
        metrics |= {f"{kind}_{depth}_loss": min(losses), f"{kind}_{depth}_epochs": len(losses)}
        metrics[f"{kind}_{depth}_test"] = correct(net, test)
    for d in depths:
        metrics[f"ratio_{d}"] = metrics[f"plain_{d}_loss"] / metrics[f"highway_{d}_loss"]
    metrics["faster"] = float(
        np.mean([reached["highway", d] <= reached["plain", d] for d in depths])
    )
    if not config.depth:
        shallow = metrics["plain_10_loss"], metrics["plain_20_loss"]
        metrics["plain_shallow"] = max(shallow)
        metrics["flat"] = metrics["highway_100_test"] - metrics["highway_10_test"]
    if 50 in depths:
        net, part = result.nets["highway", 50], (test[0][:, :LESIONED], test[1][:LESIONED])
        whole, cost = correct(net, part), np.array(lesions(net, part))
        metrics |= {"lesion_free": float((cost < 1).mean()), "lesion_worst": float(cost.max())}
        tens = {"first": range(10), "middle": range(20, 30), "last": range(39, 49)}
        lost = {name: whole - correct(net, part, layers) for name, layers in tens.items()}
        metrics |= {f"without_{name}_ten": points for name, points in lost.items()}
        metrics["early_matter"] = lost["first"] - lost["last"]


def follow(history, watch, net, number, nets, epochs):
    """A function (epoch, loss) that notes a point of the curves and lets the watcher see it."""

    def seen(epoch, loss):
        row = net.kind, net.depth, epoch, loss
        for column, value in zip(history.values(), row, strict=True):
            column.append(value)
        if watch:
            norms = np.sqrt((net.grads["W"] ** 2).sum((1, 2)))
            watch(number * epochs + epoch, nets * epochs, layers=net.depth, loss=loss, norms=norms)

    return seen


def search(config, rng, data, result, watch):
    """Try random settings of both kinds at 100 layers, as the paper did for every depth."""
    for number in range(2 * config.settings):
        kind = tuple(UNITS)[number % 2]
        setting = Setting(
            rate=10 ** rng.uniform(-2.5, -0.3),
            decay=rng.uniform(0.85, 0.97),
            momentum=1 - 10 ** rng.uniform(-1.5, -0.5),
            gate_bias=-rng.uniform(1, 10),
            relu=bool(rng.random() < 0.5),
        )
        net = Net(kind, 100, setting, rng)
        seen = follow(result.history, watch, net, number, 2 * config.settings, config.epochs)
        losses = train(net, data, rng, config.epochs, seen)
        result.tried.append((kind, setting, min(losses)))
    best = {}
    for kind in UNITS:
        losses = [loss for k, _, loss in result.tried if k == kind and math.isfinite(loss)]
        best[kind] = min(losses, default=math.nan)
        result.metrics[f"search_{kind}"] = best[kind] if losses else None
    apart = best["plain"] / best["highway"]
    result.metrics["search_ratio"] = apart if math.isfinite(apart) else None


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
    """Worst relative error of backward() for both kinds at three layers, in float64."""
    worst = 0.0
    for kind in UNITS:
        rng = np.random.default_rng(config.seed)
        net = Net(kind, 3, Setting(0.1, 1.0, gate_bias=-1.0), rng, np.float64)
        x, labels = rng.normal(0, 0.3, (PIXELS, 7)), rng.integers(0, CLASSES, 7)
        _, e = cross_entropy(net.forward(x), labels)
        net.backward(x, e)

        def loss(net=net, x=x, labels=labels):
            return cross_entropy(net.forward(x), labels)[0]

        worst = max(worst, worst_relative_error(loss, net.weights, net.grads))
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
