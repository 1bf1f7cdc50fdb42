"""Claims, verdicts, cards and fingerprints."""

import dataclasses
import re

import pytest

from catalog import problems, records, report, verdicts
from catalog.problems import BOUND

CARD = """
title = "T"
year = 1990
era = "1980s local rules"
line = "Long time lags and LSTM"
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


def claim(statistic, holds, metric="m", source="paper", main=True, **more):
    return problems.Claim("n", source, "a", metric, statistic, holds, "1", main=main, **more)


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


def test_counts_that_span_factors_have_no_negative_interval():
    """Sequences to success at a lag of 500: the t interval is -32,940 to 374,303."""
    sequences = [74272.0, 124992.0, 462016.0, 86624.0, 105504.0]
    _, low, high = verdicts.statistic(claim("mean", "<= 209000"), [sequences])
    assert 0 < low < min(sequences) and max(sequences) < high < 600_000


def test_a_gap_keeps_the_interval_that_can_reach_zero():
    gap = [[0.07, 0.22, 0.42]]
    assert verdicts.statistic(claim("mean", ">= 0.15"), [[-v for v in gap[0]]])[1] < 0
    assert verdicts.statistic(claim("mean", ">= 0.15"), [[1 + v for v in gap[0]]])[1] > 0
    assert verdicts.statistic(claim("mean", ">= 0.15"), gap)[1] == 0  # ends where shares do
    assert verdicts.statistic(claim("mean", "<= 0.15"), gap)[1] > 0


def test_ratio_of_medians():
    columns = [[8.0, 2.0, 5.0], [2.0, 1.0, 4.0]]
    value, _, _ = verdicts.statistic(claim("ratio of medians", ">= 1", "a / b"), columns)
    assert value == 2.5


def test_pooled_share_sums_before_it_divides():
    """76 of 85 systems with Wilson's interval on 85, not the mean of five shares."""
    columns = [[17.0, 14.0, 15.0, 14.0, 16.0], [17.0] * 5]
    result = verdicts.statistic(claim("pooled share", ">= 0.76", "solved / systems"), columns)
    assert result == pytest.approx((76 / 85, 0.8109, 0.9433), abs=1e-4)


def test_a_deterministic_value_has_no_interval():
    given = claim("mean", "<= 5000", deterministic=True)
    assert verdicts.statistic(given, [[2734.0] * 3]) == (2734, 2734, 2734)


@pytest.mark.parametrize(
    "given, columns, message",
    [
        (claim("fraction", ">= 0.5"), [[1.0, 3.0]], "needs 0 or 1"),
        (claim("fraction", ">= 0.5"), [[1.0, 0.5]], "needs 0 or 1"),
        (claim("mean", ">= 0.5", deterministic=True), [[1.0, 1.5]], "differs between seeds"),
        (claim("ratio of medians", ">= 1", "a / b"), [[1.0, 2.0], [1.0, 0.0]], "division by zero"),
        (claim("ratio of medians", ">= 1", "a / b"), [[1.0, 2.0], [1.0, -1.0]], "division by zero"),
        (claim("pooled share", ">= 1", "a / b"), [[1.0, 2.0], [1.0, 1.0]], "whole numbers"),
        (claim("pooled share", ">= 1", "a / b"), [[0.5, 1.0], [1.0, 1.0]], "whole numbers"),
        (claim("pooled share", ">= 1", "a / b"), [[-1.0, 1.0], [1.0, 1.0]], "whole numbers"),
        (claim("pooled share", ">= 1", "a / b"), [[0.0, 0.0], [0.0, 0.0]], "at least as many"),
    ],
)
def test_values_that_do_not_allow_a_statistic(given, columns, message):
    assert message in verdicts.unfit(given, columns)


@pytest.mark.parametrize(
    "statistic, columns",
    [
        ("fraction", [[1.0, 0.0]]),
        ("mean", [[1.5, 2.0]]),
        ("pooled share", [[0.0, 3.0], [0.0, 3.0]]),
        ("ratio of medians", [[0.0, 1.0], [1.0, 1.0]]),
    ],
)
def test_values_that_do(statistic, columns):
    assert verdicts.unfit(claim(statistic, ">= 0.5"), columns) == ""


