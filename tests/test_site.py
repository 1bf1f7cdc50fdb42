"""The site: it builds fast, every link resolves, a real browser asks for nothing from elsewhere."""

import functools
import http.server
import json
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from catalog import ROOT, CatalogError, book, problems, tables
from tests.conftest import catalog

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The whole site, and the seconds that its build took."""
    out = tmp_path_factory.mktemp("site")
    start = time.perf_counter()
    book.build(out)
    return out, time.perf_counter() - start


def test_builds_fast(site):
    assert site[1] < 20 * max(1, len(problems.folders()) / 12)


def test_every_link_resolves(site):
    assert book.dead_links(site[0]) == []


def test_the_table_is_plain_html(site):
    page = (site[0] / "results.html").read_text()
    body = page.split('<table id="all-problems">')[1].split("</table>")[0]
    for folder in problems.folders():
        assert f'href="{folder.name}/index.html"' in body
        assert (site[0] / folder.name / "index.html").is_file()


def test_every_claim_has_its_own_page(site):
    claims, results = ((site[0] / f"{name}.html").read_text() for name in ("claims", "results"))
    for sheet in map(tables.Sheet, problems.load_all()):
        assert claims.count(f'href="{sheet.problem.slug}/index.html"') >= 1
    assert 'id="the-earlier-catalogs-yardstick"' in claims
    assert len(results) < len(claims)


def test_every_problem_is_on_timeline_strip_and_tour(site):
    home, tour = ((site[0] / name).read_text() for name in ("index.html", "tour.html"))
    for problem in problems.load_all():
        assert len(re.findall(rf'<a href="{problem.slug}/index.html"', home)) >= 2
        assert f'src="{problem.slug}/{problem.gif.name}"' in tour


def test_a_problem_page_is_whole(site):
    for sheet in map(tables.Sheet, problems.load_all()):
        page = (site[0] / sheet.problem.slug / "index.html").read_text()
        assert page.count("<figure>") == sum(not result.trouble for result in sheet.outcomes)
        assert page.count('class="bound"') >= page.count("<figure>")
        dots = sum(
            sheet.problem.variants[r.claim.variant].seeds for r in sheet.outcomes if not r.trouble
        )
        assert page.count('class="dot"') == dots, "every seed a dot"
        assert 'class="language-python"' in page and "$$" not in page.split("<code class")[0]


# --- what must fail ----------------------------------------------------------------------------


def test_a_missing_picture_is_one_clear_line(repository):
    (repository / "my-problem" / "viz" / "learning.png").unlink()
    done = catalog(repository, "book")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "my-problem/index.html links to viz/learning.png, which does not exist" in done.stderr


def test_a_broken_formula_is_one_clear_line(repository):
    readme = repository / "my-problem" / "README.md"
    readme.write_text(readme.read_text().replace(r"$x$", r"$\frac{1}{$"))
    done = catalog(repository, "book")
    assert done.returncode == 2 and "formula" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "text, message",
    [
        ("{{#include ../../secret.txt}}", "pulls other files into the page"),
        ("<!-- left open", "a comment is left open"),
        ("```", "a code fence is left open"),
        ("<details>", "<details> is left open"),
    ],
)
@pytest.mark.parametrize("page", ["my-problem/README.md", "README.md", "SPEC.md"])
def test_a_page_with_a_fault_is_one_clear_line(repository, page, text, message):
    readme = repository / page
    readme.write_text(readme.read_text() + f"\n{text}\n")
    with pytest.raises(CatalogError) as refusal:
        book.build(repository / "out", repository)
    assert str(refusal.value).startswith(f"{page}, line") and message in str(refusal.value)
    assert not (repository / "out").exists()


def test_a_card_cannot_put_markup_or_files_into_the_site(repository):
    card = repository / "my-problem" / "problem.toml"
    hostile = r"](x) [<script>alert(1)</script> {{#include README.md}} *b* | `c` $x$ a"
    text = re.sub(
        r'(?m)^(title|summary|caption|citation) = ".*"', rf'\1 = "{hostile}"', card.read_text()
    )
    card.write_text(
        re.sub(r'(paper|control|name|where|ours) = ".*"', rf'\1 = "{hostile}"', text, count=2)
    )
    book.build(repository / "out", repository)
    for path in (repository / "out").rglob("*.html"):
        page = path.read_text()
        assert "<script>alert" not in page and 'href="x"' not in page, path
        assert "<mi>x</mi></math> a" not in page and 'alt="<' not in page, path
        assert "What is hard, in plain words" not in page or path.parent.name == "my-problem"


def test_text_for_html_is_one_line_of_plain_text():
    assert book.plain("a\n\n[b](x) $y$ <c>") == "a &#91;b&#93;(x) &#36;y&#36; &lt;c&gt;"


def test_the_glossary_has_its_own_page(site):
    glossary, contract = (
        (site[0] / f"{name}.html").read_text() for name in ("glossary", "contract")
    )
    for word in ("setting", "verdict", "headline", "control", "v1", "kernel"):
        assert f"<strong>{word}</strong>" in glossary
    assert "<strong>kernel</strong>" not in contract


def test_other_content_is_not_overwritten(repository):
    (repository / "mine").mkdir()
    (repository / "mine" / "letter.txt").write_text("dear")
    done = catalog(repository, "book", "--out", "mine")
    assert (
        done.returncode == 2
        and "something else" in done.stderr
        and (repository / "mine" / "letter.txt").read_text() == "dear"
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ('<a href="gone.html">x</a>', "gone.html, which does not exist"),
        ('<a href="#nowhere">x</a>', "no such place"),
        ('<img src="a.png" alt="">', "without alternative text"),
        ('<script src="https://example.org/x.js"></script>', "from elsewhere"),
    ],
)
def test_dead_links_are_found(tmp_path, text, message):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "index.html").write_text(f'<p id="here"></p><a href="#here">x</a>{text}')
    assert len(book.dead_links(tmp_path)) == 1 and message in book.dead_links(tmp_path)[0]


def test_formulas_and_links():
    assert "<math" in book.formulas("a $x_i$ b", "s") and "$" not in book.formulas(
        "$$x$$ and $y$", "s"
    )
    assert book.formulas("`$x$`, it costs $5 or $6", "s") == "`$x$`, it costs $5 or $6"
    assert "_" not in re.sub("<[^>]*>", "", book.formulas("$a_b$ and $c_d$", "s"))
    with pytest.raises(CatalogError, match="formula"):
        book.formulas(r"$\frac{1}{$", "s")


# --- a real browser ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(site[0]))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (CHROMIUM and DRIVER):
        pytest.skip("no chromium with chromedriver on this machine")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_window_size(1300, 900)
    yield driver
    driver.quit()


def until(condition, seconds=15):
    """The first true value of condition()."""
    deadline = time.time() + seconds
    while time.time() < deadline:
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def requests(browser):
    """Addresses that the pages have asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        m["params"]["request"]["url"]
        for m in messages
        if m["method"] == "Network.requestWillBeSent"
    ]


