"""Draw the pictures of nbb-xor into viz/."""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nbb_xor as problem
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


NAMES = {
    "three_hidden": "3 hidden",
    "two_pairs": "2 + 2 hidden",
    "two_hidden": "2 hidden",
    "no_shortcut": "3 hidden,\nno shortcut",
    "no_redistribution": "no redis-\ntribution",
    "no_reward": "no reward",
    "no_hidden": "no hidden",
}


def draw_steps(result, cap):
    """Histogram of presentations to found, held for two tests, held for twenty."""
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 5), sharex=True)
    bins = np.linspace(0, 6000, 61)
    titles = (
        "first 4/4 test",
        "first solution that holds for 2 tests",
        "first solution that holds for 20 tests",
    )
    for axis, steps, title, paper in zip(
        axes, result.reached["three_hidden"].T, titles, (619, 674, None), strict=True
    ):
        steps = steps[steps > 0]
        axis.hist(steps, bins, color=SKY)
        axis.axvline(steps.mean(), color=BLUE, label="our mean")
        if paper:
            axis.axvline(paper, color=RED, linestyle="--", label=f"paper's mean, {paper}")
        axis.set(title=title, ylabel="nets")
        axis.legend()
    axes[-1].set_xlabel(f"presentations (of {cap:,} allowed)")
    return figure


def draw_correctness(result, names):
    """Share of nets that are right on each pattern, for the full rule and the three controls."""
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 4.6), sharex=True, sharey=True)
    steps, correct = np.array(result.history["presentation"]), np.array(result.history["correct"])
    kernel = np.ones(8) / 8
    for axis, name in zip(
        axes.flat, ("three_hidden", "no_redistribution", "no_reward", "no_hidden"), strict=True
    ):
        curves = correct[:, names.index(name)]
        for pattern, (colour, style) in enumerate(
            zip((BLUE, ORANGE, GREEN, PINK), ("-", "-", "--", ":"), strict=True)
        ):
            smooth = np.convolve(curves[:, pattern], kernel, "valid")
            label = "x1 x2 = {:.0f} {:.0f}".format(*problem.PATTERNS[pattern])
            axis.plot(
                steps[len(kernel) - 1 :], smooth, style, color=colour, linewidth=1.2, label=label
            )
        axis.set(
            title=NAMES[name].replace("-\n", "").replace("\n", " ")
            if name != "three_hidden"
            else "full rule, 3 hidden",
            ylim=(0, 1.02),
        )
    axes[0, 0].legend(ncols=2, fontsize=8)
    for axis in axes[1]:
        axis.set_xlabel("presentations")
    for axis in axes[:, 0]:
        axis.set_ylabel("share of nets that are right")
    return figure


def draw_substance(config):
    """Substance in the layers, and what a presentation pays, redistributes and injects, for the
    paper's nets."""
    nets = problem.build(np.random.default_rng(config.seed), ["three_hidden"], config.nets)
    rng = np.random.default_rng(config.seed + 1)
    layers, flows = [], []
    for _ in range(3000):
        moved = np.zeros(3)

        def tick(c, y, share, income, gain, moved=moved):
            moved += [config.lam * (c * y).sum(), (share * income).sum(), (c * y * gain).sum()]

        problem.present(nets, rng.integers(4, size=config.nets), config.lam, config.eta, tick)
        w = nets.weights
        layers.append([part.sum() / config.nets for part in (w[:3, :4], w[:3, 4:], w[3:, 4:])])
        flows.append(moved / config.nets)
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3))
    for curve, label in zip(
        np.array(layers).T, ("input → hidden", "input → output", "hidden → output"), strict=True
    ):
        left.plot(curve, label=label)
    left.set(xlabel="presentations", ylabel="weight substance in a layer", yscale="log")
    left.legend()
    for curve, label in zip(np.array(flows).T, ("paid", "redistributed", "injected"), strict=True):
        right.plot(
            np.arange(50, 3001),
            np.convolve(curve, np.ones(50) / 50, "valid")[: 3000 - 49],
            label=label,
        )
    right.set(xlabel="presentations", ylabel="substance moved in a presentation", yscale="log")
    right.legend()
    return figure


