"""Show the personal data of one record to somebody who may see it; the audit keeps who, of whom, and why."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from streams.console.operation import Context, Scope, operation
from streams.console.place import Hub
from streams.console.problems import NotFound, WrongInput
from streams.hub.record_names import is_id
from streams.hub.records_in_plain import plain_record


class WantedPlain(msgspec.Struct, frozen=True, kw_only=True):
    """A record, and why its personal data is needed."""

    id: str
    """Canonical id."""
    reason: Annotated[str, msgspec.Meta(min_length=3, max_length=500)]


class PlainRecord(msgspec.Struct, frozen=True):
    """The golden record with nothing masked."""

    id: str
    entity: str
    record: dict[str, Any]


def _entity(hub: Hub, wanted: WantedPlain) -> list[Scope]:
    result = plain_record(hub, wanted.id) if is_id(wanted.id) else None
    return [Scope(entity=result.entity)] if result else []


@operation("POST", "/records/{id}/unmask", permission="unmask", scope=_entity, keeps_result=False)
def unmask_record(context: Context, wanted: WantedPlain) -> PlainRecord:
    """Show a record's personal data. The audit keeps who saw it and why."""
    if not is_id(wanted.id):
        raise WrongInput(f"{wanted.id} is no canonical id", remedy="the record's page shows it")
    with context.place.hub() as hub:
        result = plain_record(hub, wanted.id)
    if result is None:
        raise NotFound(f"there is no record {wanted.id}")
    return PlainRecord(wanted.id, result.entity, result.record)
