"""The meaning of a dictionary: does each name fit the canonical model, and what does each table make.

In goes one `Table` of a dictionary, out comes a `TablePlan` for `streams.dictionary.generate`; what is wrong is added to
the list of problems, all of it, with its line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from streams.dictionary.canonical_fields import EntityType, FieldType, entity_type, entity_types
from streams.dictionary.fields import FieldPlanner
from streams.dictionary.generate import FieldMade, KeyPlan, Names, TablePlan, TargetPlan, unreadable
from streams.dictionary.language import Dictionary, Reference, Rule, Source, Table, Target
from streams.dictionary.lines import Path_
from streams.dictionary.sources import Note, Pointer
from streams.mapping.lookups import LookupTable
from streams.mapping.problems import Problem
from streams.mapping.rates import RateTable
from streams.model.ids import ids


def _ancestors(entity: EntityType) -> Iterator[str]:
    """The entities in whose aggregate it lives, the nearest first."""
    seen: EntityType | None = entity
    while seen is not None and seen.parent is not None:
        yield seen.parent
        seen = entity_type(seen.parent)


def _one_of(systems: Collection[str] | None, own: str) -> str:
    others = sorted(set(systems or ()) - {own})
    return f": {' or '.join(others)}" if others else ""


class Planner:
    """Plans the tables of one dictionary and gathers what is wrong with them."""

    def __init__(
        self,
        dictionary: Dictionary,
        lookups: dict[str, LookupTable],
        rates: RateTable | None,
        note: Note,
        systems: Collection[str] | None,
    ) -> None:
        self.dictionary = dictionary
        self.source: Source = dictionary.source
        self.lookups = lookups
        self.rates = rates
        self.note = note
        self.systems = systems
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.pointers: list[Pointer] = []

    def wrong(self, path: Path_, what: str, right: str = "") -> None:
        problem = self.source.problem(path, what, right)
        if problem not in self.problems:  # a field that is a parent too is planned twice
            self.problems.append(problem)

    def table(self, name: str, table: Table, names: Names) -> TablePlan:
        return _TablePlanner(self, name, table, names).plan()

    def whole(self) -> None:
        """What only all tables together show: keys that would be taken for one another, references to nothing."""
        makers: dict[tuple[str, str | None], tuple[str, tuple[str, ...]]] = {}
        parts: list[Pointer] = []
        for name, table in self.dictionary.tables.items():
            for i, target in enumerate(table.to):
                path: Path_ = ("tables", name, "to", i)
                made = (target.entity, target.namespace)
                key = target.key or table.key
                if target.part_of:
                    if target.fields or target.attributes:
                        parts.append(Pointer(*made, path, len(key)))
                    continue
                if made in makers:
                    self.wrong(
                        path,
                        f"{makers[made][0]} makes a {target.entity} too: rows with equal keys would become one record",
                        "give one of them a `namespace`, or say `part_of: true` if its rows belong to the other's",
                    )
                makers.setdefault(made, (name, key))
        told: set[tuple[str, str | None]] = set()
        for one in self.pointers:
            made = (one.entity, one.namespace)
            if made not in makers and made not in told:
                what = f"points to a {one.record}, which no table of this dictionary makes"
                self.warnings.append(
                    self.source.problem(one.path, what, "map its table, or name the `system` whose key it is")
                )
                told.add(made)
        if self.problems:  # what is wrong with a record may be why another does not fit it
            return
        for one in parts:
            if (one.entity, one.namespace) not in makers:
                what = (
                    f"adds to a {one.record}, which no table of this dictionary makes: nothing would come of its rows"
                )
                self.wrong((*one.path, "part_of"), what, "map the table that makes it, or take `part_of` out")
        for one in (*self.pointers, *parts):
            table_name, key = makers.get((one.entity, one.namespace), ("", ()))
            if key and one.columns is not None and one.columns != len(key):
                self.wrong(
                    (*one.path, "key") if one in parts else one.path,
                    f"{_columns(one.columns)}, and the key of a {one.record} ({table_name}) has {len(key)}: {', '.join(key)}",
                    f"name all of them, in that order: {'key' if one in parts else 'columns'}: [{', '.join(key)}]",
                )


def _columns(number: int) -> str:
    return "has one column" if number == 1 else f"has {number} columns"


class _TablePlanner(FieldPlanner):
    """Plans one table: its records, their keys, conditions and parents."""

    def plan(self) -> TablePlan:
        self._read(self.table.columns)
        for lookup in self.all.lookups.values():
            if lookup.table == self.name:
                self._read((*lookup.by, *lookup.columns))
        if self.all.rates is not None and self.all.rates.table == self.name:
            of = self.all.rates.rates
            self._read((of.source, of.to, of.rate, of.date))
        targets = [self._target(t, (*self.path, "to", i)) for i, t in enumerate(self.table.to)]
        for column in self.table.key:
            self.structural[column] = None
        for column in self.columns:
            if unreadable(column):
                what = f"the column {column!r} has a quote, a backslash or a control character in its name"
                self.all.wrong(self.path, what, "such a column cannot be read: rename it in the source")
        for column in self.table.optional:
            if column not in self.columns:
                near = get_close_matches(column, self.columns, n=1)
                self.all.wrong(
                    (*self.path, "optional"),
                    f"nothing reads {column!r} of this table",
                    f"did you mean {near[0]}?" if near else f"take it out; read are {', '.join(self.columns)}",
                )
        return TablePlan(
            system=self.all.dictionary.system,
            name=self.name,
            columns=list(self.columns),
            key_columns=self.table.key,
            structural=tuple(self.structural),
            required=tuple(
                c for c in dict.fromkeys((*self.structural, *self.required)) if c not in self.table.optional
            ),
            before_full=self.table.before == "full",
            looks=self.looks,
            targets=[t for t in targets if t is not None],
            constants=self.constants,
        )

    def _needs(self, columns: tuple[str, ...]) -> None:
        for column in columns:
            self.structural[column] = None

    # ---- one record ----

    def _target(self, target: Target, path: Path_) -> TargetPlan | None:
        entity = entity_type(target.entity)
        if entity is None:
            near = get_close_matches(target.entity, entity_types(), n=1)
            self.all.wrong(
                (*path, "entity"),
                f"there is no entity {target.entity!r}",
                f"did you mean {near[0]}?" if near else f"there are {', '.join(entity_types())}",
            )
            return None
        key = self._key(target, path)
        when = self._condition(target.when, (*path, "when"))
        deleted = self._condition(target.deleted, (*path, "deleted")) or "False"
        parent, parent_columns = self._parent(target, entity, path)
        same_as, _ = (
            self._reference(target.same_as, target.entity, (*path, "same_as")) if target.same_as else ("None", ())
        )
        if target.same_as is not None and target.same_as.system is None:
            self.all.wrong(
                (*path, "same_as"),
                "does not say whose key this is",
                f"add `system:`, the other system{_one_of(self.all.systems, self.all.dictionary.system)}",
            )
        self.kept = []
        fields = [self._field(n, r, entity, (*path, "fields", n)) for n, r in target.fields.items()]
        own = [self._attribute(n, r, (*path, "attributes", n)) for n, r in target.attributes.items()]
        attributes = [*own, *self.kept]
        if attributes and "attributes" not in entity.fields:
            self.all.wrong((*path, "attributes"), f"{entity.name} has no attributes", "put them on its document")
        if not target.part_of:
            for name, field in entity.fields.items():
                if field.required and name not in target.fields:
                    self.all.wrong(
                        (*path, "fields"),
                        f"{entity.name} needs the field `{name}`",
                        f"add `{name}: <column>`, or `part_of: true` if another table gives it",
                    )
        return TargetPlan(
            entity=target.entity,
            ids=self._constant("ids", ids(self.all.dictionary.system, target.entity)),
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
        python = self._key_python(columns)
        if target.namespace is not None:
            python = f"{target.namespace + ':'!r} + ({python})"
        return KeyPlan(columns, python, from_key)

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

    # ---- references ----

    def _parent(self, target: Target, entity: EntityType, path: Path_) -> tuple[str, tuple[str, ...]]:
        if target.parent is not None:
            if entity.parent is None:
                self.all.wrong((*path, "parent"), f"{entity.name} has no parent in the model", "take it out")
                return "None", ()
            allowed = [entity.parent] if entity.is_line else list(_ancestors(entity))
            if target.parent.entity not in (None, *allowed) and entity_type(str(target.parent.entity)) is not None:
                self.all.wrong(
                    (*path, "parent", "entity"),
                    f"a {entity.name} does not belong to a {target.parent.entity}",
                    f"its parent is a {' or a '.join(allowed)}",
                )
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
            self.all.wrong(
                path,
                f"a {entity.name} needs a `parent`",
                f"add `parent: <the column with the key of its {entity.parent}>`",
            )
        return "None", ()

    def _reference(self, reference: Reference, entity: str, path: Path_) -> tuple[str, tuple[str, ...]]:
        if reference.entity is not None and entity_type(reference.entity) is None:
            self.all.wrong(
                (*path, "entity"), f"there is no entity {reference.entity!r}", f"there are {', '.join(entity_types())}"
            )
            return "None", ()
        given = {
            n: getattr(reference, n)
            for n in ("column", "columns", "expr", "lookup", "typed", "steps", "system", "namespace")
            if n in reference.model_fields_set
        }
        return self._pointer(Rule.model_validate(given), reference.entity or entity, path)

    def _pointer(self, rule: Rule, entity: str, path: Path_) -> tuple[str, tuple[str, ...]]:
        """The id of another record as one expression."""
        field = FieldType("reference", "ref", ref=entity)
        made = self.made(rule, field, path)
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
        made = self.made(rule, FieldType(name, "text"), path)
        return (name, *made) if made is not None else None

    def _field(self, name: str, rule: Rule, entity: EntityType, path: Path_) -> FieldMade | None:
        field = entity.fields.get(name)
        if field is None:
            self.all.wrong(path, f"{entity.name} has no field `{name}`", self._near(name, entity))
            return None
        if field.kind == "map":
            self.all.wrong(path, f"`{name}` is not mapped by one rule", "list each of its entries under `attributes:`")
            return None
        made = self.made(rule, field, path)
        return (name, *made) if made is not None else None
