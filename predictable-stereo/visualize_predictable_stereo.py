"""Draw the pictures of predictable-stereo into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import predictable_stereo as problem

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
    "separate": "separate weights",
    "shared": "shared weights",
    "imax": "information maximisation",
    "auto": "auto-encoder",
    "none": "agreement alone",
    "shuffled": "shuffled pairs",
}


def draw_times():
    """Median patterns until all ten nets of a run have found the shift, beside the paper's."""
    figure, axis = plt.subplots(figsize=(6.4, 2.3))
    runs = [run["metrics"] for run in recorded("full")]
    ranges = {"separate": (0, 100_000), "shared": (20_000, 50_000)}
    for y, kind in enumerate(("separate", "shared", "imax")):
        values = [m[f"{kind}_patterns"] for m in runs if m[f"{kind}_patterns"] is not None]
        axis.plot(values, [y] * len(values), "o", color=BLUE, alpha=0.6)
        if kind in ranges:
            axis.plot(ranges[kind], (y + 0.3, y + 0.3), color=BLACK, linewidth=3)
    axis.plot([], [], "o", color=BLUE, label="ours: median of ten pairs of nets")
    axis.plot([], [], color=BLACK, linewidth=3, label="the paper's slowest to fastest")
    axis.set_yticks(range(3), [NAMES[kind] for kind in ("separate", "shared", "imax")])
    axis.set(xlim=(0, 105_000), ylim=(2.6, -0.6), xlabel="patterns until the shift is found")
    axis.legend(fontsize=8, loc="lower right")
    return figure


def draw_outputs(result):
    """What every net of six conditions says of the 60 views, by shift."""
    figure, axes = plt.subplots(1, 6, figsize=(6.4, 2.4), sharey=True)
    bits, shift = problem.stereo_views(5)
    x, s = np.concatenate([2.0 * bits - 1, np.ones((60, 1))], 1), shift[:, 0]
    for axis, (kind, name) in zip(axes, NAMES.items(), strict=True):
        y = problem.forward(result.nets[kind], x)[1][..., 0]
        for net, said in enumerate(y[:, 0]):
            for sign, colour in ((False, ORANGE), (True, BLUE)):
                values = said[s == sign]
                axis.plot(np.full(len(values), net), values, ".", color=colour, markersize=2)
        axis.set(xticks=[])
        axis.set_title(name.replace(" ", "\n"), fontsize=8)
    axes[0].set(ylabel="output for each view", ylim=(-0.03, 1.03))
    figure.supxlabel("ten nets each; colour: shift −1 or +1", fontsize=9)
    return figure


def draw_products(result):
    """How much each product of a right and a left pixel moves the output of a trained net."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.5))
    bits, _ = problem.stereo_views(5)
    signed = 2.0 * bits - 1
    x = np.concatenate([signed, np.ones((60, 1))], 1)
    products = signed[:, :5, None] * signed[:, None, 5:]
    for axis, net in zip(axes, range(3), strict=True):
        y = problem.forward(result.nets["shared"], x)[1][net, 0, :, 0]
        share = ((y - y.mean())[:, None, None] * products).mean(0)
        image = axis.imshow(share, cmap="PuOr", vmin=-0.3, vmax=0.3)
        axis.set(xlabel="left pixel", title=f"net {net}")
        axis.set_xticks(range(5), range(1, 6))
        axis.set_yticks(range(5), range(1, 6))
    axes[0].set_ylabel("right pixel")
    figure.colorbar(image, ax=axes, label="covariance of\noutput and product")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"times": draw_times()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures |= {"outputs": draw_outputs(result), "products": draw_products(result)}
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
