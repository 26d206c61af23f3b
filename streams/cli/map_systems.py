"""What the verbs of `opshub map` read from: the folders of systems, and their databases (read only)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from streams.errors import ConfigError, EnvironmentFault

if TYPE_CHECKING:
    import psycopg

    from streams.mapping.compiled import CompiledDictionary
    from streams.settings import Settings


def folders_of(settings: Settings, systems: list[str] | None) -> list[Path]:
    """The folders of the named systems, or of all captured systems. A name may also be a path to a folder."""
    from streams.paths import connectors_dir

    folders = []
    for name in systems or settings.systems:
        is_path = "/" in name or (Path(name) / "dictionary.yaml").is_file()
        folder = Path(name) if is_path else connectors_dir(settings) / name
        if not folder.is_dir():
            raise ConfigError(
                f"there is no folder {folder}", remedy="a system is a folder in connectors/ with a dictionary.yaml"
            )
        folders.append(folder)
    return folders


def systems_known_to(settings: Settings, folder: Path) -> set[str]:
    """The systems that a dictionary may refer to: the captured systems, and the folders with a dictionary next to it or
    in connectors/.
    """
    from streams.paths import connectors_dir

    parents = {folder.resolve().parent, connectors_dir(settings)}
    return {*settings.systems, *(file.parent.name for parent in parents for file in parent.glob("*/dictionary.yaml"))}


def dsn_of(settings: Settings, folder: Path, compiled: CompiledDictionary, dsn: str | None) -> str:
    """The given connection string, or else that of the system's connector (source.json)."""
    if dsn is not None:
        return dsn
    from streams.provision.systems import System, capture_dsn
    from streams.stack.environment import load_env

    file = folder / "source.json"
    try:
        source = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{file} does not say which database this is: {error}", remedy="give --dsn, or write source.json"
        ) from None
    return capture_dsn(System(compiled.system, folder, source, compiled), load_env(settings))


def connect_read_only(dsn: str) -> psycopg.Connection[tuple[object, ...]]:
    """A connection in which every transaction is read only: a check must never change a source."""
    import psycopg

    try:
        return psycopg.connect(dsn, connect_timeout=5, options="-c default_transaction_read_only=on")
    except psycopg.ProgrammingError as error:
        raise ConfigError(
            f"not a connection string: {str(error).strip()}", remedy="write postgresql://user:password@host:port/name"
        ) from None
    except psycopg.OperationalError as error:
        raise EnvironmentFault(
            f"the database cannot be reached: {str(error).strip()}",
            remedy="check address, role and password; `opshub up` starts the databases of the demo",
        ) from None
