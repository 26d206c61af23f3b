"""The named statements of queries.sql."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def queries() -> dict[str, bytes]:
    """Every statement of queries.sql, by name."""
    parts = _NAME.split(Path(__file__).with_name("queries.sql").read_text(encoding="utf-8"))
    return {name: sql.strip().encode() for name, sql in zip(parts[1::2], parts[2::2], strict=True)}
