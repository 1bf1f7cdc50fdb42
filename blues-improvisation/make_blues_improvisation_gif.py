"""Animate a net that learns the form of the blues, and at the end plays a melody over it."""

import argparse
import json
import sys
from pathlib import Path

import blues_improvisation as problem
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

FRAMES, SHOWN, MELODY_FRAMES = 34, 192, 8
COLOURS = dict(zip(problem.CHORDS, (SKY, YELLOW, GREEN), strict=True))


def record_training(seed):
    """Curves (update, steps in form) of both nets, chords played at each point, and the melody."""
    net, points, curves = problem.Blocks(4, 6.0), [], {"chords": [(0, 0)], "rnn": [(0, 0)]}
    form = problem.chorus(8)

    def watch(update, total, kind, loss, form_steps=None, weights=None):
        if kind != "melody":
            curves[kind].append((update, form_steps))
        if kind == "chords":
            points.append(net.play(weights, form[0], SHOWN)[0])

    result = problem.run(problem.Config(seed=seed, choruses=2), watch)
    return curves, points, result.played


def chord_names(chords):
    """Names of chords (steps, 12); None for what is no chord of the form."""
    known = {tuple(units): name for name, units in problem.CHORDS.items()}
    return [known.get(tuple(np.flatnonzero(step))) for step in chords]


def draw_chords(axis, played, wanted, notes, shown):
    """The form above, what the net plays below it, wrong steps red; notes, as far as shown."""
    for row, names in enumerate((wanted, chord_names(played))):
        for t, name in enumerate(names):
            good = name == wanted[t]
            colour = COLOURS[name] if good else RED
            axis.add_patch(plt.Rectangle((t, -2.2 * row), 1, 1.8, color=colour, linewidth=0))
    for k in range(0, len(wanted), 8):
        if k == 0 or wanted[k] != wanted[k - 8] or k == 96:
            axis.text(k + 1, 0.9, wanted[k], fontsize=8, va="center")
    axis.hlines(
        3 + notes[:shown] / 2, np.arange(shown), np.arange(shown) + 1, color=BLACK, linewidth=2.5
    )
    axis.axvline(96, color=BLACK, linewidth=0.8)
    axis.set(xlim=(0, SHOWN), ylim=(-2.6, 9.6), xlabel="steps: two choruses, fed its own choices")
    axis.set_yticks((-1.3, 0.9, 6), ("played", "the form", "melody"))


def draw_curves(axis, curves, now):
    """Steps in form against updates, of the LSTM and of the tanh net."""
    for kind, name, colour in (("chords", "LSTM", BLUE), ("rnn", "tanh net", ORANGE)):
        points = np.array([point for point in curves[kind] if point[0] <= now])
        axis.plot(points[:, 0], points[:, 1], color=colour, label=name)
        axis.plot(*points[-1], "o", color=colour, markersize=4)
    axis.axhline(96, color=GREY, linewidth=0.8, linestyle=":")
    axis.text(
        curves["chords"][-1][0], 96, "one chorus ", color=GREY, fontsize=8, ha="right", va="bottom"
    )
    axis.set(xlim=(0, 1.03 * curves["chords"][-1][0]), ylim=(0, 800), xlabel="updates")
    axis.set_title("steps before the first wrong chord (of 768)")
    axis.legend(loc="upper left", fontsize=8)


def main():
    options = figure_options(__doc__, "blues_improvisation.gif")
    curves, points, notes = record_training(options.seed)
    wanted = chord_names(np.resize(np.roll(problem.chorus(8), -1, 0), (SHOWN, 12)))
    notes = np.append(notes[1:], notes[-1])  # step t of the chords is what sounds at t + 1
    right = [
        float(np.mean([a == b for a, b in zip(chord_names(p), wanted, strict=True)]))
        for p in points
    ]
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(6.4, 4.4), height_ratios=(1.2, 1))
    frames = [(k, 0) for k in spaced(np.array(right), FRAMES)]
    frames += [(len(points) - 1, SHOWN * (k + 1) // MELODY_FRAMES) for k in range(MELODY_FRAMES)]

    def draw(frame):
        point, shown = frame
        for axis in (top, bottom):
            axis.clear()
        draw_chords(top, points[point], wanted, notes, shown)
        update = curves["chords"][point + 1][0]
        top.set_title(f"{update:,} updates" + (", then the melody half" if shown else ""))
        draw_curves(bottom, curves, update)

    write_gif(options.out, figure, draw, frames, seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
