"""What needs a person, in groups that a person would handle together, the most urgent first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from streams.hub.figures import Hub, blocked_flows
from streams.hub.needs import (
    ConflictNeed,
    DeadLetterNeed,
    IntentNeed,
    approvals_needed,
    conflicts_needed,
    dead_letters_needed,
    write_backs_refused,
)

NeedKind = Literal["refused", "approval", "conflict", "rule", "dead_letter", "blocked"]

NAMED = 1
"""Records of a group that are named; of the others, the number is given."""

BLOCKED_LOOKED_AT = 200

Row = TypeVar("Row")


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """A group of things that wait for a person. `count` is of those that were looked at, which are some hundreds."""

    kind: NeedKind
    count: int
    why: str
    """The reason as the hub has it: a problem, a field, the reason of an approval."""
    system: str = ""
    since: datetime
    """The oldest of them."""
    number: str | None = None
    name: str | None = None
    """Of the record that stands for them: the one with the greatest amount, else the oldest."""
    amount: int | None = None
    """Unscaled, in `currency`."""
    currency: str | None = None
    entity: str = ""


def what_needs_a_person(hub: Hub) -> list[Need]:
    """All groups: what was refused, approvals, conflicts, business rules, dead letters. Raises psycopg.Error."""
    return [
        *intent_needs("refused", write_backs_refused(hub)),
        *intent_needs("approval", approvals_needed(hub)),
        *conflict_needs(conflicts_needed(hub)),
        *dead_letter_needs(dead_letters_needed(hub)),
        *blocked_need(hub),
    ]


def intent_needs(kind: Literal["refused", "approval"], rows: Iterable[IntentNeed]) -> list[Need]:
    """Write-backs by target and reason, the largest groups first."""
    needs = []
    for group in _groups(rows, lambda row: (row.target, row.reason)):
        named = max(group, key=lambda row: (row.amount or 0, -row.id))
        needs.append(
            Need(
                kind=kind,
                count=len(group),
                why=named.reason,
                system=named.target,
                since=min(row.since for row in group),
                number=named.number,
                name=named.name,
                amount=named.amount,
                currency=named.currency,
            )
        )
    return needs


def conflict_needs(rows: Iterable[ConflictNeed]) -> list[Need]:
    """Conflicts by entity and field; business rules that do not hold by the rule."""
    needs = []
    for group in _groups(rows, lambda row: (row.kind == "invariant", row.entity, _cause(row))):
        oldest = min(group, key=lambda row: row.since)
        needs.append(
            Need(
                kind="rule" if oldest.kind == "invariant" else "conflict",
                count=len(group),
                why=_cause(oldest),
                since=oldest.since,
                number=oldest.number,
                name=oldest.name,
                entity=oldest.entity,
            )
        )
    return needs


def _cause(row: ConflictNeed) -> str:
    if row.kind == "invariant":
        return row.rule
    # The field of a match key has its value: tax_id=DE123.
    return row.field.partition("=")[0]


def dead_letter_needs(rows: Iterable[DeadLetterNeed]) -> list[Need]:
    """Dead letters by table; the reason is that of most of them."""
    needs = []
    for group in _groups(rows, lambda row: row.topic):
        most = max(group, key=lambda row: row.records)
        table = most.topic.removeprefix("raw.")
        needs.append(
            Need(
                kind="dead_letter",
                count=sum(row.records for row in group),
                why=most.reason,
                system=table,
                since=min(row.since for row in group),
            )
        )
    return needs


def blocked_need(hub: Hub) -> list[Need]:
    """Orders that wait for goods: the one that has waited longest stands for them."""
    flows = blocked_flows(hub, limit=BLOCKED_LOOKED_AT)
    if not flows:
        return []
    first = flows[0]
    since = datetime.fromtimestamp((first.since_us or 0) / 1e6).astimezone()
    return [
        Need(
            kind="blocked",
            count=len(flows),
            why=first.product or first.sku or "",
            since=since,
            number=first.number,
            name=first.customer,
            amount=first.amount,
            currency=first.currency,
        )
    ]


def _groups(rows: Iterable[Row], key: Callable[[Row], object]) -> list[list[Row]]:
    """Rows with the same key, the largest group first."""
    groups: dict[object, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return sorted(groups.values(), key=len, reverse=True)
