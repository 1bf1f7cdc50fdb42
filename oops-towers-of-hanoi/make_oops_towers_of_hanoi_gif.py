"""Animate oops-towers-of-hanoi: prefixes that the search tries, the chances of the next token, what
the prefix does to its task, and the tasks solved so far; then the solver moves five disks."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import oops_towers_of_hanoi as problem

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


SAMPLES = {("A", 1): 2, ("A", 2): 6, ("B", 1): 2, ("B", 2): 12}  # frames of the search for a task
SHOWN = 5  # disks that the solver moves at the end
EVERY = 2  # of its moves


class Recorder(problem.Oops):
    """The search; tape: (steps, code, task, world) of each prefix that may be prolonged."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.tape = []

    def advance(self, code, tasks, state, limit, closed=False):
        left, now, used = super().advance(code, tasks, state, limit, closed)
        if now and code and not closed:
            self.tape.append((self.steps, tuple(code), left[0], now[4]))
        return left, now, used


def next_chances(order, family, teacher, code):
    """The chance of each token to be chosen next, and who has boosted it: user, bq or nobody."""
    weights = problem.boost(dict.fromkeys(order, 1), problem.BOOSTS[family])
    weights = problem.boost(weights, teacher, code.count(problem.BQ))
    total = sum(weights.values())
    by_bq = teacher if problem.BQ in code else ()
    colours = [
        ORANGE if token in by_bq else BLUE if token in problem.BOOSTS[family] else GREY
        for token in range(len(order))
    ]
    return [weights[token] / total for token in range(len(order))], colours


def run_of(code, disks):
    """The pegs before the first move and after each move of a complete program."""
    task = problem.Task("B", disks)
    outcome, state = problem.OVER_TIME, task.start()
    pegs = [state[4]]
    while outcome == problem.OVER_TIME:
        outcome, _, state = problem.execute(code, task, state, 1, closed=True)
        if state[4] != pegs[-1]:
            pegs.append(state[4])
    return pegs


def story(seed):
    """The frames: dicts of code, task, world, steps, solved (tasks), note and teacher."""
    order = np.random.default_rng(seed).permutation([*problem.SPECIAL, *problem.GENERIC]).tolist()
    search = Recorder(order, 30, problem.BOOSTS)
    search.learn("A", 30)
    search.learn("B", 30)
    writer = next(row.code for row in search.frozen[::-1] if row.family == "A")
    frames, since = [], 0
    for place, row in enumerate(search.frozen):
        if row.how == "frozen":
            continue
        teacher = set(writer) if row.family == "B" else ()
        base = {"family": row.family, "teacher": teacher, "solved": place}
        tape = [item for item in search.tape if since < item[0] <= row.steps]
        count = SAMPLES.get((row.family, row.n), 12)
        edges = np.unique(np.geomspace(1, len(tape) + 1, count + 1).astype(int)) - 1
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            steps, code, task, world = max(tape[low:high], key=lambda item: len(item[1]))
            note = f"searching for {row.family}{row.n}"
            frames.append(
                base | {"code": code, "task": task, "world": world, "steps": steps, "note": note}
            )
        frames += solution(base, row, search.frozen)
        since = row.steps
    return order, frames


def solution(base, row, frozen):
    """The frames of a new program: token by token where it calls itself to solve Hanoi."""
    task = problem.Task(row.family, row.n)
    last = [other.n for other in frozen if other.family == row.family and other.code == row.code][
        -1
    ]
    more = f"{row.family}{row.n}" + (f" to {row.family}{last}" if last > row.n else "")
    base = base | {"task": task, "steps": row.steps}
    end = {"solved": base["solved"] + last - row.n + 1, "note": f"frozen: solves {more}"}
    if row.family == "A" or problem.REC not in row.code:
        _, _, state = problem.execute(row.code, task, task.start(), 1000, closed=True)
        return [base | end | {"code": row.code, "world": state[4]}] * 2
    start = task.start()[4]
    frames = [
        base | {"code": row.code[:size], "world": start, "note": "the solver, token by token"}
        for size in range(len(row.code) + 1)
    ]
    pegs = run_of(row.code, SHOWN)
    for move in [*range(0, len(pegs) - 1, EVERY), len(pegs) - 1]:
        shown = {"task": problem.Task("B", SHOWN), "world": pegs[move], "code": row.code}
        frames.append(base | end | shown | {"move": (move, len(pegs) - 1)})
    return frames


