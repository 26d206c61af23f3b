"""How far a flow is: the words for its goods, its money and the whole. Pure; the only place where these are defined.

The tables of words and their conditions are in docs/guides/order-to-cash.md. What counts as shipped is in goods.py, what counts as
invoiced and paid in order_flow.py.
"""

from __future__ import annotations


def shipment_status(left_the_house: bool, all_of_it: bool, all_arrived: bool) -> str:
    """The word for the goods."""
    if not left_the_house:
        return "none"
    if not all_of_it:
        return "partially_shipped"
    return "delivered" if all_arrived else "shipped"


def payment_status(*, billed: bool, credited: bool, is_open: bool, is_paid: bool, complete: bool) -> str:
    """The word for the money. `billed`: an invoice counts; `credited`: nothing is left of them; `complete`: no invoice is to come."""
    if not billed:
        return "partially_paid" if is_paid else "none"
    if not is_open:
        if credited:
            return "credited"
        if complete:
            return "paid"
    return "partially_paid" if is_paid else "invoiced"


def stage(opportunity_stage: str | None, ordered: bool, live: bool, closed: bool, goods: str, money: str) -> str:
    """The word for the whole flow. `ordered`: there is an order; `live`: one that is not cancelled; `closed`: nothing more is shipped."""
    if not ordered:
        return opportunity_stage if opportunity_stage in ("won", "lost") else "opportunity"
    if not live:
        return "cancelled"
    half_shipped = goods == "partially_shipped" and not closed
    if money in ("invoiced", "partially_paid") or (money != "none" and not half_shipped):
        return money
    return goods if goods != "none" else "ordered"
