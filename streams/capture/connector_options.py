"""What opshub asks of the options of a Debezium connector, each with its reason: one table, checked before capture.

A value is compared with what applies: that of source.json, or else the default of Debezium 3.7 or Kafka Connect 4.3.
Options that turn trouble into silence (a value that cannot be converted becomes null), that leave rows or columns out,
or that change the form of values are required or refused. For Postgres, an option that is in none of the
tables is refused too: it may be mistyped, and Connect ignores what it does not know.

Defaults are those of CommonConnectorConfig, RelationalDatabaseConnectorConfig and PostgresConnectorConfig of Debezium,
and of SourceConnectorConfig and JsonConverterConfig of Kafka.
"""

from __future__ import annotations

import re

import msgspec

JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
FORM = "values would not come in the form that the dictionary reads"
LOST = "changes would be missing without an error"


class RequiredOption(msgspec.Struct, frozen=True):
    """An option whose value opshub depends on."""

    name: str
    default: str | None
    """What applies where source.json does not set it; None: nothing."""
    accepted: str
    """A regular expression for the values that opshub accepts, upper and lower case alike."""
    value: str
    """What to set."""
    why: str
    """What another value would do."""

    def accepts(self, value: str) -> bool:
        """Whether opshub works with this value."""
        return re.fullmatch(self.accepted, value.strip(), re.IGNORECASE | re.DOTALL) is not None


class RefusedOptions(msgspec.Struct, frozen=True):
    """Options that may not be set at all."""

    names: str
    """A regular expression for their names."""
    why: str

    def names_option(self, name: str) -> bool:
        """Whether `name` is one of them."""
        return re.fullmatch(self.names, name) is not None


def one_of(name: str, default: str | None, values: str, why: str) -> RequiredOption:
    """`values`: the accepted ones, separated by `|`; the first is what the remedy names."""
    return RequiredOption(name, default, "|".join(map(re.escape, values.split("|"))), values.split("|")[0], why)


REQUIRED = (
    # What cannot be converted, read or written must stop the connector: `opshub status` shows a failed task.
    one_of(
        "event.converting.failure.handling.mode",
        "warn",
        "fail",
        "a value that Debezium cannot convert would become null",
    ),
    one_of("event.processing.failure.handling.mode", "fail", "fail", "an event that Debezium cannot read is skipped"),
    one_of("errors.tolerance", "none", "none", "Connect would skip records that it cannot convert"),
    # The form of records.
    one_of("key.converter", None, JSON_CONVERTER, FORM),
    one_of("value.converter", None, JSON_CONVERTER, FORM),
    one_of("key.converter.schemas.enable", "true", "false", FORM),
    one_of("value.converter.schemas.enable", "true", "false", FORM),
    one_of(
        "value.converter.replace.null.with.default",
        "true",
        "false",
        "a null in a column that has a DEFAULT would arrive as that default (KIP-581)",
    ),
    one_of(
        "topic.naming.strategy",
        "io.debezium.schema.SchemaTopicNamingStrategy",
        "io.debezium.schema.SchemaTopicNamingStrategy|io.debezium.schema.SchemaUnicodeTopicNamingStrategy",
        "workers would not know the topics",
    ),
    one_of("topic.delimiter", ".", ".", "workers would not know the topics"),
    one_of("field.name.adjustment.mode", "none", "none", "columns with other characters would be renamed"),
    # The form of values.
    one_of("decimal.handling.mode", "precise", "string", FORM),
    one_of("binary.handling.mode", "bytes", "base64", FORM),
    # What must come.
    one_of("skipped.operations", "t", "none", "what a TRUNCATE deletes would stay in the hub"),
    one_of("skip.messages.without.change", "false", "false", LOST),
    one_of("producer.override.acks", "all", "all|-1", "a broker that fails would lose records"),
    one_of(
        "producer.override.enable.idempotence", "true", "true", "changes of one row could be written in another order"
    ),
    one_of("producer.override.max.in.flight.requests.per.connection", "1", "1|2|3|4|5", "changes could change places"),
    one_of(
        "exactly.once.support",
        "requested",
        "requested",
        "the markers of its transactions would look like records that nobody counted; a record that a connector sends "
        "twice changes nothing here",
    ),
    RequiredOption(
        "heartbeat.interval.ms", "0", r"0*[1-9]\d*", "10000", "nothing would show that a connector is stalled"
    ),
)
"""For every kind of database."""

