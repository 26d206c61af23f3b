"""What ALTER TABLE did to captured tables: seen by looking at the catalogue now and then, kept in the hub, told by `opshub status`.

In: a source and the columns that it had when it was last seen. Out: a `Note` for each column that was added, dropped, renamed or given
another type, with what becomes of it. A column is known by its number, so a rename is told from a drop and an add.
"""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg

from streams.errors import EnvironmentFault
from streams.hub.session import KEEPALIVE
from streams.mapping.compiled import CompiledTable
from streams.provision.systems import System
from streams.settings import Settings

Shape = dict[str, tuple[str, str]]
"""Number of a column, as text → (name, type)."""

_COLUMNS = """SELECT n.nspname || '.' || c.relname, a.attnum::text, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname = ANY(%s) AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped"""


class Note(msgspec.Struct, frozen=True):
    """One change of a table. kind: added, dropped, renamed or retyped."""

    table: str
    kind: str
    column: str
    what: str
    effect: str


def shapes(source: psycopg.Connection[Any], tables: list[str]) -> dict[str, Shape]:
    """The columns of these tables as they are now."""
    found: dict[str, Shape] = {}
    for table, number, name, kind in source.execute(_COLUMNS, [tables]):
        found.setdefault(table, {})[number] = (name, kind)
    return found


def changes(table: CompiledTable, before: Shape, now: Shape) -> list[Note]:
    """What became of one table."""
    notes: list[Note] = []

    def note(kind: str, column: str, what: str, effect: str) -> None:
        notes.append(Note(table.name, kind, column, what, effect))

    for number, (name, kind) in sorted(now.items(), key=lambda item: int(item[0])):
        if number not in before:
            effect = "the dictionary reads it" if name in table.columns else "not read: map it if it matters"
            note("added", name, f"{name} {kind} was added", effect)
            continue
        was, was_kind = before[number]
        if was != name:
            note("renamed", was, f"{was} is called {name} now", _lost(table, was))
        if was_kind != kind:
            read = was in table.columns
            effect = "values that fit its field pass, others are dead letters" if read else "not read: nothing changes"
            note("retyped", name, f"{name} was {was_kind} and is {kind} now", effect)
    for number, (name, kind) in sorted(before.items(), key=lambda item: int(item[0])):
        if number not in now:
            note("dropped", name, f"{name} {kind} was dropped", _lost(table, name))
    return notes


def _lost(table: CompiledTable, column: str) -> str:
    """What becomes of records when a column is no longer sent under its name."""
    if column not in table.columns:
        return "not read: nothing changes"
    if column in table.required:
        return "needed: the table's records wait as dead letters; mend the dictionary, then `opshub dlq retry`"
    return "its field keeps what it has; mend the dictionary"


def look(hub: psycopg.Connection[Any], source: psycopg.Connection[Any], system: System) -> list[Note]:
    """Compare a source with what it was when it was last seen, keep both what it is and what became of it."""
    now = shapes(source, list(system.dictionary.tables))
    known: dict[str, Shape] = dict(
        hub.execute("SELECT tbl, columns FROM source_shape WHERE system = %s", [system.name]).fetchall()
    )
    found: list[Note] = []
    for name, shape in now.items():
        before = {number: (column[0], column[1]) for number, column in known[name].items()} if name in known else shape
        if before == shape and name in known:
            continue
        notes = changes(system.dictionary.tables[name], before, shape)
        found += notes
        with hub.transaction():
            hub.execute(
                "INSERT INTO source_shape (system, tbl, columns) VALUES (%s, %s, %s)"
                " ON CONFLICT (system, tbl) DO UPDATE SET columns = excluded.columns, seen_at = now()",
                [system.name, name, msgspec.json.encode(shape).decode()],
            )
            for one in notes:
                hub.execute(
                    "INSERT INTO source_change (system, tbl, kind, what, effect) VALUES (%s, %s, %s, %s, %s)",
                    [system.name, one.table, one.kind, one.what, one.effect],
                )
    return found


def told(settings: Settings) -> list[dict[str, Any]]:
    """What became of captured tables in the last thirty days, the newest first: for `opshub status`."""
    try:
        with psycopg.connect(settings.hub, **KEEPALIVE) as hub:
            rows = hub.execute(
                "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), system, tbl, kind, what, effect"
                " FROM source_change WHERE at > now() - interval '30 days' ORDER BY id DESC LIMIT 50"
            ).fetchall()
    except psycopg.errors.UndefinedTable:
        return []
    except psycopg.Error as error:
        raise EnvironmentFault(
            f"the hub does not answer: {str(error).strip()}", remedy="`opshub up` starts it"
        ) from error
    names = ("at", "system", "table", "kind", "what", "effect")
    return [dict(zip(names, row, strict=True)) for row in rows]
