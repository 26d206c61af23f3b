"""The inbox on real servers: an approval makes the ERP's order, two people cannot decide one thing twice, bulk work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from starlette.testclient import TestClient

from streams.hub import inbox, jobs
from streams.stack.native import NativeStack
from tests.console_client import console_with_people, submit
from tests.integration.place import Place
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def client(stack: NativeStack, place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    env = stack.env()
    names = ("bootstrap_servers", "registry_url", "connect_url")
    update = {name: env[f"OPSHUB_{name.upper()}"] for name in names} | {"hub_dsn": place.hub}
    with console_with_people(stack.settings.model_copy(update=update), monkeypatch) as made:
        yield made


async def waiting_order(place: Place, amount: int = 900_000) -> str:
    """A won opportunity whose order waits for people; its key."""
    customer, product = await place.customer(), await place.product()
    return await place.win(customer, product, amount=amount)


async def test_an_approval_on_the_page_makes_the_order_and_is_made_once(client: TestClient, place: Place) -> None:
    key = await waiting_order(place)
    async with place.deliverer():
        await place.until(lambda: place.intent(key).state == "waiting")
        page = f"/inbox/approvals/{place.intent(key).id}"
        listed = (await asyncio.to_thread(client.get, "/inbox/approvals")).text
        assert key in listed and "an order of more than 500,000" in listed
        refused = await asyncio.to_thread(submit, client, page, page, who="vera/viewer", what="approve")
        assert refused.status_code == 403 and place.orders([key]) == {}
        no_reason = await asyncio.to_thread(submit, client, page, page, who="ada/approver", what="reject")
        assert no_reason.status_code == 400 and "needs a reason" in no_reason.text

        def decide(who: str, what: str) -> tuple[int, str]:
            answer = submit(client, page, page, who=f"{who}/approver", what=what, reason="as agreed")
            return answer.status_code, answer.text

        first = await asyncio.to_thread(decide, "ada", "approve")
        assert first[0] == 303
        second = await asyncio.to_thread(decide, "bob", "reject")
        assert second[0] == 409 and "ada was faster, and approved" in second[1]
        await place.until(lambda: place.intent(key).state == "delivered")
    assert place.orders([key]) == {key: 1}


async def test_of_two_people_at_once_one_decides(client: TestClient, place: Place) -> None:
    key = await waiting_order(place)
    async with place.deliverer():
        await place.until(lambda: place.intent(key).state == "waiting")
    address = f"/api/v1/inbox/approvals/{place.intent(key).id}"

    def reject(who: str) -> int:
        body = {"what": "reject", "reason": who}
        return client.post(address, json=body, headers={"x-person": f"{who}/approver"}).status_code

    def all_at_once() -> list[int]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(reject, ["ada", "bob", "cy", "di"]))

    assert sorted(await asyncio.to_thread(all_at_once)) == [200, 409, 409, 409]
    assert [decision.what for decision in place.intent(key).decisions] == ["reject"]


async def test_a_snoozed_item_is_hidden_and_comes_back(client: TestClient, place: Place) -> None:
    key = await waiting_order(place)
    async with place.deliverer():
        await place.until(lambda: place.intent(key).state == "waiting")
    number = str(place.intent(key).id)
    address = f"/api/v1/inbox/items/approval/{number}"

    def listed(**query: str) -> bool:
        intents = client.get("/api/v1/inbox/approvals", params={"limit": 500, **query}).json()["intents"]
        return number in [str(one["intent"]["id"]) for one in intents]

    def check() -> None:
        assert client.post(f"{address}/snooze", json={"hours": 2}, headers={"x-person": "v/viewer"}).status_code == 403
        assert listed(unassigned="true") and not listed(whose="ada")
        before = client.get("/api/v1/inbox").json()["approvals"]
        client.post(f"{address}/assign", json={"to": "ada"})
        client.post(f"{address}/comments", json={"text": "<b>asked</b> the customer"})
        assert listed(whose="ada") and not listed(unassigned="true")
        assert "&lt;b&gt;asked&lt;/b&gt;" in client.get(f"/inbox/approvals/{number}").text
        assert client.post(f"{address}/snooze", json={"hours": 2}).status_code == 200
        assert not listed() and listed(snoozed="true")
        assert client.get("/api/v1/inbox").json()["approvals"] == before - 1
        with psycopg.connect(place.hub, autocommit=True) as hub:
            inbox.snooze(hub, "approval", number, until=datetime.now(UTC) - timedelta(seconds=1), who="ada")
        assert listed() and client.get("/api/v1/inbox").json()["approvals"] == before

    await asyncio.to_thread(check)


async def test_bulk_work_does_each_item_and_can_be_cancelled(client: TestClient, place: Place) -> None:
    keys = [await waiting_order(place) for _ in range(2)]
    async with place.deliverer():
        await place.until(lambda: all(place.intent(key).state == "waiting" for key in keys))
    rule = "demo-erp/order_from_opportunity"

    def check() -> None:
        wanted = {"action": "reject", "rule": rule, "reason": "the year is over"}
        refused = client.post("/api/v1/jobs", json=wanted, headers={"x-person": "s/steward"})
        assert refused.status_code == 403
        preview = client.post("/api/v1/jobs/preview", json=wanted).json()
        assert preview["count"] >= 2 and len(preview["examples"]) >= 2
        job = client.post("/api/v1/jobs", json=wanted).json()
        wait_for(lambda: client.get(f"/api/v1/jobs/{job['id']}").json()["job"]["state"] == "done")
        shown = client.get(f"/api/v1/jobs/{job['id']}").json()
        assert shown["job"]["done"] == preview["count"] and {one["state"] for one in shown["items"]} == {"done"}
        assert client.post(f"/api/v1/jobs/{job['id']}/cancel", json={}).status_code == 409
        assert "rejected" in client.get(f"/inbox/jobs/{job['id']}").text

    await asyncio.to_thread(check)
    assert {place.intent(key).state for key in keys} == {"rejected"}


def test_a_job_goes_on_where_a_console_died_and_stops_where_it_is_cancelled(client: TestClient, place: Place) -> None:
    with psycopg.connect(place.hub, autocommit=True) as hub:
        items = [str(10**12 + n) for n in range(400)]  # of no intent: each fails
        first = jobs.create_job(hub, action="approve", wanted={"action": "approve"}, who="ada", reason="", items=items)
        # A console that died had done five of them, and its lease is over.
        hub.execute("UPDATE job SET state = 'running', leased_by = 'dead', lease_until = now() WHERE id = %s", [first])
        hub.execute("UPDATE job_item SET state = 'done' WHERE job_id = %s AND number <= 5", [first])
        hub.execute("UPDATE job SET done = 5 WHERE id = %s", [first])
        wait_for(lambda: (job := jobs.get_job(hub, first)) is not None and job.failed > 0)
        assert client.post(f"/api/v1/jobs/{first}/cancel", json={}).status_code == 200
        wait_for(
            lambda: hub.execute("SELECT count(*) FROM job WHERE state IN ('queued', 'running')").fetchone() == (0,)
        )
        job = jobs.get_job(hub, first)
        assert job is not None and (job.state, job.done, job.cancelled_by) == ("cancelled", 5, "local")
        states: dict[str, int] = dict(
            hub.execute("SELECT state, count(*) FROM job_item WHERE job_id = %s GROUP BY state", [first]).fetchall()
        )
        assert states["done"] == 5 and states["failed"] >= job.failed > 0 and sum(states.values()) == 400