# --- the published number ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "holds, published, looser",
    [
        ("<= 130", 22, True),
        ("<= 22", 22, False),
        ("<= 20", 22, False),
        (">= 0.98", 1, True),
        (">= 1", 1, False),
        ("> 0.3", 0.3, False),
        ("= 5", 6, False),
        (">= 1.3 and <= 1.9", 1.6, True),
        (">= 1.3 and <= 1.9", 1.3, True),
        ("<= 1.9 and >= 1.3", 1.9, True),
        ("<= 130", None, False),
    ],
)
def test_a_bound_looser_than_the_published_number(holds, published, looser):
    assert verdicts.Outcome(claim("mean", holds, published=published), True).looser == looser


@pytest.mark.parametrize(
    "statistic, holds, published, span, expected",
    [
        ("mean", "<= 130", 22, (124, 90, 160), False),
        ("mean", "<= 130", 95, (124, 90, 160), True),
        ("mean", "<= 130", 130, (124, 123, 125), True),
        ("mean", ">= 0.7", 0.9, (0.8, 0.7, 0.85), False),
        ("mean", ">= 0.7", 0.8, (0.8, 0.8, 0.8), True),
        ("worst", "<= 130", 95, (124, 90, 124), False),
        ("worst", "<= 130", 124, (124, 90, 124), True),
        ("fraction", "= 1", 1, (0.8, 0.3, 0.96), False),
        ("mean", ">= 100 and <= 300", 200, (250, 240, 260), False),
        ("mean", "<= 300 and >= 100", 200, (150, 140, 160), False),
        ("mean", ">= 100 and <= 300", 245, (250, 240, 260), True),
        ("mean", "<= 130", None, (124, 90, 160), None),
    ],
)
def test_whether_the_claim_holds_at_the_published_number(
    statistic, holds, published, span, expected
):
    given = claim(statistic, holds, published=published)
    assert verdicts.Outcome(given, True, 5, *span).at_published is expected


def test_what_was_not_judged_misses_the_published_number():
    assert (
        verdicts.Outcome(claim("mean", ">= 1", published=1.0), False, trouble="x").at_published
        is False
    )


@pytest.mark.parametrize(
    "value, published, ratio", [(124, 22, 124 / 22), (1, 0, None), (-2, -4, None)]
)
def test_ratio_to_the_published_number(value, published, ratio):
    given = claim("mean", "<= 130", published=published)
    assert verdicts.Outcome(given, True, 5, value, value, value).ratio == ratio


@pytest.mark.parametrize(
    "holds, value, good",
    [(">= 1.3 and <= 1.9", 1.9, True), (">= 1.3 and <= 1.9", 1.91, False), ("= 0", 0, True)],
)
def test_bounds(holds, value, good):
    assert (
        all(verdicts.COMPARE[op](value, bound) for op, bound in claim("mean", holds).bounds) == good
    )


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


def test_a_metric_that_does_not_apply_judges_the_claim_false(problem):
    (result,) = verdicts.outcomes(problem, runs(problem, [1.0, 1.0, None, 1.0]))
    assert not result.holds and result.trouble == "metric 'm' does not apply for seed 2"


def test_a_value_beyond_every_float_judges_the_claim_false(problem):
    (result,) = verdicts.outcomes(problem, runs(problem, [1e308, -1e308, 1e308, 1e308]))
    assert not result.holds and "too large" in result.trouble


def some(source, main, good, **more):
    given = claim("mean", ">= 0.5", source=source, main=main, published=more.pop("published", None))
    return verdicts.Outcome(given, good, more.pop("n", 4), **more)


@pytest.mark.parametrize(
    "main, other, verdict",
    [
        (True, True, "reproduced"),
        (True, False, "partial"),
        (False, True, "not reproduced"),
        (False, False, "not reproduced"),
    ],
)
@pytest.mark.parametrize("rest", [True, False])
def test_only_the_papers_claims_make_the_verdict(main, other, rest, verdict):
    parts = [("paper", True, main), ("paper", False, other), ("v1", False, rest)]
    parts.append(("control", False, rest))
    assert verdicts.verdict([some(*part) for part in parts]) == verdict


def test_without_a_current_run_nothing_is_judged(problem):
    assert verdicts.summarise(problem, [])["verdict"] == "not measured"
    old = [{**run, "fingerprint": "old"} for run in runs(problem, [1.0] * 4)]
    assert verdicts.verdict(verdicts.outcomes(problem, old)) == "not measured"
    assert verdicts.verdict(verdicts.outcomes(problem, runs(problem, [1.0]))) == "not reproduced"


