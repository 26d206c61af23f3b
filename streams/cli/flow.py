"""`opshub flow show`: one order-to-cash story, from the opportunity to the last payment, and what was written back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from streams.cli.context import load_settings

_AMOUNTS = ("ordered", "shipped", "invoiced", "paid", "open")


def show(
    which: Annotated[
        str, typer.Argument(help="An id, or the number of an opportunity, order, shipment, invoice or payment.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print stage, amounts and timeline of an order flow.

    Example: opshub flow show SO0000123
    """
    from streams.errors import ConfigError
    from streams.writeback.desk import Desk

    with Desk(load_settings().hub) as desk:
        found = desk.flows(which)
    if not found:
        raise ConfigError(
            f"no order flow has an id or a number {which}", remedy="`opshub status` shows whether all is caught up"
        )
    if as_json:
        typer.echo(json.dumps({"flows": found}))
        return
    for flow in found:
        _print(flow)


def check(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    grace: Annotated[
        float | None,
        typer.Option(help="Seconds that a won opportunity may be without an order; OPSHUB_ORDER_WITHIN_SECONDS."),
    ] = None,
    stuck_after_days: Annotated[
        float | None,
        typer.Option(help="Days that a flow may be in any stage; OPSHUB_STUCK_AFTER_DAYS says it for each stage."),
    ] = None,
) -> None:
    """List what can not be so (totals, shipments, invoices, payments, orders) and flows that are stuck. Exit code 1 when there is any.

    Workers look at each flow when it has come to rest, and log the same as conflicts of kind `invariant`; this looks at the whole hub now.

    Example: opshub flow check
    """
    from streams.writeback.desk import Desk

    day = 86_400
    settings = load_settings()
    limits = {
        stage: (days if stuck_after_days is None else stuck_after_days) * day
        for stage, days in settings.stuck_after_days.model_dump().items()
        if days is not None
    }
    with Desk(settings.hub) as desk:
        broken = desk.broken(
            grace_s=settings.order_within_seconds if grace is None else grace,
            invoiced=settings.invoice_policy,
            header_charges=settings.header_charge_percent,
        )
        stuck = desk.stuck(limits)
    if as_json:
        typer.echo(json.dumps({"broken": broken, "stuck": stuck}))
    else:
        for one in broken:
            typer.echo(
                f"{one['what']}: {one['entity']} {one['number'] or one['id']}"
                + ("" if one["says"] is None else f", {_said(one, 'says')} against {_said(one, 'should')}")
            )
        for flow in stuck:
            typer.echo(f"stuck in {flow['stage']} for {flow['since_s'] // day} days: {flow['number'] or flow['id']}")
        typer.echo(f"{len(broken)} broken, {len(stuck)} stuck")
    if broken or stuck:
        raise typer.Exit(1)


def _print(flow: dict[str, Any]) -> None:
    record = flow["record"]
    numbers = {member["id"]: member["record"].get("number") for member in flow["members"]}
    typer.echo(f"flow {flow['aggregate_id']}: {record['stage']}")
    typer.echo(
        f"  opportunity {record.get('opportunity_number') or '-'} ({record.get('opportunity_stage') or '-'}),"
        f" order {record.get('order_number') or '-'} ({record.get('order_status') or '-'})"
    )
    currency = record.get("currency") or ""
    typer.echo("  " + ", ".join(f"{name} {_money(record.get(f'{name}_amount'))}" for name in _AMOUNTS) + f" {currency}")
    others = [
        f"{name} {amount} {code}"
        for name in _AMOUNTS
        for code, amount in (record.get(f"other_{name}_amounts") or {}).items()
    ]
    if others:
        typer.echo("  beside it: " + ", ".join(others))
    typer.echo(f"  goods {record.get('shipment_status') or '-'}, money {record.get('payment_status') or '-'}")
    typer.echo(
        "  "
        + ", ".join(
            _count(record.get(f"{name}_count") or 0, name.replace("_", " "))
            for name in ("line", "shipment", "invoice", "payment", "service_request")
        )
    )
    typer.echo("timeline (UTC)")
    events = [
        (event["at"], f"{event['what']}  {event['entity']} {numbers.get(event['id']) or ''}".rstrip(), event["system"])
        for event in record["timeline"]
    ]
    events += [
        (_us(intent["done_at"]), f"written back  {intent['rule']}", intent["target"])
        for intent in flow["intents"]
        if intent["state"] == "delivered" and intent["done_at"]
    ]
    for at, what, system in sorted(events):
        typer.echo(f"  {datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d %H:%M:%S}  {what}  [{system}]")
    open_ones = [
        intent
        for intent in flow["intents"]
        if intent["state"] in ("planned", "waiting", "approved", "delivering", "failed", "dead")
    ]
    for intent in open_ones:
        typer.echo(f"  {intent['state']}: {intent['rule']}" + (f" ({intent['problem']})" if intent["problem"] else ""))


def _said(one: dict[str, Any], name: str) -> str:
    """A side of a broken rule: an amount, a quantity of a line, or a number of orders."""
    value = one[name]
    if value is None or one["entity"] == "opportunity":
        return str(value)
    return _money(value) if one["entity"] != "sales_order_line" else f"{Decimal(value).scaleb(-6).normalize():f}"


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _money(value: int | None) -> str:
    return "-" if value is None else f"{Decimal(value).scaleb(-4):,.2f}"


def _us(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1e6)
