"""Draw the pictures of flip-flop: one run of both versions and all controls, and one of the earlier
catalog's level task."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import flip_flop as problem
import flip_flop_v1 as level
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


NAMES = {
    "parallel": ("parallel version", BLUE, "-"),
    "sequential": ("sequential version", GREEN, "-"),
    "deterministic": ("parallel, output without noise", ORANGE, "--"),
    "memoryless controller": ("controller without memory", RED, ":"),
    "memoryless model": ("model without memory", PINK, "-."),
}


def curve(history, name, key):
    """Thousands of counted steps and the values of one condition."""
    rows = [i for i, condition in enumerate(history["condition"]) if condition == name]
    return np.array([history["step"][i] for i in rows]) / 1000, np.array(
        [history[key][i] for i in rows]
    )


def draw_solved(result):
    figure, axis = plt.subplots(figsize=(6.4, 4))
    for name, (label, colour, style) in NAMES.items():
        steps, share = curve(result.history, name, "solved")
        axis.plot(np.append(0, steps), 100 * np.append(0, share), style, color=colour, label=label)
    for height, text, colour in (
        (66.7, "paper, parallel: 20 of 30", BLUE),
        (60, "paper, sequential: 6 of 10", GREEN),
    ):
        axis.axhline(height, color=colour, linewidth=0.8, linestyle=(0, (1, 3)))
        axis.text(
            axis.get_xlim()[1],
            height,
            text,
            color=colour,
            fontsize=8,
            ha="right",
            va="bottom" if height > 61 else "top",
        )
    axis.set(
        xlabel="counted steps of each net, model phase included [thousands]",
        ylabel="nets that passed the test,\nof ten in each condition [%]",
    )
    axis.set(xlim=(0, None), ylim=(-2, 102))
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


def draw_training(result):
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 6), sharex=True)
    for name in ("parallel", "sequential"):
        label, colour, _ = NAMES[name]
        for axis, key in zip(axes, ("pain", "model_error", "cosine"), strict=True):
            axis.plot(*curve(result.history, name, key), color=colour, label=label, linewidth=1)
    phase = problem.Config().model_steps / 1000
    for axis in axes:
        axis.axvspan(0, phase, color=GREEN, alpha=0.08, linewidth=0)
    axes[0].text(
        phase / 2,
        0.05,
        "sequential: M alone,\nrandom outputs",
        ha="center",
        color=GREEN,
        fontsize=8,
    )
    axes[0].set(ylabel="mean pain of what\nwas answered", ylim=(0, None))
    axes[1].set(ylabel="M's mean squared\nerror at B", yscale="log")
    axes[2].set(
        ylabel="cosine of dp^/dy\nwith 2 (y - d)",
        xlabel="counted steps of each net [thousands]",
        ylim=(-0.2, 1.05),
    )
    axes[0].legend(loc="upper right")
    return figure


def landscape(problem_nets, rng, grid, steps=400):
    """p^ for every y of grid in the six contexts [armed or not, event], averaged over a stream: (2,
    3, nets, len(grid))."""
    controller, model = problem_nets
    nets = len(controller["hidden"])
    events = rng.integers(0, 3, (steps, nets, 1))
    d, bits = problem.desired(events, np.zeros((nets, 1), bool))
    before = np.concatenate([np.zeros((1, nets, 1), bool), bits[:-1]])
    z = problem.empty_rows(steps, nets, 1, problem.C_INPUTS, controller["hidden"].shape[2])
    z[:-1, ..., :3] = events[..., None] == np.arange(3)
    y, _ = problem.act(
        controller, z, 0, d, np.zeros_like(d), np.zeros((steps, 1, 1, 1), z.dtype), 0.0
    )
    zm = problem.empty_rows(steps, nets, 1, problem.M_INPUTS, model["hidden"].shape[2])
    zm[:-1, ..., :4], zm[:-1, ..., problem.M_ACTION] = z[:-1, ..., :4], y
    problem.forward(model, zm, problem.M_INPUTS)
    surface = np.empty((2, 3, nets, len(grid)))
    for j, action in enumerate(grid):
        zm[:-1, ..., problem.M_ACTION] = action
        h = np.tanh(zm[:-1] @ model["hidden"])
        sums = h @ model["output"][:, 1:] + model["output"][:, :1]
        predicted = problem.sigmoid(sums)[..., 0]
        for armed in (0, 1):
            for event in range(3):
                here = (before == armed) & (events == event)
                here[:20] = False
                surface[armed, event, :, j] = (predicted * here).sum((0, 2)) / here.sum((0, 2))
    return surface


def draw_landscape(result, rng):
    trained, grid = result.trained["parallel"], np.linspace(0, 1, 21)
    figure, axes = plt.subplots(2, 3, figsize=(6.4, 4.2), sharex=True, sharey=True)
    for nets, colour, label in (
        (trained.untrained, GREY, "before learning"),
        ((trained.controller, trained.model), BLUE, "after learning"),
    ):
        surface = landscape(nets, rng, grid)
        for (armed, event), axis in np.ndenumerate(axes):
            axis.plot(grid, surface[armed, event].T, color=colour, linewidth=0.6, alpha=0.6)
            axis.plot([], [], color=colour, label=label)
    for (armed, event), axis in np.ndenumerate(axes):
        wanted = float(armed and event == problem.B)
        axis.plot(grid, (grid - wanted) ** 2, "--", color=ORANGE, linewidth=1.5, label="true pain")
        axis.set(
            title=f"{'armed' if armed else 'not armed'}, now {'ABX'[event]}: d = {wanted:.0f}",
            ylim=(0, 1.02),
        )
    for axis in axes[1]:
        axis.set_xlabel("answer y")
    for axis in axes[:, 0]:
        axis.set_ylabel("predicted pain p^")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def draw_lags(result, rng):
    figure, axis = plt.subplots(figsize=(6.4, 3))
    lags = [0, 1, 3, 10, 30, 100, 300, 1000]
    for name in ("parallel", "sequential"):
        label, colour, _ = NAMES[name]
        share = [
            100 * problem.lag_test(result.trained[name].controller, rng, lag).mean() for lag in lags
        ]
        axis.plot(share, "o-", color=colour, label=f"{label} (10 nets)", alpha=0.8)
    axis.axvspan(-0.3, 3.2, color=GREY, alpha=0.15, linewidth=0)
    axis.text(1.5, 8, "waits that occur\nin training", ha="center", fontsize=8)
    axis.set_xticks(range(len(lags)), lags)
    axis.set(
        ylim=(-3, 103),
        xlabel="number of X between A and B [steps]",
        ylabel="nets right 20 times of 20 [%]",
    )
    axis.legend(loc="lower right")
    return figure


def draw_latch(result):
    """The states of two nets on X, A, twenty times X, B, B, X."""
    events = np.array(
        [problem.X] * 3 + [problem.A] + [problem.X] * 20 + [problem.B, problem.B] + [problem.X] * 4
    )
    figure, axes = plt.subplots(
        2, 2, figsize=(6.4, 4.2), sharex=True, sharey="row", height_ratios=[2, 1]
    )
    for column, name in enumerate(("parallel", "sequential")):
        controller = result.trained[name].controller
        shaped = events[:, None, None].repeat(len(controller["hidden"]), 1)
        states, z, armed = [], None, None
        for event in shaped:
            y, _, z, armed = problem.respond(controller, event[None], z, armed)
            states.append(np.append(z[0, 0, problem.C_INPUTS :], y[0, 0, 0]))
        states = np.array(states)
        axes[0, column].plot(states[:, :-1], ".-", linewidth=0.8, markersize=3)
        axes[1, column].bar(range(len(events)), states[:, -1], color=BLUE)
        axes[0, column].set(title=f"{name} version, first net", ylim=(-1.05, 1.05))
        axes[1, column].set(ylim=(-0.25, 1.05), xlabel="step", yticks=[0, 1])
        for t, event in enumerate(events):
            axes[1, column].text(
                t,
                -0.15,
                "ABX"[event],
                ha="center",
                va="center",
                fontsize=6.5,
                color=[GREEN, RED, GREY][event],
            )
    axes[0, 0].set_ylabel("hidden states of C")
    axes[1, 0].set_ylabel("answer y")
    return figure


def hinton(axis, matrix, title, rows, columns):
    """Squares with the weight as area, blue for positive, orange for negative ones."""
    size = np.sqrt(np.abs(matrix) / np.abs(matrix).max()) * 0.95
    for (i, j), side in np.ndenumerate(size):
        colour = BLUE if matrix[i, j] > 0 else ORANGE
        axis.add_patch(
            plt.Rectangle((j - side / 2, i - side / 2), side, side, color=colour, linewidth=0)
        )
    axis.set(
        xlim=(-0.6, matrix.shape[1] - 0.4),
        ylim=(matrix.shape[0] - 0.4, -0.6),
        title=title,
        aspect="equal",
    )
    axis.set_yticks(range(len(rows)), rows, fontsize=7)
    axis.set_xticks(range(len(columns)), columns, fontsize=7)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)


def draw_weights(result):
    figure, axes = plt.subplots(1, 4, figsize=(6.4, 4), width_ratios=[8, 2.6, 12, 2.2])
    trained = result.trained["parallel"]
    for k, (name, net, inputs, outputs) in enumerate(
        (
            ("C", trained.controller, ["A", "B", "X", "p(t-1)", "1"], ["m", "v"]),
            ("M", trained.model, ["A", "B", "X", "p(t-1)", "y", "1"], ["p^"]),
        )
    ):
        units = [f"h{i + 1}" for i in range(net["hidden"].shape[2])]
        largest = np.abs(net["hidden"][0]).max(), np.abs(net["output"][0]).max()
        numbers = [u[1:] for u in units]
        hinton(
            axes[2 * k],
            net["hidden"][0],
            f"{name}: into its hidden units\n(largest {largest[0]:.1f})",
            inputs + units,
            numbers,
        )
        hinton(
            axes[2 * k + 1], net["output"][0], f"out\n({largest[1]:.1f})", ["1"] + units, outputs
        )
        axes[2 * k].set_xlabel("hidden unit")
    return figure


WAIT = [level.X, level.NOTHING, level.X]
CONTEXTS = (
    ("just after A", [level.B, level.X, level.A]),
    ("A, then X", [level.B, level.A, *WAIT]),
    ("just after B", [level.A, level.X, level.B]),
    ("B, then X", [level.A, level.B, *WAIT]),
    ("B, long ago", [level.A, level.B, *WAIT * 4]),
)


def levels(events):
    """The wanted level after each of the events."""
    d = [0.0]
    for event in events:
        d.append(1.0 if event == level.B else 0.0 if event == level.A else d[-1])
    return np.array(d[1:])


def draw_level(seed):
    """The earlier catalog's task: training curves, a test episode, and M's landscape in five
    contexts."""
    result = level.run(level.Config(seed=seed))
    controller, model, episode = (
        result.trained[name] for name in ("controller", "model", "episode")
    )
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 6.6))
    axes[0].plot(
        result.history["update"], result.history["pain"], color=RED, label="mean pain of C"
    )
    axes[0].plot(
        result.history["update"],
        result.history["model_error"],
        color=BLUE,
        label="M's mean squared error",
    )
    axes[0].set(yscale="log", xlabel="updates (one episode of 20 steps each)", ylabel="per step")
    t = np.arange(len(episode["d"]))
    axes[1].step(t, episode["d"], where="mid", color=BLACK, linewidth=1, label="wanted level d")
    axes[1].plot(t, episode["y"], ".-", color=ORANGE, linewidth=0.8, markersize=4, label="answer y")
    axes[1].plot(t, (episode["y"] - episode["d"]) ** 2, color=RED, linewidth=1, label="pain")
    axes[1].plot(t, episode["predicted"], ":", color=BLUE, label="predicted pain")
    for i, event in enumerate(episode["events"]):
        axes[1].text(
            i,
            -0.12,
            "ABX·"[event],
            ha="center",
            va="center",
            fontsize=7,
            color=[GREEN, RED, GREY, GREY][event],
        )
    axes[1].set(
        ylim=(-0.2, 1.05),
        xlim=(-1, len(t)),
        xlabel="step of a fresh test episode (· = no event)",
        ylabel="output, pain",
    )
    grid = np.linspace(0, 1, 31)
    for (label, events), colour in zip(CONTEXTS, (GREEN, SKY, RED, ORANGE, PINK), strict=True):
        shaped = np.repeat(np.array(events)[:, None], len(grid), 1)
        d = np.repeat(levels(events)[:, None], len(grid), 1)
        _, y = level.act(controller, shaped, d)
        y[-1] = grid
        _, predicted = level.predict(model, shaped, y, d)
        axes[2].plot(grid, predicted[-1], color=colour, label=f"{label}: d = {d[-1, 0]:.0f}")
    axes[2].set(xlabel="answer y", ylabel="predicted pain p^", ylim=(0, 1))
    for axis in axes:
        axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(parents=True, exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    rng = np.random.default_rng(options.seed)
    pictures = {
        "solved": draw_solved(result),
        "training": draw_training(result),
        "landscape": draw_landscape(result, rng),
        "lags": draw_lags(result, rng),
        "latch": draw_latch(result),
        "weights": draw_weights(result),
        "level": draw_level(options.seed),
    }
    for name, figure in pictures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
