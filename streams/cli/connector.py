"""`opshub connector new`: the whole folder of a new system, from its database. Nothing in the database is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import load_settings
from streams.errors import ConfigError

if TYPE_CHECKING:
    from streams.dictionary.live_tables import LiveTable
    from streams.monitor.new_system import NewSystem

_EXAMPLES = """\
# Rows, and the records that they must become; `opshub map check {system}` runs them. Take rows that taught you
# something, without the data of people: `opshub map try {system}` shows what the dictionary makes of real ones.
#
# - table: {table}
#   row: {{{columns}}}
#   records:
#     - {{entity: {entity}, key: 1, fields: {{}}}}
[]
"""
_README = """\
# {system}

{server}. Made by `opshub connector new {system}`; the dictionary is a draft.

| file | what it is |
| --- | --- |
| `dictionary.yaml` | which rows become which records: decide each `TO DECIDE` |
| `examples.yaml` | rows, and the records that they must become |
| `source.json` | where the database is; opshub adds the other options |
| `roles.sql` | what its administrator runs; `opshub plan --sql --system {system}` prints it again |

## Still to do

{steps}
"""


def new(
    name: Annotated[str, typer.Argument(help="Name of the new system: its folder in connectors/.")],
    source: Annotated[str, typer.Option("--from", help="The database, as postgresql://user@host:port/name.")],
    schema: Annotated[list[str] | None, typer.Option(help="Only these schemas.", show_default="all")] = None,
) -> None:
    """Make the folder of a new system: source.json, a draft of the dictionary, roles.sql, examples and README.

    It passes `opshub map check`. Reads the catalogue and twenty rows of each table; the address is written nowhere.

    Example: opshub connector new my-erp --from postgresql://me@db:5432/erp --schema public
    """
    from streams.capture.setup_sql import CaptureRights, setup_sql
    from streams.cli.map import draft_of
    from streams.dictionary.compile.compiler import compile_dictionary
    from streams.dictionary.language.read import parse_dictionary
    from streams.dictionary.yaml_lines import YamlFile, parse_yaml
    from streams.monitor.new_system import check_new_system
    from streams.paths import connectors_dir

    folder = connectors_dir(load_settings()) / name
    if folder.exists():
        raise ConfigError(f"{folder} exists", remedy="choose another name, or move the folder to another place")
    report = check_new_system(name, source, schemas=schema)
    text, catalog = draft_of(source, name, schema)
    file = folder / "dictionary.yaml"
    data, lines = parse_yaml(text, file)
    if not (isinstance(data, dict) and data.get("tables")):
        raise ConfigError(
            "no table looks like a customer, a product, an order or another record",
            remedy=f"`opshub map draft {source.rpartition('@')[2]}` shows why; name other schemas with --schema",
        )
    compiled = compile_dictionary(parse_dictionary(data, YamlFile(file, lines)))
    slug = name.replace("-", "_")
    full = [table for table, known in compiled.tables.items() if known.before_full]
    rights = CaptureRights(f"opshub_capture_{slug}", f"opshub_{slug}", list(compiled.tables), full)
    table, known = next((table, known) for table, known in compiled.tables.items() if known.own_entities)
    columns = ", ".join(f"{column}: …" for column in known.columns[:4])
    files = {
        "dictionary.yaml": text,
        "source.json": report.source_json + "\n",
        "roles.sql": setup_sql(rights) + "\n",
        "examples.yaml": _EXAMPLES.format(system=name, table=table, columns=columns, entity=known.own_entities[0]),
        "README.md": _README.format(system=name, server=report.server, steps=_steps(report, catalog)),
    }
    folder.mkdir(parents=True)
    for file_name, content in files.items():
        (folder / file_name).write_text(content, encoding="utf-8")
    for finding in report.findings:
        if finding.where.startswith(("server", "role")) or finding.where in compiled.tables:
            typer.echo(f"{'!' if finding.severe else '-'} {finding.where}: {finding.what}")
    undecided = text.count("TO DECIDE") - 1  # the first one explains the word
    typer.echo(f"{folder}: {len(compiled.tables)} tables of {len(catalog)}, {undecided} things to decide")
    typer.echo(
        f"next: read {folder / 'README.md'}; `opshub map check {name}` passes, `opshub map try {name}` shows rows"
    )


def _steps(report: NewSystem, catalog: dict[str, LiveTable]) -> str:
    slug = report.name.replace("-", "_")
    variables = ", ".join(f"`{name}`" for name in report.environment)
    steps = [
        f"decide each `TO DECIDE` of `dictionary.yaml` ({len(catalog)} tables were seen), then run roles.sql as "
        "administrator of the database and give the role its password",
        f"set {variables} where Connect and the workers start; the role is `opshub_capture_{slug}`",
        *report.steps[3:],
    ]
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
