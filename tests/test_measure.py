"""Sweeps: resuming, failing, hanging and dying runs, other seeds, and a Dask cluster."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from catalog import CatalogError, measure, worker
from tests.conftest import catalog, interruptible


def record(root, name="my-problem/results.json"):
    return json.loads((root / name).read_text())


def change(root, old, new, file="my_problem.py"):
    path = root / "my-problem" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_every_seed_is_recorded(finished):
    content = record(finished)
    assert [run["seed"] for run in content["runs"]] == [0, 1, 2, 3, 4]
    assert content["summary"]["verdict"] == "reproduced" and content["summary"]["holds"] == 1
    first = content["runs"][0]
    assert (
        first["calibration"] > 0
        and first["seconds"] > 0
        and first["config"]["seed"] == 0
        and first["numpy"]
    )


def test_recorded_runs_are_skipped(repository):
    before = (repository / "my-problem" / "results.json").read_bytes()
    done = catalog(repository, "measure")
    assert done.returncode == 0 and "nothing to do" in done.stdout
    assert (repository / "my-problem" / "results.json").read_bytes() == before


def test_changed_code_is_measured_again(repository):
    old = record(repository)["runs"][0]["fingerprint"]
    change(repository, "1000, 0.0", "999, 0.0")
    assert catalog(repository, "measure", "--jobs", "2").returncode == 0
    content = record(repository)
    assert len(content["runs"]) == 5 and all(run["fingerprint"] != old for run in content["runs"])


def test_a_variant_can_be_measured_again(repository):
    before = record(repository)["runs"]
    assert catalog(repository, "measure", "--again", "--variant", "default").returncode == 0
    after = record(repository)["runs"]
    assert [run["metrics"] for run in after] == [run["metrics"] for run in before]
    assert [run["seconds"] for run in after] != [run["seconds"] for run in before]


def test_a_crash_is_recorded_and_stops_nothing(repository):
    change(
        repository,
        "    rule = rng",
        "    assert config.seed != 2, 'seed two is bad'\n    rule = rng",
    )
    done = catalog(repository, "measure")
    runs = record(repository)["runs"]
    assert done.returncode == 1 and len(runs) == 5
    assert [run["seed"] for run in runs if "error" in run] == [2] and "seed two is bad" in runs[2][
        "error"
    ]
    assert catalog(repository, "measure").stdout.startswith("nothing to do"), (
        "a failed run is not repeated unasked"
    )
    assert "1 failed" in catalog(repository, "check").stdout
    assert catalog(repository, "measure", "--retry").returncode == 1


def test_a_hanging_run_is_ended(repository):
    change(repository, "    rule = rng", "    time.sleep(60 * (config.seed == 1))\n    rule = rng")
    start = time.time()
    assert catalog(repository, "measure", "--timeout", "5").returncode == 1
    assert time.time() - start < 50
    assert [run.get("error") for run in record(repository)["runs"]] == [
        None,
        "exceeded 5 s",
        None,
        None,
        None,
    ]


def test_a_killed_run_is_recorded(repository):
    change(
        repository,
        "    rule = rng",
        "    import os\n    os.kill(os.getpid(), 9 * (config.seed == 4))\n    rule = rng",
    )
    assert catalog(repository, "measure").returncode == 1
    assert record(repository)["runs"][4]["error"] == "killed by signal SIGKILL"


def test_an_interrupted_sweep_goes_on(repository):
    change(repository, "    rule = rng", "    time.sleep(1.5)\n    rule = rng")
    env = {**os.environ, "PYTHONPATH": str(repository)}
    command = [sys.executable, "-m", "catalog", "measure"]
    process = subprocess.Popen(
        command,
        cwd=repository,
        env=env,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )
    new = lambda: [run["seed"] for run in record(repository)["runs"] if run["seconds"] > 1.4]  # noqa: E731
    deadline = time.time() + 60
    while not new() and time.time() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130 and "goes on from there" in process.stderr.read()
    kept = new()
    assert 0 < len(kept) < 5
    stamp = {
        run["seed"]: run["seconds"] for run in record(repository)["runs"] if run["seed"] in kept
    }
    assert catalog(repository, "measure").returncode == 0
    after = {run["seed"]: run["seconds"] for run in record(repository)["runs"]}
    assert len(after) == 5 and all(after[seed] == seconds for seed, seconds in stamp.items())


def test_other_seeds_leave_the_record_alone(repository, tmp_path):
    before = (repository / "my-problem" / "results.json").read_bytes()
    assert (
        catalog(
            repository, "measure", "--seeds", "100-101", "--out", str(tmp_path / "o")
        ).returncode
        == 0
    )
    assert [run["seed"] for run in record(tmp_path, "o/my-problem.json")["runs"]] == [100, 101]
    assert (repository / "my-problem" / "results.json").read_bytes() == before
    done = catalog(repository, "check", "--of", str(tmp_path / "o"))
    assert done.returncode == 0 and "2 seeds" in done.stdout


def test_blas_runs_on_one_thread(tmp_path):
    script = tmp_path / "s.py"
    script.write_text(
        "import os, json\nprint(json.dumps({'threads': os.environ['OPENBLAS_NUM_THREADS']}))\n"
    )
    assert worker.run_once(script, [], 20) == {"threads": "1"}


def test_a_run_without_a_record_is_an_error(tmp_path):
    script = tmp_path / "s.py"
    script.write_text("print('hello')\n")
    assert worker.run_once(script, [], 20) == {"error": "printed no record"}


def test_options_of_a_run():
    variant = type(
        "V", (), {"overrides": {"learning_rate": 0.5, "online": True, "gate": False, "mode": "a"}}
    )
    words = measure.arguments(variant, 7)
    assert words == [
        "--seed",
        "7",
        "--learning-rate",
        "0.5",
        "--online",
        "--no-gate",
        "--mode",
        "a",
    ]


@pytest.mark.parametrize("text, seeds", [("5", [5]), ("100-102", [100, 101, 102])])
def test_seed_range(text, seeds):
    assert list(measure.seed_range(text)) == seeds


@pytest.mark.parametrize(
    "text", ["", "a", "5-3", "-1", "1-2-3", "0-4294967296", "0-1000000", "1.5"]
)
def test_seed_range_refuses(text):
    with pytest.raises(CatalogError, match="--seeds"):
        measure.seed_range(text)


# --- a real Dask cluster: a scheduler and two workers -------------------------------------------


@pytest.fixture
def scheduler(tmp_path):
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    dask = [sys.executable, "-m", "dask"]
    processes = [
        subprocess.Popen(
            [
                *dask,
                "scheduler",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--no-dashboard",
                "--scheduler-file",
                str(file),
            ],
            **quiet,
        )
    ]
    options = [
        "--scheduler-file",
        str(file),
        "--nthreads",
        "1",
        "--no-dashboard",
        "--host",
        "127.0.0.1",
    ]
    processes += [
        subprocess.Popen([*dask, "worker", *options, "--name", f"w{i}"], **quiet) for i in range(2)
    ]
    try:
        deadline = time.time() + 60
        while (
            not (file.exists() and file.read_text().strip().endswith("}"))
            and time.time() < deadline
        ):
            time.sleep(0.1)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=20)


def test_a_cluster_runs_the_same_sweep(repository, scheduler):
    local = {run["seed"]: run["metrics"] for run in record(repository)["runs"]}
    change(repository, "    rule = rng", "    assert config.seed != 3\n    rule = rng")
    done = catalog(repository, "measure", "--scheduler", scheduler)
    runs = {run["seed"]: run for run in record(repository)["runs"]}
    assert done.returncode == 1, done.stderr
    assert sorted(runs) == [0, 1, 2, 3, 4] and "AssertionError" in runs[3]["error"]
    assert all(runs[seed]["metrics"] == local[seed] for seed in (0, 1, 2, 4))
    assert all(run["calibration"] > 0 for run in runs.values())


def test_a_cluster_that_is_not_there(repository):
    change(repository, "1000, 0.0", "999, 0.0")
    done = catalog(repository, "measure", "--scheduler", "tcp://127.0.0.1:9")
    assert (
        done.returncode == 2
        and "no Dask scheduler at tcp://127.0.0.1:9" in done.stderr.splitlines()[-1]
    )
