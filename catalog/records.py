"""results.json: what was measured, which code it belongs to, and what its claims come to."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import json
import os
import tempfile
from pathlib import Path

from catalog import CatalogError, faults
from catalog.idioms import BLOCK

try:
    import fcntl
except ModuleNotFoundError:  # Windows: two sweeps at once may lose a run there
    fcntl = None


def fingerprint(script):
    """A hash of what a script computes: its syntax tree without docstrings and command line.

    Of every option(default, meaning, ...) only the default counts: help can be mended freely.
    The same under every version of Python, so a record made with one holds with another.
    Raises CatalogError for a file that is none.
    """
    try:
        return _fingerprint(Path(script).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        fault = str(error) or "nested too deep"  # what the parser says by a MemoryError
        raise CatalogError(f"{script} is no Python script: {fault}") from None


@functools.lru_cache
def _fingerprint(source):
    plumbing = ("option", "cli")
    tree = ast.parse(BLOCK.sub(lambda b: "" if b["name"] in plumbing else b[0], source))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "option"
        ):
            node.args, node.keywords = node.args[:1], []
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return hashlib.sha256(_flat(tree).encode()).hexdigest()[:16]


def _flat(node):
    """A node of the syntax tree as text, without empty fields: Python's versions differ there."""
    if isinstance(node, list):
        return "[" + ",".join(map(_flat, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = (
        (name, getattr(node, name, None))
        for name in node._fields
        if name not in ("kind", "type_comment")
    )
    inside = ",".join(
        f"{name}={_flat(value)}" for name, value in fields if value is not None and value != []
    )
    return f"{type(node).__name__}({inside})"


def path_of(problem, directory=None):
    """Where a problem's record lies: results.json of its folder, or SLUG.json elsewhere."""
    if directory:
        return Path(directory) / f"{problem.slug}.json"
    return problem.folder / "results.json"


def read(path):
    """The runs in a record, an empty list where there is none.

    Raises CatalogError for a file that is not a record.
    """
    return _content(path).get("runs", [])


def summary(problem):
    """The committed summary of a problem's record; empty where nothing was measured."""
    return _content(path_of(problem)).get("summary", {})


def recorded_seconds(problem):
    """Seconds of the headline as recorded, also under older code; None where none were taken."""
    return _content(path_of(problem)).get("time", {}).get("seconds")


def _content(path):
    try:
        return faults.check_record(json.loads(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise CatalogError(f"{path} is not a record of runs: {error}") from None


def timing(problem, kind="time"):
    """What 'catalog time' found for the present scripts (seconds, median, runs, …), or None."""
    found = _content(path_of(problem)).get(kind)
    current = found and found["fingerprint"] == timed_code(problem, kind)
    return found if current else None


def timed_variants(problem, kind):
    """What is timed: the headline, or the variants that v1's claims name, if these are others."""
    if kind == "time":
        return [problem.headline]
    names = dict.fromkeys(claim.variant for claim in problem.claims if claim.source == "v1")
    found = [problem.variants[name] for name in names]
    return [] if found == [problem.headline] else found


def timed_code(problem, kind):
    """What a time belongs to: the fingerprint of the headline's script, or of all scripts that are
    run, with their overrides."""
    if kind == "time":
        return fingerprint(problem.script)
    parts = [f"{fingerprint(v.script)} {_json(v.overrides)}" for v in timed_variants(problem, kind)]
    return "; ".join(parts)


@contextlib.contextmanager
def locked(path):
    """Hold a record's folder, so that nobody else changes the record between a read and a write."""
    folder = Path(path).parent
    folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write(path, problem, runs, outcome, **extra):
    """Replace a record atomically: one line a run, in the order of variants and seeds.

    Of what else it holds, times are replaced where extra has them, rebound is added to.
    """
    order = {name: i for i, name in enumerate(problem.variants)}
    runs = sorted(runs, key=lambda run: (order.get(run["variant"], len(order)), run["seed"]))
    kept = ("time", "time_v1", "rebound")
    kept = {name: value for name, value in _content(path).items() if name in kept}
    if "rebound" in extra:
        extra["rebound"] = {**kept.get("rebound", {}), **extra["rebound"]}
    head = {"problem": problem.slug, "summary": outcome, **kept, **extra}
    head = "\n ".join(f"{_json(name)}: {_json(value)}," for name, value in head.items())
    lines = ",\n".join("  " + _json(run) for run in runs)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f'{{{head}\n "runs": [\n{lines}\n]}}\n')
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _json(value):
    return json.dumps(value, allow_nan=False)


def processor_seconds(run):
    """Processor time of a run; wall-clock time where it was not recorded."""
    return run.get("cpu_seconds", run["seconds"])


def is_current(run, variant, code):
    """Whether a recorded run belongs to this variant's overrides and this fingerprint."""
    same = run["fingerprint"] == code and run["overrides"] == variant.overrides
    return same and not ("config" in run and disobeyed(run["config"], variant, run["seed"]))


def disobeyed(config, variant, seed):
    """In what a run's configuration is not what its variant and seed ask for; empty if nothing."""
    for name, asked in {**variant.overrides, "seed": seed}.items():
        if config.get(name) != asked:
            return f"it ran with {name} = {config.get(name)!r}, asked for {asked!r}"
    return ""
