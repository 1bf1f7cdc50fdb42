"""The tools around the problems.

python3 -m catalog list                      the problems with setting, verdict and seconds
python3 -m catalog run nbb-xor --seed 3      the same as python3 nbb-xor/nbb_xor.py --seed 3
python3 -m catalog measure nbb-xor --jobs 2  every variant with every seed, into nbb-xor/results.json
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
    """Sweep; exit status 1 when a run failed."""
    from catalog import measure, worker

    if (options.seeds is None) != (options.out is None):
        raise CatalogError(
            "--seeds and --out go together: other seeds never touch the committed record"
        )
    seeds = measure.seed_range(options.seeds) if options.seeds else None
    try:
        how = {
            name: getattr(options, name)
            for name in ("jobs", "scheduler", "timeout", "out", "retry", "again")
        }
        failed = measure.measure(
            problems.select(options.slugs), seeds=seeds, only=options.variant, **how
        )
    except KeyboardInterrupt:
        for process in list(worker.RUNNING):
            worker.end(process)
        print(
            "\nstopped; finished runs are recorded, and the same command goes on from there",
            file=sys.stderr,
        )
        sys.exit(130)
    sys.exit(1 if failed else 0)


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
    measure.add_argument(
        "--jobs",
        type=positive(int),
        default=1,
        metavar="N",
        help="processes at a time on this machine (default 1)",
    )
    measure.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a Dask scheduler to hand the runs to, such as tcp://host:8786",
    )
    measure.add_argument(
        "--timeout",
        type=positive(float),
        metavar="S",
        help="seconds a run may take (default: the card's)",
    )
    measure.add_argument(
        "--seeds", metavar="A-B", help="other seeds than the record's; needs --out"
    )
    measure.add_argument(
        "--out", type=Path, metavar="DIR", help="where --seeds are recorded, as DIR/SLUG.json"
    )
    measure.add_argument("--retry", action="store_true", help="run failed runs again")
    measure.add_argument(
        "--again", action="store_true", help="run everything again, also what is recorded"
    )
    measure.add_argument("--variant", metavar="NAME", help="only this variant")
    check = add("check", command_check, "the claims, and whether they hold", slugs=True)
    check.add_argument(
        "--of",
        type=Path,
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


def main(argv=None):
    options = build_parser().parse_args(argv)
    try:
        options.action(options)
    except CatalogError as error:
        print(f"python3 -m catalog: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
