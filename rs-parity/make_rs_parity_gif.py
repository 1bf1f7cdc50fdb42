"""Animate the guessing of rs-parity: random nets and their tables, until one of them is XOR."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import rs_parity as problem
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

NET = problem.CONDITIONS["a2_noself"][0]
SIDE = 7  # the newest guesses stand in a square of so many tables a side
WIDTH, ROWS = 50, 12  # the string is wrapped into rows
GUESSES = 28  # frames that show a guess; the rest show the accepted net at work


def tables(weights):
    """Output after one symbol: (2, 2, nets), last output 0 or 1 by symbol -1 or +1."""
    last = np.array([0, 0, 1, 1], np.float32)[:, None]
    x = np.array([-1, 1, -1, 1], np.float32)[:, None]
    halves = problem.parts(NET, 0.5 * weights[:, None])
    return problem.step(NET, halves, x, 0, last)[1].reshape(2, 2, -1)


def guesses(seed):
    """Weights of all guesses up to the first accepted one: (size, guesses)."""
    rng = np.random.default_rng(seed)
    weights = problem.draw(rng, NET, problem.BLOCK, 100.0)
    accepted, _ = problem.accept(NET, weights, problem.make_set(rng, 100, 500, 600))
    return weights[:, : accepted[0] + 1]


def follows(weights, string):
    """At which steps each net's output is the parity so far: (time, nets)."""
    parity = np.cumsum(string > 0) % 2
    _, o = problem.forward(NET, weights, string[:, None])
    return np.abs(o[1:] - parity[:, None]) < problem.TOLERANCE


def main():
    options = figure_options(__doc__, "rs_parity.gif")
    near = (guesses(options.seed + i) for i in range(5))
    weights = min(near, key=lambda w: abs(w.shape[1] - 250))
    count = weights.shape[1]
    rng = np.random.default_rng(options.seed)
    string = rng.choice(np.array([-1, 1], np.float32), WIDTH * ROWS)
    good = follows(weights, string)
    until = np.where(good.all(0), len(string), np.argmin(good, 0))
    best = np.maximum.accumulate(until)
    tiles = tables(weights)
    chosen = np.unique(np.geomspace(1, count, GUESSES + 6).astype(int) - 1)[-GUESSES:]
    chosen = np.union1d(chosen, [0])
    frames = [(guess, 60) for guess in chosen]
    frames += [(count - 1, shown) for shown in np.geomspace(90, len(string), 12).astype(int)]
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(6.4, 3.1), width_ratios=[1.15, 1.3, 1]
    )

    def draw(frame):
        guess, shown = frame
        xor = guess == count - 1
        left.clear()
        wall = np.full((3 * SIDE, 3 * SIDE), np.nan)
        newest = np.arange(guess + 1)[-(SIDE * SIDE) :]
        for place, which in enumerate(newest):
            row, column = 3 * (place // SIDE), 3 * (place % SIDE)
            wall[row : row + 2, column : column + 2] = tiles[:, :, which]
        left.imshow(wall, vmin=0, vmax=1)
        left.add_patch(
            plt.Rectangle((column - 0.8, row - 0.8), 2.6, 2.6, fill=False, color=RED, linewidth=2)
        )
        left.spines[:].set_visible(False)
        left.set(xticks=[], yticks=[], xlim=(-1, 3 * SIDE - 1), ylim=(3 * SIDE - 1, -1))
        left.set_title(f"guess {guess + 1}: {'XOR!' if xor else 'its table'}", fontsize=9)
        left.set_xlabel("columns: symbol -1, +1\nrows: last output 0, 1\nyellow: next output 1")
        middle.clear()
        quilt = np.full((ROWS * WIDTH, 3), 1.0)
        colours = [[0.84, 0.37, 0.0], [0.0, 0.62, 0.45]]
        quilt[:shown] = np.array(colours)[good[:shown, guess].astype(int)]
        middle.imshow(quilt.reshape(ROWS, WIDTH, 3), aspect="auto", interpolation="nearest")
        ends = np.arange(ROWS) * WIDTH
        middle.set(
            yticks=np.arange(ROWS)[::2], yticklabels=ends[::2] + 1, xticks=[], ylabel="symbol"
        )
        middle.set_title("output along a string", fontsize=9)
        middle.set_xlabel(f"green: the parity so far\norange: wrong\n{shown} symbols read")
        right.clear()
        right.step(np.arange(1, guess + 2), best[: guess + 1], where="post", color=BLUE)
        right.plot(guess + 1, until[guess], "o", color=RED, markersize=4)
        right.set(xlim=(0, count * 1.1), ylim=(-0.3, 900), yscale="symlog", xlabel="guesses")
        right.set_yticks([0, 1, 10, 100, 600], [0, 1, 10, 100, 600])
        right.set_title("right symbols\nbefore the first error", fontsize=9)

    write_gif(options.out, figure, draw, frames, seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
