"""Draw the pictures of blues-improvisation into viz/, and write what a net plays as MIDI."""

import argparse
import json
import sys
from pathlib import Path

import blues_improvisation as problem
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

QUARTER, TEMPO = 96, 400_000  # ticks a quarter note, microseconds a quarter note


def draw_forms():
    """How long every recorded net keeps to the form."""
    figure, axis = plt.subplots(figsize=(6.4, 2.0))
    runs = [run["metrics"] for run in recorded("improvise")]
    for y, (name, colour) in enumerate((("form_steps", BLUE), ("rnn_form_steps", ORANGE))):
        values = [m[name] for m in runs]
        height = y + 0.3 * (np.arange(len(values)) / len(values) - 0.5)
        axis.plot(values, height, "o", color=colour)
    axis.set_yticks((0, 1), ("LSTM", "tanh net"))
    axis.set(
        xscale="log", xlim=(8, 2500), ylim=(1.5, -0.5), xlabel="steps before the first wrong chord"
    )
    axis.set_xticks((10, 96, 960, 1920), ("10", "96:\na chorus", "960", "1920:\nthe end"))
    axis.minorticks_off()
    return figure


def draw_cells(result):
    """What the eight chord cells hold during two choruses: counters."""
    figure, axis = plt.subplots(figsize=(6.4, 2.8))
    net = problem.Blocks(4, 6.0)
    form = problem.chorus(8)
    _, y = net.play(result.nets["chords"], form[0], 192)
    net.forward(result.nets["chords"], np.concatenate([form, form])[:, :, None])
    cells = np.concatenate([net.kept[2][1:, :, 0], net.kept[2][-1:, :, 0]])
    for k in range(8):
        axis.plot(cells[:, k], linewidth=1.2)
    for k, name in enumerate(problem.FORM * 2):
        if k == 0 or name != (problem.FORM * 2)[k - 1]:
            axis.axvline(8 * k, color=GREY, linewidth=0.6)
            axis.text(8 * k + 1, cells.max(), name, fontsize=8, va="bottom")
    axis.set(xlabel="steps, two choruses", ylabel="cells c", xlim=(0, 192))
    return figure


def draw_roll(result):
    """The first four choruses that a net plays: a row each, notes over the chords."""
    figure, axes = plt.subplots(4, 1, figsize=(6.4, 4.4), sharex=True)
    colours = {"C7": SKY, "F7": YELLOW, "G7": GREEN}
    for row, axis in enumerate(axes):
        notes = result.played[96 * row : 96 * (row + 1)]
        for k, name in enumerate(problem.FORM):
            axis.axvspan(8 * k, 8 * k + 8, color=colours[name], alpha=0.25, linewidth=0)
            if row == 0:
                axis.text(8 * k + 4, 13.3, name, ha="center", fontsize=8)
        axis.hlines(notes, np.arange(96), np.arange(96) + 1, color=BLACK, linewidth=3)
        axis.set(ylim=(-1, 13), xlim=(0, 96), ylabel=f"chorus {row + 1}")
        axis.set_yticks((0, 12), ("C", "C'"))
    axes[-1].set(xlabel="steps")
    axes[-1].set_xticks(range(0, 97, 8))
    return figure


def variable_length(number):
    """A number as MIDI writes times: seven bits a byte, the highest first."""
    parts = [number & 127]
    while number := number >> 7:
        parts.append(number & 127 | 128)
    return bytes(reversed(parts))


def midi(notes):
    """A MIDI file (format 0) of a melody, one note a step, over the chords of the form."""
    events = []
    for k, name in enumerate(np.resize(problem.FORM, len(notes) // 8)):
        for pitch in problem.CHORDS[str(name)]:
            events += [(8 * k, 0x90, 48 + pitch, 50), (8 * k + 8, 0x80, 48 + pitch, 0)]
    starts = np.flatnonzero(np.diff(notes, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(notes)], strict=True):
        pitch = 72 + int(notes[start])
        events += [(int(start), 0x90, pitch, 90), (int(end), 0x80, pitch, 0)]
    track, now = b"\x00\xff\x51\x03" + TEMPO.to_bytes(3, "big"), 0
    for step, *message in sorted(events):
        track += variable_length((step - now) * QUARTER // 2) + bytes(message)
        now = step
    track += b"\x00\xff\x2f\x00"
    header = b"MThd" + b"".join(
        n.to_bytes(k, "big") for n, k in ((6, 4), (0, 2), (1, 2), (QUARTER, 2))
    )
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def main():
    options = figure_options(__doc__, "viz")
    figures = {"forms": draw_forms()}
    options.out.mkdir(exist_ok=True)
    result = problem.run(problem.Config(seed=options.seed, controls=False))
    figures |= {"cells": draw_cells(result), "roll": draw_roll(result)}
    (options.out / "improvisation.mid").write_bytes(midi(result.played[: 4 * 96]))
    for name, figure in figures.items():
        figure.savefig(options.out / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    figure_main(main)
