"""Checks the source.json of a system against what opshub asks of a connector (`connector_options.py`).

In: a system. Out: findings about settings with which records would not come, or not in the form that the dictionary
reads. Pure: the database is checked by `streams/monitor/source_preflight.py`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from difflib import get_close_matches

from streams.capture.binlog_options import required_for
from streams.capture.connector_options import FREE, LISTS, REFUSED, REQUIRED, REQUIRED_FOR_POSTGRES
from streams.capture.finding import Finding
from streams.provision.systems import System

MOST_TOPIC_CHARACTERS = 249
"""Kafka allows no longer name of a topic, and Debezium cuts one that is longer."""


def check_source_file(system: System) -> list[Finding]:
    """What is wrong: options, tables and columns that the connector leaves out, topics that two tables share."""
    return _check_options(system) + _check_lists(system) + _check_topics(system)


def _options(system: System) -> dict[str, str]:
    return {
        # JSON knows true, Connect makes a text of it.
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in system.config.items()
    }


def _check_options(system: System) -> list[Finding]:
    options, where = _options(system), f"{system.name}/source.json"
    is_postgres = system.dictionary.kind == "postgres"
    findings = []
    required = REQUIRED + (REQUIRED_FOR_POSTGRES if is_postgres else required_for(system.dictionary.kind))
    for option in required:
        value = options.get(option.name, option.default)
        if value is None or not option.accepts(value):
            now = options.get(option.name)
            applies = f"is {now}" if now is not None else f"is not set{f' ({value} applies)' if value else ''}"
            what, remedy = f"{option.name} {applies}: {option.why}", f'set "{option.name}": "{option.value}"'
            findings.append(_wrong_option(where, what, remedy))
    known = {option.name for option in required} | LISTS
    for name in options:
        refused = next((refused for refused in REFUSED if refused.names_option(name)), None)
        if refused is not None:
            findings.append(_wrong_option(where, f"{name} is set: {refused.why}", "remove it"))
        elif is_postgres and name not in known and FREE.fullmatch(name) is None:
            near = get_close_matches(name, known, n=1, cutoff=0.8)
            remedy = f"did you mean {near[0]}?" if near else "remove it, or correct its name"
            what = f"{name} is no option of Debezium or Kafka Connect that opshub knows: it may be mistyped"
            findings.append(_wrong_option(where, what, remedy))
    return findings


def _wrong_option(where: str, what: str, remedy: str) -> Finding:
    return Finding("source-setting", where, what, remedy, "input")


def _check_lists(system: System) -> list[Finding]:
    """Tables and columns that the dictionary reads and that a list of source.json leaves out."""
    options, where = _options(system), f"{system.name}/source.json"
    findings = []
    for table in system.dictionary.tables.values():
        setting = _excluding_setting(options, table.name)
        snapshot = "snapshot.include.collection.list"
        if setting is None and snapshot in options and not _matches(options[snapshot], table.name):
            setting = snapshot
        if setting is not None:
            lost = "the rows that it has would not come" if setting == snapshot else "none of its rows would come"
            findings.append(
                Finding(
                    "table-not-captured",
                    f"{system.name}: {table.name}",
                    f"the dictionary reads it, and {setting} of source.json excludes it: {lost}",
                    f"correct {setting} in connectors/{where}",
                    "input",
                )
            )
        excluded = [column for column in table.columns if is_column_excluded(system, table.name, column)]
        if excluded:
            findings.append(
                Finding(
                    "column-not-captured",
                    f"{system.name}: {table.name}",
                    f"the dictionary reads {', '.join(excluded)}, and source.json excludes it",
                    f"correct column.include.list or column.exclude.list in connectors/{where}",
                    "input",
                )
            )
    return findings


def is_column_excluded(system: System, table: str, column: str) -> bool:
    """Whether source.json keeps the connector from sending a column of `table` (schema.table)."""
    options = _options(system)
    name, include, exclude = f"{table}.{column}", "column.include.list", "column.exclude.list"
    return (include in options and not _matches(options[include], name)) or (
        exclude in options and _matches(options[exclude], name)
    )


def _excluding_setting(options: dict[str, str], table: str) -> str | None:
    """The setting by which the connector does not capture `table` (schema.table); its lists hold regular
    expressions.
    """
    schema = table.split(".", 1)[0]
    # `schema` is Postgres's word, `database` MariaDB's.
    for what, name in (("schema", schema), ("database", schema), ("table", table)):
        include, exclude = f"{what}.include.list", f"{what}.exclude.list"
        if include in options and not _matches(options[include], name):
            return include
        if exclude in options and _matches(options[exclude], name):
            return exclude
    return None


def _matches(patterns: str, name: str) -> bool:
    for pattern in patterns.split(","):
        try:
            if re.fullmatch(pattern.strip(), name, re.IGNORECASE):
                return True
        except re.error:  # valid in Java perhaps, and not in Python: Connect judges it
            return True
    return False


def _check_topics(system: System) -> list[Finding]:
    """Tables that would share a topic, or a topic that Kafka does not create."""
    tables: dict[str, list[str]] = defaultdict(list)
    findings = []
    for table in system.dictionary.tables:
        topic = system.topic(table)
        # Kafka refuses a topic whose name differs from another's in . and _ only: their metrics would have one name.
        tables[topic.replace(".", "_")].append(table)
        if len(topic) > MOST_TOPIC_CHARACTERS:
            what = f"its topic would have {len(topic)} characters, and Kafka allows {MOST_TOPIC_CHARACTERS}"
            remedy = "shorten topic.prefix in source.json"
            findings.append(Finding("topic-name", f"{system.name}: {table}", what, remedy, "input"))
    for topic, sharing in tables.items():
        if len(sharing) > 1:
            findings.append(
                Finding(
                    "topic-name",
                    f"{system.name}: {', '.join(sharing)}",
                    f"they would share one topic, {topic}: Kafka allows letters of ASCII, digits, '.', '_' and '-' "
                    "only, and Debezium writes '_' for all others",
                    'set "topic.naming.strategy": "io.debezium.schema.SchemaUnicodeTopicNamingStrategy" before the '
                    "system is captured (it renames all its topics), or rename one of the tables",
                    "input",
                )
            )
    return findings
