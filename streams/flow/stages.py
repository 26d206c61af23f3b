"""How far a flow is: the status of its goods, of its money, and its stage. Pure; the only place where these are
defined.

docs/guides/order-to-cash.md has the tables of values and conditions. goods.py defines what counts as shipped,
money.py what counts as invoiced, paid and open.
"""

from __future__ import annotations


def shipment_status(*, needed: bool, any_sent: bool, all_sent: bool | None, all_arrived: bool) -> str:
    """The status of the goods. `needed`: the orders have goods to ship, or no lines that say so. `all_sent` is None
    where the shipments leave open whether something is left.
    """
    if not any_sent:
        return "none" if needed else "nothing_to_ship"
    if all_sent is None:
        return "shipped_in_part_or_whole"
    if not all_sent:
        return "partially_shipped"
    return "delivered" if all_arrived else "shipped"


def payment_status(
    *, billed: bool, credited: bool, is_open: bool, is_paid: bool, complete: bool, overpaid: bool
) -> str:
    """The status of the money.

    `billed`: an invoice counts. `credited`: credit notes cancel all invoices. `complete`: no invoice will follow.
    `overpaid`: the customer has a credit balance that no invoice will use up.
    """
    if overpaid:
        return "overpaid"
    if not billed:
        return "partially_paid" if is_paid else "none"
    if not is_open:
        if credited:
            return "credited"
        if complete:
            return "paid"
    return "partially_paid" if is_paid else "invoiced"


def stage(
    opportunity_stage: str | None, *, ordered: bool, live: bool, firm: bool, closed: bool, goods: str, money: str
) -> str:
    """The stage of the flow. `ordered`: there is an order; `live`: one that is not cancelled; `firm`: one of these is
    neither a draft nor a blanket order; `closed`: nothing more will be shipped.
    """
    if not ordered:
        return opportunity_stage if opportunity_stage in ("won", "lost") else "opportunity"
    if money == "overpaid":
        return money
    if not live:
        return "cancelled"
    half_shipped = goods == "partially_shipped" and not closed
    if money in ("invoiced", "partially_paid") or (money != "none" and not half_shipped):
        return money
    if goods not in ("none", "nothing_to_ship"):
        return goods
    if not firm:
        return "lost" if opportunity_stage == "lost" else "draft"
    return "ordered"
