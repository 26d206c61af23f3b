"""The captured systems, as their folders in `connectors/` describe them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from psycopg.conninfo import make_conninfo

from streams.decode.envelope import raw_topic
from streams.dictionary.compile.compiler import compile_dictionary
from streams.dictionary.language.dictionary import Dictionary
from streams.dictionary.language.read import load_dictionary
from streams.errors import ConfigError
from streams.mapping.compiled import CompiledDictionary
from streams.mariadb_session import binlog_address
from streams.paths import connectors_dir
from streams.provision.connector_defaults import ConnectorFile, complete_source, parse_source
from streams.provision.schedule import Sync, parse_sync
from streams.provision.source_file import FILE, TYPES, SourceFile, read_source_file
from streams.settings import Settings
from streams.stack.environment import resolve_placeholders

DATABASES = frozenset({"postgres", "mariadb", "mysql"})
"""Kinds of systems that a database is the source of: one that can be asked for its tables."""

_TLS = {"required": "require", "verify_ca": "verify", "verify_identity": "verify"}
"""`database.ssl.mode` of source.json → what our own sessions ask for."""

UNICODE_NAMES = ".SchemaUnicodeTopicNamingStrategy"
"""End of the name of Debezium's class that writes characters into topics as their numbers."""


def _escapes_topics(config: Mapping[str, Any]) -> bool:
    return str(config.get("topic.naming.strategy", "")).endswith(UNICODE_NAMES)


class System(msgspec.Struct, frozen=True):
    """One captured system: a folder of `connectors/`."""

    name: str
    folder: Path
    source: ConnectorFile
    dictionary: CompiledDictionary
    """As a worker runs it once it is compiled with the types of the columns (`streams/provision/column_types.py`)."""
    written: Dictionary | None = None
    """The dictionary as it was read from its file, to compile it with types."""
    feed: SourceFile | None = None
    """Of a system without a database: its source.yaml, without the values of its `${env:…}`."""
    sync: Mapping[str, Sync] = {}
    """Table → when it is synchronised; one that is not named: at once."""

    @property
    def types(self) -> dict[str, dict[str, str]]:
        """Of a feed: table → the types of its columns, as source.yaml has them; the others are text."""
        assert self.feed is not None
        return {
            name: dict.fromkeys(table.columns, TYPES["text"])
            | {column: TYPES[as_.type] for column, as_ in self.feed.tables[name].columns.items()}
            for name, table in self.dictionary.tables.items()
        }

    @property
    def connector_name(self) -> str:
        """The name under which Kafka Connect knows the connector."""
        return self.source["name"]

    @property
    def config(self) -> dict[str, Any]:
        """The whole configuration of the connector: what source.json says, and our defaults."""
        return self.source["config"]

    @property
    def has_database(self) -> bool:
        """Whether its source is a database, which can be asked for its tables and rows. One that has none is a feed:
        opshub reads it by itself (`streams/sources`).
        """
        return self.dictionary.kind in DATABASES

    @property
    def slot_name(self) -> str:
        """The replication slot of the connector; `debezium` is Debezium's own default."""
        return str(self.config.get("slot.name", "debezium"))

    @property
    def topics(self) -> dict[str, str]:
        """raw topic → table, for every table that the dictionary reads."""
        return {self.topic(table): table for table in self.dictionary.tables}

    def topic(self, table: str) -> str:
        """The raw topic of a table (schema.table)."""
        return raw_topic(self.config["topic.prefix"], table, escapes=self.escapes_topics)

    @property
    def escapes_topics(self) -> bool:
        """Whether topics have the numbers of characters that Kafka does not allow, in place of underscores."""
        return _escapes_topics(self.config)


class WrittenSystem(msgspec.Struct, frozen=True):
    """One captured system as its files have it; nothing is compiled."""

    name: str
    written: Dictionary
    source: ConnectorFile

    @property
    def topics(self) -> dict[str, str]:
        """raw topic → table, for every table that the dictionary reads."""
        return {self.topic(table): table for table in self.written.tables}

    def topic(self, table: str) -> str:
        """The raw topic of a table (schema.table)."""
        config = self.source["config"]
        return raw_topic(config["topic.prefix"], table, escapes=_escapes_topics(config))


def read_systems(settings: Settings) -> list[WrittenSystem]:
    """As `load_systems`, in a tenth of the time: for those who only name tables and fields."""
    folders = {name: connectors_dir(settings) / name for name in settings.systems}
    systems = []
    for name, folder in folders.items():
        if folder.is_dir():
            written = load_dictionary(folder / "dictionary.yaml")
            systems.append(WrittenSystem(name, written, read_source(folder / "source.json", written)))
    return systems


