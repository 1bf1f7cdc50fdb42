"""Draw the pictures of hq-learning-pomdp into viz/: maze, moves of the sub-agents, learning by
size, sub-agents used, noise."""

import argparse
import json
import sys
from pathlib import Path

import hq_learning_pomdp as problem
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

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

AGENT_COLOURS = [BLUE, ORANGE, GREEN, RED, PINK, SKY, BLACK, GREY]
SIZE_COLOURS = dict(zip(problem.SIZES, (RED, ORANGE, GREEN, BLUE, PINK), strict=True))
ARROWS = "←↑→↓"


def draw_maze(result):
    """The maze with the input of every cell; equal inputs look the same to a sub-agent."""
    world = result.world
    names = sorted(set(world.inputs))
    figure, axis = plt.subplots(figsize=(6.4, 5.4))
    picture = np.ones((10, 10, 3)) * 0.25
    shades = plt.get_cmap("Pastel1")
    for cell, place in enumerate(world.cells):
        picture[place] = shades(names.index(world.inputs[cell]))[:3]
    axis.imshow(picture)
    for cell, (row, column) in enumerate(world.cells):
        mark = {world.start: "start\n", world.goal: "goal\n"}.get(cell, "")
        axis.text(
            column,
            row,
            mark + str(world.inputs[cell]),
            ha="center",
            va="center",
            fontsize=8 if mark else 10,
        )
    axis.set(
        xticks=range(10),
        yticks=range(10),
        xlabel="column",
        ylabel="row",
        title=f"{len(world.cells)} free cells, {len(names)} inputs\n"
        "(1 west + 2 north + 4 east + 8 south blocked)",
    )
    axis.spines[:].set_visible(False)
    return figure


def draw_moves(result, agents):
    """The greedy move of every sub-agent at every input; solid where the greedy walk uses it."""
    tables, world = result.tables[agents], result.world
    cells, acting, _ = result.walk[agents]
    names = sorted(set(world.inputs))
    used = {(agent, world.inputs[cell]) for agent, cell in zip(acting, cells, strict=False)}
    subgoals = [row.index(max(row)) for row in tables.hq]
    figure, axis = plt.subplots(figsize=(6.4, 3.8))
    for agent in range(agents):
        for column, name in enumerate(names):
            row = tables.row(problem.INPUTS * agent + name)
            on = (agent, name) in used
            axis.text(
                column,
                agent,
                ARROWS[row.index(max(row))],
                ha="center",
                va="center",
                fontsize=17 if on else 11,
                weight="bold" if on else "normal",
                color=AGENT_COLOURS[agent] if on else "#c8c8c8",
            )
        if agent < len(subgoals) and subgoals[agent] in names:
            axis.add_patch(
                plt.Rectangle(
                    (names.index(subgoals[agent]) - 0.45, agent - 0.45),
                    0.9,
                    0.9,
                    fill=False,
                    edgecolor=BLACK,
                )
            )
    axis.axvspan(names.index(5) - 0.5, names.index(5) + 0.5, color=YELLOW, alpha=0.25, linewidth=0)
    axis.set(
        xlim=(-0.5, len(names) - 0.5),
        ylim=(agents - 0.5, -0.5),
        xticks=range(len(names)),
        xticklabels=names,
        yticks=range(agents),
        yticklabels=[f"$C_{agent + 1}$" for agent in range(agents)],
        xlabel="input (box: sub-goal of the sub-agent; yellow: input 5, west and east blocked)",
        ylabel="sub-agent",
        title="Best moves after training; large and coloured: used by the greedy walk",
    )
    return figure


def draw_sizes(sizes, trials=20_000):
    """Share of systems that have learnt the way by a trial, and the steps of their last test, by
    size; sizes: the metrics of that variant's runs."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.4))
    jitter = np.linspace(-0.25, 0.25, len(sizes))
    for place, agents in enumerate(problem.SIZES):
        learnt = sorted(m[f"learnt_at_{agents}"] for m in sizes if m[f"reached_{agents}"] >= 0.5)
        x = [0, *learnt, trials]
        y = [0, *(np.arange(1, len(learnt) + 1) / len(sizes)), len(learnt) / len(sizes)]
        left.step(
            np.array(x) / 1000, y, where="post", color=SIZE_COLOURS[agents], label=f"M = {agents}"
        )
        steps = np.array([m[f"steps_{agents}"] for m in sizes])
        right.scatter(place + jitter, steps, s=14, color=SIZE_COLOURS[agents], alpha=0.8)
    left.set(
        xlabel="trials, thousands",
        ylabel="share of systems",
        ylim=(-0.02, 1.02),
        title="Way to the goal learnt for good",
    )
    left.legend(loc="center right", bbox_to_anchor=(1, 0.61), fontsize=8)
    right.set_yscale("log")
    right.set_yticks(
        [28, 50, 100, 200, 500, 1000], [28, 50, 100, 200, 500, "1000\n(missed)"], minor=False
    )
    right.minorticks_off()
    right.axhline(28, color=GREY, linewidth=0.8, zorder=0)
    right.set_xticks(range(len(problem.SIZES)), problem.SIZES)
    right.set(
        xlabel="sub-agents M",
        ylabel="steps",
        title=f"Last greedy test, {len(sizes)} systems a size",
    )
    return figure


def draw_used(eight):
    """How many of the eight sub-agents acted in the last greedy test, beside the paper's."""
    ours = [m["used_8"] for m in eight if m["reached_8"]]
    figure, axis = plt.subplots(figsize=(6.4, 3))
    numbers = np.arange(3, 9)
    axis.bar(
        numbers - 0.2,
        [ours.count(n) / max(len(ours), 1) for n in numbers],
        0.38,
        color=BLUE,
        label=f"here, {len(ours)} solutions",
    )
    axis.bar(
        numbers + 0.2,
        np.array([8, 19, 16, 17, 21, 19]) / 100,
        0.38,
        color=GREY,
        label="paper (unverified), its own maze",
    )
    axis.set(
        xlabel="sub-agents that acted in the last greedy test",
        ylabel="share of solutions",
        xticks=numbers,
    )
    axis.legend()
    return figure


def draw_noise(noisy):
    """Share of noisy test walks that reach the goal after training, for the flat control and for
    the system."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    jitter = np.linspace(-0.25, 0.25, len(noisy))
    for place, agents in enumerate((1, 8)):
        shares = np.array([m[f"reached_{agents}"] for m in noisy])
        axis.scatter(
            place + jitter,
            shares,
            s=14,
            color=BLUE,
            alpha=0.8,
            label="one seed" if place == 0 else None,
        )
        axis.plot(
            [place - 0.35, place + 0.35],
            [shares.mean()] * 2,
            color=BLACK,
            label="mean" if place == 0 else None,
        )
    axis.plot([0.65, 1.35], [0.87] * 2, color=RED, linestyle=":", label="paper (unverified)")
    axis.set_xticks((0, 1), ("flat Q(λ)", "8 sub-agents"))
    axis.set(
        ylabel="share of 100 test walks",
        ylim=(-0.05, 1.05),
        title="Goal reached with 10 % noise, after training",
    )
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def main():
    options = figure_options(__doc__, "viz")
    variants = ("sizes", "eight", "noise")
    sizes, eight, noisy = ([run["metrics"] for run in recorded(name)] for name in variants)
    options.out.mkdir(parents=True, exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures = {
        "maze": draw_maze(result),
        "moves": draw_moves(result, 8),
        "sizes": draw_sizes(sizes),
        "used": draw_used(eight),
        "noise": draw_noise(noisy),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
