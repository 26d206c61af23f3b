"""The language of `dictionary.yaml`: which rows of a system's tables become which canonical records, field by field.

In goes a file, out comes a frozen `Dictionary`, or a DictionaryError with every fault, each with its file, line, field
and what would be right. This module knows the form; `streams.mapping.meaning` knows whether names and types fit the
canonical model. The exported JSON Schema (`connectors/dictionary.schema.json`) is made from these classes, so their
descriptions are what an editor shows.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from streams.dictionary.lines import Lines, Path_, dotted, load
from streams.mapping.problems import DictionaryError, Problem


def _listed(value: Any) -> Any:
    """One text for a list of one. A comma in it is nearly always a list without its brackets."""
    if isinstance(value, str) and "," in value:
        raise ValueError(
            f"{value!r} would be one column with a comma in its name: write [{value}], or [{value!r}] if it is"
        )
    return [value] if isinstance(value, str) else value


def _distinct(columns: tuple[str, ...]) -> tuple[str, ...]:
    twice = [c for c in dict.fromkeys(columns) if columns.count(c) > 1]
    if twice:
        raise ValueError(f"{', '.join(twice)} is given twice: each column of a key stands in it once")
    return columns


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"there is no time zone {name!r}; names are as in the IANA database, e.g. Europe/Berlin"
        ) from None
    return name


Column = Annotated[
    str, Field(min_length=1, description="a column's name exactly as the database has it, capitals and blanks too")
]
Columns = Annotated[tuple[Column, ...], BeforeValidator(_listed), Field(min_length=1)]
KeyColumns = Annotated[Columns, AfterValidator(_distinct)]
Zone = Annotated[str, AfterValidator(_zone), Field(description="IANA time zone, e.g. Asia/Shanghai")]
Namespace = Annotated[
    str | None,
    Field(pattern="^[a-z][a-z0-9_]*$", description="tells apart the keys of several tables that make one entity"),
]
Scalar = str | int | float | bool | None
Unit = Literal["seconds", "millis", "micros", "nanos"]
Unknown = Literal["reject", "pass", "null"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _short(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class Equal(_Part):
    """What a column of a looked-up row must be: the value of a column of this row, or a constant."""

    column: Column | None = None
    const: str | int | None = None

    @model_validator(mode="after")
    def _one(self) -> Equal:
        if (self.column is None) == (self.const is None):
            raise ValueError("needs one of column and const: {language: lang_code} or {language: {const: EN}}")
        return self


class Lookup(_Part):
    """A value that stands in another captured table: a code's text, a stage's name, the order of a picking."""

    table: str = Field(
        description="the table to look into; it must be listed under `tables` (`to: []` if it makes no record)"
    )
    column: Column = Field(description="the column whose value is wanted")
    by: KeyColumns = Field(
        default=(),
        description="the column of that table that the value is looked up by; default: its key, without the columns of `where`",
    )
    where: dict[Column, Annotated[Equal, BeforeValidator(_short)]] = Field(
        default={},
        description="further columns of that table, each with what it must be: a column of this row, or {const: …} (client, language)",
    )
    unknown: Literal["wait", "reject", "pass", "null"] = Field(
        default="wait",
        description="no such row: wait until it comes (the record is parked), reject, keep the code itself, or null",
    )
    steps: tuple[str | dict[str, Any], ...] = Field(
        default=(),
        description="conversions of the value that was found, in order; those of the rule come before it is looked up",
    )
    typed: dict[str, str] | None = Field(
        default=None,
        description="for what was found: a reference with a type in its text ('sale.line,1'), as in a rule",
    )
    then: Lookup | None = Field(default=None, description="look the found value up again (chained references)")

    def keyed_by(self, key: tuple[str, ...]) -> tuple[str, ...]:
        """The column that the value is looked up by, as one; `key` is the table's."""
        return self.by or tuple(column for column in key if column not in self.where)


class Rates(_Part):
    """The captured table that holds exchange rates: one row for a pair of currencies from a day on."""

    table: str
    source: Column = Field(alias="from", description="column with the currency that is converted")
    to: Column = Field(description="column with the currency that it becomes")
    rate: Column = Field(description="column with how much of `to` one unit of `from` is")
    date: Column = Field(description="column with the day from which the rate holds")


class Exchange(_Part):
    """Convert an amount to one currency, by the rates table."""

    to: str = Field(pattern="^[A-Z]{3}$", description="ISO 4217 code")
    currency: Column = Field(description="column with the currency of the amount")
    on: Column = Field(description="column with the day (or moment) whose rate counts")


