"""The meaning of a dictionary: whether each name fits the canonical model, and what each table makes.

In goes one `Table` of a dictionary, out comes a `TablePlan` for `python_source`. Every mistake is added to the
planner's problems, with its line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from functools import partial

from streams.dictionary.canonical_fields import EntityType, FieldType, entity_type, entity_types
from streams.dictionary.compile.field_planner import FieldPlanner, FieldPython
from streams.dictionary.compile.key_columns import key_python, key_types
from streams.dictionary.compile.plans import (
    KeyPlan,
    PlannedField,
    TablePlan,
    TargetPlan,
    Together,
    unreadable,
)
from streams.dictionary.compile.source_planner import NamedValue
from streams.dictionary.language.dictionary import Target
from streams.dictionary.language.mapping_rule import MappingRule, Reference, Value
from streams.dictionary.yaml_lines import YamlPath
from streams.model.ids import ids


def _ancestors(entity: EntityType) -> Iterator[str]:
    """The parent of an entity, the parent of that, and so on: the entities in whose aggregate it lives."""
    seen: EntityType | None = entity
    while seen is not None and seen.parent is not None:
        yield seen.parent
        seen = entity_type(seen.parent)


def _one_of(systems: Collection[str] | None, own: str) -> str:
    others = sorted(set(systems or ()) - {own})
    return f": {' or '.join(others)}" if others else ""


_KEY_NOT_IN_DELETES = (
    "a delete does not contain these columns",
    "set the table to REPLICA IDENTITY FULL (ALTER TABLE …) and add `before: full`, or use the table's key",
)


class TablePlanner(FieldPlanner):
    """Plans one table: its records, their keys, conditions and parents."""

    def plan(self) -> TablePlan:
        self._read(self.table.columns)
        for lookup in self.shared.lookups.values():
            if lookup.table == self.name:
                self._read((*lookup.by, *lookup.columns))
        if self.shared.rates is not None and self.shared.rates.table == self.name:
            self._read(self.shared.rates.columns)
        targets = [self._target(t, (*self.path, "to", i)) for i, t in enumerate(self.table.to)]
        for column in self.table.key:
            self.structural[column] = None
        for column in self.columns:
            if unreadable(column):
                what = f"the column {column!r} has a quote, a backslash or a control character in its name"
                self.shared.wrong(self.path, what, "such a column cannot be read: rename it in the source")
        for column in self.table.optional:
            if column not in self.columns:
                near = get_close_matches(column, self.columns, n=1)
                self.shared.wrong(
                    (*self.path, "optional"),
                    f"nothing reads {column!r} of this table",
                    f"did you mean {near[0]}?"
                    if near
                    else f"remove it; the columns that are read are {', '.join(self.columns)}",
                )
        return TablePlan(
            system=self.shared.dictionary.system,
            name=self.name,
            columns=list(self.columns),
            key_columns=self.table.key,
            structural=tuple(self.structural),
            required=tuple(
                c for c in dict.fromkeys((*self.structural, *self.required)) if c not in self.table.optional
            ),
            before_full=self.table.before == "full",
            uses_lookups=self.uses_lookups,
            has_lists=any(self._may_be_list(column) for column in self.columns),
            targets=[t for t in targets if t is not None],
            constants=self.constants,
            functions=self.functions,
        )

    def _may_be_list(self, column: str) -> bool:
        source = self._type_of(column)
        return source is None or source.is_list or source.form in ("bytes", "unknown")

    def _needs(self, columns: tuple[str, ...], path: YamlPath) -> None:
        """Without these columns the row cannot be placed."""
        self.shared.together.append(Together(self.name, path, columns, is_structural=True))
        for column in columns:
            self.structural[column] = None

    def _together(self, name: str, made: FieldPython, path: YamlPath) -> PlannedField:
        """A field. One of several columns cannot be made when Postgres leaves one of them out."""
        if len(made.columns) < 2:
            return PlannedField(name, *made)
        self.shared.together.append(Together(self.name, path, made.columns, is_structural=False))
        note = partial(self._note_adder(path), "left as it was: not all of its columns were sent", None)
        return PlannedField(name, *made, self._constant("unsent", note))

    # ---- one record ----

    def _target(self, target: Target, path: YamlPath) -> TargetPlan | None:
        entity = entity_type(target.entity)
        if entity is None:
            near = get_close_matches(target.entity, entity_types(), n=1)
            self.shared.wrong(
                (*path, "entity"),
                f"there is no entity {target.entity!r}",
                f"did you mean {near[0]}?" if near else f"there are {', '.join(entity_types())}",
            )
            return None
        self._name_values(target, path)
        when = self._condition(target.when, (*path, "when"))
        if isinstance(target.key, Value):
            key = self._key_of_value(target, target.key, path)
            has_key = f"{key.python} is not None"
            when = has_key if when is None else f"{has_key} and {when}"
        else:
            key = self._key(target, path)
        deleted = self._condition(target.deleted, (*path, "deleted")) or "False"
        parent, parent_columns = self._parent(target, entity, path)
        same_as, _ = (
            self._reference(target.same_as, target.entity, (*path, "same_as")) if target.same_as else ("None", ())
        )
        if target.same_as is not None and target.same_as.system is None:
            self.shared.wrong(
                (*path, "same_as"),
                "does not say whose key this is",
                f"add `system:`, the other system{_one_of(self.shared.systems, self.shared.dictionary.system)}",
            )
        self.conversion_attributes = []  # filled while the fields are planned
        fields = [self._field(n, r, entity, (*path, "fields", n)) for n, r in target.fields.items()]
        own = [self._attribute(n, r, (*path, "attributes", n)) for n, r in target.attributes.items()]
        attributes = [*own, *self.conversion_attributes]
        if attributes and "attributes" not in entity.fields:
            self.shared.wrong((*path, "attributes"), f"{entity.name} has no attributes", "put them on its document")
        if not target.part_of:
            for name, field in entity.fields.items():
                if field.required and name not in target.fields:
                    self.shared.wrong(
                        (*path, "fields"),
                        f"{entity.name} needs the field `{name}`",
                        f"add `{name}: <column>`, or `part_of: true` if another table gives it",
                    )
        return TargetPlan(
            entity=target.entity,
            ids=self._constant("ids", ids(self.shared.dictionary.system, target.entity)),
            key=key,
            when=when,
            deleted=deleted,
            parent=parent,
            parent_from_key=bool(parent_columns) and set(parent_columns) <= set(key.columns),
            same_as=same_as,
            fields=[f for f in fields if f is not None],
            attributes=[a for a in attributes if a is not None],
            part_of=target.part_of,
            merges=self._merges(target, path),
        )

    def _merges(self, target: Target, path: YamlPath) -> bool:
        """Whether the system says of its own records that it merged them."""
        if target.same_as is None or target.same_as.system != self.shared.dictionary.system:
            return False
        if target.deleted is None:
            self.shared.wrong(
                (*path, "same_as"),
                "names a record of its own system, and the row stays a live record beside it",
                "add `deleted:`, which is true for a row that was merged into another",
            )
        return True

    def _name_values(self, target: Target, path: YamlPath) -> None:
        """Plan the values `with` names; an expression reads them like columns."""
        self.named_values = {}
        planned: dict[str, NamedValue] = {}
        types = (self.shared.types or {}).get(self.name, {})
        for name, value in target.with_.items():
            if name in types:
                self.shared.wrong((*path, "with", name), "a column has this name", "choose another name")
            planned[name] = self.plan_value(value, (*path, "with", name))
        self.named_values = planned

    def _key_of_value(self, target: Target, value: Value, path: YamlPath) -> KeyPlan:
        """A key that is made from a column: rows for which it is null make no record."""
        if not target.part_of:
            self.shared.wrong((*path, "key"), "only a record with `part_of` takes its key from a value", "name columns")
        if value.lookup is not None:
            what = "a key may not be looked up: nobody would see that the row it was looked up in changes"
            self.shared.wrong((*path, "key", "lookup"), what, "look it up in a field, or give the row's own column")
            value = value.model_copy(update={"lookup": None})
        made = self.plan_value(value, (*path, "key"), target.entity)
        self._needs(made.columns, (*path, "key"))
        if self.table.before != "full" and not set(made.columns) <= set(self.table.key):
            self.shared.wrong((*path, "key"), *_KEY_NOT_IN_DELETES)
        python = made.python
        if target.namespace is not None:
            python = f"(None if {python} is None else {target.namespace + ':'!r} + str({python}))"
        return KeyPlan(made.columns, python, from_key=False, has_forms=True, may_be_null=True)

    def _near(self, name: str, entity: EntityType) -> str:
        """The remedy for a field that the entity does not have."""
        near = get_close_matches(name, entity.fields, n=1)
        return f"did you mean `{near[0]}`?" if near else f"{entity.name} has {', '.join(entity.fields)}"

    def _key(self, target: Target, path: YamlPath) -> KeyPlan:
        columns = target.key_columns or self.table.key
        self._read(columns)
        self._needs(columns, (*path, "key"))
        from_key = set(columns) <= set(self.table.key)
        if not from_key and self.table.before != "full":
            self.shared.wrong((*path, "key"), *_KEY_NOT_IN_DELETES)
        # A row that adds to a record names it by the key of the row that makes it.
        types = (
            key_types(self.shared.dictionary, self.shared.types, target.entity, target.namespace)
            if target.part_of
            else [self._type_of(column) for column in columns]
        )
        forms = self._key_forms(columns, types, path)
        python = key_python([self.names.local(column) for column in columns], forms)
        if target.namespace is not None:
            python = f"{target.namespace + ':'!r} + ({python})"
        return KeyPlan(columns, python, from_key, has_forms=any(forms))

    def _condition(self, text: str | None, path: YamlPath) -> str | None:
        """A CEL condition as a Python expression that is always True or False."""
        if text is None:
            return None
        expression = self._expression(text, path)
        if expression is None:
            return None
        self._needs(expression.columns, path)
        return expression.python if expression.boolean else f"cel_truth({expression.python})"

    # ---- references ----

    def _parent(self, target: Target, entity: EntityType, path: YamlPath) -> tuple[str, tuple[str, ...]]:
        """The id of the parent as an expression, and the columns that it reads: from `parent`, or from the reference
        field that the model names.
        """
        if target.parent is not None:
            if entity.parent is None:
                self.shared.wrong((*path, "parent"), f"{entity.name} has no parent in the model", "remove it")
                return "None", ()
            # A document may join the aggregate of an ancestor, as a payment whose invoice is unknown joins its order.
            allowed = [entity.parent] if entity.is_line else list(_ancestors(entity))
            if target.parent.entity not in (None, *allowed) and entity_type(str(target.parent.entity)) is not None:
                self.shared.wrong(
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
                return "None", ()  # a mistake, which is reported when the field itself is planned
            return self._id_of(rule, rule.entity or entity.parent, (*path, "fields", through))
        if entity.is_line and not target.part_of:
            self.shared.wrong(
                path,
                f"a {entity.name} needs a `parent`",
                f"add `parent: <the column with the key of its {entity.parent}>`",
            )
        return "None", ()

    def _reference(self, reference: Reference, entity: str, path: YamlPath) -> tuple[str, tuple[str, ...]]:
        if reference.entity is not None and entity_type(reference.entity) is None:
            self.shared.wrong(
                (*path, "entity"), f"there is no entity {reference.entity!r}", f"there are {', '.join(entity_types())}"
            )
            return "None", ()
        # A reference is planned as a rule of a reference field; only words that were written count as given.
        given = {
            n: getattr(reference, n)
            for n in ("column", "columns", "expr", "lookup", "typed", "steps", "system", "namespace")
            if n in reference.model_fields_set
        }
        return self._id_of(MappingRule.model_validate(given), reference.entity or entity, path)

    def _id_of(self, rule: MappingRule, entity: str, path: YamlPath) -> tuple[str, tuple[str, ...]]:
        """The id of another record as one expression, and the columns that it reads."""
        field = FieldType("reference", "ref", ref=entity)
        made = self.plan_field(rule, field, path)
        if made is None:
            return "None", ()
        statements, python, columns = made
        self._needs(columns, path)
        return (self.as_call(statements, python, columns) if statements else python), columns

    # ---- fields ----

    def _attribute(self, name: str, rule: MappingRule, path: YamlPath) -> PlannedField | None:
        made = self.plan_field(rule, FieldType(name, "text"), path)
        return self._together(name, made, path) if made is not None else None

    def _field(self, name: str, rule: MappingRule, entity: EntityType, path: YamlPath) -> PlannedField | None:
        field = entity.fields.get(name)
        if field is None:
            self.shared.wrong(path, f"{entity.name} has no field `{name}`", self._near(name, entity))
            return None
        if field.kind == "map":
            self.shared.wrong(
                path, f"`{name}` is not mapped by one rule", "list each of its entries under `attributes:`"
            )
            return None
        made = self.plan_field(rule, field, path)
        return self._together(name, made, path) if made is not None else None
