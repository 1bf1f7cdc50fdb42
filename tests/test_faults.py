"""Damaged cards, records and scripts: one line that names file, place and fault."""

import copy
import json
import os
import shutil
import subprocess
import sys

import pytest

from catalog import ROOT, CatalogError, problems, records, verdicts

CARD = """
title = "T"
year = 1990
era = "1980s local rules"
line = "Long time lags and LSTM"
themes = ["a", "b"]
citation = "c"
url = ["https://example.org/a"]
summary = "s"
caption = "g"
setting = "adapted"
budget = "steps"
timeout = 60
[v1]
headline = "h"
seconds = 3
[variants.a]
seeds = 2
[variants.b]
seeds = 1
overrides = { steps = 5 }
[[setting_of]]
what = "rule"
paper = "p"
where = "section 3"
ours = "same"
known = "verified"
changes_result = true
[[claims]]
name = "n"
source = "paper"
variant = "a"
metric = "m"
statistic = "mean"
holds = ">= 0.5"
paper = "1"
published = 1.0
where = "table 2"
main = true
[[claims]]
name = "c"
source = "control"
variant = "b"
metric = "m"
statistic = "mean"
holds = "<= 5"
control = "chance"
"""
RUN = {"variant": "a", "fingerprint": "f", "overrides": {}, "metrics": {"m": 1.0}, "seconds": 1.0}
SUMMARY = {"verdict": "reproduced", "v1": "none", "holds": 1, "claims": 1}
TIME = {"seconds": 1.5, "fingerprint": "f"}
RECORD = {"runs": [{**RUN, "seed": 0}, {**RUN, "seed": 1}], "summary": SUMMARY, "time": TIME}

# --- cards: what is replaced, by what, and the complaint ---------------------------------------

