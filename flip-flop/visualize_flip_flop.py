"""Draw the pictures of flip-flop from one run of both versions and all controls."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import flip_flop as problem
import matplotlib.pyplot as plt
import numpy as np

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


DARK_GREY = "#666666"
NAMES = {
    "parallel": ("parallel version", BLUE, "-"),
    "sequential": ("sequential version", GREEN, "-"),
    "deterministic": ("output without noise", ORANGE, "--"),
    "memoryless": ("C without memory, without pain", RED, ":"),
    "memoryless_feels": ("C without memory, with pain", BLACK, (0, (5, 2, 1, 2))),
    "memoryless_model": ("M without memory", PINK, "-."),
}
PAPER = (
    (200 / 3, "paper, parallel: 20 of 30", BLUE, 1, "bottom"),
    (60, "paper, sequential: 6 of 10", GREEN, -1, "top"),
)


def curve(history, name, key):
    """Thousands of counted steps and the values of one condition."""
    rows = [i for i, condition in enumerate(history["condition"]) if condition == name]
    steps = np.array([history["step"][i] for i in rows])
    return steps / 1000, np.array([history[key][i] for i in rows])


def draw_solved(result):
    """Share of solved nets and the pain of what was answered, for every condition."""
    figure, (solved, pain) = plt.subplots(
        2, 1, figsize=(6.4, 5.4), sharex=True, height_ratios=[3, 2]
    )
    for name, (label, colour, style) in NAMES.items():
        steps, share = curve(result.history, name, "solved")
        solved.plot(steps, 100 * share, linestyle=style, color=colour, label=label)
        pain.plot(*curve(result.history, name, "pain"), linestyle=style, color=colour)
    end = solved.get_xlim()[1]
    for height, text, colour, gap, side in PAPER:
        solved.axhline(height, color=colour, linewidth=0.8, linestyle=(0, (1, 3)))
        solved.text(end, height + gap, text, fontsize=8, ha="right", va=side)
    solved.set(ylabel="nets that passed the test,\nof ten in each condition [%]", ylim=(-2, 102))
    pain.set(ylabel="mean pain a step\n(output noise on)", xlim=(0, end), ylim=(0, None))
    pain.set_xlabel("counted steps of each net, M's phase included [thousands]")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure


def landscape(controller, model, rng, grid, steps=400, skip=20):
    """p^ for every y of grid in the six contexts [armed or not, event], averaged over a stream: (2,
    3, nets, len(grid))."""
    nets = len(controller["hidden"])
    events = rng.integers(0, 3, (steps, nets, 1))
    y, _, z, bits = problem.respond(controller, events)
    before = np.concatenate([np.zeros((1, nets, 1), bool), bits[:-1]])
    zm = problem.empty_rows(steps, nets, 1, problem.M_INPUTS, model["hidden"].shape[2])
    zm[..., :4], zm[:-1, ..., problem.Y] = z[..., :4], y
    problem.forward(model, zm, problem.M_INPUTS)
    surface = np.empty((2, 3, nets, len(grid)))
    for j, answer in enumerate(grid):
        zm[:-1, ..., problem.Y] = answer
        g = np.tanh(zm[:-1] @ model["hidden"])
        sums = g @ model["output"][:, 1:] + model["output"][:, :1]
        predicted = problem.sigmoid(sums)[..., 0]
        for armed, event in np.ndindex(2, 3):
            here = (before == armed) & (events == event)
            here[:skip] = False
            surface[armed, event, :, j] = (predicted * here).sum((0, 2)) / here.sum((0, 2))
    return surface


def draw_landscape(result, config):
    """What the models of the parallel version predict, before and after learning."""
    grid, rng = np.linspace(0, 1, 21), np.random.default_rng(config.seed)
    figure, axes = plt.subplots(2, 3, figsize=(6.4, 4.2), sharex=True, sharey=True)
    untrained = problem.Learner(config, ["parallel"]).weights(0)
    for nets, colour, label in (
        (untrained, GREY, "before learning"),
        (result.trained["parallel"][:2], BLUE, "after learning"),
    ):
        surface = landscape(*nets, rng, grid)
        for place, axis in np.ndenumerate(axes):
            axis.plot(grid, surface[place].T, color=colour, linewidth=0.6, alpha=0.6)
            axis.plot([], [], color=colour, label=f"{label} (10 nets)")
    for (armed, event), axis in np.ndenumerate(axes):
        wanted = float(armed and event == problem.B)
        axis.plot(grid, (grid - wanted) ** 2, "--", color=ORANGE, linewidth=1.5, label="true pain")
        title = f"{'armed' if armed else 'not armed'}, now {'ABX'[event]}: d = {wanted:.0f}"
        axis.set(title=title, ylim=(0, 1.02))
    for axis in axes[1]:
        axis.set_xlabel("answer y")
    for axis in axes[:, 0]:
        axis.set_ylabel("predicted pain p^")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def draw_latch(result):
    """The states of two nets on X X X A, twenty times X, B B X X X X."""
    events = np.array(["ABX".index(c) for c in "XXXA" + "X" * 20 + "BBXXXX"])
    steps = np.arange(len(events))
    figure, axes = plt.subplots(
        2, 2, figsize=(6.4, 4.2), sharex=True, sharey="row", height_ratios=[2, 1]
    )
    for (upper, lower), name in zip(axes.T, problem.VERSIONS, strict=True):
        controller = problem.some(result.trained[name][0], slice(1))
        y, d, rows, _ = problem.respond(controller, events[:, None, None])
        upper.axvspan(3, 23.5, color=YELLOW, alpha=0.35, linewidth=0)
        upper.plot(rows[1:, 0, 0, problem.C_INPUTS :], ".-", linewidth=0.8, markersize=3)
        lower.bar(steps, y[:, 0, 0], color=BLUE, label="answer y")
        lower.step(steps, d[:, 0, 0], where="mid", color=BLACK, linewidth=1, label="wanted d")
        for t, event in enumerate(events):
            colour = [BLUE, BLACK, DARK_GREY][event]
            text = {"ha": "center", "va": "center", "fontsize": 6.5, "color": colour}
            lower.text(t, -0.18, "ABX"[event], **text)
        upper.set(title=f"{name} version, first net", ylim=(-1.05, 1.05))
        lower.set(ylim=(-0.3, 1.05), xlabel="step", yticks=[0, 1])
    axes[0, 0].set_ylabel("hidden states of C\n(one colour each; yellow: armed)")
    axes[1, 0].set_ylabel("output")
    axes[1, 0].legend(loc="upper left", fontsize=8)
    return figure


def squares(axis, matrix, largest):
    """One square a weight, its area in proportion to the size; blue is positive."""
    for (i, j), weight in np.ndenumerate(matrix):
        side = 0.95 * np.sqrt(abs(weight) / largest)
        corner = j - side / 2, i - side / 2
        colour = BLUE if weight > 0 else ORANGE
        axis.add_patch(plt.Rectangle(corner, side, side, color=colour, linewidth=0))
    rows, columns = matrix.shape
    axis.set(xlim=(-0.6, columns - 0.4), ylim=(rows - 0.4, -0.6), aspect="equal")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0, labelsize=7)


def draw_weights(result):
    """The weights of the first net of the parallel version and of its model, on one scale."""
    figure, axes = plt.subplots(
        2, 4, figsize=(6.4, 4.6), width_ratios=[8, 2.4, 12, 2.4], height_ratios=[10, 1]
    )
    nets = [problem.some(net, 0) for net in result.trained["parallel"][:2]]
    largest = max(np.abs(w).max() for net in nets for w in net.values())
    seen = ["A", "B", "X", "p(t-1)"]
    for k, (name, state, inputs, outputs) in enumerate(
        (("C", "h", [*seen, "1"], ["m", "v"]), ("M", "g", [*seen, "y", "1"], ["p^"]))
    ):
        into, out = axes[0, 2 * k], axes[0, 2 * k + 1]
        units = [f"{state}{i + 1}" for i in range(len(nets[k]["output"]) - 1)]
        squares(into, nets[k]["hidden"], largest)
        squares(out, nets[k]["output"], largest)
        into.set_title(f"{name}: into its units")
        out.set_title("out")
        into.set_yticks(range(len(inputs + units)), inputs + units)
        into.set_xticks(range(len(units)), [unit[1:] for unit in units])
        into.set_xlabel(f"hidden unit {state}")
        out.set_yticks(range(len(units) + 1), ["1", *units])
        out.set_xticks(range(len(outputs)), outputs)
    draw_key(figure, axes[1], largest)
    return figure


def draw_key(figure, axes, largest):
    """What area and colour of a square mean."""
    grid = axes[0].get_gridspec()
    for axis in axes:
        axis.remove()
    key = figure.add_subplot(grid[1, :])
    sizes = [0.1, 1.0, round(float(largest), 1)]
    squares(key, np.array([[w * sign for sign in (1, -1) for w in sizes]]), largest)
    labels = [f"{sign}{w:g}" for sign in "+−" for w in sizes]
    key.set(yticks=[], xlim=(-3.6, 5.6))
    key.set_xticks(range(6), labels)
    text = "key: weight\n(area: its size)"
    key.text(-0.8, 0, text, ha="right", va="center", fontsize=8)


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(parents=True, exist_ok=True)
    config = problem.Config(seed=options.seed)
    result = problem.run(config)
    pictures = {
        "solved": draw_solved(result),
        "landscape": draw_landscape(result, config),
        "latch": draw_latch(result),
        "weights": draw_weights(result),
    }
    for name, figure in pictures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
