"""Animate the learning of pole-balance-non-markov: the real cart, and what the model imagines."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pole_balance_non_markov as problem
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


START = np.array(
    [[0.3, 0.0, 0.06, 0.0]]
)  # of every replay: 0.3 m to the right, tilted by 3.4 degrees
LONGEST = 250  # steps of a replay
IMAGINED = 100  # steps
EPISODES, SHOTS = 5, 8  # replays after learning, frames of each


def replay(pair, net, teacher):
    """A real trial from START without noise, the imagined angle [degrees], and where it ends."""
    policy = problem.Acting(pair, 1)
    starts = np.repeat(START[None], len(pair["state"]), 0)
    states, actions, lengths = problem.make_trials(policy, starts, LONGEST)
    log = problem.Log()
    log.add(states[:, 0], actions[:, 0], lengths[0])
    teacher.net = net
    rows = np.arange(problem.WARM + 1)[:, None]
    z = problem.imagine(pair, teacher, log, rows, IMAGINED)[0]
    angle = np.degrees(z[: lengths[0, 0] + 1, 0, 0, 1] * problem.FALL)
    return states[: lengths[0, 0] + 1, 0, 0], angle


def before_learning(seed):
    """The same without a controller: random actions, nothing imagined."""
    policy = problem.RandomPolicy(np.random.default_rng(seed), 1)
    states, _, lengths = problem.make_trials(policy, START, LONGEST)
    return states[: lengths[0] + 1, 0], np.empty(0)


def draw_cart(axis, path, now, title):
    """Cart and pole at step `now`; grey: where the pole was."""
    axis.clear()
    for step in range(max(0, now - 60), now + 1, 6):
        x, angle = path[step, 0], path[step, 2]
        axis.plot([x, x + np.sin(angle)], [0.1, 0.1 + np.cos(angle)], color=GREY, alpha=0.35)
    x, angle = path[now, 0], path[now, 2]
    axis.add_patch(plt.Rectangle((x - 0.25, -0.1), 0.5, 0.2, color=BLUE))
    axis.plot([x, x + np.sin(angle)], [0.1, 0.1 + np.cos(angle)], color=ORANGE, linewidth=5)
    for side in (-problem.TRACK, problem.TRACK):
        axis.axvline(side, color=RED, linestyle="--", linewidth=0.8)
    axis.axhline(-0.1, color=BLACK, linewidth=0.8)
    axis.set(xlim=(-2.7, 2.7), ylim=(-0.5, 2.2), aspect="equal", yticks=[], xlabel="track [m]")
    fell = now == len(path) - 1 and now < LONGEST
    axis.set_title(f"{title}\n{now * problem.TICK:.1f} s" + (", fallen" if fell else ""))


def draw_angle(axis, path, imagined, now):
    """The true angle so far, and the imagined one."""
    axis.clear()
    seconds = problem.TICK * np.arange(len(path))
    axis.plot(seconds[: now + 1], np.degrees(path[: now + 1, 2]), color=BLUE, label="real")
    ahead = problem.TICK * np.arange(len(imagined))[problem.WARM :]
    axis.plot(ahead, imagined[problem.WARM :], "--", color=PINK, label="imagined by M")
    axis.axvline(problem.TICK * problem.WARM, color=GREY, linestyle=":")
    for side in (-1, 1):
        axis.axhline(side * np.degrees(problem.FALL), color=RED, linestyle="--", linewidth=0.8)
    axis.set(xlim=(0, LONGEST * problem.TICK), ylim=(-17, 17), ylabel="angle [degrees]")
    axis.set_xlabel("time [s]", labelpad=1)
    axis.legend(fontsize=7, loc="lower right", ncols=2, frameon=True)


def draw_lengths(axis, history, count):
    """Mean length of each round's real trials so far; grey: of the random trials."""
    axis.clear()
    first = [0, problem.RANDOM_TRIALS]
    axis.plot(first, [history["random"]] * 2, color=GREY, label="random")
    for name, colour, label in (
        ("length", BLUE, "with memory"),
        ("memoryless_length", ORANGE, "without"),
    ):
        axis.plot(history["trials"][:count], history[name][:count], "o-", color=colour,
                  markersize=3, label=label)  # fmt: skip
    axis.set(xlim=(0, history["trials"][-1] + 10), ylim=(4, 5000), yscale="log")
    axis.set_xlabel("real trials", labelpad=1)
    axis.set_ylabel("steps, mean")
    axis.legend(fontsize=7, loc="lower right", ncols=3, columnspacing=0.8, handlelength=1.2)


def main():
    options = figure_options(__doc__, "pole_balance_non_markov.gif")
    nets = []

    def watch(step, total, pair, model, **state):
        nets.append({name: w.copy() for name, w in model.net.items()})

    result = problem.run(problem.Config(seed=options.seed), watch)
    best = np.maximum.accumulate(result.history["length"])
    count = int(np.argmax(best)) + 1  # the rounds until the one with the longest trials
    places = spaced(np.log(best[:count]), EPISODES)
    figure = plt.figure(figsize=(6.4, 3.6))
    grid = figure.add_gridspec(2, 2, width_ratios=[1.1, 1])
    cart, angle, lengths = (
        figure.add_subplot(place) for place in (grid[:, 0], grid[0, 1], grid[1, 1])
    )
    episodes = [(*before_learning(options.seed), "random actions", 0)]
    for place in places:
        path, imagined = replay(result.rounds[place], nets[place], result.model)
        title = f"after {result.history['trials'][place]:.0f} real trials"
        episodes.append((path, imagined, title, place + 1))
    frames = [
        (path, imagined, now, title, rounds)
        for path, imagined, title, rounds in episodes
        for now in np.linspace(0, len(path) - 1, SHOTS).astype(int)
    ]
    history = {**result.history, "random": result.metrics["random_length"]}

    def draw(frame):
        path, imagined, now, title, rounds = frame
        draw_cart(cart, path, now, title)
        draw_angle(angle, path, imagined, now)
        draw_lengths(lengths, history, rounds)

    write_gif(options.out, figure, draw, frames, seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
