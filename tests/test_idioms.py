"""The originals of the idioms."""

import gzip

import numpy as np
import pytest

from catalog import ROOT, CatalogError
from catalog.idioms import gradient_check, mnist, original, refreshed

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


# --- mnist -------------------------------------------------------------------------------------


def test_mnist_reads_the_four_files():
    images, labels, test_images, test_labels = mnist.read_mnist(ROOT / "data" / "mnist")
    assert images.shape == (60000, 28, 28) and test_images.shape == (10000, 28, 28)
    assert labels[:5].tolist() == [5, 0, 4, 1, 9] and test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(labels).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert (
        images.dtype == np.uint8 and images[0, 5, 12] == 3
    )  # a known pixel of the first digit, on its first row of ink


def test_mnist_takes_the_directory_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_DIR", str(tmp_path))
    with pytest.raises(OSError, match=f"missing: {tmp_path}.*MNIST_DIR.*data/mnist"):
        mnist.read_mnist()


FAULTS = {
    "missing": (lambda path, content: path.unlink(), "missing"),
    "not gzip": (lambda path, content: path.write_bytes(b"hello"), "not a whole gzip"),
    "cut short": (
        lambda path, content: path.write_bytes(path.read_bytes()[:-20]),
        "not a whole gzip",
    ),
    "damaged": (
        lambda path, content: path.write_bytes(
            path.read_bytes()[:50] + b"\xff" * 9 + path.read_bytes()[59:]
        ),
        "not a whole gzip",
    ),
    "magic": (
        lambda path, content: path.write_bytes(gzip.compress(b"\0\0\7\xd0" + content[4:])),
        "magic number 2000, expected 2049",
    ),
    "size": (
        lambda path, content: path.write_bytes(gzip.compress(content[:-1])),
        "10007 bytes, expected 10008",
    ),
    "content": (
        lambda path, content: path.write_bytes(gzip.compress(content[:-1] + b"\1")),
        "SHA-256 differs",
    ),
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


# --- sync --------------------------------------------------------------------------------------


def test_sync_restores_a_changed_copy():
    good = f"x = 1\n\n\n# idiom: adam\n{original('adam')}# end idiom\n"
    assert refreshed(good) == good
    assert refreshed(good.replace("0.999", "0.99")) == good
    assert (
        refreshed("# idiom: adam\n# end idiom\n")
        == f"# idiom: adam\n{original('adam')}# end idiom\n"
    )


@pytest.mark.parametrize(
    "text", ["# idiom: adam\nx = 1\n", "\n# end idiom\n", "# idiom: nothing\n# end idiom\n"]
)
def test_sync_refuses_broken_markers(text):
    with pytest.raises(CatalogError):
        refreshed(text)
