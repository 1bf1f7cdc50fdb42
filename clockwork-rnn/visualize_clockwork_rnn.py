"""Draw the pictures of clockwork-rnn into viz/."""

import argparse
import json
import sys
from pathlib import Path

import clockwork_rnn as problem
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

COLOURS = {"clockwork": BLUE, "lstm": GREEN, "srn": ORANGE}


def draw_waves(result):
    """The five targets, and what each net draws."""
    figure, axes = plt.subplots(5, 1, figsize=(6.4, 6.4), sharex=True)
    waves, ms = problem.music_windows(), 1000 * np.arange(problem.SAMPLES) / problem.HERTZ
    for k, axis in enumerate(axes):
        axis.plot(ms, waves[:, k], color=GREY, linewidth=3, alpha=0.6, label="target")
        for kind in ("srn", "lstm", "clockwork"):
            wave = result.outputs[kind][:, k]
            axis.plot(ms, wave, color=COLOURS[kind], linewidth=0.9, label=kind)
        axis.set(ylabel=f"wave {k + 1}", ylim=(-1.15, 1.15))
    axes[0].legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)
    axes[-1].set(xlabel="time [ms]")
    return figure


def draw_modules(result):
    """What each module adds to the output of one waveform."""
    net, wave = result.nets["clockwork"], 0
    x = np.ones((problem.SAMPLES, 5, 0, 1), np.float32)
    net.forward(x)
    h, u = net.h[1:, wave, :, 0], net.weights["U"][wave, 0]
    figure, axes = plt.subplots(9, 1, figsize=(6.4, 5.6), sharex=True)
    for i, axis in enumerate(axes):
        rows = slice(i * net.size, (i + 1) * net.size)
        axis.plot(h[:, rows] @ u[rows], color=BLUE, linewidth=0.9)
        axis.set_ylabel(f"T = {net.clock[rows][0]}", rotation=0, ha="right", va="center")
    axes[0].set_title("output that each module adds, first waveform")
    axes[-1].set(xlabel="sample")
    return figure


def draw_errors():
    """The errors of all recorded runs."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.6))
    for axis, variant, what in zip(axes, ("music", "words"), ("nmse", "error"), strict=True):
        runs = [run["metrics"] for run in recorded(variant)]
        for place, (kind, colour) in enumerate(COLOURS.items()):
            values = [m[f"{kind}_{what}"] * (1 if what == "nmse" else 100) for m in runs]
            spread = place + np.linspace(-0.15, 0.15, len(values))
            axis.plot(spread, values, "o", color=colour, markersize=5, alpha=0.7)
        axis.set_xticks(range(3), COLOURS)
        axis.set_title(variant)
    axes[0].set(yscale="log", ylabel="error / variance (NMSE)")
    axes[1].set(ylabel="wrong test words [%]", ylim=(-2, 100))
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"errors": draw_errors()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed, epochs=1000))
    figures |= {"waves": draw_waves(result), "modules": draw_modules(result)}
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
