"""Animate flip-flop: one controller on a test stream, with its model's predictions, while ten nets
learn in parallel."""

import argparse
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
    """Options of a figure script: seed, and out, a path that lies beside the script unless it is given."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}\n")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the run that is shown (default 0)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).resolve().parent / out,
        metavar="PATH",
        help=f"default {out}",
    )
    options = parser.parse_args()
    if options.seed < 0:
        parser.error(f"argument --seed: must be 0 or more, got {options.seed}")
    return options


# end idiom


# idiom: gif
def write_gif(path, figure, draw, frames, seconds=0.12, hold=3.0, colours=64):
    """Write an animated GIF: draw(frame) repaints the figure for every item of frames; the last one stays `hold` seconds.

    All frames share one palette, and each stores only the rectangle that changed, which keeps the file small.
    """
    images = []
    for frame in frames:
        draw(frame)
        figure.canvas.draw()
        images.append(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
    sample = np.concatenate(images[:: max(1, len(images) // 6)] + images[-1:])
    palette = Image.fromarray(sample).quantize(colours, Image.Quantize.MAXCOVERAGE)
    images = [
        Image.fromarray(image).quantize(palette=palette, dither=Image.Dither.NONE)
        for image in images
    ]
    durations = [round(1000 * seconds)] * (len(images) - 1) + [round(1000 * hold)]
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        disposal=1,
        optimize=False,
    )


# end idiom


STEPS = 60
COLOURS = {problem.A: GREEN, problem.B: RED, problem.X: GREY}


def only(net, i):
    """Net i alone, as a set of one."""
    return {name: w[i : i + 1].astype(float) for name, w in net.items()}


def live(controller, model, events):
    """One net's answers, targets, armed bits, hidden states, pain and predicted pain on events
    (steps,), without noise."""
    shaped = events[:, None, None]
    d, bits = problem.desired(shaped, np.zeros((1, 1), bool))
    units = controller["hidden"].shape[2]
    z = problem.empty_rows(len(events), 1, 1, problem.C_INPUTS, units)
    z[:-1, ..., :3] = shaped[..., None] == np.arange(3)
    silence = np.zeros((len(events), 1, 1))
    y, _ = problem.act(controller, z, 0, d, silence, np.zeros((len(events), 1, 1, units)), 0.0)
    zm = problem.empty_rows(len(events), 1, 1, problem.M_INPUTS, model["hidden"].shape[2])
    zm[:-1, ..., :4], zm[:-1, ..., problem.M_ACTION] = z[:-1, ..., :4], y
    predicted = problem.sigmoid(problem.forward(model, zm, problem.M_INPUTS))
    parts = y, d, bits, z[1:, ..., problem.C_INPUTS :], (y - d) ** 2, predicted[..., 0]
    return [part.reshape(len(events), -1).squeeze() for part in parts]


def learn(seed):
    """Ten nets in parallel: [(counted steps, share solved, controllers, models)], once every test,
    and the result."""
    story = []

    def watch(step, total, solved, controller, model, **_):
        copies = [{name: w.copy() for name, w in net.items()} for net in (controller, model)]
        story.append((step, solved, *copies))

    result = problem.run(problem.Config(seed=seed, conditions="parallel"), watch)
    untrained = result.trained["parallel"].untrained
    return [(0, 0.0, *untrained), *story], result.trained["parallel"]


def test_stream(rng):
    """60 events by chance, but with one long wait: A, sixteen times X, B, B."""
    events = rng.integers(0, 3, STEPS)
    events[34:53] = [problem.A] + [problem.X] * 16 + [problem.B] * 2
    return events


def main():
    options = figure_options(__doc__, "flip_flop.gif")
    story, trained = learn(options.seed)
    shown = int(np.argsort(trained.solved_at)[len(trained.solved_at) // 2])  # the net in the middle
    events = test_stream(np.random.default_rng(options.seed + 2))
    lives = [
        live(only(controller, shown), only(model, shown), events)
        for _, _, controller, model in story
    ]
    armed = lives[-1][2].astype(bool)
    latch = int(np.argmax([abs(np.corrcoef(unit, armed)[0, 1]) for unit in lives[-1][3].T]))
    wrong = [int(np.sum((y > 0.5) != d)) for y, d, *_ in lives]
    solved = [share for _, share, *_ in story]
    thousands = [step / 1000 for step, *_ in story]
    last = min(len(story) - 1, int(np.argmax(solved)) + 6)
    frames = np.unique(np.linspace(0, last, 48).astype(int))

    figure, (top, memory, pains, curve) = plt.subplots(
        4, 1, figsize=(6.4, 5.0), height_ratios=[1.3, 0.9, 0.9, 1.1]
    )
    t, d = np.arange(STEPS), lives[0][1]
    title = top.set_title(f"after {0:,} steps: 0 of {STEPS} answers wrong", pad=22)
    bars = top.bar(t, np.zeros(STEPS), 0.7, color=BLUE, label="answer y, right")
    top.bar([0], [0], color=ORANGE, label="wrong")
    top.step(t, d, where="mid", color=BLACK, linewidth=1, label="wanted d")
    top.axhline(0.5, color=GREY, linewidth=0.5, linestyle=":")
    for i, event in enumerate(events):
        top.text(
            i,
            -0.2,
            "ABX"[event],
            color=COLOURS[event],
            ha="center",
            va="center",
            fontsize=7,
            fontweight="bold",
        )
    top.set(ylim=(-0.35, 1.1), ylabel="output", yticks=[0, 1])
    memory.bar(t[armed], 2, 1, -1, color=YELLOW, alpha=0.6, label="armed: A came, no B since")
    (state,) = memory.plot(
        t,
        0 * t,
        ".-",
        color=BLACK,
        linewidth=0.8,
        markersize=3,
        label=f"hidden unit {latch + 1} of C",
    )
    memory.set(ylim=(-1.1, 1.1), ylabel="state", yticks=[-1, 1])
    (felt,) = pains.step(t, 0 * t, where="mid", color=RED, linewidth=1.2, label="pain p")
    (expected,) = pains.plot(t, 0 * t, ".", color=BLUE, markersize=4, label="predicted by M")
    pains.set(ylim=(-0.05, 1.05), ylabel="pain", yticks=[0, 1])
    (share,) = curve.plot([], [], color=GREEN, label="nets solved, of ten [%]")
    (errors,) = curve.plot([], [], color=ORANGE, label="wrong answers above [%]")
    limits = {"xlim": (0, thousands[last]), "ylim": (-3, 103)}
    curve.set(**limits, xlabel="counted training steps of each net [thousands]", ylabel="%")
    for axis in (top, memory, pains, curve):
        axis.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 0.98), fontsize=7)
    for axis in (top, memory, pains):
        axis.set(xlim=(-1, STEPS), xticks=[])
    figure.canvas.draw()
    figure.set_layout_engine("none")

    def draw(frame):
        y, _, _, states, pain, predicted = lives[frame]
        title.set_text(f"after {story[frame][0]:,} steps: {wrong[frame]} of {STEPS} answers wrong")
        for bar, height, right in zip(bars, y, (y > 0.5) == d, strict=True):
            bar.set(height=height, color=BLUE if right else ORANGE)
        state.set_ydata(states[:, latch])
        felt.set_ydata(pain)
        expected.set_ydata(predicted)
        share.set_data(thousands[: frame + 1], [100 * s for s in solved[: frame + 1]])
        errors.set_data(thousands[: frame + 1], [100 * w / STEPS for w in wrong[: frame + 1]])

    write_gif(options.out, figure, draw, frames, seconds=0.15)


if __name__ == "__main__":
    main()
