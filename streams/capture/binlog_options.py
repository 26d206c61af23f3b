"""What opshub asks of the options of Debezium's MariaDB and MySQL connectors, each with its reason.

Defaults are those of BinlogConnectorConfig and HistorizedRelationalDatabaseConnectorConfig of Debezium 3.5.
"""

from __future__ import annotations

from streams.capture.connector_options import FORM, LOST, RequiredOption, one_of

CLASSES = {
    "mariadb": "io.debezium.connector.mariadb.MariaDbConnector",
    "mysql": "io.debezium.connector.mysql.MySqlConnector",
}
"""`kind` of a dictionary → the class of its connector."""


def required_for(kind: str) -> tuple[RequiredOption, ...]:
    """What is required of the connector of a kind of database with a binlog."""
    own = (
        # Its driver reads a YEAR as a date and fails at YEAR 0000, which a table of such a column may hold.
        (one_of("driver.yearIsDateType", "true", "false", "a snapshot of a table with a YEAR would fail"),)
        if kind == "mariadb"
        else ()
    )
    return (one_of("connector.class", None, CLASSES[kind], f"it is not for {kind}"), *own, *_REQUIRED)


_REQUIRED = (
    one_of("tasks.max", "1", "1", "a binlog has one reader"),
    one_of("time.precision.mode", "adaptive_time_microseconds", "microseconds", FORM),
    one_of("bigint.unsigned.handling.mode", "long", "long", FORM),
    one_of(
        "enable.time.adjuster",
        "true",
        "false",
        "a date of the year 24 would become one of 2024: years would be changed without a word",
    ),
    one_of(
        "inconsistent.schema.handling.mode", "fail", "fail", "rows of a table that Debezium does not know are skipped"
    ),
    one_of("binlog.buffer.size", "0", "0", "a transaction that is larger than the buffer could be lost (dbz#2470)"),
    one_of("gtid.source.filter.dml.events", "true", "true", LOST),
    one_of(
        "snapshot.mode", "initial", "initial|recovery", "rows that exist already would be missing, or come too often"
    ),
    one_of("snapshot.locking.mode", "minimal", "minimal|extended", "a snapshot would mix rows of different moments"),
    one_of("snapshot.query.mode", "select_all", "select_all", "a snapshot could leave rows out"),
    one_of("incremental.snapshot.allow.schema.changes", "false", "false", "a changed key would mix up rows"),
    one_of("read.only", "false", "false", "`opshub resync --table` asks by the signal table, which is not read then"),
    RequiredOption(
        "signal.enabled.channels",
        "source",
        r"(.*,)?\s*source\s*(,.*)?",
        "source",
        "`opshub resync --table` asks by the signal table, which is not read then",
    ),
    RequiredOption(
        "database.server.id",
        None,
        r"0*[1-9]\d{0,9}",
        "a number that no other server or connector of this database has",
        "the server ends the session of one of two readers with the same number",
    ),
    RequiredOption(
        "schema.history.internal.kafka.topic",
        None,
        r"\S+",
        "schema-history.<system>",
        "without the history of the tables' definitions old changes cannot be read",
    ),
    one_of(
        "schema.history.internal",
        "io.debezium.storage.kafka.history.KafkaSchemaHistory",
        "io.debezium.storage.kafka.history.KafkaSchemaHistory",
        "the history must outlive the worker of Kafka Connect",
    ),
    RequiredOption(
        "heartbeat.action.query",
        None,
        r"insert\s+into\s+(\w+\.)?opshub_heartbeat\b.*",
        "INSERT INTO <database>.opshub_heartbeat …, as opshub writes it by default",
        "nothing would show that the connector of a quiet database is stalled",
    ),
)
