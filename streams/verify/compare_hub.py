"""Resolves and joins every record of the hub again, from its contributions, and compares it with what is stored.

In: all aggregates and the ownership rules. Out: differences, and the records that the canonical topics must hold. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.emit.encode import encoder
from streams.errors import EncodeError
from streams.flow.order_flow import NOTHING_JOINED, join_all
from streams.flow.shares import SHARE, SHARES_SENT
from streams.hub.service import SERVICE_CASE
from streams.hub.verification import final_record
from streams.model.entities import ENTITIES
from streams.model.state import AggregateState, EntityState
from streams.pipeline.canonical import REFERENCES, canonical
from streams.pipeline.settle.joins import SUPPLY
from streams.resolve.golden import Ownership, golden, is_deleted
from streams.verify.comparison import Comparison
from streams.verify.service_cases import ExpectedCase, expected_cases
from streams.verify.share_check import wrong_shares
from streams.verify.words import canonical_differences, in_words, record_name

ExpectedRecords = dict[tuple[str, str], tuple[int, bytes | None]]
"""(topic, key) → (version, Avro body; None for a tombstone)."""

NOT_ENCODABLE = b""
"""The body of a record that no topic can hold: it is a dead letter, and the topic keeps the version before."""


def expected_records(
    states: Mapping[str, AggregateState], same: dict[str, str], ownership: Ownership, comparison: Comparison
) -> ExpectedRecords:
    """What the canonical topics must hold. `same`: source id → the record that it is the same as."""
    expected: ExpectedRecords = {}
    cases = expected_cases(states, same)
    for state in states.values():
        joined = join_all(state.members.values()) if state.kind == "order_flow" else NOTHING_JOINED
        for member in state.members.values():
            comparison.entities += 1
            if member.entity == "order_flow":
                _compare_computed(member, joined.flow, comparison)
            elif member.entity == SUPPLY:
                record = joined.supplies.get(member.record.get("order_line_id", ""))
                _compare_computed(member, record, comparison)
            elif member.entity == SERVICE_CASE:
                _compare_case(state, member, cases.pop(member.id, None), comparison)
            elif member.entity == SHARES_SENT:
                continue  # `compare_shares` does
            elif member.merged_into is None:
                _compare_entity(member, same, ownership, comparison)
            if member.entity == SHARE:
                continue
            topic = ENTITIES[member.entity].topic
            # Version 0: nothing was ever emitted of it.
            if topic is not None and member.version:
                is_live = not member.deleted and member.merged_into is None
                body = _encoded(state, member, comparison) if is_live else None
                expected[topic, member.id] = (member.version, body)
    for id, case in cases.items():
        comparison.add("lost", f"{record_name(SERVICE_CASE, id, case.record)} was never made")
    for wrong in wrong_shares(states):
        comparison.add("differing", wrong)
    return expected


def _encoded(state: AggregateState, member: EntityState, comparison: Comparison) -> bytes:
    try:
        return encoder(member.entity)(canonical(state, member))
    except EncodeError as error:
        comparison.add("rejected", str(error))
        return NOT_ENCODABLE


def _compare_computed(stored: EntityState, joined: dict[str, Any] | None, comparison: Comparison) -> None:
    """Compare a record that the hub computes with what its members give now; None: there should be none."""
    name = record_name(stored.entity, stored.id, stored.record)
    if (joined is None) != stored.deleted:
        comparison.add("differing", f"{name}: deleted should be {joined is None}")
    elif joined is not None:
        _compare_fields(stored.entity, name, joined, stored, "the join of its members", comparison)


def _compare_case(
    state: AggregateState, stored: EntityState, case: ExpectedCase | None, comparison: Comparison
) -> None:
    _compare_computed(stored, case.record if case is not None else None, comparison)
    if case is not None and state.id != case.aggregate_id:
        name = record_name(SERVICE_CASE, stored.id, stored.record)
        comparison.add("differing", f"{name} lives in {state.id}, and should live in {case.aggregate_id}")


def _compare_entity(member: EntityState, same: dict[str, str], ownership: Ownership, comparison: Comparison) -> None:
    deleted = is_deleted(member, ownership)
    if deleted != member.deleted and member.version:
        name = record_name(member.entity, member.id, member.record)
        comparison.add("differing", f"{name}: deleted should be {deleted}")
    if deleted:
        return
    record = dict(golden(member, ownership)[0])
    for field in REFERENCES[member.entity]:
        # A contribution refers to the record of its system; the golden record to the one that it was merged into.
        if record.get(field):
            record[field] = final_record(record[field], same)
    name = record_name(member.entity, member.id, record)
    _compare_fields(member.entity, name, record, member, "what its contributions give", comparison)


def _compare_fields(
    entity: str, name: str, record: Mapping[str, object], stored: EntityState, source: str, comparison: Comparison
) -> None:
    """A field that is absent is one that is null: both are null in the topic."""
    if record == stored.record:
        return
    differences = list(canonical_differences(entity, record, stored.record))
    if differences:
        comparison.add(
            "differing", f"{name}: {'; '.join(in_words(difference, source, 'the hub') for difference in differences)}"
        )