class Rule(_Part):
    """How one field is made: a source (column, columns, const or expr), then path, split, steps, lookup, values,
    default, in this order.
    """

    column: Column | None = None
    columns: Columns | None = Field(
        default=None, description="several columns, joined with `join`; for a reference: the parts of its composite key"
    )
    join: str = Field(default=" ", description="what stands between joined columns; empty and null parts are left out")
    const: Scalar | list[str] = Field(default=None, description="the same value for each row")
    expr: str | None = Field(default=None, description="a CEL expression over the row's columns")
    path: str | None = Field(default=None, description="path into a JSON column: address.lines[0]")
    split: str | None = Field(default=None, description="separator; `part` says which piece is taken")
    part: int = Field(
        default=0, description="which piece of `split` (0 is the first, -1 the last); a missing piece is null"
    )
    typed: dict[str, str] | None = Field(
        default=None,
        description="for references with a type in their text ('sale.line,1'): type -> entity, or -> the table of the `lookup`;"
        " other types are null",
    )
    steps: tuple[str | dict[str, Any], ...] = Field(
        default=(), description="conversions in order: a name, or a name with its options"
    )
    lookup: Lookup | None = None
    convert: Exchange | None = Field(
        default=None, description="convert an amount to one currency; needs `rates` and `round`"
    )
    values: dict[str, Scalar] | None = Field(
        default=None, description="value map: what the source says -> what the canonical field says"
    )
    unknown: Unknown = Field(
        default="reject", description="a value that `values` does not list: reject the row, pass it as it is, or null"
    )
    bad: Literal["reject", "null", "pass"] = Field(
        default="reject",
        description="a value that a step or the field's type rejects: reject the row, or, with a note, take null or"
        " (texts) pass it as it is",
    )
    default: Scalar = Field(default=None, description="what stands for null")
    required: bool = Field(
        default=False, description="null rejects the row, and a column that the source drops parks the table"
    )
    timezone: Zone | None = Field(
        default=None, description="zone of a timestamp without one; default: the table's, then the dictionary's"
    )
    unit: Unit | None = Field(
        default=None, description="unit of a timestamp that is a number; default: micros, as Debezium sends them"
    )
    round: Literal["half_even", "half_up", "down"] | None = Field(
        default=None, description="how to round decimals that are finer than the field; without it they are rejected"
    )
    entity: str | None = Field(
        default=None, description="for a reference: the entity it points to; default: the one that the model says"
    )
    system: str | None = Field(
        default=None, description="for a reference: the system whose key this is; default: this one"
    )
    namespace: Namespace = None

    @model_validator(mode="after")
    def _one_source(self) -> Rule:
        given = [name for name in ("column", "columns", "const", "expr") if name in self.model_fields_set]
        if len(given) != 1:
            raise ValueError(
                f"needs exactly one of column, columns, const, expr; it has {' and '.join(given) or 'none'}"
            )
        for name, needs in (("part", "split"), ("unknown", "values"), ("join", "columns")):
            if name in self.model_fields_set and needs not in self.model_fields_set:
                raise ValueError(f"`{name}` means nothing without `{needs}`")
        return self


RuleOrColumn = Annotated[Rule, BeforeValidator(_short)]


