"""Animate how the LSTM learns the order: its cells on eight sequences, its answers, its error."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import temporal_order_4bit as problem

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

FRAMES, NET = 44, 0
ORDERS = ("XXX", "XXY", "XYX", "XYY", "YXX", "YXY", "YYX", "YYY")
CELLS = 6
ROWS = CELLS + 2.6  # height of a sequence in the picture of the cells: its cells, and a gap


def record_training(seed):
    """Snapshots (sequences, mean error, weights) of one net, until it stops."""
    snapshots = []

    def watch(seen, total, weights, **_):
        snapshots.append((seen, {name: w[[NET]] for name, w in weights.items()}))

    result = problem.run(problem.Config(seed=seed, controls=False), watch)
    points = zip(*result.history.values(), strict=True)
    errors = {seen: error for _, net, seen, error, _ in points if net == NET}
    return [(seen, errors[seen], weights) for seen, weights in snapshots if seen in errors]


def one_of_each():
    """Symbols (n, 1, 8): one sequence of each class, of 105 symbols."""
    rng = np.random.default_rng(3)
    while True:
        symbols, classes = problem.make_batch(rng, 1, 200)
        if len(symbols) == 105:
            chosen = [np.argmax(classes[0] == order) for order in range(len(ORDERS))]
            return symbols[:, :, chosen]


def draw_cells(axis, layer, symbols):
    """The states of the four cells over time, a strip a class, under the marks that it reads."""
    n = len(symbols)
    states = layer.S[1 : n + 1, 0].reshape(n, CELLS, -1)
    for item, order in enumerate(ORDERS):
        top = ROWS * item
        extent = (0.5, n + 0.5, top + CELLS, top)
        axis.imshow(
            states[:, :, item].T, cmap="RdBu", vmin=-3, vmax=3, aspect="auto", extent=extent
        )
        for place in np.flatnonzero(np.isin(symbols[:, 0, item], (problem.X, problem.X + 1))):
            mark = "XY"[symbols[place, 0, item] - problem.X]
            axis.text(place + 1, top - 0.1, mark, ha="center", va="bottom", fontsize=7)
            axis.plot([place + 1] * 2, [top, top + CELLS], color=BLACK, linewidth=0.8)
        axis.text(-2, top + CELLS / 2, order, ha="right", va="center")
    axis.set(xlim=(0, n + 1), ylim=(ROWS * len(ORDERS) - 1.2, -1.6), yticks=[], xlabel="step")
    axis.spines["left"].set_visible(False)
    axis.set_title("states of six cells (red -, blue +)")


def draw_answers(axis, layer, weights, test, classes):
    """Mean outputs on test sequences, by class."""
    o = problem.forward(layer, weights, test)[0][0]
    mean = np.array([o[:, classes[0] == order].mean(1) for order in range(len(ORDERS))])
    right = (np.abs(problem.off_target(o[None], classes)) < problem.TOLERANCE).all(1).mean()
    axis.imshow(mean, vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(ORDERS)), ORDERS, rotation=90, fontsize=7)
    axis.set_yticks(range(len(ORDERS)), ORDERS, fontsize=7)
    axis.set(xlabel="output for", ylabel="order shown", title=f"answers: {100 * right:.0f} % right")


def draw_curve(axis, snapshots, frame):
    """Mean training error up to a snapshot."""
    seen, errors = np.array([snapshot[:2] for snapshot in snapshots]).T
    axis.plot(seen[: frame + 1] / 1000, errors[: frame + 1], color=BLUE)
    axis.plot(seen[frame] / 1000, errors[frame], "o", color=BLUE, markersize=5)
    axis.axhline(problem.SMALL_ERROR, color=GREY, linewidth=0.8)
    axis.set(xlim=(0, 1.05 * seen[-1] / 1000), ylim=(0, 0.3))
    axis.set(xlabel="sequences, thousands", ylabel="mean |error|")
    axis.set_title(f"{int(seen[frame]):,} sequences")


def main():
    options = figure_options(__doc__, "temporal_order_4bit.gif")
    snapshots = record_training(options.seed)
    symbols = one_of_each()
    test, classes = problem.make_batch(np.random.default_rng(8), 1, 400)
    strips = problem.hidden_layer("lstm", 1, 8, "paper")
    tester = problem.hidden_layer("lstm", 1, 400, "paper")
    figure = plt.figure(figsize=(6.4, 5.2))
    left, right = figure.subfigures(1, 2, width_ratios=(1.35, 1))
    cells = left.subplots()
    answers, curve = right.subplots(2, 1, height_ratios=(1.4, 1))

    def draw(frame):
        for axis in (cells, answers, curve):
            axis.clear()
        weights = snapshots[frame][2]
        problem.forward(strips, weights, symbols)
        draw_cells(cells, strips, symbols)
        draw_answers(answers, tester, weights, test, classes)
        draw_curve(curve, snapshots, frame)

    errors = [error for _, error, _ in snapshots]
    write_gif(options.out, figure, draw, spaced(errors, FRAMES), seconds=0.2)


if __name__ == "__main__":
    figure_main(main)
