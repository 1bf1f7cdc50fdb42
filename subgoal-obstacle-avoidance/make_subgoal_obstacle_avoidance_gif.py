"""Animate the learning of subgoal-obstacle-avoidance: trips in four arenas, and success so far."""

import argparse
import functools
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import subgoal_obstacle_avoidance as problem
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


FRAMES = 40
PLACES = [(0, 11), (11, 11), (0, 0), (11, 0)]  # of the four arenas


def draw_trips(axis, arenas, plan, title):
    """Plans (4, n + 2, 2) and the trips that follow them, in four boxes."""
    axis.clear()
    track, good = problem.walk(plan, arenas.disks)
    for k, at in enumerate(PLACES):
        axis.add_patch(plt.Rectangle(at, 10, 10, fill=False, edgecolor=GREY, linewidth=0.8))
        for x, y, r in arenas.disks[k]:
            disk = plt.Circle((x + at[0], y + at[1]), r, color="#bbbbbb", linewidth=0)
            axis.add_patch(disk)
            disk.set_clip_path(plt.Rectangle(at, 10, 10, transform=axis.transData))
        colour = BLUE if good[k] else RED
        axis.plot(*(track[:, k] + at).T, color=colour, linewidth=2)
        axis.plot(*(plan[k, 1:-1] + at).T, "D", color=colour, markersize=6, markeredgecolor="white")
        axis.plot(*(arenas.start[k] + at), "s", color=BLACK, markersize=6)
        axis.plot(*(arenas.goal[k] + at), "*", color=BLACK, markersize=11)
    axis.set(xlim=(-0.3, 21.3), ylim=(-2.6, 21.3), aspect="equal")
    text = "square: start, star: goal, diamonds: sub-goals\nred: the trip runs into a disk"
    axis.text(10.5, -0.4, text, ha="center", va="top", fontsize=9)
    axis.set_title(title, fontsize=11)
    axis.axis("off")


def draw_success(axis, notes, upto, constant):
    """Success in 500 test arenas so far, and where constant plans end."""
    axis.clear()
    steps, share = np.array(notes)[:, :2].T
    axis.plot(steps[: upto + 1], share[: upto + 1], color=BLUE, linewidth=1.8, label="S")
    axis.plot(steps[upto], share[upto], "o", color=BLUE)
    for name, (value, dash) in constant.items():
        axis.axhline(value, color=ORANGE, linestyle=dash, linewidth=1.5, label=name)
    axis.legend(loc="lower right", fontsize=9)
    axis.set_xscale("symlog", linthresh=10)
    axis.set(xlim=(0, 1.5 * steps[-1]), ylim=(0, 1.02), xlabel="gradient steps of S")
    axis.set_xticks([0, 10, 100, 1000], ["0", "10", "100", "1,000"])
    axis.minorticks_off()
    axis.set_title("success in 500\nunseen arenas", fontsize=11)


def main():
    options = figure_options(__doc__, "subgoal_obstacle_avoidance.gif")
    config = problem.Config(seed=options.seed)
    streams = np.random.default_rng(config.seed).spawn(5)
    tests = problem.make_arenas(streams[0], config.task, problem.TESTS, config.disks)
    count = problem.BATCH * config.steps
    arenas = problem.make_arenas(streams[1], config.task, count, config.disks)
    evaluator = problem.train_evaluator(streams[2], config.trips)
    price = functools.partial(problem.net_price, evaluator)
    notes, plans = [], []

    def note(step, net, J):
        plan = problem.choose(net, price, tests)[0]
        notes.append((step, problem.success(plan, tests), J))
        plans.append(plan)

    problem.learn(streams[3], price, arenas, config, note=note)
    short = arenas[: count // 2]  # a constant plan needs fewer steps
    constant = {}
    for name, mirrored, dash in (
        ("mirrored constant plan", True, "--"),
        ("one-sided constant plan", False, ":"),
    ):
        blind = {"blind": True, "mirrored": mirrored}
        net = problem.learn(streams[4], price, short, config, **blind)
        plan = problem.choose(net, price, tests, **blind)[0]
        constant[name] = problem.success(plan, tests), dash
    late = [problem.walk(plan, tests.disks)[1] for plan in plans]
    when = np.array(late).argmax(0)  # the first look at which a trip succeeds
    hard = np.argsort(-when * late[-1], kind="stable")[:60]
    four = hard[[0, 12, 30, 59]]  # they are mastered one after the other
    figure = plt.figure(figsize=(6.4, 4.2))
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])

    def draw(place):
        title = f"after {notes[place][0]:,} steps"
        draw_trips(left, tests[four], plans[place][four], title)
        draw_success(right, notes, place, constant)

    frames = spaced([share for _, share, _ in notes], FRAMES)
    write_gif(options.out, figure, draw, frames, seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
