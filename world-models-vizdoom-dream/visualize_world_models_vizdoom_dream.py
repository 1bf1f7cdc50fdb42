"""Draw the pictures of world models, take cover: one run with less training, and the seeds of
results.json."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import world_models_vizdoom_dream as problem

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

SHORT = {"episodes": 1000, "v_steps": 2500, "m_steps": 1500, "generations": 24}
COLOURS = (BLUE, SKY, GREEN, ORANGE, RED)
PAPER = {  # long version, table of temperatures; random play 210, cap 2100
    "dream": np.array([2086, 2060, 1145, 918, 732]) / 2100,
    "real": np.array([193, 196, 868, 1092, 753]) / 210,
}


def draw_temperatures():
    """Dream score, real score and dreamt balls against temperature, for every recorded seed."""
    rows = [run["metrics"] for run in recorded("dream")]
    cap = recorded("dream")[0]["config"]["cap"]
    figure, axes = plt.subplots(1, 3, figsize=(7.4, 3.0))
    values = {
        kind: np.array([[row[f"{kind}_{name}"] for name in problem.NAMES] for row in rows])
        for kind in ("dream", "real", "balls")
    }
    values["dream"] /= cap
    values["real"] /= np.array([[row["random"]] for row in rows])
    titles = {
        "dream": ("in its dream", "mean steps / cap"),
        "real": ("in the room", "mean steps / random play"),
        "balls": ("a ball to be seen", "share of dreamt frames"),
    }
    for axis, (kind, found) in zip(axes, values.items(), strict=True):
        axis.plot(problem.TAUS, found.T, "o", color=BLUE, markersize=4, alpha=0.6)
        label = f"here, median of {len(rows)} seeds"
        axis.plot(problem.TAUS, np.median(found, 0), color=BLUE, label=label)
        if kind in PAPER:
            axis.plot(problem.TAUS, PAPER[kind], "s--", color=ORANGE, markersize=4, label="paper")
        axis.set(xlabel="temperature", ylim=(0, None), title=titles[kind][0])
        axis.set_ylabel(titles[kind][1])
    pacing = np.median([row["pacing"] / row["random"] for row in rows])
    for height, text in ((1, "random play"), (pacing, "blind pacing")):
        axes[1].axhline(height, color=GREY, linewidth=0.8)
        axes[1].text(0.1, height + 0.08, text, fontsize=7, color="#666666")
    share = np.median([row["balls_real"] for row in rows])
    axes[2].axhline(share, color=GREY, linewidth=0.8)
    axes[2].text(0.1, share + 0.01, "in the room", fontsize=7, color="#666666")
    axes[0].legend(fontsize=7, loc="lower left")
    return figure


def recorded_room(rng, brain, steps=60):
    """One room under random play: views (steps, 640), codes, actions, and h, c before each step;
    nobody dies, so that the course of the balls goes on."""
    rooms, player = problem.Rooms(rng, 1), problem.RandomPlayer(rng, np.array([10]))
    h = c = np.zeros((1, len(brain.memory["Wh"])), np.float32)
    rows = []
    for _ in range(steps):
        views, action = rooms.look(), player.act(rooms)
        z = problem.draw_codes(rng, brain.vision, views)
        rows.append((views[0], z, action, h, c, (rooms.age[0] <= 8).sum()))
        x = np.concatenate([z, action[:, None]], 1)
        _, h, c = problem.remember(brain.memory, problem.feed(brain.memory, x), h, c)
        rooms.act(action)
    return rows


def futures(rng, brain, rows, t, tau, count, steps):
    """Codes of `count` dreams from step t on under the recorded actions, (steps, count, z)."""
    _, z, _, h, c, _ = rows[t]
    z, h, c = (np.repeat(part, count, 0) for part in (z, h, c))
    codes = [z]
    for step in range(steps):
        x = np.concatenate([z, np.repeat(rows[t + step][2][None], count, 0)], 1)
        _, h, c = problem.remember(brain.memory, problem.feed(brain.memory, x), h, c)
        chance = rng.random((z.shape[1], count), np.float32)
        noise = rng.standard_normal(chance.shape, np.float32)
        z, _ = problem.imagine(brain.memory, h, np.full(count, tau, np.float32), chance, noise)
        codes.append(z)
    return np.array(codes)


def draw_futures(result, seed):
    """What the room did, what V keeps of it, and what M dreams from the first column on."""
    rng, brain, steps = np.random.default_rng(seed + 7), result.brain, np.arange(0, 21, 4)
    rows = recorded_room(rng, brain)
    t = 10 + int(np.argmax([row[5] for row in rows[10:38]]))  # where most balls are new
    views = np.array([rows[t + step][0] for step in steps]) / 255
    codes = np.concatenate([rows[t + step][1] for step in steps])
    pictures = {"room": views, "V: decoded z": problem.decode(brain.vision, codes)[0]}
    for tau, count in ((1.15, 3), (0.1, 2)):
        dreams = futures(rng, brain, rows, t, tau, count, int(steps[-1]))[steps]
        for i in range(count):
            name = f"dream {i + 1},\ntemperature {tau}"
            pictures[name] = problem.decode(brain.vision, dreams[:, i])[0]
    figure, axes = plt.subplots(len(pictures), len(steps), figsize=(7.0, 5.2))
    for row, (name, frames) in zip(axes, pictures.items(), strict=True):
        for axis, frame in zip(row, frames, strict=True):
            axis.imshow(frame.reshape(20, 32), cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    for axis, step in zip(axes[0], steps, strict=True):
        axis.set_title(f"step {step}", fontsize=8)
    return figure


def draw_search(result):
    """Mean score of every generation in dreams, and the share of players that still live in the
    room."""
    figure, axes = plt.subplots(1, 2, figsize=(7.0, 3.0))
    for tau, name, colour in zip(problem.TAUS, problem.NAMES, COLOURS, strict=True):
        label = f"temperature {tau:.3g}"
        axes[0].plot(result.history["generation"], result.history[name], color=colour, label=label)
    most = max(max(result.history[name]) for name in problem.NAMES)
    axes[0].set(xlabel="generation", ylabel="steps in the dream, mean", ylim=(0, 1.4 * most))
    axes[0].set_title("the search, at most 400 steps")
    axes[0].legend(fontsize=7, loc="upper left", ncols=2)
    best = 2 + int(result.lived[2:].mean(1).argmax())
    rows = [
        ("random play", result.random, GREY),
        ("blind pacing", result.pacing, BLACK),
        ("C of temperature 0.1", result.lived[0], COLOURS[0]),
        (f"C of temperature {problem.TAUS[best]:.3g}", result.lived[best], COLOURS[best]),
    ]
    for name, lived, colour in rows:
        places = np.sort(lived)
        axes[1].step(
            places, 1 - np.arange(1, len(places) + 1) / len(places), color=colour, label=name
        )
    axes[1].set(xlabel="steps in the room", ylabel="share alive", ylim=(0, 1), xlim=(0, 800))
    axes[1].set_title("the test")
    axes[1].legend(fontsize=7)
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"temperatures": draw_temperatures()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed, **SHORT))
    figures |= {"futures": draw_futures(result, options.seed), "search": draw_search(result)}
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
