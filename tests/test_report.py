"""The generated parts of a README and the pages: what a card and a record come to in Markdown."""

import json
import re

import pytest

from catalog import ROOT, cards, problems, prose, readme, records, report, tables
from catalog.idioms import names_used
from catalog.site import pages
from tests.conftest import catalog

CARD = """
title = "Toy"
year = 2000
era = "2000-2009 LSTM and evolution"
line = "Long time lags and LSTM"
themes = ["toys"]
citation = "A. Author (2000). A paper."
summary = "A toy learns."
caption = "A toy."
setting = "paper"
budget = "steps"
"""
VARIANT = "[variants.default]\nseeds = 3\n"
MAIN = """
[[claims]]
name = "learnt"
source = "paper"
variant = "default"
metric = "score"
statistic = "mean"
holds = "<= 130"
paper = "about 22"
where = "table 1"
main = true
"""
CONTROL = """
[[claims]]
name = "guessing"
source = "control"
variant = "default"
metric = "chance"
statistic = "worst"
holds = "<= 0.6"
control = "two classes"
"""
MACHINE = {"processor": "Chip 3000", "cores": 2, "system": "Linux"}
MACHINE |= {"python": "3.12.1", "numpy": "2.1.0", "blas": "OpenBLAS 0.3"}


@pytest.fixture
def make(tmp_path):
    """make(card, metrics of seed 0, 1, …, time) writes the folder toy and returns its Sheet."""

    def made(card=CARD + VARIANT + MAIN, metrics=({"score": 124.0},) * 3, time=None):
        folder = tmp_path / "toy"
        folder.mkdir()
        (folder / "problem.toml").write_text(card)
        (folder / "toy.py").write_text("steps = 1\n")
        code = records.fingerprint(folder / "toy.py")
        common = {"variant": "default", "fingerprint": code, "overrides": {}, "seconds": 77.7}
        common |= {"cpu_seconds": 77.7, "python": "3.12.1", "numpy": "2.1.0", "machine": MACHINE}
        runs = [
            {**common, "seed": seed, "config": {"seed": seed}, "metrics": values}
            for seed, values in enumerate(metrics)
        ]
        record = {"problem": "toy", "summary": {}, "runs": runs}
        if time:
            record["time"] = {"seconds": time, "median": time, "runs": [time] * 3}
            record["time"] |= {"fingerprint": code, "kernel": [0.1] * 6, "machine": MACHINE}
            record["time"] |= {"date": "2025-01-01"}
        (folder / "results.json").write_text(json.dumps(record))
        return tables.Sheet(problems.load(folder))

    return made


def with_published(text, number):
    return text.replace("main = true", f"published = {number}\nmain = true")


# --- cells -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, text", [(None, "–"), (3, "3"), (31234.5, "31,234"), (0.25, "0.25"), (1e-5, "1.00e-05")]
)
def test_number(value, text):
    assert tables.number(value) == text


@pytest.mark.parametrize(
    "value, text", [(372.7, "370"), (9.158, "9.2"), (0.153, "0.15"), (80.66, "81"), (1234, "1,200")]
)
def test_times_have_two_digits(value, text):
    assert tables.two_digits(value) == text


def test_a_bar_in_a_cell_stays_in_it():
    row = tables.table(["a"], [["x|y \\| z"]]).splitlines()[2]
    assert row == "| x\\|y \\| z |"


# --- the header --------------------------------------------------------------------------------


