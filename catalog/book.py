"""The site: pages for mdBook, generated from the same cards, records and READMEs as the rest."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from catalog import ROOT, CatalogError, problems, prose, readme, report
from catalog.escape import markdown
from catalog.tables import NONE, Sheet, count, measured, number, ratio

REPOSITORY_PAGES = {
    "RESULTS.md": "results.md",
    "RESULTS.md#the-earlier-catalogs-yardstick": "claims.md#the-earlier-catalogs-yardstick",
    "VISUAL_TOUR.md": "tour.md",
    "SPEC.md": "contract.md",
    "SPEC.md#glossary": "glossary.md",
    "README.md": "index.md",
}
VERDICTS = ("reproduced", "partial", "not reproduced", "not measured")


def build(out, root=ROOT):
    """Write the pages, run mdbook, check every link; returns a line that says where the site lies.

    Raises CatalogError when a page of prose has a fault (prose.faults), when mdbook is missing or
    fails, and when a link or picture leads nowhere.
    """
    root, out = Path(root), Path(out).resolve()
    if (
        out.exists()
        and not out.is_dir()
        or out.is_dir()
        and any(out.iterdir())
        and not (out / "index.html").is_file()
    ):
        raise CatalogError(f"{out} holds something else than a site; name another directory")
    sheets = [Sheet(problem) for problem in problems.load_all(root)]
    folders = [sheet.problem.folder for sheet in sheets]
    for path in [
        root / "README.md",
        root / "SPEC.md",
        *(folder / "README.md" for folder in folders),
    ]:
        for fault in prose.faults(path.read_text(encoding="utf-8")):
            raise CatalogError(f"{path.relative_to(root)}, {fault}")
    with tempfile.TemporaryDirectory() as source:
        for name, text in pages(sheets, root).items():
            path = Path(source, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for sheet in sheets:
            copy_pictures(sheet.problem, Path(source, sheet.problem.slug))
        run_mdbook(root, source, out)
    if wrong := dead_links(out):
        raise CatalogError(f"{wrong[0]} ({len(wrong)} such links)" if len(wrong) > 1 else wrong[0])
    return f"the site of {len(sheets)} problems lies in {out}; open {out / 'index.html'}"


def run_mdbook(root, source, out):
    """mdbook with the settings of root/book.toml, pages from source, the site into out."""
    beside = Path(sys.executable).with_name("mdbook")
    program = str(beside) if beside.exists() else shutil.which("mdbook")
    if program is None:
        raise CatalogError("mdbook is not installed: pip install 'schmidhuber-problems[site]'")
    environment = {**os.environ, "MDBOOK_BOOK__SRC": str(source)}
    done = subprocess.run(
        [program, "build", str(root), "--dest-dir", str(out)],
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode:
        raise CatalogError(
            "mdbook failed: " + (done.stderr.strip().splitlines() or ["no message"])[-1]
        )


def copy_pictures(problem, target):
    """The GIF and the PNGs beside the problem's page."""
    (target / "viz").mkdir(parents=True, exist_ok=True)
    for path in [problem.gif, *sorted(problem.folder.glob("viz/*.png"))]:
        if path.is_file():
            shutil.copy(path, target / path.relative_to(problem.folder))


def plain(text):
    """Text of a card for HTML, in one line, without anything that HTML or Markdown would read."""
    text = html.escape(" ".join(str(text).split()))
    return re.sub(r"[\[\]$`*_\\]", lambda match: f"&#{ord(match[0])};", text)


# --- pages -------------------------------------------------------------------------------------


def pages(sheets, root):
    """The Markdown of every page, by its name among the pages."""
    contract, _, glossary = (
        (root / "SPEC.md").read_text(encoding="utf-8").partition("\n## Glossary\n")
    )
    texts = {
        "SUMMARY.md": summary(sheets),
        "index.md": home(sheets, root),
        "results.md": results(sheets),
        "claims.md": f"# Every claim\n{every_claim(sheets)}",
        "tour.md": repository_links(report.tour_page(sheets), sheets),
        "contract.md": repository_links(contract, sheets),
        "glossary.md": repository_links(f"# Glossary\n{glossary}", sheets),
    }
    return texts | {
        f"{sheet.problem.slug}/index.md": problem_page(sheet, sheets) for sheet in sheets
    }


def summary(sheets):
    """mdBook's table of contents."""
    lines = [
        "# Summary",
        "",
        "[Home](index.md)",
        "[Results](results.md)",
        "[Every claim](claims.md)",
        "[Visual tour](tour.md)",
        "[Glossary](glossary.md)",
    ]
    for era, group in report.by_era(sheets):
        lines += ["", f"# {era}", ""]
        lines += [
            f"- [{markdown(sheet.problem.title)}]({sheet.problem.slug}/index.md)" for sheet in group
        ]
    return "\n".join([*lines, "", "# For contributors", "", "- [The contract](contract.md)", ""])


