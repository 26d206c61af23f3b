"""A dictionary, compiled once: one function for each table, specialised to its columns and rules.

In goes a `Dictionary`, out comes a `CompiledDictionary`, or a DictionaryError with every fault. At run time nothing
asks the dictionary again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec
from msgspec import UNSET

from streams.dictionary.expression import RUNTIME
from streams.dictionary.generate import Names, Source, TablePlan, write
from streams.dictionary.language import Dictionary, Lookup, Reference, Rule, load_dictionary
from streams.dictionary.sources import lookup_name
from streams.dictionary.table_plan import Planner
from streams.errors import MappingError
from streams.mapping.cleanse.text import key_part, key_text
from streams.mapping.lookups import LookupPending, LookupTable
from streams.mapping.problems import BadValue, ColumnMissing, DictionaryError, FieldError, LookupMissing, Problem
from streams.mapping.rates import RateTable
from streams.mapping.values import filled, refuse_null
from streams.model.change import Mapped, Op, RowChange

__all__ = ["CompiledDictionary", "CompiledTable", "Notes", "compile_dictionary", "load_dictionary"]

SideTable = LookupTable | RateTable
MapRow = Callable[[Any, Op, Any], list[Mapped]]


class Notes(dict[tuple[str, str, str], tuple[str, object]]):
    """What was mended or forgiven in the row that is being mapped: (table, field, kind) → (reason, value). Empty nearly always;
    whoever maps a row takes it away before the next.
    """

    _KINDS = 1_000
    """A user's conversion may write its values into its notes; past so many kinds all further ones are `other`."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[tuple[str, str, str]] = set()

    def __call__(self, table: str, field: str, kind: str, reason: str, value: object) -> None:
        where = (table, field, kind[:120])
        if where not in self._known:
            if len(self._known) >= self._KINDS:
                where = (table, field, "other")
            self._known.add(where)
        self[where] = (reason, value)

    def take(self) -> list[tuple[str, str, str, str, object]]:
        """(table, field, kind, reason, value) of each, which are forgotten here."""
        taken = [(*where, *told) for where, told in self.items()]
        self.clear()
        return taken


class CompiledTable:
    """One table, ready to map.

    `row_type` and `key_type` are msgspec structs: decode a row into them; `attribute(column)` is the struct's attribute
    for a column. A column that the source did not send is UNSET.
    """

    def __init__(self, plan: TablePlan, names: Names, source: Source, nul: str, optional: tuple[str, ...]) -> None:
        self.name = plan.name
        self.system = plan.system
        self.columns: tuple[str, ...] = tuple(plan.columns)
        self.key_columns: tuple[str, ...] = plan.key_columns
        self.required: tuple[str, ...] = plan.required
        self.optional: tuple[str, ...] = optional
        self.before_full = plan.before_full
        self.looks = plan.looks
        self.entities: tuple[str, ...] = tuple(dict.fromkeys(t.entity for t in plan.targets))
        self.makes: tuple[str, ...] = tuple(dict.fromkeys(t.entity for t in plan.targets if not t.part_of))
        """Entities of which a row is a record, and does not only add to one."""
        self.nul = nul
        self.attribute = names.attribute
        self.row_type = _struct("Row", self.columns, names)
        self.key_type = _struct("Key", self.key_columns, names)
        self.source = source.text
        """The generated Python."""
        self._fields = source.fields
        self._file = f"<dictionary {plan.system}: {plan.name}>"
        space = self._space(plan)
        exec(compile(source.text, self._file, "exec"), space)  # our own source: see streams.dictionary.generate
        self.map: MapRow = space["map_row"]
        """map(row, op, key) -> what the row says; for a delete, row is what is known of it, or None. Raises
        MappingError.
        """
        self._map_with_before: Callable[[Any, Op, Any, Any], list[Mapped]] = space["map_row"]
        checks = " or ".join(f"row.{names.attribute(c)} is UNSET" for c in self.required) or "False"
        self.lacks: Callable[[Any], bool] = eval(f"lambda row: {checks}", {"UNSET": UNSET})
        """True if a column that the dictionary requires is not in this row."""

    def map_change(self, change: RowChange) -> list[Mapped]:
        """As `map`, and with what the row was before: a natural key that changed, a row that no longer meets `when`."""
        if change.after is None:
            return self._map_with_before(change.before, change.op, change.key, None)
        return self._map_with_before(change.after, change.op, change.key, change.before if self.before_full else None)

    def missing(self, row: Any) -> tuple[str, ...]:
        """Every column that the dictionary reads and this row does not have."""
        return tuple(c for c in self.columns if getattr(row, self.attribute(c)) is UNSET)

    def column_missing(self, row: Any) -> ColumnMissing:
        """The error for a row that `lacks` something."""
        return ColumnMissing(self.name, tuple(c for c in self.missing(row) if c in self.required))

    def _space(self, plan: TablePlan) -> dict[str, Any]:
        space: dict[str, Any] = {
            "__builtins__": {
                "tuple": tuple,
                "len": len,
                "list": list,
                "str": str,
                "int": int,
                "float": float,
                "Exception": Exception,
                "getattr": getattr,
            },
            "UNSET": UNSET,
            "Mapped": Mapped,
            "BadValue": BadValue,
            "ColumnMissing": ColumnMissing,
            "key_text": key_text,
            "key_part": key_part,
            "refuse_null": refuse_null,
            "filled": filled,
            "located": self._located,
            "no_row": self._no_row,
            "no_before": self._no_before,
            **RUNTIME,
        }
        for name, value in plan.constants.items():
            if name.startswith("ref_"):
                exec(compile(value, self._file, "exec"), space)
            else:
                space[name] = value
        space |= {n: v for n, v in plan.constants.items() if not n.startswith("ref_")}
        return space

    def _located(self, error: Exception, key: Any, row: Any) -> Exception:
        """The error as one of the field whose line of generated code raised it."""
        if isinstance(error, MappingError):
            return error
        field, trace = "", error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if (
                code.co_filename == self._file
                and not code.co_name.startswith("ref_")
                and trace.tb_lineno <= len(self._fields)
            ):
                field = self._fields[trace.tb_lineno - 1] or field
            trace = trace.tb_next
        where = f"{self.name} {self.shown_key(key, row)}"
        if isinstance(error, BadValue):
            return FieldError(field, error.reason, error.value, row=where)
        if isinstance(error, LookupPending):
            return LookupMissing(field, error.table, error.key, row=where)
        if isinstance(error, (TypeError, ValueError, ArithmeticError, LookupError, UnicodeError)):
            return FieldError(field, f"cannot be computed ({type(error).__name__})", str(error), row=where)
        return error

    def shown_key(self, key: Any, row: Any) -> str:
        """The key of a row, for people."""
        holder = key if key is not None else row
        return "|".join(str(getattr(holder, self.attribute(c), "?")) for c in self.key_columns)

    def _no_row(self, op: str) -> MappingError:
        if op == "t":
            return MappingError(
                f"{self.name} was truncated", remedy="`opshub reconcile` finds the records that went with it"
            )
        return MappingError(f"{self.name}: an event of kind {op!r} without a row", remedy="look at the raw record")

    def _no_before(self, table: str) -> MappingError:
        return MappingError(
            f"{table}: a delete that does not say what was deleted",
            remedy=f"ALTER TABLE {table} REPLICA IDENTITY FULL, then `opshub reconcile`",
        )


