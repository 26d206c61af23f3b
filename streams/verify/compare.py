"""Compares source tables, hub and canonical topics, in both directions: `opshub verify`.

In: the databases and topics as they are, with nothing in flight. Out: a `Comparison`. It reads everything and keeps the
hub in memory, so it is for systems of up to some million rows. It does not trust what the pipeline stored: it maps
source rows to contributions (`compare_sources.py`), resolves contributions to golden records and order flows
(`compare_hub.py`), joins service cases (`service_cases.py`), encodes all of them to the bytes that the topics must hold
(`compare_topics.py`), and balances the account of raw records (`compare_accounts.py`).
"""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from streams.flow.shares import CARRIERS
from streams.hub.verification import all_entities, load_same_records
from streams.model.entities import ENTITIES
from streams.model.state import AggregateState
from streams.provision.column_types import with_types
from streams.provision.systems import System
from streams.resolve.golden import Ownership
from streams.settings import Settings
from streams.verify.compare_accounts import compare_accounts
from streams.verify.compare_hub import expected_records
from streams.verify.compare_sources import compare_system
from streams.verify.compare_topics import compare_topics
from streams.verify.comparison import Comparison
from streams.verify.feed_rows import SCHEME
from streams.verify.sum_check import wrong_sums


def verify(
    settings: Settings,
    systems: list[System],
    dsns: dict[str, str],
    ownership: Ownership,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Compare everything. `dsns`: system → its database, with a role that may read its captured tables. A system
    without one is compared with what its reader last knew of it.

    Raises EnvironmentFault while a source does not answer, psycopg.Error for the hub, KafkaException for Kafka.
    """
    comparison = Comparison()
    systems, _ = with_types(settings, systems)
    progress("reading the hub")
    states, same = _load_hub(settings.hub)
    for system in systems:
        progress(f"comparing {system.name}")
        address = dsns[system.name] if system.has_database else SCHEME + settings.hub
        compare_system(system, address, states, comparison)
    progress("resolving and joining again")
    expected = expected_records(states, same, ownership, comparison)
    for wrong in wrong_sums(states.values()):
        comparison.add("differing", wrong)
    progress("reading the canonical topics")
    compare_topics(settings, expected, comparison)
    progress("balancing the accounts")
    compare_accounts(settings, systems, comparison)
    return comparison


def _load_hub(dsn: str) -> tuple[dict[str, AggregateState], dict[str, str]]:
    """Every aggregate by its id, and source id → the record that it is the same as."""
    states: dict[str, AggregateState] = {}
    with psycopg.connect(dsn) as hub:
        same = load_same_records(hub)
        for aggregate_id, member in all_entities(hub):
            state = states.get(aggregate_id)
            if state is None:
                kind = "order_flow" if member.entity in CARRIERS else ENTITIES[member.entity].aggregate
                state = states[aggregate_id] = AggregateState(aggregate_id, kind, members={}, sources={})
            state.members[member.id] = member
    return states, same
