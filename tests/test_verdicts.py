"""Claims, verdicts, cards and fingerprints."""

import copy
import dataclasses
import re

import pytest

from catalog import CatalogError, problems, records, verdicts
from catalog.problems import BOUND, complaints, tomllib

CARD = """
title = "T"
year = 1990
era = "1980s local rules"
themes = ["a"]
citation = "c"
summary = "s"
caption = "g"
setting = "paper"
budget = "steps"
[variants.a]
seeds = 4
[[claims]]
name = "n"
source = "paper"
variant = "a"
metric = "m"
statistic = "mean"
holds = ">= 0.5"
paper = "1"
main = true
"""


def claim(statistic, holds, metric="m", source="paper", main=True):
    return problems.Claim("n", source, "a", metric, statistic, holds, "1", False, main)


# --- statistics --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statistic, holds, value",
    [
        ("mean", ">= 1", 2.5),
        ("median", ">= 1", 2.5),
        ("worst", ">= 1", 1),
        ("worst", "<= 9", 4),
        ("best", ">= 1", 4),
        ("best", "<= 9", 1),
    ]
    + [("worst", "= 3", 1), ("best", "= 3", 3)],
)
def test_statistic(statistic, holds, value):
    found, low, high = verdicts.statistic(claim(statistic, holds), [[3.0, 1.0, 4.0, 2.0]])
    assert found == value and low <= value <= high


def test_fraction_counts_booleans_with_wilson():
    value, low, high = verdicts.statistic(claim("fraction", ">= 0.5"), [[1.0, 1.0, 0.0, 1.0]])
    assert value == 0.75 and (low, high) == pytest.approx((0.3006, 0.9544), abs=1e-4)


def test_the_interval_of_a_mean_of_shares_stays_within_0_and_1():
    assert verdicts.statistic(claim("mean", ">= 0.5"), [[1.0, 0.95, 0.95]])[2] == 1.0
    assert verdicts.statistic(claim("mean", ">= 0.5"), [[1.0, 2.0, 0.5]])[2] > 2.0


def test_ratio_of_medians():
    value, _, _ = verdicts.statistic(claim("ratio of medians", ">= 1", "a / b"), [[8.0, 2.0, 5.0], [2.0, 1.0, 4.0]])
    assert value == 2.5


@pytest.mark.parametrize(
    "holds, value, good", [(">= 1.3 and <= 1.9", 1.9, True), (">= 1.3 and <= 1.9", 1.91, False), ("= 0", 0, True)]
)
def test_bounds(holds, value, good):
    assert all(verdicts.COMPARE[op](value, bound) for op, bound in claim("mean", holds).bounds) == good


# --- outcomes ----------------------------------------------------------------------------------


@pytest.fixture
def problem(tmp_path):
    folder = tmp_path / "some-task"
    folder.mkdir()
    (folder / "problem.toml").write_text(CARD)
    (folder / "some_task.py").write_text("x = 1\n")
    return problems.load(folder)


def runs(problem, values):
    code = records.fingerprint(problem.script)
    base = {"variant": "a", "fingerprint": code, "overrides": {}, "seconds": 1.0}
    return [{**base, "seed": seed, "metrics": {"m": value}} for seed, value in enumerate(values)]


def test_outcome_uses_every_seed(problem):
    (result,) = verdicts.outcomes(problem, runs(problem, [0.2, 0.4, 0.6, 1.0]))
    assert result.holds and result.value == pytest.approx(0.55) and result.n == 4


def test_a_missing_run_judges_the_claim_false(problem):
    (result,) = verdicts.outcomes(problem, runs(problem, [1.0] * 3))
    assert not result.holds and "1 not measured" in result.trouble


def test_a_failed_run_judges_the_claim_false(problem):
    some = runs(problem, [1.0] * 4)
    some[2] = {**some[2], "error": "exceeded 3 s"}
    (result,) = verdicts.outcomes(problem, some)
    assert not result.holds and "1 failed" in result.trouble


def test_runs_of_other_code_or_overrides_do_not_count(problem):
    some = runs(problem, [1.0] * 4)
    some[0]["fingerprint"] = "old"
    some[1]["overrides"] = {"steps": 5}
    (result,) = verdicts.outcomes(problem, some)
    assert "2 not measured" in result.trouble


def test_a_surplus_seed_does_not_count(problem):
    (result,) = verdicts.outcomes(problem, runs(problem, [1.0] * 4 + [-100.0]))
    assert result.value == 1.0 and result.n == 4


