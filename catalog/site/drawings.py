"""The drawings of the site: a verdict's mark, the timeline, the lineage, a claim over its seeds."""

from __future__ import annotations

import html
import math
import re
import textwrap

from catalog.cards import LINES
from catalog.tables import SIGNS, measured, number

CIRCLE = "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0z"
SHAPES = {  # a path around 0, 0 for each verdict, so that no one needs its colour
    "reproduced": CIRCLE,
    "partial": "M0-7.5 7.5 0 0 7.5-7.5 0z",
    "not reproduced": "M-6-3.5-3.5-6 0-2.5 3.5-6 6-3.5 2.5 0 6 3.5 3.5 6 0 2.5-3.5 6-6 3.5-2.5 0z",
    "not measured": CIRCLE,
}
WIDTH = 920  # of the page's column [pixels]
LONGEST = 28  # signs of a name in a drawing; longer titles give way to the slug
LOG_FROM = 30  # a plot whose positive values span this factor has a logarithmic axis
TITLES = {
    "paper": "The paper's claims",
    "control": "Controls",
    "v1": "The earlier catalog's yardstick",
}


def plain(text):
    """Text of a card for HTML, in one line, without anything that HTML or Markdown would read."""
    text = html.escape(" ".join(str(text).split()))
    return re.sub(r"[\[\]$`*_\\]", lambda match: f"&#{ord(match[0])};", text)


def css(verdict):
    """The verdict as a class name."""
    return verdict.replace(" ", "-")


def mark(verdict, x=0.0, y=0.0):
    """The mark of a verdict as an SVG path."""
    return (
        f'<path class="mark {css(verdict)}" d="{SHAPES[verdict]}" '
        f'transform="translate({x:.1f} {y:.1f})"/>'
    )


def badge(verdict):
    """A verdict in words, with its mark, as HTML."""
    icon = f'<svg class="icon" viewBox="-8 -8 16 16" aria-hidden="true">{mark(verdict)}</svg>'
    return f'<span class="verdict {css(verdict)}">{icon}{verdict}</span>'


def key(sheets):
    """The verdicts that occur, each with its mark and how often."""
    counts = {v: sum(sheet.verdict == v for sheet in sheets) for v in SHAPES}
    cells = "".join(f"<li>{badge(v)} {n}</li>" for v, n in counts.items() if n)
    return f'<ul class="key">{cells}</ul>'


def short(problem):
    """A name for a drawing: the title, or the slug in words where that is too long."""
    return problem.title if len(problem.title) <= LONGEST else problem.slug.replace("-", " ")


def label(sheet):
    """What a screen reader and a pointer are told of a mark: first the name that is seen."""
    title = sheet.problem.title
    seen = short(sheet.problem)
    more = "" if seen == title else f": {title}"
    return plain(f"{seen}{more} ({sheet.problem.year}), {sheet.verdict}")


def by_line(sheets):
    """Pairs of a line of ideas and its sheets by year, where there are any."""
    chronological = sorted(sheets, key=lambda s: (s.problem.year, s.problem.slug))
    groups = [(line, [s for s in chronological if s.problem.line == line]) for line in LINES]
    return [(line, group) for line, group in groups if group]


# --- timeline ----------------------------------------------------------------------------------

ROW, SIGN, GAP = 19, 6.3, 14  # pixels: height of a row, width of a letter, from mark to name


