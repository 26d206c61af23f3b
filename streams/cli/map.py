"""`opshub map check | explain | try | draft`: the dictionary, before and while it is used. Nothing is written anywhere."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli.context import load_settings
from streams.cli.map_rows import (
    catalog_of,
    connect_to,
    file_rows,
    finding_of,
    findings_of,
    folders_of,
    learn_codes,
    live_rows,
    mended,
    notes_of,
    samples_of,
    systems_beside,
    tried_row,
    values_now,
)
from streams.cli.up import StateDir
from streams.errors import ConfigError

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
    """Validate dictionaries, run their examples, validate ownership.yaml: every fault at once, with file, line and what would be right.

    Exit code 1 if an example does not come out as it says or the live database does not fit, 2 if a file is wrong.

    Example: opshub map check demo-erp --live
    """
    from streams.dictionary.check.all_problems import check_dictionary
    from streams.paths import connectors_dir
    from streams.resolve import ownership

    settings = load_settings(state_dir=state_dir)
    found: list[dict[str, Any]] = []
    wrong = False
    summary: list[str] = []
    for folder in folders_of(settings, systems):
        looked = check_dictionary(folder, systems_beside(settings, folder))
        said = findings_of(settings, folder, looked, live, dsn)
        found += [f for f in said if f["level"] not in ("examples", "malformed")]
        if looked.problems:
            wrong = True
            summary.append(f"{folder.name}: its examples were not run, the dictionary is wrong")
        elif any(f["level"] == "malformed" for f in said):
            wrong = True
            summary.append(f"{folder.name}: its examples were not run, they are wrong")
        elif looked.compiled is not None:
            examples = next((f["count"] for f in said if f["level"] == "examples"), 0)
            summary.append(f"{folder.name}: {len(looked.compiled.tables)} tables, {examples} examples")
    rules = connectors_dir(settings) / "ownership.yaml"
    mistakes = ownership.look(rules)[1]
    if mistakes:
        wrong = True
        found += [finding_of("error", problem) for problem in mistakes]
        summary.append(f"{rules.name}: the workers do not start with it")
    errors = [f for f in found if f["level"] == "error"]
    if as_json:
        typer.echo(
            json.dumps(
                {"errors": len(errors), "warnings": len(found) - len(errors), "findings": found}, ensure_ascii=False
            )
        )
    else:
        from streams.cli.map_views import show_findings

        show_findings(found, summary)
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
    from streams.dictionary.canonical_fields import entity_type, entity_types
    from streams.dictionary.compile.compiler import compile_dictionary
    from streams.dictionary.explain import origins
    from streams.dictionary.language.read import load_dictionary

    entity_name, _, name = field.partition(".")
    entity = entity_type(entity_name)
    if entity is None:
        raise ConfigError(f"there is no entity {entity_name!r}", remedy=f"there are {', '.join(entity_types())}")
    if not name.startswith("attributes.") and name not in entity.fields:
        raise ConfigError(f"{entity_name} has no field {name!r}", remedy=f"it has {', '.join(entity.fields)}")
    settings = load_settings(state_dir=state_dir)
    told: list[dict[str, Any]] = []
    for folder in folders_of(settings, None):
        dictionary = load_dictionary(folder)
        compiled = compile_dictionary(dictionary)
        for origin in origins(dictionary, entity_name, name):
            rows, why = (
                values_now(settings, folder, compiled, origin.table, entity_name, name, origin.columns)
                if live
                else ([], "")
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
    noted, silent = mended(settings, field)
    if as_json:
        typer.echo(
            json.dumps({"field": field, "origins": told, "notes": noted, "notes_not_read": silent}, ensure_ascii=False)
        )
    else:
        from streams.cli.map_views import show_noted, show_origins

        show_origins(field, told)
        show_noted(noted)
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
    from streams.dictionary.compile.compiler import compile_dictionary
    from streams.dictionary.language.read import load_dictionary

    settings = load_settings(state_dir=state_dir)
    (folder,) = folders_of(settings, [system])
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
        learn_codes(settings, folder, compiled, dsn)
    tried: list[dict[str, Any]] = []
    for name in names:
        rows = file_rows(compiled, name, file) if file is not None else live_rows(settings, folder, compiled, name, dsn)
        for row, key in islice(rows, most):
            tried.append(tried_row(compiled, name, row, key))
    if as_json:
        typer.echo(json.dumps({"rows": tried, "notes": notes_of(tried)}, ensure_ascii=False))
    else:
        from streams.cli.map_views import show_tried

        show_tried(tried, notes_of(tried))
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
    from streams.dictionary.draft.matching import propose
    from streams.dictionary.draft.yaml_text import draft_text

    if out is not None and out.exists():
        raise ConfigError(f"{out} exists", remedy="name another file, or move this one away")
    with connect_to(dsn) as connection:
        catalog = catalog_of(connection)
        if schema:
            catalog = {n: t for n, t in catalog.items() if n.split(".", 1)[0] in schema}
        if not catalog:
            raise ConfigError(
                "the database shows no tables", remedy="grant the role USAGE on the schema and SELECT on its tables"
            )
        samples = {name: samples_of(connection, table) for name, table in catalog.items()}
    text = draft_text(system, propose(catalog, samples), catalog)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, "utf-8")
