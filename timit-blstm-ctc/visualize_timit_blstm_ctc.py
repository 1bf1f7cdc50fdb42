"""Draw the pictures of timit-blstm-ctc into viz/."""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import timit_blstm_ctc as problem

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

SHOWN = {"lstm": "forwards", "reverse": "backwards", "blstm": "both directions"}
BARS_A = {
    "mlp": "window of 10",
    "lstm": "LSTM",
    "delayed": "LSTM, late",
    "brnn": "tanh, both",
    "reverse": "LSTM, backw.",
    "blstm": "LSTM, both",
}
BARS_B = {"hmm": "HMM", "hybrid": "hybrid", "best_path": "CTC, path", "prefix": "CTC, prefix"}
PAPER = {
    "mlp": 63.1,
    "lstm": 64.6,
    "delayed": 66.0,
    "brnn": 69.0,
    "blstm": 69.8,
    "hmm": 38.85,
    "hybrid": 33.84,
    "best_path": 31.47,
    "prefix": 30.51,
}


def draw_bars(path):
    """Both experiments over seeds, with the paper's numbers for TIMIT."""
    figure, axes = plt.subplots(1, 2, figsize=(8.2, 3.4), width_ratios=(1.5, 1))
    parts = (("frames", BARS_A, "frames right (%)"), ("ctc", BARS_B, "label error rate (%)"))
    for axis, (variant, names, label) in zip(axes, parts, strict=True):
        runs = recorded(variant)
        for k, name in enumerate(names):
            values = [run["metrics"][name] for run in runs]
            colour = BLUE if name in ("blstm", "best_path", "prefix") else SKY
            axis.bar(k, np.mean(values), color=colour)
            axis.text(k, 1, f"{np.mean(values):.1f}", ha="center", color="white", fontsize=8)
            axis.plot(np.full(len(values), k), values, "o", color=BLACK, markersize=3)
            if name in PAPER:
                axis.plot([k - 0.4, k + 0.4], [PAPER[name]] * 2, color=RED, linewidth=2)
        axis.set_xticks(range(len(names)), names.values(), rotation=25, ha="right")
        axis.set_ylabel(label)
        axis.set_title(f"{variant}: mean and {len(runs)} seeds")
    axes[0].set_ylim(0, 80)
    axes[1].plot([], [], color=RED, linewidth=2, label="the paper, on TIMIT")
    axes[1].legend(loc="upper right", bbox_to_anchor=(1, 1.02))
    axes[1].set_ylim(0, 50)
    figure.savefig(path)
    plt.close(figure)


def segments(labels):
    """First frame, end and phone of each segment."""
    cuts = np.flatnonzero(np.diff(labels)) + 1
    first, end = np.append(0, cuts), np.append(cuts, len(labels))
    return [(a, b, int(labels[a])) for a, b in zip(first, end, strict=True)]


def spectral_shape(x):
    """(bands, frames): the spectrum that the cepstral coefficients, each normalised, describe."""
    k, band = np.arange(1, 13)[:, None], np.arange(18) + 0.5
    weights = np.cos(np.pi * k * band / 18) / np.sqrt(k)
    return (x[:, :12] @ weights).T


