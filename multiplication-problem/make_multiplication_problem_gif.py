"""Animate how the LSTM learns to multiply: its cells, its answers over all factors, its errors."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import multiplication_problem as problem

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

# idiom: figures
# The palette of Okabe and Ito, readable with colour-blindness.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK, GREY = (
    "#000000 #e69f00 #56b4e9 #009e73 #f0e442 #0072b2 #d55e00 #cc79a7 #999999".split()
)
plt.rcParams.update(
    {
        "figure.dpi": 100,
        "savefig.dpi": 120,
        "figure.constrained_layout.use": True,
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, RED, PINK, SKY, BLACK, GREY]),
        "legend.frameon": False,
        "image.cmap": "cividis",
    }
)


def figure_options(description, out):
    """Options of a figure script: seed, and out, which lies beside the script unless it is given.

    out is a folder, or a GIF where the default ends in .gif. What is wrong is one line, status 2.
    """
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.error = refuse
    text = "seed of the run that is shown (default 0)"
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=text)
    parser.add_argument("--out", default=str(here / out), metavar="PATH", help=f"default {out}")
    options = parser.parse_args()
    if not 0 <= options.seed < 2**32:
        refuse(f"argument --seed: must be 0 to 4,294,967,295, got {options.seed}")
    path, is_gif = Path(options.out), out.endswith(".gif")
    if not options.out or not path.parent.is_dir():
        refuse(f"argument --out: there is no folder for {options.out!r}")
    if is_gif and (path.suffix != ".gif" or path.is_dir()):
        refuse(f"argument --out: must be a file that ends in .gif, got {options.out!r}")
    if not is_gif and path.exists() and not path.is_dir():
        refuse(f"argument --out: must be a folder, got the file {options.out!r}")
    options.out = path
    return options


def recorded(variant=None):
    """The runs in the folder's results.json that ended well: of one variant, or all of them.

    Each is a dict with variant, seed, config and metrics. Raises OSError where there is none.
    """
    path = Path(__file__).resolve().with_name("results.json")
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        runs = [run for run in runs if run.get("metrics") and variant in (None, run["variant"])]
    except FileNotFoundError:
        raise OSError(f"{path} is missing; python3 -m catalog measure writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OSError(f"{path} is not a record of runs: {error!r}") from None
    if not runs:
        raise OSError(f"{path} holds no run" + (f" of variant {variant}" if variant else ""))
    return runs


def figure_main(draw):
    """Call draw(), the script's own main; a missing file is one line, exit status 2; Ctrl-C 130."""
    try:
        draw()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        refuse(str(error))


def refuse(complaint):
    """End the script with one line on standard error and exit status 2."""
    if sys.stderr:
        print(f"{Path(__file__).name}: {complaint}", file=sys.stderr)
    sys.exit(2)


# end idiom


# idiom: gif
def write_gif(path, figure, draw, frames, seconds=0.12, hold=3.0, colours=64):
    """Write an animated GIF: draw(frame) repaints the figure for every item of frames.

    The last frame stays `hold` seconds; it is also the poster. All frames share one palette, made
    from all of them, and each stores only the rectangle that changed, which keeps the file small.
    """
    pictures, seen, count = [], np.empty(0, np.uint32), np.empty(0)
    for frame in frames:
        draw(frame)
        figure.canvas.draw()
        pixels = np.array(figure.canvas.buffer_rgba()).view(np.uint32)[..., 0]
        found, which, times = np.unique(pixels, return_inverse=True, return_counts=True)
        which = which.reshape(pixels.shape).astype(np.min_scalar_type(len(found)))
        pictures.append((found, which))
        seen, place = np.unique(np.concatenate([seen, found]), return_inverse=True)
        count = np.bincount(place, np.concatenate([count, times]))
    palette, nearest = shared_palette(seen.view(np.uint8).reshape(-1, 4)[:, :3], count, colours)
    images = (Image.fromarray(nearest[np.searchsorted(seen, f)][which]) for f, which in pictures)
    durations = [round(1000 * seconds)] * (len(pictures) - 1) + [round(1000 * hold)]
    options = {"palette": palette.tobytes(), "loop": 0, "disposal": 1, "optimize": False}
    next(images).save(path, save_all=True, append_images=images, duration=durations, **options)


