"""Fill an empty hub with a company of a million customers and two million order flows, in the forms of the pipeline.

In: a hub with all tables and no records. Out: rows of `entity`, `intent`, `conflict`, `dead_letter` and `audit`, with
statistics. Only for load tests: no topic has these records.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from benchmarks.site import Say
from streams.named_sql import load_statements

SQL = load_statements(Path(__file__).with_name("sql"))
CHUNK = 100_000
"""Numbers of one statement."""


class Size(msgspec.Struct, frozen=True):
    """How large the company is."""

    customers: int = 1_000_000
    flows: int = 2_000_000
    products: int = 20_000
    dead_letters: int = 20_000
    audit: int = 100_000


def fill(hub: psycopg.Connection[Any], size: Size, say: Say) -> dict[str, int]:
    """Fill; rows by table. The connection must be in autocommit mode. Indexes are dropped and made again at the end."""
    now_us = int(time.time() * 1e6)
    hub.execute("SET synchronous_commit = off")
    hub.execute("SET jit = off")
    indexes = _drop_indexes(hub)
    # Readers need no log of what was written: it would be as large as the tables.
    hub.execute("ALTER TABLE entity SET UNLOGGED")
    steps = (
        ("fill_customers", size.customers), ("fill_contacts", size.customers), ("fill_products", size.products),
        ("fill_flows", size.flows), ("fill_documents", size.flows), ("fill_intents", size.flows),
        ("fill_conflicts", size.customers), ("fill_dead_letters", size.dead_letters), ("fill_audit", size.audit),
    )  # fmt: skip
    for name, count in steps:
        for first in range(1, count + 1, CHUNK):
            last = min(count, first + CHUNK - 1)
            parameters = {
                "first": first, "last": last, "customers": size.customers, "products": size.products, "now_us": now_us,
            }  # fmt: skip
            hub.execute(SQL[name], parameters)
            say(f"{name}: {last:,} of {count:,}")
    hub.execute("SET maintenance_work_mem = '1GB'")
    for definition in indexes:
        say(definition.split(" USING")[0])
        hub.execute(definition.encode())
    hub.execute("VACUUM ANALYZE")
    tables = ("entity", "intent", "conflict", "dead_letter", "audit")
    return {table: _value(hub, f"SELECT count(*) FROM {table}") for table in tables}


def _drop_indexes(hub: psycopg.Connection[Any]) -> list[str]:
    """Drop all indexes of `entity` but its key; their definitions."""
    rows = hub.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'entity' "
        "AND indexname <> 'entity_pkey'"
    ).fetchall()
    for name, _ in rows:
        hub.execute(f"DROP INDEX {name}".encode())
    return [str(definition) for _, definition in rows]


def _value(hub: psycopg.Connection[Any], query: str) -> int:
    row = hub.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
