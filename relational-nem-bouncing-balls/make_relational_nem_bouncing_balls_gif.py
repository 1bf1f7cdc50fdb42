"""Animate balls, two models that predict them, and slots behind a curtain."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import relational_nem_bouncing_balls as problem
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

EARLY, UPDATES, VIDEOS = 90, 1500, 600
COLOURS = [BLUE, ORANGE, GREEN, RED, PINK, SKY, YELLOW, BLACK]
BACKGROUND = "#f2f2f2"


def learn(seed):
    """Weights after a few updates and after all, and the models' names."""
    kinds, snapshots = problem.MODELS["relational"], []

    def watch(update, total, w, **losses):
        if update == EARLY:
            snapshots.append({name: array.copy() for name, array in w.items()})

    rngs = np.random.default_rng(seed).spawn(2)
    videos = problem.make_videos(rngs[0], VIDEOS, 4, problem.FOUR)
    tracks = problem.follow_all(videos.frames, 5, problem.keep_on)
    config = problem.Config(seed=seed, updates=UPDATES)
    history = {"update": [], **{kind: [] for kind in kinds}}
    w = problem.train(config, kinds, tracks, rngs[1], history, watch)
    return (*snapshots, w), kinds


def best_of(videos, kinds, w):
    """A video with many collisions, its tracks, and what both models make of it at first."""
    tracks = problem.follow_all(videos.frames, 5, problem.predictor(w, kinds, 0), owners=True)
    busy = videos.hits[:, 3:20].sum((1, 2))
    return int(busy.argmax()), tracks


def show_video(axis, frame, owner, strip=None):
    """A frame, every pixel in the colour of its slot."""
    picture = np.ones((*frame.shape, 3)) * 0.95
    for k in range(owner.max() + 1):
        picture[owner == k] = matplotlib.colors.to_rgb(COLOURS[k])
    axis.imshow(picture, extent=(0, 1, 1, 0))
    if strip is not None:
        axis.add_patch(plt.Rectangle((strip, 0), problem.CURTAIN, 1, color=GREY, alpha=0.35))


def show_discs(axis, places, radii, used, truth, sizes):
    """Predicted discs in the colours of their slots, and the true balls as rings."""
    axis.set_facecolor(BACKGROUND)
    for k in np.flatnonzero(used):
        axis.add_patch(plt.Circle(places[k], radii[k], color=COLOURS[k], alpha=0.75, linewidth=0))
    for place, r in zip(truth, sizes, strict=True):
        axis.add_patch(plt.Circle(place, r, fill=False, color=BLACK, linewidth=1))


def errors(videos, tracks):
    """Mean distance of every video's balls from the slots that they had at first, (videos,)."""
    slots, _ = problem.slot_of(tracks, videos, 2)
    found = np.take_along_axis(tracks.places, slots[:, None, :, None], 2)
    return np.linalg.norm(found - videos.places, axis=3).mean((1, 2))


def main():
    options = figure_options(__doc__, "relational_nem_bouncing_balls.gif")
    stages, kinds = learn(options.seed)
    rng = np.random.default_rng(options.seed + 1)
    videos = problem.make_videos(rng, 40, 4, problem.FOUR)
    chosen, tracks = best_of(videos, kinds, stages[-1])
    rolled = [problem.roll_out(w, kinds, tracks)[:, chosen] for w in stages]
    curtain = problem.make_videos(rng, 40, 3, problem.FOUR, curtain=True)
    predict = problem.predictor(stages[-1], kinds, 0)
    behind = [
        problem.follow_all(curtain.frames, 5, f, owners=True) for f in (predict, problem.stay)
    ]
    predicting, waiting = (errors(curtain, part) for part in behind)
    other = int(np.argmax(waiting - predicting))  # where predicting helps most
    columns = curtain.frames[other].any((0, 1))
    edge = np.flatnonzero(~columns & (np.abs(np.arange(64) - 32) < 24))
    strip = edge.min() / problem.SIDE
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.75))
    acts = [(0, t) for t in range(3, 20, 2)] + [(1, t) for t in range(2, 29)]
    acts += [(2, t) for t in range(2, 29, 1)][:22]

    def draw(frame):
        act, t = acts[frame]
        for axis in axes:
            axis.clear()
        if act < 2:
            show_video(axes[0], videos.frames[chosen, t], tracks.owner[chosen, t])
            for model in range(2):
                show_discs(
                    axes[model + 1],
                    rolled[act][model, t],
                    tracks.radii[chosen, 2],
                    tracks.used[chosen],
                    videos.places[chosen, t],
                    videos.radii[chosen],
                )
            titles = "the video, split by slots", "with effects of others", "without"
            updates = EARLY if act == 0 else UPDATES
            text = f"predicted {t - 2} frames ahead, after {updates:,} updates"
        else:
            show_video(axes[0], curtain.frames[other, t], behind[0].owner[other, t], strip)
            for axis, part in zip(axes[1:], behind, strict=True):
                show_discs(
                    axis,
                    part.places[other, t],
                    part.radii[other, t],
                    part.used[other],
                    curtain.places[other, t],
                    curtain.radii[other],
                )
            titles = "a curtain hides balls", "slots that predict", "slots that wait"
            text = f"frame {t}; rings: where the balls are"
        for axis, title in zip(axes, titles, strict=True):
            axis.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[], aspect="equal")
            axis.set_title(title, fontsize=9)
        figure.suptitle(text, fontsize=10)

    write_gif(options.out, figure, draw, range(len(acts)), seconds=0.2)


if __name__ == "__main__":
    figure_main(main)
