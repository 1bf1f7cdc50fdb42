"""The tools around the problems: sweeps over seeds, claims and verdicts, tables, figures and the
site."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class CatalogError(Exception):
    """Something the user can mend; its text is one clear line."""