def timeline(sheets):
    """Problems by year (across) and line of ideas (down) as an SVG; every mark is a named link."""
    years = [sheet.problem.year for sheet in sheets] or [1989]
    first, last = min(*years, 1989) - 1, max(*years, 2021) + 1

    def x(year):
        return 14 + (WIDTH - 28) * (year - first) / (last - first)

    lanes, marks, y = [], [], 24
    for line, group in by_line(sheets):
        lanes.append(f'<text class="line" x="4" y="{y + 13}">{plain(line)}</text>')
        ends = []  # how far each row of the lane is taken
        for sheet in group:
            at, wide = x(sheet.problem.year), GAP + SIGN * len(short(sheet.problem))
            back = at + wide > WIDTH  # the name stands before the mark
            start, end = (at - wide, at + GAP) if back else (at - GAP, at + wide)
            row = next((i for i, taken in enumerate(ends) if taken < start), len(ends))
            ends[row : row + 1] = [end]
            marks.append(named_mark(sheet, at, y + ROW * (row + 1.5), -GAP if back else GAP))
        y += ROW * (len(ends) + 1) + 8
        lanes.append(f'<line class="lane" x1="0" x2="{WIDTH}" y1="{y - 2}" y2="{y - 2}"/>')
    grid = "".join(
        f'<line class="grid" x1="{x(year):.0f}" x2="{x(year):.0f}" y1="18" y2="{y}"/>'
        f'<text class="year" x="{x(year):.0f}" y="13">{year}</text>'
        for year in range(-(-first // 5) * 5, last + 1, 5)
    )
    return (
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {y}" role="group" '
        f'aria-label="Problems by year and line of ideas">{grid}{"".join(lanes + marks)}</svg>'
    )


def named_mark(sheet, x, y, gap):
    """A mark with its name beside it, a link to the problem."""
    anchor = "end" if gap < 0 else "start"
    return (
        f'<a href="{sheet.problem.slug}/index.html" aria-label="{label(sheet)}">'
        f"<title>{label(sheet)}</title>{mark(sheet.verdict, x, y)}"
        f'<text text-anchor="{anchor}" x="{x + gap:.1f}" y="{y + 4:.1f}">'
        f"{plain(short(sheet.problem))}</text></a>"
    )


def years_list(sheets):
    """The same for narrow screens: the years as a list."""
    rows = {}
    for sheet in sorted(sheets, key=lambda s: s.problem.year):
        rows.setdefault(sheet.problem.year, []).append(
            f'<a href="{sheet.problem.slug}/index.html">'
            f'<svg class="icon" viewBox="-8 -8 16 16" role="img" aria-label="{sheet.verdict}">'
            f"{mark(sheet.verdict)}</svg>{plain(sheet.problem.title)}</a>"
        )
    return "".join(f"<li><b>{year}</b> {' '.join(links)}</li>" for year, links in rows.items())


# --- lineage -----------------------------------------------------------------------------------

BOX, STEP, HEAD = 38, 47, 50  # pixels: height of a box, from box to box, of the column heads
MARGIN = 32  # pixels at the left for the years


def lineage(sheets):
    """Who takes up whose idea, as an SVG: years down, lines of ideas across, a curve for a step."""
    columns = [line for line, _ in by_line(sheets)]
    wide = (WIDTH - MARGIN) / max(1, len(columns))
    rows, years = places(sheets, columns)
    at = {}
    for sheet in sheets:
        column = columns.index(sheet.problem.line)
        y = HEAD + STEP * (rows[sheet.problem.slug] + 0.5)
        at[sheet.problem.slug] = (MARGIN + wide * (column + 0.5), y)
    height = HEAD + STEP * (max(rows.values(), default=0) + 1)
    heads = "".join(
        f'<text class="line" x="{MARGIN + wide * (i + 0.5):.0f}" y="{12 + 14 * j}">'
        f"{plain(part)}</text>"
        for i, line in enumerate(columns)
        for j, part in enumerate(textwrap.wrap(line, 15))
    )
    bands = "".join(
        f'<line class="grid" x1="0" x2="{WIDTH}" y1="{HEAD + STEP * row:.0f}" '
        f'y2="{HEAD + STEP * row:.0f}"/>'
        f'<text class="year" x="2" y="{HEAD + STEP * (row + 0.5) + 4:.0f}">{year}</text>'
        for year, row in years.items()
    )
    curves = "".join(
        f'<path class="step" data-from="{slug}" data-to="{sheet.problem.slug}" '
        f'd="{curve(at[slug], at[sheet.problem.slug], wide)}"><title>{plain(why)}</title></path>'
        for sheet in sheets
        for slug, why in sheet.problem.builds_on.items()
    )
    boxes = "".join(box(sheet, *at[sheet.problem.slug], wide - 12) for sheet in sheets)
    return (
        f'<svg class="lineage" viewBox="0 0 {WIDTH} {height:.0f}" role="group" '
        f'aria-label="Which problem takes up which">{bands}{heads}{curves}{boxes}</svg>'
    )


def places(sheets, columns):
    """(row by slug, first row by year): a child stands below its parents, a year has its band."""
    rows, years, start = {}, {}, 0
    left = sorted(sheets, key=lambda s: (s.problem.year, s.problem.slug))
    for year in dict.fromkeys(sheet.problem.year for sheet in left):
        years[year], free = start, dict.fromkeys(columns, start)
        waiting = [sheet for sheet in left if sheet.problem.year == year]
        while waiting:
            names = {sheet.problem.slug for sheet in waiting}
            ready = next(s for s in waiting if not names & set(s.problem.builds_on))
            problem = ready.problem
            above = [rows[slug] + 1 for slug in problem.builds_on]
            rows[problem.slug] = max([free[problem.line], *above])
            free[problem.line] = rows[problem.slug] + 1
            waiting.remove(ready)
        start = max(free.values())
    return rows, years


def curve(start, end, wide):
    """The path from a box down to another; past the boxes between two of one column."""
    (x1, y1), (x2, y2) = start, end
    y1, y2 = y1 + BOX / 2, y2 - BOX / 2
    if x1 == x2 and y2 - y1 > STEP:
        x, side = x1 - wide / 2 + 8, x1 - wide / 2 - 4
        return (
            f"M{x:.0f} {y1:.0f}C{side:.0f} {y1 + 18:.0f} {side:.0f} {y2 - 18:.0f} {x:.0f} {y2:.0f}"
        )
    bend = max(16, (y2 - y1) / 2)
    return f"M{x1:.0f} {y1:.0f}C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"


def box(sheet, x, y, wide):
    """A problem of the lineage: its name, its mark, a link."""
    left = x - wide / 2
    parts = textwrap.wrap(short(sheet.problem), 15)
    above = y + 4 - 5.5 * (len(parts) - 1)
    lines = "".join(
        f'<text x="{left + 21:.1f}" y="{above + 11 * i:.1f}">{plain(part)} </text>'
        for i, part in enumerate(parts)
    )
    return (
        f'<a href="{sheet.problem.slug}/index.html" data-slug="{sheet.problem.slug}" '
        f'aria-label="{label(sheet)}"><title>{label(sheet)}</title>'
        f'<rect x="{left:.1f}" y="{y - BOX / 2:.1f}" width="{wide:.1f}" height="{BOX}" rx="4"/>'
        f"{mark(sheet.verdict, left + 11, y)}{lines}</a>"
    )


# --- claims ------------------------------------------------------------------------------------

LEFT, RIGHT = 10, 470  # pixels: the ends of a plot's axis


def plots(sheet):
    """Every judged claim as a small plot, the paper's first, then controls and v1's yardstick."""
    drawn = ""
    for source, group in (("paper", sheet.paper), ("control", sheet.controls), ("v1", sheet.old)):
        figures = "".join(claim_plot(sheet, result) for result in group if not result.trouble)
        if figures:
            drawn += f'<p class="group">{TITLES[source]}</p><div class="claims">{figures}</div>'
    words = (
        "Dots: seeds. Bar: the statistic's 95 % interval or range, tick: its value. Dashed: the "
    )
    words += "bound that we demand. Triangle: the number that is reported."
    return f'<p class="caption">{words}</p>{drawn}\n\n' if drawn else ""


def plotted(claim, runs):
    """The numbers of a claim over runs: its metric, or the ratio a / b where that exists."""
    names = claim.metric.split(" / ")
    rows = [[run["metrics"][name] for name in names] for run in runs]
    rows = [row for row in rows if None not in row and (len(row) == 1 or row[1])]
    return [row[0] / row[1] if len(row) == 2 else float(row[0]) for row in rows]


def axis(values):
    """(function from a value to pixels, lowest, highest, whether it is logarithmic)."""
    low, high = min(values), max(values)
    log = low > 0 and high / low > LOG_FROM
    a, b = (math.log(low), math.log(high)) if log else (low, high)
    pad = (b - a) * 0.05 or abs(b) * 0.1 or 1.0

    def x(value):
        value = math.log(value) if log else value
        return LEFT + (RIGHT - LEFT) * (value - a + pad) / (b - a + 2 * pad)

    return x, low, high, log


def anchored(x, y, text, name, beside=0):
    """A text at x that stays inside the plot; beside: -1 left of x, 1 right of it, 0 around it."""
    half = 3.3 * len(text)
    if beside == 0:
        beside = 1 if x - half < 0 else -1 if x + half > 480 else 0
    anchor = ("end", "middle", "start")[beside + 1]
    return f'<text class="{name}" text-anchor="{anchor}" x="{x:.1f}" y="{y}">{plain(text)}</text>'


def claim_plot(sheet, result):
    """One claim: seeds, interval, bound and the reported number on one axis."""
    claim = result.claim
    values = plotted(claim, sheet.current(claim.variant))
    told = [] if claim.published is None else [claim.published]
    bounds = [bound for _, bound in claim.bounds]
    x, low, high, log = axis([*values, *bounds, *told, result.low, result.high])
    dots = "".join(
        f'<circle class="dot" cx="{x(v):.1f}" cy="{25 + 5 * (i % 3 - 1)}" r="3"/>'
        for i, v in enumerate(values)
    )
    sides = (-1, 1) if len(bounds) == 2 else (0,)
    lines = "".join(
        f'<line class="bound" x1="{x(b):.1f}" x2="{x(b):.1f}" y1="14" y2="50"/>'
        + anchored(x(b), 10, f"{SIGNS.get(sign, sign)} {number(b)}", "at", side)
        for (sign, b), side in zip(claim.bounds, sides, strict=True)
    )
    source = "paper" if claim.source == "paper" else "v1"
    lines += "".join(
        f'<path class="told" d="M{x(p):.1f} 51l-5 9h10z"/>'
        + anchored(x(p), 74, f"{source} {number(p)}", "at")
        for p in told
    )
    ends = "".join(  # where the triangle stands on an end, its own number says enough
        f'<text class="{name}" x="{end}" y="63">{number(value)}</text>'
        for name, end, value in (("end", LEFT, low), ("end right", RIGHT, high))
        if all(abs(x(p) - end) > 50 for p in told)
    )
    what = plain(f"{claim.name}: {measured(result)}, must be {claim.holds}")
    answer = "holds" if result.holds else "fails"
    name = f"<b>{plain(claim.name)}</b>" if claim.main else plain(claim.name)
    return (
        f'<figure><figcaption><span class="{answer}">{answer}</span> {name} '
        f"<code>{plain(claim.metric)}</code>{', logarithmic axis' * log}</figcaption>"
        f'<svg viewBox="0 0 480 78" role="img" aria-label="{what}">'
        f'<line class="axis" x1="{LEFT}" x2="{RIGHT}" y1="50" y2="50"/>'
        f'<line class="bar" x1="{x(result.low):.1f}" x2="{x(result.high):.1f}" y1="40" y2="40"/>'
        f'<line class="tick" x1="{x(result.value):.1f}" x2="{x(result.value):.1f}" '
        f'y1="34" y2="46"/>{lines}{dots}{ends}</svg></figure>'
    )
