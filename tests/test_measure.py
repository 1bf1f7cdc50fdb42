"""Sweeps: resuming, failing, hanging and dying runs, other seeds, and a Dask cluster."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future

import cloudpickle
import pytest

from catalog import CatalogError, cluster, data, measure, problems, records, worker
from tests.conftest import catalog


def record(root, name="my-problem/results.json"):
    return json.loads((root / name).read_text())


def change(root, old, new, file="my_problem.py"):
    path = root / "my-problem" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


STUB = """import json, os, sys, time
seed = int(sys.argv[sys.argv.index("--seed") + 1]) if "--seed" in sys.argv else 0
record = {"config": {"seed": seed}, "metrics": {"accuracy": 1.0}}
record |= {"seconds": 0.5, "cpu_seconds": 0.5}
"""


def stub(root, body=""):
    """Put a script in the place of my-problem's that needs no numpy: body may change its record."""
    (root / "my-problem" / "my_problem.py").write_text(f"{STUB}{body}\nprint(json.dumps(record))\n")


def sweep_of(root, *words):
    """A sweep under way, with the signals of an interactive shell."""

    def usual():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    env = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "catalog", "measure", *words]
    return subprocess.Popen(
        command, cwd=root, env=env, stderr=subprocess.PIPE, text=True, preexec_fn=usual
    )


def until(condition, seconds=60):
    deadline = time.time() + seconds
    while not condition() and time.time() < deadline:
        time.sleep(0.05)
    assert condition()


def test_every_seed_is_recorded(finished):
    content = record(finished)
    assert [run["seed"] for run in content["runs"]] == [0, 1, 2, 3, 4]
    assert content["summary"]["verdict"] == "reproduced" and content["summary"]["holds"] == 1
    first = content["runs"][0]
    assert first["calibration"] > 0 and first["seconds"] > 0
    assert first["config"]["seed"] == 0 and first["numpy"]
    assert set(first["machine"]) == {"processor", "cores", "python", "numpy", "blas", "system"}
    assert first["machine"]["processor"] and first["machine"]["cores"] == os.cpu_count()


def test_recorded_runs_are_skipped(repository):
    before = (repository / "my-problem" / "results.json").read_bytes()
    done = catalog(repository, "measure")
    assert done.returncode == 0 and "nothing to do" in done.stdout
    assert (repository / "my-problem" / "results.json").read_bytes() == before


def test_changed_code_is_measured_again(repository):
    old = record(repository)["runs"][0]["fingerprint"]
    change(repository, "TEST_POINTS = 1000", "TEST_POINTS = 999")
    assert catalog(repository, "measure", "--jobs", "2").returncode == 0
    content = record(repository)
    assert len(content["runs"]) == 5 and all(run["fingerprint"] != old for run in content["runs"])


def test_a_variant_can_be_measured_again(repository):
    path = repository / "my-problem" / "results.json"
    content = record(repository)
    for run in content["runs"]:
        run["seconds"] = 99.0
    path.write_text(json.dumps(content))
    assert catalog(repository, "measure", "--again", "--variant", "default").returncode == 0
    after = record(repository)["runs"]
    assert [run["metrics"] for run in after] == [run["metrics"] for run in content["runs"]]
    assert all(run["seconds"] < 99 for run in after)


def test_a_crash_is_recorded_and_stops_nothing(repository):
    bad = "    assert config.seed != 2, 'seed two is bad'\n    rule = rng"
    change(repository, "    rule = rng", bad)
    done = catalog(repository, "measure")
    runs = record(repository)["runs"]
    assert done.returncode == 1 and len(runs) == 5
    assert [run["seed"] for run in runs if "error" in run] == [2]
    assert "seed two is bad" in runs[2]["error"]
    done = catalog(repository, "measure")
    assert done.stdout.startswith("nothing to do"), "a failed run is not repeated unasked"
    assert "1 failed" in catalog(repository, "check").stdout
    assert catalog(repository, "measure", "--retry").returncode == 1


def test_a_hanging_run_is_ended(repository):
    change(repository, "    rule = rng", "    time.sleep(60 * (config.seed == 1))\n    rule = rng")
    start = time.time()
    assert catalog(repository, "measure", "--timeout", "5").returncode == 1
    assert time.time() - start < 50
    errors = [run.get("error") for run in record(repository)["runs"]]
    assert errors == [None, "exceeded 5 s", None, None, None]