def home(sheets, root):
    """The opening of the README, the timeline and a strip of animations."""
    opening = (root / "README.md").read_text(encoding="utf-8").split("\n![")[0].split("\n## ")[0]
    reproduced = sum(sheet.verdict == "reproduced" for sheet in sheets)
    total = f"{reproduced} of {len(sheets)} problems here are fully reproduced; "
    total += "[the results](results.md) say what that means."
    strip = "".join(
        f'<a href="{s.problem.slug}/index.html"><img loading="lazy" width="320" '
        f'src="{s.problem.slug}/{s.problem.gif.name}" '
        f'alt="{plain(s.problem.caption)}"><span>{plain(s.problem.title)}</span></a>'
        for s in sheets
    )
    return (
        f"{without_comments(opening).strip()}\n\n{total}\n\n## The lineage\n\n"
        "Every mark is a problem: across, the year of the paper; down, its theme.\n\n"
        f'<div class="scroll">{timeline(sheets)}</div>\n\n## Learning, seen\n\n'
        f'<div class="strip" tabindex="0">{strip}</div>\n'
    )


def results(sheets):
    """One table over all problems, sortable and filterable by script, plain without."""
    head = [
        "problem",
        "year",
        "era",
        "theme",
        "setting",
        "verdict",
        "claims",
        "controls",
        "v1",
        "seconds",
        "main claim",
        "paper",
        "ours",
        "ours / paper",
    ]
    heads = "".join(f"<th>{name}</th>" for name in head)
    rows = "".join(result_row(sheet) for sheet in sheets)
    selects = "".join(
        f'<label>{name} <select data-filter="{name}"><option value="">all</option>'
        + "".join(f"<option>{plain(value)}</option>" for value in values)
        + "</select></label>"
        for name, values in {
            "era": [era for era, _ in report.by_era(sheets)],
            "theme": sorted({theme for sheet in sheets for theme in sheet.problem.themes}),
            "setting": [
                name for name in problems.SETTINGS if any(s.problem.setting == name for s in sheets)
            ],
            "verdict": [name for name in VERDICTS if any(s.verdict == name for s in sheets)],
        }.items()
    )
    prose = report.results_page(sheets).split("# Results\n", 1)[1].split("\n## ", 1)[0]
    return (
        f"# Results\n{prose}\n"
        '<div class="filters" hidden><label>search '
        f'<input type="search" data-filter="search"></label>{selects}'
        f'<output aria-live="polite"></output></div>\n\n'
        f'<div class="scroll"><table id="all-problems"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>\n\n"
        "[Every claim](claims.md) has its row on a page of its own, as have controls and the "
        "earlier catalog's yardstick.\n"
    )


def result_row(sheet):
    problem, main = sheet.problem, sheet.main
    ours = "not judged" if main.trouble else number(main.value)
    published = main.claim.published
    old = (
        "none"
        if not sheet.old
        else "met"
        if all(result.holds for result in sheet.old)
        else "not met"
    )
    cells = [  # a text, or a text and the number to sort it by
        f'<a href="{problem.slug}/index.html">{plain(problem.title)}</a>',
        str(problem.year),
        plain(problem.era),
        plain(", ".join(problem.themes)),
        problem.setting,
        f'<span class="verdict {sheet.verdict.replace(" ", "-")}">{sheet.verdict}</span>',
        (count(sheet.paper), share(sheet.paper)),
        (count(sheet.controls), share(sheet.controls)),
        old,
        sheet.seconds(),
        plain(f"{main.claim.name} {main.claim.holds}"),
        (NONE if published is None else number(published), published),
        (f'<span title="{plain(measured(main))}">{ours}</span>', main.value),
        (ratio(main), main.ratio),
    ]
    found = [problem.slug, problem.summary, problem.citation]
    found += [result.claim.name for result in sheet.outcomes]
    pairs = (cell if isinstance(cell, tuple) else (cell, None) for cell in cells)
    columns = "".join(
        f"<td>{text}</td>" if key is None else f'<td data-sort="{key}">{text}</td>'
        for text, key in pairs
    )
    return f'<tr data-slug="{problem.slug}" data-search="{plain(" ".join(found))}">{columns}</tr>'


def share(results):
    """Which part of the outcomes holds; None where there are none."""
    return sum(result.holds for result in results) / len(results) if results else None


def every_claim(sheets):
    """The tables of RESULTS.md below the sortable one."""
    page = report.results_page(sheets)
    return repository_links("\n## " + "\n## ".join(page.split("\n## ")[1:]), sheets)


