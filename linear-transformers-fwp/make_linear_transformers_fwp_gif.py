"""Animate linear Transformers as fast weight programmers: what a memory answers for a key that was
rewritten, while a sum net and a delta net learn."""

import argparse
import json
import sys
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


FRAMES = 36
EVERY, STEPS = 10, 600  # training steps between two snapshots, and most of them
COLOURS = {"sum": BLUE, "delta": ORANGE}


def lesson(rng, net):
    """Weights after every EVERY training steps, and the evaluation losses there."""
    shots = []

    def watch(step, total, weights, **state):
        shots.append({name: w.copy() for name, w in weights.items()})

    config = problem.Config(every=EVERY, steps=STEPS, patience=1000)
    losses, _ = problem.train(rng, net, config, watch)
    return shots, losses


def rewritten(rng, symbols):
    """A sequence of setting 2, a key that came twice in it, the time of its second coming, and its
    first value."""
    while True:
        (keys,), (values,) = problem.make_batch(rng, 2, symbols, symbols, 1)
        for key in range(symbols):
            times = np.flatnonzero(keys == key)
            if len(times) == 2 and times[1] - times[0] > 5 and values[times[0]] != values[times[1]]:
                return keys, values, key, times[1], values[times[0]]


def answers(weights, keys, values, key, rule):
    """Read-out for the key after a sequence, (S,)."""
    return problem.read_all(weights, keys[None], values[None], rule, "dpfp-1")[0, key]


def main():
    options = figure_options(__doc__, "linear_transformers_fwp.gif")
    task_rng, *rngs = np.random.default_rng(options.seed).spawn(3)
    keys, values, key, second, old = rewritten(task_rng, 40)
    new = values[second]
    story = {
        rule: lesson(rng, problem.UPDATING[f"{rule}_40"])
        for rng, rule in zip(rngs, COLOURS, strict=True)
    }
    figure = plt.figure(figsize=(6.4, 4.4))
    grid = figure.add_gridspec(2, 2, height_ratios=[1.15, 1])
    panels = {rule: figure.add_subplot(grid[0, i]) for i, rule in enumerate(COLOURS)}
    curve = figure.add_subplot(grid[1, :])

    def draw_memory(axis, rule, shot):
        weights = story[rule][0][min(shot, len(story[rule][0]) - 1)]
        axis.clear()
        before = answers(weights, keys[:second], values[:second], key, rule)
        after = answers(weights, keys, values, key, rule)
        axis.bar(np.arange(40), before, 1.0, color="#bbbbbb", label="before rewriting")
        axis.bar(np.arange(40), after, 0.5, color=COLOURS[rule], label="after it")
        axis.set(ylim=(-0.15, 1.3), xlim=(-1, 40), yticks=[0, 0.5, 1])
        axis.set_xticks([old, new], ["old\nvalue", "new\nvalue"])
        axis.set(title=f"{rule}: answer for one key")
        axis.legend(fontsize=8, loc="upper center", ncols=2, columnspacing=1, handlelength=1)
        axis.set_ylabel("read-out" if rule == "sum" else "")

    def draw(shot):
        for rule, axis in panels.items():
            draw_memory(axis, rule, shot)
        curve.clear()
        for rule, (_, losses) in story.items():
            steps = EVERY * np.arange(1, len(losses) + 1)
            steps, losses = steps[: shot + 1], losses[: shot + 1]
            curve.semilogy(steps, losses, color=COLOURS[rule], label=rule)
            curve.plot(steps[-1], losses[-1], "o", color=COLOURS[rule], markersize=4)
        curve.axhline(0.001, color="#555555", linewidth=0.8, linestyle="--")
        curve.text(STEPS, 0.0011, "goal", color="#555555", ha="right", va="bottom")
        curve.set(
            xlim=(0, STEPS), ylim=(5e-4, 1), xlabel=f"training step (now {EVERY * (shot + 1)})"
        )
        curve.set(ylabel="evaluation loss")
        curve.legend(loc="lower left")

    longest = max(len(losses) for _, losses in story.values())
    deltas = np.array(story["delta"][1])
    path = np.log(np.concatenate([deltas, np.full(longest - len(deltas), deltas[-1])]))
    write_gif(options.out, figure, draw, spaced(path, FRAMES), seconds=0.25)


if __name__ == "__main__":
    figure_main(main)
