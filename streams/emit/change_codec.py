"""`Change` ⇄ Avro (schemas/change.avsc) with the Confluent header. The hottest code of the pipeline, so written
out by hand.

Promise: the bytes are those that any Avro library writes for the same record, and a decoded change equals the
encoded one. Both ways rest on the order of the fields in change.avsc; a test compares them with fastavro and
the schema.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from streams.emit.varint import LENGTH, SOME_LENGTH, varint
from streams.errors import ConfigError, DecodeError, EncodeError
from streams.model.change import Change, ChangeOp

SUBJECT = "changes.order_flow-value"
"""The subject whose schema id stands on every change; the other change topics have the same schema."""

_KINDS: tuple[Literal["change", "link", "give", "refresh"], ...] = ("change", "link", "give", "refresh")
_OPS: tuple[ChangeOp, ...] = ("c", "u", "d", "r", "t", "part", "part_read")
_NULL = b"\x00"
_CACHED = 4096
"""Most distinct names (systems, entities) that are kept encoded."""


def change_encoder(schema_ids: Mapping[str, int]) -> Callable[[Change], bytes]:
    """A function Change → value of a record on `changes.<aggregate>`. `schema_ids` are those of `register_all`.

    The function raises EncodeError for what the schema can not hold, and never writes half of it.
    """
    try:
        header = b"\x00" + schema_ids[SUBJECT].to_bytes(4, "big")
    except KeyError:
        raise ConfigError(
            f"the registry gave no id for {SUBJECT}", remedy="`opshub apply` registers the schemas"
        ) from None
    kinds = {kind: header + bytes((2 * number,)) for number, kind in enumerate(_KINDS)}
    ops: dict[str, bytes] = {op: bytes((2 * number,)) for number, op in enumerate(_OPS)}
    heads: dict[tuple[str, str], bytes] = {}
    systems: dict[str, bytes] = {}
    to_json = msgspec.json.Encoder().encode
    length, some = LENGTH, SOME_LENGTH

    def head_of(change: Change) -> bytes:
        if len(heads) >= _CACHED:
            heads.clear()
        entity = change.entity.encode()
        made = heads[change.kind, change.entity] = kinds[change.kind] + length[len(entity)] + entity
        return made

    def system_of(change: Change) -> bytes:
        if len(systems) >= _CACHED:
            systems.clear()
        name = change.system.encode()
        made = systems[change.system] = length[len(name)] + name
        return made

    def optional(text: str | None) -> bytes:
        if text is None:
            return _NULL
        raw = text.encode()
        return some[len(raw)] + raw

    def encode(change: Change) -> bytes:
        try:
            id_ = change.id.encode()
            key = change.key.encode()
            tx, origin, parent, same_as, target = change.tx, change.origin, change.parent, change.same_as, change.target
            fields = to_json(change.fields)
            return b"".join((
                heads.get((change.kind, change.entity)) or head_of(change),
                length[len(id_)], id_,
                systems.get(change.system) or system_of(change),
                length[len(key)], key,
                ops[change.op],
                length[change.epoch], varint(change.major), varint(change.minor), varint(change.source_us),
                _NULL if tx is None else optional(tx),
                _NULL if origin is None else optional(origin),
                _NULL if parent is None else optional(parent),
                _NULL if same_as is None else optional(same_as),
                _NULL if target is None else optional(target),
                b"\x01" if change.deleted else _NULL,
                length[change.hops],
                length[len(fields)], fields,
            ))  # fmt: skip
        except Exception as error:
            raise EncodeError(
                f"the change of {change.entity} {change.key!r} of {change.system} can not be written: {error!r}"
            ) from error

    return encode


_PAIR = [n & 0x7F | n >> 1 & 0x3F80 for n in range(1 << 16)]
"""Two bytes of a varint, read least first → the 14 bits in them."""

_EIGHT_BYTES = struct.Struct("<4H").unpack_from


def change_decoder() -> Callable[[bytes], Change]:
    """A function: value of a record on `changes.<aggregate>` → Change. It raises DecodeError for all else."""
    from_json = msgspec.json.Decoder(dict[str, Any]).decode
    names: dict[bytes, str] = {}
    pair = _PAIR

    def name(raw: bytes) -> str:
        if len(names) >= _CACHED:
            names.clear()
        text = names[raw] = raw.decode()
        return text

    def long(data: bytes, at: int) -> tuple[int, int]:
        rest = shift = 0
        while True:
            byte = data[at]
            at += 1
            rest |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (rest >> 1) ^ -(rest & 1), at
            shift += 7
            if shift > 63:
                raise ValueError("an integer is longer than 64 bits")

    def time(data: bytes, at: int) -> tuple[int, int]:
        # Microseconds from 1978 to 3111 fill eight bytes.
        a, b, c, d = _EIGHT_BYTES(data, at)
        if a & b & c & 0x8080 == 0x8080 and d & 0x8080 == 0x80:
            rest = pair[a] | pair[b] << 14 | pair[c] << 28 | pair[d] << 42
            return (rest >> 1) ^ -(rest & 1), at + 8
        return long(data, at)

    def text(data: bytes, at: int) -> tuple[str, int]:
        if data[at] != 2:
            raise ValueError("a union has no such branch")
        size = data[at + 1]
        if size < 0x80:
            at += 2
            end = at + (size >> 1)
        else:
            size, at = long(data, at + 1)
            end = at + size
        return data[at:end].decode(), end

    def decode(data: bytes) -> Change:
        try:
            if data[0]:
                raise ValueError("it does not begin with the magic byte 0")
            kind = _KINDS[data[5] >> 1]
            size, at = (data[6] >> 1, 7) if data[6] < 0x80 else long(data, 6)
            end = at + size
            raw = data[at:end]
            entity = names.get(raw) or name(raw)
            size, at = (36, end + 1) if data[end] == 72 else long(data, end)
            end = at + size
            id_ = data[at:end].decode()
            size, at = (data[end] >> 1, end + 1) if data[end] < 0x80 else long(data, end)
            end = at + size
            raw = data[at:end]
            system = names.get(raw) or name(raw)
            size, at = (data[end] >> 1, end + 1) if data[end] < 0x80 else long(data, end)
            end = at + size
            key = data[at:end].decode()
            op = _OPS[data[end] >> 1]
            epoch, at = long(data, end + 1)
            major, at = long(data, at)
            minor, at = long(data, at)
            source_us, at = time(data, at)
            tx = origin = parent = same_as = target = None
            if data[at]:
                tx, at = text(data, at)
            else:
                at += 1
            if data[at]:
                origin, at = text(data, at)
            else:
                at += 1
            if data[at]:
                parent, at = text(data, at)
            else:
                at += 1
            if data[at]:
                same_as, at = text(data, at)
            else:
                at += 1
            if data[at]:
                target, at = text(data, at)
            else:
                at += 1
            deleted = data[at] == 1
            hops, at = (0, at + 2) if data[at + 1] == 0 else long(data, at + 1)
            size, at = long(data, at)
            if at + size != len(data):
                raise ValueError(f"{len(data)} bytes, where the fields end at {at + size}")
            return Change(
                kind, entity, id_, system, key, op, epoch, major, minor, source_us,
                tx, origin, parent, same_as, target, deleted, hops, from_json(data[at:]),
            )  # fmt: skip
        except Exception as error:
            raise DecodeError(f"not a change as schemas/change.avsc says: {error}") from error

    return decode
