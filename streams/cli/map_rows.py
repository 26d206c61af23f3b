"""What the verbs of `opshub map` work on: folders of systems, their databases, and rows through a dictionary. Reads only."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.errors import ConfigError, EnvironmentFault, MappingError

if TYPE_CHECKING:
    import psycopg

    from streams.dictionary.check.all_problems import DictionaryCheck
    from streams.dictionary.draft.matching import Samples
    from streams.dictionary.source_catalog import LiveTable
    from streams.mapping.compiled import CompiledDictionary
    from streams.settings import Settings


def folders_of(settings: Settings, systems: list[str] | None) -> list[Path]:
    """The folders of the systems that are named, or of all that are captured."""
    from streams.paths import connectors_dir

    folders = []
    for name in systems or settings.systems:
        folder = (
            Path(name) if "/" in name or (Path(name) / "dictionary.yaml").is_file() else connectors_dir(settings) / name
        )
        if not folder.is_dir():
            raise ConfigError(
                f"there is no folder {folder}", remedy="a system is a folder in connectors/ with a dictionary.yaml"
            )
        folders.append(folder)
    return folders


def systems_beside(settings: Settings, folder: Path) -> set[str]:
    """The systems that a dictionary may refer to: the captured ones, and the folders with a dictionary beside it or in connectors/."""
    from streams.paths import connectors_dir

    places = {folder.resolve().parent, connectors_dir(settings)}
    return {*settings.systems, *(file.parent.name for place in places for file in place.glob("*/dictionary.yaml"))}


def dsn_of(settings: Settings, folder: Path, compiled: CompiledDictionary, dsn: str | None) -> str:
    """The connection string that is given, or the connector's own."""
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


def connect_to(dsn: str) -> psycopg.Connection[Any]:
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
            remedy="check address, role and password; `opshub up` starts the demo's",
        ) from None


def catalog_of(connection: psycopg.Connection[Any]) -> dict[str, LiveTable]:
    from streams.dictionary.source_catalog import read_catalog

    return read_catalog(connection)


def findings_of(
    settings: Settings, folder: Path, looked: DictionaryCheck, live: bool, dsn: str | None
) -> list[dict[str, Any]]:
    """What is wrong with a dictionary; if nothing is, warnings and examples that fail; and what does not fit the live database."""
    from streams.dictionary.check.examples import check_examples
    from streams.dictionary.check.live_database import check_live_database
    from streams.dictionary.problems import DictionaryError

    found = [finding_of("error", problem) for problem in looked.problems]
    dictionary, compiled = looked.dictionary, looked.compiled
    if dictionary is None or compiled is None:
        return found
    file = folder / "examples.yaml"
    if not looked.problems:
        found += [finding_of("warning", problem) for problem in looked.warnings]
        if file.is_file():
            try:
                count, failed = check_examples(compiled, file)
                found.append({"level": "examples", "count": count})
            except DictionaryError as error:
                failed = error.problems
                found.append({"level": "malformed"})
            found += [finding_of("error", problem) for problem in failed]
    if live:
        if dictionary.kind != "postgres":
            raise ConfigError(
                f"{dictionary.system} is a {dictionary.kind} database",
                remedy="--live reads the catalogue of Postgres only",
            )
        with connect_to(dsn_of(settings, folder, compiled, dsn)) as connection:
            catalog = catalog_of(connection)
        found += [
            finding_of(level, problem)
            for level, problem in check_live_database(dictionary, compiled, catalog)
            if not looked.problems or (level == "error" and not looked.names_removed_table(problem))
        ]
    return found


def finding_of(level: str, problem: Any) -> dict[str, Any]:
    told = {"level": level, "file": str(problem.file), "line": problem.line, "field": problem.field}
    return told | {"what": problem.what, "right": problem.right}


def live_rows(settings: Settings, folder: Path, compiled: CompiledDictionary, table: str, dsn: str | None) -> Any:
    from streams.verify.source_rows import source_rows

    return source_rows(dsn_of(settings, folder, compiled, dsn), compiled.tables[table])


def learn_codes(settings: Settings, folder: Path, compiled: CompiledDictionary, dsn: str | None) -> None:
    """Read the tables that are looked into."""
    from streams.verify.source_rows import learn_codes as learn

    if compiled.lookup_tables:
        learn(dsn_of(settings, folder, compiled, dsn), compiled)


