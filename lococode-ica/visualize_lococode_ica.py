"""Draw the pictures of lococode-ica into viz/."""

import argparse
import json
import sys
from pathlib import Path

import lococode_ica as problem
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

KINDS = {"fms": "flat minima", "plain": "no flat minima", "pca": "PCA", "ica": "FastICA"}


def show_maps(axis, maps, dim=None):
    """Maps (25, 25) as one picture of 5 x 5 tiles; those of dim (25,) are pale."""
    tiles = np.full((31, 31), np.nan)
    for k, part in enumerate(maps):
        part = part / max(np.abs(part).max(), 1e-9)
        if dim is not None and dim[k]:
            part = part * 0.12
        row, column = 6 * (k // 5) + 1, 6 * (k % 5) + 1
        tiles[row : row + 5, column : column + 5] = part.reshape(5, 5)
    axis.imshow(tiles, vmin=-1, vmax=1, cmap="PuOr")
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)


def draw_maps(result):
    """What the units of a net draw, with and without flat minimum search; PCA and FastICA."""
    figure, axes = plt.subplots(1, 4, figsize=(6.4, 2.1))
    x = problem.bar_pictures(np.random.default_rng(99), 500)[0]
    for axis, (kind, name) in zip(axes, KINDS.items(), strict=True):
        if kind in ("fms", "plain"):
            w = {key: value[:1] for key, value in result.nets[kind].items()}
            active = problem.active_units(w, x, 1.4 * x)[0]
            order = np.argsort(~active, kind="stable")
            show_maps(axis, w["W2"][0].T[order], ~active[order])
            name = f"{name}:\n{active.sum()} units of 25"
        else:
            maps = np.linalg.pinv(result.nets[kind]).T
            show_maps(axis, maps)
            name = f"{name}:\n10 components"
        axis.set_title(name, fontsize=9)
    return figure


def draw_costs():
    """Bits a pixel of every recorded run, beside the paper's table 2."""
    figure, axis = plt.subplots(figsize=(6.4, 2.3))
    runs = [run["metrics"] for run in recorded("bars")]
    paper = {"fms": 1.22, "ica": 1.44, "pca": 1.43}
    for y, kind in enumerate(KINDS):
        values = [m[f"{kind}_bits"] for m in runs]
        axis.plot(values, [y] * len(values), "o", color=BLUE, alpha=0.7)
        if kind in paper:
            axis.plot(paper[kind], y, "|", color=BLACK, markersize=18, markeredgewidth=2)
    axis.plot([], [], "o", color=BLUE, label="ours")
    axis.plot([], [], "|", color=BLACK, markeredgewidth=2, label="the paper's")
    axis.set_yticks(range(4), list(KINDS.values()))
    axis.set(xlim=(0, None), ylim=(3.5, -0.5), xlabel="bits a pixel of the code")
    axis.legend(fontsize=8, loc="lower right")
    return figure


def draw_codes(result):
    """Values of the units that matter, with and without flat minimum search."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.3), sharey=True)
    for axis, kind in zip(axes, ("fms", "plain"), strict=True):
        x = result.test["pictures"]
        active = problem.active_units(result.nets[kind], x, 1.4 * x)
        pairs = zip(result.test[kind], active, strict=True)
        values = np.concatenate([h[:, a].ravel() for h, a in pairs])
        share = np.full(len(values), 1 / len(values))
        axis.hist(values, np.linspace(0, 1, 51), color=BLUE, weights=share)
        axis.set(xlabel="value of a hidden unit", title=KINDS[kind], yscale="log")
    axes[0].set_ylabel("share")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"costs": draw_costs()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures |= {"maps": draw_maps(result), "codes": draw_codes(result)}
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
