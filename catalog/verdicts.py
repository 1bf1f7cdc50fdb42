"""From records to verdicts: every claim with its statistic, its interval, and whether it holds."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

from catalog import records
from catalog.intervals import mean, mean_interval, median, median_interval, wilson
from catalog.problems import Claim

COMPARE = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Outcome:
    """What a claim came to: its value with a 95 % interval (or range), or why there is none.

    n: the current runs of its variant. Worst and best come with the range over seeds; a
    deterministic value has no interval (low and high are the value).
    """

    claim: Claim
    holds: bool
    n: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None
    trouble: str = ""

    @property
    def judged(self):
        """False where a sample holds no run of the variant: the claim neither holds nor fails."""
        return self.trouble != NOT_MEASURED

    @property
    def looser(self):
        """Whether a bound that we demand is looser than the published number."""
        published = self.claim.published
        if published is None:
            return False
        return any(
            bound > published if "<" in sign else bound < published
            for sign, bound in self.claim.bounds
            if sign != "="
        )

    @property
    def at_published(self):
        """Whether the claim holds at the published number itself; None where there is no number.

        It does where the value meets the number in the direction of the bound, or where the 95 %
        interval contains it; the range of worst and best is no such interval. Two bounds have no
        common direction.
        """
        published = self.claim.published
        if published is None:
            return None
        if self.value is None:
            return False
        directions = {sign[0] for sign, _ in self.claim.bounds}
        compare = {"<": operator.le, ">": operator.ge, "=": operator.eq}
        if len(directions) == 1 and compare[directions.pop()](self.value, published):
            return True
        return self.claim.statistic not in ("worst", "best") and self.low <= published <= self.high

    @property
    def ratio(self):
        """Ours / published; None where one is missing or the two are not both above zero."""
        published = self.claim.published
        if published is None or self.value is None or published <= 0 or self.value <= 0:
            return None
        return self.value / published


def runs_of(problem, runs, variant, seeds=None):
    """The current runs of a variant by seed: of the present code, its overrides and its seeds."""
    variant = problem.variants[variant]
    code = records.fingerprint(variant.script)
    wanted = range(variant.seeds) if seeds is None else seeds
    return {
        run["seed"]: run
        for run in runs
        if run["variant"] == variant.name
        and run["seed"] in wanted
        and records.is_current(run, variant, code)
    }


def outcome(problem, claim, runs, seeds=None):
    """The Outcome of one claim; every wanted seed must be there, have ended well, have the metric.

    seeds: the wanted ones, by default all of the variant.
    """
    wanted = list(range(problem.variants[claim.variant].seeds) if seeds is None else seeds)
    found = runs_of(problem, runs, claim.variant, wanted)
    columns, trouble = columns_of(claim, wanted, found)
    trouble = trouble or unfit(claim, columns)
    if not trouble:
        value, low, high = statistic(claim, columns)
        if not all(map(math.isfinite, (value, low, high))):
            trouble = f"the {claim.statistic} is too large a number"
    if trouble:
        return Outcome(claim, False, len(found), trouble=trouble)
    holds = all(COMPARE[sign](value, bound) for sign, bound in claim.bounds)
    return Outcome(claim, holds, len(wanted), value, low, high)


def columns_of(claim, wanted, found):
    """(one list of values over the wanted seeds for each metric of a claim, why that is not so)."""
    missing = sum(seed not in found for seed in wanted)
    failed = sum("error" in run for run in found.values())
    parts = [f"{missing} not measured under the present code"] * bool(missing)
    parts += [f"{failed} failed"] * bool(failed)
    if parts:
        return [], f"of {len(wanted)} runs {', '.join(parts)}"
    columns = []
    for name in claim.metric.split(" / "):
        if any(name not in run["metrics"] for run in found.values()):
            return [], f"no metric {name!r} in the record"
        values = [found[seed]["metrics"][name] for seed in wanted]
        if None in values:
            return [], f"metric {name!r} does not apply for seed {wanted[values.index(None)]}"
        columns.append([float(value) for value in values])
    return columns, ""


def unfit(claim, columns):
    """Why the values do not allow a claim's statistic; an empty text where they do."""
    values, others = columns[0] if columns else [], columns[-1] if columns else []
    if claim.deterministic and any(len(set(column)) > 1 for column in columns):
        return f"declared deterministic, but {claim.metric} differs between seeds"
    if claim.statistic == "fraction" and not set(values) <= {0.0, 1.0}:
        return "a fraction needs 0 or 1 of every seed"
    if claim.statistic == "ratio of medians" and (0 in others or median(others) == 0):
        return "a division by zero"
    if claim.statistic == "pooled share":
        pairs = list(zip(values, others, strict=True))
        counts = all(v.is_integer() and n.is_integer() and 0 <= v <= n for v, n in pairs)
        if not counts or sum(others) == 0:
            return "a pooled share needs whole numbers, successes of at least as many trials"
    return ""


