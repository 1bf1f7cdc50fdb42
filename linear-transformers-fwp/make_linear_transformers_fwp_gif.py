"""Animate linear Transformers as fast weight programmers: the fast weights fill up pair by pair,
before and after training."""

import argparse
import json
import sys
from pathlib import Path

import linear_transformers_fwp as problem
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

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


# idiom: gif
def write_gif(path, figure, draw, frames, seconds=0.12, hold=3.0, colours=64):
    """Write an animated GIF: draw(frame) repaints the figure for every item of frames.

    The last frame stays `hold` seconds; it is also the poster. All frames share one palette, made
    from all of them, and each stores only the rectangle that changed, which keeps the file small.
    """
    pictures, seen, count = [], np.empty(0, np.uint32), np.empty(0)
    for frame in frames:
        draw(frame)
        figure.canvas.draw()
        pixels = np.array(figure.canvas.buffer_rgba()).view(np.uint32)[..., 0]
        found, which, times = np.unique(pixels, return_inverse=True, return_counts=True)
        which = which.reshape(pixels.shape).astype(np.min_scalar_type(len(found)))
        pictures.append((found, which))
        seen, place = np.unique(np.concatenate([seen, found]), return_inverse=True)
        count = np.bincount(place, np.concatenate([count, times]))
    palette, nearest = shared_palette(seen.view(np.uint8).reshape(-1, 4)[:, :3], count, colours)
    images = (Image.fromarray(nearest[np.searchsorted(seen, f)][which]) for f, which in pictures)
    durations = [round(1000 * seconds)] * (len(pictures) - 1) + [round(1000 * hold)]
    options = {"palette": palette.tobytes(), "loop": 0, "disposal": 1, "optimize": False}
    next(images).save(path, save_all=True, append_images=images, duration=durations, **options)


def shared_palette(seen, count, most):
    """A palette out of the colours seen, (at most most, 3), and which entry is nearest to each.

    The commonest colour comes first, then always the one that lies farthest from all entries so
    far; a commoner colour counts as a little farther, but a rare one that is like no other gets in.
    """
    rgb, weight = seen.astype(np.int32), count**0.25
    chosen, nearest, gap = [], np.zeros(len(rgb), np.uint8), np.full(len(rgb), np.inf)
    while len(chosen) < most and gap.any():
        chosen.append(np.argmax(gap * weight if chosen else count))
        away = ((rgb - rgb[chosen[-1]]) ** 2).sum(1)
        nearest[away < gap] = len(chosen) - 1
        gap = np.minimum(gap, away)
    return seen[chosen], nearest


def spaced(values, count):
    """Which snapshots to show: places of at most `count`, evenly spaced in what is learnt.

    values: one number a snapshot that tells how far learning has come, such as an error (of an
    error that spans factors, its logarithm); snapshots are taken at even intervals of training.
    Half of the way from the first snapshot to the last is the change of values, up or down, and
    half is the logarithm of training time, so that early steps and slow stretches show too. No
    single change takes more than the way of about one frame. First and last are always shown.
    """
    if len(values) <= count:
        return list(range(len(values)))
    change = np.abs(np.diff(np.asarray(values, float)))
    early = np.diff(np.log(np.arange(1, len(values) + 1)))
    way = change / (change.sum() or 1) + early / early.sum()
    way = np.concatenate([[0], np.cumsum(np.minimum(way, way.sum() / count))])
    places = np.searchsorted(way, np.linspace(0, way[-1], count))
    return np.unique(places).tolist()


# end idiom


KEY_SIZE, DIMENSIONS = 16, 32  # DPFP-1 doubles the key's units
SIZES, RULES = (12, 48), ("sum", "delta")
FRAMES = {"before training": 12, "after training": 32}


