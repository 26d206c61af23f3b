"""Which Python makes one canonical field. A rule goes: source, path, split, type, steps, lookup with its steps, value map, default.

In goes a `Rule` with the type of its field; out come statements, an expression and the columns that they read. Names
that the code calls are put into `constants`. What is wrong is added to the planner's problems, with its line.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from streams.dictionary.canonical_fields import FieldType
from streams.dictionary.language import Rule
from streams.dictionary.lines import Path_
from streams.dictionary.sources import Pointer, SourcePlanner
from streams.dictionary.standards import standard_of
from streams.mapping.cleanse.conversions import conversions, make
from streams.mapping.cleanse.numbers import INT_MAX, truth, unscaled, whole_number
from streams.mapping.cleanse.text import key_text, tags_of, text_of
from streams.mapping.cleanse.times import FIRST_DAY, LAST_DAY, day, instant, silent
from streams.mapping.memo import Memo
from streams.mapping.problems import BadValue
from streams.mapping.values import chooser, forgiving, json_path, piece
from streams.model import limits
from streams.model.ids import ids

Finish = Callable[[Any], Any]
Made = tuple[list[str], str, tuple[str, ...]]
"""Statements that go before, the expression, and the columns that both read."""

_OWN_RANGE = {"int": (-INT_MAX - 1, INT_MAX), "date": (FIRST_DAY, LAST_DAY)}
"""Kinds whose own form is an int in this range."""


class FieldPlanner(SourcePlanner):
    """Plans the fields of one table."""

    def made(self, rule: Rule, field: FieldType, path: Path_) -> Made | None:
        """Statements, expression and columns of one field."""
        before = len(self.all.problems)
        if "const" in rule.model_fields_set:
            return self._const(rule, field, path)
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

        if rule.path is not None:
            try:
                reader = self._constant("path", json_path(rule.path))
            except ValueError as error:
                self.all.wrong((*path, "path"), str(error), "write it as address.lines[0]")
                return None
            then(lambda v: f"{reader}({v})")
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
        finish = self._finish(rule, field, path)
        if finish is None or len(self.all.problems) > before:
            return None
        read = tuple(dict.fromkeys(columns))
        self._read(read)
        python = self._typed_value(rule, field, value, finish, path)
        if rule.bad != "reject":
            python = self._forgiving(rule, field, origin, statements, python, path)
        python = self._never_null(rule, field, python, finish, path)
        if rule.required or field.required:
            self.required.update(dict.fromkeys(read))
        return statements, python, read

    # ---- the end of a field: value map, type, default ----

    def _finish(self, rule: Rule, field: FieldType, path: Path_) -> Finish | None:
        """The function from a source's value to the field's type."""
        if rule.round is not None and field.kind != "decimal":
            self.all.wrong((*path, "round"), f"`{field.name}` is {field.kind}, not a decimal", "take it out")
        if (rule.unit is not None) and field.kind != "timestamp":
            self.all.wrong((*path, "unit"), f"`{field.name}` is {field.kind}, not a timestamp", "take it out")
        if "timezone" in rule.model_fields_set and not self._tells_time(rule, field):
            self.all.wrong((*path, "timezone"), f"`{field.name}` is {field.kind}, not a time", "take it out")
        for name in ("entity", "system", "typed", "namespace"):
            if name in rule.model_fields_set and field.ref is None:
                self.all.wrong((*path, name), f"`{field.name}` is no reference", "take it out")
                return None
        if field.kind == "decimal":
            return unscaled(field.scale, field.precision, rule.round)
        if field.kind == "timestamp":
            dictionary = self.all.dictionary
            zone = rule.timezone or self.table.timezone or dictionary.timezone
            return instant(rule.unit or "micros", zone, self._noting(path))
        return {"text": text_of, "int": whole_number, "bool": truth, "date": day, "tags": tags_of, "ref": key_text}[
            field.kind
        ]

    @staticmethod
    def _tells_time(rule: Rule, field: FieldType) -> bool:
        steps = (*rule.steps, *(rule.lookup.steps if rule.lookup is not None else ()))
        names = {step if isinstance(step, str) else next(iter(step), "") for step in steps}
        return field.kind == "timestamp" or any(
            "timezone" in known.options for n in names if (known := conversions().get(n))
        )

    def _converted(self, value: Any, field: FieldType, finish: Finish, path: Path_) -> Any:
        """A value that stands in the dictionary itself, in the field's type."""
        if value is None:
            return None
        try:
            made = finish(value)
        except BadValue as error:
            self.all.wrong(path, f"{error}", f"`{field.name}` is {field.kind}")
            return None
        if field.allowed and made not in field.allowed:
            self.all.wrong(path, f"{value!r} is not a value of `{field.name}`", f"one of {', '.join(field.allowed)}")
        standard = standard_of(field.name) if field.kind == "text" and path[4] == "fields" else None
        if standard is not None:
            try:
                clean = make(standard, country=self.all.dictionary.country, timezone="UTC", note=silent).convert(made)
            except BadValue as error:
                self.all.wrong(path, str(error), f"`{field.name}` is as the conversion `{standard}` gives it")
                return None
            if clean != made:
                self.all.wrong(path, f"{value!r} is not as other systems' values come", f"write {clean}")
        return made

    def _const(self, rule: Rule, field: FieldType, path: Path_) -> Made | None:
        finish = self._finish(rule, field, path)
        if finish is None:
            return None
        if field.ref is not None:
            self.all.wrong(
                (*path, "const"),
                "a reference cannot be the same for each row",
                "name the column that holds the other record's key",
            )
            return None
        made = self._converted(rule.const, field, finish, (*path, "const"))
        if isinstance(made, list):
            return [], f"list({self._constant('const', tuple(made))})", ()
        return [], repr(made), ()

    def _typed_value(self, rule: Rule, field: FieldType, value: str, finish: Finish, path: Path_) -> str:
        """The expression that makes a value one of the field's type."""
        if rule.values is not None:
            made = {k: self._converted(v, field, finish, (*path, "values", k)) for k, v in rule.values.items()}
            return self._choice(made, rule.unknown, field, value, finish)
        return (
            self._ref_python(rule, field, value, path)
            if field.ref is not None
            else self._plain(field, value, finish, made=rule.column is None or value != self.names.local(rule.column))
        )

    def _forgiving(
        self, rule: Rule, field: FieldType, origin: str, statements: list[str], python: str, path: Path_
    ) -> str:
        """The same with a rule for what is rejected: null, or the value as it came."""
        if rule.bad == "pass" and (field.kind != "text" or field.allowed):
            self.all.wrong(
                (*path, "bad"),
                f"`{field.name}` is {field.kind if field.kind != 'text' else 'one of fixed values'}",
                "say `bad: null`",
            )
        result, original = self._temporary(), self._temporary()
        handler = self._constant("bad", forgiving(rule.bad == "pass", self._noting(path)))
        inner = [f"    {s}" for s in statements]
        statements[:] = [
            f"{original} = None",
            "try:",
            f"    {original} = {origin}",
            *inner,
            f"    {result} = {python}",
            "except BadValue as fault:",
            f"    {result} = {handler}(fault, {original})",
        ]
        return result

    def _never_null(self, rule: Rule, field: FieldType, python: str, finish: Finish, path: Path_) -> str:
        """What stands for null: the default, or a rejection where there must be a value."""
        default = self._converted(rule.default, field, finish, (*path, "default")) if rule.default is not None else None
        if default is not None:
            temporary = self._temporary()
            python = f"({temporary} if ({temporary} := {python}) is not None else {default!r})"
        if rule.required or field.required:
            temporary = self._temporary()
            python = f"({temporary} if ({temporary} := {python}) is not None else refuse_null())"
        return python

    def _choice(self, values: dict[str, Any], unknown: str, field: FieldType, value: str, finish: Finish) -> str:
        """A value map: one look into a dict, and only for what is not there a call."""
        table: dict[str | None, Any] = {None: None}
        table.update(values)
        known = self._constant("known", table.get)
        choose = self._constant("values", chooser(values, unknown, finish, field.allowed))
        found = self._temporary()
        if value.isidentifier():
            return f"({found} if ({found} := {known}({value}, UNSET)) is not UNSET else {choose}({value}))"
        name = self._temporary()
        return f"({found} if ({found} := {known}(({name} := {value}), UNSET)) is not UNSET else {choose}({name}))"

    def _ref_python(self, rule: Rule, field: FieldType, value: str, path: Path_) -> str:
        temporary = self._temporary()
        system = rule.system or self.all.dictionary.system
        entity = rule.entity or field.ref
        key = f"{temporary} if {temporary}.__class__ is str else key_text({temporary})"
        if rule.namespace is not None:
            key = f"{rule.namespace + ':'!r} + ({key})"
        if rule.entity not in (None, field.ref):
            self.all.wrong((*path, "entity"), f"`{field.name}` is a {field.ref}, not a {rule.entity}", "take it out")
        elif system == self.all.dictionary.system and entity is not None:
            self.all.pointers.append(Pointer(entity, rule.namespace, path, self._columns_of(rule)))
        elif self.all.systems is not None and system not in self.all.systems:
            near = get_close_matches(system, self.all.systems, n=1)
            self.all.wrong(
                (*path, "system"),
                f"there is no system {system!r}",
                f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(self.all.systems))}",
            )
        known = self._constant("ids", ids(system, str(entity)))
        return f"({known}[{key}] if ({temporary} := {value}) is not None and {temporary} != '' else None)"

    @staticmethod
    def _columns_of(rule: Rule) -> int | None:
        if rule.expr is not None:
            return None
        return len(rule.columns) if rule.columns is not None and rule.lookup is None else 1

    def _plain(self, field: FieldType, value: str, finish: Finish, made: bool) -> str:
        """The type's own form passes untouched; all else goes through its conversion."""
        head, name = "", value
        if not value.isidentifier():
            name = self._temporary()
            head = f"({name} := {value})"
        first = head or name
        if field.allowed:
            return self._choice({v: v for v in field.allowed}, "reject", field, value, finish)
        call = self._constant(f"as_{field.kind}", finish)
        if field.kind in _OWN_RANGE:
            first_, last = _OWN_RANGE[field.kind]
            inline = f"({name} if {name}.__class__ is int and {first_} <= {name} <= {last} else {call}({name}))"
            return f"({inline} if {first} is not None else None)"
        if field.kind == "decimal":
            memo = self._constant("memo", Memo(finish))
            known = f"{memo}[{name}] if {name}.__class__ is str or {name}.__class__ is float else {call}({name})"
            return f"(({known}) if {first} is not None else None)"
        if field.kind == "text" and made:  # a column's own text is not too long, or it would not have been decoded
            fits = f"{first}.__class__ is str and len({name}) <= {limits.TEXT}"
            return f"({name} if {fits} or {name} is None else {call}({name}))"
        if field.kind == "text":
            return f"({name} if {first}.__class__ is str or {name} is None else {call}({name}))"
        if field.kind == "bool":
            return f"({name} if {first} is True or {name} is False or {name} is None else {call}({name}))"
        return f"({call}({name}) if {first} is not None else None)"
