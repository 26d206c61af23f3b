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


Write = Callable[..., bytes]
"""The fields of a Change, all of them, in the order of the class → value of a record."""


def change_writer(schema_ids: Mapping[str, int]) -> Write:
    """A function that writes a change on `changes.<aggregate>` from its fields. `schema_ids` are those of `register_all`.

    The function raises EncodeError for what the schema can not hold, and never writes half of it.
    """
    try:
        header = b"\x00" + schema_ids[SUBJECT].to_bytes(4, "big")
    except KeyError:
        raise ConfigError(
            f"the registry gave no id for {SUBJECT}", remedy="`opshub apply` registers the schemas"
        ) from None
    kinds: dict[str, bytes] = {kind: header + bytes((2 * number,)) for number, kind in enumerate(_KINDS)}
    ops: dict[str, bytes] = {op: bytes((2 * number,)) for number, op in enumerate(_OPS)}
    heads: dict[tuple[str, str], bytes] = {}
    systems: dict[str, bytes] = {}
    commits: dict[tuple[int, int], bytes] = {}
    transactions: dict[tuple[int, str | None, str | None], bytes] = {}
    to_json = msgspec.json.Encoder().encode
    length, some = LENGTH, SOME_LENGTH

    def kept(cache: dict[Any, bytes], key: Any, made: bytes) -> bytes:
        if len(cache) >= _CACHED:
            cache.clear()
        cache[key] = made
        return made

    def text(value: str) -> bytes:
        raw = value.encode()
        return length[len(raw)] + raw

    def optional(value: str | None) -> bytes:
        if value is None:
            return _NULL
        raw = value.encode()
        return some[len(raw)] + raw

    def write(
        kind: str, entity: str, id_: str, system: str, key: str, op: str, epoch: int, major: int, minor: int, source_us: int,
        tx: str | None, origin: str | None, parent: str | None, same_as: str | None, target: str | None, deleted: bool, hops: int,
        fields: dict[str, Any],
    ) -> bytes:  # fmt: skip
        try:
            raw_id, raw_key, body = id_.encode(), key.encode(), to_json(fields)
            # Rows of one transaction share where it was committed, when, and by whom.
            return b"".join((
                heads.get((kind, entity)) or kept(heads, (kind, entity), kinds[kind] + text(entity)),
                length[len(raw_id)], raw_id,
                systems.get(system) or kept(systems, system, text(system)),
                length[len(raw_key)], raw_key,
                ops[op],
                commits.get((epoch, major)) or kept(commits, (epoch, major), length[epoch] + varint(major)),
                varint(minor),
                transactions.get((source_us, tx, origin))
                or kept(transactions, (source_us, tx, origin), varint(source_us) + optional(tx) + optional(origin)),
                _NULL if parent is None else optional(parent),
                _NULL if same_as is None else optional(same_as),
                _NULL if target is None else optional(target),
                b"\x01" if deleted else _NULL,
                length[hops],
                length[len(body)], body,
            ))  # fmt: skip
        except Exception as error:
            raise EncodeError(f"the change of {entity} {key!r} of {system} can not be written: {error!r}") from error

    return write


def change_encoder(schema_ids: Mapping[str, int]) -> Callable[[Change], bytes]:
    """As `change_writer`, from a Change."""
    write = change_writer(schema_ids)

    def encode(change: Change) -> bytes:
        return write(
            change.kind, change.entity, change.id, change.system, change.key, change.op, change.epoch, change.major, change.minor,
            change.source_us, change.tx, change.origin, change.parent, change.same_as, change.target, change.deleted, change.hops,
            change.fields,
        )  # fmt: skip

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
