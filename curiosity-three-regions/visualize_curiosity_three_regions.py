"""Draw the pictures of curiosity-three-regions into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import curiosity_three_regions as problem
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

NAMES = {
    "curious": "curious",
    "random": "random moves",
    "clipped": "clipped reward",
    "raw": "raw error",
    "myopic": "myopic (g = 0)",
}
COLOURS = dict(zip(NAMES, (BLUE, GREY, ORANGE, RED, PINK), strict=True)) | {"rule": GREEN}
REGIONS = ("A known", "B random", "C learnable")
TINTS = (SKY, GREY, GREEN)
PUBLISHED = 10  # the paper's "up to 10 times"


def draw_modules():
    """Who feeds whom, and what is learnt."""
    figure, axis = plt.subplots(figsize=(6.4, 2.9))
    boxes = {
        "world\ncell s, answer y": (0, 1, "white"),
        "M\npredicts y": (1.6, 1.5, SKY),
        "C\nexpects (y − M)²": (3.2, 1.5, SKY),
        "Q\nreward to come": (3.2, 0.3, SKY),
    }
    place = [(x, y) for x, y, _ in boxes.values()]
    for text, (x, y, colour) in boxes.items():
        axis.add_patch(plt.Rectangle((x - 0.5, y - 0.25), 1, 0.5, fc=colour, ec=BLACK))
        axis.text(x, y, text, ha="center", va="center")
    world, model, confidence, value = place
    arrow = {"arrowstyle": "-|>", "color": BLACK, "linewidth": 1.3}
    learn = {**arrow, "color": GREEN}
    for start, end, style, text, spot in (
        ((0.5, 1.1), (1.1, 1.45), learn, "y", (0.72, 1.4)),
        ((2.1, 1.5), (2.7, 1.5), learn, "(y − M)²", (2.4, 1.6)),
        ((3.2, 1.25), (3.2, 0.55), learn, "r = C before − C after", (3.98, 0.9)),
        ((2.7, 0.3), (0.5, 0.85), arrow, "move a: best Q(s, ·), or any", (1.35, 0.28)),
    ):
        axis.annotate("", end, start, arrowprops=style)
        axis.text(*spot, text, ha="center", va="center")
    axis.plot([], [], color=GREEN, label="teaches")
    axis.plot([], [], color=BLACK, label="decides")
    axis.legend(loc="lower left", bbox_to_anchor=(0, -0.08), ncols=2)
    axis.text(1.6, 2.0, "blue: a table over pairs (s, a)", ha="center")
    axis.set(xlim=(-0.6, 4.7), ylim=(-0.05, 2.15))
    axis.axis("off")
    return figure


def live_together(seed):
    """The headline run: its result, the steps of its looks, E(t) / E(0) as (looks, groups, lives),
    where E is that of each life."""
    errors = []

    def watch(step, total, lives, **_):
        errors.append(lives.error.copy())

    config = problem.Config(seed=seed)
    result = problem.run(config, watch)
    start = problem.MOVES * problem.SIDE  # both worlds have one learnable column
    errors = np.array(errors).reshape(len(errors), len(result.groups), config.lives)
    return result, np.array(result.history["step"]), errors / start


def draw_error(result, steps, errors):
    """E(t) of all drives in both worlds: median of the lives and the middle four fifths."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.1), sharey=True)
    for k, (world, drive) in enumerate(result.groups):
        axis = axes["PT".index(world)]
        low, middle, high = np.percentile(errors[:, k], [10, 50, 90], axis=1)
        axis.plot(steps / 1000, middle, color=COLOURS[drive], label=NAMES[drive])
        axis.fill_between(steps / 1000, low, high, color=COLOURS[drive], alpha=0.2, linewidth=0)
    for axis, title in zip(axes, ("world P: 90 B, 10 C", "world T: 40 A, 50 B, 10 C"), strict=True):
        axis.axhline(problem.REMAINS, color=BLACK, linestyle=":", linewidth=1)
        axis.set(title=title, xlabel="thousand steps", ylim=(0, 1.03), xscale="log")
        axis.set_xticks([0.5, 1, 2, 5, 10, 20, 60], ["0.5", "1", "2", "5", "10", "20", "60"])
        axis.minorticks_off()
    axes[0].set_ylabel("error on learnable pairs, E(t) / E(0)")
    axes[0].text(0.55, 0.12, "10 %: T10", fontsize=8)
    axes[1].legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 0.1))
    return figure


