"""How a column of each source type is read, for each kind of canonical field: the one table of both.

In: the name of a column's type as Postgres has it (`numeric`, `date`, `text[]`; a domain under the name of its base
type) or MariaDB (`mediumint`, `date not null`), and the kind of a field. Out: a function that makes the value ready for
the field, None where it needs none, or a `Refusal`. `streams.dictionary.compile` asks it when a dictionary is compiled
with the types of its columns, and `opshub map check --live`, `plan` and `map draft` show what it refuses: they cannot
differ from what a worker does.

Without a type a value cannot be read for certain: Debezium sends a date as a number of days, a timestamp without zone
and a time as numbers of microseconds, a number with decimals as text, bytes as base64. `docs/guides/source-types.md` is
made from this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from streams.mapping.row_errors import BadValue
from streams.mapping.values.source_forms import (
    date_text,
    decimal_text,
    duration_text,
    instant_text,
    list_of,
    local_text,
    midnight,
    moment_or_zero,
    no_zero_date,
    no_zero_moment,
    number,
    number_text,
    six_digits,
    span_text,
    time_text,
    unknown_number,
    unsigned,
    year,
)

Form = Literal[
    "text", "number", "float", "whole", "bool", "flag", "day", "local", "instant", "time", "timetz", "span",
    "interval", "json", "hstore", "bytes", "struct", "unsent", "unknown",
]  # fmt: skip
"""What Debezium sends for a type. `unsent`: nothing at all. `unknown`: the type of the column is not known."""

Read = Callable[[object], object]

ColumnTypes = Mapping[str, str]
"""Column → the name of its type; an array has the name of its items and []."""

_FORMS: dict[str, Form] = {
    "text": "text", "character varying": "text", "character": "text", '"char"': "text", "name": "text",
    "citext": "text", "uuid": "text", "inet": "text", "cidr": "text", "macaddr": "text", "macaddr8": "text",
    "ltree": "text", "xml": "text", "tsvector": "text", "int4range": "text", "int8range": "text", "numrange": "text",
    "daterange": "text",
    "tsrange": "text", "tstzrange": "text", "enum": "text", "isbn": "text",
    "smallint": "whole", "integer": "whole", "bigint": "whole", "oid": "whole",
    "numeric": "number", "money": "number", "real": "float", "double precision": "float",
    "boolean": "bool", "bit": "bool",
    "date": "day", "timestamp without time zone": "local", "timestamp with time zone": "instant",
    "time without time zone": "time", "time with time zone": "timetz", "interval": "interval",
    "json": "json", "jsonb": "json", "hstore": "hstore",
    "bytea": "bytes", "bit varying": "bytes",
    "point": "struct", "box": "struct", "lseg": "struct", "path": "struct", "polygon": "struct", "circle": "struct",
    "line": "struct", "geometry": "struct", "geography": "struct", "vector": "struct", "halfvec": "struct",
    "sparsevec": "struct",
    # MariaDB and MySQL, where they have other names or other forms.
    "float": "float", "tinyint": "whole", "mediumint": "whole", "bigint unsigned": "whole", "year": "whole",
    "tinyint(1)": "flag",
    "set": "text", "date not null": "day", "datetime": "local", "datetime not null": "local", "timestamp": "instant",
    "timestamp not null": "instant", "time": "span",
}  # fmt: skip
"""Every type that Debezium sends, with the modes that source.json must have (`streams/capture/connector_config.py`)."""

_FIRST: dict[str, Read] = {
    "bigint unsigned": unsigned,
    "float": six_digits,
    "year": year,
    "timestamp": moment_or_zero,
    "date not null": no_zero_date,
    "datetime not null": no_zero_date,
    "timestamp not null": no_zero_moment,
}
"""MariaDB's types whose values mean something else than what Debezium sends → what reads them first."""

_UNSENT_ARRAYS = {"money", "name", "interval", "bit", "bit varying", "xml", "isbn"}
"""Types whose arrays Debezium does not send (PostgresValueConverter); nor does it send arrays of structures."""