def test_tally_keeps_controls_and_published_numbers_apart():
    left_out = some("paper", False, False, n=0, trouble=verdicts.NOT_MEASURED, published=1.0)
    results = [
        some("paper", True, True, value=0.6, low=0.5, high=0.7, published=0.9),
        some("paper", False, True, value=1.0, low=1.0, high=1.0, published=0.9),
        some("paper", False, False),
        left_out,
        some("control", False, False),
        some("control", False, True),
        some("v1", False, True, value=1.0, low=1.0, high=1.0, published=0.9),
    ]
    assert verdicts.tally(results) == {
        "holds": 2,
        "claims": 3,
        "controls_hold": 1,
        "controls": 2,
        "at_published": 1,
        "with_published": 2,
    }


# --- samples of other seeds --------------------------------------------------------------------


@pytest.fixture
def two_variants(problem):
    """The main claim on variant a, another one on variant b, which is a with more steps."""
    other = dataclasses.replace(problem.claims[0], name="o", variant="b", main=False)
    b = problems.Variant("b", 4, problem.script, {"steps": 9})
    variants = {**problem.variants, "b": b}
    return dataclasses.replace(problem, variants=variants, claims=[*problem.claims, other])


def test_a_sample_judges_only_the_variants_that_it_holds(two_variants):
    sample = [{**run, "seed": 100 + run["seed"]} for run in runs(two_variants, [1.0] * 3)]
    first, second = verdicts.outcomes(two_variants, sample, sample=True)
    assert first.holds and first.n == 3
    assert not second.judged and second.trouble == "not measured"
    assert verdicts.verdict([first, second]) == "reproduced"
    assert verdicts.tally([first, second])["claims"] == 1
    (line,) = [line for line in report.claim_lines(two_variants, [first, second]) if " o " in line]
    assert "not measured" in line and "FAILS" not in line


def test_a_sample_may_hold_other_seeds_of_every_variant(two_variants):
    sample = runs(two_variants, [1.0] * 2)
    sample += [{**run, "variant": "b", "seed": 7, "overrides": {"steps": 9}} for run in sample[:1]]
    assert [r.n for r in verdicts.outcomes(two_variants, sample, sample=True)] == [2, 1]


def test_a_sample_without_the_main_claim_has_no_verdict(two_variants):
    sample = [{**runs(two_variants, [1.0])[0], "variant": "b", "overrides": {"steps": 9}}]
    results = verdicts.outcomes(two_variants, sample, sample=True)
    assert verdicts.verdict(results) == "not measured" and results[1].holds


def test_a_sample_of_older_code_is_not_measured(problem):
    old = [{**run, "fingerprint": "old"} for run in runs(problem, [1.0] * 4)]
    (result,) = verdicts.outcomes(problem, old, sample=True)
    assert not result.judged


# --- what check prints -------------------------------------------------------------------------


def lines_of(problem, *claims_and_values):
    results = []
    for given, good, value in claims_and_values:
        results.append(verdicts.Outcome(given, good, 4, value, value, value))
    return report.claim_lines(problem, results)


def test_check_shows_controls_and_v1_apart_and_names_a_failing_control(problem):
    control = claim("mean", ">= 1", source="control", main=False)
    lines = lines_of(
        problem,
        (claim("mean", ">= 1"), True, 1.0),
        (control, False, 0.5),
        (claim("mean", ">= 1", source="v1", main=False), False, 0.5),
    )
    assert lines[0] == "some-task: reproduced 1/1, controls 0/1; paper setting; control fails: n"
    assert [line.split()[0] for line in lines[1:]] == ["holds", "controls", "FAILS", "v1", "FAILS"]


def test_check_sets_ours_against_the_published_number(problem):
    given = claim("mean", "<= 130", published=22.0, where="section 4, table 2")
    first, line = lines_of(problem, (given, True, 124.0))
    assert "reproduced 1/1, at the published number 0/1" in first
    for part in ("(section 4, table 2)", "ours / published 5.636", "misses the published 22"):
        assert part in line
    assert line.endswith("bound looser than published")


def test_check_shows_a_deterministic_value_once(problem):
    _, line = lines_of(problem, (claim("worst", "<= 5", deterministic=True), True, 3.0))
    assert "  3, must be <= 5;" in line and "seed" not in line


def test_check_strips_control_characters(problem):
    given = dataclasses.replace(claim("mean", "<= 1"), name="a\x1b[2Jb", reported="x\ny\u202e")
    text = "".join(lines_of(problem, (given, True, 1.0)))
    assert text.isprintable() and "a[2Jb" in text and "x y" in text


# --- cards -------------------------------------------------------------------------------------


