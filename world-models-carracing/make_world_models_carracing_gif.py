"""Animate world models, car racing: both controllers on one unseen road at three stages of a search
with smaller populations."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import world_models_carracing as problem
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


SHORT = {"v_steps": 2500, "m_steps": 500, "population": 48, "tracks": 3, "generations": 30}
STAGES, FRAMES = (3, 10, 30), 16
NAMES = {"zh": ("with memory", BLUE), "z": ("without", ORANGE)}
HALF = problem.SIZE // 2
DECISION = problem.FRAME * problem.REPEAT  # s


def picture(pixels):
    """A 32 x 32 view from pixels in V's order."""
    view = np.zeros(1024)
    view[problem.ORDER] = pixels
    return view.reshape(32, 32)


def lap_of(brain, tracks, weights):
    """One drive on the first road: a list of place, score, view, decoded z and M's prediction of
    the view, made before it was seen."""
    rows, before = [], None
    race = problem.Race(tracks, np.zeros(1, int))
    for z, h, _ in problem.drive_one(brain, race, weights, 1000):
        logits, step, _ = problem.predict(brain.memory, h, z.shape[1])
        ahead = z if before is None else before + (np.exp(logits) * step).sum(0).T
        before = z
        decoded = problem.decode(brain.vision, np.concatenate([z, ahead]))
        place, score = race.cars[:2, 0].copy(), float(race.score()[0])
        rows.append((place, score, race.look()[0] / 255, *decoded))
    return rows


def told(rows):
    """Decisions until nothing new happens: two seconds after the score was highest."""
    return min(len(rows), int(np.argmax([row[1] for row in rows])) + round(2 / DECISION))


def layout(scores, result):
    """The figure and its artists: the road, the score of both searches, and three views."""
    figure = plt.figure(figsize=(6.4, 5.4))
    grid = figure.add_gridspec(3, 2, height_ratios=[1, 1, 1], width_ratios=[3, 1])
    road, curve = figure.add_subplot(grid[:2, 0]), figure.add_subplot(grid[2, 0])
    grey = result.tests.grey.reshape(-1, problem.SIZE, problem.SIZE)[0]
    frame = (-HALF, HALF, -HALF, HALF)
    road.imshow(grey, cmap="gray", vmin=-100, vmax=300, origin="lower", extent=frame)
    low, high = (extreme(result.tests.laps[0][:, :2], 0) for extreme in (np.min, np.max))
    road.set(xlim=(low[0] - 22, high[0] + 22), ylim=(low[1] - 22, high[1] + 22))
    road.set(xticks=[], yticks=[])
    lines, dots, curves, images = {}, {}, {}, []
    for name, (_, colour) in NAMES.items():
        lines[name] = road.plot([], [], color=colour, linewidth=1.2)[0]
        dots[name] = road.plot([], [], "o", color=colour, markersize=6)[0]
        curves[name] = curve.plot([], [], ".-", color=colour, label="with memory: -00 now")[0]
    titles = "the view", "V: decoded z", "M: predicted\n0.04 s before"
    for row, title in enumerate(titles):
        panel = figure.add_subplot(grid[row, 1])
        images.append(panel.imshow(np.zeros((32, 32)), cmap="gray", vmin=0, vmax=1))
        panel.set(xticks=[], yticks=[])
        panel.set_title(title, fontsize=9)
    curve.set(xlim=(0, len(scores) + 1), ylim=(-60, 1.1 * np.max(scores)))
    curve.set(xlabel="generation of the search", ylabel="mean score of 48")
    legend = curve.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    title = road.set_title("An unseen road after 30 generations, 20 s")
    figure.canvas.draw()
    figure.set_layout_engine("none")
    return figure, title, lines, dots, curves, images, legend.get_texts()


def main():
    options = figure_options(__doc__, "world_models_carracing.gif")
    story, scores = {}, []

    def watch(generation, total, zh_mean, z_mean, controllers):
        scores.append((zh_mean, z_mean))
        if generation in STAGES:
            story[generation] = controllers

    result = problem.run(problem.Config(seed=options.seed, test_tracks=4, **SHORT), watch)
    drives = {
        (stage, name): lap_of(result.brain, result.tests, weights)
        for stage, controllers in story.items()
        for name, weights in controllers.items()
    }
    lengths = {stage: max(told(drives[stage, name]) for name in NAMES) for stage in STAGES}
    figure, title, lines, dots, curves, images, texts = layout(scores, result)

    def draw(frame):
        stage, part = frame
        now = part * lengths[stage] // FRAMES - 1
        title.set_text(f"An unseen road after {stage} generations, {(now + 1) * DECISION:.0f} s")
        for i, (name, (label, _)) in enumerate(NAMES.items()):
            rows = drives[stage, name][: now + 1]
            lines[name].set_data(*np.array([row[0] for row in rows]).T)
            dots[name].set_data(*rows[-1][0][:, None])
            texts[i].set_text(f"{label}: {rows[-1][1]:.0f} now")
            curves[name].set_data(np.arange(1, stage + 1), np.array(scores)[:stage, i])
            if name == "zh":
                for image, pixels in zip(images, rows[-1][2:], strict=True):
                    image.set_data(picture(pixels))

    frames = [(stage, part) for stage in STAGES for part in range(1, FRAMES + 1)]
    write_gif(options.out, figure, draw, frames, seconds=0.25)


if __name__ == "__main__":
    figure_main(main)
