"""The command line that every script of the catalog shares."""

import argparse
import dataclasses
import json
import platform
import re
import sys
import time
from pathlib import Path

import numpy as np

Config = LIMITS = QUICK = run = None  # what the script that carries the copy defines


# idiom: cli
def main(argv=None):
    """Command line: an option for every field of Config; results on standard output, progress on the terminal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.error = lambda message: parser.exit(2, f"{parser.prog}: {message}\n")
    for field in dataclasses.fields(Config):
        meaning = re.search(rf"^ *{field.name}: (.+)$", Config.__doc__, re.MULTILINE)[1].replace("%", "%%")
        allowed = LIMITS.get(field.name, (0, 2**32 - 1))
        bound = " | ".join(allowed) if isinstance(allowed, list) else f"{allowed[0]:,} to {allowed[1]:,}"
        kind = {"type": type(field.default), "metavar": "X"}
        if isinstance(field.default, bool):
            kind, bound = {"action": argparse.BooleanOptionalAction, "default": None}, "on or off"
        text = f"{meaning} ({bound}; default {field.default})"
        parser.add_argument("--" + field.name.replace("_", "-"), help=text, **kind)
    parser.add_argument("--quick", action="store_true", help="a whole run in about two seconds, on a small budget")
    parser.add_argument("--json", action="store_true", help="print the record of the run as one line of JSON")
    options = {name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None}
    quick, as_json = options.pop("quick"), options.pop("json")
    try:
        config = Config(**({**QUICK, **options} if quick else options))
    except ValueError as error:
        parser.error(str(error))

    def watch(step, total, **state):
        shown = "  ".join(f"{name} {value:.4g}" for name, value in state.items() if isinstance(value, (int, float)))
        print(f"\r{step}/{total}  {shown}\x1b[K", end="", file=sys.stderr, flush=True)

    show = sys.stderr.isatty() and not as_json
    start, busy = time.perf_counter(), time.process_time()
    try:
        result = run(config, watch if show else None)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        parser.error(str(error))
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    if show:
        print("\r\x1b[K", end="", file=sys.stderr)
    if as_json:
        record = {"problem": Path(__file__).stem.replace("_", "-"), "config": dataclasses.asdict(config)}
        record |= {"metrics": result.metrics, "seconds": round(seconds, 3), "cpu_seconds": round(busy, 3)}
        record |= {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.machine()}
        print(json.dumps(record, default=lambda value: value.item(), allow_nan=False))
    else:
        for name, value in {**result.metrics, "seconds": round(seconds, 2)}.items():
            print(f"{name:<28}{value:.5g}" if isinstance(value, float) else f"{name:<28}{value}")


if __name__ == "__main__":
    main()
# end idiom
