"""The pages of the site as Markdown with HTML, from cards, records and the repository's prose."""

from __future__ import annotations

import ast
import html
from importlib.metadata import version
from pathlib import Path

from catalog import problems, readme, report
from catalog.escape import markdown
from catalog.site import compare
from catalog.site.drawings import SHAPES, badge, key, lineage, plain, plots, timeline, years_list
from catalog.site.text import drop_picture, formulas, repository_links, section, without_comments
from catalog.tables import (
    NONE,
    STATISTICS_HEAD,
    command,
    count,
    demand,
    measured,
    number,
    ratio,
    reported,
    seeds_of,
    statistics,
    web_link,
)

HERE = Path(__file__).parent
LEAD = "pole-balance-non-markov"  # the problem whose animation opens the home page
PROSE = ("method", "reading-path")  # pages of prose that lie beside this file
DESCRIPTIONS = {
    "index": "Fifty-eight learning problems from Jürgen Schmidhuber's papers, each a small numpy "
    "program, with its animation and a computed verdict.",
    "set-up": "How to install the catalog, run a problem and measure its claims.",
    "reading-path": "Where a beginner starts, and what each problem on the way teaches.",
    "results": "All problems in one table: verdict, main claim, the paper's value beside ours.",
    "claims": "Every claim with its interval, seeds and verdict, by era.",
    "comparison": "The earlier public catalog's headlines and seconds beside ours.",
    "tour": "Every problem's animation with a caption.",
    "lineage": "How the ideas lead from one problem to the next, drawn.",
    "method": "How a claim becomes a verdict: seeds, intervals, settings, controls, seconds.",
    "contract": "What a folder of the catalog holds, and how a script is built.",
    "glossary": "The words of the catalog.",
}


def pages(sheets, root):
    """The Markdown of every page, by its name among the pages."""
    contract, _, glossary = (
        (root / "SPEC.md").read_text(encoding="utf-8").partition("\n## Glossary\n")
    )
    readme_page = (root / "README.md").read_text(encoding="utf-8")
    texts = {
        "SUMMARY.md": summary(sheets),
        "index.md": home(sheets, readme_page),
        "set-up.md": set_up(sheets, readme_page),
        "results.md": results(sheets),
        "claims.md": f"# Every claim\n{every_claim(sheets)}",
        "comparison.md": repository_links(compare.page(sheets), sheets),
        "tour.md": tour(sheets),
        "lineage.md": lineage_page(sheets),
        "contract.md": repository_links(contract, sheets),
        "glossary.md": repository_links(f"# Glossary\n{glossary}", sheets),
    }
    for name in PROSE:
        text = (HERE / f"{name}.md").read_text(encoding="utf-8")
        text = text.replace("<!-- seconds -->\n", report.machines(sheets))
        texts[f"{name}.md"] = repository_links(text, sheets)
    return texts | {
        f"{sheet.problem.slug}/index.md": problem_page(sheet, sheets) for sheet in sheets
    }


def descriptions(sheets):
    """What search engines and previews say of a page, by its path among the built pages."""
    found = {f"{name}.html": text for name, text in DESCRIPTIONS.items()}
    return found | {f"{s.problem.slug}/index.html": s.problem.summary for s in sheets}


def summary(sheets):
    """mdBook's table of contents."""
    lines = [
        "# Summary",
        "",
        "[Home](index.md)",
        "[Set-up](set-up.md)",
        "[Reading path](reading-path.md)",
        "[Results](results.md)",
        "[Every claim](claims.md)",
        "[Beside the earlier catalog](comparison.md)",
        "[Visual tour](tour.md)",
        "[Lineage](lineage.md)",
        "[Method](method.md)",
        "[Glossary](glossary.md)",
    ]
    for era, group in report.by_era(sheets):
        lines += ["", f"# {era}", ""]
        lines += [
            f"- [{markdown(sheet.problem.title)}]({sheet.problem.slug}/index.md)" for sheet in group
        ]
    return "\n".join([*lines, "", "# For contributors", "", "- [The contract](contract.md)", ""])


# --- home, tour, lineage, set-up ---------------------------------------------------------------


