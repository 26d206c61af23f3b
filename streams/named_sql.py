"""SQL in files: each statement of a .sql file stands under a line `-- name: <name>`."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def load_statements(folder: Path) -> dict[str, bytes]:
    """Name → statement, of all .sql files of a folder. Raises ValueError for a name that stands twice."""
    statements: dict[str, bytes] = {}
    for file in sorted(folder.glob("*.sql")):
        parts = _NAME.split(file.read_text(encoding="utf-8"))
        for name, sql in zip(parts[1::2], parts[2::2], strict=True):
            if name in statements:
                raise ValueError(f"{file}: a statement named {name} stands in another file of {folder}")
            statements[name] = sql.strip().encode()
    return statements
