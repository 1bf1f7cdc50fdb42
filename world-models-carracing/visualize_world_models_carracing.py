"""Draw the pictures of world models, car racing: one run with smaller populations, and the seeds of
results.json."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import world_models_carracing as problem

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

SHORT = {"v_steps": 2500, "m_steps": 500, "population": 48, "tracks": 3, "generations": 30}
NAMES = {"zh": ("C on (z, h): with memory", BLUE), "z": ("C on z alone", ORANGE)}
HALF = problem.SIZE // 2
DECISION = problem.FRAME * problem.REPEAT  # s


def picture(pixels):
    """A 32 x 32 view from pixels in V's order."""
    view = np.zeros(1024)
    view[problem.ORDER] = pixels
    return view.reshape(32, 32)


def lap_of(result, name, track):
    """One drive on a test road: states (decisions, 12), views (decisions, 1024), z and h."""
    race = problem.Race(result.tests, np.array([track]))
    drive = problem.drive_one(result.brain, race, result.controllers[name], 1000)
    rows = [(race.cars[:, 0].copy(), race.look()[0], z[0], h[0]) for z, h, _ in drive]
    return [np.array(column) for column in zip(*rows, strict=True)]


def draw_net(out):
    """Who feeds whom, and from what each part learns."""
    figure, axis = plt.subplots(figsize=(7, 2.7))
    axis.set(xlim=(0, 10), ylim=(0, 4.2))
    axis.axis("off")
    boxes = [
        ("game: roads, cars", 1.3, 3, BLACK, "keeps the score"),
        ("V: autoencoder", 4.1, 3, GREEN, "learns from views"),
        ("M: LSTM", 6.3, 1, PINK, "learns from drives"),
        ("C: linear", 8.9, 3, BLUE, "searched by score"),
    ]
    for text, x, y, colour, how in boxes:
        style = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": colour}
        axis.text(x, y, text, ha="center", va="center", bbox=style | {"linewidth": 2})
        axis.text(x, y - 0.75, how, ha="center", fontsize=8)
    arrows = [
        ((2.5, 3), (3.0, 3), "view", (2.75, 3.15)),
        ((5.2, 3), (8.1, 3), "$z_t$", (6.6, 3.1)),
        ((4.9, 2.6), (5.9, 1.45), "$z_t$", (5.6, 2.05)),
        ((6.95, 1.2), (8.1, 2.6), "$h_t$", (7.35, 1.95)),
    ]
    for start, end, text, place in arrows:
        axis.annotate("", end, start, arrowprops={"arrowstyle": "->", "linewidth": 1.2})
        axis.text(*place, text, ha="center", va="bottom")
    axis.annotate("", (4.7, 1), (5.65, 1), arrowprops={"arrowstyle": "->", "linewidth": 1.2})
    axis.text(4.6, 1, "predicts $z_{t+1}$", ha="right", va="center")
    axis.plot([8.9, 8.9, 1.3], [3.45, 3.9, 3.9], color=BLACK, linewidth=1.2)
    axis.annotate("", (1.3, 3.4), (1.3, 3.9), arrowprops={"arrowstyle": "->", "linewidth": 1.2})
    axis.text(5, 3.95, "$a_t$: steer, gas, brake", ha="center", va="bottom")
    axis.plot([9.75, 9.75], [2.6, 0.9], color=BLACK, linewidth=1.2)
    axis.annotate("", (7.0, 0.9), (9.75, 0.9), arrowprops={"arrowstyle": "->", "linewidth": 1.2})
    axis.text(8.6, 0.8, "$a_t$", ha="center", va="top")
    figure.savefig(out / "net.png")


def draw_scores(result, runs, out):
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.0), width_ratios=[1.5, 1])
    bins = np.arange(-100, 1001, 50)
    for name, (label, colour) in NAMES.items():
        scores = result.scores[name]
        left.hist(
            scores,
            bins,
            color=colour,
            alpha=0.6,
            label=f"{label}: {scores.mean():.0f} $\\pm$ {scores.std():.0f}",
        )
    left.set(
        xlabel="score on an unseen road",
        ylabel=f"roads, of {len(scores)}",
        title="One search with smaller populations",
    )
    left.legend(loc="upper left")
    for run in runs:
        right.plot(
            [0, 1],
            [run["z_score"], run["full_score"]],
            "o-",
            color=GREY,
            markersize=4,
            linewidth=0.8,
        )
    right.plot(
        [0, 1], [632, 906], "k*--", markersize=9, linewidth=1, label="paper's game and sizes"
    )
    right.axhline(900, color=RED, linewidth=0.8, linestyle=":")
    right.text(-0.3, 903, "solved", color=RED, fontsize=8, va="bottom")
    right.set(
        xticks=[0, 1],
        xticklabels=["z alone", "(z, h)"],
        xlim=(-0.35, 1.35),
        ylabel="mean over 100 unseen roads",
    )
    right.set_title("Recorded searches, one line a seed")
    right.legend(loc="lower right", fontsize=8)
    figure.savefig(out / "scores.png")


