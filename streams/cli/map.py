"""`opshub map check | explain | try | draft`: the dictionary, before and while it is used. Nothing is
written anywhere.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import load_settings
from streams.cli.map_rows import (
    fill_lookups,
    mapping_notes_of_field,
    rows_of_database,
    rows_of_file,
    samples_of,
    values_now,
)
from streams.cli.map_systems import (
    compile_live,
    dsn_of,
    folders_of,
    hidden_rows,
    reading_source,
    systems_known_to,
)
from streams.cli.up import StateDir
from streams.dictionary.try_rows import MappedRow, map_row, notes_by_kind
from streams.errors import ConfigError

if TYPE_CHECKING:
    from streams.dictionary.draft.matching import Samples
    from streams.dictionary.live_tables import LiveTable

Systems = Annotated[
    list[str] | None,
    typer.Argument(help="Systems (folders of connectors/), or paths to folders; default: all captured systems."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Dsn = Annotated[str | None, typer.Option(help="The database, as postgresql://…; default: the database of source.json.")]


def check(
    systems: Systems = None,
    live: Annotated[bool, typer.Option(help="Compare with the database too.")] = False,
    dsn: Dsn = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Check dictionaries, run their examples, check writeback.yaml and ownership.yaml: every mistake at once, with
    file, line and what would be right.

    Exit code 1 if an example has another result or the live database does not fit, 2 if a file is wrong, 3 if the
    database does not answer.

    Example: opshub map check demo-erp --live
    """
    from streams.cli.map_findings import check_system, finding_of, writeback_problems
    from streams.dictionary.check.all_problems import check_dictionary
    from streams.paths import connectors_dir
    from streams.resolve import ownership

    settings = load_settings(state_dir=state_dir)
    reports = []
    for folder in folders_of(settings, systems):
        checked = check_dictionary(folder, systems_known_to(settings, folder))
        reports.append(check_system(settings, folder, checked, live=live, dsn=dsn))
    findings = [finding for report in reports for finding in report.findings]
    summary = [report.summary for report in reports if report.summary]
    file_is_wrong = any(report.file_is_wrong for report in reports)
    rules = connectors_dir(settings) / "ownership.yaml"
    problems = ownership.read_ownership(rules)[1]
    if problems:
        file_is_wrong = True
        findings += [finding_of("error", problem) for problem in problems]
        summary.append(f"{rules.name}: the workers do not start with it")
    wrong = writeback_problems(settings, folders_of(settings, systems))
    if wrong:
        file_is_wrong = True
        findings += [finding_of("error", problem) for problem in wrong]
        summary.append("writeback.yaml: the workers do not start with it")
    errors = sum(finding["level"] == "error" for finding in findings)
    if as_json:
        result = {"errors": errors, "warnings": len(findings) - errors, "findings": findings}
        typer.echo(json.dumps(result, ensure_ascii=False))
    else:
        from streams.cli.map_views import show_findings

        show_findings(findings, summary)
    if errors:
        raise typer.Exit(2 if file_is_wrong else 1)


def explain(
    field: Annotated[str, typer.Argument(help="entity.field, such as customer.tax_id or customer.attributes.vip.")],
    state_dir: StateDir = None,
    live: Annotated[bool, typer.Option(help="Show the values that some rows of each table give now.")] = True,
    as_json: Json = False,
) -> None:
    """Show where a canonical field comes from in each system, through which steps, and what rows give now.

    Exit code 1 if no dictionary fills the field.

    Example: opshub map explain customer.tax_id
    """
    from streams.dictionary.canonical_fields import entity_type, entity_types
    from streams.dictionary.explain import origins
    from streams.dictionary.language.read import load_dictionary

    entity_name, _, name = field.partition(".")
    entity = entity_type(entity_name)
    if entity is None:
        raise ConfigError(f"there is no entity {entity_name!r}", remedy=f"there are {', '.join(entity_types())}")
    if not name.startswith("attributes.") and name not in entity.fields:
        raise ConfigError(f"{entity_name} has no field {name!r}", remedy=f"it has {', '.join(entity.fields)}")
    settings = load_settings(state_dir=state_dir)
    explained: list[dict[str, object]] = []
    for folder in folders_of(settings, None):
        dictionary = load_dictionary(folder)
        for origin in origins(dictionary, entity_name, name):
            rows, reason = values_now(settings, folder, dictionary, origin, field) if live else ([], "")
            explained.append(
                {
                    "system": origin.system,
                    "table": origin.table,
                    "file": origin.file,
                    "line": origin.line,
                    "source": origin.source,
                    "steps": list(origin.steps),
                    "now": rows,
                    "not_read": reason,
                }
            )
    notes, notes_reason = mapping_notes_of_field(settings, field)
    if as_json:
        result = {"field": field, "origins": explained, "notes": notes, "notes_not_read": notes_reason}
        typer.echo(json.dumps(result, ensure_ascii=False))
    else:
        from streams.cli.map_views import show_mapping_notes, show_origins

        show_origins(field, explained)
        show_mapping_notes(notes)
    if not explained:
        raise typer.Exit(1)


