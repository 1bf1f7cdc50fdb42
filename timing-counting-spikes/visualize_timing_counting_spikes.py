"""Draw the pictures of timing-counting-spikes into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import timing_counting_spikes as problem

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

# Row, variant, name, how many F; the paper says which of them can be learnt.
SHOWN = (
    ("gts10", "spikes", "GTS 10", True),
    ("gts20", "rows", "GTS 20", True),
    ("gts30", "rows", "GTS 30", True),
    ("gts50", "rows", "GTS 50", True),
    ("pfg25", "rows", "PFG 25", True),
    ("nmsd50", "spikes", "NMSD 50", True),
    ("gts10_nopeep", "spikes", "GTS 10, no peepholes", False),
    ("gts10_noforget", "spikes", "GTS 10, no forget gate", False),
    ("pfg25_nopeep", "rows", "PFG 25, no peepholes", False),
    ("nmsd50_nopeep", "spikes", "NMSD 50, no peepholes", True),
    ("gts10", "faithful", "paper's rule: GTS 10", True),
    ("gts10_nopeep", "faithful", "paper's rule: no peepholes", False),
    ("gts10_noforget", "faithful", "paper's rule: no forget gate", False),
)


def draw_solved():
    """Share of nets that succeed, row by row; a dot a recorded run."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    for y, (row, variant, _, possible) in enumerate(SHOWN):
        metrics = [run["metrics"] for run in recorded(variant)]
        share = [m[f"{row}_solved"] / m[f"{row}_nets"] for m in metrics]
        colour = BLUE if possible else ORANGE
        axis.barh(y, np.mean(share), color=colour, alpha=0.35)
        axis.plot(share, [y] * len(share), "o", color=colour, markersize=4)
    axis.set_yticks(range(len(SHOWN)), [name for _, _, name, _ in SHOWN])
    axis.set(xlim=(-0.02, 1.03), ylim=(len(SHOWN) - 0.5, -0.5), xlabel="share of nets that succeed")
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour, alpha=0.5) for colour in (BLUE, ORANGE)]
    texts = ("in the paper it is learnt", "in the paper it is not")
    figure.legend(handles, texts, loc="outside upper center", ncols=2, fontsize=8)
    return figure


def trace(P, forget, steps, inputs=()):
    """Of one net (18,): gates i, q, o and s, output, each (steps,); input spikes at `inputs`."""
    y, s, rows = np.zeros(1), np.zeros(1), []
    for t in range(1, steps + 1):
        now = problem.step(P[:, None], float(t in inputs), y, s, np.array([forget]))
        _, _, _, i, q, o, s, y, net = now
        rows.append([part[0] for part in (i, q, o, s, problem.logistic(net))])
    return np.array(rows).T


def draw_traces(result):
    """State, gates and output of cells with peepholes, without, and without forget gate."""
    rows = (("gts10", True, "peepholes"), ("gts10_nopeep", True, "no peepholes"))
    rows += (("gts10_noforget", False, "no forget gate"),)
    steps = 45
    figure, axes = plt.subplots(3, 3, figsize=(6.4, 4.2), sharex=True, sharey="row")
    for column, (name, forget, title) in zip(axes.T, rows, strict=True):
        P, counts = result.nets[name], result.counts[name]
        net = int(np.argmax(counts > 0))
        i, q, o, s, out = trace(P[:, net], forget, steps)
        t = np.arange(1, steps + 1)
        column[0].plot(t, s, color=BLUE)
        for gate, colour, label in ((i, GREEN, "input"), (q, PINK, "forget"), (o, RED, "output")):
            column[1].plot(t, gate, color=colour, label=label, linewidth=1.2)
        due = t[t % 10 == 0]
        column[2].vlines(due, 0, 1, color=YELLOW, linewidth=4)
        column[2].plot(t, out, color=BLACK)
        column[0].set_title(title)
        column[2].set(xlabel="step", ylim=(-0.03, 1.08))
    for axis, text in zip(axes[:, 0], ("state s", "gates", "output\n(yellow: due)"), strict=True):
        axis.set_ylabel(text)
    axes[0, 0].set_ylim(-1, 8)
    handles = axes[1, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, fontsize=8)
    return figure


def draw_delay(result):
    """How a cell tells 50 steps from 51: its state and output, if the second spike comes at t."""
    net = int(np.argmax(result.counts["nmsd50"] > 0))
    P = result.nets["nmsd50"][:, net]
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.6))
    s = trace(P, True, 60, (1,))[3]
    axes[0].plot(np.arange(60), s, color=BLUE)
    axes[0].set(xlabel="steps after the first spike", ylabel="state s")
    delays = np.arange(30, 66)
    outputs = [trace(P, True, delay + 1, (1, delay + 1))[4][-1] for delay in delays]
    axes[1].plot(delays, outputs, "o-", color=BLACK, markersize=3)
    for delay, target in ((50, 0), (51, 1)):
        axes[1].plot(delay, target, "s", color=RED, markersize=8, fillstyle="none")
    axes[1].axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    axes[1].set(xlabel="the second spike comes after", ylabel="output then", ylim=(-0.05, 1.05))
    axes[1].set_title("red: the two that were taught")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"solved": draw_solved()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures |= {"traces": draw_traces(result), "delay": draw_delay(result)}
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
