"""Deterministic ids: the same (system, entity, key) gives the same UUID on every machine, for ever."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha1
from uuid import UUID

NAMESPACE = UUID("6f70b7c0-7368-5562-8e21-636170747572")
_PREFIX = NAMESPACE.bytes


def source_id(system: str, entity: str, key: str) -> str:
    """The id of what `system` calls `entity` number `key`: a UUIDv5, as its 36-character text."""
    raw = bytearray(sha1(_PREFIX + f"{system}/{entity}/{key}".encode(), usedforsecurity=False).digest()[:16])
    raw[6] = (raw[6] & 0x0F) | 0x50
    raw[8] = (raw[8] & 0x3F) | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


cached_source_id = lru_cache(maxsize=65_536)(source_id)
"""As `source_id`, for ids that come again and again: parents and references."""
