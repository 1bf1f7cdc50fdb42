"""Draw the pictures of torcs-vision-evolution into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import torcs_vision_evolution as problem

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


def drive(genes, seconds=25):
    """The trace of one car: places (n, 2), speeds, distances, pictures, steering and pedal."""
    trace = []
    problem.race(problem.Fourier(genes[None]), [0.0], seconds * problem.PER_SECOND, trace=trace)
    cars, pictures, steer, pedal = zip(*trace, strict=True)
    place = np.array([(car.x[0], car.y[0]) for car in cars])
    speeds = np.array([car.v[0] for car in cars])
    d = np.array([car.d[0] for car in cars])
    return place, speeds, d, np.concatenate(pictures), np.concatenate(steer), np.concatenate(pedal)


def draw_track(axis):
    """Road and middle of the track from above."""
    track = problem.the_track()
    left = np.stack([-np.sin(track.headings), np.cos(track.headings)], 1)
    for side in (-problem.HALF_WIDTH, problem.HALF_WIDTH):
        axis.plot(*(track.points + side * left).T, color=GREY, linewidth=0.8)
    axis.plot(*track.points[0], "|", color=BLACK, markersize=12, markeredgewidth=2)
    axis.set(aspect="equal", xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)


def draw_learning(result):
    """Distance of the best and of all nets by generation; and of direct and random nets."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.8), width_ratios=(1.5, 1), sharey=True)
    history = result.history
    axes[0].plot(history["generation"], history["distance"], color=BLUE, label="best")
    axes[0].plot(history["generation"], history["mean"], color=SKY, label="mean of 64")
    runs = [run["metrics"] for run in recorded("race")]
    for axis in axes:
        axis.axhline(runs[0]["driver"], color=BLACK, linewidth=0.8, linestyle=":")
    axes[0].text(0, runs[0]["driver"] + 8, "driver who knows the track", fontsize=8)
    axes[0].set(xlabel="generation", ylabel="metres in 25 s", ylim=(0, 640))
    axes[0].legend(fontsize=8, loc="lower right")
    rows = ("random", "direct", "early", "distance")
    names = ("random", "all\nweights,\n20 gen.", "200\ngenes,\n20 gen.", "200\ngenes,\n200 gen.")
    for x, name in enumerate(rows):
        values = [m[name] for m in runs]
        axes[1].plot([x] * len(values), values, "o", color=BLUE, alpha=0.6)
        axes[1].plot([x - 0.25, x + 0.25], [np.mean(values)] * 2, color=BLACK)
    axes[1].set_xticks(range(4), names, fontsize=8)
    axes[1].set_xlim(-0.6, 3.6)
    return figure


def draw_line(result):
    """The champion's way around the track, and its speed beside what grip allows."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.8), width_ratios=(1.2, 1))
    place, speeds, d, *_ = drive(result.champion)
    draw_track(axes[0])
    points = axes[0].scatter(*place.T, c=3.6 * speeds, s=6, cmap="viridis")
    figure.colorbar(points, ax=axes[0], label="km/h", shrink=0.8)
    track = problem.the_track()
    turn = np.abs(np.diff(np.unwrap(track.headings))) / 0.25
    turn = np.convolve(turn, np.ones(33) / 33, "same")
    most = np.minimum(3.6 * np.sqrt(9.8 * problem.GRIP / np.maximum(turn, 1e-3)), 160)
    axes[1].plot(0.25 * np.arange(len(most)), most, color=GREY, label="most that grip allows")
    axes[1].plot(d, 3.6 * speeds, color=BLUE, label="champion")
    axes[1].set(xlabel="metres along the track", ylabel="km/h", ylim=(0, 165))
    axes[1].legend(fontsize=8, loc="lower right")
    return figure


def draw_weights(result):
    """Input weights of 16 of the 256 units: pictures that 126 genes make."""
    weights = problem.build_weights(result.champion)[: problem.Direct.CUTS[0]]
    maps = weights.reshape(64, 64, 16, 16)
    figure, axes = plt.subplots(2, 8, figsize=(6.4, 1.9))
    top = np.abs(maps).max()
    for k, axis in enumerate(axes.ravel()):
        unit = (2 + 4 * (k // 4), 2 + 4 * (k % 4))
        axis.imshow(maps[:, :, unit[0], unit[1]], vmin=-top, vmax=top, cmap="PuOr")
        axis.set(xticks=[], yticks=[])
    return figure


def draw_views(result):
    """What the champion sees at eight moments, and its signals."""
    _, speeds, _, pictures, steer, pedal = drive(result.champion)
    figure, axes = plt.subplots(2, 8, figsize=(6.4, 2.2), height_ratios=(1, 0.55))
    for column, at in zip(axes.T, np.linspace(8, len(speeds) - 1, 8).astype(int), strict=True):
        column[0].imshow(pictures[at], vmin=0, vmax=0.5)
        column[0].set(xticks=[], yticks=[], title=f"{at / problem.PER_SECOND:.0f} s")
        column[1].barh([1, 0], [-steer[at], pedal[at]], color=[BLUE, ORANGE])
        column[1].set(xlim=(-1, 1), ylim=(-0.6, 1.6), yticks=[], xticks=[])
        column[1].axvline(0, color=BLACK, linewidth=0.8)
        column[1].set_xlabel(f"{3.6 * speeds[at]:.0f} km/h", fontsize=8)
    axes[1, 0].set_yticks([1, 0], ["steer", "pedal"])
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed, controls=False))
    figures = {
        "learning": draw_learning(result),
        "line": draw_line(result),
        "weights": draw_weights(result),
        "views": draw_views(result),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
