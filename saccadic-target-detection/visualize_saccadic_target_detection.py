"""Draw the pictures of saccadic-target-detection into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import saccadic_target_detection as problem
from matplotlib.collections import PatchCollection

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

WAYS = {
    "hit15": "C through M",
    "hit_one_step": "C, credit for\nthe last move only",
    "hit_untrained": "C through an\nuntrained M",
    "hit_random": "random moves",
    "hit_centroid_rule": "centroid rule,\nnothing learnt",
}
COLOURS = dict(zip(WAYS, (BLUE, ORANGE, PINK, GREY, GREEN), strict=True))


def draw_triangle(axis, **style):
    """The object, the target point a cross."""
    axis.add_patch(plt.Polygon(problem.CORNERS, **{"color": "#555555", "linewidth": 0, **style}))
    axis.plot(0, 0, "+", color=YELLOW, markersize=9, markeredgewidth=2, zorder=5)


def draw_view(axis, x, centre=(0, 0)):
    """The 40 fields in the grey values of the view x: (40,), dark is 1."""
    corners = problem.CENTRES - problem.WIDTHS[:, None] / 2 + centre
    squares = [
        plt.Rectangle(corner, width, width)
        for corner, width in zip(corners, problem.WIDTHS, strict=True)
    ]
    grey = [str(1 - 0.85 * np.clip(value, 0, 1)) for value in x]
    fields = PatchCollection(squares, facecolor=grey, edgecolor=SKY, linewidth=0.6)
    axis.add_collection(fields)
    axis.set(xlim=(-68, 68), ylim=(-68, 68), xticks=[], yticks=[], aspect="equal")
    axis.spines[:].set_visible(False)


def errors_around(reach=140):
    """E for an upright fovea at every second pixel, and the axis."""
    axis = np.arange(-reach, reach + 1.0, 2)
    places = np.stack([*np.meshgrid(axis, axis), np.zeros((len(axis), len(axis)))], -1)
    views = problem.look("translation", places.reshape(-1, 3))
    return 0.5 * ((views - problem.GOAL) ** 2).sum(1).reshape(len(axis), -1), axis


def draw_net():
    """Who feeds whom, and how credit flows back."""
    figure, axis = plt.subplots(figsize=(6.4, 2.7))
    boxes = {
        "x(t)\n40 fields": (0.0, 0.5, "white"),
        "controller C\nlearns second": (1.15, 1, "#cfe6f5"),
        "scene:\nmove, look": (2.5, 1, "white"),
        "model M\nlearnt first,\nthen fixed": (2.5, 0, "#fbe3b5"),
        "x(t+1)\n40 fields": (3.8, 0.5, "white"),
        "goal view d\n(at the end)": (4.9, 0.5, "white"),
    }
    for label, (x, y, colour) in boxes.items():
        style = {"boxstyle": "round", "facecolor": colour, "edgecolor": BLACK}
        axis.text(x, y, label, ha="center", va="center", bbox=style, fontsize=9)
    for start, end, colour, style in (
        ((0.3, 0.68), (0.7, 0.95), BLACK, "-"),
        ((1.62, 1.0), (2.1, 1.0), BLACK, "-"),
        ((2.9, 0.95), (3.45, 0.68), BLACK, "-"),
        ((4.45, 0.42), (4.22, 0.42), RED, "--"),
        ((3.45, 0.3), (2.97, 0.08), RED, "--"),
        ((2.1, 0.1), (1.3, 0.76), RED, "--"),
        ((2.03, -0.05), (0.3, 0.3), RED, "--"),
        ((0.72, 0.76), (0.4, 0.56), RED, "--"),
    ):
        arrow = {"arrowstyle": "-|>", "color": colour, "linestyle": style, "linewidth": 1.4}
        axis.annotate("", end, start, arrowprops=arrow)
    axis.text(1.86, 1.13, "a(t)", ha="center")
    axis.text(1.78, 0.5, "$g_a$", color=RED)
    axis.text(1.1, 0.0, "$g_x$", color=RED)
    axis.text(3.2, 0.0, "g(t+1)", color=RED)
    axis.text(0.0, -0.35, "black: what happens; red: credit, back through M's derivatives and C's")
    axis.set(xlim=(-0.45, 5.4), ylim=(-0.45, 1.35))
    axis.axis("off")
    return figure


def draw_landscape():
    """E over the fovea's place, and along straight ways to the target."""
    figure, (map_axis, line_axis) = plt.subplots(1, 2, figsize=(6.4, 3.1))
    error, axis = errors_around()
    span = (axis[0], axis[-1], axis[0], axis[-1])
    picture = map_axis.imshow(error, origin="lower", extent=span)
    figure.colorbar(picture, ax=map_axis, label="E", shrink=0.8)
    map_axis.plot(*problem.CORNERS[[0, 1, 2, 0]].T, color="white", linewidth=1)
    map_axis.set(xlabel="fovea's x from the target [px]", ylabel="y [px]")
    away = np.arange(0, 141.0)
    empty = 0.5 * (problem.GOAL**2).sum()
    for degrees, colour, style in (
        (0, BLUE, "-"),
        (90, ORANGE, "--"),
        (180, GREEN, "-."),
        (270, PINK, ":"),
    ):
        angle = np.radians(degrees)
        place = np.stack([away * np.cos(angle), away * np.sin(angle), 0 * away], -1)
        values = 0.5 * ((problem.look("translation", place) - problem.GOAL) ** 2).sum(1)
        name = {0: "from the right", 90: "from above", 180: "from the left", 270: "from below"}
        line_axis.plot(away, values, style, color=colour, label=name[degrees])
    line_axis.axhline(empty, color=GREY, linewidth=0.8)
    line_axis.text(139, empty - 0.2, "an empty view", ha="right", va="top", fontsize=8)
    line_axis.set(xlabel="distance from the target [px]", ylabel="E", ylim=(0, None))
    line_axis.legend(fontsize=8, loc="lower right")
    return figure


