"""Hostile text of cards: shown as it stands by the renderer of the site, harmless in a terminal."""

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.escape import markdown, plain

HOSTILE = [
    "lags of <n> steps",
    "a<b and x>y",
    "](x) [",
    "<script>alert(1)</script>",
    "<!-- open",
    "<div>",
    "{{#include /etc/passwd}}",
    "\\{{#include x}}",
    "a | b \\| c",
    "a\\|b\\\\",
    "*bold* _it_ **b** __i__ ~~s~~",
    "x*y*z, snake_case_name",
    "`code` ``",
    "```python",
    "~~~",
    "$x_i$ costs $5",
    "&lt; &amp; &#42; AT&T",
    "# heading",
    "### heading {#id .class}",
    "- item",
    "+ item",
    "* item",
    "1. item",
    "12) item",
    "> quote",
    "---",
    "===",
    "    indented",
    ": definition",
    "![alt](x.png)",
    "[^1]: note",
    "[a]: https://example.org",
    "-33 of 0.5. And 2.",
    "quotes \"a\" and 'b'",
]
PLACES = [
    "{}",
    "## {}",
    "**{}**",
    "*{}*",
    "| a | b |\n| --- | --- |\n| {} | end |",
    "[{}](page.md)",
]


def mdbook():
    beside = Path(sys.executable).with_name("mdbook")
    return str(beside) if beside.exists() else shutil.which("mdbook")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """The text of every hostile example in every place, as mdBook shows it."""
    if mdbook() is None:
        pytest.skip("mdbook is not installed")
    root = tmp_path_factory.mktemp("book")
    (root / "src").mkdir()
    (root / "book.toml").write_text("[output.html]\nsmart-punctuation = false\n")
    (root / "src" / "SUMMARY.md").write_text("- [Page](page.md)\n")
    parts = []
    for i, text in enumerate(HOSTILE):
        for j, place in enumerate(PLACES):
            parts.append(
                f"BEGIN{i}x{j}.\n\n{place.replace('{}', markdown(text))}\n\nEND{i}x{j}.\n\n"
            )
    (root / "src" / "page.md").write_text("".join(parts))
    done = subprocess.run([mdbook(), "build", str(root)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (root / "book" / "page.html").read_text()
    found = {}
    for i in range(len(HOSTILE)):
        for j in range(len(PLACES)):
            inside = page.split(f"BEGIN{i}x{j}.</p>")[1].split(f"<p>END{i}x{j}.")[0]
            found[i, j] = inside
    return found


@pytest.mark.parametrize("place", range(len(PLACES)), ids=PLACES)
@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=HOSTILE)
def test_the_site_shows_the_text_as_it_stands(rendered, number, place):
    inside = rendered[number, place]
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", inside)).split())
    wanted = plain(HOSTILE[number])
    if PLACES[place].startswith("|"):
        assert text == f"a b {wanted} end"
        assert inside.count("<td>") == 2
    else:
        assert text == wanted
    tags = set(re.findall(r"<([a-z0-9]+)", inside))
    allowed = {"p", "h2", "a", "strong", "em", "div", "table", "thead", "tbody", "tr", "th", "td"}
    assert tags <= allowed, tags


@pytest.mark.parametrize("text", ["lag of 20 steps", "6 of 10 trials (0.6)", "906 +- 21", "22"])
def test_ordinary_text_stays_readable(text):
    assert markdown(text) == text


def test_links_that_others_look_for_by_pattern_find_none():
    """Brackets are gone from the source, so that a search for links never sees them."""
    assert not re.search(r"[\[\]{}|<>`$]", markdown("".join(HOSTILE)))


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a\nb\tc", "a b c"),
        ("\x1b[31mred\x07", "[31mred"),
        ("right\u202eto left", "rightto left"),
        ("half \ud800 a pair", "half  a pair"),
        ("über – ≤ 3", "über – ≤ 3"),
    ],
)
def test_terminals_get_no_control_characters(text, shown):
    assert plain(text) == shown
