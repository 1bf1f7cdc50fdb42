"""Animate SSA+ALS in one maze: the program found, the prior, the steps and the stack."""

import argparse
import json
import sys
from itertools import islice
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import ssa_bias_transfer_mazes as problem
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


FRAMES = 46
INSTRUCTIONS = [
    "wall L",
    "wall R",
    "left L",
    "left R",
    "left",
    "right L",
    "right R",
    "right",
    "jump",
]


def draw_maze(axis, free, start, goals, search):
    """The maze, the goals in use, and the way of the program that was found."""
    axis.clear()
    axis.imshow(np.where(free, 1.0, 0.35), cmap="gray", vmin=0, vmax=1)
    for k, (row, col) in enumerate(goals[: 4 + search.epoch // 10]):
        here = k == search.goal
        axis.plot(col, row, "o", markersize=11, color=ORANGE if here else SKY)
        axis.text(col, row, k + 1, ha="center", va="center", fontsize=8)
    if search.program:
        goal = goals[search.goal]
        steps, _ = problem.run_program(free, start, goal, search.program, problem.LONGEST)
        way = np.array([start, *islice(problem.way(free, start, search.program), steps)])
        axis.plot(way[:, 1], way[:, 0], color=RED, linewidth=1.8)
    axis.plot(*start[::-1], "s", color=GREEN, markersize=8)
    axis.set(xticks=[], yticks=[])
    found = f"found after {search.steps:,} steps" if search.program else "not found"
    axis.set_title(f"epoch {search.epoch + 1}, goal {search.goal + 1}:\n{found}")


def draw_prior(axis, P, program):
    """Probability of each instruction at each address; white dots: the program just found."""
    axis.clear()
    axis.imshow(P.T, vmin=0, vmax=1, aspect="auto")
    for address, symbol in enumerate(program or ()):
        axis.plot(address, min(symbol, problem.JUMP), "o", color="white", markersize=3.5)
    axis.set_yticks(range(9), INSTRUCTIONS, fontsize=7)
    axis.set_xticks(range(8), range(8), fontsize=7)
    axis.set_xlabel("address (dots: this program)", fontsize=8)
    axis.set_title("probability of each instruction", fontsize=9)


def draw_curves(axis, twin, log, count):
    """Steps of every search so far, and how many Adapts still count."""
    axis.clear()
    twin.clear()
    steps = np.array([s.steps for s in log])
    axis.plot(steps[: count + 1], ".", color=BLUE, markersize=4)
    axis.plot(count, steps[count], "o", color=ORANGE, markersize=5)
    axis.set(yscale="log", xlim=(0, len(log)), ylim=(3, 4e7), yticks=[10, 1e3, 1e5, 1e7])
    axis.minorticks_off()
    axis.set_xlabel("search")
    axis.set_ylabel("steps", color=BLUE)
    tags = [s.tags for s in log]
    twin.step(range(count + 1), tags[: count + 1], color=GREEN, linewidth=1.2)
    twin.set(ylim=(0, max(tags) * 1.7 + 1))
    twin.yaxis.set_label_position("right")
    twin.yaxis.tick_right()
    twin.set_ylabel("tags on the stack", color=GREEN)


def main():
    options = figure_options(__doc__, "ssa_bias_transfer_mazes.gif")
    free, start, goals, tasks, _ = problem.make_world(options.seed)
    priors = []

    def watch(search, prior, *_):
        priors.append(prior["P"].copy())

    log = problem.simulate(tasks, 0.3, True, problem.Config(), watch)
    figure = plt.figure(figsize=(6.4, 4.0))
    grid = figure.add_gridspec(2, 2, width_ratios=[1.2, 1], height_ratios=[1.1, 1])
    maze, heat, curve = (figure.add_subplot(k) for k in (grid[:, 0], grid[0, 1], grid[1, 1]))
    twin = curve.twinx()
    twin.spines["right"].set_visible(True)

    def draw(count):
        draw_maze(maze, free, start, goals, log[count])
        draw_prior(heat, priors[count], log[count].program)
        draw_curves(curve, twin, log, count)

    frames = spaced([np.abs(P - priors[0]).sum() for P in priors], FRAMES)
    write_gif(options.out, figure, draw, frames, seconds=0.35)


if __name__ == "__main__":
    figure_main(main)
