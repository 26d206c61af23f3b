"""Statements over captured databases: `SOURCE_SQL[name]` is one of `capture/sql/`."""

from __future__ import annotations

from pathlib import Path

from streams.named_sql import load_statements

SOURCE_SQL = load_statements(Path(__file__).with_name("sql"))
