"""A first dictionary for a database that nobody has described: for `opshub map draft`.

In go the catalogue of the database and a few rows of each table; out comes YAML that says what it is sure of, and how
sure. Tables are matched to entities by their names and by how well their columns fit, columns to fields by name, type,
sample values and foreign keys. A person finishes it: value maps and conditions are theirs to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from rapidfuzz import fuzz

from streams.dictionary.canonical_fields import EntityType, FieldType, entity_type, entity_types
from streams.dictionary.catalog import LiveColumn, LiveTable
from streams.dictionary.draft_words import CONVERSIONS, FIELDS, TABLES
from streams.dictionary.generate import unreadable
from streams.mapping.cleanse.conversions import make
from streams.mapping.problems import BadValue

_CEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CEL_WORDS = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return var void while".split()
)
_GONE = ("deleted at", "is deleted", "deleted", "del flag", "deleted on", "delete flag", "deleted date")
"""What columns are called that mark a deleted row: they are no field of it."""
_NEVER = {"created_at": frozenset("updated modified changed update change modify write edited last".split())}
"""Field → words that a column of it does not have, near as its name may be otherwise."""

SURE = 0.5
"""Columns are proposed from this confidence on; tables from 0.45."""

_NUMERIC = {"smallint", "integer", "bigint", "numeric", "real", "double precision", "money"}
_WHOLE = {"smallint", "integer", "bigint"}
_TIMED = {"timestamp with time zone", "timestamp without time zone"}
Samples = dict[str, list[Any]]
"""Column → some of its values."""


@dataclass(frozen=True, slots=True)
class Match:
    """One column for one field."""

    field: str
    column: str
    confidence: float
    rule: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TableMatch:
    """One table for one entity."""

    table: LiveTable
    entity: str
    confidence: float
    matches: tuple[Match, ...]
    parent: str | None


def words(name: str) -> str:
    """A name in words: 'SalesOrder_Line' → 'sales order line'; prefixes such as tab, tbl and llx go."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    parts = re.sub(r"[^0-9a-zA-Z]+", " ", apart).lower().split()
    return " ".join(p for p in parts if p not in ("tab", "tbl", "t", "llx", "dbo")) or name.lower()


def _same(a: str, b: str) -> float:
    return max(fuzz.ratio(a, b), fuzz.token_sort_ratio(a, b), fuzz.ratio(a.replace(" ", ""), b.replace(" ", ""))) / 100


@cache
def _named_table(table: str, entity: str) -> float:
    own = " ".join(
        re.sub(r"ies$", "y", word) if word.endswith("ies") else word.rstrip("s") for word in words(table).split()
    )
    names = [entity.replace("_", " "), *TABLES[entity].split("|")]
    return max(_same(own, " ".join(part.rstrip("s") for part in name.split())) for name in names)


@cache
def _named_column(column: str, field: str) -> float:
    own = words(column)
    names = [field.replace("_", " "), *FIELDS.get(field, "").split("|")]
    return max(_same(own, name) - 0.02 * place for place, name in enumerate(names) if name)


def _fits(field: FieldType, column: LiveColumn, samples: list[Any]) -> tuple[float, dict[str, Any]] | None:
    """How well a type fits (a factor), and what the rule then needs; None if it cannot be."""
    kind, whole = column.type, column.type in _WHOLE
    if field.kind == "tags":
        return (1.0, {}) if column.array else None
    if column.array or kind in ("bytea", "json", "jsonb"):
        return None
    if field.kind == "text":
        if kind in _TIMED or kind == "date" or kind == "boolean":
            return None
        return (0.8 if kind in _NUMERIC else 1.0), {}
    if field.kind == "decimal":
        if kind not in _NUMERIC:
            return None
        exact = (kind == "numeric" and column.scale is not None and column.scale <= field.scale) or whole
        return (1.0 if not whole else 0.8), ({} if exact else {"round": "half_even"})
    if field.kind == "int":
        return (1.0, {}) if whole else None
    if field.kind == "bool":
        if kind == "boolean":
            return 1.0, {}
        return (
            (0.7, {"steps": ["boolean"]})
            if whole or kind in ("text", "character varying", "character", '"char"')
            else None
        )
    if field.kind == "date":
        if kind == "date":
            return 1.0, {}
        if kind in _TIMED:
            return 0.9, {"steps": ["date_of"]}
        return (0.9, {"steps": ["yyyymmdd"]}) if whole and _dates(samples) else None
    if field.kind == "timestamp":
        if kind in _TIMED:
            return 1.0, {}
        if kind == "date":
            return 0.9, {}
        return (0.8, {"steps": ["yyyymmdd"]}) if whole and _dates(samples) else None
    return None


