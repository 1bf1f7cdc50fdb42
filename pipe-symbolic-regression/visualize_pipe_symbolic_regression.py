"""Draw the pictures of pipe-symbolic-regression into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pipe_symbolic_regression as problem

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


PERCENT = (1, 3, 10, 30, 100)
ZERO = 20.47  # FIT of the program 0
COLOURS = (GREEN, BLUE, RED)  # best, median, worst


def draw_error(runs, budget):
    """FIT against evaluations, medians and quartiles over the recorded seeds."""
    figure, axis = plt.subplots(figsize=(6.4, 3.8))
    done = [budget * percent // 100 for percent in PERCENT]
    both = {"sae": ("PIPE", BLUE, "o-"), "gp_sae": ("genetic programming", ORANGE, "s--")}
    for name, (label, colour, style) in both.items():
        keys = [name if percent == 100 else f"{name}_{percent:02d}" for percent in PERCENT]
        values = np.array([[run[key] for key in keys] for run in runs])
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
        axis.plot(done, middle, style, color=colour, label=f"{label}, {len(values)} seeds")
        axis.fill_between(done, low, high, color=colour, alpha=0.2, linewidth=0)
    chance = np.median([run["random_sae"] for run in runs])
    axis.plot(budget, chance, "x", color=RED, markersize=9, label="initial tree, no learning")
    axis.axhline(ZERO, color=GREY, linestyle=":", label="the program 0")
    axis.set(xscale="log", yscale="log", xlabel="programs evaluated")
    axis.set_ylabel("least FIT so far (sum of 101 errors)")
    axis.set_xticks(done, [f"{count:,}" for count in done])
    axis.set_yticks([2, 3, 5, 10, 20], ["2", "3", "5", "10", "20"])
    axis.minorticks_off()
    figure.legend(ncols=2, loc="outside upper center", fontsize=8)
    return figure


def draw_final(runs):
    """Every recorded seed's final error with PIPE and with genetic programming, sorted."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    both = {"sae": ("PIPE", BLUE, "o"), "gp_sae": ("genetic programming", ORANGE, "s")}
    for name, (label, colour, marker) in both.items():
        values = np.sort([run[name] for run in runs])
        share = (np.arange(len(values)) + 0.5) / len(values)
        axis.plot(values, share, marker, color=colour, markersize=4, label=label)
        axis.axvline(np.median(values), color=colour, linewidth=1)
    axis.set(xscale="log", xlabel="FIT after the whole budget (lines: medians)", ylim=(0, 1))
    axis.set_ylabel(f"share of {len(runs)} seeds below")
    axis.set_xticks([0.5, 1, 2, 5, 10, 20], ["0.5", "1", "2", "5", "10", "20"])
    axis.minorticks_off()
    figure.legend(ncols=2, loc="outside upper center", fontsize=8)
    return figure


def draw_probability(runs):
    """Log probability of the best program in the present tree, and its size."""
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 4.8), sharex=True)
    for (label, result), colour in zip(runs.items(), COLOURS, strict=True):
        done, log_p = result.history["evaluations"], -np.array(result.history["log_probability"])
        axes[0].plot(done, log_p, color=colour, linewidth=0.9, label=label)
        axes[1].plot(done, result.history["size"], color=colour)
    axes[0].set(ylabel="log P(PROG_el)", yscale="log", yticks=[10, 100, 1000, 10_000])
    axes[0].set_yticklabels(["-10", "-100", "-1,000", "-10,000"])
    axes[0].invert_yaxis()
    axes[1].set(ylabel="nodes of PROG_el", xlabel="programs evaluated", ylim=(0, None))
    axes[1].xaxis.set_major_formatter("{x:,.0f}")
    figure.legend(ncols=3, loc="outside upper center", fontsize=8)
    return figure


def draw_curves(runs):
    """Target and final programs on a fine grid, and their errors."""
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 4.8), sharex=True)
    fine = np.linspace(0, 10, 2001)
    axes[0].plot(fine, problem.curve(fine), color=BLACK, linewidth=3, alpha=0.3, label="target")
    for (label, result), colour in zip(runs.items(), COLOURS, strict=True):
        with np.errstate(all="ignore"):
            values = problem.evaluate(result.best.program, fine)
        label = f"{label}: FIT {result.best.fit:.2f}"
        axes[0].plot(fine, values, color=colour, linewidth=1, label=label)
        axes[1].plot(fine, values - problem.curve(fine), color=colour, linewidth=1)
    axes[0].set(ylabel="f(x)", ylim=(-1.1, 1.1))
    axes[1].set(ylabel="program minus target", xlabel="x", ylim=(-0.6, 0.6))
    figure.legend(ncols=2, loc="outside upper center", fontsize=8)
    return figure


def entropies(tree):
    """Mean entropy of a node by depth [bits], over the nodes that the tree has."""
    level, means = [tree.root], []
    while level and len(means) < 20:
        p = np.clip(tree.p[[node.row for node in level]], 1e-300, 1)
        means.append(float(-(p * np.log2(p)).sum(1).mean()))
        level = [child for node in level for child in node.children]
    return means


def draw_entropy(runs):
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    for (label, result), colour in zip(runs.items(), COLOURS, strict=True):
        axis.plot(entropies(result.tree), "o-", color=colour, label=label)
    new = next(iter(runs.values())).tree.initial
    axis.axhline(-(new * np.log2(new)).sum(), color=GREY, linestyle="--", label="a new node")
    axis.set(xlabel="depth in the tree (0: root)", ylabel="mean entropy of a node [bits]")
    axis.set(ylim=(0, 2.3), xticks=range(0, 20, 2))
    figure.legend(ncols=4, loc="outside upper center", fontsize=8)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    recorded_runs = recorded("curve")
    metrics = [run["metrics"] for run in recorded_runs]
    order = [run["seed"] for run in sorted(recorded_runs, key=lambda run: run["metrics"]["sae"])]
    chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
    runs = {
        f"{name} (seed {seed})": problem.run(problem.Config(seed=seed, opponents=False))
        for name, seed in chosen.items()
    }
    figures = {
        "error": draw_error(metrics, recorded_runs[0]["config"]["evaluations"]),
        "final": draw_final(metrics),
        "probability": draw_probability(runs),
        "curves": draw_curves(runs),
        "entropy": draw_entropy(runs),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
