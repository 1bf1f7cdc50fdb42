"""Which files a script reads, and where they lie: those of its folder and those that all share."""

import os
from pathlib import Path

from catalog import ROOT

# By the environment variable that points a script elsewhere.
SHARED = {"MNIST_DIR": "data/mnist", "CHORALES_FILE": "data/chorales/chorales.txt.gz"}
NOT_READ = {"README.md", "problem.toml", "results.json"}


def environment():
    """Where shared data lie, by environment variable; a copy of a script cannot know it."""
    places = {name: Path(os.environ.get(name) or ROOT / place) for name, place in SHARED.items()}
    return {name: str(place.absolute()) for name, place in places.items()}


def own_files(folder):
    """Scripts and data files of a problem's folder."""
    files = (path for path in sorted(folder.iterdir()) if path.is_file())
    return [path for path in files if path.name not in NOT_READ and path.suffix != ".gif"]


def shared_files(contents, places):
    """By path below the root, the bytes of the shared files that scripts (bytes) ask for."""
    files = {}
    for name, place in places.items():
        if any(name.encode() in content for content in contents):
            files |= _below(Path(SHARED[name]), Path(place))
    return files


def _below(known, place):
    """What lies at `place`, a file or the archives of a folder, by the path it has in data/."""
    if place.is_dir():
        found = {known / path.name: path for path in sorted(place.glob("*.gz"))}
    else:  # whatever its owner calls the file; where there is none, the script says so itself
        found = {known: place} if place.is_file() else {}
    return {name.as_posix(): path.read_bytes() for name, path in found.items()}
