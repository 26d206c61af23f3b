"""Read from the hub, at delivery, what an intent needs to know: always what is true now, not what was true when it
was planned.

Out: a `Document` for each intent. `Document.paths()` is the dict in which the paths of writeback.yaml begin:

    intent        id, key, rule
    given         what the delivery returned that this intent follows
    record        the record that caused the intent; with its `id`
    keys          system → the key of that record there
    contributions system → the fields that it contributes
    subject       the record that is written: record, keys, contributions
    customer, product, contact …   each reference of `record`, in the same form, named as the field without `_id`;
                  `customer` has `receivables` and `on_order`, too, when the rule asks about credit
    target        what the rule's `now` read from the target
    line          in values of lines: the line's record; then `record` and the references are those of the line
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from streams.hub.documents import entities_by_id, lines_of, on_order
from streams.hub.intents import Intent
from streams.hub.store import HubStore
from streams.model.entities import ENTITIES
from streams.model.ids import source_id
from streams.model.names import HUB
from streams.model.state import EntityState
from streams.writeback.failures import NotReady
from streams.writeback.rules import WritebackRule
from streams.writeback.values import Fields, Paths


class EntityView(msgspec.Struct, frozen=True):
    """What a rule sees of one entity: its golden record with its `id`, its keys, and what each system contributes."""

    record: Fields
    keys: dict[str, str] = {}
    contributions: dict[str, Fields] = {}

    def paths(self) -> Paths:
        """The dict in which paths of this entity begin."""
        return {"record": self.record, "keys": self.keys, "contributions": self.contributions}


class DocumentLine(msgspec.Struct, frozen=True):
    """One line, and what it refers to by the name of the field without `_id`."""

    line: EntityView
    references: dict[str, EntityView] = {}


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub knows about an intent now. `main` is the record that caused it, `subject` the record that is
    written.
    """

    intent: Paths = {}
    """id, key and rule of the intent."""
    given: Fields = {}
    main: EntityView
    subject: EntityView
    references: dict[str, EntityView] = {}
    lines: list[DocumentLine] = []
    receivables: Fields | None = None
    """What the customer owes, as the hub sums it; None where the rule does not ask about credit."""
    on_order: dict[str | None, int] = {}
    """Currency → what the customer has ordered and was not billed for, without this intent."""
    target: Fields | None = None
    """What the target has now, once it was read."""

    def paths(self) -> Paths:
        """The dict in which the paths of the rule begin."""
        paths: Paths = {"intent": self.intent, "given": self.given, "subject": self.subject.paths()}
        paths |= self.main.paths()
        paths |= {name: view.paths() for name, view in self.references.items()}
        if "customer" in self.references:
            paths["customer"] |= {"receivables": self.receivables, "on_order": self.on_order}
        if self.target is not None:
            paths["target"] = self.target
        return paths

    def line_paths(self, line: DocumentLine) -> Paths:
        """The dict in which paths of values of one line begin."""
        references = {name: view.paths() for name, view in line.references.items()}
        return self.paths() | line.line.paths() | references | {"line": line.line.record}


Documents = dict[int, Document | NotReady]
"""Number of an intent → its document, or why there is none."""


class _Loaded(NamedTuple):
    """An intent whose records the hub has."""

    intent: Intent
    rule: WritebackRule
    main: EntityState
    subject: EntityState


