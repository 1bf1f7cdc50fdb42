"""Draw curiosity_three_regions.gif: three agents in the same kind of world, and how their models
learn."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import curiosity_three_regions as problem
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


DRIVES = ("random", "raw", "curious")
TITLES = ("moves at random", "seeks surprise: (y − M)²", "curious: C before − after")
COLOURS = (GREY, RED, BLUE)
STEPS, SHOT = 30_000, 50  # steps of a life, between snapshots
TRAIL, SHARE = 300, 0.1  # recent visits: the last 300 steps, or the last tenth if that is more
FRAMES = 44
GAP = 1.6  # columns between two maps


def live_three(seed):
    """Snapshots of three lives in the same kind of world, one a drive, at every SHOT steps.

    Returns steps (shots,), E(t) / E(0) (shots, 3), the cells of every step (STEPS, 3) and the share
    of its squared error that each cell still has, (shots, 3, 100).
    """
    rng = np.random.default_rng(seed)
    groups = [(problem.WORLDS["P"], drive) for drive in DRIVES]
    lives = problem.build(rng, groups, 1, problem.Config())
    base, start = problem.CELLS * np.arange(3), lives.error.copy()
    cells, errors, left = np.zeros((STEPS, 3), int), [], []
    for t in range(STEPS):
        if t % SHOT == 0:
            luck = zip(*problem.draw_luck(rng, SHOT, lives.explore), strict=True)
        cells[t] = lives.state
        problem.step(lives, base, *next(luck))
        if (t + 1) % SHOT == 0:
            errors.append(lives.error / start)
            gap = (lives.answer - lives.M) ** 2
            left.append(gap.reshape(3, problem.CELLS, problem.MOVES).mean(2))
    return SHOT * np.arange(1, len(errors) + 1), np.array(errors), cells, np.array(left)


def main():
    options = figure_options(__doc__, "curiosity_three_regions.gif")
    steps, errors, cells, left = live_three(options.seed)
    figure, (maps, curves) = plt.subplots(2, 1, figsize=(6.4, 4.6), height_ratios=[1.35, 1])
    learnable = np.flatnonzero(problem.regions(problem.WORLDS["P"]) == problem.C)
    row, column = np.divmod(np.arange(problem.CELLS), problem.SIDE)
    pictures, dots, agents = [], [], []
    for k, title in enumerate(TITLES):
        x0 = k * (problem.SIDE + GAP)
        span = (x0 - 0.5, x0 + problem.SIDE - 0.5, problem.SIDE - 0.5, -0.5)
        style = {"cmap": "Blues", "extent": span, "vmin": 0, "vmax": 0.04}
        pictures.append(maps.imshow(np.zeros((10, 10)), **style))
        for cell in np.setdiff1d(np.arange(problem.CELLS), learnable):
            spot = (x0 + column[cell], row[cell])
            maps.text(*spot, "?", color=GREY, fontsize=6, ha="center", va="center")
        edge = (x0 + problem.SIDE - 1.5, -0.5)
        maps.add_patch(plt.Rectangle(edge, 1, problem.SIDE, fill=False, ec=ORANGE, linewidth=1.5))
        spots = x0 + column[learnable], row[learnable]
        dots.append(maps.scatter(*spots, s=1, color=ORANGE, zorder=3))
        agents.append(maps.scatter([0], [0], s=45, facecolors="none", edgecolors=BLACK, zorder=4))
        maps.text(x0 + 4.5, -1.0, title, ha="center", color=COLOURS[k])
    maps.set(xlim=(-0.7, 3 * problem.SIDE + 2 * GAP - 0.3), ylim=(problem.SIDE - 0.3, -1.9))
    maps.axis("off")
    lines = [curves.plot([], [], color=colour)[0] for colour in COLOURS]
    heads = curves.scatter([1] * 3, [1] * 3, color=COLOURS, s=25, zorder=3)
    curves.axhline(problem.REMAINS, color=BLACK, linestyle=":", linewidth=1)
    curves.set(xlim=(SHOT, STEPS), ylim=(0, 1.05), xscale="log", xlabel="steps")
    ticks = [100, 300, 1000, 3000, 10_000, 30_000]
    curves.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    curves.minorticks_off()
    curves.set_ylabel("error on what can\nbe learnt, E(t) / E(0)")
    curves.text(SHOT * 1.1, 0.13, "10 %: T10", fontsize=8)
    title = maps.set_title(" ", fontsize=9)

    def draw(shot):
        now = steps[shot]
        recent = cells[max(0, now - max(TRAIL, int(SHARE * now))) : now]
        for k in range(3):
            visits = np.bincount(recent[:, k], minlength=problem.CELLS)
            pictures[k].set_data(visits.reshape(10, 10) / len(recent))
            dots[k].set_sizes(45 * left[shot, k, learnable])
            agents[k].set_offsets([(k * (problem.SIDE + GAP) + column[recent[-1, k]],
                                    row[recent[-1, k]])])  # fmt: skip
            lines[k].set_data(steps[: shot + 1], errors[: shot + 1, k])
        heads.set_offsets(np.stack([np.full(3, now), errors[shot]], axis=1))
        title.set_text(
            f"step {now:,}; blue: visits in the last {len(recent):,} steps; ?: coin flips;\n"
            "orange: learnable column, dots: error that is left"
        )

    learnt = np.log(errors[:, [0, 2]].clip(0.02)).sum(1)
    write_gif(options.out, figure, draw, spaced(learnt, FRAMES), seconds=0.25)


if __name__ == "__main__":
    figure_main(main)
