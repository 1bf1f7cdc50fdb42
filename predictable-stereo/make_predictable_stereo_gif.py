"""Animate two nets that find the depth of stereograms."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import predictable_stereo as problem
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

FRAMES, WIDTH = 44, 5


def record_learning(seed):
    """By condition: patterns, outputs of the first pair of nets, share of pairs that are right."""
    seen = {"separate": [], "shared": []}

    def watch(patterns, total, condition, exact, y, share):
        seen[condition].append((patterns, y[0, :, :, 0].copy(), exact))

    problem.run(problem.Config(seed=seed, task="stereo"), watch)
    return seen


def draw_stereogram(axis, rng):
    """A right and a left image of two strips, and what moved where."""
    shift = int(rng.choice((-1, 1)))
    bits, shifts = problem.stereo_views(WIDTH)
    fitting = np.flatnonzero(shifts[:, 0] == (shift > 0))
    for place, view in enumerate(rng.choice(fitting, 2, replace=False)):
        for side, pixels in enumerate((bits[view][:WIDTH], bits[view][WIDTH:])):
            x, y = 9 * place, -1.6 * side
            axis.imshow(pixels[None], cmap="Greys", extent=(x, x + 5, y, y + 1), vmin=0, vmax=1.4)
            axis.plot((x, x + 5, x + 5, x, x), (y, y, y + 1, y + 1, y), color=BLACK, linewidth=0.8)
        text = f"$T_{place + 1}$ sees this strip"
        axis.text(9 * place + 2.5, -2.1, text, ha="center", va="top", fontsize=9)
        for column in range(5):
            x = 9 * place + column + 0.5
            if 0 <= column + shift < 5:
                axis.plot((x, x + shift), (0, -0.6), color=RED, linewidth=0.8)
    axis.text(-0.4, 0.5, "right image", ha="right", va="center", fontsize=9)
    axis.text(-0.4, -1.1, "left image", ha="right", va="center", fontsize=9)
    axis.set(xlim=(-5, 14.5), ylim=(-3.2, 1.5), xticks=[], yticks=[], aspect="equal")
    axis.set_title(f"a stereogram; hidden: both strips moved by {shift:+d}", fontsize=10)
    for spine in axis.spines.values():
        spine.set_visible(False)


def draw_outputs(axis, y, shifts):
    """What both nets say of all 60 views, one row a shift."""
    for net, colour in enumerate((BLUE, GREEN)):
        for row, sign in enumerate((False, True)):
            values = y[net][shifts == sign]
            height = row + 0.18 * (2 * net - 1) + 0.12 * (np.arange(30) / 29 - 0.5)
            label = f"$T_{net + 1}$" if row == 0 else None
            axis.plot(values, height, ".", color=colour, markersize=5, label=label)
    axis.axvline(0.5, color=GREY, linewidth=0.8)
    axis.set(xlim=(-0.03, 1.03), ylim=(-0.5, 1.9), xlabel="output for each of the 60 views")
    axis.set_yticks((0, 1), ("shift −1", "shift +1"))
    axis.legend(loc="upper center", fontsize=8, ncols=2)


def draw_shares(axis, seen, now):
    """Share of the ten pairs that are right on every view, so far."""
    for name, colour in (("separate", BLACK), ("shared", ORANGE)):
        points = np.array([(patterns, 10 * share) for patterns, _, share in seen[name]])
        points = points[points[:, 0] <= now]
        axis.plot(points[:, 0] / 1000, points[:, 1], color=colour, label=f"{name} weights")
    axis.set(xlim=(0, seen["separate"][-1][0] / 1000), ylim=(-0.3, 14))
    axis.set(xlabel="patterns [thousands]", title="of ten pairs, right on all views")
    axis.set_yticks((0, 5, 10))
    axis.legend(loc="upper left", fontsize=8)


def way_of(y, share, shifts):
    """How far learning has come: how far apart one pair's outputs lie, and how many are right."""
    return np.abs(y[:, shifts].mean(1) - y[:, ~shifts].mean(1)).sum() + 2 * share


def main():
    options = figure_options(__doc__, "predictable_stereo.gif")
    seen = record_learning(options.seed)
    shifts = problem.stereo_views(WIDTH)[1][:, 0]
    figure = plt.figure(figsize=(6.4, 4.2))
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1.4))
    stereogram, (outputs, shares) = top.subplots(), bottom.subplots(1, 2)
    way = [way_of(y, share, shifts) for _, y, share in seen["separate"]]
    frames = spaced(np.array(way), FRAMES)
    strips = {frame: (options.seed, k // 6) for k, frame in enumerate(frames)}

    def draw(frame):
        for axis in (stereogram, outputs, shares):
            axis.clear()
        patterns, y, _ = seen["separate"][frame]
        draw_stereogram(stereogram, np.random.default_rng(strips[frame]))
        draw_outputs(outputs, y, shifts)
        outputs.set_title(f"one pair of nets, {patterns:,} patterns")
        draw_shares(shares, seen, patterns)

    write_gif(options.out, figure, draw, frames, seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
