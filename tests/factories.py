"""Test records, made in one place: changes as ingest emits them, entities of an aggregate, dictionaries and rows
through them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import UNSET

from streams.dictionary.compile.compiler import compile_dictionary, compile_with_warnings
from streams.dictionary.language.dictionary import Dictionary
from streams.dictionary.language.read import parse_dictionary
from streams.dictionary.problems import DictionaryError, Problem
from streams.dictionary.yaml_lines import YamlFile, parse_yaml
from streams.mapping.compiled import CompiledDictionary
from streams.model.change import Change, ChangeOp, Mapped, Op, Position, RowChange
from streams.model.ids import source_id
from streams.model.state import Contribution, EntityState

FILE = Path("connectors/test/dictionary.yaml")


# -- changes and entities


def changed(
    system: str,
    entity: str,
    key: str,
    at: int,
    *,
    op: ChangeOp = "u",
    source_us: int | None = None,
    tx: str | None = None,
    origin: str | None = None,
    parent: str | None = None,
    same_as: str | None = None,
    deleted: bool = False,
    **fields: Any,
) -> Change:
    """A change of the row `key` at position `at`. Its source time is `at` microseconds, unless `source_us` differs."""
    return Change(
        "change", entity, source_id(system, entity, key), system, key, op, 0, at, 0, at if source_us is None else source_us,
        tx, origin, parent, same_as, deleted=deleted, fields=fields,
    )  # fmt: skip


def member(
    entity: str,
    key: str,
    parent: str | None = None,
    *,
    changed_us: int | None = None,
    updated_us: int = 0,
    **record: Any,
) -> EntityState:
    """An entity of an aggregate with this golden record. With `changed_us`, the ERP has contributed at that time."""
    contributions = {} if changed_us is None else {key: Contribution("erp", key, 0, 1, 0, changed_us, False, None)}
    return EntityState(
        key, entity, parent=parent, version=1, updated_us=updated_us, record=record, contributions=contributions
    )


# -- dictionaries and rows


def parsed(text: str) -> Dictionary:
    """The dictionary of a YAML text."""
    data, lines = parse_yaml(text, FILE)
    return parse_dictionary(data, YamlFile(FILE, lines))


def compiled(text: str) -> CompiledDictionary:
    """The compiled dictionary of a YAML text."""
    return compile_dictionary(parsed(text))


def warnings(text: str) -> list[Problem]:
    """What is allowed in it but looks like a mistake."""
    return compile_with_warnings(parsed(text)).warnings


def problems(text: str) -> list[Problem]:
    """What is wrong with it."""
    try:
        compiled(text)
    except DictionaryError as error:
        return error.problems
    return []


def one_table(to: str, *, table: str = "", top: str = "") -> str:
    """A dictionary of one table `public.t` with the key `id`; `to` is its list of records, indented by nothing."""
    body = "\n".join("      " + line for line in to.strip("\n").split("\n"))
    extra = "".join(f"    {line}\n" for line in table.strip("\n").split("\n") if line)
    return f"system: test\n{top}tables:\n  public.t:\n    key: id\n{extra}    to:\n{body}\n"


def field(entity: str, name: str, rule: str, *, top: str = "") -> str:
    """A dictionary that maps one field, beside those that the entity needs."""
    needed = {"customer": "name: id", "product": "sku: id", "inventory_level": "warehouse: id"}.get(entity)
    parent = ", parent: id" if entity.endswith("_line") else ""
    more = f"{needed}, " if needed and not needed.startswith(f"{name}:") else ""
    return one_table(f"- {{entity: {entity}{parent}, fields: {{{more}{name}: {rule}}}}}", top=top)


def change(
    dictionary: CompiledDictionary,
    row: dict[str, Any] | None,
    *,
    op: Op = "c",
    before: dict[str, Any] | None = None,
    table: str = "public.t",
    key: dict[str, Any] | None = None,
    position: tuple[int, int, int] = (0, 1, 1),
    message_key: bytes | None = None,
) -> RowChange:
    """A row change of columns by name."""
    made = dictionary.tables[table]

    def struct(kind: Any, values: dict[str, Any] | None) -> Any:
        if values is None:
            return None
        return kind(
            **{
                made.attribute(c): values.get(c, UNSET)
                for c in (made.columns if kind is made.row_type else made.key_columns)
            }
        )

    return RowChange(
        dictionary.system, table, op, struct(made.key_type, key if key is not None else row or before),
        struct(made.row_type, before), struct(made.row_type, row), Position(*position), 0, None, None, message_key,
    )  # fmt: skip


def mapped(dictionary: CompiledDictionary | str, row: dict[str, Any] | None, **options: Any) -> list[Mapped]:
    """What one row change makes."""
    known = compiled(dictionary) if isinstance(dictionary, str) else dictionary
    it = change(known, row, **options)
    return known.tables[it.table].map_change(it)


def value(entity: str, name: str, rule: str, given: Any, *, top: str = "", **columns: Any) -> Any:
    """What a rule makes of the value of column `v`."""
    return mapped(field(entity, name, rule, top=top), {"id": "k", "v": given, **columns})[0].fields[name]
