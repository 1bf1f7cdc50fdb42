"""The contract of a problem folder as checks: each takes a folder and returns what is wrong, one
line each."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import importlib.util
import io
import json
import math
import numbers
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageSequence

from catalog import ROOT, CatalogError, data, problems, prose, records, verdicts
from catalog.idioms import names_used, refreshed

SECTIONS = [
    "Problem",
    "Files",
    "Running",
    "Results",
    "Visualizations",
    "Deviations",
    "Open questions",
]
DEVIATIONS = "<!-- generated: deviations -->\n"
WORDS = 1700  # a README's, outside of folded parts
BASELINE_LINES = 15
BASELINE_LIMIT = 15  # seconds; five on an idle machine
QUICK_LIMIT = 30  # seconds; a quick run takes about two on an idle machine
DRAWING = {"matplotlib", "PIL"}


def load_script(slug, name=None, root=ROOT):
    """The module of a folder's script, loaded from its file; name picks another script of the
    folder."""
    path = Path(root) / slug / f"{name or slug.replace('-', '_')}.py"
    return _module(path, path.stat().st_mtime_ns)


@functools.cache
def _module(path, _changed):
    spec = importlib.util.spec_from_file_location(f"problem_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def scripts(folder):
    """The scripts that have the contract's shape: the main one and those that variants name."""
    return sorted({variant.script for variant in problems.load(folder).variants.values()})


def module_name(folder):
    return folder.name.replace("-", "_")


def run_script(script, *arguments, cwd):
    """A finished process of a script."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", **data.environment()}
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=QUICK_LIMIT
    )


# --- files -------------------------------------------------------------------------------------


def check_files(folder):
    """Every file that the contract names is there."""
    name = module_name(folder)
    wanted = [
        "README.md",
        "problem.toml",
        "results.json",
        f"{name}.py",
        f"visualize_{name}.py",
        f"make_{name}_gif.py",
        f"{name}.gif",
    ]
    wrong = [f"{file} is missing" for file in wanted if not (folder / file).is_file()]
    return wrong + ([] if list(folder.glob("viz/*.png")) else ["viz/ has no PNG"])


def check_readme(folder):
    """The eight sections in order, nothing left open, good pictures and links, the new shape."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    wrong = [] if text.startswith("# ") else ["README.md does not start with a title"]
    wrong += [f"README.md, {fault}" for fault in prose.faults(text)]
    found = re.findall(r"^## (.+)$", text, re.MULTILINE)
    if found != SECTIONS:
        wrong.append(f"README.md has the sections {found}, must have {SECTIONS}")
    for name in ("header", "results"):
        if text.count(f"<!-- generated: {name} -->\n") != 1:
            wrong.append(f"README.md lacks the generated part {name!r}")
    shown = re.findall(r"!\[((?:\\.|[^\]\\])*)\]\(([^)\s]+)\)", text)
    bare = [target for alt, target in shown if not alt.strip()]
    wrong += [f"README.md: {target} has no alternative text" for target in bare]
    pictures = {f"viz/{path.name}" for path in folder.glob("viz/*.png")}
    pictures |= {f"{module_name(folder)}.gif"}
    missing = sorted(pictures - {target for _, target in shown})
    wrong += [f"README.md does not show {target}" for target in missing]
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    broken = [link for link in links if "://" not in link and not (folder / link).exists()]
    wrong += [f"README.md: {link} does not exist" for link in broken]
    return wrong + (shape_complaints(folder, text) if DEVIATIONS in text else [])


def shape_complaints(folder, text):
    """What a README in the new shape lacks."""
    wrong = []
    if f"]({module_name(folder)}.gif)" not in text.split("\n## ")[0]:
        wrong.append("README.md: no GIF under the title; run python3 -m catalog report")
    if DEVIATIONS not in prose.section(text, "Deviations"):
        wrong.append("README.md: the part 'deviations' stands outside its section")
    if prose.baseline(text) is None:
        wrong.append("README.md: Running has no '### As a baseline' with a block of Python code")
    if not re.search(r"^### Try this$", text, re.MULTILINE):
        wrong.append("README.md has no subsection '### Try this'")
    if prose.words(text) > WORDS:
        wrong.append(
            f"README.md has {prose.words(text):,} words outside <details>, limit {WORDS:,}"
        )
    return wrong


