"""Writes the proposals of `matching` as the text of a `dictionary.yaml`, with a comment for each decision
of a person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from streams.dictionary.canonical_fields import FieldType, entity_type
from streams.dictionary.compile.plans import unreadable
from streams.dictionary.draft.matching import (
    DELETED_COLUMNS,
    NUMERIC,
    TIMESTAMPS,
    Match,
    TableMatch,
    joins,
    possible_entity,
    words_of,
)
from streams.dictionary.live_tables import LiveColumn, LiveTable

_CEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CEL_WORDS = frozenset(
    "true false null in as break const continue else for function if import let loop package"
    " namespace return var void while".split()
)
_MOST_LISTED = 200
"""Unmapped tables that a draft lists: an ERP may have thousands."""


def draft_text(system: str, proposals: list[TableMatch], catalog: dict[str, LiveTable]) -> str:
    """The proposed dictionary as YAML, with a comment for each thing that a person must decide."""
    lines = [
        "# yaml-language-server: $schema=../dictionary.schema.json",
        "# A draft, made from the database's catalogue and a few rows. A number in a comment is its confidence",
        "# (1 is sure); TO DECIDE marks what a person must decide.",
        f"system: {system}",
        "kind: postgres",
        "# timezone: Europe/Berlin    the time zone of timestamps without one",
        "# country: DE                the country of phone numbers and tax ids without one",
        "",
        "tables:",
    ]
    composite = {p.entity for p in proposals if len(_key(p.table)) > 1}
    for proposal in proposals:
        written = list(_table_lines(proposal, composite))
        lacks = _lacks(proposal, composite)
        if lacks:
            lines.append(
                f"  # TO DECIDE: {proposal.table.name} seems to be {proposal.entity}, and {lacks}. Finish it, or "
                "leave it out:"
            )
        lines += [f"  # {line[2:]}" for line in written] if lacks else written
    if all(_lacks(proposal, composite) for proposal in proposals):
        lines.append("  {}  # TO DECIDE: at least one table")
    unmapped = sorted(set(catalog) - {p.table.name for p in proposals})
    entities = {p.table.name: p.entity for p in proposals}
    for name in unmapped:
        lines += _link_lines(catalog[name], entities)
    if unmapped:
        lines += ["", "# Tables that look like no entity of the model, or like a second table of an entity:"]
        lines += [
            f"#   {name} ({len(catalog[name].columns)} columns, about {catalog[name].rows} rows)"
            f"{_question(catalog[name])}"
            for name in unmapped[:_MOST_LISTED]
        ]
    return "\n".join(lines) + "\n"


def _link_lines(table: LiveTable, entities: dict[str, str]) -> list[str]:
    """A table that only links two records, as a comment to be finished."""
    link, key = joins(table, entities), _key(table)
    if link is None or len(key) != 1:
        return []
    entity, column, field, other = link
    target = f"entity: {entity}, part_of: true, key: {_quoted(column)}, fields: {{{field}: {_quoted(other)}}}"
    return [
        f"  # TO DECIDE: {table.name} only links records. Finish it, or leave it out:",
        f"  # {_quoted(table.name)}: {{key: {_quoted(key[0])}, before: full, to: [{{{target}}}]}}",
    ]


def _question(table: LiveTable) -> str:
    """What a person is asked about a table that is not proposed."""
    possible = possible_entity(table, {}) if table.rows >= _LEAST_ROWS else None
    return f"  TO DECIDE: by its columns it may be {possible}" if possible is not None else ""


_LEAST_ROWS = 50
"""Nobody is asked about a table of codes."""


def _key(table: LiveTable) -> tuple[str, ...]:
    return table.primary_key or (table.unique[0] if table.unique else ())


def _lacks(proposal: TableMatch, composite: set[str]) -> str:
    """Why this table cannot be mapped before a person decides more; '' if it can."""
    entity = entity_type(proposal.entity)
    assert entity is not None
    taken = {m.field for m in proposal.matches}
    needed = [name for name, field in entity.fields.items() if field.required and name not in taken]
    if needed:
        return f"no column looks like its {' or '.join(needed)}"
    if entity.is_line and proposal.parent is None:
        return f"no column names its {entity.parent}"
    if entity.is_line and entity.parent in composite:
        return f"the key of its {entity.parent} is several columns"
    return (
        ""
        if any(_is_usable(entity.fields[m.field], composite) for m in proposal.matches)
        else "no column looks like a field of it"
    )


def _table_lines(proposal: TableMatch, composite: set[str]) -> Iterator[str]:
    """The table as YAML. `composite`: the entities whose keys are several columns, so that one column
    cannot name them.
    """
    table, entity = proposal.table, entity_type(proposal.entity)
    assert entity is not None
    key = _key(table)
    yield f"  {_quoted(table.name)}:  # {proposal.confidence}"
    key_columns = key or (next(iter(table.columns)),)
    undecided = "" if key else "  # TO DECIDE: the table has no key; name columns that are unique"
    yield (
        f"    key: [{', '.join(map(_quoted, key_columns))}]{undecided}"
        if len(key_columns) > 1 or "," in key_columns[0]
        else f"    key: {_quoted(key_columns[0])}{undecided}"
    )
    yield "    to:"
    yield f"      - entity: {proposal.entity}"
    deleted_by = [
        column
        for column in table.columns.values()
        if words_of(column.name) in DELETED_COLUMNS and not unreadable(column.name)
    ]
    if deleted_by:
        yield f"        {_deleted_condition(deleted_by[0])}"
    if proposal.parent is not None and (entity.is_line or entity.parent not in composite):
        yield f"        parent: {_quoted(proposal.parent)}"
    elif entity.is_line:
        yield f"        # TO DECIDE: parent: the column with the key of its {entity.parent}"
    yield "        fields:"
    matches = [m for m in proposal.matches if not (entity.fields[m.field].allowed and m.column in key)]
    usable = [m for m in matches if _is_usable(entity.fields[m.field], composite)]
    for match in usable:
        yield from _field_lines(match, entity.fields[match.field], table.columns[match.column])
    for match in (m for m in matches if m not in usable):
        of = entity.fields[match.field].ref
        to_decide = f"{match.field}: {_quoted(match.column)} names a {of}, whose key is several columns"
        yield f"          # TO DECIDE: {to_decide}"
    for name, field in entity.fields.items():
        if field.required and name not in {m.field for m in proposal.matches}:
            yield f"          # TO DECIDE: {name}: the model needs it, and no column looks like it"
    unread = [
        c
        for c in table.columns
        if c not in {m.column for m in matches} and c not in key and c not in {d.name for d in deleted_by}
    ]
    if unread:
        yield f"        # not read: {', '.join(unread)}"


def _is_usable(field: FieldType, composite: set[str]) -> bool:
    """False for a reference to an entity whose key is several columns: one column cannot name its record."""
    return field.ref is None or field.ref not in composite


def _deleted_condition(column: LiveColumn) -> str:
    """A guess by the column's type. For a text there is no guess: a wrong one would delete every record."""
    warning = "# check that this is what marks a deleted row"
    plain = _CEL_NAME.fullmatch(column.name) and column.name not in _CEL_WORDS
    name = column.name if plain else f"row[{json.dumps(column.name, ensure_ascii=False)}]"
    test = ""
    if column.type == "boolean":
        test = name
    elif column.type in NUMERIC:
        test = f"{name} == 1"
    elif column.type in TIMESTAMPS or column.type == "date":
        test = f"{name} != null"
    if test:
        quoted = test if plain else "'" + test.replace("'", "''") + "'"
        return f"deleted: {quoted}  {warning}"
    return f"# TO DECIDE: deleted: what does {column.name} contain in a deleted row?"


def _field_lines(match: Match, field: FieldType, column: LiveColumn) -> Iterator[str]:
    rule = dict(match.rule)
    if field.allowed:
        source_values = ", ".join(f"{_quoted(label)}: ?" for label in column.labels) or "<a value of the source>: ?"
        yield f"          # TO DECIDE: {match.field} takes {', '.join(field.allowed)}: add values: {{{source_values}}}"
    if rule.pop("round", None):
        limit = f"values with more than {field.scale} decimal places are rejected, unless you add `round:`"
        yield f"          # TO DECIDE: {column.type}: {limit}"
    if not rule:
        yield f"          {match.field}: {_quoted(match.column)}  # {match.confidence}"
        return
    words = [f"column: {_quoted(match.column)}"]
    for word, given in rule.items():
        words.append(f"{word}: [{', '.join(given)}]" if isinstance(given, list) else f'{word}: "{given}"')
    yield f"          {match.field}: {{{', '.join(words)}}}  # {match.confidence}"


def _quoted(name: str) -> str:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) and name.lower() not in (
        "null",
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
    )
    return name if plain else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
