"""Draw the pictures of linear Transformers as fast weight programmers: nets trained here, and the
runs of results.json."""

import argparse
import json
import math
import sys
from pathlib import Path

import linear_transformers_fwp as problem
import matplotlib

matplotlib.use("Agg")
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


# Final losses in the authors' released logs of setting 1, one seed each; None: ended at the goal.
LOGGED = {
    "linear": {40: None, 60: 0.025, 80: 0.110, 100: 0.17, 120: 0.23, 160: 0.30, 200: 0.34},
    "dpfp-1": {40: None, 60: None, 80: None, 100: None, 120: 0.0086, 160: 0.102, 200: 0.175},
    "dpfp-2": {100: None, 160: None, 200: None, 260: 0.0097},
}
LOOK = {
    "linear": ("linear", BLUE, 64),
    "dpfp-1": ("DPFP-1", ORANGE, 128),
    "dpfp-2": ("DPFP-2", GREEN, 256),
}
SEEDS = 3  # of the curves of setting 2


def capacity_losses(runs):
    """(features, S, loss) of every net of setting 1 with the sum rule in recorded runs."""
    rows = []
    for run in runs:
        nets = problem.CONDITIONS.get(run["config"].get("conditions"), {})
        for name, (setting, rule, features, symbols) in nets.items():
            if setting == 1 and rule == "sum" and features in LOOK:
                rows.append((features, symbols, run["metrics"][f"{name}_loss"]))
    return rows


def draw_capacity(rows, headline, out):
    """rows: all losses; headline: those whose share at the goal is written below them."""
    figure, axis = plt.subplots(figsize=(6.6, 3.8))
    for features, (label, colour, p) in LOOK.items():
        mine = sorted((symbols, loss) for name, symbols, loss in rows if name == features)
        points = zip(*mine, strict=True) if mine else ([], [])
        axis.plot(*points, "o", color=colour, markersize=4, alpha=0.7, label=f"{label}, p = {p}")
        over = np.linspace(p + 0.5, 280, 200)
        axis.plot(over, 0.5 * (1 - p / over), "--", color=colour, linewidth=1)
        logged = [(symbols, loss or 0.0007) for symbols, loss in LOGGED[features].items()]
        axis.plot(*zip(*logged, strict=True), "x", color=colour, markersize=7, markeredgewidth=1.5)
        axis.axvline(p, color=colour, linewidth=0.8, linestyle=":")
        for symbols in sorted({symbols for symbols, _ in mine}):
            losses = [loss for row, size, loss in headline if (row, size) == (features, symbols)]
            if losses and symbols < p:
                good = sum(loss <= 0.001 for loss in losses)
                note = f"{good} of {len(losses)}\nat the goal"
                axis.text(symbols, 3e-5, note, color="#333333", fontsize=8, ha="center")
    axis.plot([], [], "x", color=BLACK, label="authors' logs, one seed")
    axis.plot([], [], "--", color=BLACK, linewidth=1, label="floor (1 - p/S) / 2")
    axis.axhline(0.001, color="#555555", linewidth=0.8, linestyle="--")
    axis.text(258, 0.00105, "goal", color="#555555", fontsize=8, va="bottom", ha="left")
    axis.set(yscale="log", xlim=(15, 280), ylim=(2e-5, 0.6))
    axis.set(xlabel="stored pairs S (dotted: dimensions p of the key space)")
    axis.set(ylabel="final retrieval loss", title="Additive writes: p dimensions hold p pairs")
    figure.legend(fontsize=8, loc="outside right center")
    figure.savefig(out / "capacity.png")


def even_mix(symbols, pairs):
    """Expected loss of an even mix of a key's n values, n a binomial count above 0: mean of 1/2 (1
    - 1/n) (1 - 1/symbols)."""
    n = np.arange(1, pairs + 1)
    ways = np.array([math.comb(pairs, count) for count in n], float)
    chance = ways * (1 / symbols) ** n * (1 - 1 / symbols) ** (pairs - n)
    return float((chance * (0.5 - 0.5 / n)).sum() / chance.sum() * (1 - 1 / symbols))


