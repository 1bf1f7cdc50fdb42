"""The cells and tables of the generated pages: numbers, claims, controls, metrics, provenance."""

from __future__ import annotations

import re
from urllib.parse import quote

from catalog import records, verdicts
from catalog.escape import markdown, plain
from catalog.intervals import mean, median

NONE = "–"
SIGNS = {">=": "≥", "<=": "≤"}
LOOSER = (
    "† This bound is looser than the number that the paper gives, so the claim can hold "
    "where the paper's own number is missed.\n"
)


class Sheet:
    """A problem with its runs, outcomes and time, computed once."""

    def __init__(self, problem):
        self.problem = problem
        self.runs = records.read(records.path_of(problem))
        self.outcomes = verdicts.outcomes(problem, self.runs)
        self.verdict = verdicts.verdict(self.outcomes)
        self.paper, self.controls, self.old = (
            [result for result in self.outcomes if result.claim.source == source]
            for source in ("paper", "control", "v1")
        )
        self.time, self.time_v1 = (records.timing(problem, kind) for kind in ("time", "time_v1"))

    @property
    def main(self):
        """The outcome of the main claim."""
        return next(result for result in self.paper if result.claim.main)

    def current(self, variant):
        """The variant's runs under the present code that ended well."""
        found = verdicts.runs_of(self.problem, self.runs, variant)
        return [run for run in found.values() if "error" not in run]

    def seconds(self):
        """Seconds of the headline run alone on its machine, in two digits; a dash if not timed."""
        return two_digits(self.time["seconds"]) if self.time else NONE


# --- cells -------------------------------------------------------------------------------------


def number(value):
    """A number as a reader wants it: about four digits, a dash for None."""
    if value is None:
        return NONE
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-3:
        return f"{value:.2e}"
    return f"{value:.4g}"


def two_digits(value):
    """A time or a ratio, of which more digits mean nothing."""
    value = float(f"{value:.2g}")
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def count(results):
    """How many of the outcomes hold: 5/7; a dash for none at all."""
    return f"{sum(result.holds for result in results)}/{len(results)}" if results else NONE


def measured(result):
    """What a claim came to: value, interval or range, seeds."""
    claim = result.claim
    if result.trouble:
        return f"not judged: {result.trouble}"
    if claim.deterministic:
        return f"{number(result.value)} (the same for every seed)"
    ends = f"{number(result.low)} to {number(result.high)}"
    span = f"range {ends}" if claim.statistic in ("worst", "best") else ends
    statistic = "share" if claim.statistic == "fraction" else claim.statistic
    seeds = f"{result.n} seed" + "s" * (result.n > 1)
    return f"{statistic} {number(result.value)} ({span}; {seeds})"


def bound(claim):
    """The bound that a claim must keep: ≥ 0.6."""
    text = re.sub(
        r"(<=|>=|<|>|=)\s*", lambda match: f"{SIGNS.get(match[1], match[1])} ", claim.holds
    )
    return text.replace("<", "&lt;").replace(">", "&gt;")


def demand(result):
    """The bound with a mark where it is looser than the paper's number."""
    return bound(result.claim) + " †" * result.looser


def reported(claim):
    """What the source of a claim says, with the place."""
    place = f" ({markdown(claim.where)})" if claim.where else ""
    return markdown(claim.reported) + place + " (unverified)" * claim.unverified


def name(claim):
    """A claim's name, bold for the main one."""
    return f"**{markdown(claim.name)}**" if claim.main else markdown(claim.name)


def ratio(result):
    """Ours over the published number, a dash where there is none."""
    return NONE if result.ratio is None else two_digits(result.ratio)


def answer(result):
    """Whether a claim holds, and whether it also does at the published number if that is harder."""
    if not result.holds:
        return "**no**"
    short = result.looser and result.at_published is False
    return f"yes (not at {number(result.claim.published)})" if short else "yes"


def code(text):
    """Text of a program in code quotes, where it can stand there."""
    return markdown(text) if "`" in text else f"`{text}`"


def web_link(address):
    """A link to a web page; anything else as plain text."""
    if not re.match(r"https?://", address):
        return markdown(address)
    label = re.sub(r"^https?://", "", address).rstrip("/")
    return f"[{markdown(label)}]({quote(address, safe='/:?#&=%+,;@~')})"


def source_of(claim):
    """Metric and variant of a claim."""
    return f"{code(claim.metric)} of {code(claim.variant)}"


# --- tables ------------------------------------------------------------------------------------


