"""`opshub service`: what customers asked for, what it concerns, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.context import load_settings
from streams.cli.pages import print_page
from streams.cli.supply import day_of

if TYPE_CHECKING:
    from streams.hub.service import CaseView

WARRANTY = {"yes": "under warranty", "no": "no warranty any more", "unknown": "warranty unknown"}
PART = {"yes": "part available", "no": "part not available", "unknown": "stock unknown"}


def list_cases(
    is_open: Annotated[bool, typer.Option("--open", help="Only cases in which something is left to do.")] = False,
    kind: Annotated[str | None, typer.Option(help="Only of this kind: return, repair, spare_part …")] = None,
    problem: Annotated[str | None, typer.Option(help="Only those with this problem, such as item_unknown.")] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Only those whose part is not in stock.")] = False,
    customer: Annotated[str | None, typer.Option(help="Part of the customer's name, or its id.")] = None,
    product: Annotated[str | None, typer.Option(help="Article number or id of a product.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most cases.")] = 50,
    after: Annotated[str | None, typer.Option(help="Continue after this one, as the last line of a list says.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List service cases, those that were opened last first.

    Example: opshub service list --open

    Example: opshub service list --problem more_returned_than_shipped
    """
    from streams.hub.service import WantedCases, after_of
    from streams.hub.service import list_cases as listed
    from streams.writeback.commands import connect_hub

    wanted = WantedCases(
        open=is_open, kind=kind, problem=problem, missing=missing, customer=customer, product=product, after=after,
        limit=limit,
    )  # fmt: skip
    with connect_hub(load_settings().hub) as hub:
        cases = listed(hub, wanted)
    print_page("cases", cases, after_of(cases, limit), print_case, "no service case is like that", as_json=as_json)


def show(
    number: Annotated[str, typer.Argument(help="Number or id of a service request or a return.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a service case: order, item, warranty, stock, return, and its story.

    Example: opshub service show CASE-0042
    """
    import msgspec

    from streams.errors import ConfigError
    from streams.hub.service import find_cases
    from streams.writeback.commands import connect_hub

    with connect_hub(load_settings().hub) as hub:
        cases = find_cases(hub, number)
    if not cases:
        raise ConfigError(
            f"no service request or return has the number {number}",
            remedy="`opshub service list` has them; a new one takes some seconds",
        )
    if as_json:
        typer.echo(json.dumps({"cases": msgspec.to_builtins(cases)}))
        return
    for case in cases:
        print_case(case)
        typer.echo("    story (UTC)")
        for event in case.record.get("story") or ():
            at = datetime.fromtimestamp(event["at"] / 1e6, UTC)
            shown = f"{at:%Y-%m-%d}{'':9}" if event["precision"] == "date" else f"{at:%Y-%m-%d %H:%M:%S}"
            typer.echo(f"      {shown}  {event['what']}  {event['number'] or ''}  [{event['system']}]")


def print_case(case: CaseView) -> None:
    """A case in a list of cases."""
    typer.echo(f"{case_title(case)}  {case.customer or 'customer unknown'}")
    for line in ("; ".join(_about(case)), *case_lines(case)):
        typer.echo(f"    {line}")


def case_title(case: CaseView) -> str:
    """Number, kind and status of a case."""
    record = case.record
    kind = (record.get("kind") or "request").replace("_", " ")
    return f"{record.get('number') or case.id}  {kind}, {(record.get('status') or 'status unknown').replace('_', ' ')}"


def case_lines(case: CaseView) -> Iterator[str]:
    """What a case waits for, what was promised, what came of it, what does not fit."""
    from streams.flow.case_waiting import case_waits_for

    record = case.record
    if record.get("is_open"):
        yield f"waits for: {case_waits_for(record)}"
    for parts in (_promises(record), _outcome(record)):
        if parts:
            yield "; ".join(parts)
    if record.get("problems"):
        yield "does not fit: " + ", ".join(problem.replace("_", " ") for problem in record["problems"])


def _about(case: CaseView) -> list[str]:
    """Which order, which piece, when it arrived."""
    record = case.record
    order = f"order {record['order_number']}" if record.get("order_number") else "no order"
    parts = [order + (f" ({record['order_stage']})" if record.get("order_stage") else "")]
    if record.get("delivered_at") is not None:
        parts.append(f"delivered {_day(record['delivered_at'])}")
    if record.get("invoice_number"):
        parts.append(f"invoice {record['invoice_number']}")
    if case.sku or case.product:
        parts.append(f"product {case.sku or case.product}")
    if record.get("serial_number"):
        parts.append(f"serial number {record['serial_number']}")
    return parts


def _promises(record: dict[str, Any]) -> list[str]:
    """Warranty and stock."""
    until = f" until {day_of(record['warranty_until'])}" if record.get("warranty_until") is not None else ""
    by = f", contract {record['contract_number'] or record['contract_id']}" if record.get("contract_id") else ""
    parts = [WARRANTY.get(record.get("warranty") or "", "warranty unknown") + until + by]
    if record.get("part_available"):
        where = ", ".join(
            f"{name or 'no warehouse'} {free}" for name, free in (record.get("available_by_warehouse") or {}).items()
        )
        parts.append(PART[record["part_available"]] + (f": {where}" if where else ""))
    if record.get("quantity") is not None:
        parts.append(f"wanted {Decimal(record['quantity']).scaleb(-6).normalize():f}")
    return parts


def _outcome(record: dict[str, Any]) -> list[str]:
    """Return, credit note, replacement, repair."""
    parts = []
    if record.get("return_order_id"):
        came = f", came back {_day(record['returned_at'])}" if record.get("returned_at") is not None else ""
        parts.append(f"return {record.get('return_number') or ''} {record.get('return_status') or ''}".rstrip() + came)
    for words, id, number in (
        ("credit note", "credit_note_id", "credit_note_number"),
        (
            "order" if record.get("kind") == "spare_part" else "replacement",
            "replacement_order_id",
            "replacement_number",
        ),
    ):
        if record.get(id):
            parts.append(f"{words} {record.get(number) or 'not known yet'}")
    if record.get("repair_status"):
        status = record["repair_status"].replace("_", " ")
        parts.append(f"repair {record.get('repair_number') or ''} {status}")
    return parts


def _day(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d}"