def shown_rows(browser):
    script = "return [...document.querySelectorAll('#all-problems tbody tr')]"
    script += ".filter(r => !r.hidden).map(r => r.dataset.slug)"
    return browser.execute_script(script)


def column(browser, name):
    heads = browser.execute_script(
        "return [...document.querySelectorAll('#all-problems th')].map(c => c.textContent)"
    )
    index = heads.index(name)
    script = "return [...document.querySelectorAll('#all-problems tbody tr')]"
    script += f".map(r => r.cells[{index}].textContent)"
    return browser.execute_script(script)


def click_head(browser, name):
    browser.execute_script(
        "[...document.querySelectorAll('#all-problems th button')]"
        f".find(b => b.textContent === '{name}').click()"
    )


def type_filter(browser, name, value):
    script = "const i = document.querySelector(`[data-filter=${arguments[0]}]`);"
    script += "i.value = arguments[1]; i.dispatchEvent(new Event('input'))"
    browser.execute_script(script, name, value)


@pytest.mark.parametrize("name", ["problem", "year", "seconds", "verdict"])
def test_results_sort(browser, address, name):
    browser.get(f"{address}/results.html")
    click_head(browser, name)
    up = column(browser, name)
    numbers = [float(text.replace(",", "")) for text in up if re.match(r"\d", text)]
    words = [text.lower() for text in up if not re.match(r"\d", text)]
    assert numbers == sorted(numbers) and words == sorted(words)
    assert all(re.match(r"\d", text) for text in up[: len(numbers)]), "numbers before dashes"
    click_head(browser, name)
    down = column(browser, name)
    assert down[: len(numbers)] == up[: len(numbers)][::-1] or len(set(up)) < len(up)