def home(sheets, readme_page):
    """The opening of the README, one animation, the gallery, the timeline."""
    opening = readme_page.split("\n![")[0].split("\n## ")[0]
    lead = next((sheet for sheet in sheets if sheet.problem.slug == LEAD), sheets[0])
    cards = "".join(card(sheet) for sheet in sheets)
    return (
        f"{without_comments(opening).strip()}\n\n{animation(lead, link=True)}\n\n"
        "New here? Begin with the [reading path](reading-path.md), or [set it up](set-up.md) and "
        "run a problem. What the verdicts mean: [method](method.md).\n\n"
        f"{key(sheets)}\n\n## The problems\n\n"
        f"{filters(sheets, '.gallery', 'theme', 'era', 'verdict')}\n\n"
        f'<ul class="gallery">{cards}</ul>\n\n'
        "## The years\n\nAcross, the year of the paper; down, the line of ideas. How one leads to "
        f"another: [lineage](lineage.md).\n\n{key(sheets)}\n\n{timeline(sheets)}\n\n"
        f'<ul class="years">{years_list(sheets)}</ul>\n'
    )


def animation(sheet, link=False):
    """The animation of a problem with its caption, at the head of a page."""
    problem = sheet.problem
    up = f"{problem.slug}/" if link else ""
    words = plain(problem.caption)
    if link:
        words = f'<a href="{up}index.html">{plain(problem.title)}</a> ({problem.year}). {words}'
    return (
        f'<img class="lead" src="{up}{problem.gif.name}" alt="{plain(problem.caption)}" '
        f'width="640">\n\n<p class="caption">{words}</p>'
    )


def shared_themes(sheets):
    """The themes of two problems or more, in alphabetical order."""
    themes = [theme for sheet in sheets for theme in sheet.problem.themes]
    return sorted({theme for theme in themes if themes.count(theme) > 1}, key=str.lower)


def filters(sheets, of, *names):
    """A search box and menus by name over what the selector `of` holds; shown by the script."""
    values = {
        "theme": shared_themes(sheets),
        "era": [era for era, _ in report.by_era(sheets)],
        "setting": [s for s in problems.SETTINGS if any(x.problem.setting == s for x in sheets)],
        "verdict": [verdict for verdict in SHAPES if any(x.verdict == verdict for x in sheets)],
    }
    menus = "".join(
        f'<label>{name} <select data-filter="{name}"><option value="">all</option>'
        + "".join(f"<option>{plain(value)}</option>" for value in values[name])
        + "</select></label>"
        for name in names
    )
    return (
        f'<div class="filters" data-of="{of}" hidden>'
        f'<label>search <input type="search" data-filter="search"></label>{menus}'
        '<output aria-live="polite"></output></div>'
    )


def facts_of(sheet):
    """What filters and search read of a problem, as attributes of its card or row."""
    problem = sheet.problem
    found = [problem.slug, problem.summary, problem.citation]
    found += [result.claim.name for result in sheet.outcomes]
    values = {
        "slug": problem.slug,
        "theme": "|".join(problem.themes),
        "era": problem.era,
        "setting": problem.setting,
        "verdict": sheet.verdict,
        "search": " ".join(found),
    }
    return " ".join(f'data-{name}="{plain(value)}"' for name, value in values.items())


def poster(sheet, width=320):
    """A still of the animation that plays when the pointer is on it, or its button is pressed."""
    problem = sheet.problem
    stem = f"{problem.slug}/"
    return (
        f'<span class="poster"><img loading="lazy" decoding="async" width="{width}" '
        f'src="{stem}poster.webp" data-gif="{stem}{problem.gif.name}" '
        f'alt="{plain(problem.caption)}"><button type="button" class="play" hidden '
        f'aria-label="Play: {plain(problem.title)}">▶</button></span>'
    )


def card(sheet):
    """A problem in the gallery."""
    problem = sheet.problem
    return (
        f"<li {facts_of(sheet)}>{poster(sheet)}"
        f'<a href="{problem.slug}/index.html">{plain(problem.title)}</a> '
        f'<span class="year">{problem.year}</span> {badge(sheet.verdict)}'
        f"<p>{plain(problem.summary)}</p></li>"
    )


def tour(sheets):
    """Every animation with its caption; a still until it is played."""
    text = "# Visual tour\n\nEvery problem and what learning it looks like. A picture plays "
    text += "while the pointer is on it, or when its button is pressed.\n"
    for era, group in report.by_era(sheets):
        text += f"\n## {era}\n"
        for sheet in group:
            p = sheet.problem
            text += f"\n### {markdown(p.title)} ({p.year})\n\n{markdown(p.summary)} "
            text += f"[More on {markdown(p.title)}]({p.slug}/index.md)\n\n"
            text += f"{poster(sheet, width=640)}\n\n"
            text += f'<p class="caption">{plain(p.caption)}</p>\n'
    return text


