"""The page of conversions, made from their docstrings: `python -m streams.dictionary.conversions_page docs/guides/conversions.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from streams.mapping.conversions.registry import conversions

_HEAD = """# Conversions

What a step of a dictionary can do (`steps: [trim, {phone: {country: DE}}]`). Each takes one value that is not null and
gives a clean one, or rejects it with a reason; what it mends it notes. An option whose name ends in `_column` names a
column of the same row.

This page is made from the code: `python -m streams.dictionary.conversions_page docs/guides/conversions.md`.

| name | options | what it does |
| --- | --- | --- |
"""


def page() -> str:
    """The page's text: the built-in conversions in alphabetical order."""
    rows = []
    for name, conversion in sorted(conversions().items()):
        if conversion.built_in:
            options = ", ".join(f"`{option}`" for option in conversion.options)
            doc = " ".join(conversion.doc.split()).replace("|", "\\|")
            rows.append(f"| `{name}` | {options} | {doc} |\n")
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
