"""Whole companies in random orders and batches: the joined records are what a simple model counts."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.testing import MemoryPipeline
from tests.property.company import Company
from tests.property.company_model import EURO
from tests.property.stories import folded

MOST_TURNS = 5000


def played(company: Company, seed: int) -> MemoryPipeline:
    """The company's changes in an order of their own, served in random batches."""
    draw = random.Random(seed)
    waiting = draw.sample(company.changes, len(company.changes))
    pipeline = MemoryPipeline()
    for _ in range(MOST_TURNS):
        if waiting and (not pipeline.queues or draw.random() < 0.5):
            pipeline.send_change(waiting.pop())
        elif pipeline.queues:
            pipeline.serve(draw.choice(sorted(pipeline.queues)), draw.randint(1, 20))
        else:
            return pipeline
    raise AssertionError("the aggregates send each other messages for ever")


def flows_of(pipeline: MemoryPipeline) -> dict[str, dict[str, Any]]:
    """The first record of each flow → its joined record."""
    records = [record for (entity, _), record in folded(pipeline).items() if entity == "order_flow"]
    return {str(record["opportunity_id"] or record["sales_order_id"]): record for record in records}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_flows_are_what_a_simple_model_counts(seed: int, order: int) -> None:
    company = Company(seed)
    flows = flows_of(played(company, order))
    assert len(flows) == len(company.flows)
    for flow in company.flows:
        expected = {
            name: value * EURO if name.endswith("_amount") and value is not None else value
            for name, value in flow.expected().items()
        }
        joined = flows[flow.root]
        assert {name: joined[name] for name in expected} == expected