def try_rows(
    system: Annotated[str, typer.Argument(help="A system, or a path to its folder.")],
    table: Annotated[str | None, typer.Option(help="One table; default: each table that makes records.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="Rows from a file: one JSON object a line, columns as Debezium sends them.")
    ] = None,
    most: Annotated[int, typer.Option("--limit", min=1, help="Rows of each table.")] = 3,
    dsn: Dsn = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Run rows of the live table, or of a file, through the dictionary: before and after side by side. Nothing is
    written.

    Exit code 1 if a row is rejected.

    Example: opshub map try demo-erp --table erp.cust
    """
    from streams.dictionary.compile.compiler import compile_dictionary
    from streams.dictionary.language.read import load_dictionary

    settings = load_settings(state_dir=state_dir)
    (folder,) = folders_of(settings, [system])
    dictionary = load_dictionary(folder)
    names = [table] if table is not None else [name for name, known in dictionary.tables.items() if known.to]
    for name in names:
        if name not in dictionary.tables:
            raise ConfigError(
                f"{folder / 'dictionary.yaml'} reads no table {name}", remedy=f"it reads {', '.join(dictionary.tables)}"
            )
    if file is not None and table is None:
        raise ConfigError("rows of a file need a table", remedy=f"add --table, one of {', '.join(names)}")
    # The rows of a file have no database to ask: what only its types can tell is rejected.
    compiled = (
        compile_live(settings, folder, dictionary, dsn)
        if file is None or dsn is not None
        else compile_dictionary(dictionary)
    )
    hidden: list[str] = []
    if file is None:
        fill_lookups(settings, folder, compiled, dsn)
        from streams.provision.systems import DATABASES

        if compiled.kind in DATABASES:
            hidden = hidden_rows(dsn_of(settings, folder, compiled, dsn), folder, compiled, names)
    mapped: list[MappedRow] = []
    for name in names:
        rows = (
            rows_of_file(compiled, name, file)
            if file is not None
            else rows_of_database(settings, folder, compiled, name, dsn)
        )
        mapped += [map_row(compiled, name, row, key) for row, key in islice(rows, most)]
    if as_json:
        result = {"rows": mapped, "notes": notes_by_kind(mapped), "hidden": hidden}
        typer.echo(json.dumps(result, ensure_ascii=False))
    else:
        from streams.cli.map_views import show_mapped_rows

        for line in hidden:
            typer.echo(f"warning: {line}", err=True)
        show_mapped_rows(mapped, notes_by_kind(mapped))
    if any("rejected" in row for row in mapped):
        raise typer.Exit(1)


def draft(
    dsn: Annotated[str, typer.Argument(help="The database, as postgresql://… or mariadb://user@host:port/name.")],
    system: Annotated[str, typer.Option(help="Name of the new system.")] = "new-system",
    schema: Annotated[list[str] | None, typer.Option(help="Only these schemas.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file; it must not exist.")] = None,
) -> None:
    """Propose a dictionary for an unknown database, by names, types, values and foreign keys. A person finishes it.

    Example: opshub map draft postgresql://me@db:5432/erp --system erp > connectors/erp/dictionary.yaml
    """
    if out is not None and out.exists():
        raise ConfigError(f"{out} exists", remedy="name another file, or move this one to another place")
    text, _ = draft_of(dsn, system, schema)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, "utf-8")


def draft_of(dsn: str, system: str, schemas: list[str] | None) -> tuple[str, dict[str, LiveTable]]:
    """The draft of a dictionary, and the catalogue that it was made from. Tables whose rows could not be read are named
    on standard error.
    """
    from streams.dictionary.draft.matching import propose
    from streams.dictionary.draft.yaml_text import draft_text
    from streams.dictionary.source_catalog import read_catalog

    with reading_source(dsn, "the database cannot be read") as connection:
        catalog = read_catalog(connection)
        if schemas:
            catalog = {name: table for name, table in catalog.items() if name.split(".", 1)[0] in schemas}
        if not catalog:
            raise ConfigError(
                "the database shows no tables", remedy="grant the role USAGE on the schema and SELECT on its tables"
            )
        samples: dict[str, Samples] = {}
        skipped: dict[str, str] = {}
        for name, table in catalog.items():
            samples[name], reason = samples_of(connection, table)
            if reason:
                skipped[name] = reason
    for name, reason in skipped.items():
        typer.echo(
            f"no rows of {name} were read ({reason}): its columns are proposed by their names and types", err=True
        )
    return draft_text(system, propose(catalog, samples), catalog), catalog
