"""Re-snapshots rows of a source: after the dictionary or a code table changed, or after changes of a table were missed.

In: a system, tables and a condition. Out: a row in the connector's signal table; Debezium then reads these rows while
it goes on streaming (an incremental snapshot). They come with operation `r` at the present position, so they correct
records and create no intent. `streams/verify/gone_records.py` finds what the rows that are there cannot bring out.

Debezium leaves tables out of an incremental snapshot with no more than a line in its log, so they are refused here.
"""

from __future__ import annotations

import json
import re
import time
import uuid

import msgspec
import psycopg
from confluent_kafka import KafkaException
from psycopg import sql

from streams.capture.captured_tables import (
    Publication,
    TableFacts,
    judge_publication,
    judge_table,
    quoted,
    read_publication,
    read_tables,
)
from streams.capture.connector_config import is_column_excluded
from streams.capture.table_gaps import record_of
from streams.errors import ConfigError, EnvironmentFault
from streams.hub.session import KEEPALIVE
from streams.hub.source_state import load_tables, save_table
from streams.hub.systems import add_table_snapshot
from streams.kafka.clients import kafka_away
from streams.kafka.offsets import topic_offsets
from streams.mariadb_session import MariadbSession, Source, backticked
from streams.named_sql import fetch_rows
from streams.provision import connectors
from streams.provision.source_session import source_fault, source_session
from streams.provision.systems import System
from streams.settings import Settings

COUNT_S = 600.0
"""What counting the rows of a table may take."""

RESTART_S = 60.0
"""What the restart of a connector's task may take."""


class _Count(msgspec.Struct, frozen=True):
    rows: int


def request_snapshot(
    settings: Settings,
    system: System,
    dsn: str,
    tables: list[str],
    where: str | None = None,
    *,
    who: str = "",
) -> dict[str, int]:
    """Ask for the rows of these tables that meet `where`; table → how many they are now. Without `where` nothing of a
    table is missing from then on (`table_gaps.py`). The hub remembers the request (`snapshot_progress.py`).

    Raises ConfigError when the system has no signal table, a table is not in the dictionary or cannot be read so, or
    `where` is no condition; EnvironmentFault when the database does not answer or a table is not captured.
    """
    signals = check_snapshot(system, dsn, tables)
    counts: dict[str, int] = {}
    ends = topic_ends(settings, [system.topic(table) for table in tables])
    try:
        with source_session(dsn, statement_s=COUNT_S, may_write=True) as source:
            facts = read_tables(source, system)
            for table in tables:
                counts[table] = _count(source, table, where)
            if isinstance(source, MariadbSession):
                _renew_sessions(settings, system)
            for table in tables:
                send_signal(source, signals, "execute-snapshot", signal_of(system, facts[table], where))
        with psycopg.connect(settings.hub, **KEEPALIVE) as hub:
            # Before the first look at a system's tables there is no gap to close, and one table alone would make all
            # others look as if they had been added later.
            knows_tables = bool(load_tables(hub, system.name))
            for table in tables:
                end = ends.get(system.topic(table), 0)
                add_table_snapshot(
                    hub, system=system.name, table=table, condition=where, rows=counts[table], ends=end, who=who
                )
                if where is None and knows_tables:
                    # It is read as it is now, so nothing of it is missing.
                    save_table(hub, system.name, table, record_of(facts[table]))
    except psycopg.Error as error:
        raise source_fault(error, f"the snapshot of {system.name} cannot be requested") from error
    return counts


def check_snapshot(system: System, dsn: str, tables: list[str]) -> str:
    """The signal table of a system that may be asked for these tables. Raises ConfigError for one that may not, or that
    Debezium would skip; EnvironmentFault for one whose changes do not come, or when the database does not answer.
    """
    signals = _check_names(system, tables)
    try:
        with source_session(dsn) as source:
            _check_tables(source, system, tables)
    except psycopg.Error as error:
        raise source_fault(error, f"the snapshot of {system.name} cannot be requested") from error
    return signals


def signal_of(system: System, facts: TableFacts, where: str | None) -> dict[str, object]:
    """What the signal table gets: read the rows of a table that meet `where`."""
    # Quoted, so that blanks and capitals count: as a regular expression, which is tried first, it matches no table.
    # The connector of MariaDB knows regular expressions only.
    is_postgres = system.dictionary.kind == "postgres"
    name = quoted(facts.name) if is_postgres else re.escape(facts.name)
    signal: dict[str, object] = {"data-collections": [name], "type": "incremental"}
    if where is not None:
        signal["additional-conditions"] = [
            {"data-collection": re.escape(name) if is_postgres else name, "filter": where}
        ]
    if not facts.primary_key:
        signal["surrogate-key"] = system.dictionary.tables[facts.name].key_columns[0]
    return signal


def send_signal(source: Source, signals: str, kind: str, signal: dict[str, object]) -> None:
    """Add a row to the signal table. Raises psycopg.Error."""
    values = [str(uuid.uuid4()), kind, json.dumps(signal)]
    if isinstance(source, MariadbSession):
        source.execute(f"INSERT INTO {backticked(signals)} (id, type, data) VALUES (%s, %s, %s)", values)
    else:
        source.execute(
            sql.SQL("INSERT INTO {} (id, type, data) VALUES (%s, %s, %s)").format(_identifier(signals)), values
        )


