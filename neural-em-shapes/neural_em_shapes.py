"""Neural expectation maximization: slots that share one net divide an image among themselves.

Task      Binary images of 28 x 28 pixels, in each three shapes at random places, outlines of a
          square and of triangles up and down. Nobody says which pixel belongs to which shape; that
          is what is to be found out. Score: adjusted mutual information (AMI) of the slot of every
          pixel and its shape, over pixels of exactly one shape; chance is 0.
Model     K = 4 slots, each with pixel means psi_k. An EM step:
              E   gamma_k = p_k / sum of p,  p_k = x psi_k + (1 - x) (1 - psi_k)     slot of a pixel
              M   h_k = f(h_k, gamma_k (x~ - psi_k)),  psi_k = sigmoid(h_k V + v)
          x~ is x with a tenth of the bits flipped, anew in every step. All slots share f and V; at
          the start gamma is noise, which alone makes slots differ.
              rnnem    h <- sigmoid(gamma (x~ - psi) U + h R + u)
              nem      the gradient step: theta <- theta + eta h (1 - h) (gamma (x~ - psi) V^T),
                       h = sigmoid(theta)
Loss      sum over slots and pixels of gamma CE(x, psi) + (1 - gamma) KL(0, psi): explain what is
          yours, and predict nothing where you are not asked (nointer: without the second term).
          The gradient passes through all EM steps, gamma included.

Arrays are (images, slots, pixels or units).

    python3 neural_em_shapes.py --seed 0
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

LARGE = (
    "#######/#######/##...##/##...##/##...##/#######/#######",
    ".....##...../....####..../...######.../..###..###../.###....###./############/############",
)
SMALL = ("####/#..#/#..#/####", "..##../.#..#./######")
SIZES = {28: (LARGE, 3, 250), 12: (SMALL, 2, 48)}  # shapes, how many in an image, hidden units
BATCH, FLIPS, EPS, LIMIT, RATE = 16, 0.1, 1e-6, 5.0, 2e-3
FIRST_STEPS, LAST_STEPS, TEST_STEPS = 3, 8, 15  # EM steps in training, and in tests
CHECKS, CHECKED, TESTED = 10, 128, 512
MODELS = ("rnnem", "nointer", "nem")


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
    """RNN-EM on 28 x 28 pixels; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    model: str = option("rnnem", "how slots learn; or all three", among=(*MODELS, "compare"))
    size: int = option(28, "pixels a side; 12: smaller shapes, two an image", among=(28, 12))
    updates: int = option(2000, "updates of 16 fresh images", 1, 1_000_000)

    def __post_init__(self):
        check_options(self)


QUICK = {"size": 12, "updates": 600}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # model, update, loss, ami
    weights: dict  # by model
    test: tuple  # images, shapes (see make_images) and gamma of the last model in the test


# --- images ---------------------------------------------------------------------------------------


def shapes_of(size):
    """Square, triangle up, triangle down, as boolean arrays."""
    square, up = (
        np.array([[c == "#" for c in row] for row in text.split("/")]) for text in SIZES[size][0]
    )
    return square, up, up[::-1]


def make_images(rng, count, size):
    """Images x (count, pixels) of 0 and 1, and owner (count, pixels): number of the shape of a
    pixel, -1 for none or several."""
    shapes, number = shapes_of(size), SIZES[size][1]
    cover = np.zeros((count, number, size, size), bool)
    for image in cover:
        for place in image:
            shape = shapes[rng.integers(3)]
            row, column = (rng.integers(0, size - side + 1) for side in shape.shape)
            place[row : row + shape.shape[0], column : column + shape.shape[1]] = shape
    cover = cover.reshape(count, number, -1)
    owner = np.where(cover.sum(1) == 1, cover.argmax(1), -1)
    return cover.any(1).astype(np.float32), owner


# --- adjusted mutual information ------------------------------------------------------------------


LOG_FACTORIAL = np.array([math.lgamma(n + 1) for n in range(1000)])


