"""The parts of the language that make one value: a field's rule, a lookup, a currency conversion, a reference.

pydantic builds them from the plain values of a `dictionary.yaml`. `connectors/dictionary.schema.json` is made from
these classes, so their docstrings and descriptions are what an editor shows to the person who writes a dictionary.
"""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Scalar = str | int | float | bool | None
StepRule = str | dict[str, object]
"""One step as a dictionary writes it: `trim`, or `{phone: {country: DE}}`; which options fit is known by the
conversion.
"""
Unit = Literal["seconds", "millis", "micros", "nanos"]
Unknown = Literal["reject", "pass", "null"]


def _as_list(value: object) -> object:
    """One text stands for a list with one item. A comma in it is nearly always a list without its brackets."""
    if isinstance(value, str) and "," in value:
        raise ValueError(
            f"{value!r} would be one column with a comma in its name: write [{value}], or [{value!r}] if it is"
        )
    return [value] if isinstance(value, str) else value


def _distinct(columns: tuple[str, ...]) -> tuple[str, ...]:
    repeated = [c for c in dict.fromkeys(columns) if columns.count(c) > 1]
    if repeated:
        raise ValueError(f"{', '.join(repeated)} is given twice: list each column of a key once")
    return columns


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"there is no time zone {name!r}; names are as in the IANA database, e.g. Europe/Berlin"
        ) from None
    return name


def column_rule(value: object) -> object:
    """A text alone is a column's name: `city: town` is short for `city: {column: town}`."""
    return {"column": value} if isinstance(value, str) else value


Column = Annotated[
    str, Field(min_length=1, description="a column's name exactly as the database has it, with capitals and spaces")
]
Columns = Annotated[tuple[Column, ...], BeforeValidator(_as_list), Field(min_length=1)]
KeyColumns = Annotated[Columns, AfterValidator(_distinct)]
Zone = Annotated[str, AfterValidator(_known_zone), Field(description="IANA time zone, e.g. Asia/Shanghai")]
Namespace = Annotated[
    str | None,
    Field(
        pattern="^[a-z][a-z0-9_]*$",
        description="a prefix that keeps the keys of several tables distinct when their rows become the same entity",
    ),
]


