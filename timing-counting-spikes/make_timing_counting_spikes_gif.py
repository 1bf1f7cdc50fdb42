"""Animate how one cell with peepholes learns to fire every ten steps."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import timing_counting_spikes as problem

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

FRAMES, NETS, STEPS, MOST, EVERY = 44, 8, 62, 300_000, 1000


def record_training(seed):
    """Snapshots (streams, best, P (18,)) of the first of some nets whose stream is full.

    best: how many spikes in a row its best stream so far had.
    """
    row = problem.replace(problem.GTS10, nets=NETS)
    stack = problem.Stack((row,), np.random.default_rng(seed), False)
    snapshots, full = [], np.zeros(NETS, bool)
    for number in range(1, MOST + 1):
        if number % EVERY == 1:
            snapshots.append((stack.streams.copy(), stack.best.copy(), stack.P.copy()))
        full, _ = stack.advance(number)
        if full.any():
            break
    net = int(full.argmax())
    stack.best[full] = problem.TRAINED
    snapshots.append((stack.streams, stack.best, stack.P))
    return [(int(n[net]), float(best[net]), P[:, net]) for n, best, P in snapshots]


def free_run(P):
    """State, output gate and output of the net, (STEPS,) each, without any input or stop."""
    y, s, rows = np.zeros(1), np.zeros(1), []
    for _ in range(STEPS):
        *_, o, s, y, net = problem.step(P[:, None], 0.0, y, s, np.array([True]))
        rows.append((s[0], o[0], problem.logistic(net)[0]))
    return np.array(rows).T


def draw_net(axes, P, limits):
    """Output against the spikes that are due, the state, and the output gate."""
    s, o, out = free_run(P)
    t = np.arange(1, STEPS + 1)
    due = t % 10 == 0
    wrong = np.flatnonzero(np.abs(out - due) >= 0.49)
    first = int(wrong[0]) + 1 if len(wrong) else STEPS
    axes[0].vlines(t[due], 0, 1, color=YELLOW, linewidth=6)
    axes[0].plot(t, out, color=BLACK)
    axes[0].set(ylim=(-0.03, 1.1), yticks=(0, 1), ylabel="output")
    axes[0].set_title("no input; a spike is due every 10 steps (yellow)")
    axes[1].plot(t, s, color=BLUE)
    axes[1].set(ylim=limits, ylabel="state s")
    axes[2].plot(t, o, color=RED)
    axes[2].set(ylim=(-0.03, 1.05), yticks=(0, 1), ylabel="output gate", xlabel="step")
    for axis in axes:
        axis.set_xlim(0, STEPS + 1)
        if len(wrong):
            axis.axvspan(first, STEPS + 1, color=GREY, alpha=0.25, linewidth=0)
    if len(wrong):
        axes[1].text(first + 1, limits[1], "after the first wrong step", fontsize=8, va="top")


def draw_curve(axis, snapshots, frame):
    """Spikes in a row of the best stream so far."""
    streams, best = np.array([shot[:2] for shot in snapshots]).T
    best = np.maximum(np.floor(best), 0)
    axis.plot(streams[: frame + 1] / 1000, best[: frame + 1], color=BLACK)
    axis.plot(streams[frame] / 1000, best[frame], "o", color=BLACK, markersize=5)
    axis.set(xlim=(0, 1.05 * streams[-1] / 1000), ylim=(-0.3, 110))
    axis.set_yscale("symlog", linthresh=1)
    axis.set_yticks([0, 1, 10, 100], ["0", "1", "10", "100"])
    axis.minorticks_off()
    axis.set(xlabel="streams, thousands")
    axis.set_title(f"spikes on time\nin the best stream: {int(best[frame])}", fontsize=9)


def main():
    options = figure_options(__doc__, "timing_counting_spikes.gif")
    snapshots = record_training(options.seed)
    final = free_run(snapshots[-1][2])[0]
    margin = 0.15 * np.ptp(final)
    limits = min(final.min(), 0) - margin, max(final.max(), 0) + 3 * margin
    figure = plt.figure(figsize=(6.4, 4.0))
    left, right = figure.subfigures(1, 2, width_ratios=(2.2, 1))
    axes = left.subplots(3, 1, height_ratios=(1, 1.4, 0.8), sharex=True)
    curve = right.subplots()

    def draw(frame):
        for axis in (*axes, curve):
            axis.clear()
        draw_net(axes, snapshots[frame][2], limits)
        draw_curve(curve, snapshots, frame)

    best = np.log1p([best for _, best, _ in snapshots])
    write_gif(options.out, figure, draw, spaced(best, FRAMES), seconds=0.25)


if __name__ == "__main__":
    figure_main(main)
