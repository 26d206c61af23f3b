"""Service cases: what they are made of, those that are due, and the lists of people. A class for each row, a function
for each statement of `sql/service.sql`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from streams.errors import ConfigError
from streams.hub.intent_review import Hub
from streams.hub.statements import fetch_structs
from streams.hub.store import HubStore
from streams.model.entities import ENTITIES
from streams.model.ids import source_id
from streams.model.live_row import LiveRow
from streams.model.names import HUB

SERVICE_CASE = "service_case"
PROBLEMS = ENTITIES[SERVICE_CASE].fields["problems"].values
KINDS = ENTITIES[SERVICE_CASE].fields["kind"].values


class CaseRow(LiveRow, frozen=True, kw_only=True):
    """A record that may concern the case of `root`."""

    root: str


class LastCase(msgspec.Struct, frozen=True):
    """A case as the hub has it."""

    id: str
    aggregate_id: str
    deleted: bool
    record: dict[str, Any]
    at_us: int
    """The time at which it was made: its position."""


class CaseView(msgspec.Struct, frozen=True):
    """A service case, with the names of what it concerns. `record` as the canonical topic has it, unscaled."""

    id: str
    flow_id: str
    """The aggregate that it lives in: the flow of its order, else its request."""
    since_us: int
    record: dict[str, Any]
    customer: str | None
    sku: str | None
    product: str | None


class WantedCases(msgspec.Struct, frozen=True, kw_only=True):
    """Which cases are wanted; what is not given does not matter."""

    open: bool = False
    kind: str | None = None
    problem: str | None = None
    missing: bool = False
    """Only those whose part is not there."""
    customer: str | None = None
    """Part of the name, or the id."""
    product: str | None = None
    """Article number or id."""
    after: str | None = None
    """Continue after this one, as `after_of` gives it."""
    limit: int = 50


def case_id(root: str) -> str:
    """The id of the case of a request or return."""
    return source_id(HUB, SERVICE_CASE, root)


def list_cases(hub: Hub, wanted: WantedCases) -> list[CaseView]:
    """Cases, those that were opened last first. Raises ConfigError for a word that there is not."""
    for word, words, what in ((wanted.problem, PROBLEMS, "problem"), (wanted.kind, KINDS, "kind")):
        if word is not None and word not in words:
            raise ConfigError(f"there is no {what} {word}", remedy="one of " + ", ".join(words))
    since, _, last = (wanted.after or "").partition(":")
    if wanted.after and not (since.isdigit() and len(last) == 36):
        raise ConfigError(f"no list ends at {wanted.after}", remedy="take what the list before said")
    parameters = {
        "open": wanted.open, "kind": wanted.kind, "problem": wanted.problem, "missing": wanted.missing,
        "customer": wanted.customer, "product": wanted.product, "limit": wanted.limit,
        "after_us": int(since) if since else None, "after_id": last or None,
    }  # fmt: skip
    return fetch_structs(hub, CaseView, "list_cases", parameters)


def after_of(cases: Sequence[CaseView], limit: int) -> str | None:
    """Where the next page begins; None where there is none."""
    return f"{cases[-1].since_us}:{cases[-1].id}" if len(cases) == limit else None


def find_cases(hub: Hub, number: str) -> list[CaseView]:
    """The cases of the requests and returns with this number or id."""
    named = fetch_structs(hub, _Named, "requests_named", {"number": number})
    return cases_by_id(hub, [case_id(root) for row in named for root in (row.id, row.request_ref) if root])


def cases_by_id(hub: Hub, ids: Sequence[str]) -> list[CaseView]:
    """These cases, those that were opened last first."""
    return fetch_structs(hub, CaseView, "cases_by_id", {"ids": list(ids)})


def cases_of_flow(hub: Hub, flow_id: str) -> list[CaseView]:
    """The cases that belong to a flow, those that were opened last first."""
    return fetch_structs(hub, CaseView, "cases_of_flow", {"flow": flow_id})


class _Named(msgspec.Struct, frozen=True):
    id: str
    request_ref: str | None


async def case_roots(store: HubStore, changed: Sequence[str]) -> list[str]:
    """The requests and returns whose case depends on these requests, returns, items and customers."""
    return [root for (root,) in await store.rows("case_roots", list(changed)) if root is not None]


async def case_rows(store: HubStore, roots: Sequence[str]) -> dict[str, list[LiveRow]]:
    """Root → all records that may concern its case. A root that is gone has none."""
    rows: dict[str, list[LiveRow]] = {root: [] for root in roots}
    for row in await store.fetch(CaseRow, "case_rows", [list(roots)]):
        rows[row.root].append(row)
    return rows


async def last_cases(store: HubStore, ids: Sequence[str]) -> dict[str, LastCase]:
    """These cases as the hub has them, by id; those that it never had are left out."""
    return {case.id: case for case in await store.fetch(LastCase, "last_cases", [list(ids)])}


async def mark_cases_of_products(store: HubStore, products: Sequence[str]) -> None:
    """The stock of these products changed: their open cases are due."""
    await store.rows("mark_cases_of_products", list(products))


async def mark_cases_that_find_more(store: HubStore) -> int:
    """Mark the cases that name what came to the hub since; how many."""
    return int((await store.rows("mark_cases_that_find_more"))[0][0])


async def mark_weeks_of_cases(store: HubStore, opened: Sequence[int]) -> None:
    """The business figures of the weeks in which cases were opened (µs since 1970) are to be computed again."""
    if opened:
        await store.rows("mark_weeks_of_cases", list(opened))
