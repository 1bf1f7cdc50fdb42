"""What a sound problem.toml looks like: its words, its keys, and every fault as one line."""

from __future__ import annotations

import math
import re

from catalog.faults import NAME, NUMBER, is_number, keys, shown

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
LINES = (
    "Reward and control",
    "World models",
    "Long time lags and LSTM",
    "Fast weights and attention",
    "Codes and objects",
    "Search and evolution",
    "Deep feedforward nets",
)
SETTINGS = ("paper", "adapted", "reduced", "stand-in")
SOURCES = ("paper", "control", "v1")
PAIRED = ("ratio of medians", "pooled share")  # statistics of two metrics, "a / b"
STATISTICS = ("fraction", "mean", "median", "worst", "best", *PAIRED)
KNOWN = ("verified", "guessed")
YEARS, SEEDS, TIMEOUTS = (1900, 2100), (1, 100_000), (1, 1_000_000)  # lowest and highest allowed
BOUND = re.compile(r"(<=|>=|<|>|=) *(-?[0-9]+(?:\.[0-9]*)?(?:e-?[0-9]+)?)")
VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
URL = re.compile(r"https?://[^\s<>\"'`|\\\[\](){}]+\Z")

CARD_KEYS = {  # key: kind, required
    "title": (str, True),
    "year": (int, True),
    "era": (str, True),
    "line": (str, True),
    "builds_on": (dict, False),
    "themes": (list, True),
    "citation": (str, True),
    "url": (list, False),
    "summary": (str, True),
    "caption": (str, True),
    "setting": (str, True),
    "setting_of": (list, False),
    "budget": (str, True),
    "timeout": (int, False),
    "v1": (dict, False),
    "variants": (dict, True),
    "claims": (list, True),
}
VARIANT_KEYS = {"seeds": (int, True), "overrides": (dict, False), "script": (str, False)}
V1_KEYS = {
    "headline": (str, True),
    "seconds": (NUMBER, False),
    "note": (str, False),
    "rerun": (NUMBER, False),
    "options": (str, False),
}
SETTING_KEYS = {
    "what": (str, True),
    "paper": (str, True),
    "where": (str, True),
    "ours": (str, True),
    "known": (str, True),
    "changes_result": (bool, True),
}
CLAIM_KEYS = {
    "name": (str, True),
    "source": (str, True),
    "variant": (str, True),
    "metric": (str, True),
    "statistic": (str, True),
    "holds": (str, True),
    "paper": (str, False),
    "control": (str, False),
    "v1": (str, False),
    "published": (NUMBER, False),
    "where": (str, False),
    "unverified": (bool, False),
    "deterministic": (bool, False),
    "main": (bool, False),
}


def complaints(card):
    """What is wrong with the content of a problem.toml, one line each; empty when nothing is."""
    wrong = keys("", card, CARD_KEYS)
    if wrong:
        return wrong
    for name, allowed in (("era", ERAS), ("line", LINES), ("setting", SETTINGS)):
        wrong += _among(name, card[name], allowed)
    wrong += _texts("builds_on", list(card.get("builds_on", {}).values()))
    wrong += _within("year", card["year"], YEARS)
    wrong += _within("timeout", card["timeout"], TIMEOUTS) if "timeout" in card else []
    wrong += _texts("themes", card["themes"]) or ([] if card["themes"] else ["themes is empty"])
    wrong += _url_complaints(card.get("url", []))
    for number, row in enumerate(card.get("setting_of", [])):
        wrong += _setting_complaints(f"setting_of {number}: ", row)
    wrong += _variant_complaints(card["variants"])
    if "v1" in card:
        wrong += keys("v1: ", card["v1"], V1_KEYS)
        for key in ("seconds", "rerun"):
            if is_number(card["v1"].get(key)) and card["v1"][key] < 0:
                wrong.append(f"v1: {key} is {shown(card['v1'][key])}, below 0")
    return wrong + _claims_complaints(card["claims"], card["variants"])


def _among(name, value, allowed):
    line = f"{name} is {shown(value)}, must be one of: {'; '.join(allowed)}"
    return [] if value in allowed else [line]


def _within(name, value, bounds):
    low, high = bounds
    line = f"{name} is {shown(value)}, must be at least {low} and at most {high}"
    return [] if low <= value <= high else [line]


def _texts(name, values):
    """Complaints about the members of a list that are no text, are blank or stand twice."""
    wrong = [v for v in values if not isinstance(v, str) or not v.strip()]
    if wrong:
        return [f"{name} holds {shown(wrong[0])}, must hold texts"]
    twice = sorted({v for v in values if values.count(v) > 1})
    return [f"{name} holds {shown(value)} {values.count(value)} times" for value in twice]


