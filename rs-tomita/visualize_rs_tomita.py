"""Draw the pictures of rs-tomita into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import rs_tomita as problem

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

LANGUAGES = {1: "1: only 1s", 2: "2: (10)*", 4: "4: no 000"}
PAPER = {1: (182, 288), 2: (1_511, 17_953), 4: (13_833, 35_610)}  # trials with A1 and A2, 2001
TRAINED = {1: (23_000, 46_000), 2: (77_000, 200_000), 4: (46_000, 210_000)}  # strings, 1993


def draw_trials():
    """Trials to a success in every recorded run, beside the papers' and strings of trained nets."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    shown = (
        ("guessing", BLUE, "o", "ours", -0.24),
        ("even", SKY, "^", "ours, no near misses", -0.12),
        ("other_target", ORANGE, "s", "ours, targets exchanged", 0.0),
    )
    for variant, colour, form, label, shift in shown:
        for y, language in enumerate(LANGUAGES):
            metrics = [run["metrics"] for run in recorded(variant)]
            values = [m[f"trials_{language}"] for m in metrics]
            values = [value for value in values if value is not None]
            place = [y + shift] * len(values)
            text = label if y == 0 else None
            axis.plot(values, place, form, color=colour, markersize=5, alpha=0.7, label=text)
    for y, language in enumerate(LANGUAGES):
        text = ("the paper's trials, A1 and A2", "strings of trained nets, 1993 (not checked)")
        text = text if y == 0 else (None, None)
        axis.plot(PAPER[language], [y + 0.12] * 2, "D", color=BLACK, markersize=5, label=text[0])
        axis.plot(TRAINED[language], [y + 0.26] * 2, "-", color=RED, linewidth=4, label=text[1])
    axis.set_yticks(range(3), list(LANGUAGES.values()))
    axis.set(xscale="log", xlabel="trials (or strings)", ylim=(2.5, -0.5), xlim=(5, 4e5))
    axis.set_xticks([10, 100, 1e3, 1e4, 1e5], ["10", "100", "1,000", "10,000", "100,000"])
    axis.minorticks_off()
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return figure


def automaton(n, weights):
    """States that a net reaches, merged if equal to two digits: outputs, and moves (states, 2)."""
    halves = problem.parts(n, 0.5 * weights[:, None].astype(float))
    start = (np.zeros((n, 1)), np.zeros(1))
    names, states, moves = {}, [start], []
    names[tuple(np.round(np.append(start[0], start[1]), 2))] = 0
    for state in states:
        row = []
        for x in (-1.0, 1.0):
            h, o = problem.step(halves, x, *state)
            key = tuple(np.round(np.append(h, o), 2))
            if key not in names:
                names[key] = len(states)
                states.append((h, o))
            row.append(names[key])
        moves.append(row)
        if len(states) > 12:
            return None
    return [float(o[0]) for _, o in states], np.array(moves)


def draw_automata(result):
    """The machine that one accepted net of each language is: states and where 0 and 1 lead."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.9), width_ratios=(1, 1.3, 1.3))
    for axis, (language, name) in zip(axes, LANGUAGES.items(), strict=True):
        n, weights = problem.PARTS["main"][language][0], result.found[language].weights
        machines = (automaton(n, column) for column in weights.T)
        outputs, moves = min((m for m in machines if m), key=lambda m: len(m[0]))
        count = len(outputs)
        angle = np.pi / 2 - 2 * np.pi * np.arange(count) / count
        place = np.stack([np.cos(angle), np.sin(angle)], 1) * (count > 1)
        for state, (output, at) in enumerate(zip(outputs, place, strict=True)):
            colour = BLUE if output < 0.5 else RED
            axis.add_patch(plt.Circle(at, 0.2, color=colour, alpha=0.35))
            text = "start" if state == 0 else f"{output:.0f}"
            axis.text(*at, text, ha="center", va="center", fontsize=8)
            stays = [str(symbol) for symbol in (0, 1) if moves[state, symbol] == state]
            if stays:
                axis.text(*(1.55 * at), ", ".join(stays) + " ↺", ha="center", va="center")
            for symbol in (0, 1):
                end, curve = place[moves[state, symbol]], 0.18 + 0.22 * symbol
                style = {"connectionstyle": f"arc3,rad={curve}", "arrowstyle": "->"}
                colour = (BLACK, "#009e73")[symbol]
                if moves[state, symbol] == state:
                    continue
                ends = {"shrinkA": 11, "shrinkB": 11, "color": colour}
                axis.annotate("", end, at, arrowprops=style | ends)
        axis.set(xlim=(-1.8, 1.8), ylim=(-1.8, 1.8), aspect="equal", title=name)
        axis.axis("off")
    figure.supxlabel("arrows: black 0, green 1, ↺ stays; number: output; the smallest found")
    return figure


def draw_scores(seed):
    """How many of 60 strings random nets answer rightly, by language."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.6), sharey=True)
    for axis, (language, name) in zip(axes, LANGUAGES.items(), strict=True):
        n, rng = problem.PARTS["main"][language][0], np.random.default_rng(seed + 5)
        training = problem.make_set(rng, language, 60, 100, 120, problem.Config())
        weights = problem.draw(rng, n, 4000, 100.0)
        outputs = problem.end_outputs(n, weights, *training[:2])
        right = problem.right(outputs, training[2]).sum(0)
        axis.hist(right, np.arange(-0.5, 61.5), color=BLUE)
        axis.set(yscale="log", xlabel="right of 60", title=name, xlim=(-1, 61.5), ylim=(0.6, 4000))
    axes[0].set_ylabel("of 4000 random nets")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"trials": draw_trials()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed))
    figures |= {"automata": draw_automata(result), "scores": draw_scores(options.seed)}
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
