"""Records that outlive a refactoring."""

import datetime
import shutil

import pytest

from catalog import rebind, records
from tests.conftest import catalog
from tests.test_measure import change, record, stub

SCRIPT = "my-problem/my_problem.py"


@pytest.fixture
def two_variants(repository):
    """Fast runs: default with seeds 0 to 4, of which 3 is the cheapest, and other with 0 and 1."""
    card = repository / "my-problem" / "problem.toml"
    text = card.read_text()
    other = "[variants.other]\nseeds = 2\noverrides = { steps = 7 }\n\n[[claims]]"
    card.write_text(text.replace("[[claims]]", other, 1))
    stub(
        repository,
        "record['metrics']['value'] = value = 1 / (seed + 1)\n"
        "record['cpu_seconds'] = abs(seed - 3) + 1\n"
        "record['config'] |= {'steps': 7 if '--steps' in sys.argv else 1}\n"
        "log = os.environ.get('RUN_LOG')\n",
    )
    done = catalog(repository, "measure")
    assert done.returncode == 0, done.stderr
    return repository


def codes(root):
    return {run["fingerprint"] for run in record(root)["runs"]}


def test_the_same_metrics_bind_a_record_to_changed_code(two_variants):
    (old,) = codes(two_variants)
    change(two_variants, "value = 1 / (seed + 1)", "value = 1 / (1 + seed)")
    change(two_variants, "{'steps'", "{'new': 4, 'steps'")
    before = record(two_variants)["runs"]
    done = catalog(two_variants, "measure", "--rebind", "my-problem", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    content = record(two_variants)
    code = records.fingerprint(two_variants / SCRIPT)
    assert codes(two_variants) == {code} and code != old
    today = datetime.date.today().isoformat()
    entry = {"seeds": [3], "date": today, "from": old, "to": code}
    assert content["rebound"] == {"default": entry, "other": {**entry, "seeds": [1]}}
    assert [run["metrics"] for run in content["runs"]] == [run["metrics"] for run in before]
    assert [run["config"] for run in content["runs"]] == [
        {**run["config"], "new": 4} for run in before
    ]
    assert content["summary"]["holds"] == 1
    assert catalog(two_variants, "measure").stdout.startswith("nothing to do")
    assert catalog(two_variants, "measure", "--rebind").stdout.startswith("nothing to do")


def test_a_variant_that_differs_is_left_alone(two_variants):
    (old,) = codes(two_variants)
    change(two_variants, "value = 1 / (seed + 1)", "value = 1 / (seed + 1 + 1e-15 * (seed == 3))")
    done = catalog(two_variants, "measure", "--rebind")
    assert done.returncode == 1
    assert "my-problem default seed 3: not rebound: metric value was 0.25, is 0.2499" in done.stderr
    after = {run["variant"]: run["fingerprint"] for run in record(two_variants)["runs"]}
    assert after == {"default": old, "other": records.fingerprint(two_variants / SCRIPT)}
    assert list(record(two_variants)["rebound"]) == ["other"]


def test_one_seed_of_all_that_differs_is_enough(two_variants):
    (old,) = codes(two_variants)
    change(two_variants, "value = 1 / (seed + 1)", "value = 1 / (seed + 1) + (seed == 0)")
    words = ("measure", "--variant", "default", "--rebind")
    assert catalog(two_variants, *words, "all").returncode == 1 and codes(two_variants) == {old}
    assert "rebound" not in record(two_variants)
    assert catalog(two_variants, *words).returncode == 0, "the cheapest seed alone agrees"


def test_metrics_that_go_and_come(two_variants):
    change(two_variants, "['value'] = value", "['root'] = value")
    done = catalog(two_variants, "measure", "--rebind")
    assert done.returncode == 1 and "metric value is gone (--without value drops" in done.stderr
    done = catalog(two_variants, "measure", "--rebind", "--without", "value")
    assert done.returncode == 1
    assert "the other seeds would lack metric root; --rebind all runs them too" in done.stderr
    assert catalog(two_variants, "measure", "--rebind", "--without", "no").returncode == 2
    done = catalog(two_variants, "measure", "--rebind", "all", "--without", "value")
    assert done.returncode == 0, done.stderr
    assert all(set(run["metrics"]) == {"accuracy", "root"} for run in record(two_variants)["runs"])
    assert record(two_variants)["rebound"]["default"]["seeds"] == [0, 1, 2, 3, 4]


def test_a_dropped_metric_leaves_every_seed(two_variants):
    change(two_variants, "record['metrics']['value'] = value", "value")
    done = catalog(two_variants, "measure", "--rebind", "--without", "value")
    assert done.returncode == 0, done.stderr
    assert all(run["metrics"] == {"accuracy": 1.0} for run in record(two_variants)["runs"])
    assert record(two_variants)["rebound"]["default"]["seeds"] == [3]


def test_failed_and_unfinished_runs_bind_nothing(two_variants):
    (old,) = codes(two_variants)
    change(two_variants, "log =", "sys.exit(1 + (seed == 1))  #")
    done = catalog(two_variants, "measure", "--rebind", "--timeout", "20")
    assert done.returncode == 1 and codes(two_variants) == {old}
    assert "default seed 3: not rebound: exit status 1" in done.stderr
    assert "other seed 1: not done: exit status 2" in done.stderr


def test_failed_runs_of_old_code_stay_what_they_are(two_variants):
    change(two_variants, "log =", "assert seed != 2\nlog =")
    assert catalog(two_variants, "measure").returncode == 1
    change(two_variants, "1 / (seed + 1)", "1 / (1 + seed)")
    assert catalog(two_variants, "measure", "--rebind").returncode == 0
    code = records.fingerprint(two_variants / SCRIPT)
    outdated = [run["seed"] for run in record(two_variants)["runs"] if run["fingerprint"] != code]
    assert outdated == [2]


OLD = {"seed": 1, "config": {"seed": 1, "a": 2}, "metrics": {"x": 1.0, "n": None}}


@pytest.mark.parametrize(
    "config, metrics, expected",
    [
        ({}, {}, None),
        ({"b": 5}, {}, None),
        ({"a": 3}, {}, "option a was 2, is 3"),
        ({"a": ...}, {}, "option a is gone"),
        ({}, {"x": 1}, "metric x was 1.0, is 1"),
        ({}, {"x": True}, "metric x was 1.0, is True"),
        ({}, {"x": None}, "metric x was 1.0, is None"),
        ({}, {"n": 0}, "metric n was None, is 0"),
        ({}, {"x": ...}, "metric x is gone (--without x drops it)"),
        ({}, {"y": 1}, "the other seeds would lack metric y; --rebind all runs them too"),
    ],
)
def test_difference(config, metrics, expected):
    run = {"seed": 1}
    for kind, new in (("config", config), ("metrics", metrics)):
        merged = {**OLD[kind], **new}
        run[kind] = {name: value for name, value in merged.items() if value is not ...}
    assert rebind.difference([OLD, {**OLD, "seed": 2}], run, [], False) == expected
    if "y" in metrics:
        assert rebind.difference([OLD, {**OLD, "seed": 2}], run, [], True) is None


def test_several_old_codes_are_refused(two_variants):
    path = two_variants / "my-problem" / "results.json"
    path.write_text(path.read_text().replace(*codes(two_variants), "another", 1))
    change(two_variants, "1 / (seed + 1)", "1 / (1 + seed)")
    done = catalog(two_variants, "measure", "--rebind")
    assert done.returncode == 2 and "variant default was recorded under several" in done.stderr


@pytest.fixture
def of_another_machine(two_variants, tmp_path):
    """(A repository whose record has other last digits than runs here give, its code before)."""
    before = shutil.copytree(two_variants, tmp_path / "before")
    path = two_variants / "my-problem" / "results.json"
    path.write_text(path.read_text().replace("0.3333333333333333", "0.3333333333333334"))
    path.write_text(path.read_text().replace('"value": 0.25', '"value": 0.25000000000000006'))
    path.write_text(path.read_text().replace('"value": 0.5', '"value": 0.5000000000000001'))
    change(two_variants, "value = 1 / (seed + 1)", "value = 1 / (1 + seed)")
    return two_variants, before


def test_a_record_of_another_machine_is_compared_with_the_code_before(of_another_machine):
    root, before = of_another_machine
    metrics = [run["metrics"] for run in record(root)["runs"]]
    assert catalog(root, "measure", "--rebind").returncode == 1
    done = catalog(root, "measure", "--rebind", "my-problem", "--before", str(before))
    assert done.returncode == 0, done.stderr
    content = record(root)
    assert codes(root) == {records.fingerprint(root / SCRIPT)}
    assert [run["metrics"] for run in content["runs"]] == metrics
    assert "one machine" in content["rebound"]["default"]["compared"]


def test_code_before_that_gives_other_metrics_or_is_another(of_another_machine):
    root, before = of_another_machine
    change(root, "value = 1 / (1 + seed)", "value = 1 / (1 + seed) + 1e-16")
    done = catalog(root, "measure", "--rebind", "my-problem", "--before", str(before))
    assert done.returncode == 1 and "not rebound" in done.stderr
    change(before, "value = 1 / (seed + 1)", "value = 2 / (seed + 1)")
    done = catalog(root, "measure", "--rebind", "my-problem", "--before", str(before))
    assert done.returncode == 2 and "is not the code" in done.stderr
