"""Draw the pictures of pole-balance-markov-vac into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pole_balance_markov_vac as problem

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


PAINS = ("left end", "right end", "falls left", "falls right")
NAMES = {
    "vector": "four outputs",
    "scalar": "one output",
    "flat_vector": "four, no hidden units",
    "flat_scalar": "one, no hidden units",
}
COLOURS = dict(zip(NAMES, (BLUE, ORANGE, GREEN, GREY), strict=True))
PLANES = (  # indices of the two variables, their names, the factors to the units shown
    ((0, 1), ("x [m]", "x' [m/s]"), (1, 1)),
    ((2, 3), ("$\\theta$ [degrees]", "$\\theta'$ [degrees/s]"), (57.3, 57.3)),
)


def lives_of(result, nets, name):
    """The trials of every net of a condition, the last one included: [[steps]]."""
    first = list(NAMES).index(name) * nets
    longest = result.history["longest"][first : first + nets]
    lives = result.lives[first : first + nets]
    solved = [[most] if most > problem.BALANCED else [] for most in longest]
    return [[*some, *last] for some, last in zip(lives, solved, strict=True)]


def draw_lengths(result, nets, seed):
    """Trial length against failures, mean of 10 trials: median net and quartiles, four critics."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    for name, label in NAMES.items():
        table = np.full((nets, problem.Config.failures), np.nan)
        for row, lives in zip(table, lives_of(result, nets, name), strict=True):
            mean = np.convolve(np.log(lives), np.ones(10) / 10, "valid")
            row[9 : 9 + len(mean)] = mean
            if lives[-1] > problem.BALANCED:
                row[len(lives) - 1 :] = np.log(problem.BALANCED)  # it has solved the task
        enough = np.isfinite(table).sum(0) >= nets / 2
        low, middle, high = np.exp(np.nanpercentile(table[:, enough], [25, 50, 75], axis=0))
        place = np.flatnonzero(enough) + 1
        axis.plot(place, middle, color=COLOURS[name], label=label)
        axis.fill_between(place, low, high, color=COLOURS[name], alpha=0.25, linewidth=0)
    axis.axvline(problem.Config.frozen, color=BLACK, linestyle=":", linewidth=0.8)
    axis.axhline(problem.BALANCED, color=PINK, linestyle="--", linewidth=0.8)
    axis.set(yscale="log", ylim=(6, 60_000), xlim=(0, problem.Config.failures))
    axis.set(xlabel="failures (the paper's bound: 750)", ylabel="trial length [steps], 10 trials")
    axis.set_title(f"median and quartiles of {nets} nets each, seed {seed}; "
                   "dashed: solved; dotted: actor set free", fontsize=9)  # fmt: skip
    axis.legend(loc="upper right", fontsize=8, bbox_to_anchor=(1, 0.93), frameon=True)
    return figure


def plane(axes, size=61):
    """Coordinates (size,) twice and z (size * size, 5) over two variables, the others 0."""
    a, b = (np.linspace(-1, 1, size) * problem.UNIT[i] for i in axes)
    states = np.zeros((size, size, 4))
    states[..., axes[0]], states[..., axes[1]] = a[None], b[:, None]
    return a, b, problem.seen(states.reshape(-1, 4))


def expected(weights, z):
    """Q (2 actions, points, 4) of one net."""
    x = np.concatenate([np.column_stack([z, np.full(len(z), a)]) for a in (0, 1)])
    return problem.critic_forward(weights, np.ones(1, bool), x[None])[1][0].reshape(2, -1, 4)


def draw_pains(weights, seed):
    """The four Q_k of a net that solved the task, mean of both actions, over two planes."""
    figure, grid = plt.subplots(2, 4, figsize=(6.4, 3.5), sharex="row", sharey="row")
    for row, (axes, names, factors) in zip(grid, PLANES, strict=True):
        a, b, z = plane(axes)
        q = expected(weights, z).mean(0).reshape(len(b), len(a), 4)
        for k, axis in enumerate(row):
            picture = axis.contourf(a * factors[0], b * factors[1], q[..., k],
                                    levels=np.linspace(0, 1, 11))  # fmt: skip
            axis.set_xlabel(names[0], fontsize=8)
        row[0].set_ylabel(names[1], fontsize=8)
    for k, axis in enumerate(grid[0]):
        axis.set_title(PAINS[k])
    figure.colorbar(picture, ax=grid, label="expected pain $Q_k$", shrink=0.8)
    figure.suptitle(
        f"critic of one solved net, seed {seed}; the two other variables are 0", fontsize=9
    )
    return figure


