"""Pages that people write: what must not stand in them, and the parts that programs use."""

from __future__ import annotations

import re
from html.parser import HTMLParser

FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)")
INCLUDE = re.compile(r"\{\{\s*#")
BLOCKS = set(
    "article aside blockquote details div dl figure form iframe nav noscript ol pre script "
    "section select style summary svg table template textarea ul".split()
)


def faults(text):
    """What would spoil a page, one line each: commands of mdBook, and what is left open."""
    lines = text.splitlines()
    wrong = [
        f"line {i}: '{{{{#' pulls other files into the page"
        for i, line in enumerate(lines, 1)
        if INCLUDE.search(line)
    ]
    prose, opened = without_fences(lines)
    if opened:
        return wrong + [f"line {opened}: a code fence is left open"]
    prose = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", "\n".join(prose))  # code in a line
    for pattern in (r"<!--.*?-->", r"\$\$.*?\$\$", r"\$(?!\s)[^$\n]+?(?<!\s)\$"):
        prose = re.sub(pattern, lambda match: "\n" * match[0].count("\n"), prose, flags=re.DOTALL)
    if "<!--" in prose:
        place = prose[: prose.index("<!--")].count("\n") + 1
        return wrong + [f"line {place}: a comment is left open"]
    return wrong + Tags(prose).wrong


def without_fences(lines):
    """The lines with fenced code made empty, and the line number of a fence left open, or 0."""
    kept, fence, opened = [], "", 0
    for i, line in enumerate(lines, 1):
        found = FENCE.fullmatch(line)
        if not fence and found and not ("`" in found["fence"] and "`" in found["info"]):
            fence, opened = found["fence"], i
        elif not fence:
            kept.append(line)
            continue
        elif found and found["fence"].startswith(fence) and not found["info"].strip():
            fence, opened = "", 0
        kept.append("")
    return kept, opened


class Tags(HTMLParser):
    """Finds block elements that are closed without being open, or left open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.wrong = [], []
        self.feed(text)
        self.close()
        self.wrong += [f"line {line}: <{tag}> is left open" for tag, line in self.open]

    def handle_starttag(self, tag, attributes):
        if tag in BLOCKS:
            self.open.append((tag, self.getpos()[0]))

    def handle_startendtag(self, tag, attributes):
        """An element that closes itself needs no partner."""

    def handle_endtag(self, tag):
        if tag not in BLOCKS:
            return
        if self.open and self.open[-1][0] == tag:
            self.open.pop()
        else:
            self.wrong.append(f"line {self.getpos()[0]}: </{tag}> closes nothing")


def section(text, title):
    """What stands under the heading '## title', up to the next one; empty where there is none."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def baseline(text):
    """The Python code under '### As a baseline' of the section Running, or None."""
    pattern = r"^### As a baseline\n(?:(?!^#)[^\n]*\n)*?```python\n(.*?)^```$"
    found = re.search(pattern, section(text, "Running"), re.MULTILINE | re.DOTALL)
    return found[1] if found else None


def words(text):
    """How many words a reader meets, folded parts and comments left out."""
    text = re.sub(r"<details>.*?</details>|<!--.*?-->", "", text, flags=re.DOTALL)
    return len(re.findall(r"\S*\w\S*", text))
