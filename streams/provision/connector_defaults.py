"""The options of a Debezium connector that source.json need not write: ours, the same for every system of one engine.

In: what source.json says, the system's name, its engine and the tables that its dictionary reads. Out: the whole
configuration, as Kafka Connect gets it. What source.json says wins; a value null in it takes a default out. The reasons
for the options that opshub depends on are in `streams/capture/connector_options.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict
from zlib import crc32

from streams.errors import ConfigError

JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"

_EVERY_ENGINE: dict[str, str] = {
    "tasks.max": "1",
    "snapshot.mode": "initial",
    "snapshot.fetch.size": "10000",
    "incremental.snapshot.chunk.size": "4096",
    "signal.enabled.channels": "source",
    "heartbeat.interval.ms": "10000",
    "topic.heartbeat.prefix": "opshub.heartbeat",
    "provide.transaction.metadata": "false",
    "skipped.operations": "none",
    "tombstones.on.delete": "true",
    # The form of values that `streams/decode` and `streams/mapping` read.
    "decimal.handling.mode": "string",
    "time.precision.mode": "microseconds",
    "binary.handling.mode": "base64",
    "key.converter": JSON_CONVERTER,
    "key.converter.schemas.enable": "false",
    "value.converter": JSON_CONVERTER,
    "value.converter.schemas.enable": "false",
    "value.converter.replace.null.with.default": "false",
    # 20 ms in place of Debezium's 500: half a second is most of what a change would take.
    "poll.interval.ms": "20",
    "max.batch.size": "4096",
    "max.queue.size": "16384",
    "max.queue.size.in.bytes": "67108864",
    "errors.tolerance": "none",
    "errors.max.retries": "-1",
    "event.processing.failure.handling.mode": "fail",
    "event.converting.failure.handling.mode": "fail",
    "retriable.restart.connector.wait.ms": "2000",
    "producer.override.linger.ms": "2",
    "producer.override.batch.size": "262144",
    "producer.override.compression.type": "lz4",
    "topic.creation.default.partitions": "4",
    "topic.creation.default.replication.factor": "-1",
    "topic.creation.default.compression.type": "lz4",
}

_BINLOG: dict[str, str] = {
    "database.server.id": "{number}",
    "database.include.list": "{databases}",
    "bigint.unsigned.handling.mode": "long",
    "enable.time.adjuster": "false",
    "include.schema.changes": "false",
    "schema.history.internal.kafka.topic": "schema-history.{system}",
    "schema.history.internal.kafka.bootstrap.servers": "${env:OPSHUB_BOOTSTRAP_SERVERS}",
    "schema.history.internal.store.only.captured.tables.ddl": "true",
    "signal.data.collection": "{database}.opshub_signal",
    "heartbeat.action.query": "INSERT INTO {database}.opshub_heartbeat (id, beat_at) VALUES (1, utc_timestamp(6)) "
    "ON DUPLICATE KEY UPDATE beat_at = utc_timestamp(6)",
}
"""For MariaDB and MySQL, whose changes come from the binlog of a server."""

_ENGINES: dict[str, dict[str, str]] = {
    "postgres": {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "plugin.name": "pgoutput",
        "database.tcpKeepAlive": "true",
        "slot.name": "opshub_{slug}",
        "slot.drop.on.stop": "false",
        "offset.mismatch.strategy": "trust_offset",
        "publication.name": "opshub_{slug}",
        "publication.autocreate.mode": "disabled",
        "signal.data.collection": "public.opshub_signal",
        "heartbeat.action.query": "INSERT INTO public.opshub_heartbeat (id, beat_at) VALUES (1, now()) "
        "ON CONFLICT (id) DO UPDATE SET beat_at = EXCLUDED.beat_at",
        "interval.handling.mode": "string",
        "hstore.handling.mode": "json",
    },
    "mariadb": {
        "connector.class": "io.debezium.connector.mariadb.MariaDbConnector",
        # Its driver would read a YEAR as a date, and fail at YEAR 0000.
        "driver.yearIsDateType": "false",
        # The session that reads the rows of a snapshot lies idle until one is asked for. If the server closes it (after
        # eight hours, by default), the signal is lost without a word.
        "driver.sessionVariables": "wait_timeout=31536000",
        **_BINLOG,
    },
    "mysql": {"connector.class": "io.debezium.connector.mysql.MySqlConnector", **_BINLOG},
}
"""Engine (`kind` of a dictionary) → its options. `{slug}` is the system's name with underscores, `{system}` the name,
`{number}` a number of its own, `{database}` the database of its first table, `{databases}` those of all.
"""


class ConnectorFile(TypedDict):
    """A Debezium connector as Kafka Connect takes it."""

    name: str
    config: dict[str, Any]


def complete_source(source: Mapping[str, Any], system: str, kind: str, tables: Iterable[str]) -> ConnectorFile:
    """The whole connector of a system: what its source.json says, and our defaults for everything else."""
    listed = list(tables)
    databases = sorted({table.split(".", 1)[0] for table in listed})
    values = {
        "{slug}": system.replace("-", "_"),
        "{system}": system,
        # The same on every machine. It must differ from those of the database's replicas, which are small by custom.
        "{number}": str(1_000_000 + crc32(system.encode()) % 1_000_000_000),
        "{database}": listed[0].split(".", 1)[0] if listed else system,
        "{databases}": table_list(databases),
    }
    options = {
        "topic.prefix": f"raw.{system}",
        **_EVERY_ENGINE,
        **{name: _filled(value, values) for name, value in _ENGINES.get(kind, {}).items()},
        "table.include.list": table_list(listed),
    }
    written = source.get("config", {})
    merged = {name: value for name, value in {**options, **written}.items() if value is not None}
    return {"name": str(source.get("name", system)), "config": merged}


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def table_list(tables: Iterable[str]) -> str:
    """Tables as Debezium's lists have them: regular expressions, separated by commas."""
    return ",".join(re.escape(table).replace(",", r"\,") if re.search(r"[^\w.]", table) else table for table in tables)


def parse_source(text: str, file: str) -> dict[str, Any]:
    """What a source.json says. Raises ConfigError with `file` and line."""
    try:
        source = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{file}, line {error.lineno}: {error.msg}", remedy="correct the JSON") from error
    example = 'write {"config": {"database.hostname": …}}, as in connectors/demo-crm/source.json'
    if not isinstance(source, dict) or not isinstance(source.get("config", {}), dict):
        raise ConfigError(f"{file}: it is no object with an object `config`", remedy=example)
    unknown = sorted(source.keys() - {"name", "config", "sync"})
    if unknown:
        raise ConfigError(f"{file}: it has no word {unknown[0]!r}", remedy=example)
    if not isinstance(source.get("name", ""), str):
        raise ConfigError(f"{file}: `name` is no text", remedy="leave it out: the folder's name is taken")
    return source
