"""The disputes of one batch: looked at after each word of an entity, so that what is logged does not depend on what came together.

In: entities as they are between two words. Out: conflicts to log, but for those that are merely on their way, and turns: what write-back is
to write over. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from streams.hub.intents import NewIntent
from streams.model.names import PEOPLE
from streams.model.state import AggregateState, Conflict, EntityState, Turn
from streams.resolve.golden import Ownership, disagreement, golden
from streams.writeback.planner import IntentPlanner
from streams.writeback.rule_inputs import build_document, contributed_fields


class Disputes:
    """What is in dispute between systems, over one batch."""

    def __init__(self, ownership: Ownership, planner: IntentPlanner) -> None:
        self._ownership = ownership
        self._planner = planner
        self._unlooked: set[str] = set()
        """Entities of which something was said that is no echo, and whose disputes were not looked at since."""
        self.logged: dict[str, Conflict] = {}
        self.turns: list[Turn] = []

    def said(self, entity_id: str) -> None:
        """Something was said of the entity that is no echo."""
        self._unlooked.add(entity_id)

    def look(self, state: AggregateState, member: EntityState) -> tuple[dict[str, Any], list[Conflict]]:
        """The golden record and its disputes now; those to log are noted, where something was said since the last look."""
        raw, conflicts = golden(member, self._ownership)
        if member.id in self._unlooked:
            self._unlooked.discard(member.id)
            self.logged |= {one.id: one for one in self._to_tell(state, member, raw, conflicts)}
        return raw, conflicts

    def look_first(self, state: AggregateState, member: EntityState) -> None:
        """Before something else is said of it."""
        if member.id in self._unlooked:
            self.look(state, member)

    def standing(self, state: AggregateState, member: EntityState) -> list[Conflict]:
        """What was told of it, to be told again."""
        return self._to_tell(state, member, *golden(member, self._ownership))

    def _to_tell(
        self, state: AggregateState, member: EntityState, raw: dict[str, Any], conflicts: list[Conflict]
    ) -> list[Conflict]:
        return [
            msgspec.structs.replace(conflict, aggregate_id=state.id)
            for conflict in conflicts
            if not on_its_way(member, raw, conflict, self._planner)
        ]

    def note_turns(self, state: AggregateState, intents: Iterable[NewIntent]) -> None:
        """An intent that writes over what people of its target said takes a turn: two systems may be overwriting each other."""
        for intent in intents:
            member = state.members.get(intent.subject_id)
            rule = self._planner.rule(intent.rule, intent.entity)
            # What shadow mode only notes writes over nothing.
            if (
                member is None
                or member.id != intent.entity_id
                or rule is None
                or not rule.is_live_for(intent.customer_id or intent.subject_id)
            ):
                continue
            for field in intent.fields:
                at_us = overwritten(member, field, intent.target)
                conflict = None if at_us is None else disagreement(member, field, self._ownership)
                if at_us is not None and conflict is not None:
                    told = msgspec.structs.replace(conflict, aggregate_id=state.id)
                    self.turns.append(Turn(told, intent.target, at_us))


def on_its_way(member: EntityState, record: dict[str, Any], conflict: Conflict, planner: IntentPlanner) -> bool:
    """Whether a live rule of write-back is about to end a plain disagreement: people said what stands (`record`), and no system that says
    something else has spoken of the field since, nor has write-back been there meanwhile. Goes by what was said alone, not by what was
    planned in which batch.
    """
    winner, field = conflict.winner, conflict.field
    if (
        conflict.kind != "disagreement"
        or winner is None
        or winner == PEOPLE
        or not planner.has_rules_for(member.entity)
    ):
        return False
    value, since_us, people = conflict.values[winner], 0, False
    for said in member.contributions.values():
        if said.system == winner and not said.deleted and (said.fields or {}).get(field) == value:
            edit = (said.changed or {}).get(field)
            since_us = max(since_us, edit[3] if edit is not None else said.first_us or said.source_us)
            people = people or edit is not None or said.live
    if not people:
        return False
    document = build_document(record, contributed_fields(member))
    for said in member.contributions.values():
        if said.system in (winner, PEOPLE) or said.deleted or (said.fields or {}).get(field) in (None, value):
            continue
        edit = (said.changed or {}).get(field)
        if edit is not None and edit[3] > since_us:
            return False
        if not said.live and said.source_us > since_us:
            return False
        if not planner.surely_writes(member.entity, field, said.system, document):
            return False
    return True


def overwritten(member: EntityState, field: str, target: str) -> int | None:
    """When (µs, by the source) people of the target last edited a field of which they say something else than what stands; None where
    they do not.
    """
    stands = member.record.get(field)
    edits = [
        said.changed[field][3]
        for said in member.contributions.values()
        if said.system == target and not said.deleted and said.changed is not None and field in said.changed
        and (said.fields or {}).get(field) != stands
    ]  # fmt: skip
    return max(edits, default=None)
