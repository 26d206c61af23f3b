"""The dictionary: which column becomes which field, rows before and after, and what an edited dictionary would change.

An edited text is checked and tried here; it is written nowhere. It reaches the workers as a file does: by whoever may
write to connectors/, and a restart.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from streams.cli.map_findings import check_system as check_files
from streams.cli.map_systems import systems_known_to
from streams.console.installed import installed_rules, installed_systems
from streams.console.masking import mask, mask_row
from streams.console.operation import Context, operation
from streams.console.people import Person
from streams.console.problems import NotFound, WrongInput
from streams.dictionary.check.all_problems import check_dictionary
from streams.dictionary.check.examples import row_change
from streams.dictionary.compile.compiler import compile_dictionary
from streams.dictionary.difference import Differences, compare_rows
from streams.dictionary.language.dictionary import Dictionary
from streams.dictionary.language.read import load_dictionary
from streams.dictionary.overview import MappedField, explained_conversions, mapped_fields
from streams.dictionary.try_rows import MappedRow, map_row
from streams.emit.tail import recent_by_topic
from streams.errors import MappingError, OpshubError
from streams.hub.source_state import load_column_types
from streams.mapping.compiled import CompiledDictionary
from streams.paths import connectors_dir
from streams.provision.systems import System, capture_dsn
from streams.resolve.ownership import load_ownership
from streams.settings import Settings
from streams.stack.environment import load_env
from streams.verify.source_rows import learn_codes
from streams.writeback.rule_states import mode_of

LARGEST_TEXT = 400_000
"""Characters of a dictionary."""


class WantedMapping(msgspec.Struct, frozen=True, kw_only=True):
    """Which rules to list; what is not given does not matter. `text`: part of a table, column, field or step."""

    system: str | None = None
    table: str | None = None
    entity: str | None = None
    field: str | None = None
    text: str | None = None


class WantedDictionary(msgspec.Struct, frozen=True):
    """The dictionary of a system."""

    system: str


class WantedTry(msgspec.Struct, frozen=True, kw_only=True):
    """The last rows of a table through the dictionary; `text`: an edited one in its place."""

    system: str
    table: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5


class WantedEdit(msgspec.Struct, frozen=True, kw_only=True):
    """An edited dictionary."""

    system: str
    text: Annotated[str, msgspec.Meta(max_length=LARGEST_TEXT)]


class WantedCompare(msgspec.Struct, frozen=True, kw_only=True):
    """An edited dictionary, and how many of the last rows of each table (or of one) go through both."""

    system: str
    text: Annotated[str, msgspec.Meta(max_length=LARGEST_TEXT)]
    table: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class OwnedField(MappedField, frozen=True):
    """A rule with who owns the field: the systems in their rank, and the policy that chooses among them."""

    owners: list[str]
    policy: str


class Mapping(msgspec.Struct, frozen=True):
    """Rules that were asked for, and what their conversions do."""

    fields: list[OwnedField]
    conversions: dict[str, str]
    systems: list[str]
    entities: list[str]


class DictionaryText(msgspec.Struct, frozen=True):
    """The text of a dictionary.yaml, and its tables."""

    system: str
    text: str
    tables: list[str]


class TriedRows(msgspec.Struct, frozen=True):
    """Rows before and after, the newest first, as far as this person may see them. `note`: why there are none."""

    rows: list[dict[str, Any]]
    note: str = ""


class Mistake(msgspec.Struct, frozen=True):
    """One mistake or warning of a dictionary. `level`: error or warning."""

    level: str
    line: int
    field: str
    what: str
    right: str


class Checked(msgspec.Struct, frozen=True):
    """All mistakes at once; without an error, what the examples gave."""

    mistakes: list[Mistake]
    summary: str


class RuleView(msgspec.Struct, frozen=True):
    """A write-back rule as its file has it."""

    name: str
    target: str
    mode: str
    rule: dict[str, Any]


class RuleViews(msgspec.Struct, frozen=True):
    """All write-back rules."""

    rules: list[RuleView]


class WantedRules(msgspec.Struct, frozen=True):
    """Rules of one target, or of all."""

    system: str | None = None


@operation("GET", "/dictionary", permission="see", command=lambda w: _explain_command(w))
def list_mapping(context: Context, wanted: WantedMapping) -> Mapping:
    """List which column becomes which canonical field, through which steps, and which system owns the field."""
    settings = context.place.settings
    systems = installed_systems(settings)
    ownership = load_ownership(connectors_dir(settings) / "ownership.yaml")
    fields = []
    for system in systems:
        for field in mapped_fields(system.written or load_dictionary(system.folder)):
            rule = ownership.field(field.entity, field.field, None)
            fields.append(
                OwnedField(
                    **msgspec.structs.asdict(field),
                    owners=list(ownership.rank(field.entity, field.field)),
                    policy=rule.policy,
                )
            )
    chosen = [field for field in fields if _is_wanted(field, wanted)]
    return Mapping(
        chosen, explained_conversions(list(chosen)), [system.name for system in systems],
        sorted({field.entity for field in fields}),
    )  # fmt: skip


@operation("GET", "/dictionary/rules", permission="see", command="opshub writeback status")
def list_rule_texts(context: Context, wanted: WantedRules) -> RuleViews:
    """Show the write-back rules as their files have them: when, what, after whose approval."""
    rules = installed_rules(context.place.settings)
    return RuleViews(
        [
            RuleView(
                named.name, named.target, mode_of(named.rule),
                named.rule.model_dump(mode="json", exclude_defaults=True),
            )
            for named in rules
            if wanted.system in (None, named.target)
        ]
    )  # fmt: skip


@operation(
    "GET", "/dictionary/{system}", permission="see", command=lambda w: f"cat connectors/{w.system}/dictionary.yaml"
)
def show_dictionary(context: Context, wanted: WantedDictionary) -> DictionaryText:
    """Show the text of a dictionary.yaml."""
    system = _system(context.place.settings, wanted.system)
    text = (system.folder / "dictionary.yaml").read_text("utf-8")
    return DictionaryText(system.name, text, list(system.dictionary.tables))


@operation(
    "GET", "/dictionary/{system}/rows", permission="see",
    command=lambda w: f"opshub map try {w.system} --table {w.table} --limit {w.limit}",
)  # fmt: skip
def try_table(context: Context, wanted: WantedTry) -> TriedRows:
    """Run the last rows that came of a table through the dictionary: before and after side by side."""
    settings = context.place.settings
    system = _system(settings, wanted.system)
    _table(system, wanted.table)
    compiled = _compiled(context, system, system.written or load_dictionary(system.folder))
    rows = _last_rows(settings, system, [wanted.table], wanted.limit)[wanted.table]
    mapped = [row for raw in rows if (row := _mapped(compiled, wanted.table, raw)) is not None]
    note = "" if mapped else f"Kafka holds no row of {wanted.table}: none came within the retention of its topic"
    return TriedRows([_shown(row, context.person) for row in mapped], note)


@operation(
    "POST", "/dictionary/{system}/check", permission="administer", writes=False,
    command=lambda w: f"opshub map check {w.system}",
)  # fmt: skip
def check_edited(context: Context, wanted: WantedEdit) -> Checked:
    """Check an edited dictionary: every mistake with its line, and its examples. Nothing is written."""
    settings = context.place.settings
    system = _system(settings, wanted.system)
    with tempfile.TemporaryDirectory(prefix="opshub-dictionary-") as folder:
        edited = _edited(Path(folder), system, wanted.text)
        checked = check_dictionary(edited, systems_known_to(settings, system.folder))
        report = check_files(settings, edited, checked, live=False, dsn=None)
    mistakes = [
        Mistake(finding["level"], finding["line"], finding["field"], finding["what"], finding["right"])
        for finding in report.findings
    ]
    return Checked(sorted(mistakes, key=lambda mistake: (mistake.level, mistake.line)), report.summary)


@operation(
    "POST", "/dictionary/{system}/compare", permission="administer", writes=False,
    command=lambda w: f"opshub map try {w.system}",
)  # fmt: skip
def compare_edited(context: Context, wanted: WantedCompare) -> Differences:
    """Show what an edited dictionary would make otherwise of the last rows that came. Nothing is written."""
    settings = context.place.settings
    system = _system(settings, wanted.system)
    with tempfile.TemporaryDirectory(prefix="opshub-dictionary-") as folder:
        dictionary = load_dictionary(_edited(Path(folder), system, wanted.text))
    before = _compiled(context, system, system.written or load_dictionary(system.folder))
    after = _compiled(context, system, dictionary)
    names = [wanted.table] if wanted.table else [name for name, table in dictionary.tables.items() if table.to]
    unknown = next((name for name in names if name not in after.tables), None)
    if unknown is not None:
        raise WrongInput(f"the edited dictionary reads no table {unknown}", remedy=", ".join(after.tables))
    known = [name for name in names if name in before.tables]  # no topic has rows of the others yet
    old_rows: list[MappedRow] = []
    new_rows: list[MappedRow] = []
    for name, rows in _last_rows(settings, system, known, wanted.limit).items():
        for raw in rows:
            old, new = _mapped(before, name, raw), _mapped(after, name, raw)
            if old is not None and new is not None:
                old_rows.append(_shown(old, context.person))  # type: ignore[arg-type]
                new_rows.append(_shown(new, context.person))  # type: ignore[arg-type]
    return compare_rows(old_rows, new_rows)


def _explain_command(wanted: WantedMapping) -> str:
    if wanted.entity and wanted.field:
        return f"opshub map explain {wanted.entity}.{wanted.field}"
    return "opshub map check"


def _is_wanted(field: OwnedField, wanted: WantedMapping) -> bool:
    if any(
        given is not None and given != getattr(field, name)
        for name in ("system", "table", "entity", "field")
        if (given := getattr(wanted, name)) is not None
    ):
        return False
    if not wanted.text:
        return True
    text = wanted.text.lower()
    return (
        text in " ".join([field.table, field.entity, field.field, field.source, *field.columns, *field.steps]).lower()
    )


def _system(settings: Settings, name: str) -> System:
    for system in installed_systems(settings):
        if system.name == name:
            return system
    raise NotFound(f"there is no system {name!r}", remedy=f"one of {', '.join(settings.systems)}")


def _table(system: System, name: str) -> None:
    if name not in system.dictionary.tables:
        raise NotFound(
            f"the dictionary of {system.name} reads no table {name}",
            remedy=f"one of {', '.join(system.dictionary.tables)}",
        )


def _edited(folder: Path, system: System, text: str) -> Path:
    """A folder of the system's name with the edited text, and its examples."""
    made = folder / system.name
    made.mkdir()
    (made / "dictionary.yaml").write_text(text, "utf-8")
    if (system.folder / "examples.yaml").is_file():
        shutil.copy(system.folder / "examples.yaml", made)
    return made


