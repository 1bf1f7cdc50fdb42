"""Draw the pictures of noise-free-long-lag into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import noise_free_long_lag as problem

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

# The paper's means of sequences in 2c (table 3), by q at p = q and by p at q = 1000.
BY_LAG = {50: 30_000, 100: 31_000, 200: 33_000, 500: 38_000, 1000: 49_000}
BY_SYMBOLS = {50: 203_000, 100: 135_000, 200: 75_000, 500: 49_000, 1000: 49_000}
KEYS = {"x": BLUE, "y": RED}


def counted(q, p):
    """Sequences to success of every recorded run at q and p: medians of a run's nets."""
    variant = "lag" if (q, p) in problem.PARTS["all"][1] else "table3"
    return [run["metrics"][f"sequences_2c_{q}_{p}"] for run in recorded(variant)]


def draw_counts():
    """Sequences to success in 2c by lag, and by the number of distractor symbols at q = 1000."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.0), sharey=True)
    pairs = ([(q, q) for q in BY_LAG], [(1000, p) for p in BY_SYMBOLS])
    labels = ("least lag q (as many symbols)", "distractor symbols p (q = 1000)")
    papers = (BY_LAG, BY_SYMBOLS)
    for axis, group, paper, label in zip(axes, pairs, papers, labels, strict=True):
        axis.plot(list(paper), list(paper.values()), "s--", color=GREY, label="the paper's mean")
        medians = []
        for place, pair in zip(paper, group, strict=True):
            values = counted(*pair)
            axis.plot([place] * len(values), values, "o", color=BLUE, markersize=4, alpha=0.6)
            medians.append(np.median(values))
        axis.plot(list(paper), medians, color=BLUE, label="ours, a run's median and their median")
        axis.set(xscale="log", yscale="log", xlabel=label, ylim=(1e3, 4e5))
        axis.set_xticks(list(paper), [str(place) for place in paper])
        axis.minorticks_off()
    axes[0].set_ylabel("training sequences to success")
    axes[0].set_yticks([1e3, 1e4, 1e5], ["1,000", "10,000", "100,000"])
    axes[0].minorticks_off()
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=2, fontsize=8)
    return figure


def draw_learning(result):
    """Largest error of any output, net by net, in 2a and in 2c at both lags."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.8), sharey=True)
    history = {name: np.array(column) for name, column in result.history.items()}
    shown = (("2a", problem.NEAR), ("2c 50 50", problem.NEAR_2C), ("2c 1000 1000", problem.NEAR_2C))
    titles = ("2a, p = 100", "2c, q = p = 50", "2c, q = p = 1000")
    for axis, (task, near), title in zip(axes, shown, titles, strict=True):
        for net in range(result.metrics["nets"]):
            mine = (history["task"] == task) & (history["net"] == net)
            error = history["error"][mine]
            until = np.argmax(error < near) + 1
            axis.plot(history["sequences"][mine][:until], error[:until], linewidth=1)
        axis.axhline(near, color=GREY, linewidth=0.8, linestyle=":")
        axis.set(xlabel="sequences", ylim=(0, 1.02), title=title, xlim=(0, None))
    added = result.metrics["cell_added"]
    axes[0].axvline(added, color=BLACK, linewidth=0.8)
    axes[0].text(added, 0.02, " cell added", fontsize=8)
    axes[0].set_ylabel("largest |error|")
    return figure


def trace(result, q, p, net, seed):
    """States and gates of one net on a sequence with x and one with y: symbols, s, y_in."""
    symbols, classes = problem.make_batch_2c(np.random.default_rng(seed + 77), 1, 30, q, p)
    symbols = symbols[:, :, [int(classes[0].argmin()), int(classes[0].argmax())]]
    weights = {name: w[[net]] for name, w in result.nets[f"2c {q} {p}"].items()}
    layer = problem.MemoryBlocks(1, problem.UNITS, problem.BLOCKS, 1, 2, len(symbols))
    problem.forward_2c(layer, weights, symbols, problem.offset_of(q))
    n = len(symbols)
    return layer.S[1 : n + 1, 0, :, 0], (1 + layer.Z[:n, 0, layer.IN]) / 2


def draw_cells(result, seed):
    """Both cells' states and input gates over a thousand steps, in a sequence with x and with y."""
    states, gates = trace(result, 1000, 1000, 0, seed)
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 3.6), sharex=True, sharey="row")
    for cell, column in enumerate(axes.T):
        for item, (key, colour) in enumerate(KEYS.items()):
            column[0].plot(states[:, cell, item], color=colour, label=f"second symbol {key}")
            column[1].plot(gates[:, cell, item], color=colour, linewidth=0.8, alpha=0.7)
        column[0].axhline(0, color=GREY, linewidth=0.8)
        column[0].set_title(f"cell {cell + 1}")
        column[1].set(xlabel="step", yscale="log", ylim=(1e-4, 1))
    axes[0, 0].set_ylabel("state s")
    axes[1, 0].set_ylabel("input gate")
    axes[0, 0].legend(fontsize=8)
    return figure


def arriving(weights, p):
    """Share of an error at the unit's last output that arrives k steps before it, (k, nets)."""
    nets = len(weights["r"])
    inputs = np.tile(np.concatenate([[p], np.arange(p - 1)]), (nets, 1))
    y, _ = problem.forward_unit(weights, inputs)
    slopes = (y[1:] * (1 - y[1:]) * weights["r"])[::-1]
    return np.concatenate([np.ones((1, nets)), np.cumprod(np.abs(slopes[:-1]), 0)])


def draw_vanishing(result):
    """How much of an error at the last step arrives k steps earlier: cell, and logistic units."""
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    p = max(int(name.split()[1]) for name in result.nets if name.startswith("unit"))
    steps = np.arange(1, p + 1)
    axis.plot(steps, np.ones(p), color=BLUE, linewidth=2, label="memory cell")
    shares = np.maximum(arriving(result.nets[f"unit {p}"], p), 1e-30)
    for share, alpha, colour in zip(shares.T, problem.ALPHAS, (ORANGE, RED, PINK), strict=True):
        axis.plot(steps, share, color=colour, label=f"logistic unit, rate {alpha:g}")
    axis.axvline(p, color=GREY, linewidth=0.8)
    axis.text(0.95 * p, 1e-10, "the first symbol", fontsize=8, rotation=90, ha="right", va="center")
    axis.set(xscale="log", yscale="log", ylim=(1e-16, 1e2), xlim=(1, 1.05 * p))
    axis.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    axis.minorticks_off()
    axis.set_xlabel("steps back from the end")
    axis.set_ylabel("share of the error")
    axis.legend(fontsize=8, loc="center", bbox_to_anchor=(0.6, 0.55))
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"counts": draw_counts()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures |= {
        "learning": draw_learning(result),
        "cells": draw_cells(result, options.seed),
        "vanishing": draw_vanishing(result),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
