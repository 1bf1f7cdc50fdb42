"""Animate chunker-22-symbol: surprises die out, C learns the target, and A learns to hold what C
knows."""

import argparse
import json
import sys
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


# idiom: gif
def write_gif(path, figure, draw, frames, seconds=0.12, hold=3.0, colours=64):
    """Write an animated GIF: draw(frame) repaints the figure for every item of frames.

    The last frame stays `hold` seconds; it is also the poster. All frames share one palette, made
    from all of them, and each stores only the rectangle that changed, which keeps the file small.
    """
    pictures, seen, count = [], np.empty(0, np.uint32), np.empty(0)
    for frame in frames:
        draw(frame)
        figure.canvas.draw()
        pixels = np.array(figure.canvas.buffer_rgba()).view(np.uint32)[..., 0]
        found, which, times = np.unique(pixels, return_inverse=True, return_counts=True)
        which = which.reshape(pixels.shape).astype(np.min_scalar_type(len(found)))
        pictures.append((found, which))
        seen, place = np.unique(np.concatenate([seen, found]), return_inverse=True)
        count = np.bincount(place, np.concatenate([count, times]))
    palette, nearest = shared_palette(seen.view(np.uint8).reshape(-1, 4)[:, :3], count, colours)
    images = (Image.fromarray(nearest[np.searchsorted(seen, f)][which]) for f, which in pictures)
    durations = [round(1000 * seconds)] * (len(pictures) - 1) + [round(1000 * hold)]
    options = {"palette": palette.tobytes(), "loop": 0, "disposal": 1, "optimize": False}
    next(images).save(path, save_all=True, append_images=images, duration=durations, **options)


def shared_palette(seen, count, most):
    """A palette out of the colours seen, (at most most, 3), and which entry is nearest to each.

    The commonest colour comes first, then always the one that lies farthest from all entries so
    far; a commoner colour counts as a little farther, but a rare one that is like no other gets in.
    """
    rgb, weight = seen.astype(np.int32), count**0.25
    chosen, nearest, gap = [], np.zeros(len(rgb), np.uint8), np.full(len(rgb), np.inf)
    while len(chosen) < most and gap.any():
        chosen.append(np.argmax(gap * weight if chosen else count))
        away = ((rgb - rgb[chosen[-1]]) ** 2).sum(1)
        nearest[away < gap] = len(chosen) - 1
        gap = np.minimum(gap, away)
    return seen[chosen], nearest


def spaced(values, count):
    """Which snapshots to show: places of at most `count`, evenly spaced in what is learnt.

    values: one number a snapshot that tells how far learning has come, such as an error (of an
    error that spans factors, its logarithm); snapshots are taken at even intervals of training.
    Half of the way from the first snapshot to the last is the change of values, up or down, and
    half is the logarithm of training time, so that early steps and slow stretches show too. No
    single change takes more than the way of about one frame. First and last are always shown.
    """
    if len(values) <= count:
        return list(range(len(values)))
    change = np.abs(np.diff(np.asarray(values, float)))
    early = np.diff(np.log(np.arange(1, len(values) + 1)))
    way = change / (change.sum() or 1) + early / early.sum()
    way = np.concatenate([[0], np.cumsum(np.minimum(way, way.sum() / count))])
    places = np.searchsorted(way, np.linspace(0, way[-1], count))
    return np.unique(places).tolist()


# end idiom

SYSTEMS, MOST, MORE = 4, 6000, 200  # trained; sequences at most; sequences after the first success
COLUMNS = 70  # of the raster, evenly spaced on a logarithmic axis
FRAMES = 40
SMOOTH = 10  # sequences over which errors are averaged


class Story:
    """What happened in the system that solved the task first: events, C's target unit, A's
    imitation of it, A's own target unit, (sequences, lag + 1) each; A's self-weight and the first
    symbols, (sequences,); the sequence at which it was solved."""

    def __init__(self, seed):
        config = problem.Config(seed=seed)
        rng, stream_rng, test_rng = np.random.default_rng(seed).spawn(3)
        system, judge = problem.Chunkers(rng, config, np.ones(SYSTEMS)), problem.Judge(SYSTEMS)
        slots, firsts, own, worst = [], [], [], np.zeros(SYSTEMS)
        for position, symbol, target in problem.stream(
            problem.draws(stream_rng, SYSTEMS), config.lag
        ):
            size, event = system.slot(symbol, target)
            if target is not None:
                met = judge.see(1 - target, np.maximum(worst, size[-1]))
                judge.decide(met, problem.passes_alone(system.A, met, config.lag, test_rng))
                solved = judge.solved_at[judge.solved_at > 0]
                if judge.sequences >= (min(solved) + MORE if solved.size else MOST):
                    break
            if position == 0:
                firsts.append(symbol)
                own.append(system.A.V[problem.HIDDEN].copy())
            worst = np.maximum(worst, size.max(0)) if position else np.zeros(SYSTEMS)
            A, C, d = system.A.past[0].state[1:], system.C.past[0].state[1:], system.d
            slots.append((event, C[d], A[-1], A[d]))
        at = judge.solved_at
        which = int(np.argmin(np.where(at > 0, at, MOST)))
        values = np.array(slots)[..., which].reshape(len(firsts), config.lag + 1, 4)
        self.events, self.chunker, self.imitation, self.answer = np.moveaxis(values, 2, 0)
        self.own, self.firsts = np.array(own)[:, which], np.array(firsts)[:, which]
        self.solved_at = int(at[which])

    def learnt(self):
        """One number a sequence: events a slot, error of C, of A's imitation and of A's answer."""
        wanted = 1.0 - self.firsts
        parts = [
            self.events.mean(1),
            abs(self.chunker[:, -1] - wanted),
            abs(self.imitation - self.chunker)[:, 1:].mean(1),
            abs(self.answer[:, -1] - wanted),
        ]
        window = np.ones(SMOOTH) / SMOOTH
        return sum(np.convolve(part, window, mode="valid") for part in parts)


