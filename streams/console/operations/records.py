"""Records: find them by what people know of them, browse them, and see one with all that is known of it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from streams.console.masking import is_masked, mask, mask_value
from streams.console.operation import Context, operation
from streams.console.people import Person
from streams.console.problems import NotFound, WrongInput
from streams.console.sources import sources_of
from streams.emit.topic_search import record_at
from streams.hub.finding import (
    NAMED,
    NUMBERED,
    EntityCount,
    FoundDeadLetter,
    FoundIntent,
    FoundRecord,
    browse,
    coordinates_of,
    entity_counts,
    find_dead_letters,
    find_intent,
    find_records,
    records_of,
)
from streams.hub.flow_lists import FlowFilter, FlowLine
from streams.hub.flow_lists import list_flows as hub_flows
from streams.hub.identity import LoggedDecision, decisions_about, match_keys_of
from streams.hub.intent_review import IntentView
from streams.hub.record_names import is_id
from streams.hub.record_views import (
    Member,
    RecordView,
    StandingConflict,
    dead_letters_of_keys,
    flows_with_product,
    intents_of_subject,
    members_of_kind,
    names_of_ids,
    record_conflicts,
    record_view,
    requests_of_customer,
    suppliers_of_customer,
)
from streams.model.entities import ENTITIES
from streams.resolve.explain import FieldOrigin, explain_fields

BROWSED = (*NAMED, *NUMBERED[1:])
"""Entities that can be browsed, customers first."""

PARTS = {"customer": ("receivables", "contact"), "product": ("stock", "inventory_level")}
"""Root → what belongs to it."""


class WantedText(msgspec.Struct, frozen=True):
    """What to look for: a number, a name, an e-mail address, a phone number, a tax id, an id, system:key,
    topic/partition/offset, `intent 17`, `dead letter 17`.
    """

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class SearchResult(msgspec.Struct, frozen=True):
    """What a text may mean, the best first."""

    records: list[FoundRecord]
    intents: list[FoundIntent]
    dead_letters: list[FoundDeadLetter]
    not_known: str | None = None
    """Why the place of a Kafka record leads to no record."""


class WantedRecords(msgspec.Struct, frozen=True, kw_only=True):
    """Which records to browse."""

    entity: str
    after: str | None = None
    """The `after` of the page before."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class RecordList(msgspec.Struct, frozen=True):
    """A page of records: customers, contacts, products, deals by name; documents by number, the highest first."""

    records: list[FoundRecord]
    after: str | None


class WantedEntities(msgspec.Struct, frozen=True):
    """Nothing to choose."""


class EntityList(msgspec.Struct, frozen=True):
    """The entities that can be browsed, each with about how many records it has."""

    entities: list[EntityCount]


class WantedRecord(msgspec.Struct, frozen=True):
    """The id of a record, any of its ids."""

    id: str


class Reference(msgspec.Struct, frozen=True):
    """A record that another refers to."""

    id: str
    entity: str
    name: str | None


class RecordPicture(msgspec.Struct, frozen=True):
    """A record with all that is known of it."""

    id: str
    given: str
    """The id that was asked for: another one where it was merged."""
    entity: str
    aggregate_id: str
    version: int
    revision: int
    deleted: bool
    updated_us: int
    title: str | None
    fields: list[FieldOrigin]
    """The fields with a value, each with who says what, since when, and which rule decided."""
    masked: list[str]
    """Fields that this person sees masked."""
    sources: list[Reference]
    """The rows that it is made of: `entity` is the system, `name` the key."""
    other_ids: list[str]
    match_keys: list[str]
    decisions: list[LoggedDecision]
    references: dict[str, Reference]
    """Id → the record that it names."""
    conflicts: list[StandingConflict]
    intents: list[IntentView]
    dead_letters: list[FoundDeadLetter]
    parts: dict[str, list[Member]]
    """Kind → what belongs to it: contacts and receivables of a customer, stock of a product."""
    requests: list[Member]
    flows: list[FlowLine]
    roles: list[Reference]
    """Of a partner that both buys from us and sells to us: its record in the other role."""


