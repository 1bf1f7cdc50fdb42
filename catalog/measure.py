"""Sweeps: every variant with every seed, one process a run, recorded as it finishes."""

from __future__ import annotations

import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from catalog import CatalogError, data, problems, records, verdicts, worker


@dataclass(frozen=True)
class Task:
    """A run to do: a variant with a seed, from a copy of the problem's scripts."""

    problem: problems.Problem
    variant: problems.Variant
    seed: int
    path: Path  # of the record

    def __str__(self):
        return f"{self.problem.slug} {self.variant.name} seed {self.seed}"

    def recorded(self, result):
        """The run as it stands in the record; undone where it ran with another configuration."""
        if "config" in result:
            wrong = records.disobeyed(result["config"], self.variant, self.seed)
            if wrong:
                return {"undone": wrong}
        key = {"variant": self.variant.name, "seed": self.seed}
        key |= {"fingerprint": records.fingerprint(self.variant.script)}
        key |= {"overrides": self.variant.overrides}
        return {**key, **{name: value for name, value in result.items() if name != "problem"}}


def seed_range(text):
    """The seeds that '5' or '100-104' names. Raises CatalogError for anything else."""
    match = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not first <= last < 2**32 or last - first >= 100_000:
        raise CatalogError(f"--seeds takes a seed or a range such as 100-104, got {text!r}")
    return range(first, last + 1)


def arguments(variant, seed):
    """A run's options on the command line."""
    words = ["--seed", str(seed)]
    for name, value in variant.overrides.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", str(value)]
    return words


def frozen(problem, directory):
    """The problem with a copy of what its scripts are and read: no edit slips into a sweep."""
    folder = Path(directory) / problem.slug
    folder.mkdir()
    for path in data.own_files(problem.folder):
        shutil.copy(path, folder)
    variants = problem.variants.items()
    variants = {name: replace(v, script=folder / v.script.name) for name, v in variants}
    return replace(problem, folder=folder, variants=variants)


def variants_of(problem, only=None):
    """The variants of a problem, or the one that is named; each must have its script."""
    if only is not None and only not in problem.variants:
        names = ", ".join(problem.variants)
        raise CatalogError(f"{problem.slug} has no variant {only!r}; it has {names}")
    chosen = [v for v in problem.variants.values() if only is None or v.name == only]
    for variant in chosen:
        if not variant.script.is_file():
            raise CatalogError(f"{problem.slug}: there is no {variant.script.name}")
    return chosen


def missing_runs(problem, runs, seeds=None, retry=False, again=False, only=None):
    """The (variant, seed) pairs that no current record covers; with again all of them."""
    pairs = []
    for variant in variants_of(problem, only):
        done = verdicts.runs_of(problem, runs, variant.name, seeds)
        for seed in range(variant.seeds) if seeds is None else seeds:
            if again or seed not in done or (retry and "error" in done[seed]):
                pairs.append((variant, seed))
    return pairs


def unasked(problem, runs, seeds=None):
    """The recorded runs that the card does not ask for; a sample may have any seed."""
    known = problem.variants
    return [
        run
        for run in runs
        if run["variant"] not in known
        or (seeds is None and run["seed"] >= known[run["variant"]].seeds)
    ]


def measure(
    chosen,
    jobs=1,
    scheduler=None,
    timeout=None,
    seeds=None,
    out=None,
    retry=False,
    again=False,
    only=None,
    prune=False,
):
    """Run what is missing and record it; returns how many runs failed or are undone."""
    with TemporaryDirectory() as directory:
        plan = []
        for problem in chosen:
            path = records.path_of(problem, out)
            problem = frozen(problem, directory)
            runs = records.read(path)
            pairs = missing_runs(problem, runs, seeds, retry, again, only)
            plan += [Task(problem, variant, seed, path) for variant, seed in pairs]
            odd = unasked(problem, runs, seeds)
            if odd:
                names = ", ".join(sorted({run["variant"] for run in odd}))
                what = f"recorded runs that the card does not ask for: {len(odd)} of {names}"
                then = "dropped" if prune else "they stay; --prune drops them"
                print(f"{problem.slug}: {what}; {then}")
            if prune and odd or runs and not pairs:
                save(path, problem, [], seeds, prune)
        if not plan:
            print("nothing to do: every run is recorded under the present code")
            return 0

        def keep(task, run):
            save(task.path, task.problem, [run], seeds)
            return run.get("error")

        return sweep(plan, keep, jobs, scheduler, timeout)


def save(path, problem, new, seeds=None, prune=False, **extra):
    """Put runs in the place of those with their variant and seed; bring the summary up to date.

    A sample of other seeds has no summary. extra goes into the record under its names.
    """
    keys = {(run["variant"], run["seed"]) for run in new}
    with records.locked(path):
        runs = [run for run in records.read(path) if (run["variant"], run["seed"]) not in keys]
        runs += new
        if prune:
            odd = unasked(problem, runs, seeds)
            runs = [run for run in runs if run not in odd]
        summary = verdicts.summarise(problem, runs) if seeds is None else {}
        records.write(path, problem, runs, summary, **extra)


def sweep(plan, keep, jobs=1, scheduler=None, timeout=None):
    """Run the tasks, hand keep(task, run) each run that is done; returns how many were not good.

    keep returns what is wrong with a run, or None. A run that is undone is named, and not kept.
    """
    bad = 0
    width = {"dynamic_ncols": True, "smoothing": 0}
    with _pool(jobs, scheduler) as submit, tqdm(total=len(plan), unit="run", **width) as bar:
        futures = {}
        for task in plan:
            words = arguments(task.variant, task.seed)
            limit = timeout or task.problem.timeout
            futures[submit(task.problem, task.variant.script, words, limit)] = task
        for future in as_completed(futures):
            task = futures[future]
            try:
                run = task.recorded(future.result())
            except Exception as error:  # a worker or a scheduler that is gone, a full disk, …
                run = {"undone": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
            wrong = f"not done: {run['undone']}" if "undone" in run else keep(task, run)
            bar.set_description(f"{task}: {wrong or format(run['seconds'], '.1f') + ' s'}"[:70])
            bar.update()
            if wrong:
                bad += 1
                tqdm.write(f"{task}: {wrong}", file=sys.stderr)
    return bad


@contextmanager
def _pool(jobs, scheduler):
    """A function submit(problem, script, arguments, timeout) -> future, by processes or by Dask."""
    if scheduler is not None:
        from catalog import cluster

        with cluster.pool(scheduler, data.environment()) as submit:
            yield submit
        return
    environment = data.environment()
    try:
        worker.KNOWN[:] = worker.probe()
    except RuntimeError as error:
        raise CatalogError(f"numpy does not run here: {error}") from None
    with ThreadPoolExecutor(jobs) as pool:

        def submit(problem, script, arguments, timeout):
            return pool.submit(worker.measured, script, arguments, timeout, None, environment)

        try:
            yield submit
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            worker.stop()
            raise
