"""`opshub flow`: one order-to-cash case from the opportunity to the last payment; business rules that do not hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.context import load_settings
from streams.cli.flow_list import time_since
from streams.cli.service import case_lines, case_title
from streams.flow.timeline import SUPPLIES
from streams.hub.record_names import RecordName, money, record_names

if TYPE_CHECKING:
    from streams.hub.order_flows import OrderFlow
    from streams.hub.service import CaseView
    from streams.pipeline.invariant_checks import BrokenRule

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

AMOUNTS = ("ordered", "shipped", "invoiced", "paid", "open")
NET_AMOUNTS = {"ordered": "ordered_amount", "shipped": "shipped_amount", "invoiced": "invoiced_net_amount"}
GROSS_AMOUNTS = {
    "ordered": "ordered_gross_amount",
    "invoiced": "invoiced_amount",
    "paid": "paid_amount",
    "settled otherwise": "settled_otherwise_amount",
    "open": "open_amount",
}
"""Name → field of the flow; see docs/guides/order-to-cash.md."""
COUNTS = ("line", "shipment", "invoice", "payment", "service_request")
UNFINISHED = ("planned", "waiting", "approved", "delivering", "failed", "dead")
DAY_S = 86_400


def show(
    which: Annotated[
        str,
        typer.Argument(
            metavar="FLOW",
            help="An id, or the number of an opportunity, order, shipment, invoice or payment; "
            "demo-erp:11 is the number or key in one system.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show stage, amounts and timeline of an order flow.

    Example: opshub flow show SO0000123
    """
    import msgspec

    from streams.errors import ConfigError
    from streams.hub.order_flows import find_flow_ids, find_flows
    from streams.hub.service import cases_of_flow
    from streams.writeback.commands import connect_hub

    with connect_hub(load_settings().hub) as hub:
        flows = find_flows(hub, which)
        several = find_flow_ids(hub, which) if len(flows) > 1 else []
        names = record_names(hub, [choice.document for choice in several])
        cases = {flow.aggregate_id: cases_of_flow(hub, flow.aggregate_id) for flow in flows}
    if not flows:
        raise ConfigError(
            f"no order flow has the id or number {which}",
            remedy="`opshub service show` has requests without an order; "
            "`opshub status` shows whether the workers have caught up",
        )
    if as_json:
        shown = [msgspec.to_builtins(flow) | {"cases": msgspec.to_builtins(cases[flow.aggregate_id])} for flow in flows]
        typer.echo(json.dumps({"flows": shown}))
        return
    if several:
        of = {flow.aggregate_id: flow.record for flow in flows}
        choices = [_choice(names, choice.document, of.get(choice.id, {}), choice.id) for choice in several]
        raise ConfigError(f"{len(flows)} order flows have a document {which}", remedy="which one?" + "".join(choices))
    _print(flows[0], cases[flows[0].aggregate_id])


def check(
    as_json: AsJson = False,
    order_within_seconds: Annotated[
        float | None,
        typer.Option(
            help="Seconds that a won opportunity may be without an order; default: OPSHUB_ORDER_WITHIN_SECONDS."
        ),
    ] = None,
    stuck_after_days: Annotated[
        float | None,
        typer.Option(help="Days that a flow may be in any stage; default: OPSHUB_STUCK_AFTER_DAYS, for each stage."),
    ] = None,
) -> None:
    """List business rules that do not hold, and flows that are stuck. The exit code is 1 when there are any.

    Workers check each flow some time after its last change, and log the same as conflicts of kind `invariant`. This
    command checks the whole hub now.

    Example: opshub flow check
    """
    import msgspec

    from streams.agents.rule_limits import rule_limits
    from streams.hub.order_flows import stuck_flows
    from streams.pipeline.invariant_checks import broken_rules
    from streams.writeback.commands import connect_hub

    settings = load_settings()
    if order_within_seconds is not None:
        settings = settings.model_copy(update={"order_within_seconds": order_within_seconds})
    limits = {
        stage: (days if stuck_after_days is None else stuck_after_days) * DAY_S
        for stage, days in settings.stuck_after_days.model_dump().items()
        if days is not None
    }
    with connect_hub(settings.hub) as hub:
        broken = broken_rules(hub, rule_limits(settings))
        stuck = stuck_flows(hub, limits)
        names = record_names(hub, [*(violation.id for violation in broken), *(flow.id for flow in stuck)])
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins({"broken_rules": broken, "stuck_flows": stuck})))
    else:
        for violation in broken:
            typer.echo(f"{violation.rule}: {_named(names, violation.id, violation.entity)}{_values(violation)}")
        for flow in stuck:
            named = _named(names, flow.id, "order_flow")
            typer.echo(f"stuck in {flow.stage} for {time_since(flow.in_stage_s)}: {named}")
        typer.echo(f"{len(broken)} rules broken, {len(stuck)} flows stuck")
    if broken or stuck:
        raise typer.Exit(1)


def _choice(names: Mapping[str, RecordName], document: str, flow: Mapping[str, object], flow_id: str) -> str:
    """One of several flows: the document that was asked for, the flow's own number, and how to show it."""
    number = flow.get("order_number") or flow.get("opportunity_number") or "no number"
    return f"\n  {_named(names, document, 'document')}, in the flow of {number}: opshub flow show {flow_id}"


def _named(names: Mapping[str, RecordName], record_id: str, entity: str) -> str:
    return names[record_id].text if record_id in names else f"{entity.replace('_', ' ')} {record_id}"


