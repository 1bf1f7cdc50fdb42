"""Draw the pictures of nbb-moving-light into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nbb_moving_light as problem
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

NAMES = {
    "full_rule": "full rule",
    "pairs": "LR, RL\nin pairs",
    "alternating": "LR, RL\nin turn",
    "no_recurrence": "no recur-\nrence",
    "no_income": "no\nincome",
    "no_reward": "no\nreward",
}
PUBLISHED = {"cycles": 223, "share": 0.9, "v1": 0.3}  # the paper's and v1's, see problem.toml
CELLS = 5
PLACE = {
    **{f"cell {i + 1}": (i, 2) for i in range(CELLS)},
    "1": (5.2, 2),
    "out 0": (1.2, 0),
    "out 1": (2.8, 0),
}


def arrow(axis, start, end, colour, shrink=(12, 12), bend=0.0, style="-"):
    """An arrow between two places."""
    look = {"arrowstyle": "-|>", "linewidth": 2, "color": colour, "linestyle": style}
    look |= {"shrinkA": shrink[0], "shrinkB": shrink[1], "connectionstyle": f"arc3,rad={bend}"}
    axis.annotate("", end, start, arrowprops=look, zorder=2)


def draw_net():
    """Who feeds whom, what is on at tick 3 of LR, and where substance flows."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    for source in list(PLACE)[:-2]:
        for target in ("out 0", "out 1"):
            axis.plot(*np.array([PLACE[source], PLACE[target]]).T, color=GREY, linewidth=0.8)
    out0, out1 = PLACE["out 0"], PLACE["out 1"]
    axis.add_patch(plt.Rectangle((0.75, -0.35), 2.5, 0.7, fill=False, color=BLUE))
    loop = {"fill": False, "linewidth": 2, "zorder": 1}
    axis.add_patch(plt.Circle((0.98, -0.34), 0.34, color=ORANGE, **loop))
    axis.add_patch(plt.Circle((3.02, -0.34), 0.34, color=GREY, **{**loop, "linewidth": 0.8}))
    for start, end in ((out0, out1), (out1, out0)):
        look = {"arrowstyle": "->", "color": GREY, "shrinkA": 13, "shrinkB": 13}
        look["connectionstyle"] = "arc3,rad=0.2"
        axis.annotate("", end, start, arrowprops=look)
    arrow(axis, PLACE["cell 2"], out0, ORANGE)
    arrow(axis, PLACE["1"], out0, ORANGE)
    arrow(axis, (0.55, -0.3), (0.6, 1.0), GREEN, (2, 2), -0.25, "--")
    arrow(axis, (0.7, -0.15), (3.2, 1.0), GREEN, (2, 2), -0.35, "--")
    arrow(axis, (2.0, -0.95), (1.3, -0.1), GREEN, (2, 8), 0.2)
    axis.text(2.05, -0.95, "reward, if the light goes LR", color=GREEN, va="center")
    arrow(axis, (0.0, 2.55), (4.0, 2.55), SKY, (0, 0))
    axis.text(2.0, 2.62, "the light, LR", color=BLUE, ha="center", va="bottom")
    for name, (x, y) in PLACE.items():
        fill = ORANGE if name in ("cell 2", "1", "out 0") else "white"
        fill = "#f7dfae" if name == "cell 1" else fill
        axis.scatter(x, y, s=430, color=fill, edgecolors=BLACK, zorder=3)
        label = name.replace("cell ", "").replace("out ", "") if name != "1" else "on"
        axis.text(x, y, label, ha="center", va="center", zorder=4)
    axis.text(4.55, 0, "outputs:\none is on", ha="center", va="center", color=BLUE)
    axis.text(-0.45, 2.75, "cells", ha="center")
    axis.text(5.2, 2.45, "always on", ha="center")
    axis.plot([], [], color=ORANGE, label="what decides at tick 3: cell 2, on, and output 0 itself")
    axis.plot(
        [], [], "--", color=GREEN, label="payment, to those that had put output 0 on at tick 2"
    )
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, -0.17), fontsize=8)
    axis.set(xlim=(-0.8, 5.8), ylim=(-1.35, 3.1))
    axis.axis("off")
    return figure