def shared_palette(seen, count, most):
    """A palette out of the colours seen, (at most most, 3), and which entry is nearest to each.

    The commonest colour comes first, then always the one that lies farthest from all entries so
    far; a commoner colour counts as a little farther, but a rare one that is like no other gets in.
    """
    rgb, weight = seen.astype(np.int32), count**0.25
    chosen, nearest, gap = [], np.zeros(len(rgb), np.uint8), np.full(len(rgb), np.inf)
    while len(chosen) < most and gap.any():
        chosen.append(np.argmax(gap * weight if chosen else count))
        away = ((rgb - rgb[chosen[-1]]) ** 2).sum(1)
        nearest[away < gap] = len(chosen) - 1
        gap = np.minimum(gap, away)
    return seen[chosen], nearest


def spaced(values, count):
    """Which snapshots to show: places of at most `count`, evenly spaced in what is learnt.

    values: one number a snapshot that tells how far learning has come, such as an error (of an
    error that spans factors, its logarithm); snapshots are taken at even intervals of training.
    Half of the way from the first snapshot to the last is the change of values, up or down, and
    half is the logarithm of training time, so that early steps and slow stretches show too. No
    single change takes more than the way of about one frame. First and last are always shown.
    """
    if len(values) <= count:
        return list(range(len(values)))
    change = np.abs(np.diff(np.asarray(values, float)))
    early = np.diff(np.log(np.arange(1, len(values) + 1)))
    way = change / (change.sum() or 1) + early / early.sum()
    way = np.concatenate([[0], np.cumsum(np.minimum(way, way.sum() / count))])
    places = np.searchsorted(way, np.linspace(0, way[-1], count))
    return np.unique(places).tolist()


# end idiom

FRAMES = 44
COUNT = 25  # factors along each side of the square
PAIRS = ((0.1, 0.1), (0.1, 0.9), (0.9, 0.1), (0.9, 0.9))
PAIR_COLOURS = (BLUE, SKY, ORANGE, RED)


def shown_sequence():
    """One sequence with two marks well apart, its target and the places of the marks."""
    x, target = problem.make_batch(np.random.default_rng(7), 1, 1000)
    for item in range(1000):
        marked = np.flatnonzero(x[:, 0, 1, item] == 1)
        if len(marked) == 2 and marked[1] - marked[0] > 25 and x[marked, 0, 0, item].min() > 0.6:
            return x[:, :, :, item : item + 1], target[0, item], marked
    raise RuntimeError("no such sequence")


def square(x, marked):
    """The sequence x with all pairs of COUNT factors at its marks, and the factors."""
    factors = np.linspace(0, 1, COUNT)
    x = np.repeat(x, COUNT * COUNT, 3)
    x[marked[0], 0, 0], x[marked[1], 0, 0] = np.repeat(factors, COUNT), np.tile(factors, COUNT)
    return x, factors


def record_training(seed):
    """Snapshots (sequences, wrong of 2000, weights) of one net until it stops."""
    snapshots = []

    def watch(seen, total, learning, wrong, weights):
        snapshots.append((seen, wrong, {name: w.copy() for name, w in weights.items()}))

    problem.run(problem.Config(seed=seed, nets=1, controls=False), watch)
    return snapshots


def states_of(net, x):
    """Cell states (time, blocks, cells, batch) of the net on x, and its outputs (batch,)."""
    layer = problem.hidden_layer("lstm", 1, x.shape[3], "paper")
    o, _ = problem.forward(layer, net, x)
    return layer.S[1 : len(x) + 1, 0].copy(), o[0]


def telling_cell(net, x):
    """Block and place of the cell whose output says most about the factors at the end."""
    s, _ = states_of(net, x)
    told = np.ptp(2 * problem.logistic(s[-1]) - 1, axis=-1)
    return np.unravel_index(told.argmax(), told.shape)


def draw_sequence(axis, x, target, marked, net):
    """Values and marks of the sequence, and what the net answers."""
    _, o = states_of(net, x)
    values = x[:, 0, 0, 0]
    axis.plot(values, ".", color=GREY, markersize=3)
    axis.vlines(marked, 0, values[marked], color=BLACK, linewidth=2)
    axis.plot(marked, values[marked], "o", color=BLACK, markersize=6)
    verdict = "right" if abs(o[0] - target) <= problem.TOLERANCE else "wrong"
    product = " · ".join(f"{values[m]:.2f}" for m in marked)
    axis.set(xlim=(-2, len(x) + 1), ylim=(-0.05, 1.05), ylabel="value")
    axis.set_title(f"{product} = {target:.2f}, output {o[0]:.2f}: {verdict}")


