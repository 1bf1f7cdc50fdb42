"""Animate LSEARCH on levin-count-inputs: the program being tried, the weights it writes, the count
of programs."""

import argparse
from pathlib import Path

import levin_count_inputs as problem
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


SHORT = (
    "if<=",
    "write",
    "jump",
    "stop",
    "add",
    "input",
    "move",
    "alloc",
    "inc",
    "dec",
    "sub",
    "mult",
    "free",
)


def listing(program):
    """The primitives of a program with the addresses of their cells."""
    lines, i = [], 0
    while i < len(program):
        op = program[i]
        arguments = program[i + 1 : i + 1 + problem.ARITY[op]]
        lines.append(f"{i:>2}  {SHORT[op]} {' '.join(map(str, arguments))}")
        i += 1 + problem.ARITY[op]
    return lines


def main():
    options = figure_options(__doc__, "levin_count_inputs.gif")
    story = []

    def watch(count, total, phase, state, probability, good):
        story.append((count, phase, state.copy(), probability))

    tested, solution = problem.levin_search(problem.PAPER_EXAMPLES, list(range(13)), 24, watch)
    chosen = [story[i] for i in np.unique(np.geomspace(1, len(story) - 1, 26).astype(int) - 1)]
    frames = [
        (count, phase, state, probability, None) for count, phase, state, probability in chosen
    ]
    final = problem.State(solution.program, solution.size)
    for steps in [1, 2, 3, 4, 8, 16, 32, 64, 96, 128, 160, 192, 201]:
        outcome = problem.execute(final, steps)
        frames.append((len(tested), tested[-1][0], final.copy(), tested[-1][1], outcome))
    figure = plt.figure(figsize=(6.4, 3.6))
    grid = figure.add_gridspec(2, 2, width_ratios=[1, 1.6])
    tape, bars, curve = (
        figure.add_subplot(place) for place in (grid[:, 0], grid[0, 1], grid[1, 1])
    )
    fresh = np.cumsum([not row[5] for row in tested])

    def draw(frame):
        count, phase, state, probability, outcome = frame
        tape.clear()
        tape.axis("off")
        tape.set_title(f"program {count:,} (phase {phase})", loc="left")
        for i, line in enumerate(listing(state.program)[:9]):
            here = int(line.split()[0]) == state.pointer
            tape.text(
                0,
                0.9 - 0.08 * i,
                line,
                family="monospace",
                color=RED if here else BLACK,
                transform=tape.transAxes,
            )
        work = state.cells[state.size :][::-1]
        note = f"work cells: {' '.join(map(str, work[:10])) or 'none'}\n$P(p)$ = {probability:.1e}\n{state.steps} steps"
        note += {
            None: "",
            "timeout": "\nrunning",
            "halted": "\nfits the three examples\nand all 161,697 others",
        }[outcome]
        color = GREEN if outcome == "halted" else BLACK
        tape.text(0, 0.0, note, transform=tape.transAxes, color=color)
        bars.clear()
        written = np.array([*state.weights, *[0] * (100 - len(state.weights))])
        bars.bar(
            range(100), np.clip(written, -3, 3), 1.0, color=GREEN if (written == 1).all() else BLUE
        )
        bars.set(ylim=(-3.2, 3.2), xlim=(-1, 100), xlabel="input", ylabel="weight written")
        curve.clear()
        curve.plot(np.arange(1, count + 1), fresh[:count], color=BLUE)
        curve.set(
            xscale="log",
            yscale="log",
            xlim=(1, len(tested) * 1.2),
            ylim=(0.8, 1e4),
            xlabel="programs run, resumed ones included",
            ylabel="different ones",
        )

    write_gif(options.out, figure, draw, frames, seconds=0.3)


if __name__ == "__main__":
    main()
