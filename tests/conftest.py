"""A repository for tests that write: the tools, and one problem fresh from the scaffold."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from catalog import ROOT


def catalog(root, *words, timeout=120):
    """A finished `python3 -m catalog …` in another repository."""
    env = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "catalog", *words]
    return subprocess.run(
        command, cwd=root, env=env, capture_output=True, text=True, timeout=timeout
    )


def interruptible():
    """For preexec_fn: what a background job ignores, its children would ignore too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A repository whose only problem, my-problem, is measured, drawn and reported. Copy it before
    you change it."""
    root = tmp_path_factory.mktemp("repository")
    shutil.copytree(
        ROOT / "catalog", root / "catalog", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("book.toml", "SPEC.md"):
        shutil.copy(ROOT / name, root)
    (root / "README.md").write_text("# t\n\n<!-- generated: problems -->\n<!-- end generated -->\n")
    for words in (["new", "my-problem"], ["measure"], ["figures"], ["report"]):
        done = catalog(root, *words)
        assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def repository(finished, tmp_path):
    """A copy of the finished repository that a test may break."""
    return shutil.copytree(finished, tmp_path / "copy")