def _dates(samples: list[Any]) -> bool:
    given = [s for s in samples if s]
    return bool(given) and all(isinstance(s, int) and 19_000_101 <= s <= 21_001_231 for s in given)


def _proof(field: str, samples: list[Any]) -> tuple[float, dict[str, Any]]:
    """What sample values say of a field that has a conversion: a bonus if they pass it, a malus if they do not."""
    name = CONVERSIONS.get(field)
    texts = [s for s in samples if isinstance(s, str) and s.strip()]
    if name is None or not texts:
        return 0.0, {"steps": [name]} if name else {}
    if name in ("phone", "tax_id"):
        return 0.0, {"steps": [name], "bad": "null"}  # national ones need a country, which the dictionary will say
    convert = make(name, country=None, timezone="UTC", note=lambda reason, value: None).convert
    passed = 0
    for text in texts:
        try:
            convert(text)
            passed += 1
        except BadValue:
            continue
    share = passed / len(texts)
    return 0.3 * (share - 0.5), {"steps": [name], **({"bad": "null"} if share < 1 else {})}


def match_columns(table: LiveTable, entity: EntityType, samples: Samples, tables: dict[str, str]) -> list[Match]:
    """The best column for each field, each column once. `tables` says which tables are proposed for which entity."""
    keys = {fk.columns[0]: fk.table for fk in table.foreign_keys if len(fk.columns) == 1}
    found: list[Match] = []
    for name, field in entity.fields.items():
        for column in table.columns.values():
            if field.kind == "map":
                continue
            if field.ref is not None:
                target = tables.get(keys.get(column.name, ""))
                named = _same(
                    re.sub(r" (id|no|ref)$", "", words(column.name)), re.sub(r"_id$", "", name).replace("_", " ")
                )
                if target == field.ref:
                    found.append(Match(name, column.name, round(0.8 + 0.2 * named, 2), {}))
                elif column.name not in keys and named > 0.85 and column.name not in table.primary_key:
                    found.append(Match(name, column.name, round(0.7 * named, 2), {}))
                continue
            if (
                unreadable(column.name)
                or words(column.name) in _GONE
                or _NEVER.get(name, frozenset()) & set(words(column.name).split())
            ):
                continue
            if column.name in keys or (table.primary_key == (column.name,) and column.type in (*_WHOLE, "uuid")):
                continue
            fit = _fits(field, column, samples.get(column.name, []))
            if fit is None:
                continue
            bonus, rule = _proof(name, samples.get(column.name, []))
            confidence = min(1.0, _named_column(column.name, name) * fit[0] + bonus)
            if confidence >= SURE + 0.15:
                found.append(Match(name, column.name, round(confidence, 2), {**fit[1], **rule}))
    return _each_once(found)


def _each_once(found: list[Match]) -> list[Match]:
    taken_fields: set[str] = set()
    taken_columns: set[str] = set()
    kept = []
    for match in sorted(found, key=lambda m: -m.confidence):
        if match.field not in taken_fields and match.column not in taken_columns:
            taken_fields.add(match.field)
            taken_columns.add(match.column)
            kept.append(match)
    return kept


