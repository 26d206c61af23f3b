"""Read from the hub, at delivery, what an intent needs to know: always what is true now, not what was when it was planned.

Out: a document of nested dicts, to which the paths of writeback.yaml lead:

    intent      key, rule, given (what the delivery that it follows returned)
    record      the record that set the rule off; `id` with it
    subject     the record that is written: record, keys (system → its key there), said (system → its fields)
    customer, product, contact …   each reference of `record`, in the same form, under the field's name without `_id`
    lines       the record's lines; each a dict with `record` and its references

`known` tells, for the target, the key of the subject.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from streams.hub.store import entity_of_row
from streams.model.entities import ENTITIES
from streams.model.state import EntityState
from streams.writeback.failures import NotYet
from streams.writeback.plan import flow_words
from streams.writeback.rules import Rule
from streams.writeback.work import Work

Rows = Callable[..., Awaitable[list[Any]]]
"""HubStore.rows: (name of a statement, parameters) → rows."""


async def gather(work: Work, rule: Rule, rows: Rows) -> dict[str, Any]:
    """The document of one intent. Raises NotYet when the hub does not know the record any more."""
    known = await _entities([work.entity_id, work.subject_id], rows)
    main = known.get(work.entity_id)
    subject = known.get(work.subject_id)
    if main is None or subject is None or main.deleted or subject.deleted:
        raise NotYet(
            f"the hub has no live {work.entity} {work.entity_id}", ask="the record is gone: write it all the same?"
        )
    lines: list[EntityState] = []
    of = ENTITIES[work.entity].lines
    if rule.lines is not None and of is not None:
        lines = [entity_of_row(row) for row in await rows("lines_of", work.entity_id, of, main.id)]
        lines.sort(key=lambda line: (line.record.get("line_no") or 0, line.id))
    wanted = {value for member in (main, *lines) for _, value in references(member)} - set(known)
    if wanted:
        known |= await _entities(sorted(wanted), rows)
    told = _described(main)
    if main.entity == "order_flow":
        told["record"] |= flow_words(main.record)
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
    return {"record": {"id": member.id, **member.record}, "keys": keys, "said": said}


async def _entities(ids: list[str], rows: Rows) -> dict[str, EntityState]:
    return {row[0]: entity_of_row(row[1:]) for row in await rows("entities_by_id", ids)}
