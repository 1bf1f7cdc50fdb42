"""Draw the pictures of pole-balance-non-markov into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pole_balance_non_markov as problem

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


STEP = problem.TICK  # [s]
TILT = np.array([[0.5, 0, 0.1, 0]])  # a start 0.5 m to the right, tilted by 0.1 rad
LIMIT = np.degrees(problem.FALL)


def by_hand(p):
    """A rule by hand that remembers one step: positions and their change; p (K, trials, 2)."""
    change = p - by_hand.last if by_hand.last is not None else 0 * p
    by_hand.last = p
    return p @ np.array([0.3, 2.0]) + change @ np.array([20.0, 30.0])


by_hand.last = None


def draw_lengths(result, seed):
    """Real trials of one run, round by round; and over all recorded seeds, when 1000 is reached."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.2), width_ratios=[1.4, 1])
    trials = result.history["trials"]
    for name, colour, label in (
        ("length", BLUE, "with memory"),
        ("memoryless_length", ORANGE, "without"),
    ):
        left.plot(trials, result.history[name], "o-", color=colour, markersize=4, label=label)
    left.axhline(problem.LONG, color=GREY, linestyle="--", linewidth=0.8)
    random = result.metrics["random_length"]
    left.plot([0, problem.RANDOM_TRIALS], [random] * 2, color=GREY, label="random actions")
    left.set(yscale="log", xlabel="real trials", ylabel="length of a round's trials, mean [steps]")
    left.legend(fontsize=8, loc="lower right")
    left.set_title(f"one run, seed {seed}")
    for variant, colour, label in (("learned", BLUE, "learned M"), ("perfect", GREEN, "true M")):
        runs = [run["metrics"] for run in recorded(variant)]
        firsts = sorted(run["trials_to_1000"] for run in runs if run["reached_1000"])
        shares = np.arange(1, len(firsts) + 1) / len(runs)
        last = runs[0]["trials"]
        right.step([0, *firsts, last], [0, *shares, shares[-1]], where="post", color=colour,
                   label=label)  # fmt: skip
    right.axvline(problem.RANDOM_TRIALS, color=GREY, linestyle=":", linewidth=0.8)
    right.set(xlim=(0, 400), ylim=(0, 1.02), xlabel="real trials", title=f"{len(runs)} seeds")
    right.set_ylabel("share of runs with a trial of 1000 steps")
    right.legend(fontsize=8, loc="lower right")
    return figure


def draw_conditions():
    """Median length of 30 test trials, a dot a seed, for every way of learning and a hand rule."""
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    rows = (
        ("learned", "", "learned M"),
        ("perfect", "", "true equations"),
        ("one_step", "", "learned M, gradient\ncut after one step"),
        ("learned", "memoryless_", "learned M,\nno memory"),
        ("perfect", "memoryless_", "true equations,\nno memory"),
    )
    for place, (variant, prefix, _) in enumerate(rows):
        values = np.sort([run["metrics"][prefix + "median"] for run in recorded(variant)])
        across = place + np.linspace(-0.25, 0.25, len(values))
        axis.plot(across, values, ".", color=ORANGE if prefix else BLUE)
    by_hand.last = None
    starts = problem.draw_starts(np.random.default_rng(0), 30)[None]
    hand = np.median(problem.make_trials(by_hand, starts, 10_000)[2])
    axis.plot(len(rows), hand, "D", color=GREEN)
    axis.axhline(problem.LONG, color=GREY, linestyle="--", linewidth=0.8)
    names = [name for *_, name in rows] + ["rule by hand,\none step\nof memory"]
    axis.set_xticks(range(len(names)), names, fontsize=7.5)
    axis.set(yscale="log", ylim=(5, 15_000), ylabel="test trials, median length [steps]")
    axis.set_title("a dot is a seed; a test ends at 10,000 steps (200 s)", fontsize=9)
    return figure


def draw_swing(result, perfect, seed):
    """The angle and the cart after a tilted start: with memory, taught by M and by the true
    equations, and without."""
    figure, axes = plt.subplots(2, 1, figsize=(6.4, 3.8), sharex=True)
    starts = np.repeat(TILT[None], 2, 0)
    for run, half, colour, label in (
        (perfect, 1, ORANGE, "no memory, true equations"),
        (result, 0, SKY, "memory, learned M"),
        (perfect, 0, BLUE, "memory, true equations"),
    ):
        policy = problem.Acting(run.kept, 1)
        states, _, lengths = problem.make_trials(policy, starts, 500)
        path = states[: lengths[half, 0] + 1, half, 0]
        seconds = STEP * np.arange(len(path))
        axes[0].plot(seconds, np.degrees(path[:, 2]), color=colour, label=label)
        axes[1].plot(seconds, path[:, 0], color=colour)
    for axis, limit in zip(axes, (LIMIT, problem.TRACK), strict=True):
        for side in (-limit, limit):
            axis.axhline(side, color=RED, linestyle="--", linewidth=0.8)
    axes[0].set(ylabel="angle [degrees]", ylim=(-14, 14))
    axes[1].set(xlabel="time [s]", ylabel="cart [m]")
    figure.legend(fontsize=8, loc="outside upper center", ncols=3)
    axes[0].set_title(f"one start, seed {seed}; dashed: failure", fontsize=9)
    return figure