def draw_weights(result):
    """One stable net: its weights, and which hidden unit each pattern switches on."""
    stable = np.flatnonzero(result.reached["three_hidden"][:, -1])
    w = result.weights[..., stable[0] if len(stable) else 0]
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.6), width_ratios=[3, 2, 3])
    into, out = w[:3, :3], np.concatenate([w[:3, 4:], w[3:6, 4:]])
    columns = ("into hidden units", ["h1", "h2", "h3"]), ("into outputs", ["out 0", "out 1"])
    for axis, values, rows, (title, names) in zip(
        axes,
        (into, out),
        (["x1", "x2", "1"], ["x1", "x2", "1", "h1", "h2", "h3"]),
        columns,
        strict=False,
    ):
        axis.imshow(values / values.max(), cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
        axis.set(
            xticks=range(len(names)),
            xticklabels=names,
            yticks=range(len(rows)),
            yticklabels=rows,
            title=title,
        )
        for (i, j), value in np.ndenumerate(values):
            axis.text(j, i, f"{value:.3g}", ha="center", va="center", fontsize=7)
    nets = problem.Nets(
        w[..., None],
        problem.build(np.random.default_rng(0), ["three_hidden"], 1).group,
        *[None] * 4,
    )
    hidden = problem.winners(np.tensordot(problem.PATTERNS, nets.weights[:3], 1), nets.group)[
        :, :3, 0
    ]
    right = problem.solved(nets)[:, 0]
    axes[2].imshow(hidden, cmap="Greys", vmin=0, vmax=1.5, aspect="auto")
    labels = [
        "{:.0f} {:.0f}  ({})".format(*p[:2], "right" if ok else "wrong")
        for p, ok in zip(problem.PATTERNS, right, strict=True)
    ]
    axes[2].set(
        xticks=range(3),
        xticklabels=["h1", "h2", "h3"],
        yticks=range(4),
        yticklabels=labels,
        title="hidden winner",
    )
    return figure


def draw_kinds(folder):
    """Found and stable shares of every kind of net over all recorded seeds."""
    runs = [
        run
        for run in json.loads((folder / "results.json").read_text())["runs"]
        if run["variant"] == "all_kinds"
    ]
    figure, axis = plt.subplots(figsize=(6.4, 3))
    for i, name in enumerate(NAMES):
        keys = (
            ("found_fraction", "stable20")
            if name == "three_hidden"
            else (f"{name}_found", f"{name}_stable20")
        )
        for offset, key, colour, label in zip(
            (-0.2, 0.2), keys, (SKY, BLUE), ("found", "stable for 20 tests"), strict=True
        ):
            values = np.array([run["metrics"][key] for run in runs])
            axis.bar(i + offset, values.mean(), 0.38, color=colour, label=label if i == 0 else None)
            axis.plot(
                i + offset + np.linspace(-0.1, 0.1, len(values)),
                values,
                ".",
                color=BLACK,
                markersize=3,
            )
    axis.set(
        xticks=range(len(NAMES)),
        xticklabels=NAMES.values(),
        ylabel="share of nets (dots: seeds)",
        ylim=(0, 1.05),
    )
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(parents=True, exist_ok=True)
    config = problem.Config(seed=options.seed, nets=200, kinds="main")
    many = problem.run(config)
    small = problem.Config(seed=options.seed, presentations=4000, nets=40, keep=True)
    figures = {
        "presentations": draw_steps(many, config.presentations),
        "patterns": draw_correctness(problem.run(small), problem.CHOICES["all"]),
        "substance": draw_substance(problem.Config(seed=options.seed)),
        "weights": draw_weights(many),
        "kinds": draw_kinds(Path(__file__).resolve().parent),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    main()
