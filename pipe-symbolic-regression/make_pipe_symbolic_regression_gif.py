"""Animate pipe-symbolic-regression: the best program's curve, and the prototype tree making up its
mind."""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pipe_symbolic_regression as problem
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


LEVELS = 5
SHADES = (BLUE, SKY, GREEN, "#66c2a5", ORANGE, YELLOW, RED, PINK, BLACK, GREY)
COLOURS = dict(
    zip(("+", "-", "*", "%", "sin", "cos", "exp", "rlog", "x", "R"), SHADES, strict=True)
)


def upper_tree(tree):
    """[x, depth, x of the parent, likeliest instruction, its probability] of the upper nodes;
    number of leaves."""
    nodes, leaves = [], 0

    def place(node, depth):
        nonlocal leaves
        symbol = int(np.argmax(node.p))
        below = node.children[: tree.problem.arity[symbol]] if depth + 1 < LEVELS else []
        if below:
            places = [place(child, depth + 1) for child in below]
            x = sum(places) / len(places)
        else:
            leaves, x, places = leaves + 1, leaves, []
        for index in range(len(nodes)):
            if nodes[index][1] == depth + 1 and nodes[index][2] is None:
                nodes[index][2] = x
        nodes.append([x, depth, None, symbol, node.p[symbol]])
        return x

    place(tree.root, 0)
    return nodes, leaves


def snapshots(config):
    """(evaluations, error, values of the best program on a fine grid, upper tree) at every
    hundredth of a run."""
    taken, fine = [], np.linspace(0, 10, 401)

    def watch(done, total, fit, best, tree, **state):
        taken.append((done, fit, problem.evaluate(best, tree.problem, fine), upper_tree(tree)))

    problem.run(config, watch)
    return fine, taken


def main():
    options = figure_options(__doc__, "pipe_symbolic_regression.gif")
    fine, taken = snapshots(problem.Config(seed=options.seed))
    chosen = sorted({round(k) for k in np.geomspace(1, len(taken), 48)})
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.6), width_ratios=(1, 1.25))
    names = problem.make_problem("curve").names

    def draw(number):
        done, error, values, (nodes, leaves) = taken[number - 1]
        left.clear()
        left.plot(
            fine, problem.curve(fine), color=BLACK, linewidth=4, alpha=0.25, label="target f(x)"
        )
        left.plot(fine, np.clip(values, -5, 5), color=RED, linewidth=1.3, label="best program")
        left.set(
            xlim=(0, 10), ylim=(-1, 1.3), xlabel="x", title=f"{done:,} programs\nerror {error:5.2f}"
        )
        left.legend(loc="upper right")
        right.clear()
        slack = max(0, 8 - leaves) / 2
        for x, depth, parent, symbol, probability in nodes:
            name = names[symbol]
            if parent is not None:
                right.plot([parent, x], [depth - 1, depth], color=GREY, linewidth=0.8, zorder=1)
            right.scatter(x, depth, s=150, color="white", edgecolor=GREY, zorder=2, linewidth=0.5)
            right.scatter(
                x, depth, s=150, color=COLOURS[name], alpha=probability**2, zorder=3, linewidth=0
            )
            dark = name in ("+", "x", "*") and probability > 0.7
            right.text(
                x,
                depth,
                name,
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if dark else "black",
                zorder=4,
            )
        right.set(
            xlim=(-0.7 - slack, leaves - 0.3 + slack),
            ylim=(LEVELS - 0.5, -0.6),
            title="likeliest instruction of each node\n(colour: how probable it is)",
        )
        right.axis("off")

    write_gif(options.out, figure, draw, chosen)


if __name__ == "__main__":
    main()