WIDE_LISTS = {
    "text", "character varying", "character", "json", "jsonb", "bytea", "integer", "date", "bigint", "uuid",
}  # fmt: skip
"""Types for whose arrays Debezium has a word for "unchanged and not sent" (UnchangedToastedReplicationMessageColumn).
For other arrays it cannot say so.
"""


class SourceType(NamedTuple):
    """A type of the source: what Debezium sends for it (of an array: for an item)."""

    name: str
    form: Form
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A column that cannot make a field: what is wrong, what to do. `by_value`: values that fit are read all the same,
    and the others are rejected one by one; nothing is misread.
    """

    what: str
    remedy: str
    by_value: bool = False


UNKNOWN = SourceType("unknown", "unknown")


def source_type(name: str) -> SourceType:
    """The type of that name; one that Debezium does not send (a composite type, a multirange) is `unsent`."""
    if name == "unknown":
        return UNKNOWN
    item = name.removesuffix("[]")
    form = _FORMS.get(item, "unsent")
    if item == name:
        return SourceType(name, form)
    sent = item not in _UNSENT_ARRAYS and form not in ("struct", "unsent")
    return SourceType(name, form if sent else "unsent", True)


_AS_TEXT: dict[Form, Read] = {
    "day": date_text,
    "local": local_text,
    "instant": instant_text,
    "time": time_text,
    "span": span_text,
    "interval": duration_text,
    "float": decimal_text,
    "number": number_text,
}
"""Forms that are a text of their own wherever it is not their own kind of field that they fill: days and times are ISO
texts, and 7.0 is 7, as a database writes it.
"""

_ITS_OWN: dict[Form, tuple[str, ...]] = {
    "text": ("text", "ref"),
    "whole": ("text", "ref", "int", "decimal"),
    "number": ("text", "ref", "decimal", "int"),
    "float": ("text", "decimal", "int"),
    "bool": ("text", "bool"),
    "flag": ("text", "ref", "int", "decimal", "bool"),
    "day": ("text", "date", "timestamp"),
    "local": ("text", "timestamp"),
    "instant": ("text", "timestamp"),
    "time": ("text",),
    "timetz": ("text",),
    "span": ("text",),
    "interval": ("text",),
}
"""Form → the kinds of fields that its values can fill as they are."""

_BY_VALUE: dict[Form, tuple[str, ...]] = {
    "text": ("int", "decimal", "date", "timestamp", "bool"),
    "whole": ("bool",),
}
"""Form → kinds that some of its values can fill. What does not fit is rejected, and nothing is misread."""

_STEPS = {
    ("text", "int"): "add a step, e.g. `multiply` or `extract`",
    ("text", "decimal"): "add `steps: [decimal]`, with its `locale` if people typed it",
    ("text", "bool"): "add `steps: [boolean]`",
    ("whole", "bool"): "add `steps: [boolean]`",
    ("text", "date"): "add `steps: [{date: '%d.%m.%Y'}]`",
    ("whole", "date"): "add `steps: [yyyymmdd]`",
    ("local", "date"): "add `steps: [date_of]`",
    ("instant", "date"): "add `steps: [date_of]`",
    ("text", "timestamp"): "add `steps: [{datetime: {formats: '%Y-%m-%d %H:%M:%S'}}]`",
    ("whole", "timestamp"): "add its `unit`, or a step (`yyyymmdd`, `epoch`)",
    ("json", "text"): "name a place in it with `path:`",
    ("hstore", "text"): "name a place in it with `path:`",
    ("struct", "text"): "name a place in it with `path:`",
}
"""(form, kind) → the remedy, where there is a better one than the general one."""

_NOT = {
    "int": "an integer", "decimal": "a number", "bool": "a boolean", "date": "a date", "timestamp": "a time",
    "text": "a text", "ref": "a key", "tags": "a list",
}  # fmt: skip


def reading(column: str, source: SourceType, kind: str, *, unit: bool = False) -> Read | Refusal | None:
    """How a column alone, without steps, fills a field of `kind`. `unit`: the rule says in which unit a number is
    counted.
    """
    read = _reading(column, source, kind, unit=unit)
    # A key stays as it was sent, as in the rows that are named by it.
    return read if isinstance(read, Refusal) or kind == "ref" else _first(source, read)


def _first(source: SourceType, read: Read | None) -> Read | None:
    """`read`, after what the source's type needs before."""
    first = _FIRST.get(source.name)
    if first is None or read is None:
        return first or read

    def both(value: object) -> object:
        value = first(value)
        return None if value is None else read(value)

    return both


