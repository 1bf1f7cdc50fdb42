"""Animate guessing: random nets read a string and its near miss, until one tells them apart."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import rs_tomita as problem

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

FRAMES, LENGTH, LANGUAGE = 40, 60, 4
COUNT, SCORED = 3000, 20  # nets that are scored, on so many strings


def shown_pair(seed):
    """A member of 60 symbols and a near miss changed about a third of the way: x (60, 2), place."""
    rng, config = np.random.default_rng(seed + 1), problem.Config()
    while True:
        x, _, _ = problem.make_set(rng, LANGUAGE, 4, LENGTH, LENGTH, config)
        bits = ((x[:, :1] + 1) / 2).astype(int)
        place = 20
        changed = bits.copy()
        changed[place] ^= 1
        if not problem.run_dfa(LANGUAGE, changed, np.array([LENGTH]))[0]:
            return 2.0 * np.concatenate([bits, changed], 1) - 1, place


def stream_of_nets(seed):
    """Numbers, weights and scores (of SCORED) of nets to show: ever better ones, then the one."""
    n = problem.PARTS["main"][LANGUAGE][0]
    result = problem.run(problem.Config(seed=seed))
    found = result.found[LANGUAGE]
    rng, config = np.random.default_rng(seed + 2), problem.Config()
    training = problem.make_set(rng, LANGUAGE, SCORED, 100, 120, config)
    weights = problem.draw(rng, n, COUNT, 100.0)
    right = problem.right(problem.end_outputs(n, weights, *training[:2]), training[2]).sum(0)
    right = np.where(right == SCORED, SCORED - 1, right)  # by luck on these few short ones
    steps = np.unique(np.geomspace(1, COUNT, FRAMES - 1).astype(int)) - 1
    best = [int(right[: k + 1].argmax()) if k % 3 == 0 else int(k) for k in steps]
    shown = [(k + 1, weights[:, b], int(right[b])) for k, b in zip(steps, best, strict=True)]
    return n, [*shown, (int(found.trials[0]), found.weights[:, 0], SCORED)]


def draw_reading(axes, n, weights, x, place):
    """Symbols and the net's output, symbol by symbol, for the member and for the near miss."""
    halves = problem.parts(n, 0.5 * weights[:, None].astype(float))
    h, o, outputs = np.zeros((n, 2)), np.zeros(2), []
    for now in x:
        h, o = problem.step(halves, now, h, o)
        outputs.append(o)
    outputs = np.array(outputs)
    names = ("in the language: no 000", "one symbol changed: 000")
    for k, axis in enumerate(axes):
        target = k
        right = abs(outputs[-1, k] - target) < problem.TOLERANCE
        for t, symbol in enumerate(x[:, k]):
            colour = RED if k and place - 2 <= t <= place + 2 and symbol < 0 else BLACK
            axis.text(t, 1.22, "1" if symbol > 0 else "0", fontsize=6, ha="center", color=colour)
        axis.plot(outputs[:, k], color=BLUE if k == 0 else RED)
        axis.plot(LENGTH - 1, target, "s", color=BLACK, markersize=7, fillstyle="none")
        axis.set(xlim=(-1, LENGTH), ylim=(-0.08, 1.4), yticks=(0, 1), ylabel="output")
        verdict = "right" if right else "wrong"
        axis.set_title(f"{names[k]}; answer at the end: {verdict}", fontsize=9)
    axes[1].set_xlabel("symbol")


def draw_scores(axis, shown, frame):
    """Share of strings right, of the nets shown so far, against their number."""
    numbers, scores = np.array([(number, score) for number, _, score in shown[: frame + 1]]).T
    axis.plot(numbers, scores / SCORED, "o", color=GREY, markersize=4)
    axis.plot(numbers[-1], scores[-1] / SCORED, "o", color=BLUE, markersize=8)
    axis.axhline(1, color=GREY, linewidth=0.8, linestyle=":")
    axis.set(xscale="log", xlim=(0.7, 1.5 * shown[-1][0]), ylim=(-0.03, 1.08))
    axis.set(xlabel="trials", ylabel="strings right")
    axis.set_title(f"net number {numbers[-1]:,}")


def main():
    options = figure_options(__doc__, "rs_tomita.gif")
    x, place = shown_pair(options.seed)
    n, shown = stream_of_nets(options.seed)
    figure = plt.figure(figsize=(6.4, 3.6))
    left, right = figure.subfigures(1, 2, width_ratios=(2.2, 1))
    strings, scores = left.subplots(2, 1), right.subplots()

    def draw(frame):
        for axis in (*strings, scores):
            axis.clear()
        draw_reading(strings, n, shown[frame][1], x, place)
        draw_scores(scores, shown, frame)

    write_gif(options.out, figure, draw, range(len(shown)), seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