class CompiledDictionary:
    """Every table of a system, by its name as in the source; what they look into; and what was mended in the row at hand."""

    def __init__(
        self,
        dictionary: Dictionary,
        tables: dict[str, CompiledTable],
        sides: list[SideTable],
        notes: Notes,
        warnings: list[Problem],
    ) -> None:
        self.dictionary = dictionary
        self.system = dictionary.system
        self.kind = dictionary.kind
        self.tables = tables
        self.notes = notes
        self._sides = sides
        self.warnings = warnings
        """What is allowed but looks like a mistake."""

    @property
    def lookup_tables(self) -> tuple[str, ...]:
        """The tables that are looked into: each worker must be told of all their changes (`learn`) before it maps."""
        return tuple(dict.fromkeys(side.table for side in self._sides))

    def learn(self, change: RowChange) -> bool:
        """Tell the lookups of one row change. True if rows that were mapped before may now map differently."""
        table = self.tables[change.table]
        sides = [side for side in self._sides if side.table == change.table]
        try:
            changed = [side.apply(change, table.attribute, table.key_columns) for side in sides]
        except BadValue as error:
            raise FieldError(change.table, error.reason, error.value) from None
        return any(changed)


def _struct(name: str, columns: tuple[str, ...], names: Names) -> type[msgspec.Struct]:
    attributes = [(names.attribute(c), Any, msgspec.field(default=UNSET, name=c)) for c in columns]
    return msgspec.defstruct(name, attributes, gc=False)


def compile_dictionary(dictionary: Dictionary, systems: Collection[str] | None = None) -> CompiledDictionary:
    """Compile each table. Raises DictionaryError with every fault of meaning: names, types, expressions, conversions,
    keys, lookups; and references to a system that is none of `systems`, if they are given.
    """
    notes = Notes()
    lookups = _lookups(dictionary)
    rates = RateTable(dictionary.rates) if dictionary.rates is not None else None
    planner = Planner(dictionary, lookups, rates, notes, systems)
    if rates is not None and rates.table not in dictionary.tables:
        planner.wrong(("rates", "table"), f"{rates.table!r} is not captured", "list it under `tables` with `to: []`")
    planned: list[tuple[TablePlan, Names]] = []
    for name, table in dictionary.tables.items():
        names = Names()
        planned.append((planner.table(name, table, names), names))
    planner.whole()
    if planner.problems:
        raise DictionaryError(planner.problems)
    tables = {}
    for plan, names in planned:
        table = dictionary.tables[plan.name]
        tables[plan.name] = CompiledTable(plan, names, write(plan, names), table.nul, table.optional)
    notes.clear()  # those of defaults and constants
    sides: list[SideTable] = [*lookups.values(), *([rates] if rates is not None else [])]
    return CompiledDictionary(dictionary, tables, sides, notes, planner.warnings)


def _lookups(dictionary: Dictionary) -> dict[str, LookupTable]:
    """Every table that some rule looks into, with the columns that are wanted of it."""
    found: dict[str, LookupTable] = {}

    def see(lookup: Lookup | None) -> None:
        while lookup is not None:
            table = dictionary.tables.get(lookup.table)
            if table is not None:
                by = (*lookup.keyed_by(table.key), *lookup.where)
                found.setdefault(lookup_name(lookup, by), LookupTable(lookup.table, by)).slot(lookup.column)
            lookup = lookup.then

    for table in dictionary.tables.values():
        for target in table.to:
            rules: list[Rule | Reference | None] = [
                *target.fields.values(),
                *target.attributes.values(),
                target.parent,
                target.same_as,
            ]
            for rule in rules:
                if rule is not None:
                    see(rule.lookup)
    return found
