"""Which conflicts of an entity are logged, and which intents overwrite what people entered. Pure.

Conflicts are looked for after each change of an entity, so that what is logged does not depend on which changes came in
one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from streams.model.intent import NewIntent
from streams.model.names import PEOPLE
from streams.model.state import AggregateState, Conflict, Contribution, EntityState, Turn
from streams.resolve.golden import disagreement, golden
from streams.resolve.rules import Ownership
from streams.writeback.planner import IntentPlanner
from streams.writeback.rule_inputs import build_document, contributed_fields
from streams.writeback.values import Fields


def conflicts_to_log(
    state: AggregateState, entity: EntityState, record: Fields, conflicts: Iterable[Conflict], planner: IntentPlanner
) -> list[Conflict]:
    """These conflicts of an entity with the golden record `record`, without those that write-back is about to end."""
    return [
        msgspec.structs.replace(conflict, aggregate_id=state.id)
        for conflict in conflicts
        if not ends_by_writeback(entity, record, conflict, planner)
    ]


def standing_conflicts(
    state: AggregateState, entity: EntityState, ownership: Ownership, planner: IntentPlanner
) -> list[Conflict]:
    """The conflicts of an entity as they are now, to be emitted again."""
    record, conflicts = golden(entity, ownership)
    return conflicts_to_log(state, entity, record, conflicts, planner)


def turns_of(
    state: AggregateState, intents: Iterable[NewIntent], ownership: Ownership, planner: IntentPlanner
) -> Iterator[Turn]:
    """A turn for each field in which an intent overwrites what people of its target entered.

    Too many turns of one field within a window mean that two systems overwrite each other.
    """
    for intent in intents:
        entity = state.members.get(intent.subject_id)
        rule = planner.rule(intent.rule, intent.entity)
        if entity is None or entity.id != intent.entity_id or rule is None:
            continue
        if not rule.is_live_for(intent.customer_id or intent.subject_id):
            continue  # shadow mode only records intents, and overwrites nothing
        for field in intent.fields:
            at_us = overwritten_edit(entity, field, intent.target)
            conflict = None if at_us is None else disagreement(entity, field, ownership)
            if at_us is not None and conflict is not None:
                yield Turn(msgspec.structs.replace(conflict, aggregate_id=state.id), intent.target, at_us)


def ends_by_writeback(entity: EntityState, record: Fields, conflict: Conflict, planner: IntentPlanner) -> bool:
    """Whether a live rule of write-back is about to end a plain disagreement.

    It is if people entered the value that stands (`record`), and every system with another value gets it by a rule, has
    not spoken of the field since, and was not written to since. This depends on the contributions alone, not on what
    was planned in which batch.
    """
    winner, field = conflict.winner, conflict.field
    if conflict.kind != "disagreement" or winner is None or winner == PEOPLE:
        return False
    if not planner.has_rules_for(entity.entity):
        return False
    value, since_us, by_people = conflict.values[winner], 0, False
    for contribution in entity.contributions.values():
        if contribution.system == winner and not contribution.deleted and _value(contribution, field) == value:
            edit = (contribution.changed or {}).get(field)
            entered_us = edit[3] if edit is not None else contribution.first_us or contribution.source_us
            since_us = max(since_us, entered_us)
            by_people = by_people or edit is not None or contribution.live
    if not by_people:
        return False
    document = build_document(record, contributed_fields(entity))
    for contribution in entity.contributions.values():
        if contribution.system in (winner, PEOPLE) or contribution.deleted:
            continue
        if _value(contribution, field) in (None, value):
            continue
        edit = (contribution.changed or {}).get(field)
        if edit is not None and edit[3] > since_us:
            return False  # people of this system contradict
        if not contribution.live and contribution.source_us > since_us:
            return False  # an echo: write-back was here, and the values still differ
        if not planner.surely_writes(entity.entity, field, contribution.system, document):
            return False
    return True


def overwritten_edit(entity: EntityState, field: str, target: str) -> int | None:
    """When (µs, by the target's clock) people of the target last entered a value other than the one that stands; None
    if they did not.
    """
    stands = entity.record.get(field)
    edits = [
        contribution.changed[field][3]
        for contribution in entity.contributions.values()
        if contribution.system == target and not contribution.deleted
        and contribution.changed is not None and field in contribution.changed and _value(contribution, field) != stands
    ]  # fmt: skip
    return max(edits, default=None)


def _value(contribution: Contribution, field: str) -> object:
    return (contribution.fields or {}).get(field)
