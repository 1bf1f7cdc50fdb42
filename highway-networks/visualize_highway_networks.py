"""Draw the pictures of highway-networks into viz/."""

import argparse
import json
import sys
from pathlib import Path

import highway_networks as problem
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

COLOURS = {"highway": BLUE, "plain": ORANGE}


def draw_losses():
    """The training loss and the test accuracy of every recorded net by its depth."""
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.6))
    runs = [run["metrics"] for run in recorded("depths")]
    for axis, what in zip(axes, ("loss", "test"), strict=True):
        for kind, colour in COLOURS.items():
            values = np.array([[m[f"{kind}_{d}_{what}"] for d in problem.DEPTHS] for m in runs])
            axis.plot(problem.DEPTHS, np.median(values, 0), color=colour, label=kind)
            for row in values:
                axis.plot(problem.DEPTHS, row, "o", color=colour, markersize=4, alpha=0.6)
        axis.set(xscale="log", xlabel="layers")
        axis.set_xticks(problem.DEPTHS, problem.DEPTHS)
        axis.minorticks_off()
    axes[0].set(yscale="log", ylabel="training loss [nats]", ylim=(5e-4, 4))
    axes[0].axhline(np.log(10), color=GREY, linewidth=0.8, linestyle=":")
    axes[0].text(10, 2.0, "guessing", color=GREY, fontsize=8, va="top")
    axes[1].set(ylabel="right on the test images [%]", ylim=(0, 100))
    axes[1].legend(loc="lower left")
    return figure


def gradient_norms(kind, depth, setting, x, labels, shrink=1.0):
    """Norm of every layer's gradient before anything is learnt; weights are times shrink."""
    net = problem.Net(kind, depth, setting, np.random.default_rng(0), float)
    for name in ("W_in", "W", "W_out"):
        net.weights[name] *= shrink
    net.backward(x, problem.cross_entropy(net.forward(x), labels)[1])
    return np.sqrt((net.grads["W"] ** 2).sum((1, 2)))


def draw_start(data):
    """The gradient at every layer of untrained nets of 100 layers, three ways to start."""
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    x, labels = data[0][:, :1000], data[1][:1000]
    tanh = problem.Setting(0.01, 1.0, gate_bias=-6.0)
    rows = (
        ("highway, normalised", "highway", BLUE, 1.0),
        ("plain, normalised", "plain", ORANGE, 1.0),
        ("plain, weights in ±1/√71", "plain", RED, 1 / np.sqrt(3)),
    )
    for name, kind, colour, shrink in rows:
        norms = gradient_norms(kind, 100, tanh, x, labels, shrink)
        axis.plot(np.arange(2, 101), norms, color=colour, label=name)
    axis.set(yscale="log", xlabel="layer", ylabel="norm of the gradient", xlim=(1, 101))
    axis.legend(fontsize=8, loc="center")
    axis.set_ylim(1e-27, 1e2)
    return figure


def draw_gates(net, test):
    """Of a trained net of 50 layers: gate biases, mean gates, one image's gates; lesions."""
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 4.4))
    x, labels = test[0][:, : problem.LESIONED], test[1][: problem.LESIONED]
    net.forward(x)
    gates = np.stack([T for _, T in net.inner])
    pictures = (
        (net.weights["b"][:, 50:, 0], "bias of the gate", "cividis"),
        (gates.mean(2), "gate T, mean over images", "cividis"),
        (gates[:, :, 0], f"gate T, one image (a {labels[0]})", "cividis"),
    )
    for axis, (values, title, cmap) in zip(axes.flat, pictures, strict=False):
        image = axis.imshow(values.T, aspect="auto", cmap=cmap, extent=(1.5, 50.5, 50.5, 0.5))
        axis.set(title=title, xlabel="layer", ylabel="unit")
        figure.colorbar(image, ax=axis)
    axis = axes[1, 1]
    axis.bar(np.arange(2, 51), problem.lesions(net, (x, labels)), color=BLUE)
    axis.axhline(1, color=GREY, linewidth=0.8, linestyle=":")
    axis.set(title="without this layer", xlabel="layer", ylabel="fewer right [points]")
    return figure


def main():
    options = figure_options(__doc__, "viz")
    figures = {"losses": draw_losses()}
    options.out.mkdir(exist_ok=True)
    data, test = problem.load_images(np.random.default_rng(options.seed), 10_000)
    net = problem.run(problem.Config(seed=options.seed, depth=50)).nets["highway", 50]
    figures |= {"start": draw_start(data), "gates": draw_gates(net, test)}
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
