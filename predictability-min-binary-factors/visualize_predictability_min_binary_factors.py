"""Draw the pictures of predictability-min-binary-factors from its record and from fresh runs."""

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

NAMES = ("u1", "u2", "u3", "u4", "o1", "o2", "o3", "n1", "n2", "n1_local", "n2_local")
PAPER = dict(
    zip(NAMES, (0.8, 1.0, 0.1, 0.9, 0.7, 0.5, 0.7, 0.7, 0.9), strict=False)
)  # see the card
CONTROLS = {
    "u2_no_predictors": "U2: no\npredictors",
    "u4_no_predictors": "U4: no\npredictors",
    "n1_autoencoder": "N1: auto-\nencoder",
}
COLOURS = (PINK, GREEN, ORANGE, BLUE)
U3_PAPER = [16] + [15] * 4 + [13] * 3 + [12] * 2  # different codes of the paper's ten nets


def box(axis, x, y, width, height, text, colour):
    """A box centred at x, y, with text."""
    corner = (x - width / 2, y - height / 2)
    axis.add_patch(
        plt.Rectangle(corner, width, height, facecolor="white", edgecolor=colour, lw=1.8)
    )
    axis.text(x, y, text, ha="center", va="center")


def draw_net():
    """Who feeds whom: code net, three code units, and the predictors that watch the others."""
    figure, axis = plt.subplots(figsize=(6.4, 3.1))
    box(axis, 0, 0, 0.95, 0.5, "pattern x", GREY)
    box(axis, 1.5, 0, 1.2, 1.5, "code net\n\nascends V", BLUE)
    axis.annotate(
        "", (0.9, 0), (0.475, 0), arrowprops={"arrowstyle": "-|>", "color": BLUE, "lw": 1.6}
    )
    heights = (1.2, 0, -1.2)
    for i, y in enumerate(heights):
        start = (2.1, 0.25 * y)
        arrow = {"arrowstyle": "-|>", "color": BLUE, "lw": 1.6, "shrinkB": 14}
        axis.annotate("", (3.1, y), start, arrowprops=arrow)
        for j, other in enumerate(heights):
            if j != i:
                watched = {"arrowstyle": "-|>", "color": ORANGE, "lw": 1.3, "shrinkA": 14}
                axis.annotate("", (4.9, y), (3.1, other), arrowprops=watched)
        box(axis, 5.5, y, 1.2, 0.62, f"predictor {i + 1}", ORANGE)
        axis.text(6.2, y, f"$P_{i + 1}$, a guess at $y_{i + 1}$", va="center")
        axis.scatter(3.1, y, s=640, color="white", edgecolors=BLUE, linewidths=1.8, zorder=3)
        axis.text(3.1, y, f"$y_{i + 1}$", ha="center", va="center", zorder=4)
    axis.text(3.1, 1.85, "code units", ha="center", color=BLUE)
    axis.text(5.5, 1.85, "each descends V", ha="center")
    axis.set(xlim=(-0.5, 7.9), ylim=(-1.75, 2.15))
    axis.axis("off")
    return figure


def dots(axis, place, values, colour, wiggle, label=None):
    """A dot a run beside a place on the x axis, and a bar at their mean."""
    x = place + wiggle.uniform(-0.1, 0.1, len(values))
    axis.plot(x, values, ".", color=colour, alpha=0.6, markersize=5)
    axis.plot(
        [place - 0.15, place + 0.15], [np.mean(values)] * 2, color=colour, lw=2.2, label=label
    )


