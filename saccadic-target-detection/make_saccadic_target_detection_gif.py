"""Animate saccadic-target-detection: four paths of the fovea while C learns, then one path."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import saccadic_target_detection as problem
from matplotlib.collections import PatchCollection
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


STARTS = np.array([[75.0, 55, 0], [-70, 45, 0], [-45, -75, 0], [60, -80, 0]])
FRAMES = 26  # of learning; then one for each of the 15 moves of the trained C
STEPS = 15


def draw_fields(axis, x, centre, edge):
    """The 40 fields at their true size, in the grey values of the view x: (40,)."""
    corners = problem.CENTRES - problem.WIDTHS[:, None] / 2 + centre
    squares = [
        plt.Rectangle(corner, width, width)
        for corner, width in zip(corners, problem.WIDTHS, strict=True)
    ]
    grey = [str(round(1 - 0.85 * float(np.clip(value, 0, 1)), 2)) for value in x]
    fields = PatchCollection(squares, facecolor=grey, edgecolor=edge, linewidth=0.5)
    axis.add_collection(fields)


def draw_scene(axis, paths, shown, step, title):
    """The object, four paths (steps + 1, 4, 3) up to a step, the fovea at the end of one."""
    axis.clear()
    axis.add_patch(plt.Polygon(problem.CORNERS, color="#bbbbbb", linewidth=0))
    at = paths[step, shown]
    draw_fields(axis, problem.see(at[None])[0], at[:2], SKY)
    axis.add_patch(plt.Polygon(problem.CORNERS, fill=False, edgecolor=BLACK, linewidth=0.8))
    hit = problem.hits("translation", paths[step])
    for k in range(len(STARTS)):
        way = paths[: step + 1, k, :2]
        colour = GREEN if hit[k] else RED
        axis.plot(*way.T, ".-", color=colour, linewidth=1.3, markersize=4)
        axis.plot(*way[0], "o", color=colour, markersize=6)
    axis.plot(0, 0, "+", color=YELLOW, markersize=11, markeredgewidth=2.5, zorder=5)
    axis.set(xlim=(-165, 165), ylim=(-165, 165), xticks=[-100, 0, 100], yticks=[-100, 0, 100])
    axis.set(xlabel="x from the target [px]", aspect="equal")
    axis.set_title(title, fontsize=10)


def draw_views(axis, x):
    """What the fovea sees now, above what it should see at the end, and how far they differ."""
    axis.clear()
    draw_fields(axis, x, (0, 86), SKY)
    draw_fields(axis, problem.GOAL, (0, -86), YELLOW)
    error = 0.5 * float(((x - problem.GOAL) ** 2).sum())
    axis.text(0, 156, f"sees: E = {error:.1f}", ha="center", va="bottom")
    axis.text(0, -16, "should see", ha="center", va="bottom")
    axis.set(xlim=(-70, 70), ylim=(-155, 180), aspect="equal")
    axis.axis("off")


def draw_hits(axis, notes, count):
    """Share of test starts on the target so far."""
    axis.clear()
    steps, hit = np.array(notes).T
    done = steps <= count
    axis.plot(steps[done], hit[done], color=BLUE)
    axis.plot(steps[done][-1], hit[done][-1], "o", color=BLUE)
    axis.set(xlim=(0, 1.4 * steps[-1]), ylim=(0, 1.03), xlabel="trajectories of C")
    axis.set_xscale("symlog", linthresh=100)
    axis.set_xticks([0, 100, 1000, 10000], ["0", "100", "1,000", "10,000"])
    axis.minorticks_off()
    axis.set_title("share of 200 starts\non the target", fontsize=10)


def main():
    options = figure_options(__doc__, "saccadic_target_detection.gif")
    config = problem.Config(seed=options.seed)
    test_rng, model_rng, rng = np.random.default_rng(config.seed).spawn(3)
    tests = problem.random_places(test_rng, "translation", 200, config.start)
    shots, notes = [], []

    def note(count, controller, error):
        policy = problem.policy_of(controller)
        last = problem.journey("translation", policy, tests, STEPS)[-1]
        shots.append((count, {name: w.copy() for name, w in controller.items()}))
        notes.append((count, problem.hits("translation", last).mean()))

    problem.train_controller(rng, problem.train_model(model_rng, config), config, note=note)
    paths = [
        problem.journey("translation", problem.policy_of(controller), STARTS, STEPS)
        for _, controller in shots
    ]
    figure = plt.figure(figsize=(6.4, 3.5))
    scene, views, curve = figure.subplots(1, 3, width_ratios=[1.75, 0.75, 1])

    def draw(frame):
        place, shown, step = frame
        count = shots[place][0]
        trained = place == len(shots) - 1 and step < STEPS
        title = f"trained, move {step}" if trained else f"after {count:,} trajectories"
        draw_scene(scene, paths[place], shown, step, title)
        draw_views(views, problem.see(paths[place][step, shown][None])[0])
        draw_hits(curve, notes, count)

    learning = [
        (place, k % len(STARTS), STEPS)
        for k, place in enumerate(spaced([hit for _, hit in notes], FRAMES))
    ]
    last = len(shots) - 1
    walk = [(last, 0, step) for step in range(STEPS + 1)]
    write_gif(options.out, figure, draw, [*learning, *walk], seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
