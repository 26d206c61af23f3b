"""What ingest puts aside, in order: dead letters, the records of a key that wait behind one, and how every record counts.

In: what became of each record of a batch by itself (`Read`). Out: a `Taken`: what flows on, letters to store, letters that were tried
again, keys that wait or no longer wait. Pure but for the look-ups that only a batch with trouble in it needs.

Promises. A record that fails stops its own key only. A record of a key that waits is never mapped before those in front
of it. What is known of a record (retried, dropped) holds when it is delivered again. A letter that passes is marked done
after its changes are committed: a crash between the two maps it again, and positions make that harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from streams.errors import BadRecord, OpshubError
from streams.hub.ingest_checkpoint import Account, Failed, Letter, Noted
from streams.identity.cache import Lookup
from streams.kafka.control import CONTROL_HEADER, Control
from streams.model.change import Position

MAX_REASON = 2000

Key = tuple[str, bytes]


ReadLetter = Callable[[str, int, int, bytes | None, bytes | None], "Read"]
"""(topic, partition, offset, key, value) → what becomes of a stored record now."""


class Told(NamedTuple):
    """One record that a row tells, with what is to be known to send it on. The row is not kept: a batch of rows takes many times that."""

    entity: str
    id: str
    parent: str | None
    same_as: str | None
    deleted: bool
    value: bytes
    """The change, as a message to assemble."""
    key: str
    system: str
    position: Position
    source_us: int


class Sweep(NamedTuple):
    """Delete what the table of `topic` said before `position`."""

    topic: str
    position: Position
    source_us: int
    note: bool
    """Whether it is to be done again later, for what was still under way."""


class Read(NamedTuple):
    """What became of one record by itself. kind: passed, filtered, tombstones, dead, parked or control."""

    kind: str
    told: Sequence[Told] = ()
    error: Exception | None = None
    control: Control | None = None
    notes: Sequence[Noted] = ()
    sweep: Sweep | None = None
    """What a table that was emptied asks for."""


class Taken(msgspec.Struct):
    """What a batch comes to."""

    told: list[Told] = []
    letters: list[Letter] = []
    failed: list[Failed] = []
    done: list[tuple[str, int, int]] = []
    sweeps: list[Sweep] = []
    accounts: list[Account] = []
    notes: list[Noted] = []
    waiting: dict[Key, int | None] = {}
    """Keys whose state changed: the offset of the first record that others wait for, or None when nothing waits any more."""
    linked: dict[str, str] = {}
    """Record → the aggregate in which it was told that it lives."""


def control_of(headers: Iterable[tuple[str, bytes]] | None) -> Control | None:
    """What a record without a value asks for, if opshub wrote it."""
    for name, value in headers or ():
        if name == CONTROL_HEADER:
            return msgspec.json.decode(value, type=Control)
    return None


def explained(error: BaseException) -> tuple[str, str, str]:
    """(stage, class, reason) of an error, for a person."""
    stage = error.stage if isinstance(error, BadRecord) else "unknown"
    reason = f"{error}; {error.remedy}" if isinstance(error, OpshubError) and error.remedy else str(error)
    return stage, type(error).__name__, reason[:MAX_REASON].replace("\0", "\\0")


async def in_order(
    records: Sequence[Any],
    reads: list[Read],
    waiting: dict[Key, int],
    read: ReadLetter,
    lookup: Lookup,
) -> Taken:
    """Go through a batch that has trouble in it, record by record. Corrects `reads` where a record has to wait."""
    taken = Taken()
    now = dict(waiting)
    bad = [
        (record.topic(), record.partition(), record.offset())
        for record, one in zip(records, reads, strict=True)
        if one.error is not None
    ]
    known: dict[tuple[str, int, int], str] = {}
    if bad:
        columns = [list(column) for column in zip(*bad, strict=True)]
        known = {
            (topic, partition, offset): state
            for topic, partition, offset, state in await lookup("letter_states", *columns)
        }
    for index, (record, one) in enumerate(zip(records, reads, strict=True)):
        topic, partition, offset, raw = record.topic(), record.partition(), record.offset(), record.key()
        key = (topic, raw) if raw is not None else None
        if one.control is not None:
            if one.control.kind == "retry":
                await _again(topic, raw, now, taken, read, lookup)
            elif one.control.kind == "sweep":
                taken.sweeps.append(Sweep(topic, Position(*one.control.position), 0, False))
            continue
        if one.kind == "tombstones":
            continue
        first = now.get(key) if key is not None else None
        if first is not None and offset > first:
            reads[index] = Read("parked")
            taken.letters.append(
                (
                    topic,
                    partition,
                    offset,
                    raw,
                    record.value(),
                    "",
                    "",
                    "waits for an earlier record of its key",
                    "parked",
                )
            )
        elif one.error is not None:
            if known.get((topic, partition, offset)) in ("retried", "dropped"):
                continue
            taken.letters.append((topic, partition, offset, raw, record.value(), *explained(one.error), "dead"))
            if key is not None:
                now[key] = offset
        elif one.sweep is not None:
            taken.sweeps.append(one.sweep)
        else:
            taken.told += one.told
    for key in now.keys() | waiting.keys():
        if now.get(key) != waiting.get(key):
            taken.waiting[key] = now.get(key)
    return taken


async def _again(
    topic: str,
    raw: bytes | None,
    now: dict[Key, int],
    taken: Taken,
    read: ReadLetter,
    lookup: Lookup,
) -> None:
    """Try what waits for a key, in order, up to the first that was not asked for or fails again."""
    blocked: int | None = None
    for partition, offset, state, value, key in await lookup("open_letters", topic, raw):
        if state == "dead":
            if raw is None:
                continue
            blocked = offset
            break
        one = read(topic, partition, offset, key, value)
        if one.error is not None:
            taken.failed.append((*explained(one.error), topic, partition, offset))
            if raw is None:
                continue
            blocked = offset
            break
        taken.told += one.told
        taken.notes += one.notes
        taken.done.append((topic, partition, offset))
    if raw is not None:
        if blocked is None:
            now.pop((topic, raw), None)
        else:
            now[topic, raw] = blocked


def accounts(records: Sequence[Any], reads: list[Read], upto: dict[tuple[str, int], int]) -> list[Account]:
    """How a batch counts, by partition, leaving out offsets before `upto`, which are counted."""
    found: dict[tuple[str, int], Account] = {}
    account: Account | None = None
    topic, partition, counted = "", -1, 0
    for record, one in zip(records, reads, strict=True):
        offset = record.offset()
        if record.partition() != partition or record.topic() != topic:
            topic, partition = record.topic(), record.partition()
            counted, account = upto.get((topic, partition), 0), found.get((topic, partition))
        if offset < counted:
            continue
        if account is None:
            account = found[topic, partition] = Account(topic, partition, offset, offset)
        account.upto = offset + 1
        kind = one.kind
        if kind == "passed":
            account.passed += 1
        else:
            setattr(account, kind, getattr(account, kind) + 1)
    return list(found.values())


def noted(
    records: Sequence[Any], reads: list[Read], upto: dict[tuple[str, int], int], also: list[Noted]
) -> list[Noted]:
    """What was mended in a batch, each kind once with its count; what stands before `upto` is counted."""
    found: dict[tuple[str, str, str, str], Noted] = {}
    fresh = (
        note
        for record, one in zip(records, reads, strict=True)
        if one.notes and record.offset() >= upto.get((record.topic(), record.partition()), 0)
        for note in one.notes
    )
    for note in (*fresh, *also):
        known = found.setdefault((note.system, note.tbl, note.field, note.kind), note)
        if known is not note:
            note.count += known.count
            found[note.system, note.tbl, note.field, note.kind] = note
    return list(found.values())