def draw_cycles(result, config):
    """Histograms of presentations of each direction until found and stable: the order matters."""
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 4.4), sharex=True)
    edges = np.arange(0, 501, 10)
    titles = ("first test that is right on both directions", "first fifty such tests in a row")
    for column, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        for name, style in (
            ("full_rule", {"color": SKY}),
            ("pairs", {"color": RED, "histtype": "step"}),
        ):
            steps = result.reached[name][:, column]
            steps = steps[steps > 0] / 2
            order = "random order" if name == "full_rule" else "in pairs"
            label = f"{order}: {len(steps)} of {config.nets} nets"
            axis.hist(steps.clip(max=edges[-1] - 1), edges, label=label, **style)
        mean = result.reached["full_rule"][:, column].mean() / 2
        axis.axvline(mean, color=BLUE, label="mean, random order")
        label = f"paper's mean, {PUBLISHED['cycles']}"
        axis.axvline(PUBLISHED["cycles"], color=BLACK, linestyle="--", label=label)
        axis.set(title=title, ylabel="nets")
        axis.legend(loc="upper right")
    axes[-1].set_xlabel("presentations of each direction (the last bin holds all that took longer)")
    return figure


def draw_kinds():
    """Found and stable shares of every kind of net over all recorded seeds."""
    runs = [run["metrics"] for run in recorded("all_kinds")]
    wide = [run["metrics"] for run in recorded("retina8")]
    bars = [("full_rule", NAMES["full_rule"], runs, ""), ("8", "full rule,\n8 cells", wide, "")]
    bars += [(name, NAMES[name], runs, f"{name}_") for name in list(NAMES)[1:]]
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    for i, (_, _, rows, prefix) in enumerate(bars):
        for offset, key, colour, label in (
            (-0.2, "found_nets", SKY, "found"),
            (0.2, "stable50_nets", BLUE, "stable for 50 tests"),
        ):
            shares = np.array([row[prefix + key] / row["nets"] for row in rows])
            axis.bar(i + offset, shares.mean(), 0.38, color=colour, label=label if i == 0 else None)
            dots = i + offset + np.linspace(-0.12, 0.12, len(shares))
            axis.plot(dots, shares, ".", color=BLACK, markersize=3)
    for place, key, colour, label in (
        (0, "share", RED, "paper: 9 of 10 runs"),
        (2, "v1", ORANGE, "earlier catalog: 9 of 30"),
    ):
        share = [PUBLISHED[key]] * 2
        axis.plot([place - 0.42, place + 0.42], share, color=colour, linewidth=2.5, label=label)
    axis.set(xticks=range(len(bars)), xticklabels=[bar[1] for bar in bars], ylim=(0, 1.05))
    axis.set_ylabel(f"share of nets (dots: {len(runs)} seeds)")
    axis.tick_params(axis="x", labelsize=8)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=8)
    return figure


def leads(w):
    """How far each source prefers output 0, in % of the mean substance into an output."""
    return 100 * (w[:, 0] - w[:, 1]) / w.sum(0).mean(0)


def draw_learning(seed, count=40, presentations=600):
    """What the sources come to prefer, and the share of right nets, for two orders."""
    names = ("full_rule", "pairs")
    config = problem.Config(seed=seed, nets=count, presentations=presentations)
    nets = problem.build(np.random.default_rng(seed), names, config)
    sources = [0, 1, 2, 3, 4, 6, 7]
    lead = np.zeros((presentations, len(sources), 2, count))
    right = np.zeros((presentations, 2))
    for step, direction in enumerate(nets.directions):
        problem.present(nets, direction, config.lam, config.eta)
        lead[step] = leads(nets.weights)[sources].reshape(len(sources), 2, count)
        right[step] = problem.solved(nets.weights).all(0).reshape(2, count).mean(1)
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 4.6), sharex=True, sharey="row")
    colours = (BLUE, SKY, GREY, ORANGE, RED, BLACK, BLACK)
    labels = [f"cell {i}" for i in range(1, 6)] + ["out 0", "out 1"]
    styles = ["-"] * 5 + ["--", ":"]
    steps = np.arange(1, presentations + 1)
    for k, title in enumerate(("directions at random", "LR and RL in shuffled pairs")):
        for s, (label, colour, style) in enumerate(zip(labels, colours, styles, strict=True)):
            low, middle, high = np.percentile(lead[:, s, k], (25, 50, 75), axis=-1)
            axes[0, k].plot(steps, middle, style, color=colour, label=label)
            axes[0, k].fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        axes[0, k].set_title(title)
        axes[1, k].plot(steps, right[:, k], color=BLUE, linewidth=0.8)
        axes[1, k].set(xlabel="presentations", ylim=(-0.02, 1.02))
    axes[0, 0].set_ylabel("prefers output 0 by\n% of the substance")
    axes[1, 0].set_ylabel(f"share of {count} nets\nright on both")
    axes[0, 1].legend(fontsize=7, ncols=2)
    return figure


