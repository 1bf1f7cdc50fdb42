"""The tools around the problems.

python3 -m catalog list                      the problems with setting, verdict and seconds
python3 -m catalog run nbb-xor --seed 3      the same as python3 nbb-xor/nbb_xor.py --seed 3
python3 -m catalog measure nbb-xor --jobs 2  every variant with every seed, into its results.json
python3 -m catalog time nbb-xor              its headline, alone on the machine, three times
python3 -m catalog check nbb-xor             its claims with their intervals, and whether they hold
python3 -m catalog show nbb-xor              every metric of every variant
python3 -m catalog figures nbb-xor           its pictures and its GIF
python3 -m catalog report                    every generated table and page
python3 -m catalog sync                      the copies of the idioms
python3 -m catalog new my-problem            a folder to start from
python3 -m catalog book                      the site
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from catalog import ROOT, CatalogError, problems


def served(slugs, show):
    """Call show(problem) for every problem; a damaged card or record costs a line on stderr.

    Returns whether there was one.
    """
    found, faults = problems.sound(slugs)
    for problem in found:
        try:
            show(problem)
        except CatalogError as error:
            faults.append(str(error))
    for fault in faults:
        print(f"python3 -m catalog: {fault}", file=sys.stderr)
    return bool(faults)


def command_list(options):
    """Print one line a problem; exit status 1 when a card or record is damaged."""
    from catalog import records
    from catalog.escape import plain

    rows = [("problem", "year", "setting", "verdict", "claims", "controls", "v1", "seconds")]

    def show(problem):
        known, seconds = records.summary(problem), records.recorded_seconds(problem)
        claims = f"{known['holds']}/{known['claims']}" if known else "-"
        some = known.get("controls")
        controls = f"{known.get('controls_hold', 0)}/{some}" if some else "-"
        row = [problem.slug, str(problem.year), problem.setting]
        row += [known.get("verdict", "not measured"), claims, controls, known.get("v1", "-")]
        rows.append([*map(plain, row), "-" if seconds is None else f"{seconds:.2g}"])

    damaged = served([], show)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())
    sys.exit(1 if damaged else 0)


def command_run(options):
    """Hand over to the script."""
    (problem,) = problems.select([options.slug])
    sys.stdout.flush()
    sys.exit(subprocess.run([sys.executable, str(problem.script), *options.options]).returncode)


def command_measure(options):
    """Sweep, or bind the record to changed code; exit status 1 when a run failed or is not done."""
    from catalog import measure, rebind, worker

    if (options.seeds is None) != (options.out is None):
        text = "--seeds and --out go together: other seeds never touch the committed record"
        raise CatalogError(text)
    names = ("out", "prune", "retry", "again")
    given = [name for name in names if getattr(options, name)]
    if options.rebind is not None and given:
        raise CatalogError(f"--rebind and --{given[0]} do not go together")
    for name in ("without", "before"):
        if options.rebind is None and getattr(options, name):
            raise CatalogError(f"--{name} goes with --rebind")
    if options.prune and options.out:
        raise CatalogError("--prune and --out do not go together: a sample has any seeds")
    if options.rebind not in (None, "cheapest", "all"):  # the first problem after a bare --rebind
        options.slugs.insert(0, options.rebind)
    how = {name: getattr(options, name) for name in ("jobs", "scheduler", "timeout")}
    how["only"] = options.variant
    chosen = problems.select(options.slugs)
    try:
        if options.rebind is not None:
            every = options.rebind == "all"
            how |= {"every": every, "without": options.without or (), "before": options.before}
            bad = rebind.rebind(chosen, **how)
        else:
            seeds = None if options.seeds is None else measure.seed_range(options.seeds)
            how |= {name: getattr(options, name) for name in names}
            bad = measure.measure(chosen, seeds=seeds, **how)
    except KeyboardInterrupt:
        worker.stop()
        text = "\nstopped; finished runs are recorded, and the same command goes on from there"
        print(text, file=sys.stderr)
        raise
    sys.exit(1 if bad else 0)


def command_time(options):
    """Run each headline alone, three times, and record the times; exit status 1 when one failed."""
    from catalog import timing

    kind = "time_v1" if options.v1 else "time"
    wrong = timing.time_headlines(problems.select(options.slugs), kind)
    print("".join(f"{line}\n" for line in wrong), end="", file=sys.stderr)
    sys.exit(1 if wrong else 0)


def command_check(options):
    """Print every claim; exit status 1 when a committed verdict is out of date, and for damage."""
    from catalog import records, report, verdicts

    judged, stale = [], []

    def show(problem):
        runs = records.read(records.path_of(problem, options.of))
        if options.of and not runs:
            print(f"{problem.slug}: no record in {options.of}")
            return
        results = verdicts.outcomes(problem, runs, sample=bool(options.of))
        print("\n".join(report.claim_lines(problem, results)))
        judged.append(results)
        if not options.of and records.summary(problem) != verdicts.summarise(problem, runs):
            command = f"python3 -m catalog measure {problem.slug}"
            print(f"  the committed verdict is out of date; '{command}' brings it up to date")
            stale.append(problem)

    damaged = served(options.slugs, show)
    if len(judged) > 1:
        print(f"{len(judged)} problems: claims {report.counts(sum(judged, []))}")
    sys.exit(1 if stale or damaged else 0)


def command_show(options):
    """Print every metric of every variant: mean, median, lowest, highest and number of seeds."""
    from catalog import tables

    (problem,) = problems.select([options.slug])
    print("\n".join(tables.metric_lines(tables.Sheet(problem))))


def command_report(options):
    """Write the generated pages, or only compare; exit status 1 when one is out of date."""
    from catalog import report

    stale = [
        path
        for path, text in report.pages().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if options.check:
            print(
                f"{path.relative_to(ROOT)} is out of date; run python3 -m catalog report",
                file=sys.stderr,
            )
        else:
            path.write_text(report.pages()[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    sys.exit(1 if options.check and stale else 0)


def command_figures(options):
    """Run the figure scripts of the problems."""
    for problem in problems.select(options.slugs):
        for script in (f"visualize_{problem.module}.py", f"make_{problem.module}_gif.py"):
            print(f"{problem.slug}/{script}", flush=True)
            done = subprocess.run([sys.executable, str(problem.folder / script)])
            if done.returncode:
                raise CatalogError(
                    f"{problem.slug}/{script} ended with exit status {done.returncode}"
                )


def command_sync(options):
    """Refresh the idioms in every script, or only compare."""
    from catalog.idioms import refreshed

    stale = []
    for path in sorted(path for folder in problems.folders() for path in folder.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        try:
            new = refreshed(source)
        except CatalogError as error:
            raise CatalogError(f"{path.relative_to(ROOT)}: {error}") from None
        if new != source:
            stale.append(path)
            if not options.check:
                path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(ROOT)} {'differs' if options.check else 'refreshed'}")
    sys.exit(1 if options.check and stale else 0)


def command_new(options):
    """Scaffold a folder."""
    from catalog import new

    print("\n".join(new.scaffold(options.slug)))


def command_book(options):
    """Build the site."""
    from catalog import book

    print(book.build(options.out))


def positive(kind):
    """A type for argparse: a finite number above zero."""

    def parse(text):
        value = kind(text)
        if not 0 < value < 10**9:
            raise ValueError
        return value

    parse.__name__ = "number above zero" if kind is float else "whole number above zero"
    return parse


def filled(text):
    """A type for argparse: a text that is not blank."""
    if not text.strip():
        raise argparse.ArgumentTypeError("needs a value")
    return text


def folder(text):
    """A type for argparse: a directory that is named."""
    return Path(filled(text))


def listed(text):
    """A type for argparse: names between commas, none of them blank."""
    return [filled(name).strip() for name in text.split(",")]


def build_parser():
    parser = argparse.ArgumentParser(
        prog="python3 -m catalog",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name, action, text, slugs=False):
        sub = commands.add_parser(name, help=text, description=action.__doc__, allow_abbrev=False)
        for each in (parser, sub):
            each.error = lambda message, each=each: each.exit(2, f"{each.prog}: {message}\n")
        sub.set_defaults(action=action)
        if slugs:
            sub.add_argument("slugs", nargs="*", metavar="SLUG", help="problems (default: all)")
        return sub

    add("list", command_list, "the problems: setting, verdict, seconds")
    run = add("run", command_run, "run a problem's script")
    run.add_argument("slug", metavar="SLUG")
    run.add_argument(
        "options",
        nargs=argparse.REMAINDER,
        metavar="...",
        help="options of the script, --help for a list",
    )
    measure = add("measure", command_measure, "every variant with every seed", slugs=True)

    def how(option, text, **kind):
        measure.add_argument(option, help=text, **kind)

    jobs = "processes at a time on this machine (default 1)"
    how("--jobs", jobs, type=positive(int), default=1, metavar="N")
    cluster = "a Dask scheduler to hand the runs to, such as tcp://host:8786"
    how("--scheduler", cluster, type=filled, metavar="ADDRESS")
    limit = "seconds a run may take (default: the card's)"
    how("--timeout", limit, type=positive(float), metavar="S")
    how("--seeds", "other seeds than the record's; needs --out", type=filled, metavar="A-B")
    how("--out", "where --seeds are recorded, as DIR/SLUG.json", type=folder, metavar="DIR")
    how("--retry", "run failed runs again", action="store_true")
    how("--again", "run everything again, also what is recorded", action="store_true")
    how("--variant", "only this variant", type=filled, metavar="NAME")
    how("--prune", "drop recorded runs that the card does not ask for", action="store_true")
    rebind = "bind the record to changed code whose metrics are the same to the bit, by running "
    rebind += "the cheapest seed of each variant again, or all of them"
    how("--rebind", rebind, nargs="?", const="cheapest", type=filled, metavar="all")
    how("--without", "metrics that --rebind drops", type=listed, metavar="A,B")
    before = "a checkout with the recorded code, which --rebind runs too and compares with: for a "
    before += "record of another machine"
    how("--before", before, type=folder, metavar="DIR")
    text = "the headline's seconds, three runs alone on the machine"
    timed = add("time", command_time, text, slugs=True)
    text = "instead: what answers the earlier catalog's question, where that is not the headline"
    timed.add_argument("--v1", help=text, action="store_true")
    check = add("check", command_check, "the claims, and whether they hold", slugs=True)
    check.add_argument(
        "--of",
        type=folder,
        metavar="DIR",
        help="judge the seeds that 'measure --seeds A-B --out DIR' recorded",
    )
    show = add("show", command_show, "every metric of every variant")
    show.add_argument("slug", metavar="SLUG")
    report = add("report", command_report, "regenerate every table and page")
    report.add_argument(
        "--check", action="store_true", help="only compare; exit status 1 when one is out of date"
    )
    add("figures", command_figures, "draw pictures and GIFs", slugs=True)
    sync = add("sync", command_sync, "refresh the copies of the idioms")
    sync.add_argument(
        "--check", action="store_true", help="only compare; exit status 1 when one differs"
    )
    new = add("new", command_new, "scaffold a problem's folder")
    new.add_argument("slug", metavar="SLUG", help="lower-case words joined by hyphens")
    book = add("book", command_book, "build the site")
    book.add_argument(
        "--out",
        type=Path,
        default=ROOT / "book",
        metavar="DIR",
        help="where to build it (default book)",
    )
    return parser


def interruptible():
    """Make SIGTERM and SIGHUP interrupt as Ctrl-C does, unless they are ignored, as under nohup."""

    def interrupt(number, frame):
        raise KeyboardInterrupt(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, interrupt)


def main(argv=None):
    options = build_parser().parse_args(argv)
    interruptible()
    try:
        options.action(options)
    except CatalogError as error:
        print(f"python3 -m catalog: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as interrupt:
        sys.exit(128 + (interrupt.args or [signal.SIGINT])[0])
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
