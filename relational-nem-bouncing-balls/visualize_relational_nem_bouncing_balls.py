"""Draw errors by event and model, what attention attends to, long predictions, the curtain."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import relational_nem_bouncing_balls as problem

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

UPDATES, VIDEOS = 1500, 600
KINDS = {"attention": BLUE, "sum": SKY, "mean": GREEN, "none": ORANGE}
BALLS = (4, 6, 7, 8)


def draw_errors():
    """Errors a frame ahead by number of balls: at collisions, and elsewhere."""
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 2.8))
    runs = {
        "attention": "relational",
        "none": "relational",
        "sum": "aggregate",
        "mean": "aggregate",
    }
    for axis, event, title in zip(
        axes, ("hit", "free"), ("balls that collide", "all others"), strict=True
    ):
        for shift, (kind, colour) in enumerate(KINDS.items()):
            for place, balls in enumerate(BALLS):
                values = [run["metrics"][f"{kind}_{event}_{balls}"] for run in recorded(runs[kind])]
                x = np.full(len(values), place + 0.16 * (shift - 1.5))
                label = kind if place == 0 else None
                axis.plot(x, values, "o", color=colour, alpha=0.7, markersize=4, label=label)
        axis.set_xticks(range(4), BALLS)
        axis.set(xlabel="balls (trained on 4)", title=title, ylim=(0, None))
    axes[0].set_ylabel("error a frame ahead (pixels)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, title="effects", loc="outside right center")
    return figure


def draw_attention(w, kinds):
    """Attention of a slot that flies towards a resting one, by gap and speed of approach."""
    gaps, speeds = np.linspace(-0.02, 0.15, 60), np.linspace(-0.06, 0.06, 50)
    gap, speed = (part.ravel() for part in np.meshgrid(gaps, speeds))
    r = 0.09
    p = np.zeros((len(gap), 3, 2, 2))
    p[:, :, :, 1] = 0.5
    p[:, :, 1, 0] = 0.6
    for t in range(3):
        p[:, t, 0, 0] = 0.6 - 2 * r - gap - (2 - t) * speed
    n, used = len(gap), np.ones((len(gap), 2), bool)
    seen = problem.describe(p, np.full((n, 2), r), used)
    _, memory = problem.forward(w, kinds, *seen)
    a = memory[3][0, :, 0].reshape(n, 2)[:, 0].reshape(len(speeds), len(gaps))
    figure, axis = plt.subplots(figsize=(4.6, 3))
    extent = (64 * gaps[0], 64 * gaps[-1], 64 * speeds[0], 64 * speeds[-1])
    image = axis.imshow(a, origin="lower", aspect="auto", extent=extent, vmin=0, vmax=1)
    reach = np.linspace(0, 64 * speeds[-1], 20)
    axis.plot(reach, reach, "--", color="white", linewidth=1)
    axis.set(xlabel="gap between two balls (pixels)", ylabel="approach (pixels a frame)")
    figure.colorbar(image, label="attention")
    return figure


def draw_growth(w, kinds, videos, tracks):
    """Mean error of predictions from three frames, by frames ahead."""
    rolled = problem.roll_out(w, kinds, tracks)
    slots, _ = problem.slot_of(tracks, videos, 2)
    figure, axis = plt.subplots(figsize=(4.6, 2.8))
    for kind, model in zip(kinds, rolled, strict=True):
        found = np.take_along_axis(model, slots[:, None, :, None], 2)
        away = 64 * np.linalg.norm(found - videos.places, axis=3).mean((0, 2))
        axis.plot(np.arange(1, 28), away[3:], color=KINDS[kind], label=kind)
    axis.axhline(64 * videos.radii.mean(), color=GREY, linestyle="--", label="a radius")
    axis.set(xlabel="frames ahead", ylabel="mean error (pixels)", ylim=(0, None))
    axis.legend(title="effects")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(parents=True, exist_ok=True)
    kinds, rngs = problem.MODELS["relational"], np.random.default_rng(options.seed).spawn(3)
    videos = problem.make_videos(rngs[0], VIDEOS, 4, problem.FOUR)
    tracks = problem.follow_all(videos.frames, 5, problem.keep_on)
    history = {"update": [], **{kind: [] for kind in kinds}}
    config = problem.Config(updates=UPDATES)
    w = problem.train(config, kinds, tracks, rngs[1], history, None)
    tests = problem.make_videos(rngs[2], 100, 4, problem.FOUR)
    seen = problem.follow_all(tests.frames, 5, problem.keep_on)
    figures = {
        "errors": draw_errors(),
        "attention": draw_attention(w, kinds),
        "growth": draw_growth(w, kinds, tests, seen),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
