"""What a write-back rule sees of a record, and what it wants its subject to say. Pure; part of the hot path of
assemble.

In: entity states, and the fields that each system contributes to them. Out: the dict in which the paths of a rule
begin (`record`, `contributions.<system>`), and the values that the rule computes from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.model.state import EntityState
from streams.writeback.rules import WritebackRule
from streams.writeback.values import Fields, Paths, value_of


def contributed_fields(entity: EntityState) -> dict[str, Fields]:
    """system → the fields that it contributes now; deleted contributions are left out."""
    return {
        contribution.system: contribution.fields or {}
        for contribution in entity.contributions.values()
        if not contribution.deleted
    }


def build_document(record: Fields, contributions: dict[str, Fields]) -> Paths:
    """The dict in which the paths of a rule begin while it is planned."""
    return {"record": record, "contributions": contributions}


def entity_document(entity: EntityState) -> Paths:
    """`build_document` of an entity as it is now."""
    return build_document(entity.record, contributed_fields(entity))


def desired_values(rule: WritebackRule, document: Mapping[str, object]) -> Fields:
    """canonical field → the value that the rule wants its subject to have. Raises ValueError for a value of the wrong
    form.
    """
    return {field: value_of(spec, document) for field, spec in rule.values.items()}


def copied_fields(rule: WritebackRule) -> list[str]:
    """Fields that a rule with `values` copies from the record to its subject under the same name."""
    return [field for field, spec in rule.values.items() if spec.path == f"record.{field}"]


def matches(conditions: Mapping[str, object], record: Mapping[str, object]) -> bool:
    """Whether the record has every value of `conditions`; a list means any of its values. No condition, no match."""
    if not conditions:
        return False
    for field, wanted in conditions.items():
        value = record.get(field)
        if value not in wanted if isinstance(wanted, list) else value != wanted:
            return False
    return True


def field_value(fields: Mapping[str, Any], field: str) -> Any:
    """The value of a field; `attributes.<name>` is an entry of the map `attributes`."""
    if field.startswith("attributes."):
        return (fields.get("attributes") or {}).get(field.removeprefix("attributes."))
    return fields.get(field)


def is_live(entity: EntityState) -> bool:
    """Whether the record exists and was not cancelled."""
    return (
        not entity.deleted
        and entity.merged_into is None
        and entity.version > 0
        and entity.record.get("status") != "cancelled"
    )
