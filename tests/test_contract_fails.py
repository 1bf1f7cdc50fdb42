"""Every check of the contract can fail: a sound folder passes all, and each way of breaking it is
found."""

import re
import shutil

import pytest
from PIL import Image

from catalog import report
from tests import contract
from tests.conftest import catalog

SCRIPT, CARD, README, RECORD = "my_problem.py", "problem.toml", "README.md", "results.json"


def test_sound_folder_passes(repository):
    for check in contract.CHECKS:
        assert check(repository / "my-problem") == [], check.__name__


def edit(file, old, new):
    def change(folder):
        text = (folder / file).read_text()
        assert re.search(old, text), f"{old} not in {file}"
        (folder / file).write_text(re.sub(old, new, text, count=1))

    return change


def still_gif(folder):
    Image.new("P", (8, 8)).save(folder / "my_problem.gif")


def big_png(folder):
    path = folder / "viz" / "learning.png"
    path.write_bytes(path.read_bytes() + bytes(150_000))


def frozen_gif(folder):
    frames = [Image.new("RGB", (8, 8), (0, 0, i // 20)).convert("P") for i in range(25)]
    frames[0].save(
        folder / "my_problem.gif", save_all=True, append_images=frames[1:], duration=[100] * 25
    )


BROKEN = {
    "no gif": (
        "check_files",
        lambda folder: (folder / "my_problem.gif").unlink(),
        "my_problem.gif is missing",
    ),
    "no png": ("check_files", lambda folder: shutil.rmtree(folder / "viz"), "viz/ has no PNG"),
    "section gone": ("check_readme", edit(README, "## Deviations", "Deviations"), "sections"),
    "no alt text": ("check_readme", edit(README, r"!\[[^\]]+\]", "![]"), "no alternative text"),
    "picture not shown": (
        "check_readme",
        edit(README, r"!\[[^\]]+\]\(viz.*", ""),
        "does not show viz/learning.png",
    ),
    "dead link": (
        "check_readme",
        edit(README, "What resisted", "[x](gone.md)"),
        "gone.md does not exist",
    ),
    "marker gone": (
        "check_readme",
        edit(README, "<!-- generated: results -->", ""),
        "generated part 'results'",
    ),
    "include": (
        "check_readme",
        edit(README, "What resisted", "{{#include x}}"),
        "pulls other files",
    ),
    "open comment": (
        "check_readme",
        edit(README, "What resisted", "<!-- x"),
        "comment is left open",
    ),
    "open fence": ("check_readme", edit(README, "What resisted", "```\nx"), "fence is left open"),
    "open details": (
        "check_readme",
        edit(README, "What resisted", "<details>"),
        "<details> is left",
    ),
    "no gif on top": (
        "check_readme",
        edit(README, r"\(my_problem.gif\)", "(viz/learning.png)"),
        "no GIF",
    ),
    "no baseline": ("check_readme", edit(README, "### As a baseline", "### Base"), "As a baseline"),
    "no try this": ("check_readme", edit(README, "### Try this", "### Try"), "Try this"),
    "deviations astray": (
        "check_readme",
        edit(README, r"(?s)(<!-- generated: deviations.*?end generated -->\n)(.*)", r"\2\n\1"),
        "outside its section",
    ),
    "too long": ("check_readme", edit(README, "What resisted", "word " * 1700), "limit 1,700"),
    "baseline fails": (
        "check_baseline",
        edit(README, "np.linalg.lstsq", "np.lstsq"),
        "AttributeError",
    ),
    "baseline silent": ("check_baseline", edit(README, r"print\(.*\)\n", "\n"), "prints nothing"),
    "baseline long": (
        "check_baseline",
        edit(README, "import sys\n", "import sys\n" * 9),
        "limit 15",
    ),
    "no place": ("check_card", edit(CARD, 'where = "section 3, table 1"\n', ""), "needs where"),
    "no url": ("check_card", edit(CARD, "(?m)^url = .*\n", ""), "url is missing"),
    "bad era": ("check_card", edit(CARD, 'era = ".*"', 'era = "now"'), "era is 'now'"),
    "bad budget": ("check_card", edit(CARD, '"steps"', '"epochs"'), "budget 'epochs'"),
    "bad override": (
        "check_card",
        edit(CARD, r"\[\[claims", "[variants.b]\nseeds = 1\noverrides = {x = 1}\n[[claims"),
        "variants.b",
    ),
    "still gif": ("check_pictures", still_gif, "1 frames"),
    "equal frames": ("check_pictures", frozen_gif, "do not differ|must have 20 to 60"),
    "big png": ("check_pictures", big_png, "limit 150,000"),
    "foreign import": (
        "check_imports",
        edit(SCRIPT, "import sys\n", "import sys\nimport scipy\n"),
        "imports scipy",
    ),
    "other randomness": (
        "check_randomness",
        edit(SCRIPT, r"np\.zeros\(2\)", "np.random.rand(2)"),
        "np.random.rand",
    ),
    "idiom changed": (
        "check_idioms",
        edit(SCRIPT, "worst = 0.0", "worst = 1e-9"),
        "differs from its original",
    ),
    "idiom unknown": (
        "check_idioms",
        edit(SCRIPT, "# idiom: cli", "# idiom: clip"),
        "no idiom named 'clip'",
    ),
    "idiom missing": ("check_idioms", edit(SCRIPT, "# idiom: option\n", "# option\n"), "idiom"),
    "field undocumented": (
        "check_shape",
        edit(SCRIPT, '"examples in a step"', '" "'),
        "batch does not say what",
    ),
    "field unbounded": (
        "check_shape",
        edit(SCRIPT, "1, 100_000", 'float("-inf"), float("inf")'),
        "finite bounds",
    ),
    "breaks at an end": (
        "check_option_ends",
        edit(SCRIPT, "    rule = rng", "    1 / (config.wrong - 0.5)\n    rule = rng"),
        "wrong=0.5: ZeroDivisionError",
    ),
    "warns at an end": (
        "check_option_ends",
        edit(SCRIPT, "    rule = rng", "    np.log(config.wrong * np.ones(1))\n    rule = rng"),
        "wrong=0.*RuntimeWarning",
    ),
    "not frozen": ("check_shape", edit(SCRIPT, r"\(frozen=True\)", ""), "not frozen"),
    "quick unknown": (
        "check_shape",
        edit(SCRIPT, '{"steps": 100', '{"stepz": 100'),
        "QUICK names stepz",
    ),
    "no QUICK": ("check_shape", edit(SCRIPT, "QUICK = ", "FAST = "), "lacks QUICK"),
    "wrong gradient": (
        "check_gradients",
        edit(SCRIPT, r"x.T @ error", "x.T @ error * 1.001"),
        "limit 1e-5",
    ),
    "nan accepted": (
        "check_hostile_input",
        edit(SCRIPT, r"        check_options\(self\)", "        pass"),
        "the run started",
    ),
    "crash in quick": (
        "check_runs",
        edit(SCRIPT, "    rule = rng", "    1 / 0\n    rule = rng"),
        "ZeroDivisionError",
    ),
    "needs a neighbour": (
        "check_runs",
        edit(SCRIPT, "import sys\n", "import sys\nimport make_my_problem_gif\n"),
        "make_my_problem_gif",
    ),
    "unseeded": (
        "check_runs",
        edit(SCRIPT, r"default_rng\(config.seed\).spawn", "default_rng().spawn"),
        "same seed gives other",
    ),
    "seed ignored": (
        "check_runs",
        edit(SCRIPT, r"default_rng\(config.seed\).spawn", "default_rng(7).spawn"),
        "metrics of seed 0",
    ),
    "metric is text": (
        "check_runs",
        edit(SCRIPT, r'\{"accuracy": accuracy, ', '{"accuracy": "good", '),
        "must be real number",
    ),
    "metric is nan": (
        "check_runs",
        edit(SCRIPT, r'\{"accuracy": accuracy, ', '{"accuracy": np.nan, '),
        "exit status 1",
    ),
    "chatter": (
        "check_runs",
        edit(SCRIPT, "    rule = rng", "    print('hi', file=sys.stderr)\n    rule = rng"),
        "standard error",
    ),
    "leaves files": (
        "check_runs",
        edit(SCRIPT, "    rule = rng", "    Path('left').touch()\n    rule = rng"),
        "leaves left behind",
    ),
    "code changed": ("check_record", edit(SCRIPT, "= 1000", "= 1001"), "lacks 5 of 5 current runs"),
    "more seeds": (
        "check_record",
        edit(CARD, "seeds = 5", "seeds = 6"),
        "lacks 1 of 6 current runs",
    ),
    "run forged away": (
        "check_record",
        edit(RECORD, '"seed": 3', '"seed": 7'),
        "lacks 1 of 5 current runs",
    ),
    "no such metric": (
        "check_record",
        edit(CARD, 'metric = "accuracy"', 'metric = "luck"'),
        "no metric 'luck'",
    ),
    "claim changed": ("check_record", edit(CARD, ">= 0.9", ">= 1.1"), "summary"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_folder_is_found(repository, name):
    check, change, message = BROKEN[name]
    folder = repository / "my-problem"
    change(folder)
    wrong = "\n".join(getattr(contract, check)(folder))
    assert re.search(message, wrong), wrong or "nothing found"


def test_every_check_is_broken_once():
    assert {check for check, _, _ in BROKEN.values()} == {
        check.__name__ for check in contract.CHECKS
    }


def test_prose_changes_leave_the_record_valid(repository):
    folder = repository / "my-problem"
    edit(SCRIPT, "Gradient of the mean", "The gradient of the mean")(folder)
    edit(SCRIPT, "# --- the task.*", "# the task")(folder)
    assert contract.check_record(folder) == []


def test_stale_pages_are_found(repository):
    assert catalog(repository, "report", "--check").returncode == 0
    (repository / "RESULTS.md").write_text("old")
    done = catalog(repository, "report", "--check")
    assert done.returncode == 1 and "RESULTS.md is out of date" in done.stderr


def test_generated_pages_are_current():
    stale = [
        str(path)
        for path, text in report.pages().items()
        if path.read_text(encoding="utf-8") != text
    ]
    assert not stale, "run python3 -m catalog report"


def test_a_run_cut_short_inside_a_call_that_changes_the_error_is_no_fault(repository):
    """numpy turns whatever is raised while it compares arrays into a TypeError."""
    folder = repository / "my-problem"
    endless = """    try:
        while True:
            pass
    except BaseException as error:
        raise TypeError("no common dtype") from error
"""
    edit(SCRIPT, "    rule = rng", endless + "    rule = rng")(folder)
    assert contract.check_option_ends(folder) == []