def test_results_filter_and_search(browser, address):
    browser.get(f"{address}/results.html")
    known = problems.load_all()
    assert sorted(shown_rows(browser)) == sorted(p.slug for p in known)
    for name, get in {
        "era": lambda p: p.era,
        "setting": lambda p: p.setting,
        "theme": lambda p: p.themes[0],
    }.items():
        type_filter(browser, name, get(known[0]))
        wanted = [
            p.slug for p in known if get(known[0]) in (p.themes if name == "theme" else [get(p)])
        ]
        assert sorted(shown_rows(browser)) == sorted(wanted)
        type_filter(browser, name, "")
    type_filter(browser, "search", "bucket XOR")
    assert shown_rows(browser) == ["nbb-xor"]
    type_filter(browser, "search", "no such words")
    assert shown_rows(browser) == []


@pytest.mark.parametrize("word", ["Hochreiter", "gradient", "LSTM"])
def test_search_reads_summary_citation_and_claims(browser, address, word):
    browser.get(f"{address}/results.html")
    type_filter(browser, "search", word)
    wanted = [
        p.slug
        for p in problems.load_all()
        if word in p.citation or word in p.summary or word in p.title
    ]
    assert wanted and set(wanted) <= set(shown_rows(browser))


def test_claims_sort_by_their_share_and_values_as_numbers(browser, address):
    browser.get(f"{address}/results.html")
    click_head(browser, "claims")
    shares = [text.split("/") for text in column(browser, "claims")]
    shares = [int(held) / int(all_) for held, all_ in shares]
    assert shares == sorted(shares) and len(set(shares)) > 3
    for name in ("paper", "ours", "ours / paper"):
        click_head(browser, name)
        values = [text for text in column(browser, name) if text != "–"]
        values = [float(text.replace(",", "")) for text in values]
        assert len(values) > 10 and values == sorted(values)


def test_the_paper_s_value_stands_beside_ours(browser, address):
    browser.get(f"{address}/results.html")
    slugs, heads = shown_rows(browser), ("paper", "ours", "ours / paper")
    shown = dict(zip(slugs, zip(*(column(browser, h) for h in heads), strict=True), strict=True))
    for sheet in map(tables.Sheet, problems.load_all()):
        main = sheet.main
        there = "–" if main.claim.published is None else tables.number(main.claim.published)
        assert shown[sheet.problem.slug] == (there, tables.number(main.value), tables.ratio(main))


def test_going_back_keeps_filter_search_and_order(browser, address):
    browser.get(f"{address}/results.html")
    type_filter(browser, "verdict", "partial")
    type_filter(browser, "search", "net")
    click_head(browser, "year")
    click_head(browser, "year")
    rows = shown_rows(browser)
    assert 0 < len(rows) < len(problems.folders())
    browser.execute_script(f"document.querySelector('tr[data-slug={rows[0]}] a').click()")
    until(lambda: browser.current_url.endswith(f"/{rows[0]}/index.html"))
    browser.back()
    until(lambda: "results.html" in browser.current_url and shown_rows(browser) == rows)
    values = (
        "return ['verdict', 'search'].map(n => document.querySelector(`[data-filter=${n}]`).value)"
    )
    assert browser.execute_script(values) == ["partial", "net"]
    years = [int(year) for year in column(browser, "year")]
    assert years == sorted(years, reverse=True)


def test_the_first_column_stays_in_sight(browser, address):
    browser.set_window_size(720, 900)
    browser.get(f"{address}/results.html")
    left = "return document.querySelector('#all-problems tbody td').getBoundingClientRect().left"
    before = browser.execute_script(left)
    browser.execute_script("document.querySelector('.scroll').scrollLeft = 60")
    assert browser.execute_script("return document.querySelector('.scroll').scrollLeft") > 30
    assert abs(browser.execute_script(left) - before) < 2
    browser.set_window_size(1300, 900)


def test_numbers_fit_a_wide_screen(browser, address):
    browser.set_window_size(1300, 900)
    browser.get(f"{address}/results.html")
    script = "const s = document.querySelector('.scroll'); return [s.scrollWidth, s.clientWidth]"
    needed, there = browser.execute_script(script)
    assert needed <= there


