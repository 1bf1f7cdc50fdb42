"""Evolino: evolve the inside of an LSTM, compute its output weights by pseudo-inverse.

Tasks     Sines: y(t) = sum_{k=1..K} sin(w_k t), K = 2, 3, 4, 5. Steps 0-99 warm-up, 100-399 to fit
          the output weights, 400-699 to test. Mackey-Glass: a chaotic series, to be predicted 84
          steps ahead from 60 starts that nothing was fitted or selected on.
Net       n LSTM cells, driven only by the net's own last output y and a constant 1. Each cell j
          has four weight vectors (cell input z, gates i, f, o) over v = [y(t-1), h(t-1), 1]:
            z = tanh(w_z v)    i, f, o = sigmoid(w_i v), sigmoid(w_f v), sigmoid(w_o v)
            s(t) = f s(t-1) + i z              h(t) = o tanh(s(t))              y(t) = W h(t)
          "Teacher-forced": the true y(t-1) is in v. "Closed loop": the net's own is.
Phase 1   Teacher-forced over the part to fit; Phi holds h(t) in its rows, D the series:
            W = pinv(Phi) D
Phase 2   Closed loop over the same part; the fitness of the net is its error there.
Evolution The four vectors of cell j are its chromosome. The ten best nets ("teams") are kept. A
          child takes each cell from one of two teams, or is a copy; some of its cells get
          Cauchy-distributed noise whose size is drawn log-uniformly. The best ten of ten and forty
          live on.
Controls  As many random LSTMs, best by the same fitness; echo state nets (100 tanh units) with the
          same output weights; a linear recursion of y on its last 2K values.

Arrays have the nets first and the series side by side last: weights (nets, cells, 4, cells + 2),
states (nets, cells, series), predictions (time, nets, series).

    python3 evolino_sines_mackey_glass.py --quick
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


@dataclass(frozen=True)
class Config:
    """One run on one kind of series; the defaults give the headline."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    task: str = option("sines", "the series", among=("sines", "mackey-glass"))
    sines: int = option(5, "most sines; every number from 2 on is a task", 2, 5)
    evaluations: int = option(1000, "nets tried in a task, by each of two searches", 1, 100_000)
    feedback: float = option(1e-5, "initial weights from the fed-back output, +-", 1e-12, 1.0)

    def __post_init__(self):
        check_options(self)
        if self.task == "mackey-glass" and self.sines != 5:
            raise ValueError("sines has no effect on mackey-glass and must stay 5 there")


QUICK = {"sines": 2, "evaluations": 400}


@dataclass
class Result:
    """history: evaluations and, by task, the best fitness so far; nets: by task the evolved weights
    (cells, 4, cells + 2) and output weights (cells,); tests: by task and learner the predictions in
    the test, (time, starts); truth: by task what was to be predicted."""

    metrics: dict
    history: dict
    nets: dict
    tests: dict
    truth: dict


# --- the tasks -----------------------------------------------------------------------------------

FREQUENCIES = np.array([0.2, 0.311, 0.42, 0.51, 0.74])  # radians a step
CELLS = {2: 10, 3: 15, 4: 20, 5: 20}
WARM_UP = 100  # steps before the first fitted one
AHEAD = 84


@dataclass(frozen=True)
class Task:
    """A series, where to fit, select and test on it, and the ranges of initial weights.

    Times count from each segment's first step. Ranges: recurrent weights of the cell input and of
    the gates, biases of both, and the gates' feedback weights in units of the cell input's.
    """

    name: str
    cells: int
    series: np.ndarray
    segments: np.ndarray  # first steps of the parts to fit, which run side by side
    fitted: int  # steps to fit in each, after WARM_UP
    loops: tuple  # times at which closed loops begin
    horizon: int  # their length
    scored: int  # fitness counts predictions from this one on
    test_segments: np.ndarray
    test_warm_up: int
    ranges: tuple

    def windows(self, segments, first):
        """What closed loops that begin `first` steps into segments must predict: (time, loops)."""
        return self.series[first + segments + np.arange(self.horizon)[:, None]]


