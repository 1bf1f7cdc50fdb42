"""The idiom figures: what a figure script refuses, and how it reads its folder's record."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.idioms import figures, original

GOOD = {"variant": "a", "seed": 0, "config": {"seed": 0}, "metrics": {"error": 0.5}}
SCRIPT = """import argparse
import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt

{idiom}

def main():
    options = figure_options(__doc__, "viz")
    {body}
    print("drawing")


if __name__ == "__main__":
    figure_main(main)
"""


@pytest.fixture
def ask(monkeypatch, tmp_path, capsys):
    """Call figure_options for a script in tmp_path: the options, or the line that refuses them."""
    monkeypatch.setattr(figures, "__file__", str(tmp_path / "make_x_gif.py"))
    monkeypatch.chdir(tmp_path)

    def options(out, *words):
        monkeypatch.setattr(sys, "argv", ["make_x_gif.py", *words])
        try:
            return figures.figure_options("What it draws, 100 % of it.", out)
        except SystemExit as stop:
            said = capsys.readouterr()
            assert stop.code == 2 and said.out == "" and len(said.err.splitlines()) == 1
            assert said.err.startswith("make_x_gif.py: ")
            return said.err

    return options


def test_defaults_lie_beside_the_script(ask, tmp_path):
    assert ask("viz").out == tmp_path / "viz" and ask("x.gif").out == tmp_path / "x.gif"
    assert ask("viz").seed == 0 and ask("viz", "--seed", "4294967295").seed == 2**32 - 1


@pytest.mark.parametrize("seed", ["-1", "4294967296", "9" * 30, "1.5", "nan", "", "x"])
def test_seed_out_of_range_is_refused(ask, seed):
    assert "--seed" in ask("viz", f"--seed={seed}") and "--seed" in ask("x.gif", f"--seed={seed}")


@pytest.mark.parametrize("words", [["--out"], ["--ou", "y"], ["stray"]])
def test_wrong_words_are_refused(ask, words):
    assert isinstance(ask("viz", *words), str)


@pytest.mark.parametrize("out", ["", "none/y.gif", "y.png", "y", "folder.gif", "file.txt/y.gif"])
def test_gif_needs_a_folder_and_its_ending(ask, tmp_path, out):
    (tmp_path / "folder.gif").mkdir()
    (tmp_path / "file.txt").touch()
    assert "--out" in ask("x.gif", "--out", out)


@pytest.mark.parametrize("out", ["", "none/viz", "file.txt", "file.txt/viz"])
def test_pictures_need_a_folder(ask, tmp_path, out):
    (tmp_path / "file.txt").touch()
    assert "--out" in ask("viz", "--out", out)


def test_what_exists_may_be_replaced(ask, tmp_path):
    (tmp_path / "old.gif").touch()
    (tmp_path / "pictures").mkdir()
    assert ask("x.gif", "--out", "old.gif").out == Path("old.gif")
    assert ask("viz", "--out", "pictures").out == Path("pictures")


# --- the record --------------------------------------------------------------------------------


@pytest.fixture
def record(monkeypatch, tmp_path):
    """Write results.json beside a script."""
    monkeypatch.setattr(figures, "__file__", str(tmp_path / "visualize_x.py"))
    return (tmp_path / "results.json").write_text


def test_recorded_gives_the_runs_that_ended_well(record):
    failed = {"variant": "a", "seed": 1, "error": "exceeded 9 s"}
    other = {**GOOD, "variant": "b"}
    record(json.dumps({"runs": [GOOD, failed, other]}))
    assert figures.recorded("a") == [GOOD] and figures.recorded() == [GOOD, other]


DAMAGED = ["", "{", "[]", "{}", "3", "null", '{"runs": null}', '{"runs": [1]}', '{"runs": [[]]}']
DAMAGED += ['{"runs": [{"metrics": {"a": 1}}]}', '{"runs": []}', '{"runs": {}}', "\x00"]


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_record_is_an_error_that_names_the_file(record, text):
    record(text)
    with pytest.raises(OSError, match="results.json"):
        figures.recorded("a")


def test_a_missing_record_or_variant_is_an_error(record):
    with pytest.raises(OSError, match="results.json"):
        figures.recorded()
    record(json.dumps({"runs": [GOOD]}))
    with pytest.raises(OSError, match="no run of variant c"):
        figures.recorded("c")


# --- a whole script ----------------------------------------------------------------------------


def started(folder, body, **options):
    """A finished figure script whose main does `body` before it draws."""
    script = folder / "visualize_x.py"
    script.write_text(SCRIPT.format(idiom=original("figures"), body=body))
    command = [sys.executable, str(script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_a_script_ends_well(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"runs": [GOOD]}))
    done = started(tmp_path, "assert recorded('a')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "drawing\n", "")


@pytest.mark.parametrize("body", ["recorded('a')", "raise OSError('MNIST is missing')"])
def test_a_script_without_its_data_says_so_in_one_line(tmp_path, body):
    done = started(tmp_path, body)
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("visualize_x.py: ") and "missing" in done.stderr
    assert [item.name for item in tmp_path.iterdir()] == ["visualize_x.py"]


def test_a_script_keeps_its_status_without_standard_error(tmp_path):
    done = started(tmp_path, "import os; os.close(2); sys.stderr = None; recorded()")
    assert done.returncode == 2 and done.stdout == ""


def test_ctrl_c_is_quiet_and_a_mistake_is_not(tmp_path):
    stopped = started(tmp_path, "raise KeyboardInterrupt")
    assert (stopped.returncode, stopped.stdout, stopped.stderr) == (130, "", "")
    assert "Traceback" in started(tmp_path, "raise ValueError").stderr
