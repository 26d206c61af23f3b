"""Read from the hub, at delivery, what an intent needs to know: always what is true now, not what was when it was planned.

Out: a document of nested dicts, to which the paths of writeback.yaml lead:

    intent      key, rule, given (what the delivery that it follows returned)
    record      the record that set the rule off; `id` with it
    subject     the record that is written: record, keys (system → its key there), said (system → its fields)
    customer, product, contact …   each reference of `record`, in the same form, under the field's name without `_id`;
                with the customer go its `receivables` and what it has `on_order`, where the rule asks for credit
    lines       the record's lines; each a dict with `record` and its references

`known` tells, for the target, the key of the subject.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from streams.hub.store import entity_of_row
from streams.model.entities import ENTITIES
from streams.model.ids import source_id
from streams.model.names import HUB
from streams.model.state import EntityState
from streams.writeback.failures import NotYet
from streams.writeback.rules import WritebackRule
from streams.writeback.work import Work

Rows = Callable[..., Awaitable[list[Any]]]
"""HubStore.rows: (name of a statement, parameters) → rows."""


async def gather(works: Sequence[tuple[Work, WritebackRule]], rows: Rows) -> dict[int, dict[str, Any] | NotYet]:
    """NewIntent id → its document, or NotYet when the hub does not know the record any more. At most six statements for all."""
    known = await _entities({one for work, _ in works for one in (work.entity_id, work.subject_id)}, rows)
    told: dict[int, dict[str, Any] | NotYet] = {}
    live: list[tuple[Work, WritebackRule, EntityState, EntityState]] = []
    with_lines: dict[str, str] = {}
    for work, rule in works:
        main, subject = known.get(work.entity_id), known.get(work.subject_id)
        if main is None or subject is None or main.deleted or subject.deleted:
            told[work.id] = NotYet(
                f"the hub has no live {work.entity} {work.entity_id}", ask="the record is gone: write it all the same?"
            )
            continue
        live.append((work, rule, main, subject))
        of = ENTITIES[work.entity].lines
        if rule.lines is not None and of is not None:
            with_lines[main.id] = of
    lines: dict[str, list[EntityState]] = {}
    if with_lines:
        for parent, *row in await rows("lines_of", list(with_lines), list(with_lines.values())):
            lines.setdefault(parent, []).append(entity_of_row(row))
    for found in lines.values():
        found.sort(key=lambda line: (line.record.get("line_no") or 0, line.id))
    referring = [*(main for _, _, main, _ in live), *(line for found in lines.values() for line in found)]
    wanted = {value for member in referring for _, value in references(member)} - set(known)
    if wanted:
        known |= await _entities(wanted, rows)
    owed = await _receivables([main for _, rule, main, _ in live if _asks_for_credit(rule)], known, rows)
    on_order = await _on_order([(work, rule) for work, rule, _, _ in live if _asks_for_credit(rule)], rows)
    for work, rule, main, subject in live:
        of_it = lines.get(main.id, []) if rule.lines is not None else []
        document = told[work.id] = _document(work, main, subject, of_it, known)
        if "customer" in document and _asks_for_credit(rule):
            document["customer"]["receivables"] = owed.get(document["customer"]["record"]["id"])
            document["customer"]["on_order"] = on_order.get(work.id, {})
    return told


def _asks_for_credit(rule: WritebackRule) -> bool:
    return any(one.credit_exceeded for one in rule.approval)


async def _on_order(works: list[tuple[Work, WritebackRule]], rows: Rows) -> dict[int, dict[str | None, int]]:
    """NewIntent id → currency → what its customer has ordered, the intent's own order left out, and was not billed for."""
    told: dict[int, dict[str | None, int]] = {}
    if works:
        fields = [next(one.amount for one in rule.approval if one.credit_exceeded) for _, rule in works]
        for intent, currency, amount in await rows("on_order", [work.id for work, _ in works], fields):
            told.setdefault(intent, {})[currency] = amount
    return told


async def _receivables(
    mains: list[EntityState], known: dict[str, EntityState], rows: Rows
) -> dict[str, dict[str, Any]]:
    """Customer → what it owes, as the hub sums it."""
    customers = {known[one].id for main in mains if (one := main.record.get("customer_id")) in known}
    ids = {source_id(HUB, "receivables", customer): customer for customer in customers}
    found = await _entities(set(ids), rows) if ids else {}
    return {ids[one]: member.record for one, member in found.items() if not member.deleted}


def _document(
    work: Work, main: EntityState, subject: EntityState, lines: list[EntityState], known: dict[str, EntityState]
) -> dict[str, Any]:
    told = _described(main)
    document: dict[str, Any] = {
        "intent": {"id": work.id, "key": work.key, "rule": work.rule},
        "given": work.given,
        **told,
        "subject": _described(subject),
    }
    document |= _referred(main, known)
    document["lines"] = [{**_described(line), **_referred(line, known)} for line in lines]
    return document


def references(member: EntityState) -> list[tuple[str, str]]:
    """(field, id) of what a record refers to."""
    fields = ENTITIES[member.entity].fields
    return [
        (name, member.record[name]) for name, kind in fields.items() if kind.kind == "ref" and member.record.get(name)
    ]


def _referred(member: EntityState, known: dict[str, EntityState]) -> dict[str, Any]:
    return {name.removesuffix("_id"): _described(known[value]) for name, value in references(member) if value in known}


def _described(member: EntityState) -> dict[str, Any]:
    live = sorted(
        (said.system, said.key, said.fields or {}) for said in member.contributions.values() if not said.deleted
    )
    keys: dict[str, str] = {}
    said: dict[str, Any] = {}
    for system, key, fields in live:
        keys.setdefault(system, key)
        said.setdefault(system, fields)
    return {"record": {"id": member.id, **member.record}, "keys": keys, "contributions": said}


async def _entities(ids: set[str], rows: Rows) -> dict[str, EntityState]:
    return {row[0]: entity_of_row(row[1:]) for row in await rows("entities_by_id", sorted(ids))}
