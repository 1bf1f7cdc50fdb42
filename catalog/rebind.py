"""Keep a record across a refactoring: run seeds of each variant again and compare to the bit."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from catalog import CatalogError, data, measure, records, worker


def rebind(
    chosen,
    jobs=1,
    scheduler=None,
    timeout=None,
    only=None,
    every=False,
    without=(),
    before=None,
):
    """Bind recorded runs to the present code where it gives the same; returns how many runs differ.

    Of each variant the cheapest recorded seed is run again, with every all of them; where all of
    these agree, the variant's runs get the present fingerprint. without names metrics to drop.
    before is a checkout with the recorded code, for a record of another machine, whose last digits
    differ: each seed is run under both codes here, and the recorded metrics stay.
    """
    with TemporaryDirectory() as directory:
        plan, groups, names = [], {}, set()
        for problem in chosen:
            path = records.path_of(problem)
            runs = records.read(path)
            problem = measure.frozen(problem, directory)
            for variant in measure.variants_of(problem, only):
                old = sorted(outdated(problem, runs, variant), key=records.processor_seconds)
                names |= {name for run in old for name in run["metrics"]}
                again = old if every else old[:1]
                if before and old:
                    script_before(before, problem, variant, old)
                plan += [measure.Task(problem, variant, run["seed"], path) for run in again]
                groups[problem.slug, variant.name] = old, len(again), []
        if not plan:
            print("nothing to do: no run is recorded under other code")
            return 0
        for name in without:
            if name not in names:
                raise CatalogError(f"--without: these records have no metric {name!r}")

        def keep(task, run):
            """Compare a run with the recorded one; bind its variant when the last one agrees."""
            old, wanted, done = groups[task.problem.slug, task.variant.name]
            known = old if before is None else [run_before(before, task, old, timeout)]
            new_ones_fit = before is None and (every or len(old) == 1)
            wrong = run.get("error") or known[0].get("error")
            if wrong := wrong or difference(known, run, without, new_ones_fit):
                return f"not rebound: {wrong}"
            done.append(run)
            if len(done) == wanted:
                _bind(task, old, done, without, before)
            return None

        return measure.sweep(plan, keep, jobs, scheduler, timeout)


def outdated(problem, runs, variant):
    """The variant's good runs under other code. Raises CatalogError where that is several codes."""
    code = records.fingerprint(variant.script)
    found = [
        run
        for run in runs
        if (run["variant"], run["overrides"]) == (variant.name, variant.overrides)
        and run["seed"] < variant.seeds
        and run["fingerprint"] != code
        and "error" not in run
    ]
    if len({run["fingerprint"] for run in found}) > 1:
        text = "was recorded under several codes, none of them the present one; measure it"
        raise CatalogError(f"{problem.slug}: variant {variant.name} {text}")
    return found


def script_before(before, problem, variant, old):
    """The script in a checkout that the record belongs to. Raises CatalogError where it is not."""
    script = Path(before, problem.slug, variant.script.name)
    if records.fingerprint(script) != old[0]["fingerprint"]:
        raise CatalogError(f"{script} is not the code that {variant.name} was recorded under")
    return script


def run_before(before, task, old, timeout):
    """A task's run under the recorded code, with the recorded options."""
    script = script_before(before, task.problem, task.variant, old)
    words = measure.arguments(task.variant, task.seed)
    limit = timeout or task.problem.timeout
    run = worker.measured(script, words, limit, None, data.environment())
    recorded = next(other for other in old if other["seed"] == task.seed)
    error = run.get("error") or run.get("undone")
    return {"error": error} if error else {**recorded, "metrics": run["metrics"]}


def difference(old, run, without, new_ones_fit):
    """The first thing in which a run is not what is known of its seed; None if there is none.

    A metric that only this run has would leave the variant's other seeds without it.
    """
    recorded = next(other for other in old if other["seed"] == run["seed"])
    kept = {name: value for name, value in recorded["metrics"].items() if name not in without}
    for kind, before in (("option", recorded["config"]), ("metric", kept)):
        now = run["config" if kind == "option" else "metrics"]
        for name, value in before.items():
            if name not in now:
                hint = f" (--without {name} drops it)" if kind == "metric" else ""
                return f"{kind} {name} is gone{hint}"
            if json.dumps(now[name]) != json.dumps(value):  # 1, 1.0 and true differ too
                return f"{kind} {name} was {value!r}, is {now[name]!r}"
    added = [name for name in run["metrics"] if name not in kept]
    if added and not new_ones_fit:
        return f"the other seeds would lack metric {added[0]}; --rebind all runs them too"
    return None


def _bind(task, old, done, without, before):
    """Put the new runs into the record, and the new fingerprint and options into the others.

    With code from before to compare with, the recorded metrics stay.
    """
    fresh = {run["seed"]: run for run in done}
    code, options = done[0]["fingerprint"], done[0]["config"]
    bound = []
    for run in old:
        metrics = {name: v for name, v in run["metrics"].items() if name not in without}
        config = {**options, "seed": run["seed"]}
        moved = {**run, "fingerprint": code, "config": config, "metrics": metrics}
        bound.append(moved if before else fresh.get(run["seed"], moved))
    today = datetime.date.today().isoformat()
    entry = {"seeds": sorted(fresh), "date": today, "from": old[0]["fingerprint"], "to": code}
    if before:
        entry["compared"] = "with the code before, on one machine"
    measure.save(task.path, task.problem, bound, rebound={task.variant.name: entry})
