"""Detects that changes of a source may be missing: a lost or recreated slot, another database, a restored backup.

In: the source as it was at the last check and as it is now, and why its connector failed, if it did. Out: the reason
why changes may be missing, in words, or None. Pure but for `read_source_state`, which asks the source.
"""

from __future__ import annotations

import re

import msgspec

from streams.capture.binlog import NAME, binlog_end, read_settings
from streams.capture.source_sql import SOURCE_SQL
from streams.hub.source_state import SourceRecord
from streams.mariadb_session import MariadbSession, Source
from streams.named_sql import fetch_rows

# Debezium's own words, and those of a MariaDB server whose binlog was purged; they have no codes. Debezium compares its
# offset with the slot or the binlog whenever the connector starts (offset.mismatch.strategy=trust_offset).
_LOST_POSITION = re.compile(
    r"(?i)no longer available on the server|saved offset is before|cannot seek to the last known offset"
    r"|can no longer (?:access|get changes from) replication slot"
    r"|could not find (?:GTID state requested|first log file name)"
)


class SourceState(msgspec.Struct, frozen=True):
    """What identifies a source and its history now."""

    system_identifier: str
    timeline: int
    slot_lsn: int | None
    """How far the slot was read (bytes of WAL), or how far the binlog goes; None without a slot or a binlog."""
    is_invalid: bool = False
    """Whether the source has removed WAL that the slot still needed."""


def read_source_state(source: Source, slot: str) -> SourceState:
    """The source as it is now. Raises psycopg.Error."""
    if isinstance(source, MariadbSession):
        return SourceState(read_settings(source).identifier, 0, binlog_end(source))
    (state,) = fetch_rows(source, SourceState, SOURCE_SQL["source_state"], {"slot": slot})
    return state


def history_name(slot: str, kind: str) -> str:
    """What keeps the changes of a source of this kind, in messages."""
    return f"the replication slot {slot}" if kind == "postgres" else NAME


def lost_changes(before: SourceRecord | None, now: SourceState, history: str) -> str | None:
    """Why changes may be missing between the last check and this one; None if they are not. `history`: what keeps them
    (`history_name`).

    At the first check, and at the first after a new epoch, only an invalid slot counts.
    """
    if now.is_invalid:
        return f"{history} is lost: the source has removed WAL that the slot still needed"
    if before is None or before.system_identifier is None:
        return None
    if before.system_identifier != now.system_identifier:
        return (
            f"the database is another one: its identifier was {before.system_identifier} and is {now.system_identifier}"
        )
    if before.timeline != now.timeline:
        return f"the database was restored or failed over: its timeline was {before.timeline} and is {now.timeline}"
    if before.slot_lsn is not None and now.slot_lsn is None:
        return f"{history} is gone"
    if before.slot_lsn is not None and now.slot_lsn is not None and now.slot_lsn < before.slot_lsn:
        return f"{history} went back"
    return None


def lost_position(failure: str) -> str | None:
    """Why changes may be missing, from the cause with which a connector failed; None for any other cause.

    This finds a slot that was dropped and made again between two checks, which `lost_changes` cannot see.
    """
    if _LOST_POSITION.search(failure) is None:
        return None
    return f"the connector cannot continue where it stopped: {failure}"
