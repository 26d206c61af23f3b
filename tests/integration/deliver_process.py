"""A deliverer as a process of its own, to be killed: `python -m tests.integration.deliver_process <hub dsn> <seconds> <jobs in a transaction>`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from streams.runtime.fault_points import fault_point
from streams.stack.environment import resolve_placeholders
from streams.writeback.deliver import Deliverer
from streams.writeback.load import load_rules
from streams.writeback.rules import SqlTarget
from streams.writeback.sql import SqlAdapter


async def main(dsn: str, seconds: float, jobs_per_transaction: int) -> None:
    folder = Path(__file__).parents[2] / "connectors"
    rules = load_rules(
        folder, ["demo-crm", "demo-erp"], lambda text, path: resolve_placeholders(text, dict(os.environ), path)
    )
    del rules["demo-crm"]
    # What follows from an order would share its transactions, and the test counts what is in them.
    all_rules = rules["demo-erp"].rules
    only = {"order_from_opportunity": all_rules["order_from_opportunity"]}
    erp = rules["demo-erp"] = rules["demo-erp"].model_copy(update={"rules": only})
    assert isinstance(erp.target, SqlTarget)
    name = f"killed-{os.getpid()}"
    serving = Deliverer(
        dsn,
        name,
        rules,
        {"demo-erp": SqlAdapter(erp.target, name, fault=fault_point, jobs_per_transaction=jobs_per_transaction)},
    )
    try:
        await asyncio.wait_for(serving.run(), seconds)
    except TimeoutError:
        pass


asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
