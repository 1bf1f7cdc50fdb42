"""Draw the curves, the seeds, obedience and the actions of upside-down-rl."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import upside_down_rl as problem

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

LEARNERS = {"udrl": ("upside-down", BLUE), "a2c": ("actor-critic (A2C)", ORANGE)}
REWARDS = {"dense": "reward at every step", "sparse": "all reward in the last step"}


def draw_learning(result, seed):
    """Mean return of the last 100 episodes over training, dense and sparse, both learners."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.0), sharey=True)
    decisions = np.array(result.history["decisions"]) / 1e6
    for axis, (kind, title) in zip(axes, REWARDS.items(), strict=True):
        for learner, (name, colour) in LEARNERS.items():
            returns = result.history[f"{learner}_{kind}_return"]
            axis.plot(decisions, returns, color=colour, label=name)
        for metric, style in (("heuristic", "--"), ("random", ":")):
            label = {"heuristic": "heuristic pilot", "random": "random play"}[metric]
            axis.axhline(result.metrics[metric], color=GREY, linestyle=style, label=label)
        axis.axvspan(decisions[-1] / 2, decisions[-1], color=YELLOW, alpha=0.15, linewidth=0)
        axis.set(xlabel=f"decisions [millions], seed {seed}", title=title, ylim=(-900, 330))
    axes[0].set_ylabel("return, last 100 episodes")
    axes[0].text(decisions[-1] * 0.52, -870, "second half", fontsize=8, color="#666666")
    axes[0].legend(fontsize=8, loc="center right", bbox_to_anchor=(1, 0.35))
    return figure


def draw_seeds():
    """Every recorded seed: returns in the second half of training, and tests of the controls."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 2.9), width_ratios=(1.2, 1))
    runs = recorded("lander")
    rows = [(f"{learner}_{kind}_half", learner) for kind in REWARDS for learner in LEARNERS]
    for place, (metric, learner) in enumerate(rows):
        values = [run["metrics"][metric] for run in runs]
        name, colour = LEARNERS[learner]
        shift = np.linspace(-0.15, 0.15, len(values))
        left.plot(place + shift, values, "o", color=colour, alpha=0.8, markersize=5)
        left.plot([place - 0.3, place + 0.3], [np.mean(values)] * 2, color=colour)
    names = [f"{'UDRL' if learner == 'udrl' else 'A2C'}\n{m.split('_')[1]}" for m, learner in rows]
    left.set_xticks(range(len(rows)), names)
    left.set(ylabel="mean return", title="second half of training")
    variants = {"lander": "true", "no_command": "none", "shuffled": "shuffled"}
    for place, variant in enumerate(variants):
        for kind, marker, side in (("dense", "o", -0.12), ("sparse", "^", 0.12)):
            values = [run["metrics"][f"udrl_{kind}"] for run in recorded(variant)]
            label = kind if place == 0 else None
            shift = place + side + np.linspace(-0.06, 0.06, len(values))
            right.plot(shift, values, marker, color=BLUE, alpha=0.7, markersize=5, label=label)
    right.set_xticks(range(3), variants.values())
    right.set(xlabel="commands in training", title="upside-down, test return", xlim=(-0.5, 2.5))
    right.legend(fontsize=8)
    return figure


def draw_commands(result, seed):
    """Obtained against desired return, at the end and at the first moment with 30 % landings."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.3), sharex=True, sharey=True)
    for i, (axis, title) in enumerate(zip(axes, REWARDS.values(), strict=True)):
        for when, colour in (("early", ORANGE), ("end", BLUE)):
            pair = result.asked[when][i]
            if pair is not None:
                desired, obtained = pair
                axis.plot(desired, obtained, ".", color=colour, alpha=0.35, markersize=3)
                steps = np.unique(desired)
                means = [obtained[desired == step].mean() for step in steps]
                label = f"{when}, r = {problem.correlation(pair):.2f}"
                axis.plot(steps, means, "o-", color=colour, markersize=4, label=label)
        ends = np.array([-230, 320])
        axis.plot(ends, ends, color=GREY, linestyle="--", linewidth=0.8)
        axis.set(xlabel=f"desired return, seed {seed}", title=title, xlim=ends, ylim=(-290, 330))
        axis.legend(fontsize=8, loc="lower right", title="mean of 20 episodes", title_fontsize=8)
    axes[0].set_ylabel("obtained return")
    return figure


def draw_map(result):
    """The likeliest action of the net for sparse reward over height and fall, low and high d_r."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.1), sharey=True)
    height, fall = np.linspace(0, 10, 101), np.linspace(-8, 4, 121)
    s = np.zeros((1, 101, 121, 8), np.float32)
    s[0, :, :, 1], s[0, :, :, 3] = height[:, None] / (20 / 3), fall * (20 / 3 / 50)
    W = problem.views(result.weights[1:], problem.behaviour_shapes(problem.Lander))
    config = problem.Config()
    for axis, d_r in zip(axes, (-100, 270), strict=True):
        commands = np.tile(np.array([d_r, 250.0]), (1, s[0, :, :, 0].size, 1))
        logits = problem.behave(W, s.reshape(1, -1, 8), problem.scaled(config, commands))[0]
        main = problem.probabilities(logits)[0, :, 2].reshape(101, 121)
        image = axis.pcolormesh(fall, height, main, vmin=0, vmax=1, rasterized=True)
        axis.set(xlabel="vertical speed [m/s]", title=f"told: {d_r} in 250 steps")
    axes[0].set_ylabel("height over the ground [m]")
    figure.colorbar(image, ax=axes, label="probability of the main engine")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"seeds": draw_seeds()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures |= {
        "learning": draw_learning(result, options.seed),
        "commands": draw_commands(result, options.seed),
        "map": draw_map(result),
    }
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