def _print(flow: OrderFlow, cases: Sequence[CaseView]) -> None:
    record = flow.record
    typer.echo(f"flow {flow.aggregate_id}: {record['stage'].replace('_', ' ')}")
    status = (record.get("order_status") or "-").replace("_", " ")
    typer.echo(
        f"  opportunity {record.get('opportunity_number') or '-'} ({record.get('opportunity_stage') or '-'}),"
        f" order {record.get('order_number') or '-'} ({status})"
    )
    currency = record.get("currency") or ""
    _print_amounts("net", {name: record.get(field) for name, field in NET_AMOUNTS.items()}, currency)
    _print_amounts("gross", {name: record.get(field) for name, field in GROSS_AMOUNTS.items()}, currency)
    open_amount = record.get("open_amount")
    if open_amount is not None and open_amount < 0:
        typer.echo(f"  credit balance: the customer has {money(-open_amount, currency)} to get back or to use up")
    others = [
        f"{name} {amount} {code}{' net' if name in ('ordered', 'shipped') else ' gross'}"
        for name in AMOUNTS
        for code, amount in (record.get(f"other_{name}_amounts") or {}).items()
    ]
    if others:
        typer.echo("  in other currencies: " + ", ".join(others))
    goods, paid = (str(record.get(f"{name}_status") or "-").replace("_", " ") for name in ("shipment", "payment"))
    typer.echo(f"  goods {goods}, money {paid}")
    if record.get("supply_status"):
        typer.echo(f"  supply {_supply(record)}")
    counts = (_count(record.get(f"{name}_count") or 0, name.replace("_", " ")) for name in COUNTS)
    typer.echo("  " + ", ".join(counts))
    for case in cases:
        typer.echo(f"  service case {case_title(case)}")
        for line in case_lines(case):
            typer.echo(f"      {line}")
    typer.echo("timeline (UTC)")
    for at_us, precision, what, system in _events(flow):
        at = datetime.fromtimestamp(at_us / 1e6, UTC)
        shown = f"{at:%Y-%m-%d}{'':9}" if precision == "date" else f"{at:%Y-%m-%d %H:%M:%S}"
        typer.echo(f"  {shown}  {what}  [{system}]")
    for rule, times in _written_back(flow).items():
        often = f"{len(times)} times, last " if len(times) > 1 else ""
        typer.echo(f"  written back: {rule}, {often}{times[-1]:%Y-%m-%d %H:%M:%S}")
    for intent in flow.intents:
        if intent.state in UNFINISHED:
            typer.echo(f"  {intent.state}: {intent.rule}" + (f" ({intent.problem})" if intent.problem else ""))


def _supply(record: Mapping[str, Any]) -> str:
    """How the goods are supplied: on_order; expected 2026-12-24, 3 days late; waits for PO-1."""
    from streams.cli.supply import day_of

    parts = [record["supply_status"].replace("_", " ")]
    if record.get("expected_date") is not None:
        late = f", {record['late_days']} days late" if record.get("late_days") else ""
        parts.append(f"expected {day_of(record['expected_date'])}{late}")
    if record.get("waits_for"):
        parts.append(f"waits for {record['waits_for']}")
    return "; ".join(parts)


def _print_amounts(tax: str, amounts: Mapping[str, int | None], currency: str) -> None:
    known = [f"{name} {money(amount)}" for name, amount in amounts.items() if amount is not None]
    if known:
        typer.echo(f"  {tax}: {', '.join(known)} {currency}".rstrip())


def _events(flow: OrderFlow) -> list[tuple[int, str, str, str]]:
    """(microseconds since 1970, time or date, what happened, system), in the order of the timeline. The first event of
    a purchase or production order says how late that is.
    """
    members = {member.id: member.record for member in flow.members}
    begun: set[str] = set()
    events = []
    for event in flow.record["timeline"]:
        record = members.get(event["id"], {})
        text = f"{event['what']}  {event['entity'].replace('_', ' ')} {record.get('number') or ''}".rstrip()
        if event["entity"] in SUPPLIES and event["id"] not in begun:
            begun.add(event["id"])
            text += _delay(record)
        events.append((event["at"], event.get("precision") or "time", text, event["system"]))
    return events


def _delay(document: Mapping[str, Any]) -> str:
    """How much later than it was promised a purchase or production order is expected."""
    from streams.cli.supply import day_of

    promised, expected = document.get("promised_date"), document.get("expected_date")
    if promised is None or expected is None or expected <= promised:
        return ""
    return f", promised for {day_of(promised)} and now {expected - promised} days later, on {day_of(expected)}"


def _written_back(flow: OrderFlow) -> dict[str, list[datetime]]:
    """Rule → when it wrote something of this flow, in the order in which the rules first did."""
    written: dict[str, list[datetime]] = {}
    for intent in sorted(flow.intents, key=lambda intent: intent.done_at or intent.created_at):
        if intent.state == "delivered" and intent.done_at:
            written.setdefault(intent.rule, []).append(intent.done_at.astimezone(UTC))
    return written


def _values(violation: BrokenRule) -> str:
    if violation.actual is None:
        return ""
    return f", {_value(violation, violation.actual)} instead of {_value(violation, violation.expected)}"


def _value(violation: BrokenRule, value: int | str | None) -> str:
    """One side of a broken rule: an amount, a quantity of a line, a number of orders, or a status."""
    if value is None or isinstance(value, str) or violation.entity == "opportunity":
        return "unknown" if value is None else str(value)
    return money(value) if not violation.entity.endswith("_line") else f"{Decimal(value).scaleb(-6).normalize():f}"


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
