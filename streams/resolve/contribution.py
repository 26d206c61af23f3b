"""Merge a change into what its source contributes to an entity.

The result does not depend on the order of arrival: each field holds the value of the greatest position that named the
field. A change that leaves a field out (TOAST) does not remove it, even if the change that named the field comes later.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from streams.model.change import Change
from streams.model.state import MAIN_ROW_MISSING, Contribution, EntityState
from streams.resolve.attribute_entries import MAP, laid_over, over, replaced_whole, spread, united, with_map
from streams.resolve.key_holders import changed_row, current_row, keeps_row, rows_with_key, with_holder

Where = tuple[int, int, int]
"""A position as a plain tuple: making a `Position` for each comparison costs too much here."""

EDITS_KEPT = ("customer", "contact", "product", "sales_order", "opportunity")
"""Entities that two systems may contribute to: for these, the last edit of each field is kept.

It is exact where the changes of a source come in the source's order, as Kafka delivers them. A change that was
overtaken can hide an edit, but never invent one.
"""

ADDITIONAL_ROWS = ("part", "part_read")
"""Operations of additional rows: they only add fields to a record that its main row creates and deletes."""

Outcome = Literal["newer", "same", "older"]


def merge(entity: EntityState, change: Change) -> Outcome:
    """Merge `change` into the contribution of its source in `entity.contributions`.

    `newer`: the contribution changed. `same`: its position was known, so nothing changes; what it led to must be
    emitted again, since a worker may have died before it emitted. `older`: a later change overtook it, nothing to do.
    """
    additional = change.op in ADDITIONAL_ROWS
    known = entity.contributions.get(change.id)
    if known is None:
        entity.contributions[change.id] = made = first_contribution(change, additional)
        if change.row is not None and not additional:
            with_holder(made, None, change.row, change)
        return "newer"
    if not additional and (change.row is not None or known.holder is not None):
        entity.contributions[change.id], outcome = _merge_by_row(entity.entity, known, change)
        return outcome
    position = (change.epoch, change.major, change.minor)
    known_position = (known.epoch, known.major, known.minor)
    if position > known_position:
        entity.contributions[change.id] = _replaced(entity.entity, known, known_position, change, position, additional)
        return "newer"
    return _merge_no_newer(known, known_position, change, position, additional)


def first_contribution(change: Change, additional: bool) -> Contribution:
    """The contribution of a record that nothing was known about."""
    fields, older = change.fields, None
    if MAP in fields and fields[MAP] is not None:
        position = (change.epoch, change.major, change.minor)
        fields, older = replaced_whole({}, None, fields, position) or (fields, None)
    return Contribution(
        change.system, change.key, change.epoch, change.major, change.minor, change.source_us,
        additional or change.deleted, fields, older, tx=change.tx, main_row=MAIN_ROW_MISSING if additional else None,
    )  # fmt: skip


def _merge_no_newer(
    known: Contribution, known_position: Where, change: Change, position: Where, additional: bool
) -> Outcome:
    """Merge a change at the known position or a smaller one into `known`, in place."""
    if position == known_position:
        return _merge_at_same_position(known, change, additional)
    return _merge_overtaken(known, change, position, additional)


def _merge_by_row(entity: str, known: Contribution, change: Change) -> tuple[Contribution, Outcome]:
    """Merge a change where other rows than the one that changed may have the key too."""
    rows = rows_with_key(known)
    row = changed_row(rows, known, change)
    before = rows.get(row)
    if before is None and change.deleted and change.op == "r":
        return current_row(rows), "older"  # a snapshot read a row that never had this key in the hub
    position = (change.epoch, change.major, change.minor)
    is_newest = position > (known.epoch, known.major, known.minor)
    takes_again = before is not known and not change.deleted and is_newest
    if before is None or (takes_again and position > before.main_position):
        outcome: Outcome = "newer"
        merged = _taken_over(entity, known, change, is_newest)
    else:
        merged, known_position = before, (before.epoch, before.major, before.minor)
        if position > known_position:
            outcome = "newer"
            merged = _replaced(entity, before, known_position, change, position, additional=False)
        else:
            outcome = _merge_no_newer(before, known_position, change, position, additional=False)
    rows[row] = with_holder(merged, before, row, change)
    current = current_row(rows)
    return current, outcome if keeps_row(current, row) else "older"


def _taken_over(entity: str, known: Contribution, change: Change, is_newest: bool) -> Contribution:
    """What a row that is new to a key says of it. Fields that additional rows gave stay."""
    position = (change.epoch, change.major, change.minor)
    if is_newest and not change.deleted:
        known_position = (known.epoch, known.major, known.minor)
        return _replaced(entity, known, known_position, change, position, additional=False)
    taken = first_contribution(change, additional=False)
    if not change.deleted:
        taken.fields = over(known.fields or {}, taken.fields or {}, change.fields)
        taken.changed, taken.first_us = known.changed, known.first_us
    return taken


def _replaced(
    entity: str, known: Contribution, known_position: Where, change: Change, position: Where, additional: bool
) -> Contribution:
    """The contribution after a change at a greater position."""
    fields, older = _overlaid(known, known_position, change.fields, position)
    edits = known.changed
    if entity in EDITS_KEPT and not change.deleted:
        edits = _edits_after(known, change, position, fields)
    return Contribution(
        change.system, change.key, *position, change.source_us, known.deleted if additional else change.deleted,
        fields, older, tx=change.tx, first_us=min(known.first_us or known.source_us, change.source_us), changed=edits,
        main_row=(known.main_row or known_position) if additional else None, holder=known.holder,
        claimed=known.claimed,
    )  # fmt: skip


def _edits_after(
    known: Contribution, change: Change, position: Where, fields: dict[str, Any]
) -> dict[str, tuple[int, int, int, int, str | None]] | None:
    """The last edit of each field, after a change at a greater position that led to `fields`."""
    before, edits = known.fields or {}, known.changed
    differing = [name for name, value in change.fields.items() if name in before and before[name] != value]
    if MAP in differing and before[MAP] == fields[MAP]:
        differing.remove(MAP)  # the change names entries that are null, or not all that there are
    if not (change.origin or "").startswith("opshub"):
        if differing:
            return {**(edits or {}), **dict.fromkeys(differing, (*position, change.source_us, change.tx))}
    elif edits and not edits.keys().isdisjoint(differing):
        # Write-back overwrote these edits: its own value is nobody's edit.
        return {name: edit for name, edit in edits.items() if name not in differing} or None
    return edits


def _merge_overtaken(known: Contribution, change: Change, position: Where, additional: bool) -> Outcome:
    """Merge a change at a smaller position: it still counts for fields that nothing later named."""
    fields, older, given = _spread_both(known, change)
    changed = False
    known.first_us = min(known.first_us or known.source_us, change.source_us)
    if not additional and known.main_row is not None and position > known.main_row:
        # Only additional rows came since: this is the newest main row, which says whether the record exists.
        changed = known.deleted != change.deleted or known.main_row_missing
        known.deleted, known.main_row = change.deleted, position
    for name, value in given.items():
        if name in older:
            if position > older[name]:
                fields[name], older[name], changed = value, position, True
        elif name not in fields:
            fields[name], older[name], changed = value, position, True
    if not changed:
        return "older"
    _keep(known, fields, older)
    return "newer"


def _spread_both(known: Contribution, change: Change) -> tuple[dict[str, Any], dict[str, Where], dict[str, Any]]:
    """(fields, older, what the change says), each entry of `attributes` as a field."""
    fields, older = known.fields or {}, known.older
    if MAP not in change.fields and MAP not in fields:
        return dict(fields), dict(older or {}), change.fields
    flat, places = spread(fields, older, (known.epoch, known.major, known.minor))
    return flat, places, spread(change.fields, None, (0, 0, 0))[0]


def _keep(known: Contribution, fields: dict[str, Any], older: dict[str, Where]) -> None:
    if MAP in (known.fields or ()) or any(name.startswith(MAP) for name in fields):
        known.fields, known.older = united(fields, older, (known.epoch, known.major, known.minor))
    else:
        known.fields, known.older = fields, older or None


def _merge_at_same_position(known: Contribution, change: Change, additional: bool) -> Outcome:
    """Merge a change at the known position: rows of several tables make one record, and a snapshot reads them all at
    one position.

    Each row adds its fields. Where two rows name a field, the greater value stays, so that their order does not matter.
    A row whose primary key changed is a delete and a create at one position: the record exists.
    """
    fields, older, given = _spread_both(known, change)
    several_rows = additional or known.main_row is not None
    changed = False
    for name, value in given.items():
        if name not in fields or name in older:
            changed = True
        elif not several_rows or fields[name] == value or _weight(fields[name]) > _weight(value):
            continue
        else:
            changed = True
        fields[name] = value
        older.pop(name, None)
    if not additional and (known.main_row is not None or (known.deleted and not change.deleted)):
        known.deleted, known.main_row, changed = change.deleted, None, True
    if not changed:
        return "same"
    _keep(known, fields, older)
    if change.source_us != known.source_us:
        known.first_us = min(known.first_us or known.source_us, change.source_us)
        known.source_us = max(known.source_us, change.source_us)
    return "newer"


def add_contribution(entity: EntityState, source: str, contribution: Contribution) -> bool:
    """Make what a source says part of `entity`, or unite it with what that has of it. Whether `entity` changed."""
    known = entity.contributions.get(source)
    if known is None:
        entity.contributions[source] = contribution
        return True
    return known is not contribution and _unite(known, contribution)


def _unite(known: Contribution, other: Contribution) -> bool:
    """Merge `other`, of the same source, into `known`, in place. Whether that changed anything but the position.

    A row that moves while its changes are on their way makes such a second contribution. The greatest position counts,
    of each field and of the main row.
    """
    fields, places = spread(known.fields or {}, known.older, known.position)
    more, other_places = spread(other.fields or {}, other.older, other.position)
    newest, main = max(known.position, other.position), max(known.main_position, other.main_position)
    at = {**dict.fromkeys(fields, known.position), **places}
    deleted = other.deleted if other.main_position > known.main_position else known.deleted
    changed = deleted != known.deleted
    for name, value in more.items():
        since = other_places.get(name, other.position)
        if name not in fields or since > at[name]:
            fields[name], at[name], changed = value, since, True
    known.deleted, known.main_row = deleted, main if main < newest else None
    known.epoch, known.major, known.minor = newest
    _keep(known, fields, {name: since for name, since in at.items() if since != newest})
    if other.claimed is not None and (known.claimed is None or other.claimed < known.claimed):
        known.claimed, changed = other.claimed, True
    return changed


def changes_of(entity: EntityState, source: str) -> list[Change]:
    """What a row that is part of `entity` contributes, as changes that name `entity`: one for each position, since a
    field counts from when it was said.
    """
    contribution = entity.contributions[source]
    newest, main = contribution.position, contribution.main_position
    flat, places = spread(contribution.fields or {}, contribution.older, newest)
    by_position: dict[Where, dict[str, Any]] = {} if contribution.main_row_missing else {main: {}}
    for name, value in flat.items():
        by_position.setdefault(places.get(name, newest), {})[name] = value
    return [
        Change(
            "change", entity.entity, source, contribution.system, contribution.key, "u" if at == main else "part", *at,
            contribution.source_us, contribution.tx, same_as=entity.id, deleted=contribution.deleted and at == main,
            fields=with_map(fields),
        )
        for at, fields in sorted(by_position.items())
    ]  # fmt: skip


def _weight(value: object) -> tuple[bool, str]:
    """A total order over values of any type; null is the smallest."""
    return value is not None, json.dumps(value, sort_keys=True)


def _overlaid(
    known: Contribution, known_position: Where, fields: dict[str, Any], position: Where
) -> tuple[dict[str, Any], dict[str, Where] | None]:
    """(fields, older) after `fields` came at a greater position: fields that they leave out stay, each with its own
    position.
    """
    before = known.fields or {}
    if MAP in fields or MAP in before:
        return laid_over(before, known.older, known_position, fields, position)
    if before.keys() <= fields.keys():
        return fields, None
    older = dict(known.older or {})
    for name in before.keys() - fields.keys():
        older.setdefault(name, known_position)
    for name in fields:
        older.pop(name, None)
    return {**before, **fields}, older or None