def load_systems(settings: Settings) -> list[System]:
    """Every system of `settings.systems`; ConfigError names the file that is missing or wrong."""
    systems = []
    for name in settings.systems:
        folder = connectors_dir(settings) / name
        if not folder.is_dir():
            raise ConfigError(
                f"there is no folder {folder} for the system {name}",
                remedy="create it, or remove the name from OPSHUB_SYSTEMS",
            )
        written = load_dictionary(folder / "dictionary.yaml")
        dictionary = compile_dictionary(written)
        if dictionary.system != name:
            raise ConfigError(
                f"{folder / 'dictionary.yaml'}: says system: {dictionary.system}, and its folder is {name}",
                remedy=f"write `system: {name}`, or rename the folder",
            )
        source = read_source(folder / "source.json", written)
        if written.kind == "feed":
            feed = read_source_file(folder / FILE, written.tables)
            sync = {table: content.sync for table, content in feed.tables.items()}
            systems.append(System(name, folder, source, dictionary, written, feed, sync))
        else:
            sync = _sync_of(folder / "source.json", written)
            systems.append(System(name, folder, source, dictionary, written, sync=sync))
    _require_own_names(systems)
    return systems


def _require_own_names(systems: list[System]) -> None:
    """ConfigError where a source.json was copied and still has another system's connector name, topic prefix or slot.

    Connect knows connectors by name alone: the copy would silently replace the other system's connector.
    """
    claimed: dict[tuple[str, ...], System] = {}
    for system in systems:
        config = system.config
        slot = tuple(str(config.get(key, "")) for key in ("database.hostname", "database.port", "slot.name"))
        server_id = str(config.get("database.server.id", ""))
        claims = [("name", system.connector_name), ("topic.prefix", str(config["topic.prefix"]))]
        claims += [("database.server.id", server_id)] if server_id else []
        for claim in (*claims, *([("slot.name", *slot)] if slot[-1] else [])):
            other = claimed.setdefault(claim, system)
            if other is not system:
                raise ConfigError(
                    f"{system.folder / 'source.json'}: {claim[0]} is {claim[-1]}, as in that of {other.name}",
                    remedy=f"give each system its own name, topic.prefix and slot.name: {system.name}, "
                    f"raw.{system.name}, opshub_{system.name.replace('-', '_')}",
                )


def read_source(path: Path, dictionary: Dictionary) -> ConnectorFile:
    """The connector of the system that `dictionary` describes: what its source.json says, and our defaults. A feed has
    none: only the prefix of its topics.
    """
    if dictionary.kind == "feed":
        return {"name": dictionary.system, "config": {"topic.prefix": f"raw.{dictionary.system}"}}
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} is missing", remedy="each system needs a source.json with the address of its database"
        ) from error
    return complete_source(parse_source(text, str(path)), dictionary.system, dictionary.kind, dictionary.tables)


def _sync_of(path: Path, dictionary: Dictionary) -> dict[str, Sync]:
    """`sync` of source.json. Raises ConfigError that names the table."""
    written = parse_source(path.read_text(encoding="utf-8"), str(path)).get("sync", {})
    if not isinstance(written, dict):
        raise ConfigError(f"{path}: `sync` is no object", remedy='write {"sync": {"<schema.table>": {"every": …}}}')
    for table in written.keys() - dictionary.tables.keys():
        raise ConfigError(
            f"{path}: sync: the dictionary reads no table {table}", remedy=f"one of {', '.join(dictionary.tables)}"
        )
    return {table: parse_sync(content, f"{path}: sync: {table}") for table, content in written.items()}


def capture_dsn(system: System, env: dict[str, str]) -> str:
    """The connection string that the system's connector uses, with `${env:…}` filled in. ConfigError for a feed."""
    if not system.has_database:
        raise ConfigError(f"{system.name} has no database", remedy=f"{system.folder / FILE} says how it is read")
    config = system.config
    path = system.folder / "source.json"
    settings = {
        "host": "database.hostname",
        "port": "database.port",
        "dbname": "database.dbname",
        "user": "database.user",
        "password": "database.password",
    }
    given = {
        name: resolve_placeholders(str(config[key]), env, f"{path}: {key}")
        for name, key in settings.items()
        if key in config
    }
    if system.dictionary.kind == "postgres":
        return make_conninfo(**given)
    tls = _TLS.get(str(config.get("database.ssl.mode", "")).lower(), "")
    return binlog_address(
        given.get("host", ""), given.get("port", "3306"), given.get("user", ""), given.get("password", ""),
        scheme=system.dictionary.kind, tls=tls,
    )  # fmt: skip


def database_dsns(systems: Iterable[System], env: dict[str, str]) -> dict[str, str]:
    """System → the connection string of its database, of those that have one."""
    return {system.name: capture_dsn(system, env) for system in systems if system.has_database}


def has_feeds(settings: Settings) -> bool:
    """Whether one of the systems has no database; a folder that cannot be read counts as one that has."""
    for name in settings.systems:
        try:
            if load_dictionary(connectors_dir(settings) / name / "dictionary.yaml").kind == "feed":
                return True
        except ConfigError:
            continue
    return False
