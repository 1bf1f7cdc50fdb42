"""Draw the pictures of the deep MLP on deformed MNIST: one short run of a smaller net, and the
seeds of results.json."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import mnist_deep_mlp as problem
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

SHORT = {"net": "512-256", "epochs": 10, "plain_epochs": 6}
NAMES = {
    "deformed": ("(a) 1000-500-10, deformed digits", BLUE),
    "small": ("(c) 300-100-10, deformed digits", GREEN),
    "plain": ("(b) 1000-500-10, digits as they are", ORANGE),
}
MILESTONES = problem.MILESTONES


def save(figure, path, dpi=110):
    """Write a PNG with 64 colours, which keeps pictures of noise small."""
    figure.savefig(path, dpi=dpi)
    with Image.open(path) as image:
        image.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def square(column):
    return column.reshape(problem.SIDE, problem.SIDE)


def bare(axis):
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)


def draw_curves(result, runs, out):
    """Left: the recorded runs; right: how much a short run shows of the training set."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.7), width_ratios=[1.5, 1])
    last = max(MILESTONES)
    for name, (label, colour) in NAMES.items():
        for run in runs:
            names = {epoch: f"val_{name}_{epoch}" for epoch in MILESTONES}
            errors = {epoch: run[key] for epoch, key in names.items() if key in run}
            errors |= {run[f"best_epoch_{name}"]: run[f"val_{name}"]}
            left.plot(
                *zip(*sorted(errors.items()), strict=True), ".-", color=colour, label=label, lw=0.9
            )
            left.plot(last + 2, run[f"err_{name}"], "D", color=colour, markersize=4)
            label = None
        right.plot(
            range(1, 1 + len(result.shares[name])),
            [100 * share for share in result.shares[name]],
            ".-",
            color=colour,
            label=label,
        )
    left.axhline(0.49, color=BLACK, linewidth=0.9, linestyle="--")
    left.text(0.5, 0.47, "paper's test error of (a): 0.49 %", fontsize=8, va="top")
    left.set(xlabel="epoch; diamonds: test error of the selected weights", ylabel="error [%]")
    left.set(xlim=(0, last + 3), yscale="log", ylim=(0.35, 6))
    left.set_xticks(range(0, last + 1, 5))
    left.set_yticks([0.5, 1, 2, 5], labels=["0.5", "1", "2", "5"])
    left.minorticks_off()
    left.set_title("Recorded runs: validation error, one line a seed")
    left.legend(fontsize=8, loc="upper right")
    right.set(xlabel="epoch", ylabel="training images shown [%]", ylim=(0, 105))
    right.set_title("Short run, (a) and (b) 512-256-10")
    save(figure, out / "curves.png")


def deformations(images, labels, seed, count):
    """Each image (n, 841) under `count` deformations of its own: (n, count, 841), and the points
    (n, count, 2, 841)."""
    rng, config = np.random.default_rng(seed), problem.Config()
    shown, places = np.empty((len(images), count, problem.PIXELS), np.float32), []
    for k, label in enumerate(labels):
        angles = np.full(count, config.angle / 2 if label in problem.SLOW else config.angle)
        points = problem.sampling_points(
            problem.affine_maps(rng, angles), problem.elastic_fields(rng, count)
        )
        for n in range(count):
            row = np.empty((1, problem.PIXELS), np.float32)
            problem.deform(images[k : k + 1], [np.array([0])], points[n : n + 1], row)
            shown[k, n] = row
        places.append(points)
    return shown, np.array(places)


def six_digits(images, labels, digits=(1, 2, 4, 5, 7, 8)):
    chosen = [np.flatnonzero(labels == digit)[5] for digit in digits]
    return images[chosen], labels[chosen]


def draw_deformations(images, labels, seed, out):
    images, labels = six_digits(images, labels)
    shown, points = deformations(images, labels, seed, 7)
    rows, columns = np.mgrid[2:29:4, 2:29:4]
    figure, axes = plt.subplots(
        6, 8, figsize=(8, 6.2), gridspec_kw={"wspace": 0.05, "hspace": 0.05}
    )
    for k in range(6):
        axes[k, 0].imshow(square(images[k]), cmap="gray_r", vmin=0, vmax=350)
        for n in range(7):
            axis = axes[k, n + 1]
            axis.imshow(square(shown[k, n]), cmap="gray_r", vmin=-1, vmax=2)
            down, right = (
                square(points[k, n, part])[rows, columns] - (rows, columns)[part] for part in (0, 1)
            )
            axis.quiver(
                columns + right,
                rows + down,
                -right,
                -down,
                angles="xy",
                scale_units="xy",
                scale=1,
                color=RED,
                width=0.012,
            )
            axis.set(xlim=(-0.5, 28.5), ylim=(28.5, -0.5))
    for axis in axes.flat:
        bare(axis)
    axes[0, 0].set_title("original")
    axes[0, 4].set_title(
        "seven deformations; arrows: from where a pixel's grey comes to where it goes"
    )
    save(figure, out / "deformations.png")