class LanguagePart(BaseModel):
    """One part of the language: it cannot be changed, and a word that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Equal(LanguagePart):
    """What a column of a looked-up row must be: the value of a column of this row, or a constant."""

    column: Column | None = None
    const: bool | str | int | None = None

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Equal:
        if (self.column is None) == (self.const is None):
            raise ValueError("needs one of column and const: {language: lang_code} or {language: {const: EN}}")
        return self


class Lookup(LanguagePart):
    """A value from a row of another captured table: a code's text, a stage's name, the order of a picking."""

    table: str = Field(
        description="the table to look into; it must be listed under `tables` (`to: []` if it makes no record)"
    )
    column: Column = Field(description="the column whose value is wanted")
    by: KeyColumns = Field(
        default=(),
        description="the column of that table that the value is looked up by; default: its key, without the columns of"
        " `where`",
    )
    where: dict[Column, Annotated[Equal, BeforeValidator(column_rule)]] = Field(
        default={},
        description="further columns of that table (client, language), each with what it must be: a column of this row,"
        " or {const: …}",
    )
    take: Literal["one", "first", "last", "sum", "count", "min", "max"] = Field(
        default="one",
        description="what is taken where several rows are found: the first or last of `order`; the sum, the count, the"
        " least or greatest of `column`. Without rows the sum and the count are 0, the others null",
    )
    order: KeyColumns = Field(
        default=(),
        description="with `first` and `last`: the columns that order the rows; null comes last, then the key",
    )
    follow: bool = Field(
        default=False,
        description="when a row of that table changes, read the rows of this table again that look it up",
    )
    unknown: Literal["wait", "reject", "pass", "null"] = Field(
        default="wait",
        description="if there is no such row: wait until it comes (the record is parked), reject the row, keep the code"
        " itself, or null",
    )
    steps: tuple[StepRule, ...] = Field(
        default=(),
        description="conversions of the looked-up value, in order; the rule's own steps run before the lookup",
    )
    typed: dict[str, str] | None = Field(
        default=None,
        description="if the looked-up value is a reference with a type in its text ('sale.line,1'): as in a rule",
    )
    then: Lookup | None = Field(default=None, description="look the result up in another table (chained references)")

    @model_validator(mode="after")
    def _fits_take(self) -> Lookup:
        if bool(self.order) != (self.take in ("first", "last")):
            raise ValueError("`take: first` and `take: last` need `order`, and nothing else has it")
        if self.take != "one" and "unknown" in self.model_fields_set:
            raise ValueError("with `take` no row is missing: the sum and the count are 0, the others null")
        if self.take != "one" and not self.by:
            raise ValueError("`take` needs `by`: the column of that table that names the row which looks")
        return self

    def keyed_by(self, key: tuple[str, ...]) -> tuple[str, ...]:
        """The column that the value is looked up by, in a tuple; `key` is the key of the looked-up table."""
        return self.by or tuple(column for column in key if column not in self.where)


class Rates(LanguagePart):
    """The captured table that holds exchange rates: one row for a pair of currencies, valid from a day on."""

    table: str
    source: Column = Field(alias="from", description="column with the currency that is converted")
    to: Column = Field(description="column with the currency that it becomes")
    rate: Column = Field(description="column with how much of `to` one unit of `from` is")
    date: Column = Field(description="column with the day from which the rate is valid")


class Exchange(LanguagePart):
    """Convert an amount to one currency, by the rates table."""

    to: str = Field(pattern="^[A-Z]{3}$", description="ISO 4217 code")
    currency: Column = Field(description="column with the currency of the amount")
    on: Column = Field(description="column with the day (or moment) whose rate applies")


class MappingRule(LanguagePart):
    """How one field is made: a source (column, columns, const or expr), then path, split, steps, lookup, values,
    default, in this order.
    """

    column: Column | None = None
    columns: Columns | None = Field(
        default=None,
        description="several columns, joined with `join`; for a reference: the columns of its composite key",
    )
    join: str = Field(default=" ", description="the text between joined columns; empty and null ones are left out")
    const: Scalar | list[str] = Field(default=None, description="the same value for each row")
    expr: str | None = Field(default=None, description="a CEL expression over the row's columns")
    path: str | None = Field(default=None, description="path into a JSON column: address.lines[0]")
    split: str | None = Field(default=None, description="separator; `part` says which piece is taken")
    part: int = Field(
        default=0, description="which piece of `split` (0 is the first, -1 the last); a missing piece is null"
    )
    typed: dict[str, str] | None = Field(
        default=None,
        description="for references with a type in their text ('sale.line,1'): type -> entity, or -> the table of the"
        " `lookup`; other types are null",
    )
    steps: tuple[StepRule, ...] = Field(
        default=(), description="conversions in order: a name, or a name with its options"
    )
    lookup: Lookup | None = None
    convert: Exchange | None = Field(
        default=None, description="convert an amount to one currency; needs `rates` and `round`"
    )
    values: dict[str, Scalar] | None = Field(
        default=None, description="value map: the source's value -> the canonical field's value"
    )
    unknown: Unknown = Field(
        default="reject", description="a value that `values` does not list: reject the row, pass it as it is, or null"
    )
    bad: Literal["reject", "null", "pass"] = Field(
        default="reject",
        description="a value that a step or the field's type rejects: reject the row, or, with a mapping note, take "
        "null"
        " or (texts) pass the value as it is",
    )
    default: Scalar = Field(default=None, description="the value that replaces null")
    required: bool = Field(
        default=False,
        description="reject a row in which this field is null; park the table if the source drops the column",
    )
    timezone: Zone | None = Field(
        default=None, description="zone of a timestamp without one; default: the table's, then the dictionary's"
    )
    unit: Unit | None = Field(
        default=None, description="unit of a timestamp that is a number; default: micros, as Debezium sends them"
    )
    round: Literal["half_even", "half_up", "down"] | None = Field(
        default=None,
        description="how to round decimals that have more decimal places than the field; without it they are rejected",
    )
    entity: str | None = Field(
        default=None, description="for a reference: the entity it points to; default: the entity that the model names"
    )
    system: str | None = Field(
        default=None, description="for a reference: the system whose key this is; default: this system"
    )
    namespace: Namespace = None

    @model_validator(mode="after")
    def _exactly_one_source(self) -> MappingRule:
        given = [name for name in ("column", "columns", "const", "expr") if name in self.model_fields_set]
        if len(given) != 1:
            raise ValueError(
                f"needs exactly one of column, columns, const, expr; it has {' and '.join(given) or 'none'}"
            )
        for name, needs in (("part", "split"), ("unknown", "values"), ("join", "columns")):
            if name in self.model_fields_set and needs not in self.model_fields_set:
                raise ValueError(f"`{name}` means nothing without `{needs}`")
        return self


MappingRuleOrColumn = Annotated[MappingRule, BeforeValidator(column_rule)]


class Reference(LanguagePart):
    """A record that this row points to: its parent, or the same record in another system."""

    entity: str | None = None
    column: Column | None = None
    columns: Columns | None = None
    expr: str | None = None
    system: str | None = Field(default=None, description="default: this system")
    lookup: Lookup | None = None
    typed: dict[str, str] | None = None
    namespace: Namespace = None
    steps: tuple[StepRule, ...] = ()

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Reference:
        given = [name for name in ("column", "columns", "expr") if name in self.model_fields_set]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of column, columns, expr; it has {' and '.join(given) or 'none'}")
        return self


class Value(LanguagePart):
    """A value that other places of a record use: in its expressions, or as its key."""

    column: Column
    path: str | None = Field(default=None, description="as in a field's rule")
    split: str | None = Field(default=None, description="as in a field's rule")
    part: int = Field(default=0, description="as in a field's rule")
    typed: dict[str, str] | None = Field(default=None, description="as in a field's rule")
    steps: tuple[StepRule, ...] = ()
    lookup: Lookup | None = None
    default: Scalar = Field(default=None, description="the value that replaces null")

    def as_rule(self) -> MappingRule:
        """The same as a field's rule, without what a field does with the value."""
        given = {name: getattr(self, name) for name in self.model_fields_set - {"default"}}
        return MappingRule.model_validate(given)
