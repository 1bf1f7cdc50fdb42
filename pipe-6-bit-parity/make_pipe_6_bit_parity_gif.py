"""Animate PIPE on 6-bit parity: the rows that the best program gets right, the top of the
prototype tree, and the wrong rows over the programs tried."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pipe_6_bit_parity as problem
from matplotlib.colors import to_rgb
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


FRAMES, LEVELS = 40, 4  # pictures; levels of the tree that are shown below its root
COLOURS = {"AND": SKY, "OR": PINK, "NOT": YELLOW, "IF": ORANGE}
INPUTS = "#bbbbbb"


def tree_top(tree):
    """(level, x from 0 to 1, likeliest instruction, its probability, x of the parent) of every node
    down to a level, where the parent's likeliest instruction uses it."""
    shown, queue = [], [(tree.root, 0, 0.0, 1.0, None)]
    for node, level, left, right, parent in queue:
        p = max(node.p)
        symbol, x = node.p.index(p), (left + right) / 2
        shown.append((level, x, symbol, p, parent))
        used = node.children[: tree.task.arity[symbol]] if level < LEVELS else []
        width = (right - left) / max(len(used), 1)
        for k, child in enumerate(used):
            queue.append((child, level + 1, left + k * width, left + (k + 1) * width, x))
    return shown


def draw_board(axis, answers, task, fit):
    """The rows in Gray code, so that neighbours differ in one bit: green where right."""
    axis.clear()
    gray = [k ^ k >> 1 for k in range(8)]
    rows = [[low | high << 3 for low in gray] for high in gray]
    right = np.array([[~(answers ^ task.wanted) >> row & 1 for row in line] for line in rows])
    colours = np.where(right[..., None] == 1, to_rgb(GREEN), to_rgb("#f0b090"))
    axis.imshow(colours, extent=(0, 8, 0, 8))
    for y, line in enumerate(rows):
        for x, row in enumerate(line):
            says = answers >> row & 1
            axis.text(x + 0.5, 7.5 - y, says, ha="center", va="center", fontsize=9)
    axis.set(xticks=[], yticks=[], title=f"PROG_el on all 64 rows: {fit} wrong")
    axis.set_xlabel("x0 x1 x2, one bit changes a step")
    axis.set_ylabel("x3 x4 x5")


def draw_tree(axis, shown):
    """The top of the tree: colour is a node's likeliest instruction, size its probability."""
    axis.clear()
    for level, x, symbol, p, parent in shown:
        name = problem.NAMES[symbol] if symbol < problem.INPUT else f"x{symbol - problem.INPUT}"
        if parent is not None:
            axis.plot([parent, x], [1 - level, -level], color=GREY, linewidth=0.6, zorder=1)
        colour = COLOURS.get(name, INPUTS)
        axis.scatter(x, -level, s=140 * p, color=colour, edgecolor=BLACK, linewidth=0.4, zorder=2)
        if name not in COLOURS and level < LEVELS:
            axis.text(x, -level - 0.42, name, ha="center", fontsize=7)
    for name, colour in {**COLOURS, "input": INPUTS}.items():
        axis.scatter([], [], color=colour, label=name)
    axis.legend(ncols=5, fontsize=7, loc="lower center", handletextpad=0, columnspacing=0.8)
    axis.set(xlim=(0, 1), ylim=(-LEVELS - 1.3, 0.5), title="top of the prototype tree")
    axis.axis("off")


def main():
    options = figure_options(__doc__, "pipe_6_bit_parity.gif")
    config = problem.Config(seed=options.seed)
    task, story = problem.Parity(config.bits), []

    def watch(step, total, fit, size, log_probability, program, tree):
        story.append((step, fit, task.evaluate(program), tree_top(tree)))

    problem.run(config, watch)
    frames = spaced([row[1] for row in story], FRAMES)
    figure = plt.figure(figsize=(6.4, 4.2))
    grid = figure.add_gridspec(2, 2, width_ratios=[1, 1.15], height_ratios=[1.9, 1])
    board, top, curve = (
        figure.add_subplot(grid[place]) for place in ((0, 0), (0, 1), (1, slice(2)))
    )

    def draw(k):
        step, fit, answers, shown = story[k]
        draw_board(board, answers, task, fit)
        draw_tree(top, shown)
        curve.clear()
        done, fits = zip(*[row[:2] for row in story[: k + 1]], strict=True)
        curve.step(done, fits, where="post", color=BLUE)
        curve.plot(step, fit, "o", color=BLUE)
        curve.set(xlim=(0, story[-1][0] * 1.02), ylim=(-1, 34))
        curve.set(xlabel=f"programs evaluated (now {step:,})", ylabel="wrong rows")

    write_gif(options.out, figure, draw, frames, seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
