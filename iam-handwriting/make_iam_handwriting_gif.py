"""Animate a pen that writes a word, and a net that learns to read it."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import iam_handwriting as problem
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

WORD, WRITER, UPDATES, WRITING, SHOTS = "kitchen", 3, 800, 10, 34
COLOURS = [BLUE, ORANGE, GREEN, RED, PINK, SKY, BLACK]


def record_learning(seed):
    """The track of a word that training never shows, and snapshots (update, error, outputs)."""
    online = problem.Online(problem.Config(seed=seed), np.random.default_rng(seed))
    word = np.array([ord(letter) - 97 for letter in WORD])
    online.known = np.array([k for k in online.known if list(online.words[k]) != list(word)])
    rng = np.random.default_rng(seed)
    *track, lengths = problem.write(rng, online.pens["test"], [WRITER], [word])
    x, shots = problem.pen_features(*track, lengths), []
    valid = online.single_words(rng, "valid", 40)[1]

    def look(update, loss, w):
        shots.append(
            (update, problem.read_by(w, valid)[1], problem.forward(w, x, lengths)[0][:, 0])
        )

    problem.LOOKS = 80
    config = problem.Config(seed=seed, updates=UPDATES)
    w = problem.make_net(rng, problem.FEATURES, problem.LETTERS + 2, config.cells)
    problem.train(config, w, lambda done: online.training(rng, done), look)
    return track, shots


def draw_ink(axis, track, upto, spikes):
    """The track up to a point; spikes [(point, letter)] are named where the pen then is."""
    x, y, up = (part[:, 0] for part in track)
    for k in range(1, upto):
        if not up[k]:
            axis.plot(x[k - 1 : k + 1], -y[k - 1 : k + 1], color=BLACK, linewidth=1.8)
    axis.plot(x[:upto], -y[:upto], ".", color=BLACK, markersize=3.5)
    if upto < len(x):
        axis.plot(x[upto - 1], -y[upto - 1], "o", color=ORANGE, markersize=7)
    for t, letter in spikes:
        axis.plot(x[t], -y[t], "o", color=COLOURS[letter % len(COLOURS)], markersize=6)
    axis.set(xticks=[], yticks=[], xlim=(x.min() - 4, x.max() + 4), aspect="equal")
    axis.set_ylim(-y.max() - 3, -y.min() + 3)
    axis.set_title(f"the pen writes \u201c{WORD}\u201d, which training never shows")


def spikes_of(y):
    """(point, class) wherever the likeliest class changes to one that is not the blank."""
    best = y.argmax(1)
    new = np.flatnonzero((best < problem.SPACE) & (np.diff(best, prepend=-1) != 0))
    return [(int(t), int(best[t])) for t in new]


def draw_outputs(axis, y, spikes):
    """Outputs over the points of the track; letters in colours, named at their spikes."""
    axis.fill_between(np.arange(len(y)), y[:, -1], color=GREY, alpha=0.35, linewidth=0)
    for letter in range(problem.LETTERS):
        if y[:, letter].max() > 0.1:
            axis.plot(y[:, letter], color=COLOURS[letter % len(COLOURS)], linewidth=1.4)
    for t, letter in spikes:
        axis.text(t, 1.04, chr(97 + letter), ha="center", fontsize=9)
    read = "".join(chr(97 + letter) for _, letter in spikes) or "nothing"
    axis.set_title(f"the net reads: {read}", pad=16)


def main():
    options = figure_options(__doc__, "iam_handwriting.gif")
    track, shots = record_learning(options.seed)
    updates, errors = np.array([shot[:2] for shot in shots]).T
    points = len(track[0])
    chosen = spaced(errors, SHOTS)
    figure, (ink, outputs, curve) = plt.subplots(
        3, 1, figsize=(6.4, 4.8), height_ratios=(1.4, 1, 1)
    )

    def draw(frame):
        for axis in (ink, outputs, curve):
            axis.clear()
        writing = frame < WRITING
        k = chosen[max(0, frame - WRITING)]
        spikes = [] if writing else spikes_of(shots[k][2])
        draw_ink(ink, track, round(points * (frame + 1) / WRITING) if writing else points, spikes)
        outputs.set_title("the net has not begun to learn", pad=16)
        if not writing:
            draw_outputs(outputs, shots[k][2], spikes)
            curve.plot(updates[: k + 1], errors[: k + 1], color=BLUE)
            curve.plot(updates[k], errors[k], "o", color=BLUE, markersize=5)
        outputs.set(ylim=(0, 1.15), xlim=(0, points - 1), yticks=(0, 1), ylabel="output")
        outputs.set_xlabel("point of the track; grey: blank")
        curve.set(xlim=(0, UPDATES), ylim=(0, 105), xlabel="updates")
        curve.set_ylabel("wrong (%)")

    write_gif(options.out, figure, draw, range(WRITING + len(chosen)), seconds=0.25)


if __name__ == "__main__":
    figure_main(main)
