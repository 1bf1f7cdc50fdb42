"""The cards: every folder's problem.toml, read and checked."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path

from catalog import ROOT, CatalogError

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ERAS = (
    "1980s local rules",
    "1990 controllers and world models",
    "1991 curiosity, subgoals, chunking",
    "1992 fast weights and factorial codes",
    "1993-1996 evolution, RL, feature detection",
    "1995-1997 program search and LSTM",
    "2000-2009 LSTM and evolution",
    "2010-2017 deep learning at scale",
    "2018-2025 world models, fast-weight Transformers",
)
SETTINGS = ("paper", "reduced", "stand-in")
STATISTICS = ("fraction", "mean", "median", "worst", "best", "ratio of medians")
SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
BOUND = re.compile(r"(<=|>=|<|>|=) *(-?\d+(?:\.\d*)?(?:e-?\d+)?)")

CARD_KEYS = {  # key: type, required
    "title": (str, True),
    "year": (int, True),
    "era": (str, True),
    "themes": (list, True),
    "citation": (str, True),
    "summary": (str, True),
    "caption": (str, True),
    "setting": (str, True),
    "budget": (str, True),
    "timeout": (int, False),
    "v1": (dict, False),
    "variants": (dict, True),
    "claims": (list, True),
}
VARIANT_KEYS = {"seeds": (int, True), "overrides": (dict, False), "script": (str, False)}
V1_KEYS = {"headline": (str, True), "seconds": ((int, float), False), "note": (str, False)}
CLAIM_KEYS = {
    "name": (str, True),
    "source": (str, True),
    "variant": (str, True),
    "metric": (str, True),
    "statistic": (str, True),
    "holds": (str, True),
    "paper": (str, False),
    "v1": (str, False),
    "unverified": (bool, False),
    "main": (bool, False),
}


@dataclass(frozen=True)
class Variant:
    """One way to run a problem: overrides of Config's defaults, measured with seeds 0 … seeds - 1."""

    name: str
    seeds: int
    script: Path
    overrides: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A metric of a variant, a statistic over its seeds and the bounds that it must keep."""

    name: str
    source: str
    variant: str
    metric: str
    statistic: str
    holds: str
    published: str
    unverified: bool
    main: bool

    @property
    def bounds(self):
        """The bounds as pairs (operator, number)."""
        return [(operator, float(number)) for operator, number in BOUND.findall(self.holds)]


@dataclass(frozen=True)
class Problem:
    """A folder with its card."""

    folder: Path
    title: str
    year: int
    era: str
    themes: list
    citation: str
    summary: str
    caption: str
    setting: str
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


def complaints(card):
    """What is wrong with the content of a problem.toml, one line each; an empty list when nothing is."""
    wrong = _keys("", card, CARD_KEYS)
    if wrong:
        return wrong
    if card["era"] not in ERAS:
        wrong.append(f"era is {card['era']!r}, must be one of: {'; '.join(ERAS)}")
    if card["setting"] not in SETTINGS:
        wrong.append(f"setting is {card['setting']!r}, must be one of: {', '.join(SETTINGS)}")
    if not card["variants"]:
        wrong.append("variants is empty")
    for name, variant in card["variants"].items():
        wrong += _keys(f"variants.{name}: ", variant, VARIANT_KEYS)
        if isinstance(variant.get("seeds"), int) and variant["seeds"] < 1:
            wrong.append(f"variants.{name}: seeds must be at least 1")
    headline = next(iter(card["variants"].values()), {})
    if headline.get("overrides") or headline.get("script"):
        wrong.append("the first variant must be the defaults of the script, without overrides")
    wrong += _keys("v1: ", card["v1"], V1_KEYS) if "v1" in card else []
    for number, claim in enumerate(card["claims"]):
        wrong += _claim_complaints(f"claim {claim.get('name', number)!r}: ", claim, card["variants"])
    names = [claim.get("name") for claim in card["claims"]]
    wrong += [f"claim {name!r} stands {names.count(name)} times" for name in sorted({n for n in names if names.count(n) > 1})]
    if sum(claim.get("main", False) for claim in card["claims"]) != 1:
        wrong.append("exactly one claim must have main = true")
    return wrong


def _keys(where, table, schema):
    wrong = [f"{where}unknown key {key!r}" for key in table if key not in schema]
    for key, (kind, required) in schema.items():
        if key not in table:
            wrong += [f"{where}key {key!r} is missing"] if required else []
        elif not isinstance(table[key], kind) or isinstance(table[key], bool) != (kind is bool):
            wrong.append(f"{where}{key} has the wrong type: {table[key]!r}")
        elif kind is str and not table[key].strip():
            wrong.append(f"{where}{key} is empty")
    return wrong


def _claim_complaints(where, claim, variants):
    wrong = _keys(where, claim, CLAIM_KEYS)
    if wrong:
        return wrong
    if claim["source"] not in ("paper", "v1"):
        wrong.append(f"{where}source is {claim['source']!r}, must be paper or v1")
    elif claim["source"] not in claim:
        wrong.append(f"{where}needs {claim['source']} = what was published")
    if claim["variant"] not in variants:
        wrong.append(f"{where}variant {claim['variant']!r} is not among {', '.join(variants)}")
    if claim["statistic"] not in STATISTICS:
        wrong.append(f"{where}statistic is {claim['statistic']!r}, must be one of: {', '.join(STATISTICS)}")
    if ("/" in claim["metric"]) != (claim["statistic"] == "ratio of medians"):
        wrong.append(f"{where}metric 'a / b' and statistic 'ratio of medians' go together")
    if not re.fullmatch(rf"{BOUND.pattern}( and {BOUND.pattern})?", claim["holds"]):
        wrong.append(f"{where}holds is {claim['holds']!r}, must look like '>= 0.6' or '>= 1.3 and <= 1.9'")
    if claim.get("main") and claim["source"] != "paper":
        wrong.append(f"{where}the main claim must be the paper's")
    return wrong


def load(folder):
    """The Problem in a folder. Raises CatalogError with the first fault of its problem.toml."""
    path = Path(folder) / "problem.toml"
    try:
        card = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: {error}") from None
    if wrong := complaints(card):
        raise CatalogError(f"{path}: {wrong[0]}")
    folder = Path(folder).resolve()
    main_script = folder.name.replace("-", "_") + ".py"
    card["variants"] = {
        name: Variant(name, v["seeds"], folder / v.get("script", main_script), v.get("overrides", {}))
        for name, v in card["variants"].items()
    }
    card["claims"] = [_claim(claim) for claim in card["claims"]]
    return Problem(folder=folder, **{"timeout": 900, "v1": {}, **card})


def _claim(table):
    table = {"unverified": False, "main": False, **table}
    published = {"paper": table.pop("paper", ""), "v1": table.pop("v1", "")}[table["source"]]
    return Claim(published=published, **table)


def folders(root=ROOT):
    """Every folder with a problem.toml, in alphabetical order."""
    return sorted(path.parent for path in Path(root).glob("*/problem.toml"))


def load_all(root=ROOT):
    """All problems, by era, then year, then slug."""
    problems = [load(folder) for folder in folders(root)]
    return sorted(problems, key=lambda p: (ERAS.index(p.era), p.year, p.slug))


def select(slugs, root=ROOT):
    """The problems that are named, or all. Raises CatalogError for a name that is none."""
    known = {folder.name: folder for folder in folders(root)}
    for slug in slugs:
        if slug not in known:
            close = difflib.get_close_matches(slug, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else "python3 -m catalog list shows all"
            raise CatalogError(f"no problem named {slug!r}; {hint}")
    return [load(known[slug]) for slug in dict.fromkeys(slugs)] if slugs else load_all(root)
