"""Draw the pictures of self-referential-weight-matrix into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import self_referential_weight_matrix as problem

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

NAMES = {problem.AND: "AND", problem.OR: "OR", problem.XOR: "XOR", problem.NAND: "NAND"}
COLOURS = {"writes": BLUE, "frozen": ORANGE, "restored": RED}


def draw_curves(result):
    """Accuracy while learning, of the writing net and of its controls."""
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    history = {name: np.array(column) for name, column in result.history.items()}
    for mode, colour in COLOURS.items():
        mine = history["mode"] == mode
        axis.plot(history["update"][mine], history["accuracy"][mine], color=colour, label=mode)
    axis.axhline(0.6875, color=GREY, linewidth=0.8, linestyle=":")
    axis.set(xlabel="updates", ylabel="right queries (latest ten batches)", ylim=(0.4, 1.03))
    axis.legend(fontsize=8)
    axis.set_title("AND, OR, XOR, NAND; dotted: the best without memory")
    return figure


def draw_changes(layout, W1, seed):
    """W at the border minus W(1), mean over episodes of each function, and where writes land."""
    figure, axes = plt.subplots(1, 4, figsize=(6.4, 2.9), sharey=True)
    episodes = problem.make_batch(np.random.default_rng(seed + 11), problem.F4, 128)
    change = at_border(layout, W1, episodes) - W1
    means = [change[episodes.function[0] == f].mean(0) for f in problem.F4]
    top = np.quantile(np.abs(means), 0.99)
    for axis, mean, f in zip(axes, means, problem.F4, strict=True):
        image = axis.imshow(mean, vmin=-top, vmax=top, cmap="PuOr", aspect="auto")
        axis.set(xlabel="to column", title=NAMES[f])
        for row in (0.5, 6.5, 16.5, 26.5):
            axis.axhline(row, color=BLACK, linewidth=0.5)
    axes[0].set_yticks([0, 3.5, 11.5, 21.5, 27], ["o", "hidden", "ana", "mod", "Delta"])
    figure.colorbar(image, ax=axes, label="change of a weight")
    return figure


def at_border(layout, W1, episodes):
    """W (batch, 28, 33) when the first query begins."""
    tape = problem.forward(layout, W1, episodes)[1]
    return tape[4 * problem.REPEAT][1]


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    W1, layout = result.weights["writes"]["W"], problem.Layout()
    figures = {
        "curves": draw_curves(result),
        "changes": draw_changes(layout, W1, options.seed),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
