"""Animate nets of 10 and 100 layers, highway and plain, that learn to read digits."""

import argparse
import json
import sys
from pathlib import Path

import highway_networks as problem
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

IMAGES, EPOCHS, SHOWN = 4000, 22, 6
COLOURS = {"highway": BLUE, "plain": ORANGE}


def record_training(seed):
    """By kind and depth and epoch: loss, answers to some digits, and what layers hold of one."""
    rngs = np.random.default_rng(seed).spawn(2)
    data, test = problem.load_images(rngs[0], IMAGES)
    x, labels = test[0][:, :SHOWN], test[1][:SHOWN]
    curves = {}
    for depth in (10, 100):
        for kind in problem.UNITS:
            net = problem.Net(kind, depth, problem.CHOSEN[kind, depth], rngs[1])
            rows = []

            def seen(epoch, loss, net=net, rows=rows):
                answers = net.forward(x).argmax(0)
                rows.append((loss, answers, np.stack([y[:, 0] for y in net.y], 1)))

            problem.train(net, data, rngs[1], EPOCHS, seen)
            curves[kind, depth] = rows
    pictures = problem.read_mnist()[2][:SHOWN]
    return curves, pictures, labels


def draw_digits(axis, pictures, labels, curves, frame):
    """Six test images and what both nets of 100 layers take them for."""
    axis.imshow(np.hstack(list(pictures)), cmap="Greys", extent=(0, 28 * SHOWN, 0, 28))
    axis.set(xlim=(-46, 28 * SHOWN), ylim=(-34, 29), xticks=[], yticks=[])
    axis.set_title("test digits, and what nets of 100 layers read")
    for row, kind in enumerate(COLOURS):
        axis.text(-44, -9 - 15 * row, kind, color=COLOURS[kind], va="center")
        answers = curves[kind, 100][frame][1]
        for k, answer in enumerate(answers):
            right = answer == labels[k]
            style = {"color": BLACK if right else RED, "weight": "bold" if right else "normal"}
            text = f"{answer}" if right else f"{answer} ✗"
            axis.text(28 * k + 14, -9 - 15 * row, text, ha="center", va="center", **style)
    for spine in axis.spines.values():
        spine.set_visible(False)


def draw_curves(axis, curves, frame):
    """Training loss so far."""
    for (kind, depth), rows in curves.items():
        losses = [row[0] for row in rows[: frame + 1]]
        style = {"color": COLOURS[kind], "linestyle": "-" if depth == 100 else ":"}
        axis.plot(np.arange(1, len(losses) + 1), losses, label=f"{kind}, {depth}", **style)
        axis.plot(len(losses), losses[-1], "o", color=COLOURS[kind], markersize=4)
    axis.set(yscale="log", xlim=(0.5, EPOCHS + 0.5), ylim=(5e-4, 90), xlabel="epochs")
    axis.set_title("training loss [nats]")
    axis.legend(fontsize=8, loc="upper right", ncols=2, title="kind, layers", title_fontsize=8)


def draw_layers(axes, curves, frame, digit):
    """What every unit of each of the 100 layers holds of the first digit."""
    for axis, (kind, colour) in zip(axes, COLOURS.items(), strict=True):
        held = curves[kind, 100][frame][2]
        most = np.quantile(np.abs(held), 0.99)
        axis.imshow(held, aspect="auto", cmap="PuOr", vmin=-most, vmax=most)
        axis.set(xticks=[], yticks=[], ylabel="unit")
        axis.set_title(f"{kind}: what its layers hold of the {digit}", color=colour, fontsize=9)
    axes[1].set(xlabel="layer", xticks=(0, 49, 99), xticklabels=(1, 50, 100))


def main():
    options = figure_options(__doc__, "highway_networks.gif")
    curves, pictures, labels = record_training(options.seed)
    figure = plt.figure(figsize=(6.4, 4.4))
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1.7))
    left, right = bottom.subfigures(1, 2)
    digits, losses, layers = top.subplots(), left.subplots(), right.subplots(2, 1)

    def draw(frame):
        for axis in (digits, losses, *layers):
            axis.clear()
        draw_digits(digits, pictures, labels, curves, frame)
        draw_curves(losses, curves, frame)
        draw_layers(layers, curves, frame, labels[0])

    write_gif(options.out, figure, draw, range(EPOCHS), seconds=0.35)


if __name__ == "__main__":
    figure_main(main)