def lineage_page(sheets):
    """Who takes up whose idea: drawn, then in words."""
    titles = {sheet.problem.slug: sheet.problem.title for sheet in sheets}
    text = "# Lineage\n\nWhich problem takes up the idea of which earlier one, as we read them.\n\n"
    text += '<p class="drawn">Time runs down; a column is a line of ideas. Point at a problem to '
    text += f"see what it came from and what came of it.</p>\n\n{key(sheets)}\n\n"
    text += f"{lineage(sheets)}\n\n## In words\n"
    for era, group in report.by_era(sheets):
        text += f"\n### {era}\n\n"
        for sheet in group:
            p = sheet.problem
            text += f"- **[{markdown(p.title)}]({p.slug}/index.md)** ({p.year}). "
            text += markdown(p.summary)
            for slug, why in p.builds_on.items():
                text += f" *From [{markdown(titles[slug])}]({slug}/index.md): "
                text += f"{markdown(why)}.*"
            text += "\n"
    return text


def set_up(sheets, readme_page):
    """The README's sections on installing and running."""
    names = ("Two commands", "What a run prints", "Sweep seeds, check a claim")
    text = "# Set-up\n\n" + "".join(section(readme_page, name) for name in names)
    return repository_links(text, sheets)


# --- results -----------------------------------------------------------------------------------


def results(sheets):
    """One table over all problems, sortable and filterable by script, plain without."""
    head = ["problem", "year", "setting", "verdict", "claims", "controls", "v1", "seconds"]
    head += ["main claim", "paper", "ours", "ours / paper"]
    heads = "".join(f"<th>{name}</th>" for name in head)
    rows = "".join(result_row(sheet) for sheet in sheets)
    prose = report.results_page(sheets).split("# Results\n", 1)[1].split("\n## ", 1)[0]
    return (
        f"# Results\n{prose}\n"
        f"{filters(sheets, '#all-problems tbody', 'era', 'theme', 'setting', 'verdict')}\n\n"
        f'<div class="scroll" tabindex="0"><table id="all-problems"><thead><tr>{heads}</tr></thead>'
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
        problem.setting,
        badge(sheet.verdict),
        (count(sheet.paper), share(sheet.paper)),
        (count(sheet.controls), share(sheet.controls)),
        old,
        sheet.seconds(),
        plain(f"{main.claim.name} {main.claim.holds}"),
        (NONE if published is None else number(published), published),
        (f'<span title="{plain(measured(main))}">{ours}</span>', main.value),
        (ratio(main), main.ratio),
    ]
    pairs = (cell if isinstance(cell, tuple) else (cell, None) for cell in cells)
    columns = "".join(
        f"<td>{text}</td>" if value is None else f'<td data-sort="{value}">{text}</td>'
        for text, value in pairs
    )
    return f"<tr {facts_of(sheet)}>{columns}</tr>"


def share(results):
    """Which part of the outcomes holds; None where there are none."""
    return sum(result.holds for result in results) / len(results) if results else None


def every_claim(sheets):
    """The tables of RESULTS.md below the sortable one."""
    page = report.results_page(sheets)
    return repository_links("\n## " + "\n## ".join(page.split("\n## ")[1:]), sheets)


# --- a problem ---------------------------------------------------------------------------------


def problem_page(sheet, sheets):
    """README with working links and formulas, facts first, claims as plots, the source folded."""
    problem = sheet.problem
    text = (problem.folder / "README.md").read_text(encoding="utf-8")
    parts = readme.generated_parts(sheet, text)
    parts["header"] = f"{facts(sheet, sheets)}\n\n{animation(sheet)}\n"
    parts["results"] = plots(sheet) + readme.claims_section(sheet)
    parts["results"] += f"\n{late(f'{problem.slug}/metrics')}\n"
    text = report.filled_text(text, problem.folder, **parts)
    text = repository_links(without_comments(text), sheets, problem)
    text = formulas(drop_picture(text, problem.gif.name), problem.slug)
    for script in scripts(problem):
        text += f"\n## Source: {script.name}\n\n{defined(script)}\n\n"
        text += late(f"{problem.slug}/{script.name}") + "\n"
    return text


