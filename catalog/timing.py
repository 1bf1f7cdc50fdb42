"""The time of a headline, or of the earlier catalog's question, alone on the machine: three runs
between runs of the numpy kernel."""

from __future__ import annotations

import datetime
import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from catalog import CatalogError, data, measure, records, worker

RUNS, TRIES = 3, 6  # a disturbed run is done again, so often in all
TOLERANCE = 1.25  # between neighbouring kernels; of waiting over computing
OTHERS = 0.15  # share of the machine that other work may hold


def time_headlines(chosen, kind="time"):
    """Time the problems one after another and record it; returns a line for each that failed.

    kind: "time" for the headline, "time_v1" for what the earlier catalog's claims name.
    """
    wrong = []
    chosen = [problem for problem in chosen if records.timed_variants(problem, kind)]
    with tqdm(total=RUNS * len(chosen), unit="run", dynamic_ncols=True) as bar:
        for problem in chosen:
            bar.set_description(problem.slug)
            try:
                found = timed(problem, bar.update, kind)
            except CatalogError as error:
                wrong.append(f"{problem.slug}: not timed: {error}")
                continue
            path = records.path_of(problem)
            with records.locked(path):
                runs, summary = records.read(path), records.summary(problem)
                records.write(path, problem, runs, summary, **{kind: found})
            tqdm.write(f"{problem.slug}: {found['median']:.2f} s, at best {found['seconds']:.2f} s")
    return wrong


def timed(problem, tick=lambda: None, kind="time"):
    """What a record keeps under kind. Raises CatalogError where a run fails or stays disturbed.

    Its kernel holds two numbers a run, before and after it.
    """
    with TemporaryDirectory() as directory:
        copy = measure.frozen(problem, directory)
        environment = data.environment()
        code = records.timed_code(copy, kind)
        before, start = others(), time.perf_counter()
        kernel, machine = worker.probe()
        reason = disturbance(before, others(), time.perf_counter() - start)
        kernels, seconds = [], []
        for _ in range(0 if reason else TRIES):
            before, start = others(), time.perf_counter()
            run = run_all(copy, kind, environment)
            around = [kernel, worker.probe()[0]]
            reason = disturbance(before, others(), time.perf_counter() - start, run, around)
            kernel = around[1]
            if reason is None:
                kernels += around
                seconds.append(run["seconds"])
                tick()
            if len(seconds) == RUNS:
                break
        else:
            raise CatalogError(reason or "too many runs were disturbed")
    result = {"seconds": min(seconds), "median": statistics.median(seconds), "runs": seconds}
    result |= {"kernel": kernels, "fingerprint": code, "machine": machine}
    return {**result, "date": datetime.date.today().isoformat()}


def run_all(problem, kind, environment):
    """Seconds and processor seconds of seed 0 of the timed variants, one after another."""
    total = {"seconds": 0.0, "cpu_seconds": 0.0}
    for variant in records.timed_variants(problem, kind):
        words = [] if variant == problem.headline else measure.arguments(variant, 0)
        run = worker.run_once(variant.script, words, problem.timeout, environment=environment)
        if wrong := run.get("error") or run.get("undone"):
            raise CatalogError(wrong)
        total = {name: value + run[name] for name, value in total.items()}
    return total


def others():
    """Processor seconds that the machine has given to other work; None where it does not say."""
    try:
        fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[1:9])
    busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return busy - sum(os.times()[:4])


def disturbance(before, after, elapsed, run=None, kernels=()):
    """Why a time is not to be trusted; None if it is.

    before, after: others() on either side of the seconds elapsed; kernels: the seconds of the
    kernel before and after the run.
    """
    if before is not None:
        share = (after - before) / elapsed / os.cpu_count()
        if share > OTHERS:
            return f"other work holds {share:.0%} of the machine"
    if kernels and max(kernels) > TOLERANCE * min(kernels):
        return f"a fixed kernel took {kernels[0]} s before the run and {kernels[1]} s after it"
    if run and run["seconds"] > TOLERANCE * run["cpu_seconds"] + 0.1:
        return f"a run waited: {run['cpu_seconds']} s of processor time in {run['seconds']} s"
    return None
