"""Merge a change into what its source has said before.

The result does not depend on the order of arrival: each field holds the value said at the greatest position that
said it. A change that left a field unsaid (TOAST) takes no field away, also when the change that did say it comes later.
"""

from __future__ import annotations

from typing import Literal

from streams.model.change import Change
from streams.model.state import Contribution, EntityState

Outcome = Literal["newer", "same", "older"]


def merge(entity: EntityState, change: Change) -> Outcome:
    """Let `change` speak for its source in `entity.contributions`.

    `newer`: the contribution changed. `same`: the change was known to the position; it changes nothing, and what it gave
    rise to must be emitted again, since a crash may have come between. `older`: overtaken, nothing to do.
    """
    said = entity.contributions.get(change.id)
    if said is None:
        entity.contributions[change.id] = Contribution(
            change.system,
            change.key,
            change.epoch,
            change.major,
            change.minor,
            change.source_us,
            change.deleted,
            change.fields,
        )
        return "newer"
    position = (change.epoch, change.major, change.minor)
    known = (said.epoch, said.major, said.minor)
    if position == known:
        return "same"
    fields = dict(said.fields or {})
    older = dict(said.older or {})
    if position > known:
        for name in fields:
            if name not in change.fields:
                older.setdefault(name, known)
        fields.update(change.fields)
        for name in change.fields:
            older.pop(name, None)
        entity.contributions[change.id] = Contribution(
            change.system, change.key, *position, change.source_us, change.deleted, fields, older or None
        )
        return "newer"
    changed = False
    for name, value in change.fields.items():
        if name in older:
            if position > older[name]:
                fields[name], older[name], changed = value, position, True
        elif name not in fields:
            fields[name], older[name], changed = value, position, True
    if not changed:
        return "older"
    said.fields, said.older = fields, older
    return "newer"
