"""Draw the pictures of adding-problem into viz/."""

import argparse
import json
import sys
from pathlib import Path

import adding_problem as problem
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

NETS = {"rnn uniform": "RNN, uniform start", "rnn orthogonal": "RNN, orthogonal start"}
PAPER = {100: 74_000, 500: 209_000, 1000: 853_000}  # mean sequences to the stop, table 7


def draw_learning(results):
    """Error and share of right sequences in training, of three LSTMs and both controls.

    results: the run of the seed that is shown, with controls; then those of more seeds without.
    """
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.0))
    curves = [(result.history, "lstm 0", BLUE, "-") for result in results]
    curves += [(results[0].history, "rnn uniform", ORANGE, "-")]
    curves += [(results[0].history, "rnn orthogonal", RED, "--")]
    for axis, name in zip(axes, ("error", "right"), strict=True):
        for i, (history, net, colour, style) in enumerate(curves):
            whose = np.array(history["net"]) == net
            x, y = (np.array(history[column])[whose] for column in ("sequences", name))
            label = NETS.get(net, f"LSTM, {len(results)} seeds" if i == 0 else None)
            axis.plot(x, y, style, color=colour, linewidth=1.2, label=label)
        axis.set(xscale="log", xlabel="training sequences")
    axes[0].axhline(problem.SMALL_ERROR, color=GREY, linewidth=0.8)
    axes[0].text(300, 0.0088, "needed to stop", color="#666666", fontsize=8, va="top")
    axes[0].set(yscale="log", ylabel="mean |output - target|", title="error, last 1000 sequences")
    axes[0].set_yticks([0.003, 0.01, 0.03, 0.1, 0.2], ["0.003", "0.01", "0.03", "0.1", "0.2"])
    axes[0].minorticks_off()
    axes[1].set(ylabel="share less than 0.04 off", ylim=(-0.02, 1.02))
    axes[1].set_title("right, last 1000 sequences")
    axes[1].legend(loc="center right", fontsize=7, handlelength=1.2)
    return figure


def draw_outputs(result):
    """Output against target on all test sequences, for the LSTM and both controls."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.6), sharey=True)
    rows = [result.test["lstm"][0], *result.test["rnn"]]
    for axis, row, title in zip(axes, rows, ("LSTM", *NETS.values()), strict=True):
        axis.fill_between([0, 1], [-0.04, 0.96], [0.04, 1.04], color=YELLOW, alpha=0.5, linewidth=0)
        axis.scatter(result.test["target"], row, s=2, color=BLUE, alpha=0.4, linewidths=0)
        share = np.mean(np.abs(row - result.test["target"]) < problem.TOLERANCE)
        axis.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), xlabel="target", aspect="equal")
        axis.set_title(f"{title}\nright: {100 * share:.1f} %")
    axes[0].set_ylabel("output")
    return figure


def three_sequences(seed):
    """A batch of three sequences: marks far apart, marks close, only one mark; and the targets."""
    x, target = problem.make_batch(np.random.default_rng(seed + 12345), 100, 1, 1000)
    marks = [np.flatnonzero(column == 1) for column in x[:, 0, 1].T]
    gaps = np.array([m[1] - m[0] if len(m) == 2 else 0 for m in marks])  # 0: only one mark
    chosen = [np.argmax(gaps > 25), np.argmax((0 < gaps) & (gaps < 5)), np.argmax(gaps == 0)]
    return x[:, :, :, chosen], target[0, chosen]


def draw_cells(result, seed):
    """Values and marks, gates and cell states of the trained LSTM on three fresh sequences."""
    x, target = three_sequences(seed)
    o, (_, (U, Z, _)) = problem.forward("lstm", result.nets["lstm"], x)
    y = U[1:, 0, problem.RECURRENT] / 2
    s = np.cumsum(2 * y[:, problem.IN, None] * problem.by_block(Z)[:, 0], 0)
    figure, axes = plt.subplots(4, 3, figsize=(6.4, 5.6), sharex=True, sharey="row")
    titles = ["two marks, far apart", "two marks, close", "one mark: the other\nfell on pair 1"]
    for i, (column, title) in enumerate(zip(axes.T, titles, strict=True)):
        values, marked = x[:, 0, 0, i], np.flatnonzero(x[:, 0, 1, i] == 1)
        column[0].plot(values, ".", color=GREY, markersize=2)
        column[0].vlines(marked, 0, values[marked], color=RED)
        column[0].plot(marked, values[marked], "o", color=RED, markersize=4)
        outcome = f"target {target[i]:.3f}, output {o[0, i]:.3f}"
        column[0].set_title(f"{title}\n{outcome}", fontsize=8)
        for block, colour in enumerate((BLUE, ORANGE)):
            column[1].plot(y[:, problem.IN][:, block, i], color=colour, linewidth=1)
            column[2].plot(y[:, problem.OUT][:, block, i], color=colour, linewidth=1)
            for cell, style in enumerate(("-", "--")):
                label = f"block {block + 1},\ncell {cell + 1}"
                column[3].plot(s[:, block, cell, i], style, color=colour, label=label)
        column[3].set_xlabel("step")
    rows = ("value\n(red: marked)", "input gates", "output gates", "cell states s")
    for axis, label in zip(axes[:, 0], rows, strict=True):
        axis.set_ylabel(label)
    axes[3, 2].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_needed():
    """Sequences to the stop against T for every recorded seed, beside the paper's three means."""
    figure, axis = plt.subplots(figsize=(6.4, 3.0))
    axis.plot(*zip(*PAPER.items(), strict=True), "s--", color=GREY, label="paper, mean of 10 nets")
    for metric, colour, marker, shift, label in (
        ("sequences", BLUE, "o", 0.97, "here"),
        ("sequences_2000", ORANGE, "^", 1.03, "here, at the paper's criterion (2000 in a row)"),
    ):
        for variant in ("t100", "t500"):
            runs = recorded(variant)
            T, counts = runs[0]["config"]["T"], [run["metrics"][metric] for run in runs]
            counts = np.array([count for count in counts if count is not None])
            label = label if variant == "t100" else None
            place = np.full(len(counts), T * shift)
            axis.plot(place, counts, marker, color=colour, alpha=0.7, markersize=4, label=label)
            axis.plot([T * shift * 0.95, T * shift * 1.05], [counts.mean()] * 2, color=colour)
    axis.set(xscale="log", yscale="log", xlabel="least length T of a sequence [steps]")
    axis.set(ylabel="training sequences", ylim=(2e4, 1.2e6))
    axis.set_xticks(list(PAPER), [str(T) for T in PAPER])
    axis.set_yticks([3e4, 1e5, 3e5, 1e6], ["30,000", "100,000", "300,000", "1,000,000"])
    axis.minorticks_off()
    axis.legend(fontsize=8)
    return figure


