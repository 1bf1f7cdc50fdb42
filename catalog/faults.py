"""What a sound table and a sound record look like; every fault is one line that names its place."""

from __future__ import annotations

import math
import re

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NUMBER = float  # the kind of a key that holds a finite number, whole or not

RUN_KEYS = {  # key: kind, required
    "variant": (str, True),
    "seed": (int, True),
    "fingerprint": (str, True),
    "overrides": (dict, True),
    "config": (dict, False),
    "error": (str, False),
}
FINISHED_KEYS = {"metrics": (dict, True), "seconds": (NUMBER, True), "cpu_seconds": (NUMBER, False)}
SUMMARY_KEYS = {
    "verdict": (str, True),
    "v1": (str, True),
    "holds": (int, True),
    "claims": (int, True),
    "controls_hold": (int, False),
    "controls": (int, False),
    "at_published": (int, False),
    "with_published": (int, False),
}
TIME_KEYS = {"seconds": (NUMBER, True), "fingerprint": (str, True)}


def shown(value):
    """A value in a complaint: one line of at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def is_number(value):
    """Whether a value is a number that a float can hold; True and False are none."""
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:
        return False


def keys(where, table, schema, more=False):
    """What is wrong with a table's keys: missing, of the wrong type, empty; unknown unless more."""
    if not isinstance(table, dict):
        return [f"{where}must be a table, is {shown(table)}"]
    wrong = [] if more else [f"{where}unknown key {shown(k)}" for k in table if k not in schema]
    for key, (kind, required) in schema.items():
        if key not in table:
            wrong += [f"{where}key {key!r} is missing"] if required else []
        elif not (is_number(table[key]) if kind is NUMBER else type(table[key]) is kind):
            wrong.append(f"{where}{key} has the wrong type: {shown(table[key])}")
        elif kind is int and not is_number(table[key]):
            wrong.append(f"{where}{key} is too large a number")
        elif kind is str and not table[key].strip():
            wrong.append(f"{where}{key} is empty")
    return wrong


def check_record(content):
    """Return the content of a record when it is sound. Raises ValueError with its first fault."""
    if wrong := record_complaints(content):
        raise ValueError(wrong[0])
    return content


def record_complaints(content):
    """What is wrong with the content of a results.json, one line each."""
    if not isinstance(content, dict) or not isinstance(content.get("runs"), list):
        return ["no list of runs"]
    wrong, places = [], {}
    for number, run in enumerate(content["runs"]):
        faults = run_complaints(f"run {number}", run)
        wrong += faults
        if not faults:
            first = places.setdefault((run["variant"], run["seed"]), number)
            if first != number:
                what = f"variant {shown(run['variant'])}, seed {run['seed']}"
                wrong.append(f"runs {first} and {number} are both of {what}")
    if content.get("summary", {}) != {}:
        wrong += keys("summary: ", content["summary"], SUMMARY_KEYS, more=True)
    for kind in ("time", "time_v1"):
        if kind in content:
            wrong += keys(f"{kind}: ", content[kind], TIME_KEYS, more=True)
            wrong += _negative(f"{kind}: ", content[kind], "seconds")
    return wrong


def run_complaints(where, run):
    """What is wrong with one recorded run; where names its place in the list."""
    if isinstance(run, dict) and "variant" in run and "seed" in run:
        where += f" (variant {shown(run['variant'])}, seed {shown(run['seed'])})"
    where += ": "
    wrong = keys(where, run, RUN_KEYS, more=True)
    if not wrong and "error" not in run:
        wrong = keys(where, run, FINISHED_KEYS, more=True)
    if wrong:
        return wrong
    for name in ("seed", "seconds", "cpu_seconds"):
        wrong += _negative(where, run, name)
    for name, value in run.get("metrics", {}).items():
        if not NAME.fullmatch(name):
            wrong.append(f"{where}metric {shown(name)} is not made of letters, digits and _")
        if not (value is None or isinstance(value, bool) or is_number(value)):
            need = "a finite number, true, false or null"
            wrong.append(f"{where}metric {shown(name)} is {shown(value)}, must be {need}")
    return wrong


def _negative(where, table, name):
    """A complaint where a number that counts or times something is below zero."""
    value = table.get(name, 0) if isinstance(table, dict) else 0
    return [f"{where}{name} is {shown(value)}, below 0"] if is_number(value) and value < 0 else []
