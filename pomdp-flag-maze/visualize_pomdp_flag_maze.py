"""Draw the pictures of the flag maze into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pomdp_flag_maze as problem

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

STYLE = {
    "main": (BLUE, "-", "C and M recurrent"),
    "feedforward": (ORANGE, "--", "C without recurrence"),
    "memoryless_model": (GREEN, ":", "M without recurrence"),
    "score_function": (PINK, "-.", "score function, no M"),
}


def draw_cells(axis, maze, wrong=()):
    """The free cells as squares, with start and flags."""
    for row, column in maze.places:
        axis.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="white", ec=GREY))
    axis.text(0, 2, "start", ha="center", va="center")
    for (row, column), text in zip(maze.places[-2:], ("flag\nif +1", "flag\nif -1"), strict=True):
        axis.text(column, row, text, ha="center", va="center", fontsize=8)
    length = maze.places[-1][1]
    axis.set(xlim=(-0.6, length + 0.6), ylim=(4.6, -0.6), aspect="equal", facecolor="#dddddd")
    axis.set(xticks=[], yticks=[])


def draw_setup(maze):
    """The maze, and who feeds whom."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.2), width_ratios=[1, 1.15])
    draw_cells(left, maze)
    for cell in (1, 2, 3):
        left.text(cell, 2, "1100", ha="center", va="center", color=RED)
    for cell in (5, 6):
        row, column = maze.places[cell]
        left.text(column, row, "0011", ha="center", va="center", color=RED)
    left.text(4, 2, "junction", ha="center", va="center", fontsize=7)
    left.set_title("red: walls N S W E, alike in several cells")
    boxes = {"world": (0, 1), "C": (0, 0), "M": (2, 0)}
    for name, (x, y) in boxes.items():
        text = {"world": "maze", "C": "controller C\nlearns", "M": "model M\nlearns"}[name]
        style = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": BLACK}
        right.text(x, y, text, ha="center", va="center", bbox=style, zorder=3)

    def arrow(start, end, colour, text, at, bend=0.0, dash="-"):
        look = {"arrowstyle": "-|>", "color": colour, "linestyle": dash, "linewidth": 1.5}
        look |= {"connectionstyle": f"arc3,rad={bend}", "shrinkA": 2, "shrinkB": 2}
        right.annotate("", end, start, arrowprops=look)
        right.text(*at, text, color=colour, ha="center", va="center", fontsize=8)

    arrow((-0.25, 0.85), (-0.25, 0.2), BLUE, "o(t)", (-0.5, 0.52))
    arrow((0.25, 0.2), (0.25, 0.85), BLUE, "move", (0.02, 0.6))
    arrow((0.45, 1.0), (1.9, 0.22), BLUE, "o(t), o(t+1), reward", (1.75, 0.83))
    arrow((0.55, 0.08), (1.5, 0.08), BLUE, "motors y(t)", (1.02, 0.2))
    arrow((1.5, -0.1), (0.55, -0.1), ORANGE, "d reward / d y", (1.02, -0.23), dash="--")
    for x in (0, 2):
        arrow((x + 0.3, -0.2), (x - 0.3, -0.2), GREY, "memory", (x, -0.62), bend=-1.2)
    right.plot([], [], color=BLUE, label="values, in the real maze")
    right.plot([], [], "--", color=ORANGE, label="gradient, through M")
    right.legend(loc="lower center", bbox_to_anchor=(0.5, -0.12), fontsize=8)
    right.set(xlim=(-0.75, 2.6), ylim=(-1.0, 1.3))
    right.axis("off")
    return figure


