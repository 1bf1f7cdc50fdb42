"""The scaffold of a problem's folder."""

from __future__ import annotations

from pathlib import Path

from catalog import ROOT, CatalogError
from catalog.idioms import refreshed
from catalog.problems import SLUG

TEMPLATES = Path(__file__).with_name("templates")


def scaffold(slug, root=ROOT):
    """Write a small working folder for a new problem; returns what to do next, line by line.

    Raises CatalogError for a slug of the wrong form and for a folder that exists.
    """
    if not SLUG.fullmatch(slug) or len(slug) > 60:
        raise CatalogError(
            f"a slug is lower-case words of letters and digits joined by hyphens, got {slug!r}"
        )
    folder, module = Path(root) / slug, slug.replace("-", "_")
    if folder.exists():
        raise CatalogError(f"{slug} exists already")
    test = Path(root) / "tests" / "problems" / f"test_{module}.py"
    targets = {
        "problem.toml.txt": folder / "problem.toml",
        "README.md.txt": folder / "README.md",
        "script.py.txt": folder / f"{module}.py",
        "visualize.py.txt": folder / f"visualize_{module}.py",
        "gif.py.txt": folder / f"make_{module}_gif.py",
        "test.py.txt": test,
    }
    for template, target in targets.items():
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        text = (
            text.replace("@SLUG@", slug)
            .replace("@MODULE@", module)
            .replace("@TITLE@", slug.replace("-", " ").capitalize())
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(refreshed(text) if target.suffix == ".py" else text, encoding="utf-8")
    commands = [f"python3 {slug}/{module}.py"] + [
        f"python3 -m catalog {word} {slug}" for word in ("measure", "figures")
    ]
    return [
        f"wrote {slug}/, which learns a toy task; put your science in its place, then:",
        *commands,
        "python3 -m catalog report",
    ]
