"""Draw the pictures of chunker-22-symbol into viz/."""

import argparse
import copy
import json
import sys
from pathlib import Path

import chunker_22_symbol as problem
import chunker_22_symbol_control as control
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

RUNS = 3  # recorded runs that are made again, from their start on, for the curves
LENGTH = 4000  # sequences of them
EVERY = 25  # sequences between two points of a curve
SLOTS = {"yticks": [0, 5, 10, 15, 20], "yticklabels": ["first", "b5", "b10", "b15", "b20"]}


def box(axis, x, y, width, height, text, colour, **style):
    """A box with text in it; x, y: its centre."""
    corner = x - width / 2, y - height / 2
    axis.add_patch(
        matplotlib.patches.FancyBboxPatch(
            corner, width, height, boxstyle="round,pad=0.06", ec=colour, fc="white", lw=1.5
        )
    )
    axis.text(x, y, text, ha="center", va="center", fontsize=8, **style)


def arrow(axis, start, end, text, at, colour, bend=0.0):
    """An arrow with its text."""
    style = {"color": colour, "arrowstyle": "-|>", "lw": 1.4, "mutation_scale": 12}
    style |= {"connectionstyle": f"arc3,rad={bend}", "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, arrowprops=style)
    axis.text(*at, text, fontsize=8, ha="center", va="center")


def draw_system():
    """Who feeds whom, and what is learnt."""
    figure, axis = plt.subplots(figsize=(6.4, 3.3))
    axis.set(xlim=(0, 10), ylim=(-0.5, 5.1))
    axis.axis("off")
    box(axis, 1.3, 1.2, 1.9, 1.1, "slot t: symbol,\ntarget if there is one", BLACK)
    box(axis, 5.0, 1.2, 2.0, 1.1, "predictor A\none hidden unit $h$", BLUE)
    box(axis, 5.0, 4.2, 2.0, 1.1, "chunker C\none hidden unit $h$", GREEN)
    box(
        axis,
        8.7,
        1.2,
        2.0,
        1.5,
        "guess for slot t + 1:\nsymbol $p$, target $d$,\nC's state $s$",
        BLUE,
    )
    box(
        axis,
        8.7,
        4.2,
        2.0,
        1.1,
        "guess for the next\nevent: $p$, $d$;\nthe event teaches it",
        GREEN,
    )
    arrow(axis, (2.4, 1.2), (3.9, 1.2), "at every slot", (3.15, 1.45), BLACK)
    arrow(axis, (6.1, 1.2), (7.6, 1.2), "", (0, 0), BLUE)
    arrow(axis, (6.1, 4.2), (7.6, 4.2), "", (0, 0), GREEN)
    arrow(
        axis,
        (1.3, 1.9),
        (3.9, 4.2),
        "only at an event:\nA was wrong\nby more than 0.2",
        (1.55, 3.6),
        RED,
        -0.2,
    )
    arrow(
        axis,
        (5.0, 3.55),
        (8.0, 2.05),
        "the collapse: C's state at the end\nof slot t teaches $s$",
        (4.55, 2.6),
        ORANGE,
    )
    arrow(
        axis,
        (1.3, 0.55),
        (8.3, 0.35),
        "what slot t + 1 shows teaches $p$ and $d$",
        (4.8, -0.35),
        ORANGE,
        0.08,
    )
    return figure


def wilson(successes, trials):
    """Wilson 95 % interval of a proportion."""
    z, share = 1.96, successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = np.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2) * z
    return middle - reach / (1 + z * z / trials), middle + reach / (1 + z * z / trials)


