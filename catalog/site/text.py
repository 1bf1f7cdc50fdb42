"""Markdown of the repository as Markdown of the site: links, formulas, sections of the README."""

from __future__ import annotations

import re

from catalog import CatalogError

REPOSITORY_PAGES = {
    "RESULTS.md": "results.md",
    "RESULTS.md#the-earlier-catalogs-yardstick": "claims.md#the-earlier-catalogs-yardstick",
    "VISUAL_TOUR.md": "tour.md",
    "SPEC.md": "contract.md",
    "SPEC.md#glossary": "glossary.md",
    "README.md": "index.md",
}


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


def section(page, name):
    """A section of the second level of a page of Markdown, with its heading; empty if missing."""
    parts = (part for part in page.split("\n## ") if part.startswith(name + "\n"))
    return "".join(f"## {part}\n" for part in parts)


def drop_picture(text, name):
    """The text without the Markdown picture of that name."""
    return re.sub(rf"!\[(?:\\.|[^\]\\])*\]\({re.escape(name)}\)\n?", "", text)
