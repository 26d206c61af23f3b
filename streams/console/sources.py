"""Which raw records and which records of the hub belong together, by the dictionaries; and the rules of ownership.

In: the settings. Out: `Sources`, read again when one of the files changes. A wrong file is no reason to show nothing:
its part is empty then, and `opshub map check` says what is wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from streams.dictionary.language.read import load_dictionary
from streams.errors import OpshubError
from streams.hub.record_views import RecordView
from streams.model.entities import ENTITIES
from streams.model.ids import source_id
from streams.model.names import changes_topic
from streams.paths import connectors_dir
from streams.provision.systems import WrittenSystem, read_source
from streams.resolve.ownership import read_ownership
from streams.resolve.rules import Ownership
from streams.settings import Settings


class RawTable(NamedTuple):
    """A captured table, as far as keys and topics go."""

    system: str
    topic: str
    key: tuple[str, ...]
    """Columns of its key."""
    entities: frozenset[str]
    """Entities that its rows fill, also in part."""
    makes: tuple[tuple[str, str], ...]
    """(entity, namespace or '') of the records that its rows create, keyed by the table's key."""


class Sources(NamedTuple):
    """The captured tables, and the rules of ownership."""

    tables: list[RawTable]
    ownership: Ownership

    def tables_of(self, system: str, entity: str) -> Iterator[RawTable]:
        """The tables of a system whose rows fill the entity."""
        return (table for table in self.tables if table.system == system and entity in table.entities)

    def keys_of(self, view: RecordView) -> tuple[list[str], list[bytes]]:
        """(topics, keys) under which a record may have dead letters."""
        entity = ENTITIES.get(view.entity)
        topics = [changes_topic(entity.aggregate)] if entity is not None else []
        keys = [view.aggregate_id.encode()]
        for contribution in view.contributions.values():
            for table in self.tables_of(contribution.system, view.entity):
                topics.append(table.topic)
                keys += raw_keys(table.key, contribution.key)
        return topics, keys

    def ids_of(self, topic: str, key: bytes | None) -> list[str]:
        """Ids of the records that a Kafka record of this topic and key may be about."""
        if key is None:
            return []
        if topic.startswith(("canonical.", "changes.")):
            text = key.decode(errors="replace")
            return [text] if len(text) == 36 else []
        for table in self.tables:
            if table.topic != topic:
                continue
            try:
                columns = msgspec.json.decode(key)
                text = "|".join(_part(columns[name]) for name in table.key)
            except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
                return []
            made = [
                source_id(table.system, entity, f"{namespace}:{text}" if namespace else text)
                for entity, namespace in table.makes
            ]
            return made + [source_id(table.system, entity, text) for entity in sorted(table.entities)]
        return []


def raw_keys(columns: tuple[str, ...], key: str) -> list[bytes]:
    """The keys of raw records whose row has this key: numbers are sent as numbers, texts as texts."""
    key = key.partition(":")[2] if ":" in key and key.partition(":")[0].isidentifier() else key
    parts = key.split("|") if len(columns) > 1 else [key]
    if len(parts) != len(columns):
        return []
    texts = dict(zip(columns, parts, strict=True))
    numbers = {name: int(value) if _is_number(value) else value for name, value in texts.items()}
    return [msgspec.json.encode(texts), msgspec.json.encode(numbers)]


_reading = threading.Lock()
_known: dict[str, tuple[tuple[float, ...], Sources]] = {}


def sources_of(settings: Settings) -> Sources:
    """The sources as their files say now."""
    folder = connectors_dir(settings)
    files = [folder / "ownership.yaml"]
    files += [folder / name / file for name in settings.systems for file in ("dictionary.yaml", "source.json")]
    state = tuple(_changed_at(file) for file in files)
    key = f"{folder} {' '.join(settings.systems)}"
    with _reading:  # one reads, the others wait for what it read
        known = _known.get(key)
        if known is None or known[0] != state:
            known = _known[key] = (state, _read(folder, settings.systems))
    return known[1]


def _read(folder: Path, names: list[str]) -> Sources:
    tables: list[RawTable] = []
    for name in names:
        try:
            dictionary = load_dictionary(folder / name)
            system = WrittenSystem(name, dictionary, read_source(folder / name / "source.json", dictionary))
        except (OpshubError, OSError, ValueError, LookupError):
            continue
        for table_name, table in dictionary.tables.items():
            own = [target for target in table.to if not target.part_of]
            tables.append(
                RawTable(
                    name, system.topic(table_name), tuple(table.key),
                    frozenset(target.entity for target in table.to),
                    tuple((target.entity, target.namespace or "") for target in own if target.key is None),
                )
            )  # fmt: skip
    try:
        ownership, _ = read_ownership(folder / "ownership.yaml")
    except OpshubError:
        ownership = Ownership()
    return Sources(tables, ownership)


def _changed_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19 and (text == "0" or text[0] != "0")


def _part(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
