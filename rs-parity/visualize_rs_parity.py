"""Draw the pictures of rs-parity into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import rs_parity as problem

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
    "a2_noself": "A2, no self-connections",
    "a2": "A2",
    "a1": "A1",
    "a1_noisy": "A1, noisy inputs",
}
PAPER = {"a2_noself": 250, "a2": 2797, "a1": 2906, "a1_noisy": 41_400}
COLOURS = dict(zip(NAMES, (BLUE, ORANGE, GREEN, RED), strict=True))


def draw_trials(found, seed):
    """Share of successes that took more than so many guesses, with the geometric law."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    for name, each in found.items():
        trials = np.sort(each.trials)
        mean, colour = trials.mean(), COLOURS[name]
        above = 1 - np.arange(len(trials)) / len(trials)
        label = f"{NAMES[name]} (n = {len(trials)})"
        axis.step(trials, above, where="pre", color=colour, label=label)
        grid = np.geomspace(1, trials[-1], 200)
        axis.plot(grid, (1 - 1 / mean) ** grid, "--", color=colour, linewidth=1)
    axis.plot([], [], "--", color=BLACK, linewidth=1, label="geometric law of the same mean")
    axis.set(
        xscale="log",
        ylim=(0, 1.05),
        xlabel="guesses",
        ylabel="share that took more",
        title=f"Guesses until success (seed {seed})",
    )
    axis.legend(fontsize=8, loc="lower left")
    return figure


def draw_means():
    """Mean guesses over the recorded seeds with 95 % intervals, beside the published means."""
    runs = [run["metrics"] for run in recorded("guessing")]
    figure, axis = plt.subplots(figsize=(6.4, 3))
    for i, name in enumerate(NAMES):
        values = np.array([metrics[f"{name}_trials"] for metrics in runs])
        half = 2.09 * values.std(ddof=1) / np.sqrt(len(values))
        ours, paper = ("ours, mean and 95 %", "paper") if i == 0 else (None, None)
        axis.errorbar(
            values.mean(), i, xerr=half, fmt="o", color=BLUE, capsize=4, markersize=4, label=ours
        )
        axis.plot(PAPER[name], i, "x", color=RED, markersize=9, label=paper)
    axis.set(
        xscale="log",
        xlim=(100, 100_000),
        xlabel="mean guesses",
        yticks=range(len(NAMES)),
        yticklabels=NAMES.values(),
        ylim=(-0.6, 3.6),
        title=f"Guesses until success ({len(runs)} seeds)",
    )
    axis.invert_yaxis()
    axis.legend(loc="lower left")
    return figure


def tables(net, weights):
    """Output after one symbol, as 0 or 1: (4, nets), for (last output, symbol) = (0, -), (0, +),
    (1, -), (1, +)."""
    last = np.array([0, 0, 1, 1], np.float32)[:, None]
    x = np.array([-1, 1, -1, 1], np.float32)[:, None]
    halves = problem.parts(net, 0.5 * weights[:, None])
    return (problem.step(net, halves, x, 0, last)[1] > 0.5).astype(int)


def draw_tables(seed, count=20_000):
    """How often each table occurs among random nets, and which of them are accepted."""
    rng, net = np.random.default_rng(seed), problem.CONDITIONS["a2_noself"][0]
    weights = problem.draw(rng, net, count, 100.0)
    kinds = np.array([8, 4, 2, 1]) @ tables(net, weights)
    accepted, _ = problem.accept(net, weights, problem.make_set(rng, 100, 500, 600))
    shares = np.bincount(kinds, minlength=16) / count
    solved = np.bincount(kinds[accepted], minlength=16) / count
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    order = np.argsort(-shares, kind="stable")
    axis.bar(np.arange(16) - 0.2, shares[order], 0.4, color=GREY, label="random nets")
    axis.bar(np.arange(16) + 0.2, solved[order], 0.4, color=GREEN, label="accepted nets")
    axis.set(
        yscale="log",
        xticks=range(16),
        ylabel="share of all nets",
        xlabel="output after (0, -1), (0, +1), (1, -1), (1, +1)",
        title=f"Tables of {count:,} random nets A2 without self-connections",
    )
    axis.set_xticklabels([f"{kind:04b}" for kind in order], rotation=60)
    axis.get_xticklabels()[list(order).index(0b0110)].set_color(GREEN)
    axis.legend()
    return figure


