"""Values that Debezium sends in place of one that it did not get: an unchanged wide value, which Postgres leaves out.

Debezium has one placeholder text, and turns it into a value of the column's type (its classes
UnchangedToastedPlaceholder and UnchangedToastedReplicationMessageColumn): the text itself, its base64 for bytes, a
list with it, the numbers of its bytes for a list of integers or dates, a UUID made of it for a list of UUIDs, a map
from it to itself for hstore. Found by looking for their bytes in the raw record, before any value is looked at.
"""

from __future__ import annotations

import hashlib
import uuid
from base64 import b64encode

from streams.model.change import TOAST_PLACEHOLDER

UNSENT_BYTES = TOAST_PLACEHOLDER.encode()
_BASE64 = b64encode(UNSENT_BYTES).decode()
# As Java's UUID.nameUUIDFromBytes makes it: the MD5 of the bytes themselves, without a name space.
_UUID = str(uuid.UUID(bytes=hashlib.md5(UNSENT_BYTES, usedforsecurity=False).digest(), version=3))
_NUMBERS = list(UNSENT_BYTES)
_TEXTS = frozenset(
    (
        TOAST_PLACEHOLDER,
        _BASE64,
        f'{{"{TOAST_PLACEHOLDER}":"{TOAST_PLACEHOLDER}"}}',
        f'{{"{TOAST_PLACEHOLDER}": "{TOAST_PLACEHOLDER}"}}',
    )
)
_ITEMS = frozenset((TOAST_PLACEHOLDER, _BASE64, _UUID))
_MAP = {TOAST_PLACEHOLDER: TOAST_PLACEHOLDER}
_LIST_OF_NUMBERS = f"[{_NUMBERS[0]}".encode()
_UUID_BYTES, _BASE64_BYTES = _UUID.encode(), _BASE64.encode()


def may_hold_unsent_list(value: bytes) -> bool:
    """Whether a raw record may hold such a value without the placeholder's own text, `UNSENT_BYTES`: only lists and
    bytes can be so.
    """
    return _LIST_OF_NUMBERS in value or _UUID_BYTES in value or _BASE64_BYTES in value


def is_unsent(value: object) -> bool:
    """Whether a column's value stands for one that was not sent."""
    if value.__class__ is str:
        return value in _TEXTS
    if isinstance(value, list):
        return value == _NUMBERS or (len(value) == 1 and value[0].__class__ is str and value[0] in _ITEMS)
    return value.__class__ is dict and value == _MAP
