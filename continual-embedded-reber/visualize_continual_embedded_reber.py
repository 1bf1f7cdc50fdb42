"""Draw the pictures of continual-embedded-reber into viz/."""

import argparse
import json
import sys
from pathlib import Path

import continual_embedded_reber as problem
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

COLOURS = {"forget": BLUE, "none": RED, "reset": GREEN, "decay": ORANGE}
NAMES = {
    "forget": "forget gates",
    "none": "none (1997)",
    "reset": "none, reset between strings",
    "decay": "q = 0.9",
}
PAPER = {"forget": "62 %", "none": "0 %", "reset": "74 %", "decay": "0 %"}  # perfect, table 2


def draw_lengths():
    """Symbols before the first mistake of every recorded net, by kind: mean of ten streams."""
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    metrics, rng = [run["metrics"] for run in recorded("stream")], np.random.default_rng(0)
    cap = problem.Config().symbols
    for y, kind in enumerate(NAMES):
        for form, key in (("o", "longest"), ("v", "length")):
            values = np.array([m[f"{kind}_{key}"] for m in metrics])
            height = y + rng.uniform(-0.15, 0.15, len(values))
            axis.plot(values, height, form, color=COLOURS[kind], markersize=5, alpha=0.7)
        axis.text(1.5 * cap, y, PAPER[kind], va="center", fontsize=8)
    axis.text(1.5 * cap, -0.75, "paper:\nperfect", va="center", fontsize=8)
    for level in (problem.GOOD, cap):
        axis.axvline(level, color=GREY, linewidth=0.8, linestyle=":")
    axis.plot([], [], "o", color=GREY, label="best net of a run")
    axis.plot([], [], "v", color=GREY, label="mean of a run's nets")
    axis.set_yticks(range(len(NAMES)), list(NAMES.values()))
    axis.set(xscale="log", xlabel="symbols without a mistake", ylim=(len(NAMES) - 0.5, -0.5))
    axis.set_xticks([10, 1e3, 1e5, 1e6], ["10", "1,000", "100,000", "a million"])
    axis.minorticks_off()
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return figure


def draw_states(result, nets):
    """Mean |s| along one stream, of every net."""
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    symbols = np.arange(len(result.states)) * 10
    for net, sizes in enumerate(result.states.T):
        kind = list(problem.KINDS)[net // nets]
        label = NAMES[kind] if net % nets == 0 else None
        shown = np.maximum(sizes, 0.1)
        axis.plot(symbols, shown, color=COLOURS[kind], linewidth=1, label=label)
    axis.set(yscale="log", xlabel="symbol of the stream", ylabel="mean |s|")
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_gates(result):
    """States and forget gates of the first net with forget gates over three strings."""
    nets = problem.Nets(["forget"], np.random.default_rng(0))
    nets.weights = {name: w[:1] for name, w in result.nets.items()}
    symbols, states = problem.stream(np.random.default_rng(11), 400)
    run = nets.run(symbols, *np.zeros((2, 1, problem.CELLS), np.float32))
    ends = np.flatnonzero(states == 0)
    part = slice(ends[10] + 1, ends[13] + 1)
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 3.6), sharex=True)
    shown = (run[2][1:][part, 0], run[4][part, 0, :: problem.SIZE])
    limits, texts = ((-3, 3), (0, 1)), ("states s of eight cells", "forget gates of four blocks")
    for axis, values, (low, high), text in zip(axes, shown, limits, texts, strict=True):
        image = axis.imshow(values.T, vmin=low, vmax=high, aspect="auto")
        axis.set(title=text, yticks=[])
        for end in ends[10:14]:
            axis.axvline(end - ends[10] - 0.5, color="white", linewidth=2)
        figure.colorbar(image, ax=axis)
    letters = [problem.SYMBOLS[s] for s in symbols[part]]
    axes[1].set_xticks(range(len(letters)), letters)
    return figure


def draw_learning(result, nets):
    """Share of the latest 500 strings that were right, net by net."""
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    history = {name: np.array(column) for name, column in result.history.items()}
    for net in np.unique(history["net"]):
        kind, mine = list(problem.KINDS)[net // nets], history["net"] == net
        label = NAMES[kind] if net % nets == 0 else None
        strings, share = history["strings"][mine] / 1000, history["right"][mine]
        axis.plot(strings, share, color=COLOURS[kind], linewidth=1, label=label)
    axis.set(xlabel="strings, thousands", ylabel="strings without mistake", ylim=(0, 1.02))
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"lengths": draw_lengths()}
    options.out.mkdir(exist_ok=True)
    config = problem.Config(seed=options.seed, symbols=5000)
    result = problem.run(config)
    figures |= {
        "states": draw_states(result, config.nets),
        "gates": draw_gates(result),
        "learning": draw_learning(result, config.nets),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
