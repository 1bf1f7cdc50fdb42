"""The command line that every script of the catalog shares."""

import argparse
import dataclasses
import json
import math
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

Config = QUICK = run = None  # what the script that carries the copy defines


# idiom: cli
def main(argv=None):
    """Command line: an option for every field of Config; the result goes to standard output."""
    form = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser(description=__doc__, add_help=False, **form)
    parser.error = lambda message: stop(2, message)
    for field in dataclasses.fields(Config):
        text = f"{field.metadata['meaning']} ({field.metadata['allowed']}; default {field.default})"
        kind = {"type": type(field.default), "metavar": "X"}
        if isinstance(field.default, bool):
            kind = {"action": argparse.BooleanOptionalAction, "default": None}
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, help=text.replace("%", "%%"), **kind)
    parser.add_argument("--quick", action="store_true", help="a small instance, about two seconds")
    parser.add_argument("--json", action="store_true", help="print the run as one line of JSON")
    parser.add_argument("-h", "--help", action="store_true", help="print this")
    options = {name: x for name, x in vars(parser.parse_args(argv)).items() if x is not None}
    quick, as_json, wants_help = (options.pop(name) for name in ("quick", "json", "help"))
    try:
        config = Config(**{**(QUICK if quick else {}), **options})
    except ValueError as error:
        stop(2, error)
    try:
        text = parser.format_help().rstrip() if wants_help else run_as_text(config, as_json)
    except KeyboardInterrupt:
        sys.exit(130)
    except FloatingPointError as error:
        stop(1, f"the run diverged: {error}")
    except OSError as error:
        stop(2, error)
    try:
        print(text, flush=True)
    except OSError as error:  # the reader has seen enough, or there is no room
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            stop(1, error)


def run_as_text(config, as_json):
    """Run, with a line of progress on a terminal; returns the record as JSON, or a table of it."""

    def watch(step, total, **state):
        shown = [f"{name} {x:.4g}" for name, x in state.items() if isinstance(x, (int, float))]
        print(f"\r{step}/{total}  {'  '.join(shown)}\x1b[K", end="", file=sys.stderr, flush=True)

    on_terminal = sys.stderr and sys.stderr.isatty() and not as_json
    start, busy = time.perf_counter(), time.process_time()
    try:
        metrics = run(config, watch if on_terminal else None).metrics
    finally:
        if on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    times = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - busy}
    for name, value in metrics.items():
        if value is not None and not math.isfinite(value):
            raise FloatingPointError(f"{name} is {value}")
    if as_json:
        record = {"problem": Path(__file__).stem.replace("_", "-"), "config": vars(config)}
        record |= {"metrics": metrics, **{name: round(x, 3) for name, x in times.items()}}
        record |= {"python": platform.python_version(), "numpy": np.__version__}
        record |= {"machine": platform.machine()}
        return json.dumps(record, default=lambda value: value.item(), allow_nan=False)
    shown = {**metrics, "seconds": round(times["seconds"], 2)}
    return "\n".join(f"{name:<28}{in_five_digits(x)}" for name, x in shown.items())


def in_five_digits(value):
    """A metric as text; a dash where it does not apply."""
    return "-" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def stop(status, message):
    """End with one line on standard error, where there is one."""
    if sys.stderr:
        print(f"{Path(__file__).name}: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
# end idiom