def _compiled(context: Context, system: System, dictionary: Dictionary) -> CompiledDictionary:
    """The dictionary as a worker runs it: with the types of the columns, and its code tables as they are now."""
    with context.place.hub() as hub:
        types = load_column_types(hub).get(system.name)
    compiled = compile_dictionary(dictionary, types=types) if types else compile_dictionary(dictionary)
    if compiled.lookup_tables:
        learn_codes(capture_dsn(system, load_env(context.place.settings)), compiled)
    return compiled


def _last_rows(
    settings: Settings, system: System, tables: Sequence[str], limit: int
) -> dict[str, list[dict[str, Any]]]:
    """Table → the last rows that came of it, the newest first, as Debezium sent them; without deletes."""
    topics = {table: system.topic(table) for table in tables}
    tails = recent_by_topic(
        settings.kafka, settings.registry, list(topics.values()),
        lambda record: isinstance(record.record, dict) and isinstance(record.record.get("after"), dict),
        most=limit,
    )  # fmt: skip
    return {
        table: [dict(record.record["after"]) for record in tails[topic] if isinstance(record.record, dict)]  # type: ignore[call-overload]
        for table, topic in topics.items()
    }


def _mapped(compiled: CompiledDictionary, table: str, raw: dict[str, Any]) -> MappedRow | None:
    try:
        change = row_change(compiled, table, raw)
    except MappingError as error:
        return {"table": table, "row": raw, "rejected": str(error), "remedy": error.remedy}
    except (OpshubError, msgspec.ValidationError, ValueError) as error:
        return {"table": table, "row": raw, "rejected": str(error), "remedy": ""}
    return map_row(compiled, table, change.after, change.key)


def _shown(row: MappedRow, person: Person) -> dict[str, Any]:
    """A row as JSON values, masked for people who may not see personal data."""
    shown: dict[str, Any] = msgspec.to_builtins(row, enc_hook=str)
    shown["row"] = mask_row(shown["row"], person)
    for record in shown.get("records", ()):
        record["fields"] = mask(record["fields"], record["entity"], person)
    for note in shown.get("notes", ()):
        note["value"] = mask_row(note["value"], person)
    return shown
