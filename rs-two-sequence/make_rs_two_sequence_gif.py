"""Animate the guessing of rs-two-sequence: outputs of one random net after the other, until one
latches."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import rs_two_sequence as problem
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


SHOWN = 60  # steps of a sequence in the top panel


def guesses(seed, config):
    """Weights of all guesses until the first success (the net A1), each one's share of right
    sequences, and the training set."""
    condition = problem.CONDITIONS["a1"]
    rng = np.random.default_rng(seed)
    training = problem.make_set(rng, config, condition.noise)
    x, lengths, label = training
    weights, shares = [], []
    while not shares or max(map(max, shares)) < 1:
        weights.append(condition.draw(rng, 100))
        y = problem.end_outputs(condition, weights[-1], x, lengths, label)
        shares.append(condition.right(y, label).mean(1))
    weights, shares = np.concatenate(weights), np.concatenate(shares)
    last = int(np.argmax(shares == 1))
    return weights[: last + 1], shares[: last + 1], training


def chosen_guesses(shares):
    """Every guess that was better than all before it, some between, the first and the last."""
    best = np.maximum.accumulate(shares)
    better = np.flatnonzero(np.diff(best, prepend=0) > 0)
    between = np.geomspace(1, len(shares), 30).astype(int) - 1
    return np.unique(np.concatenate([better, between]))


def draw_task(axis, x, pair):
    """The first steps of a sequence of each class: their first values, then noise."""
    for s, colour, height in zip(pair, (BLUE, ORANGE), (0, -3), strict=True):
        axis.plot(x[:SHOWN, s] + height, color=colour, linewidth=0.8)
        axis.plot(0, x[0, s] + height, "o", color=colour, markersize=6)
        text = f"first value {x[0, s]:+.0f}, then noise to step 500 or later"
        axis.text(SHOWN, height + 1.05, text, ha="right", va="center", fontsize=8, color=colour)
    axis.set(xlim=(-2, SHOWN), ylim=(-4.5, 1.7), yticks=[], ylabel="input")
    axis.set_title(f"the task: which value came first? (steps 1 to {SHOWN})", fontsize=9)


def draw_outputs(axis, y, labels):
    """The output on every sequence, sorted by class."""
    axis.imshow(y, aspect="auto", vmin=0, vmax=1, interpolation="nearest")
    axis.axhline(labels.sum() - 0.5, color="white", linewidth=2)
    axis.set(xlim=(0, 600), xlabel="step")
    axis.set_yticks([9, 29], ["first\n+1", "first\n-1"])
    axis.set_title("what the guessed net answers\n(blue: 0, yellow: 1; 40 sequences)", fontsize=9)


def draw_shares(axis, shares, now):
    """Sequences that are right at their end, of every guess so far."""
    guesses = np.arange(1, now + 2)
    axis.plot(guesses, shares[: now + 1], ".", color=GREY, markersize=3)
    axis.step(guesses, np.maximum.accumulate(shares[: now + 1]), where="post", color=BLUE)
    axis.plot(now + 1, shares[now], "o", color=RED, markersize=5)
    axis.set(xscale="log", xlim=(0.9, len(shares) * 1.3), ylim=(-0.03, 1.05), xlabel="guesses")
    state = "accepted" if shares[now] == 1 else "rejected"
    colour = GREEN if state == "accepted" else BLACK
    title = f"guess {now + 1}: {state}\nright; red: this guess, line: best"
    axis.set_title(title, color=colour, fontsize=9)


def main():
    options = figure_options(__doc__, "rs_two_sequence.gif")
    config = problem.Config(seed=options.seed, sequences=40)
    runs = (guesses(options.seed + i, config) for i in range(3))
    weights, shares, (x, lengths, label) = min(runs, key=lambda run: abs(len(run[0]) - 500))
    figure = plt.figure(figsize=(6.4, 4.4))
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1.7))
    task, (traces, curve) = top.subplots(), bottom.subplots(1, 2, width_ratios=(1.3, 1))
    order = np.argsort(-label, kind="stable")
    inside = np.arange(config.longest)[:, None] < lengths
    draw_task(task, x, (order[0], order[-1]))

    def draw(now):
        y = np.array([o[0] for o in problem.recurrent(weights[now][None], x, label)])
        y[~inside] = np.nan
        traces.clear()
        curve.clear()
        draw_outputs(traces, y[:, order].T, label)
        draw_shares(curve, shares, now)

    write_gif(options.out, figure, draw, chosen_guesses(shares), seconds=0.5)


if __name__ == "__main__":
    figure_main(main)
