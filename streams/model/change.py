"""What travels on the walk before it is a canonical record.

`RowChange` is one captured row change as the source system said it. `Mapped` is what the dictionary
made of it. `Change` is what ingest sends to assemble: a `Mapped` with its position and its aggregate.

A field that is missing from `fields` was not said by the source (Debezium left out an unchanged TOAST
value): it leaves what is known alone. A field that is None was said to be empty. The same holds for each entry of the
map `attributes`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import msgspec

UNCHANGED = msgspec.UNSET
"""A column that the source did not send: unlike None, it says nothing."""

TOAST_PLACEHOLDER = "__debezium_unavailable_value"

Op = Literal["c", "u", "d", "r", "t"]
"""create, update, delete, read (by a snapshot), truncate: the letters that Debezium uses."""

ChangeKind = Literal["change", "link", "give", "refresh", "elsewhere", "claim"]

ChangeOp = Literal["c", "u", "d", "r", "t", "part", "part_read", "merged", "merged_read"]
"""An `Op`, or: the row only adds fields to a record that another row makes (`part`), or its system merged it into the
record that it names with `same_as` (`merged`). `…_read`: as a snapshot read it.
"""

MERGED_ROWS = ("merged", "merged_read")
READ_BY_SNAPSHOT = ("r", "part_read", "merged_read")

Value = str | int | bool | list[str] | dict[str, str | None] | None
"""A canonical value: decimals are integers unscaled by the field's scale, timestamps are microseconds
since 1970 in UTC, dates are days since 1970, references are the 36-character text of a source id."""


Long = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer that fits the hub's bigint."""


class Position(NamedTuple):
    """Where in its source a change happened; totally ordered for one source, by comparing tuples.

    epoch: grows when the source is re-created. For Postgres, `major` is the LSN of the commit before
    this one (0 in the first snapshot) and `minor` the LSN of the row; for MariaDB the number
    of the binlog file, and the offset in it with the row.
    """

    epoch: int
    major: int
    minor: int


class RowChange(msgspec.Struct, frozen=True, gc=False):
    """One captured row change: op, key, before, after, position, origin.

    `key` always is there. `before` is what the source sent of it (often only the key columns, or None); `after` is None
    for a delete. Both are struct instances with one attribute for each column that the dictionary reads.
    """

    system: str
    table: str
    op: Op
    key: Any
    before: Any
    after: Any
    position: Position
    source_us: int
    """Commit time at the source, microseconds since 1970."""
    tx: str | None
    origin: str | None
    """Replication origin: who wrote it, where the source can tell; None is an ordinary user."""
    message_key: bytes | None = None
    """The message's key as it came, of a table whose whole old rows are sent; None elsewhere, and without a key."""
    lost: tuple[str, ...] = ()
    """Columns whose unchanged wide values were not sent with a row that has a new primary key: not known under it."""


class Mapped(msgspec.Struct, frozen=True, gc=False):
    """One canonical entity as one row says it."""

    entity: str
    key: str
    """The key in the source system, as text; the parts of a composite key are joined by '|'."""
    id: str
    """source_id(system, entity, key)."""
    fields: dict[str, Any]
    deleted: bool = False
    parent: str | None = None
    """Source id of the record through which this one joins its aggregate (a line's order)."""
    same_as: str | None = None
    """Source id of the record in another system that this row says it is."""
    adds_fields: bool = False
    """The row only adds fields to a record that another row makes: it says nothing of whether the record is there."""
    row: str | None = None
    """What identifies the source row, where rows can hand keys to each other; see `Change.row`."""
    merges: bool = False
    """`same_as` is a record of the same system, which merges records of its own."""


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What ingest sends to the one writer of an aggregate; on the wire as `streams.emit.change_codec` writes it.

    New fields go to the end and have a default: workers of two versions read each other's messages.

    kind: `change` an entity changed; `link` the record `id` lives in aggregate `target` from now on (with entity and
    parent empty: a master record is the same as another when `same`); `give` hand the entity `id` over to aggregate
    `target`, then pass this change on; `refresh` what the hub knows of this aggregate changed, read it again;
    `elsewhere` the order line `id`, which documents of this aggregate name, lives in aggregate `target`; `claim` the
    record `id` waits to be the record `same_as`, since this position.
    """

    kind: ChangeKind
    entity: str
    id: str
    system: str = ""
    key: str = ""
    op: ChangeOp = "u"
    epoch: Long = 0
    major: Long = 0
    minor: Long = 0
    source_us: Long = 0
    tx: str | None = None
    origin: str | None = None
    parent: str | None = None
    same_as: str | None = None
    target: str | None = None
    deleted: bool = False
    hops: int = 0
    fields: dict[str, Any] = {}
    row: str | None = None
    """What identifies the source row, where rows of its table can hand their keys to each other. A text that begins
    with `#` is made of the row's values, and identifies it within a transaction only."""


class Resnapshot(NamedTuple):
    """Rows of a table that their source is to send again: those that meet `condition` (SQL) with `value`."""

    system: str
    table: str
    condition: str
    value: str
