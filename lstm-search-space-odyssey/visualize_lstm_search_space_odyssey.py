"""Draw the pictures of lstm-search-space-odyssey into viz/."""

import argparse
import json
import sys
from pathlib import Path

import lstm_search_space_odyssey as problem
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

PARTS = {
    "V": "vanilla",
    "NIG": "no input gate",
    "NFG": "no forget gate",
    "NOG": "no output gate",
    "NIAF": "no input activation",
    "NOAF": "no output activation",
    "CIFG": "coupled gates",
    "NP": "no peepholes",
    "FGR": "gates see gates",
}


def draw_nets():
    """Test NLL of all nine nets, every recorded seed."""
    figure, axis = plt.subplots(figsize=(6.4, 2.9))
    runs = [run["metrics"] for run in recorded("chorales")]
    low, high = (f([m["V"] for m in runs]) for f in (min, max))
    axis.axvspan(low, high, color=SKY, alpha=0.3, linewidth=0)
    for y, kind in enumerate(problem.KINDS):
        values = [m[kind] for m in runs]
        colour = RED if kind in ("NFG", "NOAF") else BLUE
        axis.plot(values, [y] * len(values), "o", color=colour, alpha=0.7, markersize=5)
    frequencies = np.mean([m["frequencies"] for m in runs])
    axis.axvline(frequencies, color=GREY, linestyle=":")
    axis.text(frequencies, -0.7, "how often pitches sound ", ha="right")
    axis.set_yticks(range(9), [f"{kind}: {name}" for kind, name in PARTS.items()])
    axis.set(ylim=(8.6, -1.1), xlabel="NLL on test chorales [nats a quarter]")
    return figure


def draw_search(seed):
    """Trials of a smaller search by their step, and the shares of variance of the recorded ones."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.7), width_ratios=(1.5, 1))
    config = problem.Config(seed=seed, task="search", replicas=3, hidden=24, epochs=4)
    trials = problem.run(config).trials
    dots = axes[0].scatter(trials["step"], trials["nll"], c=trials["momentum"], s=18)
    axes[0].set(xscale="log", xlabel="step", ylabel="validation NLL [nats]")
    figure.colorbar(dots, ax=axes[0], label="momentum")
    for y, name in enumerate(problem.VARIABLES):
        values = [run["metrics"][f"{name}_share"] for run in recorded("search")]
        axes[1].plot(values, [y] * len(values), "o", color=BLUE, alpha=0.7)
    axes[1].axvline(0, color=GREY, linewidth=0.8)
    axes[1].set_yticks(range(4), problem.VARIABLES)
    axes[1].set(ylim=(3.5, -0.5), xlim=(-0.3, 1), xlabel="share of variance")
    return figure


def draw_cells(seed):
    """How large the cells of three trained nets grow along a long chorale."""
    config = problem.Config(seed=seed, replicas=1, hidden=16, epochs=8)
    result = problem.run(config)
    sets = problem.split(np.random.default_rng(0), problem.read_chorales(), config)
    longest = max(sets[2], key=len)
    x, _, _ = problem.padded([longest])
    stack = problem.Stack(problem.KINDS, config.hidden)
    stack.forward(result.weights, x)
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.3))
    for axis, kind in zip(axes, ("V", "NFG", "NOAF"), strict=True):
        cells = stack.C[1:, problem.KINDS.index(kind), :, 0]
        axis.plot(np.arange(1, len(cells) + 1), cells, linewidth=0.8, color=BLUE, alpha=0.5)
        axis.set(title=f"{kind}:\n{PARTS[kind]}", xlabel="quarter")
    axes[0].set_ylabel("cells c")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"nets": draw_nets()}
    options.out.mkdir(exist_ok=True)
    figures |= {"search": draw_search(options.seed), "cells": draw_cells(options.seed)}
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
