"""Whether the built site hangs together: links, anchors, pictures, nothing from elsewhere."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Links(HTMLParser):
    """Collects the ids of a page and whatever it links to or shows."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.targets, self.bare, self.foreign = set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "a" and found.get("name"):
            self.ids.add(found["name"])
        self.targets += [found[name] for name in ("href", "src") if found.get(name)]
        if tag in ("img", "script", "link", "iframe", "source"):
            address = found.get("src") or found.get("href") or ""
            self.foreign += [address] if urlsplit(address).netloc else []
        if tag == "img" and not (found.get("alt") or "").strip():
            self.bare.append(found.get("src", ""))


def dead_links(site):
    """Links, anchors and pictures that lead nowhere, pictures without text, foreign resources."""
    site = Path(site)
    parsed = {
        path: Links(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if path.name != "404.html"
    }
    wrong = []
    for path, page in parsed.items():
        here = path.relative_to(site)
        wrong += [f"{here} shows {src} without alternative text" for src in page.bare]
        wrong += [f"{here} loads {address} from elsewhere" for address in page.foreign]
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or target.startswith("data:"):
                continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            goal = goal / "index.html" if goal.is_dir() else goal
            if not goal.is_file():
                wrong.append(f"{here} links to {target}, which does not exist")
            elif (
                parts.fragment
                and goal in parsed
                and unquote(parts.fragment) not in parsed[goal].ids
            ):
                wrong.append(f"{here} links to {target}, but that page has no such place")
    return wrong
