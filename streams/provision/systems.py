"""The captured systems, as their folders in `connectors/` describe them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from psycopg.conninfo import make_conninfo

from streams.decode.envelope import topic_part
from streams.dictionary.compile.compiler import compile_dictionary
from streams.dictionary.language.read import load_dictionary
from streams.errors import ConfigError
from streams.mapping.compiled import CompiledDictionary
from streams.paths import connectors_dir
from streams.settings import Settings
from streams.stack.environment import resolve_placeholders


class System(msgspec.Struct, frozen=True):
    """One captured system. `source` is its Debezium connector: {"name": …, "config": {…}}."""

    name: str
    folder: Path
    source: dict[str, Any]
    dictionary: CompiledDictionary

    @property
    def topics(self) -> dict[str, str]:
        """raw topic → table, for every table that the dictionary reads."""
        prefix = self.source["config"]["topic.prefix"]
        return {f"{prefix}.{topic_part(table)}": table for table in self.dictionary.tables}


def load_systems(settings: Settings) -> list[System]:
    """Every system of `settings.systems`; ConfigError names the file that is missing or wrong."""
    found = []
    for name in settings.systems:
        folder = connectors_dir(settings) / name
        if not folder.is_dir():
            raise ConfigError(
                f"there is no folder {folder} for the system {name}",
                remedy="make it, or take the name out of OPSHUB_SYSTEMS",
            )
        dictionary = compile_dictionary(load_dictionary(folder / "dictionary.yaml"))
        if dictionary.system != name:
            raise ConfigError(
                f"{folder / 'dictionary.yaml'}: says system: {dictionary.system}, and its folder is {name}",
                remedy=f"say `system: {name}`, or rename the folder",
            )
        found.append(System(name, folder, _source(folder / "source.json"), dictionary))
    _tell_apart(found)
    return found


def _tell_apart(systems: list[System]) -> None:
    """ConfigError where a source.json was copied and still carries what must be its own: one connector would take the other's place."""
    claimed: dict[tuple[str, ...], System] = {}
    for system in systems:
        config = system.source["config"]
        slot = tuple(str(config.get(key, "")) for key in ("database.hostname", "database.port", "slot.name"))
        claims = [("name", system.source["name"]), ("topic.prefix", str(config["topic.prefix"]))]
        for claim in (*claims, *([("slot.name", *slot)] if slot[-1] else [])):
            other = claimed.setdefault(claim, system)
            if other is not system:
                raise ConfigError(
                    f"{system.folder / 'source.json'}: {claim[0]} is {claim[-1]}, as in that of {other.name}",
                    remedy=f"give each system its own name, topic.prefix and slot.name: {system.name}, "
                    f"raw.{system.name}, opshub_{system.name.replace('-', '_')}",
                )


def _source(path: Path) -> dict[str, Any]:
    try:
        source = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} is missing", remedy="each system needs a source.json with its Debezium connector"
        ) from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}, line {error.lineno}: {error.msg}", remedy="mend the JSON") from error
    if (
        not isinstance(source, dict)
        or not isinstance(source.get("config"), dict)
        or "topic.prefix" not in source["config"]
        or "name" not in source
    ):
        raise ConfigError(
            f'{path}: needs {{"name": …, "config": {{"topic.prefix": …}}}}',
            remedy="see connectors/demo-crm/source.json",
        )
    return source


def capture_dsn(system: System, env: dict[str, str]) -> str:
    """The connection string that the system's connector uses, with `${env:…}` filled in."""
    config = system.source["config"]
    path = system.folder / "source.json"
    parts = {
        "host": "database.hostname",
        "port": "database.port",
        "dbname": "database.dbname",
        "user": "database.user",
        "password": "database.password",
    }
    return make_conninfo(
        **{
            part: resolve_placeholders(str(config[key]), env, f"{path}: {key}")
            for part, key in parts.items()
            if key in config
        }
    )
