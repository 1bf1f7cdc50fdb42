"""Draw the pictures of temporal-order-3bit into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import temporal_order_3bit as problem

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

ORDERS = ("XX", "XY", "YX", "YY")
COLOURS = (BLUE, SKY, ORANGE, RED)
PAPER = 31_390  # sequences to the stop, mean of 20 trials, table 9


def draw_learning(result):
    """Mean |error| of the last 2000 sequences and how many were right in a row, net by net."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.0))
    history = {name: np.array(column) for name, column in result.history.items()}
    for net in np.unique(history["net"]):
        mine = history["net"] == net
        for axis, name in zip(axes, ("error", "in_a_row"), strict=True):
            axis.plot(history["sequences"][mine] / 1000, history[name][mine], linewidth=1.2)
    for axis, limit in zip(axes, (problem.SMALL_ERROR, problem.IN_A_ROW), strict=True):
        axis.axhline(limit, color=GREY, linewidth=0.8)
        axis.axvline(PAPER / 1000, color=GREY, linestyle=":")
        axis.set(xlabel="training sequences, thousands")
    axes[0].text(0.3, 0.107, "limit", color="#555555", fontsize=8)
    axes[0].set(ylim=(0, 0.6), ylabel="mean |output - target|", title="error, last 2000 sequences")
    axes[1].set(ylabel="sequences", title="right in a row (the net stops at 2000)")
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    text = "the paper's\nmean"
    axes[1].text(PAPER / 1000 - 1, 1600, text, color="#555555", fontsize=8, ha="right", bbox=box)
    return figure


def one_of_each(seed):
    """Symbols (n, 1, 4): one sequence of each class."""
    symbols, classes = problem.make_batch(np.random.default_rng(seed + 12345), 1, 200)
    return symbols[:, :, [np.argmax(classes[0] == order) for order in range(problem.CLASSES)]]


def run_net(weights, symbols, net=0):
    """The layer after it has read symbols (n, 1, batch) with one net's weights, and the outputs."""
    mine = {name: w[net : net + 1] for name, w in weights.items()}
    layer = problem.hidden_layer("lstm", 1, symbols.shape[2], "paper")
    return layer, problem.forward(layer, mine, symbols)[0][0]


def draw_cells(result, seed):
    """Marks, input gates, cell states and output gates of one trained net, a column a class."""
    symbols = one_of_each(seed)
    layer, o = run_net(result.nets["lstm"], symbols)
    n = len(symbols)
    gates, states = (1 + layer.Z[:n, 0]) / 2, layer.S[1 : n + 1, 0].reshape(n, problem.CELLS, -1)
    figure, axes = plt.subplots(3, 4, figsize=(6.4, 4.6), sharex=True, sharey="row")
    for item, column in enumerate(axes.T):
        for place in np.flatnonzero(np.isin(symbols[:, 0, item], (problem.X, problem.X + 1))):
            mark = "XY"[symbols[place, 0, item] - problem.X]
            for axis in column:
                axis.axvline(place + 1, color=GREY, linewidth=0.7)
            column[0].text(place + 2, 0.9, mark, fontweight="bold")
        for block, colour in enumerate((BLUE, ORANGE)):
            column[0].plot(gates[:, block, item], color=colour, linewidth=1)
            column[2].plot(gates[:, problem.BLOCKS + block, item], color=colour, linewidth=1)
            for cell, style in enumerate(("-", "--")):
                label = f"block {block + 1}, cell {cell + 1}"
                state = states[:, problem.SIZE * block + cell, item]
                column[1].plot(state, style, color=colour, linewidth=1, label=label)
        column[0].set_title(f"{ORDERS[item]}: output {o[item, item]:.2f}", fontsize=9)
        column[2].set_xlabel("step")
    for axis, label in zip(
        axes[:, 0], ("input gates", "cell states s", "output gates"), strict=True
    ):
        axis.set_ylabel(label)
    figure.legend(
        *axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7
    )
    return figure


def draw_memory(result, seed):
    """What the cells hold at the end, by class, of four nets: the two cells that differ most."""
    symbols, classes = problem.make_batch(np.random.default_rng(seed + 54321), 1, 400)
    nets = min(4, len(result.nets["lstm"]["W"]))
    figure, axes = plt.subplots(1, nets, figsize=(6.4, 2.3), squeeze=False)
    for net, axis in enumerate(axes[0]):
        layer, _ = run_net(result.nets["lstm"], symbols, net)
        last = layer.S[len(symbols), 0].reshape(problem.CELLS, -1)
        middle = np.array(
            [last[:, classes[0] == order].mean(1) for order in range(problem.CLASSES)]
        )
        x, y = np.sort(np.argsort(middle.std(0))[-2:])
        for order, colour in enumerate(COLOURS):
            mine = classes[0] == order
            axis.plot(last[x, mine], last[y, mine], ".", color=colour, markersize=3)
            axis.plot([], [], "o", color=colour, label=ORDERS[order])
        axis.set(xlabel=f"s of cell {x + 1}", ylabel=f"s of cell {y + 1}", title=f"net {net + 1}")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def draw_counts():
    """Sequences to the stop of every recorded run, beside the paper's mean."""
    figure, axis = plt.subplots(figsize=(6.4, 2.2))
    runs = recorded("online")
    for name, marker, label in (
        ("sequences", "o", "mean of the run's four nets"),
        ("sequences_median", "|", "their median"),
    ):
        values = [run["metrics"][name] for run in runs]
        axis.plot(
            values, [run["seed"] for run in runs], marker, color=BLUE, markersize=8, label=label
        )
    axis.axvline(PAPER, color=GREY, linestyle="--", label="the paper, mean of 20")
    axis.set(xlim=(0, None), xlabel="training sequences to the stop", ylabel="seed")
    axis.set_yticks([run["seed"] for run in runs])
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"counts": draw_counts()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed, control=False))
    figures |= {
        "learning": draw_learning(result),
        "cells": draw_cells(result, options.seed),
        "memory": draw_memory(result, options.seed),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
