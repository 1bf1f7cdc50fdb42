"""Draw the pictures of predictability-min-binary-factors into viz/."""

import argparse
import itertools
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import predictability_min_binary_factors as problem

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


PAPER = {
    "u1": 0.8,
    "u2": 1.0,
    "u3": 0.1,
    "u4": 0.9,
    "o1": 0.7,
    "o2": 0.5,
    "o3": 0.7,
    "n1": 0.7,
    "n2": 0.9,
}


def draw_shares(full, short):
    """Share of factorial nets in every experiment, a dot a run, beside the paper's; full, short:
    the metrics of the runs of these variants."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    wiggle = np.random.default_rng(0)
    for runs, colour, shift, label in (
        (full, BLUE, -0.17, "full gradient"),
        (short, ORANGE, 0.17, "short gradient"),
    ):
        for place, name in enumerate(PAPER):
            shares = [run[f"{name}_share"] for run in runs]
            x = place + shift + wiggle.uniform(-0.08, 0.08, len(shares))
            axis.plot(x, shares, ".", color=colour, alpha=0.6, label=label if place == 0 else None)
            axis.plot(
                [place + shift - 0.13, place + shift + 0.13], [np.mean(shares)] * 2, color=colour
            )
    axis.plot(
        range(len(PAPER)),
        list(PAPER.values()),
        "x",
        color=RED,
        markersize=8,
        label="paper, ten nets",
    )
    axis.set(
        xticks=range(len(PAPER)),
        xticklabels=[name.upper() for name in PAPER],
        ylim=(-0.05, 1.28),
        xlabel="experiment",
    )
    axis.set(ylabel="share of factorial nets", yticks=np.linspace(0, 1, 6))
    axis.legend(ncols=3, loc="upper center", fontsize=8)
    return figure


def draw_spectrum():
    """V under ideal predictors of all 256 binary codes of the N1 patterns."""
    words = np.array(list(itertools.product((0.0, 1.0), repeat=2)))
    values = {"factorial": [], "all codes different": [], "other": []}
    for chosen in itertools.product(range(4), repeat=4):
        judged = problem.judge(words[list(chosen)], problem.UNEVEN)
        kind = (
            "factorial"
            if judged.factorial
            else "all codes different"
            if judged.distinct == 4
            else "other"
        )
        values[kind].append(problem.ideal_objective(words[list(chosen)], problem.UNEVEN))
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    start = 0
    for (kind, each), colour in zip(sorted(values.items()), (ORANGE, GREEN, GREY), strict=True):
        axis.plot(
            np.arange(start, start + len(each)),
            sorted(each),
            ".",
            color=colour,
            label=f"{kind}: {len(each)}",
        )
        start += len(each)
    axis.set(xlabel="code (sorted within its kind)", ylabel="V with ideal predictors")
    axis.legend()
    return figure


def draw_controls(full):
    """Share of factorial nets with the game and without it, a dot a run."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    pairs = {"u2": "u2_no_predictors", "u4": "u4_no_predictors", "n1": "n1_autoencoder"}
    wiggle = np.random.default_rng(0)
    for place, names in enumerate(pairs.items()):
        for name, shift, colour in zip(names, (-0.18, 0.18), (BLUE, GREY), strict=True):
            shares = [run[f"{name}_share"] for run in full]
            axis.plot(
                place + shift + wiggle.uniform(-0.09, 0.09, len(shares)),
                shares,
                ".",
                color=colour,
                alpha=0.7,
            )
            axis.plot(
                [place + shift - 0.13, place + shift + 0.13], [np.mean(shares)] * 2, color=colour
            )
    axis.text(-0.45, 1.12, "blue: with predictors", color=BLUE)
    for place, label in enumerate(("variance only", "variance only", "auto-encoder")):
        axis.text(place + 0.18, 1.06, label, color=GREY, ha="center")
    axis.axhline(1 / 3, 0.7, color=RED, linestyle=":")
    axis.text(2.45, 0.27, "8 of 24 one-to-one codes", color=RED, fontsize=8, ha="right", va="top")
    axis.set(
        xticks=range(3),
        xticklabels=["U2", "U4", "N1"],
        ylabel="share of factorial nets",
        ylim=(-0.05, 1.22),
        xlim=(-0.5, 2.5),
    )
    return figure


