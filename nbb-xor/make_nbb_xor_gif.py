"""Animate the learning of nbb-xor: one net, its weights, and which patterns are right."""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nbb_xor as problem
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


PLACE = np.array(
    [[0, 2], [0, 1], [0, 0], [1, 2.2], [1, 1.2], [1, 0.2], [2, 1.6], [2, 0.6]]
)  # x1 x2 1, h1 h2 h3, out 0, out 1
LABELS = ("x1", "x2", "1", "h1", "h2", "h3", "0", "1")
PAIRS = [(i, 3 + j, i, j) for i in range(3) for j in range(3)] + [
    (i, 6 + j, i, 4 + j) for i in range(6) for j in range(2)
]


def learn(seed, count=20):
    """The story of the first of `count` nets that is right 20 times running: weights, correctness
    and streak after each test."""
    rng = np.random.default_rng(seed)
    nets = problem.build(rng, ["three_hidden"], count)
    streak, story = np.zeros(count, int), []
    while streak.max() < 20:
        problem.present(nets, rng.integers(4, size=count), 0.005, 0.005)
        right = problem.solved(nets)
        streak = np.where(right.all(0), streak + 1, 0)
        story.append((nets.weights.copy(), right, streak))
    first = streak.argmax()
    return [
        (w[..., first], right[:, first], streak[first]) for w, right, streak in story
    ], nets.take([first])


def active(nets, w, pattern):
    """The eight units after the last tick with frozen weights."""
    frozen = problem.Nets(
        w[..., None], nets.group, nets.redistribute, nets.reward, nets.kind, nets.number
    )
    drive = problem.PATTERNS[pattern] @ w[:3].reshape(3, 6)
    hidden = problem.winners(drive[:, None], frozen.group)[:4, 0]
    out = drive[4:] + hidden @ w[3:, 4:]
    return np.array([*problem.PATTERNS[pattern], *hidden[:3], *(out == out.max())])


def main():
    options = figure_options(__doc__, "nbb_xor.gif")
    story, nets = learn(options.seed)
    figure = plt.figure(figsize=(6.4, 3.6))
    grid = figure.add_gridspec(2, 2, width_ratios=[1.15, 1], height_ratios=[1, 1.2])
    net, ticker, layers = (
        figure.add_subplot(place) for place in (grid[:, 0], grid[0, 1], grid[1, 1])
    )
    tests = np.array([right for _, right, _ in story]).T
    substance = np.array([[w[:3, :4].sum(), w[:3, 4:].sum(), w[3:, 4:].sum()] for w, _, _ in story])

    def draw(frame):
        count, pattern = frame
        w, right, streak = story[count]
        on = active(nets, w, pattern)
        net.clear()
        peak = np.array([w[i, j] for *_, i, j in PAIRS]).max()
        for a, b, i, j in PAIRS:
            lit = on[a] * on[b] > 0
            net.plot(
                *PLACE[[a, b]].T,
                color=ORANGE if lit else GREY,
                linewidth=0.3 + 5 * w[i, j] / peak,
                alpha=0.9 if lit else 0.5,
                zorder=1,
            )
        net.scatter(
            *PLACE.T,
            s=330,
            c=[ORANGE if unit else "white" for unit in on],
            edgecolors=BLACK,
            zorder=2,
        )
        for (x, y), label in zip(PLACE, LABELS, strict=True):
            net.text(x, y, label, ha="center", va="center", zorder=3)
        wanted = problem.XOR[pattern]
        state = "right" if right[pattern] else "wrong"
        x1, x2 = problem.PATTERNS[pattern][:2].astype(int)
        net.set_title(
            f"presentation {count + 1}: {x1} XOR {x2} = {wanted}, {state}",
            color=GREEN if right[pattern] else RED,
        )
        net.set(
            xlim=(-0.25, 2.25),
            ylim=(-0.4, 2.6),
            xticks=[0, 1, 2],
            xticklabels=["inputs", "hidden", "output"],
            yticks=[],
        )
        net.spines[:].set_visible(False)
        ticker.clear()
        ticker.imshow(
            np.where(tests[:, : count + 1], 1.0, 0.0),
            aspect="auto",
            cmap=matplotlib.colors.ListedColormap([ORANGE, BLUE]),
            interpolation="nearest",
        )
        ticker.set(
            xlim=(0, len(story)),
            yticks=range(4),
            yticklabels=["0 0", "0 1", "1 0", "1 1"],
            ylabel="pattern",
        )
        ticker.set_title(
            f"test after each presentation (blue: right)\n{streak} times all right running",
            fontsize=9,
        )
        layers.clear()
        for curve, label, colour in zip(
            substance.T,
            ("into hidden", "input → output", "hidden → output"),
            (BLUE, RED, GREEN),
            strict=True,
        ):
            layers.plot(curve[: count + 1], color=colour, label=label)
        layers.set(
            xlim=(0, len(story)), ylim=(0, 9.5), xlabel="presentations", ylabel="weight substance"
        )
        layers.legend(fontsize=7, loc="upper right")

    counts = np.linspace(0, len(story) - 1, 44).astype(int)
    frames = [(count, i % 4) for i, count in enumerate(counts)] + [
        (counts[-1], pattern) for pattern in (1, 2, 3, 0)
    ]
    write_gif(options.out, figure, draw, frames, seconds=0.25)


if __name__ == "__main__":
    main()
