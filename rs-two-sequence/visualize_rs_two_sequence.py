"""Draw the pictures of rs-two-sequence into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import rs_two_sequence as problem

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


NAMES = {"latch1": "latch I", "latch2": "latch II", "a1": "2-sequence, A1", "a2": "2-sequence, A2"}
PAPER = {"latch1": 6, "latch2": 22, "a1": 1247, "a2": 718}


def draw_survival(trials):
    """Share of replicates that need more than so many guesses, with the geometric law of the same
    mean."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    for (name, values), colour in zip(trials.items(), (BLUE, ORANGE, GREEN, RED), strict=True):
        values, mean = np.sort(values), np.mean(values)
        axis.step(
            values,
            1 - np.arange(len(values)) / len(values),
            where="pre",
            color=colour,
            label=NAMES[name],
        )
        grid = np.linspace(0, values[-1], 200)
        axis.plot(grid, (1 - 1 / mean) ** grid, "--", color=colour, linewidth=1)
    axis.set(
        xscale="log",
        yscale="log",
        ylim=(0.004, 1.1),
        xlabel="guesses",
        ylabel="share of replicates not yet solved",
    )
    axis.plot([], [], "--", color=BLACK, label="geometric law of the same mean")
    axis.legend()
    return figure


def draw_means(trials):
    """Mean guesses with 95 % intervals beside the published means."""
    figure, axis = plt.subplots(figsize=(6.4, 3))
    for i, (name, values) in enumerate(trials.items()):
        half = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values))
        axis.errorbar(
            np.mean(values),
            i,
            xerr=half,
            fmt="o",
            color=BLUE,
            capsize=4,
            label="ours, 95 % interval" if i == 0 else None,
        )
        axis.plot(PAPER[name], i, "x", color=RED, markersize=9, label="paper" if i == 0 else None)
    axis.set(
        xscale="log",
        xlabel="mean guesses",
        yticks=range(len(trials)),
        yticklabels=[NAMES[name] for name in trials],
        ylim=(-0.6, 3.6),
    )
    axis.invert_yaxis()
    axis.legend()
    return figure


def early_gradient(hidden, steps, seed):
    """Mean |dE/do(1)| of twelve nets with weights in [-1, 1] on sequences of so many steps, in
    double precision."""
    rng = np.random.default_rng(seed)
    x, lengths, label = problem.make_set(
        rng, problem.Config(sequences=20, shortest=steps, longest=steps), problem.STD_02
    )
    weights, x = problem.draw_recurrent(rng, 12, hidden, 1.0).astype(float), x.astype(float)
    h, o = problem.forward(weights, x)
    return problem.backward(weights, x, lengths, h, o, problem.errors_at_end(o, lengths, label))[
        1
    ].mean()


def draw_control(curves, seed):
    """Back-propagation: best training error, and the gradient that reaches the first step."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3))
    lags = [5, 10, 20, 50, 100, 200, 350, 500]
    for (name, (error, _)), hidden in zip(curves.items(), (1, 10), strict=True):
        left.plot(error, label=NAMES[name])
        right.plot(
            lags, [early_gradient(hidden, lag, seed) for lag in lags], "o-", label=NAMES[name]
        )
    left.axhline(0.25, color=GREY, linestyle=":", label="answer 0.5 always")
    left.set(xlabel="epoch", ylabel="mean squared error, best of six nets", ylim=(0, 0.3))
    right.set(
        xlabel="length of the sequence [steps]",
        ylabel="mean |gradient| at the first step",
        yscale="log",
    )
    left.legend(loc="lower left")
    return figure


def density(name, noise, seed, config, count):
    """Share of random nets that are accepted, over several training sets."""
    condition = problem.dataclasses.replace(problem.CONDITIONS[name], noise=noise)
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(4):
        training = problem.make_set(rng, config, noise)
        hits += len(problem.accepted(condition, condition.draw(rng, count // 4), training)[0])
    return hits / count


def draw_density(seed, config):
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    levels = np.array([0.0, 0.1, 0.2, 0.3, 0.447])
    for name, count in (("latch2", 8_000), ("a1", 24_000), ("a2", 12_000)):
        shares = np.array(
            [density(name, level, seed + i, config, count) for i, level in enumerate(levels)]
        )
        found = shares > 0
        axis.plot(
            levels[found], shares[found], "o-", label=f"{NAMES[name]}, {count:,} guesses a point"
        )
    axis.axvline(problem.STD_02, color=GREY, linestyle=":")
    axis.axvline(problem.VARIANCE_02, color=GREY, linestyle=":")
    axis.text(problem.STD_02, 0.04, " std 0.2", color=GREY)
    axis.text(problem.VARIANCE_02, 0.04, "variance 0.2 ", color=GREY, ha="right")
    axis.set(
        yscale="log",
        xlabel="standard deviation of the noise",
        ylabel="share of random nets that solve the task",
    )
    axis.legend(loc="lower left")
    return figure


def draw_cube(nets):
    """Weights of the accepted latch II nets."""
    w, v, b = np.array(nets).T
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3))
    for axis, other, label in ((left, v, "v, weight of the input"), (right, b, "b, bias")):
        axis.scatter(w, other, s=10, color=BLUE)
        axis.set(
            xlim=(-100, 100),
            ylim=(-100, 100),
            xlabel="w, weight of the unit to itself",
            ylabel=label,
        )
        axis.axvline(0, color=GREY, linewidth=0.5)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(parents=True, exist_ok=True)
    config = problem.Config(
        seed=options.seed,
        latch_replicates=150,
        a1_replicates=40,
        a2_replicates=15,
        loud_replicates=0,
        control_ratio=5.0,
    )
    result = problem.run(config)
    trials = {name: result.trials[name] for name in NAMES}
    figures = {
        "survival": draw_survival(trials),
        "means": draw_means(trials),
        "control": draw_control(result.curves, options.seed),
        "density": draw_density(options.seed, config),
        "cube": draw_cube(result.nets["latch2"]),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
