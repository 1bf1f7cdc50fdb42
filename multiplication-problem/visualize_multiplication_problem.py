"""Draw the pictures of multiplication-problem into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import multiplication_problem as problem

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

BLOCK_COLOURS = (BLUE, ORANGE)
PAPER = {140: 482_000, 13: 1_273_000}  # mean sequences to both moments, table 8
ONE_FACTOR = 0.125  # mean |error| of the best answer that knows one factor of two


def curves(result, name):
    """Of each net: sequences in thousands, and a column of the history."""
    history = {column: np.array(values) for column, values in result.history.items()}
    for net in np.unique(history["net"]):
        mine = history["net"] == net
        yield history["sequences"][mine] / 1000, history[name][mine]


def draw_learning(result):
    """Mean |error| and wrong ones of the latest 2000 training sequences, net by net."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.0), sharex=True)
    for axis, name in zip(axes, ("error", "wrong"), strict=True):
        for sequences, values in curves(result, name):
            axis.plot(sequences, values, linewidth=1.2)
        axis.set(xlabel="training sequences, thousands", yscale="log", xlim=(0, None))
    end = axes[0].get_xlim()[1]
    axes[0].axhline(ONE_FACTOR, color=GREY, linewidth=0.8, linestyle=":")
    axes[0].text(end, ONE_FACTOR * 1.04, "one factor known", fontsize=8, ha="right")
    axes[0].set(ylabel="mean |output - target|", title="error, latest 2000")
    axes[0].set_yticks([0.01, 0.02, 0.05, 0.1, 0.2], ["0.01", "0.02", "0.05", "0.1", "0.2"])
    for rule in PAPER:
        axes[1].axhline(rule, color=GREY, linewidth=0.8, linestyle=":")
        axes[1].text(end, rule * 1.08, f"{rule} of 2000", fontsize=8, ha="right")
    axes[1].set(ylabel="off by more than 0.04", title="wrong, latest 2000")
    axes[1].set_yticks([10, 30, 100, 300, 1000, 2000], ["10", "30", "100", "300", "1000", "2000"])
    for axis in axes:
        axis.minorticks_off()
    return figure


def one_net(weights, net):
    """The weights of one net of several."""
    return {name: w[[net]] for name, w in weights.items()}


def run_net(weights, x):
    """The layer after a forward pass of one net, and its outputs (batch,)."""
    layer = problem.hidden_layer("lstm", 1, x.shape[3], "paper")
    o, _ = problem.forward(layer, weights, x)
    return layer, o[0]


def grid_of_factors(rng, count):
    """Sequences with the same noise and marks at 8 and 40, and all pairs of count factors."""
    factors = np.linspace(0, 1, count)
    while True:
        x, _ = problem.make_batch(rng, 1, 1)
        if len(np.flatnonzero(x[:, 0, 1, 0] == 1)) == 2:
            break
    x = np.repeat(x, count * count, 3)
    x[1:-1, 0, 1] = 0
    for place, values in ((8, np.repeat(factors, count)), (40, np.tile(factors, count))):
        x[place, 0] = values, np.ones(count * count)
    return x, factors