async def read_documents(store: HubStore, wanted: Sequence[tuple[Intent, WritebackRule]]) -> Documents:
    """The documents of these intents, or NotReady for a record that is not live any more. At most six statements for
    all intents.
    """
    # (1) the records themselves, (2) their lines, (3) what both refer to, (4) to (6) what credit needs.
    known = await entities_by_id(store, {id for intent, _ in wanted for id in (intent.entity_id, intent.subject_id)})
    documents: Documents = {}
    loaded: list[_Loaded] = []
    for intent, rule in wanted:
        main, subject = known.get(intent.entity_id), known.get(intent.subject_id)
        if main is None or subject is None or main.deleted or subject.deleted:
            documents[intent.id] = NotReady(
                f"the hub has no live {intent.entity} {intent.entity_id}",
                question="the record is gone: write it all the same?",
            )
        else:
            loaded.append(_Loaded(intent, rule, main, subject))
    lines = await _read_lines(store, loaded)
    referring = [*(item.main for item in loaded), *(line for of_document in lines.values() for line in of_document)]
    missing = {id for entity in referring for _, id in references_of(entity)} - set(known)
    if missing:
        known |= await entities_by_id(store, missing)
    with_credit = [item for item in loaded if _asks_about_credit(item.rule)]
    receivables = await _read_receivables(store, [item.main for item in with_credit], known)
    ordered = await _read_on_order(store, with_credit)
    for item in loaded:
        document = _document(item, lines.get(item.main.id, []) if item.rule.lines is not None else [], known)
        customer = document.references.get("customer")
        if customer is not None and _asks_about_credit(item.rule):
            document = msgspec.structs.replace(
                document,
                receivables=receivables.get(customer.record["id"]),
                on_order=ordered.get(item.intent.id, {}),
            )
        documents[item.intent.id] = document
    return documents


def references_of(entity: EntityState) -> list[tuple[str, str]]:
    """(field, id) of what a record refers to."""
    fields = ENTITIES[entity.entity].fields
    return [
        (name, entity.record[name]) for name, kind in fields.items() if kind.kind == "ref" and entity.record.get(name)
    ]


async def _read_lines(store: HubStore, loaded: Iterable[_Loaded]) -> dict[str, list[EntityState]]:
    """Id of a document → its lines in their order, for rules that use lines."""
    kinds = {
        item.main.id: kind
        for item in loaded
        if item.rule.lines is not None and (kind := ENTITIES[item.intent.entity].lines) is not None
    }
    if not kinds:
        return {}
    lines = await lines_of(store, kinds)
    for of_document in lines.values():
        of_document.sort(key=lambda line: (line.record.get("line_no") or 0, line.id))
    return lines


def _asks_about_credit(rule: WritebackRule) -> bool:
    return any(approval.credit_exceeded for approval in rule.approval)


async def _read_on_order(store: HubStore, loaded: Iterable[_Loaded]) -> dict[int, dict[str | None, int]]:
    """Number of an intent → currency → what its customer has on order, without the order of the intent itself."""
    fields = {
        item.intent.id: next(approval.amount for approval in item.rule.approval if approval.credit_exceeded)
        for item in loaded
    }
    amounts: dict[int, dict[str | None, int]] = {}
    if fields:
        for row in await on_order(store, fields):
            amounts.setdefault(row.intent_id, {})[row.currency] = row.amount
    return amounts


async def _read_receivables(
    store: HubStore, mains: Iterable[EntityState], known: dict[str, EntityState]
) -> dict[str, Fields]:
    """Customer → what it owes, as the hub sums it."""
    customers = {known[id].id for main in mains if (id := main.record.get("customer_id")) in known}
    ids = {source_id(HUB, "receivables", customer): customer for customer in customers}
    sums = await entities_by_id(store, ids) if ids else {}
    return {ids[id]: entity.record for id, entity in sums.items() if not entity.deleted}


def _document(item: _Loaded, lines: list[EntityState], known: dict[str, EntityState]) -> Document:
    intent = item.intent
    return Document(
        intent={"id": intent.id, "key": intent.key, "rule": intent.rule},
        given=intent.given,
        main=view_of(item.main),
        subject=view_of(item.subject),
        references=_references(item.main, known),
        lines=[DocumentLine(view_of(line), _references(line, known)) for line in lines],
    )


def _references(entity: EntityState, known: dict[str, EntityState]) -> dict[str, EntityView]:
    return {name.removesuffix("_id"): view_of(known[id]) for name, id in references_of(entity) if id in known}


def view_of(entity: EntityState) -> EntityView:
    """What a rule sees of an entity. Of two live records of one system the one with the smaller key stands for the
    system.
    """
    live = sorted(
        (contribution.system, contribution.key, contribution.fields or {})
        for contribution in entity.contributions.values()
        if not contribution.deleted
    )
    keys: dict[str, str] = {}
    contributions: dict[str, Fields] = {}
    for system, key, fields in live:
        keys.setdefault(system, key)
        contributions.setdefault(system, fields)
    return EntityView({"id": entity.id, **entity.record}, keys, contributions)
