"""Plans the source of a field's value: columns, expressions, types in texts, steps, other tables, exchange rates.

In goes a `MappingRule` or a part of it. The planner records the columns and constants that the generated code will
need, and adds every mistake to the problems of the dictionary.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from streams.dictionary.canonical_fields import FieldType
from streams.dictionary.compile.expression import ColumnRead, Expression, ExpressionError, compile_expression
from streams.dictionary.compile.key_columns import key_types
from streams.dictionary.compile.plans import Names, PlannedField, Together
from streams.dictionary.language.dictionary import Dictionary, Table
from streams.dictionary.language.mapping_rule import Lookup, MappingRule, StepRule
from streams.dictionary.problems import Problem
from streams.dictionary.yaml_lines import YamlPath
from streams.mapping.conversion_cache import ConversionCache, of_pair
from streams.mapping.conversions.registry import make_step
from streams.mapping.exchange_rates import RateTable
from streams.mapping.field_functions import joined, typed_key
from streams.mapping.lookups import LookupTable
from streams.mapping.notes import AddFieldNote
from streams.mapping.row_groups import RowGroups
from streams.mapping.source_types import (
    UNKNOWN,
    ColumnTypes,
    Read,
    Refusal,
    SourceType,
    before_steps,
    in_expression,
    refusal_before_steps,
    refuse,
    source_type,
)
from streams.mapping.values.key_forms import key_form, why_not_equal
from streams.mapping.values.source_forms import number

LookupSide = LookupTable | RowGroups
"""The rows of a table that rules look into, in memory."""

Then = Callable[[Callable[[str], str]], None]
"""then(python): value = python(value), unless it is null."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """A place that names a record of this system, and the number of columns that name it (None if unknown)."""

    entity: str
    namespace: str | None
    path: YamlPath
    columns: int | None

    @property
    def record(self) -> str:
        return self.entity + (f" in the namespace {self.namespace}" if self.namespace else "")


class NamedValue(NamedTuple):
    """A value that expressions use by its name."""

    python: str
    """The expression that makes it, a call."""
    columns: tuple[str, ...]


class Shared(Protocol):
    """What the tables of one dictionary share while they are planned."""

    dictionary: Dictionary
    lookups: dict[str, LookupSide]
    rates: RateTable | None
    add_note: AddFieldNote
    problems: list[Problem]
    systems: Collection[str] | None
    """The systems that a reference may name; None if they are not known here."""
    pointers: list[Pointer]
    """References to records of this system."""
    together: list[Together]
    """Columns of which a place of the file needs all."""
    types: Mapping[str, ColumnTypes] | None
    """Table → the types of its columns; None if they are not known here."""

    def refused(self, path: YamlPath, refusal: Refusal) -> None: ...

    def wrong(self, path: YamlPath, what: str, right: str = "") -> None: ...


class SourcePlanner:
    """Plans the sources of the values of one table's fields.

    Its methods return Python text and record what the generated code needs: columns to read, constants to call.
    """

    def __init__(self, shared: Shared, name: str, table: Table, names: Names) -> None:
        self.shared = shared
        self.name = name
        self.table = table
        self.names = names
        self.path: YamlPath = ("tables", name)
        self.columns: dict[str, None] = dict.fromkeys(table.key)
        """Every column that the code reads. A dict without values: a set that keeps its order, so that the generated
        code is always the same.
        """
        self.structural: dict[str, None] = {}
        """Columns without which a row cannot be placed: keys, conditions, parents."""
        self.required: dict[str, None] = {}
        """Columns of fields that must have a value."""
        self.constants: dict[str, object] = {}
        """What the code calls, by the name that it uses."""
        self.functions: list[str] = []
        """Source of functions that the code calls."""
        self.uses_lookups = False
        """Whether it looks into other tables."""
        self.temporaries = 0
        self.named_values: dict[str, NamedValue] = {}
        """The values `with` names of the record that is being planned."""
        self.conversion_attributes: list[PlannedField] = []
        """Attributes that keep the rate, its day and the original of a converted amount."""

    def _read(self, columns: tuple[str, ...] | list[str]) -> None:
        for column in columns:
            self.columns[column] = None

    def _constant(self, prefix: str, value: object) -> str:
        """The name under which generated code can use `value`."""
        name = f"{prefix}_{len(self.constants)}"
        self.constants[name] = value
        return name

    def _temporary(self) -> str:
        """The name of a new local variable of the generated code."""
        self.temporaries += 1
        return f"v_{self.temporaries}"

    def _note_adder(self, path: YamlPath) -> Callable[..., None]:
        """note(kind, value, reason='') for the rule at a path, or within it."""
        record = self.table.to[path[3]].entity if isinstance(path[3], int) else ""
        place = (
            [str(step) for step in path[4:6]]
            if path[4] == "attributes"
            else [str(path[5 if path[4] == "fields" else 4])]
        )
        add_note, table, field = self.shared.add_note, self.name, ".".join((record, *place))
        return lambda kind, value, reason="": add_note(table, field, kind, reason, value)

    # ---- types of columns ----

    def _type_of(self, column: str, table: str | None = None) -> SourceType | None:
        """The type of a column, by default of this table; None if no types are known, UNKNOWN if this one is not."""
        if self.shared.types is None:
            return None
        name = self.shared.types.get(table or self.name, {}).get(column)
        return UNKNOWN if name is None else source_type(name)

    def _as_read(self, read: Read | Refusal | None, path: YamlPath, then: Then) -> None:
        """value = read(value); a column that cannot be read so rejects its row, with the reason."""
        if isinstance(read, Refusal):
            self.shared.refused(path, read)
            read = None if read.by_value else refuse(read)
        if read is not None:
            call = self._constant("read", read)
            then(lambda v: f"{call}({v})")

    def _through_steps(self, column: str, source: SourceType | None, path: YamlPath, then: Then) -> None:
        """What a column's value becomes before steps take it."""
        if source is not None:
            self._as_read(refusal_before_steps(column, source) or before_steps(source), path, then)

    def _read_column(self, column: str, how: Callable[[SourceType], Read | None]) -> str:
        """A column's value as an expression, as `how` reads its type."""
        local, source = self.names.local(column), self._type_of(column)
        read = how(source) if source is not None else None
        if read is None:
            return local
        call = f"{self._constant('read', read)}({local})"
        if read is number:  # exact, so dear; and the same few quantities come again and again
            cache = self._constant("cache", ConversionCache(number))
            call = f"{cache}[{local}] if {local}.__class__ is str or {local}.__class__ is float else {call}"
        return f"(None if {local} is None else {call})"

    def _expression(self, text: str, path: YamlPath) -> Expression | None:
        def read(column: str) -> ColumnRead:
            if column in self.named_values:
                value = self.named_values[column].python
                return ColumnRead(value, value, None)
            source = self._type_of(column)
            return ColumnRead(self._read_column(column, in_expression), self.names.local(column), source)

        try:
            expression = compile_expression(text, read)
        except ExpressionError as error:
            self.shared.wrong(
                path, str(error), 'write columns as they are, texts in quotes: status == "A" && deleted_at == null'
            )
            return None
        if expression.refusal:
            remedy = "write both as one kind: decimal(x) makes a number of a text, string(x) a text of a number"
            self.shared.refused(path, Refusal(f"{text!r} {expression.refusal}", remedy))
        of_values = {name: value.columns for name, value in self.named_values.items() if name in expression.columns}
        if of_values:
            columns = [column for name in expression.columns for column in of_values.get(name, (name,))]
            expression = replace(expression, columns=tuple(dict.fromkeys(columns)))
        self._read(expression.columns)
        return expression

    def _origin(self, rule: MappingRule, field: FieldType, path: YamlPath) -> tuple[str, tuple[str, ...]]:
        """The expression for the source of a rule (column, columns or expr), and the columns that it reads."""
        if rule.column is not None:
            return self.names.local(rule.column), (rule.column,)
        if rule.expr is not None:
            expression = self._expression(rule.expr, (*path, "expr"))
            return (expression.python, expression.columns) if expression else ("None", ())
        columns = rule.columns or ()
        local = [self.names.local(c) if field.ref is not None else self._read_column(c, before_steps) for c in columns]
        if field.ref is not None:
            known = " and ".join(f"{c} is not None" for c in local)
            if len(local) == 1:
                return local[0], columns
            forms = [""] * len(local) if rule.lookup is not None else self._reference_forms(rule, field, columns, path)
            parts = [f"{form}({c})" if form else c for form, c in zip(forms, local, strict=True)]
            return f"('|'.join(({', '.join(f'key_part({c})' for c in parts)})) if {known} else None)", columns
        joiner = self._constant("joined", joined(rule.join))
        return f"{joiner}({', '.join(local)})", columns

    def _reference_forms(
        self, rule: MappingRule, field: FieldType, columns: tuple[str | None, ...], path: YamlPath
    ) -> list[str]:
        """As `_key_forms`, of the record that a rule refers to; a column of None is a value that steps have made."""
        if rule.system not in (None, self.shared.dictionary.system):
            return self._key_forms(columns, [], path)
        entity = str(rule.entity or field.ref)
        return self._key_forms(
            columns, key_types(self.shared.dictionary, self.shared.types, entity, rule.namespace), path
        )

    def _key_forms(self, columns: tuple[str | None, ...], keys: list[SourceType | None], path: YamlPath) -> list[str]:
        """For each column the name of the function that makes the one text of its key; empty where none is needed.
        `keys`: the types of the columns of that key.
        """
        if len(keys) != len(columns):
            keys = [None] * len(columns)
        names: list[str] = []
        for column, key in zip(columns, keys, strict=True):
            own = self._type_of(column) if column is not None else None
            if own is not None and key is not None and (why := why_not_equal(own, key)) is not None:
                what = f"{column} is {own.name}, and the key that it names is {key.name}: {why}"
                self.shared.refused(path, Refusal(what, "give both columns one type, or add a step", by_value=True))
            form = key_form(own, key)
            names.append(self._constant("key_form", form) if form is not None else "")
        return names

    def _typed(
        self,
        types: dict[str, str],
        field: FieldType,
        lookup: Lookup | None,
        rule: MappingRule,
        path: YamlPath,
        then: Then,
    ) -> None:
        """Read the key out of 'sale.line,1'. It is a key of the field's entity, or of the table that is looked into
        next.
        """
        wanted = lookup.table if lookup is not None else rule.entity or field.ref
        others = [target for target in types.values() if target != wanted]
        if (field.ref is None and lookup is None) or others:
            self.shared.wrong(
                (*path, "typed"),
                f"points to {', '.join(others) or 'nothing: this field is not a reference'}",
                f"write the table of the lookup: {wanted}"
                if lookup is not None
                else f"write the field's entity: {wanted}",
            )
            return
        reader = self._constant("typed", typed_key(frozenset(types)))
        then(lambda v: f"{reader}({v})")

    def _step(self, rule: MappingRule, step: StepRule, field: FieldType, path: YamlPath, then: Then) -> tuple[str, ...]:
        """Apply one conversion; return the further columns that it reads. A pure one is cached."""
        dictionary = self.shared.dictionary
        zone = rule.timezone or self.table.timezone or dictionary.timezone
        try:
            conversion = make_step(step, country=dictionary.country, timezone=zone, note=self._note_adder(path))
        except ValueError as error:
            self.shared.wrong(path, str(error), "docs/guides/conversions.md lists the conversions")
            return ()
        call = self._constant(f"step_{conversion.name}", conversion.convert)
        others = [self.names.local(c) for c in conversion.columns]
        plain = "{}(" + ", ".join(["{}", *others]) + ")"
        if conversion.pure and not others:
            cache = self._constant("cache", ConversionCache(conversion.convert))
            then(lambda v: f"{cache}[{v}] if {v}.__class__ is str or {v}.__class__ is int else {plain.format(call, v)}")
        elif conversion.pure and len(others) == 1:
            cache = self._constant("cache", ConversionCache(of_pair(conversion.convert)))
            both = f"{others[0]}.__class__ is str"
            then(lambda v: f"{cache}[{v}, {others[0]}] if {v}.__class__ is str and {both} else {plain.format(call, v)}")
        else:
            then(lambda v: plain.format(call, v))
        return conversion.columns
