"""Parking by key, dead letters and accounts: the pure half."""

from __future__ import annotations

from typing import Any

from streams.errors import MappingError
from streams.kafka.control import CONTROL_HEADER
from streams.model.change import Position
from streams.model.kafka_record import RecordId
from streams.pipeline.batch_counts import count_outcomes
from streams.pipeline.outcomes import EmittedChange, RecordOutcome
from streams.pipeline.parking import control_of, process_in_order

TOPIC = "raw.crm.public.account"


class Record:
    def __init__(self, offset: int, key: str | None, value: str | None = "x", headers: Any = None) -> None:
        self._offset, self._key, self._value, self._headers = offset, key, value, headers

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return None if self._key is None else self._key.encode()

    def value(self) -> bytes | None:
        return None if self._value is None else self._value.encode()

    def headers(self) -> Any:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return (0, 0)


def change_at(offset: int) -> EmittedChange:
    return EmittedChange("customer", "id", None, None, False, b"", "a", "crm", Position(0, 1, offset), 0)


def process(record: RecordId, key: bytes | None, value: bytes | None) -> RecordOutcome:
    if value == b"bad":
        return RecordOutcome("dead", error=MappingError("bad"))
    return RecordOutcome("passed", (change_at(record.offset),))


def outcomes_of(records: list[Record]) -> list[RecordOutcome]:
    outcomes = []
    for record in records:
        control = control_of(record.headers())
        place = RecordId(TOPIC, 0, record.offset())
        outcomes.append(
            RecordOutcome("control", control=control) if control else process(place, record.key(), record.value())
        )
    return outcomes


class Hub:
    """The two look-ups, over dead letters as the hub would keep them."""

    def __init__(
        self, states: dict[int, str] | None = None, letters: list[tuple[int, str, bytes]] | None = None
    ) -> None:
        self.states, self.letters = states or {}, letters or []

    async def __call__(self, name: str, *parameters: Any) -> list[Any]:
        if name == "dead_letter_states":
            return [(TOPIC, 0, offset, self.states[offset]) for offset in parameters[2] if offset in self.states]
        assert name == "open_dead_letters"
        return [(0, offset, state, value, parameters[1]) for offset, state, value in self.letters]


RETRY = [(CONTROL_HEADER, b'{"kind":"retry"}')]


async def test_a_bad_record_stops_its_own_key_and_nothing_else() -> None:
    records = [
        Record(1, "a"),
        Record(2, "b", "bad"),
        Record(3, "a"),
        Record(4, "b"),
        Record(5, None, "bad"),
        Record(6, None),
    ]
    outcomes = outcomes_of(records)
    batch = await process_in_order(records, outcomes, {}, process, Hub())
    assert [change.position.minor for change in batch.changes] == [1, 3, 6]
    assert [(letter.offset, letter.state) for letter in batch.dead_letters] == [(2, "dead"), (4, "parked"), (5, "dead")]
    assert batch.parked_from == {(TOPIC, b"b"): 2}
    (account,) = count_outcomes(records, outcomes, {})
    assert (account.since, account.upto, account.passed, account.dead, account.parked) == (1, 7, 3, 2, 1)


async def test_records_in_front_of_a_dead_letter_pass_when_they_are_delivered_again() -> None:
    records = [Record(1, "b"), Record(2, "b", "bad"), Record(3, "b")]
    batch = await process_in_order(records, outcomes_of(records), {(TOPIC, b"b"): 2}, process, Hub({2: "dead"}))
    assert [change.position.minor for change in batch.changes] == [1]
    assert batch.parked_from == {}


async def test_a_settled_dead_letter_does_not_park_its_key_again() -> None:
    records = [Record(2, "b", "bad"), Record(3, "b")]
    batch = await process_in_order(records, outcomes_of(records), {}, process, Hub({2: "dropped"}))
    assert batch.dead_letters == []
    assert [change.position.minor for change in batch.changes] == [3]


async def test_a_retry_processes_the_parked_records_of_a_key_in_order_and_later_records_pass() -> None:
    records = [Record(8, "b"), Record(9, "b", None, RETRY), Record(10, "b")]
    hub = Hub(letters=[(2, "retry", b"mended"), (4, "parked", b"x")])
    batch = await process_in_order(records, outcomes_of(records), {(TOPIC, b"b"): 2}, process, hub)
    assert [change.position.minor for change in batch.changes] == [2, 4, 10]
    assert [letter.offset for letter in batch.dead_letters] == [8]
    assert batch.retried == [(TOPIC, 0, 2), (TOPIC, 0, 4)]


async def test_a_retry_stops_at_the_record_that_fails_again() -> None:
    records = [Record(9, "b", None, RETRY), Record(10, "b")]
    hub = Hub(letters=[(2, "retry", b"x"), (4, "parked", b"bad"), (5, "parked", b"x")])
    batch = await process_in_order(records, outcomes_of(records), {(TOPIC, b"b"): 2}, process, hub)
    assert batch.retried == [(TOPIC, 0, 2)]
    assert [failed.record.offset for failed in batch.retry_failures] == [4]
    assert batch.parked_from == {(TOPIC, b"b"): 4}
    assert [letter.offset for letter in batch.dead_letters] == [10]


async def test_a_dead_letter_that_nobody_retries_keeps_its_key_parked() -> None:
    records = [Record(9, "b", None, RETRY)]
    batch = await process_in_order(
        records, outcomes_of(records), {(TOPIC, b"b"): 2}, process, Hub(letters=[(2, "dead", b"x")])
    )
    assert batch.changes == [] and batch.parked_from == {}


def test_records_are_counted_once() -> None:
    records = [Record(offset, "a") for offset in range(5)]
    (account,) = count_outcomes(records, outcomes_of(records), {(TOPIC, 0): 3})
    assert (account.since, account.upto, account.passed) == (3, 5, 2)
    assert count_outcomes(records, outcomes_of(records), {(TOPIC, 0): 5}) == []
