"""`make screenshots`: the pictures of the guide and the README, in docs/images/. Not part of the tests.

They show a company at work: orders of two years, transactions that go on while the pictures are taken, and something of
everything that waits for people.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from playwright.sync_api import BrowserContext

from streams.simulator.company import Company
from streams.simulator.setup import dsn_of
from tests.browser.conftest import ROOT
from tests.browser.process import Console, start_console
from tests.conftest import Pipeline
from tests.waiting import wait_for

LARGEST = 180_000
CUSTOMERS, ORDERS, PRODUCTS, RATE = 300, 1_500, 60, 25.0
SETTLE_S = 45.0
"""Seconds of work before the first picture: the rates and latencies of the last minute are shown."""

PICTURES = (
    ("flows", "/flows", "light", "en"), ("flow", "a flow", "light", "en"), ("flow-zh", "a flow", "light", "zh"),
    ("late-order", "a late order", "light", "en"),
    ("records", "/records", "light", "en"), ("inbox", "/inbox", "light", "en"), ("systems", "/systems", "light", "en"),
    ("dictionary", "/dictionary", "light", "en"), ("quality", "/quality", "light", "en"),
    ("timeline", "/timeline", "light", "en"), ("audit", "/audit", "light", "en"), ("tour", "/tour", "light", "en"),
    ("overview", "/", "light", "en"), ("overview-dark", "/", "dark", "en"), ("overview-zh", "/", "light", "zh"),
)  # fmt: skip


@pytest.fixture(scope="module")
def console(pipeline: Pipeline) -> Iterator[Console]:
    """A console on a company that is at work until the last picture is taken."""
    pipeline.start_worker("pictures", supervised=True)
    stop, filled = threading.Event(), threading.Event()

    def work() -> None:
        crm, erp = (dsn_of(pipeline.env, f"DEMO_{system}", "APP") for system in ("CRM", "ERP"))
        with Company(7, crm, erp, shared=0.3, conflicting=0.1, slow_every=None) as company:
            company.load_history(customers=CUSTOMERS, orders=ORDERS, products=PRODUCTS)
            filled.set()
            company.run(rate=RATE, stop_event=stop)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert filled.wait(300), "the history was not loaded"
        _leave_work_for_people(pipeline)
        started = start_console(pipeline.settings)
        with psycopg.connect(pipeline.settings.hub, autocommit=True) as hub:
            counted = (
                "SELECT count(*) FROM entity WHERE entity = 'order_flow' AND record->>'sales_order_id' IS NOT NULL"
            )
            wait_for(lambda: (hub.execute(counted).fetchone() or (0,))[0] >= ORDERS, 300)
        stop.wait(SETTLE_S)
        yield started
        started.end()
    finally:
        stop.set()
        worker.join()
        pipeline.stop_workers()


def _leave_work_for_people(pipeline: Pipeline) -> None:
    """Currencies that nobody knows, a deal that is too large to become an order without approval, and
    late orders: several, for the company goes on to ship them.
    """
    with pipeline.connect("ERP") as erp:
        erp.execute(
            "UPDATE erp.so_head SET prom_date = to_char(now() - interval '7 days', 'YYYYMMDD')::int WHERE id IN"
            " (SELECT id FROM erp.so_head WHERE stat IN (30, 40) AND prom_date > 0 ORDER BY stat DESC, id LIMIT 20)"
        )
    with pipeline.connect("CRM") as crm:
        for name, currency in (("Alpenwerk Logistik", "QXF"), ("Sternfeld Pumpen", "QXF"), ("Nordkap Energie", "EURO")):
            crm.execute(
                "INSERT INTO account (name, currency_iso_code, status) VALUES (%s, left(%s, 3), 'Active')",
                [name, currency],
            )
        row = crm.execute(
            "SELECT o.account_id FROM opportunity o JOIN account a ON a.id = o.account_id"
            " WHERE o.stage = 'Closed Won' AND a.currency_iso_code = 'EUR' ORDER BY o.number LIMIT 1"
        ).fetchone()
        assert row is not None, "no customer is in both systems"
        crm.execute(
            "WITH deal AS (INSERT INTO opportunity (name, account_id, stage, amount, won_at)"
            " VALUES ('New assembly line', %s, 'Closed Won', 612400, now()) RETURNING id)"
            " INSERT INTO opportunity_item (opportunity_id, product_id, line_no, quantity, unit_price, net_amount)"
            " SELECT deal.id, product.id, 1, 40, 15310, 612400 FROM deal, (SELECT id FROM product ORDER BY sku LIMIT 1) product",
            [row[0]],
        )


def late_order(address: str) -> str | None:
    """The flow of an order whose goods were promised for a day that is over."""
    with httpx.Client(base_url=f"{address}/api/v1", timeout=30) as api:
        for stage in ("partially_shipped", "ordered"):
            for flow in api.get("/flows", params={"stage": stage, "limit": 100}).json()["flows"]:
                wait = api.get(f"/flows/{flow['id']}/explanation").json()["wait"]
                if wait["late_days"]:
                    return str(flow["id"])
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name, path, theme, language", PICTURES, ids=[picture[0] for picture in PICTURES])
def test_picture(
    name: str, path: str, theme: str, language: str, console: Console, new_context: Callable[..., BrowserContext]
) -> None:
    if path == "a flow":
        wanted = {"stage": "invoiced", "limit": "20"}
        flows = httpx.get(f"{console.address}/api/v1/flows", params=wanted, timeout=30).json()["flows"]
        of_deals = [flow for flow in flows if flow["opportunity_number"]] or flows
        path = f"/flows/{of_deals[0]['id']}"
    if path == "a late order":
        path = f"/flows/{wait_for(lambda: late_order(console.address))}"
    context = new_context(color_scheme=theme, locale={"en": "en-GB", "zh": "zh-CN"}[language])
    page = context.new_page()
    page.goto(path)
    page.wait_for_timeout(4_000)  # the living picture needs a reading or two
    target = Path(os.environ.get("PHOTOS", ROOT / "docs/images")) / f"console-{name}.png"
    page.screenshot(path=target, animations="disabled")
    assert target.stat().st_size <= LARGEST