def problem_page(sheet, sheets):
    """README with working links and formulas, claims as plots, commands and source."""
    problem = sheet.problem
    text = (problem.folder / "README.md").read_text(encoding="utf-8")
    parts = readme.generated_parts(sheet, text)
    parts["header"] = (
        f'<img class="lead" src="{problem.gif.name}" alt="{plain(problem.caption)}">\n\n'
        f'<p class="caption">{plain(problem.caption)}</p>\n\n{readme.opening(sheet)}'
    )
    parts["results"] = plots(sheet) + readme.results_section(sheet, on_site=True)
    text = report.filled_text(text, problem.folder, **parts)
    text = repository_links(without_comments(text), sheets, problem)
    text = formulas(text, problem.slug)
    for script in dict.fromkeys(variant.script for variant in problem.variants.values()):
        text += (
            f"\n## Source: {script.name}\n\n~~~~python\n{script.read_text(encoding='utf-8')}~~~~\n"
        )
    return text


def without_comments(text):
    return re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)


def repository_links(text, sheets, problem=None):
    """Relative links of the repository as links of the site.

    Links to files that the site does not carry become plain text.
    """
    up = "../" if problem else ""
    slugs = {sheet.problem.slug for sheet in sheets}
    scripts = {variant.script.name for variant in problem.variants.values()} if problem else set()

    def replace(match):
        bang, label, target = match.groups()
        if bang or "://" in target or target.startswith(("#", "mailto:")):
            return match[0]
        path, _, anchor = target.partition("#")
        path = path.removeprefix("../").rstrip("/").removesuffix("/README.md")
        if f"{path}#{anchor}" in REPOSITORY_PAGES:
            return f"[{label}]({up}{REPOSITORY_PAGES[f'{path}#{anchor}']})"
        anchor = f"#{anchor}" if anchor else ""
        if path in slugs:
            return f"[{label}]({up}{path}/index.md{anchor})"
        if path in REPOSITORY_PAGES:
            return f"[{label}]({up}{REPOSITORY_PAGES[path]}{anchor})"
        if path in scripts:
            return f"[{label}](#source-{path.replace('.', '')})"
        return match[0] if problem and path.startswith("viz/") else label

    return outside_code(
        text,
        lambda part: re.sub(
            r"(!?)(?<!\\)\[((?:\\.|[^\]\[\\]|\[[^\]]*\])*)\]\(([^)\s]+)\)", replace, part
        ),
    )


def outside_code(text, change):
    """The text with change(part) applied to whatever is not code, fenced or inline."""
    parts = re.split(
        r"(^(?:```|~~~).*?^(?:```|~~~)[^\n]*$|(?<!\\)`+[^`\n]+`+)",
        text,
        flags=re.MULTILINE | re.DOTALL,
    )
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))


def formulas(text, slug):
    """$...$ and $$...$$ as MathML, which browsers draw themselves."""
    from latex2mathml.converter import convert

    def mathml(latex, display):
        try:
            code = convert(latex.strip(), display=display)
        except Exception as error:
            raise CatalogError(
                f"{slug}/README.md: formula {latex.strip()!r}: {error or type(error).__name__}"
            ) from None
        return re.sub(
            r"[*_`\[\]]", lambda m: f"&#{ord(m[0])};", code
        )  # what Markdown would take for its own

    def change(part):
        part = re.sub(
            r"\$\$(.+?)\$\$",
            lambda m: f'<div class="formula">{mathml(m[1], "block")}</div>',
            part,
            flags=re.DOTALL,
        )
        return re.sub(
            r"(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?![\w$])",
            lambda m: mathml(m[1], "inline"),
            part,
        )

    return outside_code(text, change)


# --- drawings ----------------------------------------------------------------------------------


