"""Draw the pictures of double-pole-no-velocity into viz/: search, traces, other starts."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import double_pole_no_velocity as problem
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


WAYS = {  # variant: (label, colour)
    "standard": ("CoSyNE", BLUE),
    "damping": ("CoSyNE, damping", GREEN),
    "faithful": ("CoSyNE, constants as printed", SKY),
    "no_permutation": ("no permutation", ORANGE),
    "guessing": ("guessing", GREY),
    "memoryless": ("no memory, damping", RED),
}
PAPER = {"CoSyNE": (1249, BLUE), "CoSyNE, damping": (3416, GREEN), "ESP": (7374, BLACK)}


def draw_search():
    """Share of the recorded runs that have solved the task, against evaluations."""
    figure, axes = plt.subplots(figsize=(6.4, 3.8))
    for variant, (label, colour) in WAYS.items():
        runs = [run["metrics"] for run in recorded(variant)]
        solved = sorted(run["evaluations"] for run in runs if run["solved"])
        end = (
            max(run["evaluations"] for run in runs if not run["solved"])
            if len(solved) < len(runs)
            else solved[-1]
        )
        share = np.arange(len(solved) + 1) / len(runs)
        axes.step([30, *solved, end], [*share, share[-1]], where="post", color=colour,
                  label=f"{label} ({len(runs)} seeds)")  # fmt: skip
    for name, (mean, colour) in PAPER.items():
        axes.axvline(mean, color=colour, linestyle=":", linewidth=1)
        axes.text(mean, 1.03, f"{name}\n{mean:,}", ha="center", fontsize=7, color=colour)
    axes.set(xscale="log", xlim=(30, 22_000), ylim=(-0.02, 1.02), xlabel="evaluations")
    axes.set_ylabel("share of runs that have solved the task")
    axes.legend(fontsize=7, loc="upper left")
    return figure


def draw_swing(nets):
    """The first and the thirtieth ten seconds of the nets found with either fitness."""
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 4.4), sharey=True)
    for row, (name, weights) in zip(axes, nets.items(), strict=True):
        trace = []
        problem.episode(weights, 15_000, trace=trace)
        for axis, first in zip(row, (0, 14_500), strict=True):
            part = np.array(trace[first : first + 500])
            if len(part):
                seconds = (first + np.arange(len(part))) / 50
                axis.plot(seconds, np.degrees(part[:, 2]), color=BLUE, label="long pole [degrees]")
                axis.plot(seconds, np.degrees(part[:, 4]), color=ORANGE, linewidth=0.7,
                          label="short pole [degrees]")  # fmt: skip
                axis.plot(seconds, 10 * part[:, 0], color=GREY, label="cart [0.1 m]")
            axis.set(title=f"{name} fitness", xlabel="time [s]")
    axes[0, 0].set_ylim(-60, 30)
    axes[0, 1].legend(fontsize=7, loc="lower right")
    return figure


def draw_starts(nets):
    """The 625 starts: blocks are cart speeds and long pole's rates, cells positions and tilts."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.7), sharey=True)
    for axis, (name, weights) in zip(axes, nets.items(), strict=True):
        balanced = problem.balanced_starts(weights)
        picture = balanced.transpose(1, 0, 3, 2).reshape(25, 25)
        axis.imshow(picture, cmap="Blues", vmin=0, vmax=1.4, origin="lower")
        for line in np.arange(4.5, 24, 5):
            axis.axhline(line, color=BLACK, linewidth=0.8)
            axis.axvline(line, color=BLACK, linewidth=0.8)
        axis.set_xticks(2 + 5 * np.arange(5), np.round(problem.GRID * 8.6, 1))
        axis.set_yticks(2 + 5 * np.arange(5), np.round(problem.GRID * 1.35, 2))
        axis.set_title(f"{name} fitness: {balanced.sum()} of 625")
        axis.set_xlabel("long pole's rate [degrees/s];\nin a block: its tilt")
    axes[0].set_ylabel("cart speed [m/s];\nin a block: position")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(parents=True, exist_ok=True)
    draw_search().savefig(options.out / "search.png")
    nets = {}
    for fitness in ("standard", "damping"):
        nets[fitness] = problem.run(problem.Config(seed=options.seed, fitness=fitness)).best
    draw_swing(nets).savefig(options.out / "swing.png")
    draw_starts(nets).savefig(options.out / "starts.png")


if __name__ == "__main__":
    figure_main(main)
