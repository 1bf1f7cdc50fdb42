"""Animate LSEARCH on levin-add-positions: the program that is tried, the weights that it writes
beside the ramp, and the programs so far under the time limit of the phase. LSEARCH draws nothing:
--seed is idle."""

import argparse
import copy
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import levin_add_positions as problem
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


TRIED_FRAMES = 26  # of the search; the solution's own run follows
SOLUTION_STEPS = (1, 2, 3, 4, 5, 8, 16, 32, 64, 96, 128, 160, 192, 224, 256, 300)
LINES = 6  # of a program that are shown


def listing(program):
    """The program as pairs: address, and name with arguments, of each primitive."""
    lines, ip = [], 0
    while ip < len(program):
        name, kinds = problem.PRIMITIVES[program[ip]]
        arguments = program[ip + 1 : ip + 1 + len(kinds)]
        lines.append((ip, " ".join([name, *map(str, arguments)])))
        ip += 1 + len(kinds)
    return lines


def story():
    """One in 64 of the programs that LSEARCH runs, as (phase, P, state), and the solution."""
    tried = []

    def watch(phase, phases, probability, limit, state):
        tried.append((phase, probability, problem.copied(state)))

    found, history = problem.levin_search(problem.PAPER_EXAMPLES, 32, watch=watch)
    return tried, found[0], sum(history["first run"])


def make_frames(tried, solution):
    """(place, phase, P, state, whether it is the solution's own run) of each frame.

    Search is shown at places even in the logarithm of the programs run: of the programs near each
    place the one that has written most weights. Then the solution runs step by step.
    """
    edges = np.unique(np.geomspace(2, len(tried), TRIED_FRAMES).astype(int))
    edges = np.concatenate([[1], edges])
    chosen = [
        max(range(low - 1, high), key=lambda i: len(tried[i][2].weights))
        for low, high in zip(edges[:-1], edges[1:], strict=True)
    ]
    frames = [(i + 1, *tried[i], False) for i in chosen]
    probability, found = solution
    state = problem.State(found.program, found.size)
    for steps in SOLUTION_STEPS:
        problem.execute(state, steps)
        frames.append((len(tried), tried[-1][0], probability, copy.deepcopy(state), True))
    return frames


def draw_program(axis, state, probability, phase, solved):
    """The listing with the next primitive in red, the work cells, P, steps and their limit."""
    axis.clear()
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.axis("off")
    axis.set_title("program $p$", loc="left")
    lines = listing(state.program)
    for row, (address, text) in enumerate(lines[:LINES]):
        style = {"color": RED, "weight": "bold"} if address == state.pointer else {}
        axis.text(0, 0.96 - 0.075 * row, f"{address:>2} {text}", family="monospace", **style)
    if len(lines) > LINES:
        axis.text(0, 0.96 - 0.075 * LINES, f"   and {len(lines) - LINES} more", family="monospace")
    work = state.cells[state.size :][::-1]
    tape = " ".join(map(str, work[:6])) + (" ..." if len(work) > 6 else "")
    facts = [
        f"work cells -1, -2, ...: {tape or 'none'}",
        f"P(p) = {probability:.1e}",
        f"steps: {state.steps:,} of {int(2**phase * probability):,}",
        f"weights written: {len(state.weights)}",
    ]
    for row, text in enumerate(facts):
        axis.text(0, 0.24 - 0.075 * row, text)
    if solved:
        text = "right on the 3 examples and on\nall 161,697 test inputs"
        axis.text(0, 0.36, text, color=GREEN, weight="bold")


def draw_weights(axis, state, solved):
    """The weights written so far; the line is the ramp."""
    axis.clear()
    written = np.clip(state.weights, -10, 110)
    axis.bar(range(len(written)), written, 1.0, color=GREEN if solved else BLUE)
    axis.plot([0, 99], [0, 99], color=BLACK, linewidth=0.8, linestyle=":")
    axis.set(xlim=(-1, 100), ylim=(-10, 110), xlabel="input", ylabel="weight")
    axis.set_title("weights written; dotted: the solution", loc="left")


def draw_search(axis, tried, shown, programs, phase, solution):
    """A sample of the programs so far by probability and steps, and the limit of the phase."""
    axis.clear()
    P, steps = np.array([(row[1], row[2].steps) for row in tried[:shown]]).T
    axis.plot(P, np.maximum(steps, 0.7), ".", color=SKY, markersize=3)
    limit = np.array([1e-8, 0.1])
    axis.plot(limit, 2.0**phase * limit, color=ORANGE)
    if solution:
        axis.plot(*solution, "*", color=GREEN, markersize=11, markeredgecolor=BLACK)
    axis.set(xscale="log", yscale="log", xlim=(1e-8, 0.15), ylim=(0.5, 3e4))
    axis.set(xlabel="probability $P(p)$ of the program", ylabel="steps taken")
    axis.set_title(f"{programs:,} programs; orange: limit, phase {phase}", loc="left")


def main():
    options = figure_options(__doc__, "levin_add_positions.gif")
    tried, solution, programs = story()
    figure = plt.figure(figsize=(6.4, 4.0))
    grid = figure.add_gridspec(2, 2, width_ratios=[1, 1.5])
    places = grid[:, 0], grid[0, 1], grid[1, 1]
    program, weights, search = (figure.add_subplot(place) for place in places)

    def draw(frame):
        shown, phase, probability, state, is_solution = frame
        solved = state.weights == problem.SOLUTION
        draw_program(program, state, probability, phase, solved)
        draw_weights(weights, state, solved)
        star = (probability, max(state.steps, 0.7)) if is_solution else None
        count = round(programs * shown / len(tried))
        draw_search(search, tried, shown, count, phase, star)

    write_gif(options.out, figure, draw, make_frames(tried, solution), seconds=0.35)


if __name__ == "__main__":
    figure_main(main)