def draw_shares(result, steps):
    """Where the time goes: stacked shares of the regions for three drives in both worlds."""
    shares = np.array(result.history["shares"])
    figure, axes = plt.subplots(2, 3, figsize=(6.4, 3.8), sharex=True, sharey=True)
    for i, world in enumerate("PT"):
        for axis, drive in zip(axes[i], ("curious", "clipped", "raw"), strict=True):
            parts = shares[:, result.groups.index((world, drive))].T[::-1]
            axis.stackplot(steps / 1000, parts, colors=TINTS[::-1], labels=REGIONS[::-1])
            area = sum(row.count("C") for row in problem.WORLDS[world]) / problem.CELLS
            axis.axhline(area, color=BLACK, linestyle=":", linewidth=1)
            axis.set(ylim=(0, 1), xlim=(steps[0] / 1000, steps[-1] / 1000))
            if i == 0:
                axis.set_title(NAMES[drive])
            else:
                axis.set_xlabel("thousand steps")
        axes[i, 0].set_ylabel(f"world {world}\nshare of steps")
    handles, labels = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside upper center", ncols=3)
    return figure


def draw_times():
    """T10 of all drives and of the rule over the recorded seeds, and the visits that all need."""
    names = {**NAMES, "rule": "rule told more"}
    runs = [run["metrics"] for run in recorded("worlds")]
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3), sharey=True)
    for axis, world in zip(axes, "PT", strict=True):
        for k, drive in enumerate(names):
            times = [run[f"{world}_{drive}_t10"] for run in runs]
            times = np.array([time / 1000 for time in times if time is not None])
            if len(times):
                axis.bar(k, times.mean(), color=COLOURS[drive])
                spread = k + np.linspace(-0.25, 0.25, len(times))
                axis.plot(spread, times, ".", color=BLACK, markersize=3)
            else:
                axis.text(k, 3.5, "never", ha="center", color=COLOURS[drive], rotation=90)
        ideal = runs[0][f"{world}_ideal_t10"] / 1000
        axis.axhline(ideal, color=BLACK, linestyle="--", linewidth=1, label="visits needed")
        labels = [name.replace(" ", "\n", 1) for name in names.values()]
        axis.set_xticks(range(len(names)), labels, fontsize=6.5)
        axis.set_title(f"world {world}")
    axes[0].set_ylabel(f"T10 [thousand steps], {len(runs)} seeds")
    axes[0].legend(loc="upper right")
    return figure


def race(rng, groups, lives, steps, **rates):
    """T10 of many groups (map, drive) at once, (groups, lives), `steps` where it is not reached;
    rates: fields of Lives, one value for each group."""
    config = problem.Config()
    state = problem.build(rng, groups, lives, config)
    for name, values in rates.items():
        setattr(state, name, np.repeat(np.array(values, float), lives))
    count = len(state.state)
    base, limit = problem.CELLS * np.arange(count), problem.REMAINS * state.error
    t10 = np.full(count, steps)
    for t in range(steps):
        if t % 200 == 0:
            luck = zip(*problem.draw_luck(rng, 200, state.explore), strict=True)
        problem.step(state, base, *next(luck))
        t10[(state.error < limit) & (t10 == steps)] = t + 1
        if (t10 < steps).all():
            break
    return t10.reshape(len(groups), lives)


