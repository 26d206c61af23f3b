"""A dictionary against its database: tables, columns, types, keys and replica identities that do not fit.

In goes a dictionary and the catalogue of its database, out come errors (rows would be lost or rejected) and warnings
(some rows may be). Pure: `streams.dictionary.source_catalog` reads the catalogue.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Literal, NamedTuple

from streams.dictionary.canonical_fields import FieldType, entity_type
from streams.dictionary.language.dictionary import Dictionary, Table
from streams.dictionary.language.mapping_rule import MappingRule
from streams.dictionary.problems import Problem
from streams.dictionary.source_catalog import LiveColumn, LiveTable
from streams.dictionary.yaml_lines import YamlPath
from streams.mapping.compiled import CompiledDictionary


class LiveFinding(NamedTuple):
    """One thing that does not fit, and how bad it is."""

    level: Literal["error", "warning"]
    problem: Problem


_WHOLE = {"smallint", "integer", "bigint", "oid"}
_NUMBERS = _WHOLE | {"numeric", "real", "double precision", "money"}
_TEXTS = {"text", "character varying", "character", "uuid", "citext", "name", "inet", "cidr", "USER-DEFINED"}
_TIMES = {"timestamp with time zone", "timestamp without time zone"}
_CLOSED = {"json", "jsonb", "bytea", "xml", "hstore"}


def check_live_database(
    dictionary: Dictionary, compiled: CompiledDictionary, catalog: dict[str, LiveTable]
) -> list[LiveFinding]:
    """Everything that does not fit, table by table."""
    findings: list[LiveFinding] = []
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
        return self.findings

    def _column(self, path: YamlPath, column: str) -> None:
        if column in self.live.columns or column in self.table.optional:
            return
        near = get_close_matches(column, self.live.columns, n=1, cutoff=0.5)
        right = f"did you mean {near[0]}?" if near else f"it has {', '.join(self.live.columns)}"
        self.error(path, f"{self.live.name} has no column {column!r}", right)

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
        if not live.primary_key and live.identity == "default":
            self.error(path, "without a primary key the table's updates and deletes fail once it is published", full)
        if live.identity == "nothing":
            self.error(path, "the replica identity is NOTHING: deletes and updates cannot be captured", full)
        if self.table.before == "full" and live.identity != "full":
            self.error((*self.path, "before"), f"the replica identity is {live.identity}: old rows are not sent", full)

    # ---- types ----

    def _type(self, path: YamlPath, rule: MappingRule, field: FieldType, column: LiveColumn) -> None:
        if rule.values is not None:
            self._labels(path, rule, column)
            return
        if rule.steps or rule.path or rule.split or rule.lookup or rule.typed:
            return  # the column's type says nothing about the result of these
        of = f"{column.name} is {column.type}{'[]' if column.array else ''}"
        if field.kind == "tags":
            if not column.array:
                self.error(path, f"{of}, not a list", "add `steps: [list]`")
        elif column.array:
            self.error(
                path, f"{of}, a list", f"`{field.name}` is one {field.kind}: take a piece of it with `path: '[0]'`"
            )
        elif field.kind == "decimal":
            self._decimal(path, rule, field, column, of)
        elif field.kind == "int":
            # A numeric column may hold whole numbers; its values are checked one by one when they come.
            if column.type not in _NUMBERS:
                self.error(path, f"{of}, not an integer", "add a step, e.g. `multiply` or `extract`")
        elif field.kind == "bool" and column.type != "boolean":
            self.error(path, f"{of}, not a boolean", "add `steps: [boolean]`")
        elif field.kind == "date" and column.type != "date":
            step = "date_of" if column.type in _TIMES else "yyyymmdd" if column.type in _WHOLE else "date: '%d.%m.%Y'"
            self.error(path, f"{of}, not a date", f"add `steps: [{step if ':' not in step else '{' + step + '}'}]`")
        elif field.kind == "timestamp":
            self._timestamp(path, rule, column, of)
        elif field.kind == "text" and column.type in _CLOSED:
            self.error(
                path,
                f"{of}, not a text",
                "name a place in it with `path:`" if "json" in column.type else "it cannot be mapped",
            )
        elif field.ref is not None and column.type in (_NUMBERS - _WHOLE - {"numeric"}) | _TIMES | {"date", "boolean"}:
            self.error(path, f"{of}, which cannot be a key", "name the column that holds the other record's key")
        if field.allowed and field.kind == "text":
            self.warn(
                path, f"`{field.name}` takes only {', '.join(field.allowed)}", "map the source's values with `values:`"
            )

    def _decimal(self, path: YamlPath, rule: MappingRule, field: FieldType, column: LiveColumn, of: str) -> None:
        if column.type not in _NUMBERS:
            self.error(path, f"{of}, not a number", "add `steps: [decimal]`, with its `locale` if people typed it")
            return
        has_more_decimals = column.type in ("real", "double precision") or (
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

    def _timestamp(self, path: YamlPath, rule: MappingRule, column: LiveColumn, of: str) -> None:
        if column.type in _WHOLE and rule.unit is None:
            self.error(path, f"{of}, a number", "add its `unit`, or a step (`yyyymmdd`, `epoch`)")
        elif column.type not in _TIMES | _WHOLE | {"date"}:
            self.error(path, f"{of}, not a time", "add `steps: [{datetime: {formats: '%Y-%m-%d %H:%M:%S'}}]`")
        elif column.type == "timestamp without time zone":
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
