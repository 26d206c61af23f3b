"""A dictionary as a worker runs it: row changes come in, canonical records (`Mapped`) come out.

`streams.dictionary.compile` writes one Python function for each table (a `TableCode`). This module executes that code
and wraps it. At run time nothing reads the dictionary itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from streams.errors import MappingError
from streams.mapping.exchange_rates import RateTable
from streams.mapping.expression_runtime import RUNTIME
from streams.mapping.field_functions import refuse_null
from streams.mapping.followers import Followers
from streams.mapping.lookups import LookupTable
from streams.mapping.notes import MappingNotes
from streams.mapping.row_errors import BadValue, ColumnMissing, FieldError, LookupMissing, LookupPending, WideUnsent
from streams.mapping.row_groups import RowGroups
from streams.mapping.row_names import RowNames
from streams.mapping.values.text import key_part, key_text
from streams.model.change import Mapped, Op, RowChange

SideTable = LookupTable | RowGroups | RateTable
"""A captured table whose rows are held in memory, because rules of other tables look into it."""

MapRow = Callable[[Any, Op, Any], list[Mapped]]
MapOp = Op | Literal["again"]
"""`again`: read by a re-snapshot, so the hub may have records of the row that it no longer makes."""

_BUILTINS = {
    "tuple": tuple,
    "len": len,
    "list": list,
    "str": str,
    "int": int,
    "float": float,
    "Exception": Exception,
    "getattr": getattr,
}
"""The only builtins that generated code can call: an expression of a dictionary cannot open a file or import."""


class TableCode(msgspec.Struct, frozen=True):
    """The generated code of one table, and what the worker must know of the table to run it."""

    system: str
    name: str
    """As the source names it: schema.table."""
    columns: tuple[str, ...]
    """Every column that the dictionary reads."""
    key_columns: tuple[str, ...]
    required: tuple[str, ...]
    """Columns whose absence from the source parks the table."""
    structural: tuple[str, ...]
    """Columns without which a row cannot be placed: keys, conditions, parents."""
    optional: tuple[str, ...]
    """Columns whose absence nobody needs to hear of."""
    before_full: bool
    """Whether the source sends the whole old row, and not only its key."""
    uses_lookups: bool
    """Whether its rows look into other tables."""
    entities: tuple[str, ...]
    """Entities that its rows fill, also only in part."""
    own_entities: tuple[str, ...]
    """Entities that its rows create and delete: those of `entities` that are not `part_of`."""
    makes: tuple[tuple[str, str], ...]
    """(entity, namespace) of the records that its rows create and delete; the namespace is '' without one."""
    with_own_key: tuple[str, ...]
    """Entities of records that are not keyed by the table's key."""
    nul: str
    """What to do with a NUL character in a text: reject or strip."""
    has_lists: bool
    """Whether a column that it reads is a list or bytes, or may be: its type is not known."""
    attributes: dict[str, str]
    """Column → attribute of the row's struct."""
    python: str
    """The source of the module, which defines `map_row`."""
    line_fields: tuple[str, ...]
    """For each line of `python` the canonical field that it makes; '' for lines that make none."""
    functions: tuple[str, ...]
    """Source of further functions that `python` calls: references that take several steps."""
    constants: dict[str, Any]
    """What `python` calls, by the names that it uses."""


