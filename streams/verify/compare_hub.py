"""Resolves and joins every record of the hub again, from its contributions, and compares it with what is stored.

In: all aggregates and the ownership rules. Out: differences, and the records that the canonical topics must hold. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.emit.encode import encoder
from streams.flow.order_flow import join
from streams.hub.verification import final_record
from streams.model.entities import ENTITIES
from streams.model.state import AggregateState, EntityState
from streams.pipeline.canonical import REFERENCES, canonical, flow_record_id
from streams.resolve.golden import Ownership, golden, is_deleted
from streams.verify.comparison import Comparison

ExpectedRecords = dict[tuple[str, str], tuple[int, bytes | None]]
"""(topic, key) → (version, Avro body; None for a tombstone)."""


def expected_records(
    states: Mapping[str, AggregateState], same: dict[str, str], ownership: Ownership, comparison: Comparison
) -> ExpectedRecords:
    """What the canonical topics must hold. `same`: source id → the record that it is the same as."""
    expected: ExpectedRecords = {}
    for state in states.values():
        flow_id = flow_record_id(state)
        for member in state.members.values():
            comparison.entities += 1
            if member.id == flow_id:
                _compare_flow(state, member, comparison)
            elif member.merged_into is None:
                _compare_entity(member, same, ownership, comparison)
            topic = ENTITIES[member.entity].topic
            # Version 0: nothing was ever emitted of it.
            if topic is not None and member.version:
                is_live = not member.deleted and member.merged_into is None
                body = encoder(member.entity)(canonical(state, member)) if is_live else None
                expected[topic, member.id] = (member.version, body)
    return expected


def _compare_flow(state: AggregateState, flow: EntityState, comparison: Comparison) -> None:
    joined = join(member for member in state.members.values() if member.id != flow.id)
    if (joined is None) != flow.deleted or (joined is not None and joined != flow.record):
        comparison.add("differing", f"order_flow {flow.id}: the stored join is not the join of its members")


def _compare_entity(member: EntityState, same: dict[str, str], ownership: Ownership, comparison: Comparison) -> None:
    deleted = is_deleted(member, ownership)
    if deleted != member.deleted and member.version:
        comparison.add("differing", f"{member.entity} {member.id}: deleted should be {deleted}")
    if deleted:
        return
    record = dict(golden(member, ownership)[0])
    for field in REFERENCES[member.entity]:
        # A contribution refers to the record of its system; the golden record to the one that it was merged into.
        if record.get(field):
            record[field] = final_record(record[field], same)
    if record != member.record:
        fields = sorted(
            name for name in record.keys() | member.record.keys() if record.get(name) != member.record.get(name)
        )
        what = f"{', '.join(fields)} is not what its contributions give"
        comparison.add("differing", f"{member.entity} {member.id}: {what}")
