"""Draw the pictures of em-segmentation-isbi into viz/."""

import argparse
import json
import sys
from pathlib import Path

import em_segmentation_isbi as problem
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
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

STEPS = 1400  # of the net that is shown
SHOWN = problem.TEST.start  # the slice that is shown
RINGS = 6  # distances from a label border


def picture(axis, image, title, **options):
    """A picture without ticks."""
    axis.imshow(image, interpolation="nearest", **options)
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=9)


def grey(image):
    """An image as colours (size, size, 3)."""
    low, high = np.quantile(image, (0.002, 0.998))
    return np.repeat(np.clip((image - low) / (high - low), 0, 1)[..., None], 3, 2)


def tinted(image, mask, colour):
    """The image with a mask in a colour."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(mask[..., None], 0.25 * image + 0.75 * rgb, image)


def draw_slice(held):
    """A slice as it comes, and with its membrane and its distractors in colour."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.4))
    image, part = grey(held.images[SHOWN]), (slice(0, 160), slice(0, 160))
    picture(axes[0], image[part], "what the net sees")
    image = tinted(image, held.labels[SHOWN], ORANGE)
    image = tinted(image, held.distractors[SHOWN], SKY)
    picture(axes[1], image[part], "orange: membrane; blue: as dark, but not")
    return figure


def called(scores, held):
    """What a method calls membrane in all slices held out."""
    labels = held.labels[problem.VALIDATE]
    return scores >= problem.best_threshold(scores[problem.VALIDATE], labels)


def draw_maps(result):
    """Scores of three methods, and where each is wrong."""
    figure, axes = plt.subplots(2, 3, figsize=(6.4, 4.5))
    names = {"sobel": "Sobel and darkness", "cnn": "net, one view", "views": "net, 8 views"}
    part = (slice(0, 160), slice(0, 160))
    for column, (name, title) in zip(axes.T, names.items(), strict=True):
        scores, truth = result.maps[name], result.held.labels[SHOWN]
        low, high = np.quantile(scores[SHOWN], (0.01, 0.99))
        picture(column[0], scores[SHOWN][part], title, cmap="gray", vmin=low, vmax=high)
        found = called(scores, result.held)[SHOWN]
        image = 0.5 + 0.5 * grey(result.held.images[SHOWN])
        image = tinted(tinted(image, truth & ~found, RED), found & ~truth, BLUE)
        wrong = 100 * result.metrics[f"{name}_error"]
        picture(column[1], image[part], f"{wrong:.1f} % of the pixels wrong")
    figure.supxlabel("red: membrane that is missed; blue: called membrane, but is not", fontsize=9)
    return figure


def rings(labels):
    """How far pixels (images, size, size) are from a label border, 0 to RINGS - 1 steps."""
    reached = problem.near_border(labels)
    distance = np.where(reached, 0, RINGS - 1)
    for step in range(1, RINGS - 1):
        grown = problem.near_border(reached) | reached
        distance[grown & ~reached] = step
        reached = grown
    return distance


def draw_outputs(result):
    """Reliability before and after the cubic; wrong pixels by their distance from a border."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.9))
    truth, y = result.held.labels[problem.TEST], result.maps["cnn"][problem.TEST]
    axes[0].plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    shown = (("before", y, ORANGE), ("after", problem.calibrated(result.cubic, y), BLUE))
    for label, outputs, colour in shown:
        place = np.minimum((outputs * problem.BINS).astype(int), problem.BINS - 1).ravel()
        count = np.bincount(place, minlength=problem.BINS)
        full = count > 100
        mean, share = (
            np.bincount(place, v.ravel(), problem.BINS)[full] / count[full]
            for v in (outputs, truth)
        )
        axes[0].plot(mean, share, "o-", color=colour, markersize=4, label=f"{label} the cubic")
    axes[0].set(xlabel="output of the net", ylabel="share of membrane", xlim=(0, 1), ylim=(0, 1))
    axes[0].legend()
    wrong, distance = called(result.maps["views"], result.held)[problem.TEST] != truth, rings(truth)
    shares = np.array([(wrong & (distance == d)).sum() for d in range(RINGS)]) / wrong.sum()
    pixels = np.array([(distance == d).mean() for d in range(RINGS)])
    at = np.arange(RINGS)
    axes[1].bar(at - 0.2, 100 * shares, 0.4, color=RED, label="of the wrong pixels")
    axes[1].bar(at + 0.2, 100 * pixels, 0.4, color=GREY, label="of all pixels")
    axes[1].set(xlabel="pixels between it and a label border", ylabel="share [%]", ylim=(0, 100))
    axes[1].set_xticks(at, [*map(str, range(RINGS - 1)), f"{RINGS - 1}+"])
    axes[1].legend()
    return figure


def draw_record():
    """Pixel and Rand error of every recorded run, by method."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.0), sharey=True)
    rows = (
        ("Sobel and darkness", "cnn", "sobel", GREY),
        ("one view", "cnn", "cnn", BLUE),
        ("8 views", "cnn", "views", GREEN),
        ("window of 17", "context", "field", PINK),
        ("one view, 1.4 million labels", "mlp", "cnn", SKY),
        ("perceptron, 1.4 million labels", "mlp", "mlp", ORANGE),
    )
    for axis, what in zip(axes, ("error", "rand"), strict=True):
        for row, (_, variant, name, colour) in enumerate(rows):
            values = [100 * run["metrics"][f"{name}_{what}"] for run in recorded(variant)]
            axis.plot(values, np.full(len(values), row), "o", color=colour, alpha=0.7)
            axis.plot(np.mean(values), row, "|", color=BLACK, markersize=14)
        axis.set(xlim=(0, None), ylim=(len(rows) - 0.5, -0.5))
        axis.grid(axis="y", linewidth=0.4)
    axes[0].set_yticks(range(len(rows)), [row[0] for row in rows])
    axes[0].set_xlabel("pixel error [%]")
    axes[1].set_xlabel("Rand error [%]")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"errors": draw_record()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed, steps=STEPS))
    figures |= {"slice": draw_slice(result.held), "maps": draw_maps(result)}
    figures["outputs"] = draw_outputs(result)
    for name, figure in figures.items():
        path = options.out / f"{name}.png"
        figure.savefig(path)
        plt.close(figure)
        Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)


if __name__ == "__main__":
    figure_main(main)
