"""Draw the figures of subgoal-obstacle-avoidance into viz/."""

import argparse
import dataclasses
import functools
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import subgoal_obstacle_avoidance as problem

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


WAYS = {  # metric: label, colour
    "success_learned": ("S through learned E", BLUE),
    "success_exact": ("S through computed prices", SKY),
    "success_shooting": ("cheapest of 60 random triples", GREEN),
    "success_mirrored": ("mirrored constant plan", ORANGE),
    "success_one_sided": ("S without the choice of sides", PINK),
    "success_shuffled": ("S, another arena's disks", PINK),
    "success_constant": ("one-sided constant plan", ORANGE),
    "success_random": ("one random plan", GREY),
    "success_direct": ("no sub-goals", GREY),
}
STAGES = {
    "one": ("one swamp, recurrent S", BLUE, "-"),
    "many": ("five swamps, static S", ORANGE, "--"),
    "many_recurrent": ("five swamps, recurrent S", GREEN, "-."),
}


def draw_arena(axis, arenas, which, at=(0, 0)):
    """One arena's box, disks, start (square) and goal (star), moved to `at`."""
    axis.add_patch(plt.Rectangle(at, 10, 10, fill=False, edgecolor=GREY, linewidth=0.8))
    for x, y, r in arenas.disks[which]:
        disk = plt.Circle((x + at[0], y + at[1]), r, color="#bbbbbb", linewidth=0)
        axis.add_patch(disk)
        disk.set_clip_path(plt.Rectangle(at, 10, 10, transform=axis.transData))
    axis.plot(*(arenas.start[which] + at), "s", color=BLACK, markersize=4, zorder=4)
    axis.plot(*(arenas.goal[which] + at), "*", color=BLACK, markersize=8, zorder=4)
    axis.set(aspect="equal", xticks=[], yticks=[])


def draw_net():
    """Who feeds whom: black what is computed, red the way of the gradient."""
    figure, axis = plt.subplots(figsize=(6.4, 3.0))
    points = {"start s(0)": 0.1, "s(1)": 1.6, "s(2)": 3.1, "s(3)": 4.6, "goal s(4)": 6.1}
    box = {"boxstyle": "round,pad=0.35", "facecolor": "white"}
    learnt = {**box, "facecolor": "#fbe7c2"}
    down = {"arrowstyle": "-|>", "color": BLACK, "linewidth": 1.2}
    back = {"arrowstyle": "-|>", "color": RED, "linewidth": 1.2, "linestyle": "--"}
    places = list(points.values())
    for label, x in points.items():
        axis.text(x, 0, label, ha="center", va="center", bbox=box)
    for k, (left, right) in enumerate(zip(places, places[1:], strict=False)):
        middle = (left + right) / 2
        axis.text(middle, 1.1, "E", ha="center", va="center", bbox=learnt)
        for x in (left, right):
            inner = x + 0.12 * np.sign(middle - x)
            axis.annotate("", (middle + 0.25 * (x - middle), 0.9), (inner, 0.22), arrowprops=down)
            if 0 < places.index(x) < 4:
                start = (middle + 0.45 * (x - middle), 0.95)
                axis.annotate("", (x + 0.3 * (middle - x), 0.22), start, arrowprops=back)
        axis.annotate("", (middle, 1.75), (middle, 1.35), arrowprops=down)
        axis.text(middle, 1.9, f"price of leg {k + 1}", ha="center", fontsize=8)
    axis.text(3.1, -1.4, "S", ha="center", va="center", bbox=learnt, fontsize=11)
    for x in places[1:4]:
        axis.annotate("", (x - 0.1, -0.22), (3.0 + 0.05 * (x - 3.1), -1.15), arrowprops=down)
        axis.annotate("", (3.2 + 0.05 * (x - 3.1), -1.15), (x + 0.1, -0.22), arrowprops=back)
    axis.annotate("", (2.85, -1.4), (1.9, -1.4), arrowprops=down)
    axis.text(0.95, -1.4, "start, goal, disks", ha="center", va="center", bbox=box)
    note = "yellow: nets; E is learnt first\nfrom walked trips, then fixed\nred: dJ/ds, on into S"
    axis.text(3.9, -1.4, note, va="center", fontsize=8)
    axis.set(xlim=(-0.7, 6.9), ylim=(-1.8, 2.2))
    axis.axis("off")
    return figure


