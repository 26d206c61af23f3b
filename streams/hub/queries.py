"""The named statements of the hub's .sql files."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def queries() -> dict[str, bytes]:
    """Every statement of the .sql files of this folder, by name."""
    found: dict[str, bytes] = {}
    for file in ("queries.sql", "intents.sql", "identity.sql", "due.sql", "watch.sql"):
        parts = _NAME.split(Path(__file__).with_name(file).read_text(encoding="utf-8"))
        found |= {name: sql.strip().encode() for name, sql in zip(parts[1::2], parts[2::2], strict=True)}
    return found
