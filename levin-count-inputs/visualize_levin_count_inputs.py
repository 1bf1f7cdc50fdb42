"""Draw the pictures of levin-count-inputs into viz/."""

import argparse
import json
import sys
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


SEARCHES = 200  # probabilistic searches of the histogram


def draw_phases(history):
    """Programs that LSEARCH runs in each phase, first runs and resumed ones."""
    figure, axis = plt.subplots(figsize=(6.4, 3))
    phases = np.array(history["phase"])
    for offset, name, colour in ((-0.2, "first run", BLUE), (0.2, "resumed", ORANGE)):
        axis.bar(phases + offset, history[name], 0.4, color=colour, label=name)
    last, fitting = phases[-1], history["fits"][-1]
    axis.annotate(
        f"{fitting} programs fit: the search ends",
        (last, history["first run"][-1]),
        (last - 10.5, history["first run"][-1] * 0.8),
        arrowprops={"arrowstyle": "->"},
    )
    axis.set(yscale="log", xticks=phases[4::2], xlim=(3.3, last + 0.7), ylabel="programs run")
    axis.set_xlabel("phase $k$: program $p$ may take $2^k P(p)$ steps")
    axis.legend(loc="upper left")
    return figure


def draw_cloud(rows, config):
    """All enumerated programs by probability and run time; those that fit are coloured."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    P, steps, good = (np.array([row[i] for row in rows]) for i in range(3))
    jitter = np.random.default_rng(0).uniform(0.95, 1.05, (2, len(rows)))
    x, y = P * jitter[0], np.maximum(steps, 0.7) * jitter[1]
    label = f"{(~good).sum():,} programs that do not fit"
    axis.plot(x[~good], y[~good], ".", color=GREY, markersize=2, label=label)
    label = f"{good.sum():,} that fit the three examples; all of them write $w = 1$"
    assert all(row[3] for row in rows if row[2])
    axis.plot(x[good], y[good], "o", color=RED, markersize=4, label=label)
    axis.set(xscale="log", yscale="log", ylim=(0.5, 9 * config.limit))
    axis.set(xlabel="probability $P(p)$ of the program", ylabel=f"steps (at most {config.limit:,})")
    axis.legend(loc="upper right", frameon=True, framealpha=1)
    return figure


def draw_weights(result):
    """The weights of the found program beside those of the controls."""
    names = ["delta rule from zero", "delta rule from random", "with weight decay", "minimum norm"]
    rows = {"found program": result.weights, **{name: result.controls[name] for name in names}}
    figure, axes = plt.subplots(len(rows), 1, figsize=(6.4, 5), sharex=True)
    for axis, (name, weights) in zip(axes, rows.items(), strict=True):
        axis.bar(np.arange(100), weights, 1.0, color=GREEN if name == "found program" else GREY)
        axis.set(title=name, ylim=(-0.2, 1.2), ylabel="weight")
    axes[-1].set_xlabel("input (nine of them are on in some example)")
    return figure


def draw_accuracy(result):
    """Right answers on the test inputs."""
    inputs = problem.test_inputs(problem.PAPER_EXAMPLES)
    rows = {"found program": result.weights, **result.controls}
    right = [len(inputs) - problem.test_errors(weights, inputs) for weights in rows.values()]
    shares = np.array(right) / len(inputs)
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    axis.barh(list(rows), shares, color=[GREEN] + [GREY] * (len(rows) - 1))
    for place, (share, count) in enumerate(zip(shares, right, strict=True)):
        inside = share > 0.5
        axis.text(
            share - 0.01 if inside else share + 0.01,
            place,
            f"{count:,} right",
            va="center",
            ha="right" if inside else "left",
        )
    axis.set(xlim=(0, 1), xlabel=f"share of the {len(inputs):,} test inputs that are right")
    axis.invert_yaxis()
    return figure


def draw_runs(searches, seed):
    """Histogram of the runs of single probabilistic searches, with the geometric law."""
    runs = np.array([number for number in searches if number is not None])
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    bins = np.linspace(0, runs.max() * 1.001, 25)
    label = f"{len(runs)} searches of the run with seed {seed}"
    axis.hist(runs, bins, color=SKY, label=label)
    law = -np.diff((1 - 1 / runs.mean()) ** bins) * len(runs)
    label = f"geometric law with the same mean, {runs.mean():,.0f} runs"
    axis.stairs(law, bins, color=RED, label=label)
    axis.set(xlabel="runs until the first program fits", ylabel="searches")
    axis.legend()
    return figure


def main():
    options = figure_options(__doc__, "viz")
    config = problem.Config(seed=options.seed, repeats=SEARCHES)
    result = problem.run(config)
    figures = {
        "phases": draw_phases(result.history),
        "cloud": draw_cloud(result.enumerated, config),
        "weights": draw_weights(result),
        "accuracy": draw_accuracy(result),
        "runs": draw_runs(result.searches, options.seed),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
