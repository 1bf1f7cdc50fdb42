"""From records to verdicts: every claim with its statistic, its interval, and whether it holds."""

from __future__ import annotations

import operator
from dataclasses import dataclass

from catalog import records
from catalog.intervals import mean, median, median_interval, t_interval, wilson
from catalog.problems import Claim

COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq}


@dataclass(frozen=True)
class Outcome:
    """What a claim came to: its value with a 95 % interval (or range) over n seeds, or why there is none."""

    claim: Claim
    holds: bool
    n: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None
    trouble: str = ""


def runs_of(problem, runs, variant, seeds=None):
    """The current runs of a variant by seed, without those of other code, other overrides or other seeds."""
    variant = problem.variants[variant]
    code = records.fingerprint(variant.script)
    wanted = range(variant.seeds) if seeds is None else seeds
    return {
        run["seed"]: run
        for run in runs
        if run["variant"] == variant.name and run["seed"] in wanted and records.is_current(run, variant, code)
    }


def outcome(problem, claim, runs, seeds=None):
    """The Outcome of one claim; every wanted seed must be there, must have ended well and must have the metric."""
    wanted = list(range(problem.variants[claim.variant].seeds) if seeds is None else seeds)
    found = runs_of(problem, runs, claim.variant, seeds)
    missing = [seed for seed in wanted if seed not in found]
    failed = [seed for seed in found if "error" in found[seed]]
    if missing or failed:
        parts = [f"{len(missing)} not measured under the present code"] * bool(missing) + [f"{len(failed)} failed"] * bool(failed)
        return Outcome(claim, False, trouble=f"of {len(wanted)} runs {', '.join(parts)}")
    columns = []
    for name in claim.metric.split(" / "):
        if any(name not in run["metrics"] for run in found.values()):
            return Outcome(claim, False, trouble=f"no metric {name!r} in the record")
        columns.append([float(found[seed]["metrics"][name]) for seed in wanted])
    value, low, high = statistic(claim, columns)
    return Outcome(claim, all(COMPARE[op](value, bound) for op, bound in claim.bounds), len(wanted), value, low, high)


def statistic(claim, columns):
    """Value, low and high end of a claim's statistic; columns holds one list of values over seeds a metric."""
    values = columns[0]
    if claim.statistic == "fraction":
        return mean(values), *wilson(sum(values), len(values))
    if claim.statistic == "mean":
        low, high = t_interval(values)
        if all(0 <= value <= 1 for value in values):  # shares: the interval of their mean ends where they do
            low, high = max(low, 0.0), min(high, 1.0)
        return mean(values), low, high
    if claim.statistic == "median":
        return median(values), *median_interval(values)
    if claim.statistic == "ratio of medians":
        ratios = [a / b for a, b in zip(*columns, strict=True)]
        return median(columns[0]) / median(columns[1]), *median_interval(ratios)
    op, bound = claim.bounds[0]
    badness = {"<": lambda v: v, ">": lambda v: -v, "=": lambda v: abs(v - bound)}[op[0]]
    pick = max if claim.statistic == "worst" else min
    return pick(values, key=badness), min(values), max(values)


def outcomes(problem, runs, seeds=None):
    """The Outcome of every claim, in the card's order."""
    return [outcome(problem, claim, runs, seeds) for claim in problem.claims]


def verdict(results):
    """reproduced, partial or not reproduced, from the outcomes of the paper's claims."""
    paper = [result for result in results if result.claim.source == "paper"]
    if all(result.holds for result in paper):
        return "reproduced"
    return "partial" if any(result.holds for result in paper if result.claim.main) else "not reproduced"


def summarise(problem, runs):
    """What results.json keeps of the outcomes: verdict, v1 (met, not met, none), claims that hold and all, median seconds."""
    results = outcomes(problem, runs)
    paper = [result for result in results if result.claim.source == "paper"]
    old = [result for result in results if result.claim.source == "v1"]
    headline = [
        records.processor_seconds(run) for run in runs_of(problem, runs, problem.headline.name).values() if "error" not in run
    ]
    return {
        "verdict": verdict(results),
        "v1": "none" if not old else "met" if all(result.holds for result in old) else "not met",
        "holds": sum(result.holds for result in paper),
        "claims": len(paper),
        "seconds": round(median(headline), 2) if headline else None,
    }
