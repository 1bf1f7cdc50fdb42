"""Draw writers, errors of all systems, how words are read, and strings of digits."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import iam_handwriting as problem
import iam_handwriting_offline as offline
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

LINE = "fix my quiet jazz band"


def draw_writers(seed):
    """One line by eight writers who are not in the training set."""
    rng = np.random.default_rng(seed)
    pens = problem.Pens(rng, 8, problem.Config().warp)
    string = [problem.SPACE if c == " " else ord(c) - 97 for c in LINE]
    x, y, up, lengths = problem.write(rng, pens, range(8), [string] * 8)
    figure, axes = plt.subplots(4, 2, figsize=(7.2, 3.2))
    for b, axis in enumerate(axes.flat):
        n = lengths[b]
        for stroke in np.split(np.arange(n), np.flatnonzero(up[:n, b])):
            axis.plot(x[stroke, b], -y[stroke, b], color=BLACK, linewidth=1)
        axis.set(xlim=(-5, x[: lengths.max()].max() + 5), aspect="equal")
        axis.axis("off")
    return figure


def draw_errors():
    """Errors of each run: letters known and new, one way and both; words and digits by system."""
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.5), width_ratios=(4, 2, 2))
    online, oneway = recorded("online"), recorded("oneway")
    columns = (
        [
            ("both ways,\nknown words", online, "blstm_known"),
            ("both ways,\nnew words", online, "blstm_new"),
            ("one way,\nknown", oneway, "lstm_known"),
            ("one way,\nnew", oneway, "lstm_new"),
        ],
        [("CTC", online, "ctc_words"), ("HMM", online, "hmm_words")],
        [("CTC", recorded("offline"), "ctc_wrong"), ("HMM", recorded("offline"), "hmm_wrong")],
    )
    titles = "letters, no dictionary", "words, dictionary", "digits in pictures"
    for axis, rows, title in zip(axes, columns, titles, strict=True):
        for place, (_, runs, metric) in enumerate(rows):
            values = np.array([run["metrics"][metric] for run in runs])
            if metric.endswith("words"):
                values = 100 - values
            axis.plot(np.full(len(values), place), values, "o", color=BLUE, alpha=0.7)
        axis.set_xticks(range(len(rows)), [name for name, *_ in rows], fontsize=7)
        axis.set(title=title, xlim=(-0.6, len(rows) - 0.4), ylim=(0, None))
    axes[0].set_ylabel("wrong (%)")
    return figure


def draw_strings(seed):
    """Strings of digits, and what a net trained for a third of the record's time says of them."""
    config = offline.Config(seed=seed, updates=500, rival=False)
    result = offline.run(config)
    pictures, widths, strings, found, _ = result.tests
    x, lengths = offline.stacked(offline.column_features(pictures, widths), widths)
    y, _ = offline.forward(result.weights, x, lengths)
    figure, axes = plt.subplots(2, 3, figsize=(7.2, 2.4), height_ratios=(1, 0.8))
    for b in range(3):
        n, width = lengths[b], widths[b]
        axes[0, b].imshow(pictures[b, :, :width], cmap="Greys", aspect="auto")
        true, read = ("".join(map(str, row)) for row in (strings[b], found[b]))
        axes[0, b].set(xticks=[], yticks=[], title=f"{true}, read as {read}")
        at = offline.STACKED * np.arange(n) + 1
        axes[1, b].fill_between(at, y[:n, b, -1], color=GREY, alpha=0.35, linewidth=0)
        for digit in range(10):
            if y[:n, b, digit].max() > 0.1:
                axes[1, b].plot(at, y[:n, b, digit], linewidth=1)
        best = y[:n, b].argmax(1)
        for t in np.flatnonzero((best < offline.DIGITS) & (np.diff(best, prepend=-1) != 0)):
            axes[1, b].text(at[t], 1.04, best[t], ha="center", fontsize=7)
        axes[1, b].set(xlim=(0, width), ylim=(0, 1.25), yticks=(0, 1), xlabel="column")
    axes[1, 0].set_ylabel("output")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(parents=True, exist_ok=True)
    figures = {
        "writers": draw_writers(options.seed),
        "errors": draw_errors(),
        "strings": draw_strings(options.seed),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
