"""Draw the views, the errors of columns and committee, and digits on which columns differ."""

import argparse
import itertools
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import mcdnn_image_bench as problem
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

IMAGES, TESTS, EPOCHS = 6000, 3000, 2


def draw_views():
    """A digit of every class in all seven views."""
    images, labels, *_ = problem.read_mnist()
    chosen = images[[int(np.flatnonzero(labels == k)[3]) for k in range(10)]]
    figure, axes = plt.subplots(7, 1, figsize=(4.4, 3.6))
    for axis, (name, width) in zip(axes, problem.WIDTHS.items(), strict=True):
        axis.imshow(np.concatenate(list(problem.view(chosen, width)), 1), cmap="Greys")
        axis.set(xticks=[], yticks=[])
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        for spine in axis.spines.values():
            spine.set_visible(False)
    return figure


def draw_errors():
    """Test errors of every recorded column and committee."""
    runs = recorded("columns")
    rows = [(name, f"error_{name}") for name in (*problem.SIX, "ORIGINAL_2")]
    rows += [("two ORIGINALs", "twins_error"), ("committee", "committee_error")]
    figure, axis = plt.subplots(figsize=(5.6, 2.9))
    for place, (_, metric) in enumerate(rows):
        values = [run["metrics"][metric] for run in runs]
        colour = BLUE if metric.startswith("error") else ORANGE
        axis.plot(values, np.full(len(values), -place), "o", color=colour, alpha=0.7)
        axis.plot([np.mean(values)] * 2, [-place - 0.35, -place + 0.35], color=BLACK)
    axis.set_yticks(-np.arange(len(rows)), [name for name, _ in rows])
    axis.set(xlabel="test error (%); line: mean", xlim=(0, None))
    return figure


def train_few(seed):
    """Outputs (columns, tests, 10) of two sets of quickly trained columns: six views, and six
    ORIGINALs; test images and labels."""
    images, labels, tests, truth = problem.read_mnist()
    config = problem.Config(images=IMAGES, epochs=EPOCHS)
    sets = []
    for names in (problem.SIX, ("ORIGINAL",) * 6):
        outputs = []
        for k, name in enumerate(names):
            seen = problem.view(images[:IMAGES], problem.WIDTHS[name]).reshape(IMAGES, -1)
            rng = np.random.default_rng((seed, k))
            w, _ = problem.train(config, seen, labels[:IMAGES], rng, lambda *state: None)
            x = problem.view(tests[:TESTS], problem.WIDTHS[name]).reshape(TESTS, -1)
            x = x * np.float32(1 / 127.5) + np.float32(problem.BACKGROUND)
            outputs.append(problem.outputs_of(w, x))
        sets.append(np.stack(outputs))
    return sets, tests[:TESTS], truth[:TESTS]


def draw_subsets(sets, truth):
    """Error of the mean of all subsets of the columns, by size."""
    figure, axis = plt.subplots(figsize=(4.6, 2.8))
    styles = ("six views", BLUE, -0.06), ("six ORIGINALs", ORANGE, 0.06)
    for outputs, (label, colour, shift) in zip(sets, styles, strict=True):
        means = []
        for size in range(1, 7):
            subsets = [list(part) for part in itertools.combinations(range(6), size)]
            errors = [problem.errors(outputs[part].mean(0), truth) for part in subsets]
            axis.plot(np.full(len(errors), size + shift), errors, ".", color=colour, alpha=0.4)
            means.append(np.mean(errors))
        axis.plot(np.arange(1, 7) + shift, means, color=colour, label=label)
    axis.set(xlabel="columns in the mean", ylabel="test error (%)", ylim=(0, None))
    axis.legend()
    return figure


def draw_votes(outputs, tests, truth):
    """Digits that single columns misread, with their votes; the committee's under each."""
    hits = (outputs.argmax(2) == truth).sum(0)
    voted = outputs.mean(0).argmax(1)
    mended = np.flatnonzero((hits < 6) & (voted == truth))
    mended = mended[np.argsort(hits[mended], kind="stable")][:6]
    missed = np.flatnonzero(voted != truth)[:6]
    figure, axes = plt.subplots(2, 6, figsize=(7.2, 3.1))
    for row, chosen in zip(axes, (mended, missed), strict=True):
        for axis, k in zip(row, chosen, strict=False):
            axis.imshow(tests[k], cmap="Greys")
            said = " ".join(map(str, outputs[:, k].argmax(1)))
            axis.set_title(f"{said}\nmean: {voted[k]}, true: {truth[k]}", fontsize=7)
        for axis in row:
            axis.axis("off")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(parents=True, exist_ok=True)
    sets, tests, truth = train_few(options.seed)
    figures = {
        "views": draw_views(),
        "errors": draw_errors(),
        "subsets": draw_subsets(sets, truth),
        "votes": draw_votes(sets[0], tests, truth),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
