"""Checks the source.json of a system for what Debezium accepts and opshub does not.

In: a system. Out: findings about settings with which records would not come, or not in the form that the dictionary
reads.
"""

from __future__ import annotations

import re

from streams.capture.finding import Finding
from streams.provision.systems import System

# Each of these decides in which form a value arrives; `streams/verify/source_rows.py` and the dictionary's conversions
# expect these forms and no other.
_REQUIRED = {"decimal.handling.mode": "string"}
_REQUIRED_FOR_POSTGRES = {"time.precision.mode": "microseconds"}
_FIXED_IF_PRESENT = {
    "key.converter.schemas.enable": "false",
    "value.converter.schemas.enable": "false",
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "binary.handling.mode": "base64",
}


def check_source_file(system: System) -> list[Finding]:
    """Settings that decide how values arrive, and tables that the dictionary reads and the connector leaves out."""
    config = {key: str(value) for key, value in system.config.items()}
    where = f"{system.name}/source.json"
    required = _REQUIRED | (_REQUIRED_FOR_POSTGRES if system.dictionary.kind == "postgres" else {})
    wrong = [(key, value) for key, value in required.items() if config.get(key) != value]
    wrong += [(key, value) for key, value in _FIXED_IF_PRESENT.items() if config.get(key, value) != value]
    findings = [
        _wrong_setting(
            where,
            f"{key} is {config.get(key, 'not set')}: values would not come in the form that the dictionary reads",
            f'set "{key}": "{value}"',
        )
        for key, value in wrong
    ]
    if config.get("exactly.once.support", "requested") == "required":
        # The account of raw records takes each offset for a record; the markers of transactions have offsets, too.
        findings.append(
            _wrong_setting(
                where,
                "exactly.once.support is required: the markers of its transactions would look like records that "
                "nobody counted",
                "remove it: a record that a connector sends twice changes nothing here",
            )
        )
    for table in system.dictionary.tables:
        setting = _excluding_setting(config, table)
        if setting is not None:
            findings.append(
                Finding(
                    "table-not-captured",
                    f"{system.name}: {table}",
                    f"the dictionary reads it, and {setting} of source.json excludes it: none of its rows would come",
                    f"correct {setting} in connectors/{where}",
                    "input",
                )
            )
    return findings


def _wrong_setting(where: str, what: str, remedy: str) -> Finding:
    return Finding("source-setting", where, what, remedy, "input")


def _excluding_setting(config: dict[str, str], table: str) -> str | None:
    """The setting by which the connector does not capture `table` (schema.table); its lists hold regular
    expressions.
    """
    schema = table.split(".", 1)[0]
    # `schema` is Postgres's word, `database` MariaDB's.
    for what, name in (("schema", schema), ("database", schema), ("table", table)):
        include, exclude = f"{what}.include.list", f"{what}.exclude.list"
        if include in config and not _matches(config[include], name):
            return include
        if exclude in config and _matches(config[exclude], name):
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
