"""Which table of an unknown database is which entity, and which column is which field: for `opshub map draft`.

In go the catalogue of the database and a few rows of each table; out come proposals, each with a confidence from 0 to
1. Tables are matched to entities by their names and by how well their columns fit; columns to fields by name, type,
sample values and foreign keys. Value maps and conditions are left to a person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from rapidfuzz import fuzz

from streams.dictionary.canonical_fields import EntityType, FieldType, entity_type, entity_types
from streams.dictionary.compile.plans import unreadable
from streams.dictionary.draft.structure import is_secondary, shape_score
from streams.dictionary.draft.usual_names import CONVERSIONS, FIELDS, REFERENCES, TABLES
from streams.dictionary.live_tables import LiveColumn, LiveTable
from streams.mapping.conversions.registry import make_step
from streams.mapping.notes import no_note
from streams.mapping.row_errors import BadValue
from streams.mapping.source_types import Refusal, reading

DELETED_COLUMNS = ("deleted at", "is deleted", "deleted", "del flag", "deleted on", "delete flag", "deleted date")
"""Names of columns that mark a deleted row: they are not fields of a record."""
_CHANGED = frozenset("updated modified changed update change modify write edited last tms".split())
"""Words of columns that say when a row was changed last: no field says that, and `updated_at` is spelt almost like
`created_at`.
"""

LEAST_COLUMN_CONFIDENCE = 0.65
LEAST_TABLE_CONFIDENCE = 0.6
"""Columns and tables below these confidences are not proposed."""

NUMERIC = {"smallint", "integer", "bigint", "numeric", "real", "double precision", "money"}
_WHOLE = {"smallint", "integer", "bigint"}
TIMESTAMPS = {"timestamp with time zone", "timestamp without time zone"}
Samples = dict[str, list[object]]
"""Column → some of its values."""


RuleWords = dict[str, str | list[str]]
"""Words of a field's rule besides its column: {"steps": ["email"], "bad": "null"}."""


@dataclass(frozen=True, slots=True)
class Match:
    """One column for one field."""

    field: str
    column: str
    confidence: float
    rule: RuleWords


@dataclass(frozen=True, slots=True)
class TableMatch:
    """One table for one entity."""

    table: LiveTable
    entity: str
    confidence: float
    matches: tuple[Match, ...]
    parent: str | None


def words_of(name: str) -> str:
    """A name in words: 'SalesOrder_Line' → 'sales order line', without prefixes such as tab, tbl and llx."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = re.sub(r"[\W_]+", " ", spaced).lower().split()
    return " ".join(word for word in words if word not in ("tab", "tbl", "t", "llx", "dbo")) or name.lower()


def _similarity(a: str, b: str) -> float:
    return max(fuzz.ratio(a, b), fuzz.token_sort_ratio(a, b), fuzz.ratio(a.replace(" ", ""), b.replace(" ", ""))) / 100


@cache
def _table_name_score(table: str, entity: str) -> float:
    own = [_singular(word) for word in words_of(table).split()]
    # Without the module in front, less surely: `sale_sale` and `persons_organisation`.
    names = [" ".join(own), *([" ".join(own[1:])] if len(own) > 1 else [])]
    known = [entity.replace("_", " "), *TABLES[entity].split("|")]
    return max(
        _similarity(name, " ".join(map(_singular, usual.split()))) - 0.03 * place
        for place, name in enumerate(names)
        for usual in known
    )


def _singular(word: str) -> str:
    return re.sub(r"ies$", "y", word) if word.endswith("ies") else word.rstrip("s")


@cache
def _column_name_score(column: str, field: str) -> float:
    own = re.sub(r" (cache|c)$", "", words_of(column))
    # A later, less usual name counts a little less, so that of two columns the one with the more usual name wins.
    names = [field.replace("_", " "), *FIELDS.get(field, "").split("|")]
    return max(_similarity(own, name) - min(0.2, 0.02 * place) for place, name in enumerate(names) if name)


@cache
def _without_table(column: str, table: str) -> tuple[str, ...]:
    """A column's name, and the same without the name of its table: `vendorname` and `vendor_no` of vendors."""
    name = words_of(column)
    rest = set()
    for word in words_of(table.split(".", 1)[1]).split():
        word = _singular(word)
        if len(word) > 3 and name.startswith(word):
            rest.add(name[len(word) :].removeprefix("s").strip())
    return (column, *sorted(rest - {"", "id"}))


