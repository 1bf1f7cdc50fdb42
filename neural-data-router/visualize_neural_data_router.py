"""Draw the pictures of neural-data-router into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import neural_data_router as problem

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

SMALL = {"values": 4, "tables": 4, "alone": 0, "depth": 4, "updates": 2000, "check": 100}
COLOURS = {"forward": BLUE, "backward": SKY, "no-gate": ORANGE, "plain": RED}
MEANING = {"forward": "router", "backward": "router, backward"}
MEANING |= {"no-gate": "no gate", "plain": "plain Transformer"}


def draw_depths():
    """Accuracy of every recorded net by depth."""
    figure, axis = plt.subplots(figsize=(6.4, 2.9))
    depths = range(1, 11)
    axis.axvspan(0.7, 5.5, color=GREY, alpha=0.15, linewidth=0)
    axis.text(0.8, 1.03, "trained", fontsize=8, color=BLACK, va="bottom")
    for name, colour in COLOURS.items():
        runs = [run["metrics"] for run in recorded(name)]
        best = [[max(m[f"accuracy_{d}"], m[f"accuracy_{d}_fewer"]) for d in depths] for m in runs]
        for number, row in enumerate(best):
            style = {"color": colour, "markersize": 3, "linewidth": 1}
            axis.plot(depths, row, "o-", label=None if number else MEANING[name], **style)
    axis.axhline(1 / 8, color=BLACK, linewidth=0.8, linestyle=":")
    axis.text(10.3, 0.02, "dotted: guessing", ha="right", fontsize=8)
    axis.set(xlabel="depth (tables in a row)", ylabel="right answers", ylim=(0, 1.12))
    axis.set(xticks=depths, xlim=(0.7, 10.4))
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    return figure


def draw_growth():
    """At which update each recorded net had learnt each depth."""
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    for name, colour in COLOURS.items():
        for number, run in enumerate(recorded(name)):
            times = [run["metrics"][f"mastered_{depth}"] for depth in range(1, 6)]
            times = [time for time in times if time is not None]
            label = MEANING[name] if number == 0 else None
            axis.plot(
                range(1, len(times) + 1), times, "o-", color=colour, markersize=4, label=label
            )
    axis.set(xlabel="depth", ylabel="updates until it is answered", xticks=range(1, 6))
    axis.set(yscale="log")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    return figure


def draw_layers_at_test(net, task):
    """A small net with other numbers of layers than it was trained with."""
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    rng, numbers = np.random.default_rng(1), range(1, 21)
    for depth, colour in zip((1, 2, 4, 6, 8), (GREY, SKY, BLUE, ORANGE, RED), strict=True):
        test = task.make_test(rng, 200, depth)
        right = [problem.accuracy(net, *test, layers) for layers in numbers]
        axis.plot(numbers, right, "o-", color=colour, markersize=3, label=f"depth {depth}")
    axis.axhline(1 / 4, color=BLACK, linewidth=0.8, linestyle=":")
    axis.set(xlabel="layers at test", ylabel="right answers", ylim=(0, 1.05))
    axis.set_xticks(range(2, 21, 2))
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    return figure


def trace(net, tokens, layers):
    """What happens to one input: mean gates (layers, columns), moves of the columns as a share of
    their length (layers, columns), attention (layers, columns, columns), and the answer."""
    logits, (_, kept) = problem.forward(net, tokens[None], layers)
    gates = [gate.mean(1) for *_, (_, _, gate, _) in kept]
    moves = [
        np.linalg.norm(gate * change, axis=1) / np.linalg.norm(h, axis=1)
        for h, _, _, (_, _, gate, change) in kept
    ]
    attention = [attended[2][0] for _, _, attended, _ in kept]
    return np.stack(gates), np.stack(moves), np.stack(attention), int(logits.argmax())


def draw_inside(net, task):
    """Gates and moves by layer and column for a chain of seven, and attention when moving."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.9))
    tokens, answers = task.make_batch(np.random.default_rng(2), 1, 7)
    gates, moves, attention, answer = trace(net, tokens[0], 14)
    columns = len(tokens[0])
    opened = 1 + moves[1:].argmax(0)
    looks = np.stack([attention[opened[i], i] for i in range(columns)])
    box = (-0.5, columns - 0.5, 0.5, 14.5)
    for axis, values, title in zip(axes, (gates, moves), ("mean gate", "move"), strict=False):
        axis.imshow(values, origin="lower", aspect="auto", vmin=0, vmax=1, extent=box)
        axis.set(title=title, xlabel="column", ylabel="layer", yticks=(1, 5, 10, 14))
    picture = axes[2].imshow(looks, vmin=0, vmax=1, aspect="auto")
    axes[2].set(title="attention at the largest move", xlabel="attended column", ylabel="column")
    for axis in axes:
        axis.set_xticks(range(0, columns, 3))
    figure.colorbar(picture, ax=axes[2])
    figure.suptitle(f"depth 7: {'right' if answer == answers[0] else 'wrong'}", fontsize=10)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"depths": draw_depths(), "growth": draw_growth()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed, **SMALL))
    figures["layers"] = draw_layers_at_test(result.net, result.task)
    figures["inside"] = draw_inside(result.net, result.task)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
