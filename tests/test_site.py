"""The site: it builds fast, every link resolves, a real browser asks for nothing from elsewhere."""

import functools
import html
import http.server
import json
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from catalog import ROOT, CatalogError, book, problems, tables
from catalog.site import compare, drawings, links
from catalog.site import text as site_text
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
    assert links.dead_links(site[0]) == []


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


def test_every_problem_is_in_gallery_timeline_and_list_and_in_the_tour(site):
    home, tour = ((site[0] / name).read_text() for name in ("index.html", "tour.html"))
    for problem in problems.load_all():
        assert len(re.findall(rf'<a href="{problem.slug}/index.html"', home)) >= 3
        for page in (home, tour):
            assert f'src="{problem.slug}/poster.webp"' in page
            assert f'data-gif="{problem.slug}/{problem.gif.name}"' in page
    assert len(re.findall(r'<img[^>]* src="[^"]*\.gif"', home)) == 1, "one animation plays"
    assert not re.findall(r'<img[^>]* src="[^"]*\.gif"', tour)


def test_marks_have_names_and_a_key(site):
    home = (site[0] / "index.html").read_text()
    drawing = home.split('<svg class="timeline"')[1].split("</svg>")[0]
    names = re.findall(r"<text text-anchor[^>]*>([^<]+)</text>", drawing)
    assert len(names) == len(problems.folders())
    paths = set()
    for sheet in map(tables.Sheet, problems.load_all()):
        assert drawings.mark(sheet.verdict).split(" transform")[0] in drawing
        paths.add((sheet.verdict, drawings.SHAPES[sheet.verdict]))
        assert f'class="verdict {drawings.css(sheet.verdict)}"' in home.split('<ul class="key">')[1]
    assert len({path for _, path in paths}) == len(paths), "a verdict is known by its shape"


def test_names_on_the_timeline_do_not_overlap():
    drawing = drawings.timeline([tables.Sheet(problem) for problem in problems.load_all()])
    spans = {}
    found = re.findall(r'<text text-anchor="(\w+)" x="([\d.]+)" y="([\d.]+)">([^<]+)<', drawing)
    for anchor, x, y, name in found:
        wide = drawings.SIGN * len(name)
        start = float(x) - (wide if anchor == "end" else 0)
        assert 0 <= start and start + wide <= drawings.WIDTH, name
        for other_start, other_end in spans.get(y, []):
            assert start >= other_end or start + wide <= other_start, name
        spans.setdefault(y, []).append((start, start + wide))


def test_the_lineage_leads_down(site):
    known = problems.load_all()
    page = (site[0] / "lineage.html").read_text()
    boxes = re.findall(r'data-slug="([^"]+)"[^>]*><title>.*?<rect x="[^"]*" y="([^"]*)"', page)
    at = {slug: float(y) for slug, y in boxes}
    assert set(at) == {problem.slug for problem in known}
    steps = re.findall(r'data-from="([^"]+)" data-to="([^"]+)"', page)
    assert len(steps) == sum(len(problem.builds_on) for problem in known) > 50
    assert all(at[start] < at[end] for start, end in steps)
    assert sum(not problem.builds_on for problem in known) < len(known) / 5


def test_a_problem_page_is_whole(site):
    for sheet in map(tables.Sheet, problems.load_all()):
        page = (site[0] / sheet.problem.slug / "index.html").read_text()
        assert page.count("<figure>") == sum(not result.trouble for result in sheet.outcomes)
        assert page.count('class="bound"') >= page.count("<figure>")
        dots = sum(
            sheet.problem.variants[r.claim.variant].seeds for r in sheet.outcomes if not r.trouble
        )
        assert page.count('class="dot"') == dots, "every seed a dot"
        told = [r for r in sheet.outcomes if r.claim.published is not None and not r.trouble]
        assert page.count('class="told"') == len(told), "the reported number is marked"
        assert 'class="language-python"' in page and "$$" not in page.split("<code class")[0]
        assert page.count(f'src="{sheet.problem.gif.name}"') == 1, "the animation once"
        order = ['<div class="facts">', 'class="lead"', 'id="problem"', 'id="results"']
        assert [page.index(words) for words in order] == sorted(page.index(w) for w in order)
        for picture in re.findall(r'<img [^>]*src="viz/[^>]*>', page):
            assert 'loading="lazy"' in picture and re.search(r'width="\d+" height="\d+"', picture)
        for name in ("problem.toml", "results.json", sheet.problem.script.name):
            assert f'href="{name}" download' in page
        for block in re.findall(r"<h[23][^>]*>.*?(?=<h[23] )", page, re.DOTALL):
            unfolded = re.sub(r"<details>.*?</details>", "", block, flags=re.DOTALL)
            assert "language-python" not in unfolded or 'id="as-a-baseline"' in unfolded


