"""Debezium's JSON envelope → RowChange, reading only the columns that the dictionary uses.

In: the topic, key and value of a raw record. Out: a `RowChange`; None for a record that is about no row (tombstone,
heartbeat, transaction marker); or DecodeError with the reason. The form of the envelope is in Debezium's documentation
of its PostgreSQL and MariaDB connectors, "Data change events". The connector must run with schemas.enable=false for
both converters.

Promises: a column that Debezium did not send (unchanged TOAST) is UNSET, never null. Nothing is cut or replaced, but a
NUL character where the dictionary allows that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from msgspec import UNSET

from streams.decode.drift import Drift, DriftWatch
from streams.decode.position import (
    FeedSource,
    MysqlSource,
    PostgresSource,
    feed_position,
    mysql_position,
    postgres_position,
)
from streams.decode.unsent import UNSENT_BYTES, is_unsent, may_hold_unsent_list
from streams.errors import DecodeError
from streams.model import limits
from streams.model.change import Position, RowChange

_NUL = b"\\u0000"
_OPS = frozenset("curdt")


_POSITIONS: dict[str, tuple[Callable[[int, Any], Position], type[msgspec.Struct]]] = {
    "postgres": (postgres_position, PostgresSource),
    "mariadb": (mysql_position, MysqlSource),
    "mysql": (mysql_position, MysqlSource),
    "feed": (feed_position, FeedSource),
}
"""Kind of the source → how its position is read, and what of `source` is read."""


class TableReader(Protocol):
    """What the decoder needs of a table; `streams.dictionary.compile.compiler.CompiledTable` is one."""

    name: str
    columns: tuple[str, ...]
    key_columns: tuple[str, ...]
    optional: tuple[str, ...]
    row_type: type[msgspec.Struct]
    key_type: type[msgspec.Struct]
    nul: str
    before_full: bool
    has_lists: bool
    lacks_required: Callable[[object], bool]

    def attribute(self, column: str) -> str: ...
    def column_missing(self, row: object) -> Exception: ...
    def wide_unsent(self, row: object) -> Exception | None: ...
    def missing(self, row: object) -> tuple[str, ...]: ...


class Dictionary(Protocol):
    """What the decoder needs of a system; `CompiledDictionary` is one."""

    system: str

    @property
    def tables(self) -> Mapping[str, TableReader]: ...

    @property
    def kind(self) -> str:
        """Kind of its database: postgres, mariadb or mysql; feed: it has none."""
        ...


class _Envelope(msgspec.Struct):
    """The form of Debezium's envelope; `before` and `after` have the row type of their table."""

    op: str
    source: Any
    before: object = None
    after: object = None


class _Table:
    """The decoders of one table."""

    __slots__ = ("attributes", "drift", "key", "key_attributes", "may_have_lists", "sends_old_rows", "table", "value")

    def __init__(self, table: TableReader, source: type, drift: DriftWatch, *, may_have_lists: bool) -> None:
        self.table = table
        self.may_have_lists = may_have_lists
        self.sends_old_rows = table.before_full
        row = table.row_type
        rows = [("before", row | None, None), ("after", row | None, None)]
        envelope: object = msgspec.defstruct("Envelope", [("op", str), ("source", source), *rows], gc=False)
        self.value: Callable[[bytes], _Envelope] = msgspec.json.Decoder(envelope).decode
        self.key = msgspec.json.Decoder(table.key_type).decode
        self.attributes = [table.attribute(c) for c in table.columns]
        self.key_attributes = [table.attribute(c) for c in table.key_columns]
        self.drift = drift