def early_gradient(net, length, seed):
    """Mean |dE/do(1)| of twelve nets with weights in [-1, 1], in double precision."""
    rng = np.random.default_rng(seed)
    x, lengths, target = problem.make_set(rng, 20, length, length)
    weights, x = problem.draw(rng, net, 12, 1.0).astype(float), x.astype(float)
    h, o = problem.forward(net, weights, x)
    error = problem.end_errors(o, lengths, target)
    return problem.backward(net, weights, x, lengths, h, o, error)[1].mean()


def draw_control(curves, seed):
    """Back-propagation: best training error, and the gradient that reaches the first step."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3))
    lengths = [5, 10, 20, 40, 60, 80, 100]
    for name, errors in curves.items():
        net = problem.CONDITIONS[name][0]
        left.plot(errors, color=COLOURS[name], label=NAMES[name])
        gradient = [early_gradient(net, length, seed) for length in lengths]
        right.plot(lengths, gradient, "o-", color=COLOURS[name], markersize=3)
    left.axhline(0.25, color=BLACK, linestyle=":", label="always 0.5")
    left.axhline(0.01, color=GREY, linestyle=":", label="0.1 off everywhere")
    left.set(xlabel="epoch", ylabel="mean squared error, best of six", ylim=(0, 0.3))
    left.set_title(f"Training, 500 to 600 symbols (seed {seed})", fontsize=9)
    right.set(xlabel="length [symbols]", ylabel="mean |gradient| at the first step", yscale="log")
    right.yaxis.get_major_locator().set_params(numticks=6)
    right.set_title("Before training, weights in [-1, 1]", fontsize=9)
    left.legend(fontsize=7, loc="center right")
    return figure


def density(net, noise, seed, count):
    """Share of count random nets that are accepted, and its standard error; nan where none is."""
    rng = np.random.default_rng(seed)

    def make():
        return problem.make_set(rng, 100, 500, 600, noise)

    hits, left = 0, count
    while left > 0:
        weights = problem.draw(rng, net, min(left, problem.BLOCK), 100.0)
        hits += len(problem.accept(net, weights, make())[0])
        left -= problem.BLOCK
    return (hits / count, np.sqrt(hits) / count) if hits else (np.nan, np.nan)


def draw_density(seed):
    """Share of random nets that are accepted, against noise and against the hidden units."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3), sharey=True)
    levels = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)
    for name, count in (("a2_noself", 10_000), ("a1", 100_000)):
        net = problem.CONDITIONS[name][0]
        shares = np.array([density(net, level, seed, count) for level in levels])
        left.errorbar(
            levels, *shares.T, fmt="o-", color=COLOURS[name], markersize=3, label=NAMES[name]
        )
    left.set(
        yscale="log",
        xlabel="half-width of the noise",
        ylabel="share of random nets accepted",
    )
    left.legend(fontsize=7)
    sizes = (1, 2, 3, 5, 10, 20, 40)
    for sees, label, colour in (
        ("none", "W = 0", BLUE),
        ("self", "W diagonal", ORANGE),
        ("all", "W full, A1(n)", GREEN),
    ):
        kept = [n for n in sizes if sees != "all" or n <= 3]
        shares = np.array([density(problem.Net(n, sees), 0.0, seed, 40_000) for n in kept])
        right.errorbar(kept, *shares.T, fmt="o-", color=colour, markersize=3, label=label)
    right.set(xscale="log", xlabel="hidden units", xticks=sizes, xticklabels=sizes)
    right.minorticks_off()
    right.legend(fontsize=7)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    means = draw_means()
    options.out.mkdir(parents=True, exist_ok=True)
    found = problem.run(problem.Config(seed=options.seed)).found
    config = problem.Config(seed=options.seed, replicates=60, control_ratio=10.0)
    figures = {
        "trials": draw_trials(found, options.seed),
        "means": means,
        "tables": draw_tables(options.seed),
        "control": draw_control(problem.run(config).curves, options.seed),
        "density": draw_density(options.seed),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
