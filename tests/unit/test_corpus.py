"""The corpus: what conversions must make of the values that systems of the world hold.

One file of tests/corpus for each conversion; its lines are input, context, expected value and a note, with tabs between.
The context has the options of the step, such as `country=DE`; `where` is the value of the row's country column, `step`
another conversion than that of the file's name. Expected is `rejected`, or `null`, or the value as text. The values come
from the standards that a file names at its top, not from what the code says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from streams.mapping.conversions.registry import make_step
from streams.mapping.notes import no_note
from streams.mapping.row_errors import BadValue

CORPUS = Path(__file__).parents[1] / "corpus"
FEWEST = 100
"""Lines of each file."""


OF_CONTEXT: dict[str, Any] = {
    "formats": lambda text: re.split(",(?=%)", text),
    "days": lambda text: text.split(","),
    "pivot": int,
}
"""Options that are no text → how the context's text is read. A comma before a format separates it from another one."""


class Line(NamedTuple):
    name: str
    value: str
    context: str
    expected: str
    note: str


def lines(path: Path) -> list[Line]:
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("# "))
    return [Line(path.stem, *(row + [""] * (4 - len(row)))) for row in rows]


FILES = sorted(CORPUS.glob("*.tsv"))
LINES = [line for path in FILES for line in lines(path)]


def converted(line: Line) -> str:
    options: dict[str, Any] = {
        name: OF_CONTEXT.get(name, str)(text)
        for name, text in (item.split("=", 1) for item in line.context.split(";") if item)
    }
    where = options.pop("where", None)
    name = options.pop("step", line.name)
    country = options.get("country")
    if where is not None:
        options["country_column"] = "country"
    step = make_step({name: options} if options else name, country=country, timezone="UTC", note=no_note)
    try:
        made = step.convert(line.value, where) if where is not None else step.convert(line.value)
    except BadValue:
        return "rejected"
    return "null" if made is None else str(made)


@pytest.mark.parametrize("line", LINES, ids=[f"{line.name} {line.value} {line.context}" for line in LINES])
def test_a_conversion_makes_of_a_value_what_the_corpus_says(line: Line) -> None:
    assert converted(line) == line.expected, line.note


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_of_the_corpus_has_very_many_values(path: Path) -> None:
    assert len(lines(path)) >= FEWEST