class Decoder:
    """Decodes the raw topics of one system.

    `epoch` grows when the source is re-created; `prefix` is the connector's topic.prefix. `drift` keeps each difference
    between the source's tables and the dictionary once, and `on_drift` is called with it. `escapes`: as `raw_topic` has
    it.
    """

    def __init__(
        self,
        compiled: Dictionary,
        epoch: int = 0,
        prefix: str | None = None,
        on_drift: Callable[[Drift], object] = lambda drift: None,
        *,
        escapes: bool = False,
    ) -> None:
        self.system = compiled.system
        self.epoch = epoch
        self.prefix = prefix or f"raw.{compiled.system}"
        self.drift: list[Drift] = []
        self._on_drift = on_drift
        postgres = compiled.kind == "postgres"
        self._may_hold_nul = not postgres  # Postgres refuses NUL in every text; MariaDB and MySQL do not
        self._position, source = _POSITIONS[compiled.kind]
        self._tables: dict[str, _Table] = {}
        for name, table in compiled.tables.items():
            topic = raw_topic(self.prefix, name, escapes=escapes)
            if topic in self._tables:
                raise DecodeError(
                    f"{name} and {self._tables[topic].table.name} share the topic {topic}",
                    remedy="`opshub plan` says how each gets a topic of its own",
                )
            # Only the Postgres connector makes a list or bytes of the placeholder: see unsent.py.
            may_have_lists = postgres and table.has_lists
            self._tables[topic] = _Table(table, source, DriftWatch(table, self._drifted), may_have_lists=may_have_lists)

    @property
    def topics(self) -> tuple[str, ...]:
        """The raw topics of the tables that the dictionary reads."""
        return tuple(self._tables)

    def decode(self, topic: str, key: bytes | None, value: bytes | None) -> RowChange | None:
        """One raw record. Raises DecodeError; ColumnMissing (a MappingError) while the source no longer sends a
        required column, WideUnsent (another) for an update that leaves out a wide value without which it has no place.
        """
        if value is None:
            return None
        entry = self._tables.get(topic)
        if entry is None:
            self._other(topic)
            return None
        try:
            event = entry.value(value)
            keys = entry.key(key) if key is not None else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError(f"{topic}: not a Debezium event: {error}", remedy=_remedy(value)) from None
        op: Any = event.op
        source = event.source
        after, before = event.after, event.before
        if op not in _OPS:
            if op == "m":
                return None
            raise DecodeError(f"{topic}: unknown op {op!r}", remedy="this version knows c, u, r, d and t")
        row = after if after is not None else before
        lost: tuple[str, ...] = ()
        if row is None:
            if op != "t" and (op != "d" or keys is None):
                raise DecodeError(
                    f"{topic}: an event of kind {op!r} without a row",
                    remedy="the connector must send whole rows, not flattened ones",
                )
        else:
            if op == "d":
                if after is not None:
                    raise DecodeError(f"{topic}: a delete with a row after it", remedy="look at the raw record")
            elif after is None:
                raise DecodeError(f"{topic}: an event of kind {op!r} without a row", remedy="look at the raw record")
            elif entry.table.lacks_required(after):
                entry.drift.lacking(value)
                raise entry.table.column_missing(after)
            if UNSENT_BYTES in value or (entry.may_have_lists and may_hold_unsent_list(value)):
                _scrub(entry, after, before)
                if after is not None and (missing := entry.table.wide_unsent(after)) is not None:
                    raise missing
                if op == "c":
                    lost = entry.table.missing(after)
            if self._may_hold_nul and _NUL in value:
                _nul(entry, topic, after, before)
            if len(value) > limits.TEXT:
                _length(entry, topic, row)
        micros = source.ts_us
        if micros is None:
            micros = (source.ts_ms or 0) * 1000
        entry.drift.sample(micros, value)
        try:
            position = self._position(self.epoch, source)
        except (ValueError, TypeError) as error:
            raise DecodeError(
                f"{topic}: no position in the source: {error}",
                remedy="the connector must send `source` as Debezium makes it",
            ) from None
        tx = source.txId
        return RowChange(
            self.system,
            entry.table.name,
            op,
            keys if keys is not None else self._key(entry, row),
            before,
            after,
            position,
            micros,
            None if tx is None else str(tx),
            source.origin,
            key if entry.sends_old_rows else None,
            lost,
        )

    def _drifted(self, drift: Drift) -> None:
        self.drift.append(drift)
        self._on_drift(drift)

    def _key(self, entry: _Table, row: object) -> object:
        """The key of a record that has none (a table without a primary key): its columns, from the row."""
        if row is None:
            return None
        return entry.table.key_type(**{a: getattr(row, a) for a in entry.key_attributes})

    def _other(self, topic: str) -> None:
        """Accepts topics that are about no rows; raises DecodeError for a table that no dictionary reads."""
        rest = topic.removeprefix(f"{self.prefix}.")
        heartbeat = topic.endswith(f".{self.prefix}") and "heartbeat" in topic
        if heartbeat or rest in ("transaction", "message") or topic == self.prefix:
            return None
        raise DecodeError(
            f"the dictionary of {self.system} reads no table with the topic {topic}",
            remedy="list the table in dictionary.yaml, or take it out of the publication",
        )


def raw_topic(prefix: str, table: str, *, escapes: bool = False) -> str:
    """The topic of a table, as Debezium names it: what Kafka does not allow becomes an underscore. With `escapes`
    (SchemaUnicodeTopicNamingStrategy) it becomes the character's number, and so does an underscore: `_u005f`.
    """
    allowed = ".-" if escapes else "._-"
    name = []
    for char in f"{prefix}.{table}":
        if char.isascii() and (char.isalnum() or char in allowed):
            name.append(char)
            continue
        # Java's characters are units of UTF-16: one beyond U+FFFF is two.
        units = char.encode("utf-16-be")
        numbers = (int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))
        name += [_escaped(number) if escapes else "_" for number in numbers]
    return "".join(name)


def _escaped(number: int) -> str:
    digits = f"{number:x}"
    return f"_u{'00' if len(digits) <= 2 else ''}{digits}"


def _remedy(value: bytes) -> str:
    if b'"payload"' in value[:200_000] and b'"schema"' in value[:200]:
        return "set key.converter.schemas.enable and value.converter.schemas.enable to false"
    return "raw topics hold Debezium's JSON envelope (op, before, after, source), not flattened by a transform"


def _scrub(entry: _Table, *rows: object) -> None:
    """Put UNSET where Debezium put its placeholder for an unchanged TOAST value."""
    for row in rows:
        if row is not None:
            for attribute in entry.attributes:
                if is_unsent(getattr(row, attribute)):
                    setattr(row, attribute, UNSET)


def _nul(entry: _Table, topic: str, *rows: object) -> None:
    """Rejects a NUL character, which Postgres cannot store in a text; with `nul: strip` in the dictionary, removes
    it.
    """
    for row in rows:
        if row is not None:
            for column, attribute in zip(entry.table.columns, entry.attributes, strict=True):
                value = getattr(row, attribute)
                if value.__class__ is str and "\0" in value:
                    if entry.table.nul != "strip":
                        raise DecodeError(
                            f"{topic}: {column} holds a NUL character",
                            remedy=f"say `nul: strip` for {entry.table.name} in dictionary.yaml, or mend the row",
                        )
                    setattr(row, attribute, value.replace("\0", ""))


def _length(entry: _Table, topic: str, row: object) -> None:
    for column, attribute in zip(entry.table.columns, entry.attributes, strict=True):
        value = getattr(row, attribute)
        if value.__class__ is str and len(value) > limits.TEXT:
            raise DecodeError(
                f"{topic}: {column} is a text of {len(value)} characters, more than {limits.TEXT}",
                remedy="do not map this column; nothing is cut",
            )