def errors_over_time(weights, x, target):
    """RMS error signal at the units of the controls, (time, nets), relative to the last step."""
    o, (_, U) = problem.forward("rnn", weights, x)
    y, back = U[1:, :, problem.RECURRENT], weights["W"][:, :, problem.RECURRENT].swapaxes(1, 2)
    e_y = weights["V"][:, :, 1:].swapaxes(1, 2) * problem.output_error(o, target, "cross-entropy")
    delta = e_y * (1 - y[-1] ** 2)
    sizes = [np.sqrt((delta**2).mean((1, 2)))]
    for t in range(len(x) - 2, -1, -1):
        delta = (back @ delta) * (1 - y[t] ** 2)
        sizes.append(np.sqrt((delta**2).mean((1, 2))))
    return np.array(sizes[::-1]) / sizes[0]


def draw_vanishing(result, seed):
    """Size of the error signal against the distance from the end of the sequence."""
    rng = np.random.default_rng(seed + 54321)
    x, target = problem.make_batch(rng, 100, 1, 200)
    lags = np.arange(len(x))[::-1]
    figure, axis = plt.subplots(figsize=(6.4, 3.0))
    axis.plot(lags, np.ones(len(x)), color=BLUE, linewidth=2, label="LSTM cell states,\nalways")
    start, end = problem.init("rnn", rng, 2), result.nets["rnn"]
    for weights, style, when in ((start, ":", "before"), (end, "-", "after")):
        exact = {name: w.astype(float) for name, w in weights.items()}
        sizes = np.maximum(errors_over_time(exact, x, target), 1e-30)
        for net, (colour, name) in enumerate(zip((ORANGE, RED), NETS.values(), strict=True)):
            label = f"{name},\n{when} training"
            axis.plot(lags, sizes[:, net], style, color=colour, label=label)
    axis.axvline(50, color=GREY, linewidth=0.8)
    axis.text(51, 8, "least lag T/2", color="#666666", fontsize=8)
    axis.set(yscale="log", ylim=(1e-16, 1e2), xlim=(-2, 112), xlabel="steps before the end")
    axis.set_ylabel("error signal / that at the end")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"needed": draw_needed()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    more = [problem.run(problem.Config(seed=options.seed + i, controls=False)) for i in (1, 2)]
    figures |= {
        "learning": draw_learning([result, *more]),
        "outputs": draw_outputs(result),
        "cells": draw_cells(result, options.seed),
        "vanishing": draw_vanishing(result, options.seed),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
