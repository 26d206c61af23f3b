"""The entries of the map `attributes` as fields of their own, while a change is merged.

Several rows may say one record, each with entries of its own, and a row may leave an entry out (an unchanged wide
text). So each entry has its own position, as every other field has. In a contribution the map holds the entries that
have a value. An entry that is null has none, and stands in `older` with the position at which it became null: an older
change that comes later does not bring it back.
"""

from __future__ import annotations

from typing import Any

MAP = "attributes"
_PREFIX = "attributes."
Where = tuple[int, int, int]


def spread(
    fields: dict[str, Any], older: dict[str, Where] | None, position: Where
) -> tuple[dict[str, Any], dict[str, Where]]:
    """(fields, older) with each entry as the field `attributes.<name>`; `position` is that of the contribution."""
    flat = {name: value for name, value in fields.items() if name != MAP}
    entries: dict[str, Any] = fields.get(MAP) or {}
    flat |= {_PREFIX + name: value for name, value in entries.items()}
    places = dict(older or {})
    whole = places.pop(MAP, None)  # a contribution that was stored when the map had one position
    if whole is not None:
        places |= {_PREFIX + name: whole for name in entries}
    for name in places:
        if name.startswith(_PREFIX) and name not in flat:
            flat[name] = None
    return flat, {name: place for name, place in places.items() if flat.get(name) is not None or place != position}


def united(
    flat: dict[str, Any], older: dict[str, Where] | None, position: Where
) -> tuple[dict[str, Any], dict[str, Where] | None]:
    """The inverse: (fields, older) with one map, for a contribution at `position`."""
    fields: dict[str, Any] = {}
    entries: dict[str, Any] = {}
    places = dict(older or {})
    for name, value in flat.items():
        if not name.startswith(_PREFIX):
            fields[name] = value
        elif value is not None:
            entries[name.removeprefix(_PREFIX)] = value
        else:
            places.setdefault(name, position)
    fields[MAP] = entries
    return fields, places or None


def with_map(flat: dict[str, Any]) -> dict[str, Any]:
    """Fields as a change names them: entries, also null ones, are in one map."""
    entries = {name.removeprefix(_PREFIX): value for name, value in flat.items() if name.startswith(_PREFIX)}
    if not entries:
        return flat
    return {**{name: value for name, value in flat.items() if not name.startswith(_PREFIX)}, MAP: entries}


def replaced_whole(
    before: dict[str, Any], older: dict[str, Where] | None, fields: dict[str, Any], position: Where
) -> tuple[dict[str, Any], dict[str, Where] | None] | None:
    """(fields, older) after `fields` came at a greater position, if they name everything that was known: the usual
    change of a record that one table makes. None if they do not.
    """
    entries: dict[str, Any] = fields[MAP]
    known: dict[str, Any] = before.get(MAP) or {}
    if not (before.keys() <= fields.keys() and known.keys() <= entries.keys()):
        return None
    has_nulls = None in entries.values()
    places = {_PREFIX + name: position for name, value in entries.items() if value is None} if has_nulls else None
    # Usually the same entries are null as before: only then it is plain that `older` holds nothing else.
    if older and (places is None or not older.keys() <= places.keys()):
        if not all(name.startswith(_PREFIX) and name.removeprefix(_PREFIX) in entries for name in older):
            return None
    if places is None:
        return fields, None
    return {**fields, MAP: {name: value for name, value in entries.items() if value is not None}}, places


def laid_over(
    before: dict[str, Any], older: dict[str, Where] | None, known: Where, fields: dict[str, Any], position: Where
) -> tuple[dict[str, Any], dict[str, Where] | None]:
    """(fields, older) after `fields` came at a greater position than `known`, that of `before`: what they leave out
    stays, each field and each entry with its own position.
    """
    entries: dict[str, Any] = fields.get(MAP) or {}
    if entries or fields.get(MAP) is not None:
        whole = replaced_whole(before, older, fields, position)
        if whole is not None:
            return whole
    stay: dict[str, Any] = before.get(MAP) or {}
    places = dict(older or {})
    at = places.pop(MAP, None)  # a contribution that was stored when the map had one position
    if at is not None:
        places |= {_PREFIX + name: at for name in stay}
    for name in before.keys() - fields.keys():
        if name != MAP:
            places.setdefault(name, known)
    for name in stay.keys() - entries.keys():
        places.setdefault(_PREFIX + name, known)
    if places:
        for name in fields:
            places.pop(name, None)
        for name in entries:
            places.pop(_PREFIX + name, None)
    together = {**before, **fields}
    if None in entries.values():
        places |= {_PREFIX + name: position for name, value in entries.items() if value is None}
        together[MAP] = {name: value for name, value in {**stay, **entries}.items() if value is not None}
    else:
        together[MAP] = {**stay, **entries}
    return together, places or None


def over(before: dict[str, Any], fields: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`before` with `fields` over it, entry by entry; `given` names every entry that was given, also the null ones."""
    together = {**before, **fields}
    entries: dict[str, Any] = before.get(MAP) or {}
    if entries and MAP in fields:
        kept = {name: value for name, value in entries.items() if name not in given[MAP]}
        together[MAP] = {**kept, **fields[MAP]}
    return together
