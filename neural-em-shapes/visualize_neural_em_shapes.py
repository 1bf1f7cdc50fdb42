"""Draw the pictures of neural-em-shapes into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import neural_em_shapes as problem
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

SLOTS = np.array([[0.0, 0.45, 0.7], [0.9, 0.62, 0.0], [0.0, 0.62, 0.45], [0.8, 0.47, 0.65]])
UPDATES = 700  # of the net that is shown


def coloured(x, gamma):
    """An image (28, 28, 3): the pixels of x in the colours of their slots."""
    colour = np.einsum("kp,kc->pc", gamma, SLOTS[: len(gamma)])
    return np.where(x[:, None] > 0.5, colour, 1.0).reshape(28, 28, 3)


def draw_scores():
    """AMI of every recorded run: the headline, and the three models after equal updates."""
    figure, axis = plt.subplots(figsize=(6.4, 2.3))
    rows = (
        ("RNN-EM, 2,000 updates", "rnnem", "ami", 0.826),
        ("its images without overlap", "rnnem", "clear_ami", None),
        ("RNN-EM, 600 updates", "compare", "rnnem_ami", None),
        ("without the second term", "compare", "nointer_ami", None),
        ("N-EM, 600 updates", "compare", "nem_ami", 0.475),
    )
    for y, (_, variant, metric, paper) in enumerate(rows):
        values = [run["metrics"][metric] for run in recorded(variant)]
        axis.plot(values, [y] * len(values), "o", color=BLUE, alpha=0.7)
        if paper:
            axis.plot(paper, y, "|", color=BLACK, markersize=16, markeredgewidth=2)
    axis.plot([], [], "|", color=BLACK, markeredgewidth=2, label="the paper's (trained far longer)")
    axis.set_yticks(range(5), [row[0] for row in rows])
    axis.set(xlim=(0.4, 1), ylim=(4.6, -0.6), xlabel="AMI")
    axis.legend(fontsize=8, loc="lower right")
    return figure


def draw_steps(w, x):
    """Which slot claims each pixel, EM step by EM step, and what the slots predict at the end."""
    shown = (0, 1, 2, 4, 7, 14)
    figure, axes = plt.subplots(3, len(shown) + 5, figsize=(6.4, 2.2))
    trace = problem.unroll(w, x[:3], np.random.default_rng(0), problem.TEST_STEPS, 4)
    for n, row in enumerate(axes):
        row[0].imshow(x[n].reshape(28, 28), cmap="Greys")
        for axis, step in zip(row[1:], shown, strict=False):
            axis.imshow(coloured(x[n], trace[step]["gamma"][n]))
            if n == 0:
                axis.set_title(f"step {step + 1}", fontsize=7)
        for k, axis in enumerate(row[-4:]):
            axis.imshow(trace[-1]["psi"][n, k].reshape(28, 28), cmap="Greys", vmin=0, vmax=1)
            if n == 0:
                axis.set_title(f"slot {k + 1}", fontsize=7, color=SLOTS[k])
        for axis in row:
            axis.set(xticks=[], yticks=[])
    axes[0, 0].set_title("image", fontsize=7)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"scores": draw_scores()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed, updates=UPDATES))
    figures["steps"] = draw_steps(result.weights["rnnem"], result.test[0])
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
