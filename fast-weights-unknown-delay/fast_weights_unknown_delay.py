"""Fast weights, unknown delays: a net that writes another net's weights remembers for any time.

Task      An endless stream of events A, B, C, each with probability 1/3. Target d(t) = 1 if the
          event is B and an A has come since the B before (or since the start), else 0. Nothing is
          ever reset; a net has solved it if |d - y| <= 0.05 for 100 steps in a row.
Nets      F answers: y(t) = w_e(t-1), e the event, three fast weights w and no others. S writes: it
          sees the same event and adds a number to each fast weight, after F has answered,
              w_a(t) = f(w_a(t-1) + box_a(t)),   f(z) = 1 / (1 + exp(-T (z - 1/2))),   T = 10.
          Architecture 1: box_a = S_ae, 9 slow weights. Architecture 2, "from-to": box_a =
          from_ae to_e, 12 slow weights. All start in [-0.1, 0.1], w(0) = 0.
Learning  Schmidhuber 1992, section 3.1: descent on (d - y)^2 / 2 at every step, exact and on line:
              p_a(t) = dw_a(t) / dS = T w_a (1 - w_a) (p_a(t-1) + dbox_a(t) / dS),
              S <- S - eta (y - d) p_e(t-1),   eta = 1.
          `clip` bounds |p|: where w is near 1/2 one step can multiply it by 2.5, and the slow
          weights jump to where nothing can be unlearned.
          Controls: F alone, its three weights trained; S whose writing lasts one step. Since the
          latter can be right for 100 steps by luck, 500 clean steps are counted, too.
Part 2    The earlier catalog's task: store four bits when a flag says so, ignore K random ones, say
          them. S is a net of 16 tanh units, w bounded as above or added to. Trained on K to 4.
Shapes    Replicas side by side: S (nets, 3, 3), from (nets, 3, 3), to (nets, 3), w (nets, 3),
          p (nets, 3, 3) or (nets, 3, 6). Part 2: a batch of episodes, w (time + 1, batch, 4).
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

A, B, C = range(3)
NEAR, WINDOW, SURE, LAGS = 0.05, 100, 500, 1000
KINDS = ("one", "from-to", "no writing", "blanked")
BITS, HIDDEN, UPDATES, LONGEST_TRAINED, BATCH = 4, 16, 2500, 4, 64


@dataclass(frozen=True)
class Config:
    """The paper's setting; the defaults give the headline result."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    replicas: int = option(200, "nets of each kind that learn side by side", 1, 10_000)
    steps: int = option(5000, "steps of the stream", 200, 200_000)
    eta: float = option(1.0, "step size", 1e-4, 10)
    T: float = option(10.0, "steepness of the bound on fast weights", 0.1, 100)
    clip: float = option(1e6, "bound on the derivatives p; 1e6 is as good as none", 1e-3, 1e6)
    bits: bool = option(True, "do the second part, four bits, too")
    controls: bool = option(True, "train F alone, and S whose writing does not last, too")

    def __post_init__(self):
        check_options(self)


QUICK = {"replicas": 50, "steps": 3000, "bits": False, "controls": False}


@dataclass
class Result:
    """What a run returns."""

    metrics: dict
    history: dict  # learning curves: kind, step, share of nets that have solved it
    starts: dict  # by kind, first step of the clean window of every net (0: never)
    nets: dict  # by kind, slow weights at the end (nets, ...)


# --- the flip-flop --------------------------------------------------------------------------------


def stream(rng, replicas, steps):
    """Events (steps, replicas) and targets of the same shape."""
    events = rng.integers(0, 3, (steps, replicas), np.int8)
    targets, armed = np.zeros(events.shape), np.zeros(replicas, bool)
    for event, target in zip(events, targets, strict=True):
        target[:] = armed & (event == B)
        armed = (armed | (event == A)) & (event != B)
    return events, targets


def bounded(z, T):
    """f(z), the bounded rule; overflow does no harm."""
    return 0.5 + 0.5 * np.tanh(0.5 * T * (z - 0.5))