def _url_complaints(urls):
    wrong = _texts("url", urls)
    bad = [url for url in urls if not wrong and not URL.match(url)]
    return wrong + [f"url {shown(url)} is no address such as https://doi.org/10.1/x" for url in bad]


def _setting_complaints(where, row):
    wrong = keys(where, row, SETTING_KEYS)
    return wrong or _among(f"{where}known", row["known"], KNOWN)


def _variant_complaints(variants):
    wrong = [] if variants else ["variants is empty"]
    for number, (name, variant) in enumerate(variants.items()):
        where = f"variants.{name}: "
        if not VARIANT.fullmatch(name):
            wrong.append(f"variant {shown(name)} is not made of letters, digits, _ and -")
            continue
        faults = keys(where, variant, VARIANT_KEYS)
        wrong += faults
        if faults:
            continue
        wrong += _within(f"{where}seeds", variant["seeds"], SEEDS)
        wrong += _override_complaints(f"{where}overrides: ", variant.get("overrides", {}))
        script = variant.get("script", "x.py")
        if not script.endswith(".py") or not NAME.fullmatch(script[:-3]):
            need = "the name of a Python file in the folder"
            wrong.append(f"{where}script is {shown(script)}, must be {need}")
        if number == 0 and (variant.get("overrides") or "script" in variant):
            wrong.append("the first variant must be the defaults of the script, without overrides")
    return wrong


def _override_complaints(where, overrides):
    wrong = [f"{where}seed is what a sweep sets"] if "seed" in overrides else []
    for name, value in overrides.items():
        if not NAME.fullmatch(name):
            wrong.append(f"{where}{shown(name)} is no name of an option")
        word = isinstance(value, str) and value.strip() and value.isprintable()
        if not (word or isinstance(value, bool) or is_number(value)):
            need = "a finite number, a word, true or false"
            wrong.append(f"{where}{shown(name)} is {shown(value)}, must be {need}")
    return wrong


def _claims_complaints(claims, variants):
    wrong = []
    for number, claim in enumerate(claims):
        named = isinstance(claim, dict) and isinstance(claim.get("name"), str)
        where = f"claim {shown(claim['name']) if named else number}: "
        wrong += keys(where, claim, CLAIM_KEYS) or _claim_complaints(where, claim, variants)
    if wrong:
        return wrong
    names = [claim["name"] for claim in claims]
    twice = sorted({name for name in names if names.count(name) > 1})
    wrong += [f"claim {shown(name)} stands {names.count(name)} times" for name in twice]
    if sum(claim.get("main", False) for claim in claims) != 1:
        wrong.append("exactly one claim must have main = true")
    return wrong


def _claim_complaints(where, claim, variants):
    source, statistic = claim["source"], claim["statistic"]
    wrong = _among(f"{where}source", source, SOURCES)
    wrong += _among(f"{where}statistic", statistic, STATISTICS)
    wrong += _among(f"{where}variant", claim["variant"], tuple(variants))
    if source in SOURCES and source not in claim:
        wrong.append(f"{where}needs {source} = what was reported, or why it must come out so")
    others = [key for key in SOURCES if key != source and key in claim]
    wrong += [f"{where}source is {source!r}, so {key!r} says nothing" for key in others]
    if source == "control" and "published" in claim:
        wrong.append(f"{where}a control has no published number")
    if claim.get("main") and source != "paper":
        wrong.append(f"{where}the main claim must be the paper's")
    names = claim["metric"].split(" / ")
    if len(names) > 2 or not all(map(NAME.fullmatch, names)):
        wrong.append(f"{where}metric is {shown(claim['metric'])}, must be 'a' or 'a / b'")
    elif (len(names) == 2) != (statistic in PAIRED):
        wrong.append(f"{where}metric 'a / b' and {' or '.join(map(repr, PAIRED))} go together")
    return wrong + _bound_complaints(where, claim["holds"])


def _bound_complaints(where, holds):
    if not re.fullmatch(rf"{BOUND.pattern}( and {BOUND.pattern})?", holds):
        return [f"{where}holds is {shown(holds)}, must look like '>= 0.6' or '>= 1.3 and <= 1.9'"]
    bounds = [(sign, float(number)) for sign, number in BOUND.findall(holds)]
    if not all(math.isfinite(number) for _, number in bounds):
        return [f"{where}holds is {shown(holds)}, a number too large"]
    above = [number for sign, number in bounds if ">" in sign]
    below = [number for sign, number in bounds if "<" in sign]
    if len(bounds) == 2 and not (above and below and above[0] < below[0]):
        return [f"{where}holds is {shown(holds)}, which leaves no room between two bounds"]
    return []
