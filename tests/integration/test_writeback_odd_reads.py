"""Odd answers while a rule looks at what people made of a record: nothing of them is overwritten, and no block is overlooked."""

from __future__ import annotations

from typing import Any

import pytest

from streams.writeback.failures import Refused, TargetDown
from streams.writeback.jobs import Job
from streams.writeback.rules import WritebackRule
from tests.integration.odd_delivery import Clock, intent
from tests.integration.odd_server import ODD, OddServer
from tests.integration.test_writeback_odd_answers import timeout_for

GET = {"method": "GET", "path": "/prices/$subject"}
PRICE: dict[str, Any] = {
    "entity": "product",
    "values": {"list_price": "record.list_price"},
    "approval": [{"reason": "blocked", "when": {"target.blocked": "X"}}],
    "http": {
        "now": GET, "read": GET, "read_back": GET, "compare": {"price": "list_price"},
        "send": {"method": "PUT", "path": "/prices/$subject", "json": {"price": "$list_price"}},
    },
}  # fmt: skip


def price_job(server: OddServer, clock: Clock, name: str, saw: int) -> Any:
    one = intent(server, clock, PRICE["http"], **timeout_for(name))
    one.rule = WritebackRule.model_validate(PRICE)
    one.job = {"params": {}, "subject_key": "7", "wanted": {"list_price": 12_0000}, "expected": [{"list_price": saw}]}
    return one


@pytest.mark.parametrize("name", ODD)
async def test_edit_of_a_person_is_not_overwritten(server: OddServer, clock: Clock, name: str) -> None:
    server.odd["read"] = ODD[name], 2, True
    await price_job(server, clock, name, saw=9_0000).run(4)
    assert server.price == 8
    assert not [request for request in server.seen if request.method == "PUT"]


@pytest.mark.parametrize(
    "name", ["401", "302 to the log-in", "404 page of a gateway", "empty object", "reset", "503", "truncated JSON"]
)
async def test_value_is_written_once_the_target_is_well_again(server: OddServer, clock: Clock, name: str) -> None:
    server.odd["read"] = ODD[name], 2, True
    await price_job(server, clock, name, saw=8_0000).run(12)
    assert server.price == 12


@pytest.mark.parametrize("name", [name for name in ODD if name not in ("drips", "another order")])
async def test_block_in_the_target_is_not_overlooked(server: OddServer, clock: Clock, name: str) -> None:
    one = price_job(server, clock, name, saw=8_0000)
    job = Job(key="k1", rule=one.rule, **one.job)
    server.odd["read"] = ODD[name], 1, True
    try:
        (row,) = await one.adapter.read_current([job])
    except (Refused, TargetDown):
        (row,) = await one.adapter.read_current([job])
        assert row == {"price": 8, "blocked": "X"}
    else:
        assert row == {} and name in ("null", "empty list"), "this says that there is no such record"
