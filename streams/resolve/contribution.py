"""Merge a change into what its source has said before.

The result does not depend on the order of arrival: each field holds the value said at the greatest position that
said it. A change that left a field unsaid (TOAST) takes no field away, also when the change that did say it comes later.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from streams.model.change import Change
from streams.model.state import MAIN_ROW_MISSING, Contribution, EntityState

EDITS_KEPT = ("customer", "contact", "product", "sales_order", "opportunity")
"""Entities of which two systems may speak: for these, when each field was last edited is kept. It is exact where a source's changes come
in its own order, as Kafka gives them; a change that was overtaken can leave an edit unseen, never invent one."""

PARTS = ("part", "part_read")
"""Changes of rows that only add fields to a record that another row makes."""

Outcome = Literal["newer", "same", "older"]


def merge(entity: EntityState, change: Change) -> Outcome:
    """Let `change` speak for its source in `entity.contributions`.

    `newer`: the contribution changed. `same`: the change was known to the position; it changes nothing, and what it gave
    rise to must be emitted again, since a crash may have come between. `older`: overtaken, nothing to do.
    """
    part = change.op in PARTS
    said = entity.contributions.get(change.id)
    if said is None:
        entity.contributions[change.id] = Contribution(
            change.system,
            change.key,
            change.epoch,
            change.major,
            change.minor,
            change.source_us,
            part or change.deleted,
            change.fields,
            tx=change.tx,
            main_row=MAIN_ROW_MISSING if part else None,
        )
        return "newer"
    position = (change.epoch, change.major, change.minor)
    known = (said.epoch, said.major, said.minor)
    if position == known:
        return _together(said, change, part)
    first_us = min(said.first_us or said.source_us, change.source_us)
    before = said.fields or {}
    if position > known:
        edited = said.changed
        if entity.entity in EDITS_KEPT and not change.deleted:
            other = [name for name, value in change.fields.items() if name in before and before[name] != value]
            if not (change.origin or "").startswith("opshub"):
                if other:
                    edited = {**(edited or {}), **dict.fromkeys(other, (*position, change.source_us, change.tx))}
            elif edited and not edited.keys().isdisjoint(other):
                # What write-back wrote over an edit is nobody's edit.
                edited = {name: edit for name, edit in edited.items() if name not in other} or None
        entity.contributions[change.id] = Contribution(
            change.system, change.key, *position, change.source_us, said.deleted if part else change.deleted,
            *_over(said, known, change.fields), tx=change.tx, first_us=first_us, changed=edited,
            main_row=(said.main_row or known) if part else None,
        )  # fmt: skip
        return "newer"
    fields, older = dict(before), dict(said.older or {})
    changed = False
    said.first_us = first_us
    if not part and said.main_row is not None and position > said.main_row:
        # Only rows that add fields have spoken since: what this one says of whether the record is there holds.
        changed = said.deleted != change.deleted or said.main_row_missing
        said.deleted, said.main_row = change.deleted, position
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


def _together(said: Contribution, change: Change, part: bool) -> Outcome:
    """Rows of several tables make one record, and a snapshot reads them all at one position: each adds what it says.

    Where two of them say a field at this position, the greater value stays, so that the order does not decide. A row whose primary key
    changed is a delete and a create at one position: the record is there.
    """
    fields, older = dict(said.fields or {}), dict(said.older or {})
    several = part or said.main_row is not None
    changed = False
    for name, value in change.fields.items():
        if name not in fields or name in older:
            changed = True
        elif not several or fields[name] == value or _weight(fields[name]) > _weight(value):
            continue
        else:
            changed = True
        fields[name] = value
        older.pop(name, None)
    if not part and (said.main_row is not None or (said.deleted and not change.deleted)):
        said.deleted, said.main_row, changed = change.deleted, None, True
    if not changed:
        return "same"
    said.fields, said.older = fields, older or None
    if change.source_us != said.source_us:
        said.first_us = min(said.first_us or said.source_us, change.source_us)
        said.source_us = max(said.source_us, change.source_us)
    return "newer"


def _weight(value: Any) -> tuple[bool, str]:
    return value is not None, json.dumps(value, sort_keys=True)


def _over(
    said: Contribution, known: tuple[int, int, int], fields: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, tuple[int, int, int]] | None]:
    """(fields, older) of a contribution, once `fields` were said after it: what they leave unsaid stays, as said at its own position."""
    before = said.fields or {}
    if before.keys() <= fields.keys():
        return fields, None
    older = dict(said.older or {})
    for name in before.keys() - fields.keys():
        older.setdefault(name, known)
    for name in fields:
        older.pop(name, None)
    return {**before, **fields}, older or None
