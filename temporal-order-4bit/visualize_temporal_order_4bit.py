"""Draw the pictures of temporal-order-4bit into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import temporal_order_4bit as problem

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

BLOCK_COLOURS = (BLUE, ORANGE, GREEN)
PAPER = {"order_cost": 18.2, 3: 571_100, 2: 31_390}  # sequences to the stop, table 9


def curves(result, marks):
    """Of each net on a task: sequences and mean |error| of the last 2000."""
    history = {name: np.array(column) for name, column in result.history.items()}
    for net in np.unique(history["net"]):
        mine = (history["net"] == net) & (history["marks"] == marks)
        yield history["sequences"][mine] / 1000, history["error"][mine]


def draw_learning(result):
    """Mean |error| of the last 2000 sequences, net by net, on three marks and on two."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.0), width_ratios=(1.6, 1), sharex=True)
    for axis, marks in zip(axes, (3, 2), strict=True):
        for sequences, error in curves(result, marks):
            axis.plot(sequences, error, linewidth=1.2)
        for known in range(marks):
            left = 2 ** (marks - known)  # classes that are still possible
            level = 2 * (1 - 1 / left) / 2**marks
            axis.axhline(level, color=GREY, linewidth=0.8, linestyle=":")
            text = f"{known} mark{'s' * (known != 1)} known"
            axis.annotate(
                text,
                (1, level),
                (0, 2),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                fontsize=7,
                color="#555555",
            )
        axis.set(xlabel="training sequences, thousands", title=f"{marks} marks", ylim=(0, None))
    axes[0].set(ylabel="mean |output - target|", xlim=(0, None))
    return figure


def one_of_each(seed):
    """Symbols (n, 1, 8): one sequence of each class."""
    symbols, classes = problem.make_batch(np.random.default_rng(seed + 12345), 1, 400)
    return symbols[:, :, [np.argmax(classes[0] == order) for order in range(8)]]


def run_net(weights, symbols, net):
    """The layer after a forward pass of one net, and its outputs (classes, batch)."""
    layer = problem.hidden_layer("lstm", 1, symbols.shape[2], "paper")
    o, _ = problem.forward(layer, {name: w[[net]] for name, w in weights.items()}, symbols)
    return layer, o[0]


def draw_cells(result, seed):
    """Input gates and cell states of net 1 on four of the eight orders."""
    symbols = one_of_each(seed)
    n = len(symbols)
    layer, o = run_net(result.nets["lstm"], symbols, 0)
    gates = (1 + layer.Z[:n, 0, layer.IN]) / 2
    states = layer.S[1 : n + 1, 0]
    shown = (0, 3, 5, 6)  # XXX, XYY, YXY, YYX
    figure, axes = plt.subplots(2, 4, figsize=(6.4, 3.4), sharex=True, sharey="row")
    for column, item in zip(axes.T, shown, strict=True):
        for place in np.flatnonzero(np.isin(symbols[:, 0, item], (problem.X, problem.X + 1))):
            mark = "XY"[symbols[place, 0, item] - problem.X]
            column[0].text(place, 1.04, mark, ha="center", fontsize=8, fontweight="bold")
            for axis in column:
                axis.axvline(place, color=GREY, linewidth=0.8)
        for block, colour in enumerate(BLOCK_COLOURS):
            label = f"block {block + 1}"
            column[0].plot(gates[:, block, item], color=colour, linewidth=1, label=label)
            for cell, style in enumerate(("-", "--")):
                state = states[:, block, cell, item]
                column[1].plot(state, style, color=colour, linewidth=1)
        order = problem_order(item)
        column[0].set_title(f"{order}: output {o[item, item]:.2f}", fontsize=8, pad=12)
        column[1].set_xlabel("step")
    axes[0, 0].set(ylabel="input gates", ylim=(-0.03, 1.03))
    axes[1, 0].set_ylabel("cell states s")
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def problem_order(item):
    """The name of a class: XXX is 0, YYY is 7."""
    return f"{item:03b}".replace("0", "X").replace("1", "Y")


def draw_gates(result, seed):
    """How far each block's input gate opens at each mark and elsewhere, of every net."""
    symbols, _ = problem.make_batch(np.random.default_rng(seed + 54321), 1, 400)
    n, nets = len(symbols), len(result.nets["lstm"]["W"])
    marked = np.isin(symbols[:, 0], (problem.X, problem.X + 1))
    figure, axes = plt.subplots(1, nets, figsize=(6.4, 2.2), sharey=True, squeeze=False)
    for net, axis in enumerate(axes[0]):
        layer, _ = run_net(result.nets["lstm"], symbols, net)
        gates = ((1 + layer.Z[:n, 0, layer.IN]) / 2).transpose(1, 2, 0)  # (block, item, time)
        at = gates[:, marked.T].reshape(3, -1, 3).mean(1)
        other = gates[:, ~marked.T].mean(1)
        opening = np.concatenate([at, other[:, None]], 1)
        axis.imshow(opening, vmin=0, vmax=1, aspect="auto")
        for place, value in np.ndenumerate(opening):
            colour = "white" if value < 0.6 else "black"
            axis.text(
                *place[::-1], f"{value:.2f}", ha="center", va="center", color=colour, fontsize=7
            )
        axis.set_xticks(range(4), ("1st", "2nd", "3rd", "else"))
        axis.set_yticks(range(3), [f"block {block + 1}" for block in range(3)])
        axis.set_title(f"net {net + 1}")
    figure.supxlabel("at the mark", fontsize=9)
    return figure


def draw_counts():
    """Sequences to the stop of every recorded run, on three marks and on two."""
    figure, axis = plt.subplots(figsize=(6.4, 2.0))
    runs = recorded("order")
    rows = ((3, "sequences", BLUE), (2, "two_marks_sequences", ORANGE))
    for y, (marks, name, colour) in enumerate(rows):
        values = [run["metrics"][name] for run in runs]
        axis.plot(values, [y] * len(values), "o", color=colour, alpha=0.7)
        axis.plot(PAPER[marks], y, "|", color=BLACK, markersize=18, markeredgewidth=2)
    axis.plot([], [], "o", color=GREY, label="ours, mean of a run's four nets")
    axis.plot([], [], "|", color=BLACK, markeredgewidth=2, label="the paper's mean")
    axis.set_yticks(range(2), ("three marks", "two marks"))
    axis.set(xscale="log", xlabel="training sequences to the stop", ylim=(-0.6, 1.6))
    ticks = (20_000, 50_000, 100_000, 200_000, 500_000)
    axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axis.minorticks_off()
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"counts": draw_counts()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures |= {
        "learning": draw_learning(result),
        "cells": draw_cells(result, options.seed),
        "gates": draw_gates(result, options.seed),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
