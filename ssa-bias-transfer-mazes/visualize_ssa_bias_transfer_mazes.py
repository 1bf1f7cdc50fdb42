"""Draw the pictures of ssa-bias-transfer-mazes into viz/."""

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


SEEDS = 5  # mazes of the curves over epochs
COLOURS = {"plain": GREY, "als": ORANGE, "ssa": BLUE}
LABELS = {"plain": "plain Levin search", "als": "ALS", "ssa": "SSA+ALS"}


def words(symbol):
    """A symbol as text: until what, then the turn; or the Jump."""
    if symbol >= problem.JUMP:
        return "jump to {}, {}x".format(*problem.jump_arguments(symbol))
    side, turn = problem.MOVES[symbol]
    until = {0: "wall", problem.LEFT: "gap left", problem.RIGHT: "gap right"}[side]
    return f"{until}: {({0: 'on', problem.LEFT: 'left', problem.RIGHT: 'right'})[turn]}"


def draw_epochs(seed):
    """Steps in each epoch, median and range over mazes."""
    runs = [problem.run(problem.Config(seed=seed + k, grid=False)).history for k in range(SEEDS)]
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    for name, colour in COLOURS.items():
        costs = np.array([run[name] for run in runs])
        epochs = runs[0]["epoch"]
        axis.fill_between(epochs, costs.min(0), costs.max(0), color=colour, alpha=0.2)
        axis.plot(epochs, np.median(costs, axis=0), color=colour, label=LABELS[name])
    for epoch in (10.5, 20.5, 30.5):
        axis.axvline(epoch, color=BLACK, linewidth=0.6, linestyle=":")
    axis.set(yscale="log", xlabel="epoch (dotted: one goal more)", ylabel="steps in the epoch")
    axis.set_title(f"g = 0.3, mazes {seed} to {seed + SEEDS - 1}: median and range")
    axis.legend(loc="lower left", ncols=3, bbox_to_anchor=(0, 0.0))
    return figure


def draw_rates():
    """Steps in all, and failed searches, against the learning rate: every maze of the record."""
    runs = [run["metrics"] for run in recorded("mazes")]
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.9))
    for name, shift in (("als", 0.008), ("ssa", -0.008)):
        rates = np.array(problem.RATES)
        for axis, fact, middle in ((left, "total", np.median), (right, "failed", np.mean)):
            keys = [f"{name}_{round(100 * rate):02d}_{fact}" for rate in rates]
            values = np.array([[run[key] for key in keys] for run in runs], float)
            axis.plot((rates + shift), values.T, ".", color=COLOURS[name], alpha=0.45, markersize=5)
            axis.plot(rates, middle(values, axis=0), color=COLOURS[name], label=LABELS[name])
    left.axhline(np.median([run["plain_total"] for run in runs]), color=GREY, label=LABELS["plain"])
    stored = [run["ssa_total"] / run["ssa_over_stored"] for run in runs]
    left.axhline(np.median(stored), color=GREEN, linestyle="--", label="storing solutions")
    left.set(yscale="log", xlabel="learning rate g", ylabel="steps of all 220 searches")
    left.set_title(f"dots: {len(runs)} mazes; lines: medians", fontsize=9)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    right.set(yscale="symlog", ylim=(-0.3, 250), yticks=[0, 1, 10, 100])
    right.set_yticklabels(["0", "1", "10", "100"])
    right.set(xlabel="learning rate g", ylabel="failed searches, of 220")
    right.set_title("lines: means", fontsize=9)
    return figure


def draw_programs(free, start, goals, log):
    """What SSA+ALS runs for each goal in the last epoch: its ways, and its programs."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.9), width_ratios=(1, 1.25))
    left.imshow(np.where(free, 1.0, 0.35), cmap="gray", vmin=0, vmax=1)
    colours = (BLUE, ORANGE, GREEN, RED, PINK, SKY, BLACK)
    right.axis("off")
    for row, search in enumerate(log[-7:]):
        goal, colour = goals[search.goal], colours[search.goal]
        style = {"ha": "center", "va": "center", "weight": "bold", "zorder": 5}
        box = {"facecolor": "white", "edgecolor": colour, "pad": 1.5}
        left.text(*goal[::-1], search.goal + 1, color=colour, fontsize=7, bbox=box, **style)
        right.text(0, 7 - row, f"{search.goal + 1}", color=colour, weight="bold")
        if not search.program:
            right.text(0.07, 7 - row, "failed")
            continue
        steps, _ = problem.run_program(free, start, goal, search.program, problem.LONGEST)
        way = (
            np.array([start, *islice(problem.way(free, start, search.program), steps)])
            + (search.goal - 3) * 0.08
        )
        left.plot(way[:, 1], way[:, 0], color=colour, linewidth=1)
        text = "\n".join(
            "; ".join(map(words, search.program[k : k + 3]))
            for k in range(0, len(search.program), 3)
        )
        right.text(0.07, 7 - row, f"{text}   ({steps} steps)", fontsize=6.5, va="center")
    left.text(*start[::-1], "S", ha="center", va="center", weight="bold")
    left.set(xticks=[], yticks=[])
    left.set_title("last epoch, all goals", fontsize=9)
    right.set(xlim=(0, 1), ylim=(0.6, 7.4))
    right.set_title("program for each goal", fontsize=9)
    return figure


def draw_tags(stack, now, reward):
    """The reward a step since each tag that is left on the stack, oldest first."""
    figure, axis = plt.subplots(figsize=(6.4, 3.0))
    rates = [reward / now] + [(reward - r) / (now - t) for t, r, _ in stack if t < now]
    axis.step(range(len(rates)), rates, where="mid", color=BLUE)
    axis.plot(rates, "o", color=BLUE, markersize=4)
    axis.set(yscale="log", xlabel="tag on the stack, oldest first (0: birth)")
    axis.set_ylabel("reward a step since then")
    axis.set_title("after the last search: the success-story criterion is a rising staircase")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"rates": draw_rates()}
    options.out.mkdir(parents=True, exist_ok=True)
    free, start, goals, tasks, _ = problem.make_world(options.seed)
    last = []
    log = problem.simulate(
        tasks, 0.3, True, problem.Config(), lambda *state: last.append(state[2:])
    )
    stack, now, reward = last[-1]
    figures["tags"] = draw_tags(stack, now, reward)
    figures["programs"] = draw_programs(free, start, goals, log)
    figures["epochs"] = draw_epochs(options.seed)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