def with_lines(problem, text):
    """The problem with its card changed by a function of its text."""
    path = problem.folder / "problem.toml"
    path.write_text(text(path.read_text()))
    return problems.load(problem.folder)


def test_a_card_may_lack_what_a_sceptic_needs(problem):
    lines = "\n".join(problems.shortcomings(problem))
    assert "url is missing" in lines and "setting_of is missing" in lines
    assert "claim 'n' needs where" in lines and len(lines.splitlines()) == 3


ROW = """
[[setting_of]]
what = "rule"
paper = "gradient descent"
where = "section 3"
ours = "Adam"
known = "verified"
changes_result = true
"""
URL = 'url = ["https://doi.org/10.1162/neco.1997.9.8.1735"]\n'


def full(text):
    return URL + text + 'where = "table 2"\n' + ROW


def test_a_full_card_has_no_shortcomings(problem):
    found = with_lines(
        problem, lambda text: full(text).replace('setting = "paper"', 'setting = "adapted"')
    )
    assert problems.shortcomings(found) == [] and found.url[0].startswith("https://doi.org")
    assert found.setting_of[0]["what"] == "rule" and problems.differs(found.setting_of[0])


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("", "", "setting is 'paper', but 'rule' differs"),
        ('ours = "Adam"', 'ours = "same"', ""),
        ('ours = "Adam"', 'ours = "gradient descent"', ""),
        ("changes_result = true", "changes_result = false", ""),
    ],
)
def test_the_papers_setting_has_no_difference_that_changes_the_result(problem, old, new, message):
    found = problems.shortcomings(with_lines(problem, lambda text: full(text).replace(old, new)))
    assert len(found) == bool(message) and message in "".join(found)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('holds = ">= 0.5"', 'holds = ">= 0"', "passes on a tie"),
        ('holds = ">= 0.5"', 'holds = ">= 0.0 and <= 1"', "passes on a tie"),
        ('holds = ">= 0.5"', 'holds = "> 0"', ""),
        ('where = "table 2"', "", "needs where"),
        ('where = "table 2"', "unverified = true", ""),
        ('source = "paper"', 'source = "paper"\npublished = 1.5', ""),
    ],
)
def test_what_a_claim_lacks(problem, old, new, message):
    def change(text):
        return full(text).replace('ours = "Adam"', 'ours = "same"').replace(old, new)

    found = problems.shortcomings(with_lines(problem, change))
    assert len(found) == bool(message) and message in "".join(found)


def test_a_control_needs_no_place_in_the_paper(problem):
    control = CARD.split("[[claims]]")[1].replace("paper", "control").replace("main = true", "")
    control = "[[claims]]" + control.replace('"n"', '"c"')
    found = with_lines(problem, lambda text: full(text).replace("Adam", "same") + control)
    assert problems.shortcomings(found) == []
    assert [(claim.source, claim.reported) for claim in found.claims] == [
        ("paper", "1"),
        ("control", "1"),
    ]


def test_bounds_are_parsed_with_exponents():
    assert BOUND.findall(">= -1.5e-3 and < 2") == [(">=", "-1.5e-3"), ("<", "2")]


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
    "old, new",
    [
        ("What it does", "It"),
        ("  # comment", ""),
        ("Returns it", "Gives"),
        ('"hi"', "1"),
        ("seed: x", "s"),
    ],
)
def test_prose_and_command_line_leave_the_fingerprint(tmp_path, old, new):
    assert old in SOURCE
    assert fingerprint(tmp_path, SOURCE) == fingerprint(tmp_path, SOURCE.replace(old, new))


@pytest.mark.parametrize(
    "old, new",
    [("= 3", "= 4"), ("y=2", "y=3"), ("np.tanh", "np.sinh"), ("+ y", "- y"), ("*, ", "")],
)
def test_computation_changes_the_fingerprint(tmp_path, old, new):
    assert fingerprint(tmp_path, SOURCE) != fingerprint(tmp_path, SOURCE.replace(old, new))


def test_fingerprint_is_the_same_under_every_python(tmp_path):
    assert fingerprint(tmp_path, SOURCE) == "472f51b652c0f6c5"


def test_an_interrupted_write_leaves_the_old_record(problem, tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    records.write(path, problem, runs(problem, [1.0]), {})
    before = path.read_text()
    with pytest.raises(ValueError):
        records.write(path, problem, runs(problem, [float("nan")]), {})
    assert path.read_text() == before
    assert not list(tmp_path.glob(".results*"))
    assert re.search(r'"seed": 0', before) and dataclasses.is_dataclass(problem)
