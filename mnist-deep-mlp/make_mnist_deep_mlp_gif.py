"""Animate the deep MLP on deformed MNIST: digits under fresh deformations, filters, and errors of a
short run of smaller nets."""

import argparse
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
    """Options of a figure script: seed, and out, a path that lies beside the script unless it is given."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}\n")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the run that is shown (default 0)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).resolve().parent / out,
        metavar="PATH",
        help=f"default {out}",
    )
    options = parser.parse_args()
    if options.seed < 0:
        parser.error(f"argument --seed: must be 0 or more, got {options.seed}")
    return options


# end idiom


# idiom: gif
def write_gif(path, figure, draw, frames, seconds=0.12, hold=3.0, colours=64):
    """Write an animated GIF: draw(frame) repaints the figure for every item of frames; the last one stays `hold` seconds.

    All frames share one palette, and each stores only the rectangle that changed, which keeps the file small.
    """
    images = []
    for frame in frames:
        draw(frame)
        figure.canvas.draw()
        images.append(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
    sample = np.concatenate(images[:: max(1, len(images) // 6)] + images[-1:])
    palette = Image.fromarray(sample).quantize(colours, Image.Quantize.MAXCOVERAGE)
    images = [
        Image.fromarray(image).quantize(palette=palette, dither=Image.Dither.NONE)
        for image in images
    ]
    durations = [round(1000 * seconds)] * (len(images) - 1) + [round(1000 * hold)]
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        disposal=1,
        optimize=False,
    )


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
    weights.set_title("weights of 20 first-layer units")
    for axis in (digits, weights):
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    lines = {
        name: curve.plot([], [], ".-", color=colour, label=label)[0]
        for name, (label, colour) in NAMES.items()
    }
    curve.set(
        xlim=(0.5, config.epochs + 0.5),
        ylim=(1.5, 30),
        yscale="log",
        xlabel=f"epoch ({config.images:,} images)",
    )
    curve.set_ylabel("validation error [%]")
    curve.set_yticks([2, 3, 5, 10, 20], labels=["2", "3", "5", "10", "20"])
    curve.minorticks_off()
    curve.legend(loc="upper right")

    def draw(frame):
        epoch = (frame + 1) // 2
        digits_image.set_data(mosaic(morph[frame].reshape(6, 29, 29), 2))
        weights_image.set_data(mosaic(filters[epoch], 4))
        for name, line in lines.items():
            errors = result.curves[name][:epoch]
            line.set_data(np.arange(1, len(errors) + 1), errors)

    write_gif(options.out, figure, draw, range(2 * config.epochs), seconds=0.2, colours=40)


if __name__ == "__main__":
    main()
