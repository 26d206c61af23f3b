"""What a system's source.json may have wrong that Debezium does not mind: records would not come, or not as the dictionary reads them."""

from __future__ import annotations

import re

from streams.capture.finding import Finding
from streams.provision.systems import System

_NEEDED = {"decimal.handling.mode": "string"}
_NEEDED_OF_POSTGRES = {"time.precision.mode": "microseconds"}
_UNLESS_ABSENT = {
    "key.converter.schemas.enable": "false",
    "value.converter.schemas.enable": "false",
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "binary.handling.mode": "base64",
}


def source_file(system: System) -> list[Finding]:
    """Settings that decide how values arrive, and tables that the dictionary reads and the connector leaves out."""
    config = {key: str(value) for key, value in system.source["config"].items()}
    where = f"{system.name}/source.json"
    needed = _NEEDED | (_NEEDED_OF_POSTGRES if system.dictionary.kind == "postgres" else {})
    wrong = [(key, value) for key, value in needed.items() if config.get(key) != value]
    wrong += [(key, value) for key, value in _UNLESS_ABSENT.items() if config.get(key, value) != value]
    found = [
        Finding(
            "source-setting",
            where,
            f"{key} is {config.get(key, 'not set')}: values would not come as the dictionary reads them",
            f'set "{key}": "{value}"',
            "input",
        )
        for key, value in wrong
    ]
    if config.get("exactly.once.support", "requested") == "required":
        found.append(
            Finding(
                "source-setting",
                where,
                "exactly.once.support is required: the markers of its transactions would look like records that nobody counted",
                "take it out: what a connector sends twice changes nothing here",
                "input",
            )
        )
    for table in system.dictionary.tables:
        left_out = _left_out(config, table)
        if left_out is not None:
            found.append(
                Finding(
                    "table-not-captured",
                    f"{system.name}: {table}",
                    f"the dictionary reads it, and {left_out} of source.json leaves it out: none of its rows would come",
                    f"mend {left_out} in connectors/{where}",
                    "input",
                )
            )
    return found


def _left_out(config: dict[str, str], table: str) -> str | None:
    """The setting by which the connector does not capture `table` (schema.table); its lists hold regular expressions."""
    schema = table.split(".", 1)[0]
    for what, name in (("schema", schema), ("database", schema), ("table", table)):
        include, exclude = f"{what}.include.list", f"{what}.exclude.list"
        if include in config and not _listed(config[include], name):
            return include
        if exclude in config and _listed(config[exclude], name):
            return exclude
    return None


def _listed(patterns: str, name: str) -> bool:
    for pattern in patterns.split(","):
        try:
            if re.fullmatch(pattern.strip(), name, re.IGNORECASE):
                return True
        except re.error:  # Java's, and not ours: Connect judges it
            return True
    return False