def test_claims_stand_apart_by_source(site):
    for sheet in map(tables.Sheet, problems.load_all()):
        page = (site[0] / sheet.problem.slug / "index.html").read_text()
        groups = page.split('<p class="group">')[1:]
        sizes = [group.split("</div>")[0].count("<figure>") for group in groups]
        judged = ([r for r in g if not r.trouble] for g in (sheet.paper, sheet.controls, sheet.old))
        assert sizes == [len(group) for group in judged if group]
        assert f"<b>{' '.join(sheet.main.claim.name.split())}</b>" in html.unescape(groups[0])


def test_a_reported_number_far_from_ours_is_on_the_plot():
    x, low, high, log = drawings.axis([1.0, 2.0, 1000.0])
    assert log and x(1.0) < x(2.0) < x(1000.0) < drawings.RIGHT + 1
    assert x(31.6) == pytest.approx((x(1) + x(1000)) / 2, abs=1)
    x, low, high, log = drawings.axis([-1.0, 0.0, 1000.0])
    assert not log and (low, high) == (-1.0, 1000.0)
    assert drawings.axis([3.0, 3.0])[0](3.0) == pytest.approx(240)


def test_pages_say_what_they_are_about(site):
    known = {problem.slug: problem for problem in problems.load_all()}
    told = {}
    for path in site[0].rglob("*.html"):
        if path.name in ("404.html", "toc.html", "print.html"):
            continue
        words = re.findall(r'<meta name="description" content="([^"]*)"', path.read_text())
        assert len(words) == 1 and 20 < len(words[0]), path
        told[path] = words[0]
    assert len(set(told.values())) == len(told)
    for slug, problem in known.items():
        assert told[site[0] / slug / "index.html"] == html.escape(problem.summary)


def test_the_search_index_is_light(site):
    (index,) = site[0].glob("searchindex*.js")
    assert index.stat().st_size < 100_000 * len(problems.folders())
    words = index.read_text()
    assert "rng.standard_normal" not in words, "sources are not searched"


def test_the_comparison_has_every_problem_and_its_ratios(site):
    page = (site[0] / "comparison.html").read_text()
    for sheet in map(tables.Sheet, problems.load_all()):
        row = page.split(f'href="{sheet.problem.slug}/index.html"')[-1].split("<td><a")[0]
        v1 = sheet.problem.v1
        assert tables.two_digits(v1["rerun"]) in row and v1["options"].startswith("--")
        if ratio := compare.times_faster(sheet):
            assert ratio == pytest.approx(v1["rerun"] / compare.seconds(sheet))
            assert f"<td>{tables.two_digits(ratio)}</td>" in row


def test_the_mean_ratio_is_geometric(monkeypatch):
    monkeypatch.setattr(compare, "times_faster", lambda ratio: ratio)
    words = compare.mean_ratio([1.0, 100.0, None, 0.1])
    assert "faster in 2 of 3" in words and "is 2.2, the median 1" in words
    assert "No problem" in compare.mean_ratio([None])


def test_a_lineage_that_leads_astray_is_one_clear_line(repository):
    card = repository / "my-problem" / "problem.toml"
    card.write_text(card.read_text() + '\n[builds_on]\ngone = "its rule"\n')
    done = catalog(repository, "book")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "builds_on names 'gone', which is no problem here" in done.stderr


