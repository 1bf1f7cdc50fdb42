"""The command line of the tools: speed, bad input, scaffold."""

import os
import subprocess
import sys

import pytest

from catalog import ROOT
from tests.conftest import catalog


def test_importing_the_tools_is_light():
    code = (
        "import sys, catalog.__main__, catalog.measure, catalog.report, catalog.book\n"
        "import catalog.rebind, catalog.timing, catalog.cluster\n"
        "heavy = ('matplotlib', 'numpy', 'dask', 'distributed')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_list_answers_at_once():
    """Processor time, so that other work on the machine does not count."""
    before = os.times()
    done = catalog(ROOT, "list")
    after = os.times()
    assert done.returncode == 0 and done.stdout.startswith("problem")
    assert sum(after[2:4]) - sum(before[2:4]) < 0.5


BAD = [
    [],
    ["dance"],
    ["list", "x"],
    ["list", "--x"],
    ["run"],
    ["run", "my-problm"],
    ["measure", "no-such"],
    ["measure", "--jobs", "0"],
    ["measure", "--jobs", "two"],
    ["measure", "--timeout", "nan"],
    ["measure", "--timeout", "-3"],
    ["measure", "--seeds", "1-2"],
    ["measure", "--variant", "no-such"],
    ["measure", "--out", "x"],
    ["measure", "--seeds", "2-1", "--out", "x"],
    ["measure", ""],
    ["measure", "--variant", ""],
    ["measure", "--variant", " "],
    ["measure", "--seeds", "", "--out", "x"],
    ["measure", "--seeds", "1", "--out", ""],
    ["measure", "--scheduler", ""],
    ["measure", "--timeout", "0"],
    ["measure", "--timeout", ""],
    ["measure", "--without", "a"],
    ["measure", "--rebind", ""],
    ["measure", "--rebind", "no-such"],
    ["measure", "--rebind", "--without", ""],
    ["measure", "--rebind", "--without", "a,"],
    ["measure", "--rebind", "--again"],
    ["measure", "--rebind", "--prune"],
    ["measure", "--rebind", "--seeds", "1", "--out", "x"],
    ["measure", "--prune", "--seeds", "1", "--out", "x"],
    ["time", "no-such"],
    ["time", ""],
    ["time", "--x"],
    ["check", "no-such"],
    ["figures", "no-such"],
    ["report", "x"],
    ["sync", "x"],
    ["new"],
    ["new", "Bad_Name"],
    ["new", "../up"],
    ["new", "1st"],
    ["new", ""],
    ["new", "my-problem"],
    *[["new", name] for name in ("numpy", "json", "dataclasses", "import", "con", "com1", "pil")],
    *[["new", name] for name in ("catalog", "tests", "data", "book", "mpl-toolkits")],
]


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_bad_input_gets_one_line_and_exit_2(finished, words):
    done = catalog(finished, *words)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("python3 -m catalog")
    assert not (finished / "x").exists() and not (finished / "numpy").exists()


def test_new_overwrites_nothing(repository):
    test = repository / "tests" / "problems" / "test_two_words.py"
    test.parent.mkdir(parents=True, exist_ok=True)
    test.write_text("mine\n")
    done = catalog(repository, "new", "two-words")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "test_two_words.py exists already" in done.stderr
    assert test.read_text() == "mine\n" and not (repository / "two-words").exists()


def test_a_close_name_is_offered(finished):
    assert "did you mean 'my-problem'?" in catalog(finished, "check", "my-problm").stderr


def test_a_broken_card_is_one_line(repository):
    (repository / "my-problem" / "problem.toml").write_text("title = 3\n")
    done = catalog(repository, "list")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "problem.toml" in done.stderr


def test_run_hands_options_on(finished):
    done = catalog(finished, "run", "my-problem", "--seed", "3", "--steps", "20")
    assert done.returncode == 0 and "accuracy" in done.stdout
    assert catalog(finished, "run", "my-problem", "--steps", "0").returncode == 2


def test_check_prints_claims_and_notices_an_old_verdict(repository):
    done = catalog(repository, "check", "my-problem")
    assert done.returncode == 0 and "holds  rule learnt" in done.stdout and "5 seeds" in done.stdout
    card = repository / "my-problem" / "problem.toml"
    card.write_text(card.read_text().replace(">= 0.9", ">= 1.1"))
    done = catalog(repository, "check")
    assert done.returncode == 1 and "FAILS" in done.stdout and "out of date" in done.stdout


def test_sync_command(repository):
    script = repository / "my-problem" / "my_problem.py"
    good = script.read_text()
    script.write_text(good.replace("as one line of JSON", "as JSON"))
    assert catalog(repository, "sync", "--check").returncode == 1
    assert catalog(repository, "sync").returncode == 0 and script.read_text() == good
    assert catalog(repository, "sync", "--check").returncode == 0


def test_figures_reports_a_failing_script(repository):
    (repository / "my-problem" / "visualize_my_problem.py").write_text("raise SystemExit(3)\n")
    done = catalog(repository, "figures", "my-problem")
    assert done.returncode == 2 and "exit status 3" in done.stderr


def test_figure_scripts_refuse_in_one_line(finished):
    for script in ("visualize_my_problem.py", "make_my_problem_gif.py"):
        for words in (["--seed", "x"], ["--seed", "-1"]):
            command = [sys.executable, str(finished / "my-problem" / script), *words]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
