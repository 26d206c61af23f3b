"""What an aggregate's state says to the outside: the canonical record of a member, and which of its fields refer to
others.
"""

from __future__ import annotations

from typing import Any

from streams.flow.shares import SHARE
from streams.model.entities import ENTITIES
from streams.model.ids import source_id
from streams.model.names import HUB, PEOPLE
from streams.model.state import AggregateState, EntityState, RenderedLine

MERGEABLE = ("customer", "contact", "product")
"""Entities of which two systems may have a record each; references to them go to the one that they are."""

REFERENCES = {
    name: [field for field, kind in entity.fields.items() if kind.ref in MERGEABLE] for name, entity in ENTITIES.items()
} | {SHARE: []}

LONG = 100
"""Lines from which on a document's lines are kept as they were rendered."""


def flow_record_id(state: AggregateState) -> str:
    """The id of the joined record of an order_flow aggregate."""
    return source_id("opshub", "order_flow", state.id) if state.kind == "order_flow" else ""


def canonical(state: AggregateState, member: EntityState) -> dict[str, Any]:
    """The whole canonical record: fields, header and lines."""
    record = dict(member.record)
    record["id"] = member.id
    record["version"] = member.version
    record["updated_at"] = member.updated_us
    sources = [
        {"system": contribution.system, "key": contribution.key}
        for contribution in member.contributions.values()
        if not contribution.deleted and contribution.system not in (PEOPLE, HUB)
    ]
    if len(sources) > 1:
        sources.sort(key=lambda source: (source["system"], source["key"]))
    record["sources"] = sources
    lines = ENTITIES[member.entity].lines
    if lines is not None:
        of_document = [
            line for line in state.members.values()
            if line.parent == member.id and line.entity == lines and not line.deleted and line.version
        ]  # fmt: skip
        of_document.sort(key=lambda line: (line.record.get("line_no") or 0, line.id))
        shown = _line if len(of_document) < LONG else _kept
        record["lines"] = [shown(line) for line in of_document]
    return record


def _line(line: EntityState) -> dict[str, Any]:
    return {"id": line.id, **line.record}


def _kept(line: EntityState) -> RenderedLine:
    rendered = line.rendered
    if rendered is None or rendered.version != line.version:
        rendered = line.rendered = RenderedLine(_line(line), line.version)
    return rendered
