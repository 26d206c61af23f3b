"""The demo's story: one deal on its way from won to paid, in a few lines with real numbers from the hub."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import psycopg

from streams.demo.statements import SQL
from streams.hub.order_flows import OrderFlow, find_flows

STEPS = (
    "opportunity won", "order confirmed", "purchased", "received", "produced", "shipped", "delivered", "invoiced",
    "paid",
)  # fmt: skip
"""Events of a flow's timeline that the story has, each once: the first of its kind."""


def deal_story(hub_dsn: str, console: str | None) -> list[str]:
    """The story of the deal that came furthest and was won last; no lines where no deal was won."""
    with psycopg.connect(hub_dsn, autocommit=True) as hub:
        row = hub.execute(SQL["newest_deal"]).fetchone()
        if row is None:
            return []
        flow_id, customer = row
        flows = find_flows(hub, str(flow_id))
    return story_lines(flows[0], customer, console) if flows else []


def story_lines(flow: OrderFlow, customer: str | None, console: str | None) -> list[str]:
    """The story of this flow. Pure."""
    record = flow.record
    numbers = {member.id: member.record.get("number") for member in flow.members}
    title = f"One deal, from won to {record['stage'].replace('_', ' ')}: {record.get('opportunity_number') or ''}"
    lines = [f"{title}, {customer or 'a customer'}, {_amount(record)}"]
    seen: set[str] = set()
    before: int | None = None
    for event in record.get("timeline") or []:
        what, at = event["what"], event["at"]
        if what not in STEPS or what in seen or at is None:
            continue
        seen.add(what)
        later = f", {_duration((at - before) / 1e6)} later" if before is not None and at >= before else ""
        day_only = event.get("precision") == "date"
        moment = datetime.fromtimestamp(at / 1e6, UTC).strftime("%Y-%m-%d" + ("         " if day_only else " %H:%M:%S"))
        number = numbers.get(event["id"]) or ""
        by = " (opshub wrote it)" if what == "order confirmed" and _was_written(flow) else ""
        lines.append(f"  {moment}  {what:16} {number:14} in {event['system']}{'' if day_only else later}{by}")
        if not day_only:
            before = at
    if record.get("waits_for"):
        late = f", {record['late_days']} days late" if record.get("late_days") else ""
        lines.append(f"  it waits for {record['waits_for']}{late}")
    if console:
        lines.append(f"  see it: {console}flows/{flow.aggregate_id}")
    return lines


def _was_written(flow: OrderFlow) -> bool:
    """Whether write-back created the order."""
    return any(intent.state == "delivered" and intent.rule.endswith("order") for intent in flow.intents)


def _amount(record: dict[str, object]) -> str:
    unscaled = record.get("invoiced_amount") or record.get("ordered_amount")
    if not isinstance(unscaled, int):
        return "amount not known"
    return f"{Decimal(unscaled).scaleb(-4):,.2f} {record.get('currency') or ''}".rstrip()


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"
