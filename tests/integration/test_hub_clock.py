"""The hub's clock was put back by two hours: what waits for a time that it told before waits no longer for that."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from streams.hub.store import HubStore
from streams.maintenance.periodic import HubClock
from tests.integration.place import Place

HOURS = 7200


def intent(place: Place, *, created_s: float, not_before_s: float, failures: int = 0) -> int:
    """One whose times are so many seconds from now."""
    row = place.db.execute(
        "INSERT INTO intent (key, rule, target, entity, entity_id, aggregate_id, subject_id, version, cause_us, state, failures, created_at, not_before) "
        "VALUES (%(id)s::text, 'r', 'nobody', 'customer', %(id)s, %(id)s, %(id)s, 1, 1, 'failed', %(failures)s, "
        "now() + make_interval(secs => %(created)s), now() + make_interval(secs => %(not_before)s)) RETURNING id",
        {"id": uuid.uuid4(), "failures": failures, "created": created_s, "not_before": not_before_s},
    ).fetchone()
    assert row is not None
    return int(row[0])


def seconds(place: Place, table: str, column: str, one: Any) -> float:
    """From now until what stands there."""
    query = f"SELECT extract(epoch FROM {column} - clock_timestamp())::float8 FROM {table} WHERE id = %s"
    row = place.db.execute(query.encode(), [one]).fetchone()
    assert row is not None
    return float(row[0])


@pytest.mark.parametrize("seen", [True, False], ids=["between two checks", "before the first check"])
async def test_what_waits_for_a_time_of_before_waits_that_much_less(place: Place, seen: bool) -> None:
    store, due = HubStore(place.hub, "test-clock"), str(uuid.uuid4())
    clock = HubClock(store)
    try:
        if seen:
            assert await clock.check() == 0
            assert await clock.check() == 0
        place.db.execute(
            "INSERT INTO due (kind, id, at, changed_at, changes) VALUES ('customer', %s, now() + interval '7230 s', now() + interval '7200 s', 1)",
            [due],
        )
        new = intent(place, created_s=HOURS, not_before_s=HOURS)
        again = intent(place, created_s=-60, not_before_s=HOURS + 60, failures=1)
        scheduled = intent(place, created_s=-60, not_before_s=86_400)
        if clock._ahead is not None:
            clock._ahead += HOURS
        assert await clock.check() == pytest.approx(HOURS, abs=2)
        assert seconds(place, "due", "at", due) == pytest.approx(30, abs=5)
        assert seconds(place, "due", "changed_at", due) <= 0
        assert seconds(place, "intent", "not_before", new) <= 0
        assert seconds(place, "intent", "created_at", new) <= 0
        assert seconds(place, "intent", "not_before", again) == pytest.approx(60, abs=5)
        assert seconds(place, "intent", "not_before", scheduled) == pytest.approx(86_400, abs=60)
        assert await clock.check() == 0
    finally:
        await store.close()
        place.db.execute("DELETE FROM due WHERE id = %s", [due])
        place.db.execute("DELETE FROM intent WHERE target = 'nobody'")
