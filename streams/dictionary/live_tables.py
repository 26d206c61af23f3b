"""What the catalogue of a source says of its tables: columns with their types, keys, references."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from streams.mapping.source_types import SourceType, source_type

Identity = Literal["default", "full", "nothing", "index"]

_ENDLESS = {"text", "character varying", "character", "citext", "xml", "tsvector", "ltree"}
_WIDE_FORMS = {"json", "hstore", "bytes", "struct"}
_LONG = 500
"""A row is made shorter from 2 kB on; shorter texts than this are never what makes it long."""


@dataclass(frozen=True, slots=True)
class LiveColumn:
    """One column. `type` is a name of `streams.mapping.source_types`, `array` a list of that type, `labels` those of an
    enum.
    """

    name: str
    type: str
    nullable: bool
    array: bool = False
    precision: int | None = None
    scale: int | None = None
    comment: str = ""
    labels: tuple[str, ...] = ()
    length: int | None = None
    """Most characters of a varchar; None without a limit."""
    may_be_out_of_line: bool = True
    """Whether Postgres may store a long value of it out of line."""
    collation: str = ""
    """The name of its collation, if that calls different texts equal (not deterministic)."""

    @property
    def source(self) -> SourceType:
        """Its type, as the table of types knows it."""
        return source_type(self.type + ("[]" if self.array else ""))

    @property
    def is_wide(self) -> bool:
        """Whether its values can be so long that Postgres stores them out of line, and then does not send them again
        with an update that leaves them alone.
        """
        endless = self.type in _ENDLESS and (self.length is None or self.length > _LONG)
        return self.may_be_out_of_line and (self.array or endless or self.source.form in _WIDE_FORMS)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`columns` of this table name a row of `table`, by its columns `referenced`."""

    columns: tuple[str, ...]
    table: str
    referenced: tuple[str, ...]


@dataclass(slots=True)
class LiveTable:
    """One table, named schema.table (MariaDB: database.table)."""

    name: str
    identity: Identity
    rows: int
    """How many rows the database estimates."""
    comment: str = ""
    has_out_of_line: bool = False
    """Whether it has values that are stored out of line."""
    columns: dict[str, LiveColumn] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    unique: list[tuple[str, ...]] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    late_keys: list[tuple[str, ...]] = field(default_factory=list)
    """Its keys, primary or unique, that are checked late (deferrable): two rows may have one key for a moment."""