def sines(count):
    """The sum of the first count sines over 700 steps."""
    t = np.arange(700)
    series = np.sin(FREQUENCIES[:count, None] * t).sum(0)
    one = np.array([0])
    ranges = (0.6, 0.6, 0.6, 1.5, 1.0)
    return Task(f"sines{count}", CELLS[count], series, one, 300, (100,), 300, 0, one, 400, ranges)


def mackey_glass_series(length, step=0.1, delay=17, dropped=1000):
    """dx/dt = 0.2 x(t-17) / (1 + x(t-17)^10) - 0.1 x(t), sampled every 1.0: (length,).

    Runge-Kutta of order four; x = 1.2 before t = 0. The delayed term is known in advance on the
    grid, and half-way between two of its points it is their mean.
    """
    lag, every = round(delay / step), round(1 / step)
    x, produced = 1.2, [0.2 * 1.2 / (1 + 1.2**10)] * (lag + 1)
    samples = []
    for k in range((dropped + length) * every):
        if k % every == 0:
            samples.append(x)
        left, right = produced[k], produced[k + 1]
        middle = (left + right) / 2
        k1 = left - 0.1 * x
        k2 = middle - 0.1 * (x + step / 2 * k1)
        k3 = middle - 0.1 * (x + step / 2 * k2)
        k4 = right - 0.1 * (x + step * k3)
        x += step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        produced.append(0.2 * x / (1 + x**10))
    return np.array(samples[dropped:])


def mackey_glass():
    """The chaotic series, its first half of mean 0 and variance 1: ten segments to fit, sixty
    starts to test.

    Selection starts lie 40 steps apart, test starts 37, since the series nearly repeats every 50.
    """
    series = mackey_glass_series(6000)
    series = (series - series[:3000].mean()) / series[:3000].std()
    segments, tests = 200 * np.arange(10), 3000 + 37 * np.arange(60)
    loops = tuple(range(WARM_UP, WARM_UP + 200, 40))
    ranges = (0.4, 0.25, 0.2, 2.0, 2 / 3)
    name = "mackey_glass"
    return Task(name, 30, series, segments, 200, loops, AHEAD, 44, tests, 500, ranges)


# --- the idea in plain form ----------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def plain_step(weights, y, h, s):
    """One net, one step, a cell at a time: the new h and s. weights: (cells, 4, cells + 2)."""
    v = [y, *h, 1.0]
    new_h, new_s = [], []
    for j, chromosome in enumerate(weights):
        z, i, f, o = (sum(w * x for w, x in zip(row, v, strict=True)) for row in chromosome)
        new_s.append(sigmoid(f) * s[j] + sigmoid(i) * math.tanh(z))
        new_h.append(sigmoid(o) * math.tanh(new_s[j]))
    return new_h, new_s


def plain_fitness(weights, series, warm_up, fitted):
    """Phases 1 and 2 for one net and one series: the error of the closed loop, and W."""
    h = s = [0.0] * len(weights)
    rows = []
    for t in range(1, warm_up + fitted):
        if t == warm_up:
            begin = h, s
        h, s = plain_step(weights, series[t - 1], h, s)
        rows.append(h)
    wanted = series[warm_up : warm_up + fitted]
    W = np.linalg.pinv(np.array(rows[warm_up - 1 :]), 1e-12) @ wanted
    (h, s), y, predicted = begin, series[warm_up - 1], []
    for _ in range(fitted):
        h, s = plain_step(weights, y, h, s)
        y = float(W @ h)
        predicted.append(y)
    return nrmse(np.array(predicted), wanted), W


# --- many nets at once ---------------------------------------------------------------------------