@pytest.mark.parametrize(
    "parents, complaint",
    [
        ({"a": {"b": "x"}}, "a: builds_on names 'b', a later paper's"),
        ({"b": {"a": "x"}, "a": {}}, None),
        ({"b": {"c": "x"}, "c": {"b": "x"}}, "builds on itself"),
        ({"b": {"b": "x"}}, "b: builds on itself"),
    ],
)
def test_lineage_faults(parents, complaint):
    class Known:
        def __init__(self, slug, year):
            self.slug, self.year, self.builds_on = slug, year, parents.get(slug, {})

    wrong = problems.lineage_faults([Known("a", 1990), Known("b", 1995), Known("c", 1995)])
    assert bool(wrong) == bool(complaint) and all(complaint in line for line in wrong)


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
    assert drawings.plain("a\n\n[b](x) $y$ <c>") == "a &#91;b&#93;(x) &#36;y&#36; &lt;c&gt;"


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
    assert len(links.dead_links(tmp_path)) == 1 and message in links.dead_links(tmp_path)[0]


def test_formulas_and_links():
    assert "<math" in site_text.formulas("a $x_i$ b", "s") and "$" not in site_text.formulas(
        "$$x$$ and $y$", "s"
    )
    assert site_text.formulas("`$x$`, it costs $5 or $6", "s") == "`$x$`, it costs $5 or $6"
    assert "_" not in re.sub("<[^>]*>", "", site_text.formulas("$a_b$ and $c_d$", "s"))
    with pytest.raises(CatalogError, match="formula"):
        site_text.formulas(r"$\frac{1}{$", "s")


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


def test_a_narrow_screen_shows_drawings_as_lists(browser, address):
    shown = "return getComputedStyle(document.querySelector(arguments[0])).display !== 'none'"
    places = {"index": (".timeline", ".years"), "lineage": (".drawn", "main li")}
    for width, drawn in ((390, False), (1300, True)):
        browser.set_window_size(width, 900)
        for page, (drawing, words) in places.items():
            browser.get(f"{address}/{page}.html")
            assert browser.execute_script(shown, drawing) == drawn, (page, width)
            listed = browser.execute_script(shown, words)
            assert listed if page == "lineage" else listed != drawn


def contrast(one, other):
    """Contrast ratio of two colours (red, green, blue) as WCAG 2 defines it."""

    def luminance(colour):
        parts = [c / 255 for c in colour]
        parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


READ = {  # page: what a reader must be able to read on it
    "results": (
        "main a:not(.header)",
        "#all-problems td",
        ".verdict.reproduced",
        ".verdict.partial",
    ),
    "index": (".caption", ".gallery .year", ".gallery p", ".verdict.not-reproduced", ".key li"),
    "lineage": ("main p", ".key li", "main li a"),
    "nbb-xor/index": (".caption", ".facts td", ".claims figcaption", ".holds", "summary"),
}


@pytest.mark.parametrize("theme", ["light", "navy"])
@pytest.mark.parametrize("page", READ)
def test_texts_can_be_read(browser, address, page, theme):
    browser.get(f"{address}/{page}.html")
    browser.execute_script(f"localStorage.setItem('mdbook-theme', '{theme}')")
    browser.refresh()
    script = "const e = document.querySelector(arguments[0]); return e && getComputedStyle(e)."
    paper = browser.execute_script(f"{script}backgroundColor", "html")
    for place in READ[page]:
        colour = browser.execute_script(f"{script}color", place)
        if colour or not place.startswith(".verdict"):  # there may be no verdict of this kind
            pair = ([float(x) for x in re.findall(r"[\d.]+", c)[:3]] for c in (colour, paper))
            assert contrast(*pair) >= 4.5, (place, colour, paper)


def items(browser, selector):
    script = "return [...document.querySelectorAll(arguments[0])]"
    return browser.execute_script(
        f"{script}.filter(e => !e.hidden).map(e => e.dataset.slug)", selector
    )


def test_the_gallery_filters_and_going_back_keeps_it(browser, address):
    browser.get(f"{address}/index.html")
    known = problems.load_all()
    assert items(browser, ".gallery li") == [problem.slug for problem in known]
    type_filter(browser, "theme", "LSTM")
    wanted = [problem.slug for problem in known if "LSTM" in problem.themes]
    assert items(browser, ".gallery li") == wanted
    type_filter(browser, "search", "grammar")
    fewer = items(browser, ".gallery li")
    assert 0 < len(fewer) < len(wanted) and set(fewer) < set(wanted)
    browser.execute_script("document.querySelector('.gallery li:not([hidden]) a').click()")
    until(lambda: browser.current_url.endswith(f"/{fewer[0]}/index.html"))
    browser.back()
    until(lambda: "with-theme=LSTM" in browser.current_url)
    until(lambda: items(browser, ".gallery li") == fewer)


