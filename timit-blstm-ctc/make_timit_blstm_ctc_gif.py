"""Animate a net that learns to spell an utterance by CTC."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import timit_blstm_ctc as problem
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

FRAMES, UPDATES = 40, 1600
COLOURS = [BLUE, ORANGE, GREEN, RED, PINK, SKY, BLACK]


def record_training(seed, which):
    """Snapshots (update, label error, output at one test utterance, its string), and the test set.

    A smaller corpus than that of the record: 3,000 utterances, 1,600 updates.
    """
    config = problem.Config(seed=seed, task="ctc", utterances=3000, updates=UPDATES)
    rng = np.random.default_rng(seed)
    train, valid, test = problem.make_corpora(config, rng)
    glance, shots = valid.part(40), []

    def look(kind, update, w):
        error = problem.best_path_error(kind, w, glance)
        y, lengths = problem.string_posteriors(kind, w, test.part(which + 1))
        found = problem.best_path(y, lengths)[which]
        shots.append((update, error, y[: lengths[which], which], found))

    problem.LOOKS = 100
    problem.train(config, "blstm", train, UPDATES, rng, look, True, problem.INPUT_NOISE)
    return shots, test


def draw_sound(axis, x, labels):
    """The spectrum of the utterance that its cepstral coefficients describe, and its phones."""
    k, band = np.arange(1, 13)[:, None], np.arange(18) + 0.5
    shape = (x[:, :12] @ (np.cos(np.pi * k * band / 18) / np.sqrt(k))).T
    axis.imshow(shape, aspect="auto", origin="lower", extent=(0, len(x), 0, 18))
    cuts = np.flatnonzero(np.diff(labels)) + 1
    for a, b in zip(np.append(0, cuts), np.append(cuts, len(x)), strict=True):
        axis.axvline(a, color="white", linewidth=0.8)
        axis.text((a + b) / 2, 18.6, problem.PHONES[labels[a]], ha="center", fontsize=8)
    axis.set(xticks=[], yticks=[], ylabel="spectrum", xlim=(0, len(x)))
    axis.set_title("what is spoken; the net is never told where", pad=14)


def draw_outputs(axis, y, found, true, frames):
    """Every class over time: the blank grey, phones in colours, named at their spikes."""
    at = 2 * np.arange(len(y)) + 1
    axis.fill_between(at, y[:, -1], color=GREY, alpha=0.35, linewidth=0)
    best = y.argmax(1)
    for phone in range(problem.K):
        if y[:, phone].max() > 0.1:
            axis.plot(at, y[:, phone], color=COLOURS[phone % len(COLOURS)], linewidth=1.2)
    for t in np.flatnonzero((best != problem.K) & (np.diff(best, prepend=-1) != 0)):
        name = problem.PHONES[best[t]]
        axis.text(at[t], 1.04, name, ha="center", fontsize=7)
    text = " ".join(problem.PHONES[p] for p in found) or "nothing"
    axis.set(ylim=(0, 1.15), xlim=(0, frames), yticks=(0, 1), ylabel="output")
    axis.set_xlabel("frame (10 ms); grey: blank")
    edits = problem.edit_distance(found, true)
    axis.set_title(f"it writes: {text} ({edits} of {len(true)} wrong)", fontsize=8)


def main():
    options = figure_options(__doc__, "timit_blstm_ctc.gif")
    which = 4
    shots, test = record_training(options.seed, which)
    frames = slice(*test.bounds[which : which + 2])
    x, labels = test.x[frames], test.labels[frames]
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 4.8), height_ratios=(1, 1.2, 1))
    draw_sound(axes[0], x, labels)
    updates, errors = np.array([shot[:2] for shot in shots]).T

    def draw(frame):
        axes[1].clear()
        axes[2].clear()
        draw_outputs(axes[1], *shots[frame][2:], test.strings[which], len(x))
        axes[2].plot(updates[: frame + 1], errors[: frame + 1], color=BLUE)
        axes[2].plot(updates[frame], errors[frame], "o", color=BLUE, markersize=5)
        axes[2].set(xlim=(0, UPDATES), ylim=(0, 105), xlabel="updates")
        axes[2].set_ylabel("label error (%)")

    write_gif(options.out, figure, draw, spaced(errors, FRAMES), seconds=0.25)


if __name__ == "__main__":
    figure_main(main)
