"""Begins a new epoch of a system: `opshub resync`. The only end of an alarm that changes may be missing.

In: a system whose changes may be missing, or that should be read again as a whole. Out: a new snapshot under a new
epoch.
Promised: what the source reports from then on counts as newer than all before, and what the snapshot does not bring
is deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from streams.capture.accounting import rebase_accounts
from streams.capture.captured_tables import TableFacts, read_tables
from streams.capture.pauses import refuse_paused
from streams.capture.source_sql import SOURCE_SQL
from streams.capture.table_gaps import record_of
from streams.errors import EnvironmentFault
from streams.hub.session import KEEPALIVE
from streams.hub.source_state import (
    add_epoch_start,
    add_epoch_sweep,
    begin_resync,
    end_resync,
    forget_tables,
    next_epoch,
    save_table,
)
from streams.hub.sources import forget_rows
from streams.kafka.clients import idempotent_producer
from streams.kafka.control import Control, send_control
from streams.kafka.offsets import committed_offsets, topic_offsets
from streams.model.partition import Partition
from streams.provision import connectors
from streams.provision.source_session import source_session
from streams.provision.systems import System, capture_dsn
from streams.settings import Settings
from streams.stack.environment import load_env


def begin_epoch(settings: Settings, system: System, dsn: str, *, sweep_after: float = 600.0) -> int:
    """Capture a system again as a whole; the number of the new epoch.

    (1) Stop the connector. (2) Remember where its raw topics end: later records belong to the new epoch. (3) Tell the
    workers by control records. (4) Delete the connector's offsets and its slot, so that it takes a whole snapshot.
    (5) Start it. After `sweep_after` seconds, by which the snapshot should be complete, what it did not bring is
    deleted; a row that comes later lives again.

    After a crash in between the connector may be left stopped, which the watcher reports (`connector-stopped`): run it
    once more, every step may be repeated.
    Raises EnvironmentFault when Connect or Kafka does not do its part, psycopg.Error for a database.
    """
    name = system.connector_name
    # First: a source that does not answer must not leave its connector stopped.
    with source_session(dsn) as source:
        tables = read_tables(source, system)
    with psycopg.connect(settings.hub, **KEEPALIVE) as hub:
        refuse_paused(hub, system.name)
        begin_resync(hub, system.name)
    connectors.stop(settings, name)
    _wait_until(lambda: connectors.status(settings, name)[0] == "STOPPED", f"the connector {name} did not stop")
    # Ends are read after the stop: what the connector writes last still belongs to the old epoch.
    ends = {partition: end for partition, (_, end) in topic_offsets(settings.kafka, system.topics).items()}
    epoch = _record_epoch(settings, system, tables, ends, sweep_after)
    producer = idempotent_producer(settings.kafka)
    send_control(producer, [(topic, partition, None) for topic, partition in ends], Control("epoch", (epoch, 0, 0)))
    if producer.flush(30):
        raise EnvironmentFault(
            f"Kafka at {settings.kafka} does not accept control records",
            remedy=f"start Kafka, then `opshub resync {system.name}` once more",
        )
    connectors.delete_offsets(settings, name)
    if system.dictionary.kind == "postgres":
        with source_session(dsn, may_write=True) as source:
            source.execute(SOURCE_SQL["drop_idle_slot"], {"slot": system.slot_name})
    connectors.resume(settings, name)
    with psycopg.connect(settings.hub, **KEEPALIVE) as hub:
        end_resync(hub, system.name)
    return epoch


def begin_whole(settings: Settings, system: System, *, sweep_after: float = 600.0) -> int:
    """As `begin_epoch`, for any system. A feed has no epochs: its next read is a whole one, everything is sent once
    more, and what is gone is deleted; then it is 0. Raises as `begin_epoch`.
    """
    if system.has_database:
        return begin_epoch(settings, system, capture_dsn(system, load_env(settings)), sweep_after=sweep_after)
    with psycopg.connect(settings.hub, **KEEPALIVE) as hub:
        refuse_paused(hub, system.name)
        forget_rows(hub, system.name)
    return 0


def _record_epoch(
    settings: Settings, system: System, tables: dict[str, TableFacts], ends: dict[Partition, int], sweep_after: float
) -> int:
    """One hub transaction: the next epoch, where it starts in each partition, what is to be swept later, and the tables
    that the snapshot reads, so that none of them counts as incomplete.
    """
    offsets = committed_offsets(settings.kafka, f"{settings.app_id}-ingest")
    with psycopg.connect(settings.hub, **KEEPALIVE) as hub:
        rebase_accounts(hub, offsets, system.topics)
        epoch = next_epoch(hub, system.name)
        for partition, end in ends.items():
            add_epoch_start(hub, partition, end, epoch)
        for topic in system.topics:
            add_epoch_sweep(hub, topic, epoch, sweep_after)
        forget_tables(hub, system.name)
        for table in tables.values():
            save_table(hub, system.name, table.name, record_of(table))
    return epoch


def _wait_until(condition: Callable[[], bool], failure: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise EnvironmentFault(failure, remedy="see the log of Kafka Connect")
        time.sleep(0.2)