def draw_probe(result, out):
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.3), sharey=True)
    true = result.probe["true"].ravel()
    chosen = np.random.default_rng(0).choice(len(true), min(2000, len(true)), replace=False)
    for axis, name, title in zip(
        axes, ("z", "h"), ("from z, the present view", "from h, M's memory"), strict=True
    ):
        read = result.probe[name].ravel()
        r2 = 1 - np.mean((true - read) ** 2) / true.var()
        axis.plot(
            true[chosen],
            read[chosen],
            ".",
            markersize=2,
            alpha=0.5,
            color=NAMES["zh" if name == "h" else "z"][1],
        )
        axis.plot([0, 80], [0, 80], color=BLACK, linewidth=0.8)
        axis.set(
            xlabel="true speed [units/s]",
            title=f"{title}: $R^2$ = {r2:.2f}",
            xlim=(-3, 95),
            ylim=(-20, 95),
        )
    axes[0].set_ylabel("speed as a linear read-out says [units/s]")
    figure.savefig(out / "speed_probe.png")


def sharpest_bend(tracks):
    """Track and tile with the most turn over 10 tiles, in the first half of a road."""
    best = (0.0, 0, 0)
    for track, lap in enumerate(tracks.laps):
        turn = np.abs(np.diff(np.unwrap(lap[: len(lap) // 2, 2]))[20:])
        total = np.convolve(turn, np.ones(10), "valid")
        best = max(best, (float(total.max()), track, int(total.argmax()) + 25))
    return best


def draw_bend(result, out):
    turn, track, tile = sharpest_bend(result.tests)
    x, y, _ = result.tests.laps[track][tile]
    grey = result.tests.grey.reshape(-1, problem.SIZE, problem.SIZE)[track]
    figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.9), sharex=True, sharey=True)
    for axis, name in zip(axes, ("z", "zh"), strict=True):
        cars = lap_of(result, name, track)[0]
        speed = np.hypot(cars[:, problem.SPEED_X], cars[:, problem.SPEED_Y])
        axis.imshow(
            grey,
            cmap="gray",
            vmin=-100,
            vmax=300,
            origin="lower",
            extent=(-HALF, HALF, -HALF, HALF),
        )
        dots = axis.scatter(cars[:, 0], cars[:, 1], c=speed, s=9, cmap="plasma", vmin=0, vmax=90)
        axis.set(
            xlim=(x - 45, x + 45), ylim=(y - 45, y + 45), title=NAMES[name][0], xlabel="x [units]"
        )
    axes[0].set_ylabel("y [units]")
    figure.colorbar(dots, ax=axes, label="speed [units/s]", shrink=0.8)
    figure.suptitle(
        f"The sharpest bend of the unseen roads ({np.degrees(turn):.0f} degrees in 35 units), "
        "one dot a decision"
    )
    figure.savefig(out / "bend.png")


def draw_views(result, out):
    cars, views, z, h = lap_of(result, "zh", 0)
    moments = np.linspace(10, len(views) - 1, 7).astype(int)
    figure, axes = plt.subplots(3, 7, figsize=(7, 3.4))
    for column, t in enumerate(moments):
        _, step, _ = mixture = problem.predict(result.brain.memory, h[t : t + 1], z.shape[1])
        ahead = (np.exp(mixture[0]) * step).sum(0).T + z[t - 1]
        rows = (
            views[t] / 255,
            problem.decode(result.brain.vision, z[t : t + 1])[0],
            problem.decode(result.brain.vision, ahead)[0],
        )
        for axis, pixels in zip(axes[:, column], rows, strict=True):
            axis.imshow(picture(pixels), cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
        axes[0, column].set_title(f"{t * DECISION:.1f} s")
    for axis, label in zip(
        axes[:, 0], ("view", "V: decoded z", "M: predicted\n0.04 s before"), strict=True
    ):
        axis.set_ylabel(label)
    figure.savefig(out / "views.png")


def main():
    options = figure_options(__doc__, "viz")
    runs = [run["metrics"] for run in recorded("memory")]
    options.out.mkdir(parents=True, exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed, **SHORT))
    draw_net(options.out)
    draw_scores(result, runs, options.out)
    draw_probe(result, options.out)
    draw_bend(result, options.out)
    draw_views(result, options.out)


if __name__ == "__main__":
    figure_main(main)
