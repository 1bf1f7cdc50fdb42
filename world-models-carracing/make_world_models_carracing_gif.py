"""Animate world models, car racing: both controllers on one unseen road at three stages of a search
with smaller populations."""

import argparse
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


SHORT = {"v_steps": 2500, "m_steps": 600, "population": 48, "tracks": 3, "test_tracks": 4}
STAGES, FRAMES = (3, 12, 45), 16
NAMES = {"zh": ("with memory: C on (z, h)", BLUE), "z": ("without: C on z", ORANGE)}
HALF = problem.SIZE // 2


def picture(pixels):
    """A 32 x 32 view from pixels in V's order."""
    view = np.zeros(1024)
    view[problem.ORDER] = pixels
    return view.reshape(32, 32)


def lap_of(brain, tracks, weights):
    """One drive on the first track: (decisions,) lists of place, score, view, decoded z and M's
    prediction of the view."""
    rows, before = [], []

    def note(race, z, h, action):
        ahead = z
        if before and h.shape[1]:
            logits, step, _ = problem.predict(brain.memory, h, z.shape[1])
            ahead = before[-1] + (np.exp(logits) * step).sum(0).T
        before.append(z)
        decoded = problem.decode(brain.vision, np.concatenate([z, ahead]))
        rows.append(
            (race.cars[:2, 0].copy(), float(race.score()[0]), race.look()[0] / 255, *decoded)
        )

    problem.drive(brain, tracks, np.zeros(1, int), weights[None], 1000, 1000, note=note)
    return rows


def main():
    options = figure_options(__doc__, "world_models_carracing.gif")
    story, scores = {}, []

    def watch(generation, total, z_mean, zh_mean, controllers, brain):
        scores.append((z_mean, zh_mean))
        if generation in STAGES:
            story[generation] = controllers

    result = problem.run(problem.Config(seed=options.seed, **SHORT), watch)
    drives = {
        stage: {
            name: lap_of(result.brain, result.tests, weights)
            for name, weights in controllers.items()
        }
        for stage, controllers in story.items()
    }
    frames = [(stage, part) for stage in STAGES for part in range(1, FRAMES + 1)]
    grey = result.tests.grey.reshape(-1, problem.SIZE, problem.SIZE)[0]
    lap = result.tests.laps[0]

    figure = plt.figure(figsize=(6.4, 5.2))
    grid = figure.add_gridspec(3, 4, height_ratios=[1, 1, 0.95], width_ratios=[1, 1, 1, 1])
    road = figure.add_subplot(grid[:2, :3])
    curve = figure.add_subplot(grid[2, :3])
    panels = [figure.add_subplot(grid[row, 3]) for row in range(3)]
    road.imshow(
        grey, cmap="gray", vmin=-100, vmax=300, origin="lower", extent=(-HALF, HALF, -HALF, HALF)
    )
    low, high = lap[:, :2].min(0) - 22, lap[:, :2].max(0) + 22
    road.set(xlim=(low[0], high[0]), ylim=(low[1], high[1] + 28), xticks=[], yticks=[])
    lines = {
        name: road.plot([], [], color=colour, linewidth=1.2)[0]
        for name, (_, colour) in NAMES.items()
    }
    dots = {
        name: road.plot([], [], "o", color=colour, markersize=6)[0]
        for name, (_, colour) in NAMES.items()
    }
    texts = {
        name: road.text(
            0.01,
            0.985 - 0.065 * i,
            "",
            color=colour,
            transform=road.transAxes,
            va="top",
            fontweight="bold",
        )
        for i, (name, (_, colour)) in enumerate(NAMES.items())
    }
    images = []
    for panel, title in zip(
        panels,
        ("view 32 x 32", "V: decoded z", "M: predicted 0.04 s\nbefore it was seen"),
        strict=True,
    ):
        images.append(panel.imshow(np.zeros((32, 32)), cmap="gray", vmin=0, vmax=1))
        panel.set(xticks=[], yticks=[])
        panel.set_title(title, fontsize=9)
    generations = np.arange(1, len(scores) + 1)
    means = {"z": [z for z, _ in scores], "zh": [zh for _, zh in scores]}
    curves = {name: curve.plot([], [], ".-", color=NAMES[name][1])[0] for name in ("zh", "z")}
    top = max(max(values) for values in means.values())
    curve.set(
        xlim=(0, len(scores) + 1),
        ylim=(-60, 1.1 * top),
        xlabel="generation of the search",
        ylabel="mean score of 48",
    )
    title = road.set_title("generation 0")
    figure.canvas.draw()
    figure.set_layout_engine("none")

    def draw(frame):
        stage, part = frame
        longest = max(len(rows) for rows in drives[stage].values())
        title.set_text(
            f"An unseen road after {stage} generations, {part / FRAMES * longest * 0.04:.0f} s"
        )
        for name, rows in drives[stage].items():
            now = min(len(rows) - 1, part * longest // FRAMES - 1)
            places = np.array([row[0] for row in rows[: now + 1]])
            lines[name].set_data(*places.T)
            dots[name].set_data(*places[-1:].T)
            texts[name].set_text(f"{NAMES[name][0]}: {rows[now][1]:.0f}")
            if name == "zh":
                for image, pixels in zip(images, rows[now][2:], strict=True):
                    image.set_data(picture(pixels))
            curves[name].set_data(generations[:stage], means[name][:stage])

    write_gif(options.out, figure, draw, frames, seconds=0.25)


if __name__ == "__main__":
    main()