def train(name, config, nets):
    """First factorial step (or -1) of so many nets of one experiment, and their codes every 50
    steps."""
    config = problem.dataclasses.replace(config, nets=nets)
    experiment = problem.paper_experiments(config)[name]
    first, path = np.full(nets, -1), []

    def observe(step, code, predictors):
        path.append(problem.encode(code, experiment.patterns[None])[1])
        good = np.array([problem.judge(each, experiment.counts).factorial for each in path[-1]])
        first[good & (first < 0)] = step

    trainer = problem.train_online if experiment.online else problem.train_offline
    trainer(np.random.default_rng(config.seed), experiment, config, observe)
    return first, np.array(path)


def draw_paths(seed):
    """Codes of the four patterns of U2 in the unit square, ten nets, every 50 presentations."""
    first, path = train("u2", problem.Config(seed=seed), 10)
    figure, axes = plt.subplots(2, 5, figsize=(6.8, 3.2), sharex=True, sharey=True)
    for net, axis in enumerate(axes.flat):
        for pattern, colour in enumerate((PINK, GREEN, ORANGE, BLUE)):
            axis.plot(*path[:, net, pattern].T, ".-", color=colour, markersize=2, linewidth=0.8)
            axis.plot(*path[-1, net, pattern], "o", color=colour, markersize=6, clip_on=False)
        title = f"factorial by {first[net]:,}" if first[net] > 0 else "not factorial"
        axis.set(
            xlim=(-0.06, 1.06), ylim=(-0.06, 1.06), xticks=(0, 1), yticks=(0, 1), aspect="equal"
        )
        axis.set_title(title, fontsize=8)
    figure.supxlabel("code unit 1", fontsize=9)
    figure.supylabel("code unit 2", fontsize=9)
    return figure


def draw_learning(seed):
    """Share of 60 nets with a factorial code in U2 against presentations."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    steps = np.arange(0, 3001, 50)
    for gradient, colour in (("full", BLUE), ("short", ORANGE)):
        first, _ = train("u2", problem.Config(seed=seed, gradient=gradient), 60)
        axis.plot(
            steps,
            [((first > 0) & (first <= step)).mean() for step in steps],
            color=colour,
            label=f"{gradient} gradient",
        )
    axis.axhline(1, color=GREY, linestyle=":", label="paper: 10 of 10 by 3,000")
    axis.set(
        xlabel="presentations", ylabel="share of 60 nets with a factorial code", ylim=(0, 1.05)
    )
    axis.legend(fontsize=8)
    return figure


def draw_u3(seed):
    """Different codes of the 16 patterns of U3, beside the paper's ten nets."""
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    _, path = train("u3", problem.Config(seed=seed), 10)
    ours = [len(np.unique(y > 0.5, axis=0)) for y in path[-1]]
    paper = [16] + [15] * 4 + [13] * 3 + [12] * 2
    for values, shift, colour, label in (
        (ours, -0.2, BLUE, "ours, full gradient, one run"),
        (paper, 0.2, RED, "paper"),
    ):
        counts = np.bincount(values, minlength=17)[8:]
        axis.bar(np.arange(8, 17) + shift, counts, 0.38, color=colour, label=label)
    axis.set(xlabel="different codes of 16", ylabel="nets of ten", xticks=range(8, 17))
    axis.legend()
    return figure


def main():
    options = figure_options(__doc__, "viz")
    full, short = ([run["metrics"] for run in recorded(name)] for name in ("full", "short"))
    options.out.mkdir(parents=True, exist_ok=True)
    draw_shares(full, short).savefig(options.out / "shares.png")
    draw_controls(full).savefig(options.out / "controls.png")
    draw_paths(options.seed).savefig(options.out / "paths.png")
    draw_spectrum().savefig(options.out / "spectrum.png")
    draw_learning(options.seed).savefig(options.out / "learning.png")
    draw_u3(options.seed).savefig(options.out / "u3.png")


if __name__ == "__main__":
    figure_main(main)
