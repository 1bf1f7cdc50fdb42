"""Animate world models, take cover: two controllers, in the dream they evolve in and in the room,
at three stages of a run with less training."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import world_models_vizdoom_dream as problem
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


SHORT = {"episodes": 800, "v_steps": 1500, "m_steps": 700, "generations": 16}
STAGES, FRAMES, STRIDE, EPISODES = (1, 5, 16), 9, 8, 40
SHOWN = ((0, BLUE), (3, ORANGE))  # places among problem.TAUS


def in_dreams(rng, brain, weights, tau, starts):
    """Lifetimes in EPISODES dreams, and the pictures of the one of median length."""
    codes = problem.draw_codes(rng, brain.vision, starts[:EPISODES])
    seen = [[] for _ in codes]

    def note(who, z):
        for i, code in zip(who, z, strict=True):
            seen[i].append(code)

    controllers, taus = np.repeat(weights[None], len(codes), 0), np.full(len(codes), tau)
    lived = problem.dream(rng, brain, controllers, taus, codes, 400, note)
    middle = np.argsort(lived)[len(lived) // 2]
    return lived, problem.decode(brain.vision, np.array(seen[middle]))[0]


def in_rooms(rng, brain, weights):
    """The same in the room."""
    seen, who = [[] for _ in range(EPISODES)], np.arange(EPISODES)

    class Watched(problem.Player):
        who = np.arange(EPISODES)

        def act(self, rooms):
            for i, view in zip(self.who, rooms.look(), strict=True):
                seen[i].append(view / 255)
            return super().act(rooms)

        def keep(self, mask):
            super().keep(mask)
            self.who = self.who[mask]

    player = Watched(rng, brain, np.repeat(weights[None], len(who), 0))
    lived = problem.survival(problem.Rooms(rng, len(who)), player, 400)
    return lived, np.array(seen[np.argsort(lived)[len(lived) // 2]])


def main():
    options = figure_options(__doc__, "world_models_vizdoom_dream.gif")
    story, means = [], []

    def watch(generation, total, controllers, brain, **scores):
        story.append(controllers)

    result = problem.run(problem.Config(seed=options.seed, **SHORT), watch)
    rng, films = np.random.default_rng(options.seed + 1), {}
    for generation, controllers in enumerate(story, 1):
        means.append([])
        for which, _ in SHOWN:
            given = result.brain, controllers[which]
            dreamt = in_dreams(rng, *given, problem.TAUS[which], result.starts)
            lived = in_rooms(rng, *given)
            means[-1].append((dreamt[0].mean(), lived[0].mean()))
            films[generation, which] = dreamt[1], lived[1]
    means = np.array(means)  # (generations, SHOWN, dream or room)
    frames = [
        (stage, which, part) for stage in STAGES for which, _ in SHOWN for part in range(FRAMES)
    ]

    figure = plt.figure(figsize=(6.4, 5.0))
    grid = figure.add_gridspec(2, 2, height_ratios=[1.25, 1])
    panels = [figure.add_subplot(grid[0, i]) for i in (0, 1)]
    curve = figure.add_subplot(grid[1, :])
    blank = np.zeros((20, 32))
    images = [panel.imshow(blank, cmap="gray", vmin=0, vmax=1) for panel in panels]
    for panel in panels:
        panel.set(xticks=[], yticks=[])
    texts = [panel.text(15.5, 2, "", color="white", ha="center", fontsize=10) for panel in panels]
    for text in texts:
        text.set_bbox({"facecolor": "black", "alpha": 0.6, "linewidth": 0})
    generations, lines = np.arange(1, len(story) + 1), {}
    for which, colour in SHOWN:
        for place, style in (("dream", "-"), ("room", "--")):
            label = f"temperature {problem.TAUS[which]:.3g}, {place}"
            lines[which, place] = curve.plot([], [], style, color=colour, label=label)[0]
    curve.set(xlim=(0, 1.6 * len(story)), ylim=(0, 1.05 * means.max()), xlabel="generation")
    curve.set_xticks(range(0, len(story) + 1, 4))
    curve.set_ylabel("steps survived\n(mean of 40, at most 400)")
    curve.legend(fontsize=8, loc="upper right")
    heading = figure.suptitle("temperature 1.15, generation 16", fontsize=11)
    for panel, title in zip(panels, ("in its dream (decoded)", "in the room"), strict=True):
        panel.set_title(title)
    figure.canvas.draw()
    figure.set_layout_engine("none")

    def draw(frame):
        stage, which, part = frame
        heading.set_text(f"C of temperature {problem.TAUS[which]:.3g}, generation {stage}")
        heading.set_color(dict(SHOWN)[which])
        for image, text, film in zip(images, texts, films[stage, which], strict=True):
            step = part * STRIDE
            dead = step >= len(film)
            image.set_data(film[min(step, len(film) - 1)].reshape(20, 32))
            text.set_text(f"dead after {len(film)} steps" if dead else f"step {step}")
            text.set_color(YELLOW if dead else "white")
        for i, (other, _) in enumerate(SHOWN):
            for j, place in enumerate(("dream", "room")):
                lines[other, place].set_data(generations[:stage], means[:stage, i, j])

    write_gif(options.out, figure, draw, frames, seconds=0.3)


if __name__ == "__main__":
    figure_main(main)
