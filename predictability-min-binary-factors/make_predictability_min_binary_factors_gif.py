"""Animate predictability-min-binary-factors: N1, codes in the unit square, predictors, and the
objective."""

import argparse
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


def answers(predictors, net):
    """What the two predictors of a net answer to all values of the other unit: (101, 2)."""
    grid = np.linspace(0, 1, 101)
    one = {name: weights[net : net + 1] for name, weights in predictors.items()}
    return problem.by_pattern(problem.predict(one, np.stack([grid, grid], axis=1)[None])[1])[0]


def record(config):
    """(epoch, codes of all nets, predictors, V of all nets) every 50 epochs of N1."""
    experiment, taken = problem.paper_experiments(config)["n1"], []

    def observe(step, code, predictors):
        y = problem.encode(code, experiment.patterns[None])[1]
        value = problem.objective(y, problem.predict(predictors, y)[1], experiment.counts)
        taken.append(
            (step, y, {name: weights.copy() for name, weights in predictors.items()}, value)
        )

    problem.train_offline(np.random.default_rng(config.seed), experiment, config, observe)
    return taken


def main():
    options = figure_options(__doc__, "predictability_min_binary_factors.gif")
    taken = record(problem.Config(seed=options.seed))
    good = np.array(
        [[problem.judge(y, problem.UNEVEN).factorial for y in codes] for _, codes, _, _ in taken]
    )
    net = int(np.argmax(good[-1]))
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(6.4, 2.9), width_ratios=(1, 1, 1.1))

    def draw(number):
        step, codes, predictors, _ = taken[number]
        for axis in (left, middle, right):
            axis.clear()
        for name, (a, b), count, colour in zip(
            "abcd", codes[net], problem.UNEVEN, (PINK, GREEN, ORANGE, BLUE), strict=True
        ):
            left.scatter(a, b, s=90 * count, color=colour, alpha=0.6, clip_on=False)
            left.text(a, b, name, ha="center", va="center", fontsize=8)
        left.set(
            xlim=(-0.05, 1.05),
            ylim=(-0.05, 1.05),
            xlabel="code unit 1",
            ylabel="code unit 2",
            title=f"codes, epoch {step:,}",
        )
        left.set_aspect("equal")
        for unit, curve in enumerate(answers(predictors, net).T):
            middle.plot(
                np.linspace(0, 1, 101),
                curve,
                color=(RED, BLUE)[unit],
                label=f"predictor of unit {unit + 1}",
            )
        middle.set(
            xlim=(0, 1), ylim=(0, 1), xlabel="value of the other unit", title="what predictors say"
        )
        middle.set_aspect("equal")
        middle.legend(fontsize=7, loc="lower left")
        epochs = [entry[0] for entry in taken[: number + 1]]
        right.plot(epochs, [entry[3] for entry in taken[: number + 1]], color=GREY, linewidth=0.7)
        right.plot(
            epochs, [entry[3][net] for entry in taken[: number + 1]], color=BLACK, linewidth=1.6
        )
        right.axhline(2, color=GREEN, linestyle="--", linewidth=1)
        right.axhline(1.9, color=RED, linestyle=":", linewidth=1)
        right.text(0, 2.02, "factorial", color=GREEN, fontsize=7, va="bottom")
        right.text(0, 1.88, "best other code", color=RED, fontsize=7, va="top")
        title = f"V; factorial: {good[number].sum()} of {len(good[0])} nets"
        right.set(xlim=(0, taken[-1][0]), ylim=(0, 2.3), xlabel="epoch", title=title)

    write_gif(options.out, figure, draw, range(len(taken)))


if __name__ == "__main__":
    main()
