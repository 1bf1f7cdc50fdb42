"""Draw the pictures of chunker-22-symbol into viz/."""

import argparse
import json
from pathlib import Path

import chunker_22_symbol as problem
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

LIMIT = 35_000
FEW = 3  # runs that are made for the curves


def recorded():
    """Sequences to solve in all recorded replicas of the headline variant, sorted; LIMIT for those
    that never did."""
    runs = json.loads((Path(__file__).resolve().parent / "results.json").read_text())["runs"]
    found = [r["metrics"] for r in runs if r.get("variant") == "chunkers" and "metrics" in r]
    times = [v for m in found for name, v in m.items() if name.startswith("solved_at_")]
    return (
        np.sort(times),
        [m["no_collapse_solved"] for m in found],
        [m["control_solved"] for m in found],
    )


def draw_sequences(times):
    """One dot for each replica, in the order of their success."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    solved = times < LIMIT
    axis.plot(
        times[solved], np.flatnonzero(solved) + 1, ".", color=BLUE, label="A alone solves the task"
    )
    if not solved.all():
        axis.plot(times[~solved], np.flatnonzero(~solved) + 1, "x", color=RED, label="not solved")
    for at, text in ((5000, "5,000: paper 13 of 17"), (LIMIT, "35,000: paper 17 of 17")):
        axis.axvline(at, color=GREY, linestyle=":")
        axis.text(at * 0.97, 2, text, rotation=90, ha="right", va="bottom", color=BLACK, fontsize=8)
    axis.set(
        xscale="log",
        xlim=(1000, 45_000),
        ylim=(0, len(times) + 2),
        xlabel="training sequences (21 symbols each)",
    )
    axis.set(
        ylabel=f"replicas, {len(times)} in 5 runs, in order",
        xticks=[1000, 2000, 5000, 10_000, 20_000, 35_000],
    )
    axis.set_xticklabels(["1,000", "2,000", "5,000", "10,000", "20,000", "35,000"])
    axis.minorticks_off()
    axis.legend(loc="upper left")
    return figure


def draw_shares(times, plain, control):
    """Share of the replicas of each kind that have solved the task."""
    figure, axis = plt.subplots(figsize=(6.4, 3.0))
    solved = times[times < LIMIT]
    steps = (
        [0, *solved, LIMIT],
        [0, *np.arange(1, len(solved) + 1) / len(times), len(solved) / len(times)],
    )
    axis.step(*steps, where="post", label="chunker: A alone")
    axis.plot(
        [0, 10_000],
        [0, np.mean(plain)],
        color=ORANGE,
        linewidth=4,
        label="no collapse: A alone (10,000 sequences)",
    )
    axis.plot(
        [0, LIMIT],
        [0, np.mean(control)],
        color=GREEN,
        label="conventional nets, four learning rates",
    )
    axis.axhline(13 / 17, color=GREY, linestyle=":")
    axis.text(LIMIT, 13 / 17 - 0.02, "13 of 17", color=BLACK, ha="right", va="top", fontsize=8)
    axis.axvline(5000, color=GREY, linestyle=":")
    axis.set(
        xlabel="training sequences",
        ylabel="share that has solved the task",
        ylim=(-0.03, 1.03),
        xlim=(0, LIMIT * 1.01),
    )
    axis.legend(loc="center right")
    return figure


def draw_errors(histories):
    """Mean error of the target unit, one thin line a run, bold the mean."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    kinds = {
        "chunker_error": ("C's target unit", SKY),
        "target_error": ("A's target unit", BLUE),
        "plain_error": ("A's target unit, no collapse", ORANGE),
        "control_error": ("conventional nets", GREEN),
    }
    for name, (label, colour) in kinds.items():
        curves = np.array([history[name] for history in histories])
        axis.plot(histories[0]["sequence"], curves.T, color=colour, linewidth=0.5, alpha=0.5)
        axis.plot(histories[0]["sequence"], curves.mean(0), color=colour, label=label)
    axis.axhline(0.3, color=GREY, linestyle=":")
    axis.text(4000, 0.305, "solved below 0.3", ha="right", va="bottom", fontsize=8)
    axis.set(
        xlabel="training sequences",
        ylabel="mean |error| of the target unit",
        ylim=(0, 0.6),
        xlim=(0, 4000),
    )
    axis.legend(loc="lower left", bbox_to_anchor=(0.11, 0.16), fontsize=8)
    return figure


def probe(net, count=41):
    """Frozen A alone: hidden unit and s-estimate of the target, (2, lag + 1, replicas) each: means
    after a and after x."""
    replicas = net.V.shape[1]
    first = np.repeat(np.random.default_rng(9).integers(2, size=(count, 1)), replicas, 1)
    hs, guesses = problem.play_alone(net, first)
    kinds = [first[:, 0] == kind for kind in (0, 1)]
    for kind in kinds:
        kind[0] = False
    return [np.array([values[kind].mean(0) for kind in kinds]) for values in (hs, guesses[..., -1])]


