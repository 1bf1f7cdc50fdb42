"""Draw the pictures of levin-count-inputs into viz/."""

import argparse
import json
from pathlib import Path

import levin_count_inputs as problem
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
    """Options of a figure script: seed, and out, a path that lies beside the script unless it is given."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}\n")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the run that is shown (default 0)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).resolve().parent / out,
        metavar="PATH",
        help=f"default {out}",
    )
    options = parser.parse_args()
    if options.seed < 0:
        parser.error(f"argument --seed: must be 0 or more, got {options.seed}")
    return options


# end idiom


def draw_phases(result):
    """Programs that LSEARCH runs in each phase, first tried and resumed."""
    figure, axis = plt.subplots(figsize=(6.4, 3))
    phases = range(result.tested[-1][0] + 1)
    for offset, resumed, colour, label in (
        (-0.2, False, BLUE, "first tried"),
        (0.2, True, ORANGE, "resumed"),
    ):
        counts = [
            sum(row[0] == phase and row[5] == resumed for row in result.tested) for phase in phases
        ]
        axis.bar(np.array(phases) + offset, counts, 0.4, color=colour, label=label)
    axis.set(
        yscale="log",
        xticks=range(0, len(phases), 2),
        xlabel=r"phase $k$: program $p$ may take $2^k P(p)$ steps",
        ylabel="programs run",
    )
    axis.legend(loc="upper left")
    return figure


def draw_cloud(result):
    """All enumerated programs by probability and run time; those that fit are coloured."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    rows = np.array([row[:2] for row in result.enumerated])
    good = np.array([row[3] for row in result.enumerated])
    jitter = np.random.default_rng(0).uniform(0.97, 1.03, rows.shape)
    x, y = (np.maximum(rows, [0, 1]) * jitter).T
    axis.plot(
        x[~good],
        y[~good],
        ".",
        color=GREY,
        markersize=2,
        label=f"{(~good).sum():,} programs that do not fit",
    )
    axis.plot(
        x[good],
        y[good],
        "o",
        color=RED,
        markersize=4,
        label=f"{good.sum():,} that fit the three examples",
    )
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="probability $P(p)$ of the program",
        ylabel="steps (limit 1,000)",
        ylim=(0.8, 4000),
    )
    axis.legend(loc="upper right")
    return figure


def draw_weights(result):
    """The weights of the found program beside those of the controls."""
    names = ["delta rule from zero", "with weight decay", "minimum norm"]
    rows = {"found program": result.weights, **{name: result.controls[name] for name in names}}
    figure, axes = plt.subplots(len(rows), 1, figsize=(6.4, 4.4), sharex=True)
    for axis, (name, weights) in zip(axes, rows.items(), strict=True):
        axis.bar(np.arange(100), weights, 1.0, color=GREEN if name == "found program" else GREY)
        axis.set(title=name, ylim=(-0.2, 1.2), ylabel="weight")
    axes[-1].set_xlabel("input")
    return figure


def draw_accuracy(result):
    """Right answers on the 161,697 test inputs."""
    inputs = problem.all_inputs()
    rows = {"found program": result.weights, **result.controls}
    total = len(inputs) - 3
    shares = [
        1 - problem.test_errors(weights, inputs, problem.PAPER_EXAMPLES) / total
        for weights in rows.values()
    ]
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    axis.barh(list(rows), np.maximum(shares, 1e-6), color=[GREEN] + [GREY] * (len(rows) - 1))
    for i, share in enumerate(shares):
        axis.text(
            max(share, 1e-6) * 1.15, i, f"{round(share * total):,} right", va="center", fontsize=8
        )
    axis.set(xscale="log", xlim=(1e-6, 30), xlabel="share of the test inputs that are right")
    axis.invert_yaxis()
    return figure


def draw_runs(folder):
    """Histogram of the mean runs of probabilistic search, with what the geometric law predicts for
    means of five."""
    runs = [
        run
        for run in json.loads((folder / "results.json").read_text())["runs"]
        if run["variant"] == "searches"
    ]
    values = np.array([run["metrics"]["pls_runs"] for run in runs])
    repeats = runs[0]["config"]["repeats"]
    law = np.random.default_rng(0).geometric(1 / values.mean(), (100_000, repeats)).mean(1)
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    bins = np.linspace(0, max(values.max(), 2 * values.mean()) * 1.05, 15)
    axis.hist(values, bins, color=SKY, label=f"{len(values)} seeds, {repeats} searches each")
    heights, edges = np.histogram(law, bins)
    axis.stairs(
        heights / len(law) * len(values), edges, color=RED, label="geometric law of the same mean"
    )
    axis.set(xlabel=f"runs until a program fits, mean of {repeats} searches", ylabel="seeds")
    axis.legend()
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(parents=True, exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed, repeats=0))
    figures = {
        "phases": draw_phases(result),
        "cloud": draw_cloud(result),
        "weights": draw_weights(result),
        "accuracy": draw_accuracy(result),
        "runs": draw_runs(Path(__file__).resolve().parent),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    main()