def test_the_header_opens_with_picture_sentence_and_facts(make):
    card = CARD + 'url = ["https://example.org/a_b"]\n' + VARIANT + MAIN + CONTROL
    sheet = make(card, [{"score": 20.0, "chance": 0.5}] * 3, time=372.7)
    lines = readme.header(sheet).splitlines()
    assert lines[0] == "![A toy.](toy.gif)" and lines[2] == "A toy learns."
    assert lines[4] == "| main claim | learnt ≤ 130 |"
    facts = dict(re.fullmatch(r"\| (.*?) \| (.*) \|", line).groups() for line in lines[6:])
    assert facts["the paper reports"] == "about 22 (table 1)"
    assert facts["we measure"].startswith("mean 20 (") and "3 seeds" in facts["we measure"]
    assert facts["verdict"] == "**reproduced** 1/1, controls 1/1"
    assert list(facts).index("first look") + 1 == list(facts).index("whole run")
    assert "--quick" in facts["first look"] and facts["whole run"].endswith(", 370 s")
    assert "(https://example.org/a_b)" in facts["paper"]
    assert all(
        f"]({name})" in facts["files"] for name in ("toy.py", "problem.toml", "results.json")
    )
    assert "toy/index.html" in facts["site"]


def test_a_control_that_fails_is_named_at_the_head(make):
    sheet = make(CARD + VARIANT + MAIN + CONTROL, [{"score": 20.0, "chance": 0.9}] * 3)
    assert "**reproduced** 1/1, controls 0/1; **fails**: guessing" in readme.header(sheet)


def test_seconds_come_from_the_timing_alone(make):
    sheet = make()
    for text in (readme.header(sheet), report.results_page([sheet]), report.problem_table([sheet])):
        assert "77" not in text and "seconds" not in tables.statistics(sheet.runs)[0]
    assert report.problem_table([sheet]).splitlines()[2].endswith("| – |")


def test_an_address_that_is_none_of_the_web_is_no_link():
    assert tables.web_link("javascript:alert(1)").count("](") == 0
    assert "](x)" not in tables.web_link("https://a.org/](x)")
    assert tables.web_link("https://a.org/x(1) y") == "[a.org/x(1) y](https://a.org/x%281%29%20y)"


# --- the results -------------------------------------------------------------------------------


def test_a_bound_looser_than_the_published_number_is_marked(make):
    text = readme.results_section(make(with_published(CARD + VARIANT + MAIN, 22.0)))
    row = next(line for line in text.splitlines() if "**learnt**" in line)
    assert "≤ 130 †" in row and "| 5.6 |" in row and "yes (not at 22)" in row
    assert text.count("† This bound is looser") == 1


def test_a_bound_at_the_published_number_is_not(make):
    card = with_published(CARD + VARIANT + MAIN.replace("<= 130", "<= 22"), 22.0)
    text = readme.results_section(make(card, [{"score": 11.0}] * 3))
    assert "†" not in text and "| 0.5 | yes |" in text


def test_cards_without_published_numbers_have_no_column_for_them(make):
    assert "ours / paper" not in readme.results_section(make())


def test_a_deterministic_value_stands_alone(make):
    card = CARD + VARIANT + MAIN.replace("main = true", "deterministic = true\nmain = true")
    assert "| 124 (the same for every seed) |" in readme.results_section(make(card))


def test_metrics_that_do_not_apply_are_dashes(make):
    metrics = [{"score": 1.0, "lag": None, "some": value} for value in (None, 2.0, 4.0)]
    text = readme.results_section(make(metrics=metrics))
    assert "| `lag` | – | – | – | – | 0 |" in text and "| `some` | 3 | 3 | 2 | 4 | 2 |" in text


def test_readme_folds_the_headline_and_leaves_the_rest_to_show_and_site(make):
    card = CARD + VARIANT + "[variants.other]\nseeds = 2\noverrides = { big = true }\n" + MAIN
    sheet = make(card)
    text = readme.results_section(sheet)
    assert text.count("<details>") == text.count("</details>") == 1
    assert "--big" not in text and "`python3 -m catalog show toy`" in text
    site = readme.claims_section(sheet)
    assert "<details>" not in site and "--seed N" not in site
    every = pages.metrics(sheet)
    assert every.startswith("<details>") and "toy.py --big --seed N" in every