CARDS = {
    "no TOML": ("year = 1990", "year = = 3", "line 3"),
    "number without end": ("year = 1990", f"year = {'9' * 5000}", "digit OR large"),
    "nested without end": ('["a", "b"]', "[" * 5000, "recursion OR nested"),
    "key missing": ('title = "T"', "", "'title' is missing"),
    "key unknown": ('title = "T"', 'title = "T"\ntitel = "T"', "unknown key 'titel'"),
    "title is a number": ('title = "T"', "title = 3", "title has the wrong type: 3"),
    "title is a date": ('title = "T"', "title = 1990-01-01", "title has the wrong type"),
    "summary is blank": ('summary = "s"', 'summary = " "', "summary is empty"),
    "year is text": ("year = 1990", 'year = "1990"', "year has the wrong type"),
    "year is true": ("year = 1990", "year = true", "year has the wrong type: True"),
    "year is a fraction": ("year = 1990", "year = 1990.0", "year has the wrong type"),
    "year is 10**9": ("year = 1990", "year = 1000000000", "at least 1900 and at most 2100"),
    "year is below zero": ("year = 1990", "year = -1", "at least 1900"),
    "year is huge": ("year = 1990", f"year = 1{'0' * 400}", "year is too large"),
    "era unknown": ('era = "1980s local rules"', 'era = "now"', "era is 'now'"),
    "line unknown": ('line = "Long time lags and LSTM"', 'line = "Roses"', "line is 'Roses'"),
    "builds on nothing said": ("timeout = 60", 'timeout = 60\nbuilds_on = {a = " "}', "holds ' '"),
    "builds on a list": ("timeout = 60", 'timeout = 60\nbuilds_on = ["a"]', "wrong type"),
    "rerun below zero": ("seconds = 3", "seconds = 3\nrerun = -1", "v1: rerun is -1"),
    "options no text": ("seconds = 3", "seconds = 3\noptions = 1", "v1: options has the wrong"),
    "setting unknown": ('setting = "adapted"', 'setting = "toy"', "setting is 'toy'"),
    "timeout 0": ("timeout = 60", "timeout = 0", "timeout is 0"),
    "timeout endless": ("timeout = 60", "timeout = inf", "timeout has the wrong type"),
    "themes is text": ('["a", "b"]', '"a"', "themes has the wrong type"),
    "themes empty": ('["a", "b"]', "[]", "themes is empty"),
    "theme is a number": ('["a", "b"]', "[1]", "themes holds 1"),
    "theme is blank": ('["a", "b"]', '["a", ""]', "themes holds ''"),
    "theme twice": ('["a", "b"]', '["a", "a"]', "themes holds 'a' 2 times"),
    "url twice": ("org/a", 'org/a", "https://example.org/a', "2 times"),
    "url is a number": ('"https://example.org/a"', "1", "url holds 1"),
    "url is a script": ("https://example.org/a", "javascript:alert(1)", "is no address"),
    "url with markup": ("https://example.org/a", "https://a.org/)<b>", "is no address"),
    "url with a line break": ("org/a", "org/a\\n", "is no address"),
    "v1 is text": ('[v1]\nheadline = "h"\nseconds = 3', 'v1 = "x"\n', "v1"),
    "v1 without headline": ('headline = "h"', "", "v1: key 'headline' is missing"),
    "v1 seconds NaN": ("seconds = 3", "seconds = nan", "v1: seconds has the wrong type: nan"),
    "v1 seconds below zero": ("seconds = 3", "seconds = -3", "v1: seconds is -3"),
    "variants are numbers": ("[variants.a]\nseeds = 2", "[variants]\na = 1", "variants.a: must be"),
    "variant with a bar": ("[variants.b]", '[variants."b|c"]', "variant 'b|c' is not made of"),
    "variant without name": ("[variants.b]", '[variants.""]', "variant '' is not made of"),
    "seeds 0": ("seeds = 1", "seeds = 0", "variants.b: seeds is 0, must be at least 1"),
    "seeds 10**9": ("seeds = 1", "seeds = 1000000000", "at most 100000"),
    "seeds true": ("seeds = 1", "seeds = true", "variants.b: seeds has the wrong type"),
    "headline with overrides": (
        "seeds = 2",
        "seeds = 2\noverrides = {x = 1}",
        "must be the defaults",
    ),
    "override NaN": ("steps = 5", "steps = nan", "'steps' is nan"),
    "override without end": ("steps = 5", "steps = inf", "'steps' is inf"),
    "override is a date": ("steps = 5", "steps = 1990-01-01", "'steps' is datetime"),
    "override is a table": ("steps = 5", "steps = {a = 1}", "'steps' is {'a': 1}"),
    "override is a list": ("steps = 5", "steps = [1]", "'steps' is [1]"),
    "override is blank": ("steps = 5", 'steps = ""', "'steps' is ''"),
    "override is huge": ("steps = 5", f"steps = 1{'0' * 400}", "must be a finite number"),
    "override of the seed": ("steps = 5", "seed = 7", "seed is what a sweep sets"),
    "override of no option": ("steps = 5", '"a b" = 1', "'a b' is no name of an option"),
    "script absolute": ("seeds = 1", 'seeds = 1\nscript = "/etc/x.py"', "script is '/etc/x.py'"),
    "script elsewhere": ("seeds = 1", 'seeds = 1\nscript = "../x.py"', "script is '../x.py'"),
    "script no Python": ("seeds = 1", 'seeds = 1\nscript = "README.md"', "script is 'README.md'"),
    "script missing": ("seeds = 1", 'seeds = 1\nscript = "gone.py"', "there is no file gone.py"),
    "script is a folder": ("seeds = 1", 'seeds = 1\nscript = "folder.py"', "no file folder.py"),
    "setting row is text": (CARD[CARD.index("[[setting") : CARD.index("[[claims")], "", None),
    "setting row lacks known": ('known = "verified"', "", "setting_of 0: key 'known' is missing"),
    "setting row known odd": ('"verified"', '"perhaps"', "setting_of 0: known is 'perhaps'"),
    "setting row effect odd": ("result = true", 'result = "no"', "changes_result has the wrong"),
    "claim not a table": (CARD[CARD.index("[[claims") :], "", None),
    "claim without metric": (
        'metric = "m"\nstatistic = "mean"\nholds = ">',
        'holds = ">',
        "'metric'",
    ),
    "claim name twice": ('name = "c"', 'name = "n"', "claim 'n' stands 2 times"),
    "claim name is a list": ('name = "c"', 'name = ["c"]', "claim 1: name has the wrong type"),
    "source unknown": ('source = "control"', 'source = "we"', "claim 'c': source is 'we'"),
    "source without text": ('control = "chance"', "", "needs control"),
    "text of another source": (
        'control = "chance"',
        'control = "x"\nv1 = "y"',
        "'v1' says nothing",
    ),
    "control with a number": ('"chance"', '"chance"\npublished = 3', "no published number"),
    "published NaN": ("published = 1.0", "published = nan", "published has the wrong type: nan"),
    "published true": ("published = 1.0", "published = true", "published has the wrong type"),
    "published text": ("published = 1.0", 'published = "1"', "published has the wrong type"),
    "where blank": ('where = "table 2"', 'where = ""', "claim 'n': where is empty"),
    "deterministic odd": (
        "main = true",
        'main = true\ndeterministic = "y"',
        "deterministic has the",
    ),
    "variant unknown": ('variant = "b"', 'variant = "z"', "claim 'c': variant is 'z'"),
    "statistic unknown": ('statistic = "mean"', 'statistic = "luck"', "statistic is 'luck'"),
    "metric of three": ('metric = "m"', 'metric = "a / b / c"', "metric is 'a / b / c'"),
    "metric odd": ('metric = "m"', 'metric = "a|b"', "metric is 'a|b'"),
    "metric of two for a mean": ('metric = "m"', 'metric = "a / b"', "go together"),
    "one metric for a ratio": ('"mean"', '"ratio of medians"', "go together"),
    "one metric for a pooled share": ('"mean"', '"pooled share"', "go together"),
    "bound in words": ('">= 0.5"', '"about 1"', "must look like"),
    "bound with or": ('">= 0.5"', '">= 1 or <= 2"', "must look like"),
    "bound NaN": ('">= 0.5"', '">= nan"', "must look like"),
    "bound 1e400": ('">= 0.5"', '">= 1e400"', "a number too large"),
    "bounds without room": ('">= 0.5"', '">= 2 and <= 1"', "leaves no room"),
    "bounds of one side": ('">= 0.5"', '">= 2 and >= 1"', "leaves no room"),
    "main is text": ("main = true", 'main = "x"', "claim 'n': main has the wrong type: 'x'"),
    "no claims": (CARD[CARD.index("[[claims") :], "", None),
    "no variants": (
        CARD[CARD.index("[variants") : CARD.index("[[setting")],
        "[variants]\n",
        "variants is empty",
    ),
    "no main": ("main = true", "main = false", "exactly one claim must have main = true"),
    "two mains": ("main = true\n", "main = true\n", None),
    "main is a control": (
        'control = "chance"',
        'control = "x"\nmain = true',
        "must be the paper's",
    ),
}


