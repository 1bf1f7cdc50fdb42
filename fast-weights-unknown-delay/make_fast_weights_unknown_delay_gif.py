"""Animate one net that learns to write: events, answers, fast weights and slow ones."""

import argparse
import json
import sys
from pathlib import Path

import fast_weights_unknown_delay as problem
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

FRAMES, SHOWN = 48, 24
COLOURS = (GREY, RED, GREEN)


def record_training(seed):
    """Of a net that solves it: events, targets, answers (steps,), w (steps, 3), slow (., 3, 3)."""
    config = problem.Config(seed=seed, replicas=20, steps=600, bits=False)
    rng = np.random.default_rng(seed)
    learner = problem.Learner("one", rng, config)
    events, targets = problem.stream(rng, config.replicas, config.steps)
    answers, fast, slow = [], [], []
    for event, target in zip(events, targets, strict=True):
        answers.append(learner.step(event, target))
        fast.append(learner.w.copy())
        slow.append(learner.slow.reshape(-1, 3, 3).copy())
    clean = np.abs(np.array(answers) - targets) <= problem.NEAR
    wins = np.array([clean[t : t + problem.WINDOW].all(0) for t in range(len(clean) - 100)])
    first = np.where(wins.any(0), wins.argmax(0), 10_000)
    net = int(np.argsort(first)[len(first) // 4])
    last = int(first[net]) + problem.WINDOW
    parts = (events, targets, np.array(answers), np.array(fast), np.array(slow))
    return [part[:last, net] for part in parts]


def draw_stream(axis, events, targets, answers, at):
    """The latest events, targets and answers; red: off by more than 0.05."""
    low = max(0, at - SHOWN + 1)
    steps = np.arange(low, at + 1)
    off = np.abs(answers - targets)[steps] > problem.NEAR
    axis.bar(steps, targets[steps], color=YELLOW, width=0.8, label="target")
    axis.plot(steps[~off], answers[steps][~off], "o", color=BLACK, markersize=5, label="answer")
    axis.plot(steps[off], answers[steps][off], "o", color=RED, markersize=6, label="wrong answer")
    for step in steps:
        weight = "bold" if events[step] != problem.C else "normal"
        axis.text(step, -0.3, "ABC"[events[step]], ha="center", fontsize=9, fontweight=weight)
    axis.set(xlim=(low - 0.7, low + SHOWN), ylim=(-0.4, 1.45), xticks=[], yticks=(0, 1))
    axis.legend(fontsize=7, ncols=3, loc="upper left")
    axis.set_title("1 at the first B after an A, else 0")


def draw_fast(axis, fast, at):
    """The three fast weights: what F would answer to A, B and C next."""
    low = max(0, at - SHOWN + 1)
    for event, colour in enumerate(COLOURS):
        label = f"answer to {'ABC'[event]}"
        axis.plot(np.arange(low, at + 1), fast[low : at + 1, event], "-", color=colour, label=label)
    axis.set(xlim=(low - 0.7, low + SHOWN), ylim=(-0.05, 1.4), yticks=(0, 1), xlabel="step")
    axis.legend(fontsize=7, ncols=3, loc="upper left")
    axis.set_title("three fast weights", fontsize=9)


def draw_slow(axis, slow, at):
    """The nine slow weights: what an event adds to each fast weight."""
    axis.imshow(slow[at], vmin=-1.5, vmax=1.5, cmap="PuOr")
    for a, e in np.ndindex(3, 3):
        axis.text(e, a, f"{slow[at, a, e]:+.2f}", ha="center", va="center", fontsize=8)
    axis.set_xticks(range(3), [f"at {k}" for k in "ABC"])
    axis.set_yticks(range(3), [f"to {k}" for k in "ABC"])
    axis.set_title("slow weights:\nwhat is added", fontsize=9)


def draw_curve(axis, targets, answers, at):
    """Error of the answers so far."""
    off = np.abs(answers - targets)[: at + 1]
    axis.plot(np.arange(at + 1), off, ".", color=BLACK, markersize=3)
    axis.axhline(problem.NEAR, color=GREY, linewidth=0.8)
    axis.set(xlim=(0, len(targets)), ylim=(-0.03, 1.05), xlabel="step")
    axis.set_title(f"|target - answer|\nstep {at + 1}", fontsize=9)


def main():
    options = figure_options(__doc__, "fast_weights_unknown_delay.gif")
    events, targets, answers, fast, slow = record_training(options.seed)
    figure = plt.figure(figsize=(6.4, 3.8))
    left, right = figure.subfigures(1, 2, width_ratios=(2, 1))
    stream, weights = left.subplots(2, 1)
    matrix, curve = right.subplots(2, 1, height_ratios=(1.2, 1))
    frames = np.unique(np.linspace(5, len(targets) - 1, FRAMES).astype(int))

    def draw(at):
        for axis in (stream, weights, matrix, curve):
            axis.clear()
        draw_stream(stream, events, targets, answers, at)
        draw_fast(weights, fast, at)
        draw_slow(matrix, slow, at)
        draw_curve(curve, targets, answers, at)

    write_gif(options.out, figure, draw, frames, seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
