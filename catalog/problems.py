"""The problems: every folder's problem.toml as data, and what a finished card still lacks."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path

from catalog import ROOT, CatalogError
from catalog.cards import BOUND, ERAS, SETTINGS, complaints

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Variant:
    """One way to run a problem: overrides of Config's defaults, for seeds 0 … seeds - 1."""

    name: str
    seeds: int
    script: Path
    overrides: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A metric of a variant, a statistic over its seeds and the bounds that it must keep.

    reported: what its source says, in words; published: the same as a number, if it is one;
    where: the place in the paper; deterministic: the metric cannot depend on the seed.
    """

    name: str
    source: str
    variant: str
    metric: str
    statistic: str
    holds: str
    reported: str
    published: float | None = None
    where: str = ""
    unverified: bool = False
    deterministic: bool = False
    main: bool = False

    @property
    def bounds(self):
        """The bounds as pairs (operator, number)."""
        return [(operator, float(number)) for operator, number in BOUND.findall(self.holds)]


@dataclass(frozen=True)
class Problem:
    """A folder with its card.

    line: the line of ideas that the problem stands on, one of cards.LINES; builds_on: by the slug
    of an earlier problem, what is taken up from it; url: addresses of the paper; setting_of: rows
    of provenance, one a part of the setting, with what, paper, where, ours, known (verified or
    guessed) and changes_result.
    """

    folder: Path
    title: str
    year: int
    era: str
    line: str
    builds_on: dict
    themes: list
    citation: str
    url: list
    summary: str
    caption: str
    setting: str
    setting_of: list
    budget: str
    timeout: int
    v1: dict
    variants: dict
    claims: list

    @property
    def slug(self):
        return self.folder.name

    @property
    def module(self):
        """The slug as it stands in file names: flip_flop for flip-flop."""
        return self.slug.replace("-", "_")

    @property
    def script(self):
        return self.folder / f"{self.module}.py"

    @property
    def headline(self):
        """The first variant: the defaults."""
        return next(iter(self.variants.values()))

    @property
    def gif(self):
        return self.folder / f"{self.module}.gif"


def load(folder):
    """The Problem in a folder. Raises CatalogError with the first fault of its problem.toml."""
    path = Path(folder) / "problem.toml"
    try:
        card = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, an endless number
        raise CatalogError(f"{path}: {error}") from None
    if wrong := complaints(card):
        raise CatalogError(f"{path}: {wrong[0]}")
    folder = Path(folder).resolve()
    main_script = folder.name.replace("-", "_") + ".py"
    variants = {}
    for name, v in card.pop("variants").items():
        script = folder / v.get("script", main_script)
        if not script.is_file():
            raise CatalogError(f"{path}: variants.{name}: there is no file {script.name}")
        variants[name] = Variant(name, v["seeds"], script, v.get("overrides", {}))
    claims = [_claim(claim) for claim in card.pop("claims")]
    optional = {"timeout": 900, "v1": {}, "url": [], "setting_of": [], "builds_on": {}}
    return Problem(folder=folder, variants=variants, claims=claims, **{**optional, **card})


def _claim(table):
    return Claim(reported=table.pop(table["source"]), **table)


def shortcomings(problem):
    """What a finished card still lacks for a sceptic, one line each; such a card can be loaded."""
    wrong = [] if problem.url else ["url is missing: DOI, arXiv or the author's page"]
    if not problem.setting_of:
        wrong.append("setting_of is missing: the table of where each part of the setting is from")
    for claim in problem.claims:
        if claim.source == "paper" and not (claim.where or claim.unverified):
            wrong.append(
                f"claim {claim.name!r} needs where = the place in the paper, or unverified"
            )
        if (">=", 0) in claim.bounds:
            wrong.append(f"claim {claim.name!r} passes on a tie: a gap needs a margin, not '>= 0'")
    if problem.setting == "paper":
        rows = [row for row in problem.setting_of if row["changes_result"] and differs(row)]
        wrong += [f"setting is 'paper', but {row['what']!r} differs in effect" for row in rows]
    return wrong


def differs(row):
    """Whether a row of setting_of says that ours is not the paper's."""
    return row["ours"] not in ("same", row["paper"])


def lineage_faults(known):
    """What is wrong with who builds on whom, one line each: every step must lead back in time."""
    years = {problem.slug: problem.year for problem in known}
    wrong = []
    for problem in known:
        for slug in problem.builds_on:
            if slug not in years:
                wrong.append(f"{problem.slug}: builds_on names {slug!r}, which is no problem here")
            elif years[slug] > problem.year:
                wrong.append(f"{problem.slug}: builds_on names {slug!r}, a later paper's")
    return wrong or _circles(known)


def _circles(known):
    """Problems that build on themselves, by way of others."""
    parents = {problem.slug: set(problem.builds_on) for problem in known}
    while free := {slug for slug, on in parents.items() if not on & set(parents)}:
        parents = {slug: on for slug, on in parents.items() if slug not in free}
    return [f"{slug}: builds on itself, by way of others" for slug in parents]


def folders(root=ROOT):
    """Every folder with a problem.toml, in alphabetical order."""
    return sorted(path.parent for path in Path(root).glob("*/problem.toml"))


def load_all(root=ROOT):
    """All problems, by era, then year, then slug."""
    return in_order([load(folder) for folder in folders(root)])


def in_order(problems):
    """Problems by era, then year, then slug."""
    return sorted(problems, key=lambda p: (ERAS.index(p.era), p.year, p.slug))


def select(slugs, root=ROOT):
    """The problems that are named, or all. Raises CatalogError for a name that is none."""
    return [load(folder) for folder in named(slugs, root)] if slugs else load_all(root)


def named(slugs, root=ROOT):
    """The folders of the problems that are named, or of all; raises as select does."""
    known = {folder.name: folder for folder in folders(root)}
    for slug in slugs:
        if slug not in known:
            close = difflib.get_close_matches(slug, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else "python3 -m catalog list shows all"
            raise CatalogError(f"no problem named {slug!r}; {hint}")
    return [known[slug] for slug in dict.fromkeys(slugs)] if slugs else list(known.values())


def sound(slugs=(), root=ROOT):
    """The same as select, but damaged cards are left out; returns (problems, one line a fault)."""
    found, faults = [], []
    for folder in named(slugs, root):
        try:
            found.append(load(folder))
        except CatalogError as error:
            faults.append(str(error))
    return (found if slugs else in_order(found)), faults


__all__ = ["BOUND", "ERAS", "SETTINGS", "SLUG", "Claim", "Problem", "Variant", "complaints"]