def draw_latch(snapshots, replica, solved_at):
    """Hidden unit over the slots of a sequence at four stages."""
    figure, axes = plt.subplots(1, 4, figsize=(6.4, 2.4), sharey=True)
    times = np.array(list(snapshots))
    for axis, wanted in zip(
        axes, (300, solved_at - 600, solved_at - 150, solved_at + 300), strict=True
    ):
        at = times[np.argmin(abs(times - wanted))]
        h = probe(snapshots[at])[0][:, :, replica]
        axis.plot(h[0], ".-", color=BLUE, label="a")
        axis.plot(h[1], ".-", color=RED, label="x")
        axis.set(
            title=f"{at:,} sequences",
            xticks=[0, 10, 20],
            xticklabels=["first", "b10", "b20"],
            ylim=(-0.03, 1.03),
        )
        axis.title.set_fontsize(9)
    axes[0].set_ylabel("hidden unit of A")
    axes[1].legend(title="first symbol", loc="upper right", fontsize=8, title_fontsize=8)
    figure.supxlabel("slot (symbol that was just shown)", fontsize=9)
    return figure


def draw_growth(snapshots, replica, solved_at):
    """How far A's imitation of C's target unit tells a from x, slot by slot, and the self-weight
    that carries it."""
    figure, (image, line) = plt.subplots(
        2, 1, figsize=(6.4, 4.2), height_ratios=[2, 1], sharex=True
    )
    times = [t for t in snapshots if solved_at - 1000 <= t <= solved_at + 400]
    gap = np.array([np.subtract(*probe(snapshots[t])[1][:, :, replica]) for t in times])
    step = times[1] - times[0]
    extent = (times[0] - step / 2, times[-1] + step / 2, -0.5, gap.shape[1] - 0.5)
    shown = image.imshow(
        gap.T, aspect="auto", origin="lower", extent=extent, vmin=0, vmax=1, interpolation="nearest"
    )
    figure.colorbar(shown, ax=image, label="estimate after a\nminus after x")
    image.set(
        ylabel="slot", yticks=[0, 5, 10, 15, 20], yticklabels=["first", "b5", "b10", "b15", "b20"]
    )
    line.plot(times, [snapshots[t].V[-1, replica] for t in times], color=BLUE)
    line.axhline(4, color=GREY, linestyle=":")
    line.text(times[0], 4.1, "a logistic unit can latch above 4", fontsize=8, va="bottom")
    for axis in (image, line):
        axis.axvline(solved_at, color=RED, linewidth=1)
    line.text(solved_at, line.get_ylim()[0], " solved", color=RED, fontsize=8, va="bottom")
    line.set(xlabel="training sequences", ylabel="self-weight of A")
    return figure


def draw_weights(before, after, replica):
    """All weights of A, initially and at the end; small values are stretched."""
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 6.2), sharex=True)
    for axis, net, title in zip(
        axes, (before, after), ("before learning", "after learning"), strict=True
    ):
        matrix = np.concatenate([net.O[:, replica], net.V[:, replica, None]], 1)
        largest = abs(np.concatenate([after.O[:, replica], after.V[:, replica, None]], 1)).max()
        norm = matplotlib.colors.SymLogNorm(0.5, vmin=-largest, vmax=largest, base=10)
        shown = axis.imshow(matrix, cmap="RdBu", norm=norm, aspect="auto", interpolation="nearest")
        axis.set(title=title, yticks=[0, 1, 2, 21, 22, 23, 24], ylabel="from")
        axis.set_yticklabels(["a", "x", "b1", "b20", "", "const.", "hidden"])
        axis.text(-0.9, 22, "target", ha="right", va="center", fontsize=7)
        axis.tick_params(axis="y", labelsize=7)
    for axis in axes:
        for edge in (21.5, 22.5, 46.5):
            axis.axvline(edge, color=BLACK, linewidth=0.6)
    axes[1].set(xticks=[11, 22, 35, 47], xlabel="to")
    axes[1].set_xticklabels(["p: next symbol", "d", "s: C's state", "hidden"], fontsize=8)
    figure.colorbar(shown, ax=axes, label="weight")
    return figure


def watched_run(seed):
    """A run of a few replicas, A's weights every 25 sequences, and the replica that solved the task
    first."""
    snapshots = {}

    def watch(step, _, A, **state):
        snapshots[step] = problem.dataclasses.replace(A, O=A.O.copy(), V=A.V.copy())

    config = problem.Config(
        seed=seed, replicas=3, sequences=4000, plain_sequences=0, control_sequences=1, every=25
    )
    result = problem.run(config, watch)
    solved_at = result.judges["chunkers"].solved_at
    replica = int(np.argmin(np.where(solved_at > 0, solved_at, 10**9)))
    solved_at = solved_at[replica] if solved_at[replica] > 0 else 4000
    rng = np.random.default_rng(seed).spawn(3)[0]
    return (
        problem.Chunkers(rng, config, np.ones(3)).A,
        snapshots,
        result.system.A,
        replica,
        int(solved_at),
    )


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(parents=True, exist_ok=True)
    times, plain, control = recorded()
    initial, snapshots, final, replica, solved_at = watched_run(options.seed)
    short = {
        "replicas": 10,
        "sequences": 4000,
        "plain_sequences": 4000,
        "control_sequences": 4000,
        "every": 100,
    }
    histories = [
        problem.run(problem.Config(seed=options.seed + i, **short)).history for i in range(FEW)
    ]
    figures = {
        "sequences": draw_sequences(times),
        "shares": draw_shares(times, plain, control),
        "errors": draw_errors(histories),
        "latch": draw_latch(snapshots, replica, solved_at),
        "growth": draw_growth(snapshots, replica, solved_at),
        "weights": draw_weights(initial, final, replica),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    main()
