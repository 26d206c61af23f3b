"""What a text may mean: a number, a name, an e-mail address, a phone number, a tax id, an id, system:key, the place of
a Kafka record, the number of an intent or of a dead letter.

In: the text as a person typed it. Out: records that it may mean, the best first. Promised: each statement reads an
index and stops after a few rows, however large the hub is.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from streams.hub.flow_lists import DOCUMENTS, LAST, digits_of, name_parts
from streams.hub.intent_review import Hub
from streams.hub.statements import fetch_structs
from streams.model.entities import ENTITIES
from streams.model.ids import source_id

NAMED = ("customer", "contact", "product", "opportunity")
NUMBERED = (*(name for name in DOCUMENTS if name != "share"), "installed_item")
"""Entities with a number; of a piece, its serial number."""
EACH = 8
"""Records of one kind that a search shows."""

MOST = 40
LONGEST = 300
"""Characters of a text: more is no search."""

FIRST = "00000000-0000-0000-0000-000000000000"

_COORDINATES = re.compile(r"^([A-Za-z0-9._-]+)(?:[/:@]|\[)(\d{1,6})(?:\](?:@|:|/)?|[/:@])(\d{1,18})$")
_NUMBERED = re.compile(r"^(?:(intent|dead letter|dead_letter|dlq)\s*#?|#)?\s*(\d{1,18})$", re.IGNORECASE)


class Coordinates(NamedTuple):
    """The place of a Kafka record."""

    topic: str
    partition: int
    offset: int


class FoundRecord(msgspec.Struct, frozen=True):
    """A record that a search hits. `amount` is unscaled."""

    id: str
    entity: str
    aggregate_id: str
    deleted: bool
    version: int
    name: str | None
    number: str | None
    customer_id: str | None
    customer: str | None
    state: str | None
    currency: str | None
    amount: int | None
    updated_us: int
    city: str | None


class FoundIntent(msgspec.Struct, frozen=True):
    """An intent that a number may mean."""

    id: int
    rule: str
    state: str
    aggregate_id: str


class FoundDeadLetter(msgspec.Struct, frozen=True):
    """A dead letter that a number, or the place of a Kafka record, may mean. `position` is the offset."""

    id: int
    topic: str
    partition: int
    position: int
    state: str
    reason: str


class EntityCount(msgspec.Struct, frozen=True):
    """About how many records there are of an entity."""

    entity: str
    count: int


class _Rank(msgspec.Struct, frozen=True):
    id: str
    rank: int


class _Place(msgspec.Struct, frozen=True):
    id: str
    place: str


class _Id(msgspec.Struct, frozen=True):
    id: str


def coordinates_of(text: str) -> Coordinates | None:
    """topic/partition/offset, topic:partition:offset, or topic[partition]@offset as `opshub consume` writes it."""
    match = _COORDINATES.match(text.strip())
    return Coordinates(match[1], int(match[2]), int(match[3])) if match else None


def find_records(hub: Hub, text: str) -> list[FoundRecord]:
    """Records that a text may mean, the best first, at most EACH of a kind and MOST of all."""
    text = " ".join(text.split())[:LONGEST]
    if not text or "\x00" in text:
        return []
    ranks: dict[str, int] = {}
    for hit in _candidates(hub, text):
        ranks[hit.id] = min(hit.rank, ranks.get(hit.id, 9))
    best = sorted(ranks, key=lambda candidate: (ranks[candidate], candidate))[: MOST * 4]
    records = {record.id: record for record in records_of(hub, best)}
    shown: list[FoundRecord] = []
    counts: dict[str, int] = {}
    for candidate in best:
        record = records.get(candidate)
        if record is None or counts.get(record.entity, 0) >= EACH or len(shown) >= MOST:
            continue
        counts[record.entity] = counts.get(record.entity, 0) + 1
        shown.append(record)
    exact = [record for record in shown if ranks[record.id] == 0]
    return exact or shown


def records_of(hub: Hub, ids: list[str]) -> list[FoundRecord]:
    """What is shown of these records, in no order."""
    return fetch_structs(hub, FoundRecord, "found_records", {"ids": ids}) if ids else []


def find_intent(hub: Hub, text: str) -> FoundIntent | None:
    """`17`, `#17` or `intent 17`."""
    number = _number(text, "intent")
    rows = fetch_structs(hub, FoundIntent, "find_intent", {"number": number}) if number is not None else []
    return rows[0] if rows else None


def find_dead_letters(hub: Hub, text: str) -> list[FoundDeadLetter]:
    """`17`, `#17`, `dead letter 17`, or the place of the Kafka record."""
    place = coordinates_of(text)
    number = _number(text, "dead")
    if place is None and number is None:
        return []
    parameters: dict[str, Any] = {"number": number, "topic": None, "partition": None, "position": None}
    if place is not None:
        parameters |= {"topic": place.topic, "partition": place.partition, "position": place.offset}
    return fetch_structs(hub, FoundDeadLetter, "find_dead_letter", parameters)


def browse(
    hub: Hub, entity: str, *, after: str | None = None, after_id: str | None = None, limit: int = 50
) -> tuple[list[FoundRecord], tuple[str, str] | None]:
    """A page of an entity's records, and the place after which the next page begins: customers by name, documents by
    number, the highest first.
    """
    by_name = entity in NAMED
    parameters = {
        "entity": entity,
        "after": after if after is not None else ("" if by_name else chr(1114111)),
        "after_id": after_id or (FIRST if by_name else LAST),
        "limit": limit,
    }  # fmt: skip
    places = fetch_structs(hub, _Place, "browse_named" if by_name else "browse_numbered", parameters)
    records = {record.id: record for record in records_of(hub, [place.id for place in places])}
    following = (places[-1].place, places[-1].id) if len(places) == limit else None
    return [records[place.id] for place in places if place.id in records], following


def entity_counts(hub: Hub) -> list[EntityCount]:
    """About how many records of each entity there are."""
    return fetch_structs(hub, EntityCount, "entity_counts")


def _candidates(hub: Hub, text: str) -> list[_Rank]:
    """Ids of records that the text may mean, with how well they fit: 0 is the thing itself."""
    try:
        ids = [str(UUID(text))] if len(text) in (32, 36) else []
    except ValueError:
        ids = []
    system, colon, key = text.partition(":")
    if colon and key and re.fullmatch(r"[\w.-]+", system):
        entity, _, rest = key.partition(":")
        ids += [source_id(system, entity, rest)] if entity in ENTITIES and rest else []
        ids += [source_id(system, name, key.strip()) for name in ENTITIES]
    hits = [_Rank(row.id, 0) for row in fetch_structs(hub, _Id, "records_by_id", {"ids": ids})] if ids else []
    if hits:
        return hits
    digits = digits_of(text)
    number = {"kinds": [*NUMBERED, "product"], "number": text[:100], "digits": digits, "limit": EACH}
    hits += fetch_structs(hub, _Rank, "find_by_number", number)
    if "@" in text:
        return hits + fetch_structs(hub, _Rank, "find_by_email", {"text": text[:200], "limit": EACH})
    hits += fetch_structs(hub, _Rank, "find_by_tax_id", {"text": text[:60], "limit": EACH})
    phone = re.sub(r"[\s()/.+-]", "", text)
    if phone.isascii() and phone.isdigit() and 6 <= len(phone) <= 20:
        hits += fetch_structs(hub, _Rank, "find_by_phone", {"digits": phone[-8:], "limit": EACH})
    if digits is None:
        hits += fetch_structs(hub, _Rank, "find_by_name", name_parts(text, EACH) | {"kinds": list(NAMED)})
    return hits


def _number(text: str, kind: str) -> int | None:
    match = _NUMBERED.match(text.strip())
    if match is None or (match[1] and not match[1].lower().startswith(kind[:1])):
        return None
    return int(match[2])