def draw_updating(curves, every, out):
    """curves: rule -> evaluation losses of some seeds."""
    figure, axis = plt.subplots(figsize=(5.5, 3.2))
    for (rule, runs), colour in zip(curves.items(), (BLUE, ORANGE), strict=True):
        for i, losses in enumerate(runs):
            steps = every * np.arange(1, len(losses) + 1)
            label = f"{rule}, {len(runs)} seeds" if i == 0 else None
            axis.semilogy(steps, losses, "o-", color=colour, markersize=3, lw=1, label=label)
    even = even_mix(40, 40)
    axis.axhline(even, color=BLACK, linewidth=0.8, linestyle=":")
    axis.axhline(0.001, color="#555555", linewidth=0.8, linestyle="--")
    right = axis.get_xlim()[1]
    axis.text(right, even * 0.78, "all values of a key mixed evenly", ha="right", va="top")
    axis.text(right, 0.00105, "goal", color="#555555", ha="right", va="bottom")
    axis.set(xlabel="training step", ylabel="evaluation loss", ylim=(1e-4, 0.6))
    axis.set_title("Updating: 40 symbols, DPFP-1, the last value counts")
    axis.legend(loc="lower left")
    figure.savefig(out / "updating.png")


def draw_strength(weights, out):
    keys, values = problem.make_batch(np.random.default_rng(1), 2, 40, 80, 200)
    beta, seen = problem.write_strength(weights, keys, values), np.zeros((200, 40), int)
    before, rows = np.empty_like(keys), np.arange(200)
    for t, key in enumerate(keys.T):
        before[:, t] = seen[rows, key]
        seen[rows, key] += 1
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3), width_ratios=[1.3, 1])
    left.violinplot([beta[before == n] for n in range(4)], range(4), showmedians=True)
    names = ["never", "once", "twice", "3 times"]
    left.set(xticks=range(4), xticklabels=names, ylabel="write strength beta")
    left.set(xlabel="how often the key was seen before", title="Strength of writes")
    by_value, by_key = problem.tables(weights, "b")
    right.plot(np.sort(by_key[:, 0]), label="as a key", color=BLUE)
    right.plot(np.sort(by_value[:, 0]), label="as a value", color=ORANGE)
    right.set(xlabel="symbols, sorted", ylabel="share in the sigmoid's argument")
    right.set(title="What a symbol adds")
    right.legend()
    figure.savefig(out / "strength.png")


def draw_gram(nets, out):
    """nets: weights of nets with linear features."""
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.4))
    for axis, weights in zip(axes, nets, strict=True):
        by_value, by_key = problem.tables(weights, "k")
        x = by_key + by_value[np.random.default_rng(0).permutation(len(by_key))]
        phi, _ = problem.feature_map(x, "linear")
        unit = phi / np.linalg.norm(phi, axis=1, keepdims=True)
        shown = axis.imshow(unit @ unit.T, vmin=0, vmax=1)
        others = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
        axis.set_title(
            f"{len(phi)} keys in 64 dimensions:\n{(others > 0.5).sum()} pairs with cosine > 0.5"
        )
        axis.set(xlabel="key", ylabel="key")
    figure.colorbar(shown, ax=axes, label="cosine", shrink=0.9)
    figure.savefig(out / "gram.png")


def main():
    options = figure_options(__doc__, "viz")
    losses, headline = (capacity_losses(recorded(name)) for name in (None, "headline"))
    options.out.mkdir(parents=True, exist_ok=True)
    config, curves = problem.Config(steps=1600), {}
    for name in ("sum", "delta"):
        net, runs = problem.UPDATING[f"{name}_40"], range(options.seed, options.seed + SEEDS)
        runs = [problem.train(np.random.default_rng(seed), net, config) for seed in runs]
        curves[name], nets = zip(*runs, strict=True)
    linear = [(1, "sum", "linear", symbols) for symbols in (40, 80)]
    rng = np.random.default_rng(options.seed)
    draw_capacity(losses, headline, options.out)
    draw_updating(curves, config.every, options.out)
    draw_strength(nets[0], options.out)
    draw_gram([problem.train(rng, net, config)[1] for net in linear], options.out)


if __name__ == "__main__":
    figure_main(main)
