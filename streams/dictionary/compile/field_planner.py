"""Plans the Python that makes one canonical field.

The order of a rule is fixed: source, path, split, type, steps, lookup with its steps, exchange rate, value map,
default. In goes a `MappingRule` with the type of its field; out come statements, an expression and the columns that
both read. Functions that the code calls become `constants`. Every mistake is added to the planner's problems, with its
line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from streams.dictionary.canonical_fields import FieldType
from streams.dictionary.compile.lookup_planner import LookupPlanner
from streams.dictionary.compile.source_planner import NamedValue, Pointer, Then
from streams.dictionary.language.mapping_rule import MappingRule, Value
from streams.dictionary.standards import standard_of
from streams.dictionary.yaml_lines import YamlPath
from streams.mapping.conversion_cache import ConversionCache
from streams.mapping.conversions.registry import conversions, make_step
from streams.mapping.field_functions import chooser, forgiving, json_path, piece
from streams.mapping.notes import no_note
from streams.mapping.row_errors import BadValue
from streams.mapping.source_types import (
    SourceType,
    for_lookup,
    for_value_map,
    in_expression,
    reading,
    refusal_before_steps,
)
from streams.mapping.values.numbers import INT_MAX, truth, unscaled, whole_number
from streams.mapping.values.text import key_text, tags_of, text_of
from streams.mapping.values.times import FIRST_DAY, LAST_DAY, day, instant
from streams.model import limits
from streams.model.ids import ids

ToFieldType = Callable[[object], object]
"""The function from a source's value to the field's type."""


class FieldPython(NamedTuple):
    """The code that makes a field."""

    statements: list[str]
    """Python statements that run before the expression."""
    python: str
    columns: tuple[str, ...]
    """The columns that both read."""


ANY = FieldType("value", "text")
"""The field of a value that stands in expressions only: it stays as its source has it."""

_OWN_RANGE = {"int": (-INT_MAX - 1, INT_MAX), "date": (FIRST_DAY, LAST_DAY)}
"""Kinds whose canonical form is an int in this range: such a value passes as it is."""


class FieldPlanner(LookupPlanner):
    """Plans the fields of one table."""

    def plan_field(self, rule: MappingRule, field: FieldType, path: YamlPath) -> FieldPython | None:
        """The code of one field; None if its rule is wrong."""
        before = len(self.shared.problems)
        if "const" in rule.model_fields_set:
            return self._const(rule, field, path)
        statements, origin, value, read = self._taken(rule, field, path)
        to_type = self._to_type(rule, field, path)
        if to_type is None or len(self.shared.problems) > before:
            return None
        python = self._typed_value(rule, field, value, to_type, path)
        if rule.bad != "reject":
            python = self._forgiving(rule, field, origin, statements, python, path)
        python = self._never_null(rule, field, python, to_type, path)
        if rule.required or field.required:
            self.required.update(dict.fromkeys(read))
        return FieldPython(statements, python, read)

    def plan_value(self, value: Value, path: YamlPath, entity: str | None = None) -> NamedValue:
        """A value for expressions, or the key of a record of `entity`, as a call of a function of its columns."""
        field = FieldType("value", "ref", ref=entity) if entity is not None else ANY
        statements, _, local, columns = self._taken(value.as_rule(), field, path)
        if value.default is not None:
            statements.append(f"if {local} is None: return {value.default!r}")
        return NamedValue(self.as_call(statements, local, columns), columns)

    def as_call(self, statements: list[str], python: str, columns: tuple[str, ...]) -> str:
        """Several steps as the call of a function of their columns: where it is used, only an expression fits."""
        name = f"ref_{len(self.functions)}"
        given = ", ".join(self.names.local(column) for column in columns)
        self.functions.append(
            "\n".join([f"def {name}({given}):", *(f"    {s}" for s in statements), f"    return {python}"])
        )
        return f"{name}({given})"

    def _taken(
        self, rule: MappingRule, field: FieldType, path: YamlPath
    ) -> tuple[list[str], str, str, tuple[str, ...]]:
        """What a rule takes, before it becomes a value of its field: statements, the expression for its source, the
        one for the value, the columns that all of it reads.
        """
        statements: list[str] = []
        origin, given = self._origin(rule, field, path)
        value, columns = origin, list(given)

        def then(python: Callable[[str], str]) -> None:
            """value = python(value), unless it is null."""
            nonlocal value
            if not value.startswith("v_") or not value.isidentifier():
                temporary = self._temporary()
                statements.append(f"{temporary} = {value}")
                value = temporary
            statements.append(f"if {value} is not None: {value} = {python(value)}")

        if rule.column is not None:
            self._first(rule, field, rule.column, path, then)
        if rule.path is not None:
            try:
                reader = self._constant("path", json_path(rule.path))
                then(lambda v: f"{reader}({v})")
            except ValueError as error:
                self.shared.wrong((*path, "path"), str(error), "write it as address.lines[0]")
        if rule.split is not None:
            cut = self._constant("piece", piece(rule.split, rule.part))
            then(lambda v: f"{cut}({v})")
        if rule.typed is not None:
            self._typed(rule.typed, field, rule.lookup, rule, path, then)
        for i, step in enumerate(rule.steps):
            columns += self._step(rule, step, field, (*path, "steps", i), then)
        if rule.lookup is not None:
            columns += self._lookup(rule, rule.lookup, field, (*path, "lookup"), then)
        if rule.convert is not None:
            columns += self._exchange(rule, rule.convert, field, (*path, "convert"), then)
        read = tuple(dict.fromkeys(columns))
        self._read(read)
        return statements, origin, value, read

    # ---- types of columns ----

    def _first(self, rule: MappingRule, field: FieldType, column: str, path: YamlPath, then: Then) -> None:
        """What a column's value becomes before anything else."""
        source = self._type_of(column)
        if rule.path is not None or rule.split is not None or rule.typed is not None or rule.steps or rule.convert:
            self._through_steps(column, source, path, then)
        elif rule.lookup is not None:
            self._as_read(for_lookup(source) if source is not None else None, path, then)
        else:
            self._result(rule, field, column, source, path, then)

    def _result(
        self, rule: MappingRule, field: FieldType, column: str, source: SourceType | None, path: YamlPath, then: Then
    ) -> None:
        if source is None:
            return
        if field is ANY:
            self._as_read(in_expression(source), path, then)
            return
        if rule.values is not None:
            self._as_read(refusal_before_steps(column, source) or for_value_map(source), path, then)
            return
        self._as_read(reading(column, source, field.kind, unit=rule.unit is not None), path, then)

    # ---- the end of a field: value map, type, default ----

    def _to_type(self, rule: MappingRule, field: FieldType, path: YamlPath) -> ToFieldType | None:
        """The function from a source's value to the field's type."""
        if rule.round is not None and field.kind != "decimal":
            self.shared.wrong((*path, "round"), f"`{field.name}` is {field.kind}, not a decimal", "remove it")
        if (rule.unit is not None) and field.kind != "timestamp":
            self.shared.wrong((*path, "unit"), f"`{field.name}` is {field.kind}, not a timestamp", "remove it")
        if "timezone" in rule.model_fields_set and not self._takes_timezone(rule, field):
            self.shared.wrong((*path, "timezone"), f"`{field.name}` is {field.kind}, not a time", "remove it")
        for name in ("entity", "system", "typed", "namespace"):
            if name in rule.model_fields_set and field.ref is None:
                self.shared.wrong((*path, name), f"`{field.name}` is not a reference", "remove it")
                return None
        if field.kind == "decimal":
            return unscaled(field.scale, field.precision, rule.round)
        if field.kind == "timestamp":
            dictionary = self.shared.dictionary
            zone = rule.timezone or self.table.timezone or dictionary.timezone
            return instant(rule.unit or "micros", zone, self._note_adder(path))
        return {"text": text_of, "int": whole_number, "bool": truth, "date": day, "tags": tags_of, "ref": key_text}[
            field.kind
        ]

    @staticmethod
    def _takes_timezone(rule: MappingRule, field: FieldType) -> bool:
        """Whether a time zone has an effect: on a timestamp, or on a conversion with that option."""
        steps = (*rule.steps, *(rule.lookup.steps if rule.lookup is not None else ()))
        names = {step if isinstance(step, str) else next(iter(step), "") for step in steps}
        return field.kind == "timestamp" or any(
            "timezone" in known.options for n in names if (known := conversions().get(n))
        )

    def _converted(self, value: object, field: FieldType, to_type: ToFieldType, path: YamlPath) -> object:
        """A value that the dictionary itself gives (`const`, `default`, `values`), in the field's type."""
        if value is None:
            return None
        try:
            converted = to_type(value)
        except BadValue as error:
            self.shared.wrong(path, f"{error}", f"`{field.name}` is {field.kind}")
            return None
        if field.allowed and converted not in field.allowed:
            self.shared.wrong(path, f"{value!r} is not a value of `{field.name}`", f"one of {', '.join(field.allowed)}")
        standard = standard_of(field.name) if field.kind == "text" and path[4] == "fields" else None
        if standard is not None:
            try:
                clean = make_step(
                    standard, country=self.shared.dictionary.country, timezone="UTC", note=no_note
                ).convert(converted)
            except BadValue as error:
                self.shared.wrong(path, str(error), f"write it as the conversion `{standard}` returns it")
                return None
            if clean != converted:
                self.shared.wrong(
                    path, f"{value!r} is not in the form in which other systems' values arrive", f"write {clean}"
                )
        return converted

    def _const(self, rule: MappingRule, field: FieldType, path: YamlPath) -> FieldPython | None:
        to_type = self._to_type(rule, field, path)
        if to_type is None:
            return None
        if field.ref is not None:
            self.shared.wrong(
                (*path, "const"),
                "a reference cannot be the same for each row",
                "name the column that holds the other record's key",
            )
            return None
        converted = self._converted(rule.const, field, to_type, (*path, "const"))
        if isinstance(converted, list):
            return FieldPython([], f"list({self._constant('const', tuple(converted))})", ())
        return FieldPython([], repr(converted), ())

    def _typed_value(
        self, rule: MappingRule, field: FieldType, value: str, to_type: ToFieldType, path: YamlPath
    ) -> str:
        """The expression that makes a value one of the field's type."""
        if rule.values is not None:
            # A number with decimals is compared digit for digit: the key 1.00 is the number 1.
            key = self._value_key(rule)
            converted = {
                key(k): self._converted(v, field, to_type, (*path, "values", k)) for k, v in rule.values.items()
            }
            return self._choice(converted, rule.unknown, field, value, to_type)
        return (
            self._ref_python(rule, field, value, path)
            if field.ref is not None
            else self._plain(
                field, value, to_type, computed=rule.column is None or value != self.names.local(rule.column)
            )
        )

    def _value_key(self, rule: MappingRule) -> Callable[[str], str]:
        source = self._type_of(rule.column) if rule.column is not None and not rule.steps and not rule.lookup else None
        read = for_value_map(source) if source is not None and source.form in ("number", "float") else None

        def key(text: str) -> str:
            try:
                return text if read is None else str(read(text))
            except BadValue:
                return text

        return key

    def _forgiving(
        self, rule: MappingRule, field: FieldType, origin: str, statements: list[str], python: str, path: YamlPath
    ) -> str:
        """The same with a rule for a rejected value: null, or the value as it came."""
        if rule.bad == "pass" and (field.kind != "text" or field.allowed):
            self.shared.wrong(
                (*path, "bad"),
                f"`{field.name}` is {field.kind if field.kind != 'text' else 'one of fixed values'}",
                'write `bad: "null"`',
            )
        result, original = self._temporary(), self._temporary()
        handler = self._constant("bad", forgiving(rule.bad == "pass", self._note_adder(path)))
        inner = [f"    {s}" for s in statements]
        statements[:] = [
            f"{original} = None",
            "try:",
            f"    {original} = {origin}",
            *inner,
            f"    {result} = {python}",
            "except BadValue as error:",
            f"    {result} = {handler}(error, {original})",
        ]
        return result

    def _never_null(
        self, rule: MappingRule, field: FieldType, python: str, to_type: ToFieldType, path: YamlPath
    ) -> str:
        """What replaces null: the default, or a rejection where there must be a value."""
        default = (
            self._converted(rule.default, field, to_type, (*path, "default")) if rule.default is not None else None
        )
        if default is not None:
            temporary = self._temporary()
            python = f"({temporary} if ({temporary} := {python}) is not None else {default!r})"
        if rule.required or field.required:
            temporary = self._temporary()
            python = f"({temporary} if ({temporary} := {python}) is not None else refuse_null())"
        return python

    def _choice(
        self, values: Mapping[str, object], unknown: str, field: FieldType, value: str, to_type: ToFieldType
    ) -> str:
        """A value map: one dict lookup, and a call only for a value that the dict does not have."""
        table: dict[str | None, object] = {None: None}
        table.update(values)
        known = self._constant("known", table.get)
        choose = self._constant("values", chooser(values, unknown, to_type, field.allowed))
        chosen = self._temporary()
        if value.isidentifier():
            return f"({chosen} if ({chosen} := {known}({value}, UNSET)) is not UNSET else {choose}({value}))"
        name = self._temporary()
        return f"({chosen} if ({chosen} := {known}(({name} := {value}), UNSET)) is not UNSET else {choose}({name}))"

    def _ref_python(self, rule: MappingRule, field: FieldType, value: str, path: YamlPath) -> str:
        temporary = self._temporary()
        system = rule.system or self.shared.dictionary.system
        entity = rule.entity or field.ref
        key = f"{temporary} if {temporary}.__class__ is str else key_text({temporary})"
        if self._columns_of(rule) in (None, 1):
            single = rule.column or (rule.columns[0] if rule.columns else None)
            as_it_came = not (rule.path or rule.split or rule.typed or rule.steps or rule.lookup or rule.values)
            (form,) = self._reference_forms(rule, field, (single if as_it_came else None,), path)
            key = f"{form}({temporary})" if form else key
        if rule.namespace is not None:
            key = f"{rule.namespace + ':'!r} + ({key})"
        if rule.entity not in (None, field.ref):
            self.shared.wrong((*path, "entity"), f"`{field.name}` is a {field.ref}, not a {rule.entity}", "remove it")
        elif system == self.shared.dictionary.system and entity is not None:
            self.shared.pointers.append(Pointer(entity, rule.namespace, path, self._columns_of(rule)))
        elif self.shared.systems is not None and system not in self.shared.systems:
            near = get_close_matches(system, self.shared.systems, n=1)
            self.shared.wrong(
                (*path, "system"),
                f"there is no system {system!r}",
                f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(self.shared.systems))}",
            )
        known = self._constant("ids", ids(system, str(entity)))
        return f"({known}[{key}] if ({temporary} := {value}) is not None and {temporary} != '' else None)"

    @staticmethod
    def _columns_of(rule: MappingRule) -> int | None:
        if rule.expr is not None:
            return None
        return len(rule.columns) if rule.columns is not None and rule.lookup is None else 1

    def _plain(self, field: FieldType, value: str, to_type: ToFieldType, computed: bool) -> str:
        """A value in the canonical form of its type passes untouched; any other value is converted."""
        head, name = "", value
        if not value.isidentifier():
            name = self._temporary()
            head = f"({name} := {value})"
        first = head or name
        if field.allowed:
            return self._choice({v: v for v in field.allowed}, "reject", field, value, to_type)
        call = self._constant(f"as_{field.kind}", to_type)
        if field.kind in _OWN_RANGE:
            lowest, highest = _OWN_RANGE[field.kind]
            inline = f"({name} if {name}.__class__ is int and {lowest} <= {name} <= {highest} else {call}({name}))"
            return f"({inline} if {first} is not None else None)"
        if field.kind == "decimal":
            cache = self._constant("cache", ConversionCache(to_type))
            known = f"{cache}[{name}] if {name}.__class__ is str or {name}.__class__ is float else {call}({name})"
            return f"(({known}) if {first} is not None else None)"
        if field.kind == "text" and computed:  # the length of a column's own text was checked when it was decoded
            fits = f"{first}.__class__ is str and len({name}) <= {limits.TEXT}"
            return f"({name} if {fits} or {name} is None else {call}({name}))"
        if field.kind == "text":
            return f"({name} if {first}.__class__ is str or {name} is None else {call}({name}))"
        if field.kind == "bool":
            return f"({name} if {first} is True or {name} is False or {name} is None else {call}({name}))"
        return f"({call}({name}) if {first} is not None else None)"