def draw_shares(runs, nets, record):
    """Share of the systems of each kind that have solved the task: curves of the runs that were
    made again, and the counts of all recorded runs at the paper's two numbers of sequences."""
    figure, axis = plt.subplots(figsize=(6.4, 3.3))
    half = runs[0].system.config.replicas
    kinds = {
        "chunkers: A alone": ([r.solved_at[:half] for r in runs], BLUE, "-"),
        "without the collapse": ([r.solved_at[half:] for r in runs], ORANGE, "-"),
        "conventional nets": ([r.solved_at for r in nets], GREEN, "--"),
    }
    for label, (times, colour, line) in kinds.items():
        times = np.concatenate(times)
        solved = np.sort(times[times >= 0])
        axis.step(
            [1000, *solved, LENGTH],
            [0, *np.arange(1, len(solved) + 1) / len(times), len(solved) / len(times)],
            where="post",
            color=colour,
            linestyle=line,
            label=f"{label} ({len(times)}, runs 0-{RUNS - 1})",
        )
    trials, *solved = record.sum(0)
    for at, count, paper in zip((5000, 35_000), solved, (13 / 17, 1), strict=True):
        low, high = wilson(count, trials)
        axis.plot([at, at], [low, high], color=BLUE)
        label = f"all {len(record)} recorded runs, 95 %" if at == 5000 else None
        axis.plot(at, count / trials, "o", color=BLUE, label=label)
        axis.text(
            at * 0.94, count / trials, f"{count} of {trials}", ha="right", va="bottom", fontsize=8
        )
        label = "the paper: 13, then 17 of 17" if at == 5000 else None
        axis.plot(at, paper, "D", color=BLACK, fillstyle="none", label=label)
    axis.set(
        xscale="log",
        xlim=(1000, 42_000),
        ylim=(-0.04, 1.08),
        xlabel="training sequences (21 symbols each)",
        ylabel="share that has solved the task",
        xticks=[1000, 2000, 5000, 10_000, 20_000, 35_000],
    )
    axis.set_xticklabels(["1,000", "2,000", "5,000", "10,000", "20,000", "35,000"])
    axis.minorticks_off()
    axis.legend(loc="center right", bbox_to_anchor=(1, 0.38), fontsize=8)
    return figure