@operation("GET", "/find", permission="see", command=lambda wanted: f"opshub identity show '{wanted.text}'")
def find(context: Context, wanted: WantedText) -> SearchResult:
    """Find what a text may mean: number, name, e-mail, phone, tax id, id, system:key, Kafka coordinates, intent,
    dead letter.
    """
    text = wanted.text.strip()
    place = coordinates_of(text)
    with context.place.hub() as hub:
        records = find_records(hub, text)
        intent, dead = find_intent(hub, text), find_dead_letters(hub, text)
    not_known = None
    if place is not None and not records:
        records, not_known = _at(context, *place)
    return SearchResult([_masked(r, context.person) for r in records], [intent] if intent else [], dead, not_known)


@operation("GET", "/records", permission="see")
def list_records(context: Context, wanted: WantedRecords) -> RecordList:
    """Browse the records of an entity: masters and deals by name, documents by number, the highest first."""
    if wanted.entity not in BROWSED:
        raise WrongInput(f"{wanted.entity} cannot be browsed", remedy=f"one of {', '.join(BROWSED)}")
    after, after_id = None, None
    if wanted.after:
        after_id, _, after = wanted.after.partition(":")
        if not is_id(after_id) or "\x00" in after:
            raise WrongInput(f"{wanted.after} is no place in a list", remedy="take `after` of the page before")
    with context.place.hub() as hub:
        records, following = browse(hub, wanted.entity, after=after, after_id=after_id, limit=wanted.limit)
    place = f"{following[1]}:{following[0]}" if following else None
    return RecordList([_masked(record, context.person) for record in records], place)


@operation("GET", "/entities", permission="see")
def count_records(context: Context, wanted: WantedEntities) -> EntityList:
    """Say about how many records each entity has, by the statistics of the hub's database."""
    with context.place.hub() as hub:
        counts = {count.entity: count.count for count in entity_counts(hub)}
    return EntityList([EntityCount(name, counts.get(name, 0)) for name in BROWSED])


@operation("GET", "/records/{id}", permission="see", command=lambda wanted: f"opshub identity show {wanted.id}")
def show_record(context: Context, wanted: WantedRecord) -> RecordPicture:
    """Show a record: each field with who says what, since when, and which rule decided; what belongs to it."""
    sources = sources_of(context.place.settings)
    with context.place.hub() as hub:
        view = load_view(hub, wanted.id)
        if view is None:
            raise NotFound(f"the hub knows no record {wanted.id}", remedy="look for its number or name")
        names = sorted({*view.record, *(name for c in view.contributions.values() for name in c.fields or {})})
        origins = [
            origin for origin in explain_fields(view.state, sources.ownership, names)
            if origin.values or origin.value not in (None, [], {})
        ]  # fmt: skip
        kinds = PARTS.get(view.entity, ())
        parts = {kind: members_of_kind(hub, view.aggregate_id, kind) for kind in kinds}
        topics, keys = sources.keys_of(view)
        flows: list[FlowLine] = []
        requests: list[Member] = []
        if view.entity == "customer":
            flows = hub_flows(hub, FlowFilter(customer=view.id, limit=20))
            requests = requests_of_customer(hub, view.all_ids)
        elif view.entity == "product":
            flows = flows_with_product(hub, view.all_ids)
        person = context.person
        references = _references(hub, view, person)
        picture = RecordPicture(
            view.id, view.given, view.entity, view.aggregate_id, view.version, view.revision, view.deleted,
            view.updated_us, title_of(view, person),
            [_origin_masked(origin, view.entity, person) for origin in origins],
            [origin.field for origin in origins if is_masked(view.entity, origin.field, person)],
            [Reference(source, c.system, c.key) for source, c in view.contributions.items()],
            view.other_ids, match_keys_of(hub, view.id) if not any(_hides(view.entity, person)) else [],
            decisions_about(hub, view.given, view.id), references,
            record_conflicts(hub, view.all_ids), intents_of_subject(hub, view.id),
            dead_letters_of_keys(hub, topics, keys),
            {
                kind: [Member(member.id, mask(member.record, kind, person)) for member in members]
                for kind, members in parts.items()
            },
            [Member(member.id, mask(member.record, "service_request", person)) for member in requests], flows,
            _roles(hub, view, references, person),
        )  # fmt: skip
    return picture