def propose(catalog: dict[str, LiveTable], samples: dict[str, Samples]) -> list[TableMatch]:
    """The best entity for each table that looks like one, one table for each entity, the surest first."""
    ranked: list[tuple[float, str, str]] = []
    for name, table in catalog.items():
        for entity_name in entity_types():
            entity = entity_type(entity_name)
            assert entity is not None
            named = _named_table(name.split(".", 1)[1], entity_name)
            fields = match_columns(table, entity, samples.get(name, {}), {})
            plain = [f for f in entity.fields.values() if f.ref is None and f.kind != "map"]
            covered = sum(m.confidence for m in fields) / max(4, len(plain))
            ranked.append((0.65 * named + 0.35 * min(1.0, 1.6 * covered), name, entity_name))
    chosen: dict[str, tuple[str, float]] = {}
    for confidence, name, entity_name in sorted(ranked, reverse=True):
        if confidence >= 0.6 and name not in chosen and entity_name not in {e for e, _ in chosen.values()}:
            chosen[name] = (entity_name, confidence)
    tables = {name: entity for name, (entity, _) in chosen.items()}
    return [
        _table_match(catalog[name], entity, confidence, samples.get(name, {}), tables)
        for name, (entity, confidence) in chosen.items()
    ]


def _table_match(
    table: LiveTable, entity_name: str, confidence: float, samples: Samples, tables: dict[str, str]
) -> TableMatch:
    entity = entity_type(entity_name)
    assert entity is not None
    matches = match_columns(table, entity, samples, tables)
    parent = None
    if entity.parent is not None and (
        entity.parent_field is None or entity.parent_field not in {m.field for m in matches}
    ):
        keys = [fk for fk in table.foreign_keys if len(fk.columns) == 1 and tables.get(fk.table) == entity.parent]
        parent = keys[0].columns[0] if keys else None
    return TableMatch(
        table,
        entity_name,
        round(confidence, 2),
        tuple(sorted(matches, key=lambda m: list(entity.fields).index(m.field))),
        parent,
    )


def draft_text(system: str, proposals: list[TableMatch], catalog: dict[str, LiveTable]) -> str:
    """The proposed dictionary as YAML, with a comment for each thing that a person must decide."""
    lines = [
        "# yaml-language-server: $schema=../dictionary.schema.json",
        "# A draft, made from the database's catalogue and a few rows. Each comment says how sure it is",
        "# (1 is sure), or what is left to say.",
        f"system: {system}",
        "kind: postgres",
        "# timezone: Europe/Berlin    the clock of timestamps without a zone",
        "# country: DE                the country of phones and tax ids that name none",
        "",
        "tables:",
    ]
    composite = {p.entity for p in proposals if len(_key(p.table)) > 1}
    for proposal in proposals:
        written = list(_table_lines(proposal, composite))
        lacks = _lacks(proposal, composite)
        if lacks:
            lines.append(
                f"  # TO DECIDE: {proposal.table.name} seems to be {proposal.entity}, and {lacks}. Finish it, or leave it out:"
            )
        lines += [f"  # {line[2:]}" for line in written] if lacks else written
    if all(_lacks(proposal, composite) for proposal in proposals):
        lines.append("  {}  # TO DECIDE: at least one table")
    left = sorted(set(catalog) - {p.table.name for p in proposals})
    if left:
        lines += ["", "# Tables that look like nothing in the model, or like a second table of an entity:"]
        lines += [
            f"#   {name} ({len(catalog[name].columns)} columns, about {catalog[name].rows} rows)" for name in left[:200]
        ]
    return "\n".join(lines) + "\n"


def _key(table: LiveTable) -> tuple[str, ...]:
    return table.primary_key or (table.unique[0] if table.unique else ())


def _lacks(proposal: TableMatch, composite: set[str]) -> str:
    """Why this table can not be mapped before a person has said more; '' if it can."""
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
        if any(_points(entity.fields[m.field], composite) for m in proposal.matches)
        else "no column looks like a field of it"
    )


