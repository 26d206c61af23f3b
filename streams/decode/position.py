"""Where in its source an event happened, as a `Position`."""

from __future__ import annotations

import re

import msgspec

from streams.mariadb_session import MARK
from streams.model.change import Position


class PostgresSource(msgspec.Struct, gc=False):
    """What is read of `source` in an event of Debezium's PostgreSQL connector."""

    lsn: int | None = None
    sequence: str | None = None
    txId: int | str | None = None
    origin: str | None = None
    ts_us: int | None = None
    ts_ms: int | None = None
    snapshot: str | bool | None = None


class MysqlSource(msgspec.Struct, gc=False):
    """What is read of `source` in an event of Debezium's MariaDB and MySQL connectors."""

    file: str | None = None
    pos: int | None = None
    row: int | None = None
    gtid: str | None = None
    server_id: int | None = None
    ts_us: int | None = None
    ts_ms: int | None = None
    snapshot: str | bool | None = None

    @property
    def origin(self) -> str | None:
        """A binlog knows no replication origins. What write-back writes has a server id of its own (`MARK`)."""
        return "opshub" if self.server_id == MARK else None

    @property
    def txId(self) -> str | None:
        return self.gtid


class FeedSource(msgspec.Struct, gc=False):
    """What is read of `source` in a record of a system without a database (`streams/sources/rows.py`)."""

    position: int | None = None
    ts_us: int | None = None
    ts_ms: int | None = None
    snapshot: str | bool | None = None
    origin: str | None = None

    @property
    def txId(self) -> None:
        return None


_STREAMED = (None, False, "false", "incremental")
_new = tuple.__new__
_FILE = re.compile(r"\.(\d+)$")


def postgres_position(epoch: int, source: PostgresSource) -> Position:
    """(epoch, LSN of the commit before, LSN of the row).

    Debezium writes both as `sequence`, a JSON array as text: '["24023119","24023128"]', the first null before any
    commit was seen. The row's LSN alone does not follow the order of the stream: a transaction that began early and
    commits late has rows with a smaller LSN than one that committed before it, and than a snapshot's. The LSN of the
    last commit never falls in a stream. Rows of the first snapshot come before all: (epoch, 0, 0).
    """
    if source.snapshot not in _STREAMED:
        return Position(epoch, 0, 0)
    sequence, row = source.sequence, source.lsn
    if sequence is not None and row is not None:
        last = sequence[2:-2].partition('","')[0]
        if last.isdigit():
            return _new(Position, (epoch, int(last), row))
    if sequence is None:
        if source.lsn is None:
            raise ValueError("neither sequence nor lsn")
        return Position(epoch, 1, source.lsn)
    last, comma, lsn = sequence[1:-1].partition(",")
    if not comma:
        raise ValueError(f"sequence {sequence!r}")
    last, lsn = last.strip(' "'), lsn.strip(' "')
    return Position(epoch, 1 if last == "null" else int(last), (source.lsn or 0) if lsn == "null" else int(lsn))


def mysql_position(epoch: int, source: MysqlSource) -> Position:
    """(epoch, number of the binlog file, offset in it * 65,536 + row of the event)."""
    if source.snapshot not in _STREAMED:
        return Position(epoch, 0, 0)
    match = _FILE.search(source.file or "")
    if match is None or source.pos is None:
        raise ValueError(f"binlog file {source.file!r}, offset {source.pos!r}")
    return Position(epoch, int(match.group(1)), source.pos * 65_536 + min(source.row or 0, 65_535))


def feed_position(epoch: int, source: FeedSource) -> Position:
    """(epoch, 1, the position that the hub gave to the change)."""
    if source.position is None:
        raise ValueError("no position")
    return Position(epoch, 1, source.position)