def _reading(column: str, source: SourceType, kind: str, *, unit: bool) -> Read | Refusal | None:
    form = source.form
    if form == "unknown":
        return unknown_number(kind) if kind in ("text", "tags", "date", "timestamp", "decimal", "int") else None
    if form == "unsent":
        return _unsent(column, source)
    if source.is_list:
        if kind == "tags" and form in _ITS_OWN:
            item = _AS_TEXT.get(form)
            return None if item is None else list_of(item)
        remedy = f"it fills {_NOT.get(kind, kind)} with a piece of it: `path: '[0]'`"
        return Refusal(f"{column} is {source.name}, a list", remedy)
    if kind == "tags":
        return Refusal(f"{column} is {source.name}, not a list", "add `steps: [list]`")
    if form == "whole" and kind == "timestamp" and unit:
        return None
    if unit and kind == "timestamp" and form in ("day", "local", "instant"):
        return Refusal(f"{column} is {source.name}, which is no number that is counted in a `unit`", "remove `unit`")
    if kind in _ITS_OWN.get(form, ()):
        if form == "day" and kind == "timestamp":
            return midnight
        return _AS_TEXT[form] if kind == "text" and form in _AS_TEXT else None
    by_value = kind in _BY_VALUE.get(form, ())
    remedy = _STEPS.get((form, kind), "it cannot be mapped: name another column")
    what = f"{column} is {source.name}, not {_NOT.get(kind, kind)}"
    if kind == "timestamp" and form == "whole":
        what = f"{column} is {source.name}, a number"
    if kind == "ref":
        what, remedy = (
            f"{column} is {source.name}, which cannot be a key",
            "name the column that holds the other record's key",
        )
    return Refusal(what, remedy, by_value)


def before_steps(source: SourceType) -> Read | None:
    """What a value becomes before a path, a step, a join or a value map takes it: days and times become ISO text."""
    text = _AS_TEXT.get(source.form)
    return _first(source, list_of(text) if source.is_list and text is not None else text)


def in_expression(source: SourceType) -> Read | None:
    """What a value is in an expression: numbers are numbers, days and times are ISO text."""
    if source.form in ("number", "float"):
        return list_of(number) if source.is_list else number
    return before_steps(source)


def for_value_map(source: SourceType) -> Read | None:
    """What a value is compared with the keys of `values` as: 1.00 is 1."""
    return decimal_text if source.form in ("number", "float") and not source.is_list else before_steps(source)


def for_lookup(source: SourceType) -> Read | None:
    """What a value is looked up as, and what the column that it is looked up by holds: 42.00 is the key 42."""
    return decimal_text if source.form == "number" and not source.is_list else None


def refusal_before_steps(column: str, source: SourceType) -> Refusal | None:
    """Why a column cannot go through steps."""
    if source.form == "bytes":
        return Refusal(f"{column} is {source.name}, bytes that no step reads", "map another column")
    return _unsent(column, source) if source.form == "unsent" else None


def refuse(refusal: Refusal) -> Read:
    """The function that rejects every value of a column."""

    def reject(value: object) -> object:
        raise BadValue(f"{refusal.what}; {refusal.remedy}", value)

    return reject


def _unsent(column: str, source: SourceType) -> Refusal:
    return Refusal(
        f"{column} is {source.name}, which Debezium does not send",
        "map another column, e.g. a generated one (Postgres 18: publish_generated_columns) or one that a trigger fills",
    )


def types_in_guide() -> dict[str, Form]:
    """Type → form, in the order of the guide."""
    return dict(_FORMS)
