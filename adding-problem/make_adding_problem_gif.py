"""Animate how the LSTM learns to add: its gates and cells on one sequence, its error and its
outputs on test sequences."""

import argparse
from pathlib import Path

import adding_problem as problem
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

FRAMES = 45


def shown_sequence():
    """One sequence with two marks well apart, and its target."""
    x, target = problem.make_batch(np.random.default_rng(7), 100, 1, 1000)
    for item in range(1000):
        marked = np.flatnonzero(x[:, 0, 1, item] == 1)
        if len(marked) == 2 and marked[1] - marked[0] > 25 and x[marked, 0, 0, item].min() > 0.4:
            return x[:, :, :, item : item + 1], target[0, item], marked
    raise RuntimeError("no such sequence")


def record_training(seed):
    """Snapshots (sequences, mean error, weights) of a run without controls, at most FRAMES, the
    last one included."""
    snapshots = []

    def watch(seen, total, error, right, kind, weights):
        snapshots.append((seen, error, {name: w.copy() for name, w in weights.items()}))

    result = problem.run(problem.Config(seed=seed, controls=False), watch)
    snapshots.append((int(result.metrics["sequences"]), snapshots[-1][1], result.nets["lstm"]))
    picked = np.unique(np.linspace(0, len(snapshots) - 1, FRAMES).astype(int))
    return [snapshots[i] for i in picked], np.array([(seen, error) for seen, error, _ in snapshots])


def draw_sequence(axes, x, target, marked, net):
    """Values with the marked ones, input gates and cell states below."""
    o, (Z, Y, _, _) = problem.lstm_forward(net, x)
    values = x[:, 0, 0, 0]
    s = np.cumsum((Y[1:, :, problem.INPUT_GATES, None] * problem.blocks(Z))[:, 0, :, :, 0], 0)
    axes[0].plot(values, ".", color=GREY, markersize=3)
    axes[0].vlines(marked, 0, values[marked], color=RED)
    axes[0].plot(marked, values[marked], "o", color=RED, markersize=5)
    axes[0].set(
        ylim=(-1.1, 1.1), ylabel="value", title=f"target {target:.3f}, output {o[0, 0]:.3f}"
    )
    for block, colour in enumerate((BLUE, ORANGE)):
        axes[1].plot(
            Y[1:, 0, block, 0] / 2, color=colour, linewidth=1.2, label=f"block {block + 1}"
        )
        for cell in range(2):
            axes[2].plot(
                s[:, block, cell], color=colour, linestyle=("-", "--")[cell], linewidth=1.2
            )
    axes[1].set(ylim=(-0.03, 1.03), ylabel="input gates")
    axes[1].legend(loc="upper right", fontsize=7)
    axes[2].set(ylim=(-3, 3), ylabel="cell states", xlabel="step (red: the two marked values)")
    for axis in axes:
        axis.set_xlim(-2, len(x) + 1)
    for axis in axes[:2]:
        axis.set_xticklabels([])


def main():
    options = figure_options(__doc__, "adding_problem.gif")
    snapshots, errors = record_training(options.seed)
    x, target, marked = shown_sequence()
    test, wanted = problem.make_batch(np.random.default_rng(8), 100, 1, 300)
    figure = plt.figure(figsize=(6.4, 4.2))
    halves = figure.subfigures(1, 2, width_ratios=(1.45, 1))
    left = halves[0].subplots(3, 1)
    curve, scatter = halves[1].subplots(2, 1, height_ratios=(1, 1.7))

    def draw(frame):
        for axis in (*left, curve, scatter):
            axis.clear()
        seen, _, net = snapshots[frame]
        draw_sequence(left, x, target, marked, net)
        past = errors[errors[:, 0] <= seen]
        curve.plot(past[:, 0] / 1000, past[:, 1], color=BLUE)
        curve.axhline(0.01, color=GREY, linewidth=0.8)
        curve.set_yscale("log")
        curve.set_yticks([0.003, 0.01, 0.03, 0.1], ["0.003", "0.01", "0.03", "0.1"], minor=False)
        curve.minorticks_off()
        curve.set(
            xlim=(0, errors[-1, 0] / 1000),
            ylim=(0.002, 0.25),
            xlabel="sequences, thousands",
            ylabel="mean |error|",
        )
        curve.set_title(f"{seen:,} sequences")
        o = problem.lstm_forward(net, test)[0][0]
        scatter.fill_between(
            [0, 1], [-0.04, 0.96], [0.04, 1.04], color=YELLOW, alpha=0.5, linewidth=0
        )
        scatter.scatter(wanted[0], o, s=4, color=BLUE, linewidths=0)
        right = np.mean(np.abs(o - wanted[0]) < problem.TOLERANCE)
        scatter.set(
            xlim=(0, 1),
            ylim=(0, 1),
            xlabel="target",
            ylabel="output",
            title=f"test: {100 * right:.0f} % right",
        )
        scatter.set_aspect("equal")

    write_gif(options.out, figure, draw, range(len(snapshots)), seconds=0.2)


if __name__ == "__main__":
    main()
