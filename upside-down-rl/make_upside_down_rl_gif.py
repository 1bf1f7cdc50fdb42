"""Animate four commands given to one net while it learns."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import upside_down_rl as problem
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

COMMANDS, HUES = np.array([-100.0, 0.0, 120.0, 270.0]), (RED, ORANGE, GREEN, BLUE)
DECISIONS, SHOWN, MOMENTS = 600_000, 7, 7  # snapshots of the net, frames of the flights of each
HULL = np.array([(-14, 17), (-17, 0), (-17, -10), (17, -10), (17, 0), (14, 17)]) / 30
LEGS = np.array([[(-14, -8), (-20, -18)], [(14, -8), (20, -18)]]) / 30


def flights(config, weights, command, seed):
    """Who still flies (steps, 4), places (steps, 3, 4), actions (steps, 4); returns, landings."""
    rng, trace = np.random.default_rng(seed + 777), []
    length = np.full((1, len(COMMANDS)), command[2, 1])
    act = problem.pilot(config, weights[1:], rng)
    outcome = problem.fly("lander", problem.DELAYED[1:], act, COMMANDS[None], length, rng, trace)
    flying, places, actions = (np.array(column) for column in zip(*trace, strict=True))
    return flying, places, actions, outcome[0][0], outcome[1][0]


def draw_craft(axis, place, colour, action):
    """A craft with its flame."""
    x, y, angle = place
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    axis.fill(*(1.4 * HULL @ turn + (x, y)).T, color=colour)
    for leg in LEGS:
        axis.plot(*(1.4 * leg @ turn + (x, y)).T, color=colour, linewidth=1.5)
    flames = {2: [(0, -0.4), (0, -1.6)], 1: [(0.6, 0.3), (1.4, 0.3)], 3: [(-0.6, 0.3), (-1.4, 0.3)]}
    if action in flames:
        line = 1.2 * np.array(flames[action]) @ turn + (x, y)
        axis.plot(*line.T, color=YELLOW, linewidth=4, solid_capstyle="round")


def draw_scene(axis, snapshot, share):
    """The four craft after this share of the longest flight, and their ways."""
    decisions, (flying, places, actions, returns, landed) = snapshot
    now = min(round(share * len(flying)), len(flying) - 1)
    axis.fill_between([0, 20], 0, problem.GROUND, color="#dddddd", linewidth=0)
    axis.plot([8, 12], [problem.GROUND] * 2, color=BLACK, linewidth=4)
    axis.text(10, 2.2, "pad", ha="center", fontsize=8)
    for k, colour in enumerate(HUES):
        last = min(now, flying[:, k].sum() - 1)
        x, y, _ = places[: last + 1, :, k].T
        axis.plot(x, y, color=colour, linewidth=0.8, alpha=0.7)
        action = actions[last, k] if last == now else 0
        draw_craft(axis, places[last, :, k], colour, action)
    axis.set(xlim=(0, 20), ylim=(0, 17), xticks=[], yticks=[], aspect="equal")
    axis.set_title(f"one net after {decisions:,} decisions, told four returns", fontsize=9)
    return now


def draw_bars(axis, snapshot, now):
    """Desired returns, and those obtained as soon as a flight has ended."""
    flying, _, _, returns, landed = snapshot[1]
    for k, colour in enumerate(HUES):
        axis.barh(k + 0.2, COMMANDS[k], 0.35, color="#cccccc", edgecolor=colour)
        text = "flying"
        if now >= flying[:, k].sum() - 1:
            axis.barh(k - 0.2, np.clip(returns[k], -500, 330), 0.35, color=colour)
            text = "landed" if landed[k] else "time is up" if now >= 998 else "crashed"
        label = f"{COMMANDS[k]:.0f}: {text}"
        axis.text(-490, k + 0.2, label, fontsize=8, color=colour, va="center")
    axis.axvline(0, color=BLACK, linewidth=0.6)
    axis.set(xlim=(-500, 330), ylim=(-0.6, 3.6), yticks=[], xlabel="return")
    axis.set_title("told (grey), got (colour)", fontsize=9)


def draw_curve(axis, history, decisions):
    """Mean return in training."""
    x, y = np.array(history["decisions"]) / 1000, np.array(history["udrl_sparse_return"])
    until = x <= decisions / 1000
    axis.plot(x, y, color=GREY, linewidth=0.6)
    axis.plot(x[until], y[until], color=BLACK)
    axis.plot(x[until][-1], y[until][-1], "o", color=BLACK, markersize=5)
    axis.set(xlabel="decisions [thousands]", ylim=(-260, 320))
    axis.set_title("return in training", fontsize=9)


def main():
    options = figure_options(__doc__, "upside_down_rl.gif")
    config, kept = problem.Config(seed=options.seed, decisions=DECISIONS, a2c=False), []

    def watch(step, total, weights, command, udrl_sparse, **state):
        kept.append((step, udrl_sparse, weights, command))

    result = problem.run(config, watch)
    snapshots = []
    for k in spaced([row[1] for row in kept], SHOWN):
        step, _, weights, command = kept[k]
        snapshots.append((step, flights(config, weights, command, options.seed)))
    shares = np.linspace(0, 1, MOMENTS + 1)[1:]
    frames = [(snapshot, share) for snapshot in snapshots for share in shares]
    figure = plt.figure(figsize=(6.4, 3.9))
    left, right = figure.subfigures(1, 2, width_ratios=(1.75, 1))
    scene = left.subplots()
    bars, curve = right.subplots(2, 1, height_ratios=(1.3, 1))

    def draw(frame):
        snapshot, share = frame
        for axis in (scene, bars, curve):
            axis.clear()
        now = draw_scene(scene, snapshot, share)
        draw_bars(bars, snapshot, now)
        draw_curve(curve, result.history, snapshot[0])

    write_gif(options.out, figure, draw, frames, seconds=0.35)


if __name__ == "__main__":
    figure_main(main)