def timeline(sheets):
    """Problems by year and first theme as an SVG; every mark is a link."""
    themes = list(
        dict.fromkeys(
            sheet.problem.themes[0] for sheet in sorted(sheets, key=lambda s: s.problem.year)
        )
    )
    years = [sheet.problem.year for sheet in sheets] or [1989]
    first, last = min(*years, 1989) - 1, max(*years, 2021) + 1
    left, width, row = 190, 900, 30
    height = row * len(themes) + 40

    def x(year):
        return left + (width - left - 20) * (year - first) / (last - first)

    parts = [
        f'<svg class="timeline" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Problems by year and theme">'
    ]
    for year in range(first + first % 5 and -(-first // 5) * 5, last + 1, 5):
        parts.append(
            f'<line class="grid" x1="{x(year):.0f}" x2="{x(year):.0f}" y1="0" y2="{height - 25}"/>'
        )
        parts.append(f'<text class="year" x="{x(year):.0f}" y="{height - 8}">{year}</text>')
    taken = {}
    for lane, theme in enumerate(themes):
        y = row * lane + row / 2
        parts.append(f'<text class="theme" x="{left - 12}" y="{y + 4:.0f}">{plain(theme)}</text>')
        parts.append(
            f'<line class="lane" x1="{left}" x2="{width - 20}" y1="{y:.0f}" y2="{y:.0f}"/>'
        )
    for sheet in sheets:
        p = sheet.problem
        lane = themes.index(p.themes[0])
        shift = taken[p.year, lane] = taken.get((p.year, lane), -1) + 1
        label = plain(f"{p.title} ({p.year}): {sheet.verdict}")
        parts.append(
            f'<a href="{p.slug}/index.html" aria-label="{label}">'
            f'<circle class="mark {sheet.verdict.replace(" ", "-")}" '
            f'cx="{x(p.year) + 9 * shift:.1f}" cy="{row * lane + row / 2:.0f}" r="8">'
            f"<title>{label}</title></circle></a>"
        )
    return "".join([*parts, "</svg>"])


def plots(sheet):
    """Every judged claim as a small plot: dots for seeds, a bar for the interval, the bound."""
    drawn = "".join(claim_plot(sheet, result) for result in sheet.outcomes if not result.trouble)
    key = "dots: seeds; bar: the statistic's 95 % interval or range, tick: its value; "
    key += "dashed line: the bound"
    return f'<div class="claims"><p class="caption">{key}</p>{drawn}</div>\n\n' if drawn else ""


def plotted(claim, runs):
    """The numbers of a claim over runs: its metric, or the ratio a / b where that exists."""
    names = claim.metric.split(" / ")
    rows = [[run["metrics"][name] for name in names] for run in runs]
    rows = [row for row in rows if None not in row and (len(row) == 1 or row[1])]
    return [row[0] / row[1] if len(row) == 2 else float(row[0]) for row in rows]


def claim_plot(sheet, result):
    claim = result.claim
    values = plotted(claim, sheet.current(claim.variant))
    bounds = [bound for _, bound in claim.bounds]
    low, high = min(*values, *bounds, result.low), max(*values, *bounds, result.high)
    pad = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
    low, high = low - pad, high + pad

    def x(value):
        return 10 + 460 * (value - low) / (high - low)

    dots = "".join(
        f'<circle class="dot" cx="{x(v):.1f}" cy="{16 + 5 * (i % 3 - 1)}" r="3"/>'
        for i, v in enumerate(values)
    )
    lines = "".join(
        f'<line class="bound" x1="{x(b):.1f}" x2="{x(b):.1f}" y1="4" y2="38"/>' for b in bounds
    )
    ends = f'<text x="10" y="52">{number(low + pad)}</text>'
    ends += f'<text class="right" x="470" y="52">{number(high - pad)}</text>'
    what = plain(f"{claim.name}: {measured(result)}, must be {claim.holds}")
    mark = "holds" if result.holds else "fails"
    return (
        f'<figure><figcaption><span class="{mark}">{mark}</span> '
        f"{plain(claim.name)} <code>{plain(f'{claim.metric} {claim.holds}')}</code>"
        f'</figcaption><svg viewBox="0 0 480 56" role="img" aria-label="{what}">'
        '<line class="axis" x1="10" x2="470" y1="38" y2="38"/>'
        f'<line class="bar" x1="{x(result.low):.1f}" x2="{x(result.high):.1f}" y1="30" y2="30"/>'
        f'<line class="tick" x1="{x(result.value):.1f}" x2="{x(result.value):.1f}" '
        'y1="25" y2="35"/>'
        f"{lines}{dots}{ends}</svg></figure>"
    )


# --- links -------------------------------------------------------------------------------------


class Links(HTMLParser):
    """Collects the ids of a page and whatever it links to or shows."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.targets, self.bare, self.foreign = set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "a" and found.get("name"):
            self.ids.add(found["name"])
        self.targets += [found[name] for name in ("href", "src") if found.get(name)]
        if tag in ("img", "script", "link", "iframe", "source"):
            address = found.get("src") or found.get("href") or ""
            self.foreign += [address] if urlsplit(address).netloc else []
        if tag == "img" and not (found.get("alt") or "").strip():
            self.bare.append(found.get("src", ""))


def dead_links(site):
    """Links, anchors and pictures that lead nowhere, pictures without text, foreign resources."""
    site = Path(site)
    parsed = {
        path: Links(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if path.name != "404.html"
    }
    wrong = []
    for path, page in parsed.items():
        here = path.relative_to(site)
        wrong += [f"{here} shows {src} without alternative text" for src in page.bare]
        wrong += [f"{here} loads {address} from elsewhere" for address in page.foreign]
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or target.startswith("data:"):
                continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            goal = goal / "index.html" if goal.is_dir() else goal
            if not goal.is_file():
                wrong.append(f"{here} links to {target}, which does not exist")
            elif (
                parts.fragment
                and goal in parsed
                and unquote(parts.fragment) not in parsed[goal].ids
            ):
                wrong.append(f"{here} links to {target}, but that page has no such place")
    return wrong