def late(name):
    """The place of a part that comes into the built page, unread by mdBook and by its search."""
    return f'<div data-late="{name}"></div>'


def late_parts(sheet):
    """Those parts as HTML by name: every metric, and the scripts."""
    problem = sheet.problem
    parts = {f"{problem.slug}/{script.name}": source(script) for script in scripts(problem)}
    return parts | {f"{problem.slug}/metrics": metrics(sheet)}


def scripts(problem):
    """The scripts of a problem, the headline's first."""
    return list(dict.fromkeys(variant.script for variant in problem.variants.values()))


def facts(sheet, sheets):
    """What a visitor wants to know first, as a table."""
    problem, main = sheet.problem, sheet.main
    program = f"python3 {problem.slug}/{problem.script.name}"
    took = f", {sheet.seconds()} s" if sheet.time else ""
    heirs = [s.problem.slug for s in sheets if problem.slug in s.problem.builds_on]
    files = [f'<a href="#source-{problem.script.name.replace(".", "")}">source</a>']
    files += [
        f'<a href="{name}" download>{words}</a>'
        for name, words in (
            (problem.script.name, "script"),
            ("problem.toml", "card"),
            ("results.json", "record"),
        )
    ]
    rows = {
        "main claim": f"<b>{markdown(main.claim.name)}</b> {demand(main)}",
        "the paper": reported(main.claim),
        "ours": f"{markdown(measured(main))}{readme.ours_over_published(main)}",
        "verdict": f"{badge(sheet.verdict)} {readme.tally_words(sheet)}",
        "setting": f"**{problem.setting}**: {readme.SETTINGS[problem.setting]}",
        "first look": f"<code>{program} --quick</code>, about 2 s",
        "whole run": f"<code>{program} --seed 0</code>{took}",
        "themes": markdown(", ".join(problem.themes)),
        "builds on": kin(problem.builds_on, sheets),
        "leads to": kin(heirs, sheets),
        "paper": " ".join([markdown(problem.citation), *map(web_link, problem.url)]),
        "files": " · ".join(files),
        "cite": "the paper, and this folder: " + markdown(cite(problem)),
    }
    cells = "".join(f"| {name} | {text} |\n" for name, text in rows.items() if text)
    cells = f'<div class="facts">\n\n| | |\n| --- | --- |\n{cells}\n</div>'
    return f"{markdown(problem.summary)}\n\n{cells}"


def kin(slugs, sheets):
    """Links to problems by slug."""
    titles = {sheet.problem.slug: sheet.problem.title for sheet in sheets}
    links = (f'<a href="../{slug}/index.html">{plain(titles[slug])}</a>' for slug in slugs)
    return ", ".join(links)


def cite(problem):
    """How to name the folder in a paper."""
    return (
        f"{problem.title} ({problem.slug}), in: The learning problems of Jürgen Schmidhuber's "
        f"experimental papers, version {version('schmidhuber-problems')}."
    )


def defined(script):
    """What a script defines, by name and first sentence, folded."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    rows = ""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            first = (ast.get_docstring(node) or "").split("\n\n")[0].split(". ")[0]
            rows += f"<dt><code>{node.name}</code></dt><dd>{plain(first)}</dd>"
    return f"<details><summary>What it defines</summary><dl>{rows}</dl></details>"


def source(script):
    """The source of a script, folded, as HTML."""
    text = script.read_text(encoding="utf-8")
    return (
        f"<details><summary>{text.count(chr(10))} lines</summary>"
        f'<pre><code class="language-python">{html.escape(text)}</code></pre></details>'
    )


def metrics(sheet):
    """Every metric of every variant, folded, as HTML."""
    tables = ""
    for variant in sheet.problem.variants.values():
        rows = [STATISTICS_HEAD, *statistics(sheet.current(variant.name))]
        cells = "".join(
            "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row) + "</tr>"
            for tag, row in zip(["th"] + ["td"] * len(rows), rows, strict=False)
        )
        words = f"{command(sheet.problem, variant)}, {seeds_of(sheet, variant)}"
        tables += f"<p><b>{html.escape(variant.name)}</b>: <code>{html.escape(words)}</code></p>"
        tables += f'<div class="scroll" tabindex="0"><table>{cells}</table></div>'
    return f"<details><summary>Every metric</summary>{tables}</details>"