def draw_paths(shots, seed):
    """Paths from 60 starts with C before, half-way through and after learning."""
    error, axis = errors_around()
    starts = problem.random_places(np.random.default_rng(seed + 1), "translation", 60, 90)
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.6), sharey=True)
    for panel, (count, controller) in zip(axes, shots, strict=True):
        span = (axis[0], axis[-1], axis[0], axis[-1])
        panel.imshow(error, origin="lower", extent=span, alpha=0.45, cmap="Greys")
        places = problem.journey("translation", problem.policy_of(controller), starts, 15)
        hit = problem.hits("translation", places[-1])
        for path, good in zip(places.swapaxes(0, 1), hit, strict=True):
            panel.plot(*path[:, :2].T, color=BLUE if good else RED, linewidth=0.7)
            panel.plot(*path[-1, :2], ".", color=BLUE if good else RED, markersize=4)
        panel.plot(*problem.CORNERS[[0, 1, 2, 0]].T, color=BLACK, linewidth=0.8)
        panel.set(xlim=(-140, 140), ylim=(-140, 140), xlabel="x [px]")
        panel.set_title(f"{count:,} trajectories:\n{hit.sum()} of 60 arrive", fontsize=9)
    axes[0].set_ylabel("y from the target [px]")
    return figure


def draw_distance(result, seed):
    """Share of hits against the distance of the start, for C and the other ways to move."""
    rng = np.random.default_rng(seed + 2)
    starts = problem.random_places(rng, "translation", 6000, 90)
    policies = {
        "hit15": problem.policy_of(result.controller),
        "hit_one_step": problem.policy_of(result.others["one_step"]),
        "hit_untrained": problem.policy_of(result.others["untrained"]),
        "hit_random": lambda x: rng.random((len(x), 4)),
        "hit_centroid_rule": problem.centroid_rule,
    }
    edges = np.arange(0, 121, 15)
    bins = np.digitize(problem.distance(starts), edges) - 1
    figure, axis = plt.subplots(figsize=(6.4, 3))
    for (name, policy), mark in zip(policies.items(), "osv^D", strict=True):
        places = problem.journey("translation", policy, starts, 15)
        hit = problem.hits("translation", places[-1])
        share = [hit[bins == k].mean() for k in range(len(edges) - 1)]
        label = WAYS[name].replace("\n", " ")
        style = {"color": COLOURS[name], "markersize": 4, "linewidth": 1.3}
        dash = "--" if name == "hit_centroid_rule" else "-"
        axis.plot(edges[:-1] + 7.5, share, dash + mark, label=label, **style)
    axis.set(xlabel="distance of the start from the target [px]", ylim=(-0.03, 1.05))
    axis.set_ylabel("share on the target after 15 moves")
    axis.legend(fontsize=8, loc="center right", bbox_to_anchor=(1.0, 0.45))
    return figure


