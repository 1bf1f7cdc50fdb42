"""Animate a small router that learns to pass values along a chain of tables."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import neural_data_router as problem

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

SMALL = {"values": 4, "tables": 4, "alone": 0, "depth": 4, "updates": 2000, "check": 40}
CHAIN, LAYERS, FRAMES, MOVED = 6, 14, 45, 0.3
DEPTHS = range(1, 10)


def record_training(config):
    """Snapshots at every check: update, accuracy by depth, what happens to one input; the input."""
    snapshots, shown = [], {}
    rng = np.random.default_rng([config.seed, 1])

    def watch(step, total, net, task, deeper, **_):
        if not shown:
            shown["tests"] = [task.make_test(rng, 100, depth) for depth in DEPTHS]
            tokens, answers = task.make_batch(rng, 1, CHAIN)
            shown["tokens"], shown["right"] = tokens[0], int(answers[0])
            shown["tables"] = task.tables
        right = [problem.accuracy(net, *test, LAYERS) for test in shown["tests"]]
        snapshots.append((step, right, *trace(net, shown["tokens"]), deeper))

    problem.run(config, watch)
    return snapshots, shown


def trace(net, tokens):
    """How far each column moves in each layer, as a share of its length (layers, columns); the
    attention (layers, columns, columns); the answer."""
    logits, (_, kept) = problem.forward(net, tokens[None], LAYERS)
    moves = [
        np.linalg.norm(gate * change, axis=1) / np.linalg.norm(h, axis=1)
        for h, _, _, (_, _, gate, change) in kept
    ]
    return np.stack(moves), np.stack([a[2][0] for _, _, a, _ in kept]), int(logits.argmax())


def names(tokens, config):
    """The tokens as a reader sees them: values as digits, tables as letters."""
    tables = [chr(ord("a") + t) for t in range(config.tables)]
    return [[*map(str, range(config.values)), *tables, "start", "end"][t] for t in tokens]


def values_on_the_way(tokens, tables, config):
    """The value after each table (forward order), as text over the columns."""
    value, texts = tokens[1], ["", str(tokens[1])]
    for token in tokens[2:-1]:
        value = tables[token - config.values, value]
        texts.append(str(value))
    return [*texts, str(value)]


def draw_layers(axis, moves, attention, labels, values, answer, right):
    """Moves by layer and column; a line from each column's largest move to where it looks then.

    Layer 1, in which all columns turn their embedding into something else, has no lines.
    """
    layers, columns = moves.shape
    box = (-0.5, columns - 0.5, 0.5, layers + 0.5)
    axis.imshow(moves, origin="lower", aspect="auto", vmin=0, vmax=0.7, extent=box)
    for i in range(columns):
        layer = 1 + int(moves[1:, i].argmax())
        if moves[layer, i] > MOVED:
            j = int(attention[layer, i].argmax())
            axis.plot([j, i], [layer, layer + 1], color=ORANGE, linewidth=1.8)
            axis.plot(i, layer + 1, "o", color=ORANGE, markersize=4)
    axis.set_xticks(range(columns), labels)
    axis.set(yticks=(1, 5, 10, 14), ylabel="layer (the same weights in each)", ylim=(0, 14.5))
    axis.set_xlabel(f"input; answers {answer}, " + ("right" if answer == right else "wrong"))
    for i, text in enumerate(values):
        axis.text(i, layers + 0.7, text, ha="center", va="bottom", fontsize=9, color=BLUE)
    title = "light: a column changes; line: whom it looks at\nvalue after each table:"
    axis.set_title(title, fontsize=9, pad=16)


def draw_bars(axis, right, config):
    """Accuracy at every depth, trained and not."""
    colours = [BLUE if depth <= config.depth else ORANGE for depth in DEPTHS]
    axis.bar(DEPTHS, right, color=colours)
    axis.axhline(1 / config.values, color=BLACK, linewidth=0.8, linestyle=":")
    axis.set(ylim=(0, 1.05), xticks=DEPTHS, xlabel="depth (tables in a row)")
    axis.set_title("right: trained (blue), longer (orange)", fontsize=9)


def draw_curve(axis, snapshots, frame, config):
    """Accuracy at the three depths beyond training, so far."""
    steps, deeper = [s[0] for s in snapshots], [s[5] for s in snapshots]
    axis.plot(steps[: frame + 1], deeper[: frame + 1], color=ORANGE)
    axis.plot(steps[frame], deeper[frame], "o", color=ORANGE, markersize=4)
    axis.axhline(1 / config.values, color=BLACK, linewidth=0.8, linestyle=":")
    axis.text(steps[-1], 1 / config.values + 0.03, "guessing", ha="right", fontsize=8)
    axis.set(xlim=(0, steps[-1] * 1.02), ylim=(0, 1.05), xlabel="updates")
    axis.set_title("right at depths 5 to 7", fontsize=9)


def main():
    options = figure_options(__doc__, "neural_data_router.gif")
    config = problem.Config(seed=options.seed, **SMALL)
    snapshots, shown = record_training(config)
    labels = names(shown["tokens"], config)
    values = values_on_the_way(shown["tokens"], shown["tables"], config)
    figure = plt.figure(figsize=(6.4, 4.2))
    left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))
    layers, (bars, curve) = left.subplots(), right.subplots(2, 1)

    def draw(frame):
        for axis in (layers, bars, curve):
            axis.clear()
        _, accuracies, moves, attention, answer, _ = snapshots[frame]
        draw_layers(layers, moves, attention, labels, values, answer, shown["right"])
        draw_bars(bars, accuracies, config)
        draw_curve(curve, snapshots, frame, config)

    learnt = [float(np.mean(s[1])) for s in snapshots]
    write_gif(options.out, figure, draw, spaced(learnt, FRAMES), seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
