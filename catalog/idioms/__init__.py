"""Short pieces of code that scripts carry as copies, each with its one tested original in this
package."""

import re
from pathlib import Path

from catalog import CatalogError

BLOCK = re.compile(r"^# idiom: (?P<name>\w+)\n(?P<code>.*?)^# end idiom$", re.MULTILINE | re.DOTALL)


def original(name):
    """The code between the markers of catalog/idioms/<name>.py, trailing newline included."""
    path = Path(__file__).with_name(f"{name}.py")
    if not path.is_file() or name == "__init__":
        known = ", ".join(sorted(p.stem for p in path.parent.glob("[!_]*.py")))
        raise CatalogError(f"no idiom named {name!r}; there are {known}")
    return BLOCK.search(path.read_text(encoding="utf-8"))["code"]


def names_used(source):
    """The idioms of which a script's text carries a copy, in order."""
    return [block["name"] for block in BLOCK.finditer(source)]


def refreshed(source):
    """The script's text with every idiom replaced by its original.

    Raises CatalogError for an unknown name or a marker without its partner.
    """
    opened, closed = (
        len(re.findall(r"^# idiom: ", source, re.MULTILINE)),
        source.count("\n# end idiom"),
    )
    if opened != closed or opened != len(names_used(source)):
        raise CatalogError(f"{opened} lines '# idiom: name' but {closed} lines '# end idiom'")
    return BLOCK.sub(
        lambda block: f"# idiom: {block['name']}\n{original(block['name'])}# end idiom", source
    )