@cache
def _reference_score(column: str, field: str) -> float:
    own = re.sub(r"^fk | (id|no|nr|ref)$", "", words_of(column))
    return max(
        _similarity(own, name)
        for name in (field.removesuffix("_id").replace("_", " "), *REFERENCES.get(field, "").split("|"))
    )


def _fits(field: FieldType, column: LiveColumn, samples: list[object]) -> tuple[float, RuleWords] | None:
    """How well a type fits (a factor), and what the rule then needs; None if the types cannot fit."""
    kind, whole = column.type, column.type in _WHOLE
    if field.kind == "tags":
        return (1.0, {}) if column.array else None
    if column.array or kind in ("bytea", "json", "jsonb"):
        return None
    if field.kind == "text":
        # A number may be a code or a house number, so it fits a text, but less well than a text.
        if kind in TIMESTAMPS or kind == "date" or kind == "boolean":
            return None
        return (0.8 if kind in NUMERIC else 1.0), {}
    if field.kind == "decimal":
        if kind not in NUMERIC:
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
        if kind in TIMESTAMPS:
            return 0.9, {"steps": ["date_of"]}
        return (0.9, {"steps": ["yyyymmdd"]}) if whole and _dates(samples) else None
    if field.kind == "timestamp":
        if kind in TIMESTAMPS:
            return 1.0, {}
        if kind == "date":
            return 0.9, {}
        return (0.8, {"steps": ["yyyymmdd"]}) if whole and _dates(samples) else None
    return None


def _is_refused(field: FieldType, column: LiveColumn) -> bool:
    """Whether a worker would reject the column's values for this field."""
    return isinstance(reading(column.name, column.source, field.kind), Refusal)


def _dates(samples: list[object]) -> bool:
    given = [s for s in samples if s]
    return bool(given) and all(isinstance(s, int) and 19_000_101 <= s <= 21_001_231 for s in given)


def _sample_score(field: str, samples: list[object]) -> tuple[float, RuleWords]:
    """How sample values change the confidence of a field that has a conversion: up if they pass it, down if they do
    not.
    """
    name = CONVERSIONS.get(field)
    texts = [s for s in samples if isinstance(s, str) and s.strip()]
    if name is None or not texts:
        return 0.0, {"steps": [name]} if name else {}
    if name in ("phone", "tax_id"):
        return 0.0, {"steps": [name], "bad": "null"}  # a national number needs a country, which a person adds later
    convert = make_step(name, country=None, timezone="UTC", note=no_note).convert
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
    """The best column for each field, each column once. `tables` has the entity that is proposed for each table."""
    keys = {fk.columns[0]: fk.table for fk in table.foreign_keys if len(fk.columns) == 1}
    matches: list[Match] = []
    for name, field in entity.fields.items():
        for column in table.columns.values():
            if field.kind == "map":
                continue
            if field.ref is not None:
                target = tables.get(keys.get(column.name, ""))
                named = _reference_score(column.name, name)
                # A foreign key to the table of the right entity is nearly sure; without one only the name speaks for
                # it.
                if target == field.ref:
                    matches.append(Match(name, column.name, round(0.8 + 0.2 * named, 2), {}))
                elif column.name not in keys and named > 0.85 and column.name not in table.primary_key:
                    matches.append(Match(name, column.name, round(0.7 * named, 2), {}))
                continue
            if (
                unreadable(column.name)
                or words_of(column.name) in DELETED_COLUMNS
                or (field.kind in ("date", "timestamp") and _CHANGED & set(words_of(column.name).split()))
                or (table.primary_key == (column.name,) and words_of(column.name) == "id")
            ):
                continue
            # Foreign keys and surrogate keys are not fields: they say nothing to a person.
            if column.name in keys or (table.primary_key == (column.name,) and column.type in (*_WHOLE, "uuid")):
                continue
            fit = _fits(field, column, samples.get(column.name, []))
            if fit is None or ("steps" not in fit[1] and _is_refused(field, column)):
                continue
            bonus, rule = _sample_score(name, samples.get(column.name, []))
            named = max(
                _column_name_score(own, name) - 0.03 * place
                for place, own in enumerate(_without_table(column.name, table.name))
            )
            confidence = min(1.0, named * fit[0] + bonus)
            if confidence >= LEAST_COLUMN_CONFIDENCE:
                matches.append(Match(name, column.name, round(confidence, 2), {**fit[1], **rule}))
    return _each_once(matches)


def _each_once(matches: list[Match]) -> list[Match]:
    """The surest matches in which no field and no column comes twice."""
    taken_fields: set[str] = set()
    taken_columns: set[str] = set()
    kept = []
    for match in sorted(matches, key=lambda m: -m.confidence):
        if match.field not in taken_fields and match.column not in taken_columns:
            taken_fields.add(match.field)
            taken_columns.add(match.column)
            kept.append(match)
    return kept


