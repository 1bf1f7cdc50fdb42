"""Animate nbb-moving-light: one net before, while and after it learns which way the light moves."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nbb_moving_light as problem
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

CELLS = 5
SHOTS = 22  # frames while the net learns, each a whole presentation
SOURCES = ["1", "2", "3", "4", "5", "out 0", "out 1"]  # of the bars
ROWS = [0, 1, 2, 3, 4, 6, 7]
WAYS = ("left to right", "right to left")


def draw_net(axis, w, direction, tick, title):
    """The retina with the light's path up to a tick (counted from 1) and the outputs below."""
    axis.clear()
    path = problem.light_paths(CELLS)[direction]
    _, on = problem.watch_one(w.tolist(), direction)
    lit, out = path[tick - 1], on[tick - 1]
    place = [(i, 2.0) for i in range(CELLS)] + [(1.2, 0.3), (2.8, 0.3)]
    if tick > 1:  # what decided at this tick
        target = place[CELLS + out.argmax()]
        ends = np.array([place[path[tick - 2]], target])
        axis.plot(*ends.T, color=ORANGE, linewidth=2, zorder=1)
        if tick > 2:
            source = place[CELLS + on[tick - 2].argmax()]
            look = {"arrowstyle": "-|>", "color": BLUE, "linewidth": 2}
            if source == target:
                axis.add_patch(plt.Circle((target[0], -0.05), 0.3, fill=False, color=BLUE, lw=2))
            else:
                axis.annotate("", target, source, arrowprops={**look, "shrinkA": 10, "shrinkB": 10})
    for i in range(CELLS):
        seen = i in path[: tick - 1]
        fill = ORANGE if i == lit else "#f7dfae" if seen else "white"
        axis.scatter(*place[i], s=330, color=fill, edgecolors=BLACK, zorder=2)
        axis.text(*place[i], str(i + 1), ha="center", va="center", zorder=3)
    step = 1 - 2 * direction
    look = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1.5}
    axis.annotate("", (2 + 2 * step, 2.45), (2 - 2 * step, 2.45), arrowprops=look)
    for j in (0, 1):
        good = BLUE if j == direction else RED
        fill = good if out[j] else "white"
        axis.scatter(*place[CELLS + j], s=430, color=fill, edgecolors=BLACK, zorder=2)
        colour = "white" if out[j] else BLACK
        axis.text(*place[CELLS + j], str(j), color=colour, ha="center", va="center", zorder=3)
    right = out[direction] == 1
    if tick == CELLS:
        state = "right" if right else "wrong"
        axis.text(2, -0.95, state, color=BLUE if right else RED, ha="center", fontsize=12)
    axis.text(-0.5, 2.8, f"{WAYS[direction]}: output {direction} wanted", ha="left")
    axis.text(4.5, 2.8, f"tick {tick}", ha="right")
    axis.set_title(title)
    axis.set(xlim=(-0.6, 4.6), ylim=(-1.15, 3.1))
    axis.axis("off")


def draw_bars(axis, w, limit):
    """Which output each source prefers: left 0, right 1."""
    axis.clear()
    lead = leads(w)
    colours = [ORANGE] * CELLS + [BLUE] * 2
    axis.barh(range(len(lead)), -lead, color=colours)
    axis.axvline(0, color=BLACK, linewidth=0.8)
    axis.set(yticks=range(len(lead)), yticklabels=SOURCES, xlim=(-limit, limit))
    axis.invert_yaxis()
    axis.set_title("what each cell and the output\nbefore speak for, % of substance", fontsize=9)
    axis.set_xlabel("← output 0      output 1 →", fontsize=8)


def leads(w):
    """How far each cell and output prefers output 0, in % of the mean substance into an output."""
    return 100 * (w[ROWS, 0] - w[ROWS, 1]) / w.sum(0).mean()


def draw_tests(axis, tests, count, streak):
    """Tests of both directions so far: dark is right; tests: (steps, 2)."""
    axis.clear()
    span = (0, count + 1, 1.5, -0.5)
    style = {"cmap": "cividis_r", "aspect": "auto", "interpolation": "nearest"}
    axis.imshow(tests[: count + 1].T, vmin=0, vmax=1, extent=span, **style)
    axis.set(xlim=(0, len(tests)), yticks=[0, 1], yticklabels=problem.DIRECTIONS)
    axis.set_xlabel("presentations", fontsize=8)
    axis.set_title(f"tests (dark: right), both right\n{streak} times in a row", fontsize=9)


def main():
    options = figure_options(__doc__, "nbb_moving_light.gif")
    lesson = []
    for step in problem.learn_one(np.random.default_rng(options.seed)):
        lesson.append(step)
        if step[-1] == problem.WINDOWS[-1]:
            break
    weights = np.array([w for _, w, _, _ in lesson])
    tests = np.array([right for _, _, right, _ in lesson], float)
    last = len(lesson) - 1
    limit = 1.1 * max(np.abs(leads(w)).max() for w in weights)
    figure = plt.figure(figsize=(6.4, 3.6))
    grid = figure.add_gridspec(2, 2, width_ratios=[1.2, 1], height_ratios=[2.2, 1])
    net, bars, ticker = (
        figure.add_subplot(place) for place in (grid[:, 0], grid[0, 1], grid[1, 1])
    )

    def draw(frame):
        count, direction, tick, title = frame
        draw_net(net, weights[count], direction, tick, title)
        draw_bars(bars, weights[count], limit)
        draw_tests(ticker, tests, count, lesson[count][-1])

    ticks = [(way, tick) for way in (0, 1) for tick in range(1, CELLS + 1)]
    frames = [(0, *place, "after 1 presentation") for place in ticks]
    for k, count in enumerate(spaced([leads(w)[0] for w in weights], SHOTS)[1:-1]):
        frames.append((count, k % 2, CELLS, f"after {count + 1} presentations"))
    frames += [(last, *place, f"after {last + 1} presentations") for place in ticks]
    write_gif(options.out, figure, draw, frames, seconds=0.4)


if __name__ == "__main__":
    figure_main(main)