def _renew_sessions(settings: Settings, system: System) -> None:
    """Let the connector stop and go on. Debezium 3.5 reads the rows of a snapshot over a session that it opened at its
    start; when the server has closed that (wait_timeout), the signal is lost without a word (dbz#2275). It is lost,
    too, when the connector restarts while it works on it: so the signal is sent once it runs again.
    """
    name = system.connector_name
    if connectors.status(settings, name)[0] != "RUNNING":
        return  # it opens new sessions when it starts
    connectors.stop(settings, name)
    _wait_for_state(settings, name, "STOPPED")
    connectors.resume(settings, name)
    _wait_for_state(settings, name, "RUNNING")


def _wait_for_state(settings: Settings, name: str, state: str) -> None:
    deadline = time.monotonic() + RESTART_S
    while connectors.status(settings, name)[0] != state:
        if time.monotonic() > deadline:
            raise EnvironmentFault(
                f"the connector {name} is not {state} after {RESTART_S:g} s",
                remedy=f"see the log of Kafka Connect; `opshub systems resume {name}` starts it",
            )
        time.sleep(0.2)


def _count(source: Source, table: str, where: str | None) -> int:
    # `where` is an operator's own SQL, as Debezium's filter is; the count also shows whether it is valid.
    try:
        if isinstance(source, MariadbSession):
            # `rows` is a word of MariaDB.
            counted = source.rows(f"SELECT count(*) AS counted FROM {backticked(table)} WHERE {where or 'true'}")
            return int(counted[0]["counted"])
        condition = sql.SQL(where) if where is not None else sql.SQL("true")
        query = sql.SQL("SELECT count(*) AS rows FROM {} WHERE {}").format(_identifier(table), condition)
        (count,) = fetch_rows(source, _Count, query)
    except (psycopg.errors.SyntaxError, psycopg.errors.UndefinedColumn, psycopg.errors.DataError) as error:
        raise ConfigError(
            f"--where {where!r}: {str(error).strip()}", remedy="give an SQL condition on the columns of that table"
        ) from error
    return count.rows


def _check_tables(source: Source, system: System, tables: list[str]) -> None:
    """Refuse tables of which rows that are read now would not stay right, or that Debezium does not read."""
    publication, facts = read_publication(source, system), read_tables(source, system)
    for name in tables:
        table = system.dictionary.tables[name]
        wrong = judge_publication(system, publication) + judge_table(system, table, facts.get(name), publication)
        for finding in wrong:
            if finding.severe and finding.code != "publication-all":
                raise EnvironmentFault(f"{finding.where}: {finding.what}", remedy=f"first {finding.remedy}")
        _refuse_unreadable(system, facts[name], publication)
        if not facts[name].primary_key and len(table.key_columns) > 1:
            raise ConfigError(
                f"{name} has no primary key, and Debezium can read such a table in pieces by one column only",
                remedy=f"`opshub resync {system.name}`: it reads the whole system again",
            )


def _refuse_unreadable(system: System, facts: TableFacts, publication: Publication | None) -> None:
    """ConfigError for a table with generated columns. Debezium 3.7 takes such a column for one that the snapshot does
    not have and skips the table; where changes bring it, the next change after the snapshot ends the connector's task.
    """
    generated = [column.name for column in facts.columns if column.generated]
    left = [column for column in generated if not is_column_excluded(system, facts.name, column)]
    if generated and publication is not None and publication.has_generated:
        raise ConfigError(
            f"{facts.name} has generated columns that are published: reading it in pieces would end the connector",
            remedy=f"`opshub resync {system.name}`: it reads the whole system again",
        )
    if left:
        listed = ",".join(re.escape(f"{facts.name}.{column}") for column in left)
        raise ConfigError(
            f"{facts.name} has generated columns ({', '.join(left)}): Debezium would skip the table",
            remedy=f'set "column.exclude.list": {json.dumps(listed)} in source.json and run `opshub apply`; or '
            f"`opshub resync {system.name}`",
        )


def cancel_snapshot(system: System, dsn: str, table: str) -> None:
    """Ask Debezium to end the snapshot of a table: chunks that it has read stay. Raises as `request_snapshot`."""
    signals = _check_names(system, [table])
    # Here a name is a regular expression, unlike in the request.
    name = f"{re.escape(table)}|{re.escape(quoted(table))}"
    try:
        with source_session(dsn, may_write=True) as source:
            send_signal(source, signals, "stop-snapshot", {"data-collections": [name], "type": "incremental"})
    except psycopg.Error as error:
        raise source_fault(error, f"the snapshot of {table} cannot be cancelled") from error


def topic_ends(settings: Settings, topics: list[str]) -> dict[str, int]:
    """Raw topic → the sum of the ends of its partitions. Raises EnvironmentFault while no broker answers."""
    ends: dict[str, int] = {}
    try:
        for (topic, _), (_, end) in topic_offsets(settings.kafka, topics).items():
            ends[topic] = ends.get(topic, 0) + end
    except KafkaException as error:
        raise kafka_away(settings.kafka, error) from error
    return ends


def _check_names(system: System, tables: list[str]) -> str:
    """The signal table of a system that may be asked for these tables."""
    signals = system.config.get("signal.data.collection")
    if not system.has_database or not signals:
        raise ConfigError(
            f"{system.name} has no signal table, through which its connector could be asked for a snapshot",
            remedy='set "signal.data.collection" in source.json, or `opshub resync` the whole system',
        )
    for table in tables:
        if table not in system.dictionary.tables:
            raise ConfigError(
                f"the dictionary of {system.name} reads no table {table}",
                remedy=f"use one of {', '.join(sorted(system.dictionary.tables))}",
            )
    return str(signals)


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split(".", 1))
