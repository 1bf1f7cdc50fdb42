"""Draw the pictures of compete-to-compute into viz/."""

import argparse
import json
import sys
from pathlib import Path

import compete_to_compute as problem
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

COLOURS = {"lwta": BLUE, "relu": ORANGE, "sigmoid": GREEN}
PAPER = {"lwta": (1.55, 6.12), "relu": (1.30, 16.63), "sigmoid": (1.38, 57.84)}


def draw_errors():
    """Error on the first half before and after the second, every recorded net, and the paper's."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.7), sharey=True)
    for axis, kind in zip(axes, COLOURS, strict=True):
        for run in recorded("sigmoid" if kind == "sigmoid" else "forget"):
            m = run["metrics"]
            ends = m[f"{kind}_p1"], m[f"{kind}_after"]
            axis.plot((0, 1), ends, "o-", color=COLOURS[kind], alpha=0.6, markersize=4)
        axis.plot((-0.2, 1.2), PAPER[kind], "_", color=BLACK, markersize=12, markeredgewidth=2)
        axis.set(title=kind, xlim=(-0.5, 1.5), yscale="log", ylim=(0.7, 110))
        axis.set_xticks((0, 1), ("first half\nlearnt", "second half\nlearnt"))
        axis.set_yticks((1, 3, 10, 30, 100), ("1", "3", "10", "30", "100"))
    axes[0].set_ylabel("wrong in the first half [%]")
    style = {"markersize": 12, "markeredgewidth": 2, "linestyle": "none"}
    axes[2].plot([], [], marker="_", color=BLACK, label="the paper's", **style)
    axes[2].legend(loc="lower right", fontsize=8)
    return figure


def draw_sweep():
    """Error after the second half at other rates and initial weights: ReLU against LWTA."""
    figure, axis = plt.subplots(figsize=(6.4, 3.4))
    rows = [
        (m["metrics"][f"lwta_{k}_after"], m["metrics"][f"relu_{k}_after"], k)
        for m in recorded("sweep")
        for k in range(len(problem.CELLS))
    ]
    for k, (rate, momentum) in enumerate(problem.CELLS):
        points = np.array([row[:2] for row in rows if row[2] == k]).T
        name = f"500 units,\nrate {rate}, momentum {momentum}"
        axis.plot(*points, "s", color=(SKY, GREEN, PINK)[k], label=name)
    others = (
        ("forget", "the headline", BLACK),
        ("faithful", "500 units,\nlarge initial weights", RED),
    )
    for variant, name, colour in others:
        runs = [run["metrics"] for run in recorded(variant)]
        points = [(m["lwta_after"], m["relu_after"]) for m in runs]
        axis.plot(*np.array(points).T, "o", color=colour, label=name)
    axis.plot((1, 60), (1, 60), color=GREY, linewidth=0.8)
    style = {"color": ORANGE, "markersize": 12, "label": "the paper's"}
    axis.plot(PAPER["lwta"][1], PAPER["relu"][1], "*", **style)
    figure.legend(loc="outside right upper", fontsize=8)
    axis.set(xscale="log", yscale="log", xlabel="LWTA, wrong [%]", ylabel="ReLU, wrong [%]")
    axis.set(xlim=(1.5, 60), ylim=(1.5, 60))
    ticks = (2, 5, 10, 20, 50)
    axis.set_xticks(ticks, ticks)
    axis.set_yticks(ticks, ticks)
    axis.minorticks_off()
    axis.set_title("first half, after the second: above the line LWTA forgets less", fontsize=9)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"errors": draw_errors(), "sweep": draw_sweep()}
    options.out.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