def check_baseline(folder):
    """The code under 'As a baseline' is short, runs from the repository's root and prints
    something."""
    code = prose.baseline((folder / "README.md").read_text(encoding="utf-8"))
    if code is None:
        return []
    lines = sum(bool(line.strip()) for line in code.splitlines())
    wrong = [f"README.md: the baseline has {lines} lines, limit {BASELINE_LINES}"]
    wrong = wrong if lines > BASELINE_LINES else []
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    how = {"cwd": folder.parent, "env": env, "capture_output": True, "text": True}
    try:
        done = subprocess.run(command, timeout=BASELINE_LIMIT, **how)
    except subprocess.TimeoutExpired:
        return [*wrong, f"README.md: the baseline takes longer than {BASELINE_LIMIT} s"]
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return [*wrong, f"README.md: the baseline fails: {last}"]
    return wrong if done.stdout.strip() else [*wrong, "README.md: the baseline prints nothing"]


def check_card(folder):
    """problem.toml is valid and says where everything is from; budget and overrides exist."""
    try:
        problem = problems.load(folder)
    except CatalogError as error:
        return [str(error)]
    wrong = [f"problem.toml: {line}" for line in problems.shortcomings(problem)]
    fields = {
        field.name
        for field in dataclasses.fields(load_script(folder.name, root=folder.parent).Config)
    }
    if problem.budget not in fields:
        wrong.append(f"problem.toml: budget {problem.budget!r} is no field of Config")
    for variant in problem.variants.values():
        module = load_script(folder.name, variant.script.stem, folder.parent)
        try:
            module.Config(**variant.overrides)
        except (TypeError, ValueError) as error:
            wrong.append(f"problem.toml: variants.{variant.name}: {error}")
    return wrong


def check_pictures(folder):
    """The GIF moves, is small, holds its last frame; PNGs are small."""
    wrong = []
    gif = folder / f"{module_name(folder)}.gif"
    if gif.stat().st_size >= 1_000_000:
        wrong.append(f"{gif.name} has {gif.stat().st_size:,} bytes, limit 1,000,000")
    with Image.open(gif) as image:
        if not 20 <= image.n_frames <= 60:
            wrong.append(f"{gif.name} has {image.n_frames} frames, must have 20 to 60")
        frames = [
            (frame.convert("RGB"), frame.info.get("duration", 0))
            for frame in ImageSequence.Iterator(image)
        ]
    same = [
        ImageChops.difference(a[0], b[0]).getbbox() is None
        for a, b in zip(frames, frames[1:], strict=False)
    ]
    if not same or sum(same) > len(same) / 2:
        wrong.append(f"{gif.name}: most frames do not differ from the one before")
    if frames[-1][1] < 1000:
        wrong.append(
            f"{gif.name}: the last frame stays {frames[-1][1]} ms, must stay a second or longer"
        )
    for png in folder.glob("viz/*.png"):
        if png.stat().st_size >= 150_000:
            wrong.append(f"{png.name} has {png.stat().st_size:,} bytes, limit 150,000")
    return wrong


# --- the text of the scripts -------------------------------------------------------------------


def check_imports(folder):
    """Scripts import the standard library and numpy; figure scripts also matplotlib, pillow and the
    folder's own scripts."""
    wrong = []
    own = {path.stem for path in scripts(folder)}
    for path in sorted(folder.glob("*.py")):
        allowed = {"numpy"} if path.stem in own else {"numpy"} | DRAWING | own
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module] if node.level == 0 else ["(relative)"]
            for name in (name.split(".")[0] for name in names):
                if name not in allowed and (
                    name not in sys.stdlib_module_names or name == "random"
                ):
                    wrong.append(f"{path.name}:{node.lineno} imports {name}")
    return wrong


def check_randomness(folder):
    """numpy's randomness comes from default_rng alone."""
    wrong = []
    for path in scripts(folder):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Attribute)
                and node.value.attr == "random"
            ):
                if node.attr not in ("default_rng", "Generator", "SeedSequence"):
                    wrong.append(f"{path.name}:{node.lineno} uses np.random.{node.attr}")
    return wrong