def draw_rarity(seed, lives=8, steps=60_000):
    """Speed-up against the share of learnable cells, for slow and fast models; aC is at most 10 aM,
    for a confidence that is faster than the model drowns in noise what little the model gains."""
    worlds = {5: problem.WORLDS["rare"], 10: problem.WORLDS["P"]}
    worlds |= {20: ["BBBBBBBBCC"] * 10, 40: ["BBBBBBCCCC"] * 10}
    rates = (0.01, 0.02, 0.05, 0.1)
    cases = [(world, rate) for rate in rates for world in worlds.values()]
    groups = [(world, drive) for world, _ in cases for drive in ("random", "curious")]
    model_rate = [rate for _, rate in cases for _ in range(2)]
    options = {"model_rate": model_rate}
    options["confidence_rate"] = [min(0.2, 10 * rate) for rate in model_rate]
    t10 = race(np.random.default_rng(seed), groups, lives, steps, **options).mean(1)
    ratio = (t10[::2] / t10[1::2]).reshape(len(rates), len(worlds))
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    for rate, line, colour in zip(rates, ratio, (BLUE, SKY, ORANGE, RED), strict=True):
        visits = problem.visits_needed(rate)
        axis.plot(list(worlds), line, "o-", color=colour, label=f"aM = {rate}: {visits} visits")
    axis.axhline(PUBLISHED, color=BLACK, linestyle="--", linewidth=1)
    axis.text(40, PUBLISHED + 0.2, "paper: up to 10", ha="right")
    axis.axhline(1, color=GREY, linewidth=1)
    axis.set(
        xlabel="learnable cells [of 100]", ylabel=f"speed-up, {lives} lives each", ylim=(0, 12)
    )
    axis.set(xscale="log", xticks=list(worlds), xticklabels=list(worlds))
    axis.minorticks_off()
    axis.legend(title="a pair needs", loc="center right")
    return figure


def draw_rates(seed, lives=6, steps=60_000):
    """Speed-up of the signed and the clipped reward against two of our rates."""
    confidence, value = (0.05, 0.1, 0.2, 0.3), (1.0, 0.5)
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3), sharey=True)
    cases = [(world, drive, b, c) for world in "PT" for drive in ("curious", "clipped")
             for b in value for c in confidence]  # fmt: skip
    groups = [(problem.WORLDS[world], drive) for world, drive, _, _ in cases]
    groups += [(problem.WORLDS[world], "random") for world in "PT"]
    rates = {"value_rate": [b for *_, b, _ in cases] + [1, 1]}
    rates["confidence_rate"] = [c for *_, c in cases] + [0.1, 0.1]
    t10 = race(np.random.default_rng(seed), groups, lives, steps, **rates).mean(1)
    for axis, world, base in zip(axes, "PT", t10[-2:], strict=True):
        for drive in ("curious", "clipped"):
            for b, style in zip(value, ("o--", "o-"), strict=True):
                rows = [cases.index((world, drive, b, c)) for c in confidence]
                label = f"{NAMES[drive]}, b = {b:g}"
                axis.plot(confidence, base / t10[rows], style, color=COLOURS[drive], label=label)
        axis.axhline(1, color=GREY, linewidth=1)
        axis.set(title=f"world {world}", xlabel="aC, rate of the confidence", xscale="log")
        axis.set_xticks(confidence, confidence)
        axis.minorticks_off()
    axes[0].set(ylabel=f"speed-up, {lives} lives each", ylim=(0, None))
    axes[1].legend(fontsize=8)
    return figure


