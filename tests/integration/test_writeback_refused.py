"""On a real hub: a target that refuses everybody is paused with one alert (airbyte#74774, #8690), and dead intents come back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from streams.errors import ConfigError
from streams.hub.intent_review import resume_scope, targets_away
from streams.monitor.targets import refusing
from streams.writeback.commands import connect_hub, get_intent, get_log, retry_intents
from tests.integration.place import Place
from tests.integration.shop import Shop, open_shop
from tests.integration.test_writeback_over_http import ORDER, made, rules, states, won

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with open_shop() as server:
        yield server


@pytest.mark.parametrize(("status", "retry_after"), [(401, None), (403, "600")])
async def test_refused_target_is_paused_with_one_alert_and_no_intent_dies(
    place: Place, shop: Shop, status: int, retry_after: str | None
) -> None:
    ours = rules(place, shop, order=ORDER | {"attempts": 2})
    keys = await won(place, 4)
    shop.broken, shop.retry_after = dict.fromkeys(keys, status), retry_after
    with connect_hub(place.hub) as hub:
        async with place.deliverer(ours) as first, place.deliverer(ours) as second:
            await place.until(lambda: [away.refuses for away in targets_away(hub)] == [True])
            if retry_after is None:
                await place.until(lambda: first.counts["down"] + second.counts["down"] >= 3)
            (problem,) = refusing(targets_away(hub), datetime.now(UTC) + timedelta(minutes=1))
            assert problem.name == "target-refuses/shop" and f"POST /orders: {status}" in problem.what
            asked = len([request for request in shop.seen if request[0] == "POST"])
            assert retry_after is None or asked <= 2, "Retry-After holds for all workers"
            row = place.db.execute("SELECT sum(failures), count(*) FILTER (WHERE state = 'dead') FROM intent WHERE key = ANY(%s)", [keys])  # fmt: skip
            assert row.fetchone() == (0, 0)
            shop.broken = {}
            resume_scope(hub, "shop")
            await place.until(lambda: states(place, keys) == {"delivered": 4})
            await place.until(lambda: targets_away(hub) == [])
    assert made(shop) == dict.fromkeys(keys, 1)


async def test_dead_intents_are_sent_again_after_a_look_up(place: Place, shop: Shop) -> None:
    ours = rules(place, shop, order=ORDER | {"attempts": 1})
    refused, dropped = await won(place, 2)
    shop.faults |= {"refuses"}
    async with place.deliverer(ours):
        await place.until(lambda: sum(states(place, [refused, dropped]).values()) == 2 and bool(states(place, [refused, dropped])["dead"]))  # fmt: skip
        await place.until(
            lambda: not (states(place, [refused, dropped]).keys() & {"planned", "approved", "delivering"})
        )
    (third,) = await won(place, 1)
    shop.faults |= {"drops"}
    async with place.deliverer(ours):
        await place.until(lambda: states(place, [third]) == {"dead": 1})
    # What is there without its amount is mended by hand; it must not be made a second time.
    next(order for order in shop.orders if order["ref"] == third)["amount"] = 100
    with connect_hub(place.hub) as hub:
        dead, skipped = retry_intents(hub, None, who="ada", reason="dry", target="shop", dry_run=True)
        assert len(dead) == 2 and skipped == {}
        assert retry_intents(hub, None, who="ada", reason="no such text", target="shop", problem="quota")[0] == []
        assert retry_intents(hub, None, who="ada", reason="mended", target="shop", problem="BLOCKED")[0]
        assert retry_intents(hub, [third], who="ada", reason="mended")[0]
        with pytest.raises(ConfigError, match="no intent 999999"):
            retry_intents(hub, ["999999"], who="ada", reason="typo")
        async with place.deliverer(ours):
            await place.until(lambda: states(place, [refused, dropped, third]) == {"delivered": 3})
        assert made(shop) == dict.fromkeys([refused, dropped, third], 1)
        intent = get_intent(hub, third)
        entry = next(entry for entry in get_log(hub, intent) if entry.what == "retried")
        assert (entry.who, entry.detail["why"]) == ("ada", "mended")
        _, skipped = retry_intents(hub, [third], who="ada", reason="again")
        assert "is delivered" in skipped[third]
