"""`Change` ⇄ the value of a record on `changes.<aggregate>`: one version byte, then the Change as a MessagePack array.

The topics `changes.*` are internal: only opshub's own workers write and read them. So their form follows what these
workers do fastest. MessagePack by msgspec takes a third of the time that Avro took (docs/decisions.md, 2026-11-30).

Promises: a decoded change equals the encoded one. A field is only ever appended to `Change`, with a default, so that
this version reads what an older one wrote. What cannot be read that way gets a new version byte. Bytes that are no
change raise DecodeError, and so become a dead letter.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from streams.emit.avro_change import MAGIC as AVRO_MAGIC
from streams.emit.avro_change import decode_avro_change
from streams.errors import DecodeError, EncodeError
from streams.model.change import Change, ChangeKind, ChangeOp

VERSION = b"\x01"
"""First byte of a value. 0 is taken: the Confluent header of the Avro form begins with it."""

_KINDS = frozenset(get_args(ChangeKind))
_OPS = frozenset(get_args(ChangeOp))
_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1
"""The hub keeps positions as bigint."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Change).decode


def encode_change(change: Change) -> bytes:
    """The value of a record on `changes.<aggregate>`. Raises EncodeError for what `decode_change` would refuse."""
    try:
        # msgspec checks types when it decodes, not when it encodes: without this the reader would find the fault.
        if change.kind not in _KINDS or change.op not in _OPS:
            raise ValueError(f"no such kind {change.kind!r} or op {change.op!r}")
        if not (_LONG_MIN <= change.major <= _LONG_MAX and _LONG_MIN <= change.minor <= _LONG_MAX):
            raise OverflowError(f"the position {change.major}/{change.minor} does not fit 64 bits")
        return VERSION + _pack(change)
    except Exception as error:
        raise EncodeError(
            f"the change of {change.entity} {change.key!r} of {change.system} cannot be written: {error!r}"
        ) from error


def decode_change(value: bytes) -> Change:
    """The Change of a record's value; also of one that opshub wrote as Avro. Raises DecodeError for anything else."""
    version = value[:1]
    if version == VERSION:
        try:
            return _unpack(value[1:])
        except Exception as error:  # msgspec raises several kinds of error for bytes of the wrong form
            raise DecodeError(f"not a change in MessagePack: {error}") from error
    if version == AVRO_MAGIC:
        return decode_avro_change(value)
    if not version:
        raise DecodeError("not a change: the value is empty")
    raise DecodeError(
        f"a change of version {version[0]}, and this opshub reads {VERSION[0]} and the older Avro form",
        remedy="a newer opshub wrote it: update this worker, then `opshub dlq retry`",
    )
