"""Draw the pictures of adding-problem into viz/: learning curves, outputs, gates and cells,
sequences needed, error signals."""

import argparse
import json
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

NETS = {
    "rnn uniform": "RNN, weights in [-0.1, 0.1]",
    "rnn orthogonal": "RNN, orthogonal recurrent matrix",
}
PAPER = {100: 74_000, 500: 209_000, 1000: 853_000}


def curve(history, net, name):
    """Sequences (in thousands) and the values of one learning curve."""
    points = [i for i, whose in enumerate(history["net"]) if whose == net]
    return np.array([history["sequences"][i] for i in points]) / 1000, np.array(
        [history[name][i] for i in points]
    )


def draw_learning(results):
    """Error and share of right sequences in training; results: the first with controls, more LSTM
    seeds after it."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.2))
    for axis, name in zip(axes, ("error", "right"), strict=True):
        for i, result in enumerate(results):
            label = f"LSTM, {len(results)} seeds" if i == 0 else None
            axis.plot(*curve(result.history, "lstm 0", name), color=BLUE, linewidth=1, label=label)
        for (net, label), colour, style in zip(
            NETS.items(), (ORANGE, RED), ("-", "--"), strict=True
        ):
            axis.plot(
                *curve(results[0].history, net, name),
                color=colour,
                linestyle=style,
                linewidth=1.2,
                label=label,
            )
        axis.set_xlabel("training sequences, thousands")
    axes[0].axhline(0.01, color=GREY, linewidth=0.8)
    axes[0].text(
        1,
        0.0105,
        "criterion",
        color="#666666",
        fontsize=7,
        ha="right",
        transform=axes[0].get_yaxis_transform(),
    )
    axes[0].set_yscale("log")
    axes[0].set_yticks(
        [0.003, 0.01, 0.03, 0.1, 0.2], ["0.003", "0.01", "0.03", "0.1", "0.2"], minor=False
    )
    axes[0].minorticks_off()
    axes[0].set(ylabel="mean |output - target|", title="error, last 1000 sequences")
    axes[1].set(
        ylabel="share less than 0.04 off", ylim=(-0.02, 1.02), title="right, last 1000 sequences"
    )
    axes[1].legend(loc="center", bbox_to_anchor=(0.55, 0.5), fontsize=7)
    return figure


def draw_outputs(result):
    """Output against target on all test sequences, for the LSTM and both controls."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.6), sharey=True)
    rows = [result.test["lstm"][0], *result.test["rnn"]]
    titles = ["LSTM", "RNN, uniform start", "RNN, orthogonal start"]
    for axis, row, title in zip(axes, rows, titles, strict=True):
        axis.fill_between([0, 1], [-0.04, 0.96], [0.04, 1.04], color=YELLOW, alpha=0.5, linewidth=0)
        axis.scatter(result.test["target"], row, s=2, color=BLUE, alpha=0.4, linewidths=0)
        share = np.mean(np.abs(row - result.test["target"]) < problem.TOLERANCE)
        axis.set(
            xlim=(0, 1), ylim=(0, 1), xlabel="target", title=f"{title}\nright: {100 * share:.1f} %"
        )
        axis.set_aspect("equal")
    axes[0].set_ylabel("output")
    return figure


def three_sequences(seed):
    """A batch (of one common length) whose items 0 to 2 are: marks far apart, marks close, only one
    mark."""
    x, target = problem.make_batch(np.random.default_rng(seed + 12345), 100, 1, 1000)
    marks = [np.flatnonzero(column == 1) for column in x[:, 0, 1].T]
    far = next(i for i, m in enumerate(marks) if len(m) == 2 and m[1] - m[0] > 25)
    close = next(i for i, m in enumerate(marks) if len(m) == 2 and m[1] - m[0] < 5)
    single = next(i for i, m in enumerate(marks) if len(m) == 1)
    chosen = [far, close, single]
    return x[:, :, :, chosen], target[:, chosen]


def states(net, x):
    """Input gates (time, 2, batch), output gates (time, 2, batch), cell states (time, 4, batch) and
    outputs of the first net."""
    o, (Z, Y, _, _) = problem.lstm_forward(net, x)
    steps = Y[1:, :, problem.INPUT_GATES, None] * problem.blocks(Z)
    s = np.cumsum(steps[:, 0], 0).reshape(len(Z), 4, -1)
    return Y[1:, 0, :2] / 2, Y[1:, 0, 2:4] / 2, s, o[0]


