"""Make a hub large: copy its rows under new ids, which no topic and no system refers to.

In: a hub that workers have written to. Out: more rows of `entity` and `match_key`, with their indexes. Only for load
tests: the topics lack the copies, which `opshub verify` reports.
"""

from __future__ import annotations

import os
from typing import Any

import psycopg

from benchmarks.site import Say, Site

CHUNK = 500_000
"""Rows of one statement."""

COPIED = {
    "id": "md5(id::text || n)::uuid",
    "aggregate_id": "md5(aggregate_id::text || n)::uuid",
    "parent_id": "md5(parent_id::text || n)::uuid",
    "customer_ref": "md5(customer_ref::text || n)::uuid",
    "product_ref": "md5(product_ref::text || n)::uuid",
    "holder": "md5(holder::text || n)::uuid",
    "key": "key || '/' || n",
}
"""Column → expression for its copy; other columns are copied as they are."""


def fill(hub: psycopg.Connection[Any], rows: int, say: Say) -> int:
    """Copy until `entity` has about `rows` rows; returns their number. The connection must be in autocommit mode.

    Raises ValueError for an empty hub.
    """
    original = _value(hub, "SELECT count(*) FROM entity WHERE merged_into IS NULL")
    if not original:
        raise ValueError("the hub is empty: there is nothing to make copies of")
    copies = max(0, (rows - original) // original)
    hub.execute("SET synchronous_commit = off")
    for table, condition in (("entity", "merged_into IS NULL"), ("match_key", "true")):
        indexes = hub.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = %s AND indexname NOT IN "
            "(SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass)",
            [table, table],
        ).fetchall()
        columns = [row[0] for row in hub.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                                                 [table])]  # fmt: skip
        hub.execute(f"CREATE TEMP TABLE seed_{table} AS SELECT * FROM {table} WHERE {condition}".encode())
        for name, _ in indexes:
            hub.execute(f"DROP INDEX {name}".encode())
        step = max(1, CHUNK // original)
        values = ", ".join(COPIED.get(column, column) for column in columns)
        insert = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM seed_{table}"
        for first in range(1, copies + 1, step):
            last = min(copies, first + step - 1)
            # Numbers continue after the existing rows, so that a second fill makes other ids than the first.
            hub.execute(f"{insert}, generate_series({original + first}, {original + last}) n".encode())
            say(f"{table}: {last / copies:.0%} of {copies * original:,} further rows")
        for _, definition in indexes:
            hub.execute(definition.encode())
        hub.execute(f"DROP TABLE seed_{table}".encode())
        hub.execute(f"VACUUM ANALYZE {table}".encode())
    os.sync()  # else every commit of the measured run would wait for gigabytes that are not on disk yet
    return _value(hub, "SELECT count(*) FROM entity")


def fill_site(here: Site, rows: int, workers: int, say: Say) -> int:
    """Like `fill`, after `workers` have written all that the sources have into the site's hub."""
    here.start_workers(workers)
    here.drain()
    with here.hub() as hub:
        return fill(hub, rows, say)


def _value(hub: psycopg.Connection[Any], query: str) -> int:
    row = hub.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
