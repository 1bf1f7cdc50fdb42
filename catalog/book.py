"""The site: pages for mdBook, generated from the same cards, records and READMEs as the rest."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from PIL import Image

from catalog import ROOT, CatalogError, problems, prose
from catalog.site.links import dead_links
from catalog.site.pages import descriptions, late_parts, pages, scripts
from catalog.tables import Sheet

POSTER = (640, 62)  # width in pixels and quality of the still of an animation


def build(out, root=ROOT):
    """Write the pages, run mdbook, check every link; returns a line that says where the site lies.

    Raises CatalogError when a page of prose has a fault (prose.faults), when a problem builds on
    one that is missing or later, when mdbook is missing or fails, and when a link or picture leads
    nowhere.
    """
    root, out = Path(root), Path(out).resolve()
    if (
        out.exists()
        and not out.is_dir()
        or out.is_dir()
        and any(out.iterdir())
        and not (out / "index.html").is_file()
    ):
        raise CatalogError(f"{out} holds something else than a site; name another directory")
    sheets = [Sheet(problem) for problem in problems.load_all(root)]
    refuse_faults([sheet.problem for sheet in sheets], root)
    with tempfile.TemporaryDirectory() as directory:
        for name, text in pages(sheets, root).items():
            path = Path(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for sheet in sheets:
            copy_files(sheet.problem, Path(directory, sheet.problem.slug))
        run_mdbook(root, directory, out)
    finish(sheets, out)
    if wrong := dead_links(out):
        raise CatalogError(f"{wrong[0]} ({len(wrong)} such links)" if len(wrong) > 1 else wrong[0])
    return f"the site of {len(sheets)} problems lies in {out}; open {out / 'index.html'}"


def refuse_faults(known, root):
    """Raise CatalogError for the first fault of a page of prose or of the lineage."""
    folders = [problem.folder for problem in known]
    for path in [
        root / "README.md",
        root / "SPEC.md",
        *(folder / "README.md" for folder in folders),
    ]:
        for fault in prose.faults(path.read_text(encoding="utf-8")):
            raise CatalogError(f"{path.relative_to(root)}, {fault}")
    for fault in problems.lineage_faults(known):
        raise CatalogError(fault)


def run_mdbook(root, source, out):
    """mdbook with the settings of root/book.toml, pages from source, the site into out."""
    beside = Path(sys.executable).with_name("mdbook")
    program = str(beside) if beside.exists() else shutil.which("mdbook")
    if program is None:
        raise CatalogError("mdbook is not installed: pip install 'schmidhuber-problems[site]'")
    environment = {**os.environ, "MDBOOK_BOOK__SRC": str(source)}
    done = subprocess.run(
        [program, "build", str(root), "--dest-dir", str(out)],
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode:
        raise CatalogError(
            "mdbook failed: " + (done.stderr.strip().splitlines() or ["no message"])[-1]
        )


def copy_files(problem, target):
    """Pictures, the animation's still, scripts, card and record, beside the problem's page."""
    (target / "viz").mkdir(parents=True, exist_ok=True)
    pictures = [problem.gif, *sorted(problem.folder.glob("viz/*.png"))]
    data = [problem.folder / "problem.toml", problem.folder / "results.json", *scripts(problem)]
    for path in [*pictures, *data]:
        if path.is_file():
            shutil.copy(path, target / path.relative_to(problem.folder))
    if problem.gif.is_file():
        write_poster(problem.gif, target / "poster.webp")


def write_poster(gif, path):
    """The last frame of an animation, which shows what came out, as a small still."""
    width, quality = POSTER
    with Image.open(gif) as image:
        image.seek(image.n_frames - 1)
        frame = image.convert("RGB")
    frame.thumbnail((width, width * 2))
    frame.save(path, quality=quality, method=4)


def finish(sheets, out):
    """Into the built pages: what each is about, the sources, which the search need not read, and
    that pictures may wait until they are near."""
    about = descriptions(sheets)
    parts = {name: part for sheet in sheets for name, part in late_parts(sheet).items()}
    for name, text in about.items():
        path = out / name
        page = path.read_text(encoding="utf-8")
        words = f'<meta name="description" content="{html.escape(" ".join(text.split()))}">'
        page = re.sub(r'<meta name="description" content="[^"]*">', lambda _, w=words: w, page)
        page = re.sub(r'<div data-late="([^"]+)"></div>', lambda match: parts[match[1]], page)
        page = re.sub(r'<img src="(viz/[^"]+)"', partial(lazy, path.parent), page)
        path.write_text(page, encoding="utf-8")


def lazy(folder, match):
    """The start of the tag of a picture that waits, with its size, so that nothing moves then."""
    source, size = match[1], ""
    if (folder / source).is_file():
        with Image.open(folder / source) as image:
            size = f'width="{image.width}" height="{image.height}" '
    return f'<img loading="lazy" {size}src="{source}"'
