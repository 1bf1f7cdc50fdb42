"""Animate a net that learns where its car is: a parking lot, fast weights, slow weights."""

import argparse
import json
import sys
from pathlib import Path

import fast_weights_key_value as problem
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

FRAMES, SHOWN = 48, 12
COLOURS = (BLUE, ORANGE, GREEN)


def record_training(seed):
    """Of one net: x, asked, slots, and w before and S at every step, to its clean window."""
    config = problem.Config(replicas=10, steps=8000)
    rng = np.random.default_rng(seed)
    nets = problem.CarNets(rng, config)
    x, asked, slots = problem.car_stream(rng, config.replicas, config.steps)
    fast, slow, clean = [], [], np.zeros(config.replicas, int)
    for t in range(config.steps):
        fast.append(nets.w.copy())
        off = nets.learn(asked[t], np.eye(3)[slots[t]])
        slow.append(nets.S.copy())
        good = np.abs(off).max(1) <= problem.NEAR
        clean = np.where(asked[t], np.where(good, clean + 1, 0), clean)
        nets.write(x[t])
        if (clean >= problem.WINDOW).any():
            break
    net = int(clean.argmax())
    n = len(fast)
    parts = (x[:n], asked[:n], slots[:n], np.array(fast), np.array(slow))
    return [part[:, net] for part in parts]


def draw_lot(axis, x, asked, slots, fast, at):
    """The parking lot: the car, and F's answer as the brightness of each slot."""
    parked_at = np.flatnonzero(x[: at + 1, :3].any(1))
    for k in range(3):
        strength = 0.1 + 0.8 * fast[at, k]
        axis.add_patch(plt.Rectangle((k, 0), 0.9, 1, color=COLOURS[k], alpha=strength))
        axis.text(k + 0.45, -0.22, f"slot {k + 1}: {fast[at, k]:.2f}", ha="center", fontsize=9)
    parks, here = x[at, :3].any(), len(parked_at) and bool(asked[at])
    if parks or here:
        slot = int(x[at, :3].argmax()) if parks else int(slots[at])
        axis.add_patch(plt.Rectangle((slot + 0.2, 0.25), 0.5, 0.5, color=BLACK))
        text = "parks" if parks else "where is my car?"
        axis.text(1.45, 1.28, text, ha="center", fontsize=11, fontweight="bold")
    else:
        axis.text(1.45, 1.28, "...", ha="center", fontsize=11, color="#777777")
    if here:
        right = np.abs(fast[at] - np.eye(3)[slots[at]]).max() <= problem.NEAR
        word, colour = ("right", GREEN) if right else ("wrong", RED)
        axis.text(2.95, 1.28, word, color=colour, ha="right")
    axis.set(xlim=(-0.05, 2.95), ylim=(-0.4, 1.5), xticks=[], yticks=[])
    axis.set_title("colour: what the three fast weights answer")
    for spine in axis.spines.values():
        spine.set_visible(False)


def draw_slow(axis, slow, at):
    """The eighteen slow weights: what an input adds to each fast weight."""
    axis.imshow(slow[at], vmin=-1.5, vmax=1.5, cmap="PuOr")
    for k, j in np.ndindex(3, 6):
        axis.text(j, k, f"{slow[at, k, j]:+.1f}", ha="center", va="center", fontsize=7)
    axis.set_xticks(range(6), ["at 1", "at 2", "at 3", "noise", "noise", "noise"], fontsize=7)
    axis.set_yticks(range(3), [f"to {k + 1}" for k in range(3)], fontsize=8)
    axis.set_title("slow weights: what is added", fontsize=9)


def draw_curve(axis, asked, slots, fast, at):
    """Share of right answers among the latest 100."""
    right = np.abs(fast - np.eye(3)[slots]).max(1) <= problem.NEAR
    when = np.flatnonzero(asked)
    share = np.convolve(right[when], np.ones(100) / 100)[: len(when)]
    until = np.searchsorted(when, at)
    axis.plot(when[:until], share[:until], color=BLACK)
    if until:
        axis.plot(when[until - 1], share[until - 1], "o", color=BLACK, markersize=5)
    axis.set(xlim=(0, len(asked)), ylim=(-0.03, 1.05), xlabel="step")
    axis.set_title("right of the latest 100 answers", fontsize=9)


def main():
    options = figure_options(__doc__, "fast_weights_key_value.gif")
    x, asked, slots, fast, slow = record_training(options.seed)
    figure = plt.figure(figsize=(6.4, 4.0))
    left, right = figure.subfigures(1, 2, width_ratios=(1.3, 1))
    lot = left.subplots()
    matrix, curve = right.subplots(2, 1)
    events = np.flatnonzero(asked | x[:, :3].any(1))
    starts = np.linspace(0, len(events) - SHOWN, FRAMES // SHOWN).astype(int)
    frames = np.concatenate([events[k : k + SHOWN] for k in starts])

    def draw(at):
        for axis in (lot, matrix, curve):
            axis.clear()
        draw_lot(lot, x, asked, slots, fast, at)
        draw_slow(matrix, slow, at)
        draw_curve(curve, asked, slots, fast, at)

    write_gif(options.out, figure, draw, frames, seconds=0.5)


if __name__ == "__main__":
    figure_main(main)
