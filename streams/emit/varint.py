"""Avro's variable-length integers, by table: what the encoders of this room append.

In: Python integers. Out: bytes. Promise: the shortest form, as Avro demands (zigzag, seven bits a byte, least
first); OverflowError past 64 bits.
"""

from __future__ import annotations

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1


def long_bytes(value: int) -> bytes:
    """An Avro int or long. Raises OverflowError outside 64 bits."""
    if not LONG_MIN <= value <= LONG_MAX:
        raise OverflowError(f"{value} does not fit 64 bits")
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


class Prefixes(dict[int, bytes]):
    """length → `head` and that length as a varint; the lengths of most strings are kept, others are computed
    each time.
    """

    def __init__(self, head: bytes = b"") -> None:
        super().__init__((length, head + long_bytes(length)) for length in range(1024))
        self._head = head

    def __missing__(self, length: int) -> bytes:
        return self._head + long_bytes(length)


LENGTH = Prefixes()
"""Length of a string, as it stands before the string."""

SOME_LENGTH = Prefixes(b"\x02")
"""The same in a union whose second branch is the string: ["null", "string"]."""

MORE = [bytes((n & 0x7F | 0x80, n >> 7 | 0x80)) for n in range(1 << 14)]
"""14 bits in the middle of a varint."""

LAST = [bytes((n & 0x7F | 0x80, n >> 7)) if n > 0x7F else bytes((n,)) for n in range(1 << 14)]
"""The last 14 bits, or fewer, of a varint."""


def varint(value: int) -> bytes:
    """As `long_bytes`, faster for what a stream is full of: times, positions, counts."""
    if value < 0 or value > LONG_MAX >> 1:
        return long_bytes(value)
    rest = value + value
    if rest < 0x4000:
        return LAST[rest]
    if rest < 0x1000_0000:
        return MORE[rest & 0x3FFF] + LAST[rest >> 14]
    if rest < 0x400_0000_0000:
        return MORE[rest & 0x3FFF] + MORE[rest >> 14 & 0x3FFF] + LAST[rest >> 28]
    if rest < 0x100_0000_0000_0000:
        return MORE[rest & 0x3FFF] + MORE[rest >> 14 & 0x3FFF] + MORE[rest >> 28 & 0x3FFF] + LAST[rest >> 42]
    return (
        MORE[rest & 0x3FFF]
        + MORE[rest >> 14 & 0x3FFF]
        + MORE[rest >> 28 & 0x3FFF]
        + MORE[rest >> 42 & 0x3FFF]
        + LAST[rest >> 56]
    )