def draw_utterance(path, test, nets, which=2):
    """One test utterance: its spectrum, and what three nets say at every frame."""
    corpus = test.part(which + 1)
    frames = slice(*corpus.bounds[which : which + 2])
    labels = corpus.labels[frames]
    figure, axes = plt.subplots(4, 1, figsize=(8.2, 9.2), sharex=True, height_ratios=(1, 2, 2, 2))
    axes[0].imshow(spectral_shape(corpus.x[frames]), aspect="auto", origin="lower")
    axes[0].set(ylabel="band", yticks=(0, 17), yticklabels=("low", "high"))
    for a, b, phone in segments(labels):
        axes[0].text((a + b) / 2, 18.2, problem.PHONES[phone], ha="center", fontsize=8)
        axes[0].axvline(a - 0.5, color="white", linewidth=0.8)
    for axis, (kind, name) in zip(axes[1:], SHOWN.items(), strict=True):
        y = problem.frame_posteriors(kind, nets[kind], corpus)[: len(labels), which]
        axis.imshow(y.T, aspect="auto", vmin=0, vmax=1, cmap="Greys", interpolation="nearest")
        for a, b, phone in segments(labels):
            axis.plot([a - 0.5, b - 0.5], [phone, phone], color=ORANGE, linewidth=1.5)
        right = 100 * (y.argmax(1) == labels).mean()
        axis.set_yticks(range(problem.K), problem.PHONES, fontsize=6)
        axis.set_ylabel(f"{name}\n{right:.0f} % right")
    axes[-1].set_xlabel("frame (10 ms); grey: probability of a phone, orange: the true one")
    figure.savefig(path)
    plt.close(figure)


def draw_place(path, test, nets):
    """Frames right by their place in the phone."""
    _, labels, _ = test.batch(np.arange(len(test.strings)))
    since, until = np.zeros(labels.shape, int), np.zeros(labels.shape, int)
    for k in range(labels.shape[1]):
        row = labels[labels[:, k] >= 0, k]
        for a, b, _ in segments(row):
            since[a:b, k], until[a:b, k] = np.arange(b - a), np.arange(b - a)[::-1]
    figure, axes = plt.subplots(1, 2, figsize=(8.2, 3.2), sharey=True)
    for kind, name in SHOWN.items():
        right = problem.frame_posteriors(kind, nets[kind], test).argmax(2) == labels
        for axis, place in zip(axes, (since, until), strict=True):
            shares = [100 * right[(labels >= 0) & (place == n)].mean() for n in range(9)]
            axis.plot(range(9), shares, "o-", markersize=4, label=name)
    axes[0].set(xlabel="frames since the phone began", ylabel="frames right (%)")
    axes[1].set(xlabel="frames until it ends")
    axes[0].legend(title="LSTM reads")
    figure.savefig(path)
    plt.close(figure)


def draw_confusion(path, test, w):
    """Which phones the bidirectional net takes for which."""
    _, labels, _ = test.batch(np.arange(len(test.strings)))
    found = problem.frame_posteriors("blstm", w, test).argmax(2)
    counts = np.zeros((problem.K, problem.K))
    np.add.at(counts, (labels[labels >= 0], found[labels >= 0]), 1)
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axis = plt.subplots(figsize=(5.6, 4.8))
    image = axis.imshow(shares, vmin=0, vmax=100)
    axis.set_xticks(range(problem.K), problem.PHONES, rotation=90, fontsize=7)
    axis.set_yticks(range(problem.K), problem.PHONES, fontsize=7)
    axis.set(xlabel="the net says", ylabel="spoken")
    for k in range(1, problem.K):
        if problem.CLASSES[k] != problem.CLASSES[k - 1]:
            axis.axhline(k - 0.5, color="white", linewidth=0.8)
            axis.axvline(k - 0.5, color="white", linewidth=0.8)
    figure.colorbar(image, label="frames of the spoken phone (%)")
    figure.savefig(path)
    plt.close(figure)


def main():
    options = figure_options(__doc__, "viz")
    options.out.mkdir(parents=True, exist_ok=True)
    draw_bars(options.out / "bars.png")
    config = problem.Config(seed=options.seed)
    rng = np.random.default_rng(config.seed)
    train, _, test = problem.make_corpora(config, rng)
    nets = {}
    for kind, stream in zip(SHOWN, rng.spawn(3), strict=True):
        nets[kind] = problem.train(config, kind, train, config.updates, stream, lambda *state: None)
    draw_utterance(options.out / "utterance.png", test, nets)
    draw_place(options.out / "place.png", test, nets)
    draw_confusion(options.out / "confusion.png", test, nets["blstm"])


if __name__ == "__main__":
    figure_main(main)