def load_view(hub: Any, record_id: str) -> RecordView | None:
    """The record of this id. Raises WrongInput for what is no id."""
    if not is_id(record_id):
        raise WrongInput(f"{record_id} is no id of a record", remedy="look for it: its number, name or system:key")
    return record_view(hub, record_id)


def title_of(view: RecordView, person: Person) -> str | None:
    """What a record is called."""
    record = view.record
    for field in ("name", "number", "order_number", "opportunity_number", "sku", "warehouse", "subject"):
        if record.get(field):
            return str(mask_value(record[field], view.entity, field, person))
    names = [mask_value(record.get(field), view.entity, field, person) for field in ("first_name", "last_name")]
    return " ".join(str(name) for name in names if name) or None


def _hides(entity: str, person: Person) -> list[bool]:
    """Whether any field of the entity is masked: keys by which it is matched hold values of such fields."""
    return [is_masked(entity, field, person) for field in ENTITIES[entity].fields] if entity in ENTITIES else []


def _masked(record: FoundRecord, person: Person) -> FoundRecord:
    own = "last_name" if record.entity == "contact" else "name"
    return msgspec.structs.replace(
        record,
        name=mask_value(record.name, record.entity, own, person),
        customer=mask_value(record.customer, "customer", "name", person),
        city=mask_value(record.city, record.entity, "billing_city", person),
    )


def _origin_masked(origin: FieldOrigin, entity: str, person: Person) -> FieldOrigin:
    if not is_masked(entity, origin.field, person):
        return origin

    def hide(value: Any) -> Any:
        return mask_value(value, entity, origin.field, person)

    values = [msgspec.structs.replace(value, value=hide(value.value)) for value in origin.values]
    return msgspec.structs.replace(origin, value=hide(origin.value), values=values)


def _references(hub: Any, view: RecordView, person: Person) -> dict[str, Reference]:
    fields = ENTITIES[view.entity].fields if view.entity in ENTITIES else {}
    ids = [str(view.record[name]) for name, kind in fields.items() if kind.kind == "ref" and view.record.get(name)]
    named = names_of_ids(hub, ids)
    return {
        id: Reference(named[id].id, named[id].entity, mask_value(named[id].name, named[id].entity, "name", person))
        for id in ids
        if id in named
    }


def _roles(hub: Any, view: RecordView, references: dict[str, Reference], person: Person) -> list[Reference]:
    """The supplier that a customer is, too; the customer that a supplier is, too."""
    if view.entity == "supplier":
        customer = references.get(str(view.record.get("customer_id")))
        return [customer] if customer is not None else []
    if view.entity != "customer":
        return []
    suppliers = suppliers_of_customer(hub, view.all_ids)
    return [
        Reference(s.id, "supplier", mask_value(s.record.get("name"), "supplier", "name", person)) for s in suppliers
    ]


def _at(context: Context, topic: str, partition: int, offset: int) -> tuple[list[FoundRecord], str | None]:
    """The records of the Kafka record at a place, and why there are none."""
    hits = record_at(context.place.settings.kafka, topic, partition, offset)
    if hits is None:
        return [], "the topic has no such record, or not any more"
    ids = sources_of(context.place.settings).ids_of(topic, hits.key)
    if not ids:
        return [], "its key leads to no record: only raw and canonical topics, and topics of changes, do"
    with context.place.hub() as hub:
        views = [view for id in ids if (view := record_view(hub, id)) is not None]
        records = records_of(hub, [view.id for view in views])
    return records, None if records else "the hub has no record of its key"
