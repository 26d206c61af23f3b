"""The simulated company of the browser tests: history, live work, and something of everything that waits for people."""

from __future__ import annotations

from streams.simulator.company import Company
from streams.simulator.setup import dsn_of
from tests.conftest import Pipeline

CUSTOMERS, ORDERS, PRODUCTS = 60, 120, 30
RATE, SECONDS = 60.0, 6.0


def make_company(pipeline: Pipeline) -> None:
    """Fill both systems, start a worker, and wait until the hub has everything. A company that is there is taken."""
    crm, erp = (dsn_of(pipeline.env, f"DEMO_{system}", "APP") for system in ("CRM", "ERP"))
    with pipeline.connect("CRM") as session:
        if session.execute("SELECT 1 FROM account LIMIT 1").fetchone():
            return
    pipeline.start_worker("browser", supervised=True)
    with Company(7, crm, erp, shared=0.3, conflicting=0.3, slow_every=None) as company:
        company.load_history(customers=CUSTOMERS, orders=ORDERS, products=PRODUCTS)
        company.run(rate=RATE, seconds=SECONDS)
        company.drain()
    pipeline.drain(240)
