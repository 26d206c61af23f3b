"""The dictionaries of the demo as JSON that Java reads: columns, references, conversions, types; and the words that
conversions look up.

Only what these dictionaries use is said; what is new to them and not said here, Java refuses or the comparison of the
outputs shows.
"""

from __future__ import annotations

from typing import Any

from streams.dictionary.canonical_fields import EntityType, FieldType, entity_type
from streams.dictionary.language.dictionary import Dictionary, Table
from streams.dictionary.language.mapping_rule import MappingRule, Reference
from streams.dictionary.language.read import load_dictionary
from streams.mapping.conversions import amounts, contact, texts
from streams.mapping.values.numbers import unscaled
from streams.model.ids import NAMESPACE
from streams.provision.systems import load_systems
from streams.settings import Settings


def plan(schema_id: int) -> dict[str, Any]:
    tables = {}
    for system in load_systems(Settings()):
        prefix = system.source["config"]["topic.prefix"]
        compiled = system.dictionary
        dictionary = load_dictionary(system.folder)
        for name, table in dictionary.tables.items():
            columns = compiled.tables[name].columns
            tables[f"{prefix}.{name}"] = table_plan(dictionary, table, columns)
    return {"schema_id": schema_id, "namespace": NAMESPACE.hex, "tables": tables, "words": words_plan()}


def words_plan() -> dict[str, Any]:
    currencies = contact._currencies()
    return {
        "country": contact._countries(),
        "language": contact._languages(),
        "currency": currencies | {name: code for name, code in contact._CURRENCY_NAMES.items() if code in currencies},
        "unit": amounts._UNIT_CODES,
        "true": sorted(texts._TRUE),
        "false": sorted(texts._FALSE),
    }


def table_plan(dictionary: Dictionary, table: Table, columns: tuple[str, ...]) -> dict[str, Any]:
    (target,) = table.to
    if target.when or target.part_of or table.before != "key" or (target.key or table.key) != table.key:
        raise ValueError(f"{target.entity}: more than the peer knows of")
    entity = entity_type(target.entity)
    assert entity is not None
    parent = parent_of(dictionary, target.parent, entity, target.fields)
    return {
        "system": dictionary.system,
        "columns": columns,
        "key": table.key,
        "target": {
            "entity": entity.name,
            "deleted": target.deleted,
            "parent": parent,
            "parent_from_key": parent is not None and parent["column"] in table.key,
            "same_as": reference(dictionary, target.same_as, entity.name) if target.same_as is not None else None,
            "fields": [
                field_plan(dictionary, table, rule, entity.fields[name]) for name, rule in target.fields.items()
            ],
            "attributes": [
                field_plan(dictionary, table, rule, FieldType(name, "text")) for name, rule in target.attributes.items()
            ],
        },
    }


def parent_of(
    dictionary: Dictionary, given: Reference | None, entity: EntityType, fields: dict[str, MappingRule]
) -> dict[str, Any] | None:
    if entity.parent is None:
        return None
    if given is not None:
        return reference(dictionary, given, entity.parent)
    through = fields.get(entity.parent_field or "")
    return reference(dictionary, through, entity.parent) if through is not None else None


def reference(dictionary: Dictionary, given: Reference | MappingRule, entity: str) -> dict[str, Any]:
    if given.column is None or given.lookup or given.typed or given.namespace or given.steps:
        raise ValueError(f"a reference to {entity}: more than the peer knows of")
    return {
        "system": given.system or dictionary.system,
        "entity": given.entity or entity,
        "column": given.column,
    }


def field_plan(dictionary: Dictionary, table: Table, rule: MappingRule, field: FieldType) -> dict[str, Any]:
    if rule.path or rule.split or rule.lookup or rule.convert or rule.const is not None or rule.bad == "pass":
        raise ValueError(f"{field.name}: more than the peer knows of")
    own = list(rule.columns or ([rule.column] if rule.column else []))
    if rule.expr is not None:
        own = ["qty", "rsv"]  # the one sum of the demo; Java knows it by its text
    steps = []
    for step in rule.steps:
        name, options = (step, {}) if isinstance(step, str) else next(iter(step.items()))
        options = {"country": dictionary.country} | (options or {})
        steps.append({"name": name, "options": options, "column": options.get("country_column")})
    others = [step["column"] for step in steps if step["column"] is not None]
    values = {v: v for v in field.allowed} if field.allowed and rule.values is None else rule.values

    def typed(value: Any) -> Any:
        return unscaled(field.scale, field.precision)(value) if field.kind == "decimal" and value is not None else value

    return {
        "name": field.name,
        "kind": field.kind,
        "ref": reference(dictionary, rule, str(field.ref)) if field.kind == "ref" else None,
        "columns": list(dict.fromkeys([*own, *others])),
        "expr": rule.expr,
        "join": rule.join if rule.columns else None,
        "joined": len(own),
        "steps": steps,
        "scale": field.scale,
        "round": rule.round or "",
        "timezone": rule.timezone or table.timezone or dictionary.timezone,
        "values": {key: typed(value) for key, value in values.items()} if values is not None else None,
        "unknown": rule.unknown,
        "bad_is_null": rule.bad == "null",
        "default": typed(rule.default),
    }
