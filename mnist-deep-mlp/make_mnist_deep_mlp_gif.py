"""Animate the deep MLP on deformed MNIST: digits under fresh deformations, filters, and errors of a
short run of smaller nets."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import mnist_deep_mlp as problem
import numpy as np
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


SHORT = {"net": "512-256", "images": 12_000, "epochs": 24, "plain_epochs": 12}
NAMES = {
    "deformed": ("512-256-10 on deformed digits", BLUE),
    "small": ("300-100-10 on deformed digits", GREEN),
    "plain": ("512-256-10 on digits as they are", ORANGE),
}
DIGITS, FILTERS = (2, 3, 4, 5, 8, 9), 20


def morphing(images, seed, stages):
    """Images (6, 841) on their way through `stages` random deformations, two frames a stage:
    (frames, 6, 841)."""
    rng, frames = np.random.default_rng(seed), []
    points = [
        problem.sampling_points(
            problem.affine_maps(rng, np.full(6, 15.0)), problem.elastic_fields(rng, 6)
        )
        for _ in range(stages)
    ]
    points.insert(
        0, problem.sampling_points(np.tile(np.eye(2), (6, 1, 1)), np.zeros((6, 2, 29, 29)))
    )
    for before, after in zip(points, points[1:], strict=False):
        for middle in ((before + after) / 2, after):
            frames.append(np.empty((6, problem.PIXELS), np.float32))
            problem.deform(
                images, [np.array([k]) for k in range(6)], middle.astype(np.float32), frames[-1]
            )
    return np.array(frames)


def mosaic(squares, rows):
    """Pictures (n, 29, 29) as one, with a gap between them."""
    framed = np.pad(squares, ((0, 0), (0, 2), (0, 2)), constant_values=np.nan)
    return framed.reshape(rows, -1, 31, 31).transpose(0, 2, 1, 3).reshape(rows * 31, -1)


def filters_of(weights):
    filters = weights["W1"][:FILTERS].reshape(FILTERS, 29, 29)
    return filters / np.abs(filters).max((1, 2), keepdims=True)


def main():
    options = figure_options(__doc__, "mnist_deep_mlp.gif")
    config = problem.Config(seed=options.seed, **SHORT)
    filters = [
        filters_of(problem.init_weights(np.random.default_rng(config.seed).spawn(5)[0], config.net))
    ]

    def watch(step, total, nets, **errors):
        if "deformed" in nets:
            filters.append(filters_of(nets["deformed"].weights))

    result = problem.run(config, watch)
    images, labels, _, _ = problem.load_data(config)
    images = images[[np.flatnonzero(labels == digit)[9] for digit in DIGITS]]
    morph = morphing(images, options.seed, config.epochs)

    figure = plt.figure(figsize=(6.4, 4.8))
    grid = figure.add_gridspec(2, 2, width_ratios=[1, 1.35], height_ratios=[1, 1.15])
    digits, weights, curve = (
        figure.add_subplot(grid[0, 0]),
        figure.add_subplot(grid[0, 1]),
        figure.add_subplot(grid[1, :]),
    )
    digits_image = digits.imshow(
        mosaic(morph[0].reshape(6, 29, 29), 2), cmap="gray_r", vmin=-1, vmax=1
    )
    weights_image = weights.imshow(mosaic(filters[0], 4), cmap="RdBu_r", vmin=-1, vmax=1)
    digits.set_title("every epoch: fresh deformations")
    weights.set_title("20 first-layer units (red: weight > 0, blue: < 0)")
    for axis in (digits, weights):
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    lines = {
        name: curve.plot([], [], ".-", color=colour, label=label)[0]
        for name, (label, colour) in NAMES.items()
    }
    curve.set(
        xlim=(0.5, config.epochs + 0.5),
        ylim=(1, 10),
        yscale="log",
        xlabel=f"epoch ({config.images:,} images)",
    )
    curve.set_ylabel("validation error [%]")
    curve.set_yticks([1, 2, 3, 5, 10], labels=["1", "2", "3", "5", "10"])
    curve.minorticks_off()
    curve.legend(loc="upper right")

    def draw(frame):
        epoch = (frame + 1) // 2
        digits_image.set_data(mosaic(morph[frame].reshape(6, 29, 29), 2))
        weights_image.set_data(mosaic(filters[epoch], 4))
        for name, line in lines.items():
            errors = result.curves[name][:epoch]
            line.set_data(np.arange(1, len(errors) + 1), errors)

    write_gif(options.out, figure, draw, range(1, 2 * config.epochs), seconds=0.2, colours=40)


if __name__ == "__main__":
    figure_main(main)
