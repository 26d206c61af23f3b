"""Rows of an interface become raw records, each change once, whatever the interface does meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streams.decode.envelope import Decoder
from streams.errors import Fenced, RetryLater
from streams.hub.sources import take_lease
from streams.runtime import fault_points
from streams.sources import reader as reader_module
from streams.sources.reader import hub_connection
from streams.sources.table_store import TableWriter
from streams.stack.native import NativeStack
from tests.integration.feed_place import FeedPlace, due_now, whole_now
from tests.integration.helpdesk import Helpdesk, open_helpdesk

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def desk() -> Iterator[Helpdesk]:
    with open_helpdesk() as made:
        yield made


@pytest.fixture
def place(stack: NativeStack, desk: Helpdesk, tmp_path: Path) -> FeedPlace:
    return FeedPlace(stack, desk, tmp_path)


def ticket(desk: Helpdesk, number: int, minute: int, **more: object) -> None:
    desk.put("tickets", number, f"2026-11-30T10:{minute:02}:00Z", **{"number": f"T-{number}", "subject": "x", **more})


def passes(place: FeedPlace, count: int = 1) -> None:
    async def run() -> None:
        async with aclosing(place.reader()) as reader:
            for _ in range(count):
                await reader.pass_once()

    asyncio.run(run())


def test_rows_come_once_and_only_what_changed_comes_again(place: FeedPlace, desk: Helpdesk) -> None:
    for number in range(1, 8):
        ticket(desk, number, number, requester={"id": 17})
    desk.put("requesters", 17, "2026-11-30T09:00:00Z", company="Nordlicht GmbH")
    passes(place)
    assert place.live("tickets").keys() == {str(number) for number in range(1, 8)}
    assert place.live("requesters")["17"]["company"] == "Nordlicht GmbH"
    assert place.live("tickets")["3"]["requester_id"] == "17"
    before = len(place.records("tickets"))
    due_now(place)
    passes(place)
    assert len(place.records("tickets")) == before, "the overlap brings the same rows, and nothing is sent"
    ticket(desk, 2, 30, subject="changed")
    due_now(place)
    passes(place)
    changed = place.records("tickets")[before:]
    assert [(one["op"], one["before"]["subject"], one["after"]["subject"]) for one in changed] == [
        ("u", "x", "changed")
    ]


def test_the_decoder_reads_the_records_with_growing_positions(place: FeedPlace, desk: Helpdesk) -> None:
    ticket(desk, 1, 1)
    passes(place)
    ticket(desk, 1, 2, subject="later")
    due_now(place)
    passes(place)
    topic = place.system.topic("helpdesk.tickets")
    decoder = Decoder(place.system.dictionary)
    changes = [
        decoder.decode(topic, json.dumps(one["_key"]).encode(), json.dumps({**one, "_key": 0}).encode())
        for one in place.records("tickets")
    ]
    assert [change.op for change in changes if change] == ["c", "u"]
    first, second = (change.position for change in changes if change)
    assert first < second


def test_a_row_that_slips_between_pages_is_not_lost(place: FeedPlace, desk: Helpdesk) -> None:
    for number in range(1, 10):
        ticket(desk, number, number)
    slipped = []

    def touch(number: int) -> None:
        # Ticket 1 moves to the end, so 4 moves to the page that was read already.
        if number == 1 and not slipped:
            slipped.append(number)
            ticket(desk, 1, 50)

    desk.after_page = touch
    passes(place)
    assert slipped
    assert place.live("tickets").keys() == {str(number) for number in range(1, 10)}


def test_a_sweep_deletes_what_is_gone_and_nothing_that_only_moved(place: FeedPlace, desk: Helpdesk) -> None:
    for number in range(1, 10):
        ticket(desk, number, number)
    passes(place)
    del desk.rows["tickets"]["5"]

    def touch(number: int) -> None:
        if number == 1:
            ticket(desk, 2, 55)
            desk.after_page = lambda number: None

    desk.after_page = touch
    whole_now(place)
    passes(place)
    assert place.live("tickets").keys() == {str(number) for number in range(1, 10)} - {"5"}
    assert [one["op"] for one in place.records("tickets")].count("d") == 1


def test_an_empty_answer_does_not_delete_everything(place: FeedPlace, desk: Helpdesk) -> None:
    for number in range(1, 20):
        ticket(desk, number, number)
    passes(place)
    rows, desk.rows["tickets"] = desk.rows["tickets"], {}
    whole_now(place)
    passes(place)
    assert len(place.live("tickets")) == 19
    assert "looks incomplete" in (place.read("tickets").problem or "")
    desk.rows["tickets"] = rows


def test_a_busy_or_failing_server_is_asked_again_for_the_same_page(place: FeedPlace, desk: Helpdesk) -> None:
    for number in range(1, 8):
        ticket(desk, number, number)
    ok = (0, {}, b"")
    # Of the tickets: page 1, then 429, 500 in the middle, and no JSON from a gateway with 502.
    desk.answers = [ok, ok, (429, {"Retry-After": "1"}, b"{}"), (500, {}, b"oops"), (502, {}, b"<html>")]
    began = datetime.now(UTC)
    passes(place)
    assert datetime.now(UTC) - began > timedelta(seconds=1), "Retry-After is waited for"
    assert len(place.live("tickets")) == 7
    assert place.read("tickets").problem is None


def test_a_token_that_ran_out_is_renewed_in_the_middle(place: FeedPlace, desk: Helpdesk) -> None:
    for number in range(1, 8):
        ticket(desk, number, number)
    desk.after_page = lambda number: desk.tokens.clear() if number == 2 else None
    passes(place)
    assert len(place.live("tickets")) == 7


@pytest.mark.parametrize(
    ("body", "says"),
    [(b"{not json", "no JSON"), (b'{"items": []}', "no list of rows"), (b'{"data": [1]}', "no list of rows")],
)
def test_an_answer_that_is_no_list_moves_nothing(place: FeedPlace, desk: Helpdesk, body: bytes, says: str) -> None:
    ticket(desk, 1, 1)
    passes(place)
    watermark = place.read("tickets").watermark
    ticket(desk, 2, 20)
    desk.answers = [(0, {}, b""), (200, {}, body)]
    due_now(place)
    passes(place)
    assert says in (place.read("tickets").problem or "")
    assert place.read("tickets").watermark == watermark
    due_now(place)
    passes(place)
    assert place.live("tickets").keys() == {"1", "2"}
    assert place.read("tickets").problem is None


def test_a_server_that_is_down_is_a_problem_until_it_answers(
    place: FeedPlace, desk: Helpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.sources.pages.FIRST_PAUSE_S", 0.01)
    ticket(desk, 1, 1)
    desk.answers = [(503, {}, b"maintenance")] * 20
    passes(place)
    assert "503" in (place.read("tickets").problem or "")
    desk.answers.clear()
    passes(place)
    assert place.live("tickets").keys() == {"1"}
    assert place.read("tickets").problem is None


def test_a_long_pause_that_the_server_asks_for_is_kept(place: FeedPlace, desk: Helpdesk) -> None:
    ticket(desk, 1, 1)
    desk.answers = [(0, {}, b""), (429, {"Retry-After": "3600"}, b"")]

    async def run() -> int:
        async with aclosing(place.reader()) as reader:
            await reader.pass_once()
            asked = len(desk.seen)
            due_now(place)
            await reader.pass_once()
        return len([path for path in desk.seen[asked:] if "tickets" in path])

    assert asyncio.run(run()) == 0


def test_a_date_in_the_future_hides_no_later_change(place: FeedPlace, desk: Helpdesk) -> None:
    desk.put("tickets", 1, "2099-01-01T00:00:00Z", number="T-1")
    passes(place)
    assert (place.read("tickets").watermark or "") < "2098"
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    desk.put("tickets", 2, now, number="T-2")
    due_now(place)
    passes(place)
    assert place.live("tickets").keys() == {"1", "2"}


def test_a_row_with_a_late_time_comes_with_the_overlap(place: FeedPlace, desk: Helpdesk) -> None:
    ticket(desk, 1, 10)
    passes(place)
    desk.put("tickets", 2, "2026-11-30T10:09:30Z", number="T-2")  # its clock is half a minute behind
    due_now(place)
    passes(place)
    assert place.live("tickets").keys() == {"1", "2"}


def test_a_row_without_its_key_is_sent_once_without_a_key(place: FeedPlace, desk: Helpdesk) -> None:
    desk.rows["tickets"]["?"] = {"updated_at": "2026-11-30T10:00:00Z", "number": "T-0"}
    passes(place)
    due_now(place)
    passes(place)
    (record,) = place.records("tickets")
    assert record["_key"] is None
    assert record["after"]["id"] is None


def test_an_id_that_becomes_a_text_is_the_same_row(place: FeedPlace, desk: Helpdesk) -> None:
    ticket(desk, 7, 1)
    passes(place)
    desk.rows["tickets"]["7"] |= {"id": "7", "updated_at": "2026-11-30T10:05:00Z"}
    whole_now(place)
    passes(place)
    assert {one["op"] for one in place.records("tickets")} == {"c", "u"}
    assert {str(one["_key"]) for one in place.records("tickets")} == {"{'id': '7'}"}


def test_a_crash_between_kafka_and_the_hub_doubles_nothing(
    place: FeedPlace, desk: Helpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 4):
        ticket(desk, number, number)
    for point in ("sources.saved", "sources.acknowledged", "sources.acknowledged"):
        armed = fault_points.armed(f"{point}:raise:1")
        monkeypatch.setattr("streams.sources.sender.fault_point", armed)
        monkeypatch.setattr(reader_module, "fault_point", armed)
        with pytest.raises(RetryLater):
            passes(place)
    monkeypatch.undo()
    due_now(place)
    passes(place)
    records = place.records("tickets")
    assert len(records) > 3
    positions = {one["source"]["position"] for one in records}
    assert len(positions) == 3, "what was sent twice has the same position"
    assert place.live("tickets").keys() == {"1", "2", "3"}


def test_a_second_reader_waits_for_the_lease_and_a_late_one_is_refused(place: FeedPlace, desk: Helpdesk) -> None:
    ticket(desk, 1, 1)

    async def run() -> tuple[bool, bool]:
        async with aclosing(place.reader("first")) as first, aclosing(place.reader("second")) as second:
            return await first.pass_once(), await second.pass_once()

    assert asyncio.run(run()) == (True, False)
    with hub_connection(place.settings.hub) as hub:
        assert take_lease(hub, place.name, "second", 30)
    with hub_connection(place.settings.hub) as hub, hub.transaction(), pytest.raises(Fenced):
        TableWriter(hub, place.feed.feeds["helpdesk.tickets"], "first")
    assert len(place.records("tickets")) == 1


def test_a_row_that_is_too_large_holds_up_no_other_table(place: FeedPlace, desk: Helpdesk) -> None:
    ticket(desk, 1, 1)
    desk.put("requesters", "17", "2026-11-30T09:00:00Z", company="x" * 9_000_000)
    passes(place)
    assert "the row 17 makes a raw record of" in (place.read("requesters").problem or "")
    assert place.live("tickets").keys() == {"1"}