def draw_square(result, seed):
    """The answer of net 1 over the square of factors, the product, and where it is wrong."""
    count = 41
    x, factors = grid_of_factors(np.random.default_rng(seed + 99), count)
    _, o = run_net(one_net(result.nets["lstm"], 0), x)
    answer, product = o.reshape(count, count), np.outer(factors, factors)
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.5), sharey=True)
    off = np.abs(answer - product)
    parts = ((answer, 1, "answer"), (product, 1, "product"), (off, 0.08, "|difference|"))
    for axis, (values, top, title) in zip(axes, parts, strict=True):
        image = axis.imshow(values, origin="lower", extent=(0, 1, 0, 1), vmin=0, vmax=top)
        lines = (0.1, 0.3, 0.5, 0.7, 0.9) if top == 1 else (problem.TOLERANCE,)
        axis.contour(factors, factors, values, lines, colors="white", linewidths=0.8)
        figure.colorbar(image, ax=axis, shrink=0.7)
        axis.set(title=title, xlabel="second factor", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes[0].set_ylabel("first factor")
    return figure


def draw_cells(result, seed):
    """Input gates and states of net 1 for small and large factors on the same noise."""
    x, _ = grid_of_factors(np.random.default_rng(seed + 99), 2)
    pairs = np.array([(0.2, 0.2), (0.9, 0.2), (0.2, 0.9), (0.9, 0.9)])
    x[8, 0, 0], x[40, 0, 0] = pairs.T
    layer, o = run_net(one_net(result.nets["lstm"], 0), x)
    n = len(x)
    gates, states = (1 + layer.Z[:n, 0, layer.IN]) / 2, layer.S[1 : n + 1, 0]
    figure, axes = plt.subplots(3, 4, figsize=(6.4, 4.4), sharex=True, sharey="row")
    for item, column in enumerate(axes.T):
        for axis in column:
            for place in (8, 40):
                axis.axvline(place, color=GREY, linewidth=0.8, zorder=0)
        for block, colour in enumerate(BLOCK_COLOURS):
            column[0].plot(gates[:, block, item], color=colour, linewidth=1)
            for cell, style in enumerate(("-", "--")):
                label = f"block {block + 1}, cell {cell + 1}"
                state = states[:, block, cell, item]
                column[1 + block].plot(state, style, color=colour, label=label)
        first, second = pairs[item]
        title = f"{first:g} · {second:g} = {first * second:.2f}\noutput {o[item]:.2f}"
        column[0].set_title(title, fontsize=9)
        column[2].set_xlabel("step")
    axes[0, 0].set(ylabel="input gates", ylim=(-0.03, 1.03))
    axes[1, 0].set_ylabel("states, block 1")
    axes[2, 0].set_ylabel("states, block 2")
    handles = [axes[row, 0].get_legend_handles_labels() for row in (1, 2)]
    handles = [sum(parts, []) for parts in zip(*handles, strict=True)]
    figure.legend(*handles, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def draw_outputs(result):
    """Output against target in the test, for an LSTM at both moments and the better tanh net."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.6), sharey=True)
    target = result.test["target"]
    better = np.abs(result.test["rnn"] - target).mean(1).argmin()
    rows = (result.test[140][0], result.test[13][0], result.test["rnn"][better])
    titles = ("LSTM, at 140 of 2000", "LSTM, at 13 of 2000", "tanh net")
    for axis, row, title in zip(axes, rows, titles, strict=True):
        axis.fill_between([0, 1], [-0.04, 0.96], [0.04, 1.04], color=YELLOW, alpha=0.5, linewidth=0)
        axis.scatter(target, row, s=2, color=BLUE, alpha=0.4, linewidths=0)
        wrong = int((np.abs(row - target) > problem.TOLERANCE).sum())
        axis.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), xlabel="target", aspect="equal")
        axis.set_title(f"{title}\n{wrong:,} of {len(target):,} wrong")
    axes[0].set_ylabel("output")
    return figure


def draw_counts():
    """Sequences to both moments in every recorded run, beside the paper's means."""
    figure, axis = plt.subplots(figsize=(6.4, 2.0))
    for y, (rule, paper) in enumerate(PAPER.items()):
        values = [run["metrics"][f"sequences_{rule}"] for run in recorded("product")]
        axis.plot(values, [y] * len(values), "o", color=BLUE, alpha=0.7)
        axis.plot(paper, y, "|", color=BLACK, markersize=18, markeredgewidth=2)
    axis.plot([], [], "o", color=BLUE, label="ours, mean of a run's four nets")
    axis.plot([], [], "|", color=BLACK, markeredgewidth=2, label="the paper's mean")
    axis.set_yticks(range(2), [f"fewer than {rule}\nof 2000 wrong" for rule in PAPER])
    axis.set(xscale="log", xlabel="training sequences", ylim=(1.6, -0.6))
    ticks = (50_000, 100_000, 200_000, 500_000, 1_000_000)
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
        "square": draw_square(result, options.seed),
        "cells": draw_cells(result, options.seed),
        "outputs": draw_outputs(result),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