def test_verdict():
    def judged(main, other, old):
        parts = [("paper", True, main), ("paper", False, other), ("v1", False, old)]
        return verdicts.verdict([verdicts.Outcome(claim("mean", ">= 0", source=s, main=m), good) for s, m, good in parts])

    assert judged(True, True, False) == "reproduced"
    assert judged(True, False, True) == "partial"
    assert judged(False, True, True) == "not reproduced"


# --- cards -------------------------------------------------------------------------------------


def changed(path, value):
    card = copy.deepcopy(tomllib.loads(CARD))
    place = card
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return card


def test_a_sound_card_has_no_complaints():
    assert complaints(tomllib.loads(CARD)) == []


@pytest.mark.parametrize(
    "path, value, message",
    [
        (["title"], None, "'title' is missing"),
        (["titel"], "x", "unknown key 'titel'"),
        (["year"], "1990", "wrong type"),
        (["year"], True, "wrong type"),
        (["summary"], " ", "summary is empty"),
        (["setting"], "toy", "setting is 'toy'"),
        (["variants", "a", "seeds"], 0, "at least 1"),
        (["variants", "a", "overrides"], {"steps": 3}, "must be the defaults"),
        (["v1"], {"seconds": 3}, "'headline' is missing"),
        (["claims", 0, "source"], "we", "must be paper or v1"),
        (["claims", 0, "source"], "v1", "needs v1"),
        (["claims", 0, "variant"], "b", "not among a"),
        (["claims", 0, "statistic"], "luck", "statistic is 'luck'"),
        (["claims", 0, "statistic"], "ratio of medians", "go together"),
        (["claims", 0, "holds"], "about 1", "must look like"),
        (["claims", 0, "holds"], ">= 1 or <= 2", "must look like"),
        (["claims", 0, "main"], False, "exactly one claim"),
    ],
)
def test_a_faulty_card_is_refused(path, value, message):
    assert message in "\n".join(complaints(changed(path, value)))


def test_bounds_are_parsed_with_exponents():
    assert BOUND.findall(">= -1.5e-3 and < 2") == [(">=", "-1.5e-3"), ("<", "2")]


def test_load_says_what_is_wrong(tmp_path):
    (tmp_path / "problem.toml").write_text('title = "a"\nyear = = 3\n')
    with pytest.raises(CatalogError, match=r"problem\.toml: .*line 2"):
        problems.load(tmp_path)


# --- fingerprints ------------------------------------------------------------------------------

SOURCE = '''"""What it does."""
import numpy as np


class Config:
    """seed: x"""

    a: int = 3


def f(x, *, y=2):
    """Returns it."""
    return np.tanh(x) + y  # comment


# idiom: cli
def main():
    print("hi")
# end idiom
'''


def fingerprint(tmp_path, text):
    path = tmp_path / "s.py"
    path.write_text(text)
    return records.fingerprint(path)


@pytest.mark.parametrize(
    "old, new", [("What it does", "It"), ("  # comment", ""), ("Returns it", "Gives"), ('"hi"', "1"), ("seed: x", "s")]
)
def test_prose_and_command_line_leave_the_fingerprint(tmp_path, old, new):
    assert old in SOURCE
    assert fingerprint(tmp_path, SOURCE) == fingerprint(tmp_path, SOURCE.replace(old, new))


@pytest.mark.parametrize("old, new", [("= 3", "= 4"), ("y=2", "y=3"), ("np.tanh", "np.sinh"), ("+ y", "- y"), ("*, ", "")])
def test_computation_changes_the_fingerprint(tmp_path, old, new):
    assert fingerprint(tmp_path, SOURCE) != fingerprint(tmp_path, SOURCE.replace(old, new))


def test_fingerprint_is_the_same_under_every_python(tmp_path):
    assert fingerprint(tmp_path, SOURCE) == "472f51b652c0f6c5"


def test_a_record_that_is_none_is_refused(tmp_path):
    for text in ("[]", "{}", "{"):
        (tmp_path / "r.json").write_text(text)
        with pytest.raises(CatalogError, match="not a record"):
            records.read(tmp_path / "r.json")


def test_an_interrupted_write_leaves_the_old_record(problem, tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    records.write(path, problem, runs(problem, [1.0]), {})
    before = path.read_text()
    with pytest.raises(ValueError):
        records.write(path, problem, runs(problem, [float("nan")]), {})
    assert path.read_text() == before
    assert not list(tmp_path.glob(".results*"))
    assert re.search(r'"seed": 0', before) and dataclasses.is_dataclass(problem)
