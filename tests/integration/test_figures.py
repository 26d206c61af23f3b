"""The business figures of a small company, computed by hand: the hub must come to the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from streams.hub.figures import (
    blocked_flows,
    keep_pace,
    save_flow_figures,
    take_due_weeks,
)
from streams.maintenance.figures import compute_figures
from streams.model.change import Change
from streams.model.ids import source_id
from streams.monitor.business_figures import BusinessFigures, business_figures, monday
from streams.pipeline.service_cases import ServiceCases
from streams.resolve.rules import Ownership
from streams.stack.native import NativeStack
from tests.integration.test_sums import Topic
from tests.property.stories import row
from tests.writers import Writers, hub_of_its_own

EURO, PIECE = 10_000, 1_000_000
DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000

TODAY = datetime.now(UTC).date()
LAST_MONDAY = monday(TODAY) - timedelta(weeks=1)
EPOCH = date(1970, 1, 1)


def us(day: date, hours: float = 0) -> int:
    return (day - EPOCH).days * DAY_US + round(hours * HOUR_US)


def days(day: date) -> int:
    return (day - EPOCH).days


class Company:
    """Three orders: A is paid, B is invoiced and late, C waits for goods."""

    def __init__(self, hub: str) -> None:
        self.writers = Writers(hub, Ownership())
        self.deals = {name: source_id("erp", "opportunity", name) for name in "ABC"}

    def deal(self, name: str, won_us: int, **order: object) -> list[Change]:
        deal, made = self.deals[name], source_id("erp", "sales_order", name)
        return [
            row("opportunity", name, 1, number=f"OPP-{name}", stage="won", won_at=won_us, currency="EUR"),
            row("sales_order", name, 2, parent=("opportunity", name), number=f"SO-{name}", opportunity_id=deal, currency="EUR", **order),
            row(
                "sales_order_line", name, 3, parent=("sales_order", name), order_id=made, line_no=1, quantity=10 * PIECE,
                net_amount=order["net_amount"], product_id=source_id("erp", "product", "P"),
            ),
        ]  # fmt: skip

    async def say(self, *changes: Change) -> None:
        for change in changes:
            self.writers.say(change)
        await self.writers.run()

    async def keep_figures(self) -> None:
        """As a worker does with flows that came to rest."""
        records = {deal: source_id("opshub", "order_flow", deal) for deal in self.deals.values()}
        await save_flow_figures(self.writers.stores[0], records)


def shipped(name: str, at_us: int, *, delivered_us: int | None = None) -> list[Change]:
    order, parcel = source_id("erp", "sales_order", name), source_id("erp", "shipment", name)
    return [
        row(
            "shipment", name, 4, parent=("sales_order", name), order_id=order, number=f"DL-{name}", shipped_at=at_us,
            status="delivered" if delivered_us else "shipped", **({"delivered_at": delivered_us} if delivered_us else {}),
        ),
        row(
            "shipment_line", name, 5, parent=("shipment", name), shipment_id=parcel, line_no=1, quantity=10 * PIECE,
            order_line_id=source_id("erp", "sales_order_line", name),
        ),
    ]  # fmt: skip


def invoiced(name: str, day: date, gross: int) -> list[Change]:
    order = source_id("erp", "sales_order", name)
    return [
        row(
            "invoice", name, 6, parent=("sales_order", name), order_id=order, number=f"IN-{name}", kind="invoice", status="open",
            invoice_date=days(day), currency="EUR", net_amount=gross, tax_amount=0, gross_amount=gross,
        )
    ]  # fmt: skip


def paid(name: str, at_us: int, amount: int) -> list[Change]:
    bill = source_id("erp", "invoice", name)
    return [
        row(
            "payment", name, 7, parent=("invoice", name), invoice_id=bill, number=f"PA-{name}", status="received", amount=amount,
            currency="EUR", paid_at=at_us,
        )
    ]  # fmt: skip


async def test_figures_are_those_computed_by_hand(stack: NativeStack) -> None:
    dsn = hub_of_its_own(stack, "figures")
    company = Company(dsn)
    tuesday = LAST_MONDAY + timedelta(days=1)
    order = {"status": "confirmed"}
    await company.say(
        # A: won on Monday at 8, ordered 2 h later, shipped a day later, delivered in time, invoiced, paid on Sunday.
        *company.deal("A", us(LAST_MONDAY, 8), confirmed_at=us(LAST_MONDAY, 10), promised_date=days(tuesday), net_amount=900 * EURO, **order),
        *shipped("A", us(tuesday, 10), delivered_us=us(tuesday, 15)),
        *invoiced("A", tuesday + timedelta(days=1), 1_000 * EURO),
        *paid("A", us(LAST_MONDAY + timedelta(days=6), 12), 1_000 * EURO),
        # B: ordered 4 h after it was won, shipped three days later and a day after it was promised; open.
        *company.deal("B", us(LAST_MONDAY, 8), confirmed_at=us(LAST_MONDAY, 12), promised_date=days(tuesday), net_amount=400 * EURO, **order),
        *shipped("B", us(LAST_MONDAY + timedelta(days=3), 12)),
        *invoiced("B", LAST_MONDAY + timedelta(days=4), 500 * EURO),
        # C: nothing is shipped, since ten pieces are needed and four lie there.
        *company.deal("C", us(LAST_MONDAY, 8), confirmed_at=us(LAST_MONDAY, 14), promised_date=days(TODAY + timedelta(days=30)), net_amount=100 * EURO, **order),
    )  # fmt: skip
    await company.keep_figures()
    with psycopg.connect(dsn, autocommit=True) as hub:
        product, stock = source_id("erp", "product", "P"), source_id("opshub", "stock", "P")
        hub.execute(
            "INSERT INTO entity (id, entity, aggregate_id, version, revision, deleted, updated_us, record, contributions)"
            " VALUES (%s, 'stock', %s, 1, 1, false, 1, %s::jsonb, '{}')",
            [stock, product, f'{{"on_hand": {4 * PIECE}}}'],
        )
        compute_figures(hub, {"ordered": 60.0})
        found = business_figures(hub, weeks=4)
        waiting = blocked_flows(hub, limit=10)
    await company.writers.close()

    assert found.weeks[-2] == LAST_MONDAY
    week = {step: weeks[-2] for step, weeks in found.durations.items()}
    assert (week["won_to_ordered"].count, week["won_to_ordered"].median_s) == (3, 4 * 3600)
    assert week["won_to_ordered"].p90_s == pytest.approx(4 * 3600 + 0.8 * 2 * 3600)
    assert (week["ordered_to_shipped"].count, week["ordered_to_shipped"].median_s) == (2, (24 + 72) / 2 * 3600)
    # A: from Tuesday 10:00 to Wednesday 0:00; B: from Thursday 12:00 to Friday 0:00.
    assert week["shipped_to_invoiced"].median_s == 13 * 3600
    assert (week["invoiced_to_paid"].count, week["invoiced_to_paid"].median_s) == (1, (4 * 24 + 12) * 3600)
    assert (week["won_to_paid"].count, week["won_to_paid"].median_s) == (1, (6 * 24 + 4) * 3600)
    assert [(entry.count, entry.good) for entry in found.on_time[-2:]] == [(2, 1), (0, 0)]
    assert_receivables(found)
    assert (found.stuck, found.blocked, found.blocked_products) == (1, 1, 1)
    assert found.stages == {"paid": 1, "invoiced": 1, "ordered": 1}
    (missing,) = waiting
    assert (missing.number, missing.needed, missing.on_hand) == ("SO-C", 10 * PIECE, 4 * PIECE)


def assert_receivables(found: BusinessFigures) -> None:
    """1,500 were invoiced last week and 1,000 paid: 500 stand for a third of 91 days."""
    (weeks,) = found.receivables.values()
    assert [*found.receivables] == ["EUR"]
    assert (weeks[-2].open, weeks[-2].invoiced) == (500 * EURO, 1_500 * EURO)
    assert weeks[-2].days == pytest.approx(500 / 1500 * 91)
    assert (weeks[-3].open, weeks[-3].days) == (0, None)
    assert weeks[-1].days == pytest.approx(500 / 1500 * (91 - (6 - TODAY.weekday())))


def bought(name: str, received_us: int, promised: date) -> list[Change]:
    """A purchase for the line of an order, which came."""
    line = source_id("erp", "sales_order_line", name)
    return [
        row("purchase_order", name, 8, number=f"PO-{name}", status="received", promised_date=days(promised)),
        row("purchase_order_line", name, 8, parent=("purchase_order", name), line_no=1, quantity=10 * PIECE, order_line_id=line),
        row("goods_receipt", name, 8, parent=("purchase_order", name), number=f"GR-{name}", status="received", received_at=received_us),
        row("goods_receipt_line", name, 8, parent=("goods_receipt", name), quantity=10 * PIECE,
            purchase_order_line_id=source_id("erp", "purchase_order_line", name)),
    ]  # fmt: skip


async def test_the_cycle_time_is_split_and_service_is_counted(stack: NativeStack) -> None:
    dsn = hub_of_its_own(stack, "figure_parts")
    company, tuesday = Company(dsn), LAST_MONDAY + timedelta(days=1)
    order = {"status": "confirmed", "net_amount": 900 * EURO, "confirmed_at": us(LAST_MONDAY, 10)}
    late = {"number": "PO-9", "status": "confirmed", "promised_date": days(TODAY - timedelta(days=1))}
    await company.say(
        # A: ordered on Monday at 10, bought goods came on Tuesday at 9, left at 12, arrived at 18. It comes back.
        *company.deal("A", us(LAST_MONDAY, 8), **order), *bought("A", us(tuesday, 9), tuesday), *shipped("A", us(tuesday, 12), delivered_us=us(tuesday, 18)),
        row("return_order", "A", 9, parent=("sales_order", "A"), number="RMA-A", status="requested", requested_at=us(TODAY),
            sales_order_id=source_id("erp", "sales_order", "A")),
        # B: from stock, left after 4 h.
        *company.deal("B", us(LAST_MONDAY, 8), **order), *shipped("B", us(LAST_MONDAY, 14)),
        # One purchase is late, one is not, one came late.
        row("purchase_order", "9", 9, **late), row("purchase_order", "8", 9, **late | {"promised_date": days(TODAY)}),
        row("purchase_order", "7", 9, **late | {"status": "received"}),
        # Two requests of last week are over, one of them at first contact.
        *(row("service_request", f"R{n}", 9, number=f"R-{n}", status="open" if n == 3 else "closed", opened_at=us(tuesday, n), contact_count=n) for n in (1, 2, 3)),
    )  # fmt: skip
    topic, store = Topic(), company.writers.stores[0]
    await company.keep_figures()
    with psycopg.connect(dsn, autocommit=True) as hub:
        asked, decided = (datetime.fromtimestamp(us(LAST_MONDAY, hour) / 1e6, UTC) for hour in (8, 9))
        hub.execute(
            "INSERT INTO intent (key, rule, target, entity, entity_id, aggregate_id, subject_id, version, cause_us, state, created_at, decisions)"
            " SELECT 'k', 'r', 't', 'sales_order', %(id)s, %(id)s, %(id)s, 1, 0, 'delivered', %(asked)s, jsonb_build_array(jsonb_build_object('what', 'approve', 'at', %(at)s::text))",
            {"id": company.deals["B"], "asked": asked, "at": decided.isoformat()},
        )
        hub.execute("UPDATE due SET at = now() - interval '1 s' WHERE kind = 'service_case'")
        await ServiceCases(store, topic, lambda change: change).make_due()  # type: ignore[arg-type, return-value]
        for message in topic.sent:
            company.writers.send(*message)
        await company.writers.run()
        await company.keep_figures()
        compute_figures(hub, {})
        found = business_figures(hub, weeks=2)
    await company.writers.close()
    week = {step: (weeks[-2].count, weeks[-2].median_s) for step, weeks in found.durations.items()}
    assert week["asked_to_approved"] == (1, 3600)
    assert week["ordered_to_ready"] == (1, 23 * 3600)
    assert week["ready_to_shipped"] == (2, (3 + 4) / 2 * 3600)
    assert week["shipped_to_delivered"] == (1, 6 * 3600)
    assert (found.returned[-2].count, found.returned[-2].good) == (2, 1)
    assert (found.first_contact[-2].count, found.first_contact[-2].good) == (2, 1)
    assert found.late_purchases == 1


async def test_flow_that_changes_marks_the_weeks_of_before_and_after(stack: NativeStack) -> None:
    dsn = hub_of_its_own(stack, "figure_weeks")
    company = Company(dsn)
    old, new = LAST_MONDAY - timedelta(weeks=8), LAST_MONDAY - timedelta(weeks=4)
    await company.say(*company.deal("A", us(old, 1), status="confirmed", confirmed_at=us(old, 2), net_amount=EURO))
    await company.keep_figures()
    with psycopg.connect(dsn, autocommit=True) as hub:
        assert old in take_due_weeks(hub)
        await company.keep_figures()
        assert old not in take_due_weeks(hub), "a flow that did not change marks nothing"
        again = row("sales_order", "A", 9, parent=("opportunity", "A"), number="SO-A", opportunity_id=company.deals["A"],
                    currency="EUR", status="confirmed", confirmed_at=us(new, 2), net_amount=EURO)  # fmt: skip
        await company.say(again)
        await company.keep_figures()
        assert {old, new} <= set(take_due_weeks(hub))
        await save_flow_figures(company.writers.stores[0], {company.deals["A"]: None})
        assert new in take_due_weeks(hub), "a flow that is gone leaves its week"
    await company.writers.close()


def test_errors_are_counted_by_week_and_pace_by_minute(stack: NativeStack) -> None:
    dsn = hub_of_its_own(stack, "figure_errors")
    with psycopg.connect(dsn, autocommit=True) as hub:
        hub.execute(
            "INSERT INTO raw_account (topic, partition, since, upto, passed, filtered, tombstones, dead, parked, control)"
            " VALUES ('raw.erp.public.a', 0, 0, 1000, 995, 0, 0, 4, 1, 0)"
        )
        for number, seen in enumerate(["now()", "now()", "now() - interval '20 days'"]):
            hub.execute(
                "INSERT INTO dead_letter (topic, partition, position, stage, class, reason, seen_at)"
                f" VALUES ('raw.erp.public.a', 0, {number}, 'mapping', 'BadValue', 'x', {seen})"
            )
        compute_figures(hub, {})
        keep_pace(hub)
        keep_pace(hub)
        found = business_figures(hub, weeks=2)
        assert (found.errors[-1].count, found.errors[-1].good) == (1000, 998)
        assert found.errors[-1].error_share == pytest.approx(0.002)
        assert found.waiting.dead_letters == 3
        # The records of an earlier week do not count again.
        hub.execute("UPDATE figure_week SET week = week - 7, amount = 400 WHERE figure = 'records'")
        compute_figures(hub, {})
        assert business_figures(hub, weeks=2).errors[-1].count == 600
        assert hub.execute("SELECT taken, dead, lag FROM pace").fetchall() == [(1000, 4, 0)]
