"""The meaning of a dictionary: does each name and type fit the canonical model, and which Python makes each field.

In goes one `Table` of a dictionary, out comes a `TablePlan` for `streams.mapping.generate`; what is wrong is added to the list of problems, all of it, with its line.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from streams.mapping.canon import EntityType, FieldType, entity_type, entity_types
from streams.mapping.cleanse.numbers import INT_MAX, truth, unscaled, whole_number
from streams.mapping.cleanse.registry import make
from streams.mapping.cleanse.text import key_part, key_text, tags_of, text_of
from streams.mapping.cleanse.times import FIRST_DAY, LAST_DAY, day, instant
from streams.mapping.expression import Expression, ExpressionError, compile_expression
from streams.mapping.generate import FieldMade, KeyPlan, Names, TablePlan, TargetPlan
from streams.mapping.language import Dictionary, Lookup, Reference, Rule, Source, Table, Target
from streams.mapping.lines import Path_
from streams.mapping.lookups import LookupTable
from streams.mapping.problems import BadValue, Problem
from streams.mapping.values import chooser, forgiving, joined, json_path, piece, typed_key

Then = Callable[[Callable[[str], str]], None]
Note = Callable[[str, str, object], None]
"""note(field, reason, value): a value was mended."""

_OWN_RANGE = {"int": (-INT_MAX - 1, INT_MAX), "date": (FIRST_DAY, LAST_DAY)}
"""Kinds whose own form is an int in this range."""

class Planner:
    """Plans the tables of one dictionary and gathers what is wrong with them."""

    def __init__(self, dictionary: Dictionary, lookups: dict[str, LookupTable], note: Note) -> None:
        self.dictionary = dictionary
        self.source: Source = dictionary.source
        self.lookups = lookups
        self.note = note
        self.problems: list[Problem] = []

    def wrong(self, path: Path_, what: str, right: str = "") -> None:
        self.problems.append(self.source.problem(path, what, right))

    def table(self, name: str, table: Table, names: Names) -> TablePlan:
        return _TablePlanner(self, name, table, names).plan()


class _TablePlanner:
    def __init__(self, planner: Planner, name: str, table: Table, names: Names) -> None:
        self.all = planner
        self.name = name
        self.table = table
        self.names = names
        self.path: Path_ = ("tables", name)
        self.columns: dict[str, None] = dict.fromkeys(table.key)
        self.structural: dict[str, None] = {}
        self.required: dict[str, None] = {}
        self.constants: dict[str, Any] = {}
        self.temporaries = 0

    # ---- the table ----

    def plan(self) -> TablePlan:
        self._read(self.table.columns)
        for lookup in self.all.lookups.values():
            if lookup.table == self.name:
                self._read((*lookup.by, *lookup.columns))
        targets = [self._target(t, (*self.path, "to", i)) for i, t in enumerate(self.table.to)]
        for column in self.table.key:
            self.structural[column] = None
        return TablePlan(
            system=self.all.dictionary.system,
            name=self.name,
            columns=list(self.columns),
            key_columns=self.table.key,
            structural=tuple(self.structural),
            required=tuple(c for c in dict.fromkeys((*self.structural, *self.required)) if c not in self.table.optional),
            before_full=self.table.before == "full",
            targets=[t for t in targets if t is not None],
            constants=self.constants,
        )

    def _read(self, columns: tuple[str, ...] | list[str]) -> None:
        for column in columns:
            self.columns[column] = None

    def _needs(self, columns: tuple[str, ...]) -> None:
        for column in columns:
            self.structural[column] = None

    def _constant(self, prefix: str, value: Any) -> str:
        name = f"{prefix}_{len(self.constants)}"
        self.constants[name] = value
        return name

    def _temporary(self) -> str:
        self.temporaries += 1
        return f"v_{self.temporaries}"

    # ---- one record ----

    def _target(self, target: Target, path: Path_) -> TargetPlan | None:
        entity = entity_type(target.entity)
        if entity is None:
            near = get_close_matches(target.entity, entity_types(), n=1)
            self.all.wrong((*path, "entity"), f"there is no entity {target.entity!r}", f"did you mean {near[0]}?" if near else f"there are {', '.join(entity_types())}")
            return None
        key = self._key(target, path)
        when = self._condition(target.when, (*path, "when"))
        deleted = self._condition(target.deleted, (*path, "deleted")) or "False"
        parent, parent_columns = self._parent(target, entity, path)
        same_as, _ = self._reference(target.same_as, target.entity, (*path, "same_as")) if target.same_as else ("None", ())
        fields = [self._field(n, r, entity, (*path, "fields", n)) for n, r in target.fields.items()]
        attributes = [self._attribute(n, r, (*path, "attributes", n)) for n, r in target.attributes.items()]
        if attributes and "attributes" not in entity.fields:
            self.all.wrong((*path, "attributes"), f"{entity.name} has no attributes", "put them on its document")
        if not target.part_of:
            for name, field in entity.fields.items():
                if field.required and name not in target.fields:
                    self.all.wrong((*path, "fields"), f"{entity.name} needs the field `{name}`", f"add `{name}: <column>`, or `part_of: true` if another table gives it")
        for name in target.match:
            if name not in entity.fields:
                self.all.wrong((*path, "match"), f"{entity.name} has no field {name!r}", self._near(name, entity))
        for columns in target.alias.values():
            self._read(columns)
        return TargetPlan(
            entity=target.entity,
            key=key,
            when=when,
            deleted=deleted,
            parent=parent,
            parent_from_key=bool(parent_columns) and set(parent_columns) <= set(self.table.key),
            same_as=same_as,
            fields=[f for f in fields if f is not None],
            attributes=[a for a in attributes if a is not None],
            part_of=target.part_of,
        )

    def _near(self, name: str, entity: EntityType) -> str:
        near = get_close_matches(name, entity.fields, n=1)
        return f"did you mean `{near[0]}`?" if near else f"{entity.name} has {', '.join(entity.fields)}"

    def _key(self, target: Target, path: Path_) -> KeyPlan:
        columns = target.key or self.table.key
        self._read(columns)
        self._needs(columns)
        from_key = set(columns) <= set(self.table.key)
        if not from_key and self.table.before != "full":
            self.all.wrong(
                (*path, "key"),
                "a delete does not say these columns",
                "set the table to REPLICA IDENTITY FULL (ALTER TABLE …) and say `before: full`, or use the table's key",
            )
        return KeyPlan(columns, self._key_python(columns), from_key)

    def _key_python(self, columns: tuple[str, ...]) -> str:
        local = [self.names.local(c) for c in columns]
        if len(local) == 1:
            return f"{local[0]} if {local[0]}.__class__ is str else key_text({local[0]})"
        return f"'|'.join(({', '.join(f'key_part({c})' for c in local)}))"

    def _condition(self, text: str | None, path: Path_) -> str | None:
        if text is None:
            return None
        expression = self._expression(text, path)
        if expression is None:
            return None
        self._needs(expression.columns)
        return expression.python if expression.boolean else f"cel_truth({expression.python})"

    def _expression(self, text: str, path: Path_) -> Expression | None:
        try:
            expression = compile_expression(text, self.names.local)
        except ExpressionError as error:
            self.all.wrong(path, str(error), 'columns stand as they are, texts in quotes: status == "A" && deleted_at == null')
            return None
        self._read(expression.columns)
        return expression

    # ---- references ----

    def _parent(self, target: Target, entity: EntityType, path: Path_) -> tuple[str, tuple[str, ...]]:
        if target.parent is not None:
            if entity.parent is None:
                self.all.wrong((*path, "parent"), f"{entity.name} has no parent in the model", "take it out")
                return "None", ()
            return self._reference(target.parent, entity.parent, (*path, "parent"))
        if entity.parent is None:
            return "None", ()
        through = entity.parent_field
        if through is not None and through in target.fields:
            rule = target.fields[through]
            if "const" in rule.model_fields_set:
                return "None", ()
            return self._pointer(rule, rule.entity or entity.parent, (*path, "fields", through))
        if entity.is_line and not target.part_of:
            self.all.wrong(path, f"a {entity.name} needs a `parent`", f"add `parent: <the column with the key of its {entity.parent}>`")
        return "None", ()

    def _reference(self, reference: Reference, entity: str, path: Path_) -> tuple[str, tuple[str, ...]]:
        if reference.entity is not None and entity_type(reference.entity) is None:
            self.all.wrong((*path, "entity"), f"there is no entity {reference.entity!r}", f"there are {', '.join(entity_types())}")
            return "None", ()
        given = {n: getattr(reference, n) for n in ("column", "columns", "expr", "lookup", "typed", "steps", "system") if n in reference.model_fields_set}
        return self._pointer(Rule.model_validate(given), reference.entity or entity, path)

    def _pointer(self, rule: Rule, entity: str, path: Path_) -> tuple[str, tuple[str, ...]]:
        """The id of another record as one expression."""
        field = FieldType("reference", "ref", ref=entity)
        made = self._made(rule, field, path)
        if made is None:
            return "None", ()
        statements, python, columns = made
        self._needs(columns)
        if statements:
            function = self._inline(statements, python, columns)
            return f"{function}({', '.join(self.names.local(c) for c in columns)})", columns
        return python, columns

    def _inline(self, statements: list[str], python: str, columns: tuple[str, ...]) -> str:
        """A reference of several steps as a function of its columns, so that it can stand where an expression must."""
        name = f"ref_{len(self.constants)}"
        head = f"def {name}({', '.join(self.names.local(c) for c in columns)}):"
        self.constants[name] = "\n".join([head, *(f"    {s}" for s in statements), f"    return {python}"])
        return name

    # ---- fields ----

    def _attribute(self, name: str, rule: Rule, path: Path_) -> FieldMade | None:
        made = self._made(rule, FieldType(name, "text"), path)
        return (name, *made) if made is not None else None

    def _field(self, name: str, rule: Rule, entity: EntityType, path: Path_) -> FieldMade | None:
        field = entity.fields.get(name)
        if field is None:
            self.all.wrong(path, f"{entity.name} has no field `{name}`", self._near(name, entity))
            return None
        if field.kind == "map":
            self.all.wrong(path, f"`{name}` is not mapped by one rule", "list each of its entries under `attributes:`")
            return None
        made = self._made(rule, field, path)
        return (name, *made) if made is not None else None

    def _made(self, rule: Rule, field: FieldType, path: Path_) -> tuple[list[str], str, tuple[str, ...]] | None:
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
            self._typed(rule, field, path, then)
        for i, step in enumerate(rule.steps):
            columns += self._step(rule, step, field, (*path, "steps", i), then)
        if rule.lookup is not None:
            self._lookup(rule.lookup, (*path, "lookup"), then)
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

    def _origin(self, rule: Rule, field: FieldType, path: Path_) -> tuple[str, tuple[str, ...]]:
        if rule.column is not None:
            return self.names.local(rule.column), (rule.column,)
        if rule.expr is not None:
            expression = self._expression(rule.expr, (*path, "expr"))
            return (expression.python, expression.columns) if expression else ("None", ())
        columns = rule.columns or ()
        local = [self.names.local(c) for c in columns]
        if field.ref is not None:
            known = " and ".join(f"{c} is not None" for c in local)
            if len(local) == 1:
                return local[0], columns
            return f"('|'.join(({', '.join(f'key_part({c})' for c in local)})) if {known} else None)", columns
        joiner = self._constant("joined", joined(rule.join))
        return f"{joiner}({', '.join(local)})", columns

    def _typed(self, rule: Rule, field: FieldType, path: Path_, then: Then) -> None:
        wrong = [e for e in (rule.typed or {}).values() if e != (rule.entity or field.ref)]
        if field.ref is None or wrong:
            self.all.wrong((*path, "typed"), f"points to {', '.join(wrong) or 'nothing: this field is no reference'}", f"this field takes a {rule.entity or field.ref}")
            return
        reader = self._constant("typed", typed_key(frozenset(rule.typed or {})))
        then(lambda v: f"{reader}({v})")

    def _step(self, rule: Rule, step: str | dict[str, Any], field: FieldType, path: Path_, then: Then) -> tuple[str, ...]:
        dictionary = self.all.dictionary
        zone = rule.timezone or self.table.timezone or dictionary.timezone
        note, name = self.all.note, f"{self.name}: {field.name}"
        try:
            label, convert, extra = make(step, country=dictionary.country, timezone=zone, note=lambda reason, value: note(name, reason, value))
        except ValueError as error:
            self.all.wrong(path, str(error), "the conversions are listed in docs/guides/bring-your-own-system.md")
            return ()
        call = self._constant(f"step_{label}", convert)
        more = "".join(f", {self.names.local(c)}" for c in extra)
        then(lambda v: f"{call}({v}{more})")
        return extra

    def _lookup(self, lookup: Lookup, path: Path_, then: Then) -> None:
        seen: Lookup | None = lookup
        while seen is not None:
            table = self.all.dictionary.tables.get(seen.table)
            if table is None:
                near = get_close_matches(seen.table, self.all.dictionary.tables, n=1)
                self.all.wrong((*path, "table"), f"{seen.table!r} is not captured", f"did you mean {near[0]}?" if near else "list it under `tables` with its key and `to: []`")
                return
            by = seen.by or table.key
            if len(by) != 1:
                self.all.wrong(path, f"{seen.table} is looked up by {len(by)} columns", "a lookup goes by one column: say `by:`")
                return
            getter = self._constant("lookup", self.all.lookups[lookup_name(seen, by)].getter(seen.column, seen.unknown))
            then(lambda v, g=getter: f"{g}({v})")  # type: ignore[misc]
            path, seen = (*path, "then"), seen.then

    # ---- the end of a field: value map, type, default ----

    def _finish(self, rule: Rule, field: FieldType, path: Path_) -> Callable[[Any], Any] | None:
        """The function from a source's value to the field's type."""
        if rule.round is not None and field.kind != "decimal":
            self.all.wrong((*path, "round"), f"`{field.name}` is {field.kind}, not a decimal", "take it out")
        if (rule.unit is not None) and field.kind != "timestamp":
            self.all.wrong((*path, "unit"), f"`{field.name}` is {field.kind}, not a timestamp", "take it out")
        for name in ("entity", "system", "typed"):
            if name in rule.model_fields_set and field.ref is None:
                self.all.wrong((*path, name), f"`{field.name}` is no reference", "take it out")
                return None
        if field.kind == "decimal":
            return unscaled(field.scale, field.precision, rule.round)
        if field.kind == "timestamp":
            dictionary = self.all.dictionary
            zone = rule.timezone or self.table.timezone or dictionary.timezone
            note, name = self.all.note, f"{self.name}: {field.name}"
            return instant(rule.unit or "micros", zone, lambda reason, value: note(name, reason, value))
        return {"text": text_of, "int": whole_number, "bool": truth, "date": day, "tags": tags_of, "ref": key_text}[field.kind]

    def _converted(self, value: Any, field: FieldType, finish: Callable[[Any], Any], path: Path_) -> Any:
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
        return made

    def _const(self, rule: Rule, field: FieldType, path: Path_) -> tuple[list[str], str, tuple[str, ...]] | None:
        finish = self._finish(rule, field, path)
        if finish is None:
            return None
        if field.ref is not None:
            self.all.wrong((*path, "const"), "a reference cannot be the same for each row", "name the column that holds the other record's key")
            return None
        made = self._converted(rule.const, field, finish, (*path, "const"))
        if isinstance(made, list):
            return [], f"list({self._constant('const', tuple(made))})", ()
        return [], repr(made), ()

    def _typed_value(self, rule: Rule, field: FieldType, value: str, finish: Callable[[Any], Any], path: Path_) -> str:
        """The expression that makes a value one of the field's type."""
        if rule.values is not None:
            made = {k: self._converted(v, field, finish, (*path, "values", k)) for k, v in rule.values.items()}
            return self._choice(made, rule.unknown, field, value, finish)
        return self._ref_python(rule, field, value) if field.ref is not None else self._plain(field, value, finish)

    def _forgiving(self, rule: Rule, field: FieldType, origin: str, statements: list[str], python: str, path: Path_) -> str:
        """The same with a rule for what is rejected: null, or the value as it came."""
        if rule.bad == "pass" and (field.kind != "text" or field.allowed):
            self.all.wrong((*path, "bad"), f"`{field.name}` is {field.kind if field.kind != 'text' else 'one of fixed values'}", "say `bad: null`")
        result, original = self._temporary(), self._temporary()
        handler = self._constant("bad", forgiving(rule.bad == "pass", lambda r, v: self.all.note(f"{self.name}: {field.name}", r, v)))
        inner = [f"    {s}" for s in statements]
        statements[:] = [f"{original} = {origin}", "try:", *inner, f"    {result} = {python}", "except BadValue as fault:", f"    {result} = {handler}(fault, {original})"]
        return result

    def _never_null(self, rule: Rule, field: FieldType, python: str, finish: Callable[[Any], Any], path: Path_) -> str:
        """What stands for null: the default, or a rejection where there must be a value."""
        default = self._converted(rule.default, field, finish, (*path, "default")) if rule.default is not None else None
        if default is not None:
            temporary = self._temporary()
            python = f"({temporary} if ({temporary} := {python}) is not None else {default!r})"
        if rule.required or field.required:
            temporary = self._temporary()
            python = f"({temporary} if ({temporary} := {python}) is not None else refuse_null())"
        return python

    def _choice(self, values: dict[str, Any], unknown: str, field: FieldType, value: str, finish: Callable[[Any], Any]) -> str:
        """A value map: one look into a dict, and only for what is not there a call."""
        known = self._constant("known", {**values, None: None}.get)
        choose = self._constant("values", chooser(values, unknown, finish, field.allowed))
        found = self._temporary()
        if value.isidentifier():
            return f"({found} if ({found} := {known}({value}, UNSET)) is not UNSET else {choose}({value}))"
        name = self._temporary()
        return f"({found} if ({found} := {known}(({name} := {value}), UNSET)) is not UNSET else {choose}({name}))"

    def _ref_python(self, rule: Rule, field: FieldType, value: str) -> str:
        temporary = self._temporary()
        system = rule.system or self.all.dictionary.system
        entity = rule.entity or field.ref
        return (
            f"(cached_source_id({system!r}, {entity!r}, {temporary} if {temporary}.__class__ is str else key_text({temporary}))"
            f" if ({temporary} := {value}) is not None and {temporary} != '' else None)"
        )

    def _plain(self, field: FieldType, value: str, finish: Callable[[Any], Any]) -> str:
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
        if field.kind == "text":
            return f"({name} if {first}.__class__ is str or {name} is None else {call}({name}))"
        if field.kind == "bool":
            return f"({name} if {first} is True or {name} is False or {name} is None else {call}({name}))"
        return f"({call}({name}) if {first} is not None else None)"


def lookup_name(lookup: Lookup, by: tuple[str, ...]) -> str:
    """What names a table that is looked into, with the column that it is looked up by."""
    return f"{lookup.table} by {by[0]}"
