"""Draw the pictures of evolino-sines-mackey-glass into viz/."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import evolino_sines_mackey_glass as problem
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


COUNTS = (2, 3, 4, 5)
PAPER = (4.15e-3, 8.04e-3, 0.110, 0.166)
LEARNERS = (
    ("", "Evolino", BLUE, "o"),
    ("random_", "as many random LSTMs", SKY, "s"),
    ("echo_", "echo state nets", RED, "^"),
    ("tiny_echo_", "echo state nets, feedback 1e-5", ORANGE, "v"),
    ("linear_", "linear recursion on 2K values", GREEN, "D"),
)


def draw_sines():
    """Test error against the number of sines, every learner, all recorded seeds."""
    runs = [run["metrics"] for run in recorded("default")]
    usual = [run["metrics"] for run in recorded("usual-feedback")]
    figure, axis = plt.subplots(figsize=(6.4, 4.0))
    for place, (prefix, label, colour, mark) in enumerate(LEARNERS):
        errors = np.array([[run[f"sines{k}_{prefix}nrmse"] for k in COUNTS] for run in runs])
        x = np.array(COUNTS) + 0.05 * (place - 2)
        axis.plot(np.tile(x, len(runs)), errors.ravel(), mark, color=colour, alpha=0.4, ms=4)
        axis.plot(x, np.median(errors, axis=0), "-", color=colour, marker=mark, label=label)
    errors = np.median([[run[f"sines{k}_nrmse"] for k in COUNTS] for run in usual], axis=0)
    axis.plot(COUNTS, errors, "--", color=PINK, marker="*", label="Evolino, feedback 0.1")
    axis.plot(COUNTS, PAPER, "_", color=BLACK, markersize=22, label="paper")
    axis.axhline(1, color=GREY, linestyle=":")
    axis.set(yscale="log", xticks=COUNTS, xlabel="number of sines K")
    axis.set_ylabel("closed-loop NRMSE, steps 400-699\n(the mean scores 1)")
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def draw_feedback(seed, count=40):
    """Best of 40 random nets against the size of the initial feedback weights."""
    scales = 10.0 ** np.arange(-8, 1)
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.2))
    for k in COUNTS:
        task, best, sizes = problem.sines(k), [], []
        for scale in scales:
            rng = np.random.default_rng(seed)
            width = problem.initial_range(task, scale)
            nets = problem.Lstms(problem.random_teams(rng, width, count))
            fitness, W = problem.evaluate(nets, task)
            best.append(fitness.min())
            sizes.append(np.linalg.norm(W[fitness.argmin()]))
        axes[0].loglog(scales, best, "o-", ms=4, label=f"{k} sines")
        axes[1].loglog(scales, sizes, "o-", ms=4)
    axes[0].axhline(1, color=GREY, linestyle=":")
    axes[0].axvline(1e-5, color=GREY, linewidth=5, alpha=0.3)
    axes[1].axvline(1e-5, color=GREY, linewidth=5, alpha=0.3)
    axes[0].set_ylabel("closed-loop NRMSE, fitted part")
    axes[1].set_ylabel("norm of the output weights W")
    for axis in axes:
        axis.set_xlabel("initial feedback weights, +-")
    axes[0].legend(fontsize=8)
    figure.suptitle(f"best of {count} random nets, seed {seed}; grey bar: the default", fontsize=9)
    return figure


def draw_search(seed, seeds=3):
    """Fitness while nets are tried: evolution and random draws, five sines, three seeds."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    task = problem.sines(5)
    for s in range(seed, seed + seeds):
        config = problem.Config(seed=s)
        rngs = np.random.default_rng([s, 3]).spawn(4)
        for rng, evolve, colour, label in (
            (rngs[0], True, BLUE, "evolution"),
            (rngs[1], False, SKY, "random draws"),
        ):
            _, _, counts, curve = problem.search(rng, task, config, evolve)
            axis.semilogy(counts, curve, color=colour, label=label if s == seed else None)
    axis.axvline(problem.POOL, color=GREY, linestyle=":")
    axis.set(xlabel="nets tried (before the dotted line all are random)", xlim=(0, 1000))
    axis.set_ylabel("best closed-loop NRMSE, fitted part")
    axis.set_title("five sines, three seeds")
    axis.legend()
    return figure