def stable_net(seed, presentations=3000):
    """Weights of one net, learnt by the plain form, at its fiftieth right test in a row."""
    config = problem.Config(presentations=presentations)
    for _, w, _, streak in problem.learn_one(np.random.default_rng(seed), config):
        if streak == problem.WINDOWS[-1]:
            return w
    raise OSError(f"the net of seed {seed} is not stable within {presentations} presentations")


def draw_decision(seed):
    """Tick by tick, what speaks for output 0 and what for output 1, in a net that is stable."""
    w = stable_net(seed)
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.2), sharey=True)
    parts = (("lit cell", slice(0, 5), ORANGE), ("always on", slice(5, 6), GREY),
             ("output before", slice(6, 8), BLUE))  # fmt: skip
    for direction, axis in enumerate(axes):
        c, on = problem.watch_one(w.tolist(), direction)
        total = c.sum(1).mean(-1)[1:]
        lead = 100 * (c[1:, :, 0] - c[1:, :, 1]) / total[:, None]
        ticks = np.arange(2, CELLS + 1)
        for k, (label, rows, colour) in enumerate(parts):
            axis.bar(ticks + 0.25 * (k - 1), lead[:, rows].sum(1), 0.23, color=colour, label=label)
        axis.plot(ticks, lead.sum(1), "D", color=BLACK, markersize=5, label="sum: decides")
        axis.axhline(0, color=BLACK, linewidth=0.8)
        cells = problem.light_paths(CELLS)[direction, :-1] + 1
        outputs = on[1:].argmax(1)
        triples = zip(ticks, cells, outputs, strict=True)
        axis.set_xticks(ticks, [f"{t}\ncell {cell}\n→ {out}" for t, cell, out in triples])
        axis.set_title(f"{problem.DIRECTIONS[direction]}: output {direction} wanted")
    axes[0].set_ylabel("speaks for output 0 (up) or 1,\n% of the net input")
    figure.supxlabel("tick, cell lit one tick before, output that is on", fontsize=9)
    axes[1].legend(fontsize=8)
    return figure


def draw_lapses(seed, count=40, presentations=3000):
    """Tests of many nets while they go on learning: where they lapse, and how soon they recover."""
    config = problem.Config(seed=seed, nets=count, presentations=presentations)
    nets = problem.build(np.random.default_rng(seed), [problem.MAIN], config)
    right = np.zeros((presentations, count))
    for step, direction in enumerate(nets.directions):
        problem.present(nets, direction, config.lam, config.eta)
        right[step] = problem.solved(nets.weights).all(0)
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 4), height_ratios=[2, 1], sharex=True)
    share = right.reshape(-1, 5, count).mean(1)
    span = (0, presentations, count + 0.5, 0.5)
    style = {"aspect": "auto", "interpolation": "nearest", "cmap": "cividis_r"}
    image = axes[0].imshow(share.T, extent=span, vmin=0, vmax=1, **style)
    figure.colorbar(image, ax=axes, label="share of five tests right on both")
    axes[0].set_ylabel("net")
    axes[1].plot(np.arange(presentations) + 1, right.mean(1), color=BLUE, linewidth=0.8)
    axes[1].set(xlabel="presentations", ylabel=f"share of {count}\nnets right", ylim=(0, 1.03))
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"kinds": draw_kinds(), "net": draw_net()}
    config = problem.Config(seed=options.seed, nets=200, presentations=1500)
    figures |= {
        "cycles": draw_cycles(problem.run(config), config),
        "learning": draw_learning(options.seed),
        "decision": draw_decision(options.seed),
        "lapses": draw_lapses(options.seed),
    }
    options.out.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