def draw_model(evaluator):
    """The price of legs that start at one point, by E and computed, with downhill arrows."""
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.5), width_ratios=[1, 1, 1.05])
    disk = np.array([0, 0, 1.4], np.float32)
    a = np.array([-2.5, -0.6], np.float32)
    line = np.linspace(-2.8, 2.8, 57, dtype=np.float32)
    b = np.stack(np.meshgrid(line, line), -1)
    learned = functools.partial(problem.net_price, evaluator)
    top = float(problem.exact_price(np.broadcast_to(a, b.shape), b, disk)[0].max())
    cases = {"computed": problem.exact_price, "learned E": learned}
    for axis, (name, price) in zip(axes, cases.items(), strict=False):
        field, _, grad = price(np.broadcast_to(a, b.shape), b, disk)
        axis.imshow(field, origin="lower", extent=(-2.8, 2.8, -2.8, 2.8), vmin=0, vmax=top)
        few = (slice(4, None, 8), slice(4, None, 8))
        x, y = b[few].reshape(-1, 2).T
        axis.quiver(x, y, *-grad[few].reshape(-1, 2).T, color="white", scale=9, width=0.009)
        axis.add_patch(plt.Circle((0, 0), 1.4, fill=False, edgecolor=SKY, linewidth=1))
        axis.plot(*a, "s", color=RED, markersize=5)
        axis.set(title=name, xlabel="x of the leg's end", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    axes[0].set_ylabel("y of the leg's end")
    rng = np.random.default_rng(7)
    a, b, disk, paid = problem.make_trips(rng, 1500)
    axes[2].plot(paid, learned(a, b, disk)[0], ".", color=BLUE, markersize=2)
    axes[2].plot([0, 1.6], [0, 1.6], color=BLACK, linewidth=0.8)
    axes[2].set(xlabel="price paid on a fresh trip", ylabel="predicted by E", xlim=(-0.05, 1.8))
    return figure


def draw_swamps(result):
    """The plans of all twenty nets at the start, after 10 steps and at the end."""
    figure, axes = plt.subplots(2, 3, figsize=(6.4, 4.3), sharex=True, sharey=True)
    for row, name in zip(axes, ("one", "many"), strict=True):
        share = np.array(result.history[f"{name}_share"])
        for axis, step in zip(row, (0, 10, len(share) - 1), strict=True):
            for x, y, r in result.scene[name].mean(0):
                axis.add_patch(plt.Circle((x, y), r, color="#cccccc", linewidth=0))
            done = share[step] < problem.DONE
            for plan, good in zip(result.plans[name][step], done, strict=True):
                axis.plot(*plan.T, ".-", color=BLUE if good else RED, linewidth=0.8, markersize=3)
            axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[0, 1], yticks=[0, 1])
            axis.set_title(f"step {step}: {done.sum()} of {len(done)} done", fontsize=9)
    axes[0, 0].set_ylabel("one swamp,\nrecurrent S")
    axes[1, 0].set_ylabel("five swamps,\nstatic S")
    return figure


