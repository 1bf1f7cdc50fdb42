"""The generated parts of a folder's README: facts at its head, results, deviations."""

from __future__ import annotations

from catalog.escape import markdown
from catalog.tables import (
    NONE,
    claim_table,
    code,
    count,
    demand,
    measured,
    number,
    provenance_table,
    ratio,
    reported,
    table,
    variant_table,
    web_link,
)

SETTINGS = {
    "paper": "the paper's own task, net, rule, sizes and data",
    "adapted": "the paper's task and sizes with another optimiser, loss, initialisation or order",
    "reduced": "smaller than the paper's",
    "stand-in": "other data or another simulator than the paper's",
}
INTERVALS = "A value is a statistic over seeds with its 95 % interval (worst, best: its range).\n\n"


def generated_parts(sheet, page):
    """The generated parts of a folder's README by name; deviations only where the page has them."""
    parts = {"header": header(sheet), "results": results_section(sheet)}
    if "<!-- generated: deviations -->" in page:
        parts["deviations"] = provenance_table(sheet.problem)
    return parts


def header(sheet):
    """The animation, one sentence and the facts, at the head of a folder's README."""
    problem = sheet.problem
    site = f"{problem.slug}/index.html of the site that `python3 -m catalog book` builds"
    return (
        f"![{markdown(problem.caption)}]({problem.gif.name})\n\n{opening(sheet)}| site | {site} |\n"
    )


def opening(sheet):
    """One sentence and the table of facts."""
    problem, main = sheet.problem, sheet.main
    script = f"python3 {problem.slug}/{problem.script.name}"
    took = f", {sheet.seconds()} s" if sheet.time else ""
    links = [f"[script]({problem.script.name})", "[card](problem.toml)", "[record](results.json)"]
    sources = " ".join([markdown(problem.citation), *map(web_link, problem.url)])
    rows = [
        ["the paper reports", reported(main.claim)],
        ["we measure", f"{markdown(measured(main))}{ours_over_published(main)}"],
        ["verdict", verdict_words(sheet)],
        ["setting", f"**{problem.setting}**: {SETTINGS[problem.setting]}"],
        ["first look", f"`{script} --quick`, about 2 s"],
        ["whole run", f"`{script} --seed 0`{took}"],
        ["paper", sources],
        ["files", " · ".join(links)],
    ]
    head = ["main claim", f"{markdown(main.claim.name)} {demand(main)}"]
    return f"{markdown(problem.summary)}\n\n{table(head, rows)}"


def ours_over_published(result):
    """The ratio to the paper's number in words, empty where there is none."""
    return f"; ours / paper {ratio(result)} ({number(result.claim.published)})" * (
        ratio(result) != NONE
    )


def verdict_words(sheet):
    """The verdict with the claims and controls that hold, and the controls that fail by name."""
    return f"**{sheet.verdict}** {tally_words(sheet)}"


def tally_words(sheet):
    """How many claims and controls hold, and the controls that fail by name."""
    words = count(sheet.paper)
    if sheet.controls:
        words += f", controls {count(sheet.controls)}"
    failing = [markdown(result.claim.name) for result in sheet.controls if not result.holds]
    return words + f"; **fails**: {'; '.join(failing)}" * bool(failing)


def claims_section(sheet):
    """Claims, controls and the earlier catalog's yardstick of one problem."""
    problem = sheet.problem
    text = INTERVALS + claim_table(sheet.paper, "paper")
    if sheet.controls:
        text += "\n### Controls\n\nOur own checks; they do not count for the verdict.\n\n"
        text += claim_table(sheet.controls, "why")
    if problem.v1:
        text += "\n### The earlier catalog's yardstick\n\n" + v1_sentence(problem.v1)
        if sheet.old:
            head = f"\n<details><summary>Measured against it: {count(sheet.old)}</summary>\n\n"
            text += head + claim_table(sheet.old, "v1") + "\n</details>\n"
    return text


def results_section(sheet):
    """The same with the headline variant's metrics, folded; the other variants' are left out."""
    problem, others = sheet.problem, list(sheet.problem.variants.values())[1:]
    text = claims_section(sheet) + "\n<details><summary>Every metric of the headline run</summary>"
    text += f"\n\n{variant_table(sheet, problem.headline)}\n</details>\n"
    if others:
        names = ", ".join(code(variant.name) for variant in others)
        shown = f"`python3 -m catalog show {problem.slug}`"
        text += (
            f"\nThe metrics of the other variants ({names}): {shown}, or the page on the site.\n"
        )
    return text


def v1_sentence(v1):
    """What the earlier catalog reports."""
    took = f", {number(v1['seconds'])} s" if v1.get("seconds") else ""
    text = f"The earlier catalog (v1) reports: {markdown(v1['headline'])}{took}."
    return text + (f" {markdown(v1['note'])}\n" if "note" in v1 else "\n")
