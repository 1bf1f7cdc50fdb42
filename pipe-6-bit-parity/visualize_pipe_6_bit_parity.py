"""Draw the pictures of pipe-6-bit-parity into viz/."""

import argparse
import json
import math
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pipe_6_bit_parity as problem

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


LINES = {  # variant: colour, style, label
    "pipe": (BLUE, "-", "PIPE"),
    "regrown": (SKY, "--", "PIPE, PROG_el's cut nodes grow afresh"),
    "no-pruning": (RED, "-.", "PIPE without pruning"),
}


def draw_solved(runs, budget):
    """Share of the recorded seeds that are solved after so many evaluations."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    for variant, (colour, style, label) in LINES.items():
        own = [run["metrics"] for run in runs if run["variant"] == variant]
        ends = sorted(m["evaluations"] for m in own if m["solved"])
        share = np.arange(len(ends) + 1) / len(own)
        label = f"{label}: {len(ends)} of {len(own)} seeds"
        axis.step(
            [0, *ends, budget], [*share, share[-1]], style, where="post", color=colour, label=label
        )
    axis.axhline(0.7, color=GREY, linewidth=0.8)
    axis.text(budget, 0.71, "the paper's 70 %", color=GREY, ha="right", fontsize=8)
    axis.set(xlabel="evaluations of programs", ylabel="share of seeds solved", ylim=(0, 1.05))
    axis.legend(loc="lower right", fontsize=8)
    return figure


def draw_learning(history, seed):
    """FIT, size and probability of PROG_el in one run."""
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 5), sharex=True)
    rows = {"wrong rows": "fit", "nodes": "size", "log P": "log_probability"}
    for axis, (label, name) in zip(axes, rows.items(), strict=True):
        axis.plot(history["evaluations"], history[name], color=BLUE)
        axis.set_ylabel(label)
    axes[2].set_yscale("symlog")
    axes[0].set_title(f"PROG_el, seed {seed}")
    axes[2].set_xlabel("evaluations of programs")
    return figure


def draw_rows(seen, task):
    """Which rows are wrong at each FIT that PROG_el had, by the number of ones in the row."""
    fits = sorted(seen, reverse=True)
    table = np.zeros((len(task.inputs) + 1, len(fits)))
    for column, fit in enumerate(fits):
        wrong = task.evaluate(seen[fit]) ^ task.wanted
        for row in range(2 ** len(task.inputs)):
            table[row.bit_count(), column] += wrong >> row & 1
    share = table / np.array([math.comb(len(task.inputs), k) for k in range(len(table))])[:, None]
    figure, axis = plt.subplots(figsize=(6.4, 3))
    image = axis.imshow(share, aspect="auto", origin="lower", vmin=0, vmax=1)
    axis.set_xticks(range(len(fits)), fits)
    axis.set(xlabel="wrong rows of PROG_el, as it improves", ylabel="ones in the row")
    figure.colorbar(image, label="share of these rows wrong")
    return figure


COLOURS = {"AND": SKY, "OR": PINK, "NOT": YELLOW, "IF": ORANGE}


def draw_program(program, task, fit):
    """The program as a tree: x by the order of its inputs, y by depth."""
    figure, axis = plt.subplots(figsize=(6.4, 3.8))
    leaves = iter(range(len(program)))
    rest = iter(program)

    def place(depth):
        symbol = next(rest)
        children = [place(depth + 1) for _ in range(task.arity[symbol])]
        x = float(np.mean([child[0] for child in children])) if children else next(leaves)
        for child in children:
            axis.plot([x, child[0]], [-depth, child[1]], color=GREY, linewidth=0.7, zorder=1)
        name = problem.NAMES[symbol] if children else f"x{symbol - problem.INPUT}"
        colour = COLOURS.get(name, "#dddddd")
        axis.scatter(x, -depth, s=30, color=colour, zorder=2)
        if not children:
            axis.text(x, -depth - 0.25, name[1:], ha="center", va="top", fontsize=6)
        return x, -depth

    place(0)
    for name, colour in COLOURS.items():
        axis.scatter([], [], s=30, color=colour, label=name)
    axis.scatter([], [], s=30, color="#dddddd", label="an input, with its number")
    axis.legend(loc="lower left", fontsize=7)
    axis.set_title(f"PROG_el: {len(program)} nodes, {fit} rows wrong")
    axis.axis("off")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    runs, config = recorded(), problem.Config(seed=options.seed)
    task, seen = problem.Parity(config.bits), {}

    def watch(step, total, fit, size, log_probability, program, tree):
        seen.setdefault(fit, program)

    result = problem.run(config, watch)
    figures = {
        "solved": draw_solved(runs, config.evaluations),
        "learning": draw_learning(result.history, options.seed),
        "rows": draw_rows(seen, task),
        "program": draw_program(result.best, task, result.metrics["errors"]),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