class Lstms:
    """Nets of LSTM cells. Weights: (nets, cells, 4, cells + 2)."""

    def __init__(self, weights):
        nets, self.cells, _, width = weights.shape
        self.matrix = np.swapaxes(weights, 1, 2).reshape(nets, 4 * self.cells, width)
        self.matrix[:, self.cells :] /= 2  # sigmoid(x) = (1 + tanh(x / 2)) / 2: one tanh for all

    def start(self, count):
        """h and s before the first step: (nets, cells, count)."""
        empty = np.zeros((len(self.matrix), self.cells, count))
        return empty, empty

    def step(self, y, state):
        """The next (h, s); y: (nets, series), or (series,) where all nets see the same."""
        h, s = state
        nets, n, count = h.shape
        v = np.empty((nets, n + 2, count))
        v[:, 0], v[:, 1:-1], v[:, -1] = y, h, 1.0
        a = np.tanh(self.matrix @ v)
        gates = 0.5 + 0.5 * a[:, n:]
        s = gates[:, n : 2 * n] * s + gates[:, :n] * a[:, :n]
        return gates[:, 2 * n :] * np.tanh(s), s


class EchoStates:
    """Random tanh nets that are not evolved: h(t) = tanh(A h(t-1) + b y(t-1))."""

    UNITS, DENSITY, RADII, DRAWS = 100, 0.1, (0.8, 0.95, 1.1), 10

    def __init__(self, rng, feedback):
        """DRAWS nets for each spectral radius; b uniform within +-feedback."""
        n, nets = self.UNITS, len(self.RADII) * self.DRAWS
        links = rng.uniform(-1, 1, (nets, n, n)) * (rng.random((nets, n, n)) < self.DENSITY)
        radius = np.abs(np.linalg.eigvals(links)).max(-1)
        self.inner = links * (np.repeat(self.RADII, self.DRAWS) / radius)[:, None, None]
        self.inward = rng.uniform(-feedback, feedback, (nets, n, 1))

    def start(self, count):
        return (np.zeros((len(self.inner), self.UNITS, count)),)

    def step(self, y, state):
        drive = self.inward * (y[:, None] if y.ndim == 2 else y)
        return (np.tanh(self.inner @ state[0] + drive),)


def teacher_forced(nets, task, segments, steps, keep):
    """h at the times 1 to steps - 1, (nets, cells, series) each, and the states just before the
    times in keep."""
    state = nets.start(len(segments))
    outputs, kept = [], {}
    for t in range(1, steps + 1):
        if t in keep:
            kept[t] = state
        if t < steps:
            state = nets.step(task.series[segments + t - 1], state)
            outputs.append(state[0])
    return outputs, kept


def closed_loop(nets, W, y, state, horizon):
    """Predictions of nets that hear only themselves: (horizon, nets, series)."""
    predicted = []
    for _ in range(horizon):
        state = nets.step(y, state)
        y = (W[:, None] @ state[0])[:, 0]
        predicted.append(y)
    return np.array(predicted)


def output_weights(outputs, wanted, cutoff=1e-12):
    """W = pinv(Phi) D for every net. outputs: (time, nets, cells, series), wanted: (time, series).

    QR first, then the singular values of the small R: that keeps the precision which the normal
    equations would square away. Values below cutoff times the largest are dropped.
    """
    time, nets, n, count = outputs.shape
    phi = outputs.transpose(1, 0, 3, 2).reshape(nets, time * count, n)
    d = np.broadcast_to(wanted.reshape(1, -1, 1), (nets, time * count, 1))
    r = np.linalg.qr(np.concatenate([phi, d], axis=2), mode="r")
    u, sizes, vt = np.linalg.svd(r[:, :n, :n])
    projected = (np.swapaxes(u, 1, 2) @ r[:, :n, n:])[..., 0]
    large = sizes > cutoff * sizes[:, :1]
    scaled = np.where(large, projected / np.where(large, sizes, 1), 0)
    return (scaled[:, None] @ vt)[:, 0]


def nrmse(predicted, wanted, axes=None):
    """Root of the mean squared error over axes, divided by the standard deviation of wanted."""
    return np.sqrt(np.mean((predicted - wanted) ** 2, axis=axes)) / wanted.std()


