"""Animate pipe-symbolic-regression: the best program's curve, and the prototype tree making up its
mind."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pipe_symbolic_regression as problem
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


FRAMES, LEVELS = 45, 5
KINDS = {"+ - *": SKY, "%": GREEN, "sin cos": ORANGE, "exp rlog": PINK, "x": YELLOW, "R": "#cccccc"}
COLOURS = {name: colour for names, colour in KINDS.items() for name in names.split()}


def upper_tree(tree):
    """[x, level, x of the parent, instruction, probability] of the upper nodes, each with its
    likeliest instruction; and the number of leaves."""
    nodes, leaves = [], 0

    def place(node, level):
        nonlocal leaves
        symbol = int(np.argmax(tree.p[node.row]))
        below = node.children[: problem.ARITY[symbol]] if level + 1 < LEVELS else []
        first = len(nodes)
        places = [place(child, level + 1) for child in below]
        if not below:
            places, leaves = [leaves], leaves + 1
        x = sum(places) / len(places)
        for entry in nodes[first:]:
            if entry[1] == level + 1:
                entry[2] = x
        nodes.append([x, level, None, problem.NAMES[symbol], tree.p[node.row, symbol]])
        return x

    place(tree.root, 0)
    return nodes, leaves


def draw_fit(axis, fine, values):
    """The best program's curve on the target."""
    axis.clear()
    axis.plot(fine, problem.curve(fine), color=BLACK, linewidth=4, alpha=0.25, label="target")
    axis.plot(fine, np.clip(values, -5, 5), color=RED, linewidth=1.3, label="best program")
    axis.set(xlim=(0, 10), ylim=(-1, 1.5), xlabel="x", ylabel="f(x)")
    axis.legend(loc="upper center", ncols=2, fontsize=8)


def draw_tree(axis, nodes, leaves):
    """The top of the prototype tree: colour is the likeliest instruction, size its probability."""
    axis.clear()
    slack = max(0, 8 - leaves) / 2
    for x, level, parent, name, probability in nodes:
        if parent is not None:
            axis.plot([parent, x], [level - 1, level], color=GREY, linewidth=0.8, zorder=1)
        size = 30 + 150 * probability
        axis.scatter(x, level, size, COLOURS[name], edgecolor=BLACK, linewidth=0.4, zorder=2)
        axis.text(x, level, name, ha="center", va="center", fontsize=7, zorder=3)
    axis.set(xlim=(-0.7 - slack, leaves - 0.3 + slack), ylim=(LEVELS - 0.4, -0.6))
    axis.set_title("top of the prototype tree\n(size: how probable)")
    axis.axis("off")


def main():
    options = figure_options(__doc__, "pipe_symbolic_regression.gif")
    fine, taken = np.linspace(0, 10, 401), []

    def watch(done, total, fit, best, tree, **state):
        taken.append((done, fit, problem.evaluate(best, fine), upper_tree(tree)))

    problem.run(problem.Config(seed=options.seed, opponents=False), watch)
    done, fits = np.array([entry[:2] for entry in taken]).T
    figure = plt.figure(figsize=(6.4, 4.4))
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.15), height_ratios=(2, 1))
    left, right, below = (figure.add_subplot(grid[k]) for k in ((0, 0), (0, 1), (1, slice(2))))

    def draw(number):
        _, error, values, top = taken[number]
        draw_fit(left, fine, values)
        left.set_title(f"{done[number]:,.0f} programs tried\nerror FIT {error:.2f}")
        draw_tree(right, *top)
        below.clear()
        below.step(done[: number + 1], fits[: number + 1], where="post", color=BLUE)
        below.plot(done[number], error, "o", color=BLUE)
        below.set(xlim=(0, done[-1] * 1.02), ylim=(0, 21.5), ylabel="FIT")
        below.set_xlabel("programs evaluated")
        below.xaxis.set_major_formatter("{x:,.0f}")

    write_gif(options.out, figure, draw, spaced(np.log(fits), FRAMES), seconds=0.2)


if __name__ == "__main__":
    figure_main(main)
