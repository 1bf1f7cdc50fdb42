"""Animate how a system of eight sub-agents learns the way: its greedy walk, its sub-goal tables and
its tests."""

import argparse
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
    """Options of a figure script: seed, and out, a path that lies beside the script unless it is given."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}\n")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the run that is shown (default 0)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).resolve().parent / out,
        metavar="PATH",
        help=f"default {out}",
    )
    options = parser.parse_args()
    if options.seed < 0:
        parser.error(f"argument --seed: must be 0 or more, got {options.seed}")
    return options


# end idiom


# idiom: gif
def write_gif(path, figure, draw, frames, seconds=0.12, hold=3.0, colours=64):
    """Write an animated GIF: draw(frame) repaints the figure for every item of frames; the last one stays `hold` seconds.

    All frames share one palette, and each stores only the rectangle that changed, which keeps the file small.
    """
    images = []
    for frame in frames:
        draw(frame)
        figure.canvas.draw()
        images.append(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
    sample = np.concatenate(images[:: max(1, len(images) // 6)] + images[-1:])
    palette = Image.fromarray(sample).quantize(colours, Image.Quantize.MAXCOVERAGE)
    images = [
        Image.fromarray(image).quantize(palette=palette, dither=Image.Dither.NONE)
        for image in images
    ]
    durations = [round(1000 * seconds)] * (len(images) - 1) + [round(1000 * hold)]
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        disposal=1,
        optimize=False,
    )


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
    main()