def main():
    options = figure_options(__doc__, "chunker_22_symbol.gif")
    story = Story(options.seed)
    length, slots = story.events.shape
    moments = [place + SMOOTH - 1 for place in spaced(story.learnt(), FRAMES)]
    figure = plt.figure(figsize=(6.4, 5.0))
    grid = figure.add_gridspec(2, 2, height_ratios=[1, 1.25])
    axes = [figure.add_subplot(place) for place in (grid[0, 0], grid[0, 1], grid[1, :])]

    def draw(now):
        for axis in axes:
            axis.clear()
        draw_events(axes[0], story, now)
        draw_own_weight(axes[1], story, now)
        draw_slots(axes[2], story, now)

    write_gif(options.out, figure, draw, moments, seconds=0.3)


def draw_events(axis, story, now):
    """The slots that surprised A, over the sequences so far."""
    length, slots = story.events.shape
    edges = np.unique(np.geomspace(1, length, COLUMNS).astype(int))
    raster = [story.events[a - 1 : b - 1].mean(0) for a, b in zip(edges, edges[1:], strict=False)]
    seen = np.where(edges[:-1] <= now, np.transpose(raster), 0)
    axis.pcolormesh(edges, np.arange(slots + 1) - 0.5, seen, cmap="Greys", vmin=0, vmax=1)
    axis.axvline(now, color=RED, linewidth=0.8)
    lately = story.events[now - SMOOTH + 1 : now + 1].sum(1).mean()
    axis.set(
        xscale="log",
        xlim=(1, length),
        ylim=(slots - 0.5, -0.5),
        yticks=[0, 5, 10, 15, 20],
        yticklabels=["first", "b5", "b10", "b15", "b20"],
        ylabel="slot",
        xlabel="training sequences",
        title=f"surprises of A, events for C: {lately:.1f} of {slots}",
    )


def draw_own_weight(axis, story, now):
    """The weight of A's hidden unit to itself."""
    axis.plot(story.own[: now + 1], color=BLUE)
    axis.axhline(4, color=GREY, linestyle=":")
    axis.text(20, 4.1, "latching possible above 4", fontsize=8, va="bottom")
    axis.set(
        xlim=(0, len(story.own)),
        ylim=(min(story.own) - 0.5, max(story.own) + 0.5),
        xlabel="training sequences",
        title="self-weight of A's hidden unit",
    )


def draw_slots(axis, story, now):
    """The latest pair of an a- and an x-sequence, slot by slot."""
    slots = story.events.shape[1]
    end = next(i for i in range(now, 0, -1) if story.firsts[i] != story.firsts[i - 1])
    pair, x = slice(end - 1, end + 1), np.arange(2 * slots)
    wanted = np.repeat(1 - story.firsts[pair], slots)
    axis.step(
        x, wanted, where="post", color=GREY, linewidth=5, alpha=0.35, label="the right answer"
    )
    chunker = story.chunker[pair].ravel()
    axis.step(x, chunker, where="post", color=GREEN, linewidth=2, label="C's guess of the target")
    axis.plot(x, story.imitation[pair].ravel(), ".-", color=ORANGE, label="A's imitation of it")
    answers = {"color": BLUE, "markersize": 8, "label": "A's own answer after b20"}
    axis.plot(x[slots - 1 :: slots], story.answer[pair][:, -1], "D", **answers)
    for at in (0, slots):
        axis.axvline(at, color=BLACK, linewidth=0.8)
    one, two = ("ax"[first] for first in story.firsts[pair])
    bs = ["b5", "b10", "b15"]
    axis.set(
        xticks=[0, 5, 10, 15, 20, 21, 26, 31, 36, 41],
        xlim=(-0.5, 2 * slots + 0.2),
        ylim=(-0.06, 1.42),
        yticks=[0, 0.5, 1],
        ylabel="target unit",
    )
    axis.set_xticklabels([one, *bs, "b20\n", "\n" + two, *bs, "b20"], fontsize=8)
    state = ".  Solved: A answers alone" if now >= story.solved_at > 0 else ""
    axis.set_title(f"two sequences, slot by slot, after {now + 1:,} in training{state}", fontsize=9)
    axis.legend(loc="upper center", ncol=4, fontsize=7, columnspacing=1.0, handlelength=1.5)


if __name__ == "__main__":
    figure_main(main)