def draw_tokens(axis, order, frame):
    """The program so far, and the chance of each token to be chosen next."""
    axis.clear()
    chances, colours = next_chances(order, frame["family"], frame["teacher"], frame["code"])
    axis.bar(range(len(chances)), chances, color=colours)
    axis.set_xticks(range(len(chances)), problem.NAMES, rotation=60, fontsize=8)
    axis.set(ylim=(0, 0.36), yticks=[0, 0.1, 0.2, 0.3], ylabel="chance to be next")
    words = " ".join(problem.NAMES[token] for token in frame["code"]) or "(empty)"
    is_new = frame["note"].startswith(("frozen", "the solver"))
    style = {"family": "monospace", "color": GREEN if is_new else BLACK, "weight": "bold"}
    axis.set_title(f"{frame['note']}; program so far:", loc="left")
    axis.text(1, 1.05, words, transform=axis.transAxes, ha="right", size=11, **style)
    axis.text(23.4, 0.28, "boosted by the user", color=BLUE, ha="right")
    axis.text(23.4, 0.235, "by bq: the tokens of A's program", color=ORANGE, ha="right")


def draw_world(axis, frame):
    """The disks on their pegs, or what is written."""
    axis.clear()
    axis.set(xlim=(0, 3), ylim=(0, 1), xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set_visible(False)
    task, world = frame["task"], frame["world"]
    if task.family == "A":
        axis.set_title(f"run on task A{task.n}: write {'1' * task.n}{'2' * task.n}", loc="left")
        written = "1" * world[0] + "2" * world[1]
        axis.text(1.5, 0.5, written or "(nothing yet)", ha="center", size=18, family="monospace")
        return
    title = f"run on B{task.n}: {task.n} disk{'s' * (task.n > 1)} to peg 3"
    if "move" in frame:
        title += f"; move {frame['move'][0]} of {frame['move'][1]}"
    axis.set_title(title, loc="left")
    axis.axhline(0.12, color=BLACK)
    for place, disks in enumerate(world):
        axis.plot([place + 0.5] * 2, [0.12, 0.95], color=GREY, zorder=0)
        axis.text(place + 0.5, 0.03, f"peg {place + 1}", ha="center", va="center")
        for level, disk in enumerate(disks):
            width = 0.9 * disk / max(task.n, 3)
            colour = (BLUE, ORANGE, GREEN, RED, PINK)[disk - 1]
            bar = plt.Rectangle((place + 0.5 - width / 2, 0.12 + 0.15 * level), width, 0.14)
            bar.set_color(colour)
            axis.add_patch(bar)


def draw_solved(axis, frames, frame):
    """Tasks solved so far against the steps of the search."""
    axis.clear()
    past = [other for other in frames if other["steps"] <= frame["steps"]]
    past = past[: past.index(frame) + 1]
    steps = [other["steps"] for other in past]
    solved = [other["solved"] for other in past]
    axis.step(steps, solved, where="post", color=GREEN)
    axis.plot(steps[-1], solved[-1], "o", color=GREEN)
    axis.axhline(30, color=GREY, linestyle=":", linewidth=0.8)
    axis.text(1.2, 31, "all of A", color=BLACK, va="bottom")
    axis.set(xscale="log", xlim=(1, 1e6), ylim=(-2, 64), yticks=[0, 30, 60])
    axis.set(xlabel="steps of the search", ylabel="tasks solved")
    axis.set_title(f"{frame['solved']} of 60 after {frame['steps']:,} steps", loc="left")


def main():
    options = figure_options(__doc__, "oops_towers_of_hanoi.gif")
    order, frames = story(options.seed)
    figure = plt.figure(figsize=(6.4, 4.4))
    grid = figure.add_gridspec(2, 2, height_ratios=[1.15, 1], width_ratios=[1.25, 1])
    tokens, world, solved = (
        figure.add_subplot(place) for place in (grid[0, :], grid[1, 0], grid[1, 1])
    )

    def draw(frame):
        draw_tokens(tokens, order, frame)
        draw_world(world, frame)
        draw_solved(solved, frames, frame)

    write_gif(options.out, figure, draw, frames, seconds=0.45)


if __name__ == "__main__":
    figure_main(main)
