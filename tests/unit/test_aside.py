"""Parking by key, dead letters and accounts: the pure half."""

from __future__ import annotations

from typing import Any

from streams.errors import MappingError
from streams.kafka.control import CONTROL_HEADER
from streams.model.change import Position
from streams.pipeline.parking import Read, Told, accounts, control_of, in_order

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


def told(offset: int) -> Told:
    return Told("customer", "id", None, None, False, b"", "a", "crm", Position(0, 1, offset), 0)


def read(topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None) -> Read:
    return Read("dead", error=MappingError("bad")) if value == b"bad" else Read("passed", (told(offset),))


def reads_of(records: list[Record]) -> list[Read]:
    found = []
    for one in records:
        control = control_of(one.headers())
        found.append(
            Read("control", control=control) if control else read(TOPIC, 0, one.offset(), one.key(), one.value())
        )
    return found


class Hub:
    """The two look-ups, over letters as they would be stored."""

    def __init__(
        self, states: dict[int, str] | None = None, letters: list[tuple[int, str, bytes]] | None = None
    ) -> None:
        self.states, self.letters = states or {}, letters or []

    async def __call__(self, name: str, *parameters: Any) -> list[Any]:
        if name == "letter_states":
            return [(TOPIC, 0, offset, self.states[offset]) for offset in parameters[2] if offset in self.states]
        assert name == "open_letters"
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
    reads = reads_of(records)
    taken = await in_order(records, reads, {}, read, Hub())
    assert [one.position.minor for one in taken.told] == [1, 3, 6]
    assert [(letter[2], letter[8]) for letter in taken.letters] == [(2, "dead"), (4, "parked"), (5, "dead")]
    assert taken.waiting == {(TOPIC, b"b"): 2}
    (account,) = accounts(records, reads, {})
    assert (account.since, account.upto, account.passed, account.dead, account.parked) == (1, 7, 3, 2, 1)


async def test_records_in_front_of_the_dead_one_flow_when_they_are_delivered_again() -> None:
    records = [Record(1, "b"), Record(2, "b", "bad"), Record(3, "b")]
    taken = await in_order(records, reads_of(records), {(TOPIC, b"b"): 2}, read, Hub({2: "dead"}))
    assert [one.position.minor for one in taken.told] == [1]
    assert taken.waiting == {}


async def test_what_a_person_dealt_with_does_not_park_its_key_again() -> None:
    records = [Record(2, "b", "bad"), Record(3, "b")]
    taken = await in_order(records, reads_of(records), {}, read, Hub({2: "dropped"}))
    assert taken.letters == []
    assert [one.position.minor for one in taken.told] == [3]


async def test_a_retry_takes_all_that_waits_in_order_and_what_comes_behind_flows() -> None:
    records = [Record(8, "b"), Record(9, "b", None, RETRY), Record(10, "b")]
    hub = Hub(letters=[(2, "retry", b"mended"), (4, "parked", b"x")])
    taken = await in_order(records, reads_of(records), {(TOPIC, b"b"): 2}, read, hub)
    assert [one.position.minor for one in taken.told] == [2, 4, 10]
    assert [letter[2] for letter in taken.letters] == [8]
    assert taken.done == [(TOPIC, 0, 2), (TOPIC, 0, 4)]


async def test_a_retry_stops_at_what_fails_again() -> None:
    records = [Record(9, "b", None, RETRY), Record(10, "b")]
    hub = Hub(letters=[(2, "retry", b"x"), (4, "parked", b"bad"), (5, "parked", b"x")])
    taken = await in_order(records, reads_of(records), {(TOPIC, b"b"): 2}, read, hub)
    assert taken.done == [(TOPIC, 0, 2)]
    assert [one[5] for one in taken.failed] == [4]
    assert taken.waiting == {(TOPIC, b"b"): 4}
    assert [letter[2] for letter in taken.letters] == [10]


async def test_what_was_not_asked_for_keeps_its_key() -> None:
    records = [Record(9, "b", None, RETRY)]
    taken = await in_order(records, reads_of(records), {(TOPIC, b"b"): 2}, read, Hub(letters=[(2, "dead", b"x")]))
    assert taken.told == [] and taken.waiting == {}


def test_what_was_counted_is_not_counted_again() -> None:
    records = [Record(offset, "a") for offset in range(5)]
    (account,) = accounts(records, reads_of(records), {(TOPIC, 0): 3})
    assert (account.since, account.upto, account.passed) == (3, 5, 2)
    assert accounts(records, reads_of(records), {(TOPIC, 0): 5}) == []
