"""The page docs/guides/conversions.md, made from the docstrings of the conversions.

Run `python -m streams.dictionary.conversions_page docs/guides/conversions.md`.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from streams.mapping.conversions.registry import Conversion, conversions

_EXAMPLE = re.compile(r"\s*Example: `(?P<step>.+?)`: `(?P<given>.+?)` → `(?P<result>.+?)`\s*", re.DOTALL)
_HEAD = """# Conversions

The `steps` of a rule clean a value, in order: `steps: [trim, {phone: {country: DE}}]`. Each step is a conversion of
this page. It gets one value that is not null. It returns the clean value, or it rejects the value with a reason. What
happens to a rejected value is decided by the rule's `bad`: reject the row (the default), take null, or pass the value.

- Write a conversion without options as its name: `trim`. Write options in a mapping: `{phone: {country: DE}}`. If a
  conversion has only one option, or only one that it needs, its value alone will do: `{zero_pad: 10}`.
- An option whose name ends in `_column` names a column of the same row.
- `country` and `timezone` have the values of the dictionary, unless the step has its own.
- Where the text says *mapping note*, the change is counted by table and field: see `opshub map explain`.

This page is made from the code: `python -m streams.dictionary.conversions_page docs/guides/conversions.md`. A test
runs each example.

| name | options (default) | what it does | example |
| --- | --- | --- | --- |
"""


class Example(NamedTuple):
    """An example of a docstring, as YAML: a step, the value that it gets, and the result as text (`null` for null)."""

    step: str
    given: str
    result: str


def example_of(conversion: Conversion) -> Example | None:
    """The example in the docstring of a conversion."""
    match = _EXAMPLE.search(conversion.doc)
    return Example(*match.group("step", "given", "result")) if match else None


def page() -> str:
    """The page's text: the built-in conversions in alphabetical order."""
    rows = []
    for name, conversion in sorted(conversions().items()):
        if conversion.built_in:
            doc = " ".join(_EXAMPLE.sub("", conversion.doc).split())
            example = example_of(conversion)
            shown = f"`{example.step}`: `{example.given}` → `{example.result}`" if example else ""
            cells = [f"`{name}`", _options(conversion.options), doc, shown]
            rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n")
    return _HEAD + "".join(rows)


def _options(options: Mapping[str, inspect.Parameter]) -> str:
    """The options of a conversion with their defaults."""
    texts = []
    for name, option in options.items():
        if name == "timezone":
            default = " (the dictionary's)"
        elif option.default in (inspect.Parameter.empty, None, ""):
            default = ""
        else:
            default = f" (`{option.default}`)"
        texts.append(f"`{name}`{default}")
    return ", ".join(texts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
