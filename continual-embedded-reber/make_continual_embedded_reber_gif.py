"""Animate two nets on one stream: states that grow and states that are reset, and mistakes."""

import argparse
import json
import sys
from pathlib import Path

import continual_embedded_reber as problem
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

FRAMES, WINDOW, SHOWN = 44, 36, 4000
KINDS = ("forget", "none")
COLOURS, NAMES = (BLUE, RED), ("with forget gates", "without (LSTM of 1997)")


def two_nets(seed):
    """A net of each kind that has learnt from the same strings: the better of two of each."""
    config = problem.Config(seed=seed, strings=30_000, symbols=5000)
    result = problem.run(config)
    chosen = []
    for kind in KINDS:
        first = list(problem.KINDS).index(kind) * config.nets
        chosen.append(first + int(result.lengths[first : first + config.nets].mean(1).argmax()))
    nets = problem.Nets(list(KINDS), np.random.default_rng(0))
    nets.weights = {name: w[chosen] for name, w in result.nets.items()}
    return nets


def draw_window(axes, part, symbols, where, wrong):
    """What the cells of both nets keep along the latest symbols; red: a mistake."""
    letters = [problem.SYMBOLS[s] for s in symbols[part]]
    for axis, net in zip(axes, (0, 1), strict=True):
        axis.imshow(where[net][part].T, vmin=-1, vmax=1, aspect="auto")
        axis.set_xticks(range(len(letters)), letters, fontsize=7)
        for step in np.flatnonzero(wrong[part, net]):
            axis.axvline(step, color=RED, linewidth=3)
        axis.set(yticks=[], ylabel="8 cells", title=f"{NAMES[net]}: what the cells keep, h(s)")
        axis.title.set_color(COLOURS[net])


def draw_sizes(axis, sizes, at):
    """Mean |s| of both nets up to now."""
    for net, colour in enumerate(COLOURS):
        axis.plot(np.arange(at), np.maximum(sizes[:at, net], 0.1), color=colour)
        axis.plot(at, max(sizes[at - 1, net], 0.1), "o", color=colour, markersize=5)
    axis.set(yscale="log", xlim=(0, SHOWN), ylim=(0.1, 1.5 * sizes.max()))
    axis.set(title="size of the states, mean |s|", xlabel="symbols read")


def draw_mistakes(axis, wrong, at):
    """Mistakes of both nets up to now."""
    count = np.cumsum(wrong, 0)
    for net, colour in enumerate(COLOURS):
        axis.plot(np.arange(at), count[:at, net], color=colour)
        axis.plot(at, count[at - 1, net], "o", color=colour, markersize=5)
    axis.set(xlim=(0, SHOWN), ylim=(-2, 1.05 * max(count[-1].max(), 10)))
    axis.set(title=f"mistakes: {count[at - 1, 0]} and {count[at - 1, 1]}", xlabel="symbols read")


def main():
    options = figure_options(__doc__, "continual_embedded_reber.gif")
    nets = two_nets(options.seed)
    symbols, states = problem.stream(np.random.default_rng(options.seed + 9), SHOWN)
    zero = np.zeros((2, problem.CELLS), np.float32)
    _, _, S, H, _, seen = nets.run(symbols, zero, zero)
    wrong = ~problem.right(nets.outputs(seen), states[:, None])
    sizes, kept = np.abs(S[1:]).mean(2), H.transpose(1, 0, 2)
    figure = plt.figure(figsize=(6.4, 4.0))
    left, right = figure.subfigures(1, 2, width_ratios=(1.7, 1))
    cells, curves = left.subplots(2, 1), right.subplots(2, 1)
    steps = np.unique(np.geomspace(WINDOW, SHOWN, FRAMES).astype(int))

    def draw(at):
        for axis in (*cells, *curves):
            axis.clear()
        draw_window(cells, slice(at - WINDOW, at), symbols, kept, wrong)
        draw_sizes(curves[0], sizes, at)
        draw_mistakes(curves[1], wrong, at)

    write_gif(options.out, figure, draw, steps, seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
