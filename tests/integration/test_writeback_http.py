"""The HTTP adapter against a real server over a real socket, with the faults that real interfaces have."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from typing import Any

import msgspec
import pytest

from streams.writeback.failures import InDoubt, Refused, TargetChanged, TargetDown
from streams.writeback.forms import duration
from streams.writeback.http import HttpAdapter
from streams.writeback.http_rules import HttpAction, HttpTarget
from streams.writeback.jobs import AlreadyDone, Answer, Job, Unchanged, Written
from streams.writeback.rules import WritebackRule
from tests.integration.shop import Shop, open_shop


@pytest.fixture
def shop() -> Iterator[Shop]:
    with open_shop() as server:
        yield server


REST = HttpAction.model_validate(
    {
        "idempotency_header": "Idempotency-Key",
        "look_up": {
            "method": "GET",
            "path": "/orders",
            "query": {"ref": "$key"},
            "record_path": "match",
            "next_page": "next",
            "result": {"order.id": "id", "order.number": "number"},
        },
        "send": {
            "path": "/orders",
            "json": {
                "ref": "$key",
                "customer": "C-$customer",
                "amount": "$amount",
                "lines": {"each": "lines", "do": {"sku": "$sku", "qty": "$qty"}},
            },
        },
        "result": {"order.id": "order.id", "order.number": "order.number"},
        "read_back": {"method": "GET", "path": "/orders/$order.id"},
        "compare": {"amount": "amount"},
    }
)


def adapter(shop: Shop, timeout: str = "5 s") -> HttpAdapter:
    return HttpAdapter(
        HttpTarget(
            adapter="http",
            base_url=f"http://127.0.0.1:{shop.server_port}",
            headers={"Authorization": "Bearer t"},
            timeout=duration(timeout),
        )
    )


def job(key: str, action: HttpAction = REST, **more: Any) -> Job:
    rule = WritebackRule.model_construct(http=action)
    params = {"customer": "7", "amount": 12.5}
    return Job(key=key, rule=rule, params=params, lines=[{"sku": "M-1", "qty": 2}, {"sku": "M-2", "qty": 1}], **more)


async def all_leased(jobs: Sequence[Job]) -> list[Job]:
    return list(jobs)


async def deliver_job(target: HttpAdapter, to_do: Job) -> Answer:
    """The answer to one job; a refusal is raised."""
    (((_, answer),),) = [answers async for answers in target.deliver([to_do], all_leased)]
    if isinstance(answer, Exception):
        raise answer
    return answer


async def test_request_has_values_lines_key_and_credentials(shop: Shop) -> None:
    target = adapter(shop)
    answer = await deliver_job(target, job("k1"))
    await target.close()
    assert isinstance(answer, Written) and answer.result["order"] == {"id": 1, "number": "R001"}
    lines = [{"sku": "M-1", "qty": 2}, {"sku": "M-2", "qty": 1}]
    assert shop.orders == [{"id": 1, "number": "R001", "ref": "k1", "customer": "C-7", "amount": 12.5, "lines": lines}]
    headers = shop.seen[0][2]
    assert headers["Idempotency-Key"] == "k1" and headers["Authorization"] == "Bearer t"


async def test_request_in_doubt_is_looked_up_page_by_page_and_not_repeated(shop: Shop) -> None:
    target = adapter(shop, "300 ms")
    for number in range(3):
        await deliver_job(target, job(f"other-{number}"))
    shop.faults.add("times out")
    with pytest.raises(TargetDown):
        await deliver_job(target, job("k1"))
    answer = await deliver_job(target, job("k1", in_doubt=True))
    await target.close()
    assert isinstance(answer, AlreadyDone) and answer.result["order"] == {"id": 4, "number": "R004"}
    assert [order["ref"] for order in shop.orders] == ["other-0", "other-1", "other-2", "k1"]


async def test_process_that_takes_over_looks_up_first(shop: Shop) -> None:
    first, second = adapter(shop), adapter(shop)
    await deliver_job(first, job("k1"))
    answer = await deliver_job(second, job("k1", in_doubt=True))
    await first.close()
    await second.close()
    assert isinstance(answer, AlreadyDone) and len(shop.orders) == 1


async def test_request_in_doubt_without_a_look_up_is_asked(shop: Shop) -> None:
    asked = {"send": {"path": "/orders", "json": {"ref": "$key"}}}
    blind = HttpAction.model_validate(asked)
    target = adapter(shop)
    with pytest.raises(InDoubt, match="no way to find out"):
        await deliver_job(target, job("k1", blind, in_doubt=True))
    await target.close()
    assert shop.orders == []


async def test_dropped_field_is_refused_and_in_doubt(shop: Shop) -> None:
    target = adapter(shop)
    shop.faults.add("drops")
    for in_doubt in (False, True):
        with pytest.raises(Refused, match=r"amount is nothing, should be 12\.5") as caught:
            await deliver_job(target, job("k1", in_doubt=in_doubt))
        assert caught.value.in_doubt, "it was done, though not as it was asked"
    shop.orders[0]["amount"] = "12.50"
    answer = await deliver_job(target, job("k1", in_doubt=True))
    await target.close()
    assert (type(answer), len(shop.orders)) == (AlreadyDone, 1)


async def test_refusal_is_refused_and_unavailable_is_down(shop: Shop) -> None:
    target = adapter(shop)
    shop.faults |= {"refuses", "unavailable"}
    with pytest.raises(TargetDown, match="503"):
        await deliver_job(target, job("k1"))
    with pytest.raises(Refused, match="customer is blocked"):
        await deliver_job(target, job("k1"))
    await target.close()
    gone = HttpAdapter(HttpTarget(adapter="http", base_url="http://127.0.0.1:9"))
    with pytest.raises(TargetDown):
        await deliver_job(gone, job("k1"))
    await gone.close()


async def test_json_rpc_error_with_200_is_refused(shop: Shop) -> None:
    rpc = HttpAction.model_validate(
        {"send": {"path": "/rpc", "rpc": "order.create", "json": {"ref": "$key"}}, "result": {"order.id": "id"}}
    )  # fmt: skip
    target = adapter(shop)
    assert await deliver_job(target, job("k1", rpc)) == Written({"order": {"id": 1}})
    with pytest.raises(Refused, match="no such customer"):
        await deliver_job(target, job("bad", rpc))
    await target.close()


async def test_describe_shows_what_would_be_sent(shop: Shop) -> None:
    target = adapter(shop)
    (request,) = target.describe(job("k1"))
    assert (request["method"], request["path"]) == ("POST", "/orders")
    assert request["json"]["lines"][1] == {"sku": "M-2", "qty": 1}
    with pytest.raises(Refused, match=r"\$nothing"):
        target.describe(job("k1", HttpAction.model_validate({"send": {"path": "/$nothing"}})))


PRICE = WritebackRule.model_validate(
    {
        "entity": "product",
        "values": {"list_price": {"from": "record.list_price", "as": "cents"}, "created_at": "record.created_at"},
        "http": {
            "read": {"method": "GET", "path": "/products/$subject"},
            "send": {
                "method": "PUT", "path": "/products/$subject",
                "json": {"price": "$list_price", "label": "from $list_price EUR", "exact": "$text:list_price", "since": "$created_at"},
            },
            "read_back": {"method": "GET", "path": "/products/$subject"},
            "compare": {"price": "list_price", "since": "created_at"},
        },
    }
)  # fmt: skip
SINCE = 1_763_999_999_000_000


def price(amount: int, saw: dict[str, Any], **more: Any) -> Job:
    wanted = {"list_price": amount, "created_at": SINCE}
    return Job(key=f"p{amount}", rule=PRICE, params={}, subject_key="7", wanted=wanted, expected=[saw], **more)


async def test_money_and_times_of_values_go_out_as_people_write_them(shop: Shop) -> None:
    target = adapter(shop)
    shop.prices["7"] = {"price": 9, "since": "2025-11-24T15:59:59Z"}
    answer = await deliver_job(target, price(12_3500, {"list_price": 9_0000, "created_at": SINCE}))
    await target.close()
    assert shop.prices["7"] == {
        "price": 12.35, "label": "from 12.35 EUR", "exact": "12.35", "since": "2025-11-24T15:59:59+00:00",
    }  # fmt: skip
    assert answer.values == {"list_price": 12_3500, "created_at": SINCE}


async def test_edit_of_a_person_is_not_overwritten_and_equal_values_are_left(shop: Shop) -> None:
    target = adapter(shop)
    saw = {"list_price": 9_0000, "created_at": SINCE}
    shop.prices["7"] = {"price": "8.00", "since": "2025-11-24T16:59:59+01:00"}
    with pytest.raises(TargetChanged, match=r"has list_price 8\.00, .*; the rule saw list_price 9\.00"):
        await deliver_job(target, price(12_3500, saw))
    assert "PUT" not in {method for method, _, _ in shop.seen}
    assert isinstance(await deliver_job(target, price(8_0000, saw)), Unchanged)
    assert isinstance(await deliver_job(target, price(12_3500, saw, overwrite=True)), Written)
    with pytest.raises(Refused, match="GET /products/8: 404"):
        await deliver_job(target, msgspec.structs.replace(price(12_3500, saw), subject_key="8"))
    await target.close()


async def test_nothing_is_sent_without_a_lease(shop: Shop) -> None:
    target = adapter(shop)

    async def lost(jobs: Sequence[Job]) -> list[Job]:
        return [job for job in jobs if job.key == "k2"]

    portions = [portion async for portion in target.deliver([job("k1"), job("k2")], lost)]
    await target.close()
    assert [order["ref"] for order in shop.orders] == ["k2"]
    assert [done.key for portion in portions for done, _ in portion] == ["k2"]


async def test_missing_answer_blames_target_or_intent(shop: Shop) -> None:
    async def down(status: int, retry_after: str | None = None) -> TargetDown:
        shop.broken["k1"], shop.retry_after = status, retry_after
        with pytest.raises(TargetDown) as caught:
            await deliver_job(target, job("k1"))
        return caught.value

    target = adapter(shop, "300 ms")
    assert ((await down(500)).blame, (await down(502)).blame, (await down(503)).blame) == (
        "intent",
        "unclear",
        "unclear",
    )
    assert (await down(0)).blame == "unclear", "it was sent and not answered"
    assert ((await down(429)).blame, (await down(503, "7")).blame) == ("target", "target")
    assert (await down(503, "7")).retry_after_s == 7
    assert 50 < (await down(429, formatdate(time.time() + 60, usegmt=True))).retry_after_s <= 60
    assert (await down(429, "soon")).retry_after_s == 0
    await target.close()
    gone = HttpAdapter(HttpTarget(adapter="http", base_url="http://127.0.0.1:9"))
    with pytest.raises(TargetDown) as caught:
        await deliver_job(gone, job("k1"))
    await gone.close()
    assert (caught.value.blame, caught.value.in_doubt) == ("target", False)


async def test_request_stays_in_doubt_when_it_cannot_be_read_back(shop: Shop) -> None:
    target = adapter(shop)
    shop.faults.add("reads too often")
    with pytest.raises(TargetDown) as caught:
        await deliver_job(target, job("k1"))
    await target.close()
    assert (caught.value.blame, caught.value.in_doubt, len(shop.orders)) == ("target", True, 1)
