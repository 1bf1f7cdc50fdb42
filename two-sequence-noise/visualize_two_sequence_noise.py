"""Draw the pictures of two-sequence-noise into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import two_sequence_noise as problem

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

CLASS_COLOURS = (BLUE, RED)  # class 1, which begins with +1, and class 2
# Variant, its name in the picture, and the paper's mean of sequences (tables 4 to 6).
STOPS = (
    ("noise_targets", "3c, N = 3", 269_650),
    ("first_only", "3c, N = 1", 565_640),
    ("latch", "3a, N = 3", 39_850),
    ("latch_faithful", "3a, N = 3, paper's rule", 39_850),
    ("noisy_signal", "3b, N = 3", 43_250),
)


def draw_outputs(result):
    """Histograms of what an LSTM, the best random net and a tanh net answer in the test."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.4), sharex=True)
    first = result.test["first"]
    kinds = (("lstm", "LSTM"), ("guess", "best of 50,000 random nets"), ("rnn", "tanh net"))
    for axis, (kind, name) in zip(axes, kinds, strict=True):
        o = result.test[kind][0]
        for side, colour in zip((first, ~first), CLASS_COLOURS, strict=True):
            axis.hist(o[side], np.linspace(0, 1, 51), color=colour, alpha=0.7)
        for target in problem.TASKS["3c"].targets:
            axis.axvline(target, color=BLACK, linewidth=0.8, linestyle=":")
        axis.set(xlabel="output", yticks=[], title=name)
    axes[0].set_ylabel("test sequences")
    return figure


def draw_precision(result):
    """The share of random nets whose mean difference in 3c is below a limit, limit by limit."""
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    errors = np.sort(result.guesses["errors"])
    share = np.arange(1, len(errors) + 1) / len(errors)
    axis.plot(errors, share, color=ORANGE, label="random nets, eight sequences")
    solves = result.guesses["solves"].mean()
    axis.axhline(solves, color=GREY, linestyle="--", linewidth=1)
    axis.text(0.0032, solves * 1.3, "share that solves 3a, where 0.2 is near enough", fontsize=8)
    found = problem.judge(result.test["lstm"], result.test["first"], "3c")[1]
    axis.plot(found, [1.0] * len(found), "|", color=BLUE, markersize=10, label="LSTMs, test")
    axis.axvline(0.015, color=GREY, linestyle=":")
    axis.text(0.0155, 2e-5, "the paper's limit", fontsize=8)
    axis.set(xscale="log", yscale="log", xlim=(0.003, 0.6), ylim=(1e-5, 2))
    axis.set(xlabel="mean difference from the target, 3c", ylabel="share of nets")
    axis.legend(loc="center", bbox_to_anchor=(0.53, 0.75))
    return figure


def draw_cells(result, seed):
    """Input, states and output gates of one net on a sequence of each class."""
    config = problem.Config(seed=seed)
    x, first = problem.make_batch(np.random.default_rng(seed + 4321), 1, 20, config)
    chosen = [int(first[0].argmax()), int(first[0].argmin())]
    layer = problem.hidden_layer("lstm", 1, 2, config.steps)
    weights = {name: w[[0]] for name, w in result.nets["lstm"].items()}
    o, _ = problem.forward(layer, weights, x[..., chosen])
    n = len(x)
    inputs = x[:, 0, 0][:, chosen].T
    states = layer.S[1 : n + 1, 0, :, 0].transpose(2, 0, 1)
    gates = ((1 + layer.Z[:n, 0, layer.IN]) / 2).transpose(2, 0, 1)
    figure, axes = plt.subplots(3, 2, figsize=(6.4, 4.0), sharex=True, sharey="row")
    for item, column in enumerate(axes.T):
        column[0].plot(inputs[item], color=BLACK, linewidth=0.8)
        column[0].axvspan(-0.5, config.signal - 0.5, color=YELLOW, alpha=0.6)
        for cell, colour in enumerate((BLUE, ORANGE, GREEN)):
            column[1].plot(states[item][:, cell], color=colour, label=f"cell {cell + 1}")
            column[2].plot(gates[item][:, cell], color=colour, linewidth=1)
        column[0].set_title(f"class {item + 1}: output {o[0, item]:.3f}")
        column[2].set_xlabel("step")
    for axis, label in zip(axes[:, 0], ("input", "cell states s", "input gates"), strict=True):
        axis.set_ylabel(label)
    handles = axes[1, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def draw_stops():
    """Sequences to the stop of every recorded run, beside the paper's means."""
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    for y, (variant, _, paper) in enumerate(STOPS):
        values = [run["metrics"]["sequences"] for run in recorded(variant)]
        axis.plot(values, [y] * len(values), "o", color=BLUE, alpha=0.7)
        axis.plot(paper, y, "|", color=BLACK, markersize=16, markeredgewidth=2)
    axis.plot([], [], "o", color=BLUE, label="ours, mean of a run's nets")
    axis.plot([], [], "|", color=BLACK, markeredgewidth=2, label="the paper's mean")
    axis.set_yticks(range(len(STOPS)), [name for _, name, _ in STOPS])
    axis.set(xscale="log", xlabel="training sequences to the stop", ylim=(len(STOPS) - 0.5, -0.5))
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"stops": draw_stops()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures |= {
        "outputs": draw_outputs(result),
        "precision": draw_precision(result),
        "cells": draw_cells(result, options.seed),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
