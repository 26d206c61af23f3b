"""Golden examples beside a dictionary: `examples.yaml` says which records a row must become, and `map check` holds it
to that.

    - table: public.account            # one example
      op: u                            # c if it is not said; d for a delete
      row: {id: a1, name: Foo, …}      # columns as Debezium sends them; a column that is left out was not sent
      before: {…}                      # what the source knows of the row before
      given:                           # rows of tables that are looked into
        - {table: public.stage, row: {id: 1, name: Won}}
      records:                         # in any order; only the fields that are listed are compared
        - {entity: customer, key: a1, fields: {name: Foo, credit_limit: 12.5}, deleted: false, parent: k, same_as: s/e/k}
      rejects: not a number            # or: the row is rejected, with these words in the reason
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import UNSET
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from streams.dictionary.canonical_fields import entity_type
from streams.dictionary.compile import CompiledDictionary
from streams.dictionary.language import Source
from streams.dictionary.lines import load
from streams.dictionary.readable import differences, reference
from streams.errors import MappingError
from streams.mapping.problems import DictionaryError, Problem
from streams.model.change import Mapped, Op, Position, RowChange


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Record(_Part):
    """One record that a row must become."""

    entity: str
    key: str | int
    fields: dict[str, Any] = {}
    deleted: bool = False
    parent: str | int | None = None
    same_as: str | None = None


class Row(_Part):
    """A row of a table that is looked into."""

    table: str
    row: dict[str, Any]


class Example(_Part):
    """One row and what it must become."""

    table: str
    op: Op = "c"
    row: dict[str, Any] | None = None
    before: dict[str, Any] | None = None
    given: list[Row] = []
    records: list[Record] = Field(default=[])
    rejects: str | None = None


def row_change(
    compiled: CompiledDictionary,
    table: str,
    row: dict[str, Any] | None,
    op: Op = "c",
    before: dict[str, Any] | None = None,
) -> RowChange:
    """A row change of columns by name, for trying a dictionary. KeyError if the dictionary does not read the table."""
    made = compiled.tables[table]

    def struct(kind: Any, columns: tuple[str, ...], values: dict[str, Any]) -> Any:
        return kind(**{made.attribute(c): values.get(c, UNSET) for c in columns})

    whole = row or before or {}
    return RowChange(
        compiled.system,
        table,
        op,
        struct(made.key_type, made.key_columns, whole),
        None if before is None else struct(made.row_type, made.columns, before),
        None if row is None or op == "d" else struct(made.row_type, made.columns, row),
        Position(0, 1, 1),
        0,
        None,
        None,
    )


def check_examples(compiled: CompiledDictionary, file: Path) -> tuple[int, list[Problem]]:
    """Run the examples of a file. Gives how many there are, and what does not come out as it says."""
    data, lines = load(file)
    source = Source(file, lines)
    try:
        examples = TypeAdapter(list[Example]).validate_python(data or [])
    except ValidationError as error:
        wrong = [source.problem(tuple(e["loc"]), f"{e['msg']}; it is {e['input']!r}"[:200]) for e in error.errors()]
        raise DictionaryError(wrong) from None
    found: list[Problem] = []
    for number, example in enumerate(examples):
        found += _run(compiled, example, source, number)
    return len(examples), found


def _run(compiled: CompiledDictionary, example: Example, source: Source, number: int) -> list[Problem]:
    path = (number,)
    for name in (example.table, *(g.table for g in example.given)):
        if name not in compiled.tables:
            return [
                source.problem(
                    (number, "table"), f"the dictionary does not read {name}", f"it reads {', '.join(compiled.tables)}"
                )
            ]
    for i, given in enumerate(example.given):
        try:
            compiled.learn(row_change(compiled, given.table, given.row))
        except MappingError as error:
            return [source.problem((number, "given", i), f"cannot be looked into: {error}")]
    change = row_change(compiled, example.table, example.row, example.op, example.before)
    try:
        made = compiled.tables[example.table].map_change(change)
    except MappingError as error:
        if example.rejects is not None and example.rejects in str(error):
            return []
        right = f"the example wants {example.rejects!r}" if example.rejects else "the example wants it to pass"
        return [source.problem(path, f"rejected: {error}", right)]
    if example.rejects is not None:
        return [
            source.problem(
                (number, "rejects"), "the row passes", f"the example wants it rejected with {example.rejects!r}"
            )
        ]
    return _compare(compiled.system, example, made, source, number)


def _compare(system: str, example: Example, made: list[Mapped], source: Source, number: int) -> list[Problem]:
    found: list[Problem] = []
    left = {(m.entity, m.key): m for m in made}
    for i, record in enumerate(example.records):
        path = (number, "records", i)
        one = left.pop((record.entity, str(record.key)), None)
        if one is None:
            names = ", ".join(f"{m.entity} {m.key}" for m in made) or "nothing"
            found.append(source.problem(path, f"no {record.entity} {record.key} is made", f"the row makes {names}"))
            continue
        if one.deleted != record.deleted:
            found.append(source.problem(path, f"deleted is {one.deleted}, not {record.deleted}"))
        entity = entity_type(record.entity)
        if entity is not None and record.parent is not None and entity.parent is not None:
            if reference(str(record.parent), system, entity.parent) != one.parent:
                found.append(
                    source.problem(
                        (*path, "parent"), f"the parent is another than {record.parent}", f"its id is {one.parent}"
                    )
                )
        if record.same_as is not None and reference(record.same_as, system, record.entity) != one.same_as:
            found.append(source.problem((*path, "same_as"), f"it is not the same as {record.same_as}"))
        for name, wanted, was in differences(one, record.fields, system):
            found.append(source.problem((*path, "fields", name), f"is {was!r}", f"the example wants {wanted!r}"))
    for entity_name, key in left:
        found.append(source.problem((number,), f"makes {entity_name} {key} too", "list it under `records`"))
    return found