def draw_scale():
    """J against steps; and how the unit of price sets the count of steps."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(6.4, 2.7))
    scales = np.array([1, 2, 5, 10, 20, 50, 100, 200, 400])
    for name, (label, colour, dash) in STAGES.items():
        stage = problem.STAGES[name]
        share = problem.cross_swamps(np.random.default_rng(1), stage, 100)[2]
        left.plot(np.median(share, 1), dash, color=colour, label=label)
        low, high = np.percentile(share, (10, 90), axis=1)
        left.fill_between(range(101), low, high, color=colour, alpha=0.15, linewidth=0)
        count, solved = [], []
        for scale in scales:
            changed = dataclasses.replace(stage, scale=scale)
            shares = problem.cross_swamps(np.random.default_rng(1), changed, 100)[2]
            below = shares < problem.DONE
            first = below.argmax(0)[below.any(0)]
            count.append(np.median(first) if len(first) else np.nan)
            solved.append(below.any(0).mean())
        middle.plot(scales, count, dash + "o", color=colour, markersize=3)
        right.plot(scales, solved, dash + "o", color=colour, markersize=3)
        chosen = list(scales).index(stage.scale)
        for axis, values in ((middle, count), (right, solved)):
            axis.plot(stage.scale, values[chosen], "o", color=colour, markersize=7)
    left.axhline(problem.DONE, color=GREY, linewidth=0.8)
    left.set(yscale="log", ylim=(1e-4, 3), xlabel="steps", ylabel="J / straight line's price")
    handles = left.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=3, fontsize=8)
    middle.axhspan(20, 22, color=GREY, alpha=0.4, linewidth=0)
    middle.text(1.1, 2, "grey: the\npaper's 20, 22", fontsize=8)
    middle.set(xscale="log", yscale="log", xlabel="unit of price", ylabel="steps (median)")
    right.set(xscale="log", xlabel="unit of price", ylim=(-0.03, 1.05))
    right.set_ylabel("share of nets done within 100")
    return figure


def draw_ways(runs, single):
    """Success of all ways to plan over the recorded seeds; single: runs with one sub-goal."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    bars = [
        (label, [run["metrics"][name] for run in runs], colour)
        for name, (label, colour) in WAYS.items()
    ]
    values = [run["metrics"]["success_shooting"] for run in single]
    bars.insert(2, ("cheapest of 60 random points", values, GREEN))
    for k, (_, values, colour) in enumerate(bars):
        axis.barh(-k, np.mean(values), 0.65, color=colour)
        axis.plot(values, -k + np.linspace(-0.2, 0.2, len(values)), ".", color=BLACK, markersize=2)
        axis.text(np.max(values) + 0.015, -k, f"{np.mean(values):.3f}", va="center", fontsize=8)
    axis.set(yticks=-np.arange(len(bars)), xlim=(0, 1.09))
    axis.set_yticklabels([label for label, *_ in bars])
    axis.set_xlabel("success in 500 unseen arenas, four disks (mean; dots: seeds)")
    return figure


def draw_clutter(records):
    """Success against the number of disks."""
    figure, axis = plt.subplots(figsize=(6.4, 2.7))
    counts = sorted(records)
    shown = ("success_learned", "success_shooting", "success_mirrored", "success_constant")
    for name, dash in zip(shown, ("-o", "-.^", "--s", ":v"), strict=True):
        label, colour = WAYS[name]
        values = [[run["metrics"][name] for run in records[n]] for n in counts]
        axis.plot(counts, [np.mean(v) for v in values], dash, color=colour, label=label)
        low, high = [min(v) for v in values], [max(v) for v in values]
        axis.fill_between(counts, low, high, color=colour, alpha=0.2, linewidth=0)
    axis.set(xlabel="disks", ylabel="success", xticks=counts, ylim=(0, 1.02))
    axis.set_title(" / ".join(f"{len(records[n])}" for n in counts) + " seeds; bands: range")
    axis.legend(fontsize=8, loc="lower left")
    return figure


def draw_trips(result):
    """Twelve test arenas: nine as they come, then three that fail."""
    figure, axes = plt.subplots(3, 4, figsize=(6.4, 5))
    plan = result.plans["learned"]
    track, good = problem.walk(plan, result.scene.disks)
    other, fine = problem.walk(result.plans["mirrored"], result.scene.disks)
    failed = np.flatnonzero(~good)[:3]
    shown = [k for k in range(len(good)) if k not in failed][: 12 - len(failed)] + list(failed)
    for axis, k in zip(axes.ravel(), shown, strict=True):
        draw_arena(axis, result.scene, k)
        axis.plot(*other[:, k].T, "--", color=ORANGE if fine[k] else YELLOW, linewidth=1.2)
        axis.plot(*track[:, k].T, color=BLUE if good[k] else RED, linewidth=1.6)
        axis.plot(*plan[k, 1:-1].T, "D", color=BLUE if good[k] else RED, markersize=3.5)
        axis.set(xlim=(-0.2, 10.2), ylim=(-0.2, 10.2))
        axis.axis("off")
        axis.set_title("fails" if not good[k] else "", fontsize=9, color=RED, pad=1)
    return figure


