"""Animate the guessing of rs-two-sequence: outputs of one random net after the other, until one
latches."""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import rs_two_sequence as problem
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


def guesses(seed, config):
    """Weights of all guesses until the first success (the net A1), each one's share of right
    sequences, and the training set."""
    condition = problem.CONDITIONS["a1"]
    rng = np.random.default_rng(seed)
    training = problem.make_set(rng, config, condition.noise)
    x, lengths, label = training
    weights, shares = [], []
    while not shares or max(map(max, shares)) < 1:
        weights.append(condition.draw(rng, 100))
        y = problem.end_outputs(condition, weights[-1], x, lengths, label)
        shares.append(condition.right(y, label).mean(1))
    weights, shares = np.concatenate(weights), np.concatenate(shares)
    last = int(np.argmax(shares == 1))
    return weights[: last + 1], shares[: last + 1], training


def main():
    options = figure_options(__doc__, "rs_two_sequence.gif")
    config = problem.Config(seed=options.seed, sequences=40)
    weights, shares, (x, lengths, label) = min(
        (guesses(options.seed + i, config) for i in range(3)), key=lambda g: abs(len(g[0]) - 500)
    )
    chosen = np.unique(
        np.concatenate([np.geomspace(1, len(weights), 34).astype(int) - 1, np.argsort(shares)[-6:]])
    )
    best = np.maximum.accumulate(shares)
    figure, (traces, curve) = plt.subplots(1, 2, figsize=(6.4, 3.2), width_ratios=[1.7, 1])
    order = np.argsort(-label, kind="stable")
    inside = np.arange(config.longest)[:, None] < lengths

    def draw(guess):
        y = np.array([o[0] for o in problem.recurrent(weights[guess][None], x, label)])
        y[~inside] = np.nan
        traces.clear()
        traces.imshow(y[:, order].T, aspect="auto", vmin=0, vmax=1, interpolation="nearest")
        traces.axhline(len(label) / 2 - 0.5, color="white", linewidth=2)
        traces.set(
            xlim=(0, 600),
            xlabel="step",
            yticks=[9, 29],
            yticklabels=["first\nvalue\n+1", "first\nvalue\n-1"],
        )
        state = "accepted" if shares[guess] == 1 else "rejected"
        traces.set_title(
            f"output of the net on 40 sequences (yellow: 1)\nguess {guess + 1}: {state}",
            color=GREEN if shares[guess] == 1 else BLACK,
        )
        curve.clear()
        curve.step(
            np.arange(1, guess + 2),
            best[: guess + 1],
            where="post",
            color=BLUE,
            label="best so far",
        )
        curve.plot(guess + 1, shares[guess], "o", color=RED, markersize=4, label="this guess")
        curve.set(
            xscale="log",
            xlim=(1, len(weights) * 1.3),
            ylim=(0, 1.05),
            xlabel="guesses",
            ylabel="share of sequences right",
        )
        curve.legend(loc="upper left", fontsize=7)

    write_gif(options.out, figure, draw, chosen, seconds=0.35)


if __name__ == "__main__":
    main()
