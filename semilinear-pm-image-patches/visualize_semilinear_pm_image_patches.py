"""Draw the pictures of semilinear-pm-image-patches into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import semilinear_pm_image_patches as problem

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

SIDE = 21  # pixels of a field in a picture


def tile(w):
    """Weights (81,) as a picture (21, 21): a pixel has its nearest point's; 1 is the largest."""
    at = np.stack(np.mgrid[:SIDE, :SIDE], 2).reshape(-1, 2) - SIDE // 2
    apart = np.linalg.norm(at[:, None] - problem.spiral(problem.POINTS, problem.FIELD), axis=2)
    picture = w[apart.argmin(1)] / np.abs(w).max()
    picture[np.linalg.norm(at, axis=1) > problem.FIELD + 0.5] = np.nan
    return picture.reshape(SIDE, SIDE)


def show_fields(axis, maps, columns):
    """Weights (units, 81) side by side."""
    tiles = np.array([np.pad(tile(w), 1, constant_values=np.nan) for w in maps])
    rows = tiles.reshape(-1, columns, SIDE + 2, SIDE + 2).transpose(0, 2, 1, 3)
    picture = rows.reshape(rows.shape[0] * (SIDE + 2), columns * (SIDE + 2))
    axis.imshow(picture, cmap=plt.get_cmap("PuOr", 13), vmin=-1, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)


def draw_maps(result):
    """Weights of all units, with predictors and without, and the best kernel of each."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 3.9))
    w = result.weights["window"][:, :, :-1]
    fit, oriented, _, best = problem.describe(w[:, 0])
    order = np.lexsort((fit, ~oriented))
    best = best * np.sign((best * w[:, 0]).sum(1, keepdims=True))
    titles = ("with predictors", "best kernel of each", "without predictors")
    for axis, maps, title in zip(axes, (w[:, 0], best, w[:, 1]), titles, strict=True):
        show_fields(axis, maps[order], 4)
        axis.set_title(title)
    return figure


def draw_numbers():
    """Detectors and redundancy of every recorded run."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.4))
    for y, variant in enumerate(("photo", "leaves", "faithful")):
        for run in recorded(variant):
            m = run["metrics"]
            for kind, colour in (("pm", BLUE), ("control", ORANGE)):
                axes[0].plot(32 * m[f"{kind}_features"], y, "o", color=colour, alpha=0.6)
                axes[1].plot(m[f"{kind}_information"], y, "o", color=colour, alpha=0.6)
    names = ("photograph", "discs", "photograph,\none by one")
    axes[0].set_yticks(range(3), names)
    axes[1].set_yticks(range(3), [""] * 3)
    for axis in axes:
        axis.set_ylim(2.5, -0.5)
    axes[0].set(xlim=(-1, 33), xlabel="known detectors, of 32 units")
    axes[1].set(xlim=(-0.02, 0.42), xlabel="mutual information of two units [bits]")
    for name, colour in (("with predictors", BLUE), ("without", ORANGE)):
        axes[1].plot([], [], "o", color=colour, label=name)
    axes[1].legend(fontsize=8)
    return figure


def draw_common(result):
    """The 16 units that share one field, with and without predictors."""
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 1.9))
    for axis, k, name in zip(axes, range(2), ("with predictors", "without"), strict=True):
        show_fields(axis, result.weights["common"][:, k, :-1], 16)
        axis.set_ylabel(name)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"numbers": draw_numbers()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures |= {"maps": draw_maps(result), "common": draw_common(result)}
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