def evaluate(nets, task):
    """Phases 1 and 2: fitness (nets,), lower is better, and output weights (nets, cells)."""
    steps = WARM_UP + task.fitted
    outputs, kept = teacher_forced(nets, task, task.segments, steps, task.loops)
    wanted = task.series[task.segments + np.arange(WARM_UP, steps)[:, None]]
    W = output_weights(np.array(outputs[WARM_UP - 1 :]), wanted)
    state = tuple(np.concatenate(parts, axis=-1) for parts in zip(*kept.values(), strict=True))
    y = np.concatenate([task.series[task.segments + first - 1] for first in kept])
    truth = np.concatenate([task.windows(task.segments, first) for first in kept], axis=1)
    predicted = closed_loop(nets, W, y, state, task.horizon)[task.scored :]
    return nrmse(predicted, truth[task.scored :, None], axes=(0, 2)), W


def test(nets, W, task):
    """Predictions after the test's warm-up: (time, nets, starts)."""
    first = task.test_warm_up
    _, kept = teacher_forced(nets, task, task.test_segments, first, (first,))
    y = task.series[task.test_segments + first - 1]
    return closed_loop(nets, W, y, kept[first], task.horizon)


# --- evolution -----------------------------------------------------------------------------------

TEAMS, CHILDREN, POOL = 10, 40, 200


def initial_range(task, feedback):
    """Half-widths of the uniform initial weights of a cell: (4, cells + 2)."""
    cell, gate, cell_bias, gate_bias, gate_feedback = task.ranges
    table = np.full((4, task.cells + 2), gate)
    table[0] = cell
    table[:, 0] = feedback * np.array([1, gate_feedback, gate_feedback, gate_feedback])
    table[:, -1] = [cell_bias, gate_bias, gate_bias, gate_bias]
    return table


def random_teams(rng, width, count):
    """Random nets: (count, cells, 4, cells + 2)."""
    return rng.uniform(-width, width, (count, width.shape[1] - 2, *width.shape))


def breed(rng, teams, width, count):
    """Children of teams: recombined cell by cell or copied, then changed by Cauchy noise."""
    cells, some = teams.shape[1], np.arange(count)[:, None]
    parents = rng.integers(len(teams), size=(count, 2))
    second = (rng.random((count, cells)) < 0.5) & (rng.random((count, 1)) < 0.5)
    children = teams[parents[some, second.astype(int)], np.arange(cells)]
    changed = np.floor((cells + 1) ** rng.random((count, 1)))  # 1 to cells, log-uniform
    changed = rng.random((count, cells)).argsort(1) < changed
    genes = rng.random(children.shape) < rng.choice([0.05, 0.3, 1.0], (count, 1, 1, 1))
    size = 10 ** rng.uniform(-3.5, -0.5, (count, 1, 1, 1)) * width
    return children + changed[..., None, None] * genes * size * rng.standard_cauchy(children.shape)


def search(rng, task, config, evolve, note=None):
    """The best net of config.evaluations: weights, output weights, and its fitness over time.

    evolve=False draws all of them at random. note(count, best weights and output weights, fitness)
    is called after every batch.
    """
    width = initial_range(task, config.feedback)
    shape = (0, task.cells, *width.shape)
    teams, outs, scores = np.empty(shape), np.empty((0, task.cells)), np.empty(0)
    counts, curve = [], []
    while not counts or counts[-1] < config.evaluations:
        done = counts[-1] if counts else 0
        size = min(CHILDREN, config.evaluations - done)
        fresh = done < POOL or not evolve
        new = random_teams(rng, width, size) if fresh else breed(rng, teams, width, size)
        fitness, W = evaluate(Lstms(new), task)
        kept = np.argsort(np.concatenate([scores, fitness]), kind="stable")[:TEAMS]
        teams = np.concatenate([teams, new])[kept]
        outs, scores = np.concatenate([outs, W])[kept], np.concatenate([scores, fitness])[kept]
        counts.append(done + size)
        curve.append(float(scores[0]))
        if note:
            note(counts[-1], teams[0], outs[0], curve[-1])
    return teams[0], outs[0], counts, curve