def draw_errors(runs, nets):
    """Mean error of the target unit, a thin line a run, bold their mean."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    kinds = {
        "C's target unit": (runs, "chunker_error", SKY),
        "A's target unit": (runs, "target_error", BLUE),
        "A's, without the collapse": (runs, "plain_error", ORANGE),
        "conventional nets": (nets, "target_error", GREEN),
    }
    for label, (results, name, colour) in kinds.items():
        curves = np.array([r.history[name] for r in results]).reshape(len(results), -1, 4).mean(2)
        times = np.array(results[0].history["sequence"])[3::4]
        axis.plot(times, curves.T, color=colour, linewidth=0.5, alpha=0.6)
        axis.plot(times, curves.mean(0), color=colour, label=label)
    axis.axhline(0.3, color=GREY, linestyle=":")
    axis.text(LENGTH, 0.305, "solved below 0.3", ha="right", va="bottom", fontsize=8)
    axis.set(
        xlabel=f"training sequences (runs 0-{RUNS - 1})",
        ylabel="mean |error| of the target unit",
        ylim=(0, 0.6),
        xlim=(0, LENGTH),
    )
    axis.legend(loc="lower left", bbox_to_anchor=(0.11, 0.16), fontsize=8)
    return figure


def probe(A, replica, count=41):
    """Frozen A alone: hidden unit and imitation of C's target unit, (2, lag + 1) each: means after
    a and after x."""
    first = np.random.default_rng(9).integers(2, size=(count, 1))
    hs, guesses = problem.play_alone(A, first, 20, np.array([replica]))
    kinds = [first[:, 0] == kind for kind in (0, 1)]
    for kind in kinds:
        kind[0] = False  # the first sequence only lets h settle
    values = hs[:, :, 0], guesses[:, :, 0, -1]
    return [np.array([value[kind].mean(0) for kind in kinds]) for value in values]


def draw_latch(snapshots, replica, solved_at):
    """Hidden unit over the slots of a sequence at four stages."""
    figure, axes = plt.subplots(1, 4, figsize=(6.4, 2.4), sharey=True)
    times = np.array(list(snapshots))
    stages = 300, solved_at - 600, solved_at - 150, solved_at + 300
    for axis, wanted in zip(axes, stages, strict=True):
        at = times[np.argmin(abs(times - wanted))]
        h = probe(snapshots[at], replica)[0]
        axis.plot(h[0], ".-", color=BLUE, label="a")
        axis.plot(h[1], ".-", color=RED, label="x")
        axis.set(title=f"{at:,} sequences", ylim=(-0.03, 1.03))
        axis.set(xticks=[0, 10, 20], xticklabels=["first", "b10", "b20"])
        axis.title.set_fontsize(9)
    axes[0].set_ylabel("hidden unit of A")
    axes[0].legend(title="first symbol", loc="center", fontsize=8, title_fontsize=8)
    figure.supxlabel("slot (symbol that was just shown)", fontsize=9)
    return figure


def draw_growth(snapshots, replica, solved_at):
    """How far A's imitation of C's target unit tells a from x, slot by slot, and the self-weight
    that carries it."""
    figure, (image, line) = plt.subplots(
        2, 1, figsize=(6.4, 4.2), height_ratios=[2, 1], sharex=True
    )
    times = [t for t in snapshots if solved_at - 1000 <= t <= solved_at + 400]
    gap = np.array([np.subtract(*probe(snapshots[t], replica)[1]) for t in times])
    extent = (times[0] - EVERY / 2, times[-1] + EVERY / 2, -0.5, gap.shape[1] - 0.5)
    style = {"aspect": "auto", "origin": "lower", "extent": extent, "interpolation": "nearest"}
    shown = image.imshow(gap.T, vmin=0, vmax=1, **style)
    figure.colorbar(shown, ax=image, label="estimate after a\nminus after x")
    image.set(ylabel="slot", **SLOTS)
    line.plot(times, [snapshots[t].V[problem.HIDDEN, replica] for t in times], color=BLUE)
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
    whole = [np.roll(net.W[..., replica], -1, axis=1) for net in (before, after)]  # h last
    largest = abs(whole[1]).max()
    norm = matplotlib.colors.SymLogNorm(0.5, vmin=-largest, vmax=largest, base=10)
    for axis, matrix, title in zip(axes, whole, ("before learning", "after learning"), strict=True):
        shown = axis.imshow(matrix, cmap="RdBu", norm=norm, aspect="auto", interpolation="nearest")
        axis.set(title=title, yticks=[0, 1, 2, 21, 22, 23, 24], ylabel="from")
        axis.set_yticklabels(["a", "x", "b1", "b20", "", "const.", "hidden"])
        axis.text(-0.9, 22, "target", ha="right", va="center", fontsize=7)
        axis.tick_params(axis="y", labelsize=7)
        for edge in (21.5, 22.5, 46.5):
            axis.axvline(edge, color=BLACK, linewidth=0.6)
    axes[1].set(xticks=[11, 22, 35, 47], xlabel="to")
    axes[1].set_xticklabels(["p: next symbol", "d", "s: C's state", "hidden"], fontsize=8)
    figure.colorbar(shown, ax=axes, label="weight", ticks=[-5, -1, 0, 1, 5], format="{x:g}")
    return figure


def counts():
    """Numbers of systems, and of those solved within 5,000 and within 35,000, one row a recorded
    run of the headline. Raises OSError where a run lacks one of them."""
    names = "systems", "solved_5k", "solved_35k"
    rows = [[run["metrics"].get(name) for name in names] for run in recorded("chunkers")]
    if any(count is None for row in rows for count in row):
        raise OSError("results.json is of another script; python3 -m catalog measure renews it")
    return np.array(rows)


def start_of_runs(seed):
    """The first sequences of RUNS recorded runs and of as many runs of the conventional nets, and
    A's weights in the first of them every EVERY sequences."""
    snapshots = {}

    def watch(step, _, system, **state):
        if len(snapshots) * EVERY < step:
            A = copy.copy(system.A)
            A.W = system.A.W.copy()
            A.V = A.W[:, 0]
            snapshots[step] = A

    short = {"sequences": LENGTH, "every": EVERY}
    runs, nets = [], []
    for now in range(seed, seed + RUNS):
        config = problem.Config(seed=now, plain_sequences=LENGTH, **short)
        runs.append(problem.run(config, None if runs else watch))
        nets.append(control.run(control.Config(seed=now, **short)))
    return runs, nets, snapshots


def draw():
    options = figure_options(__doc__, "viz")
    record = counts()
    options.out.mkdir(exist_ok=True)
    runs, nets, snapshots = start_of_runs(options.seed)
    config, solved_at = runs[0].system.config, runs[0].solved_at[: runs[0].system.config.replicas]
    replica = int(np.argmin(np.where(solved_at > 0, solved_at, LENGTH)))
    when = int(solved_at[replica]) if solved_at[replica] > 0 else LENGTH - 400
    rng = np.random.default_rng(options.seed).spawn(2)[0]
    initial = problem.Chunkers(rng, config, np.ones(2 * config.replicas)).A
    figures = {
        "system": draw_system(),
        "shares": draw_shares(runs, nets, record),
        "errors": draw_errors(runs, nets),
        "latch": draw_latch(snapshots, replica, when),
        "growth": draw_growth(snapshots, replica, when),
        "weights": draw_weights(initial, runs[0].system.A, replica),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(draw)
