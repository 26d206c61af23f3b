"""Canonical record → Avro body, by code that is generated once from the schema.

In: a record in the pipeline's internal form (decimals as unscaled integers, timestamps as microseconds, dates
as days, ids as 36 characters; see streams/model/change.py). Out: the bytes that any Avro library writes for the
same values. An absent field stands for its default: null, or no lines. Names that the schema does not have are
ignored.

Promise: a value that does not fit the schema (wrong type, decimal out of precision, non-null field missing) raises
EncodeError with the record and the field; nothing is rounded or cut. The generated code only finds that something is
wrong; `misfit` then finds out what.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from streams.emit.misfit import DAYS, MICROS, misfit
from streams.emit.varint import LENGTH, SOME_LENGTH, varint
from streams.errors import EncodeError
from streams.model.entities import avro_schema, branch
from streams.model.state import RenderedLine

Encode = Callable[[dict[str, object]], bytes]

_REPEATED = frozenset(
    """
    base_currency billing_country billing_region carrier category currency entity incoterm industry kind language method
    opportunity_stage owner payment_status priority segment shipment_status shipping_country shipping_region
    order_status source stage status system unit warehouse what
    """.split()
)
"""Fields with few different texts: a memo keeps their bytes."""

_KEPT = 4096
"""Most values of one memo; a full memo is emptied."""


@cache
def encoder(entity: str) -> Encode:
    """The function that writes records of `entity` (one with a topic): dict → Avro body, without the Confluent
    header.
    """
    schema = avro_schema(entity)
    namespace: dict[str, Any] = dict(_RUNTIME)
    exec(compile(generated_source(entity, namespace), f"<encoder of {entity}>", "exec"), namespace)
    fast: Encode = namespace["encode"]

    def encode(record: dict[str, object]) -> bytes:
        try:
            return fast(record)
        except Exception as error:
            what = misfit(schema, record) or repr(error)
            raise EncodeError(
                f"{entity} {record.get('id')}: {what}",
                remedy="mend the row in its system, or its conversion in dictionary.yaml",
            ) from error

    return encode


def generated_source(entity: str, namespace: dict[str, object] | None = None) -> str:
    """The code of one encoder; its memos are put into `namespace`."""
    writer = _Writer({} if namespace is None else namespace)
    writer.function("encode", avro_schema(entity))
    return "\n".join(writer.lines) + "\n"


class _Writer:
    """Writes a function for each record: an expression for each field, all joined at once."""

    def __init__(self, namespace: dict[str, object]) -> None:
        self.lines: list[str] = []
        self._namespace = namespace

    def function(self, name: str, schema: dict[str, Any]) -> None:
        body = [f"        {self._field(field, name)},  # {field['name']}" for field in schema["fields"]]
        self.lines += [f"def {name}(r):", "    g = r.get", "    return join((", *body, "    ))", ""]

    def _field(self, field: dict[str, Any], within: str) -> str:
        name = field["name"]
        avro, nullable = branch(field["type"])
        get = f"g({name!r})"
        if isinstance(avro, dict) and avro["type"] == "array" and isinstance(avro["items"], dict):
            item = f"{within}_{name}"
            self.function(item, avro["items"])
            value = f"g({name!r}, ())" if "default" in field else get
            return f"array([kept({item}, x) if x.__class__ is RenderedLine else {item}(x) for x in {value}])"
        if avro == "string" and name in _REPEATED:
            memo = f"texts_{len(self._namespace)}"
            self._namespace[memo] = _Texts(nullable)
            return f"{memo}[{get}]"
        absent = "NULL" if nullable else "wrong()"
        return f"{absent} if (v := {get}) is None else {self._value(name, avro, 'SOME' if nullable else 'PLAIN')}"

    def _value(self, name: str, avro: str | dict[str, Any], some: str) -> str:
        logical = avro.get("logicalType") if isinstance(avro, dict) else None
        if isinstance(avro, dict) and logical == "decimal":
            limit = 10 ** avro["precision"]
            if avro["scale"] == 6 or avro["precision"] == 9:
                memo = f"decimals_{len(self._namespace)}"
                self._namespace[memo] = _Decimals(limit, some)
                return f"{memo}[v] if v.__class__ is int else wrong()"
            size = "n := v.bit_length() + 8 >> 3"
            return (
                f"{some}_DECIMAL[{size}] + eight(v)[-n:] if v.__class__ is int and {-limit} < v < {limit} else wrong()"
            )
        if logical == "uuid":
            return f"{some}_UUID[len(b := v.encode())] + b"
        if logical in ("date", "timestamp-micros"):
            return f"{some}_{logical.partition('-')[0]}(v)"
        if avro == "string":
            return f"{some}_LENGTH[len(b := v.encode())] + b"
        if avro == "boolean":
            return f"{some}_TRUE if v is True else {some}_FALSE if v is False else wrong()"
        return f"{some}_{avro if isinstance(avro, str) else avro['type']}(v)"


class _Texts(dict[str | None, bytes]):
    """text → its Avro form; None too where it is nullable."""

    def __init__(self, nullable: bool) -> None:
        super().__init__()
        self._nullable = nullable

    def __missing__(self, text: str | None) -> bytes:
        if len(self) >= _KEPT:
            self.clear()
        if text is None and self._nullable:
            made = _NULL
        elif isinstance(text, str):
            raw = text.encode()
            made = (SOME_LENGTH if self._nullable else LENGTH)[len(raw)] + raw
        else:
            raise _Wrong
        if len(made) <= 64:  # a long text hardly ever comes twice, and 4,096 of them would be a lot of memory
            self[text] = made
        return made


class _Decimals(dict[int, bytes]):
    """unscaled integer → its Avro form."""

    def __init__(self, limit: int, some: str) -> None:
        super().__init__()
        self._limit = limit
        self._head = b"\x02" if some == "SOME" else b""

    def __missing__(self, unscaled: int) -> bytes:
        if not -self._limit < unscaled < self._limit:
            raise _Wrong
        if len(self) >= _KEPT:
            self.clear()
        # One byte more than the smallest for -128 and the like, as other Avro libraries write them.
        size = unscaled.bit_length() + 8 >> 3
        made = self[unscaled] = self._head + varint(size) + unscaled.to_bytes(size, "big", signed=True)
        return made


class _Wrong(ValueError):
    """A value does not fit; `misfit` says which."""


_NULL = b"\x00"


def _wrong() -> bytes:
    raise _Wrong


def _kept(write: Encode, line: RenderedLine) -> bytes:
    """The bytes of a line that did not change since it was written last: a long document is encoded with each change of
    a line.
    """
    body = line.body
    if body is None:
        body = line.body = write(line)
    return body


def _int(head: bytes, low: int = -(2**31), high: int = 2**31 - 1) -> Callable[[object], bytes]:
    kept: dict[int, bytes] = {}  # counts, line numbers, and days up to 2059

    def write(value: object) -> bytes:
        if value.__class__ is not int:
            raise _Wrong
        made = kept.get(value)
        if made is not None:
            return made
        if not low <= value <= high:
            raise _Wrong
        made = head + varint(value)
        if 0 <= value < 32_768:
            kept[value] = made
        return made

    return write


def _long(head: bytes) -> Callable[[object], bytes]:
    def write(value: object) -> bytes:
        if value.__class__ is not int:
            raise _Wrong
        return head + varint(value)

    return write


def _timestamp(head: bytes) -> Callable[[object], bytes]:
    low, high = MICROS

    def write(value: object) -> bytes:
        if value.__class__ is not int or not low <= value <= high:
            raise _Wrong
        return head + varint(value)

    return write


def _array(items: list[bytes]) -> bytes:
    return varint(len(items)) + b"".join(items) + _NULL if items else _NULL


def _tags(head: bytes) -> Callable[[object], bytes]:
    def write(value: object) -> bytes:
        if not isinstance(value, list):
            raise _Wrong
        return head + _array([LENGTH[len(raw := text.encode())] + raw for text in value])

    return write


def _map(head: bytes) -> Callable[[dict[str, str]], bytes]:
    def write(value: dict[str, str]) -> bytes:
        return head + _array(
            [LENGTH[len(k := key.encode())] + k + LENGTH[len(v := text.encode())] + v for key, text in value.items()]
        )  # fmt: skip

    return write


_RUNTIME: dict[str, object] = {
    "join": b"".join,
    "array": _array,
    "wrong": _wrong,
    "kept": _kept,
    "RenderedLine": RenderedLine,
    "eight": struct.Struct(">q").pack,
    "NULL": _NULL,
    **{
        f"{some}_{name}": value
        for some, head in (("SOME", b"\x02"), ("PLAIN", b""))
        for name, value in {
            "DECIMAL": [head + varint(size) for size in range(9)],
            "UUID": {36: head + varint(36)},
            "LENGTH": SOME_LENGTH if head else LENGTH,
            "TRUE": head + b"\x01",
            "FALSE": head + b"\x00",
            "int": _int(head),
            "long": _long(head),
            "date": _int(head, *DAYS),
            "timestamp": _timestamp(head),
            "array": _tags(head),
            "map": _map(head),
        }.items()
    },
}