class Learner:
    """Nets of one kind: slow weights, fast weights w, derivatives p."""

    def __init__(self, kind, rng, config):
        n = config.replicas
        self.kind, self.config, self.net = kind, config, np.arange(n)
        self.w = np.zeros((n, 3))
        if kind == "from-to":
            self.slow = rng.uniform(-0.1, 0.1, (n, 12))
            self.p = np.zeros((n, 3, 6))
        else:
            self.slow = rng.uniform(-0.1, 0.1, (n, 9))
            self.p = np.zeros((n, 3, 3))

    def box(self, event):
        """What S adds to each fast weight at the events (nets,): (nets, 3)."""
        if self.kind == "from-to":
            sender, to = self.slow[:, :9].reshape(-1, 3, 3), self.slow[:, 9:]
            return sender[self.net, :, event] * to[self.net, event][:, None]
        return self.slow.reshape(-1, 3, 3)[self.net, :, event]

    def gradient(self, event, off):
        """Of (d - y)^2 / 2 by the slow weights (nets, ...); off is y - d."""
        part, row = np.zeros_like(self.slow), self.p[self.net, event]
        part[:, :9].reshape(-1, 3, 3)[self.net, event] = row[:, :3]
        if self.kind == "from-to":
            part[:, 9:] = row[:, 3:]
        return off[:, None] * part

    def write(self, event):
        """New fast weights and derivatives."""
        box, T = self.box(event), self.config.T
        if self.kind == "from-to":
            sender = self.slow[:, :9].reshape(-1, 3, 3)[self.net, :, event]
            self.p[self.net, :, event] += self.slow[self.net, 9 + event][:, None]
            self.p[self.net, :, 3 + event] += sender
        else:
            self.p[self.net, :, event] += 1
        self.w = bounded(self.w + box, T)
        self.p *= (T * self.w * (1 - self.w))[:, :, None]
        if self.config.clip < 1e6:
            np.clip(self.p, -self.config.clip, self.config.clip, out=self.p)

    def step(self, event, target):
        """Answer, learn, write; returns the answers (nets,)."""
        y = self.w[self.net, event]
        if self.kind == "no writing":
            self.w[self.net, event] -= 0.1 * (y - target)
            return y
        self.slow -= self.config.eta * self.gradient(event, y - target)
        if self.kind == "blanked":  # what earlier writes have left is gone
            self.w, self.p = np.zeros_like(self.w), np.zeros_like(self.p)
        self.write(event)
        return y


def train(kind, rng, config, history, watch):
    """Let nets of a kind learn on streams of their own; returns the Learner, starts, longest.

    starts (nets,): the first step, from 1, of the first 100 clean steps, or 0; longest (nets,): the
    most clean steps in a row.
    """
    learner = Learner(kind, rng, config)
    events, targets = stream(rng, config.replicas, config.steps)
    clean, starts, longest = np.zeros((3, config.replicas), int)
    for t, (event, target) in enumerate(zip(events, targets, strict=True), 1):
        y = learner.step(event, target)
        clean = np.where(np.abs(target - y) <= NEAR, clean + 1, 0)
        longest = np.maximum(longest, clean)
        fresh = (clean == WINDOW) & (starts == 0)
        if fresh.any():
            starts[fresh] = t - WINDOW + 1
        if t % 100 == 0 or t == config.steps:
            if not np.isfinite(learner.slow).all():
                raise FloatingPointError("weights grew beyond all numbers; choose a smaller eta")
            share = float((starts > 0).mean())
            for name, value in zip(history, (kind, t, share), strict=True):
                history[name].append(value)
            if watch:
                view = {"slow": learner.slow, "w": learner.w, "event": event, "y": y}
                watch(t, config.steps, kind=kind, solved=share, **view)
    return learner, starts, longest


def keeps(learner, T):
    """Whether every net, its slow weights frozen, answers B rightly after any number of C's.

    After A: 1; after B: 0; 1 to 1000 C's, and the fixed point, where 100,000 have led long since.
    """
    n = len(learner.w)
    good, same = np.ones(n, bool), [np.full(n, event) for event in (A, B, C)]
    boxes = [learner.box(event) for event in same]
    for first, target in ((A, 1.0), (B, 0.0)):
        w = bounded(learner.w + boxes[B], T)  # whatever was before, a B
        w = bounded(w + boxes[first], T)[:, B]
        for _ in range(LAGS):
            w = bounded(w + boxes[C][:, B], T)
            good &= np.abs(w - target) <= NEAR
        for _ in range(100_000 - LAGS):
            before, w = w, bounded(w + boxes[C][:, B], T)
            if (before == w).all():
                break
        good &= np.abs(w - target) <= NEAR
    return good


# --- part 2: four bits ----------------------------------------------------------------------------


def episodes(rng, batch, K):
    """Inputs to S (K + 1, batch, 6): bits, the flag, 1; and the bits to be said (batch, 4)."""
    u = np.ones((K + 1, batch, BITS + 2))
    u[:, :, :BITS] = rng.integers(0, 2, (K + 1, batch, BITS))
    u[1:, :, BITS] = 0
    return u, u[0, :, :BITS]


def store(weights, u, additive, T):
    """Fast weights (time + 1, batch, 4) while S writes, and its hidden units."""
    h = np.tanh(u @ weights["W1"])
    box, w = h @ weights["W2"], [np.full((u.shape[1], BITS), 0.5)]
    for now in box:
        w.append(w[-1] + now if additive else bounded(w[-1] + now, T))
    return np.stack(w), h


