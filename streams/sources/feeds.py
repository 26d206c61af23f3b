"""The systems without a database, as their folders describe them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from streams.provision.source_file import FILE, SourceFile, Webhook, read_source_file
from streams.provision.systems import System
from streams.settings import Settings
from streams.sources.rows import Feed
from streams.stack.environment import load_env, resolve_placeholders


class FeedSystem(msgspec.Struct, frozen=True):
    """One system: its source.yaml with secrets filled in, and its tables."""

    name: str
    source: SourceFile
    feeds: Mapping[str, Feed]

    @property
    def webhooks(self) -> dict[str, Webhook]:
        """Table → what of the received is about it."""
        return {name: table.webhook for name, table in self.source.tables.items() if table.webhook is not None}


def load_feeds(settings: Settings, systems: list[System]) -> list[FeedSystem]:
    """Those of these systems that have no database. Raises ConfigError with every mistake of the files."""
    env = load_env(settings)

    def resolve(text: str, file: Path) -> str:
        return resolve_placeholders(text, env, file)

    return [feed_system(system, read_source_file(system.folder / FILE, system.dictionary.tables, resolve))
            for system in systems if not system.has_database]  # fmt: skip


def feed_system(system: System, source: SourceFile) -> FeedSystem:
    """A system with its source.yaml."""
    zone = "UTC" if system.written is None else system.written.timezone
    feeds = {
        name: Feed(
            system.name, name, system.topic(name), system.dictionary.tables[name].key_columns, table.columns, zone
        )
        for name, table in source.tables.items()
    }
    return FeedSystem(system.name, source, feeds)