def expected_information(rows, columns):
    """Mean mutual information [nats] of random tables with these sums (Vinh et al. 2010)."""
    n, total, F = int(rows.sum()), 0.0, LOG_FACTORIAL
    for a in rows.tolist():
        for b in columns.tolist():
            k = np.arange(max(1, a + b - n), min(a, b) + 1)
            log_p = F[a] + F[b] + F[n - a] + F[n - b] - F[n]
            log_p = log_p - F[k] - F[a - k] - F[b - k] - F[n - a - b + k]
            total += float((k / n * np.log(n * k / (a * b)) * np.exp(log_p)).sum())
    return total


def adjusted_information(u, v):
    """AMI of two labellings (pixels,), normalised by the larger entropy, and by their mean."""
    table = np.zeros((u.max() + 1, v.max() + 1))
    np.add.at(table, (u, v), 1)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0].astype(int)
    rows, columns, n = table.sum(1), table.sum(0), table.sum()
    p = table / n
    outer = np.outer(rows, columns) / n**2
    information = float((p[p > 0] * np.log(p[p > 0] / outer[p > 0])).sum())
    entropies = [-(q / n * np.log(q / n)).sum() for q in (rows, columns)]
    chance = expected_information(rows, columns)
    spans = (max(entropies) - chance, sum(entropies) / 2 - chance)
    return [1.0 if abs(span) < 1e-12 else (information - chance) / span for span in spans]


def scores(gamma, owner):
    """AMI of every image, both kinds (images, 2); gamma (images, slots, pixels)."""
    slots = gamma.argmax(1)
    return np.array([
        adjusted_information(slot[one >= 0], one[one >= 0]) if (one >= 0).any() else [1.0, 1.0]
        for slot, one in zip(slots, owner, strict=True)
    ])  # fmt: skip


# --- neural EM ------------------------------------------------------------------------------------