def draw_rewards(seed, lives=20, steps=30_000, width=1000):
    """What a visit pays in each region while an agent moves at random: signed and clipped."""
    rng = np.random.default_rng(seed)
    state = problem.build(rng, [(problem.WORLDS["T"], "random")], lives, problem.Config())
    base = problem.CELLS * np.arange(lives)
    paid, visits = np.zeros((2, steps // width, 3)), np.zeros((steps // width, 3))
    for t in range(steps):
        if t % width == 0:
            luck = zip(*problem.draw_luck(rng, width, state.explore), strict=True)
        where, change = problem.step(state, base, *next(luck))
        visits[t // width] += np.bincount(where, minlength=3)
        for k, reward in enumerate((change, np.maximum(change, 0))):
            paid[k, t // width] += np.bincount(where, reward, minlength=3)
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.9), sharey=True)
    middle = (np.arange(steps // width) + 0.5) * width / 1000
    for axis, rows, title in zip(axes, paid, ("signed: r", "clipped: max(0, r)"), strict=True):
        for k, name in enumerate(REGIONS):
            axis.plot(middle, 1000 * rows[:, k] / visits[:, k], color=TINTS[k], label=name)
        axis.axhline(0, color=BLACK, linewidth=0.8)
        axis.set(title=title, xlabel="thousand steps")
    axes[0].set_ylabel("mean reward of a visit [0.001]")
    axes[0].legend()
    return figure


def draw_utility(seed):
    """U as shades and the best moves as arrows, at four stages of one curious life in world P."""
    rng = np.random.default_rng(seed)
    config = problem.Config()
    state = problem.build(rng, [(problem.WORLDS["P"], "curious")], 1, config)
    stages, shots, start = [0.95, 0.5, 0.1], [], state.error[0]
    for t in range(1, config.steps // 2 + 1):
        if (t - 1) % 500 == 0:
            luck = zip(*problem.draw_luck(rng, 500, state.explore), strict=True)
        problem.step(state, np.zeros(1, int), *next(luck))
        if len(shots) < 3 and state.error[0] < stages[len(shots)] * start:
            shots.append((t, state.error[0] / start, state.Q.reshape(-1, 4).copy()))
    shots.append((t, state.error[0] / start, state.Q.reshape(-1, 4).copy()))
    figure, axes = plt.subplots(1, len(shots), figsize=(6.4, 2.4))
    peak = max(Q.max() for *_, Q in shots)
    dx, dy = np.array([0, 0, -1, 1]), np.array([-1, 1, 0, 0])
    for axis, (t, error, Q) in zip(axes, shots, strict=True):
        utility = Q.max(1).reshape(10, 10)
        picture = axis.imshow(utility, cmap="Blues", vmin=0, vmax=peak)
        known = np.flatnonzero(np.ptp(Q, axis=1) > 0)  # elsewhere all moves are equal
        best, (y, x) = Q[known].argmax(1), np.divmod(known, 10)
        axis.quiver(x, y, dx[best], dy[best], angles="xy", scale=13, width=0.012, pivot="mid")
        axis.add_patch(plt.Rectangle((8.5, -0.5), 1, 10, fill=False, ec=GREEN, linewidth=2))
        axis.set(xticks=[], yticks=[], title=f"step {t:,}\nE = {100 * error:.0f} %")
    figure.colorbar(picture, ax=axes, shrink=0.7, label="U = max Q")
    return figure


def draw_bandit():
    """The earlier catalog's bandit: shares of the three arms over the recorded seeds."""
    runs = [run["metrics"] for run in recorded("v1")]
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    for i, reward in enumerate(("signed", "clipped")):
        for k, (arm, name) in enumerate(zip("abc", REGIONS, strict=True)):
            shares = np.array([run[f"{reward}_share_{arm}"] for run in runs])
            place = i + 0.27 * (k - 1)
            axis.bar(place, shares.mean(), 0.25, color=TINTS[k], label=None if i else name)
            spread = place + np.linspace(-0.08, 0.08, len(shares))
            axis.plot(spread, shares, ".", color=BLACK, markersize=3)
    axis.axhline(1 / 3, color=BLACK, linestyle=":", linewidth=1)
    axis.text(0.5, 0.35, "chance", ha="center", fontsize=8)
    axis.set_xticks([0, 1], ["signed reward", "clipped reward"])
    axis.set(ylabel=f"share of pulls, {len(runs)} seeds", ylim=(0, 1))
    axis.legend(loc="upper center", ncols=3)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"times": draw_times(), "bandit": draw_bandit(), "modules": draw_modules()}
    result, steps, errors = live_together(options.seed)
    figures |= {
        "error": draw_error(result, steps, errors),
        "shares": draw_shares(result, steps),
        "rarity": draw_rarity(options.seed),
        "rates": draw_rates(options.seed),
        "rewards": draw_rewards(options.seed),
        "utility": draw_utility(options.seed),
    }
    options.out.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
