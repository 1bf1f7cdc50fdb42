"""Animate how the LSTM learns to add: its cells on one sequence, its outputs, its error."""

import argparse
import json
import sys
from pathlib import Path

import adding_problem as problem
import matplotlib

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

FRAMES = 48
GATE_FLOOR, GATE_HEIGHT = -3.6, 1.2  # where the input gates are drawn: 0 and 1 of their scale


def shown_sequence():
    """One sequence with two marks well apart, its target and the places of the marks."""
    x, target = problem.make_batch(np.random.default_rng(7), 100, 1, 1000)
    for item in range(1000):
        marked = np.flatnonzero(x[:, 0, 1, item] == 1)
        if len(marked) == 2 and marked[1] - marked[0] > 25 and x[marked, 0, 0, item].min() > 0.4:
            return x[:, :, :, item : item + 1], target[0, item], marked
    raise RuntimeError("no such sequence")


def record_training(seed):
    """Snapshots (sequences, mean error, weights) of a run without controls; its end is the last."""
    snapshots = []

    def watch(seen, total, error, right, kind, weights):
        snapshots.append((seen, error, {name: w.copy() for name, w in weights.items()}))

    result = problem.run(problem.Config(seed=seed, controls=False), watch)
    snapshots.append((int(result.metrics["sequences"]), snapshots[-1][1], result.nets["lstm"]))
    return snapshots


def draw_sequence(axis, x, target, marked, net):
    """Values and marks, cell states, and at the bottom how far the input gates are open."""
    o, (_, (U, Z, _)) = problem.forward("lstm", net, x)
    y_in = U[1:, :, problem.RECURRENT][:, 0, problem.IN, 0] / 2
    s = np.cumsum(2 * y_in[:, :, None] * problem.by_block(Z)[:, 0, :, :, 0], 0)
    values, steps = x[:, 0, 0, 0], np.arange(len(x))
    axis.plot(values, ".", color=GREY, markersize=3)
    axis.vlines(marked, 0, values[marked], color=RED, linewidth=2)
    axis.plot(marked, values[marked], "o", color=RED, markersize=6, label="marked values")
    for block, colour in enumerate((BLUE, ORANGE)):
        for cell, style in enumerate(("-", "--")):
            label = f"cells, block {block + 1}" if cell == 0 else None
            axis.plot(s[:, block, cell], style, color=colour, linewidth=1.5, label=label)
        heights = GATE_FLOOR + GATE_HEIGHT * y_in[:, block]
        axis.fill_between(steps, GATE_FLOOR, heights, color=colour, alpha=0.8, linewidth=0)
    axis.axhline(GATE_FLOOR, color=GREY, linewidth=0.8)
    axis.text(len(x), GATE_FLOOR + 0.1, "input gates (spike: open)", fontsize=8, ha="right")
    verdict = "right" if abs(o[0, 0] - target) < problem.TOLERANCE else "wrong"
    axis.set(xlim=(-2, len(x) + 1), ylim=(GATE_FLOOR - 0.1, 2.2), xlabel="step")
    axis.set(ylabel="value (dots), cell state s (lines)", yticks=range(-2, 3))
    axis.set_title(f"target {target:.2f}, output {o[0, 0]:.2f}: {verdict}")
    axis.legend(loc="upper right", fontsize=7, frameon=True, ncols=3, columnspacing=1)


def draw_curve(axis, snapshots, frame):
    """Mean training error up to a snapshot, both axes logarithmic."""
    seen, errors = np.array([snapshot[:2] for snapshot in snapshots]).T
    axis.plot(seen[: frame + 1], errors[: frame + 1], color=BLUE)
    axis.plot(seen[frame], errors[frame], "o", color=BLUE, markersize=5)
    axis.axhline(problem.SMALL_ERROR, color=GREY, linewidth=0.8)
    axis.set(xscale="log", yscale="log", xlim=(200, 1.3 * seen[-1]), ylim=(0.003, 0.3))
    axis.set_xticks([1e3, 1e4, 1e5], ["1", "10", "100"])
    axis.set_yticks([0.003, 0.01, 0.03, 0.1, 0.3], ["0.003", "0.01", "0.03", "0.1", "0.3"])
    axis.minorticks_off()
    axis.set(xlabel="sequences, thousands", ylabel="mean |error|")
    axis.set_title(f"{int(seen[frame]):,} sequences")


def draw_test(axis, net, x, wanted):
    """Output against target on test sequences; the band is what counts as right."""
    o = problem.forward("lstm", net, x)[0][0]
    axis.fill_between([0, 1], [-0.04, 0.96], [0.04, 1.04], color=YELLOW, alpha=0.5, linewidth=0)
    axis.scatter(wanted, o, s=4, color=BLUE, linewidths=0)
    right = np.mean(np.abs(o - wanted) < problem.TOLERANCE)
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="target", ylabel="output", aspect="equal")
    axis.set_title(f"test: {100 * right:.0f} % right")


def main():
    options = figure_options(__doc__, "adding_problem.gif")
    snapshots = record_training(options.seed)
    x, target, marked = shown_sequence()
    test, wanted = problem.make_batch(np.random.default_rng(8), 100, 1, 300)
    figure = plt.figure(figsize=(6.4, 4.0))
    left, right = figure.subfigures(1, 2, width_ratios=(1.6, 1))
    sequence = left.subplots()
    scatter, curve = right.subplots(2, 1, height_ratios=(1.5, 1))

    def draw(frame):
        for axis in (sequence, scatter, curve):
            axis.clear()
        draw_sequence(sequence, x, target, marked, snapshots[frame][2])
        draw_test(scatter, snapshots[frame][2], test, wanted[0])
        draw_curve(curve, snapshots, frame)

    errors = np.log([error for _, error, _ in snapshots])
    write_gif(options.out, figure, draw, spaced(errors, FRAMES), seconds=0.2)


if __name__ == "__main__":
    figure_main(main)
