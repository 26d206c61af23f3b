"""A dictionary against its database: tables, columns, types, keys and replica identities that do not fit.

In goes a dictionary and the catalogue of its database, out come errors (rows would be lost or rejected) and warnings
(some rows may be). Pure: `streams.dictionary.source_catalog` reads the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Literal, NamedTuple

from streams.dictionary.canonical_fields import FieldType, entity_type
from streams.dictionary.compile.compiler import compile_with_warnings
from streams.dictionary.compile.plans import Together
from streams.dictionary.language.dictionary import Dictionary, Table
from streams.dictionary.language.mapping_rule import MappingRule
from streams.dictionary.live_tables import LiveColumn, LiveTable
from streams.dictionary.problems import Problem
from streams.dictionary.source_catalog import types_of
from streams.dictionary.yaml_lines import YamlPath
from streams.mapping.compiled import CompiledDictionary
from streams.mapping.source_types import WIDE_LISTS


class LiveFinding(NamedTuple):
    """One thing that does not fit, and how bad it is."""

    level: Literal["error", "warning"]
    problem: Problem


def check_live_database(
    dictionary: Dictionary, compiled: CompiledDictionary, catalog: dict[str, LiveTable]
) -> list[LiveFinding]:
    """Everything that does not fit, table by table."""
    # What a worker refuses: it compiles the dictionary with the same types.
    made = compile_with_warnings(dictionary, types=types_of(catalog))
    findings = [LiveFinding("warning" if refusal.by_value else "error", refusal.problem) for refusal in made.refusals]
    findings += _left_out(dictionary, made.together, catalog)
    for name, table in dictionary.tables.items():
        live = catalog.get(name)
        if live is None:
            near = get_close_matches(name, catalog, n=1)
            right = (
                f"did you mean {near[0]}?"
                if near
                else "is it in another database, or does the role lack the right to see it (GRANT USAGE, SELECT)?"
            )
            findings.append(_error(dictionary, ("tables", name), "the database has no such table", right))
            continue
        findings += _TableCheck(dictionary, name, table, live).run(compiled.tables[name].columns)
    return findings


def _left_out(dictionary: Dictionary, together: list[Together], catalog: dict[str, LiveTable]) -> Iterator[LiveFinding]:
    """Wide columns that Postgres leaves out of an update which does not change them, where all columns are needed.

    JSON, lists and bytes are expected to be wide, and every column of a table that has values out of line; of other
    texts without a limit nobody knows.
    """
    for place in together:
        live = catalog.get(place.table)
        if live is None or live.identity == "full":
            continue
        wide = [c for name in place.columns if (c := live.columns.get(name)) is not None and c.is_wide]
        wide = [c for c in wide if c.name not in live.primary_key]
        if not wide:
            continue
        names = ", ".join(column.name for column in wide)
        effect = "its rows become dead letters" if place.is_structural else "the change of another column is not seen"
        surely = live.has_out_of_line or any(c.array or c.source.form != "text" for c in wide)
        quoted = ".".join(f'"{identifier}"' for identifier in place.table.split(".", 1))
        problem = dictionary.file.problem(
            place.path,
            f"an update that leaves a wide {names} alone does not send it: {effect}",
            f"ALTER TABLE {quoted} REPLICA IDENTITY FULL",
        )
        yield LiveFinding("error" if surely else "warning", problem)


def _error(dictionary: Dictionary, path: YamlPath, what: str, right: str = "") -> LiveFinding:
    return LiveFinding("error", dictionary.file.problem(path, what, right))


class _TableCheck:
    """One table of the dictionary against the table of the database."""

    def __init__(self, dictionary: Dictionary, name: str, table: Table, live: LiveTable) -> None:
        self.dictionary = dictionary
        self.path: YamlPath = ("tables", name)
        self.table = table
        self.live = live
        self.quoted = ".".join(f'"{identifier}"' for identifier in name.split(".", 1))
        self.findings: list[LiveFinding] = []

    def error(self, path: YamlPath, what: str, right: str = "") -> None:
        self.findings.append(_error(self.dictionary, path, what, right))

    def warn(self, path: YamlPath, what: str, right: str = "") -> None:
        self.findings.append(LiveFinding("warning", self.dictionary.file.problem(path, what, right)))

    def run(self, read: tuple[str, ...]) -> list[LiveFinding]:
        self._key()
        checked: set[str] = set()
        for i, target in enumerate(self.table.to):
            entity = entity_type(target.entity)
            if entity is None:
                continue
            for group, rules in (("fields", target.fields), ("attributes", target.attributes)):
                for name, rule in rules.items():
                    path = (*self.path, "to", i, group, name)
                    field = entity.fields.get(name) if group == "fields" else FieldType(name, "text")
                    for column in (rule.column, *(rule.columns or ())):
                        if column is not None:
                            checked.add(column)
                            self._column(path, column)
                    if field is not None and rule.column in self.live.columns:
                        self._type(path, rule, field, self.live.columns[rule.column])
        for column in read:
            if column not in checked:
                self._column(self.path, column)
        self._lists()
        return self.findings

    def _column(self, path: YamlPath, column: str) -> None:
        if column in self.live.columns or column in self.table.optional:
            return
        near = get_close_matches(column, self.live.columns, n=1, cutoff=0.5)
        right = f"did you mean {near[0]}?" if near else f"it has {', '.join(self.live.columns)}"
        self.error(path, f"{self.live.name} has no column {column!r}", right)

    def _lists(self) -> None:
        """Lists that Debezium cannot mark as unchanged: it would send null, or stop."""
        wide = [c for c in self.live.columns.values() if c.array and c.is_wide and c.type not in WIDE_LISTS]
        if not wide or self.live.identity == "full":
            return
        of = ", ".join(f"{column.name} {column.source.name}" for column in wide)
        report = self.error if self.live.has_out_of_line else self.warn
        report(
            self.path,
            f"{of}: where an update leaves such a list alone and it is wide, Debezium cannot send the row",
            f"ALTER TABLE {self.quoted} REPLICA IDENTITY FULL, or name it in column.exclude.list of source.json",
        )

    # ---- keys ----

    def _key(self) -> None:
        path, key, live = (*self.path, "key"), self.table.key, self.live
        missing = [c for c in key if c not in live.columns]
        for column in missing:
            self._column(path, column)
        if missing:
            return
        full = f"ALTER TABLE {self.quoted} REPLICA IDENTITY FULL"
        # A delete contains only the primary key, unless the replica identity is FULL.
        if set(key) != set(live.primary_key):
            if not any(set(key) == set(unique) for unique in live.unique):
                has = (
                    f"its primary key is {', '.join(live.primary_key)}" if live.primary_key else "it has no primary key"
                )
                self.error(path, f"{', '.join(key)} is not a key of {live.name}: two rows may become one record", has)
            elif any(live.columns[c].nullable for c in key):
                self.error(path, "a column of the key may be null", "a row with a null in its key is rejected")
            if self.table.before != "full":
                self.error(
                    path,
                    "this is not the primary key, so a delete does not contain it",
                    f"{full}; and add `before: full`",
                )
        for column in key:
            if live.columns[column].collation:
                self.warn(
                    path,
                    f"{column} is compared by the collation {live.columns[column].collation}, which calls different "
                    "texts equal: a reference that is spelled otherwise does not find it",
                    "make the references by the same spelling, e.g. with ON UPDATE CASCADE or a step in both",
                )
        keys = [set(key), *(set(target.key_columns) for target in self.table.to if target.key_columns)]
        late = next((", ".join(columns) for columns in live.late_keys if set(columns) in keys), None)
        if late is not None and self.table.before != "full":
            self.error(
                path,
                f"the key {late} is checked late (deferrable): two rows may have it for a moment",
                f"{full}; and add `before: full`",
            )
        if not live.primary_key and live.identity == "default":
            self.error(path, "without a primary key the table's updates and deletes fail once it is published", full)
        if live.identity == "nothing":
            self.error(path, "the replica identity is NOTHING: deletes and updates cannot be captured", full)
        if self.table.before == "full" and live.identity != "full":
            self.error((*self.path, "before"), f"the replica identity is {live.identity}: old rows are not sent", full)

    # ---- types ----

    def _type(self, path: YamlPath, rule: MappingRule, field: FieldType, column: LiveColumn) -> None:
        """Values of a type that fits its field, and that the field may not take all the same."""
        if rule.values is not None:
            self._labels(path, rule, column)
            return
        if rule.steps or rule.path or rule.split or rule.lookup or rule.typed or column.array:
            return  # the column's type says nothing about the result of these
        of = f"{column.name} is {column.type}"
        if field.kind == "decimal" and column.source.form in ("number", "float"):
            self._decimal(path, rule, field, column, of)
        elif field.kind == "timestamp" and column.source.form in ("day", "local"):
            self._zone(path, rule, of)
        if field.allowed and field.kind == "text":
            self.warn(
                path, f"`{field.name}` takes only {', '.join(field.allowed)}", "map the source's values with `values:`"
            )

    def _decimal(self, path: YamlPath, rule: MappingRule, field: FieldType, column: LiveColumn, of: str) -> None:
        has_more_decimals = column.source.form == "float" or (
            column.type == "numeric" and (column.scale is None or column.scale > field.scale)
        )
        if has_more_decimals and rule.round is None:
            self.warn(
                path,
                f"{of}{_size(column)}, with more than {field.scale} decimal places",
                "add `round: half_even`, or such rows are rejected",
            )
        if column.precision is not None and column.precision - (column.scale or 0) > field.precision - field.scale:
            self.warn(
                path,
                f"{of}{_size(column)}, larger than `{field.name}`",
                f"more than {field.precision - field.scale} digits are rejected",
            )

    def _zone(self, path: YamlPath, rule: MappingRule, of: str) -> None:
        zones = (rule.timezone, self.table.timezone, "timezone" in self.dictionary.model_fields_set or None)
        if not any(zones):
            self.warn(
                path,
                f"{of}: in which time zone?",
                "add `timezone:` at the top, on the table or on the field; without it UTC is used",
            )

    def _labels(self, path: YamlPath, rule: MappingRule, column: LiveColumn) -> None:
        """Labels of an enum that a value map leaves out."""
        unlisted = [label for label in column.labels if label not in (rule.values or {})]
        if unlisted and rule.unknown == "reject":
            self.error(
                (*path, "values"),
                f"no rule for {', '.join(map(repr, unlisted))}, which {column.name} may hold",
                "add them, or add `unknown:`",
            )


def _size(column: LiveColumn) -> str:
    return f"({column.precision},{column.scale})" if column.precision is not None else ""
