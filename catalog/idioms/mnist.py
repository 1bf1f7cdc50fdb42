"""The reader of the four MNIST files."""

import gzip
import hashlib
import os
import zlib
from pathlib import Path

import numpy as np

# idiom: mnist
# File (kept as NAME.gz): magic number, number of items, SHA-256 of the unpacked content.
MNIST_CONTENT = {
    "train-images-idx3-ubyte": (
        2051,
        60000,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    "train-labels-idx1-ubyte": (
        2049,
        60000,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "t10k-images-idx3-ubyte": (
        2051,
        10000,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    "t10k-labels-idx1-ubyte": (
        2049,
        10000,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}


def read_mnist(directory=None):
    """MNIST (LeCun, Cortes & Burges 1998): train images, train labels, test images, test labels.

    Images are uint8 (60000 or 10000, 28, 28), 0 = background; labels are uint8. The directory is
    the one given, else the environment variable MNIST_DIR, else data/mnist beside this folder.
    Raises OSError that says what is wrong with which file.
    """
    beside = Path(__file__).resolve().parents[1] / "data" / "mnist"
    directory = Path(directory or os.environ.get("MNIST_DIR") or beside)
    advice = "set MNIST_DIR to the directory of the four files; the catalog has them in data/mnist"
    arrays = []
    for name, (magic, count, digest) in MNIST_CONTENT.items():
        path = directory / f"{name}.gz"
        if not path.is_file():
            raise OSError(f"MNIST file missing: {path} ({advice})")
        try:
            content = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise OSError(f"{path} is not a whole gzip file: {error} ({advice})") from None
        size = 8 + count if magic == 2049 else 16 + count * 784
        if int.from_bytes(content[:4], "big") != magic:
            found = int.from_bytes(content[:4], "big")
            raise OSError(f"{path} starts with magic number {found}, expected {magic} ({advice})")
        if len(content) != size or int.from_bytes(content[4:8], "big") != count:
            found = f"{len(content)} bytes, expected {size} for {count} items"
            raise OSError(f"{path} unpacks to {found} ({advice})")
        if hashlib.sha256(content).hexdigest() != digest:
            raise OSError(f"{path} is not MNIST's content: its SHA-256 differs ({advice})")
        array = np.frombuffer(content, np.uint8, offset=8 if magic == 2049 else 16)
        arrays.append(array.reshape(count, 28, 28) if magic == 2051 else array)
    return arrays


# end idiom