def check_idioms(folder):
    """The copies are identical with their originals; the script carries the two that every one
    needs."""
    wrong = []
    for path in sorted(folder.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        try:
            if refreshed(source) != source:
                wrong.append(
                    f"{path.name}: an idiom differs from its original; run python3 -m catalog sync"
                )
        except CatalogError as error:
            wrong.append(f"{path.name}: {error}")
    for path in scripts(folder):
        missing = {"option", "cli"} - set(names_used(path.read_text(encoding="utf-8")))
        wrong += [f"{path.name} lacks the idiom {name}" for name in sorted(missing)]
    return wrong


# --- the shape of the scripts ------------------------------------------------------------------


def check_shape(folder):
    """Config is frozen, a table of options; QUICK fits it; run, Result and main exist."""
    wrong = []
    for path in scripts(folder):
        module = load_script(folder.name, path.stem, folder.parent)
        missing = [
            x for x in ("Config", "QUICK", "Result", "run", "main") if not hasattr(module, x)
        ]
        wrong += [f"{path.name} lacks {name}" for name in missing]
        if not missing:
            wrong += [f"{path.name}: {line}" for line in config_complaints(module)]
    return wrong


def config_complaints(module):
    fields = dataclasses.fields(module.Config)
    wrong = [] if module.Config.__dataclass_params__.frozen else ["Config is not frozen"]
    if fields[0].name != "seed" or fields[0].default != 0:
        wrong.append("the first field of Config must be seed = 0")
    for field in fields:
        if not isinstance(field.default, (int, float, str)):
            wrong.append(f"Config.{field.name} is neither number, word nor boolean")
        elif not field.metadata["meaning"].strip():
            wrong.append(f"Config.{field.name} does not say what it means")
        elif not field.metadata["among"] and not all(map(math.isfinite, bounds(field))):
            wrong.append(f"Config.{field.name} has no two finite bounds")
    names = {field.name for field in fields}
    return wrong + [f"QUICK names {name}, which is no field" for name in set(module.QUICK) - names]


def bounds(field):
    """The least and the largest value of a field that is a number."""
    return field.metadata["low"], field.metadata["high"]


def check_gradients(folder):
    """gradient_check, where there is one, stays below 1e-5."""
    wrong = []
    for path in scripts(folder):
        module = load_script(folder.name, path.stem, folder.parent)
        if hasattr(module, "gradient_check") and not module.gradient_check() < 1e-5:
            wrong.append(
                f"{path.name}: gradient_check() returns {module.gradient_check():.2g}, limit 1e-5"
            )
    return wrong


def check_hostile_input(folder):
    """Every option refuses text, NaN, infinities and values past its bounds: one line that names
    it, exit status 2."""
    wrong = []
    for path in scripts(folder):
        module = load_script(folder.name, path.stem, folder.parent)
        cases = [("--no-such-option", "1"), ("stray",)]
        for field in dataclasses.fields(module.Config):
            option = "--" + field.name.replace("_", "-")
            if isinstance(field.default, bool):
                continue
            values = ["text", "", "nan", "inf", "-inf"]
            if not field.metadata["among"]:
                low, high = bounds(field)
                values += [f"{low - 1}", f"{high * 2 + 1}", "9" * 30, "1e300", "-" + "9" * 30]
            cases += [(f"{option}={value}",) for value in values]
        for case in cases:
            complaint = refusal(module, case)
            if complaint:
                wrong.append(f"{path.name} {' '.join(case)}: {complaint}")
    return wrong


def refusal(module, arguments):
    """What is wrong with how main refuses the arguments; empty when it does so well. A run that
    starts is stopped at once."""

    def started(*_):
        raise RuntimeError("the run started")

    output, complaint, run = io.StringIO(), io.StringIO(), module.run
    module.run = started
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(complaint):
            module.main(list(arguments))
    except SystemExit as stop:
        lines = complaint.getvalue().splitlines()
        named = arguments[0].lstrip("-").split("=")[0]
        if stop.code != 2:
            return f"exit status {stop.code}"
        if len(lines) != 1 or output.getvalue():
            return f"{len(lines)} lines of complaint"
        return (
            ""
            if named in lines[0].replace("_", "-")
            else f"the complaint does not name it: {lines[0]}"
        )
    except Exception:
        return traceback.format_exc(limit=0).strip().splitlines()[-1]
    finally:
        module.run = run
    return "no complaint"


# --- runs --------------------------------------------------------------------------------------


def check_runs(folder):
    """The script, copied with its data to an empty directory, runs; the same seed gives the same
    metrics, another seed others."""
    wrong = []
    for path in scripts(folder):
        with tempfile.TemporaryDirectory() as empty:
            alone = Path(empty, path.name)
            needed = {path, *(p for p in data.own_files(folder) if p.suffix != ".py")}
            for file in needed:
                shutil.copy(file, empty)
            try:
                runs = [run_script(alone, "--quick", "--json", cwd=empty)]
                runs += [
                    run_script(path, "--quick", "--json", *more, cwd="/")
                    for more in ([], ["--seed", "1"])
                ]
            except subprocess.TimeoutExpired:
                wrong.append(f"{path.name} --quick takes longer than {QUICK_LIMIT} s")
                continue
            known = {file.name for file in needed} | {"__pycache__"}
            left = {item.name for item in Path(empty).iterdir()} - known
        wrong += [f"{path.name}: {line}" for line in run_complaints(runs)]
        wrong += [f"{path.name} leaves {name} behind" for name in sorted(left)]
    return wrong


def run_complaints(runs):
    """runs: finished processes with seed 0, seed 0 again and seed 1."""
    for run in runs:
        if run.returncode:
            return [
                f"exit status {run.returncode}: {(run.stderr.strip().splitlines() or [''])[-1]}"
            ]
        if run.stderr:
            return [f"--json writes to standard error: {run.stderr.strip().splitlines()[-1]}"]
    try:
        found = [json.loads(run.stdout) for run in runs]
    except ValueError:
        return ["--json does not print one line of JSON"]
    missing = {
        "problem",
        "config",
        "metrics",
        "seconds",
        "cpu_seconds",
        "python",
        "numpy",
        "machine",
    } - set(found[0])
    wrong = [f"the record lacks {name}" for name in sorted(missing)]
    metrics = [run["metrics"] for run in found]
    wrong += filter(None, map(metric_complaint, metrics[0].items()))
    if metrics[0] != metrics[1]:
        wrong.append("the same seed gives other metrics the second time")
    if metrics[0] == metrics[2]:
        wrong.append("seed 1 gives the metrics of seed 0")
    return wrong


ENDS_LIMIT = 3.0  # seconds that the ends of all options of a script may take together


def check_option_ends(folder):
    """At the ends of every option a small run yields sound metrics or says in one line why not."""
    wrong = []
    budget = problems.load(folder).budget
    for path in scripts(folder):
        module = load_script(folder.name, path.stem, folder.parent)
        configs = list(configs_at_ends(module, budget))
        for change, config in configs:
            trouble = attempt(module, config, ENDS_LIMIT / len(configs))
            wrong += [f"{path.name} {change}: {trouble}"] if trouble else []
    return wrong


def configs_at_ends(module, budget):
    """Pairs (what was changed, Config): QUICK with the least budget and one option at one of its
    ends."""
    fields = {field.name: field for field in dataclasses.fields(module.Config)}
    small = {**module.QUICK}
    if budget in fields:
        small[budget] = fields[budget].metadata["low"]
    for name, field in fields.items():
        for value in field.metadata["among"] or bounds(field):
            with contextlib.suppress(ValueError):  # two options that do not go together
                yield f"{name}={value}", module.Config(**{**small, name: value})


def attempt(module, config, seconds):
    """What is wrong with a run, given so many seconds; nothing where it takes longer."""
    rung = []

    class OutOfTime(BaseException):
        """Not an Exception, so that no script catches it."""

    def ring(*_):
        rung.append(True)
        raise OutOfTime

    kept = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with warnings.catch_warnings(), np.errstate(over="warn", invalid="warn", divide="warn"):
            warnings.simplefilter("error")
            metrics = module.run(config).metrics
        signal.setitimer(signal.ITIMER_REAL, 0)
        return next(filter(None, map(metric_complaint, metrics.items())), "")
    except OutOfTime:
        return ""
    except FloatingPointError as error:
        return "" if 0 < len(str(error)) < 200 else f"FloatingPointError: {error}"
    except Exception as error:  # numpy may turn an OutOfTime inside a call into a TypeError
        return "" if rung else f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, kept)


