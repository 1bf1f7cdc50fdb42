"""Animate flip-flop: one controller on a test stream, while ten nets learn in parallel."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import flip_flop as problem
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


STEPS, FRAMES = 60, 48
COLOURS = {problem.A: BLUE, problem.B: BLACK, problem.X: "#666666"}


def learn(seed):
    """Ten nets of the parallel version: [(counted steps, share solved, controllers)], once every
    test, and when each net first passed."""
    config, story = problem.Config(seed=seed, conditions="parallel"), []

    def watch(step, total, solved, controller, **_):
        story.append((step, solved, {name: w.copy() for name, w in controller.items()}))

    story.append((0, 0.0, problem.Learner(config, ["parallel"]).weights(0)[0]))
    return story, problem.run(config, watch).trained["parallel"][2]


def test_stream(rng):
    """60 events by chance, but with one long wait: A, sixteen times X, B, B."""
    events = rng.integers(0, 3, STEPS)
    events[34:53] = [problem.A] + [problem.X] * 16 + [problem.B] * 2
    return events


def live(controller, events):
    """Outputs (steps, nets), hidden states (steps, nets, units), d and the armed bits (steps,), on
    events (steps,), without noise."""
    shaped = events[:, None, None].repeat(len(controller["hidden"]), 1)
    y, d, rows, armed = problem.respond(controller, shaped)
    return y[..., 0], rows[1:, :, 0, problem.C_INPUTS :], d[:, 0, 0], armed[:, 0, 0]


def write_events(axis, events):
    """The events under the output, one letter a step."""
    for t, event in enumerate(events):
        text = {"ha": "center", "va": "center", "fontsize": 7, "fontweight": "bold"}
        axis.text(t, -0.17, "ABX"[event], color=COLOURS[event], **text)


def main():
    options = figure_options(__doc__, "flip_flop.gif")
    story, solved_at = learn(options.seed)
    shown = int(np.argsort(solved_at)[len(solved_at) // 2])  # the net in the middle
    events = test_stream(np.random.default_rng(options.seed + 2))
    outputs, states, wanted, armed = zip(*(live(net, events) for *_, net in story), strict=True)
    d, armed, t = wanted[0], armed[0], np.arange(STEPS)
    y, states = np.array(outputs)[..., shown], np.array(states)[:, :, shown]
    latch = int(np.argmax([abs(np.corrcoef(unit, armed)[0, 1]) for unit in states[-1].T]))
    right = (y > 0.5) == d
    steps, share, wrong = [s / 1000 for s, *_ in story], [100 * s for _, s, _ in story], ~right
    last = min(len(story) - 1, int(np.argmax(share)) + 3)
    frames = spaced(np.abs(y - d).mean(1)[: last + 1], FRAMES)

    figure, (top, memory, progress) = plt.subplots(
        3, 1, figsize=(6.4, 5.0), height_ratios=[1.3, 1, 1.1]
    )
    title = top.set_title("after 100,000 steps: 60 of 60 answers wrong", pad=22)
    bars = top.bar(t, np.zeros(STEPS), 0.7, color=BLUE, label="answer y, right")
    top.bar([0], [0], color=ORANGE, label="answer y, wrong")
    top.step(t, d, where="mid", color=BLACK, linewidth=1, label="wanted d")
    top.axhline(0.5, color=GREY, linewidth=0.5, linestyle=":")
    write_events(top, events)
    top.set(ylim=(-0.3, 1.1), ylabel="output", yticks=[0, 1], xticks=[], xlim=(-1, STEPS))
    memory.bar(t[armed], 2.2, 1, -1.1, color=YELLOW, alpha=0.6, label="armed: A came, no B since")
    label = f"hidden unit {latch + 1} of C"
    (state,) = memory.plot(t, 0 * t, ".-", color=BLACK, linewidth=0.8, markersize=3, label=label)
    memory.set(ylim=(-1.1, 1.1), ylabel="state", yticks=[-1, 0, 1], xlim=(-1, STEPS))
    memory.set_xlabel("step of the stream")
    (solved,) = progress.plot([], [], color=GREEN, label="nets solved, of ten")
    (errors,) = progress.plot([], [], color=RED, label="wrong answers above")
    progress.set(xlim=(0, steps[last]), ylim=(-3, 103), ylabel="share [%]")
    progress.set_xlabel("counted training steps of each net [thousands]")
    for axis in (top, memory, progress):
        axis.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 0.98), fontsize=7)
    figure.canvas.draw()
    figure.set_layout_engine("none")

    def draw(frame):
        count = f"{wrong[frame].sum()} of {STEPS} answers wrong"
        title.set_text(f"after {story[frame][0]:,} steps: {count}")
        for bar, height, good in zip(bars, y[frame], right[frame], strict=True):
            bar.set(height=height, color=BLUE if good else ORANGE)
        state.set_ydata(states[frame][:, latch])
        solved.set_data(steps[: frame + 1], share[: frame + 1])
        errors.set_data(steps[: frame + 1], 100 * wrong[: frame + 1].mean(1))

    write_gif(options.out, figure, draw, frames, seconds=0.15)


if __name__ == "__main__":
    figure_main(main)