def file_rows(compiled: CompiledDictionary, table: str, file: Path) -> Any:
    from streams.dictionary.check.examples import row_change

    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read: {error}", remedy="name a file of UTF-8 text with one JSON object a line"
        ) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigError(
                f"{file}:{number}: not JSON: {error}", remedy="write one row a line, as a JSON object"
            ) from None
        if isinstance(row, dict) and isinstance(row.get("after"), dict):
            row = row["after"]  # a whole Debezium event
        if not isinstance(row, dict):
            raise ConfigError(f"{file}:{number}: not a JSON object", remedy="write one row a line, as a JSON object")
        change = row_change(compiled, table, row)
        yield change.after, change.key


def tried_row(compiled: CompiledDictionary, name: str, row: Any, key: Any) -> dict[str, Any]:
    from msgspec import UNSET

    from streams.dictionary.readable import readable_fields

    table = compiled.tables[name]
    before = {c: v for c in table.columns if (v := getattr(row, table.attribute(c))) is not UNSET}
    one: dict[str, Any] = {"table": name, "row": before}
    compiled.notes.clear()
    try:
        made = table.map(row, "r", key)
    except MappingError as error:
        return one | {"rejected": str(error), "remedy": error.remedy}
    one["records"] = [
        {
            "entity": m.entity,
            "key": m.key,
            "id": m.id,
            "deleted": m.deleted,
            "part": m.part,
            "parent": m.parent,
            "same_as": m.same_as,
            "fields": readable_fields(m),
        }
        for m in made
    ]
    one["notes"] = [
        {"field": field, "kind": kind, "reason": reason, "value": str(value)[:80]}
        for _, field, kind, reason, value in compiled.notes.take()
    ]
    return one


def notes_of(tried: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was mended in these rows, counted by table, field and kind, with the last reason and value."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for one in tried:
        for note in one.get("notes", ()):
            where = (one["table"], note["field"], note["kind"])
            count = found[where]["count"] + 1 if where in found else 1
            found[where] = {
                **dict(zip(("table", "field", "kind"), where, strict=True)),
                "reason": note["reason"],
                "count": count,
                "last": note["value"],
            }
    return list(found.values())


def mended(settings: Settings, field: str) -> tuple[list[dict[str, Any]], str]:
    """What workers mended or forgave in a field so far, or why the hub does not tell."""
    from streams.monitor.mapping_notes import told

    try:
        return told(settings, field), ""
    except EnvironmentFault as error:
        return [], str(error)


def values_now(
    settings: Settings,
    folder: Path,
    compiled: CompiledDictionary,
    table: str,
    entity: str,
    name: str,
    columns: tuple[str, ...],
) -> tuple[list[dict[str, Any]], str]:
    """What three rows of the live table, among the first 200, give for a field now, or why they cannot be read."""
    try:
        learn_codes(settings, folder, compiled, None)
        first = islice(live_rows(settings, folder, compiled, table, None), 200)
        tried = (tried_row(compiled, table, row, key) for row, key in first)
        rows = list(islice((one for one in tried if "rejected" in one or _makes(one, entity)), 3))
    except (EnvironmentFault, ConfigError) as error:
        return [], str(error)
    told = []
    for one in rows:
        shown: dict[str, Any] = {"from": {c: one["row"].get(c) for c in columns}}
        for record in one.get("records", ()):
            if record["entity"] == entity:
                fields = record["fields"]
                shown["to"] = (
                    fields.get("attributes", {}).get(name.partition(".")[2])
                    if name.startswith("attributes.")
                    else fields.get(name)
                )
        if "rejected" in one:
            shown["rejected"] = one["rejected"]
        told.append(shown)
    return told, ""


def _makes(tried: dict[str, Any], entity: str) -> bool:
    return any(record["entity"] == entity for record in tried["records"])


def samples_of(connection: psycopg.Connection[Any], table: LiveTable) -> Samples:
    """Up to 20 values of each column, as text or whole numbers; nothing of a table that the role may not read."""
    import psycopg
    from psycopg import sql

    columns = [c for c in table.columns.values() if not c.array and c.type not in ("bytea", "json", "jsonb")]
    if not columns:
        return {}
    wanted = [
        sql.Identifier(c.name)
        if c.type in ("smallint", "integer", "bigint")
        else sql.SQL("left({}::text, 200)").format(sql.Identifier(c.name))
        for c in columns
    ]
    query = sql.SQL("SELECT {} FROM {} LIMIT 20").format(
        sql.SQL(", ").join(wanted), sql.Identifier(*table.name.split(".", 1))
    )
    try:
        with connection.transaction():
            rows = connection.execute(query).fetchall()
    except psycopg.errors.InsufficientPrivilege:
        return {}
    return {c.name: [row[i] for row in rows if row[i] is not None] for i, c in enumerate(columns)}
