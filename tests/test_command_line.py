"""The table of options and the command line that every script carries."""

import dataclasses
import json
import os
import pty
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from catalog.idioms.option import check_options, option
from catalog.records import _fingerprint
from tests.conftest import interruptible


@dataclasses.dataclass(frozen=True)
class Settings:
    """A table with an option of every kind."""

    seed: int = option(0, "seeds every random draw", 0, 2**32 - 1)
    size: int = option(3, "units", 1, 10)
    rate: float = option(0.1, "step size", 1e-3, 1.0)
    mode: str = option("a", "which rule", among=("a", "b"))
    flag: bool = option(False, "whether")

    def __post_init__(self):
        check_options(self)


def test_options_accept_what_is_allowed():
    Settings()
    Settings(size=np.int64(10), rate=1, mode="b", flag=True)


WRONG = [("size", x) for x in (0, 11, 2.5, "3", None)]
WRONG += [("rate", x) for x in (float("nan"), float("inf"), 0.0, "x")]
WRONG += [("mode", "c"), ("mode", 1), ("flag", "yes"), ("seed", -1), ("seed", 2**32)]


@pytest.mark.parametrize("field, value", WRONG)
def test_options_name_field_value_and_bound(field, value):
    with pytest.raises(ValueError) as caught:
        Settings(**{field: value})
    allowed = Settings.__dataclass_fields__[field].metadata["allowed"]
    assert str(caught.value) == f"{field} must be {allowed}, got {value!r}"


def test_meaning_and_bounds_leave_the_fingerprint_alone():
    code = "class Config:\n    size: int = option(%s)\n"
    old = _fingerprint(code % '3, "units", 1, 10')
    assert _fingerprint(code % '3, "hidden units", 1, 100') == old
    assert _fingerprint(code % '4, "units", 1, 10') != old


# --- a whole script ----------------------------------------------------------------------------


@pytest.fixture
def script(finished):
    return finished / "my-problem" / "my_problem.py"


def start(script, *words, python=(), **options):
    command = [sys.executable, *python, str(script), *words]
    return subprocess.run(command, text=True, timeout=60, **{**PIPES, **options})


PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
SHORT = ("--steps", "20")


def test_a_readable_result(script):
    done = start(script, "--seed", "3", *SHORT)
    assert done.returncode == 0 and done.stderr == ""
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names[0] == "accuracy" and names[-1] == "seconds"


def test_one_line_of_json(script, tmp_path):
    done = start(script, "--json", "--quick", "--seed", "4", cwd=tmp_path)
    record = json.loads(done.stdout)
    assert record["problem"] == "my-problem" and record["config"]["seed"] == 4
    assert record["metrics"]["accuracy"] > 0.5 and record["cpu_seconds"] > 0
    assert json.loads(start(script, "--json", "--quick", *SHORT).stdout)["config"]["steps"] == 20


def test_help_explains_every_option(script):
    for python in ((), ("-OO",)):
        text = " ".join(start(script, "--help", python=python).stdout.split())
        for piece in ("seeds every random draw", "1 to 100,000; default 32", "--quick", "--json"):
            assert piece in text


REFUSED = [
    ["--step", "5"],
    ["--steps"],
    ["--steps", "1e3"],
    ["--wrong", "0.6"],
    ["--seed", "-1"],
    ["x"],
]


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_refusals_are_one_line(script, words):
    done = start(script, *words)
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1


def test_interrupt_is_quiet(script):
    command = [sys.executable, str(script), "--steps", "1000000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130 and process.stderr.read() == ""


def test_without_docstrings(script):
    assert start(script, *SHORT, python=["-OO"]).returncode == 0


def closed(number):
    return lambda: os.close(number)


def test_standard_error_closed(script):
    done = start(script, *SHORT, stderr=None, preexec_fn=closed(2))
    assert done.returncode == 0 and "accuracy" in done.stdout
    done = start(script, "--steps", "0", stderr=None, preexec_fn=closed(2))
    assert done.returncode == 2 and done.stdout == ""


@pytest.mark.parametrize("words", [SHORT, ["--help"], ["--json", *SHORT]], ids=" ".join)
def test_output_whose_reader_has_gone(script, words):
    """As with `| head -1`: a quiet end."""
    end, start_of_pipe = os.pipe()
    os.close(end)
    done = start(script, *words, stdout=start_of_pipe)
    os.close(start_of_pipe)
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("words", [SHORT, ["--help"]], ids=" ".join)
def test_output_without_room(script, words):
    with open("/dev/full", "w") as full:
        done = start(script, *words, stdout=full)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "No space left" in done.stderr


def changed(script, tmp_path, old, new):
    text = script.read_text()
    assert old in text
    copy = tmp_path / script.name
    copy.write_text(text.replace(old, new))
    return copy


def test_a_metric_that_does_not_apply(script, tmp_path):
    copy = changed(
        script, tmp_path, '{"accuracy": accuracy', '{"nothing": None, "accuracy": accuracy'
    )
    assert json.loads(start(copy, "--json", *SHORT).stdout)["metrics"]["nothing"] is None
    assert start(copy, *SHORT).stdout.splitlines()[0].split() == ["nothing", "-"]


@pytest.mark.parametrize("way", ["metric", "raised"])
def test_a_run_that_diverges(script, tmp_path, way):
    new = {"metric": '{"accuracy": np.inf', "raised": '{"accuracy": np.float64(1e200) ** 2'}[way]
    copy = changed(script, tmp_path, '{"accuracy": accuracy', new)
    if way == "raised":
        copy.write_text(
            copy.read_text().replace(
                "import numpy as np", "import numpy as np\n\nnp.seterr(all='raise')"
            )
        )
    for words in ([], ["--json"]):
        done = start(copy, *words, *SHORT)
        assert done.returncode == 1 and done.stdout == ""
        assert len(done.stderr.splitlines()) == 1 and "the run diverged" in done.stderr


def test_progress_on_a_terminal_is_wiped(script):
    ours, theirs = pty.openpty()
    done = start(script, *SHORT, stderr=theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0 and "20/20" in shown and shown.endswith("\r\x1b[K")