def propose(catalog: dict[str, LiveTable], samples: dict[str, Samples]) -> list[TableMatch]:
    """The best entity for each table that looks like one, one table for each entity, the surest first."""
    plain: dict[tuple[str, str], float] = {}
    for name, table in catalog.items():
        for entity_name in entity_types():
            entity = entity_type(entity_name)
            assert entity is not None
            plain[name, entity_name] = _plain_score(table, entity, samples.get(name, {}))
    chosen: dict[str, tuple[str, float]] = {}
    # Which table is the order decides which one has its lines, and the other way round: a few rounds settle it.
    for _ in range(ROUNDS):
        tables = {name: entity for name, (entity, _) in chosen.items()}
        ranked = []
        for (name, entity_name), score in plain.items():
            if score >= LEAST_PLAIN_SCORE:
                entity = entity_type(entity_name)
                assert entity is not None
                others = {other: of for other, of in tables.items() if other != name}
                ranked.append((score + shape_score(catalog[name], entity, catalog, others), name, entity_name))
        chosen = _one_each(ranked)
    tables = {name: entity for name, (entity, _) in chosen.items()}
    return [
        _table_match(catalog[name], entity, min(1.0, confidence), samples.get(name, {}), tables)
        for name, (entity, confidence) in chosen.items()
    ]


ROUNDS = 4
LEAST_POSSIBLE = 0.5
"""Columns that fit so well make a person be asked about a table whose name says nothing."""
MOST_OF_A_LINK = 6
"""Columns of a table that only links two records."""
LEAST_NAME_SCORE = 0.6
"""A table whose name is like nothing is asked about, not guessed."""
LEAST_PLAIN_SCORE = 0.4
"""Without regard to other tables; less than this, and no shape makes it an entity."""


def _plain_score(table: LiveTable, entity: EntityType, samples: Samples) -> float:
    """By name and columns alone. The name of a table counts about twice as much as its columns."""
    named = _table_name_score(table.name.split(".", 1)[1], entity.name)
    if named < LEAST_NAME_SCORE:
        return 0.0
    return 0.65 * named + 0.35 * min(1.0, 1.3 * _covered(table, entity, samples))


def _covered(table: LiveTable, entity: EntityType, samples: Samples) -> float:
    """How many of the usual fields of an entity its columns give, from 0 to 1 and a little more."""
    plain = [field for field in entity.fields.values() if field.ref is None and field.kind != "map"]
    matches = match_columns(table, entity, samples, {})
    return sum(match.confidence for match in matches) / max(4, min(10, len(plain)))


def possible_entity(table: LiveTable, samples: Samples) -> str | None:
    """The entity whose fields the columns of a table fit, though its name says nothing; None where they fit none well.
    A person is asked.
    """
    best, fitting = LEAST_POSSIBLE, None
    for entity_name in entity_types():
        entity = entity_type(entity_name)
        assert entity is not None
        if not is_secondary(table.name, entity_name):
            score = _covered(table, entity, samples)
            if score > best:
                best, fitting = score, entity_name
    return fitting


def joins(table: LiveTable, tables: Mapping[str, str]) -> tuple[str, str, str, str] | None:
    """(entity, column with its key, field, column with the other's key) of a table that only links two records: it can
    be mapped as `part_of`. `tables`: table → entity.
    """
    if len(table.columns) > MOST_OF_A_LINK:
        return None
    single = [key for key in table.foreign_keys if len(key.columns) == 1 and key.table in tables]
    keys = [(key.columns[0], tables[key.table]) for key in single]
    for column, entity_name in keys if len(keys) == 2 else []:
        entity = entity_type(entity_name)
        assert entity is not None
        for other, other_entity in keys:
            if other != column:
                for field in entity.fields.values():
                    if field.ref == other_entity:
                        return entity_name, column, field.name, other
    return None


def _one_each(ranked: list[tuple[float, str, str]]) -> dict[str, tuple[str, float]]:
    """Table → (entity, confidence): each table and each entity once, the surest first."""
    chosen: dict[str, tuple[str, float]] = {}
    taken: set[str] = set()
    for confidence, name, entity in sorted(ranked, reverse=True):
        if confidence >= LEAST_TABLE_CONFIDENCE and name not in chosen and entity not in taken:
            chosen[name] = (entity, confidence)
            taken.add(entity)
    return chosen


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