def card_text(name):
    old, new, message = CARDS[name]
    assert old in CARD
    if message is not None:
        return CARD.replace(old, new, 1), message
    first, rest = CARD.split("[v1]", 1)
    if name == "two mains":
        other = CARD[CARD.index("[[claims") : CARD.rindex("[[claims")].replace('"n"', '"o"')
        return CARD + other, "exactly one claim"
    table = "setting_of" if "setting" in name else "claims"
    place = "setting_of 0: must be a table" if "setting" in name else "claim 0: must be a table"
    rows, place = ("[]", "exactly one claim") if name == "no claims" else ('["a"]', place)
    return f"{first}{table} = {rows}\n[v1]{rest}".replace(old, ""), place


# --- records: a change of the content and the complaint ----------------------------------------


def without(key):
    return lambda record: record["runs"][1].pop(key)


def run(**values):
    return lambda record: record["runs"][1].update(values)


def whole(**values):
    return lambda record: record.update(values)


RECORDS = {
    "no runs": (lambda record: record.pop("runs"), "no list of runs"),
    "runs is a table": (whole(runs={}), "no list of runs"),
    "runs of numbers": (whole(runs=[1]), "run 0: must be a table, is 1"),
    "runs of null": (whole(runs=[None]), "run 0: must be a table"),
    "run without seed": (without("seed"), "run 1: key 'seed' is missing"),
    "run without variant": (without("variant"), "run 1: key 'variant' is missing"),
    "run without metrics": (without("metrics"), "seed 1): key 'metrics' is missing"),
    "run without fingerprint": (without("fingerprint"), "seed 1): key 'fingerprint' is missing"),
    "run without overrides": (without("overrides"), "seed 1): key 'overrides' is missing"),
    "run without seconds": (without("seconds"), "seed 1): key 'seconds' is missing"),
    "the same run twice": (run(seed=0), "runs 0 and 1 are both of variant 'a', seed 0"),
    "seed is text": (run(seed="1"), "seed has the wrong type"),
    "seed is true": (run(seed=True), "seed has the wrong type"),
    "seed is a fraction": (run(seed=1.0), "seed has the wrong type"),
    "seed below zero": (run(seed=-1), "seed is -1, below 0"),
    "seed is huge": (run(seed=10**400), "seed is too large"),
    "variant is null": (run(variant=None), "variant has the wrong type"),
    "overrides is a list": (run(overrides=[]), "overrides has the wrong type"),
    "config is null": (run(config=None), "config has the wrong type"),
    "error is a number": (run(error=3), "error has the wrong type"),
    "seconds NaN": (run(seconds=float("nan")), "seconds has the wrong type: nan"),
    "seconds below zero": (run(seconds=-1.0), "seconds is -1.0, below 0"),
    "seconds null": (run(seconds=None), "seconds has the wrong type"),
    "processor seconds are text": (run(cpu_seconds="1"), "cpu_seconds has the wrong type"),
    "metrics is a list": (run(metrics=[1]), "metrics has the wrong type"),
    "metric NaN": (run(metrics={"m": float("nan")}), "seed 1): metric 'm' is nan"),
    "metric without end": (run(metrics={"m": float("inf")}), "metric 'm' is inf"),
    "metric is text": (run(metrics={"m": "good"}), "metric 'm' is 'good'"),
    "metric is a list": (run(metrics={"m": [1]}), "metric 'm' is [1]"),
    "metric is huge": (run(metrics={"m": 10**400}), "metric 'm' is 1000"),
    "metric name odd": (run(metrics={"a|b": 1}), "metric 'a|b' is not made of"),
    "metric name with a line break": (run(metrics={"a\n": 1}), "metric 'a\\n' is not made of"),
    "summary null": (whole(summary=None), "summary: must be a table, is None"),
    "summary is text": (whole(summary="good"), "summary: must be a table"),
    "summary without verdict": (whole(summary={"holds": 1}), "summary: key 'verdict' is missing"),
    "summary counts are text": (whole(summary={**SUMMARY, "holds": "1"}), "holds has the wrong"),
    "time null": (whole(time=None), "time: must be a table"),
    "time NaN": (whole(time={**TIME, "seconds": float("nan")}), "time: seconds has the wrong type"),
    "time below zero": (whole(time={**TIME, "seconds": -2}), "time: seconds is -2, below 0"),
}
BYTES = {  # file: name, bytes, complaint
    "card is no UTF-8": ("problem.toml", b"title = '\xff'", "can't decode byte 0xff"),
    "record is empty": ("results.json", b"", "Expecting value"),
    "record is a list": ("results.json", b"[]", "no list of runs"),
    "record is cut off": ("results.json", b'{"runs": [', "Expecting value"),
    "record is no UTF-8": ("results.json", b'{"runs": "\xff"}', "can't decode byte 0xff"),
    "record nested without end": ("results.json", b"[" * 100_000, "recursion"),
    "record with an endless number": (
        "results.json",
        b'{"runs": [' + b"9" * 5000,
        "digit OR delimiter",
    ),
}
SCRIPTS = {
    "script with a syntax error": ("some_task.py", b"x = = 1\n", "invalid syntax"),
    "script is no UTF-8": ("some_task.py", b"x = '\xff'\n", "can't decode byte 0xff"),
    "script with a null byte": ("some_task.py", b"x = 1\0\n", "null bytes"),
    "script nested too deep": (
        "some_task.py",
        b"x = " + b"-" * 100_000 + b"1\n",
        "recursion OR nested OR complex",
    ),
}


