"""What the planners make and `python_source` writes: one table as Python expressions over the names of its columns."""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.dictionary.problems import Problem
from streams.dictionary.yaml_lines import YamlPath


class PlannedField(NamedTuple):
    """How one canonical field (or attribute) is made."""

    name: str
    statements: list[str]
    """Python statements that run before the expression."""
    python: str
    """The expression that gives the value."""
    columns: tuple[str, ...]
    """The columns that both read: without one of them the field is left out."""
    note_unsent: str = ""
    """The function that notes that it was left out though others of its columns were sent; '' with one column."""


class Refused(NamedTuple):
    """A column whose type cannot make its field, at its place in the file. `by_value`: values that fit are read."""

    problem: Problem
    by_value: bool


class Together(NamedTuple):
    """Columns that one place of the file needs all of. `is_structural`: without one the row cannot be placed at all;
    else a field is made of them, and is left as it was.
    """

    table: str
    path: YamlPath
    columns: tuple[str, ...]
    is_structural: bool


@dataclass(slots=True)
class KeyPlan:
    """How the text of a record's key is made."""

    columns: tuple[str, ...]
    python: str
    from_key: bool
    """True if the columns are all in the message's key, so that a delete has them."""
    has_forms: bool = False
    """Whether two values of a column may give one text, as of a citext: a row whose columns change may keep its key."""
    may_be_null: bool = False
    """Whether a row may have none: it makes no record then."""


@dataclass(slots=True)
class TargetPlan:
    """One record that each row makes, in Python expressions over column names."""

    entity: str
    ids: str
    """The name of the constant that maps a key to an id."""
    key: KeyPlan
    when: str | None
    deleted: str
    parent: str
    parent_from_key: bool
    """True if the parent is made from columns of the record's key: whichever row has the key names the same parent."""
    same_as: str
    fields: list[PlannedField]
    attributes: list[PlannedField]
    part_of: bool
    merges: bool = False
    """Whether `same_as` names a record of its own system, which merges records."""


@dataclass(slots=True)
class TablePlan:
    """One table, ready to be written as code."""

    system: str
    name: str
    columns: list[str]
    key_columns: tuple[str, ...]
    structural: tuple[str, ...]
    """Columns without which a row cannot be placed: keys, conditions, parents."""
    required: tuple[str, ...]
    """Columns whose absence from the source parks the table."""
    before_full: bool
    uses_lookups: bool
    """Whether its rows look into other tables."""
    has_lists: bool
    """Whether a column that it reads is a list or bytes, or may be."""
    targets: list[TargetPlan]
    constants: dict[str, object] = field(default_factory=dict)
    """What the expressions call, by the name that they use."""
    functions: list[str] = field(default_factory=list)
    """Source of functions that the expressions call: references that take several steps."""


def unreadable(column: str) -> bool:
    """Whether no struct of msgspec can have a field of that name: msgspec does not escape these in JSON."""
    return any(c in '"\\' or c < " " for c in column)


class Names:
    """A Python name for each column: the column's own name if it is an identifier, else col_<n>_."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def attribute(self, column: str) -> str:
        """The attribute of the row struct."""
        name = self._names.get(column)
        if name is None:
            plain = (
                column.isidentifier()
                and column.isascii()
                and not keyword.iskeyword(column)
                and not column.startswith("_")
            )
            name = column if plain and column not in self._names.values() else f"col_{len(self._names)}_"
            self._names[column] = name
        return name

    def local(self, column: str) -> str:
        """The local variable that holds it in generated code."""
        return f"c_{self.attribute(column)}"