class CompiledTable:
    """One table, ready to map.

    `row_type` and `key_type` are msgspec structs: decode a row into them; `attribute(column)` is the struct's attribute
    for a column. A column that the source did not send is UNSET.
    """

    def __init__(self, code: TableCode) -> None:
        self.name = code.name
        self.system = code.system
        self.columns = code.columns
        self.key_columns = code.key_columns
        self.required = code.required
        self._structural = code.structural
        self.optional = code.optional
        self.before_full = code.before_full
        self.uses_lookups = code.uses_lookups
        self.entities = code.entities
        self.own_entities = code.own_entities
        self.makes = code.makes
        self._row_names = RowNames(code.key_columns, code.with_own_key)
        self.nul = code.nul
        self.has_lists = code.has_lists
        self.python = code.python
        self.attribute: Callable[[str], str] = code.attributes.__getitem__
        self.row_type = _struct("Row", code.columns, self.attribute)
        self.key_type = _struct("Key", code.key_columns, self.attribute)
        self._line_fields = code.line_fields
        self._file = f"<dictionary {code.system}: {code.name}>"
        names = self._execute(code)
        # Both names are the same function. It is stored on the instance, so a worker calls it without a bound method.
        self.map: MapRow = names["map_row"]
        """map(row, op, key) → the records that the row makes. For a delete, row is what the source sent of it, or None.
        Raises MappingError.
        """
        self._map_with_before: Callable[..., list[Mapped]] = names["map_row"]
        self.lacks_required: Callable[[Any], bool] = names["lacks_required"]
        """lacks_required(row): True if the source did not send a column that the dictionary requires."""

    def map_change(self, change: RowChange) -> list[Mapped]:
        """As `map`, and it also uses the row before the change: a natural key that changed, a row that no longer meets
        `when`. A row that a re-snapshot reads may have met it before, too: the dictionary may have changed.
        """
        if change.lost:
            raise WideUnsent(self.name, change.lost, under_new_key=True)
        op: MapOp = change.op
        if op == "r" and change.position.major:
            op = "again"
        row = change.after
        if not self.before_full:
            return self._map_with_before(change.before if row is None else row, op, change.key)
        if row is None:
            mapped = self._map_with_before(change.before, op, change.key)
        else:
            mapped = self._map_with_before(row, op, change.key, change.before)
        return self._row_names.added_to(mapped, change)

    def missing(self, row: object) -> tuple[str, ...]:
        """Every column that the dictionary reads and this row does not have."""
        return tuple(c for c in self.columns if getattr(row, self.attribute(c)) is UNSET)

    def column_missing(self, row: object) -> ColumnMissing:
        """The error for a row for which `lacks_required` is true."""
        return ColumnMissing(self.name, tuple(c for c in self.missing(row) if c in self.required))

    def wide_unsent(self, row: object) -> WideUnsent | None:
        """The error for a row in which Postgres left out a structural column: one that lacked no required column before
        its placeholders were taken out.
        """
        unsent = tuple(c for c in self._structural if getattr(row, self.attribute(c)) is UNSET)
        return WideUnsent(self.name, unsent) if unsent else None

    def readable_key(self, key: object, row: object) -> str:
        """The key of a row, for people: from the message's key, or else from the row."""
        holder = key if key is not None else row
        return "|".join(str(getattr(holder, self.attribute(c), "?")) for c in self.key_columns)

    def _execute(self, code: TableCode) -> dict[str, Any]:
        """Run the generated module; return its names."""
        names: dict[str, Any] = {
            "__builtins__": _BUILTINS,
            "UNSET": UNSET,
            "Mapped": Mapped,
            "BadValue": BadValue,
            "ColumnMissing": ColumnMissing,
            "key_text": key_text,
            "key_part": key_part,
            "refuse_null": refuse_null,
            "located": self._located,
            "no_row": self._no_row,
            "no_before": self._no_before,
            **RUNTIME,
            **code.constants,
        }
        # exec is safe here: streams.dictionary.compile writes this text, and quotes every name and text of the YAML
        # file.
        for function in code.functions:
            exec(compile(function, self._file, "exec"), names)
        exec(compile(code.python, self._file, "exec"), names)
        return names

    def _located(self, error: Exception, key: object, row: object) -> Exception:
        """The error that the worker acts on: it names the field whose line of generated code raised `error`, and the
        row.
        """
        if isinstance(error, MappingError):
            return error
        field, trace = "", error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            # Functions of references are compiled on their own: their line numbers are not those of the module.
            if (
                code.co_filename == self._file
                and not code.co_name.startswith("ref_")
                and trace.tb_lineno <= len(self._line_fields)
            ):
                field = self._line_fields[trace.tb_lineno - 1] or field
            trace = trace.tb_next
        where = f"{self.name} {self.readable_key(key, row)}"
        if isinstance(error, BadValue):
            return FieldError(field, error.reason, error.value, row=where)
        if isinstance(error, LookupPending):
            return LookupMissing(field, error.table, error.key, row=where)
        if isinstance(error, (TypeError, ValueError, ArithmeticError, LookupError, UnicodeError)):
            return FieldError(field, f"cannot be computed ({type(error).__name__})", str(error), row=where)
        return error

    def _no_row(self, op: str) -> MappingError:
        if op == "t":
            return MappingError(
                f"{self.name} was truncated", remedy="`opshub verify` finds the records that were deleted with it"
            )
        return MappingError(f"{self.name}: an event of kind {op!r} without a row", remedy="look at the raw record")

    def _no_before(self, table: str) -> MappingError:
        return MappingError(
            f"{table}: a delete that does not say what was deleted",
            remedy=f"ALTER TABLE {table} REPLICA IDENTITY FULL, then `opshub verify`",
        )


class CompiledDictionary:
    """Every table of a system, by its name as in the source; the tables that they look into; and the mapping notes of
    the row that is being mapped.
    """

    def __init__(
        self,
        system: str,
        kind: str,
        tables: dict[str, CompiledTable],
        side_tables: list[SideTable],
        notes: MappingNotes,
        followers: Followers | None = None,
    ) -> None:
        self.system = system
        self.kind = kind
        """postgres, mariadb or mysql."""
        self.tables = tables
        self.notes = notes
        self.followers = followers or Followers([])
        """Rows that follow the rows that they look up."""
        self._side_tables = side_tables

    @property
    def lookup_tables(self) -> tuple[str, ...]:
        """The tables that rules look into. Each worker must pass all their changes to `update_lookups`
        before it maps.
        """
        return tuple(dict.fromkeys(side.table for side in self._side_tables))

    def update_lookups(self, change: RowChange) -> bool:
        """Take one row change into the lookup tables. True if rows that were mapped before may now map differently."""
        table = self.tables[change.table]
        sides = [side for side in self._side_tables if side.table == change.table]
        try:
            changed = [side.apply(change, table.attribute, table.key_columns) for side in sides]
        except BadValue as error:
            raise FieldError(change.table, error.reason, error.value) from None
        return any(changed)


def _struct(name: str, columns: tuple[str, ...], attribute: Callable[[str], str]) -> type[msgspec.Struct]:
    attributes = [(attribute(c), Any, msgspec.field(default=UNSET, name=c)) for c in columns]
    return msgspec.defstruct(name, attributes, gc=False)