REQUIRED_FOR_POSTGRES = (
    one_of("connector.class", None, "io.debezium.connector.postgresql.PostgresConnector", "it is not for Postgres"),
    one_of("plugin.name", "decoderbufs", "pgoutput", "a publication decides what is captured, for pgoutput only"),
    one_of("tasks.max", "1", "1", "a slot has one reader"),
    one_of("time.precision.mode", "adaptive", "microseconds", FORM),
    one_of("interval.handling.mode", "numeric", "string", "an interval would become a number that is not exact"),
    one_of("hstore.handling.mode", "json", "json", FORM),
    one_of(
        "include.unknown.datatypes",
        "false",
        "false",
        "columns of types that Debezium does not know would come as encoded bytes, which look like a text",
    ),
    one_of(
        "unavailable.value.placeholder",
        "__debezium_unavailable_value",
        "__debezium_unavailable_value",
        "a wide value that did not change would be taken for a new value",
    ),
    one_of("schema.refresh.mode", "columns_diff", "columns_diff", "a changed table could be read by its old columns"),
    RequiredOption("slot.name", "debezium", "[a-z0-9_]{1,63}", "opshub_<system>", "Postgres allows no other name"),
    one_of("slot.drop.on.stop", "false", "false", "what changes while the connector is stopped would be lost"),
    one_of(
        "offset.mismatch.strategy",
        "no_validation",
        "trust_offset",
        "changes that are lost because the slot was made again would not be detected",
    ),
    one_of(
        "publication.autocreate.mode",
        "all_tables",
        "disabled",
        "Debezium would publish tables by itself: updates of a table without a key would fail in the application",
    ),
    one_of("lsn.flush.mode", "connector", "connector|connector_and_driver", "the slot would hold back WAL without end"),
    one_of("flush.lsn.source", "true", "true", "the slot would hold back WAL without end"),
    one_of("lsn.flush.timeout.action", "fail", "fail|warn", "the slot could hold back WAL without a word"),
    one_of("snapshot.mode", "initial", "initial", "rows that exist already would be missing, or come too often"),
    one_of(
        "snapshot.isolation.mode",
        "serializable",
        "serializable|repeatable_read",
        "a snapshot would mix rows of different moments",
    ),
    one_of("snapshot.query.mode", "select_all", "select_all", "a snapshot could leave rows out"),
    one_of("snapshot.locking.mode", "none", "none|shared", "another class would decide what is locked"),
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
        "heartbeat.action.query",
        None,
        r"insert\s+into\s+(\w+\.)?opshub_heartbeat\b.*",
        "INSERT INTO public.opshub_heartbeat …, as in connectors/demo-erp/source.json",
        "a slot of a quiet database would hold back WAL, and nothing would show that its connector is stalled",
    ),
)

