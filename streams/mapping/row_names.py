"""Names the source row of each record, for tables whose rows can hand their keys to each other.

That takes a key which the source checks late (a deferrable constraint), or which it does not check at all. In both
cases it sends whole old rows. Where the record's key is not the message's key, the message's key identifies the row.
Where it is, or where there is none, only the row's values distinguish two rows that have one key for a moment.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b

import msgspec

from streams.model.change import Mapped, RowChange

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class RowNames:
    """For one table: `key_columns` are those of its key, `with_own_key` the entities that are keyed by others."""

    def __init__(self, key_columns: Collection[str], with_own_key: Collection[str]) -> None:
        self._key_columns = frozenset(key_columns)
        self._with_own_key = frozenset(with_own_key)

    def added_to(self, mapped: list[Mapped], change: RowChange) -> list[Mapped]:
        """The same records, each with the name of its row."""
        if not mapped or change.op == "t":
            return mapped
        moved = any(record.deleted for record in mapped)
        return [self._named(record, change, moved) for record in mapped]

    def _named(self, record: Mapped, change: RowChange, moved: bool) -> Mapped:
        if record.adds_fields:
            return record
        key = change.message_key
        if key is not None and (record.entity in self._with_own_key or not self._is_keyed_by_message(key)):
            return msgspec.structs.replace(record, row=key.decode("utf-8", "backslashreplace"))
        if change.op == "r" or (change.op == "u" and not moved):
            return record
        row = change.before if record.deleted else change.after
        if row is None:
            return record
        return msgspec.structs.replace(record, row="#" + blake2b(_encode(row), digest_size=8).hexdigest())

    def _is_keyed_by_message(self, key: bytes) -> bool:
        return _decode(key).keys() == self._key_columns
