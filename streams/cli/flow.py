"""`opshub flow`: one order-to-cash case from the opportunity to the last payment; business rules that do not hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import load_settings

if TYPE_CHECKING:
    from streams.hub.order_flows import OrderFlow
    from streams.pipeline.invariant_checks import BrokenRule

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

AMOUNTS = ("ordered", "shipped", "invoiced", "paid", "open")
COUNTS = ("line", "shipment", "invoice", "payment", "service_request")
UNFINISHED = ("planned", "waiting", "approved", "delivering", "failed", "dead")
DAY_S = 86_400


def show(
    which: Annotated[
        str,
        typer.Argument(
            metavar="FLOW", help="An id, or the number of an opportunity, order, shipment, invoice or payment."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show stage, amounts and timeline of an order flow.

    Example: opshub flow show SO0000123
    """
    import msgspec

    from streams.errors import ConfigError
    from streams.hub.order_flows import find_flows
    from streams.writeback.commands import connect_hub

    with connect_hub(load_settings().hub) as hub:
        flows = find_flows(hub, which)
    if not flows:
        raise ConfigError(
            f"no order flow has the id or number {which}",
            remedy="`opshub status` shows whether the workers have caught up",
        )
    if as_json:
        typer.echo(json.dumps({"flows": msgspec.to_builtins(flows)}))
        return
    for flow in flows:
        _print(flow)


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
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins({"broken_rules": broken, "stuck_flows": stuck})))
    else:
        for violation in broken:
            typer.echo(f"{violation.rule}: {violation.entity} {violation.number or violation.id}{_values(violation)}")
        for flow in stuck:
            typer.echo(f"stuck in {flow.stage} for {flow.in_stage_s // DAY_S} days: {flow.number or flow.id}")
        typer.echo(f"{len(broken)} rules broken, {len(stuck)} flows stuck")
    if broken or stuck:
        raise typer.Exit(1)


def _print(flow: OrderFlow) -> None:
    record = flow.record
    typer.echo(f"flow {flow.aggregate_id}: {record['stage']}")
    typer.echo(
        f"  opportunity {record.get('opportunity_number') or '-'} ({record.get('opportunity_stage') or '-'}),"
        f" order {record.get('order_number') or '-'} ({record.get('order_status') or '-'})"
    )
    currency = record.get("currency") or ""
    typer.echo("  " + ", ".join(f"{name} {_money(record.get(f'{name}_amount'))}" for name in AMOUNTS) + f" {currency}")
    others = [
        f"{name} {amount} {code}"
        for name in AMOUNTS
        for code, amount in (record.get(f"other_{name}_amounts") or {}).items()
    ]
    if others:
        typer.echo("  in other currencies: " + ", ".join(others))
    typer.echo(f"  goods {record.get('shipment_status') or '-'}, money {record.get('payment_status') or '-'}")
    counts = (_count(record.get(f"{name}_count") or 0, name.replace("_", " ")) for name in COUNTS)
    typer.echo("  " + ", ".join(counts))
    typer.echo("timeline (UTC)")
    for at_us, what, system in _events(flow):
        typer.echo(f"  {datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M:%S}  {what}  [{system}]")
    for intent in flow.intents:
        if intent.state in UNFINISHED:
            typer.echo(f"  {intent.state}: {intent.rule}" + (f" ({intent.problem})" if intent.problem else ""))


def _events(flow: OrderFlow) -> list[tuple[int, str, str]]:
    """(microseconds since 1970, what happened, system), oldest first."""
    numbers = {member.id: member.record.get("number") for member in flow.members}
    events = [
        (event["at"], f"{event['what']}  {event['entity']} {numbers.get(event['id']) or ''}".rstrip(), event["system"])
        for event in flow.record["timeline"]
    ]
    events += [
        (int(intent.done_at.timestamp() * 1e6), f"written back  {intent.rule}", intent.target)
        for intent in flow.intents
        if intent.state == "delivered" and intent.done_at
    ]
    return sorted(events)


def _values(violation: BrokenRule) -> str:
    if violation.actual is None:
        return ""
    return f", {_value(violation, violation.actual)} instead of {_value(violation, violation.expected)}"


def _value(violation: BrokenRule, value: int | str | None) -> str:
    """One side of a broken rule: an amount, a quantity of a line, a number of orders, or a status."""
    if value is None or isinstance(value, str) or violation.entity == "opportunity":
        return str(value)
    return _money(value) if violation.entity != "sales_order_line" else f"{Decimal(value).scaleb(-6).normalize():f}"


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _money(value: int | None) -> str:
    return "-" if value is None else f"{Decimal(value).scaleb(-4):,.2f}"
