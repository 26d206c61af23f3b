"""Files become raw records: each once, whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from streams.provision.source_file import Files
from streams.sources.files import FileOutcome, take_files
from streams.sources.reader import hub_connection
from streams.stack.native import NativeStack
from tests.integration.feed_place import FeedPlace
from tests.integration.helpdesk import open_helpdesk

pytestmark = pytest.mark.timeout(300)
HEADER = "number;requester;title;ends_on;value\n"


@pytest.fixture(scope="module")
def place(stack: NativeStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeedPlace]:
    with open_helpdesk() as desk:
        yield FeedPlace(stack, desk, tmp_path_factory.mktemp("feeds"))


@pytest.fixture(autouse=True)
def _empty(place: FeedPlace) -> None:
    for path in place.files.iterdir():
        path.unlink()


def take(place: FeedPlace, **more: object) -> list[FileOutcome]:
    files = place.feed.source.tables["helpdesk.contracts"].file
    assert files is not None
    changed: Files = files.model_copy(update=more)
    feed = place.feed.feeds["helpdesk.contracts"]
    outcomes = take_files(changed, feed, lambda: hub_connection(place.settings.hub), None)
    place.sender.send(place.name)
    return outcomes


def write(place: FeedPlace, name: str, text: str, encoding: str = "gb18030") -> Path:
    path = place.files / name
    path.write_bytes(text.encode(encoding))
    return path


def test_a_full_file_makes_and_deletes_rows_and_is_taken_once(place: FeedPlace) -> None:
    write(place, "contracts-1.csv", HEADER + "C-1;17;Wartung 服务;2027-01-31;12.50\nC-2;17;;2027-02-28;7\n")
    (outcome,) = take(place)
    assert (outcome.rows, outcome.problem) == (2, None)
    live = place.live("contracts")
    assert live["C-1"] | {"ends_on": None} == {
        "number": "C-1",
        "requester": "17",
        "title": "Wartung 服务",
        "ends_on": None,
        "value": "12.50",
    }
    assert live["C-1"]["ends_on"] == 20849  # days since 1970, as Debezium sends a date
    assert live["C-2"]["title"] is None
    assert take(place) == []
    (place.files / "contracts-1.csv").rename(place.files / "contracts-1-copy.csv")
    assert take(place) == [], "the same content under another name"
    write(place, "contracts-2.csv", HEADER + "C-2;17;;2027-02-28;7\nC-3;18;Neu;2028-01-01;9\n")
    take(place)
    assert place.live("contracts").keys() == {"C-2", "C-3"}
    assert [one["op"] for one in place.records("contracts")] == ["c", "c", "c", "d"]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("X-40000;17", "line 40000, column title: it has 2 fields, and there are 5 columns"),
        ("X-40000;17;a;2027-13-01;1", "line 40000, column ends_on: '2027-13-01' is no date"),
        ("X-40000;17;a;2027-12-01;1,5", "line 40000, column value: '1,5' is no number"),
        (";17;a;2027-12-01;1", "line 40000, column number: the key is missing"),
        ("X-3;17;a;2027-12-01;1", "line 40000, column number: its key stands in line 3, too"),
        ('X-40000;17;"a"b;2027-12-01;1', "line 40000: it is no CSV"),
    ],
)
def test_a_broken_line_40000_refuses_the_whole_file(place: FeedPlace, broken: str, says: str) -> None:
    before = place.live("contracts")
    lines = [f"X-{number};17;Wartung;2027-01-31;1" for number in range(2, 40_000)]
    write(place, "contracts-9.csv", HEADER + "\n".join([*lines, broken, "X-50000;17;a;2027-12-01;1"]) + "\n")
    (outcome,) = take(place, most_deletes=1.0)
    assert outcome.problem is not None and says in outcome.problem
    assert place.live("contracts") == before
    again = take(place, most_deletes=1.0)
    assert [one.problem for one in again] == [outcome.problem], "it stays refused, and is not read again"


def test_bytes_of_another_encoding_are_refused_with_their_place(place: FeedPlace) -> None:
    (place.files / "contracts-8.csv").write_bytes(
        HEADER.encode() + b"C-1;17;ok;2027-01-31;1\nC-2;17;\xff\xff;2027-01-31;1\n"
    )
    (outcome,) = take(place)
    assert "line 3, column at character 8: it is not gb18030" in (outcome.problem or "")


def test_a_file_that_grows_while_it_is_read_is_left_for_later(
    place: FeedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(place, "contracts-7.csv", HEADER + "G-1;17;a;2027-01-31;1\n")
    real = hashlib.sha256

    def grow() -> Any:
        with path.open("ab") as stream:
            stream.write(b"G-2;17;a;2027-01-31;1\n")
        return real()

    monkeypatch.setattr("streams.sources.files.hashlib.sha256", grow)
    assert take(place, most_deletes=1.0) == []
    monkeypatch.undo()
    (outcome,) = take(place, most_deletes=1.0)
    assert outcome.rows == 2


def test_a_file_that_has_not_settled_is_left_for_later(place: FeedPlace) -> None:
    write(place, "contracts-6.csv", HEADER + "S-1;17;a;2027-01-31;1\n")
    assert take(place, settled=timedelta(hours=1)) == []


def test_a_full_file_that_lacks_most_rows_is_refused(place: FeedPlace) -> None:
    write(place, "contracts-4.csv", HEADER + "".join(f"M-{n};17;a;2027-01-31;1\n" for n in range(40)))
    take(place, most_deletes=1.0)
    write(place, "contracts-5.csv", HEADER + "M-1;17;a;2027-01-31;1\n")
    (outcome,) = take(place)
    assert "looks incomplete" in (outcome.problem or "")
    assert len(place.live("contracts")) == 40


def test_a_delta_deletes_what_it_says(place: FeedPlace) -> None:
    write(place, "contracts-a.csv", HEADER + "D-1;17;a;2027-01-31;1\nD-2;17;a;2027-01-31;1\n")
    take(place, mode="delta")
    write(place, "contracts-b.csv", HEADER + "D-1;17;GONE;2027-01-31;1\n")
    take(place, mode="delta", deleted={"title": "GONE"})
    live = place.live("contracts")
    assert "D-1" not in live and "D-2" in live