class Reference(_Part):
    """A record that this row points to: its parent, or the record of another system that it is."""

    entity: str | None = None
    column: Column | None = None
    columns: Columns | None = None
    expr: str | None = None
    system: str | None = Field(default=None, description="default: this system")
    lookup: Lookup | None = None
    typed: dict[str, str] | None = None
    namespace: Namespace = None
    steps: tuple[str | dict[str, Any], ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> Reference:
        given = [name for name in ("column", "columns", "expr") if name in self.model_fields_set]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of column, columns, expr; it has {' and '.join(given) or 'none'}")
        return self


class Target(_Part):
    """One canonical record that each row of a table makes."""

    entity: str = Field(description="a canonical entity: customer, sales_order_line, …")
    key: KeyColumns | None = Field(
        default=None, description="columns that name the record in its system; default: the table's key"
    )
    namespace: Namespace = None
    when: str | None = Field(default=None, description="CEL condition: only rows for which it is true make this record")
    deleted: str | None = Field(
        default=None, description="CEL condition: a row for which it is true is a deleted record (soft delete)"
    )
    part_of: bool = Field(
        default=False,
        description="the row only adds fields to a record that another table makes: when the row goes, its fields"
        " become null and the record stays",
    )
    parent: Annotated[Reference | None, BeforeValidator(_short)] = Field(
        default=None,
        description="the record whose aggregate this one joins; default: the reference field that the model names",
    )
    same_as: Reference | None = Field(default=None, description="the record in another system that this one is")
    fields: dict[str, RuleOrColumn] = Field(default={}, description="canonical field -> how it is made")
    attributes: dict[str, RuleOrColumn] = Field(
        default={}, description="company-specific extras, kept as text in the `attributes` map"
    )


class Table(_Part):
    """One table that is captured."""

    key: KeyColumns = Field(description="columns of the primary key, or of a unique key if there is none")
    to: tuple[Target, ...] = Field(
        description="the records that each row makes; empty for a table that is only looked into"
    )
    before: Literal["key", "full"] = Field(
        default="key",
        description="what the source says of a row that was deleted: its key, or all of it (Postgres: REPLICA IDENTITY"
        " FULL; MariaDB: full row images)",
    )
    optional: tuple[Column, ...] = Field(
        default=(), description="columns that may be absent from the source without a report"
    )
    columns: tuple[Column, ...] = Field(
        default=(), description="more columns to read (lookups by others, expressions of attributes)"
    )
    nul: Literal["reject", "strip"] = Field(
        default="reject", description="a NUL character in a text: reject the row, or take it out"
    )
    timezone: Zone | None = None


class Dictionary(_Part):
    """How one system's tables become canonical records (字段映射字典)."""

    system: str = Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", description="the folder's name in connectors/")
    kind: Literal["postgres", "mariadb", "mysql"] = "postgres"
    timezone: Zone = Field(default="UTC", description="zone of timestamps without one")
    country: str | None = Field(
        default=None, pattern="^[A-Z]{2}$", description="ISO 3166 country for phones and tax ids that name none"
    )
    rates: Rates | None = None
    tables: dict[str, Table] = Field(
        min_length=1, description="'schema.table' (MariaDB: 'database.table') as the source has it"
    )

    _source: Source | None = PrivateAttr(default=None)

    @property
    def source(self) -> Source:
        """The file and lines that this was read from."""
        return self._source or Source(Path("dictionary.yaml"), Lines({}))


class Source:
    """Where a dictionary was read from, so that later checks can name its lines."""

    def __init__(self, file: Path, lines: Lines) -> None:
        self.file = file
        self.lines = lines

    def problem(self, path: Path_, what: str, right: str = "") -> Problem:
        return Problem(self.file, self.lines[path], dotted(path) or "dictionary", what, right, path)


def load_dictionary(path: Path) -> Dictionary:
    """Read `dictionary.yaml` (or the folder that holds it). Raises DictionaryError with every fault of form."""
    file = path / "dictionary.yaml" if path.is_dir() else path
    data, lines = load(file)
    return parse_dictionary(data, Source(file, lines))


def parse_dictionary(data: Any, source: Source) -> Dictionary:
    """Check plain values for their form. Raises DictionaryError with every fault."""
    if not isinstance(data, dict):
        raise DictionaryError([source.problem((), "is not a mapping", "begin with `system:` and `tables:`")])
    try:
        dictionary = Dictionary.model_validate(data)
    except ValidationError as error:
        raise DictionaryError([_explained(source, fault) for fault in error.errors(include_url=False)]) from None
    dictionary._source = source
    return dictionary


_MODELS: dict[str, type[BaseModel]] = {
    m.__name__: m for m in (Dictionary, Table, Target, Rule, Reference, Lookup, Equal)
}


def _model_at(path: Path_) -> type[BaseModel]:
    """The part of the language that a path stands in, so that a wrong word can be told the right ones."""
    model: type[BaseModel] = Dictionary
    for step in path:
        if model is Dictionary and step == "tables":
            model = Table
        elif model is Table and step == "to":
            model = Target
        elif step in ("fields", "attributes"):
            model = Rule
        elif step in ("parent", "same_as"):
            model = Reference
        elif step in ("lookup", "then"):
            model = Lookup
        elif model is Lookup and step == "where":
            model = Equal
        elif step in ("rates", "convert"):
            model = Rates if step == "rates" else Exchange
    return model


def _explained(source: Source, fault: Any) -> Problem:
    """A pydantic fault as a Problem in this project's words."""
    path: Path_ = tuple(fault["loc"])
    kind, given = fault["type"], fault.get("input")
    if kind == "extra_forbidden":
        model = _model_at(path[:-1])
        words = list(model.model_fields)
        if model is Target and path[-1] == "match":
            right = "take it out: which records are one is said by `match` of their entity in ownership.yaml, for all systems"
            return source.problem(path, "is not said by a dictionary", right)
        near = get_close_matches(str(path[-1]), words, n=1)
        right = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(words)}"
        return source.problem(path, "is not a word of the language here", right)
    if kind == "missing":
        field = _model_at(path[:-1]).model_fields.get(str(path[-1]))
        return source.problem(path, "is missing", (field.description or "") if field else "")
    if kind == "literal_error":
        return source.problem(path, f"{given!r} is not known", f"one of {fault['ctx']['expected']}")
    if kind == "value_error":
        what = str(fault["ctx"]["error"])
        return source.problem(path, what)
    if kind == "model_type" and fault["ctx"]["class_name"] == "Rule":
        return source.problem(path, f"is no rule; it is {given!r}"[:200], "write a column's name, or {column: …}")
    if kind == "string_pattern_mismatch":
        return source.problem(path, f"{given!r} is not of the form {fault['ctx']['pattern']}")
    return source.problem(path, f"{fault['msg'][0].lower()}{fault['msg'][1:]}; it is {given!r}"[:200])
