"""Settle changes of one aggregate in tests, without a hub."""

from __future__ import annotations

from streams.model.change import Change
from streams.model.state import AggregateState
from streams.pipeline.settle import SettleBatch, Settled, settle
from streams.resolve.rules import Ownership
from streams.testing import MemoryRecord
from streams.writeback.planner import NO_RULES, IntentPlanner


def batch_of(state: AggregateState, *changes: Change) -> SettleBatch:
    """One batch of changes of one aggregate."""
    return SettleBatch(
        {state.id: (state.kind, [(change, MemoryRecord(state.kind, state.id, change)) for change in changes])}
    )


def settle_changes(
    state: AggregateState, *changes: Change, ownership: Ownership | None = None, planner: IntentPlanner = NO_RULES
) -> Settled:
    """Settle one batch of one aggregate, whose state is changed in place. Every reference is taken for itself."""
    settled = settle(batch_of(state, *changes), {state.id: state}, ownership or Ownership(), planner)
    assert isinstance(settled, Settled)
    assert settled.circular == []
    return settled
