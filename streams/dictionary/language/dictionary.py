"""The language of `dictionary.yaml` (字段映射字典): which rows of a system's tables become which canonical records.

These classes know the form: which words there are, and what a word may hold. Whether names and types fit the canonical
model is checked by `streams.dictionary.compile.table_planner`. `connectors/dictionary.schema.json` is made from these
classes, so their docstrings and descriptions are what an editor shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PrivateAttr

from streams.dictionary.language.mapping_rule import (
    Column,
    KeyColumns,
    LanguagePart,
    MappingRuleOrColumn,
    Namespace,
    Rates,
    Reference,
    Value,
    Zone,
    column_rule,
)
from streams.dictionary.yaml_lines import Lines, YamlFile

ValueName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]


class Target(LanguagePart):
    """One canonical record that each row of a table makes."""

    entity: str = Field(description="a canonical entity: customer, sales_order_line, …")
    key: KeyColumns | Value | None = Field(
        default=None,
        description="columns that identify the record in its system; default: the table's key. With `part_of` also a"
        " value, such as {column: origin, typed: {sale.line: sales_order_line}}: rows without one add to nothing",
    )
    namespace: Namespace = None
    with_: dict[ValueName, Annotated[Value, BeforeValidator(column_rule)]] = Field(
        default={}, alias="with", description="values with names, for the expressions of this record"
    )
    when: str | None = Field(default=None, description="CEL condition: only rows for which it is true make this record")
    deleted: str | None = Field(
        default=None, description="CEL condition: a row for which it is true is a deleted record (soft delete)"
    )
    part_of: bool = Field(
        default=False,
        description="the row only adds fields to a record that another table makes: when the row is deleted, its fields"
        " become null and the record stays",
    )
    parent: Annotated[Reference | None, BeforeValidator(column_rule)] = Field(
        default=None,
        description="the record whose aggregate this record joins; default: the reference field that the model names",
    )
    same_as: Reference | None = Field(default=None, description="the same record in another system")
    fields: dict[str, MappingRuleOrColumn] = Field(default={}, description="canonical field -> how it is made")
    attributes: dict[str, MappingRuleOrColumn] = Field(
        default={}, description="company-specific extra fields, kept as text in the `attributes` map"
    )

    @property
    def key_columns(self) -> tuple[str, ...] | None:
        """The columns that its key is made of; None: those of the table's key."""
        return (self.key.column,) if isinstance(self.key, Value) else self.key


class Table(LanguagePart):
    """One table that is captured."""

    key: KeyColumns = Field(description="columns of the primary key, or of a unique key if there is none")
    to: tuple[Target, ...] = Field(
        description="the records that each row makes; empty for a table that is only looked into"
    )
    before: Literal["key", "full"] = Field(
        default="key",
        description="what the source sends of a deleted row: its key, or all of it (Postgres: REPLICA IDENTITY"
        " FULL; MariaDB: full row images)",
    )
    optional: tuple[Column, ...] = Field(
        default=(), description="columns that may be absent from the source without a report"
    )
    columns: tuple[Column, ...] = Field(
        default=(), description="more columns to read (lookups of other tables, expressions of attributes)"
    )
    nul: Literal["reject", "strip"] = Field(
        default="reject", description="a NUL character in a text: reject the row, or remove the character"
    )
    timezone: Zone | None = None


class Dictionary(LanguagePart):
    """How the tables of one system become canonical records (字段映射字典)."""

    system: str = Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", description="the folder's name in connectors/")
    kind: Literal["postgres", "mariadb", "mysql", "feed"] = "postgres"
    timezone: Zone = Field(default="UTC", description="zone of timestamps without one")
    country: str | None = Field(
        default=None,
        pattern="^[A-Z]{2}$",
        description="ISO 3166 country for phone numbers and tax ids without a country",
    )
    rates: Rates | None = None
    tables: dict[str, Table] = Field(
        min_length=1, description="'schema.table' (MariaDB: 'database.table') as the source has it"
    )

    _file: YamlFile | None = PrivateAttr(default=None)

    @property
    def file(self) -> YamlFile:
        """The file and the lines that this dictionary was read from, so that later checks can name a line."""
        return self._file or YamlFile(Path("dictionary.yaml"), Lines({}))
