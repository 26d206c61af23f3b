"""Detects what ALTER TABLE did to captured tables: an added, dropped, renamed or retyped column.

In: the columns of a table at the last check (kept in the hub) and now. Out: a `TableChange` for each difference, with
what becomes of the records. `opshub status` shows them, the watcher logs them.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import psycopg

from streams.capture.binlog import shapes_of
from streams.capture.source_sql import SOURCE_SQL
from streams.hub.session import hub_session
from streams.hub.source_state import (
    Shape,
    TableChangeRow,
    add_table_change,
    load_shapes,
    recent_table_changes,
    save_shape,
)
from streams.mapping.compiled import CompiledTable
from streams.mariadb_session import MariadbSession, Source
from streams.named_sql import fetch_rows
from streams.provision.column_types import remember
from streams.provision.systems import System
from streams.settings import Settings


class TableChange(msgspec.Struct, frozen=True):
    """One change of a table. `what`: the change in words; `effect`: what becomes of the table's records."""

    table: str
    kind: Literal["added", "dropped", "renamed", "retyped"]
    column: str
    what: str
    effect: str


class _Column(msgspec.Struct, frozen=True):
    table: str
    number: str
    name: str
    type: str


def read_shapes(source: Source, tables: list[str]) -> dict[str, Shape]:
    """Table → its columns now. Raises psycopg.Error."""
    if isinstance(source, MariadbSession):
        return shapes_of(source, tables)
    shapes: dict[str, Shape] = {}
    for column in fetch_rows(source, _Column, SOURCE_SQL["table_columns"], {"tables": tables}):
        shapes.setdefault(column.table, {})[column.number] = (column.name, column.type)
    return shapes


def compare_shapes(table: CompiledTable, before: Shape, now: Shape) -> list[TableChange]:
    """What changed in one table. Columns are compared by number, so a rename is not a drop and an add."""
    changes: list[TableChange] = []
    for number, (name, kind) in _by_number(now):
        if number not in before:
            effect = "the dictionary reads it" if name in table.columns else "not read: map it if it matters"
            changes.append(TableChange(table.name, "added", name, f"{name} {kind} was added", effect))
            continue
        old_name, old_kind = before[number]
        if old_name != name:
            what = f"{old_name} is called {name} now"
            changes.append(TableChange(table.name, "renamed", old_name, what, _effect_of_loss(table, old_name)))
        if old_kind != kind:
            what = f"{name} was {old_kind} and is {kind} now"
            is_read = old_name in table.columns
            effect = (
                "values that still fit are accepted, the others become dead letters"
                if is_read
                else "not read: nothing changes"
            )
            changes.append(TableChange(table.name, "retyped", name, what, effect))
    for number, (name, kind) in _by_number(before):
        if number not in now:
            what = f"{name} {kind} was dropped"
            changes.append(TableChange(table.name, "dropped", name, what, _effect_of_loss(table, name)))
    return changes


def _by_number(shape: Shape) -> list[tuple[str, tuple[str, str]]]:
    # Postgres has numbers, as text; MariaDB has none, and columns stand under their names.
    return sorted(shape.items(), key=lambda column: (len(column[0]), column[0]))


def _effect_of_loss(table: CompiledTable, column: str) -> str:
    """What becomes of records when a column is no longer sent under its name."""
    if column not in table.columns:
        return "not read: nothing changes"
    if column in table.required:
        return "required: the table's records become dead letters; correct the dictionary, then `opshub dlq retry`"
    return "its field keeps the last value; correct the dictionary"


def record_table_changes(hub: psycopg.Connection[object], source: Source, system: System) -> list[TableChange]:
    """Compare the tables of a source with the last check; remember columns, types and changes in the hub."""
    remember(hub, source, system)
    known = load_shapes(hub, system.name)
    changes: list[TableChange] = []
    for name, shape in read_shapes(source, list(system.dictionary.tables)).items():
        if known.get(name) == shape:
            continue
        # A table that is seen for the first time has changed in nothing.
        table_changes = compare_shapes(system.dictionary.tables[name], known.get(name, shape), shape)
        # Together: a crash in between would either forget the change or report it twice.
        with hub.transaction():
            save_shape(hub, system.name, name, shape)
            for change in table_changes:
                add_table_change(
                    hub, system=system.name, table=name, kind=change.kind, what=change.what, effect=change.effect
                )
        changes += table_changes
    return changes


def recent_changes(settings: Settings) -> list[TableChangeRow]:
    """Changes of captured tables in the last thirty days, the newest first: for `opshub status`.

    Raises EnvironmentFault while the hub does not answer.
    """
    with hub_session(settings.hub) as hub:
        return recent_table_changes(hub)
