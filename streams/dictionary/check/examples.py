"""Golden examples beside a dictionary: `examples.yaml` lists rows and the records that they must become. `map check`
runs them.

    - table: public.account            # one example
      op: u                            # default: c; d for a delete
      row: {id: a1, name: Foo, …}      # columns as Debezium sends them; a column that is left out was not sent
      before: {…}                      # the row before the change, as far as the source sends it
      given:                           # rows of tables that are looked into
        - {table: public.stage, row: {id: 1, name: Won}}
      records:                         # in any order; only the fields that are listed are compared
        - {entity: customer, key: a1, fields: {name: Foo, credit_limit: 12.5}, deleted: false, parent: k}
      rejects: not a number            # or: the row is rejected, and the reason contains this text
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from streams.dictionary.canonical_fields import entity_type
from streams.dictionary.form_words import form_mistake, shown
from streams.dictionary.problems import DictionaryError, Problem
from streams.dictionary.readable import differences, reference_id
from streams.dictionary.yaml_lines import YamlFile, load_yaml
from streams.errors import MappingError
from streams.mapping.compiled import CompiledDictionary, CompiledTable
from streams.mapping.row_errors import ColumnMissing
from streams.model.change import Mapped, Op, Position, RowChange

Columns = dict[str, object]
"""A row: its columns by name."""


class _ExamplePart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectedRecord(_ExamplePart):
    """One record that a row must become."""

    entity: str
    key: str | int
    fields: Columns = {}
    deleted: bool = False
    parent: str | int | None = None
    same_as: str | None = None


class LookupRow(_ExamplePart):
    """A row of a table that is looked into."""

    table: str
    row: Columns


class Example(_ExamplePart):
    """One row and the records that it must become."""

    table: str
    op: Op = "c"
    row: Columns | None = None
    before: Columns | None = None
    given: list[LookupRow] = []
    records: list[ExpectedRecord] = Field(default=[])
    rejects: str | None = None


def row_change(
    compiled: CompiledDictionary,
    table_name: str,
    row: Mapping[str, object] | None,
    op: Op = "c",
    before: Mapping[str, object] | None = None,
) -> RowChange:
    """A row change from columns by name, to try a dictionary. KeyError if the dictionary does not read the table."""
    table = compiled.tables[table_name]
    return RowChange(
        compiled.system,
        table_name,
        op,
        _struct(table, table.key_type, table.key_columns, row or before or {}),
        None if before is None else _struct(table, table.row_type, table.columns, before),
        None if row is None or op == "d" else _struct(table, table.row_type, table.columns, row),
        Position(0, 1, 1),
        0,
        None,
        None,
    )


def _struct(
    table: CompiledTable, kind: type[msgspec.Struct], columns: tuple[str, ...], values: Mapping[str, object]
) -> msgspec.Struct:
    arguments: dict[str, Any] = {table.attribute(c): values.get(c, UNSET) for c in columns}
    return kind(**arguments)


def check_examples(compiled: CompiledDictionary, path: Path) -> tuple[int, list[Problem]]:
    """Run the examples of a file: how many there are, and each result that differs from its example.

    Raises DictionaryError if the file itself is wrong.
    """
    data, lines = load_yaml(path)
    file = YamlFile(path, lines)
    try:
        examples = TypeAdapter(list[Example]).validate_python(data or [])
    except ValidationError as error:
        wrong = [file.problem(tuple(e["loc"]), *form_mistake(e)) for e in error.errors()]
        raise DictionaryError(wrong) from None
    problems: list[Problem] = []
    for number, example in enumerate(examples):
        problems += _run(compiled, example, file, number)
    return len(examples), problems


def _run(compiled: CompiledDictionary, example: Example, file: YamlFile, number: int) -> list[Problem]:
    for name in (example.table, *(given.table for given in example.given)):
        if name not in compiled.tables:
            what, right = f"the dictionary does not read {name}", f"it reads {', '.join(compiled.tables)}"
            return [file.problem((number, "table"), what, right)]
    for i, given in enumerate(example.given):
        try:
            compiled.update_lookups(row_change(compiled, given.table, given.row))
        except MappingError as error:
            return [file.problem((number, "given", i), f"cannot be looked into: {error}")]
    change = row_change(compiled, example.table, example.row, example.op, example.before)
    try:
        made = compiled.tables[example.table].map_change(change)
    except ColumnMissing as error:
        if example.rejects is not None and example.rejects in str(error):
            return []
        what = f"the row of the example lacks {', '.join(error.columns)}, which the dictionary requires"
        return [file.problem((number, "row"), what, "add it to the row, as null where it is empty")]
    except MappingError as error:
        if example.rejects is not None and example.rejects in str(error):
            return []
        right = f"the example expects {example.rejects!r}" if example.rejects else "the example expects it to pass"
        return [file.problem((number,), f"rejected: {error}", right)]
    if example.rejects is not None:
        right = f"the example expects a rejection with {example.rejects!r}"
        return [file.problem((number, "rejects"), "the row passes", right)]
    return list(_differences(compiled.system, example, made, file, number))


def _differences(system: str, example: Example, made: list[Mapped], file: YamlFile, number: int) -> Iterator[Problem]:
    """Each place in which the records that a row makes differ from those of its example."""
    unexpected = {(m.entity, m.key): m for m in made}
    for i, record in enumerate(example.records):
        path = (number, "records", i)
        mapped = unexpected.pop((record.entity, str(record.key)), None)
        if mapped is None:
            names = ", ".join(f"{m.entity} {m.key}" for m in made) or "nothing"
            yield file.problem(path, f"no {record.entity} {record.key} is made", f"the row makes {names}")
            continue
        if mapped.deleted != record.deleted:
            yield file.problem(path, f"deleted is {shown(mapped.deleted)}, not {shown(record.deleted)}")
        entity = entity_type(record.entity)
        if entity is not None and record.parent is not None and entity.parent is not None:
            if reference_id(str(record.parent), system, entity.parent) != mapped.parent:
                what, right = f"the parent is not {record.parent}", f"its id is {mapped.parent}"
                yield file.problem((*path, "parent"), what, right)
        if record.same_as is not None and reference_id(record.same_as, system, record.entity) != mapped.same_as:
            yield file.problem((*path, "same_as"), f"it is not the same as {record.same_as}")
        for difference in differences(mapped, record.fields, system):
            what, right = f"is {shown(difference.actual)}", f"the example expects {shown(difference.expected)}"
            yield file.problem((*path, "fields", difference.field), what, right)
    for entity_name, key in unexpected:
        yield file.problem((number,), f"makes {entity_name} {key} too", "list it under `records`")