def draw_effect(weights, seed):
    """D, what a push to the right adds to all pains, and y, the actor's answer."""
    figure, grid = plt.subplots(2, 2, figsize=(6.4, 5))
    for row, (axes, names, factors) in zip(grid, PLANES, strict=True):
        a, b, z = plane(axes)
        left, right = expected(weights, z).sum(-1)
        net = problem.actor_forward({name: w.repeat(len(z), 0) for name, w in weights.items()}, z)[
            1
        ]
        effect = (right - left).reshape(len(b), len(a))
        chance = problem.sigmoid(net).reshape(effect.shape)
        most = np.abs(effect).max()
        for axis, values, low, high, label, colours in (
            (row[0], effect, -most, most, "D", "PuOr"),
            (row[1], chance, 0, 1, "y", "PuOr_r"),
        ):
            levels = np.linspace(low, high, 13)
            picture = axis.contourf(a * factors[0], b * factors[1], values, levels, cmap=colours)
            axis.contour(a * factors[0], b * factors[1], values, [(low + high) / 2], colors=BLACK)
            axis.set(xlabel=names[0], ylabel=names[1])
            figure.colorbar(picture, ax=axis, label=label)
    grid[0, 0].set_title("critic: pain added by a push to the right")
    grid[0, 1].set_title("actor: probability of that push")
    figure.suptitle(f"one solved net, seed {seed}; black: no preference", fontsize=9)
    return figure


def draw_kinds(result, nets, seed, width=25):
    """Shares of the four pains among the failures of the vector nets, in groups of `width`."""
    figure, axis = plt.subplots(figsize=(6.4, 3))
    groups = range(0, 300, width)
    counts = np.zeros((4, len(groups)))
    for kinds in result.kinds[:nets]:
        for place, first in enumerate(groups):
            counts[:, place] += np.bincount(kinds[first : first + width], minlength=4)
    total, bottom = counts.sum(0), np.zeros(len(groups))
    middle = np.array(groups) + width / 2
    for k, colour in enumerate((SKY, BLUE, ORANGE, RED)):
        share = counts[k] / np.maximum(total, 1)
        axis.bar(middle, share, width * 0.9, bottom, color=colour, label=PAINS[k])
        bottom += share
    for x, number in zip(middle, total, strict=True):
        axis.text(x, 1.01, f"{number:.0f}", ha="center", va="bottom", fontsize=7)
    axis.set(xlabel="failures of a net before", ylabel="share of pains", ylim=(0, 1.1))
    axis.set_title(f"{nets} vector nets, seed {seed}; above: failures counted", fontsize=9)
    axis.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=8)
    return figure


def draw_failures(result, nets, seed):
    """Failures before 1000 and 30,000 steps: nets of one run, and medians over recorded seeds."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.2), sharey=True)
    runs = [run["metrics"] for run in recorded("symmetric")]
    for axis, longer, ending in ((axes[0], 999, "_1000"), (axes[1], problem.BALANCED, "")):
        for place, name in enumerate(NAMES):
            prefix = "" if name == "vector" else f"{name}_"
            first = place * nets
            rows = range(first, first + nets)
            firsts = [
                problem.failures_before(result.lives[n], result.history["longest"][n], longer)
                for n in rows
            ]
            firsts = np.sort([problem.Config.failures if x is None else x for x in firsts])
            across = place + np.linspace(-0.3, 0.3, nets)
            axis.plot(across, firsts, "o", color=COLOURS[name], markersize=4)
            medians = [run[f"{prefix}failures{ending}"] for run in runs]
            axis.plot([place] * len(medians), medians, "D", color=BLACK, markersize=4, mfc="none")
        axis.axhline(problem.Config.failures, color=PINK, linestyle="--", linewidth=0.8)
        axis.set_xticks(range(4), ["four", "one", "four,\nflat", "one,\nflat"])
        axis.set_title(f"before a trial of {longer + (longer < 1000):,} steps")
    axes[0].set(ylabel="failures (dashed: not within the run)", ylim=(0, 800))
    figure.suptitle(
        f"dots: {nets} nets, seed {seed}; diamonds: medians of {len(runs)} runs", fontsize=9
    )
    return figure


def main():
    options = figure_options(__doc__, "viz")
    recorded("symmetric")
    config = problem.Config(seed=options.seed)
    result = problem.run(config)
    nets = config.nets
    net = int(np.argmax(result.history["longest"][:nets]))
    weights = {name: w[net : net + 1] for name, w in result.weights.items()}
    figures = {
        "lengths": draw_lengths(result, nets, options.seed),
        "pains": draw_pains(weights, options.seed),
        "effect": draw_effect(weights, options.seed),
        "kinds": draw_kinds(result, nets, options.seed),
        "failures": draw_failures(result, nets, options.seed),
    }
    options.out.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