def draw_errors(result, out):
    x, truth = (np.concatenate([piece[k] for piece in result.test], axis=1 - k) for k in (0, 1))
    missed = np.flatnonzero(result.ranked[0] != truth)
    columns = 15
    rows = -(-len(missed) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(8, 0.75 * rows + 0.5))
    for axis in axes.flat:
        bare(axis)
    for axis, n in zip(axes.flat, missed, strict=False):
        axis.imshow(square(x[:, n]), cmap="gray_r", vmin=-1, vmax=1)
        first, second = result.ranked[:2, n]
        axis.set_title(
            f"{truth[n]}: {first}, {second}",
            fontsize=8,
            pad=1,
            color=GREEN if second == truth[n] else RED,
        )
    figure.suptitle(
        f"All {len(missed)} test errors of a short run (512-256-10, {SHORT['epochs']} epochs). "
        "Above each:  true digit: first guess, second guess",
        fontsize=10,
    )
    kinds = [(GREEN, "green: the second guess is right"), (RED, "orange: both guesses are wrong")]
    keys = [plt.Line2D([], [], marker="s", ls="", color=c, label=text) for c, text in kinds]
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    save(figure, out / "errors.png", 95)


def draw_filters(result, out):
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.1))
    for panel, name, title in zip(
        panels,
        ("deformed", "plain"),
        ("trained on deformed digits", "trained on digits as they are"),
        strict=True,
    ):
        filters = result.weights[name]["W1"][:40].reshape(5, 8, 29, 29)
        filters = filters / np.abs(filters).max((2, 3), keepdims=True)
        framed = np.pad(filters, ((0, 0), (0, 0), (0, 2), (0, 2)), constant_values=0)
        panel.imshow(
            framed.transpose(0, 2, 1, 3).reshape(5 * 31, 8 * 31), cmap="RdBu_r", vmin=-1, vmax=1
        )
        panel.set_title(title)
        bare(panel)
    figure.suptitle(
        "Weights of 40 first-layer units from the same start "
        "(red: positive, blue: negative; each scaled to its largest)",
        fontsize=10,
    )
    save(figure, out / "filters.png", 90)


def draw_fields(seed, out):
    fields = problem.elastic_fields(np.random.default_rng(seed), 1500)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), width_ratios=[1.6, 1])
    left.hist(
        fields.ravel(),
        80,
        density=True,
        histtype="step",
        color=BLACK,
        label=f"our fields, sd {fields.std():.2f} px",
    )
    places = np.linspace(-4.5, 4.5, 200)
    bells = [np.exp(-((places / sd) ** 2) / 2) / (sd * np.sqrt(2 * np.pi)) for sd in (1.0, 1.2)]
    left.fill_between(
        places,
        *bells,
        color=ORANGE,
        alpha=0.6,
        linewidth=0,
        label="normal curves of sd 1.0 to 1.2 px,\nfrom the paper's alpha and sigma",
    )
    weak = np.exp(-((places / 0.33) ** 2) / 2) / (0.33 * np.sqrt(2 * np.pi))
    left.plot(places, weak, ":", color=GREY, label="earlier catalog, sd 0.33 px")
    left.set(
        xlabel="elastic displacement in one direction [px]",
        ylabel="density [1/px]",
        xlim=(-4.5, 4.5),
        ylim=(0, 1.9),
    )
    left.legend(fontsize=8, loc="upper right")
    image = right.imshow(fields.std((0, 1)), vmin=0, vmax=1.3)
    right.set(xlabel="column [px]", ylabel="row [px]", title="sd by pixel")
    figure.colorbar(image, ax=right, label="[px]")
    save(figure, out / "fields.png")


def main():
    options = figure_options(__doc__, "viz")
    runs = [run["metrics"] for run in recorded("deep")]
    images, labels, _, _ = problem.load_data(problem.Config())
    options.out.mkdir(parents=True, exist_ok=True)
    draw_deformations(images, labels, options.seed, options.out)
    draw_fields(options.seed, options.out)
    result = problem.run(problem.Config(seed=options.seed, **SHORT))
    draw_curves(result, runs, options.out)
    draw_errors(result, options.out)
    draw_filters(result, options.out)


if __name__ == "__main__":
    figure_main(main)
