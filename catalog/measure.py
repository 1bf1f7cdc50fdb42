"""Sweeps: every variant with every seed, one process a run, recorded as it finishes."""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from catalog import ROOT, CatalogError, records, verdicts, worker


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
        words += (
            [f"--{'' if value else 'no-'}{option}"]
            if isinstance(value, bool)
            else [f"--{option}", str(value)]
        )
    return words


def missing_runs(problem, runs, seeds, retry, again=False, only=None):
    """The (variant, seed) pairs that no current record covers; with again all of them, with only those of one variant."""
    pairs = []
    for variant in problem.variants.values():
        if only and variant.name != only:
            continue
        if not variant.script.is_file():
            raise CatalogError(f"{problem.slug}: there is no {variant.script.name}")
        done = verdicts.runs_of(problem, runs, variant.name, seeds)
        wanted = range(variant.seeds) if seeds is None else seeds
        pairs += [
            (variant, seed)
            for seed in wanted
            if again or seed not in done or (retry and "error" in done[seed])
        ]
    return pairs


def measure(
    problems,
    jobs=1,
    scheduler=None,
    timeout=None,
    seeds=None,
    out=None,
    retry=False,
    again=False,
    only=None,
):
    """Run what is missing of every problem and record it; returns the number of runs that failed."""
    plan = []
    for problem in problems:
        path = records.path_of(problem, out)
        runs = records.read(path)
        if only and only not in problem.variants:
            raise CatalogError(
                f"{problem.slug} has no variant {only!r}; it has {', '.join(problem.variants)}"
            )
        pairs = missing_runs(problem, runs, seeds, retry, again, only)
        plan += [(problem, variant, seed) for variant, seed in pairs]
        if not pairs and runs:
            _save(path, problem, runs, seeds)
    if not plan:
        print("nothing to do: every run is recorded under the present code")
        return 0
    failures = 0
    with (
        _pool(jobs, scheduler) as submit,
        tqdm(total=len(plan), unit="run", dynamic_ncols=True, smoothing=0) as bar,
    ):
        codes = {variant.script: records.fingerprint(variant.script) for _, variant, _ in plan}
        futures = {
            submit(p, variant, seed, timeout or p.timeout): (p, variant, seed)
            for p, variant, seed in plan
        }
        for future in as_completed(futures):
            problem, variant, seed = futures[future]
            try:
                result = future.result()
            except Exception as error:  # a worker that died: whatever the executor raises for it
                result = {"error": f"worker lost: {type(error).__name__}", "calibration": None}
            failures += "error" in result
            key = {
                "variant": variant.name,
                "seed": seed,
                "fingerprint": codes[variant.script],
                "overrides": variant.overrides,
            }
            path = records.path_of(problem, out)
            others = [
                run
                for run in records.read(path)
                if (run["variant"], run["seed"]) != (variant.name, seed)
            ]
            result.pop("problem", None)
            _save(path, problem, [*others, {**key, **result}], seeds)
            state = result.get("error") or f"{result['seconds']:.1f} s"
            bar.set_description(f"{problem.slug} {variant.name} seed {seed}: {state}"[:70])
            bar.update()
            if "error" in result:
                tqdm.write(
                    f"{problem.slug} {variant.name} seed {seed}: {result['error']}", file=sys.stderr
                )
    return failures


def _save(path, problem, runs, seeds):
    """Write a record with its summary; a sample of other seeds has none. Runs of variants that are gone are dropped."""
    runs = [run for run in runs if run["variant"] in problem.variants]
    if seeds is None:
        runs = [run for run in runs if run["seed"] < problem.variants[run["variant"]].seeds]
    records.write(path, problem, runs, verdicts.summarise(problem, runs) if seeds is None else {})


@contextmanager
def _pool(jobs, scheduler):
    """A function submit(problem, variant, seed, timeout) -> future, served by processes here or by a Dask cluster."""
    if scheduler:
        with _dask(scheduler) as submit:
            yield submit
        return
    environment = {"MNIST_DIR": os.environ.get("MNIST_DIR") or str(ROOT / "data" / "mnist")}
    worker.calibration()
    with ThreadPoolExecutor(jobs) as pool:

        def submit(problem, variant, seed, timeout):
            return pool.submit(
                worker.measured,
                variant.script,
                arguments(variant, seed),
                timeout,
                None,
                environment,
            )

        try:
            yield submit
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(worker.RUNNING):
                worker.end(process)
            raise


@contextmanager
def _dask(address):
    """submit on a Dask cluster; the script travels with the run, so workers need numpy and no copy of this repository."""
    try:
        import cloudpickle
        from distributed import Client
    except ModuleNotFoundError:
        raise CatalogError(
            "--scheduler needs Dask: pip install 'schmidhuber-problems[cluster]'"
        ) from None
    cloudpickle.register_pickle_by_value(worker)
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError, TimeoutError) as error:
        raise CatalogError(f"no Dask scheduler at {address}: {error}") from None
    with client, client.get_executor(pure=False, retries=0) as pool:

        def submit(problem, variant, seed, timeout):
            files = {
                path.name: path.read_text(encoding="utf-8")
                for path in Path(variant.script).parent.glob("*.py")
            }
            return pool.submit(
                worker.measured, variant.script.name, arguments(variant, seed), timeout, files
            )

        yield submit
