"""The types of captured columns: read from the catalogue of each source, kept in the hub, known to every worker.

Debezium's JSON does not say whether a number is a day, a time or a number. So `apply` reads the catalogue before a
connector sends its first row, and the watcher reads it again every 15 seconds. A worker compiles the dictionaries with
what the hub knows, and compiles them again when that changes: it needs no right in a source. A value that does not fit
the known type of its column is rejected, and never read as something else.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import psycopg

from streams.dictionary.compile.compiler import Compiled, compile_with_warnings
from streams.dictionary.language.read import load_dictionary
from streams.dictionary.source_catalog import read_catalog, types_of
from streams.errors import ConfigError
from streams.hub.session import hub_session
from streams.hub.source_state import column_types_version, load_column_types, save_column_types
from streams.mapping.source_types import ColumnTypes
from streams.mariadb_session import Source
from streams.provision.source_session import source_fault, source_session
from streams.provision.systems import System, capture_dsn
from streams.settings import Settings
from streams.stack.environment import load_env


def read_types(source: Source, system: System) -> Mapping[str, ColumnTypes]:
    """Table → the types of its columns now, of the tables that the dictionary reads. Raises psycopg.Error."""
    return types_of(read_catalog(source, system.dictionary.tables))


def remember(hub: psycopg.Connection[object], source: Source, system: System) -> None:
    """Keep the types of a source's columns in the hub. Raises psycopg.Error."""
    for table, columns in read_types(source, system).items():
        save_column_types(hub, system.name, table, columns)


def remember_all(settings: Settings, systems: list[System]) -> None:
    """The same for each system with a database, and for feeds what source.yaml says. Raises EnvironmentFault
    while one does not answer.
    """
    env = load_env(settings)
    with hub_session(settings.hub) as hub:
        for system in systems:
            if not system.has_database:
                for table, declared in system.types.items():
                    save_column_types(hub, system.name, table, declared)
                continue
            try:
                with source_session(capture_dsn(system, env)) as source:
                    types = read_types(source, system)
            except psycopg.Error as error:
                raise source_fault(error, f"the catalogue of {system.name} cannot be read") from error
            for table, columns in types.items():
                save_column_types(hub, system.name, table, columns)


def compile_with_types(system: System, types: Mapping[str, ColumnTypes]) -> Compiled:
    """The system's dictionary, compiled with the types of its columns."""
    written = system.written or load_dictionary(system.folder / "dictionary.yaml")
    return compile_with_warnings(written, types=types)


def with_types(settings: Settings, systems: list[System]) -> tuple[list[System], str]:
    """The systems as a worker runs them, and the version of the types.

    Raises ConfigError where the hub does not know the types of a system, EnvironmentFault while it does not answer.
    """
    version = types_version(settings)
    with hub_session(settings.hub) as hub:
        known = load_column_types(hub)
    typed = []
    for system in systems:
        if system.name not in known:
            raise ConfigError(
                f"the hub does not know the types of the columns of {system.name}",
                remedy="`opshub apply` reads them",
            )
        compiled = compile_with_types(system, known[system.name])
        system = msgspec.structs.replace(system, dictionary=compiled.dictionary)
        typed.append(system)
    return typed, version


def types_version(settings: Settings) -> str:
    """A text that changes whenever the types of a column do.

    Raises EnvironmentFault while the hub does not answer, ConfigError where it has no such table yet.
    """
    try:
        with hub_session(settings.hub) as hub:
            return column_types_version(hub)
    except psycopg.errors.UndefinedTable as error:
        raise ConfigError(
            "the hub is older than this worker", remedy="`opshub apply` brings its tables up to date"
        ) from error
