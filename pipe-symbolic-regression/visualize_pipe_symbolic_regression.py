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


def draw_error(curve, gp):
    """FIT against evaluations, medians and quartiles over seeds; curve, gp: metrics by seed of the
    variants of these names."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    for runs, name, label, colour in (
        (curve, "sae", "PIPE", BLUE),
        (gp, "gp_sae", "genetic programming", ORANGE),
    ):
        names = [name if p == 100 else f"{name}_{p:02d}" for p in PERCENT]
        values = np.array([[run[key] for key in names] for run in runs.values()])
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
        axis.plot(
            [1000 * p for p in PERCENT],
            middle,
            "o-",
            color=colour,
            label=f"{label}, {len(values)} seeds",
        )
        axis.fill_between(
            [1000 * p for p in PERCENT], low, high, color=colour, alpha=0.2, linewidth=0
        )
    unlearned = np.median([run["random_sae"] for run in curve.values()])
    axis.plot(
        100_000, unlearned, "x", color=RED, markersize=9, label="initial tree, without learning"
    )
    axis.axhline(20.47, color=GREY, linestyle=":", label="the program 0")
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="programs evaluated",
        ylabel="error FIT (sum over 101 points)",
    )
    axis.set_xticks([1000 * p for p in PERCENT], [f"{1000 * p:,}" for p in PERCENT])
    axis.set_yticks([2, 3, 5, 10, 20], ["2", "3", "5", "10", "20"])
    axis.minorticks_off()
    axis.legend()
    return figure


def draw_probability(runs):
    """Log probability of the best program in the present tree, and its size."""
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 4.6), sharex=True)
    for (label, result), colour in zip(runs.items(), (GREEN, BLUE, RED), strict=True):
        axes[0].plot(
            result.history["evaluations"],
            result.history["log_probability"],
            color=colour,
            label=label,
        )
        axes[1].plot(result.history["evaluations"], result.history["size"], color=colour)
    axes[0].set(ylabel="log P(best program)", yscale="symlog")
    axes[1].set(ylabel="nodes of the best program", xlabel="programs evaluated", ylim=(0, None))
    axes[1].xaxis.set_major_formatter("{x:,.0f}")
    axes[0].legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def draw_curves(runs):
    """Target and final programs on a fine grid, and their errors."""
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 4.6), sharex=True)
    fine = np.linspace(0, 10, 2001)
    axes[0].plot(fine, problem.curve(fine), color=BLACK, linewidth=3, alpha=0.3, label="target")
    for (label, result), colour in zip(runs.items(), (GREEN, BLUE, RED), strict=True):
        with np.errstate(all="ignore"):
            values = problem.evaluate(result.best, result.problem, fine)
        axes[0].plot(
            fine,
            values,
            color=colour,
            linewidth=1,
            label=f"{label}: FIT {result.metrics['sae']:.2f}",
        )
        axes[1].plot(fine, values - problem.curve(fine), color=colour, linewidth=1)
    axes[0].set(ylabel="f(x)", ylim=(-1.1, 1.1))
    axes[1].set(ylabel="program minus target", xlabel="x", ylim=(-0.4, 0.4))
    axes[0].legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def entropies(tree):
    """Mean entropy of a node by depth [bits], over the nodes that the tree has."""
    level, means = [tree.root], []
    while level and len(means) < 20:
        p = np.clip([node.p for node in level], 1e-300, 1)
        means.append(float(-(p * np.log2(p)).sum(1).mean()))
        level = [child for node in level for child in node.children]
    return means


def draw_entropy(runs):
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    for (label, result), colour in zip(runs.items(), (GREEN, BLUE, RED), strict=True):
        axis.plot(entropies(result.tree), "o-", color=colour, label=label)
    new = np.array(next(iter(runs.values())).tree.initial)
    axis.axhline(-(new * np.log2(new)).sum(), color=GREY, linestyle="--", label="a new node")
    axis.set(
        xlabel="depth in the tree (0: root)",
        ylabel="mean entropy of a node [bits]",
        ylim=(0, 2.3),
        xticks=range(0, 20, 2),
    )
    axis.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=8)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    curve, gp = ({r["seed"]: r["metrics"] for r in recorded(name)} for name in ("curve", "gp"))
    options.out.mkdir(parents=True, exist_ok=True)
    order = sorted(curve.items(), key=lambda item: item[1]["sae"])
    chosen = {"best": order[0][0], "median": order[len(order) // 2][0], "worst": order[-1][0]}
    runs = {
        f"{name} (seed {seed})": problem.run(problem.Config(seed=seed))
        for name, seed in chosen.items()
    }
    draw_error(curve, gp).savefig(options.out / "error.png")
    draw_probability(runs).savefig(options.out / "probability.png")
    draw_curves(runs).savefig(options.out / "curves.png")
    draw_entropy(runs).savefig(options.out / "entropy.png")


if __name__ == "__main__":
    figure_main(main)
