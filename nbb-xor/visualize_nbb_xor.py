"""Draw the pictures of nbb-xor into viz/."""

import argparse
import json
import sys
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
    "three_hidden": "3 hidden",
    "two_pairs": "2 + 2 hidden",
    "two_hidden": "2 hidden",
    "no_shortcut": "3 hidden,\nno shortcut",
    "no_redistribution": "no redis-\ntribution",
    "no_reward": "no reward",
    "no_hidden": "no hidden",
}
PUBLISHED = {"found": 619, "stable": 674, "two_pairs": 0.8}  # the paper's, see problem.toml
PLACE = {  # where each unit of the paper's net is drawn
    **{name: (0, 2 - i) for i, name in enumerate(("x1", "x2", "1"))},
    **{name: (1.2, 2.35 - i) for i, name in enumerate(("h1", "h2", "h3"))},
    **{name: (2.4, 1.6 - i) for i, name in enumerate(("out 0", "out 1"))},
}


def draw_net():
    """Who feeds whom: units, subsets, weights; and where substance flows when out 1 is right."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    inputs, hidden, outputs = list(PLACE)[:3], list(PLACE)[3:6], list(PLACE)[6:]
    pairs = [(a, b) for a in inputs for b in hidden + outputs]
    for a, b in pairs + [(a, b) for a in hidden for b in outputs]:
        axis.plot(*np.array([PLACE[a], PLACE[b]]).T, color=GREY, linewidth=0.8, zorder=1)
    for names in (hidden, outputs):
        (x, top), (_, low) = PLACE[names[0]], PLACE[names[-1]]
        size = (0.36, top - low + 0.62)
        axis.add_patch(plt.Rectangle((x - 0.18, low - 0.31), *size, fill=False, color=BLUE))
    on = ("x1", "1", "h2", "out 1")
    arrow = {"arrowstyle": "-|>", "linewidth": 2, "color": ORANGE, "shrinkA": 13, "shrinkB": 13}
    paths = (("x1", "h2"), ("1", "h2"), ("h2", "out 1"), ("x1", "out 1"), ("1", "out 1"))
    middle = {}
    for a, b in paths:
        axis.annotate("", PLACE[b], PLACE[a], arrowprops=arrow)
        middle[a, b] = np.mean([PLACE[a], PLACE[b]], axis=0)
    flow = {**arrow, "color": GREEN, "linestyle": "--", "shrinkA": 2, "shrinkB": 2}
    for a, bend in (("x1", 0.25), ("1", -0.3)):
        bent = {**flow, "connectionstyle": f"arc3,rad={bend}"}
        axis.annotate("", middle[a, "h2"], middle["h2", "out 1"], arrowprops=bent, zorder=5)
    reward = {**flow, "linestyle": "-", "shrinkB": 13}
    style = {"color": GREEN, "va": "center", "arrowprops": reward}
    axis.annotate("reward", PLACE["out 1"], (3.05, 0.6), **style)
    for name, (x, y) in PLACE.items():
        fill = ORANGE if name in on else "white"
        axis.scatter(x, y, s=420, color=fill, edgecolors=BLACK, zorder=3)
        axis.text(x, y, name.replace("out ", ""), ha="center", va="center", zorder=4)
    for x, text in ((0, "inputs"), (1.2, "hidden units:\none is on"), (2.4, "outputs:\none is on")):
        axis.text(x, 3.25, text, ha="center", va="top")
    axis.plot([], [], color=ORANGE, label="who switches whom on (x1 x2 = 1 0)")
    axis.plot([], [], "--", color=GREEN, label="payment, to those that had put h2 on")
    axis.legend(loc="lower center", ncols=2, bbox_to_anchor=(0.5, -0.09))
    axis.set(xlim=(-0.3, 3.5), ylim=(-0.4, 3.3))
    axis.axis("off")
    return figure


def draw_steps(result, config):
    """Histograms of presentations until found, held for two tests, held for twenty."""
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 5), sharex=True)
    bins = np.linspace(0, 5000, 51)
    titles = ("first test that is right on all four patterns", "first two such tests in a row",
              "first twenty such tests in a row")  # fmt: skip
    marks = (PUBLISHED["found"], PUBLISHED["stable"], None)
    for column, (axis, title, paper) in enumerate(zip(axes, titles, marks, strict=True)):
        full, control = (result.reached[name][:, column] for name in ("three_hidden", "no_reward"))
        for steps, label, style in (
            (full, "full rule", {"color": SKY}),
            (control, "no reward", {"color": BLACK, "histtype": "step"}),
        ):
            steps = steps[steps > 0]
            label = f"{label}: {len(steps)} of {config.nets} nets"
            axis.hist(steps.clip(max=bins[-1]), bins, label=label, **style)
        axis.axvline(full[full > 0].mean(), color=BLUE, label="mean of the full rule")
        if paper:
            axis.axvline(paper, color=RED, linestyle="--", label=f"paper's mean, {paper}")
        axis.set(title=title, ylabel="nets")
        axis.legend(loc="upper center", bbox_to_anchor=(0.66 if paper else 0.84, 1.05))
    axes[-1].set_xlabel("presentations (the last bin holds all that took longer)")
    return figure


def draw_patterns(seed, count=40, presentations=4000, width=200):
    """Share of nets that are right on each pattern, for the full rule and the three controls."""
    names = ("three_hidden", *problem.CONTROLS)
    config = problem.Config(seed=seed)
    rng = np.random.default_rng(seed)
    nets = problem.build(rng, names, count)
    right = np.zeros((presentations, 4, len(names)))
    for step in range(presentations):
        pattern = rng.integers(4, size=count * len(names))
        problem.present(nets, pattern, config.lam, config.eta)
        right[step] = problem.solved(nets).reshape(4, len(names), count).mean(-1)
    total = np.cumsum(right, axis=0)
    smooth = (total[width:] - total[:-width]) / width
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 4.6), sharex=True, sharey=True)
    styles = list(zip((BLUE, ORANGE, GREEN, PINK), ("-", "-", "--", ":"), strict=True))
    for k, (axis, name) in enumerate(zip(axes.flat, names, strict=True)):
        for pattern, (colour, style) in enumerate(styles):
            label = "x1 x2 = {:.0f} {:.0f}".format(*problem.PATTERNS[pattern])
            steps = np.arange(width, presentations)
            axis.plot(steps, smooth[:, pattern, k], style, color=colour, linewidth=1.2, label=label)
        title = NAMES[name].replace("-\n", "")
        axis.set(title="full rule, 3 hidden" if k == 0 else title, ylim=(0, 1.02))
    axes[0, 0].legend(ncols=2, fontsize=8, loc="lower right")
    for axis in axes[1]:
        axis.set_xlabel("presentations")
    for axis in axes[:, 0]:
        axis.set_ylabel(f"share of {count} nets")
    return figure


def draw_substance(seed, count=6, presentations=2500, width=100):
    """Substance in the layers, and what a presentation pays, passes on and rewards; plain form."""
    config, kind = problem.Config(seed=seed), problem.KINDS["three_hidden"]
    layers, flows = np.zeros((2, presentations, 3, count))
    rng = np.random.default_rng(seed)
    start = problem.build(rng, ["three_hidden"], count, np.float64).weights
    for n in range(count):
        w = start[..., n].tolist()
        for step in range(presentations):
            ticks = problem.present_one(w, kind, rng.integers(4), config.lam, config.eta)
            flows[step, :, n] = np.array([tick[1:] for tick in ticks]).sum(0)
            v = np.array(w)
            layers[step, :, n] = v[:3, :4].sum(), v[:3, 4:].sum(), v[3:, 4:].sum()
    flows = np.concatenate([np.zeros((1, 3, count)), np.cumsum(flows, axis=0)])
    flows = (flows[width:] - flows[:-width]) / width
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.2))
    for axis, curves, names, first in (
        (axes[0], layers, ("input → hidden", "input → output", "hidden → output"), 1),
        (axes[1], flows, ("paid", "passed on", "reward"), width),
    ):
        steps = first + np.arange(len(curves))
        for curve, label in zip(curves.swapaxes(0, 1), names, strict=True):
            (line,) = axis.plot(steps, curve.mean(1), label=label)
            span = curve.min(1), curve.max(1)
            axis.fill_between(steps, *span, color=line.get_color(), alpha=0.25, linewidth=0)
        axis.set(xlabel="presentations", yscale="log")
    axes[0].set_ylabel("weight substance in a layer")
    axes[1].set_ylabel("substance a presentation")
    axes[0].legend(loc="lower left", fontsize=8)
    axes[1].legend(loc="upper right", fontsize=8)
    figure.suptitle(f"mean of {count} nets; bands: lowest to highest", fontsize=9)
    return figure


def draw_weights(seed):
    """The net of the GIF when stable: weights into its hidden units, who wins, what decides."""
    *_, (_, w, _, _) = problem.learn_one(np.random.default_rng(seed))
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.9), width_ratios=[1, 1, 1.5])
    patterns = ["{:.0f} {:.0f}".format(*pattern) for pattern in problem.PATTERNS]
    nets = problem.PATTERNS @ w[:3]  # what the inputs alone bring to every target
    winner = nets[:, :3].argmax(1)
    for axis, values, rows, title in (
        (axes[0], w[:3, :3], ["x1", "x2", "1"], "weights into\nhidden units"),
        (axes[1], nets[:, :3], patterns, "net input\n(boxed: wins)"),
    ):
        axis.imshow(values, cmap="Blues", vmin=0, vmax=1.4 * values.max(), aspect="auto")
        axis.set(xticks=range(3), xticklabels=["h1", "h2", "h3"], title=title)
        axis.set(yticks=range(len(rows)), yticklabels=rows)
        for (i, j), value in np.ndenumerate(values):
            axis.text(j, i, f"{value:.3f}", ha="center", va="center", fontsize=8)
    axes[1].set_ylabel("x1 x2")
    for row, unit in enumerate(winner):
        style = {"fill": False, "color": RED, "linewidth": 2}
        axes[1].add_patch(plt.Rectangle((unit - 0.46, row - 0.46), 0.92, 0.92, **style))
    totals = nets[:, 4:] + w[3 + winner, 4:]
    lead = 1e4 * (totals[:, 1] - totals[:, 0]) / totals.mean(1)
    wanted = [BLUE if xor else ORANGE for xor in problem.XOR]
    axes[2].barh(range(4), lead, color=wanted)
    axes[2].axvline(0, color=BLACK, linewidth=0.8)
    axes[2].set_xscale("symlog", linthresh=1)
    axes[2].set_title("lead of out 1 over out 0\n(blue: out 1 wanted)")
    axes[2].set(yticks=range(4), yticklabels=patterns)
    ticks = [-100, -10, -1, 0, 1, 10, 100]
    axes[2].set(xlim=(-500, 500), xlabel="ten-thousandths of the net input")
    axes[2].set_xticks(ticks, [str(tick) for tick in ticks])
    axes[2].invert_yaxis()
    return figure


def draw_kinds():
    """Found and stable shares of every kind of net over all recorded seeds."""
    runs = [run["metrics"] for run in recorded("all_kinds")]
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    for i, name in enumerate(NAMES):
        prefix = "" if name == "three_hidden" else f"{name}_"
        for offset, key, colour, label in (
            (-0.2, "found_nets", SKY, "found"),
            (0.2, "stable20_nets", BLUE, "stable for 20 tests"),
        ):
            shares = np.array([run[prefix + key] / run["nets"] for run in runs])
            axis.bar(i + offset, shares.mean(), 0.38, color=colour, label=label if i == 0 else None)
            dots = i + offset + np.linspace(-0.12, 0.12, len(shares))
            axis.plot(dots, shares, ".", color=BLACK, markersize=3)
    place = list(NAMES).index("two_pairs")
    label = "paper: 8 of 10 runs succeed"
    axis.plot([place - 0.42, place + 0.42], [PUBLISHED["two_pairs"]] * 2, color=RED, label=label)
    axis.set(xticks=range(len(NAMES)), xticklabels=NAMES.values(), ylim=(0, 1.05))
    axis.set_ylabel(f"share of nets (dots: {len(runs)} seeds)")
    axis.tick_params(axis="x", labelsize=8)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"kinds": draw_kinds(), "net": draw_net()}
    config = problem.Config(seed=options.seed, nets=200, kinds="control")
    many = problem.run(config)
    figures |= {
        "presentations": draw_steps(many, config),
        "weights": draw_weights(options.seed),
        "patterns": draw_patterns(options.seed),
        "substance": draw_substance(options.seed),
    }
    options.out.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
