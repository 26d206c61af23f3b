"""The audit as CSV and as JSON lines, line by line: an export of any length needs little memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from streams.hub.audit import AuditLine

Form = Literal["csv", "jsonl"]
MEDIA: dict[Form, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}

COLUMNS = ("at", "who", "what", "via", "about", "why", "wanted", "result", "failed", "kind", "id")


def export(lines: Iterable[AuditLine], form: Form) -> Iterator[str]:
    """The text in pieces."""
    if form == "jsonl":
        yield from (msgspec.json.encode(line).decode() + "\n" for line in lines)
        return
    yield ",".join(COLUMNS) + "\r\n"
    for line in lines:
        yield _row(line)


def _row(line: AuditLine) -> str:
    text = io.StringIO()
    values = msgspec.to_builtins(line)
    csv.writer(text).writerow([_cell(values[name]) for name in COLUMNS])
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    # A spreadsheet would run a text that begins like a formula.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