def logistic(z):
    """1 / (1 + exp(-z)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def init(rng, model, pixels, units, dtype=np.float32):
    """Glorot-uniform U, R, V and biases u, v of 0; of nem V and the step eta."""

    def glorot(a, b):
        return (rng.uniform(-1, 1, (a, b)) * math.sqrt(6 / (a + b))).astype(dtype)

    if model == "nem":
        return {"V": glorot(units, pixels), "eta": np.ones(1, dtype)}
    w = {"U": glorot(pixels, units), "R": glorot(units, units), "V": glorot(units, pixels)}
    return w | {"u": np.zeros(units, dtype), "v": np.zeros(pixels, dtype)}


def plain_step(w, x, noisy, gamma, psi, h):
    """One EM step of RNN-EM on one image in plain words: new gamma, psi, h, lists over slots.

    x, noisy (pixels,), gamma and psi lists of arrays (pixels,), h a list of arrays (units,).
    """
    h = [
        logistic((g * (noisy - p)) @ w["U"] + s @ w["R"] + w["u"])
        for g, p, s in zip(gamma, psi, h, strict=True)
    ]
    psi = [logistic(s @ w["V"] + w["v"]) for s in h]
    likelihood = [x * p + (1 - x) * (1 - p) + EPS for p in psi]
    return [part / sum(likelihood) for part in likelihood], psi, h


def unroll(w, x, rng, steps, slots):
    """EM from noise; returns a list of steps, each a dict of what backward() needs."""
    images, units = len(x), len(w["V"])
    gamma = np.abs(rng.standard_normal((images, slots, x.shape[1]))).astype(x.dtype)
    gamma /= gamma.sum(1, keepdims=True)
    psi, x = np.zeros_like(gamma), x[:, None]
    state = np.zeros((images, slots, units), x.dtype)  # h, or theta of nem
    trace = []
    for _ in range(steps):
        noisy = np.where(rng.random(x.shape) < FLIPS, 1 - x, x)
        now = {"gap": noisy - psi, "gamma_before": gamma, "before": state}
        a = now["a"] = gamma * now["gap"]
        if "eta" in w:
            h = logistic(state)
            now["pull"] = flat(a) @ w["V"].T
            now["pull"] = now["pull"].reshape(state.shape)
            state = state + w["eta"] * h * (1 - h) * now["pull"]
            h = logistic(state)
            logits = flat(h) @ w["V"]
        else:
            net = flat(a) @ w["U"] + flat(state) @ w["R"] + w["u"]
            h = state = logistic(net).reshape(state.shape)
            logits = flat(h) @ w["V"] + w["v"]
        logits = logits.reshape(gamma.shape)
        psi = logistic(logits)
        likelihood = np.where(x > 0.5, psi, 1 - psi) + np.asarray(EPS, x.dtype)
        total = likelihood.sum(1, keepdims=True)
        gamma = likelihood / total
        now |= {"h": h, "logits": logits, "psi": psi, "total": total, "gamma": gamma}
        trace.append(now)
    return trace


def flat(array):
    """(images, slots, n) -> (images * slots, n)."""
    return array.reshape(-1, array.shape[2])


def step_loss(x, now, inter):
    """Loss of a step (mean over images) and its gradients by logits and gamma, times the images."""
    x, logits, gamma, psi = x[:, None], now["logits"], now["gamma"], now["psi"]
    plus = np.logaddexp(0, logits)  # CE(x, psi) = plus - x logits, KL(0, psi) = plus
    if inter:
        return float((plus - gamma * x * logits).sum()) / len(x), psi - gamma * x, -x * logits
    return float((gamma * (plus - x * logits)).sum()) / len(x), gamma * (psi - x), plus - x * logits


def backward(w, x, trace, weights, inter):
    """Loss, weighted over the steps, and its gradients for all weights.

    E-step: dp_k = (dgamma_k - sum dgamma gamma) / sum p, dpsi = dp (2 x - 1).
    """
    loss, images, sign = 0.0, len(x), (2 * x - 1)[:, None]
    dgamma = dpsi = dstate = 0.0
    kept = {"V": [], "delta": [], "pulled": []}
    deta = 0.0
    for now, weight in zip(trace[::-1], weights[::-1], strict=True):
        part, dl, dg = step_loss(x, now, inter)
        loss += weight * part
        dl, dg = dl * (weight / images), dg * (weight / images) + dgamma
        dp = (dg - (dg * now["gamma"]).sum(1, keepdims=True)) / now["total"]
        dl += (dpsi + dp * sign) * now["psi"] * (1 - now["psi"])
        kept["V"].append(dl)
        h = now["h"]
        dh = (flat(dl) @ w["V"].T).reshape(h.shape)
        if "eta" in w:
            dtheta = dh * h * (1 - h) + dstate
            b = logistic(now["before"])
            slope = b * (1 - b)
            deta += float((dtheta * slope * now["pull"]).sum())
            dstate = dtheta * (1 + w["eta"] * slope * (1 - 2 * b) * now["pull"])
            pulled = dtheta * w["eta"] * slope
            kept["pulled"].append(pulled)
            da = (flat(pulled) @ w["V"]).reshape(dl.shape)
        else:
            delta = (dh + dstate) * h * (1 - h)
            kept["delta"].append(delta)
            dstate = (flat(delta) @ w["R"].T).reshape(h.shape)
            da = (flat(delta) @ w["U"].T).reshape(dl.shape)
        dgamma, dpsi = da * now["gap"], -da * now["gamma_before"]
    rows = {name: [now[name] for now in trace[::-1]] for name in ("h", "a", "before")}
    rows = {name: np.concatenate([flat(part) for part in parts]) for name, parts in rows.items()}
    kept = {k: np.concatenate([flat(part) for part in parts]) for k, parts in kept.items() if parts}
    grads = {"V": rows["h"].T @ kept["V"]}
    if "eta" in w:
        grads["V"] += kept["pulled"].T @ rows["a"]
        return loss, grads | {"eta": np.array([deta], x.dtype)}
    grads |= {"U": rows["a"].T @ kept["delta"], "R": rows["before"].T @ kept["delta"]}
    return loss, grads | {"u": kept["delta"].sum(0), "v": kept["V"].sum(0)}


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


def group(w, x, rng, slots, steps=TEST_STEPS):
    """gamma (images, slots, pixels) after so many EM steps, in pieces of 64 images."""
    parts = [x[i : i + 64] for i in range(0, len(x), 64)]
    return np.concatenate([unroll(w, part, rng, steps, slots)[-1]["gamma"] for part in parts])


def train(model, config, rngs, history, watch):
    """The weights of a model, trained on fresh images; AMI on some others is noted on the way."""
    _, number, units = SIZES[config.size]
    slots, w = number + 1, init(rngs[0], model, config.size**2, units)
    checked = make_images(rngs[1], CHECKED, config.size)
    adam, losses = Adam(w, RATE, beta2=0.99, limit=LIMIT), []
    every = -(-config.updates // CHECKS)
    for update in range(1, config.updates + 1):
        done = update / config.updates
        steps = FIRST_STEPS + round(min(1.0, done / 0.3) * (LAST_STEPS - FIRST_STEPS))
        weights = np.arange(1, steps + 1) / (steps * (steps + 1) / 2)
        x, _ = make_images(rngs[2], BATCH, config.size)
        trace = unroll(w, x, rngs[2], steps, slots)
        loss, grads = backward(w, x, trace, weights, model != "nointer")
        if not math.isfinite(loss):
            raise FloatingPointError("the loss is not finite")
        adam.rate = RATE * min(1.0, max(0.02, 2 * (1 - done)))
        adam.step(w, grads)
        losses.append(loss)
        if update % every == 0 or update in (1, config.updates):
            gamma = group(w, checked[0], np.random.default_rng(config.seed), slots)
            ami = float(scores(gamma, checked[1])[:, 0].mean())
            point = model, update, float(np.mean(losses[-50:])), ami
            for column, value in zip(history.values(), point, strict=True):
                column.append(value)
            if watch:
                watch(update, config.updates, model=model, loss=loss, ami=ami, weights=w)
    return w


def run(config: Config = Config(), watch=None) -> Result:
    """Train a model, or all three from the same images; test on others, with the final weights."""
    models = MODELS if config.model == "compare" else (config.model,)
    result = Result({}, {"model": [], "update": [], "loss": [], "ami": []}, {}, ())
    slots, metrics, history = SIZES[config.size][1] + 1, result.metrics, result.history
    for model in models:
        rngs = np.random.default_rng(config.seed).spawn(4)
        w = result.weights[model] = train(model, config, rngs, history, watch)
        x, owner = make_images(rngs[3], TESTED, config.size)
        gamma = group(w, x, rngs[3], slots)
        found, clear = scores(gamma, owner), (owner >= 0).sum(1) == x.sum(1)
        result.test = x, owner, gamma
        name = f"{model}_" if len(models) > 1 else ""
        checks = [
            ami for k, ami in zip(history["model"], history["ami"], strict=True) if k == model
        ]
        metrics |= {
            f"{name}ami": float(found[:, 0].mean()),
            f"{name}ami_by_mean": float(found[:, 1].mean()),
            f"{name}clear_ami": float(found[clear, 0].mean()) if clear.any() else None,
            f"{name}collapse": max(checks) - checks[-1],
            f"{name}start": checks[0],
        }
    if len(models) > 1:
        metrics["inter_gap"] = metrics["rnnem_ami"] - metrics["nointer_ami"]
        metrics["tied_gap"] = metrics["rnnem_ami"] - metrics["nem_ami"]
    return result


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
    """Worst relative error of backward() for all three models, in float64."""
    worst = 0.0
    for model in MODELS:
        rng = np.random.default_rng(config.seed)
        w = {name: 2 * array for name, array in init(rng, model, 9, 5, float).items()}
        x, weights = (rng.random((2, 9)) < 0.4).astype(float), np.array([0.2, 0.3, 0.5])

        def loss(w=w, x=x, weights=weights, model=model):
            trace = unroll(w, x, np.random.default_rng(1), 3, 3)
            parts = [step_loss(x, now, model != "nointer")[0] for now in trace]
            return float(np.dot(weights, parts))

        trace = unroll(w, x, np.random.default_rng(1), 3, 3)
        _, grads = backward(w, x, trace, weights, model != "nointer")
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
