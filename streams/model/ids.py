"""Deterministic ids: the same (system, entity, key) gives the same UUID on every machine, for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from uuid import UUID

# CPython's own: a sixth of what a hash object of OpenSSL costs. Its name is private, so it may be missing; typeshed
# does not know it.
try:
    from _sha1 import sha1  # type: ignore[import-not-found]
except ImportError:
    sha1 = hashlib.sha1

NAMESPACE = UUID("6f70b7c0-7368-5562-8e21-636170747572")

_KEPT = 8_192
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class Ids(dict[str, str]):
    """key → id, for one entity of one system. What was asked lately is kept: `ids(system, entity)[key]`."""

    def __init__(self, system: str, entity: str) -> None:
        self._begun = sha1(NAMESPACE.bytes + f"{system}/{entity}/".encode(), usedforsecurity=False)

    def __missing__(self, key: str) -> str:
        whole = self._begun.copy()
        whole.update(key.encode())
        text = whole.hexdigest()
        made = f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"
        if len(self) >= _KEPT:
            self.clear()
        self[key] = made
        return made


@cache
def ids(system: str, entity: str) -> Ids:
    """The ids of one entity of one system."""
    return Ids(system, entity)


def source_id(system: str, entity: str, key: str) -> str:
    """The id of what `system` calls `entity` number `key`: a UUIDv5, as its 36-character text."""
    return ids(system, entity)[key]