def test_a_killed_run_is_recorded(repository):
    kill = "    import os\n    os.kill(os.getpid(), 9 * (config.seed == 4))\n    rule = rng"
    change(repository, "    rule = rng", kill)
    assert catalog(repository, "measure").returncode == 1
    assert record(repository)["runs"][4]["error"] == "killed by signal SIGKILL"


def test_an_interrupted_sweep_goes_on(repository):
    change(repository, "    rule = rng", "    time.sleep(1.5)\n    rule = rng")
    process = sweep_of(repository)

    def new():
        return [run["seed"] for run in record(repository)["runs"] if run["seconds"] > 1.4]

    until(new)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130 and "goes on from there" in process.stderr.read()
    kept = new()
    assert 0 < len(kept) < 5
    stamp = {run["seed"]: run["seconds"] for run in record(repository)["runs"]}
    assert catalog(repository, "measure").returncode == 0
    after = {run["seed"]: run["seconds"] for run in record(repository)["runs"]}
    assert len(after) == 5 and all(after[seed] == stamp[seed] for seed in kept)


def test_other_seeds_leave_the_record_alone(repository, tmp_path):
    before = (repository / "my-problem" / "results.json").read_bytes()
    done = catalog(repository, "measure", "--seeds", "100-101", "--out", str(tmp_path / "o"))
    assert done.returncode == 0
    assert [run["seed"] for run in record(tmp_path, "o/my-problem.json")["runs"]] == [100, 101]
    assert (repository / "my-problem" / "results.json").read_bytes() == before
    done = catalog(repository, "check", "--of", str(tmp_path / "o"))
    assert done.returncode == 0 and "2 seeds" in done.stdout


def test_blas_runs_on_one_thread(tmp_path):
    script = tmp_path / "s.py"
    body = 'record["metrics"]["threads"] = os.environ["OPENBLAS_NUM_THREADS"]'
    script.write_text(f"{STUB}{body}\nprint(json.dumps(record))\n")
    assert worker.measured(script, [], 20)["metrics"]["threads"] == "1"


def test_a_run_without_a_record_is_an_error(tmp_path):
    script = tmp_path / "s.py"
    for text in ("hello", "[1]", "{}", '{"config": {}, "metrics": {"a": NaN}, "seconds": 1}'):
        script.write_text(f"print({text!r})\n")
        assert worker.run_once(script, [], 20) == {"error": "printed no record"}


def test_options_of_a_run():
    overrides = {"learning_rate": 0.5, "online": True, "gate": False, "mode": "a"}
    words = measure.arguments(problems.Variant("v", 1, None, overrides), 7)
    assert " ".join(words) == "--seed 7 --learning-rate 0.5 --online --no-gate --mode a"


@pytest.mark.parametrize("text, seeds", [("5", [5]), ("100-102", [100, 101, 102])])
def test_seed_range(text, seeds):
    assert list(measure.seed_range(text)) == seeds


BAD_SEEDS = ["", "a", "5-3", "-1", "1-2-3", "0-4294967296", "0-1000000", "1.5"]


@pytest.mark.parametrize("text", BAD_SEEDS)
def test_seed_range_refuses(text):
    with pytest.raises(CatalogError, match="--seeds"):
        measure.seed_range(text)


# --- what an edit, a second sweep or a signal during a sweep does --------------------------------


def test_an_edit_does_not_slip_into_a_sweep(repository):
    stub(repository, "time.sleep(0.5)")
    script = repository / "my-problem" / "my_problem.py"
    good = script.read_text()
    process = sweep_of(repository)
    code = records.fingerprint(script)

    def ours():
        return [run for run in record(repository)["runs"] if run["fingerprint"] == code]

    until(ours)
    script.write_text(good.replace('"accuracy": 1.0', '"accuracy": 0.25'))
    process.communicate(timeout=60)
    script.write_text(good)
    assert [run["metrics"]["accuracy"] for run in ours()] == [1.0] * 5


