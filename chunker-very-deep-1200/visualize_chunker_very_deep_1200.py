"""Draw the pictures of chunker-very-deep-1200 into viz/."""

import argparse
import json
import sys
from pathlib import Path

import chunker_very_deep_1200 as problem
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

COLOURS = (BLUE, ORANGE, GREEN)


def draw_streams(result):
    """What each level reads of one test sequence, at its place in the sequence."""
    figure, axes = plt.subplots(3, 1, figsize=(6.4, 3.4))
    names = "ax" + "1234" + "." * problem.TAIL + "AX"
    for level, axis in enumerate(axes):
        stream = result.streams[level][:, 0]
        stream = stream[stream >= 0]
        shown = stream if level else stream[:82]
        axis.bar(range(len(shown)), [1] * len(shown), color=COLOURS[level], alpha=0.35, width=0.9)
        for place, symbol in enumerate(shown):
            text = {25: "Ya", 26: "Yx"}.get(int(symbol), names[symbol])
            axis.text(place, 0.5, text, ha="center", va="center", fontsize=7)
        axis.set(yticks=[], xlim=(-1, max(len(shown), 3)), ylim=(0, 1))
        more = ", the first 82" if level == 0 else ""
        axis.set_title(f"level {level} reads {len(stream):,} symbols{more}", fontsize=9)
    axes[0].set_xlabel("1 to 4: heads; dots: tails")
    return figure


def draw_learning(result):
    """Loss of each level while it learns to predict its next input."""
    figure, axis = plt.subplots(figsize=(6.4, 2.4))
    history = {name: np.array(column) for name, column in result.history.items()}
    for level, colour in enumerate(COLOURS):
        mine = history["level"] == level
        label = f"level {level}, {problem.UNITS[level]} units"
        axis.plot(history["update"][mine], history["loss"][mine], color=colour, label=label)
    axis.set(xlabel="updates", ylabel="cross-entropy", ylim=(0, None))
    axis.legend(fontsize=8)
    return figure


def draw_answers():
    """Answers right in every recorded run: stack, cut stack, single nets."""
    figure, axis = plt.subplots(figsize=(6.4, 2.4))
    rows = (
        ("stack", "accuracy", "three levels, lag 1201"),
        ("stack", "accuracy_far", "three levels, lag 2401"),
        ("stack", "cut_accuracy", "two levels"),
        ("controls", "single_short", "one net, 3 steps back"),
        ("controls", "single_full", "one net, 1201 steps back"),
    )
    for y, (variant, name, _) in enumerate(rows):
        values = [run["metrics"][name] for run in recorded(variant)]
        axis.plot(values, [y] * len(values), "o", color=BLUE if y < 2 else ORANGE, alpha=0.7)
    axis.axvline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    axis.set_yticks(range(len(rows)), [text for _, _, text in rows])
    axis.set(xlim=(0.3, 1.03), ylim=(len(rows) - 0.5, -0.5), xlabel="answers right (0.5: chance)")
    return figure


def draw_vanishing(result, words):
    """Size of the answer's error signal at earlier states of the net at the bottom."""
    net, rng = result.levels[0], np.random.default_rng(0)
    symbols, _ = problem.make_sequences(rng, 16, words)
    h, o = net.forward(symbols[:-1])
    e = o[-1].copy()
    e[np.arange(16), symbols[-1]] -= 1
    d, sizes = e @ net.w["V"].T * (1 - h[-1] ** 2), []
    for t in range(len(h) - 2, -1, -1):
        sizes.append(np.sqrt((d * d).sum(1)).mean())
        d = d @ net.w["R"].T * (1 - h[t] ** 2)
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    sizes = np.maximum(np.array(sizes) / sizes[0], 1e-300)
    axis.plot(np.arange(1, len(sizes) + 1), sizes, color=ORANGE)
    axis.axvspan(0.9, problem.BACK, color=BLUE, alpha=0.2)
    axis.text(1, 1e-40, "what the\nstack needs", fontsize=8, color=BLUE)
    axis.axvline(len(sizes), color=GREY, linewidth=0.8)
    axis.text(len(sizes) * 0.93, 1e-30, "a or x", fontsize=8, ha="right")
    axis.set(xscale="log", yscale="log", xlabel="steps back from the answer", ylim=(1e-60, 10))
    axis.set_ylabel("error signal of one net")
    axis.set_xticks([1, 3, 10, 100, 1000], ["1", "3", "10", "100", "1000"])
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"answers": draw_answers()}
    options.out.mkdir(exist_ok=True)
    config = problem.Config(seed=options.seed, standard=False)
    result = problem.run(config)
    figures |= {
        "streams": draw_streams(result),
        "learning": draw_learning(result),
        "vanishing": draw_vanishing(result, config.words),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
