"""Draw the pictures of oops-towers-of-hanoi into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import oops_towers_of_hanoi as problem

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

PAPER = "c3 dec boostq defnp c4 calltp c3 c5 calltp endnp".split()


def text(code):
    """A program as words."""
    return " ".join(problem.NAMES[token] for token in code)


def draw_steps(result, seed):
    """Steps until each Hanoi task is solved, with family A before and without."""
    figure, axis = plt.subplots(figsize=(6.4, 3.3))
    before = [row for row in result.frozen if row.family == "A"][-1].steps
    axis.axhline(before, color=BLUE, linewidth=0.8, linestyle=":")
    axis.text(6, before * 0.5, "all of family A", color=BLUE, ha="right", va="center")
    arms = (
        (result.frozen, "with family A before", BLUE, "o", {1: (0.1, 2.2), 2: (0.55, 0.5)}),
        (result.without, "without", ORANGE, "s", {1: (0.1, 1), 2: (0.08, 0.3), 3: (0, 2.2)}),
    )
    for rows, label, colour, marker, notes in arms:
        rows = [row for row in rows if row.family == "B" and row.n <= 6]
        steps = [row.steps for row in rows]
        axis.plot([row.n for row in rows], steps, marker + "-", color=colour, label=label)
        for row in rows:
            if row.how != "frozen":
                right, factor = notes.get(row.n, (0.1, 0.5))
                note = f"{row.how}: {text(row.code)}"
                place = (row.n + right, row.steps * factor)
                axis.text(*place, note, va="center", color=colour, fontsize=8)
    axis.set(yscale="log", ylim=(1, 2e7), xlim=(0.9, 6.1), xticks=range(1, 7))
    axis.set(xlabel="disks n", ylabel="steps so far")
    axis.set_title(f"steps until n disks are solved, 24 tokens, seed {seed}", loc="left")
    axis.legend(loc="lower right")
    return figure


def cumulative(chances):
    """P of the first 0, 1, 2, ... tokens."""
    return np.cumprod([1.0, *chances])


def draw_chances(result):
    """P of the growing Hanoi solver, with and without family A, here and in the paper."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.4), sharey=True)
    weights = problem.boost(dict.fromkeys(result.order, 1), problem.BOOSTS["B"])
    teacher = [row for row in result.frozen if row.family == "A"][-1].code
    with_a = next(row for row in result.frozen[::-1] if row.family == "B").code
    ours = (
        ("with A", [problem.NAMES[token] for token in with_a], BLUE, "o"),
        ("without", [problem.NAMES[token] for token in result.without[-1].code], ORANGE, "s"),
    )
    for label, names, colour, marker in ours:
        tokens = [problem.NAMES.index(name) for name in names]
        chances = problem.token_chances(tokens, weights, set(teacher))
        draw_line(axes[0], label, names, cumulative(chances), colour, marker)
    axes[0].set_title("24 tokens, found here", loc="left")
    boosted = [74 / 511] * 3 + [74 / 876] * 7
    draw_line(axes[1], "boostq", PAPER, cumulative(boosted), BLUE, "o")
    plain = [1 / 511 if name in ("defnp", "calltp", "endnp") else 74 / 511 for name in PAPER[3:]]
    draw_line(axes[1], "no boostq", PAPER[3:], cumulative(plain), ORANGE, "s")
    axes[1].set_title("73 tokens, the paper's", loc="left")
    axes[0].set(yscale="log", ylabel="probability P so far", ylim=(1e-16, 30))
    for axis in axes:
        axis.set_xlabel("tokens chosen")
        axis.legend(loc="lower left")
    return figure


def draw_line(axis, label, names, chances, colour, marker):
    """One program: P against the tokens chosen, the words along the line."""
    total = f"{label}: {chances[-1]:.1e}"
    axis.plot(range(len(chances)), chances, marker + "-", color=colour, label=total, markersize=4)
    factor, angle = (2.2, 45) if colour == BLUE else (0.35, -45)
    turn = {"rotation": angle, "rotation_mode": "anchor", "ha": "left", "va": "center"}
    for place, name in enumerate(names, 1):
        axis.text(place, chances[place] * factor, name, color=colour, fontsize=7, **turn)


def draw_language(runs):
    """Measured steps without A over steps with A, against the size of the language."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    sizes = sorted({run["config"]["words"] + 7 for run in runs})
    rng = np.random.default_rng(0)
    for metric, label, colour, shift in (
        ("transfer_ratio", "the control boosts bq, as in the paper's arithmetic", BLUE, -0.4),
        ("lean_ratio", "the control does not boost the useless bq", GREEN, 0.4),
    ):
        middle = []
        for size in sizes:
            values = [r["metrics"][metric] for r in runs if r["config"]["words"] + 7 == size]
            x = size + shift + rng.uniform(-0.2, 0.2, len(values))
            axis.plot(x, values, ".", color=colour, alpha=0.6)
            middle.append(np.median(values))
        axis.plot(np.array(sizes) + shift, middle, "_-", color=colour, markersize=14, label=label)
    axis.axhline(1, color=BLACK, linewidth=0.8, linestyle=":")
    axis.text(24.8, 0.93, "family A costs what it saves", ha="right", va="top")
    axis.set(yscale="log", xticks=sizes, xlim=(8, 25), ylim=(0.4, 16))
    axis.set_yticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
    axis.set(xlabel="tokens in the language", ylabel="steps without A / with A")
    seeds = len(runs) // len(sizes)
    axis.set_title(f"{seeds} token orders each; line: median", loc="left")
    axis.legend(loc="upper left")
    return figure


def draw_calls(disks=3):
    """The tree of calls of the solver xAD rec mv xSA rec, and the move of each."""
    figure, axis = plt.subplots(figsize=(6.4, 3))
    moves = iter(range(1, 2**disks))

    def place(source, spare, target, n, left, right, parent):
        middle, height = (left + right) / 2, disks - n
        if parent:
            axis.plot([parent[0], middle], [parent[1], -height], color=GREY, zorder=0)
        if n > 1:
            place(source, target, spare, n - 1, left, middle, (middle, -height))
        number = next(moves)
        colour = [None, SKY, ORANGE, GREEN][n]
        label = f"n = {n}, {source} to {target}\nmove {number}"
        box = {"boxstyle": "round", "facecolor": colour, "edgecolor": "none"}
        axis.text(middle, -height, label, ha="center", va="center", bbox=box, fontsize=8)
        if n > 1:
            place(spare, source, target, n - 1, middle, right, (middle, -height))

    place(1, 2, 3, disks, 0.0, 1.0, None)
    axis.set(xlim=(0, 1), ylim=(-disks + 0.6, 0.4))
    axis.axis("off")
    text_left = "xAD rec: the upper n - 1 disks\nfrom S to A, by a call"
    axis.text(0.13, -0.25, text_left, ha="center", va="center", fontsize=8)
    text_right = "xSA rec: the same disks\nfrom A to D, by a call"
    axis.text(0.87, -0.25, text_right, ha="center", va="center", fontsize=8)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    runs = recorded()
    result = problem.run(problem.Config(seed=options.seed))
    figures = {
        "steps": draw_steps(result, options.seed),
        "chances": draw_chances(result),
        "language": draw_language(runs),
        "calls": draw_calls(),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