def test_the_earlier_catalog_has_one_section(make):
    card = CARD + VARIANT + MAIN + '[v1]\nheadline = "it works"\nseconds = 3\n'
    text = readme.results_section(make(card))
    assert text.count("### The earlier catalog's yardstick") == 1
    assert "The earlier catalog (v1) reports: it works, 3 s." in text


# --- provenance --------------------------------------------------------------------------------


ROWS = "".join(
    f'[[setting_of]]\nwhat = "{what}"\npaper = "p"\nwhere = "p. 3"\nours = "{ours}"\n'
    f'known = "verified"\nchanges_result = {changes}\n'
    for what, ours, changes in (
        ("kept", "same", "true"),
        ("harmless", "q", "false"),
        ("weighty", "q", "true"),
    )
)


def test_what_changes_the_result_is_told_and_the_rest_folded(make):
    card = CARD.replace('"paper"', '"adapted"') + VARIANT + ROWS + MAIN
    told, folded = tables.provenance_table(make(card).problem).split("<details>")
    rows = [
        [line.split(" | ")[0].strip("| ") for line in part.splitlines()] for part in (told, folded)
    ]
    assert [name for name in rows[0] if name in ("kept", "harmless", "weighty")] == ["weighty"]
    assert [name for name in rows[1] if name in ("kept", "harmless", "weighty")] == [
        "harmless",
        "kept",
    ]


def test_a_setting_in_which_nothing_matters_says_so(make):
    rows = ROWS[: ROWS.rindex("[[setting_of]]")]
    text = tables.provenance_table(make(CARD + VARIANT + rows + MAIN).problem)
    assert text.startswith("Nothing in the setting") and "harmless" in text.split("<details>")[1]


def test_only_pages_with_the_marker_get_the_provenance(make):
    sheet = make()
    assert set(readme.generated_parts(sheet, "")) == {"header", "results"}
    page = "<!-- generated: deviations -->\n<!-- end generated -->"
    assert "says nothing yet" in readme.generated_parts(sheet, page)["deviations"]


# --- pages over all problems -------------------------------------------------------------------


def test_totals_count_controls_and_published_values(make):
    card = with_published(CARD + VARIANT + MAIN, 22.0) + CONTROL
    text = report.results_page([make(card, [{"score": 124.0, "chance": 0.9}] * 3, time=9.158)])
    assert "1 of 1 claims hold" in text and "0 of 1 controls hold" in text
    assert "0 of 1 hold at that number itself" in " ".join(text.split())
    assert "Chip 3000, 2 cores, Linux, Python 3.12.1" in text and "| 9.2 |" in text
    assert "*partial* that the main one holds but not all" in " ".join(text.split())


def test_the_table_of_problems_has_controls(make):
    head, _, row = report.problem_table([make()]).splitlines()
    assert "| claims | controls | seconds |" in head and "| 1/1 | – | – |" in row


def test_an_unmeasured_problem_is_served(make):
    sheet = make(metrics=[])
    assert sheet.verdict == "not measured" and "not judged" in readme.header(sheet)
    assert "Not measured under the present code." in readme.results_section(sheet)


HOSTILE = "](x) [<script>a</script> `c` *b* | <!-- ``` <details>"


def test_whatever_a_card_says_is_text(make):
    card = CARD + VARIANT + ROWS + MAIN + CONTROL
    for word in ("Toy", "A toy learns.", "A toy.", "A. Author (2000). A paper.", "about 22"):
        card = card.replace(f'"{word}"', f'"{HOSTILE}"')
    card = re.sub(
        r'"(learnt|guessing|two classes|table 1|weighty|p\. 3)"', rf'"{HOSTILE} \1"', card
    )
    card = card.replace('"paper"\nbudget', '"adapted"\nbudget')
    sheet = make(card, [{"score": 20.0, "chance": 0.9}] * 3)
    pages = [readme.header(sheet), readme.results_section(sheet), report.tour_page([sheet])]
    pages += [report.results_page([sheet]), report.problem_table([sheet])]
    for page in [*pages, tables.provenance_table(sheet.problem)]:
        assert "](x)" not in page and "<script" not in page and prose.faults(page) == []