def damage(name):
    """(file, its bytes, complaint) of a case."""
    if name in CARDS:
        text, message = card_text(name)
        return "problem.toml", text.encode(), message
    if name in RECORDS:
        change, message = RECORDS[name]
        record = copy.deepcopy(RECORD)
        change(record)
        return "results.json", json.dumps(record).encode(), message
    return {**BYTES, **SCRIPTS}[name]


CASES = [*CARDS, *RECORDS, *BYTES, *SCRIPTS]

# Runs every command on every case within one process: a process a case would take a minute.
DRIVER = """
import contextlib, io, json, sys
from pathlib import Path
from catalog.__main__ import main

def ran(words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words)
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"
    return code, out.getvalue(), err.getvalue()

found = {}
for name, (file, content) in json.load(sys.stdin).items():
    path = Path("some-task", file)
    sound = path.read_bytes()
    path.write_bytes(content.encode("latin-1"))
    found[name] = {word: ran([word]) for word in ("list", "check", "measure", "report", "book")}
    path.write_bytes(sound)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository with two sound problems, which the driver damages one way after the other."""
    root = tmp_path_factory.mktemp("faults")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "catalog", root / "catalog", ignore=ignored)
    shutil.copy(ROOT / "book.toml", root)
    for slug in ("some-task", "other-task"):
        folder = root / slug
        (folder / "folder.py").mkdir(parents=True)
        (folder / "problem.toml").write_text(CARD)
        script = folder / f"{slug.replace('-', '_')}.py"
        script.write_text("x = 1\n")
        problem, code = problems.load(folder), records.fingerprint(script)
        runs = [{**RUN, "seed": seed, "fingerprint": code} for seed in (0, 1)]
        runs.append(
            {**RUN, "variant": "b", "seed": 0, "overrides": {"steps": 5}, "fingerprint": code}
        )
        summary = verdicts.summarise(problem, runs)
        records.write(records.path_of(problem), problem, runs, summary)
    return root


