"""The comparison with the earlier public catalog: headlines, seconds, and how many times faster."""

from __future__ import annotations

import math
from statistics import median

from catalog import report
from catalog.escape import markdown
from catalog.tables import NONE, answer, bound, measured, name, table, two_digits

INTRODUCTION = """# Beside the earlier catalog

The earlier public catalog of the same problems (cybertronai/schmidhuber-problems, called v1 here)
reports a headline for each. Where its question differs from the paper's, a variant of ours asks it
again. Its seconds: one run of the command that it names, on a machine of two cores of the kind on
which most of ours were taken. Ours: the run that answers the question, alone on its machine, the
fastest of three; where it was not timed, the processor seconds of recorded runs. A run of ours
often holds many nets or searches; no credit is taken for that.
"""


def page(sheets):
    """The whole page as Markdown."""
    shared = [sheet for sheet in sheets if sheet.old]
    apart = [sheet for sheet in sheets if not sheet.old and sheet.problem.v1]
    met = [sheet for sheet in shared if all(result.holds for result in sheet.old)]
    text = f"{INTRODUCTION}\nIts number is met or beaten in {len(met)} of the {len(shared)} "
    text += f"problems that share a question. {mean_ratio(shared)}\n\n{report.machines(sheets)}"
    text += "\n## Its question, asked of both\n\n" + shared_table(shared)
    if apart:
        text += "\n## Where its number means nothing here\n\nIts task is a stand-in of its own, "
        text += "and ours stands closer to the paper's. The seconds are of different tasks.\n\n"
        text += apart_table(apart)
    return text


def mean_ratio(sheets):
    """Over all problems with both times, how many times faster ours are, in words."""
    found = [r for r in map(times_faster, sheets) if r]
    if not found:
        return "No problem has both times yet."
    mean = math.exp(sum(map(math.log, found)) / len(found))
    faster = sum(r >= 1 for r in found)
    return (
        f"Ours is faster in {faster} of {len(found)}; the geometric mean of its seconds over ours "
        f"is {two_digits(mean)}, the median {two_digits(median(found))}."
    )


def seconds(sheet):
    """Seconds in which ours answers the earlier catalog's question; None where not measured."""
    if sheet.time_v1:
        return sheet.time_v1["seconds"]
    variants = dict.fromkeys(result.claim.variant for result in sheet.old)
    if sheet.time and list(variants) == [sheet.problem.headline.name]:
        return sheet.time["seconds"]
    taken = [
        [run["cpu_seconds"] for run in sheet.current(variant) if "cpu_seconds" in run]
        for variant in variants
    ]
    return sum(map(median, taken)) if all(taken) else None


def times_faster(sheet):
    """The earlier catalog's seconds over ours, None where one of them is not known."""
    theirs, ours = sheet.problem.v1.get("rerun"), seconds(sheet)
    return theirs / ours if theirs and ours else None


def cell(value):
    return NONE if value is None else two_digits(value)


def link(sheet):
    return f"[{markdown(sheet.problem.title)}]({sheet.problem.slug}/)"


def shared_table(sheets):
    rows = []
    for sheet in sheets:
        v1 = sheet.problem.v1
        for i, result in enumerate(sheet.old):
            lead = [link(sheet), markdown(v1["headline"])] if i == 0 else ["", ""]
            tail = [cell(v1.get("rerun")), cell(seconds(sheet)), cell(times_faster(sheet))]
            ours = [f"{name(result.claim)} {bound(result.claim)}", markdown(measured(result))]
            rows.append([*lead, *ours, answer(result), *(tail if i == 0 else [""] * 3)])
    head = ["problem", "its headline", "our claim", "ours", "met", "its s", "our s", "its / ours"]
    return table(head, rows)


def apart_table(sheets):
    rows = []
    for sheet in sheets:
        v1 = sheet.problem.v1
        ours = sheet.time["seconds"] if sheet.time else None
        words = [markdown(v1["headline"]), markdown(v1.get("note", NONE))]
        rows.append([link(sheet), *words, cell(v1.get("rerun")), cell(ours)])
    return table(["problem", "its headline", "why", "its s", "our s"], rows)