def test_a_narrow_screen_shows_cards(browser, address):
    browser.set_window_size(390, 900)
    browser.get(f"{address}/results.html")
    width = "const t = document.getElementById('all-problems'); return [t.scrollWidth, innerWidth]"
    table, screen = browser.execute_script(width)
    assert table <= screen
    cell = "document.querySelector('#all-problems td:nth-child(2)')"
    label = f"return getComputedStyle({cell}, '::before').content"
    assert "year" in browser.execute_script(label)
    browser.set_window_size(1300, 900)


def contrast(one, other):
    """Contrast ratio of two colours (red, green, blue) as WCAG 2 defines it."""

    def luminance(colour):
        parts = [c / 255 for c in colour]
        parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "navy"])
def test_links_and_verdicts_can_be_read(browser, address, theme):
    browser.get(f"{address}/results.html")
    browser.execute_script(f"localStorage.setItem('mdbook-theme', '{theme}')")
    browser.refresh()
    script = "const e = document.querySelector(arguments[0]); return e && getComputedStyle(e)."
    page = browser.execute_script(f"{script}backgroundColor", "html")
    verdicts = (f".verdict.{name}" for name in ("reproduced", "partial", "not-reproduced"))
    for place in ("main a:not(.header)", "#all-problems td", *verdicts):
        colour = browser.execute_script(f"{script}color", place)
        if colour:  # no verdict of this kind
            pair = ([float(x) for x in re.findall(r"[\d.]+", text)[:3]] for text in (colour, page))
            assert contrast(*pair) >= 4.5, (place, colour, page)


def test_a_row_opens_its_problem(browser, address):
    browser.get(f"{address}/results.html")
    browser.execute_script("document.querySelector('tr[data-slug=nbb-xor]').cells[3].click()")
    until(lambda: browser.current_url.endswith("/nbb-xor/index.html"))


def test_search_finds_a_word_that_only_a_script_holds(browser, address):
    word = "note_streaks"
    assert word in (ROOT / "nbb-xor" / "nbb_xor.py").read_text()
    assert word not in (ROOT / "nbb-xor" / "README.md").read_text()
    browser.get(f"{address}/index.html?search={word}")
    script = "return [...document.querySelectorAll('#mdbook-searchresults a, #searchresults a')]"
    script += ".map(a => a.href)"
    links = until(lambda: browser.execute_script(script))
    assert any("/nbb-xor/index.html" in link for link in links)


def test_a_problem_page_shows_its_gif(browser, address):
    browser.get(f"{address}/nbb-xor/index.html")
    size = until(
        lambda: browser.execute_script("return document.querySelector('img.lead').naturalWidth")
    )
    assert size == 640
    assert browser.execute_script("return document.querySelectorAll('math').length") > 3
    assert (
        browser.execute_script("return document.querySelectorAll('code.hljs .hljs-keyword').length")
        > 20
    ), "source is highlighted"


@pytest.mark.parametrize("width", [390, 1300])
@pytest.mark.parametrize("theme", ["light", "navy"])
def test_pages_fit_and_stay_at_home(browser, address, width, theme):
    browser.set_window_size(width, 900)
    requests(browser), browser.get_log("browser")
    shown = "index", "results", "claims", "tour", "contract", "nbb-xor/index"
    for page in (f"{name}.html" for name in shown):
        browser.get(f"{address}/{page}")
        browser.execute_script(f"localStorage.setItem('mdbook-theme', '{theme}')")
        browser.refresh()
        until(lambda: browser.execute_script("return document.readyState") == "complete")
        assert theme in browser.execute_script("return document.documentElement.className").split()
        wide = browser.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 1, f"{page} is {wide} pixels too wide"
    errors = [
        entry["message"]
        for entry in browser.get_log("browser")
        if entry["level"] in ("SEVERE", "ERROR")
    ]
    assert [error for error in errors if "favicon" not in error] == []
    asked = requests(browser)
    assert asked and all(url.startswith((address, "data:", "blob:")) for url in asked), [
        u for u in asked if not u.startswith(address)
    ]
    browser.set_window_size(1300, 900)


def test_workflow_publishes_what_the_command_builds():
    text = Path(ROOT / ".github" / "workflows" / "pages.yml").read_text()
    assert "make site" in text and "path: book" in text
