"""What a rule would send for a real record, as the hub has it now. Nothing is sent and nothing is kept.

In: a rule, a record. Out: the requests or statements, or what is missing; and why no intent would arise for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from streams.hub.intents import Intent
from streams.hub.store import HubStore
from streams.writeback.documents import Document, read_documents
from streams.writeback.failures import NotReady, NotSent, Refused
from streams.writeback.http import HttpAdapter
from streams.writeback.prepare import check_complete, prepare, why_withdrawn
from streams.writeback.rule_inputs import matches
from streams.writeback.rules import WritebackRule
from streams.writeback.sql import SqlAdapter

Adapter = HttpAdapter | SqlAdapter


class Trial(msgspec.Struct, frozen=True):
    """`requests`: by their names in the rule, in the order in which they are sent; empty where something is missing."""

    rule: str
    record: str
    requests: dict[str, Any] = {}
    missing: str = ""
    """Why nothing would be sent now."""
    notes: list[str] = []
    """Why no intent would arise by itself."""


def try_rule(
    dsn: str, name: str, rule: WritebackRule, adapter: Adapter, entity: str, id: str, given: Mapping[str, Any]
) -> Trial:
    """What the rule `name` (<system>/<rule>) would send for the record `id`. `given`: what the rule before it returned.
    Raises EnvironmentFault while the hub does not answer.
    """
    if entity != rule.entity:
        return Trial(name, id, missing=f"it is a {entity}, and the rule is about a {rule.entity}")
    return asyncio.run(_try(dsn, name, rule, adapter, id, dict(given)))


async def _try(dsn: str, name: str, rule: WritebackRule, adapter: Adapter, id: str, given: dict[str, Any]) -> Trial:
    store = HubStore(dsn, "opshub-cli")
    try:
        document = await _document(store, name, rule, id, id, given)
        if isinstance(document, Document) and rule.subject:
            subject = document.main.record.get(rule.subject)
            if not subject:
                return Trial(name, id, missing=f"the record has no {rule.subject}, which names what is written")
            document = await _document(store, name, rule, id, subject, given)
    finally:
        await store.close()
    intent = _intent(name, rule, id, id, given)
    try:
        if isinstance(document, NotReady):
            raise document
        notes = _notes(rule, document)
        check_complete(intent, rule, document)
        job = prepare(intent, rule, document, None)
        requests = adapter.requests(job) if isinstance(adapter, HttpAdapter) else _numbered(adapter.describe(job))
    except (NotReady, Refused, NotSent) as problem:
        return Trial(name, id, missing=str(problem))
    if matches(rule.skip_when, job.wanted):
        notes.append("`skip_when` leaves it out")
    return Trial(name, id, dict(requests), notes=notes)


def _numbered(statements: Any) -> dict[str, Any]:
    return {str(number): statement for number, statement in enumerate(statements, 1)}


async def _document(
    store: HubStore, name: str, rule: WritebackRule, id: str, subject: str, given: dict[str, Any]
) -> Document | NotReady:
    intent = _intent(name, rule, id, subject, given)
    return (await read_documents(store, [(intent, rule)]))[intent.id]


def _intent(name: str, rule: WritebackRule, id: str, subject: str, given: dict[str, Any]) -> Intent:
    """An intent as the planner would make it; no deliverer ever sees it."""
    return Intent(
        id=0, key=f"{name}:{id}", rule=name, target=name.partition("/")[0], entity=rule.entity, entity_id=id,
        aggregate_id=id, subject_id=subject, customer_id=None, version=0, cause_us=0, given=given, state="planned",
        attempts=0, failures=0, age_s=0.0,
    )  # fmt: skip


def _notes(rule: WritebackRule, document: Document) -> list[str]:
    notes = []
    if (withdrawn := why_withdrawn(rule, document)) is not None:
        notes.append(withdrawn.replace("the cause was taken back", "it would not arise now"))
    if rule.after is not None and not document.given:
        notes.append(f"it comes after {rule.after}: --given says what that returned")
    if rule.mode != "live":
        notes.append(f"its mode is {rule.mode}")
    if rule.approval:
        notes.append("people may be asked first: " + ", ".join(approval.reason for approval in rule.approval))
    return notes