def draw_shares(full, short):
    """Share of factorial nets in all experiments beside the paper's, and without the game; full,
    short: the metrics of these variants' runs."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8.2, 3.8), width_ratios=(11, 3.6), sharey=True
    )
    wiggle = np.random.default_rng(0)
    for runs, colour, shift, text in (
        (full, BLUE, -0.19, "full gradient"),
        (short, ORANGE, 0.19, "short gradient"),
    ):
        for place, name in enumerate(NAMES):
            values = [run[f"{name}_share"] for run in runs]
            label = f"{text} (a dot: ten nets; bar: mean)" if place == 0 else None
            dots(left, place + shift, values, colour, wiggle, label)
    style = {"color": RED, "markersize": 8, "label": "paper, ten nets"}
    left.plot(range(len(PAPER)), list(PAPER.values()), "x", **style)
    left.fill_between([8.6, 9.4], 0, 0.5, color=RED, alpha=0.12, label="paper: below a half")
    left.set_xticks(
        range(len(NAMES)), [name.upper().replace("_LOCAL", "\nlocal") for name in NAMES]
    )
    left.set(ylim=(-0.04, 1.04), ylabel="share of factorial nets", xlabel="experiment")
    for place, name in enumerate(CONTROLS):
        dots(right, place, [run[f"{name}_share"] for run in full], BLACK, wiggle)
    right.set_xticks(range(3), CONTROLS.values(), fontsize=8)
    right.set(xlabel="control", xlim=(-0.6, 2.6))
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8
    )
    return figure


def ideal_objective(bits, counts):
    """V of a binary code (patterns, n) under predictors that know it: P_i = E[y_i | the others]."""
    total = 0.0
    for i in range(bits.shape[1]):
        others = np.delete(bits, i, axis=1)
        same = (others[:, None] == others[None]).all(2)
        expected = same @ (counts * bits[:, i]) / (same @ counts)
        total += 0.5 * (counts * (expected - bits[:, i]) ** 2).sum()
    return total


def draw_spectrum():
    """How many of the 256 binary codes of the N1 patterns have which V, under ideal predictors."""
    words = np.array(list(itertools.product((0.0, 1.0), repeat=2)))
    kinds = {"some patterns share a code": [], "all apart, not factorial": [], "factorial": []}
    merged, apart, best = kinds.values()
    for chosen in itertools.product(range(4), repeat=4):
        bits = words[list(chosen)]
        distinct, factorial = problem.judge(bits[None], problem.UNEVEN)
        kind = best if factorial[0] else apart if distinct[0] == 4 else merged
        kind.append(round(ideal_objective(bits, problem.UNEVEN), 6))
    figure, axis = plt.subplots(figsize=(6.4, 3))
    for (kind, values), colour in zip(kinds.items(), (GREY, ORANGE, GREEN), strict=True):
        heights = dict(zip(*np.unique(values, return_counts=True), strict=True))
        label = f"{kind}: {len(values)}"
        axis.bar(list(heights), list(heights.values()), 0.035, color=colour, label=label)
    axis.set(xlabel="V, with predictors that know the code", ylabel="codes", ylim=(0, 36))
    axis.legend(loc="upper center")
    return figure


def train(name, config):
    """First factorial step of each net of an experiment, or -1, and the codes every 50 steps."""
    experiment = problem.paper_experiments(config)[name]
    first, path = np.full(config.nets, -1), []

    def observe(step, code, predictors):
        path.append(code.values(experiment.patterns))
        good = problem.judge(path[-1], experiment.counts)[1]
        first[good & (first < 0)] = step

    problem.train(np.random.default_rng(config.seed), experiment, config, observe)
    return first, np.array(path)


def draw_paths(seed):
    """Codes of the four patterns of U2 in the unit square, ten nets, every 50 presentations."""
    first, path = train("u2", problem.Config(seed=seed))
    figure, axes = plt.subplots(2, 5, figsize=(6.8, 3.6), sharex=True, sharey=True)
    for net, axis in enumerate(axes.flat):
        for pattern, colour in enumerate(COLOURS):
            axis.plot(*path[:, net, pattern].T, ".-", color=colour, markersize=3, linewidth=0.9)
            axis.plot(*path[-1, net, pattern], "o", color=colour, markersize=7, clip_on=False)
        title = f"factorial by {first[net]:,}" if first[net] > 0 else "not factorial"
        limits = (-0.08, 1.08)
        axis.set(xlim=limits, ylim=limits, xticks=(0, 1), yticks=(0, 1), aspect="equal")
        axis.set_title(title, fontsize=8)
    labels = ["{:+.0f} {:+.0f}".format(*word) for word in problem.binary(2)]
    keys = [plt.Line2D([], [], marker="o", color=colour, lw=0.9) for colour in COLOURS]
    figure.legend(keys, labels, loc="outside upper center", ncols=4, title="input pattern")
    figure.supxlabel("code unit 1", fontsize=9)
    figure.supylabel("code unit 2", fontsize=9)
    return figure


def draw_u3(seed):
    """Different codes of the 16 patterns of U3 in the ten nets of a run, beside the paper's ten."""
    _, path = train("u3", problem.Config(seed=seed))
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    ours = [len(np.unique(y > 0.5, axis=0)) for y in path[-1]]
    for values, shift, colour, label in (
        (ours, -0.2, BLUE, f"ours, seed {seed}"),
        (U3_PAPER, 0.2, RED, "paper"),
    ):
        counts = np.bincount(values, minlength=17)[10:]
        axis.bar(np.arange(10, 17) + shift, counts, 0.38, color=colour, label=label)
    axis.set(xlabel="different codes of 16", ylabel="nets of ten", xticks=range(10, 17))
    axis.set(yticks=range(0, 7, 2), ylim=(0, 6))
    axis.legend(loc="upper left")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    full, short = ([run["metrics"] for run in recorded(name)] for name in ("full", "short"))
    options.out.mkdir(parents=True, exist_ok=True)
    draw_net().savefig(options.out / "net.png")
    draw_shares(full, short).savefig(options.out / "shares.png")
    draw_paths(options.seed).savefig(options.out / "paths.png")
    draw_spectrum().savefig(options.out / "spectrum.png")
    draw_u3(options.seed).savefig(options.out / "u3.png")


if __name__ == "__main__":
    figure_main(main)