def test_a_syntax_error_during_a_sweep_does_not_end_it(repository):
    stub(repository, "time.sleep(0.5)")
    script = repository / "my-problem" / "my_problem.py"
    code = records.fingerprint(script)
    process = sweep_of(repository)
    until(lambda: any(run["fingerprint"] == code for run in record(repository)["runs"]))
    script.write_text("def (\n")
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert [run["fingerprint"] for run in record(repository)["runs"]] == [code] * 5


def test_two_sweeps_at_once_lose_nothing(repository):
    """Two processes record 40 runs each."""
    stub(repository)
    code = (
        "import sys; from catalog import measure, problems, records\n"
        "problem, = problems.select(['my-problem'])\n"
        "for i in range(int(sys.argv[1]), int(sys.argv[1]) + 40):\n"
        "    run = {'variant': 'default', 'seed': i, 'fingerprint': 'x', 'overrides': {}}\n"
        "    measure.save(records.path_of(problem), problem, [{**run, 'error': 'x'}])\n"
    )
    env = {**os.environ, "PYTHONPATH": str(repository)}
    command = [sys.executable, "-c", code]
    first, second = (
        subprocess.Popen([*command, start], cwd=repository, env=env) for start in ("100", "200")
    )
    assert first.wait(timeout=60) == second.wait(timeout=60) == 0
    assert len(record(repository)["runs"]) == 5 + 80


def test_a_sweep_waits_while_another_changes_the_record(repository):
    stub(repository)
    path = repository / "my-problem" / "results.json"
    problem = problems.load(path.parent)
    with records.locked(path):
        before = path.read_bytes()
        process = sweep_of(repository)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=4)
        assert path.read_bytes() == before
        other = {"variant": "default", "seed": 99, "fingerprint": "x", "overrides": {}}
        records.write(path, problem, [{**other, "error": "x"}], {})
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert [run["seed"] for run in record(repository)["runs"]] == [0, 1, 2, 3, 4, 99]
    assert sorted(item.name for item in path.parent.iterdir() if item.name[0] == ".") == []


