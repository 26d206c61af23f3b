"""Compare what shadow mode would have sent with what people did by hand. Pure: the caller reads the hub as it is now.

A rule with `values` is compared with what the target contributes to the subject now; a rule with steps with the
record that its `by_hand` names.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from streams.hub.intents import Intent
from streams.model.entities import ENTITIES, FieldType
from streams.model.state import EntityState
from streams.writeback.documents import Document
from streams.writeback.rule_inputs import desired_values, field_value, is_live
from streams.writeback.rules import WritebackRule
from streams.writeback.values import Fields, value_of

Verdict = Literal["same", "differs", "not done", "unknown"]


class ShadowComparison(msgspec.Struct, frozen=True):
    """`same`: people did what the rule would have done; `differs`: they did something else, see `fields` ({field: [by
    rule, by hand]}); `not done`: people have done nothing since; `unknown`: the rule cannot be compared.
    """

    id: int
    """Number of the intent."""
    rule: str
    subject_id: str
    verdict: Verdict
    fields: dict[str, list[object]] = {}
    by_hand: str | None = None
    """Number or key of what people made."""


def compare(
    intent: Intent, rule: WritebackRule, document: Document | None, members: Sequence[EntityState]
) -> ShadowComparison:
    """`members`: the entities of the aggregate; one of them may be what people made."""
    if document is None:
        return _comparison(intent, "unknown")
    if rule.values:
        return _compare_values(intent, rule, document, members)
    if rule.by_hand is None:
        return _comparison(intent, "unknown")
    paths = document.paths()
    wanted = {field: value_of(spec, paths) for field, spec in rule.by_hand.values.items()}
    candidates = [
        entity
        for entity in members
        if entity.entity == rule.by_hand.entity
        and is_live(entity)
        and any(contribution.system == intent.target for contribution in entity.contributions.values())
    ]
    if not candidates:
        return _comparison(intent, "not done")
    nearest = min(candidates, key=lambda entity: (len(_differences(wanted, entity.record)), entity.id))
    name = nearest.record.get("number") or nearest.id
    return _compare_fields(intent, rule.by_hand.entity, wanted, nearest.record, name)


def _compare_values(
    intent: Intent, rule: WritebackRule, document: Document, members: Sequence[EntityState]
) -> ShadowComparison:
    wanted = desired_values(rule, document.paths())
    current = document.subject.contributions.get(intent.target, {})
    comparison = _compare_fields(intent, rule.subject_entity, wanted, current, document.subject.keys.get(intent.target))
    if comparison.verdict == "same":
        return comparison
    subject = next((entity for entity in members if entity.id == intent.subject_id), None)
    contributions = subject.contributions.values() if subject else ()
    changed_us = max((c.source_us for c in contributions if c.system == intent.target), default=0)
    # Other values that are older than the cause are no decision of people against the rule: they have not done it yet.
    return comparison if changed_us > intent.cause_us else msgspec.structs.replace(comparison, verdict="not done")


def _compare_fields(
    intent: Intent, entity: str, wanted: Fields, current: Fields, by_hand: str | None
) -> ShadowComparison:
    kinds = ENTITIES[entity].fields
    fields = {
        field: [_as_text(value, kinds.get(field)), _as_text(field_value(current, field), kinds.get(field))]
        for field, value in _differences(wanted, current).items()
    }
    return ShadowComparison(intent.id, intent.rule, intent.subject_id, "differs" if fields else "same", fields, by_hand)


def _comparison(intent: Intent, verdict: Verdict) -> ShadowComparison:
    return ShadowComparison(intent.id, intent.rule, intent.subject_id, verdict)


def _differences(wanted: Fields, current: Fields) -> Fields:
    return {field: value for field, value in wanted.items() if field_value(current, field) != value}


def _as_text(value: object, kind: FieldType | None) -> object:
    """A decimal as people write it, with its point; any other value as it is."""
    if isinstance(value, int) and kind is not None and kind.scale is not None:
        return format(Decimal(value).scaleb(-kind.scale).normalize(), "f")
    return value
