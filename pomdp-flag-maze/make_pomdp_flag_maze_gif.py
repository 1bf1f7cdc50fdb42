"""Animate the flag maze: test walks, what the model believes, and test scores while both learn."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pomdp_flag_maze as problem
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


NETS = {"main": (BLUE, "C and M recurrent"), "feedforward": (ORANGE, "C without recurrence"),
        "memoryless_model": (GREEN, "M without recurrence")}  # fmt: skip
SIGNS = {+1: RED, -1: SKY}


def beliefs(controller, model, maze):
    """(2, 2): the reward that the main M predicts at the flags, for the indicators +1 and -1 and
    walks straight to the flag above and below."""
    length, motors = maze.places[-1][1], []
    for turn in (problem.NORTH, problem.SOUTH):
        motors.append([problem.EAST] * length + [turn] * (maze.steps - length))
    noise = np.tile(20 * np.eye(4, dtype=np.float32)[np.array(motors).T], (1, 2, 1))
    random = np.ones(noise.shape[:2], bool)
    lived = problem.live(controller, model, maze, np.array([1, 1, -1, -1]), noise, random, 1)
    return lived.out[length + 1, 0, :, problem.REWARD].reshape(2, 2)


def learn(seed, maze):
    """The result, and for every test the places that the main C walks through, (2 walks of (row,
    column)), and M's beliefs."""
    walks, believed = [], []

    def watch(step, total, controller, model, **_):
        nets = [{name: w[:1] for name, w in net.items()} for net in (controller, model)]
        cells = problem.walk(*nets, maze, [1, -1]).cells[:, 0]
        walks.append([[maze.places[cell] for cell in cells[:, i]] for i in (0, 1)])
        believed.append(beliefs(*nets, maze))

    return problem.run(problem.Config(seed=seed), watch), walks, np.array(believed)


def main():
    options = figure_options(__doc__, "pomdp_flag_maze.gif")
    maze = problem.build_maze(problem.Config().length)
    result, walks, believed = learn(options.seed, maze)
    steps, length = result.history["step"], maze.places[-1][1]
    after = problem.solved_after(result.history, "main") or steps[-1]
    last = min(len(steps) - 1, int(np.searchsorted(steps, after)) + 12)
    scores = np.array(result.history["score_main"][: last + 1])
    frames = spaced(scores + believed[: last + 1].reshape(last + 1, -1).std(1) / 4, 48)

    figure = plt.figure(figsize=(6.4, 4.8))
    top, curve = figure.subfigures(2, 1, height_ratios=[1.35, 1])
    field, bars = top.subplots(1, 2, width_ratios=[1.25, 1])
    curve = curve.subplots()
    for row, column in maze.places:
        field.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fc="white", ec=GREY))
    field.text(0, 2.38, "start", ha="center", va="center", fontsize=8)
    for (row, column), sign in zip(maze.places[-2:], SIGNS, strict=True):
        field.plot(column, row, marker="*", markersize=22, color=SIGNS[sign], alpha=0.35)
    lines = {}
    for sign in SIGNS:
        label = f"indicator {sign:+d}: its flag and walk"
        (lines[sign],) = field.plot([], [], "o-", color=SIGNS[sign], markersize=4, label=label)
    field.set(xlim=(-0.6, length + 0.6), ylim=(4.6, -0.6), aspect="equal", facecolor="#dddddd")
    field.set(xticks=[], yticks=[])
    field.legend(loc="upper left", fontsize=7, frameon=True, handlelength=1.5)
    title = field.set_title(f"after {steps[-1]} updates: 0 of 2 flags right")
    places = np.array([[0, 1], [3, 4]])
    shown = bars.bar(places.ravel(), np.zeros(4), color=[RED, SKY] * 2)
    wanted = np.array([[2, -2], [-2, 2]])
    bars.plot(places.ravel(), wanted.ravel(), "_", color=BLACK, markersize=24, label="real")
    bars.axhline(0, color=GREY, linewidth=0.8)
    bars.set(ylim=(-3.4, 3.9), ylabel="reward predicted by M", yticks=[-2, 0, 2])
    bars.set_xticks(places.ravel(), ["up", "down"] * 2, fontsize=8)
    for x, sign in ((0.5, "+1"), (3.5, "-1")):
        bars.text(x, -3.1, f"indicator {sign}", ha="center", fontsize=8)
    bars.set_title("at the flag above, below")
    bars.legend(loc="upper center", fontsize=8)
    drawn = {}
    for shift, (name, (colour, label)) in enumerate(NETS.items()):
        (drawn[name],) = curve.plot([], [], color=colour, label=label, linewidth=2.2 - 0.5 * shift)
    curve.set(xlim=(0, steps[last]), ylim=(-0.05, 1.35), yticks=[0, 0.5, 1])
    curve.set(xlabel="updates", ylabel="test score")
    curve.legend(loc="upper left", ncols=3, fontsize=8)
    figure.canvas.draw()

    def draw(frame):
        right = round(2 * result.history["score_main"][frame])
        title.set_text(f"after {steps[frame]} updates: {right} of 2 flags right")
        for sign, path in zip(SIGNS, walks[frame], strict=True):
            rows, columns = np.array(path, float).T
            lines[sign].set_data(columns + 0.06 * sign, rows - 0.1 * sign)
        for bar, height in zip(shown, believed[frame].ravel(), strict=True):
            bar.set_height(height)
        for shift, (name, line) in enumerate(drawn.items()):
            values = np.array(result.history[f"score_{name}"][: frame + 1])
            line.set_data(steps[: frame + 1], values - 0.02 * shift)

    write_gif(options.out, figure, draw, frames, seconds=0.2)


if __name__ == "__main__":
    figure_main(main)
