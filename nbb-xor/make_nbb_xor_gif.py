"""Animate the learning of nbb-xor: one net, its weights, and which patterns are right."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nbb_xor as problem
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


PLACE = np.array(
    [[0, 2], [0, 1], [0, 0], [1, 2.2], [1, 1.2], [1, 0.2], [2, 1.6], [2, 0.6]]
)  # x1, x2, 1, h1, h2, h3, out 0, out 1
LABELS = ("x1", "x2", "1", "h1", "h2", "h3", "0", "1")
PAIRS = [(i, 3 + j, i, j) for i in range(3) for j in range(3)] + [
    (i, 6 + j, i, 4 + j) for i in range(6) for j in range(2)
]  # the two units that a connection joins, its row and its column in the weights
CASES = ["{:.0f} {:.0f}".format(*pattern) for pattern in problem.PATTERNS]
FRAMES = 44
BIN = 25  # presentations that share a column of the test panel


def active(w, pattern):
    """The eight units after the last tick of a presentation with frozen weights, 1.0 or 0.0."""
    subsets = (*problem.KINDS[problem.MAIN].subsets, problem.OUTPUTS)
    x = [0.0] * problem.SOURCES
    for _ in range(problem.TICKS):
        y = problem.compete(problem.contributions(w, x), subsets)
        x = [*problem.PATTERNS[pattern].tolist(), *y[: problem.HIDDEN]]
    return np.array([*x[:6], *y[problem.HIDDEN :]])


def draw_net(axis, w, pattern, right, count):
    """The net on a pattern: widths are weights, orange is on or carries to what is on."""
    on = active(w, pattern)
    axis.clear()
    peak = max(w[i, j] for *_, i, j in PAIRS)
    for a, b, i, j in PAIRS:
        lit = on[a] * on[b] > 0
        axis.plot(
            *PLACE[[a, b]].T,
            color=ORANGE if lit else GREY,
            linewidth=0.3 + 5 * w[i, j] / peak,
            alpha=0.9 if lit else 0.5,
            zorder=1,
        )
    fill = [ORANGE if unit else "white" for unit in on]
    axis.scatter(*PLACE.T, s=330, c=fill, edgecolors=BLACK, zorder=2)
    for (x, y), label in zip(PLACE, LABELS, strict=True):
        axis.text(x, y, label, ha="center", va="center", zorder=3)
    state = "right" if right[pattern] else "wrong"
    x1, x2 = CASES[pattern].split()
    axis.set_title(
        f"presentation {count + 1:,}: {x1} XOR {x2} = {problem.XOR[pattern]}, {state}",
        color=BLUE if right[pattern] else RED,
    )
    axis.set(xlim=(-0.25, 2.25), ylim=(-0.4, 2.6), yticks=[])
    axis.set_xticks([0, 1, 2], ["inputs", "hidden:\none is on", "output:\none is on"])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def draw_tests(axis, tests, count, streak):
    """Share of right tests so far, a column for every BIN presentations; tests: (steps, 4)."""
    axis.clear()
    parts = [tests[k : min(k + BIN, count + 1)].mean(0) for k in range(0, count + 1, BIN)]
    span = (0, len(parts) * BIN, 3.5, -0.5)
    style = {"cmap": "cividis_r", "aspect": "auto", "interpolation": "nearest"}
    axis.imshow(np.array(parts).T, vmin=0, vmax=1, extent=span, **style)
    axis.set(xlim=(0, len(tests)), yticks=range(4), yticklabels=CASES, ylabel="x1 x2")
    axis.set_title(
        f"share of right tests (dark: all)\nall four right {streak} times in a row", fontsize=9
    )


def draw_layers(axis, substance, count):
    """Weight substance of the three layers so far; substance: (steps, 3)."""
    axis.clear()
    names = ("input → hidden", "input → output", "hidden → output")
    for curve, label, colour in zip(substance.T, names, (SKY, RED, GREEN), strict=True):
        axis.plot(curve[: count + 1], color=colour, label=label)
    axis.set(xlim=(0, len(substance)), ylim=(0.2, 12), yscale="log", yticks=[0.3, 1, 3, 10])
    axis.set_yticklabels(["0.3", "1", "3", "10"])
    axis.minorticks_off()
    axis.set(xlabel="presentations", ylabel="weight substance")
    axis.legend(fontsize=7, loc="lower left")


def main():
    options = figure_options(__doc__, "nbb_xor.gif")
    lesson = list(problem.learn_one(np.random.default_rng(options.seed)))
    weights = np.array([w for _, w, _, _ in lesson])
    tests = np.array([right for _, _, right, _ in lesson])
    substance = np.stack(
        [part.sum((1, 2)) for part in (weights[:, :3, :4], weights[:, :3, 4:], weights[:, 3:, 4:])],
        axis=-1,
    )
    figure = plt.figure(figsize=(6.4, 3.6))
    grid = figure.add_gridspec(2, 2, width_ratios=[1.15, 1], height_ratios=[1, 1.2])
    net, ticker, layers = (
        figure.add_subplot(place) for place in (grid[:, 0], grid[0, 1], grid[1, 1])
    )

    def draw(frame):
        count, pattern = frame
        draw_net(net, weights[count], pattern, tests[count], count)
        draw_tests(ticker, tests, count, lesson[count][-1])
        draw_layers(layers, substance, count)

    shots = [*range(BIN - 1, len(lesson) - 1, BIN), len(lesson) - 1]
    places = [shots[k] for k in spaced(np.log(substance[shots, 1]), FRAMES)]
    last = places[-1]
    frames = [(count, k % 4) for k, count in enumerate(places)]
    write_gif(options.out, figure, draw, [*frames, *((last, k) for k in (1, 2, 3, 0))], seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