def draw_model(result, seed):
    """What M predicts against what is then seen: a typical case, and the worst of 2000."""
    rng = np.random.default_rng(seed + 3)
    x, action, seen = problem.make_examples(rng, "translation", 2000)
    guess = problem.forward(result.model, x, action)[1]
    wrong = ((guess - seen) ** 2).sum(1)
    order = np.argsort(wrong)
    moved = ((x - seen) ** 2).sum(1)
    # The median case among those in which much changes.
    typical = order[len(order) // 2 :][np.argmax(moved[order[len(order) // 2 :]] > 2)]
    figure, axes = plt.subplots(2, 4, figsize=(6.4, 3.6), width_ratios=[1, 1, 1, 1.5])
    for row, case in zip(axes, (typical, order[-1]), strict=True):
        views = {"before": x[case], "after the move": seen[case], "M's prediction": guess[case]}
        for axis, (title, view) in zip(row[:3], views.items(), strict=True):
            draw_view(axis, view)
            axis.set_title(title, fontsize=9)
    axes[0, 0].set_ylabel("a typical case")
    axes[1, 0].set_ylabel("the worst of 2,000")
    axes[0, 3].hist(np.sqrt(wrong / 40), 40, color=BLUE, label="M")
    axes[0, 3].hist(np.sqrt(moved / 40), 40, color=ORANGE, alpha=0.5, label="nothing changes")
    axes[0, 3].set(ylabel="cases", xlabel="error a field (r.m.s.)")
    axes[0, 3].legend(fontsize=7)
    axes[1, 3].plot(seen[:60].ravel(), guess[:60].ravel(), ".", color=BLUE, markersize=1.5)
    axes[1, 3].plot([0, 1], [0, 1], color=BLACK, linewidth=0.8)
    axes[1, 3].set(xlabel="field seen", ylabel="field predicted")
    return figure


def draw_credit(result, shots, seed):
    """How the size of the credit g changes on its way back, and how the tracking goes."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 2.9))
    rng = np.random.default_rng(seed + 4)
    starts = problem.random_places(rng, "translation", 500, 90)
    untrained = problem.new_net(rng, 44, 40, 40)
    for (_, controller), model, label, colour, dash in (
        (shots[0], result.model, "C not yet trained", ORANGE, "--"),
        (shots[1], result.model, "C half-way", SKY, "-."),
        (shots[2], result.model, "C trained", BLUE, "-"),
        (shots[2], untrained, "through an untrained M", PINK, ":"),
    ):
        views, trace = problem.follow(controller, "translation", starts, 15)
        sizes = problem.controller_gradient(controller, model, views, trace)[-1]
        left.plot(range(16), np.array(sizes) / sizes[0], dash, color=colour, label=label)
    left.set(xlabel="moves before the end", ylabel="size of g, at the end 1", yscale="log")
    left.set_ylim(0.1, 500)
    left.legend(fontsize=8)
    policy = problem.policy_of(result.controller)
    for speed, colour, dash in ((0, GREY, ":"), (3, GREEN, "--"), (5, BLUE, "-"), (8, RED, "-.")):
        places = problem.journey("translation", policy, starts, 40, drift=speed)
        far = problem.distance(places)
        right.plot(np.median(far, 1), dash, color=colour, label=f"{speed} px a step")
        right.fill_between(
            range(41), *np.percentile(far, (10, 90), axis=1), color=colour, alpha=0.15, linewidth=0
        )
    right.set(xlabel="step", ylabel="distance from the target [px]", ylim=(0, 120))
    right.legend(title="object moves", fontsize=8, title_fontsize=8)
    return figure


def draw_rotation(result, seed):
    """Runs with turns, E against the angle, and how the angle at the start decides the end."""
    task = "rotation"
    starts = problem.random_places(np.random.default_rng(seed + 5), task, 1000, 90)
    places = problem.journey(task, problem.policy_of(result.controller), starts, 20)
    hit = problem.hits(task, places[-1])
    figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.9), width_ratios=[1.25, 1, 1])
    draw_triangle(axes[0], alpha=0.35)
    good, bad = np.flatnonzero(hit)[:3], np.flatnonzero(~hit)[:3]
    for which, colour in ((good, BLUE), (bad, RED)):
        for path in places[:, which].swapaxes(0, 1):
            axes[0].plot(*path[:, :2].T, color=colour, linewidth=0.8)
            heading = np.stack([-np.sin(path[:, 2]), np.cos(path[:, 2])])
            axes[0].quiver(*path[:, :2].T, *heading, color=colour, width=0.007, scale=14)
    axes[0].set(xlim=(-120, 120), ylim=(-120, 120), xlabel="x [px]", ylabel="y [px]")
    axes[0].set_title("arrow: the fovea's up;\ngoal: at + and up", fontsize=9)
    axes[0].set_aspect("equal")
    angle = np.radians(np.arange(-180, 181, 3.0))
    shift = np.stack(np.meshgrid(np.arange(-40, 41, 8.0), np.arange(-40, 41, 8.0)), -1)
    best, still = [], []
    for each in angle:
        place = np.concatenate([shift.reshape(-1, 2), np.full((121, 1), each)], 1)
        error = 0.5 * ((problem.see(place) - problem.GOAL) ** 2).sum(1)
        best.append(error.min())
        still.append(error[60])
    axes[1].plot(np.degrees(angle), still, "--", color=GREY, label="at the target")
    axes[1].plot(np.degrees(angle), best, color=BLUE, label="best place\nnear it")
    axes[1].set(xlabel="off goal [degrees]", ylabel="E", xticks=[-180, 0, 180])
    axes[1].legend(fontsize=7, loc="upper right", bbox_to_anchor=(1.05, 1.2))
    begin, end = problem.off_angle(starts), problem.off_angle(places[-1])
    for part, colour in ((hit, BLUE), (~hit, RED)):
        axes[2].plot(begin[part], end[part], ".", color=colour, markersize=2)
    axes[2].set(xlabel="off at start [degrees]", ylabel="off after 20 steps [degrees]")
    axes[2].set(xticks=[0, 90, 180], yticks=[0, 90, 180])
    axes[2].set_title(f"{hit.mean():.0%} of 1,000 arrive\n(blue)", fontsize=9)
    return figure


def draw_ways(runs, faithful):
    """Hits of all ways to move over all recorded seeds."""
    figure, axis = plt.subplots(figsize=(6.4, 2.9))
    bars = [
        (label, [run["metrics"][name] for run in runs], COLOURS[name])
        for name, label in WAYS.items()
    ]
    bars.insert(1, ("C, the paper's\nown rule", [r["metrics"]["hit15"] for r in faithful], SKY))
    for k, (_, values, colour) in enumerate(bars):
        axis.bar(k, np.mean(values), 0.6, color=colour)
        dots = k + np.linspace(-0.2, 0.2, len(values))
        axis.plot(dots, values, ".", color=BLACK, markersize=3)
    axis.set(xticks=range(len(bars)), ylim=(0, 1.05))
    axis.set_xticklabels([label for label, *_ in bars], fontsize=8)
    axis.set_ylabel("share on the target\nafter 15 moves")
    axis.set_title(
        f"mean, and each of {len(runs)} seeds ({len(faithful)} of the paper's rule)", fontsize=9
    )
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"ways": draw_ways(recorded("translation"), recorded("faithful"))}
    shots = []

    def watch(count, total, controller, **state):
        if len(shots) < 2 and count >= len(shots) * total / 2 or count == total:
            shots.append((count, {name: w.copy() for name, w in controller.items()}))

    seed = options.seed
    result = problem.run(problem.Config(seed=seed), watch)
    turning = problem.run(problem.Config(seed=seed, task="rotation"))
    figures |= {
        "net": draw_net(),
        "landscape": draw_landscape(),
        "paths": draw_paths(shots, seed),
        "distance": draw_distance(result, seed),
        "model": draw_model(result, seed),
        "credit": draw_credit(result, shots, seed),
        "rotation": draw_rotation(turning, seed),
    }
    options.out.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
