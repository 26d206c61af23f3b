"""Precision and recall of `opshub map draft` on tables of real systems (`tests/corpus/schemas`).

    python -m benchmarks.draft              # a line for each system, and all together
    python -m benchmarks.draft --missed     # also what was missed, and what was proposed wrongly

A table counts as found where it is proposed for the entity that a person maps it to. A field counts where its column is
proposed for it, in a table of that entity; fields of tables that were not found are missed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import yaml

from streams.dictionary.draft.matching import propose
from streams.dictionary.live_tables import ForeignKey, LiveColumn, LiveTable

CORPUS = Path(__file__).parents[1] / "tests/corpus/schemas"
_TYPES = {
    "i": "integer", "t": "character varying", "n": "numeric", "f": "double precision", "d": "date",
    "ts": "timestamp without time zone", "b": "boolean", "j": "jsonb",
}  # fmt: skip
_COLUMN = re.compile(r"(?P<name>.+?):(?P<type>\w+)(?:>(?P<to>[^=]+))?(?:=(?P<field>\w+))?")


class Schema(NamedTuple):
    """One system: its tables, and what a person maps them to."""

    name: str
    catalog: dict[str, LiveTable]
    tables: set[tuple[str, str]]
    """(table, entity)."""
    fields: set[tuple[str, str, str]]
    """(table, field, column)."""


class Score(NamedTuple):
    """What was proposed rightly, what wrongly, and what was missed."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right else 0.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right else 0.0


class Result(NamedTuple):
    schema: str
    tables: Score
    fields: Score
    wrong: list[str]
    missed: list[str]


def load(file: Path) -> Schema:
    """The tables of one file, as the catalogue of a database would give them."""
    catalog: dict[str, LiveTable] = {}
    tables, fields = set(), set()
    for name, (rows, entity, text) in yaml.safe_load(file.read_text(encoding="utf-8"))["tables"].items():
        table = LiveTable(f"public.{name}", "default", rows)
        for place, part in enumerate(text.split(", ")):
            match = _COLUMN.fullmatch(part)
            assert match is not None, f"{file.name}: {name}: {part}"
            column = match["name"]
            table.columns[column] = LiveColumn(column, _TYPES[match["type"]], place > 0, scale=2)
            if match["to"]:
                table.foreign_keys.append(ForeignKey((column,), f"public.{match['to']}", ("id",)))
            if match["field"]:
                fields.add((table.name, match["field"], column))
        table.primary_key = (next(iter(table.columns)),)
        catalog[table.name] = table
        if entity:
            tables.add((table.name, entity))
    return Schema(file.stem, catalog, tables, fields)


def measure(schema: Schema) -> Result:
    """Compare what is proposed with what a person maps."""
    proposals = propose(schema.catalog, {})
    tables = {(proposal.table.name, proposal.entity) for proposal in proposals}
    fields = set()
    for proposal in proposals:
        if (proposal.table.name, proposal.entity) in schema.tables:
            fields |= {(proposal.table.name, match.field, match.column) for match in proposal.matches}
            if proposal.parent is not None:
                fields.add((proposal.table.name, "parent", proposal.parent))
    wrong = [*sorted(map(str, tables - schema.tables)), *sorted(map(str, fields - schema.fields))]
    missed = [*sorted(map(str, schema.tables - tables)), *sorted(map(str, schema.fields - fields))]
    return Result(schema.name, _score(tables, schema.tables), _score(fields, schema.fields), wrong, missed)


def _score(proposed: Collection[object], true: Collection[object]) -> Score:
    proposed, true = set(proposed), set(true)
    return Score(len(proposed & true), len(proposed - true), len(true - proposed))


def together(scores: list[Score]) -> Score:
    """The score of all systems together: each table or field counts once."""
    return Score(*(sum(part) for part in zip(*scores, strict=True)))


def measure_all(folder: Path = CORPUS) -> list[Result]:
    """Every system of a folder of the corpus."""
    return [measure(load(file)) for file in sorted(folder.glob("*.yaml"))]


def with_total(folder: Path, name: str) -> list[Result]:
    """Every system of a folder, and all of them together as `name`."""
    results = measure_all(folder)
    tables, fields = together([r.tables for r in results]), together([r.fields for r in results])
    return [*results, Result(name, tables, fields, [], [])]


def row(result: Result) -> str:
    """A line of the table."""
    figures = (
        result.tables.precision, result.tables.recall, result.fields.precision, result.fields.recall,
    )  # fmt: skip
    return f"| {result.schema} | {' | '.join(f'{figure:.2f}' for figure in figures)} |"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--missed", action="store_true")
    given = options.parse_args()
    print("| system | tables: precision | recall | fields: precision | recall |\n| --- | --- | --- | --- | --- |")
    results = [*with_total(CORPUS, "all"), *with_total(CORPUS / "held_out", "held out")]
    for result in results:
        print(row(result))
    for result in results if given.missed else []:
        print(f"\n{result.schema}")
        for line in result.wrong:
            print(f"  wrong  {line}")
        for line in result.missed:
            print(f"  missed {line}")


if __name__ == "__main__":
    main()