REFUSED = (
    RefusedOptions(
        r"transforms(\..*)?|predicates(\..*)?",
        "a transform may drop, rename or flatten records, and opshub reads them as Debezium makes them",
    ),
    RefusedOptions(r"converters|post\.processors", "values would not come in the form that opshub knows"),
    RefusedOptions(r"topic\.regex|topic\.replacement", "workers would not know the topics"),
    RefusedOptions(r"sourceinfo\.struct\.maker", "opshub reads a row's position from what Debezium makes itself"),
    RefusedOptions(r"column\.(mask|truncate)\..*", "values would be changed, and look like those of the source"),
    RefusedOptions(
        r"message\.key\.columns", "changes of one row could come in another order: the key decides their partition"
    ),
    RefusedOptions(r"snapshot\.select\.statement\.overrides.*", "a snapshot would leave rows or columns out"),
    RefusedOptions(
        r"snapshot\.(mode|locking\.mode|query\.mode)\.custom\.name|snapshot\.mode\.configuration\.based\..*",
        "opshub knows what a snapshot reads only for Debezium's own modes",
    ),
    RefusedOptions(
        r"slot\.stream\.params", "the decoding plugin could leave changes out, for instance those with an origin"
    ),
    RefusedOptions(r"replica\.identity\.autoset\.values", "Debezium would alter tables of the source"),
    RefusedOptions(
        r"publish\.via\.partition\.root",
        "it counts only where Debezium makes the publication: ALTER PUBLICATION … SET (publish_via_partition_root)",
    ),
    RefusedOptions(
        r"producer\.override\.(partitioner\..*|interceptor\.classes|transactional\.id|(key|value)\.serializer)",
        "changes of one row could come in another order or form",
    ),
)

LISTS = {
    "table.include.list", "table.exclude.list", "schema.include.list", "schema.exclude.list", "database.include.list",
    "database.exclude.list", "column.include.list", "column.exclude.list", "snapshot.include.collection.list",
}  # fmt: skip
"""Compared with what the dictionary reads (`connector_config.py`)."""

FREE = re.compile(
    r"""
    name | topic\.prefix | header\.converter | tasks\.max\.enforce | config\.action\.reload
    | database\.(hostname|port|dbname|user|password|ssl.*|tcpKeepAlive|initial\.statements|query\.timeout\.ms
                |connection\.(factory\.class|timeout\.ms)) | driver\..*
    | errors\.(retry\.timeout|retry\.delay\.max\.ms|log\.enable|log\.include\.messages|max\.retries)
    | retriable\.restart\.connector\.wait\.ms | connection\.validation\.timeout\.ms | executor\.shutdown\.timeout\.ms
    | (key|value|header)\.converter\.(schemas\.cache\.size|decimal\.format|plugin\.version)
    | key\.converter\.replace\.null\.with\.default | connector\.plugin\.version
    | poll\.interval\.ms | poll\.dispatch\.interval\.ms | max\.batch\.size | max\.queue\.size(\.in\.bytes)?
    | queue\.provider\..* | query\.fetch\.size | streaming\.delay\.ms
    | snapshot\.(fetch\.size|delay\.ms|lock\.timeout\.ms|max\.threads(\.multiplier)?|tables\.order\.by\.row\.count)
    | legacy\.snapshot\.max\.threads | incremental\.snapshot\.(chunk\.size|watermarking\.strategy)
    | signal\.(data\.collection|poll\.interval\.ms|emit\.failure\..*|file|kafka\..*|consumer\..*)
    | slot\.(failover|max\.retries|retry\.delay\.ms) | publication\.name | status\.update\.interval\.ms
    | lsn\.flush\.timeout\.ms | xmin\.fetch\.interval\.ms | money\.fraction\.digits
    | message\.prefix\.(in|ex)clude\.list | tombstones\.on\.delete | provide\.transaction\.metadata
    | transaction\.metadata\.factory | transaction\.boundary(\.interval\.ms)? | offsets\.storage\.topic
    | topic\.(heartbeat\.prefix|heartbeat\.name|cache\.size|transaction) | heartbeat\.topics\.prefix
    | topic\.creation\..* | producer\.override\..* | notification\..* | openlineage\..* | extended\.headers\..*
    | include\.schema\.(changes|comments) | (column|datatype)\.propagate\.source\.type | schema\.name\.adjustment\.mode
    | table\.ignore\.builtin | guardrail\..* | custom\.metric\.tags
    | statistics\.metrics\.enabled
    """,
    re.VERBOSE,
)
"""Options that change neither which records come nor their form."""
