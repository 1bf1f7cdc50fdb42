"""Animate units that become edge and spot detectors on a photograph."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import semilinear_pm_image_patches as problem
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

CENTRES = problem.spiral(problem.UNITS, problem.WINDOW - problem.FIELD)


def record_learning(seed):
    """Snapshots (update, W (32, 82) with predictors) and the image."""
    snapshots = []

    def watch(update, total, part, pm, control, W):
        if part == "window":
            snapshots.append((update, W[:, 0].copy()))

    result = problem.run(problem.Config(seed=seed), watch)
    return snapshots, result.image


def draw_window(axis, image, rng):
    """A window with the fields of its units, anywhere in the photograph and at any angle."""
    axis.imshow(image, cmap="Greys_r")
    row, column = (int(rng.integers(60, side - 60)) for side in image.shape)
    turn = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(turn), np.sin(turn)
    for place in CENTRES @ np.array([[c, s], [-s, c]]):
        at = (column + place[1], row + place[0])
        axis.add_patch(plt.Circle(at, problem.FIELD, fill=False, color=SKY, linewidth=0.6))
    at = (column, row)
    axis.add_patch(plt.Circle(at, problem.WINDOW, fill=False, color=YELLOW, linewidth=2))
    near = 2 * problem.WINDOW
    axis.set(xlim=(column - near, column + near), ylim=(row + near, row - near))
    axis.set(xticks=[], yticks=[], title="a window, and 32 fields in it")


def draw_units(axis, W):
    """Weights of every unit, at its place; fields are drawn smaller than they are."""
    for place, w in zip(CENTRES, W[:, :-1], strict=True):
        points = 2.1 * place + 0.75 * problem.spiral(problem.POINTS, problem.FIELD)
        most = np.abs(w).max()
        style = {"cmap": "PuOr", "vmin": -most, "vmax": most, "linewidths": 0}
        axis.scatter(points[:, 1], -points[:, 0], c=w, s=4.5, **style)
    axis.set(xticks=[], yticks=[], aspect="equal", xlim=(-55, 55), ylim=(-55, 55))
    axis.set_title("what makes each unit speak (dark) or not")
    for spine in axis.spines.values():
        spine.set_visible(False)


def draw_likeness(axis, y):
    """Correlations of all pairs of units."""
    axis.imshow(np.abs(np.corrcoef(y)), cmap="Blues", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[], xlabel="unit", ylabel="unit")
    axis.set_title("how alike two units are")


def main():
    options = figure_options(__doc__, "semilinear_pm_image_patches.gif")
    snapshots, image = record_learning(options.seed)
    windows = problem.Windows(image, CENTRES)
    x = windows.draw(np.random.default_rng(options.seed), 600)
    figure = plt.figure(figsize=(6.4, 4.2))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.75))
    photo, likeness = left.subplots(2, 1)
    units = right.subplots()

    def draw(frame):
        for axis in (photo, likeness, units):
            axis.clear()
        update, W = snapshots[frame]
        draw_window(photo, image, np.random.default_rng((options.seed, frame // 4)))
        draw_units(units, W)
        draw_likeness(likeness, problem.logistic(W[:, None] @ x)[:, 0])
        right.suptitle(f"{64 * update:,} windows seen", fontsize=10)

    last = len(snapshots) - 1
    frames = [*range(min(10, last)), *range(10, last, 3), last]
    write_gif(options.out, figure, draw, frames, seconds=0.35, colours=48)


if __name__ == "__main__":
    figure_main(main)
