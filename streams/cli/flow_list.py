"""`opshub flow list`: order flows by stage, customer, number or text."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import load_settings
from streams.cli.pages import print_page

if TYPE_CHECKING:
    from streams.hub.flow_lists import FlowLine

DAY_S = 86_400


def list_flows(
    stage: Annotated[list[str] | None, typer.Option(help="Only this stage; can be given more than once.")] = None,
    customer: Annotated[
        str | None, typer.Option(help="Part of the customer's name, or its id, or system:key as in demo-erp:1042.")
    ] = None,
    number: Annotated[
        str | None, typer.Option(help="Number of any of its documents, or the digits at its end.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="How a number begins, or part of a name, in any case.")] = None,
    stuck: Annotated[bool, typer.Option("--stuck", help="Only those that are too long in their stage.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most flows.")] = 50,
    after: Annotated[str | None, typer.Option(help="Continue after this one, as the last line of a list says.")] = None,
    stages: Annotated[bool, typer.Option("--stages", help="Count the flows in each stage, and list none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List order flows, those that came into their stage last first. Amounts: ordered is net, the others are gross.

    Example: opshub flow list --stage partially_paid --customer acme

    Example: opshub flow list --stuck
    """
    import msgspec

    from streams.hub.flow_lists import FlowFilter, after_of, check_stages, read_after, stage_counts, stuck_limits
    from streams.hub.flow_lists import list_flows as listed
    from streams.writeback.commands import connect_hub

    check_stages(stage or ())
    settings = load_settings()
    if stages:
        with connect_hub(settings.hub) as hub:
            counts = stage_counts(hub)
        if as_json:
            typer.echo(json.dumps({"stages": msgspec.to_builtins(counts)}))
            return
        for count in counts:
            typer.echo(f"{count.stage:26} {'' if count.exact else 'about '}{count.count:,}")
        return
    after_us, after_id = read_after(after) if after else (None, None)
    wanted = FlowFilter(
        stages=stage or None, customer=customer, number=number, text=text,
        limits=stuck_limits(settings.stuck_after_days.model_dump()) if stuck else None,
        after_us=after_us, after_id=after_id, limit=limit,
    )  # fmt: skip
    with connect_hub(settings.hub) as hub:
        flows = listed(hub, wanted)
    print_page("flows", flows, after_of(flows, limit), _print, "no order flow is like that", as_json=as_json)


def _print(flow: FlowLine) -> None:
    from streams.hub.record_names import money

    names = " / ".join(name for name in (flow.order_number, flow.opportunity_number) if name) or flow.id
    since = time_since(time.time() - flow.since_us / 1e6)
    typer.echo(f"{names}  {flow.stage} for {since}  {flow.customer or 'customer unknown'}")
    amounts = [
        f"{name} {money(amount)}{tax}"
        for name, amount, tax in (
            ("ordered", flow.ordered_amount, " net"),
            ("invoiced", flow.invoiced_amount, ""),
            ("paid", flow.paid_amount, ""),
            ("open", flow.open_amount, ""),
        )
        if amount is not None
    ]
    progress = f"goods {flow.goods or 'unknown'}, money {flow.money or 'unknown'}"
    typer.echo(f"    {', '.join(amounts)} {flow.currency or ''}; {progress}" if amounts else f"    {progress}")


def time_since(seconds: float) -> str:
    """A duration in its largest unit: 3 days."""
    for unit, size in (("day", DAY_S), ("hour", 3600), ("minute", 60)):
        count = int(seconds // size)
        if count >= 1:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"
