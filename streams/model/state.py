"""What the one writer of an aggregate knows: its entities, and what each source says of them.

These values pass between rooms: `hub` loads and saves them, `resolve` and `flow` compute over them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.model.change import Position
from streams.model.ids import source_id

MAIN_ROW_MISSING = (-1, 0, 0)
"""Value of `Contribution.main_row` while only additional rows have come: smaller than every position."""

NOWHERE = Position(0, 0, 0)
"""The position of what no source said: a link by people or by a match key."""


class KeyHolder(msgspec.Struct, array_like=True, gc=False):
    """Which source row a contribution is of, for a table whose rows can hand their keys to each other.

    Within a transaction two rows may have one key, as long as a constraint is deferred. At its end one row has it. So
    that a row leaves a key says nothing of another row which has the key by then.
    """

    row: str
    """What identifies the row at its source; empty where that is not known."""
    since: tuple[int, int]
    """(epoch, major) of the transaction in which the row took the key."""
    parent: str | None = None
    """The parent that the row named."""
    others: dict[str, Contribution] | None = None
    """By row, the rows that had this key before, or have it too, as long as a late change can need them."""


class Contribution(msgspec.Struct, array_like=True, gc=False):
    """What one source record currently says of one entity, with its position.

    Some records are made of several rows: a *main row*, which creates and deletes the record, and *additional rows*,
    which only add fields to it.
    """

    system: str
    key: str
    epoch: int
    major: int
    minor: int
    source_us: int
    deleted: bool
    fields: dict[str, Any] | None
    """Canonical values. None in the hub's JSON means: the same as the golden record."""
    older: dict[str, tuple[int, int, int]] | None = None
    """Fields that a later change left out, with the position at which each was last said."""
    live: bool = False
    """Whether people made its newest change: neither a snapshot read it nor is it an echo of write-back."""
    tx: str | None = None
    """Transaction of the source that spoke last."""
    first_us: int = 0
    """When the hub first heard of this record; 0 where that is `source_us`."""
    changed: dict[str, tuple[int, int, int, int, str | None]] | None = None
    """Fields that were edited after the hub first heard of the record: (epoch, major, minor, source_us, tx) of the last
    edit of each.
    """
    main_row: tuple[int, int, int] | None = None
    """Position of the main row, where additional rows spoke last: the main row alone says whether the record exists.
    `MAIN_ROW_MISSING` while the main row has not come. None where the main row spoke last."""
    holder: KeyHolder | None = None
    """The source row that has the key; None where key and row are one."""
    claimed: tuple[int, int, int] | None = None
    """Position at which its row first named this record with `same_as`, if that is why it is here. None of the record's
    own row, and where a match key or a person joined it."""
    echo: bool = False
    """Whether write-back made its newest change."""

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.major, self.minor)

    @property
    def main_position(self) -> tuple[int, int, int]:
        """Position of the newest change of the main row."""
        return self.main_row or (self.epoch, self.major, self.minor)

    @property
    def main_row_missing(self) -> bool:
        """Whether only additional rows have come so far."""
        return self.main_row == MAIN_ROW_MISSING


class RenderedLine(dict[str, Any]):
    """A line as its document shows it, kept until the line changes.

    A document of thousands of lines is rendered whenever one line changes; only that line is made again. `body` is the
    line's Avro form, once an encoder wrote it.
    """

    __slots__ = ("body", "version")

    def __init__(self, values: dict[str, Any], version: int) -> None:
        super().__init__(values)
        self.version = version
        self.body: bytes | None = None


class EntityState(msgspec.Struct, gc=False):
    """One entity: the golden record, and the contributions that it was resolved from, by source id."""

    id: str
    entity: str
    parent: str | None = None
    merged_into: str | None = None
    """The entity that this id is another name of."""
    version: int = 0
    """Of the golden record. It grows with each change and never repeats; 0 means: no record yet."""
    revision: int = 0
    """Of the hub row. It grows with each write, and the hub refuses a write that read another revision."""
    deleted: bool = False
    updated_us: int = 0
    record: dict[str, Any] = {}
    contributions: dict[str, Contribution] = {}
    handed_over: bool = False
    """Whether another aggregate handed it over, and the refresh that follows has not come here yet."""
    rendered: RenderedLine | None = None
    """Of a line of a long document."""


class AggregateState(msgspec.Struct, gc=False):
    """All entities that share a key and a writer."""

    id: str
    kind: str
    forward: str | None = None
    """The aggregate that took this one over: whatever is sent here goes there."""
    forward_at: Position = NOWHERE
    """Position at which the source said so. What the source said before that position no longer counts."""
    members: dict[str, EntityState] = {}
    sources: dict[str, str] = {}
    """source id → entity id, for sources that contribute to an entity of another id."""
    unmerged: bool = False
    """A person decided that this record is nobody else: references and match keys do not link it."""
    waits_for: str | None = None
    """The record that this one names with `same_as` while another row of its system is that record: a person decides.
    The own id: it waited, and its row names nobody any more."""
    waits_since: Position = NOWHERE
    """Position at which its row first said so."""
    left: tuple[str, ...] = ()
    """Aggregates whose records its row named before, and left with the newest link: their writers were sent a message,
    unless the worker died before it emitted. Then it is sent again."""


class Conflict(msgspec.Struct, frozen=True):
    """Two records disagree. `winner`, `rule` and `outcome` say how the disagreement was settled."""

    aggregate_id: str
    entity: str
    entity_id: str
    field: str
    """The field, `*` for the whole record, the match key that two records claim, or `same_as`."""
    kind: str
    """owned_field_changed, concurrent_edit, disagreement, delete_update, match_key, shared_key, reference or
    invariant.
    """
    values: dict[str, Any]
    """system → its value."""
    winner: str | None
    rule: str
    outcome: str = "settled"
    """`settled` by a rule; `open`: a person has to decide; `decided` by a person; `deleted`: the owner's delete
    counts.
    """
    asserted: dict[str, tuple[str, int, str | None]] = {}
    """system → (position as epoch/major/minor, microseconds since 1970, transaction) of what it asserts."""

    @property
    def id(self) -> str:
        """The same field of the same record with the same values gives the same id."""
        values = msgspec.json.encode(self.values, order="deterministic").decode()
        return source_id("opshub", "conflict", f"{self.entity_id}/{self.field}/{values}")


class Turn(msgspec.Struct, frozen=True):
    """Write-back overwrites what people of its target entered in a field at `at_us`, by the target's clock."""

    conflict: Conflict
    target: str
    at_us: int
