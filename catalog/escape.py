"""Text of a card or record made safe to print: it shows as it stands, and starts nothing."""

from __future__ import annotations

import re
import unicodedata

ENTITIES = {ord(sign): f"&#{ord(sign)};" for sign in "|[]{}`$\\"}
ENTITIES |= {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
ENTITIES |= {ord(sign): "\\" + sign for sign in "*_~"}
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format and surrogate characters


def plain(text):
    """The text as one line for a terminal: blanks in a row are one, hidden characters are gone."""
    text = " ".join(text.split())
    return "".join(sign for sign in text if unicodedata.category(sign) not in HIDDEN)


def markdown(text):
    """The text for a place in a Markdown page: prose, heading, link label or table cell.

    What would begin markup, HTML, a formula or mdBook's {{#include}} becomes an entity or gets a
    backslash, also the signs that begin a heading or a list at the start of a line.
    """
    text = plain(text).translate(ENTITIES)
    text = re.sub(r"^([#+\-=:])(?!\d)", r"\\\1", text)
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", text)
