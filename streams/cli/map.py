"""`opshub map check | explain | try | draft`: the dictionary, before and while it is used. Nothing is written anywhere."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.context import load_settings
from streams.cli.up import StateDir
from streams.errors import ConfigError, EnvironmentFault, MappingError

if TYPE_CHECKING:
    import psycopg

    from streams.mapping.catalog import LiveTable
    from streams.mapping.compile import CompiledDictionary
    from streams.mapping.draft import Samples
    from streams.mapping.language import Dictionary
    from streams.settings import Settings

Systems = Annotated[
    list[str] | None,
    typer.Argument(help="Systems (folders of connectors/), or paths to folders; all that are captured if none."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Dsn = Annotated[str | None, typer.Option(help="The database, as postgresql://…; default: the one of source.json.")]


def check(
    systems: Systems = None,
    live: Annotated[bool, typer.Option(help="Compare with the database too.")] = False,
    dsn: Dsn = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Validate dictionaries and run their examples: every fault at once, with file, line, field and what would be right.

    Exit code 1 if an example does not come out as it says or the live database does not fit, 2 if a dictionary is wrong.

    Example: opshub map check demo-erp --live
    """
    from streams.mapping.compile import compile_dictionary
    from streams.mapping.language import load_dictionary
    from streams.mapping.problems import DictionaryError

    settings = load_settings(state_dir=state_dir)
    found: list[dict[str, Any]] = []
    wrong = False
    summary: list[str] = []
    for folder in _folders(settings, systems):
        try:
            dictionary = load_dictionary(folder)
            compiled = compile_dictionary(dictionary)
            said = _findings(settings, folder, dictionary, compiled, live, dsn)
            examples = next((f["count"] for f in said if f["level"] == "examples"), 0)
            summary.append(f"{folder.name}: {len(compiled.tables)} tables, {examples} examples")
            found += [f for f in said if f["level"] != "examples"]
        except DictionaryError as error:
            wrong = True
            summary.append(f"{folder.name}: {len(error.problems)} faults")
            found += [_finding("error", problem) for problem in error.problems]
    errors = [f for f in found if f["level"] == "error"]
    if as_json:
        typer.echo(
            json.dumps(
                {"errors": len(errors), "warnings": len(found) - len(errors), "findings": found}, ensure_ascii=False
            )
        )
    else:
        _print_findings(found, summary)
    if errors:
        raise typer.Exit(2 if wrong else 1)


def explain(
    field: Annotated[str, typer.Argument(help="entity.field, such as customer.tax_id or customer.attributes.vip.")],
    state_dir: StateDir = None,
    live: Annotated[bool, typer.Option(help="Show what some rows of each table give now.")] = True,
    as_json: Json = False,
) -> None:
    """Show where a canonical field comes from in each system, through which steps, and what rows give now.

    Example: opshub map explain customer.tax_id
    """
    from streams.mapping.canon import entity_type, entity_types
    from streams.mapping.compile import compile_dictionary
    from streams.mapping.explain import origins
    from streams.mapping.language import load_dictionary

    entity_name, _, name = field.partition(".")
    entity = entity_type(entity_name)
    if entity is None:
        raise ConfigError(f"there is no entity {entity_name!r}", remedy=f"there are {', '.join(entity_types())}")
    if not name.startswith("attributes.") and name not in entity.fields:
        raise ConfigError(f"{entity_name} has no field {name!r}", remedy=f"it has {', '.join(entity.fields)}")
    settings = load_settings(state_dir=state_dir)
    told: list[dict[str, Any]] = []
    for folder in _folders(settings, None):
        dictionary = load_dictionary(folder)
        compiled = compile_dictionary(dictionary)
        for origin in origins(dictionary, entity_name, name):
            rows, why = (
                _now(settings, folder, compiled, origin.table, entity_name, name, origin.columns) if live else ([], "")
            )
            told.append(
                {
                    "system": origin.system,
                    "table": origin.table,
                    "file": origin.file,
                    "line": origin.line,
                    "source": origin.source,
                    "steps": list(origin.steps),
                    "now": rows,
                    "not_read": why,
                }
            )
    if as_json:
        typer.echo(json.dumps({"field": field, "origins": told}, ensure_ascii=False))
    else:
        from streams.cli.map_views import show_origins

        show_origins(field, told)
    if not told:
        raise typer.Exit(1)