def draw_solved(runs):
    """Share of the recorded seeds that passed five tests in a row, against updates."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    most = runs[0]["config"]["iterations"]
    for name, (colour, dash, label) in STYLE.items():
        key = "solved_after" + ("" if name == "main" else f"_{name}")
        times = sorted(run["metrics"][key] or np.inf for run in runs)
        steps = [0, *[t for t in times if t < np.inf], most]
        share = [*range(len(steps) - 1), len(steps) - 2]
        label = f"{label}: {len(steps) - 2} of {len(runs)} seeds"
        share = 100 * np.array(share) / len(runs)
        axis.step(steps, share, dash, where="post", color=colour, label=label)
    alone, look = runs[0]["config"]["alone"], {"color": GREY, "fontsize": 8, "rotation": 90}
    axis.axvline(alone, color=GREY, linewidth=0.8)
    axis.text(alone - 8, 55, "C begins to learn", ha="right", va="center", **look)
    axis.set(xlabel="updates", ylabel="seeds that have passed [%]", ylim=(-3, 103))
    axis.legend(loc="center right")
    return figure


def beliefs(controller, model, maze):
    """(2, 2): the reward that the main M predicts at the flags, for the indicators +1 and -1 and
    walks straight to the flag above and below."""
    length, motors = maze.places[-1][1], []
    for turn in (problem.NORTH, problem.SOUTH):
        motors.append([problem.EAST] * length + [turn] * (maze.steps - length))
    noise = np.tile(20 * np.eye(4, dtype=np.float32)[np.array(motors).T], (1, 2, 1))
    random = np.ones(noise.shape[:2], bool)
    lived = problem.live(controller, model, maze, np.array([1, 1, -1, -1]), noise, random, 1)
    return lived.out[length + 1, 0, :, problem.REWARD].reshape(2, 2)


def draw_training(result, story, maze, seed):
    """Test scores, M's flag error, and what M predicts at the flags, while one run learns."""
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 6), sharex=True)
    steps = result.history["step"]
    for name, (colour, dash, label) in STYLE.items():
        axes[0].plot(steps, result.history[f"score_{name}"], dash, color=colour, label=label)
        if name != "score_function":
            axes[1].plot(steps, result.history[f"error_{name}"], dash, color=colour)
    axes[0].set(ylabel="test score", ylim=(-0.05, 1.05), yticks=[0, 0.5, 1])
    axes[0].set_title(f"seed {seed}, the same start and the same noise for all")
    axes[0].legend(fontsize=8, loc="upper left", bbox_to_anchor=(0.52, 0.98))
    axes[1].set(ylabel="M's flag error\n/ variance", yscale="log")
    axes[1].axhline(1, color=GREY, linewidth=0.8)
    shown = np.array([beliefs(*nets, maze) for nets in story])
    for i, (sign, dash) in enumerate((("+1", "-"), ("-1", "--"))):
        for j, (flag, colour) in enumerate((("above", RED), ("below", SKY))):
            label = f"indicator {sign}, flag {flag}"
            axes[2].plot(steps, shown[:, i, j], dash, color=colour, label=label)
    axes[2].axhline(0, color=GREY, linewidth=0.8)
    axes[2].set(xlabel="updates", ylabel="reward that M predicts\n(C and M recurrent)")
    axes[2].legend(fontsize=8, ncols=2)
    return figure


def draw_states(result, maze):
    """C's hidden units on both test walks, and their difference."""
    lived = problem.walk(result.controller, result.model, maze, [1, -1])
    count = int(lived.alive[:, 0].sum(0).min())
    states = lived.rows[1 : count + 1, 0, :, problem.C_ONE + 1 :]
    order = np.argsort(states[-1, 0] - states[-1, 1])
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 3.4), sharey=True)
    pictures = states[:, 0], states[:, 1], (states[:, 0] - states[:, 1]) / 2
    titles = "indicator +1", "indicator -1", "half the difference"
    for axis, picture, title in zip(axes, pictures, titles, strict=True):
        image = axis.imshow(picture[:, order].T, vmin=-1, vmax=1, cmap="RdBu_r", aspect="auto")
        axis.set(title=title, xlabel="step t", xticks=range(count))
    axes[0].set_ylabel("hidden unit of C, sorted")
    figure.colorbar(image, ax=axes, label="state")
    return figure


def draw_needed():
    """Share of recorded seeds solved when one part of the recipe is left out."""
    names = {
        "maze": "all of it",
        "fresh_noise": "random moves\nnot held",
        "no_credit": "no credit\nfor an end",
        "no_entropy": "no bonus\nfor entropy",
    }
    figure, axis = plt.subplots(figsize=(6.4, 3))
    for x, name in enumerate(names):
        solved = [run["metrics"]["solved"] for run in recorded(name)]
        axis.bar(x, 100 * np.mean(solved), color=BLUE if name == "maze" else ORANGE)
        axis.text(x, 100 * np.mean(solved) + 2, f"{sum(solved)} of {len(solved)}", ha="center")
    axis.set(ylabel="seeds solved at the end [%]", ylim=(0, 112), yticks=range(0, 101, 25))
    axis.set_xticks(range(len(names)), names.values(), fontsize=8)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    runs = recorded("maze")
    needed = draw_needed()
    options.out.mkdir(parents=True, exist_ok=True)
    maze, story = problem.build_maze(problem.Config().length), []

    def watch(step, total, controller, model, **_):
        story.append([{n: w[:1].copy() for n, w in net.items()} for net in (controller, model)])

    result = problem.run(problem.Config(seed=options.seed), watch)
    for name, figure in {
        "setup": draw_setup(maze),
        "solved": draw_solved(runs),
        "training": draw_training(result, story, maze, options.seed),
        "states": draw_states(result, maze),
        "needed": needed,
    }.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
