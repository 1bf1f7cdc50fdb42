"""The scaffold of a problem's folder."""

from __future__ import annotations

import keyword
import sys
from pathlib import Path

from catalog import ROOT, CatalogError
from catalog.idioms import refreshed
from catalog.problems import SLUG

LIBRARIES = "numpy matplotlib pil mpl_toolkits scipy tqdm tomli dask distributed pytest setuptools"
FOLDERS = "catalog tests data book build"
DEVICES = "con prn aux nul " + " ".join(f"{port}{n}" for port in ("com", "lpt") for n in range(10))
TAKEN = {*LIBRARIES.split(), *FOLDERS.split(), *DEVICES.split(), *keyword.kwlist}
SLUG_FORM = "a slug is lower-case words of letters and digits joined by hyphens"
TEMPLATES = Path(__file__).with_name("templates")


def scaffold(slug, root=ROOT):
    """Write a small working folder for a new problem; returns what to do next, line by line.

    Raises CatalogError for a slug of the wrong form, for one whose script would hide a module or
    that some system keeps for itself, and where the folder or the test exists.
    """
    if not SLUG.fullmatch(slug) or len(slug) > 60:
        raise CatalogError(f"{SLUG_FORM}, got {slug!r}")
    folder, module = Path(root) / slug, slug.replace("-", "_")
    if folder.exists():
        raise CatalogError(f"{slug} exists already")
    if module in TAKEN or module in sys.stdlib_module_names:
        raise CatalogError(f"{slug} is a name that Python or the system needs; take another")
    test = Path(root) / "tests" / "problems" / f"test_{module}.py"
    if test.exists():
        raise CatalogError(f"{test.relative_to(root)} exists already")
    targets = {
        "problem.toml.txt": folder / "problem.toml",
        "README.md.txt": folder / "README.md",
        "script.py.txt": folder / f"{module}.py",
        "visualize.py.txt": folder / f"visualize_{module}.py",
        "gif.py.txt": folder / f"make_{module}_gif.py",
        "test.py.txt": test,
    }
    words = {"SLUG": slug, "MODULE": module, "TITLE": slug.replace("-", " ").capitalize()}
    for template, target in targets.items():
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        for name, value in words.items():
            text = text.replace(f"@{name}@", value)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(refreshed(text) if target.suffix == ".py" else text, encoding="utf-8")
    return [
        f"wrote {slug}/, which learns a toy task; put your science in its place, then:",
        f"python3 {slug}/{module}.py",
        f"python3 -m catalog measure {slug}",
        f"python3 -m catalog time {slug}",
        f"python3 -m catalog figures {slug}",
        "python3 -m catalog report",
    ]
