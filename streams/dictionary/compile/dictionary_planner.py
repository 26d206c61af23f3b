"""Plans all tables of a dictionary, and finds what only all of them together show.

In goes a `Dictionary`, out comes a `TablePlan` for each table. Every mistake is added to the problems, with its line.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from streams.dictionary.compile.plans import Names, Refused, TablePlan, Together
from streams.dictionary.compile.source_planner import LookupSide, Pointer
from streams.dictionary.compile.table_planner import TablePlanner
from streams.dictionary.language.dictionary import Dictionary, Table
from streams.dictionary.problems import Problem
from streams.dictionary.yaml_lines import YamlPath
from streams.mapping.exchange_rates import RateTable
from streams.mapping.notes import AddFieldNote
from streams.mapping.source_types import ColumnTypes, Refusal

Made = tuple[str, str | None]
"""A kind of record that a table makes: its entity and namespace."""


class DictionaryPlanner:
    """Plans the tables of one dictionary and collects every mistake in them."""

    def __init__(
        self,
        dictionary: Dictionary,
        lookups: dict[str, LookupSide],
        rates: RateTable | None,
        add_note: AddFieldNote,
        systems: Collection[str] | None,
        types: Mapping[str, ColumnTypes] | None = None,
    ) -> None:
        self.dictionary = dictionary
        self.types = types
        self.refusals: list[Refused] = []
        self.together: list[Together] = []
        self.lookups = lookups
        self.rates = rates
        self.add_note = add_note
        self.systems = systems
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.pointers: list[Pointer] = []

    def wrong(self, path: YamlPath, what: str, right: str = "") -> None:
        problem = self.dictionary.file.problem(path, what, right)
        if problem not in self.problems:  # a field that is a parent too is planned twice
            self.problems.append(problem)

    def refused(self, path: YamlPath, refusal: Refusal) -> None:
        refused = Refused(self.dictionary.file.problem(path, refusal.what, refusal.remedy), refusal.by_value)
        if refused not in self.refusals:  # a field that is a parent too is planned twice
            self.refusals.append(refused)

    def plan_table(self, name: str, table: Table, names: Names) -> TablePlan:
        return TablePlanner(self, name, table, names).plan()

    def check_across_tables(self) -> None:
        """What only all tables together show: keys that would be taken for one another, references to nothing."""
        makers, additions = self._makers()
        self._warn_of_unmapped(makers)
        if self.problems:  # a mistake in one record may be the reason why another does not fit it
            return
        for addition in additions:
            if (addition.entity, addition.namespace) not in makers:
                self.wrong(
                    (*addition.path, "part_of"),
                    f"adds to a {addition.record}, which no table of this dictionary makes: its rows would have no"
                    " effect",
                    "map the table that makes it, or remove `part_of`",
                )
        for pointer in (*self.pointers, *additions):
            table_name, key = makers.get((pointer.entity, pointer.namespace), ("", ()))
            if key and pointer.columns is not None and pointer.columns != len(key):
                adds = pointer in additions
                self.wrong(
                    (*pointer.path, "key") if adds else pointer.path,
                    f"{_columns(pointer.columns)}, and the key of a {pointer.record} ({table_name}) has {len(key)}:"
                    f" {', '.join(key)}",
                    f"name all of them, in that order: {'key' if adds else 'columns'}: [{', '.join(key)}]",
                )

    def _makers(self) -> tuple[dict[Made, tuple[str, tuple[str, ...]]], list[Pointer]]:
        """(what is made → its table and key, the places where a row adds to a record that another table makes)."""
        makers: dict[Made, tuple[str, tuple[str, ...]]] = {}
        additions: list[Pointer] = []
        for name, table in self.dictionary.tables.items():
            for i, target in enumerate(table.to):
                path: YamlPath = ("tables", name, "to", i)
                made = (target.entity, target.namespace)
                key = target.key_columns or table.key
                if target.part_of:
                    if target.fields or target.attributes:
                        additions.append(Pointer(*made, path, len(key)))
                    continue
                if made in makers:
                    self.wrong(
                        path,
                        f"{makers[made][0]} makes a {target.entity} too: rows with equal keys would become one record",
                        "give one of them a `namespace`, or add `part_of: true` if its rows only add to the other's "
                        "records",
                    )
                makers.setdefault(made, (name, key))
        return makers, additions

    def _warn_of_unmapped(self, makers: Collection[Made]) -> None:
        """One warning for each kind of record that references name and no table makes."""
        warned: set[Made] = set()
        for pointer in self.pointers:
            made = (pointer.entity, pointer.namespace)
            if made not in makers and made not in warned:
                what = f"points to a {pointer.record}, which no table of this dictionary makes"
                right = "map its table, or name the `system` whose key it is"
                self.warnings.append(self.dictionary.file.problem(pointer.path, what, right))
                warned.add(made)


def _columns(number: int) -> str:
    return "has one column" if number == 1 else f"has {number} columns"
