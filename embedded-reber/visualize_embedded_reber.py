"""Draw the pictures of embedded-reber into viz/."""

import argparse
import json
import sys
from pathlib import Path

import embedded_reber as problem
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

# Kind, its name in the pictures, its colour, the paper's mean of strings (table 1; None: never).
KINDS = (
    ("lstm", "LSTM", BLUE, 8_440),
    ("nogate", "no output gates", ORANGE, None),
    ("full", "tanh, full gradient", GREEN, None),
    ("elman", "tanh, Elman's", RED, None),
)


def draw_counts(result):
    """Strings to success of every net, kind by kind; those that failed on the right."""
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    most, rng, labels = problem.Config().strings, np.random.default_rng(0), []
    for y, (kind, name, colour, paper) in enumerate(KINDS):
        counts = result.counts[kind][0]
        height = y + rng.uniform(-0.25, 0.25, len(counts))
        solved = counts > 0
        labels.append(f"{name}: {solved.sum()} of {len(counts)}")
        axis.plot(counts[solved], height[solved], "o", color=colour, markersize=4, alpha=0.7)
        right = most * rng.uniform(1.06, 1.14, (~solved).sum())
        axis.plot(right, height[~solved], "x", color=colour, markersize=4)
        if paper:
            axis.plot(paper, y, "|", color=BLACK, markersize=24, markeredgewidth=2)
            axis.text(paper, y - 0.42, "paper's mean", fontsize=7, ha="center")
    axis.axvline(most * 1.03, color=GREY, linewidth=0.8)
    axis.set(xlim=(0, most * 1.16), ylim=(len(KINDS) - 0.5, -0.7))
    axis.set_yticks(range(len(KINDS)), labels)
    axis.set_xticks([0, 10_000, 20_000, 30_000], ["0", "10,000", "20,000", "never"])
    axis.set_xlabel("strings to success")
    return figure


def draw_lengths(result):
    """Share of unseen strings with the right second letter, by the length of the string."""
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    bins = ((9, 12), (13, 15), (16, 19), (20, 24), (25, 99))
    for kind, name, colour, _ in KINDS:
        lengths, right = [], []
        nets = problem.Nets(kind, "direct", 1, np.random.default_rng(0))
        for k in range(len(result.nets[kind]["W"])):
            symbols, states = (rows[k % problem.PAIRS, 1] for rows in result.sets)
            one = {key: w[[k]] for key, w in result.nets[kind].items()}
            o = problem.test(nets, one, symbols, states)[2]
            lengths.append((symbols >= 0).sum(1))
            right.append(problem.second_letter(o, symbols)[0])
        lengths, right = np.concatenate(lengths), np.concatenate(right)
        share = [right[(lengths >= low) & (lengths <= high)].mean() for low, high in bins]
        axis.plot(range(len(bins)), share, "o-", color=colour, label=name)
    axis.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    axis.text(4, 0.46, "guessing between T and P", fontsize=8, ha="right")
    labels = [f"{low} to {high}" if high < 99 else f"{low} and more" for low, high in bins]
    axis.set_xticks(range(len(bins)), labels)
    axis.set(ylim=(0.3, 1.03), xlabel="length of the string", ylabel="second letter right")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_cells(result):
    """What net 1 keeps on a string and on the same with the other letter, and its output gates."""
    symbols = result.sets[0][0, 1]
    row = symbols[(symbols >= 0).sum(1) >= 16][0]
    row = row[row >= 0]
    other = row.copy()
    other[[1, -2]] = 3 - row[1]  # T is 1 and P is 2
    nets = problem.Nets("lstm", "direct", 1, np.random.default_rng(0))
    x = problem.ONE_HOT[np.stack([row, other])[:, :-1]].transpose(1, 2, 0)[:, None]
    nets.forward(x, {key: w[[0]] for key, w in result.nets["lstm"].items()})
    n, layer = len(x), nets.layer
    states = 2 * problem.logistic(layer.S[1 : n + 1, 0, :, 0]) - 1
    gates = (1 + layer.Z[:n, 0, layer.OUT, 0]) / 2
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 4.6))
    parts = ((states[..., 0], -1, row), (states[..., 1], -1, other), (gates, 0, row))
    texts = (
        "what the cells keep, h(s)",
        "the same, the other letter",
        "output gates, first string",
    )
    for axis, (values, low, string), text in zip(axes, parts, texts, strict=True):
        image = axis.imshow(values.T, vmin=low, vmax=1, aspect="auto")
        axis.set_xticks(range(n), [problem.SYMBOLS[s] for s in string[:-1]])
        axis.set_yticks([0, 7], ["1", "8"])
        axis.set(title=text, ylabel="cell")
        for place in (1, n - 1):
            axis.get_xticklabels()[place].set(color=RED, fontweight="bold")
        figure.colorbar(image, ax=axis)
    return figure


def draw_drift(seed):
    """Mean |state| at the end of strings while two nets learn, and what of an error passes h."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.6))
    sets = problem.draw_sets(np.random.default_rng(seed).spawn(5)[0])
    symbols, states = (rows[0, 1] for rows in sets)
    ends = (symbols >= 0).sum(1) - 1
    for net, rate, colour in (("direct", 0.7, BLUE), ("3-2", 0.5, RED)):
        config = problem.Config(seed=seed, net=net, rate=rate, nets=6, strings=5000, controls=False)
        points, tester = [], problem.Nets("lstm", net, 1, np.random.default_rng(0))

        def watch(seen, total, kind, solved, weights, points=points, tester=tester):
            s = []
            for k in range(len(weights["W"])):
                one = {key: w[[k]] for key, w in weights.items()}
                problem.test(tester, one, symbols, states)
                s.append(tester.layer.S[ends, 0, ..., np.arange(len(ends))])
            h = np.tanh(np.array(s) / 2)
            points.append((seen, np.abs(s).mean(), np.median((1 - h * h) / 2)))

        problem.run(config, watch)
        seen, size, slope = np.array(points).T
        name = {"direct": "with direct weights", "3-2": "the paper's 3-2"}[net]
        axes[0].plot(seen, size, color=colour, label=name)
        axes[1].plot(seen, slope, color=colour)
    axes[0].set(xlabel="training strings", ylabel="mean |s| at the end", ylim=(0, None))
    axes[1].set(xlabel="training strings", ylabel="median slope h'(s)", yscale="log")
    axes[0].legend(fontsize=8)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures = {
        "counts": draw_counts(result),
        "lengths": draw_lengths(result),
        "cells": draw_cells(result),
        "drift": draw_drift(options.seed),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
