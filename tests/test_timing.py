"""Times of headlines, alone on the machine."""

import subprocess
import sys

import pytest

from catalog import CatalogError, problems, records, timing, worker
from tests.conftest import catalog
from tests.test_measure import change, record, stub


@pytest.fixture
def quiet(monkeypatch):
    """A machine on which nothing else runs, with a kernel of a second."""
    monkeypatch.setattr(timing, "others", lambda: None)
    monkeypatch.setattr(worker, "probe", lambda: (1.0, {"processor": "p"}))


def test_three_runs_are_recorded(repository, quiet):
    stub(repository, "record['seconds'] = 0.01 * time.time_ns()\nrecord['cpu_seconds'] = 1e99")
    problem = problems.load(repository / "my-problem")
    runs = record(repository)["runs"]
    assert records.timing(problem) is None
    assert timing.time_headlines([problem]) == []
    found = records.timing(problem)
    assert found["seconds"] == min(found["runs"]) and found["median"] == sorted(found["runs"])[1]
    assert len(found["runs"]) == 3 and found["kernel"] == [1.0] * 6
    assert found["machine"] == {"processor": "p"} and found["date"]
    assert record(repository)["runs"] == runs
    assert record(repository)["summary"]["verdict"] == "reproduced"
    assert catalog(repository, "measure").returncode == 0
    assert records.timing(problem) == found, "a sweep keeps the times"
    change(repository, "0.01", "0.02")
    assert records.timing(problem) is None, "times belong to their code"


V1 = """
[variants.small]
seeds = 1
overrides = { steps = 50 }

[[claims]]
name = "old"
source = "v1"
variant = "small"
metric = "accuracy"
statistic = "mean"
holds = ">= 0"
v1 = "0.5"
"""


def test_the_earlier_catalog_s_question_has_a_time_of_its_own(repository, quiet):
    card = repository / "my-problem" / "problem.toml"
    alone = problems.load(repository / "my-problem")
    assert timing.time_headlines([alone], "time_v1") == [] and "time_v1" not in record(repository)
    parts = card.read_text().split("[[setting_of]]", 1)
    tables = V1.split("[[claims]]")
    card.write_text(f"{parts[0]}{tables[0]}\n[[setting_of]]{parts[1]}\n[[claims]]{tables[1]}")
    stub(repository, "assert '--steps' in sys.argv\nrecord['cpu_seconds'] = 1e99")
    problem = problems.load(repository / "my-problem")
    assert timing.time_headlines([problem], "time_v1") == []
    found = records.timing(problem, "time_v1")
    assert found["seconds"] == min(found["runs"]) and len(found["runs"]) == 3
    assert records.timing(problem) is None
    card.write_text(card.read_text().replace("steps = 50", "steps = 60"))
    problem = problems.load(repository / "my-problem")
    assert records.timing(problem, "time_v1") is None, "times belong to their overrides"


def test_the_environment_is_the_user_s(repository, quiet, monkeypatch):
    for name in worker.ONE_THREAD:
        monkeypatch.delenv(name, raising=False)
    stub(repository, "assert 'OMP_NUM_THREADS' not in os.environ\nassert len(sys.argv) == 2")
    assert timing.time_headlines([problems.load(repository / "my-problem")]) == []


def test_a_run_that_fails_has_no_time(repository, quiet):
    stub(repository, "assert False, 'no good'")
    (line,) = timing.time_headlines([problems.load(repository / "my-problem")])
    assert line.startswith("my-problem: not timed: AssertionError") and "time" not in record(
        repository
    )


RUN = {"seconds": 10.0, "cpu_seconds": 10.0}


@pytest.mark.parametrize(
    "after, run, kernels, expected",
    [
        (100.0, None, (), None),
        (None, RUN, (0.1, 0.1), None),
        (100.5, RUN, (0.1, 0.12), None),
        (150.0, RUN, (0.1, 0.1), "other work holds 50% of the machine"),
        (100.0, RUN, (0.1, 0.13), "kernel took 0.1 s before the run and 0.13 s after"),
        (100.0, RUN, (0.13, 0.1), "kernel took 0.13 s before the run and 0.1 s after"),
        (100.0, {**RUN, "cpu_seconds": 5.0}, (0.1, 0.1), "waited: 5.0 s of processor time in 10.0"),
        (100.0, {**RUN, "cpu_seconds": 19.0}, (0.1, 0.1), None),
    ],
)
def test_disturbance(monkeypatch, after, run, kernels, expected):
    """Ten seconds on ten cores, of which other work may have 15."""
    monkeypatch.setattr(timing.os, "cpu_count", lambda: 10)
    before = None if after is None else 100.0
    found = timing.disturbance(before, after, 10.0, run, kernels)
    assert expected in found if expected else found is None


def test_a_disturbed_run_is_done_again(repository, quiet, monkeypatch):
    kernels = iter([1.0, 1.1, 1.5, 1.5, 1.4])
    monkeypatch.setattr(worker, "probe", lambda: (next(kernels), {}))
    stub(repository)
    found = timing.timed(problems.load(repository / "my-problem"))
    assert found["kernel"] == [1.0, 1.1, 1.5, 1.5, 1.5, 1.4] and len(found["runs"]) == 3


def test_a_run_that_is_always_disturbed_is_refused(repository, quiet, monkeypatch):
    kernels = iter(range(1, 100))
    monkeypatch.setattr(worker, "probe", lambda: (2 ** next(kernels), {}))
    stub(repository)
    with pytest.raises(CatalogError, match="took 64 s before the run and 128 s after"):
        timing.timed(problems.load(repository / "my-problem"))


@pytest.mark.skipif(timing.others() is None, reason="the system does not say how busy it is")
def test_a_busy_machine_is_refused(repository):
    before = (repository / "my-problem" / "results.json").read_bytes()
    code = "while True: pass"
    busy = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(timing.os.cpu_count())]
    try:
        done = catalog(repository, "time", "my-problem")
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("my-problem: not timed: other work holds ")
    assert (repository / "my-problem" / "results.json").read_bytes() == before