def _table_lines(proposal: TableMatch, composite: set[str]) -> Iterator[str]:
    """The table as YAML. `composite`: the entities whose keys are several columns, so that one column cannot name them."""
    table, entity = proposal.table, entity_type(proposal.entity)
    assert entity is not None
    key = _key(table)
    yield f"  {_quoted(table.name)}:  # {proposal.confidence}"
    named = key or (next(iter(table.columns)),)
    undecided = "" if key else "  # TO DECIDE: the table has no key; name columns that are unique"
    yield (
        f"    key: [{', '.join(map(_quoted, named))}]{undecided}"
        if len(named) > 1 or "," in named[0]
        else f"    key: {_quoted(named[0])}{undecided}"
    )
    yield "    to:"
    yield f"      - entity: {proposal.entity}"
    gone = [column for column in table.columns.values() if words(column.name) in _GONE and not unreadable(column.name)]
    if gone:
        yield f"        {_deleted_by(gone[0])}"
    if proposal.parent is not None and (entity.is_line or entity.parent not in composite):
        yield f"        parent: {_quoted(proposal.parent)}"
    elif entity.is_line:
        yield f"        # TO DECIDE: parent: the column with the key of its {entity.parent}"
    yield "        fields:"
    matches = [m for m in proposal.matches if not (entity.fields[m.field].allowed and m.column in key)]
    told = [m for m in matches if _points(entity.fields[m.field], composite)]
    for match in told:
        yield from _field_lines(match, entity.fields[match.field], table.columns[match.column])
    for match in (m for m in matches if m not in told):
        of = entity.fields[match.field].ref
        yield f"          # TO DECIDE: {match.field}: {_quoted(match.column)} names a {of}, whose key is several columns"
    for name, field in entity.fields.items():
        if field.required and name not in {m.field for m in proposal.matches}:
            yield f"          # TO DECIDE: {name}: the model needs it, and no column looks like it"
    unread = [
        c
        for c in table.columns
        if c not in {m.column for m in matches} and c not in key and c not in {g.name for g in gone}
    ]
    if unread:
        yield f"        # not read: {', '.join(unread)}"


def _points(field: FieldType, composite: set[str]) -> bool:
    return field.ref is None or field.ref not in composite


def _deleted_by(column: LiveColumn) -> str:
    """A guess by the column's type; of a text nothing is guessed, since a wrong one would delete every record."""
    look = "# look whether this is what marks a deleted row"
    plain = _CEL_NAME.fullmatch(column.name) and column.name not in _CEL_WORDS
    name = column.name if plain else f"row[{json.dumps(column.name, ensure_ascii=False)}]"
    test = ""
    if column.type == "boolean":
        test = name
    elif column.type in _NUMERIC:
        test = f"{name} == 1"
    elif column.type in _TIMED or column.type == "date":
        test = f"{name} != null"
    if test:
        quoted = test if plain else "'" + test.replace("'", "''") + "'"
        return f"deleted: {quoted}  {look}"
    return f"# TO DECIDE: deleted: what does {column.name} hold where a row is deleted?"


def _field_lines(match: Match, field: FieldType, column: LiveColumn) -> Iterator[str]:
    rule = dict(match.rule)
    if field.allowed:
        words_known = ", ".join(f"{_quoted(label)}: ?" for label in column.labels) or "<what the source says>: ?"
        yield f"          # TO DECIDE: {match.field} takes {', '.join(field.allowed)}: say values: {{{words_known}}}"
    if rule.pop("round", None):
        yield f"          # TO DECIDE: {column.type}: what is finer than {field.scale} decimals is rejected, unless you say `round:`"
    if not rule:
        yield f"          {match.field}: {_quoted(match.column)}  # {match.confidence}"
        return
    parts = [f"column: {_quoted(match.column)}"]
    for word, given in rule.items():
        parts.append(f"{word}: [{', '.join(given)}]" if isinstance(given, list) else f'{word}: "{given}"')
    yield f"          {match.field}: {{{', '.join(parts)}}}  # {match.confidence}"


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