def draw_subgoals(result):
    """Where sub-goals lie in the frame from start (0, 0) to goal (1, 0)."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.9), sharey=True)
    names = {"learned": "S", "mirrored": "mirrored constant plan (walls bend it)"}
    arenas = result.scene
    axes_of = problem.frames(arenas, mirrored=False)
    for axis, (name, title) in zip(axes, names.items(), strict=True):
        far = (axes_of[:, :1] ** 2).sum(-1)
        at = result.plans[name][:, 1:-1] - arenas.start[:, None]
        at = at @ axes_of.swapaxes(1, 2) / far[..., None]
        for k, (colour, mark) in enumerate(zip((BLUE, ORANGE, GREEN), "o^s", strict=True)):
            axis.plot(*at[:, k].T, mark, color=colour, markersize=1.6, label=f"s({k + 1})")
        axis.plot([0, 1], [0, 0], "k*", markersize=7)
        axis.set(xlim=(-0.4, 1.4), ylim=(-0.85, 0.85), xlabel="along the straight line")
        axis.set_title(title, fontsize=9)
    axes[0].set_ylabel("at right angles to it")
    axes[0].legend(fontsize=8, markerscale=3)
    return figure


def draw_shots(result, seed):
    """Success of the cheapest of so many random plans by E, with S and the constant for lines."""
    price = functools.partial(problem.net_price, result.evaluator)
    rng, arenas = np.random.default_rng(seed + 1), result.scene
    counts = [2, 5, 10, 20, 50, 100, 200, 400]
    figure, axis = plt.subplots(figsize=(6.4, 2.9))
    for subgoals, dash in ((1, "-^"), (3, "-.v")):
        share, best = [], np.full(len(arenas.start), np.inf)
        kept = problem.random_plans(rng, arenas, subgoals)
        for k in range(1, counts[-1] + 1):
            plan = problem.random_plans(rng, arenas, subgoals)
            J = problem.cost(price, plan, arenas.priced())[0]
            kept[J < best] = plan[J < best]
            best = np.minimum(best, J)
            if k in counts:
                share.append(problem.success(kept, arenas))
        label = f"cheapest of so many random plans, {subgoals} sub-goal{'s' * (subgoals > 1)}"
        axis.plot(counts, share, dash, color=GREEN, label=label)
    for name, dash in (("success_learned", "-"), ("success_mirrored", "--")):
        label, colour = WAYS[name]
        label = f"{label} (two plans)"
        axis.axhline(result.metrics[name], linestyle=dash, color=colour, label=label)
    axis.set(xscale="log", xlabel="plans that E prices in an arena", ylabel="success")
    axis.set(ylim=(0, 1.02), xticks=counts)
    axis.set_xticklabels(counts)
    axis.minorticks_off()
    axis.legend(fontsize=8, loc="lower right")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    names = {2: "sparse", 4: "arenas", 8: "crowded"}
    records = {count: recorded(name) for count, name in names.items()}
    result = problem.run(problem.Config(seed=options.seed))
    swamps = problem.run(problem.Config(seed=options.seed, task="swamps", steps=100))
    figures = {
        "net": draw_net(),
        "model": draw_model(result.evaluator),
        "swamps": draw_swamps(swamps),
        "scale": draw_scale(),
        "ways": draw_ways(records[4], recorded("single")),
        "clutter": draw_clutter(records),
        "trips": draw_trips(result),
        "subgoals": draw_subgoals(result),
        "shots": draw_shots(result, options.seed),
    }
    options.out.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
