"""Draw the pictures of anbn-anbncn into viz/."""

import argparse
import json
import sys
from pathlib import Path

import anbn_anbncn as problem
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

NAMES = {"anbn": "aⁿbⁿ", "anbncn": "aⁿbⁿcⁿ"}
CELL_COLOURS = (BLUE, ORANGE)


def trace(weights, net, language, n):
    """States (time, cells) and gates i, q, o (3, time, cells) of one net on the string of n."""
    one = {name: w[[net]] for name, w in weights.items()}
    lstm = problem.Peephole(language)
    x, _, _ = problem.strings(language, [(n,) * len(problem.LETTERS[language])])
    lstm.forward(one, x)
    _, C, gates, _ = lstm.kept
    return C[1:, 0, :, 0], gates[[0, 1, 2], :, 0, :, 0]


def draw_runs():
    """How far every recorded ten nets count: their mean and best, beside the paper's."""
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    rows = (
        ("aⁿbⁿ, n to 10", "counters", "anbn", 118, 1000),
        ("aⁿbⁿcⁿ, n to 10", "counters", "anbncn", 28, 52),
        ("aⁿbⁿcⁿ, n to 40", "forty", "anbncn", None, 500),
        ("tanh net, n to 10", "counters", "rnn", None, None),
    )
    for y, (_, variant, language, mean, best) in enumerate(rows):
        metrics = [run["metrics"] for run in recorded(variant)]
        for name, colour, paper, shift in (
            ("mean", BLUE, mean, -0.15),
            ("best", ORANGE, best, 0.15),
        ):
            values = np.maximum([m[f"{language}_{name}"] for m in metrics], 0.7)
            axis.plot(values, [y + shift] * len(values), "o", color=colour, markersize=5, alpha=0.7)
            if paper:
                axis.plot(paper, y + shift, "|", color=colour, markersize=14, markeredgewidth=3)
    axis.plot([], [], "o", color=BLUE, label="ours, mean of ten nets")
    axis.plot([], [], "o", color=ORANGE, label="best of ten")
    axis.plot([], [], "|", color=BLACK, markeredgewidth=3, label="the paper's")
    axis.axvline(problem.Config().longest, color=GREY, linewidth=0.8, linestyle=":")
    axis.set_yticks(range(len(rows)), [row[0] for row in rows])
    axis.set(xscale="log", xlim=(0.6, 1300), ylim=(len(rows) - 0.5, -0.5))
    axis.set_xticks([1, 10, 100, 1000], ["0 or 1", "10", "100", "1000"])
    axis.minorticks_off()
    axis.set_xlabel("run: all n up to this are accepted")
    figure.legend(loc="outside upper center", ncols=3, fontsize=8)
    return figure


def draw_accepted(result):
    """Which n every net accepts, sorted by run; the paper's training set is n to 10."""
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 3.4), sharex=True)
    for axis, (language, name) in zip(axes, NAMES.items(), strict=True):
        good = result.accepted[language]
        good = good[np.argsort(problem.run_of(good))]
        n = np.arange(1, good.shape[1] + 1)
        for row, accepted in enumerate(good):
            starts = [k for k in n[np.flatnonzero(accepted)] if k == 1 or not accepted[k - 2]]
            ends = [k for k in n[np.flatnonzero(accepted)] if k == n[-1] or not accepted[k]]
            for low, high in zip(starts, ends, strict=True):
                axis.plot([max(low - 0.5, 0.7), high + 0.5], [row, row], color=BLUE, linewidth=4)
        axis.axvspan(0.7, 10.5, color=YELLOW, alpha=0.5, linewidth=0)
        axis.set(ylabel="net", yticks=[], title=name, xscale="log", xlim=(0.7, 1100))
    axes[1].set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    axes[1].minorticks_off()
    axes[1].set_xlabel("n (yellow: the training set)")
    return figure


def draw_cells(result):
    """Cells and gates of the net that counts furthest, on a string of n = 60."""
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 4.0), sharex="col")
    for column, (language, name) in zip(axes.T, NAMES.items(), strict=True):
        best = int(problem.run_of(result.accepted[language]).argmax())
        n = min(60, int(problem.run_of(result.accepted[language])[best]))
        states, gates = trace(result.nets[language], best, language, n)
        for cell in range(states.shape[1]):
            colour = CELL_COLOURS[cell]
            column[0].plot(states[:, cell], color=colour, label=f"cell {cell + 1}")
            for gate, style in zip(gates[[0, 2]], ("-", ":"), strict=True):
                column[1].plot(gate[:, cell], style, color=colour, linewidth=1)
        for k in range(1, len(problem.LETTERS[language])):
            for axis in column:
                axis.axvline(k * n + 0.5, color=GREY, linewidth=0.8)
        column[0].set_title(f"{name}, n = {n}")
        column[0].legend(fontsize=8)
        column[1].set(xlabel="symbol", ylim=(-0.03, 1.03))
    axes[0, 0].set_ylabel("state c")
    axes[1, 0].set_ylabel("gates: input —, output ···")
    return figure


def draw_learning(result):
    """Smallest margin of every net in training; above 0 the whole set is accepted."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.6))
    history = {name: np.array(column) for name, column in result.history.items()}
    shown = (("anbn", "aⁿbⁿ"), ("anbncn", "aⁿbⁿcⁿ"), ("rnn", "aⁿbⁿcⁿ, tanh nets"))
    for axis, (language, name) in zip(axes, shown, strict=True):
        for net in range(result.metrics["nets"]):
            mine = (history["language"] == language) & (history["net"] == net)
            axis.plot(history["updates"][mine], history["margin"][mine], linewidth=1)
        axis.axhline(0, color=GREY, linewidth=0.8)
        axis.set(xlabel="updates", title=name, ylim=(-3, 5))
    axes[0].set_ylabel("smallest margin")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"runs": draw_runs()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures |= {
        "accepted": draw_accepted(result),
        "cells": draw_cells(result),
        "learning": draw_learning(result),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
