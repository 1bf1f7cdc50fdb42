"""Animate a stack that learns: what each level does not expect thins out, until one lag is left."""

import argparse
import json
import sys
from pathlib import Path

import chunker_very_deep_1200 as problem
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

FRAMES = 44
COLOURS = (BLUE, ORANGE, GREEN)


def record_training(seed):
    """Snapshots of the stack: the finished nets below, and the level that learns, update by update.

    Returns (level, update, nets from below) and a test set: symbols and classes.
    """
    snapshots, known = [], {}

    def watch(update, total, level, loss, nets):
        known[level] = nets[0]
        copies = []
        for k in range(level + 1):
            net = problem.Elman(np.random.default_rng(0), problem.UNITS[k])
            net.w = {name: w.copy() for name, w in known[k].w.items()}
            copies.append(net)
        snapshots.append((level, update, copies))

    problem.run(problem.Config(seed=seed, standard=False), watch)
    return snapshots, problem.make_sequences(np.random.default_rng(seed + 3), 60, 60)


def passed_on(nets, symbols):
    """Of one sequence (time, 1): for every level, places in it that the level passes on."""
    places, stream, result = np.arange(len(symbols)), symbols, []
    for net in nets:
        _, o = net.forward(stream)
        off = o[:-1, 0].copy()
        off[np.arange(len(off)), stream[1:, 0]] -= 1
        surprise = np.r_[True, np.abs(off).max(1) > problem.EPSILON]
        places, stream = places[surprise], stream[surprise]
        result.append(places)
    return result


def draw_level(axis, level, places, learning, symbols):
    """The symbols of the sequence that a level reads, as lines at their places."""
    colour = COLOURS[level] if places is not None else GREY
    count = 0 if places is None else len(places)
    if places is not None:
        width = 0.5 if count > 300 else 1.2
        axis.vlines(places, 0, 1, color=colour, linewidth=width)
    state = "learns" if learning else ("waits" if places is None else "has learnt")
    text = f"level {level} {state}" + (f"; it reads {count:,} symbols" if count else "")
    axis.set_title(text, fontsize=9, color=BLACK if learning else "#777777")
    axis.set(xlim=(-10, len(symbols) + 10), ylim=(0, 1), yticks=[])


def main():
    options = figure_options(__doc__, "chunker_very_deep_1200.gif")
    snapshots, (symbols, classes) = record_training(options.seed)
    counts = []
    for _, _, nets in snapshots:
        counts.append(len(passed_on(nets, symbols[:, :1])[-1]))
    figure = plt.figure(figsize=(6.4, 3.9))
    left, side = figure.subfigures(1, 2, width_ratios=(2.1, 1))
    levels, curve = left.subplots(4, 1), side.subplots()
    last = {level: k for k, (level, _, _) in enumerate(snapshots)}
    frames = sorted({*spaced(np.log(counts), FRAMES), *last.values()})

    def draw(frame):
        level, update, nets = snapshots[frame]
        for axis in (*levels, curve):
            axis.clear()
        passed = [np.arange(len(symbols)), *passed_on(nets, symbols[:, :1])]
        for k in range(3):
            reads = passed[k] if k <= level else None
            draw_level(levels[k], k, reads, k == level, symbols)
        levels[3].vlines(passed[level + 1], 0, 1, color=BLACK, linewidth=0.8)
        levels[3].set(xlim=(-10, len(symbols) + 10), ylim=(0, 1), yticks=[], xlabel="place")
        levels[3].set_title(f"level {level} does not expect {len(passed[level + 1]):,}", fontsize=9)
        curve.plot(range(frame + 1), counts[: frame + 1], color=BLACK)
        curve.plot(frame, counts[frame], "o", color=BLACK, markersize=5)
        for other in list(last.values())[:-1]:
            curve.axvline(other, color=GREY, linewidth=0.8, linestyle=":")
        curve.set(yscale="log", xlim=(0, len(snapshots)), ylim=(0.8, 2000), xlabel="updates")
        curve.set_yticks([1, 2, 10, 61, 1202], ["1", "2", "10", "61", "1202"])
        curve.minorticks_off()
        share = problem.accuracy(nets, symbols, classes, problem.BOTH)
        curve.set_title(f"symbols not expected\nanswers right: {share:.0%}", fontsize=9)

    write_gif(options.out, figure, draw, frames, seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