def read_out(pair, seed):
    """R^2 (2 controllers, 2 velocities) of a line fitted to C's states of noisy trials, on others.

    Only steps of the first two seconds count, while things move.
    """
    rng, states = np.random.default_rng(seed), []
    policy = problem.Acting(pair, 40, 0.3, rng)

    def watched(p):
        u = policy(p)
        states.append(policy.now[..., problem.ONE :].copy())
        return u

    starts = np.repeat(problem.draw_starts(rng, 40)[None], 2, 0)
    truth, _, lengths = problem.make_trials(watched, starts, 100)
    share = np.empty((2, 2))
    for half in range(2):
        count = len(states)
        inside = np.arange(count)[:, None] < lengths[half]
        inside[:5] = False
        c, v = np.array(states)[:, half], truth[:count, half][..., 1::2]
        fit, test = inside.copy(), inside.copy()
        fit[:, 20:], test[:, :20] = False, False
        line = np.linalg.lstsq(c[fit].astype(float), v[fit], rcond=None)[0]
        error = v[test] - c[test] @ line
        share[half] = 1 - error.var(0) / v[test].var(0)
    return share


def draw_velocity(result, seed):
    """How well the velocities, never shown, can be read from C's state, round by round."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.9), sharey=True)
    shares = np.array([read_out(pair, seed) for pair in result.rounds])
    for axis, name, which in zip(axes, ("cart's speed", "pole's turning"), (0, 1), strict=True):
        for half, (label, colour) in enumerate((("with memory", BLUE), ("without", ORANGE))):
            axis.plot(result.history["trials"], shares[:, half, which], "o-", color=colour,
                      markersize=4, label=label)  # fmt: skip
        axis.set(ylim=(-0.6, 1.02), xlabel="real trials", title=name)
    axes[0].set_ylabel("explained by a line ($R^2$)")
    axes[1].legend(fontsize=8, loc="lower left", ncols=2, frameon=True)
    return figure


def draw_model(result, seed):
    """M on its own: error against horizon, with and without a warm start; its pain at rest."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.1), width_ratios=[1, 1.15])
    rng, log = np.random.default_rng(seed), problem.Log()
    starts = np.repeat(problem.draw_starts(rng, 200)[None], 2, 0)
    policy = problem.Acting(result.kept, 200, 0.3, rng)
    states, actions, lengths = problem.make_trials(policy, starts, 150)
    log.add(states[:, 0], actions[:, 0], lengths[0])
    model, horizon = result.model, 50
    usable = np.flatnonzero(lengths[0] >= 60 + problem.WARM + horizon)
    rows = log.first[usable] + 60 + np.arange(problem.WARM + horizon + 1)[:, None]
    p = problem.seen(log.states[rows])
    for label, colour, skip in (("warm", BLUE, 0), ("cold", ORANGE, problem.WARM)):
        z = model.read(log, rows[skip:])[0]
        for t in range(len(z) - 1):
            out = problem.model_forward(model.net, z[t : t + 2])[0]
            if t >= problem.WARM - skip:
                z[t + 1, :, problem.P] = z[t, :, problem.P] + model.scale * out[:, :2]
        error = np.abs(z[..., problem.P] - p[skip:])[problem.WARM - skip :].mean(1)
        seconds = STEP * np.arange(len(error))
        for which, style in ((0, "--"), (1, "-")):
            name = f"{label}, {('cart', 'angle')[which]}"
            left.plot(seconds[1:], error[1:, which], style, color=colour, label=name)
    left.set(xlabel="imagined time [s]", ylabel="error of M alone [limits]", yscale="log")
    left.legend(fontsize=8)
    grid = np.linspace(-1.3, 1.3, 53)
    x, angle = np.meshgrid(grid, grid)
    z = np.zeros((problem.WARM + 1, x.size, len(model.net["state"])), np.float32)
    z[..., 0], z[..., 1], z[..., problem.U + 1] = x.ravel(), angle.ravel(), 1
    q = problem.model_forward(model.net, z)[-1, :, 2].reshape(x.shape)
    picture = right.contourf(grid, grid, q, levels=np.arange(-24, 13, 3), extend="both")
    right.add_patch(plt.Rectangle((-1, -1), 2, 2, fill=False, color="white", linestyle="--"))
    figure.colorbar(picture, ax=right, label="$q$: log odds of pain")
    right.set(xlabel="cart [limits]", ylabel="angle [limits]", title="at rest, $u = 0$")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"conditions": draw_conditions()}
    result = problem.run(problem.Config(seed=options.seed))
    true = problem.Config(seed=options.seed, model="true", trials=200)
    figures |= {
        "lengths": draw_lengths(result, options.seed),
        "swing": draw_swing(result, problem.run(true), options.seed),
        "velocity": draw_velocity(result, options.seed),
        "model": draw_model(result, options.seed),
    }
    options.out.mkdir(exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")


if __name__ == "__main__":
    figure_main(main)
