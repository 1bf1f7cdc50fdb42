"""Animate chunker-22-symbol: surprises die out, C learns the target, and A learns to hold what C
knows."""

import argparse
from pathlib import Path

import chunker_22_symbol as problem
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

COLUMNS = 70  # of the raster, evenly spaced on a logarithmic axis


def record(seed, replicas=4, most=6000, more=200):
    """Train a few replicas until the first of them has solved the task, and a little on; what
    happened in that one.

    Returns events, C's target unit, A's estimate of it and A's own target unit, (sequences, lag +
    1) each; the self-weight, the first symbols (sequences,), and when it was solved.
    """
    config = problem.Config(seed=seed)
    rng, stream_rng, test_rng = np.random.default_rng(seed).spawn(3)
    system, judge = problem.Chunkers(rng, config, np.ones(replicas)), problem.Judge(replicas)
    slots, firsts, own, worst = [], [], [], np.zeros(replicas)
    for position, symbol, target in problem.stream(problem.draws(stream_rng, replicas), config.lag):
        largest, missed, event = system.slot(symbol, target)
        if position == 0:
            if target is not None:
                met = judge.see(1 - target, np.maximum(worst, missed))
                judge.decide(met, problem.passes_alone(system.A, met, test_rng))
            solved = judge.solved_at[judge.solved_at > 0]
            if judge.sequences >= (min(solved) + more if solved.size else most):
                break
            worst = np.zeros(replicas)
            firsts.append(symbol)
            own.append(system.A.V[-1].copy())
        else:
            worst = np.maximum(worst, largest)
        unit = system.known - 1
        slots.append(
            (
                event,
                system.c_state[:, -1].copy(),
                system.guess[:, -1].copy(),
                system.guess[:, unit].copy(),
            )
        )
    replica = int(np.argmin(np.where(judge.solved_at > 0, judge.solved_at, 10**9)))
    length = len(firsts)
    values = np.array(slots[: length * (config.lag + 1)])[..., replica].reshape(
        length, config.lag + 1, 4
    )
    return (
        *np.moveaxis(values, 2, 0),
        np.array(own)[:, replica],
        np.array(firsts)[:, replica],
        int(judge.solved_at[replica]),
    )


def main():
    options = figure_options(__doc__, "chunker_22_symbol.gif")
    events, chunker, estimate, answer, own, firsts, solved_at = record(options.seed)
    length, slots = events.shape
    edges = np.unique(np.geomspace(1, length, COLUMNS).astype(int))
    raster = np.array(
        [events[start - 1 : end - 1].mean(0) for start, end in zip(edges, edges[1:], strict=False)]
    ).T
    moments = np.unique(
        [
            *np.geomspace(6, length / 2, 18).astype(int),
            *np.linspace(length / 2, length - 1, 20).astype(int),
        ]
    )
    figure = plt.figure(figsize=(6.4, 5.0))
    grid = figure.add_gridspec(2, 2, height_ratios=[1, 1.25])
    top, side, below = (
        figure.add_subplot(grid[0, 0]),
        figure.add_subplot(grid[0, 1]),
        figure.add_subplot(grid[1, :]),
    )

    def draw(now):
        # the latest pair of an a-sequence and an x-sequence, so that every frame shows both
        end = next(i for i in range(now, 0, -1) if firsts[i] != firsts[i - 1])
        top.clear()
        seen = np.where(edges[:-1] <= now, raster, 0)
        top.pcolormesh(edges, np.arange(slots + 1) - 0.5, seen, cmap="Greys", vmin=0, vmax=1)
        top.set(xscale="log", xlim=(1, length), ylim=(slots - 0.5, -0.5))
        top.axvline(now, color=RED, linewidth=0.8)
        top.set(
            yticks=[0, 5, 10, 15, 20],
            yticklabels=["first", "b5", "b10", "b15", "b20"],
            ylabel="slot",
        )
        top.set(
            title=f"surprises of A (events for C): {events[max(0, now - 9) : now + 1].sum(1).mean():.1f} a sequence"
        )
        top.set_xlabel("training sequences")
        side.clear()
        side.plot(own[: now + 1], color=BLUE)
        side.axhline(4, color=GREY, linestyle=":")
        side.text(20, 4.1, "latching possible above 4", fontsize=8, va="bottom")
        side.set(
            xlim=(0, length),
            ylim=(min(own) - 0.5, max(own) + 0.5),
            title="self-weight of A's hidden unit",
        )
        side.set_xlabel("training sequences")
        below.clear()
        x = np.arange(2 * slots)
        pair = slice(end - 1, end + 1)
        wanted = np.repeat(1 - firsts[pair], slots)
        below.step(
            x, wanted, where="post", color=GREY, linewidth=5, alpha=0.35, label="the right answer"
        )
        below.step(
            x,
            chunker[pair].ravel(),
            where="post",
            color=GREEN,
            linewidth=2,
            label="C's guess of the target",
        )
        below.plot(x, estimate[pair].ravel(), ".-", color=ORANGE, label="A's imitation of it")
        below.plot(
            x[slots - 1 :: slots],
            answer[pair][:, -1],
            "D",
            color=BLUE,
            markersize=8,
            label="A's own answer after b20",
        )
        for at in (0, slots):
            below.axvline(at, color=BLACK, linewidth=0.8)
        names = ["ax"[f] for f in firsts[pair]]
        below.set(
            xticks=[0, 5, 10, 15, 20, 21, 26, 31, 36, 41],
            xlim=(-0.5, 2 * slots + 0.2),
            ylim=(-0.06, 1.42),
        )
        below.set_xticklabels(
            [names[0], "b5", "b10", "b15", "b20\n", "\n" + names[1], "b5", "b10", "b15", "b20"],
            fontsize=8,
        )
        below.set(yticks=[0, 0.5, 1], ylabel="target unit")
        state = "solved: A answers alone" if now >= solved_at > 0 else ""
        below.set_title(
            f"two sequences, slot by slot, after {now:,} training sequences.  {state}", fontsize=9
        )
        below.legend(loc="upper center", ncol=4, fontsize=7, columnspacing=1.0, handlelength=1.5)

    write_gif(options.out, figure, draw, moments, seconds=0.3)


if __name__ == "__main__":
    main()
