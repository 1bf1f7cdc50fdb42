"""Animate one champion after another: its way, what it sees, its signals, the distance so far."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import torcs_vision_evolution as problem

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

SHOWN, MOMENTS = 8, 5  # champions, and moments of each race


def drive(genes):
    """The trace of one car: places (n, 2), speeds, distances, pictures, steering and pedal."""
    trace = []
    problem.race(problem.Fourier(genes[None]), [0.0], 25 * problem.PER_SECOND, trace=trace)
    cars, pictures, steer, pedal = zip(*trace, strict=True)
    place = np.array([(car.x[0], car.y[0]) for car in cars])
    speeds = np.array([car.v[0] for car in cars])
    d = np.array([car.d[0] for car in cars])
    return place, speeds, d, np.concatenate(pictures), np.concatenate(steer), np.concatenate(pedal)


def draw_track(axis, place, speed, at, generation, metres):
    """The track from above, and the way of the car so far."""
    track = problem.the_track()
    left = np.stack([-np.sin(track.headings), np.cos(track.headings)], 1)
    for side, colour in ((problem.WALL, ORANGE), (problem.HALF_WIDTH, GREY)):
        for sign in (-1, 1):
            axis.plot(*(track.points + sign * side * left).T, color=colour, linewidth=0.8)
    axis.plot(*track.points[0], "|", color=BLACK, markersize=14, markeredgewidth=2)
    axis.plot(*place[: at + 1].T, color=BLUE, linewidth=2)
    axis.plot(*place[at], "o", color=RED, markersize=7)
    axis.set(aspect="equal", xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.set_title(
        f"best of generation {generation}, after {(at + 1) / problem.PER_SECOND:.0f} s:\n"
        f"{metres:.0f} m, {3.6 * speed:.0f} km/h (grey: road, orange: wall)"
    )


def draw_picture(axis, picture):
    """What the car sees."""
    axis.imshow(picture, vmin=0, vmax=0.5)
    axis.set(xticks=[], yticks=[], title="what it sees: edges")


def draw_signals(axis, steer, pedal):
    """Steering, to the left as it is in the picture, and pedal."""
    axis.barh([1, 0], [-steer, pedal], color=[BLUE, GREEN if pedal > 0 else RED])
    axis.axvline(0, color=BLACK, linewidth=0.8)
    axis.set(xlim=(-1, 1), ylim=(-0.6, 1.6), xticks=[-1, 0, 1])
    axis.set_yticks([1, 0], ["steer", "pedal"])


def draw_curve(axis, history, generation, driver):
    """Distance of the best net by generation."""
    until = generation + 1
    axis.plot(history["generation"][:until], history["distance"][:until], color=BLACK)
    axis.plot(generation, history["distance"][generation], "o", color=BLACK, markersize=5)
    axis.axhline(driver, color=GREY, linewidth=0.8, linestyle=":")
    axis.text(0, driver + 12, "driver who knows", fontsize=7)
    axis.set(xlim=(-3, history["generation"][-1] + 5), ylim=(0, 680), xlabel="generation")
    axis.set_title("metres in 25 s", fontsize=9)


def main():
    options = figure_options(__doc__, "torcs_vision_evolution.gif")
    result = problem.run(problem.Config(seed=options.seed, controls=False))
    driver, _ = problem.knowing_driver()
    chosen = spaced([float(problem_distance(result, g)) for g, _ in result.champions], SHOWN)
    frames = []
    for k in chosen:
        generation, genes = result.champions[k]
        trace = drive(genes)
        moments = np.linspace(0, len(trace[1]) - 1, MOMENTS + 1).astype(int)[1:]
        frames += [(generation, trace, at) for at in moments]
    figure = plt.figure(figsize=(6.4, 3.8))
    left, right = figure.subfigures(1, 2, width_ratios=(1.7, 1))
    road = left.subplots()
    picture, signals, curve = right.subplots(3, 1, height_ratios=(1.5, 0.5, 1))

    def draw(frame):
        generation, (place, speeds, d, pictures, steer, pedal), at = frame
        for axis in (road, picture, signals, curve):
            axis.clear()
        draw_track(road, place, speeds[at], at, generation, d[at])
        draw_picture(picture, pictures[at])
        draw_signals(signals, steer[at], pedal[at])
        draw_curve(curve, result.history, generation, driver)

    write_gif(options.out, figure, draw, frames, seconds=0.35)


def problem_distance(result, generation):
    """Distance of the best net of a generation [m]."""
    return result.history["distance"][generation]


if __name__ == "__main__":
    figure_main(main)
