"""Draw the pictures of fast-weights-unknown-delay into viz/."""

import argparse
import json
import sys
from pathlib import Path

import fast_weights_unknown_delay as problem
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

NAMES = {
    "one": "architecture 1",
    "from-to": "architecture 2, from-to",
    "no writing": "F without writing",
    "blanked": "writing lasts a step",
}
COLOURS = {"one": BLUE, "from-to": GREEN, "no writing": ORANGE, "blanked": PINK}
PAPER = {"one": 300, "from-to": 800}


def draw_steps(result, bounded):
    """Steps to the first clean window: a histogram of both architectures, exact and bounded."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.8), sharey=True)
    edges = np.geomspace(20, 5000, 31)
    for axis, kind in zip(axes, ("one", "from-to"), strict=True):
        for each, style in ((result, COLOURS[kind]), (bounded, GREY)):
            starts = each.starts[kind]
            which = "exact" if each is result else "held"
            label = f"{which}: {(starts > 0).sum()} of {len(starts)}"
            axis.hist(starts[starts > 0], edges, color=style, alpha=0.6, label=label)
        axis.axvline(PAPER[kind], color=BLACK)
        axis.text(PAPER[kind] * 1.05, 57, "paper", fontsize=8)
        axis.set(xscale="log", xlabel="first of 100 clean steps", title=NAMES[kind], ylim=(0, 76))
        axis.set_xticks([30, 100, 300, 1000, 3000], ["30", "100", "300", "1000", "3000"])
        axis.minorticks_off()
        axis.legend(fontsize=8, loc="upper left")
    axes[0].set_ylabel("nets")
    return figure


def draw_share(result):
    """Share of nets that have had 100 clean steps."""
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    history = {name: np.array(column) for name, column in result.history.items()}
    for kind, name in NAMES.items():
        mine = history["kind"] == kind
        axis.plot(history["step"][mine], history["share"][mine], color=COLOURS[kind], label=name)
    axis.set(xlabel="step", ylabel="nets with 100 clean steps", ylim=(-0.02, 1.02))
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_switch(result, T):
    """The bounded rule: what a write of A, of B and of C does to the weight that answers B."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.9))
    w = np.linspace(0, 1, 200)
    solved = np.flatnonzero(result.starts["one"] > 0)
    boxes = result.nets["one"].reshape(-1, 3, 3)[solved, problem.B]
    for event, colour in ((problem.A, BLUE), (problem.B, RED), (problem.C, GREEN)):
        box = np.median(boxes[:, event])
        label = f"after {'ABC'[event]}: {box:+.2f} is added"
        axes[0].plot(w, problem.bounded(w + box, T), color=colour, label=label)
        axes[1].hist(boxes[:, event], np.linspace(-4, 4, 65), color=colour, alpha=0.6)
    axes[0].plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    axes[0].set(xlabel="fast weight of B before", ylabel="and after", aspect="equal")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    axes[1].axvspan(-0.7, 0.7, color=YELLOW, alpha=0.4)
    axes[1].set(xlabel="slow weight", ylabel="nets")
    axes[1].set_title("learnt; yellow: too weak to switch", fontsize=9)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(exist_ok=True)
    config = problem.Config(seed=options.seed, bits=False)
    result = problem.run(config)
    bounded = problem.run(problem.Config(seed=options.seed, bits=False, clip=0.5, controls=False))
    figures = {
        "steps": draw_steps(result, bounded),
        "share": draw_share(result),
        "switch": draw_switch(bounded, config.T),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
