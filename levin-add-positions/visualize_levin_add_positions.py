"""Draw the pictures of levin-add-positions into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import levin_add_positions as problem
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


RUNS = 2_750_000  # of the probabilistic search that is shown
PAPER = (3.92e-16, 502)  # probability and steps of the program that the paper lists


def draw_phases(history):
    """Programs that LSEARCH runs in each phase, first runs and resumed ones."""
    figure, axis = plt.subplots(figsize=(6.4, 3))
    phases = np.array(history["phase"])
    for offset, name, colour in ((-0.2, "first run", BLUE), (0.2, "resumed", ORANGE)):
        axis.bar(phases + offset, history[name], 0.4, color=colour, label=name)
    last = phases[-1]
    axis.annotate(
        "a program fits:\nthe search ends",
        (last, history["first run"][-1]),
        (last - 9, history["first run"][-1] * 0.3),
        arrowprops={"arrowstyle": "->"},
    )
    axis.set(yscale="log", xlim=(phases[0] + 5.3, last + 0.7), ylabel="programs run")
    axis.set_xlabel("phase $k$: program $p$ may take $2^k P(p)$ steps")
    axis.legend(loc="upper left")
    return figure


def draw_fits(found, sampled, seed):
    """Probability and run time of the programs that fit."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    groups = {"writes the ramp": (GREEN, "o", True), "fits the examples only": (RED, "X", False)}
    for name, (colour, marker, general) in groups.items():
        shown = [fit for fit in sampled if (fit[2].weights == problem.SOLUTION) == general]
        label = f"{name}: {len(shown)} of {RUNS:,} runs, seed {seed}"
        x, y = [fit[1] for fit in shown], [fit[2].steps for fit in shown]
        axis.plot(x, y, marker, color=colour, label=label, linestyle="none")
    P, state = found[0]
    axis.plot(P, state.steps, "*", color=BLUE, markersize=12, label="found by LSEARCH")
    axis.plot(*PAPER, "D", color=ORANGE, label="the program that the paper lists")
    axis.set(xscale="log", xlabel="probability $P(p)$ of the program", ylabel="steps")
    axis.set_ylim(200, 1100)
    axis.legend(loc="upper left", fontsize=8)
    return figure


def draw_counts(runs):
    """Fits of probabilistic search in every recorded seed, with the paper's rate."""
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    seeds = np.array([run["seed"] for run in runs])
    fits = np.array([run["metrics"]["pls_fits"] for run in runs])
    general = np.array([run["metrics"]["pls_general"] for run in runs])
    axis.bar(seeds, general, color=GREEN, label="writes the ramp")
    axis.bar(seeds, fits - general, bottom=general, color=RED, label="fits the examples only")
    rate = 10 * runs[0]["config"]["runs"] / problem.PAPER_RUNS
    axis.axhline(rate, color=BLACK, linestyle=":", label="the paper's ten, spread evenly")
    axis.set(xlabel="seed", ylabel=f"fits in {runs[0]['config']['runs']:,} runs", xticks=seeds)
    axis.set_ylim(0, fits.max() * 1.5)
    axis.legend(ncols=3, fontsize=8)
    return figure


def draw_weights(result_weights, controls):
    """The weights of the found program beside those of the controls."""
    names = ["delta rule from zero", "delta rule from random", "with weight decay", "minimum norm"]
    rows = {"found program": result_weights, **{name: controls[name] for name in names}}
    figure, axes = plt.subplots(len(rows), 1, figsize=(6.4, 5), sharex=True)
    for axis, (name, weights) in zip(axes, rows.items(), strict=True):
        axis.bar(np.arange(100), weights, 1.0, color=GREEN if name == "found program" else GREY)
        axis.plot([0, 99], [0, 99], color=BLACK, linewidth=0.8, linestyle=":")
        axis.set(title=name, ylim=(-5, 105), ylabel="weight")
    axes[-1].set_xlabel("input (nine of them are on in some example); dotted: $w_i = i$")
    return figure


def draw_errors(result_weights, controls):
    """How far the answers to the test inputs are off."""
    inputs = problem.test_inputs(problem.PAPER_EXAMPLES)
    targets = inputs.sum(1)
    figure, axis = plt.subplots(figsize=(6.4, 3))
    bins = np.arange(0, 301, 5)
    for name, colour in (("delta rule from zero", BLUE), ("with weight decay", ORANGE)):
        off = np.abs(controls[name][inputs].sum(1) - targets)
        right = int((off < 0.5).sum())
        label = f"{name}: {right:,} of {len(inputs):,} right"
        axis.hist(off, bins, histtype="step", linewidth=1.5, color=colour, label=label)
    off = np.abs(result_weights[inputs].sum(1) - targets)
    label = f"found program: {int((off < 0.5).sum()):,} right"
    axis.bar(0, 2e5, 4, color=GREEN, label=label)
    axis.set(xlabel="distance of the answer from the target", ylabel="test inputs", ylim=(0, 9000))
    axis.legend()
    return figure


def main():
    options = figure_options(__doc__, "viz")
    runs = recorded("searches")
    found, history = problem.levin_search(problem.PAPER_EXAMPLES, 32)
    rng = np.random.default_rng(options.seed).spawn(4)
    sampled, _ = problem.split_search(rng[1], problem.PAPER_EXAMPLES, RUNS)
    controls = problem.train_controls(rng[2], problem.PAPER_EXAMPLES)
    weights = np.array(found[0][1].weights)
    figures = {
        "phases": draw_phases(history),
        "fits": draw_fits(found, sampled, options.seed),
        "counts": draw_counts(runs),
        "weights": draw_weights(weights, controls),
        "errors": draw_errors(weights, controls),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