@pytest.mark.parametrize("page", ["index", "tour"])
def test_a_still_plays_and_stops(browser, address, page):
    browser.get(f"{address}/{page}.html")
    source = "return document.querySelector('.poster img').getAttribute('src')"
    still = browser.execute_script(source)
    assert still.endswith("poster.webp")
    press = "document.querySelector('.poster button').click()"
    browser.execute_script(press)
    assert browser.execute_script(source).endswith(".gif")
    browser.execute_script(press)
    assert browser.execute_script(source) == still
    point = "document.querySelector('.poster').dispatchEvent(new PointerEvent(arguments[0], "
    point += "{pointerType: 'mouse'}))"
    browser.execute_script(point, "pointerenter")
    assert browser.execute_script(source).endswith(".gif")
    browser.execute_script(point, "pointerleave")
    assert browser.execute_script(source) == still


@pytest.mark.parametrize("page", ["index", "tour", "results", "lineage"])
def test_the_first_view_is_light(browser, address, page):
    browser.set_window_size(1300, 900)
    browser.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    browser.get(f"{address}/{page}.html")
    until(lambda: browser.execute_script("return document.readyState") == "complete")
    time.sleep(0.5)
    script = "const kinds = ['resource', 'navigation'];"
    script += "return kinds.flatMap(k => performance.getEntriesByType(k))"
    script += ".reduce((sum, entry) => sum + entry.transferSize, 0)"
    weight = browser.execute_script(script)
    browser.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": False})
    assert 50_000 < weight < 1_000_000


def test_pointing_at_a_problem_shows_its_ancestors_and_descendants(browser, address):
    browser.set_window_size(1300, 900)
    browser.get(f"{address}/lineage.html")
    script = "document.querySelector('.lineage a[data-slug=embedded-reber]').focus();"
    script += "return [...document.querySelectorAll('.lineage a.on')].map(a => a.dataset.slug)"
    shown = set(browser.execute_script(script))
    assert {"embedded-reber", "noise-free-long-lag", "chunker-22-symbol"} <= shown
    assert {"continual-embedded-reber", "timit-blstm-ctc"} <= shown
    assert not {"adding-problem", "flip-flop", "nbb-xor"} & shown
    browser.execute_script("document.activeElement.blur()")
    assert not browser.execute_script("return document.querySelectorAll('.lineage .on').length")


def test_search_lists_the_problems_of_a_theme_first(browser, address):
    known = {problem.slug: problem for problem in problems.load_all()}
    browser.get(f"{address}/index.html?search=LSTM")
    script = "return [...document.querySelectorAll('#mdbook-searchresults a, #searchresults a')]"
    links = until(lambda: browser.execute_script(f"{script}.map(a => a.href)"))
    slugs = [link.split("/")[3] for link in links]
    assert all(slug in known for slug in slugs[:5]), slugs
    found = [slug for slug in dict.fromkeys(slugs) if slug in known]
    assert sum("LSTM" in known[slug].themes for slug in found[:8]) >= 6, found


def test_formulas_need_no_scroll_bars(browser, address):
    browser.set_window_size(1300, 900)
    script = "return [...document.querySelectorAll('.formula')].filter(e => "
    script += "e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight)"
    script += ".map(e => e.textContent)"
    for folder in problems.folders():
        if "$$" in (folder / "README.md").read_text():
            browser.get(f"{address}/{folder.name}/index.html")
            assert browser.execute_script(script) == [], folder.name


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
    shown = "index", "results", "claims", "tour", "lineage", "comparison", "method", "nbb-xor/index"
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
    assert "MDBOOK_OUTPUT__HTML__GIT_REPOSITORY_URL: ${{ github.server_url }}" in text


def test_the_repository_is_linked_where_its_address_is_known(tmp_path, monkeypatch, repository):
    monkeypatch.setenv("MDBOOK_OUTPUT__HTML__GIT_REPOSITORY_URL", "https://example.org/mine")
    book.build(tmp_path / "out", repository)
    assert 'href="https://example.org/mine"' in (tmp_path / "out" / "index.html").read_text()
