"""Draw the pictures of fast-weights-key-value into viz/."""

import argparse
import json
import sys
from pathlib import Path

import fast_weights_key_value as problem
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


def draw_car(result):
    """Steps to 100 clean answers of every net, and the slow weights that they have learnt."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.8))
    ends = result.starts
    axes[0].hist(ends[ends > 0], 20, color=BLUE)
    axes[0].axvline(6000, color=BLACK)
    axes[0].text(6050, 1, "paper", fontsize=8)
    axes[0].set(xlabel="steps to 100 clean answers", ylabel="nets", xlim=(0, None))
    axes[0].set_title(f"{(ends > 0).sum()} of {len(ends)} nets")
    S = result.nets["car"][ends > 0]
    own = np.einsum("nkk->nk", S[:, :, :3]).ravel()
    others = S[:, :, :3][:, ~np.eye(3, dtype=bool)].ravel()
    groups = (("own detector", own, BLUE), ("other detectors", others, RED))
    groups += (("random bits", S[:, :, 3:].ravel(), GREY),)
    for label, values, colour in groups:
        share = np.full(len(values), 1 / len(values))
        options = {"color": colour, "alpha": 0.6, "label": label, "weights": share}
        axes[1].hist(values, np.linspace(-2, 2.5, 46), **options)
    axes[1].set(xlabel="slow weight", ylabel="share")
    axes[1].legend(fontsize=8)
    return figure


def draw_life(result, seed):
    """120 steps of one net: where the car is, and the three fast weights."""
    config = problem.Config(replicas=1)
    net = problem.CarNets(np.random.default_rng(0), config)
    net.S = result.nets["car"][[int(np.argmax(result.starts > 0))]]
    x, asked, slots = problem.car_stream(np.random.default_rng(seed + 8), 1, 120)
    fast = []
    for now in x:
        net.write(now)
        fast.append(net.w[0])
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 2.8), sharex=True, height_ratios=(1, 1.6))
    for slot, colour in enumerate((BLUE, ORANGE, GREEN)):
        parks = np.flatnonzero(x[:, 0, slot])
        axes[0].plot(parks, [slot + 1] * len(parks), "v", color=colour, markersize=7)
        axes[1].plot(np.array(fast)[:, slot], color=colour, label=f"slot {slot + 1}")
    when = np.flatnonzero(asked[:, 0])
    axes[0].plot(when, slots[when, 0] + 1, ".", color=BLACK, markersize=3)
    axes[0].set(yticks=(1, 2, 3), ylim=(0.5, 3.6), ylabel="slot")
    axes[0].set_title("parks (triangles), is asked while parked (dots)", fontsize=9)
    axes[1].set(xlabel="step", ylabel="fast weights")
    axes[1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_curves(result):
    """Recall of names and contents, and cosine of pairs, each with its control."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.6))
    history = {name: np.array(column) for name, column in result.history.items()}
    rows = (
        (axes[0], "binding", "bounded, from-to", BLUE),
        (axes[0], "added", "added, no bound", ORANGE),
        (axes[1], "pairs", "exponential units", BLUE),
        (axes[1], "linear", "linear map", ORANGE),
    )
    for axis, task, label, colour in rows:
        mine = history["task"] == task
        axis.plot(history["step"][mine], history["value"][mine], color=colour, label=label)
    axes[0].axhline(1 / 8, color=GREY, linewidth=0.8, linestyle=":")
    axes[1].axhline(0.754, color=GREY, linewidth=0.8, linestyle=":")
    axes[0].set(xlabel="updates", ylabel="recall, median net", ylim=(0, 1.03))
    axes[1].set(xlabel="updates", ylabel="cosine", ylim=(0.5, 1.03))
    axes[0].set_title("8 names, 8 contents", fontsize=9)
    axes[1].set_title("five pairs, keys of 8 numbers", fontsize=9)
    for axis in axes:
        axis.legend(fontsize=8, loc="lower right")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures = {
        "car": draw_car(result),
        "life": draw_life(result, options.seed),
        "curves": draw_curves(result),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