def draw_cells(result, seed):
    """Values and marks, gates and cell states of the trained LSTM on three fresh sequences."""
    x, target = three_sequences(seed)
    gate_in, gate_out, s, o = states(result.nets["lstm"], x)
    figure, axes = plt.subplots(4, 3, figsize=(6.4, 5.6), sharex=True, sharey="row")
    names = ["two marks, far apart", "two marks, close", "one mark: the other\nfell on pair 1"]
    for column, name in enumerate(names):
        values, marked = x[:, 0, 0, column], np.flatnonzero(x[:, 0, 1, column] == 1)
        axes[0, column].plot(values, ".", color=GREY, markersize=2)
        axes[0, column].vlines(marked, 0, values[marked], color=RED)
        axes[0, column].plot(marked, values[marked], "o", color=RED, markersize=4)
        axes[0, column].set_title(
            f"{name}\ntarget {target[0, column]:.3f}, output {o[column]:.3f}", fontsize=8
        )
        for row, lines, colours in ((1, gate_in, [BLUE, SKY]), (2, gate_out, [GREEN, ORANGE])):
            for block in range(2):
                axes[row, column].plot(
                    lines[:, block, column],
                    color=colours[block],
                    linewidth=1,
                    label=f"block {block + 1}",
                )
        for cell, (colour, style) in enumerate(
            ((BLUE, "-"), (BLUE, "--"), (SKY, "-"), (SKY, "--"))
        ):
            label = f"block {cell // 2 + 1},\ncell {cell % 2 + 1}"
            axes[3, column].plot(
                s[:, cell, column], color=colour, linestyle=style, linewidth=1, label=label
            )
        axes[3, column].set_xlabel("step")
    for row, label in enumerate(
        ("value\n(red: marked)", "input gates", "output gates", "cell states s")
    ):
        axes[row, 0].set_ylabel(label)
    for row in (1, 2, 3):
        axes[row, 2].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_needed(runs):
    """Sequences to the stop criterion against T, beside the paper's three points."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    axis.plot(
        list(PAPER), list(PAPER.values()), "s--", color=GREY, label="paper, mean of 10 trials"
    )
    for name, colour, marker, label in (
        ("sequences", BLUE, "o", "here, {} right in a row"),
        ("sequences_2000", ORANGE, "^", "here, paper's criterion ({} in a row)"),
    ):
        shift = 0.97 if name == "sequences" else 1.03
        text = label.format("4000" if name == "sequences" else "2000")
        for variant, T in (("t100", 100), ("t500", 500)):
            counts = [
                run["metrics"][name]
                for run in runs
                if run["variant"] == variant and "metrics" in run
            ]
            axis.scatter(
                [T * shift] * len(counts),
                counts,
                s=14,
                color=colour,
                marker=marker,
                alpha=0.7,
                label=text,
            )
            axis.plot([T * shift * 0.94, T * shift * 1.06], [np.mean(counts)] * 2, color=colour)
            text = None
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="least length T of a sequence [steps]",
        ylabel="training sequences",
    )
    axis.set_xticks(list(PAPER), [str(T) for T in PAPER])
    axis.minorticks_off()
    axis.legend(fontsize=8)
    return figure


def errors_over_time(weights, x, target):
    """RMS error signal at the units of the RNNs, (time, nets), relative to the last step."""
    o, H = problem.rnn_forward(weights, x)
    delta = (
        weights["V"][:, :, 1:].swapaxes(1, 2)
        * problem.output_error(o, target, "cross-entropy")
        * (1 - H[-1] ** 2)
    )
    norms = [np.sqrt((delta**2).mean((1, 2)))]
    for t in range(len(x) - 2, -1, -1):
        delta = (weights["W"][:, :, 3:].swapaxes(1, 2) @ delta) * (1 - H[t + 1] ** 2)
        norms.append(np.sqrt((delta**2).mean((1, 2))))
    return np.array(norms[::-1]) / norms[0]


def draw_vanishing(result, seed):
    """Size of the error signal against the distance from the end of the sequence."""
    rng = np.random.default_rng(seed + 54321)
    x, target = problem.make_batch(rng, 100, 1, 200)
    start = {name: w.astype(float) for name, w in problem.init_rnn(rng).items()}
    trained = {name: w.astype(float) for name, w in result.nets["rnn"].items()}
    lags = np.arange(len(x))[::-1]
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    axis.plot(
        lags, np.ones(len(x)), color=BLUE, linewidth=2, label="LSTM cell states, before and after"
    )
    for weights, style, when in ((start, ":", "before"), (trained, "-", "after")):
        sizes = np.maximum(errors_over_time(weights, x.astype(float), target), 1e-30)
        for net, (colour, name) in enumerate(
            ((ORANGE, "uniform start"), (RED, "orthogonal start"))
        ):
            axis.plot(
                lags, sizes[:, net], style, color=colour, label=f"RNN, {name}, {when} training"
            )
    axis.axvline(50, color=GREY, linewidth=0.8)
    axis.text(50.5, 4, "least lag T/2", color="#666666", fontsize=7)
    axis.set(
        yscale="log",
        ylim=(1e-16, 1e2),
        xlim=(-2, 135),
        xlabel="steps before the end",
        ylabel="error signal / that at the end",
    )
    axis.legend(fontsize=7, loc="lower right")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(parents=True, exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    more = [problem.run(problem.Config(seed=options.seed + i, controls=False)) for i in (1, 2)]
    figures = {
        "learning": draw_learning([result, *more]),
        "outputs": draw_outputs(result),
        "cells": draw_cells(result, options.seed),
        "vanishing": draw_vanishing(result, options.seed),
    }
    record = Path(__file__).resolve().parent / "results.json"
    if record.is_file():
        figures["needed"] = draw_needed(json.loads(record.read_text(encoding="utf-8"))["runs"])
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    main()
