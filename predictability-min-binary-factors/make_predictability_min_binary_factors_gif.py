"""Animate experiment N1: codes in the unit square, what predictors answer, and the objective."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import predictability_min_binary_factors as problem
from PIL import Image

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


# idiom: gif
def write_gif(path, figure, draw, frames, seconds=0.12, hold=3.0, colours=64):
    """Write an animated GIF: draw(frame) repaints the figure for every item of frames.

    The last frame stays `hold` seconds; it is also the poster. All frames share one palette, made
    from all of them, and each stores only the rectangle that changed, which keeps the file small.
    """
    pictures, seen, count = [], np.empty(0, np.uint32), np.empty(0)
    for frame in frames:
        draw(frame)
        figure.canvas.draw()
        pixels = np.array(figure.canvas.buffer_rgba()).view(np.uint32)[..., 0]
        found, which, times = np.unique(pixels, return_inverse=True, return_counts=True)
        which = which.reshape(pixels.shape).astype(np.min_scalar_type(len(found)))
        pictures.append((found, which))
        seen, place = np.unique(np.concatenate([seen, found]), return_inverse=True)
        count = np.bincount(place, np.concatenate([count, times]))
    palette, nearest = shared_palette(seen.view(np.uint8).reshape(-1, 4)[:, :3], count, colours)
    images = (Image.fromarray(nearest[np.searchsorted(seen, f)][which]) for f, which in pictures)
    durations = [round(1000 * seconds)] * (len(pictures) - 1) + [round(1000 * hold)]
    options = {"palette": palette.tobytes(), "loop": 0, "disposal": 1, "optimize": False}
    next(images).save(path, save_all=True, append_images=images, duration=durations, **options)


def shared_palette(seen, count, most):
    """A palette out of the colours seen, (at most most, 3), and which entry is nearest to each.

    The commonest colour comes first, then always the one that lies farthest from all entries so
    far; a commoner colour counts as a little farther, but a rare one that is like no other gets in.
    """
    rgb, weight = seen.astype(np.int32), count**0.25
    chosen, nearest, gap = [], np.zeros(len(rgb), np.uint8), np.full(len(rgb), np.inf)
    while len(chosen) < most and gap.any():
        chosen.append(np.argmax(gap * weight if chosen else count))
        away = ((rgb - rgb[chosen[-1]]) ** 2).sum(1)
        nearest[away < gap] = len(chosen) - 1
        gap = np.minimum(gap, away)
    return seen[chosen], nearest


def spaced(values, count):
    """Which snapshots to show: places of at most `count`, evenly spaced in what is learnt.

    values: one number a snapshot that tells how far learning has come, such as an error (of an
    error that spans factors, its logarithm); snapshots are taken at even intervals of training.
    Half of the way from the first snapshot to the last is the change of values, up or down, and
    half is the logarithm of training time, so that early steps and slow stretches show too. No
    single change takes more than the way of about one frame. First and last are always shown.
    """
    if len(values) <= count:
        return list(range(len(values)))
    change = np.abs(np.diff(np.asarray(values, float)))
    early = np.diff(np.log(np.arange(1, len(values) + 1)))
    way = change / (change.sum() or 1) + early / early.sum()
    way = np.concatenate([[0], np.cumsum(np.minimum(way, way.sum() / count))])
    places = np.searchsorted(way, np.linspace(0, way[-1], count))
    return np.unique(places).tolist()


# end idiom

FRAMES = 44
NAMES = ("a 1/9", "b 2/9", "c 2/9", "d 4/9")
COLOURS = (PINK, GREEN, ORANGE, BLUE)
AWAY = np.array(
    [(-0.15, -0.13), (0.15, -0.13), (-0.15, 0.13), (0.15, 0.13)]
)  # of a label from its disc
GRID = np.linspace(0, 1, 101)


def snapshots(config):
    """N1 after each epoch: its number, codes (nets, 4, 2), the predictors' answers to all values of
    the other unit (nets, 101, 2), V of all nets."""
    e = problem.paper_experiments(config)["n1"]
    rng = np.random.default_rng(config.seed)
    lesson = e.rule(rng, problem.draw(rng, config.nets, e), e, config)
    asked = np.tile(2 * GRID[:, None] - 1, (config.nets, 1, 2))
    for epoch in range(1, e.steps + 1):
        code, predictors = next(lesson)
        y = code.values(e.patterns)
        missed = (predictors.values(2 * y - 1) - y) ** 2
        yield epoch, y, predictors.values(asked), 0.5 * (e.counts[:, None] * missed).sum((1, 2))


def draw_codes(axis, y, title):
    """The codes of the four patterns, (4, 2), in the unit square."""
    axis.clear()
    axis.plot([0, 1, 1, 0, 0], [0, 0, 1, 1, 0], color=GREY, linewidth=0.8, zorder=0)
    axis.scatter(*y.T, s=150 * problem.UNEVEN, color=COLOURS, alpha=0.75, zorder=1)
    for (u, v), name in zip(y + AWAY, NAMES, strict=True):
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1}
        axis.text(u, v, name, ha="center", va="center", fontsize=9, bbox=box, zorder=2)
    axis.set(xlim=(-0.3, 1.3), ylim=(-0.25, 1.25), xlabel="code unit 1", ylabel="code unit 2")
    axis.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1), aspect="equal")
    axis.set_title(title, loc="left")


def draw_guesses(axis, guesses):
    """What each predictor answers to the other unit; guesses: (101, 2)."""
    axis.clear()
    for unit, colour in ((0, RED), (1, BLUE)):
        label = f"guess of unit {unit + 1}"
        axis.plot(GRID, guesses[:, unit], color=colour, linewidth=2, label=label)
    axis.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 1 / 3, 2 / 3, 1))
    axis.set_yticklabels(["0", "1/3", "2/3", "1"])
    axis.set(xlabel="value of the other unit", ylabel="guess")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, fontsize=8)


def draw_objective(axis, epochs, V, net):
    """V of all nets so far, the shown one black; V: (snapshots, nets)."""
    axis.clear()
    axis.plot(epochs, V, color=GREY, linewidth=0.7)
    axis.plot(epochs, V[:, net], color=BLACK, linewidth=1.8)
    axis.plot(epochs[-1], V[-1, net], "o", color=BLACK, markersize=5, clip_on=False)
    axis.axhline(2, color=GREEN, linestyle="--", linewidth=1.2, label="factorial: 2")
    axis.axhline(1.9, color=RED, linestyle=":", linewidth=1.2, label="next best: 1.9")
    axis.set(xlim=(1, 2000), xscale="log", ylim=(0, 3.2), yticks=(0, 1, 2, 3), ylabel="V")
    axis.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    axis.set_xlabel("epoch (logarithmic; grey: other nets)")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, fontsize=8)


def main():
    options = figure_options(__doc__, "predictability_min_binary_factors.gif")
    taken = list(snapshots(problem.Config(seed=options.seed)))
    epochs, V = [shot[0] for shot in taken], np.array([shot[3] for shot in taken])
    judged = [problem.judge(shot[1], problem.UNEVEN) for shot in taken]
    good = np.array([factorial for _, factorial in judged])
    way = np.abs(np.diff(V, axis=0)).sum(0)  # the net with the longest way that arrives is shown
    net = int(np.argmax(np.where(good[-1], way, 0)))
    figure = plt.figure(figsize=(6.4, 4.2))
    grid = figure.add_gridspec(2, 2, width_ratios=(1.35, 1))
    square, guesses, objective = (
        figure.add_subplot(place) for place in (grid[:, 0], grid[0, 1], grid[1, 1])
    )

    def draw(number):
        epoch, y, answers, _ = taken[number]
        apart = f"{judged[number][0][net]} different codes"
        state = "factorial" if good[number, net] else apart
        share = f"{good[number].sum()} of {V.shape[1]} nets factorial"
        draw_codes(square, y[net], f"epoch {epoch:,}: {state}\n{share}")
        draw_guesses(guesses, answers[net])
        draw_objective(objective, epochs[: number + 1], V[: number + 1], net)

    write_gif(options.out, figure, draw, spaced(V[:, net], FRAMES), seconds=0.25)


if __name__ == "__main__":
    figure_main(main)