@pytest.fixture(scope="module")
def answers(repository):
    """What every command answers to every case: {case: {command: [exit status, out, err]}}."""
    cases = {name: (file, content.decode("latin-1")) for name, (file, content, _) in DAMAGE.items()}
    cases["none"] = ("folder.txt", "")
    (repository / "some-task" / "folder.txt").write_text("")
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps(cases),
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


DAMAGE = {name: damage(name) for name in CASES}


def test_two_sound_problems_are_served(answers):
    for word in ("list", "check"):
        code, out, err = answers["none"][word]
        assert code == 0 and err == "" and "some-task" in out and "other-task" in out
    assert (
        "2 problems: claims 2/2, controls 2/2, at the published number 2/2"
        in answers["none"]["check"][1]
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("word", ["list", "check", "measure", "report", "book"])
def test_damage_is_one_line(answers, name, word):
    code, out, err = answers[name][word]
    file, _, message = DAMAGE[name]
    if name in SCRIPTS and word == "list":  # which does not look into scripts
        assert code == 0 and err == "" and "some-task" in out
        return
    served = word in ("list", "check")
    assert code == (1 if served else 2), (code, out, err)
    assert len(err.splitlines()) == 1 and len(err) < 500
    assert f"some-task/{file}: " in err or f"some-task/{file} is no" in err
    assert any(part in err for part in message.split(" OR ")), err
    if served:
        assert "other-task" in out and "some-task" not in out
    else:
        assert out == ""


def test_a_named_problem_that_is_damaged(repository):
    """check SLUG says so as well, and a name that is none still stops everything."""
    card = repository / "some-task" / "problem.toml"
    card.write_text("title = 3\n")
    try:
        sound, faults = problems.sound(["some-task", "other-task"], repository)
        assert [problem.slug for problem in sound] == ["other-task"] and len(faults) == 1
        with pytest.raises(CatalogError, match="no problem named"):
            problems.sound(["gone"], repository)
    finally:
        card.write_text(CARD)


@pytest.mark.parametrize(
    "content",
    [
        {"runs": []},
        RECORD,
        {"runs": [{**RUN, "seed": 0, "metrics": {"a": None, "b": True, "c": 3}}]},
        {"runs": [{"variant": "a", "seed": 0, "fingerprint": "f", "overrides": {}, "error": "x"}]},
        {"runs": [{**RUN, "seed": 0, "rebound": "2025-11-26", "calibration": None}], "summary": {}},
    ],
)
def test_sound_records_are_read(tmp_path, content):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(content))
    assert records.read(path) == content["runs"]
