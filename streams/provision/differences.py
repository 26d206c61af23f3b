"""`plan` compares what exists with what should exist. `apply` creates and changes it, in the order that data needs it:
hub tables, schemas, topics, connectors.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from streams.emit.schema_registry import pending_schemas, register_all
from streams.hub.migrate import migrate, pending
from streams.provision import connectors, topics
from streams.provision.column_types import remember_all
from streams.provision.systems import System, load_systems
from streams.settings import Settings


class ProvisionStep(msgspec.Struct, frozen=True):
    """One change: `kind` (`hub`, `topic`, `schema` or `connector`), its name, and the action (`create`, `update` …)."""

    kind: str
    name: str
    action: str


def plan(settings: Settings, systems: list[System] | None = None) -> list[ProvisionStep]:
    """What `apply` would do; empty when everything is up to date. Changes nothing."""
    systems = load_systems(settings) if systems is None else systems
    steps = [ProvisionStep("hub", name, "migrate") for name in pending(settings.hub)]
    steps += [ProvisionStep("topic", name, "create") for name in topics.missing_topics(settings, systems)]
    steps += [ProvisionStep("topic", name, "widen") for name in topics.narrow_topics(settings, systems)]
    steps += [ProvisionStep("schema", subject, action) for subject, action in pending_schemas(settings.registry)]
    for system in systems:
        if not system.has_database:
            continue
        action = connectors.differs(settings, system)
        if action is not None:
            steps.append(ProvisionStep("connector", system.connector_name, action))
    return steps


def apply(
    settings: Settings, systems: list[System] | None = None, *, progress: Callable[[str], None] = lambda _: None
) -> list[ProvisionStep]:
    """Do what `plan` lists; what was done. Safe to repeat after a failure: each step is done or not done at all."""
    systems = load_systems(settings) if systems is None else systems
    steps = plan(settings, systems)
    kinds = {step.kind for step in steps}
    if "hub" in kinds:
        progress("hub tables")
        migrate(settings.hub)
    # Before a connector sends rows: a worker reads them by the types of their columns.
    remember_all(settings, systems)
    if "schema" in kinds:
        progress("schemas")
        register_all(settings.registry)
    if "topic" in kinds:
        progress("topics")
        topics.create_topics(settings, topics.missing_topics(settings, systems))
        topics.widen_topics(settings, topics.narrow_topics(settings, systems))
    # Connectors last: they write as soon as they are registered, and would create missing topics by their own settings
    # (topic.creation.default in source.json), without ours for retention and size.
    changed = {step.name for step in steps if step.kind == "connector"}
    for system in systems:
        if system.connector_name in changed:
            progress(f"connector {system.source['name']}")
            connectors.put(settings, system)
    return steps
