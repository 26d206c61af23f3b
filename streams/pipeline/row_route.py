"""The route of a raw record of one system: decode it, then map it by the system's dictionary.

In: raw records, and changes. Out: row changes, and what each row says of which entities. Tables that a dictionary looks
into (`lookup`, `rates`) are read whole from their raw topics, by `CodeTables`, before the first row that looks into
one.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from mode.utils.logging import get_logger

from streams.decode.envelope import Decoder
from streams.errors import BadRecord
from streams.hub.accounts import MappingNoteTally
from streams.mapping.compiled import CompiledDictionary
from streams.mapping.row_errors import LookupMissing
from streams.model.change import Mapped, Position, Resnapshot, RowChange
from streams.runtime.code_tables import CodeTables

logger = get_logger(__name__)

LONGEST_NOTE_TEXT = 200
"""Characters of a mapping note's reason and key."""


def readable(text: str) -> str:
    """A text that Postgres takes, and that fits a line."""
    return text[:LONGEST_NOTE_TEXT].replace("\0", "\\0")


class RowRoute:
    """Decode and map for the topics of one system: `topics` is raw topic → table."""

    def __init__(
        self, dictionary: CompiledDictionary, decoder: Decoder, topics: Mapping[str, str], bootstrap: str = ""
    ) -> None:
        self.decoder = decoder
        self.decode = decoder.decode
        self.notes = dictionary.notes
        self._dictionary = dictionary
        self._tables = dictionary.tables
        self._topics = topics
        lookup_topics = [topic for topic, name in topics.items() if name in dictionary.lookup_tables]
        self._followers = dictionary.followers if dictionary.followers.tables else None
        self._resnapshots: list[Resnapshot] = []
        self._code_tables = CodeTables(bootstrap, lookup_topics, self._learn) if lookup_topics else None
        self._caught_up = False
        self._batch_begins = True
        self._learned = 0

    def contributes(self, topic: str) -> tuple[str, list[str], list[str]]:
        """(system, entities that the table of this topic makes, those that it contributes to and other tables too).

        Tables with namespaces of their own make records of their own, though of one entity.
        """
        name = self._topics[topic]
        own = self._tables[name]
        of_others = {kind for other, table in self._tables.items() if other != name for kind in table.makes}
        others = {entity for entity, _ in of_others}
        shared = {entity for entity, _ in of_others & set(own.makes)}
        added_to = [entity for entity in own.entities if entity not in own.own_entities and entity in others]
        return self.decoder.system, list(own.own_entities), [*(e for e in own.own_entities if e in shared), *added_to]

    def is_made_by(self, topic: str, entity: str, key: str) -> bool:
        """Whether the record `key` of an entity that the table of this topic makes is one of this table's, by its
        namespace.
        """
        name = self._topics[topic]
        namespace = key.partition(":")[0] if ":" in key else ""
        makes = {space for made, space in self._tables[name].makes if made == entity}
        others = {
            space
            for other, table in self._tables.items()
            if other != name
            for made, space in table.makes
            if made == entity
        }
        # A key without a namespace may hold a colon, too: then no other table's namespace comes before it.
        return namespace in makes or ("" in makes and namespace not in others)

    def mapping_notes(self, change: RowChange) -> list[MappingNoteTally]:
        """The mapping notes of this row. They hold the row's key, and no value of it."""
        key = self._tables[change.table].readable_key(change.key, change.after or change.before)
        return [
            MappingNoteTally(self.decoder.system, table, field, kind, readable(reason), readable(key))
            for table, field, kind, reason, _ in self.notes.take()
        ]

    def take_resnapshots(self) -> list[Resnapshot]:
        """Rows of other tables that looked up the rows which were mapped since the last call."""
        taken, self._resnapshots = self._resnapshots, []
        return taken

    def at_epoch(self, epoch: int) -> None:
        """The records that come next are of this epoch of the source."""
        self.decoder.epoch = epoch

    def begin(self) -> None:
        """Rows of another batch come. Their writer may have written just before into a table that they look into."""
        self._batch_begins = True

    def map(self, change: RowChange) -> list[Mapped]:
        """What the row says. Raises MappingError, or RetryLater while the tables that it looks into can not be read."""
        table = self._tables[change.table]
        if self._followers is not None and change.table in self._followers.tables:
            self._resnapshots += self._followers.resnapshots(change, table.attribute, table.key_columns)
        if self._code_tables is None or not table.uses_lookups:
            return table.map_change(change)
        if not self._caught_up:
            self._code_tables.catch_up()
            self._caught_up = True
        # At most once a batch: to ask where the topics end takes a millisecond.
        self._code_tables.follow(at_once=self._batch_begins)
        self._batch_begins = False
        try:
            return table.map_change(change)
        except LookupMissing:
            self._code_tables.follow(at_once=True)  # the missing row may have come just now
            return table.map_change(change)

    def _learn(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Take in one record of a table that rows look into. A bad record is logged here; ingest makes it a dead
        letter.
        """
        try:
            change = self.decoder.decode(topic, key, value)
            if change is not None and change.op != "t":
                # Each partition is read in order and once: a later record is newer, whatever epoch it is of.
                self._learned += 1
                self._dictionary.update_lookups(msgspec.structs.replace(change, position=Position(0, self._learned, 0)))
        except BadRecord as error:
            logger.warning("%s: not looked into: %s", topic, error)
