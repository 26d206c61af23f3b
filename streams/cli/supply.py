"""`opshub supply`: order lines that wait for goods, and what of a product can be promised."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.context import load_settings
from streams.cli.pages import print_page

if TYPE_CHECKING:
    from streams.hub.supply import WaitingLine

IN_WORDS = {
    "short": "short: nobody supplies all of it",
    "requested": "requested, not ordered yet",
    "on_order": "on order",
    "partly_available": "partly there, the rest on order",
}


def list_lines(
    late: Annotated[
        bool, typer.Option("--late", help="Only those that come after the promised day, or not at all.")
    ] = False,
    document: Annotated[str | None, typer.Option(help="Number or id of a purchase or production order.")] = None,
    supplier: Annotated[str | None, typer.Option(help="Part of a supplier's name, its number, or its id.")] = None,
    product: Annotated[str | None, typer.Option(help="Article number or id of a product.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most lines.")] = 50,
    after: Annotated[str | None, typer.Option(help="Continue after this one, as the last line of a list says.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List order lines that wait for goods, those that come latest first: which orders and customers a delay hits.

    Example: opshub supply list --late

    Example: opshub supply list --document PO-4711
    """
    from streams.hub.supply import Waiting, after_of, supply_document, waiting_lines
    from streams.writeback.commands import connect_hub

    with connect_hub(load_settings().hub) as hub:
        of = supply_document(hub, document).id if document else None
        wanted = Waiting(document=of, supplier=supplier, product=product, late=late, after=after, limit=limit)
        lines = waiting_lines(hub, wanted)
    print_page(
        "lines", lines, after_of(lines, limit), _print, "no order line waits for goods like that", as_json=as_json
    )


def product(
    product: Annotated[str, typer.Argument(help="Article number or id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what of a product can be promised: on hand, reserved, and on its way by day.

    Example: opshub supply product M-10001
    """
    import msgspec

    from streams.hub.supply import Waiting, product_promise, waiting_lines
    from streams.writeback.commands import connect_hub

    with connect_hub(load_settings().hub) as hub:
        promise = product_promise(hub, product)
        waiting = waiting_lines(hub, Waiting(product=promise.id, limit=20))
    if as_json:
        typer.echo(
            json.dumps(
                msgspec.to_builtins(promise)
                | {"promisable": promise.promisable, "waiting": msgspec.to_builtins(waiting)}
            )
        )
        return
    stock, unit = promise.stock, promise.unit or ""
    typer.echo(f"{promise.sku or promise.id}  {promise.name or ''}".rstrip())
    for words, field in (("on hand", "on_hand"), ("reserved", "reserved"), ("available", "available")):
        typer.echo(f"  {words:12} {_quantity(stock.get(field)):>14} {unit}")
    if stock.get("incoming"):
        typer.echo(f"  {'on its way':12} {_quantity(stock['incoming']):>14} {unit}, of these for orders "
                   f"{_quantity(stock.get('incoming_for_orders') or 0)}")  # fmt: skip
        for day, quantity in sorted((stock.get("incoming_by_day") or {}).items()):
            typer.echo(f"    {day or 'no date':10} {quantity:>14} {unit} can be promised")
    typer.echo(f"  {'promisable':12} {_quantity(promise.promisable):>14} {unit}")
    for line in waiting:
        _print(line)


def _print(line: WaitingLine) -> None:
    order = f"order {line.order_number or line.flow_id}" + (f" line {line.line_no}" if line.line_no else "")
    typer.echo(f"{order}  {line.customer or 'customer unknown'}  {line.sku or line.product or 'product unknown'}")
    what = f"{_quantity(line.left_quantity)} {line.unit or ''}".rstrip() + f": {IN_WORDS.get(line.status, line.status)}"
    dates = [
        f"{words} {day_of(day)}"
        for words, day in (("promised", line.promised_date), ("expected", line.expected_date))
        if day is not None
    ]
    if line.late_days:
        dates.append(f"{line.late_days} days late")
    source = f"waits for {line.waits_for or line.waits_for_id}" if line.waits_for_id else ""
    if source and line.supplier:
        source += f" of {line.supplier}"
    typer.echo("    " + "; ".join(words for words in (what, ", ".join(dates), source) if words))


def day_of(day: int) -> str:
    """Days since 1970 as an ISO date."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def _quantity(unscaled: int | None) -> str:
    return "unknown" if unscaled is None else f"{Decimal(unscaled).scaleb(-6).normalize():f}"