def metric_complaint(item):
    """What is wrong with a metric: it must be a finite number, a boolean, or None."""
    name, value = item
    sound = value is None or isinstance(value, numbers.Real) and math.isfinite(value)
    return "" if sound or isinstance(value, np.bool_) else f"metric {name} is {value!r}"


# --- the record --------------------------------------------------------------------------------


def check_record(folder):
    """Every seed of every variant is recorded under the present code, claims name real metrics, and
    the summary is true."""
    problem = problems.load(folder)
    try:
        runs = records.read(records.path_of(problem))
    except CatalogError as error:
        return [str(error)]
    wrong = []
    for name, variant in problem.variants.items():
        missing = variant.seeds - len(verdicts.runs_of(problem, runs, name))
        if missing:
            wrong.append(
                f"results.json: variant {name} lacks {missing} of {variant.seeds} current runs"
            )
    if len(runs) > sum(variant.seeds for variant in problem.variants.values()):
        wrong.append("results.json holds runs that no variant asks for")
    wrong += [
        f"claim {r.claim.name!r}: {r.trouble}"
        for r in verdicts.outcomes(problem, runs)
        if r.trouble.startswith("no metric")
    ]
    if not wrong and records.summary(problem) != verdicts.summarise(problem, runs):
        wrong.append(
            "results.json: the summary is not what its runs give; run python3 -m catalog measure"
        )
    return wrong


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]