def statistic(claim, columns):
    """Value, low and high end of a claim's statistic; columns: one list over seeds a metric.

    Infinite where a float cannot hold them.
    """
    try:
        value, low, high = _statistic(claim, columns)
    except OverflowError:
        return math.inf, math.inf, math.inf
    return (value, value, value) if claim.deterministic else (value, low, high)


def _statistic(claim, columns):
    values = columns[0]
    if claim.statistic == "fraction":
        return mean(values), *wilson(sum(values), len(values))
    if claim.statistic == "pooled share":
        successes, trials = map(sum, columns)
        return successes / trials, *wilson(successes, trials)
    if claim.statistic == "mean":
        return mean(values), *mean_interval(values, is_cost(claim, values))
    if claim.statistic == "median":
        return median(values), *median_interval(values)
    if claim.statistic == "ratio of medians":
        ratios = [a / b for a, b in zip(*columns, strict=True)]
        return median(columns[0]) / median(columns[1]), *median_interval(ratios)
    sign, bound = claim.bounds[0]
    badness = {"<": lambda v: v, ">": lambda v: -v, "=": lambda v: abs(v - bound)}[sign[0]]
    pick = max if claim.statistic == "worst" else min
    return pick(values, key=badness), min(values), max(values)


def is_cost(claim, values):
    """Whether a claim is about a count (whole numbers) or a time or error (bounded from above).

    Such a quantity is never below zero; what must be large may be a gap, which can be.
    """
    return "<" in claim.bounds[0][0] or all(value.is_integer() for value in values)


def outcomes(problem, runs, sample=False):
    """The Outcome of every claim, in the card's order.

    sample: judge the seeds that the runs hold of each variant, not those that the card asks for; a
    claim on a variant without a current run is not measured.
    """
    if not sample:
        return [outcome(problem, claim, runs) for claim in problem.claims]
    results = []
    for claim in problem.claims:
        seeds = sorted(run["seed"] for run in runs if run["variant"] == claim.variant)
        held = runs_of(problem, runs, claim.variant, seeds)
        none = Outcome(claim, False, trouble=NOT_MEASURED)
        results.append(outcome(problem, claim, runs, seeds) if held else none)
    return results


def verdict(results):
    """The verdict over the paper's claims; controls and the earlier catalog's do not count.

    reproduced: all hold; partial: the main one holds, others do not all; not reproduced: the main
    one does not; not measured: there is no current run to judge the main claim by. Claims that a
    sample leaves out do not count.
    """
    paper = [result for result in results if result.claim.source == "paper" and result.judged]
    main = [result for result in paper if result.claim.main]
    if not main or not main[0].n:
        return NOT_MEASURED
    if all(result.holds for result in paper):
        return "reproduced"
    return "partial" if main[0].holds else "not reproduced"


def tally(results):
    """Counts over the judged outcomes.

    The paper's claims and those that hold; the same of controls; the paper's claims with a
    published number and those that hold at that number.
    """
    judged = [result for result in results if result.judged]
    paper = [result for result in judged if result.claim.source == "paper"]
    controls = [result for result in judged if result.claim.source == "control"]
    numbers = [result for result in paper if result.claim.published is not None]
    return {
        "holds": sum(result.holds for result in paper),
        "claims": len(paper),
        "controls_hold": sum(result.holds for result in controls),
        "controls": len(controls),
        "at_published": sum(result.at_published for result in numbers),
        "with_published": len(numbers),
    }


def summarise(problem, runs):
    """What results.json keeps of the outcomes: verdict, v1 (met, not met, none) and the tally."""
    results = outcomes(problem, runs)
    old = [result for result in results if result.claim.source == "v1"]
    met = "none" if not old else "met" if all(result.holds for result in old) else "not met"
    return {"verdict": verdict(results), "v1": met, **tally(results)}