# --- prose -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, message",
    [
        ("a\n{{#include x}}", "line 2: '{{#' pulls"),
        ("```\n{{ #include x}}\n```", "line 2: '{{#' pulls"),
        ("a\n<!-- b", "line 2: a comment"),
        ("a\n\n~~~python\nb\n```\n", "line 3: a code fence"),
        ("````\n```\n", "line 1: a code fence"),
        ("<details>\n\nb", "line 1: <details> is left open"),
        ("b\n</div>", "line 2: </div> closes nothing"),
        ("<div><details></div></details>", "line 1: </div> closes nothing"),
    ],
)
def test_faults_of_a_page(text, message):
    assert prose.faults(text)[0].startswith(message)


def test_code_may_hold_what_prose_may_not():
    text = "`<div>` `` ` <!-- ``\n\n```html\n<details> <!--\n```\n\n"
    text += "<details>\n\na < b, $x<y$\n\n</details>"
    assert prose.faults(text) == []


def test_the_parts_of_a_page():
    page = "## Running\n\n### As a baseline\n\ntext\n\n```python\nx = 1\n```\n\n## Results\n\nb\n"
    assert prose.baseline(page) == "x = 1\n" and prose.section(page, "Results") == "\nb\n"
    assert prose.baseline(page.replace("## Running", "## Elsewhere")) is None
    assert (
        prose.baseline("## Running\n\n### As a baseline\n\n### Next\n\n```python\nx\n```\n") is None
    )
    assert prose.words("one two | --- | <details>a b</details> three <!-- c -->") == 3


# --- the scaffold and show ---------------------------------------------------------------------


def test_the_scaffold_is_in_the_new_shape(finished):
    folder = finished / "my-problem"
    text = (folder / "README.md").read_text()
    assert "**reproduced** 1/1, controls 1/1" in text and "ours / paper" in text
    assert prose.baseline(text) and "| initial weights |" in prose.section(text, "Deviations")
    script = (folder / "my_problem.py").read_text()
    assert {"option", "cli"} <= set(names_used(script)) and "LIMITS" not in script


def test_show_prints_every_metric(finished):
    done = catalog(finished, "show", "my-problem")
    head, columns, *rows = done.stdout.splitlines()
    assert head == "default: python3 my-problem/my_problem.py --seed N, N = 0 … 4"
    assert columns.split() == ["metric", "mean", "median", "lowest", "highest", "n"]
    assert [row.split()[0] for row in rows] == ["accuracy", "weight_norm", "majority_accuracy"]
    assert all(row.split()[-1] == "5" for row in rows)
    done = catalog(finished, "show", "my-problm")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


# --- the repository ----------------------------------------------------------------------------


def test_the_citation_names_this_version_and_licence():
    citation, project = ((ROOT / name).read_text() for name in ("CITATION.cff", "pyproject.toml"))
    assert citation.startswith("cff-version: 1.2.0\n")
    for key in ("version", "license"):
        value = re.search(rf'^{key} = "(.+)"', project, re.MULTILINE)[1]
        assert f"\n{key}: {value}\n" in citation
    assert all(f"\n{key}:" in citation for key in ("message", "title", "authors"))


def test_links_between_the_pages_at_the_root_are_good():
    for page in ROOT.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            assert "://" in target or (ROOT / target).exists(), f"{page.name}: {target}"
        assert prose.faults(text) == [], page.name


def test_the_contract_says_what_the_code_says():
    text = (ROOT / "SPEC.md").read_text(encoding="utf-8")
    words = [*cards.ERAS, *cards.SETTINGS, *cards.STATISTICS]
    missing = [word for word in words if f"`{word}`" not in text]
    assert missing == [] and set(readme.SETTINGS) == set(cards.SETTINGS)
    known = {path.stem for path in (ROOT / "catalog" / "idioms").glob("[!_]*.py")}
    assert known <= set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
