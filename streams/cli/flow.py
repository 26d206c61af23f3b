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
    typer.echo(
        "  "
        + ", ".join(
            f"{record.get(f'{name}_count') or 0} {name.replace('_', ' ')}s"
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


def _money(value: int | None) -> str:
    return "-" if value is None else f"{Decimal(value).scaleb(-4):,.2f}"


def _us(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1e6)
