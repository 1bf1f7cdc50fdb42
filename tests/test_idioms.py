"""The originals of the idioms."""

import dataclasses
import gzip
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from catalog import ROOT, CatalogError
from catalog.idioms import gradient_check, limits, mnist, original, refreshed
from tests.conftest import interruptible

# --- gradient_check ----------------------------------------------------------------------------


def quadratic():
    weights = {"a": np.array([[1.0, -2.0], [3.0, 0.5]])}
    return weights, lambda: float(np.sum(weights["a"] ** 2)), {"a": 2 * weights["a"]}


def test_gradient_check_passes_a_right_gradient():
    weights, loss, grads = quadratic()
    before = weights["a"].copy()
    assert gradient_check.worst_relative_error(loss, weights, grads) < 1e-8
    assert (weights["a"] == before).all()


@pytest.mark.parametrize("index", [(0, 0), (1, 1)])
def test_gradient_check_finds_one_wrong_entry(index):
    weights, loss, grads = quadratic()
    grads["a"][index] *= 1.01
    assert gradient_check.worst_relative_error(loss, weights, grads) > 1e-3


# --- limits ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Settings:
    seed: int = 0
    size: int = 3
    rate: float = 0.1
    mode: str = "a"
    flag: bool = False


LIMITS = {"size": (1, 10), "rate": (1e-3, 1.0), "mode": ["a", "b"]}


def test_limits_accept_what_is_allowed():
    limits.check_limits(Settings(), LIMITS)
    limits.check_limits(Settings(size=np.int64(10), rate=1, mode="b", flag=True), LIMITS)


@pytest.mark.parametrize(
    "field, value",
    [("size", 0), ("size", 11), ("size", 2.5), ("size", "3"), ("size", None), ("rate", float("nan")), ("rate", float("inf"))]
    + [("rate", 0.0), ("rate", "x"), ("mode", "c"), ("mode", 1), ("flag", "yes"), ("seed", -1), ("seed", 2**32)],
)
def test_limits_name_field_value_and_bound(field, value):
    with pytest.raises(ValueError) as caught:
        limits.check_limits(Settings(**{field: value}), LIMITS)
    assert field in str(caught.value) and repr(value) in str(caught.value)


# --- mnist -------------------------------------------------------------------------------------


def test_mnist_reads_the_four_files():
    images, labels, test_images, test_labels = mnist.read_mnist(ROOT / "data" / "mnist")
    assert images.shape == (60000, 28, 28) and test_images.shape == (10000, 28, 28)
    assert labels[:5].tolist() == [5, 0, 4, 1, 9] and test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert images.dtype == np.uint8 and images[0, 5, 12] == 3  # a known pixel of the first digit, on its first row of ink


def test_mnist_takes_the_directory_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_DIR", str(tmp_path))
    with pytest.raises(OSError, match=f"missing: {tmp_path}.*MNIST_DIR.*data/mnist"):
        mnist.read_mnist()


FAULTS = {
    "missing": (lambda path, content: path.unlink(), "missing"),
    "not gzip": (lambda path, content: path.write_bytes(b"hello"), "not a whole gzip"),
    "cut short": (lambda path, content: path.write_bytes(path.read_bytes()[:-20]), "not a whole gzip"),
    "damaged": (
        lambda path, content: path.write_bytes(path.read_bytes()[:50] + b"\xff" * 9 + path.read_bytes()[59:]),
        "not a whole gzip",
    ),
    "magic": (
        lambda path, content: path.write_bytes(gzip.compress(b"\0\0\7\xd0" + content[4:])),
        "magic number 2000, expected 2049",
    ),
    "size": (lambda path, content: path.write_bytes(gzip.compress(content[:-1])), "10007 bytes, expected 10008"),
    "content": (lambda path, content: path.write_bytes(gzip.compress(content[:-1] + b"\1")), "SHA-256 differs"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_mnist_says_what_is_wrong(fault, tmp_path):
    for path in (ROOT / "data" / "mnist").glob("*.gz"):
        (tmp_path / path.name).symlink_to(path)
    broken = tmp_path / "t10k-labels-idx1-ubyte.gz"
    packed = broken.read_bytes()
    broken.unlink()
    broken.write_bytes(packed)
    change, message = FAULTS[fault]
    change(broken, gzip.decompress(packed))
    with pytest.raises(OSError, match=message) as caught:
        mnist.read_mnist(tmp_path)
    assert broken.name in str(caught.value) and "set MNIST_DIR" in str(caught.value)


# --- cli ---------------------------------------------------------------------------------------


@pytest.fixture
def script(finished):
    return finished / "my-problem" / "my_problem.py"


def start(script, *words, **options):
    return subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, timeout=60, **options)


def test_cli_prints_a_readable_result(script):
    done = start(script, "--seed", "3", "--steps", "20")
    assert done.returncode == 0 and done.stderr == ""
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["accuracy", "weight_norm", "seconds"]


def test_cli_prints_one_line_of_json(script, tmp_path):
    done = start(script, "--json", "--quick", "--seed", "4", cwd=tmp_path)
    record = json.loads(done.stdout)
    assert record["problem"] == "my-problem" and record["config"]["seed"] == 4 and record["config"]["steps"] == 50
    assert start(script, "--json", "--quick", "--steps", "7").stdout.count('"steps": 7') == 1, "an option beats QUICK"


def test_cli_help_explains_every_option(script):
    text = start(script, "--help").stdout
    for piece in ("seeds every random draw", "1 to 100,000; default 32", "--quick", "--json"):
        assert piece in text


@pytest.mark.parametrize("words", [["--step", "5"], ["--steps"], ["--steps", "1e3"], ["--wrong", "0.6"], ["--seed", "-1"], ["x"]])
def test_cli_refuses_in_one_line(script, words):
    done = start(script, *words)
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1


def test_cli_stops_quietly_on_interrupt(script):
    command = [sys.executable, str(script), "--steps", "1000000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130 and process.stderr.read() == ""


# --- sync --------------------------------------------------------------------------------------


def test_sync_restores_a_changed_copy():
    good = f"x = 1\n\n\n# idiom: adam\n{original('adam')}# end idiom\n"
    assert refreshed(good) == good
    assert refreshed(good.replace("0.999", "0.99")) == good
    assert refreshed("# idiom: adam\n# end idiom\n") == f"# idiom: adam\n{original('adam')}# end idiom\n"


@pytest.mark.parametrize("text", ["# idiom: adam\nx = 1\n", "\n# end idiom\n", "# idiom: nothing\n# end idiom\n"])
def test_sync_refuses_broken_markers(text):
    with pytest.raises(CatalogError):
        refreshed(text)
