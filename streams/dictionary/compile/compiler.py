"""A dictionary, compiled once: one Python function for each table, made for exactly its columns and rules.

In goes a `Dictionary`, out comes a `CompiledDictionary`, or a DictionaryError with every mistake. At run time nothing
reads the dictionary again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from streams.dictionary.compile.dictionary_planner import DictionaryPlanner
from streams.dictionary.compile.follower_planner import followers_of
from streams.dictionary.compile.lookup_planner import lookup_tables
from streams.dictionary.compile.plans import Names, Refused, TablePlan, Together
from streams.dictionary.compile.python_source import write_table
from streams.dictionary.language.dictionary import Dictionary, Table
from streams.dictionary.problems import DictionaryError, Problem
from streams.mapping.compiled import CompiledDictionary, CompiledTable, SideTable, TableCode
from streams.mapping.exchange_rates import RateColumns, RateTable
from streams.mapping.followers import Followers
from streams.mapping.notes import MappingNotes
from streams.mapping.source_types import ColumnTypes


class Compiled(NamedTuple):
    """A compiled dictionary, and what is allowed in it but looks like a mistake."""

    dictionary: CompiledDictionary
    warnings: list[Problem]
    refusals: list[Refused]
    """Columns whose types cannot make their fields; empty without types. A worker rejects their rows."""
    together: list[Together]
    """Columns of which a place of the file needs all, also where an update left one of them alone."""


def compile_dictionary(
    dictionary: Dictionary,
    systems: Collection[str] | None = None,
    types: Mapping[str, ColumnTypes] | None = None,
) -> CompiledDictionary:
    """Compile each table; with the `types` of the columns, each value is read as its type says.

    Raises DictionaryError with every mistake of meaning: names, types, expressions, conversions, keys, lookups; and, if
    `systems` are given, references to a system that is none of them.
    """
    return compile_with_warnings(dictionary, systems, types).dictionary


def compile_with_warnings(
    dictionary: Dictionary,
    systems: Collection[str] | None = None,
    types: Mapping[str, ColumnTypes] | None = None,
) -> Compiled:
    """As `compile_dictionary`, with the warnings for `opshub map check`."""
    notes = MappingNotes()
    lookups = lookup_tables(dictionary, types)
    rates = _rate_table(dictionary)
    planner = DictionaryPlanner(dictionary, lookups, rates, notes, systems, types)
    if rates is not None and rates.table not in dictionary.tables:
        planner.wrong(("rates", "table"), f"{rates.table!r} is not captured", "list it under `tables` with `to: []`")
    # All tables are planned before one is compiled, so that every mistake of the file is reported at once.
    planned: list[tuple[TablePlan, Names]] = []
    for name, table in dictionary.tables.items():
        names = Names()
        planned.append((planner.plan_table(name, table, names), names))
    planner.check_across_tables()
    followers = Followers(followers_of(dictionary, planner.wrong))
    if planner.problems:
        raise DictionaryError(planner.problems)
    tables = {
        plan.name: CompiledTable(_table_code(plan, names, dictionary.tables[plan.name])) for plan, names in planned
    }
    notes.clear()  # planning converts defaults and constants, which may have added notes of no row
    side_tables: list[SideTable] = [*lookups.values(), *([rates] if rates is not None else [])]
    compiled = CompiledDictionary(dictionary.system, dictionary.kind, tables, side_tables, notes, followers)
    return Compiled(compiled, planner.warnings, planner.refusals, planner.together)


def _table_code(plan: TablePlan, names: Names, table: Table) -> TableCode:
    source = write_table(plan, names)
    return TableCode(
        system=plan.system,
        name=plan.name,
        columns=tuple(plan.columns),
        key_columns=plan.key_columns,
        required=plan.required,
        structural=plan.structural,
        optional=table.optional,
        before_full=plan.before_full,
        uses_lookups=plan.uses_lookups,
        entities=tuple(dict.fromkeys(t.entity for t in plan.targets)),
        own_entities=tuple(dict.fromkeys(t.entity for t in plan.targets if not t.part_of)),
        makes=tuple(dict.fromkeys((t.entity, t.namespace or "") for t in table.to if not t.part_of)),
        with_own_key=tuple(t.entity for t in plan.targets if set(t.key.columns) != set(plan.key_columns)),
        nul=table.nul,
        has_lists=plan.has_lists,
        attributes={column: names.attribute(column) for column in (*plan.columns, *plan.key_columns)},
        python=source.text,
        line_fields=tuple(source.fields),
        functions=tuple(plan.functions),
        constants=plan.constants,
    )


def _rate_table(dictionary: Dictionary) -> RateTable | None:
    rates = dictionary.rates
    if rates is None:
        return None
    return RateTable(rates.table, RateColumns(rates.source, rates.to, rates.rate, rates.date))
