"""Golden records, versions and documents of what changed. Part of the second half of settling."""

from __future__ import annotations

from collections.abc import Callable, Collection

from streams.model.state import AggregateState, EntityState
from streams.pipeline.canonical import MERGEABLE, REFERENCES, flow_record_id
from streams.pipeline.conflicts import standing_conflicts
from streams.pipeline.settle.joins import DUE_OF, SUMMED_IN, SUPPLY, plan_writeback
from streams.pipeline.settle.references import release
from streams.pipeline.settle.working import DOCUMENT_OF, AggregateWork, Working, emit, resolve, write
from streams.resolve.golden import golden, is_deleted

SameAs = Callable[[str], str]
"""Source id → the id of the entity that it is."""


def resolve_changed(work: Working, aggregate: AggregateWork) -> None:
    """Compute the golden records of the changed entities, and collect the source ids that they refer to."""
    state, references = aggregate.state, work.out.references
    for entity_id in aggregate.changed:
        member = state.members.get(entity_id)
        if member is None or member.merged_into is not None:
            continue
        if len(member.contributions) > 1:
            record, conflicts = resolve(work, state, member)
            work.out.contested.add(entity_id)
            work.out.standing.update(conflict.id for conflict in conflicts)
        else:
            record, _ = golden(member, work.ownership)  # a single source contradicts nobody
        work.golden[entity_id] = record
        for field in REFERENCES[member.entity]:
            reference = record.get(field)
            if reference:
                references.add(reference)


def settle_entity(work: Working, aggregate: AggregateWork, member: EntityState, same: SameAs) -> None:
    """Give an entity its golden record, with references to the records that they are; raise its version if it
    changed.
    """
    state = aggregate.state
    if member.merged_into is not None:
        if member.version and not member.deleted:
            member.version += 1
            member.deleted = True
            emit(work, aggregate, member)
        write(work, aggregate, member, state.id)
        return
    golden_record = work.golden[member.id]
    deleted = is_deleted(member, work.ownership)
    record = member.record
    if not deleted:
        record = golden_record
        for field in REFERENCES[member.entity]:
            reference = golden_record.get(field)
            if reference:
                target = same(reference)
                if target != reference:
                    # A copy: the golden record of a single source is that source's own contribution.
                    record = dict(record)
                    record[field] = target
    changed = deleted != member.deleted or record != member.record or member.version == 0
    if changed or member.id in work.contributions_before:
        plan_writeback(work, aggregate, member)
    if changed:
        entity = member.entity
        mark = DUE_OF.get(entity)
        if mark is not None:
            mark(work, aggregate, member, record)
        elif member.version == 0:
            if entity == "sales_order_line":
                if not deleted:
                    work.out.new_order_lines.add(member.id)  # documents of other aggregates may have named it
            elif entity in SUMMED_IN:
                work.out.sums_due.add((entity, member.id))  # its invoices or stock levels may have come first
    if changed or (member.id in work.sources_changed and not deleted):
        member.record = record
        member.deleted = deleted
        if member.version or not deleted:
            # From the contributions of now: a split may have taken the newest one away.
            member.updated_us = max([contribution.source_us for contribution in member.contributions.values()])
            if member.id not in work.bumped:
                work.bumped.add(member.id)
                member.version += 1
            _emit_document(work, aggregate, member)
    write(work, aggregate, member, state.id)


def repeat_known(work: Working, aggregate: AggregateWork) -> None:
    """Emit again what known changes led to: a worker may have died after the hub's commit and before it emitted."""
    state = aggregate.state
    unsettled = _unsettled(state)
    for entity_id in aggregate.repeated:
        member = state.members.get(entity_id)
        if member is None:
            continue
        if state.id in work.batch.in_doubt and member.entity in MERGEABLE:
            release(work, state, member)  # those that were made to wait may not have been refreshed
        _repeat_documents(work, aggregate, member, unsettled)
        mark = DUE_OF.get(member.entity)
        if mark is not None:
            mark(work, aggregate, member, member.record)
        if len(member.contributions) > 1 and member.merged_into is None:
            conflicts = standing_conflicts(state, member, work.ownership, work.planner)
            work.out.repeated_conflicts.extend(conflicts)
    flow = state.members.get(flow_record_id(state))
    if flow is not None:
        emit(work, aggregate, flow)
        for member in state.members.values():
            if member.entity == SUPPLY and not member.handed_over:
                emit(work, aggregate, member)


def _emit_document(work: Working, aggregate: AggregateWork, member: EntityState) -> None:
    """Emit an entity that changed; of a line, the document that it stands in, with a new version."""
    document = member
    if member.entity in DOCUMENT_OF:
        parent = aggregate.state.members.get(member.parent or "")
        if parent is None or parent.version == 0:
            return  # the document comes later, and is emitted with its lines
        document = parent
        if document.id not in work.bumped:
            work.bumped.add(document.id)
            document.version += 1
            write(work, aggregate, document, aggregate.state.id)
    emit(work, aggregate, document)


def _unsettled(state: AggregateState) -> set[str]:
    """Entities that were handed over to this aggregate, and documents whose lines were, before the refresh comes.

    Their version may have been emitted without what came since. So it must not be emitted again: the refresh emits a
    new one.
    """
    unsettled = set()
    for member in state.members.values():
        if member.handed_over:
            unsettled.add(member.id)
            document = state.members.get(member.parent or "")
            if member.entity in DOCUMENT_OF and document is not None and not document.deleted:
                unsettled.add(document.id)
    return unsettled


def _repeat_documents(work: Working, aggregate: AggregateWork, member: EntityState, unsettled: Collection[str]) -> None:
    """Emit an entity again; of a line, all documents that it may have been taken out of: all of this aggregate."""
    kind = DOCUMENT_OF.get(member.entity)
    documents = [member]
    if kind is not None:
        documents = [document for document in aggregate.state.members.values() if document.entity == kind]
    for document in documents:
        if document.id not in unsettled:
            emit(work, aggregate, document)
