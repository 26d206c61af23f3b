"""What shadow mode would have sent, beside what people did by hand. Pure; the hub is read anew, so that it tells how things stand now.

A rule with `values` is compared with what the target says of the subject by now; one with steps with what its `by_hand` names.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

from streams.model.entities import ENTITIES
from streams.model.state import EntityState
from streams.writeback.rule_inputs import desired_values, field_value, is_live
from streams.writeback.rules import WritebackRule
from streams.writeback.values import value_of
from streams.writeback.work import Work

Verdict = Literal["same", "differs", "not done", "unknown"]


class Compared(msgspec.Struct, frozen=True):
    """`same`: people did what the rule would have done; `differs`: otherwise, as `fields` says ({field: [the rule's, theirs]}); `not done`:
    nobody did anything since; `unknown`: the rule can not be compared.
    """

    id: int
    rule: str
    subject_id: str
    verdict: Verdict
    fields: dict[str, list[Any]] = {}
    theirs: str | None = None
    """Number or key of what people made."""


def compare(work: Work, rule: WritebackRule, document: dict[str, Any] | None, members: list[EntityState]) -> Compared:
    """`members`: the aggregate's entities, of which one may be what people made."""
    if document is None:
        return Compared(work.id, work.rule, work.subject_id, "unknown")
    if rule.values:
        return _values(work, rule, document, members)
    if rule.by_hand is None:
        return Compared(work.id, work.rule, work.subject_id, "unknown")
    wanted = {field: value_of(spec, document) for field, spec in rule.by_hand.values.items()}
    made = [
        one
        for one in members
        if one.entity == rule.by_hand.entity
        and is_live(one)
        and any(said.system == work.target for said in one.contributions.values())
    ]
    if not made:
        return Compared(work.id, work.rule, work.subject_id, "not done")
    nearest = min(made, key=lambda one: (len(_different(wanted, one.record)), one.id))
    return _told(work, rule.by_hand.entity, wanted, nearest.record, nearest.record.get("number") or nearest.id)


def _values(work: Work, rule: WritebackRule, document: dict[str, Any], members: list[EntityState]) -> Compared:
    wanted = desired_values(rule, document)
    theirs = document["subject"]["contributions"].get(work.target, {})
    told = _told(work, rule.subject_entity, wanted, theirs, document["subject"]["keys"].get(work.target))
    if told.verdict == "same":
        return told
    subject = next((one for one in members if one.id == work.subject_id), None)
    spoke = (
        max((said.source_us for said in subject.contributions.values() if said.system == work.target), default=0)
        if subject
        else 0
    )
    return told if spoke > work.cause_us else msgspec.structs.replace(told, verdict="not done")


def _told(work: Work, entity: str, wanted: dict[str, Any], theirs: dict[str, Any], name: str | None) -> Compared:
    kinds = ENTITIES[entity].fields
    fields = {
        field: [_shown(value, kinds.get(field)), _shown(field_value(theirs, field), kinds.get(field))]
        for field, value in _different(wanted, theirs).items()
    }
    return Compared(work.id, work.rule, work.subject_id, "differs" if fields else "same", fields, name)


def _different(wanted: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in wanted.items() if field_value(theirs, field) != value}


def _shown(value: Any, kind: Any) -> Any:
    """As people write it: decimals with their point."""
    if isinstance(value, int) and kind is not None and kind.scale is not None:
        return format(Decimal(value).scaleb(-kind.scale).normalize(), "f")
    return value
