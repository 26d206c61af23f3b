"""What the verbs of `opshub map` read from: the folders of systems, and their databases (read only)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from streams.errors import ConfigError

if TYPE_CHECKING:
    from streams.dictionary.language.dictionary import Dictionary
    from streams.mapping.compiled import CompiledDictionary
    from streams.mariadb_session import Source
    from streams.provision.connector_defaults import ConnectorFile
    from streams.provision.systems import System
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
    from streams.provision.systems import capture_dsn
    from streams.stack.environment import load_env

    system = system_of(folder, compiled)
    if not system.config:
        raise ConfigError(
            f"{folder / 'source.json'} does not say which database this is", remedy="give --dsn, or write source.json"
        )
    return capture_dsn(system, load_env(settings))


def compile_live(settings: Settings, folder: Path, dictionary: Dictionary, dsn: str | None) -> CompiledDictionary:
    """The dictionary, compiled with the types of the columns of its database, as a worker runs it."""
    from streams.dictionary.compile.compiler import compile_dictionary
    from streams.dictionary.source_catalog import read_catalog, types_of
    from streams.provision.systems import DATABASES

    untyped = compile_dictionary(dictionary)
    if dictionary.kind == "feed":
        return compile_dictionary(dictionary, types=system_of(folder, untyped).types)
    if dictionary.kind not in DATABASES:
        return untyped
    address = dsn_of(settings, folder, untyped, dsn)
    with reading_source(address, f"the catalogue of {dictionary.system} cannot be read") as source:
        return compile_dictionary(dictionary, types=types_of(read_catalog(source, untyped.tables)))


def system_of(folder: Path, compiled: CompiledDictionary) -> System:
    """The system of a folder, perhaps one that has no source.json yet: its configuration is empty then."""
    from streams.provision.connector_defaults import complete_source, parse_source
    from streams.provision.source_file import FILE, read_source_file
    from streams.provision.systems import System

    if compiled.kind == "feed":
        feed = read_source_file(folder / FILE, compiled.tables)
        return System(compiled.system, folder, {"name": compiled.system, "config": {}}, compiled, feed=feed)
    source: ConnectorFile = {"name": compiled.system, "config": {}}
    file = folder / "source.json"
    if file.is_file():
        written = parse_source(file.read_text("utf-8"), str(file))
        source = complete_source(written, compiled.system, compiled.kind, compiled.tables)
    return System(compiled.system, folder, source, compiled)


def hidden_rows(dsn: str, folder: Path, compiled: CompiledDictionary, tables: list[str]) -> list[str]:
    """What the role of a session cannot see of these tables, in words: rows under row-level security, columns."""
    from streams.capture.captured_tables import judge_rights, read_tables

    with reading_source(dsn, f"the catalogue of {compiled.system} cannot be read") as source:
        facts = read_tables(source, system_of(folder, compiled))
    return [
        f"{name}: {finding.what} ({finding.remedy})"
        for name in tables
        if name in facts
        for finding in judge_rights(compiled.tables[name], facts[name], name)
    ]


@contextmanager
def reading_source(dsn: str, what: str) -> Iterator[Source]:
    """A short read-only session on a source. What fails becomes one line for people: `what` cannot be read, and why."""
    import psycopg

    from streams.provision.source_session import source_fault, source_session

    try:
        with source_session(dsn) as source:
            yield source
    except psycopg.Error as error:
        raise source_fault(error, what) from None