def try_rows(
    system: Annotated[str, typer.Argument(help="A system, or a path to its folder.")],
    table: Annotated[str | None, typer.Option(help="One table; default: each that makes records.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="Rows from a file: one JSON object a line, columns as Debezium sends them.")
    ] = None,
    most: Annotated[int, typer.Option("--max", min=1, help="Rows of each table.")] = 3,
    dsn: Dsn = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Run rows of the live table, or of a file, through the dictionary: before and after side by side. Nothing is written.

    Exit code 1 if a row is rejected.

    Example: opshub map try demo-erp --table erp.cust
    """
    from streams.mapping.compile import compile_dictionary
    from streams.mapping.language import load_dictionary

    settings = load_settings(state_dir=state_dir)
    (folder,) = _folders(settings, [system])
    compiled = compile_dictionary(load_dictionary(folder))
    names = [table] if table is not None else [n for n, t in compiled.tables.items() if t.entities]
    for name in names:
        if name not in compiled.tables:
            raise ConfigError(
                f"{folder / 'dictionary.yaml'} reads no table {name}", remedy=f"it reads {', '.join(compiled.tables)}"
            )
    if file is not None and table is None:
        raise ConfigError("rows of a file need a table", remedy=f"add --table, one of {', '.join(names)}")
    if file is None:
        _learn(settings, folder, compiled, dsn)
    tried: list[dict[str, Any]] = []
    for name in names:
        rows = (
            _file_rows(compiled, name, file) if file is not None else _live_rows(settings, folder, compiled, name, dsn)
        )
        for row, key in islice(rows, most):
            tried.append(_tried(compiled, name, row, key))
    if as_json:
        typer.echo(json.dumps({"rows": tried, "notes": _notes(compiled)}, ensure_ascii=False))
    else:
        from streams.cli.map_views import show_tried

        show_tried(tried, _notes(compiled))
    if any("rejected" in one for one in tried):
        raise typer.Exit(1)


def draft(
    dsn: Annotated[str, typer.Argument(help="The database, as postgresql://user@host:port/name.")],
    system: Annotated[str, typer.Option(help="Name of the new system.")] = "new-system",
    schema: Annotated[list[str] | None, typer.Option(help="Only these schemas.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file; it must not exist.")] = None,
) -> None:
    """Propose a dictionary for an unknown database, by names, types, values and foreign keys. A person finishes it.

    Example: opshub map draft postgresql://me@db:5432/erp --system erp > connectors/erp/dictionary.yaml
    """
    from streams.mapping.draft import draft_text, propose

    if out is not None and out.exists():
        raise ConfigError(f"{out} exists", remedy="name another file, or move this one away")
    with _connect(dsn) as connection:
        catalog = _catalog(connection)
        if schema:
            catalog = {n: t for n, t in catalog.items() if n.split(".", 1)[0] in schema}
        if not catalog:
            raise ConfigError(
                "the database shows no tables", remedy="grant the role USAGE on the schema and SELECT on its tables"
            )
        samples = {name: _sample(connection, table) for name, table in catalog.items()}
    text = draft_text(system, propose(catalog, samples), catalog)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, "utf-8")


# ---- folders, databases, rows ----


def _folders(settings: Settings, systems: list[str] | None) -> list[Path]:
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


def _dsn(settings: Settings, folder: Path, compiled: CompiledDictionary, dsn: str | None) -> str:
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


def _connect(dsn: str) -> psycopg.Connection[Any]:
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


def _catalog(connection: psycopg.Connection[Any]) -> dict[str, LiveTable]:
    from streams.mapping.catalog import read_catalog

    return read_catalog(connection)


def _findings(
    settings: Settings, folder: Path, dictionary: Dictionary, compiled: CompiledDictionary, live: bool, dsn: str | None
) -> list[dict[str, Any]]:
    """Warnings, examples that fail, and what does not fit the live database."""
    from streams.mapping.examples import check_examples
    from streams.mapping.live import check_live

    found = [_finding("warning", problem) for problem in compiled.warnings]
    file = folder / "examples.yaml"
    if file.is_file():
        count, failed = check_examples(compiled, file)
        found += [_finding("error", problem) for problem in failed]
        found.append({"level": "examples", "count": count})
    if live:
        if dictionary.kind != "postgres":
            raise ConfigError(
                f"{dictionary.system} is a {dictionary.kind} database",
                remedy="--live reads the catalogue of Postgres only",
            )
        with _connect(_dsn(settings, folder, compiled, dsn)) as connection:
            catalog = _catalog(connection)
        found += [_finding(level, problem) for level, problem in check_live(dictionary, compiled, catalog)]
    return found


def _finding(level: str, problem: Any) -> dict[str, Any]:
    return {
        "level": level, "file": str(problem.file), "line": problem.line, "field": problem.field, "what": problem.what, "right": problem.right,
    }  # fmt: skip


def _print_findings(found: list[dict[str, Any]], summary: list[str]) -> None:
    from streams.cli.map_views import show_findings

    show_findings(found, summary)


def _live_rows(settings: Settings, folder: Path, compiled: CompiledDictionary, table: str, dsn: str | None) -> Any:
    from streams.repair.source_rows import source_rows

    return source_rows(_dsn(settings, folder, compiled, dsn), compiled.tables[table])


def _learn(settings: Settings, folder: Path, compiled: CompiledDictionary, dsn: str | None) -> None:
    """Read the tables that are looked into."""
    from streams.model.change import Position, RowChange

    for name in compiled.lookup_tables:
        for row, key in _live_rows(settings, folder, compiled, name, dsn):
            compiled.learn(RowChange(compiled.system, name, "r", key, None, row, Position(0, 0, 0), 0, None, None))


def _file_rows(compiled: CompiledDictionary, table: str, file: Path) -> Any:
    from streams.mapping.examples import row_change

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


def _tried(compiled: CompiledDictionary, name: str, row: Any, key: Any) -> dict[str, Any]:
    from msgspec import UNSET

    from streams.mapping.shown import fields_shown

    table = compiled.tables[name]
    before = {c: v for c in table.columns if (v := getattr(row, table.attribute(c))) is not UNSET}
    one: dict[str, Any] = {"table": name, "row": before}
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
            "parent": m.parent,
            "same_as": m.same_as,
            "fields": fields_shown(m),
        }
        for m in made
    ]
    return one


def _notes(compiled: CompiledDictionary) -> list[dict[str, Any]]:
    """What was mended, counted."""
    notes = compiled.notes
    return [
        {"field": f, "reason": r, "count": n, "last": str(notes.last[f, r])[:80]} for (f, r), n in notes.counts.items()
    ]


def _now(
    settings: Settings,
    folder: Path,
    compiled: CompiledDictionary,
    table: str,
    entity: str,
    name: str,
    columns: tuple[str, ...],
) -> tuple[list[dict[str, Any]], str]:
    """What three rows of the live table give for a field now, or why they cannot be read."""
    try:
        _learn(settings, folder, compiled, None)
        rows = [
            _tried(compiled, table, row, key)
            for row, key in islice(_live_rows(settings, folder, compiled, table, None), 3)
        ]
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


def _sample(connection: psycopg.Connection[Any], table: LiveTable) -> Samples:
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
