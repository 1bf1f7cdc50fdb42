"""Animate how a memory cell comes to keep the first of a hundred symbols."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import noise_free_long_lag as problem

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
KEYS = {"x": BLUE, "y": RED}


def record_training(seed):
    """Snapshots (sequences, largest error, whether the cell is there, weights) of one net on 2a."""
    snapshots = []

    def watch(seen, total, task, worst, cell, weights):
        snapshots.append((seen, worst, cell, {name: w.copy() for name, w in weights.items()}))

    problem.run(problem.Config(seed=seed, part="2a", nets=1, controls=False), watch)
    return snapshots


def answers(weights, cell):
    """States (2, p) and last outputs x, y (2, 2), of the sequence with x and of that with y."""
    p = weights["C"].shape[1] - 1
    both = {name: np.repeat(w, 2, 0) for name, w in weights.items()}
    inputs = np.concatenate([[[p - 1], [p]], np.tile(np.arange(p - 1), (2, 1))], 1)
    s, o = problem.forward(both, inputs, 1, cell)
    return s, o[:, 0, p - 1 :]


def draw_states(axis, s, cell):
    """The cell's state along both sequences, with their symbols above."""
    steps = np.arange(1, s.shape[1] + 1)
    for row, (key, colour) in zip(s, KEYS.items(), strict=True):
        if cell:
            axis.plot(steps, row, color=colour, linewidth=2)
        top = 1.58 if key == "x" else 1.46
        axis.text(1, top, key, color=colour, fontsize=11, fontweight="bold", ha="center")
        axis.text(8, top, "a1  a2  a3  ...  the same 99 symbols  ...  a99", fontsize=8)
        axis.text(104, top, f"{key}?", color=colour, fontsize=11, fontweight="bold", ha="center")
    if not cell:
        axis.text(50, 0.6, "no cell yet: the direct weights\nlearn what follows what", ha="center")
    axis.set(xlim=(-2, 108), ylim=(-0.05, 1.7), xlabel="step", ylabel="state of the cell")
    axis.set_yticks([0, 0.5, 1])
    axis.set_title("two sequences, and what the cell keeps")


def draw_answers(axis, o):
    """What the outputs for x and y say after the last of the hundred inputs."""
    for place, (row, colour) in enumerate(zip(o, KEYS.values(), strict=True)):
        axis.bar([3 * place, 3 * place + 1], row, color=colour, width=0.8)
    for place in (0, 4):
        axis.plot([place - 0.5, place + 0.5], [1, 1], color=BLACK, linewidth=2)
    for place in (1, 3):
        axis.plot([place - 0.5, place + 0.5], [0, 0], color=BLACK, linewidth=2)
    axis.set_xticks([0, 1, 3, 4], ["x", "y", "x", "y"])
    axis.set(ylim=(-0.03, 1.08), yticks=(0, 0.5, 1), title="last outputs (bar: target)")


def draw_curve(axis, snapshots, frame):
    """Largest error of any output at any step up to a snapshot, and when the cell was added."""
    seen, worst, cell = (np.array([shot[k] for shot in snapshots]) for k in range(3))
    axis.plot(seen[: frame + 1] / 1000, worst[: frame + 1], color=BLACK, linewidth=1)
    axis.plot(seen[frame] / 1000, worst[frame], "o", color=BLACK, markersize=5)
    axis.axhline(problem.NEAR, color=GREY, linewidth=0.8, linestyle=":")
    if cell[frame]:
        axis.axvline(seen[cell.argmax()] / 1000, color=ORANGE)
        axis.text(seen[cell.argmax()] / 1000, 0.03, " cell added", color="#a06000", fontsize=8)
    axis.set(xlim=(0, 1.05 * seen[-1] / 1000), ylim=(0, 1.05), ylabel="largest |error|")
    axis.set(xlabel="sequences, thousands", title=f"{int(seen[frame]):,} sequences")


def main():
    options = figure_options(__doc__, "noise_free_long_lag.gif")
    snapshots = record_training(options.seed)
    figure = plt.figure(figsize=(6.4, 4.0))
    left, right = figure.subfigures(1, 2, width_ratios=(1.7, 1))
    states = left.subplots()
    bars, curve = right.subplots(2, 1)

    def draw(frame):
        _, _, cell, weights = snapshots[frame]
        for axis in (states, bars, curve):
            axis.clear()
        s, o = answers(weights, cell)
        draw_states(states, s, cell)
        draw_answers(bars, o)
        draw_curve(curve, snapshots, frame)

    worst = [worst for _, worst, _, _ in snapshots]
    write_gif(options.out, figure, draw, spaced(worst, FRAMES), seconds=0.2)


if __name__ == "__main__":
    figure_main(main)
