"""Animate linear Transformers as fast weight programmers: the fast weights fill up pair by pair,
before and after training."""

import argparse
from pathlib import Path

import linear_transformers_fwp as problem
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


KEY_SIZE, DIMENSIONS = 16, 32  # DPFP-1 doubles the key's units
SIZES, RULES = (12, 48), ("sum", "delta")
FRAMES = {"before training": 12, "after training": 32}


def fill(weights, rule, keys, values):
    """After every pair of one sequence: the fast weights, (L, S, p), and the loss of every stored
    key, (L, S), else nan."""
    by_value, by_key = problem.tables(weights, "k")
    phi, _ = problem.feature_map(by_value[values] + by_key[keys], "dpfp-1")
    query, _ = problem.feature_map(problem.queries(weights), "dpfp-1")
    onehot = np.eye(len(query))
    if rule == "delta":
        phi, query = problem.normalise(phi)[0], problem.normalise(query)[0]
        beta = problem.write_strength(weights, keys[None], values[None])[0]
    fast, total, last = np.zeros((len(query), phi.shape[1])), np.zeros(phi.shape[1]), {}
    shown, losses = [], []
    for t, (key, value) in enumerate(zip(keys, values, strict=True)):
        last[key] = value
        error = onehot[value] - fast @ phi[t] if rule == "delta" else onehot[value]
        fast = fast + (beta[t] if rule == "delta" else 1) * np.outer(error, phi[t])
        total = total + phi[t]
        y = query @ fast.T if rule == "delta" else query @ fast.T / (query @ total + 1e-6)[:, None]
        loss = np.full(len(query), np.nan)
        for k, v in last.items():
            loss[k] = 0.5 * ((y[k] - onehot[v]) ** 2).sum()
        shown.append(fast)
        losses.append(loss)
    return np.array(shown), np.array(losses)


def main():
    options = figure_options(__doc__, "linear_transformers_fwp.gif")
    config, story = (
        problem.Config(seed=options.seed, key_size=KEY_SIZE, steps=600, batch=16, every=200),
        {},
    )
    rngs = iter(np.random.default_rng(options.seed).spawn(8))
    for symbols in SIZES:
        keys, values = (ids[0] for ids in problem.make_batch(next(rngs), 2, symbols, 2, 1))
        for rule in RULES:
            rng = next(rngs)
            untrained = problem.init_weights(rng, symbols, KEY_SIZE)
            trained = problem.train(rng, (2, rule, "dpfp-1", symbols, 2), config, None)[1]
            for stage, weights in zip(FRAMES, (untrained, trained), strict=True):
                story[stage, symbols, rule] = fill(weights, rule, keys, values)
    columns = [(symbols, rule) for symbols in SIZES for rule in RULES]
    frames = [
        (stage, part / count) for stage, count in FRAMES.items() for part in range(1, count + 1)
    ]

    figure, axes = plt.subplots(3, 4, figsize=(6.4, 5.4), height_ratios=[1.5, 0.8, 0.9])
    images, bars, lines = [], [], []
    for i, (symbols, rule) in enumerate(columns):
        top, middle, bottom = axes[:, i]
        images.append(
            top.imshow(
                np.zeros((symbols, DIMENSIONS)), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto"
            )
        )
        top.set_title(
            f"{rule}\nS = {symbols} {'<' if symbols < DIMENSIONS else '>'} p = {DIMENSIONS}"
        )
        top.set(xticks=[], yticks=[], xlabel="features" if i == 0 else "")
        bars.append(middle.bar(np.arange(symbols), np.zeros(symbols), 1.0, color=RED))
        middle.set(ylim=(0, 1), xlim=(-0.5, symbols - 0.5), xticks=[], xlabel="key")
        for stage, colour in zip(FRAMES, (GREY, BLUE), strict=True):
            lines.append(bottom.plot([], [], color=colour, label=stage)[0])
        bottom.set(xlim=(0, 2 * symbols), ylim=(0, 0.8), xlabel="pairs written")
        for axis in (middle, bottom):
            axis.set_yticks([0, 0.5], labels=["0", "0.5"] if i == 0 else ["", ""])
    axes[0, 0].set_ylabel("fast weights W\n(one row a value)")
    axes[1, 0].set_ylabel("error of each\nstored key")
    axes[2, 0].set_ylabel("mean error")
    axes[2, 0].legend(fontsize=7, loc="upper left", borderpad=0, handlelength=1.2)
    title = figure.suptitle(
        "Keys come again with new values, and only the last counts\n", fontsize=10
    )
    figure.canvas.draw()
    figure.set_layout_engine("none")

    def draw(frame):
        stage, part = frame
        written = f"{stage}, {part:.0%} of the pairs written"
        title.set_text(f"Keys come again with new values, and only the last counts\n{written}")
        for i, (symbols, rule) in enumerate(columns):
            fast, losses = story[stage, symbols, rule]
            now = max(0, round(part * len(fast)) - 1)
            images[i].set_data(fast[now] / max(1e-9, np.abs(fast[-1]).max()))
            for bar, height in zip(bars[i], np.nan_to_num(losses[now]), strict=True):
                bar.set_height(height)
            for j, name in enumerate(FRAMES):
                if name == stage:
                    means = np.nanmean(losses[: now + 1], axis=1)
                    lines[2 * i + j].set_data(np.arange(1, now + 2), means)

    write_gif(options.out, figure, draw, frames, seconds=0.2)


if __name__ == "__main__":
    main()
