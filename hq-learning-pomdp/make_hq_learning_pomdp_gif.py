"""Animate how a system of eight sub-agents learns the way: its greedy walk, its sub-goal tables and
its tests."""

import argparse
import json
import sys
from pathlib import Path

import hq_learning_pomdp as problem
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

AGENT_COLOURS = [BLUE, ORANGE, GREEN, RED, PINK, SKY, BLACK, GREY]
AGENTS = 8


def draw_walk(axis, world, walk, trial):
    """The maze and the walk, one colour a sub-agent, a star where one hands over."""
    cells, acting, reached = walk
    picture = np.full((10, 10), 0.35)
    for place in world.cells:
        picture[place] = 0.97
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
    for agent in range(AGENTS):
        steps = [t for t, who in enumerate(acting) if who == agent]
        shift = 0.12 * (
            agent % 3 - 1
        )  # walks of different sub-agents over the same cells stay visible
        for t in sorted({(cells[t], cells[t + 1]): t for t in steps}.values()):
            (r0, c0), (r1, c1) = world.cells[cells[t]], world.cells[cells[t + 1]]
            axis.plot(
                [c0 + shift, c1 + shift],
                [r0 + shift, r1 + shift],
                color=AGENT_COLOURS[agent],
                linewidth=2.5,
            )
        if steps and steps[-1] + 1 < len(acting):
            r, c = world.cells[cells[steps[-1] + 1]]
            axis.plot(
                c,
                r,
                "*",
                color=AGENT_COLOURS[agent],
                markersize=13,
                markeredgecolor="black",
                markeredgewidth=0.6,
            )
    for cell, mark in ((world.start, "S"), (world.goal, "G")):
        r, c = world.cells[cell]
        axis.text(c, r, mark, ha="center", va="center", weight="bold", fontsize=12)
    outcome = f"goal after {len(acting)} steps" if reached else "goal missed"
    axis.set(xticks=[], yticks=[])
    axis.set_title(f"trial {trial:,}: {outcome}\n(star: hand-over)")
    axis.spines[:].set(visible=True, linewidth=2, color="#595959")


def draw_subgoals(axis, hq, world):
    """Sub-goal tables as an image, each row scaled to its best entry."""
    names = sorted(set(world.inputs)) + sorted(set(range(16)) - set(world.inputs))
    table = np.array(hq)[:, names]
    axis.imshow(
        table / np.maximum(table.max(1, keepdims=True), 1e-300), aspect="auto", vmin=0, vmax=1
    )
    axis.axvline(len(set(world.inputs)) - 0.5, color="white", linewidth=1.5)
    for agent, row in enumerate(table):
        if row.any():
            axis.plot(
                row.argmax(),
                agent,
                "*",
                color=AGENT_COLOURS[agent],
                markersize=9,
                markeredgecolor="white",
                markeredgewidth=0.5,
            )
    axis.set_xticks(range(16), names, fontsize=7)
    axis.set_yticks(range(AGENTS - 1), [f"$C_{agent + 1}$" for agent in range(AGENTS - 1)])
    for agent, label in enumerate(axis.get_yticklabels()):
        label.set_color(AGENT_COLOURS[agent])
    axis.set_title("sub-goal tables (star: best)")
    axis.set_xlabel("input (right of the line: never occurs)", fontsize=8)


def main():
    options = figure_options(__doc__, "hq_learning_pomdp.gif")
    config = problem.Config(seed=options.seed, agents=AGENTS)
    world = problem.make_world(config.maze)
    rng = np.random.default_rng(0)
    frames = []

    def report(trial, agents, reached, steps, tables):
        frames.append(
            (
                trial,
                steps,
                [row[:] for row in tables.hq],
                problem.greedy_walk(world, tables, rng, config),
            )
        )

    problem.train(world, AGENTS, config, report)
    figure = plt.figure(figsize=(6.4, 4.2))
    grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1), height_ratios=(1.15, 1))
    maze, tables, curve = (
        figure.add_subplot(grid[:, 0]),
        figure.add_subplot(grid[0, 1]),
        figure.add_subplot(grid[1, 1]),
    )

    def draw(count):
        for axis in (maze, tables, curve):
            axis.clear()
        trial, _, hq, walk = frames[count]
        draw_walk(maze, world, walk, trial)
        draw_subgoals(tables, hq, world)
        curve.plot(
            [f[0] / 1000 for f in frames[: count + 1]],
            [f[1] for f in frames[: count + 1]],
            "o-",
            color=BLUE,
            markersize=3,
        )
        curve.axhline(28, color=GREY, linewidth=0.8)
        curve.set_yscale("log")
        curve.set_yticks([28, 100, 1000], ["28", "100", "1000"])
        curve.minorticks_off()
        curve.set(
            xlim=(0, config.trials / 1000),
            ylim=(22, 1300),
            xlabel="trials, thousands",
            ylabel="steps in the test",
        )

    write_gif(options.out, figure, draw, range(len(frames)), seconds=0.25)


if __name__ == "__main__":
    figure_main(main)