def draw_states(axis, x, marked, net, cell, limits):
    """The state of one cell when other factors stand at the marks."""
    s, o = states_of(net, x)
    block, place = cell
    for pair, colour in enumerate(PAIR_COLOURS):
        first, second = PAIRS[pair]
        label = f"{first:g} · {second:g}: output {o[pair]:.2f}"
        axis.plot(s[:, block, place, pair], color=colour, linewidth=1.5, label=label)
    for mark in marked:
        axis.axvline(mark, color=GREY, linewidth=0.8, zorder=0)
    axis.set(xlim=(-2, len(x) + 1), ylim=limits, xlabel="step", ylabel="state of one cell")
    axis.legend(loc="upper left", fontsize=7, frameon=True, ncols=2, columnspacing=1)


def draw_square(axis, net, x, factors):
    """The answers to all pairs of factors, with lines of equal answer, and of equal product."""
    layer = problem.hidden_layer("lstm", 1, COUNT * COUNT, "paper")
    answer = problem.forward(layer, net, x)[0].reshape(COUNT, COUNT)
    axis.imshow(answer, origin="lower", extent=(0, 1, 0, 1), vmin=0, vmax=1)
    lines = (0.1, 0.3, 0.5, 0.7)
    axis.contour(factors, factors, answer, lines, colors="white", linewidths=1.2)
    product = np.outer(factors, factors)
    axis.contour(factors, factors, product, lines, colors=RED, linewidths=1, linestyles="--")
    axis.set(xlabel="second factor", ylabel="first", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axis.set_title("answer (white: equal,\nred: equal products)", fontsize=8)


def draw_curve(axis, snapshots, frame):
    """Wrong of the latest 2000 up to a snapshot."""
    seen, wrong = np.array([snapshot[:2] for snapshot in snapshots]).T
    axis.plot(seen[: frame + 1] / 1000, wrong[: frame + 1], color=BLUE)
    axis.plot(seen[frame] / 1000, wrong[frame], "o", color=BLUE, markersize=5)
    for rule in problem.RULES:
        axis.axhline(rule, color=GREY, linewidth=0.8)
        axis.text(seen[-1] / 1000, rule * 1.1, f"{rule}", fontsize=8, ha="right")
    axis.set(yscale="log", xlim=(0, 1.05 * seen[-1] / 1000), ylim=(9, 3000))
    axis.set_yticks([10, 100, 1000], ["10", "100", "1000"])
    axis.minorticks_off()
    axis.set(xlabel="sequences, thousands", ylabel="wrong of 2000")
    axis.set_title(f"{int(seen[frame]):,} sequences")


def main():
    options = figure_options(__doc__, "multiplication_problem.gif")
    snapshots = record_training(options.seed)
    x, target, marked = shown_sequence()
    grid, factors = square(x, marked)
    pairs = np.repeat(x, len(PAIRS), 3)
    pairs[marked[0], 0, 0], pairs[marked[1], 0, 0] = np.transpose(PAIRS)
    cell = telling_cell(snapshots[-1][2], pairs)
    final = states_of(snapshots[-1][2], pairs)[0][:, cell[0], cell[1]]
    margin = np.ptp(final)
    limits = final.min() - 0.1 * margin, final.max() + 0.5 * margin
    figure = plt.figure(figsize=(6.4, 4.0))
    left, right = figure.subfigures(1, 2, width_ratios=(1.6, 1))
    sequence, states = left.subplots(2, 1, height_ratios=(1, 1.8))
    answers, curve = right.subplots(2, 1, height_ratios=(1.5, 1))

    def draw(frame):
        for axis in (sequence, states, answers, curve):
            axis.clear()
        net = snapshots[frame][2]
        draw_sequence(sequence, x, target, marked, net)
        draw_states(states, pairs, marked, net, cell, limits)
        draw_square(answers, net, grid, factors)
        draw_curve(curve, snapshots, frame)

    wrong = np.log([wrong + 1 for _, wrong, _ in snapshots])
    write_gif(options.out, figure, draw, spaced(wrong, FRAMES), seconds=0.2)


if __name__ == "__main__":
    figure_main(main)
