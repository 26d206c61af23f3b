"""Reads the rows of tables once more: what no row makes any more leaves the hub, then Debezium reads the rows.

For `opshub resync --table` and the console.
"""

from __future__ import annotations

from collections import Counter

import msgspec
import psycopg

from streams.capture.incremental_snapshot import check_snapshot, request_snapshot
from streams.emit.change_codec import encode_change
from streams.errors import EnvironmentFault, ServerAway
from streams.hub.session import KEEPALIVE
from streams.kafka.clients import idempotent_producer
from streams.provision.column_types import with_types
from streams.provision.systems import System
from streams.settings import Settings
from streams.verify.gone_records import Gone, deletes, gone_records


class ReadAgain(msgspec.Struct, frozen=True):
    """What was asked for. `gone`: entity → records that leave the hub; `rows`: table → rows that are read."""

    gone: dict[str, int]
    rows: dict[str, int]


def read_again(
    settings: Settings, system: System, dsn: str, tables: list[str], where: str | None, *, who: str
) -> ReadAgain:
    """Have the rows of these tables read that meet `where`. Without it, records that no row makes any more are deleted.

    Raises ConfigError and EnvironmentFault as `request_snapshot` does.
    """
    gone: list[Gone] = []
    if where is None:
        # First: nothing is deleted for the sake of a table that cannot be read again.
        check_snapshot(system, dsn, tables)
        gone = _delete_gone(settings, system, dsn, tables)
    rows = request_snapshot(settings, system, dsn, tables, where, who=who)
    return ReadAgain(dict(sorted(Counter(record.entity for record in gone).items())), rows)


def _delete_gone(settings: Settings, system: System, dsn: str, tables: list[str]) -> list[Gone]:
    (typed,), _ = with_types(settings, [system])  # as a worker maps, or a row would seem to make nothing
    try:
        with psycopg.connect(settings.hub, autocommit=True, **KEEPALIVE) as hub:
            gone = gone_records(hub, typed, dsn, tables)
    except psycopg.OperationalError as error:
        raise ServerAway(
            f"the hub does not answer: {str(error).strip()}", remedy="check that the server runs, and OPSHUB_HUB_DSN"
        ) from error
    errors: list[str] = []
    producer = idempotent_producer(settings.kafka)
    for topic, key, change in deletes(gone, typed.name):
        producer.produce(
            topic,
            encode_change(change),
            key.encode(),
            on_delivery=lambda error, _: errors.append(str(error)) if error else None,
        )
    if producer.flush(30) or errors:
        reason = errors[0] if errors else "no answer in 30 s"
        raise EnvironmentFault(f"Kafka did not take the deletes: {reason}", remedy="`opshub status` shows the servers")
    return gone