# --- controls ------------------------------------------------------------------------------------


def echo_state_test(rng, task, feedback):
    """Test predictions of the best of all echo state nets, chosen by the fitness of Evolino."""
    nets = EchoStates(rng, feedback)
    fitness, W = evaluate(nets, task)
    return test(nets, W, task)[:, fitness.argmin()]


def linear_recursion_test(task, order):
    """Test predictions of y(t) = a_1 y(t-1) + ... + a_order y(t-order), fitted by least squares."""
    end = WARM_UP + task.fitted
    past = np.array([task.series[t - order : t] for t in range(WARM_UP, end)])
    a = np.linalg.lstsq(past, task.series[WARM_UP:end], rcond=None)[0]
    values = list(task.series[end - order : end])
    for _ in range(task.horizon):
        values.append(float(a @ values[-order:]))
    return np.array(values[order:])[:, None]


# --- one run -------------------------------------------------------------------------------------


def run(config: Config = Config(), watch=None) -> Result:
    """Evolve a net for every task of config and test it beside the controls."""
    on_sines = config.task == "sines"
    tasks = [sines(k) for k in range(2, config.sines + 1)] if on_sines else [mackey_glass()]
    result = Result({}, {}, {}, {}, {})
    for number, task in enumerate(tasks):
        rngs = np.random.default_rng([config.seed, number]).spawn(4)

        def note(count, weights, W, fitness, task=task, number=number):
            if watch:
                step, total = count + number * config.evaluations, len(tasks) * config.evaluations
                watch(step, total, fitness=fitness, task=task.name, weights=weights, W=W)

        weights, W, counts, curve = search(rngs[0], task, config, True, note)
        luck, luck_W, _, _ = search(rngs[1], task, config, False)
        result.history |= {"evaluations": counts, task.name: curve}
        result.nets[task.name] = weights, W
        result.truth[task.name] = truth = task.windows(task.test_segments, task.test_warm_up)
        tests = {
            "evolved": test(Lstms(weights[None]), W[None], task)[:, 0],
            "random": test(Lstms(luck[None]), luck_W[None], task)[:, 0],
        }
        if on_sines:
            tests["echo"] = echo_state_test(rngs[2], task, 1.0)
            tests["tiny_echo"] = echo_state_test(rngs[3], task, 1e-5)
            tests["linear"] = linear_recursion_test(task, 2 * (number + 2))
        result.tests[task.name] = tests
        result.metrics |= measure(task, tests, truth, curve[-1])
    return result


def measure(task, tests, truth, fitness):
    """Metrics of one task: errors of all learners in the test, and their ratios to evolution's."""
    metrics = {f"{task.name}_fitness": fitness}
    if task.name == "mackey_glass":
        error = {name: np.sqrt(np.mean((x - truth) ** 2, axis=1)) for name, x in tests.items()}
        last = {name: float(x[-1] / task.series[3000:].std()) for name, x in error.items()}
        metrics["mackey_glass_nrmse84"] = last["evolved"]
        metrics["mackey_glass_random_nrmse84"] = last["random"]
        metrics["mackey_glass_gain"] = last["random"] / last["evolved"]
        metrics["mackey_glass_first84_rmse"] = float(np.sqrt(np.mean(error["evolved"] ** 2)))
        return metrics
    error = {name: float(nrmse(x, truth)) for name, x in tests.items()}
    metrics[f"{task.name}_nrmse"] = error.pop("evolved")
    metrics |= {f"{task.name}_{name}_nrmse": value for name, value in error.items()}
    metrics[f"{task.name}_echo_ratio"] = error["echo"] / metrics[f"{task.name}_nrmse"]
    metrics[f"{task.name}_gain"] = error["random"] / metrics[f"{task.name}_nrmse"]
    return metrics


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