@pytest.mark.parametrize("name, status", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_the_runs_under_way(repository, tmp_path, name, status):
    pids = tmp_path / "pids"
    stub(repository, f"open({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(100)")
    before = (repository / "my-problem" / "results.json").read_bytes()
    process = sweep_of(repository, "--jobs", "2")
    until(lambda: pids.exists() and pids.read_text().count("\n") == 2)
    process.send_signal(getattr(signal, name))
    errors = process.communicate(timeout=20)[1]
    assert process.returncode == status and "goes on from there" in errors
    assert "Traceback" not in errors
    for pid in pids.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    assert (repository / "my-problem" / "results.json").read_bytes() == before


# --- what says nothing about the code is not recorded ---------------------------------------------


def test_bad_input_is_not_the_code_s_fault(repository):
    stub(repository, "if seed == 3:\n    print('no data', file=sys.stderr)\n    sys.exit(2)")
    done = catalog(repository, "measure")
    runs = record(repository)["runs"]
    assert done.returncode == 1 and "my-problem default seed 3: not done: no data" in done.stderr
    code = records.fingerprint(repository / "my-problem" / "my_problem.py")
    assert [run["seed"] for run in runs if run["fingerprint"] == code] == [0, 1, 2, 4]
    assert not any("error" in run for run in runs)


def test_another_configuration_is_refused(repository):
    stub(repository, 'record["config"]["seed"] = max(seed, 2)')
    done = catalog(repository, "measure")
    assert done.returncode == 1
    assert "seed 1: not done: it ran with seed = 2, asked for 1" in done.stderr
    code = records.fingerprint(repository / "my-problem" / "my_problem.py")
    runs = [run for run in record(repository)["runs"] if run["fingerprint"] == code]
    assert [run["seed"] for run in runs] == [2, 3, 4]


def test_a_recorded_run_with_another_configuration_is_not_current():
    variant = problems.Variant("a", 3, None, {"steps": 5})
    run = {"variant": "a", "seed": 1, "fingerprint": "x", "overrides": {"steps": 5}}
    good = {"seed": 1, "steps": 5}
    assert records.is_current({**run, "config": good}, variant, "x")
    assert not records.is_current({**run, "config": {**good, "seed": 7}}, variant, "x")
    assert not records.is_current({**run, "config": {**good, "steps": 6}}, variant, "x")


def test_a_long_timeout_is_no_error(tmp_path):
    script = tmp_path / "s.py"
    script.write_text(f"{STUB}\nprint(json.dumps(record))\n")
    assert worker.run_once(script, [], 9e8)["metrics"] == {"accuracy": 1.0}


def test_a_platform_without_process_groups(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "killpg")
    script = tmp_path / "s.py"
    script.write_text("import time\ntime.sleep(100)\n")
    assert worker.run_once(script, [], 0.5) == {"error": "exceeded 0.5 s"}


def test_a_lost_worker_is_not_recorded(repository, monkeypatch, capsys):
    """Cancelled futures and whatever an executor raises."""
    problem = problems.load(repository / "my-problem")
    cancelled, broken = Future(), Future()
    cancelled.cancel()
    cancelled.set_running_or_notify_cancel()
    broken.set_exception(OSError("no space left\nat all"))
    futures = [cancelled, broken]
    pool = contextlib.contextmanager(lambda *_: iter([lambda *_: futures.pop()]))
    monkeypatch.setattr(measure, "_pool", pool)
    plan = [measure.Task(problem, problem.headline, seed, None) for seed in (0, 1)]
    assert measure.sweep(plan, lambda task, run: pytest.fail("recorded")) == 2
    errors = capsys.readouterr().err
    assert "not done: CancelledError" in errors and "not done: OSError: no space left\n" in errors


# --- runs that no card asks for ------------------------------------------------------------------


def test_dropping_runs_needs_prune(repository):
    card = repository / "my-problem" / "problem.toml"
    card.write_text(card.read_text().replace("seeds = 5", "seeds = 2"))
    done = catalog(repository, "measure")
    assert done.returncode == 0 and len(record(repository)["runs"]) == 5
    assert "does not ask for: 3 of default; they stay; --prune drops them" in done.stdout
    assert catalog(repository, "measure", "--prune").returncode == 0
    assert [run["seed"] for run in record(repository)["runs"]] == [0, 1]


def test_a_renamed_variant_keeps_its_runs(repository):
    card = repository / "my-problem" / "problem.toml"
    text = card.read_text().replace("variants.default", "variants.new")
    card.write_text(text.replace('"default"', '"new"'))
    stub(repository)
    done = catalog(repository, "measure")
    assert done.returncode == 0 and "5 of default; they stay" in done.stdout
    assert [run["variant"] for run in record(repository)["runs"]] == ["new"] * 5 + ["default"] * 5
    done = catalog(repository, "measure", "--prune")
    assert "5 of default; dropped" in done.stdout and len(record(repository)["runs"]) == 5


# --- a real Dask cluster: a scheduler and two workers -------------------------------------------


@pytest.fixture
def scheduler(scheduler_process):
    return scheduler_process[1]


@pytest.fixture
def scheduler_process(tmp_path):
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    dask = [sys.executable, "-m", "dask"]
    options = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
    processes = [subprocess.Popen([*dask, "scheduler", *options, "--port", "0"], **quiet)]
    for name in ("w0", "w1"):
        words = [*dask, "worker", *options, "--nthreads", "1", "--name", name]
        processes.append(subprocess.Popen(words, **quiet))
    try:
        until(lambda: file.exists() and file.read_text().strip().endswith("}"))
        yield processes[0], json.loads(file.read_text())["address"]
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
    change(repository, "TEST_POINTS = 1000", "TEST_POINTS = 999")
    done = catalog(repository, "measure", "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 2
    assert "no Dask scheduler at tcp://127.0.0.1:9" in done.stderr.splitlines()[-1]


def test_a_cluster_s_workers_need_no_catalog(tmp_path):
    cloudpickle.register_pickle_by_value(worker)
    try:
        (tmp_path / "task").write_bytes(cloudpickle.dumps(worker.measured))
    finally:
        cloudpickle.unregister_pickle_by_value(worker)
    (tmp_path / "s.py").write_text(f"{STUB}\nprint(json.dumps(record))\n")
    code = (
        "import sys, pickle; sys.modules['catalog'] = None\n"
        "files = {'s.py': open('s.py', 'rb').read()}\n"
        "print(pickle.load(open('task', 'rb'))('s.py', [], 20, files))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "'accuracy': 1.0" in done.stdout and "'blas'" in done.stdout, done.stderr


def test_a_cluster_gets_mnist(repository, scheduler, monkeypatch):
    mnist = repository / "data" / "mnist"
    mnist.mkdir(parents=True)
    (mnist / "t10k-labels-idx1-ubyte.gz").write_bytes(b"four")
    stub(
        repository,
        "from pathlib import Path\n"
        "here = Path(__file__).resolve().parents[1] / 'data' / 'mnist'\n"
        "place = os.environ.get('MNIST_DIR') or here\n"
        "record['metrics']['bytes'] = os.path.getsize(f'{place}/t10k-labels-idx1-ubyte.gz')\n"
        "record['metrics']['copied'] = 'copy' not in str(place)",
    )
    monkeypatch.delenv("MNIST_DIR", raising=False)
    done = catalog(repository, "measure", "--scheduler", scheduler)
    assert done.returncode == 0, done.stderr
    assert all(run["metrics"]["bytes"] == 4 for run in record(repository)["runs"])
    assert all(run["metrics"]["copied"] for run in record(repository)["runs"])


def test_a_scheduler_that_is_lost_is_not_the_code_s_fault(repository, scheduler_process):
    process, address = scheduler_process
    stub(repository, "time.sleep(100 * (seed > 0))")
    before = record(repository)["runs"][1:]
    sweep = sweep_of(repository, "--scheduler", address)
    code = records.fingerprint(repository / "my-problem" / "my_problem.py")
    until(lambda: record(repository)["runs"][0]["fingerprint"] == code)
    process.kill()
    errors = sweep.communicate(timeout=90)[1]
    assert sweep.returncode == 1 and "seed 4: not done: " in errors
    assert record(repository)["runs"][1:] == before


def test_a_mute_scheduler_is_given_up(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(CatalogError, match=f"no Dask scheduler at {address}: no answer"):
            with cluster.pool(address, None):
                pass


def test_an_address_that_is_no_scheduler_s_is_one_line(repository):
    change(repository, "TEST_POINTS = 1000", "TEST_POINTS = 999")
    for address in ("tls://127.0.0.1:9", "nonsense", "foo://x:1"):
        done = catalog(repository, "measure", "--scheduler", address)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert f"no Dask scheduler at {address}: " in done.stderr.splitlines()[-1]
        assert len(done.stderr.splitlines()) == 1


def test_a_copied_script_finds_the_files_of_its_folder_and_shared_data(repository, monkeypatch):
    chorales = repository / "data" / "chorales"
    chorales.mkdir(parents=True)
    (chorales / "chorales.txt.gz").write_bytes(b"seven")
    (repository / "my-problem" / "strokes.txt").write_text("three")
    stub(
        repository,
        "from pathlib import Path\n"
        "here = Path(__file__).resolve().with_name('strokes.txt')\n"
        "record['metrics']['own'] = len(here.read_text())\n"
        "record['metrics']['shared'] = os.path.getsize(os.environ['CHORALES_FILE'])",
    )
    monkeypatch.delenv("CHORALES_FILE", raising=False)
    done = catalog(repository, "measure")
    assert done.returncode == 0, done.stderr
    assert all(run["metrics"]["own"] == 5 for run in record(repository)["runs"])
    assert all(run["metrics"]["shared"] == 5 for run in record(repository)["runs"])


def test_shared_files_travel_under_the_names_that_scripts_know(tmp_path):
    mine = tmp_path / "my_tunes.gz"
    mine.write_bytes(b"tune")
    scripts = [b"os.environ.get('CHORALES_FILE')", b"os.environ.get('MNIST_DIR')"]
    places = {"CHORALES_FILE": str(mine), "MNIST_DIR": str(tmp_path / "nowhere")}
    assert data.shared_files(scripts, places) == {"data/chorales/chorales.txt.gz": b"tune"}
    assert data.shared_files(scripts[1:], places) == {}
    assert data.shared_files(scripts[1:], {"MNIST_DIR": tmp_path}) == {
        "data/mnist/my_tunes.gz": b"tune"
    }