def fill(weights, rule, keys, values):
    """After every pair of one sequence: the fast weights, (L, S, p), and the loss of every stored
    key, (L, S), else nan."""
    by_value, by_key = problem.tables(weights, "k")
    phi, _ = problem.feature_map(by_value[values] + by_key[keys], "dpfp-1")
    query, _ = problem.feature_map(problem.queries(weights), "dpfp-1")
    onehot = np.eye(len(query))
    if rule == "delta":
        phi, query = problem.normalise(phi)[0], problem.normalise(query)[0]
        beta = problem.write_strength(weights, keys[None], values[None])[0]
    fast, total, last = np.zeros((len(query), phi.shape[1])), np.zeros(phi.shape[1]), {}
    shown, losses = [], []
    for t, (key, value) in enumerate(zip(keys, values, strict=True)):
        last[key] = value
        error = onehot[value] - fast @ phi[t] if rule == "delta" else onehot[value]
        fast = fast + (beta[t] if rule == "delta" else 1) * np.outer(error, phi[t])
        total = total + phi[t]
        y = query @ fast.T if rule == "delta" else query @ fast.T / (query @ total + 1e-6)[:, None]
        loss = np.full(len(query), np.nan)
        for k, v in last.items():
            loss[k] = 0.5 * ((y[k] - onehot[v]) ** 2).sum()
        shown.append(fast)
        losses.append(loss)
    return np.array(shown), np.array(losses)


def main():
    options = figure_options(__doc__, "linear_transformers_fwp.gif")
    config, story = (
        problem.Config(seed=options.seed, key_size=KEY_SIZE, steps=600, batch=16, every=200),
        {},
    )
    rngs = iter(np.random.default_rng(options.seed).spawn(8))
    for symbols in SIZES:
        keys, values = (ids[0] for ids in problem.make_batch(next(rngs), 2, symbols, 2, 1))
        for rule in RULES:
            rng = next(rngs)
            untrained = problem.init_weights(rng, symbols, KEY_SIZE)
            trained = problem.train(rng, (2, rule, "dpfp-1", symbols, 2), config, None)[1]
            for stage, weights in zip(FRAMES, (untrained, trained), strict=True):
                story[stage, symbols, rule] = fill(weights, rule, keys, values)
    columns = [(symbols, rule) for symbols in SIZES for rule in RULES]
    frames = [
        (stage, part / count) for stage, count in FRAMES.items() for part in range(1, count + 1)
    ]

    figure, axes = plt.subplots(3, 4, figsize=(6.4, 5.4), height_ratios=[1.5, 0.8, 0.9])
    images, bars, lines = [], [], []
    for i, (symbols, rule) in enumerate(columns):
        top, middle, bottom = axes[:, i]
        images.append(
            top.imshow(
                np.zeros((symbols, DIMENSIONS)), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto"
            )
        )
        top.set_title(
            f"{rule}\nS = {symbols} {'<' if symbols < DIMENSIONS else '>'} p = {DIMENSIONS}"
        )
        top.set(xticks=[], yticks=[], xlabel="features" if i == 0 else "")
        bars.append(middle.bar(np.arange(symbols), np.zeros(symbols), 1.0, color=RED))
        middle.set(ylim=(0, 1), xlim=(-0.5, symbols - 0.5), xticks=[], xlabel="key")
        for stage, colour in zip(FRAMES, (GREY, BLUE), strict=True):
            lines.append(bottom.plot([], [], color=colour, label=stage)[0])
        bottom.set(xlim=(0, 2 * symbols), ylim=(0, 0.8), xlabel="pairs written")
        for axis in (middle, bottom):
            axis.set_yticks([0, 0.5], labels=["0", "0.5"] if i == 0 else ["", ""])
    axes[0, 0].set_ylabel("fast weights W\n(one row a value)")
    axes[1, 0].set_ylabel("error of each\nstored key")
    axes[2, 0].set_ylabel("mean error")
    axes[2, 0].legend(fontsize=7, loc="upper left", borderpad=0, handlelength=1.2)
    title = figure.suptitle(
        "Keys come again with new values, and only the last counts\n", fontsize=10
    )
    figure.canvas.draw()
    figure.set_layout_engine("none")

    def draw(frame):
        stage, part = frame
        written = f"{stage}, {part:.0%} of the pairs written"
        title.set_text(f"Keys come again with new values, and only the last counts\n{written}")
        for i, (symbols, rule) in enumerate(columns):
            fast, losses = story[stage, symbols, rule]
            now = max(0, round(part * len(fast)) - 1)
            images[i].set_data(fast[now] / max(1e-9, np.abs(fast[-1]).max()))
            for bar, height in zip(bars[i], np.nan_to_num(losses[now]), strict=True):
                bar.set_height(height)
            for j, name in enumerate(FRAMES):
                if name == stage:
                    means = np.nanmean(losses[: now + 1], axis=1)
                    lines[2 * i + j].set_data(np.arange(1, now + 2), means)

    write_gif(options.out, figure, draw, frames, seconds=0.2)


if __name__ == "__main__":
    figure_main(main)