def table(head, rows):
    """A Markdown table; a bar in a cell is escaped, a line break becomes a space."""

    def line(row):
        cells = (re.sub(r"(?<!\\)\|", r"\\|", cell.replace("\n", " ")) for cell in row)
        return f"| {' | '.join(cells)} |\n"

    return "".join(map(line, [head, ["---"] * len(head), *rows]))


def claim_table(results, source):
    """The outcomes of claims beside what their source reports."""
    with_ratio = any(result.claim.published is not None for result in results)
    head = ["claim", "measured as", source, "must be", "ours", "holds"]
    rows = []
    for result in results:
        claim = result.claim
        row = [name(claim), source_of(claim), reported(claim), demand(result)]
        rows.append([*row, markdown(measured(result)), answer(result)])
    if with_ratio:
        head.insert(5, f"ours / {source}")
        for row, result in zip(rows, results, strict=True):
            row.insert(5, ratio(result))
    return table(head, rows) + ("\n" + LOOSER) * any(result.looser for result in results)


def statistics(runs):
    """Rows (metric, mean, median, lowest, highest, n) of the metrics of runs, None left out."""
    rows = []
    for metric in dict.fromkeys(metric for run in runs for metric in run["metrics"]):
        values = [run["metrics"].get(metric) for run in runs]
        values = [float(value) for value in values if value is not None]
        facts = [f(values) for f in (mean, median, min, max)] if values else [None] * 4
        rows.append([metric, *map(number, facts), str(len(values))])
    return rows


STATISTICS_HEAD = ["metric", "mean", "median", "lowest", "highest", "n"]


def command(problem, variant):
    """The command that runs a variant with seed N."""
    words = f"python3 {problem.slug}/{variant.script.name}"
    for field, value in variant.overrides.items():
        option = field.replace("_", "-")
        off = "" if value else "no-"
        words += f" --{off}{option}" if isinstance(value, bool) else f" --{option} {value}"
    return f"{words} --seed N"


def seeds_of(sheet, variant):
    """The seeds of a variant, and how many of its runs failed."""
    failed = len(verdicts.runs_of(sheet.problem, sheet.runs, variant.name))
    failed -= len(sheet.current(variant.name))
    seeds = "N = 0" if variant.seeds == 1 else f"N = 0 … {variant.seeds - 1}"
    return seeds + f", {failed} failed" * bool(failed)


def variant_table(sheet, variant):
    """Every metric of a variant over its seeds."""
    runs = sheet.current(variant.name)
    text = f"**Variant** {code(variant.name)}: {code(command(sheet.problem, variant))}, "
    text += f"{seeds_of(sheet, variant)}\n\n"
    if not runs:
        return text + "Not measured under the present code.\n"
    rows = [[code(metric), *cells] for metric, *cells in statistics(runs)]
    return text + table(STATISTICS_HEAD, rows)


def differs(row):
    """Whether a row of provenance says that ours is another than the paper's."""
    return row["ours"] not in ("same", row["paper"])


def provenance_table(problem):
    """Where every part of the setting comes from: what changes the result, and the rest folded."""
    if not problem.setting_of:
        return "The card says nothing yet about where the setting comes from.\n"
    told, folded = [], []
    for row in sorted(problem.setting_of, key=lambda row: not differs(row)):
        paper = f"{markdown(row['paper'])} ({markdown(row['where'])})"
        cells = [markdown(row["what"]), paper, markdown(row["ours"]), row["known"]]
        matters = differs(row) and row["changes_result"]
        (told if matters else folded).append(cells)
    head = ["what", "the paper's", "ours", "the paper's value is"]
    text = table(head, told) if told else "Nothing in the setting changes the result.\n"
    if folded:
        text += "\n<details><summary>The same as the paper's, or without effect on the result"
        text += f"</summary>\n\n{table(head, folded)}\n</details>\n"
    return text


# --- the terminal ------------------------------------------------------------------------------


def columns(rows):
    """Rows of cells as lines with aligned columns, the first flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip()


def metric_lines(sheet):
    """Every metric of every variant as lines for the terminal."""
    lines = []
    for variant in sheet.problem.variants.values():
        words = f"{command(sheet.problem, variant)}, {seeds_of(sheet, variant)}"
        lines += ["", plain(f"{variant.name}: {words}")]
        rows = [list(map(plain, row)) for row in statistics(sheet.current(variant.name))]
        none = ["not measured under the present code"]
        lines += columns([STATISTICS_HEAD, *rows]) if rows else none
    return lines[1:]