def evolve_mackey_glass(seed):
    """The record's own search on Mackey-Glass: task, one net, its output weights."""
    task = problem.mackey_glass()
    config = problem.Config(seed=seed, task="mackey-glass", evaluations=3200, feedback=0.09)
    rng = np.random.default_rng([seed, 0]).spawn(4)[0]
    weights, W, _, _ = problem.search(rng, task, config, True)
    return task, problem.Lstms(weights[None]), W[None]


def draw_mackey_glass(task, nets, W):
    """Closed loops from three test starts, their error over steps, and the net's own attractor."""
    truth = task.windows(task.test_segments, task.test_warm_up)
    predicted = problem.test(nets, W, task)[:, 0]
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 5.0))
    steps = np.arange(1, task.horizon + 1)
    for n, start in enumerate((0, 20, 40)):
        label = ("true", "net") if n == 0 else (None, None)
        axes[0, 0].plot(steps, truth[:, start] + 6 * n, color=GREY, lw=2.5, label=label[0])
        axes[0, 0].plot(steps, predicted[:, start] + 6 * n, color=RED, lw=1, label=label[1])
    axes[0, 0].set(xlabel="steps ahead", ylabel="z-scored x, shifted", yticks=[], ylim=(-3, 19))
    axes[0, 0].legend(ncols=2, fontsize=8)
    axes[0, 0].set_title("closed loops from three starts")
    error = np.sqrt(np.mean((predicted - truth) ** 2, axis=1)) / task.series[3000:].std()
    axes[0, 1].semilogy(steps, error, color=RED, label="net")
    axes[0, 1].plot(84, 1.9e-3, "_", color=BLACK, markersize=14, label="paper, 84 ahead")
    axes[0, 1].set(xlabel="steps ahead", ylabel="NRMSE over 60 starts")
    axes[0, 1].set_title("error grows with the loop")
    axes[0, 1].legend(fontsize=8, loc="lower center")
    long = dataclasses.replace(task, horizon=1000, test_segments=task.test_segments[:1])
    free = problem.test(nets, W, long)[:, 0, 0]
    true = long.windows(long.test_segments, long.test_warm_up)[:, 0]
    for axis, x, colour, title in (
        (axes[1, 0], true, BLACK, "the true series, 1,000 steps"),
        (axes[1, 1], free, RED, "the net alone, 1,000 steps"),
    ):
        axis.plot(x[:-17], x[17:], color=colour, linewidth=0.5)
        axis.set(xlim=(-3, 3), ylim=(-3, 3), xlabel="x(t - 17)", ylabel="x(t)", title=title)
    return figure


def draw_mackey_glass_seeds():
    """Error 84 steps ahead, evolved and random, every recorded seed."""
    runs = [run["metrics"] for run in recorded("mackey-glass")]
    figure, axis = plt.subplots(figsize=(6.4, 2.2))
    for y, name, label, colour in (
        (1, "mackey_glass_nrmse84", "evolved", BLUE),
        (0, "mackey_glass_random_nrmse84", "best random", SKY),
    ):
        axis.semilogx([run[name] for run in runs], [y] * len(runs), "o", color=colour)
        axis.text(0.13, y, label, va="center", color=colour)
    axis.axvline(1.9e-3, color=BLACK, linestyle="--")
    axis.text(2.0e-3, 0.5, "the paper's number", va="center")
    axis.set(xlim=(1e-3, 1), ylim=(-0.5, 1.5), yticks=[])
    axis.set_xlabel(f"NRMSE 84 steps ahead ({len(runs)} seeds, 60 held-out starts each)")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"sines": draw_sines(), "mackey_glass_seeds": draw_mackey_glass_seeds()}
    figures["feedback"] = draw_feedback(options.seed)
    figures["search"] = draw_search(options.seed)
    figures["mackey_glass"] = draw_mackey_glass(*evolve_mackey_glass(options.seed))
    options.out.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