def store_gradients(weights, u, w, h, off, additive, T):
    """Gradients of the sum of off^2 / 2, off = w(end) - bits, by back-propagation through time."""
    slope = np.ones_like(w[1:]) if additive else T * w[1:] * (1 - w[1:])
    d_box = np.empty_like(slope)
    later = off
    for t in range(len(slope) - 1, -1, -1):
        later = d_box[t] = later * slope[t]
    d_h = d_box @ weights["W2"].T * (1 - h * h)
    return {
        "W1": np.einsum("tbi,tbh->ih", u, d_h),
        "W2": np.einsum("tbh,tbk->hk", h, d_box),
    }


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


def learn_bits(rng, additive, T):
    """Train S on episodes with K from 1 to 4; returns its weights."""
    weights = {
        "W1": rng.normal(0, 1 / (BITS + 2), (BITS + 2, HIDDEN)),
        "W2": rng.normal(0, 0.1, (HIDDEN, BITS)),
    }
    adam = Adam(weights, 0.01, limit=1.0)
    for _ in range(UPDATES):
        u, bits = episodes(rng, BATCH, int(rng.integers(1, LONGEST_TRAINED + 1)))
        w, h = store(weights, u, additive, T)
        grads = store_gradients(weights, u, w, h, (w[-1] - bits) / BATCH, additive, T)
        adam.step(weights, grads)
    return weights


def bits_right(rng, weights, lengths, additive, T):
    """Share of bits on the right side of 1/2 after K distractors, for every K of lengths."""
    shares = []
    for K in lengths:
        u, bits = episodes(rng, 100, K)
        w, _ = store(weights, u, additive, T)
        shares.append(((w[-1] > 0.5) == (bits > 0.5)).mean())
    return np.array(shares)


# --- a run ----------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Train both architectures, then the controls; then the second part."""
    rngs = np.random.default_rng(config.seed).spawn(len(KINDS) + 1)
    history = {"kind": [], "step": [], "share": []}
    metrics, starts, nets = {"nets": config.replicas}, {}, {}
    for kind, rng in zip(KINDS[: 4 if config.controls else 2], rngs, strict=False):
        learner, starts[kind], longest = train(kind, rng, config, history, watch)
        nets[kind], name = learner.slow, kind.replace("-", "_").replace(" ", "_")
        solved = starts[kind] > 0
        metrics[f"{name}_solved"] = int(solved.sum())
        metrics[f"{name}_sure"] = int((longest >= SURE).sum())
        if kind in ("one", "from-to"):
            used = np.where(solved, starts[kind], config.steps)
            metrics |= {f"{name}_start": float(np.median(used))}
            metrics |= {f"{name}_end": float(np.median(used)) + WINDOW - 1}
            keep = keeps(learner, config.T)
            metrics[f"{name}_keeps"] = float(keep[solved].mean()) if solved.any() else None
    metrics["solved_worse"] = min(metrics["one_solved"], metrics["from_to_solved"])
    if config.bits:
        rng = rngs[-1]
        for name, additive in (("bits", False), ("additive", True)):
            nets[name] = learn_bits(rng, additive, config.T)
            short = bits_right(rng, nets[name], range(1, 61), additive, config.T)
            metrics[f"{name}_5_30"] = float(short[4:30].mean())
            metrics[f"{name}_1_60"] = float(short.mean())
            long = bits_right(rng, nets[name], [1000], additive, config.T)
            metrics[f"{name}_1000"] = float(long[0])
    return Result(metrics, history, starts, nets)


def gradient_check(config: Config = Config(replicas=3, T=4.0)) -> float:
    """Worst relative error of the derivatives carried forward over 50 steps of fixed weights."""
    worst = 0.0
    for kind in ("one", "from-to"):
        rng = np.random.default_rng(config.seed)
        learner = Learner(kind, rng, config)
        weights = {"slow": learner.slow * 8}
        learner.slow = weights["slow"]
        events, targets = stream(rng, config.replicas, 50)
        grads = np.zeros_like(learner.slow)
        for event, target in zip(events, targets, strict=True):
            grads += learner.gradient(event, learner.w[learner.net, event] - target)
            learner.write(event)

        def loss(learner=learner, events=events, targets=targets):
            w, total = np.zeros((config.replicas, 3)), 0.0
            for event, target in zip(events, targets, strict=True):
                total += ((w[learner.net, event] - target) ** 2).sum() / 2
                w = bounded(w + learner.box(event), config.T)
            return float(total)

        worst = max(worst, worst_relative_error(loss, weights, {"slow": grads}))
    return worst


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
