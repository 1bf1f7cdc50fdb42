"""Animate the learning of pole-balance-markov-vac: the cart, the four pains, the trials."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pole_balance_markov_vac as problem
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


EPISODES, SHOTS = 6, 8  # replays, frames of each
LONGEST = 300  # steps of a replay
CONFIG = {"nets": 3, "conditions": "contrast"}
PAINS = ("left end", "right end", "falls left", "falls right")
COLOURS = (SKY, BLUE, ORANGE, RED)


def learn(seed):
    """The run, the vector net that is shown, and its snapshots: (weights, failures so far)."""
    shots = []

    def watch(step, total, weights, failures, net, **state):
        mine = {
            name: {n: w[row].copy() for row, n in enumerate(net)} for name, w in weights.items()
        }
        shots.append((mine, failures.copy()))

    result = problem.run(problem.Config(seed=seed, **CONFIG), watch)
    longest = np.array(result.history["longest"][: CONFIG["nets"]])
    net = int(longest.argmax())
    mine = [
        ({name: w[net] for name, w in weights.items()}, int(failures[net]))
        for weights, failures in shots
        if net in weights["W"]
    ]
    return result, net, mine


def replay(weights, seed):
    """A trial without learning, pushes drawn as in learning: states (steps + 1, 4), pushes
    (steps,), and what the critic expected, Q (steps, 4)."""
    rng, state = np.random.default_rng(seed), problem.START
    one = {name: w[None] for name, w in weights.items()}
    states, pushes, expected = [state], [], []
    while len(pushes) < LONGEST and not problem.cart_pole_failed(state):
        z = problem.seen(state)[None]
        push = rng.random() < problem.sigmoid(problem.actor_forward(one, z)[1][0])
        x = np.append(z[0], push)[None, None]
        expected.append(problem.critic_forward(one, np.ones(1, bool), x)[1][0, 0])
        pushes.append(push)
        state = problem.cart_pole_step(state, problem.FORCE if push else -problem.FORCE)
        states.append(state)
    return np.array(states), np.array(pushes), np.array(expected)


def draw_cart(axis, states, pushes, now, failures):
    """Cart, pole and push at step `now`; grey: where the pole was."""
    axis.clear()
    for step in range(max(0, now - 60), now + 1, 6):
        x, angle = states[step, 0], states[step, 2]
        axis.plot([x, x + np.sin(angle)], [0.1, 0.1 + np.cos(angle)], color=GREY, alpha=0.35)
    x, angle = states[now, 0], states[now, 2]
    axis.add_patch(plt.Rectangle((x - 0.25, -0.1), 0.5, 0.2, color=BLACK))
    axis.plot([x, x + np.sin(angle)], [0.1, 0.1 + np.cos(angle)], color=GREEN, linewidth=5)
    way = 1 if pushes[min(now, len(pushes) - 1)] else -1
    arrow = {"arrowstyle": "-|>", "color": PINK, "linewidth": 2}
    axis.annotate("", (x + 0.95 * way, 0), (x + 0.25 * way, 0), arrowprops=arrow)
    for side in (-problem.TRACK, problem.TRACK):
        axis.axvline(side, color=RED, linestyle="--", linewidth=0.8)
    axis.axhline(-0.1, color=BLACK, linewidth=0.8)
    axis.set(xlim=(-2.9, 2.9), ylim=(-0.4, 1.5), aspect="equal", yticks=[], xlabel="track [m]")
    failed = now == len(states) - 1 and problem.cart_pole_failed(states[-1])
    text = f"after {failures} failures: {now * problem.TICK:.1f} s"
    axis.set_title(text + (", failed" if failed else ""))


def draw_pains(axis, expected):
    """The four pains that the critic expects, as bars."""
    axis.clear()
    axis.barh(range(4), np.maximum(expected, 1e-9), color=COLOURS)
    axis.set(xscale="log", xlim=(1e-3, 1), yticks=range(4), yticklabels=PAINS)
    axis.set_xlabel("expected pain $Q_k$ (log)")
    axis.set_title("the critic expects")
    axis.invert_yaxis()


def draw_lengths(axis, lives, flat, failures):
    """Trials so far of the net that is shown, grey: all trials of a flat scalar net."""
    axis.clear()
    for values, colour, label in (
        (flat, GREY, "one output, no hidden units"),
        (lives[: failures + 1], GREEN, "four outputs"),
    ):
        axis.plot(range(1, len(values) + 1), values, ".", color=colour, markersize=3, label=label)
    axis.axhline(problem.BALANCED, color=PINK, linestyle="--", linewidth=0.8)
    axis.set(yscale="log", ylim=(5, 60_000), xlim=(0, 1.05 * len(lives) + 5))
    axis.set(xlabel="trials", ylabel="length [steps]")
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, 0.95), markerscale=3)


def main():
    options = figure_options(__doc__, "pole_balance_markov_vac.gif")
    result, net, shots = learn(options.seed)
    lives = [*result.lives[net], result.history["longest"][net]]
    flat = result.lives[CONFIG["nets"] + net][: len(lives)]
    recent = [np.mean(lives[max(0, failures - 10) : failures + 1]) for _, failures in shots]
    places = spaced(np.log(np.maximum.accumulate(recent)), EPISODES)
    frames = []
    for place in places:
        weights, failures = shots[place]
        states, pushes, expected = replay(weights, options.seed)
        for now in np.linspace(0, len(states) - 1, SHOTS).astype(int):
            frames.append((states, pushes, expected, failures, now))
    figure = plt.figure(figsize=(6.4, 4.0))
    grid = figure.add_gridspec(2, 2, width_ratios=[1.7, 1], height_ratios=[1, 1])
    cart, pains, below = (
        figure.add_subplot(place) for place in (grid[0, 0], grid[0, 1], grid[1, :])
    )

    def draw(frame):
        states, pushes, expected, failures, now = frame
        draw_cart(cart, states, pushes, now, failures)
        draw_pains(pains, expected[min(now, len(expected) - 1)])
        draw_lengths(below, lives, flat, failures)

    write_gif(options.out, figure, draw, frames, seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
